/* Durations and sizes as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lua/helpers.h"
#include "lua/units.h"

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {{"0s", 0},          {"100ms", 100},     {"90s", 90000},
		    {"5m", 300000},     {"24h", 86400000},  {"30d", 2592000000},
		    {"2w", 1209600000}, {"1h30m", 5400000}, {"1 h", 3600000}};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_true(units_parse_duration(rows[i].text, &ms));
		assert_int_equal(ms, rows[i].ms);
	}
}

static void what_is_no_duration_is_refused(void **state)
{
	static const char *const texts[] = {"",    "5",   "s",      "5 days",
					    "-5s", "5s,", "1h 30m", "99999999999999999d"};
	int64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(units_parse_duration(texts[i], &ms));
	assert_int_equal(ms, 7);
}

static void durations_are_written_short(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(units_format_duration(90000, text, sizeof text), "90s");
	assert_string_equal(units_format_duration(86400000, text, sizeof text), "1d");
	assert_string_equal(units_format_duration(1, text, sizeof text), "1ms");
	assert_string_equal(units_format_duration(0, text, sizeof text), "0ms");
}

static void sizes_are_read(void **state)
{
	int64_t n;

	(void)state;
	assert_true(units_parse_size("4096", &n));
	assert_int_equal(n, 4096);
	assert_true(units_parse_size("64KiB", &n));
	assert_int_equal(n, 65536);
	assert_true(units_parse_size("1GB", &n));
	assert_int_equal(n, 1000000000);
	assert_true(units_parse_size("2m", &n));
	assert_int_equal(n, 2097152);
	assert_false(units_parse_size("2 parsecs", &n));
	assert_false(units_parse_size("", &n));
}

static void times_are_written(void **state)
{
	char text[32];

	(void)state;
	assert_true(time_format_iso(1790000000123, text));
	assert_string_equal(text, "2026-09-21T14:13:20.123Z");
	assert_true(time_format_iso(0, text));
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	assert_true(time_format_iso(-1, text));
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	assert_true(time_format_iso(951782400000, text));
	assert_string_equal(text, "2000-02-29T00:00:00.000Z");
	assert_false(time_format_iso(INT64_MAX, text));
	assert_false(time_format_iso(INT64_MIN, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(durations_are_written_short),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(times_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

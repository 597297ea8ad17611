/* test_log.c - lines in three formats, whatever stands in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "base/mem.h"

/* What the last line was; stderr goes into a file meanwhile. */
static char line[32768];

static int saved = -1;
static FILE *file;

static void begin(const char *format)
{
	setenv("KS_LOG_FORMAT", format, 1);
	unsetenv("KS_LOG");
	log_init();
	fflush(stderr);
	file = tmpfile();
	saved = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
}

static const char *end(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	line[fread(line, 1, sizeof line - 1, file)] = 0;
	fclose(file);
	return line;
}

/* What follows the time, which differs. */
static const char *behind_time(const char *text)
{
	const char *level = strstr(text, "level");
	assert_non_null(level);
	return level;
}

static void write_sample(void)
{
	const struct log_field fields[] = {
		LOG_STRING("client", "10.0.0.7"),
		LOG_SLICE("client_id", SLICE_NULL),
		LOG_STRING("name", "two words"),
		LOG_NUMBER("version", -3),
	};
	log_write_fields(LOG_WARN, "server", fields, 4, "%d \"quoted\"", 7);
}

static void a_line_for_people_has_its_fields_in_brackets(void **state)
{
	(void)state;
	begin("text");
	write_sample();
	assert_string_equal(end(),
			    "warn: 7 \"quoted\" (client=10.0.0.7 name=\"two words\" version=-3)\n");
	begin("text");
	log_info("server", "no fields");
	assert_string_equal(end(), "no fields\n");
}

static void a_line_of_logfmt_has_them_behind_the_message(void **state)
{
	(void)state;
	begin("logfmt");
	write_sample();
	assert_string_equal(behind_time(end()),
			    "level=warn module=server msg=\"7 \\\"quoted\\\"\" client=10.0.0.7 "
			    "name=\"two words\" version=-3\n");
}

static void a_line_of_json_is_an_object(void **state)
{
	(void)state;
	begin("json");
	write_sample();
	assert_string_equal(behind_time(end()),
			    "level\":\"warn\",\"module\":\"server\",\"msg\":\"7 \\\"quoted\\\"\","
			    "\"client\":\"10.0.0.7\",\"name\":\"two words\",\"version\":-3}\n");
}

static void a_time_is_told_to_the_millisecond(void **state)
{
	int fields[7];

	(void)state;
	begin("logfmt");
	log_info("x", "y");
	assert_int_equal(sscanf(end(), "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ level=info", &fields[0],
				&fields[1], &fields[2], &fields[3], &fields[4], &fields[5],
				&fields[6]),
			 7);
}

static void what_a_peer_sent_can_neither_end_a_line_nor_reach_the_terminal(void **state)
{
	static const char hostile[] =
		"a\nb\x1b[2J\x7f\"\\\x80\xc3\xa9\xe2\x82\xac\xed\xa0\x80\xc2\x9b\xff";
	const struct log_field field = LOG_SLICE("id", slice_of(hostile, sizeof hostile - 1));
	const char *safe = "a\\nb\\u001b[2J\\u007f\\\"\\\\\xef\xbf\xbd\xc3\xa9\xe2\x82\xac"
			   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd";
	char expected[256];

	(void)state;
	begin("json");
	log_write_fields(LOG_INFO, "m", &field, 1, "x");
	snprintf(expected, sizeof expected,
		 "level\":\"info\",\"module\":\"m\",\"msg\":\"x\",\"id\":\"%s\"}\n", safe);
	assert_string_equal(behind_time(end()), expected);
	begin("text");
	log_info("m", "bell \a%s\nerror: b", "\x1b[31m");
	assert_string_equal(end(), "bell \\u0007\\u001b[31m\n    error: b\n");
}

static void a_line_has_a_bound_and_stays_whole(void **state)
{
	static char noise[100000];
	struct log_field fields[40];

	(void)state;
	memset(noise, 1, sizeof noise - 1);
	for (size_t i = 0; i < 40; i++)
		fields[i] = (struct log_field)LOG_STRING("field", noise);
	begin("json");
	log_write_fields(LOG_INFO, "m", fields, 40, "%s", noise);
	const char *all = end();
	size_t len = strlen(all);
	assert_true(len <= 16384);
	assert_string_equal(all + len - 9, "\\u0001\"}\n");
	/* Whole fields only. */
	const char *last = NULL;
	for (const char *p = all; (p = strstr(p, "\"field\":\"")); p++)
		last = p;
	assert_non_null(last);
	assert_int_equal(strlen(last), 9 + 256 * 6 + 3);
}

static void lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	begin("text");
	log_debug("m", "no");
	assert_false(log_is_on(LOG_DEBUG));
	log_set_level(LOG_DEBUG);
	log_debug("m", "yes");
	assert_true(log_is_on(LOG_DEBUG));
	log_set_level(LOG_OFF);
	log_error("m", "no");
	log_set_level(LOG_INFO);
	assert_string_equal(end(), "yes\n");
}

static void a_limit_passes_ten_lines_a_second_and_counts_the_others(void **state)
{
	struct log_limit l = {0};
	uint32_t missed = 77;

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_true(log_limit_pass(&l, 5000000000 + i, &missed));
		assert_int_equal(missed, 0);
	}
	for (int i = 0; i < 3; i++)
		assert_false(log_limit_pass(&l, 5999999999, &missed));
	assert_true(log_limit_pass(&l, 6000000000, &missed));
	assert_int_equal(missed, 3);
	assert_true(log_limit_pass(&l, 6000000001, &missed));
	assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_for_people_has_its_fields_in_brackets),
		cmocka_unit_test(a_line_of_logfmt_has_them_behind_the_message),
		cmocka_unit_test(a_line_of_json_is_an_object),
		cmocka_unit_test(a_time_is_told_to_the_millisecond),
		cmocka_unit_test(what_a_peer_sent_can_neither_end_a_line_nor_reach_the_terminal),
		cmocka_unit_test(a_line_has_a_bound_and_stays_whole),
		cmocka_unit_test(lines_below_the_level_are_not_written),
		cmocka_unit_test(a_limit_passes_ten_lines_a_second_and_counts_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_progress.c - the lines that a progress shows, with a clock that is told the time. */
#include "cli/progress.h"
#include "unit.h"

#define SECOND INT64_C(1000000000)

static const char *bar(const struct progress *p, int64_t now_ns, size_t columns, struct buf *out)
{
	buf_clear(out);
	progress_bar(p, now_ns, columns, out);
	return buf_cstr(out);
}

static const char *sentence(const struct progress *p, int64_t now_ns, struct buf *out)
{
	buf_clear(out);
	progress_sentence(p, now_ns, out);
	return buf_cstr(out);
}

static void a_known_total_gives_bar_rate_and_time_left(void **state)
{
	struct progress p = {.label = "consume", .total = 4000000, .done = 1000000};
	struct buf out = {0};

	(void)state;
	assert_string_equal(
		bar(&p, 2 * SECOND, 200, &out),
		"consume [######..................] 25% 1000000 records, 500 k/s, 7 s left");
	assert_string_equal(sentence(&p, 2 * SECOND, &out),
			    "consume: 1000000 records of 4000000 in 2.0 s, 500 k/s, 7 s left");
	buf_fini(&out);
}

static void an_unknown_total_gives_count_and_rate(void **state)
{
	struct progress p = {.label = "produce", .total = -1, .done = 1234};
	struct buf out = {0};

	(void)state;
	assert_string_equal(bar(&p, SECOND, 200, &out), "produce 1234 records, 1.23 k/s");
	assert_string_equal(sentence(&p, SECOND, &out), "produce: 1234 records in 1.0 s, 1.23 k/s");
	buf_fini(&out);
}

static void long_waits_read_as_minutes_and_hours(void **state)
{
	struct progress p = {.label = "x", .total = 1000, .done = 10};
	struct buf out = {0};

	(void)state;
	assert_string_equal(sentence(&p, SECOND, &out),
			    "x: 10 records of 1000 in 1.0 s, 10/s, 1:40 left");
	p.total = 100000;
	assert_string_equal(sentence(&p, SECOND, &out),
			    "x: 10 records of 100000 in 1.0 s, 10/s, 2:46:40 left");
	buf_fini(&out);
}

static void a_full_bar_has_no_time_left(void **state)
{
	struct progress p = {.label = "x", .total = 10, .done = 10};
	struct buf out = {0};

	(void)state;
	assert_string_equal(bar(&p, SECOND, 200, &out),
			    "x [########################] 100% 10 records, 10/s");
	buf_fini(&out);
}

static void nothing_done_at_once_divides_by_nothing(void **state)
{
	struct progress p = {.label = "x", .total = 0};
	struct buf out = {0};

	(void)state;
	assert_string_equal(bar(&p, 0, 200, &out), "x 0 records, 0/s");
	buf_fini(&out);
}

static void a_bar_never_exceeds_the_terminal(void **state)
{
	struct progress p = {.label = "consume", .total = 100, .done = 50};
	struct buf out = {0};

	(void)state;
	assert_string_equal(bar(&p, SECOND, 12, &out), "consume [###");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_known_total_gives_bar_rate_and_time_left),
		cmocka_unit_test(an_unknown_total_gives_count_and_rate),
		cmocka_unit_test(long_waits_read_as_minutes_and_hours),
		cmocka_unit_test(a_full_bar_has_no_time_left),
		cmocka_unit_test(nothing_done_at_once_divides_by_nothing),
		cmocka_unit_test(a_bar_never_exceeds_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

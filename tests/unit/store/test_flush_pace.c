/* How fast a flush may go, at times that the test makes up. */
#include "base/clock.h"
#include "store/flush_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MB  1000000
#define SEC INT64_C(1000000000)

/* A time at which a flush begins, of a log that was as good as idle before. */
static int64_t quiet(void)
{
	return clock_monotonic_ns(&clock_real) + 100 * SEC;
}

/* What f may write at now, of a file that has no end. */
static size_t granted(struct flush_file *f, int64_t now)
{
	size_t sum = 0;

	for (size_t n; sum < 1000 * MB && (n = flush_file_grant(f, 1000 * MB, now)) > 0;)
		sum += n;
	return sum;
}

static void a_flush_may_write_a_little_more_than_is_logged(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();

	flush_file_begin(&f, p, now);
	size_t first = granted(&f, now);
	assert_in_range(first, 1, MB);
	assert_int_equal(flush_file_grant(&f, 1, now), 0);
	flush_pace_logged(p, 10 * MB);
	size_t sum = first + granted(&f, now);
	assert_in_range(sum, 11 * MB, 20 * MB);
	flush_file_end(&f);
	flush_pace_free(p);
}

static void a_flush_goes_on_when_nothing_is_logged(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();

	flush_file_begin(&f, p, now);
	size_t sum = granted(&f, now);
	for (int ms = 1; ms <= 1000; ms++)
		sum += granted(&f, now + ms * SEC / 1000);
	assert_in_range(sum, 32 * MB, 100 * MB);
	flush_file_end(&f);
	flush_pace_free(p);
}

static void a_grant_is_never_more_than_was_asked_for(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();

	flush_file_begin(&f, p, now);
	assert_int_equal(flush_file_grant(&f, 7, now), 7);
	flush_pace_logged(p, MB);
	assert_int_equal(flush_file_grant(&f, 7, now), 7);
	flush_file_end(&f);
	flush_pace_free(p);
}

static void two_flushes_are_not_held_back(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file a, b;
	int64_t now = quiet();

	flush_file_begin(&a, p, now);
	flush_file_begin(&b, p, now);
	assert_int_equal(flush_file_grant(&a, 100 * MB, now), 100 * MB);
	assert_int_equal(flush_file_grant(&b, 100 * MB, now), 100 * MB);
	flush_file_end(&b);
	assert_int_equal(flush_file_grant(&a, 1, now), 0);
	flush_file_end(&a);
	flush_pace_free(p);
}

static void a_flush_that_is_waited_for_is_not_held_back(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();
	bool is_paced = true;

	flush_file_begin(&f, p, now);
	flush_pace_hurry_begin(p);
	flush_pace_hurry_begin(p);
	flush_pace_hurry_end(p);
	assert_int_equal(flush_file_wait(&f, 100 * MB, &is_paced), 100 * MB);
	assert_false(is_paced);
	flush_pace_hurry_end(p);
	assert_int_equal(flush_file_grant(&f, 1, now), 0);
	flush_file_end(&f);
	flush_pace_free(p);
}

static void a_log_that_goes_fast_has_flushes_that_go_as_fast_as_they_can(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();

	flush_file_begin(&f, p, now);
	flush_file_end(&f);
	flush_pace_logged(p, 16 * MB); /* in 20 ms */
	flush_file_begin(&f, p, now + SEC / 50);
	assert_int_equal(flush_file_grant(&f, 100 * MB, now + SEC / 50), 100 * MB);
	flush_file_end(&f);
	flush_pace_logged(p, 16 * MB); /* in 160 ms */
	flush_file_begin(&f, p, now + SEC / 50 + SEC * 16 / 100);
	assert_in_range(flush_file_grant(&f, 100 * MB, now + SEC / 50 + SEC * 16 / 100), 1, MB);
	flush_file_end(&f);
	flush_pace_free(p);
}

static void what_nobody_reads_goes_past_the_cache(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	int64_t now = quiet();

	assert_true(flush_pace_is_past_cache(p, now));
	flush_pace_read(p, now);
	assert_false(flush_pace_is_past_cache(p, now));
	assert_false(flush_pace_is_past_cache(p, now + 9 * SEC));
	flush_pace_read(p, now + 9 * SEC);
	assert_false(flush_pace_is_past_cache(p, now + 18 * SEC));
	assert_true(flush_pace_is_past_cache(p, now + 19 * SEC));
	flush_pace_free(p);
}

static void a_log_that_goes_fast_goes_past_the_cache_though_it_is_read(void **state)
{
	(void)state;
	struct flush_pace *p = flush_pace_new();
	struct flush_file f;
	int64_t now = quiet();

	flush_pace_read(p, now);
	flush_file_begin(&f, p, now);
	flush_pace_logged(p, 16 * MB);
	assert_true(flush_pace_is_past_cache(p, now + SEC / 50));
	assert_false(flush_pace_is_past_cache(p, now + SEC / 5));
	flush_file_end(&f);
	flush_pace_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_may_write_a_little_more_than_is_logged),
		cmocka_unit_test(a_flush_goes_on_when_nothing_is_logged),
		cmocka_unit_test(a_grant_is_never_more_than_was_asked_for),
		cmocka_unit_test(two_flushes_are_not_held_back),
		cmocka_unit_test(a_flush_that_is_waited_for_is_not_held_back),
		cmocka_unit_test(a_log_that_goes_fast_has_flushes_that_go_as_fast_as_they_can),
		cmocka_unit_test(what_nobody_reads_goes_past_the_cache),
		cmocka_unit_test(a_log_that_goes_fast_goes_past_the_cache_though_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The moment until which a thread waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void a_deadline_is_so_far_from_now_in_seconds_and_what_is_left_of_one(void **state)
{
	static const int64_t waits_ms[] = {0, 1, 999, 1000, 1999, 3600001};

	(void)state;
	for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
		int64_t wait_ns = waits_ms[i] * 1000000, before = clock_monotonic_ns(&clock_real);
		struct timespec t = clock_deadline(waits_ms[i]);
		int64_t after = clock_monotonic_ns(&clock_real);
		assert_in_range(t.tv_nsec, 0, 999999999);
		int64_t at = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
		assert_true(at >= before + wait_ns && at <= after + wait_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_is_so_far_from_now_in_seconds_and_what_is_left_of_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

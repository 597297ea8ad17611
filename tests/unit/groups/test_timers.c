/* Deadlines: the earliest first, moved ones when they are really due. */
#include "check.h"

#include "groups/timers.h"

static void timers_are_due_in_the_order_of_their_deadlines(void **state)
{
	struct timers ts = {0};
	struct timer t[5] = {{0}};
	static const int64_t deadlines[] = {30, 10, 50, 20, 40};

	(void)state;
	for (int i = 0; i < 5; i++)
		timer_set(&ts, &t[i], deadlines[i]);
	assert_int_equal(timers_next(&ts), 10);
	assert_null(timers_due(&ts, 9));
	assert_ptr_equal(timers_due(&ts, 45), &t[1]);
	assert_ptr_equal(timers_due(&ts, 45), &t[3]);
	assert_ptr_equal(timers_due(&ts, 45), &t[0]);
	assert_ptr_equal(timers_due(&ts, 45), &t[4]);
	assert_null(timers_due(&ts, 45));
	assert_int_equal(timers_next(&ts), 50);
	timer_clear(&ts, &t[2]);
	assert_int_equal(timers_next(&ts), INT64_MAX);
	timers_fini(&ts);
}

static void a_timer_that_is_moved_back_is_due_at_its_new_time(void **state)
{
	struct timers ts = {0};
	struct timer a = {0}, b = {0};

	(void)state;
	timer_set(&ts, &a, 10);
	timer_set(&ts, &b, 15);
	timer_set(&ts, &a, 20);
	timer_set(&ts, &a, 40);
	assert_ptr_equal(timers_due(&ts, 30), &b);
	assert_null(timers_due(&ts, 39));
	assert_int_equal(timers_next(&ts), 40);
	assert_ptr_equal(timers_due(&ts, 40), &a);
	assert_false(timer_is_set(&a));
	timers_fini(&ts);
}

static void a_timer_that_is_moved_forward_is_due_earlier(void **state)
{
	struct timers ts = {0};
	struct timer a = {0}, b = {0};

	(void)state;
	timer_set(&ts, &a, 100);
	timer_set(&ts, &b, 50);
	timer_set(&ts, &a, 200);
	timer_set(&ts, &a, 20);
	assert_int_equal(timers_next(&ts), 20);
	assert_ptr_equal(timers_due(&ts, 60), &a);
	assert_ptr_equal(timers_due(&ts, 60), &b);
	timers_fini(&ts);
}

static void any_timer_can_be_cleared_at_any_time(void **state)
{
	struct timers ts = {0};
	struct timer t[200];
	uint32_t random = 1;
	int64_t last = 0;
	int due = 0;

	(void)state;
	memset(t, 0, sizeof t);
	for (int i = 0; i < 200; i++) {
		random = random * 1664525 + 1013904223;
		timer_set(&ts, &t[i], random >> 16);
	}
	for (int i = 0; i < 200; i += 3) {
		timer_clear(&ts, &t[i]);
		timer_clear(&ts, &t[i]);
	}
	for (struct timer *x; (x = timers_due(&ts, INT64_MAX)); due++) {
		assert_true(x->deadline >= last);
		assert_int_not_equal((x - t) % 3, 0);
		last = x->deadline;
	}
	assert_int_equal(due, 133);
	timers_fini(&ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_are_due_in_the_order_of_their_deadlines),
		cmocka_unit_test(a_timer_that_is_moved_back_is_due_at_its_new_time),
		cmocka_unit_test(a_timer_that_is_moved_forward_is_due_earlier),
		cmocka_unit_test(any_timer_can_be_cleared_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Deadlines: the earliest first, moved ones when they are really due. */
#include "tests/check.h"

#include "groups/deadlines.h"

static void deadlines_come_in_their_order(void **state)
{
	struct deadlines ts = {0};
	struct deadline t[5] = {{0}};
	static const int64_t deadlines[] = {30, 10, 50, 20, 40};

	(void)state;
	for (int i = 0; i < 5; i++)
		deadline_set(&ts, &t[i], deadlines[i]);
	assert_int_equal(deadlines_next(&ts), 10);
	assert_null(deadlines_due(&ts, 9));
	assert_ptr_equal(deadlines_due(&ts, 45), &t[1]);
	assert_ptr_equal(deadlines_due(&ts, 45), &t[3]);
	assert_ptr_equal(deadlines_due(&ts, 45), &t[0]);
	assert_ptr_equal(deadlines_due(&ts, 45), &t[4]);
	assert_null(deadlines_due(&ts, 45));
	assert_int_equal(deadlines_next(&ts), 50);
	deadline_clear(&ts, &t[2]);
	assert_int_equal(deadlines_next(&ts), INT64_MAX);
	deadlines_fini(&ts);
}

static void one_that_is_moved_back_is_due_at_its_new_time(void **state)
{
	struct deadlines ts = {0};
	struct deadline a = {0}, b = {0};

	(void)state;
	deadline_set(&ts, &a, 10);
	deadline_set(&ts, &b, 15);
	deadline_set(&ts, &a, 20);
	deadline_set(&ts, &a, 40);
	assert_ptr_equal(deadlines_due(&ts, 30), &b);
	assert_null(deadlines_due(&ts, 39));
	assert_int_equal(deadlines_next(&ts), 40);
	assert_ptr_equal(deadlines_due(&ts, 40), &a);
	assert_false(deadline_is_set(&a));
	deadlines_fini(&ts);
}

static void one_that_is_moved_forward_is_due_earlier(void **state)
{
	struct deadlines ts = {0};
	struct deadline a = {0}, b = {0};

	(void)state;
	deadline_set(&ts, &a, 100);
	deadline_set(&ts, &b, 50);
	deadline_set(&ts, &a, 200);
	deadline_set(&ts, &a, 20);
	assert_int_equal(deadlines_next(&ts), 20);
	assert_ptr_equal(deadlines_due(&ts, 60), &a);
	assert_ptr_equal(deadlines_due(&ts, 60), &b);
	deadlines_fini(&ts);
}

static void any_can_be_cleared_at_any_time(void **state)
{
	struct deadlines ts = {0};
	struct deadline t[200];
	uint32_t random = 1;
	int64_t last = 0;
	int due = 0;

	(void)state;
	memset(t, 0, sizeof t);
	for (int i = 0; i < 200; i++) {
		random = random * 1664525 + 1013904223;
		deadline_set(&ts, &t[i], random >> 16);
	}
	for (int i = 0; i < 200; i += 3) {
		deadline_clear(&ts, &t[i]);
		deadline_clear(&ts, &t[i]);
	}
	for (struct deadline *x; (x = deadlines_due(&ts, INT64_MAX)); due++) {
		assert_true(x->when >= last);
		assert_int_not_equal((x - t) % 3, 0);
		last = x->when;
	}
	assert_int_equal(due, 133);
	deadlines_fini(&ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines_come_in_their_order),
		cmocka_unit_test(one_that_is_moved_back_is_due_at_its_new_time),
		cmocka_unit_test(one_that_is_moved_forward_is_due_earlier),
		cmocka_unit_test(any_can_be_cleared_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

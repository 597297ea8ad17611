/* test_tally.c - buckets and their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/tally.h"

static int bucket_after(struct tally *t, uint64_t value)
{
	uint64_t before[TALLY_BUCKETS + 1];
	int found = -1;

	for (int i = 0; i <= TALLY_BUCKETS; i++)
		before[i] = counter_get(&t->counts[i]);
	tally_add(t, value);
	for (int i = 0; i <= TALLY_BUCKETS; i++)
		if (counter_get(&t->counts[i]) != before[i]) {
			assert_int_equal(found, -1);
			found = i;
		}
	return found;
}

static void bounds_are_powers_of_two_and_the_middles_between_them(void **state)
{
	struct tally t = {.first_bits = 13};

	(void)state;
	assert_int_equal(tally_bound(&t, 0), 8192);
	assert_int_equal(tally_bound(&t, 1), 12288);
	assert_int_equal(tally_bound(&t, 2), 16384);
	assert_int_equal(tally_bound(&t, 3), 24576);
	assert_true(tally_bound(&t, TALLY_BUCKETS - 1) > UINT64_C(50000000000));
}

static void a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed(void **state)
{
	(void)state;
	for (unsigned bits = 1; bits <= 13; bits += 4) {
		struct tally t = {.first_bits = bits};
		for (int i = 0; i < TALLY_BUCKETS; i++) {
			assert_int_equal(bucket_after(&t, tally_bound(&t, i)), i);
			assert_int_equal(bucket_after(&t, tally_bound(&t, i) + 1), i + 1);
		}
		assert_int_equal(bucket_after(&t, 0), 0);
		assert_int_equal(bucket_after(&t, UINT64_MAX), TALLY_BUCKETS);
	}
}

static void the_sum_is_that_of_all_values(void **state)
{
	struct tally t = {.first_bits = 13};

	(void)state;
	tally_add(&t, 5);
	tally_add(&t, 1000000);
	tally_add(&t, UINT64_C(1) << 60);
	assert_int_equal(counter_get(&t.sum), (UINT64_C(1) << 60) + 1000005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_powers_of_two_and_the_middles_between_them),
		cmocka_unit_test(a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed),
		cmocka_unit_test(the_sum_is_that_of_all_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

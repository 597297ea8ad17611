/* test_histogram.c - quantiles of known values, and how far they may be off. */
#include "unit.h"

#include "cli/histogram.h"

static void without_values_everything_is_zero(void **state)
{
	struct histogram *h = xcalloc(1, sizeof *h);

	(void)state;
	assert_int_equal(histogram_quantile(h, 0.5), 0);
	assert_int_equal(histogram_quantile(h, 1), 0);
	assert_true(histogram_mean(h) == 0);
	free(h);
}

static void small_values_are_exact(void **state)
{
	struct histogram *h = xcalloc(1, sizeof *h);

	(void)state;
	for (int64_t v = 1; v <= 50; v++)
		histogram_record(h, v);
	assert_int_equal(histogram_quantile(h, 0), 1);
	assert_int_equal(histogram_quantile(h, 0.02), 1);
	assert_int_equal(histogram_quantile(h, 0.5), 25);
	assert_int_equal(histogram_quantile(h, 0.99), 50);
	assert_int_equal(histogram_quantile(h, 1), 50);
	assert_true(histogram_mean(h) == 25.5);
	free(h);
}

static void a_negative_value_counts_as_zero(void **state)
{
	struct histogram *h = xcalloc(1, sizeof *h);

	(void)state;
	histogram_record(h, -7);
	assert_int_equal(h->count, 1);
	assert_int_equal(h->min, 0);
	assert_int_equal(histogram_quantile(h, 1), 0);
	free(h);
}

/* A quantile is never below the value it stands for and never more than 1/32 above it. */
static void large_values_are_off_by_three_per_cent_at_most(void **state)
{
	(void)state;
	for (int64_t v = 1; v > 0 && v < INT64_MAX / 3; v = v * 3 / 2 + 1) {
		struct histogram *h = xcalloc(1, sizeof *h);
		histogram_record(h, v);
		histogram_record(h, INT64_MAX);
		int64_t q = histogram_quantile(h, 0.5);
		assert_true(q >= v);
		assert_true(q - v <= v / 32);
		assert_int_equal(histogram_quantile(h, 1), INT64_MAX);
		free(h);
	}
}

static void the_largest_value_is_never_exceeded(void **state)
{
	struct histogram *h = xcalloc(1, sizeof *h);

	(void)state;
	histogram_record(h, 1000001);
	assert_int_equal(histogram_quantile(h, 0.5), 1000001);
	assert_int_equal(histogram_quantile(h, 0.99), 1000001);
	free(h);
}

static void merging_adds_counts_and_keeps_the_ends(void **state)
{
	struct histogram *a = xcalloc(1, sizeof *a), *b = xcalloc(1, sizeof *b);

	(void)state;
	histogram_record(a, 10);
	histogram_record(a, 20);
	histogram_merge(a, b); /* nothing in it */
	assert_int_equal(a->min, 10);
	histogram_record(b, 5);
	histogram_record(b, 40);
	histogram_merge(a, b);
	assert_int_equal(a->count, 4);
	assert_int_equal(a->min, 5);
	assert_int_equal(a->max, 40);
	assert_int_equal(histogram_quantile(a, 0.5), 10);
	assert_int_equal(histogram_quantile(a, 0.75), 20);
	free(b);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_values_everything_is_zero),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(a_negative_value_counts_as_zero),
		cmocka_unit_test(large_values_are_off_by_three_per_cent_at_most),
		cmocka_unit_test(the_largest_value_is_never_exceeded),
		cmocka_unit_test(merging_adds_counts_and_keeps_the_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_perf_input.c - the records of the measurements: the same ones on every machine and every day,
 * or figures cannot be compared. */
#include "unit.h"

#include <stdio.h>

#include "cli/perf_input.h"

static const struct input_spec standard = {1, 10000, 256, 0, false};

static void record_zero_is_this_text(void **state)
{
	struct input_maker m;
	struct input_record r;

	(void)state;
	input_maker_init(&m, &standard);
	input_make(&m, 0, &r);
	assert_bytes(r.key, "u09005");
	assert_bytes(
		r.value,
		"{\"id\":0,\"type\":\"click\",\"user\":\"u09005\",\"country\":\"se\",\"amount\":"
		"282.86,"
		"\"ts\":1700000000000,\"items\":[{\"sku\":\"A-281\",\"qty\":9},{\"sku\":\"B-32\","
		"\"qty\":1}],\"note\":"
		"\"mekmbjnieoeeeaadilmahpgpobdgpjjfnbcjepknpkelbagolfbijhpoamanekab"
		"injdjdljdjelmlghbigckoffajckdhjbdmdf\"}");
	assert_int_equal(r.timestamp, INT64_C(1700000000000));
	assert_int_equal(r.type, INPUT_CLICK);
	assert_int_equal(r.user, 9005);
	assert_int_equal(r.first_sku, 281);
	assert_memory_equal(r.value.data + r.country_at, "se", 2);
	input_maker_fini(&m);
}

static void a_record_does_not_depend_on_those_before(void **state)
{
	struct input_maker a, b;
	struct input_record r, s;

	(void)state;
	input_maker_init(&a, &standard);
	input_maker_init(&b, &standard);
	for (int64_t i = 0; i < 1000; i++)
		input_make(&a, i, &r);
	input_make(&b, 999, &s);
	assert_true(slice_equal(r.key, s.key));
	assert_true(slice_equal(r.value, s.value));
	input_maker_fini(&b);
	input_maker_fini(&a);
}

static void another_seed_gives_other_records(void **state)
{
	struct input_spec other = standard;
	struct input_maker a, b;
	struct input_record r, s;

	(void)state;
	other.seed = 2;
	input_maker_init(&a, &standard);
	input_maker_init(&b, &other);
	input_make(&a, 5, &r);
	input_make(&b, 5, &s);
	assert_false(slice_equal(r.value, s.value));
	input_maker_fini(&b);
	input_maker_fini(&a);
}

static void types_come_in_their_shares(void **state)
{
	int64_t counts[INPUT_TYPES] = {0};
	struct input_maker m;
	struct input_record r;

	(void)state;
	input_maker_init(&m, &standard);
	for (int64_t i = 0; i < 100000; i++) {
		input_make(&m, i, &r);
		counts[r.type]++;
	}
	assert_in_range(counts[INPUT_ORDER], 59500, 60500);
	assert_in_range(counts[INPUT_REFUND], 4800, 5200);
	assert_in_range(counts[INPUT_CLICK], 24500, 25500);
	assert_in_range(counts[INPUT_VIEW], 9700, 10300);
	input_maker_fini(&m);
}

static void every_size_is_met_exactly(void **state)
{
	static const int32_t sizes[] = {100, 127, 128, 199, 200, 256, 1024, 65537};

	(void)state;
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		struct input_spec spec = standard;
		struct input_maker m;
		struct input_record r;
		spec.record_bytes = sizes[k];
		spec.users = 10000000;
		input_maker_init(&m, &spec);
		input_make(&m, INT64_C(999999999),
			   &r); /* the longest id that fits into 100 bytes */
		assert_int_equal(r.value.len, sizes[k]);
		assert_memory_equal(r.value.data, "{\"id\":999999999,", 16);
		assert_memory_equal(r.value.data + sizes[k] - 2, "\"}", 2);
		input_maker_fini(&m);
	}
}

static void distinct_keys_come_in_turn(void **state)
{
	struct input_spec spec = {1, 1000000, 256, 0, true};
	struct input_maker m;
	struct input_record r;

	(void)state;
	input_maker_init(&m, &spec);
	input_make(&m, 0, &r);
	assert_bytes(r.key, "u0000000");
	input_make(&m, 999999, &r);
	assert_bytes(r.key, "u0999999");
	input_make(&m, 1000000, &r);
	assert_bytes(r.key, "u0000000");
	input_maker_fini(&m);
}

static void a_repeat_is_an_earlier_record_at_a_later_time(void **state)
{
	struct input_spec spec = standard;
	struct input_maker m, n;
	struct input_record r, s;
	int64_t repeats = 0;

	(void)state;
	spec.repeat_percent = 10;
	input_maker_init(&m, &spec);
	input_maker_init(&n, &spec);
	for (int64_t i = 0; i < 20000; i++) {
		input_make(&m, i, &r);
		assert_int_equal(r.timestamp, INPUT_TIME_BASE + i);
		assert_int_equal(r.id, input_original(&spec, i));
		assert_true(r.id <= i);
		if (r.id == i)
			continue;
		repeats++;
		assert_int_equal(input_original(&spec, r.id), r.id);
		input_make(&n, r.id, &s);
		assert_true(slice_equal(r.key, s.key));
		assert_true(slice_equal(r.value, s.value));
	}
	assert_in_range(repeats, 1800, 2200);
	input_maker_fini(&n);
	input_maker_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_zero_is_this_text),
		cmocka_unit_test(a_record_does_not_depend_on_those_before),
		cmocka_unit_test(another_seed_gives_other_records),
		cmocka_unit_test(types_come_in_their_shares),
		cmocka_unit_test(every_size_is_met_exactly),
		cmocka_unit_test(distinct_keys_come_in_turn),
		cmocka_unit_test(a_repeat_is_an_earlier_record_at_a_later_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sets of partitions and their owners. */
#include "tests/check.h"

#include "groups/parts.h"

static void fill(struct parts *p, const int *v, size_t count)
{
	parts_clear(p);
	for (size_t i = 0; i < count; i++)
		parts_append(p, part_of(7, v[i]));
	parts_settle(p);
}

static void a_set_holds_each_partition_once_and_in_order(void **state)
{
	struct parts p = {0};

	(void)state;
	parts_append(&p, part_of(2, 0));
	parts_append(&p, part_of(1, 5));
	parts_append(&p, part_of(1, 4));
	parts_append(&p, part_of(2, 0));
	parts_settle(&p);
	assert_int_equal(p.count, 3);
	assert_int_equal(part_topic(p.v[0]), 1);
	assert_int_equal(part_index(p.v[0]), 4);
	assert_true(parts_have(&p, part_of(2, 0)));
	assert_false(parts_have(&p, part_of(2, 1)));
	parts_fini(&p);
}

static void sets_are_met_and_subtracted(void **state)
{
	struct parts a = {0}, b = {0}, out = {0};

	(void)state;
	fill(&a, (int[]){1, 2, 3, 5, 8}, 5);
	fill(&b, (int[]){0, 2, 5, 9}, 4);
	parts_common(&out, &a, &b);
	assert_int_equal(out.count, 2);
	assert_int_equal(part_index(out.v[0]), 2);
	assert_int_equal(part_index(out.v[1]), 5);
	parts_without(&out, &a, &b);
	assert_int_equal(out.count, 3);
	assert_int_equal(part_index(out.v[0]), 1);
	assert_int_equal(part_index(out.v[1]), 3);
	assert_int_equal(part_index(out.v[2]), 8);
	parts_add_all(&out, &b);
	assert_int_equal(out.count, 7);
	parts_clear(&b);
	parts_without(&out, &a, &b);
	assert_true(parts_equal(&out, &a));
	parts_common(&out, &a, &b);
	assert_int_equal(out.count, 0);
	parts_fini(&a);
	parts_fini(&b);
	parts_fini(&out);
}

static void owners_are_found_after_any_others_were_dropped(void **state)
{
	struct owners o = {0};
	int who[1000];

	(void)state;
	assert_null(owners_get(&o, part_of(1, 1)));
	for (int i = 0; i < 1000; i++)
		owners_set(&o, part_of((uint32_t)i % 7, i), &who[i]);
	for (int i = 0; i < 1000; i += 3)
		owners_drop(&o, part_of((uint32_t)i % 7, i), &who[i]);
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(owners_get(&o, part_of((uint32_t)i % 7, i)),
				 i % 3 ? &who[i] : NULL);
	for (int i = 0; i < 1000; i++)
		if (i % 3)
			owners_drop(&o, part_of((uint32_t)i % 7, i), &who[i]);
	assert_int_equal(o.count, 0);
	owners_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_holds_each_partition_once_and_in_order),
		cmocka_unit_test(sets_are_met_and_subtracted),
		cmocka_unit_test(owners_are_found_after_any_others_were_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Keys go where other clients put them: the partitions are those that librdkafka chose for the same keys, of 7. */
#include "cli/partitioner.h"
#include "unit.h"

static const struct {
	const char *key;
	int32_t murmur2, crc32, fnv1a;
} known[] = {
	{"a", 5, 4, 6},        {"hello", 4, 2, 2},         {"key-3", 4, 5, 5},
	{"\xc3\xa4", 3, 1, 5}, {"1234567890abc", 3, 3, 5},
};

static enum partitioner named(const char *name)
{
	enum partitioner p;

	if (!partitioner_from_name(name, &p))
		fail_msg("there is no partitioner \"%s\"", name);
	return p;
}

static int32_t choose(const char *name, struct slice key)
{
	return partitioner_choose(named(name), key, 7);
}

static void keys_go_where_librdkafka_puts_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct slice key = slice_str(known[i].key);
		assert_int_equal(choose("murmur2_random", key), known[i].murmur2);
		assert_int_equal(choose("murmur2", key), known[i].murmur2);
		assert_int_equal(choose("consistent_random", key), known[i].crc32);
		assert_int_equal(choose("consistent", key), known[i].crc32);
		assert_int_equal(choose("fnv1a_random", key), known[i].fnv1a);
		assert_int_equal(choose("fnv1a", key), known[i].fnv1a);
	}
}

static void an_empty_key_is_a_key_but_for_consistent_random(void **state)
{
	struct slice empty = slice_str("");

	(void)state;
	assert_int_equal(choose("murmur2_random", empty), 2);
	assert_int_equal(choose("murmur2", empty), 2);
	assert_int_equal(choose("consistent", empty), 0);
	assert_int_equal(choose("consistent_random", empty), -1);
	assert_int_equal(choose("fnv1a_random", empty), 2);
	assert_int_equal(choose("fnv1a", empty), 2);
}

static void without_a_key_the_random_ones_leave_it_open(void **state)
{
	(void)state;
	assert_int_equal(choose("murmur2_random", SLICE_NULL), -1);
	assert_int_equal(choose("consistent_random", SLICE_NULL), -1);
	assert_int_equal(choose("fnv1a_random", SLICE_NULL), -1);
	assert_int_equal(choose("murmur2", SLICE_NULL), 2);
	assert_int_equal(choose("consistent", SLICE_NULL), 0);
	assert_int_equal(choose("fnv1a", SLICE_NULL), 2);
}

static void random_looks_at_no_key(void **state)
{
	enum partitioner p;

	(void)state;
	assert_int_equal(choose("random", slice_str("a")), -1);
	assert_false(partitioner_from_name("murmur3", &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_go_where_librdkafka_puts_them),
		cmocka_unit_test(an_empty_key_is_a_key_but_for_consistent_random),
		cmocka_unit_test(without_a_key_the_random_ones_leave_it_open),
		cmocka_unit_test(random_looks_at_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

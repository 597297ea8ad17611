/* The table of producers: maps, age, what is read from the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "txn/producer_table.h"

static struct producer_state state_at(int64_t ms)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	producer_add(&s, &(struct producer_claim){.epoch = 0}, 7, ms);
	return s;
}

static struct producer *learn(struct producer_table *t, struct producer_map *m, int64_t id,
			      int64_t ms)
{
	struct producer_state s = state_at(ms);
	struct producer *p = producer_new(t, m, id);

	producer_set(t, p, &s);
	return p;
}

#define IDS 3000

static void ids_come_and_go_and_each_is_found(void **state)
{
	struct producer_table *t = producer_table_new(1000000);
	struct producer *have[IDS] = {NULL};
	struct producer_map m;
	unsigned seed = 1;
	size_t count = 0;

	(void)state;
	producer_map_init(&m, 1);
	for (int round = 0; round < 60000; round++) {
		int i = rand_r(&seed) % IDS;
		int64_t id = (int64_t)i * 1000;
		assert_ptr_equal(producer_find(t, &m, id), have[i]);
		if (have[i]) {
			producer_drop(t, have[i]);
			have[i] = NULL;
			count--;
		} else {
			have[i] = learn(t, &m, id, round);
			count++;
		}
		assert_int_equal(m.count, count);
	}
	for (int i = 0; i < IDS; i++) {
		assert_ptr_equal(producer_find(t, &m, (int64_t)i * 1000), have[i]);
		if (have[i])
			producer_drop(t, have[i]);
	}
	assert_int_equal(m.count, 0);
	assert_null(m.slots);
	producer_table_free(t);
	producer_map_fini(&m);
}

static void the_oldest_is_whoever_appended_longest_ago(void **state)
{
	struct producer_table *t = producer_table_new(3);
	struct producer_map m, n;

	(void)state;
	producer_map_init(&m, 1);
	producer_map_init(&n, 2);
	assert_null(producer_oldest(t));
	struct producer *a = learn(t, &m, 5, 1), *b = learn(t, &n, 5, 2), *c = learn(t, &m, 6, 3);
	assert_true(producer_table_is_full(t));
	assert_ptr_equal(producer_oldest(t), a);
	struct producer_state s = state_at(4);
	producer_set(t, a, &s);
	assert_ptr_equal(producer_oldest(t), b);
	b->pending = 1; /* it is about to append */
	assert_ptr_equal(producer_oldest(t), c);
	b->pending = 0;
	producer_drop(t, b);
	assert_false(producer_table_is_full(t));
	assert_ptr_equal(producer_oldest(t), c);
	producer_map_drop(t, &m);
	assert_null(producer_oldest(t));
	assert_null(producer_find(t, &m, 5));
	producer_table_free(t);
	producer_map_fini(&m);
	producer_map_fini(&n);
}

static void set_open(struct producer_table *t, struct producer *p, int64_t offset)
{
	struct producer_state s = p->state;

	s.txn_first_offset = offset;
	producer_set(t, p, &s);
}

static void count(void *arg, const struct producer *p)
{
	(void)p;
	++*(int *)arg;
}

static void
test_b3_who_has_a_transaction_open_does_not_expire_and_is_found_in_its_order(void **state)
{
	struct producer_table *t = producer_table_new(3);
	struct producer_map m;
	int open = 0;

	(void)state;
	producer_map_init(&m, 1);
	struct producer *a = learn(t, &m, 5, 1), *b = learn(t, &m, 6, 2), *c = learn(t, &m, 7, 3);
	assert_null(producer_map_first_open(&m));
	assert_false(producer_table_each_open(t, count, &open));
	set_open(t, a, 100);
	assert_ptr_equal(producer_oldest(t), b);
	set_open(t, c, 90);
	set_open(t, b, 95);
	assert_null(producer_oldest(t));
	assert_true(producer_table_is_crowded(t));
	assert_ptr_equal(producer_map_first_open(&m), c);
	assert_true(producer_table_each_open(t, count, &open));
	assert_int_equal(open, 3);
	set_open(t, c, 120); /* ended, and another one begun */
	assert_ptr_equal(producer_map_first_open(&m), b);
	producer_drop(t, b);
	assert_ptr_equal(producer_map_first_open(&m), a);
	set_open(t, a, -1);
	assert_ptr_equal(producer_oldest(t), a);
	assert_ptr_equal(producer_map_first_open(&m), c);
	assert_false(producer_table_is_crowded(t));
	producer_map_drop(t, &m);
	assert_null(producer_map_first_open(&m));
	open = 0;
	assert_false(producer_table_each_open(t, count, &open));
	producer_table_free(t);
	producer_map_fini(&m);
}

static void only_what_is_durable_is_listed_by_id(void **state)
{
	struct producer_table *t = producer_table_new(10);
	struct producer_map m;
	size_t count;

	(void)state;
	producer_map_init(&m, 1);
	learn(t, &m, 30, 1);
	learn(t, &m, 10, 2);
	producer_new(t, &m, 20);
	struct producer_copy *all = producer_map_list(t, &m, &count);
	assert_int_equal(count, 2);
	assert_int_equal(all[0].id, 10);
	assert_int_equal(all[1].id, 30);
	assert_int_equal(all[1].state.last_ms, 1);
	free(all);
	producer_table_free(t);
	producer_map_fini(&m);
}

/* --- loading --- */

static void put(struct store_write *w, uint32_t partition_id, int64_t id, int64_t ms)
{
	struct key_producer key = key_producer(partition_id, id);
	struct producer_state s = state_at(ms);
	uint8_t value[VALUE_PRODUCER_BYTES_MAX];

	store_put(w, CF_TXN, slice_of(key.bytes, sizeof key.bytes),
		  slice_of(value, value_producer(&s, value)));
}

static struct producer_map *find_map(void *arg, uint32_t partition_id)
{
	struct producer_map *maps = arg;

	return partition_id < 2 ? &maps[partition_id] : NULL;
}

static void all_of_the_store_are_loaded_oldest_first(void **state)
{
	struct producer_table *t = producer_table_new(10);
	struct store *s = store_open_memory();
	struct store_write *w = store_write_new(s);
	struct producer_map maps[2];
	static const int64_t order[] = {12, 11, 10};

	(void)state;
	producer_map_init(&maps[0], 0);
	producer_map_init(&maps[1], 1);
	put(w, 0, 10, 3000);
	put(w, 1, 11, 2000);
	put(w, 1, 12, 1000);
	put(w, 2, 13, 1); /* a partition that is gone */
	store_put(w, CF_TXN, slice_str("another kind of key"), slice_str("x"));
	assert_int_equal(store_commit(s, w, false, NULL), 0);
	assert_int_equal(producer_table_load(t, s, find_map, maps, NULL), 0);
	assert_int_equal(maps[0].count, 1);
	assert_int_equal(maps[1].count, 2);
	for (int i = 0; i < 3; i++) {
		struct producer *p = producer_oldest(t);
		assert_int_equal(p->id, order[i]);
		producer_drop(t, p);
	}
	assert_null(producer_oldest(t));
	store_write_free(w);
	store_close(s);
	producer_table_free(t);
	producer_map_fini(&maps[0]);
	producer_map_fini(&maps[1]);
}

static void a_malformed_record_is_not_passed_over(void **state)
{
	struct producer_table *t = producer_table_new(10);
	struct store *s = store_open_memory();
	struct store_write *w = store_write_new(s);
	struct key_producer key = key_producer(1, 5);
	struct producer_map maps[2];
	struct ks_why why = {""};

	(void)state;
	producer_map_init(&maps[0], 0);
	producer_map_init(&maps[1], 1);
	store_put(w, CF_TXN, slice_of(key.bytes, sizeof key.bytes), slice_str("nonsense"));
	assert_int_equal(store_commit(s, w, false, NULL), 0);
	assert_int_equal(producer_table_load(t, s, find_map, maps, &why), ERR_CORRUPTION);
	assert_string_equal(why.text,
			    "the record of a producer of partition number 1 is malformed");
	store_write_free(w);
	store_close(s);
	producer_table_free(t);
	producer_map_fini(&maps[0]);
	producer_map_fini(&maps[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_come_and_go_and_each_is_found),
		cmocka_unit_test(the_oldest_is_whoever_appended_longest_ago),
		cmocka_unit_test(
			test_b3_who_has_a_transaction_open_does_not_expire_and_is_found_in_its_order),
		cmocka_unit_test(only_what_is_durable_is_listed_by_id),
		cmocka_unit_test(all_of_the_store_are_loaded_oldest_first),
		cmocka_unit_test(a_malformed_record_is_not_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

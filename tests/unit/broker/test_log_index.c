/* Looking into the index, and the map of keys: against plain searches. */
#include "rig.h"

#include "broker/log_index.h"
#include "broker/offset_map.h"

#define ENTRIES 300

static struct index_entry entries[ENTRIES];

/* Entries whose times stand still, jump and begin before 1970. */
static void fill_index(struct rig *r, struct partition *p, unsigned seed)
{
	struct store_write *w = store_write_new(broker_store(r->b));
	int64_t timestamp = -1, offset = 5;

	srand(seed);
	for (int i = 0; i < ENTRIES; i++) {
		if (rand() % 3 == 0)
			timestamp += (int64_t)1 << (rand() % 36);
		offset += 1 + rand() % 9;
		entries[i] = (struct index_entry){p->id, timestamp, offset, (uint64_t)i};
		struct key_index key = key_index(p->id, timestamp, offset);
		struct value_index value = value_index((uint64_t)i);
		store_put(w, CF_INDEX, KEY_SLICE(key), KEY_SLICE(value));
	}
	/* Neighbours that are not ours. */
	for (uint32_t id = p->id + 1; id <= p->id + 2; id++) {
		struct key_index key = key_index(id, 7, 7);
		struct value_index value = value_index(7);
		store_put(w, CF_INDEX, KEY_SLICE(key), KEY_SLICE(value));
	}
	assert_ok(store_commit(broker_store(r->b), w, false, why));
	store_write_free(w);
}

static void an_offset_is_found_as_by_walking(void **state)
{
	struct rig *r = *state;
	struct index_entry e;

	for (unsigned seed = 1; seed <= 5; seed++) {
		char name[16];
		snprintf(name, sizeof name, "t%u", seed);
		struct partition *p = topic_partition(rig_topic(r, name, 3), 0);
		assert_int_equal(index_before(p, 100, &e, NULL), ERR_NOT_FOUND);
		fill_index(r, p, seed);
		int at = -1;
		for (int64_t offset = 0; offset <= entries[ENTRIES - 1].last_offset + 2; offset++) {
			while (at + 1 < ENTRIES && entries[at + 1].last_offset < offset)
				at++;
			enum ks_err err = index_before(p, offset, &e, NULL);
			assert_int_equal(err, at < 0 ? ERR_NOT_FOUND : ERR_NONE);
			if (!err)
				assert_int_equal(e.position, at);
		}
	}
}

static void a_time_is_found_as_by_walking(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 3), 0);
	struct index_entry e;

	fill_index(r, p, 9);
	for (int i = 0; i < ENTRIES; i++)
		for (int64_t t = entries[i].max_timestamp - 1; t <= entries[i].max_timestamp + 1;
		     t++) {
			int at = -1;
			while (at + 1 < ENTRIES && entries[at + 1].max_timestamp <= t)
				at++;
			enum ks_err err = index_before_time(p, t, &e, NULL);
			assert_int_equal(err, at < 0 ? ERR_NOT_FOUND : ERR_NONE);
			if (!err)
				assert_int_equal(e.position, at);
		}
}

static void the_map_has_the_greatest_offset_of_every_key(void **state)
{
	struct offset_map *m = offset_map_new(5000, 1 << 20);
	int64_t greatest[5000];

	(void)state;
	for (int i = 0; i < 5000; i++)
		greatest[i] = -1;
	srand(3);
	for (int i = 0; i < 50000; i++) {
		int key = rand() % 5000;
		int64_t offset = rand() % 100000;
		offset_map_put(m, slice_of(&key, sizeof key), offset);
		if (offset > greatest[key])
			greatest[key] = offset;
	}
	for (int key = 0; key < 5000; key++)
		assert_int_equal(offset_map_get(m, slice_of(&key, sizeof key)), greatest[key]);
	int other = 5000;
	assert_int_equal(offset_map_get(m, slice_of(&other, sizeof other)), -1);
	assert_int_equal(offset_map_get(m, slice_of("", 0)), -1);
	offset_map_free(m);
	offset_map_free(NULL);
}

static void the_map_has_room_for_as_many_keys_as_it_says(void **state)
{
	struct offset_map *m = offset_map_new(1000000, 100000);
	int64_t key = 0;

	(void)state;
	for (; offset_map_has_room(m, 1); key++)
		offset_map_put(m, slice_of(&key, sizeof key), key);
	assert_in_range(key, 3000, 100000 / 24);
	for (int64_t k = 0; k < key; k++)
		assert_int_equal(offset_map_get(m, slice_of(&k, sizeof k)), k);
	assert_int_equal(offset_map_get(m, slice_of(&key, sizeof key)), -1);
	offset_map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_offset_is_found_as_by_walking),
		BOTH(a_time_is_found_as_by_walking),
		cmocka_unit_test(the_map_has_the_greatest_offset_of_every_key),
		cmocka_unit_test(the_map_has_room_for_as_many_keys_as_it_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

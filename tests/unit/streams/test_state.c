/* State against a model: random steps, undone records, commits that linger, crashes, merges, evictions. */
#include "tests/unit/streams/state_rig.h"

#define KEYS 300

/* What each key holds: a length and a fill byte; len < 0: nothing. */
struct model {
	struct {
		int len;
		uint8_t fill;
	} keys[KEYS];
};

static struct slice key_of(int k, char *text)
{
	int n = snprintf(text, 64, k % 7 ? "key-%d" : "a rather long key, number %d, of its kind",
			 k);
	return slice_of(text, (size_t)n);
}

static void check_key(struct state *s, const struct model *m, int k)
{
	struct state_ref ref;
	struct slice value = SLICE_NULL;
	struct ks_why why = {""};
	char text[64];
	bool found;

	assert_int_equal(state_find(s, key_of(k, text), &ref, &value, &found, &why), 0);
	assert_int_equal(found, m->keys[k].len >= 0);
	if (!found)
		return;
	assert_int_equal(value.len, m->keys[k].len);
	for (size_t i = 0; i < value.len; i++)
		assert_int_equal(value.data[i], m->keys[k].fill);
}

static void set_key(struct state *s, struct model *m, int k, int len, uint8_t fill)
{
	static uint8_t bytes[200000];
	struct state_ref ref;
	struct slice value;
	struct ks_why why = {""};
	char text[64];
	bool found;

	if (len > 0)
		memset(bytes, fill, (size_t)len);
	assert_int_equal(state_find(s, key_of(k, text), &ref, &value, &found, &why), 0);
	state_write(s, &ref, key_of(k, text), len < 0 ? SLICE_NULL : slice_of(bytes, (size_t)len));
	m->keys[k].len = len;
	m->keys[k].fill = fill;
}

static int random_len(uint64_t *seed)
{
	switch (roll(seed, 20)) {
	case 0:
	case 1:
		return -1;
	case 2:
		return (int)roll(seed, 5000);
	case 3:
		return roll(seed, 10) ? 9 : (int)(60000 + roll(seed, 100000));
	default:
		return (int)roll(seed, 40);
	}
}

static void one_record(struct bed *d, struct state *s, struct model *m, uint64_t *seed)
{
	struct model before = *m;

	undo_begin(&d->undo);
	for (uint32_t n = 1 + roll(seed, 4); n > 0; n--)
		set_key(s, m, (int)roll(seed, KEYS), random_len(seed), (uint8_t)roll(seed, 256));
	if (roll(seed, 6) == 0) {
		undo_apply(&d->undo);
		*m = before;
	}
	check_key(s, m, (int)roll(seed, KEYS));
}

struct counting {
	const struct model *m;
	int seen;
	char last[64];
};

static void scanned(void *cookie, struct slice key, struct slice value)
{
	struct counting *c = cookie;
	char text[64];
	int k = 0;

	while (k < KEYS && !slice_equal(key_of(k, text), key))
		k++;
	assert_true(k < KEYS && c->m->keys[k].len == (int)value.len);
	assert_true(slice_compare(slice_str(c->last), key) < 0);
	snprintf(c->last, sizeof c->last, "%s", text);
	c->seen++;
}

static void check_all(struct state *s, const struct model *m)
{
	struct counting c = {.m = m};
	struct ks_why why;
	int there = 0;

	for (int k = 0; k < KEYS; k++) {
		check_key(s, m, k);
		there += m->keys[k].len >= 0;
	}
	assert_int_equal(state_scan(s, scanned, &c, &why), 0);
	assert_int_equal(c.seen, there);
}

static void merge_everything(struct bed *d)
{
	if (d->is_pending)
		bed_apply(d);
	while (state_pool_has_changes(&d->pool) || state_pool_merge_all(&d->pool))
		bed_commit(d);
}

/* durable: what the store holds; flying: what the pending commit will make of it. */
static void run(uint64_t seed, size_t cache_bytes, size_t unmerged_bytes, int steps)
{
	static struct model now, durable, flying;
	struct bed d;
	struct state *s;
	struct ks_why why = {""};
	uint64_t at = seed;

	for (int k = 0; k < KEYS; k++)
		now.keys[k].len = -1;
	durable = now;
	bed_init(&d);
	bed_open(&d, cache_bytes, unmerged_bytes);
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (int i = 0; i < steps; i++) {
		one_record(&d, s, &now, &at);
		if (d.is_pending && roll(&at, 3) == 0) {
			bed_apply(&d);
			durable = flying;
		}
		if (!d.is_pending && roll(&at, 8) == 0) {
			bed_collect(&d);
			flying = now;
		}
		uint32_t event = roll(&at, 400);
		if (event == 0) { /* crash */
			now = durable;
		} else if (event == 1) { /* orderly stop */
			merge_everything(&d);
			durable = now;
			size_t counts[2];
			bed_count(&d, counts);
			assert_int_equal(counts[1], 0);
		}
		if (event <= 1) {
			bed_close(&d);
			bed_open(&d, cache_bytes, unmerged_bytes);
			assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
			check_all(s, &now);
		}
	}
	check_all(s, &now);
	bed_fini(&d);
}

static void a_state_is_what_the_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run(seed, 150000, 2000, 4000); /* evicts and merges all the time */
		run(seed, 1000000, 20000, 4000);
		run(seed, 64 << 20, 16 << 20, 2000); /* neither */
		run(seed, 1, 1, 1000);
	}
}

static void a_hot_key_is_merged_once_for_many_commits(void **state)
{
	static struct model m;
	struct bed d;
	struct state *s;
	struct ks_why why;
	size_t counts[2];

	(void)state;
	for (int k = 0; k < KEYS; k++)
		m.keys[k].len = -1;
	bed_init(&d);
	bed_open(&d, 64 << 20, 1000);
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (int i = 0; i < 1000; i++) {
		undo_begin(&d.undo);
		set_key(s, &m, 5, 9, (uint8_t)i);
		bed_commit(&d);
	}
	/* blocks of ~20 bytes: some 50 of them before each merge */
	assert_true(d.puts > 1000 && d.puts < 1050);
	assert_true(d.ranges > 10 && d.ranges < 50);
	bed_count(&d, counts);
	assert_int_equal(counts[0], 1);
	assert_true(counts[1] < 60);
	bed_fini(&d);
}

static void the_cache_stays_within_its_bound(void **state)
{
	struct bed d;
	struct state *s;
	struct ks_why why;
	struct state_ref ref;
	struct slice value;
	bool found;
	size_t most = 0;
	uint64_t seed = 1;

	(void)state;
	bed_init(&d);
	bed_open(&d, 1 << 20, 100000);
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (int i = 0; i < 200000; i++) {
		char key[16];
		struct slice k = slice_of(
			key, (size_t)snprintf(key, sizeof key, "%d", (int)roll(&seed, 100000)));
		undo_begin(&d.undo);
		assert_int_equal(state_find(s, k, &ref, &value, &found, &why), 0);
		state_write(s, &ref, k, slice_str("a value of some bytes"));
		if (i % 500 == 499)
			bed_commit(&d);
		if (d.pool.cache_bytes > most)
			most = d.pool.cache_bytes;
	}
	print_message("at most %zu bytes\n", most);
	assert_true(most < 3 << 20);
	bed_fini(&d);
}

/* Each has a segment to itself. */
static void large_values_leave_the_cache_too(void **state)
{
	static char text[100000];
	struct bed d;
	struct state *s;
	struct ks_why why;
	struct state_ref ref;
	struct slice value;
	bool found;
	size_t most = 0;

	(void)state;
	bed_init(&d);
	bed_open(&d, 1 << 20, 100000);
	d.pool.commit = d.pool.commit_durable = UINT32_MAX - 100; /* it will come to 0 */
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t key = i % 300;
		memset(text, 'a' + (int)(i / 300), sizeof text);
		undo_begin(&d.undo);
		assert_int_equal(state_find(s, slice_of(&key, 4), &ref, &value, &found, &why), 0);
		assert_int_equal(found, i >= 300);
		if (found)
			assert_int_equal(value.data[99999], 'a' + (int)(i / 300) - 1);
		state_write(s, &ref, slice_of(&key, 4), slice_of(text, sizeof text));
		if (i % 3 == 2)
			bed_commit(&d);
		if (d.pool.cache_bytes > most)
			most = d.pool.cache_bytes;
	}
	print_message("at most %zu bytes\n", most);
	assert_true(most < 3 << 20);
	bed_fini(&d);
}

/* Rows that were only read; the number of commits has passed half of its range. */
static void what_was_read_leaves_the_cache_after_any_number_of_commits(void **state)
{
	struct bed d;
	struct state *s;
	struct ks_why why;
	struct state_ref ref;
	struct slice value;
	bool found, any = true;

	(void)state;
	bed_init(&d);
	bed_open(&d, 1 << 20, 100000);
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (uint32_t key = 0; key < 100000; key++) {
		undo_begin(&d.undo);
		assert_int_equal(state_find(s, slice_of(&key, 4), &ref, &value, &found, &why), 0);
		state_write(s, &ref, slice_of(&key, 4), slice_str("a value of some bytes"));
		if (key % 500 == 499)
			bed_commit(&d);
	}
	while (any) {
		any = state_pool_merge_all(&d.pool);
		bed_commit(&d);
	}
	bed_close(&d);
	bed_open(&d, 1 << 20, 100000);
	d.pool.commit = d.pool.commit_durable = (uint32_t)INT32_MAX + 10;
	assert_int_equal(state_open(&d.pool, 3, 1, &s, &why), 0);
	for (uint32_t key = 0; key < 100000; key++)
		assert_int_equal(state_find(s, slice_of(&key, 4), &ref, &value, &found, &why), 0);
	assert_true(d.pool.cache_bytes < 3 << 20);
	bed_fini(&d);
}

static void names_keep_their_numbers(void **state)
{
	struct bed d;
	struct ks_why why = {""};
	struct state_name first[] = {{"a", "keyed", 0}, {"b", "dedup", 0}};
	struct state_name second[] = {{"c", "keyed", 0}, {"b", "dedup", 0}, {"a", "keyed", 0}};
	struct state_name wrong[] = {{"a", "dedup", 0}};

	(void)state;
	bed_init(&d);
	bed_open(&d, 1 << 20, 1 << 20);
	assert_int_equal(state_register(&d.base, first, 2, &d.pending, &why), 0);
	bed_apply(&d);
	state_batch_clear(&d.pending);
	assert_int_equal(state_register(&d.base, second, 3, &d.pending, &why), 0);
	assert_int_equal(second[2].id, first[0].id);
	assert_int_equal(second[1].id, first[1].id);
	assert_int_equal(second[0].id, 3);
	assert_int_equal(d.pending.count, 1);
	assert_int_equal(state_register(&d.base, wrong, 1, &d.pending, &why), ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(why.text, "is a keyed store"));
	bed_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_is_what_the_model_says),
		cmocka_unit_test(a_hot_key_is_merged_once_for_many_commits),
		cmocka_unit_test(the_cache_stays_within_its_bound),
		cmocka_unit_test(large_values_leave_the_cache_too),
		cmocka_unit_test(what_was_read_leaves_the_cache_after_any_number_of_commits),
		cmocka_unit_test(names_keep_their_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

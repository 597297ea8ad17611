/* One suite over both stores: what store.h promises holds for RocksDB and for its twin in memory.
 */
#include "store/store.h"
#include "tests/check.h"
#include "tests/scratch.h"

struct fixture {
	struct store *s;
	struct store_write *w;
	char *dir; /* NULL: in memory */
};

static struct store *open_dir(const char *dir)
{
	struct store_options o = {.create = true};
	struct store *s = NULL;
	struct ks_why why = {""};

	if (store_open(dir, &o, &s, &why))
		fail_msg("%s", why.text);
	return s;
}

static int setup_rocks(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->dir = scratch_make();
	f->s = open_dir(f->dir);
	f->w = store_write_new(f->s);
	*state = f;
	return 0;
}

static int setup_memory(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->s = store_open_memory();
	f->w = store_write_new(f->s);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_write_free(f->w);
	store_close(f->s);
	if (f->dir)
		scratch_remove(f->dir);
	free(f);
	return 0;
}

static void put(struct fixture *f, enum store_cf cf, const char *key, const char *value)
{
	store_put(f->w, cf, slice_str(key), slice_str(value));
}

static void commit(struct fixture *f)
{
	struct ks_why why = {""};

	if (store_commit(f->s, f->w, false, &why))
		fail_msg("%s", why.text);
}

/* The value as text, "-" when there is none. */
static void holds(struct fixture *f, enum store_cf cf, const char *key, const char *want)
{
	struct buf b = {0};
	enum ks_err err = store_get(f->s, cf, slice_str(key), &b);

	assert_string_equal(err == ERR_NOT_FOUND ? "-" : buf_cstr(&b), want);
	buf_fini(&b);
}

/* All keys between the bounds, joined: forwards, then the same backwards. */
static void walks(struct store_iter *it, const char *want)
{
	struct buf forth = {0}, back = {0};

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it))
		buf_append(&forth, store_iter_key(it).data, store_iter_key(it).len);
	assert_string_equal(buf_cstr(&forth), want);
	for (store_iter_last(it); store_iter_valid(it); store_iter_prev(it)) {
		struct slice key = store_iter_key(it);
		buf_reserve(&back, key.len);
		memmove(back.data + key.len, back.data, back.len);
		memcpy(back.data, key.data, key.len);
		back.len += key.len;
	}
	assert_string_equal(buf_cstr(&back), want);
	assert_int_equal(store_iter_error(it, NULL), ERR_NONE);
	buf_fini(&forth);
	buf_fini(&back);
}

static void scans(struct fixture *f, enum store_cf cf, struct slice lower, struct slice upper,
		  const char *want)
{
	struct store_iter *it = store_iter_new(f->s, cf, lower, upper);

	walks(it, want);
	store_iter_free(it);
}

static void what_is_put_is_there_after_the_commit_and_not_before(void **state)
{
	struct fixture *f = *state;

	put(f, CF_META, "a", "1");
	put(f, CF_STATE, "a", "2");
	holds(f, CF_META, "a", "-");
	commit(f);
	holds(f, CF_META, "a", "1");
	holds(f, CF_STATE, "a", "2");
	holds(f, CF_JOBS, "a", "-");
}

static void the_later_of_two_puts_in_one_write_wins(void **state)
{
	struct fixture *f = *state;

	put(f, CF_TXN, "a", "1");
	put(f, CF_TXN, "a", "2");
	commit(f);
	holds(f, CF_TXN, "a", "2");
	put(f, CF_TXN, "a", "3");
	store_delete(f->w, CF_TXN, slice_str("a"));
	commit(f);
	holds(f, CF_TXN, "a", "-");
	store_delete(f->w, CF_TXN, slice_str("a"));
	put(f, CF_TXN, "a", "4");
	commit(f);
	holds(f, CF_TXN, "a", "4");
}

static void a_value_in_parts_is_their_concatenation(void **state)
{
	struct fixture *f = *state;
	struct slice parts[100];

	for (size_t i = 0; i < 100; i++)
		parts[i] = i % 2 ? SLICE_NULL : slice_of(&"0123456789"[i / 10], 1);
	store_putv(f->w, CF_LOG, slice_str("many"), parts, 100);
	store_putv(f->w, CF_LOG, slice_str("two"),
		   (struct slice[]){slice_str("ab"), slice_str("c")}, 2);
	store_putv(f->w, CF_LOG, slice_str("none"), NULL, 0);
	commit(f);
	holds(f, CF_LOG, "many", "00000111112222233333444445555566666777778888899999");
	holds(f, CF_LOG, "two", "abc");
	holds(f, CF_LOG, "none", "");
}

static void an_empty_key_and_an_empty_value_are_values(void **state)
{
	struct fixture *f = *state;

	put(f, CF_GROUPS, "", "x");
	store_put(f->w, CF_GROUPS, slice_str("k"), SLICE_NULL);
	commit(f);
	holds(f, CF_GROUPS, "", "x");
	holds(f, CF_GROUPS, "k", "");
	scans(f, CF_GROUPS, SLICE_NULL, SLICE_NULL, "k");
}

static void large_values_come_back_whole(void **state)
{
	struct fixture *f = *state;
	size_t len = 3000000;
	uint8_t *bytes = malloc(len);
	struct buf b = {0};

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	store_put(f->w, CF_LOG, slice_str("k"), slice_of(bytes, len));
	commit(f);
	assert_int_equal(store_flush(f->s, NULL), ERR_NONE);
	assert_int_equal(store_get(f->s, CF_LOG, slice_str("k"), &b), ERR_NONE);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, bytes, len);
	buf_fini(&b);
	free(bytes);
}

static void a_range_delete_takes_its_begin_and_leaves_its_end(void **state)
{
	struct fixture *f = *state;

	for (const char *k = "abcdefg"; *k; k++)
		store_put(f->w, CF_INDEX, slice_of(k, 1), slice_str("v"));
	commit(f);
	store_delete_range(f->w, CF_INDEX, slice_str("b"), slice_str("e"));
	put(f, CF_INDEX, "c", "again");
	commit(f);
	scans(f, CF_INDEX, SLICE_NULL, SLICE_NULL, "acefg");
	store_delete_range(f->w, CF_INDEX, slice_str("f"), slice_str("f"));
	store_delete_range(f->w, CF_INDEX, slice_str("g"), slice_str("a"));
	assert_int_equal(store_write_count(f->w), 0);
	commit(f);
	scans(f, CF_INDEX, SLICE_NULL, SLICE_NULL, "acefg");
}

static void an_iterator_stays_within_its_bounds(void **state)
{
	struct fixture *f = *state;

	for (const char *k = "abcdefg"; *k; k++)
		store_put(f->w, CF_OFFSETS, slice_of(k, 1), slice_str("v"));
	commit(f);
	scans(f, CF_OFFSETS, SLICE_NULL, SLICE_NULL, "abcdefg");
	scans(f, CF_OFFSETS, slice_str("c"), SLICE_NULL, "cdefg");
	scans(f, CF_OFFSETS, SLICE_NULL, slice_str("c"), "ab");
	scans(f, CF_OFFSETS, slice_str("bb"), slice_str("dd"), "cd");
	scans(f, CF_OFFSETS, slice_str("x"), slice_str("z"), "");
}

static void seeks_land_on_the_next_or_the_last_key(void **state)
{
	struct fixture *f = *state;
	struct store_iter *it;

	for (const char *k = "bdfhj"; *k; k++)
		store_put(f->w, CF_LOG, slice_of(k, 1), slice_of(k, 1));
	commit(f);
	it = store_iter_new(f->s, CF_LOG, slice_str("d"), slice_str("i"));
	assert_false(store_iter_valid(it));

	store_iter_seek(it, slice_str("e"));
	assert_slice(store_iter_key(it), "f");
	store_iter_prev(it);
	assert_slice(store_iter_value(it), "d");
	store_iter_prev(it);
	assert_false(store_iter_valid(it));
	store_iter_seek(it, slice_str("a"));
	assert_slice(store_iter_key(it), "d");
	store_iter_seek(it, slice_str("h"));
	assert_slice(store_iter_key(it), "h");
	store_iter_next(it);
	assert_false(store_iter_valid(it));
	store_iter_seek(it, slice_str("hh"));
	assert_false(store_iter_valid(it));

	store_iter_seek_for_prev(it, slice_str("g"));
	assert_slice(store_iter_key(it), "f");
	store_iter_seek_for_prev(it, slice_str("f"));
	assert_slice(store_iter_key(it), "f");
	store_iter_seek_for_prev(it, slice_str("z"));
	assert_slice(store_iter_key(it), "h");
	store_iter_seek_for_prev(it, slice_str("c"));
	assert_false(store_iter_valid(it));
	store_iter_free(it);
}

static void an_iterator_sees_the_moment_it_was_made(void **state)
{
	struct fixture *f = *state;
	struct store_iter *old, *new;

	put(f, CF_STATE, "a", "1");
	put(f, CF_STATE, "b", "1");
	put(f, CF_STATE, "c", "1");
	commit(f);
	old = store_iter_new(f->s, CF_STATE, SLICE_NULL, SLICE_NULL);
	store_iter_first(old);

	put(f, CF_STATE, "a", "2");
	put(f, CF_STATE, "aa", "2");
	store_delete_range(f->w, CF_STATE, slice_str("b"), slice_str("c"));
	commit(f);
	assert_int_equal(store_flush(f->s, NULL), ERR_NONE);
	put(f, CF_STATE, "d", "3");
	commit(f);

	assert_slice(store_iter_value(old), "1");
	walks(old, "abc");
	new = store_iter_new(f->s, CF_STATE, SLICE_NULL, SLICE_NULL);
	walks(new, "aaacd");
	store_iter_free(new);
	store_iter_free(old);
}

static void a_commit_empties_the_write_for_the_next(void **state)
{
	struct fixture *f = *state;

	put(f, CF_META, "ab", "123");
	store_delete(f->w, CF_META, slice_str("c"));
	assert_int_equal(store_write_bytes(f->w), 6);
	assert_int_equal(store_write_count(f->w), 2);
	commit(f);
	assert_int_equal(store_write_bytes(f->w), 0);
	assert_int_equal(store_write_count(f->w), 0);
	put(f, CF_META, "x", "1");
	store_write_clear(f->w);
	put(f, CF_META, "y", "1");
	commit(f);
	holds(f, CF_META, "x", "-");
	holds(f, CF_META, "y", "1");
}

static void the_sequence_number_grows_with_each_commit(void **state)
{
	struct fixture *f = *state;
	uint64_t before = store_sequence(f->s);

	put(f, CF_META, "a", "1");
	put(f, CF_LOG, "a", "1");
	commit(f);
	assert_int_equal(store_sequence(f->s), before + 2);
	store_delete_range(f->w, CF_LOG, slice_str("a"), slice_str("b"));
	assert_int_equal(store_commit(f->s, f->w, true, NULL), ERR_NONE);
	assert_int_equal(store_sequence(f->s), before + 3);
	assert_int_equal(store_mark(f->s, NULL), ERR_NONE);
}

static void reclaiming_a_trimmed_log_keeps_the_rest(void **state)
{
	struct fixture *f = *state;
	uint8_t batch[8192];
	char key[16];

	memset(batch, 'x', sizeof batch);
	for (int i = 0; i < 300; i++) {
		snprintf(key, sizeof key, "k%03d", i);
		store_put(f->w, CF_LOG, slice_str(key), slice_of(batch, sizeof batch));
	}
	commit(f);
	assert_int_equal(store_flush(f->s, NULL), ERR_NONE);
	store_delete_range(f->w, CF_LOG, slice_str("k000"), slice_str("k298"));
	commit(f);
	assert_int_equal(store_flush(f->s, NULL), ERR_NONE);
	assert_int_equal(store_reclaim(f->s, CF_LOG, NULL), ERR_NONE);
	scans(f, CF_LOG, SLICE_NULL, SLICE_NULL, "k298k299");
	if (f->dir) {
		struct store_stats stats;
		store_stats(f->s, &stats);
		assert_true(stats.blob_bytes < 10 * sizeof batch);
	}
}

static void what_was_committed_is_there_after_a_reopen(void **state)
{
	struct fixture *f = *state;

	put(f, CF_TOPICS, "t", "1");
	store_put(f->w, CF_LOG, slice_str("l"), slice_str("batch"));
	commit(f);
	uint64_t sequence = store_sequence(f->s);
	store_write_free(f->w);
	store_close(f->s);

	f->s = open_dir(f->dir);
	f->w = store_write_new(f->s);
	assert_int_equal(store_sequence(f->s), sequence);
	holds(f, CF_TOPICS, "t", "1");
	holds(f, CF_LOG, "l", "batch");
}

static void a_read_only_open_sees_what_the_writer_committed(void **state)
{
	struct fixture *f = *state;
	struct fixture reader = {0};
	struct store_options o = {.read_only = true};
	struct ks_why why = {""};

	put(f, CF_TOPICS, "t", "1");
	commit(f);
	assert_int_equal(store_mark(f->s, NULL), ERR_NONE);
	if (store_open(f->dir, &o, &reader.s, &why))
		fail_msg("%s", why.text);
	holds(&reader, CF_TOPICS, "t", "1");
	store_close(reader.s);
}

#define BOTH(f)                                                                                    \
	{"rocks: " #f, f, setup_rocks, teardown, NULL},                                            \
	{                                                                                          \
		"memory: " #f, f, setup_memory, teardown, NULL                                     \
	}
#define ROCKS(f) cmocka_unit_test_setup_teardown(f, setup_rocks, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_put_is_there_after_the_commit_and_not_before),
		BOTH(the_later_of_two_puts_in_one_write_wins),
		BOTH(a_value_in_parts_is_their_concatenation),
		BOTH(an_empty_key_and_an_empty_value_are_values),
		BOTH(large_values_come_back_whole),
		BOTH(a_range_delete_takes_its_begin_and_leaves_its_end),
		BOTH(an_iterator_stays_within_its_bounds),
		BOTH(seeks_land_on_the_next_or_the_last_key),
		BOTH(an_iterator_sees_the_moment_it_was_made),
		BOTH(a_commit_empties_the_write_for_the_next),
		BOTH(the_sequence_number_grows_with_each_commit),
		BOTH(reclaiming_a_trimmed_log_keeps_the_rest),
		ROCKS(what_was_committed_is_there_after_a_reopen),
		ROCKS(a_read_only_open_sees_what_the_writer_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

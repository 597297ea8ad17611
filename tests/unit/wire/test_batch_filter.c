/* test_batch_filter.c - what stays of a batch is as it was. */
#include "unit.h"

#include "wire/batch_filter.h"

#define HORIZON INT64_C(1700000086400)

struct rig {
	struct buf batch, out, scratch;
	struct batch_filter f;
	const char *kept; /* the records that stay, by the first byte of their key */
	int64_t horizon_seen;
};

static bool keeps(void *arg, const struct record *r, int64_t delete_horizon)
{
	struct rig *rig = arg;

	rig->horizon_seen = delete_horizon;
	return memchr(rig->kept, r->key.data[0], strlen(rig->kept));
}

static int rig_new(void **state)
{
	struct rig *rig = xcalloc(1, sizeof *rig);

	rig->f = (struct batch_filter){
		.keeps = keeps, .arg = rig, .decompressed_max = 1 << 20, .delete_horizon = HORIZON};
	*state = rig;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *rig = *state;

	batch_filter_fini(&rig->f);
	buf_fini(&rig->batch);
	buf_fini(&rig->out);
	buf_fini(&rig->scratch);
	free(rig);
	return 0;
}

/* Keys a, b, c, ..., timestamps 1000, 1007, 1014, ..., offsets from 500 on; a key in capitals has a
 * null value. */
static struct batch make(struct rig *rig, const char *keys, enum codec codec)
{
	struct batch_writer w;
	struct batch b;

	buf_clear(&rig->batch);
	batch_writer_begin(&w, &rig->batch);
	for (int i = 0; keys[i]; i++) {
		bool is_tombstone = keys[i] < 'a';
		batch_writer_append(&w, 1000 + 7 * i, slice_of(&keys[i], 1),
				    is_tombstone ? SLICE_NULL : slice_str("the value of a record"),
				    slice_str("\2x\2y"), 1);
	}
	batch_writer_finish(&w, codec, &rig->scratch);
	batch_set_producer(rig->batch.data, rig->batch.len, 77, 3, 900, true);
	batch_stamp(rig->batch.data, 500, 4);
	assert_int_equal(batch_verify(buf_slice(&rig->batch), &b), 0);
	return b;
}

static enum batch_filtered filter(struct rig *rig, const struct batch *b, const char *kept,
				  struct batch *got)
{
	enum batch_filtered result;

	rig->kept = kept;
	buf_clear(&rig->out);
	assert_int_equal(batch_filter(&rig->f, b, &rig->out, &result), 0);
	if (result == BATCH_CHANGED)
		assert_int_equal(batch_verify(buf_slice(&rig->out), got), 0);
	else
		assert_int_equal(rig->out.len, 0);
	return result;
}

/* The records of b are those of the keys, as make wrote them. */
static void assert_records(struct rig *rig, const struct batch *b, const char *all,
			   const char *keys)
{
	struct record_iter it;
	struct record r;

	assert_int_equal(record_iter_init(&it, b, 1 << 20, &rig->scratch), 0);
	for (const char *k = keys; *k; k++) {
		int at = (int)(strchr(all, *k) - all);
		assert_int_equal(record_iter_next(&it, &r), 1);
		assert_int_equal(r.offset, 500 + at);
		assert_int_equal(r.timestamp, 1000 + 7 * at);
		assert_slice_equal(r.key, slice_of(k, 1));
		assert_slice_equal(r.value,
				   *k < 'a' ? SLICE_NULL : slice_str("the value of a record"));
		assert_int_equal(r.header_count, 1);
		assert_slice_equal(r.headers, slice_str("\2x\2y"));
	}
	assert_int_equal(record_iter_next(&it, &r), 0);
}

static void what_stays_is_as_it_was(void **state)
{
	struct rig *rig = *state;
	struct batch got;

	for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		struct batch b = make(rig, "abcdefghij", c);
		assert_int_equal(filter(rig, &b, "bcdfghi", &got), BATCH_CHANGED);
		assert_int_equal(got.base_offset, 500);
		assert_int_equal(batch_last_offset(&got), 509);
		assert_int_equal(got.record_count, 7);
		assert_int_equal(got.base_timestamp, 1000);
		assert_int_equal(got.max_timestamp, 1056);
		assert_int_equal(got.producer_id, 77);
		assert_int_equal(got.producer_epoch, 3);
		assert_int_equal(got.base_sequence, 900);
		assert_int_equal(got.leader_epoch, 4);
		assert_int_equal(batch_codec(&got), c);
		assert_true(batch_is_transactional(&got));
		assert_int_equal(batch_delete_horizon(&got), -1);
		assert_records(rig, &got, "abcdefghij", "bcdfghi");
	}
}

static void a_batch_that_keeps_all_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct batch b = make(rig, "abc", CODEC_GZIP), got;

	assert_int_equal(filter(rig, &b, "abc", &got), BATCH_UNCHANGED);
	assert_int_equal(filter(rig, &b, "", &got), BATCH_EMPTIED);
}

static void a_tombstone_gives_the_batch_a_delete_horizon(void **state)
{
	struct rig *rig = *state;
	struct batch got, again;

	for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		struct batch b = make(rig, "aBcdefghij", c);
		/* Even when nothing goes. */
		assert_int_equal(filter(rig, &b, "aBcdefghij", &got), BATCH_CHANGED);
		assert_int_equal(rig->horizon_seen, -1);
		assert_int_equal(batch_delete_horizon(&got), HORIZON);
		assert_int_equal(got.max_timestamp, 1063);
		assert_records(rig, &got, "aBcdefghij", "aBcdefghij");

		/* It is given once. */
		struct buf first = rig->out;
		rig->out = (struct buf){0};
		assert_int_equal(filter(rig, &got, "aBcdefghij", &again), BATCH_UNCHANGED);
		assert_int_equal(rig->horizon_seen, HORIZON);
		rig->f.delete_horizon = HORIZON + 1;
		assert_int_equal(filter(rig, &got, "Bcdefg", &again), BATCH_CHANGED);
		rig->f.delete_horizon = HORIZON;
		assert_int_equal(batch_delete_horizon(&again), HORIZON);
		assert_records(rig, &again, "aBcdefghij", "Bcdefg");
		buf_fini(&first);
	}
}

static void append_times_stay(void **state)
{
	struct rig *rig = *state;
	struct batch b = make(rig, "aBc", CODEC_NONE), got;

	batch_stamp_append_time(rig->batch.data, rig->batch.len, 123456);
	assert_int_equal(batch_verify(buf_slice(&rig->batch), &b), 0);
	assert_int_equal(filter(rig, &b, "aB", &got), BATCH_CHANGED);
	assert_int_equal(got.max_timestamp, 123456);
	assert_int_equal(batch_timestamp_type(&got), BATCH_LOG_APPEND_TIME);
	struct record_iter it;
	struct record r;
	assert_int_equal(record_iter_init(&it, &got, 1 << 20, &rig->scratch), 0);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_int_equal(r.timestamp, 123456);
}

static void an_empty_batch_takes_the_place_of_its_offsets(void **state)
{
	struct rig *rig = *state;
	struct batch b = make(rig, "aBc", CODEC_ZSTD), got;
	struct record_iter it;
	struct record r;

	batch_write_empty(&b, &rig->out);
	assert_int_equal(rig->out.len, 61);
	assert_int_equal(batch_verify(buf_slice(&rig->out), &got), 0);
	assert_int_equal(got.base_offset, 500);
	assert_int_equal(batch_last_offset(&got), 502);
	assert_int_equal(got.record_count, 0);
	assert_int_equal(got.producer_id, 77);
	assert_int_equal(got.producer_epoch, 3);
	assert_int_equal(got.base_sequence, 900);
	assert_int_equal(got.max_timestamp, 1014);
	assert_int_equal(batch_codec(&got), CODEC_NONE);
	assert_true(batch_is_transactional(&got));
	assert_int_equal(record_iter_init(&it, &got, 1 << 20, &rig->scratch), 0);
	assert_int_equal(record_iter_next(&it, &r), 0);
}

static void a_damaged_batch_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	enum batch_filtered result;

	for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		struct batch b = make(rig, "abcdef", c);
		rig->kept = "bc";
		buf_clear(&rig->out);
		buf_append_str(&rig->out, "before");
		b.records.len -= 3;
		assert_int_not_equal(batch_filter(&rig->f, &b, &rig->out, &result), 0);
		assert_slice_equal(buf_slice(&rig->out), slice_str("before"));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_new, rig_free)
	const struct CMUnitTest tests[] = {
		TEST(what_stays_is_as_it_was),
		TEST(a_batch_that_keeps_all_is_left_alone),
		TEST(a_tombstone_gives_the_batch_a_delete_horizon),
		TEST(append_times_stay),
		TEST(an_empty_batch_takes_the_place_of_its_offsets),
		TEST(a_damaged_batch_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

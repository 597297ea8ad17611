/* Compaction: what goes, what stays, and when. */
#include "compaction_rig.h"

static void the_last_record_of_every_key_stays(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");

	put(r, p, "a1 b1 c1");
	put(r, p, "a2 b2");
	put(r, p, "d1 a3");
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	p = r->dir ? without_tail(r) : p;
	assert_int_equal(partition_log_start_offset(p), 0);
	assert_int_equal(partition_high_watermark(p), 8);
	if (r->dir)
		assert_log(p, "c1@2 b2@4 d1@5 a3@6 x1@7");
	assert_stored(r, p);
	assert_int_equal(compact(r), 0);
}

static void batches_that_are_whole_and_alone_stay_as_they_are(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct buf before = {0}, after = {0};
	struct broker_stats stats;

	put_many(r, p, 8, 'a', 8, 70000);
	put(r, p, "x1");
	rig_read_all(p, 0, 1 << 16, &before);
	broker_stats(r->b, &stats);
	uint64_t written = stats.groups_written;
	assert_int_equal(compact(r), 1);
	broker_stats(r->b, &stats);
	assert_int_equal(stats.groups_written, written + 1); /* only that it is clean */
	p = without_tail(r);
	rig_read_all(p, 0, 1 << 16, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	buf_fini(&before);
	buf_fini(&after);
}

static void the_last_batch_is_never_touched(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");

	put(r, p, "a1 a2");
	assert_int_equal(compact(r), 0);
	put(r, p, "a3 a4");
	p = compact_to(r, "a2@1 a3@2 a4@3");
	assert_int_equal(compact(r), 0);
	put(r, p, "b1");
	compact_to(r, "a4@3 b1@4");
}

static void an_active_segment_is_left_alone(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "segment.ms=10000");

	put(r, p, "a1");
	put(r, p, "a2");
	put(r, p, "a3");
	put(r, p, "b1");
	r->now_ms = START_MS + 9999;
	assert_int_equal(compact(r), 0);
	r->now_ms = START_MS + 10001; /* the first two are old enough */
	p = compact_to(r, "a2@1 a3@2 b1@3");
	r->now_ms = START_MS + 20000;
	compact_to(r, "a3@2 b1@3");
}

static void a_full_segment_is_no_longer_active(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "segment.ms=604800000 segment.bytes=10000");

	put_many(r, p, 9, 'a', 1, 1000); /* 1071 bytes each */
	assert_int_equal(compact(r), 0);
	put_padded(r, p, "a9", 1000);
	p = compact_to(r, "a8@8 a9@9"); /* 9 batches are below 10,000 bytes */
	assert_int_equal(compact(r), 0);
}

static void a_dirty_log_waits_for_its_share(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "min.cleanable.dirty.ratio=0.5");

	put_padded(r, p, "a1 b1 c1 d1", 1000);
	put(r, p, "x1");
	assert_int_equal(compact(r), 1); /* all of it is dirty */
	put_padded(r, p, "a2 b2", 1000);
	put(r, p, "x2");
	assert_int_equal(compact(r), 0); /* a third of it */
	put_padded(r, p, "a3 b3 c3", 1000);
	put(r, p, "x3");
	compact_to(r, "d1@3 x2@7 a3@8 b3@9 c3@10 x3@11"); /* 5 of 9 */
}

static void a_record_waits_for_min_compaction_lag(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "min.compaction.lag.ms=5000");

	put(r, p, "a1");
	put(r, p, "a2");
	r->now_ms = START_MS + 3000;
	put(r, p, "a3");
	put(r, p, "b1");
	r->now_ms = START_MS + 4999;
	assert_int_equal(compact(r), 0);
	r->now_ms = START_MS + 5001;
	p = compact_to(r, "a2@1 a3@2 b1@3");
	r->now_ms = START_MS + 8000;
	compact_to(r, "a3@2 b1@3");
}

static void max_compaction_lag_overrides_share_and_segment(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(
		r, "segment.ms=604800000 min.cleanable.dirty.ratio=1 max.compaction.lag.ms=1000");

	put(r, p, "a1");
	put(r, p, "a2");
	put(r, p, "b1");
	r->now_ms = START_MS + 999;
	assert_int_equal(compact(r), 0);
	r->now_ms = START_MS + 1002;
	compact_to(r, "a2@1 b1@2");
}

static void tombstones_stay_until_readers_had_time(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "delete.retention.ms=60000");

	put(r, p, "a1 b1 c1");
	put(r, p, "a- c-");
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	int64_t cleaned_ms = r->now_ms;
	p = without_tail(r);
	assert_log(p, "b1@1 a-@3 c-@4 x1@5");

	/* The time counts from the cleaning, not from the record. */
	r->now_ms = cleaned_ms + 100;
	put(r, p, "c2");
	put(r, p, "x2");
	r->now_ms = cleaned_ms + 59999;
	p = compact_to(r, "b1@1 a-@3 x1@5 c2@6 x2@7");

	put(r, p, "d1");
	r->now_ms = cleaned_ms + 60002;
	p = compact_to(r, "b1@1 c2@6 x2@7 d1@8");
	assert_about_stored(r, p);
}

static void a_tombstone_that_is_superseded_goes_at_once(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");

	put(r, p, "a1 a- b- b-");
	put(r, p, "a2");
	put(r, p, "x1");
	compact_to(r, "b-@3 a2@4 x1@5");
}

static void records_without_a_key_go(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "cleanup.policy=delete");

	put(r, p, "_1 a1 _2");
	put(r, p, "_3");
	put(r, p, "x1");
	assert_int_equal(compact(r), 0);
	assert_ok(broker_topic_alter(r->b, "t", &(struct config_entry){"cleanup.policy", "compact"},
				     1, why));
	p = compact_to(r, "a1@1 x1@4");
	assert_stored(r, p);
}

static void codecs_and_timestamps_stay(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct chunk c;
	struct batch b;

	assert_ok(broker_append_wait(
		r->b, p, keyed_frame("a1 b1 c1 a2 a3 a4 a5", 100, START_MS - 77, CODEC_ZSTD),
		ACKS_LEADER, NULL, why));
	put(r, p, "x1");
	p = compact_to(r, "b1@1 c1@2 a5@6 x1@7");
	read_first(p, &c, &b);
	assert_int_equal(b.base_offset, 0);
	assert_int_equal(batch_last_offset(&b), 6);
	assert_int_equal(b.record_count, 3);
	assert_int_equal(b.max_timestamp, START_MS - 77);
	assert_int_equal(batch_codec(&b), CODEC_ZSTD);
	chunk_fini(&c);
}

static void a_read_in_a_hole_goes_on_behind_it(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct buf shown = {0};
	int64_t offset, timestamp;

	for (int i = 0; i < 5; i++)
		put(r, p, "a1");
	put(r, p, "b1");
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	p = without_tail(r);
	show_log(p, 2, &shown, NULL);
	assert_string_equal(buf_cstr(&shown), "a1@4 b1@5 x1@6");
	buf_fini(&shown);
	assert_ok(partition_offset_for_timestamp(p, START_MS + 1, &offset, &timestamp));
	assert_int_equal(offset, 4);
	assert_int_equal(timestamp, START_MS + 4);
}

static void many_small_values_become_a_few(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");

	put_many(r, p, 300, 'a', 20, 2000);
	put(r, p, "x1");
	assert_int_equal(keys_of(r, CF_LOG), 301);
	size_t indexed = keys_of(r, CF_INDEX);
	assert_int_equal(compact(r), 1);
	assert_int_equal(keys_of(r, CF_LOG), 2);
	assert_true(keys_of(r, CF_INDEX) < indexed);
	p = without_tail(r);
	assert_stored(r, p);
}

/* For 1024 keys all the same. */
static void reopen_with_small_map(struct rig *r)
{
	broker_close(r->b);
	r->options.compaction_map_bytes = 1;
	rig_open(r);
}

static void assert_log_begins(struct partition *p, const char *expected)
{
	struct buf shown = {0};

	show_log(p, 0, &shown, NULL);
	assert_int_equal(strncmp(buf_cstr(&shown), expected, strlen(expected)), 0);
	buf_fini(&shown);
}

static void what_does_not_fit_is_cleaned_next(void **state)
{
	struct rig *r = *state;
	char records[40000] = "";
	size_t cleaned;

	reopen_with_small_map(r);
	struct partition *p = make_compacted(r, "");
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 4; i++) {
			size_t len = 0;
			for (int j = 0; j < 500; j++)
				len += (size_t)snprintf(records + len, sizeof records - len,
							"%c%c%c%d ", 'a' + i, 'a' + j / 25,
							'a' + j % 25, round);
			put(r, p, records);
		}
	put(r, p, "x1");
	assert_ok(compaction_run(r->b, &cleaned, why));
	assert_int_equal(cleaned, 6);
	p = without_tail(r);
	assert_log_begins(p, "aaa2@4000 ");
	assert_stored(r, p);
}

static void a_batch_with_more_keys_than_fit_stays_as_far_as_it_must(void **state)
{
	struct rig *r = *state;
	char records[40000] = "";
	size_t len = 0;

	reopen_with_small_map(r);
	struct partition *p = make_compacted(r, "");
	for (int j = 0; j < 2000; j++)
		len += (size_t)snprintf(records + len, sizeof records - len, "%c%c%d ",
					'a' + j / 2 % 50, 'a' + j / 2 / 50, j);
	put(r, p, records); /* 1000 keys, twice each */
	put(r, p, records);
	put(r, p, "x1");
	assert_int_equal(compact(r), 2);
	p = without_tail(r);
	assert_log_begins(p, "aa1@2001 ba3@2003 ");
	assert_stored(r, p);
}

/* --- producers --- */

static void put_of_producer(struct rig *r, struct partition *p, const char *records,
			    int64_t producer_id, int32_t sequence)
{
	struct frame *f = keyed_frame(records, 0, r->now_ms, CODEC_NONE);

	batch_set_producer(f->data, f->len, producer_id, 0, sequence, false);
	assert_ok(broker_append_wait(r->b, p, f, ACKS_LEADER, NULL, why));
	r->now_ms++;
}

static void a_producers_last_batch_keeps_its_sequence(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct chunk c;
	struct batch b;

	put_of_producer(r, p, "a1 b1", 1000, 0);
	put_of_producer(r, p, "a2 b2", 1000, 2);
	put(r, p, "a3 b3");
	put(r, p, "x1");
	p = compact_to(r, "a3@4 b3@5 x1@6");
	struct reader *reader = reader_new(p);
	for (int i = 0; i < 2; i++) {
		assert_ok(reader_read(reader, 0, 1, &c, why));
		assert_int_equal(batch_verify(c.bytes, &b), 0);
		assert_int_equal(b.base_offset, 2);
		assert_int_equal(batch_last_offset(&b), 3);
		assert_int_equal(b.record_count, 0);
		assert_int_equal(b.producer_id, 1000);
		assert_int_equal(b.base_sequence, 2);
		chunk_fini(&c);
		/* A cleaning later it is still there ... */
		put(r, p, "y1");
		assert_int_equal(compact(r), 1);
	}
	/* ... until the producer is forgotten, or has gone on. */
	put_of_producer(r, p, "c1", 1000, 4);
	put(r, p, "y1");
	assert_int_equal(compact(r), 1);
	reader_free(reader);
	p = without_tail(r);
	reader = reader_new(p);
	assert_ok(reader_read(reader, 0, 1, &c, why));
	assert_int_equal(get_u64be(c.bytes.data), 4);
	chunk_fini(&c);
	reader_free(reader);
	assert_stored(r, p);
}

/* --- beside the others --- */

static void retention_trims_what_compaction_left(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "cleanup.policy=compact,delete retention.ms=60000");

	put_many(r, p, 100, 'a', 20, 10000);
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	r->now_ms = START_MS + 30000;
	put_many(r, p, 20, 'A', 20, 10000);
	put(r, p, "x2");
	assert_int_equal(compact(r), 1);
	assert_stored(r, p);
	assert_int_equal(partition_log_start_offset(p), 0);

	r->now_ms = START_MS + 61000;
	assert_ok(retention_run(r->b, NULL, why));
	int64_t start = partition_log_start_offset(p);
	assert_true(start > 80 && start <= 101);
	p = without_tail(r);
	assert_int_equal(partition_log_start_offset(p), start);
	uint64_t bytes = 0;
	show_log(p, start, NULL, &bytes);
	assert_int_equal(bytes, partition_size_bytes(p));
	put(r, p, "y1");
	assert_int_equal(compact(r), 1);
	assert_stored(r, p);
}

static void retention_by_size_counts_what_is_left(void **state)
{
	struct rig *r = *state;
	struct partition *p =
		make_compacted(r, "cleanup.policy=compact,delete retention.bytes=400000");
	char record[16];

	/* 1 MB is written; 200 KB are left. */
	put_many(r, p, 100, 'a', 20, 10000);
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	assert_true(partition_size_bytes(p) < 210000);
	assert_ok(retention_run(r->b, NULL, why));
	assert_int_equal(partition_log_start_offset(p), 0);
	/* 300 KB more, none of which supersede. */
	for (int i = 0; i < 30; i++) {
		snprintf(record, sizeof record, "A%c%d", 'a' + i, i);
		put_padded(r, p, record, 10000);
	}
	assert_int_equal(compact(r), 1);
	assert_ok(retention_run(r->b, NULL, why));
	uint64_t size = partition_size_bytes(p);
	assert_true(size >= 400000 && size < 400000 + 2 * 65536 + 20000);
	uint64_t bytes = 0;
	p = without_tail(r);
	assert_int_equal(partition_size_bytes(p), size);
	show_log(p, partition_log_start_offset(p), NULL, &bytes);
	assert_int_equal(bytes, size);
}

static void a_reader_on_its_way_gets_the_old_or_the_new(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct buf shown = {0};
	struct chunk c;
	int64_t offset = 0;

	for (int i = 0; i < 10; i++)
		put_padded(r, p, "a1 b1", 3000);
	put(r, p, "x1");
	p = without_tail(r);
	struct reader *reader = reader_new(p);
	assert_ok(reader_read(reader, 0, 1, &c, why));
	show_batches(c.bytes, &offset, &shown);
	chunk_fini(&c);
	assert_int_equal(compact(r), 1);
	for (; offset < 21; chunk_fini(&c)) {
		assert_ok(reader_read(reader, offset, 1, &c, why));
		show_batches(c.bytes, &offset, &shown);
	}
	/* It still has its view of before. */
	assert_int_equal(strncmp(buf_cstr(&shown), "a1@0 b1@1 a1@2 ", 15), 0);
	/* Later it has a new one. */
	r->now_ns += INT64_C(10000000000);
	buf_clear(&shown);
	for (offset = 2; offset < 21; chunk_fini(&c)) {
		assert_ok(reader_read(reader, offset, 1, &c, why));
		show_batches(c.bytes, &offset, &shown);
	}
	assert_string_equal(buf_cstr(&shown), "a1@18 b1@19 x1@20");
	reader_free(reader);
	buf_fini(&shown);
}

static void readers_get_what_is_left_though_the_tail_has_more(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct chunk c;
	size_t count;

	put(r, p, "a1 b1 c1");
	put(r, p, "a2 b2");
	put(r, p, "x1");
	put(r, p, "x2");
	assert_ok(partition_read_now(p, 0, READ_UNCOMMITTED, 1 << 20, false, &c, 1,
				     &count)); /* from the tail */
	chunk_fini(&c);
	assert_int_equal(compact(r), 1);
	assert_log(p, "c1@2 a2@3 b2@4 x1@5 x2@6");
	assert_int_equal(partition_read_now(p, 0, READ_UNCOMMITTED, 1 << 20, false, &c, 1, &count),
			 ERR_NOT_FOUND);
	assert_int_equal(partition_read_now(p, 5, READ_UNCOMMITTED, 1 << 20, false, &c, 1, &count),
			 ERR_NOT_FOUND);
	/* What was not cleaned still comes from the tail. */
	assert_ok(partition_read_now(p, 6, READ_UNCOMMITTED, 1 << 20, false, &c, 1, &count));
	assert_int_equal(c.bytes.data[7], 6);
	chunk_fini(&c);
}

static void a_trim_into_what_is_clean_keeps_the_sizes_right(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "cleanup.policy=compact,delete");
	int64_t start;

	put_many(r, p, 200, 'a', 40, 10000);
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	assert_int_equal(partition_size_bytes(p) / 10000, 40);
	for (int64_t to = 40; to < 200; to += 13) {
		assert_ok(broker_trim(r->b, p, to, &start, why));
		assert_int_equal(start, to);
		uint64_t bytes = 0;
		struct partition *q = p;
		show_log(q, start, NULL, &bytes);
		assert_stored(r, p);
	}
	p = without_tail(r);
	assert_stored(r, p);
	put(r, p, "y1");
	assert_int_equal(compact(r), 1);
	assert_stored(r, p);
}

static void a_deleted_topic_leaves_no_trace_of_its_cleaning(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");

	put(r, p, "a1");
	put(r, p, "a2");
	put(r, p, "x1");
	assert_int_equal(compact(r), 1);
	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_int_equal(keys_of(r, CF_TOPICS), 0);
	assert_int_equal(keys_of(r, CF_LOG), 0);
	assert_int_equal(compact(r), 0);
}

static void a_damaged_log_is_left_alone(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct buf value = {0};

	put(r, p, "a1");
	put(r, p, "a2");
	put(r, p, "x1");
	struct key_log key = key_log(p->id, 1);
	assert_ok(store_get(broker_store(r->b), CF_LOG, KEY_SLICE(key), &value));
	value.data[value.len - 1] ^= 1;
	struct store_write *w = store_write_new(broker_store(r->b));
	store_put(w, CF_LOG, KEY_SLICE(key), buf_slice(&value));
	assert_ok(store_commit(broker_store(r->b), w, false, why));
	store_write_free(w);
	buf_fini(&value);

	assert_int_equal(compact(r), 0);
	assert_true(p->is_uncleanable);
	assert_int_equal(keys_of(r, CF_LOG), 3);
	put(r, p, "x2");
	assert_int_equal(compact(r), 0);
}

static void the_thread_cleans_by_itself(void **state)
{
	struct rig *r = *state;
	struct waiter *w = waiter_new();

	broker_close(r->b);
	r->options.compaction_check_ms = 5;
	rig_open(r);
	struct partition *p = make_compacted(r, "");
	put(r, p, "a1");
	put(r, p, "a2");
	put(r, p, "x1");
	/* In one go or, when it looks in between, in several. */
	while (partition_cleaned(p).offset < 2)
		waiter_wait(w, waiter_ticket(w), 5);
	assert_int_equal(partition_cleaned(p).offset, 2);
	assert_log(p, "a2@1 x1@2");
	waiter_free(w);
}

static void without_a_cleaner_nothing_is_cleaned_by_itself(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.no_compaction = true;
	rig_open(r);
	struct partition *p = make_compacted(r, "");
	put(r, p, "a1");
	put(r, p, "x1");
	assert_false(broker_failure(r->b));
	assert_int_equal(partition_cleaned(p).offset, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_last_record_of_every_key_stays),
		ROCKS(batches_that_are_whole_and_alone_stay_as_they_are),
		ROCKS(the_last_batch_is_never_touched),
		ROCKS(an_active_segment_is_left_alone),
		ROCKS(a_full_segment_is_no_longer_active),
		ROCKS(a_dirty_log_waits_for_its_share),
		ROCKS(a_record_waits_for_min_compaction_lag),
		ROCKS(max_compaction_lag_overrides_share_and_segment),
		ROCKS(tombstones_stay_until_readers_had_time),
		ROCKS(a_tombstone_that_is_superseded_goes_at_once),
		ROCKS(records_without_a_key_go),
		ROCKS(codecs_and_timestamps_stay),
		ROCKS(a_read_in_a_hole_goes_on_behind_it),
		ROCKS(many_small_values_become_a_few),
		ROCKS(what_does_not_fit_is_cleaned_next),
		ROCKS(a_batch_with_more_keys_than_fit_stays_as_far_as_it_must),
		ROCKS(a_producers_last_batch_keeps_its_sequence),
		ROCKS(retention_trims_what_compaction_left),
		ROCKS(retention_by_size_counts_what_is_left),
		ROCKS(readers_get_what_is_left_though_the_tail_has_more),
		ROCKS(a_reader_on_its_way_gets_the_old_or_the_new),
		ROCKS(a_trim_into_what_is_clean_keeps_the_sizes_right),
		MEMORY(a_deleted_topic_leaves_no_trace_of_its_cleaning),
		MEMORY(a_damaged_log_is_left_alone),
		MEMORY(the_thread_cleans_by_itself),
		MEMORY(without_a_cleaner_nothing_is_cleaned_by_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

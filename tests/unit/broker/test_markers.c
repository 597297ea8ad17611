/* Transactions in partitions: what opens and ends them, what readers see meanwhile, and what of that survives. The
 * coordinator has no part in this. */
#include "txn_rig.h"

#include "broker/producers.h"

/* --- appending and ending past the coordinator --- */

/* One change, made on the shard's thread and waited for. */
struct direct {
	struct task task;
	struct partition *partitions[8];
	size_t count;
	/* to append, to the first of them; NULL: to end */
	struct frame *frame;
	int64_t offset;
	enum ks_err err;
	struct marker marker;
	size_t ended;

	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_done;
};

static void direct_done(void *arg, enum ks_err err)
{
	struct direct *d = arg;

	assert_int_equal(err, 0);
	pthread_mutex_lock(&d->mtx);
	d->is_done = true;
	pthread_cond_signal(&d->changed);
	pthread_mutex_unlock(&d->mtx);
}

static void direct_append(struct direct *d, struct group *g)
{
	struct partition *p = d->partitions[0];
	struct slice batches = slice_of(d->frame->data, d->frame->len);
	const struct producer_batch *duplicate = NULL;
	struct origin origin;

	d->err = group_check(batches, SIZE_MAX, &origin);
	if (!d->err)
		d->err = group_check_producer(g, p, batches, group_offset_next(g, p), &duplicate);
	if (!d->err && !duplicate) {
		d->offset = group_append(g, p, d->frame, batches, false);
		return;
	}
	if (duplicate)
		d->offset = duplicate->base_offset;
	frame_unref(d->frame);
}

static void direct_apply(struct task *task, struct group *g)
{
	struct direct *d = (struct direct *)task;

	if (d->frame)
		direct_append(d, g);
	for (size_t i = 0; i < d->count && !d->frame; i++)
		d->ended += group_end_open(g, d->partitions[i], &d->marker);
	group_after(g, direct_done, d);
}

static void run_direct(struct rig *r, struct direct *d)
{
	d->task.apply = direct_apply;
	pthread_mutex_init(&d->mtx, NULL);
	pthread_cond_init(&d->changed, NULL);
	shard_task(r->b->shard, &d->task, 0);
	pthread_mutex_lock(&d->mtx);
	while (!d->is_done)
		pthread_cond_wait(&d->changed, &d->mtx);
	pthread_mutex_unlock(&d->mtx);
	pthread_mutex_destroy(&d->mtx);
	pthread_cond_destroy(&d->changed);
}

static size_t end_all(struct rig *r, struct partition **p, size_t count, struct marker m)
{
	struct direct d = {.count = count, .marker = m};

	memcpy(d.partitions, p, count * sizeof(*p));
	run_direct(r, &d);
	return d.ended;
}

static void end_one(struct rig *r, struct partition *p, int64_t pid, int epoch, bool is_commit)
{
	struct marker m = {
		.producer_id = pid, .producer_epoch = (int16_t)epoch, .is_commit = is_commit};

	assert_int_equal(end_all(r, &p, 1, m), 1);
}

static enum ks_err try_append(struct rig *r, struct partition *p, struct frame *f, int64_t *offset)
{
	struct direct d = {.partitions = {p}, .count = 1, .frame = f};

	run_direct(r, &d);
	if (offset)
		*offset = d.offset;
	return d.err;
}

static void append(struct rig *r, struct partition *p, int64_t pid, int32_t sequence, int count,
		   int first)
{
	assert_int_equal(try_append(r, p, txn_frame(pid, 0, sequence, count, first), NULL), 0);
}

/* --- the story of one transaction --- */

static void test_b1_what_is_not_committed_is_not_read_and_what_is_committed_is(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_append(r, p, 2, 10);
	assert_int_equal(partition_last_stable_offset(p), 2);
	append(r, p, 7, 0, 3, 100);
	rig_append(r, p, 1, 12);
	assert_int_equal(partition_high_watermark(p), 6);
	assert_int_equal(partition_last_stable_offset(p), 2);
	assert_committed(p, 0, 10, 11);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_int_equal(partition_last_stable_offset(p), 2);
		assert_committed(p, 0, 10, 11);
	}
	end_one(r, p, 7, 0, true);
	assert_int_equal(partition_high_watermark(p), 7);
	assert_int_equal(partition_last_stable_offset(p), 7);
	assert_committed(p, 0, 10, 11, 100, 101, 102, 12);
	assert_committed(p, 3, 101, 102, 12);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_int_equal(partition_last_stable_offset(p), 7);
		assert_committed(p, 0, 10, 11, 100, 101, 102, 12);
	}
}

static void test_b1_what_was_aborted_is_not_read(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	for (int round = 0; round < 2; round++) {
		append(r, p, 7, 2 * round, 2, 100);
		rig_append(r, p, 1, 5 + round);
		append(r, p, 8, round, 1, 200 + round);
		end_one(r, p, 7, 0, false);
		end_one(r, p, 8, 0, true);
	}
	append(r, p, 7, 4, 1, 300);
	end_one(r, p, 7, 0, true);
	assert_committed(p, 0, 5, 200, 6, 201, 300);
	/* From the middle of what was aborted, too. */
	assert_committed(p, 1, 5, 200, 6, 201, 300);
	assert_committed(p, 7, 6, 201, 300);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_committed(p, 0, 5, 200, 6, 201, 300);
	}
}

static void test_b6_read_uncommitted_gets_everything_markers_included(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct buf out = {0};
	struct batch b;
	struct marker m;

	append(r, p, 7, 0, 2, 100);
	end_one(r, p, 7, 0, false);
	append(r, p, 7, 2, 1, 102);
	rig_read_all(p, 0, 1 << 20, &out);
	assert_int_equal(batch_peek(buf_slice(&out), &b), 0);
	assert_int_equal(b.record_count, 2);
	size_t at = b.bytes.len;
	assert_int_equal(batch_verify(slice_of(out.data + at, out.len - at), &b), 0);
	assert_true(marker_read(&b, &m));
	assert_false(m.is_commit);
	assert_int_equal(m.producer_id, 7);
	assert_int_equal(b.base_offset, 2);
	at += b.bytes.len;
	assert_int_equal(batch_verify(slice_of(out.data + at, out.len - at), &b), 0);
	assert_int_equal(b.base_offset, 3);
	assert_int_equal(at + b.bytes.len, out.len);
	buf_fini(&out);
}

static void test_b2_the_first_open_transaction_holds_the_last_stable_offset(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	append(r, p, 1, 0, 1, 0); /* 0 */
	append(r, p, 2, 0, 1, 1); /* 1 */
	append(r, p, 3, 0, 1, 2); /* 2 */
	append(r, p, 2, 1, 1, 3); /* 3 */
	assert_int_equal(partition_last_stable_offset(p), 0);
	end_one(r, p, 2, 0, true); /* 4 */
	assert_int_equal(partition_last_stable_offset(p), 0);
	end_one(r, p, 1, 0, false); /* 5 */
	assert_int_equal(partition_last_stable_offset(p), 2);
	append(r, p, 2, 2, 1, 4);  /* 6 */
	end_one(r, p, 3, 0, true); /* 7 */
	assert_int_equal(partition_last_stable_offset(p), 6);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_int_equal(partition_last_stable_offset(p), 6);
	}
	assert_committed(p, 0, 1, 2, 3);
	end_one(r, p, 2, 0, true);
	assert_int_equal(partition_last_stable_offset(p), 9);
	assert_committed(p, 0, 1, 2, 3, 4);
}

/* --- more aborted transactions than are in memory --- */

static void test_b1_old_aborted_transactions_are_found_in_the_store(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct aborted_transaction *rows;
	struct reader *reader;
	struct chunk c;
	size_t count;

	append(r, p, 500, 0, 1, 1); /* open until the end */
	for (int i = 0; i < 200; i++) {
		append(r, p, 7, 2 * i, 1, 1000 + i);
		end_one(r, p, 7, 0, i % 2);
		append(r, p, 7, 2 * i + 1, 1, 2000 + i);
		end_one(r, p, 7, 0, true);
	}
	end_one(r, p, 500, 0, false);
	for (int turn = 0; turn < 2; turn++) {
		struct view *v = read_committed(p, 0, 2000);
		assert_int_equal(v->count, 300);
		for (size_t i = 0; i < v->count; i++)
			assert_true(v->numbers[i] >= 2000 || v->numbers[i] % 2);
		free(v);
		reader = reader_new(p);
		assert_ok(reader_read(reader, 1, 1, &c, why));
		assert_int_equal(partition_aborted(p, &c, 1, false, &rows, &count, NULL),
				 ERR_NOT_FOUND);
		assert_ok(partition_aborted(p, &c, 1, true, &rows, &count, why));
		assert_int_equal(count, 1);
		assert_int_equal(rows[0].producer_id, 7);
		assert_int_equal(rows[0].first_offset, 1);
		free(rows);
		chunk_fini(&c);
		/* The newest are in memory. */
		assert_ok(reader_read(reader, 798, 1 << 20, &c, why));
		assert_int_equal(partition_aborted(p, &c, 1, false, &rows, &count, NULL), 0);
		assert_int_equal(count, 1);
		free(rows);
		chunk_fini(&c);
		reader_free(reader);
		if (!r->dir)
			break;
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
}

/* What a fetch of at most max_bytes at offset is told, and at how many entries it had to look. */
struct asked {
	struct aborted_transaction *rows;
	size_t count;
	uint64_t looked_at;
	int64_t from, to;
};

static void ask(struct partition *p, int64_t offset, size_t max_bytes, struct asked *a)
{
	struct reader *reader = reader_new(p);
	uint64_t before = atomic_load(&p->aborted_looked_at);
	struct chunk c;
	struct batch b;

	assert_ok(reader_read(reader, offset, max_bytes, &c, why));
	assert_ok(partition_aborted(p, &c, 1, true, &a->rows, &a->count, why));
	a->looked_at = atomic_load(&p->aborted_looked_at) - before;
	assert_int_equal(batch_peek(c.bytes, &b), 0);
	a->from = b.base_offset;
	for (size_t at = 0; at < c.bytes.len; at += b.bytes.len)
		assert_int_equal(batch_peek(slice_of(c.bytes.data + at, c.bytes.len - at), &b), 0);
	a->to = batch_last_offset(&b) + 1;
	chunk_fini(&c);
	reader_free(reader);
}

static bool is_told(const struct asked *a, int64_t producer_id, int64_t first_offset)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->rows[i].producer_id == producer_id &&
		    a->rows[i].first_offset == first_offset)
			return true;
	return false;
}

/* 200 short transactions within three long ones, of which two have records in the middle. */
#define SHORT_ONES 200
static void write_short_within_long(struct rig *r, struct partition *p)
{
	append(r, p, 500, 0, 1, 1); /* 0 */
	append(r, p, 501, 0, 1, 1); /* 1 */
	append(r, p, 502, 0, 1, 1); /* 2 */
	for (int i = 0; i < SHORT_ONES; i++) {
		if (i == SHORT_ONES / 2) {
			append(r, p, 501, 1, 1, 1); /* 3 + SHORT_ONES */
			append(r, p, 502, 1, 1, 1);
		}
		append(r, p, 7, i, 1, i);
		end_one(r, p, 7, 0, false);
	}
	end_one(r, p, 501, 0, false);
	end_one(r, p, 502, 0, true);
	end_one(r, p, 500, 0, false);
	/* Those that are in memory. */
	for (int i = 0; i < 40; i++) {
		append(r, p, 8, i, 1, i);
		end_one(r, p, 8, 0, false);
	}
}

static void test_b1_a_fetch_looks_at_what_it_covers_however_long_others_were_open(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t middle = 3 + SHORT_ONES, end = 3 + 2 * SHORT_ONES + 2 + 3;
	struct asked a;

	write_short_within_long(r, p);
	for (int64_t at = 0; at < end; at++) {
		ask(p, at, 1, &a);
		assert_int_equal(a.to, at + 1);
		assert_true(a.looked_at <= 2);
		/* One each, but for records and marker of the one that was committed. */
		bool is_committed = at == 2 || at == middle + 1 || at == end - 2;
		assert_int_equal(a.count, !is_committed);
		free(a.rows);
	}
	ask(p, middle, 1, &a);
	assert_true(is_told(&a, 501, 1));
	free(a.rows);
	for (int64_t at = 0; at < end; at = a.to) {
		ask(p, at, 1000, &a);
		assert_true(a.to > at + 5);
		assert_true(a.looked_at <= (uint64_t)(a.to - a.from) + 1);
		assert_int_equal(is_told(&a, 500, 0), at == 0 || a.to >= end);
		assert_int_equal(is_told(&a, 501, 1), at <= 1 || (at <= middle && middle < a.to) ||
							      (at <= end - 3 && end - 3 < a.to));
		assert_false(is_told(&a, 502, 2));
		free(a.rows);
	}
}

/* --- producers --- */

static void test_c3_a_sequence_number_of_an_aborted_batch_is_no_duplicate(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset = -1;

	append(r, p, 7, 0, 2, 100);
	assert_int_equal(try_append(r, p, txn_frame(7, 0, 0, 2, 100), &offset), 0);
	assert_int_equal(offset, 0); /* it is there */
	end_one(r, p, 7, 0, false);
	assert_int_equal(try_append(r, p, txn_frame(7, 0, 0, 2, 100), &offset),
			 ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	append(r, p, 7, 2, 1, 102);
	end_one(r, p, 7, 0, true);
	assert_committed(p, 0, 102);
}

static void test_a1_a_marker_of_a_newer_epoch_fences_the_older_one(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	append(r, p, 7, 0, 2, 100);
	end_one(r, p, 7, 1, true);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	assert_int_equal(try_append(r, p, txn_frame(7, 0, 2, 1, 102), NULL),
			 ERR_INVALID_PRODUCER_EPOCH);
	assert_int_equal(try_append(r, p, txn_frame(7, 1, 2, 1, 102), NULL),
			 ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(try_append(r, p, txn_frame(7, 1, 0, 1, 102), NULL), 0);
	end_one(r, p, 7, 1, true);
	assert_committed(p, 0, 100, 101, 102);
	/* An older marker changes nothing. */
	append(r, p, 8, 0, 1, 0);
	end_one(r, p, 8, 3, true);
	assert_int_equal(try_append(r, p, txn_frame(8, 3, 0, 1, 1), NULL), 0);
	struct marker old = {.producer_id = 8, .producer_epoch = 2};
	assert_int_equal(end_all(r, &p, 1, old), 0);
}

static void test_a3_a_batch_outside_of_the_open_transaction_is_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct frame *f = rig_frame(1, 1, 0, START_MS);

	append(r, p, 7, 0, 1, 100);
	batch_set_producer(f->data, f->len, 7, 0, 1, false);
	assert_int_equal(try_append(r, p, f, NULL), ERR_INVALID_TXN_STATE);
	end_one(r, p, 7, 0, true);
	f = rig_frame(1, 1, 0, START_MS);
	batch_set_producer(f->data, f->len, 7, 0, 1, false);
	assert_int_equal(try_append(r, p, f, NULL), 0);
	/* A batch that names no producer is in no transaction. */
	f = rig_frame(1, 1, 0, START_MS);
	batch_set_producer(f->data, f->len, -1, -1, -1, true);
	assert_int_equal(try_append(r, p, f, NULL), ERR_INVALID_RECORD);
}

static void test_b3_what_is_open_is_told_and_does_not_expire(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct producer_row *rows;
	size_t count;

	rig_append(r, p, 4, 0);
	append(r, p, 7, 0, 1, 100);
	append(r, p, 8, 0, 1, 100);
	end_one(r, p, 8, 0, true);
	rig_append(r, p, 1, 0); /* the shard looks at the clock */
	r->now_ms += 90000000;
	r->now_ns += INT64_C(90000000) * 1000000;
	rig_append(r, p, 1, 0);
	rig_append(r, p, 1, 0);
	assert_ok(broker_partition_producers(r->b, p, &rows, &count));
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].producer_id, 7);
	assert_int_equal(rows[0].txn_start_offset, 4);
	assert_int_equal(rows[0].coordinator_epoch, -1);
	free(rows);
	end_one(r, p, 7, 0, true);
	assert_ok(broker_partition_producers(r->b, p, &rows, &count));
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].txn_start_offset, -1);
	assert_int_equal(rows[0].coordinator_epoch, 0);
	free(rows);
}

/* --- trimming --- */

static void test_b5_deleting_records_of_an_open_transaction_moves_what_is_stable(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t start;

	append(r, p, 7, 0, 2, 100); /* 0, 1 */
	append(r, p, 7, 2, 2, 102); /* 2, 3 */
	rig_append(r, p, 1, 5);     /* 4 */
	assert_ok(broker_trim(r->b, p, 3, &start, why));
	assert_int_equal(start, 3);
	assert_int_equal(partition_last_stable_offset(p), 3);
	assert_committed(p, 3, NOTHING);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_int_equal(partition_last_stable_offset(p), 3);
	}
	end_one(r, p, 7, 0, false);
	assert_int_equal(partition_last_stable_offset(p), 6);
	assert_committed(p, 3, 5);
	assert_ok(broker_trim(r->b, p, 6, &start, why));
	assert_committed(p, 6, NOTHING);
	append(r, p, 7, 4, 1, 200);
	end_one(r, p, 7, 0, true);
	assert_committed(p, 6, 200);
}

static void test_b5_retention_takes_nothing_that_is_not_decided(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic_with(r, "t", 1, "retention.ms", "1000");
	struct partition *p = topic_partition(t, 0);
	uint64_t bytes;

	for (int i = 0; i < 3; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(10, i, 10000, START_MS), ACKS_ALL,
					     NULL, why));
	append(r, p, 7, 0, 2, 100); /* 30, 31 */
	for (int i = 0; i < 3; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(10, i, 10000, START_MS), ACKS_ALL,
					     NULL, why));
	r->now_ms += 10000;
	assert_ok(retention_run(r->b, &bytes, why));
	assert_true(bytes > 0);
	assert_true(partition_log_start_offset(p) <= 30);
	assert_int_equal(partition_last_stable_offset(p), 30);
	end_one(r, p, 7, 0, true);
	assert_committed(p, 30, 100, 101, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9,
			 10, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
	r->now_ms += 20000;
	assert_ok(retention_run(r->b, &bytes, why));
	assert_int_equal(partition_log_start_offset(p), 63);
	assert_int_equal(partition_last_stable_offset(p), 63);
}

/* Somebody has read, and before he asks what of it was aborted, it is trimmed. */
static void test_b5_what_was_trimmed_since_it_was_read_is_not_given_out(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct aborted_transaction *rows;
	size_t count;
	struct chunk c;

	for (int i = 0; i < 50; i++) {
		append(r, p, 7, i, 1, i);
		end_one(r, p, 7, 0, false);
	}
	struct reader *reader = reader_new(p);
	assert_ok(reader_read(reader, 2, 1, &c, why));
	assert_ok(partition_aborted(p, &c, 1, true, &rows, &count, why));
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].first_offset, 2);
	free(rows);
	assert_ok(broker_trim(r->b, p, 50, NULL, why));
	assert_int_equal(partition_aborted(p, &c, 1, true, &rows, &count, NULL),
			 ERR_OFFSET_OUT_OF_RANGE);
	chunk_fini(&c);
	reader_free(reader);
	/* The entries are gone with the records. */
	struct key_aborted from = key_aborted(p->id, 0), to = key_aborted(p->id, 50);
	struct store_iter *it = store_iter_new(r->b->store, CF_TXN, KEY_SLICE(from), KEY_SLICE(to));
	store_iter_first(it);
	assert_false(store_iter_valid(it));
	store_iter_free(it);
	struct key_aborted_by by_from = key_aborted_by(p->id, 0, 0),
			      by_to = key_aborted_by(p->id, 7, 50);
	it = store_iter_new(r->b->store, CF_TXN, KEY_SLICE(by_from), KEY_SLICE(by_to));
	store_iter_first(it);
	assert_false(store_iter_valid(it));
	store_iter_free(it);
	assert_committed(p, 50, NOTHING);
}

static size_t entries_in(struct rig *r, struct slice from, struct slice to)
{
	struct store_iter *it = store_iter_new(r->b->store, CF_TXN, from, to);
	size_t count = 0;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it))
		count++;
	store_iter_free(it);
	return count;
}

/* A process that ends between the two writes of a trim leaves entries behind. */
static void test_b5_what_an_interrupted_trim_has_left_goes_with_the_next_one(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct key_aborted from = key_aborted(p->id, 0), to = key_aborted(p->id + 1, 0);
	struct key_aborted_by by_from = key_aborted_by(p->id, 0, 0),
			      by_to = key_aborted_by(p->id + 1, 0, 0);

	for (int i = 0; i < 3; i++) {
		append(r, p, 7, i, 1, i);
		end_one(r, p, 7, 0, false);
	}
	assert_ok(broker_trim(r->b, p, 2, NULL, why));
	assert_int_equal(entries_in(r, KEY_SLICE(from), KEY_SLICE(to)), 2);
	struct aborted left = {p->id, 1, 0, 0, 7};
	struct key_aborted key = key_aborted(p->id, 1);
	struct key_aborted_by by = key_aborted_by(p->id, 7, 1);
	struct value_aborted value = value_aborted(&left);
	struct store_write *w = store_write_new(r->b->store);
	store_put(w, CF_TXN, KEY_SLICE(key), KEY_SLICE(value));
	store_put(w, CF_TXN, KEY_SLICE(by), KEY_SLICE(value));
	assert_ok(store_commit(r->b->store, w, false, why));
	store_write_free(w);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	assert_int_equal(entries_in(r, KEY_SLICE(from), KEY_SLICE(to)), 3);
	assert_committed(p, 2, NOTHING);
	assert_ok(broker_trim(r->b, p, 4, NULL, why));
	assert_int_equal(entries_in(r, KEY_SLICE(from), KEY_SLICE(to)), 1);
	assert_int_equal(entries_in(r, KEY_SLICE(by_from), KEY_SLICE(by_to)), 1);
}

static void test_c8_a_deleted_topic_leaves_nothing_of_its_transactions(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	append(r, p, 7, 0, 1, 1);
	end_one(r, p, 7, 0, false);
	append(r, p, 7, 1, 1, 1);
	assert_ok(broker_topic_delete(r->b, "t", why));
	struct store_iter *it = store_iter_new(r->b->store, CF_TXN, SLICE_NULL, SLICE_NULL);
	store_iter_first(it);
	assert_false(store_iter_valid(it));
	store_iter_free(it);
	p = topic_partition(rig_topic(r, "t", 1), 0);
	assert_int_equal(partition_last_stable_offset(p), 0);
	append(r, p, 7, 0, 1, 2);
	end_one(r, p, 7, 0, true);
	assert_committed(p, 0, 2);
}

static void test_b5_markers_have_no_part_in_the_times_of_records(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset, timestamp;

	append(r, p, 7, 0, 2, 100);
	r->now_ms += 5000;
	end_one(r, p, 7, 0, true);
	for (int turn = 0; turn < 2; turn++) {
		assert_ok(partition_max_timestamp_offset(p, &offset, &timestamp));
		assert_int_equal(offset, 0);
		assert_int_equal(timestamp, START_MS);
		assert_int_equal(
			partition_offset_for_timestamp(p, START_MS + 1, &offset, &timestamp),
			ERR_NOT_FOUND);
		assert_int_equal(atomic_load(&p->max_timestamp), START_MS);
		if (r->dir) {
			rig_reopen(r);
			p = rig_partition(r, "t");
		}
	}
}

/* --- one write --- */

static void test_a4_an_end_is_one_write_over_all_partitions(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 8);
	struct partition *all[8];
	struct broker_stats before, after;
	struct marker m = {.producer_id = 7, .is_commit = true};

	for (int i = 0; i < 8; i++) {
		all[i] = topic_partition(t, i);
		append(r, all[i], 7, 0, 1, i);
	}
	broker_stats(r->b, &before);
	assert_int_equal(end_all(r, all, 8, m), 8);
	broker_stats(r->b, &after);
	assert_int_equal(after.groups_written, before.groups_written + 1);
	for (int i = 0; i < 8; i++)
		assert_committed(all[i], 0, i);
	/* Ending what is not open writes nothing. */
	assert_int_equal(end_all(r, all, 8, m), 0);
	assert_int_equal(partition_high_watermark(all[0]), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_b1_what_is_not_committed_is_not_read_and_what_is_committed_is),
		BOTH(test_b1_what_was_aborted_is_not_read),
		BOTH(test_b6_read_uncommitted_gets_everything_markers_included),
		BOTH(test_b2_the_first_open_transaction_holds_the_last_stable_offset),
		BOTH(test_b1_old_aborted_transactions_are_found_in_the_store),
		BOTH(test_b1_a_fetch_looks_at_what_it_covers_however_long_others_were_open),
		BOTH(test_c3_a_sequence_number_of_an_aborted_batch_is_no_duplicate),
		BOTH(test_a1_a_marker_of_a_newer_epoch_fences_the_older_one),
		BOTH(test_a3_a_batch_outside_of_the_open_transaction_is_refused),
		BOTH(test_b3_what_is_open_is_told_and_does_not_expire),
		BOTH(test_b5_deleting_records_of_an_open_transaction_moves_what_is_stable),
		BOTH(test_b5_retention_takes_nothing_that_is_not_decided),
		BOTH(test_b5_what_was_trimmed_since_it_was_read_is_not_given_out),
		BOTH(test_b5_what_an_interrupted_trim_has_left_goes_with_the_next_one),
		BOTH(test_c8_a_deleted_topic_leaves_nothing_of_its_transactions),
		BOTH(test_b5_markers_have_no_part_in_the_times_of_records),
		BOTH(test_a4_an_end_is_one_write_over_all_partitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

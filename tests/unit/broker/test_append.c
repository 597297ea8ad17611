/* Appending and reading: offsets, the tail and the store, waiting. */
#include "rig.h"

#include <pthread.h>

static void records_get_consecutive_offsets(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	assert_int_equal(rig_append(r, p, 3, 0), 0);
	assert_int_equal(rig_append(r, p, 1, 3), 3);
	assert_int_equal(rig_append(r, p, 5, 4), 4);
	assert_int_equal(partition_high_watermark(p), 9);
	for (int i = 0; i < 9; i++)
		assert_int_equal(rig_number_at(p, i), i);
}

static void reading_may_begin_in_the_middle_of_a_batch(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct reader *reader = reader_new(p);
	struct chunk c;

	rig_append(r, p, 10, 0);
	rig_append(r, p, 10, 10);
	assert_ok(reader_read(reader, 14, 1, &c, why));
	assert_int_equal(get_u64be(c.bytes.data), 10);
	chunk_fini(&c);
	assert_ok(reader_read(reader, 4, 1, &c, why));
	assert_int_equal(get_u64be(c.bytes.data), 0);
	chunk_fini(&c);
	reader_free(reader);
}

static void offsets_out_of_range_are_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct reader *reader = reader_new(p);
	struct chunk c;
	struct ks_why why;

	assert_int_equal(reader_read(reader, 0, 1, &c, &why), ERR_EMPTY);
	assert_int_equal(reader_read(reader, 1, 1, &c, &why), ERR_OFFSET_OUT_OF_RANGE);
	rig_append(r, p, 3, 0);
	assert_int_equal(reader_read(reader, 3, 1, &c, &why), ERR_EMPTY);
	assert_int_equal(reader_read(reader, 4, 1, &c, &why), ERR_OFFSET_OUT_OF_RANGE);
	assert_string_equal(why.text, "partition t-0: offset 4 is not from 0 to 3");
	assert_int_equal(reader_read(reader, -1, 1, &c, &why), ERR_OFFSET_OUT_OF_RANGE);
	reader_free(reader);
}

/* --- many threads --- */

#define THREADS 8
#define ROUNDS  100

struct writer {
	struct rig *r;
	struct partition *p;
	int number;
	int64_t offsets[ROUNDS];
};

static void *write_rounds(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < ROUNDS; i++)
		if (broker_append_wait(w->r->b, w->p,
				       rig_frame(2, 1000 * w->number + 2 * i, 0, START_MS),
				       ACKS_ALL, &w->offsets[i], NULL))
			abort();
	return NULL;
}

static void many_threads_get_offsets_in_their_order(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 2);
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	struct broker_stats before, after;

	broker_stats(r->b, &before);
	for (int i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){.r = r, .p = topic_partition(t, i % 2), .number = i};
		pthread_create(&threads[i], NULL, write_rounds, &writers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	broker_stats(r->b, &after);

	assert_int_equal(after.commands - before.commands, THREADS * ROUNDS);
	assert_int_equal(partition_high_watermark(topic_partition(t, 0)), THREADS * ROUNDS);
	assert_int_equal(partition_high_watermark(topic_partition(t, 1)), THREADS * ROUNDS);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < ROUNDS; j++) {
			struct writer *w = &writers[i];
			assert_true(j == 0 || w->offsets[j] > w->offsets[j - 1]);
			assert_int_equal(rig_number_at(w->p, w->offsets[j]), 1000 * i + 2 * j);
			assert_int_equal(rig_number_at(w->p, w->offsets[j] + 1),
					 1000 * i + 2 * j + 1);
		}
}

/* --- one group --- */

struct gate {
	struct append append;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_closed;
	int done;
};

/* Holds the shard inside a callback until the gate opens. */
static void hold(struct append *a, enum ks_err err)
{
	struct gate *g = a->cookie;

	assert_int_equal(err, 0);
	pthread_mutex_lock(&g->mtx);
	g->done++;
	pthread_cond_broadcast(&g->changed);
	while (g->is_closed)
		pthread_cond_wait(&g->changed, &g->mtx);
	pthread_mutex_unlock(&g->mtx);
}

static void count_done(struct append *a, enum ks_err err)
{
	struct gate *g = a->cookie;

	assert_int_equal(err, 0);
	pthread_mutex_lock(&g->mtx);
	g->done++;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mtx);
}

static void wait_done(struct gate *g, int count)
{
	pthread_mutex_lock(&g->mtx);
	while (g->done < count)
		pthread_cond_wait(&g->changed, &g->mtx);
	pthread_mutex_unlock(&g->mtx);
}

static void close_gate(struct rig *r, struct gate *g, struct partition *p)
{
	pthread_mutex_init(&g->mtx, NULL);
	pthread_cond_init(&g->changed, NULL);
	g->is_closed = true;
	g->append = (struct append){.partition = p,
				    .frame = rig_frame(1, 0, 0, START_MS),
				    .acks = ACKS_ALL,
				    .done = hold,
				    .cookie = g};
	broker_append(r->b, &g->append);
	wait_done(g, 1);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->mtx);
	g->is_closed = false;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mtx);
}

static void commands_that_wait_share_one_write_and_one_value(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct append appends[50];
	struct gate g = {.done = 0};
	struct broker_stats before, after;
	struct buf value = {0};

	close_gate(r, &g, p);
	broker_stats(r->b, &before);
	for (int i = 0; i < 50; i++) {
		appends[i] = (struct append){.partition = p,
					     .frame = rig_frame(1, i + 1, 0, START_MS),
					     .acks = i % 2 ? ACKS_ALL : ACKS_LEADER,
					     .done = count_done,
					     .cookie = &g};
		broker_append(r->b, &appends[i]);
	}
	open_gate(&g);
	wait_done(&g, 51);
	broker_stats(r->b, &after);

	assert_int_equal(after.groups_written - before.groups_written, 1);
	assert_true(p->tail_count < 10); /* they lie together */
	for (int i = 0; i < 50; i++) {
		assert_int_equal(appends[i].base_offset, i + 1);
		assert_int_equal(rig_number_at(p, i + 1), i + 1);
	}
	struct key_log key = key_log(p->id, 50);
	assert_int_equal(store_get(broker_store(r->b), CF_LOG, KEY_SLICE(key), &value), 0);
	struct batch b;
	assert_int_equal(batch_peek(buf_slice(&value), &b), 0);
	assert_int_equal(b.base_offset, 1);
	buf_fini(&value);
}

static void one_frame_may_be_larger_than_a_value(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct buf out = {0}, got = {0};
	int64_t offset;

	for (int i = 0; i < 50; i++)
		rig_batch(&out, 4, 4 * i, 20000, START_MS + i);
	struct frame *f = frame_copy(buf_slice(&out));
	assert_ok(broker_append_wait(r->b, p, f, ACKS_ALL, &offset, why));
	assert_int_equal(partition_high_watermark(p), 200);
	rig_read_all(p, 0, 1 << 20, &got);
	assert_int_equal(got.len, out.len);

	struct key_log from = key_log(p->id, 0), to = key_log(p->id + 1, 0);
	struct store_iter *it =
		store_iter_new(broker_store(r->b), CF_LOG, KEY_SLICE(from), KEY_SLICE(to));
	int values = 0;
	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it), values++)
		assert_true(store_iter_value(it).len <= 1024 * 1024);
	assert_true(values >= 4);
	store_iter_free(it);
	buf_fini(&out);
	buf_fini(&got);
}

/* --- slices of one frame --- */

/* What a request looks like: batches of several partitions, and other bytes around them. */
struct request {
	struct frame *frame;
	struct slice batches[3];
	size_t len;
};

static struct request make_request(size_t value_bytes)
{
	struct buf out = {0};
	struct request q;
	size_t ends[4];

	buf_append_str(&out, "head");
	for (int i = 0; i < 3; i++) {
		ends[i] = out.len;
		rig_batch(&out, 2, 10 * i, value_bytes, START_MS);
		if (i == 1) /* two batches in one stretch */
			rig_batch(&out, 1, 12, value_bytes, START_MS);
		ends[i + 1] = out.len;
		buf_append_str(&out, i == 2 ? "tail" : "");
	}
	q.frame = frame_copy(buf_slice(&out));
	q.len = out.len;
	for (int i = 0; i < 3; i++)
		q.batches[i] = slice_of(q.frame->data + ends[i], ends[i + 1] - ends[i]);
	buf_fini(&out);
	return q;
}

static void append_slices(struct rig *r, struct topic *t, const struct request *q,
			  struct append appends[3])
{
	struct gate g = {.done = 0};

	pthread_mutex_init(&g.mtx, NULL);
	pthread_cond_init(&g.changed, NULL);
	for (int i = 0; i < 3; i++) {
		appends[i] = (struct append){.partition = topic_partition(t, i),
					     .frame = frame_ref(q->frame),
					     .batches = q->batches[i],
					     .acks = ACKS_LEADER,
					     .done = count_done,
					     .cookie = &g};
		broker_append(r->b, &appends[i]);
	}
	wait_done(&g, 3);
}

static void slices_of_one_frame_go_to_different_partitions(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 3);
	struct request q = make_request(0);
	struct append appends[3];

	rig_append(r, topic_partition(t, 2), 1, 19);
	append_slices(r, t, &q, appends);
	assert_memory_equal(q.frame->data, "head", 4);
	assert_memory_equal(q.frame->data + q.len - 4, "tail", 4);
	assert_int_equal(q.frame->refs, 1); /* the tails have copies of what is small */
	frame_unref(q.frame);
	assert_int_equal(appends[0].base_offset, 0);
	assert_int_equal(appends[1].base_offset, 0);
	assert_int_equal(appends[2].base_offset, 1);
	assert_int_equal(appends[2].log_start_offset, 0);
	assert_int_equal(partition_high_watermark(topic_partition(t, 0)), 2);
	assert_int_equal(partition_high_watermark(topic_partition(t, 1)), 3);
	assert_int_equal(rig_number_at(topic_partition(t, 0), 1), 1);
	assert_int_equal(rig_number_at(topic_partition(t, 1), 2), 12);
	assert_int_equal(rig_number_at(topic_partition(t, 2), 2), 21);
}

static void a_frame_of_slices_counts_whole_while_one_is_held(void **state)
{
	struct rig *r = *state;
	struct append appends[3];

	broker_close(r->b);
	r->options.tail_bytes = 1000000;
	rig_open(r);
	struct topic *t = rig_topic(r, "t", 3);
	for (int i = 0; i < 40; i++) { /* each about 420 KB: two fit, three do not */
		struct request q = make_request(60000);
		append_slices(r, t, &q, appends);
		frame_unref(q.frame);
	}
	size_t held = 0;
	for (int i = 0; i < 3; i++)
		held += topic_partition(t, i)->tail_count;
	assert_true(held > 3 && held <= 6);
}

/* --- what may be appended --- */

static void a_batch_over_max_message_bytes_is_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p =
		topic_partition(rig_topic_with(r, "t", 1, "max.message.bytes", "1000"), 0);

	assert_int_equal(
		broker_append_wait(r->b, p, rig_frame(1, 0, 2000, START_MS), ACKS_ALL, NULL, NULL),
		ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(partition_high_watermark(p), 0);
	assert_int_equal(rig_append(r, p, 1, 0), 0);
}

static void damaged_and_control_batches_are_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct frame *f = rig_frame(1, 0, 0, START_MS);

	f->data[22] |= 0x20;
	assert_int_equal(broker_append_wait(r->b, p, f, ACKS_ALL, NULL, NULL), ERR_INVALID_RECORD);
	f = rig_frame(1, 0, 0, START_MS);
	f->len--;
	assert_int_equal(broker_append_wait(r->b, p, f, ACKS_ALL, NULL, NULL), ERR_CORRUPT_MESSAGE);
	assert_int_equal(broker_append_wait(r->b, p, frame_new(0), ACKS_ALL, NULL, NULL),
			 ERR_CORRUPT_MESSAGE);
	assert_int_equal(partition_high_watermark(p), 0);
}

static void log_append_time_is_the_brokers_clock(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(
		rig_topic_with(r, "t", 1, "message.timestamp.type", "LogAppendTime"), 0);
	struct buf got = {0};
	struct batch b;

	r->now_ms = START_MS + 5000;
	assert_ok(broker_append_wait(r->b, p, rig_frame(2, 0, 0, 17), ACKS_ALL, NULL, why));
	rig_read_all(p, 0, 1000, &got);
	assert_int_equal(batch_verify(buf_slice(&got), &b), 0);
	assert_int_equal(batch_timestamp_type(&b), BATCH_LOG_APPEND_TIME);
	assert_int_equal(b.max_timestamp, START_MS + 5000);
	buf_fini(&got);
}

/* --- tail and store --- */

static void tail_and_store_give_the_same_bytes(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct buf from_tail = {0}, from_store = {0}, small = {0};

	for (int i = 0; i < 200; i++)
		rig_append(r, p, 1 + i % 7, i);
	for (int i = 0; i < 5; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(3, i, 100000, START_MS), ACKS_ALL,
					     NULL, why));
	rig_read_all(p, 0, 1 << 20, &from_tail);
	rig_read_all(p, 0, 1, &small);
	assert_true(slice_equal(buf_slice(&small), buf_slice(&from_tail)));

	/* Push all of it out of the tails. */
	struct partition *other = topic_partition(rig_topic(r, "other", 1), 0);
	for (int i = 0; i < 40; i++)
		assert_ok(broker_append_wait(r->b, other, rig_frame(1, i, 1000000, START_MS),
					     ACKS_ALL, NULL, why));
	struct chunk c;
	assert_int_equal(partition_read_tail(p, 0, READ_UNCOMMITTED, 1, &c), ERR_NOT_FOUND);
	assert_int_equal(
		partition_read_tail(p, partition_high_watermark(p) - 1, READ_UNCOMMITTED, 1, &c),
		ERR_NOT_FOUND);
	rig_read_all(p, 0, 1 << 20, &from_store);
	assert_true(slice_equal(buf_slice(&from_store), buf_slice(&from_tail)));
	buf_clear(&small);
	rig_read_all(p, 0, 1, &small);
	assert_true(slice_equal(buf_slice(&small), buf_slice(&from_tail)));
	buf_fini(&from_tail);
	buf_fini(&from_store);
	buf_fini(&small);
}

static void small_frames_travel_together(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct reader *reader = reader_new(p);
	struct chunk c;

	for (int i = 0; i < 10; i++)
		rig_append(r, p, 1, i);
	assert_ok(reader_read(reader, 2, 1 << 20, &c, why));
	assert_int_equal(c.bytes.len, partition_size_bytes(p) / 10 * 8);
	chunk_fini(&c);
	reader_free(reader);
}

static void a_reader_crosses_from_store_to_tail_while_others_write(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct writer w = {.r = r, .p = p};
	struct buf got = {0};
	pthread_t thread;

	for (int i = 0; i < 40; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(1, i, 1000000, START_MS), ACKS_ALL,
					     NULL, why));
	pthread_create(&thread, NULL, write_rounds, &w);
	rig_read_all(p, 0, 300000, &got);
	pthread_join(thread, NULL);
	buf_fini(&got);
	assert_int_equal(partition_high_watermark(p), 40 + 2 * ROUNDS);
}

/* --- damage --- */

static void put_log_value(struct rig *r, struct partition *p, int64_t last_offset,
			  struct slice value)
{
	struct store *s = broker_store(r->b); /* the shard has nothing to do meanwhile */
	struct store_write *w = store_write_new(s);
	struct key_log key = key_log(p->id, last_offset);

	if (value.data)
		store_put(w, CF_LOG, KEY_SLICE(key), value);
	else
		store_delete(w, CF_LOG, KEY_SLICE(key));
	assert_ok(store_commit(s, w, false, why));
	store_write_free(w);
}

static void damage_at_rest_is_found_when_it_is_read(void **state)
{
	struct rig *r = *state;
	struct buf value = {0};
	struct chunk c;
	struct ks_why sentence;

	broker_close(r->b);
	r->options.tail_bytes = 1; /* nothing stays in memory */
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	for (int i = 0; i < 4; i++)
		rig_append(r, p, 2, 2 * i);
	struct key_log key = key_log(p->id, 3);
	assert_ok(store_get(broker_store(r->b), CF_LOG, KEY_SLICE(key), &value));
	value.data[70] ^= 1;
	put_log_value(r, p, 3, buf_slice(&value));
	put_log_value(r, p, 5, SLICE_NULL);

	struct reader *reader = reader_new(p);
	assert_ok(reader_read(reader, 0, 1 << 20, &c, why)); /* up to the damage */
	assert_int_equal(c.bytes.len, value.len);
	chunk_fini(&c);
	assert_int_equal(reader_read(reader, 2, 1 << 20, &c, &sentence), ERR_CORRUPTION);
	assert_string_equal(sentence.text,
			    "partition t-0: the stored batches at offset 2 are damaged "
			    "(CRC or structure)");
	assert_int_equal(reader_read(reader, 4, 1 << 20, &c, &sentence), ERR_CORRUPTION);
	assert_string_equal(sentence.text,
			    "partition t-0: offset 4 is missing from the store, though the "
			    "log runs from 0 to 8");
	assert_ok(reader_read(reader, 6, 1 << 20, &c, why));
	chunk_fini(&c);
	reader_free(reader);
	buf_fini(&value);
}

/* --- waiting --- */

struct sleeper {
	struct waiter *w;
	uint64_t ticket;
};

static void *sleep_for_ever(void *arg)
{
	struct sleeper *s = arg;

	waiter_wait(s->w, s->ticket, 60000);
	return NULL;
}

static void a_waiter_wakes_when_a_partition_grows(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 3);
	struct sleeper s = {.w = waiter_new()};
	pthread_t thread;

	waiter_watch(s.w, topic_partition(t, 0));
	waiter_watch(s.w, topic_partition(t, 2));
	s.ticket = waiter_ticket(s.w);
	rig_append(r, topic_partition(t, 1), 1, 0);
	assert_int_equal(waiter_ticket(s.w), s.ticket);
	pthread_create(&thread, NULL, sleep_for_ever, &s);
	rig_append(r, topic_partition(t, 2), 1, 0);
	pthread_join(thread, NULL);

	/* What happened between ticket and wait is not missed. */
	s.ticket = waiter_ticket(s.w);
	rig_append(r, topic_partition(t, 0), 1, 0);
	waiter_wait(s.w, s.ticket, 60000);
	s.ticket = waiter_ticket(s.w);
	waiter_wait(s.w, s.ticket, 1);
	waiter_wake(s.w);
	waiter_wait(s.w, s.ticket, 60000);
	waiter_free(s.w);
	rig_append(r, topic_partition(t, 0), 1, 0);
}

/* --- timestamps --- */

static void timestamps_lead_to_offsets(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset, timestamp;

	assert_int_equal(partition_offset_for_timestamp(p, 0, &offset, &timestamp), ERR_NOT_FOUND);
	/* 300 batches of about 10 KB: many index entries. Two records each, ten ms apart. */
	for (int i = 0; i < 300; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(2, i, 5000, START_MS + 10 * i),
					     ACKS_ALL, NULL, why));
	for (int i = 0; i < 300; i += 7) {
		assert_ok(partition_offset_for_timestamp(p, START_MS + 10 * i - 3, &offset,
							 &timestamp));
		assert_int_equal(offset, 2 * i);
		assert_int_equal(timestamp, START_MS + 10 * i);
		assert_ok(
			partition_offset_for_timestamp(p, START_MS + 10 * i, &offset, &timestamp));
		assert_int_equal(offset, 2 * i);
	}
	assert_ok(partition_offset_for_timestamp(p, 0, &offset, &timestamp));
	assert_int_equal(offset, 0);
	assert_int_equal(partition_offset_for_timestamp(p, START_MS + 2991, &offset, &timestamp),
			 ERR_NOT_FOUND);
	/* An old record behind newer ones is not found before them. */
	assert_ok(broker_append_wait(r->b, p, rig_frame(1, 0, 100000, START_MS - 50), ACKS_ALL,
				     NULL, why));
	assert_ok(partition_offset_for_timestamp(p, START_MS - 50, &offset, &timestamp));
	assert_int_equal(offset, 0);
	assert_int_equal(timestamp, START_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(records_get_consecutive_offsets),
		BOTH(reading_may_begin_in_the_middle_of_a_batch),
		BOTH(offsets_out_of_range_are_refused),
		BOTH(many_threads_get_offsets_in_their_order),
		BOTH(commands_that_wait_share_one_write_and_one_value),
		BOTH(one_frame_may_be_larger_than_a_value),
		BOTH(slices_of_one_frame_go_to_different_partitions),
		MEMORY(a_frame_of_slices_counts_whole_while_one_is_held),
		BOTH(a_batch_over_max_message_bytes_is_refused),
		BOTH(damaged_and_control_batches_are_refused),
		BOTH(log_append_time_is_the_brokers_clock),
		BOTH(tail_and_store_give_the_same_bytes),
		BOTH(small_frames_travel_together),
		BOTH(a_reader_crosses_from_store_to_tail_while_others_write),
		BOTH(damage_at_rest_is_found_when_it_is_read),
		BOTH(a_waiter_wakes_when_a_partition_grows),
		BOTH(timestamps_lead_to_offsets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

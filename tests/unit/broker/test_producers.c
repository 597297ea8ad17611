/* Idempotent producers over a real broker: what is sent again is not appended again, through stops, crashes, failing
 * disks and deleted topics. */
#include "failing_disk.h"
#include "kill.h"
#include "producer_ids.h"

#include <errno.h>
#include <pthread.h>

#include "base/failpoint.h"
#include "broker/producers.h"

#define PID 42

/* count records with the numbers first, first + 1, ... */
static struct frame *make(int64_t pid, int epoch, int32_t sequence, int count, int first)
{
	struct frame *f = rig_frame(count, first, 0, START_MS);

	batch_set_producer(f->data, f->len, pid, (int16_t)epoch, sequence, false);
	return f;
}

static enum ks_err try_send(struct rig *r, struct partition *p, int epoch, int32_t sequence,
			    int count, int first, int64_t *offset)
{
	return broker_append_wait(r->b, p, make(PID, epoch, sequence, count, first), ACKS_ALL,
				  offset, NULL);
}

static int64_t send(struct rig *r, struct partition *p, int epoch, int32_t sequence, int count,
		    int first)
{
	int64_t offset = -1;

	assert_int_equal(try_send(r, p, epoch, sequence, count, first, &offset), ERR_NONE);
	return offset;
}

/* --- several commands in one group --- */

struct volley {
	struct append first, appends[8];
	enum ks_err errs[8];
	struct broker *b;
	size_t count, done;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
};

static void volley_init(struct volley *v, struct rig *r)
{
	*v = (struct volley){.b = r->b};
	pthread_mutex_init(&v->mtx, NULL);
	pthread_cond_init(&v->changed, NULL);
}

static void count_done(struct append *a, enum ks_err err)
{
	struct volley *v = a->cookie;

	pthread_mutex_lock(&v->mtx);
	v->errs[a - v->appends] = err;
	v->done++;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->mtx);
}

/* On the shard's thread: what is sent from here is one group. */
static void send_volley(struct append *a, enum ks_err err)
{
	struct volley *v = a->cookie;

	(void)err;
	for (size_t i = 0; i < v->count; i++)
		broker_append(v->b, &v->appends[i]);
}

static void add(struct volley *v, struct partition *p, struct frame *f, enum acks acks)
{
	v->appends[v->count++] = (struct append){
		.partition = p, .frame = f, .acks = acks, .done = count_done, .cookie = v};
}

static void fire(struct volley *v, struct partition *p)
{
	v->first = (struct append){.partition = p,
				   .frame = rig_frame(1, 0, 0, START_MS),
				   .acks = ACKS_LEADER,
				   .done = send_volley,
				   .cookie = v};
	broker_append(v->b, &v->first);
	pthread_mutex_lock(&v->mtx);
	while (v->done < v->count)
		pthread_cond_wait(&v->changed, &v->mtx);
	pthread_mutex_unlock(&v->mtx);
}

static void five_batches_sent_again_get_their_old_offsets(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_append(r, p, 7, 100);
	for (int i = 0; i < 8; i++)
		assert_int_equal(send(r, p, 0, 3 * i, 3, 3 * i), 7 + 3 * i);
	for (int i = 7; i >= 3; i--)
		assert_int_equal(send(r, p, 0, 3 * i, 3, 3 * i), 7 + 3 * i);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
		for (int i = 3; i < 8; i++)
			assert_int_equal(send(r, p, 0, 3 * i, 3, 3 * i), 7 + 3 * i);
	}
	assert_int_equal(partition_high_watermark(p), 31);
	assert_int_equal(send(r, p, 0, 24, 1, 24), 31);
	for (int i = 0; i < 25; i++)
		assert_int_equal(rig_number_at(p, 7 + i), i);
}

static void a_gap_is_refused_until_it_is_filled(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset;

	send(r, p, 0, 0, 2, 0);
	assert_int_equal(try_send(r, p, 0, 4, 2, 4, &offset), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(try_send(r, p, 0, 1, 2, 4, &offset), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(partition_high_watermark(p), 2);
	assert_int_equal(send(r, p, 0, 2, 2, 2), 2);
	assert_int_equal(send(r, p, 0, 4, 2, 4), 4);
}

static void commands_of_one_group_see_each_other(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 2);
	struct partition *p = topic_partition(t, 0), *other = topic_partition(t, 1);
	struct broker_stats before, after;
	struct volley v;

	volley_init(&v, r);
	add(&v, p, make(PID, 0, 10, 2, 10), ACKS_ALL);
	add(&v, p, make(PID, 0, 12, 1, 12), ACKS_LEADER);
	add(&v, p, make(PID, 0, 10, 2, 10), ACKS_ALL); /* again */
	add(&v, p, make(PID, 0, 15, 1, 15), ACKS_ALL); /* a gap */
	add(&v, p, make(PID, 0, 13, 1, 13), ACKS_ALL);
	add(&v, p, make(PID, 1, 0, 1, 14), ACKS_ALL);
	add(&v, p, make(PID, 0, 14, 1, 14), ACKS_ALL); /* fenced */
	add(&v, other, make(PID, 0, 70, 1, 70), ACKS_ALL);
	broker_stats(r->b, &before);
	fire(&v, p);
	broker_stats(r->b, &after);
	assert_int_equal(after.groups_written - before.groups_written, 2);

	static const enum ks_err errs[] = {
		0, 0, 0, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0, 0, ERR_INVALID_PRODUCER_EPOCH, 0};
	static const int64_t offsets[] = {1, 3, 1, -1, 4, 5, -1, 0};
	for (int i = 0; i < 8; i++) {
		assert_int_equal(v.errs[i], errs[i]);
		assert_int_equal(v.appends[i].base_offset, offsets[i]);
	}
	assert_int_equal(partition_high_watermark(p), 6);
	assert_int_equal(send(r, p, 1, 0, 1, 14), 5);
}

/* --- several batches in one command --- */

static struct frame *join(struct frame *a, struct frame *b)
{
	struct buf out = {0};

	buf_append(&out, a->data, a->len);
	buf_append(&out, b->data, b->len);
	frame_unref(a);
	frame_unref(b);
	struct frame *f = frame_copy(buf_slice(&out));
	buf_fini(&out);
	return f;
}

static enum ks_err send_frame(struct rig *r, struct partition *p, struct frame *f, int64_t *offset)
{
	return broker_append_wait(r->b, p, f, ACKS_ALL, offset, NULL);
}

static void batches_of_one_command_are_appended_all_or_none(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset = -1;

	/* The second does not follow the first: the producer stays unknown. */
	assert_int_equal(send_frame(r, p, join(make(PID, 0, 5, 2, 0), make(PID, 0, 8, 1, 0)), NULL),
			 ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(partition_high_watermark(p), 0);
	assert_int_equal(
		send_frame(r, p, join(make(PID, 0, 20, 2, 0), make(PID, 0, 22, 3, 2)), &offset), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(
		send_frame(r, p, join(make(PID, 0, 25, 1, 5), make(PID, 0, 26, 1, 6)), &offset), 0);
	assert_int_equal(offset, 5);
	/* Each of them is known, together and alone. */
	assert_int_equal(
		send_frame(r, p, join(make(PID, 0, 20, 2, 0), make(PID, 0, 22, 3, 2)), &offset), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(send_frame(r, p, make(PID, 0, 22, 3, 2), &offset), 0);
	assert_int_equal(offset, 2);
	/* Half old and half new has no answer. */
	assert_int_equal(
		send_frame(r, p, join(make(PID, 0, 26, 1, 6), make(PID, 0, 27, 1, 7)), NULL),
		ERR_INVALID_RECORD);
	assert_int_equal(
		send_frame(r, p, join(make(PID, 0, 27, 1, 7), make(PID, 0, 27, 1, 7)), NULL),
		ERR_INVALID_RECORD);
	assert_int_equal(send_frame(r, p, join(make(PID, 0, 27, 1, 7), make(7, 0, 0, 1, 0)), NULL),
			 ERR_INVALID_RECORD);
	assert_int_equal(
		send_frame(r, p, join(rig_frame(1, 0, 0, START_MS), make(7, 0, 0, 1, 0)), NULL),
		ERR_INVALID_RECORD);
	assert_int_equal(partition_high_watermark(p), 7);
	assert_int_equal(send(r, p, 0, 27, 1, 7), 7);
}

static void a_producer_without_sequence_or_epoch_is_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct frame *transactional = make(PID, 0, 0, 1, 0);

	assert_int_equal(send_frame(r, p, make(PID, -1, 0, 1, 0), NULL), ERR_INVALID_RECORD);
	assert_int_equal(send_frame(r, p, make(PID, 0, -1, 1, 0), NULL), ERR_INVALID_RECORD);
	batch_set_producer(transactional->data, transactional->len, PID, 0, 0, true);
	assert_int_equal(send_frame(r, p, transactional, NULL), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(partition_high_watermark(p), 0);
	assert_int_equal(p->producers.count, 0);
}

/* --- the disk fails --- */

/* The broker again, with a store whose commits fail after n good ones. */
static struct partition *reopen_failing(struct rig *r, int n, bool takes_effect)
{
	rig_reopen_failing(r, n, takes_effect);
	return rig_partition(r, "t");
}

static void a_batch_that_was_not_written_is_appended_when_it_comes_again(void **state)
{
	struct rig *r = *state;
	int64_t offset;

	rig_topic(r, "t", 1);
	struct partition *p = reopen_failing(r, 1, false);
	assert_int_equal(send(r, p, 0, 0, 2, 0), 0);
	assert_int_equal(try_send(r, p, 0, 2, 2, 2, &offset), ERR_IO);
	rig_reopen(r);
	p = rig_partition(r, "t");
	assert_int_equal(partition_high_watermark(p), 2);
	assert_int_equal(send(r, p, 0, 2, 2, 2), 2);
	assert_int_equal(partition_high_watermark(p), 4);
}

static void a_batch_whose_write_failed_but_took_effect_is_not_appended_again(void **state)
{
	struct rig *r = *state;
	int64_t offset;

	rig_topic(r, "t", 1);
	for (int n = 0; n < 4; n++) {
		struct partition *p = reopen_failing(r, n, true);
		int first = (int)partition_high_watermark(p);
		for (int i = 0; i < n; i++)
			assert_int_equal(send(r, p, 0, first + i, 1, first + i), first + i);
		assert_int_equal(try_send(r, p, 0, first + n, 1, first + n, &offset), ERR_IO);
		rig_reopen(r);
		p = rig_partition(r, "t");
		assert_int_equal(partition_high_watermark(p), first + n + 1);
		assert_int_equal(send(r, p, 0, first + n, 1, first + n), first + n);
		assert_int_equal(partition_high_watermark(p), first + n + 1);
	}
}

/* What a group that is given up leaves behind. On the shard's thread, with a group of its own. */
struct given_up {
	struct task task;
	struct partition *p;
	struct volley v;
	enum ks_err check, again;
	uint32_t known_during, known_after;
};

static void give_up(struct task *task, struct group *shards)
{
	struct given_up *x = (struct given_up *)task;
	struct broker *b = x->p->topic->broker;
	const struct producer_batch *duplicate;
	struct group g;
	struct frame *f = make(PID, 0, 5, 1, 0);

	(void)shards;
	group_init(&g, b->store);
	x->check = group_check_producer(&g, x->p, slice_of(f->data, f->len), 0, &duplicate);
	x->known_during = x->p->producers.count;
	group_clear(&g, 0);
	x->known_after = x->p->producers.count;
	batch_set_producer(f->data, f->len, PID, 0, 9, false);
	x->again = group_check_producer(&g, x->p, slice_of(f->data, f->len), 0, &duplicate);
	group_fini(&g);
	frame_unref(f);
	pthread_mutex_lock(&x->v.mtx);
	x->v.done = 1;
	pthread_cond_broadcast(&x->v.changed);
	pthread_mutex_unlock(&x->v.mtx);
}

static void a_group_that_is_given_up_leaves_no_trace(void **state)
{
	struct rig *r = *state;
	struct given_up x = {.task = {give_up}, .p = topic_partition(rig_topic(r, "t", 1), 0)};

	volley_init(&x.v, r);
	shard_task(r->b->shard, &x.task, 0);
	pthread_mutex_lock(&x.v.mtx);
	while (!x.v.done)
		pthread_cond_wait(&x.v.changed, &x.v.mtx);
	pthread_mutex_unlock(&x.v.mtx);
	assert_int_equal(x.check, ERR_NONE);
	assert_int_equal(x.known_during, 1);
	assert_int_equal(x.known_after, 0);
	assert_int_equal(x.again, ERR_NONE);
}

/* --- what is kept, and for how long --- */

static void retention_of_all_records_keeps_the_producer(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t start, offset;

	for (int i = 0; i < 6; i++)
		send(r, p, 0, i, 1, i);
	assert_ok(broker_trim(r->b, p, -1, &start, why));
	assert_int_equal(start, 6);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	assert_int_equal(send(r, p, 0, 5, 1, 5), 5);
	assert_int_equal(try_send(r, p, 0, 7, 1, 7, &offset), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(send(r, p, 0, 6, 1, 6), 6);
}

/* Makes the shard look at its clock, by an append elsewhere. */
static void nudge(struct rig *r)
{
	for (int i = 0; i < 2; i++)
		rig_append(r, rig_partition(r, "elsewhere"), 1, 0);
}

static size_t stored_producers(struct rig *r)
{
	struct store_iter *it = store_iter_new(broker_store(r->b), CF_TXN, SLICE_NULL, SLICE_NULL);
	size_t count = 0;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it))
		count++;
	store_iter_free(it);
	return count;
}

static void pass(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	r->now_ns += ms * 1000000;
	nudge(r);
}

#define HOUR_MS 3600000

static void a_producer_expires_a_day_after_its_last_append_by_the_brokers_clock(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset;

	rig_topic(r, "elsewhere", 1);
	/* Its records are from 1970: nobody looks at that. */
	struct frame *f = rig_frame(1, 0, 0, 17);
	batch_set_producer(f->data, f->len, PID, 0, 50, false);
	assert_int_equal(send_frame(r, p, f, &offset), 0);
	pass(r, 20 * HOUR_MS);
	assert_int_equal(send(r, p, 0, 51, 1, 1), 1);
	for (int i = 0; i < 24; i++) {
		pass(r, HOUR_MS - 1);
		assert_int_equal(stored_producers(r), 1);
	}
	assert_int_equal(try_send(r, p, 0, 99, 1, 1, &offset), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	if (r->dir) { /* a restart does not make it younger */
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	pass(r, HOUR_MS);
	assert_int_equal(stored_producers(r), 0);
	assert_int_equal(p->producers.count, 0);
	assert_int_equal(send(r, p, 0, 99, 1, 1), 2);
	assert_int_equal(stored_producers(r), 1);
	pass(r, 25 * HOUR_MS);
	assert_int_equal(stored_producers(r), 0);
}

static void many_expire_in_turns(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_topic(r, "elsewhere", 1);
	for (int i = 0; i < 2500; i++)
		assert_int_equal(send_frame(r, p, make(1000 + i, 0, 0, 1, i), NULL), 0);
	assert_int_equal(stored_producers(r), 2500);
	pass(r, 25 * HOUR_MS);
	nudge(r);
	nudge(r);
	assert_int_equal(stored_producers(r), 0);
}

static void above_the_limit_the_one_that_was_quiet_for_longest_is_forgotten(void **state)
{
	struct rig *r = *state;
	int64_t offset;

	broker_close(r->b);
	r->options.producers_max = 10;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(send_frame(r, p, make(i, 0, 0, 1, i), &offset), 0);
	assert_int_equal(send_frame(r, p, make(0, 0, 1, 1, 0), &offset), 0);
	assert_int_equal(send_frame(r, p, make(77, 0, 0, 1, 0), &offset), 0);
	assert_int_equal(stored_producers(r), 10);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	/* 0 was heard of lately, 1 was not and may begin anywhere. */
	assert_int_equal(send_frame(r, p, make(0, 0, 9, 1, 0), &offset),
			 ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(send_frame(r, p, make(2, 0, 9, 1, 0), &offset),
			 ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(send_frame(r, p, make(1, 0, 9, 1, 0), &offset), 0);
	assert_int_equal(stored_producers(r), 10);
}

static void sequences_wrap(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t offset;

	assert_int_equal(send(r, p, 0, INT32_MAX - 7, 5, 0), 0);
	assert_int_equal(send(r, p, 0, INT32_MAX - 2, 5, 5), 5);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	assert_int_equal(send(r, p, 0, INT32_MAX - 2, 5, 5), 5);
	assert_int_equal(try_send(r, p, 0, 0, 1, 0, &offset), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(send(r, p, 0, 2, 1, 10), 10);
}

/* --- topics and starts --- */

static void a_topic_made_anew_knows_nothing_of_the_old_ones_producers(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 2), 0);

	rig_topic(r, "kept", 1);
	send(r, rig_partition(r, "kept"), 0, 0, 1, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(r, p, 0, i, 1, i), i);
	assert_int_equal(stored_producers(r), 2);
	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_int_equal(stored_producers(r), 1);
	p = topic_partition(rig_topic(r, "t", 2), 0);
	/* What was a duplicate is new data now. */
	assert_int_equal(send(r, p, 0, 2, 1, 2), 0);
	assert_int_equal(partition_high_watermark(p), 1);
	if (r->dir) {
		rig_reopen(r);
		p = rig_partition(r, "t");
	}
	assert_int_equal(send(r, p, 0, 2, 1, 2), 0);
	assert_int_equal(send(r, p, 0, 3, 1, 3), 1);
	assert_int_equal(send(r, rig_partition(r, "kept"), 0, 0, 1, 0), 0);
}

static void after_every_start_topics_and_producers_are_there_at_once(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	for (int i = 0; i < 12; i++) {
		struct topic *t = broker_topic_find(r->b, "t");
		assert_non_null(t);
		struct partition *p = topic_partition(t, 0);
		if (i > 0) /* its answer was lost with the last run */
			assert_int_equal(send(r, p, 0, i - 1, 1, i - 1), i - 1);
		assert_int_equal(send(r, p, 0, i, 1, i), i);
		rig_reopen(r);
	}
	assert_int_equal(partition_high_watermark(rig_partition(r, "t")), 12);
}

/* --- what the broker does to a batch --- */

static void what_the_broker_stamps_does_not_make_another_batch(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(
		rig_topic_with(r, "t", 1, "message.timestamp.type", "LogAppendTime"), 0);
	struct volley v;

	for (int i = 0; i < 3; i++) {
		r->now_ms = START_MS + 1000 * i;
		send(r, p, 0, i, 1, i);
	}
	r->now_ms = START_MS + 99000;
	volley_init(&v, r);
	add(&v, p, make(PID, 0, 1, 1, 1), ACKS_ALL);
	fire(&v, p);
	assert_int_equal(v.errs[0], ERR_NONE);
	assert_int_equal(v.appends[0].base_offset, 1);
	assert_int_equal(v.appends[0].log_append_time, START_MS + 1000);
	assert_int_equal(v.appends[0].log_start_offset, 0);
}

static _Atomic(int) synced;

static enum ks_err counting_commit(struct store *s, struct store_write *w, bool sync,
				   struct ks_why *why)
{
	synced += sync;
	return disk.real->commit(s, w, sync, why);
}

static void a_repeated_batch_is_answered_with_acks_all_when_it_is_on_the_disk(void **state)
{
	struct rig *r = *state;
	struct store *s = store_open_memory();

	broker_close(r->b);
	disk_intercept(s, counting_commit);
	assert_ok(broker_open_store(&r->options, s, &r->b, why));
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	assert_ok(broker_append_wait(r->b, p, make(PID, 0, 0, 1, 0), ACKS_LEADER, NULL, why));
	int before = synced;
	assert_ok(broker_append_wait(r->b, p, make(PID, 0, 0, 1, 0), ACKS_LEADER, NULL, why));
	assert_int_equal(synced, before);
	assert_ok(broker_append_wait(r->b, p, make(PID, 0, 0, 1, 0), ACKS_ALL, NULL, why));
	assert_int_equal(synced, before + 1);
	assert_int_equal(partition_high_watermark(p), 1);
}

/* --- DescribeProducers --- */

static void the_producers_of_a_partition_are_listed(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 2);
	struct partition *p = topic_partition(t, 0);
	struct producer_row *rows;
	size_t count;

	assert_int_equal(broker_partition_producers(r->b, p, &rows, &count), 0);
	assert_int_equal(count, 0);
	free(rows);
	assert_int_equal(send_frame(r, p, make(9, 3, 0, 5, 0), NULL), 0);
	r->now_ms += 500;
	assert_int_equal(send_frame(r, p, make(4, 0, 10, 1, 0), NULL), 0);
	assert_int_equal(send_frame(r, topic_partition(t, 1), make(5, 0, 0, 1, 0), NULL), 0);
	assert_int_equal(broker_partition_producers(r->b, p, &rows, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].producer_id, 4);
	assert_int_equal(rows[0].last_sequence, 10);
	assert_int_equal(rows[0].last_timestamp, START_MS + 500);
	assert_int_equal(rows[1].producer_id, 9);
	assert_int_equal(rows[1].producer_epoch, 3);
	assert_int_equal(rows[1].last_sequence, 4);
	assert_int_equal(rows[1].last_timestamp, START_MS);
	free(rows);
	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_int_equal(broker_partition_producers(r->b, p, &rows, &count),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* --- ids --- */

static int64_t new_id(struct rig *r)
{
	int64_t id = -1;
	int16_t epoch = -1;

	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0);
	assert_int_equal(epoch, 0);
	return id;
}

static void ids_count_up_and_one_write_reserves_a_thousand(void **state)
{
	struct rig *r = *state;
	struct broker_stats before, after;

	broker_stats(r->b, &before);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(new_id(r), i);
	broker_stats(r->b, &after);
	assert_int_equal(after.groups_written - before.groups_written, 1);
	assert_int_equal(new_id(r), 1000);
	if (r->dir) { /* the rest of the block is lost, none comes twice */
		rig_reopen(r);
		assert_int_equal(new_id(r), 2000);
	}
}

static void a_producer_that_comes_with_its_id_gets_the_next_epoch(void **state)
{
	struct rig *r = *state;
	int64_t id = new_id(r), first = id;
	int16_t epoch = 0;

	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0);
	assert_int_equal(id, first);
	assert_int_equal(epoch, 1);
	epoch = 0; /* the answer was lost: the same again */
	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0);
	assert_int_equal(epoch, 1);
	epoch = 32765;
	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0);
	assert_int_equal(id, first);
	assert_int_equal(epoch, 32766);
	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0); /* the epochs are used up */
	assert_int_equal(id, first + 1);
	assert_int_equal(epoch, 0);
	id = 123456789; /* nobody got that from here */
	assert_int_equal(producer_id_ask(r->b, &id, &epoch), 0);
	assert_int_equal(id, first + 2);
	assert_int_equal(epoch, 0);
}

static void an_id_whose_block_was_not_reserved_is_not_given_out(void **state)
{
	struct rig *r = *state;
	int64_t id = -1;
	int16_t epoch = -1;

	rig_topic(r, "t", 1);
	reopen_failing(r, 0, false);
	assert_int_equal(producer_id_ask(r->b, &id, &epoch), ERR_IO);
	rig_reopen(r);
	assert_int_equal(new_id(r), 0);
}

/* --- killed at any step --- */

static void say(int pipe, int64_t number)
{
	if (write(pipe, &number, sizeof number) != sizeof number)
		_exit(3);
}

/* Sends one number after another, each with its sequence, and asks for an id for each. */
static void send_until_killed(char *dir, int pipe)
{
	struct rig *r = rig_new(false);

	r->dir = dir;
	r->options.dir = dir;
	failpoint_init();
	rig_open(r);
	struct partition *p = rig_partition(r, "t");
	int first = (int)partition_high_watermark(p);
	for (int i = first; i < first + 400; i++) {
		int64_t id = -1, offset;
		int16_t epoch = -1;
		if (producer_id_ask(r->b, &id, &epoch))
			_exit(4);
		say(pipe, -1 - id);
		if (try_send(r, p, 0, i, 1, i, &offset) || offset != i)
			_exit(5);
		say(pipe, i);
	}
	_exit(6); /* the failpoint was not reached */
}

/* What the child told: numbers that were acknowledged, ids as negative ones. */
struct told {
	int64_t acknowledged, id_last;
};

static void note_told(void *arg, int64_t number)
{
	struct told *told = arg;

	if (number >= 0) {
		told->acknowledged = number + 1;
		return;
	}
	assert_true(-1 - number > told->id_last);
	told->id_last = -1 - number;
}

static void killed_at_any_step_each_number_is_there_once_and_no_id_comes_twice(void **state)
{
	static const char *const steps[] = {"shard-collect", "shard-write", "shard-written",
					    "shard-mark", "shard-reply"};
	struct rig *r = *state;
	struct told told = {.id_last = -1};
	char failpoint[64];

	rig_topic(r, "t", 1);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		for (int n = 2; n <= 30; n += 14) {
			snprintf(failpoint, sizeof failpoint, "%s:%d", steps[i], n);
			broker_close(r->b);
			r->b = NULL;
			run_and_kill(r, failpoint, note_told, &told);
			rig_open(r);
			struct partition *p = rig_partition(r, "t");
			int64_t end = partition_high_watermark(p);
			assert_true(end == told.acknowledged || end == told.acknowledged + 1);
			/* The one without an answer is sent again, like a client would. */
			int number = (int)told.acknowledged;
			assert_int_equal(send(r, p, 0, number, 1, number), number);
			told.acknowledged++;
			assert_int_equal(partition_high_watermark(p), told.acknowledged);
			for (int64_t j = 0; j < told.acknowledged; j++)
				assert_int_equal(rig_number_at(p, j), j);
		}
	assert_true(told.acknowledged > 50);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		send_until_killed(argv[1], atoi(argv[2]));
	const struct CMUnitTest tests[] = {
		BOTH(five_batches_sent_again_get_their_old_offsets),
		MEMORY(a_gap_is_refused_until_it_is_filled),
		BOTH(commands_of_one_group_see_each_other),
		MEMORY(batches_of_one_command_are_appended_all_or_none),
		MEMORY(a_producer_without_sequence_or_epoch_is_refused),
		ROCKS(a_batch_that_was_not_written_is_appended_when_it_comes_again),
		ROCKS(a_batch_whose_write_failed_but_took_effect_is_not_appended_again),
		MEMORY(a_group_that_is_given_up_leaves_no_trace),
		BOTH(retention_of_all_records_keeps_the_producer),
		BOTH(a_producer_expires_a_day_after_its_last_append_by_the_brokers_clock),
		MEMORY(many_expire_in_turns),
		BOTH(above_the_limit_the_one_that_was_quiet_for_longest_is_forgotten),
		BOTH(sequences_wrap),
		BOTH(a_topic_made_anew_knows_nothing_of_the_old_ones_producers),
		ROCKS(after_every_start_topics_and_producers_are_there_at_once),
		MEMORY(what_the_broker_stamps_does_not_make_another_batch),
		MEMORY(a_repeated_batch_is_answered_with_acks_all_when_it_is_on_the_disk),
		BOTH(the_producers_of_a_partition_are_listed),
		BOTH(ids_count_up_and_one_write_reserves_a_thousand),
		MEMORY(a_producer_that_comes_with_its_id_gets_the_next_epoch),
		ROCKS(an_id_whose_block_was_not_reserved_is_not_given_out),
		ROCKS(killed_at_any_step_each_number_is_there_once_and_no_id_comes_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The shard as a machine: bounded queue, same commands same bytes, killed at every step. */
#include "kill.h"

#include <errno.h>
#include <pthread.h>

#include "base/failpoint.h"

/* --- the queue is bounded --- */

#define SENDERS 6

struct sender {
	struct rig *r;
	struct partition *p;
	size_t bytes;
};

static void *send_some(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < 30; i++)
		if (broker_append_wait(s->r->b, s->p, rig_frame(1, i, s->bytes, START_MS),
				       ACKS_LEADER, NULL, NULL))
			abort();
	return NULL;
}

static void a_full_queue_blocks_senders_and_starves_none(void **state)
{
	struct rig *r = *state;
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];

	broker_close(r->b);
	r->options.queue_bytes_max = 10000;
	r->options.group_bytes_max = 5000;
	r->options.tail_bytes = 20000;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	for (int i = 0; i < SENDERS; i++) { /* one of them above the whole queue */
		senders[i] = (struct sender){r, p, i == 0 ? 50000 : 3000};
		pthread_create(&threads[i], NULL, send_some, &senders[i]);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(partition_high_watermark(p), 30 * SENDERS);
	struct buf got = {0};
	rig_read_all(p, 0, 1 << 20, &got);
	assert_int_equal(got.len, partition_size_bytes(p));
	buf_fini(&got);
}

/* --- the same commands give the same bytes --- */

static void dump(struct rig *r, struct buf *out)
{
	for (int cf = 0; cf < CF_COUNT; cf++) {
		struct store_iter *it = store_iter_new(broker_store(r->b), (enum store_cf)cf,
						       SLICE_NULL, SLICE_NULL);
		for (store_iter_first(it); store_iter_valid(it); store_iter_next(it)) {
			struct slice k = store_iter_key(it), v = store_iter_value(it);
			buf_append_u8(out, (uint8_t)cf);
			buf_append_u32be(out, (uint32_t)k.len);
			buf_append(out, k.data, k.len);
			buf_append_u32be(out, (uint32_t)v.len);
			buf_append(out, v.data, v.len);
		}
		store_iter_free(it);
	}
}

/* With a uuid that is the same each time. */
static void make_topic(struct rig *r, const char *name, int32_t partitions, const char *key,
		       const char *value)
{
	struct config_entry config = {key, value};
	struct topic_uuid uuid = {{(uint8_t)name[0]}};
	struct topic_spec spec = {name, &uuid, partitions, &config, key ? 1 : 0, false};

	assert_ok(broker_topic_create(r->b, &spec, why));
}

static void play(struct rig *r)
{
	struct job_session *s;
	int64_t start;

	make_topic(r, "a", 3, "message.timestamp.type", "LogAppendTime");
	make_topic(r, "b", 1, "retention.ms", "5000");
	make_topic(r, "c", 1, NULL, NULL);
	for (int i = 0; i < 40; i++) {
		r->now_ms += 100;
		rig_append(r, topic_partition(broker_topic_find(r->b, "a"), i % 3), 2, i);
		assert_ok(broker_append_wait(r->b, rig_partition(r, "b"),
					     rig_frame(1, i, 30000, r->now_ms), ACKS_ALL, NULL,
					     why));
	}
	assert_ok(broker_group_commit(r->b, "g",
				      &(struct group_offset){rig_partition(r, "b"), 3, 0}, 1, why));
	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	broker_job_close(s);
	assert_ok(broker_topic_delete(r->b, "c", why));
	assert_ok(broker_trim(r->b, rig_partition(r, "a"), 7, &start, why));
	r->now_ms += 3000;
	assert_ok(retention_run(r->b, NULL, why));
	assert_true(partition_log_start_offset(rig_partition(r, "b")) > 5);
}

static void the_same_commands_give_the_same_bytes(void **state)
{
	struct rig *first = *state, *second = rig_new(false);
	struct buf a = {0}, b = {0};
	void *other = second;

	rig_open(second);
	play(first);
	play(second);
	dump(first, &a);
	dump(second, &b);
	assert_true(a.len > 0 && slice_equal(buf_slice(&a), buf_slice(&b)));
	buf_fini(&a);
	buf_fini(&b);
	rig_teardown(&other);
}

/* --- killed at every step --- */

struct committer {
	int acknowledged; /* pipe */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	int done;
};

static void tell(struct commit *c, enum ks_err err)
{
	struct committer *x = c->cookie;
	int64_t offset = c->offsets[0].offset;

	if (err || write(x->acknowledged, &offset, sizeof offset) != sizeof offset)
		_exit(3);
	pthread_mutex_lock(&x->mtx);
	x->done++;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mtx);
}

/* Step n: one record with the number n out, offset n + 1 of the input. Two are under way at a time. */
static void commit_until_killed(char *dir, int acknowledged)
{
	struct rig *r = rig_new(false);
	struct committer x = {.acknowledged = acknowledged};
	struct commit commits[400];
	struct commit_output outputs[400];
	struct commit_offset offsets[400];
	struct job_session *s;

	pthread_mutex_init(&x.mtx, NULL);
	pthread_cond_init(&x.changed, NULL);
	r->dir = dir;
	r->options.dir = dir;
	failpoint_init();
	rig_open(r);
	if (broker_job_open(r->b, "job", "me", &s, NULL))
		_exit(4);
	int first = (int)partition_high_watermark(rig_partition(r, "out"));
	for (int i = 0; i < 400; i++) {
		outputs[i] = (struct commit_output){rig_partition(r, "out"),
						    rig_frame(1, first + i, 0, START_MS)};
		offsets[i] = (struct commit_offset){rig_partition(r, "in"), first + i + 1};
		commits[i] = (struct commit){.session = s,
					     .group = "job",
					     .outputs = &outputs[i],
					     .output_count = 1,
					     .offsets = &offsets[i],
					     .offset_count = 1,
					     .done = tell,
					     .cookie = &x};
		broker_commit(r->b, &commits[i]);
		pthread_mutex_lock(&x.mtx);
		while (x.done + 1 < i)
			pthread_cond_wait(&x.changed, &x.mtx);
		pthread_mutex_unlock(&x.mtx);
	}
	_exit(5); /* the failpoint was not reached */
}

static void note_last(void *arg, int64_t offset)
{
	*(int64_t *)arg = offset;
}

static void killed_at_any_step_it_keeps_what_it_acknowledged_and_no_half(void **state)
{
	static const char *const steps[] = {"shard-collect", "shard-write", "shard-written",
					    "shard-mark", "shard-reply"};
	struct rig *r = *state;
	char failpoint[64];

	rig_topic(r, "in", 1);
	rig_topic(r, "out", 1);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		for (int n = 1; n <= 40; n += 13) {
			snprintf(failpoint, sizeof failpoint, "%s:%d", steps[i], n);
			broker_close(r->b);
			r->b = NULL;
			int64_t acknowledged = 0;
			run_and_kill(r, failpoint, note_last, &acknowledged);
			rig_open(r);
			struct partition *out = rig_partition(r, "out");
			int64_t records = partition_high_watermark(out), offset = 0;
			enum ks_err err =
				broker_group_offset(r->b, "job", rig_partition(r, "in"), &offset);
			assert_true(err == 0 || err == ERR_NOT_FOUND);
			assert_int_equal(records, offset);
			assert_true(records >= acknowledged);
			for (int64_t j = 0; j < records; j++)
				assert_int_equal(rig_number_at(out, j), j);
		}
	assert_true(partition_high_watermark(rig_partition(r, "out")) > 100);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		commit_until_killed(argv[1], atoi(argv[2]));
	const struct CMUnitTest tests[] = {
		BOTH(a_full_queue_blocks_senders_and_starves_none),
		MEMORY(the_same_commands_give_the_same_bytes),
		ROCKS(killed_at_any_step_it_keeps_what_it_acknowledged_and_no_half),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

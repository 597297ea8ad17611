/* Commits, guarantees, threads: over a real database, stopped and opened again. */
#include "tests/unit/streams/rig.h"

#include <pthread.h>
#include <stdatomic.h>

static const char *const names[] = {"exactly_once", "at_least_once", "at_most_once"};

static void send_many(struct rig *r, const char *topic, int from, int to, int keys)
{
	struct topic *t = broker_topic_find(r->b, topic);
	int32_t n = topic_partition_count(t);

	for (int32_t p = 0; p < n; p++) {
		struct batch_writer w;
		struct buf b = {0};
		batch_writer_begin(&w, &b);
		for (int i = from; i < to; i++) {
			char key[32], value[64];
			int k = snprintf(key, sizeof key, "key-%d", i % keys);
			if (murmur2_partition(key, (size_t)k, n) != p)
				continue;
			int v = snprintf(value, sizeof value, "{\"n\":%d,\"g\":\"g%d\"}", i,
					 i % 10);
			batch_writer_append(&w, i, slice_of(key, (size_t)k),
					    slice_of(value, (size_t)v), SLICE_NULL, 0);
		}
		batch_writer_finish(&w, CODEC_NONE, NULL);
		if (b.len)
			assert_ok(broker_append_wait(r->b, topic_partition(t, p),
						     frame_take_buf(&b), ACKS_ALL, NULL, why));
	}
}

static uint64_t records_in(struct rig *r, const char *topic)
{
	struct topic *t = broker_topic_find(r->b, topic);
	int64_t n = 0;

	for (int32_t p = 0; p < topic_partition_count(t); p++)
		n += partition_high_watermark(topic_partition(t, p));
	return (uint64_t)n;
}

/* The last value of a key in a topic of counts. */
static long last_count(struct rig *r, const char *topic, const char *key)
{
	struct topic *t = broker_topic_find(r->b, topic);
	char *want = xasprintf("%s=", key);
	long last = -1;

	for (int32_t p = 0; p < topic_partition_count(t); p++) {
		char *text = rig_partition_text(r, topic, p);
		for (char *at = strstr(text, want); at; at = strstr(at + 1, want))
			if (at == text || at[-1] == ' ')
				last = atol(at + strlen(want));
		free(text);
	}
	free(want);
	return last;
}

static void every_guarantee_counts_exactly_when_nothing_fails(void **state)
{
	struct rig *r = *state;

	for (int g = EXACTLY_ONCE; g <= AT_MOST_ONCE; g++) {
		print_message("%s\n", names[g]);
		job_free(r->job);
		r->job = job_make(names[g]);
		r->job->guarantee = (enum guarantee)g;
		char *in = xasprintf("in-%d", g), *out = xasprintf("out-%d", g);
		rig_topic(r, in, 2);
		struct step_list *steps = &job_flow(r->job, "f", in)->steps;
		step_add(steps, STEP_COUNT);
		step_topic(steps, out);
		send_many(r, in, 0, 500, 50);
		assert_ok(rig_run_once(r, 2, why));
		rig_reopen(r);
		send_many(r, in, 500, 1000, 50);
		assert_ok(rig_run_once(r, 1, why));
		assert_int_equal(records_in(r, out), 1000);
		assert_int_equal(last_count(r, out, "key-7"), 20);
		free(in);
		free(out);
	}
}

static void threads_share_the_work_of_a_repartitioned_count(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 4);
	rig_topic(r, "out", 2);
	struct step_list *steps = &job_flow(r->job, "f", "in")->steps;
	step_path(steps, STEP_GROUP, "g");
	step_add(steps, STEP_COUNT);
	step_topic(steps, "out");
	for (int i = 0; i < 10; i++)
		send_many(r, "in", i * 2000, (i + 1) * 2000, 500);
	assert_ok(rig_run_once(r, 3, why));
	for (int g = 0; g < 10; g++) {
		char key[16];
		snprintf(key, sizeof key, "g%d", g);
		assert_int_equal(last_count(r, "out", key), 2000);
	}
	assert_int_equal(records_in(r, "out"), 20000);
}

/* However long that takes. */
static void await_out(struct rig *r, struct engine_progress *p, uint64_t count)
{
	bool is_running = true;

	while (p->records_out < count) {
		assert_ok(engine_wait_for(r->e, 5, &is_running, why));
		assert_true(is_running);
		engine_progress(r->e, p);
	}
	assert_int_equal(p->records_out, count);
}

static void a_running_job_picks_up_what_arrives_and_stops_when_asked(void **state)
{
	struct rig *r = *state;
	struct engine_progress p = {0};

	rig_topic(r, "in", 2);
	step_topic(&job_flow(r->job, "f", "in")->steps, "out");
	assert_ok(rig_start_with(r, false, 2, why));
	for (int i = 0; i < 20; i++)
		send_many(r, "in", i * 10, (i + 1) * 10, 50);
	await_out(r, &p, 200);
	engine_request_stop(r->e);
	assert_ok(engine_wait(r->e, why));
	rig_stop(r);
	assert_int_equal(records_in(r, "out"), 200);
}

static void a_newer_instance_fences_the_older(void **state)
{
	struct rig *r = *state;
	struct ks_why said = {""};

	rig_topic(r, "in", 1);
	step_topic(&job_flow(r->job, "f", "in")->steps, "out");
	assert_ok(rig_start_with(r, false, 1, why));
	struct engine *old = r->e;
	assert_ok(rig_start_with(r, false, 1, why));
	rig_send(r, "in", "a", "1");
	assert_int_equal(engine_wait(old, &said), ERR_PRODUCER_FENCED);
	assert_true(said.text[0] != 0);
	engine_free(old);
	engine_request_stop(r->e);
	assert_ok(engine_wait(r->e, why));
	rig_stop(r);
	rig_pump(r);
	assert_int_equal(records_in(r, "out"), 1);
}

static void an_interval_batches_commits(void **state)
{
	struct rig *r = *state;
	struct engine_progress p = {0};
	int64_t start_ns = clock_monotonic_ns(&clock_real);

	rig_topic(r, "in", 1);
	r->job->commit_ms = 100;
	step_topic(&job_flow(r->job, "f", "in")->steps, "out");
	assert_ok(rig_start_with(r, false, 1, why));
	for (int i = 0; i < 50; i++)
		rig_send(r, "in", "a", "1");
	await_out(r, &p, 50);
	int64_t took_ms = (clock_monotonic_ns(&clock_real) - start_ns) / 1000000;
	assert_true((int64_t)p.commits <= took_ms / 100 + 2);
}

static void a_large_state_is_merged_and_read_back(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 2);
	rig_topic(r, "out", 1);
	r->job->cache_bytes = 300000;
	struct step_list *steps = &job_flow(r->job, "f", "in")->steps;
	step_add(steps, STEP_COUNT);
	step_topic(steps, "out");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			send_many(r, "in", i * 2000, (i + 1) * 2000, 20000);
		assert_ok(rig_run_once(r, 2, why));
		rig_reopen(r);
	}
	assert_int_equal(last_count(r, "out", "key-0"), 3);
	assert_int_equal(last_count(r, "out", "key-19999"), 3);
	assert_int_equal(records_in(r, "out"), 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKS(every_guarantee_counts_exactly_when_nothing_fails),
		TEST(threads_share_the_work_of_a_repartitioned_count),
		ROCKS(threads_share_the_work_of_a_repartitioned_count),
		TEST(a_running_job_picks_up_what_arrives_and_stops_when_asked),
		TEST(a_newer_instance_fences_the_older),
		TEST(an_interval_batches_commits),
		ROCKS(a_large_state_is_merged_and_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

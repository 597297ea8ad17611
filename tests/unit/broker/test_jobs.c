/* A job's commit: all of it or nothing, and only from the newest instance. And groups. */
#include "rig.h"

#include <pthread.h>

#include "store/store_impl.h"

struct result {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	int done, fenced;
	enum ks_err last;
};

static void committed(struct commit *c, enum ks_err err)
{
	struct result *result = c->cookie;

	pthread_mutex_lock(&result->mtx);
	result->done++;
	result->fenced += err == ERR_PRODUCER_FENCED;
	result->last = err;
	pthread_cond_signal(&result->changed);
	pthread_mutex_unlock(&result->mtx);
}

static void result_init(struct result *result)
{
	*result = (struct result){.done = 0};
	pthread_mutex_init(&result->mtx, NULL);
	pthread_cond_init(&result->changed, NULL);
}

static enum ks_err result_wait(struct result *result, int count)
{
	pthread_mutex_lock(&result->mtx);
	while (result->done < count)
		pthread_cond_wait(&result->changed, &result->mtx);
	pthread_mutex_unlock(&result->mtx);
	return result->last;
}

static enum ks_err commit_wait(struct rig *r, struct commit *c)
{
	struct result result;

	result_init(&result);
	c->done = committed;
	c->cookie = &result;
	broker_commit(r->b, c);
	return result_wait(&result, 1);
}

static struct slice state_key(uint8_t key[8], const struct job_session *s, const char *name)
{
	put_u32be(key, job_session_id(s));
	memcpy(key + 4, name, 4);
	return slice_of(key, 8);
}

static bool has_state(struct rig *r, struct slice key, const char *value)
{
	struct buf got = {0};
	enum ks_err err = store_get(broker_store(r->b), CF_STATE, key, &got);
	bool has = !err && slice_equal(buf_slice(&got), slice_str(value));

	buf_fini(&got);
	return has;
}

static void a_commit_moves_outputs_offsets_and_state_together(void **state)
{
	struct rig *r = *state;
	struct topic *in = rig_topic(r, "in", 1), *out = rig_topic(r, "out", 2);
	struct job_session *s;
	uint8_t key[8], key2[8];
	int64_t offset;

	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	rig_append(r, topic_partition(in, 0), 5, 0);
	struct commit_output outputs[] = {
		{topic_partition(out, 0), rig_frame(3, 0, 0, START_MS)},
		{topic_partition(out, 1), rig_frame(2, 100, 0, START_MS)},
		{topic_partition(out, 0), rig_frame(1, 3, 0, START_MS)},
	};
	struct commit_offset offsets[] = {{topic_partition(in, 0), 5}};
	struct commit_state states[] = {
		{STATE_PUT, state_key(key, s, "aaaa"), slice_str("1")},
		{STATE_PUT, state_key(key2, s, "bbbb"), slice_str("2")},
		{STATE_DELETE, state_key(key, s, "aaaa"), SLICE_NULL},
	};
	struct commit c = {.session = s,
			   .group = "job",
			   .outputs = outputs,
			   .output_count = 3,
			   .offsets = offsets,
			   .offset_count = 1,
			   .states = states,
			   .state_count = 3};
	assert_int_equal(commit_wait(r, &c), 0);
	assert_int_equal(partition_high_watermark(topic_partition(out, 0)), 4);
	assert_int_equal(rig_number_at(topic_partition(out, 0), 3), 3);
	assert_int_equal(rig_number_at(topic_partition(out, 1), 1), 101);
	assert_ok(broker_group_offset(r->b, "job", topic_partition(in, 0), &offset));
	assert_int_equal(offset, 5);
	assert_false(has_state(r, slice_of(key, 8), "1"));
	assert_true(has_state(r, slice_of(key2, 8), "2"));
	broker_job_close(s);
}

static void a_refused_commit_writes_nothing(void **state)
{
	struct rig *r = *state;
	struct topic *out = rig_topic(r, "out", 2), *gone = rig_topic(r, "gone", 1);
	struct job_session *s;
	uint8_t key[8];
	int64_t offset;

	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	assert_ok(broker_topic_delete(r->b, "gone", why));
	struct frame *damaged = rig_frame(1, 0, 0, START_MS);
	damaged->len -= 3;
	struct commit_offset offsets[] = {{topic_partition(out, 0), 5}};
	struct commit_state states[] = {{STATE_PUT, state_key(key, s, "aaaa"), slice_str("1")}};
	struct commit_output first[] = {{topic_partition(out, 0), rig_frame(3, 0, 0, START_MS)},
					{topic_partition(out, 1), damaged}};
	struct commit c = {.session = s,
			   .group = "job",
			   .outputs = first,
			   .output_count = 2,
			   .offsets = offsets,
			   .offset_count = 1,
			   .states = states,
			   .state_count = 1};
	assert_int_equal(commit_wait(r, &c), ERR_CORRUPT_MESSAGE);
	struct commit_output second[] = {{topic_partition(out, 0), rig_frame(3, 0, 0, START_MS)},
					 {topic_partition(gone, 0), rig_frame(3, 0, 0, START_MS)}};
	c.outputs = second;
	assert_int_equal(commit_wait(r, &c), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(partition_high_watermark(topic_partition(out, 0)), 0);
	assert_int_equal(broker_group_offset(r->b, "job", topic_partition(out, 0), &offset),
			 ERR_NOT_FOUND);
	assert_false(has_state(r, slice_of(key, 8), "1"));
	broker_job_close(s);
}

static void a_new_instance_fences_the_old_one(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "out", 1), 0);
	struct job_session *old, *newer, *other;
	struct ks_why sentence;

	assert_ok(broker_job_open(r->b, "job", "pid 1 on host a", &old, why));
	assert_ok(broker_job_open(r->b, "another", "x", &other, why));
	assert_int_not_equal(job_session_id(old), job_session_id(other));
	job_session_fenced_by(old, &sentence);
	assert_string_equal(sentence.text, "epoch 1 is the newest: nobody has taken over");
	assert_ok(broker_job_open(r->b, "job", "pid 2 on host b", &newer, why));
	assert_int_equal(job_session_id(old), job_session_id(newer));
	assert_int_equal(job_session_epoch(newer), job_session_epoch(old) + 1);

	struct commit_output output = {p, rig_frame(1, 1, 0, START_MS)};
	struct commit c = {.session = old, .group = "job", .outputs = &output, .output_count = 1};
	assert_int_equal(commit_wait(r, &c), ERR_PRODUCER_FENCED);
	assert_int_equal(partition_high_watermark(p), 0);
	job_session_fenced_by(old, &sentence);
	assert_string_equal(sentence.text,
			    "pid 2 on host b took over at 2023-11-14T22:13:20Z with epoch 2; this "
			    "instance has 1");
	output.batches = rig_frame(1, 2, 0, START_MS);
	c.session = newer;
	assert_int_equal(commit_wait(r, &c), 0);
	assert_int_equal(rig_number_at(p, 0), 2);
	broker_job_close(old);
	broker_job_close(newer);
	broker_job_close(other);
}

static void a_fenced_commit_does_not_spoil_its_group(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "out", 1), 0);
	struct job_session *sessions[2];
	struct commit_output outputs[100];
	struct commit commits[100];
	struct result result;

	assert_ok(broker_job_open(r->b, "job", "old", &sessions[0], why));
	assert_ok(broker_job_open(r->b, "job", "new", &sessions[1], why));
	result_init(&result);
	for (int i = 0; i < 100; i++) {
		outputs[i] = (struct commit_output){p, rig_frame(1, i, 0, START_MS)};
		commits[i] = (struct commit){.session = sessions[i % 2],
					     .group = "job",
					     .outputs = &outputs[i],
					     .output_count = 1,
					     .done = committed,
					     .cookie = &result};
		broker_commit(r->b, &commits[i]);
	}
	result_wait(&result, 100);
	assert_int_equal(result.fenced, 50);
	assert_int_equal(partition_high_watermark(p), 50);
	for (int i = 0; i < 50; i++)
		assert_int_equal(rig_number_at(p, i), 2 * i + 1);
	broker_job_close(sessions[0]);
	broker_job_close(sessions[1]);
}

static void commits_of_one_session_follow_each_other(void **state)
{
	struct rig *r = *state;
	struct job_session *s;
	struct partition *p = topic_partition(rig_topic(r, "in", 1), 0);
	struct commit commits[200];
	struct commit_state states[200][2];
	struct commit_offset offsets[200];
	struct result result;
	uint8_t key[8], range_to[8];
	char values[200][12];
	int64_t offset;

	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	state_key(key, s, "aaaa");
	state_key(range_to, s, "bbbb");
	result_init(&result);
	for (int i = 0; i < 200; i++) {
		snprintf(values[i], sizeof values[i], "%d", i);
		states[i][0] = (struct commit_state){STATE_DELETE_RANGE, slice_of(key, 8),
						     slice_of(range_to, 8)};
		states[i][1] =
			(struct commit_state){STATE_PUT, slice_of(key, 8), slice_str(values[i])};
		offsets[i] = (struct commit_offset){p, i};
		commits[i] = (struct commit){.session = s,
					     .group = "job",
					     .offsets = &offsets[i],
					     .offset_count = 1,
					     .states = states[i],
					     .state_count = 2,
					     .done = committed,
					     .cookie = &result};
		broker_commit(r->b, &commits[i]);
	}
	assert_int_equal(result_wait(&result, 200), 0);
	assert_true(has_state(r, slice_of(key, 8), "199"));
	assert_ok(broker_group_offset(r->b, "job", p, &offset));
	assert_int_equal(offset, 199);
	broker_job_close(s);
}

/* --- what others see --- */

static struct watching {
	struct rig *r;
	struct partition *out, *in;
	pthread_mutex_t mtx;
	pthread_cond_t looked;
	int looks;
	bool is_torn, is_over;
} watching = {
	.mtx = PTHREAD_MUTEX_INITIALIZER, .looked = PTHREAD_COND_INITIALIZER, .is_over = true};

/* Outputs are published after the write that holds the offsets: never seen before them. */
static bool sees_half(const struct watching *w)
{
	int64_t seen = partition_high_watermark(w->out), offset = 0;
	enum ks_err err = broker_group_offset(w->r->b, "job", w->in, &offset);

	return seen > 0 && (err || offset < seen);
}

static void *watch(void *arg)
{
	struct watching *w = arg;
	bool is_over = false;

	while (!is_over) {
		bool is_torn = sees_half(w);
		pthread_mutex_lock(&w->mtx);
		w->is_torn |= is_torn;
		w->looks++;
		is_over = w->is_over;
		pthread_cond_signal(&w->looked);
		pthread_mutex_unlock(&w->mtx);
	}
	return NULL;
}

/* Until one look has begun and ended since now; another may be under way. */
static void wait_for_look(struct watching *w)
{
	pthread_mutex_lock(&w->mtx);
	for (int enough = w->looks + 2; w->looks < enough && !w->is_over;)
		pthread_cond_wait(&w->looked, &w->mtx);
	pthread_mutex_unlock(&w->mtx);
}

/* The seam is the store's table of functions: every write is looked at before and after. */
static struct store_ops ops;
static enum ks_err (*real_commit)(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why);

static enum ks_err commit_watched(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why)
{
	wait_for_look(&watching);
	enum ks_err err = real_commit(s, w, sync, why);
	wait_for_look(&watching);
	return err;
}

static void open_watched(struct rig *r)
{
	struct store *s;

	broker_close(r->b);
	if (r->dir)
		assert_ok(store_open(r->dir, &r->options.store, &s, why));
	else
		s = store_open_memory();
	ops = *s->ops;
	real_commit = ops.commit;
	ops.commit = commit_watched;
	s->ops = &ops;
	assert_ok(broker_open_store(&r->options, s, &r->b, why));
}

static void commit_numbers(struct watching *w, int count)
{
	struct job_session *s;

	assert_ok(broker_job_open(w->r->b, "job", "me", &s, why));
	for (int i = 0; i < count; i++) {
		struct commit_output output = {w->out, rig_frame(1, i, 0, START_MS)};
		struct commit_offset offset = {w->in, i + 1};
		struct commit c = {.session = s,
				   .group = "job",
				   .outputs = &output,
				   .output_count = 1,
				   .offsets = &offset,
				   .offset_count = 1};
		assert_int_equal(commit_wait(w->r, &c), 0);
	}
	broker_job_close(s);
}

static void nobody_sees_half_a_commit(void **state)
{
	struct rig *r = *state;
	struct watching *w = &watching;
	pthread_t thread;

	open_watched(r);
	w->r = r;
	w->out = topic_partition(rig_topic(r, "out", 1), 0);
	w->in = topic_partition(rig_topic(r, "in", 1), 0);
	w->is_torn = w->is_over = false;
	w->looks = 0;
	pthread_create(&thread, NULL, watch, w);
	commit_numbers(w, 100);
	pthread_mutex_lock(&w->mtx);
	w->is_over = true;
	pthread_mutex_unlock(&w->mtx);
	pthread_join(thread, NULL);
	assert_false(w->is_torn);
	assert_true(w->looks >= 100 * 4); /* two or more on either side of each write */
}

static void a_job_keeps_number_epoch_and_state_over_a_restart(void **state)
{
	struct rig *r = *state;
	struct job_session *s;
	uint8_t key[8];

	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	uint32_t id = job_session_id(s);
	struct commit_state put = {STATE_PUT, state_key(key, s, "aaaa"), slice_str("1")};
	struct commit c = {.session = s, .group = "job", .states = &put, .state_count = 1};
	assert_int_equal(commit_wait(r, &c), 0);
	broker_job_close(s);
	rig_reopen(r);
	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	assert_int_equal(job_session_id(s), id);
	assert_int_equal(job_session_epoch(s), 2);
	assert_true(has_state(r, slice_of(key, 8), "1"));
	broker_job_close(s);
	assert_ok(broker_job_open(r->b, "next", "me", &s, why));
	assert_int_equal(job_session_id(s), id + 1);
	broker_job_close(s);
}

/* --- groups --- */

static void groups_are_committed_listed_and_deleted(void **state)
{
	struct rig *r = *state;
	struct topic *a = rig_topic(r, "a", 12), *b = rig_topic(r, "b", 1);
	struct group_offset offsets[] = {{topic_partition(b, 0), 7, 0},
					 {topic_partition(a, 11), 3, 0},
					 {topic_partition(a, 2), 4, 0}};
	struct group_offset *got;
	size_t count;
	char **names;

	names = broker_groups(r->b, &count);
	assert_int_equal(count, 0);
	free(names);
	assert_ok(broker_group_commit(r->b, "zebra", offsets, 3, why));
	assert_ok(broker_group_commit(r->b, "ant hill", offsets, 1, why));
	r->now_ms += 1000;
	assert_ok(broker_group_commit(r->b, "zebra",
				      &(struct group_offset){topic_partition(a, 2), 9, 0}, 1, why));
	names = broker_groups(r->b, &count);
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "ant hill");
	assert_string_equal(names[1], "zebra");
	free(names[0]);
	free(names[1]);
	free(names);

	assert_ok(broker_group_offsets(r->b, "zebra", &got, &count));
	assert_int_equal(count, 3);
	assert_ptr_equal(got[0].partition, topic_partition(a, 2));
	assert_int_equal(got[0].offset, 9);
	assert_int_equal(got[0].commit_time_ms, START_MS + 1000);
	assert_ptr_equal(got[1].partition, topic_partition(a, 11));
	assert_ptr_equal(got[2].partition, topic_partition(b, 0));
	assert_int_equal(got[2].commit_time_ms, START_MS);
	free(got);

	assert_ok(broker_group_delete(r->b, "zebra", why));
	assert_int_equal(broker_group_delete(r->b, "zebra", NULL), ERR_GROUP_ID_NOT_FOUND);
	assert_int_equal(broker_group_offsets(r->b, "zebra", &got, &count), ERR_GROUP_ID_NOT_FOUND);
	assert_ok(broker_group_offsets(r->b, "ant hill", &got, &count));
	assert_int_equal(count, 1);
	free(got);
}

static void group_names_and_offsets_are_checked(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct group_offset o = {p, -1, 0};
	char name[BROKER_GROUP_NAME_MAX + 2];
	int64_t offset;

	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = 0;
	assert_int_equal(broker_group_commit(r->b, name, &o, 1, NULL), ERR_INVALID_GROUP_ID);
	assert_int_equal(broker_group_commit(r->b, "", &o, 1, NULL), ERR_INVALID_GROUP_ID);
	assert_int_equal(broker_group_commit(r->b, "g", &o, 1, NULL), ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(broker_group_offset(r->b, "g", p, &offset), ERR_NOT_FOUND);
	name[sizeof name - 2] = 0;
	o.offset = 0;
	assert_ok(broker_group_commit(r->b, name, &o, 1, why));
	assert_ok(broker_group_offset(r->b, name, p, &offset));
	assert_int_equal(offset, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_commit_moves_outputs_offsets_and_state_together),
		BOTH(a_refused_commit_writes_nothing),
		BOTH(a_new_instance_fences_the_old_one),
		BOTH(a_fenced_commit_does_not_spoil_its_group),
		BOTH(commits_of_one_session_follow_each_other),
		BOTH(nobody_sees_half_a_commit),
		ROCKS(a_job_keeps_number_epoch_and_state_over_a_restart),
		BOTH(groups_are_committed_listed_and_deleted),
		MEMORY(group_names_and_offsets_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

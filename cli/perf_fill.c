/* perf_fill.c - topics of the generator's records. */
#include <pthread.h>
#include <stdlib.h>

#include "cli/perf.h"
#include "wire/batch.h"
#include "wire/checksum.h"

#define FILL_BATCH_BYTES 65536

enum ks_err perf_topic_create(struct broker *b, const char *name, int32_t partitions,
			      struct ks_why *why)
{
	static const struct config_entry keep_all = {"retention.ms", "-1"};
	struct topic_spec spec = {
		.name = name, .partitions = partitions, .configs = &keep_all, .config_count = 1};

	return broker_topic_create(b, &spec, why);
}

/* The batch that a partition's records are gathered in. */
struct lane {
	struct partition *partition;
	struct buf bytes;
	struct batch_writer writer;
	bool is_open;
};

struct perf_feed {
	/* owner: the feeding thread */
	struct broker *broker;
	struct topic *topic;
	struct input_maker maker;
	size_t batch_bytes;
	enum acks acks;
	struct lane *lanes;
	int32_t lane_count;
	struct buf scratch;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	int64_t under_way;
	enum ks_err err; /* the first that happened */
};

struct perf_feed *perf_feed_new(struct broker *b, struct topic *t, const struct input_spec *input,
				size_t batch_bytes, enum acks acks)
{
	struct perf_feed *f = xcalloc(1, sizeof *f);

	f->broker = b;
	f->topic = t;
	input_maker_init(&f->maker, input);
	f->batch_bytes = batch_bytes;
	f->acks = acks;
	f->lane_count = topic_partition_count(t);
	f->lanes = xcalloc((size_t)f->lane_count, sizeof *f->lanes);
	for (int32_t p = 0; p < f->lane_count; p++)
		f->lanes[p].partition = topic_partition(t, p);
	pthread_mutex_init(&f->mtx, NULL);
	pthread_cond_init(&f->changed, NULL);
	return f;
}

static void written(struct append *a, enum ks_err err)
{
	struct perf_feed *f = a->cookie;

	free(a);
	pthread_mutex_lock(&f->mtx);
	f->under_way--;
	if (!f->err)
		f->err = err;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->mtx);
}

/* The broker holds senders back when too much is queued, so nothing is counted here. */
static void send_lane(struct perf_feed *f, struct lane *l)
{
	struct append *a = xcalloc(1, sizeof *a);

	batch_writer_finish(&l->writer, CODEC_NONE, &f->scratch);
	l->is_open = false;
	a->partition = l->partition;
	a->frame = frame_copy(buf_slice(&l->bytes));
	a->acks = f->acks;
	a->done = written;
	a->cookie = f;
	buf_clear(&l->bytes);
	pthread_mutex_lock(&f->mtx);
	f->under_way++;
	pthread_mutex_unlock(&f->mtx);
	broker_append(f->broker, a);
}

void perf_feed_add(struct perf_feed *f, int64_t i)
{
	struct input_record r;

	input_make(&f->maker, i, &r);
	struct lane *l = &f->lanes[murmur2_partition(r.key.data, r.key.len, f->lane_count)];
	if (!l->is_open)
		batch_writer_begin(&l->writer, &l->bytes);
	l->is_open = true;
	batch_writer_append(&l->writer, r.timestamp, r.key, r.value, SLICE_NULL, 0);
	if (batch_writer_size(&l->writer) >= f->batch_bytes)
		send_lane(f, l);
}

void perf_feed_send(struct perf_feed *f)
{
	for (int32_t p = 0; p < f->lane_count; p++)
		if (f->lanes[p].is_open)
			send_lane(f, &f->lanes[p]);
}

enum ks_err perf_feed_finish(struct perf_feed *f, struct ks_why *why)
{
	perf_feed_send(f);
	pthread_mutex_lock(&f->mtx);
	while (f->under_way)
		pthread_cond_wait(&f->changed, &f->mtx);
	enum ks_err err = f->err;
	pthread_mutex_unlock(&f->mtx);
	if (err)
		ks_fail(why, err, "cannot fill %s: %s", topic_name(f->topic), ks_err_text(err));

	for (int32_t p = 0; p < f->lane_count; p++)
		buf_fini(&f->lanes[p].bytes);
	free(f->lanes);
	buf_fini(&f->scratch);
	input_maker_fini(&f->maker);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->mtx);
	free(f);
	return err;
}

enum ks_err perf_fill(struct broker *b, struct topic *t, const struct input_spec *input,
		      int64_t from, int64_t count, struct ks_why *why)
{
	struct perf_feed *f = perf_feed_new(b, t, input, FILL_BATCH_BYTES, ACKS_LEADER);

	for (int64_t i = from; i < from + count; i++)
		perf_feed_add(f, i);
	enum ks_err err = perf_feed_finish(f, why);
	return err ? err : store_flush(broker_store(b), why);
}

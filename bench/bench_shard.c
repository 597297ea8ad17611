/* bench_shard - what the shard alone can do: appends and commits, without network and scripts.
 *
 *   bench_shard append DIR|memory BYTES SECONDS [acks] [partitions]   batches of BYTES, 64 under way
 *   bench_shard commit DIR|memory SECONDS [no-sync]                   tiny commits, one at a time
 *   bench_shard read   DIR|memory BYTES                               1 GiB appended, then read from the store
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "wire/batch.h"

#define UNDER_WAY 64

struct bench {
	struct broker *b;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	size_t free_count;
	struct append appends[UNDER_WAY];
	struct append *free[UNDER_WAY];
	int done;
};

static double seconds(void)
{
	return (double)clock_monotonic_ns(&clock_real) / 1e9;
}

static struct broker *open_broker(const char *dir, bool no_sync)
{
	struct ks_why why = {""};
	struct broker_options o = {.dir = strcmp(dir, "memory") ? dir : NULL,
				   .store = {.create = true},
				   .no_sync = no_sync};
	struct broker *b;

	if (broker_open(&o, &b, &why)) {
		fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	return b;
}

static struct topic *make_topic(struct broker *b, const char *name, int32_t partitions)
{
	struct config_entry large = {"max.message.bytes", "100000000"};
	struct ks_why why;
	struct topic_spec spec = {
		.name = name, .partitions = partitions, .configs = &large, .config_count = 1};

	if (broker_topic_create(b, &spec, &why)) {
		fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	return broker_topic_find(b, name);
}

static struct frame *make_batch(size_t bytes)
{
	struct buf out = {0}, scratch = {0};
	struct batch_writer w = {0};
	uint8_t value[1024];

	for (size_t i = 0; i < sizeof value; i++)
		value[i] = (uint8_t)rand();
	batch_writer_begin(&w, &out);
	do
		batch_writer_append(&w, clock_now_ms(&clock_real), SLICE_NULL,
				    slice_of(value, bytes < 1100 ? bytes : sizeof value),
				    SLICE_NULL, 0);
	while (batch_writer_size(&w) + 1040 < bytes);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	struct frame *f = frame_copy(buf_slice(&out));
	buf_fini(&out);
	buf_fini(&scratch);
	return f;
}

static void appended(struct append *a, enum ks_err err)
{
	struct bench *x = a->cookie;

	assert(!err);
	pthread_mutex_lock(&x->mtx);
	x->free[x->free_count++] = a;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mtx);
}

static struct append *take_free(struct bench *x)
{
	pthread_mutex_lock(&x->mtx);
	while (!x->free_count)
		pthread_cond_wait(&x->changed, &x->mtx);
	struct append *a = x->free[--x->free_count];
	pthread_mutex_unlock(&x->mtx);
	return a;
}

static void init(struct bench *x, struct broker *b)
{
	*x = (struct bench){.b = b};
	pthread_mutex_init(&x->mtx, NULL);
	pthread_cond_init(&x->changed, NULL);
	for (int i = 0; i < UNDER_WAY; i++)
		x->free[x->free_count++] = &x->appends[i];
}

static void append_once(struct bench *x, struct topic *t, int64_t n, const struct frame *template,
			enum acks acks)
{
	struct append *a = take_free(x);

	*a = (struct append){.partition =
				     topic_partition(t, (int32_t)(n % topic_partition_count(t))),
			     .frame = frame_copy(slice_of(template->data, template->len)),
			     .acks = acks,
			     .done = appended,
			     .cookie = x};
	broker_append(x->b, a);
}

static void drain(struct bench *x)
{
	struct append *all[UNDER_WAY];

	for (int i = 0; i < UNDER_WAY; i++)
		all[i] = take_free(x);
	for (int i = 0; i < UNDER_WAY; i++)
		x->free[x->free_count++] = all[i];
}

static int bench_append(const char *dir, size_t bytes, double limit, enum acks acks, int partitions)
{
	struct broker *b = open_broker(dir, false);
	struct topic *t = make_topic(b, "bench", partitions);
	struct frame *template = make_batch(bytes);
	struct bench x;
	struct broker_stats stats;
	int64_t n = 0;

	init(&x, b);
	double start = seconds(), now = start;
	while (now - start < limit) {
		for (int i = 0; i < 16; i++)
			append_once(&x, t, n++, template, acks);
		now = seconds();
	}
	drain(&x);
	now = seconds();
	broker_stats(b, &stats);
	printf("append %zu B, acks %d: %.0f MB/s, %.0f batches/s, %.1f batches per write\n",
	       template->len, (int)acks, (double)n * (double)template->len / 1e6 / (now - start),
	       (double)n / (now - start), (double)n / (double)stats.groups_written);
	frame_unref(template);
	broker_close(b);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void committed(struct commit *c, enum ks_err err)
{
	struct bench *x = c->cookie;

	assert(!err);
	pthread_mutex_lock(&x->mtx);
	x->done++;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mtx);
}

static int bench_commit(const char *dir, double limit, bool no_sync)
{
	struct broker *b = open_broker(dir, no_sync);
	struct topic *t = make_topic(b, "bench", 2);
	struct frame *template = make_batch(200);
	double *latencies = malloc(sizeof *latencies * 10000000);
	struct job_session *s;
	struct bench x;
	uint8_t key[16] = {0};
	int n = 0;

	init(&x, b);
	if (broker_job_open(b, "bench", "me", &s, NULL))
		return 1;
	put_u32be(key, job_session_id(s));
	double start = seconds(), now = start;
	while (now - start < limit && n < 10000000) {
		struct commit_output output = {topic_partition(t, 0),
					       frame_copy(slice_of(template->data, template->len))};
		struct commit_offset offset = {topic_partition(t, 1), n};
		struct commit_state state = {STATE_PUT, slice_of(key, sizeof key),
					     slice_of(key, 16)};
		struct commit c = {.session = s,
				   .group = "bench",
				   .outputs = &output,
				   .output_count = 1,
				   .offsets = &offset,
				   .offset_count = 1,
				   .states = &state,
				   .state_count = 1,
				   .done = committed,
				   .cookie = &x};
		broker_commit(b, &c);
		pthread_mutex_lock(&x.mtx);
		while (x.done == n)
			pthread_cond_wait(&x.changed, &x.mtx);
		pthread_mutex_unlock(&x.mtx);
		double after = seconds();
		latencies[n++] = (after - now) * 1e6;
		now = after;
	}
	qsort(latencies, (size_t)n, sizeof *latencies, compare);
	printf("commit%s: %.0f/s, p50 %.0f us, p99 %.0f us, max %.0f us\n",
	       no_sync ? ", no sync" : "", (double)n / (now - start), latencies[n / 2],
	       latencies[n - 1 - n / 100], latencies[n - 1]);
	free(latencies);
	frame_unref(template);
	broker_job_close(s);
	broker_close(b);
	return 0;
}

static double read_all(struct partition *p, size_t *bytes, int *chunks)
{
	struct reader *r = reader_new(p);
	struct ks_why why = {""};
	int64_t offset = 0;
	double start = seconds();

	while (offset < partition_high_watermark(p)) {
		struct chunk c;
		struct batch batch;
		if (reader_read(r, offset, 1 << 20, &c, &why)) {
			fprintf(stderr, "%s\n", why.text);
			exit(1);
		}
		for (size_t at = 0; at < c.bytes.len; at += batch.bytes.len) {
			batch_peek(slice_of(c.bytes.data + at, c.bytes.len - at), &batch);
			offset = batch_last_offset(&batch) + 1;
		}
		*bytes += c.bytes.len;
		++*chunks;
		chunk_fini(&c);
	}
	reader_free(r);
	return seconds() - start;
}

static int bench_read(const char *dir, size_t bytes)
{
	struct broker *b = open_broker(dir, false);
	struct topic *t = make_topic(b, "bench", 1);
	struct frame *template = make_batch(bytes);
	struct bench x;

	init(&x, b);
	for (size_t n = 0; n < (1 << 30) / template->len; n++)
		append_once(&x, t, 0, template, ACKS_LEADER);
	drain(&x);
	for (int i = 0; i < 2; i++) {
		size_t got = 0;
		int chunks = 0;
		double took = read_all(topic_partition(t, 0), &got, &chunks);
		printf("read %zu B batches: %.0f MB/s, %d chunks, CRCs checked\n", template->len,
		       (double)got / 1e6 / took, chunks);
	}
	frame_unref(template);
	broker_close(b);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "append") == 0)
		return bench_append(argv[2], (size_t)atol(argv[3]), atof(argv[4]),
				    argc > 5 ? (enum acks)atoi(argv[5]) : ACKS_LEADER,
				    argc > 6 ? atoi(argv[6]) : 1);
	if (argc >= 4 && strcmp(argv[1], "commit") == 0)
		return bench_commit(argv[2], atof(argv[3]), argc > 4);
	if (argc >= 4 && strcmp(argv[1], "read") == 0)
		return bench_read(argv[2], (size_t)atol(argv[3]));
	fprintf(stderr, "see the head of bench_shard.c\n");
	return 2;
}

/* bench_requests - what the shard costs a server whose requests are small.
 *
 *   bench_requests DIR|memory SECONDS [acks] [loops] [under way] [partitions] [idempotent] [plays]
 *
 * Each loop thread plays a server's: for every answer that comes back it reads the next request, a frame of its
 * own with one batch of one record within, and appends it. under way: requests per loop, one partition each.
 * plays: 0 leaves all work to the shard's thread, 1 lets a loop carry out what it has queued.
 * Tells requests per second, CPU per request of the whole process and of the shard's thread, and how many requests
 * shared a write.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "broker/broker.h"
#include "wire/batch.h"

#define LOOPS_MAX      64
#define REQUEST_BEFORE 60 /* bytes of a request around its batch */
#define REQUEST_AFTER  2

struct exchange {
	struct append append;
	struct loop *loop;
	struct exchange *next; /* answered */
	int64_t producer_id;   /* -1: not idempotent */
	int32_t sequence;
};

struct loop {
	pthread_t thread;
	struct broker *b;
	struct exchange *exchanges;
	int count;
	enum acks acks;
	const struct frame *template;
	bool is_idempotent, plays;
	int64_t requests;

	/* shared: a stack of what is answered, pushed by the shard, taken whole by the loop */
	_Atomic(struct exchange *) answered;
	_Atomic(bool) sleeps;
	pthread_mutex_t mtx;
	pthread_cond_t woken;
};

static _Atomic(bool) is_over;

static int64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static _Atomic(int64_t) shard_ns; /* CPU of the thread that answers */
static int64_t shard_first_ns;
static int answers;

static void done(struct append *a, enum ks_err err)
{
	struct exchange *x = a->cookie;
	struct loop *l = x->loop;

	assert(!err);
	if (++answers % 1024 == 1) {
		int64_t now = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		if (!shard_first_ns)
			shard_first_ns = now;
		atomic_store(&shard_ns, now - shard_first_ns);
	}
	x->next = atomic_load(&l->answered);
	while (!atomic_compare_exchange_weak(&l->answered, &x->next, x))
		;
	if (atomic_exchange(&l->sleeps, false)) {
		pthread_mutex_lock(&l->mtx);
		pthread_cond_signal(&l->woken);
		pthread_mutex_unlock(&l->mtx);
	}
}

static void request(struct loop *l, struct exchange *x)
{
	const struct frame *template = l->template;
	struct frame *f = frame_new(REQUEST_BEFORE + template->len + REQUEST_AFTER);
	uint8_t *batch = f->data + REQUEST_BEFORE;

	memcpy(batch, template->data, template->len);
	f->len = f->cap;
	if (x->producer_id >= 0) {
		batch_set_producer(batch, template->len, x->producer_id, 0, x->sequence, false);
		x->sequence = (int32_t)(((uint32_t)x->sequence + 1) & INT32_MAX);
	}
	x->append.frame = f;
	x->append.batches = slice_of(batch, template->len);
	l->requests++;
	if (l->plays)
		broker_append_queue(l->b, &x->append);
	else
		broker_append(l->b, &x->append);
}

/* The answered ones, oldest first. */
static struct exchange *take(struct loop *l)
{
	struct exchange *taken, *in_order = NULL;

	while (!(taken = atomic_exchange(&l->answered, NULL))) {
		atomic_store(&l->sleeps, true);
		pthread_mutex_lock(&l->mtx);
		while (atomic_load(&l->sleeps) && !atomic_load(&l->answered))
			pthread_cond_wait(&l->woken, &l->mtx);
		pthread_mutex_unlock(&l->mtx);
		atomic_store(&l->sleeps, false);
	}
	while (taken) {
		struct exchange *next = taken->next;
		taken->next = in_order;
		in_order = taken;
		taken = next;
	}
	return in_order;
}

static void *run(void *arg)
{
	struct loop *l = arg;
	int under_way = l->count;

	for (int i = 0; i < l->count; i++)
		request(l, &l->exchanges[i]);
	if (l->plays)
		broker_run_queued(l->b);
	while (under_way > 0) {
		for (struct exchange *x = take(l), *next; x; x = next) {
			next = x->next;
			if (atomic_load_explicit(&is_over, memory_order_relaxed))
				under_way--;
			else
				request(l, x);
		}
		if (l->plays)
			broker_run_queued(l->b);
	}
	return NULL;
}

static void start(struct loop *l, struct topic *t, int number)
{
	pthread_mutex_init(&l->mtx, NULL);
	pthread_cond_init(&l->woken, NULL);
	l->exchanges = calloc((size_t)l->count, sizeof *l->exchanges);
	for (int i = 0; i < l->count; i++) {
		struct exchange *x = &l->exchanges[i];
		int n = number * l->count + i;
		x->loop = l;
		x->producer_id = l->is_idempotent ? n : -1;
		x->append = (struct append){
			.partition = topic_partition(t, n % topic_partition_count(t)),
			.acks = l->acks,
			.done = done,
			.cookie = x};
	}
	pthread_create(&l->thread, NULL, run, l);
}

static struct frame *make_batch(void)
{
	struct buf out = {0}, scratch = {0};
	struct batch_writer w = {0};
	uint8_t value[100];

	memset(value, 'v', sizeof value);
	batch_writer_begin(&w, &out);
	batch_writer_append(&w, clock_now_ms(&clock_real), SLICE_NULL,
			    slice_of(value, sizeof value), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	struct frame *f = frame_copy(buf_slice(&out));
	buf_fini(&out);
	buf_fini(&scratch);
	return f;
}

static double process_seconds(void)
{
	return (double)cpu_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9;
}

static int64_t number(int argc, char **argv, int i, int64_t otherwise)
{
	return argc > i ? atoll(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
	struct broker_options o = {.store = {.create = true}};
	struct broker_stats before, after;
	struct loop loops[LOOPS_MAX] = {0};
	struct ks_why why = {""};
	struct broker *b;

	if (argc < 3) {
		fprintf(stderr, "see the head of bench_requests.c\n");
		return 2;
	}
	int loop_count = (int)number(argc, argv, 4, 2);
	int partitions = (int)number(argc, argv, 6, 1);
	bool is_idempotent = number(argc, argv, 7, 0), plays = number(argc, argv, 8, 1);
	o.dir = strcmp(argv[1], "memory") ? argv[1] : NULL;
	if (broker_open(&o, &b, &why) ||
	    broker_topic_create(b, &(struct topic_spec){.name = "bench", .partitions = partitions},
				&why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	struct frame *template = make_batch();
	broker_stats(b, &before);
	double cpu = process_seconds();
	int64_t begin = clock_monotonic_ns(&clock_real);
	for (int i = 0; i < loop_count; i++) {
		loops[i].b = b;
		loops[i].acks = (enum acks)number(argc, argv, 3, ACKS_LEADER);
		loops[i].count = (int)number(argc, argv, 5, 32);
		loops[i].template = template;
		loops[i].is_idempotent = is_idempotent;
		loops[i].plays = plays;
		start(&loops[i], broker_topic_find(b, "bench"), i);
	}
	struct timespec duration = {(time_t)atof(argv[2]), 0};
	nanosleep(&duration, NULL);
	atomic_store(&is_over, true);
	int64_t requests = 0;
	for (int i = 0; i < loop_count; i++) {
		pthread_join(loops[i].thread, NULL);
		requests += loops[i].requests;
		free(loops[i].exchanges);
	}
	double seconds = (double)(clock_monotonic_ns(&clock_real) - begin) / 1e9;
	cpu = process_seconds() - cpu;
	broker_stats(b, &after);
	printf("%zu B, acks %d%s: %.0f requests/s, %.2f us CPU each, of that the shard %.2f us; "
	       "%.1f per write\n",
	       template->len, (int)loops[0].acks, is_idempotent ? ", idempotent" : "",
	       (double)requests / seconds, cpu * 1e6 / (double)requests,
	       (double)atomic_load(&shard_ns) / 1e3 / (double)requests,
	       (double)requests / (double)(after.groups_written - before.groups_written));
	frame_unref(template);
	broker_close(b);
	return 0;
}

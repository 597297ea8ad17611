/* perf_latency.c - see perf_latency.h.
 *
 * A job hands the timestamp of a record on to what it makes of it, and the generator's timestamps
 * count the records. So an output's timestamp says which record it comes from, and that says when
 * it was due: nothing has to be added to the records.
 */
#include "cli/perf_latency.h"

#include <pthread.h>
#include <stdlib.h>

#include "cli/say.h"
#include "wire/batch.h"

#define FETCH_BYTES (1 << 20)
#define GRACE_NS    INT64_C(1000000000) /* how long the reader goes on behind the last record */

struct pace {
	int64_t begin_ns, rate, count, linger_ns;
};

static int64_t due_ns(const struct pace *p, int64_t i)
{
	return p->begin_ns + (i / p->rate) * 1000000000 + (i % p->rate) * 1000000000 / p->rate;
}

/* --- the sender: a thread of its own --- */

struct sender {
	const struct perf_rig *rig;
	const struct pace *pace;
	enum ks_err err;
	struct ks_why why;
};

/* As a Kafka producer with linger.ms: the first record of a batch waits so long for others. */
static void *send_all(void *arg)
{
	struct sender *s = arg;
	struct perf_feed *f =
		perf_feed_new(s->rig->broker, s->rig->topic, &s->rig->input, 65536, ACKS_ALL);
	int64_t i = 0;

	while (i < s->pace->count) {
		perf_sleep_until(due_ns(s->pace, i) + s->pace->linger_ns);
		for (int64_t now = perf_now_ns(); i < s->pace->count && due_ns(s->pace, i) <= now;
		     i++)
			perf_feed_add(f, i);
		perf_feed_send(f);
	}
	s->err = perf_feed_finish(f, &s->why);
	return NULL;
}

/* --- the reader: the verb's own thread --- */

struct place {
	struct reader *reader;
	int64_t next; /* offset */
};

struct reading {
	const struct pace *pace;
	struct waiter *waiter;
	struct place *places;
	size_t place_count;
	struct buf scratch;
	struct histogram ns;
};

static void watch_topic(struct reading *r, struct topic *t)
{
	int32_t partitions = topic_partition_count(t);

	r->places = xrealloc(r->places, (r->place_count + (size_t)partitions) * sizeof *r->places);
	for (int32_t p = 0; p < partitions; p++) {
		r->places[r->place_count++] = (struct place){reader_new(topic_partition(t, p)), 0};
		waiter_watch(r->waiter, topic_partition(t, p));
	}
}

/* Every topic but the job's input and internal ones is an output. */
static void watch_outputs(struct reading *r, const struct perf_rig *rig)
{
	size_t count;
	struct topic **topics = broker_topics(rig->broker, &count);

	for (size_t i = 0; i < count; i++)
		if (topics[i] != rig->topic && !topic_is_internal(topics[i]))
			watch_topic(r, topics[i]);
	free(topics);
}

static void take_record(struct reading *r, const struct record *record, int64_t now)
{
	int64_t i = record->timestamp - INPUT_TIME_BASE;

	if (i >= r->pace->count / 4 && i < r->pace->count)
		histogram_record(&r->ns, now - due_ns(r->pace, i));
}

static enum ks_err take_chunk(struct reading *r, struct place *place, struct slice bytes)
{
	int64_t now = perf_now_ns();
	struct record_iter it;
	struct record record;
	struct batch b;

	while (bytes.len) {
		enum ks_err err = batch_peek(bytes, &b);
		if (!err)
			err = record_iter_init(&it, &b, SIZE_MAX, &r->scratch);
		if (err)
			return err;
		while (record_iter_next(&it, &record) == 1)
			if (record.offset >= place->next)
				take_record(r, &record, now);
		place->next = batch_last_offset(&b) + 1;
		bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len);
	}
	return ERR_NONE;
}

static enum ks_err take_place(struct reading *r, struct place *place, struct ks_why *why)
{
	struct chunk chunk;
	enum ks_err err;

	while ((err = reader_read(place->reader, place->next, FETCH_BYTES, &chunk, why)) ==
	       ERR_NONE) {
		err = take_chunk(r, place, chunk.bytes);
		chunk_fini(&chunk);
		if (err)
			return ks_fail(why, err, "an output cannot be read: %s", ks_err_text(err));
	}
	return err == ERR_EMPTY ? ERR_NONE : err;
}

/* Reads until every record had its time, or the job stops. */
static enum ks_err take_all(struct reading *r, struct engine *engine, struct ks_why *why)
{
	int64_t end = due_ns(r->pace, r->pace->count) + r->pace->linger_ns + GRACE_NS;
	bool running = true;
	enum ks_err err = ERR_NONE;

	while (!err && running && perf_now_ns() < end) {
		uint64_t ticket = waiter_ticket(r->waiter);
		for (size_t p = 0; !err && p < r->place_count; p++)
			err = take_place(r, &r->places[p], why);
		if (!err)
			err = engine_wait_for(engine, 0, &running, why);
		if (!err)
			waiter_wait(r->waiter, ticket, 20);
	}
	return err;
}

static void reading_fini(struct reading *r)
{
	waiter_free(r->waiter);
	for (size_t p = 0; p < r->place_count; p++)
		reader_free(r->places[p].reader);
	free(r->places);
	buf_fini(&r->scratch);
}

/* --- both --- */

static enum ks_err run(struct perf_rig *rig, struct pace *pace, struct reading *r,
		       struct ks_why *why)
{
	struct sender sender = {.rig = rig, .pace = pace};
	struct engine *engine = NULL;
	struct ks_why late;
	pthread_t thread;

	enum ks_err err = perf_rig_start(rig, false, &engine, why);
	if (err)
		return err;
	r->pace = pace;
	r->waiter = waiter_new();
	watch_outputs(r, rig);
	pace->begin_ns = perf_now_ns() + 100000000;
	pthread_create(&thread, NULL, send_all, &sender);
	err = take_all(r, engine, why);
	pthread_join(thread, NULL);
	if (!err && sender.err) {
		err = sender.err;
		*why = sender.why;
	}
	engine_request_stop(engine);
	enum ks_err stopped = engine_wait(engine, &late);
	if (!err && stopped) {
		err = stopped;
		*why = late;
	}
	engine_free(engine);
	return err;
}

static void report(const struct perf_rig *rig, const struct pace *pace, const struct reading *r,
		   double cpu_seconds, struct perf_rows *rows)
{
	perf_text(rows, "job", rig->job.name);
	perf_number(rows, "threads", rig->threads, 0);
	perf_number(rows, "rate", (double)pace->rate, 0);
	perf_number(rows, "records", (double)pace->count, 0);
	perf_number(rows, "counted", (double)r->ns.count, 0);
	perf_quantiles(rows, &r->ns);
	perf_number(rows, "max_ms", (double)r->ns.max * 1e-6, 3);
	perf_number(rows, "cpu_s_per_M", cpu_seconds / ((double)pace->count * 1e-6), 1);
	perf_row(rows);
}

int perf_latency(struct perf_rig *rig, const struct options *o, struct perf_rows *rows)
{
	struct pace pace = {.rate = options_number(o, "latency"),
			    .linger_ns = options_number(o, "linger-ms") * 1000000};
	struct reading *r = xcalloc(1, sizeof *r);
	struct perf_span span;
	struct ks_why why = {""};
	int64_t outputs;

	pace.count = pace.rate * options_number(o, "seconds");
	perf_begin(&span);
	enum ks_err err = run(rig, &pace, r, &why);
	double cpu_seconds = perf_cpu_seconds(&span);
	if (!err)
		err = perf_rig_check(rig, pace.count, &outputs, &why);
	if (!err)
		report(rig, &pace, r, cpu_seconds, rows);
	reading_fini(r);
	free(r);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

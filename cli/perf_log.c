/* perf_log.c - `ksrun perf log`: the log alone, next to plain files on the same disk.
 *
 *   append synced     acks=all; the shard writes groups of about 1 MiB and syncs each
 *   half load         the same at half of the speed just reached: what a commit takes when the disk
 *                     is not the limit; a reader follows meanwhile
 *   tail read         the newest records again and again, from memory
 *   append settled    no sync; the time ends when everything is flushed to files
 *   scan cold, warm   all of it from the start, by a broker that was just opened
 */
#include <stdlib.h>

#include "cli/perf_log.h"
#include "cli/say.h"
#include "cli/verb.h"
#include "wire/batch.h"

#define WINDOW_BYTES (2 << 20) /* under way at a time: a group at the disk, one behind it */
#define TAIL_BYTES   (16 << 20)
#define TAIL_ROUNDS  20
#define FETCH_BYTES  (1 << 20)
#define NUM_MAX      ((int64_t)1 << 40)
#define MB_MAX       ((int64_t)1 << 24)

const struct option perf_log_options[] = {
	{.letter = 'n',
	 .name = "num",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "0",
	 .help = "records; 0: as many as --mb says"},
	{.name = "mb",
	 .type = OPTION_NUMBER,
	 .arg = "MB",
	 .fallback = "1024",
	 .help = "how much to append"},
	{.name = "record-bytes",
	 .name_too = "record-size",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "100",
	 .help = "bytes of a value"},
	{.name = "batch-bytes",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "65536",
	 .help = "bytes of a batch"},
	{.name = "partitions",
	 .type = OPTION_NUMBER,
	 .arg = "P",
	 .fallback = "1",
	 .help = "partitions"},
	PERF_FORMAT_OPTION,
	{0},
};

/* One phase: what it took, for the row that tells of it. */
struct phase {
	double seconds, cpu_seconds;
	double raw_seconds; /* of the same bytes; 0: there is no such thing */
	int64_t records, bytes;
	struct histogram ns;
};

static void report(struct perf_rows *rows, const char *name, const struct phase *p)
{
	perf_text(rows, "phase", name);
	perf_number(rows, "records_per_s", (double)p->records / p->seconds, 0);
	perf_number(rows, "MB_per_s", (double)p->bytes * 1e-6 / p->seconds, 1);
	perf_number(rows, "cpu_s_per_M", p->cpu_seconds / ((double)p->records * 1e-6), 3);
	perf_quantiles(rows, &p->ns);
	if (p->raw_seconds > 0) {
		perf_number(rows, "raw_MB_per_s", (double)p->bytes * 1e-6 / p->raw_seconds, 1);
		perf_number(rows, "ratio", p->raw_seconds / p->seconds, 2);
	} else {
		perf_text(rows, "raw_MB_per_s", "-");
		perf_text(rows, "ratio", "-");
	}
	perf_row(rows);
}

static void phase_end(struct phase *p, const struct perf_span *span, const struct log_load *l,
		      int64_t batches)
{
	p->seconds = perf_seconds(span);
	p->cpu_seconds = perf_cpu_seconds(span);
	p->records = batches * l->records_per_batch;
	p->bytes = batches * (int64_t)l->batch_bytes;
}

static enum ks_err open_broker(const char *dir, const struct log_load *l, bool no_sync,
			       struct broker **out, struct ks_why *why)
{
	struct broker_options options = {
		.dir = dir,
		.store = {.create = true},
		.group_bytes_max = no_sync ? 0 : LOG_GROUP_BYTES,
		.no_sync = no_sync,
	};
	enum ks_err err = broker_open(&options, out, why);

	if (!err && !broker_topic_find(*out, LOG_TOPIC))
		err = perf_topic_create(*out, LOG_TOPIC, l->partitions, why);
	return err;
}

/* --- reading --- */

struct place {
	struct reader *reader;
	int64_t next; /* offset */
};

/* Takes what there is, up to max_bytes at once. Returns the bytes; -1 and *err: it failed. */
static int64_t read_some(struct place *p, size_t max_bytes, enum ks_err *err, struct ks_why *why)
{
	struct chunk chunk;
	struct batch b;

	*err = reader_read(p->reader, p->next, max_bytes, &chunk, why);
	if (*err == ERR_EMPTY) {
		*err = ERR_NONE;
		return 0;
	}
	if (*err)
		return -1;
	int64_t bytes = (int64_t)chunk.bytes.len;
	for (struct slice s = chunk.bytes; s.len && !*err;) {
		*err = batch_verify(s, &b); /* as a consumer does: every byte is touched */
		if (*err)
			break;
		p->next = batch_last_offset(&b) + 1;
		s = slice_of(s.data + b.bytes.len, s.len - b.bytes.len);
	}
	chunk_fini(&chunk);
	return *err ? -1 : bytes;
}

/* Everything between the offsets from and the high watermarks; from NULL: from the start. */
static enum ks_err read_all(struct topic *t, const int64_t *from, int64_t *bytes,
			    struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (int32_t i = 0; !err && i < topic_partition_count(t); i++) {
		struct partition *partition = topic_partition(t, i);
		struct place p = {reader_new(partition),
				  from ? from[i] : partition_log_start_offset(partition)};
		for (int64_t n = 1; n > 0; *bytes += n > 0 ? n : 0)
			n = read_some(&p, FETCH_BYTES, &err, why);
		reader_free(p.reader);
	}
	return err;
}

/* --- append synced, half load --- */

static enum ks_err append_all(struct broker *b, const struct log_load *l, enum acks acks,
			      struct phase *p, struct ks_why *why)
{
	struct log_appender *a = xmalloc(sizeof *a);
	struct perf_span span;

	log_appender_init(a, b, l, acks, WINDOW_BYTES);
	perf_begin(&span);
	log_append(a, 0, l->batches, 0, 0);
	enum ks_err err = log_appender_finish(a, why);
	if (!err && acks != ACKS_ALL)
		err = store_flush(broker_store(b), why);
	phase_end(p, &span, l, l->batches);
	if (acks == ACKS_ALL)
		p->ns = a->ns;
	free(a);
	return err;
}

/* Follows the appends of a paced run: batch k is the (k / partitions)-th new one of its partition,
 * so its offset says when it was due. */
struct follower {
	/* immutable after start */
	struct topic *topic;
	const struct log_load *load;
	int64_t batches, begin_ns, interval_ns;
	const int64_t *from;   /* offsets */
	_Atomic(bool) is_over; /* shared: nothing more comes */
	/* owner: the following thread; the starter after it was joined */
	struct place *places;
	struct histogram ns;
	enum ks_err err;
	struct ks_why why;
};

static int64_t follow_partition(struct follower *f, int32_t i)
{
	const struct log_load *l = f->load;
	struct place *p = &f->places[i];
	int64_t taken = 0;

	for (int64_t nth = (p->next - f->from[i]) / l->records_per_batch;
	     read_some(p, l->batch_bytes, &f->err, &f->why) > 0;) {
		int64_t now = perf_now_ns(), end = (p->next - f->from[i]) / l->records_per_batch;
		for (; nth < end; nth++, taken++) {
			int64_t k = nth * l->partitions + i;
			histogram_record(&f->ns, now - (f->begin_ns + k * f->interval_ns));
		}
	}
	return taken;
}

static void *follow(void *arg)
{
	struct follower *f = arg;
	struct waiter *w = waiter_new();
	int64_t left = f->batches;

	f->places = xcalloc((size_t)f->load->partitions, sizeof *f->places);
	for (int32_t i = 0; i < f->load->partitions; i++) {
		f->places[i] = (struct place){reader_new(topic_partition(f->topic, i)), f->from[i]};
		waiter_watch(w, topic_partition(f->topic, i));
	}
	while (left > 0 && !f->err) {
		bool is_over = f->is_over; /* before looking */
		uint64_t ticket = waiter_ticket(w);
		int64_t taken = 0;
		for (int32_t i = 0; i < f->load->partitions && !f->err; i++)
			taken += follow_partition(f, i);
		left -= taken;
		if (taken)
			continue;
		if (is_over)
			break;
		waiter_wait(w, ticket, 100);
	}
	for (int32_t i = 0; i < f->load->partitions; i++)
		reader_free(f->places[i].reader);
	free(f->places);
	waiter_free(w);
	return NULL;
}

static int64_t *ends_of(struct topic *t)
{
	int64_t *ends = xcalloc((size_t)topic_partition_count(t), sizeof *ends);

	for (int32_t i = 0; i < topic_partition_count(t); i++)
		ends[i] = partition_high_watermark(topic_partition(t, i));
	return ends;
}

/* Half of the batches at half of the speed: as long as the phase before. */
static enum ks_err half_load(struct broker *b, const struct log_load *l, const struct phase *full,
			     struct phase *commits, struct phase *reads, struct ks_why *why)
{
	struct log_appender *a = xmalloc(sizeof *a);
	struct follower *f = xcalloc(1, sizeof *f);
	struct topic *t = broker_topic_find(b, LOG_TOPIC);
	int64_t *from = ends_of(t);
	struct perf_span span;
	pthread_t thread;

	f->topic = t;
	f->load = l;
	f->from = from;
	f->batches = l->batches / 2 > 0 ? l->batches / 2 : 1;
	f->interval_ns = (int64_t)(2e9 * full->seconds / (double)l->batches);
	f->begin_ns = perf_now_ns() + 1000000;
	log_appender_init(a, b, l, ACKS_ALL, 64 << 20);
	pthread_create(&thread, NULL, follow, f);
	perf_begin(&span);
	log_append(a, 0, f->batches, f->begin_ns, f->interval_ns);
	enum ks_err err = log_appender_finish(a, why);
	phase_end(commits, &span, l, f->batches);
	commits->ns = a->ns;
	f->is_over = true;
	pthread_join(thread, NULL);
	*reads = *commits;
	reads->ns = f->ns;
	if (!err && f->err) {
		err = f->err;
		*why = f->why;
	}
	free(from);
	free(f);
	free(a);
	return err;
}

static enum ks_err tail_read(struct broker *b, const struct log_load *l, struct phase *p,
			     struct ks_why *why)
{
	struct topic *t = broker_topic_find(b, LOG_TOPIC);
	int64_t *from = ends_of(t), bytes = 0;
	int64_t batches = TAIL_BYTES / (int64_t)l->batch_bytes / l->partitions;
	struct perf_span span;
	enum ks_err err = ERR_NONE;

	for (int32_t i = 0; i < l->partitions; i++) {
		from[i] -= batches * l->records_per_batch;
		if (from[i] < 0)
			from[i] = 0;
	}
	perf_begin(&span);
	for (int round = 0; !err && round < TAIL_ROUNDS; round++)
		err = read_all(t, from, &bytes, why);
	phase_end(p, &span, l, bytes / (int64_t)l->batch_bytes);
	free(from);
	return err;
}

static enum ks_err run_synced(const struct log_load *l, const char *dir, const struct log_raw *raw,
			      struct perf_rows *rows, struct ks_why *why)
{
	struct phase p = {0}, reads = {0};
	struct broker *b = NULL;

	enum ks_err err = open_broker(dir, l, false, &b, why);
	if (!err)
		err = append_all(b, l, ACKS_ALL, &p, why);
	if (!err) {
		p.raw_seconds = raw->synced_s;
		report(rows, "append synced", &p);
		struct phase half = {0};
		err = half_load(b, l, &p, &half, &reads, why);
		if (!err) {
			report(rows, "half load, append", &half);
			report(rows, "half load, tail read", &reads);
		}
	}
	if (!err) {
		struct phase tail = {0};
		err = tail_read(b, l, &tail, why);
		if (!err)
			report(rows, "tail read", &tail);
	}
	broker_close(b);
	return err;
}

/* --- append settled, scans --- */

static enum ks_err scan(const char *dir, const struct log_load *l, bool is_cold, double raw_seconds,
			struct perf_rows *rows, struct ks_why *why)
{
	struct phase p = {.raw_seconds = raw_seconds};
	struct broker *b = NULL;
	struct perf_span span;
	int64_t bytes = 0;

	if (is_cold)
		log_drop_caches(dir);
	enum ks_err err = open_broker(dir, l, true, &b, why);
	perf_begin(&span);
	if (!err)
		err = read_all(broker_topic_find(b, LOG_TOPIC), NULL, &bytes, why);
	phase_end(&p, &span, l, l->batches);
	if (!err && bytes != log_load_bytes(l))
		err = ks_fail(why, ERR_CORRUPTION, "%lld bytes were read of %lld appended",
			      (long long)bytes, (long long)log_load_bytes(l));
	if (!err)
		report(rows, is_cold ? "scan cold" : "scan warm", &p);
	broker_close(b);
	return err;
}

static enum ks_err run_settled(const struct log_load *l, const char *dir, const struct log_raw *raw,
			       struct perf_rows *rows, struct ks_why *why)
{
	struct phase p = {.raw_seconds = raw->settled_s};
	struct broker *b = NULL;

	enum ks_err err = open_broker(dir, l, true, &b, why);
	if (!err)
		err = append_all(b, l, ACKS_LEADER, &p, why);
	broker_close(b);
	if (!err)
		report(rows, "append settled", &p);
	if (!err)
		err = scan(dir, l, true, raw->cold_s, rows, why);
	if (!err)
		err = scan(dir, l, false, raw->warm_s, rows, why);
	return err;
}

/* --- the verb --- */

static void report_raw(const struct log_load *l, const struct log_raw *raw, struct perf_rows *rows)
{
	struct phase p = {.records = log_load_records(l),
			  .bytes = log_load_bytes(l),
			  .seconds = raw->synced_s,
			  .cpu_seconds = raw->synced_cpu_s,
			  .ns = raw->sync_ns};

	report(rows, "raw write, fdatasync", &p);
	p.seconds = raw->settled_s;
	p.cpu_seconds = raw->settled_cpu_s;
	memset(&p.ns, 0, sizeof p.ns);
	report(rows, "raw write, fsync at end", &p);
	p.seconds = raw->cold_s;
	p.cpu_seconds = raw->cold_cpu_s;
	report(rows, "raw read cold", &p);
	p.seconds = raw->warm_s;
	p.cpu_seconds = raw->warm_cpu_s;
	report(rows, "raw read warm", &p);
}

static bool load_of(const struct options *o, struct log_load *l)
{
	int64_t record_bytes = options_number(o, "record-bytes"), n = options_number(o, "num");
	int64_t batch_bytes = options_number(o, "batch-bytes"), mb = options_number(o, "mb");
	int64_t partitions = options_number(o, "partitions");

	if (!perf_in_range(o, "record-bytes", 1, 900000) ||
	    !perf_in_range(o, "batch-bytes", 1, 1000000) ||
	    !perf_in_range(o, "partitions", 1, 10000) || !perf_in_range(o, "num", 0, NUM_MAX) ||
	    !perf_in_range(o, "mb", 1, MB_MAX))
		return false;
	log_load_init(l, (int32_t)record_bytes, (size_t)batch_bytes);
	l->partitions = (int32_t)partitions;
	int64_t bytes = n ? n * (int64_t)l->batch_bytes / l->records_per_batch : mb * 1000000;
	l->batches = (bytes + (int64_t)l->batch_bytes - 1) / (int64_t)l->batch_bytes;
	return true;
}

static enum ks_err run(const struct log_load *l, const char *dir, struct perf_rows *rows,
		       struct ks_why *why)
{
	char *synced = xasprintf("%s/synced", dir), *settled = xasprintf("%s/settled", dir);
	struct log_raw *raw = xcalloc(1, sizeof *raw);

	enum ks_err err = log_raw_run(l, dir, raw, why);
	if (!err)
		report_raw(l, raw, rows);
	if (!err)
		err = run_synced(l, synced, raw, rows, why);
	if (!err)
		err = run_settled(l, settled, raw, rows, why);
	free(raw);
	free(settled);
	free(synced);
	return err;
}

int verb_perf_log(const struct options *o)
{
	struct perf_rows rows;
	struct log_load load;
	struct ks_why why = {""};

	if (!perf_rows_init(&rows, o) || !load_of(o, &load))
		return EXIT_USAGE;
	const char *dir = perf_scratch_make(o);
	int code = EXIT_FAILED;
	if (dir) {
		enum ks_err err = run(&load, dir, &rows, &why);
		code = err ? say_failure(err, &why) : EXIT_DONE;
	}
	perf_scratch_remove();
	log_load_fini(&load);
	return code;
}

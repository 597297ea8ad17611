/* produce.c - topic produce: standard input becomes record batches.
 *
 *     stdin --1 MiB--> input --format--> record --partitioner--> lane (one open batch per partition)
 *                                                                 |
 *                                                                 | full, or stdin is idle
 *                                                                 v
 *     stdout <-- acknowledgements <-- landed <-- the target <-- flight (appended, in order)
 *
 * One thread reads, parses and builds; the target answers on its own thread, where a flight moves
 * to the list of landed ones and nothing else happens. The reading thread prints what has landed.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/format.h"
#include "cli/partitioner.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "wire/batch.h"

#define BLOCK_BYTES     ((size_t)1 << 20)
#define RECORD_MAX      ((size_t)256 << 20) /* of one record's text */
#define BATCH_BYTES     ((size_t)64 << 10)
#define FLIGHTS_MAX     64
#define DELIVERY_MS_MAX 86400000
#define RECORD_OVERHEAD 80 /* a batch of one: its header and the record's own lengths, at most */
#define ACK_FORMAT      "Produced to partition %p at offset %o with timestamp %d.\\n"

const struct option topic_produce_options[] = {
	{.letter = 'f',
	 .name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .fallback = "%v\\n",
	 .help = "what a record looks like"},
	{.letter = 'o',
	 .name = "output-format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .help = "what to print for every record that was written"},
	{.letter = 'k',
	 .name = "key",
	 .type = OPTION_TEXT,
	 .arg = "KEY",
	 .help = "the key of records whose format has none"},
	{.letter = 'H',
	 .name = "header",
	 .type = OPTION_LIST,
	 .arg = "KEY:VALUE",
	 .help = "a header of every record"},
	{.letter = 'p',
	 .name = "partition",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "-1",
	 .help = "the partition of all records; -1: by key"},
	{.letter = 'z',
	 .name = "compression",
	 .type = OPTION_TEXT,
	 .arg = "CODEC",
	 .fallback = "none",
	 .help = "none, gzip, snappy, lz4 or zstd"},
	{.letter = 'Z', .name = "tombstone", .help = "empty values become tombstones (null)"},
	{.name = "acks",
	 .type = OPTION_TEXT,
	 .arg = "N",
	 .fallback = "all",
	 .help = "0, 1, or all (-1): on disk before it is acknowledged"},
	{.letter = 'D',
	 .name = "delivery-timeout",
	 .type = OPTION_TEXT,
	 .arg = "DURATION",
	 .help = "how long to try to write a record to a cluster; 1s at least; without it 1m"},
	{.name = "allow-auto-topic-creation", .help = "create topics that do not exist"},
	{.name = "max-message-bytes",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "-1",
	 .help = "the largest batch; -1: the topic's max.message.bytes"},
	{0},
};

/* One partition: its batch under construction. */
struct lane {
	struct buf bytes;
	struct batch_writer writer;
	bool is_open;
	int64_t first_record; /* of the input, from 1 */
};

struct outlet {
	struct target_topic topic;
	struct lane *lanes;
	int32_t sticky;    /* where records without a key go until its batch is full */
	size_t batch_max;  /* bytes a batch may grow to */
	size_t record_max; /* uncompressed bytes of one record; 0: the target decides */
	bool wants_keys;   /* the topic is compacted */
	/* How far from now a record's timestamp may be, ms; INT64_MAX: as far as it likes, or the
	 * broker judges. */
	int64_t before_max_ms, after_max_ms;
};

/* One append under way. */
struct flight {
	struct target_append append; /* first */
	struct producer *producer;
	struct frame *frame; /* our own reference, for the acknowledgements */
	int64_t first_record, record_count;
	enum ks_err err;
	struct ks_why why;
	struct flight *next;
};

struct input {
	struct buf bytes;
	size_t pos;
	bool is_at_end;
	int64_t lines_dropped; /* newlines before bytes[0] */
	int64_t bytes_dropped; /* all before bytes[0] */
	int64_t file_bytes;    /* what a file has at the start; 0: it is none */
};

struct producer {
	struct target *target;
	struct format_reader *format;
	struct format_writer *ack; /* NULL: none wanted */
	const char *default_topic;
	struct slice key;   /* of -k */
	struct buf headers; /* of -H, encoded */
	int32_t header_count;
	struct buf headers_joined;
	int32_t partition;
	enum codec codec;
	enum acks acks;
	enum partitioner partitioner;
	int64_t max_message_bytes;
	int delivery_ms;     /* 0: the target's */
	size_t remote_bytes; /* of a batch that travels: one per partition is under way */
	int batch_records_max, linger_ms;
	bool is_tombstone, may_create;

	struct input in;
	struct outlet **outlets;
	size_t outlet_count;
	struct outlet *last_outlet;
	int64_t now_ms;
	uint64_t random;
	int64_t records; /* parsed */
	int64_t landed_records;
	struct buf scratch, out;
	struct progress progress;
	int code; /* exit code, once something failed */

	pthread_mutex_t mutex;
	pthread_cond_t landed_cond;
	/* shared, under mutex */
	struct flight *landed, **landed_end;
	size_t in_flight;
};

/* How many records the file will turn out to have, by those found in its beginning; -1: no file. */
static int64_t expected_records(const struct input *in, int64_t records)
{
	int64_t parsed = in->bytes_dropped + (int64_t)in->pos;

	if (in->file_bytes <= 0 || parsed <= 0)
		return -1;
	if (parsed >= in->file_bytes)
		return records;
	return (int64_t)((double)records * (double)in->file_bytes / (double)parsed);
}

/* --- flights --- */

static void flight_done(struct target_append *a, enum ks_err err, const struct ks_why *why)
{
	struct flight *f = (struct flight *)a;
	struct producer *p = f->producer;

	f->err = err;
	f->why = *why;
	f->next = NULL;
	pthread_mutex_lock(&p->mutex);
	*p->landed_end = f;
	p->landed_end = &f->next;
	p->in_flight--;
	pthread_cond_signal(&p->landed_cond);
	pthread_mutex_unlock(&p->mutex);
}

static void acknowledge(struct producer *p, const struct flight *f)
{
	struct batch b;
	struct record_iter it;
	struct record r;

	if (batch_peek(slice_of(f->frame->data, f->frame->len), &b) ||
	    record_iter_init(&it, &b, SIZE_MAX, &p->scratch))
		return;
	while (record_iter_next(&it, &r) > 0) {
		struct format_record fr = {.topic = f->append.topic.name,
					   .partition = f->append.partition,
					   .leader_epoch = b.leader_epoch,
					   .header_count = r.header_count,
					   .offset = f->append.base_offset < 0 ? -1 : r.offset,
					   .timestamp = r.timestamp,
					   .key = r.key,
					   .value = r.value,
					   .headers = r.headers,
					   .producer_id = -1,
					   .producer_epoch = -1,
					   .attributes = b.attributes};
		format_write(p->ack, &fr, &p->out);
	}
	if (!out_write(&p->out)) {
		format_writer_free(p->ack); /* nobody listens; what is produced still counts */
		p->ack = NULL;
		p->code = out_code();
	}
}

static void land(struct producer *p, struct flight *f)
{
	if (f->err) {
		if (!p->code)
			say_error(
				"records %lld to %lld of the input were not written to %s [%d]: %s",
				(long long)f->first_record,
				(long long)(f->first_record + f->record_count - 1),
				f->append.topic.name, f->append.partition,
				f->why.text[0] ? f->why.text : ks_err_text(f->err));
		if (!p->code)
			p->code = exit_code_of(f->err);
	} else {
		p->landed_records += f->record_count;
		if (p->ack)
			acknowledge(p, f);
		p->progress.total = expected_records(&p->in, p->records);
		progress_update(&p->progress, p->landed_records);
	}
	frame_unref(f->frame);
	free(f);
}

/* Takes what has landed, after waiting until at most in_flight_max are under way. */
static void reap(struct producer *p, size_t in_flight_max)
{
	struct flight *landed;

	pthread_mutex_lock(&p->mutex);
	while (p->in_flight > in_flight_max)
		pthread_cond_wait(&p->landed_cond, &p->mutex);
	landed = p->landed;
	p->landed = NULL;
	p->landed_end = &p->landed;
	pthread_mutex_unlock(&p->mutex);
	while (landed) {
		struct flight *f = landed;
		landed = f->next;
		land(p, f);
	}
}

static uint64_t next_random(struct producer *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random;
}

static void lane_send(struct producer *p, struct outlet *o, int32_t partition)
{
	struct lane *l = &o->lanes[partition];

	if (!l->is_open)
		return;
	l->is_open = false;
	if (partition == o->sticky)
		o->sticky = (int32_t)(next_random(p) % (uint64_t)o->topic.partition_count);
	struct flight *f = xcalloc(1, sizeof *f);
	f->record_count = l->writer.count;
	batch_writer_finish(&l->writer, p->codec, &p->scratch);
	f->producer = p;
	f->first_record = l->first_record;
	f->frame = frame_copy(buf_slice(&l->bytes));
	f->append = (struct target_append){.topic = o->topic,
					   .partition = partition,
					   .batches = frame_ref(f->frame),
					   .acks = p->acks,
					   .done = flight_done};
	buf_clear(&l->bytes);
	pthread_mutex_lock(&p->mutex);
	p->in_flight++;
	pthread_mutex_unlock(&p->mutex);
	p->target->append(p->target, &f->append);
	reap(p, FLIGHTS_MAX - 1);
}

static void send_all(struct producer *p)
{
	for (size_t i = 0; i < p->outlet_count; i++)
		for (int32_t n = 0; n < p->outlets[i]->topic.partition_count; n++)
			lane_send(p, p->outlets[i], n);
}

/* --- outlets --- */

static const char *config_of(const struct target_config *rows, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].value && strcmp(rows[i].key, key) == 0)
			return rows[i].value;
	return NULL;
}

static int64_t ms_of(const char *text)
{
	return text ? strtoll(text, NULL, 10) : INT64_MAX;
}

/* How old and how far ahead records may be. */
static void set_times(struct outlet *o, const struct target_config *rows, size_t count)
{
	const char *type = config_of(rows, count, "message.timestamp.type");

	if (type && strcmp(type, "LogAppendTime") == 0)
		return; /* the log gives them its own */
	o->after_max_ms = ms_of(config_of(rows, count, "message.timestamp.after.max.ms"));
	o->before_max_ms = ms_of(config_of(rows, count, "message.timestamp.before.max.ms"));
	/* The old name counts where the new one says nothing. */
	if (o->before_max_ms == INT64_MAX)
		o->before_max_ms =
			ms_of(config_of(rows, count, "message.timestamp.difference.max.ms"));
}

/* How large batches and records of this topic may be. */
static void set_limits(struct producer *p, struct outlet *o)
{
	struct target_config *rows = NULL;
	struct ks_why why;
	size_t count = 0;
	int64_t limit = p->max_message_bytes;

	o->before_max_ms = o->after_max_ms = INT64_MAX;
	/* Who may not know them gets the broker's refusals instead. */
	if (p->target->configs(p->target, TARGET_TOPIC, o->topic.name, &rows, &count, &why))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t topic_limit = rows[i].value ? strtoll(rows[i].value, NULL, 10) : 0;
		if (strcmp(rows[i].key, "max.message.bytes") == 0 && topic_limit > 0 &&
		    (limit < 0 || topic_limit < limit) && p->codec == CODEC_NONE)
			limit = topic_limit;
		if (strcmp(rows[i].key, "cleanup.policy") == 0 && rows[i].value)
			o->wants_keys = strstr(rows[i].value, "compact") != NULL;
	}
	/* A broker knows its own clock; a data directory has but ours. */
	if (!p->target->is_remote)
		set_times(o, rows, count);
	target_configs_free(rows, count);
	o->record_max = limit > 0 ? (size_t)limit : 0;
	o->batch_max = p->target->is_remote ? p->remote_bytes : BATCH_BYTES;
	if (limit > 0 && (size_t)limit < o->batch_max)
		o->batch_max = (size_t)limit;
}

static enum ks_err outlet_open(struct producer *p, const char *name, struct ks_why *why)
{
	struct outlet *o = xcalloc(1, sizeof *o);
	enum ks_err err = p->target->topic_find(p->target, name, p->may_create, &o->topic, why);

	if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
		char *text = xstrdup(why->text);
		ks_fail(why, err, "%s (--allow-auto-topic-creation makes it)", text);
		free(text);
	}
	if (!err && p->partition >= 0)
		err = target_check_partition(&o->topic, p->partition, why);
	if (err) {
		free(o);
		return err;
	}
	o->lanes = xcalloc((size_t)o->topic.partition_count, sizeof *o->lanes);
	o->sticky = (int32_t)(next_random(p) % (uint64_t)o->topic.partition_count);
	set_limits(p, o);
	p->outlets = xrealloc(p->outlets, (p->outlet_count + 1) * sizeof(struct outlet *));
	p->outlets[p->outlet_count++] = o;
	p->last_outlet = o;
	return ERR_NONE;
}

static bool is_name(const struct outlet *o, struct slice name)
{
	return o && strlen(o->topic.name) == name.len &&
	       memcmp(o->topic.name, name.data, name.len) == 0;
}

static enum ks_err outlet_find(struct producer *p, struct slice name, struct outlet **out,
			       struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	char text[BROKER_TOPIC_NAME_MAX + 1];

	for (size_t i = 0; !is_name(p->last_outlet, name) && i < p->outlet_count; i++)
		if (is_name(p->outlets[i], name))
			p->last_outlet = p->outlets[i];
	if (!is_name(p->last_outlet, name)) {
		if (name.len == 0)
			return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION, "the topic is empty");
		if (name.len > BROKER_TOPIC_NAME_MAX)
			return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION,
				       "the topic's name is longer than %d bytes",
				       BROKER_TOPIC_NAME_MAX);
		memcpy(text, name.data, name.len);
		text[name.len] = 0;
		err = outlet_open(p, text, why);
	}
	*out = p->last_outlet;
	return err;
}

/* --- records --- */

static bool goes_anywhere(const struct producer *p, const struct format_input *r, struct slice key)
{
	return !r->has_partition && p->partition < 0 &&
	       partitioner_choose(p->partitioner, key, 1) < 0;
}

static enum ks_err choose_partition(const struct producer *p, const struct outlet *o,
				    const struct format_input *r, struct slice key, int32_t *out,
				    struct ks_why *why)
{
	if (r->has_partition) {
		*out = r->partition;
		return target_check_partition(&o->topic, r->partition, why);
	}
	*out = p->partition;
	if (*out < 0)
		*out = partitioner_choose(p->partitioner, key, o->topic.partition_count);
	if (*out < 0)
		*out = o->sticky;
	return ERR_NONE;
}

/* The headers of -H and those of the input. */
static struct slice join_headers(struct producer *p, const struct format_input *r, int32_t *count)
{
	*count = p->header_count + r->header_count;
	if (!r->header_count)
		return buf_slice(&p->headers);
	if (!p->header_count)
		return r->headers;
	buf_clear(&p->headers_joined);
	buf_append(&p->headers_joined, p->headers.data, p->headers.len);
	buf_append(&p->headers_joined, r->headers.data, r->headers.len);
	return buf_slice(&p->headers_joined);
}

static bool is_full(const struct producer *p, const struct outlet *o, int32_t partition,
		    size_t size)
{
	const struct lane *l = &o->lanes[partition];

	return l->is_open && (batch_writer_size(&l->writer) + size > o->batch_max ||
			      l->writer.count >= p->batch_records_max);
}

static enum ks_err check_time(const struct producer *p, const struct outlet *o, int64_t timestamp,
			      struct ks_why *why)
{
	int64_t max = timestamp < p->now_ms ? o->before_max_ms : o->after_max_ms;
	int64_t earliest = p->now_ms > max ? p->now_ms - max : INT64_MIN;
	int64_t latest = max > INT64_MAX - p->now_ms ? INT64_MAX : p->now_ms + max;

	if (timestamp == -1 || (timestamp >= earliest && timestamp <= latest))
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_TIMESTAMP,
		       "the timestamp %lld is more than %lld ms %s now, the limit of topic \"%s\" "
		       "(message.timestamp.%s.max.ms)",
		       (long long)timestamp, (long long)max,
		       timestamp < p->now_ms ? "before" : "after", o->topic.name,
		       timestamp < p->now_ms ? "before" : "after");
}

static enum ks_err add_record(struct producer *p, const struct format_input *r, struct ks_why *why)
{
	struct slice key = r->has_key ? r->key : p->key, value = r->value;
	struct outlet *o = NULL;
	int32_t partition = 0, header_count;
	int64_t timestamp = r->has_timestamp ? r->timestamp : p->now_ms;
	enum ks_err err =
		outlet_find(p, r->has_topic ? r->topic : slice_str(p->default_topic), &o, why);

	if (!err)
		err = check_time(p, o, timestamp, why);
	if (!err)
		err = choose_partition(p, o, r, key, &partition, why);
	if (err)
		return err;
	if (p->is_tombstone && value.len == 0)
		value = SLICE_NULL;
	struct slice headers = join_headers(p, r, &header_count);
	if (o->wants_keys && !key.data)
		return ks_fail(why, ERR_INVALID_RECORD,
			       "topic \"%s\" is compacted, so its records need a key: %%k in "
			       "--format, or --key",
			       o->topic.name);
	size_t size = key.len + value.len + headers.len + RECORD_OVERHEAD;
	if (o->record_max && size - RECORD_OVERHEAD + BATCH_HEADER_BYTES > o->record_max)
		return ks_fail(
			why, ERR_MESSAGE_TOO_LARGE,
			"the record has %zu bytes, %zu are the limit (max.message.bytes), of "
			"which the batch's header takes %d",
			size - RECORD_OVERHEAD, o->record_max, BATCH_HEADER_BYTES);
	if (is_full(p, o, partition, size)) {
		lane_send(p, o, partition);
		if (goes_anywhere(p, r, key))
			partition = o->sticky;
		if (is_full(p, o, partition, size))
			lane_send(p, o, partition);
	}
	struct lane *l = &o->lanes[partition];
	if (!l->is_open) {
		batch_writer_begin(&l->writer, &l->bytes);
		l->is_open = true;
		l->first_record = p->records;
	}
	batch_writer_append(&l->writer, timestamp, key, value, headers, header_count);
	return ERR_NONE;
}

/* --- input --- */

static int64_t count_lines(const uint8_t *p, size_t len)
{
	int64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n';
	return n;
}

static bool is_ready(int timeout_ms)
{
	struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {signals_fd(), POLLIN, 0}};

	return poll(fds, 2, timeout_ms) != 0;
}

/* Reads the next block behind what is left. Nobody may wait for a record that lies in an open batch
 * while the input pauses, so before a read that would block everything is sent. */
static bool input_fill(struct producer *p)
{
	struct input *in = &p->in;
	ssize_t n;

	if (in->pos) {
		in->lines_dropped += count_lines(in->bytes.data, in->pos);
		in->bytes_dropped += (int64_t)in->pos;
		in->bytes.len -= in->pos;
		memmove(in->bytes.data, in->bytes.data + in->pos, in->bytes.len);
		in->pos = 0;
	}
	/* A record longer than what was read so far: read as much again. */
	buf_reserve(&in->bytes, in->bytes.len > BLOCK_BYTES ? in->bytes.len : BLOCK_BYTES);
	if (!is_ready(p->linger_ms)) {
		send_all(p);
		reap(p, 0);
		is_ready(-1);
	}
	if (signals_stop_asked()) {
		in->is_at_end = true;
		in->bytes.len = 0; /* half a record is none */
		return true;
	}
	do
		n = read(STDIN_FILENO, in->bytes.data + in->bytes.len,
			 in->bytes.cap - in->bytes.len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0) {
		say_error("cannot read standard input: %s", strerror(errno));
		p->code = EXIT_FAILED;
		return false;
	}
	in->bytes.len += (size_t)n;
	in->is_at_end = n == 0;
	p->now_ms = clock_now_ms(&clock_real);
	return true;
}

static void say_line_error(struct producer *p, size_t at, const struct ks_why *why)
{
	struct input *in = &p->in;
	int64_t line = 1 + in->lines_dropped + count_lines(in->bytes.data, in->pos + at);

	say_error("line %lld: %s", (long long)line, why->text);
	p->code = EXIT_FAILED;
}

/* One record, or more input. False: the end, or p->code says why. */
static bool step(struct producer *p)
{
	struct input *in = &p->in;
	struct slice left = slice_of(in->bytes.data + in->pos, in->bytes.len - in->pos);
	struct format_input record;
	struct ks_why why = {""};
	size_t consumed = 0;

	switch (format_read(p->format, left, in->is_at_end, &consumed, &record, &why)) {
	case FORMAT_RECORD:
		p->records++;
		if (add_record(p, &record, &why)) {
			say_line_error(p, 0, &why);
			return false;
		}
		in->pos += consumed;
		return !p->code;
	case FORMAT_MORE:
		if (left.len > RECORD_MAX) {
			ks_fail(&why, ERR_TOO_LARGE, "a record has more than %zu MiB",
				RECORD_MAX >> 20);
			say_line_error(p, 0, &why);
			return false;
		}
		return input_fill(p);
	case FORMAT_BAD:
		say_line_error(p, consumed, &why);
		return false;
	default:
		return false;
	}
}

/* --- the verb --- */

static int parse_headers(struct producer *p, const struct options *o)
{
	const char *text;

	for (size_t i = 0; (text = options_item(o, "header", i)); i++) {
		struct config_entry pair;
		if (!verb_split(text, ':', &pair))
			return say_usage("--header \"%s\": key:value is needed", text);
		record_header_append(&p->headers, slice_str(pair.key), slice_str(pair.value));
		p->header_count++;
		free((char *)pair.key);
	}
	return EXIT_DONE;
}

static int parse_acks(struct producer *p, const char *text)
{
	if (strcmp(text, "all") == 0 || strcmp(text, "-1") == 0)
		p->acks = ACKS_ALL;
	else if (strcmp(text, "0") == 0)
		p->acks = ACKS_NONE;
	else if (strcmp(text, "1") == 0)
		p->acks = ACKS_LEADER;
	else
		return say_usage("--acks \"%s\": 0, 1 and all (-1) are known", text);
	return EXIT_DONE;
}

static int parse_formats(struct producer *p, const struct options *o)
{
	const char *ack = options_text(o, "output-format");
	struct ks_why why = {""};

	/* Who types records sees them arrive. */
	if (!ack && isatty(STDIN_FILENO))
		ack = ACK_FORMAT;
	if (format_reader_new(options_text(o, "format"), &p->format, &why))
		return say_usage("--format: %s", why.text);
	if (ack && *ack && format_writer_new(ack, &p->ack, &why))
		return say_usage("--output-format: %s", why.text);
	if (!p->default_topic && !format_reader_has_topic(p->format))
		return say_usage("it needs a topic: as an argument, or as %%t in --format");
	return EXIT_DONE;
}

/* What has no option of its own. */
static void take_client(struct producer *p, const struct options *o)
{
	p->remote_bytes = (size_t)verb_client_number(o, "batch.size");
	p->batch_records_max = verb_client_number(o, "batch.num.messages");
	p->linger_ms = verb_client_number(o, "linger.ms");
	partitioner_from_name(verb_client_text(o, "partitioner"), &p->partitioner);
}

static int parse_options(struct producer *p, const struct options *o)
{
	const char *key = options_text(o, "key"), *codec = options_text(o, "compression");
	int64_t partition = options_number(o, "partition");

	p->default_topic = o->arg_count ? o->args[0] : NULL;
	p->key = key ? slice_str(key) : SLICE_NULL;
	p->is_tombstone = options_flag(o, "tombstone");
	p->may_create = options_flag(o, "allow-auto-topic-creation");
	p->max_message_bytes = options_number(o, "max-message-bytes");
	take_client(p, o);
	p->progress.is_silent = options_flag(o, "quiet");
	if (partition < -1 || partition >= BROKER_PARTITIONS_MAX)
		return say_usage("--partition %lld is out of range", (long long)partition);
	if (p->max_message_bytes != -1 && p->max_message_bytes < 1)
		return say_usage("--max-message-bytes must be -1, or 1 and more");
	p->partition = (int32_t)partition;
	if (!codec_from_name(codec, &p->codec))
		return say_usage("--compression \"%s\": none, gzip, snappy, lz4 and zstd are known",
				 codec);
	int code = verb_check_wire_options(o, (const char *const[]){"delivery-timeout", NULL});
	if (code == EXIT_DONE)
		code = verb_duration(o, "delivery-timeout", 1000, DELIVERY_MS_MAX, &p->delivery_ms);
	if (code == EXIT_DONE)
		code = parse_acks(p, options_text(o, "acks"));
	if (code == EXIT_DONE)
		code = parse_headers(p, o);
	return code ? code : parse_formats(p, o);
}

static void producer_fini(struct producer *p)
{
	for (size_t i = 0; i < p->outlet_count; i++) {
		for (int32_t n = 0; n < p->outlets[i]->topic.partition_count; n++)
			buf_fini(&p->outlets[i]->lanes[n].bytes);
		free(p->outlets[i]->lanes);
		free(p->outlets[i]);
	}
	free(p->outlets);
	format_reader_free(p->format);
	format_writer_free(p->ack);
	buf_fini(&p->headers);
	buf_fini(&p->headers_joined);
	buf_fini(&p->in.bytes);
	buf_fini(&p->scratch);
	buf_fini(&p->out);
}

static int64_t file_bytes_left(void)
{
	struct stat st;
	off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

	return at >= 0 && fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size - at
									       : 0;
}

static void produce(struct producer *p)
{
	struct ks_why why = {""};
	enum ks_err err = p->default_topic ? outlet_open(p, p->default_topic, &why) : ERR_NONE;

	if (err) {
		p->code = say_failure(err, &why);
		return;
	}
	p->in.file_bytes = file_bytes_left();
	if (isatty(STDIN_FILENO) || (p->ack && isatty(STDOUT_FILENO)))
		p->progress.is_silent = true;
	progress_begin(&p->progress, "produce", -1);
	while (step(p))
		;
	send_all(p);
	reap(p, 0);
	progress_end(&p->progress);
	if (p->code)
		say("%lld record%s written.", (long long)p->landed_records,
		    p->landed_records == 1 ? " was" : "s were");
}

int verb_topic_produce(const struct options *o)
{
	struct producer p = {.random = (uint64_t)clock_real.monotonic_ns(clock_real.self) | 1,
			     .mutex = PTHREAD_MUTEX_INITIALIZER,
			     .landed_cond = PTHREAD_COND_INITIALIZER};
	int code = parse_options(&p, o);

	p.landed_end = &p.landed;
	if (code == EXIT_DONE) {
		signals_start();
		code = verb_open_target(o, p.may_create, &p.target);
	}
	if (code == EXIT_DONE) {
		p.target->delivery_ms = p.delivery_ms;
		produce(&p);
		p.target->close(p.target);
		code = p.code;
	}
	producer_fini(&p);
	return code;
}

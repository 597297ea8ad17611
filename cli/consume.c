/* consume.c - topic consume: partitions become text on standard output.
 *
 * One thread goes round the partitions and takes a chunk of batches from each. When no partition
 * has anything, what is printed goes out, the group's offsets are committed and the thread waits
 * for more. Offsets are committed only after the records before them were written to standard
 * output.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/record_print.h"
#include "cli/select.h"
#include "cli/signals.h"
#include "wire/batch.h"

#define OUT_BYTES          ((size_t)64 << 10)
#define DECOMPRESSED_MAX   ((size_t)1 << 30)
#define WAIT_MS            1000
#define COMMIT_NS          (1000000000LL)
#define COUNT_OF_UNLIMITED INT64_MAX

const struct option topic_consume_options[] = {
	{.letter = 'o',
	 .name = "offset",
	 .type = OPTION_TEXT,
	 .arg = "OFFSETS",
	 .fallback = "start",
	 .help = "where to begin and end"},
	{.letter = 'n',
	 .name = "num",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "0",
	 .help = "stop after N records; 0: never"},
	{.letter = 'p',
	 .name = "partitions",
	 .type = OPTION_TEXT,
	 .arg = "LIST",
	 .help = "only these partitions, such as 0,2-4"},
	{.letter = 'r', .name = "regex", .help = "the arguments are regular expressions"},
	{.letter = 'g',
	 .letter_too = 'G',
	 .name = "group",
	 .type = OPTION_TEXT,
	 .arg = "GROUP",
	 .help = "resume where this group stopped, and commit its offsets"},
	{.letter = 'f',
	 .name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .help = "json, text, or a layout with % verbs"},
	{.name = "pretty-print", .help = "JSON over several lines"},
	{.name = "meta-only", .help = "JSON with value_size instead of the value"},
	{.name = "print-control-records", .help = "print the markers of transactions too"},
	{.name = "fetch-max-bytes",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "1048576",
	 .help = "how much to take from a partition before it is the next one's turn"},
	{0},
};

struct feed {
	struct target_topic topic;
	int32_t partition;
	struct target_cursor cursor;
	int64_t next, end; /* end: exclusive; INT64_MAX: none */
	int64_t committed; /* -1: nothing yet */
	bool is_done;
};

enum shape { SHAPE_LINE, SHAPE_JSON, SHAPE_LAYOUT };

struct consumer {
	struct target *target;
	struct offset_range range;
	const char *group; /* NULL: none */
	int32_t *partitions;
	size_t partition_count;
	enum shape shape;
	struct format_writer *layout;
	struct json_style json;
	bool has_colour, wants_control;
	size_t fetch_bytes;

	struct feed *feeds;
	size_t feed_count, open_count;
	int64_t left; /* records until --num is reached */
	int64_t records;
	int64_t next_commit_ns;
	bool is_closed; /* stdout takes no more */
	struct buf out, scratch;
	struct progress progress;
};

/* --- output --- */

static void print(struct consumer *c, const struct feed *f, const struct batch *b,
		  const struct record *r, const struct target_bounds *bounds)
{
	struct format_record fr = {.topic = f->topic.name,
				   .partition = f->partition,
				   .leader_epoch = b->leader_epoch,
				   .header_count = r->header_count,
				   .offset = r->offset,
				   .timestamp = r->timestamp,
				   .key = r->key,
				   .value = r->value,
				   .headers = r->headers,
				   .producer_id = b->producer_id,
				   .producer_epoch = b->producer_epoch,
				   .attributes = b->attributes,
				   .log_start_offset = bounds->log_start_offset,
				   .last_stable_offset = bounds->last_stable_offset,
				   .high_watermark = bounds->high_watermark};

	if (c->shape == SHAPE_LAYOUT)
		format_write(c->layout, &fr, &c->out);
	else if (c->shape == SHAPE_JSON)
		record_print_json(&fr, c->json, &c->out);
	else
		record_print_line(&fr, c->has_colour, &c->out);
}

static void flush(struct consumer *c)
{
	if (c->out.len && !c->is_closed && !out_write(&c->out))
		c->is_closed = true;
}

/* --- group offsets --- */

static enum ks_err commit(struct consumer *c, struct ks_why *why)
{
	struct target_offset *rows;
	size_t n = 0;
	enum ks_err err = ERR_NONE;

	if (!c->group || c->is_closed)
		return ERR_NONE;
	rows = xcalloc(c->feed_count + 1, sizeof *rows);
	for (size_t i = 0; i < c->feed_count; i++) {
		const struct feed *f = &c->feeds[i];
		if (f->next != f->committed)
			rows[n++] = (struct target_offset){f->topic, f->partition, f->next};
	}
	if (n)
		err = c->target->group_commit(c->target, c->group, rows, n, why);
	for (size_t i = 0; !err && i < c->feed_count; i++)
		c->feeds[i].committed = c->feeds[i].next;
	free(rows);
	c->next_commit_ns = clock_monotonic_ns(&clock_real) + COMMIT_NS;
	return err;
}

/* Partitions that the group has committed go on from there. */
static enum ks_err resume(struct consumer *c, struct ks_why *why)
{
	struct target_offset *rows;
	size_t count;
	enum ks_err err = c->target->group_offsets(c->target, c->group, &rows, &count, why);

	if (err == ERR_GROUP_ID_NOT_FOUND)
		return ERR_NONE;
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < c->feed_count; n++) {
			struct feed *f = &c->feeds[n];
			if (f->partition == rows[i].partition &&
			    strcmp(f->topic.name, rows[i].topic.name) == 0)
				f->next = f->committed = rows[i].offset;
		}
	}
	free(rows);
	return ERR_NONE;
}

/* --- what to read --- */

static int64_t clamp(int64_t n, int64_t low, int64_t high)
{
	return n < low ? low : n > high ? high : n;
}

static enum ks_err place_feed(struct consumer *c, struct feed *f, struct ks_why *why)
{
	struct target_bounds b;
	struct target *t = c->target;
	enum ks_err err = t->bounds(t, &f->topic, f->partition, &b, why);

	if (!err)
		err = offset_resolve(t, &f->topic, f->partition, &c->range.from, &b, &f->next, why);
	if (err)
		return err;
	/* An exact offset may lie ahead: then the records before it are skipped when they come. */
	f->next = clamp(f->next, b.log_start_offset,
			c->range.from.kind == OFFSET_EXACT ? INT64_MAX : b.high_watermark);
	f->end = INT64_MAX;
	f->committed = -1;
	if (c->range.to.kind == OFFSET_OPEN)
		return ERR_NONE;
	err = offset_resolve(t, &f->topic, f->partition, &c->range.to, &b, &f->end, why);
	f->end = clamp(f->end, b.log_start_offset, b.high_watermark);
	return err;
}

static enum ks_err add_feed(struct consumer *c, const struct target_topic *topic, int32_t partition,
			    struct ks_why *why)
{
	c->feeds = xrealloc(c->feeds, (c->feed_count + 1) * sizeof *c->feeds);
	struct feed *f = &c->feeds[c->feed_count];
	*f = (struct feed){.topic = *topic, .partition = partition};
	enum ks_err err = place_feed(c, f, why);
	if (!err)
		err = c->target->cursor_open(c->target, topic, partition, &f->cursor, why);
	if (!err)
		c->feed_count++;
	return err;
}

static enum ks_err add_topic(struct consumer *c, const struct target_topic *topic,
			     struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < c->partition_count && !err; i++)
		err = add_feed(c, topic, c->partitions[i], why);
	for (int32_t p = 0; !c->partitions && p < topic->partition_count && !err; p++)
		err = add_feed(c, topic, p, why);
	return err;
}

static int open_feeds(struct consumer *c, const struct options *o)
{
	struct target_topic *topics;
	struct ks_why why = {""};
	enum ks_err err = ERR_NONE;
	size_t count;
	int code = topics_selected(c->target, o, &topics, &count);

	if (code)
		return code;
	for (size_t i = 0; i < count && !err; i++)
		err = add_topic(c, &topics[i], &why);
	free(topics);
	if (!err && c->group)
		err = resume(c, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

/* --- reading --- */

static void finish_feed(struct consumer *c, struct feed *f)
{
	if (!f->is_done)
		c->open_count--;
	f->is_done = true;
}

static enum ks_err consume_batch(struct consumer *c, struct feed *f, const struct batch *b,
				 const struct target_bounds *bounds)
{
	struct record_iter it;
	struct record r;
	enum ks_err err = record_iter_init(&it, b, DECOMPRESSED_MAX, &c->scratch);
	int got = 0;

	if (err)
		return err;
	while (c->left > 0 && !c->is_closed && (got = record_iter_next(&it, &r)) > 0) {
		if (r.offset < f->next)
			continue;
		if (r.offset >= f->end)
			break;
		f->next = r.offset + 1;
		if (batch_is_control(b) && !c->wants_control)
			continue;
		print(c, f, b, &r, bounds);
		c->records++;
		c->left--;
		if (c->out.len >= OUT_BYTES)
			flush(c);
	}
	if (got < 0)
		return ERR_CORRUPT_MESSAGE;
	if (got == 0 && c->left > 0 && !c->is_closed && f->next <= batch_last_offset(b))
		f->next = batch_last_offset(b) + 1; /* compaction leaves gaps */
	return ERR_NONE;
}

static enum ks_err consume_chunk(struct consumer *c, struct feed *f, const struct chunk *chunk,
				 struct ks_why *why)
{
	struct slice bytes = chunk->bytes;
	struct target_bounds bounds;
	struct batch b;
	enum ks_err err = c->target->bounds(c->target, &f->topic, f->partition, &bounds, why);

	while (!err && bytes.len && c->left > 0 && !c->is_closed && f->next < f->end) {
		err = chunk->is_verified ? batch_peek(bytes, &b) : batch_verify(bytes, &b);
		if (!err)
			err = consume_batch(c, f, &b, &bounds);
		if (err)
			return ks_fail(why, err, "%s [%d] at offset %lld: %s", f->topic.name,
				       f->partition, (long long)f->next, ks_err_text(err));
		bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len);
	}
	return err;
}

/* The offset fell out of the log: somebody trimmed it, or it lies ahead. */
static enum ks_err out_of_range(struct consumer *c, struct feed *f, bool *is_empty,
				struct ks_why *why)
{
	struct target_bounds b;
	enum ks_err err = c->target->bounds(c->target, &f->topic, f->partition, &b, why);

	*is_empty = true;
	if (err || f->next >= b.log_start_offset)
		return err;
	log_warn("consume", "%s [%d]: offsets %lld to %lld are gone; going on at %lld",
		 f->topic.name, f->partition, (long long)f->next, (long long)b.log_start_offset - 1,
		 (long long)b.log_start_offset);
	f->next = b.log_start_offset;
	*is_empty = false;
	return ERR_NONE;
}

/* Takes one chunk; *is_empty: there was none. */
static enum ks_err consume_feed(struct consumer *c, struct feed *f, bool *is_empty,
				struct ks_why *why)
{
	struct chunk chunk;

	*is_empty = false;
	if (f->next >= f->end) {
		finish_feed(c, f);
		return ERR_NONE;
	}
	enum ks_err err = c->target->cursor_read(&f->cursor, f->next, c->fetch_bytes, &chunk, why);
	if (err == ERR_EMPTY) {
		*is_empty = true;
		return ERR_NONE;
	}
	if (err == ERR_OFFSET_OUT_OF_RANGE)
		return out_of_range(c, f, is_empty, why);
	if (err)
		return err;
	err = consume_chunk(c, f, &chunk, why);
	chunk_fini(&chunk);
	if (f->next >= f->end)
		finish_feed(c, f);
	return err;
}

static bool is_over(const struct consumer *c)
{
	return c->open_count == 0 || c->left <= 0 || c->is_closed || signals_stop_asked();
}

static enum ks_err pass(struct consumer *c, bool *is_idle, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	*is_idle = true;
	for (size_t i = 0; i < c->feed_count && !err && !is_over(c); i++) {
		bool is_empty;
		if (c->feeds[i].is_done)
			continue;
		err = consume_feed(c, &c->feeds[i], &is_empty, why);
		*is_idle &= is_empty;
		progress_update(&c->progress, c->records);
	}
	if (!err && c->group && clock_monotonic_ns(&clock_real) >= c->next_commit_ns) {
		flush(c);
		err = commit(c, why);
	}
	return err;
}

static enum ks_err consume_all(struct consumer *c, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	while (!err && !is_over(c)) {
		uint64_t ticket = c->target->ticket(c->target);
		bool is_idle;
		err = pass(c, &is_idle, why);
		if (!err && is_idle && !is_over(c)) {
			flush(c);
			c->target->wait(c->target, ticket, WAIT_MS);
		}
	}
	flush(c);
	if (!err)
		err = commit(c, why);
	return err;
}

/* --- the verb --- */

/* How many records will come, when that is known. */
static int64_t expected(const struct consumer *c)
{
	int64_t n = 0;

	for (size_t i = 0; i < c->feed_count; i++) {
		if (c->feeds[i].end == INT64_MAX)
			return c->left < COUNT_OF_UNLIMITED ? c->left : -1;
		if (c->feeds[i].end > c->feeds[i].next)
			n += c->feeds[i].end - c->feeds[i].next;
	}
	return n < c->left ? n : c->left;
}

static void wake(void *target)
{
	struct target *t = target;

	t->wake(t);
}

static int consume(struct consumer *c, const struct options *o)
{
	struct ks_why why = {""};
	int code = open_feeds(c, o);

	if (code)
		return code;
	c->open_count = c->feed_count;
	progress_begin(&c->progress, "consume", expected(c));
	enum ks_err err = consume_all(c, &why);
	progress_end(&c->progress);
	return err ? say_failure(err, &why) : out_code();
}

static int parse_shape(struct consumer *c, const struct options *o)
{
	const char *format = options_text(o, "format");
	struct ks_why why = {""};

	if (!format)
		format = isatty(STDOUT_FILENO) ? "text" : "json";
	c->json = (struct json_style){.is_pretty = options_flag(o, "pretty-print"),
				      .is_meta = options_flag(o, "meta-only")};
	c->has_colour = colour_wanted(STDOUT_FILENO);
	if (strcmp(format, "json") == 0 || c->json.is_pretty || c->json.is_meta)
		c->shape = SHAPE_JSON;
	else if (strcmp(format, "text") == 0)
		c->shape = SHAPE_LINE;
	else
		c->shape = SHAPE_LAYOUT;
	if (c->shape == SHAPE_LAYOUT && format_writer_new(format, &c->layout, &why))
		return say_usage("--format: %s", why.text);
	return EXIT_DONE;
}

static int parse_options(struct consumer *c, const struct options *o)
{
	const char *partitions = options_text(o, "partitions");
	int64_t num = options_number(o, "num"), bytes = options_number(o, "fetch-max-bytes");
	struct ks_why why = {""};

	if (offset_range_parse(options_text(o, "offset"), clock_now_ms(&clock_real), &c->range,
			       &why))
		return say_usage("--offset: %s", why.text);
	c->group = options_text(o, "group");
	if (c->group && partitions)
		return say_usage("only one of --group and --partitions can be given");
	if (partitions && numbers_parse(partitions, &c->partitions, &c->partition_count, &why))
		return say_usage("--partitions: %s", why.text);
	if (num < 0)
		return say_usage("--num must not be negative");
	if (bytes < 1)
		return say_usage("--fetch-max-bytes must be positive");
	c->left = num ? num : COUNT_OF_UNLIMITED;
	c->fetch_bytes = (size_t)bytes;
	c->wants_control = options_flag(o, "print-control-records");
	c->progress.is_silent = options_flag(o, "quiet") || isatty(STDOUT_FILENO);
	return parse_shape(c, o);
}

static void consumer_fini(struct consumer *c)
{
	for (size_t i = 0; i < c->feed_count; i++)
		c->target->cursor_close(&c->feeds[i].cursor);
	free(c->feeds);
	free(c->partitions);
	format_writer_free(c->layout);
	buf_fini(&c->out);
	buf_fini(&c->scratch);
}

int verb_topic_consume(const struct options *o)
{
	struct consumer c = {0};
	int code = parse_options(&c, o);

	if (code == EXIT_DONE) {
		signals_start();
		code = verb_open_target(o, false, &c.target);
	}
	if (code == EXIT_DONE) {
		signals_on_stop(wake, c.target);
		code = consume(&c, o);
		signals_on_stop(NULL, NULL);
	}
	struct target *t = c.target;
	consumer_fini(&c);
	if (t)
		t->close(t);
	return code;
}

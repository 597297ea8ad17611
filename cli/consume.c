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

#include "base/suggest.h"
#include "cli/consumer.h"
#include "cli/signals.h"

#define WAIT_MS            1000
#define FETCH_WAIT_MS_MAX  300000
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
	{.name = "envelope",
	 .type = OPTION_TEXT,
	 .arg = "NAME",
	 .fallback = "rpk",
	 .help = "the shape of JSON: rpk, or kcat's (-J)"},
	{.name = "pretty-print", .help = "JSON over several lines"},
	{.name = "meta-only", .help = "JSON with value_size instead of the value"},
	{.name = "read-committed", .help = "committed records alone, as without this"},
	{.name = "uncommitted",
	 .help = "records of transactions that are open or were aborted, too"},
	{.name = "print-control-records", .help = "print the markers of transactions too"},
	{.name = "fetch-max-bytes",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "16777216",
	 .help = "how much to take from all partitions of a broker at a time"},
	{.name = "fetch-max-partition-bytes",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "1048576",
	 .help = "how much to take from a partition before it is the next one's turn"},
	{.name = "fetch-max-wait",
	 .type = OPTION_TEXT,
	 .arg = "DURATION",
	 .help = "how long a broker may wait for records before it answers; without it 500ms"},
	{.name = "rack",
	 .type = OPTION_TEXT,
	 .arg = "RACK",
	 .help = "where this reader stands: brokers may send it to a replica in its rack"},
	{.name = "balancer",
	 .type = OPTION_TEXT,
	 .arg = "NAME",
	 .help = "how the group shares the partitions: range; -b is --bootstrap"},
	{0},
};

static bool is_over(const struct consumer *c)
{
	/* A member that has nothing to read may be given something. */
	bool is_waiting = c->is_member && c->range.to.kind == OFFSET_OPEN;

	return (c->open_count == 0 && !is_waiting) || c->left <= 0 || c->is_closed ||
	       signals_stop_asked();
}

static enum ks_err pass(struct consumer *c, bool *is_idle, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	*is_idle = true;
	for (size_t i = 0; i < c->feed_count && !err && !is_over(c); i++) {
		bool is_empty;
		if (c->feeds[i].is_done)
			continue;
		err = feed_consume(c, &c->feeds[i], &is_empty, why);
		*is_idle &= is_empty;
		progress_update(&c->progress, c->records);
	}
	if (!err && c->group && clock_monotonic_ns(&clock_real) >= c->next_commit_ns) {
		consumer_flush(c);
		err = group_commit_printed(c, why);
	}
	return err;
}

static enum ks_err consume_all(struct consumer *c, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	while (!err && !is_over(c)) {
		uint64_t ticket = c->target->ticket(c->target);
		bool is_idle = true;
		err = pass(c, &is_idle, why);
		if (!err && c->is_member)
			err = group_stay(c, why);
		if (!err && is_idle && !is_over(c)) {
			consumer_flush(c);
			c->target->wait(c->target, ticket, WAIT_MS);
		}
	}
	consumer_flush(c);
	if (!err)
		err = group_commit_printed(c, why);
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

/* Which partitions to read: those of the command line, or those that the group gives. */
static enum ks_err open_feeds(struct consumer *c, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	if (c->group && c->target->member_join)
		return group_join(c, why);
	for (size_t i = 0; i < c->topic_count && !err; i++)
		err = feeds_add(c, &c->topics[i], c->partitions, c->partition_count, why);
	return err || !c->group ? err : group_resume(c, why);
}

static int consume(struct consumer *c, const struct options *o)
{
	struct ks_why why = {""};
	int code = topics_selected(c->target, o, &c->topics, &c->topic_count);

	if (code)
		return code;
	enum ks_err err = open_feeds(c, &why);
	if (!err) {
		progress_begin(&c->progress, "consume", expected(c));
		err = consume_all(c, &why);
		progress_end(&c->progress);
	}
	if (err == ERR_CLOSED && signals_stop_asked())
		err = ERR_NONE; /* the signal came while we waited for the group */
	return err ? say_failure(err, &why) : out_code();
}

/* --envelope; *is_kcat: kcat's. */
static int parse_envelope(struct consumer *c, const struct options *o, bool *is_kcat)
{
	static const char *const names[] = {"rpk", "kcat"};
	const char *name = options_text(o, "envelope"), *format = options_text(o, "format");

	*is_kcat = strcmp(name, "kcat") == 0;
	if (!*is_kcat && strcmp(name, "rpk") != 0) {
		const char *near = suggest(name, names, 2);
		return say_usage("--envelope \"%s\": %s%s%s", name,
				 near ? "did you mean \"" : "rpk and ", near ? near : "kcat",
				 near ? "\"?" : " are known");
	}
	if (options_given(o, "envelope") && format && strcmp(format, "json") != 0)
		return say_usage("--envelope is about JSON; --format \"%s\" is not", format);
	if (*is_kcat && c->json.is_meta)
		return say_usage("--meta-only has no shape in kcat's envelope");
	return EXIT_DONE;
}

static int parse_shape(struct consumer *c, const struct options *o)
{
	const char *format = options_text(o, "format");
	struct ks_why why = {""};
	bool is_kcat;

	if (!format && options_given(o, "envelope"))
		format = "json";
	if (!format)
		format = isatty(STDOUT_FILENO) ? "text" : "json";
	c->json = (struct json_style){.is_pretty = options_flag(o, "pretty-print"),
				      .is_meta = options_flag(o, "meta-only")};
	c->has_colour = colour_wanted(STDOUT_FILENO);
	int code = parse_envelope(c, o, &is_kcat);
	if (code)
		return code;
	if (strcmp(format, "json") == 0 || c->json.is_pretty || c->json.is_meta)
		c->shape = is_kcat ? SHAPE_KCAT : SHAPE_JSON;
	else if (strcmp(format, "text") == 0)
		c->shape = SHAPE_LINE;
	else
		c->shape = SHAPE_LAYOUT;
	if (c->shape == SHAPE_LAYOUT && format_writer_new(format, &c->layout, &why))
		return say_usage("--format: %s", why.text);
	return EXIT_DONE;
}

/* What only a cluster has. */
static int parse_wire_options(struct consumer *c, const struct options *o)
{
	static const char *const names[] = {"fetch-max-wait", "rack", "balancer", NULL};
	const char *balancer = options_text(o, "balancer");
	int code = verb_check_wire_options(o, names);

	if (code == EXIT_DONE)
		code = verb_duration(o, "fetch-max-wait", 1, FETCH_WAIT_MS_MAX, &c->fetch_wait_ms);
	if (code != EXIT_DONE)
		return code;
	if (balancer && !c->group)
		return say_usage("--balancer is about a group; --group names one");
	if (balancer && strcmp(balancer, "range") != 0)
		return say_usage("--balancer \"%s\": range is known", balancer);
	c->rack = options_text(o, "rack");
	return EXIT_DONE;
}

/* How much to take at a time. */
static int parse_sizes(struct consumer *c, const struct options *o)
{
	int64_t all = options_number(o, "fetch-max-bytes");
	int64_t each = options_number(o, "fetch-max-partition-bytes");

	if (all < 1 || all > INT32_MAX)
		return say_usage("--fetch-max-bytes must be 1 to %d", INT32_MAX);
	if (each < 1 || each > INT32_MAX)
		return say_usage("--fetch-max-partition-bytes must be 1 to %d", INT32_MAX);
	c->answer_bytes = (size_t)all;
	c->fetch_bytes = (size_t)(each < all ? each : all);
	return EXIT_DONE;
}

/* The group, and what of it has no option of its own. */
static int parse_group(struct consumer *c, const struct options *o)
{
	c->group = options_text(o, "group");
	if (options_given(o, "partitions") && options_given(o, "group"))
		return say_usage("only one of --group and --partitions can be given");
	/* That of a property yields. */
	if (!options_given(o, "group") && c->group &&
	    (options_given(o, "partitions") || !*c->group))
		c->group = NULL;
	c->is_manual = strcmp(verb_client_text(o, "enable.auto.commit"), "true") != 0;
	c->commit_ms = verb_client_number(o, "auto.commit.interval.ms");
	return EXIT_DONE;
}

/* --offset; without it a group begins where auto.offset.reset says. */
static int parse_range(struct consumer *c, const struct options *o)
{
	const char *reset = verb_client_text(o, "auto.offset.reset");
	const char *text = options_text(o, "offset");
	struct ks_why why = {""};

	if (c->group && !options_given(o, "offset")) {
		c->needs_committed = strcmp(reset, "error") == 0;
		text = *reset == 'l' || strcmp(reset, "end") == 0 ? "end" : "start";
	}
	if (offset_range_parse(text, clock_now_ms(&clock_real), &c->range, &why))
		return say_usage("--offset: %s", why.text);
	return EXIT_DONE;
}

static int parse_options(struct consumer *c, const struct options *o)
{
	const char *partitions = options_text(o, "partitions");
	int64_t num = options_number(o, "num");
	struct ks_why why = {""};

	int code = parse_group(c, o);
	if (code == EXIT_DONE)
		code = parse_range(c, o);
	if (code != EXIT_DONE)
		return code;
	if (partitions && numbers_parse(partitions, &c->partitions, &c->partition_count, &why))
		return say_usage("--partitions: %s", why.text);
	if (num < 0)
		return say_usage("--num must not be negative");
	if (options_flag(o, "uncommitted") && options_flag(o, "read-committed"))
		return say_usage("only one of --read-committed and --uncommitted can be given");
	c->left = num ? num : COUNT_OF_UNLIMITED;
	c->wants_control = options_flag(o, "print-control-records");
	c->progress.is_silent = options_flag(o, "quiet") || isatty(STDOUT_FILENO);
	code = parse_sizes(c, o);
	if (code == EXIT_DONE)
		code = parse_wire_options(c, o);
	return code ? code : parse_shape(c, o);
}

static void consumer_fini(struct consumer *c)
{
	feeds_close(c);
	free(c->feeds);
	free(c->topics);
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
		c.target->reads_uncommitted = options_flag(o, "uncommitted");
		c.target->fetch_bytes_max = c.answer_bytes;
		c.target->fetch_wait_ms = c.fetch_wait_ms;
		c.target->rack = c.rack;
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

/* trim.c - topic trim: deletes the records before an offset, of one topic or where a file says. */
#include <stdlib.h>

#include "cli/offset_file.h"
#include "cli/select.h"
#include "cli/table_verb.h"

const struct option topic_trim_options[] = {
	{.letter = 'o',
	 .name = "offset",
	 .type = OPTION_TEXT,
	 .arg = "OFFSET",
	 .help = "the new start: an offset, start, end, +N, -N or @TIME"},
	{.letter = 'p',
	 .name = "partitions",
	 .type = OPTION_TEXT,
	 .arg = "LIST",
	 .help = "only these partitions, such as 0,2-4"},
	{.letter = 'f',
	 .name = "from-file",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .help = "as the file says instead: lines of topic, partition and offset; -: standard "
		 "input"},
	{.letter = 'y', .name = "yes", .name_too = "no-confirm", .help = "do not ask"},
	FORMAT_OPTION,
	{0},
};

struct trim_row {
	struct target_topic topic;
	int32_t partition;
	int64_t before, after;
};

/* Where a row's partition is to begin; b: where it begins and ends now. */
static enum ks_err plan_trim(struct target *t, const struct offset_point *to,
			     const struct target_bounds *b, struct trim_row *row,
			     struct ks_why *why)
{
	enum ks_err err = offset_resolve(t, &row->topic, row->partition, to, b, &row->after, why);

	if (err)
		return err;
	if (to->kind == OFFSET_EXACT && to->value > b->high_watermark)
		return ks_fail(why, ERR_OFFSET_OUT_OF_RANGE,
			       "partition %d ends at %lld: it cannot be trimmed to %lld",
			       row->partition, (long long)b->high_watermark, (long long)to->value);
	row->before = b->log_start_offset;
	if (row->after < b->log_start_offset)
		row->after = b->log_start_offset;
	if (row->after > b->high_watermark)
		row->after = b->high_watermark;
	return ERR_NONE;
}

static void print_trim(const struct trim_row *rows, size_t count, int output, struct buf *out)
{
	static const struct column columns[] = {{"TOPIC", CELL_TEXT, false},
						{"PARTITION", CELL_NUMBER, false},
						{"PRIOR-START-OFFSET", CELL_NUMBER, false},
						{"NEW-START-OFFSET", CELL_NUMBER, false}};
	struct table *table = table_new(columns, 4);

	for (size_t i = 0; i < count; i++) {
		table_text(table, rows[i].topic.name);
		table_number(table, rows[i].partition);
		table_number(table, rows[i].before);
		table_number(table, rows[i].after);
	}
	table_write(table, (enum output)output, out);
	table_free(table);
}

/* The partitions of --partitions, or all of them. */
static int topic_rows(struct target *t, const struct options *o, const struct offset_point *to,
		      struct trim_row **out, size_t *count)
{
	const char *list = options_text(o, "partitions");
	struct target_topic topic;
	struct ks_why why = {""};
	int32_t *numbers = NULL;
	enum ks_err err = t->topic_find(t, o->args[0], false, &topic, &why);

	if (err)
		return say_failure(err, &why);
	*count = (size_t)topic.partition_count;
	if (list && numbers_parse(list, &numbers, count, &why))
		return say_usage("%s", why.text);
	struct target_bounds *bounds = xcalloc((size_t)topic.partition_count + 1, sizeof *bounds);
	err = t->bounds_all(t, &topic, false, bounds, &why);
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count && !err; i++) {
		int32_t p = numbers ? numbers[i] : (int32_t)i;
		(*out)[i] = (struct trim_row){.topic = topic, .partition = p};
		err = target_check_partition(&topic, p, &why);
		if (!err)
			err = plan_trim(t, to, &bounds[p], &(*out)[i], &why);
	}
	free(bounds);
	free(numbers);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

/* The partitions that the file of --from-file names. */
static int file_rows(struct target *t, const char *path, struct trim_row **out, size_t *count)
{
	struct target_offset *offsets;
	struct ks_why why = {""};
	enum ks_err err = offset_file_read(t, path, &offsets, count, &why);

	if (err)
		return say_failure(err, &why);
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count && !err; i++) {
		struct offset_point to = {.kind = OFFSET_EXACT, .value = offsets[i].offset};
		struct target_bounds bounds;
		(*out)[i] = (struct trim_row){.topic = offsets[i].topic,
					      .partition = offsets[i].partition};
		err = t->bounds(t, &offsets[i].topic, offsets[i].partition, &bounds, &why);
		if (!err)
			err = plan_trim(t, &to, &bounds, &(*out)[i], &why);
	}
	free(offsets);
	if (err)
		return say_failure(err, &why);
	return *count ? EXIT_DONE : say_usage("%s names no partition", path);
}

static int trim_confirmed(const struct options *o, const struct buf *shown)
{
	if (options_flag(o, "yes"))
		return EXIT_DONE;
	return confirm(shown, "Delete these records?", "--yes does it without asking");
}

static int trim(struct target *t, struct trim_row *rows, size_t count)
{
	struct ks_why why = {""};
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < count && !err; i++)
		if (rows[i].after > rows[i].before)
			err = t->trim(t, &rows[i].topic, rows[i].partition, rows[i].after,
				      &rows[i].after, &why);
	if (!err)
		err = t->reclaim(t, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

/* to: for the topic of the command line, unless there is a file. */
static int trim_all(struct target *t, const struct options *o, const struct offset_point *to,
		    int output)
{
	const char *path = options_text(o, "from-file");
	struct trim_row *rows = NULL;
	struct buf out = {0};
	size_t count = 0;
	int code = path ? file_rows(t, path, &rows, &count) : topic_rows(t, o, to, &rows, &count);

	if (code == EXIT_DONE) {
		print_trim(rows, count, OUTPUT_TEXT, &out);
		code = trim_confirmed(o, &out);
	}
	if (code == EXIT_DONE)
		code = trim(t, rows, count);
	if (code == EXIT_DONE) {
		buf_clear(&out);
		print_trim(rows, count, output, &out);
		out_write(&out);
	}
	buf_fini(&out);
	free(rows);
	return code;
}

int verb_topic_trim(const struct options *o)
{
	const char *text = options_text(o, "offset");
	bool has_file = options_given(o, "from-file");
	struct offset_point to = {.kind = OFFSET_START};
	struct ks_why why = {""};
	struct target *t;
	int output;

	if (has_file && (o->arg_count || text || options_given(o, "partitions")))
		return say_usage("the file of --from-file says topics, partitions and offsets; "
				 "give no others");
	if (!has_file && !o->arg_count)
		return say_usage("it needs TOPIC, or --from-file");
	if (!has_file && !text)
		return say_usage("--offset is needed: up to where shall records be deleted?");
	if (text && offset_point_parse(text, clock_now_ms(&clock_real), &to, &why))
		return say_usage("%s", why.text);
	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	code = trim_all(t, o, &to, output);
	t->close(t);
	return code;
}

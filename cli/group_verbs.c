/* group_verbs.c - group list, describe, seek, delete. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/select.h"
#include "cli/table.h"

#define FORMAT_OPTION                                                                              \
	{                                                                                          \
		.name = "format", .type = OPTION_TEXT, .arg = "FORMAT", .fallback = "text",        \
		.help = "text, wide or json"                                                       \
	}

static void groups_free(char **groups, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(groups[i]);
	free(groups);
}

/* --- list --- */

const struct option group_list_options[] = {FORMAT_OPTION, {0}};

int verb_group_list(const struct options *o)
{
	static const struct column columns[] = {{"GROUP", CELL_TEXT, false}};
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	char **groups;
	size_t count;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	enum ks_err err = t->groups(t, &groups, &count, &why);
	if (err) {
		code = say_failure(err, &why);
	} else {
		struct table *table = table_new(columns, 1);
		for (size_t i = 0; i < count; i++)
			table_text(table, groups[i]);
		table_write(table, (enum output)output, &out);
		table_free(table);
		groups_free(groups, count);
	}
	out_write(&out);
	buf_fini(&out);
	t->close(t);
	return code ? code : out_code();
}

/* --- describe --- */

const struct option group_describe_options[] = {FORMAT_OPTION, {0}};

static enum ks_err add_group(struct target *t, const char *group, struct table *table,
			     struct ks_why *why)
{
	struct target_offset *rows;
	size_t count;
	enum ks_err err = t->group_offsets(t, group, &rows, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++) {
		struct target_bounds b;
		err = t->bounds(t, &rows[i].topic, rows[i].partition, &b, why);
		if (err)
			break;
		table_text(table, group);
		table_text(table, rows[i].topic.name);
		table_number(table, rows[i].partition);
		table_number(table, rows[i].offset);
		table_number(table, b.high_watermark);
		/* What was trimmed cannot be read any more: it is no lag. */
		int64_t from =
			rows[i].offset > b.log_start_offset ? rows[i].offset : b.log_start_offset;
		table_number(table, b.high_watermark > from ? b.high_watermark - from : 0);
		table_text(table, NULL); /* members: a data directory has none */
		table_text(table, NULL);
		table_text(table, NULL);
	}
	free(rows);
	return err;
}

int verb_group_describe(const struct options *o)
{
	static const struct column columns[] = {{"GROUP", CELL_TEXT, false},
						{"TOPIC", CELL_TEXT, false},
						{"PARTITION", CELL_NUMBER, false},
						{"CURRENT-OFFSET", CELL_NUMBER, false},
						{"LOG-END-OFFSET", CELL_NUMBER, false},
						{"LAG", CELL_NUMBER, false},
						{"CONSUMER-ID", CELL_TEXT, false},
						{"HOST", CELL_TEXT, false},
						{"CLIENT-ID", CELL_TEXT, false}};
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < o->arg_count && !code; i++) {
		enum ks_err err = add_group(t, o->args[i], table, &why);
		if (err)
			code = say_failure(err, &why);
	}
	if (!code) {
		table_write(table, (enum output)output, &out);
		out_write(&out);
	}
	buf_fini(&out);
	table_free(table);
	t->close(t);
	return code ? code : out_code();
}

/* --- seek --- */

const struct option group_seek_options[] = {
	{.name = "to",
	 .type = OPTION_TEXT,
	 .arg = "OFFSET",
	 .help = "start, end, an offset, @TIME, or +N and -N from the present offset"},
	{.name = "topics",
	 .type = OPTION_TEXT,
	 .arg = "LIST",
	 .help = "only these topics, such as in,out; the group need not know them yet"},
	{.name = "dry-run", .help = "show what would change, and change nothing"},
	{.letter = 'y', .name = "yes", .help = "do not ask"},
	FORMAT_OPTION,
	{0},
};

struct seek {
	struct target *target;
	const char *group;
	struct offset_point to;
	bool is_relative; /* to what is committed */
	struct target_offset *before, *after;
	bool *is_new; /* nothing is committed there yet */
	size_t count;
};

static void seek_add(struct seek *s, const struct target_offset *row, bool is_new)
{
	s->before = xrealloc(s->before, (s->count + 1) * sizeof *s->before);
	s->is_new = xrealloc(s->is_new, (s->count + 1) * sizeof *s->is_new);
	s->before[s->count] = *row;
	s->is_new[s->count] = is_new;
	s->count++;
}

/* All partitions of one topic, with what the group has committed there. */
static void seek_add_topic(struct seek *s, const struct target_topic *topic,
			   const struct target_offset *committed, size_t committed_count)
{
	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct target_offset row = {.topic = *topic, .partition = p, .offset = 0};
		bool is_new = true;
		for (size_t i = 0; i < committed_count; i++) {
			if (committed[i].partition == p &&
			    strcmp(committed[i].topic.name, topic->name) == 0) {
				row.offset = committed[i].offset;
				is_new = false;
			}
		}
		if (!is_new || !s->is_relative)
			seek_add(s, &row, is_new);
	}
}

static enum ks_err seek_select(struct seek *s, const char *topics, struct ks_why *why)
{
	struct target_offset *committed = NULL;
	size_t count = 0;
	enum ks_err err = s->target->group_offsets(s->target, s->group, &committed, &count, why);

	if (err == ERR_GROUP_ID_NOT_FOUND && topics)
		err = ERR_NONE; /* the group begins here */
	if (err)
		return err;
	if (!topics) {
		for (size_t i = 0; i < count; i++)
			seek_add(s, &committed[i], false);
	} else {
		char *list = xstrdup(topics), *rest = list, *name;
		while (!err && (name = strsep(&rest, ","))) {
			struct target_topic topic;
			err = s->target->topic_find(s->target, name, false, &topic, why);
			if (!err)
				seek_add_topic(s, &topic, committed, count);
		}
		free(list);
	}
	free(committed);
	if (!err && s->count == 0)
		return ks_fail(why, ERR_NOT_FOUND, "group \"%s\" has no offset to move", s->group);
	return err;
}

static enum ks_err seek_plan(struct seek *s, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	s->after = xcalloc(s->count, sizeof *s->after);
	for (size_t i = 0; i < s->count && !err; i++) {
		struct target_offset *row = &s->after[i];
		struct target_bounds b;
		*row = s->before[i];
		err = s->target->bounds(s->target, &row->topic, row->partition, &b, why);
		if (!err && s->is_relative)
			row->offset += s->to.value;
		else if (!err)
			err = offset_resolve(s->target, &row->topic, row->partition, &s->to, &b,
					     &row->offset, why);
		if (row->offset < b.log_start_offset)
			row->offset = b.log_start_offset;
		if (row->offset > b.high_watermark)
			row->offset = b.high_watermark;
	}
	return err;
}

static void seek_write(const struct seek *s, int output, struct buf *out)
{
	static const struct column columns[] = {{"TOPIC", CELL_TEXT, false},
						{"PARTITION", CELL_NUMBER, false},
						{"PRIOR-OFFSET", CELL_NUMBER, false},
						{"CURRENT-OFFSET", CELL_NUMBER, false}};
	struct table *table = table_new(columns, 4);

	for (size_t i = 0; i < s->count; i++) {
		table_text(table, s->before[i].topic.name);
		table_number(table, s->before[i].partition);
		if (s->is_new[i])
			table_text(table, NULL);
		else
			table_number(table, s->before[i].offset);
		table_number(table, s->after[i].offset);
	}
	table_write(table, (enum output)output, out);
	table_free(table);
}

static int seek_confirmed(const struct seek *s, const struct options *o)
{
	struct buf shown = {0};

	if (options_flag(o, "yes"))
		return EXIT_DONE;
	seek_write(s, OUTPUT_TEXT, &shown);
	fwrite(shown.data, 1, shown.len, stderr);
	buf_fini(&shown);
	switch (ask("Move the group's offsets?")) {
	case ANSWER_YES:
		return EXIT_DONE;
	case ANSWER_NO:
		say("Nothing was changed.");
		return EXIT_FAILED;
	default:
		return say_usage(
			"nobody is there to confirm; --yes does it without asking, --dry-run "
			"shows it");
	}
}

static int seek(struct seek *s, const struct options *o, int output)
{
	struct ks_why why = {""};
	struct buf out = {0};
	int code = EXIT_DONE;
	enum ks_err err = seek_select(s, options_text(o, "topics"), &why);

	if (!err)
		err = seek_plan(s, &why);
	if (err)
		return say_failure(err, &why);
	if (!options_flag(o, "dry-run")) {
		code = seek_confirmed(s, o);
		if (code)
			return code;
		err = s->target->group_commit(s->target, s->group, s->after, s->count, &why);
		if (err)
			return say_failure(err, &why);
	}
	seek_write(s, output, &out);
	out_write(&out);
	buf_fini(&out);
	return out_code();
}

int verb_group_seek(const struct options *o)
{
	const char *to = options_text(o, "to");
	struct seek s = {.group = o->args[0]};
	struct ks_why why = {""};
	int output;

	if (!to)
		return say_usage("--to is needed: where shall the group go?");
	if (offset_point_parse(to, clock_now_ms(&clock_real), &s.to, &why))
		return say_usage("--to: %s", why.text);
	s.is_relative = *to == '+' || *to == '-';
	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &s.target);
	if (code)
		return code;
	code = seek(&s, o, output);
	s.target->close(s.target);
	free(s.before);
	free(s.after);
	free(s.is_new);
	return code;
}

/* --- delete --- */

int verb_group_delete(const struct options *o)
{
	static const struct column columns[] = {{"GROUP", CELL_TEXT, false},
						{"STATUS", CELL_TEXT, false}};
	struct buf out = {0};
	struct target *t;
	int code = verb_open_target(o, false, &t);

	if (code)
		return code;
	struct table *table = table_new(columns, 2);
	for (size_t i = 0; i < o->arg_count; i++) {
		struct ks_why why = {""};
		enum ks_err err = t->group_delete(t, o->args[i], &why);
		table_text(table, o->args[i]);
		table_text(table, err ? ks_err_name(err) : "OK");
		if (err) {
			say_error("group \"%s\": %s", o->args[i],
				  why.text[0] ? why.text : ks_err_text(err));
			code = exit_code_of(err);
		}
	}
	table_write(table, OUTPUT_TEXT, &out);
	out_write(&out);
	buf_fini(&out);
	table_free(table);
	t->close(t);
	return code;
}

/* group_verbs.c - group list, describe, seek, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"
#include "cli/offset_file.h"
#include "cli/select.h"
#include "cli/table_verb.h"

/* --- list --- */

const struct option group_list_options[] = {
	{.letter = 's',
	 .name = "states",
	 .name_too = "state",
	 .type = OPTION_TEXT,
	 .arg = "LIST",
	 .help = "only groups in these states, such as Stable,Empty"},
	FORMAT_OPTION,
	{0},
};

/* Of both protocols. */
static const char *const group_states[] = {
	"PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty",
	"Assigning",          "Reconciling"};
#define STATES (sizeof group_states / sizeof *group_states)

/* Which of the states the list names; false: said. */
static bool states_parse(const char *list, bool *wanted)
{
	for (const char *p = list, *end; p; p = *end ? end + 1 : NULL) {
		size_t len = strcspn(p, ","), i = 0;
		end = p + len;
		while (i < STATES && (strlen(group_states[i]) != len ||
				      strncasecmp(group_states[i], p, len) != 0))
			i++;
		if (i == STATES) {
			char *word = slice_strdup(slice_of(p, len));
			const char *near = suggest(word, group_states, STATES);
			say_usage("--states: groups have no state \"%s\"%s%s%s", word,
				  near ? "; did you mean \"" : "", near ? near : "",
				  near ? "\"?" : "");
			free(word);
			return false;
		}
		wanted[i] = true;
	}
	return true;
}

static bool is_in_state(const struct target_group *g, const bool *wanted)
{
	for (size_t i = 0; i < STATES; i++)
		if (wanted[i] && strcmp(group_states[i], g->state) == 0)
			return true;
	return false;
}

static enum ks_err fill_groups(struct target *t, const struct options *o, struct table *table,
			       struct ks_why *why)
{
	struct target_groups groups;
	const char *states = options_text(o, "states");
	bool wanted[STATES] = {false};
	enum ks_err err = t->groups(t, &groups, why);

	if (err)
		return err;
	if (states)
		states_parse(states, wanted);
	for (size_t i = 0; i < groups.count; i++) {
		const struct target_group *g = &groups.rows[i];
		if (states && !is_in_state(g, wanted))
			continue;
		table_text(table, g->name);
		table_text(table, *g->state ? g->state : NULL);
		table_text(table, *g->type ? g->type : NULL);
	}
	arena_fini(&groups.arena);
	return ERR_NONE;
}

int verb_group_list(const struct options *o)
{
	static const struct column columns[] = {
		{"GROUP", CELL_TEXT, false}, {"STATE", CELL_TEXT, true}, {"TYPE", CELL_TEXT, true}};
	const char *states = options_text(o, "states");
	bool wanted[STATES];

	if (states && !states_parse(states, wanted))
		return EXIT_USAGE;
	return verb_table(o, columns, sizeof columns / sizeof *columns, fill_groups);
}

/* --- describe --- */

const struct option group_describe_options[] = {
	{.letter = 's', .name = "state", .help = "state and members instead of offsets"},
	FORMAT_OPTION,
	{0},
};

/* A partition that the group has committed, or that a member has, or both. */
struct group_row {
	struct target_topic topic; /* name NULL: a member without partitions */
	int32_t partition;
	int64_t offset;                    /* -1: nothing committed */
	const struct target_assigned *who; /* NULL: nobody has it */
};

static int compare_rows(const void *a, const void *b)
{
	const struct group_row *x = a, *y = b;

	if (!x->topic.name || !y->topic.name)
		return !x->topic.name - !y->topic.name;
	int order = strcmp(x->topic.name, y->topic.name);
	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Puts a member's partition to its committed row, or makes a row of its own. */
static enum ks_err add_assigned(struct target *t, const struct target_assigned *who,
				struct group_row *rows, size_t *count, struct ks_why *why)
{
	struct group_row row = {.partition = who->partition, .offset = -1, .who = who};

	for (size_t i = 0; who->topic && i < *count; i++) {
		if (rows[i].topic.name && rows[i].partition == who->partition &&
		    strcmp(rows[i].topic.name, who->topic) == 0) {
			rows[i].who = who;
			return ERR_NONE;
		}
	}
	if (who->topic) {
		enum ks_err err = t->topic_find(t, who->topic, false, &row.topic, why);
		if (err)
			return err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_NONE : err;
	}
	rows[(*count)++] = row;
	return ERR_NONE;
}

static void write_row(const char *group, const struct group_row *row, const struct target_bounds *b,
		      struct table *table)
{
	table_text(table, group);
	table_text(table, row->topic.name);
	table_number_or_none(table, row->topic.name ? row->partition : -1);
	table_number_or_none(table, row->offset);
	table_number_or_none(table, b ? b->high_watermark : -1);
	if (b && row->offset >= 0) {
		/* What was trimmed cannot be read any more: it is no lag. */
		int64_t from =
			row->offset > b->log_start_offset ? row->offset : b->log_start_offset;
		table_number(table, b->high_watermark > from ? b->high_watermark - from : 0);
	} else {
		table_text(table, NULL);
	}
	table_text(table, row->who ? row->who->member : NULL);
	table_text(table, row->who ? row->who->host : NULL);
	table_text(table, row->who ? row->who->client_id : NULL);
}

/* The bounds of the topic that was asked for last. Zero-initialise; free() v. */
struct known_bounds {
	const char *topic;
	struct target_bounds *v; /* of its partitions */
};

/* Rows of a topic follow each other: it is asked once. */
static enum ks_err know_bounds(struct known_bounds *k, struct target *t,
			       const struct target_topic *topic, struct ks_why *why)
{
	if (k->topic && strcmp(k->topic, topic->name) == 0)
		return ERR_NONE;
	k->topic = topic->name;
	k->v = xrealloc(k->v, ((size_t)topic->partition_count + 1) * sizeof *k->v);
	return t->bounds_all(t, topic, false, k->v, why);
}

static enum ks_err write_rows(struct target *t, const char *group, const struct group_row *rows,
			      size_t count, struct table *table, struct ks_why *why)
{
	struct known_bounds k = {0};
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < count && !err; i++) {
		const struct target_topic *topic = &rows[i].topic;
		if (topic->name)
			err = know_bounds(&k, t, topic, why);
		if (!err)
			write_row(group, &rows[i],
				  topic->name && rows[i].partition < topic->partition_count
					  ? &k.v[rows[i].partition]
					  : NULL,
				  table);
	}
	free(k.v);
	return err;
}

static enum ks_err add_group(struct target *t, const char *group, struct table *table,
			     struct ks_why *why)
{
	struct target_members members;
	struct target_offset *offsets;
	size_t count, n = 0;
	enum ks_err err = t->group_offsets(t, group, &offsets, &count, why);

	if (err)
		return err;
	err = t->group_members(t, group, &members, why);
	if (err) {
		free(offsets);
		return err;
	}
	struct group_row *rows = xcalloc(count + members.row_count + 1, sizeof *rows);
	for (; n < count; n++)
		rows[n] = (struct group_row){.topic = offsets[n].topic,
					     .partition = offsets[n].partition,
					     .offset = offsets[n].offset};
	for (size_t i = 0; i < members.row_count && !err; i++)
		err = add_assigned(t, &members.rows[i], rows, &n, why);
	qsort(rows, n, sizeof *rows, compare_rows);
	if (!err)
		err = write_rows(t, group, rows, n, table, why);
	arena_fini(&members.arena);
	free(offsets);
	free(rows);
	return err;
}

static enum ks_err add_state(struct target *t, const char *group, struct table *table,
			     struct ks_why *why)
{
	struct target_members m;
	struct target_offset *unused;
	size_t count;
	/* Which tells a group that is not there from one that is empty. */
	enum ks_err err = t->group_offsets(t, group, &unused, &count, why);

	if (err)
		return err;
	free(unused);
	err = t->group_members(t, group, &m, why);
	if (err)
		return err;
	table_text(table, group);
	table_number_or_none(table, m.group.coordinator);
	table_text(table, *m.assignor ? m.assignor : NULL);
	table_text(table, m.group.state);
	table_number(table, (int64_t)m.member_count);
	arena_fini(&m.arena);
	return ERR_NONE;
}

static enum ks_err fill_descriptions(struct target *t, const struct options *o, struct table *table,
				     struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < o->arg_count && !err; i++)
		err = options_flag(o, "state") ? add_state(t, o->args[i], table, why)
					       : add_group(t, o->args[i], table, why);
	return err;
}

int verb_group_describe(const struct options *o)
{
	static const struct column offsets[] = {{"GROUP", CELL_TEXT, false},
						{"TOPIC", CELL_TEXT, false},
						{"PARTITION", CELL_NUMBER, false},
						{"CURRENT-OFFSET", CELL_NUMBER, false},
						{"LOG-END-OFFSET", CELL_NUMBER, false},
						{"LAG", CELL_NUMBER, false},
						{"CONSUMER-ID", CELL_TEXT, false},
						{"HOST", CELL_TEXT, false},
						{"CLIENT-ID", CELL_TEXT, false}};
	static const struct column states[] = {{"GROUP", CELL_TEXT, false},
					       {"COORDINATOR", CELL_NUMBER, false},
					       {"ASSIGNMENT-STRATEGY", CELL_TEXT, false},
					       {"STATE", CELL_TEXT, false},
					       {"MEMBERS", CELL_NUMBER, false}};

	if (options_flag(o, "state"))
		return verb_table(o, states, sizeof states / sizeof *states, fill_descriptions);
	return verb_table(o, offsets, sizeof offsets / sizeof *offsets, fill_descriptions);
}

/* --- seek --- */

const struct option group_seek_options[] = {
	{.name = "to",
	 .type = OPTION_TEXT,
	 .arg = "OFFSET",
	 .help = "start, end, an offset, @TIME, or +N and -N from the present offset"},
	{.name = "to-group",
	 .type = OPTION_TEXT,
	 .arg = "GROUP",
	 .help = "to where this group is, in the partitions that it has"},
	{.name = "to-file",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .help = "to what the file says: lines of topic, partition and offset"},
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
	const char *to_group, *to_file; /* NULL: by to */
	struct offset_point to;
	bool is_relative; /* to what is committed */
	struct target_offset *before, *after;
	int64_t *wanted; /* with to_group and to_file */
	bool *is_new;    /* nothing is committed there yet */
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

static bool seek_has_topic(const struct seek *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->before[i].topic.name, name) == 0)
			return true;
	return false;
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

/* Whether a list with commas has the name; no list has all. */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && (!p[len] || p[len] == ','))
			return true;
	return !list;
}

/* A partition and where it shall go; the last word about a partition counts. */
static void seek_want(struct seek *s, const struct target_offset *to,
		      const struct target_offset *committed, size_t committed_count)
{
	struct target_offset row = *to;
	bool is_new = true;
	size_t at = 0;

	for (size_t i = 0; i < committed_count; i++) {
		if (committed[i].partition == to->partition &&
		    strcmp(committed[i].topic.name, to->topic.name) == 0) {
			row.offset = committed[i].offset;
			is_new = false;
		}
	}
	while (at < s->count && (s->before[at].partition != to->partition ||
				 strcmp(s->before[at].topic.name, to->topic.name) != 0))
		at++;
	if (at == s->count) {
		seek_add(s, &row, is_new);
		s->wanted = xrealloc(s->wanted, s->count * sizeof *s->wanted);
	}
	s->wanted[at] = to->offset;
}

static enum ks_err select_by_file(struct seek *s, const char *topics,
				  const struct target_offset *committed, size_t count,
				  struct ks_why *why)
{
	struct target_offset *rows;
	size_t row_count;
	enum ks_err err = offset_file_read(s->target, s->to_file, &rows, &row_count, why);

	if (err)
		return err;
	for (size_t i = 0; i < row_count; i++)
		if (is_listed(topics, rows[i].topic.name))
			seek_want(s, &rows[i], committed, count);
	free(rows);
	return ERR_NONE;
}

static enum ks_err select_by_group(struct seek *s, const char *topics,
				   const struct target_offset *committed, size_t count,
				   struct ks_why *why)
{
	struct target_offset *others = NULL;
	struct ks_why what = {""};
	size_t other_count = 0;
	enum ks_err err =
		s->target->group_offsets(s->target, s->to_group, &others, &other_count, &what);

	if (err)
		return ks_fail(why, err, "--to-group: %s",
			       what.text[0] ? what.text : ks_err_text(err));
	for (size_t i = 0; i < other_count; i++)
		if (is_listed(topics, others[i].topic.name))
			seek_want(s, &others[i], committed, count);
	free(others);
	return ERR_NONE;
}

static enum ks_err seek_select(struct seek *s, const char *topics, struct ks_why *why)
{
	struct target_offset *committed = NULL;
	size_t count = 0;
	enum ks_err err = s->target->group_offsets(s->target, s->group, &committed, &count, why);

	if (err == ERR_GROUP_ID_NOT_FOUND && (topics || s->to_group || s->to_file))
		err = ERR_NONE; /* the group begins here */
	if (err)
		return err;
	if (s->to_file) {
		err = select_by_file(s, topics, committed, count, why);
	} else if (s->to_group) {
		err = select_by_group(s, topics, committed, count, why);
	} else if (!topics) {
		for (size_t i = 0; i < count; i++)
			seek_add(s, &committed[i], false);
	} else {
		char *list = xstrdup(topics), *rest = list, *name;
		while (!err && (name = strsep(&rest, ","))) {
			struct target_topic topic;
			err = s->target->topic_find(s->target, name, false, &topic, why);
			if (!err && !seek_has_topic(s, name))
				seek_add_topic(s, &topic, committed, count);
		}
		free(list);
	}
	free(committed);
	if (!err && s->count == 0)
		return ks_fail(why, ERR_NOT_FOUND, "group \"%s\" has no offset to move", s->group);
	return err;
}

static enum ks_err seek_row(struct seek *s, size_t i, const struct target_bounds *b,
			    struct ks_why *why)
{
	struct target_offset *row = &s->after[i];
	enum ks_err err = ERR_NONE;

	if (s->wanted)
		row->offset = s->wanted[i];
	else if (s->is_relative)
		row->offset += s->to.value;
	else
		err = offset_resolve(s->target, &row->topic, row->partition, &s->to, b,
				     &row->offset, why);
	if (row->offset < b->log_start_offset)
		row->offset = b->log_start_offset;
	if (row->offset > b->high_watermark)
		row->offset = b->high_watermark;
	return err;
}

static enum ks_err seek_plan(struct seek *s, struct ks_why *why)
{
	struct known_bounds k = {0};
	enum ks_err err = ERR_NONE;

	s->after = xcalloc(s->count, sizeof *s->after);
	for (size_t i = 0; i < s->count && !err; i++) {
		struct target_offset *row = &s->after[i];
		*row = s->before[i];
		err = know_bounds(&k, s->target, &row->topic, why);
		if (!err)
			err = seek_row(s, i, &k.v[row->partition], why);
	}
	free(k.v);
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
	int code = confirm(&shown, "Move the group's offsets?",
			   "--yes does it without asking, --dry-run shows it");
	buf_fini(&shown);
	return code;
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
	struct seek s = {.group = o->args[0],
			 .to_group = options_text(o, "to-group"),
			 .to_file = options_text(o, "to-file")};
	struct ks_why why = {""};
	int output;

	if (!to && !s.to_group && !s.to_file)
		return say_usage("--to is needed: where shall the group go?");
	if (!!to + !!s.to_group + !!s.to_file > 1)
		return say_usage("only one of --to, --to-group and --to-file can be given");
	if (to && offset_point_parse(to, clock_now_ms(&clock_real), &s.to, &why))
		return say_usage("--to: %s", why.text);
	s.is_relative = to && (*to == '+' || *to == '-');
	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &s.target);
	if (code)
		return code;
	code = seek(&s, o, output);
	s.target->close(s.target);
	free(s.before);
	free(s.after);
	free(s.wanted);
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

/* topic_verbs.c - topic create, list, describe, alter, delete. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/changes.h"
#include "cli/encode.h"
#include "cli/select.h"
#include "cli/table_verb.h"

#define CONFIG_OPTION                                                                              \
	{                                                                                          \
		.letter = 'c', .name = "config", .name_too = "topic-config", .type = OPTION_LIST,  \
		.arg = "KEY=VALUE", .help = "a configuration entry such as retention.ms=1000"      \
	}
#define REGEX_OPTION                                                                               \
	{                                                                                          \
		.letter = 'r', .name = "regex", .help = "the arguments are regular expressions"    \
	}

/* --- configuration entries of the command line --- */

struct configs {
	struct config_entry *rows;
	size_t count;
};

static void configs_free(struct configs *c)
{
	for (size_t i = 0; i < c->count; i++)
		free((char *)c->rows[i].key);
	free(c->rows);
}

static int configs_parse(const struct options *o, struct configs *out)
{
	const char *text;

	*out = (struct configs){0};
	for (size_t i = 0; (text = options_item(o, "config", i)); i++) {
		out->rows = xrealloc(out->rows, (i + 1) * sizeof *out->rows);
		if (!verb_split(text, '=', &out->rows[i])) {
			configs_free(out);
			return say_usage("--config \"%s\": key=value is needed", text);
		}
		out->count = i + 1;
	}
	return EXIT_DONE;
}

/* --- create --- */

const struct option topic_create_options[] = {
	{.letter = 'p',
	 .name = "partitions",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "1",
	 .help = "number of partitions"},
	{.letter = 'r',
	 .name = "replicas",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "-1",
	 .help = "replication factor; -1: the broker's default; a data directory has 1"},
	CONFIG_OPTION,
	{.name = "if-not-exists", .help = "a topic that is there already is no error"},
	{.letter = 'd', .name = "dry", .help = "check, and create nothing"},
	FORMAT_OPTION,
	{0},
};

/* The table's word for one topic: OK or the reason. */
static char *create_one(struct target *t, const struct options *o, const char *name,
			const struct configs *configs, enum ks_err *err)
{
	struct ks_why why = {""};
	struct topic_spec spec = {.name = name,
				  .partitions = (int32_t)options_number(o, "partitions"),
				  .configs = configs->rows,
				  .config_count = configs->count};

	*err = t->topic_create(t, &spec, (int32_t)options_number(o, "replicas"),
			       options_flag(o, "dry"), &why);
	if (*err == ERR_TOPIC_ALREADY_EXISTS && options_flag(o, "if-not-exists")) {
		*err = ERR_NONE;
		return xstrdup("EXISTS");
	}
	if (*err == ERR_NONE)
		return xstrdup("OK");
	if (why.text[0])
		say_error("%s", why.text);
	else
		say_error("%s: %s", name, ks_err_text(*err));
	return xstrdup(ks_err_name(*err));
}

static int create_all(struct target *t, const struct options *o, const struct configs *configs,
		      int output)
{
	static const struct column columns[] = {{"TOPIC", CELL_TEXT, false},
						{"STATUS", CELL_TEXT, false}};
	struct table *table = table_new(columns, 2);
	struct buf out = {0};
	int code = EXIT_DONE;

	for (size_t i = 0; i < o->arg_count; i++) {
		enum ks_err err;
		char *status = create_one(t, o, o->args[i], configs, &err);
		table_text(table, o->args[i]);
		table_text(table, status);
		free(status);
		if (err)
			code = exit_code_of(err);
	}
	table_write(table, (enum output)output, &out);
	out_write(&out);
	buf_fini(&out);
	table_free(table);
	return code;
}

int verb_topic_create(const struct options *o)
{
	int64_t partitions = options_number(o, "partitions");
	int64_t replicas = options_number(o, "replicas");
	struct configs configs;
	struct target *t;
	int code, output;

	if (partitions < 1 || partitions > BROKER_PARTITIONS_MAX)
		return say_usage("--partitions must be 1 to %d", BROKER_PARTITIONS_MAX);
	if (replicas < -1 || replicas == 0 || replicas > INT16_MAX)
		return say_usage("--replicas must be -1, or 1 and more");
	if (replicas > 1 && !verb_bootstrap(o))
		return say_usage("--replicas must be 1: this is one node");
	if (!verb_output(o, &output))
		return EXIT_USAGE;
	code = configs_parse(o, &configs);
	if (code)
		return code;
	code = verb_open_target(o, true, &t);
	if (code == EXIT_DONE) {
		code = create_all(t, o, &configs, output);
		t->close(t);
	}
	configs_free(&configs);
	return code;
}

/* --- list --- */

const struct option topic_list_options[] = {
	REGEX_OPTION,
	{.letter = 'i', .name = "internal", .help = "internal topics too"},
	{.letter = 'd', .name = "detailed", .help = "a row for every partition"},
	FORMAT_OPTION,
	{0},
};

/* with_figures: what only the wide table shows, and a cluster has to be asked for. */
static enum ks_err add_listed(struct target *t, struct table *table,
			      const struct target_topic *topic, bool with_figures,
			      struct ks_why *why)
{
	size_t n = (size_t)topic->partition_count;
	struct target_bounds *bounds = xcalloc(n + 1, sizeof *bounds);
	enum ks_err err = with_figures ? t->bounds_all(t, topic, true, bounds, why) : ERR_NONE;
	int64_t records = 0;
	uint64_t bytes = 0;

	for (size_t p = 0; p < n; p++) {
		records += bounds[p].high_watermark - bounds[p].log_start_offset;
		bytes += bounds[p].size_bytes;
	}
	free(bounds);
	if (err)
		return err;
	table_text(table, topic->name);
	table_number(table, topic->partition_count);
	table_number(table, topic->replicas);
	table_number(table, records);
	table_number(table, (int64_t)bytes);
	table_bool(table, topic->is_internal);
	return ERR_NONE;
}

/* A row for every partition; where it lives only where there is more than one place. */
static enum ks_err add_detailed(struct target *t, struct table *table,
				const struct target_topic *topic, bool with_sizes,
				struct ks_why *why)
{
	size_t n = (size_t)topic->partition_count;
	struct target_bounds *bounds = xcalloc(n + 1, sizeof *bounds);
	struct target_nodes *nodes = xcalloc(n + 1, sizeof *nodes);
	enum ks_err err = t->bounds_all(t, topic, with_sizes, bounds, why);

	if (!err && t->nodes)
		err = t->nodes(t, topic, nodes, why);
	for (size_t p = 0; p < n && !err; p++) {
		table_text(table, topic->name);
		table_number(table, (int64_t)p);
		table_number(table, bounds[p].log_start_offset);
		table_number(table, bounds[p].high_watermark);
		table_number(table, (int64_t)bounds[p].size_bytes);
		if (!t->nodes)
			continue;
		table_number(table, nodes[p].leader);
		table_text(table, nodes[p].replicas);
		table_text(table, nodes[p].in_sync);
	}
	free(bounds);
	free(nodes);
	return err;
}

static enum ks_err fill_list(struct target *t, const struct options *o, struct table *table,
			     struct ks_why *why)
{
	struct target_topic *topics;
	size_t count;
	int output = OUTPUT_TEXT;
	enum ks_err err = t->topics(t, &topics, &count, why);

	if (err)
		return err;
	verb_output(o, &output);
	for (size_t i = 0; i < count && !err; i++) {
		if (topics[i].is_internal && !options_flag(o, "internal"))
			continue;
		if (o->arg_count &&
		    !topic_name_matches(topics[i].name, o, options_flag(o, "regex")))
			continue;
		err = options_flag(o, "detailed")
			      ? add_detailed(t, table, &topics[i], output != OUTPUT_TEXT, why)
			      : add_listed(t, table, &topics[i], output != OUTPUT_TEXT, why);
	}
	free(topics);
	return err;
}

int verb_topic_list(const struct options *o)
{
	static const struct column columns[] = {
		{"NAME", CELL_TEXT, false},        {"PARTITIONS", CELL_NUMBER, false},
		{"REPLICAS", CELL_NUMBER, false},  {"RECORDS", CELL_NUMBER, true},
		{"SIZE-BYTES", CELL_NUMBER, true}, {"INTERNAL", CELL_BOOL, true}};
	static const struct column detailed[] = {{"NAME", CELL_TEXT, false},
						 {"PARTITION", CELL_NUMBER, false},
						 {"LOG-START-OFFSET", CELL_NUMBER, false},
						 {"HIGH-WATERMARK", CELL_NUMBER, false},
						 {"SIZE-BYTES", CELL_NUMBER, true},
						 {"LEADER", CELL_NUMBER, false},
						 {"REPLICAS", CELL_TEXT, false},
						 {"IN-SYNC", CELL_TEXT, false}};
	int output, code = EXIT_DONE;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	if (options_flag(o, "regex"))
		code = topic_regexes_check(o);
	if (code)
		return code;
	if (options_flag(o, "detailed"))
		return verb_table(o, detailed, verb_bootstrap(o) ? 8 : 5, fill_list);
	return verb_table(o, columns, sizeof columns / sizeof *columns, fill_list);
}

/* --- describe --- */

const struct option topic_describe_options[] = {
	{.letter = 's', .name = "print-summary", .help = "only this section, or several"},
	{.letter = 'c', .name = "print-configs", .help = "likewise"},
	{.letter = 'p', .name = "print-partitions", .help = "likewise"},
	{.name = "stable",
	 .help = "where transactions are still open, too: the last stable offset of partitions"},
	{.letter = 'a', .name = "print-all", .help = "all sections, as without any of these"},
	REGEX_OPTION,
	FORMAT_OPTION,
	{0},
};

enum section { SECTION_SUMMARY, SECTION_CONFIGS, SECTION_PARTITIONS, SECTION_COUNT };

static enum ks_err configs_table(struct target *t, const struct target_topic *topic,
				 struct table **out, struct ks_why *why)
{
	static const struct column columns[] = {{"KEY", CELL_TEXT, false},
						{"VALUE", CELL_TEXT, false},
						{"SOURCE", CELL_TEXT, false}};
	struct target_config *rows;
	size_t count;
	enum ks_err err = t->configs(t, TARGET_TOPIC, topic->name, &rows, &count, why);

	if (err)
		return err;
	*out = table_new(columns, 3);
	for (size_t i = 0; i < count; i++) {
		table_text(*out, rows[i].key);
		table_text(*out, rows[i].value);
		table_text(*out, rows[i].source);
	}
	target_configs_free(rows, count);
	return ERR_NONE;
}

/* What describe is to show of each topic. */
struct shown {
	bool sections[SECTION_COUNT];
	bool has_stable;
	int output;
};

#define WHERE_THEY_BEGIN                                                                           \
	{"PARTITION", CELL_NUMBER, false},                                                         \
	{                                                                                          \
		"LOG-START-OFFSET", CELL_NUMBER, false                                             \
	}
#define WHERE_THEY_END                                                                             \
	{"HIGH-WATERMARK", CELL_NUMBER, false}, {"SIZE-BYTES", CELL_NUMBER, true},                 \
		{"LEADER", CELL_NUMBER, true}, {"REPLICAS", CELL_TEXT, true},                      \
	{                                                                                          \
		"IN-SYNC", CELL_TEXT, true                                                         \
	}
#define NODE_COLUMNS 3 /* the last ones */

static const struct column partition_columns[] = {WHERE_THEY_BEGIN, WHERE_THEY_END};
static const struct column stable_columns[] = {
	WHERE_THEY_BEGIN, {"LAST-STABLE-OFFSET", CELL_NUMBER, false}, WHERE_THEY_END};

static enum ks_err partitions_table(struct target *t, const struct target_topic *topic,
				    const struct shown *shown, struct table **out,
				    struct ks_why *why)
{
	size_t n = (size_t)topic->partition_count;
	struct target_bounds *bounds = xcalloc(n + 1, sizeof *bounds);
	struct target_nodes *nodes = xcalloc(n + 1, sizeof *nodes);
	size_t without = t->nodes ? 0 : NODE_COLUMNS;
	enum ks_err err = t->bounds_all(t, topic, shown->output != OUTPUT_TEXT, bounds, why);

	if (!err && t->nodes)
		err = t->nodes(t, topic, nodes, why);
	if (!err)
		*out = shown->has_stable
			       ? table_new(stable_columns,
					   sizeof stable_columns / sizeof *stable_columns - without)
			       : table_new(partition_columns,
					   sizeof partition_columns / sizeof *partition_columns -
						   without);
	for (size_t p = 0; p < n && !err; p++) {
		table_number(*out, (int64_t)p);
		table_number(*out, bounds[p].log_start_offset);
		if (shown->has_stable)
			table_number(*out, bounds[p].last_stable_offset);
		table_number(*out, bounds[p].high_watermark);
		table_number(*out, (int64_t)bounds[p].size_bytes);
		if (!t->nodes)
			continue;
		table_number(*out, nodes[p].leader);
		table_text(*out, nodes[p].replicas);
		table_text(*out, nodes[p].in_sync);
	}
	free(bounds);
	free(nodes);
	return err;
}

static void write_title(const char *title, struct buf *out)
{
	buf_printf(out, "%s\n", title);
	for (size_t n = strlen(title); n > 0; n--)
		buf_append_u8(out, '=');
	buf_append_u8(out, '\n');
}

static void write_summary(const struct target_topic *topic, int output, struct buf *out)
{
	if (output == OUTPUT_JSON) {
		buf_append_str(out, "{\"name\":");
		json_append_string(out, slice_str(topic->name));
		buf_printf(out, ",\"partitions\":%d,\"replicas\":%d,\"internal\":%s}",
			   topic->partition_count, topic->replicas,
			   topic->is_internal ? "true" : "false");
		return;
	}
	buf_printf(out, "NAME        %s\nPARTITIONS  %d\nREPLICAS    %d\n", topic->name,
		   topic->partition_count, topic->replicas);
	if (topic->is_internal)
		buf_append_str(out, "INTERNAL    true\n");
}

static void write_sections(struct table *const *tables, const bool *wanted,
			   const struct target_topic *topic, int output, struct buf *out)
{
	static const char *const titles[] = {"SUMMARY", "CONFIGS", "PARTITIONS"};
	static const char *const keys[] = {"summary", "configs", "partitions"};
	bool is_first = true;

	for (int i = 0; i < SECTION_COUNT; i++) {
		if (!wanted[i])
			continue;
		if (output == OUTPUT_JSON) {
			buf_printf(out, "%s\"%s\":", is_first ? "{" : ",\n", keys[i]);
		} else {
			buf_append_str(out, is_first ? "" : "\n");
			write_title(titles[i], out);
		}
		if (i == SECTION_SUMMARY)
			write_summary(topic, output, out);
		else if (output == OUTPUT_JSON)
			table_write_json(tables[i], out);
		else
			table_write_text(tables[i], output == OUTPUT_WIDE, out);
		is_first = false;
	}
	if (output == OUTPUT_JSON)
		buf_append_u8(out, '}');
}

static enum ks_err describe_topic(struct target *t, const struct target_topic *topic,
				  const struct shown *shown, struct buf *out, struct ks_why *why)
{
	struct table *tables[SECTION_COUNT] = {NULL};
	enum ks_err err = ERR_NONE;

	if (shown->sections[SECTION_CONFIGS])
		err = configs_table(t, topic, &tables[SECTION_CONFIGS], why);
	if (!err && shown->sections[SECTION_PARTITIONS])
		err = partitions_table(t, topic, shown, &tables[SECTION_PARTITIONS], why);
	if (!err)
		write_sections(tables, shown->sections, topic, shown->output, out);
	for (int i = 0; i < SECTION_COUNT; i++)
		table_free(tables[i]);
	return err;
}

static enum ks_err describe_all(struct target *t, const struct target_topic *topics, size_t count,
				const struct shown *shown, struct buf *out, struct ks_why *why)
{
	bool is_json = shown->output == OUTPUT_JSON;

	for (size_t i = 0; i < count; i++) {
		if (i || is_json)
			buf_append_str(out, !is_json ? "\n" : i ? ",\n" : "[");
		enum ks_err err = describe_topic(t, &topics[i], shown, out, why);
		if (err) {
			buf_clear(out);
			return err;
		}
	}
	if (is_json)
		buf_append_str(out, "]\n");
	return ERR_NONE;
}

static void wanted_sections(const struct options *o, bool *wanted)
{
	bool any = false;

	wanted[SECTION_SUMMARY] = options_flag(o, "print-summary");
	wanted[SECTION_CONFIGS] = options_flag(o, "print-configs");
	wanted[SECTION_PARTITIONS] = options_flag(o, "print-partitions");
	for (int i = 0; i < SECTION_COUNT; i++)
		any |= wanted[i];
	for (int i = 0; i < SECTION_COUNT && (!any || options_flag(o, "print-all")); i++)
		wanted[i] = true;
}

int verb_topic_describe(const struct options *o)
{
	struct shown shown = {.has_stable = options_flag(o, "stable")};
	struct target_topic *topics;
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	size_t count;

	if (!verb_output(o, &shown.output))
		return EXIT_USAGE;
	wanted_sections(o, shown.sections);
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	code = topics_selected(t, o, &topics, &count);
	if (code == EXIT_DONE) {
		enum ks_err err = describe_all(t, topics, count, &shown, &out, &why);
		code = err ? say_failure(err, &why) : EXIT_DONE;
		out_write(&out);
		free(topics);
	}
	buf_fini(&out);
	t->close(t);
	return code ? code : out_code();
}

/* --- alter, delete --- */

const struct option topic_alter_options[] = {
	CONFIG_OPTION,
	{.name = "delete-config", .type = OPTION_LIST, .arg = "KEY", .help = "back to the default"},
	{.letter = 'p',
	 .name = "partitions",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "0",
	 .help = "this many partitions; more than now"},
	{0},
};

static enum ks_err alter_one(struct target *t, const char *name, const struct changes *changes,
			     int32_t partitions, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	if (changes->count)
		err = t->configs_change(t, TARGET_TOPIC, name, changes->rows, changes->count, false,
					why);
	return err || !partitions ? err : t->topic_add_partitions(t, name, partitions, why);
}

int verb_topic_alter(const struct options *o)
{
	static const struct changes_option options[] = {
		{"config", CONFIG_SET}, {"delete-config", CONFIG_DELETE}, {NULL, CONFIG_SET}};
	int64_t partitions = options_number(o, "partitions");
	struct changes changes;
	struct ks_why why = {""};
	struct target *t;
	int code = changes_parse(o, options, &changes);

	if (!code && (partitions < 0 || partitions > BROKER_PARTITIONS_MAX))
		code = say_usage("--partitions must be 1 to %d", BROKER_PARTITIONS_MAX);
	if (!code && changes.count == 0 && !partitions)
		code = say_usage("nothing to change: -c key=value or --partitions N is needed");
	if (!code)
		code = verb_open_target(o, false, &t);
	if (!code) {
		for (size_t i = 0; !code && i < o->arg_count; i++) {
			enum ks_err err =
				alter_one(t, o->args[i], &changes, (int32_t)partitions, &why);
			if (err)
				code = say_failure(err, &why);
		}
		t->close(t);
	}
	changes_free(&changes);
	return code;
}

const struct option topic_delete_options[] = {
	REGEX_OPTION,
	FORMAT_OPTION,
	{0},
};

static int delete_all(struct target *t, const struct target_topic *topics, size_t count, int output)
{
	static const struct column columns[] = {{"TOPIC", CELL_TEXT, false},
						{"STATUS", CELL_TEXT, false}};
	struct table *table = table_new(columns, 2);
	struct buf out = {0};
	int code = EXIT_DONE;

	for (size_t i = 0; i < count; i++) {
		struct ks_why why = {""};
		enum ks_err err = t->topic_delete(t, topics[i].name, &why);
		table_text(table, topics[i].name);
		table_text(table, err ? ks_err_name(err) : "OK");
		if (err)
			code = say_failure(err, &why);
	}
	table_write(table, (enum output)output, &out);
	out_write(&out);
	buf_fini(&out);
	table_free(table);
	return code;
}

int verb_topic_delete(const struct options *o)
{
	struct target_topic *topics;
	struct target *t;
	size_t count;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	code = topics_selected(t, o, &topics, &count);
	if (code == EXIT_DONE) {
		code = delete_all(t, topics, count, output);
		free(topics);
	}
	t->close(t);
	return code;
}

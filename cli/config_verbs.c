/* config_verbs.c - config describe, config alter: of topics, and of the brokers of a cluster. */
#include <stdlib.h>

#include "cli/changes.h"
#include "cli/table_verb.h"

/* "topic NAME", "broker ID" or "broker": what the arguments mean. An exit code. */
static int parse_resource(const struct options *o, enum target_resource *resource,
			  const char **name)
{
	bool is_topic = strcmp(o->args[0], "topic") == 0;

	if (!is_topic && strcmp(o->args[0], "broker") != 0)
		return say_usage("\"%s\": topic NAME and broker [ID] are known", o->args[0]);
	if (is_topic && o->arg_count < 2)
		return say_usage("it needs the topic's name");
	*resource = is_topic ? TARGET_TOPIC : TARGET_BROKER;
	*name = o->arg_count > 1 ? o->args[1] : "";
	return EXIT_DONE;
}

/* --- describe --- */

const struct option config_describe_options[] = {
	{.name = "changed", .help = "only what somebody has set"},
	FORMAT_OPTION,
	{0},
};

static struct table *configs_table(const struct target_config *rows, size_t count,
				   bool only_changed)
{
	static const struct column columns[] = {
		{"KEY", CELL_TEXT, false},      {"VALUE", CELL_TEXT, false},
		{"SOURCE", CELL_TEXT, false},   {"TYPE", CELL_TEXT, true},
		{"READ-ONLY", CELL_BOOL, true}, {"SENSITIVE", CELL_BOOL, true}};
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);

	for (size_t i = 0; i < count; i++) {
		if (only_changed && rows[i].is_default)
			continue;
		table_text(table, rows[i].key);
		table_text(table, rows[i].value);
		table_text(table, rows[i].source);
		table_text(table, rows[i].type);
		table_bool(table, rows[i].is_read_only);
		table_bool(table, rows[i].is_sensitive);
	}
	return table;
}

int verb_config_describe(const struct options *o)
{
	enum target_resource resource;
	const char *name;
	struct target_config *rows;
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	size_t count;
	int output, code = parse_resource(o, &resource, &name);

	if (code)
		return code;
	if (!verb_output(o, &output))
		return EXIT_USAGE;
	code = verb_open_target(o, false, &t);
	if (code)
		return code;
	enum ks_err err = t->configs(t, resource, name, &rows, &count, &why);
	t->close(t);
	if (err)
		return say_failure(err, &why);
	struct table *table = configs_table(rows, count, options_flag(o, "changed"));
	table_write(table, (enum output)output, &out);
	table_free(table);
	target_configs_free(rows, count);
	out_write(&out);
	buf_fini(&out);
	return out_code();
}

/* --- alter --- */

const struct option config_alter_options[] = {
	{.letter = 'c',
	 .name = "set",
	 .name_too = "config",
	 .type = OPTION_LIST,
	 .arg = "KEY=VALUE",
	 .help = "a new value"},
	{.name = "delete", .type = OPTION_LIST, .arg = "KEY", .help = "back to the default"},
	{.name = "append",
	 .type = OPTION_LIST,
	 .arg = "KEY=ITEM",
	 .help = "one more item of a list such as cleanup.policy"},
	{.name = "subtract", .type = OPTION_LIST, .arg = "KEY=ITEM", .help = "one item less"},
	{.letter = 'd', .name = "dry", .help = "check, and change nothing"},
	{0},
};

int verb_config_alter(const struct options *o)
{
	static const struct changes_option options[] = {{"set", CONFIG_SET},
							{"delete", CONFIG_DELETE},
							{"append", CONFIG_APPEND},
							{"subtract", CONFIG_SUBTRACT},
							{NULL, CONFIG_SET}};
	enum target_resource resource;
	const char *name;
	struct changes changes = {0};
	struct ks_why why = {""};
	struct target *t;
	int code = parse_resource(o, &resource, &name);

	if (!code)
		code = changes_parse(o, options, &changes);
	if (!code && !changes.count)
		code = say_usage("nothing to change: --set key=value is needed, or --delete key");
	if (!code)
		code = verb_open_target(o, false, &t);
	if (!code) {
		enum ks_err err = t->configs_change(t, resource, name, changes.rows, changes.count,
						    options_flag(o, "dry"), &why);
		t->close(t);
		code = err ? say_failure(err, &why) : EXIT_DONE;
	}
	changes_free(&changes);
	return code;
}

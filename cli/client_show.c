/* client_show.c - see client_show.h; and the verb config explain, which tells about one key whoever it belongs to. */
#include "cli/client_show.h"

#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "broker/config.h"
#include "cli/table_verb.h"
#include "server/settings.h"

static bool asks(const struct options *o, const char *question)
{
	const char *item;

	for (size_t i = 0; (item = options_item(o, "command-property", i)); i++)
		if (strcmp(item, question) == 0)
			return true;
	return false;
}

static void write_table(struct table *table, enum output output)
{
	struct buf out = {0};

	table_write(table, output, &out);
	table_free(table);
	out_write(&out);
	buf_fini(&out);
}

/* --- all keys --- */

bool client_show_list(const struct options *o)
{
	static const struct column columns[] = {{"KEY", CELL_TEXT, false},
						{"ALIAS", CELL_TEXT, false},
						{"DEFAULT", CELL_TEXT, false},
						{"RANGE", CELL_TEXT, false},
						{"MEANING", CELL_TEXT, false}};
	const struct client_key *k;

	if (!asks(o, "list"))
		return false;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; (k = client_key_at(i)); i++) {
		char *range = client_key_range(k);
		table_text(table, k->name);
		table_text(table, k->aliases[0]);
		table_text(table, k->fallback);
		table_text(table, *range ? range : NULL);
		table_text(table, k->meaning);
		free(range);
	}
	write_table(table, OUTPUT_TEXT);
	return true;
}

bool client_show_dump(const struct options *o, const struct client_config *c)
{
	static const struct column columns[] = {{"KEY", CELL_TEXT, false},
						{"VALUE", CELL_TEXT, false},
						{"ORIGIN", CELL_TEXT, false}};
	const struct client_key *k;

	if (!asks(o, "dump"))
		return false;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; (k = client_key_at(i)); i++) {
		table_text(table, k->name);
		table_text(table, client_config_text(c, k->name));
		table_text(table, client_config_origin(c, k->name));
	}
	write_table(table, OUTPUT_TEXT);
	return true;
}

/* --- config explain --- */

const struct option config_explain_options[] = {
	FORMAT_OPTION,
	{0},
};

struct explanation {
	const char *key, *of, *value, *origin, *fallback, *range, *alias, *meaning;
};

static void add(struct table *table, const struct explanation *e)
{
	table_text(table, e->key);
	table_text(table, e->of);
	table_text(table, e->value);
	table_text(table, e->origin);
	table_text(table, e->fallback);
	table_text(table, e->range && *e->range ? e->range : NULL);
	table_text(table, e->alias);
	table_text(table, e->meaning);
}

static void explain_client(const struct client_config *c, const char *key, struct table *table)
{
	const struct client_key *k = client_key_find(key);

	if (!k && client_key_is_unsupported(key))
		add(table,
		    &(struct explanation){.key = key,
					  .of = "client",
					  .meaning = "not supported: an error wherever it is set"});
	if (!k)
		return;
	char *range = client_key_range(k);
	add(table, &(struct explanation){.key = k->name,
					 .of = "client",
					 .value = client_config_text(c, k->name),
					 .origin = client_config_origin(c, k->name),
					 .fallback = k->fallback,
					 .range = range,
					 .alias = k->aliases[0],
					 .meaning = k->meaning});
	free(range);
}

static void explain_broker(const char *key, struct table *table)
{
	struct settings_key_about about;

	if (settings_explain(key, &about))
		add(table, &(struct explanation){.key = key,
						 .of = "broker",
						 .value = about.fallback,
						 .origin = "default",
						 .fallback = about.fallback,
						 .range = about.range,
						 .meaning = about.meaning});
}

static void add_row(const struct topic_config_row *rows, size_t count, const char *key,
		    const char *of, const char *meaning, struct table *table)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, key) == 0)
			add(table, &(struct explanation){.key = key,
							 .of = of,
							 .value = rows[i].value,
							 .origin = "default",
							 .fallback = rows[i].value,
							 .meaning = meaning});
}

/* A topic's key, and what a broker calls its default. */
static void explain_topic(const char *key, struct table *table)
{
	const char *topic_key = broker_default_topic_key(key);
	struct config_defaults none = {{NULL}, {NULL}};
	struct topic_config config;
	size_t count;

	if (topic_key) {
		struct topic_config_row *rows = config_defaults_rows(&none, &count);
		char *meaning = xasprintf("what topics have whose %s nobody has set", topic_key);
		add_row(rows, count, key, "broker", meaning, table);
		free(meaning);
		free(rows);
	}
	config_init(&config, NULL);
	struct topic_config_row *rows = config_rows(&config, &count);
	add_row(rows, count, key, "topic",
		"of one topic; 'config describe topic NAME' shows what it has", table);
	free(rows);
	config_fini(&config);
}

/* The nearest of what is nearest in each table; NULL: none is. */
static const char *near_key(const char *key)
{
	const char *names[2 + CONFIG_KEYS];
	const char *nearest[] = {client_key_near(key), settings_near(key)};
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		if (nearest[i])
			names[count++] = nearest[i];
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		names[count++] = config_key(i);
	return suggest(key, names, count);
}

static int unknown_key(const char *key)
{
	const char *near = near_key(key);

	if (near)
		return say_usage("no client, broker or topic has a key \"%.100s\"; did you mean "
				 "\"%s\"?",
				 key, near);
	return say_usage("no client, broker or topic has a key \"%.100s\"", key);
}

int verb_config_explain(const struct options *o)
{
	static const struct column columns[] = {
		{"KEY", CELL_TEXT, false},    {"OF", CELL_TEXT, false},
		{"VALUE", CELL_TEXT, false},  {"ORIGIN", CELL_TEXT, false},
		{"DEFAULT", CELL_TEXT, true}, {"RANGE", CELL_TEXT, true},
		{"ALIAS", CELL_TEXT, true},   {"MEANING", CELL_TEXT, false}};
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	explain_client(o->client, o->args[0], table);
	explain_broker(o->args[0], table);
	explain_topic(o->args[0], table);
	if (table_rows(table) == 0) {
		table_free(table);
		return unknown_key(o->args[0]);
	}
	write_table(table, (enum output)output);
	return out_code();
}

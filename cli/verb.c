/* verb.c - from a command line to a verb's function, by the table of verbs. */
#include "cli/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/suggest.h"
#include "cli/client_show.h"
#include "cli/client_source.h"
#include "cli/help.h"
#include "cli/offsets.h"
#include "cli/signals.h"
#include "cli/table.h"

#define VERBS_MAX 64

const struct option verb_common_options[] = {
	{.name = "data",
	 .type = OPTION_TEXT,
	 .arg = "DIR",
	 .fallback = "./ks-data",
	 .env = "KS_DATA",
	 .help = "data directory"},
	{.name = "accept-lost-writes",
	 .help = "open a data directory that lacks acknowledged writes, and go on without them"},
	{.letter = 'b',
	 .name = "bootstrap",
	 .name_too = "bootstrap-server",
	 .type = OPTION_TEXT,
	 .arg = "HOST:PORT",
	 .env = "KS_BOOTSTRAP",
	 .help = "a cluster over the network instead of a data directory; several with commas"},
	{.letter = 'q', .name = "quiet", .help = "no progress"},
	{.letter = 'v', .name = "verbose", .help = "log what happens inside"},
	{.letter = 'h', .name = "help", .help = "this help"},
	{0},
};

static size_t word_length(const char *text)
{
	return strcspn(text, " ");
}

static bool is_group(const char *word)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (v->name[word_length(v->name)] && strlen(word) == word_length(v->name) &&
		    memcmp(word, v->name, strlen(word)) == 0)
			return true;
	return false;
}

/* The verb that the words spell; *used of them. */
static const struct verb *find(int count, char **words, int *used)
{
	char name[64];

	if (count < 1)
		return NULL;
	*used = is_group(words[0]) ? 2 : 1;
	if (count < *used)
		return NULL;
	snprintf(name, sizeof name, *used == 2 ? "%s %s" : "%s", words[0],
		 *used == 2 ? words[1] : "");
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* The first or, behind a group's name, the second words of all verbs: what could stand here. */
static size_t words_at(const char *group, char (*out)[32], const char **names)
{
	size_t n = 0;

	for (const struct verb *v = verbs; v->name && n < VERBS_MAX; v++) {
		const char *word = v->name;
		size_t first = word_length(word);
		if (v->is_hidden)
			continue;
		if (group && (strlen(group) != first || memcmp(group, word, first) != 0))
			continue;
		if (group)
			word += first + 1;
		snprintf(out[n], sizeof out[n], "%.*s", (int)word_length(word), word);
		if (n && strcmp(out[n], out[n - 1]) == 0)
			continue;
		names[n] = out[n];
		n++;
	}
	return n;
}

/* The first verb of any group whose second word this is, as the habit of other tools leaves the group out. */
static const char *verb_in_a_group(const char *word)
{
	for (const struct verb *v = verbs; v->name; v++) {
		size_t first = word_length(v->name);
		if (v->name[first] && strcmp(v->name + first + 1, word) == 0)
			return v->name;
	}
	return NULL;
}

static int unknown_verb(int count, char **words)
{
	char texts[VERBS_MAX][32];
	const char *names[VERBS_MAX];
	const char *group = is_group(words[0]) ? words[0] : NULL;
	const char *word = group ? (count > 1 ? words[1] : NULL) : words[0];

	if (group && !word) {
		say_error("%s needs a verb", group);
		help_overview(group, stderr);
		return EXIT_USAGE;
	}
	const char *near = group ? NULL : verb_in_a_group(word);
	if (!near)
		near = suggest(word, names, words_at(group, texts, names));
	if (word[0] == '-')
		return say_usage("the verb comes first, its options behind it");
	if (near)
		return say_usage("unknown verb \"%s%s%s\"; did you mean \"%s%s%s\"?",
				 group ? group : "", group ? " " : "", word, group ? group : "",
				 group ? " " : "", near);
	return say_usage("unknown verb \"%s%s%s\"", group ? group : "", group ? " " : "", word);
}

/* Whether the verb can work on a cluster; the others work on files of this machine. */
static bool speaks_wire(const struct verb *v)
{
	static const char *const groups[] = {"topic", "group", "txn", "config", "cluster"};
	size_t first = word_length(v->name);

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (strlen(groups[i]) == first && memcmp(groups[i], v->name, first) == 0)
			return true;
	return false;
}

const struct option *verb_client_options(const struct verb *v)
{
	return speaks_wire(v) ? client_source_options : NULL;
}

/* An empty name is a variable that a script has not set, not the wish for the default. */
static int check_named(const struct options *o)
{
	static const char *const names[][2] = {
		{"data", "the name of a directory"},
		{"bootstrap", "HOST:PORT, several with commas"},
		{"command-config", "the name of a file"},
		{"config-file", "the name of a file"},
		{"profile", "the name of a section of the configuration file"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (options_has(o, names[i][0]) && options_given(o, names[i][0]) &&
		    !*options_text(o, names[i][0]))
			return say_usage("--%s is empty: it is %s", names[i][0], names[i][1]);
	return EXIT_DONE;
}

static int check_bootstrap(const struct verb *v, const struct options *o)
{
	bool is_given = options_given(o, "bootstrap");

	if (is_given && !speaks_wire(v))
		return say_usage("--bootstrap: this verb works on a data directory, not yet on a "
				 "cluster; --data names one");
	if (is_given && options_given(o, "data"))
		return say_usage("only one of --bootstrap and --data can be given");
	if (o->client && options_given(o, "data") &&
	    client_config_rank(o->client, "bootstrap.servers") == CLIENT_PROPERTY)
		return say_usage("only one of -X bootstrap.servers and --data can be given");
	return EXIT_DONE;
}

static int check_arguments(const struct verb *v, const struct options *o)
{
	if ((int)o->arg_count < v->args_min)
		return say_usage("it needs %s", v->args);
	if (v->args_max >= 0 && (int)o->arg_count > v->args_max)
		return say_usage(v->args_max ? "\"%s\" is one argument too many"
					     : "it takes no argument; what is \"%s\"?",
				 o->args[v->args_max]);
	return EXIT_DONE;
}

static bool has_option(const struct option *table, const char *name)
{
	for (; table && table->name; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

/* --help, and --format help: what formats there are stands in the verb's help. */
static bool wants_help(const struct verb *v, const struct options *o)
{
	const char *format = has_option(v->options, "format") ? options_text(o, "format") : NULL;

	return options_flag(o, "help") || (format && strcmp(format, "help") == 0);
}

static enum ks_err parse(const struct verb *v, int argc, char **argv, struct options *o,
			 struct ks_why *why)
{
	const struct option *tables[OPTION_TABLES] = {v->options, verb_client_options(v),
						      verb_common_options};

	return options_parse(tables, argc, argv, o, why);
}

static int check(const struct verb *v, const struct options *o)
{
	int code = check_arguments(v, o);

	return code ? code : check_bootstrap(v, o);
}

/* With what is set of the client of a cluster. */
static int run_with(const struct verb *v, struct options *o, struct client_config *client)
{
	o->client = client;
	if (client && client_show_dump(o, client))
		return out_code();
	int code = check(v, o);
	if (code)
		return code;
	if (verb_bootstrap(o))
		client_config_give_options(client, o);
	return v->run(o);
}

static int run_parsed(const struct verb *v, struct options *o)
{
	struct client_config *client = NULL;
	struct ks_why why = {""};

	if (wants_help(v, o)) {
		help_verb(v, stdout);
		return EXIT_DONE;
	}
	if (options_flag(o, "verbose"))
		log_set_level(LOG_DEBUG);
	if (speaks_wire(v) && client_show_list(o))
		return out_code();
	int code = check_named(o);
	if (!code && speaks_wire(v) && client_source_load(o, &client, &why))
		code = say_usage("%s", why.text);
	if (!code)
		code = run_with(v, o, client);
	client_config_free(client);
	return code;
}

static int run(const struct verb *v, int argc, char **argv)
{
	struct options o;
	struct ks_why why;

	say_verb(v->name);
	if (parse(v, argc, argv, &o, &why))
		return say_usage("%s", why.text);
	int code = run_parsed(v, &o);
	options_fini(&o);
	return code;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int verb_dispatch(int argc, char **argv)
{
	int used;

	if (argc < 2) {
		help_overview(NULL, stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1])) {
		help_overview(NULL, stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = (char *)"version";
	if (is_group(argv[1]) && argc > 2 && is_help(argv[2])) {
		help_overview(argv[1], stdout);
		return EXIT_DONE;
	}
	const struct verb *v = find(argc - 1, argv + 1, &used);
	if (!v)
		return unknown_verb(argc - 1, argv + 1);
	return run(v, argc - 1 - used, argv + 1 + used);
}

int verb_help(const struct options *o)
{
	int used;

	if (o->arg_count == 0) {
		help_overview(NULL, stdout);
		return EXIT_DONE;
	}
	if (o->arg_count == 1 && is_group(o->args[0])) {
		help_overview(o->args[0], stdout);
		return EXIT_DONE;
	}
	const struct verb *v = find((int)o->arg_count, (char **)o->args, &used);
	if (!v) {
		say_verb(NULL);
		return unknown_verb((int)o->arg_count, (char **)o->args);
	}
	help_verb(v, stdout);
	return EXIT_DONE;
}

static enum ks_err open_target(const struct options *o, bool may_create, struct target **out,
			       struct ks_why *why);

/* --- completion: __complete prints what may stand at the last of its words --- */

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static void complete_options(const struct verb *v, const char *start)
{
	const struct option *tables[] = {v->options, verb_client_options(v), verb_common_options};
	char name[64];

	for (size_t i = 0; i < 3; i++) {
		for (const struct option *o = tables[i]; o && o->name; o++) {
			snprintf(name, sizeof name, "--%s", o->name);
			if (starts_with(name, start))
				puts(name);
		}
	}
}

static void complete_topics(struct target *t, const char *start)
{
	struct target_topic *topics;
	struct ks_why why;
	size_t count;

	if (t->topics(t, &topics, &count, &why))
		return;
	for (size_t i = 0; i < count; i++)
		if (!topics[i].is_internal && starts_with(topics[i].name, start))
			puts(topics[i].name);
	free(topics);
}

static void complete_groups(struct target *t, const char *start)
{
	struct target_groups groups;
	struct ks_why why;

	if (t->groups(t, &groups, &why))
		return;
	for (size_t i = 0; i < groups.count; i++)
		if (starts_with(groups.rows[i].name, start))
			puts(groups.rows[i].name);
	arena_fini(&groups.arena);
}

/* Those of the target that the options name. */
static void complete_from(struct options *o, bool is_topic, const char *start)
{
	struct client_config *client = NULL;
	struct target *t;
	struct ks_why why;

	if (client_source_load(o, &client, &why))
		return;
	o->client = client;
	if (!open_target(o, false, &t, &why)) {
		if (is_topic)
			complete_topics(t, start);
		else
			complete_groups(t, start);
		t->close(t);
	}
	client_config_free(client);
}

/* The names of the topics or groups that there are, where the verb takes them: what the words before name is asked, and
 * when it does not answer there are none. */
static void complete_names(const struct verb *v, const char *const *words, size_t count,
			   const char *start)
{
	bool is_topic = starts_with(v->args, "TOPIC") || starts_with(v->args, "[TOPIC");
	char **before =
		xcalloc(count + 1, sizeof *before); /* an option at the end has no value yet */
	struct options o = {0};
	struct ks_why why;

	for (size_t i = 0; i < count; i++)
		before[i] = (char *)words[i];
	if ((is_topic || starts_with(v->args, "GROUP")) && speaks_wire(v) &&
	    !parse(v, (int)count, before, &o, &why) &&
	    (v->args_max < 0 || (int)o.arg_count < v->args_max))
		complete_from(&o, is_topic, start);
	options_fini(&o);
	free(before);
}

static bool starts_property(const char *word)
{
	return strcmp(word, "-X") == 0 || strcmp(word, "--command-property") == 0;
}

static void complete_properties(const char *start)
{
	const struct client_key *k;

	for (size_t i = 0; (k = client_key_at(i)); i++)
		if (starts_with(k->name, start))
			printf("%s=\n", k->name);
}

int verb_complete(const struct options *o)
{
	char texts[VERBS_MAX][32];
	const char *names[VERBS_MAX];
	const char *last = o->arg_count ? o->args[o->arg_count - 1] : "";
	int used, count = o->arg_count ? (int)o->arg_count - 1 : 0;
	const struct verb *v = find(count, (char **)o->args, &used);

	if (v && speaks_wire(v) && count > 0 && starts_property(o->args[count - 1]))
		complete_properties(last);
	else if (v && *last == '-')
		complete_options(v, last);
	else if (v)
		complete_names(v, o->args + used, (size_t)(count - used), last);
	if (v || count > 1 || (count == 1 && !is_group(o->args[0])))
		return EXIT_DONE;
	size_t n = words_at(count ? o->args[0] : NULL, texts, names);
	for (size_t i = 0; i < n; i++)
		if (starts_with(names[i], last))
			puts(names[i]);
	return EXIT_DONE;
}

/* --- what several verbs need --- */

struct broker_options verb_broker_options(const struct options *o, bool may_create)
{
	return (struct broker_options){
		.dir = options_text(o, "data"),
		.store = {.create = may_create,
			  .accept_lost_writes = options_flag(o, "accept-lost-writes")}};
}

/* Whether a data directory is named closer to hand than the cluster. */
static bool data_outranks(const struct options *o)
{
	const char *data = getenv("KS_DATA");
	enum client_rank rank = client_config_rank(o->client, "bootstrap.servers");

	return rank < CLIENT_PROPERTY &&
	       (options_given(o, "data") || (rank < CLIENT_ENVIRONMENT && data && *data));
}

const char *verb_bootstrap(const struct options *o)
{
	const char *text = o->client ? client_config_text(o->client, "bootstrap.servers") : NULL;

	return text && *text && !data_outranks(o) ? text : NULL;
}

const char *verb_client_text(const struct options *o, const char *name)
{
	return verb_bootstrap(o) ? client_config_text(o->client, name)
				 : client_key_get(name)->fallback;
}

int verb_client_number(const struct options *o, const char *name)
{
	return (int)strtoll(verb_client_text(o, name), NULL, 10);
}

int verb_check_wire_options(const struct options *o, const char *const *names)
{
	for (; *names; names++)
		if (options_given(o, *names) && !verb_bootstrap(o))
			return say_usage("--%s is about a cluster; -b HOST:PORT names one", *names);
	return EXIT_DONE;
}

int verb_duration(const struct options *o, const char *name, int min, int max, int *out)
{
	const char *text = options_text(o, name);
	int64_t ms;

	if (!text)
		return EXIT_DONE;
	if (!offset_duration_parse(text, strlen(text), &ms))
		return say_usage("--%s \"%s\": a duration is needed, such as 500ms or 1m30s", name,
				 text);
	if (ms < min || ms > max)
		return say_usage("--%s %s: it is %d ms to %d ms", name, text, min, max);
	*out = (int)ms;
	return EXIT_DONE;
}

static enum ks_err open_target(const struct options *o, bool may_create, struct target **out,
			       struct ks_why *why)
{
	struct broker_options options = verb_broker_options(o, may_create);
	const char *bootstrap = verb_bootstrap(o);

	if (!bootstrap)
		return target_open_local(&options, out, why);
	struct target_wire_options wire = client_source_wire(o->client);
	wire.client.stop_fd = signals_fd() < 0 ? 0 : signals_fd();
	return target_open_wire(bootstrap, &wire, out, why);
}

int verb_open_target(const struct options *o, bool may_create, struct target **out)
{
	const char *given = o->client ? client_source_given(o) : NULL;
	struct ks_why why = {""};

	if (given && !verb_bootstrap(o))
		return say_usage(
			"--%s is about a cluster, and none is named; -b HOST:PORT does, or "
			"the property bootstrap.servers",
			given);
	enum ks_err err = open_target(o, may_create, out, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

bool verb_output(const struct options *o, int *out)
{
	const char *name = options_text(o, "format");

	table_header(!options_flag(o, "no-header"));
	*out = output_from_name(name);
	if (*out < 0)
		say_usage("--format \"%s\": text, wide and json are known", name);
	return *out >= 0;
}

bool verb_split(const char *text, char separator, struct config_entry *out)
{
	const char *at = strchr(text, separator);

	if (!at || at == text)
		return false;
	char *key = xstrdup(text);
	key[at - text] = 0;
	out->key = key;
	out->value = at + 1;
	return true;
}

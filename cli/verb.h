/* verb.h - the one table of verbs: dispatch, help, usage errors and shell completion come from it.
 *
 * A new verb is a row in verbs.c, an option table and a function next to its kin.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "cli/option.h"
#include "cli/say.h"
#include "cli/target.h"

struct verb {
	const char *name;       /* "topic create" */
	const char *args;       /* "TOPIC..." */
	int args_min, args_max; /* args_max -1: any number */
	const char *summary;
	const char *help;                    /* more, and examples; may be NULL */
	const struct option *options;        /* beside verb_common_options; may be NULL */
	int (*run)(const struct options *o); /* returns an exit code */
	bool is_hidden;
};

extern const struct verb verbs[]; /* ends with a row without a name */
/* --data, --accept-lost-writes, --bootstrap, --quiet, --verbose, --help. */
extern const struct option verb_common_options[];
/* Those about the client of a cluster; NULL: the verb works on files of this machine alone. */
const struct option *verb_client_options(const struct verb *v);

/* Finds the verb in argv (program name first), parses, runs. Returns the process's exit code. */
int verb_dispatch(int argc, char **argv);

/* How to open the directory of --data by the common options. may_create: make it when it is not
 * there. */
struct broker_options verb_broker_options(const struct options *o, bool may_create);
/* The cluster to work on, HOST:PORT[,...]; NULL: a data directory. Of the two the one counts that is named by the higher of
 * option, environment and file; of the environment's the cluster. */
const char *verb_bootstrap(const struct options *o);
/* A property of the cluster's client; on a data directory its default. For those that have no option. */
const char *verb_client_text(const struct options *o, const char *name);
int verb_client_number(const struct options *o, const char *name);
/* Opens what --bootstrap or --data names; says why not. Returns an exit code. */
int verb_open_target(const struct options *o, bool may_create, struct target **out);
/* Says that the first of these options on the command line (ends with NULL) is about a cluster, when none is named.
 * Returns an exit code. */
int verb_check_wire_options(const struct options *o, const char *const *names);
/* The duration of an option, such as 500ms or 1m30s, in ms; *out is left alone when it is not given. Returns an exit
 * code. */
int verb_duration(const struct options *o, const char *name, int min, int max, int *out);
/* The options of a verb that prints a table; verb_output reads them. */
#define FORMAT_OPTION                                                                              \
	{.name = "format",                                                                         \
	 .type = OPTION_TEXT,                                                                      \
	 .arg = "FORMAT",                                                                          \
	 .fallback = "text",                                                                       \
	 .help = "text, wide or json"},                                                            \
	{                                                                                          \
		.name = "no-header", .help = "rows alone, without the names of columns"            \
	}

/* --format text|wide|json into *out, an enum output, and --no-header; false: said. */
bool verb_output(const struct options *o, int *out);
/* "key=value" into its halves; free() the key of the result. False when there is no '='. */
bool verb_split(const char *text, char separator, struct config_entry *out);

/* The functions of the table. */
int verb_topic_create(const struct options *o);
int verb_topic_list(const struct options *o);
int verb_topic_describe(const struct options *o);
int verb_topic_alter(const struct options *o);
int verb_topic_delete(const struct options *o);
int verb_topic_trim(const struct options *o);
int verb_topic_produce(const struct options *o);
int verb_topic_consume(const struct options *o);
int verb_group_list(const struct options *o);
int verb_group_describe(const struct options *o);
int verb_group_seek(const struct options *o);
int verb_group_delete(const struct options *o);
int verb_txn_list(const struct options *o);
int verb_txn_describe(const struct options *o);
int verb_txn_producers(const struct options *o);
int verb_txn_find_hanging(const struct options *o);
int verb_txn_abort(const struct options *o);
int verb_broker(const struct options *o);
int verb_config_describe(const struct options *o);
int verb_config_explain(const struct options *o);
int verb_config_alter(const struct options *o);
int verb_cluster_describe(const struct options *o);
int verb_run(const struct options *o);
int verb_job_state(const struct options *o);
int verb_check(const struct options *o);
int verb_plan(const struct options *o);
int verb_graph(const struct options *o);
int verb_test(const struct options *o);
int verb_perf_job(const struct options *o);
int verb_perf_log(const struct options *o);
int verb_perf_restart(const struct options *o);
int verb_perf_input(const struct options *o);
int verb_version(const struct options *o);
int verb_help(const struct options *o);
int verb_completion(const struct options *o);
int verb_complete(const struct options *o);

/* Option tables that stand beside their functions. */
extern const struct option topic_create_options[], topic_list_options[], topic_describe_options[],
	topic_alter_options[], topic_delete_options[], topic_trim_options[],
	topic_produce_options[], topic_consume_options[];
extern const struct option broker_options_table[];
extern const struct option group_list_options[], group_describe_options[], group_seek_options[];
extern const struct option txn_list_options[], txn_describe_options[], txn_producers_options[],
	txn_find_hanging_options[], txn_abort_options[];
extern const struct option config_describe_options[], config_alter_options[],
	config_explain_options[], cluster_describe_options[];
extern const struct option job_state_options[], run_options[], check_options[], plan_options[],
	graph_options[], test_options[], perf_job_options[], perf_log_options[],
	perf_restart_options[], perf_input_options[];

#endif

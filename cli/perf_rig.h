/* perf_rig.h - a broker of its own, a script and its topics: what every measurement of a job needs.
 */
#ifndef CLI_PERF_RIG_H
#define CLI_PERF_RIG_H

#include "cli/perf.h"
#include "cli/perf_jobs.h"
#include "lua/script.h"
#include "streams/engine.h"

struct perf_rig {
	struct input_spec input;
	int64_t count; /* records */
	int threads;
	const struct perf_job *known; /* NULL: somebody's own script */
	struct broker *broker;
	struct topic *topic; /* that the job reads */
	struct script_file *file;
	struct job job; /* the script's, changed by the command line; borrows from file */
};

/* Rows of the option tables of all verbs that run a job. */
#define PERF_JOB_OPTIONS                                                                           \
	PERF_INPUT_OPTIONS,                                                                        \
		{.name = "threads",                                                                \
		 .type = OPTION_NUMBER,                                                            \
		 .arg = "T",                                                                       \
		 .fallback = "1",                                                                  \
		 .help = "threads of the job; 0: one per core"},                                   \
		{.name = "guarantee",                                                              \
		 .type = OPTION_TEXT,                                                              \
		 .arg = "G",                                                                       \
		 .fallback = "exactly_once",                                                       \
		 .help = "exactly_once, at_least_once or at_most_once"},                           \
		{.name = "commit-ms",                                                              \
		 .type = OPTION_NUMBER,                                                            \
		 .arg = "MS",                                                                      \
		 .fallback = "-1",                                                                 \
		 .help = "gather so long for a commit; -1: as the script says"},                   \
		PERF_FORMAT_OPTION

/* Opens a broker in dir, loads the script `name` (of perf_jobs, or a file), creates its topics. The
 * exit code; when it is not EXIT_DONE it was said why, and the rig is closed. */
int perf_rig_open(struct perf_rig *rig, const struct options *o, const char *name, const char *dir);
void perf_rig_close(struct perf_rig *rig);

/* once: up to the end of the input as it is now. */
enum ks_err perf_rig_start(struct perf_rig *rig, bool once, struct engine **out,
			   struct ks_why *why);
/* Holds the outputs against the input, of which `count` records were written. *outputs: -1 when the
 * script is not one of ours and nobody knows. */
enum ks_err perf_rig_check(struct perf_rig *rig, int64_t count, int64_t *outputs,
			   struct ks_why *why);
const char *perf_guarantee_name(enum guarantee g);

/* How long the shard's writes take, seen through the broker's figures: every look counts the newest
 * write if there was one since the last look. */
struct perf_writes {
	struct histogram ns;
	uint64_t seen;
};
void perf_writes_look(struct perf_writes *w, struct broker *b);

#endif

/* job_verbs.h - what the verbs about scripts share. */
#ifndef CLI_JOB_VERBS_H
#define CLI_JOB_VERBS_H

#include "cli/verb.h"
#include "lua/script.h"

/* Options of all verbs that load a script. */
#define SCRIPT_PARAMETER                                                                           \
	{                                                                                          \
		.letter = 'p', .name = "param", .type = OPTION_LIST, .arg = "KEY=VALUE",           \
		.help = "a parameter of the script"                                                \
	}

/* The scripts of a command line. Zero-initialise. */
struct scripts {
	struct script_file **files;
	size_t count;
	struct script_param *params;
	char **names; /* that params own */
};

/* Loads every script that the command line names, with the parameters of -p, and says all that is wrong with them.
 * Returns an exit code: EXIT_USAGE when one is wrong. */
int scripts_load(const struct options *o, struct scripts *out);
void scripts_free(struct scripts *s);
/* The n-th job of all scripts, in the order in which a run starts them; NULL behind the last. */
const struct job *scripts_job(const struct scripts *s, size_t n);

/* The data directory is not there, or empty: a run would make all that is in it. */
bool data_is_new(const struct options *o);
/* Says why a run does not start a job, and returns its exit code. */
int job_say_refused(enum ks_err err, const struct ks_why *why);
/* Two jobs of one name cannot run together. Returns an exit code; said when it is not EXIT_DONE. */
int scripts_check_names(const struct scripts *s);
/* Whether a run could start all jobs, one after the other, with the topics of b; NULL: none. Makes nothing. Returns an
 * exit code; said when it is not EXIT_DONE. */
int scripts_admit(const struct scripts *s, struct broker *b);

#endif

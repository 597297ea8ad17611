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

#endif

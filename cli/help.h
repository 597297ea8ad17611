/* help.h - help texts made from the tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/verb.h"

/* All verbs, or those of one group (group may be NULL). */
void help_overview(const char *group, FILE *out);
/* One verb: usage, what it does, its options. */
void help_verb(const struct verb *v, FILE *out);

#endif

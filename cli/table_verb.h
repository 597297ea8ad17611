/* table_verb.h - the verbs that open a target, fill one table and write it. */
#ifndef CLI_TABLE_VERB_H
#define CLI_TABLE_VERB_H

#include "cli/table.h"
#include "cli/verb.h"

/* Such a verb from its first check to its last byte; columns as in table_new(). fill puts the rows in: the table is written
 * only when it succeeds. Says what went wrong; returns an exit code. */
int verb_table(const struct options *o, const struct column *columns, size_t count,
	       enum ks_err (*fill)(struct target *t, const struct options *o, struct table *table,
				   struct ks_why *why));

#endif

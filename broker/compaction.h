/* compaction.h - the thread that compacts topics with cleanup.policy=compact; cleaner.h has how. */
#ifndef BROKER_COMPACTION_H
#define BROKER_COMPACTION_H

#include "broker/broker.h"

struct compaction;

/* Looks at all partitions now and then (broker_options.compaction_check_ms). */
struct compaction *compaction_start(struct broker *b);
/* A cleaning under way is given up. c may be NULL. */
void compaction_stop(struct compaction *c);

/* One look, in the caller's thread; waits for the thread's own. cleaned (may be NULL): how many
 * cleanings that was. */
enum ks_err compaction_run(struct broker *b, size_t *cleaned, struct ks_why *why);

#endif

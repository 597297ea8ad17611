/* cleaner.h - compacting one partition: of every key the last record stays.
 *
 *     log start          first dirty offset       end        high watermark
 *         |  clean: no key    |  dirty: to be      | active: not   |
 *         |  has two records  |  cleaned next      | touched yet   |
 *
 * A cleaning reads the dirty part and remembers of every key the offset of its last record, then
 * walks the log from its start to the end of that part and leaves out what is superseded. Offsets
 * never change; batches and values of the store that lose nothing are left where they are; small
 * values become larger ones. Every piece is one write of the shard, which takes the old values
 * away, puts the new ones, and says how far that was. A reader meets the old or the new; a crash
 * anywhere leaves a log with some superseded records more, and the cleaning begins anew.
 *
 * What stays besides: tombstones, delete.retention.ms long, so that a reader who comes late learns
 * of the deletion; markers, as long as there are records of their transactions and for a while after; an
 * empty batch where a producer's last one was, which keeps its sequence; everything from the first open
 * transaction on; and always the last batch of the log.
 *
 * A cleaner belongs to one thread at a time.
 */
#ifndef BROKER_CLEANER_H
#define BROKER_CLEANER_H

#include <stdatomic.h>

#include "broker/broker.h"

struct cleaner;

/* map_bytes_max: memory for the keys of one cleaning; what does not fit is cleaned next. stop: may
 * be set by anyone to make a cleaning end early. */
struct cleaner *cleaner_new(struct broker *b, size_t map_bytes_max, const _Atomic(bool) *stop);
void cleaner_free(struct cleaner *c); /* c may be NULL */

struct cleaning_result {
	bool was_due;
	bool is_unfinished;                 /* there is more to clean, which did not fit */
	int64_t end;                        /* all below is clean */
	uint64_t bytes_before, bytes_after; /* of what lies below end */
};

/* Cleans the partition if its topic's configuration says that it is time.
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_OFFSET_OUT_OF_RANGE  it was deleted or trimmed meanwhile
 *   ERR_CLOSED      stop was set
 *   ERR_CORRUPTION  the log is damaged, why has the place; ERR_IO */
enum ks_err cleaner_run(struct cleaner *c, struct partition *p, struct cleaning_result *result,
			struct ks_why *why);

#endif

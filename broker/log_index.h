/* log_index.h - looking into a partition's entries of CF_INDEX.
 *
 * Both parts of an entry, the latest timestamp so far and the last offset, grow from entry to
 * entry. The keys sort by time; that they sort by offset at once is what finds an offset in a few
 * seeks.
 */
#ifndef BROKER_LOG_INDEX_H
#define BROKER_LOG_INDEX_H

#include "broker/partition.h"

/* The last entry with last_offset < offset. ERR_NOT_FOUND: none, ERR_IO, ERR_CORRUPTION. */
enum ks_err index_before(struct partition *p, int64_t offset, struct index_entry *out,
			 struct ks_why *why);
/* The last entry with max_timestamp <= timestamp. As above. */
enum ks_err index_before_time(struct partition *p, int64_t timestamp, struct index_entry *out,
			      struct ks_why *why);

/* Where the entry lies in today's log: in positions as partition_published tells them. In what a
 * cleaning that was interrupted has rewritten it is a guess, never too low. */
uint64_t index_position(struct partition *p, const struct index_entry *e);

#endif

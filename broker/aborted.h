/* aborted.h - which transactions were aborted in a partition, and where.
 *
 * The store has an entry for each under two keys, by the offset of its marker and by its producer, put in the write batch of
 * the marker. It is taken away with the marker by compaction (rewrite.c), and after it when the log is trimmed. A partition keeps the newest of them in memory, so that readers at the end of the log
 * do not go to the store. Who goes there looks at the entries whose markers lie within what was read and at one for each producer that left
 * records undecided in it, however many others began before and ended later. An entry is published before the last stable offset passes it. One whose records are gone does
 * no harm: readers are told of those alone whose records or marker they got.
 */
#ifndef BROKER_ABORTED_H
#define BROKER_ABORTED_H

#include "broker/partition.h"
#include "store/store.h"

/* Before the partition is shared: the newest from the store. ERR_CORRUPTION, ERR_IO */
enum ks_err aborted_load(struct partition *p, struct store_iter *it, struct ks_why *why);
/* Shard. a is durable; its marker lies above all others. */
void aborted_publish(struct partition *p, const struct aborted *a);

/* Those with a marker at from or above and a first record below to, by the offset of the marker: from the store, at most max. *stable:
 * INT64_MAX, or, when there are more, every one that began below it is among them. free() the array. */
enum ks_err aborted_list(struct partition *p, int64_t from, int64_t to, size_t max,
			 struct aborted **out, size_t *count, int64_t *stable, struct ks_why *why);

/* Not the shard. The log was trimmed: takes away the entries whose markers lie below its start. */
enum ks_err aborted_purge(struct partition *p, struct ks_why *why);

/* In the order that aborted_find needs. */
void aborted_sort(struct aborted *all, size_t count);
/* The transaction of which a batch at offset, its producer's, is a part, or the marker. NULL: it was not aborted. */
const struct aborted *aborted_find(const struct aborted *all, size_t count, int64_t producer_id,
				   int64_t offset);

#endif

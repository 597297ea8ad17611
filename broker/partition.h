/* partition.h - one partition: its offsets, the tail of its log in memory, those who wait for it.
 *
 * The shard's thread owns the end of the log: it hands out offsets against a copy (group.h) and
 * calls partition_publish when the write has returned. What readers see, the high watermark and the
 * tail, changes there and only there.
 *
 * The tail is the last stretch of the log as the very bytes that were appended, without a gap up
 * to the high watermark. All tails together are bounded by the pool, which counts every frame that
 * an entry lies in, whole, once; the oldest entry of all goes first.
 */
#ifndef BROKER_PARTITION_H
#define BROKER_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/broker.h"
#include "broker/keys.h"
#include "txn/producer_table.h"

/* Where the log of a partition stands. */
struct log_end {
	int64_t offset_next;
	int64_t max_timestamp;     /* of all records ever; -1: none had one */
	uint64_t position;         /* bytes of all batches ever appended */
	uint64_t indexed_position; /* of the newest entry in CF_INDEX */
};

struct tail_entry {
	struct frame *frame; /* holds one reference */
	struct slice bytes;  /* whole batches, within the frame */
	int64_t base_offset, last_offset;
};

/* The batch with the latest timestamp, as far as somebody has looked. */
struct latest {
	int64_t timestamp, batch_offset; /* -1: none yet */
	int64_t scanned_to;
	int64_t clean_offset; /* compaction had come so far; what it takes later may be this batch */
};

/* What the newest aborted transactions were, as far as they are in memory. */
struct aborted_cache {
	struct aborted *v; /* by the offset of the marker */
	uint32_t count, cap;
	int64_t complete_from; /* those whose markers lie there and above are all in v */
};

/* One waiter that watches one partition; the waiter's. In a list, for there may be very many, each of which leaves at any time. */
struct watch {
	struct waiter *waiter;
	struct partition *partition;
	LIST_ENTRY(watch) in_partition; /* under the partition's mtx */
};

struct partition {
	/* immutable after start */
	struct topic *topic;
	uint32_t id;   /* of all partitions ever: the prefix of its keys */
	int32_t index; /* within the topic */

	/* owner: shard */
	struct log_end end;
	size_t pending; /* 1 + its place in the group under construction; 0: not in it */
	struct producer_map producers;

	/* Written by the shard, read by anyone; the end's three change together under mtx, and what is stable
	 * after them. */
	_Atomic(int64_t) log_start_offset, high_watermark, max_timestamp;
	_Atomic(uint64_t) start_position, end_position;
	_Atomic(int64_t) last_stable_offset;
	_Atomic(uint64_t) stable_position;
	_Atomic(int64_t)
		aborted_below; /* behind the marker of the newest aborted transaction; 0: none */
	_Atomic(uint64_t)
		aborted_looked_at; /* entries in the store that readers had to look at; for tests */
	/* Records below are about to go: their absence is no damage. At least the log start offset.
	 */
	_Atomic(int64_t) trim_announced;
	/* Batches below may be missing, compaction took them. Announced as a trim is. */
	_Atomic(int64_t) holes_below;

	/* owner: compaction. The high watermark when all but the last batch was clean. */
	int64_t clean_up_to;
	bool is_uncleanable; /* damaged: said once, and left alone */

	/* shared, under mtx */
	pthread_mutex_t mtx;
	struct tail_entry *tail; /* ring */
	size_t tail_first, tail_count, tail_cap;
	LIST_HEAD(, watch) watches;
	struct cleaned cleaned; /* what the store says; written by the shard */
	struct aborted_cache aborted;
	struct latest latest;
};

/* In place; start: where the log starts, end: where it stands. */
void partition_init(struct partition *p, struct topic *t, uint32_t id, int32_t index);
void partition_fini(struct partition *p);
/* Before the partition is shared: what was found in the store. */
void partition_restore(struct partition *p, int64_t log_start_offset, uint64_t start_position,
		       const struct log_end *end);

/* Before the partition is shared, and later on the shard's thread: how far compaction has come. */
void partition_set_cleaned(struct partition *p, const struct cleaned *c);
/* Any thread: a copy that fits the log as it stands: one that was trimmed beyond what is clean is
 * clean up to its start. */
struct cleaned partition_cleaned(struct partition *p);

/* All tail entries of all partitions, oldest first. owner: shard. */
struct tail_pool {
	struct partition **fifo; /* ring; whose oldest entry it is */
	size_t first, count, cap;
	size_t bytes, bytes_max;
};
void tail_pool_fini(struct tail_pool *pool);
/* Drops the oldest entries until the pool is within its bound. */
void tail_pool_trim(struct tail_pool *pool);

/* Shard. The entries, which follow each other, are durable: takes over their references, moves the
 * high watermark to end, the last stable offset to where the producers' open transactions let it, and wakes
 * those who wait. What the entries say of producers and of aborted transactions is published before. */
void partition_publish(struct partition *p, const struct log_end *end,
		       const struct tail_entry *entries, size_t count, struct tail_pool *pool);
/* Any thread: the end of the log as one consistent triple (indexed_position is not told). */
void partition_published(struct partition *p, struct log_end *end);
/* Before the partition is shared, when its producers are there: what is stable. */
void partition_restore_stable(struct partition *p);
/* Shard. The log starts at offset from now on. */
void partition_publish_start(struct partition *p, int64_t offset, uint64_t position);
/* Shard. Wakes those who wait, for instance because the topic is gone. */
void partition_wake(struct partition *p);

/* Reads below the high watermark and end, without the store. ERR_NOT_FOUND: the tail does not reach back to
 * offset; ERR_EMPTY: there is nothing below end. */
enum ks_err partition_read_tail(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
				struct chunk *out);

/* Under mtx. The first tail entry that ends at offset or above; tail_count when offset lies before
 * the tail, or where compaction has been. */
size_t partition_tail_find(const struct partition *p, int64_t offset);

/* waiter.c: a watch is on its partition's list from watch to unwatch. */
void partition_add_watch(struct watch *w);
void partition_remove_watch(struct watch *w);

#endif

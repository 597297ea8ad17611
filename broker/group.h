/* group.h - the commands that share one write, and the WriteBatch they become.
 *
 * A group works on copies: the first append to a partition copies the end of its log, later ones of
 * the same group continue there, and nothing that others see changes before group_publish. So a
 * group that could not be written is simply cleared.
 *
 * Belongs to the shard's thread.
 */
#ifndef BROKER_GROUP_H
#define BROKER_GROUP_H

#include <stdint.h>

#include "broker/partition.h"
#include "store/store.h"

#define LEADER_EPOCH 0 /* of every batch and WriteBatch, until there are replicas */

/* A producer that appended in this group, and where it stands after it. */
struct producing {
	struct producer_table *table;
	struct producer *producer;
	struct producer_state state;
	uint64_t txn_position; /* bytes of the log before its open transaction */
};

/* A transaction that this group aborts in a partition. */
struct aborting {
	struct partition *partition;
	struct aborted aborted;
};

/* What is to happen once the group is written. */
struct after {
	void (*fn)(void *arg, enum ks_err err);
	void *arg;
};

/* One appended stretch of batches. */
struct piece {
	struct tail_entry entry;
	int64_t max_timestamp; /* of the log up to here */
	size_t next;           /* 1 + index of the partition's next piece; 0: the last */
	bool is_copy;          /* of several appends, in a frame of the group's */
};

/* A partition that the group appends to. */
struct pending {
	struct partition *partition;
	struct log_end end;
	size_t first_piece, last_piece; /* 1 + index; 0: none */
	size_t copied_bytes;
};

struct group {
	struct store_write *write;
	int64_t now_ms; /* the group's time, taken once */
	bool needs_sync;
	bool is_late; /* has batches that are to be on the disk, and a later group sees to that */
	bool needs_write;   /* even when nothing was put: something older must be synced */
	enum ks_err failed; /* the store has: nothing of this will be written */
	size_t log_bytes;   /* of the pieces */

	struct pending *pending;
	size_t pending_count, pending_cap;
	struct piece *pieces;
	size_t piece_count, piece_cap;
	struct producing *producing;
	size_t producing_count, producing_cap;
	struct aborting *aborting;
	size_t aborting_count, aborting_cap;
	struct after *afters;
	size_t after_count, after_cap;

	/* scratch, kept from group to group */
	struct slice *parts;
	size_t part_count, part_cap;
	struct tail_entry *entries;
	size_t entry_cap;
	struct buf key;
};

void group_init(struct group *g, struct store *s);
void group_fini(struct group *g);
/* Forgets everything, frames included, for the next group. */
void group_clear(struct group *g, int64_t now_ms);

/* Bytes that the write will have, about. */
size_t group_bytes(const struct group *g);
/* Whether there is anything to write. */
bool group_has_writes(const struct group *g);

/* Where the batches of one append come from. */
struct origin {
	int64_t producer_id; /* -1: none */
	int16_t producer_epoch;
	bool is_transactional;
};
/* Whether these are whole batches that may be appended, each at most batch_max bytes.
 *   ERR_CORRUPT_MESSAGE, ERR_MESSAGE_TOO_LARGE
 *   ERR_INVALID_RECORD  a control batch, or different producers, epochs, some in a transaction and some not */
enum ks_err group_check(struct slice batches, size_t batch_max, struct origin *origin);

/* The offset that the next record of the partition gets. */
int64_t group_offset_next(const struct group *g, const struct partition *p);
/* And how many bytes come before it. */
uint64_t group_position(const struct group *g, const struct partition *p);

/* Gives offsets to checked batches, which lie in the frame, and stamps them in place; takes the
 * reference to the frame. is_append_time: also with the group's time. Returns the first offset.
 * Small ones are copied, so that the tail of the log does not hold on to whole requests for them. */
int64_t group_append(struct group *g, struct partition *p, struct frame *f, struct slice batches,
		     bool is_append_time);

/* Calls fn(arg, err) on the shard's thread once the group, and every group before it, was written,
 * synced if it is to be, and published; in the order of these calls, before other commands of the
 * group are answered. err: the store has failed, the outcome is unknown. When the group has nothing
 * to write it is called all the same. */
void group_after(struct group *g, void (*fn)(void *arg, enum ks_err err), void *arg);
/* The shard: does that. */
void group_run_afters(struct group *g, enum ks_err err);

/* Puts what was appended and the index of this WriteBatch; then the write is complete. */
void group_finish(struct group *g, uint64_t batch_index);
/* The write returned: moves logs and high watermarks, fills the tails, wakes. */
void group_publish(struct group *g, struct tail_pool *pool);

#endif

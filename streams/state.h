/* state.h - key-value state of stateful steps: a write-back cache whose changes travel in the commit of the step.
 *
 * One struct state is one store in one partition. What is where:
 *
 *     cache    hash table over segments of entries; the truth for every key it holds
 *     blocks   CF_STATE, one per state and commit: all keys that the commit changed, in commit order
 *     rows     CF_STATE, one per key: where keys go when their blocks are merged
 *
 * A key's value is the cache's entry, else that of the newest block that has it (blocks are read into the cache when
 * a state is opened and their keys stay there until merged), else its row.
 *
 * Owner: one thread per pool. See state.c for why no crash can lose or resurrect a change.
 */
#ifndef STREAMS_STATE_H
#define STREAMS_STATE_H

#include "streams/backend.h"

struct state;
struct dedup;

#define STATE_KEY_BYTES_MAX 65535
#define STATE_ID_NONE       0

/* Changes of CF_STATE that wait for the next commit. Zero-initialise. */
struct state_batch {
	struct buf bytes;
	struct state_change *changes;
	size_t count, cap;
	struct commit_state *resolved;
	size_t resolved_cap;
};
void state_batch_fini(struct state_batch *b);
void state_batch_clear(struct state_batch *b);
void state_batch_put(struct state_batch *b, struct slice key, struct slice value);
void state_batch_delete(struct state_batch *b, struct slice key);
void state_batch_delete_range(struct state_batch *b, struct slice from, struct slice to);
/* A put whose value is appended to b->bytes between the two calls. */
void state_batch_begin_put(struct state_batch *b, struct slice key);
void state_batch_end_put(struct state_batch *b);
/* The form that a commit takes; valid until the batch changes. */
struct commit_state *state_batch_resolve(struct state_batch *b);

/* What must be undone when a record fails: its last attempt, or all of it. Zero-initialise; cleared when a record
 * begins. */
struct undo {
	struct buf log;
	size_t attempt; /* where the attempt began */
};
void undo_fini(struct undo *u);
static inline void undo_begin(struct undo *u)
{
	buf_clear(&u->log);
	u->attempt = 0;
}
static inline void undo_begin_attempt(struct undo *u)
{
	u->attempt = u->log.len;
}
void undo_apply(struct undo *u);        /* the attempt */
void undo_apply_record(struct undo *u); /* all since undo_begin */

/* The stream time of a piece of a flow as the store saves it. */
struct stream_clock {
	const int64_t *time;
	int64_t saved;
	uint32_t store;
	int32_t partition;
};

/* All states of one thread: they share the memory bound and the number of the commit. */
struct state_pool {
	struct backend *backend;
	size_t cache_bytes_max;    /* entries and tables */
	size_t unmerged_bytes_max; /* blocks that may wait to be merged */
	struct undo *undo;
	/* the pool's */
	struct state **states;
	size_t state_count;
	struct dedup **dedups;
	size_t dedup_count;
	struct stream_clock *clocks;
	size_t clock_count;
	size_t cache_bytes;
	size_t unmerged_bytes;
	size_t changed_bytes;    /* since the last collect, about */
	uint64_t lookups;        /* tells whether a struct state_ref is still good */
	size_t merge_hand;       /* state whose merge goes on next */
	uint32_t commit;         /* number of the commit that is being filled, from 1 */
	uint32_t commit_durable; /* highest number known durable */
	bool hurries;            /* the job stops: merge in large pieces */
	size_t hand;             /* where the search for something to evict goes on */
	struct buf scratch, row_key;
};

void state_pool_init(struct state_pool *p, struct backend *b, struct undo *undo,
		     size_t cache_bytes_max, size_t unmerged_bytes_max);
void state_pool_fini(struct state_pool *p);

/* Numbers of stores are rows of the job, kept for ever: finds the number of each name, and appends to b what
 * registers the new ones. kind tells stores of different make apart: ERR_INVALID_ARGUMENT when a name was of another. */
struct state_name {
	const char *name;
	const char *kind;
	uint32_t id; /* result */
};
enum ks_err state_register(struct backend *backend, struct state_name *names, size_t count,
			   struct state_batch *b, struct ks_why *why);

/* Opens a state and reads its unmerged blocks. The pool owns it. */
enum ks_err state_open(struct state_pool *p, uint32_t store, int32_t partition, struct state **out,
		       struct ks_why *why);

uint32_t state_store(const struct state *s);

/* From now on commits save *time, a stream time, for the store; raises it to what was saved last. */
enum ks_err state_clock_open(struct state_pool *p, uint32_t store, int32_t partition, int64_t *time,
			     struct ks_why *why);
/* The time goes: it is not looked at again. */
void state_clocks_close(struct state_pool *p, const int64_t *time);

/* Where a key was found; good until the next call on the same pool. */
struct state_ref {
	uint32_t hash;
	uint32_t slot; /* SLOT_NONE: not in the cache */
};
/* Looks a key up. The value is borrowed from the cache until the next call on the same pool.
 * ERR_TOO_LARGE: key too long. Storage errors. */
enum ks_err state_find(struct state *s, struct slice key, struct state_ref *ref,
		       struct slice *value, bool *found, struct ks_why *why);
/* Sets the value of the key that was just looked up; value.data == NULL deletes it. */
void state_write(struct state *s, const struct state_ref *ref, struct slice key,
		 struct slice value);

/* All entries in the order of their keys, cache and rows merged. Copies everything: for tests and tools. */
enum ks_err state_scan(struct state *s,
		       void (*entry)(void *cookie, struct slice key, struct slice value),
		       void *cookie, struct ks_why *why);

/* Appends what the commit must carry: blocks of the changed keys, a piece of the merge that is under way.
 * Starts a merge when one is due. *merges says whether rows are among it. */
void state_pool_collect(struct state_pool *p, struct state_batch *b, bool *merges);
/* The last collected commit is durable. */
void state_pool_committed(struct state_pool *p);
/* Whether the next collect would carry anything; with `all`, also while there are unmerged keys, which are then merged
 * without waiting for the bound. */
bool state_pool_has_changes(const struct state_pool *p);
bool state_pool_merge_all(struct state_pool *p);

/* --- dedup: ids seen, see dedup.c --- */

/* within_ms 0: remembered until ids_max newer ones came. */
enum ks_err dedup_open(struct state_pool *p, uint32_t store, int32_t partition, int64_t within_ms,
		       int64_t ids_max, struct dedup **out, struct ks_why *why);
/* Whether the id was seen within the time; remembers it if not. stream_time never goes back. */
bool dedup_seen(struct dedup *d, struct slice id, int64_t stream_time);
size_t dedup_count(const struct dedup *d);
void dedup_free(struct dedup *d);
/* Undo of the last dedup_seen that remembered an id. */
void dedup_forget_last(struct dedup *d);
void undo_push_dedup(struct undo *u, struct dedup *d);
/* Its part of state_pool_collect. */
void dedup_collect(struct dedup *d, struct state_batch *b);
bool dedup_has_changes(const struct dedup *d);

#endif

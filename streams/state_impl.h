/* state_impl.h - what state.c, state_block.c and state_segment.c share. */
#ifndef STREAMS_STATE_IMPL_H
#define STREAMS_STATE_IMPL_H

#include "streams/state.h"

#define SEGMENT_BYTES 65536
#define UNIT          8u /* entries are aligned to this */
#define UNIT_BITS     13 /* units of a segment */
#define SLOT_NONE     UINT32_MAX

/* What a key of CF_STATE begins with: the job's number (u32), one of these, the store's number (u32), the
 * partition (u32); all big-endian. Then the key of a row, the number (u64) of a block, or nothing (a time). */
enum row_kind { ROW_NAME = 'n', ROW_KEY = 'k', ROW_BLOCK = 'b', ROW_TIME = 't' };
#define ROW_PREFIX_BYTES 13

enum entry_flag {
	ENTRY_DEAD = 1,    /* replaced by another entry; room to be regained */
	ENTRY_DELETED = 2, /* the key is known not to exist */
	ENTRY_DIRTY =
		4, /* unmerged: its newest value is in a block (or about to be); in state.dirty */
	ENTRY_CHANGED = 8,    /* by the step under construction; in state.changed */
	ENTRY_REFERENCED = 16 /* used since the eviction's hand came by */
};

struct entry {
	uint32_t hash;
	uint32_t units; /* of this entry, header included */
	uint16_t key_len;
	uint16_t flags;
	uint32_t value_len;
	uint32_t dirty_at;   /* DIRTY: its number in the queue of the dirty */
	uint32_t put_commit; /* the commit that carried its row; clean from then on */
	uint8_t bytes[];     /* key, value */
};

struct segment {
	uint8_t *data;
	uint32_t cap, used, live; /* units */
};

struct slot {
	uint32_t hash, ref; /* ref 0: empty; else segment << UNIT_BITS | unit */
};

struct state {
	struct state_pool *pool;
	uint32_t store;
	int32_t partition;
	bool is_complete; /* what is not in the cache does not exist */
	struct slot *table;
	size_t table_cap, table_count;
	struct segment *segments; /* [0] is never used */
	size_t segment_count, segment_cap;
	uint32_t *free_segments;
	size_t free_count, free_cap;
	uint32_t current; /* segment that takes new entries; 0: none */
	size_t used_units, live_units;
	size_t sweep_hand;
	bool is_sweeping;
	/* the dirty, in the order in which they became so: refs; number of dirty[0] is dirty_base */
	uint32_t *dirty;
	size_t dirty_count, dirty_cap;
	uint32_t dirty_base;
	/* numbers (as dirty_at) of what this step changed */
	uint32_t *changed;
	size_t changed_count, changed_cap;
	/* blocks */
	uint64_t block_first, block_next; /* [first, next) exist */
	size_t block_bytes;
	/* the merge under way: dirty[0 .. merge_end) go to rows, then blocks below merge_block go */
	bool is_merging;
	size_t merge_at, merge_end;
	uint64_t merge_block;
	size_t merge_bytes;
};

static inline struct entry *entry_at(const struct state *s, uint32_t ref)
{
	const struct segment *g = &s->segments[ref >> UNIT_BITS];
	return (struct entry *)(g->data + (size_t)(ref & ((1u << UNIT_BITS) - 1)) * UNIT);
}
static inline struct slice entry_key(const struct entry *e)
{
	return slice_of(e->bytes, e->key_len);
}
static inline struct slice entry_value(const struct entry *e)
{
	return e->flags & ENTRY_DELETED ? SLICE_NULL
					: slice_of(e->bytes + e->key_len, e->value_len);
}
static inline size_t entry_value_cap(const struct entry *e)
{
	return (size_t)e->units * UNIT - sizeof(struct entry) - e->key_len;
}

uint32_t state_hash(struct slice key);
/* Slot of the key or SLOT_NONE. */
uint32_t table_find(const struct state *s, uint32_t hash, struct slice key);
void table_insert(struct state *s, uint32_t hash, uint32_t ref);
void table_remove(struct state *s, uint32_t slot);
/* Slot that holds ref; it is there. */
uint32_t table_find_ref(const struct state *s, uint32_t hash, uint32_t ref);
size_t table_bytes(const struct state *s);

/* --- state_segment.c: where entries live --- */

/* A new entry with room for the value, not in the table. May move other entries: refs and slots go stale. */
uint32_t entry_new(struct state *s, uint32_t hash, struct slice key, size_t value_len);
void entry_kill(struct state *s, uint32_t ref);
void segments_fini(struct state *s);

/* --- state.c --- */
void state_set(struct state *s, uint32_t hash, uint32_t slot, struct slice key, struct slice value,
	       bool is_clean);
size_t row_prefix(uint8_t *p, const struct state_pool *pool, enum row_kind kind, uint32_t store,
		  int32_t partition);
/* The end of all keys that begin with the prefix. */
size_t row_prefix_end(uint8_t *p, const uint8_t *prefix, size_t len);

/* --- state_time.c --- */
void state_clocks_collect(struct state_pool *p, struct state_batch *b);

/* --- state_block.c --- */
enum ks_err blocks_read(struct state *s, struct ks_why *why);

#endif

/* state_block.c - blocks of changes, and their merge into rows.
 *
 * A block's key is job, 'b', store, partition, number; its value
 *
 *     u8  1: version
 *     then per changed key:  varint key length, key, varint (value length + 1; 0: deleted), value
 *
 * A merge goes through the keys that were dirty when it began, a piece in every commit, sorted within the piece; in the
 * commit of its last piece it deletes the blocks that existed when it began. It begins when the blocks of the pool pass
 * their bound. Its pieces are sized so that it ends before as many bytes of new blocks have come, but
 * small enough while nothing presses that the shard is not held up.
 */
#include "streams/state_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "wire/varint.h"

#define BLOCK_VERSION   1
#define MERGE_KEYS_MIN  512  /* puts per commit */
#define MERGE_KEYS_DONE 2048 /* at close, where nobody waits behind them */

static size_t block_key(uint8_t *p, const struct state *s, uint64_t number)
{
	size_t len = row_prefix(p, s->pool, ROW_BLOCK, s->store, s->partition);
	put_u64be(p + len, number);
	return len + 8;
}

/* --- reading back --- */

static enum ks_err corrupt(struct state *s, struct ks_why *why)
{
	return ks_fail(why, ERR_CORRUPTION, "a block of state store %u, partition %d is unreadable",
		       s->store, s->partition);
}

static const uint8_t *read_bytes(const uint8_t *p, const uint8_t *end, uint32_t bias,
				 struct slice *out)
{
	uint32_t len;

	p = varint_read_u32(p, end, &len);
	if (!p || len < bias) {
		*out = SLICE_NULL;
		return p;
	}
	len -= bias;
	if ((size_t)(end - p) < len)
		return NULL;
	*out = slice_of(p, len);
	return p + len;
}

struct blocks_scan {
	struct state *state;
	struct ks_why *why;
	bool any;
};

static enum ks_err block_entry(void *cookie, struct slice key, struct slice value)
{
	struct blocks_scan *b = cookie;
	struct state *s = b->state;
	const uint8_t *p = value.data, *end = value.data + value.len;

	if (key.len != ROW_PREFIX_BYTES + 8 || p == end || *p++ != BLOCK_VERSION)
		return corrupt(s, b->why);
	while (p < end) {
		struct slice k, v;
		p = read_bytes(p, end, 0, &k);
		if (p)
			p = read_bytes(p, end, 1, &v);
		if (!p || !k.data || k.len > STATE_KEY_BYTES_MAX)
			return corrupt(s, b->why);
		uint32_t hash = state_hash(k);
		state_set(s, hash, table_find(s, hash, k), k, v, false);
	}
	uint64_t number = get_u64be(key.data + ROW_PREFIX_BYTES);
	if (!b->any)
		s->block_first = number;
	b->any = true;
	s->block_next = number + 1;
	s->block_bytes += value.len;
	s->pool->unmerged_bytes += value.len;
	return ERR_NONE;
}

static void forget_changed(struct state *s)
{
	for (size_t i = 0; i < s->changed_count; i++)
		entry_at(s, s->dirty[s->changed[i] - s->dirty_base])->flags &=
			(uint16_t)~ENTRY_CHANGED;
	s->changed_count = 0;
}

enum ks_err blocks_read(struct state *s, struct ks_why *why)
{
	struct blocks_scan b = {.state = s, .why = why};
	uint8_t from[ROW_PREFIX_BYTES], to[ROW_PREFIX_BYTES];
	size_t len = row_prefix(from, s->pool, ROW_BLOCK, s->store, s->partition);
	size_t end = row_prefix_end(to, from, len);
	enum ks_err err = s->pool->backend->ops->state_scan(
		s->pool->backend, slice_of(from, len), slice_of(to, end), block_entry, &b, why);

	forget_changed(s); /* they are in blocks already */
	return err;
}

/* --- writing blocks --- */

static void append_bytes(struct buf *out, struct slice bytes, uint32_t bias)
{
	buf_reserve(out, bytes.len + VARINT32_BYTES_MAX);
	uint8_t *p = out->data + out->len;
	p = varint_write_u32(p, bytes.data ? (uint32_t)bytes.len + bias : 0);
	if (bytes.len)
		memcpy(p, bytes.data, bytes.len);
	out->len = (size_t)(p + bytes.len - out->data);
}

static void block_write(struct state *s, struct state_batch *b)
{
	uint8_t key[ROW_PREFIX_BYTES + 8];
	size_t len = block_key(key, s, s->block_next++);

	state_batch_begin_put(b, slice_of(key, len));
	size_t begin = b->bytes.len;
	buf_append_u8(&b->bytes, BLOCK_VERSION);
	for (size_t i = 0; i < s->changed_count; i++) {
		struct entry *e = entry_at(s, s->dirty[s->changed[i] - s->dirty_base]);
		append_bytes(&b->bytes, entry_key(e), 0);
		append_bytes(&b->bytes, entry_value(e), 1);
	}
	state_batch_end_put(b);
	forget_changed(s);
	s->block_bytes += b->bytes.len - begin;
	s->pool->unmerged_bytes += b->bytes.len - begin;
}

/* --- merging --- */

static void merge_begin(struct state *s)
{
	s->is_merging = true;
	s->merge_at = 0;
	s->merge_end = s->dirty_count;
	s->merge_block = s->block_next;
	s->merge_bytes = s->block_bytes;
}

/* The rows of all blocks are written: the blocks go, and the queue of the dirty begins behind them. */
static void merge_finish(struct state *s, struct state_batch *b)
{
	uint8_t from[ROW_PREFIX_BYTES + 8], to[ROW_PREFIX_BYTES + 8];
	size_t len = block_key(from, s, s->block_first);

	block_key(to, s, s->merge_block);
	if (s->merge_block > s->block_first)
		state_batch_delete_range(b, slice_of(from, len), slice_of(to, len));
	s->block_first = s->merge_block;
	s->block_bytes -= s->merge_bytes;
	s->pool->unmerged_bytes -= s->merge_bytes;
	s->dirty_count -= s->merge_end;
	memmove(s->dirty, s->dirty + s->merge_end, s->dirty_count * sizeof *s->dirty);
	s->dirty_base += (uint32_t)s->merge_end;
	s->is_merging = false;
}

static int compare_entries(const void *a, const void *b)
{
	return slice_compare(entry_key(*(struct entry *const *)a),
			     entry_key(*(struct entry *const *)b));
}

static void put_row(struct state *s, struct state_batch *b, struct entry *e, struct buf *key)
{
	buf_clear(key);
	buf_reserve(key, ROW_PREFIX_BYTES);
	key->len = row_prefix(key->data, s->pool, ROW_KEY, s->store, s->partition);
	buf_append(key, e->bytes, e->key_len);
	if (e->flags & ENTRY_DELETED)
		state_batch_delete(b, buf_slice(key));
	else
		state_batch_put(b, buf_slice(key), entry_value(e));
	e->flags &= (uint16_t)~ENTRY_DIRTY;
	e->put_commit = s->pool->commit;
}

/* Called after the blocks are written, so no entry is CHANGED. */
static void merge_piece(struct state *s, struct state_batch *b, size_t keys)
{
	size_t end = s->merge_end - s->merge_at > keys ? s->merge_at + keys : s->merge_end;
	size_t n = end - s->merge_at;
	struct entry **entries = xmalloc(n * sizeof(struct entry *));

	for (size_t i = 0; i < n; i++)
		entries[i] = entry_at(s, s->dirty[s->merge_at + i]);
	if (n)
		qsort(entries, n, sizeof(struct entry *), compare_entries);
	for (size_t i = 0; i < n; i++)
		put_row(s, b, entries[i], &s->pool->row_key);
	free(entries);
	s->merge_at = end;
	if (s->merge_at == s->merge_end)
		merge_finish(s, b);
}

/* Keys of this commit, over all states: so many that the merge ends before the blocks have grown by their bound
 * again. */
static size_t merge_budget(const struct state_pool *p, size_t new_bytes)
{
	size_t max = p->unmerged_bytes_max ? p->unmerged_bytes_max : 1, keys = 0;

	if (p->hurries)
		return MERGE_KEYS_DONE;
	for (size_t i = 0; i < p->state_count; i++)
		if (p->states[i]->is_merging)
			keys += p->states[i]->merge_end;
	size_t pace = (size_t)((double)keys * 2.0 * (double)new_bytes / (double)max) + 1;
	return pace > MERGE_KEYS_MIN ? pace : MERGE_KEYS_MIN;
}

static bool merge_is_due(const struct state_pool *p)
{
	return p->unmerged_bytes > p->unmerged_bytes_max || p->cache_bytes > p->cache_bytes_max;
}

/* A piece of every merge under way until the budget is spent; the next commit goes on behind the last one. */
static bool merge_some(struct state_pool *p, struct state_batch *b, size_t budget)
{
	bool any = false;

	for (size_t i = 0; i < p->state_count; i++) {
		struct state *s = p->states[(p->merge_hand + i) % p->state_count];
		if (!s->is_merging)
			continue;
		any = true;
		size_t keys = s->merge_end - s->merge_at;
		if (keys > budget)
			keys = budget;
		merge_piece(s, b, keys);
		budget -= keys;
		if (budget == 0) {
			p->merge_hand = (p->merge_hand + i) % p->state_count;
			break;
		}
	}
	return any;
}

void state_pool_collect(struct state_pool *p, struct state_batch *b, bool *merges)
{
	size_t before = p->unmerged_bytes;

	p->commit++;
	for (size_t i = 0; i < p->state_count; i++)
		if (p->states[i]->changed_count)
			block_write(p->states[i], b);
	if (merge_is_due(p))
		for (size_t i = 0; i < p->state_count; i++)
			if (!p->states[i]->is_merging && p->states[i]->dirty_count)
				merge_begin(p->states[i]);
	*merges = merge_some(p, b, merge_budget(p, p->unmerged_bytes - before));
	for (size_t i = 0; i < p->dedup_count; i++)
		dedup_collect(p->dedups[i], b);
	state_clocks_collect(p, b);
	p->changed_bytes = 0;
}

void state_pool_committed(struct state_pool *p)
{
	p->commit_durable = p->commit;
}

bool state_pool_has_changes(const struct state_pool *p)
{
	for (size_t i = 0; i < p->state_count; i++)
		if (p->states[i]->changed_count)
			return true;
	for (size_t i = 0; i < p->dedup_count; i++)
		if (dedup_has_changes(p->dedups[i]))
			return true;
	return false;
}

bool state_pool_merge_all(struct state_pool *p)
{
	bool any = false;

	p->hurries = true;
	for (size_t i = 0; i < p->state_count; i++) {
		struct state *s = p->states[i];
		if (!s->is_merging && (s->dirty_count || s->block_next > s->block_first))
			merge_begin(s);
		any |= s->is_merging;
	}
	return any;
}

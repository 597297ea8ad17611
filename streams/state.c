/* state.c - the cache of a state: lookups, changes, undo. See state.h.
 *
 * Why no crash loses a change or brings an old one back:
 *
 *  1. A step's changes are one block in the very commit that carries its outputs and offsets. Reading all blocks in
 *     order over the rows gives the state after the last durable commit, provided no row is newer than that and
 *     none is older than a block that is gone.
 *  2. A merge puts rows with the value that the cache has when a commit is filled: the value after that commit, in that
 *     commit. So no row is ever ahead of the state that its commit leaves behind. A row may be ahead of old blocks
 *     that still hold its key; then a block at least as new as the row holds it too (the row's value came from
 *     there), and it is read later than the old ones.
 *  3. Blocks below b are deleted in a commit in which every key that was dirty when the newest of them was written
 *     has been put since (in this commit or earlier ones of the same merge). A key that changed again during the merge
 *     is in a block from b on.
 *  4. An entry may leave the cache only when the row that replaces it is durable: it is clean (its row was put, it did
 *     not change since) and the commit that put the row is known durable. Reading the row again then gives its value.
 *  5. A step that fails to commit ends the process's run of the job: what the cache holds beyond the last durable
 *     commit is never used again.
 */
#include "streams/state_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/err.h"

uint32_t state_hash(struct slice key)
{
	uint64_t h = XXH3_64bits(key.data, key.len);
	return (uint32_t)(h ^ (h >> 32));
}

/* --- the table: linear probing, at most 3/4 full --- */

uint32_t table_find(const struct state *s, uint32_t hash, struct slice key)
{
	if (!s->table_cap)
		return SLOT_NONE;
	size_t mask = s->table_cap - 1;
	for (size_t i = hash & mask; s->table[i].ref; i = (i + 1) & mask) {
		if (s->table[i].hash != hash)
			continue;
		const struct entry *e = entry_at(s, s->table[i].ref);
		if (e->key_len == key.len && memcmp(e->bytes, key.data, key.len) == 0)
			return (uint32_t)i;
	}
	return SLOT_NONE;
}

uint32_t table_find_ref(const struct state *s, uint32_t hash, uint32_t ref)
{
	size_t mask = s->table_cap - 1, i = hash & mask;

	while (s->table[i].ref != ref) {
		assert(s->table[i].ref);
		i = (i + 1) & mask;
	}
	return (uint32_t)i;
}

static void table_place(struct state *s, uint32_t hash, uint32_t ref)
{
	size_t mask = s->table_cap - 1, i = hash & mask;

	while (s->table[i].ref)
		i = (i + 1) & mask;
	s->table[i] = (struct slot){hash, ref};
}

void table_insert(struct state *s, uint32_t hash, uint32_t ref)
{
	if ((s->table_count + 1) * 4 > s->table_cap * 3) {
		struct slot *old = s->table;
		size_t old_cap = s->table_cap;
		s->table_cap = old_cap ? old_cap * 2 : 64;
		s->table = xcalloc(s->table_cap, sizeof *s->table);
		s->pool->cache_bytes += (s->table_cap - old_cap) * sizeof *s->table;
		for (size_t i = 0; i < old_cap; i++)
			if (old[i].ref)
				table_place(s, old[i].hash, old[i].ref);
		free(old);
	}
	table_place(s, hash, ref);
	s->table_count++;
}

/* Closes the gap by moving back what had to go past it. */
void table_remove(struct state *s, uint32_t slot)
{
	size_t mask = s->table_cap - 1, gap = slot;

	for (size_t i = (gap + 1) & mask; s->table[i].ref; i = (i + 1) & mask) {
		size_t home = s->table[i].hash & mask;
		if (((i - home) & mask) >= ((i - gap) & mask)) {
			s->table[gap] = s->table[i];
			gap = i;
		}
	}
	s->table[gap].ref = 0;
	s->table_count--;
}

size_t table_bytes(const struct state *s)
{
	return s->table_cap * sizeof *s->table;
}

/* --- keys of CF_STATE --- */

size_t row_prefix(uint8_t *p, const struct state_pool *pool, enum row_kind kind, uint32_t store,
		  int32_t partition)
{
	put_u32be(p, pool->backend->ops->state_prefix(pool->backend));
	p[4] = (uint8_t)kind;
	put_u32be(p + 5, store);
	put_u32be(p + 9, (uint32_t)partition);
	return ROW_PREFIX_BYTES;
}

size_t row_prefix_end(uint8_t *p, const uint8_t *prefix, size_t len)
{
	memcpy(p, prefix, len);
	while (len && ++p[len - 1] == 0)
		len--;
	assert(len); /* the kind is never 255 */
	return len;
}

/* --- pools --- */

void state_pool_init(struct state_pool *p, struct backend *b, struct undo *undo,
		     size_t cache_bytes_max, size_t unmerged_bytes_max)
{
	*p = (struct state_pool){
		.backend = b,
		.undo = undo,
		.cache_bytes_max = cache_bytes_max,
		.unmerged_bytes_max = unmerged_bytes_max,
		.commit = 1,
	};
}

static void state_free(struct state *s)
{
	segments_fini(s);
	free(s->table);
	free(s->dirty);
	free(s->changed);
	free(s);
}

void state_pool_fini(struct state_pool *p)
{
	for (size_t i = 0; i < p->state_count; i++)
		state_free(p->states[i]);
	for (size_t i = 0; i < p->dedup_count; i++)
		dedup_free(p->dedups[i]);
	free(p->states);
	free(p->dedups);
	free(p->clocks);
	buf_fini(&p->scratch);
	buf_fini(&p->row_key);
	*p = (struct state_pool){0};
}

static enum ks_err there_is_a_row(void *cookie, struct slice key, struct slice value)
{
	(void)key, (void)value;
	*(bool *)cookie = true;
	return ERR_CLOSED;
}

enum ks_err state_open(struct state_pool *p, uint32_t store, int32_t partition, struct state **out,
		       struct ks_why *why)
{
	struct state *s = xcalloc(1, sizeof *s);
	uint8_t from[ROW_PREFIX_BYTES], to[ROW_PREFIX_BYTES];
	bool has_rows = false;

	s->pool = p;
	s->store = store;
	s->partition = partition;
	s->segments = xcalloc(1, sizeof *s->segments);
	s->segment_count = s->segment_cap = 1;
	size_t len = row_prefix(from, p, ROW_KEY, store, partition);
	size_t end = row_prefix_end(to, from, len);
	enum ks_err err = p->backend->ops->state_scan(
		p->backend, slice_of(from, len), slice_of(to, end), there_is_a_row, &has_rows, why);
	s->is_complete = !has_rows;
	if (!err)
		err = blocks_read(s, why);
	p->changed_bytes = 0;
	if (err) {
		state_free(s);
		return err;
	}
	p->states = xrealloc(p->states, (p->state_count + 1) * sizeof(struct state *));
	p->states[p->state_count++] = s;
	*out = s;
	return ERR_NONE;
}

uint32_t state_store(const struct state *s)
{
	return s->store;
}

/* --- changing --- */

static void make_dirty(struct state *s, struct entry *e, uint32_t ref)
{
	if (!(e->flags & ENTRY_DIRTY)) {
		if (s->dirty_count == s->dirty_cap) {
			s->dirty_cap = s->dirty_cap ? s->dirty_cap * 2 : 64;
			s->dirty = xrealloc(s->dirty, s->dirty_cap * sizeof *s->dirty);
		}
		e->dirty_at = s->dirty_base + (uint32_t)s->dirty_count;
		s->dirty[s->dirty_count++] = ref;
		e->flags |= ENTRY_DIRTY;
	}
	if (!(e->flags & ENTRY_CHANGED)) {
		if (s->changed_count == s->changed_cap) {
			s->changed_cap = s->changed_cap ? s->changed_cap * 2 : 64;
			s->changed = xrealloc(s->changed, s->changed_cap * sizeof *s->changed);
		}
		s->changed[s->changed_count++] = e->dirty_at;
		e->flags |= ENTRY_CHANGED;
		s->pool->changed_bytes += e->key_len + e->value_len + 4u;
	}
}

/* Makes room for a longer value: the entry moves. */
static uint32_t entry_grow(struct state *s, uint32_t hash, uint32_t slot, size_t value_len)
{
	struct entry *old = entry_at(s, s->table[slot].ref);
	struct slice key = entry_key(old);
	uint8_t copy[256], *kept = key.len <= sizeof copy ? copy : xmalloc(key.len);

	memcpy(kept, key.data, key.len); /* the old one may be moved by making the new one */
	uint32_t ref = entry_new(s, hash, slice_of(kept, key.len), value_len);
	slot = table_find(s, hash, slice_of(kept, key.len));
	if (kept != copy)
		free(kept);
	if (slot == SLOT_NONE) { /* it was clean and had to leave */
		table_insert(s, hash, ref);
		return ref;
	}
	old = entry_at(s, s->table[slot].ref);
	struct entry *e = entry_at(s, ref);
	e->flags = old->flags;
	e->dirty_at = old->dirty_at;
	e->put_commit = old->put_commit;
	if (e->flags & ENTRY_DIRTY)
		s->dirty[e->dirty_at - s->dirty_base] = ref;
	entry_kill(s, s->table[slot].ref);
	s->table[slot].ref = ref;
	return ref;
}

void state_set(struct state *s, uint32_t hash, uint32_t slot, struct slice key, struct slice value,
	       bool is_clean)
{
	uint32_t ref;

	if (slot == SLOT_NONE) {
		ref = entry_new(s, hash, key, value.len);
		table_insert(s, hash, ref);
	} else {
		ref = s->table[slot].ref;
		if (entry_value_cap(entry_at(s, ref)) < value.len)
			ref = entry_grow(s, hash, slot, value.len);
	}
	struct entry *e = entry_at(s, ref);
	if (value.data) {
		memmove(e->bytes + e->key_len, value.data, value.len);
		e->flags &= (uint16_t)~ENTRY_DELETED;
	} else {
		e->flags |= ENTRY_DELETED;
	}
	e->value_len = (uint32_t)value.len;
	e->flags |= ENTRY_REFERENCED;
	if (!is_clean)
		make_dirty(s, e, ref);
}

/* Reads a row into pool->scratch. */
static enum ks_err read_row(struct state *s, struct slice key)
{
	struct state_pool *p = s->pool;

	buf_clear(&p->row_key);
	buf_reserve(&p->row_key, ROW_PREFIX_BYTES);
	p->row_key.len = row_prefix(p->row_key.data, p, ROW_KEY, s->store, s->partition);
	buf_append(&p->row_key, key.data, key.len);
	buf_clear(&p->scratch);
	buf_reserve(&p->scratch, 1); /* an empty value is no null one */
	return p->backend->ops->state_get(p->backend, buf_slice(&p->row_key), &p->scratch);
}

enum ks_err state_find(struct state *s, struct slice key, struct state_ref *ref,
		       struct slice *value, bool *found, struct ks_why *why)
{
	struct state_pool *p = s->pool;

	p->lookups++;
	if (key.len > STATE_KEY_BYTES_MAX)
		return ks_fail(why, ERR_TOO_LARGE, "a key of %zu bytes; state keys have at most %d",
			       key.len, STATE_KEY_BYTES_MAX);
	ref->hash = state_hash(key);
	ref->slot = table_find(s, ref->hash, key);
	if (ref->slot == SLOT_NONE && !s->is_complete) {
		enum ks_err err = read_row(s, key);
		if (err && err != ERR_NOT_FOUND)
			return ks_fail(why, err, "state cannot be read: %s", ks_err_text(err));
		if (!err) {
			state_set(s, ref->hash, SLOT_NONE, key, buf_slice(&p->scratch), true);
			ref->slot = table_find(s, ref->hash, key);
		}
	}
	*found = false;
	if (ref->slot == SLOT_NONE)
		return ERR_NONE;
	struct entry *e = entry_at(s, s->table[ref->slot].ref);
	e->flags |= ENTRY_REFERENCED;
	*found = !(e->flags & ENTRY_DELETED);
	*value = entry_value(e);
	return ERR_NONE;
}

/* --- undo: newest last; each piece ends with its own length --- */

enum undo_kind { UNDO_STATE, UNDO_DEDUP };

struct undo_head {
	void *of; /* state or dedup */
	uint32_t hash, key_len, value_len;
	uint8_t kind, had_value;
};

static void undo_push(struct undo *u, const struct undo_head *h, struct slice key,
		      struct slice value)
{
	size_t len = sizeof *h + key.len + value.len;
	uint32_t total = (uint32_t)(len + sizeof total);

	buf_reserve(&u->log, total);
	uint8_t *p = u->log.data + u->log.len;
	memcpy(p, h, sizeof *h);
	memcpy(p + sizeof *h, key.data, key.len);
	if (value.len)
		memcpy(p + sizeof *h + key.len, value.data, value.len);
	memcpy(p + len, &total, sizeof total);
	u->log.len += total;
}

void undo_push_dedup(struct undo *u, struct dedup *d)
{
	struct undo_head h = {.of = d, .kind = UNDO_DEDUP};
	undo_push(u, &h, slice_of("", 0), SLICE_NULL);
}

void undo_apply(struct undo *u)
{
	while (u->log.len > u->attempt) {
		struct undo_head h;
		uint32_t total;
		memcpy(&total, u->log.data + u->log.len - sizeof total, sizeof total);
		u->log.len -= total;
		const uint8_t *p = u->log.data + u->log.len;
		memcpy(&h, p, sizeof h);
		p += sizeof h;
		if (h.kind == UNDO_DEDUP) {
			dedup_forget_last(h.of);
			continue;
		}
		struct state *s = h.of;
		struct slice key = slice_of(p, h.key_len);
		struct slice value =
			h.had_value ? slice_of(p + h.key_len, h.value_len) : SLICE_NULL;
		uint32_t slot = table_find(s, h.hash, key);
		assert(slot != SLOT_NONE); /* changed entries never leave the cache */
		state_set(s, h.hash, slot, key, value, false);
	}
}

void undo_apply_record(struct undo *u)
{
	u->attempt = 0;
	undo_apply(u);
}

void undo_fini(struct undo *u)
{
	buf_fini(&u->log);
}

void state_write(struct state *s, const struct state_ref *ref, struct slice key, struct slice value)
{
	struct undo_head h = {
		.of = s, .hash = ref->hash, .key_len = (uint32_t)key.len, .kind = UNDO_STATE};
	struct slice old = SLICE_NULL;

	if (ref->slot != SLOT_NONE)
		old = entry_value(entry_at(s, s->table[ref->slot].ref));
	h.had_value = old.data != NULL;
	h.value_len = (uint32_t)old.len;
	if (s->pool->undo)
		undo_push(s->pool->undo, &h, key, old);
	state_set(s, ref->hash, ref->slot, key, value, false);
}

/* --- scanning --- */

struct scan {
	struct state *state;
	struct entry **cached; /* sorted by key */
	size_t count, at;
	void (*entry)(void *cookie, struct slice key, struct slice value);
	void *cookie;
};

static int entry_compare(const void *a, const void *b)
{
	return slice_compare(entry_key(*(struct entry *const *)a),
			     entry_key(*(struct entry *const *)b));
}

static void emit_cached(struct scan *c)
{
	const struct entry *e = c->cached[c->at++];
	if (!(e->flags & ENTRY_DELETED))
		c->entry(c->cookie, entry_key(e), entry_value(e));
}

static enum ks_err scan_row(void *cookie, struct slice key, struct slice value)
{
	struct scan *c = cookie;

	key = slice_of(key.data + ROW_PREFIX_BYTES, key.len - ROW_PREFIX_BYTES);
	while (c->at < c->count && slice_compare(entry_key(c->cached[c->at]), key) < 0)
		emit_cached(c);
	if (c->at < c->count && slice_equal(entry_key(c->cached[c->at]), key))
		emit_cached(c);
	else
		c->entry(c->cookie, key, value);
	return ERR_NONE;
}

enum ks_err state_scan(struct state *s,
		       void (*entry)(void *cookie, struct slice key, struct slice value),
		       void *cookie, struct ks_why *why)
{
	struct scan c = {.state = s, .entry = entry, .cookie = cookie};
	struct state_pool *p = s->pool;
	uint8_t from[ROW_PREFIX_BYTES], to[ROW_PREFIX_BYTES];

	c.cached = xcalloc(s->table_count, sizeof(struct entry *));
	for (size_t i = 0; i < s->table_cap; i++)
		if (s->table[i].ref)
			c.cached[c.count++] = entry_at(s, s->table[i].ref);
	if (c.count)
		qsort(c.cached, c.count, sizeof(struct entry *), entry_compare);
	size_t len = row_prefix(from, p, ROW_KEY, s->store, s->partition);
	size_t end = row_prefix_end(to, from, len);
	enum ks_err err = p->backend->ops->state_scan(p->backend, slice_of(from, len),
						      slice_of(to, end), scan_row, &c, why);
	while (!err && c.at < c.count)
		emit_cached(&c);
	free(c.cached);
	return err;
}

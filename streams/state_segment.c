/* state_segment.c - where entries live: segments of 64 KiB, filled from front to back, regained by sweeping.
 *
 * An entry whose value outgrows its room moves to the current segment and leaves a dead one behind. Sweeping a segment
 * moves what lives in it to the current segment and frees it: that is how dead room is regained and, when the cache is
 * over its bound, how clean entries leave: those that were not used since the hand came by last are dropped
 * instead of moved (second chance). Both happen when a new segment is needed, a few segments at a time, so the cost
 * is spread over the entries that caused it. An entry too large for a segment has one to itself, which is never moved, only
 * dropped.
 */
#include "streams/state_impl.h"

#include <assert.h>
#include <stdlib.h>

#define SWEEPS_MAX 8 /* segments per new segment */

static size_t segment_bytes(const struct segment *g)
{
	return (size_t)g->cap * UNIT;
}

static uint32_t segment_add(struct state *s, uint32_t units)
{
	uint32_t id;
	uint32_t usual = SEGMENT_BYTES / UNIT;

	if (s->free_count) {
		id = s->free_segments[--s->free_count];
	} else {
		if (s->segment_count == s->segment_cap) {
			s->segment_cap *= 2;
			s->segments = xrealloc(s->segments, s->segment_cap * sizeof *s->segments);
		}
		id = (uint32_t)s->segment_count++;
		assert(id < 1u << (32 - UNIT_BITS));
	}
	struct segment *g = &s->segments[id];
	*g = (struct segment){.cap = units > usual ? units : usual};
	g->data = xmalloc(segment_bytes(g));
	s->pool->cache_bytes += segment_bytes(g);
	return id;
}

static void segment_free(struct state *s, uint32_t id)
{
	struct segment *g = &s->segments[id];

	assert(g->live == 0);
	s->pool->cache_bytes -= segment_bytes(g);
	s->used_units -= g->used;
	free(g->data);
	*g = (struct segment){0};
	if (s->free_count == s->free_cap) {
		s->free_cap = s->free_cap ? s->free_cap * 2 : 16;
		s->free_segments = xrealloc(s->free_segments, s->free_cap * sizeof(uint32_t));
	}
	s->free_segments[s->free_count++] = id;
}

static uint32_t units_take(struct state *s, uint32_t id, uint32_t units)
{
	struct segment *g = &s->segments[id];
	uint32_t ref = id << UNIT_BITS | g->used;

	g->used += units;
	g->live += units;
	s->used_units += units;
	s->live_units += units;
	return ref;
}

static void make_room(struct state *s);

static uint32_t units_new(struct state *s, uint32_t units)
{
	if (units > SEGMENT_BYTES / UNIT) {
		make_room(s);
		return units_take(s, segment_add(s, units), units);
	}
	if (!s->current || s->segments[s->current].used + units > s->segments[s->current].cap) {
		if (!s->is_sweeping)
			make_room(s);
		/* sweeping may have made a current one with room */
		if (!s->current ||
		    s->segments[s->current].used + units > s->segments[s->current].cap)
			s->current = segment_add(s, 0);
	}
	return units_take(s, s->current, units);
}

void entry_kill(struct state *s, uint32_t ref)
{
	struct entry *e = entry_at(s, ref);
	struct segment *g = &s->segments[ref >> UNIT_BITS];

	e->flags = ENTRY_DEAD;
	g->live -= e->units;
	s->live_units -= e->units;
	if (g->live == 0 && ref >> UNIT_BITS != s->current && !s->is_sweeping)
		segment_free(s, ref >> UNIT_BITS);
}

uint32_t entry_new(struct state *s, uint32_t hash, struct slice key, size_t value_len)
{
	size_t bytes = sizeof(struct entry) + key.len + value_len;
	uint32_t units = (uint32_t)((bytes + UNIT - 1) / UNIT);
	uint32_t ref = units_new(s, units);
	struct entry *e = entry_at(s, ref);

	*e = (struct entry){.hash = hash, .units = units, .key_len = (uint16_t)key.len};
	memcpy(e->bytes, key.data, key.len);
	return ref;
}

/* One commit at most is under way: every row but its own is durable. Numbers of commits may wrap around. */
static bool may_leave(const struct state *s, const struct entry *e)
{
	const struct state_pool *p = s->pool;

	return !(e->flags & (ENTRY_DIRTY | ENTRY_CHANGED | ENTRY_REFERENCED)) &&
	       (p->commit == p->commit_durable || e->put_commit != p->commit);
}

static void entry_drop(struct state *s, const struct entry *e, uint32_t ref)
{
	table_remove(s, table_find_ref(s, e->hash, ref));
	s->is_complete = false;
}

static void entry_move(struct state *s, struct entry *e, uint32_t old)
{
	uint32_t slot = table_find_ref(s, e->hash, old);
	uint32_t ref = units_new(s, e->units);

	e = entry_at(s, old);
	memcpy(entry_at(s, ref), e, (size_t)e->units * UNIT);
	if (e->flags & ENTRY_DIRTY)
		s->dirty[e->dirty_at - s->dirty_base] = ref;
	s->table[slot].ref = ref;
}

/* Empties and frees a segment. */
static void sweep(struct state *s, uint32_t id, bool evicts)
{
	s->is_sweeping = true;
	for (uint32_t at = 0; at < s->segments[id].used;) {
		uint32_t ref = id << UNIT_BITS | at;
		struct entry *e = entry_at(s, ref);
		uint32_t units = e->units;
		at += units;
		if (e->flags & ENTRY_DEAD)
			continue;
		if (evicts && may_leave(s, e)) {
			entry_drop(s, e, ref);
		} else {
			e->flags &= (uint16_t) ~(evicts ? ENTRY_REFERENCED : 0);
			entry_move(s, e, ref);
		}
		s->segments[id].live -= units;
		s->live_units -= units;
	}
	s->is_sweeping = false;
	segment_free(s, id);
}

static bool is_large(const struct state *s, uint32_t id)
{
	return s->segments[id].cap > SEGMENT_BYTES / UNIT;
}

/* The second chance of the one entry that is there. */
static void sweep_large(struct state *s, uint32_t id)
{
	uint32_t ref = id << UNIT_BITS;
	struct entry *e = entry_at(s, ref);

	if (!may_leave(s, e)) {
		e->flags &= (uint16_t)~ENTRY_REFERENCED;
		return;
	}
	entry_drop(s, e, ref);
	s->segments[id].live -= e->units;
	s->live_units -= e->units;
	segment_free(s, id);
}

/* The next segment in the hand's way that may be swept; 0: none. */
static uint32_t next_segment(struct state *s, bool large_too)
{
	for (size_t i = 0; i < s->segment_count; i++) {
		s->sweep_hand = s->sweep_hand + 1 < s->segment_count ? s->sweep_hand + 1 : 0;
		uint32_t id = (uint32_t)s->sweep_hand;
		if (s->segments[id].data && id != s->current && (large_too || !is_large(s, id)))
			return id;
	}
	return 0;
}

static bool is_mostly_dead(const struct state *s)
{
	return s->used_units > 4 * (SEGMENT_BYTES / UNIT) && s->live_units < s->used_units / 2;
}

/* When the pool is over its bound, another state may be the one with something to give. */
static void evict(struct state_pool *p)
{
	for (int i = 0; i < SWEEPS_MAX && p->cache_bytes > p->cache_bytes_max; i++) {
		struct state *s = p->states[p->hand++ % p->state_count];
		uint32_t id = next_segment(s, true);
		if (id && is_large(s, id))
			sweep_large(s, id);
		else if (id)
			sweep(s, id, true);
	}
}

static void make_room(struct state *s)
{
	struct state_pool *p = s->pool;

	for (int i = 0; i < SWEEPS_MAX && is_mostly_dead(s); i++) {
		uint32_t id = next_segment(s, false);
		if (!id)
			break;
		sweep(s, id, false);
	}
	if (p->cache_bytes + SEGMENT_BYTES > p->cache_bytes_max && p->state_count)
		evict(p);
}

void segments_fini(struct state *s)
{
	for (size_t i = 0; i < s->segment_count; i++)
		free(s->segments[i].data);
	free(s->segments);
	free(s->free_segments);
}

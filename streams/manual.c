/* manual.c - driving a job from the caller's thread, and looking into its stores: for tests of scripts. */
#include "streams/run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum ks_err engine_pump(struct engine *e, struct ks_why *why)
{
	struct thread *th = &e->threads[0];
	bool worked = true;

	assert(e->options.is_manual);
	if (e->err) {
		*why = e->why;
		return e->err;
	}
	enum ks_err err = thread_assign(th, why);
	while (!err && worked) {
		err = thread_turn(th, &worked);
		if (!err && !worked && th->flight.phase != FLIGHT_NONE) {
			err = flight_wait(th);
			worked = true;
		}
	}
	if (!err)
		return ERR_NONE;
	if (th->has_failed)
		*why = th->why;
	e->why = *why;
	e->err = err;
	if (!th->flight.has_failed)
		thread_settle(th); /* what came before the failure stands */
	return err;
}

/* --- scanning --- */

struct pair {
	struct slice key, value;
};

struct scan {
	struct arena arena;
	struct pair *pairs;
	size_t count, cap;
};

static void scan_entry(void *cookie, struct slice key, struct slice value)
{
	struct scan *s = cookie;

	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->pairs = xrealloc(s->pairs, s->cap * sizeof *s->pairs);
	}
	s->pairs[s->count++] = (struct pair){
		.key = slice_of(arena_copy(&s->arena, key.data, key.len), key.len),
		.value = slice_of(arena_copy(&s->arena, value.data, value.len), value.len),
	};
}

static int pair_compare(const void *a, const void *b)
{
	return slice_compare(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static const struct state_name *store_find(const struct engine *e, const char *store)
{
	for (size_t i = 0; i < e->store_count; i++)
		if (strcmp(e->stores[i].name, store) == 0)
			return &e->stores[i];
	return NULL;
}

static enum ks_err unknown_store(const struct engine *e, const char *store, struct ks_why *why)
{
	struct buf names = {0};

	for (size_t i = 0; i < e->store_count; i++)
		buf_printf(&names, "%s %s", i ? "," : "; it has:", e->stores[i].name);
	ks_fail(why, ERR_NOT_FOUND, "the job has no store \"%s\"%s", store, buf_cstr(&names));
	buf_fini(&names);
	return ERR_NOT_FOUND;
}

enum ks_err engine_state_scan(struct engine *e, const char *store,
			      void (*entry)(void *cookie, const struct datum *key,
					    const struct datum *value),
			      void *cookie, struct ks_why *why)
{
	const struct state_name *name = store_find(e, store);
	struct state_pool *pool = &e->threads[0].pool;
	struct scan s = {0};
	enum ks_err err = ERR_NONE;

	assert(e->options.is_manual);
	if (!name)
		return unknown_store(e, store, why);
	if (strcmp(name->kind, "dedup") == 0)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "\"%s\" remembers hashes of ids: there is nothing to read", store);
	for (size_t i = 0; i < pool->state_count && !err; i++)
		if (state_store(pool->states[i]) == name->id)
			err = state_scan(pool->states[i], scan_entry, &s, why);
	if (s.count)
		qsort(s.pairs, s.count, sizeof *s.pairs, pair_compare);
	for (size_t i = 0; i < s.count && !err; i++) {
		struct datum key, value;
		err = datum_unpack(s.pairs[i].key, &key);
		if (!err)
			err = datum_unpack(s.pairs[i].value, &value);
		if (!err)
			entry(cookie, &key, &value);
		else
			ks_fail(why, err, "store \"%s\" holds something unreadable", store);
	}
	free(s.pairs);
	arena_fini(&s.arena);
	return err;
}

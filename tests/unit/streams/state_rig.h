/* state_rig.h - a backend that is nothing but a store: state pools over it, commits applied when the test says. */
#ifndef TESTS_UNIT_STREAMS_STATE_RIG_H
#define TESTS_UNIT_STREAMS_STATE_RIG_H

#include "store/store.h"
#include "streams/state.h"
#include "tests/check.h"

struct bed {
	struct backend base;
	struct store *store;
	struct state_pool pool;
	struct undo undo;
	struct state_batch pending; /* collected, not applied */
	bool is_pending;
	size_t puts, ranges; /* applied, for tests that count */
};

static inline uint32_t bed_prefix(struct backend *b)
{
	(void)b;
	return 7;
}
static inline enum ks_err bed_get(struct backend *b, struct slice key, struct buf *out)
{
	return store_get(((struct bed *)b)->store, CF_STATE, key, out);
}
static inline enum ks_err bed_scan(struct backend *b, struct slice lower, struct slice upper,
				   enum ks_err (*entry)(void *, struct slice, struct slice),
				   void *cookie, struct ks_why *why)
{
	struct store_iter *it = store_iter_new(((struct bed *)b)->store, CF_STATE, lower, upper);
	enum ks_err err = ERR_NONE;

	for (store_iter_seek(it, lower); store_iter_valid(it) && !err; store_iter_next(it))
		err = entry(cookie, store_iter_key(it), store_iter_value(it));
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err == ERR_CLOSED ? ERR_NONE : err;
}

static const struct backend_ops bed_ops = {
	.state_prefix = bed_prefix, .state_get = bed_get, .state_scan = bed_scan};

static inline void bed_init(struct bed *d)
{
	*d = (struct bed){.base = {&bed_ops}, .store = store_open_memory()};
}

static inline void bed_open(struct bed *d, size_t cache_bytes, size_t unmerged_bytes)
{
	state_pool_init(&d->pool, &d->base, &d->undo, cache_bytes, unmerged_bytes);
}

/* As a crash: what was not applied is gone. */
static inline void bed_close(struct bed *d)
{
	state_pool_fini(&d->pool);
	undo_fini(&d->undo);
	state_batch_clear(&d->pending);
	d->undo = (struct undo){0};
	d->is_pending = false;
}

static inline void bed_fini(struct bed *d)
{
	bed_close(d);
	state_batch_fini(&d->pending);
	store_close(d->store);
}

static inline void bed_collect(struct bed *d)
{
	bool merges;

	assert_false(d->is_pending);
	state_batch_clear(&d->pending);
	state_pool_collect(&d->pool, &d->pending, &merges);
	d->is_pending = true;
}

static inline void bed_apply(struct bed *d)
{
	struct store_write *w = store_write_new(d->store);
	struct commit_state *c = state_batch_resolve(&d->pending);
	struct ks_why why = {""};

	for (size_t i = 0; i < d->pending.count; i++) {
		if (c[i].op == STATE_PUT)
			store_put(w, CF_STATE, c[i].key, c[i].value);
		else if (c[i].op == STATE_DELETE)
			store_delete(w, CF_STATE, c[i].key);
		else
			store_delete_range(w, CF_STATE, c[i].key, c[i].value);
		d->puts += c[i].op == STATE_PUT;
		d->ranges += c[i].op == STATE_DELETE_RANGE;
	}
	assert_int_equal(store_commit(d->store, w, false, &why), 0);
	store_write_free(w);
	state_pool_committed(&d->pool);
	d->is_pending = false;
}

static inline void bed_commit(struct bed *d)
{
	if (d->is_pending)
		bed_apply(d);
	bed_collect(d);
	bed_apply(d);
}

static inline enum ks_err bed_count_row(void *cookie, struct slice key, struct slice value)
{
	(void)value;
	((size_t *)cookie)[key.data[4] == 'b']++;
	return ERR_NONE;
}

/* [0]: rows, [1]: blocks */
static inline void bed_count(struct bed *d, size_t counts[2])
{
	counts[0] = counts[1] = 0;
	bed_scan(&d->base, SLICE_NULL, SLICE_NULL, bed_count_row, counts, NULL);
}

/* A small generator, so that a seed is a test. */
static inline uint32_t roll(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % n;
}

#endif

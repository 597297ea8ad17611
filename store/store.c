/* store.c - the calls of store.h: checks and counts, then the implementation's function. */
#include "store/store_impl.h"

#include <assert.h>

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

struct store_write *store_write_new(struct store *s)
{
	struct store_write *w = s->ops->write_new(s);
	w->ops = s->ops;
	w->bytes = 0;
	w->count = 0;
	return w;
}

void store_write_free(struct store_write *w)
{
	if (w)
		w->ops->write_free(w);
}

void store_write_clear(struct store_write *w)
{
	w->ops->write_clear(w);
	w->bytes = 0;
	w->count = 0;
}

void store_put(struct store_write *w, enum store_cf cf, struct slice key, struct slice value)
{
	store_putv(w, cf, key, &value, 1);
}

void store_putv(struct store_write *w, enum store_cf cf, struct slice key,
		const struct slice *parts, size_t count)
{
	assert(cf < CF_COUNT);
	w->bytes += key.len;
	for (size_t i = 0; i < count; i++)
		w->bytes += parts[i].len;
	w->count++;
	w->ops->putv(w, cf, key, parts, count);
}

void store_delete(struct store_write *w, enum store_cf cf, struct slice key)
{
	assert(cf < CF_COUNT);
	w->bytes += key.len;
	w->count++;
	w->ops->delete_key(w, cf, key);
}

void store_delete_range(struct store_write *w, enum store_cf cf, struct slice from, struct slice to)
{
	assert(cf < CF_COUNT);
	/* RocksDB takes a range that ends before it begins and reads wrongly afterwards. */
	if (slice_compare(from, to) >= 0)
		return;
	w->bytes += from.len + to.len;
	w->count++;
	w->ops->delete_range(w, cf, from, to);
}

size_t store_write_bytes(const struct store_write *w)
{
	return w->bytes;
}

size_t store_write_count(const struct store_write *w)
{
	return w->count;
}

/* Keeps the first error: its outcome is unknown, so nothing after it may be acknowledged. */
static enum ks_err fail(struct store *s, enum ks_err err, const struct ks_why *cause,
			struct ks_why *why)
{
	s->failed = err;
	s->failed_why = *cause;
	return ks_fail(why, err, "%s", cause->text);
}

/* The packaged RocksDB is not instrumented, so TSan does not see that whoever finds a write comes after it. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static void has_written(struct store *s)
{
	__tsan_release(s);
}

static void may_see(struct store *s)
{
	__tsan_acquire(s);
}
#else
static void has_written(struct store *s)
{
	(void)s;
}

static void may_see(struct store *s)
{
	(void)s;
}
#endif

enum ks_err store_commit(struct store *s, struct store_write *w, bool sync, struct ks_why *why)
{
	struct ks_why cause = {""};
	enum ks_err err;

	assert(w->ops == s->ops);
	if (s->failed) {
		store_write_clear(w);
		return ks_fail(why, s->failed, "%s", s->failed_why.text);
	}
	err = s->ops->commit(s, w, sync, &cause);
	has_written(s);
	store_write_clear(w);
	return err ? fail(s, err, &cause, why) : ERR_NONE;
}

uint64_t store_sequence(struct store *s)
{
	return s->ops->sequence(s);
}

enum ks_err store_mark(struct store *s, struct ks_why *why)
{
	struct ks_why cause = {""};
	enum ks_err err;

	if (s->failed)
		return ks_fail(why, s->failed, "%s", s->failed_why.text);
	err = s->ops->mark(s, &cause);
	return err ? fail(s, err, &cause, why) : ERR_NONE;
}

enum ks_err store_get(struct store *s, enum store_cf cf, struct slice key, struct buf *out)
{
	assert(cf < CF_COUNT);
	return s->ops->get(s, cf, key, out);
}

struct store_iter *store_iter_new(struct store *s, enum store_cf cf, struct slice lower,
				  struct slice upper)
{
	assert(cf < CF_COUNT);
	struct store_iter *it = s->ops->iter_new(s, cf, lower, upper);
	it->ops = s->ops;
	it->store = s;
	return it;
}

void store_iter_free(struct store_iter *it)
{
	if (it)
		it->ops->iter_free(it);
}

void store_iter_seek(struct store_iter *it, struct slice key)
{
	it->ops->iter_seek(it, key);
}

void store_iter_seek_for_prev(struct store_iter *it, struct slice key)
{
	it->ops->iter_seek_for_prev(it, key);
}

void store_iter_first(struct store_iter *it)
{
	it->ops->iter_first(it);
}

void store_iter_last(struct store_iter *it)
{
	it->ops->iter_last(it);
}

bool store_iter_valid(const struct store_iter *it)
{
	return it->ops->iter_valid(it);
}

void store_iter_next(struct store_iter *it)
{
	assert(store_iter_valid(it));
	it->ops->iter_next(it);
}

void store_iter_prev(struct store_iter *it)
{
	assert(store_iter_valid(it));
	it->ops->iter_prev(it);
}

struct slice store_iter_key(const struct store_iter *it)
{
	assert(store_iter_valid(it));
	may_see(it->store);
	return it->ops->iter_key(it);
}

struct slice store_iter_value(const struct store_iter *it)
{
	assert(store_iter_valid(it));
	may_see(it->store);
	return it->ops->iter_value(it);
}

enum ks_err store_iter_error(const struct store_iter *it, struct ks_why *why)
{
	return it->ops->iter_error(it, why);
}

enum ks_err store_flush(struct store *s, struct ks_why *why)
{
	return s->ops->flush(s, why);
}

enum ks_err store_reclaim(struct store *s, enum store_cf cf, struct ks_why *why)
{
	assert(cf < CF_COUNT);
	return s->ops->reclaim(s, cf, why);
}

void store_stats(struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){0};
	s->ops->stats(s, out);
}

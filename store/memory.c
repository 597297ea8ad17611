/* memory.c - the store's twin in memory: a sorted array of entries per column family.
 *
 *     memory ---> version (current) ---> entry* entry* entry* ...      sorted by key
 *                    ^
 *     iter ----------+                   holds the version it was made on
 *
 * A version that an iterator holds is never changed: the next commit copies the array (the entries
 * themselves are shared by count) and changes the copy. So an iterator sees the moment it was made,
 * and commits without iterators change the array in place.
 *
 * One mutex guards versions and counts. A held version and its entries are read without it.
 */
#include "store/store_impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct entry {
	uint32_t refs; /* by versions */
	size_t key_len, value_len;
	uint8_t data[]; /* the key, then the value */
};

struct version {
	uint32_t refs; /* one of memory, one of each iterator */
	size_t count, cap;
	struct entry **entries;
};

struct memory {
	struct store base;
	pthread_mutex_t mtx;

	/* shared, under mtx */
	struct version *current[CF_COUNT];
	uint64_t sequence;
};

enum op_kind { OP_PUT, OP_DELETE, OP_DELETE_RANGE };

struct op {
	enum op_kind kind;
	enum store_cf cf;
	size_t key_at, key_len;     /* in bytes: the key, or where the range begins */
	size_t value_at, value_len; /* in bytes: the value, or where the range ends */
};

struct memory_write {
	struct store_write base;
	struct buf bytes;
	struct op *ops;
	size_t count, cap;
};

struct memory_iter {
	struct store_iter base;
	struct memory *m;
	struct version *version;
	size_t from, to; /* the entries within the bounds */
	size_t at;       /* not valid when outside of from..to-1 */
};

static struct memory *memory_of(struct store *s)
{
	return (struct memory *)s;
}

static struct slice entry_key(const struct entry *e)
{
	return slice_of(e->data, e->key_len);
}

static void entry_unref(struct entry *e)
{
	if (--e->refs == 0)
		free(e);
}

static struct version *version_new(size_t cap)
{
	struct version *v = xcalloc(1, sizeof *v);
	v->refs = 1;
	v->cap = cap;
	v->entries = xmalloc(cap * sizeof *v->entries);
	return v;
}

static void version_unref(struct version *v)
{
	if (--v->refs > 0)
		return;
	for (size_t i = 0; i < v->count; i++)
		entry_unref(v->entries[i]);
	free(v->entries);
	free(v);
}

/* Index of the first entry whose key is >= key. */
static size_t version_find(const struct version *v, struct slice key)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_compare(entry_key(v->entries[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool version_has_at(const struct version *v, size_t at, struct slice key)
{
	return at < v->count && slice_compare(entry_key(v->entries[at]), key) == 0;
}

/* The current version, copied first when an iterator holds it. */
static struct version *version_to_change(struct memory *m, enum store_cf cf)
{
	struct version *old = m->current[cf], *v;

	if (old->refs == 1)
		return old;
	v = version_new(old->count + old->count / 2 + 16);
	for (size_t i = 0; i < old->count; i++) {
		v->entries[i] = old->entries[i];
		v->entries[i]->refs++;
	}
	v->count = old->count;
	version_unref(old);
	m->current[cf] = v;
	return v;
}

static void version_put(struct version *v, struct slice key, struct slice value)
{
	size_t at = version_find(v, key);
	struct entry *e = xmalloc(sizeof *e + key.len + value.len);

	e->refs = 1;
	e->key_len = key.len;
	e->value_len = value.len;
	if (key.len)
		memcpy(e->data, key.data, key.len);
	if (value.len)
		memcpy(e->data + key.len, value.data, value.len);
	if (version_has_at(v, at, key)) {
		entry_unref(v->entries[at]);
		v->entries[at] = e;
		return;
	}
	if (v->count == v->cap) {
		v->cap = v->cap * 2;
		v->entries = xrealloc(v->entries, v->cap * sizeof *v->entries);
	}
	memmove(v->entries + at + 1, v->entries + at, (v->count - at) * sizeof *v->entries);
	v->entries[at] = e;
	v->count++;
}

static void version_remove(struct version *v, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		entry_unref(v->entries[i]);
	memmove(v->entries + from, v->entries + to, (v->count - to) * sizeof *v->entries);
	v->count -= to - from;
}

static void version_apply(struct version *v, const struct op *op, const uint8_t *bytes)
{
	struct slice key = slice_of(bytes + op->key_at, op->key_len);
	struct slice value = slice_of(bytes + op->value_at, op->value_len);
	size_t at;

	switch (op->kind) {
	case OP_PUT:
		version_put(v, key, value);
		break;
	case OP_DELETE:
		at = version_find(v, key);
		if (version_has_at(v, at, key))
			version_remove(v, at, at + 1);
		break;
	case OP_DELETE_RANGE:
		version_remove(v, version_find(v, key), version_find(v, value));
		break;
	}
}

static void memory_close(struct store *s)
{
	struct memory *m = memory_of(s);

	for (int cf = 0; cf < CF_COUNT; cf++) {
		assert(m->current[cf]->refs == 1); /* otherwise an iterator outlives its store */
		version_unref(m->current[cf]);
	}
	pthread_mutex_destroy(&m->mtx);
	free(m);
}

static struct store_write *memory_write_new(struct store *s)
{
	(void)s;
	struct memory_write *w = xcalloc(1, sizeof *w);
	buf_reserve(&w->bytes, 1);
	return &w->base;
}

static void memory_write_free(struct store_write *base)
{
	struct memory_write *w = (struct memory_write *)base;

	buf_fini(&w->bytes);
	free(w->ops);
	free(w);
}

static void memory_write_clear(struct store_write *base)
{
	struct memory_write *w = (struct memory_write *)base;

	buf_clear(&w->bytes);
	w->count = 0;
}

static void add_op(struct store_write *base, enum op_kind kind, enum store_cf cf, struct slice key,
		   const struct slice *parts, size_t count)
{
	struct memory_write *w = (struct memory_write *)base;
	struct op op = {.kind = kind, .cf = cf, .key_at = w->bytes.len, .key_len = key.len};

	buf_append(&w->bytes, key.data, key.len);
	op.value_at = w->bytes.len;
	for (size_t i = 0; i < count; i++)
		buf_append(&w->bytes, parts[i].data, parts[i].len);
	op.value_len = w->bytes.len - op.value_at;

	if (w->count == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 16;
		w->ops = xrealloc(w->ops, w->cap * sizeof *w->ops);
	}
	w->ops[w->count++] = op;
}

static void memory_putv(struct store_write *w, enum store_cf cf, struct slice key,
			const struct slice *parts, size_t count)
{
	add_op(w, OP_PUT, cf, key, parts, count);
}

static void memory_delete_key(struct store_write *w, enum store_cf cf, struct slice key)
{
	add_op(w, OP_DELETE, cf, key, NULL, 0);
}

static void memory_delete_range(struct store_write *w, enum store_cf cf, struct slice from,
				struct slice to)
{
	add_op(w, OP_DELETE_RANGE, cf, from, &to, 1);
}

static enum ks_err memory_commit(struct store *s, struct store_write *base, bool sync,
				 struct ks_why *why)
{
	struct memory *m = memory_of(s);
	struct memory_write *w = (struct memory_write *)base;

	(void)sync;
	(void)why;
	pthread_mutex_lock(&m->mtx);
	for (size_t i = 0; i < w->count; i++)
		version_apply(version_to_change(m, w->ops[i].cf), &w->ops[i], w->bytes.data);
	m->sequence += w->count;
	pthread_mutex_unlock(&m->mtx);
	return ERR_NONE;
}

static uint64_t memory_sequence(struct store *s)
{
	struct memory *m = memory_of(s);

	pthread_mutex_lock(&m->mtx);
	uint64_t sequence = m->sequence;
	pthread_mutex_unlock(&m->mtx);
	return sequence;
}

static enum ks_err memory_mark(struct store *s, struct ks_why *why)
{
	(void)s;
	(void)why;
	return ERR_NONE;
}

static enum ks_err memory_get(struct store *s, enum store_cf cf, struct slice key, struct buf *out)
{
	struct memory *m = memory_of(s);
	enum ks_err err = ERR_NOT_FOUND;

	pthread_mutex_lock(&m->mtx);
	const struct version *v = m->current[cf];
	size_t at = version_find(v, key);
	if (version_has_at(v, at, key)) {
		const struct entry *e = v->entries[at];
		buf_append(out, e->data + e->key_len, e->value_len);
		err = ERR_NONE;
	}
	pthread_mutex_unlock(&m->mtx);
	return err;
}

static struct store_iter *memory_iter_new(struct store *s, enum store_cf cf, struct slice lower,
					  struct slice upper)
{
	struct memory_iter *it = xcalloc(1, sizeof *it);

	it->m = memory_of(s);
	pthread_mutex_lock(&it->m->mtx);
	it->version = it->m->current[cf];
	it->version->refs++;
	pthread_mutex_unlock(&it->m->mtx);

	it->from = lower.data ? version_find(it->version, lower) : 0;
	it->to = upper.data ? version_find(it->version, upper) : it->version->count;
	if (it->to < it->from)
		it->to = it->from;
	it->at = SIZE_MAX;
	return &it->base;
}

static void memory_iter_free(struct store_iter *base)
{
	struct memory_iter *it = (struct memory_iter *)base;

	pthread_mutex_lock(&it->m->mtx);
	version_unref(it->version);
	pthread_mutex_unlock(&it->m->mtx);
	free(it);
}

static void memory_iter_seek(struct store_iter *base, struct slice key)
{
	struct memory_iter *it = (struct memory_iter *)base;
	size_t at = version_find(it->version, key);

	it->at = at < it->from ? it->from : at;
}

static void memory_iter_seek_for_prev(struct store_iter *base, struct slice key)
{
	struct memory_iter *it = (struct memory_iter *)base;
	size_t after = version_find(it->version, key);

	if (version_has_at(it->version, after, key))
		after++;
	if (after > it->to)
		after = it->to;
	it->at = after > it->from ? after - 1 : SIZE_MAX;
}

static void memory_iter_first(struct store_iter *base)
{
	struct memory_iter *it = (struct memory_iter *)base;

	it->at = it->from;
}

static void memory_iter_last(struct store_iter *base)
{
	struct memory_iter *it = (struct memory_iter *)base;

	it->at = it->to > it->from ? it->to - 1 : SIZE_MAX;
}

static bool memory_iter_valid(const struct store_iter *base)
{
	const struct memory_iter *it = (const struct memory_iter *)base;

	return it->at >= it->from && it->at < it->to;
}

static void memory_iter_next(struct store_iter *base)
{
	struct memory_iter *it = (struct memory_iter *)base;

	it->at++;
}

static void memory_iter_prev(struct store_iter *base)
{
	struct memory_iter *it = (struct memory_iter *)base;

	it->at = it->at > it->from ? it->at - 1 : SIZE_MAX;
}

static struct slice memory_iter_key(const struct store_iter *base)
{
	const struct memory_iter *it = (const struct memory_iter *)base;

	return entry_key(it->version->entries[it->at]);
}

static struct slice memory_iter_value(const struct store_iter *base)
{
	const struct memory_iter *it = (const struct memory_iter *)base;
	const struct entry *e = it->version->entries[it->at];

	return slice_of(e->data + e->key_len, e->value_len);
}

static enum ks_err memory_iter_error(const struct store_iter *it, struct ks_why *why)
{
	(void)it;
	(void)why;
	return ERR_NONE;
}

static enum ks_err memory_flush(struct store *s, struct ks_why *why)
{
	(void)s;
	(void)why;
	return ERR_NONE;
}

static enum ks_err memory_reclaim(struct store *s, enum store_cf cf, struct ks_why *why)
{
	(void)s;
	(void)cf;
	(void)why;
	return ERR_NONE;
}

static void memory_stats(struct store *s, struct store_stats *out)
{
	struct memory *m = memory_of(s);

	pthread_mutex_lock(&m->mtx);
	for (int cf = 0; cf < CF_COUNT; cf++)
		for (size_t i = 0; i < m->current[cf]->count; i++)
			out->memtable_bytes += m->current[cf]->entries[i]->key_len +
					       m->current[cf]->entries[i]->value_len;
	pthread_mutex_unlock(&m->mtx);
}

static const struct store_ops memory_ops = {
	.close = memory_close,
	.write_new = memory_write_new,
	.write_free = memory_write_free,
	.write_clear = memory_write_clear,
	.putv = memory_putv,
	.delete_key = memory_delete_key,
	.delete_range = memory_delete_range,
	.commit = memory_commit,
	.sequence = memory_sequence,
	.mark = memory_mark,
	.get = memory_get,
	.iter_new = memory_iter_new,
	.iter_free = memory_iter_free,
	.iter_seek = memory_iter_seek,
	.iter_seek_for_prev = memory_iter_seek_for_prev,
	.iter_first = memory_iter_first,
	.iter_last = memory_iter_last,
	.iter_valid = memory_iter_valid,
	.iter_next = memory_iter_next,
	.iter_prev = memory_iter_prev,
	.iter_key = memory_iter_key,
	.iter_value = memory_iter_value,
	.iter_error = memory_iter_error,
	.flush = memory_flush,
	.reclaim = memory_reclaim,
	.stats = memory_stats,
};

struct store *store_open_memory(void)
{
	struct memory *m = xcalloc(1, sizeof *m);

	m->base.ops = &memory_ops;
	pthread_mutex_init(&m->mtx, NULL);
	for (int cf = 0; cf < CF_COUNT; cf++)
		m->current[cf] = version_new(16);
	return &m->base;
}

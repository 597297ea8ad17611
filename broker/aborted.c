/* aborted.c - see aborted.h. */
#include "broker/aborted.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/seeded.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "broker/undecided.h"
#include "wire/batch.h"

#define CACHED_MAX 32   /* of one partition */
#define PURGED_MAX 4096 /* in one write */

/* --- in memory --- */

/* Under mtx, or before the partition is shared. */
static void cache_push(struct aborted_cache *c, const struct aborted *a)
{
	if (c->count == CACHED_MAX) {
		c->complete_from = c->v[0].marker_offset + 1;
		memmove(c->v, c->v + 1, --c->count * sizeof *c->v);
	}
	if (c->count == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 4;
		c->v = xrealloc(c->v, c->cap * sizeof *c->v);
	}
	c->v[c->count++] = *a;
}

void aborted_publish(struct partition *p, const struct aborted *a)
{
	pthread_mutex_lock(&p->mtx);
	cache_push(&p->aborted, a);
	pthread_mutex_unlock(&p->mtx);
	atomic_store(&p->aborted_below, a->marker_offset + 1);
}

/* false: it does not reach back so far. */
static bool cache_list(struct partition *p, int64_t from, int64_t to, struct aborted **out,
		       size_t *count)
{
	const struct aborted_cache *c = &p->aborted;

	pthread_mutex_lock(&p->mtx);
	bool is_complete = from >= c->complete_from;
	if (is_complete)
		*out = xmalloc((c->count + 1) * sizeof(**out));
	for (uint32_t i = 0; is_complete && i < c->count; i++)
		if (c->v[i].marker_offset >= from && c->v[i].first_offset < to)
			(*out)[(*count)++] = c->v[i];
	pthread_mutex_unlock(&p->mtx);
	return is_complete;
}

/* --- in the store --- */

static enum ks_err malformed(const struct partition *p, struct ks_why *why)
{
	return ks_fail(why, ERR_CORRUPTION,
		       "partition %s-%" PRId32 ": the entry of an aborted transaction is malformed",
		       p->topic->name, p->index);
}

/* Whether the iterator stands on an entry of the partition. */
static bool is_of(const struct partition *p, struct store_iter *it)
{
	struct key_aborted key = key_aborted(p->id, 0);

	return store_iter_valid(it) && store_iter_key(it).len == sizeof key.bytes &&
	       memcmp(store_iter_key(it).data, key.bytes, 5) == 0;
}

enum ks_err aborted_load(struct partition *p, struct store_iter *it, struct ks_why *why)
{
	struct key_aborted after = key_aborted(p->id + 1, 0);
	struct aborted newest[CACHED_MAX], a;
	size_t count = 0;

	store_iter_seek_for_prev(it, KEY_SLICE(after));
	for (; is_of(p, it) && count < CACHED_MAX; store_iter_prev(it)) {
		if (!aborted_decode(store_iter_key(it), store_iter_value(it), &a))
			return malformed(p, why);
		newest[count++] = a;
	}
	if (is_of(p, it))
		p->aborted.complete_from = newest[count - 1].marker_offset;
	if (count)
		atomic_store(&p->aborted_below, newest[0].marker_offset + 1);
	while (count > 0)
		cache_push(&p->aborted, &newest[--count]);
	return store_iter_error(it, why);
}

enum ks_err aborted_list(struct partition *p, int64_t from, int64_t to, size_t max,
			 struct aborted **out, size_t *count, int64_t *stable, struct ks_why *why)
{
	struct key_aborted lower = key_aborted(p->id, from), upper = key_aborted(p->id + 1, 0);
	struct store_iter *it =
		store_iter_new(p->topic->broker->store, CF_TXN, KEY_SLICE(lower), KEY_SLICE(upper));
	struct aborted *all = NULL, a = {.stable_offset = 0};
	enum ks_err err = ERR_NONE;
	size_t n = 0, cap = 0;

	for (store_iter_first(it); store_iter_valid(it) && n < max && a.stable_offset < to;
	     store_iter_next(it)) {
		if (!aborted_decode(store_iter_key(it), store_iter_value(it), &a)) {
			err = malformed(p, why);
			break;
		}
		if (a.first_offset >= to)
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			all = xrealloc(all, cap * sizeof *all);
		}
		all[n++] = a;
	}
	*stable = !err && store_iter_valid(it) ? a.stable_offset : INT64_MAX;
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	if (err) {
		free(all);
		return err;
	}
	*out = all;
	*count = n;
	return ERR_NONE;
}

/* --- what was trimmed --- */

struct purge {
	struct call call;
	struct partition *partition;
	struct aborted *v;
	size_t count;
};

static enum ks_err purge_apply(struct call *call, struct group *g)
{
	struct purge *c = (struct purge *)call;

	for (size_t i = 0; i < c->count; i++) {
		const struct aborted *a = &c->v[i];
		struct key_aborted key = key_aborted(a->partition_id, a->marker_offset);
		struct key_aborted_by by =
			key_aborted_by(a->partition_id, a->producer_id, a->marker_offset);
		store_delete(g->write, CF_TXN, KEY_SLICE(key));
		store_delete(g->write, CF_TXN, KEY_SLICE(by));
	}
	/* Losing it to a power failure leaves entries that nobody needs, for the next time. */
	g->needs_sync = false;
	return ERR_NONE;
}

/* The oldest ones below offset. */
static enum ks_err find_purgeable(struct purge *c, int64_t offset, struct ks_why *why)
{
	struct partition *p = c->partition;
	struct key_aborted lower = key_aborted(p->id, 0), upper = key_aborted(p->id, offset);
	struct store_iter *it =
		store_iter_new(p->topic->broker->store, CF_TXN, KEY_SLICE(lower), KEY_SLICE(upper));
	enum ks_err err = ERR_NONE;

	c->count = 0;
	for (store_iter_first(it); store_iter_valid(it) && c->count < PURGED_MAX && !err;
	     store_iter_next(it))
		if (!aborted_decode(store_iter_key(it), store_iter_value(it), &c->v[c->count++]))
			err = malformed(p, why);
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

enum ks_err aborted_purge(struct partition *p, struct ks_why *why)
{
	struct broker *b = p->topic->broker;
	struct purge c = {.partition = p};
	enum ks_err err;

	if (atomic_load(&p->aborted_below) == 0)
		return ERR_NONE;
	c.v = xmalloc(PURGED_MAX * sizeof *c.v);
	do {
		c.call = (struct call){
			.apply = purge_apply, .is_alone = true, .broker = b, .why = why};
		err = find_purgeable(&c, partition_log_start_offset(p), why);
		if (!err && c.count)
			err = shard_call(b->shard, &c.call);
	} while (!err && c.count == PURGED_MAX);
	free(c.v);
	return err;
}

/* --- looking up --- */

static int compare(const void *a, const void *b)
{
	const struct aborted *x = a, *y = b;

	if (x->producer_id != y->producer_id)
		return x->producer_id < y->producer_id ? -1 : 1;
	return (x->marker_offset > y->marker_offset) - (x->marker_offset < y->marker_offset);
}

void aborted_sort(struct aborted *all, size_t count)
{
	if (count > 1)
		qsort(all, count, sizeof *all, compare);
}

/* The transactions of one producer follow each other: the first that ends at offset or above is the one. */
const struct aborted *aborted_find(const struct aborted *all, size_t count, int64_t producer_id,
				   int64_t offset)
{
	struct aborted key = {.producer_id = producer_id, .marker_offset = offset};
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare(&all[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || all[low].producer_id != producer_id || all[low].first_offset > offset)
		return NULL;
	return &all[low];
}

/* --- broker.h --- */

/* Where chunks begin and end. */
struct span {
	int64_t from, first_end, to; /* first_end: behind the first batch */
};

static bool span_of(const struct chunk *chunks, size_t count, struct span *s)
{
	struct batch b;

	if (!count || batch_peek(chunks[0].bytes, &b))
		return false;
	s->from = b.base_offset;
	s->first_end = s->to = batch_last_offset(&b) + 1;
	for (size_t at = 0; at < chunks[count - 1].bytes.len; at += b.bytes.len) {
		struct slice bytes = chunks[count - 1].bytes;
		if (batch_peek(slice_of(bytes.data + at, bytes.len - at), &b))
			return false;
		s->to = batch_last_offset(&b) + 1;
	}
	return true;
}

/* Which of all the batches have to do with. */
static void mark_used(struct slice bytes, struct aborted *all, size_t count, bool *is_used)
{
	struct batch b;

	for (size_t at = 0; at < bytes.len; at += b.bytes.len) {
		if (batch_peek(slice_of(bytes.data + at, bytes.len - at), &b))
			return;
		if (!batch_is_transactional(&b) || (!batch_is_control(&b) && !b.record_count))
			continue;
		const struct aborted *a = aborted_find(all, count, b.producer_id, b.base_offset);
		if (a)
			is_used[a - all] = true;
	}
}

static int compare_rows(const void *a, const void *b)
{
	const struct aborted_transaction *x = a, *y = b;

	return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

static size_t pick(const struct chunk *chunks, size_t chunk_count, struct aborted *all,
		   size_t count, struct aborted_transaction *rows)
{
	bool *is_used = xcalloc(count, sizeof *is_used);
	size_t n = 0;

	aborted_sort(all, count);
	for (size_t i = 0; i < chunk_count; i++)
		mark_used(chunks[i].bytes, all, count, is_used);
	for (size_t i = 0; i < count; i++)
		if (is_used[i])
			rows[n++] = (struct aborted_transaction){all[i].producer_id,
								 all[i].first_offset};
	free(is_used);
	if (n > 1)
		qsort(rows, n, sizeof *rows, compare_rows);
	return n;
}

struct list {
	struct aborted *v;
	size_t count, cap;
	uint64_t looked_at; /* entries of the store */
};

static void list_add(struct list *l, const struct aborted *a)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->v = xrealloc(l->v, l->cap * sizeof *l->v);
	}
	l->v[l->count++] = *a;
}

/* Those that end within the span. */
static enum ks_err list_ended(struct partition *p, struct store_iter *it, const struct span *s,
			      struct list *l, struct ks_why *why)
{
	struct key_aborted from = key_aborted(p->id, s->from);
	struct aborted a;

	for (store_iter_seek(it, KEY_SLICE(from)); is_of(p, it); store_iter_next(it)) {
		l->looked_at++;
		if (!aborted_decode(store_iter_key(it), store_iter_value(it), &a))
			return malformed(p, why);
		if (a.marker_offset >= s->to && !KS_SEEDED_BUG(1015))
			break;
		list_add(l, &a);
	}
	return store_iter_error(it, why);
}

/* The one that the batch of the row is a part of, if it was aborted. */
static enum ks_err list_later(struct partition *p, struct store_iter *it,
			      const struct undecided_row *row, struct list *l, struct ks_why *why)
{
	struct key_aborted_by key = key_aborted_by(p->id, row->producer_id, row->offset);
	struct aborted a;

	store_iter_seek(it, KEY_SLICE(key));
	l->looked_at++;
	/* The partition and the producer are all of the key but the offset. */
	if (!store_iter_valid(it) || store_iter_key(it).len != sizeof key.bytes ||
	    memcmp(store_iter_key(it).data, key.bytes, sizeof key.bytes - 8) != 0)
		return store_iter_error(it, why);
	if (!aborted_by_decode(store_iter_key(it), store_iter_value(it), &a))
		return malformed(p, why);
	if (a.first_offset <= row->offset && !KS_SEEDED_BUG(1016))
		list_add(l, &a);
	return ERR_NONE;
}

/* Those that end behind the chunks: one for each producer that has left records undecided in them. What else began before
 * and ended later has nothing in them, and there may be any number of it. */
static enum ks_err list_open(struct partition *p, struct store_iter *it, const struct chunk *chunks,
			     size_t chunk_count, struct list *l, struct ks_why *why)
{
	struct undecided open = {.rows = NULL};
	enum ks_err err = ERR_NONE;
	struct batch b;

	for (size_t i = 0; i < chunk_count; i++) {
		struct slice bytes = chunks[i].bytes;
		for (size_t at = 0; at < bytes.len; at += b.bytes.len) {
			if (batch_peek(slice_of(bytes.data + at, bytes.len - at), &b))
				break;
			undecided_pass(&open, &b);
		}
	}
	for (size_t i = 0; i < open.cap && !err; i++)
		if (open.rows[i].producer_id >= 0 && open.rows[i].offset >= 0)
			err = list_later(p, it, &open.rows[i], l, why);
	undecided_fini(&open);
	return err;
}

/* From the store, unless what lies there has been taken away since the chunks were read. */
static enum ks_err list_stored(struct partition *p, const struct chunk *chunks, size_t chunk_count,
			       const struct span *s, struct aborted **all, size_t *count,
			       struct ks_why *why)
{
	struct key_aborted lower = key_aborted(p->id, 0);
	struct key_aborted_by upper = key_aborted_by(p->id + 1, 0, 0);
	struct store_iter *it =
		store_iter_new(p->topic->broker->store, CF_TXN, KEY_SLICE(lower), KEY_SLICE(upper));
	struct list l = {.v = NULL};

	enum ks_err err = list_ended(p, it, s, &l, why);
	if (!err)
		err = list_open(p, it, chunks, chunk_count, &l, why);
	store_iter_free(it);
	atomic_fetch_add(&p->aborted_looked_at, l.looked_at);
	if (!err && topic_is_gone(p->topic))
		err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	else if (!err && atomic_load(&p->trim_announced) >= s->first_end && !KS_SEEDED_BUG(1053))
		err = ERR_OFFSET_OUT_OF_RANGE;
	if (err) {
		free(l.v);
		return err;
	}
	*all = l.v;
	*count = l.count;
	return ERR_NONE;
}

enum ks_err partition_aborted(struct partition *p, const struct chunk *chunks, size_t count,
			      bool may_block, struct aborted_transaction **rows, size_t *row_count,
			      struct ks_why *why)
{
	int64_t below = atomic_load(&p->aborted_below);
	struct aborted *all = NULL;
	struct span span;
	size_t n = 0;

	*rows = NULL;
	*row_count = 0;
	if (below == 0 || KS_SEEDED_BUG(1011) || !span_of(chunks, count, &span) ||
	    span.from >= below)
		return ERR_NONE;
	if (!cache_list(p, span.from, span.to, &all, &n)) {
		if (!may_block)
			return KS_SEEDED_BUG(1012) ? ERR_NONE : ERR_NOT_FOUND;
		enum ks_err err = list_stored(p, chunks, count, &span, &all, &n, why);
		if (err)
			return err;
	}
	if (n > 0) {
		*rows = xmalloc(n * sizeof(**rows));
		*row_count = pick(chunks, count, all, n, *rows);
	}
	free(all);
	return ERR_NONE;
}

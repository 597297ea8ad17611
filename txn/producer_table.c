/* producer_table.c - see producer_table.h.
 *
 * A map is open addressing with linear probing; what leaves is filled by those behind it, so there
 * are no gravestones. Ids are chosen by peers: they are mixed with a secret, or somebody could make
 * them all meet in one place.
 */
#include "txn/producer_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/seeded.h"

struct producer_table {
	/* immutable */
	size_t producers_max;
	uint64_t secret;

	/* owner: shard */
	struct producer_list aged, busy; /* busy: with an open transaction */
	size_t count, busy_count;

	pthread_mutex_t lock; /* of the maps and the states */
};

struct producer_table *producer_table_new(size_t producers_max)
{
	struct producer_table *t = xcalloc(1, sizeof *t);

	t->producers_max = producers_max;
	if (getrandom(&t->secret, sizeof t->secret, 0) != sizeof t->secret)
		t->secret = (uint64_t)(uintptr_t)t;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static void free_list(struct producer_list *l)
{
	while (l->oldest) {
		struct producer *p = l->oldest;
		l->oldest = p->newer;
		free(p);
	}
}

void producer_table_free(struct producer_table *t)
{
	if (!t)
		return;
	free_list(&t->aged);
	free_list(&t->busy);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* --- the list --- */

static void leave_list(struct producer *p)
{
	struct producer_list *l = p->list;

	*(p->older ? &p->older->newer : &l->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &l->newest) = p->older;
}

static void join_list(struct producer_list *l, struct producer *p)
{
	p->list = l;
	p->older = l->newest;
	p->newer = NULL;
	*(l->newest ? &l->newest->newer : &l->oldest) = p;
	l->newest = p;
}

/* Most begin behind all others that are open. */
static void join_open(struct producer *p)
{
	struct producer *before = TAILQ_LAST(&p->map->open, producer_open);

	while (before && before->state.txn_first_offset > p->state.txn_first_offset)
		before = TAILQ_PREV(before, producer_open, in_open);
	if (before)
		TAILQ_INSERT_AFTER(&p->map->open, before, p, in_open);
	else
		TAILQ_INSERT_HEAD(&p->map->open, p, in_open);
}

bool producer_table_is_full(const struct producer_table *t)
{
	return t->count >= t->producers_max;
}

struct producer *producer_oldest(const struct producer_table *t)
{
	struct producer *p = t->aged.oldest;

	while (p && p->pending)
		p = p->newer;
	return p;
}

bool producer_table_is_crowded(const struct producer_table *t)
{
	return t->busy_count >= t->producers_max;
}

bool producer_table_each_open(const struct producer_table *t,
			      void (*each)(void *arg, const struct producer *p), void *arg)
{
	for (const struct producer *p = t->busy.oldest; p; p = p->newer)
		each(arg, p);
	return t->busy.oldest;
}

/* --- maps --- */

void producer_map_init(struct producer_map *m, uint32_t partition_id)
{
	*m = (struct producer_map){.partition_id = partition_id};
	TAILQ_INIT(&m->open);
}

void producer_map_fini(struct producer_map *m)
{
	free(m->slots);
}

/* Where an id belongs: the finaliser of splitmix64, over the secret. */
static uint32_t home(const struct producer_table *t, const struct producer_map *m, int64_t id)
{
	uint64_t x = (uint64_t)id ^ t->secret;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(x ^ x >> 31) & (m->cap - 1);
}

/* The slot that holds id, or the empty one where it would go. The map is never full. */
static uint32_t place(const struct producer_table *t, const struct producer_map *m, int64_t id)
{
	uint32_t i = home(t, m, id);

	while (m->slots[i] && m->slots[i]->id != id)
		i = (i + 1) & (m->cap - 1);
	return i;
}

struct producer *producer_find(const struct producer_table *t, const struct producer_map *m,
			       int64_t id)
{
	return m->count ? m->slots[place(t, m, id)] : NULL;
}

/* Under the lock. */
static void grow(struct producer_table *t, struct producer_map *m)
{
	struct producer_map old = *m;

	m->cap = old.cap ? 2 * old.cap : 4;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i])
			m->slots[place(t, m, old.slots[i]->id)] = old.slots[i];
	free(old.slots);
}

struct producer *producer_new(struct producer_table *t, struct producer_map *m, int64_t id)
{
	struct producer *p = xcalloc(1, sizeof *p);

	p->id = id;
	p->map = m;
	p->state = PRODUCER_UNKNOWN;
	pthread_mutex_lock(&t->lock);
	if (m->count + 1 > m->cap / 4 * 3)
		grow(t, m);
	uint32_t i = place(t, m, id);
	assert(!m->slots[i] && "whoever adds has looked");
	m->slots[i] = p;
	m->count++;
	pthread_mutex_unlock(&t->lock);
	join_list(&t->aged, p);
	t->count++;
	return p;
}

void producer_set(struct producer_table *t, struct producer *p, const struct producer_state *s)
{
	int64_t open = p->state.txn_first_offset;

	pthread_mutex_lock(&t->lock);
	p->state = *s;
	pthread_mutex_unlock(&t->lock);
	leave_list(p);
	bool is_busy = s->txn_first_offset >= 0 && !KS_SEEDED_BUG(1033);
	t->busy_count += (size_t)is_busy - (size_t)(p->list == &t->busy);
	join_list(is_busy ? &t->busy : &t->aged, p);
	if (open == s->txn_first_offset)
		return;
	if (open >= 0)
		TAILQ_REMOVE(&p->map->open, p, in_open);
	if (s->txn_first_offset >= 0)
		join_open(p);
}

/* Under the lock. Those behind slot i that would not be found over the gap move up. */
static void close_gap(struct producer_table *t, struct producer_map *m, uint32_t i)
{
	uint32_t mask = m->cap - 1;

	for (uint32_t j = (i + 1) & mask; m->slots[j]; j = (j + 1) & mask) {
		uint32_t wanted = home(t, m, m->slots[j]->id);
		if (((j - wanted) & mask) < ((j - i) & mask))
			continue;
		m->slots[i] = m->slots[j];
		i = j;
	}
	m->slots[i] = NULL;
}

static void forget(struct producer_table *t, struct producer *p)
{
	t->busy_count -= p->list == &t->busy;
	leave_list(p);
	t->count--;
	free(p);
}

void producer_drop(struct producer_table *t, struct producer *p)
{
	struct producer_map *m = p->map;

	if (p->state.txn_first_offset >= 0)
		TAILQ_REMOVE(&m->open, p, in_open);
	pthread_mutex_lock(&t->lock);
	close_gap(t, m, place(t, m, p->id));
	if (--m->count == 0) {
		free(m->slots);
		producer_map_init(m, m->partition_id);
	}
	pthread_mutex_unlock(&t->lock);
	forget(t, p);
}

void producer_map_drop(struct producer_table *t, struct producer_map *m)
{
	pthread_mutex_lock(&t->lock);
	struct producer_map old = *m;
	producer_map_init(m, m->partition_id);
	pthread_mutex_unlock(&t->lock);
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i])
			forget(t, old.slots[i]);
	free(old.slots);
}

static int compare_ids(const void *a, const void *b)
{
	const struct producer_copy *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

struct producer_copy *producer_map_list(struct producer_table *t, const struct producer_map *m,
					size_t *count)
{
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	struct producer_copy *all = xmalloc((m->count + 1) * sizeof *all);
	for (uint32_t i = 0; i < m->cap; i++) {
		const struct producer *p = m->slots[i];
		if (p && p->state.epoch >= 0)
			all[n++] = (struct producer_copy){p->id, p->state};
	}
	pthread_mutex_unlock(&t->lock);
	qsort(all, n, sizeof *all, compare_ids);
	*count = n;
	return all;
}

/* --- loading --- */

static int compare_age(const void *a, const void *b)
{
	const struct producer *x = *(struct producer *const *)a, *y = *(struct producer *const *)b;

	if (x->state.last_ms != y->state.last_ms)
		return x->state.last_ms < y->state.last_ms ? -1 : 1;
	if (x->map->partition_id != y->map->partition_id)
		return x->map->partition_id < y->map->partition_id ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Puts the list in order. */
static void sort_list(struct producer_table *t)
{
	struct producer **all = xmalloc((t->count + 1) * sizeof(*all)), *p = t->aged.oldest;
	size_t n = 0;

	for (; p; p = p->newer)
		all[n++] = p;
	qsort(all, n, sizeof(*all), compare_age);
	t->aged = (struct producer_list){NULL, NULL};
	for (size_t i = 0; i < n; i++)
		join_list(&t->aged, all[i]);
	free(all);
}

enum ks_err producer_table_load(struct producer_table *t, struct store *s,
				struct producer_map *(*find)(void *arg, uint32_t partition_id),
				void *arg, struct ks_why *why)
{
	static const uint8_t first[] = {KEY_TYPE_PRODUCER}, after[] = {KEY_TYPE_PRODUCER + 1};
	struct store_iter *it = store_iter_new(s, CF_TXN, slice_of(first, sizeof first),
					       slice_of(after, sizeof after));
	enum ks_err err = ERR_NONE;

	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct producer_state state;
		struct producer_map *m;
		uint32_t partition_id = 0;
		int64_t id;

		if (!key_producer_decode(store_iter_key(it), &partition_id, &id) ||
		    !value_producer_decode(store_iter_value(it), &state))
			err = ks_fail(why, ERR_CORRUPTION,
				      "the record of a producer of partition number %lu is "
				      "malformed",
				      (unsigned long)partition_id);
		else if ((m = find(arg, partition_id)))
			producer_set(t, producer_new(t, m, id), &state);
	}
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	sort_list(t);
	return err;
}

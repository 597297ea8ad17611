/* partition.c - see partition.h. */
#include "broker/partition.h"

#include <assert.h>
#include <stdlib.h>

#include "base/seeded.h"
#include "wire/batch.h"

/* A read of the tail that would give less than this gathers several entries into a new frame: single
 * records would otherwise travel one by one. */
#define GATHER_BELOW_BYTES 65536
#define GATHER_ENTRIES     256

void partition_init(struct partition *p, struct topic *t, uint32_t id, int32_t index)
{
	*p = (struct partition){.topic = t, .id = id, .index = index};
	p->end.max_timestamp = -1;
	p->latest.batch_offset = -1;
	producer_map_init(&p->producers, id);
	atomic_init(&p->max_timestamp, -1);
	pthread_mutex_init(&p->mtx, NULL);
}

void partition_fini(struct partition *p)
{
	for (size_t i = 0; i < p->tail_count; i++)
		frame_unref(p->tail[(p->tail_first + i) & (p->tail_cap - 1)].frame);
	free(p->tail);
	free(p->aborted.v);
	producer_map_fini(&p->producers);
	pthread_mutex_destroy(&p->mtx);
}

void partition_restore(struct partition *p, int64_t log_start_offset, uint64_t start_position,
		       const struct log_end *end)
{
	p->end = *end;
	atomic_store(&p->log_start_offset, log_start_offset);
	atomic_store(&p->trim_announced, log_start_offset);
	atomic_store(&p->start_position, start_position);
	atomic_store(&p->high_watermark, end->offset_next);
	atomic_store(&p->max_timestamp, end->max_timestamp);
	atomic_store(&p->end_position, end->position);
	atomic_store(&p->last_stable_offset, end->offset_next);
	atomic_store(&p->stable_position, end->position);
}

/* What no open transaction holds back, as the log stands. */
static void publish_stable(struct partition *p)
{
	const struct producer *first = producer_map_first_open(&p->producers);
	if (KS_SEEDED_BUG(1013))
		first = NULL;
	if (KS_SEEDED_BUG(1021))
		first = TAILQ_LAST(&p->producers.open, producer_open);
	int64_t offset = first ? first->state.txn_first_offset : p->end.offset_next,
		start = atomic_load_explicit(&p->log_start_offset, memory_order_relaxed);

	/* In this order, as with the high watermark. Every append comes here: no more order than a reader needs, who has seen this
	 * and looks for what it covers. */
	atomic_store_explicit(&p->last_stable_offset,
			      offset > start || KS_SEEDED_BUG(1052) ? offset : start,
			      memory_order_release);
	atomic_store_explicit(&p->stable_position, first ? first->txn_position : p->end.position,
			      memory_order_release);
}

void partition_restore_stable(struct partition *p)
{
	struct producer *open;

	/* Where they began in bytes is not stored; what comes from now on is counted right. */
	TAILQ_FOREACH(open, &p->producers.open, in_open)
	{
		open->txn_position = p->end.position;
	}
	publish_stable(p);
}

#define ENTRY_COST (sizeof(struct tail_entry) + sizeof(struct partition *))

/* A frame is held whole as long as one entry lies in it. */
static void pool_pin(struct tail_pool *pool, struct frame *f)
{
	pool->bytes += ENTRY_COST;
	if (f->pins++ == 0)
		pool->bytes += sizeof *f + f->cap + PAD_BYTES;
}

static void pool_unpin(struct tail_pool *pool, struct frame *f)
{
	pool->bytes -= ENTRY_COST;
	if (--f->pins == 0)
		pool->bytes -= sizeof *f + f->cap + PAD_BYTES;
}

void tail_pool_fini(struct tail_pool *pool)
{
	free(pool->fifo);
}

static void pool_push(struct tail_pool *pool, struct partition *p, struct frame *f)
{
	if (pool->count == pool->cap) {
		size_t cap = pool->cap ? 2 * pool->cap : 1024;
		struct partition **fifo = xmalloc(cap * sizeof(*fifo));
		for (size_t i = 0; i < pool->count; i++)
			fifo[i] = pool->fifo[(pool->first + i) & (pool->cap - 1)];
		free(pool->fifo);
		pool->fifo = fifo;
		pool->first = 0;
		pool->cap = cap;
	}
	pool->fifo[(pool->first + pool->count++) & (pool->cap - 1)] = p;
	pool_pin(pool, f);
}

void tail_pool_trim(struct tail_pool *pool)
{
	while (pool->bytes > pool->bytes_max) {
		struct partition *p = pool->fifo[pool->first];
		pool->first = (pool->first + 1) & (pool->cap - 1);
		pool->count--;

		pthread_mutex_lock(&p->mtx);
		struct frame *f = p->tail[p->tail_first].frame;
		p->tail_first = (p->tail_first + 1) & (p->tail_cap - 1);
		p->tail_count--;
		pthread_mutex_unlock(&p->mtx);
		pool_unpin(pool, f);
		frame_unref(f);
	}
}

/* Under mtx. */
static void tail_push(struct partition *p, const struct tail_entry *e)
{
	if (p->tail_count == p->tail_cap) {
		size_t cap = p->tail_cap ? 2 * p->tail_cap : 8;
		struct tail_entry *tail = xmalloc(cap * sizeof *tail);
		for (size_t i = 0; i < p->tail_count; i++)
			tail[i] = p->tail[(p->tail_first + i) & (p->tail_cap - 1)];
		free(p->tail);
		p->tail = tail;
		p->tail_first = 0;
		p->tail_cap = cap;
	}
	p->tail[(p->tail_first + p->tail_count++) & (p->tail_cap - 1)] = *e;
}

/* Under mtx. */
static void wake_waiters(struct partition *p)
{
	struct watch *w;

	LIST_FOREACH(w, &p->watches, in_partition)
	{
		waiter_wake(w->waiter);
	}
}

void partition_publish(struct partition *p, const struct log_end *end,
		       const struct tail_entry *entries, size_t count, struct tail_pool *pool)
{
	p->end = *end;
	pthread_mutex_lock(&p->mtx);
	for (size_t i = 0; i < count; i++)
		tail_push(p, &entries[i]);
	atomic_store(&p->max_timestamp, end->max_timestamp);
	/* In this order: who has looked at the position and then finds nothing to read is sure to see the position grow. */
	atomic_store(&p->high_watermark, end->offset_next);
	publish_stable(p);
	atomic_store(&p->end_position, end->position);
	if (!KS_SEEDED_BUG(1111))
		wake_waiters(p);
	pthread_mutex_unlock(&p->mtx);

	for (size_t i = 0; i < count; i++)
		pool_push(pool, p, entries[i].frame);
}

void partition_published(struct partition *p, struct log_end *end)
{
	pthread_mutex_lock(&p->mtx);
	end->offset_next = atomic_load(&p->high_watermark);
	end->max_timestamp = atomic_load(&p->max_timestamp);
	end->position = atomic_load(&p->end_position);
	end->indexed_position = 0;
	pthread_mutex_unlock(&p->mtx);
}

void partition_publish_start(struct partition *p, int64_t offset, uint64_t position)
{
	pthread_mutex_lock(&p->mtx);
	atomic_store(&p->start_position, position);
	atomic_store(&p->log_start_offset, offset);
	publish_stable(p);
	pthread_mutex_unlock(&p->mtx);
}

void partition_set_cleaned(struct partition *p, const struct cleaned *c)
{
	pthread_mutex_lock(&p->mtx);
	p->cleaned = *c;
	pthread_mutex_unlock(&p->mtx);
	atomic_store(&p->holes_below, c->holes_below);
}

struct cleaned partition_cleaned(struct partition *p)
{
	pthread_mutex_lock(&p->mtx);
	struct cleaned c = p->cleaned;
	int64_t start = atomic_load(&p->log_start_offset);
	uint64_t position = atomic_load(&p->start_position);
	pthread_mutex_unlock(&p->mtx);

	c.partition_id = p->id;
	if (c.offset > start)
		return c;
	c.offset = start;
	c.max_timestamp = -1;
	c.position = position;
	c.shift = c.removed_clean = 0;
	if (c.holes_below < start)
		c.holes_below = start;
	return c;
}

void partition_wake(struct partition *p)
{
	pthread_mutex_lock(&p->mtx);
	wake_waiters(p);
	pthread_mutex_unlock(&p->mtx);
}

size_t partition_tail_find(const struct partition *p, int64_t offset)
{
	size_t low = 0, high = p->tail_count;

	/* What was cleaned lies in the tail as it came: nobody is to see that again. */
	if (!high || offset < p->tail[p->tail_first].base_offset || offset < p->cleaned.offset)
		return p->tail_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (p->tail[(p->tail_first + middle) & (p->tail_cap - 1)].last_offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* References to the entries from the one that holds offset on: one, or more while they are small. Only the first
 * may reach end. */
static size_t tail_take(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
			struct tail_entry entries[GATHER_ENTRIES])
{
	size_t count = 0, bytes = 0;

	pthread_mutex_lock(&p->mtx);
	for (size_t i = partition_tail_find(p, offset); i < p->tail_count && count < GATHER_ENTRIES;
	     i++) {
		const struct tail_entry *e = &p->tail[(p->tail_first + i) & (p->tail_cap - 1)];
		bytes += e->bytes.len;
		if (count > 0 && (bytes > max_bytes || e->last_offset >= end))
			break;
		frame_ref(e->frame);
		entries[count++] = *e;
		if (bytes >= GATHER_BELOW_BYTES)
			break;
	}
	pthread_mutex_unlock(&p->mtx);
	return count;
}

/* One frame with what first has and all of the entries behind it; their references are released. */
static struct frame *gather(struct slice first, const struct tail_entry *entries, size_t count)
{
	size_t bytes = first.len;

	for (size_t i = 1; i < count; i++)
		bytes += entries[i].bytes.len;
	struct frame *f = frame_new(bytes);
	memcpy(f->data, first.data, first.len);
	f->len = first.len;
	for (size_t i = 1; i < count; i++) {
		memcpy(f->data + f->len, entries[i].bytes.data, entries[i].bytes.len);
		f->len += entries[i].bytes.len;
	}
	for (size_t i = 0; i < count; i++)
		frame_unref(entries[i].frame);
	return f;
}

enum ks_err partition_read_tail(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
				struct chunk *out)
{
	struct tail_entry entries[GATHER_ENTRIES];
	size_t count = tail_take(p, offset, end, max_bytes, entries);
	struct slice first;

	if (count == 0)
		return ERR_NOT_FOUND;
	bool is_well = batches_select(entries[0].bytes, offset, end, max_bytes, &first);
	assert(is_well && "the shard walked these batches before");
	if (count == 1 || first.data + first.len < entries[0].bytes.data + entries[0].bytes.len) {
		for (size_t i = 1; i < count; i++)
			frame_unref(entries[i].frame);
		*out = (struct chunk){entries[0].frame, first, true};
		if (!first.len)
			chunk_fini(out);
		return first.len ? ERR_NONE : ERR_EMPTY;
	}
	struct frame *gathered = gather(first, entries, count);
	*out = (struct chunk){gathered, slice_of(gathered->data, gathered->len), true};
	return ERR_NONE;
}

void partition_add_watch(struct watch *w)
{
	pthread_mutex_lock(&w->partition->mtx);
	LIST_INSERT_HEAD(&w->partition->watches, w, in_partition);
	pthread_mutex_unlock(&w->partition->mtx);
}

void partition_remove_watch(struct watch *w)
{
	pthread_mutex_lock(&w->partition->mtx);
	LIST_REMOVE(w, in_partition);
	pthread_mutex_unlock(&w->partition->mtx);
}

void chunk_fini(struct chunk *c)
{
	frame_unref(c->frame);
	*c = (struct chunk){0};
}

struct topic *partition_topic(const struct partition *p)
{
	return p->topic;
}

int32_t partition_index(const struct partition *p)
{
	return p->index;
}

int64_t partition_log_start_offset(const struct partition *p)
{
	return atomic_load(&p->log_start_offset);
}

int64_t partition_next_start_offset(const struct partition *p)
{
	int64_t announced = atomic_load(&p->trim_announced),
		start = atomic_load(&p->log_start_offset);
	return announced > start ? announced : start;
}

int64_t partition_high_watermark(const struct partition *p)
{
	return atomic_load(&p->high_watermark);
}

int64_t partition_last_stable_offset(const struct partition *p)
{
	return atomic_load(&p->last_stable_offset);
}

uint64_t partition_stable_position(const struct partition *p)
{
	return atomic_load(&p->stable_position);
}

uint64_t partition_end_position(const struct partition *p)
{
	return atomic_load(&p->end_position);
}

uint64_t partition_size_bytes(const struct partition *p)
{
	/* Start first: the end only grows, so the difference is never negative. */
	uint64_t start = atomic_load(&p->start_position);
	return atomic_load(&p->end_position) - start;
}

/* dedup.c - ids that were seen: 128-bit hashes in an open-addressing set over a ring in time order.
 *
 *     ring    [head .. tail)  hash and stream time of every id remembered, oldest first; sequence numbers are
 *             32 bits and wrap, at most 2^31 are alive
 *     tags    one byte of the hash per slot; 0: never used
 *     seqs    the sequence number that stands in the slot
 *
 * A slot whose number is outside of [head, tail) is a left-over: searching passes it, inserting takes it. So forgetting
 * old ids is nothing but moving head; when left-overs fill the table it is built anew. A search compares
 * tags, and looks into the ring only where the tag fits: an id that is new costs one cache miss.
 *
 * Whether an id counts as seen is decided anew at every look, by its age and its place in the ring; head moves with a
 * commit alone. So it does not matter where commits fall, and a record that is undone has made no id old. An id that
 * expired and came again since the last commit stands in the ring, and in the table, more than once.
 *
 * Equal hashes are taken for equal ids: with 2^40 ids remembered the odds of one false duplicate are 10^-15.
 *
 * Durable form: one block per commit with the ids of that commit,
 *     u8 1, i64 BE time of the first, then per id: 16 bytes of hash, varint time since the one before
 * under the keys of state_block.c. Blocks all of whose ids are forgotten are deleted by range, some at a time.
 */
#include "streams/state_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/log.h"
#include "wire/varint.h"

#define BLOCK_VERSION     1
#define IDS_MAX_DEFAULT   4000000
#define DELETE_BLOCKS_MIN 64 /* per range delete: each of them costs readers a little */

struct seen {
	XXH128_hash_t hash;
	int64_t time;
};

struct block_end {
	uint64_t number;
	uint32_t tail; /* of the ring behind the block's last id */
};

struct dedup {
	struct state_pool *pool;
	uint32_t store;
	int32_t partition;
	int64_t within_ms;
	uint32_t ids_max;
	bool has_warned;
	struct seen *ring;
	uint32_t ring_cap;              /* power of two */
	uint32_t head, tail, committed; /* [committed, tail): of the step under construction */
	uint8_t *tags;
	uint32_t *seqs;
	size_t slots, slots_used; /* left-overs included */
	/* blocks that exist, oldest first */
	struct block_end *blocks;
	size_t block_count, block_cap;
	uint64_t block_next;
};

static inline struct seen *ring_at(const struct dedup *d, uint32_t seq)
{
	return &d->ring[seq & (d->ring_cap - 1)];
}

static inline bool is_alive(const struct dedup *d, uint32_t seq)
{
	return seq - d->head < d->tail - d->head;
}

static inline uint8_t tag_of(XXH128_hash_t h)
{
	uint8_t t = (uint8_t)(h.high64 >> 56);
	return t ? t : 1;
}

static void slot_place(struct dedup *d, XXH128_hash_t h, uint32_t seq)
{
	size_t mask = d->slots - 1, i = h.low64 & mask;

	while (d->tags[i] && is_alive(d, d->seqs[i]))
		i = (i + 1) & mask;
	d->slots_used += d->tags[i] == 0;
	d->tags[i] = tag_of(h);
	d->seqs[i] = seq;
}

static void table_rebuild(struct dedup *d)
{
	size_t alive = d->tail - d->head, slots = 1024;

	while (slots < alive * 2 + 2)
		slots *= 2;
	free(d->tags);
	free(d->seqs);
	d->slots = slots;
	d->slots_used = 0;
	d->tags = xcalloc(slots, 1);
	d->seqs = xmalloc(slots * sizeof *d->seqs);
	uint32_t tail = d->tail;
	for (uint32_t seq = d->head; seq != tail; seq++) {
		d->tail = seq; /* those before it are what is_alive must see as alive */
		slot_place(d, ring_at(d, seq)->hash, seq);
	}
	d->tail = tail;
}

static void ring_grow(struct dedup *d)
{
	uint32_t cap = d->ring_cap ? d->ring_cap * 2 : 1024;
	struct seen *ring = xmalloc(cap * sizeof *ring);

	for (uint32_t seq = d->head; seq != d->tail; seq++)
		ring[seq & (cap - 1)] = *ring_at(d, seq);
	free(d->ring);
	d->ring = ring;
	d->ring_cap = cap;
}

static void remember(struct dedup *d, XXH128_hash_t h, int64_t time)
{
	if (d->tail - d->head == d->ring_cap)
		ring_grow(d);
	if ((d->slots_used + 1) * 4 > d->slots * 3)
		table_rebuild(d);
	*ring_at(d, d->tail) = (struct seen){h, time};
	slot_place(d, h, d->tail);
	d->tail++;
}

/* Times come from records: their difference may be beyond 63 bits. */
static bool is_expired(const struct dedup *d, int64_t time, int64_t stream_time)
{
	return d->within_ms && stream_time > time &&
	       (uint64_t)stream_time - (uint64_t)time > (uint64_t)d->within_ms;
}

/* Whether the id is among those that are alive, not too many and not too old. */
static bool is_remembered(const struct dedup *d, XXH128_hash_t h, int64_t stream_time)
{
	size_t mask = d->slots - 1;
	uint8_t tag = tag_of(h);

	if (!d->slots)
		return false;
	for (size_t i = h.low64 & mask; d->tags[i]; i = (i + 1) & mask) {
		uint32_t seq = d->seqs[i];
		if (d->tags[i] != tag || !is_alive(d, seq))
			continue;
		const struct seen *s = ring_at(d, seq);
		if (XXH128_isEqual(s->hash, h) && d->tail - seq <= d->ids_max &&
		    !is_expired(d, s->time, stream_time))
			return true;
	}
	return false;
}

/* Ids of the step under construction stay: it may yet be undone. */
static void forget_old(struct dedup *d, int64_t stream_time)
{
	while (d->head != d->committed && is_expired(d, ring_at(d, d->head)->time, stream_time))
		d->head++;
	while (d->tail - d->head > d->ids_max && d->head != d->committed) {
		if (d->within_ms && !d->has_warned) {
			log_warn("job",
				 "dedup remembers at most %u ids per partition: younger "
				 "ones than `within` are now forgotten; raise max",
				 d->ids_max);
			d->has_warned = true;
		}
		d->head++;
	}
}

bool dedup_seen(struct dedup *d, struct slice id, int64_t stream_time)
{
	XXH128_hash_t h = XXH3_128bits(id.data, id.len);

	if (is_remembered(d, h, stream_time))
		return true;
	remember(d, h, stream_time);
	d->pool->changed_bytes += sizeof h + 2;
	if (d->pool->undo)
		undo_push_dedup(d->pool->undo, d);
	return false;
}

void dedup_forget_last(struct dedup *d)
{
	uint32_t last = d->tail - 1;
	size_t mask = d->slots - 1, i = ring_at(d, last)->hash.low64 & mask;

	assert(d->tail != d->committed);
	for (; d->seqs[i] != last; i = (i + 1) & mask)
		assert(d->tags[i]);
	d->tail = last;           /* what stands in the slot is a left-over now ... */
	d->seqs[i] = d->head - 1; /* ... and stays one when the number is used again */
}

size_t dedup_count(const struct dedup *d)
{
	return d->tail - d->head;
}

/* --- durable form --- */

static size_t block_key(uint8_t *p, const struct dedup *d, uint64_t number)
{
	size_t len = row_prefix(p, d->pool, ROW_BLOCK, d->store, d->partition);
	put_u64be(p + len, number);
	return len + 8;
}

static void block_note(struct dedup *d, uint64_t number)
{
	if (d->block_count == d->block_cap) {
		d->block_cap = d->block_cap ? d->block_cap * 2 : 64;
		d->blocks = xrealloc(d->blocks, d->block_cap * sizeof *d->blocks);
	}
	d->blocks[d->block_count++] = (struct block_end){number, d->tail};
	d->block_next = number + 1;
}

static void block_write(struct dedup *d, struct state_batch *b)
{
	uint8_t key[ROW_PREFIX_BYTES + 8];
	size_t len = block_key(key, d, d->block_next);
	int64_t time = ring_at(d, d->committed)->time;

	state_batch_begin_put(b, slice_of(key, len));
	buf_append_u8(&b->bytes, BLOCK_VERSION);
	buf_append_u64be(&b->bytes, (uint64_t)time);
	buf_reserve(&b->bytes, (size_t)(d->tail - d->committed) * (16 + VARINT64_BYTES_MAX));
	uint8_t *p = b->bytes.data + b->bytes.len;
	for (uint32_t seq = d->committed; seq != d->tail; seq++) {
		const struct seen *s = ring_at(d, seq);
		put_u64be(p, s->hash.high64);
		put_u64be(p + 8, s->hash.low64);
		p = varint_write_u64(p + 16, (uint64_t)s->time - (uint64_t)time);
		time = s->time;
	}
	b->bytes.len = (size_t)(p - b->bytes.data);
	state_batch_end_put(b);
	d->committed = d->tail;
	block_note(d, d->block_next);
}

static void delete_old_blocks(struct dedup *d, struct state_batch *b)
{
	uint8_t from[ROW_PREFIX_BYTES + 8], to[ROW_PREFIX_BYTES + 8];
	size_t gone = 0;

	while (gone < d->block_count && (int32_t)(d->head - d->blocks[gone].tail) >= 0)
		gone++;
	if (gone < DELETE_BLOCKS_MIN)
		return;
	size_t len = block_key(from, d, d->blocks[0].number);
	block_key(to, d, d->blocks[gone - 1].number + 1);
	state_batch_delete_range(b, slice_of(from, len), slice_of(to, len));
	d->block_count -= gone;
	memmove(d->blocks, d->blocks + gone, d->block_count * sizeof *d->blocks);
}

void dedup_collect(struct dedup *d, struct state_batch *b)
{
	if (d->committed != d->tail)
		block_write(d, b);
	if (d->tail != d->head)
		forget_old(d, ring_at(d, d->tail - 1)->time);
	delete_old_blocks(d, b);
}

bool dedup_has_changes(const struct dedup *d)
{
	return d->committed != d->tail;
}

struct reading {
	struct dedup *dedup;
	struct ks_why *why;
};

static enum ks_err read_block(void *cookie, struct slice key, struct slice value)
{
	struct reading *r = cookie;
	struct dedup *d = r->dedup;
	const uint8_t *p = value.data + 9, *end = value.data + value.len;
	int64_t time = 0;
	bool is_sound =
		key.len == ROW_PREFIX_BYTES + 8 && value.len >= 9 && value.data[0] == BLOCK_VERSION;

	if (is_sound)
		time = (int64_t)get_u64be(value.data + 1);
	while (is_sound && p < end) {
		XXH128_hash_t h;
		uint64_t later;
		const uint8_t *id = p;
		p = end - p > 16 ? varint_read_u64(p + 16, end, &later) : NULL;
		is_sound = p != NULL;
		if (!is_sound)
			break;
		h.high64 = get_u64be(id);
		h.low64 = get_u64be(id + 8);
		time = (int64_t)((uint64_t)time + later);
		remember(d, h, time);
		d->committed = d->tail;
		forget_old(d, time);
	}
	if (!is_sound)
		return ks_fail(r->why, ERR_CORRUPTION,
			       "a block of dedup store %u, partition %d is unreadable", d->store,
			       d->partition);
	block_note(d, get_u64be(key.data + ROW_PREFIX_BYTES));
	return ERR_NONE;
}

enum ks_err dedup_open(struct state_pool *p, uint32_t store, int32_t partition, int64_t within_ms,
		       int64_t ids_max, struct dedup **out, struct ks_why *why)
{
	struct dedup *d = xcalloc(1, sizeof *d);
	struct reading r = {d, why};
	uint8_t from[ROW_PREFIX_BYTES], to[ROW_PREFIX_BYTES];

	*d = (struct dedup){
		.pool = p,
		.store = store,
		.partition = partition,
		.within_ms = within_ms,
		.ids_max = ids_max > 0 && ids_max < INT32_MAX / 2 ? (uint32_t)ids_max
								  : IDS_MAX_DEFAULT,
	};
	size_t len = row_prefix(from, p, ROW_BLOCK, store, partition);
	size_t end = row_prefix_end(to, from, len);
	enum ks_err err = p->backend->ops->state_scan(p->backend, slice_of(from, len),
						      slice_of(to, end), read_block, &r, why);
	if (err) {
		dedup_free(d);
		return err;
	}
	p->dedups = xrealloc(p->dedups, (p->dedup_count + 1) * sizeof(struct dedup *));
	p->dedups[p->dedup_count++] = d;
	*out = d;
	return ERR_NONE;
}

void dedup_free(struct dedup *d)
{
	free(d->ring);
	free(d->tags);
	free(d->seqs);
	free(d->blocks);
	free(d);
}

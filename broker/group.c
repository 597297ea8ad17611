/* group.c - see group.h. */
#include "broker/group.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/keys.h"
#include "broker/markers.h"
#include "broker/producers.h"
#include "wire/batch.h"

/* Batches of one partition become one value up to this size: a put costs RocksDB the same whether
 * it is small or large, while a value must be read whole. */
#define LOG_VALUE_BYTES      (1024 * 1024)
#define INDEX_INTERVAL_BYTES 65536
/* Less than this is copied; the copies of one partition in one group lie together. */
#define COPY_BELOW_BYTES     4096
#define COPIES_BYTES_MAX     65536

void group_init(struct group *g, struct store *s)
{
	*g = (struct group){.write = store_write_new(s)};
}

void group_fini(struct group *g)
{
	group_clear(g, 0);
	store_write_free(g->write);
	free(g->pending);
	free(g->pieces);
	free(g->producing);
	free(g->aborting);
	free(g->afters);
	free(g->parts);
	free(g->entries);
	buf_fini(&g->key);
}

void group_clear(struct group *g, int64_t now_ms)
{
	for (size_t i = 0; i < g->piece_count; i++)
		frame_unref(g->pieces[i].entry.frame);
	for (size_t i = 0; i < g->pending_count; i++)
		g->pending[i].partition->pending = 0;
	assert(g->after_count == 0 && "group_run_afters comes first");
	group_clear_producers(g);
	group_clear_markers(g);
	g->piece_count = g->pending_count = 0;
	g->log_bytes = 0;
	g->needs_sync = g->is_late = g->needs_write = false;
	g->now_ms = now_ms;
}

size_t group_bytes(const struct group *g)
{
	return store_write_bytes(g->write) + g->log_bytes;
}

bool group_has_writes(const struct group *g)
{
	return g->piece_count > 0 || g->needs_write || store_write_count(g->write) > 0;
}

static struct origin origin_of(const struct batch *b)
{
	return (struct origin){b->producer_id, b->producer_epoch, batch_is_transactional(b)};
}

static bool is_same_origin(const struct origin *o, const struct batch *b)
{
	return o->producer_id == b->producer_id && o->producer_epoch == b->producer_epoch &&
	       o->is_transactional == batch_is_transactional(b);
}

enum ks_err group_check(struct slice batches, size_t batch_max, struct origin *origin)
{
	const uint8_t *at = batches.data, *end = at + batches.len;
	struct batch b;

	if (at == end)
		return ERR_CORRUPT_MESSAGE;
	for (; at < end; at += b.bytes.len) {
		if (batch_peek(slice_of(at, (size_t)(end - at)), &b) || b.last_offset_delta < 0)
			return ERR_CORRUPT_MESSAGE;
		if (b.bytes.len > batch_max)
			return ERR_MESSAGE_TOO_LARGE;
		if (batch_is_control(&b))
			return ERR_INVALID_RECORD;
		if (at == batches.data)
			*origin = origin_of(&b);
		else if (!is_same_origin(origin, &b))
			return ERR_INVALID_RECORD;
	}
	return origin->is_transactional && origin->producer_id < 0 ? ERR_INVALID_RECORD : ERR_NONE;
}

static struct pending *pending_get(struct group *g, struct partition *p)
{
	if (!p->pending) {
		if (g->pending_count == g->pending_cap) {
			g->pending_cap = g->pending_cap ? 2 * g->pending_cap : 16;
			g->pending = xrealloc(g->pending, g->pending_cap * sizeof *g->pending);
		}
		g->pending[g->pending_count++] = (struct pending){.partition = p, .end = p->end};
		p->pending = g->pending_count;
	}
	return &g->pending[p->pending - 1];
}

static void piece_add(struct group *g, struct pending *d, const struct piece *piece)
{
	if (g->piece_count == g->piece_cap) {
		g->piece_cap = g->piece_cap ? 2 * g->piece_cap : 64;
		g->pieces = xrealloc(g->pieces, g->piece_cap * sizeof *g->pieces);
	}
	g->pieces[g->piece_count++] = *piece;
	if (d->last_piece)
		g->pieces[d->last_piece - 1].next = g->piece_count;
	else
		d->first_piece = g->piece_count;
	d->last_piece = g->piece_count;
}

int64_t group_offset_next(const struct group *g, const struct partition *p)
{
	return p->pending ? g->pending[p->pending - 1].end.offset_next : p->end.offset_next;
}

uint64_t group_position(const struct group *g, const struct partition *p)
{
	return p->pending ? g->pending[p->pending - 1].end.position : p->end.position;
}

/* Where the copy of so many bytes goes: behind the partition's last one, or a new piece. A new frame
 * has room for as much as was copied before, so there are few of them and little is wasted. */
static struct piece *copy_piece(struct group *g, struct pending *d, size_t len, int64_t base_offset)
{
	struct piece *last = d->last_piece ? &g->pieces[d->last_piece - 1] : NULL;

	if (last && last->is_copy && last->entry.frame->cap - last->entry.frame->len >= len)
		return last;
	size_t cap = d->copied_bytes < COPIES_BYTES_MAX ? d->copied_bytes + len : COPIES_BYTES_MAX;
	struct frame *f = frame_new(cap);
	piece_add(g, d,
		  &(struct piece){.entry = {.frame = f,
					    .bytes = slice_of(f->data, 0),
					    .base_offset = base_offset},
				  .is_copy = true});
	return &g->pieces[d->last_piece - 1];
}

static void copy_add(struct group *g, struct pending *d, struct slice batches, int64_t base_offset)
{
	struct piece *piece = copy_piece(g, d, batches.len, base_offset);
	struct frame *f = piece->entry.frame;

	memcpy(f->data + f->len, batches.data, batches.len);
	f->len += batches.len;
	piece->entry.bytes.len = f->len;
	piece->entry.last_offset = d->end.offset_next - 1;
	piece->max_timestamp = d->end.max_timestamp;
	d->copied_bytes += batches.len;
}

/* Gives offsets and stamps. */
static void stamp_all(struct group *g, struct pending *d, uint8_t *at, const uint8_t *end,
		      bool is_append_time)
{
	struct batch b;

	for (; at < end; at += b.bytes.len) {
		enum ks_err err = batch_peek(slice_of(at, (size_t)(end - at)), &b);
		assert(!err && "group_check comes first");
		batch_stamp(at, d->end.offset_next, LEADER_EPOCH);
		if (is_append_time) {
			batch_stamp_append_time(at, b.bytes.len, g->now_ms);
			b.max_timestamp = g->now_ms;
		}
		/* A marker is no record: nobody looks it up by time, and it does not keep older records. */
		if (b.max_timestamp > d->end.max_timestamp && !batch_is_control(&b))
			d->end.max_timestamp = b.max_timestamp;
		d->end.offset_next += b.last_offset_delta + 1;
	}
}

int64_t group_append(struct group *g, struct partition *p, struct frame *f, struct slice batches,
		     bool is_append_time)
{
	struct pending *d = pending_get(g, p);
	uint8_t *at = f->data + (batches.data - f->data);
	int64_t base_offset = d->end.offset_next;

	stamp_all(g, d, at, at + batches.len, is_append_time);
	d->end.position += batches.len;
	g->log_bytes += batches.len;
	if (batches.len < COPY_BELOW_BYTES) {
		copy_add(g, d, batches, base_offset);
		frame_unref(f);
		return base_offset;
	}
	piece_add(g, d,
		  &(struct piece){.entry = {f, batches, base_offset, d->end.offset_next - 1},
				  .max_timestamp = d->end.max_timestamp});
	return base_offset;
}

void group_after(struct group *g, void (*fn)(void *arg, enum ks_err err), void *arg)
{
	if (g->after_count == g->after_cap) {
		g->after_cap = g->after_cap ? 2 * g->after_cap : 64;
		g->afters = xrealloc(g->afters, g->after_cap * sizeof *g->afters);
	}
	g->afters[g->after_count++] = (struct after){fn, arg};
}

void group_run_afters(struct group *g, enum ks_err err)
{
	size_t count = g->after_count;

	for (size_t i = 0; i < count; i++)
		g->afters[i].fn(g->afters[i].arg, err);
	assert(g->after_count == count && "what comes after a group cannot add to it");
	g->after_count = 0;
}

/* The value that is being gathered: g->parts, and what its key and index entry need. */
struct value {
	uint64_t position; /* of the log after it */
	int64_t last_offset, max_timestamp;
	size_t bytes;
};

static void value_put(struct group *g, struct pending *d, struct value *v)
{
	if (v->bytes == 0)
		return;
	struct key_log key = key_log(d->partition->id, v->last_offset);
	store_putv(g->write, CF_LOG, KEY_SLICE(key), g->parts, g->part_count);
	g->part_count = 0;
	v->bytes = 0;
	if (v->position - d->end.indexed_position < INDEX_INTERVAL_BYTES)
		return;
	struct key_index ikey = key_index(d->partition->id, v->max_timestamp, v->last_offset);
	struct value_index ivalue = value_index(v->position);
	store_put(g->write, CF_INDEX, KEY_SLICE(ikey), KEY_SLICE(ivalue));
	d->end.indexed_position = v->position;
}

static void value_add(struct group *g, struct value *v, struct slice bytes, int64_t last_offset)
{
	if (g->part_count == g->part_cap) {
		g->part_cap = g->part_cap ? 2 * g->part_cap : 64;
		g->parts = xrealloc(g->parts, g->part_cap * sizeof *g->parts);
	}
	g->parts[g->part_count++] = bytes;
	v->bytes += bytes.len;
	v->position += bytes.len;
	v->last_offset = last_offset;
}

/* A piece goes into the value whole; one that is too large for it, batch by batch. */
static void value_add_piece(struct group *g, struct pending *d, struct value *v,
			    const struct piece *piece)
{
	struct slice all = piece->entry.bytes;
	struct batch b;

	if (v->bytes + all.len > LOG_VALUE_BYTES)
		value_put(g, d, v);
	/* True of any part of the piece: nothing up to there is later. */
	v->max_timestamp = piece->max_timestamp;
	if (all.len <= LOG_VALUE_BYTES) {
		value_add(g, v, all, piece->entry.last_offset);
		return;
	}
	for (size_t at = 0; at < all.len; at += b.bytes.len) {
		enum ks_err err = batch_peek(slice_of(all.data + at, all.len - at), &b);
		assert(!err && "group_check comes first");
		if (v->bytes + b.bytes.len > LOG_VALUE_BYTES)
			value_put(g, d, v);
		value_add(g, v, b.bytes, batch_last_offset(&b));
	}
}

static void put_log(struct group *g, struct pending *d)
{
	struct value v = {.position = d->partition->end.position};

	for (size_t i = d->first_piece; i; i = g->pieces[i - 1].next)
		value_add_piece(g, d, &v, &g->pieces[i - 1]);
	value_put(g, d, &v);
	assert(v.position == d->end.position);
}

void group_finish(struct group *g, uint64_t batch_index)
{
	for (size_t i = 0; i < g->pending_count; i++)
		put_log(g, &g->pending[i]);
	group_finish_producers(g);
	struct value_batch_index value = value_batch_index(batch_index, LEADER_EPOCH);
	store_put(g->write, CF_META, key_batch_index, KEY_SLICE(value));
}

void group_publish(struct group *g, struct tail_pool *pool)
{
	if (g->entry_cap < g->piece_count) {
		g->entry_cap = g->piece_cap;
		g->entries = xrealloc(g->entries, g->entry_cap * sizeof *g->entries);
	}
	/* What readers look up once they see the new end of a log comes before it. */
	group_publish_producers(g);
	group_publish_markers(g);
	for (size_t i = 0; i < g->pending_count; i++) {
		struct pending *d = &g->pending[i];
		size_t count = 0;
		for (size_t j = d->first_piece; j; j = g->pieces[j - 1].next)
			g->entries[count++] = g->pieces[j - 1].entry;
		partition_publish(d->partition, &d->end, g->entries, count, pool);
	}
	for (size_t i = 0; i < g->piece_count; i++)
		g->pieces[i].entry.frame = NULL; /* the tails have them */
	tail_pool_trim(pool);
}

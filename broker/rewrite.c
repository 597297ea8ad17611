/* rewrite.c - see rewrite.h. */
#include "broker/rewrite.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/failpoint.h"
#include "broker/core.h"
#include "broker/shard.h"

/* Of a new value. A value must be read whole, so it is not gathered larger than this; it may be if
 * what is left of one old value is. */
#define VALUE_BYTES          (256 * 1024)
#define VALUE_BYTES_MAX      (1024 * 1024)
/* A value of this size that loses nothing stays where it is. */
#define UNTOUCHED_BYTES      65536
#define INDEX_INTERVAL_BYTES 65536
#define SOURCES_MAX          4096
#define ENTRIES_MAX          4096
#define ITERATOR_AGE_MAX_NS  INT64_C(2000000000)

/* The value that is being gathered. */
struct gathered {
	struct buf bytes;
	size_t sources;
	uint64_t source_bytes;
	int64_t first_key, last_key; /* of the sources */
	int64_t last_offset;         /* of bytes, unless it is empty */
	bool is_changed;
	struct leftover gone; /* its markers: of all sources */
};

/* Old index entries, which are taken away with the next piece, are [from, to). */
struct index_walk {
	struct store_iter *iter;
	int64_t made_ns;
	struct key_index lower, upper; /* bounds of iter */
	struct key_index from, to;
	bool has_some;
};

struct rewrite {
	struct partition *partition;
	int64_t log_start, end;
	uint64_t start_position;
	struct cleaned cleaned; /* as the next piece says */
	uint64_t old_bytes, kept_bytes, old_dirty_bytes, kept_dirty_bytes;

	struct gathered value;
	struct index_walk index;
	struct index_entry *entries; /* new ones, not written yet */
	size_t entry_count;
	uint64_t indexed_bytes; /* kept_bytes at the newest one */
};

struct piece_call {
	struct call call;
	struct rewrite *rewrite;
	bool has_value; /* the gathered value is to be written */
	bool is_last;
	struct cleaned cleaned;
	uint64_t start_position; /* when it is the last */
};

/* --- on the shard's thread --- */

static enum ks_err check_partition(const struct rewrite *w, struct ks_why *why)
{
	const struct partition *p = w->partition;

	if (topic_is_gone(p->topic))
		return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%s\" was deleted",
			       p->topic->name);
	if (partition_log_start_offset(p) != w->log_start)
		return ks_fail(why, ERR_OFFSET_OUT_OF_RANGE,
			       "partition %s-%" PRId32 " was trimmed while it was cleaned",
			       p->topic->name, p->index);
	return ERR_NONE;
}

static void put_value(struct group *g, const struct rewrite *w)
{
	const struct gathered *v = &w->value;
	uint32_t id = w->partition->id;
	struct key_log from = key_log(id, v->first_key), to = key_log(id, v->last_key + 1);
	struct key_log key = key_log(id, v->last_offset);

	bool replaces = v->sources == 1 && v->bytes.len && v->last_offset == v->last_key;
	if (!replaces)
		store_delete_range(g->write, CF_LOG, KEY_SLICE(from), KEY_SLICE(to));
	if (v->bytes.len)
		store_put(g->write, CF_LOG, KEY_SLICE(key), buf_slice(&v->bytes));
	for (size_t i = 0; i < v->gone.marker_count; i++) {
		const struct gone_marker *m = &v->gone.markers[i];
		struct key_aborted aborted = key_aborted(id, m->offset);
		struct key_aborted_by by = key_aborted_by(id, m->producer_id, m->offset);
		store_delete(g->write, CF_TXN, KEY_SLICE(aborted));
		store_delete(g->write, CF_TXN, KEY_SLICE(by));
	}
}

static void put_index(struct group *g, const struct rewrite *w)
{
	if (w->index.has_some)
		store_delete_range(g->write, CF_INDEX, KEY_SLICE(w->index.from),
				   KEY_SLICE(w->index.to));
	for (size_t i = 0; i < w->entry_count; i++) {
		const struct index_entry *e = &w->entries[i];
		struct key_index key = key_index(e->partition_id, e->max_timestamp, e->last_offset);
		struct value_index value = value_index(e->position);
		store_put(g->write, CF_INDEX, KEY_SLICE(key), KEY_SLICE(value));
	}
}

static enum ks_err piece_apply(struct call *call, struct group *g)
{
	struct piece_call *c = (struct piece_call *)call;
	struct rewrite *w = c->rewrite;
	uint32_t id = w->partition->id;
	enum ks_err err = check_partition(w, call->why);

	if (err)
		return err;
	if (c->has_value)
		put_value(g, w);
	put_index(g, w);
	struct key_id key = key_cleaned(id);
	struct value_cleaned value = value_cleaned(&c->cleaned);
	store_put(g->write, CF_TOPICS, KEY_SLICE(key), KEY_SLICE(value));
	if (c->is_last) {
		struct key_id start_key = key_log_start(id);
		struct value_log_start start =
			value_log_start(&(struct log_start){id, w->log_start, c->start_position});
		store_put(g->write, CF_TOPICS, KEY_SLICE(start_key), KEY_SLICE(start));
	}
	/* Losing it to a power failure leaves the log as it was. */
	g->needs_sync = false;
	/* Readers that meet a hole before it is published must not take it for damage. */
	atomic_store(&w->partition->holes_below, c->cleaned.holes_below);
	return ERR_NONE;
}

static void piece_publish(struct call *call)
{
	struct piece_call *c = (struct piece_call *)call;
	struct rewrite *w = c->rewrite;

	partition_set_cleaned(w->partition, &c->cleaned);
	if (c->is_last)
		partition_publish_start(w->partition, w->log_start, c->start_position);
	if (c->has_value)
		atomic_fetch_add(&call->broker->garbage_bytes, w->value.source_bytes);
}

/* --- on the cleaner's thread --- */

void leftover_begin(struct leftover *v)
{
	*v = (struct leftover){.last_offset = -1,
			       .max_timestamp = -1,
			       .markers = v->markers,
			       .marker_cap = v->marker_cap};
}

void leftover_add_marker(struct leftover *v, int64_t offset, int64_t producer_id)
{
	if (v->marker_count == v->marker_cap) {
		v->marker_cap = v->marker_cap ? 2 * v->marker_cap : 16;
		v->markers = xrealloc(v->markers, v->marker_cap * sizeof *v->markers);
	}
	v->markers[v->marker_count++] = (struct gone_marker){offset, producer_id};
}

void leftover_fini(struct leftover *v)
{
	free(v->markers);
}

struct rewrite *rewrite_new(struct partition *p, int64_t log_start, const struct cleaned *cleaned,
			    int64_t end)
{
	struct rewrite *w = xcalloc(1, sizeof *w);

	w->partition = p;
	w->log_start = log_start;
	w->end = end;
	w->start_position = atomic_load(&p->start_position);
	w->cleaned = *cleaned;
	w->entries = xmalloc(ENTRIES_MAX * sizeof *w->entries);
	w->index.lower = w->index.to = key_index(p->id, INT64_MIN, 0);
	w->index.upper = key_index(p->id + 1, INT64_MIN, 0);
	w->cleaned.max_timestamp = -1; /* counted anew */
	return w;
}

void rewrite_free(struct rewrite *w)
{
	if (!w)
		return;
	if (w->index.iter)
		store_iter_free(w->index.iter);
	buf_fini(&w->value.bytes);
	leftover_fini(&w->value.gone);
	free(w->entries);
	free(w);
}

static uint64_t less(uint64_t before, uint64_t after)
{
	return before > after ? before - after : 0;
}

/* Until the last piece the record keeps what it says of the part that is clean. w->cleaned has
 * what an interrupted cleaning had removed before. */
static struct cleaned cleaned_meanwhile(struct rewrite *w, bool has_value)
{
	struct cleaned c = partition_cleaned(w->partition);
	uint64_t old_clean = w->old_bytes - w->old_dirty_bytes;

	if (has_value && w->value.last_key + 1 > c.holes_below)
		c.holes_below = w->value.last_key + 1;
	c.removed_clean =
		w->cleaned.removed_clean + less(old_clean, w->kept_bytes - w->kept_dirty_bytes);
	c.removed_dirty = w->cleaned.removed_dirty + less(w->old_dirty_bytes, w->kept_dirty_bytes);
	return c;
}

static enum ks_err write_piece(struct rewrite *w, struct piece_call *c, struct ks_why *why)
{
	struct broker *b = w->partition->topic->broker;

	c->call = (struct call){.apply = piece_apply,
				.publish = piece_publish,
				.is_alone = true,
				.broker = b,
				.why = why};
	c->rewrite = w;
	FP("compact-write");
	enum ks_err err = shard_call(b->shard, &c->call);
	FP("compact-written");
	w->entry_count = 0;
	w->index.has_some = false;
	return err;
}

/* Alone and as it was: there is nothing to write. */
static bool is_worth_writing(const struct gathered *v)
{
	return v->sources > 1 || v->is_changed;
}

static void gather_none(struct gathered *v)
{
	buf_clear(&v->bytes);
	v->sources = 0;
	v->source_bytes = 0;
	v->is_changed = false;
	leftover_begin(&v->gone);
}

static enum ks_err flush(struct rewrite *w, struct ks_why *why)
{
	struct piece_call c = {.has_value = is_worth_writing(&w->value)};
	enum ks_err err = ERR_NONE;

	if (c.has_value || w->entry_count == ENTRIES_MAX) {
		c.cleaned = cleaned_meanwhile(w, c.has_value);
		err = write_piece(w, &c, why);
	}
	gather_none(&w->value);
	return err;
}

static void index_freshen(struct rewrite *w)
{
	struct index_walk *x = &w->index;
	struct broker *b = w->partition->topic->broker;
	int64_t now = clock_monotonic_ns(&b->clock);

	if (x->iter && now - x->made_ns < ITERATOR_AGE_MAX_NS)
		return;
	if (x->iter)
		store_iter_free(x->iter);
	x->iter = store_iter_new(b->store, CF_INDEX, KEY_SLICE(x->lower), KEY_SLICE(x->upper));
	x->made_ns = now;
	/* Behind the last one seen; new entries lie before it. */
	store_iter_seek(x->iter, KEY_SLICE(x->to));
}

/* Old entries up to offset are to go. */
static enum ks_err index_pass(struct rewrite *w, int64_t offset, struct ks_why *why)
{
	struct index_walk *x = &w->index;
	struct index_entry e;

	index_freshen(w);
	for (; store_iter_valid(x->iter); store_iter_next(x->iter)) {
		if (!index_decode(store_iter_key(x->iter), store_iter_value(x->iter), &e))
			return ks_fail(why, ERR_CORRUPTION, "an index entry is malformed");
		if (e.last_offset > offset)
			break;
		if (!x->has_some)
			x->from = key_index(e.partition_id, e.max_timestamp, e.last_offset);
		x->has_some = true;
		x->to = key_index(e.partition_id, e.max_timestamp, e.last_offset + 1);
	}
	return store_iter_error(x->iter, why);
}

/* Counts the value and brings the index along. */
static enum ks_err count(struct rewrite *w, const struct leftover *v, struct ks_why *why)
{
	w->old_bytes += v->old_bytes;
	w->kept_bytes += v->kept_bytes;
	w->old_dirty_bytes += v->old_dirty_bytes;
	w->kept_dirty_bytes += v->kept_dirty_bytes;
	if (v->max_timestamp > w->cleaned.max_timestamp)
		w->cleaned.max_timestamp = v->max_timestamp;
	enum ks_err err = index_pass(w, v->key < w->end ? v->key : w->end - 1, why);
	if (err || v->last_offset < 0 || w->kept_bytes - w->indexed_bytes < INDEX_INTERVAL_BYTES)
		return err;
	assert(w->entry_count < ENTRIES_MAX);
	w->entries[w->entry_count++] = (struct index_entry){
		.partition_id = w->partition->id,
		.max_timestamp = w->cleaned.max_timestamp,
		.last_offset = v->last_offset,
		.position = w->start_position + w->kept_bytes,
	};
	w->indexed_bytes = w->kept_bytes;
	return ERR_NONE;
}

static void gather(struct gathered *g, const struct leftover *v)
{
	if (g->sources++ == 0)
		g->first_key = v->key;
	g->last_key = v->key;
	g->source_bytes += v->old.len;
	g->is_changed |= v->is_changed;
	for (size_t i = 0; i < v->marker_count; i++)
		leftover_add_marker(&g->gone, v->markers[i].offset, v->markers[i].producer_id);
	if (!v->kept.len)
		return;
	buf_append(&g->bytes, v->kept.data, v->kept.len);
	g->last_offset = v->kept_last_offset;
}

enum ks_err rewrite_add(struct rewrite *w, const struct leftover *v, struct ks_why *why)
{
	struct gathered *g = &w->value;
	bool is_untouched = !v->is_changed && v->old.len >= UNTOUCHED_BYTES;
	enum ks_err err = ERR_NONE;

	if (g->sources && (is_untouched || g->bytes.len + v->kept.len > VALUE_BYTES_MAX))
		err = flush(w, why);
	if (!err && w->entry_count == ENTRIES_MAX)
		err = flush(w, why);
	if (err)
		return err;
	if (!is_untouched)
		gather(g, v);
	err = count(w, v, why);
	if (!err && (g->bytes.len >= VALUE_BYTES || g->sources >= SOURCES_MAX))
		err = flush(w, why);
	return err;
}

enum ks_err rewrite_finish(struct rewrite *w, struct ks_why *why)
{
	struct cleaned *c = &w->cleaned;
	struct piece_call call = {.has_value = is_worth_writing(&w->value), .is_last = true};
	struct log_end end;

	partition_published(w->partition, &end);
	c->offset = w->end;
	if (c->holes_below < w->end)
		c->holes_below = w->end;
	if (call.has_value && c->holes_below <= w->value.last_key)
		c->holes_below = w->value.last_key + 1;
	c->position += w->old_dirty_bytes + c->removed_dirty;
	if (c->position > end.position)
		c->position = end.position;
	/* A batch may become larger, by its delete horizon or by compressing anew. So the start
	 * may even move down; below 0 it cannot, then the log counts as a little less than it is.
	 */
	uint64_t kept = w->kept_bytes < c->position ? w->kept_bytes : c->position;
	call.start_position = c->position - kept;
	c->shift = call.start_position - w->start_position;
	c->removed_clean = c->removed_dirty = 0;
	call.cleaned = *c;
	enum ks_err err = write_piece(w, &call, why);
	gather_none(&w->value);
	return err;
}

uint64_t rewrite_old_bytes(const struct rewrite *w)
{
	return w->old_bytes;
}

uint64_t rewrite_kept_bytes(const struct rewrite *w)
{
	return w->kept_bytes;
}

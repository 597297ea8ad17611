/* cleaner.c - see cleaner.h: when it is time, what is superseded, what stays. rewrite.c writes it.
 *
 * Kafka decides by segments, of which this log has none. Here the active part begins where the log
 * passed the last multiple of segment.bytes; but records older than segment.ms, or than
 * max.compaction.lag.ms, are not active, and the last batch always is.
 *
 * What transactions have to do with it is in cleaner_txn.c.
 */
#include "broker/cleaner.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/cleaner_txn.h"
#include "broker/core.h"
#include "broker/log_cursor.h"
#include "broker/log_index.h"
#include "broker/offset_map.h"
#include "broker/rewrite.h"
#include "wire/batch_filter.h"
#include "wire/marker.h"

#define DECOMPRESSED_MAX (256 * 1024 * 1024)
/* The index tells how much is dirty to about this; less is counted. */
#define COUNTED_BYTES    (256 * 1024)

/* How far a cleaning may go: batches that are not the last one, old enough, and not active. */
struct limits {
	int64_t offset_next;  /* high watermark */
	int64_t stable;       /* what lies below is decided */
	uint64_t position;    /* up to here nothing is active */
	int64_t roll_time;    /* nor is what is not newer */
	int64_t lag_time;     /* nothing newer is cleaned */
	int64_t overdue_time; /* INT64_MIN: never; what is older must be cleaned now */
};

/* One cleaning. */
struct cleaning {
	struct partition *partition;
	struct topic_cleanup how;
	int64_t now_ms;
	int64_t log_start;
	struct cleaned from; /* the dirty part begins at from.offset */
	struct log_end published;
	struct limits limits;
	int64_t end; /* of the dirty part */
	bool is_unfinished;
	struct offset_map *map;
	struct producer_row *producers; /* by id */
	size_t producer_count;
	struct cleaner_txn txn;
};

struct cleaner {
	struct broker *broker;
	size_t map_bytes_max;
	const _Atomic(bool) *stop;

	/* scratch, kept from partition to partition */
	struct batch_filter filter;
	struct buf plain, kept;
};

/* --- when --- */

static struct limits limits_of(const struct topic_cleanup *how, const struct log_end *end,
			       int64_t now_ms)
{
	int64_t roll_ms = how->segment_ms < how->max_lag_ms ? how->segment_ms : how->max_lag_ms;
	uint64_t segment = (uint64_t)how->segment_bytes;
	struct limits l = {
		.offset_next = end->offset_next,
		.position = end->position / segment * segment,
		.roll_time = now_ms - roll_ms,
		.lag_time = how->min_lag_ms > 0 ? now_ms - how->min_lag_ms : INT64_MAX,
		.overdue_time = INT64_MIN,
	};

	if (how->max_lag_ms < INT64_MAX)
		l.overdue_time = now_ms - how->max_lag_ms;
	return l;
}

/* position: behind the batch. */
static bool may_clean(const struct limits *l, const struct batch *b, uint64_t position)
{
	return batch_last_offset(b) + 1 < l->offset_next && batch_last_offset(b) < l->stable &&
	       b->max_timestamp <= l->lag_time &&
	       (position <= l->position || b->max_timestamp <= l->roll_time);
}

/* How far the index goes that has nothing newer; base when it has not so much. */
static enum ks_err position_at_time(struct cleaning *x, int64_t time, uint64_t *position,
				    struct ks_why *why)
{
	struct index_entry e;

	if (x->published.max_timestamp <= time) {
		*position = x->published.position;
		return ERR_NONE;
	}
	enum ks_err err = index_before_time(x->partition, time, &e, why);
	*position = err ? x->from.position : index_position(x->partition, &e);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* About how much may be cleaned. */
static enum ks_err estimate(struct cleaning *x, uint64_t *bytes, struct ks_why *why)
{
	const struct limits *l = &x->limits;
	uint64_t aged, settled = UINT64_MAX;

	enum ks_err err = position_at_time(x, l->roll_time, &aged, why);
	if (!err && l->lag_time < INT64_MAX)
		err = position_at_time(x, l->lag_time, &settled, why);
	if (err)
		return err;
	uint64_t to = aged > l->position ? aged : l->position;
	if (to > settled)
		to = settled;
	*bytes = to > x->from.position ? to - x->from.position : 0;
	return ERR_NONE;
}

/* What the beginning of the dirty part is like. */
struct dirty {
	uint64_t bytes; /* that may be cleaned; counted up to COUNTED_BYTES */
	int64_t first_timestamp;
	bool is_last_batch; /* there is nothing but the last batch of the log */
};

/* false: the walk is over. */
static bool look_at_batch(const struct cleaning *x, const struct batch *b, struct dirty *d)
{
	if (batch_last_offset(b) < x->from.offset)
		return true;
	if (d->bytes == 0) {
		d->first_timestamp =
			batch_delete_horizon(b) < 0 ? b->base_timestamp : b->max_timestamp;
		d->is_last_batch = batch_last_offset(b) + 1 == x->limits.offset_next;
	}
	if (!may_clean(&x->limits, b, x->from.position + d->bytes + b->bytes.len))
		return false;
	d->bytes += b->bytes.len;
	return d->bytes < COUNTED_BYTES;
}

static enum ks_err look_at_dirty(struct cleaning *x, struct dirty *d, struct ks_why *why)
{
	struct log_cursor c;
	struct batch b;
	bool goes_on = true;

	*d = (struct dirty){0};
	log_cursor_init(&c, x->partition);
	enum ks_err err = log_cursor_seek(&c, x->from.offset, why);
	while (!err && goes_on) {
		struct slice left = c.value;
		while (!err && goes_on && left.len) {
			err = log_take_batch(x->partition, &left, &b, why);
			goes_on = !err && look_at_batch(x, &b, d);
		}
		if (!err && goes_on)
			err = log_cursor_next(&c, why);
	}
	log_cursor_fini(&c);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static bool is_worth(const struct cleaning *x, uint64_t dirty_bytes, int64_t first_timestamp)
{
	uint64_t start = atomic_load(&x->partition->start_position);
	uint64_t clean_bytes = x->from.position > start ? x->from.position - start : 0;
	double share = (double)dirty_bytes / ((double)clean_bytes + (double)dirty_bytes);
	int64_t overdue = x->limits.overdue_time;

	if (x->limits.lag_time < overdue)
		overdue = x->limits.lag_time;
	return share > x->how.min_dirty_ratio ||
	       (first_timestamp >= 0 && first_timestamp < overdue);
}

static enum ks_err is_due(struct cleaning *x, bool *due, struct ks_why *why)
{
	struct partition *p = x->partition;
	struct dirty d;
	uint64_t bytes;

	*due = false;
	/* The usual case costs nothing: all is clean, or all but the last batch. */
	if (x->from.offset >= x->published.offset_next ||
	    p->clean_up_to == x->published.offset_next)
		return ERR_NONE;
	enum ks_err err = estimate(x, &bytes, why);
	if (!err)
		err = look_at_dirty(x, &d, why);
	if (err)
		return err;
	if (d.is_last_batch)
		p->clean_up_to = x->published.offset_next;
	if (bytes < COUNTED_BYTES || d.bytes < COUNTED_BYTES)
		bytes = d.bytes;
	*due = bytes > 0 && is_worth(x, bytes, d.first_timestamp);
	return ERR_NONE;
}

/* --- what supersedes what --- */

static enum ks_err remember(struct cleaner *c, struct cleaning *x, const struct batch *b)
{
	struct record_iter it;
	struct record r;
	int got;

	if (batch_is_control(b) || cleaner_txn_is_aborted(&x->txn, b))
		return ERR_NONE;
	enum ks_err err = record_iter_init(&it, b, DECOMPRESSED_MAX, &c->plain);
	if (err)
		return err;
	while ((got = record_iter_next(&it, &r)) == 1)
		/* A key that finds no room is not lost: its records merely stay. */
		if (r.key.data && offset_map_has_room(x->map, 1))
			offset_map_put(x->map, r.key, r.offset);
	return got < 0 ? ERR_CORRUPT_MESSAGE : ERR_NONE;
}

static enum ks_err damaged(const struct partition *p, const struct batch *b, struct ks_why *why)
{
	return ks_fail(why, ERR_CORRUPTION,
		       "partition %s-%" PRId32 ": the records of the batch at offset %" PRId64
		       " cannot be read",
		       p->topic->name, p->index, b->base_offset);
}

/* Takes the batch into the map; goes_on: the next one may be taken, too. */
static enum ks_err map_batch(struct cleaner *c, struct cleaning *x, const struct batch *b,
			     uint64_t *position, bool *goes_on, struct ks_why *why)
{
	if (batch_last_offset(b) < x->from.offset)
		return ERR_NONE;
	*goes_on = may_clean(&x->limits, b, *position + b->bytes.len);
	if (!*goes_on)
		return ERR_NONE;
	bool fits = offset_map_has_room(x->map, (uint64_t)b->record_count);
	if (!fits && x->end > x->from.offset) {
		x->is_unfinished = true;
		*goes_on = false;
		return ERR_NONE;
	}
	if (remember(c, x, b))
		return damaged(x->partition, b, why);
	*position += b->bytes.len;
	x->end = batch_last_offset(b) + 1;
	return ERR_NONE;
}

/* Makes the map and finds the end of what is cleaned. */
static enum ks_err map_dirty(struct cleaner *c, struct cleaning *x, struct ks_why *why)
{
	uint64_t position = x->from.position;
	struct log_cursor cursor;
	bool goes_on = true;
	struct batch b;

	x->end = x->from.offset;
	x->map = offset_map_new((uint64_t)(x->published.offset_next - x->from.offset),
				c->map_bytes_max);
	log_cursor_init(&cursor, x->partition);
	enum ks_err err = log_cursor_seek(&cursor, x->from.offset, why);
	while (!err && goes_on) {
		struct slice left = cursor.value;
		while (!err && goes_on && left.len) {
			err = log_take_batch(x->partition, &left, &b, why);
			if (!err)
				err = map_batch(c, x, &b, &position, &goes_on, why);
		}
		if (!err && atomic_load(c->stop))
			err = ERR_CLOSED;
		if (!err && goes_on)
			err = log_cursor_next(&cursor, why);
	}
	log_cursor_fini(&cursor);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* The filter's question. A record without a key has no place in a compacted log. */
static bool keeps(void *arg, const struct record *r, int64_t delete_horizon)
{
	const struct cleaning *x = arg;

	if (!r->key.data || offset_map_get(x->map, r->key) > r->offset)
		return false;
	return r->value.data || delete_horizon < 0 || x->now_ms < delete_horizon;
}

/* --- what stays --- */

static int compare_producer(const void *key, const void *element)
{
	int64_t id = *(const int64_t *)key;
	int64_t other = ((const struct producer_row *)element)->producer_id;

	return (id > other) - (id < other);
}

/* Whether its producer would lose its place in the sequence with this batch. */
static bool is_last_of_producer(const struct cleaning *x, const struct batch *b)
{
	if (b->producer_id < 0 || b->base_sequence < 0 || !x->producer_count)
		return false;
	const struct producer_row *row = bsearch(&b->producer_id, x->producers, x->producer_count,
						 sizeof *row, compare_producer);
	/* Sequences wrap from the largest to 0. */
	uint32_t last = ((uint32_t)b->base_sequence + (uint32_t)b->last_offset_delta) & INT32_MAX;
	return row && row->producer_epoch == b->producer_epoch &&
	       (uint32_t)row->last_sequence == last;
}

/* Appends a control batch below the end, if it stays. */
static void keep_marker(struct cleaner *c, struct cleaning *x, const struct batch *b,
			struct leftover *v)
{
	int64_t stays_ms = x->how.delete_retention_ms > MARKER_OUTLASTS_MS
				   ? x->how.delete_retention_ms
				   : MARKER_OUTLASTS_MS;

	switch (cleaner_txn_pass_marker(&x->txn, b, x->now_ms)) {
	case MARKER_STAYS:
		buf_append(&c->kept, b->bytes.data, b->bytes.len);
		break;
	case MARKER_GETS_HORIZON:
		marker_write_horizon(&c->kept, b,
				     stays_ms > INT64_MAX - x->now_ms ? INT64_MAX
								      : x->now_ms + stays_ms);
		v->is_changed = true;
		break;
	case MARKER_GOES:
		leftover_add_marker(v, b->base_offset, b->producer_id);
		v->is_changed = true;
		break;
	}
}

/* Appends what stays of another batch below the end. */
static enum ks_err keep_some(struct cleaner *c, struct cleaning *x, const struct batch *b,
			     bool *is_changed)
{
	enum batch_filtered result = BATCH_UNCHANGED;

	cleaner_txn_pass(&x->txn, b);
	if (cleaner_txn_is_aborted(&x->txn, b)) {
		result = BATCH_EMPTIED;
	} else if (b->record_count > 0) {
		enum ks_err err = batch_filter(&c->filter, b, &c->kept, &result);
		if (err)
			return err;
	} else {
		result = BATCH_EMPTIED; /* it was emptied before */
	}
	if (result == BATCH_EMPTIED && is_last_of_producer(x, b)) {
		*is_changed |= b->record_count > 0;
		batch_write_empty(b, &c->kept);
		return ERR_NONE;
	}
	if (result == BATCH_UNCHANGED)
		buf_append(&c->kept, b->bytes.data, b->bytes.len);
	else
		*is_changed = true;
	return ERR_NONE;
}

static void count_kept(struct leftover *v, const struct cleaning *x, const struct batch *b,
		       struct slice kept)
{
	bool is_dirty = batch_last_offset(b) >= x->from.offset;
	struct batch k;

	v->old_bytes += b->bytes.len;
	v->kept_bytes += kept.len;
	if (is_dirty) {
		v->old_dirty_bytes += b->bytes.len;
		v->kept_dirty_bytes += kept.len;
	}
	if (!kept.len || batch_peek(kept, &k))
		return;
	v->last_offset = batch_last_offset(b);
	if (k.max_timestamp > v->max_timestamp && !batch_is_control(&k))
		v->max_timestamp = k.max_timestamp;
}

static enum ks_err filter_batch(struct cleaner *c, struct cleaning *x, const struct batch *b,
				struct leftover *v, struct ks_why *why)
{
	size_t before = c->kept.len;

	if (batch_last_offset(b) < x->log_start) {
		v->is_changed = true; /* it was trimmed */
		return ERR_NONE;
	}
	if (batch_last_offset(b) >= x->end) {
		buf_append(&c->kept, b->bytes.data, b->bytes.len);
	} else {
		if (batch_is_control(b))
			keep_marker(c, x, b, v);
		else if (keep_some(c, x, b, &v->is_changed))
			return damaged(x->partition, b, why);
		count_kept(v, x, b, slice_of(c->kept.data + before, c->kept.len - before));
	}
	if (c->kept.len > before)
		v->kept_last_offset = batch_last_offset(b);
	return ERR_NONE;
}

static enum ks_err filter_value(struct cleaner *c, struct cleaning *x,
				const struct log_cursor *cursor, struct leftover *v,
				struct ks_why *why)
{
	struct slice left = cursor->value;
	enum ks_err err = ERR_NONE;
	struct batch b;

	leftover_begin(v);
	v->key = cursor->last_offset;
	v->old = cursor->value;
	buf_clear(&c->kept);
	while (!err && left.len) {
		err = log_take_batch(x->partition, &left, &b, why);
		if (!err)
			err = filter_batch(c, x, &b, v, why);
	}
	v->kept = buf_slice(&c->kept);
	return err;
}

/* Why the log ends before its high watermark. */
static enum ks_err explain_end(const struct cleaning *x, struct ks_why *why)
{
	const struct partition *p = x->partition;

	if (topic_is_gone(p->topic))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (atomic_load(&p->trim_announced) != x->log_start)
		return ERR_OFFSET_OUT_OF_RANGE;
	return ks_fail(why, ERR_CORRUPTION,
		       "partition %s-%" PRId32 ": batches below offset %" PRId64
		       " are missing from the store",
		       p->topic->name, p->index, x->end);
}

static enum ks_err rewrite_log(struct cleaner *c, struct cleaning *x, struct rewrite *w,
			       struct ks_why *why)
{
	struct log_cursor cursor;
	struct leftover v = {0};

	log_cursor_init(&cursor, x->partition);
	enum ks_err err = log_cursor_seek(&cursor, x->log_start, why);
	while (!err) {
		err = filter_value(c, x, &cursor, &v, why);
		if (!err)
			err = rewrite_add(w, &v, why);
		if (!err && atomic_load(c->stop))
			err = ERR_CLOSED;
		if (err || v.key + 1 >= x->end)
			break;
		err = log_cursor_next(&cursor, why);
	}
	log_cursor_fini(&cursor);
	leftover_fini(&v);
	if (err == ERR_NOT_FOUND)
		return explain_end(x, why);
	return err ? err : rewrite_finish(w, why);
}

static enum ks_err clean(struct cleaner *c, struct cleaning *x, struct cleaning_result *result,
			 struct ks_why *why)
{
	struct broker *b = c->broker;

	enum ks_err err = map_dirty(c, x, why);
	if (err || x->end == x->from.offset)
		return err;
	err = broker_partition_producers(b, x->partition, &x->producers, &x->producer_count);
	if (err)
		return err;
	c->filter.arg = x;
	c->filter.delete_horizon = x->now_ms + x->how.delete_retention_ms;
	if (x->how.delete_retention_ms > INT64_MAX - x->now_ms)
		c->filter.delete_horizon = INT64_MAX;
	struct rewrite *w = rewrite_new(x->partition, x->log_start, &x->from, x->end);
	err = rewrite_log(c, x, w, why);
	*result = (struct cleaning_result){
		.was_due = true,
		.is_unfinished = x->is_unfinished,
		.end = x->end,
		.bytes_before = rewrite_old_bytes(w),
		.bytes_after = rewrite_kept_bytes(w),
	};
	rewrite_free(w);
	return err;
}

struct cleaner *cleaner_new(struct broker *b, size_t map_bytes_max, const _Atomic(bool) *stop)
{
	struct cleaner *c = xcalloc(1, sizeof *c);

	c->broker = b;
	c->map_bytes_max = map_bytes_max;
	c->stop = stop;
	c->filter.keeps = keeps;
	c->filter.decompressed_max = DECOMPRESSED_MAX;
	return c;
}

void cleaner_free(struct cleaner *c)
{
	if (!c)
		return;
	batch_filter_fini(&c->filter);
	buf_fini(&c->plain);
	buf_fini(&c->kept);
	free(c);
}

enum ks_err cleaner_run(struct cleaner *c, struct partition *p, struct cleaning_result *result,
			struct ks_why *why)
{
	struct cleaning x = {
		.partition = p,
		.how = topic_cleanup(p->topic),
		.now_ms = clock_now_ms(&c->broker->clock),
		.log_start = partition_log_start_offset(p),
		.from = partition_cleaned(p),
	};
	bool due;

	*result = (struct cleaning_result){0};
	partition_published(p, &x.published);
	x.limits = limits_of(&x.how, &x.published, x.now_ms);
	x.limits.stable = partition_last_stable_offset(p);
	enum ks_err err = is_due(&x, &due, why);
	if (!err && due) {
		err = cleaner_txn_init(&x.txn, p, x.log_start, x.from.offset, why);
		x.limits.stable = x.txn.stable;
	}
	if (!err && due)
		err = clean(c, &x, result, why);
	cleaner_txn_fini(&x.txn);
	offset_map_free(x.map);
	free(x.producers);
	return err;
}

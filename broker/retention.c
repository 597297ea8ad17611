/* retention.c - see retention.h.
 *
 * Deciding what goes is done by the thread that asks, from the index and from what is published;
 * the shard only carries it out: one WriteBatch raises the log start offsets and deletes the ranges
 * below them. The index has a position in bytes every 64 KiB, so retention is exact to that.
 *
 * Age and size take nothing of a transaction that is open, nor what lies behind its beginning. DeleteRecords does what
 * it is told.
 */
#include "broker/retention.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/seeded.h"
#include "broker/aborted.h"
#include "broker/core.h"
#include "broker/log_cursor.h"
#include "broker/log_index.h"
#include "broker/shard.h"
#include "wire/batch.h"

/* Space is given back when this much was trimmed since the last time, and a quarter of what is
 * left. */
#define RECLAIM_BYTES_MIN (UINT64_C(64) * 1024 * 1024)
#define TRIMS_PER_WRITE   1024

/* One partition's log is to start at offset. */
struct trim {
	struct partition *partition;
	int64_t offset;
	uint64_t position;          /* of offset */
	struct index_entry indexed; /* the last index entry below offset */
	bool has_indexed;
};

struct trim_call {
	struct call call;
	struct trim *trims;
	size_t count;
	uint64_t bytes; /* out */
};

/* --- on the shard's thread --- */

static bool is_due(const struct trim *t)
{
	return !topic_is_gone(t->partition->topic) &&
	       t->offset > partition_log_start_offset(t->partition);
}

static void trim_put(struct group *g, const struct trim *t)
{
	uint32_t id = t->partition->id;
	struct key_log from = key_log(id, 0), to = key_log(id, t->offset);
	struct key_id key = key_log_start(id);
	struct value_log_start value = value_log_start(&(struct log_start){
		.partition_id = id, .offset = t->offset, .position = t->position});

	store_put(g->write, CF_TOPICS, KEY_SLICE(key), KEY_SLICE(value));
	store_delete_range(g->write, CF_LOG, KEY_SLICE(from), KEY_SLICE(to));
	if (KS_SEEDED_BUG(2051)) {
		struct key_producer first = key_producer(id, 0), behind = key_producer(id + 1, 0);
		store_delete_range(g->write, CF_TXN, KEY_SLICE(first), KEY_SLICE(behind));
	}
	if (t->has_indexed) {
		struct key_index lower = key_index(id, INT64_MIN, 0),
				 upper = key_index(id, t->indexed.max_timestamp,
						   t->indexed.last_offset + 1);
		store_delete_range(g->write, CF_INDEX, KEY_SLICE(lower), KEY_SLICE(upper));
	}
	/* Readers that meet the hole before it is published must not take it for damage. */
	atomic_store(&t->partition->trim_announced, t->offset);
}

static enum ks_err trim_apply(struct call *call, struct group *g)
{
	struct trim_call *c = (struct trim_call *)call;

	for (size_t i = 0; i < c->count; i++) {
		struct trim *t = &c->trims[i];
		uint64_t start = atomic_load(&t->partition->start_position);
		/* Compaction may have moved it since somebody looked. */
		if (t->position < start)
			t->position = start;
		if (is_due(t))
			trim_put(g, t);
	}
	return ERR_NONE;
}

static void trim_publish(struct call *call)
{
	struct trim_call *c = (struct trim_call *)call;

	for (size_t i = 0; i < c->count; i++) {
		struct trim *t = &c->trims[i];
		if (!is_due(t))
			continue;
		c->bytes += t->position - atomic_load(&t->partition->start_position);
		partition_publish_start(t->partition, t->offset, t->position);
	}
}

static enum ks_err carry_out(struct broker *b, struct trim *trims, size_t count, uint64_t *bytes,
			     struct ks_why *why)
{
	struct trim_call c = {
		.call = {.apply = trim_apply,
			 .publish = trim_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.trims = trims,
		.count = count,
	};
	enum ks_err err = shard_call(b->shard, &c.call);
	if (bytes)
		*bytes += c.bytes;
	for (size_t i = 0; i < count && !err; i++)
		err = aborted_purge(trims[i].partition, why);
	return err;
}

/* --- DeleteRecords --- */

/* Adds the batches that begin at from or above and end below the offset. false: that was all. */
static bool add_value(struct trim *t, int64_t from, struct slice value)
{
	struct batch b;

	for (size_t at = 0; at < value.len; at += b.bytes.len) {
		/* A damaged value goes like any other; its size is a guess then. */
		if (batch_peek(slice_of(value.data + at, value.len - at), &b) ||
		    batch_last_offset(&b) >= t->offset)
			return false;
		if (batch_last_offset(&b) >= from)
			t->position += b.bytes.len;
	}
	return true;
}

/* Adds the batches between the index entry and the offset to the position. What the store has
 * counts, not what the tail has: compaction may have taken some of it. */
static enum ks_err find_position(struct trim *t, struct ks_why *why)
{
	struct partition *p = t->partition;
	int64_t from = partition_log_start_offset(p);
	struct log_cursor c;

	t->position = atomic_load(&p->start_position);
	if (t->has_indexed && t->indexed.last_offset >= from) {
		from = t->indexed.last_offset + 1;
		t->position = index_position(p, &t->indexed);
	}
	log_cursor_init(&c, p);
	enum ks_err err = log_cursor_seek(&c, from, why);
	while (!err && add_value(t, from, c.value))
		err = log_cursor_next(&c, why);
	log_cursor_fini(&c);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum ks_err broker_trim(struct broker *b, struct partition *p, int64_t offset,
			int64_t *log_start_offset, struct ks_why *why)
{
	struct trim t = {.partition = p, .offset = offset};
	int64_t high_watermark = partition_high_watermark(p);
	enum ks_err err;

	if (topic_is_gone(p->topic))
		return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%s\" was deleted",
			       p->topic->name);
	if (!topic_retention(p->topic).is_deleted_by_age)
		return ks_fail(
			why, ERR_POLICY_VIOLATION,
			"topic \"%s\" cannot be trimmed: its cleanup.policy has no \"delete\"",
			p->topic->name);
	if (offset == -1)
		t.offset = high_watermark;
	if (t.offset < 0 || t.offset > high_watermark)
		return ks_fail(why, ERR_OFFSET_OUT_OF_RANGE,
			       "partition %s-%" PRId32 ": cannot trim to %" PRId64
			       ", the log ends at %" PRId64,
			       p->topic->name, p->index, offset, high_watermark);
	if (t.offset > partition_log_start_offset(p)) {
		err = index_before(p, t.offset, &t.indexed, why);
		t.has_indexed = !err;
		if (!err || err == ERR_NOT_FOUND)
			err = find_position(&t, why);
		/* Out of range: somebody else has trimmed further meanwhile. */
		if (err && err != ERR_OFFSET_OUT_OF_RANGE)
			return err;
		if (!err)
			err = carry_out(b, &t, 1, NULL, why);
		if (err && err != ERR_OFFSET_OUT_OF_RANGE)
			return err;
	}
	if (log_start_offset)
		*log_start_offset = partition_log_start_offset(p);
	return ERR_NONE;
}

/* --- by age and size --- */

static void take_entry(struct trim *t, const struct index_entry *e)
{
	t->indexed = *e;
	t->has_indexed = true;
	t->offset = e->last_offset + 1;
	t->position = index_position(t->partition, e);
}

/* What lies below is decided. */
static int64_t decided(const struct partition *p)
{
	return KS_SEEDED_BUG(1051) ? INT64_MAX : partition_last_stable_offset(p);
}

/* Everything up to the last entry that is wholly older. When all is older, everything. */
static void trim_by_age(struct store_iter *it, struct trim *t, int64_t older_than)
{
	struct partition *p = t->partition;
	struct key_index key = key_index(p->id, older_than, 0);
	int64_t stable = decided(p);
	struct index_entry e;
	struct log_end end;

	partition_published(p, &end);
	if (end.max_timestamp < 0)
		return; /* records without time do not age */
	for (store_iter_seek_for_prev(it, KEY_SLICE(key)); store_iter_valid(it);
	     store_iter_prev(it)) {
		if (!index_decode(store_iter_key(it), store_iter_value(it), &e) ||
		    e.partition_id != p->id)
			break;
		if (e.last_offset < stable) {
			take_entry(t, &e);
			break;
		}
	}
	if (end.max_timestamp < older_than && end.offset_next <= stable) {
		t->offset = end.offset_next;
		t->position = end.position;
	}
}

/* At least keep_bytes stay. */
static void trim_by_size(struct store_iter *it, struct trim *t, uint64_t keep_bytes)
{
	struct partition *p = t->partition;
	struct key_index first = key_index(p->id, INT64_MIN, 0);
	uint64_t end_position = atomic_load(&p->end_position);
	int64_t stable = decided(p);
	struct index_entry e;

	if (partition_size_bytes(p) <= keep_bytes)
		return;
	for (store_iter_seek(it, KEY_SLICE(first)); store_iter_valid(it); store_iter_next(it)) {
		if (!index_decode(store_iter_key(it), store_iter_value(it), &e) ||
		    e.partition_id != p->id || e.last_offset >= stable ||
		    index_position(p, &e) + keep_bytes > end_position)
			break;
		if (e.last_offset + 1 > t->offset)
			take_entry(t, &e);
	}
}

struct look {
	struct broker *broker;
	struct store_iter *iter; /* over the whole index */
	int64_t now_ms;
	struct trim *trims;
	size_t count;
	uint64_t bytes;
};

static enum ks_err look_at_partition(struct look *l, struct partition *p,
				     const struct topic_retention *r, struct ks_why *why)
{
	struct trim t = {.partition = p, .offset = -1};

	if (partition_size_bytes(p) == 0)
		return ERR_NONE;
	if (r->retention_ms >= 0)
		trim_by_age(l->iter, &t, l->now_ms - r->retention_ms);
	if (r->retention_bytes >= 0)
		trim_by_size(l->iter, &t, (uint64_t)r->retention_bytes);
	if (t.offset <= partition_log_start_offset(p))
		return ERR_NONE;
	l->trims[l->count++] = t;
	if (l->count < TRIMS_PER_WRITE)
		return ERR_NONE;
	l->count = 0;
	return carry_out(l->broker, l->trims, TRIMS_PER_WRITE, &l->bytes, why);
}

static enum ks_err look_at_topic(struct look *l, struct topic *t, struct ks_why *why)
{
	struct topic_retention r = topic_retention(t);
	enum ks_err err = ERR_NONE;

	if (!r.is_deleted_by_age || (r.retention_ms < 0 && r.retention_bytes < 0))
		return ERR_NONE;
	for (int32_t i = 0; i < topic_partition_count(t) && !err; i++)
		err = look_at_partition(l, topic_partition(t, i), &r, why);
	return err;
}

enum ks_err retention_run(struct broker *b, uint64_t *trimmed_bytes, struct ks_why *why)
{
	size_t count;
	struct topic **all = broker_topics(b, &count);
	enum ks_err err = ERR_NONE;
	struct look l = {
		.broker = b,
		.iter = store_iter_new(b->store, CF_INDEX, SLICE_NULL, SLICE_NULL),
		.now_ms = clock_now_ms(&b->clock),
		.trims = xmalloc(TRIMS_PER_WRITE * sizeof *l.trims),
	};

	for (size_t i = 0; i < count && !err; i++)
		err = look_at_topic(&l, all[i], why);
	if (!err)
		err = store_iter_error(l.iter, why);
	store_iter_free(l.iter);
	if (!err && l.count)
		err = carry_out(b, l.trims, l.count, &l.bytes, why);
	free(l.trims);
	free(all);
	if (trimmed_bytes)
		*trimmed_bytes = l.bytes;
	return err;
}

enum ks_err broker_reclaim(struct broker *b, struct ks_why *why)
{
	enum ks_err err = store_reclaim(b->store, CF_LOG, why);
	return err ? err : store_reclaim(b->store, CF_INDEX, why);
}

/* --- the thread --- */

struct retention {
	/* immutable after start */
	struct broker *broker;
	pthread_t thread;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t stop;
	bool is_stopping;

	/* owner: the thread */
	uint64_t unreclaimed_bytes;
};

static void tell(const char *what, const struct ks_why *why)
{
	log_error("retention", "%s: %s", what, why->text);
}

static void look_once(struct retention *r)
{
	struct ks_why why = {""};
	struct store_stats stats;
	uint64_t bytes = 0;

	if (shard_failure(r->broker->shard))
		return;
	if (retention_run(r->broker, &bytes, &why)) {
		tell("cannot trim", &why);
		return;
	}
	if (bytes)
		log_info("retention", "trimmed %" PRIu64 " bytes", bytes);
	r->unreclaimed_bytes += bytes + atomic_exchange(&r->broker->garbage_bytes, 0);
	store_stats(r->broker->store, &stats);
	if (r->unreclaimed_bytes < RECLAIM_BYTES_MIN || r->unreclaimed_bytes < stats.live_bytes / 4)
		return;
	r->unreclaimed_bytes = 0;
	if (broker_reclaim(r->broker, &why))
		tell("cannot give space back", &why);
}

/* true: stop. */
static bool sleep_until_next(struct retention *r)
{
	const struct timespec until = clock_deadline(r->broker->options.retention_check_ms);

	pthread_mutex_lock(&r->mtx);
	while (!r->is_stopping)
		if (pthread_cond_timedwait(&r->stop, &r->mtx, &until))
			break;
	bool stop = r->is_stopping;
	pthread_mutex_unlock(&r->mtx);
	return stop;
}

static void *run(void *arg)
{
	struct retention *r = arg;

	while (!sleep_until_next(r))
		look_once(r);
	return NULL;
}

struct retention *retention_start(struct broker *b)
{
	struct retention *r = xcalloc(1, sizeof *r);
	pthread_condattr_t attr;

	r->broker = b;
	pthread_mutex_init(&r->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->stop, &attr);
	pthread_condattr_destroy(&attr);
	int failed = pthread_create(&r->thread, NULL, run, r);
	assert(!failed && "no thread for retention");
	return r;
}

void retention_stop(struct retention *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->mtx);
	r->is_stopping = true;
	pthread_cond_signal(&r->stop);
	pthread_mutex_unlock(&r->mtx);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->stop);
	pthread_mutex_destroy(&r->mtx);
	free(r);
}

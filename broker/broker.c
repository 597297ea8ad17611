/* broker.c - opening, recovery and closing; see broker.h. */
#include "broker/broker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "broker/aborted.h"
#include "broker/compaction.h"
#include "broker/coordinator.h"
#include "broker/core.h"
#include "broker/producers.h"
#include "broker/retention.h"
#include "broker/shard.h"
#include "broker/transactions.h"
#include "wire/batch.h"

#define DEFAULT(field, value) ((field) ? (field) : (value))

static struct broker_options fill_in(const struct broker_options *o)
{
	struct broker_options all = *o;

	all.tail_bytes = DEFAULT(o->tail_bytes, 16 * 1024 * 1024);
	all.queue_bytes_max = DEFAULT(o->queue_bytes_max, 64 * 1024 * 1024);
	all.group_bytes_max = DEFAULT(o->group_bytes_max, 8 * 1024 * 1024);
	all.default_partitions = o->default_partitions > 0 ? o->default_partitions : 1;
	all.producer_expiration_ms = DEFAULT(o->producer_expiration_ms, 86400000);
	all.producers_max = DEFAULT(o->producers_max, 100000);
	all.retention_check_ms = DEFAULT(o->retention_check_ms, 30000);
	all.compaction_check_ms = DEFAULT(o->compaction_check_ms, 15000);
	all.compaction_map_bytes = DEFAULT(o->compaction_map_bytes, 128 * 1024 * 1024);
	return all;
}

/* --- recovery: what the store says about each partition --- */

static enum ks_err get_small(struct store *s, struct slice key, struct buf *value,
			     struct ks_why *why)
{
	buf_clear(value);
	enum ks_err err = store_get(s, CF_META, key, value);
	return err && err != ERR_NOT_FOUND ? ks_fail(why, err, "cannot read the store's counters")
					   : err;
}

/* All counters are absent in a new store. */
static enum ks_err load_counters(struct broker *b, uint64_t *batch_index, struct ks_why *why)
{
	struct buf value = {0};
	uint32_t leader_epoch;
	enum ks_err err = get_small(b->store, key_ids, &value, why);

	if (!err && !ids_decode(buf_slice(&value), &b->ids))
		err = ks_fail(why, ERR_CORRUPTION, "the counter of ids is malformed");
	if (!err || err == ERR_NOT_FOUND)
		err = get_small(b->store, key_batch_index, &value, why);
	if (!err && !batch_index_decode(buf_slice(&value), batch_index, &leader_epoch))
		err = ks_fail(why, ERR_CORRUPTION, "the counter of write batches is malformed");
	if (!err || err == ERR_NOT_FOUND)
		err = get_small(b->store, key_producer_ids, &value, why);
	if (!err && !producer_ids_decode(buf_slice(&value), &b->producer_ids.reserved))
		err = ks_fail(why, ERR_CORRUPTION, "the counter of producer ids is malformed");
	b->producer_ids.next = b->producer_ids.reserved;
	buf_fini(&value);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

struct recovery {
	struct store_iter *log, *index, *starts; /* over everything */
	uint32_t damaged; /* partitions whose newest batches could not be read */
};

static void find_start(struct recovery *r, const struct partition *p, struct log_start *start)
{
	struct key_id key = key_log_start(p->id);
	struct log_start found;

	*start = (struct log_start){.partition_id = p->id};
	store_iter_seek(r->starts, KEY_SLICE(key));
	if (store_iter_valid(r->starts) &&
	    log_start_decode(store_iter_key(r->starts), store_iter_value(r->starts), &found) &&
	    found.partition_id == p->id)
		*start = found;
}

static void find_indexed(struct recovery *r, const struct partition *p, struct log_end *end)
{
	struct key_index after = key_index(p->id + 1, INT64_MIN, 0);
	struct index_entry e;

	store_iter_seek_for_prev(r->index, KEY_SLICE(after));
	if (!store_iter_valid(r->index) ||
	    !index_decode(store_iter_key(r->index), store_iter_value(r->index), &e) ||
	    e.partition_id != p->id || e.last_offset < end->offset_next)
		return;
	*end = (struct log_end){e.last_offset + 1, e.max_timestamp, e.position, e.position};
}

/* What compaction has left counts for as much as an index entry; and positions of entries that an
 * interrupted cleaning wrote lack what it had removed. */
static void find_cleaned(struct recovery *r, struct partition *p, int64_t log_start,
			 struct log_end *end)
{
	struct key_id key = key_cleaned(p->id);
	struct cleaned c;

	store_iter_seek(r->starts, KEY_SLICE(key));
	if (!store_iter_valid(r->starts) ||
	    !cleaned_decode(store_iter_key(r->starts), store_iter_value(r->starts), &c) ||
	    c.partition_id != p->id)
		return;
	partition_set_cleaned(p, &c);
	if (end->offset_next > c.holes_below)
		return;
	if (c.offset >= end->offset_next && c.offset > log_start)
		*end = (struct log_end){c.offset, c.max_timestamp, c.position, c.position};
	else if (end->offset_next > log_start)
		end->position += c.removed_clean;
	end->position += c.removed_dirty;
}

/* Adds the batches of a value that the index has not counted yet. false: damaged. */
static bool count_batches(struct slice value, struct log_end *end)
{
	struct batch b;

	for (size_t at = 0; at < value.len; at += b.bytes.len) {
		if (batch_peek(slice_of(value.data + at, value.len - at), &b))
			return false;
		if (batch_last_offset(&b) < end->offset_next)
			continue;
		end->offset_next = batch_last_offset(&b) + 1;
		end->position += b.bytes.len;
		if (b.max_timestamp > end->max_timestamp && !batch_is_control(&b))
			end->max_timestamp = b.max_timestamp;
	}
	return true;
}

/* The index tells where the log stood at most 64 KiB, or one group, before its end; the rest is
 * walked. */
static void recover(struct recovery *r, struct partition *p)
{
	struct log_start start;
	uint32_t id;
	int64_t last_offset;

	find_start(r, p, &start);
	struct log_end end = {start.offset, -1, start.position, start.position};
	find_indexed(r, p, &end);
	find_cleaned(r, p, start.offset, &end);
	struct key_log key = key_log(p->id, end.offset_next);
	for (store_iter_seek(r->log, KEY_SLICE(key)); store_iter_valid(r->log);
	     store_iter_next(r->log)) {
		if (!key_log_decode(store_iter_key(r->log), &id, &last_offset) || id != p->id)
			break;
		if (!count_batches(store_iter_value(r->log), &end) ||
		    end.offset_next != last_offset + 1)
			r->damaged++;
		/* Whatever the value says, its offsets are taken. */
		end.offset_next = last_offset + 1;
	}
	partition_restore(p, start.offset, start.position, &end);
}

static enum ks_err recover_all(struct broker *b, struct ks_why *why)
{
	struct recovery r = {
		.log = store_iter_new(b->store, CF_LOG, SLICE_NULL, SLICE_NULL),
		.index = store_iter_new(b->store, CF_INDEX, SLICE_NULL, SLICE_NULL),
		.starts = store_iter_new(b->store, CF_TOPICS, SLICE_NULL, SLICE_NULL),
	};

	for (size_t i = 0; i < b->topics.count; i++)
		for (int32_t j = 0; j < topic_partition_count(b->topics.by_name[i]); j++)
			recover(&r, topic_partition(b->topics.by_name[i], j));
	enum ks_err err = store_iter_error(r.log, why);
	if (!err)
		err = store_iter_error(r.index, why);
	if (!err)
		err = store_iter_error(r.starts, why);
	store_iter_free(r.log);
	store_iter_free(r.index);
	store_iter_free(r.starts);
	if (!err && r.damaged)
		log_error("broker", "%" PRIu32 " stored values are damaged; reading them will fail",
			  r.damaged);
	return err;
}

/* What is stable, and what was aborted. */
static enum ks_err recover_transactions(struct broker *b, struct ks_why *why)
{
	struct store_iter *it = store_iter_new(b->store, CF_TXN, SLICE_NULL, SLICE_NULL);
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < b->topics.count; i++)
		for (int32_t j = 0; j < topic_partition_count(b->topics.by_name[i]) && !err; j++) {
			struct partition *p = topic_partition(b->topics.by_name[i], j);
			partition_restore_stable(p);
			err = aborted_load(p, it, why);
		}
	store_iter_free(it);
	return err;
}

/* --- opening and closing --- */

static void free_broker(struct broker *b)
{
	compaction_stop(b->compaction);
	retention_stop(b->retention);
	if (b->shard && b->txns)
		txns_stop(b->txns);
	bool has_failed = b->shard && shard_failure(b->shard);
	shard_stop(b->shard);
	txns_free(b->txns);
	coordinator_free(b->coordinator, has_failed);
	producer_table_free(b->producers);
	free(b->producer_expiry);
	topics_fini(&b->topics);
	job_table_free(b->jobs);
	config_defaults_fini(&b->topic_defaults);
	store_close(b->store);
	free(b->dir);
	free(b);
}

enum ks_err broker_default_check(const struct config_entry *entry, struct ks_why *why)
{
	struct config_defaults defaults = {0};
	enum ks_err err = config_defaults_set(&defaults, entry->key, entry->value, why);

	config_defaults_fini(&defaults);
	return err;
}

static enum ks_err take_defaults(struct broker *b, const struct broker_options *o,
				 struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < o->topic_default_count && !err; i++)
		err = config_defaults_set(&b->topic_defaults, o->topic_defaults[i].key,
					  o->topic_defaults[i].value, why);
	b->options.topic_defaults = NULL;
	b->options.topic_default_count = 0;
	return err;
}

enum ks_err broker_open_store(const struct broker_options *options, struct store *store,
			      struct broker **out, struct ks_why *why)
{
	struct broker *b = xcalloc(1, sizeof *b);
	uint64_t batch_index = 0;

	b->options = fill_in(options);
	b->dir = options->dir ? xstrdup(options->dir) : NULL;
	b->options.dir = b->dir;
	b->clock = options->clock ? *options->clock : clock_real;
	b->store = store;
	b->jobs = job_table_new();
	b->producers = producer_table_new(b->options.producers_max);
	topics_init(&b->topics);
	enum ks_err err = take_defaults(b, options, why);
	if (!err)
		err = load_counters(b, &batch_index, why);
	if (!err)
		err = topics_load(b, why);
	if (!err)
		err = job_table_load(b->jobs, store, why);
	if (!err)
		err = recover_all(b, why);
	if (!err)
		err = producers_load(b, why);
	if (!err)
		err = recover_transactions(b, why);
	if (!err)
		err = coordinator_open(b, &b->coordinator, why);
	if (!err)
		err = txns_open(b, &b->txns, why);
	if (err) {
		free_broker(b);
		return err;
	}
	b->shard = shard_start(b, batch_index);
	if (!options->store.read_only)
		err = topics_write_uuids(b, why);
	if (err) {
		free_broker(b);
		return err;
	}
	if (!options->store.read_only) {
		producers_watch_expiry(b);
		coordinator_start(b->coordinator);
		err = txns_start(b->txns, why);
	}
	if (err) {
		free_broker(b);
		return err;
	}
	if (!options->store.read_only) {
		b->retention = retention_start(b);
		b->compaction = compaction_start(b);
	}
	*out = b;
	return ERR_NONE;
}

enum ks_err broker_open(const struct broker_options *options, struct broker **out,
			struct ks_why *why)
{
	struct store *store;
	enum ks_err err;

	if (!options->dir)
		return broker_open_store(options, store_open_memory(), out, why);
	err = store_open(options->dir, &options->store, &store, why);
	return err ? err : broker_open_store(options, store, out, why);
}

void broker_close(struct broker *b)
{
	if (b)
		free_broker(b);
}

const char *broker_failure(struct broker *b)
{
	return shard_failure(b->shard);
}

struct store *broker_store(struct broker *b)
{
	return b->store;
}

const char *broker_dir(const struct broker *b)
{
	return b->options.dir;
}

int32_t broker_default_partitions(const struct broker *b)
{
	return b->options.default_partitions;
}

const struct clock *broker_clock(struct broker *b)
{
	return &b->clock;
}

void broker_stats(struct broker *b, struct broker_stats *out)
{
	shard_stats(b->shard, out);
}

/* --- appending --- */

/* The whole frame, when nothing else is said. */
static void set_batches(struct append *a)
{
	const struct frame *f = a->frame;

	if (!a->batches.data)
		a->batches = slice_of(f->data, f->len);
	assert(a->batches.data >= f->data && a->batches.data <= f->data + f->len &&
	       a->batches.len <= (size_t)(f->data + f->len - a->batches.data));
}

void broker_append(struct broker *b, struct append *a)
{
	set_batches(a);
	shard_append(b->shard, a);
}

bool broker_append_queue(struct broker *b, struct append *a)
{
	set_batches(a);
	return shard_append_queue(b->shard, a);
}

void broker_run_queued(struct broker *b)
{
	shard_run_queued(b->shard);
}

struct append_wait {
	struct append append;
	pthread_mutex_t mtx;
	pthread_cond_t done;
	bool is_done;
	enum ks_err err;
};

static void append_done(struct append *a, enum ks_err err)
{
	struct append_wait *w = (struct append_wait *)a;

	pthread_mutex_lock(&w->mtx);
	w->is_done = true;
	w->err = err;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->mtx);
}

enum ks_err broker_append_wait(struct broker *b, struct partition *p, struct frame *batches,
			       enum acks acks, int64_t *base_offset, struct ks_why *why)
{
	struct append_wait w = {
		.append = {.partition = p, .frame = batches, .acks = acks, .done = append_done},
	};

	pthread_mutex_init(&w.mtx, NULL);
	pthread_cond_init(&w.done, NULL);
	broker_append(b, &w.append);
	pthread_mutex_lock(&w.mtx);
	while (!w.is_done)
		pthread_cond_wait(&w.done, &w.mtx);
	pthread_mutex_unlock(&w.mtx);
	pthread_cond_destroy(&w.done);
	pthread_mutex_destroy(&w.mtx);
	if (w.err)
		return ks_fail(why, w.err, "append to %s-%" PRId32 ": %s", p->topic->name, p->index,
			       broker_failure(b) ? broker_failure(b) : ks_err_text(w.err));
	if (base_offset)
		*base_offset = w.append.base_offset;
	return ERR_NONE;
}

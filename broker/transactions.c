/* transactions.c - the table of transactional ids, calls, opening and closing; see transactions.h. */
#include "broker/transactions.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/markers.h"
#include "broker/producers.h"
#include "broker/transactions_impl.h"
#include "broker/transactions_offsets.h"

#define NS_PER_MS 1000000
#define PARTS_MAX 4000000 /* of all open transactions */

/* --- the table --- */

struct txn_entry *txn_find(const struct txns *c, struct slice id)
{
	return sorted_find(&c->ids, id);
}

static struct txn_entry **bucket_of(const struct txns *c, int64_t producer_id)
{
	return &c->buckets[(size_t)producer_id & (c->bucket_count - 1)];
}

struct txn_entry *txn_find_producer(const struct txns *c, int64_t producer_id)
{
	if (!c->bucket_count || producer_id < 0)
		return NULL;
	struct txn_entry *x = *bucket_of(c, producer_id);
	while (x && x->indexed_producer_id != producer_id)
		x = x->next_of_bucket;
	return x;
}

/* Ids are given out here, in a row: they need no mixing. */
static void index_grow(struct txns *c)
{
	if (c->ids.count <= c->bucket_count)
		return;
	free(c->buckets);
	c->bucket_count = c->bucket_count ? 2 * c->bucket_count : 64;
	c->buckets = xcalloc(c->bucket_count, sizeof(*c->buckets));
	for (size_t i = 0; i < c->ids.count; i++) {
		struct txn_entry *x = c->ids.items[i];
		if (x->indexed_producer_id < 0)
			continue;
		struct txn_entry **bucket = bucket_of(c, x->indexed_producer_id);
		x->next_of_bucket = *bucket;
		*bucket = x;
	}
}

static void index_move(struct txns *c, struct txn_entry *x, int64_t producer_id)
{
	if (x->indexed_producer_id == producer_id)
		return;
	if (x->indexed_producer_id >= 0) {
		struct txn_entry **at = bucket_of(c, x->indexed_producer_id);
		while (*at != x)
			at = &(*at)->next_of_bucket;
		*at = x->next_of_bucket;
	}
	x->indexed_producer_id = producer_id;
	if (producer_id < 0)
		return;
	struct txn_entry **bucket = bucket_of(c, producer_id);
	x->next_of_bucket = *bucket;
	*bucket = x;
}

static struct txn_entry *entry_new(struct txns *c, struct slice id)
{
	struct txn_entry *x = xcalloc(1, sizeof *x);

	x->id = text_copy(id);
	x->t = TRANSACTION_NONE;
	x->indexed_producer_id = -1;
	sorted_add(&c->ids, x);
	index_grow(c);
	txns_watch_ids(c);
	return x;
}

struct txn_entry *txn_add(struct txns *c, struct slice id)
{
	return c->ids.count < (size_t)c->options.ids_max ? entry_new(c, id) : NULL;
}

bool txn_has_room(const struct txns *c, size_t parts)
{
	return c->part_count + parts <= PARTS_MAX;
}

static void entry_remove(struct txns *c, struct txn_entry *x)
{
	assert(!x->is_open && LIST_EMPTY(&x->pending));
	index_move(c, x, -1);
	sorted_remove(&c->ids, x);
	transaction_fini(&x->t);
	text_free(&x->id);
	free(x);
}

/* Brings along what hangs on the value of x, which may be gone then. */
static void note(struct txns *c, struct txn_entry *x)
{
	bool is_open = x->t.state == TRANSACTION_ONGOING;

	if (is_open && !x->is_open) {
		TAILQ_INSERT_TAIL(&c->open, x, in_open);
		c->open_count++;
		txns_watch_open(c);
	} else if (!is_open && x->is_open) {
		TAILQ_REMOVE(&c->open, x, in_open);
		c->open_count--;
	}
	x->is_open = is_open;
	c->part_count += x->t.parts.partition_count - (size_t)x->part_count;
	x->part_count = x->t.parts.partition_count;
	index_move(c, x, x->t.producer_id);
	if (x->t.producer_id < 0)
		entry_remove(c, x);
	const struct txn_entry *oldest = TAILQ_FIRST(&c->open);
	atomic_store(&c->oldest_start_ms, oldest ? oldest->t.start_ms : INT64_MAX);
	atomic_store(&c->opened, c->open_count);
	atomic_store(&c->id_count, c->ids.count);
}

/* --- carrying out --- */

static void put(struct txns *c, struct txn_entry *x, struct group *g)
{
	buf_clear(&c->key);
	key_transaction(x->id, &c->key);
	if (x->t.producer_id < 0) {
		store_delete(g->write, CF_TXN, buf_slice(&c->key));
		return;
	}
	buf_clear(&c->value);
	value_transaction(&x->t, &c->value);
	store_put(g->write, CF_TXN, buf_slice(&c->key), buf_slice(&c->value));
}

/* A partition without records of the transaction gets no marker: its readers wait for none. */
static void end(struct txns *c, struct txn_entry *x, const struct transaction_effects *fx,
		struct group *g)
{
	struct marker m = {
		.producer_id = fx->marker_producer_id,
		.coordinator_epoch = LEADER_EPOCH,
		.producer_epoch = fx->marker_epoch,
		.is_commit = fx->is_committed,
	};

	for (uint32_t i = 0; i < fx->ended.partition_count; i++) {
		struct partition *p = topics_partition(&c->broker->topics, fx->ended.partitions[i]);
		if (p)
			group_end_open(g, p, &m);
	}
	pending_offsets_end(c, x, fx, g);
	atomic_fetch_add(fx->is_committed ? &c->committed : &c->aborted, 1);
	g->needs_sync = true;
}

void txn_settle(struct txn_step *s, struct txn_entry *x, struct transaction_effects *fx)
{
	if (fx->used_id) {
		int64_t id = producers_take_id(s->c->broker, s->g);
		assert(id == x->t.producer_id);
	}
	if (fx->is_ended)
		end(s->c, x, fx, s->g);
	if (fx->is_changed)
		put(s->c, x, s->g);
	transaction_effects_fini(fx);
	note(s->c, x);
}

/* --- what requests have in common --- */

enum ks_err txn_check_id(struct slice id)
{
	return id.len == 0 || id.len > TRANSACTIONAL_ID_MAX ? ERR_INVALID_REQUEST : ERR_NONE;
}

int16_t txn_code(enum ks_err err, const struct coordinator_call *call)
{
	return (int16_t)transaction_wire_error(err, call->api_key, call->version);
}

enum ks_err txn_check_connection(struct txns *c, struct txn_entry *x, enum defence_kind kind,
				 const struct transaction_claim *claim, uint64_t connection)
{
	if (c->options.no_connection_defence || connection == 0)
		return ERR_NONE;
	return defence_check(&x->defence, kind, &x->t, claim, connection);
}

bool txns_has_producer(const struct txns *c, int64_t producer_id)
{
	return txn_find_producer(c, producer_id);
}

/* --- calls --- */

struct txn_errand {
	struct task task;
	struct txns *txns;
	struct coordinator_call *call;
};

static void answer(void *arg, enum ks_err err)
{
	struct txn_errand *e = arg;

	e->call->err = err;
	e->call->done(e->call);
	free(e);
}

static void carry_out(struct txn_step *s, struct coordinator_call *call)
{
	switch ((enum wire_api_key)call->api_key) {
	case API_init_producer_id:
		txn_init_producer(s, call);
		break;
	case API_add_partitions_to_txn:
		txn_add_partitions(s, call);
		break;
	case API_add_offsets_to_txn:
		txn_add_offsets(s, call);
		break;
	case API_end_txn:
		txn_end(s, call);
		break;
	case API_txn_offset_commit:
		txn_commit_offsets(s, call);
		break;
	case API_list_transactions:
		txn_list(s, call);
		break;
	case API_describe_transactions:
		txn_describe(s, call);
		break;
	case API_write_txn_markers:
		txn_write_markers(s, call);
		break;
	default:
		assert(false && "not a request of transactions");
	}
}

static void apply(struct task *t, struct group *g)
{
	struct txn_errand *e = (struct txn_errand *)t;
	struct txn_step s = {e->txns, g, clock_monotonic_ns(&e->txns->broker->clock) / NS_PER_MS};

	if (!g->failed)
		carry_out(&s, e->call);
	if (KS_SEEDED_BUG(3021))
		answer(e, ERR_NONE);
	else
		group_after(g, answer, e);
}

void broker_txn_call(struct broker *b, struct coordinator_call *call)
{
	struct txn_errand *e = xmalloc(sizeof *e);

	*e = (struct txn_errand){.task = {apply}, .txns = b->txns, .call = call};
	(call->is_queued ? shard_task_queue : shard_task)(b->shard, &e->task,
							  call->request_bytes + sizeof *e);
}

void broker_txn_stats(struct broker *b, struct txn_stats *out)
{
	struct txns *c = b->txns;
	int64_t start_ms = atomic_load(&c->oldest_start_ms), now_ms = clock_now_ms(&b->clock);

	*out = (struct txn_stats){
		.ids = atomic_load(&c->id_count),
		.open = atomic_load(&c->opened),
		.committed = atomic_load(&c->committed),
		.aborted = atomic_load(&c->aborted),
		.timed_out = atomic_load(&c->timed_out),
		.hanging = atomic_load(&c->hanging),
		.oldest_ms = start_ms < now_ms ? now_ms - start_ms : 0,
	};
}

/* --- opening and closing --- */

#define DEFAULT(field, value) ((field) ? (field) : (value))

static struct txn_options fill_in(const struct txn_options *o)
{
	struct txn_options all = *o;

	all.max_timeout_ms = DEFAULT(o->max_timeout_ms, 900000);
	all.id_expiration_ms = DEFAULT(o->id_expiration_ms, 604800000);
	all.abort_interval_ms = DEFAULT(o->abort_interval_ms, 10000);
	all.cleanup_interval_ms = DEFAULT(o->cleanup_interval_ms, 3600000);
	all.ids_max = DEFAULT(o->ids_max, 100000);
	all.check_interval_ms = DEFAULT(o->check_interval_ms, 60000);
	return all;
}

/* The store's order would make them a list if they were sorted by it: by their start here. */
static int compare_start(const void *a, const void *b)
{
	const struct txn_entry *x = *(struct txn_entry *const *)a,
			       *y = *(struct txn_entry *const *)b;

	return (x->t.start_ms > y->t.start_ms) - (x->t.start_ms < y->t.start_ms);
}

static void note_all(struct txns *c)
{
	size_t count = c->ids.count;
	struct txn_entry **all = xmalloc((count + 1) * sizeof(*all));

	for (size_t i = 0; i < count; i++)
		all[i] = c->ids.items[i];
	qsort(all, count, sizeof(*all), compare_start);
	for (size_t i = 0; i < count; i++)
		note(c, all[i]);
	free(all);
}

static enum ks_err load(struct txns *c, struct ks_why *why)
{
	static const uint8_t first[] = {KEY_TYPE_TRANSACTION}, after[] = {KEY_TYPE_TRANSACTION + 1};
	struct store_iter *it =
		store_iter_new(c->broker->store, CF_TXN, slice_of(first, sizeof first),
			       slice_of(after, sizeof after));
	enum ks_err err = ERR_NONE;
	struct slice id;

	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct transaction t;
		if (!key_transaction_decode(store_iter_key(it), &id) ||
		    !value_transaction_decode(store_iter_value(it), &t)) {
			err = ks_fail(why, ERR_CORRUPTION,
				      "the record of a transactional id is malformed");
			break;
		}
		entry_new(c, id)->t = t;
	}
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

enum ks_err txns_open(struct broker *b, struct txns **out, struct ks_why *why)
{
	struct txns *c = xcalloc(1, sizeof *c);

	c->broker = b;
	c->options = fill_in(&b->options.txns);
	c->tick = (struct tick){.run = txns_watch, .arg = c};
	c->due.timeouts = c->due.expiry = c->due.hanging = INT64_MAX;
	TAILQ_INIT(&c->open);
	enum ks_err err = load(c, why);
	note_all(c);
	if (!err)
		err = pending_offsets_load(c, why);
	if (!err)
		err = txns_power_load(c, why);
	if (err) {
		txns_free(c);
		return err;
	}
	*out = c;
	return ERR_NONE;
}

void txns_free(struct txns *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->ids.count; i++) {
		struct txn_entry *x = c->ids.items[i];
		pending_offsets_free(c, x);
		transaction_fini(&x->t);
		text_free(&x->id);
		free(x);
	}
	sorted_fini(&c->ids);
	free(c->buckets);
	buf_fini(&c->due.at);
	buf_fini(&c->key);
	buf_fini(&c->value);
	free(c);
}

/* producers.c - see producers.h.
 *
 * As with the ends of logs, a group works on copies: the first batch of a producer in a partition
 * copies its state, later ones of the group continue there. The copies go into the group's write,
 * next to the batches, and into the table when it has returned.
 */
#include "broker/producers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/seeded.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "broker/transactions.h"
#include "wire/batch.h"

#define IDS_PER_BLOCK     1000
#define EPOCH_LAST        (INT16_MAX - 1) /* the highest that is given out, as Kafka has it */
#define EXPIRED_PER_WRITE 1000
#define EXPIRY_MS_MAX     86400000 /* until it looks again */

/* --- the group's copies --- */

const struct producer_state *group_producer_state(const struct group *g, const struct producer *p)
{
	static const struct producer_state unknown = PRODUCER_UNKNOWN_INIT;

	if (!p)
		return &unknown;
	return p->pending ? &g->producing[p->pending - 1].state : &p->state;
}

static struct producer_claim claim_of(const struct batch *b)
{
	return (struct producer_claim){
		.base_sequence = b->base_sequence,
		.last_offset_delta = b->last_offset_delta,
		.epoch = b->producer_epoch,
		.is_transactional = batch_is_transactional(b),
	};
}

/* Room for one more producer: those that were quiet for longest are forgotten. */
static void make_room(struct group *g, struct producer_table *t)
{
	struct producer *oldest;

	while (producer_table_is_full(t) && (oldest = producer_oldest(t))) {
		struct key_producer key = key_producer(oldest->map->partition_id, oldest->id);
		store_delete(g->write, CF_TXN, KEY_SLICE(key));
		producer_drop(t, oldest);
	}
}

void producers_will_age(struct broker *b)
{
	if (!producer_oldest(b->producers))
		shard_tick_by(b->producer_expiry, INT64_MIN); /* it slept */
}

static struct producing *copy_of(struct group *g, struct partition *p, struct producer *known,
				 int64_t producer_id)
{
	struct broker *b = p->topic->broker;

	if (!known) {
		make_room(g, b->producers);
		producers_will_age(b);
		known = producer_new(b->producers, &p->producers, producer_id);
	}
	if (!known->pending) {
		if (g->producing_count == g->producing_cap) {
			g->producing_cap = g->producing_cap ? 2 * g->producing_cap : 16;
			g->producing =
				xrealloc(g->producing, g->producing_cap * sizeof *g->producing);
		}
		g->producing[g->producing_count++] =
			(struct producing){b->producers, known, known->state, known->txn_position};
		known->pending = g->producing_count;
	}
	return &g->producing[known->pending - 1];
}

struct producer_state *group_producer_copy(struct group *g, struct partition *p,
					   struct producer *known, int64_t producer_id)
{
	return &copy_of(g, p, known, producer_id)->state;
}

/* What the producer is once its batches are appended, which come next. */
static void take(struct group *g, struct partition *p, struct producing *to,
		 const struct producer_state *next)
{
	if (to->state.txn_first_offset < 0 && next->txn_first_offset >= 0)
		to->txn_position = group_position(g, p);
	to->state = *next;
}

/* Of several batches in one command: adds them to s, which is a copy that can be thrown away. */
static enum ks_err add_all(struct producer_state *s, struct slice batches, int64_t base_offset,
			   int64_t now_ms, bool is_repeated)
{
	const struct producer_batch *duplicate;
	struct batch b;

	for (size_t at = 0; at < batches.len; at += b.bytes.len) {
		enum ks_err err = batch_peek(slice_of(batches.data + at, batches.len - at), &b);
		assert(!err && "group_check comes first");
		struct producer_claim claim = claim_of(&b);
		if (claim.base_sequence < 0 || claim.epoch < 0)
			return ERR_INVALID_RECORD;
		err = producer_check(s, &claim, &duplicate);
		if (err)
			return err;
		if ((duplicate != NULL) != is_repeated)
			return ERR_INVALID_RECORD;
		if (!is_repeated)
			producer_add(s, &claim, base_offset, now_ms);
		base_offset += b.last_offset_delta + 1;
	}
	return ERR_NONE;
}

enum ks_err group_check_producer(struct group *g, struct partition *p, struct slice batches,
				 int64_t base_offset, const struct producer_batch **duplicate)
{
	struct batch first;
	enum ks_err err = batch_peek(batches, &first);

	assert(!err && "group_check comes first");
	struct producer_claim claim = claim_of(&first);
	if (claim.base_sequence < 0 || claim.epoch < 0)
		return ERR_INVALID_RECORD;
	struct producer_table *t = p->topic->broker->producers;
	struct producer *known = producer_find(t, &p->producers, first.producer_id);
	const struct producer_state *state = group_producer_state(g, known);
	err = producer_check(state, &claim, duplicate);
	if (err)
		return err;
	if (first.bytes.len < batches.len) {
		struct producer_state next = *state;
		err = add_all(&next, batches, base_offset, g->now_ms, *duplicate != NULL);
		if (!err && !*duplicate)
			take(g, p, copy_of(g, p, known, first.producer_id), &next);
		return err;
	}
	if (*duplicate)
		return ERR_NONE;
	struct producing *copy = copy_of(g, p, known, first.producer_id);
	if (copy->state.txn_first_offset < 0)
		copy->txn_position = group_position(g, p);
	producer_add(&copy->state, &claim, base_offset,
		     KS_SEEDED_BUG(2061) ? first.max_timestamp : g->now_ms);
	if (KS_SEEDED_BUG(2041))
		copy->producer->state = copy->state;
	return ERR_NONE;
}

void group_finish_producers(struct group *g)
{
	uint8_t value[VALUE_PRODUCER_BYTES_MAX];

	for (size_t i = 0; i < g->producing_count; i++) {
		const struct producer *p = g->producing[i].producer;
		struct key_producer key = key_producer(p->map->partition_id, p->id);
		size_t len = value_producer(&g->producing[i].state, value);
		store_put(g->write, CF_TXN, KEY_SLICE(key), slice_of(value, len));
	}
}

void group_publish_producers(struct group *g)
{
	for (size_t i = 0; i < g->producing_count; i++) {
		struct producing *x = &g->producing[i];
		x->producer->txn_position = x->txn_position;
		producer_set(x->table, x->producer, &x->state);
	}
}

/* Those that the table did not know and still does not leave it. */
void group_clear_producers(struct group *g)
{
	for (size_t i = 0; i < g->producing_count; i++) {
		struct producer *p = g->producing[i].producer;
		p->pending = 0;
		if (p->state.epoch < 0)
			producer_drop(g->producing[i].table, p);
	}
	g->producing_count = 0;
}

/* --- opening, expiry --- */

/* Forgets who was quiet for too long. They go a little late, so that many go together. */
static int64_t expire(void *arg, struct group *g, int64_t now_ns)
{
	struct broker *b = arg;
	int64_t expiration_ms = b->options.producer_expiration_ms, left_ms = 0;
	struct producer *p;

	for (int i = 0; (p = producer_oldest(b->producers)); i++) {
		left_ms = expiration_ms - (g->now_ms - p->state.last_ms);
		if (left_ms > 0 || i == EXPIRED_PER_WRITE)
			break;
		struct key_producer key = key_producer(p->map->partition_id, p->id);
		store_delete(g->write, CF_TXN, KEY_SLICE(key));
		producer_drop(b->producers, p);
	}
	if (!p)
		return INT64_MAX;
	if (left_ms <= 0)
		return now_ns;
	int64_t wait_ms = left_ms < EXPIRY_MS_MAX ? left_ms + expiration_ms / 100 : EXPIRY_MS_MAX;
	return now_ns + wait_ms * 1000000;
}

static struct producer_map *find_map(void *arg, uint32_t partition_id)
{
	struct broker *b = arg;
	struct partition *p = topics_partition(&b->topics, partition_id);

	return p ? &p->producers : NULL;
}

enum ks_err producers_load(struct broker *b, struct ks_why *why)
{
	b->producer_expiry = xcalloc(1, sizeof *b->producer_expiry);
	*b->producer_expiry = (struct tick){.run = expire, .arg = b};
	if (KS_SEEDED_BUG(2091))
		return ERR_NONE;
	return producer_table_load(b->producers, b->store, find_map, b, why);
}

void producers_watch_expiry(struct broker *b)
{
	shard_tick_add(b->shard, b->producer_expiry);
}

/* --- ids --- */

struct id_task {
	struct task task;
	struct broker *broker;
	struct producer_id_call *call;
};

static void id_done(void *arg, enum ks_err err)
{
	struct id_task *t = arg;
	struct producer_id_call *call = t->call;

	free(t);
	call->done(call, err);
}

/* Ids are reserved by the thousand, in a write that is on the disk before the first of them is
 * answered: after a crash the rest of a block is lost, and none is given out twice. */
int64_t producers_take_id(struct broker *b, struct group *g)
{
	if (b->producer_ids.next == b->producer_ids.reserved) {
		b->producer_ids.reserved += IDS_PER_BLOCK;
		struct value_producer_ids value = value_producer_ids(b->producer_ids.reserved);
		store_put(g->write, CF_META, key_producer_ids, KEY_SLICE(value));
		g->needs_sync = true;
	}
	return b->producer_ids.next++;
}

int64_t producers_next_id(const struct broker *b)
{
	return b->producer_ids.next;
}

static void id_apply(struct task *task, struct group *g)
{
	struct id_task *t = (struct id_task *)task;
	struct producer_id_call *c = t->call;
	bool is_ours = c->producer_id >= 0 && c->producer_id < t->broker->producer_ids.next;

	/* The epochs of a transactional producer are its coordinator's. */
	is_ours = is_ours &&
		  (!txns_has_producer(t->broker->txns, c->producer_id) || KS_SEEDED_BUG(216));
	if (is_ours && c->producer_epoch >= 0 && c->producer_epoch < EPOCH_LAST) {
		c->producer_epoch++;
	} else {
		c->producer_id = producers_take_id(t->broker, g);
		c->producer_epoch = 0;
	}
	group_after(g, id_done, t);
}

void broker_producer_id(struct broker *b, struct producer_id_call *c)
{
	struct id_task *t = xmalloc(sizeof *t);

	*t = (struct id_task){{id_apply}, b, c};
	shard_task(b->shard, &t->task, sizeof *t);
}

/* --- any thread --- */

enum ks_err broker_partition_producers(struct broker *b, struct partition *p,
				       struct producer_row **rows, size_t *count)
{
	if (topic_is_gone(p->topic))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	struct producer_copy *all = producer_map_list(b->producers, &p->producers, count);
	*rows = xmalloc((*count + 1) * sizeof(**rows));
	for (size_t i = 0; i < *count; i++)
		(*rows)[i] = (struct producer_row){
			.producer_id = all[i].id,
			.last_timestamp = all[i].state.last_ms,
			.last_sequence = all[i].state.last_sequence,
			.producer_epoch = all[i].state.epoch,
			.coordinator_epoch = all[i].state.coordinator_epoch,
			.txn_start_offset = all[i].state.txn_first_offset,
		};
	free(all);
	return ERR_NONE;
}

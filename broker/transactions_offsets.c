/* transactions_offsets.c - see transactions_offsets.h. */
#include "broker/transactions_offsets.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "broker/offsets.h"
#include "broker/transactions_impl.h"

/* Of all open transactions, in memory. */
#define PENDING_BYTES_MAX ((size_t)256 << 20)
#define PENDING_COST      sizeof(struct pending_offset)

struct pending_offset {
	uint32_t partition_id;
	uint64_t order;         /* see keys.h */
	struct stored_offset o; /* the metadata is its own */
};

/* What one transaction has for one group. */
struct pending_offsets {
	struct txns *txns;
	struct txn_entry *transaction;
	struct coordinated *group;
	LIST_ENTRY(pending_offsets) in_group, in_transaction;
	struct pending_offset *v; /* by partition */
	size_t count, cap;
};

/* --- in memory --- */

static size_t place_of(const struct pending_offsets *set, uint32_t partition_id)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->v[middle].partition_id < partition_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct pending_offset *find(const struct pending_offsets *set, uint32_t partition_id)
{
	size_t at = place_of(set, partition_id);

	return at < set->count && set->v[at].partition_id == partition_id ? &set->v[at] : NULL;
}

bool pending_offsets_has(const struct coordinated *x, uint32_t partition_id)
{
	const struct pending_offsets *set;

	LIST_FOREACH(set, &x->pending, in_group)
	{
		if (find(set, partition_id))
			return true;
	}
	return false;
}

static struct pending_offsets *set_of(struct txns *c, struct txn_entry *x,
				      struct coordinated *group)
{
	struct pending_offsets *set;

	LIST_FOREACH(set, &x->pending, in_transaction)
	{
		if (set->group == group)
			return set;
	}
	set = xcalloc(1, sizeof *set);
	*set = (struct pending_offsets){.txns = c, .transaction = x, .group = group};
	LIST_INSERT_HEAD(&x->pending, set, in_transaction);
	LIST_INSERT_HEAD(&group->pending, set, in_group);
	return set;
}

static void remember(struct txns *c, struct pending_offsets *set, uint32_t partition_id,
		     uint64_t order, const struct stored_offset *o)
{
	size_t at = place_of(set, partition_id);
	struct slice metadata = text_copy(o->metadata);

	if (at < set->count && set->v[at].partition_id == partition_id) {
		c->pending_bytes -= PENDING_COST + set->v[at].o.metadata.len;
		text_free(&set->v[at].o.metadata);
	} else {
		if (set->count == set->cap) {
			set->cap = set->cap ? 2 * set->cap : 4;
			set->v = xrealloc(set->v, set->cap * sizeof *set->v);
		}
		memmove(set->v + at + 1, set->v + at, (set->count++ - at) * sizeof *set->v);
	}
	set->v[at] = (struct pending_offset){partition_id, order, *o};
	set->v[at].o.metadata = metadata;
	c->pending_bytes += PENDING_COST + metadata.len;
	if (c->pending_order < order)
		c->pending_order = order;
}

static void set_free(struct txns *c, struct pending_offsets *set)
{
	for (size_t i = 0; i < set->count; i++) {
		c->pending_bytes -= PENDING_COST + set->v[i].o.metadata.len;
		text_free(&set->v[i].o.metadata);
	}
	LIST_REMOVE(set, in_group);
	LIST_REMOVE(set, in_transaction);
	free(set->v);
	free(set);
}

/* --- in the store --- */

static void put_one(struct txns *c, const struct pending_offsets *set, int64_t producer_id,
		    const struct pending_offset *p, struct group *g)
{
	buf_clear(&c->key);
	buf_clear(&c->value);
	key_pending(&c->key, producer_id, set->group->name, p->partition_id);
	pending_encode(&c->value, p->order, &p->o);
	store_put(g->write, CF_TXN, buf_slice(&c->key), buf_slice(&c->value));
}

static void delete_one(struct txns *c, const struct pending_offsets *set, int64_t producer_id,
		       uint32_t partition_id, struct group *g)
{
	buf_clear(&c->key);
	key_pending(&c->key, producer_id, set->group->name, partition_id);
	store_delete(g->write, CF_TXN, buf_slice(&c->key));
}

static void delete_all(struct txns *c, const struct pending_offsets *set, int64_t producer_id,
		       struct group *g)
{
	for (size_t i = 0; i < set->count; i++)
		delete_one(c, set, producer_id, set->v[i].partition_id, g);
}

/* --- other commits --- */

/* What has a lower order. */
static void overtake(struct coordinated *x, uint32_t partition_id, uint64_t order, struct group *g)
{
	struct pending_offsets *set;

	LIST_FOREACH(set, &x->pending, in_group)
	{
		struct pending_offset *p = find(set, partition_id);
		if (!p || p->order == 0 || p->order >= order)
			continue;
		p->order = 0;
		put_one(set->txns, set, set->transaction->indexed_producer_id, p, g);
	}
}

void pending_offsets_overtake(struct coordinated *x, uint32_t partition_id, struct group *g)
{
	if (!KS_SEEDED_BUG(3053))
		overtake(x, partition_id, UINT64_MAX, g);
}

void pending_offsets_drop(struct coordinated *x, uint32_t partition_id, struct group *g)
{
	struct pending_offsets *set;

	LIST_FOREACH(set, &x->pending, in_group)
	{
		struct pending_offset *p = find(set, partition_id);
		if (!p || KS_SEEDED_BUG(3054))
			continue;
		set->txns->pending_bytes -= PENDING_COST + p->o.metadata.len;
		text_free(&p->o.metadata);
		memmove(p, p + 1, (size_t)(set->v + set->count-- - (p + 1)) * sizeof *p);
		delete_one(set->txns, set, set->transaction->indexed_producer_id, partition_id, g);
	}
}

/* --- the end --- */

/* The topic may be gone meanwhile: its offsets are nobody's. */
static bool is_wanted(const struct txns *c, const struct pending_offset *p)
{
	return p->order > 0 &&
	       (topics_partition(&c->broker->topics, p->partition_id) || KS_SEEDED_BUG(3052));
}

static void promote(struct txns *c, const struct pending_offsets *set, struct group *g)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct pending_offset *p = &set->v[i];
		if (!is_wanted(c, p))
			continue;
		overtake(set->group, p->partition_id, p->order, g);
		offset_put_stored(g->write, &c->key, set->group->name, p->partition_id, &p->o);
		set->group->has_offsets = true;
	}
}

static void end_set(struct txns *c, struct pending_offsets *set, int64_t producer_id,
		    bool is_commit, struct group *g)
{
	struct coordinated *group = set->group;

	if (is_commit != KS_SEEDED_BUG(3012))
		promote(c, set, g);
	delete_all(c, set, producer_id, g);
	set_free(c, set);
	coordinator_count(c->broker->coordinator, group);
}

void pending_offsets_end(struct txns *c, struct txn_entry *x, const struct transaction_effects *fx,
			 struct group *g)
{
	struct pending_offsets *set;

	/* Under the id that the transaction had: the entry may have the next one already. */
	while ((set = LIST_FIRST(&x->pending))) {
		assert(transaction_parts_has_group(&fx->ended, set->group->name));
		end_set(c, set, x->indexed_producer_id, fx->is_committed, g);
	}
}

void pending_offsets_drop_group(struct coordinated *group, struct group *g)
{
	struct pending_offsets *set;

	while ((set = KS_SEEDED_BUG(3051) ? NULL : LIST_FIRST(&group->pending))) {
		delete_all(set->txns, set, set->transaction->indexed_producer_id, g);
		set_free(set->txns, set);
	}
}

void pending_offsets_free(struct txns *c, struct txn_entry *x)
{
	struct pending_offsets *set;

	while ((set = LIST_FIRST(&x->pending)))
		set_free(c, set);
}

/* --- TxnOffsetCommit --- */

static enum ks_err admit_group(struct txn_step *s, const struct coordinator_call *call,
			       struct txn_entry *x, struct coordinated **group)
{
	const struct txn_offset_commit_request *q = call->request;
	struct transaction_claim claim = {q->producer_id, q->producer_epoch,
					  call->version > 4 ? 2 : 1};
	struct coordinator *groups = s->c->broker->coordinator;
	struct transaction_effects fx;
	bool is_new = false;

	enum ks_err err = txn_check_connection(s->c, x, DEFENCE_OFFSETS, &claim, call->connection);
	if (!err)
		err = transaction_check_group(&x->t, &claim, q->group_id, &is_new);
	*group = coordinator_find(groups, q->group_id);
	if (!err && !KS_SEEDED_BUG(66))
		err = coordinator_check_txn_commit(*group, q);
	if (err)
		return err;
	if (!*group)
		*group = coordinator_add(groups, q->group_id);
	if (!*group)
		return ERR_GROUP_MAX_SIZE_REACHED;
	if (!is_new)
		return ERR_NONE;
	err = transaction_add_group(&x->t, &claim, q->group_id, s->g->now_ms, &fx);
	txn_settle(s, x, &fx);
	if (err)
		coordinator_count(groups, *group); /* it may have been made for this */
	return err;
}

static enum ks_err check_all(struct txn_step *s, const struct coordinator_call *call,
			     struct txn_entry **x, struct coordinated **group)
{
	const struct txn_offset_commit_request *q = call->request;
	enum ks_err err = txn_check_id(q->transactional_id);

	if (!err)
		err = coordinator_check_name(q->group_id);
	if (err)
		return err;
	*x = txn_find(s->c, q->transactional_id);
	return *x ? admit_group(s, call, *x, group) : ERR_INVALID_PRODUCER_ID_MAPPING;
}

static enum ks_err commit_one(struct txn_step *s, struct txn_entry *x, struct pending_offsets *set,
			      struct topic *t,
			      const struct txn_offset_commit_request_partition *from)
{
	struct txns *c = s->c;
	const struct partition *p = coordinator_partition(t, from->partition_index);
	size_t metadata_max = (size_t)c->broker->coordinator->options.offset_metadata_max_bytes;

	if (!p)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (from->committed_metadata.len > metadata_max)
		return ERR_OFFSET_METADATA_TOO_LARGE;
	if (c->pending_bytes + PENDING_COST + from->committed_metadata.len > PENDING_BYTES_MAX)
		return ERR_INVALID_COMMIT_OFFSET_SIZE;
	struct stored_offset o = {
		.offset = from->committed_offset,
		.commit_time_ms = s->g->now_ms,
		.expire_time_ms = -1,
		.leader_epoch = from->committed_leader_epoch,
		.metadata =
			from->committed_metadata.data ? from->committed_metadata : slice_str(""),
	};
	remember(c, set, p->id, c->pending_order + 1, &o);
	put_one(c, set, x->t.producer_id, find(set, p->id), s->g);
	return ERR_NONE;
}

void txn_commit_offsets(struct txn_step *s, struct coordinator_call *call)
{
	const struct txn_offset_commit_request *q = call->request;
	struct txn_offset_commit_response *r = call->response;
	struct pending_offsets *set = NULL;
	struct coordinated *group = NULL;
	struct txn_entry *x = NULL;
	enum ks_err err = check_all(s, call, &x, &group);

	if (!err)
		set = set_of(s->c, x, group);
	COORDINATOR_MAKE(call, r->topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		const struct txn_offset_commit_request_topic *from = &q->topics.v[i];
		struct txn_offset_commit_response_topic *to = &r->topics.v[i];
		struct topic *t = topic_of_name(s->c->broker, from->name);
		to->name = from->name;
		COORDINATOR_MAKE(call, to->partitions, from->partitions.n);
		for (int32_t k = 0; k < from->partitions.n; k++) {
			const struct txn_offset_commit_request_partition *p =
				&from->partitions.v[k];
			enum ks_err one = err ? err : commit_one(s, x, set, t, p);
			to->partitions.v[k] = (struct txn_offset_commit_response_partition){
				p->partition_index, txn_code(one, call)};
		}
	}
}

/* --- loading --- */

static bool load_one(struct txns *c, struct slice key, struct slice value)
{
	struct coordinator *groups = c->broker->coordinator;
	struct stored_offset o;
	struct slice name;
	uint32_t partition_id;
	int64_t producer_id;
	uint64_t order;

	if (!key_pending_decode(key, &producer_id, &name, &partition_id) ||
	    !pending_decode(value, &order, &o))
		return false;
	struct txn_entry *x = txn_find_producer(c, producer_id);
	if (!x || !transaction_parts_has_group(&x->t.parts, name)) {
		log_error("txn", "an offset of group \"%.*s\" belongs to no open transaction",
			  (int)name.len, (const char *)name.data);
		return true;
	}
	struct coordinated *group = coordinator_find_or_load(groups, name);
	remember(c, set_of(c, x, group), partition_id, order, &o);
	return true;
}

enum ks_err pending_offsets_load(struct txns *c, struct ks_why *why)
{
	static const uint8_t first[] = {KEY_TYPE_PENDING}, after[] = {KEY_TYPE_PENDING + 1};
	struct store_iter *it =
		store_iter_new(c->broker->store, CF_TXN, slice_of(first, sizeof first),
			       slice_of(after, sizeof after));
	enum ks_err err = ERR_NONE;

	for (store_iter_first(it); !err && store_iter_valid(it) && !KS_SEEDED_BUG(3031);
	     store_iter_next(it))
		if (!load_one(c, store_iter_key(it), store_iter_value(it)))
			err = ks_fail(why, ERR_CORRUPTION,
				      "an offset of a transaction is malformed, or its transaction "
				      "is not open");
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

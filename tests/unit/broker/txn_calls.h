/* txn_calls.h - transactional producers as the broker sees them, of either version of the protocol. */
#ifndef TESTS_UNIT_BROKER_TXN_CALLS_H
#define TESTS_UNIT_BROKER_TXN_CALLS_H

#include "group_calls.h"
#include "txn_rig.h"

/* A client: what it is told is what it then has. */
struct txn_client {
	struct rig *r;
	const char *id;
	bool is_v2;
	uint64_t connection;
	int32_t timeout_ms; /* 0: a minute */
	int64_t pid;
	int16_t epoch;
	int32_t sequences[16]; /* by index of the partition */
	/* of the last AddPartitionsToTxn or EndTxn, for those who send it again */
	int64_t told_pid;
	int16_t told_epoch;
};

/* One request, answered. */
static inline struct sent *txn_send(struct rig *r, int16_t key, int16_t version,
				    uint64_t connection, const void *request)
{
	struct sent *s = sent_unsent(key, version, request);

	s->call.connection = connection;
	broker_txn_call(r->b, &s->call);
	return s;
}

static inline int16_t txn_init_from(struct txn_client *c, int64_t pid, int16_t epoch)
{
	struct init_producer_id_request q = {
		.transactional_id = slice_str(c->id),
		.transaction_timeout_ms = c->timeout_ms ? c->timeout_ms : 60000,
		.producer_id = pid,
		.producer_epoch = epoch,
	};
	struct sent *s = txn_send(c->r, API_init_producer_id, 5, c->connection, &q);
	const struct init_producer_id_response *a = sent_wait(s);
	int16_t code = a->error_code;

	if (!code) {
		c->pid = a->producer_id;
		c->epoch = a->producer_epoch;
		memset(c->sequences, 0, sizeof c->sequences);
	}
	sent_free(s);
	return code;
}

/* A new instance. */
static inline int16_t txn_init(struct txn_client *c)
{
	return txn_init_from(c, -1, -1);
}

static inline struct txn_client *txn_client_new(struct rig *r, const char *id, bool is_v2)
{
	struct txn_client *c = calloc(1, sizeof *c);

	*c = (struct txn_client){.r = r, .id = id, .is_v2 = is_v2};
	assert_code(txn_init(c), ERR_NONE);
	return c;
}

/* AddPartitionsToTxn for partitions first .. first + count - 1. The code of the first. */
static inline int16_t txn_add(struct txn_client *c, const char *topic, int32_t first, int32_t count)
{
	int32_t indexes[64];
	struct add_partitions_to_txn_request_topic t = {slice_str(topic), {indexes, count}};
	struct add_partitions_to_txn_request q = {
		.v3_and_below_transactional_id = slice_str(c->id),
		.v3_and_below_producer_id = c->pid,
		.v3_and_below_producer_epoch = c->epoch,
		.v3_and_below_topics = {&t, 1},
	};

	for (int32_t i = 0; i < count; i++)
		indexes[i] = first + i;
	struct sent *s = txn_send(c->r, API_add_partitions_to_txn, 3, c->connection, &q);
	const struct add_partitions_to_txn_response *a = sent_wait(s);
	assert_int_equal(a->results_by_topic_v3_and_below.n, 1);
	assert_int_equal(a->results_by_topic_v3_and_below.v[0].results_by_partition.n, count);
	int16_t code = a->results_by_topic_v3_and_below.v[0]
			       .results_by_partition.v[0]
			       .partition_error_code;
	sent_free(s);
	return code;
}

struct txn_produce {
	struct append append;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_done;
	enum ks_err err;
};

static inline void txn_produced(struct append *a, enum ks_err err)
{
	struct txn_produce *x = a->cookie;

	pthread_mutex_lock(&x->mtx);
	x->is_done = true;
	x->err = err;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mtx);
}

/* Appends it and waits until that is done. */
static inline enum ks_err txn_produce_wait(struct broker *b, struct txn_produce *x)
{
	pthread_mutex_init(&x->mtx, NULL);
	pthread_cond_init(&x->changed, NULL);
	x->append.done = txn_produced;
	x->append.cookie = x;
	broker_append(b, &x->append);
	pthread_mutex_lock(&x->mtx);
	while (!x->is_done)
		pthread_cond_wait(&x->changed, &x->mtx);
	pthread_mutex_unlock(&x->mtx);
	pthread_mutex_destroy(&x->mtx);
	pthread_cond_destroy(&x->changed);
	return x->err;
}

/* A batch with these sequence and epoch, as the request of either version carries it. */
static inline enum ks_err txn_try_produce(struct txn_client *c, struct partition *p, int16_t epoch,
					  int32_t sequence, int count, int first, int64_t *offset)
{
	struct txn_produce x = {
		.append = {.partition = p,
			   .frame = txn_frame(c->pid, epoch, sequence, count, first),
			   .acks = ACKS_ALL,
			   .transactional_id = slice_str(c->id),
			   .adds_partition = c->is_v2,
			   .connection = c->connection},
	};
	enum ks_err err = txn_produce_wait(c->r->b, &x);

	if (offset)
		*offset = x.append.base_offset;
	return err;
}

/* The next batch of its partition, which a producer of version 1 has added before. */
static inline enum ks_err txn_produce(struct txn_client *c, struct partition *p, int count,
				      int first)
{
	int32_t *sequence = &c->sequences[p->index];
	enum ks_err err = txn_try_produce(c, p, c->epoch, *sequence, count, first, NULL);

	if (!err)
		*sequence += count;
	return err;
}

/* A batch that has to succeed, its partition added as the version wants it. */
static inline void txn_write(struct txn_client *c, struct partition *p, int count, int first)
{
	if (!c->is_v2)
		assert_code(txn_add(c, p->topic->name, p->index, 1), ERR_NONE);
	assert_code(txn_produce(c, p, count, first), ERR_NONE);
}

/* EndTxn that names a pair. */
static inline int16_t txn_end_as(struct txn_client *c, int64_t pid, int16_t epoch, bool is_commit)
{
	struct end_txn_request q = {slice_str(c->id), pid, epoch, is_commit};
	struct sent *s = txn_send(c->r, API_end_txn, c->is_v2 ? 5 : 3, c->connection, &q);
	const struct end_txn_response *a = sent_wait(s);
	int16_t code = a->error_code;

	c->told_pid = a->producer_id;
	c->told_epoch = a->producer_epoch;
	sent_free(s);
	return code;
}

static inline int16_t txn_finish(struct txn_client *c, bool is_commit)
{
	int16_t code = txn_end_as(c, c->pid, c->epoch, is_commit);

	if (!code && c->is_v2) {
		c->pid = c->told_pid;
		c->epoch = c->told_epoch;
		memset(c->sequences, 0, sizeof c->sequences);
	}
	return code;
}

#define txn_commit(c) assert_code(txn_finish(c, true), ERR_NONE)
#define txn_abort(c)  assert_code(txn_finish(c, false), ERR_NONE)

static inline int16_t txn_add_group(struct txn_client *c, const char *group)
{
	struct add_offsets_to_txn_request q = {slice_str(c->id), c->pid, c->epoch,
					       slice_str(group)};
	struct sent *s = txn_send(c->r, API_add_offsets_to_txn, 3, c->connection, &q);
	int16_t code = ((const struct add_offsets_to_txn_response *)sent_wait(s))->error_code;

	sent_free(s);
	return code;
}

/* TxnOffsetCommit of one partition. */
struct txn_offset {
	const char *group, *topic, *member, *instance, *metadata;
	int32_t partition, generation;
	int64_t offset;
	int16_t version; /* 0: 3 or 5 */
};

static inline int16_t txn_offset_commit(struct txn_client *c, struct txn_offset o)
{
	struct txn_offset_commit_request_partition p = {
		.partition_index = o.partition,
		.committed_offset = o.offset,
		.committed_leader_epoch = -1,
		.committed_metadata = o.metadata ? slice_str(o.metadata) : SLICE_NULL,
	};
	struct txn_offset_commit_request_topic t = {slice_str(o.topic), {&p, 1}};
	struct txn_offset_commit_request q = {
		.transactional_id = slice_str(c->id),
		.group_id = slice_str(o.group),
		.producer_id = c->pid,
		.producer_epoch = c->epoch,
		.generation_id = o.member ? o.generation : -1,
		.member_id = slice_str(o.member ? o.member : ""),
		.group_instance_id = o.instance ? slice_str(o.instance) : SLICE_NULL,
		.topics = {&t, 1},
	};
	int16_t version = o.version ? o.version : c->is_v2 ? 5 : 3;
	struct sent *s = txn_send(c->r, API_txn_offset_commit, version, c->connection, &q);
	const struct txn_offset_commit_response *a = sent_wait(s);
	assert_int_equal(a->topics.n, 1);
	assert_int_equal(a->topics.v[0].partitions.n, 1);
	int16_t code = a->topics.v[0].partitions.v[0].error_code;
	sent_free(s);
	return code;
}

/* What DescribeTransactions says of the state; NULL: it does not know the id. */
static inline const char *txn_state(struct rig *r, const char *id, int32_t *partitions)
{
	static char state[64];
	struct slice ids[] = {slice_str(id)};
	struct describe_transactions_request q = {.transactional_ids = {ids, 1}};
	struct sent *s = txn_send(r, API_describe_transactions, 0, 0, &q);
	const struct describe_transactions_response *a = sent_wait(s);
	const struct describe_transactions_response_transaction_state *x =
		&a->transaction_states.v[0];
	bool is_known = x->error_code != (int16_t)ERR_TRANSACTIONAL_ID_NOT_FOUND;

	assert_int_equal(a->transaction_states.n, 1);
	snprintf(state, sizeof state, "%.*s", (int)x->transaction_state.len,
		 (const char *)x->transaction_state.data);
	if (partitions)
		*partitions = 0;
	for (int32_t i = 0; partitions && i < x->topics.n; i++)
		*partitions += x->topics.v[i].partitions.n;
	sent_free(s);
	return is_known ? state : NULL;
}

/* Each story is told by clients of version 1 and of version 2. */
#define EACH_VERSION(v) for (int v = 0; v < 2; v++)

static inline struct partition *partition_at(struct rig *r, const char *topic, int32_t index)
{
	return topic_partition(broker_topic_find(r->b, topic), index);
}

/* As after a stop and a start, where there is a disk. */
static inline void reopen(struct rig *r)
{
	if (r->dir)
		rig_reopen(r);
}

/* What only a bug would do, on the shard's thread: makes a transaction open at offset. */
struct spoiling {
	struct call call;
	struct producer *producer;
	int64_t offset;
	int16_t epoch; /* -1: as it is */
};

static inline enum ks_err spoil_apply(struct call *call, struct group *g)
{
	struct spoiling *x = (struct spoiling *)call;
	struct producer_state s = x->producer->state;

	(void)g;
	s.txn_first_offset = x->offset;
	if (x->epoch >= 0)
		s.epoch = x->epoch;
	producer_set(call->broker->producers, x->producer, &s);
	return ERR_NONE;
}

static inline void spoil(struct rig *r, struct producer *x, int64_t offset, int16_t epoch)
{
	struct spoiling s = {.call = {.apply = spoil_apply, .is_alone = true, .broker = r->b},
			     .producer = x,
			     .offset = offset,
			     .epoch = epoch};

	assert_int_equal(shard_call(r->b->shard, &s.call), 0);
}

#endif

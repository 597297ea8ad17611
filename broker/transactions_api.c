/* transactions_api.c - InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn; see transactions_impl.h.
 *
 * Which answers wait for the disk. InitProducerId and EndTxn do: what they say must outlast a power loss. What is added to a
 * transaction needs not, nor do its batches: a power loss that takes some of it fences the producer, which learns of it at the latest
 * when it commits (transactions_power.c).
 */
#include "broker/producers.h"
#include "broker/transactions_impl.h"

/* --- InitProducerId --- */

static enum ks_err init_entry(struct txn_step *s, struct coordinator_call *call,
			      struct txn_entry *x, struct init_producer_id_response *r)
{
	const struct init_producer_id_request *q = call->request;
	struct transaction_init init = {
		.producer_id = q->producer_id,
		.producer_epoch = q->producer_epoch,
		.timeout_ms = q->transaction_timeout_ms,
		.timeout_max_ms = s->c->options.max_timeout_ms,
		.new_producer_id = producers_next_id(s->c->broker),
		.now_ms = s->g->now_ms,
	};
	struct transaction_effects fx;
	enum ks_err err = transaction_init_producer(&x->t, &init, &fx);

	if (!err) {
		defence_reset(&x->defence, call->connection);
		r->producer_id = fx.producer_id;
		r->producer_epoch = fx.producer_epoch;
		s->g->needs_sync = true;
		txn_power_note(s);
	}
	txn_settle(s, x, &fx); /* also after an error: that of an open transaction is an abort */
	return err;
}

void txn_init_producer(struct txn_step *s, struct coordinator_call *call)
{
	const struct init_producer_id_request *q = call->request;
	struct init_producer_id_response *r = call->response;
	enum ks_err err = txn_check_id(q->transactional_id);

	r->producer_id = r->producer_epoch = -1;
	if (!err) {
		struct txn_entry *x = txn_find(s->c, q->transactional_id);
		if (!x)
			x = txn_add(s->c, q->transactional_id);
		err = x ? init_entry(s, call, x, r) : ERR_POLICY_VIOLATION;
	}
	r->error_code = txn_code(err, call);
}

/* --- AddPartitionsToTxn --- */

/* One transaction of a request. */
struct adding {
	struct slice id;
	struct transaction_claim claim;
	const struct add_partitions_to_txn_request_topic *topics;
	int32_t topic_count;
	bool verify_only;
	uint32_t *ids; /* of its partitions */
	size_t count;
};

/* Fills in the numbers of the partitions. ERR_UNKNOWN_TOPIC_OR_PARTITION: some are not there, and their codes say so. */
static enum ks_err find_partitions(struct txn_step *s, struct coordinator_call *call,
				   struct adding *a,
				   struct add_partitions_to_txn_response_topic_result *results)
{
	enum ks_err err = ERR_NONE;
	size_t all = 0;

	for (int32_t i = 0; i < a->topic_count; i++)
		all += (size_t)a->topics[i].partitions.n;
	a->ids = coordinator_alloc(call, all, sizeof *a->ids);
	for (int32_t i = 0; i < a->topic_count; i++) {
		const struct add_partitions_to_txn_request_topic *from = &a->topics[i];
		struct topic *t = topic_of_name(s->c->broker, from->name);
		results[i].name = from->name;
		COORDINATOR_MAKE(call, results[i].results_by_partition, from->partitions.n);
		for (int32_t k = 0; k < from->partitions.n; k++) {
			int32_t index = from->partitions.v[k];
			const struct partition *p = coordinator_partition(t, index);
			results[i].results_by_partition.v[k].partition_index = index;
			if (p)
				a->ids[a->count++] = p->id;
			else
				err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
			results[i].results_by_partition.v[k].partition_error_code =
				(int16_t)(p ? ERR_NONE : ERR_UNKNOWN_TOPIC_OR_PARTITION);
		}
	}
	return err;
}

/* Says it of all that have no error of their own. */
static void say_all(struct add_partitions_to_txn_response_topic_result *results, int32_t count,
		    int16_t code)
{
	for (int32_t i = 0; i < count; i++)
		for (int32_t k = 0; k < results[i].results_by_partition.n; k++)
			if (!results[i].results_by_partition.v[k].partition_error_code)
				results[i].results_by_partition.v[k].partition_error_code = code;
}

static enum ks_err verify(struct txn_step *s, const struct txn_entry *x, const struct adding *a)
{
	enum ks_err err = ERR_NONE;
	bool is_new = false;

	(void)s;
	for (size_t i = 0; i < a->count && !err; i++) {
		err = transaction_check_partition(&x->t, &a->claim, a->ids[i], &is_new);
		if (!err && is_new)
			err = ERR_TRANSACTION_ABORTABLE;
	}
	return err;
}

static enum ks_err add_all(struct txn_step *s, const struct coordinator_call *call,
			   struct adding *a)
{
	struct txn_entry *x = txn_find(s->c, a->id);
	struct transaction_effects fx;

	if (!x)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	if (a->verify_only)
		return verify(s, x, a);
	enum ks_err err =
		txn_check_connection(s->c, x, DEFENCE_COORDINATOR, &a->claim, call->connection);
	if (!err && !txn_has_room(s->c, a->count))
		err = ERR_POLICY_VIOLATION;
	if (err)
		return err;
	err = transaction_add_partitions(&x->t, &a->claim, a->ids, a->count, s->g->now_ms, &fx);
	txn_settle(s, x, &fx);
	return err;
}

static void add_to_one(struct txn_step *s, struct coordinator_call *call, struct adding *a,
		       struct add_partitions_to_txn_response_topic_result *results)
{
	enum ks_err err = txn_check_id(a->id);

	/* The results need their names whatever comes of it. */
	enum ks_err missing = find_partitions(s, call, a, results);
	if (!err && missing)
		err = ERR_OPERATION_NOT_ATTEMPTED;
	if (!err)
		err = add_all(s, call, a);
	say_all(results, a->topic_count, txn_code(err, call));
}

static void add_old(struct txn_step *s, struct coordinator_call *call)
{
	const struct add_partitions_to_txn_request *q = call->request;
	struct add_partitions_to_txn_response *r = call->response;
	struct adding a = {
		.id = q->v3_and_below_transactional_id,
		.claim = {q->v3_and_below_producer_id, q->v3_and_below_producer_epoch, 1},
		.topics = q->v3_and_below_topics.v,
		.topic_count = q->v3_and_below_topics.n,
	};

	COORDINATOR_MAKE(call, r->results_by_topic_v3_and_below, a.topic_count);
	add_to_one(s, call, &a, r->results_by_topic_v3_and_below.v);
}

/* From version 4 on it is what brokers ask each other; from 5 on about transactions of version 2. */
void txn_add_partitions(struct txn_step *s, struct coordinator_call *call)
{
	const struct add_partitions_to_txn_request *q = call->request;
	struct add_partitions_to_txn_response *r = call->response;

	if (call->version < 4) {
		add_old(s, call);
		return;
	}
	COORDINATOR_MAKE(call, r->results_by_transaction, q->transactions.n);
	for (int32_t i = 0; i < q->transactions.n; i++) {
		const struct add_partitions_to_txn_request_transaction *from =
			&q->transactions.v[i];
		struct add_partitions_to_txn_response_transaction_result *to =
			&r->results_by_transaction.v[i];
		struct adding a = {
			.id = from->transactional_id,
			.claim = {from->producer_id, from->producer_epoch,
				  call->version > 4 ? 2 : 1},
			.topics = from->topics.v,
			.topic_count = from->topics.n,
			.verify_only = from->verify_only,
		};
		to->transactional_id = from->transactional_id;
		COORDINATOR_MAKE(call, to->topic_results, from->topics.n);
		add_to_one(s, call, &a, to->topic_results.v);
	}
}

/* --- AddOffsetsToTxn --- */

static enum ks_err add_group(struct txn_step *s, const struct coordinator_call *call)
{
	const struct add_offsets_to_txn_request *q = call->request;
	struct transaction_claim claim = {q->producer_id, q->producer_epoch, 1};
	enum ks_err err = txn_check_id(q->transactional_id);
	struct transaction_effects fx;

	if (err)
		return err;
	struct txn_entry *x = txn_find(s->c, q->transactional_id);
	if (!x)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	err = coordinator_check_name(q->group_id);
	if (!err)
		err = txn_check_connection(s->c, x, DEFENCE_COORDINATOR, &claim, call->connection);
	if (err)
		return err;
	err = transaction_add_group(&x->t, &claim, q->group_id, s->g->now_ms, &fx);
	txn_settle(s, x, &fx);
	return err;
}

void txn_add_offsets(struct txn_step *s, struct coordinator_call *call)
{
	struct add_offsets_to_txn_response *r = call->response;

	r->error_code = txn_code(add_group(s, call), call);
}

/* --- EndTxn --- */

static enum ks_err end_entry(struct txn_step *s, struct coordinator_call *call, struct txn_entry *x)
{
	const struct end_txn_request *q = call->request;
	struct end_txn_response *r = call->response;
	struct transaction_claim claim = {q->producer_id, q->producer_epoch,
					  call->version > 4 ? 2 : 1};
	struct transaction_effects fx;
	enum ks_err err =
		txn_check_connection(s->c, x, DEFENCE_COORDINATOR, &claim, call->connection);

	if (err)
		return err;
	err = transaction_end(&x->t, &claim, q->committed, producers_next_id(s->c->broker),
			      s->g->now_ms, &fx);
	if (!err) {
		r->producer_id = fx.producer_id;
		r->producer_epoch = fx.producer_epoch;
		s->g->needs_sync = true;
	}
	txn_settle(s, x, &fx);
	return err;
}

void txn_end(struct txn_step *s, struct coordinator_call *call)
{
	const struct end_txn_request *q = call->request;
	struct end_txn_response *r = call->response;
	enum ks_err err = txn_check_id(q->transactional_id);

	r->producer_id = r->producer_epoch = -1;
	if (!err) {
		struct txn_entry *x = txn_find(s->c, q->transactional_id);
		err = x ? end_entry(s, call, x) : ERR_INVALID_PRODUCER_ID_MAPPING;
	}
	r->error_code = txn_code(err, call);
}

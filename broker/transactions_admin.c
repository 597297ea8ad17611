/* transactions_admin.c - ListTransactions, DescribeTransactions, WriteTxnMarkers; see transactions_impl.h. */
#include <stdlib.h>

#include "broker/markers.h"
#include "groups/regex.h"
#include "broker/transactions_impl.h"

/* --- ListTransactions --- */

static const uint8_t states[] = {TRANSACTION_EMPTY, TRANSACTION_ONGOING,
				 TRANSACTION_COMPLETE_COMMIT, TRANSACTION_COMPLETE_ABORT};
/* Of states that other brokers have, and no transaction here is ever in. */
static const char *const foreign_states[] = {"PrepareCommit", "PrepareAbort", "PrepareEpochFence",
					     "Dead"};

static bool is_state(struct slice name)
{
	for (size_t i = 0; i < sizeof states; i++)
		if (slice_equal(name, slice_str(transaction_state_name(states[i]))))
			return true;
	for (size_t i = 0; i < sizeof foreign_states / sizeof *foreign_states; i++)
		if (slice_equal(name, slice_str(foreign_states[i])))
			return true;
	return false;
}

static bool has_state(const struct list_transactions_request *q, const struct transaction *t)
{
	struct slice name = slice_str(transaction_state_name(t->state));

	for (int32_t i = 0; i < q->state_filters.n; i++)
		if (slice_equal(q->state_filters.v[i], name))
			return true;
	return q->state_filters.n <= 0;
}

static bool has_producer(const struct list_transactions_request *q, const struct transaction *t)
{
	for (int32_t i = 0; i < q->producer_id_filters.n; i++)
		if (q->producer_id_filters.v[i] == t->producer_id)
			return true;
	return q->producer_id_filters.n <= 0;
}

static bool is_wanted(const struct txn_step *s, const struct list_transactions_request *q,
		      const struct txn_entry *x, struct regex *regex)
{
	const struct transaction *t = &x->t;

	if (t->state == TRANSACTION_DEAD || !has_state(q, t) || !has_producer(q, t))
		return false;
	if (q->duration_filter >= 0 &&
	    (t->start_ms < 0 || s->g->now_ms - t->start_ms <= q->duration_filter))
		return false;
	return !regex || (!regex_gave_up(regex) && regex_matches(regex, x->id));
}

static void list_unknown_states(struct coordinator_call *call)
{
	const struct list_transactions_request *q = call->request;
	struct list_transactions_response *r = call->response;
	int32_t n = 0;

	COORDINATOR_MAKE(call, r->unknown_state_filters,
			 q->state_filters.n > 0 ? q->state_filters.n : 0);
	for (int32_t i = 0; i < q->state_filters.n; i++)
		if (!is_state(q->state_filters.v[i]))
			r->unknown_state_filters.v[n++] = q->state_filters.v[i];
	r->unknown_state_filters.n = n;
}

void txn_list(struct txn_step *s, struct coordinator_call *call)
{
	const struct list_transactions_request *q = call->request;
	struct list_transactions_response *r = call->response;
	struct slice pattern = q->transactional_id_pattern;
	struct regex *regex = NULL;
	int32_t n = 0;

	list_unknown_states(call);
	if (pattern.data && pattern.len > 0) {
		regex = regex_new(pattern, NULL);
		if (!regex) {
			r->error_code = (int16_t)ERR_INVALID_REGULAR_EXPRESSION;
			return;
		}
	}
	COORDINATOR_MAKE(call, r->transaction_states, s->c->ids.count);
	for (size_t i = 0; i < s->c->ids.count; i++) {
		const struct txn_entry *x = s->c->ids.items[i];
		if (!is_wanted(s, q, x, regex))
			continue;
		r->transaction_states.v[n++] =
			(struct list_transactions_response_transaction_state){
				.transactional_id = coordinator_copy(call, x->id),
				.producer_id = x->t.producer_id,
				.transaction_state = slice_str(transaction_state_name(x->t.state)),
			};
	}
	r->transaction_states.n = n;
	regex_free(regex);
}

/* --- DescribeTransactions --- */

/* Partitions of one topic are neighbours, but for those that it was given later: then it is named twice. */
static size_t end_of_topic(struct partition *const *all, size_t count, size_t i)
{
	size_t end = i;

	while (end < count && all[end]->topic == all[i]->topic)
		end++;
	return end;
}

static void describe_parts(struct txn_step *s, struct coordinator_call *call,
			   const struct transaction *t,
			   struct describe_transactions_response_transaction_state *to)
{
	struct partition **all = coordinator_alloc(call, t->parts.partition_count, sizeof(*all));
	size_t count = 0, topics = 0;

	for (uint32_t i = 0; i < t->parts.partition_count; i++) {
		struct partition *p =
			topics_partition(&s->c->broker->topics, t->parts.partitions[i]);
		if (p)
			all[count++] = p;
	}
	for (size_t i = 0; i < count; i = end_of_topic(all, count, i))
		topics++;
	COORDINATOR_MAKE(call, to->topics, topics);
	topics = 0;
	for (size_t i = 0, end; i < count; i = end) {
		struct describe_transactions_response_topic *row = &to->topics.v[topics++];
		end = end_of_topic(all, count, i);
		row->topic = slice_str(all[i]->topic->name);
		COORDINATOR_MAKE(call, row->partitions, end - i);
		for (size_t k = i; k < end; k++)
			row->partitions.v[k - i] = all[k]->index;
	}
}

static void describe(struct txn_step *s, struct coordinator_call *call, struct slice id,
		     struct describe_transactions_response_transaction_state *to)
{
	const struct txn_entry *x = txn_find(s->c, id);
	enum ks_err err = txn_check_id(id);

	to->transactional_id = id;
	to->transaction_state = slice_str("");
	to->transaction_start_time_ms = to->producer_id = -1;
	to->producer_epoch = -1;
	if (!err && (!x || x->t.state == TRANSACTION_DEAD))
		err = ERR_TRANSACTIONAL_ID_NOT_FOUND;
	if (call->arena->total_bytes > COORDINATOR_ANSWER_BYTES_MAX)
		err = ERR_MESSAGE_TOO_LARGE;
	to->error_code = (int16_t)err;
	if (err)
		return;
	to->transaction_state = slice_str(transaction_state_name(x->t.state));
	to->transaction_timeout_ms = x->t.timeout_ms;
	to->transaction_start_time_ms = x->t.start_ms;
	to->producer_id = x->t.producer_id;
	to->producer_epoch = x->t.producer_epoch;
	describe_parts(s, call, &x->t, to);
}

void txn_describe(struct txn_step *s, struct coordinator_call *call)
{
	const struct describe_transactions_request *q = call->request;
	struct describe_transactions_response *r = call->response;

	COORDINATOR_MAKE(call, r->transaction_states, q->transactional_ids.n);
	for (int32_t i = 0; i < q->transactional_ids.n; i++)
		describe(s, call, q->transactional_ids.v[i], &r->transaction_states.v[i]);
}

/* --- WriteTxnMarkers: somebody aborts what no coordinator knows any more --- */

/* What the coordinator has open it alone ends, everywhere at once. */
static bool is_known(const struct txns *c, int64_t producer_id, uint32_t partition_id)
{
	const struct txn_entry *x = txn_find_producer(c, producer_id);

	return x && x->t.state == TRANSACTION_ONGOING &&
	       transaction_parts_has_partition(&x->t.parts, partition_id);
}

static enum ks_err write_marker(struct txn_step *s,
				const struct write_txn_markers_request_marker *q,
				struct partition *p)
{
	struct marker m = {
		.producer_id = q->producer_id,
		.coordinator_epoch = q->coordinator_epoch,
		.producer_epoch = q->producer_epoch,
	};

	if (!p)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (q->transaction_result)
		return ERR_CLUSTER_AUTHORIZATION_FAILED;
	if (q->producer_id < 0 || q->producer_epoch < 0 || q->coordinator_epoch < 0)
		return ERR_INVALID_REQUEST;
	const struct producer_state *state = group_producer_in(s->g, p, q->producer_id);
	if (q->producer_epoch < state->epoch)
		return ERR_INVALID_PRODUCER_EPOCH;
	if (q->coordinator_epoch < state->coordinator_epoch)
		return ERR_TRANSACTION_COORDINATOR_FENCED;
	if (is_known(s->c, q->producer_id, p->id) && !KS_SEEDED_BUG(1031))
		return ERR_INVALID_TXN_STATE;
	if (group_end_open(s->g, p, &m))
		s->g->needs_sync = true;
	return ERR_NONE;
}

static void write_one(struct txn_step *s, struct coordinator_call *call,
		      const struct write_txn_markers_request_marker *from,
		      struct write_txn_markers_response_marker *to)
{
	to->producer_id = from->producer_id;
	COORDINATOR_MAKE(call, to->topics, from->topics.n);
	for (int32_t i = 0; i < from->topics.n; i++) {
		const struct write_txn_markers_request_topic *topic = &from->topics.v[i];
		struct topic *t = topic_of_name(s->c->broker, topic->name);
		to->topics.v[i].name = topic->name;
		COORDINATOR_MAKE(call, to->topics.v[i].partitions, topic->partition_indexes.n);
		for (int32_t k = 0; k < topic->partition_indexes.n; k++) {
			int32_t index = topic->partition_indexes.v[k];
			struct partition *p = coordinator_partition(t, index);
			to->topics.v[i].partitions.v[k] =
				(struct write_txn_markers_response_partition){
					index, (int16_t)write_marker(s, from, p)};
		}
	}
}

void txn_write_markers(struct txn_step *s, struct coordinator_call *call)
{
	const struct write_txn_markers_request *q = call->request;
	struct write_txn_markers_response *r = call->response;

	COORDINATOR_MAKE(call, r->markers, q->markers.n);
	for (int32_t i = 0; i < q->markers.n; i++)
		write_one(s, call, &q->markers.v[i], &r->markers.v[i]);
}

/* transactions.c - see transactions.h. */
#include "client/transactions.h"

#include <stdlib.h>

#include "client/groups.h"
#include "client/partitions.h"

/* Versions of ListTransactions that know these filters. */
#define DURATION_SINCE 1
#define PATTERN_SINCE  2

/* --- list --- */

static bool list_is_transient(const struct client_reply *r)
{
	const struct list_transactions_response *m = r->message;

	return client_coordinator_may_change((enum ks_err)m->error_code);
}

static int16_t version_for(const struct list_transactions_request *filter)
{
	if (filter->transactional_id_pattern.len)
		return PATTERN_SINCE;
	return filter->duration_filter >= 0 ? DURATION_SINCE : 0;
}

static enum ks_err list_of_broker(struct client_cluster *cl, int32_t node,
				  const struct list_transactions_request *filter,
				  struct client_reply *r, struct ks_why *why)
{
	struct client_question q = {.call = {.api_key = API_list_transactions,
					     .version_min = version_for(filter),
					     .request = filter},
				    .where = CLIENT_NODE,
				    .node = node,
				    .is_transient = list_is_transient,
				    .is_repeatable = true};
	enum ks_err err = client_cluster_ask(cl, &q, r, why);

	if (err)
		return err;
	err = (enum ks_err)((const struct list_transactions_response *)r->message)->error_code;
	if (!err)
		return ERR_NONE;
	client_reply_fini(r);
	return ks_fail(why, err, "cannot list the transactions of node %d: %s", node,
		       ks_err_text(err));
}

enum ks_err
client_txns_list(struct client_cluster *cl, const struct list_transactions_request *filter,
		 void (*each)(void *arg, int32_t node, const struct list_transactions_response *m),
		 void *arg, struct ks_why *why)
{
	size_t brokers = client_cluster_broker_count(cl);
	int32_t *ids = xcalloc(brokers + 1, sizeof *ids);
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < brokers; i++)
		ids[i] = client_cluster_broker(cl, i)->id;
	for (size_t i = 0; i < brokers && !err; i++) {
		struct client_reply r;
		err = list_of_broker(cl, ids[i], filter, &r, why);
		if (err)
			break;
		each(arg, ids[i], r.message);
		client_reply_fini(&r);
	}
	free(ids);
	return err;
}

/* --- describe --- */

static bool describe_is_transient(const struct client_reply *r)
{
	const struct describe_transactions_response *m = r->message;

	return m->transaction_states.n == 1 &&
	       client_coordinator_may_change((enum ks_err)m->transaction_states.v[0].error_code);
}

enum ks_err client_txn_describe(struct client_cluster *cl, const char *id, struct client_reply *r,
				const struct describe_transactions_response_transaction_state **row,
				int32_t *coordinator, struct ks_why *why)
{
	struct slice name = slice_str(id);
	struct describe_transactions_request request = {.transactional_ids = {&name, 1}};
	struct client_question q = {
		.call = {.api_key = API_describe_transactions, .request = &request},
		.where = CLIENT_TXN_COORDINATOR,
		.group = id,
		.is_transient = describe_is_transient,
		.is_repeatable = true};
	enum ks_err err = client_cluster_ask(cl, &q, r, why);

	if (err)
		return err;
	const struct describe_transactions_response *m = r->message;
	err = m->transaction_states.n == 1 ? (enum ks_err)m->transaction_states.v[0].error_code
					   : ERR_TRANSACTIONAL_ID_NOT_FOUND;
	if (err) {
		client_reply_fini(r);
		return ks_fail(why, err, "transactional id \"%s\": %s", id, ks_err_text(err));
	}
	*row = &m->transaction_states.v[0];
	*coordinator = client_cluster_coordinator(cl);
	return ERR_NONE;
}

/* --- partitions --- */

#define ROUNDS_MS 15000

/* Asks the partition's leader, and anew while another one may answer better. error_of: what the answer says. */
static enum ks_err ask_leader(struct client_cluster *cl, const char *topic, int32_t partition,
			      const struct client_call *call,
			      enum ks_err (*error_of)(const void *message), struct client_reply *r,
			      struct ks_why *why)
{
	struct client_retry retry = client_retry_in(ROUNDS_MS);

	for (;;) {
		const int32_t *leaders;
		int32_t count;
		enum ks_err err = client_cluster_leaders(cl, topic, &leaders, &count, why);
		if (!err)
			err = client_check_partition(topic, partition, count, why);
		if (err)
			return err;
		struct client_question q = {.call = *call,
					    .where = CLIENT_NODE,
					    .node = leaders[partition],
					    .is_repeatable = true};
		err = client_cluster_ask(cl, &q, r, why);
		if (err)
			return err;
		err = error_of(r->message);
		if (!err)
			return ERR_NONE;
		client_reply_fini(r);
		if (!client_leader_may_change(err) || !client_retry_pause(cl, &retry))
			return ks_fail(why, err, "%s [%d]: %s", topic, partition, ks_err_text(err));
		client_cluster_forget_leaders(cl, topic);
	}
}

static const struct describe_producers_response_partition *producers_row(const void *message)
{
	const struct describe_producers_response *m = message;

	return m->topics.n == 1 && m->topics.v[0].partitions.n == 1
		       ? &m->topics.v[0].partitions.v[0]
		       : NULL;
}

static enum ks_err producers_error(const void *message)
{
	const struct describe_producers_response_partition *row = producers_row(message);

	return row ? (enum ks_err)row->error_code : ERR_MALFORMED;
}

enum ks_err client_producers(struct client_cluster *cl, const char *topic, int32_t partition,
			     struct client_reply *r,
			     const struct describe_producers_response_partition **row,
			     struct ks_why *why)
{
	struct describe_producers_request_topic t = {.name = slice_str(topic),
						     .partition_indexes = {&partition, 1}};
	struct describe_producers_request request = {.topics = {&t, 1}};
	struct client_call call = {.api_key = API_describe_producers, .request = &request};
	enum ks_err err = ask_leader(cl, topic, partition, &call, producers_error, r, why);

	if (!err)
		*row = producers_row(r->message);
	return err;
}

static enum ks_err marker_error(const void *message)
{
	const struct write_txn_markers_response *m = message;

	if (m->markers.n != 1 || m->markers.v[0].topics.n != 1 ||
	    m->markers.v[0].topics.v[0].partitions.n != 1)
		return ERR_MALFORMED;
	return (enum ks_err)m->markers.v[0].topics.v[0].partitions.v[0].error_code;
}

enum ks_err client_txn_abort(struct client_cluster *cl, const char *topic, int32_t partition,
			     int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
			     struct ks_why *why)
{
	struct write_txn_markers_request_topic t = {.name = slice_str(topic),
						    .partition_indexes = {&partition, 1}};
	struct write_txn_markers_request_marker marker = {.producer_id = producer_id,
							  .producer_epoch = producer_epoch,
							  .topics = {&t, 1},
							  .coordinator_epoch = coordinator_epoch};
	struct write_txn_markers_request request = {.markers = {&marker, 1}};
	struct client_call call = {.api_key = API_write_txn_markers, .request = &request};
	struct client_reply r;
	enum ks_err err = ask_leader(cl, topic, partition, &call, marker_error, &r, why);

	if (!err)
		client_reply_fini(&r);
	return err;
}

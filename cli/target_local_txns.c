/* target_local_txns.c - transactions of a data directory: its coordinator is asked as a server would ask it. */
#include <pthread.h>
#include <stdlib.h>

#include "cli/target_local.h"
#include "cli/target_txns.h"
#include "wire/api.h"

/* --- asking the coordinator --- */

struct question {
	struct coordinator_call call;
	struct arena arena; /* of the response */
	pthread_mutex_t mtx;
	pthread_cond_t answered;
	bool is_answered; /* under mtx */
};

/* On the shard's thread. */
static void on_done(struct coordinator_call *call)
{
	struct question *q = call->cookie;

	pthread_mutex_lock(&q->mtx);
	q->is_answered = true;
	pthread_cond_signal(&q->answered);
	pthread_mutex_unlock(&q->mtx);
}

/* The newest version of the API; release with question_fini, also after an error. */
static enum ks_err question_ask(struct question *q, struct target *t, int16_t api_key,
				const void *request, struct ks_why *why)
{
	const struct wire_api *api = wire_api_find(api_key);
	struct broker *b = local_broker(t);

	*q = (struct question){.is_answered = false};
	pthread_mutex_init(&q->mtx, NULL);
	pthread_cond_init(&q->answered, NULL);
	q->call =
		(struct coordinator_call){.api_key = api_key,
					  .version = api->version_max,
					  .request = request,
					  .response = arena_alloc(&q->arena, api->response()->size),
					  .arena = &q->arena,
					  .client_host = "/",
					  .done = on_done,
					  .cookie = q};
	wire_defaults(api->response(), q->call.response);
	broker_txn_call(b, &q->call);
	pthread_mutex_lock(&q->mtx);
	while (!q->is_answered)
		pthread_cond_wait(&q->answered, &q->mtx);
	pthread_mutex_unlock(&q->mtx);
	if (!q->call.err)
		return ERR_NONE;
	const char *failure = broker_failure(b);
	return ks_fail(why, q->call.err, "%s", failure ? failure : ks_err_text(q->call.err));
}

static void question_fini(struct question *q)
{
	pthread_mutex_destroy(&q->mtx);
	pthread_cond_destroy(&q->answered);
	arena_fini(&q->arena);
}

/* --- what is asked --- */

enum ks_err local_txns(struct target *t, const struct list_transactions_request *filter,
		       struct target_txns *out, struct ks_why *why)
{
	struct question q;
	enum ks_err err = question_ask(&q, t, API_list_transactions, filter, why);

	if (!err) {
		const struct list_transactions_response *m = q.call.response;
		err = (enum ks_err)m->error_code;
		if (err)
			ks_fail(why, err, "cannot list the transactions: %s", ks_err_text(err));
		else
			*out = (struct target_txns){.count = 0};
		if (!err)
			target_txns_add(out, -1, m);
	}
	if (!err)
		target_txns_sort(out);
	question_fini(&q);
	return err;
}

enum ks_err local_txn_describe(struct target *t, const char *id, struct target_txn_details *out,
			       struct ks_why *why)
{
	struct slice name = slice_str(id);
	struct describe_transactions_request request = {.transactional_ids = {&name, 1}};
	struct question q;
	enum ks_err err = question_ask(&q, t, API_describe_transactions, &request, why);

	if (!err) {
		const struct describe_transactions_response *m = q.call.response;
		err = (enum ks_err)m->transaction_states.v[0].error_code;
		if (err)
			ks_fail(why, err, "transactional id \"%s\": %s", id, ks_err_text(err));
		else
			target_txn_read(out, -1, &m->transaction_states.v[0]);
	}
	question_fini(&q);
	return err;
}

enum ks_err local_producers(struct target *t, const struct target_topic *topic, int32_t partition,
			    struct target_producer **out, size_t *count, struct ks_why *why)
{
	struct producer_row *rows;
	struct partition *p;
	enum ks_err err = local_partition(topic, partition, &p, why);

	if (err)
		return err;
	err = broker_partition_producers(local_broker(t), p, &rows, count);
	if (err)
		return ks_fail(why, err, "%s [%d]: %s", topic->name, partition, ks_err_text(err));
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++)
		(*out)[i] = (struct target_producer){.producer_id = rows[i].producer_id,
						     .producer_epoch = rows[i].producer_epoch,
						     .last_sequence = rows[i].last_sequence,
						     .last_timestamp = rows[i].last_timestamp,
						     .coordinator_epoch = rows[i].coordinator_epoch,
						     .txn_start_offset = rows[i].txn_start_offset};
	free(rows);
	return ERR_NONE;
}

enum ks_err local_txn_abort(struct target *t, const struct target_topic *topic, int32_t partition,
			    const struct target_producer *p, struct ks_why *why)
{
	struct write_txn_markers_request_topic where = {.name = slice_str(topic->name),
							.partition_indexes = {&partition, 1}};
	struct write_txn_markers_request_marker marker = {
		.producer_id = p->producer_id,
		.producer_epoch = (int16_t)p->producer_epoch,
		.topics = {&where, 1},
		.coordinator_epoch = p->coordinator_epoch < 0 ? 0 : p->coordinator_epoch};
	struct write_txn_markers_request request = {.markers = {&marker, 1}};
	struct question q;
	enum ks_err err = question_ask(&q, t, API_write_txn_markers, &request, why);

	if (!err) {
		const struct write_txn_markers_response *m = q.call.response;
		err = (enum ks_err)m->markers.v[0].topics.v[0].partitions.v[0].error_code;
		if (err)
			ks_fail(why, err, "%s [%d]: %s", topic->name, partition, ks_err_text(err));
	}
	question_fini(&q);
	return err;
}

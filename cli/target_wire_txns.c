/* target_wire_txns.c - transactions of a cluster. */
#include <stdlib.h>

#include "cli/target_txns.h"
#include "cli/target_wire.h"
#include "client/transactions.h"

static void add(void *arg, int32_t node, const struct list_transactions_response *m)
{
	target_txns_add(arg, node, m);
}

enum ks_err wire_txns(struct target *t, const struct list_transactions_request *filter,
		      struct target_txns *out, struct ks_why *why)
{
	struct target_txns txns = {.count = 0};
	enum ks_err err = client_txns_list(wire_of(t)->cluster, filter, add, &txns, why);

	if (err) {
		target_txns_free(&txns);
		return err;
	}
	target_txns_sort(&txns);
	*out = txns;
	return ERR_NONE;
}

enum ks_err wire_txn_describe(struct target *t, const char *id, struct target_txn_details *out,
			      struct ks_why *why)
{
	const struct describe_transactions_response_transaction_state *row;
	struct client_reply r;
	int32_t coordinator;
	enum ks_err err = client_txn_describe(wire_of(t)->cluster, id, &r, &row, &coordinator, why);

	if (err)
		return err;
	target_txn_read(out, coordinator, row);
	client_reply_fini(&r);
	return ERR_NONE;
}

enum ks_err wire_producers(struct target *t, const struct target_topic *topic, int32_t partition,
			   struct target_producer **out, size_t *count, struct ks_why *why)
{
	const struct describe_producers_response_partition *row;
	struct client_reply r;
	enum ks_err err =
		client_producers(wire_of(t)->cluster, topic->name, partition, &r, &row, why);

	if (err)
		return err;
	*count = (size_t)row->active_producers.n;
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++) {
		const struct describe_producers_response_active_producer *p =
			&row->active_producers.v[i];
		(*out)[i] =
			(struct target_producer){.producer_id = p->producer_id,
						 .producer_epoch = p->producer_epoch,
						 .last_sequence = p->last_sequence,
						 .last_timestamp = p->last_timestamp,
						 .coordinator_epoch = p->coordinator_epoch,
						 .txn_start_offset = p->current_txn_start_offset};
	}
	client_reply_fini(&r);
	return ERR_NONE;
}

enum ks_err wire_txn_abort(struct target *t, const struct target_topic *topic, int32_t partition,
			   const struct target_producer *p, struct ks_why *why)
{
	/* A coordinator that has never written a marker has no epoch here: then 0. */
	return client_txn_abort(wire_of(t)->cluster, topic->name, partition, p->producer_id,
				(int16_t)p->producer_epoch,
				p->coordinator_epoch < 0 ? 0 : p->coordinator_epoch, why);
}

/* transactions_append.c - batches of transactions, on their way into a log; see transactions.h. */
#include <inttypes.h>

#include "base/log.h"
#include "broker/markers.h"
#include "broker/producers.h"
#include "broker/transactions_impl.h"

static struct transaction_claim claim_of(const struct append *a, const struct origin *o)
{
	return (struct transaction_claim){o->producer_id, o->producer_epoch,
					  a->adds_partition ? 2 : 1};
}

/* Whoever appends names the id, if the request has one; the batches name the producer. */
static struct txn_entry *entry_of(const struct txns *c, const struct append *a,
				  const struct origin *o)
{
	struct txn_entry *x = txn_find_producer(c, o->producer_id);

	return x && a->transactional_id.data && !slice_equal(x->id, a->transactional_id) ? NULL : x;
}

/* What the coordinator ended was ended in all partitions of the transaction, so nothing of an older epoch can be open. If
 * something is all the same, the batches must not join it. */
static void end_orphan(const struct append *a, const struct origin *o, struct group *g)
{
	const struct partition *p = a->partition;
	struct marker m = {
		.producer_id = o->producer_id,
		.coordinator_epoch = LEADER_EPOCH,
		.producer_epoch = o->producer_epoch,
	};

	const struct producer_state *state = group_producer_in(g, p, o->producer_id);

	if (state->txn_first_offset < 0 || state->epoch >= o->producer_epoch || KS_SEEDED_BUG(176))
		return;
	log_warn("txn",
		 "partition %s-%" PRId32 ": producer %" PRId64
		 " begins a transaction with epoch %d, and one of an older epoch is open: it is "
		 "aborted",
		 p->topic->name, p->index, o->producer_id, o->producer_epoch);
	group_end_open(g, a->partition, &m);
}

/* One more open transaction in a partition, and there are too many. */
static bool is_crowded(const struct txns *c, const struct append *a, const struct origin *o,
		       const struct group *g)
{
	return producer_table_is_crowded(c->broker->producers) &&
	       group_producer_in(g, a->partition, o->producer_id)->txn_first_offset < 0;
}

static enum ks_err add_partition(struct txns *c, struct txn_entry *x, const struct append *a,
				 const struct transaction_claim *claim, struct group *g)
{
	struct txn_step s = {.c = c, .g = g};
	struct transaction_effects fx;

	if (!txn_has_room(c, 1))
		return ERR_POLICY_VIOLATION;
	enum ks_err err =
		transaction_add_partitions(&x->t, claim, &a->partition->id, 1, g->now_ms, &fx);
	txn_settle(&s, x, &fx);
	return err;
}

enum ks_err txns_admit_append(struct txns *c, const struct append *a, const struct origin *o,
			      struct group *g)
{
	struct transaction_claim claim = claim_of(a, o);
	struct txn_entry *x = entry_of(c, a, o);
	bool is_new = false;

	if (!x)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	enum ks_err err = txn_check_connection(c, x, DEFENCE_BATCHES, &claim, a->connection);
	if (err)
		return err;
	err = transaction_check_partition(&x->t, &claim, a->partition->id, &is_new);
	if (!err && is_crowded(c, a, o, g))
		err = ERR_POLICY_VIOLATION;
	if (!err && is_new)
		err = add_partition(c, x, a, &claim, g);
	if (err)
		return transaction_wire_error(err, API_produce, a->adds_partition ? 12 : 11);
	end_orphan(a, o, g);
	return ERR_NONE;
}

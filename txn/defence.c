/* defence.c - see defence.h. */
#include "txn/defence.h"

#include "base/seeded.h"

enum ks_err defence_check(struct transaction_defence *d, enum defence_kind kind,
			  const struct transaction *t, const struct transaction_claim *claim,
			  uint64_t connection)
{
	if (claim->version != 1 || t->is_fenced || claim->producer_id != t->producer_id ||
	    claim->producer_epoch != t->producer_epoch)
		return ERR_NONE;
	if (connection < d->newest[kind] && !KS_SEEDED_BUG(13))
		return kind == DEFENCE_BATCHES ? ERR_NOT_LEADER_OR_FOLLOWER : ERR_NOT_COORDINATOR;
	if (!KS_SEEDED_BUG(14))
		d->newest[kind] = connection;
	return ERR_NONE;
}

void defence_reset(struct transaction_defence *d, uint64_t connection)
{
	if (KS_SEEDED_BUG(15) && connection < d->newest[DEFENCE_COORDINATOR])
		return;
	*d = (struct transaction_defence){.newest = {[DEFENCE_COORDINATOR] = connection}};
}

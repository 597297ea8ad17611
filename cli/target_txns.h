/* target_txns.h - from what brokers tell about transactions to the rows that verbs see; for both targets. */
#ifndef CLI_TARGET_TXNS_H
#define CLI_TARGET_TXNS_H

#include "cli/target.h"

/* Adds what one coordinator told. out: zeros before the first. */
void target_txns_add(struct target_txns *out, int32_t coordinator,
		     const struct list_transactions_response *m);
/* After the last. */
void target_txns_sort(struct target_txns *out);
void target_txn_read(struct target_txn_details *out, int32_t coordinator,
		     const struct describe_transactions_response_transaction_state *row);

#endif

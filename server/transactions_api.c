/* transactions_api.c - the transaction APIs: the broker's transaction coordinator answers. Its part of InitProducerId is in
 * init_producer_id.c. */
#include "server/forward.h"
#include "server/handlers.h"

FORWARDED(add_partitions_to_txn, broker_txn_call)
FORWARDED(add_offsets_to_txn, broker_txn_call)
FORWARDED(txn_offset_commit, broker_txn_call)
FORWARDED(end_txn, broker_txn_call)
FORWARDED(write_txn_markers, broker_txn_call)
FORWARDED(describe_transactions, broker_txn_call)
FORWARDED(list_transactions, broker_txn_call)

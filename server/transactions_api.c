/* transactions_api.c - the transaction APIs: the broker's transaction coordinator answers. Its part of InitProducerId is in
 * init_producer_id.c. */
#include "server/forward.h"
#include "server/handlers.h"

#define FORWARDED(name)                                                                            \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response)                                       \
	{                                                                                          \
		(void)request;                                                                     \
		(void)response;                                                                    \
		forward_call(x, broker_txn_call);                                                  \
	}

FORWARDED(add_partitions_to_txn)
FORWARDED(add_offsets_to_txn)
FORWARDED(txn_offset_commit)
FORWARDED(end_txn)
FORWARDED(write_txn_markers)
FORWARDED(describe_transactions)
FORWARDED(list_transactions)

/* transactions.h - transactions from outside: which there are, who has them open in a partition, and how one that hangs is
 * aborted.
 */
#ifndef CLIENT_TRANSACTIONS_H
#define CLIENT_TRANSACTIONS_H

#include "client/cluster.h"

/* Asks all brokers; each is called for every answer, which is without error. A filter that a broker's version does not know
 * is an error.
 *   ERR_INVALID_REGULAR_EXPRESSION, ERR_UNSUPPORTED_VERSION, ... */
enum ks_err
client_txns_list(struct client_cluster *cl, const struct list_transactions_request *filter,
		 void (*each)(void *arg, int32_t node, const struct list_transactions_response *m),
		 void *arg, struct ks_why *why);

/* One transactional id: its only row and the coordinator that told it. Release with client_reply_fini(r).
 *   ERR_TRANSACTIONAL_ID_NOT_FOUND */
enum ks_err client_txn_describe(struct client_cluster *cl, const char *id, struct client_reply *r,
				const struct describe_transactions_response_transaction_state **row,
				int32_t *coordinator, struct ks_why *why);

/* Who writes to a partition, as its leader knows it. Release with client_reply_fini(r).
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION, ... */
enum ks_err client_producers(struct client_cluster *cl, const char *topic, int32_t partition,
			     struct client_reply *r,
			     const struct describe_producers_response_partition **row,
			     struct ks_why *why);

/* Writes an abort marker to one partition, whatever the coordinator thinks of it.
 *   ERR_INVALID_PRODUCER_EPOCH, ERR_TRANSACTION_COORDINATOR_FENCED, ... */
enum ks_err client_txn_abort(struct client_cluster *cl, const char *topic, int32_t partition,
			     int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
			     struct ks_why *why);

#endif

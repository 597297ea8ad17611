/* defence.h - refuses what comes late on an older connection: for transactions of protocol version 1.
 *
 * In version 1 a producer keeps its epoch from one transaction to the next. It may give up waiting for an answer, connect
 * anew, send the request again, and be in its next transaction when the first request arrives after all: an EndTxn
 * then ends the wrong transaction, a batch joins it. Nothing in such a request tells. But TCP does: requests of one
 * connection keep their order, and whoever connects anew does so later. So the coordinator remembers for each
 * transactional id which connection, in the order of their acceptance, carried the last request of the producer that has the
 * newest pair, and refuses what comes on an older one. The client sees a retriable error, if it is there at all.
 *
 * Apache Kafka has nothing of the kind. Limits:
 * - One coordinator process per id. Connections of another process have an order of their own.
 * - A client that spreads requests of one kind and one transactional id over several live connections, turn and
 *   turn about, is refused. No known client does: each keeps one connection to a broker for each kind below.
 * - A batch that is late while no other batch came on a newer connection is not noticed; its sequence number and
 *   the check of its partition still hold.
 * - A proxy that joins connections of clients hides their order; so does one that accepts for the broker.
 * Version 2 needs none of this: requests of the last transaction have another epoch. For such deployments the owner does
 * not call it.
 *
 * A value in memory alone, pure as txn/transaction.h is: after a start all older connections are gone.
 */
#ifndef TXN_DEFENCE_H
#define TXN_DEFENCE_H

#include <stdint.h>

#include "base/err.h"
#include "txn/transaction.h"

/* Clients send these on connections of their own, and not in one order. */
enum defence_kind {
	DEFENCE_COORDINATOR, /* AddPartitionsToTxn, AddOffsetsToTxn, EndTxn */
	DEFENCE_OFFSETS,     /* TxnOffsetCommit */
	DEFENCE_BATCHES,     /* Produce */
	DEFENCE_KINDS,
};

/* Of one transactional id. Zero: no connection is known. */
struct transaction_defence {
	uint64_t
		newest[DEFENCE_KINDS]; /* numbers of connections: 1, 2, ... as they were accepted */
};

/* Before the request is carried out. Requests of version 2, and of producers that do not have the newest pair, pass: the state
 * machine judges them, and they do not count.
 *   ERR_NOT_COORDINATOR, for batches ERR_NOT_LEADER_OR_FOLLOWER   a newer connection has been used */
enum ks_err defence_check(struct transaction_defence *d, enum defence_kind kind,
			  const struct transaction *t, const struct transaction_claim *claim,
			  uint64_t connection);

/* InitProducerId gave a new pair: with it everything begins anew, on whatever connection it came. */
void defence_reset(struct transaction_defence *d, uint64_t connection);

#endif

/* transactions.h - the coordinator of transactions: requests in, answers out, state in the store.
 *
 * It lives on the shard's thread, as the coordinator of groups does. A request becomes a task; txn/transaction.h says what it
 * makes of its transactional id; what that wants written goes into the WriteBatch of the task's group, and the answer goes
 * out when that is written. So the end of a transaction, its markers in all partitions, the offsets that it commits and the
 * producer's new epoch are one write, and there is no moment between them.
 *
 * A batch of a transaction is held against the same state, in the same place as against its sequence: nothing can come
 * between the check and the append.
 */
#ifndef BROKER_TRANSACTIONS_H
#define BROKER_TRANSACTIONS_H

#include "broker/group.h"

struct txns;

/* After the groups' coordinator, before the shard starts: from the store. ERR_CORRUPTION, ... */
enum ks_err txns_open(struct broker *b, struct txns **out, struct ks_why *why);
/* Before anybody else sends something: blocks until what a power loss makes necessary is on the disk, and begins to watch
 * time. */
enum ks_err txns_start(struct txns *c, struct ks_why *why);
/* Before the shard ends, when nobody else sends any more: all of it is on the disk then, and the store says so. */
void txns_stop(struct txns *c);
/* After the shard has ended, before the groups' coordinator. c may be NULL. */
void txns_free(struct txns *c);

/* --- the shard's thread --- */

/* Whether batches of a transaction may be appended; adds the partition to it when the append says so. Also ends what an older
 * epoch of the producer left open in the partition, which no coordinator knows of.
 *   ERR_INVALID_PRODUCER_ID_MAPPING, ERR_INVALID_PRODUCER_EPOCH, ERR_INVALID_TXN_STATE, ERR_TRANSACTION_ABORTABLE
 *   ERR_NOT_LEADER_OR_FOLLOWER   they come late, on an older connection */
enum ks_err txns_admit_append(struct txns *c, const struct append *a, const struct origin *o,
			      struct group *g);
/* Whether batches of transactions are answered before they are on the disk: the end of each syncs them. */
bool txns_sync_late(const struct txns *c);
/* Whether the id belongs to a transactional producer: nobody else may have its next epoch. */
bool txns_has_producer(const struct txns *c, int64_t producer_id);

#endif

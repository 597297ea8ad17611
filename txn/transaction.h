/* transaction.h - what the coordinator knows of one transactional id, and what each request makes of it.
 *
 * A transactional id belongs to one producer at a time. InitProducerId gives that producer a pair, a
 * producer id and an epoch, that nobody else ever had; every other request names the pair, and one that
 * names another pair than the newest comes from an instance that was replaced (a zombie) or comes late.
 *
 *     NONE --init--> EMPTY --add--> ONGOING --end, abort--> COMPLETE_ABORT, COMPLETE_COMMIT
 *                                    ^   ^                          |
 *                                    +add+-----------add------------+
 *
 * init is transaction_init_producer, which leads to EMPTY from every state; add: transaction_add_partitions
 * and transaction_add_group; end: transaction_end, which in version 2 also goes from EMPTY and COMPLETE
 * to COMPLETE_ABORT; abort: transaction_abort, the timeout; transaction_expire leads from EMPTY and COMPLETE
 * to DEAD, and from there to NONE.
 *
 * A struct transaction is a value and these functions are pure: they read no clock, touch no store and
 * take no lock. Who owns one copies it (transaction_copy), lets a function change the copy, writes what
 * the effects say, and keeps the copy once that is durable. Nothing may be answered before it is.
 *
 * Errors leave the value as it was and the effects empty, with ONE exception, marked below (A14): look at
 * effects.is_changed, never at the error, to learn whether there is something to write. The errors are
 * what the newest version of each request carries; transaction_wire_error gives what older ones do.
 *
 * Protocol versions. 1: partitions and groups are added by requests of their own, EndTxn below version
 * 5; a producer keeps its epoch from one transaction to the next. 2 (KIP-890): the first batch in a
 * partition (Produce from version 12) and the first offset of a group (TxnOffsetCommit from version 5)
 * add it, and EndTxn from version 5 gives the producer a new epoch each time, so that a late request of
 * one transaction cannot be taken for one of the next.
 *
 * Where this differs from Apache Kafka 4, on purpose:
 * - There is no PREPARE_COMMIT, no PREPARE_ABORT, no PREPARE_EPOCH_FENCE: the end of a transaction is one
 *   write of markers, offsets and this value. So an end is never "under way", and nothing here answers
 *   CONCURRENT_TRANSACTIONS.
 * - InitProducerId of a new instance while a transaction is open aborts that and succeeds at once, with one
 *   epoch more; Kafka aborts, answers CONCURRENT_TRANSACTIONS, and raises the epoch again when it is asked
 *   again.
 * - InitProducerId that names the newest pair while a transaction is open aborts that and is answered
 *   PRODUCER_FENCED: its producer has forgotten half a transaction. Kafka answers CONCURRENT_TRANSACTIONS and the
 *   second time lets it begin anew. One that names an older pair changes nothing; Kafka aborts the
 *   transaction of whoever has the newest pair.
 * - A repeated InitProducerId is known by its pair, id and epoch, also when the id was changed; it gets
 *   the first answer and leaves the last outcome in place, so that a repeated EndTxn is still answered.
 * - A commit of version 2 that comes after the timeout has aborted its transaction gets PRODUCER_FENCED, where Kafka
 *   4.3 says INVALID_TXN_STATE. An abort gets the next pair, as in Kafka, and its producer goes on; so does
 *   InitProducerId with its pair. In version 1 both ends get PRODUCER_FENCED, as in Kafka.
 * - A transaction that requests of version 2 began is ended by version 2 alone, and only its batches add
 *   partitions; to one that version 1 began only AddPartitionsToTxn adds. An epoch whose transaction was
 *   ended by version 1 begins none of version 2. The error is INVALID_TXN_STATE.
 * - An id that expired leaves its newest pair behind for a while: an older instance cannot come back
 *   with an older pair and shut out the one that replaced it.
 * - Number of partitions and groups of one transaction are bounded (POLICY_VIOLATION).
 * - Two-phase commit (KIP-939) is refused: keepPreparedTxn with UNSUPPORTED_VERSION, enable2Pc with
 *   TRANSACTIONAL_ID_AUTHORIZATION_FAILED, as by a Kafka that has it switched off.
 */
#ifndef TXN_TRANSACTION_H
#define TXN_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "txn/transaction_parts.h"

#define TRANSACTIONAL_ID_MAX 1024 /* bytes; a longer one is answered INVALID_REQUEST */

/* Kafka's numbers; 2, 3 and 7 are the states that one node does not need. */
enum transaction_state {
	TRANSACTION_EMPTY = 0,   /* no transaction since the last InitProducerId */
	TRANSACTION_ONGOING = 1, /* one is open */
	TRANSACTION_COMPLETE_COMMIT = 4,
	TRANSACTION_COMPLETE_ABORT = 5,
	TRANSACTION_DEAD = 6, /* expired; only its newest pairs are left */
};
/* As DescribeTransactions and ListTransactions spell it: "Ongoing". */
const char *transaction_state_name(enum transaction_state state);

struct transaction {
	int64_t producer_id; /* -1: nothing is known of this transactional id */
	/* The pair that its producer had before the one it has now, when that can still come in a repeated
	 * request; -1, -1: an older pair is always a zombie's. */
	int64_t last_producer_id;
	int64_t start_ms;  /* of the open transaction; -1: none is open */
	int64_t update_ms; /* of the last change */
	int32_t timeout_ms;
	int16_t producer_epoch; /* 32,767 is never a client's: it is for fencing the one that has 32,766 */
	int16_t last_producer_epoch;
	uint8_t state; /* enum transaction_state */
	uint8_t version; /* of the protocol, 1 or 2, that the open transaction grows by, or that ended the
			  * last one; 0: none since InitProducerId */
	bool is_fenced; /* nobody has the newest pair yet: a transaction was aborted from outside */
	struct transaction_parts parts; /* of the open transaction; empty in all other states */
};

#define TRANSACTION_NONE                                                                           \
	((struct transaction){.producer_id = -1,                                                   \
			      .last_producer_id = -1,                                              \
			      .start_ms = -1,                                                      \
			      .producer_epoch = -1,                                                \
			      .last_producer_epoch = -1})

void transaction_fini(struct transaction *t); /* leaves TRANSACTION_NONE */
void transaction_copy(struct transaction *to, const struct transaction *from); /* to: none yet */

/* What is to be done in the write batch that holds the changed value. */
struct transaction_effects {
	bool is_changed; /* put the value */
	bool used_id;    /* the new_producer_id that was offered is taken */
	bool is_ended; /* write a marker in each partition of `ended`, make the offsets of its groups
			     * those of the group (commit) or drop them (abort) */
	bool is_committed; /* with is_ended: which of the two */
	int16_t marker_epoch; /* with is_ended: of markers; from then on partitions refuse older epochs */
	int64_t marker_producer_id;
	struct transaction_parts ended; /* the caller's: transaction_effects_fini */
	/* The answer to InitProducerId and EndTxn; -1, -1 with an error. */
	int64_t producer_id;
	int16_t producer_epoch;
};
void transaction_effects_fini(struct transaction_effects *fx);

/* Who asks. */
struct transaction_claim {
	int64_t producer_id;
	int16_t producer_epoch;
	uint8_t version; /* of the protocol: 1 or 2 */
};

/* InitProducerId. The caller offers an id that was never given to anybody and takes it out of its
 * stock when fx->used_id says so. An unknown transactional id is TRANSACTION_NONE.
 *   ERR_INVALID_REQUEST              only one of id and epoch is given
 *   ERR_INVALID_TRANSACTION_TIMEOUT  it is not above 0, or above timeout_max_ms
 *   ERR_UNSUPPORTED_VERSION          keep_prepared_txn
 *   ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED   enable_2pc
 *   ERR_PRODUCER_FENCED              another instance has taken over. When the pair was the newest and
 *                                    a transaction was open, that one is aborted: fx is to be carried out */
struct transaction_init {
	int64_t producer_id;    /* with producer_epoch: the producer's current pair (KIP-360); */
	int16_t producer_epoch; /* -1, -1: a new instance */
	bool enable_2pc, keep_prepared_txn;
	int32_t timeout_ms;
	int32_t timeout_max_ms; /* transaction.max.timeout.ms */
	int64_t new_producer_id;
	int64_t now_ms;
};
enum ks_err transaction_init_producer(struct transaction *t, const struct transaction_init *init,
				      struct transaction_effects *fx);

/* Whether a batch of the claim may be appended to the partition, as one that its producer sends for
 * the first time (a batch that the partition remembers is answered as a duplicate without asking here,
 * unless its epoch is old). ERR_NONE and *is_new: transaction_add_partitions has to come first, in the same
 * write batch. Changes nothing.
 *   ERR_INVALID_PRODUCER_ID_MAPPING  the transactional id has another producer id, or none
 *   ERR_PRODUCER_FENCED              the epoch is not the newest
 *   ERR_TRANSACTION_ABORTABLE        version 1: the partition was not added
 *   ERR_INVALID_TXN_STATE            version 2 in a transaction of version 1 */
enum ks_err transaction_check_partition(const struct transaction *t,
					const struct transaction_claim *claim,
					uint32_t partition_id, bool *is_new);
/* The same for the offsets of a group (TxnOffsetCommit). */
enum ks_err transaction_check_group(const struct transaction *t,
				    const struct transaction_claim *claim, struct slice group,
				    bool *is_new);

/* AddPartitionsToTxn (claim->version 1), and what the first batch in a partition does (2). Begins a
 * transaction if none is open. All of them or none.
 *   ERR_INVALID_PRODUCER_ID_MAPPING, ERR_PRODUCER_FENCED, ERR_INVALID_TXN_STATE   as above; the last one also
 *                        version 1 in a transaction of version 2
 *   ERR_POLICY_VIOLATION more than TRANSACTION_PARTITIONS_MAX */
enum ks_err transaction_add_partitions(struct transaction *t, const struct transaction_claim *claim,
				       const uint32_t *partition_ids, size_t count, int64_t now_ms,
				       struct transaction_effects *fx);
/* AddOffsetsToTxn, and what the first TxnOffsetCommit of a group does. Also ERR_INVALID_GROUP_ID: the name
 * is empty or too long. */
enum ks_err transaction_add_group(struct transaction *t, const struct transaction_claim *claim,
				  struct slice group, int64_t now_ms,
				  struct transaction_effects *fx);

/* EndTxn. A repeated one is answered as the first time and changes nothing. Version 2 may need an id:
 * see InitProducerId.
 *   ERR_INVALID_PRODUCER_ID_MAPPING, ERR_PRODUCER_FENCED
 *   ERR_INVALID_TXN_STATE   there is nothing to commit, the last transaction ended the other way, or
 *                           version 1 would end one of version 2 */
enum ks_err transaction_end(struct transaction *t, const struct transaction_claim *claim,
			    bool is_commit, int64_t new_producer_id, int64_t now_ms,
			    struct transaction_effects *fx);

/* When its open transaction will have timed out, in ms; INT64_MAX: none is open. */
int64_t transaction_deadline(const struct transaction *t);
/* Its timeout aborts the open transaction. Its producer is fenced until it asks, with InitProducerId or, in version 2, an
 * abort, and is given the newest pair. Only with a transaction open. */
void transaction_abort(struct transaction *t, int64_t now_ms, struct transaction_effects *fx);

/* A power loss may have taken the last writes, and with them a part of the open transaction or one that was begun and nobody
 * knows of: aborts what is open and fences the producer, as a timeout does, in every state. A producer that has no pair yet is
 * fenced already, and an id that expired has none: then nothing changes. */
void transaction_fence(struct transaction *t, int64_t now_ms, struct transaction_effects *fx);

/* When something happens to an id that is not used, in ms; INT64_MAX: a transaction is open. */
int64_t transaction_expiry(const struct transaction *t, int64_t expiration_ms);
/* That has come. The value is DEAD now and is put, or, if it was DEAD, it is NONE and its key is to be
 * deleted (fx->is_changed in both). */
void transaction_expire(struct transaction *t, int64_t now_ms, struct transaction_effects *fx);

/* What a request of this api key (Produce 0, InitProducerId 22, AddPartitionsToTxn 24, AddOffsetsToTxn 25,
 * EndTxn 26, TxnOffsetCommit 28) and version says in place of one of the errors above. */
enum ks_err transaction_wire_error(enum ks_err err, int16_t api_key, int16_t version);

/* CF_TXN: 't', transactional id -> value. Byte by byte in docs/storage.md. */
#define KEY_TYPE_TRANSACTION 't'
void key_transaction(struct slice transactional_id, struct buf *key); /* appends */
/* The id is borrowed from the key. */
bool key_transaction_decode(struct slice key, struct slice *transactional_id);
void value_transaction(const struct transaction *t, struct buf *value); /* appends */
/* false: the value is damaged, t is as it was. t: none yet. */
bool value_transaction_decode(struct slice value, struct transaction *t);

#endif

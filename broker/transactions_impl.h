/* transactions_impl.h - what the files of the coordinator of transactions share.
 *
 *     transactions.c          the table of transactional ids, calls, opening and closing
 *     transactions_api.c      InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn
 *     transactions_offsets.c  TxnOffsetCommit, and offsets until their transaction ends
 *     transactions_admin.c    ListTransactions, DescribeTransactions, WriteTxnMarkers
 *     transactions_watch.c    timeouts, ids that expire, transactions that hang
 *     transactions_append.c   batches
 *     transactions_power.c    what a power loss may have taken
 */
#ifndef BROKER_TRANSACTIONS_IMPL_H
#define BROKER_TRANSACTIONS_IMPL_H

#include <sys/queue.h>

#include "base/seeded.h"
#include "broker/coordinator_impl.h"
#include "broker/transactions.h"
#include "txn/defence.h"
#include "txn/transaction.h"

/* One transactional id. */
struct txn_entry {
	struct slice id; /* as struct named */
	struct transaction t;
	struct transaction_defence defence;

	int64_t indexed_producer_id; /* by which it is found; -1: it is not */
	struct txn_entry *next_of_bucket;
	bool is_open;        /* in the list of those */
	uint32_t part_count; /* of its partitions, as they are counted for all */
	TAILQ_ENTRY(txn_entry) in_open;
	LIST_HEAD(, pending_offsets) pending;
};

struct txns {
	struct broker *broker;
	struct txn_options options; /* defaults filled in */

	/* owner: shard */
	struct sorted ids;          /* struct txn_entry */
	struct txn_entry **buckets; /* by producer id; bucket_count is a power of two */
	size_t bucket_count;
	TAILQ_HEAD(txn_entries, txn_entry) open; /* by the time when they began */
	size_t open_count, part_count;
	size_t pending_bytes;   /* of offsets */
	uint64_t pending_order; /* of the newest */
	struct tick tick;
	struct {
		int64_t timeouts, expiry,
			hanging; /* ms of the monotonic clock; INT64_MAX: nothing to do */
		struct buf at;   /* the id up to which the look for expired ones has come */
	} due;
	struct {
		uint8_t id[BOOT_ID_BYTES];
		bool is_known;
		bool is_stored; /* batches of transactions need no sync of their own */
		bool was_other; /* the machine went down since, or writes were lost otherwise, while there were such batches */
	} boot;
	struct buf key, value;

	/* written by the shard, read by anyone */
	_Atomic(uint64_t) id_count, opened, committed, aborted, timed_out, hanging;
	_Atomic(int64_t) oldest_start_ms; /* INT64_MAX: none is open */
};

/* One task or tick. */
struct txn_step {
	struct txns *c;
	struct group *g;
	int64_t now_ms; /* of the monotonic clock */
};

/* --- transactions.c --- */

struct txn_entry *txn_find(const struct txns *c, struct slice id);
/* Whose newest id it is; NULL: nobody's. */
struct txn_entry *txn_find_producer(const struct txns *c, int64_t producer_id);
/* Whether open transactions may have so many partitions more, all together. */
bool txn_has_room(const struct txns *c, size_t parts);
/* One that nothing is known of. NULL: there are as many as there may be. */
struct txn_entry *txn_add(struct txns *c, struct slice id);
/* Carries out what the machine has said of x, all into the group's write, and frees fx. x may be gone then. */
void txn_settle(struct txn_step *s, struct txn_entry *x, struct transaction_effects *fx);
/* ERR_INVALID_REQUEST */
enum ks_err txn_check_id(struct slice id);
/* As transaction_wire_error. */
int16_t txn_code(enum ks_err err, const struct coordinator_call *call);
/* The defence against what comes late. */
enum ks_err txn_check_connection(struct txns *c, struct txn_entry *x, enum defence_kind kind,
				 const struct transaction_claim *claim, uint64_t connection);

/* --- the APIs --- */

void txn_init_producer(struct txn_step *s, struct coordinator_call *call);
void txn_add_partitions(struct txn_step *s, struct coordinator_call *call);
void txn_add_offsets(struct txn_step *s, struct coordinator_call *call);
void txn_end(struct txn_step *s, struct coordinator_call *call);
void txn_commit_offsets(struct txn_step *s, struct coordinator_call *call);
void txn_list(struct txn_step *s, struct coordinator_call *call);
void txn_describe(struct txn_step *s, struct coordinator_call *call);
void txn_write_markers(struct txn_step *s, struct coordinator_call *call);

/* --- transactions_power.c --- */

/* Once the table is loaded. ERR_CORRUPTION, ERR_IO */
enum ks_err txns_power_load(struct txns *c, struct ks_why *why);
/* An id gets a producer, in this write, which will be synced. */
void txn_power_note(struct txn_step *s);

/* --- transactions_watch.c --- */

int64_t txns_watch(void *arg, struct group *g, int64_t now_ns);
/* A transaction has begun; an id has become known. now_ms: of the monotonic clock, as it is for all deadlines. */
void txns_watch_open(struct txns *c);
void txns_watch_ids(struct txns *c);

#endif

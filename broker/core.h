/* core.h - what the files of this folder share: the broker, its topics, its partitions' owner.
 *
 * Who changes what: the shard's thread alone changes topics, partitions, jobs, producers and ids,
 * always after the write that made the change durable. Everybody else reads, through atomics or short locks.
 * Lock order: topics.lock, then partition.mtx, then a waiter's. Most code needs one of them.
 */
#ifndef BROKER_CORE_H
#define BROKER_CORE_H

#include "broker/broker.h"
#include "broker/keys.h"
#include "broker/topic.h"
#include "txn/job.h"
#include "txn/producer_table.h"

struct broker {
	/* immutable after start */
	struct broker_options options; /* defaults filled in */
	char *dir;                     /* NULL: in memory */
	struct config_defaults topic_defaults;
	struct clock clock;
	struct store *store;
	struct shard *shard;
	struct retention *retention;
	struct coordinator *coordinator; /* what is in it: owner: shard */
	struct txns *txns;               /* what is in it: owner: shard */
	struct compaction *compaction;

	struct topics topics;
	struct job_table *jobs;
	struct producer_table *producers;

	/* What compaction has left in files since space was last given back. */
	_Atomic(uint64_t) garbage_bytes;

	/* owner: shard */
	struct ids ids;
	struct {
		int64_t next, reserved; /* durable, or about to be: below it ids may be given */
	} producer_ids;
	struct tick *producer_expiry;
};

/* As broker_open, over a store that is open already and taken, on failure too. For tests. */
enum ks_err broker_open_store(const struct broker_options *options, struct store *store,
			      struct broker **out, struct ks_why *why);

#endif

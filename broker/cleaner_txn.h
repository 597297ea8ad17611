/* cleaner_txn.h - transactions in a log that is cleaned: which batches were aborted, which markers may go.
 *
 * Nothing at or above the last stable offset is cleaned: whether it counts is not decided. Below, records that were
 * aborted supersede nothing and go, whatever their keys. A marker stays as long as a batch of its transaction does, and then
 * until its delete horizon: a reader that got the batch from the log as it was must come upon the marker, too (KIP-534). The
 * tail gives out nothing of what was cleaned, which here means: by a cleaning that came to its end before this one began.
 *
 * Belongs to one cleaning; its thread walks the log from its start.
 */
#ifndef BROKER_CLEANER_TXN_H
#define BROKER_CLEANER_TXN_H

#include "broker/partition.h"
#include "wire/batch.h"

/* A producer's transaction on the walk. */
struct walked {
	int64_t producer_id; /* -1: the slot is free */
	bool has_records;    /* since its last marker */
};

struct cleaner_txn {
	int64_t stable;          /* nothing at or above may be cleaned */
	struct aborted *aborted; /* in aborted_sort's order */
	size_t aborted_count;
	struct walked *slots; /* a hash; cap is a power of two */
	size_t count, cap;
	bool has_overflown; /* too many producers to remember: all markers stay */
	int64_t clean;      /* below it the log was clean when this began */
};

/* What is known of the log from an offset on, at this moment; up to another it is clean. Release with cleaner_txn_fini, after an error too. */
enum ks_err cleaner_txn_init(struct cleaner_txn *t, struct partition *p, int64_t from,
			     int64_t clean, struct ks_why *why);
void cleaner_txn_fini(struct cleaner_txn *t);

bool cleaner_txn_is_aborted(const struct cleaner_txn *t, const struct batch *b);
/* The walk has come to a batch with records. */
void cleaner_txn_pass(struct cleaner_txn *t, const struct batch *b);

enum marker_fate { MARKER_STAYS, MARKER_GETS_HORIZON, MARKER_GOES };
/* The walk has come to a marker. */
enum marker_fate cleaner_txn_pass_marker(struct cleaner_txn *t, const struct batch *b,
					 int64_t now_ms);

/* At least so long a marker outlasts its records, however short delete.retention.ms is: whoever reads them from a view of the
 * store that is older is done by then. */
#define MARKER_OUTLASTS_MS 60000

#endif

/* batch_filter.h - a stored batch without some of its records, as the compaction of a log leaves
 * it.
 *
 * What stays is as it was: base offset and last offset of the batch, its producer, sequence, codec
 * and kind of timestamps, and of each record its offset, timestamp and bytes. So a batch may have
 * fewer records than offsets, even none.
 *
 * A record with a null value (a tombstone) must be seen by readers for some time before it goes
 * too. Until when, the batch says (KIP-534): its base timestamp is this delete horizon, an
 * attribute bit tells so, and the records' deltas are counted from there.
 */
#ifndef WIRE_BATCH_FILTER_H
#define WIRE_BATCH_FILTER_H

#include "wire/batch.h"

struct batch_filter {
	/* Whether the record, of a batch with this delete horizon (-1: none yet), stays. */
	bool (*keeps)(void *arg, const struct record *r, int64_t delete_horizon);
	void *arg;
	size_t decompressed_max; /* bytes of one batch */
	int64_t delete_horizon;  /* ms; of batches that keep a tombstone and have none yet */

	/* scratch, kept from batch to batch */
	struct buf plain, kept, rebased;
};

enum batch_filtered {
	BATCH_UNCHANGED, /* nothing was appended: take the batch as it is */
	BATCH_CHANGED,   /* a batch was appended */
	BATCH_EMPTIED,   /* nothing was appended and no record stays; perhaps batch_write_empty */
};

/* Zero-initialise, then set the first four fields; release the scratch with batch_filter_fini. */
void batch_filter_fini(struct batch_filter *f);

/* b is no control batch. Appends to out what stays of it. The errors of record_iter_init, and
 * ERR_CORRUPT_MESSAGE; out is then as before. */
enum ks_err batch_filter(struct batch_filter *f, const struct batch *b, struct buf *out,
			 enum batch_filtered *result);

/* Appends the header of b as a batch without records: it takes the place of its offsets and keeps
 * its producer's sequence. */
void batch_write_empty(const struct batch *b, struct buf *out);

#endif

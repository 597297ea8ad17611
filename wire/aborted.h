/* aborted.h - which batches of a piece of log a reader of committed records has to pass over.
 *
 * A broker tells the transactions that were aborted by producer and first offset; where each ends is said by its abort
 * marker, a control batch in the log.
 */
#ifndef WIRE_ABORTED_H
#define WIRE_ABORTED_H

#include "wire/batch.h"
#include "wire/messages.h"

/* Zero-initialise; may be used again and again. */
struct aborted_batches {
	int64_t *base_offsets; /* rising */
	size_t count, cap;
	struct buf scratch;
};

/* Replaces what it has by the aborted ones among these whole batches. rows are in the order of their first offsets. */
void aborted_batches_find(struct aborted_batches *a, struct slice batches,
			  const struct fetch_response_aborted_transaction *rows, size_t count);
/* Whether the batch, one of those, is to be passed over. */
bool aborted_batches_has(const struct aborted_batches *a, const struct batch *b);
void aborted_batches_fini(struct aborted_batches *a);

#endif

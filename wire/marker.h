/* marker.h - the batch that ends a transaction in a partition.
 *
 * A control batch of one record. Its key is version i16, type i16 (0: abort, 1: commit); its value is version
 * i16, epoch of the coordinator i32; the batch names the producer whose transaction it ends.
 */
#ifndef WIRE_MARKER_H
#define WIRE_MARKER_H

#include "wire/batch.h"

struct marker {
	int64_t producer_id;
	int64_t timestamp; /* ms */
	int32_t coordinator_epoch;
	int16_t producer_epoch;
	bool is_commit;
};

#define MARKER_BYTES_MAX 96 /* of the batch */

/* Appends the batch, at offset 0. */
void marker_write(struct buf *out, const struct marker *m);
/* false: it is no marker, or of a type that is not known. */
bool marker_read(const struct batch *b, struct marker *m);
/* Appends b, a control batch, with a delete horizon (ms): when it may be taken out of the log. */
void marker_write_horizon(struct buf *out, const struct batch *b, int64_t horizon);

#endif

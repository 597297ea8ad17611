/* undecided.h - producers whose transactions go on behind the last batch that was looked at.
 *
 * Pass it batches in the order of their offsets. It grows with the number of producers among them. Belongs to one thread.
 */
#ifndef BROKER_UNDECIDED_H
#define BROKER_UNDECIDED_H

#include <stddef.h>
#include <stdint.h>

#include "wire/batch.h"

struct undecided_row {
	int64_t producer_id; /* -1: the row is free */
	int64_t offset; /* of a batch of the transaction that no marker has followed; -1: there is none */
};
struct undecided {
	struct undecided_row *rows; /* a hash table; cap of them */
	size_t count, cap;          /* cap: 0 or a power of two */
};

/* Zero-initialise it before the first one. */
void undecided_pass(struct undecided *u, const struct batch *b);
void undecided_fini(struct undecided *u);

#endif

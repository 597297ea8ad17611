/* readers.h - readers of the store that wait for their consumer's next request.
 *
 * Whoever catches up asks for what follows; making a new iterator for each request would cost more than the
 * reading. A reader is kept under its partition and the offset where it would go on, for a few seconds: it
 * pins files. There is a bound on how many; the one put back first goes first.
 *
 * Any thread that may block.
 */
#ifndef SERVER_READERS_H
#define SERVER_READERS_H

#include "broker/broker.h"

struct readers;

struct readers *readers_new(size_t readers_max);
void readers_free(struct readers *rs); /* may be NULL */
/* One that stands there, or a new one. */
struct reader *readers_take(struct readers *rs, struct partition *p, int64_t offset);
/* It would go on at offset. */
void readers_put(struct readers *rs, struct reader *r, struct partition *p, int64_t offset,
		 int64_t now_ms);
/* Frees those put back at or before put_ms. Returns when the oldest one left was put back; INT64_MAX: none is left. */
int64_t readers_expire(struct readers *rs, int64_t put_ms);

#endif

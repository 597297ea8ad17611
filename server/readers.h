/* readers.h - readers of the store that wait for their consumer's next request, and read ahead for it.
 *
 * Whoever catches up asks for what follows; making a new iterator for each request would cost more than the
 * reading. A reader is kept under its partition and the offset where it would go on, for a few seconds: it
 * pins files. There is a bound on how many; the one put back first goes first.
 *
 * Who has asked twice will ask again: while its consumer takes the last answer apart, a worker reads what the next
 * request will ask for. All of that together is bounded too.
 *
 * Any thread; what waits for the disk says so.
 */
#ifndef SERVER_READERS_H
#define SERVER_READERS_H

#include "broker/broker.h"

struct readers;
struct workers;

/* One on its way through a partition; belongs to who took it. */
struct kept_reader;

/* ahead_max: bytes of all that is read ahead. workers: end before readers_free. */
struct readers *readers_new(size_t readers_max, size_t ahead_max, struct workers *workers);
/* rs may be NULL. */
void readers_free(struct readers *rs);

/* One that stands there, or a new one. Waits for one that is reading ahead. */
struct kept_reader *readers_take(struct readers *rs, struct partition *p, int64_t offset);
/* One that has read ahead from there; NULL: none has. Does not wait. */
struct kept_reader *readers_take_ready(struct readers *rs, struct partition *p, int64_t offset);
/* What follows, as reader_read: first what was read ahead. Waits for the disk, unless it is ready. Only batches that
 * end below end. is_strict: not more than max_bytes. ERR_EMPTY: there is no such batch. */
enum ks_err kept_reader_read(struct kept_reader *k, int64_t end, size_t max_bytes, bool is_strict,
			     struct chunk *out, struct ks_why *why);
/* Whether something that was read ahead comes next. */
bool kept_reader_is_ready(const struct kept_reader *k);
/* Gives it back; it goes on behind the last chunk that it gave. more: about so many bytes will be asked for next; 0: nobody
 * knows. */
void readers_put(struct readers *rs, struct kept_reader *k, size_t more, int64_t now_ms);

/* Frees those put back at or before put_ms. Returns when the oldest one left was put back; INT64_MAX: none is left. */
int64_t readers_expire(struct readers *rs, int64_t put_ms);

#endif

/* log_cursor.h - walks the stored values of a partition's log, in their order.
 *
 * Unlike a reader it sees values with their keys, and what the store has rather than the tail.
 * Belongs to one thread. */
#ifndef BROKER_LOG_CURSOR_H
#define BROKER_LOG_CURSOR_H

#include "broker/partition.h"

struct log_cursor {
	struct partition *partition;
	struct store_iter *iter;
	int64_t made_ns;
	struct key_log lower, upper; /* bounds of iter */
	int64_t last_offset;         /* key of the value it stands on */
	struct slice value;          /* of it, until the cursor moves */
};

/* Not positioned. */
void log_cursor_init(struct log_cursor *c, struct partition *p);
void log_cursor_fini(struct log_cursor *c);
/* Moves to the value that holds offset, or the first one above. ERR_NOT_FOUND: there is none;
 * ERR_IO, ERR_CORRUPTION. */
enum ks_err log_cursor_seek(struct log_cursor *c, int64_t offset, struct ks_why *why);
/* To the next one; as above. */
enum ks_err log_cursor_next(struct log_cursor *c, struct ks_why *why);

/* Takes the next batch off values, whole and with a right CRC. ERR_CORRUPTION, why has the place.
 */
enum ks_err log_take_batch(struct partition *p, struct slice *values, struct batch *b,
			   struct ks_why *why);

#endif

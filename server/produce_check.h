/* produce_check.h - what a broker asks of a batch before it takes it, as Kafka does, and recompression.
 *
 * Touches nothing but the batch and its topic's configuration; runs on a loop or on a worker.
 */
#ifndef SERVER_PRODUCE_CHECK_H
#define SERVER_PRODUCE_CHECK_H

#include "broker/broker.h"
#include "server/exchange.h"

#define REJECTED_MAX       16           /* records that an answer names */
#define PRODUCE_LONG_BYTES (128 * 1024) /* of plain records: about 100 us of checking */

/* The verdict over one partition's records. */
struct produce_check {
	struct exchange *x; /* whose arena holds the messages */
	struct partition *partition;
	struct slice records; /* within a frame that may be stamped */
	int64_t now_ms;
	struct buf *scratch;

	/* results */
	struct frame *
		frame; /* recompressed batches, to be appended instead; NULL: the records as they came */
	const char *message;            /* static; NULL: err tells enough */
	int32_t rejected[REJECTED_MAX]; /* places in the batch of records that are to blame */
	int rejected_count;
	const char *rejected_why;
};

/*   ERR_INVALID_RECORD                   not exactly one batch of magic 2; a record without a key where one is
 *                                        needed; wrong under a right CRC
 *   ERR_CORRUPT_MESSAGE, ERR_MESSAGE_TOO_LARGE, ERR_INVALID_TIMESTAMP, ERR_UNSUPPORTED_COMPRESSION_TYPE
 *   ERR_INVALID_REQUEST                  a transactional batch */
enum ks_err produce_check(struct produce_check *c);

/* Whether checking takes so long that a worker should do it. */
bool produce_check_is_long(const struct partition *p, struct slice records);

#endif

/* produce_check.h - what a broker asks of a batch before it takes it, as Kafka does, and recompression.
 *
 * Touches nothing but the batch and its topic's configuration; runs on a loop or on a worker.
 */
#ifndef SERVER_PRODUCE_CHECK_H
#define SERVER_PRODUCE_CHECK_H

#include "broker/broker.h"
#include "server/exchange.h"

#define REJECTED_MAX 16 /* records that an answer names */

/* The verdict over one partition's records. */
struct produce_check {
	struct exchange *x; /* whose arena holds the messages */
	struct partition *partition;
	struct slice records;          /* within a frame that may be stamped */
	struct slice transactional_id; /* of the request; may be null */
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
 *   ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED   a transactional batch, and the request names no transactional id */
enum ks_err produce_check(struct produce_check *c);

/* About how long checking takes, in microseconds. What is to be recompressed takes long whatever its size. */
unsigned produce_check_cost_us(const struct partition *p, struct slice records);
/* How large the batch may be that takes its place when it is recompressed; 0: it will not be. */
size_t produce_check_makes_bytes(const struct partition *p, struct slice records);
#define PRODUCE_LONG_US 100 /* more than this is a worker's */

#endif

/* producer.h - what a partition remembers of one idempotent producer, and whether a batch follows.
 *
 * Every batch of such a producer carries its id, its epoch and the sequence number of its first
 * record; numbers count records, per partition, and after 2^31 - 1 comes 0. A producer sends a batch
 * again when it saw no answer, with at most five of them under way: so the newest five are
 * remembered, and one of them that comes again is answered as the first time and not appended.
 *
 * Batches of a transaction carry a mark. The first of them opens the transaction in the partition, a marker, which
 * the coordinator of the transaction has put into the log, closes it. Whether the producer may have a transaction
 * open at all is not known here.
 *
 * A struct producer_state is a value and these functions are pure: they read no clock, touch no
 * store and take no lock. Who owns one copies it, tries, and keeps the copy or not.
 */
#ifndef TXN_PRODUCER_H
#define TXN_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define PRODUCER_BATCHES 5 /* remembered; clients have no more under way */

/* One appended batch. */
struct producer_batch {
	int64_t base_offset;
	int64_t append_ms; /* the broker's clock */
	int32_t base_sequence, last_sequence;
};

struct producer_state {
	int64_t last_ms;       /* of the newest append, the broker's clock */
	int32_t last_sequence; /* -1: none yet in this epoch */
	/* The first record of its open transaction; -1: none is open in this partition. */
	int64_t txn_first_offset;
	int32_t coordinator_epoch; /* of the last marker; -1: none yet */
	int16_t epoch;             /* -1: nothing is known of this producer */
	uint8_t count;             /* of batches, oldest first */
	struct producer_batch batches[PRODUCER_BATCHES];
};

#define PRODUCER_UNKNOWN_INIT                                                                      \
	{                                                                                          \
		.last_sequence = -1, .txn_first_offset = -1, .coordinator_epoch = -1, .epoch = -1  \
	}
#define PRODUCER_UNKNOWN ((struct producer_state)PRODUCER_UNKNOWN_INIT)

/* What the header of a batch says. */
struct producer_claim {
	int32_t base_sequence;     /* >= 0 */
	int32_t last_offset_delta; /* >= 0: of its last record */
	int16_t epoch;             /* >= 0 */
	bool is_transactional;
};

/* The sequence number of a batch's last record. */
int32_t producer_last_sequence(const struct producer_claim *c);

/* Whether a batch may be appended next. *duplicate: NULL, or, with ERR_NONE, the remembered batch
 * that it repeats, valid until s changes; then there is nothing to append.
 *   ERR_INVALID_PRODUCER_EPOCH         a newer instance of the producer has written
 *   ERR_OUT_OF_ORDER_SEQUENCE_NUMBER   records before it are missing, or it is older than what is
 *                                      remembered; a new epoch begins with sequence 0
 *   ERR_INVALID_TXN_STATE              it is not part of the transaction that is open, or that one is of
 *                                      another epoch
 * The first batch of an unknown producer may have any sequence: what was known of it may have
 * expired, and the producer cannot tell. */
enum ks_err producer_check(const struct producer_state *s, const struct producer_claim *c,
			   const struct producer_batch **duplicate);

/* A batch that passed the check is appended; it opens a transaction when it is part of one and none is open. */
void producer_add(struct producer_state *s, const struct producer_claim *c, int64_t base_offset,
		  int64_t now_ms);

/* What it appended lately was taken back: none of it may be answered as being there. Its sequence
 * numbers go on. */
void producer_forget_batches(struct producer_state *s);

/* A marker ends the transaction that is open. epoch: of the marker, at least that of s; from now on the producer's. What was
 * aborted is forgotten: a batch with one of its sequence numbers is not taken for one that is there. */
void producer_end(struct producer_state *s, int16_t epoch, int32_t coordinator_epoch,
		  bool is_commit, int64_t now_ms);

/* CF_TXN: 'p', partition id, producer id -> state. Byte by byte in docs/storage.md. */
#define KEY_TYPE_PRODUCER  'p'
#define KEY_PRODUCER_BYTES 13
struct key_producer {
	uint8_t bytes[KEY_PRODUCER_BYTES];
};
struct key_producer key_producer(uint32_t partition_id, int64_t producer_id);
bool key_producer_decode(struct slice key, uint32_t *partition_id, int64_t *producer_id);

#define VALUE_PRODUCER_BYTES_MAX (16 + PRODUCER_BATCHES * 24 + 12)
/* Returns its length. */
size_t value_producer(const struct producer_state *s, uint8_t value[VALUE_PRODUCER_BYTES_MAX]);
bool value_producer_decode(struct slice value, struct producer_state *s);

#endif

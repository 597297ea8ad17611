/* batch.h - the record batch, version 2 (magic 2), as Kafka stores and ships it.
 *
 *   0  base offset          i64      27  base timestamp  i64
 *   8  batch length         i32      35  max timestamp   i64     (length counts from here: byte 12)
 *  12  partition leader epoch i32    43  producer id     i64
 *  16  magic = 2            i8       51  producer epoch  i16
 *  17  CRC32C of 21..end    u32      53  base sequence   i32
 *  21  attributes           i16      57  record count    i32
 *  23  last offset delta    i32      61  records (compressed as attributes say)
 *
 * Base offset and leader epoch lie outside of the CRC, so the broker stamps them in place.
 * Everything here works on bytes that the caller owns; nothing is kept.
 */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/compress.h"

#define BATCH_HEADER_BYTES  61
#define BATCH_LENGTH_OFFSET 12 /* bytes that batch length does not count */

enum batch_timestamp_type { BATCH_CREATE_TIME, BATCH_LOG_APPEND_TIME };

struct batch {
	int64_t base_offset;
	int64_t base_timestamp, max_timestamp; /* ms */
	int64_t producer_id;                   /* -1: none */
	int32_t leader_epoch;
	int32_t base_sequence;
	int32_t last_offset_delta;
	int32_t record_count;
	uint32_t crc;
	int16_t producer_epoch;
	uint16_t attributes;
	struct slice bytes;   /* the whole batch, header included */
	struct slice records; /* what follows the header, perhaps compressed */
};

static inline enum codec batch_codec(const struct batch *b)
{
	return (enum codec)(b->attributes & 7);
}
static inline bool batch_is_control(const struct batch *b)
{
	return b->attributes & 0x20;
}
static inline bool batch_is_transactional(const struct batch *b)
{
	return b->attributes & 0x10;
}
static inline enum batch_timestamp_type batch_timestamp_type(const struct batch *b)
{
	return (b->attributes & 8) ? BATCH_LOG_APPEND_TIME : BATCH_CREATE_TIME;
}
/* ms; until when its tombstones stay; -1: a cleaner has not seen them yet. */
static inline int64_t batch_delete_horizon(const struct batch *b)
{
	return (b->attributes & 0x40) ? b->base_timestamp : -1;
}
static inline int64_t batch_last_offset(const struct batch *b)
{
	return b->base_offset + b->last_offset_delta;
}

/* Reads the header of the first batch in bytes. No CRC check, no look at the records.
 *   ERR_TRUNCATED        bytes end before the batch does
 *   ERR_CORRUPT_MESSAGE  magic, length, count or reserved attribute bits are impossible */
enum ks_err batch_peek(struct slice bytes, struct batch *b);

/* As batch_peek, and the CRC matches. */
enum ks_err batch_verify(struct slice bytes, struct batch *b);

/* Of consecutive batches: skips those that end below offset and takes as many as fit into max_bytes and end below
 * end_offset: at least one, unless it does not end there, then out is empty. false: malformed, or none is left. */
bool batches_select(struct slice batches, int64_t offset, int64_t end_offset, size_t max_bytes,
		    struct slice *out);
/* The offset behind consecutive batches that are well-formed; 0: there are none. */
int64_t batches_end_offset(struct slice batches);

/* Everything that a broker must know before it appends a batch of a client: batch_verify, then the
 * records decompress to at most decompressed_max bytes, parse with all their headers, have offset
 * deltas 0..n-1 and end exactly where the batch ends; count = last offset delta + 1 > 0; neither
 * control nor delete horizon nor LogAppendTime bit; known codec; a producer id comes with epoch and
 * sequence. b->max_timestamp becomes what the records say: a header that says otherwise is not
 * refused, batch_stamp_max_timestamp corrects it, as Kafka does. scratch is used for decompression.
 *   ERR_TRUNCATED, ERR_CORRUPT_MESSAGE    as batch_verify; a resend may help
 *   ERR_UNSUPPORTED_COMPRESSION_TYPE, ERR_TOO_LARGE (decompressed)
 *   ERR_INVALID_TIMESTAMP                 LogAppendTime is the broker's to set
 *   ERR_INVALID_RECORD                    wrong under a right CRC: no resend helps */
enum ks_err batch_validate(struct slice bytes, size_t decompressed_max, struct buf *scratch,
			   struct batch *b);

/* Stamps in place; both fields lie outside of the CRC. */
void batch_stamp(uint8_t *bytes, int64_t base_offset, int32_t leader_epoch);

/* message.timestamp.type=LogAppendTime: sets the attribute and the max timestamp and makes the CRC
 * anew. */
void batch_stamp_append_time(uint8_t *bytes, size_t len, int64_t now_ms);

/* Writes the max timestamp and makes the CRC anew, unless it is there already. */
void batch_stamp_max_timestamp(uint8_t *bytes, size_t len, int64_t max_timestamp);

/* One record, all slices borrowed from the bytes that the iterator walks. */
struct record {
	int64_t offset;
	int64_t timestamp;       /* ms; the batch's max timestamp under LogAppendTime */
	struct slice key, value; /* data == NULL: null */
	struct slice headers;    /* header_count encoded headers, without the count */
	int32_t header_count;
};

struct record_iter {
	const uint8_t *p, *end;
	int64_t base_offset, base_timestamp, append_timestamp;
	int32_t left;
	int32_t next_delta, last_delta; /* of the offset: what may come */
	bool is_append_time;
};

/* Walks the records of b. Compressed records are unpacked into scratch (cleared first), at most
 * decompressed_max bytes; scratch must live as long as the iterator and its records.
 *   ERR_UNSUPPORTED_COMPRESSION_TYPE, ERR_CORRUPT_MESSAGE, ERR_TOO_LARGE */
enum ks_err record_iter_init(struct record_iter *it, const struct batch *b, size_t decompressed_max,
			     struct buf *scratch);

/* 1: a record; 0: the end, reached exactly; -1: malformed. Offsets rise and stay within the batch.
 * That the headers are whole is left to record_header_next (and checked by batch_validate). */
int record_iter_next(struct record_iter *it, struct record *r);

struct record_header {
	struct slice name;  /* never null */
	struct slice value; /* data == NULL: null */
};

/* Walks encoded headers: advances *headers. 1: one read; 0: the end; -1: malformed. */
int record_header_next(struct slice *headers, struct record_header *h);
/* Appends one encoded header. */
void record_header_append(struct buf *headers, struct slice name, struct slice value);

/* Writes one batch to the end of a buffer. Zero-initialise; batch_writer_begin .. _append ..
 * _finish. The writer owns no memory. A savepoint is the value of `mark` before a record was added.
 */
struct batch_writer {
	struct buf *out;
	size_t start; /* of the batch in out */
	int64_t base_timestamp, max_timestamp;
	int32_t count;
};

struct batch_mark {
	size_t len;
	int64_t base_timestamp, max_timestamp;
	int32_t count;
};

void batch_writer_begin(struct batch_writer *w, struct buf *out);
/* headers: header_count encoded headers, as struct record has them. No slice may lie in the buffer
 * that is written, and each has at most 2^29 - 1 bytes. */
void batch_writer_append(struct batch_writer *w, int64_t timestamp, struct slice key,
			 struct slice value, struct slice headers, int32_t header_count);
/* Bytes of the batch so far. */
size_t batch_writer_size(const struct batch_writer *w);
struct batch_mark batch_writer_mark(const struct batch_writer *w);
/* Forgets all records added since the mark. */
void batch_writer_rollback(struct batch_writer *w, struct batch_mark mark);
/* Completes header and CRC; offset 0, leader epoch -1, no producer. A batch without records is
 * removed from out. scratch is used to compress (codec != CODEC_NONE); records that do not shrink
 * stay plain, and the attributes say so. */
void batch_writer_finish(struct batch_writer *w, enum codec codec, struct buf *scratch);

/* Sets the producer's fields of a finished batch and makes the CRC anew. */
void batch_set_producer(uint8_t *bytes, size_t len, int64_t producer_id, int16_t epoch,
			int32_t sequence, bool is_transactional);

#endif

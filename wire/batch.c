/* batch.c - reads, checks and stamps record batches; see batch.h.
 *
 * One record: length, then attributes (i8, unused), timestamp delta, offset delta, key, value,
 * count of headers, headers. All numbers are varints; key and value have their length in front, -1
 * is null.
 */
#include "wire/batch.h"

#include <assert.h>

#include "wire/batch_layout.h"
#include "wire/varint.h"

#define HEADER_BYTES_MIN 2 /* of a record's header: two lengths of zero */

static void parse_header(const uint8_t *p, size_t len, struct batch *b)
{
	b->base_offset = (int64_t)get_u64be(p + AT_BASE_OFFSET);
	b->leader_epoch = (int32_t)get_u32be(p + AT_LEADER_EPOCH);
	b->crc = get_u32be(p + AT_CRC);
	b->attributes = get_u16be(p + AT_ATTRIBUTES);
	b->last_offset_delta = (int32_t)get_u32be(p + AT_LAST_OFFSET_DELTA);
	b->base_timestamp = (int64_t)get_u64be(p + AT_BASE_TIMESTAMP);
	b->max_timestamp = (int64_t)get_u64be(p + AT_MAX_TIMESTAMP);
	b->producer_id = (int64_t)get_u64be(p + AT_PRODUCER_ID);
	b->producer_epoch = (int16_t)get_u16be(p + AT_PRODUCER_EPOCH);
	b->base_sequence = (int32_t)get_u32be(p + AT_BASE_SEQUENCE);
	b->record_count = (int32_t)get_u32be(p + AT_RECORD_COUNT);
	b->bytes = slice_of(p, len);
	b->records = slice_of(p + AT_RECORDS, len - AT_RECORDS);
}

/* A compacted batch may have fewer records than offsets, even none; never more. */
static bool header_is_possible(const struct batch *b)
{
	return !(b->attributes & ATTRIBUTES_RESERVED) && b->last_offset_delta >= 0 &&
	       b->base_offset <= INT64_MAX - b->last_offset_delta && b->record_count >= 0 &&
	       (int64_t)b->record_count <= (int64_t)b->last_offset_delta + 1;
}

enum ks_err batch_peek(struct slice bytes, struct batch *b)
{
	struct batch parsed;

	if (bytes.len <= AT_MAGIC)
		return ERR_TRUNCATED;
	uint32_t length = get_u32be(bytes.data + AT_LENGTH);
	if (bytes.data[AT_MAGIC] != BATCH_MAGIC || length > INT32_MAX ||
	    length < BATCH_HEADER_BYTES - BATCH_LENGTH_OFFSET)
		return ERR_CORRUPT_MESSAGE;
	if (bytes.len - BATCH_LENGTH_OFFSET < length)
		return ERR_TRUNCATED;

	parse_header(bytes.data, BATCH_LENGTH_OFFSET + (size_t)length, &parsed);
	if (!header_is_possible(&parsed))
		return ERR_CORRUPT_MESSAGE;
	*b = parsed;
	return ERR_NONE;
}

enum ks_err batch_verify(struct slice bytes, struct batch *b)
{
	struct batch peeked;

	enum ks_err err = batch_peek(bytes, &peeked);
	if (err)
		return err;
	if (batch_crc(peeked.bytes.data, peeked.bytes.len) != peeked.crc)
		return ERR_CORRUPT_MESSAGE;
	*b = peeked;
	return ERR_NONE;
}

bool batches_select(struct slice batches, int64_t offset, int64_t end_offset, size_t max_bytes,
		    struct slice *out)
{
	const uint8_t *from = batches.data, *end = from + batches.len, *to;
	struct batch b;

	for (;;) {
		if (from == end || batch_peek(slice_of(from, (size_t)(end - from)), &b))
			return false;
		if (batch_last_offset(&b) >= offset)
			break;
		from += b.bytes.len;
	}
	*out = slice_of(from, 0);
	if (batch_last_offset(&b) >= end_offset)
		return true;
	for (to = from + b.bytes.len; to < end; to += b.bytes.len) {
		if (batch_peek(slice_of(to, (size_t)(end - to)), &b))
			return false;
		if ((size_t)(to - from) + b.bytes.len > max_bytes ||
		    batch_last_offset(&b) >= end_offset)
			break;
	}
	*out = slice_of(from, (size_t)(to - from));
	return true;
}

int64_t batches_end_offset(struct slice batches)
{
	struct batch b = {.last_offset_delta = -1};

	for (size_t at = 0; at < batches.len; at += b.bytes.len)
		if (batch_peek(slice_of(batches.data + at, batches.len - at), &b))
			break;
	return batch_last_offset(&b) + 1;
}

/* What Kafka's broker asks of the header of a producer's batch. */
static enum ks_err check_producer_header(const struct batch *b)
{
	if (b->attributes & (ATTRIBUTE_CONTROL | ATTRIBUTE_DELETE_HORIZON))
		return ERR_INVALID_RECORD;
	if (b->attributes & ATTRIBUTE_LOG_APPEND_TIME)
		return ERR_INVALID_TIMESTAMP;
	if (b->record_count <= 0 || b->record_count - 1 != b->last_offset_delta)
		return ERR_INVALID_RECORD;
	if (b->producer_id >= 0 && (b->base_sequence < 0 || b->producer_epoch < 0))
		return ERR_INVALID_RECORD;
	if (batch_is_transactional(b) && b->producer_id < 0)
		return ERR_INVALID_RECORD;
	return ERR_NONE;
}

static bool headers_are_whole(struct slice headers, int32_t count)
{
	struct record_header h;
	int status;

	while ((status = record_header_next(&headers, &h)) > 0)
		count--;
	return status == 0 && count == 0;
}

/* The iterator lets offset deltas only rise and end at last_offset_delta. n of them in 0..n-1 are
 * all of them, so the gaps need no check here. */
static enum ks_err check_records(const struct batch *b, size_t decompressed_max,
				 struct buf *scratch, int64_t *max_timestamp)
{
	struct record_iter it;
	struct record r;
	int status;
	int64_t max = INT64_MIN;

	enum ks_err err = record_iter_init(&it, b, decompressed_max, scratch);
	if (err)
		return err == ERR_CORRUPT_MESSAGE ? ERR_INVALID_RECORD : err;
	while ((status = record_iter_next(&it, &r)) > 0) {
		if (r.header_count > 0 && !headers_are_whole(r.headers, r.header_count))
			return ERR_INVALID_RECORD;
		if (r.timestamp > max)
			max = r.timestamp;
	}
	if (status < 0)
		return ERR_INVALID_RECORD;
	*max_timestamp = max;
	return ERR_NONE;
}

enum ks_err batch_validate(struct slice bytes, size_t decompressed_max, struct buf *scratch,
			   struct batch *b)
{
	struct batch verified;

	enum ks_err err = batch_verify(bytes, &verified);
	if (err)
		return err;
	err = check_producer_header(&verified);
	if (err)
		return err;
	err = check_records(&verified, decompressed_max, scratch, &verified.max_timestamp);
	if (err)
		return err;
	*b = verified;
	return ERR_NONE;
}

void batch_stamp(uint8_t *bytes, int64_t base_offset, int32_t leader_epoch)
{
	put_u64be(bytes + AT_BASE_OFFSET, (uint64_t)base_offset);
	put_u32be(bytes + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void batch_stamp_append_time(uint8_t *bytes, size_t len, int64_t now_ms)
{
	uint16_t attributes = get_u16be(bytes + AT_ATTRIBUTES);

	put_u16be(bytes + AT_ATTRIBUTES, attributes | ATTRIBUTE_LOG_APPEND_TIME);
	put_u64be(bytes + AT_MAX_TIMESTAMP, (uint64_t)now_ms);
	put_u32be(bytes + AT_CRC, batch_crc(bytes, len));
}

void batch_stamp_max_timestamp(uint8_t *bytes, size_t len, int64_t max_timestamp)
{
	if (get_u64be(bytes + AT_MAX_TIMESTAMP) == (uint64_t)max_timestamp)
		return;
	put_u64be(bytes + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
	put_u32be(bytes + AT_CRC, batch_crc(bytes, len));
}

void batch_set_producer(uint8_t *bytes, size_t len, int64_t producer_id, int16_t epoch,
			int32_t sequence, bool is_transactional)
{
	unsigned attributes = get_u16be(bytes + AT_ATTRIBUTES) & ~(unsigned)ATTRIBUTE_TRANSACTIONAL;

	if (is_transactional)
		attributes |= ATTRIBUTE_TRANSACTIONAL;
	put_u16be(bytes + AT_ATTRIBUTES, (uint16_t)attributes);
	put_u64be(bytes + AT_PRODUCER_ID, (uint64_t)producer_id);
	put_u16be(bytes + AT_PRODUCER_EPOCH, (uint16_t)epoch);
	put_u32be(bytes + AT_BASE_SEQUENCE, (uint32_t)sequence);
	put_u32be(bytes + AT_CRC, batch_crc(bytes, len));
}

enum ks_err record_iter_init(struct record_iter *it, const struct batch *b, size_t decompressed_max,
			     struct buf *scratch)
{
	struct slice plain = b->records;

	if (batch_codec(b) != CODEC_NONE && b->record_count > 0) {
		buf_clear(scratch);
		enum ks_err err =
			codec_decompress(batch_codec(b), b->records, decompressed_max, scratch);
		if (err)
			return err;
		plain = buf_slice(scratch);
	}
	*it = (struct record_iter){
		.p = plain.data,
		.end = plain.data + plain.len,
		.base_offset = b->base_offset,
		.base_timestamp = b->base_timestamp,
		.append_timestamp = b->max_timestamp,
		.left = b->record_count,
		.last_delta = b->last_offset_delta,
		.is_append_time = batch_timestamp_type(b) == BATCH_LOG_APPEND_TIME,
	};
	return ERR_NONE;
}

/* Length and bytes; -1 is null, anything below is no length. */
static inline const uint8_t *read_bytes(const uint8_t *p, const uint8_t *end, struct slice *bytes)
{
	int32_t len;

	p = varint_read_i32(p, end, &len);
	if (!p || len > end - p)
		return NULL;
	if (len >= 0) {
		*bytes = slice_of(p, (size_t)len);
		return p + len;
	}
	*bytes = SLICE_NULL;
	return len == -1 ? p : NULL;
}

/* What follows the offset delta of a record that ends at end. */
static inline bool read_contents(const uint8_t *p, const uint8_t *end, struct record *r)
{
	int32_t count;

	p = read_bytes(p, end, &r->key);
	if (!p)
		return false;
	p = read_bytes(p, end, &r->value);
	if (!p)
		return false;
	p = varint_read_i32(p, end, &count);
	if (!p || count < 0 || count > (end - p) / HEADER_BYTES_MIN)
		return false;
	r->headers = slice_of(p, (size_t)(end - p));
	r->header_count = count;
	return count > 0 || p == end;
}

int record_iter_next(struct record_iter *it, struct record *r)
{
	int32_t len, offset_delta;
	int64_t timestamp_delta;

	if (it->left == 0)
		return it->p == it->end ? 0 : -1;
	const uint8_t *p = varint_read_i32(it->p, it->end, &len);
	if (!p || len < 1 || len > it->end - p)
		return -1;
	const uint8_t *end = p + len;

	p = varint_read_i64(p + 1, end, &timestamp_delta); /* + 1: attributes, which have no use */
	if (!p)
		return -1;
	p = varint_read_i32(p, end, &offset_delta);
	if (!p || offset_delta < it->next_delta || offset_delta > it->last_delta)
		return -1;
	if (!read_contents(p, end, r))
		return -1;

	r->offset = it->base_offset + offset_delta;
	r->timestamp = (int64_t)((uint64_t)it->base_timestamp + (uint64_t)timestamp_delta);
	if (it->is_append_time)
		r->timestamp = it->append_timestamp;
	it->next_delta = offset_delta + 1;
	it->left--;
	it->p = end;
	return 1;
}

int record_header_next(struct slice *headers, struct record_header *h)
{
	struct record_header read;

	if (headers->len == 0)
		return 0;
	const uint8_t *end = headers->data + headers->len;
	const uint8_t *p = read_bytes(headers->data, end, &read.name);
	if (!p || !read.name.data)
		return -1;
	p = read_bytes(p, end, &read.value);
	if (!p)
		return -1;
	*h = read;
	*headers = slice_of(p, (size_t)(end - p));
	return 1;
}

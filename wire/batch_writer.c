/* batch_writer.c - writes record batches; see batch.h and, for the form of a record, batch.c. */
#include "wire/batch.h"

#include <assert.h>

#include "wire/batch_layout.h"
#include "wire/varint.h"

#define NO_TIMESTAMP             (-1)

/* Room for a record's numbers, however large: length, attributes, timestamp delta, offset delta,
 * and the lengths of key, value and headers. */
#define RECORD_NUMBERS_BYTES_MAX (5 * VARINT32_BYTES_MAX + 1 + VARINT64_BYTES_MAX)

/* The encoded length of bytes: -1 for null. */
static inline int32_t length_of(struct slice bytes)
{
	return bytes.data ? (int32_t)bytes.len : -1;
}

static inline uint8_t *write_bytes(uint8_t *p, struct slice bytes)
{
	p = varint_write_i32(p, length_of(bytes));
	if (!bytes.data)
		return p;
	memcpy(p, bytes.data, bytes.len);
	return p + bytes.len;
}

void record_header_append(struct buf *headers, struct slice name, struct slice value)
{
	assert(name.data && name.len <= INT32_MAX && value.len <= INT32_MAX);
	buf_reserve(headers, name.len + value.len + 2 * VARINT32_BYTES_MAX);
	uint8_t *p = write_bytes(headers->data + headers->len, name);
	p = write_bytes(p, value);
	headers->len = (size_t)(p - headers->data);
}

void batch_writer_begin(struct batch_writer *w, struct buf *out)
{
	*w = (struct batch_writer){
		.out = out,
		.start = out->len,
		.base_timestamp = NO_TIMESTAMP,
		.max_timestamp = NO_TIMESTAMP,
	};
	buf_reserve(out, BATCH_HEADER_BYTES);
	memset(out->data + out->len, 0, BATCH_HEADER_BYTES); /* filled by batch_writer_finish */
	out->len += BATCH_HEADER_BYTES;
}

/* Deltas wrap around; the reader's sum wraps back, so every timestamp survives. */
static inline int64_t timestamp_delta(struct batch_writer *w, int64_t timestamp)
{
	if (w->count == 0) {
		w->base_timestamp = timestamp;
		w->max_timestamp = timestamp;
	} else if (timestamp > w->max_timestamp) {
		w->max_timestamp = timestamp;
	}
	return (int64_t)((uint64_t)timestamp - (uint64_t)w->base_timestamp);
}

void batch_writer_append(struct batch_writer *w, int64_t timestamp, struct slice key,
			 struct slice value, struct slice headers, int32_t header_count)
{
	struct buf *out = w->out;
	size_t payload = (key.data ? key.len : 0) + (value.data ? value.len : 0) + headers.len;

	assert((key.len | value.len | headers.len) <= INT32_MAX / 4 && w->count < INT32_MAX);
	if (out->cap - out->len < payload + RECORD_NUMBERS_BYTES_MAX)
		buf_reserve(out, payload + RECORD_NUMBERS_BYTES_MAX);
	int64_t delta = timestamp_delta(w, timestamp);
	size_t body = 1 + varint_size_i64(delta) + varint_size_i32(w->count) +
		      varint_size_i32(length_of(key)) + varint_size_i32(length_of(value)) +
		      varint_size_i32(header_count) + payload;

	uint8_t *p = varint_write_i32(out->data + out->len, (int32_t)body);
	*p++ = 0; /* attributes */
	p = varint_write_i64(p, delta);
	p = varint_write_i32(p, w->count);
	p = write_bytes(p, key);
	p = write_bytes(p, value);
	p = varint_write_i32(p, header_count);
	if (headers.len)
		memcpy(p, headers.data, headers.len);
	out->len = (size_t)(p + headers.len - out->data);
	w->count++;
}

size_t batch_writer_size(const struct batch_writer *w)
{
	return w->out->len - w->start;
}

struct batch_mark batch_writer_mark(const struct batch_writer *w)
{
	return (struct batch_mark){
		.len = w->out->len,
		.base_timestamp = w->base_timestamp,
		.max_timestamp = w->max_timestamp,
		.count = w->count,
	};
}

void batch_writer_rollback(struct batch_writer *w, struct batch_mark mark)
{
	assert(mark.len >= w->start + BATCH_HEADER_BYTES && mark.len <= w->out->len);
	w->out->len = mark.len;
	w->base_timestamp = mark.base_timestamp;
	w->max_timestamp = mark.max_timestamp;
	w->count = mark.count;
}

/* Replaces the records by their compressed form if that is smaller; returns the codec in use. */
static enum codec compress_records(struct batch_writer *w, enum codec codec, struct buf *scratch)
{
	struct buf *out = w->out;
	size_t at = w->start + AT_RECORDS;

	if (codec == CODEC_NONE)
		return CODEC_NONE;
	buf_clear(scratch);
	codec_compress(codec, slice_of(out->data + at, out->len - at), scratch);
	if (scratch->len >= out->len - at)
		return CODEC_NONE;
	memcpy(out->data + at, scratch->data, scratch->len);
	out->len = at + scratch->len;
	return codec;
}

void batch_writer_finish(struct batch_writer *w, enum codec codec, struct buf *scratch)
{
	if (w->count == 0) {
		w->out->len = w->start;
		return;
	}
	codec = compress_records(w, codec, scratch);
	uint8_t *p = w->out->data + w->start;
	size_t len = batch_writer_size(w);
	assert(len <= INT32_MAX);

	batch_stamp(p, 0, -1);
	put_u32be(p + AT_LENGTH, (uint32_t)(len - BATCH_LENGTH_OFFSET));
	p[AT_MAGIC] = BATCH_MAGIC;
	put_u16be(p + AT_ATTRIBUTES, (uint16_t)codec);
	put_u32be(p + AT_LAST_OFFSET_DELTA, (uint32_t)(w->count - 1));
	put_u64be(p + AT_BASE_TIMESTAMP, (uint64_t)w->base_timestamp);
	put_u64be(p + AT_MAX_TIMESTAMP, (uint64_t)w->max_timestamp);
	put_u32be(p + AT_RECORD_COUNT, (uint32_t)w->count);
	batch_set_producer(p, len, -1, -1, -1, false); /* makes the CRC, too */
}

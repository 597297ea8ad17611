/* fuzz_batch.c - record batches from a client that means harm.
 *
 * The input is read as it is, then once more with length and CRC made right: a fuzzer cannot guess
 * a CRC, and behind it lies the code that matters.
 */
#include <assert.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/batch.h"
#include "wire/checksum.h"

#define DECOMPRESSED_MAX 65536

static int64_t walk_headers(const struct record *r)
{
	struct slice headers = r->headers;
	struct record_header h;
	int64_t count = 0;

	while (record_header_next(&headers, &h) > 0) {
		assert(h.name.data >= r->headers.data);
		assert(h.name.data + h.name.len <= r->headers.data + r->headers.len);
		count++;
	}
	return count;
}

/* Any batch that can be peeked at may be walked; returns the number of records, -1 if malformed. */
static int64_t walk(const struct batch *b, struct buf *scratch, bool is_valid)
{
	struct record_iter it;
	struct record r;
	int64_t count = 0;
	int status;

	if (record_iter_init(&it, b, DECOMPRESSED_MAX, scratch))
		return -1;
	while ((status = record_iter_next(&it, &r)) > 0) {
		int64_t headers = walk_headers(&r);
		assert(r.offset >= b->base_offset && r.offset <= batch_last_offset(b));
		if (is_valid) {
			assert(headers == r.header_count);
			assert(r.offset == b->base_offset + count);
			assert(r.timestamp <= b->max_timestamp);
		}
		count++;
	}
	return status < 0 ? -1 : count;
}

/* A valid batch, written anew from what was read, reads the same. */
static void rewrite(const struct batch *b, struct buf *scratch)
{
	struct buf out = {0}, again = {0};
	struct batch_writer w;
	struct record_iter it, it2;
	struct record r, r2;
	struct batch b2;

	batch_writer_begin(&w, &out);
	assert(!record_iter_init(&it, b, DECOMPRESSED_MAX, scratch));
	while (record_iter_next(&it, &r) > 0)
		batch_writer_append(&w, r.timestamp, r.key, r.value, r.headers, r.header_count);
	batch_writer_finish(&w, batch_codec(b), &again);
	batch_stamp(out.data, b->base_offset, b->leader_epoch);
	assert(!batch_validate(buf_slice(&out), SIZE_MAX, &again, &b2));
	assert(b2.record_count == b->record_count && b2.max_timestamp == b->max_timestamp);

	assert(!record_iter_init(&it, b, DECOMPRESSED_MAX, scratch));
	assert(!record_iter_init(&it2, &b2, SIZE_MAX, &again));
	while (record_iter_next(&it, &r) > 0) {
		assert(record_iter_next(&it2, &r2) > 0);
		assert(r.offset == r2.offset && r.timestamp == r2.timestamp);
		assert(slice_equal(r.key, r2.key) && slice_equal(r.value, r2.value));
		assert(slice_equal(r.headers, r2.headers) && r.header_count == r2.header_count);
	}
	buf_fini(&out);
	buf_fini(&again);
}

static void read_batch(struct slice bytes, struct buf *scratch)
{
	struct batch peeked, valid;

	if (batch_peek(bytes, &peeked))
		return;
	int64_t count = walk(&peeked, scratch, false);
	if (batch_validate(bytes, DECOMPRESSED_MAX, scratch, &valid))
		return;
	assert(count == valid.record_count);
	assert(walk(&valid, scratch, true) == count);
	rewrite(&valid, scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf scratch = {0};

	read_batch(slice_of(data, size), &scratch);
	if (size >= BATCH_HEADER_BYTES) {
		uint8_t *fixed = xmalloc(size);
		memcpy(fixed, data, size);
		put_u32be(fixed + 8, (uint32_t)(size - BATCH_LENGTH_OFFSET));
		fixed[16] = 2;
		put_u32be(fixed + 17, crc32c(fixed + 21, size - 21));
		read_batch(slice_of(fixed, size), &scratch);
		free(fixed);
	}
	buf_fini(&scratch);
	return 0;
}

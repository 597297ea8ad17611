/* batch_filter.c - see batch_filter.h; the form of a record is told in batch.c. */
#include "wire/batch_filter.h"

#include <assert.h>

#include "wire/batch_layout.h"
#include "wire/varint.h"

#define NO_TIMESTAMP (-1)

void batch_filter_fini(struct batch_filter *f)
{
	buf_fini(&f->plain);
	buf_fini(&f->kept);
	buf_fini(&f->rebased);
}

/* What is known of the records that stay. */
struct kept {
	int64_t max_timestamp;
	int32_t count;
	bool has_tombstone;
};

/* Copies the records that stay to f->kept, as they are. */
static enum ks_err collect(struct batch_filter *f, const struct batch *b, struct kept *k)
{
	struct record_iter it;
	struct record r;
	int got;

	buf_clear(&f->kept);
	*k = (struct kept){.max_timestamp = NO_TIMESTAMP};
	enum ks_err err = record_iter_init(&it, b, f->decompressed_max, &f->plain);
	if (err)
		return err;
	for (;;) {
		const uint8_t *from = it.p;
		got = record_iter_next(&it, &r);
		if (got <= 0)
			break;
		if (!f->keeps(f->arg, &r, batch_delete_horizon(b)))
			continue;
		buf_append(&f->kept, from, (size_t)(it.p - from));
		if (k->count++ == 0 || r.timestamp > k->max_timestamp)
			k->max_timestamp = r.timestamp;
		k->has_tombstone |= !r.value.data;
	}
	return got < 0 ? ERR_CORRUPT_MESSAGE : ERR_NONE;
}

/* One record with its timestamp delta counted from another base. Deltas wrap around, as in
 * batch_writer.c. */
static const uint8_t *rebase_record(const uint8_t *p, const uint8_t *end, int64_t shift,
				    struct buf *out)
{
	int32_t len;
	int64_t delta;

	p = varint_read_i32(p, end, &len);
	assert(p && len > 0 && len <= end - p && "the record was read before");
	const uint8_t *record_end = p + len;
	uint8_t attributes = *p++;
	p = varint_read_i64(p, record_end, &delta);
	assert(p && "the record was read before");
	size_t rest = (size_t)(record_end - p);
	delta = (int64_t)((uint64_t)delta + (uint64_t)shift);

	buf_reserve(out, VARINT32_BYTES_MAX + 1 + VARINT64_BYTES_MAX + rest);
	uint8_t *to = out->data + out->len;
	to = varint_write_i32(to, (int32_t)(1 + varint_size_i64(delta) + rest));
	*to++ = attributes;
	to = varint_write_i64(to, delta);
	memcpy(to, p, rest);
	out->len = (size_t)(to + rest - out->data);
	return record_end;
}

static void rebase(struct batch_filter *f, int64_t old_base, int64_t new_base)
{
	const uint8_t *p = f->kept.data, *end = p + f->kept.len;
	int64_t shift = (int64_t)((uint64_t)old_base - (uint64_t)new_base);

	buf_clear(&f->rebased);
	while (p < end)
		p = rebase_record(p, end, shift, &f->rebased);
}

static void stamp_header(uint8_t *p, size_t len, unsigned attributes, int64_t base_timestamp,
			 int64_t max_timestamp, int32_t count)
{
	assert(len - BATCH_LENGTH_OFFSET <= INT32_MAX);
	put_u32be(p + AT_LENGTH, (uint32_t)(len - BATCH_LENGTH_OFFSET));
	put_u16be(p + AT_ATTRIBUTES, (uint16_t)attributes);
	put_u64be(p + AT_BASE_TIMESTAMP, (uint64_t)base_timestamp);
	put_u64be(p + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
	put_u32be(p + AT_RECORD_COUNT, (uint32_t)count);
	put_u32be(p + AT_CRC, batch_crc(p, len));
}

/* Appends the header of b and the records, compressed as b's were if that makes them smaller;
 * returns the attributes that say so. */
static unsigned append_records(const struct batch *b, struct slice records, struct buf *out)
{
	size_t start = out->len;
	unsigned plain = b->attributes & ~(unsigned)ATTRIBUTE_CODEC;

	buf_append(out, b->bytes.data, BATCH_HEADER_BYTES);
	if (batch_codec(b) != CODEC_NONE) {
		codec_compress(batch_codec(b), records, out);
		if (out->len - start - BATCH_HEADER_BYTES < records.len)
			return b->attributes;
		out->len = start + BATCH_HEADER_BYTES;
	}
	buf_append(out, records.data, records.len);
	return plain;
}

enum ks_err batch_filter(struct batch_filter *f, const struct batch *b, struct buf *out,
			 enum batch_filtered *result)
{
	struct kept k;
	struct slice records;
	size_t start = out->len;

	assert(!batch_is_control(b));
	enum ks_err err = collect(f, b, &k);
	if (err)
		return err;
	bool needs_horizon = k.has_tombstone && batch_delete_horizon(b) < 0;
	if (k.count == b->record_count && !needs_horizon) {
		*result = BATCH_UNCHANGED;
		return ERR_NONE;
	}
	if (k.count == 0) {
		*result = BATCH_EMPTIED;
		return ERR_NONE;
	}
	int64_t base = b->base_timestamp;
	records = buf_slice(&f->kept);
	if (needs_horizon) {
		rebase(f, b->base_timestamp, f->delete_horizon);
		base = f->delete_horizon;
		records = buf_slice(&f->rebased);
	}
	unsigned attributes = append_records(b, records, out);
	if (needs_horizon)
		attributes |= ATTRIBUTE_DELETE_HORIZON;
	bool is_append_time = batch_timestamp_type(b) == BATCH_LOG_APPEND_TIME;
	stamp_header(out->data + start, out->len - start, attributes, base,
		     is_append_time ? b->max_timestamp : k.max_timestamp, k.count);
	*result = BATCH_CHANGED;
	return ERR_NONE;
}

void batch_write_empty(const struct batch *b, struct buf *out)
{
	size_t start = out->len;
	unsigned attributes =
		b->attributes & ~(unsigned)(ATTRIBUTE_CODEC | ATTRIBUTE_DELETE_HORIZON);

	buf_append(out, b->bytes.data, BATCH_HEADER_BYTES);
	stamp_header(out->data + start, BATCH_HEADER_BYTES, attributes, NO_TIMESTAMP,
		     b->max_timestamp, 0);
}

/* produce_check.c - see produce_check.h. */
#include "server/produce_check.h"

#include "wire/batch.h"

#define LENGTH_AT          8
#define MAGIC_AT           16
#define MAGIC              2
#define ATTRIBUTES_AT      21

#define ZSTD_SINCE         7 /* version of Produce */

/* What a batch may unpack to. */
#define UNPACKED_MIN_BYTES (16 * 1024 * 1024)
#define UNPACKED_PER_BYTE  100
#define UNPACKED_MAX_BYTES (256 * 1024 * 1024)

#define PACKED_SHORT_BYTES 65536

static enum ks_err refuse(struct produce_check *c, enum ks_err err, const char *message)
{
	c->message = message;
	return err;
}

/* What can be said without the CRC: one batch of the right kind, not too large. */
static enum ks_err check_shape(struct produce_check *c, struct topic *t, struct batch *b)
{
	struct slice r = c->records;

	if (r.len <= ATTRIBUTES_AT)
		return refuse(c, ERR_INVALID_RECORD, "there is no record batch");
	if (r.data[MAGIC_AT] != MAGIC)
		return refuse(c, ERR_INVALID_RECORD, "only record batches of magic 2 are taken");
	uint64_t len = (uint64_t)get_u32be(r.data + LENGTH_AT) + BATCH_LENGTH_OFFSET;
	if (len > r.len)
		return refuse(c, ERR_INVALID_RECORD, "there is no whole record batch");
	if (len < r.len)
		return refuse(c, ERR_INVALID_RECORD, "there is more than one record batch");
	if (r.len > (size_t)topic_max_message_bytes(t))
		return refuse(c, ERR_MESSAGE_TOO_LARGE, NULL);
	enum ks_err err = batch_peek(r, b);
	if (err)
		return err;
	if (b->base_offset != 0)
		return refuse(c, ERR_INVALID_RECORD, "the batch's base offset is not 0");
	if (batch_codec(b) == CODEC_ZSTD && c->x->header.api_version < ZSTD_SINCE)
		return refuse(c, ERR_UNSUPPORTED_COMPRESSION_TYPE,
			      "zstd needs version 7 of the Produce request");
	if (batch_is_control(b))
		return refuse(c, ERR_INVALID_RECORD, "clients do not write control batches");
	if (batch_is_transactional(b) && !c->transactional_id.data)
		return refuse(c, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
			      "a transactional batch in a request that names no transactional id");
	return ERR_NONE;
}

static void reject(struct produce_check *c, int32_t place, const char *why)
{
	c->rejected_why = why;
	if (c->rejected_count < REJECTED_MAX)
		c->rejected[c->rejected_count++] = place;
}

static size_t unpacked_max(struct slice records)
{
	size_t max = records.len * UNPACKED_PER_BYTE;

	if (max < UNPACKED_MIN_BYTES)
		max = UNPACKED_MIN_BYTES;
	return max < UNPACKED_MAX_BYTES ? max : UNPACKED_MAX_BYTES;
}

/* The same batch with its records unpacked: they lie in the scratch since batch_validate. */
static struct batch unpacked(const struct batch *b, const struct buf *scratch)
{
	struct batch plain = *b;

	if (batch_codec(b) == CODEC_NONE)
		return plain;
	plain.attributes &= (uint16_t)~7u;
	plain.records = buf_slice(scratch);
	return plain;
}

/* What the topic asks of each record. Few topics ask anything that the batch as a whole has not answered. */
static enum ks_err check_records(struct produce_check *c, struct topic *t,
				 const struct batch *plain)
{
	bool wants_keys = topic_wants_keys(t);
	bool has_times = topic_timestamp_type(t) == BATCH_CREATE_TIME;
	int64_t before = topic_timestamp_before_max_ms(t), after = topic_timestamp_after_max_ms(t);
	int64_t latest = after > INT64_MAX - c->now_ms ? INT64_MAX : c->now_ms + after;
	int64_t earliest = before > c->now_ms ? INT64_MIN : c->now_ms - before;
	bool is_in_time = !has_times || (plain->max_timestamp <= latest && earliest == INT64_MIN);
	struct record_iter it;
	struct record r;
	enum ks_err err = ERR_NONE;

	if ((is_in_time && !wants_keys) ||
	    record_iter_init(&it, plain, UNPACKED_MAX_BYTES, c->scratch))
		return ERR_NONE;
	for (int32_t i = 0; record_iter_next(&it, &r) > 0; i++) {
		if (wants_keys && !r.key.data) {
			reject(c, i, "a record of a compacted topic needs a key");
			err = ERR_INVALID_RECORD;
		} else if (!is_in_time && r.timestamp != -1 &&
			   (r.timestamp > latest || r.timestamp < earliest)) {
			reject(c, i, "the record's timestamp is too far from the broker's clock");
			err = err ? err : ERR_INVALID_TIMESTAMP;
		}
	}
	return err;
}

/* The batch anew with the codec that the topic wants. */
static void recompress(struct produce_check *c, const struct batch *plain, const struct batch *b,
		       enum codec codec)
{
	struct buf out = {0}, packed = {0};
	struct batch_writer w;
	struct record_iter it;
	struct record r;

	if (record_iter_init(&it, plain, UNPACKED_MAX_BYTES, c->scratch))
		return;
	batch_writer_begin(&w, &out);
	while (record_iter_next(&it, &r) > 0)
		batch_writer_append(&w, r.timestamp, r.key, r.value, r.headers, r.header_count);
	batch_writer_finish(&w, codec, &packed);
	if (b->producer_id >= 0)
		batch_set_producer(out.data, out.len, b->producer_id, b->producer_epoch,
				   b->base_sequence, batch_is_transactional(b));
	buf_fini(&packed);
	c->frame = frame_take_buf(&out);
}

enum ks_err produce_check(struct produce_check *c)
{
	struct topic *t = partition_topic(c->partition);
	struct batch b;
	enum codec codec;

	enum ks_err err = check_shape(c, t, &b);
	if (!err)
		err = batch_validate(c->records, unpacked_max(c->records), c->scratch, &b);
	if (err == ERR_TOO_LARGE)
		return refuse(c, ERR_MESSAGE_TOO_LARGE,
			      "the batch unpacks to more than is allowed");
	if (err)
		return err;
	struct batch plain = unpacked(&b, c->scratch);
	err = check_records(c, t, &plain);
	if (err)
		return err;
	if (topic_codec(t, &codec) && codec != batch_codec(&b)) {
		recompress(c, &plain, &b, codec);
		if (c->frame && c->frame->len > (size_t)topic_max_message_bytes(t))
			return refuse(c, ERR_MESSAGE_TOO_LARGE,
				      "with the topic's compression.type it is too large");
	}
	if (!c->frame)
		batch_stamp_max_timestamp((uint8_t *)(uintptr_t)c->records.data, c->records.len,
					  b.max_timestamp);
	return ERR_NONE;
}

/* Measured: bytes as they travel that are checked in a microsecond, in records of 100 bytes. */
static const unsigned bytes_per_us[CODEC_COUNT] = {
	[CODEC_NONE] = 16000, [CODEC_GZIP] = 160, [CODEC_SNAPPY] = 2300,
	[CODEC_LZ4] = 3200,   [CODEC_ZSTD] = 800,
};

/* The codec that a batch says it has, if it is one. */
static unsigned claimed_codec(struct slice records)
{
	return records.data[ATTRIBUTES_AT + 1] & 7;
}

size_t produce_check_makes_bytes(const struct partition *p, struct slice records)
{
	enum codec wanted;

	if (records.len <= ATTRIBUTES_AT + 1 || !topic_codec(partition_topic(p), &wanted) ||
	    (unsigned)wanted == claimed_codec(records))
		return 0;
	/* What does not become smaller stays as it is. */
	if (claimed_codec(records) == CODEC_NONE)
		return records.len;
	size_t most = (size_t)topic_max_message_bytes(partition_topic(p));
	return most < unpacked_max(records) ? most : unpacked_max(records);
}

unsigned produce_check_cost_us(const struct partition *p, struct slice records)
{
	if (records.len <= ATTRIBUTES_AT + 1)
		return 0;
	unsigned codec = claimed_codec(records);
	if (produce_check_makes_bytes(p, records))
		return PRODUCE_LONG_US + 1;
	/* Some data packs a hundred times better than what was measured. */
	if (codec != CODEC_NONE && records.len > PACKED_SHORT_BYTES)
		return PRODUCE_LONG_US + 1;
	return codec < CODEC_COUNT ? (unsigned)(records.len / bytes_per_us[codec]) : 0;
}

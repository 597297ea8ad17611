/* test_batch.c - what is refused, and what the stamps change. */
#include "unit.h"

#include "wire/batch.h"
#include "wire/checksum.h"

#define DECOMPRESSED_MAX 100000

/* A valid batch of three records, one with headers: *state of each test. Release: batch_free. */
struct fixture {
	struct buf bytes, scratch;
};

static int batch_new(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct buf headers = {0};
	struct batch_writer w;

	record_header_append(&headers, BYTES("h"), BYTES("1"));
	batch_writer_begin(&w, &f->bytes);
	batch_writer_append(&w, 1000, BYTES("key"), BYTES("value"), buf_slice(&headers), 1);
	batch_writer_append(&w, 3000, SLICE_NULL, BYTES("value"), SLICE_NULL, 0);
	batch_writer_append(&w, 2000, BYTES("key"), SLICE_NULL, SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);
	buf_fini(&headers);
	*state = f;
	return 0;
}

static int batch_free(void **state)
{
	struct fixture *f = *state;

	buf_fini(&f->bytes);
	buf_fini(&f->scratch);
	free(f);
	return 0;
}

static void make_crc(uint8_t *p, size_t len)
{
	put_u32be(p + 17, crc32c(p + 21, len - 21));
}

static enum ks_err validate(struct fixture *f)
{
	struct batch b;

	return batch_validate(buf_slice(&f->bytes), DECOMPRESSED_MAX, &f->scratch, &b);
}

/* With the right CRC. */
static enum ks_err validate_summed(struct fixture *f)
{
	make_crc(f->bytes.data, f->bytes.len);
	return validate(f);
}

static void every_prefix_is_truncated(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	for (size_t len = 0; len < f->bytes.len; len++) {
		uint8_t *cut = exact_copy(slice_of(f->bytes.data, len));
		assert_int_equal(batch_peek(slice_of(cut, len), &b), ERR_TRUNCATED);
		assert_int_equal(batch_verify(slice_of(cut, len), &b), ERR_TRUNCATED);
		free(cut);
	}
	assert_int_equal(validate(f), ERR_NONE);
}

/* Shorter by its own account, so that the end of the bytes tells nothing. */
static void every_prefix_that_claims_to_be_whole_is_refused(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	for (size_t len = 0; len < f->bytes.len; len++) {
		uint8_t *cut = exact_copy(slice_of(f->bytes.data, len));
		if (len >= 12)
			put_u32be(cut + 8, (uint32_t)(len - 12));
		if (len >= BATCH_HEADER_BYTES)
			make_crc(cut, len);
		enum ks_err err =
			batch_validate(slice_of(cut, len), DECOMPRESSED_MAX, &f->scratch, &b);
		if (len <= 16)
			assert_int_equal(err, ERR_TRUNCATED);
		else if (len < BATCH_HEADER_BYTES)
			assert_int_equal(err, ERR_CORRUPT_MESSAGE);
		else
			assert_int_equal(err, ERR_INVALID_RECORD);
		free(cut);
	}
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	for (size_t bit = 16 * 8; bit < f->bytes.len * 8; bit++) {
		uint8_t *bytes = exact_copy(buf_slice(&f->bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(batch_verify(slice_of(bytes, f->bytes.len), &b),
				 ERR_CORRUPT_MESSAGE);
		free(bytes);
	}
}

static void bytes_behind_the_batch_are_left_alone(void **state)
{
	struct fixture *f = *state;
	size_t len = f->bytes.len;
	struct batch b;

	buf_append_str(&f->bytes, "the next one");
	assert_int_equal(batch_validate(buf_slice(&f->bytes), DECOMPRESSED_MAX, &f->scratch, &b),
			 ERR_NONE);
	assert_int_equal(b.bytes.len, len);
}

static void impossible_lengths_are_corrupt(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	put_u32be(f->bytes.data + 8, 48);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_CORRUPT_MESSAGE);
	put_u32be(f->bytes.data + 8, 0xffffffff);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_CORRUPT_MESSAGE);
	put_u32be(f->bytes.data + 8, 0x80000000);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_CORRUPT_MESSAGE);
	put_u32be(f->bytes.data + 8, 0x7fffffff);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_TRUNCATED);
}

static void other_magics_are_corrupt(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	for (unsigned magic = 0; magic < 256; magic++) {
		f->bytes.data[16] = (uint8_t)magic;
		assert_int_equal(batch_peek(buf_slice(&f->bytes), &b),
				 magic == 2 ? ERR_NONE : ERR_CORRUPT_MESSAGE);
	}
}

static void attributes_of_a_producer(void **state)
{
	struct fixture *f = *state;
	struct batch b;
	static const struct {
		uint16_t attributes;
		enum ks_err peek, validate;
	} rows[] = {
		{0x0000, ERR_NONE, ERR_NONE},
		{0x0005, ERR_NONE, ERR_UNSUPPORTED_COMPRESSION_TYPE},
		{0x0006, ERR_NONE, ERR_UNSUPPORTED_COMPRESSION_TYPE},
		{0x0007, ERR_NONE, ERR_UNSUPPORTED_COMPRESSION_TYPE},
		{0x0001, ERR_NONE, ERR_INVALID_RECORD},    /* not gzip */
		{0x0008, ERR_NONE, ERR_INVALID_TIMESTAMP}, /* LogAppendTime */
		{0x0010, ERR_NONE, ERR_INVALID_RECORD},    /* transactional without a producer */
		{0x0020, ERR_NONE, ERR_INVALID_RECORD},    /* control */
		{0x0040, ERR_NONE, ERR_INVALID_RECORD},    /* delete horizon */
		{0x0080, ERR_CORRUPT_MESSAGE, ERR_CORRUPT_MESSAGE},
		{0x0100, ERR_CORRUPT_MESSAGE, ERR_CORRUPT_MESSAGE},
		{0x8000, ERR_CORRUPT_MESSAGE, ERR_CORRUPT_MESSAGE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put_u16be(f->bytes.data + 21, rows[i].attributes);
		assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), rows[i].peek);
		assert_int_equal(validate_summed(f), rows[i].validate);
	}
}

static void counts_that_do_not_fit_the_offsets(void **state)
{
	static const struct {
		uint32_t last_delta, count;
		enum ks_err err;
	} rows[] = {
		{2, 3, ERR_NONE},
		{2, 2, ERR_INVALID_RECORD}, /* a hole: only compaction makes one */
		{3, 3, ERR_INVALID_RECORD},
		{3, 4, ERR_INVALID_RECORD}, /* one record is missing */
		{1, 2, ERR_INVALID_RECORD}, /* one is too many */
		{2, 0, ERR_INVALID_RECORD},
		{2, 4, ERR_CORRUPT_MESSAGE},
		{2, 0x7fffffff, ERR_CORRUPT_MESSAGE},
		{2, 0xffffffff, ERR_CORRUPT_MESSAGE},
		{0xffffffff, 0, ERR_CORRUPT_MESSAGE},
		{0xffffffff, 3, ERR_CORRUPT_MESSAGE},
		{0x7ffffffe, 0x7fffffff, ERR_INVALID_RECORD},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put_u32be(f->bytes.data + 23, rows[i].last_delta);
		put_u32be(f->bytes.data + 57, rows[i].count);
		assert_int_equal(validate_summed(f), rows[i].err);
	}
}

static void a_producer_needs_epoch_and_sequence(void **state)
{
	struct fixture *f = *state;

	batch_set_producer(f->bytes.data, f->bytes.len, 9, 0, 0, false);
	assert_int_equal(validate(f), ERR_NONE);
	batch_set_producer(f->bytes.data, f->bytes.len, 9, 0, -1, false);
	assert_int_equal(validate(f), ERR_INVALID_RECORD);
	batch_set_producer(f->bytes.data, f->bytes.len, 9, -1, 0, false);
	assert_int_equal(validate(f), ERR_INVALID_RECORD);
	batch_set_producer(f->bytes.data, f->bytes.len, 9, 0, 0, true);
	assert_int_equal(validate(f), ERR_NONE);
}

static void the_last_offset_does_not_overflow(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	put_u64be(f->bytes.data, INT64_MAX);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_CORRUPT_MESSAGE);
	put_u64be(f->bytes.data, INT64_MAX - 2);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_true(batch_last_offset(&b) == INT64_MAX);
	put_u64be(f->bytes.data, (uint64_t)INT64_MIN);
	assert_int_equal(batch_peek(buf_slice(&f->bytes), &b), ERR_NONE);
}

/* A batch with these very records and that count. */
static void write_raw(struct fixture *f, struct slice records, int32_t count)
{
	struct batch_writer w;

	buf_clear(&f->bytes);
	batch_writer_begin(&w, &f->bytes);
	buf_append(&f->bytes, records.data, records.len);
	w.count = count;
	batch_writer_finish(&w, CODEC_NONE, NULL);
}

static void malformed_records_are_refused(void **state)
{
	const struct {
		struct slice records;
		int32_t count;
	} rows[] = {
		{BYTES(""), 1},
		{BYTES("\x0e\0\0\0\1\1\0"), 1}, /* a length past the end */
		{BYTES("\x00"), 1},             /* no room for attributes */
		{BYTES("\x01"), 1},             /* a length of -1 */
		{BYTES("\xfe\xff\xff\xff\x0f\0\0\0\1\1\0"), 1},
		{BYTES("\x0a\0\0\0\1\1\0"), 1},   /* ends before its contents */
		{BYTES("\x0e\0\0\0\1\1\0\0"), 1}, /* ends behind its contents */
		{BYTES("\x8c\0\0\0\0\1\1\0"), 1}, /* a length that is longer than needed */
		{BYTES("\x0c\0\0\0\1\1\0\0"), 1}, /* a byte behind the last record */
		{BYTES("\x0c\0\0\0\1\1\0"), 2},   /* a record is missing */
		{BYTES("\x0c\0\0\0\1\1\0\x0c\0\0\2\1\1\0"), 1},
		{BYTES("\x0c\0\0\2\1\1\0"), 1},                   /* offset delta 1 first */
		{BYTES("\x0c\0\0\1\1\1\0"), 1},                   /* offset delta -1 */
		{BYTES("\x0c\0\0\0\1\1\0\x0c\0\0\0\1\1\0"), 2},   /* 0 twice */
		{BYTES("\x0c\0\0\2\1\1\0\x0c\0\0\0\1\1\0"), 2},   /* 1 before 0 */
		{BYTES("\x0c\0\0\0\1\1\0\x0c\0\0\4\1\1\0"), 2},   /* 2 after 0 */
		{BYTES("\x0c\0\0\0\3\1\0"), 1},                   /* a key of length -2 */
		{BYTES("\x0c\0\0\0\1\3\0"), 1},                   /* a value of length -2 */
		{BYTES("\x0c\0\0\0\x06\1\0"), 1},                 /* a key past the end */
		{BYTES("\x0c\0\0\0\1\4\0"), 1},                   /* a value past the end */
		{BYTES("\x14\0\0\0\1\xfe\xff\xff\xff\x0f\0"), 1}, /* a value of 2 GiB - 1 */
		{BYTES("\x14\0\0\0\xff\xff\xff\xff\x0f\1\0"), 1}, /* a key of INT32_MIN */
		{BYTES("\x16\0\0\0\1\xfe\xff\xff\xff\x1f\0\0"), 1},
		{BYTES("\x20\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\1\1\0"), 1},
		{BYTES("\x0c\0\0\0\1\1\1"), 1},                   /* -1 headers */
		{BYTES("\x0c\0\0\0\1\1\2"), 1},                   /* one header, no bytes */
		{BYTES("\x14\0\0\0\1\1\xfe\xff\xff\xff\x0f"), 1}, /* 2^31 - 1 headers */
		{BYTES("\x10\0\0\0\1\1\4\0\0"), 1},               /* two headers, bytes for one */
		{BYTES("\x14\0\0\0\1\1\2\0\0\0\0"), 1},           /* one header, bytes for two */
		{BYTES("\x10\0\0\0\1\1\2\1\0"), 1},               /* a header without a name */
		{BYTES("\x10\0\0\0\1\1\2\0\3"), 1}, /* a header's value of length -2 */
		{BYTES("\x10\0\0\0\1\1\2\0\2"), 1}, /* a header's value past the end */
		{BYTES("\x10\0\0\0\1\1\2\4x"), 1},  /* a header's name past the end */
	};
	struct fixture *f = *state;
	struct batch b;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		write_raw(f, rows[i].records, rows[i].count);
		uint8_t *bytes = exact_copy(buf_slice(&f->bytes));
		assert_int_equal(batch_validate(slice_of(bytes, f->bytes.len), DECOMPRESSED_MAX,
						&f->scratch, &b),
				 ERR_INVALID_RECORD);
		free(bytes);
	}
}

static void the_smallest_record_is_taken(void **state)
{
	struct fixture *f = *state;

	write_raw(f, BYTES("\x0c\0\0\0\1\1\0"), 1);
	assert_int_equal(validate(f), ERR_NONE);
	write_raw(f, BYTES("\x10\0\0\0\1\1\2\0\1"), 1); /* one header, null */
	assert_int_equal(validate(f), ERR_NONE);
}

static void a_malformed_record_stays_malformed(void **state)
{
	struct fixture *f = *state;
	struct batch b;
	struct record_iter it;
	struct record r;

	write_raw(f, BYTES("\x0c\0\0\0\1\1\0\x01"), 2);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_int_equal(record_iter_next(&it, &r), -1);
	assert_int_equal(record_iter_next(&it, &r), -1);
}

/* What the log cleaner leaves: holes between offsets, or nothing at all. */
static void compacted_batches_can_be_read(void **state)
{
	struct fixture *f = *state;
	struct batch b;
	struct record_iter it;
	struct record r;

	write_raw(f, BYTES("\x0c\0\0\2\1\1\0\x0c\0\0\x0a\1\1\0"), 2);
	put_u16be(f->bytes.data + 21, 0x40);
	put_u32be(f->bytes.data + 23, 9);
	batch_stamp(f->bytes.data, 100, 3);
	make_crc(f->bytes.data, f->bytes.len);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_int_equal(r.offset, 101);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_int_equal(r.offset, 105);
	assert_int_equal(record_iter_next(&it, &r), 0);
	assert_int_equal(batch_last_offset(&b), 109);

	f->bytes.len = BATCH_HEADER_BYTES;
	put_u32be(f->bytes.data + 8, BATCH_HEADER_BYTES - BATCH_LENGTH_OFFSET);
	put_u32be(f->bytes.data + 57, 0);
	for (uint16_t codec = 0; codec < CODEC_COUNT; codec++) {
		put_u16be(f->bytes.data + 21, codec);
		make_crc(f->bytes.data, f->bytes.len);
		assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
		assert_int_equal(record_iter_init(&it, &b, 0, &f->scratch), ERR_NONE);
		assert_int_equal(record_iter_next(&it, &r), 0);
	}
}

static void stamps_of_offset_and_epoch_need_no_new_crc(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	batch_stamp(f->bytes.data, 1234567890123, 42);
	assert_int_equal(batch_validate(buf_slice(&f->bytes), DECOMPRESSED_MAX, &f->scratch, &b),
			 ERR_NONE);
	assert_int_equal(b.base_offset, 1234567890123);
	assert_int_equal(b.leader_epoch, 42);
	assert_int_equal(batch_last_offset(&b), 1234567890125);
}

static void append_time_replaces_every_timestamp(void **state)
{
	struct fixture *f = *state;
	struct batch b;
	struct record_iter it;
	struct record r;

	batch_stamp_append_time(f->bytes.data, f->bytes.len, 777);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(batch_timestamp_type(&b), BATCH_LOG_APPEND_TIME);
	assert_int_equal(b.base_timestamp, 1000);
	assert_int_equal(b.max_timestamp, 777);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(record_iter_next(&it, &r), 1);
		assert_int_equal(r.timestamp, 777);
	}
}

static void a_wrong_max_timestamp_is_found_and_corrected(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	put_u64be(f->bytes.data + 35, (uint64_t)INT64_MAX);
	make_crc(f->bytes.data, f->bytes.len);
	assert_int_equal(batch_validate(buf_slice(&f->bytes), DECOMPRESSED_MAX, &f->scratch, &b),
			 ERR_NONE);
	assert_int_equal(b.max_timestamp, 3000);
	batch_stamp_max_timestamp(f->bytes.data, f->bytes.len, b.max_timestamp);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(b.max_timestamp, 3000);
}

static void the_producer_can_be_set_and_unset(void **state)
{
	struct fixture *f = *state;
	struct batch b;

	batch_set_producer(f->bytes.data, f->bytes.len, INT64_C(1) << 40, 12, 34, true);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(b.producer_id, INT64_C(1) << 40);
	assert_int_equal(b.producer_epoch, 12);
	assert_int_equal(b.base_sequence, 34);
	assert_true(batch_is_transactional(&b));
	batch_set_producer(f->bytes.data, f->bytes.len, -1, -1, -1, false);
	assert_int_equal(batch_verify(buf_slice(&f->bytes), &b), ERR_NONE);
	assert_int_equal(b.attributes, 0);
}

static void decompression_is_capped(void **state)
{
	struct fixture *f = *state;
	struct batch_writer w;
	struct buf zeros = {0};
	struct batch b;

	buf_reserve(&zeros, 1 << 20);
	memset(zeros.data, 0, 1 << 20);
	for (enum codec c = CODEC_GZIP; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		buf_clear(&f->bytes);
		batch_writer_begin(&w, &f->bytes);
		batch_writer_append(&w, 0, SLICE_NULL, slice_of(zeros.data, 1 << 20), SLICE_NULL,
				    0);
		batch_writer_finish(&w, c, &f->scratch);
		assert_int_equal(batch_validate(buf_slice(&f->bytes), 1 << 20, &f->scratch, &b),
				 ERR_TOO_LARGE);
		assert_int_equal(
			batch_validate(buf_slice(&f->bytes), (1 << 20) + 100, &f->scratch, &b),
			ERR_NONE);
	}
	buf_fini(&zeros);
}

/* A frame without a chunk is a valid stream of nothing, in a buffer that never held anything. */
static void records_that_decompress_to_nothing_are_refused(void **state)
{
	struct fixture *f = *state;

	write_raw(f, BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1"), 1);
	put_u16be(f->bytes.data + 21, CODEC_SNAPPY);
	assert_null(f->scratch.data);
	assert_int_equal(validate_summed(f), ERR_INVALID_RECORD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, batch_new, batch_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_prefix_is_truncated),
		TEST(every_prefix_that_claims_to_be_whole_is_refused),
		TEST(every_flipped_bit_is_noticed),
		TEST(bytes_behind_the_batch_are_left_alone),
		TEST(impossible_lengths_are_corrupt),
		TEST(other_magics_are_corrupt),
		TEST(attributes_of_a_producer),
		TEST(counts_that_do_not_fit_the_offsets),
		TEST(a_producer_needs_epoch_and_sequence),
		TEST(the_last_offset_does_not_overflow),
		TEST(malformed_records_are_refused),
		TEST(the_smallest_record_is_taken),
		TEST(a_malformed_record_stays_malformed),
		TEST(compacted_batches_can_be_read),
		TEST(stamps_of_offset_and_epoch_need_no_new_crc),
		TEST(append_time_replaces_every_timestamp),
		TEST(a_wrong_max_timestamp_is_found_and_corrected),
		TEST(the_producer_can_be_set_and_unset),
		TEST(decompression_is_capped),
		TEST(records_that_decompress_to_nothing_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

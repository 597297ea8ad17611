/* test_golden.c - batches that other clients wrote; golden/README.md says which. */
#include "unit.h"

#include <stdio.h>

#include "wire/batch.h"

#define FOLDER  "tests/unit/wire/golden/"
#define BASE_MS INT64_C(1700000000000)

struct expected {
	int64_t timestamp;
	struct slice key, value, headers;
	int32_t header_count;
};

#define RECORD_COUNT 5

/* Owns the longer fields of the table. */
static struct fixture {
	struct buf key3, value3, headers0, headers4;
	struct expected records[RECORD_COUNT];
} fixture;

/* The table of golden/make_golden.py. */
static int make_expected(void **state)
{
	struct fixture *f = &fixture;
	uint8_t counting[200];

	for (unsigned i = 0; i < sizeof counting; i++)
		counting[i] = (uint8_t)i;
	for (int i = 0; i < 100; i++)
		buf_append_str(&f->key3, "k");
	for (int i = 0; i < 300; i++)
		buf_append_str(&f->value3, "0123456789");
	record_header_append(&f->headers0, BYTES("trace"), BYTES("abc"));
	record_header_append(&f->headers0, BYTES("empty"), BYTES(""));
	record_header_append(&f->headers0, BYTES("null"), SLICE_NULL);
	record_header_append(&f->headers4, BYTES("n"), slice_of(counting, sizeof counting));

	const struct expected records[RECORD_COUNT] = {
		{BASE_MS, BYTES("key-0"), BYTES("value-0"), buf_slice(&f->headers0), 3},
		{BASE_MS - 5, SLICE_NULL, BYTES(""), SLICE_NULL, 0},
		{BASE_MS + 1000, BYTES(""), SLICE_NULL, SLICE_NULL, 0},
		{BASE_MS + 70000, buf_slice(&f->key3), buf_slice(&f->value3), SLICE_NULL, 0},
		{BASE_MS + 1, BYTES("schl\xc3\xbcssel"), BYTES("\x00\xff\x80"),
		 buf_slice(&f->headers4), 1},
	};
	memcpy(f->records, records, sizeof records);
	*state = f;
	return 0;
}

static int free_expected(void **state)
{
	struct fixture *f = *state;

	buf_fini(&f->key3);
	buf_fini(&f->value3);
	buf_fini(&f->headers0);
	buf_fini(&f->headers4);
	return 0;
}

/* Into memory of exactly the file's size. Release: free. */
static struct slice read_golden(const char *name)
{
	char path[256];
	uint8_t bytes[65536];

	snprintf(path, sizeof path, FOLDER "%s.batch", name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t len = fread(bytes, 1, sizeof bytes, f);
	assert_true(len > BATCH_HEADER_BYTES && len < sizeof bytes);
	fclose(f);
	return slice_of(exact_copy(slice_of(bytes, len)), len);
}

static const struct golden {
	const char *name;
	enum codec codec;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	bool is_transactional;
} goldens[] = {
	{"kafka_python_none", CODEC_NONE, -1, -1, -1, false},
	{"kafka_python_gzip", CODEC_GZIP, -1, -1, -1, false},
	{"kafka_python_snappy", CODEC_SNAPPY, -1, -1, -1, false},
	{"kafka_python_lz4", CODEC_LZ4, -1, -1, -1, false},
	{"kafka_python_zstd", CODEC_ZSTD, -1, -1, -1, false},
	{"kafka_python_transactional", CODEC_NONE, 4242, 7, 1000, true},
	{"librdkafka_none", CODEC_NONE, -1, -1, -1, false},
	{"librdkafka_gzip", CODEC_GZIP, -1, -1, -1, false},
	{"librdkafka_snappy", CODEC_SNAPPY, -1, -1, -1, false},
	{"librdkafka_lz4", CODEC_LZ4, -1, -1, -1, false},
	{"librdkafka_zstd", CODEC_ZSTD, -1, -1, -1, false},
	{"librdkafka_idempotent", CODEC_NONE, 4242, 7, 0, false},
};

static void check_header(const struct golden *g, const struct batch *b, size_t len)
{
	assert_int_equal(b->base_offset, 0);
	assert_int_equal(b->leader_epoch, 0);
	assert_int_equal(batch_codec(b), g->codec);
	assert_int_equal(batch_timestamp_type(b), BATCH_CREATE_TIME);
	assert_int_equal(batch_is_transactional(b), g->is_transactional);
	assert_false(batch_is_control(b));
	assert_int_equal(b->last_offset_delta, RECORD_COUNT - 1);
	assert_int_equal(batch_last_offset(b), RECORD_COUNT - 1);
	assert_int_equal(b->base_timestamp, BASE_MS);
	assert_int_equal(b->max_timestamp, BASE_MS + 70000);
	assert_int_equal(b->producer_id, g->producer_id);
	assert_int_equal(b->producer_epoch, g->producer_epoch);
	assert_int_equal(b->base_sequence, g->base_sequence);
	assert_int_equal(b->record_count, RECORD_COUNT);
	assert_int_equal(b->bytes.len, len);
	assert_int_equal(b->records.len, len - BATCH_HEADER_BYTES);
}

static void check_records(const struct fixture *f, const struct batch *b, struct buf *scratch)
{
	struct record_iter it;
	struct record r;

	assert_int_equal(record_iter_init(&it, b, 1 << 20, scratch), ERR_NONE);
	for (int i = 0; i < RECORD_COUNT; i++) {
		const struct expected *e = &f->records[i];
		assert_int_equal(record_iter_next(&it, &r), 1);
		assert_int_equal(r.offset, i);
		assert_int_equal(r.timestamp, e->timestamp);
		assert_slice_equal(r.key, e->key);
		assert_slice_equal(r.value, e->value);
		assert_int_equal(r.header_count, e->header_count);
		assert_int_equal(r.headers.len, e->headers.len);
		if (e->headers.len)
			assert_memory_equal(r.headers.data, e->headers.data, e->headers.len);
	}
	assert_int_equal(record_iter_next(&it, &r), 0);
}

static void every_field_of_every_batch_is_read(void **state)
{
	struct buf scratch = {0};
	struct batch b;

	for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
		struct slice bytes = read_golden(goldens[i].name);
		assert_int_equal(batch_validate(bytes, 1 << 20, &scratch, &b), ERR_NONE);
		check_header(&goldens[i], &b, bytes.len);
		check_records(*state, &b, &scratch);
		free((void *)bytes.data);
	}
	buf_fini(&scratch);
}

static void our_writer_writes_the_same_bytes(void **state)
{
	const struct fixture *f = *state;
	struct buf out = {0};
	struct batch_writer w;

	for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
		const struct golden *g = &goldens[i];
		if (g->codec != CODEC_NONE)
			continue;
		struct slice bytes = read_golden(g->name);
		buf_clear(&out);
		batch_writer_begin(&w, &out);
		for (int n = 0; n < RECORD_COUNT; n++) {
			const struct expected *e = &f->records[n];
			batch_writer_append(&w, e->timestamp, e->key, e->value, e->headers,
					    e->header_count);
		}
		batch_writer_finish(&w, CODEC_NONE, NULL);
		batch_set_producer(out.data, out.len, g->producer_id, g->producer_epoch,
				   g->base_sequence, g->is_transactional);
		batch_stamp(out.data, 0, 0);
		assert_slice_equal(buf_slice(&out), bytes);
		free((void *)bytes.data);
	}
	buf_fini(&out);
}

static void every_truncation_of_every_batch_is_refused(void **state)
{
	struct buf scratch = {0};
	struct batch b;

	(void)state;
	for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
		struct slice bytes = read_golden(goldens[i].name);
		for (size_t len = 0; len < bytes.len; len++) {
			uint8_t *cut = exact_copy(slice_of(bytes.data, len));
			assert_int_equal(batch_validate(slice_of(cut, len), 1 << 20, &scratch, &b),
					 ERR_TRUNCATED);
			free(cut);
		}
		free((void *)bytes.data);
	}
	buf_fini(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_every_batch_is_read),
		cmocka_unit_test(our_writer_writes_the_same_bytes),
		cmocka_unit_test(every_truncation_of_every_batch_is_refused),
	};
	return cmocka_run_group_tests(tests, make_expected, free_expected);
}

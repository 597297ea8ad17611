/* test_batch_writer.c - what is written is read back. */
#include "unit.h"

#include <stdio.h>

#include "wire/batch.h"

/* Three buffers for a test: *state of each. */
struct bufs {
	struct buf out, scratch, headers;
};

static int bufs_new(void **state)
{
	*state = xcalloc(1, sizeof(struct bufs));
	return 0;
}

static int bufs_free(void **state)
{
	struct bufs *s = *state;

	buf_fini(&s->out);
	buf_fini(&s->scratch);
	buf_fini(&s->headers);
	free(s);
	return 0;
}

static struct slice nth_value(int n, char text[64])
{
	return slice_of(text, (size_t)snprintf(text, 64, "value of record %d", n));
}

static void a_thousand_records_survive_every_codec(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;
	struct record_iter it;
	struct record r;
	char text[64];

	for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		buf_clear(&s->out);
		batch_writer_begin(&w, &s->out);
		for (int n = 0; n < 1000; n++)
			batch_writer_append(&w, 5000 + n, slice_of(&n, sizeof n),
					    nth_value(n, text), SLICE_NULL, 0);
		batch_writer_finish(&w, c, &s->scratch);

		assert_int_equal(batch_validate(buf_slice(&s->out), 1 << 20, &s->scratch, &b),
				 ERR_NONE);
		assert_int_equal(batch_codec(&b), c);
		assert_int_equal(b.record_count, 1000);
		assert_int_equal(b.base_timestamp, 5000);
		assert_int_equal(b.max_timestamp, 5999);
		assert_int_equal(record_iter_init(&it, &b, 1 << 20, &s->scratch), ERR_NONE);
		for (int n = 0; n < 1000; n++) {
			assert_int_equal(record_iter_next(&it, &r), 1);
			assert_int_equal(r.offset, n);
			assert_int_equal(r.timestamp, 5000 + n);
			assert_slice_equal(r.key, slice_of(&n, sizeof n));
			assert_slice_equal(r.value, nth_value(n, text));
		}
		assert_int_equal(record_iter_next(&it, &r), 0);
	}
}

static void a_finished_batch_has_no_producer_and_offset_zero(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;

	batch_writer_begin(&w, &s->out);
	batch_writer_append(&w, 77, SLICE_NULL, BYTES("v"), SLICE_NULL, 0);
	assert_int_equal(batch_writer_size(&w), BATCH_HEADER_BYTES + 8);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	assert_int_equal(batch_verify(buf_slice(&s->out), &b), ERR_NONE);
	assert_int_equal(b.base_offset, 0);
	assert_int_equal(b.leader_epoch, -1);
	assert_int_equal(b.attributes, 0);
	assert_int_equal(b.producer_id, -1);
	assert_int_equal(b.producer_epoch, -1);
	assert_int_equal(b.base_sequence, -1);
	assert_slice_equal(b.records, BYTES("\x0e\0\0\0\1\2v\0"));
}

static void null_and_empty_are_told_apart(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;
	struct record_iter it;
	struct record r;

	batch_writer_begin(&w, &s->out);
	batch_writer_append(&w, 0, SLICE_NULL, BYTES(""), SLICE_NULL, 0);
	batch_writer_append(&w, 0, BYTES(""), SLICE_NULL, SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	assert_int_equal(batch_verify(buf_slice(&s->out), &b), ERR_NONE);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_null(r.key.data);
	assert_non_null(r.value.data);
	assert_int_equal(r.value.len, 0);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_non_null(r.key.data);
	assert_int_equal(r.key.len, 0);
	assert_null(r.value.data);
}

static void headers_survive_with_null_values_and_repeated_names(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;
	struct record_iter it;
	struct record r;
	struct record_header h;

	record_header_append(&s->headers, BYTES("name"), BYTES("one"));
	record_header_append(&s->headers, BYTES("name"), SLICE_NULL);
	record_header_append(&s->headers, BYTES(""), BYTES(""));
	batch_writer_begin(&w, &s->out);
	batch_writer_append(&w, 0, SLICE_NULL, SLICE_NULL, buf_slice(&s->headers), 3);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	assert_int_equal(batch_validate(buf_slice(&s->out), 1000, &s->scratch, &b), ERR_NONE);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_int_equal(r.header_count, 3);
	assert_slice_equal(r.headers, buf_slice(&s->headers));
	assert_int_equal(record_header_next(&r.headers, &h), 1);
	assert_slice_equal(h.name, BYTES("name"));
	assert_slice_equal(h.value, BYTES("one"));
	assert_int_equal(record_header_next(&r.headers, &h), 1);
	assert_slice_equal(h.name, BYTES("name"));
	assert_null(h.value.data);
	assert_int_equal(record_header_next(&r.headers, &h), 1);
	assert_slice_equal(h.name, BYTES(""));
	assert_slice_equal(h.value, BYTES(""));
	assert_int_equal(record_header_next(&r.headers, &h), 0);
}

static void every_timestamp_survives(void **state)
{
	static const int64_t times[] = {1700000000000, 1699999999999, -1, 0,
					INT64_MIN,     INT64_MAX,     5};
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;
	struct record_iter it;
	struct record r;

	batch_writer_begin(&w, &s->out);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		batch_writer_append(&w, times[i], SLICE_NULL, SLICE_NULL, SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	assert_int_equal(batch_validate(buf_slice(&s->out), 1000, &s->scratch, &b), ERR_NONE);
	assert_true(b.base_timestamp == times[0]);
	assert_true(b.max_timestamp == INT64_MAX);
	assert_int_equal(record_iter_init(&it, &b, 0, NULL), ERR_NONE);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		assert_int_equal(record_iter_next(&it, &r), 1);
		assert_true(r.timestamp == times[i]);
	}
}

static void rollback_forgets_what_came_after_the_mark(void **state)
{
	struct bufs *s = *state;
	struct buf want = {0};
	struct batch_writer w;

	batch_writer_begin(&w, &want);
	batch_writer_append(&w, 200, BYTES("a"), BYTES("1"), SLICE_NULL, 0);
	batch_writer_append(&w, 100, BYTES("b"), BYTES("2"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	batch_writer_begin(&w, &s->out);
	struct batch_mark empty = batch_writer_mark(&w);
	batch_writer_append(&w, 999, BYTES("x"), BYTES("x"), SLICE_NULL, 0);
	batch_writer_rollback(&w, empty);
	batch_writer_append(&w, 200, BYTES("a"), BYTES("1"), SLICE_NULL, 0);
	struct batch_mark one = batch_writer_mark(&w);
	for (int i = 0; i < 100; i++)
		batch_writer_append(&w, 300 + i, BYTES("y"), BYTES("a longer one"), SLICE_NULL, 0);
	batch_writer_rollback(&w, one);
	batch_writer_append(&w, 100, BYTES("b"), BYTES("2"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);

	assert_slice_equal(buf_slice(&s->out), buf_slice(&want));
	buf_fini(&want);
}

static void a_batch_without_records_vanishes(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;

	buf_append_str(&s->out, "before");
	batch_writer_begin(&w, &s->out);
	struct batch_mark mark = batch_writer_mark(&w);
	batch_writer_append(&w, 0, SLICE_NULL, BYTES("x"), SLICE_NULL, 0);
	batch_writer_rollback(&w, mark);
	batch_writer_finish(&w, CODEC_ZSTD, &s->scratch);
	assert_slice_equal(buf_slice(&s->out), BYTES("before"));
}

static void batches_follow_each_other_in_one_buffer(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;

	for (int i = 0; i < 3; i++) {
		batch_writer_begin(&w, &s->out);
		for (int n = 0; n <= i; n++)
			batch_writer_append(&w, 10 * i, SLICE_NULL, BYTES("v"), SLICE_NULL, 0);
		batch_writer_finish(&w, CODEC_NONE, NULL);
	}
	struct slice rest = buf_slice(&s->out);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(batch_validate(rest, 1000, &s->scratch, &b), ERR_NONE);
		assert_int_equal(b.record_count, i + 1);
		assert_int_equal(b.max_timestamp, 10 * i);
		rest = slice_of(rest.data + b.bytes.len, rest.len - b.bytes.len);
	}
	assert_int_equal(rest.len, 0);
}

static void records_that_do_not_shrink_stay_plain(void **state)
{
	struct bufs *s = *state;
	struct batch_writer w;
	struct batch b;

	for (enum codec c = CODEC_GZIP; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		buf_clear(&s->out);
		batch_writer_begin(&w, &s->out);
		batch_writer_append(&w, 0, SLICE_NULL, BYTES("q"), SLICE_NULL, 0);
		batch_writer_finish(&w, c, &s->scratch);
		assert_int_equal(batch_validate(buf_slice(&s->out), 1000, &s->scratch, &b),
				 ERR_NONE);
		assert_int_equal(batch_codec(&b), CODEC_NONE);
	}
}

static void a_large_record_survives(void **state)
{
	struct bufs *s = *state;
	struct buf value = {0};
	struct batch_writer w;
	struct batch b;
	struct record_iter it;
	struct record r;

	for (uint32_t i = 0; i < 500000; i++)
		buf_append_u32be(&value, i * 2654435761u);
	batch_writer_begin(&w, &s->out);
	batch_writer_append(&w, 0, BYTES("k"), buf_slice(&value), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_LZ4, &s->scratch);
	assert_int_equal(batch_validate(buf_slice(&s->out), 3000000, &s->scratch, &b), ERR_NONE);
	assert_int_equal(record_iter_init(&it, &b, 3000000, &s->scratch), ERR_NONE);
	assert_int_equal(record_iter_next(&it, &r), 1);
	assert_slice_equal(r.value, buf_slice(&value));
	buf_fini(&value);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bufs_new, bufs_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_records_survive_every_codec),
		TEST(a_finished_batch_has_no_producer_and_offset_zero),
		TEST(null_and_empty_are_told_apart),
		TEST(headers_survive_with_null_values_and_repeated_names),
		TEST(every_timestamp_survives),
		TEST(rollback_forgets_what_came_after_the_mark),
		TEST(a_batch_without_records_vanishes),
		TEST(batches_follow_each_other_in_one_buffer),
		TEST(records_that_do_not_shrink_stay_plain),
		TEST(a_large_record_survives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_compress.c - the codecs: round trips, caps, truncation, foreign framings. */
#include "unit.h"

#include <pthread.h>

#include "wire/compress.h"

#define FOR_EACH_CODEC(c) for (enum codec c = CODEC_GZIP; c < CODEC_COUNT; c = (enum codec)(c + 1))

/* Text that compresses somewhat: words of a small xorshift generator. */
static void fill(struct buf *b, size_t len)
{
	uint32_t x = 2463534242;

	buf_reserve(b, len); /* empty, but not null */
	while (b->len < len) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		buf_printf(b, "%u-%s ", x % 1000, x & 64 ? "alpha" : "beta");
	}
	b->len = len;
}

static void names_and_numbers(void **state)
{
	enum codec c = CODEC_GZIP;

	(void)state;
	assert_true(codec_from_name("none", &c) && c == CODEC_NONE);
	assert_true(codec_from_name("uncompressed", &c) && c == CODEC_NONE);
	assert_true(codec_from_name("snappy", &c) && c == CODEC_SNAPPY);
	assert_false(codec_from_name("SNAPPY", &c));
	assert_false(codec_from_name("producer", &c));
	assert_int_equal(c, CODEC_SNAPPY);
	assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
	assert_string_equal(codec_name((enum codec)7), "unknown");
}

static void every_codec_gives_back_what_it_got(void **state)
{
	static const size_t lens[] = {0, 1, 63, 4096, 32768, 32769, 300000};
	struct buf plain = {0}, packed = {0}, out = {0};

	(void)state;
	FOR_EACH_CODEC(c)
	{
		for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
			buf_clear(&plain);
			buf_clear(&packed);
			buf_clear(&out);
			fill(&plain, lens[i]);
			buf_append_str(&packed, "before");
			buf_append_str(&out, "before");
			codec_compress(c, buf_slice(&plain), &packed);
			struct slice in = slice_of(packed.data + 6, packed.len - 6);
			assert_int_equal(codec_decompress(c, in, lens[i], &out), ERR_NONE);
			assert_memory_equal(out.data, "before", 6);
			assert_slice_equal(slice_of(out.data + 6, out.len - 6), buf_slice(&plain));
		}
	}
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&out);
}

static void the_cap_is_exact(void **state)
{
	struct buf plain = {0}, packed = {0}, out = {0};

	(void)state;
	fill(&plain, 10000);
	for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c = (enum codec)(c + 1)) {
		buf_clear(&packed);
		buf_clear(&out);
		codec_compress(c, buf_slice(&plain), &packed);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), 9999, &out),
				 ERR_TOO_LARGE);
		assert_int_equal(out.len, 0);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), 0, &out), ERR_TOO_LARGE);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), 10000, &out), ERR_NONE);
		buf_clear(&out);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), SIZE_MAX, &out), ERR_NONE);
		assert_int_equal(out.len, 10000);
	}
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&out);
}

static void a_bomb_costs_no_more_than_the_cap(void **state)
{
	struct buf plain = {0}, packed = {0};

	(void)state;
	buf_reserve(&plain, 16 << 20);
	memset(plain.data, 0, 16 << 20);
	plain.len = 16 << 20;
	FOR_EACH_CODEC(c)
	{
		struct buf out = {0};
		buf_clear(&packed);
		codec_compress(c, buf_slice(&plain), &packed);
		assert_true(packed.len < plain.len / 20);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), 50000, &out),
				 ERR_TOO_LARGE);
		assert_int_equal(out.len, 0);
		assert_true(out.cap <= 100000);
		buf_fini(&out);
	}
	buf_fini(&plain);
	buf_fini(&packed);
}

/* Prefixes that end exactly between two framed chunks are whole streams in xerial's framing; plain
 * text of one chunk has no such place except the bare header. */
static void every_truncation_is_refused(void **state)
{
	struct buf plain = {0}, packed = {0}, out = {0};

	(void)state;
	fill(&plain, 2000);
	FOR_EACH_CODEC(c)
	{
		buf_clear(&packed);
		codec_compress(c, buf_slice(&plain), &packed);
		for (size_t len = 0; len < packed.len; len++) {
			uint8_t *cut = exact_copy(slice_of(packed.data, len));
			enum ks_err err = codec_decompress(c, slice_of(cut, len), 1 << 20, &out);
			if (c == CODEC_SNAPPY && len == 16)
				assert_int_equal(err, ERR_NONE);
			else
				assert_int_equal(err, ERR_CORRUPT_MESSAGE);
			assert_int_equal(out.len, 0);
			free(cut);
		}
	}
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&out);
}

static void trailing_bytes_are_refused(void **state)
{
	struct buf packed = {0}, out = {0};

	(void)state;
	FOR_EACH_CODEC(c)
	{
		buf_clear(&packed);
		codec_compress(c, BYTES("hello hello hello"), &packed);
		buf_append(&packed, "\0", 1);
		assert_int_equal(codec_decompress(c, buf_slice(&packed), 1000, &out),
				 ERR_CORRUPT_MESSAGE);
		assert_int_equal(out.len, 0);
	}
	buf_fini(&packed);
	buf_fini(&out);
}

static void members_and_frames_in_a_row_are_one_stream(void **state)
{
	static const enum codec codecs[] = {CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD};
	struct buf packed = {0}, out = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&packed);
		buf_clear(&out);
		codec_compress(codecs[i], BYTES("first "), &packed);
		codec_compress(codecs[i], BYTES("second"), &packed);
		assert_int_equal(codec_decompress(codecs[i], buf_slice(&packed), 12, &out),
				 ERR_NONE);
		assert_slice_equal(buf_slice(&out), BYTES("first second"));
		buf_clear(&out);
		assert_int_equal(codec_decompress(codecs[i], buf_slice(&packed), 11, &out),
				 ERR_TOO_LARGE);
	}
	buf_fini(&packed);
	buf_fini(&out);
}

static void snappy_is_read_raw_and_framed(void **state)
{
	/* raw: length 5, a literal of 5 */
	const struct slice raw = BYTES("\x05\x10hello");
	const struct slice framed = BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1"
					  "\0\0\0\x07\x05\x10hello"
					  "\0\0\0\x08\x06\x14 there");
	struct buf out = {0};

	(void)state;
	assert_int_equal(codec_decompress(CODEC_SNAPPY, raw, 5, &out), ERR_NONE);
	assert_slice_equal(buf_slice(&out), BYTES("hello"));
	buf_clear(&out);
	assert_int_equal(codec_decompress(CODEC_SNAPPY, framed, 11, &out), ERR_NONE);
	assert_slice_equal(buf_slice(&out), BYTES("hello there"));
	buf_clear(&out);
	assert_int_equal(codec_decompress(CODEC_SNAPPY, framed, 10, &out), ERR_TOO_LARGE);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static void claimed_sizes_reserve_nothing(void **state)
{
	const struct {
		enum codec codec;
		struct slice bytes;
	} rows[] = {
		/* raw snappy that claims 4 GiB, 2 GiB - 1 */
		{CODEC_SNAPPY, BYTES("\xff\xff\xff\xff\x0f\x10hello")},
		{CODEC_SNAPPY, BYTES("\xff\xff\xff\xff\x07\x10hello")},
		/* chunks of 4 GiB - 1, of 2 GiB, of one byte too many, and an empty one */
		{CODEC_SNAPPY, BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1\xff\xff\xff\xff\x05\x10hello")},
		{CODEC_SNAPPY, BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1\x80\0\0\0\x05\x10hello")},
		{CODEC_SNAPPY, BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\x08\x05\x10hello")},
		{CODEC_SNAPPY, BYTES("\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\0")},
		/* zstd: content size 2^56, then window logs 27 and 31, each with no block */
		{CODEC_ZSTD, BYTES("\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\1")},
		{CODEC_ZSTD, BYTES("\x28\xb5\x2f\xfd\x00\x88")},
		{CODEC_ZSTD, BYTES("\x28\xb5\x2f\xfd\x00\xa8")},
		/* lz4: 4 MiB blocks, nothing else */
		{CODEC_LZ4, BYTES("\x04\x22\x4d\x18\x60\x70\x73")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		uint8_t *bytes = exact_copy(rows[i].bytes);
		assert_int_equal(codec_decompress(rows[i].codec, slice_of(bytes, rows[i].bytes.len),
						  100 << 20, &out),
				 ERR_CORRUPT_MESSAGE);
		assert_true(out.cap <= 8192);
		free(bytes);
		buf_fini(&out);
	}
}

static void unknown_codecs_are_unsupported(void **state)
{
	struct buf out = {0};

	(void)state;
	for (int c = CODEC_COUNT; c < 8; c++)
		assert_int_equal(codec_decompress((enum codec)c, BYTES("x"), 10, &out),
				 ERR_UNSUPPORTED_COMPRESSION_TYPE);
	buf_fini(&out);
}

static void a_failure_leaves_no_trace_in_the_next_call(void **state)
{
	struct buf packed = {0}, out = {0};

	(void)state;
	FOR_EACH_CODEC(c)
	{
		buf_clear(&packed);
		buf_clear(&out);
		codec_compress(c, BYTES("aaaaaaaaaabbbbbbbbbb"), &packed);
		for (size_t i = 0; i < packed.len; i++) {
			uint8_t *bad = exact_copy(buf_slice(&packed));
			bad[i] ^= 0x55;
			(void)codec_decompress(c, slice_of(bad, packed.len), 100, &out);
			free(bad);
			buf_clear(&out);
			assert_int_equal(codec_decompress(c, buf_slice(&packed), 20, &out),
					 ERR_NONE);
			assert_slice_equal(buf_slice(&out), BYTES("aaaaaaaaaabbbbbbbbbb"));
			buf_clear(&out);
		}
	}
	buf_fini(&packed);
	buf_fini(&out);
}

static void *use_all(void *failed)
{
	struct buf plain = {0}, packed = {0}, out = {0};

	fill(&plain, 20000);
	FOR_EACH_CODEC(c)
	{
		for (int round = 0; round < 5; round++) {
			buf_clear(&packed);
			buf_clear(&out);
			codec_compress(c, buf_slice(&plain), &packed);
			if (codec_decompress(c, buf_slice(&packed), 20000, &out) ||
			    !slice_equal(buf_slice(&out), buf_slice(&plain)))
				*(int *)failed = 1;
		}
	}
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&out);
	return NULL;
}

static void threads_do_not_share_contexts_and_free_them(void **state)
{
	pthread_t threads[4];
	int failed[4] = {0};

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_all, &failed[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failed[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(every_codec_gives_back_what_it_got),
		cmocka_unit_test(the_cap_is_exact),
		cmocka_unit_test(a_bomb_costs_no_more_than_the_cap),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(trailing_bytes_are_refused),
		cmocka_unit_test(members_and_frames_in_a_row_are_one_stream),
		cmocka_unit_test(snappy_is_read_raw_and_framed),
		cmocka_unit_test(claimed_sizes_reserve_nothing),
		cmocka_unit_test(unknown_codecs_are_unsupported),
		cmocka_unit_test(a_failure_leaves_no_trace_in_the_next_call),
		cmocka_unit_test(threads_do_not_share_contexts_and_free_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

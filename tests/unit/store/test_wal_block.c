/* The records of a write-ahead log and the salt in them. */
#include "store/crc.h"
#include "store/wal_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* A record as RocksDB writes it. Returns its length. */
static size_t record(uint8_t *out, const char *content, size_t len)
{
	out[4] = (uint8_t)len;
	out[5] = (uint8_t)(len >> 8);
	out[6] = 1;
	memcpy(out + 7, content, len);
	uint32_t crc = crc32c_finished(0, out + 6, len + 1);
	crc = (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(crc >> (8 * i));
	return 7 + len;
}

/* A block that is filled but for the last three bytes, which are zeros. */
static void fill_block(uint8_t *out)
{
	static char content[30000];
	size_t at = 0;

	memset(content, 'x', sizeof content);
	at += record(out + at, "first", 5);
	at += record(out + at, "", 0);
	at += record(out + at, content, sizeof content);
	at += record(out + at, content, WAL_BLOCK_BYTES - at - 7 - 3);
	assert_int_equal(at, WAL_BLOCK_BYTES - 3);
	memset(out + at, 0, 3);
}

/* Salts data in steps of so many bytes. */
static void salt(struct wal_stream *s, uint64_t number, uint8_t *data, size_t len, size_t step)
{
	for (size_t at = 0; at < len;) {
		uint8_t header[WAL_HEADER_BYTES];
		size_t n, most = len - at < step ? len - at : step;
		if (wal_stream_next(s, wal_salt(number), slice_of(data + at, most), header, &n))
			memcpy(data + at, header, n);
		assert_in_range(n, 1, most);
		at += n;
	}
}

static void what_was_salted_in_any_pieces_is_read_as_it_was(void **state)
{
	static const size_t steps[] = {1, 2, 3, 6, 7, 8, 100, 4096, 40000, 2 * WAL_BLOCK_BYTES};
	uint8_t *blocks = malloc(2 * WAL_BLOCK_BYTES), *salted = malloc(2 * WAL_BLOCK_BYTES);
	(void)state;

	fill_block(blocks);
	fill_block(blocks + WAL_BLOCK_BYTES);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct wal_stream s = {0};
		memcpy(salted, blocks, 2 * WAL_BLOCK_BYTES);
		salt(&s, 12, salted, 2 * WAL_BLOCK_BYTES, steps[i]);
		assert_memory_not_equal(salted, blocks, WAL_BLOCK_BYTES);
		for (size_t b = 0; b < 2; b++)
			assert_int_equal(wal_block_unsalt(salted + b * WAL_BLOCK_BYTES,
							  WAL_BLOCK_BYTES, wal_salt(12)),
					 WAL_BLOCK_BYTES);
		assert_memory_equal(salted, blocks, 2 * WAL_BLOCK_BYTES);
	}
	free(blocks);
	free(salted);
}

static void records_of_another_file_are_no_records(void **state)
{
	uint8_t block[64];
	struct wal_stream s = {0};
	size_t first = record(block, "mine", 4), len = first + record(block + first, "other", 5);
	(void)state;

	salt(&s, 7, block, first, first);
	struct wal_stream other = {0};
	salt(&other, 8, block + first, len - first, len);
	assert_int_equal(wal_block_unsalt(block, len, wal_salt(7)), first);
	assert_int_equal(wal_block_unsalt(block, len, wal_salt(9)), 0);
}

static void a_flipped_bit_ends_what_is_whole(void **state)
{
	uint8_t whole[64], block[64];
	struct wal_stream s = {0};
	size_t first = record(whole, "one", 3), len = first + record(whole + first, "two", 3);
	(void)state;

	salt(&s, 1, whole, len, len);
	for (size_t bit = 8 * first; bit < 8 * len; bit++) {
		memcpy(block, whole, len);
		block[bit / 8] = (uint8_t)(block[bit / 8] ^ (1u << bit % 8));
		assert_int_equal(wal_block_unsalt(block, len, wal_salt(1)), first);
	}
}

static void zeros_and_half_records_end_what_is_whole(void **state)
{
	uint8_t block[64] = {0};
	struct wal_stream s = {0};
	size_t len = record(block, "one", 3);
	(void)state;

	salt(&s, 3, block, len, len);
	assert_int_equal(wal_block_unsalt(block, sizeof block, wal_salt(3)), len);
	s = (struct wal_stream){0};
	salt(&s, 3, block, len, len);
	assert_int_equal(wal_block_unsalt(block, len - 1, wal_salt(3)), 0);
	assert_int_equal(wal_block_unsalt(block, 6, wal_salt(3)), 0);
}

static void no_two_numbers_have_one_salt(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 2000; n++) {
		assert_int_not_equal(wal_salt(n), 0);
		for (uint64_t m = 1; m < n; m++)
			assert_int_not_equal(wal_salt(n), wal_salt(m));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_salted_in_any_pieces_is_read_as_it_was),
		cmocka_unit_test(records_of_another_file_are_no_records),
		cmocka_unit_test(a_flipped_bit_ends_what_is_whole),
		cmocka_unit_test(zeros_and_half_records_end_what_is_whole),
		cmocka_unit_test(no_two_numbers_have_one_salt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_varint.c - one encoding per number, and no other is taken. */
#include "unit.h"

#include "wire/varint.h"

static void known_encodings(void **state)
{
	static const struct {
		int32_t value;
		const char *bytes;
		size_t len;
	} rows[] = {
		{0, "\x00", 1},
		{-1, "\x01", 1},
		{1, "\x02", 1},
		{63, "\x7e", 1},
		{-64, "\x7f", 1},
		{64, "\x80\x01", 2},
		{-65, "\x81\x01", 2},
		{8191, "\xfe\x7f", 2},
		{8192, "\x80\x80\x01", 3},
		{INT32_MAX, "\xfe\xff\xff\xff\x0f", 5},
		{INT32_MIN, "\xff\xff\xff\xff\x0f", 5},
	};
	uint8_t out[VARINT32_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int32_t v;
		const uint8_t *p = (const uint8_t *)rows[i].bytes;
		assert_ptr_equal(varint_write_i32(out, rows[i].value), out + rows[i].len);
		assert_memory_equal(out, p, rows[i].len);
		assert_int_equal(varint_size_i32(rows[i].value), rows[i].len);
		assert_ptr_equal(varint_read_i32(p, p + rows[i].len, &v), p + rows[i].len);
		assert_int_equal(v, rows[i].value);
	}
}

static void check_u64(uint64_t value)
{
	uint8_t out[VARINT64_BYTES_MAX];
	uint64_t v = 0;
	uint32_t narrow = 0;
	int64_t s = 0;

	size_t len = (size_t)(varint_write_u64(out, value) - out);
	assert_int_equal(len, varint_size_u64(value));
	assert_ptr_equal(varint_read_u64(out, out + len, &v), out + len);
	assert_true(v == value);
	for (size_t cut = 0; cut < len; cut++)
		assert_null(varint_read_u64(out, out + cut, &v));
	if (value <= UINT32_MAX) {
		assert_ptr_equal(varint_read_u32(out, out + len, &narrow), out + len);
		assert_int_equal(narrow, value);
	} else {
		assert_null(varint_read_u32(out, out + len, &narrow));
	}

	len = (size_t)(varint_write_i64(out, (int64_t)value) - out);
	assert_int_equal(len, varint_size_i64((int64_t)value));
	assert_ptr_equal(varint_read_i64(out, out + len, &s), out + len);
	assert_true(s == (int64_t)value);
}

static void numbers_around_every_power_of_two_survive(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t power = (uint64_t)1 << bit;
		check_u64(power - 1);
		check_u64(power);
		check_u64(power + 1);
		check_u64(0 - power);
	}
}

/* Encodings that are longer than needed, too long, or set bits that the type lacks. */
static void all_other_encodings_are_refused(void **state)
{
	const struct slice both[] = {
		BYTES("\x80\x00"),
		BYTES("\x81\x80\x00"),
		BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"),
		BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
	};
	const struct slice only_32[] = {
		BYTES("\xff\xff\xff\xff\x10"),
		BYTES("\xff\xff\xff\xff\x7f"),
		BYTES("\xff\xff\xff\xff\xff\x01"),
	};
	uint32_t u32 = 7;
	uint64_t u64 = 7;

	(void)state;
	for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
		const uint8_t *p = both[i].data, *end = p + both[i].len;
		assert_null(varint_read_u32(p, end, &u32));
		assert_null(varint_read_u64(p, end, &u64));
	}
	for (size_t i = 0; i < sizeof only_32 / sizeof *only_32; i++) {
		const uint8_t *p = only_32[i].data, *end = p + only_32[i].len;
		assert_null(varint_read_u32(p, end, &u32));
		assert_non_null(varint_read_u64(p, end, &u64));
		u64 = 7;
	}
	assert_int_equal(u32, 7);
	assert_int_equal(u64, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_encodings),
		cmocka_unit_test(numbers_around_every_power_of_two_survive),
		cmocka_unit_test(all_other_encodings_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_checksum.c - CRC32C and murmur2 against published values. */
#include "unit.h"

#include "wire/checksum.h"

static void crc32c_of_the_check_string(void **state)
{
	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c("", 0), 0);
}

/* RFC 3720, B.4. */
static void crc32c_of_the_vectors_of_iscsi(void **state)
{
	uint8_t bytes[32];

	(void)state;
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x46dd794e);
}

static void crc32c_extend_continues_at_every_split(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 + 7);
	uint32_t whole = crc32c(bytes, sizeof bytes);
	for (size_t split = 0; split <= sizeof bytes; split++) {
		uint32_t crc = crc32c(bytes, split);
		assert_int_equal(crc32c_extend(crc, bytes + split, sizeof bytes - split), whole);
	}
}

static void murmur2_is_the_java_clients(void **state)
{
	static const struct {
		const char *key;
		int32_t hash;
	} vectors[] = {
		{"21", -973932308},
		{"foobar", -790332482},
		{"a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", 479470107},
	};

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		assert_int_equal((int32_t)murmur2(vectors[i].key, strlen(vectors[i].key)),
				 vectors[i].hash);
}

static void partitions_are_positive_for_negative_hashes(void **state)
{
	(void)state;
	/* -973932308 & 0x7fffffff = 1173551340 */
	assert_int_equal(murmur2_partition("21", 2, 1000), 340);
	assert_int_equal(murmur2_partition("21", 2, 1), 0);
	assert_int_equal(murmur2_partition("abc", 3, 100), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_of_the_check_string),
		cmocka_unit_test(crc32c_of_the_vectors_of_iscsi),
		cmocka_unit_test(crc32c_extend_continues_at_every_split),
		cmocka_unit_test(murmur2_is_the_java_clients),
		cmocka_unit_test(partitions_are_positive_for_negative_hashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

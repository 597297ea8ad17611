/* Our CRC32C in RocksDB's place: the right values, really called, and the same files. */
#include "store/crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "crc_values.h"
#include "tests/scratch.h"

static int setup(void **state)
{
	*state = scratch_make();
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(*state);
	return 0;
}

static void known_values_come_out(void **state)
{
	(void)state;
	assert_int_equal(crc32c_finished(0, "", 0), 0);
	assert_int_equal(crc32c_finished(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_finished(crc32c_finished(0, "12345", 5), "6789", 4), 0xe3069283);
	uint8_t zeros[32] = {0};
	assert_int_equal(crc32c_finished(0, zeros, 32), 0x8a9136aa);
}

static int run_plain(const char *verb, const char *dir)
{
	char command[1200];

	snprintf(command, sizeof command, "%s %s %s", CRC_PLAIN, verb, dir);
	return system(command);
}

static void a_store_written_without_it_opens_with_it(void **state)
{
	char dir[600];

	snprintf(dir, sizeof dir, "%s/data", (char *)*state);
	assert_int_equal(run_plain("write", dir), 0);
	assert_int_equal(crc_read(dir), 0);
}

static void a_store_written_with_it_opens_without_it(void **state)
{
	char dir[600];

	snprintf(dir, sizeof dir, "%s/data", (char *)*state);
	assert_int_equal(crc_write(dir), 0);
	assert_int_equal(run_plain("read", dir), 0);
}

/* The dynamic linker says to which file it binds RocksDB's calls. */
static bool librocksdb_binds_to(const char *file, const char *program, const char *dir)
{
	char command[1400], line[4096];
	bool found = false;

	snprintf(command, sizeof command, "LD_DEBUG=bindings %s write %s 2>&1", program, dir);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof line, p)) {
		char *to = strstr(line, " to ");
		found |= strstr(line, "_ZN7rocksdb6crc32c6ExtendEjPKcm") && to && strstr(to, file);
	}
	pclose(p);
	return found;
}

static void librocksdb_really_calls_it(void **state)
{
	char dir[600], self[512] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	snprintf(dir, sizeof dir, "%s/with", (char *)*state);
	assert_int_equal(librocksdb_binds_to("test_crc", self, dir), KS_CRC32C_INTERPOSE);
	snprintf(dir, sizeof dir, "%s/without", (char *)*state);
	assert_true(librocksdb_binds_to("librocksdb", CRC_PLAIN, dir));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values_come_out),
		TEST(a_store_written_without_it_opens_with_it),
		TEST(a_store_written_with_it_opens_without_it),
		TEST(librocksdb_really_calls_it),
	};

	if (argc == 3 && strcmp(argv[1], "write") == 0)
		return crc_write(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

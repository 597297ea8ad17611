/* The files that are to become logs. */
#include "base/mem.h"
#include "store/wal_spares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/scratch.h"

#define WANTED 300000

struct fixture {
	char *dir, *log, *next;
	struct wal_spares *spares;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->dir = scratch_make();
	f->log = xasprintf("%s/000001.log", f->dir);
	f->next = xasprintf("%s/000002.log", f->dir);
	f->spares = wal_spares_new(f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wal_spares_free(f->spares);
	free(f->log);
	free(f->next);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void make_log(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->log, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The size of the file that became the next log; -1: none did. Its first 5 bytes go to head. */
static off_t use(struct fixture *f, char head[6])
{
	struct stat st, named;
	int fd = wal_spares_use(f->spares, f->next);

	memset(head, 0, 6);
	if (fd < 0)
		return -1;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat(f->next, &named), 0);
	assert_int_equal(st.st_ino, named.st_ino);
	assert_true(pread(fd, head, 5, 0) >= 0);
	close(fd);
	return st.st_size;
}

static int count_files(const struct fixture *f)
{
	DIR *dir = opendir(f->dir);
	int count = 0;

	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void what_is_wanted_is_made(void **state)
{
	struct fixture *f = *state;
	char head[6];

	assert_int_equal(use(f, head), -1);
	wal_spares_want(f->spares, WANTED);
	wal_spares_wait(f->spares);
	assert_int_equal(use(f, head), WANTED);
	assert_string_equal(head, "");
	assert_int_equal(use(f, head), -1);
}

static void what_is_long_enough_is_left_alone(void **state)
{
	struct fixture *f = *state;
	char head[6];

	wal_spares_want(f->spares, WANTED);
	wal_spares_wait(f->spares);
	wal_spares_want(f->spares, WANTED - 1);
	wal_spares_wait(f->spares);
	assert_int_equal(count_files(f), 1);
	assert_int_equal(use(f, head), WANTED);
}

static void a_log_that_was_too_short_is_made_longer(void **state)
{
	struct fixture *f = *state;
	char head[6];

	make_log(f, "hello");
	assert_true(wal_spares_add(f->spares, f->log, 1));
	wal_spares_want(f->spares, WANTED);
	wal_spares_wait(f->spares);
	assert_int_equal(count_files(f), 1);
	assert_int_equal(use(f, head), WANTED);
	assert_string_equal(head, "hello");
}

static void what_somebody_reads_is_not_made_longer(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char head[6];

	make_log(f, "hello");
	int reader = open(f->log, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(reader, LOCK_SH), 0);
	assert_true(wal_spares_add(f->spares, f->log, 1));
	wal_spares_want(f->spares, WANTED);
	wal_spares_wait(f->spares);
	assert_int_equal(fstat(reader, &st), 0);
	assert_int_equal(st.st_size, 5);
	close(reader);
	assert_int_equal(use(f, head), -1);
}

static void what_is_not_ready_at_the_end_is_taken_away(void **state)
{
	struct fixture *f = *state;

	wal_spares_want(f->spares, UINT64_C(1) << 40);
	wal_spares_free(f->spares);
	assert_int_equal(count_files(f), 0);
	f->spares = wal_spares_new(f->dir);
}

static void what_an_earlier_process_made_is_used(void **state)
{
	struct fixture *f = *state;
	char head[6];

	wal_spares_want(f->spares, WANTED);
	wal_spares_wait(f->spares);
	wal_spares_free(f->spares);
	f->spares = wal_spares_new(f->dir);
	wal_spares_want(f->spares, 2 * WANTED); /* the old one, longer */
	wal_spares_wait(f->spares);
	assert_int_equal(count_files(f), 1);
	assert_int_equal(use(f, head), 2 * WANTED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_wanted_is_made),
		TEST(what_is_long_enough_is_left_alone),
		TEST(a_log_that_was_too_short_is_made_longer),
		TEST(what_somebody_reads_is_not_made_longer),
		TEST(what_is_not_ready_at_the_end_is_taken_away),
		TEST(what_an_earlier_process_made_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

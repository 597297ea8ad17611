/* The lock of a data directory, between processes. */
#include "store/lock.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/scratch.h"

struct fixture {
	char *dir;
	pid_t owner; /* a process that holds the lock */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	int ready[2];
	char c;

	f->dir = scratch_make();
	assert_int_equal(pipe(ready), 0);
	f->owner = fork();
	if (f->owner == 0) {
		int fd;
		if (lock_take(f->dir, &fd, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*state = f;
	return 0;
}

static void stop_owner(struct fixture *f)
{
	if (f->owner > 0) {
		kill(f->owner, SIGKILL);
		waitpid(f->owner, NULL, 0);
	}
	f->owner = 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stop_owner(f);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void a_second_process_is_told_who_holds_the_directory(void **state)
{
	struct fixture *f = *state;
	struct store_options o = {.create = true};
	struct store *s;
	struct ks_why why;
	char pid[32];

	assert_int_equal(store_open(f->dir, &o, &s, &why), ERR_LOCKED);
	snprintf(pid, sizeof pid, "process %d (", (int)f->owner);
	assert_non_null(strstr(why.text, pid));
	assert_non_null(strstr(why.text, f->dir));
	assert_non_null(strstr(why.text, "test_lock"));
	assert_non_null(strstr(why.text, "running since 2"));
}

static void the_lock_goes_with_its_process_however_that_dies(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(lock_take(f->dir, &fd, NULL), ERR_LOCKED);
	stop_owner(f);
	assert_int_equal(lock_take(f->dir, &fd, NULL), ERR_NONE);
	lock_release(fd);
}

static void a_second_open_in_the_same_process_is_refused_too(void **state)
{
	struct fixture *f = *state;
	struct store_options o = {.create = true};
	struct store *s, *second;

	stop_owner(f);
	assert_int_equal(store_open(f->dir, &o, &s, NULL), ERR_NONE);
	assert_int_equal(store_open(f->dir, &o, &second, NULL), ERR_LOCKED);
	store_close(s);
	assert_int_equal(store_open(f->dir, &o, &second, NULL), ERR_NONE);
	store_close(second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_process_is_told_who_holds_the_directory),
		TEST(the_lock_goes_with_its_process_however_that_dies),
		/* Last: it starts RocksDB's threads, after which a fork is not a good idea. */
		TEST(a_second_open_in_the_same_process_is_refused_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

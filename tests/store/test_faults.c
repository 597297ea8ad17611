/* A disk that fills up and a disk whose syncs fail, at every place: no commit is acknowledged after
 * the first error, and what was acknowledged is there when the disk is well again.
 */
#include "base/log.h"
#include "commits.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMITS 400

struct fixture {
	char *scratch;
	char *dir;
};

/* `--child DIR`: commits until one fails, tries again, and prints
 * "<acknowledged> <error> <error of the retry> <sentence>". */
static int child(const char *dir)
{
	struct store_options o = {.create = true};
	struct store *s;
	struct ks_why why = {""}, again;
	uint64_t n = 0;

	log_init();
	enum ks_err err = store_open(dir, &o, &s, &why), retry = err;
	if (!err) {
		struct store_write *w = store_write_new(s);
		for (; n < COMMITS; n++) {
			err = commits_write(s, w, n, &why);
			if (err)
				break;
			if (n % 100 == 99 && store_flush(s, &again)) {
				/* The next commit says so too, or RocksDB got over it. */
			}
		}
		usleep(2000); /* whatever RocksDB does in the background by then */
		retry = err ? commits_write(s, w, n, &again) : err;
	}
	printf("%" PRIu64 " %d %d %s\n", n, err, retry, why.text);
	fflush(stdout);
	_exit(0);
}

struct report {
	uint64_t acknowledged;
	int err, retry;
	char text[1100];
};

static struct report run(const struct fixture *f, const char *fault, const char *more)
{
	char *dir = xasprintf("KS_ENOSPC_DIR=%s", f->dir);
	const char *args[] = {f->dir, NULL};
	const char *environment[] = {"LD_PRELOAD=" KS_PRELOAD_ENOSPC,
				     "KS_LOG=off",
				     "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0",
				     dir,
				     fault,
				     more,
				     NULL};
	struct buf out = {0};
	struct report r = {0};

	assert_int_equal(commits_run_child(args, environment, &out), 0);
	if (sscanf(buf_cstr(&out), "%" SCNu64 " %d %d %1099[^\n]", &r.acknowledged, &r.err,
		   &r.retry, r.text) < 3)
		fail_msg("the child printed \"%s\"", buf_cstr(&out));
	buf_fini(&out);
	free(dir);
	return r;
}

/* With a disk that is well again: all that was acknowledged, and the store works. */
static void expect_kept(const struct fixture *f, uint64_t acknowledged)
{
	struct store_options o = {.create = true};
	struct store *s;
	struct ks_why why = {""};

	if (store_open(f->dir, &o, &s, &why))
		fail_msg("%s", why.text);
	int64_t count = commits_count(s, COMMITS + 5);
	if (count < (int64_t)acknowledged)
		fail_msg("%" PRIu64 " acknowledged, %" PRId64 " there", acknowledged, count);
	struct store_write *w = store_write_new(s);
	assert_int_equal(commits_write(s, w, (uint64_t)count, &why), ERR_NONE);
	store_write_free(w);
	store_close(s);
	scratch_empty(f->dir);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->scratch = scratch_make();
	f->dir = xasprintf("%s/data", f->scratch);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->scratch);
	free(f->dir);
	free(f);
	return 0;
}

static void without_a_fault_every_commit_is_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct report r = run(f, NULL, NULL);

	assert_int_equal(r.err, ERR_NONE);
	assert_int_equal(r.acknowledged, COMMITS);
	expect_kept(f, COMMITS);
}

static void a_full_disk_stops_commits_with_a_clear_sentence(void **state)
{
	struct fixture *f = *state;
	struct report r = run(f, "KS_ENOSPC_AFTER_BYTES=500000", NULL);

	assert_int_equal(r.err, ERR_NO_SPACE);
	assert_int_equal(r.retry, ERR_NO_SPACE);
	assert_in_range(r.acknowledged, 10, 100);
	assert_non_null(strstr(r.text, f->dir));
	assert_non_null(strstr(r.text, "No space left"));
	assert_non_null(strstr(r.text, "free space"));
	expect_kept(f, r.acknowledged);
}

static void a_disk_may_fill_up_at_any_place(void **state)
{
	struct fixture *f = *state;
	const char *longer = getenv("KS_LONG");
	int count = longer && *longer == '1' ? 300 : 40;
	int refused = 0;

	for (int i = 0; i < count; i++) {
		/* The first half while the database is made, the rest among commits and flushes. */
		char fault[64];
		snprintf(fault, sizeof fault, "KS_ENOSPC_AFTER_BYTES=%d",
			 i < count / 2 ? i * 40000 / count : i * 3000000 / count);
		struct report r = run(f, fault, NULL);
		if (r.err) {
			refused++;
			assert_int_equal(r.err, ERR_NO_SPACE);
			assert_int_equal(r.retry, r.err);
		}
		expect_kept(f, r.acknowledged);
	}
	assert_true(refused > count / 2);
}

static void a_sync_may_fail_at_any_place(void **state)
{
	struct fixture *f = *state;
	const char *longer = getenv("KS_LONG");
	int count = longer && *longer == '1' ? 450 : 60;

	for (int i = 1; i <= count; i++) {
		char fault[64];
		snprintf(fault, sizeof fault, "KS_EIO_SYNC_AT=%d", i);
		/* Once: RocksDB gets over some that were not a commit's, and then nothing may
		 * be missing. For good: sooner or later a commit meets it. */
		bool once = i % 2;
		struct report r = run(f, fault, once ? "KS_EIO_ONCE=1" : NULL);
		if (!once || r.err) {
			assert_int_equal(r.err, ERR_IO);
			assert_int_equal(r.retry, ERR_IO);
			assert_true(r.acknowledged < (uint64_t)i);
			assert_non_null(strstr(r.text, f->dir));
		} else {
			assert_int_equal(r.acknowledged, COMMITS);
		}
		expect_kept(f, r.acknowledged);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_fault_every_commit_is_acknowledged),
		TEST(a_full_disk_stops_commits_with_a_clear_sentence),
		TEST(a_disk_may_fill_up_at_any_place),
		TEST(a_sync_may_fail_at_any_place),
	};

	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return child(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

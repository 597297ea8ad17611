/* A database is written and left without closing, its files are cut and bits are flipped, and it is
 * opened again: never part of a commit, never a gap, and never fewer commits than were
 * acknowledged without a refusal.
 *
 * KS_LONG=1 tries ten times as many positions.
 */
#include "base/log.h"
#include "commits.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMITS 60

struct fixture {
	char *scratch;
	char *origin; /* as it was left */
	char *copy;   /* the one that is damaged */
};

/* `--child DIR FLUSH_AT [EVERY] [MEMTABLE]`: writes the commits, flushes after FLUSH_AT of them and then after EVERY
 * more, leaves without closing. With MEMTABLE (bytes) it is a store with jobs: their log is flushed by itself, and a log
 * that the other families still need stays, however long a flush takes. */
static int child(char **args)
{
	struct store_options o = {.create = true};
	uint64_t flush_at = strtoull(args[1], NULL, 10);
	uint64_t every = args[2] ? strtoull(args[2], NULL, 10) : COMMITS;
	struct store *s;
	struct ks_why why;

	if (args[2] && args[3]) {
		o.log_memtable_bytes = strtoull(args[3], NULL, 10);
		o.has_jobs = true;
	}
	if (store_open(args[0], &o, &s, &why))
		return 1;
	struct store_write *w = store_write_new(s);
	for (uint64_t n = 0; n < COMMITS; n++) {
		if (commits_write(s, w, n, &why))
			return 1;
		if (n + 1 != flush_at)
			continue;
		flush_at += every;
		if (store_flush(s, &why))
			return 1;
	}
	_exit(0);
}

static int positions(void)
{
	const char *longer = getenv("KS_LONG");

	return longer && *longer == '1' ? 2000 : 200;
}

static int setup_with(void **state, const char *flush_at, const char *every, const char *memtable)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct buf out = {0};

	f->scratch = scratch_make();
	f->origin = xasprintf("%s/origin", f->scratch);
	f->copy = xasprintf("%s/copy", f->scratch);
	const char *args[] = {f->origin, flush_at, every, memtable, NULL};
	assert_int_equal(commits_run_child(args, NULL, &out), 0);
	buf_fini(&out);
	*state = f;
	return 0;
}

static int setup_in_wal(void **state)
{
	return setup_with(state, "0", NULL, NULL);
}

static int setup_half_flushed(void **state)
{
	return setup_with(state, "30", NULL, NULL);
}

/* The newest log lies over one that was deleted. */
static int setup_in_used_wal(void **state)
{
	return setup_with(state, "10", "20", NULL);
}

/* The log of batches is flushed now and then, all that the other families have is in the log files. */
static int setup_in_many_wals(void **state)
{
	return setup_with(state, "0", "60", "65536");
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->scratch);
	free(f->origin);
	free(f->copy);
	free(f);
	return 0;
}

/* The largest file of the database whose name ends so, as a path below the copy. */
static char *find_file(const struct fixture *f, const char *suffix, off_t *size)
{
	char *db = xasprintf("%s/db", f->origin), *found = NULL;
	DIR *d = opendir(db);
	struct dirent *e;

	*size = 0;
	while ((e = readdir(d))) {
		struct stat st;
		char *path = xasprintf("%s/%s", db, e->d_name);
		size_t n = strlen(e->d_name), m = strlen(suffix);
		if (n >= m && strcmp(e->d_name + n - m, suffix) == 0 && stat(path, &st) == 0 &&
		    st.st_size > *size) {
			*size = st.st_size;
			free(found);
			found = xasprintf("%s/db/%s", f->copy, e->d_name);
		}
		free(path);
	}
	closedir(d);
	free(db);
	assert_non_null(found);
	return found;
}

static void flip_bit(const char *path, off_t at, int bit)
{
	uint8_t byte;
	int fd = open(path, O_RDWR);

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte = (uint8_t)(byte ^ (1u << bit));
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Opens the copy as an operator would. Returns whether it was refused. */
static bool open_refuses(const struct fixture *f, const char *damaged)
{
	struct store_options o = {0};
	struct store *s;
	struct ks_why why = {""};
	struct buf before = commits_read_file(damaged);
	enum ks_err err = store_open(f->copy, &o, &s, &why);

	if (!err) {
		int64_t count = commits_count(s, COMMITS + 5);
		if (count != COMMITS && count != -1)
			fail_msg("%" PRId64 " of %d commits, and no refusal", count, COMMITS);
		store_close(s);
		buf_fini(&before);
		return count == -1;
	}
	if (err != ERR_LOST_WRITES && err != ERR_CORRUPTION)
		fail_msg("refused with %s: %s", ks_err_name(err), why.text);
	assert_non_null(strstr(why.text, f->copy));

	struct buf after = commits_read_file(damaged); /* a refusal leaves all that a repair may need */
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	buf_fini(&before);
	buf_fini(&after);
	return true;
}

/* What an operator gets who accepts the loss: a whole beginning, and a store that works. */
static void accept_loss(const struct fixture *f)
{
	struct store_options o = {.accept_lost_writes = true};
	struct store *s;
	struct ks_why why = {""};
	enum ks_err err = store_open(f->copy, &o, &s, &why);

	if (err) {
		assert_int_equal(err, ERR_CORRUPTION);
		return;
	}
	int64_t count = commits_count(s, COMMITS + 5);
	if (count >= 0) {
		struct store_write *w = store_write_new(s);
		if (commits_write(s, w, (uint64_t)count, &why))
			fail_msg("%s", why.text);
		assert_int_equal(commits_count(s, COMMITS + 5), count + 1);
		store_write_free(w);
	}
	store_close(s);
	o.accept_lost_writes = false; /* and from then on nothing is missing */
	if (count >= 0) {
		assert_int_equal(store_open(f->copy, &o, &s, &why), ERR_NONE);
		store_close(s);
	}
}

struct tally {
	int refused, whole;
};

static void judge(const struct fixture *f, const char *damaged, bool accept, struct tally *t)
{
	if (!open_refuses(f, damaged)) {
		t->whole++;
	} else {
		t->refused++;
		if (accept)
			accept_loss(f);
	}
	scratch_empty(f->copy);
}

static void truncate_everywhere(struct fixture *f, const char *suffix, int count)
{
	off_t size;
	char *path = find_file(f, suffix, &size);
	struct tally t = {0};

	for (int i = 0; i < count; i++) {
		off_t at = i < 8 ? size - 1 - i : (off_t)((double)size * i / count);
		commits_copy_dir(f->origin, f->copy);
		assert_int_equal(truncate(path, at), 0);
		judge(f, path, i % 8 == 0, &t);
	}
	print_message("%s cut: %d refused, %d whole\n", suffix, t.refused, t.whole);
	free(path);
}

static void flip_everywhere(struct fixture *f, const char *suffix, int count)
{
	off_t size;
	char *path = find_file(f, suffix, &size);
	struct tally t = {0};

	for (int i = 0; i < count; i++) {
		off_t at = i < 8 ? i : (off_t)((double)size * i / count);
		commits_copy_dir(f->origin, f->copy);
		flip_bit(path, at, i % 8);
		judge(f, path, i % 8 == 0, &t);
	}
	print_message("%s flipped: %d refused, %d whole\n", suffix, t.refused, t.whole);
	free(path);
}

/* As a power loss leaves a file whose pages were not all written. */
static void zero_pages_everywhere(struct fixture *f, const char *suffix)
{
	static const uint8_t zeros[4096];
	off_t size;
	char *path = find_file(f, suffix, &size);
	struct tally t = {0};

	for (off_t at = 0; at + (off_t)sizeof zeros < size; at += (off_t)sizeof zeros) {
		commits_copy_dir(f->origin, f->copy);
		int fd = open(path, O_RDWR);
		assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
		close(fd);
		judge(f, path, true, &t);
	}
	print_message("%s with a page of zeros: %d refused, %d whole\n", suffix, t.refused,
		      t.whole);
	free(path);
}

static void an_undamaged_copy_opens_whole(void **state)
{
	struct fixture *f = *state;
	off_t size;
	char *wal = find_file(f, ".log", &size);

	commits_copy_dir(f->origin, f->copy);
	assert_false(open_refuses(f, wal));
	free(wal);
	scratch_empty(f->copy);
}

static void a_cut_log_is_refused(void **state)
{
	truncate_everywhere(*state, ".log", positions());
}

static void a_flipped_bit_in_the_log_is_refused(void **state)
{
	flip_everywhere(*state, ".log", positions());
}

static void a_log_over_an_older_one_ends_where_it_ends(void **state)
{
	struct fixture *f = *state;
	off_t size;
	char *wal = find_file(f, ".log", &size);

	commits_copy_dir(f->origin, f->copy);
	struct buf b = commits_read_file(wal);
	size_t zeros = 0;
	for (size_t i = b.len - 100; i < b.len; i++)
		zeros += b.data[i] == 0;
	assert_true(zeros < 50); /* its last bytes are the older one's */
	buf_fini(&b);
	assert_false(open_refuses(f, wal));
	free(wal);
	scratch_empty(f->copy);
	flip_everywhere(f, ".log", positions() / 8);
	truncate_everywhere(f, ".log", positions() / 8);
}

static int count_logs(const struct fixture *f)
{
	char *db = xasprintf("%s/db", f->origin);
	DIR *d = opendir(db);
	struct dirent *e;
	int count = 0;

	while ((e = readdir(d)))
		count += strstr(e->d_name, ".log") != NULL;
	closedir(d);
	free(db);
	return count;
}

static void a_log_that_others_follow_leaves_no_gap(void **state)
{
	struct fixture *f = *state;

	assert_true(count_logs(f) >= 2);
	zero_pages_everywhere(f, ".log");
	flip_everywhere(f, ".log", positions() / 8);
	truncate_everywhere(f, ".log", positions() / 8);
}

static void a_log_that_is_gone_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_options o = {0};
	struct ks_why why = {""};
	struct store *s;
	off_t size;
	char *wal = find_file(f, ".log", &size);

	commits_copy_dir(f->origin, f->copy);
	assert_int_equal(unlink(wal), 0);
	enum ks_err err = store_open(f->copy, &o, &s, &why);
	assert_true(err == ERR_LOST_WRITES || err == ERR_CORRUPTION);
	scratch_empty(f->copy);
	free(wal);
}

static void a_database_that_is_gone_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_options o = {.create = true};
	struct ks_why why = {""};
	struct store *s;
	char *db = xasprintf("%s/db", f->copy);

	commits_copy_dir(f->origin, f->copy);
	scratch_empty(db);
	assert_int_equal(store_open(f->copy, &o, &s, &why), ERR_LOST_WRITES);
	assert_non_null(strstr(why.text, "is gone"));
	scratch_empty(f->copy);
	free(db);
}

static void damaged_tables_blobs_and_manifests_never_give_less_or_other(void **state)
{
	int count = positions() / 4;

	flip_everywhere(*state, ".sst", count);
	flip_everywhere(*state, ".blob", count);
	truncate_everywhere(*state, ".blob", count);
	truncate_everywhere(*state, ".sst", count);
	flip_everywhere(*state, ".log", count);
	truncate_everywhere(*state, ".log", count);
}

static void a_damaged_manifest_is_refused(void **state)
{
	struct fixture *f = *state;
	char *current = xasprintf("%s/db/CURRENT", f->origin);
	struct buf name = commits_read_file(current);

	name.len--; /* the newline */
	truncate_everywhere(f, buf_cstr(&name), positions() / 4);
	flip_everywhere(f, buf_cstr(&name), positions() / 4);
	buf_fini(&name);
	free(current);
}

#define IN_WAL(f)       cmocka_unit_test_setup_teardown(f, setup_in_wal, teardown)
#define IN_USED_WAL(f)  cmocka_unit_test_setup_teardown(f, setup_in_used_wal, teardown)
#define IN_MANY_WALS(f) cmocka_unit_test_setup_teardown(f, setup_in_many_wals, teardown)
#define HALF_FLUSHED(f) cmocka_unit_test_setup_teardown(f, setup_half_flushed, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_WAL(an_undamaged_copy_opens_whole),
		IN_WAL(a_cut_log_is_refused),
		IN_WAL(a_flipped_bit_in_the_log_is_refused),
		IN_WAL(a_log_that_is_gone_is_refused),
		IN_WAL(a_database_that_is_gone_is_refused),
		IN_USED_WAL(a_log_over_an_older_one_ends_where_it_ends),
		IN_MANY_WALS(a_log_that_others_follow_leaves_no_gap),
		HALF_FLUSHED(an_undamaged_copy_opens_whole),
		HALF_FLUSHED(damaged_tables_blobs_and_manifests_never_give_less_or_other),
		HALF_FLUSHED(a_damaged_manifest_is_refused),
	};

	if (argc >= 4 && strcmp(argv[1], "--child") == 0)
		return child(argv + 2);
	log_set_level(LOG_OFF); /* there is much to warn of here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The power goes at any moment: of each file there is what was synced last, and any of the pages that were written since.
 *
 * A child commits, now and then durably, and says so; memtables are small, so flushes, new logs and compactions go on
 * all the time. It is killed, a directory is made of what was durable, and opened: no commit is torn or behind a gap, and
 * all that was said to be durable is there.
 *
 * KS_LONG=1 loses the power twenty times as often.
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
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMTABLE_BYTES 65536
#define COMMITS_MAX    3000
#define PAGE           4096
#define FIRST_SYNC     12 /* of the MANIFEST, past those of making a database */

struct fixture {
	char *scratch;
	char *dir;    /* as the child wrote it */
	char *images; /* what was durable of it, by inode */
	char *lost;   /* as it is found when the power is back */
	char *boot;   /* the boot id of the child */
	int at_sync;  /* of the MANIFEST the child is killed, one later each time; 0: whenever */
	unsigned seed;
};

/* --- the child: `--child DIR EVERY no|reclaim|jobs` commits until it is killed, each EVERY-th commit durable --- */

static void *reclaim_again_and_again(void *arg)
{
	struct ks_why why;

	for (;;) {
		if (store_reclaim(arg, CF_LOG, &why))
			_exit(3);
		usleep(2000);
	}
	return NULL;
}

static int child(char **args)
{
	struct store_options o = {.create = true};
	uint64_t every = strtoull(args[1], NULL, 10);
	struct store *s;
	struct ks_why why;
	pthread_t thread;

	o.log_memtable_bytes = MEMTABLE_BYTES;
	o.has_jobs = strcmp(args[2], "jobs") == 0;
	if (store_open(args[0], &o, &s, &why))
		return 1;
	if (strcmp(args[2], "reclaim") == 0 &&
	    pthread_create(&thread, NULL, reclaim_again_and_again, s))
		return 1;
	struct store_write *w = store_write_new(s);
	for (uint64_t n = 0; n < COMMITS_MAX; n++) {
		bool is_durable = n % every == every - 1;
		if (commits_write_sync(s, w, n, is_durable, &why))
			return 2;
		uint64_t count = n + 1;
		if (is_durable && write(STDOUT_FILENO, &count, sizeof count) != sizeof count)
			return 2;
	}
	pause();
	return 0;
}

/* --- the power --- */

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->scratch = scratch_make();
	f->dir = xasprintf("%s/dir", f->scratch);
	f->images = xasprintf("%s/images", f->scratch);
	f->lost = xasprintf("%s/lost", f->scratch);
	f->boot = xasprintf("%s/boot", f->scratch);
	int fd = open(f->boot, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "00000000-0000-4000-8000-000000000001\n", 37), 37);
	close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->scratch);
	free(f->dir);
	free(f->images);
	free(f->lost);
	free(f->boot);
	free(f);
	return 0;
}

static pid_t start(const struct fixture *f, const char *every, const char *how, int *out)
{
	int fds[2];
	char at_sync[16];

	snprintf(at_sync, sizeof at_sync, "%d", f->at_sync);
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("LD_PRELOAD", KS_PRELOAD_POWER, 1);
		setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
		setenv("KS_POWER_DIR", f->dir, 1);
		setenv("KS_POWER_IMAGES", f->images, 1);
		setenv("KS_POWER_BOOT_ID", f->boot, 1);
		if (f->at_sync)
			setenv("KS_POWER_BEFORE_MANIFEST", at_sync, 1);
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/proc/self/exe", "/proc/self/exe", "--child", f->dir, every, how,
		      (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	*out = fds[0];
	return pid;
}

/* Lets it go on until so many commits are durable and a little longer, kills it, and returns how many it had said so of.
 * Where it is to be killed at a sync that is waited for instead. */
static uint64_t wait_for_the_end(const struct fixture *f, pid_t pid, int out, uint64_t count,
				 unsigned pause_us)
{
	uint64_t durable = 0, next;

	while ((f->at_sync || durable < count) && read(out, &next, sizeof next) == sizeof next)
		durable = next;
	assert_true(f->at_sync || durable >= count); /* it did not end by itself */
	if (!f->at_sync) {
		usleep(pause_us);
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	while (read(out, &next, sizeof next) == sizeof next)
		durable = next;
	close(out);
	return durable;
}

/* Pages that the kernel had written before it was asked to; nothing is longer for them than it is now. */
static void add_pages(struct fixture *f, struct buf *image, struct buf now)
{
	size_t len = image->len < now.len ? image->len : now.len;

	if (rand_r(&f->seed) % 2) { /* and its new length, with holes */
		buf_reserve(image, now.len);
		if (now.len > image->len)
			memset(image->data + image->len, 0, now.len - image->len);
		image->len = len = now.len;
	}
	for (size_t at = 0; at < len; at += PAGE)
		if (rand_r(&f->seed) % 3 == 0)
			memcpy(image->data + at, now.data + at, len - at < PAGE ? len - at : PAGE);
}

/* Of what is new the last page was not written, but its length: a record that crosses into it is torn, and one that begins
 * in it is not to be seen. */
static void add_all_but_the_last_page(struct buf *image, struct buf now)
{
	size_t begin = image->len, last = now.len > 0 ? (now.len - 1) / PAGE * PAGE : 0;

	if (now.len <= begin)
		return;
	buf_reserve(image, now.len);
	memset(image->data + begin, 0, now.len - begin);
	if (last > begin)
		memcpy(image->data + begin, now.data + begin, last - begin);
	image->len = now.len;
}

static void lose_file(struct fixture *f, const char *from, const struct stat *st, const char *to)
{
	char *image_path = xasprintf("%s/%ju", f->images, (uintmax_t)st->st_ino);
	struct buf image = {0}, now = commits_read_file(from);

	if (access(image_path, F_OK) == 0) /* it was synced once */
		image = commits_read_file(image_path);
	if (f->at_sync && strstr(from, "/MANIFEST-"))
		add_all_but_the_last_page(&image, now);
	else
		add_pages(f, &image, now);
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image.data, image.len), image.len);
	close(fd);
	buf_fini(&image);
	buf_fini(&now);
	free(image_path);
}

static void lose_dir(struct fixture *f, const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *e;

	assert_non_null(d);
	assert_int_equal(mkdir(to, 0755), 0);
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		char *a = xasprintf("%s/%s", from, e->d_name),
		     *b = xasprintf("%s/%s", to, e->d_name);
		struct stat st;
		assert_int_equal(stat(a, &st), 0);
		if (S_ISDIR(st.st_mode))
			lose_dir(f, a, b);
		else
			lose_file(f, a, &st, b);
		free(a);
		free(b);
	}
	closedir(d);
}

static int64_t expect_durable(const struct fixture *f, uint64_t durable)
{
	struct store_options o = {0};
	struct ks_why why = {""};
	struct store *s;

	if (store_open(f->lost, &o, &s, &why))
		fail_msg("with %" PRIu64 " durable commits: %s", durable, why.text);
	int64_t count = commits_count(s, COMMITS_MAX);
	store_close(s);
	if (count < (int64_t)durable)
		fail_msg("%" PRId64 " commits of %" PRIu64 " durable ones", count, durable);
	return count;
}

static void lose_power(struct fixture *f, int rounds, const char *every, const char *how)
{
	const char *longer = getenv("KS_LONG");
	int64_t kept = 0, durable = 0;
	int out;

	if (longer && *longer == '1')
		rounds *= 20;
	for (int i = 0; i < rounds; i++) {
		f->seed = (unsigned)i;
		uint64_t count = 1 + (uint64_t)rand_r(&f->seed) % 400;
		assert_int_equal(mkdir(f->images, 0755), 0);
		pid_t pid = start(f, every, how, &out);
		uint64_t said = wait_for_the_end(f, pid, out, count, (unsigned)rand_r(&f->seed) % 10000);
		lose_dir(f, f->dir, f->lost);
		kept += expect_durable(f, said);
		durable += (int64_t)said;
		scratch_empty(f->dir);
		scratch_empty(f->images);
		scratch_empty(f->lost);
		if (f->at_sync)
			f->at_sync = FIRST_SYNC + (i + 1) % 20;
	}
	print_message("%d times: %" PRId64 " commits were durable, %" PRId64 " were there\n",
		      rounds, durable, kept);
}

static void durable_commits_outlive_the_power(void **state)
{
	lose_power(*state, 10, "1", "no");
}

static void commits_between_durable_ones_are_whole_or_gone(void **state)
{
	lose_power(*state, 10, "7", "no");
}

/* Logs are flushed and used again before anything had to be durable: the story that finds most. */
static void many_flushes_between_durable_ones(void **state)
{
	lose_power(*state, 15, "61", "no");
}

/* Column families are flushed one by one then. */
static void with_jobs(void **state)
{
	lose_power(*state, 10, "61", "jobs");
}

static void blobs_collected_meanwhile(void **state)
{
	lose_power(*state, 10, "23", "reclaim");
}

/* Nothing of a record counts before it is on the disk, so a torn one is passed over. */
static void a_record_of_the_manifest_is_torn(void **state)
{
	struct fixture *f = *state;

	f->at_sync = FIRST_SYNC;
	lose_power(f, 20, "61", "no");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(durable_commits_outlive_the_power, setup, teardown),
		cmocka_unit_test_setup_teardown(commits_between_durable_ones_are_whole_or_gone,
						setup, teardown),
		cmocka_unit_test_setup_teardown(many_flushes_between_durable_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(with_jobs, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_of_the_manifest_is_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(blobs_collected_meanwhile, setup, teardown),
	};

	log_set_level(LOG_OFF);
	if (argc > 4 && strcmp(argv[1], "--child") == 0)
		return child(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

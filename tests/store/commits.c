/* commits.c - see commits.h. */
#include "commits.h"

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
#include <sys/wait.h>
#include <unistd.h>

#define BATCH_BYTES 5000 /* over the limit from which values go to blob files */

static const enum store_cf families[] = {CF_LOG, CF_META, CF_OFFSETS, CF_STATE, CF_TXN};

static void batch_of(uint64_t number, uint8_t out[BATCH_BYTES])
{
	uint64_t x = number * 0x9e3779b97f4a7c15u + 1;

	for (int i = 0; i < BATCH_BYTES; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(x >> 56);
	}
}

static struct slice key_of(uint64_t number, uint8_t out[9])
{
	out[0] = 'c';
	put_u64be(out + 1, number);
	return slice_of(out, 9);
}

enum ks_err commits_write(struct store *s, struct store_write *w, uint64_t number,
			  struct ks_why *why)
{
	return commits_write_sync(s, w, number, true, why);
}

enum ks_err commits_write_sync(struct store *s, struct store_write *w, uint64_t number, bool sync,
			       struct ks_why *why)
{
	uint8_t key[9], before[9], batch[BATCH_BYTES];
	enum ks_err err;

	batch_of(number, batch);
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		store_put(w, families[i], key_of(number, key),
			  families[i] == CF_LOG ? slice_of(batch, sizeof batch)
						: slice_of(batch, 16));
	store_put(w, CF_JOBS, slice_str("newest"), slice_of(key, sizeof key));
	store_put(w, CF_GROUPS, slice_of(key, sizeof key), SLICE_NULL);
	if (number > 0)
		store_delete(w, CF_GROUPS, key_of(number - 1, before));
	err = store_commit(s, w, sync, why);
	return err ? err : store_mark(s, why);
}

/* 1: there and right, 0: not there, -1: cannot be read. */
static int look(struct store *s, enum store_cf cf, uint64_t number)
{
	uint8_t key[9], batch[BATCH_BYTES];
	struct buf b = {0};
	size_t len = cf == CF_GROUPS ? 0 : cf == CF_LOG ? BATCH_BYTES : 16;
	enum ks_err err = store_get(s, cf, key_of(number, key), &b);

	batch_of(number, batch);
	if (!err && (b.len != len || (len && memcmp(b.data, batch, len) != 0)))
		fail_msg("commit %" PRIu64 " has a wrong value in family %d", number, (int)cf);
	buf_fini(&b);
	if (err && err != ERR_NOT_FOUND)
		return -1;
	return err == ERR_NONE;
}

static int look_at_newest(struct store *s, int64_t count)
{
	uint8_t key[9];
	struct buf b = {0};
	enum ks_err err = store_get(s, CF_JOBS, slice_str("newest"), &b);
	bool right = count == 0
			     ? err == ERR_NOT_FOUND
			     : !err && slice_equal(buf_slice(&b), key_of((uint64_t)count - 1, key));

	buf_fini(&b);
	if (err && err != ERR_NOT_FOUND)
		return -1;
	if (!right)
		fail_msg("after %" PRId64 " commits the shared key is not the last one's", count);
	return 1;
}

int64_t commits_count(struct store *s, uint64_t most)
{
	int64_t count = 0;
	bool ended = false;

	for (uint64_t n = 0; n < most; n++) {
		int there = look(s, families[0], n);
		for (size_t i = 1; i < sizeof families / sizeof *families; i++) {
			int also = look(s, families[i], n);
			if (there < 0 || also < 0)
				return -1;
			if (also != there)
				fail_msg("commit %" PRIu64 " is torn", n);
		}
		if (there && ended)
			fail_msg("commit %" PRIu64 " is there behind a gap", n);
		ended = !there;
		count += there;
	}
	for (uint64_t n = 0; n < most; n++) {
		int there = look(s, CF_GROUPS, n);
		if (there < 0)
			return -1;
		if (there != ((int64_t)n == count - 1))
			fail_msg("the deletes of %" PRId64 " commits are torn", count);
	}
	return look_at_newest(s, count) < 0 ? -1 : count;
}

int commits_run_child(const char *const *args, const char *const *environment, struct buf *out)
{
	int pipe_fds[2], status;
	char chunk[4096];
	ssize_t n;

	assert_int_equal(pipe(pipe_fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const char *argv[16] = {"/proc/self/exe", "--child"};
		for (int i = 0; args[i] && i < 12; i++)
			argv[i + 2] = args[i];
		for (int i = 0; environment && environment[i]; i++)
			putenv((char *)(uintptr_t)environment[i]);
		dup2(pipe_fds[1], STDOUT_FILENO);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], chunk, sizeof chunk)) > 0)
		buf_append(out, chunk, (size_t)n);
	close(pipe_fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void copy_file(const char *from, const char *to)
{
	char chunk[65536];
	ssize_t n;
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, chunk, sizeof chunk)) > 0)
		assert_int_equal(write(out, chunk, (size_t)n), n);
	close(in);
	close(out);
}

void commits_copy_dir(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *e;

	assert_non_null(d);
	assert_int_equal(mkdir(to, 0755), 0);
	while ((e = readdir(d))) {
		char a[1024], b[1024];
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(a, sizeof a, "%s/%s", from, e->d_name);
		snprintf(b, sizeof b, "%s/%s", to, e->d_name);
		assert_int_equal(stat(a, &st), 0);
		if (S_ISDIR(st.st_mode))
			commits_copy_dir(a, b);
		else
			copy_file(a, b);
	}
	closedir(d);
}

struct buf commits_read_file(const char *path)
{
	struct buf b = {0};
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	do {
		buf_reserve(&b, 65536);
		n = read(fd, b.data + b.len, 65536);
		b.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	close(fd);
	return b;
}

/* lock.c - see lock.h. */
#include "store/lock.h"

#include "base/mem.h"
#include "store/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reads a small file as text; "" when it cannot be read. */
static void read_text(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

	out[n > 0 ? n : 0] = 0;
	for (ssize_t i = 0; i + 1 < n; i++)
		if (out[i] == 0) /* between the arguments of /proc/PID/cmdline */
			out[i] = ' ';
	if (fd >= 0)
		close(fd);
}

/* " (ksrun broker, running since 2024-05-01 10:00:00)" as far as /proc tells; "" for a process
 * that is not visible from here, as in another container. */
static void describe_process(long pid, char *out, size_t cap)
{
	char path[64], command[160], since[32];
	struct stat st;
	struct tm tm;

	snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
	read_text(path, command, sizeof command);
	snprintf(path, sizeof path, "/proc/%ld", pid);
	out[0] = 0;
	if (!command[0] || stat(path, &st) || !localtime_r(&st.st_ctime, &tm))
		return;
	strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out, cap, " (%s, running since %s)", command, since);
}

static enum ks_err refuse(const char *dir, const char *path, struct ks_why *why)
{
	char text[32], process[256];

	read_text(path, text, sizeof text);
	long pid = strtol(text, NULL, 10);
	if (pid <= 0)
		return ks_fail(
			why, ERR_LOCKED,
			"%s is in use by another process; stop it, or name another directory", dir);
	describe_process(pid, process, sizeof process);
	return ks_fail(why, ERR_LOCKED,
		       "%s is in use by process %ld%s; stop it, or name another directory", dir,
		       pid, process);
}

enum ks_err lock_take(const char *dir, int *out, struct ks_why *why)
{
	char *path = xasprintf("%s/lock", dir);
	enum ks_err err = ERR_NONE;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0) {
		err = path_fail(why, "open", path);
		goto out;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? refuse(dir, path, why) : path_fail(why, "lock", path);
		goto out;
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
		err = path_fail(why, "write", path);
		goto out;
	}
	*out = fd;
	fd = -1;
out:
	lock_release(fd);
	free(path);
	return err;
}

void lock_release(int fd)
{
	/* The file stays: removing it would let two processes lock two different files. */
	if (fd >= 0)
		close(fd);
}

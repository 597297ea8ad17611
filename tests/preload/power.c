/* power.c - for LD_PRELOAD: keeps what a loss of power would leave of the files below one directory.
 *
 * KS_POWER_DIR: the directory, an absolute path without links; without it nothing happens.
 * KS_POWER_IMAGES: a directory on the same file system, for the images.
 * KS_POWER_BOOT_ID: a file that is read instead of the kernel's boot id: whoever looks at the images has booted since.
 * KS_POWER_BEFORE_MANIFEST: N: the process is killed when it asks for the N-th sync of a MANIFEST.
 *
 * At each fsync and fdatasync of a file below the one, its bytes at that moment are kept in the other under the number of
 * its inode, before the call returns. What was written since is what the power may take.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char dir[PATH_MAX], images[PATH_MAX];
static atomic_int manifest_syncs_left; /* 0: as many as are wanted */
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static int (*real_open)(const char *, int, ...);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void find(const char *name, void *out)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(out, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void init(void)
{
	const char *d = getenv("KS_POWER_DIR"), *i = getenv("KS_POWER_IMAGES");

	find("open", &real_open);
	find("fsync", &real_fsync);
	find("fdatasync", &real_fdatasync);
	if (!d || !i)
		return;
	snprintf(dir, sizeof dir, "%s/", d);
	snprintf(images, sizeof images, "%s", i);
	if (getenv("KS_POWER_BEFORE_MANIFEST"))
		manifest_syncs_left = atoi(getenv("KS_POWER_BEFORE_MANIFEST"));
}

/* A descriptor of the file that may be read: fd itself may be for writing alone. */
static int open_below(int fd, struct stat *st)
{
	char link[64], path[PATH_MAX];

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n <= 0 || !*dir || strncmp(path, dir, strlen(dir)) != 0 || fstat(fd, st) ||
	    !S_ISREG(st->st_mode))
		return -1;
	if (manifest_syncs_left > 0 && strstr(path, "/MANIFEST-") &&
	    atomic_fetch_sub(&manifest_syncs_left, 1) == 1)
		kill(getpid(), SIGKILL);
	return open(link, O_RDONLY | O_CLOEXEC);
}

static bool copy(int from, int to)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(from, chunk, sizeof chunk)) > 0)
		if (write(to, chunk, (size_t)n) != n)
			return false;
	return n == 0;
}

/* Under mtx: images of one file follow each other. The older one becomes the file that the next is written to: making and
 * removing files all the time takes longer than all else. */
static bool keep_image(int from, const struct stat *st)
{
	char path[PATH_MAX + 32], next[PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/%" PRIuMAX, images, (uintmax_t)st->st_ino);
	snprintf(next, sizeof next, "%s/next", images);
	int to = open(next, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	bool is_kept = to >= 0 && copy(from, to) && ftruncate(to, lseek(to, 0, SEEK_CUR)) == 0;
	if (to >= 0)
		close(to);
	return is_kept && (renameat2(AT_FDCWD, next, AT_FDCWD, path, RENAME_EXCHANGE) == 0 ||
			   rename(next, path) == 0);
}

static void keep(int fd)
{
	struct stat st;
	int saved = errno, from = open_below(fd, &st);

	if (from >= 0) {
		pthread_mutex_lock(&mtx);
		if (!keep_image(from, &st))
			abort(); /* the test would judge by an older image */
		pthread_mutex_unlock(&mtx);
		close(from);
	}
	errno = saved;
}

EXPORT int open(const char *path, int flags, ...)
{
	const char *other = getenv("KS_POWER_BOOT_ID");
	va_list more;

	va_start(more, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	if (other && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = other;
	return real_open(path, flags, mode);
}
__attribute__((visibility("default"), alias("open"))) int open64(const char *path, int flags, ...);

EXPORT int fsync(int fd)
{
	keep(fd);
	return real_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
	keep(fd);
	return real_fdatasync(fd);
}

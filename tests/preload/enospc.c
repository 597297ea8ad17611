/* enospc.c - for LD_PRELOAD: a disk that is full, or whose syncs fail, below one directory.
 *
 * KS_ENOSPC_DIR: the directory, an absolute path without links; without it nothing happens.
 *
 * KS_ENOSPC_AFTER_BYTES: so many bytes can still be written below it in all, then ENOSPC. As on a real disk, the write
 * that crosses the limit is cut short first.
 *
 * KS_EIO_SYNC_AT: the k-th fsync or fdatasync of a file below it fails with EIO, and so do all later ones; with
 * KS_EIO_ONCE only that one.
 *
 * Space that is freed does not count again. Reads, and files elsewhere, are not touched.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char dir[PATH_MAX];
static size_t dir_len;
static _Atomic(long long) bytes_left = LLONG_MAX;
static _Atomic(long long) syncs_left = LLONG_MAX;
static bool once;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void find(const char *name, void *out)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(out, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void init(void)
{
	const char *d = getenv("KS_ENOSPC_DIR");
	const char *bytes = getenv("KS_ENOSPC_AFTER_BYTES");
	const char *sync = getenv("KS_EIO_SYNC_AT");

	find("write", &real_write);
	find("pwrite", &real_pwrite);
	find("writev", &real_writev);
	find("ftruncate", &real_ftruncate);
	find("fallocate", &real_fallocate);
	find("fsync", &real_fsync);
	find("fdatasync", &real_fdatasync);
	if (!d)
		return;
	snprintf(dir, sizeof dir, "%s", d);
	dir_len = strlen(dir);
	once = getenv("KS_EIO_ONCE") != NULL;
	if (bytes)
		atomic_store(&bytes_left, atoll(bytes));
	if (sync)
		atomic_store(&syncs_left, atoll(sync));
}

/* Asks the kernel at every call: descriptors are reused, and a test need not be fast. */
static bool is_below(int fd)
{
	char link[64], path[PATH_MAX];

	if (dir_len == 0)
		return false;
	int saved = errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	errno = saved;
	return n > (ssize_t)dir_len && memcmp(path, dir, dir_len) == 0 && path[dir_len] == '/';
}

/* How much of len may be written; 0 with errno set when nothing. */
static size_t take(int fd, size_t len)
{
	if (len == 0 || !is_below(fd))
		return len;
	long long left = atomic_fetch_sub(&bytes_left, (long long)len);
	if (left >= (long long)len)
		return len;
	atomic_fetch_add(&bytes_left, left > 0 ? (long long)len - left : (long long)len);
	if (left > 0)
		return (size_t)left;
	errno = ENOSPC;
	return 0;
}

/* Also the names that programs with 64-bit file offsets use. */
#define ALIAS(name) __attribute__((visibility("default"), alias(#name)))

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	size_t n = take(fd, len);
	return n || !len ? real_write(fd, data, n) : -1;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	size_t n = take(fd, len);

	/* Direct output takes whole blocks only; a cut one would be refused as invalid. */
	if (n < len)
		n -= n % 4096;
	if (!n && len) {
		errno = ENOSPC;
		return -1;
	}
	return real_pwrite(fd, data, n, at);
}
ALIAS(pwrite) ssize_t pwrite64(int fd, const void *data, size_t len, off_t at);

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	size_t n = take(fd, len);
	if (n < len) {
		errno = ENOSPC;
		return -1;
	}
	return real_writev(fd, parts, count);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	size_t len = 0, written = 0;

	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	size_t n = take(fd, len);
	if (!n && len)
		return -1;
	for (int i = 0; i < count && written < n; i++) {
		size_t more = parts[i].iov_len < n - written ? parts[i].iov_len : n - written;
		ssize_t done = real_pwrite(fd, parts[i].iov_base, more, at + (off_t)written);
		if (done < 0)
			return written ? (ssize_t)written : -1;
		written += (size_t)done;
		if ((size_t)done < more)
			break;
	}
	return (ssize_t)written;
}
ALIAS(pwritev) ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at);

static bool is_full(int fd)
{
	if (atomic_load(&bytes_left) > 0 || !is_below(fd))
		return false;
	errno = ENOSPC;
	return true;
}

EXPORT int ftruncate(int fd, off_t len)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && len > st.st_size && is_full(fd))
		return -1;
	return real_ftruncate(fd, len);
}
ALIAS(ftruncate) int ftruncate64(int fd, off_t len);

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
	return is_full(fd) ? -1 : real_fallocate(fd, mode, at, len);
}
ALIAS(fallocate) int fallocate64(int fd, int mode, off_t at, off_t len);

static bool sync_fails(int fd)
{
	if (!is_below(fd))
		return false;
	long long left = atomic_fetch_sub(&syncs_left, 1);
	if (left > 1 || (left < 1 && once))
		return false;
	errno = EIO;
	return true;
}

EXPORT int fsync(int fd)
{
	return sync_fails(fd) ? -1 : real_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : real_fdatasync(fd);
}

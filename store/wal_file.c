/* wal_file.c - see wal_file.h. */
#include "store/wal_file.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/wal_block.h"
#include "store/wal_spares.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX        96 /* of one pwritev */
/* A new file grows by zeros ahead of small appends: most of them then find their place made. */
#define AHEAD_BYTES       131072
#define AHEAD_BELOW       16384
#define TERMINATOR_BYTES  16 /* a header, wherever in a block it would begin */
/* A log that has become so long will be followed by another: there should be a file for it. Those of the store end
 * with a memtable of 16 MiB; how long one became is what the next is expected to need, within reason. */
#define NEXT_FROM         (4u << 20)
/* 150 MB a second: then its place would be made too late, and at its cost. */
#define FAST_BYTES_PER_US 150
#define EXPECTED_BYTES    (16u << 20)
#define EXPECTED_MARGIN   (256u << 10)
#define EXPECTED_MAX      (64u << 20)

struct wal_dir {
	struct wal_spares *spares;
	pthread_mutex_t mtx;
	/* under mtx */
	struct wal_file *newest; /* that is open, or NULL */
	uint64_t first;          /* number that was begun here; 0: none was */
	uint64_t longest;        /* what a log is expected to need */
};

struct wal_file {
	struct wal_dir *dir;
	int fd;
	uint32_t salt;
	/* owner: the appending thread */
	uint64_t length;
	int64_t begin_ns;  /* monotonic */
	uint64_t size;     /* of the file: up to here it may be written without growing */
	uint64_t expected; /* bytes the next one may need; 0: it was asked for */
	struct wal_stream stream;
};

static const uint8_t zeros[AHEAD_BYTES];

struct wal_dir *wal_dir_new(const char *dir)
{
	struct wal_dir *d = xcalloc(1, sizeof *d);

	d->spares = wal_spares_new(dir);
	d->longest = EXPECTED_BYTES;
	pthread_mutex_init(&d->mtx, NULL);
	return d;
}

void wal_dir_free(struct wal_dir *d)
{
	if (!d)
		return;
	wal_spares_free(d->spares);
	pthread_mutex_destroy(&d->mtx);
	free(d);
}

bool wal_number(const char *path, uint64_t *number)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || strcmp(name + digits, ".log") != 0)
		return false;
	*number = strtoull(name, NULL, 10);
	return true;
}

int wal_delete(struct wal_dir *d, const char *path, uint64_t number)
{
	pthread_mutex_lock(&d->mtx);
	bool is_ours = d->first && number >= d->first;
	pthread_mutex_unlock(&d->mtx);
	if (is_ours && wal_spares_add(d->spares, path, number))
		return 0;
	return unlink(path) ? errno : 0;
}

/* --- writing --- */

static int write_all(int fd, struct iovec *pieces, int count, uint64_t at)
{
	while (count > 0) {
		errno = ENOSPC; /* what writing nothing means */
		ssize_t n = pwritev(fd, pieces, count, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return errno;
		at += (uint64_t)n;
		for (; count > 0 && (size_t)n >= pieces->iov_len; pieces++, count--)
			n -= (ssize_t)pieces->iov_len;
		if (n > 0) {
			pieces->iov_base = (uint8_t *)pieces->iov_base + n;
			pieces->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static struct iovec piece_of(const void *data, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)data, len}; /* pwritev does not write to it */
}

/* Cuts the file to its length: from here on a record that is not right is damage. Under mtx. */
static int seal(struct wal_file *f)
{
	if (f->dir->longest < f->length && f->length <= EXPECTED_MAX)
		f->dir->longest = f->length;
	if (f->size == f->length)
		return 0;
	if (ftruncate(f->fd, (off_t)f->length))
		return errno;
	f->size = f->length;
	return 0;
}

static int seal_newest(struct wal_dir *d)
{
	pthread_mutex_lock(&d->mtx);
	int err = d->newest ? seal(d->newest) : 0;
	pthread_mutex_unlock(&d->mtx);
	return err;
}

static int begin(struct wal_dir *d, const char *path, int *fd, uint64_t *size)
{
	struct iovec zero = piece_of(zeros, TERMINATOR_BYTES);
	struct stat st;

	int err = seal_newest(d);
	if (err)
		return err;
	*fd = wal_spares_use(d->spares, path);
	if (*fd < 0)
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0 || fstat(*fd, &st))
		return errno;
	*size = (uint64_t)st.st_size;
	return *size ? write_all(*fd, &zero, 1, 0) : 0;
}

int wal_create(struct wal_dir *d, const char *path, uint64_t number, struct wal_file **out)
{
	struct wal_file *f = xcalloc(1, sizeof *f);

	f->dir = d;
	f->fd = -1;
	f->begin_ns = clock_monotonic_ns(&clock_real);
	f->salt = wal_salt(number);
	int err = begin(d, path, &f->fd, &f->size);
	if (err) {
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return err;
	}
	pthread_mutex_lock(&d->mtx);
	d->newest = f;
	d->first = d->first ? d->first : number;
	f->expected = d->longest + EXPECTED_MARGIN;
	pthread_mutex_unlock(&d->mtx);
	*out = f;
	return 0;
}

/* Fills pieces with data, up to their number, headers salted. Returns the bytes taken. */
static size_t cut(struct wal_file *f, struct slice data, struct iovec *pieces, int *count,
		  uint8_t (*headers)[WAL_HEADER_BYTES])
{
	size_t taken = 0;

	for (*count = 0; taken < data.len && *count < PIECES_MAX; (*count)++) {
		struct slice rest = slice_of(data.data + taken, data.len - taken);
		size_t len;
		bool is_header = wal_stream_next(&f->stream, f->salt, rest, headers[*count], &len);
		pieces[*count] = piece_of(is_header ? headers[*count] : rest.data, len);
		taken += len;
	}
	return taken;
}

/* How many zeros go behind an append of len bytes that ends at end. */
static size_t zeros_behind(const struct wal_file *f, size_t len, uint64_t end)
{
	if (end > f->size)
		return len < AHEAD_BELOW ? AHEAD_BYTES : 0;
	return f->size - end < TERMINATOR_BYTES ? (size_t)(f->size - end) : TERMINATOR_BYTES;
}

/* Once per file. */
static void want_next(struct wal_file *f)
{
	int64_t us = (clock_monotonic_ns(&clock_real) - f->begin_ns) / 1000;

	if (f->length < (uint64_t)us * FAST_BYTES_PER_US)
		wal_spares_want(f->dir->spares, f->expected);
	f->expected = 0;
}

int wal_append(struct wal_file *f, const void *data, size_t len)
{
	uint8_t headers[PIECES_MAX][WAL_HEADER_BYTES];
	struct iovec pieces[PIECES_MAX + 1];
	struct slice rest = slice_of(data, len);
	uint64_t end = f->length + len;

	while (rest.len) {
		int count;
		size_t taken = cut(f, rest, pieces, &count, headers);
		rest = slice_of(rest.data + taken, rest.len - taken);
		size_t behind = rest.len ? 0 : zeros_behind(f, len, end);
		if (behind)
			pieces[count++] = piece_of(zeros, behind);
		int err = write_all(f->fd, pieces, count, f->length);
		if (err)
			return err;
		f->length += taken;
		if (f->length + behind > f->size)
			f->size = f->length + behind;
	}
	if (f->expected && f->length > NEXT_FROM)
		want_next(f);
	return 0;
}

int wal_sync(struct wal_file *f)
{
	return fdatasync(f->fd) ? errno : 0;
}

uint64_t wal_length(const struct wal_file *f)
{
	return f->length;
}

int wal_close(struct wal_file *f)
{
	pthread_mutex_lock(&f->dir->mtx);
	if (f->dir->newest == f)
		f->dir->newest = NULL;
	int err = seal(f);
	pthread_mutex_unlock(&f->dir->mtx);
	if (close(f->fd) && !err)
		err = errno;
	free(f);
	return err;
}

/* --- reading --- */

struct wal_reader {
	int fd;
	uint32_t salt;
	bool is_plain;   /* without a salt */
	bool is_newest;  /* what follows its records is the rest of another log */
	bool is_damaged; /* and is not the newest: what follows is not made readable */
	bool is_over;
	size_t blocks;  /* that were read */
	size_t at, len; /* in block */
	uint8_t block[WAL_BLOCK_BYTES];
};

/* Whether no log in its directory has a larger number. */
static bool is_newest(const char *path, uint64_t number)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/');
	struct dirent *e;
	bool yes = true;

	if (slash)
		*slash = 0;
	DIR *d = opendir(slash ? dir : ".");
	while (d && yes && (e = readdir(d))) {
		uint64_t other;
		yes = !wal_number(e->d_name, &other) || other <= number;
	}
	if (d)
		closedir(d);
	free(dir);
	return yes;
}

/* Whether the file begins with a record that has no salt. */
static bool is_plain(int fd)
{
	uint8_t block[WAL_BLOCK_BYTES];
	ssize_t n = pread(fd, block, sizeof block, 0);

	if (n < WAL_HEADER_BYTES)
		return false;
	size_t first = WAL_HEADER_BYTES + ((size_t)block[4] | (size_t)block[5] << 8);
	return first <= (size_t)n && wal_block_unsalt(block, first, 0) == first;
}

/* Keeps the file from being used again while it is read. false: it is path's no more. */
static bool hold(int fd, const char *path)
{
	struct stat opened, named;

	flock(fd, LOCK_SH | LOCK_NB); /* where there are no locks, others do without as well */
	return fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int wal_reader_open(const char *path, uint64_t number, struct wal_reader **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (!hold(fd, path)) {
		close(fd);
		return ENOENT;
	}
	struct wal_reader *r = xcalloc(1, sizeof *r);
	r->fd = fd;
	r->salt = wal_salt(number);
	r->is_newest = is_newest(path, number);
	r->is_plain = is_plain(fd);
	*out = r;
	return 0;
}

void wal_reader_close(struct wal_reader *r)
{
	close(r->fd);
	free(r);
}

static int read_block(struct wal_reader *r)
{
	ssize_t n;

	do
		n = pread(r->fd, r->block, sizeof r->block, (off_t)(r->blocks * sizeof r->block));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	r->blocks++;
	r->at = 0;
	r->len = (size_t)n;
	r->is_over = r->len < sizeof r->block;
	if (r->is_plain || r->is_damaged)
		return 0;
	size_t own = wal_block_unsalt(r->block, r->len, r->salt);
	if (own == r->len)
		return 0;
	if (r->is_newest) {
		r->len = own;
		r->is_over = true;
	} else {
		/* RocksDB passes over zeros in silence; with their salt it cannot take up the records behind them. */
		r->is_damaged = true;
	}
	return 0;
}

int wal_reader_read(struct wal_reader *r, void *data, size_t len, size_t *got)
{
	for (*got = 0; *got < len;) {
		if (r->at == r->len) {
			int err = r->is_over ? 0 : read_block(r);
			if (err)
				return err;
			if (r->at == r->len)
				return 0;
		}
		size_t n = r->len - r->at < len - *got ? r->len - r->at : len - *got;
		memcpy((uint8_t *)data + *got, r->block + r->at, n);
		r->at += n;
		*got += n;
	}
	return 0;
}

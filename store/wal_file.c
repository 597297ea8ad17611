/* wal_file.c - see wal_file.h. */
#include "store/wal_file.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "store/wal_block.h"
#include "store/wal_sequence.h"
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
 * with a memtable of 32 MiB; how long one became is what the next is expected to need, within reason. */
#define NEXT_FROM         (4u << 20)
/* 150 MB a second: then its place would be made too late, and at its cost. */
#define FAST_BYTES_PER_US 150
#define EXPECTED_BYTES    (32u << 20)
#define EXPECTED_MARGIN   (256u << 10)
#define EXPECTED_MAX      (64u << 20)

struct wal_dir {
	struct wal_spares *spares;
	pthread_mutex_t mtx;
	/* under mtx */
	struct wal_file *newest; /* that is open, or NULL */
	uint64_t first;          /* number that was begun here; 0: none was */
	uint64_t longest;        /* what a log is expected to need */
	int strict;              /* how many want no sync put off */
	/* Held while files are synced: who closes or deletes one waits for that. */
	pthread_mutex_t sync_mtx;
	/* under sync_mtx */
	struct wal_file *files; /* that are open or owe a sync, the oldest first */
};

struct wal_file {
	struct wal_dir *dir;
	uint64_t number;
	int fd;
	uint32_t salt;
	/* under the directory's sync_mtx */
	struct wal_file *next;
	bool owes_sync;
	bool is_closed; /* and here only because it owes */
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
	pthread_mutex_init(&d->sync_mtx, NULL);
	return d;
}

static int file_free(struct wal_file *f)
{
	int err = close(f->fd) ? errno : 0;

	free(f);
	return err;
}

void wal_dir_free(struct wal_dir *d)
{
	if (!d)
		return;
	for (struct wal_file *f = d->files, *next; f; f = next) {
		next = f->next;
		file_free(f);
	}
	wal_spares_free(d->spares);
	pthread_mutex_destroy(&d->sync_mtx);
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

/* Under sync_mtx: f leaves the list. */
static void forget(struct wal_dir *d, const struct wal_file *f)
{
	struct wal_file **at = &d->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

/* Under sync_mtx: it owes nothing any more. */
static void settle(struct wal_file *f)
{
	f->owes_sync = false;
	if (!f->is_closed)
		return;
	forget(f->dir, f);
	file_free(f);
}

/* Nobody will read it: what it owes is not wanted any more. */
static void excuse(struct wal_dir *d, uint64_t number)
{
	pthread_mutex_lock(&d->sync_mtx);
	for (struct wal_file *f = d->files, *next; f; f = next) {
		next = f->next;
		if (f->number == number)
			settle(f);
	}
	pthread_mutex_unlock(&d->sync_mtx);
}

int wal_delete(struct wal_dir *d, const char *path, uint64_t number)
{
	excuse(d, number);
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

/* The newest is the last of the list. */
static void remember(struct wal_dir *d, struct wal_file *f)
{
	pthread_mutex_lock(&d->sync_mtx);
	struct wal_file **end = &d->files;
	while (*end)
		end = &(*end)->next;
	*end = f;
	pthread_mutex_unlock(&d->sync_mtx);
}

int wal_create(struct wal_dir *d, const char *path, uint64_t number, struct wal_file **out)
{
	struct wal_file *f = xcalloc(1, sizeof *f);

	f->dir = d;
	f->number = number;
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
	remember(d, f);
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

/* --- syncing --- */

static int sync_file(const struct wal_file *f)
{
	return fdatasync(f->fd) ? errno : 0;
}

/* Those begun before end (NULL: all), of the oldest first, for a log is read as far as there is no gap. */
static int sync_logs(struct wal_dir *d, const struct wal_file *end, bool only_owed)
{
	int err = 0;

	pthread_mutex_lock(&d->sync_mtx);
	for (struct wal_file *f = d->files, *next; f && f != end && !err; f = next) {
		next = f->next;
		if (only_owed && (!f->owes_sync || KS_SEEDED_BUG(155)))
			continue;
		err = sync_file(f);
		if (!err)
			settle(f);
	}
	pthread_mutex_unlock(&d->sync_mtx);
	return err;
}

int wal_sync(struct wal_file *f)
{
	int err = sync_logs(f->dir, NULL, true);

	return err ? err : sync_file(f);
}

int wal_sync_later(struct wal_file *f)
{
	struct wal_dir *d = f->dir;

	pthread_mutex_lock(&d->mtx);
	bool is_wanted_now = d->newest == f || d->strict > 0;
	pthread_mutex_unlock(&d->mtx);
	if (is_wanted_now)
		return wal_sync(f);
	pthread_mutex_lock(&d->sync_mtx);
	f->owes_sync = true;
	pthread_mutex_unlock(&d->sync_mtx);
	return 0;
}

int wal_sync_followed(struct wal_dir *d)
{
	pthread_mutex_lock(&d->mtx);
	const struct wal_file *newest = d->newest;
	pthread_mutex_unlock(&d->mtx);
	return sync_logs(d, newest, false);
}

int wal_sync_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int err = d || errno == ENOENT ? 0 : errno;

	while (d && !err && (e = readdir(d))) {
		uint64_t number;
		if (!wal_number(e->d_name, &number))
			continue;
		int fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);
		if (fd < 0 || fdatasync(fd))
			err = errno;
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return err;
}

void wal_strict_begin(struct wal_dir *d)
{
	pthread_mutex_lock(&d->mtx);
	d->strict++;
	pthread_mutex_unlock(&d->mtx);
}

void wal_strict_end(struct wal_dir *d)
{
	pthread_mutex_lock(&d->mtx);
	d->strict--;
	pthread_mutex_unlock(&d->mtx);
}

uint64_t wal_length(const struct wal_file *f)
{
	return f->length;
}

int wal_close(struct wal_file *f)
{
	struct wal_dir *d = f->dir;

	pthread_mutex_lock(&d->mtx);
	if (d->newest == f)
		d->newest = NULL;
	int err = seal(f);
	pthread_mutex_unlock(&d->mtx);
	pthread_mutex_lock(&d->sync_mtx);
	f->is_closed = f->owes_sync;
	if (!f->owes_sync) {
		forget(d, f);
		int closed = file_free(f);
		err = err ? err : closed;
	}
	pthread_mutex_unlock(&d->sync_mtx);
	return err;
}

/* --- reading --- */

struct wal_reader {
	int fd;
	uint32_t salt;
	bool is_plain;      /* without a salt */
	char *followed_by;  /* path of the next log; NULL: what follows its records is the rest of another log */
	bool is_over;
	bool is_damaged; /* and followed */
	bool is_shown;   /* to RocksDB */
	struct wal_sequence sequence;
	size_t blocks;  /* that were read */
	size_t at, len; /* in block */
	uint8_t block[WAL_BLOCK_BYTES];
};

/* The log of the next larger number in its directory, or NULL. */
static char *find_next(const char *path, uint64_t number)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/'), *found = NULL;
	uint64_t next = UINT64_MAX, other;
	struct dirent *e;

	if (slash)
		*slash = 0;
	DIR *d = opendir(slash ? dir : ".");
	while (d && (e = readdir(d))) {
		if (!wal_number(e->d_name, &other) || other <= number || other >= next)
			continue;
		next = other;
		free(found);
		found = xasprintf("%s/%s", slash ? dir : ".", e->d_name);
	}
	if (d)
		closedir(d);
	free(dir);
	return found;
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
	r->followed_by = find_next(path, number);
	r->is_plain = is_plain(fd);
	*out = r;
	return 0;
}

void wal_reader_close(struct wal_reader *r)
{
	close(r->fd);
	free(r->followed_by);
	free(r);
}

static int read_at(int fd, size_t block, uint8_t *out, size_t *len)
{
	ssize_t n;

	do
		n = pread(fd, out, WAL_BLOCK_BYTES, (off_t)(block * WAL_BLOCK_BYTES));
	while (n < 0 && errno == EINTR);
	*len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? errno : 0;
}

/* Where the log that follows begins; false: it has no commit, or cannot be read, which RocksDB will see. */
static bool next_begins_at(const struct wal_reader *r, uint64_t *first)
{
	uint8_t *block = xmalloc(WAL_BLOCK_BYTES);
	const char *name = strrchr(r->followed_by, '/') + 1;
	struct wal_sequence s = {0};
	size_t len = 0;
	int fd = open(r->followed_by, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read_at(fd, 0, block, &len) == 0) {
		if (!is_plain(fd))
			len = wal_block_unsalt(block, len, wal_salt(strtoull(name, NULL, 10)));
		wal_sequence_read(&s, block, len);
	}
	if (fd >= 0)
		close(fd);
	free(block);
	*first = s.first;
	return s.has_first;
}

/* At the end of a log: whether commits are missing between it and the next. */
static bool has_gap(const struct wal_reader *r)
{
	uint64_t first;

	return !KS_SEEDED_BUG(157) && r->followed_by && next_begins_at(r, &first) &&
	       (!r->sequence.has_commit || r->sequence.next < first);
}

/* A record that is wrong, at the next place for one: RocksDB goes on after it only with a log that begins where this one
 * ended. */
static void show_gap(struct wal_reader *r)
{
	static const uint8_t wrong[WAL_HEADER_BYTES] = {0xff, 0xff, 0xff, 0xff, 0, 0, 1};
	size_t left = sizeof r->block - r->len, pad = left < WAL_HEADER_BYTES ? left : 0;

	memset(r->block, 0, pad);
	memcpy(r->block + pad, wrong, sizeof wrong);
	r->at = 0;
	r->len = pad + sizeof wrong;
	r->is_shown = true;
}

static int read_block(struct wal_reader *r)
{
	int err = read_at(r->fd, r->blocks, r->block, &r->len);

	if (err)
		return err;
	r->blocks++;
	r->at = 0;
	r->is_over = r->len < sizeof r->block;
	size_t own = r->is_plain ? r->len : wal_block_unsalt(r->block, r->len, r->salt);
	wal_sequence_read(&r->sequence, r->block, own);
	if (own < r->len) {
		/* Not for RocksDB to judge: it passes over zeros and over half a record at the end in silence. */
		r->is_damaged = r->followed_by != NULL;
		r->is_over = true;
		r->len = own;
	}
	return 0;
}

/* The next stretch of the log into block; none: its end. */
static int read_more(struct wal_reader *r)
{
	int err = r->is_over ? 0 : read_block(r);

	if (!err && r->at == r->len && r->is_over && !r->is_shown && (r->is_damaged || has_gap(r)))
		show_gap(r);
	return err;
}

int wal_reader_read(struct wal_reader *r, void *data, size_t len, size_t *got)
{
	for (*got = 0; *got < len;) {
		if (r->at == r->len) {
			int err = read_more(r);
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

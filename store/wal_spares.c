/* wal_spares.c - see wal_spares.h. */
#include "store/wal_spares.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SPARE_MAX    8 /* files set aside; as many as are in use under full load */
#define SPARE_PREFIX "spare-"
/* Of zeros, then a pause: 100 to 200 MB a second. */
#define PIECE_BYTES  131072
#define PAUSE_NS     500000

struct spare {
	char *path;
	uint64_t bytes;
};

struct wal_spares {
	char *dir;
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	/* under mtx */
	struct spare spares[SPARE_MAX];
	size_t count;
	uint64_t wanted;   /* bytes of one that is to be made; 0: none is */
	bool was_searched; /* for spare files */
	bool has_maker;
	bool is_making;
	bool is_over;
	/* owner: the maker */
	unsigned made;
	/* owner: who frees it */
	pthread_t maker;
};

static const uint8_t zeros[PIECE_BYTES];

struct wal_spares *wal_spares_new(const char *dir)
{
	struct wal_spares *s = xcalloc(1, sizeof *s);

	s->dir = xstrdup(dir);
	pthread_mutex_init(&s->mtx, NULL);
	pthread_cond_init(&s->cond, NULL);
	return s;
}

void wal_spares_free(struct wal_spares *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mtx);
	s->is_over = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->mtx);
	if (s->has_maker)
		pthread_join(s->maker, NULL);
	for (size_t i = 0; i < s->count; i++)
		free(s->spares[i].path);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->mtx);
	free(s->dir);
	free(s);
}

/* Takes path among the spare ones when there is room; false: there is none. Under mtx. */
static bool keep(struct wal_spares *s, char *path)
{
	struct stat st;

	if (s->count == SPARE_MAX || stat(path, &st))
		return false;
	s->spares[s->count++] = (struct spare){path, (uint64_t)st.st_size};
	return true;
}

/* What an earlier process left. Under mtx. */
static void search(struct wal_spares *s)
{
	DIR *dir = s->was_searched ? NULL : opendir(s->dir);
	struct dirent *e;

	s->was_searched = true;
	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, SPARE_PREFIX, strlen(SPARE_PREFIX)) != 0)
			continue;
		char *path = xasprintf("%s/%s", s->dir, e->d_name);
		if (keep(s, path))
			continue;
		unlink(path);
		free(path);
	}
	if (dir)
		closedir(dir);
}

static struct spare *largest(struct wal_spares *s)
{
	struct spare *found = s->spares;

	for (size_t i = 1; i < s->count; i++)
		if (s->spares[i].bytes > found->bytes)
			found = &s->spares[i];
	return s->count ? found : NULL;
}

/* Takes it out of the list; its path is the caller's. Under mtx. */
static char *take_out(struct wal_spares *s, struct spare *spare)
{
	char *path = spare->path;

	*spare = s->spares[--s->count];
	return path;
}

bool wal_spares_add(struct wal_spares *s, const char *path, uint64_t number)
{
	char *spare = xasprintf("%s/" SPARE_PREFIX "%06" PRIu64, s->dir, number);

	pthread_mutex_lock(&s->mtx);
	bool is_kept = s->count < SPARE_MAX && rename(path, spare) == 0;
	if (is_kept && !keep(s, spare)) {
		unlink(spare);
		free(spare);
	}
	pthread_mutex_unlock(&s->mtx);
	if (!is_kept)
		free(spare);
	return is_kept;
}

/* Opens what nobody reads; another process that opened it while it was a log may still do so. */
static int open_unread(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd;
}

int wal_spares_use(struct wal_spares *s, const char *path)
{
	int fd = -1;

	pthread_mutex_lock(&s->mtx);
	search(s);
	char *spare = s->count ? take_out(s, largest(s)) : NULL;
	pthread_mutex_unlock(&s->mtx);
	if (!spare)
		return -1;
	fd = open_unread(spare);
	if (fd >= 0 && rename(spare, path)) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		flock(fd, LOCK_UN);
	else
		unlink(spare);
	free(spare);
	return fd;
}

/* --- making them --- */

static bool is_over(struct wal_spares *s)
{
	pthread_mutex_lock(&s->mtx);
	bool yes = s->is_over;
	pthread_mutex_unlock(&s->mtx);
	return yes;
}

/* Appends zeros up to so many bytes. false: it failed, or the store is closed. */
static bool lengthen(struct wal_spares *s, int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	for (uint64_t at = (uint64_t)st.st_size; at < bytes;) {
		size_t len = bytes - at < sizeof zeros ? (size_t)(bytes - at) : sizeof zeros;
		ssize_t n = pwrite(fd, zeros, len, (off_t)at);
		if (n <= 0 || is_over(s))
			return false;
		sync_file_range(fd, (off_t)at, n, SYNC_FILE_RANGE_WRITE);
		at += (uint64_t)n;
		nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
	}
	return fdatasync(fd) == 0;
}

/* A file that was not there before; its name goes to *path, the caller's. */
static int create(struct wal_spares *s, char **path)
{
	int fd;

	do {
		*path = xasprintf("%s/" SPARE_PREFIX "new-%u", s->dir, s->made++);
		fd = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0) {
			free(*path);
			*path = NULL;
		}
	} while (fd < 0 && errno == EEXIST);
	return fd;
}

/* Under mtx, but not while it writes. */
static void make(struct wal_spares *s, uint64_t bytes)
{
	char *path = s->count ? take_out(s, largest(s)) : NULL;

	pthread_mutex_unlock(&s->mtx);
	int fd = path ? open_unread(path) : create(s, &path);
	bool is_fine = fd >= 0 && lengthen(s, fd, bytes);
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&s->mtx);
	if (path && is_fine && keep(s, path))
		return;
	if (path)
		unlink(path);
	free(path);
}

static void *maker(void *arg)
{
	struct wal_spares *s = arg;

	pthread_mutex_lock(&s->mtx);
	while (!s->is_over) {
		uint64_t bytes = s->wanted;
		s->wanted = 0;
		s->is_making = bytes > 0;
		if (bytes) {
			make(s, bytes);
			continue;
		}
		pthread_cond_broadcast(&s->cond);
		pthread_cond_wait(&s->cond, &s->mtx);
	}
	pthread_mutex_unlock(&s->mtx);
	return NULL;
}

void wal_spares_want(struct wal_spares *s, uint64_t bytes)
{
	pthread_mutex_lock(&s->mtx);
	search(s);
	struct spare *best = largest(s);
	if ((!best || best->bytes < bytes) && !s->is_over) {
		s->wanted = bytes;
		if (!s->has_maker)
			s->has_maker = pthread_create(&s->maker, NULL, maker, s) == 0;
		pthread_cond_broadcast(&s->cond);
	}
	pthread_mutex_unlock(&s->mtx);
}

void wal_spares_wait(struct wal_spares *s)
{
	pthread_mutex_lock(&s->mtx);
	while (s->has_maker && (s->wanted || s->is_making))
		pthread_cond_wait(&s->cond, &s->mtx);
	pthread_mutex_unlock(&s->mtx);
}

/* readers.c - see readers.h. */
#include "server/readers.h"

#include <pthread.h>
#include <stdlib.h>

struct kept {
	struct reader *reader;
	struct partition *partition;
	int64_t offset, put_ms;
};

struct readers {
	size_t max;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	struct kept *kept; /* in the order in which they were put back */
	size_t count;
};

struct readers *readers_new(size_t readers_max)
{
	struct readers *rs = xcalloc(1, sizeof *rs);

	rs->max = readers_max;
	rs->kept = xcalloc(readers_max, sizeof *rs->kept);
	pthread_mutex_init(&rs->mtx, NULL);
	return rs;
}

void readers_free(struct readers *rs)
{
	if (!rs)
		return;
	readers_expire(rs, INT64_MAX);
	pthread_mutex_destroy(&rs->mtx);
	free(rs->kept);
	free(rs);
}

/* Under mtx. */
static struct reader *remove_at(struct readers *rs, size_t i)
{
	struct reader *r = rs->kept[i].reader;

	rs->count--;
	memmove(&rs->kept[i], &rs->kept[i + 1], (rs->count - i) * sizeof *rs->kept);
	return r;
}

struct reader *readers_take(struct readers *rs, struct partition *p, int64_t offset)
{
	struct reader *r = NULL;

	pthread_mutex_lock(&rs->mtx);
	for (size_t i = 0; i < rs->count && !r; i++)
		if (rs->kept[i].partition == p && rs->kept[i].offset == offset)
			r = remove_at(rs, i);
	pthread_mutex_unlock(&rs->mtx);
	return r ? r : reader_new(p);
}

void readers_put(struct readers *rs, struct reader *r, struct partition *p, int64_t offset,
		 int64_t now_ms)
{
	struct reader *oldest = NULL;

	pthread_mutex_lock(&rs->mtx);
	if (rs->count == rs->max)
		oldest = remove_at(rs, 0);
	rs->kept[rs->count++] = (struct kept){r, p, offset, now_ms};
	pthread_mutex_unlock(&rs->mtx);
	reader_free(oldest);
}

int64_t readers_expire(struct readers *rs, int64_t put_ms)
{
	int64_t next = INT64_MAX;

	for (;;) {
		struct reader *r = NULL;
		pthread_mutex_lock(&rs->mtx);
		if (rs->count && rs->kept[0].put_ms <= put_ms)
			r = remove_at(rs, 0);
		else if (rs->count)
			next = rs->kept[0].put_ms;
		pthread_mutex_unlock(&rs->mtx);
		if (!r)
			return next;
		reader_free(r);
	}
}

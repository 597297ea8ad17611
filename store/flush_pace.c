/* flush_pace.c - see flush_pace.h. */
#include "store/flush_pace.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What is handed to the disk at once: a sync that comes then takes some 0.1 ms more. Smaller ones are more wake-ups.
 * Whole pages: direct output takes nothing else. */
#define PIECE_BYTES       524288
/* Of each byte that is logged. A flush ends when two thirds of the next memtable are full. */
#define SHARE_NUM         3
#define SHARE_DEN         2
/* 64 MB a second: what may be written though nothing is logged. */
#define BYTES_PER_US      64
/* 200 MB a second, since the flush before began, are fast. */
#define FAST_BYTES_PER_US 200
#define PAUSE_NS          1000000
/* 10 s: who lags reads more often than this. */
#define READ_NS           10000000000

struct flush_pace {
	_Atomic(uint64_t) logged;
	_Atomic(int) files, hurry;
	_Atomic(int64_t) read_until_ns; /* up to then somebody counts as reading */
	pthread_mutex_t mtx;
	/* under mtx: where the flush before began */
	uint64_t logged_before;
	int64_t begin_ns;
};

struct flush_pace *flush_pace_new(void)
{
	struct flush_pace *p = xcalloc(1, sizeof *p);

	pthread_mutex_init(&p->mtx, NULL);
	p->begin_ns = clock_monotonic_ns(&clock_real);
	return p;
}

void flush_pace_free(struct flush_pace *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->mtx);
	free(p);
}

void flush_pace_logged(struct flush_pace *p, size_t bytes)
{
	atomic_fetch_add_explicit(&p->logged, bytes, memory_order_relaxed);
}

void flush_pace_hurry_begin(struct flush_pace *p)
{
	p->hurry++;
}

void flush_pace_hurry_end(struct flush_pace *p)
{
	p->hurry--;
}

/* Under mtx. */
static bool is_fast(const struct flush_pace *p, uint64_t logged, int64_t now_ns)
{
	return logged - p->logged_before >
	       (uint64_t)(now_ns - p->begin_ns) / 1000 * FAST_BYTES_PER_US;
}

void flush_pace_read(struct flush_pace *p, int64_t now_ns)
{
	atomic_store_explicit(&p->read_until_ns, now_ns + READ_NS, memory_order_relaxed);
}

bool flush_pace_is_past_cache(struct flush_pace *p, int64_t now_ns)
{
	if (now_ns >= atomic_load_explicit(&p->read_until_ns, memory_order_relaxed))
		return true;
	pthread_mutex_lock(&p->mtx);
	bool yes = is_fast(p, p->logged, now_ns);
	pthread_mutex_unlock(&p->mtx);
	return yes;
}

void flush_file_begin(struct flush_file *f, struct flush_pace *p, int64_t now_ns)
{
	*f = (struct flush_file){.pace = p, .logged_before = p->logged, .begin_ns = now_ns};
	p->files++;
	pthread_mutex_lock(&p->mtx);
	f->is_free = is_fast(p, f->logged_before, now_ns);
	p->logged_before = f->logged_before;
	p->begin_ns = now_ns;
	pthread_mutex_unlock(&p->mtx);
}

void flush_file_end(struct flush_file *f)
{
	f->pace->files--;
}

static bool is_held_back(const struct flush_file *f)
{
	return !f->is_free && f->pace->hurry == 0 && f->pace->files == 1;
}

size_t flush_file_grant(struct flush_file *f, size_t len, int64_t now_ns)
{
	uint64_t logged = f->pace->logged - f->logged_before;
	uint64_t may = logged * SHARE_NUM / SHARE_DEN +
		       (uint64_t)(now_ns - f->begin_ns) / 1000 * BYTES_PER_US;
	size_t n = len;

	if (is_held_back(f)) {
		n = len < PIECE_BYTES ? len : PIECE_BYTES;
		if (f->written && f->written + n > may)
			return 0;
	}
	f->written += n;
	return n;
}

size_t flush_file_wait(struct flush_file *f, size_t len, bool *is_paced)
{
	for (;;) {
		*is_paced = is_held_back(f);
		size_t n = flush_file_grant(f, len, clock_monotonic_ns(&clock_real));
		if (n)
			return n;
		nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
	}
}

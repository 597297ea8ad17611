/* pool.h - a bound on memory that many connections share: who finds it used up waits in line.
 *
 * Two kinds of holders: what is held for good will be given back by itself (requests that are being answered). What is
 * held for a part (frames that are still being read) needs more before it can be finished; were all of it
 * held by parts nobody could go on. Then the first in line is favoured: it gets what it asks for, beyond the
 * bound, until its frame is whole. So the memory is bounded by the pool and one frame, and there is always
 * somebody who can go on.
 *
 * Threads: any. granted runs under the pool's lock: it may post a letter, nothing more.
 */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Embedded in who waits; zero-initialise, set granted. */
struct pool_waiter {
	struct pool_waiter *next, *before;
	size_t bytes;
	bool is_waiting, is_part;
	void (*granted)(struct pool_waiter *w); /* the bytes asked for are taken */
};

struct pool {
	/* immutable */
	size_t bytes_max;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	size_t used_bytes, part_bytes; /* part of used_bytes: held for a part */
	struct pool_waiter *first, *last;
	const struct pool_waiter *favoured;
};

void pool_init(struct pool *p, size_t bytes_max);
void pool_fini(struct pool *p);

/* Takes bytes for a part; false: w stands in line and will be granted. */
bool pool_take_part(struct pool *p, struct pool_waiter *w, size_t bytes);
/* The part is whole: its bytes are held for good. */
void pool_settle(struct pool *p, const struct pool_waiter *w, size_t bytes);
/* The part will never be whole. */
void pool_give_part(struct pool *p, const struct pool_waiter *w, size_t bytes);

/* Takes bytes for good; false: w stands in line. */
bool pool_take(struct pool *p, struct pool_waiter *w, size_t bytes);
void pool_give(struct pool *p, size_t bytes);
/* Takes bytes whatever the bound says: they are held already. */
void pool_take_anyway(struct pool *p, size_t bytes);
/* Takes as much as is free, up to most; 0: not even least was, and w stands in line for least. */
size_t pool_take_some(struct pool *p, struct pool_waiter *w, size_t least, size_t most);

/* Leaves the line. false: w did not wait, or was granted before. */
bool pool_leave(struct pool *p, struct pool_waiter *w);

size_t pool_used_bytes(struct pool *p);
/* Whether somebody stands in line. */
bool pool_is_short(struct pool *p);

#endif

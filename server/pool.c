/* pool.c - see pool.h. */
#include "server/pool.h"

#include <assert.h>

void pool_init(struct pool *p, size_t bytes_max)
{
	*p = (struct pool){.bytes_max = bytes_max};
	pthread_mutex_init(&p->mtx, NULL);
}

void pool_fini(struct pool *p)
{
	assert(!p->first && "nobody waits for a pool that is gone");
	pthread_mutex_destroy(&p->mtx);
}

static bool fits(const struct pool *p, size_t bytes)
{
	return p->used_bytes + bytes <= p->bytes_max;
}

static void hold(struct pool *p, size_t bytes, bool is_part)
{
	p->used_bytes += bytes;
	if (is_part)
		p->part_bytes += bytes;
}

static void enter_line(struct pool *p, struct pool_waiter *w, size_t bytes, bool is_part)
{
	assert(!w->is_waiting && w->granted);
	w->bytes = bytes;
	w->is_waiting = true;
	w->is_part = is_part;
	w->next = NULL;
	w->before = p->last;
	if (p->last)
		p->last->next = w;
	else
		p->first = w;
	p->last = w;
}

static void leave_line(struct pool *p, struct pool_waiter *w)
{
	if (w->before)
		w->before->next = w->next;
	else
		p->first = w->next;
	if (w->next)
		w->next->before = w->before;
	else
		p->last = w->before;
	w->is_waiting = false;
}

static void grant(struct pool *p)
{
	while (p->first) {
		struct pool_waiter *w = p->first;
		if (!fits(p, w->bytes)) {
			/* Nobody will give anything back, unless somebody may go on. */
			if (p->used_bytes != p->part_bytes || p->favoured)
				return;
			if (w->is_part)
				p->favoured = w;
		}
		leave_line(p, w);
		hold(p, w->bytes, w->is_part);
		w->granted(w);
	}
}

static bool take(struct pool *p, struct pool_waiter *w, size_t bytes, bool is_part)
{
	pthread_mutex_lock(&p->mtx);
	bool is_taken = p->favoured == w || (!p->first && fits(p, bytes));
	if (is_taken) {
		hold(p, bytes, is_part);
	} else {
		enter_line(p, w, bytes, is_part);
		grant(p);
	}
	pthread_mutex_unlock(&p->mtx);
	return is_taken;
}

bool pool_take_part(struct pool *p, struct pool_waiter *w, size_t bytes)
{
	return take(p, w, bytes, true);
}

bool pool_take(struct pool *p, struct pool_waiter *w, size_t bytes)
{
	return take(p, w, bytes, false);
}

void pool_take_anyway(struct pool *p, size_t bytes)
{
	pthread_mutex_lock(&p->mtx);
	hold(p, bytes, false);
	pthread_mutex_unlock(&p->mtx);
}

size_t pool_take_some(struct pool *p, struct pool_waiter *w, size_t least, size_t most)
{
	size_t taken = 0;

	pthread_mutex_lock(&p->mtx);
	if (!p->first && fits(p, least)) {
		size_t free = p->bytes_max - p->used_bytes;
		taken = most < free ? most : free;
		hold(p, taken, false);
	} else {
		enter_line(p, w, least, false);
		grant(p);
	}
	pthread_mutex_unlock(&p->mtx);
	return taken;
}

/* Under mtx. */
static void part_ends(struct pool *p, const struct pool_waiter *w, size_t bytes)
{
	assert(p->part_bytes >= bytes);
	p->part_bytes -= bytes;
	if (p->favoured == w)
		p->favoured = NULL;
}

void pool_settle(struct pool *p, const struct pool_waiter *w, size_t bytes)
{
	pthread_mutex_lock(&p->mtx);
	part_ends(p, w, bytes);
	pthread_mutex_unlock(&p->mtx);
}

void pool_give_part(struct pool *p, const struct pool_waiter *w, size_t bytes)
{
	pthread_mutex_lock(&p->mtx);
	assert(p->used_bytes >= bytes);
	part_ends(p, w, bytes);
	p->used_bytes -= bytes;
	grant(p);
	pthread_mutex_unlock(&p->mtx);
}

void pool_give(struct pool *p, size_t bytes)
{
	pthread_mutex_lock(&p->mtx);
	assert(p->used_bytes >= bytes);
	p->used_bytes -= bytes;
	grant(p);
	pthread_mutex_unlock(&p->mtx);
}

bool pool_leave(struct pool *p, struct pool_waiter *w)
{
	pthread_mutex_lock(&p->mtx);
	bool was_waiting = w->is_waiting;
	if (was_waiting) {
		leave_line(p, w);
		grant(p);
	}
	pthread_mutex_unlock(&p->mtx);
	return was_waiting;
}

size_t pool_used_bytes(struct pool *p)
{
	pthread_mutex_lock(&p->mtx);
	size_t used = p->used_bytes;
	pthread_mutex_unlock(&p->mtx);
	return used;
}

bool pool_is_short(struct pool *p)
{
	pthread_mutex_lock(&p->mtx);
	bool is_short = p->first != NULL;
	pthread_mutex_unlock(&p->mtx);
	return is_short;
}

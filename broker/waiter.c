/* waiter.c - a thread, or a callback, that waits for any of several partitions.
 *
 * The ticket counts what happened. A thread takes the ticket, looks at its partitions, finds
 * nothing and waits for the ticket to become stale: what happened between looking and waiting is
 * not missed. A callback does the same with a flag: armed before the look, taken down by the first
 * thing that happens, so that many events are one call.
 *
 * A partition wakes under its lock, and waiter_free takes that lock to leave its list; so no
 * callback runs once it has returned.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/broker.h"
#include "broker/partition.h"

struct waiter {
	/* immutable; NULL: a thread waits */
	void (*wake)(void *arg);
	void *arg;
	_Atomic(bool) is_armed;

	pthread_mutex_t mtx;
	pthread_cond_t happened;
	uint64_t events; /* shared, under mtx */

	/* the one thread that watches and frees */
	struct watch **watched;
	size_t count, cap;
};

struct waiter *waiter_new(void)
{
	struct waiter *w = xcalloc(1, sizeof *w);
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->happened, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&w->mtx, NULL);
	return w;
}

struct waiter *waiter_new_callback(void (*wake)(void *arg), void *arg)
{
	struct waiter *w = waiter_new();

	w->wake = wake;
	w->arg = arg;
	return w;
}

void waiter_arm(struct waiter *w)
{
	assert(w->wake);
	atomic_store(&w->is_armed, true);
}

static void watch_free(struct watch *watch)
{
	partition_remove_watch(watch);
	free(watch);
}

void waiter_free(struct waiter *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->count; i++)
		watch_free(w->watched[i]);
	pthread_cond_destroy(&w->happened);
	pthread_mutex_destroy(&w->mtx);
	free(w->watched);
	free(w);
}

void waiter_watch(struct waiter *w, struct partition *p)
{
	if (w->count == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 8;
		w->watched = xrealloc(w->watched, w->cap * sizeof(*w->watched));
	}
	struct watch *watch = xmalloc(sizeof *watch);
	*watch = (struct watch){.waiter = w, .partition = p};
	w->watched[w->count++] = watch;
	partition_add_watch(watch);
}

void waiter_unwatch(struct waiter *w, struct partition *p)
{
	size_t i = 0;

	while (i < w->count && w->watched[i]->partition != p)
		i++;
	assert(i < w->count && "only what is watched can be unwatched");
	watch_free(w->watched[i]);
	w->watched[i] = w->watched[--w->count];
}

uint64_t waiter_ticket(struct waiter *w)
{
	pthread_mutex_lock(&w->mtx);
	uint64_t events = w->events;
	pthread_mutex_unlock(&w->mtx);
	return events;
}

void waiter_wait(struct waiter *w, uint64_t ticket, int timeout_ms)
{
	const struct timespec until = clock_deadline(timeout_ms);

	pthread_mutex_lock(&w->mtx);
	while (w->events == ticket)
		if (pthread_cond_timedwait(&w->happened, &w->mtx, &until))
			break;
	pthread_mutex_unlock(&w->mtx);
}

void waiter_wake(struct waiter *w)
{
	if (w->wake) {
		/* The load spares the common case, a waiter that was woken already. */
		if (atomic_load(&w->is_armed) && atomic_exchange(&w->is_armed, false))
			w->wake(w->arg);
		return;
	}
	pthread_mutex_lock(&w->mtx);
	w->events++;
	pthread_cond_broadcast(&w->happened);
	pthread_mutex_unlock(&w->mtx);
}

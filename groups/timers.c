/* timers.c - see timers.h. */
#include "groups/timers.h"

#include <stdlib.h>

#include "base/mem.h"

void timers_fini(struct timers *ts)
{
	free(ts->heap);
	*ts = (struct timers){0};
}

static void put(struct timers *ts, size_t at, struct timer *t)
{
	ts->heap[at] = t;
	t->place = at + 1;
}

static void sift_up(struct timers *ts, size_t at, struct timer *t)
{
	while (at > 0 && ts->heap[(at - 1) / 2]->placed > t->placed) {
		put(ts, at, ts->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(ts, at, t);
}

static void sift_down(struct timers *ts, size_t at, struct timer *t)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < ts->count && ts->heap[child + 1]->placed < ts->heap[child]->placed)
			child++;
		if (child >= ts->count || ts->heap[child]->placed >= t->placed)
			break;
		put(ts, at, ts->heap[child]);
		at = child;
	}
	put(ts, at, t);
}

void timer_set(struct timers *ts, struct timer *t, int64_t deadline)
{
	t->deadline = deadline;
	if (t->place && deadline >= t->placed)
		return;
	t->placed = deadline;
	if (t->place) {
		sift_up(ts, t->place - 1, t);
		return;
	}
	if (ts->count == ts->cap) {
		ts->cap = ts->cap ? 2 * ts->cap : 64;
		ts->heap = xrealloc(ts->heap, ts->cap * sizeof(*ts->heap));
	}
	sift_up(ts, ts->count++, t);
}

void timer_clear(struct timers *ts, struct timer *t)
{
	if (!t->place)
		return;
	size_t at = t->place - 1;
	struct timer *last = ts->heap[--ts->count];
	t->place = 0;
	if (last == t)
		return;
	if (at > 0 && ts->heap[(at - 1) / 2]->placed > last->placed)
		sift_up(ts, at, last);
	else
		sift_down(ts, at, last);
}

struct timer *timers_due(struct timers *ts, int64_t now)
{
	while (ts->count > 0 && ts->heap[0]->placed <= now) {
		struct timer *t = ts->heap[0];
		if (t->deadline <= now) {
			timer_clear(ts, t);
			return t;
		}
		t->placed = t->deadline; /* it was moved since */
		sift_down(ts, 0, t);
	}
	return NULL;
}

int64_t timers_next(const struct timers *ts)
{
	return ts->count > 0 ? ts->heap[0]->placed : INT64_MAX;
}

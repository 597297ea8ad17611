/* timers.c - see timers.h. */
#include "server/timers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static void tick(uv_timer_t *uv);

int64_t loop_timers_now_ms(const struct loop_timers *ts)
{
	return (int64_t)uv_now(ts->uv.loop);
}

/* The uv_timer runs for the earliest; it is left alone when it would come too early, which costs one idle tick at most. */
static void rearm(struct loop_timers *ts)
{
	if (!ts->count) {
		uv_timer_stop(&ts->uv);
		return;
	}
	int64_t left = ts->heap[0]->due_ms - loop_timers_now_ms(ts);
	uv_timer_start(&ts->uv, tick, left > 0 ? (uint64_t)left : 0, 0);
}

static void place(struct loop_timers *ts, size_t at, struct loop_timer *t)
{
	ts->heap[at] = t;
	t->place = at + 1;
}

static void rise(struct loop_timers *ts, size_t at)
{
	struct loop_timer *t = ts->heap[at];

	while (at > 0 && ts->heap[(at - 1) / 2]->due_ms > t->due_ms) {
		place(ts, at, ts->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(ts, at, t);
}

static void sink(struct loop_timers *ts, size_t at)
{
	struct loop_timer *t = ts->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < ts->count && ts->heap[child + 1]->due_ms < ts->heap[child]->due_ms)
			child++;
		if (child >= ts->count || ts->heap[child]->due_ms >= t->due_ms)
			break;
		place(ts, at, ts->heap[child]);
		at = child;
	}
	place(ts, at, t);
}

static void take_out(struct loop_timers *ts, struct loop_timer *t)
{
	size_t at = t->place - 1;
	struct loop_timer *last = ts->heap[--ts->count];

	t->place = 0;
	if (last == t)
		return;
	place(ts, at, last);
	rise(ts, at);
	sink(ts, last->place - 1);
}

void loop_timer_set(struct loop_timers *ts, struct loop_timer *t, int64_t due_ms)
{
	if (t->place)
		take_out(ts, t);
	if (ts->count == ts->cap) {
		ts->cap = ts->cap ? 2 * ts->cap : 64;
		ts->heap = xrealloc(ts->heap, ts->cap * sizeof(*ts->heap));
	}
	t->due_ms = due_ms;
	place(ts, ts->count++, t);
	rise(ts, t->place - 1);
	if (t->place == 1)
		rearm(ts);
}

void loop_timer_clear(struct loop_timers *ts, struct loop_timer *t)
{
	if (!t->place)
		return;
	bool was_first = t->place == 1;
	take_out(ts, t);
	if (was_first && !ts->count)
		rearm(ts);
}

static void tick(uv_timer_t *uv)
{
	struct loop_timers *ts = uv->data;
	int64_t now = loop_timers_now_ms(ts);

	while (ts->count && ts->heap[0]->due_ms <= now) {
		struct loop_timer *t = ts->heap[0];
		take_out(ts, t);
		t->fire(t);
	}
	rearm(ts);
}

void loop_timers_init(struct loop_timers *ts, uv_loop_t *loop)
{
	*ts = (struct loop_timers){.count = 0};
	uv_timer_init(loop, &ts->uv);
	ts->uv.data = ts;
}

void loop_timers_fini(struct loop_timers *ts)
{
	assert(!ts->count && "nobody waits for a loop that is gone");
	free(ts->heap);
}

/* timers.h - the deadlines of one loop: a heap of them behind a single uv_timer, so that a deadline costs no system call
 * and no handle that would have to be closed. Milliseconds of uv_now. Belongs to the loop's thread.
 */
#ifndef SERVER_TIMERS_H
#define SERVER_TIMERS_H

#include <stdint.h>
#include <uv.h>

/* Embedded where it is needed; zero-initialise. */
struct loop_timer {
	int64_t due_ms;
	size_t place; /* 1 + place in the heap; 0: not set */
	void (*fire)(struct loop_timer *t);
};

struct loop_timers {
	uv_timer_t uv; /* closed by the loop's owner */
	struct loop_timer **heap;
	size_t count, cap;
};

void loop_timers_init(struct loop_timers *ts, uv_loop_t *loop);
void loop_timers_fini(struct loop_timers *ts); /* after the handle was closed */
int64_t loop_timers_now_ms(const struct loop_timers *ts);

/* Sets it, or moves it. t->fire runs once, when due_ms has come. */
void loop_timer_set(struct loop_timers *ts, struct loop_timer *t, int64_t due_ms);
void loop_timer_clear(struct loop_timers *ts, struct loop_timer *t); /* also when it is not set */

#endif

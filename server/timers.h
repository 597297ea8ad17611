/* timers.h - the deadlines of one loop: a heap of them behind a single uv_timer, so that a deadline costs no system call
 * and no handle that would have to be closed. Milliseconds of uv_now. Belongs to the loop's thread.
 */
#ifndef SERVER_TIMERS_H
#define SERVER_TIMERS_H

#include <stdint.h>
#include <uv.h>

/* Embedded where it is needed; zero-initialise. */
struct timer {
	int64_t due_ms;
	size_t place; /* 1 + place in the heap; 0: not set */
	void (*fire)(struct timer *t);
};

struct timers {
	uv_timer_t uv; /* closed by the loop's owner */
	struct timer **heap;
	size_t count, cap;
};

void timers_init(struct timers *ts, uv_loop_t *loop);
void timers_fini(struct timers *ts); /* after the handle was closed */
int64_t timers_now_ms(const struct timers *ts);

/* Sets it, or moves it. t->fire runs once, when due_ms has come. */
void timer_set(struct timers *ts, struct timer *t, int64_t due_ms);
void timer_clear(struct timers *ts, struct timer *t); /* also when it is not set */

#endif

/* timers.h - deadlines: which one is next, and which have passed.
 *
 * A heap that is cheap where groups are busy: a heartbeat moves a member's deadline back, and that is a
 * store into the timer, no work on the heap. The heap keeps the deadline that the timer had when it was
 * placed; when that one passes, the timer is looked at and, had it moved, placed anew. So a timer
 * costs one step on the heap per timeout, however often it was moved.
 *
 * Time is whatever its user counts in (milliseconds of a monotonic clock). Belongs to one thread.
 */
#ifndef GROUPS_TIMERS_H
#define GROUPS_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what has the deadline. Zero-initialise; a timer that is set may not move in memory. */
struct timer {
	/* For whoever takes it when it is due. */
	void *owner, *subject;
	int64_t deadline; /* when it is set */
	/* private */
	int64_t placed; /* at most the deadline */
	size_t place;   /* 1 + index in the heap; 0: not set */
};

/* Zero-initialise. */
struct timers {
	struct timer **heap;
	size_t count, cap;
};

void timers_fini(struct timers *ts); /* the timers are not touched */
void timer_set(struct timers *ts, struct timer *t, int64_t deadline);
void timer_clear(struct timers *ts, struct timer *t); /* may be clear already */
static inline bool timer_is_set(const struct timer *t)
{
	return t->place > 0;
}
/* A timer whose deadline has come, cleared; NULL: none is due. Of several the earliest. */
struct timer *timers_due(struct timers *ts, int64_t now);
/* No timer is due before that time; INT64_MAX: none is set. */
int64_t timers_next(const struct timers *ts);

#endif

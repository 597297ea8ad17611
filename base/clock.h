/* clock.h - time as a value that is passed in, so that tests can hold it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock {
	int64_t (*now_ms)(void *self);       /* wall clock, ms since 1970 UTC */
	int64_t (*monotonic_ns)(void *self); /* never goes back */
	void *self;
};

extern const struct clock clock_real;

static inline int64_t clock_now_ms(const struct clock *c)
{
	return c->now_ms(c->self);
}

static inline int64_t clock_monotonic_ns(const struct clock *c)
{
	return c->monotonic_ns(c->self);
}

/* So many ms from now, not below 0, for pthread_cond_timedwait on a condition of CLOCK_MONOTONIC. */
struct timespec clock_deadline(int64_t ms);

#endif

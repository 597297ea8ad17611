/* clock.h - time as a value that is passed in, so that tests can hold it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

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

#endif

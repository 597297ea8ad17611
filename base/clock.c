/* clock.c - the real clock. */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t real_now_ms(void *self)
{
	(void)self;
	return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t real_monotonic_ns(void *self)
{
	(void)self;
	return read_ns(CLOCK_MONOTONIC);
}

const struct clock clock_real = {real_now_ms, real_monotonic_ns, 0};

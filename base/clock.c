/* clock.c - the real clock. */
#include "base/clock.h"

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

struct timespec clock_deadline(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

const struct clock clock_real = {real_now_ms, real_monotonic_ns, 0};

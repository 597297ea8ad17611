/* sim.h - random runs that can be repeated: chance from a seed, and the seed in every failure.
 *
 * KS_SEED=n runs that seed alone; KS_LONG=1 runs a hundred times as many.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/err.h"
#include "base/mem.h"
#include "tests/check.h"

struct sim {
	uint64_t seed, random;
	int step;
};

/* SplitMix64. */
static inline uint64_t sim_random(struct sim *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline int sim_below(struct sim *s, int n)
{
	return (int)(sim_random(s) % (uint64_t)n);
}

static inline bool sim_chance(struct sim *s, int percent)
{
	return sim_below(s, 100) < percent;
}

#define sim_check(s, condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("KS_SEED=%llu, step %d, line %d: %s",                             \
				 (unsigned long long)(s)->seed, (s)->step, __LINE__, #condition);  \
	} while (0)

static inline void sim_run(int seeds, void (*one)(struct sim *s))
{
	const char *only = getenv("KS_SEED"), *is_long = getenv("KS_LONG");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	uint64_t count = only ? 1 : (uint64_t)seeds * (is_long && *is_long == '1' ? 100 : 1);

	print_message("seeds %llu to %llu\n", (unsigned long long)first,
		      (unsigned long long)(first + count - 1));
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct sim s = {.seed = seed, .random = seed * 77};
		one(&s);
	}
}

#endif

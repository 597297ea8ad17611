/* seeded.c - see seeded.h. */
#include "base/seeded.h"

#ifdef KS_SEEDED_BUGS

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const int listed[] = {
#define SEEDED(n, entry, tests, text) (n),
#include "base/seeded.def"
#undef SEEDED
};

static bool is_listed(int n)
{
	for (size_t i = 0; i < sizeof listed / sizeof *listed; i++)
		if (listed[i] == n)
			return true;
	return false;
}

static int selected(void)
{
	const char *text = getenv("KS_SEEDED_BUG");
	int n = text ? atoi(text) : 0;

	if (text && *text && !is_listed(n)) {
		fprintf(stderr, "KS_SEEDED_BUG=%s is not in base/seeded.def\n", text);
		abort();
	}
	return n;
}

bool seeded_bug(int n)
{
	static _Atomic int which = -1;
	int now = atomic_load_explicit(&which, memory_order_relaxed);

	if (now < 0) {
		now = selected();
		atomic_store_explicit(&which, now, memory_order_relaxed);
	}
	return now == n;
}

#else
/* A file has to declare something. */
extern int seeded_bugs_are_off;
#endif

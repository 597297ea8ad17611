/* moment.h - the time, as it is passed in. */
#ifndef GROUPS_MOMENT_H
#define GROUPS_MOMENT_H

#include <stdint.h>

struct moment {
	int64_t ms;      /* of the monotonic clock: deadlines count in it */
	int64_t wall_ms; /* since 1970 UTC: what is written down */
};

#endif

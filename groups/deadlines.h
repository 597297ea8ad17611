/* deadlines.h - which deadline is next, and which have passed.
 *
 * A heap that is cheap where groups are busy: a heartbeat moves a member's deadline back, and that
 * is a store into it, no work on the heap. The heap keeps the time that the deadline had when it
 * was placed; when that passes, it is looked at and, had it moved, placed anew. So a deadline
 * costs one step on the heap per timeout, however often it was moved.
 *
 * Time is whatever its user counts in (milliseconds of a monotonic clock). Belongs to one thread.
 */
#ifndef GROUPS_DEADLINES_H
#define GROUPS_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what has it. Zero-initialise; one that is set may not move in memory. */
struct deadline {
	/* For whoever takes it when it is due. */
	void *owner, *subject;
	int64_t when; /* when it is set */
	/* private */
	int64_t placed; /* at most when */
	size_t place;   /* 1 + index in the heap; 0: not set */
};

/* Zero-initialise. */
struct deadlines {
	struct deadline **heap;
	size_t count, cap;
};

void deadlines_fini(struct deadlines *ds); /* the deadlines are not touched */
void deadline_set(struct deadlines *ds, struct deadline *d, int64_t when);
void deadline_clear(struct deadlines *ds, struct deadline *d); /* may be clear already */
static inline bool deadline_is_set(const struct deadline *d)
{
	return d->place > 0;
}
/* One that has come, cleared; NULL: none is due. Of several the earliest. */
struct deadline *deadlines_due(struct deadlines *ds, int64_t now);
/* None is due before that time; INT64_MAX: none is set. */
int64_t deadlines_next(const struct deadlines *ds);

#endif

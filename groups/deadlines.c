/* deadlines.c - see deadlines.h. */
#include "groups/deadlines.h"

#include <stdlib.h>

#include "base/mem.h"

void deadlines_fini(struct deadlines *ds)
{
	free(ds->heap);
	*ds = (struct deadlines){0};
}

static void put(struct deadlines *ds, size_t at, struct deadline *d)
{
	ds->heap[at] = d;
	d->place = at + 1;
}

static void sift_up(struct deadlines *ds, size_t at, struct deadline *d)
{
	while (at > 0 && ds->heap[(at - 1) / 2]->placed > d->placed) {
		put(ds, at, ds->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(ds, at, d);
}

static void sift_down(struct deadlines *ds, size_t at, struct deadline *d)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < ds->count && ds->heap[child + 1]->placed < ds->heap[child]->placed)
			child++;
		if (child >= ds->count || ds->heap[child]->placed >= d->placed)
			break;
		put(ds, at, ds->heap[child]);
		at = child;
	}
	put(ds, at, d);
}

void deadline_set(struct deadlines *ds, struct deadline *d, int64_t when)
{
	d->when = when;
	if (d->place && when >= d->placed)
		return;
	d->placed = when;
	if (d->place) {
		sift_up(ds, d->place - 1, d);
		return;
	}
	if (ds->count == ds->cap) {
		ds->cap = ds->cap ? 2 * ds->cap : 64;
		ds->heap = xrealloc(ds->heap, ds->cap * sizeof(*ds->heap));
	}
	sift_up(ds, ds->count++, d);
}

void deadline_clear(struct deadlines *ds, struct deadline *d)
{
	if (!d->place)
		return;
	size_t at = d->place - 1;
	struct deadline *last = ds->heap[--ds->count];
	d->place = 0;
	if (last == d)
		return;
	if (at > 0 && ds->heap[(at - 1) / 2]->placed > last->placed)
		sift_up(ds, at, last);
	else
		sift_down(ds, at, last);
}

struct deadline *deadlines_due(struct deadlines *ds, int64_t now)
{
	while (ds->count > 0 && ds->heap[0]->placed <= now) {
		struct deadline *d = ds->heap[0];
		if (d->when <= now) {
			deadline_clear(ds, d);
			return d;
		}
		d->placed = d->when; /* it was moved since */
		sift_down(ds, 0, d);
	}
	return NULL;
}

int64_t deadlines_next(const struct deadlines *ds)
{
	return ds->count > 0 ? ds->heap[0]->placed : INT64_MAX;
}

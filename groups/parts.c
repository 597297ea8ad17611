/* parts.c - see parts.h. */
#include "groups/parts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void parts_fini(struct parts *p)
{
	free(p->v);
	*p = (struct parts){0};
}

void parts_clear(struct parts *p)
{
	p->count = 0;
}

void parts_append(struct parts *p, uint64_t part)
{
	if (p->count == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 8;
		p->v = xrealloc(p->v, p->cap * sizeof *p->v);
	}
	p->v[p->count++] = part;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool is_settled(const struct parts *p)
{
	for (size_t i = 1; i < p->count; i++)
		if (p->v[i - 1] >= p->v[i])
			return false;
	return true;
}

void parts_settle(struct parts *p)
{
	size_t kept = 0;

	if (is_settled(p))
		return;
	qsort(p->v, p->count, sizeof *p->v, compare);
	for (size_t i = 0; i < p->count; i++)
		if (kept == 0 || p->v[kept - 1] != p->v[i])
			p->v[kept++] = p->v[i];
	p->count = kept;
}

bool parts_have(const struct parts *p, uint64_t part)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (p->v[middle] < part)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->v[low] == part;
}

bool parts_equal(const struct parts *a, const struct parts *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->v, b->v, a->count * sizeof *a->v) == 0);
}

void parts_copy(struct parts *to, const struct parts *from)
{
	if (to == from)
		return;
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		parts_append(to, from->v[i]);
}

void parts_swap(struct parts *a, struct parts *b)
{
	struct parts t = *a;
	*a = *b;
	*b = t;
}

void parts_common(struct parts *out, const struct parts *a, const struct parts *b)
{
	out->count = 0;
	for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
		if (a->v[i] == b->v[k])
			parts_append(out, a->v[i]);
		if (a->v[i] <= b->v[k])
			i++;
		else
			k++;
	}
}

void parts_without(struct parts *out, const struct parts *a, const struct parts *b)
{
	size_t k = 0;

	out->count = 0;
	for (size_t i = 0; i < a->count; i++) {
		while (k < b->count && b->v[k] < a->v[i])
			k++;
		if (k == b->count || b->v[k] != a->v[i])
			parts_append(out, a->v[i]);
	}
}

void parts_add_all(struct parts *to, const struct parts *from)
{
	for (size_t i = 0; i < from->count; i++)
		parts_append(to, from->v[i]);
	parts_settle(to);
}

/* --- owners --- */

void owners_fini(struct owners *o)
{
	free(o->slots);
	*o = (struct owners){0};
}

/* Topics and indexes are small numbers that follow each other: they are spread first. */
static size_t home(const struct owners *o, uint64_t part)
{
	part *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(part ^ part >> 32) & (o->cap - 1);
}

/* Where the partition is, or the free slot where it would go. */
static size_t place(const struct owners *o, uint64_t part)
{
	size_t at = home(o, part);

	while (o->slots[at].owner && o->slots[at].part != part)
		at = (at + 1) & (o->cap - 1);
	return at;
}

void *owners_get(const struct owners *o, uint64_t part)
{
	return o->cap ? o->slots[place(o, part)].owner : NULL;
}

static void grow(struct owners *o)
{
	struct owners old = *o;

	o->cap = old.cap ? 2 * old.cap : 16;
	o->slots = xcalloc(o->cap, sizeof *o->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].owner)
			o->slots[place(o, old.slots[i].part)] = old.slots[i];
	free(old.slots);
}

void owners_set(struct owners *o, uint64_t part, void *owner)
{
	if (3 * (o->count + 1) > 2 * o->cap)
		grow(o);
	size_t at = place(o, part);
	assert(!o->slots[at].owner && "a partition has one owner");
	o->slots[at] = (struct owners_slot){part, owner};
	o->count++;
}

void owners_drop(struct owners *o, uint64_t part, const void *owner)
{
	assert(o->cap);
	size_t at = place(o, part), mask = o->cap - 1;
	assert(o->slots[at].owner == owner && "only its owner gives it up");

	o->slots[at].owner = NULL;
	o->count--;
	/* Those behind that were pushed on by it move up. */
	for (size_t next = (at + 1) & mask; o->slots[next].owner; next = (next + 1) & mask) {
		size_t want = home(o, o->slots[next].part);
		if (((next - want) & mask) < ((next - at) & mask))
			continue;
		o->slots[at] = o->slots[next];
		o->slots[next].owner = NULL;
		at = next;
	}
}

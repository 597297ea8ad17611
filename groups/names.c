/* names.c - see names.h. */
#include "groups/names.h"

#include <stdlib.h>

#include "groups/sorted.h"

void names_clear(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		text_free(&n->v[i]);
	n->count = 0;
}

void names_fini(struct names *n)
{
	names_clear(n);
	free(n->v);
	*n = (struct names){0};
}

void names_append(struct names *n, struct slice name)
{
	if (n->count == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 4;
		n->v = xrealloc(n->v, n->cap * sizeof(*n->v));
	}
	n->v[n->count++] = text_copy(name);
}

static int compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void names_settle(struct names *n)
{
	size_t kept = 0;

	if (n->count > 1)
		qsort(n->v, n->count, sizeof(*n->v), compare);
	for (size_t i = 0; i < n->count; i++) {
		if (kept > 0 && slice_compare(n->v[kept - 1], n->v[i]) == 0)
			text_free(&n->v[i]);
		else
			n->v[kept++] = n->v[i];
	}
	n->count = kept;
}

size_t names_place(const struct names *n, struct slice name)
{
	size_t low = 0, high = n->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (slice_compare(n->v[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool names_have(const struct names *n, struct slice name)
{
	size_t at = names_place(n, name);
	return at < n->count && slice_compare(n->v[at], name) == 0;
}

bool names_equal(const struct names *a, const struct names *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (slice_compare(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

void names_copy(struct names *to, const struct names *from)
{
	if (to == from)
		return;
	names_clear(to);
	for (size_t i = 0; i < from->count; i++)
		names_append(to, from->v[i]);
}

size_t names_bytes(const struct names *n)
{
	size_t bytes = n->count * sizeof(*n->v);

	for (size_t i = 0; i < n->count; i++)
		bytes += n->v[i].len + 1;
	return bytes;
}

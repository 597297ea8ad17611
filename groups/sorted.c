/* sorted.c - see sorted.h. */
#include "groups/sorted.h"

#include <assert.h>

static struct slice name_at(const struct sorted *s, size_t i)
{
	return ((const struct named *)s->items[i])->name;
}

size_t sorted_place(const struct sorted *s, struct slice name)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (slice_compare(name_at(s, middle), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *sorted_find(const struct sorted *s, struct slice name)
{
	size_t at = sorted_place(s, name);
	return at < s->count && slice_compare(name_at(s, at), name) == 0 ? s->items[at] : NULL;
}

void sorted_add(struct sorted *s, void *item)
{
	size_t at = sorted_place(s, ((struct named *)item)->name);

	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 8;
		s->items = xrealloc(s->items, s->cap * sizeof(*s->items));
	}
	memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(*s->items));
	s->items[at] = item;
	s->count++;
}

void sorted_remove(struct sorted *s, const void *item)
{
	size_t at = sorted_place(s, ((const struct named *)item)->name);

	assert(at < s->count && s->items[at] == item);
	s->count--;
	memmove(&s->items[at], &s->items[at + 1], (s->count - at) * sizeof(*s->items));
}

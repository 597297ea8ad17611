/* sorted.h - things found by their names: an array of pointers in the names' order.
 *
 * Names come from clients, so there is no hash that they could crowd; looking up is a binary
 * search, adding moves pointers. Walk it with items and count.
 */
#ifndef GROUPS_SORTED_H
#define GROUPS_SORTED_H

#include <stdlib.h>

#include "base/mem.h"

/* What can be in it begins with its name, which does not change while it is in. */
struct named {
	struct slice name;
};

/* Zero-initialise; sorted_fini frees the array, not what is in it. */
struct sorted {
	void **items;
	size_t count, cap;
};

static inline void sorted_fini(struct sorted *s)
{
	free(s->items);
	*s = (struct sorted){0};
}

/* Where the name is, or where it would go. */
size_t sorted_place(const struct sorted *s, struct slice name);
void *sorted_find(const struct sorted *s, struct slice name); /* NULL: not there */
void sorted_add(struct sorted *s, void *item);                /* no other has its name */
void sorted_remove(struct sorted *s, const void *item);       /* it is there */

/* A copy on the heap: free(). Null stays null, and what is not null is not NULL. */
static inline struct slice text_copy(struct slice s)
{
	if (!s.data)
		return SLICE_NULL;
	uint8_t *data = xmalloc(s.len + 1);
	if (s.len)
		memcpy(data, s.data, s.len);
	data[s.len] = 0;
	return slice_of(data, s.len);
}

static inline void text_free(struct slice *s)
{
	free((void *)(uintptr_t)s->data);
	*s = SLICE_NULL;
}

/* A copy in place of what was there. The two may be the same bytes. */
static inline void text_set(struct slice *to, struct slice from)
{
	struct slice copy = text_copy(from);
	text_free(to);
	*to = copy;
}

#endif

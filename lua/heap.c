/* heap.c - see heap.h. */
#include "lua/heap.h"

#include <stdlib.h>
#include <string.h>

void heap_fini(struct heap *h)
{
	free(h->slab);
	*h = (struct heap){0};
}

static size_t class_of(size_t size)
{
	return (size - 1) / HEAP_STEP;
}

static bool is_ours(const struct heap *h, const void *p)
{
	return h->slab && (uintptr_t)p - (uintptr_t)h->slab < HEAP_SLAB_BYTES;
}

/* The next piece of the slab; NULL: it is used up. */
static void *carve(struct heap *h, size_t size)
{
	size_t bytes = (class_of(size) + 1) * HEAP_STEP;

	if (!h->slab)
		h->slab = malloc(HEAP_SLAB_BYTES);
	if (!h->slab || HEAP_SLAB_BYTES - h->used < bytes)
		return NULL;
	void *p = h->slab + h->used;
	h->used += bytes;
	return p;
}

static void *allocate(struct heap *h, size_t size)
{
	if (size > HEAP_SMALL_MAX || h->only_malloc)
		return malloc(size);
	struct heap_block **list = &h->free[class_of(size)];
	struct heap_block *b = *list;
	if (b) {
		*list = b->next;
		return b;
	}
	void *p = carve(h, size);
	return p ? p : malloc(size);
}

void heap_free(struct heap *h, void *p, size_t size)
{
	if (!is_ours(h, p)) {
		free(p);
		return;
	}
	struct heap_block **list = &h->free[class_of(size)];
	struct heap_block *b = p;
	b->next = *list;
	*list = b;
}

void *heap_realloc(struct heap *h, void *p, size_t old, size_t size)
{
	if (!p)
		return allocate(h, size);
	if (!is_ours(h, p))
		return realloc(p, size);
	if (class_of(old) == class_of(size))
		return p;
	void *q = allocate(h, size);
	if (!q)
		return NULL;
	memcpy(q, p, old < size ? old : size);
	heap_free(h, p, old);
	return q;
}

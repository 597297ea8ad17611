/* heap.h - small blocks for a Lua state.
 *
 * A script makes and drops a few small objects per record - views, strings, closures - and Lua's collector frees them
 * by the hundred, which is more than malloc's fast path keeps. Here a freed block waits in a list of its size for the
 * next one of that size. The blocks come from one slab of fixed size; when it is used up, and for larger blocks,
 * malloc serves. So what is kept aside is bounded, whatever a script does.
 *
 * Owner: one thread. Lua tells the size of a block when it frees it, so blocks have no headers.
 */
#ifndef LUA_HEAP_H
#define LUA_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_SLAB_BYTES (512u << 10)
#define HEAP_SMALL_MAX  256 /* bytes of the largest block from the slab */
#define HEAP_STEP       16  /* sizes are rounded up to a multiple; the alignment of blocks */

struct heap_block {
	struct heap_block *next;
};

/* Zero-initialise; release with heap_fini. */
struct heap {
	bool only_malloc; /* set before the first block: so that a sanitizer sees every block */
	uint8_t *slab;    /* NULL: not yet */
	size_t used;      /* of the slab */
	struct heap_block *free[HEAP_SMALL_MAX / HEAP_STEP];
};

/* Frees the slab: blocks of it that are still out are gone with it. */
void heap_fini(struct heap *h);

/* As realloc: p is NULL (then old is 0) or a block of old bytes from this heap, size > 0. NULL: no memory, and p is as
 * it was. */
void *heap_realloc(struct heap *h, void *p, size_t old, size_t size);
void heap_free(struct heap *h, void *p, size_t size); /* p may be NULL */

#endif

/* test_heap.c - blocks of a Lua state: they hold what was put in, come again, and are bounded in what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "lua/heap.h"

static void a_freed_block_serves_the_next_of_its_size(void **state)
{
	(void)state;
	struct heap h = {0};
	void *a = heap_realloc(&h, NULL, 0, 40);
	void *b = heap_realloc(&h, NULL, 0, 48);
	assert_ptr_not_equal(a, b);
	heap_free(&h, a, 40);
	assert_ptr_not_equal(heap_realloc(&h, NULL, 0, 49), a);
	assert_ptr_equal(heap_realloc(&h, NULL, 0, 33), a);
	heap_fini(&h);
}

static void a_block_keeps_its_contents_while_it_grows_and_shrinks(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 16, 17, 100, 256, 257, 5000, 300, 256, 31, 3};
	struct heap h = {0};
	size_t old = 0;
	unsigned char *p = NULL;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		p = heap_realloc(&h, p, old, sizes[i]);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t k = 0; k < old && k < sizes[i]; k++)
			assert_int_equal(p[k], (unsigned char)(k * 7));
		for (size_t k = 0; k < sizes[i]; k++)
			p[k] = (unsigned char)(k * 7);
		old = sizes[i];
	}
	heap_free(&h, p, old);
	heap_fini(&h);
}

static void blocks_beyond_the_slab_come_from_malloc_and_go_back(void **state)
{
	(void)state;
	enum { BLOCK = 256, COUNT = 2 * HEAP_SLAB_BYTES / BLOCK };
	struct heap h = {0};
	unsigned char **p = calloc(COUNT, sizeof *p);
	size_t inside = 0;
	for (size_t i = 0; i < COUNT; i++) {
		p[i] = heap_realloc(&h, NULL, 0, BLOCK);
		memset(p[i], (int)(i & 0xff), BLOCK);
		inside += p[i] >= h.slab && p[i] < h.slab + HEAP_SLAB_BYTES;
	}
	assert_int_equal(inside, COUNT / 2);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(p[i][0], i & 0xff);
		assert_int_equal(p[i][BLOCK - 1], i & 0xff);
		heap_free(&h, p[i], BLOCK); /* LeakSanitizer counts what did not go back */
	}
	free(p);
	heap_fini(&h);
}

static void without_a_slab_malloc_gives_every_block(void **state)
{
	(void)state;
	struct heap h = {.only_malloc = true};
	void *p = heap_realloc(&h, NULL, 0, 16);
	assert_null(h.slab);
	heap_free(&h, heap_realloc(&h, p, 16, 32), 32);
	heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_freed_block_serves_the_next_of_its_size),
		cmocka_unit_test(a_block_keeps_its_contents_while_it_grows_and_shrinks),
		cmocka_unit_test(blocks_beyond_the_slab_come_from_malloc_and_go_back),
		cmocka_unit_test(without_a_slab_malloc_gives_every_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

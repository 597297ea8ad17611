/* Copies of texts: what they end with, what they leave out, and null. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void a_copy_is_trimmed_at_both_ends_only(void **state)
{
	static const char *const rows[][2] = {
		{"a", "a"}, {" \t a b\r\n", "a b"}, {"", ""}, {" \n ", ""}, {"\va ", "\va"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *copy = xstrdup_trimmed(rows[i][0]);
		assert_string_equal(copy, rows[i][1]);
		free(copy);
	}
}

static void a_slice_becomes_a_text_of_its_own_bytes_alone(void **state)
{
	struct arena arena = {0};
	char bytes[] = "abcd";
	struct slice inner = slice_of(bytes + 1, 2);
	char *copy = slice_strdup(inner), *kept = arena_text(&arena, inner);

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	assert_string_equal(copy, "bc");
	assert_string_equal(kept, "bc");
	free(copy);
	arena_fini(&arena);
}

static void null_becomes_an_empty_text(void **state)
{
	struct arena arena = {0};
	char *copy = slice_strdup(SLICE_NULL);

	(void)state;
	assert_string_equal(copy, "");
	assert_string_equal(arena_text(&arena, SLICE_NULL), "");
	free(copy);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_trimmed_at_both_ends_only),
		cmocka_unit_test(a_slice_becomes_a_text_of_its_own_bytes_alone),
		cmocka_unit_test(null_becomes_an_empty_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

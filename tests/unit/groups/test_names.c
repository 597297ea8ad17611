/* Sets of names, and things that are found by theirs. */
#include "tests/check.h"

#include "groups/names.h"
#include "groups/sorted.h"

static void a_set_holds_each_name_once_and_in_order(void **state)
{
	struct names n = {0}, copy = {0};
	static const char *const words[] = {"pear", "apple", "", "pear", "apples", "apple"};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		names_append(&n, slice_str(words[i]));
	names_settle(&n);
	assert_int_equal(n.count, 4);
	assert_slice(n.v[0], "");
	assert_slice(n.v[1], "apple");
	assert_slice(n.v[2], "apples");
	assert_slice(n.v[3], "pear");
	assert_true(names_have(&n, slice_str("apple")));
	assert_false(names_have(&n, slice_str("appl")));
	names_copy(&copy, &n);
	assert_true(names_equal(&copy, &n));
	names_append(&copy, slice_str("z"));
	names_settle(&copy);
	assert_false(names_equal(&copy, &n));
	names_fini(&n);
	names_fini(&copy);
}

static void what_is_named_is_found_by_its_name(void **state)
{
	struct sorted s = {0};
	struct named items[100];
	char text[100][4];

	(void)state;
	for (int i = 0; i < 100; i++) {
		int k = (i * 37) % 100;
		snprintf(text[k], sizeof text[k], "%d", k);
		items[k].name = slice_str(text[k]);
		sorted_add(&s, &items[k]);
	}
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(sorted_find(&s, slice_str(text[i])), &items[i]);
	for (size_t i = 1; i < 100; i++)
		assert_true(slice_compare(((struct named *)s.items[i - 1])->name,
					  ((struct named *)s.items[i])->name) < 0);
	for (int i = 0; i < 100; i += 2)
		sorted_remove(&s, &items[i]);
	assert_int_equal(s.count, 50);
	assert_null(sorted_find(&s, slice_str("42")));
	assert_ptr_equal(sorted_find(&s, slice_str("43")), &items[43]);
	sorted_fini(&s);
}

static void null_and_empty_texts_stay_apart(void **state)
{
	struct slice a = text_copy(SLICE_NULL), b = text_copy(slice_str(""));

	(void)state;
	assert_null(a.data);
	assert_non_null(b.data);
	text_set(&b, slice_str("new"));
	assert_slice(b, "new");
	text_set(&b, slice_of(b.data + 1, 2));
	assert_slice(b, "ew");
	text_free(&a);
	text_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_holds_each_name_once_and_in_order),
		cmocka_unit_test(what_is_named_is_found_by_its_name),
		cmocka_unit_test(null_and_empty_texts_stay_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

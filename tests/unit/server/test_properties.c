/* Java's properties format. */
#include "tests/check.h"

#include "server/properties.h"

static void check(const char *text, size_t len, const char *const *expected)
{
	struct properties p;
	struct ks_why why = {""};
	size_t n = 0;

	if (properties_parse(slice_of(text, len), "f", &p, &why))
		fail_msg("%s", why.text);
	while (expected[2 * n])
		n++;
	assert_int_equal(p.count, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(p.v[i].key, expected[2 * i]);
		assert_string_equal(p.v[i].value, expected[2 * i + 1]);
	}
	properties_fini(&p);
}

#define CHECK(text, ...)                                                                           \
	check(text, sizeof(text) - 1, (const char *const[]){__VA_ARGS__, NULL, NULL})

static void a_key_ends_at_the_first_separator(void **state)
{
	(void)state;
	CHECK("a=1\nb:2\nc 3\nd = 4\ne\t:\t5\nf==6\ng\n", "a", "1", "b", "2", "c", "3", "d", "4",
	      "e", "5", "f", "=6", "g", "");
}

static void blank_lines_and_comments_are_passed_over(void **state)
{
	(void)state;
	CHECK("\n  \n# a=1\n ! b=2\n\t\n c = 3 # not a comment \n", "c", "3 # not a comment ");
}

static void every_kind_of_line_end_ends_a_line(void **state)
{
	(void)state;
	CHECK("a=1\rb=2\r\nc=3", "a", "1", "b", "2", "c", "3");
}

static void a_backslash_at_the_end_goes_on_in_the_next_line(void **state)
{
	(void)state;
	CHECK("a = one,\\\n    two,\\\r\n\tthree\nb=2\\\\\nc=3", "a", "one,two,three", "b", "2\\",
	      "c", "3");
	CHECK("ke\\\n  y=v", "key", "v");
	CHECK("a=1\\", "a", "1");
}

static void escapes_mean_what_they_mean_in_java(void **state)
{
	(void)state;
	CHECK("a\\=b\\:c\\ d = \\t\\n\\r\\f\\\\\\x\\=\\#", "a=b:c d", "\t\n\r\f\\x=#");
	CHECK("a=\\u0041\\u00e4\\u20ac\\ud83d\\ude00", "a", "A\u00e4\u20ac\U0001f600");
	CHECK("\\#a=1", "#a", "1");
}

static void a_value_keeps_the_blanks_behind_it(void **state)
{
	(void)state;
	CHECK("a=  1  ", "a", "1  ");
}

static void of_one_key_twice_both_are_told_with_their_lines(void **state)
{
	struct properties p;
	struct ks_why why;
	const char *text = "# one\na=1\\\n2\n\na=3\n";

	(void)state;
	assert_int_equal(properties_parse(slice_str(text), "f", &p, &why), ERR_NONE);
	assert_int_equal(p.count, 2);
	assert_int_equal(p.v[0].line, 2);
	assert_string_equal(p.v[0].value, "12");
	assert_int_equal(p.v[1].line, 5);
	properties_fini(&p);
}

static void refused(const char *text, size_t len, const char *expected)
{
	struct properties p;
	struct ks_why why = {""};

	assert_int_equal(properties_parse(slice_of(text, len), "f", &p, &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, expected);
}

static void what_is_no_text_is_refused_with_its_line(void **state)
{
	(void)state;
	refused("a=1\nb=\\u12g4", 12, "f:2: \\u needs four hexadecimal digits");
	refused("a=\\u12", 6, "f:1: \\u needs four hexadecimal digits");
	refused("a=\\ud83d", 8, "f:1: \\u names no character that may stand here");
	refused("a=\\ud83d\\u0041", 14, "f:1: \\u names no character that may stand here");
	refused("a=\\u0000", 8, "f:1: \\u names no character that may stand here");
	refused("a=1\0", 4, "f:1: a zero byte");
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct properties p;
	struct ks_why why = {""};

	(void)state;
	assert_int_equal(properties_load("/no/such/file", &p, &why), ERR_IO);
	assert_string_equal(why.text, "cannot open /no/such/file: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_ends_at_the_first_separator),
		cmocka_unit_test(blank_lines_and_comments_are_passed_over),
		cmocka_unit_test(every_kind_of_line_end_ends_a_line),
		cmocka_unit_test(a_backslash_at_the_end_goes_on_in_the_next_line),
		cmocka_unit_test(escapes_mean_what_they_mean_in_java),
		cmocka_unit_test(a_value_keeps_the_blanks_behind_it),
		cmocka_unit_test(of_one_key_twice_both_are_told_with_their_lines),
		cmocka_unit_test(what_is_no_text_is_refused_with_its_line),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

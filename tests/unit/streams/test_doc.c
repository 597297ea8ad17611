/* test_doc.c - what a document accepts, keeps, reads, changes and writes. */
#include <math.h>

#include "streams/doc.h"
#include "tests/check.h"

static struct doc_parser *parser;
static struct arena arena;
static struct ks_why why;

static int setup(void **state)
{
	(void)state;
	parser = doc_parser_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	doc_parser_free(parser);
	arena_fini(&arena);
	return 0;
}

static enum ks_err parse(const char *text, size_t len, struct doc **d)
{
	/* arena_copy keeps PAD_BYTES readable; fill them with what must not be taken for text. */
	uint8_t *copy = arena_alloc(&arena, len + PAD_BYTES);
	memcpy(copy, text, len);
	memset(copy + len, '7', PAD_BYTES);
	return doc_parse(parser, &arena, slice_of(copy, len), d, &why);
}

static struct doc *parsed(const char *text)
{
	struct doc *d = NULL;
	enum ks_err err = parse(text, strlen(text), &d);
	if (err)
		print_error("%s: %s\n", text, why.text);
	assert_int_equal(err, ERR_NONE);
	return d;
}

static void assert_node(struct doc *d, doc_node n, const char *text)
{
	struct buf out = {0};
	doc_write(d, n, &out);
	assert_string_equal(buf_cstr(&out), text);
	buf_fini(&out);
}

static void assert_doc(struct doc *d, const char *text)
{
	assert_node(d, 0, text);
	/* What is written can be read again. */
	struct doc *again = parsed(text);
	assert_node(again, 0, text);
}

static doc_node member(struct doc *d, doc_node n, const char *name)
{
	return doc_member(d, n, name, strlen(name));
}

static doc_node find(struct doc *d, const char *text)
{
	struct doc_path *p = doc_path_new(text, &why);
	assert_non_null(p);
	doc_node n = doc_find(d, p);
	doc_path_free(p);
	return n;
}

static void set(struct doc *d, doc_node n, const char *name, const char *json)
{
	assert_int_not_equal(doc_set_member(d, n, slice_str(name), slice_str(json)), DOC_NONE);
}

/* --- round trips --- */

static void untouched_text_is_written_as_it_came(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"12",
		"\"\"",
		"[]",
		"{}",
		" [ ] ",
		"\t{\n}\r\n",
		"1.0",
		"1e400",
		"-1E+400",
		"1e-400",
		"9223372036854775807",
		"-9223372036854775808",
		"9223372036854775808",
		"18446744073709551616",
		"123456789012345678901234567890123456789012345678901234567890",
		"0.1000000000000000055511151231257827021181583404541015625",
		"{\"a\":1,\"a\":2}",
		"{ \"a\" : [ 1 , 2.50 , { } ] , \"b\" : null }",
		"\"\\u00e9\\ud83d\\ude00\\/\"",
		"\"\\ud800\"",
		"\"\\udc00\\ud800x\"",
		"\"\xc3\xa9\"",
		"[[[[[[[[]]]]]]]]",
		"{\"\":{\"\":{}}}",
		"[\"a\\\\\",\"\\\\\\\"\",\"\\\"\"]",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_doc(parsed(texts[i]), texts[i]);
}

static void a_dirty_document_keeps_the_text_of_clean_parts(void **state)
{
	(void)state;
	struct doc *d =
		parsed("{\"big\": 18446744073709551616, \"f\":1.0, \"x\" : [ ], \"e\":1e400,"
		       " \"n\\u0061me\":{ \"deep\" : null }}");
	set(d, 0, "new", "1");
	assert_doc(d, "{\"big\":18446744073709551616,\"f\":1.0,\"x\":[ ],\"e\":1e400,"
		      "\"n\\u0061me\":{ \"deep\" : null },\"new\":1}");
}

/* --- reading --- */

static void clean_members_around_an_edit_stay_as_they_were_but_for_spaces_between_them(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":1,\"b\":[1, 2],\"c\":3,\"d\" :4, \"e\":5,\"f\":6 ,\"g\":7}");
	doc_set_member(d, 0, slice_str("c"), slice_str("30"));
	assert_doc(d, "{\"a\":1,\"b\":[1, 2],\"c\":30,\"d\":4,\"e\":5,\"f\":6,\"g\":7}");
	doc_remove_member(d, 0, slice_str("e"));
	assert_doc(d, "{\"a\":1,\"b\":[1, 2],\"c\":30,\"d\":4,\"f\":6,\"g\":7}");
	doc_node b = doc_member(d, 0, "b", 1);
	doc_set_element(d, b, 2, slice_str("3"));
	assert_doc(d, "{\"a\":1,\"b\":[1,2,3],\"c\":30,\"d\":4,\"f\":6,\"g\":7}");
	doc_set_element(d, b, 0, slice_str("[7,8,9]"));
	doc_set_element(d, doc_element(d, b, 0), 1, slice_str("80"));
	assert_doc(d, "{\"a\":1,\"b\":[[7,80,9],2,3],\"c\":30,\"d\":4,\"f\":6,\"g\":7}");
}

static void scalars_are_read_by_type(void **state)
{
	(void)state;
	struct doc *d = parsed("[null,false,true,7,\"s\",[],{}]");
	static const enum doc_type types[] = {DOC_NULL,   DOC_FALSE, DOC_TRUE,  DOC_NUMBER,
					      DOC_STRING, DOC_ARRAY, DOC_OBJECT};
	assert_int_equal(doc_length(d, 0), 7);
	doc_node n = doc_first(d, 0);
	for (size_t i = 0; i < 7; i++, n = doc_next(d, n)) {
		assert_int_equal(doc_type(d, n), types[i]);
		assert_int_equal(n, doc_element(d, 0, i));
	}
	assert_int_equal(n, DOC_NONE);
	assert_int_equal(doc_element(d, 0, 7), DOC_NONE);
}

static char number(const char *text, int64_t *i, double *f)
{
	return doc_number(parsed(text), 0, i, f);
}

static void integers_keep_64_bits_and_say_when_they_have_more(void **state)
{
	(void)state;
	int64_t i;
	double f;
	assert_int_equal(number("9223372036854775807", &i, &f), 'i');
	assert_true(i == INT64_MAX);
	assert_int_equal(number("-9223372036854775808", &i, &f), 'i');
	assert_true(i == INT64_MIN);
	assert_int_equal(number("0", &i, &f), 'i');
	assert_true(i == 0);
	assert_int_equal(number("-15", &i, &f), 'i');
	assert_true(i == -15);
	assert_int_equal(number("9223372036854775808", &i, &f), 'b');
	assert_int_equal(number("-9223372036854775809", &i, &f), 'b');
	assert_int_equal(number("100000000000000000000", &i, &f), 'b');
}

static void doubles_are_rounded_correctly_and_may_be_out_of_range(void **state)
{
	(void)state;
	int64_t i;
	double f;
	assert_int_equal(number("1.0", &i, &f), 'f');
	assert_true(f == 1.0);
	assert_int_equal(number("1e3", &i, &f), 'f');
	assert_true(f == 1000.0);
	assert_int_equal(number("0.1", &i, &f), 'f');
	assert_true(f == 0.1);
	assert_int_equal(number("-0", &i, &f), 'f');
	assert_true(f == 0 && signbit(f));
	assert_int_equal(number("1e400", &i, &f), 'b');
	assert_int_equal(number("-1e99999999999999999999", &i, &f), 'b');
	assert_int_equal(number("1e-400", &i, &f), 'f');
	assert_true(f == 0);
	assert_int_equal(number("-0.00000e-99999999999999999999", &i, &f), 'f');
	assert_true(f == 0);
	assert_int_equal(number("1.7976931348623157e308", &i, &f), 'f');
	assert_true(f == 1.7976931348623157e308);
}

static void strings_are_decoded_when_read(void **state)
{
	(void)state;
	assert_slice(doc_string(parsed("\"plain\""), 0), "plain");
	struct doc *d = parsed("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00x\"");
	assert_slice(doc_string(d, 0), "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80x");
	/* A second reading costs no memory. */
	assert_ptr_equal(doc_string(d, 0).data, doc_string(d, 0).data);
	struct slice zero = doc_string(parsed("\"a\\u0000b\""), 0);
	assert_int_equal(zero.len, 3);
	assert_memory_equal(zero.data, "a\0b", 3);
	assert_slice(doc_string(parsed("\"\\ud83dx\\ude00\\ud83d\\u0041\""), 0),
		     "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\x41");
}

static void members_are_found_by_decoded_name_and_the_last_one_wins(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":1,\"b\\u0062\":2,\"a\":3,\"\":4,\"\\ud83d\\ude00\":5}");
	assert_node(d, member(d, 0, "a"), "3");
	assert_node(d, member(d, 0, "bb"), "2");
	assert_node(d, member(d, 0, ""), "4");
	assert_node(d, member(d, 0, "\xf0\x9f\x98\x80"), "5");
	assert_int_equal(member(d, 0, "b"), DOC_NONE);
	assert_int_equal(member(d, member(d, 0, "a"), "a"), DOC_NONE);
	assert_slice(doc_name(d, member(d, 0, "bb")), "bb");
	assert_int_equal(doc_length(d, 0), 5);
}

static void paths_lead_through_objects_and_arrays(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":{\"b\":[{\"c\":1},{\"c\":[2,3]}]},\"x.y\":{\"[0]\":4}}");
	assert_node(d, find(d, "a.b[0].c"), "1");
	assert_node(d, find(d, "a.b[1].c[1]"), "3");
	assert_node(d, find(d, "[\"x.y\"][\"[0]\"]"), "4");
	assert_node(d, find(d, "a[\"b\"][0]"), "{\"c\":1}");
	assert_int_equal(find(d, "a.b[2].c"), DOC_NONE);
	assert_int_equal(find(d, "a.b.c"), DOC_NONE);
	assert_int_equal(find(d, "a[0]"), DOC_NONE);
	assert_int_equal(find(d, "z.b"), DOC_NONE);
	assert_node(parsed("[5]"), 1, "5");
	struct doc *list = parsed("[[5]]");
	assert_node(list, find(list, "[0][0]"), "5");
}

static void a_malformed_path_is_refused_with_its_place(void **state)
{
	(void)state;
	static const char *const bad[] = {"",      ".",       ".a",   "a.",    "a..b",
					  "a[",    "a[]",     "a[x]", "a[-1]", "a[\"",
					  "a[\"x", "a[\"x\"", "a]b",  "a[0]b", "a[1234567890]"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(doc_path_new(bad[i], &why));
	assert_null(doc_path_new("a[0]b", &why));
	assert_non_null(strstr(why.text, "path \"a[0]b\""));
	assert_non_null(strstr(why.text, "character 5"));
}

/* --- refusals --- */

static void malformed_text_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *place;
	} bad[] = {
		{"", "empty"},
		{"  \n", "empty"},
		{"nul", "byte 0"},
		{"nulL", "byte 0"},
		{"truex", "byte 0"},
		{"[1,]", "byte 3"},
		{"[1 2]", "byte 3"},
		{"[1\"a\"]", "byte 1"},
		{"{\"a\" 1}", "byte 5"},
		{"{a:1}", "byte 1"},
		{"{\"a\":1,}", "byte 7"},
		{"{\"a\":}", "byte 5"},
		{"{,}", "byte 1"},
		{"[}", "byte 1"},
		{"[1}", "byte 2"},
		{"1 2", "byte 2"},
		{"[] []", "byte 3"},
		{"\"a\"b", "byte 3"},
		{"01", "byte 0"},
		{"-", "byte 0"},
		{"+1", "byte 0"},
		{"1.", "byte 0"},
		{".5", "byte 0"},
		{"1e", "byte 0"},
		{"1e+", "byte 0"},
		{"[-]", "byte 1"},
		{"[1.e3]", "byte 1"},
		{"0x10", "byte 0"},
		{"NaN", "byte 0"},
		{"[\"\\x\"]", "byte 2"},
		{"[\"\\u12g4\"]", "byte 2"},
		{"\"\\u12\"", "byte 1"},
		{"[\"a", "byte 1"},
		{"\"a\nb\"", "byte 2"},
		{"\"\xff\"", "byte 1"},
		{"\"\xed\xa0\x80\"", "byte 1"},
		{"[\f1]", "byte 1"},
		{"{\"a\":1\x1a}", "byte 6"},
		{"[\\\"]", "byte 1"},
		{"]", "byte 0"},
		{":", "byte 0"},
		{"[[[[[[[[", "byte 8"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct doc *d = NULL;
		enum ks_err err = parse(bad[i].text, strlen(bad[i].text), &d);
		if (err != ERR_DECODE || !strstr(why.text, bad[i].place))
			print_error("%s: %s (%s)\n", bad[i].text, ks_err_name(err), why.text);
		assert_int_equal(err, ERR_DECODE);
		assert_non_null(strstr(why.text, bad[i].place));
		assert_null(d);
	}
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	static const char text[] = "{\"id\": 123, \"f\": -1.5e+3, \"s\": \"a\\u00e9\\\"b\", \"l\": "
				   "[true, false, null, "
				   "{\"x\": []}], \"\xe2\x82\xac\": {\"y\": {}}}";
	for (size_t len = 0; len < sizeof text - 1; len++) {
		struct doc *d;
		assert_int_equal(parse(text, len, &d), ERR_DECODE);
	}
	parsed(text);
}

static void depth_is_capped_without_recursion(void **state)
{
	(void)state;
	enum { DEPTH = 1000000 };
	char *text = malloc(2 * DEPTH);
	struct doc *d;
	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	assert_int_equal(parse(text, DEPTH, &d), ERR_TOO_LARGE);
	assert_int_equal(parse(text, (size_t)2 * DEPTH, &d), ERR_TOO_LARGE);
	assert_int_equal(parse(text + DEPTH - DOC_DEPTH_MAX, (size_t)2 * DOC_DEPTH_MAX, &d),
			 ERR_NONE);
	assert_int_equal(parse(text + DEPTH - DOC_DEPTH_MAX - 1, (size_t)2 * DOC_DEPTH_MAX + 2, &d),
			 ERR_TOO_LARGE);
	free(text);
}

/* --- edits --- */

static void members_are_set_replaced_and_removed(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":1,\"b\":{\"c\":2},\"d\":3}");
	set(d, 0, "a", " \"x\" ");
	set(d, member(d, 0, "b"), "c", "[1]");
	set(d, member(d, 0, "b"), "new\n", "{}");
	assert_true(doc_is_dirty(d));
	assert_doc(d, "{\"a\":\"x\",\"b\":{\"c\":[1],\"new\\n\":{}},\"d\":3}");
	assert_node(d, find(d, "b.new\n"), "{}");
	doc_remove_member(d, 0, slice_str("a"));
	doc_remove_member(d, 0, slice_str("d"));
	doc_remove_member(d, 0, slice_str("absent"));
	assert_doc(d, "{\"b\":{\"c\":[1],\"new\\n\":{}}}");
	doc_remove_member(d, 0, slice_str("b"));
	assert_doc(d, "{}");
	set(d, 0, "z", "-0");
	set(d, 0, "y", "null");
	assert_doc(d, "{\"z\":-0,\"y\":null}");
	assert_int_equal(doc_set_member(d, member(d, 0, "z"), slice_str("k"), slice_str("1")),
			 DOC_NONE);
}

static void a_repeated_name_is_replaced_once_and_removed_wholly(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":1,\"b\":2,\"\\u0061\":3}");
	set(d, 0, "a", "4");
	assert_doc(d, "{\"a\":1,\"b\":2,\"\\u0061\":4}");
	doc_remove_member(d, 0, slice_str("a"));
	assert_doc(d, "{\"b\":2}");
}

static void elements_are_set_appended_and_removed(void **state)
{
	(void)state;
	struct doc *d = parsed("[1,[2,3],4]");
	assert_int_equal(doc_set_element(d, 0, 0, slice_str("\"a\"")), ERR_NONE);
	assert_int_equal(doc_set_element(d, doc_element(d, 0, 1), 1, slice_str("{}")), ERR_NONE);
	assert_int_equal(doc_set_element(d, 0, 3, slice_str("5")), ERR_NONE);
	assert_int_equal(doc_set_element(d, 0, 4, slice_str("6")), ERR_NONE);
	assert_int_equal(doc_set_element(d, 0, 6, slice_str("7")), ERR_INVALID_ARGUMENT);
	assert_doc(d, "[\"a\",[2,{}],4,5,6]");
	doc_remove_last(d, 0);
	doc_remove_last(d, 0);
	assert_doc(d, "[\"a\",[2,{}],4]");
	assert_int_equal(doc_set_element(d, 0, 2, slice_str("null")), ERR_NONE);
	assert_int_equal(doc_length(d, 0), 3);
	for (int i = 0; i < 4; i++)
		doc_remove_last(d, 0);
	assert_doc(d, "[]");
	assert_int_equal(doc_set_element(d, 0, 0, slice_str("8")), ERR_NONE);
	assert_doc(d, "[8]");
	assert_int_equal(doc_set_element(d, 1, 0, slice_str("8")), ERR_INVALID_ARGUMENT);
}

static void a_value_that_was_set_can_be_read_and_changed(void **state)
{
	(void)state;
	struct doc *d = parsed("{}");
	set(d, 0, "a", "{ \"b\" : [10, {\"c\":\"\\u00e9\"}] }");
	assert_slice(doc_string(d, find(d, "a.b[1].c")), "\xc3\xa9");
	assert_doc(d, "{\"a\":{ \"b\" : [10, {\"c\":\"\\u00e9\"}] }}");
	set(d, find(d, "a.b[1]"), "d", "1");
	assert_doc(d, "{\"a\":{\"b\":[10,{\"c\":\"\\u00e9\",\"d\":1}]}}");
}

static void a_replaced_value_lives_on_by_itself(void **state)
{
	(void)state;
	struct doc *d = parsed("{\"a\":{\"b\":{\"c\":1}}}");
	doc_node a = member(d, 0, "a"), b = find(d, "a.b");
	set(d, 0, "a", "7");
	set(d, b, "c", "2");
	set(d, a, "x", "3");
	assert_node(d, a, "{\"b\":{\"c\":2},\"x\":3}");
	assert_doc(d, "{\"a\":7}");
	doc_remove_member(d, a, slice_str("b"));
	set(d, b, "c", "4");
	assert_node(d, a, "{\"x\":3}");
	assert_node(d, b, "{\"c\":4}");
}

static void long_arrays_are_built_and_read_in_order(void **state)
{
	(void)state;
	struct doc *d = parsed("[]");
	char text[16];
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof text, "%d", i);
		assert_int_equal(doc_set_element(d, 0, doc_length(d, 0), slice_str(text)),
				 ERR_NONE);
	}
	for (int i = 0; i < 20000; i++) {
		int64_t v = -1;
		double f;
		doc_number(d, doc_element(d, 0, (size_t)i), &v, &f);
		assert_int_equal(v, i);
		assert_int_equal(doc_set_element(d, 0, (size_t)i, slice_str("0")), ERR_NONE);
	}
}

/* --- writing values --- */

static void numbers_are_written_to_be_read_back(void **state)
{
	(void)state;
	struct buf out = {0};
	static const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN, 1000};
	for (size_t i = 0; i < 5; i++) {
		json_write_i64(&out, ints[i]);
		buf_append_u8(&out, ' ');
	}
	static const double floats[] = {1, -0.0, 0.1, 1e21, 1e300, 5e-324, 123456.75};
	for (size_t i = 0; i < 7; i++) {
		assert_true(json_write_f64(&out, floats[i]));
		buf_append_u8(&out, ' ');
	}
	assert_string_equal(buf_cstr(&out), "0 -1 9223372036854775807 -9223372036854775808 1000 "
					    "1.0 -0.0 0.1 1e+21 1e+300 5e-324 123456.75 ");
	assert_false(json_write_f64(&out, NAN));
	assert_false(json_write_f64(&out, -INFINITY));
	buf_fini(&out);
}

static void strings_are_escaped_and_made_valid(void **state)
{
	(void)state;
	struct buf out = {0};
	json_write_string(&out, slice_of("a\"\\\b\f\n\r\t\x01\x1f\0/\x7f\xc3\xa9", 15));
	json_write_string(&out, slice_of("\xff"
					 "a\xc3",
					 3));
	json_write_string(&out, SLICE_NULL);
	assert_string_equal(buf_cstr(&out),
			    "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000/\x7f\xc3\xa9\""
			    "\"\xef\xbf\xbd"
			    "a\xef\xbf\xbd\"\"\"");
	buf_fini(&out);
}

static void a_parser_shrinks_after_a_large_text(void **state)
{
	(void)state;
	size_t len = 3 << 20;
	char *text = malloc(len);
	struct doc *d;
	memset(text, ' ', len);
	text[len - 1] = '1';
	assert_int_equal(parse(text, len, &d), ERR_NONE);
	free(text);
	assert_doc(parsed("[1]"), "[1]");
	assert_int_equal(doc_parse(parser, &arena, slice_of("", DOC_TEXT_MAX + 1), &d, &why),
			 ERR_TOO_LARGE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(untouched_text_is_written_as_it_came),
		TEST(a_dirty_document_keeps_the_text_of_clean_parts),
		TEST(clean_members_around_an_edit_stay_as_they_were_but_for_spaces_between_them),
		TEST(scalars_are_read_by_type),
		TEST(integers_keep_64_bits_and_say_when_they_have_more),
		TEST(doubles_are_rounded_correctly_and_may_be_out_of_range),
		TEST(strings_are_decoded_when_read),
		TEST(members_are_found_by_decoded_name_and_the_last_one_wins),
		TEST(paths_lead_through_objects_and_arrays),
		TEST(a_malformed_path_is_refused_with_its_place),
		TEST(malformed_text_is_refused_with_its_place),
		TEST(every_truncation_is_refused),
		TEST(depth_is_capped_without_recursion),
		TEST(members_are_set_replaced_and_removed),
		TEST(a_repeated_name_is_replaced_once_and_removed_wholly),
		TEST(elements_are_set_appended_and_removed),
		TEST(a_value_that_was_set_can_be_read_and_changed),
		TEST(a_replaced_value_lives_on_by_itself),
		TEST(long_arrays_are_built_and_read_in_order),
		TEST(numbers_are_written_to_be_read_back),
		TEST(strings_are_escaped_and_made_valid),
		TEST(a_parser_shrinks_after_a_large_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

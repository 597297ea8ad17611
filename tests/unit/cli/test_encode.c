/* Hex, base64, UTF-8 and JSON text: there and back, and malformed input that leaves the output alone. */
#include "cli/encode.h"
#include "unit.h"

static void hex_goes_there_and_back(void **state)
{
	struct buf text = {0}, back = {0};

	(void)state;
	hex_encode(TEXT("\x00\x9f\xff"), &text);
	assert_bytes(text, "009fff");
	assert_true(hex_decode(TEXT("009FfF"), &back));
	assert_bytes(back, "\x00\x9f\xff");
	buf_fini(&text);
	buf_fini(&back);
}

static void malformed_hex_leaves_the_output_alone(void **state)
{
	struct buf out = {0};

	(void)state;
	buf_append_str(&out, "x");
	assert_false(hex_decode(TEXT("123"), &out));
	assert_false(hex_decode(TEXT("12zz"), &out));
	assert_bytes(out, "x");
	buf_fini(&out);
}

static void base64_pads_or_not(void **state)
{
	static const struct {
		const char *plain, *padded, *raw;
	} rows[] = {{"", "", ""},
		    {"f", "Zg==", "Zg"},
		    {"fo", "Zm8=", "Zm8"},
		    {"foo", "Zm9v", "Zm9v"},
		    {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		base64_encode(slice_str(rows[i].plain), true, &out);
		assert_string_equal(buf_cstr(&out), rows[i].padded);
		buf_clear(&out);
		base64_encode(slice_str(rows[i].plain), false, &out);
		assert_string_equal(buf_cstr(&out), rows[i].raw);
		buf_clear(&out);
		assert_true(base64_decode(slice_str(rows[i].padded), &out));
		assert_string_equal(buf_cstr(&out), rows[i].plain);
		buf_clear(&out);
		assert_true(base64_decode(slice_str(rows[i].raw), &out));
		assert_string_equal(buf_cstr(&out), rows[i].plain);
		buf_fini(&out);
	}
}

static void malformed_base64_leaves_the_output_alone(void **state)
{
	static const char *const bad[] = {"Z", "Z===", "Zg=", "====", "Zg=g", "Zm9v!", "Zm9\n"};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(base64_decode(slice_str(bad[i]), &out));
		assert_int_equal(out.len, 0);
	}
	buf_fini(&out);
}

static void utf8_knows_its_limits(void **state)
{
	(void)state;
	assert_true(utf8_is_valid(TEXT("")));
	assert_true(utf8_is_valid(TEXT("plain ascii, longer than eight")));
	assert_true(utf8_is_valid(TEXT("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80")));
	assert_true(utf8_is_valid(TEXT("\xf4\x8f\xbf\xbf")));
	assert_false(utf8_is_valid(TEXT("\x80")));
	assert_false(utf8_is_valid(TEXT("12345678\xff")));
	assert_false(utf8_is_valid(TEXT("\xc0\x80")));         /* overlong */
	assert_false(utf8_is_valid(TEXT("\xe0\x80\xaf")));     /* overlong */
	assert_false(utf8_is_valid(TEXT("\xed\xa0\x80")));     /* a surrogate */
	assert_false(utf8_is_valid(TEXT("\xf4\x90\x80\x80"))); /* above U+10FFFF */
	assert_false(utf8_is_valid(TEXT("\xe2\x82")));         /* cut */
	assert_false(utf8_is_valid(TEXT("\xc3(")));
}

static void json_strings_escape_what_they_must(void **state)
{
	struct buf out = {0};

	(void)state;
	json_append_string(&out, TEXT("a\"b\\c\n\t\x01\xc3\xa4/"));
	assert_bytes(out, "\"a\\\"b\\\\c\\n\\t\\u0001\xc3\xa4/\"");
	buf_fini(&out);
}

static void json_values_end_where_they_end(void **state)
{
	(void)state;
	assert_int_equal(json_value_length(TEXT("{\"a\":[1,\"}\"]} rest"), false), 13);
	assert_int_equal(json_value_length(TEXT("  \"x\\\"y\" z"), false), 8);
	assert_int_equal(json_value_length(TEXT("12,"), false), 2);
	assert_int_equal(json_value_length(TEXT("12"), false), -1);
	assert_int_equal(json_value_length(TEXT("12"), true), 2);
	assert_int_equal(json_value_length(TEXT("{\"a\":"), true), -1);
	assert_int_equal(json_value_length(TEXT("\"a"), true), -1);
	assert_int_equal(json_value_length(TEXT("]"), true), 0);
	assert_int_equal(json_value_length(TEXT("{]"), true), 0);
	assert_int_equal(json_value_length(TEXT("  "), true), -1);
	assert_int_equal(json_value_length(TEXT("\x01"), true), 0);
}

static void compacting_keeps_the_spaces_in_strings(void **state)
{
	struct buf out = {0};

	(void)state;
	json_compact(TEXT(" { \"a b\" : [ 1 ,\n 2 ] } "), &out);
	assert_bytes(out, "{\"a b\":[1,2]}");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_goes_there_and_back),
		cmocka_unit_test(malformed_hex_leaves_the_output_alone),
		cmocka_unit_test(base64_pads_or_not),
		cmocka_unit_test(malformed_base64_leaves_the_output_alone),
		cmocka_unit_test(utf8_knows_its_limits),
		cmocka_unit_test(json_strings_escape_what_they_must),
		cmocka_unit_test(json_values_end_where_they_end),
		cmocka_unit_test(compacting_keeps_the_spaces_in_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_format_read.c - layouts, input, and the records that come of it. */
#include <stdio.h>

#include "cli/format.h"
#include "unit.h"
#include "wire/batch.h"

/* Shows a record as text: t=.. p=.. d=.. k=.. v=.. and (name=value) for headers, only what it has. */
static void show(const struct format_input *in, struct buf *out)
{
	struct slice headers = in->headers;
	struct record_header h;

	if (in->has_topic)
		buf_printf(out, "t=%.*s ", (int)in->topic.len, in->topic.data);
	if (in->has_partition)
		buf_printf(out, "p=%d ", in->partition);
	if (in->has_timestamp)
		buf_printf(out, "d=%lld ", (long long)in->timestamp);
	if (in->has_key)
		buf_printf(out, "k=%.*s ", (int)in->key.len, in->key.data);
	while (record_header_next(&headers, &h) > 0)
		buf_printf(out, "(%.*s=%.*s) ", (int)h.name.len, h.name.data, (int)h.value.len,
			   h.value.data);
	buf_printf(out, "v=%.*s;", (int)in->value.len, in->value.data);
}

/* Feeds the input in pieces of step bytes, as a pipe would, and shows every record. An error ends
 * it: "at N: sentence". */
static void read_all(const char *layout, struct slice input, size_t step, struct buf *out)
{
	struct format_reader *r = NULL;
	struct ks_why why = {""};
	size_t pos = 0, have = step < input.len ? step : input.len;

	assert_int_equal(format_reader_new(layout, &r, &why), ERR_NONE);
	while (1) {
		/* A copy of its own, so that the sanitizer sees a read behind its end. */
		uint8_t *copy = xmalloc(have - pos + 1);
		struct format_input in;
		size_t consumed;
		memcpy(copy, input.data + pos, have - pos);
		enum format_result got = format_read(r, slice_of(copy, have - pos),
						     have == input.len, &consumed, &in, &why);
		if (got == FORMAT_RECORD)
			show(&in, out);
		free(copy);
		if (got == FORMAT_BAD)
			buf_printf(out, "at %zu: %s", pos + consumed, why.text);
		if (got == FORMAT_BAD || got == FORMAT_END)
			break;
		if (got == FORMAT_RECORD)
			pos += consumed;
		else
			have = have + step < input.len ? have + step : input.len;
	}
	format_reader_free(r);
}

struct row {
	const char *layout;
	struct slice input;
	const char *shown;
};

static void check(const struct row *rows, size_t count)
{
	static const size_t steps[] = {1000, 1, 3};

	for (size_t i = 0; i < count; i++) {
		for (size_t s = 0; s < 3; s++) {
			struct buf out = {0};
			read_all(rows[i].layout, rows[i].input, steps[s], &out);
			assert_string_equal(buf_cstr(&out), rows[i].shown);
			buf_fini(&out);
		}
	}
}

#define ROW(layout, input, shown)                                                                  \
	{                                                                                          \
		layout, {(const uint8_t *)(input), sizeof(input) - 1}, shown                       \
	}

static void delimited_fields_are_read(void **state)
{
	static const struct row rows[] = {
		ROW("%v\\n", "a\nb\n", "v=a;v=b;"),
		ROW("%v\\n", "a\nb", "v=a;v=b;"),
		ROW("%v\\n", "\n\n", "v=;v=;"),
		ROW("%v\\n", "", ""),
		ROW("%k %v\\n", "k1 v 1\nk2 v 2\n", "k=k1 v=v 1;k=k2 v=v 2;"),
		ROW("%k\\t%v\\n", "\t\n", "k= v=;"),
		ROW("%t/%p %k=%v\\n", "in/3 a=b\n", "t=in p=3 k=a v=b;"),
		ROW("%v\\r\\n", "a\nb\r\nc\r\n", "v=a\nb;v=c;"),
		ROW("%v\\x00", "a\nb\0c\0", "v=a\nb;v=c;"),
		ROW("%k::%v||", "a:b::c|d||x::y||", "k=a:b v=c|d;k=x v=y;"),
		ROW("%k%%%{%v%}\\n", "a%{b}\n", "k=a v=b;"),
		ROW("%d %v\\n", "1644796800123 x\n", "d=1644796800123 v=x;"),
		ROW("%v", "all\nof it\n", "v=all\nof it\n;"),
		ROW("%v;%o %e %x %y\\n", "a;1 2 3 4\n", "v=a;"),
		ROW("id=%k %v\\n", "id=7 x\n", "k=7 v=x;"),
	};

	(void)state;
	check(rows, sizeof rows / sizeof *rows);
}

static void sized_fields_are_read(void **state)
{
	static const struct row rows[] = {
		ROW("%K%V%k%v", "", ""),
		ROW("%K %V %k%v\\n", "3 4 keyv\nal\n1 0 x\n", "k=key v=v\nal;k=x v=;"),
		ROW("%T{4}%K{4}%V{4}%t%k%v", "topckey1val1topckey2val2",
		    "t=topc k=key1 v=val1;t=topc k=key2 v=val2;"),
		ROW("%K{big16} foo %k", "\0\3 foo abc\0\1 foo z", "k=abc v=;k=z v=;"),
		ROW("%V{big64}%v", "\0\0\0\0\0\0\0\2ab", "v=ab;"),
		ROW("%V{big32}%v", "\0\0\0\2ab", "v=ab;"),
		ROW("%V{byte}%v", "\2ab\1c", "v=ab;v=c;"),
		ROW("%V{little64}%v", "\2\0\0\0\0\0\0\0ab", "v=ab;"),
		ROW("%V{little32}%v", "\2\0\0\0ab", "v=ab;"),
		ROW("%V{little16}%v", "\2\0ab", "v=ab;"),
		ROW("%V{hex64}%v", "0000000000000002ab", "v=ab;"),
		ROW("%V{hex32}%v", "00000002ab", "v=ab;"),
		ROW("%V{hex16}%v", "0002ab", "v=ab;"),
		ROW("%V{hex8}%v", "0Aabcdefghij", "v=abcdefghij;"),
		ROW("%V{hex4}%v", "2ab", "v=ab;"),
		ROW("%V{bool} %v\\n", "true x\nfalse \n", "v=x;v=;"),
		ROW("%T %t{hex}%v\\n", "6 666f6fx\n", "t=foo v=x;"),
	};

	(void)state;
	check(rows, sizeof rows / sizeof *rows);
}

static void text_is_decoded(void **state)
{
	static const struct row rows[] = {
		ROW("%k{hex} %v{base64}\\n", "6b6579 dmFsdWU=\n", "k=key v=value;"),
		ROW("%v{json}", "{\"a\": 1}\n {\"b\" :2}\n", "v={\"a\":1};v={\"b\":2};"),
		ROW("%v{json}\\n", "{\n\"a\": 1}\n[ ]\n", "v={\"a\":1};v=[];"),
		ROW("%k %v{json}\\n", "x 12\ny \"a b\"\n", "k=x v=12;k=y v=\"a b\";"),
		ROW("%v{re#...?#}\\n", "ab\nabc\n", "v=ab;v=abc;"),
		ROW("%k{re#[a-z]+#}%v{re([\\d]+)}\\n", "ab12\nc3\n", "k=ab v=12;k=c v=3;"),
		ROW("%k{re#\\d+#}%v\\n", "42rest\n", "k=42 v=rest;"),
		ROW("%k{hex} %v\\n", "xx y\n", "at 0: the key is not hexadecimal"),
		ROW("%v{base64}\\n", "!!\n", "at 0: the value is not base64"),
		ROW("%v{json}\\n", "}\n", "at 0: the value is not JSON"),
		ROW("%v{json}\\n", "[1 2]\n",
		    "at 0: the value: not JSON: ',' or ']' was expected here at byte 3"),
		ROW("%v{json}\\n", "{\"a\":}\n",
		    "at 0: the value: not JSON: a value was expected here at byte 5"),
		ROW("%v{json}\\n", "[1,]\n",
		    "at 0: the value: not JSON: a value was expected here at byte 3"),
		ROW("%v{json}\\n", "nul\n",
		    "at 0: the value: not JSON: a value was expected here at byte 0"),
		ROW("%v{json}\\n", "01\n",
		    "at 0: the value: not JSON: a malformed number at byte 0"),
		ROW("%v{json}\\n", "\"\xff\"\n",
		    "at 0: the value: not JSON: invalid UTF-8 at byte 1"),
		ROW("%v{json}\\n", "\"\\x\"\n",
		    "at 0: the value: not JSON: an escape that JSON does not have at byte 1"),
		ROW("%V{5}%v{json}", "[1 2]",
		    "at 0: the value: not JSON: ',' or ']' was expected here at byte 3"),
		ROW("%v{json}\\n", "{\"a\":", "at 0: the input ends within the value"),
	};

	(void)state;
	check(rows, sizeof rows / sizeof *rows);
}

static void headers_are_read(void **state)
{
	static const struct row rows[] = {
		ROW("%H{3}%h{ %k=%v }%v\\n", " a=1  b=2  c= x\n", "(a=1) (b=2) (c=) v=x;"),
		ROW("%H %h{%k:%v,}%v\\n", "2 a:1,b:2,x\n0 y\n", "(a=1) (b=2) v=x;v=y;"),
		ROW("%H{byte}%h{%K{byte}%k%V{byte}%v}%V{byte}%v", "\1\2ab\1c\1x", "(ab=c) v=x;"),
	};

	(void)state;
	check(rows, sizeof rows / sizeof *rows);
}

/* In a layout of lines the delimiter of the next line is not taken for this one's. */
static void a_bad_line_is_an_error_at_its_place(void **state)
{
	static const struct row rows[] = {
		ROW("%k\\t%v\\n", "a\tb\nbad\nc\td\n", "k=a v=b;at 4: no \"\\t\" behind the key"),
		ROW("%p %v\\n", "x y\n", "at 0: the partition should be digits"),
		ROW("%p %v\\n", "99999999999 y\n", "at 11: the partition is too large"),
		ROW("%d %v\\n", "99999999999999999999 y\n", "at 0: the timestamp is too large"),
		ROW("%k=%p\\n", "a=1x\n",
		    "at 3: something stands between the record and the end of the line"),
		ROW("%p %v\\n", "1,x\n", "at 1: \" \" should stand here"),
		ROW("%K %k", "9 abc", "at 2: the input ends within the key"),
		ROW("%V{big32}%v", "\0\0", "at 0: the input ends within the value's size"),
		ROW("%V{big64}%v", "\1\0\0\0\0\0\0\0", "at 8: the value's size is too large"),
		ROW("%V{hex8}%v", "zz", "at 0: the value's size should be hexadecimal digits"),
		ROW("%V{bool}%v", "maybe", "at 0: the value's size should be true or false"),
		ROW("%H %h{%k:%v,}%v\\n", "1 a,x\n", "at 2: no \":\" behind the header's name"),
		ROW("%k{re#[a-z]#}%v\\n", "1\n",
		    "at 0: the key does not match its regular expression"),
		ROW("x", "xy", "v=;at 1: \"x\" should stand here"),
	};

	(void)state;
	check(rows, sizeof rows / sizeof *rows);
}

static void bad_layouts_say_what_is_wrong(void **state)
{
	static const struct {
		const char *layout, *why;
	} rows[] = {
		{"", "the format is empty"},
		{"%k%v\\n", "where does %k end? Put its size (%K) before it or text after it"},
		{"%k%K\\n", "%K must come before %k"},
		{"%k %k\\n", "%k occurs twice in the format"},
		{"%a %v", "%a can be written but not read: a producer does not set it"},
		{"%z", "unknown verb %z in a format; a percent sign is written %%"},
		{"%h{%k=%v }", "%h needs the number of headers before it: %H, or %H{2} for two"},
		{"%H%h",
		 "%h needs the format of one header in braces, for instance %H{2}%h{%k=%v }"},
		{"%H{1}%h{%p }", NULL},
		{"%H{1}%h{%t=%v }", "%t means nothing within %h{...}: %k, %K, %v and %V do"},
		{"%H{1}%h{%k=%v}",
		 "where does %v end? Put its size (%V) before it or text after it"},
		{"%v{rot13}",
		 "unknown text format %v{rot13} to read: hex, base64, json and re#...# "
		 "are known"},
		{"%v{unpack[i]}",
		 "unknown text format %v{unpack[i]} to read: hex, base64, json and "
		 "re#...# are known"},
		{"%V{hex}%v", "unknown number format %V{hex} to read: ascii, hex4..64, big8..64, "
			      "little8..64, byte, bool and digits are known"},
		{"%k{re[[a-z]+]}", "%k{re needs its argument between #...#, [...], (...) or {...}, "
				   "as many of them before as behind"},
		{"%v{re#(#}", "bad regular expression \"(\": Unmatched ( or \\("},
		{"\\q", "unknown escape \\q in a format: \\t, \\n, \\r, \\\\ and \\xNN are known"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct format_reader *r = NULL;
		struct ks_why why = {""};
		enum ks_err err = format_reader_new(rows[i].layout, &r, &why);
		if (!rows[i].why) {
			assert_int_equal(err, ERR_NONE);
			format_reader_free(r);
			continue;
		}
		assert_int_equal(err, ERR_INVALID_ARGUMENT);
		assert_string_equal(why.text, rows[i].why);
	}
}

static void an_empty_field_is_not_null(void **state)
{
	struct format_reader *r;
	struct format_input in;
	size_t consumed;

	(void)state;
	assert_int_equal(format_reader_new("%k{hex} %v\\n", &r, NULL), ERR_NONE);
	assert_int_equal(format_read(r, TEXT(" \n"), true, &consumed, &in, NULL), FORMAT_RECORD);
	assert_true(in.has_key);
	assert_non_null(in.key.data);
	assert_int_equal(in.key.len, 0);
	assert_non_null(in.value.data);
	assert_false(format_reader_has_topic(r));
	format_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delimited_fields_are_read),
		cmocka_unit_test(sized_fields_are_read),
		cmocka_unit_test(text_is_decoded),
		cmocka_unit_test(headers_are_read),
		cmocka_unit_test(a_bad_line_is_an_error_at_its_place),
		cmocka_unit_test(bad_layouts_say_what_is_wrong),
		cmocka_unit_test(an_empty_field_is_not_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

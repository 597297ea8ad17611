/* test_format_write.c - layouts and what they print, as literals. */
#include "cli/format.h"
#include "unit.h"
#include "wire/batch.h"

/* What every layout below is given. */
static struct format_record record(struct buf *headers)
{
	buf_clear(headers);
	record_header_append(headers, slice_str("h1"), slice_str("one"));
	record_header_append(headers, slice_str("h2"), SLICE_NULL);
	return (struct format_record){.topic = "foo",
				      .partition = 3,
				      .leader_epoch = 7,
				      .header_count = 2,
				      .offset = 258,
				      .timestamp = 1644796800123,
				      .key = TEXT("key"),
				      .value = TEXT("\x01\x02\xff"),
				      .headers = buf_slice(headers),
				      .producer_id = 42,
				      .producer_epoch = 5,
				      .attributes = 0x1c, /* zstd, append time, transactional */
				      .log_start_offset = 10,
				      .last_stable_offset = 20,
				      .high_watermark = 30};
}

/* text NULL: no such layout. */
static const struct {
	const char *layout, *text;
} printed[] = {
	{"%t %p %o", "foo 3 258"},
	{"%k|%K", "key|3"},
	{"%T% t", NULL},
	{"%T %t{hex}", "3 666f6f"},
	{"%v{hex}", "0102ff"},
	{"%v{base64}", "AQL/"},
	{"%k{base64}", "a2V5"},
	{"%t{base64}%t{base64raw}", "Zm9vZm9v"},
	{"%k{json}", "\"key\""},
	{"%v{json}", "{\"base64\":\"AQL/\"}"},
	{"%e %x %y", "7 42 5"},
	{"%[ %| %]", "10 20 30"},
	{"%d", "1644796800123"},
	{"%d{strftime[%F]}", "2022-02-14"},
	{"%d{strftime### [%F %T] ###}", " [2022-02-14 00:00:00] "},
	{"%d{strftime{{%Y}}}", "2022"},
	{"%d{hex64}", "0000017ef5876c7b"},
	{"%a{compression}", "zstd"},
	{"%a{compression;number}", "4"},
	{"%a{compression;hex8}", "04"},
	{"%a{timestamp-type}", "1"},
	{"%a{transactional-bit} %a{transactional-bit;bool}", "1 true"},
	{"%a{control-bit} %a{control-bit;bool}", "0 false"},
	{"%H:%h{ %k=%v}", "2: h1=one h2="},
	{"%h{%K%k{hex}[%V]}", "26831[3]26832[0]"},
	{"%h{<%k{base64}> %% %{x%}}", "<aDE=> % {x}<aDI=> % {x}"},
	{"%o{hex}", "102"},
	{"%o{hex64}", "0000000000000102"},
	{"%o{hex32}", "00000102"},
	{"%o{hex16}", "0102"},
	{"%o{hex8}", "02"},
	{"%o{hex4}", "2"},
	{"%o{bool}%i{ascii}", "true1"},
	{"%% %{ %}", "% { }"},
	{"a\\tb\\n\\r\\\\\\x41\\x7a", "a\tb\n\r\\Az"},
	{"%v{unpack[bB]}", "12"},
	{"%v{unpack[>H]}", "258"},
	{"%v{unpack[<Hb]}", "513-1"},
	{"%v{unpack[xB<h]}", "1-254"},
	{"%v{unpack[I]}", "%!I(have 3 bytes, need 4)"},
	{"%v{unpack[B$]}", "1%!$(2 bytes left)"},
	{"%k{unpack[c.s$]}", "key"},
	{"%k{unpack[ccc.]}", "key%!.(no bytes left)"},
	{"plain", "plain"},
};

static void layouts_print_what_rpk_prints(void **state)
{
	struct buf headers = {0}, out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
		struct format_record r = record(&headers);
		struct format_writer *w = NULL;
		struct ks_why why;
		enum ks_err err = format_writer_new(printed[i].layout, &w, &why);
		if (!printed[i].text) {
			assert_int_equal(err, ERR_INVALID_ARGUMENT);
			continue;
		}
		if (err)
			fail_msg("%s: %s", printed[i].layout, why.text);
		buf_clear(&out);
		format_write(w, &r, &out);
		assert_string_equal(buf_cstr(&out), printed[i].text);
		format_writer_free(w);
	}
	buf_fini(&headers);
	buf_fini(&out);
}

static void numbers_print_as_bytes_of_either_order(void **state)
{
	struct buf headers = {0}, out = {0};
	struct format_record r = record(&headers);
	struct format_writer *w;

	(void)state;
	assert_int_equal(
		format_writer_new(
			"%o{big64}%o{big32}%o{big16}%o{big8}%o{byte}%o{little8}%o{little16}"
			"%o{little32}%o{little64}",
			&w, NULL),
		ERR_NONE);
	format_write(w, &r, &out);
	assert_bytes(out, "\0\0\0\0\0\0\1\2"
			  "\0\0\1\2"
			  "\1\2"
			  "\2"
			  "\2"
			  "\2"
			  "\2\1"
			  "\2\1\0\0"
			  "\2\1\0\0\0\0\0\0");
	format_writer_free(w);
	buf_fini(&headers);
	buf_fini(&out);
}

static void a_count_grows_with_every_record(void **state)
{
	struct buf headers = {0}, out = {0};
	struct format_record r = record(&headers);
	struct format_writer *w;

	(void)state;
	assert_int_equal(format_writer_new("%i ", &w, NULL), ERR_NONE);
	for (int i = 0; i < 3; i++)
		format_write(w, &r, &out);
	assert_bytes(out, "1 2 3 ");
	format_writer_free(w);
	buf_fini(&headers);
	buf_fini(&out);
}

static void null_keys_print_as_nothing_and_json_null(void **state)
{
	struct buf headers = {0}, out = {0};
	struct format_record r = record(&headers);
	struct format_writer *w;

	(void)state;
	r.key = SLICE_NULL;
	assert_int_equal(format_writer_new("<%k%k{hex}%k{base64}> %K %k{json}", &w, NULL),
			 ERR_NONE);
	format_write(w, &r, &out);
	assert_bytes(out, "<> 0 null");
	format_writer_free(w);
	buf_fini(&headers);
	buf_fini(&out);
}

static void negative_timestamps_print(void **state)
{
	struct buf headers = {0}, out = {0};
	struct format_record r = record(&headers);
	struct format_writer *w;

	(void)state;
	r.timestamp = -1;
	assert_int_equal(format_writer_new("%d %d{strftime[%FT%TZ]}", &w, NULL), ERR_NONE);
	format_write(w, &r, &out);
	assert_bytes(out, "-1 1969-12-31T23:59:59Z");
	format_writer_free(w);
	buf_fini(&headers);
	buf_fini(&out);
}

static void bad_layouts_say_what_is_wrong(void **state)
{
	static const struct {
		const char *layout, *why;
	} rows[] = {
		{"%", "a format ends with a lone %"},
		{"\\", "a format ends with a lone backslash"},
		{"\\q", "unknown escape \\q in a format: \\t, \\n, \\r, \\\\ and \\xNN are known"},
		{"\\x4", "\\x in a format needs two hexadecimal digits"},
		{"%z", "unknown verb %z in a format; a percent sign is written %%"},
		{"%v{hex", "no closing brace behind %v{ in a format"},
		{"%v{rot13}", "unknown text format %v{rot13}: hex, base64, base64raw, json and "
			      "unpack[...] are known"},
		{"%o{big7}", "unknown number format %o{big7}: ascii, hex, hex4..64, big8..64, "
			     "little8..64, byte and bool are known"},
		{"%d{go[2006]}", "%d{go...} is not supported: write the time with strftime, for "
				 "instance %d{strftime[%FT%TZ]}"},
		{"%d{noon}", "unknown time format %d{noon}: strftime[...] and the number formats "
			     "are known"},
		{"%a", "%a needs one of {compression}, {timestamp-type}, {transactional-bit} and "
		       "{control-bit}"},
		{"%a{compression;x}", "unknown number format in %a{compression;x}"},
		{"%h", "%h needs the format of one header in braces, for instance %h{%k=%v }"},
		{"%v{unpack[z]}", "unknown character 'z' in unpack[z]"},
		{"%v{unpack[sb]}", "nothing may follow 's' in unpack[sb]"},
		{"%v{unpack}",
		 "%v{unpack needs its argument between #...#, [...], (...) or {...}, as many "
		 "of them before as behind"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct format_writer *w = NULL;
		struct ks_why why = {""};
		assert_int_equal(format_writer_new(rows[i].layout, &w, &why), ERR_INVALID_ARGUMENT);
		assert_string_equal(why.text, rows[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_print_what_rpk_prints),
		cmocka_unit_test(numbers_print_as_bytes_of_either_order),
		cmocka_unit_test(a_count_grows_with_every_record),
		cmocka_unit_test(null_keys_print_as_nothing_and_json_null),
		cmocka_unit_test(negative_timestamps_print),
		cmocka_unit_test(bad_layouts_say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

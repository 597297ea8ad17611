/* Records as consume shows them: JSON, metadata, several lines, and bytes that a terminal must not get. */
#include "cli/record_print.h"
#include "unit.h"
#include "wire/batch.h"

static struct format_record record(void)
{
	return (struct format_record){.topic = "in",
				      .partition = 1,
				      .offset = 7,
				      .timestamp = 1644796800123,
				      .key = TEXT("k"),
				      .value = TEXT("{\"a\":1}")};
}

static const char *json(const struct format_record *r, struct json_style style, struct buf *out)
{
	buf_clear(out);
	record_print_json(r, style, out);
	return buf_cstr(out);
}

static void json_has_the_fields_of_rpk(void **state)
{
	struct format_record r = record();
	struct json_style plain = {false, false};
	struct buf out = {0}, headers = {0};

	(void)state;
	assert_string_equal(json(&r, plain, &out),
			    "{\"topic\":\"in\",\"key\":\"k\",\"value\":\"{\\\"a\\\":1}\","
			    "\"timestamp\":1644796800123,\"partition\":1,\"offset\":7}\n");
	record_header_append(&headers, slice_str("h"), slice_str("x"));
	record_header_append(&headers, slice_str("n"), SLICE_NULL);
	r.headers = buf_slice(&headers);
	r.header_count = 2;
	r.key = SLICE_NULL;
	r.value = SLICE_NULL;
	assert_string_equal(json(&r, plain, &out),
			    "{\"topic\":\"in\",\"key\":null,\"value\":null,\"headers\":["
			    "{\"key\":\"h\",\"value\":\"x\"},{\"key\":\"n\",\"value\":null}],"
			    "\"timestamp\":1644796800123,\"partition\":1,\"offset\":7}\n");
	buf_fini(&out);
	buf_fini(&headers);
}

static void bytes_that_are_no_text_are_base64_and_say_so(void **state)
{
	struct format_record r = record();
	struct buf out = {0};

	(void)state;
	r.value = TEXT("\xff\x00");
	assert_string_equal(json(&r, (struct json_style){false, false}, &out),
			    "{\"topic\":\"in\",\"key\":\"k\",\"value\":\"/wA=\","
			    "\"value_encoding\":\"base64\",\"timestamp\":1644796800123,"
			    "\"partition\":1,\"offset\":7}\n");
	buf_fini(&out);
}

static void meta_shows_the_size_alone(void **state)
{
	struct format_record r = record();
	struct buf out = {0};

	(void)state;
	assert_string_equal(json(&r, (struct json_style){false, true}, &out),
			    "{\"topic\":\"in\",\"key\":\"k\",\"value_size\":7,"
			    "\"timestamp\":1644796800123,\"partition\":1,\"offset\":7}\n");
	buf_fini(&out);
}

static void pretty_takes_several_lines(void **state)
{
	struct format_record r = record();
	struct buf out = {0}, headers = {0};

	(void)state;
	record_header_append(&headers, slice_str("h"), slice_str("x"));
	r.headers = buf_slice(&headers);
	r.header_count = 1;
	assert_string_equal(json(&r, (struct json_style){true, false}, &out),
			    "{\n"
			    "  \"topic\": \"in\",\n"
			    "  \"key\": \"k\",\n"
			    "  \"value\": \"{\\\"a\\\":1}\",\n"
			    "  \"headers\": [\n"
			    "    {\n"
			    "      \"key\": \"h\",\n"
			    "      \"value\": \"x\"\n"
			    "    }\n"
			    "  ],\n"
			    "  \"timestamp\": 1644796800123,\n"
			    "  \"partition\": 1,\n"
			    "  \"offset\": 7\n"
			    "}\n");
	buf_fini(&out);
	buf_fini(&headers);
}

static const char *kcat(const struct format_record *r, bool is_pretty, struct buf *out)
{
	buf_clear(out);
	record_print_kcat(r, (struct json_style){.is_pretty = is_pretty}, out);
	return buf_cstr(out);
}

static void kcats_envelope_has_its_fields_in_its_order(void **state)
{
	struct format_record r = record();
	struct buf out = {0}, headers = {0};

	(void)state;
	r.broker = 3;
	assert_string_equal(kcat(&r, false, &out),
			    "{\"topic\":\"in\",\"partition\":1,\"offset\":7,\"tstype\":\"create\","
			    "\"ts\":1644796800123,\"broker\":3,\"key\":\"k\","
			    "\"payload\":\"{\\\"a\\\":1}\"}\n");
	record_header_append(&headers, slice_str("h"), slice_str("x"));
	record_header_append(&headers, slice_str("n"), SLICE_NULL);
	record_header_append(&headers, slice_str("h"), TEXT("\xff"));
	r.headers = buf_slice(&headers);
	r.header_count = 3;
	r.attributes = 8;
	r.key = SLICE_NULL;
	r.value = SLICE_NULL;
	assert_string_equal(
		kcat(&r, false, &out),
		"{\"topic\":\"in\",\"partition\":1,\"offset\":7,\"tstype\":"
		"\"logappend\",\"ts\":1644796800123,\"broker\":3,\"headers\":[\"h\",\"x\","
		"\"n\",null,\"h\",{\"base64\":\"/w==\"}],\"key\":null,"
		"\"payload\":null}\n");
	buf_fini(&out);
	buf_fini(&headers);
}

static void kcats_envelope_can_be_pretty_and_has_no_broken_bytes(void **state)
{
	struct format_record r = record();
	struct buf out = {0}, headers = {0};

	(void)state;
	record_header_append(&headers, slice_str("h"), slice_str("x"));
	r.headers = buf_slice(&headers);
	r.header_count = 1;
	r.broker = -1;
	r.value = TEXT("\xff\x00");
	assert_string_equal(kcat(&r, true, &out), "{\n"
						  "  \"topic\": \"in\",\n"
						  "  \"partition\": 1,\n"
						  "  \"offset\": 7,\n"
						  "  \"tstype\": \"create\",\n"
						  "  \"ts\": 1644796800123,\n"
						  "  \"broker\": -1,\n"
						  "  \"headers\": [\n"
						  "    \"h\",\n"
						  "    \"x\"\n"
						  "  ],\n"
						  "  \"key\": \"k\",\n"
						  "  \"payload\": \"/wA=\",\n"
						  "  \"payload_encoding\": \"base64\"\n"
						  "}\n");
	buf_fini(&out);
	buf_fini(&headers);
}

static void lines_show_what_a_terminal_could_not(void **state)
{
	struct format_record r = record();
	struct buf out = {0};

	(void)state;
	record_print_line(&r, false, &out);
	assert_string_equal(buf_cstr(&out), "in/1 7 2022-02-14T00:00:00.123Z k {\"a\":1}\n");
	buf_clear(&out);
	r.key = SLICE_NULL;
	r.value = TEXT("a\033[31m\n\xc3\xa4");
	record_print_line(&r, false, &out);
	assert_string_equal(buf_cstr(&out),
			    "in/1 7 2022-02-14T00:00:00.123Z a\\x1b[31m\\x0a\xc3\xa4\n");
	buf_clear(&out);
	r.value = SLICE_NULL;
	r.timestamp = -1;
	record_print_line(&r, false, &out);
	assert_string_equal(buf_cstr(&out), "in/1 7 - (null)\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_fields_of_rpk),
		cmocka_unit_test(bytes_that_are_no_text_are_base64_and_say_so),
		cmocka_unit_test(meta_shows_the_size_alone),
		cmocka_unit_test(pretty_takes_several_lines),
		cmocka_unit_test(kcats_envelope_has_its_fields_in_its_order),
		cmocka_unit_test(kcats_envelope_can_be_pretty_and_has_no_broken_bytes),
		cmocka_unit_test(lines_show_what_a_terminal_could_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

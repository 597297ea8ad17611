/* Tables for people and for programs: alignment, wide columns, JSON names, foreign text. */
#include "cli/table.h"
#include "unit.h"

static const struct column columns[] = {{"TOPIC", CELL_TEXT, false},
					{"HIGH-WATERMARK", CELL_NUMBER, false},
					{"SIZE-BYTES", CELL_NUMBER, true},
					{"INTERNAL", CELL_BOOL, true}};

static struct table *two_rows(void)
{
	struct table *t = table_new(columns, 4);

	table_text(t, "orders \"a\"");
	table_number(t, 12);
	table_number(t, 3456);
	table_bool(t, false);
	table_text(t, NULL);
	table_number(t, -1);
	table_number(t, 0);
	table_bool(t, true);
	return t;
}

static void columns_are_aligned_and_wide_ones_hidden(void **state)
{
	struct table *t = two_rows();
	struct buf out = {0};

	(void)state;
	assert_int_equal(table_rows(t), 2);
	table_write(t, OUTPUT_TEXT, &out);
	assert_string_equal(buf_cstr(&out), "TOPIC       HIGH-WATERMARK\n"
					    "orders \"a\"              12\n"
					    "-                       -1\n");
	buf_clear(&out);
	table_write(t, OUTPUT_WIDE, &out);
	assert_string_equal(buf_cstr(&out), "TOPIC       HIGH-WATERMARK  SIZE-BYTES  INTERNAL\n"
					    "orders \"a\"              12        3456  false\n"
					    "-                       -1           0  true\n");
	buf_fini(&out);
	table_free(t);
}

static void json_has_every_column_in_snake_case(void **state)
{
	struct table *t = two_rows();
	struct buf out = {0};

	(void)state;
	table_write(t, OUTPUT_JSON, &out);
	assert_string_equal(
		buf_cstr(&out),
		"[{\"topic\":\"orders \\\"a\\\"\",\"high_watermark\":12,\"size_bytes\":3456,"
		"\"internal\":false},\n"
		" {\"topic\":null,\"high_watermark\":-1,\"size_bytes\":0,\"internal\":true}]\n");
	buf_fini(&out);
	table_free(t);
}

static void a_table_without_rows_has_its_headers(void **state)
{
	struct table *t = table_new(columns, 2);
	struct buf out = {0};

	(void)state;
	table_write(t, OUTPUT_TEXT, &out);
	table_write(t, OUTPUT_JSON, &out);
	assert_string_equal(buf_cstr(&out), "TOPIC  HIGH-WATERMARK\n[]\n");
	buf_fini(&out);
	table_free(t);
}

static void characters_count_not_bytes(void **state)
{
	static const struct column two[] = {{"A", CELL_TEXT, false}, {"B", CELL_TEXT, false}};
	struct table *t = table_new(two, 2);
	struct buf out = {0};

	(void)state;
	table_text(t, "\xc3\xa4\xc3\xa4");
	table_text(t, "x");
	table_text(t, "abc");
	table_text(t, "y");
	table_write(t, OUTPUT_TEXT, &out);
	assert_string_equal(buf_cstr(&out), "A    B\n\xc3\xa4\xc3\xa4   x\nabc  y\n");
	buf_fini(&out);
	table_free(t);
}

static void output_formats_have_names(void **state)
{
	(void)state;
	assert_int_equal(output_from_name("text"), OUTPUT_TEXT);
	assert_int_equal(output_from_name("wide"), OUTPUT_WIDE);
	assert_int_equal(output_from_name("json"), OUTPUT_JSON);
	assert_int_equal(output_from_name("yaml"), -1);
}

static void what_a_stranger_called_something_does_nothing_to_the_terminal(void **state)
{
	static const struct column name[] = {{"GROUP", CELL_TEXT, false}};
	struct table *t = table_new(name, 1);
	struct buf out = {0};

	(void)state;
	table_text(t, "a\033[2Jb\n");
	table_text(t, "caf\xc3\xa9\xc2\x9b"); /* the last one: CSI as one character */
	table_text(t, "\xff\xfex");           /* no UTF-8 */
	table_write(t, OUTPUT_TEXT, &out);
	assert_string_equal(buf_cstr(&out), "GROUP\na?[2Jb?\ncaf\xc3\xa9?\n??x\n");
	buf_clear(&out);
	table_write(t, OUTPUT_JSON, &out);
	assert_string_equal(buf_cstr(&out), "[{\"group\":\"a\\u001b[2Jb\\n\"},\n"
					    " {\"group\":\"caf\xc3\xa9\xc2\x9b\"},\n"
					    " {\"group\":\"??x\"}]\n");
	buf_fini(&out);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_and_wide_ones_hidden),
		cmocka_unit_test(json_has_every_column_in_snake_case),
		cmocka_unit_test(a_table_without_rows_has_its_headers),
		cmocka_unit_test(characters_count_not_bytes),
		cmocka_unit_test(what_a_stranger_called_something_does_nothing_to_the_terminal),
		cmocka_unit_test(output_formats_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

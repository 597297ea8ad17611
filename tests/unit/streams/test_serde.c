/* Data to bytes and back. */
#include "tests/unit/streams/rig.h"

#include "streams/time_text.h"

struct fixture {
	struct arena arena;
	struct record_context ctx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->ctx = (struct record_context){.parser = doc_parser_new(), .arena = &f->arena};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	doc_parser_free(f->ctx.parser);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

/* Text with the padding that a parser may read. */
static struct slice padded(struct fixture *f, const char *text)
{
	return slice_of(arena_strdup(&f->arena, text), strlen(text));
}

static struct datum json(struct fixture *f, const char *text)
{
	return (struct datum){.kind = DATUM_JSON, .bytes = padded(f, text)};
}

static struct datum string(const char *text)
{
	return (struct datum){.kind = DATUM_STRING, .bytes = slice_str(text)};
}

static void assert_encodes(struct fixture *f, enum serde s, struct datum d, const char *expected)
{
	struct slice out;
	struct ks_why why = {""};

	assert_int_equal(datum_encode(&f->ctx, s, &d, &out, &why), 0);
	char *text = xasprintf("%.*s", (int)out.len, (const char *)out.data);
	assert_string_equal(text, expected);
	free(text);
}

static void assert_refuses(struct fixture *f, enum serde s, struct datum d, const char *message)
{
	struct slice out;
	struct ks_why why = {""};

	assert_int_equal(datum_encode(&f->ctx, s, &d, &out, &why), ERR_ENCODE);
	assert_string_equal(why.text, message);
}

static void untouched_json_is_not_even_looked_at(void **state)
{
	assert_encodes(*state, SERDE_JSON, json(*state, "{oops"), "{oops");
	assert_encodes(*state, SERDE_BYTES, json(*state, " [1.0] "), " [1.0] ");
}

static void scalars_become_json(void **state)
{
	struct datum i = {.kind = DATUM_I64, .i64 = -5}, f = {.kind = DATUM_F64, .f64 = 2};

	assert_encodes(*state, SERDE_JSON, i, "-5");
	assert_encodes(*state, SERDE_JSON, f, "2.0");
	assert_encodes(*state, SERDE_JSON, string("a\"b"), "\"a\\\"b\"");
	f.f64 = 1.0 / 0.0;
	assert_refuses(*state, SERDE_JSON, f, "inf cannot be written as json");
}

static void strings_take_strings_and_numbers(void **state)
{
	struct datum i = {.kind = DATUM_I64, .i64 = 7};

	assert_encodes(*state, SERDE_STRING, string("x"), "x");
	assert_encodes(*state, SERDE_STRING, i, "7");
	assert_encodes(*state, SERDE_STRING, json(*state, "\"x\\u0041\""), "xA");
	assert_refuses(*state, SERDE_STRING, json(*state, "{}"),
		       "an object cannot be written as string");
}

static void bytes_that_are_not_utf8_do_not_become_json(void **state)
{
	struct datum d = {.kind = DATUM_BYTES, .bytes = slice_str("\xff\xfe")};

	assert_refuses(*state, SERDE_JSON, d, "bytes that are not UTF-8 cannot be written as json");
	d.bytes = slice_str("gr\xc3\xbc\xc3\x9f");
	assert_encodes(*state, SERDE_JSON, d, "\"gr\xc3\xbc\xc3\x9f\"");
	d.bytes = slice_str("\xed\xa0\x80"); /* half of a pair */
	assert_refuses(*state, SERDE_JSON, d, "bytes that are not UTF-8 cannot be written as json");
}

static void numbers_are_eight_bytes_as_in_java(void **state)
{
	struct fixture *f = *state;
	struct datum d = {.kind = DATUM_I64, .i64 = 258}, back;
	struct slice out;
	struct ks_why why = {""};

	assert_int_equal(datum_encode(&f->ctx, SERDE_I64, &d, &out, &why), 0);
	assert_memory_equal(out.data, "\0\0\0\0\0\0\1\2", 8);
	assert_int_equal(datum_decode(SERDE_I64, out, &back, &why), 0);
	assert_int_equal(back.i64, 258);
	assert_int_equal(datum_decode(SERDE_F64, slice_str("1234"), &back, &why), ERR_DECODE);
	assert_string_equal(why.text, "f64 needs 8 bytes, there are 4");
	assert_refuses(f, SERDE_I64, string("7"), "a string cannot be written as i64");
	d = (struct datum){.kind = DATUM_F64, .f64 = 1.5};
	assert_refuses(f, SERDE_I64, d, "a float cannot be written as i64");
	assert_int_equal(datum_encode(&f->ctx, SERDE_F64, &d, &out, &why), 0);
	assert_memory_equal(out.data, "\x3f\xf8\0\0\0\0\0\0", 8);
}

static void null_stays_null_in_every_serde(void **state)
{
	struct fixture *f = *state;
	struct datum d = {.kind = DATUM_I64};
	struct slice out;

	for (int s = 0; s < SERDE_COUNT; s++) {
		assert_int_equal(datum_decode((enum serde)s, SLICE_NULL, &d, NULL), 0);
		assert_int_equal(d.kind, DATUM_NULL);
		assert_int_equal(datum_encode(&f->ctx, (enum serde)s, &d, &out, NULL), 0);
		assert_null(out.data);
	}
}

static void a_path_finds_scalars_and_text(void **state)
{
	struct fixture *f = *state;
	struct datum d = json(f, "{\"a\":{\"b\":[1,\"x\",{\"c\":2.5}]},\"n\":null}"), out;
	static const struct {
		const char *path;
		enum datum_kind kind;
	} cases[] = {{"a.b[0]", DATUM_I64},
		     {"a.b[1]", DATUM_STRING},
		     {"a.b[2].c", DATUM_F64},
		     {"a.b[2]", DATUM_JSON},
		     {"n", DATUM_NULL}};
	bool found;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct doc_path *p = doc_path_new(cases[i].path, NULL);
		assert_int_equal(datum_path(&f->ctx, &d, p, &out, &found, NULL), 0);
		assert_true(found);
		assert_int_equal(out.kind, cases[i].kind);
		doc_path_free(p);
	}
	struct doc_path *p = doc_path_new("a.z", NULL);
	struct ks_why why = {""};
	assert_int_equal(datum_path(&f->ctx, &d, p, &out, &found, NULL), 0);
	assert_false(found);
	d = string("text");
	assert_int_equal(datum_path(&f->ctx, &d, p, &out, &found, &why), ERR_DECODE);
	assert_string_equal(why.text, "a string has no members to look at; only json has");
	doc_path_free(p);
}

static void names_of_serdes(void **state)
{
	enum serde s;

	(void)state;
	assert_true(serde_from_name("f64", &s));
	assert_int_equal(s, SERDE_F64);
	assert_false(serde_from_name("avro", &s));
	assert_null(serde_names[SERDE_COUNT]);
}

static void times_as_text(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"1970-01-01", 0},
		{"2024-02-29T00:00:00Z", 1709164800000},
		{"2024-05-01T12:00:00.5Z", 1714564800500},
		{"2024-05-01 14:00+0200", 1714564800000},
		{"2024-05-01T07:30:00-04:30", 1714564800000},
		{"1969-12-31T23:59:59.999Z", -1},
	};
	static const char *const bad[] = {"",
					  "2024",
					  "2023-02-29",
					  "2024-13-01",
					  "2024-05-01T25:00:00Z",
					  "2024-05-01T12:00:00X",
					  "2024-05-01T12:00:00Z "};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(time_from_iso(slice_str(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(time_from_iso(slice_str(bad[i]), &ms));
}

#define SERDE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERDE(untouched_json_is_not_even_looked_at),
		SERDE(scalars_become_json),
		SERDE(strings_take_strings_and_numbers),
		SERDE(bytes_that_are_not_utf8_do_not_become_json),
		SERDE(numbers_are_eight_bytes_as_in_java),
		SERDE(null_stays_null_in_every_serde),
		SERDE(a_path_finds_scalars_and_text),
		SERDE(names_of_serdes),
		SERDE(times_as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

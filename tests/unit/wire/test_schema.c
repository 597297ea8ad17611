/* test_schema.c - the codec on small tables made for it, byte by byte. */
#include "unit.h"

#include "tests/unit/wire/values.h"
#include "wire/varint.h"

/* Version 0 and 1 are old, 2 and 3 flexible. */
#define FLEXIBLE 2

struct point {
	int32_t x, y;
};

static const struct wire_desc *point_desc(void)
{
	static const struct wire_field fields[] = {
		{.kind = WIRE_INT32, .offset = offsetof(struct point, x)},
		{.kind = WIRE_INT32, .offset = offsetof(struct point, y), .since = 1, .dflt = -7},
	};
	static const struct wire_desc desc = {"point", fields, 2, sizeof(struct point)};
	return &desc;
}

struct sample {
	bool flag;
	int8_t tiny;
	int16_t small;
	int64_t large;
	struct wire_uuid id;
	struct slice name, note, blob;
	struct {
		int32_t *v;
		int32_t n;
	} numbers;
	struct {
		struct point *v;
		int32_t n;
	} points;
	struct point *corner, *origin;
	struct wire_records records;
	int16_t tagged_number;
	struct slice tagged_name;
	struct {
		struct point *v;
		int32_t n;
	} tagged_points;
	struct point *tagged_corner;
};

#define AT(member) .offset = offsetof(struct sample, member)

static const struct wire_desc *sample_desc(void)
{
	static const struct wire_field fields[] = {
		{.kind = WIRE_BOOL, AT(flag)},
		{.kind = WIRE_INT8, AT(tiny)},
		{.kind = WIRE_INT16, AT(small), .until = 3, .dflt = 300},
		{.kind = WIRE_INT64, AT(large)},
		{.kind = WIRE_UUID, AT(id), .since = 1},
		{.kind = WIRE_STRING, AT(name)},
		{.kind = WIRE_STRING, AT(note), .null_since = 1},
		{.kind = WIRE_BYTES, AT(blob), .null_since = 2},
		{.kind = WIRE_INT32, .is_array = true, AT(numbers), .null_since = 1},
		{.kind = WIRE_STRUCT, .is_array = true, AT(points), .sub = point_desc},
		{.kind = WIRE_STRUCT, .is_nested = true, AT(corner), .sub = point_desc},
		{.kind = WIRE_STRUCT,
		 .is_nested = true,
		 AT(origin),
		 .sub = point_desc,
		 .null_since = 1},
		{.kind = WIRE_RECORDS, AT(records), .null_since = 1},
		{.kind = WIRE_INT16, AT(tagged_number), .since = 2, .tag = 1, .dflt = 5},
		{.kind = WIRE_STRING, AT(tagged_name), .since = 2, .tag = 2},
		{.kind = WIRE_STRUCT,
		 .is_array = true,
		 AT(tagged_points),
		 .since = 2,
		 .tag = 4,
		 .sub = point_desc},
		{.kind = WIRE_STRUCT,
		 .is_nested = true,
		 AT(tagged_corner),
		 .since = 3,
		 .tag = 5,
		 .sub = point_desc},
	};
	static const struct wire_desc desc = {"sample", fields, sizeof fields / sizeof *fields,
					      sizeof(struct sample)};
	return &desc;
}

/* Reads bytes from memory of their own size; what was read lies in *state. */
struct fixture {
	struct arena arena;
	uint8_t *bytes;
	struct sample sample;
};

static enum ks_err read_as(struct fixture *f, struct slice bytes, int16_t version, size_t arena_max)
{
	struct wire_reader r;

	free(f->bytes);
	f->bytes = exact_copy(bytes);
	memset(&f->sample, 0xa5, sizeof f->sample);
	wire_reader_init(&r, slice_of(f->bytes, bytes.len), version, FLEXIBLE, &f->arena,
			 arena_max);
	return wire_read(&r, sample_desc(), &f->sample);
}

static int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct fixture));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	free(f->bytes);
	free(f);
	return 0;
}

static void assert_written(const struct sample *s, int16_t version, struct slice expected)
{
	struct wire_out out = {0};
	struct buf bytes = {0};

	wire_write(&out, sample_desc(), s, version, FLEXIBLE);
	out_flatten(&out, &bytes);
	assert_int_equal(bytes.len, expected.len);
	assert_memory_equal(bytes.data, expected.data, expected.len);
	assert_int_equal(out.total, expected.len);
	buf_fini(&bytes);
	wire_out_fini(&out);
}

/* --- formats --- */

static int32_t numbers[] = {1, -1};
static struct point points[] = {{16, 17}};
static struct point corner = {32, 33};
static struct wire_ref pieces[] = {{NULL, BYTES_INIT("ab")}, {NULL, BYTES_INIT("c")}};

/* Everything is set, for versions before 3. */
static const struct sample everything = {
	.flag = true,
	.tiny = -2,
	.small = 0x1234,
	.large = 0x0102030405060708,
	.id = {"0123456789abcde"},
	.name = BYTES_INIT("nm"),
	.note = BYTES_INIT(""),
	.blob = BYTES_INIT("\xff"),
	.numbers = {numbers, 2},
	.points = {points, 1},
	.corner = &corner,
	.origin = &corner,
	.records = {pieces, 2},
	.tagged_number = 6,
	.tagged_name = BYTES_INIT("t"),
	.tagged_points = {points, 1},
};

#define NUMBERS "\1\xfe\x12\x34\1\2\3\4\5\6\7\x08"
#define OLD_V0                                                                                     \
	NUMBERS "\0\2nm\0\0\0\0\0\1\xff\0\0\0\2\0\0\0\1\xff\xff\xff\xff"                           \
		"\0\0\0\1\0\0\0\x10\0\0\0\x20\1\0\0\0\x20\0\0\0\3"                                 \
		"abc"
#define FLEXIBLE_V2                                                                                \
	NUMBERS "0123456789abcde\0"                                                                \
		"\3nm\1\2\xff\3\0\0\0\1\xff\xff\xff\xff\2\0\0\0\x10\0\0\0\x11\0"                   \
		"\0\0\0\x20\0\0\0\x21\0\1\0\0\0\x20\0\0\0\x21\0\4"                                 \
		"abc\3\0\2\0\6\1\2\2t\3\x0a\2\0\0\0\x10\0\0\0\x11\0"

static void old_versions_have_fixed_lengths_and_no_tags(void **state)
{
	(void)state;
	assert_written(&everything, 0, BYTES(OLD_V0));
}

static void flexible_versions_have_compact_lengths_and_tags(void **state)
{
	(void)state;
	assert_written(&everything, 2, BYTES(FLEXIBLE_V2));
}

static void what_was_written_is_read(void **state)
{
	struct fixture *f = *state;
	struct sample expected = everything;

	assert_int_equal(read_as(f, BYTES(FLEXIBLE_V2), 2, 4096), ERR_NONE);
	assert_true(value_equal(sample_desc(), 2, &f->sample, &expected));
	assert_int_equal(f->sample.records.n, 1);

	/* Version 0 has no id, no second coordinate and no tags; null blobs come later. */
	struct point short_corner = {32, -7}, short_points[] = {{16, -7}};
	expected.id = (struct wire_uuid){{0}};
	expected.points.v = short_points;
	expected.corner = expected.origin = &short_corner;
	expected.tagged_number = 5;
	expected.tagged_name = SLICE_NULL;
	expected.tagged_points.n = 0;
	assert_int_equal(read_as(f, BYTES(OLD_V0), 0, 4096), ERR_NONE);
	assert_true(value_equal(sample_desc(), 0, &f->sample, &expected));
}

static void a_field_that_the_version_lacks_is_not_written_and_read_as_its_default(void **state)
{
	struct fixture *f = *state;
	struct wire_out out = {0};

	wire_write(&out, sample_desc(), &everything, 3, FLEXIBLE);
	assert_int_equal(read_as(f, buf_slice(&out.bytes), 3, 4096), ERR_NONE);
	assert_int_equal(f->sample.small, 300);
	assert_int_equal(f->sample.tiny, -2);
	wire_out_fini(&out);
}

static const struct sample nothing = {.small = 300, .tagged_number = 5};

static void nothing_is_written_as_null_where_it_may_be_and_as_empty_elsewhere(void **state)
{
	struct sample s = nothing;

	(void)state;
	s.numbers.n = -1;
	s.points.n = -1;
	s.records.n = -1;
	assert_written(&s, 0,
		       BYTES("\0\0\x01\x2c\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff"
			     "\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff"));
	/* The corner that is missing has its defaults: 0, -7. */
	assert_written(&s, 2,
		       BYTES("\0\0\x01\x2c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0"
			     "\0\1\0\0\0\0\xff\xff\xff\xf9\0\xff\0\0"));
}

static void null_is_read_where_it_may_be(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		read_as(f,
			BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff"
			      "\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff"),
			0, 4096),
		ERR_NONE);
	assert_null(f->sample.note.data);
	assert_non_null(f->sample.name.data);
	assert_non_null(f->sample.blob.data);
	assert_int_equal(f->sample.numbers.n, -1);
	assert_int_equal(f->sample.points.n, 0);
	assert_null(f->sample.origin);
	assert_int_equal(f->sample.records.n, -1);
}

static void a_tagged_field_with_its_default_is_left_out(void **state)
{
	struct wire_out out = {0}, without = {0};
	struct sample s = nothing;

	(void)state;
	wire_write(&without, sample_desc(), &s, 3, FLEXIBLE);
	s.tagged_number = 0;
	wire_write(&out, sample_desc(), &s, 3, FLEXIBLE);
	/* Tag, size, two bytes. */
	assert_int_equal(out.total, without.total + 4);
	assert_memory_equal(out.bytes.data + out.total - 5, "\1\0\2\0\0", 5);
	wire_out_fini(&out);
	wire_out_fini(&without);
}

static void a_default_array_is_null_when_its_table_says_so(void **state)
{
	static const struct wire_field fields[] = {
		{.kind = WIRE_INT32, .is_array = true, .null_since = 1, .dflt = -1}};
	static const struct wire_desc desc = {"list", fields, 1, 16};
	struct {
		int32_t *v;
		int32_t n;
	} list = {numbers, 2};

	(void)state;
	wire_defaults(&desc, &list);
	assert_null(list.v);
	assert_int_equal(list.n, -1);
}

/* --- what is refused --- */

/* Replaces len bytes of a good message at `at` by bytes, and reads that. */
static enum ks_err read_changed(struct fixture *f, struct slice good, int16_t version, size_t at,
				size_t len, struct slice bytes)
{
	struct buf b = {0};

	buf_append(&b, good.data, at);
	buf_append(&b, bytes.data, bytes.len);
	buf_append(&b, good.data + at + len, good.len - at - len);
	enum ks_err err = read_as(f, buf_slice(&b), version, 4096);
	buf_fini(&b);
	return err;
}

#define NAME 12 /* where its length is in OLD_V0 */
#define V0(at, len, bytes)                                                                         \
	assert_int_equal(read_changed(f, BYTES(OLD_V0), 0, at, len, BYTES(bytes)), ERR_MALFORMED)

static void lengths_below_null_and_null_where_it_may_not_be_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_changed(f, BYTES(OLD_V0), 0, NAME, 4, BYTES("\0\2nm")), ERR_NONE);
	V0(NAME, 4, "\xff\xff");                      /* the name is null */
	V0(NAME, 4, "\xff\xfe");                      /* -2 */
	V0(NAME + 4, 2, "\xff\xfe");                  /* the note is -2 */
	V0(NAME + 6, 5, "\xff\xff\xff\xff");          /* the blob is null in version 0 */
	V0(NAME + 11, 12, "\xff\xff\xff\xfe");        /* -2 numbers */
	V0(NAME + 23, 8, "\xff\xff\xff\xff");         /* the points are null */
	V0(sizeof OLD_V0 - 8, 7, "\xff\xff\xff\xfe"); /* -2 bytes of records */
}

static void a_nullable_struct_begins_with_1_or_minus_1(void **state)
{
	struct fixture *f = *state;
	const size_t origin = NAME + 35;

	assert_int_equal(read_changed(f, BYTES(OLD_V0), 0, origin, 5, BYTES("\xff")), ERR_NONE);
	assert_null(f->sample.origin);
	V0(origin, 5, "\0");
	V0(origin, 1, "\0");
	V0(origin, 1, "\2");
	V0(origin, 1, "\xfe");
}

static void bytes_behind_the_message_are_refused(void **state)
{
	struct fixture *f = *state;

	V0(sizeof OLD_V0 - 1, 0, "x");
}

static void bytes_behind_the_message_are_no_failure_for_a_reader_that_ignores_them(void **state)
{
	struct fixture *f = *state;
	struct wire_reader r;

	wire_reader_init(&r, BYTES(OLD_V0 "xyz"), 0, 2, &f->arena, 4096);
	r.ignores_rest = true;
	assert_int_equal(wire_read(&r, sample_desc(), &f->sample), ERR_NONE);
	assert_int_equal(r.end - r.p, 3);
}

/* A flexible message with everything null or empty, but for what the caller puts behind: name, note,
 * blob, numbers, points, corner, origin, records, tags. */
#define HEAD               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NULLS              "\0\0\0\1\0\0\0\0\0\0\0\0\0\xff\0"
#define V2(rest, expected) assert_int_equal(read_as(f, BYTES(HEAD rest), 2, 4096), expected)

static void a_compact_length_of_zero_is_null(void **state)
{
	struct fixture *f = *state;

	V2("\1" NULLS "\0", ERR_NONE);
	assert_null(f->sample.note.data);
	assert_null(f->sample.blob.data);
	assert_int_equal(f->sample.numbers.n, -1);
	assert_int_equal(f->sample.records.n, -1);
	V2("\0" NULLS "\0", ERR_MALFORMED); /* the name may not be null */
}

static void a_number_in_a_form_longer_than_needed_is_refused(void **state)
{
	struct fixture *f = *state;

	V2("\x81\0" NULLS "\0", ERR_MALFORMED);
	V2("\1" NULLS "\x80\0", ERR_MALFORMED);
	V2("\xff\xff\xff\xff\x1f" NULLS "\0", ERR_MALFORMED);
	V2("\x80\x80\x80\x80\x80\1" NULLS "\0", ERR_MALFORMED);
}

static void a_string_has_at_most_32767_bytes(void **state)
{
	struct fixture *f = *state;

	for (size_t len = 32767; len <= 32768; len++) {
		struct buf b = {0};
		uint8_t varint[5], *text = xcalloc(1, len);
		buf_append(&b, HEAD, sizeof HEAD - 1);
		size_t varint_len = (size_t)(varint_write_u32(varint, (uint32_t)len + 1) - varint);
		assert_in_range(varint_len, 1, sizeof varint);
		buf_append(&b, varint, varint_len < sizeof varint ? varint_len : sizeof varint);
		buf_append(&b, text, len);
		buf_append(&b, NULLS "\0", sizeof NULLS);
		enum ks_err err = read_as(f, buf_slice(&b), 2, 4096);
		assert_int_equal(err, len == 32767 ? ERR_NONE : ERR_MALFORMED);
		buf_fini(&b);
		free(text);
	}
}

static void unknown_tags_are_skipped(void **state)
{
	struct fixture *f = *state;

	V2("\1" NULLS "\2\2\0\x7f\2xy", ERR_NONE);
	/* Tag 4 holds a struct that version 2 lacks: it is as unknown as any other. */
	V2("\1" NULLS "\1\4\1x", ERR_NONE);
	assert_null(f->sample.tagged_corner);
	assert_int_equal(f->sample.tagged_number, 5);
}

static void tags_ascend_and_their_sizes_are_right(void **state)
{
	struct fixture *f = *state;

	V2("\1" NULLS "\1\0\2\0\7", ERR_NONE);
	assert_int_equal(f->sample.tagged_number, 7);
	V2("\1" NULLS "\1\0\3\0\7\0", ERR_MALFORMED);       /* a byte too much */
	V2("\1" NULLS "\1\0\1\0", ERR_MALFORMED);           /* one too few */
	V2("\1" NULLS "\1\0\1\0\7", ERR_MALFORMED);         /* behind its end */
	V2("\1" NULLS "\2\0\2\0\7\0\2\0\7", ERR_MALFORMED); /* twice */
	V2("\1" NULLS "\2\1\2\2t\0\2\0\7", ERR_MALFORMED);  /* descending */
	V2("\1" NULLS "\1\x7f\5x", ERR_MALFORMED);          /* beyond the end */
	V2("\1" NULLS "\1\x7f\xff\xff\xff\xff\x0f", ERR_MALFORMED);
	V2("\1" NULLS "\xff\xff\xff\xff\x0f\x7f\0", ERR_MALFORMED); /* 2^32 - 1 tags */
	V2("\1" NULLS "\1\1\1\0", ERR_MALFORMED);                   /* the tagged name is null */
}

static void a_count_over_the_bytes_left_takes_no_memory(void **state)
{
	struct fixture *f = *state;

	/* 2^28 - 2 numbers, and as many points. */
	V2("\1\0\0\xff\xff\xff\x7f\1\1\1\1", ERR_MALFORMED);
	assert_int_equal(f->arena.total_bytes, 0);
	V2("\1\0\0\0\xff\xff\xff\x7f\1\1\1\1", ERR_MALFORMED);
	assert_int_equal(f->arena.total_bytes, 0);
	/* Half a megabyte of points that are not there. */
	V2("\1\0\0\0\xff\xff\3\1\1\1\1", ERR_MALFORMED);
	assert_int_equal(f->arena.total_bytes, 0);
}

static void a_message_that_would_take_too_much_memory_is_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t max = 0; max <= 128; max++) {
		enum ks_err err = read_as(f, BYTES(FLEXIBLE_V2), 2, max);
		/* Numbers, points, corner, origin, tagged points: 16 bytes each; records 32. */
		assert_int_equal(err, max < 112 ? ERR_TOO_LARGE : ERR_NONE);
	}
}

static void a_failed_read_leaves_defaults(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_as(f, slice_of(OLD_V0, sizeof OLD_V0 - 2), 0, 4096), ERR_MALFORMED);
	assert_true(value_equal(sample_desc(), 0, &f->sample, &nothing));
}

static void a_failed_reader_names_the_struct_and_stays_failed(void **state)
{
	struct fixture *f = *state;
	struct wire_reader r;

	wire_reader_init(&r, slice_of(OLD_V0, NAME + 33), 0, FLEXIBLE, &f->arena, 4096);
	assert_int_equal(wire_read(&r, sample_desc(), &f->sample), ERR_MALFORMED);
	assert_string_equal(r.field, "point");
	assert_int_equal(wire_read_int32(&r), 0);
	assert_int_equal(wire_read_int16(&r), 0);
	assert_null(wire_read_string(&r, false, true).data);
	wire_skip_tags(&r);
	assert_int_equal(r.err, ERR_MALFORMED);
}

/* --- references --- */

static void records_in_frames_are_referred_to_and_not_copied(void **state)
{
	struct frame *a = frame_copy(BYTES("first")), *b = frame_copy(BYTES("second"));
	struct wire_ref refs[] = {
		{a, slice_of(a->data, 5)},
		{NULL, BYTES("-copied-")},
		{b, slice_of(b->data + 3, 3)},
	};
	struct sample s = nothing;
	struct wire_out out = {0};
	struct buf bytes = {0};

	(void)state;
	s.records.v = refs;
	s.records.n = 3;
	wire_write(&out, sample_desc(), &s, 2, FLEXIBLE);
	assert_int_equal(out.ref_count, 2);
	assert_ptr_equal(out.refs[0].ref.bytes.data, a->data);
	assert_ptr_equal(out.refs[1].ref.bytes.data, b->data + 3);
	assert_int_equal(a->refs, 2);
	assert_int_equal(out.refs[1].at - out.refs[0].at, 8);
	out_flatten(&out, &bytes);
	assert_int_equal(out.total, bytes.len);
	/* The length says 16, plus one; behind the records the tags. */
	assert_memory_equal(bytes.data + bytes.len - 18,
			    "\x11"
			    "first-copied-ond\0",
			    18);
	wire_out_clear(&out);
	assert_int_equal(a->refs, 1);
	assert_int_equal(out.total, 0);

	/* A reference may be the last thing, and the frame outlives its owner. */
	wire_write(&out, sample_desc(), &s, 0, FLEXIBLE);
	frame_unref(a);
	frame_unref(b);
	buf_clear(&bytes);
	out_flatten(&out, &bytes);
	assert_memory_equal(bytes.data + bytes.len - 20,
			    "\0\0\0\x10"
			    "first-copied-ond",
			    20);
	wire_out_fini(&out);
	buf_fini(&bytes);
}

static void messages_with_references_follow_each_other(void **state)
{
	struct frame *frame = frame_copy(BYTES("payload"));
	struct wire_ref ref = {frame, slice_of(frame->data, frame->len)};
	struct sample s = nothing;
	struct wire_out out = {0};
	struct buf all = {0}, one = {0};

	(void)state;
	s.records.v = &ref;
	s.records.n = 1;
	for (int i = 0; i < 20; i++)
		wire_write(&out, sample_desc(), &s, 2, FLEXIBLE);
	out_flatten(&out, &all);
	assert_int_equal(out.ref_count, 20);
	assert_int_equal(frame->refs, 21);
	wire_out_clear(&out);
	wire_write(&out, sample_desc(), &s, 2, FLEXIBLE);
	out_flatten(&out, &one);
	assert_int_equal(all.len, 20 * one.len);
	for (size_t i = 0; i < 20; i++)
		assert_memory_equal(all.data + i * one.len, one.data, one.len);
	wire_out_fini(&out);
	frame_unref(frame);
	buf_fini(&all);
	buf_fini(&one);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(old_versions_have_fixed_lengths_and_no_tags),
		TEST(flexible_versions_have_compact_lengths_and_tags),
		TEST(what_was_written_is_read),
		TEST(a_field_that_the_version_lacks_is_not_written_and_read_as_its_default),
		TEST(nothing_is_written_as_null_where_it_may_be_and_as_empty_elsewhere),
		TEST(null_is_read_where_it_may_be),
		TEST(a_tagged_field_with_its_default_is_left_out),
		TEST(a_default_array_is_null_when_its_table_says_so),
		TEST(lengths_below_null_and_null_where_it_may_not_be_are_refused),
		TEST(a_nullable_struct_begins_with_1_or_minus_1),
		TEST(bytes_behind_the_message_are_refused),
		TEST(bytes_behind_the_message_are_no_failure_for_a_reader_that_ignores_them),
		TEST(a_compact_length_of_zero_is_null),
		TEST(a_number_in_a_form_longer_than_needed_is_refused),
		TEST(a_string_has_at_most_32767_bytes),
		TEST(unknown_tags_are_skipped),
		TEST(tags_ascend_and_their_sizes_are_right),
		TEST(a_count_over_the_bytes_left_takes_no_memory),
		TEST(a_message_that_would_take_too_much_memory_is_refused),
		TEST(a_failed_read_leaves_defaults),
		TEST(a_failed_reader_names_the_struct_and_stays_failed),
		TEST(records_in_frames_are_referred_to_and_not_copied),
		TEST(messages_with_references_follow_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

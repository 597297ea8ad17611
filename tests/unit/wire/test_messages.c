/* test_messages.c - every message of every version: what the tables say about themselves, round trips,
 * truncations, and numbers put where lengths and counts may be. */
#include "unit.h"

#include <stdio.h>

#include "tests/unit/wire/values.h"
#include "wire/api.h"

#define ARENA_MAX (1 << 20)

struct kind {
	const char *name;
	const struct wire_desc *desc;
	int16_t version_min, version_max, first_flexible;
};

/* Calls visit for the messages of every API, and for those that travel inside others. */
static void each_message(void (*visit)(const struct kind *k, void *arg), void *arg)
{
	for (size_t i = 0; i < wire_api_count; i++) {
		const struct wire_api *a = &wire_apis[i];
		const struct wire_desc *descs[] = {a->request(), a->response()};
		for (int n = 0; n < 2; n++) {
			struct kind k = {descs[n]->name, descs[n], a->version_min, a->version_max,
					 a->first_flexible};
			visit(&k, arg);
		}
	}
	struct kind subscription = {"subscription", consumer_protocol_subscription_desc(), 0, 3,
				    WIRE_NEVER};
	struct kind assignment = {"assignment", consumer_protocol_assignment_desc(), 0, 3,
				  WIRE_NEVER};
	visit(&subscription, arg);
	visit(&assignment, arg);
}

/* --- the tables --- */

struct range {
	int since, until; /* inclusive */
};

#define check(f, d, holds)                                                                         \
	do {                                                                                       \
		if (!(holds))                                                                      \
			fail_msg("%s, field %zu: not %s", (d)->name, (size_t)((f) - (d)->fields),  \
				 #holds);                                                          \
	} while (0)

static void check_tag(const struct wire_desc *d, const struct wire_field *f, int first_flexible,
		      int *tag_next)
{
	check(f, d, f->tag - 1 >= *tag_next);
	check(f, d, f->since >= first_flexible);
	check(f, d, f->kind != WIRE_RECORDS);
	*tag_next = f->tag;
}

static void check_kind(const struct wire_desc *d, const struct wire_field *f)
{
	bool is_number = f->kind <= WIRE_INT64;

	check(f, d, (f->kind == WIRE_STRUCT) == (f->sub != NULL));
	check(f, d, !f->is_nested || (f->kind == WIRE_STRUCT && !f->is_array));
	check(f, d, f->kind != WIRE_STRUCT || f->is_nested || f->is_array);
	check(f, d, !f->null_since || f->is_array || f->is_nested || !is_number);
	check(f, d, !f->dflt || is_number || (f->is_array && f->dflt == -1 && f->null_since));
	check(f, d, !f->is_array || !f->dflt || f->dflt == -1);
}

static void check_table(const struct wire_desc *d, struct range holder, int first_flexible)
{
	size_t end = 0;
	int tag_next = 0;

	assert_true(d->field_count > 0);
	for (const struct wire_field *f = d->fields; f < d->fields + d->field_count; f++) {
		struct range range = {f->since > holder.since ? f->since : holder.since,
				      f->until ? f->until - 1 : holder.until};
		/* A limit stands only where it says more than the holder's. */
		check(f, d, f->since == 0 || f->since > holder.since);
		check(f, d, f->until == 0 || f->until - 1 < holder.until);
		check(f, d, range.since <= range.until);
		check(f, d, f->null_since <= 1 || f->null_since - 1 > range.since);
		check(f, d, f->null_since - 1 <= range.until);
		check(f, d, f->offset >= end);
		check_kind(d, f);
		if (f->tag)
			check_tag(d, f, first_flexible, &tag_next);
		end = (size_t)f->offset + 1;
		if (f->sub)
			check_table(f->sub(), range, first_flexible);
	}
	assert_true(end <= d->size);
}

static void check_kind_tables(const struct kind *k, void *arg)
{
	(void)arg;
	check_table(k->desc, (struct range){k->version_min, k->version_max}, k->first_flexible);
}

static void tables_are_ordered_tagged_and_nested_as_they_should_be(void **state)
{
	(void)state;
	each_message(check_kind_tables, NULL);
}

/* --- round trips --- */

static void encode(const struct kind *k, int16_t version, const void *msg, struct buf *bytes)
{
	struct wire_out out = {0};

	wire_write(&out, k->desc, msg, version, k->first_flexible);
	out_flatten(&out, bytes);
	assert_int_equal(out.total, bytes->len);
	wire_out_fini(&out);
}

static enum ks_err decode(const struct kind *k, int16_t version, struct slice bytes,
			  struct arena *arena, size_t arena_max, void *msg)
{
	struct wire_reader r;

	wire_reader_init(&r, bytes, version, k->first_flexible, arena, arena_max);
	return wire_read(&r, k->desc, msg);
}

static void round_trip(const struct kind *k, int16_t version, struct dice *dice,
		       enum value_style style)
{
	struct arena arena = {0};
	struct buf bytes = {0}, again = {0};
	void *sent = arena_alloc(&arena, k->desc->size), *got = arena_alloc(&arena, k->desc->size);

	value_fill(dice, style, k->desc, version, &arena, sent);
	encode(k, version, sent, &bytes);
	uint8_t *exact = exact_copy(buf_slice(&bytes));
	memset(got, 0xa5, k->desc->size);
	enum ks_err err = decode(k, version, slice_of(exact, bytes.len), &arena, ARENA_MAX, got);
	if (err || !value_equal(k->desc, version, sent, got))
		fail_msg("%s v%d: error %d, or another message", k->name, version, err);
	encode(k, version, got, &again);
	assert_slice_equal(buf_slice(&bytes), buf_slice(&again));
	free(exact);
	buf_fini(&bytes);
	buf_fini(&again);
	arena_fini(&arena);
}

static void round_trips(const struct kind *k, void *dice)
{
	for (int16_t v = k->version_min; v <= k->version_max; v++) {
		round_trip(k, v, dice, VALUE_DEFAULT);
		round_trip(k, v, dice, VALUE_NULL);
		for (int i = 0; i < 5; i++)
			round_trip(k, v, dice, VALUE_FULL);
		for (int i = 0; i < 100; i++)
			round_trip(k, v, dice, VALUE_RANDOM);
	}
}

static void every_message_of_every_version_comes_back_as_it_was(void **state)
{
	each_message(round_trips, *state);
}

/* --- hostile bytes --- */

/* One message of the version with every field set, in memory of its own size. Release: free. */
static struct slice full_message(const struct kind *k, int16_t version, struct dice *dice)
{
	struct arena arena = {0};
	struct buf bytes = {0};
	void *msg = arena_alloc(&arena, k->desc->size);

	value_fill(dice, VALUE_FULL, k->desc, version, &arena, msg);
	encode(k, version, msg, &bytes);
	struct slice copy = slice_of(exact_copy(buf_slice(&bytes)), bytes.len);
	buf_fini(&bytes);
	arena_fini(&arena);
	return copy;
}

static bool is_all_default(const struct wire_desc *d, const void *msg)
{
	void *other = xmalloc(d->size);
	wire_defaults(d, other);
	bool same = value_equal(d, 0, msg, other);
	free(other);
	return same;
}

static void truncate_everywhere(const struct kind *k, void *dice)
{
	void *msg = xmalloc(k->desc->size);
	struct arena arena = {0};

	for (int16_t v = k->version_min; v <= k->version_max; v++) {
		struct slice whole = full_message(k, v, dice);
		for (size_t len = 0; len < whole.len; len++) {
			uint8_t *cut = exact_copy(slice_of(whole.data, len));
			enum ks_err err = decode(k, v, slice_of(cut, len), &arena, ARENA_MAX, msg);
			if (err != ERR_MALFORMED || !is_all_default(k->desc, msg))
				fail_msg("%s v%d, %zu of %zu bytes: error %d", k->name, v, len,
					 whole.len, err);
			free(cut);
			arena_reset(&arena);
		}
		free((void *)whole.data);
	}
	arena_fini(&arena);
	free(msg);
}

static void every_truncation_is_refused_and_leaves_defaults(void **state)
{
	each_message(truncate_everywhere, *state);
}

#define SMALL_ARENA 8192

/* What a peer may write where a length or count is expected, old and compact. */
static const struct slice hostile[] = {
	BYTES_INIT("\x7f\xff\xff\xff"),     /* the largest count */
	BYTES_INIT("\x00\x0f\xff\xff"),     /* a large one */
	BYTES_INIT("\xff\xff\xff\xfe"),     /* below null */
	BYTES_INIT("\x7f\xff"),             /* the largest short string */
	BYTES_INIT("\xff\xff\xff\xff\x0f"), /* the largest compact one */
	BYTES_INIT("\xff\xff\xff\xff\x7f"), /* over 32 bits */
	BYTES_INIT("\xff\xff\x3f"),         /* 2^20 - 2 */
	BYTES_INIT("\x80\x00"),             /* zero, but too long */
	BYTES_INIT("\x00"),                 /* null, or nothing */
};

static void put_hostile_everywhere(const struct kind *k, void *dice)
{
	void *msg = xmalloc(k->desc->size);

	for (int16_t v = k->version_min; v <= k->version_max; v++) {
		struct slice whole = full_message(k, v, dice);
		uint8_t *bytes = exact_copy(whole);
		for (size_t at = 0; at < whole.len; at++) {
			for (size_t h = 0; h < sizeof hostile / sizeof *hostile; h++) {
				struct arena arena = {0};
				size_t n = hostile[h].len < whole.len - at ? hostile[h].len
									   : whole.len - at;
				memcpy(bytes + at, hostile[h].data, n);
				decode(k, v, slice_of(bytes, whole.len), &arena, SMALL_ARENA, msg);
				/* One block of the arena is larger than all it may take. */
				if (arena.total_bytes > 65536)
					fail_msg("%s v%d, %zu: took %zu bytes", k->name, v, at,
						 arena.total_bytes);
				arena_fini(&arena);
				memcpy(bytes + at, whole.data + at, n);
			}
		}
		free(bytes);
		free((void *)whole.data);
	}
	free(msg);
}

static void huge_lengths_and_counts_anywhere_take_no_memory(void **state)
{
	each_message(put_hostile_everywhere, *state);
}

static void a_message_may_not_take_more_than_its_share_of_memory(void **state)
{
	/* 20 topics of 24 bytes and more need an array of over 400 bytes. */
	struct arena arena = {0};
	struct buf bytes = {0};
	struct metadata_request_topic topics[20] = {{.name = slice_str("t")}};
	struct metadata_request request = {.topics = {topics, 20}}, got;
	struct kind k = {"metadata", metadata_request_desc(), 0, 13, 9};

	(void)state;
	encode(&k, 1, &request, &bytes);
	assert_int_equal(decode(&k, 1, buf_slice(&bytes), &arena, 400, &got), ERR_TOO_LARGE);
	assert_int_equal(got.topics.n, 0);
	assert_int_equal(arena.total_bytes, 0);
	assert_int_equal(decode(&k, 1, buf_slice(&bytes), &arena, sizeof topics, &got), ERR_NONE);
	assert_int_equal(got.topics.n, 20);
	assert_slice_equal(got.topics.v[0].name, BYTES("t"));
	buf_fini(&bytes);
	arena_fini(&arena);
}

int main(void)
{
	static struct dice dice;
	void *state = &dice;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_ordered_tagged_and_nested_as_they_should_be),
		cmocka_unit_test_prestate(every_message_of_every_version_comes_back_as_it_was,
					  state),
		cmocka_unit_test_prestate(every_truncation_is_refused_and_leaves_defaults, state),
		cmocka_unit_test_prestate(huge_lengths_and_counts_anywhere_take_no_memory, state),
		cmocka_unit_test(a_message_may_not_take_more_than_its_share_of_memory),
	};
	dice = dice_seeded();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

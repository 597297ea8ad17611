/* values.c - see values.h. */
#include "tests/unit/wire/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct any_list {
	void *v;
	int32_t n;
};

static uint64_t dice_next(struct dice *d)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t dice_roll(struct dice *d, uint64_t n)
{
	return dice_next(d) % n;
}

struct dice dice_seeded(void)
{
	const char *text = getenv("KS_SEED");
	struct dice d = {text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL)};

	printf("seed %llu (KS_SEED repeats it)\n", (unsigned long long)d.state);
	return d;
}

size_t value_size(const struct wire_field *f)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		return sizeof(bool);
	case WIRE_INT8:
		return sizeof(int8_t);
	case WIRE_INT16:
		return sizeof(int16_t);
	case WIRE_INT32:
		return sizeof(int32_t);
	case WIRE_INT64:
		return sizeof(int64_t);
	case WIRE_UUID:
		return sizeof(struct wire_uuid);
	case WIRE_STRING:
	case WIRE_BYTES:
		return sizeof(struct slice);
	case WIRE_RECORDS:
		return sizeof(struct wire_records);
	case WIRE_STRUCT:
		return f->sub()->size;
	}
	abort();
}

/* --- making --- */

static void put_number(const struct wire_field *f, void *out, uint64_t v)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		*(bool *)out = v & 1;
		break;
	case WIRE_INT8:
		*(int8_t *)out = (int8_t)v;
		break;
	case WIRE_INT16:
		*(int16_t *)out = (int16_t)v;
		break;
	case WIRE_INT32:
		*(int32_t *)out = (int32_t)v;
		break;
	default:
		*(int64_t *)out = (int64_t)v;
		break;
	}
}

static uint64_t random_number(struct dice *dice, enum value_style style, const struct wire_field *f)
{
	static const uint64_t edges[] = {
		0,    1,      UINT64_MAX, INT64_MAX,  (uint64_t)INT64_MIN, 0x7f,
		0x80, 0x7fff, 0x8000,     0x7fffffff, 0x80000000};

	if (style == VALUE_NULL)
		return 0;
	if (style == VALUE_RANDOM && dice_roll(dice, 4) == 0)
		return (uint64_t)f->dflt;
	if (dice_roll(dice, 2))
		return edges[dice_roll(dice, sizeof edges / sizeof *edges)];
	return dice_next(dice);
}

static size_t random_length(struct dice *dice, enum value_style style)
{
	static const size_t edges[] = {0, 1, 126, 127, 128};

	if (style == VALUE_NULL)
		return 0;
	if (style == VALUE_FULL)
		return 1 + dice_roll(dice, 8);
	if (dice_roll(dice, 400) == 0)
		return 32767;
	if (dice_roll(dice, 20) == 0)
		return edges[dice_roll(dice, sizeof edges / sizeof *edges)];
	return dice_roll(dice, 12);
}

static struct slice random_bytes(struct dice *dice, enum value_style style, struct arena *arena)
{
	size_t n = random_length(dice, style);
	uint8_t *bytes = arena_alloc(arena, n);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)dice_next(dice);
	return slice_of(bytes, n);
}

static bool is_null(struct dice *dice, enum value_style style, const struct wire_field *f,
		    int16_t version)
{
	if (!field_knows_null(f, version) || style == VALUE_FULL)
		return false;
	return style == VALUE_NULL || dice_roll(dice, 3) == 0;
}

static void fill_records(struct dice *dice, enum value_style style, struct arena *arena,
			 struct wire_records *out)
{
	struct slice bytes = random_bytes(dice, style, arena);

	*out = (struct wire_records){NULL, 0};
	if (!bytes.len)
		return;
	out->n = 1;
	out->v = arena_alloc(arena, sizeof *out->v);
	out->v[0] = (struct wire_ref){NULL, bytes};
}

static void fill_one(struct dice *dice, enum value_style style, const struct wire_field *f,
		     int16_t version, struct arena *arena, void *out)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
	case WIRE_INT8:
	case WIRE_INT16:
	case WIRE_INT32:
	case WIRE_INT64:
		put_number(f, out, random_number(dice, style, f));
		break;
	case WIRE_UUID:
		for (size_t i = 0; i < sizeof(struct wire_uuid) && style != VALUE_NULL; i++)
			((struct wire_uuid *)out)->bytes[i] = (uint8_t)dice_next(dice);
		break;
	case WIRE_STRING:
	case WIRE_BYTES:
		*(struct slice *)out = random_bytes(dice, style, arena);
		break;
	case WIRE_RECORDS:
		fill_records(dice, style, arena, out);
		break;
	case WIRE_STRUCT:
		value_fill(dice, style, f->sub(), version, arena, out);
		break;
	}
}

static void fill_list(struct dice *dice, enum value_style style, const struct wire_field *f,
		      int16_t version, struct arena *arena, struct any_list *out)
{
	size_t size = value_size(f);

	out->n = style == VALUE_NULL   ? 0
		 : style == VALUE_FULL ? 1 + (int32_t)dice_roll(dice, 2)
				       : (int32_t)dice_roll(dice, 4);
	out->v = out->n ? arena_alloc(arena, (size_t)out->n * size) : NULL;
	if (out->n)
		memset(out->v, 0, (size_t)out->n * size);
	for (int32_t i = 0; i < out->n; i++)
		fill_one(dice, style, f, version, arena, (uint8_t *)out->v + (size_t)i * size);
}

static void fill_null(const struct wire_field *f, void *out)
{
	if (f->is_array)
		*(struct any_list *)out = (struct any_list){NULL, -1};
	else if (f->is_nested)
		*(void **)out = NULL;
	else if (f->kind == WIRE_RECORDS)
		*(struct wire_records *)out = (struct wire_records){NULL, -1};
	else
		*(struct slice *)out = SLICE_NULL;
}

static void fill_field(struct dice *dice, enum value_style style, const struct wire_field *f,
		       int16_t version, struct arena *arena, void *out)
{
	if (f->tag && (style == VALUE_NULL || (style == VALUE_RANDOM && dice_roll(dice, 2))))
		return; /* left out */
	if (is_null(dice, style, f, version)) {
		fill_null(f, out);
		return;
	}
	if (f->is_array) {
		fill_list(dice, style, f, version, arena, out);
		return;
	}
	if (f->is_nested) {
		void *nested = arena_alloc(arena, f->sub()->size);
		value_fill(dice, style, f->sub(), version, arena, nested);
		*(void **)out = nested;
		return;
	}
	fill_one(dice, style, f, version, arena, out);
}

void value_fill(struct dice *dice, enum value_style style, const struct wire_desc *d,
		int16_t version, struct arena *arena, void *msg)
{
	wire_defaults(d, msg);
	for (size_t i = 0; i < d->field_count; i++) {
		const struct wire_field *f = &d->fields[i];
		/* Without its nested struct a message would come back with an empty one. */
		if (field_is_in(f, version) &&
		    (style != VALUE_DEFAULT || (f->is_nested && !f->tag && !f->null_since)))
			fill_field(dice, style, f, version, arena, (uint8_t *)msg + f->offset);
	}
}

/* --- comparing --- */

static void records_flatten(const struct wire_records *r, struct buf *bytes)
{
	for (int32_t i = 0; i < r->n; i++)
		buf_append(bytes, r->v[i].bytes.data, r->v[i].bytes.len);
}

static bool records_equal(const struct wire_records *a, const struct wire_records *b)
{
	struct buf x = {0}, y = {0};

	records_flatten(a, &x);
	records_flatten(b, &y);
	bool same = (a->n < 0) == (b->n < 0) && x.len == y.len &&
		    (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

static bool one_equal(const struct wire_field *f, int16_t version, const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	switch ((enum wire_kind)f->kind) {
	case WIRE_STRING:
	case WIRE_BYTES:
		return x->len == y->len && (x->len == 0 || memcmp(x->data, y->data, x->len) == 0) &&
		       (!field_knows_null(f, version) || (x->data == NULL) == (y->data == NULL));
	case WIRE_RECORDS:
		return records_equal(a, b);
	case WIRE_STRUCT:
		return value_equal(f->sub(), version, a, b);
	default:
		return memcmp(a, b, value_size(f)) == 0;
	}
}

static bool lists_equal(const struct wire_field *f, int16_t version, const struct any_list *a,
			const struct any_list *b)
{
	size_t size = value_size(f);

	if (a->n != b->n)
		return false;
	for (int32_t i = 0; i < a->n; i++)
		if (!one_equal(f, version, (const uint8_t *)a->v + (size_t)i * size,
			       (const uint8_t *)b->v + (size_t)i * size))
			return false;
	return true;
}

static bool field_equal(const struct wire_field *f, int16_t version, const void *a, const void *b)
{
	if (f->is_array)
		return lists_equal(f, version, a, b);
	if (!f->is_nested)
		return one_equal(f, version, a, b);
	const void *x = *(void *const *)a, *y = *(void *const *)b;
	return x && y ? value_equal(f->sub(), version, x, y) : x == y;
}

bool value_equal(const struct wire_desc *d, int16_t version, const void *a, const void *b)
{
	for (size_t i = 0; i < d->field_count; i++) {
		const struct wire_field *f = &d->fields[i];
		if (!field_equal(f, version, (const uint8_t *)a + f->offset,
				 (const uint8_t *)b + f->offset))
			return false;
	}
	return true;
}

void out_flatten(const struct wire_out *o, struct buf *bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < o->ref_count; i++) {
		const struct wire_out_ref *ref = &o->refs[i];
		if (ref->at > at)
			buf_append(bytes, o->bytes.data + at, ref->at - at);
		if (ref->ref.bytes.len)
			buf_append(bytes, ref->ref.bytes.data, ref->ref.bytes.len);
		at = ref->at;
	}
	if (o->bytes.len > at)
		buf_append(bytes, o->bytes.data + at, o->bytes.len - at);
}

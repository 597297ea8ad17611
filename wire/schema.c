/* schema.c - see schema.h. One walk over a table reads a message, another writes it.
 *
 * Whatever a peer sends, the reader allocates no more than the caller allows: a count is held against
 * the bytes that are left (each element needs some) before its array is made.
 */
#include "wire/schema.h"

#include <assert.h>
#include <stdlib.h>

#include "wire/varint.h"

/* What an array looks like in C, whatever its elements are. */
struct any_array {
	void *v;
	int32_t n;
};

#define STRING_BYTES_MAX 32767

static size_t kind_size(const struct wire_field *f)
{
	static const size_t sizes[] = {
		[WIRE_BOOL] = sizeof(bool),
		[WIRE_INT8] = sizeof(int8_t),
		[WIRE_INT16] = sizeof(int16_t),
		[WIRE_INT32] = sizeof(int32_t),
		[WIRE_INT64] = sizeof(int64_t),
		[WIRE_UUID] = sizeof(struct wire_uuid),
		[WIRE_STRING] = sizeof(struct slice),
		[WIRE_BYTES] = sizeof(struct slice),
		[WIRE_RECORDS] = sizeof(struct wire_records),
	};
	return f->kind == WIRE_STRUCT ? f->sub()->size : sizes[f->kind];
}

static bool field_lives(const struct wire_field *f, int16_t version)
{
	return version >= f->since && (!f->until || version < f->until);
}

static bool field_may_be_null(const struct wire_field *f, int16_t version)
{
	return f->null_since && version >= f->null_since - 1;
}

/* --- reading --- */

void wire_reader_init(struct wire_reader *r, struct slice bytes, int16_t version,
		      int16_t first_flexible, struct arena *arena, size_t arena_max)
{
	*r = (struct wire_reader){
		.p = bytes.data,
		.end = bytes.data + bytes.len,
		.arena = arena,
		.arena_left = arena_max,
		.version = version,
		.is_flexible = version >= first_flexible,
		.field = "",
	};
}

static void fail(struct wire_reader *r, enum ks_err err)
{
	if (!r->err)
		r->err = err;
	r->p = r->end;
}

static size_t left(const struct wire_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* The next n bytes, or NULL. */
static const uint8_t *take(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->err || left(r) < n) {
		fail(r, ERR_MALFORMED);
		return NULL;
	}
	r->p += n;
	return p;
}

int16_t wire_read_int16(struct wire_reader *r)
{
	const uint8_t *p = take(r, 2);
	return p ? (int16_t)get_u16be(p) : 0;
}

int32_t wire_read_int32(struct wire_reader *r)
{
	const uint8_t *p = take(r, 4);
	return p ? (int32_t)get_u32be(p) : 0;
}

static uint32_t read_uvarint(struct wire_reader *r)
{
	uint32_t v = 0;
	const uint8_t *p = r->err ? NULL : varint_read_u32(r->p, r->end, &v);

	if (!p) {
		fail(r, ERR_MALFORMED);
		return 0;
	}
	r->p = p;
	return v;
}

/* A length or count: -1 is null. A compact one is stored plus 1. */
static int64_t read_length(struct wire_reader *r, bool is_compact, bool is_short)
{
	if (is_compact)
		return (int64_t)read_uvarint(r) - 1;
	return is_short ? wire_read_int16(r) : wire_read_int32(r);
}

/* Checks null and the bound. false: null, or failed. */
static bool length_is_usable(struct wire_reader *r, int64_t n, bool is_nullable, size_t max)
{
	if (r->err)
		return false;
	if (n == -1 && is_nullable)
		return false;
	if (n < 0 || (uint64_t)n > max) {
		fail(r, ERR_MALFORMED);
		return false;
	}
	return true;
}

static struct slice read_bytes(struct wire_reader *r, int64_t n, bool is_nullable)
{
	if (!length_is_usable(r, n, is_nullable, left(r)))
		return SLICE_NULL;
	return slice_of(take(r, (size_t)n), (size_t)n);
}

struct slice wire_read_string(struct wire_reader *r, bool is_compact, bool is_nullable)
{
	int64_t n = read_length(r, is_compact, true);

	if (n > STRING_BYTES_MAX)
		fail(r, ERR_MALFORMED);
	return read_bytes(r, n, is_nullable);
}

/* count is bounded by the bytes of the message, so that the product is no overflow. */
static void *allocate(struct wire_reader *r, size_t count, size_t size)
{
	size_t taken = (count * size + 15) & ~(size_t)15; /* as the arena rounds */

	if (r->err)
		return NULL;
	if (taken > r->arena_left) {
		fail(r, ERR_TOO_LARGE);
		return NULL;
	}
	r->arena_left -= taken;
	return arena_alloc(r->arena, taken);
}

static void read_records(struct wire_reader *r, bool is_nullable, struct wire_records *out)
{
	int64_t n = read_length(r, r->is_flexible, false);
	struct slice bytes = read_bytes(r, n, is_nullable);

	*out = (struct wire_records){NULL, n == -1 ? -1 : 0};
	if (!bytes.len)
		return;
	out->v = allocate(r, 1, sizeof *out->v);
	if (!out->v)
		return;
	out->v[0] = (struct wire_ref){NULL, bytes};
	out->n = 1;
}

static void read_struct(struct wire_reader *r, const struct wire_desc *d, void *msg);

static void read_bool(struct wire_reader *r, bool *out)
{
	const uint8_t *p = take(r, 1);
	*out = p && *p;
}

static void read_int64(struct wire_reader *r, int64_t *out)
{
	const uint8_t *p = take(r, 8);
	*out = p ? (int64_t)get_u64be(p) : 0;
}

static void read_uuid(struct wire_reader *r, struct wire_uuid *out)
{
	const uint8_t *p = take(r, sizeof out->bytes);

	*out = (struct wire_uuid){{0}};
	if (p)
		memcpy(out->bytes, p, sizeof out->bytes);
}

static void read_one(struct wire_reader *r, const struct wire_field *f, bool is_nullable, void *out)
{
	const uint8_t *p;

	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		read_bool(r, out);
		break;
	case WIRE_INT8:
		p = take(r, 1);
		*(int8_t *)out = p ? (int8_t)*p : 0;
		break;
	case WIRE_INT16:
		*(int16_t *)out = wire_read_int16(r);
		break;
	case WIRE_INT32:
		*(int32_t *)out = wire_read_int32(r);
		break;
	case WIRE_INT64:
		read_int64(r, out);
		break;
	case WIRE_UUID:
		read_uuid(r, out);
		break;
	case WIRE_STRING:
		*(struct slice *)out = wire_read_string(r, r->is_flexible, is_nullable);
		break;
	case WIRE_BYTES:
		*(struct slice *)out =
			read_bytes(r, read_length(r, r->is_flexible, false), is_nullable);
		break;
	case WIRE_RECORDS:
		read_records(r, is_nullable, out);
		break;
	case WIRE_STRUCT:
		read_struct(r, f->sub(), out);
		break;
	}
}

/* The fewest bytes that one value of the field takes in this version. */
static size_t field_size_min(const struct wire_reader *r, const struct wire_field *f)
{
	static const size_t sizes[] = {
		[WIRE_BOOL] = 1,   [WIRE_INT8] = 1,  [WIRE_INT16] = 2,
		[WIRE_INT32] = 4,  [WIRE_INT64] = 8, [WIRE_UUID] = 16,
		[WIRE_STRING] = 2, [WIRE_BYTES] = 4, [WIRE_RECORDS] = 4,
	};
	if (r->is_flexible &&
	    (f->kind == WIRE_STRING || f->kind == WIRE_BYTES || f->kind == WIRE_RECORDS))
		return 1;
	return sizes[f->kind];
}

static size_t struct_size_min(const struct wire_reader *r, const struct wire_desc *d)
{
	size_t size = r->is_flexible ? 1 : 0; /* the number of tagged fields */

	for (size_t i = 0; i < d->field_count; i++) {
		const struct wire_field *f = &d->fields[i];
		if (f->tag || !field_lives(f, r->version))
			continue;
		if (f->is_array)
			size += r->is_flexible ? 1 : 4;
		else if (f->kind != WIRE_STRUCT)
			size += field_size_min(r, f);
		else
			size += field_may_be_null(f, r->version) ? 1 : struct_size_min(r, f->sub());
	}
	return size;
}

static void read_array(struct wire_reader *r, const struct wire_field *f, struct any_array *out)
{
	size_t element_min =
		f->kind == WIRE_STRUCT ? struct_size_min(r, f->sub()) : field_size_min(r, f);
	int64_t n = read_length(r, r->is_flexible, false);

	assert(element_min > 0);
	*out = (struct any_array){NULL, 0};
	if (!length_is_usable(r, n, field_may_be_null(f, r->version), left(r) / element_min)) {
		out->n = r->err ? 0 : -1;
		return;
	}
	if (n == 0)
		return;
	size_t size = kind_size(f);
	uint8_t *v = allocate(r, (size_t)n, size);
	if (!v)
		return;
	for (int64_t i = 0; i < n; i++)
		read_one(r, f, false, v + (size_t)i * size);
	*out = (struct any_array){v, (int32_t)n};
}

static void read_nested(struct wire_reader *r, const struct wire_field *f, void **out)
{
	const uint8_t *p;

	*out = NULL;
	if (field_may_be_null(f, r->version)) {
		p = take(r, 1);
		if (!p || *p == 0xff)
			return;
		if (*p != 1) {
			fail(r, ERR_MALFORMED);
			return;
		}
	}
	*out = allocate(r, 1, f->sub()->size);
	if (*out)
		read_struct(r, f->sub(), *out);
}

static void read_field(struct wire_reader *r, const struct wire_field *f, void *msg)
{
	void *out = (uint8_t *)msg + f->offset;

	if (f->is_array)
		read_array(r, f, out);
	else if (f->is_nested)
		read_nested(r, f, out);
	else
		read_one(r, f, field_may_be_null(f, r->version), out);
}

static const struct wire_field *find_tag(const struct wire_desc *d, uint32_t tag, int16_t version)
{
	for (size_t i = 0; i < d->field_count; i++)
		if (d->fields[i].tag && (uint32_t)d->fields[i].tag == tag + 1 &&
		    field_lives(&d->fields[i], version))
			return &d->fields[i];
	return NULL;
}

/* d == NULL: all of them are unknown. */
static void read_tags(struct wire_reader *r, const struct wire_desc *d, void *msg)
{
	uint32_t count = read_uvarint(r);
	int64_t before = -1;

	for (uint32_t i = 0; i < count && !r->err; i++) {
		uint32_t tag = read_uvarint(r), size = read_uvarint(r);
		if (r->err || tag <= before || size > left(r)) {
			fail(r, ERR_MALFORMED);
			return;
		}
		before = tag;
		const struct wire_field *f = d ? find_tag(d, tag, r->version) : NULL;
		const uint8_t *end = r->end, *tag_end = r->p + size;
		if (f) {
			r->end = tag_end;
			read_field(r, f, msg);
			if (r->p != tag_end)
				fail(r, ERR_MALFORMED);
			r->end = end;
		}
		r->p = r->err ? end : tag_end;
	}
}

void wire_skip_tags(struct wire_reader *r)
{
	read_tags(r, NULL, NULL);
}

static void default_field(const struct wire_field *f, void *msg)
{
	void *out = (uint8_t *)msg + f->offset;

	if (!f->dflt)
		return;
	if (f->is_array) {
		((struct any_array *)out)->n = (int32_t)f->dflt;
		return;
	}
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		*(bool *)out = true;
		break;
	case WIRE_INT8:
		*(int8_t *)out = (int8_t)f->dflt;
		break;
	case WIRE_INT16:
		*(int16_t *)out = (int16_t)f->dflt;
		break;
	case WIRE_INT32:
		*(int32_t *)out = (int32_t)f->dflt;
		break;
	case WIRE_INT64:
		*(int64_t *)out = f->dflt;
		break;
	default:
		break;
	}
}

void wire_defaults(const struct wire_desc *d, void *msg)
{
	memset(msg, 0, d->size);
	for (size_t i = 0; i < d->field_count; i++)
		default_field(&d->fields[i], msg);
}

static void read_struct(struct wire_reader *r, const struct wire_desc *d, void *msg)
{
	wire_defaults(d, msg);
	for (size_t i = 0; i < d->field_count && !r->err; i++) {
		const struct wire_field *f = &d->fields[i];
		if (!f->tag && field_lives(f, r->version))
			read_field(r, f, msg);
	}
	if (r->is_flexible && !r->err)
		read_tags(r, d, msg);
	if (r->err && !*r->field)
		r->field = d->name;
}

enum ks_err wire_read(struct wire_reader *r, const struct wire_desc *d, void *msg)
{
	read_struct(r, d, msg);
	if (!r->err && r->p != r->end)
		fail(r, ERR_MALFORMED);
	if (r->err)
		wire_defaults(d, msg);
	return r->err;
}

/* --- writing --- */

struct writer {
	struct wire_out *o;
	int16_t version;
	bool is_flexible;
};

void wire_out_clear(struct wire_out *o)
{
	for (size_t i = 0; i < o->ref_count; i++)
		frame_unref(o->refs[i].ref.frame);
	o->ref_count = o->total = 0;
	buf_clear(&o->bytes);
}

void wire_out_fini(struct wire_out *o)
{
	wire_out_clear(o);
	buf_fini(&o->bytes);
	free(o->refs);
	*o = (struct wire_out){0};
}

static void add_ref(struct wire_out *o, const struct wire_ref *ref)
{
	if (o->ref_count == o->ref_cap) {
		o->ref_cap = o->ref_cap ? 2 * o->ref_cap : 8;
		o->refs = xrealloc(o->refs, o->ref_cap * sizeof *o->refs);
	}
	o->refs[o->ref_count++] =
		(struct wire_out_ref){o->bytes.len, {frame_ref(ref->frame), ref->bytes}};
	o->total += ref->bytes.len;
}

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (n)
		buf_append(&w->o->bytes, bytes, n);
	w->o->total += n;
}

static void put_int(struct writer *w, int64_t v, size_t n)
{
	uint8_t bytes[8];

	put_u64be(bytes, (uint64_t)v);
	put(w, bytes + 8 - n, n);
}

static void put_uvarint(struct writer *w, uint32_t v)
{
	uint8_t bytes[VARINT32_BYTES_MAX];
	put(w, bytes, (size_t)(varint_write_u32(bytes, v) - bytes));
}

/* n == -1: null. */
static void put_length(struct writer *w, int64_t n, bool is_short)
{
	assert(n >= -1 && n <= (is_short ? STRING_BYTES_MAX : INT32_MAX - 1));
	if (w->is_flexible)
		put_uvarint(w, (uint32_t)(n + 1));
	else
		put_int(w, n, is_short ? 2 : 4);
}

static void put_bytes(struct writer *w, const struct slice *s, bool is_nullable, bool is_short)
{
	if (!s->data && is_nullable) {
		put_length(w, -1, is_short);
		return;
	}
	put_length(w, (int64_t)s->len, is_short);
	put(w, s->data, s->len);
}

static void put_records(struct writer *w, const struct wire_records *records, bool is_nullable)
{
	size_t len = 0;

	if (records->n < 0 && is_nullable) {
		put_length(w, -1, false);
		return;
	}
	for (int32_t i = 0; i < records->n; i++)
		len += records->v[i].bytes.len;
	put_length(w, (int64_t)len, false);
	for (int32_t i = 0; i < records->n; i++) {
		const struct wire_ref *ref = &records->v[i];
		if (ref->frame)
			add_ref(w->o, ref);
		else
			put(w, ref->bytes.data, ref->bytes.len);
	}
}

static void put_struct(struct writer *w, const struct wire_desc *d, const void *msg);

static void put_one(struct writer *w, const struct wire_field *f, bool is_nullable, const void *in)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		put_int(w, *(const bool *)in, 1);
		break;
	case WIRE_INT8:
		put_int(w, *(const int8_t *)in, 1);
		break;
	case WIRE_INT16:
		put_int(w, *(const int16_t *)in, 2);
		break;
	case WIRE_INT32:
		put_int(w, *(const int32_t *)in, 4);
		break;
	case WIRE_INT64:
		put_int(w, *(const int64_t *)in, 8);
		break;
	case WIRE_UUID:
		put(w, in, sizeof(struct wire_uuid));
		break;
	case WIRE_STRING:
		put_bytes(w, in, is_nullable, true);
		break;
	case WIRE_BYTES:
		put_bytes(w, in, is_nullable, false);
		break;
	case WIRE_RECORDS:
		put_records(w, in, is_nullable);
		break;
	case WIRE_STRUCT:
		put_struct(w, f->sub(), in);
		break;
	}
}

static void put_array(struct writer *w, const struct wire_field *f, const struct any_array *a)
{
	size_t size = kind_size(f);

	if (a->n < 0 && field_may_be_null(f, w->version)) {
		put_length(w, -1, false);
		return;
	}
	put_length(w, a->n < 0 ? 0 : a->n, false);
	for (int32_t i = 0; i < a->n; i++)
		put_one(w, f, false, (const uint8_t *)a->v + (size_t)i * size);
}

/* A nested struct that is missing, where it may not be null, is written with its defaults. */
static void put_nested(struct writer *w, const struct wire_field *f, const void *nested)
{
	if (field_may_be_null(f, w->version)) {
		put_int(w, nested ? 1 : -1, 1);
		if (!nested)
			return;
	}
	if (nested) {
		put_struct(w, f->sub(), nested);
		return;
	}
	void *empty = xcalloc(1, f->sub()->size);
	wire_defaults(f->sub(), empty);
	put_struct(w, f->sub(), empty);
	free(empty);
}

static void put_field(struct writer *w, const struct wire_field *f, const void *msg)
{
	const void *in = (const uint8_t *)msg + f->offset;

	if (f->is_array)
		put_array(w, f, in);
	else if (f->is_nested)
		put_nested(w, f, *(void *const *)in);
	else
		put_one(w, f, field_may_be_null(f, w->version), in);
}

static int64_t number(const struct wire_field *f, const void *in)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		return *(const bool *)in;
	case WIRE_INT8:
		return *(const int8_t *)in;
	case WIRE_INT16:
		return *(const int16_t *)in;
	case WIRE_INT32:
		return *(const int32_t *)in;
	case WIRE_INT64:
		return *(const int64_t *)in;
	default:
		return 0;
	}
}

/* Whether a tagged field says nothing and is left out. */
static bool is_default(const struct wire_field *f, const void *msg)
{
	static const struct wire_uuid zero;
	const void *in = (const uint8_t *)msg + f->offset;

	if (f->is_array)
		return ((const struct any_array *)in)->n <= 0;
	if (f->is_nested)
		return !*(void *const *)in;
	if (f->kind == WIRE_STRING || f->kind == WIRE_BYTES)
		return !((const struct slice *)in)->data;
	if (f->kind == WIRE_UUID)
		return !memcmp(in, &zero, sizeof zero);
	return number(f, in) == f->dflt;
}

/* Tag, size, value: the size is known last and pushed in between. */
static void put_tag(struct writer *w, const struct wire_field *f, const void *msg)
{
	struct buf *b = &w->o->bytes;
	uint8_t bytes[VARINT32_BYTES_MAX];
	size_t refs = w->o->ref_count;

	put_uvarint(w, (uint32_t)(f->tag - 1));
	size_t start = b->len;
	put_field(w, f, msg);
	assert(w->o->ref_count == refs && "records are never tagged");
	size_t size = b->len - start;
	size_t n = (size_t)(varint_write_u32(bytes, (uint32_t)size) - bytes);
	put(w, bytes, n);
	memmove(b->data + start + n, b->data + start, size);
	memcpy(b->data + start, bytes, n);
}

static void put_tags(struct writer *w, const struct wire_desc *d, const void *msg)
{
	uint32_t count = 0;

	for (size_t i = 0; i < d->field_count; i++) {
		const struct wire_field *f = &d->fields[i];
		count += f->tag && field_lives(f, w->version) && !is_default(f, msg);
	}
	put_uvarint(w, count);
	for (size_t i = 0; i < d->field_count && count; i++) {
		const struct wire_field *f = &d->fields[i];
		if (f->tag && field_lives(f, w->version) && !is_default(f, msg))
			put_tag(w, f, msg);
	}
}

static void put_struct(struct writer *w, const struct wire_desc *d, const void *msg)
{
	for (size_t i = 0; i < d->field_count; i++) {
		const struct wire_field *f = &d->fields[i];
		if (!f->tag && field_lives(f, w->version))
			put_field(w, f, msg);
	}
	if (w->is_flexible)
		put_tags(w, d, msg);
}

void wire_write(struct wire_out *o, const struct wire_desc *d, const void *msg, int16_t version,
		int16_t first_flexible)
{
	struct writer w = {o, version, version >= first_flexible};
	put_struct(&w, d, msg);
}

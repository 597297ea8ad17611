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

/* The way from a struct to the value of a field, once for reading and once for writing: a call per
 * field would cost a third of the time. */
#define INLINE           static inline __attribute__((always_inline))

#define STRING_BYTES_MAX 32767
#define FEW_ELEMENTS     16

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

/* The next n bytes, or NULL; a failed reader has none left. */
static const uint8_t *take(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (__builtin_expect(left(r) < n, 0)) {
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
	const uint8_t *p = varint_read_u32(r->p, r->end, &v);

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

INLINE void read_one(struct wire_reader *r, const struct wire_field *f, bool is_nullable, void *out)
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

/* How many elements can be in the bytes that are left. Each has one byte or more; when they are few it
 * is not worth finding out how many more. */
static size_t elements_max(const struct wire_reader *r, const struct wire_field *f, int64_t n)
{
	if (n <= FEW_ELEMENTS)
		return left(r);
	return left(r) /
	       (f->kind == WIRE_STRUCT ? struct_size_min(r, f->sub()) : field_size_min(r, f));
}

static void read_array(struct wire_reader *r, const struct wire_field *f, struct any_array *out)
{
	int64_t n = read_length(r, r->is_flexible, false);

	*out = (struct any_array){NULL, 0};
	if (!length_is_usable(r, n, field_may_be_null(f, r->version), elements_max(r, f, n))) {
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

INLINE void read_field(struct wire_reader *r, const struct wire_field *f, void *msg)
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

	if (f->is_array) {
		*(struct any_array *)out = (struct any_array){NULL, (int32_t)f->dflt};
		return;
	}
	if (f->is_nested) {
		*(void **)out = NULL;
		return;
	}
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		*(bool *)out = f->dflt;
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
		memset(out, 0, kind_size(f));
		break;
	}
}

void wire_defaults(const struct wire_desc *d, void *msg)
{
	memset(msg, 0, d->size); /* the padding, too */
	for (size_t i = 0; i < d->field_count; i++)
		default_field(&d->fields[i], msg);
}

static void read_struct(struct wire_reader *r, const struct wire_desc *d, void *msg)
{
	for (const struct wire_field *f = d->fields; f < d->fields + d->field_count; f++)
		if (!f->tag && field_lives(f, r->version))
			read_field(r, f, msg);
		else
			default_field(f, msg);
	if (r->is_flexible && !r->err)
		read_tags(r, d, msg);
	if (r->err && !*r->field)
		r->field = d->name;
}

enum ks_err wire_read(struct wire_reader *r, const struct wire_desc *d, void *msg)
{
	read_struct(r, d, msg);
	if (!r->err && r->p != r->end && !r->ignores_rest)
		fail(r, ERR_MALFORMED);
	if (r->err)
		wire_defaults(d, msg);
	return r->err;
}

/* --- writing --- */

/* Writes at p, which lies in o->bytes: its length is brought up to date at the end, and whenever somebody
 * else has to see it. */
struct writer {
	struct wire_out *o;
	uint8_t *p, *end;
	int16_t version;
	bool is_flexible;
};

static void writer_settle(struct writer *w)
{
	w->o->bytes.len = (size_t)(w->p - w->o->bytes.data);
}

void wire_out_clear(struct wire_out *o)
{
	for (size_t i = 0; i < o->ref_count; i++)
		frame_unref(o->refs[i].ref.frame);
	o->ref_count = o->total = 0;
	o->error_count = 0;
	buf_clear(&o->bytes);
}

void wire_out_fini(struct wire_out *o)
{
	wire_out_clear(o);
	buf_fini(&o->bytes);
	free(o->refs);
	*o = (struct wire_out){0};
}

static void add_ref(struct writer *w, const struct wire_ref *ref)
{
	struct wire_out *o = w->o;

	if (o->ref_count == o->ref_cap) {
		o->ref_cap = o->ref_cap ? 2 * o->ref_cap : 8;
		o->refs = xrealloc(o->refs, o->ref_cap * sizeof *o->refs);
	}
	writer_settle(w);
	o->refs[o->ref_count++] =
		(struct wire_out_ref){o->bytes.len, {frame_ref(ref->frame), ref->bytes}};
	o->total += ref->bytes.len;
}

static __attribute__((noinline)) void grow(struct writer *w, size_t n)
{
	struct buf *b = &w->o->bytes;

	if (w->p) /* else it begins */
		writer_settle(w);
	buf_reserve(b, n > 256 ? n : 256);
	w->p = b->data + b->len;
	w->end = b->data + b->cap;
}

/* Room for n bytes at w->p. */
static inline void room(struct writer *w, size_t n)
{
	if (__builtin_expect((size_t)(w->end - w->p) < n, 0))
		grow(w, n);
}

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (!n)
		return;
	room(w, n);
	memcpy(w->p, bytes, n);
	w->p += n;
}

static inline void put_int8(struct writer *w, int8_t v)
{
	room(w, 1);
	*w->p++ = (uint8_t)v;
}

static inline void put_int16(struct writer *w, int16_t v)
{
	room(w, 2);
	put_u16be(w->p, (uint16_t)v);
	w->p += 2;
}

static inline void put_int32(struct writer *w, int32_t v)
{
	room(w, 4);
	put_u32be(w->p, (uint32_t)v);
	w->p += 4;
}

static inline void put_int64(struct writer *w, int64_t v)
{
	room(w, 8);
	put_u64be(w->p, (uint64_t)v);
	w->p += 8;
}

static void put_uvarint(struct writer *w, uint32_t v)
{
	room(w, VARINT32_BYTES_MAX);
	w->p = varint_write_u32(w->p, v);
}

/* n == -1: null. */
static void put_length(struct writer *w, int64_t n, bool is_short)
{
	assert(n >= -1 && n <= (is_short ? STRING_BYTES_MAX : INT32_MAX - 1));
	if (w->is_flexible)
		put_uvarint(w, (uint32_t)(n + 1));
	else if (is_short)
		put_int16(w, (int16_t)n);
	else
		put_int32(w, (int32_t)n);
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
			add_ref(w, ref);
		else
			put(w, ref->bytes.data, ref->bytes.len);
	}
}

static void put_struct(struct writer *w, const struct wire_desc *d, const void *msg);

static __attribute__((noinline)) void count_error(struct wire_out *o, int16_t code)
{
	for (int i = 0; i < o->error_count; i++)
		if (o->errors[i].code == code) {
			o->errors[i].count++;
			return;
		}
	if (o->error_count < WIRE_OUT_ERRORS)
		o->errors[o->error_count++] = (struct wire_out_error){code, 1};
}

INLINE void put_one(struct writer *w, const struct wire_field *f, bool is_nullable, const void *in)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
		put_int8(w, *(const bool *)in);
		break;
	case WIRE_INT8:
		put_int8(w, *(const int8_t *)in);
		break;
	case WIRE_INT16:
		put_int16(w, *(const int16_t *)in);
		if (__builtin_expect(f->is_error && *(const int16_t *)in, 0))
			count_error(w->o, *(const int16_t *)in);
		break;
	case WIRE_INT32:
		put_int32(w, *(const int32_t *)in);
		break;
	case WIRE_INT64:
		put_int64(w, *(const int64_t *)in);
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
		put_int8(w, nested ? 1 : -1);
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

INLINE void put_field(struct writer *w, const struct wire_field *f, const void *msg)
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

/* Tag, size, value. The size is known last: one byte is kept for it, which is enough nearly always. */
static void put_tag(struct writer *w, const struct wire_field *f, const void *msg)
{
	size_t refs = w->o->ref_count;

	put_uvarint(w, (uint32_t)(f->tag - 1));
	put_int8(w, 0);
	size_t start = (size_t)(w->p - w->o->bytes.data);
	put_field(w, f, msg);
	assert(w->o->ref_count == refs && "records are never tagged");
	room(w, VARINT32_BYTES_MAX);
	uint8_t *value = w->o->bytes.data + start;
	size_t size = (size_t)(w->p - value), more = varint_size_u32((uint32_t)size) - 1;
	if (more)
		memmove(value + more, value, size);
	varint_write_u32(value - 1, (uint32_t)size);
	w->p += more;
}

static bool is_tag_set(const struct writer *w, const struct wire_field *f, const void *msg)
{
	return f->tag && field_lives(f, w->version) && !is_default(f, msg);
}

static void put_tags(struct writer *w, const struct wire_desc *d, const void *msg)
{
	const struct wire_field *end = d->fields + d->field_count;
	uint32_t count = 0;

	for (const struct wire_field *f = d->fields; f < end; f++)
		count += is_tag_set(w, f, msg);
	put_uvarint(w, count);
	for (const struct wire_field *f = d->fields; f < end && count; f++)
		if (is_tag_set(w, f, msg))
			put_tag(w, f, msg);
}

static void put_struct(struct writer *w, const struct wire_desc *d, const void *msg)
{
	for (const struct wire_field *f = d->fields; f < d->fields + d->field_count; f++)
		if (!f->tag && field_lives(f, w->version))
			put_field(w, f, msg);
	if (w->is_flexible)
		put_tags(w, d, msg);
}

void wire_write(struct wire_out *o, const struct wire_desc *d, const void *msg, int16_t version,
		int16_t first_flexible)
{
	size_t before = o->bytes.len;
	struct writer w = {.o = o, .version = version, .is_flexible = version >= first_flexible};

	grow(&w, 0);
	put_struct(&w, d, msg);
	writer_settle(&w);
	o->total += o->bytes.len - before;
}

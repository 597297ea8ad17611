/* serde.c - bytes of the log to data and back. See record.h. */
#include "streams/record.h"

#include <stdio.h>
#include <string.h>

const char *const serde_names[] = {"json", "string", "bytes", "i64", "f64", NULL};

const char *serde_name(enum serde s)
{
	return serde_names[s];
}

bool serde_from_name(const char *name, enum serde *s)
{
	for (int i = 0; i < SERDE_COUNT; i++) {
		if (strcmp(name, serde_names[i]) == 0) {
			*s = (enum serde)i;
			return true;
		}
	}
	return false;
}

enum ks_err datum_decode(enum serde s, struct slice bytes, struct datum *out, struct ks_why *why)
{
	static const enum datum_kind kinds[SERDE_COUNT] = {
		[SERDE_JSON] = DATUM_JSON,   [SERDE_STRING] = DATUM_STRING,
		[SERDE_BYTES] = DATUM_BYTES, [SERDE_I64] = DATUM_I64,
		[SERDE_F64] = DATUM_F64,
	};

	if (!bytes.data) {
		*out = (struct datum){.kind = DATUM_NULL};
		return ERR_NONE;
	}
	if (s != SERDE_I64 && s != SERDE_F64) {
		*out = (struct datum){.kind = kinds[s], .bytes = bytes};
		return ERR_NONE;
	}
	if (bytes.len != 8)
		return ks_fail(why, ERR_DECODE, "%s needs 8 bytes, there are %zu", serde_name(s),
			       bytes.len);
	uint64_t raw = get_u64be(bytes.data);
	*out = (struct datum){.kind = kinds[s]};
	if (s == SERDE_I64)
		out->i64 = (int64_t)raw;
	else
		memcpy(&out->f64, &raw, 8);
	return ERR_NONE;
}

static struct slice encode_u64(struct record_context *c, uint64_t raw)
{
	uint8_t *p = arena_alloc(c->arena, 8);
	put_u64be(p, raw);
	return slice_of(p, 8);
}

static struct slice encode_f64(struct record_context *c, double v)
{
	uint64_t raw;
	memcpy(&raw, &v, 8);
	return encode_u64(c, raw);
}

/* Runs a writer of JSON over the scratch buffer and keeps the result in the arena. */
static struct buf *scratch_begin(struct record_context *c, struct buf *own)
{
	struct buf *b = c->scratch ? c->scratch : own;
	buf_clear(b);
	return b;
}

static struct slice scratch_end(struct record_context *c, struct buf *b, struct buf *own)
{
	struct slice kept = slice_of(arena_copy(c->arena, b->data, b->len), b->len);
	buf_fini(own);
	return kept;
}

static bool is_utf8(struct slice s)
{
	const uint8_t *p = s.data, *end = s.data + s.len;

	while (p < end) {
		if (*p < 0x80) {
			p++;
			continue;
		}
		int more = *p >= 0xf0 && *p <= 0xf4 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc2 ? 1 : 0;
		if (!more || *p > 0xf4 || end - p <= more)
			return false;
		uint32_t code = *p & (0x3fu >> more);
		for (int i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i] & 0x3fu);
		}
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return false;
		p += more + 1;
	}
	return true;
}

static enum ks_err misfit(struct record_context *c, enum serde s, struct datum *d,
			  struct ks_why *why)
{
	return ks_fail(why, ERR_ENCODE, "%s cannot be written as %s", datum_describe(c, d),
		       serde_name(s));
}

static enum ks_err encode_json(struct record_context *c, struct datum *d, struct slice *out,
			       struct ks_why *why)
{
	struct buf own = {0};

	if (d->kind == DATUM_JSON && !(d->doc && doc_is_dirty(d->doc))) {
		*out = d->bytes;
		return ERR_NONE;
	}
	if (d->kind == DATUM_BYTES && !is_utf8(d->bytes))
		return ks_fail(why, ERR_ENCODE,
			       "bytes that are not UTF-8 cannot be written as json");
	struct buf *b = scratch_begin(c, &own);
	bool is_finite = true;
	if (d->kind == DATUM_JSON)
		doc_write(d->doc, 0, b);
	else if (d->kind == DATUM_I64)
		json_write_i64(b, d->i64);
	else if (d->kind == DATUM_F64)
		is_finite = json_write_f64(b, d->f64);
	else
		json_write_string(b, d->bytes);
	*out = scratch_end(c, b, &own);
	return is_finite ? ERR_NONE
			 : ks_fail(why, ERR_ENCODE, "%g cannot be written as json", d->f64);
}

static enum ks_err encode_string(struct record_context *c, struct datum *d, struct slice *out,
				 struct ks_why *why)
{
	struct datum scalar = *d;

	if (d->kind == DATUM_JSON) {
		enum ks_err err = datum_scalar(c, d, &scalar, why);
		if (err)
			return err;
	}
	struct buf own = {0}, *b;
	switch (scalar.kind) {
	case DATUM_STRING:
	case DATUM_BYTES:
		*out = scalar.bytes;
		return ERR_NONE;
	case DATUM_I64:
	case DATUM_F64:
		b = scratch_begin(c, &own);
		if (scalar.kind == DATUM_I64)
			json_write_i64(b, scalar.i64);
		else if (!json_write_f64(b, scalar.f64))
			buf_printf(b, "%g", scalar.f64);
		*out = scratch_end(c, b, &own);
		return ERR_NONE;
	case DATUM_NULL:
	case DATUM_JSON:
		break;
	}
	return misfit(c, SERDE_STRING, d, why);
}

static enum ks_err encode_number(struct record_context *c, enum serde s, struct datum *d,
				 struct slice *out, struct ks_why *why)
{
	struct datum n = *d;

	if (d->kind == DATUM_JSON) {
		enum ks_err err = datum_scalar(c, d, &n, why);
		if (err)
			return err;
	}
	if (n.kind == DATUM_F64 && s == SERDE_I64 && n.f64 >= -0x1p63 && n.f64 < 0x1p63 &&
	    (double)(int64_t)n.f64 == n.f64)
		n = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)n.f64};
	if (n.kind == DATUM_I64)
		*out = s == SERDE_I64 ? encode_u64(c, (uint64_t)n.i64)
				      : encode_f64(c, (double)n.i64);
	else if (n.kind == DATUM_F64 && s == SERDE_F64)
		*out = encode_f64(c, n.f64);
	else
		return misfit(c, s, d, why);
	return ERR_NONE;
}

enum ks_err datum_encode(struct record_context *c, enum serde s, struct datum *d, struct slice *out,
			 struct ks_why *why)
{
	if (d->kind == DATUM_NULL) {
		*out = SLICE_NULL;
		return ERR_NONE;
	}
	switch (s) {
	case SERDE_JSON:
		return encode_json(c, d, out, why);
	case SERDE_STRING:
		return encode_string(c, d, out, why);
	case SERDE_BYTES:
		if (d->kind == DATUM_I64 || d->kind == DATUM_F64)
			return misfit(c, s, d, why);
		if (d->kind == DATUM_JSON)
			return encode_json(c, d, out, why);
		*out = d->bytes;
		return ERR_NONE;
	case SERDE_I64:
	case SERDE_F64:
		return encode_number(c, s, d, out, why);
	case SERDE_COUNT:
		break;
	}
	return misfit(c, SERDE_BYTES, d, why);
}

/* record.c - looking into a datum. See record.h. */
#include "streams/record.h"

enum ks_err datum_doc(struct record_context *c, struct datum *d, struct doc **doc,
		      struct ks_why *why)
{
	*doc = NULL;
	if (d->kind != DATUM_JSON)
		return ERR_NONE;
	if (!d->doc) {
		enum ks_err err = doc_parse(c->parser, c->arena, d->bytes, &d->doc, why);
		if (err)
			return err;
	}
	*doc = d->doc;
	return ERR_NONE;
}

/* A node's JSON text; that of a dirty one is written anew, into the arena. */
static struct slice node_text(struct record_context *c, struct doc *d, doc_node n)
{
	struct buf own = {0}, *b = c->scratch ? c->scratch : &own;

	if (!doc_is_dirty(d))
		return doc_text(d, n);
	buf_clear(b);
	doc_write(d, n, b);
	struct slice text = slice_of(arena_copy(c->arena, b->data, b->len), b->len);
	buf_fini(&own);
	return text;
}

static void from_node(struct record_context *c, struct doc *d, doc_node n, struct datum *out)
{
	switch (doc_type(d, n)) {
	case DOC_NULL:
		*out = (struct datum){.kind = DATUM_NULL};
		return;
	case DOC_STRING:
		*out = (struct datum){.kind = DATUM_STRING, .bytes = doc_string(d, n)};
		return;
	case DOC_NUMBER: {
		int64_t i = 0;
		double f = 0;
		char type = doc_number(d, n, &i, &f);
		if (type == 'i')
			*out = (struct datum){.kind = DATUM_I64, .i64 = i};
		else if (type == 'f')
			*out = (struct datum){.kind = DATUM_F64, .f64 = f};
		if (type != 'b')
			return;
		break;
	}
	case DOC_FALSE:
	case DOC_TRUE:
	case DOC_ARRAY:
	case DOC_OBJECT:
		break;
	}
	*out = (struct datum){.kind = DATUM_JSON, .bytes = node_text(c, d, n)};
}

enum ks_err datum_path(struct record_context *c, struct datum *d, const struct doc_path *path,
		       struct datum *out, bool *found, struct ks_why *why)
{
	struct doc *doc;
	enum ks_err err = datum_doc(c, d, &doc, why);

	if (err)
		return err;
	if (d->kind == DATUM_NULL) {
		*found = false;
		return ERR_NONE;
	}
	if (!doc)
		return ks_fail(why, ERR_DECODE, "%s has no members to look at; only json has",
			       datum_describe(c, d));
	doc_node n = doc_find(doc, path);
	*found = n != DOC_NONE;
	if (*found)
		from_node(c, doc, n, out);
	return ERR_NONE;
}

enum ks_err datum_scalar(struct record_context *c, struct datum *d, struct datum *out,
			 struct ks_why *why)
{
	struct doc *doc;
	enum ks_err err = datum_doc(c, d, &doc, why);

	if (err)
		return err;
	if (doc)
		from_node(c, doc, 0, out);
	else
		*out = *d;
	return ERR_NONE;
}

bool datum_is_truthy(const struct datum *d)
{
	if (d->kind == DATUM_JSON)
		return !slice_equal(d->bytes, slice_str("false")) &&
		       !slice_equal(d->bytes, slice_str("null"));
	return d->kind != DATUM_NULL;
}

static const char *describe_json(struct doc *d)
{
	switch (doc_type(d, 0)) {
	case DOC_NULL:
		return "null";
	case DOC_FALSE:
	case DOC_TRUE:
		return "a boolean";
	case DOC_NUMBER:
		return "a number";
	case DOC_STRING:
		return "a string";
	case DOC_ARRAY:
		return "an array";
	case DOC_OBJECT:
		return "an object";
	}
	return "json";
}

const char *datum_describe(struct record_context *c, struct datum *d)
{
	struct doc *doc;

	switch (d->kind) {
	case DATUM_NULL:
		return "null";
	case DATUM_BYTES:
		return "a value of bytes";
	case DATUM_STRING:
		return "a string";
	case DATUM_I64:
		return "an integer";
	case DATUM_F64:
		return "a float";
	case DATUM_JSON:
		return datum_doc(c, d, &doc, NULL) ? "invalid json" : describe_json(doc);
	}
	return "nothing";
}

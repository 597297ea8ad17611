/* value_json.c - from Lua values to JSON text. Uses Lua in ways that cannot raise. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua/view.h"

#define PLACE_MAX 200 /* characters of a place in a message */

/* Where a value stands, as a list that goes up to the whole. */
struct place {
	const struct place *up;
	const void *table; /* that holds it */
	const char *name;  /* NULL: index */
	size_t len;
	lua_Integer index;
	unsigned depth;
};

struct writer {
	lua_State *L;
	struct sandbox *s;
	struct buf *out;
	size_t out_max;
	struct ks_why *why;
};

static void append_place(struct buf *b, const struct place *at)
{
	if (!at->up)
		return;
	append_place(b, at->up);
	if (at->name)
		buf_printf(b, ".%.*s", at->len > 64 ? 64 : (int)at->len, at->name);
	else
		buf_printf(b, "[%lld]", (long long)at->index);
}

static enum ks_err fail(struct writer *w, const struct place *at, const char *reason)
{
	struct buf b = {0};
	append_place(&b, at);
	if (b.len > PLACE_MAX) {
		b.len = PLACE_MAX;
		buf_append_str(&b, "...");
	}
	enum ks_err err = b.len ? ks_fail(w->why, ERR_ENCODE, "at %s: %s", buf_cstr(&b), reason)
				: ks_fail(w->why, ERR_ENCODE, "%s", reason);
	buf_fini(&b);
	return err;
}

static enum ks_err write_value(struct writer *w, int index, const struct place *at);

static enum ks_err write_string(struct writer *w, int index, const struct place *at)
{
	struct slice text;
	text.data = (const uint8_t *)lua_tolstring(w->L, index, &text.len);
	if (!utf8_valid(text))
		return fail(
			w, at,
			"a string that is not UTF-8; encode binary data, as base64 for instance");
	json_write_string(w->out, text);
	return ERR_NONE;
}

static enum ks_err write_number(struct writer *w, int index, const struct place *at)
{
	if (lua_isinteger(w->L, index)) {
		json_write_i64(w->out, lua_tointeger(w->L, index));
		return ERR_NONE;
	}
	double f = lua_tonumber(w->L, index);
	if (json_write_f64(w->out, f))
		return ERR_NONE;
	return fail(w, at, isnan(f) ? "NaN is not JSON" : "an infinite number is not JSON");
}

static enum ks_err write_userdata(struct writer *w, int index, const struct place *at)
{
	struct sandbox *s = w->s;
	void *p = lua_touserdata(w->L, index);
	if (p == s->null) {
		buf_append_str(w->out, "null");
		return ERR_NONE;
	}
	const void *meta = value_meta(w->L, index);
	if (meta && meta == s->view_meta) {
		struct view *v = p;
		if (v->generation != s->generation)
			return fail(w, at,
				    "a value of an earlier record; keep a copy made by ks.table");
		doc_write(v->doc, v->node, w->out);
		return ERR_NONE;
	}
	if (meta && meta == s->big_meta) {
		struct big *b = p;
		buf_append(w->out, b->text, b->len);
		return ERR_NONE;
	}
	return fail(w, at, "a userdata is not JSON");
}

static enum ks_err write_array(struct writer *w, int table, lua_Integer n, const struct place *at)
{
	struct place inside = {
		.up = at, .table = lua_topointer(w->L, table), .depth = at->depth + 1};
	buf_append_u8(w->out, '[');
	for (lua_Integer i = 1; i <= n; i++) {
		if (i > 1)
			buf_append_u8(w->out, ',');
		inside.index = i;
		lua_rawgeti(w->L, table, i);
		enum ks_err err = write_value(w, lua_gettop(w->L), &inside);
		lua_pop(w->L, 1);
		if (err)
			return err;
	}
	buf_append_u8(w->out, ']');
	return ERR_NONE;
}

/* The key is pushed by its text, which interns it again: for a long one that allocates, so it may
 * fail only inside of a sandbox_call, where raising is allowed. */
static enum ks_err write_object(struct writer *w, int table, const struct place *at)
{
	struct keys *keys = &w->s->keys;
	size_t first = keys->count;
	struct place inside = {
		.up = at, .table = lua_topointer(w->L, table), .depth = at->depth + 1};
	enum ks_err err = ERR_NONE;

	keys_collect(keys, w->L, table);
	size_t end = keys->count;
	buf_append_u8(w->out, '{');
	for (size_t i = first; i < end && !err; i++) {
		struct key k = keys->items[i]; /* a copy: the array may move */
		inside.name = k.text;
		inside.len = k.len;
		if (!utf8_valid(slice_of(k.text, k.len))) {
			err = fail(w, at, "a name that is not UTF-8");
			break;
		}
		if (i > first)
			buf_append_u8(w->out, ',');
		json_write_string(w->out, slice_of(k.text, k.len));
		buf_append_u8(w->out, ':');
		lua_pushlstring(w->L, k.text, k.len);
		lua_rawget(w->L, table);
		err = write_value(w, lua_gettop(w->L), &inside);
		lua_pop(w->L, 1);
	}
	buf_append_u8(w->out, '}');
	keys->count = first;
	return err;
}

static enum ks_err write_table(struct writer *w, int table, const struct place *at)
{
	const void *address = lua_topointer(w->L, table);
	for (const struct place *p = at; p; p = p->up)
		if (p->table == address)
			return fail(w, at, "a table that contains itself");
	if (at->depth >= DOC_DEPTH_MAX || !lua_checkstack(w->L, 4))
		return fail(w, at, "tables nested too deep");

	struct keys_count c = keys_count(w->L, table);
	bool marked = value_meta(w->L, table) == w->s->array_meta;
	if (c.others > 0)
		return fail(w, at, "a table with keys that are neither strings nor integers");
	if (c.strings > 0 && (c.integers > 0 || marked))
		return fail(w, at,
			    "a table with both names and indexes; JSON has objects and arrays");
	if (c.integers > 0 && (!c.positive || (size_t)c.integer_max != c.integers))
		return fail(w, at,
			    "an array with holes, or not from 1; fill them with ks.null, or use "
			    "tostring(key) for the names of an object");
	if (c.integers > 0 || marked)
		return write_array(w, table, c.integer_max, at);
	return write_object(w, table, at);
}

static enum ks_err write_value(struct writer *w, int index, const struct place *at)
{
	if (w->out->len > w->out_max)
		return ks_fail(w->why, ERR_TOO_LARGE, "the JSON text is longer than %u MiB",
			       DOC_TEXT_MAX >> 20);
	switch (lua_type(w->L, index)) {
	case LUA_TNIL:
		buf_append_str(w->out, "null");
		return ERR_NONE;
	case LUA_TBOOLEAN:
		buf_append_str(w->out, lua_toboolean(w->L, index) ? "true" : "false");
		return ERR_NONE;
	case LUA_TNUMBER:
		return write_number(w, index, at);
	case LUA_TSTRING:
		return write_string(w, index, at);
	case LUA_TUSERDATA:
		return write_userdata(w, index, at);
	case LUA_TTABLE:
		return write_table(w, index, at);
	case LUA_TFUNCTION:
		return fail(w, at, "a function is not JSON");
	default:
		return fail(w, at, "not a value that JSON has");
	}
}

enum ks_err value_to_json(lua_State *L, int index, struct buf *out, struct ks_why *why)
{
	struct writer w = {.L = L,
			   .s = sandbox_of(L),
			   .out = out,
			   .out_max = out->len + DOC_TEXT_MAX,
			   .why = why};
	struct place whole = {0};
	if (!lua_checkstack(L, 4))
		return ks_fail(why, ERR_ENCODE, "too many values on the stack");
	w.s->keys.count = 0;
	enum ks_err err = write_value(&w, lua_absindex(L, index), &whole);
	if (!err && out->len > w.out_max)
		err = ks_fail(why, ERR_TOO_LARGE, "the JSON text is longer than %u MiB",
			      DOC_TEXT_MAX >> 20);
	return err;
}

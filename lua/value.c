/* value.c - views of documents, null and big numbers; see value.h.
 *
 * A view is a userdata of three words: the document, the node, and the generation in which it was
 * made. value_next_record makes all views of the records before useless by counting one up, without
 * having to find them. Its metatable is out of a script's reach, so a metamethod's first argument
 * is always a view.
 */
#include "lua/value.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/view.h"

/* --- pushing --- */

static struct view *push_view(lua_State *L, struct sandbox *s, struct doc *d, doc_node n)
{
	struct view *v = lua_newuserdatauv(L, sizeof *v, 0);
	*v = (struct view){.doc = d, .generation = s->generation, .node = n};
	sandbox_push_ref(L, s->view_ref);
	lua_setmetatable(L, -2);
	return v;
}

/* Every step of a record gets the same document: its view is made once. */
static void push_root(lua_State *L, struct sandbox *s, struct doc *d)
{
	if (s->root && s->root->doc == d && s->root->generation == s->generation) {
		sandbox_push_ref(L, s->root_ref);
		return;
	}
	struct view *v = push_view(L, s, d, 0);
	lua_pushvalue(L, -1);
	lua_rawseti(L, LUA_REGISTRYINDEX, s->root_ref);
	s->root = v;
}

static void push_big(lua_State *L, struct sandbox *s, struct slice text)
{
	struct big *b = lua_newuserdatauv(L, sizeof *b + text.len, 0);
	b->len = text.len;
	memcpy(b->text, text.data, text.len);
	sandbox_push_ref(L, s->big_ref);
	lua_setmetatable(L, -2);
}

static void push_number(lua_State *L, struct sandbox *s, struct doc *d, doc_node n)
{
	int64_t i;
	double f;
	switch (doc_number(d, n, &i, &f)) {
	case 'i':
		lua_pushinteger(L, i);
		break;
	case 'f':
		lua_pushnumber(L, f);
		break;
	default:
		push_big(L, s, doc_text(d, n));
	}
}

void value_push_doc(lua_State *L, struct doc *d, doc_node n)
{
	struct sandbox *s = sandbox_of(L);
	struct slice text;
	switch (doc_type(d, n)) {
	case DOC_NULL:
		sandbox_push_ref(L, s->null_ref);
		break;
	case DOC_FALSE:
	case DOC_TRUE:
		lua_pushboolean(L, doc_type(d, n) == DOC_TRUE);
		break;
	case DOC_NUMBER:
		push_number(L, s, d, n);
		break;
	case DOC_STRING:
		text = doc_string(d, n);
		lua_pushlstring(L, (const char *)text.data, text.len);
		break;
	case DOC_ARRAY:
	case DOC_OBJECT:
		if (n == 0)
			push_root(L, s, d);
		else
			push_view(L, s, d, n);
		break;
	}
}

void value_push_null(lua_State *L)
{
	sandbox_push_ref(L, sandbox_of(L)->null_ref);
}

void value_next_record(lua_State *L)
{
	sandbox_of(L)->generation++;
}

/* --- recognising --- */

const void *value_meta(lua_State *L, int index)
{
	if (!lua_getmetatable(L, index))
		return NULL;
	const void *meta = lua_topointer(L, -1);
	lua_pop(L, 1);
	return meta;
}

struct view *value_view(lua_State *L, int index)
{
	struct sandbox *s = sandbox_of(L);
	void *p = lua_touserdata(L, index);
	if (p == s->root || !p)
		return p;
	if (lua_type(L, index) != LUA_TUSERDATA || value_meta(L, index) != s->view_meta)
		return NULL;
	return p;
}

struct view *value_check_live(lua_State *L, struct view *v)
{
	if (v->generation != sandbox_of(L)->generation)
		luaL_error(L,
			   "this value belongs to an earlier record; keep a copy made by ks.table "
			   "or put it into a store");
	return v;
}

struct doc *value_doc(lua_State *L, int index, doc_node *n)
{
	struct view *v = value_view(L, index);
	if (!v || v->generation != sandbox_of(L)->generation)
		return NULL;
	*n = v->node;
	return v->doc;
}

bool value_is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TUSERDATA &&
	       lua_touserdata(L, index) == sandbox_of(L)->null;
}

/* --- metamethods of views --- */

/* The view that a metamethod was called for. */
static struct view *self(lua_State *L)
{
	struct view *v = value_check_live(L, lua_touserdata(L, 1));
	charge(L, doc_nodes(v->doc) / 8);
	return v;
}

static int view_index(lua_State *L)
{
	struct view *v = self(L);
	doc_node n = DOC_NONE;
	if (lua_type(L, 2) == LUA_TSTRING) {
		size_t len;
		const char *name = lua_tolstring(L, 2, &len);
		n = doc_member(v->doc, v->node, name, len);
	} else {
		int is_integer;
		lua_Integer i = lua_tointegerx(L, 2, &is_integer);
		if (is_integer && i > 0)
			n = doc_element(v->doc, v->node, (size_t)i - 1);
	}
	if (n == DOC_NONE)
		return 0;
	value_push_doc(L, v->doc, n);
	return 1;
}

/* The JSON text of the value at index, in the scratch buffer; raises what cannot be. */
static struct slice scratch_json(lua_State *L, struct sandbox *s, int index)
{
	struct ks_why why;
	buf_clear(&s->scratch);
	if (value_to_json(L, index, &s->scratch, &why) != ERR_NONE)
		luaL_error(L, "cannot store this value: %s", why.text);
	return buf_slice(&s->scratch);
}

static void set_element(lua_State *L, struct sandbox *s, const struct view *v, int key, int value)
{
	int is_integer;
	lua_Integer i = lua_tointegerx(L, key, &is_integer);
	size_t length = doc_length(v->doc, v->node);

	if (!is_integer || lua_type(L, key) == LUA_TSTRING)
		luaL_error(L, "the index of an array must be an integer, not %s '%s'",
			   luaL_typename(L, key), sandbox_tostring(L, key, NULL));
	if (lua_isnil(L, value)) {
		if (i > 0 && (size_t)i == length)
			doc_remove_last(v->doc, v->node);
		else if (i > 0 && (size_t)i < length)
			luaL_error(L, "only the last element of an array can be removed; use "
				      "table.remove, or ks.null");
		return;
	}
	if (i < 1 || (size_t)i > length + 1)
		luaL_error(L, "index %I is outside of the array, which has %I elements",
			   (LUAI_UACINT)i, (LUAI_UACINT)length);
	doc_set_element(v->doc, v->node, (size_t)i - 1, scratch_json(L, s, value));
}

static void set_member(lua_State *L, struct sandbox *s, const struct view *v, int key, int value)
{
	size_t len;
	if (lua_type(L, key) != LUA_TSTRING)
		luaL_error(L, "the members of a JSON object have strings as names, not %s '%s'",
			   luaL_typename(L, key), sandbox_tostring(L, key, NULL));
	const char *name = lua_tolstring(L, key, &len);
	if (lua_isnil(L, value)) {
		doc_remove_member(v->doc, v->node, slice_of(name, len));
		return;
	}
	if (!utf8_valid(slice_of(name, len)))
		luaL_error(L, "the name of a member is not UTF-8");
	doc_set_member(v->doc, v->node, slice_of(name, len), scratch_json(L, s, value));
}

void value_assign(lua_State *L, struct view *v, int key, int value)
{
	struct sandbox *s = sandbox_of(L);
	if (doc_arena(v->doc)->total_bytes > s->documents_max)
		luaL_error(L, "the documents of this record use more than %d MiB",
			   (int)(s->documents_max >> 20));
	key = lua_absindex(L, key);
	value = lua_absindex(L, value);
	if (doc_type(v->doc, v->node) == DOC_ARRAY)
		set_element(L, s, v, key, value);
	else
		set_member(L, s, v, key, value);
	size_t work = s->scratch.len;
	sandbox_scratch_done(s);
	charge(L, work);
}

static int view_newindex(lua_State *L)
{
	value_assign(L, self(L), 2, 3);
	return 0;
}

static int view_len(lua_State *L)
{
	struct view *v = self(L);
	lua_pushinteger(L, (lua_Integer)doc_length(v->doc, v->node));
	return 1;
}

/* Upvalues: the view, the node last visited or -1, the index last visited. */
static int view_next(lua_State *L)
{
	struct view *v = value_check_live(L, lua_touserdata(L, lua_upvalueindex(1)));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(2));
	lua_Integer index = lua_tointeger(L, lua_upvalueindex(3)) + 1;
	doc_node n =
		last < 0 ? doc_first(v->doc, v->node) : doc_after(v->doc, v->node, (doc_node)last);
	if (n == DOC_NONE)
		return 0;
	lua_pushinteger(L, n);
	lua_replace(L, lua_upvalueindex(2));
	lua_pushinteger(L, index);
	if (doc_type(v->doc, v->node) == DOC_OBJECT) {
		struct slice name = doc_name(v->doc, n);
		lua_pushlstring(L, (const char *)name.data, name.len);
	} else {
		lua_pushvalue(L, -1);
	}
	lua_insert(L, -2);
	lua_replace(L, lua_upvalueindex(3));
	value_push_doc(L, v->doc, n);
	return 2;
}

static int view_pairs(lua_State *L)
{
	struct view *v = self(L);
	/* Names with escapes are decoded into the arena at each pass. */
	if (doc_arena(v->doc)->total_bytes > sandbox_of(L)->documents_max)
		luaL_error(L, "the documents of this record use too much memory");
	lua_pushvalue(L, 1);
	lua_pushinteger(L, -1);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, view_next, 3);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

static int view_tostring(lua_State *L)
{
	struct view *v = self(L);
	struct sandbox *s = sandbox_of(L);
	buf_clear(&s->scratch);
	doc_write(v->doc, v->node, &s->scratch);
	lua_pushlstring(L, (const char *)s->scratch.data, s->scratch.len);
	charge(L, s->scratch.len);
	sandbox_scratch_done(s);
	return 1;
}

/* Either operand may be of another kind. */
static int view_eq(lua_State *L)
{
	struct view *a = value_view(L, 1), *b = value_view(L, 2);
	struct sandbox *s = sandbox_of(L);
	if (!a || !b)
		return 0;
	value_check_live(L, a);
	value_check_live(L, b);
	if (a->doc == b->doc && a->node == b->node) {
		lua_pushboolean(L, 1);
		return 1;
	}
	buf_clear(&s->scratch);
	doc_write(a->doc, a->node, &s->scratch);
	size_t half = s->scratch.len;
	doc_write(b->doc, b->node, &s->scratch);
	struct slice text = buf_slice(&s->scratch);
	lua_pushboolean(L, slice_equal(slice_of(text.data, half),
				       slice_of(text.data + half, text.len - half)));
	charge(L, text.len);
	sandbox_scratch_done(s);
	return 1;
}

/* --- null and big numbers --- */

static int null_tostring(lua_State *L)
{
	lua_pushliteral(L, "null");
	return 1;
}

static int big_tostring(lua_State *L)
{
	struct big *b = lua_touserdata(L, 1);
	lua_pushlstring(L, b->text, b->len);
	return 1;
}

static int big_eq(lua_State *L)
{
	const void *meta = sandbox_of(L)->big_meta;
	if (value_meta(L, 1) != meta || value_meta(L, 2) != meta)
		return 0;
	struct big *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
	lua_pushboolean(L, a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
	return 1;
}

/* --- metatables --- */

/* Makes a metatable of methods under a name; its reference, and its address in *address. */
static int new_meta(lua_State *L, const char *name, const luaL_Reg *methods, const void **address)
{
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	*address = lua_topointer(L, -1);
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

void value_init(struct sandbox *s)
{
	static const luaL_Reg view[] = {
		{"__index", view_index},
		{"__newindex", view_newindex},
		{"__len", view_len},
		{"__pairs", view_pairs},
		{"__tostring", view_tostring},
		{"__eq", view_eq},
		{NULL, NULL},
	};
	static const luaL_Reg null[] = {{"__tostring", null_tostring}, {NULL, NULL}};
	static const luaL_Reg big[] = {
		{"__tostring", big_tostring}, {"__eq", big_eq}, {NULL, NULL}};
	static const luaL_Reg array[] = {{NULL, NULL}};
	const void *null_meta;
	lua_State *L = s->L;

	s->view_ref = new_meta(L, "json", view, &s->view_meta);
	s->big_ref = new_meta(L, "big number", big, &s->big_meta);
	s->array_ref = new_meta(L, "array", array, &s->array_meta);
	int null_ref = new_meta(L, "null", null, &null_meta);
	s->null = lua_newuserdatauv(L, 1, 0);
	sandbox_push_ref(L, null_ref);
	lua_setmetatable(L, -2);
	s->null_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushboolean(L, 0);
	s->root_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

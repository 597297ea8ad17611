/* value_lib.c - the functions of the ks module about values. */
#include <lauxlib.h>
#include <string.h>

#include "lua/view.h"

#define PATHS_MAX 1024 /* compiled paths kept */

/* --- ks.type, ks.array --- */

static const char *table_type(lua_State *L, int index)
{
	if (value_meta(L, index) == sandbox_of(L)->array_meta)
		return "array";
	lua_pushnil(L);
	if (!lua_next(L, index))
		return "object";
	bool array = lua_isinteger(L, -2);
	lua_pop(L, 2);
	return array ? "array" : "object";
}

static int ks_type(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	struct view *v;

	luaL_checkany(L, 1);
	if (value_is_null(L, 1))
		lua_pushliteral(L, "null");
	else if ((v = value_view(L, 1)) != NULL)
		lua_pushstring(L, doc_type(value_check_live(L, v)->doc, v->node) == DOC_ARRAY
					  ? "array"
					  : "object");
	else if (lua_type(L, 1) == LUA_TUSERDATA && value_meta(L, 1) == s->big_meta)
		lua_pushliteral(L, "number");
	else if (lua_type(L, 1) == LUA_TTABLE)
		lua_pushstring(L, table_type(L, 1));
	else
		lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

static void mark_array(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	sandbox_push_ref(L, sandbox_of(L)->array_ref);
	lua_setmetatable(L, index);
}

static int ks_array(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, 0);
		lua_newtable(L);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	if (value_meta(L, 1) && value_meta(L, 1) != sandbox_of(L)->array_meta)
		return luaL_error(L, "ks.array: this table has a metatable already");
	mark_array(L, 1);
	lua_settop(L, 1);
	return 1;
}

/* --- ks.table --- */

static void push_plain(lua_State *L, struct doc *d, doc_node n, unsigned depth)
{
	enum doc_type type = doc_type(d, n);
	lua_Integer i = 0;

	if (type != DOC_ARRAY && type != DOC_OBJECT) {
		value_push_doc(L, d, n);
		return;
	}
	if (depth >= DOC_DEPTH_MAX)
		luaL_error(L, "ks.table: nested too deep");
	luaL_checkstack(L, 4, "ks.table: nested too deep");
	int length = (int)doc_length(d, n); /* below DOC_NODES_MAX */
	charge(L, (size_t)length * 100);
	lua_createtable(L, type == DOC_ARRAY ? length : 0, type == DOC_ARRAY ? 0 : length);
	if (type == DOC_ARRAY)
		mark_array(L, -1);
	for (doc_node c = doc_first(d, n); c != DOC_NONE; c = doc_next(d, c)) {
		if (type == DOC_ARRAY) {
			push_plain(L, d, c, depth + 1);
			lua_rawseti(L, -2, ++i);
		} else {
			struct slice name = doc_name(d, c);
			lua_pushlstring(L, (const char *)name.data, name.len);
			push_plain(L, d, c, depth + 1);
			lua_rawset(L, -3);
		}
	}
}

static int ks_table(lua_State *L)
{
	struct view *v = value_view(L, 1);
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	if (v) {
		value_check_live(L, v);
		push_plain(L, v->doc, v->node, 0);
	}
	return 1;
}

/* --- ks.get, ks.set --- */

struct path_box {
	struct doc_path *path;
};

static int path_gc(lua_State *L)
{
	struct path_box *box = lua_touserdata(L, 1);
	doc_path_free(box->path);
	return 0;
}

static void push_path_meta(lua_State *L)
{
	if (luaL_newmetatable(L, "ks.path")) {
		lua_pushcfunction(L, path_gc);
		lua_setfield(L, -2, "__gc");
	}
}

/* Pushes the compiled path of the text at index; it lives as long as it is on the stack. */
static const struct doc_path *push_path(lua_State *L, int index)
{
	struct sandbox *s = sandbox_of(L);
	struct ks_why why;
	size_t len;
	const char *text = luaL_checklstring(L, index, &len);
	struct path_box *box = memo_push(L, &s->paths, index);

	if (box)
		return box->path;
	if (strlen(text) != len || len > 4096)
		luaL_error(L, "a path has no zero bytes and at most 4096 characters");
	box = lua_newuserdatauv(L, sizeof *box, 0);
	box->path = NULL;
	push_path_meta(L);
	lua_setmetatable(L, -2);
	box->path = doc_path_new(text, &why);
	if (!box->path)
		luaL_error(L, "%s", why.text);
	memo_add(L, &s->paths, index, PATHS_MAX);
	return box->path;
}

/* Pushes step i as the key of a view or table; Lua counts from 1. */
static void push_step(lua_State *L, const struct doc_path *p, size_t i)
{
	size_t len, index;
	const char *name = doc_path_step(p, i, &len, &index);
	if (name)
		lua_pushlstring(L, name, len);
	else
		lua_pushinteger(L, (lua_Integer)index + 1);
}

static void check_holder(lua_State *L, int index)
{
	luaL_argexpected(L, lua_type(L, index) == LUA_TTABLE || value_view(L, index), index,
			 "object or array");
}

/* Replaces the value on top by its member at step i; nil if it has none. */
static void follow(lua_State *L, const struct doc_path *p, size_t i)
{
	if (lua_type(L, -1) == LUA_TTABLE || value_view(L, -1)) {
		push_step(L, p, i);
		lua_gettable(L, -2);
	} else {
		lua_pushnil(L);
	}
	lua_remove(L, -2);
}

static int ks_get(lua_State *L)
{
	lua_settop(L, 2);
	if (lua_isnil(L, 1) || value_is_null(L, 1)) {
		lua_pushnil(L);
		return 1;
	}
	check_holder(L, 1);
	struct view *v = value_view(L, 1);
	const struct doc_path *p = push_path(L, 2);
	if (v) {
		value_check_live(L, v);
		doc_node n = doc_find_from(v->doc, v->node, p);
		if (n == DOC_NONE)
			return 0;
		value_push_doc(L, v->doc, n);
		return 1;
	}
	lua_pushvalue(L, 1);
	for (size_t i = 0; i < doc_path_length(p) && !lua_isnil(L, -1); i++)
		follow(L, p, i);
	return 1;
}

/* Replaces the holder on top by its member at step i, made an empty object or, if an index follows,
 * an array where there is none. */
static void descend(lua_State *L, const struct doc_path *p, size_t i)
{
	size_t len, index;
	lua_pushvalue(L, -1);
	follow(L, p, i);
	if (!lua_isnil(L, -1) && !value_is_null(L, -1)) {
		if (lua_type(L, -1) != LUA_TTABLE && !value_view(L, -1))
			luaL_error(
				L,
				"ks.set: step %I of the path leads to a %s, which has no members",
				(LUAI_UACINT)i + 1, luaL_typename(L, -1));
		lua_remove(L, -2);
		return;
	}
	lua_pop(L, 1);
	push_step(L, p, i);
	lua_newtable(L);
	if (!doc_path_step(p, i + 1, &len, &index))
		mark_array(L, -1);
	lua_settable(L, -3); /* a view copies it, so it is read again */
	follow(L, p, i);
}

static int ks_set(lua_State *L)
{
	lua_settop(L, 3);
	check_holder(L, 1);
	const struct doc_path *p = push_path(L, 2);
	size_t last = doc_path_length(p) - 1;
	lua_pushvalue(L, 1);
	for (size_t i = 0; i < last; i++)
		descend(L, p, i);
	push_step(L, p, last);
	lua_pushvalue(L, 3);
	lua_settable(L, -3);
	lua_settop(L, 1);
	return 1;
}

void value_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"array", ks_array}, {"get", ks_get},   {"set", ks_set},
		{"table", ks_table}, {"type", ks_type}, {NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
	value_push_null(L);
	lua_setfield(L, -2, "null");
}

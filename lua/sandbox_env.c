/* sandbox_env.c - what a script finds around it: globals, read-only libraries, its environment.
 *
 *   _ENV of a script    {}  --__index-->  globals  --__index-->  advice for names that are missing
 * on purpose string, math, ...   {}  --__index-->  the library
 *
 * The empty tables in front refuse assignments and cannot be looked behind: __metatable is false,
 * and rawset and setmetatable heed it.
 */
#include "lua/state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

static const struct {
	const char *name, *advice;
} missing[] = {
	{"io", "scripts have no files; write to a topic or a sink"},
	{"os", "scripts see no system; use ks.time and ks.env"},
	{"debug", "scripts cannot look into the interpreter"},
	{"package", "use require, which looks beside the script"},
	{"dofile", "use require, which looks beside the script"},
	{"loadfile", "use require, which looks beside the script"},
	{"collectgarbage", "the collector runs by itself"},
};

static int missing_global(lua_State *L)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
	for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
		if (strcmp(name, missing[i].name) == 0)
			return luaL_error(L, "'%s' is not available: %s", name, missing[i].advice);
	lua_pushnil(L);
	return 1;
}

static int refuse_global(lua_State *L)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	if (lua_type(L, 3) == LUA_TFUNCTION)
		return luaL_error(L,
				  "global function '%s' is not allowed: write 'local function %s'",
				  name, name);
	return luaL_error(
		L,
		"assignment to global '%s': write 'local %s'; what must outlive a record "
		"belongs into a store, as variables are lost on restart and differ per thread",
		name, name);
}

static int refuse_write(lua_State *L)
{
	return luaL_error(L, "this table is read-only");
}

static int pairs_of_hidden(lua_State *L)
{
	sandbox_push_sorted(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* Replaces the table on top by a view of it whose assignments run write. */
static void push_view(lua_State *L, lua_CFunction write)
{
	lua_newtable(L);
	lua_createtable(L, 0, 4);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, write);
	lua_setfield(L, -2, "__newindex");
	lua_pushvalue(L, -3);
	lua_pushcclosure(L, pairs_of_hidden, 1);
	lua_setfield(L, -2, "__pairs");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_remove(L, -2);
}

void sandbox_freeze(lua_State *L)
{
	push_view(L, refuse_write);
}

/* Makes what open fills a read-only library of the table on top, and pushes the library itself. */
static void add_library(lua_State *L, const char *name, void (*open)(lua_State *))
{
	lua_newtable(L);
	open(L);
	lua_pushvalue(L, -1);
	sandbox_freeze(L);
	lua_setfield(L, -3, name);
}

static void open_string_metatable(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3); /* the library */
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}

static void open_libraries(lua_State *L)
{
	add_library(L, "string", sandbox_open_string);
	sandbox_open_find(L);
	open_string_metatable(L);
	lua_pop(L, 1);
	add_library(L, "coroutine", sandbox_open_coroutine);
	lua_pop(L, 1);
	add_library(L, "math", sandbox_open_math);
	lua_pop(L, 1);
	add_library(L, "table", sandbox_open_table);
	lua_pop(L, 1);
	add_library(L, "utf8", sandbox_open_utf8);
	lua_pop(L, 1);
}

/* Lua's own global functions that need no change. */
static void keep_base(lua_State *L)
{
	static const char *const kept[] = {"_VERSION", "assert", "error",    "getmetatable",
					   "ipairs",   "next",   "rawequal", "rawget",
					   "rawlen",   "select", "tonumber", "type"};
	luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		lua_getfield(L, -1, kept[i]);
		lua_setfield(L, -3, kept[i]);
	}
	lua_pop(L, 1);
}

static int new_table_ref(lua_State *L)
{
	lua_newtable(L);
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

void sandbox_env_init(struct sandbox *s)
{
	lua_State *L = s->L;

	s->loaded_ref = new_table_ref(L);
	s->loading_ref = new_table_ref(L);
	s->chunks_ref = new_table_ref(L);
	memo_init(&s->programs, L);
	memo_init(&s->paths, L);

	lua_newtable(L); /* globals */
	keep_base(L);
	sandbox_open_base(L);
	sandbox_open_call(L);
	sandbox_open_load(L);
	open_libraries(L);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, missing_global);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	s->globals_ref = luaL_ref(L, LUA_REGISTRYINDEX);

	lua_pushvalue(L, -1);
	push_view(L, refuse_global);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, "_G");
	/* From here on nothing reaches Lua's own table of globals. */
	lua_pushvalue(L, -1);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	s->env_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 1);
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* memo.c - see memo.h. */
#include "lua/memo.h"

#include <lauxlib.h>

void memo_init(struct memo *m, lua_State *L)
{
	lua_newtable(L);
	*m = (struct memo){.ref = luaL_ref(L, LUA_REGISTRYINDEX)};
}

void *memo_push(lua_State *L, const struct memo *m, int index)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, m->ref);
	lua_pushvalue(L, index);
	if (lua_rawget(L, -2) != LUA_TUSERDATA) {
		lua_pop(L, 2);
		return NULL;
	}
	lua_remove(L, -2);
	return lua_touserdata(L, -1);
}

void memo_add(lua_State *L, struct memo *m, int index, unsigned max)
{
	if (++m->count > max) {
		lua_newtable(L);
		lua_rawseti(L, LUA_REGISTRYINDEX, m->ref);
		m->count = 0;
		return;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, m->ref);
	lua_pushvalue(L, index);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

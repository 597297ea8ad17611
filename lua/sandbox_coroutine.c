/* sandbox_coroutine.c - coroutine.resume, wrap and close, which pass on what stops a script and tell the sandbox which
 * state runs. New coroutines inherit the count hook of the one that makes them. */
#include "lua/state.h"

#include <lauxlib.h>
#include <lualib.h>

/* After code of co failed. */
static void pass_on(lua_State *L, lua_State *co, int status)
{
	struct sandbox *s = sandbox_of(L);
	if (status != LUA_OK)
		sandbox_note_memory(s, co, status);
	if (s->stop)
		sandbox_raise_stop(L);
}

/* Resumes co with the topmost nargs values. Pushes its results and returns their number; or leaves
 * the error on co's stack and returns -1, or pushes an error of our own and returns -2. */
static int resume(lua_State *L, lua_State *co, int nargs)
{
	int nresults;

	if (!lua_checkstack(co, nargs)) {
		lua_pushliteral(L, "too many arguments to resume");
		return -2;
	}
	lua_xmove(L, co, nargs);
	sandbox_switch(sandbox_of(L), co);
	int status = lua_resume(co, L, nargs, &nresults);
	sandbox_switch(sandbox_of(L), L);
	if (status != LUA_OK && status != LUA_YIELD) {
		pass_on(L, co, status);
		return -1;
	}
	if (!lua_checkstack(L, nresults + 1)) {
		lua_pop(co, nresults);
		lua_pushliteral(L, "too many results to resume");
		return -2;
	}
	lua_xmove(co, L, nresults);
	return nresults;
}

static lua_State *check_coroutine(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	luaL_argexpected(L, co, 1, "coroutine");
	return co;
}

static int safe_resume(lua_State *L)
{
	lua_State *co = check_coroutine(L);
	int n = resume(L, co, lua_gettop(L) - 1);
	if (n == -1)
		lua_xmove(co, L, 1);
	lua_pushboolean(L, n >= 0);
	lua_insert(L, n < 0 ? -2 : -(n + 1));
	return n < 0 ? 2 : n + 1;
}

static int wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n = resume(L, co, lua_gettop(L));
	if (n >= 0)
		return n;
	if (n == -1) {
		/* Suspended or dead without an error of its own, co only refused. */
		if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) {
			sandbox_capture(sandbox_of(L), co, 0);
			sandbox_switch(sandbox_of(L), co);
			int status = lua_resetthread(co); /* runs what its __close variables want */
			sandbox_switch(sandbox_of(L), L);
			pass_on(L, co, status);
		}
		lua_xmove(co, L, 1);
	}
	return lua_error(L); /* Lua would put the caller's position before the coroutine's own */
}

static int safe_wrap(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_State *co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, wrapped, 1);
	return 1;
}

/* Neither running nor waiting for one it resumed: close will do it, without an error of its own. */
static bool is_closable(lua_State *co)
{
	lua_Debug ar;
	return co && (lua_status(co) != LUA_OK || !lua_getstack(co, 0, &ar));
}

/* Lua's own close as upvalue: it knows which states can be closed. */
static int safe_close(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	if (is_closable(co))
		sandbox_switch(sandbox_of(L), co);
	int n = lua_tocfunction(L, lua_upvalueindex(1))(L);
	sandbox_switch(sandbox_of(L), L);
	pass_on(L, NULL, LUA_OK);
	return n;
}

void sandbox_open_coroutine(lua_State *L)
{
	static const char *const kept[] = {"create", "isyieldable", "running", "status", "yield"};
	luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		lua_getfield(L, -1, kept[i]);
		lua_setfield(L, -3, kept[i]);
	}
	lua_getfield(L, -1, "close");
	lua_pushcclosure(L, safe_close, 1);
	lua_setfield(L, -3, "close");
	lua_pop(L, 1);
	lua_pushcfunction(L, safe_resume);
	lua_setfield(L, -2, "resume");
	lua_pushcfunction(L, safe_wrap);
	lua_setfield(L, -2, "wrap");
}

/* sandbox_call.c - calling scripts, telling where and why they failed; their pcall. */
#include "lua/state.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "lua/value.h"

#define TRACEBACK_LINES 24

/* --- where --- */

static bool is_script(const lua_Debug *ar)
{
	return ar->source[0] == '@';
}

bool sandbox_where(lua_State *L, char *out, size_t cap)
{
	lua_Debug ar;
	out[0] = 0;
	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (is_script(&ar) && ar.currentline > 0) {
			snprintf(out, cap, "%s:%d", ar.source + 1, ar.currentline);
			return true;
		}
	}
	return false;
}

static void append_frame(struct buf *out, const lua_Debug *ar)
{
	if (*ar->what == 'C')
		buf_append_str(out, "[C]: ");
	else if (ar->currentline > 0)
		buf_printf(out, "%s:%d: ", is_script(ar) ? ar->source + 1 : ar->short_src,
			   ar->currentline);
	else
		buf_printf(out, "%s: ", ar->short_src);
	if (*ar->what == 'm')
		buf_append_str(out, "in the main chunk");
	else if (ar->name)
		buf_printf(out, "in %s '%s'", *ar->namewhat ? ar->namewhat : "function", ar->name);
	else if (*ar->what == 'C')
		buf_append_str(out, "in a function");
	else
		buf_printf(out, "in the function of line %d", ar->linedefined);
	buf_append_u8(out, '\n');
}

static void append_traceback(struct buf *out, lua_State *L, int level)
{
	lua_Debug ar;
	int end = level + TRACEBACK_LINES;
	for (; level < end && lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sln", &ar);
		append_frame(out, &ar);
	}
	if (lua_getstack(L, level, &ar))
		buf_append_str(out, "...\n");
}

void sandbox_capture(struct sandbox *s, lua_State *L, int level)
{
	if (s->captured)
		return;
	s->captured = true;
	sandbox_where(L, s->where, sizeof s->where);
	buf_clear(&s->traceback);
	append_traceback(&s->traceback, L, level);
}

int sandbox_on_error(lua_State *L)
{
	sandbox_capture(sandbox_of(L), L, 1); /* 0 is this function */
	return 1;
}

/* --- what --- */

void sandbox_error_fini(struct sandbox_error *e)
{
	buf_fini(&e->message);
	buf_fini(&e->traceback);
}

/* Moves the position that Lua puts before a message to where, if it is one of a script of ours. */
static void split_position(struct sandbox *s, struct sandbox_error *e)
{
	const char *text = buf_cstr(&e->message);
	for (const char *colon = text; (colon = strchr(colon, ':')) != NULL; colon++) {
		size_t digits = strspn(colon + 1, "0123456789");
		if (digits == 0 || strncmp(colon + 1 + digits, ": ", 2) != 0)
			continue;
		lua_State *L = s->L;
		size_t position = (size_t)(colon - text) + 1 + digits;
		sandbox_push_ref(L, s->chunks_ref);
		lua_pushlstring(L, text, (size_t)(colon - text));
		if (lua_rawget(L, -2) == LUA_TSTRING) {
			snprintf(e->where, sizeof e->where, "%s:%.*s", lua_tostring(L, -1),
				 (int)digits, colon + 1);
			e->message.len -= position + 2;
			memmove(e->message.data, e->message.data + position + 2, e->message.len);
		}
		lua_pop(L, 2);
		return;
	}
}

static int describe(lua_State *L)
{
	size_t len;
	const char *text;
	bool plain = lua_type(L, 1) == LUA_TTABLE && !luaL_getmetafield(L, 1, "__tostring");
	struct buf *out = lua_touserdata(L, 2);

	if (plain && value_to_json(L, 1, out, NULL) == ERR_NONE)
		return 0;
	buf_clear(out);
	text = sandbox_tostring(L, 1, &len);
	buf_append(out, text, len);
	return 0;
}

/* The error value on top of the stack as text. */
static void describe_value(struct sandbox *s, struct sandbox_error *e)
{
	lua_State *L = s->L;
	size_t len;

	if (lua_type(L, -1) == LUA_TSTRING) {
		const char *text = lua_tolstring(L, -1, &len);
		buf_append(&e->message, text, len);
		return;
	}
	lua_pushcfunction(L, describe);
	lua_pushvalue(L, -2);
	lua_pushlightuserdata(L, &e->message);
	lua_State *before = sandbox_enter(s);
	int status = lua_pcall(L, 2, 0, 0);
	sandbox_leave(s, before);
	if (status) {
		buf_clear(&e->message);
		buf_printf(&e->message, "an error value of type %s", luaL_typename(L, -2));
		lua_pop(L, 1);
	}
}

void sandbox_note_memory(struct sandbox *s, lua_State *L, int status)
{
	/* luaL_Buffer raises it as an error like any other. */
	bool buffer = status == LUA_ERRRUN && lua_type(L, -1) == LUA_TSTRING &&
		      strcmp(lua_tostring(L, -1), "not enough memory") == 0;
	if (!s->stop && (status == LUA_ERRMEM || buffer))
		s->stop = STOP_MEMORY;
}

enum ks_err sandbox_fail(struct sandbox *s, int status, struct sandbox_error *e)
{
	sandbox_note_memory(s, s->L, status);
	buf_clear(&e->message);
	buf_clear(&e->traceback);
	e->memory = s->stop == STOP_MEMORY;
	e->err = s->stop ? ERR_BUDGET : ERR_SCRIPT;
	snprintf(e->where, sizeof e->where, "%s", s->captured ? s->where : "");
	if (s->captured)
		buf_append(&e->traceback, s->traceback.data, s->traceback.len);
	s->captured = false;

	if (s->stop == STOP_MEMORY) {
		buf_printf(
			&e->message,
			"used more than %zu MiB of memory: a table, a string or a recursion grows "
			"without end",
			s->memory_max >> 20);
	} else if (s->stop && s->instructions_max && s->instructions >= s->instructions_max) {
		buf_printf(&e->message, "ran for more than %llu instructions",
			   (unsigned long long)s->instructions_max);
	} else if (s->stop) {
		buf_printf(&e->message, "ran longer than %lld ms", (long long)s->budget_ms);
	} else {
		describe_value(s, e);
		split_position(s, e);
	}
	if (e->message.len == 0)
		buf_append_str(&e->message, "an error without a message");
	lua_pop(s->L, 1);
	return e->err;
}

/* Where the function at index begins: the best we know when memory ran out, as no handler runs
 * then. */
static void where_defined(lua_State *L, int index, char *out, size_t cap)
{
	lua_Debug ar;
	if (lua_type(L, index) != LUA_TFUNCTION)
		return;
	lua_pushvalue(L, index);
	lua_getinfo(L, ">S", &ar);
	if (is_script(&ar))
		snprintf(out, cap, "%s:%d", ar.source + 1, ar.linedefined > 0 ? ar.linedefined : 1);
}

enum ks_err sandbox_call(struct sandbox *s, int nargs, int nresults, struct sandbox_error *e)
{
	lua_State *L = s->L;
	int function = lua_gettop(L) - nargs;

	lua_checkstack(L, 4);
	lua_pushcfunction(L, sandbox_on_error);
	lua_pushvalue(L, function);
	lua_rotate(L, function, 2);
	lua_State *before = sandbox_enter(s);
	int status = lua_pcall(L, nargs, nresults, function);
	sandbox_leave(s, before);
	if (status == LUA_OK) {
		lua_rotate(L, function, -2);
		lua_pop(L, 2);
		return ERR_NONE;
	}
	enum ks_err err = sandbox_fail(s, status, e);
	if (!e->where[0])
		where_defined(L, function + 1, e->where, sizeof e->where);
	lua_pop(L, 2);
	return err;
}

void sandbox_begin(struct sandbox *s)
{
	lua_pushcfunction(s->L, sandbox_on_error);
}

enum ks_err sandbox_run(struct sandbox *s, int nargs, int nresults, struct sandbox_error *e)
{
	lua_State *L = s->L;
	int handler = lua_gettop(L) - nargs - 1;

	lua_State *before = sandbox_enter(s);
	int status = lua_pcall(L, nargs, nresults, handler);
	sandbox_leave(s, before);
	if (status == LUA_OK)
		return ERR_NONE;
	enum ks_err err = sandbox_fail(s, status, e);
	lua_pop(L, 1);
	return err;
}

/* --- pcall and xpcall --- */

/* After a protected call failed: goes on failing if the script is to stop. */
static void pass_on(lua_State *L, int status)
{
	struct sandbox *s = sandbox_of(L);
	sandbox_note_memory(s, L, status);
	if (s->stop)
		sandbox_raise_stop(L);
	s->captured = false;
}

/* The results stand above the first slots, which are the call's own. */
static int finish_call(lua_State *L, int status, lua_KContext own)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - (int)own;
	pass_on(L, status);
	lua_pushboolean(L, 0);
	lua_insert(L, -2);
	return 2;
}

static int safe_pcall(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_pushboolean(L, 1); /* the first result, if all goes well */
	lua_insert(L, 1);
	int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_call);
	return finish_call(L, status, 0);
}

static int guarded_handler(lua_State *L)
{
	if (sandbox_of(L)->stop)
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

static int safe_xpcall(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, guarded_handler, 1);
	lua_pushboolean(L, 1);
	lua_rotate(L, 1, 2); /* handler, true, f, its own handler, arguments */
	lua_remove(L, 4);
	int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, 1, finish_call);
	return finish_call(L, status, 1);
}

void sandbox_open_call(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"pcall", safe_pcall},
		{"xpcall", safe_xpcall},
		{NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}

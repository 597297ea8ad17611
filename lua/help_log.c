/* help_log.c - ks.log's functions, ks.env, ks.param, ks.json. */
#include "lua/helpers.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/suggest.h"
#include "lua/sandbox.h"
#include "lua/value.h"

#define LOG_TEXT_MAX 4096 /* bytes of one line */

static int write_log(lua_State *L, enum log_level level)
{
	struct surroundings *s = lua_touserdata(L, lua_upvalueindex(1));
	int n = lua_gettop(L);
	luaL_Buffer b;
	const char *text;
	size_t len;

	if (s->is_quiet && !s->record)
		return 0;
	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, ' ');
		(void)sandbox_tostring(L, i, &len);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	text = lua_tolstring(L, -1, &len);
	log_write(level, s->name, "%.*s", (int)(len < LOG_TEXT_MAX ? len : LOG_TEXT_MAX), text);
	return 0;
}

static int log_at_debug(lua_State *L)
{
	return write_log(L, LOG_DEBUG);
}

static int log_at_info(lua_State *L)
{
	return write_log(L, LOG_INFO);
}

static int log_at_warn(lua_State *L)
{
	return write_log(L, LOG_WARN);
}

static int log_at_error(lua_State *L)
{
	return write_log(L, LOG_ERROR);
}

/* The second argument, or an error that tells how to give the value. */
static int otherwise(lua_State *L, const char *format)
{
	if (lua_isnoneornil(L, 2))
		return luaL_error(L, format, lua_tostring(L, 1), lua_tostring(L, 1));
	lua_pushvalue(L, 2);
	return 1;
}

/* ks.env("NAME"[, default]) */
static int env(lua_State *L)
{
	const char *value = getenv(luaL_checkstring(L, 1));

	if (!value)
		return otherwise(L, "the environment has no %s; set it, or give a default: "
				    "ks.env(\"%s\", \"…\")");
	lua_pushstring(L, value);
	return 1;
}

/* ks.param("name"[, default]): what ksrun got as -p name=value, always a string. */
static int param(lua_State *L)
{
	struct surroundings *s = lua_touserdata(L, lua_upvalueindex(1));
	const char *name = luaL_checkstring(L, 1);

	for (size_t i = 0; i < s->param_count; i++) {
		if (strcmp(s->params[i].name, name) == 0) {
			s->params[i].is_used = true;
			lua_pushstring(L, s->params[i].value);
			return 1;
		}
	}
	return otherwise(L, "the script needs the parameter %s: ksrun … -p %s=VALUE");
}

void helpers_register_log(lua_State *L, struct surroundings *s)
{
	static const luaL_Reg levels[] = {{"debug", log_at_debug},
					  {"info", log_at_info},
					  {"warn", log_at_warn},
					  {"error", log_at_error},
					  {NULL, NULL}};

	luaL_newlibtable(L, levels);
	lua_pushlightuserdata(L, s);
	luaL_setfuncs(L, levels, 1);
	lua_setfield(L, -2, "log");
	lua_pushcfunction(L, env);
	lua_setfield(L, -2, "env");
	lua_pushlightuserdata(L, s);
	lua_pushcclosure(L, param, 1);
	lua_setfield(L, -2, "param");
}

/* --- JSON --- */

/* Memory of one conversion, freed by the collector if an error comes between. */
struct scratch {
	struct buf buf;
	struct arena arena;
	struct doc_parser *parser;
};

static int scratch_gc(lua_State *L)
{
	struct scratch *s = lua_touserdata(L, 1);

	buf_fini(&s->buf);
	arena_fini(&s->arena);
	doc_parser_free(s->parser);
	memset(s, 0, sizeof *s);
	return 0;
}

static struct scratch *scratch_new(lua_State *L)
{
	struct scratch *s = lua_newuserdatauv(L, sizeof *s, 0);

	memset(s, 0, sizeof *s);
	if (luaL_newmetatable(L, "ks.scratch")) {
		lua_pushcfunction(L, scratch_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return s;
}

static int json_encode(lua_State *L)
{
	struct scratch *s;
	struct ks_why why;

	luaL_checkany(L, 1);
	s = scratch_new(L);
	if (value_to_json(L, 1, &s->buf, &why) != ERR_NONE)
		return luaL_error(L, "this cannot be JSON: %s", why.text);
	lua_pushlstring(L, (const char *)s->buf.data, s->buf.len);
	buf_fini(&s->buf);
	s->buf = (struct buf){0};
	return 1;
}

/* upvalue 1: the ks.table of value_register, which makes a view a table. */
static int json_decode(lua_State *L)
{
	struct scratch *s;
	struct ks_why why;
	struct doc *d;
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);

	s = scratch_new(L);
	sandbox_charge(L, len);
	buf_append(&s->buf, text, len);
	s->parser = doc_parser_new();
	if (doc_parse(s->parser, &s->arena, buf_slice(&s->buf), &d, &why) != ERR_NONE)
		return luaL_error(L, "this is not JSON: %s", why.text);
	lua_pushvalue(L, lua_upvalueindex(1));
	value_push_doc(L, d, 0);
	if (doc_type(d, 0) == DOC_OBJECT || doc_type(d, 0) == DOC_ARRAY)
		lua_call(L, 1, 1);
	lua_pushcfunction(L, scratch_gc);
	lua_pushvalue(L, 2);
	lua_call(L, 1, 0);
	return 1;
}

void helpers_register_json(lua_State *L)
{
	lua_newtable(L);
	lua_pushcfunction(L, json_encode);
	lua_setfield(L, -2, "encode");
	lua_getfield(L, -2, "table");
	lua_pushcclosure(L, json_decode, 1);
	lua_setfield(L, -2, "decode");
	lua_setfield(L, -2, "json");
}

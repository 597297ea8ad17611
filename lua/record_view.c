/* record_view.c - see record_view.h. Each access asks whether the function that was given the view still runs. */
#include "lua/record_view.h"

#include <lauxlib.h>

#include "lua/script_impl.h"
#include "wire/batch.h"

#define RECORD_META  "ks.record"
#define HEADERS_META "ks.headers"
#define PROCESS_META "ks.context"
#define STATE_META   "ks.state"

/* --- rec --- */

static const struct rec *check_view(lua_State *L, const struct record_view *v)
{
	if (!v->rec)
		luaL_error(L, "rec can be read only while the function runs that it was given to");
	return v->rec;
}

static const struct rec *check_record(lua_State *L)
{
	return check_view(L, luaL_checkudata(L, 1, RECORD_META));
}

static const struct rec *check_headers(lua_State *L)
{
	struct record_view **v = luaL_checkudata(L, 1, HEADERS_META);

	return check_view(L, *v);
}

static int record_index(lua_State *L)
{
	const struct rec *r = check_record(L);
	const char *key = lua_tostring(L, 2);

	if (!key)
		return luaL_error(L, "rec has topic, partition, offset, timestamp and headers");
	if (strcmp(key, "timestamp") == 0)
		lua_pushinteger(L, r->timestamp);
	else if (strcmp(key, "offset") == 0)
		lua_pushinteger(L, r->offset);
	else if (strcmp(key, "partition") == 0)
		lua_pushinteger(L, r->partition);
	else if (strcmp(key, "topic") == 0)
		lua_pushstring(L, r->topic);
	else if (strcmp(key, "headers") == 0)
		lua_getiuservalue(L, 1, 1);
	else
		return luaL_error(
			L,
			"rec has no \"%s\"; it has topic, partition, offset, timestamp and headers",
			key);
	return 1;
}

static int record_newindex(lua_State *L)
{
	return luaL_error(L, "rec is read-only: return what shall change from ks.map");
}

/* rec.headers["name"]: the last one of that name, as a string; nil: none, or null. */
static int headers_index(lua_State *L)
{
	struct slice left = check_headers(L)->headers;
	struct record_header h;
	size_t len;
	const char *name = luaL_checklstring(L, 2, &len);

	lua_pushnil(L);
	while (record_header_next(&left, &h) == 1) {
		if (h.name.len != len || memcmp(h.name.data, name, len) != 0)
			continue;
		lua_pop(L, 1);
		if (h.value.data)
			lua_pushlstring(L, (const char *)h.value.data, h.value.len);
		else
			lua_pushnil(L);
	}
	return 1;
}

/* One step of pairs(rec.headers): upvalue 1 counts the headers passed. */
static int headers_next(lua_State *L)
{
	struct slice left = check_headers(L)->headers;
	lua_Integer passed = lua_tointeger(L, lua_upvalueindex(1));
	struct record_header h;

	for (lua_Integer i = 0; i <= passed; i++) {
		if (record_header_next(&left, &h) != 1)
			return 0;
	}
	lua_pushinteger(L, passed + 1);
	lua_replace(L, lua_upvalueindex(1));
	lua_pushlstring(L, (const char *)h.name.data, h.name.len);
	lua_pushlstring(L, h.value.data ? (const char *)h.value.data : "", h.value.len);
	return 2;
}

static int headers_pairs(lua_State *L)
{
	(void)check_headers(L);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, headers_next, 1);
	lua_pushvalue(L, 1);
	return 2;
}

static int headers_len(lua_State *L)
{
	lua_pushinteger(L, check_headers(L)->header_count);
	return 1;
}

static void set_metatable(lua_State *L, const char *name, const luaL_Reg *methods)
{
	if (luaL_newmetatable(L, name)) {
		luaL_setfuncs(L, methods, 0);
		lua_pushstring(L, name);
		lua_setfield(L, -2, "__metatable");
	}
	lua_setmetatable(L, -2);
}

struct record_view *record_view_new(lua_State *L)
{
	static const luaL_Reg record_methods[] = {
		{"__index", record_index}, {"__newindex", record_newindex}, {NULL, NULL}};
	static const luaL_Reg headers_methods[] = {{"__index", headers_index},
						   {"__newindex", record_newindex},
						   {"__pairs", headers_pairs},
						   {"__len", headers_len},
						   {NULL, NULL}};
	struct record_view *v = lua_newuserdatauv(L, sizeof *v, 1);
	struct record_view **headers;

	v->rec = NULL;
	set_metatable(L, RECORD_META, record_methods);
	headers = lua_newuserdatauv(L, sizeof *headers, 1);
	*headers = v;
	set_metatable(L, HEADERS_META, headers_methods);
	lua_pushvalue(L, -2);
	lua_setiuservalue(L, -2, 1); /* so that v lives as long as its headers */
	lua_setiuservalue(L, -2, 1);
	return v;
}

/* --- ctx --- */

static struct process_view *check_running(lua_State *L, struct process_view *v)
{
	if (!v->process)
		luaL_error(L, "ctx can be used only while the function of ks.process runs");
	return v;
}

static struct process_view *check_process(lua_State *L)
{
	return check_running(L, luaL_checkudata(L, 1, PROCESS_META));
}

static struct process_view *check_state(lua_State *L)
{
	struct process_view **v = luaL_checkudata(L, 1, STATE_META);

	return check_running(L, *v);
}

/* Raises what the engine could not do, and remembers it, for a pcall must not hide it. */
static int raise(lua_State *L, struct process_view *v, enum ks_err err, const struct ks_why *why)
{
	if (!v->failed) {
		v->failed = err;
		v->why = *why;
	}
	return luaL_error(L, "%s", why->text);
}

static int process_forward(lua_State *L)
{
	struct process_view *v = check_process(L);
	struct datum value, key;
	struct ks_why why = {""};
	bool has_key = !lua_isnoneornil(L, 3);
	enum ks_err err;

	if (lua_isnoneornil(L, 2))
		return luaL_error(
			L, "ctx:forward(value[, key]) needs a value; ks.tombstone is Kafka's null");
	err = script_take_datum(L, 2, v->context, NULL, &value, &why);
	if (!err && has_key)
		err = script_take_datum(L, 3, v->context, NULL, &key, &why);
	if (err)
		return luaL_error(L, "this cannot be forwarded: %s", why.text);
	err = v->process->forward(v->process->self, &value, has_key ? &key : NULL, &why);
	if (err)
		return raise(L, v, err, &why);
	return 0;
}

static int process_index(lua_State *L)
{
	struct process_view *v = check_process(L);
	const char *key = lua_tostring(L, 2);

	if (key && strcmp(key, "state") == 0)
		lua_getiuservalue(L, 1, 1);
	else if (key && strcmp(key, "forward") == 0)
		lua_pushcfunction(L, process_forward);
	else if (key && strcmp(key, "time") == 0)
		lua_pushinteger(L, v->process->stream_time);
	else
		return luaL_error(L, "ctx has state, forward and time");
	return 1;
}

static int process_newindex(lua_State *L)
{
	return luaL_error(L, "ctx is read-only: keep values in ctx.state[key]");
}

static void take_key(lua_State *L, struct process_view *v, struct datum *key)
{
	struct ks_why why;

	if (lua_isnil(L, 2))
		luaL_error(L, "ctx.state[nil]: the record has no key? Use a key of your own");
	if (script_take_datum(L, 2, v->context, NULL, key, &why) != ERR_NONE)
		luaL_error(L, "this cannot be a key of ctx.state: %s", why.text);
}

static int state_index(lua_State *L)
{
	struct process_view *v = check_state(L);
	struct datum key, value;
	struct ks_why why = {""};
	bool found = false;
	enum ks_err err;

	take_key(L, v, &key);
	err = v->process->get(v->process->self, &key, &value, &found, &why);
	if (!err && found)
		err = script_push_datum(L, v->context, &value, &why);
	if (err)
		return raise(L, v, err, &why);
	if (!found)
		lua_pushnil(L);
	return 1;
}

static int state_newindex(lua_State *L)
{
	struct process_view *v = check_state(L);
	struct datum key, value;
	struct ks_why why = {""};
	enum ks_err err;

	take_key(L, v, &key);
	err = script_take_datum(L, 3, v->context, NULL, &value, &why);
	if (err)
		return luaL_error(L, "this cannot be stored: %s", why.text);
	err = v->process->put(v->process->self, &key, &value, &why);
	if (err)
		return raise(L, v, err, &why);
	return 0;
}

static int state_walk(lua_State *L)
{
	return luaL_error(L, "ctx.state has no length and cannot be walked: it is read by key");
}

struct process_view *process_view_new(lua_State *L)
{
	static const luaL_Reg process_methods[] = {
		{"__index", process_index}, {"__newindex", process_newindex}, {NULL, NULL}};
	static const luaL_Reg state_methods[] = {{"__index", state_index},
						 {"__newindex", state_newindex},
						 {"__pairs", state_walk},
						 {"__len", state_walk},
						 {NULL, NULL}};
	struct process_view *v = lua_newuserdatauv(L, sizeof *v, 1);
	struct process_view **state;

	memset(v, 0, sizeof *v);
	set_metatable(L, PROCESS_META, process_methods);
	state = lua_newuserdatauv(L, sizeof *state, 1);
	*state = v;
	set_metatable(L, STATE_META, state_methods);
	lua_pushvalue(L, -2);
	lua_setiuservalue(L, -2, 1);
	lua_setiuservalue(L, -2, 1);
	return v;
}

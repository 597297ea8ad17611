/* ks_module.c - see ks_module.h. A name that the module does not have raises, with the nearest one that it has: nil would only
 * show up where it is called. */
#include "lua/ks_module.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/suggest.h"
#include "lua/job_build.h"
#include "lua/node.h"
#include "lua/value.h"

#define SURROUNDINGS "ks.surroundings"
#define NAMES_MAX    128 /* of one table of the module */

static const char tombstone_key; /* its address is ks.tombstone */

bool ks_is_tombstone(lua_State *L, int idx)
{
	return lua_islightuserdata(L, idx) &&
	       lua_touserdata(L, idx) == (const void *)&tombstone_key;
}

struct surroundings *surroundings_of(lua_State *L)
{
	struct surroundings *s;

	lua_getfield(L, LUA_REGISTRYINDEX, SURROUNDINGS);
	s = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return s;
}

/* Words of Kafka Streams and of other tools that this version has not, with what to use instead. */
static const struct missing {
	const char *name, *text;
} missing[] = {
	{"tumbling", "windows are not available yet"},
	{"hopping", "windows are not available yet"},
	{"sliding", "windows are not available yet"},
	{"session", "windows are not available yet"},
	{"window", "windows are not available yet"},
	{"join", "joins are not available yet; ks.process has a store of its own"},
	{"global", "tables are not available yet; ks.process has a store of its own"},
	{"sink", "sinks are not available yet; a flow ends with ks.to \"topic\""},
	{"avro", "Avro is not available yet; the serdes are json, string, bytes, i64 and f64"},
	{"protobuf",
	 "Protobuf is not available yet; the serdes are json, string, bytes, i64 and f64"},
	{"msgpack",
	 "MessagePack is not available yet; the serdes are json, string, bytes, i64 and f64"},
	{"serde",
	 "own serdes are not available yet; the serdes are json, string, bytes, i64 and f64"},
	{"re", "regular expressions are not available yet; Lua's string.match and string.gsub are"},
	{"through",
	 "ks.through is not there: end the flow with ks.to and begin another with ks.from"},
	{"repartition",
	 "ks.repartition is not there: ks.rekey and ks.group repartition where state follows"},
	{"map_values", "ks.map_values is ks.map: a function that returns no key leaves the key"},
	{"select_key", "ks.select_key is ks.rekey"},
	{"group_by", "ks.group_by is ks.group \"path\""},
	{"branch", "ks.branch is ks.split"},
	{"foreach", "ks.foreach is ks.peek"},
	{"now", "there is no clock, because a replay would give another result: use rec.timestamp"},
};

/* __index of the module and its tables: upvalue 1 is the table's name, "ks" or "ks.hash". */
static int unknown_name(lua_State *L)
{
	const char *names[NAMES_MAX];
	const char *table = lua_tostring(L, lua_upvalueindex(1));
	const char *key = luaL_tolstring(L, 2, NULL);
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
		if (strcmp(key, missing[i].name) == 0)
			return luaL_error(L, "%s.%s: %s", table, key, missing[i].text);
	}
	for (lua_pushnil(L); lua_next(L, 1) && n < NAMES_MAX; lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING)
			names[n++] = lua_tostring(L, -2);
	}
	near = suggest(key, names, n);
	if (near)
		return luaL_error(L, "%s has no \"%s\"; did you mean %s.%s?", table, key, table,
				  near);
	return luaL_error(L, "%s has no \"%s\"", table, key);
}

static int refuse_name(lua_State *L)
{
	return luaL_error(L, "%s cannot be changed: make a local",
			  lua_tostring(L, lua_upvalueindex(1)));
}

/* Gives the table at the top an __index that tells, below what it has already as metatable. */
static void guard(lua_State *L, const char *name)
{
	if (!lua_getmetatable(L, -1))
		lua_newtable(L);
	lua_pushstring(L, name);
	lua_pushcclosure(L, unknown_name, 1);
	lua_setfield(L, -2, "__index");
	lua_pushstring(L, name);
	lua_pushcclosure(L, refuse_name, 1);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
}

static void guard_tables(lua_State *L)
{
	static const char *const tables[] = {"hash", "hex", "base64", "uuid",
					     "time", "log", "json"};

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		lua_getfield(L, -1, tables[i]);
		lua_pushfstring(L, "ks.%s", tables[i]);
		lua_insert(L, -2);
		guard(L, lua_tostring(L, -2));
		lua_pop(L, 2);
	}
	guard(L, "ks");
}

static struct surroundings *make_surroundings(lua_State *L, const struct script_param *params,
					      size_t count)
{
	struct surroundings *s = lua_newuserdatauv(L, sizeof *s + count * sizeof *s->params, 0);

	*s = (struct surroundings){
		.name = "script", .params = (struct param *)(s + 1), .param_count = count};
	for (size_t i = 0; i < count; i++)
		s->params[i] = (struct param){.name = params[i].name, .value = params[i].value};
	lua_setfield(L, LUA_REGISTRYINDEX, SURROUNDINGS);
	return s;
}

void ks_module_open(struct sandbox *sandbox, const struct script_param *params, size_t param_count)
{
	lua_State *L = sandbox_state(sandbox);
	struct surroundings *s = make_surroundings(L, params, param_count);

	lua_newtable(L);
	value_register(L);
	helpers_register_hash(L);
	helpers_register_time(L);
	helpers_register_uuid(L, s);
	helpers_register_log(L, s);
	helpers_register_json(L);
	node_register(L);
	job_register(L);
	lua_pushlightuserdata(L, (void *)&tombstone_key);
	lua_setfield(L, -2, "tombstone");
	guard_tables(L);

	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, "ks.module");
	sandbox_preload(sandbox, "ks");
}

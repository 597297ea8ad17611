/* node.c - see node.h: one row for each constructor. */
#include "lua/node.h"

#include <lauxlib.h>

#define NODE_META "ks.node"

static const struct node_type types[] = {
	{"from", NODE_FROM, STEP_KIND_COUNT},
	{"merge", NODE_FROM, STEP_KIND_COUNT},
	{"filter", NODE_STEP, STEP_FILTER},
	{"reject", NODE_STEP, STEP_REJECT},
	{"map", NODE_STEP, STEP_MAP},
	{"flat_map", NODE_STEP, STEP_FLAT_MAP},
	{"explode", NODE_STEP, STEP_EXPLODE},
	{"rekey", NODE_STEP, STEP_REKEY},
	{"group", NODE_STEP, STEP_GROUP},
	{"split", NODE_STEP, STEP_SPLIT},
	{"peek", NODE_STEP, STEP_PEEK},
	{"sample", NODE_STEP, STEP_SAMPLE},
	{"count", NODE_STEP, STEP_COUNT},
	{"sum", NODE_STEP, STEP_SUM},
	{"min", NODE_STEP, STEP_MIN},
	{"max", NODE_STEP, STEP_MAX},
	{"reduce", NODE_STEP, STEP_REDUCE},
	{"aggregate", NODE_STEP, STEP_AGGREGATE},
	{"dedup", NODE_STEP, STEP_DEDUP},
	{"process", NODE_STEP, STEP_PROCESS},
	{"to", NODE_STEP, STEP_TO},
	{"dead_letter", NODE_DEAD_LETTER, STEP_KIND_COUNT},
	{"retry", NODE_RETRY, STEP_KIND_COUNT},
};
static const struct node_type log_type = {"log", NODE_STEP, STEP_LOG};
static const struct node_type skip_type = {"skip", NODE_SKIP, STEP_KIND_COUNT};
static const struct node_type fail_job_type = {"fail_job", NODE_FAIL_JOB, STEP_KIND_COUNT};

const char *node_push_where(lua_State *L)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0 && ar.source[0] == '@')
			return lua_pushfstring(L, "%s:%d", ar.source + 1, ar.currentline);
	}
	return lua_pushliteral(L, "");
}

/* Makes a node of the arguments from stack place first on. */
static int node_new(lua_State *L, const struct node_type *type, int first)
{
	int argc = lua_gettop(L) - first + 1;
	struct node *n = lua_newuserdatauv(L, sizeof *n, 2);

	n->type = type;
	n->argc = argc;
	if (argc > 0)
		lua_pushvalue(L, first);
	else
		lua_pushnil(L);
	lua_setiuservalue(L, -2, 1);
	node_push_where(L);
	lua_setiuservalue(L, -2, 2);
	luaL_setmetatable(L, NODE_META);
	return 1;
}

static int construct(lua_State *L)
{
	return node_new(L, lua_touserdata(L, lua_upvalueindex(1)), 1);
}

/* ks.log is a step when called and a table of functions else: ks.log "seen", ks.log.info "loaded". */
static int construct_log(lua_State *L)
{
	return node_new(L, &log_type, 2);
}

struct node *node_at(lua_State *L, int idx)
{
	return luaL_testudata(L, idx, NODE_META);
}

void node_push_argument(lua_State *L, int idx)
{
	lua_getiuservalue(L, idx, 1);
}

const char *node_where(lua_State *L, int idx)
{
	const char *where;

	lua_getiuservalue(L, idx, 2);
	where = lua_tostring(L, -1);
	lua_pop(L, 1); /* the node keeps it */
	return where;
}

static int node_tostring(lua_State *L)
{
	struct node *n = luaL_checkudata(L, 1, NODE_META);

	lua_pushfstring(L, "ks.%s at %s", n->type->name, node_where(L, 1));
	return 1;
}

/* ks.skip and ks.fail_job are policies as they stand, and take { after = ks.retry { … } }. */
static int node_call(lua_State *L)
{
	struct node *n = luaL_checkudata(L, 1, NODE_META);

	if (n->type->kind != NODE_SKIP && n->type->kind != NODE_FAIL_JOB)
		return luaL_error(L, "ks.%s was called already: write ks.%s(…) once", n->type->name,
				  n->type->name);
	return node_new(L, n->type, 2);
}

static int node_index(lua_State *L)
{
	struct node *n = luaL_checkudata(L, 1, NODE_META);

	return luaL_error(L, "ks.%s has no fields: a step is only put into a flow", n->type->name);
}

static void make_metatable(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"__tostring", node_tostring}, {"__call", node_call}, {"__index", node_index},
		{"__newindex", node_index},    {NULL, NULL},
	};

	luaL_newmetatable(L, NODE_META);
	luaL_setfuncs(L, methods, 0);
	lua_pushliteral(L, "ks.node");
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

static void set_constructor(lua_State *L, const struct node_type *type)
{
	lua_pushlightuserdata(L, (void *)type);
	lua_pushcclosure(L, construct, 1);
	lua_setfield(L, -2, type->name);
}

/* A node that is a value of the module; it was written nowhere. */
static void set_constant(lua_State *L, const struct node_type *type)
{
	node_new(L, type, lua_gettop(L) + 1);
	lua_pushliteral(L, "");
	lua_setiuservalue(L, -2, 2);
	lua_setfield(L, -2, type->name);
}

void node_register(lua_State *L)
{
	make_metatable(L);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		set_constructor(L, &types[i]);

	luaL_getsubtable(L, -1, "log");
	lua_newtable(L);
	lua_pushcfunction(L, construct_log);
	lua_setfield(L, -2, "__call");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);

	set_constant(L, &skip_type);
	set_constant(L, &fail_job_type);
}

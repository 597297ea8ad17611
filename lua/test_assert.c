/* test_assert.c - assert for tests, in the words of busted: assert.equal(expected, actual), assert.is_nil(x),
 * assert.has_error(fn), assert.are_not.same(a, b). assert(x, message) stays what it is.
 *
 * is, are, has and not are read over or turn the meaning; what is left is the name of a check.
 */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/suggest.h"
#include "lua/sandbox.h"
#include "lua/test_impl.h"
#include "lua/value.h"

#define DEPTH_MAX 100
#define SHOWN_MAX 400 /* bytes of a value in a message */

/* Pushes what a message shows of a value: JSON where it can be, a string in quotes. */
static const char *push_shown(lua_State *L, int idx)
{
	struct buf text = {0};
	struct ks_why why;
	const char *shown;

	idx = lua_absindex(L, idx);
	if (lua_isnil(L, idx))
		return lua_pushliteral(L, "nil");
	if ((lua_istable(L, idx) || lua_isuserdata(L, idx) || lua_type(L, idx) == LUA_TSTRING) &&
	    value_to_json(L, idx, &text, &why) == ERR_NONE)
		lua_pushlstring(L, (const char *)text.data,
				text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
	else
		(void)sandbox_tostring(L, idx, NULL);
	buf_fini(&text);
	shown = lua_tostring(L, -1);
	return shown;
}

/* --- comparing --- */

static bool same(lua_State *L, int a, int b, int depth);

/* Every key of table a is in b, with the same value. */
static bool covers(lua_State *L, int a, int b, int depth)
{
	for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 1)) {
		bool equal;

		lua_pushvalue(L, -2);
		lua_rawget(L, b);
		equal = same(L, lua_gettop(L) - 1, lua_gettop(L), depth + 1);
		lua_pop(L, 1);
		if (!equal) {
			lua_pop(L, 2);
			return false;
		}
	}
	return true;
}

static bool same(lua_State *L, int a, int b, int depth)
{
	bool result;
	int top = lua_gettop(L);

	luaL_checkstack(L, 10, NULL);
	test_push_plain(L, a);
	test_push_plain(L, b);
	if (!lua_istable(L, -2) || !lua_istable(L, -1))
		result = lua_compare(L, -2, -1, LUA_OPEQ);
	else if (depth > DEPTH_MAX)
		return luaL_error(L, "tables are nested too deeply to compare");
	else
		result = covers(L, top + 1, top + 2, depth) && covers(L, top + 2, top + 1, depth);
	lua_settop(L, top);
	return result;
}

/* --- the checks. Each says whether it holds and, if not, pushes what to say. Arguments from 1 on. --- */

static bool check_equal(lua_State *L)
{
	if (lua_compare(L, 1, 2, LUA_OPEQ))
		return true;
	lua_pushfstring(L, "expected %s, got %s", push_shown(L, 1), push_shown(L, 2));
	return false;
}

static bool check_same(lua_State *L)
{
	if (same(L, 1, 2, 0))
		return true;
	lua_pushfstring(L, "expected %s, got %s", push_shown(L, 1), push_shown(L, 2));
	return false;
}

static bool expect(lua_State *L, bool holds, const char *what)
{
	if (!holds)
		lua_pushfstring(L, "expected %s, got %s", what, push_shown(L, 1));
	return holds;
}

static bool check_truthy(lua_State *L)
{
	return expect(L, lua_toboolean(L, 1), "something true");
}

static bool check_falsy(lua_State *L)
{
	return expect(L, !lua_toboolean(L, 1), "nil or false");
}

static bool check_true(lua_State *L)
{
	return expect(L, lua_isboolean(L, 1) && lua_toboolean(L, 1), "true");
}

static bool check_false(lua_State *L)
{
	return expect(L, lua_isboolean(L, 1) && !lua_toboolean(L, 1), "false");
}

static bool check_nil(lua_State *L)
{
	return expect(L, lua_isnil(L, 1), "nil");
}

static bool check_string(lua_State *L)
{
	return expect(L, lua_type(L, 1) == LUA_TSTRING, "a string");
}

static bool check_number(lua_State *L)
{
	return expect(L, lua_type(L, 1) == LUA_TNUMBER, "a number");
}

static bool check_table(lua_State *L)
{
	return expect(L, lua_istable(L, 1), "a table");
}

static bool check_boolean(lua_State *L)
{
	return expect(L, lua_isboolean(L, 1), "a boolean");
}

static bool check_function(lua_State *L)
{
	return expect(L, lua_isfunction(L, 1), "a function");
}

static bool check_near(lua_State *L)
{
	if (fabs(luaL_checknumber(L, 1) - luaL_checknumber(L, 2)) <= luaL_checknumber(L, 3))
		return true;
	lua_pushfstring(L, "expected %s, give or take %s, got %s", push_shown(L, 1),
			push_shown(L, 3), push_shown(L, 2));
	return false;
}

/* Whether text has pattern: as plain text or as a Lua pattern, by string.find. */
static bool has_pattern(lua_State *L, int text, int pattern)
{
	bool found;

	lua_pushvalue(L, text);
	lua_getfield(L, -1, "find"); /* a string's methods are the sandbox's own */
	lua_insert(L, -2);
	lua_pushvalue(L, pattern);
	lua_pushinteger(L, 1);
	lua_pushboolean(L, true);
	lua_pushvalue(L, -5); /* find */
	lua_pushvalue(L, -5); /* text */
	lua_pushvalue(L, -5); /* pattern */
	lua_call(L, 2, 1);
	found = !lua_isnil(L, -1);
	lua_pop(L, 1);
	lua_call(L, 4, 1); /* find(text, pattern, 1, true) */
	found = found || !lua_isnil(L, -1);
	lua_pop(L, 1);
	return found;
}

static bool check_match(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TSTRING);
	luaL_checktype(L, 2, LUA_TSTRING);
	if (has_pattern(L, 2, 1))
		return true;
	lua_pushfstring(L, "expected a text that matches %s, got %s", push_shown(L, 1),
			push_shown(L, 2));
	return false;
}

/* assert.error(fn[, text]): fn raises; its message has the text or matches it as a pattern. */
static bool check_error(lua_State *L)
{
	bool has_text = !lua_isnoneornil(L, 2);

	luaL_checkany(L, 1);
	lua_settop(L, 2);
	lua_getglobal(L, "pcall"); /* the sandbox's: it lets the budget's error through */
	lua_pushvalue(L, 1);
	lua_call(L, 1, 2);
	if (lua_toboolean(L, -2)) {
		lua_pushliteral(L, "expected an error, and there was none");
		return false;
	}
	if (!has_text)
		return true;
	(void)sandbox_tostring(L, -1, NULL);
	if (has_pattern(L, lua_gettop(L), 2))
		return true;
	lua_pushfstring(L, "expected an error with %s, got %s", push_shown(L, 2),
			push_shown(L, -1));
	return false;
}

static const struct check {
	const char *name;
	bool (*run)(lua_State *L);
	int args;
} checks[] = {
	{"equal", check_equal, 2},         {"equals", check_equal, 2},
	{"same", check_same, 2},           {"truthy", check_truthy, 1},
	{"falsy", check_falsy, 1},         {"true", check_true, 1},
	{"false", check_false, 1},         {"nil", check_nil, 1},
	{"string", check_string, 1},       {"number", check_number, 1},
	{"table", check_table, 1},         {"boolean", check_boolean, 1},
	{"function", check_function, 1},   {"near", check_near, 3},
	{"match", check_match, 2},         {"matches", check_match, 2},
	{"error", check_error, 1},         {"errors", check_error, 1},
	{"error_matches", check_error, 2},
};
#define CHECKS (sizeof checks / sizeof *checks)

/* Upvalues: the check, whether its meaning is turned. The argument after its own is a message. */
static int run_check(lua_State *L)
{
	const struct check *c = lua_touserdata(L, lua_upvalueindex(1));
	bool negated = lua_toboolean(L, lua_upvalueindex(2));
	int given = lua_gettop(L);
	bool holds;

	if (given < c->args && !(given == c->args - 1 && c->args < 3))
		return luaL_error(L, "assert.%s takes %d arguments, not %d", c->name, c->args,
				  given);
	if (given < c->args)
		lua_settop(L, c->args); /* a trailing nil was lost on the way */
	holds = c->run(L);
	if (holds != negated)
		return 0;
	if (negated)
		lua_pushfstring(L, "expected not %s: %s", c->name, push_shown(L, 1));
	if (given > c->args && c->run != check_error && lua_type(L, c->args + 1) == LUA_TSTRING)
		lua_pushfstring(L, "%s: %s", lua_tostring(L, c->args + 1), lua_tostring(L, -1));
	return lua_error(L);
}

static bool starts(const char **name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*name, prefix, n) != 0)
		return false;
	*name += n;
	return true;
}

static void push_assert(lua_State *L, bool negated);

static int assert_index(lua_State *L)
{
	static const char *const words[] = {"is", "are", "has", "does"};
	const char *names[CHECKS];
	const char *name = luaL_checkstring(L, 2);
	const char *asked = name;
	bool negated = lua_toboolean(L, lua_upvalueindex(1));
	const char *near;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (starts(&name, words[i]) && *name == '_')
			name++;
	}
	if (strcmp(name, "not") == 0 || strcmp(name, "no") == 0) {
		negated = !negated;
		name = "";
	} else if (starts(&name, "not_") || starts(&name, "no_")) {
		negated = !negated;
	}
	if (*name == '\0') {
		push_assert(L, negated);
		return 1;
	}
	for (size_t i = 0; i < CHECKS; i++) {
		names[i] = checks[i].name;
		if (strcmp(name, checks[i].name) == 0) {
			lua_pushlightuserdata(L, (void *)&checks[i]);
			lua_pushboolean(L, negated);
			lua_pushcclosure(L, run_check, 2);
			return 1;
		}
	}
	near = suggest(name, names, CHECKS);
	if (near)
		return luaL_error(L, "assert has no \"%s\"; did you mean \"%s\"?", asked, near);
	return luaL_error(L, "assert has no \"%s\"", asked);
}

/* assert(x, message), as everywhere: all arguments come back. */
static int assert_call(lua_State *L)
{
	lua_remove(L, 1);
	if (lua_toboolean(L, 1))
		return lua_gettop(L);
	luaL_checkany(L, 1);
	lua_remove(L, 1);
	if (lua_gettop(L) == 0)
		lua_pushliteral(L, "assertion failed!");
	lua_settop(L, 1);
	return lua_error(L);
}

static void push_assert(lua_State *L, bool negated)
{
	lua_newtable(L);
	lua_newtable(L);
	lua_pushboolean(L, negated);
	lua_pushcclosure(L, assert_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, assert_call);
	lua_setfield(L, -2, "__call");
	lua_setmetatable(L, -2);
}

void test_assert_push(lua_State *L)
{
	push_assert(L, false);
}

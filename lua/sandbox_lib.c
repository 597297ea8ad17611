/* sandbox_lib.c - library functions that a script gets in another form, or at a price.
 *
 * Lua's C functions are not interrupted by the count hook. Those whose work grows with their
 * arguments charge for it first, through the wrapper "charged"; their results are bounded by the
 * memory cap.
 */
#include "lua/state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* --- charged functions --- */

#define ELEMENT_WORK 8
#define SPAN_MAX     10000000 /* elements that one table.move may move */

/* The function is the upvalue; one of Lua's, so it has no upvalues itself. */
static int charged(lua_State *L)
{
	size_t work = 0;
	int top = lua_gettop(L);
	for (int i = 1; i <= top; i++) {
		int type = lua_type(L, i);
		if (type == LUA_TSTRING)
			work += lua_rawlen(L, i) / 2;
		else if (type == LUA_TTABLE)
			work += lua_rawlen(L, i) * ELEMENT_WORK;
	}
	charge(L, work);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void sandbox_charge_field(lua_State *L, const char *field)
{
	lua_getfield(L, -1, field);
	lua_pushcclosure(L, charged, 1);
	lua_setfield(L, -2, field);
}

static void copy_fields(lua_State *L, const char *const *names)
{
	for (; *names; names++) {
		lua_getfield(L, -1, *names);
		lua_setfield(L, -3, *names);
	}
}

/* --- tostring, without addresses --- */

const char *sandbox_tostring(lua_State *L, int index, size_t *len)
{
	index = lua_absindex(L, index);
	int type = lua_type(L, index);
	if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING)
		return luaL_tolstring(L, index, len);
	if (luaL_callmeta(L, index, "__tostring")) {
		if (!lua_isstring(L, -1))
			luaL_error(L, "'__tostring' must return a string");
	} else if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING) {
		lua_pushstring(L, lua_typename(L, type));
	}
	return lua_tolstring(L, -1, len);
}

static int safe_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	sandbox_tostring(L, 1, NULL);
	return 1;
}

static int safe_print(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	luaL_Buffer b;
	size_t len;
	int top = lua_gettop(L);

	luaL_buffinit(L, &b);
	for (int i = 1; i <= top; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		sandbox_tostring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	const char *text = lua_tolstring(L, -1, &len);
	if (s->print)
		s->print(s->print_self, text, len);
	else
		log_info("script", "%s", text);
	charge(L, len * 4 + 1000);
	return 0;
}

/* --- pairs, in an order that does not change --- */

/* Upvalues: the sorted keys, the last one's index, the table. */
static int sorted_next(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
	for (;;) {
		if (lua_rawgeti(L, lua_upvalueindex(1), ++i) == LUA_TNIL)
			return 1;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL)
			break; /* else it was removed on the way */
		lua_pop(L, 2);
	}
	lua_pushinteger(L, i);
	lua_replace(L, lua_upvalueindex(2));
	return 2;
}

/* Appends the table's keys that are neither number, string nor boolean, in Lua's order, to that on
 * top. */
static void append_others(lua_State *L, int table, lua_Integer n)
{
	lua_pushnil(L);
	while (lua_next(L, table)) {
		int type = lua_type(L, -2);
		lua_pop(L, 1);
		if (type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN)
			continue;
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, ++n);
	}
}

static void push_key(lua_State *L, const struct key *k)
{
	if (k->kind == KEY_STRING)
		lua_pushlstring(L, k->text, k->len);
	else if (k->kind == KEY_BOOLEAN)
		lua_pushboolean(L, (int)k->integer);
	else if (k->number == (lua_Number)k->integer)
		lua_pushinteger(L, k->integer);
	else
		lua_pushnumber(L, k->number);
}

void sandbox_push_sorted(lua_State *L, int index)
{
	struct sandbox *s = sandbox_of(L);
	lua_Integer n = 0;

	lua_pushvalue(L, index);
	int table = lua_gettop(L);
	s->keys.count = 0;
	keys_collect(&s->keys, L, table);
	charge(L, s->keys.count * 50);
	lua_createtable(L, (int)s->keys.count, 0); /* fewer than the table, which fits in memory */
	for (size_t i = 0; i < s->keys.count && s->keys.items[i].kind != KEY_OTHER; i++) {
		push_key(L, &s->keys.items[i]);
		lua_rawseti(L, -2, ++n);
	}
	s->keys.count = 0;
	keys_shrink(&s->keys);
	append_others(L, table, n);
	lua_pushinteger(L, 0);
	lua_rotate(L, table, -1);
	lua_pushcclosure(L, sorted_next, 3);
}

static int plain_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int safe_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 3);
		return 3;
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	struct keys_count c = keys_count(L, 1);
	/* Lua's order of numbers and booleans is always the same. */
	if (c.strings == 0 || c.strings + c.integers + c.others == 1)
		lua_pushcfunction(L, plain_next);
	else
		sandbox_push_sorted(L, 1);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* --- tables and metatables --- */

static bool is_protected(lua_State *L, int index)
{
	if (!luaL_getmetafield(L, index, "__metatable"))
		return false;
	lua_pop(L, 1);
	return true;
}

/* What a metatable may not have. A script can still write __mode into it later, which nothing can
 * see. */
static void check_metatable(lua_State *L, int meta)
{
	lua_pushliteral(L, "__gc");
	if (lua_rawget(L, meta) != LUA_TNIL)
		luaL_error(L, "__gc is not available: Lua does not bound what finalizers do; use a "
			      "__close variable");
	lua_pushliteral(L, "__mode");
	if (lua_rawget(L, meta) == LUA_TSTRING && strchr(lua_tostring(L, -1), 'k') &&
	    !strchr(lua_tostring(L, -1), 'v'))
		luaL_error(L,
			   "weak keys are not available: the collector may take hours for a chain "
			   "of them; use '__mode = \"kv\"', or remove entries yourself");
	lua_pop(L, 2);
}

static int safe_setmetatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	int type = lua_type(L, 2);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (is_protected(L, 1))
		return luaL_error(L, "cannot change a protected metatable");
	if (type == LUA_TTABLE)
		check_metatable(L, 2);
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

static int safe_rawset(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	if (is_protected(L, 1))
		return luaL_error(L, "this table is read-only");
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 1;
}

void sandbox_open_base(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"pairs", safe_pairs},       {"print", safe_print},
		{"rawset", safe_rawset},     {"setmetatable", safe_setmetatable},
		{"tostring", safe_tostring}, {NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}

/* table.move's work does not depend on the size of its tables; the function is the upvalue. */
static int safe_move(lua_State *L)
{
	lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
	if (to >= from) {
		if (from <= 0 ? to >= from + SPAN_MAX : to - from >= SPAN_MAX)
			return luaL_error(L, "too many elements to move");
		charge(L, (size_t)(to - from) * ELEMENT_WORK);
	}
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void sandbox_open_table(lua_State *L)
{
	static const char *const kept[] = {"concat", "insert", "move",   "pack",
					   "remove", "sort",   "unpack", NULL};
	luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
	copy_fields(L, kept);
	lua_pop(L, 1);
	sandbox_charge_field(L, "concat");
	sandbox_charge_field(L, "insert");
	sandbox_charge_field(L, "remove");
	sandbox_charge_field(L, "sort");
	sandbox_charge_field(L, "unpack");
	lua_getfield(L, -1, "move");
	lua_pushcclosure(L, safe_move, 1);
	lua_setfield(L, -2, "move");
}

/* --- strings --- */

/* Lua's own as upvalue. */
static int safe_rep(lua_State *L)
{
	size_t len, separator_len = 0;
	luaL_checklstring(L, 1, &len);
	lua_Integer n = luaL_checkinteger(L, 2);
	luaL_optlstring(L, 3, "", &separator_len);
	size_t one = len + separator_len;

	if (one == 0) {
		lua_pushliteral(L, ""); /* Lua's own would copy nothing n times */
		return 1;
	}
	if (n > 0 && (size_t)n > SANDBOX_REP_MAX / one)
		return luaL_error(L, "string.rep: the result would be longer than %d MiB",
				  SANDBOX_REP_MAX >> 20);
	charge(L, n > 0 ? (size_t)n * one / 4 : 0);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Refuses "%p" in a format. */
static void check_format(lua_State *L, const char *p, size_t len)
{
	const char *end = p + len;
	while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
		p++;
		p += strspn(p, "-+ #0123456789.");
		if (p < end && *p == 'p')
			luaL_error(L, "string.format: '%%p' would show addresses, which change "
				      "from run to run");
		if (p < end)
			p++;
	}
}

static int safe_format(lua_State *L)
{
	size_t len;
	const char *format = luaL_checklstring(L, 1, &len);
	int top = lua_gettop(L);

	check_format(L, format, len);
	for (int i = 2; i <= top; i++) {
		int type = lua_type(L, i);
		if (type == LUA_TTABLE || type >= LUA_TFUNCTION || type == LUA_TLIGHTUSERDATA) {
			sandbox_tostring(L, i, NULL);
			lua_replace(L, i);
		} else if (type == LUA_TSTRING) {
			charge(L, lua_rawlen(L, i) / 4);
		}
	}
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void wrap_field(lua_State *L, const char *field, lua_CFunction f)
{
	lua_getfield(L, -1, field);
	lua_pushcclosure(L, f, 1);
	lua_setfield(L, -2, field);
}

void sandbox_open_string(lua_State *L)
{
	static const char *const kept[] = {"byte",  "char",     "format", "len",     "lower",
					   "pack",  "packsize", "rep",    "reverse", "unpack",
					   "upper", "sub",      NULL};
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
	copy_fields(L, kept);
	lua_pop(L, 1);
	wrap_field(L, "rep", safe_rep);
	wrap_field(L, "format", safe_format);
	sandbox_charge_field(L, "byte");
	sandbox_charge_field(L, "lower");
	sandbox_charge_field(L, "reverse");
	sandbox_charge_field(L, "upper");
}

void sandbox_open_utf8(lua_State *L)
{
	luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
	static const char *const kept[] = {"char", "charpattern", "codepoint", "codes",
					   "len",  "offset",      NULL};
	copy_fields(L, kept);
	lua_pop(L, 1);
	sandbox_charge_field(L, "codepoint");
	sandbox_charge_field(L, "len");
	sandbox_charge_field(L, "offset");
}

/* --- random numbers from the record: xoshiro256** (Blackman, Vigna), seeded by splitmix64 --- */

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static void random_seed(struct sandbox *s, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		s->random[i] = z ^ z >> 31;
	}
	s->random_ready = true;
}

static uint64_t random_next(struct sandbox *s)
{
	if (!s->random_ready)
		random_seed(s, s->seed);
	uint64_t *r = s->random;
	uint64_t result = rotl(r[1] * 5, 7) * 9;
	uint64_t t = r[1] << 17;
	r[2] ^= r[0];
	r[3] ^= r[1];
	r[1] ^= r[2];
	r[0] ^= r[3];
	r[2] ^= t;
	r[3] = rotl(r[3], 45);
	return result;
}

/* From 0 to limit, all as likely. */
static uint64_t random_below(struct sandbox *s, uint64_t limit)
{
	uint64_t mask = limit, v;
	for (int shift = 1; shift < 64; shift *= 2)
		mask |= mask >> shift;
	do
		v = random_next(s) & mask;
	while (v > limit);
	return v;
}

static int safe_random(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	lua_Integer low = 1, high;
	switch (lua_gettop(L)) {
	case 0:
		lua_pushnumber(L, (lua_Number)(random_next(s) >> 11) * 0x1p-53);
		return 1;
	case 1:
		high = luaL_checkinteger(L, 1);
		if (high == 0) {
			lua_pushinteger(L, (lua_Integer)random_next(s));
			return 1;
		}
		break;
	case 2:
		low = luaL_checkinteger(L, 1);
		high = luaL_checkinteger(L, 2);
		break;
	default:
		return luaL_error(L, "wrong number of arguments");
	}
	luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
	uint64_t v = random_below(s, (uint64_t)high - (uint64_t)low);
	lua_pushinteger(L, (lua_Integer)(v + (uint64_t)low));
	return 1;
}

/* randomseed(x): the same x gives the same numbers; randomseed(): back to the record's own. */
static int safe_randomseed(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	lua_Number n;
	uint64_t seed = s->seed;
	if (lua_isinteger(L, 1)) {
		seed = (uint64_t)lua_tointeger(L, 1);
	} else if (!lua_isnoneornil(L, 1)) {
		n = luaL_checknumber(L, 1);
		memcpy(&seed, &n, sizeof seed);
	}
	random_seed(s, seed);
	return 0;
}

void sandbox_open_math(lua_State *L)
{
	static const char *const kept[] = {
		"abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
		"fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
		"rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult",        NULL};
	luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
	copy_fields(L, kept);
	lua_pop(L, 1);
	lua_pushcfunction(L, safe_random);
	lua_setfield(L, -2, "random");
	lua_pushcfunction(L, safe_randomseed);
	lua_setfield(L, -2, "randomseed");
}

/* string_find.c - string.find, match, gmatch and gsub over match.h. */
#include "lua/state.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/match.h"

#define PROGRAMS_MAX 256 /* compiled patterns kept; a script that builds more starts over */

static void report(void *self, size_t steps)
{
	charge(self, steps * 4);
}

static const struct match_program *push_compiled(lua_State *L, int index, bool caret_is_plain)
{
	size_t len;
	const char *pattern = lua_tolstring(L, index, &len);
	if (len > MATCH_PATTERN_MAX)
		luaL_error(L, "pattern too long");
	struct match_program *p = lua_newuserdatauv(L, match_program_size(pattern, len), 0);
	const char *error = match_compile(p, pattern, len, caret_is_plain);
	if (error)
		luaL_error(L, "%s", error);
	return p;
}

/* Pushes the compiled form of the pattern at index; it lives as long as it is on the stack. */
static const struct match_program *push_program(lua_State *L, int index)
{
	struct sandbox *s = sandbox_of(L);
	const struct match_program *p = memo_push(L, &s->programs, index);

	if (p)
		return p;
	p = push_compiled(L, index, false);
	memo_add(L, &s->programs, index, PROGRAMS_MAX);
	return p;
}

static void prepare(lua_State *L, struct match *m, const char *subject, size_t len,
		    const struct match_program *program)
{
	m->program = program;
	m->subject = subject;
	m->end = subject + len;
	m->report = report;
	m->self = L;
	m->steps = 0;
}

/* After a match or a failure: its steps count, its error is raised. */
static void finish(lua_State *L, struct match *m)
{
	charge(L, m->steps * 4);
	m->steps = 0;
	if (m->error)
		luaL_error(L, "%s", m->error);
}

static void push_capture(lua_State *L, const struct match *m, unsigned i)
{
	const struct match_capture *c = &m->capture[i];
	if (c->len == MATCH_POSITION)
		lua_pushinteger(L, c->start - m->subject + 1);
	else
		lua_pushlstring(L, c->start, (size_t)c->len);
}

/* Pushes all captures, or what the pattern matched if it has none; start NULL: not then. */
static int push_captures(lua_State *L, const struct match *m, const char *start, const char *end)
{
	if (m->captures == 0 && start) {
		lua_pushlstring(L, start, (size_t)(end - start));
		return 1;
	}
	luaL_checkstack(L, (int)m->captures, "too many captures");
	for (unsigned i = 0; i < m->captures; i++)
		push_capture(L, m, i);
	return (int)m->captures;
}

/* The optional position argument at index, from 0; beyond len + 1 stays there. */
static size_t check_init(lua_State *L, int index, size_t len)
{
	lua_Integer init = luaL_optinteger(L, index, 1);
	if (init > 0)
		return (size_t)init - 1;
	if (init == 0 || init < -(lua_Integer)len)
		return 0;
	return len - (size_t)-init;
}

static bool has_specials(const char *pattern, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (pattern[i] && strchr("^$*+?.([%-", pattern[i]))
			return true;
	return false;
}

static int find_plain(lua_State *L, struct slice subject, size_t init, struct slice pattern)
{
	size_t left = subject.len - init;
	charge(L, left / 16);
	const uint8_t *hit = memmem(subject.data + init, left, pattern.data, pattern.len);
	if (!hit) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, hit - subject.data + 1);
	lua_pushinteger(L, hit - subject.data + (lua_Integer)pattern.len);
	return 2;
}

static int find_or_match(lua_State *L, bool find)
{
	size_t len, pattern_len;
	const char *subject = luaL_checklstring(L, 1, &len);
	const char *pattern = luaL_checklstring(L, 2, &pattern_len);
	size_t init = check_init(L, 3, len);
	struct match m;
	const char *end;

	if (init > len) {
		lua_pushnil(L);
		return 1;
	}
	if (find && (lua_toboolean(L, 4) || !has_specials(pattern, pattern_len)))
		return find_plain(L, slice_of(subject, len), init, slice_of(pattern, pattern_len));
	prepare(L, &m, subject, len, push_program(L, 2));
	const char *start = match_search(&m, subject + init, &end);
	finish(L, &m);
	if (!start) {
		lua_pushnil(L);
		return 1;
	}
	if (!find)
		return push_captures(L, &m, start, end);
	lua_pushinteger(L, start - subject + 1);
	lua_pushinteger(L, end - subject);
	return 2 + push_captures(L, &m, NULL, NULL);
}

static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* --- gmatch: a closure over subject, compiled pattern, where to go on, where it last ended --- */

static int gmatch_next(lua_State *L)
{
	size_t len;
	const char *subject = lua_tolstring(L, lua_upvalueindex(1), &len);
	lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct match m;

	prepare(L, &m, subject, len, lua_touserdata(L, lua_upvalueindex(2)));
	const char *s = subject + at;
	while (at <= (lua_Integer)len) {
		const char *end;
		s = match_search(&m, s, &end);
		finish(L, &m);
		if (!s)
			break;
		if (end - subject == last) { /* an empty match where the one before ended */
			if (s++ == m.end)
				break;
			continue;
		}
		lua_pushinteger(L, end - subject);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(L, &m, s, end);
	}
	lua_pushinteger(L, (lua_Integer)len + 1);
	lua_replace(L, lua_upvalueindex(3));
	return 0;
}

static int string_gmatch(lua_State *L)
{
	size_t len;
	luaL_checklstring(L, 1, &len);
	luaL_checkstring(L, 2);
	size_t init = check_init(L, 3, len);
	lua_settop(L, 2);
	push_compiled(L, 2, true);
	lua_remove(L, 2);
	lua_pushinteger(L, (lua_Integer)(init > len ? len + 1 : init));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* --- gsub --- */

/* Adds the replacement string at index 3 with its %0 to %9. */
static void add_template(lua_State *L, luaL_Buffer *b, const struct match *m, struct slice match)
{
	size_t len;
	const char *p = lua_tolstring(L, 3, &len);
	const char *end = p + len;
	const char *percent;

	while ((percent = memchr(p, '%', (size_t)(end - p))) != NULL) {
		char c = percent + 1 < end ? percent[1] : 0;
		luaL_addlstring(b, p, (size_t)(percent - p));
		p = percent + 2;
		if (c == '%') {
			luaL_addchar(b, '%');
		} else if (c == '0' || (c == '1' && m->captures == 0)) {
			luaL_addlstring(b, (const char *)match.data, match.len);
		} else if (c >= '1' && c <= '9') {
			unsigned i = (unsigned)(c - '1');
			if (i >= m->captures)
				luaL_error(L, "invalid capture index %%%d in replacement string",
					   i + 1);
			push_capture(L, m, i);
			luaL_addvalue(b);
		} else {
			luaL_error(L, "invalid use of '%%' in replacement string");
		}
	}
	luaL_addlstring(b, p, (size_t)(end - p));
}

/* Adds what the table or function at index 3 says about a match; false or nil keeps it. */
static bool add_looked_up(lua_State *L, luaL_Buffer *b, const struct match *m, struct slice match)
{
	const char *start = (const char *)match.data;
	if (lua_type(L, 3) == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		int n = push_captures(L, m, start, start + match.len);
		lua_call(L, n, 1);
	} else {
		if (m->captures > 0)
			push_capture(L, m, 0);
		else
			lua_pushlstring(L, start, match.len);
		lua_gettable(L, 3);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, start, match.len);
		return false;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	luaL_addvalue(b);
	return true;
}

static int string_gsub(lua_State *L)
{
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);
	luaL_checkstring(L, 2);
	int type = lua_type(L, 3);
	luaL_argexpected(L,
			 type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
				 type == LUA_TFUNCTION || type == LUA_TUSERDATA,
			 3, "string/function/table");
	lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1);
	bool is_template = type == LUA_TNUMBER || type == LUA_TSTRING;
	struct match m;
	const char *last = NULL; /* where the last match ended */
	lua_Integer count = 0;
	luaL_Buffer b;

	lua_settop(L, 4);
	prepare(L, &m, s, len, push_program(L, 2));
	luaL_buffinit(L, &b);
	while (count < max) {
		const char *end = match_at(&m, s);
		finish(L, &m);
		if (end && end != last) {
			struct slice match = slice_of(s, (size_t)(end - s));
			count++;
			if (is_template)
				add_template(L, &b, &m, match);
			else
				add_looked_up(L, &b, &m, match);
			s = last = end;
		} else if (s < m.end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (match_is_anchored(m.program))
			break;
	}
	luaL_addlstring(&b, s, (size_t)(m.end - s));
	luaL_pushresult(&b);
	lua_pushinteger(L, count);
	return 2;
}

void sandbox_open_find(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"find", string_find},
		{"match", string_match},
		{"gmatch", string_gmatch},
		{"gsub", string_gsub},
		{NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}

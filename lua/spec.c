/* spec.c - see spec.h. */
#include "lua/spec.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "lua/node.h"
#include "lua/units.h"

#define NAME_MAX_BYTES 249
#define SPEC_LINES     400 /* how far below its constructor a key is looked for */

const char *describe_value(lua_State *L, int idx, char *out, size_t cap)
{
	struct node *n = node_at(L, idx);
	int type = lua_type(L, idx);

	if (n) {
		snprintf(out, cap, "ks.%s", n->type->name);
	} else if (type == LUA_TSTRING) {
		snprintf(out, cap, "the string \"%.40s\"", lua_tostring(L, idx));
	} else if (lua_isinteger(L, idx)) {
		snprintf(out, cap, "the number %lld", (long long)lua_tointeger(L, idx));
	} else if (type == LUA_TNUMBER) {
		snprintf(out, cap, "the number %.14g", lua_tonumber(L, idx));
	} else if (type == LUA_TBOOLEAN) {
		snprintf(out, cap, "%s", lua_toboolean(L, idx) ? "true" : "false");
	} else if (type == LUA_TNIL || type == LUA_TNONE) {
		snprintf(out, cap, "nil");
	} else {
		snprintf(out, cap, "a %s", lua_typename(L, type));
	}
	return out;
}

bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       len;
}

void take_string(lua_State *L, int idx, char **out)
{
	size_t len;
	const char *text = lua_tolstring(L, idx, &len);
	char *copy = xmalloc(len + 1);

	memcpy(copy, text, len + 1);
	free(*out);
	*out = copy;
}

const char *suggest_hint(const char *word, const char *const *keys, char *out, size_t cap)
{
	const char *near;
	size_t n = 0;

	while (keys[n])
		n++;
	near = suggest(word, keys, n);
	if (!near)
		return NULL;
	snprintf(out, cap, "did you mean \"%s\"?", near);
	return out;
}

void spec_error(const struct spec *s, const char *key, const char *hint, const char *format, ...)
{
	char text[512];
	char *where = key ? report_locate(s->where, key, SPEC_LINES) : xstrdup(s->where);
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report_error(s->b->report, where, key, hint, "%s", text);
	free(where);
}

static bool is_one_of(const char *word, const char *const *keys)
{
	for (; *keys; keys++) {
		if (strcmp(word, *keys) == 0)
			return true;
	}
	return false;
}

void spec_check_keys(const struct spec *s, const char *const *keys, bool is_list)
{
	lua_State *L = s->b->L;
	char hint[128], got[96];

	lua_pushnil(L);
	while (lua_next(L, s->idx)) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			const char *key = lua_tostring(L, -2);

			if (!is_one_of(key, keys))
				spec_error(s, key, suggest_hint(key, keys, hint, sizeof hint),
					   "%s has no key \"%s\"", s->what, key);
		} else if (!is_list) {
			spec_error(s, NULL, NULL,
				   "%s takes keys with names, and has %s without one", s->what,
				   describe_value(L, -1, got, sizeof got));
		}
		lua_pop(L, 1);
	}
}

static void wrong_type(const struct spec *s, const char *key, const char *wanted)
{
	char got[96];

	describe_value(s->b->L, -1, got, sizeof got);
	spec_error(s, key, NULL, "%s: %s must be %s, not %s", s->what, key, wanted, got);
}

/* Pushes the value of a key; false (nothing pushed) when it is absent. */
static bool get(const struct spec *s, const char *key)
{
	lua_pushstring(s->b->L, key);
	lua_rawget(s->b->L, s->idx);
	if (!lua_isnil(s->b->L, -1))
		return true;
	lua_pop(s->b->L, 1);
	return false;
}

bool spec_string(const struct spec *s, const char *key, char **out)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = lua_type(s->b->L, -1) == LUA_TSTRING;
	if (ok)
		take_string(s->b->L, -1, out);
	else
		wrong_type(s, key, "a string");
	lua_pop(s->b->L, 1);
	return ok;
}

bool spec_integer(const struct spec *s, const char *key, int64_t min, int64_t max, int64_t *out)
{
	char wanted[96];
	int64_t v;
	bool ok;

	if (!get(s, key))
		return false;
	v = lua_tointeger(s->b->L, -1);
	ok = lua_isinteger(s->b->L, -1) && v >= min && v <= max;
	if (ok) {
		*out = v;
	} else {
		snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)min,
			 (long long)max);
		wrong_type(s, key, wanted);
	}
	lua_pop(s->b->L, 1);
	return ok;
}

bool spec_boolean(const struct spec *s, const char *key, bool *out)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = lua_isboolean(s->b->L, -1);
	if (ok)
		*out = lua_toboolean(s->b->L, -1);
	else
		wrong_type(s, key, "true or false");
	lua_pop(s->b->L, 1);
	return ok;
}

bool value_duration(const struct spec *s, const char *name, int64_t *ms)
{
	lua_State *L = s->b->L;

	if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0) {
		*ms = lua_tointeger(L, -1);
		return true;
	}
	if (lua_type(L, -1) == LUA_TSTRING && units_parse_duration(lua_tostring(L, -1), ms))
		return true;
	wrong_type(s, name, "a duration such as \"100ms\", \"90s\", \"24h\" or \"30d\"");
	return false;
}

bool spec_duration(const struct spec *s, const char *key, int64_t *ms)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = value_duration(s, key, ms);
	lua_pop(s->b->L, 1);
	return ok;
}

bool spec_size(const struct spec *s, const char *key, int64_t *bytes)
{
	lua_State *L = s->b->L;
	bool ok = true;

	if (!get(s, key))
		return false;
	if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0) {
		*bytes = lua_tointeger(L, -1);
	} else if (lua_type(L, -1) != LUA_TSTRING ||
		   !units_parse_size(lua_tostring(L, -1), bytes)) {
		wrong_type(s, key, "a size such as 1048576, \"64KiB\" or \"1GiB\"");
		ok = false;
	}
	lua_pop(L, 1);
	return ok;
}

bool value_serde(const struct spec *s, const char *name, enum serde *out)
{
	lua_State *L = s->b->L;
	char hint[128];
	const char *text;

	if (lua_type(L, -1) != LUA_TSTRING) {
		wrong_type(s, name, "a serde: \"json\", \"string\", \"bytes\", \"i64\" or \"f64\"");
		return false;
	}
	text = lua_tostring(L, -1);
	if (serde_from_name(text, out))
		return true;
	spec_error(s, text, suggest_hint(text, serde_names, hint, sizeof hint),
		   "%s: %s = \"%s\" is no serde; there are json, string, bytes, i64 and f64",
		   s->what, name, text);
	return false;
}

bool spec_serde(const struct spec *s, const char *key, enum serde *out)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = value_serde(s, key, out);
	lua_pop(s->b->L, 1);
	return ok;
}

bool value_path(const struct spec *s, const char *name, char **out)
{
	lua_State *L = s->b->L;
	struct ks_why why;
	struct doc_path *path;

	if (lua_type(L, -1) != LUA_TSTRING) {
		wrong_type(s, name, "a path such as \"user.id\"");
		return false;
	}
	path = doc_path_new(lua_tostring(L, -1), &why);
	if (!path) {
		spec_error(s, lua_tostring(L, -1), NULL, "%s: \"%s\" is not a path: %s", s->what,
			   lua_tostring(L, -1), why.text);
		return false;
	}
	doc_path_free(path);
	take_string(L, -1, out);
	return true;
}

bool spec_path(const struct spec *s, const char *key, char **out)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = value_path(s, key, out);
	lua_pop(s->b->L, 1);
	return ok;
}

bool value_topic(const struct spec *s, const char *name, char **out)
{
	lua_State *L = s->b->L;

	if (lua_type(L, -1) != LUA_TSTRING) {
		wrong_type(s, name, "the name of a topic");
		return false;
	}
	if (!name_is_valid(lua_tostring(L, -1))) {
		spec_error(s, lua_tostring(L, -1), NULL,
			   "%s: \"%s\" cannot be the name of a topic (letters, digits, '.', '_', "
			   "'-'; at most 249)",
			   s->what, lua_tostring(L, -1));
		return false;
	}
	take_string(L, -1, out);
	return true;
}

int build_add_function(struct build *b)
{
	lua_pushvalue(b->L, -1);
	lua_rawseti(b->L, b->functions, b->function_count + 1);
	return b->function_count++;
}

bool spec_function(const struct spec *s, const char *key, int *out)
{
	bool ok;

	if (!get(s, key))
		return false;
	ok = lua_isfunction(s->b->L, -1);
	if (ok)
		*out = build_add_function(s->b);
	else
		wrong_type(s, key, "a function");
	lua_pop(s->b->L, 1);
	return ok;
}

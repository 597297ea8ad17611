/* spec.h - reading the tables that a script writes: each key typed, unknown ones reported with the nearest name.
 *
 * Nothing here raises for a mistake of the script; it is added to the report and reading goes on. Lua itself may
 * raise when its memory is out, so everything under construction hangs on the struct job_object, whose finalizer
 * frees it.
 */
#ifndef LUA_SPEC_H
#define LUA_SPEC_H

#include <lua.h>

#include "lua/report.h"
#include "streams/topology.h"

/* A job under construction. */
struct build {
	lua_State *L;
	struct report *report;
	struct job *job;
	int functions; /* stack index of the table of functions */
	int function_count;
	const char *flow; /* name of the flow under way, or NULL */
};

/* One table of the script. */
struct spec {
	struct build *b;
	int idx; /* absolute stack index */
	const char *where;
	const char *what; /* "topic \"orders\"", for messages */
};

/* Reports every key that is not in keys (NULL-terminated; those of integers when is_list is false). */
void spec_check_keys(const struct spec *s, const char *const *keys, bool is_list);

/* Each returns true when the key is there and what it must be; *out is untouched otherwise. Strings are malloc'd and
 * replace (free) what *out held. */
bool spec_string(const struct spec *s, const char *key, char **out);
bool spec_integer(const struct spec *s, const char *key, int64_t min, int64_t max, int64_t *out);
bool spec_boolean(const struct spec *s, const char *key, bool *out);
bool spec_duration(const struct spec *s, const char *key, int64_t *ms);
bool spec_size(const struct spec *s, const char *key, int64_t *bytes);
bool spec_serde(const struct spec *s, const char *key, enum serde *out);
bool spec_path(const struct spec *s, const char *key, char **out);
/* false and *out untouched if absent; a function gets its number. */
bool spec_function(const struct spec *s, const char *key, int *out);

/* The same of the value at the top of the stack, which stays there; name is for messages ("by", "argument 1"). */
bool value_duration(const struct spec *s, const char *name, int64_t *ms);
bool value_serde(const struct spec *s, const char *name, enum serde *out);
bool value_path(const struct spec *s, const char *name, char **out);
bool value_topic(const struct spec *s, const char *name, char **out);
/* Gives the function at the top of the stack the next number. */
int build_add_function(struct build *b);

/* Reports at the line of the key, if it can be found below s->where. */
void spec_error(const struct spec *s, const char *key, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "the number 6", "a function", "ks.map": what a value is, for messages. Returns out. */
const char *describe_value(lua_State *L, int idx, char *out, size_t cap);
/* The letters, digits, '.', '_', '-' that names of topics, jobs and flows are made of, at most 249 of them. */
bool name_is_valid(const char *name);
/* The value of a string at idx into *out (malloc'd, the old one freed). */
void take_string(lua_State *L, int idx, char **out);
/* "did you mean \"x\"?" into out, or NULL when nothing is near. keys is NULL-terminated. */
const char *suggest_hint(const char *word, const char *const *keys, char *out, size_t cap);

#endif

/* keys.h - the keys of a Lua table in an order that does not change from run to run.
 *
 * Lua seeds the hash of strings with addresses and the time, so the order of next differs between
 * processes for tables that have string keys.
 */
#ifndef LUA_KEYS_H
#define LUA_KEYS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum key_kind { KEY_NUMBER, KEY_STRING, KEY_BOOLEAN, KEY_OTHER };

struct key {
	enum key_kind kind;
	size_t len;
	const char *text; /* belongs to the table */
	lua_Number number;
	lua_Integer integer; /* of numbers that are; of others, their place in Lua's order */
};

/* A stack of keys; several tables may have theirs on it. Zero-initialise. */
struct keys {
	struct key *items;
	size_t count;
	size_t cap;
};

struct keys_count {
	size_t strings;
	size_t integers;
	size_t others;
	lua_Integer integer_max;
	bool positive; /* all integers are */
};

void keys_fini(struct keys *k);
/* Counts the kinds of keys; needs two free slots and never raises. */
struct keys_count keys_count(lua_State *L, int table);
/* Pushes the table's keys on k, sorted: numbers, strings by bytes, booleans, then others in Lua's
 * order. Never raises. */
void keys_collect(struct keys *k, lua_State *L, int table);
/* Gives the memory back that a rare large table took. */
void keys_shrink(struct keys *k);

#endif

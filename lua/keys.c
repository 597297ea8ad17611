/* keys.c - see keys.h. */
#include "lua/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define KEYS_KEPT 4096
#define SMALL     16

void keys_fini(struct keys *k)
{
	free(k->items);
	*k = (struct keys){0};
}

void keys_shrink(struct keys *k)
{
	if (k->count == 0 && k->cap > KEYS_KEPT)
		keys_fini(k);
}

struct keys_count keys_count(lua_State *L, int table)
{
	struct keys_count c = {.positive = true};
	table = lua_absindex(L, table);
	lua_pushnil(L);
	while (lua_next(L, table)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING) {
			c.strings++;
		} else if (lua_isinteger(L, -1)) {
			lua_Integer i = lua_tointeger(L, -1);
			c.integers++;
			c.positive = c.positive && i > 0;
			if (i > c.integer_max)
				c.integer_max = i;
		} else {
			c.others++;
		}
	}
	return c;
}

static struct key key_at_top(lua_State *L, size_t place)
{
	struct key k = {.kind = KEY_OTHER, .integer = (lua_Integer)place};
	switch (lua_type(L, -1)) {
	case LUA_TSTRING:
		k.kind = KEY_STRING;
		k.text = lua_tolstring(L, -1, &k.len);
		break;
	case LUA_TNUMBER:
		k.kind = KEY_NUMBER;
		k.number = lua_tonumber(L, -1);
		k.integer = lua_tointeger(L, -1); /* 0 for fractions, which differ in number */
		break;
	case LUA_TBOOLEAN:
		k.kind = KEY_BOOLEAN;
		k.integer = lua_toboolean(L, -1);
		break;
	default:
		break;
	}
	return k;
}

static int compare(const void *left, const void *right)
{
	const struct key *a = left, *b = right;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == KEY_STRING) {
		int c = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
		return c ? c : (a->len > b->len) - (a->len < b->len);
	}
	if (a->kind == KEY_NUMBER && a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return (a->integer > b->integer) - (a->integer < b->integer);
}

/* Most tables are small, and qsort costs more than they do. */
static void sort(struct key *k, size_t n)
{
	if (n > SMALL) {
		qsort(k, n, sizeof *k, compare);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct key moved = k[i];
		size_t j = i;
		for (; j > 0 && compare(&moved, &k[j - 1]) < 0; j--)
			k[j] = k[j - 1];
		k[j] = moved;
	}
}

void keys_collect(struct keys *k, lua_State *L, int table)
{
	size_t first = k->count;
	table = lua_absindex(L, table);
	lua_pushnil(L);
	while (lua_next(L, table)) {
		lua_pop(L, 1);
		if (k->count == k->cap) {
			k->cap = k->cap ? k->cap * 2 : 32;
			k->items = xrealloc(k->items, k->cap * sizeof *k->items);
		}
		k->items[k->count] = key_at_top(L, k->count);
		k->count++;
	}
	sort(k->items + first, k->count - first);
}

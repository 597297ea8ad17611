/* view.h - what the value_*.c files share. */
#ifndef LUA_VIEW_H
#define LUA_VIEW_H

#include "lua/state.h"
#include "lua/value.h"

struct view {
	struct doc *doc;
	uint64_t generation;
	doc_node node;
};

/* A number as JSON wrote it, beyond what Lua's numbers hold. */
struct big {
	size_t len;
	char text[];
};

/* The address of the value's metatable, or NULL. */
const void *value_meta(lua_State *L, int index);
/* The view at index, NULL if it is another kind of value; perhaps of an earlier record. */
struct view *value_view(lua_State *L, int index);
/* Raises if v is of an earlier record. */
struct view *value_check_live(lua_State *L, struct view *v);
/* v[key] = value, raising what does not fit. */
void value_assign(lua_State *L, struct view *v, int key, int value);

#endif

/* memo.h - what strings were compiled to, so that each is compiled once. */
#ifndef LUA_MEMO_H
#define LUA_MEMO_H

#include <lua.h>

/* A table in the registry: string -> userdata. */
struct memo {
	int ref;
	unsigned count;
};

void memo_init(struct memo *m, lua_State *L);
/* Pushes what the string at index (from the bottom of the stack) was compiled to, and returns it; NULL: it is not known, and
 * nothing was pushed. What is pushed lives as long as it is on the stack. */
void *memo_push(lua_State *L, const struct memo *m, int index);
/* The string at index was compiled to the userdata on top. With max of them the memo forgets all. */
void memo_add(lua_State *L, struct memo *m, int index, unsigned max);

#endif

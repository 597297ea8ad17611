/* node.h - what ks.map(...), ks.to "..." and ks.dead_letter "..." return: a constructor's name, its argument and its
 * place in the script.
 *
 * A constructor judges nothing: job_build.c does, when the job is put together, so that one run finds every
 * mistake and each is reported at the line of its constructor. A node is immutable and may stand in several flows.
 */
#ifndef LUA_NODE_H
#define LUA_NODE_H

#include <lua.h>

#include "streams/topology.h"

enum node_kind {
	NODE_STEP, /* step says which */
	NODE_FROM, /* also ks.merge */
	NODE_DEAD_LETTER,
	NODE_SKIP,
	NODE_FAIL_JOB,
	NODE_RETRY,
};

struct node_type {
	const char *name; /* "map" */
	enum node_kind kind;
	enum step_kind step;
};

struct node {
	const struct node_type *type;
	int argc; /* how many arguments were given; the first is kept */
};

/* Adds the constructors to the table at the top of the stack. */
void node_register(lua_State *L);

/* The node at idx, or NULL when the value is something else. */
struct node *node_at(lua_State *L, int idx);
/* Pushes its argument (nil: none). */
void node_push_argument(lua_State *L, int idx);
/* "file:line" of its constructor; valid while the node lives. */
const char *node_where(lua_State *L, int idx);

/* "file:line" of the script line that runs now: the nearest frame that is Lua code; "" for none. Pushes it. */
const char *node_push_where(lua_State *L);

#endif

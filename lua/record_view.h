/* record_view.h - rec and ctx, the two userdata that every call of a step's function uses again.
 *
 * They are good while the function runs: kept in a variable, they show a later record or raise.
 */
#ifndef LUA_RECORD_VIEW_H
#define LUA_RECORD_VIEW_H

#include <lua.h>

#include "streams/script.h"

/* rec: topic, partition, offset, timestamp, headers. */
struct record_view {
	const struct rec *rec; /* NULL: none yet */
};

/* ctx of a process step: state, forward, time. */
struct process_view {
	struct process_context *process; /* NULL: no process step runs */
	struct record_context *context;
	enum ks_err
		failed; /* the first error of the engine, kept even if the function catches it */
	struct ks_why why;
};

/* Each pushes a new userdata and returns what is in it. */
struct record_view *record_view_new(lua_State *L);
struct process_view *process_view_new(lua_State *L);

#endif

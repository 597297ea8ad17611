/* helpers.h - the plain functions of the module: hashes, encodings, UUIDs, time, log, parameters.
 *
 * All of them give the same answer for the same record, so that a replay writes the same bytes: there is no clock
 * and no random source here. Input they cannot work with raises, which rejects the record as error() does.
 */
#ifndef LUA_HELPERS_H
#define LUA_HELPERS_H

#include <lua.h>

#include "streams/record.h"

struct param {
	const char *name, *value;
	bool is_used; /* the script asked for it */
};

/* What the helpers know of their surroundings; one per Lua state, kept by it. */
struct surroundings {
	const char *name;         /* of the job or script, for the log */
	const struct rec *record; /* under way; NULL while loading */
	uint32_t uuids;           /* made for this record so far */
	struct param *params;
	size_t param_count;
	bool is_quiet; /* a second load of the same script: its log lines were shown already */
};

struct surroundings *surroundings_of(lua_State *L);

/* Each adds its tables and functions to the table at the top of the stack. */
void helpers_register_hash(lua_State *L); /* hash, hmac, base64, hex */
void helpers_register_time(lua_State *L); /* time */
void helpers_register_uuid(lua_State *L, struct surroundings *s);
void helpers_register_log(lua_State *L, struct surroundings *s); /* log's functions, env, param */
void helpers_register_json(lua_State *L);                        /* json */

/* --- used by tests too --- */

/* "2026-09-21T14:13:20.123Z". false: beyond the years 0 to 9999. out has 32 bytes. */
bool time_format_iso(int64_t ms, char *out);

#endif

/* job_build.h - from the table that a script gives to ks.job to a struct job.
 *
 * Reading never stops at a mistake: it is reported and the next key is read. Whatever depends on the order in which
 * Lua walks a table is sorted first (flows, topics, branches of a split by name), so that every load of a script
 * gives the same job with the same numbers for its functions.
 */
#ifndef LUA_JOB_BUILD_H
#define LUA_JOB_BUILD_H

#include <lua.h>

#include "lua/report.h"
#include "lua/spec.h"

/* What ks.job returns to the script: a full userdata whose first user value is the table of functions, which has
 * function n at index n + 1. */
struct job_object {
	struct job *job;
	struct report report;
	int function_count;
};

/* Where the registry holds the text of the last report that was raised, so that it is shown as it is. */
#define JOB_REPORT "ks.report"

/* Adds ks.job to the table at the top of the stack. */
void job_register(lua_State *L);
/* The job at idx, or NULL when the value is something else. Owned by the Lua value. */
struct job_object *job_at(lua_State *L, int idx);
/* Pushes the table of functions. */
void job_push_functions(lua_State *L, int idx);

/* --- job_steps.c --- */

/* Reads the steps of a flow from the list at idx; f has name and where. */
void build_flow_steps(struct build *b, struct flow *f, int idx);
/* Reads the policy at the top of the stack, which stays there. */
void build_policy(const struct spec *s, struct error_policy *out);
/* The string keys of the table at idx, sorted, without those in except (NULL-terminated); the strings are Lua's.
 * Pushes one userdata that holds the array; its length into *count. */
const char **build_sorted_keys(lua_State *L, int idx, const char *const *except, size_t *count);

#endif

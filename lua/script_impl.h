/* script_impl.h - what script.c, script_ops.c and test_driver.c share. */
#ifndef LUA_SCRIPT_IMPL_H
#define LUA_SCRIPT_IMPL_H

#include "lua/job_build.h"
#include "lua/ks_module.h"
#include "lua/script.h"

/* The job at idx of the sandbox's state as a struct script. The sandbox is freed with it when owned; in a test it is
 * the test's own. Calls go to the sandbox's main state. */
struct script *script_ops_new(struct sandbox *s, bool owns_sandbox, int idx);

/* Pushes a datum as the functions of steps see it. JSON is parsed in c. */
enum ks_err script_push_datum(lua_State *L, struct record_context *c, struct datum *d,
			      struct ks_why *why);
/* The value at idx as a datum; bytes are in the arena of c or in a document. in: the record's own data, which come
 * back as they were when the value is their view. ERR_ENCODE. */
enum ks_err script_take_datum(lua_State *L, int idx, struct record_context *c, struct datum *in,
			      struct datum *out, struct ks_why *why);

/* The name a function has in its source ("checked", "on_record"), looked up at its definition; "" for none. The function
 * is at the top of the stack and stays there. */
void script_function_name(lua_State *L, char *out, size_t cap);

/* A sandbox with the module in it. The texts of options->params live as long as the sandbox. watch: see sandbox.h. */
struct sandbox *script_sandbox_new(const struct script_options *options, bool watch);

/* Appends what went wrong in a load to the report: the job builder's own report as it is, else message, place and
 * source line, and the lines of the traceback. */
void script_report_error(lua_State *L, const struct sandbox_error *e, struct buf *report);

/* Appends a warning for each function at the top of the stack that assigns variables from outside. Returns how
 * many. */
int lint_function(lua_State *L, struct report *r);

#endif

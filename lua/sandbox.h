/* sandbox.h - a Lua state in which a script can do no harm by mistake, and little on purpose.
 *
 * A sandbox is one lua_State with one script and the modules beside it. It has a cap on its memory,
 * a budget for each call into it, and an allow-list of globals:
 *
 *   _VERSION assert error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen
 *   rawset require select setmetatable tonumber tostring type xpcall
 *   coroutine math string table utf8
 *
 * What differs from plain Lua, and why:
 *   - Assigning a global raises: it would be lost on restart and differ per thread.
 *   - The libraries are read-only. load takes text only. require finds what was preloaded and text
 *     modules beside the script, by names like "a.b-c".
 *   - Over budget or out of memory, the call ends; no pcall, coroutine or __close of the script can
 *     hold it. __gc is refused, as Lua does not count what finalizers do; so are weak keys, for a
 *     chain of which the collector, never interrupted, takes quadratic time.
 *   - The same input gives the same output: pairs goes through tables with string keys in sorted
 *     order (Lua's own order changes from process to process; arrays are walked as they are; next
 *     is left as it is); addresses never show; math.random is seeded by sandbox_set_seed.
 *   - string.find, match, gmatch and gsub are our own (match.h): same patterns, but interruptible.
 *   - string.rep makes at most SANDBOX_REP_MAX bytes.
 *
 * This contains mistakes, and most malice; it is no wall against a hostile author. A script that
 * writes __mode = "k" into a metatable after setmetatable can still make the collector slow. Run
 * scripts of strangers in a process of their own.
 *
 * A sandbox belongs to one thread. Memory is capped only inside of sandbox_call and sandbox_load:
 * C code that prepares a call cannot fail on it.
 */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

/* Bytes of the Lua heap, and again of the documents of a record. */
#define SANDBOX_MEMORY_DEFAULT (64u << 20)
#define SANDBOX_BUDGET_MS      1000
#define SANDBOX_REP_MAX        (1u << 20)
#define SANDBOX_SCRIPT_MAX     (4u << 20) /* bytes of one source file */

struct sandbox;

/* Zeroes take the defaults. */
struct sandbox_options {
	size_t memory_max; /* bytes */
	int64_t budget_ms; /* of one sandbox_call: CPU time; with a clock of one's own that one's */
	uint64_t instructions_max; /* of one sandbox_call, to the next 1000; 0: no limit but time */
	const struct clock *clock; /* NULL: clock_real */
	/* Nothing is counted before a tick has met the call (watch.h), which is faster. The budget then counts from the
	 * tick. Ignored with instructions_max and with a clock of one's own. */
	bool watch;
	const char *module_dir; /* searched after the script's own folder, or NULL */
	/* What a script prints, without newline; NULL: to the log. */
	void (*print)(void *self, const char *text, size_t len);
	void *print_self;
};

/* Why a call failed. Zero-initialise; may be used again; release with sandbox_error_fini. */
struct sandbox_error {
	/* ERR_SCRIPT, or ERR_BUDGET; of sandbox_load_file also ERR_NOT_FOUND, ERR_IO,
	 * ERR_TOO_LARGE. */
	enum ks_err err;
	bool memory; /* ERR_BUDGET: it was the memory, not the time */
	/* Without the position; never empty; of any bytes and length that the script chose. */
	struct buf message;
	/* "file.lua:12", the innermost line of the script that took part; "" if none did. */
	char where[512];
	struct buf traceback; /* lines, may be empty */
};

void sandbox_error_fini(struct sandbox_error *e);

/* NULL options: all defaults. */
struct sandbox *sandbox_new(const struct sandbox_options *options);
void sandbox_free(struct sandbox *s); /* may be NULL */

lua_State *sandbox_state(struct sandbox *s);
struct sandbox *sandbox_of(lua_State *L);       /* also of a coroutine */
size_t sandbox_memory(const struct sandbox *s); /* bytes of the Lua heap */

/* --- preparing --- */

/* Pops a value: what require(name) returns. */
void sandbox_preload(struct sandbox *s, const char *name);
/* Pops a value: a global that every script of this sandbox sees (describe, it). */
void sandbox_set_global(struct sandbox *s, const char *name);
/* Replaces the table on top of the stack by a read-only view of it. */
void sandbox_freeze(lua_State *L);

/* Compiles a script and pushes it as a function, to be called with sandbox_call. name is what
 * errors show, for a file its path as the user wrote it; require looks in the folder of that path.
 * Nothing is pushed on error. */
enum ks_err sandbox_load_file(struct sandbox *s, const char *path, struct sandbox_error *e);
enum ks_err sandbox_load_text(struct sandbox *s, const char *name, struct slice text,
			      struct sandbox_error *e);

/* --- running --- */

/* As lua_pcall: calls the function below its nargs arguments and replaces them by nresults results,
 * or by nothing on error, when e is filled. ERR_BUDGET: time or memory is used up. The sandbox
 * stays usable after every error. Calls may be nested; the outermost one's budget holds. */
enum ks_err sandbox_call(struct sandbox *s, int nargs, int nresults, struct sandbox_error *e);

/* The same for those who call often: sandbox_begin pushes what the call needs, then come the function and its
 * arguments, then sandbox_run. The results stand above what sandbox_begin pushed, one value; on error that is gone, too.
 * e->where is empty when no line of the script is known. */
void sandbox_begin(struct sandbox *s);
enum ks_err sandbox_run(struct sandbox *s, int nargs, int nresults, struct sandbox_error *e);

void sandbox_set_budget(struct sandbox *s, int64_t budget_ms);
/* What math.random starts from; set it from a record's topic, partition and offset. */
void sandbox_set_seed(struct sandbox *s, uint64_t seed);

/* --- for C functions that scripts call --- */

/* Says that about so many nanoseconds of work are coming; raises if the budget is used up. */
void sandbox_charge(lua_State *L, size_t work);
/* Pushes tostring's result, without addresses; may call a __tostring. */
const char *sandbox_tostring(lua_State *L, int index, size_t *len);
/* "file.lua:12" of the innermost script function that runs; false and "" if none does. */
bool sandbox_where(lua_State *L, char *out, size_t cap);

#endif

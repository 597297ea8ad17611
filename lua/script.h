/* script.h - scripts for the rest of the program: load a file, get its jobs, run its functions, run its tests.
 *
 * A script file is Lua that returns a job (ks.job "name" { … }) or a list of jobs. Loading runs it once in a sandbox.
 * Every engine thread loads it again through the factory, into a Lua state of its own; that all loads agree is
 * checked.
 */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "streams/script.h"
#include "streams/topology.h"

struct script_param {
	const char *name, *value;
};

/* Zeroes take the defaults of lua/sandbox.h. */
struct script_options {
	const struct script_param *params; /* -p name=value */
	size_t param_count;
	size_t memory_max;      /* bytes, of one thread's Lua heap */
	int64_t budget_ms;      /* of one call */
	const char *module_dir; /* searched by require after the script's folder, or NULL */
};

struct script_file;

/* Loads path. ERR_SCRIPT (or ERR_IO, ERR_TOO_LARGE, ERR_BUDGET) and *report has every mistake that was found, with
 * file:line and the source line; on success *report may have warnings. options is copied. */
enum ks_err script_file_load(const char *path, const struct script_options *options,
			     struct script_file **out, struct buf *report);
void script_file_free(struct script_file *f); /* f may be NULL */

size_t script_file_job_count(const struct script_file *f); /* at least 1 */
/* Valid until script_file_free. */
const struct job *script_file_job(const struct script_file *f, size_t index);
/* What the engine needs to run that job. f must outlive it and every script it makes. Thread-safe. */
struct script_factory script_file_factory(struct script_file *f, size_t index);

/* Further checks of `ksrun check`: functions that keep state in Lua variables. Appends warnings to *report and
 * returns their number. */
int script_file_lint(struct script_file *f, struct buf *report);

struct script_test_options {
	struct script_options script;
	bool is_quiet;      /* failures and the summary only */
	const char *filter; /* only tests whose full name has this text, or NULL */
};

/* Runs the tests of a file (`ksrun test`); what it prints goes to stdout. *failed counts tests that failed and
 * errors outside of tests. Returns ERR_SCRIPT and *report when the file cannot be loaded. */
enum ks_err script_test_file(const char *path, const struct script_test_options *options,
			     int *passed, int *failed, struct buf *report);

#endif

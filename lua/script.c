/* script.c - see script.h: loading, and turning an error of Lua into a report. The functions of a job run in script_ops.c. */
#include "lua/script.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "lua/script_impl.h"
#include "lua/value.h"

#define JOBS_MAX 1000 /* of one script */

struct script_file {
	char *path;
	char *module_dir;
	struct script_options options;
	struct script_param *params;    /* copied */
	struct sandbox *sandbox;        /* the first load; its stack holds the jobs from 1 on */
	const struct job_object **jobs; /* of that load; its Lua state keeps them */
	size_t job_count;
	struct factory {
		struct script_file *file;
		size_t index;
	} * factories; /* one per job */
};

struct sandbox *script_sandbox_new(const struct script_options *o, bool watch)
{
	struct sandbox_options so = {.memory_max = o->memory_max,
				     .budget_ms = o->budget_ms,
				     .watch = watch,
				     .module_dir = o->module_dir};
	struct sandbox *s = sandbox_new(&so);

	ks_module_open(s, o->params, o->param_count);
	return s;
}

static struct script_file *file_new(const char *path, const struct script_options *options)
{
	struct script_file *f = xcalloc(1, sizeof *f);

	f->path = xstrdup(path);
	if (options)
		f->options = *options;
	f->params = xcalloc(f->options.param_count + 1, sizeof *f->params);
	for (size_t i = 0; i < f->options.param_count; i++) {
		f->params[i].name = xstrdup(options->params[i].name);
		f->params[i].value = xstrdup(options->params[i].value);
	}
	f->options.params = f->params;
	if (f->options.module_dir)
		f->options.module_dir = f->module_dir = xstrdup(f->options.module_dir);
	return f;
}

void script_file_free(struct script_file *f)
{
	if (!f)
		return;
	sandbox_free(f->sandbox);
	for (size_t i = 0; i < f->options.param_count; i++) {
		free((void *)f->params[i].name);
		free((void *)f->params[i].value);
	}
	free(f->params);
	free(f->jobs);
	free(f->factories);
	free(f->module_dir);
	free(f->path);
	free(f);
}

/* --- errors --- */

static bool ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text);
	size_t m = strlen(tail);

	return n >= m && strcmp(text + n - m, tail) == 0;
}

/* What Lua's own words for a wrong kind of file leave unsaid. */
static const char *advice_for(const char *message)
{
	if (strstr(message, "'<\\239>'"))
		return " (the file begins with a byte order mark: save it as UTF-8 without one)";
	if (strstr(message, "'<\\254>'") || strstr(message, "'<\\255>'"))
		return " (is the file UTF-16? Scripts are UTF-8)";
	if (strstr(message, "attempt to load a binary chunk"))
		return " (this is compiled Lua; scripts are loaded as text only)";
	return "";
}

/* The first word in quotes of a message: most likely what the line is to be looked at for. */
static char *first_quoted(const char *message)
{
	const char *begin = strchr(message, '"');
	const char *end = begin ? strchr(begin + 1, '"') : NULL;

	return end && end > begin + 1 ? xasprintf("%.*s", (int)(end - begin - 1), begin + 1) : NULL;
}

void script_report_error(lua_State *L, const struct sandbox_error *e, struct buf *report)
{
	struct buf message = {0};
	char *quoted;
	const char *built;

	buf_append(&message, e->message.data, e->message.len);
	lua_getfield(L, LUA_REGISTRYINDEX, JOB_REPORT);
	built = lua_tostring(L, -1);
	if (built &&
	    (ends_with(built, buf_cstr(&message)) || ends_with(buf_cstr(&message), built))) {
		buf_printf(report, "%s\n", built);
	} else {
		if (e->where[0] != '\0' && e->err != ERR_NOT_FOUND && e->err != ERR_IO)
			buf_printf(report, "%s: ", e->where);
		buf_printf(report, "%s%s\n", buf_cstr(&message), advice_for(buf_cstr(&message)));
		quoted = first_quoted(buf_cstr(&message));
		report_excerpt(report, e->where, quoted, NULL);
		free(quoted);
	}
	lua_pop(L, 1);
	buf_fini(&message);
}

/* --- loading --- */

static const char *describe_result(lua_State *L, int idx, char *out, size_t cap)
{
	const char *name =
		lua_tocfunction(L, idx) ? "a job without its table: ks.job \"name\" { … }" : NULL;

	if (name) {
		snprintf(out, cap, "%s", name);
		return out;
	}
	return describe_value(L, idx, out, cap);
}

/* The value at the top is what the script returned; pushes its jobs above it. */
static enum ks_err unpack_jobs(lua_State *L, const char *path, size_t *count, struct buf *report)
{
	int result = lua_gettop(L);
	size_t n;
	char got[96];

	*count = 0;
	if (job_at(L, result)) {
		lua_pushvalue(L, result);
		*count = 1;
		return ERR_NONE;
	}
	if (lua_isnil(L, result)) {
		buf_printf(report,
			   "%s: the script returns nothing; it must end with: return ks.job "
			   "\"name\" { … }\n",
			   path);
		return ERR_SCRIPT;
	}
	n = lua_istable(L, result) ? (size_t)lua_rawlen(L, result) : 0;
	if (n == 0 || n > JOBS_MAX || !lua_checkstack(L, (int)n + 20)) {
		buf_printf(report,
			   "%s: the script returns %s; it must return ks.job \"name\" { … } or a "
			   "list of jobs\n",
			   path, describe_result(L, result, got, sizeof got));
		return ERR_SCRIPT;
	}
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, result, (lua_Integer)i);
		if (!job_at(L, -1)) {
			buf_printf(report,
				   "%s: element %zu of the list that the script returns is %s, not "
				   "a job\n",
				   path, i, describe_result(L, -1, got, sizeof got));
			return ERR_SCRIPT;
		}
	}
	*count = n;
	return ERR_NONE;
}

static enum ks_err check_twins(lua_State *L, size_t count, struct buf *report)
{
	for (size_t i = 1; i <= count; i++) {
		for (size_t k = 1; k < i; k++) {
			const struct job *a = job_at(L, (int)k)->job;
			const struct job *b = job_at(L, (int)i)->job;

			if (strcmp(a->name, b->name) != 0)
				continue;
			buf_printf(report, "%s: the name \"%s\" is taken by the job at %s\n",
				   b->where, b->name, a->where);
			return ERR_SCRIPT;
		}
	}
	return ERR_NONE;
}

/* Runs the script once; on success the jobs are on the stack from 1 on, and nothing else. */
static enum ks_err load_jobs(struct sandbox *s, const char *path, size_t *count, struct buf *report)
{
	lua_State *L = sandbox_state(s);
	struct sandbox_error e = {0};
	enum ks_err err;

	lua_settop(L, 0);
	err = sandbox_load_file(s, path, &e);
	if (!err)
		err = sandbox_call(s, 0, 1, &e);
	if (err) {
		script_report_error(L, &e, report);
		sandbox_error_fini(&e);
		return err;
	}
	sandbox_error_fini(&e);
	err = unpack_jobs(L, path, count, report);
	if (err)
		return err;
	lua_remove(L, 1);
	return check_twins(L, *count, report);
}

/* A parameter that nobody asked for is a misspelt one. */
static void warn_unused(const struct script_file *f, struct buf *report)
{
	const struct surroundings *s = surroundings_of(sandbox_state(f->sandbox));

	for (size_t i = 0; i < s->param_count; i++) {
		if (!s->params[i].is_used)
			buf_printf(report,
				   "%s: warning: the script does not ask for the parameter %s (-p "
				   "%s=…)\n",
				   f->path, s->params[i].name, s->params[i].name);
	}
}

enum ks_err script_file_load(const char *path, const struct script_options *options,
			     struct script_file **out, struct buf *report)
{
	struct script_file *f = file_new(path, options);
	enum ks_err err;

	f->sandbox = script_sandbox_new(&f->options, false);
	err = load_jobs(f->sandbox, path, &f->job_count, report);
	if (err) {
		script_file_free(f);
		return err;
	}
	warn_unused(f, report);
	f->factories = xcalloc(f->job_count, sizeof *f->factories);
	f->jobs = xcalloc(f->job_count, sizeof *f->jobs);
	for (size_t i = 0; i < f->job_count; i++) {
		f->factories[i] = (struct factory){f, i};
		f->jobs[i] = job_at(sandbox_state(f->sandbox), (int)i + 1);
	}
	*out = f;
	return ERR_NONE;
}

size_t script_file_job_count(const struct script_file *f)
{
	return f->job_count;
}

const struct job *script_file_job(const struct script_file *f, size_t index)
{
	return f->jobs[index]->job;
}

/* --- the factory --- */

static bool same_job(const struct job_object *a, const struct job_object *b)
{
	if (strcmp(a->job->name, b->job->name) != 0 || a->function_count != b->function_count ||
	    a->job->flow_count != b->job->flow_count)
		return false;
	for (size_t i = 0; i < a->job->flow_count; i++) {
		if (strcmp(a->job->flows[i].name, b->job->flows[i].name) != 0 ||
		    a->job->flows[i].steps.count != b->job->flows[i].steps.count)
			return false;
	}
	return true;
}

static struct script *make_script(void *self, struct ks_why *why)
{
	struct factory *fa = self;
	struct script_file *f = fa->file;
	struct sandbox *s = script_sandbox_new(&f->options, true);
	struct buf report = {0};
	size_t count;

	surroundings_of(sandbox_state(s))->is_quiet = true;
	if (load_jobs(s, f->path, &count, &report) != ERR_NONE) {
		(void)ks_fail(why, ERR_SCRIPT, "%s", buf_cstr(&report));
		goto fail;
	}
	if (count != f->job_count ||
	    !same_job(job_at(sandbox_state(s), (int)fa->index + 1), f->jobs[fa->index])) {
		(void)ks_fail(why, ERR_SCRIPT,
			      "%s gave another job when it was loaded again: it was changed, or it "
			      "depends on something "
			      "that changes between loads",
			      f->path);
		goto fail;
	}
	buf_fini(&report);
	return script_ops_new(s, true, (int)fa->index + 1);
fail:
	buf_fini(&report);
	sandbox_free(s);
	return NULL;
}

struct script_factory script_file_factory(struct script_file *f, size_t index)
{
	return (struct script_factory){&f->factories[index], make_script};
}

int script_file_lint(struct script_file *f, struct buf *report)
{
	lua_State *L = sandbox_state(f->sandbox);
	struct report r = {0};
	int found = 0;

	for (size_t i = 1; i <= f->job_count; i++) {
		int n = job_at(L, (int)i)->function_count;

		job_push_functions(L, (int)i);
		for (int k = 1; k <= n; k++) {
			lua_rawgeti(L, -1, k);
			found += lint_function(L, &r);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	buf_append(report, r.text.data, r.text.len);
	report_fini(&r);
	return found;
}

/* test_run.c - describe and it: gathers the tests of a file, runs them one by one, tells what happened.
 *
 *   describe(name, fn)  a group; fn calls describe, it, before_each, after_each
 *   it(name, fn)        a test
 *   pending(name)       a test to be written
 *   dofile(name)        runs a file below the folder of the test file and returns what it returns
 *
 * Gathering runs no test. The registry holds the tests and the group that is being gathered.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/script_impl.h"
#include "lua/test_impl.h"

#define TESTS       "ks.tests" /* list of { name, fn or false, group } */
#define GROUP       "ks.group" /* { name =, parent =, before = {}, after = {} } */
#define TEST_BUDGET 10000      /* ms of one test */
#define GROUPS_MAX  64         /* nested */

struct run {
	const struct script_test_options *options;
	struct sandbox *sandbox;
	lua_State *L;
	int passed, failed, pending;
	char *shown; /* group whose heading was printed last */
};

static void print_line(void *self, const char *text, size_t len)
{
	(void)self;
	printf("       %.*s\n", (int)len, text);
}

/* --- gathering --- */

/* Pushes a new group below the one that is open. */
static void push_group(lua_State *L, const char *name)
{
	lua_newtable(L);
	lua_getfield(L, LUA_REGISTRYINDEX, GROUP);
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "name");
		if (lua_rawlen(L, -1) > 0)
			name = lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), name);
		else
			lua_pushnil(L);
		lua_pushstring(L, name);
		lua_setfield(L, -5, "name");
		lua_pop(L, 2);
	} else {
		lua_pushstring(L, name);
		lua_setfield(L, -3, "name");
	}
	lua_setfield(L, -2, "parent");
	lua_newtable(L);
	lua_setfield(L, -2, "before");
	lua_newtable(L);
	lua_setfield(L, -2, "after");
}

static int describe(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_getfield(L, LUA_REGISTRYINDEX, GROUP);
	push_group(L, name);
	lua_setfield(L, LUA_REGISTRYINDEX, GROUP);
	lua_pushvalue(L, 2);
	lua_call(L, 0, 0); /* an error ends the gathering, so the group need not be restored */
	lua_settop(L, 3);
	lua_setfield(L, LUA_REGISTRYINDEX, GROUP);
	return 0;
}

static int add_test(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, TESTS);
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "name");
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "fn");
	lua_getfield(L, LUA_REGISTRYINDEX, GROUP);
	lua_setfield(L, -2, "group");
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

static int it(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	return add_test(L);
}

static int pending(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	lua_settop(L, 1);
	lua_pushboolean(L, false);
	return add_test(L);
}

/* before_each(fn), after_each(fn): upvalue 1 is the group's list. */
static int add_hook(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_getfield(L, LUA_REGISTRYINDEX, GROUP);
	lua_getfield(L, -1, lua_tostring(L, lua_upvalueindex(1)));
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

/* A path that stays below its folder: no "..", not from the root. */
static bool stays_below(const char *path)
{
	if (path[0] == '/' || path[0] == '\0')
		return false;
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return false;
	}
	return true;
}

/* dofile(name): upvalue 1 is the test file's folder with its slash, or "". */
static int do_file(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sandbox_error e = {0};
	const char *path;
	enum ks_err err;

	if (!stays_below(name))
		return luaL_error(L, "dofile takes files below the test's own folder, not \"%s\"",
				  name);
	lua_settop(L, 1);
	path = lua_pushfstring(L, "%s%s", lua_tostring(L, lua_upvalueindex(1)), name);
	err = sandbox_load_file(sandbox_of(L), path, &e);
	if (err) {
		lua_pushlstring(L, buf_cstr(&e.message), e.message.len);
		if (e.where[0] != '\0') {
			lua_pushfstring(L, "%s: ", e.where);
			lua_insert(L, -2);
			lua_concat(L, 2);
		}
		sandbox_error_fini(&e);
		return lua_error(L);
	}
	lua_call(L, 0, LUA_MULTRET);
	return lua_gettop(L) - 2;
}

static void set_hook(struct sandbox *s, const char *global, const char *list)
{
	lua_State *L = sandbox_state(s);

	lua_pushstring(L, list);
	lua_pushcclosure(L, add_hook, 1);
	sandbox_set_global(s, global);
}

static void set_globals(struct sandbox *s, const char *path)
{
	lua_State *L = sandbox_state(s);
	const char *slash = strrchr(path, '/');

	lua_pushcfunction(L, describe);
	sandbox_set_global(s, "describe");
	lua_pushcfunction(L, it);
	sandbox_set_global(s, "it");
	lua_pushcfunction(L, pending);
	sandbox_set_global(s, "pending");
	set_hook(s, "before_each", "before");
	set_hook(s, "after_each", "after");
	lua_pushlstring(L, path, slash ? (size_t)(slash - path) + 1 : 0);
	lua_pushcclosure(L, do_file, 1);
	sandbox_set_global(s, "dofile");
	test_assert_push(L);
	sandbox_set_global(s, "assert");
	/* Test files for busted often extend the path; here require finds what is beside the file anyway. */
	lua_newtable(L);
	lua_pushliteral(L, "./?.lua");
	lua_setfield(L, -2, "path");
	sandbox_set_global(s, "package");
	test_driver_push(L);
	sandbox_preload(s, "ks.test");

	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, TESTS);
	push_group(L, "");
	lua_setfield(L, LUA_REGISTRYINDEX, GROUP);
}

/* --- running --- */

/* Calls the functions of group[list] of the group at the top, the outer groups' before or after it. */
static enum ks_err run_hooks(struct run *r, const char *list, bool outer_first, int depth,
			     struct sandbox_error *e)
{
	lua_State *L = r->L;
	enum ks_err err = ERR_NONE;

	if (depth > GROUPS_MAX || !lua_checkstack(L, LUA_MINSTACK))
		return ERR_NONE;
	if (outer_first) {
		lua_getfield(L, -1, "parent");
		if (lua_istable(L, -1))
			err = run_hooks(r, list, outer_first, depth + 1, e);
		lua_pop(L, 1);
	}
	lua_getfield(L, -1, list);
	for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, -1); !err && i <= n; i++) {
		lua_rawgeti(L, -1, i);
		err = sandbox_call(r->sandbox, 0, 0, e);
	}
	lua_pop(L, 1);
	if (!outer_first) {
		lua_getfield(L, -1, "parent");
		if (!err && lua_istable(L, -1))
			err = run_hooks(r, list, outer_first, depth + 1, e);
		lua_pop(L, 1);
	}
	return err;
}

static void print_indented(const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		printf("       %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void print_failure(struct run *r, const struct sandbox_error *e)
{
	struct buf text = {0};

	script_report_error(r->L, e, &text);
	print_indented(buf_cstr(&text));
	buf_fini(&text);
}

/* The heading of a group, once for the tests that stand below it. */
static void print_group(struct run *r, const char *group)
{
	if (r->options->is_quiet || (r->shown && strcmp(r->shown, group) == 0))
		return;
	free(r->shown);
	r->shown = xstrdup(group);
	if (group[0] != '\0')
		printf("  %s\n", group);
}

/* The test is at the top of the stack. */
static enum ks_err run_body(struct run *r, struct sandbox_error *e)
{
	lua_State *L = r->L;
	struct sandbox_error after = {0};
	enum ks_err err, after_err;

	lua_getfield(L, -1, "group");
	err = run_hooks(r, "before", true, 0, e);
	if (!err) {
		lua_getfield(L, -2, "fn");
		err = sandbox_call(r->sandbox, 0, 0, e);
	}
	after_err = run_hooks(r, "after", false, 0, err ? &after : e);
	sandbox_error_fini(&after);
	lua_pop(L, 1);
	return err ? err : after_err;
}

static void run_test(struct run *r)
{
	lua_State *L = r->L;
	struct sandbox_error e = {0};
	const char *name, *group;
	enum ks_err err;

	lua_getfield(L, -1, "group");
	lua_getfield(L, -1, "name");
	group = lua_tostring(L, -1);
	lua_getfield(L, -3, "name");
	name = lua_tostring(L, -1);
	lua_pop(L, 3); /* the test keeps them */
	if (r->options->filter && !strstr(name, r->options->filter) &&
	    !strstr(group, r->options->filter))
		return;
	lua_getfield(L, -1, "fn");
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		r->pending++;
		print_group(r, group);
		printf("  todo %s\n", name);
		return;
	}
	lua_pop(L, 1);
	err = run_body(r, &e);
	r->passed += !err;
	r->failed += err != ERR_NONE;
	if (!err && !r->options->is_quiet) {
		print_group(r, group);
		printf("  ok   %s\n", name);
	} else if (err) {
		print_group(r, group);
		printf("  FAIL %s%s%s\n", r->options->is_quiet ? group : "",
		       r->options->is_quiet ? ": " : "", name);
		print_failure(r, &e);
	}
	sandbox_error_fini(&e);
}

static void run_tests(struct run *r)
{
	lua_State *L = r->L;
	lua_Integer n;

	lua_getfield(L, LUA_REGISTRYINDEX, TESTS);
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		run_test(r);
		lua_pop(L, 1);
		lua_gc(L, LUA_GCCOLLECT); /* drivers of the last test go: each has a broker */
	}
	lua_pop(L, 1);
}

static enum ks_err gather(struct run *r, const char *path, struct buf *report)
{
	struct sandbox_error e = {0};
	enum ks_err err = sandbox_load_file(r->sandbox, path, &e);

	if (!err)
		err = sandbox_call(r->sandbox, 0, 0, &e);
	if (err)
		script_report_error(r->L, &e, report);
	sandbox_error_fini(&e);
	return err;
}

enum ks_err script_test_file(const char *path, const struct script_test_options *options,
			     int *passed, int *failed, struct buf *report)
{
	struct sandbox_options so = {
		.memory_max = options->script.memory_max,
		.budget_ms = options->script.budget_ms ? options->script.budget_ms : TEST_BUDGET,
		.module_dir = options->script.module_dir,
		.print = print_line};
	struct run r = {.options = options, .sandbox = sandbox_new(&so)};
	enum ks_err err;

	r.L = sandbox_state(r.sandbox);
	ks_module_open(r.sandbox, options->script.params, options->script.param_count);
	surroundings_of(r.L)->name = "test";
	set_globals(r.sandbox, path);
	if (!options->is_quiet)
		printf("%s\n", path);
	err = gather(&r, path, report);
	if (!err) {
		run_tests(&r);
		printf("%s: %d ok, %d failed%s\n", path, r.passed, r.failed,
		       r.pending ? ", some to be written" : "");
		*passed += r.passed;
		*failed += r.failed;
	}
	free(r.shown);
	sandbox_free(r.sandbox);
	return err;
}

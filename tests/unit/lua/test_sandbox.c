/* test_sandbox.c - what scripts may do, what they may not, and how they are stopped and told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lua/sandbox.h"
#include "lua/value.h"

struct fixture {
	struct sandbox *s;
	struct sandbox_error e;
	struct buf printed;
};

static void on_print(void *self, const char *text, size_t len)
{
	struct buf *b = self;
	buf_append(b, text, len);
	buf_append_u8(b, '\n');
}

/* All tests run with scripts that are counted from the start, and again with watched ones. */
static bool is_watched;

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct sandbox_options options = {.budget_ms = 50,
					  .watch = is_watched,
					  .memory_max = 16u << 20,
					  .print = on_print,
					  .print_self = &f->printed};
	f->s = sandbox_new(&options);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(lua_gettop(sandbox_state(f->s)), 0);
	sandbox_free(f->s);
	sandbox_error_fini(&f->e);
	buf_fini(&f->printed);
	free(f);
	return 0;
}

static enum ks_err run(struct fixture *f, const char *text)
{
	enum ks_err err = sandbox_load_text(f->s, "dir/test.lua", slice_str(text), &f->e);
	if (err)
		return err;
	return sandbox_call(f->s, 0, 0, &f->e);
}

static void assert_runs(struct fixture *f, const char *text)
{
	enum ks_err err = run(f, text);
	if (err)
		print_error("%s: %s\n%s", f->e.where, buf_cstr(&f->e.message),
			    buf_cstr(&f->e.traceback));
	assert_int_equal(err, ERR_NONE);
}

static void assert_fails(struct fixture *f, const char *text, const char *where,
			 const char *message)
{
	enum ks_err err = run(f, text);
	if (err != ERR_SCRIPT)
		print_error("%s\n%s: %s\n", text, ks_err_name(err),
			    err ? buf_cstr(&f->e.message) : "");
	assert_int_equal(err, ERR_SCRIPT);
	if (!strstr(buf_cstr(&f->e.message), message))
		print_error("%s\n", buf_cstr(&f->e.message));
	assert_non_null(strstr(buf_cstr(&f->e.message), message));
	assert_string_equal(f->e.where, where);
}

/* The state can be used after what was done to it. */
static void assert_usable(struct fixture *f)
{
	assert_runs(f,
		    "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(10) end assert(#t == 1000)");
}

static void assert_stopped(struct fixture *f, const char *text)
{
	assert_int_equal(run(f, text), ERR_BUDGET);
	assert_false(f->e.memory);
	assert_string_equal(buf_cstr(&f->e.message), "ran longer than 50 ms");
	assert_usable(f);
}

static void assert_out_of_memory(struct fixture *f, const char *text)
{
	assert_int_equal(run(f, text), ERR_BUDGET);
	assert_true(f->e.memory);
	assert_string_equal(buf_cstr(&f->e.message),
			    "used more than 16 MiB of memory: a table, a string or a recursion "
			    "grows without end");
	assert_usable(f);
}

/* --- time --- */

static void an_endless_loop_is_stopped_and_its_line_told(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(run(f, "local x = 1\nwhile true do\n  x = x + 1\nend"), ERR_BUDGET);
	assert_true(strcmp(f->e.where, "dir/test.lua:2") == 0 ||
		    strcmp(f->e.where, "dir/test.lua:3") == 0);
	assert_usable(f);
}

static void pcall_does_not_hold_the_end(void **state)
{
	assert_stopped(*state,
		       "local function loop() while true do end end while true do pcall(loop) end");
	assert_stopped(*state, "pcall(function() while true do end end) while true do end");
	assert_stopped(
		*state,
		"while true do xpcall(function() while true do end end, function() end) end");
	assert_stopped(*state, "while true do xpcall(error, function() while true do end end) end");
	assert_stopped(*state,
		       "while true do pcall(pcall, pcall, function() while true do end end) end");
}

static void coroutines_do_not_hold_the_end(void **state)
{
	assert_stopped(*state, "coroutine.wrap(function() while true do end end)()");
	assert_stopped(*state,
		       "while true do local c = coroutine.create(function() while true do end end) "
		       "coroutine.resume(c) end");
	assert_stopped(
		*state,
		"local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
		"while true do c() end");
	assert_stopped(
		*state,
		"while true do pcall(coroutine.wrap(function() pcall(function() while true do end "
		"end) end)) end");
}

static void close_variables_do_not_hold_the_end(void **state)
{
	assert_stopped(
		*state,
		"local x <close> = setmetatable({}, {__close = function() while true do end end}) "
		"while true do end");
	assert_stopped(
		*state,
		"local function f() local x <close> = setmetatable({}, {__close = function() "
		"while true do end end}) error('x') end while true do pcall(f) end");
	assert_stopped(*state,
		       "while true do local c = coroutine.create(function() local x <close> = "
		       "setmetatable({}, {__close = function() while true do end end}) "
		       "coroutine.yield() end) coroutine.resume(c) coroutine.close(c) end");
}

static void metamethods_iterators_and_comparators_are_counted(void **state)
{
	assert_stopped(*state, "table.sort({3, 2, 1}, function() while true do end end)");
	assert_stopped(*state,
		       "local t = setmetatable({}, {__index = function() while true do end end}) "
		       "return t.x");
	assert_stopped(*state, "string.gsub('x', 'x', function() while true do end end)");
	assert_stopped(*state, "for _ in function() return 1 end do end");
	assert_stopped(
		*state,
		"local t = setmetatable({}, {__tostring = function() while true do end end}) "
		"print(t)");
	assert_stopped(*state, "while true do load('while true do end')() end");
}

static void patterns_that_backtrack_for_ever_are_stopped(void **state)
{
	assert_stopped(*state, "string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))");
	assert_stopped(*state, "string.find(('a'):rep(3000), '.-.-.-.-b')");
	assert_stopped(
		*state,
		"while true do pcall(string.match, ('a'):rep(3000), '(.-)(.-)(.-)(.-)b') end");
	assert_stopped(*state, "for x in string.gmatch(('a'):rep(5000), '.-.-.-b') do end");
	assert_stopped(*state, "string.gsub(('a'):rep(100000), 'a*b', '')");
	assert_stopped(*state, "string.gsub(('('):rep(100000), '%b()', '')");
}

static void long_work_in_c_functions_is_charged(void **state)
{
	assert_stopped(*state, "local t = {} while true do table.move(t, 1, 9999999, 2) end");
	assert_stopped(*state,
		       "local s = ('x'):rep(1 << 20) while true do pcall(string.rep, s, 1) end");
	assert_stopped(*state, "while true do string.format('%s', ('x'):rep(100000)) end");
	assert_stopped(
		*state,
		"local t = {} for i = 1, 100000 do t[i] = i end while true do table.unpack(t, 1, "
		"200) table.insert(t, 1, 0) end");
	assert_stopped(*state, "local s = ('x'):rep(1 << 20) while true do local t = s .. 'a' end");
	assert_stopped(*state, "local s = ('x'):rep(1 << 20) while true do utf8.len(s) end");
}

static void instructions_can_be_limited_too(void **state)
{
	struct fixture *f = *state;
	struct sandbox_options options = {.instructions_max = 100000};
	sandbox_free(f->s);
	f->s = sandbox_new(&options);
	assert_int_equal(run(f, "for i = 1, 1e6 do end"), ERR_BUDGET);
	assert_string_equal(buf_cstr(&f->e.message), "ran for more than 100000 instructions");
	assert_runs(f, "for i = 1, 1e4 do end");
}

/* --- memory --- */

static void memory_is_capped(void **state)
{
	struct fixture *f = *state;
	sandbox_set_budget(f->s, 10000);
	assert_out_of_memory(f, "local s = 'x' while true do s = s .. s end");
	assert_out_of_memory(f, "local t = {} for i = 1, 1e9 do t[i] = i end");
	assert_out_of_memory(f, "local t = {} for i = 1, 1e9 do t[i] = {} end");
	assert_out_of_memory(
		f, "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1 << 20) .. "
		   "#t end) end");
	assert_out_of_memory(f,
			     "local t = {} while true do t[#t + 1] = coroutine.create(print) end");
	assert_int_equal(run(f, "\n\nlocal s = ('x'):rep(1 << 20) local t = {} while true do t[#t "
				"+ 1] = s .. #t end"),
			 ERR_BUDGET);
	assert_string_equal(f->e.where,
			    "dir/test.lua:1"); /* where the function begins: no handler ran */
}

static void rep_is_capped(void **state)
{
	assert_fails(*state, "string.rep('x', 1 << 40)", "dir/test.lua:1", "longer than 1 MiB");
	assert_fails(*state, "('xy'):rep(1 << 20)", "dir/test.lua:1", "longer than 1 MiB");
	assert_fails(*state, "(''):rep(1 << 30, 'ab')", "dir/test.lua:1", "longer than 1 MiB");
	assert_runs(*state,
		    "assert(#('x'):rep(1 << 20) == 1 << 20) assert(('x'):rep(-1) == '') "
		    "assert(('ab'):rep(3, ',') == 'ab,ab,ab') assert((''):rep(1 << 40) == '')");
}

static void deep_recursion_is_an_error(void **state)
{
	struct fixture *f = *state;
	/* Lua's stack may take some 70 MiB before Lua itself says stop. */
	struct sandbox_options options = {
		.memory_max = 128u << 20, .budget_ms = 60000, .watch = is_watched};
	sandbox_free(f->s);
	f->s = sandbox_new(&options);
	assert_fails(*state, "local function f() return 1 + f() end f()", "dir/test.lua:1",
		     "stack overflow");
	assert_fails(*state,
		     "local function f() return pcall(f) and error('x') end f() error('done')",
		     "dir/test.lua:1", "done");
	assert_fails(*state, "local s = ('('):rep(100000) assert(load('return ' .. s))",
		     "dir/test.lua:1", "");
	assert_fails(*state, "local function f() return coroutine.wrap(f)() end f()",
		     "dir/test.lua:1", "C stack");
	assert_usable(*state);
}

/* --- what is not there --- */

static void globals_cannot_be_assigned(void **state)
{
	assert_fails(*state, "local a\ncount = 1", "dir/test.lua:2",
		     "assignment to global 'count': write 'local count'");
	assert_fails(*state, "function f() end", "dir/test.lua:1", "write 'local function f'");
	assert_fails(*state, "_G.x = 1", "dir/test.lua:1", "assignment to global 'x'");
	assert_fails(*state, "rawset(_G, 'x', 1)", "dir/test.lua:1", "read-only");
	assert_fails(*state, "rawset(_ENV, 'x', 1)", "dir/test.lua:1", "read-only");
	assert_fails(*state, "setmetatable(_ENV, nil)", "dir/test.lua:1", "protected metatable");
	assert_fails(*state, "print = nil", "dir/test.lua:1", "assignment to global 'print'");
	assert_runs(*state, "assert(undeclared == nil) assert(_G.print == print) "
			    "assert(getmetatable(_G) == false)");
}

static void libraries_cannot_be_changed(void **state)
{
	assert_fails(*state, "string.trim = print", "dir/test.lua:1", "read-only");
	assert_fails(*state, "rawset(string, 'find', print)", "dir/test.lua:1", "read-only");
	assert_fails(*state, "table.insert(math, 1)", "dir/test.lua:1", "read-only");
	assert_fails(*state, "setmetatable(string, {})", "dir/test.lua:1", "protected");
	assert_fails(*state, "getmetatable('').__index = {}", "dir/test.lua:1", "attempt to index");
	assert_runs(*state,
		    "assert(getmetatable('') == false)\n"
		    "local f, t = pairs(string) pcall(rawset, t, 'find', 1) assert(string.find == "
		    "('').find)\n"
		    "local n = 0 for k, v in pairs(string) do n = n + 1 end assert(n == 16)");
}

static void dangerous_functions_are_missing_with_advice(void **state)
{
	assert_fails(*state, "io.open('/etc/passwd')", "dir/test.lua:1", "'io' is not available");
	assert_fails(*state, "os.execute('id')", "dir/test.lua:1",
		     "'os' is not available: scripts see no system");
	assert_fails(*state, "debug.getregistry()", "dir/test.lua:1", "'debug' is not available");
	assert_fails(*state, "package.loadlib('x')", "dir/test.lua:1",
		     "'package' is not available");
	assert_fails(*state, "collectgarbage()", "dir/test.lua:1",
		     "'collectgarbage' is not available");
	assert_fails(*state, "dofile('x')", "dir/test.lua:1", "'dofile' is not available");
	assert_fails(*state, "loadfile('x')", "dir/test.lua:1", "'loadfile' is not available");
	assert_runs(*state, "assert(string.dump == nil) assert(coroutine.create and math.sin)");
}

static void finalizers_are_refused(void **state)
{
	assert_fails(*state, "setmetatable({}, {__gc = function() while true do end end})",
		     "dir/test.lua:1", "__gc is not available");
	assert_fails(*state, "setmetatable({}, {__gc = true})", "dir/test.lua:1",
		     "__gc is not available");
	/* Lua looks at __gc only when the metatable is set. */
	assert_runs(*state, "local m = {} local t = setmetatable({}, m) m.__gc = function() while "
			    "true do end end "
			    "t = nil local x = {} for i = 1, 10000 do x[i] = {} end");
}

static void weak_keys_are_refused(void **state)
{
	assert_fails(*state, "setmetatable({}, {__mode = 'k'})", "dir/test.lua:1",
		     "weak keys are not available");
	assert_runs(*state, "setmetatable({}, {__mode = 'v'}) setmetatable({}, {__mode = 'kv'})");
}

static void bytecode_is_not_loaded(void **state)
{
	struct fixture *f = *state;
	assert_runs(f, "local f, why = load('\\27Lua') assert(f == nil and why:find 'binary')\n"
		       "local g, why = load('\\27Lua', 'x', 'b') assert(g == nil)\n"
		       "assert(load('return 1 + 1')() == 2)\n"
		       "assert(load('return x', 'n', 't', {x = 5})() == 5)\n"
		       "assert(not pcall(load('y = 1')))\n"
		       "assert(not pcall(load, function() end))");
	assert_int_equal(sandbox_load_text(f->s, "b.lua", slice_of("\x1bLua\x54\x00", 6), &f->e),
			 ERR_SCRIPT);
}

/* --- same input, same output --- */

static void pairs_has_a_fixed_order(void **state)
{
	assert_runs(
		*state,
		"local t = {z = 1, a = 2, m = 3, [1] = 'one', [2.5] = 'f', [true] = 't', [-1] = "
		"'n'}\n"
		"local out = {}\n"
		"for k, v in pairs(t) do out[#out + 1] = tostring(k) .. '=' .. tostring(v) end\n"
		"local s = table.concat(out, ' ')\n"
		"assert(s == '-1=n 1=one 2.5=f a=2 m=3 z=1 true=t', s)\n"
		"for k in pairs(t) do t[k] = nil end\n"
		"assert(next(t) == nil)\n"
		"local u = {a = 1, b = 2, c = 3}\n"
		"for k in pairs(u) do u.b = nil assert(k ~= 'b') end\n"
		"local p = setmetatable({}, {__pairs = function() return function(_, k) return not "
		"k and 1 or nil end "
		"end})\n"
		"local n = 0 for _ in pairs(p) do n = n + 1 end assert(n == 1)\n"
		"local key = {} local o = {a = 1, [key] = 2} local seen\n"
		"for k, v in pairs(o) do if k == key then seen = v end end assert(seen == 2)\n"
		"for i, v in ipairs {5, 6} do assert(v == i + 4) end\n"
		"for k, v in pairs {7, 8} do assert(v == k + 6) end");
}

static void addresses_do_not_show(void **state)
{
	struct fixture *f = *state;
	assert_runs(f, "assert(tostring({}) == 'table') assert(tostring(print) == 'function')\n"
		       "assert(tostring(coroutine.create(print)) == 'thread')\n"
		       "assert(string.format('%s|%5s', {}, print) == 'table|function')\n"
		       "assert(string.format('%s', setmetatable({}, {__tostring = function() "
		       "return 'me' end})) == 'me')\n"
		       "assert(tostring(setmetatable({}, {__name = 'thing'})) == 'thing')\n"
		       "assert(string.format('%5.2f|%d|%q|%%|%x', 1.5, 7, 'a\"', 255) == ' "
		       "1.50|7|\"a\\\\\"\"|%|ff')\n"
		       "print('a', 1, nil, {}, 1.0)");
	assert_string_equal(buf_cstr(&f->printed), "a\t1\tnil\ttable\t1.0\n");
	assert_fails(f, "string.format('%p', {})", "dir/test.lua:1", "'%p' would show addresses");
	assert_fails(f, "string.format('%-20p', {})", "dir/test.lua:1",
		     "'%p' would show addresses");
}

static void random_numbers_come_from_the_seed(void **state)
{
	struct fixture *f = *state;
	static const char text[] =
		"print(math.random(1000000), math.random(-5, 5), math.random() < 1)";
	sandbox_set_seed(f->s, 42);
	assert_runs(f, text);
	sandbox_set_seed(f->s, 42);
	assert_runs(f, text);
	size_t half = f->printed.len / 2;
	assert_int_equal(f->printed.len % 2, 0);
	assert_memory_equal(f->printed.data, f->printed.data + half, half);
	buf_clear(&f->printed);
	sandbox_set_seed(f->s, 43);
	assert_runs(f, "for i = 1, 1000 do local x = math.random(3) assert(x >= 1 and x <= 3)\n"
		       "x = math.random() assert(x >= 0 and x < 1) end\n"
		       "assert(math.type(math.random(0)) == 'integer')\n"
		       "assert(math.random(math.mininteger, math.maxinteger))\n"
		       "math.randomseed(7) local a = math.random(100) math.randomseed(7) assert(a "
		       "== math.random(100))");
	assert_fails(f, "math.random(0, -1)", "dir/test.lua:1", "interval is empty");
}

/* --- modules --- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_all(const char *dir)
{
	char command[300];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void require_finds_modules_beside_the_script_alone(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/ks-test-XXXXXX", path[256];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sub", dir);
	mkdir(path, 0700);
	write_file(dir, "one.lua", "#!/usr/bin/env lua\nreturn {n = 1, name = ...}");
	write_file(dir, "sub/two.lua", "local one = require 'one' one.n = one.n + 1 return one");
	write_file(dir, "nothing.lua", "");
	write_file(dir, "loop.lua", "require 'loop'");
	write_file(dir, "bad.lua", "local x = 1\nx x");
	write_file(dir, "raises.lua", "\nlocal function f()\n  error 'in module'\nend f()");
	write_file(dir, "global.lua", "leak = 1");
	write_file(dir, "binary.lua", "\x1bLuaS");
	write_file(dir, "main.lua",
		   "assert(require 'one'.name == 'one') assert(require 'sub.two'.n == 2)\n"
		   "assert(require 'one' == require 'sub.two') assert(require 'nothing' == true)\n"
		   "for _, name in ipairs {'../one', '/etc/passwd', '', '.', 'sub..two', "
		   "'sub/two', 'a.', '.a', 'one\\0x'} do\n"
		   "  local ok, why = pcall(require, name) assert(not ok and why:find 'a name is "
		   "words', why)\n"
		   "end\n"
		   "local function fails(name, pattern) local ok, why = pcall(require, name)\n"
		   "  assert(not ok and why:find(pattern), why) end\n"
		   "fails('loop', 'requires itself') fails('loop', 'requires itself')\n"
		   "fails('absent', 'no file .*absent.lua') fails('bad', 'bad.lua:2:')\n"
		   "fails('global', 'global .leak.') fails('binary', 'binary') fails('sub', 'not "
		   "found')\n"
		   "require 'raises'");
	snprintf(path, sizeof path, "%s/main.lua", dir);
	assert_int_equal(sandbox_load_file(f->s, path, &f->e), ERR_NONE);
	assert_int_equal(sandbox_call(f->s, 0, 0, &f->e), ERR_SCRIPT);
	assert_string_equal(buf_cstr(&f->e.message), "in module");
	snprintf(path, sizeof path, "%s/raises.lua:3", dir);
	assert_string_equal(f->e.where, path);
	sandbox_free(f->s);
	f->s = sandbox_new(&(struct sandbox_options){.module_dir = dir});
	assert_runs(f, "assert(require 'sub.two'.n == 2)");
	remove_all(dir);
}

static void preloaded_values_and_globals_are_found(void **state)
{
	struct fixture *f = *state;
	lua_State *L = sandbox_state(f->s);
	lua_newtable(L);
	lua_pushinteger(L, 7);
	lua_setfield(L, -2, "seven");
	sandbox_freeze(L);
	sandbox_preload(f->s, "ks");
	lua_pushinteger(L, 8);
	sandbox_set_global(f->s, "eight");
	assert_runs(f, "local ks = require 'ks' assert(ks.seven == 7) assert(eight == 8)");
	assert_fails(f, "require 'ks'.x = 1", "dir/test.lua:1", "read-only");
}

static void a_missing_script_is_told(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sandbox_load_file(f->s, "/nonexistent/x.lua", &f->e), ERR_NOT_FOUND);
	assert_non_null(strstr(buf_cstr(&f->e.message), "/nonexistent/x.lua"));
	assert_int_equal(sandbox_load_file(f->s, "/tmp", &f->e), ERR_IO);
}

/* --- errors --- */

static void errors_have_a_place_a_message_and_a_traceback(void **state)
{
	struct fixture *f = *state;
	assert_fails(f,
		     "local x\nlocal function checked(v)\n  assert(v, 'cents must be "
		     "positive')\nend\nchecked(false)",
		     "dir/test.lua:3", "cents must be positive");
	assert_string_equal(buf_cstr(&f->e.message), "cents must be positive");
	assert_string_equal(buf_cstr(&f->e.traceback), "[C]: in global 'assert'\n"
						       "dir/test.lua:3: in local 'checked'\n"
						       "dir/test.lua:5: in the main chunk\n");
	assert_fails(f, "\nerror('plain', 0)", "dir/test.lua:2", "plain");
	assert_fails(f, "\nerror 'with position'", "dir/test.lua:2", "with position");
	assert_string_equal(buf_cstr(&f->e.message), "with position");
	assert_fails(f, "local function f() error('of the caller', 2) end\n\nf()", "dir/test.lua:3",
		     "of the caller");
	assert_fails(f, "\n\nlocal x = nil + 1", "dir/test.lua:3",
		     "attempt to perform arithmetic on a nil value");
	assert_fails(f, "x x", "dir/test.lua:1", "syntax error");
	assert_string_equal(buf_cstr(&f->e.traceback), "");
	assert_fails(f, "\nerror(nil)", "dir/test.lua:2", "nil");
	assert_fails(f, "error {code = 5, why = 'x'}", "dir/test.lua:1",
		     "{\"code\":5,\"why\":\"x\"}");
	assert_fails(f, "error(print)", "dir/test.lua:1", "function");
	assert_fails(f, "error(setmetatable({}, {__tostring = function() return 'mine' end}))",
		     "dir/test.lua:1", "mine");
	assert_fails(f, "error(setmetatable({}, {__tostring = error}))", "dir/test.lua:1",
		     "an error value of type table");
	assert_fails(f, "error ''", "dir/test.lua:1", "an error without a message");
	assert_fails(f, "local c = coroutine.wrap(function()\n  error 'inside'\nend)\nc()",
		     "dir/test.lua:2", "inside");
	assert_fails(f, "pcall(error, 'caught')\nerror 'second'", "dir/test.lua:2", "second");
	assert_fails(f, "pcall(coroutine.wrap(function() error 'caught' end))\nerror('second', 0)",
		     "dir/test.lua:2", "second");
}

static void protected_calls_work_as_in_lua(void **state)
{
	assert_runs(*state,
		    "local ok, a, b = pcall(function(...) return ... end, 1, 2) assert(ok and a == "
		    "1 and b == 2)\n"
		    "local ok, e = pcall(error, {x = 1}) assert(not ok and e.x == 1)\n"
		    "local ok, e = xpcall(function(a) error(a, 0) end, function(m) return m .. '!' "
		    "end, 'hey')\n"
		    "assert(not ok and e == 'hey!')\n"
		    "local ok, a = xpcall(function(a, b) return a + b end, print, 1, 2) assert(ok "
		    "and a == 3)\n"
		    "assert(select('#', pcall(function() end)) == 1)\n"
		    "local c = coroutine.wrap(function() local ok, v = pcall(function() return "
		    "coroutine.yield(1) + 1 end)\n"
		    "  local ok2, e = xpcall(function() coroutine.yield(2) error 'x' end, "
		    "function() return 'h' end)\n"
		    "  return ok, v, ok2, e end)\n"
		    "assert(c() == 1) assert(c(5) == 2)\n"
		    "local ok, v, ok2, e = c() assert(ok and v == 6 and not ok2 and e == 'h')");
}

static void coroutines_work_as_in_lua(void **state)
{
	assert_runs(
		*state,
		"local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) "
		"return c * 2, 'end' end)\n"
		"local ok, x = coroutine.resume(co, 1, 2) assert(ok and x == 3 and "
		"coroutine.status(co) == 'suspended')\n"
		"local ok, x, y = coroutine.resume(co, 10) assert(ok and x == 20 and y == 'end')\n"
		"local ok, e = coroutine.resume(co) assert(not ok and e == 'cannot resume dead "
		"coroutine')\n"
		"local ok, e = coroutine.resume(coroutine.create(function() error({}) end)) "
		"assert(not ok and type(e) == 'table')\n"
		"local closed\n"
		"local co = coroutine.create(function() local x <close> = setmetatable({}, "
		"{__close = function() closed = true "
		"end}) coroutine.yield() end)\n"
		"coroutine.resume(co) assert(coroutine.close(co) and closed)\n"
		"local w = coroutine.wrap(function() local x <close> = setmetatable({}, {__close = "
		"function() closed = 2 end}) "
		"error 'z' end)\n"
		"assert(not pcall(w)) assert(closed == 2)\n"
		"local ok, e = pcall(w) assert(e:find 'dead coroutine')\n"
		"local function iter() return coroutine.wrap(function() for i = 1, 3 do "
		"coroutine.yield(i) end end) end\n"
		"local sum = 0 for i in iter() do sum = sum + i end assert(sum == 6)");
}

static int nested(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	struct sandbox_error e = {0};
	lua_pushvalue(L, 1);
	if (L != sandbox_state(s)) /* a coroutine's own values */
		lua_xmove(L, sandbox_state(s), 1);
	enum ks_err err = sandbox_call(s, 0, 0, &e);
	lua_pushstring(L, err ? buf_cstr(&e.message) : "fine");
	sandbox_error_fini(&e);
	return 1;
}

static void calls_may_be_nested_under_one_budget(void **state)
{
	struct fixture *f = *state;
	lua_pushcfunction(sandbox_state(f->s), nested);
	sandbox_set_global(f->s, "nested");
	assert_runs(f, "assert(nested(function() end) == 'fine') assert(nested(function() error "
		       "'x' end) == 'x')");
	assert_stopped(f, "nested(function() while true do end end) while true do end");
	assert_stopped(f, "coroutine.wrap(function() nested(function() while true do end end) "
			  "while true do end end)()");
	assert_stopped(f,
		       "coroutine.wrap(function() nested(function() end) while true do end end)()");
}

/* Longer than the budget, without doing anything: as a thread that the machine has no time for. */
static int sleep_long(lua_State *L)
{
	struct timespec until;

	(void)L;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 2;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		continue;
	return 0;
}

static void time_in_which_the_thread_did_not_run_does_not_count(void **state)
{
	struct fixture *f = *state;
	lua_pushcfunction(sandbox_state(f->s), sleep_long);
	sandbox_set_global(f->s, "sleep");
	sandbox_set_budget(f->s, 1500);
	/* The loop before lets a tick come, so that the time has begun. */
	assert_runs(f, "for i = 1, 3e6 do end sleep() for i = 1, 1e5 do end");
	assert_int_equal(run(f, "for i = 1, 3e6 do end sleep() while true do end"), ERR_BUDGET);
	assert_string_equal(buf_cstr(&f->e.message), "ran longer than 1500 ms");
}

static void loops_are_stopped_wherever_the_first_tick_meets_them(void **state)
{
	struct fixture *f = *state;
	/* A hundred coroutines in each other, all of which end when the innermost is stopped. */
	assert_stopped(f, "local function deep(n) if n == 0 then while true do end end "
			  "coroutine.wrap(deep)(n - 1) end deep(100)");
	/* The same coroutine over and over; each stretch is far shorter than a tick. */
	assert_stopped(f, "local c = coroutine.wrap(function() while true do for i = 1, 50 do end "
			  "coroutine.yield() end end) while true do c() end");
	assert_stopped(f,
		       "local c = coroutine.create(function() local x <close> = setmetatable({}, "
		       "{__close = function() while true do end end}) coroutine.yield() end) "
		       "coroutine.resume(c) coroutine.close(c)");
	assert_stopped(f, "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = "
			  "function() while true do end end}) error 'x' end)()");
	assert_runs(f,
		    "local ok = pcall(coroutine.close, coroutine.running()) assert(not ok) for i "
		    "= 1, 1e5 do end");
}

static void a_hook_goes_with_the_call_that_was_watched(void **state)
{
	struct fixture *f = *state;
	assert_stopped(f, "while true do end");
	assert_runs(f, "return 1");
	assert_true((lua_gethook(sandbox_state(f->s)) == NULL) == is_watched);
}

/* Takes longer than the budget, and nothing of the processor. */
static void print_late(void *self, const char *text, size_t len)
{
	int64_t end = clock_monotonic_ns(&clock_real) + 150000000;

	while (clock_monotonic_ns(&clock_real) < end)
		poll(NULL, 0, 10);
	on_print(self, text, len);
}

static void only_the_time_of_the_processor_counts(void **state)
{
	struct fixture *f = *state;
	struct sandbox_options options = {.budget_ms = 50,
					  .watch = is_watched,
					  .print = print_late,
					  .print_self = &f->printed};
	sandbox_free(f->s);
	f->s = sandbox_new(&options);
	assert_runs(f, "for i = 1, 3 do for j = 1, 5000 do end print(i) end");
	assert_string_equal(buf_cstr(&f->printed), "1\n2\n3\n");
	assert_stopped(f, "while true do end");
}

static void *run_endlessly(void *arg)
{
	struct fixture *f = arg;
	for (int i = 0; i < 3; i++)
		if (run(f, "while true do end") != ERR_BUDGET)
			return NULL;
	return f;
}

static void threads_are_watched_each_for_itself(void **state)
{
	struct fixture *f = *state;
	void *other, *ended;
	pthread_t thread;

	setup(&other);
	assert_int_equal(pthread_create(&thread, NULL, run_endlessly, other), 0);
	assert_ptr_equal(run_endlessly(f), f);
	pthread_join(thread, &ended);
	assert_ptr_equal(ended, other);
	assert_stopped(other, "while true do end"); /* now on this thread, beside f */
	assert_stopped(f, "while true do end");
	teardown(&other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_endless_loop_is_stopped_and_its_line_told),
		TEST(pcall_does_not_hold_the_end),
		TEST(coroutines_do_not_hold_the_end),
		TEST(close_variables_do_not_hold_the_end),
		TEST(metamethods_iterators_and_comparators_are_counted),
		TEST(patterns_that_backtrack_for_ever_are_stopped),
		TEST(long_work_in_c_functions_is_charged),
		TEST(instructions_can_be_limited_too),
		TEST(memory_is_capped),
		TEST(rep_is_capped),
		TEST(deep_recursion_is_an_error),
		TEST(globals_cannot_be_assigned),
		TEST(libraries_cannot_be_changed),
		TEST(dangerous_functions_are_missing_with_advice),
		TEST(finalizers_are_refused),
		TEST(weak_keys_are_refused),
		TEST(bytecode_is_not_loaded),
		TEST(pairs_has_a_fixed_order),
		TEST(addresses_do_not_show),
		TEST(random_numbers_come_from_the_seed),
		TEST(require_finds_modules_beside_the_script_alone),
		TEST(preloaded_values_and_globals_are_found),
		TEST(a_missing_script_is_told),
		TEST(errors_have_a_place_a_message_and_a_traceback),
		TEST(protected_calls_work_as_in_lua),
		TEST(coroutines_work_as_in_lua),
		TEST(calls_may_be_nested_under_one_budget),
		TEST(time_in_which_the_thread_did_not_run_does_not_count),
		TEST(loops_are_stopped_wherever_the_first_tick_meets_them),
		TEST(a_hook_goes_with_the_call_that_was_watched),
		TEST(only_the_time_of_the_processor_counts),
		TEST(threads_are_watched_each_for_itself),
	};
	int failed = cmocka_run_group_tests_name("counted from the start", tests, NULL, NULL);
#ifdef __SANITIZE_THREAD__ /* signals do not reach a loop in Lua there: no sandbox is watched */
	return failed;
#endif
	is_watched = true;
	return failed + cmocka_run_group_tests_name("watched", tests, NULL, NULL);
}

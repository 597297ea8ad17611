/* test_value.c - JSON documents as Lua sees them, and Lua values as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <lauxlib.h>

#include "lua/sandbox.h"
#include "lua/value.h"

struct fixture {
	struct sandbox *s;
	struct sandbox_error e;
	struct doc_parser *parser;
	struct arena arena;
	struct doc *doc;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	f->s = sandbox_new(NULL);
	f->parser = doc_parser_new();
	lua_State *L = sandbox_state(f->s);
	lua_newtable(L);
	value_register(L);
	sandbox_freeze(L);
	sandbox_set_global(f->s, "ks");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(lua_gettop(sandbox_state(f->s)), 0);
	sandbox_free(f->s);
	doc_parser_free(f->parser);
	arena_fini(&f->arena);
	sandbox_error_fini(&f->e);
	free(f);
	return 0;
}

static struct doc *parse(struct fixture *f, const char *json)
{
	struct ks_why why;
	struct doc *d;
	uint8_t *text = arena_copy(&f->arena, json, strlen(json));
	assert_int_equal(doc_parse(f->parser, &f->arena, slice_of(text, strlen(json)), &d, &why),
			 ERR_NONE);
	return d;
}

/* Runs text with the document as its argument v; leaves one result if wanted. */
static enum ks_err run(struct fixture *f, const char *json, const char *text, int nresults)
{
	struct buf script = {0};
	buf_printf(&script, "local v = ...\n%s", text);
	f->doc = parse(f, json);
	enum ks_err err = sandbox_load_text(f->s, "t.lua", buf_slice(&script), &f->e);
	buf_fini(&script);
	if (err)
		return err;
	value_push_doc(sandbox_state(f->s), f->doc, 0);
	return sandbox_call(f->s, 1, nresults, &f->e);
}

static void assert_runs(struct fixture *f, const char *json, const char *text)
{
	enum ks_err err = run(f, json, text, 0);
	if (err)
		print_error("%s: %s\n", f->e.where, buf_cstr(&f->e.message));
	assert_int_equal(err, ERR_NONE);
}

/* What the document is after the script edited it. */
static void assert_edits(struct fixture *f, const char *json, const char *text,
			 const char *expected)
{
	struct buf out = {0};
	struct ks_why why;
	struct doc *again;
	assert_runs(f, json, text);
	doc_write(f->doc, 0, &out);
	assert_string_equal(buf_cstr(&out), expected);
	assert_int_equal(doc_parse(f->parser, &f->arena, buf_slice(&out), &again, &why), ERR_NONE);
	buf_fini(&out);
}

static void assert_fails(struct fixture *f, const char *json, const char *text, const char *message)
{
	enum ks_err err = run(f, json, text, 0);
	if (err != ERR_SCRIPT || !strstr(buf_cstr(&f->e.message), message))
		print_error("%s: %s\n", text, err ? buf_cstr(&f->e.message) : "no error");
	assert_int_equal(err, ERR_SCRIPT);
	assert_non_null(strstr(buf_cstr(&f->e.message), message));
	assert_string_equal(f->e.where, "t.lua:2");
}

/* The result of an expression as JSON. */
static void assert_json(struct fixture *f, const char *json, const char *expression,
			const char *expected)
{
	lua_State *L = sandbox_state(f->s);
	struct buf text = {0}, out = {0};
	struct ks_why why = {""};
	buf_printf(&text, "return %s", expression);
	assert_int_equal(run(f, json, buf_cstr(&text), 1), ERR_NONE);
	enum ks_err err = value_to_json(L, -1, &out, &why);
	if (err)
		print_error("%s: %s\n", expression, why.text);
	assert_int_equal(err, ERR_NONE);
	assert_string_equal(buf_cstr(&out), expected);
	lua_pop(L, 1);
	buf_fini(&text);
	buf_fini(&out);
}

static void assert_not_json(struct fixture *f, const char *expression, const char *reason)
{
	lua_State *L = sandbox_state(f->s);
	struct buf text = {0}, out = {0};
	struct ks_why why = {""};
	buf_printf(&text, "return %s", expression);
	assert_int_equal(run(f, "{}", buf_cstr(&text), 1), ERR_NONE);
	assert_int_equal(value_to_json(L, -1, &out, &why), ERR_ENCODE);
	assert_string_equal(why.text, reason);
	lua_pop(L, 1);
	buf_fini(&text);
	buf_fini(&out);
}

/* --- reading --- */

static void values_come_with_their_types(void **state)
{
	assert_runs(
		*state,
		"{\"n\":null,\"t\":true,\"f\":false,\"i\":-7,\"d\":1.0,\"s\":\"\\u00e9\\u0000x\","
		"\"a\":[1,[2]],\"o\":{\"k\":\"v\"}}",
		"assert(v.n == ks.null and v.n ~= nil and v.t == true and v.f == false)\n"
		"assert(v.i == -7 and math.type(v.i) == 'integer' and v.d == 1 and math.type(v.d) "
		"== 'float')\n"
		"assert(v.s == '\\u{e9}\\0x' and v.a[1] == 1 and v.a[2][1] == 2 and v.o.k == 'v')\n"
		"assert(v.absent == nil and v.a[3] == nil and v.a[0] == nil and v[1] == nil and "
		"v.a.x == nil)\n"
		"assert(v.a[1.0] == 1 and v.a[1.5] == nil and v[true] == nil)\n"
		"assert(#v == 8 and #v.a == 2 and tostring(ks.null) == 'null')\n"
		"assert(type(v) == 'userdata' and getmetatable(v) == false)");
	assert_runs(*state, "5", "assert(v == 5)");
	assert_runs(*state, "null", "assert(v == ks.null)");
	assert_fails(*state, "{\"n\":null}", "return v.n.x",
		     "attempt to index a null value (field 'n')");
	assert_fails(*state, "{}", "return v.a.b", "attempt to index a nil value (field 'a')");
	assert_fails(*state, "{\"o\":{}}", "return v.o + 1",
		     "arithmetic on a json value (field 'o')");
}

static void numbers_beyond_lua_keep_their_text(void **state)
{
	assert_runs(*state, "{\"u\":18446744073709551616,\"e\":1e400,\"v\":18446744073709551616}",
		    "assert(tostring(v.u) == '18446744073709551616' and tostring(v.e) == '1e400')\n"
		    "assert(v.u == v.v and v.u ~= v.e and ks.type(v.u) == 'number')");
	assert_edits(
		*state, "{\"u\":18446744073709551616,\"e\":1e400}",
		"v.w = v.u v.t = {v.e} v.i = math.maxinteger",
		"{\"u\":18446744073709551616,\"e\":1e400,\"w\":18446744073709551616,\"t\":[1e400],"
		"\"i\":9223372036854775807}");
}

static void objects_are_walked_in_document_order(void **state)
{
	assert_runs(
		*state, "{\"z\":1,\"a\":[10,20],\"n\\u0061me\":null}",
		"local out = {}\n"
		"for k, x in pairs(v) do out[#out + 1] = k .. '=' .. tostring(x) end\n"
		"assert(table.concat(out, ' ') == 'z=1 a=[10,20] name=null')\n"
		"local sum = 0 for i, x in ipairs(v.a) do sum = sum + i * x end assert(sum == 50)\n"
		"for i, x in pairs(v.a) do sum = sum + i * x end assert(sum == 100)\n"
		"for _ in pairs(ks.get(v, 'a')) do sum = sum + 1 end assert(sum == 102)");
}

static void equality_is_by_text(void **state)
{
	assert_runs(*state, "{\"a\":{\"x\":1},\"b\":{\"x\":1},\"c\":{\"x\":2}}",
		    "assert(v.a == v.a and v.a == v.b and v.a ~= v.c and v.a ~= {} and v.a ~= "
		    "ks.null)\n"
		    "v.c.x = 1 assert(v.a == v.c)");
}

static void types_are_told(void **state)
{
	assert_runs(*state, "{\"a\":[],\"o\":{}}",
		    "assert(ks.type(v) == 'object' and ks.type(v.a) == 'array' and "
		    "ks.type(ks.null) == 'null')\n"
		    "assert(ks.type(nil) == 'nil' and ks.type(1) == 'number' and ks.type('') == "
		    "'string')\n"
		    "assert(ks.type({}) == 'object' and ks.type({1}) == 'array' and "
		    "ks.type(ks.array {}) == 'array')\n"
		    "assert(ks.type({a = 1}) == 'object' and ks.type(true) == 'boolean' and "
		    "ks.type(print) == 'function')");
}

/* --- editing --- */

static void members_are_set_and_removed(void **state)
{
	assert_edits(*state, "{\"a\":1,\"b\":{\"c\":[1,2]},\"d\":null}",
		     "v.a = 'x\"' v.b.c[2] = {k = {1, 2.0, true}} v.b.c[3] = ks.null v.d = nil v.e "
		     "= 1.5 v.f = ks.array {} "
		     "v.g = {} v.b.n = v.b.c",
		     "{\"a\":\"x\\\"\",\"b\":{\"c\":[1,{\"k\":[1,2.0,true]},null],\"n\":[1,{\"k\":["
		     "1,2.0,true]},null]},"
		     "\"e\":1.5,\"f\":[],\"g\":{}}");
}

static void an_untouched_document_is_not_dirty(void **state)
{
	struct fixture *f = *state;
	assert_runs(f, "{ \"a\" : [1] }", "local x = v.a[1] for k in pairs(v) do x = k end");
	assert_false(doc_is_dirty(f->doc));
}

static void values_are_copied_when_assigned(void **state)
{
	assert_edits(
		*state, "{\"a\":{\"x\":1}}",
		"local t = {1} v.t = t t[2] = 2\n"
		"local a = v.a v.b = a a.x = 2 assert(v.b.x == 1)\n"
		"v.a = 5 a.x = 3 assert(a.x == 3)\n"
		"v.self = v",
		"{\"a\":5,\"t\":[1],\"b\":{\"x\":1},\"self\":{\"a\":5,\"t\":[1],\"b\":{\"x\":1}}}");
}

static void loops_may_edit_what_they_walk(void **state)
{
	assert_edits(
		*state, "{\"a\":1,\"b\":null,\"c\":3,\"d\":null,\"e\":null}",
		"for k, x in pairs(v) do if x == ks.null then v[k] = nil else v[k] = x * 2 end end",
		"{\"a\":2,\"c\":6}");
	assert_edits(
		*state, "[1,2,3]",
		"for i, x in ipairs(v) do v[i] = x + 1 end for i, x in pairs(v) do v[i] = {x} end",
		"[[2],[3],[4]]");
	assert_edits(*state, "{\"a\":1,\"b\":2,\"c\":3}",
		     "local seen = '' for k in pairs(v) do seen = seen .. k if k == 'a' then v.b = "
		     "nil v.c = 9 end end "
		     "v.seen = seen",
		     "{\"a\":1,\"c\":9,\"seen\":\"ac\"}");
}

static void the_table_library_takes_arrays(void **state)
{
	assert_edits(*state, "{\"a\":[3,1,2],\"t\":[\"x\",\"y\"]}",
		     "table.insert(v.a, 5) table.insert(v.a, 1, 0) assert(table.remove(v.a) == 5)\n"
		     "assert(table.concat(v.t, '-') == 'x-y') assert(select('#', "
		     "table.unpack(v.a)) == 4)\n"
		     "table.sort(v.a, function(x, y) return x > y end) v.n = #v.a",
		     "{\"a\":[3,2,1,0],\"t\":[\"x\",\"y\"],\"n\":4}");
	assert_edits(*state, "[{\"n\":3},{\"n\":1},{\"n\":2}]",
		     "table.sort(v, function(x, y) return x.n < y.n end) table.remove(v, 1)",
		     "[{\"n\":2},{\"n\":3}]");
}

static void misplaced_edits_are_refused(void **state)
{
	assert_fails(*state, "{}", "v[1] = 2",
		     "the members of a JSON object have strings as names, not number '1'");
	assert_fails(*state, "[]", "v.x = 2",
		     "the index of an array must be an integer, not string 'x'");
	assert_fails(*state, "[1]", "v[3] = 2",
		     "index 3 is outside of the array, which has 1 elements");
	assert_fails(*state, "[1]", "v[0] = 2", "index 0 is outside");
	assert_fails(*state, "[1,2]", "v[1] = nil", "only the last element");
	assert_fails(*state, "{}", "v.x = 0/0", "cannot store this value: NaN is not JSON");
	assert_fails(*state, "{}", "v.x = {a = {print}}",
		     "cannot store this value: at .a[1]: a function is not JSON");
	assert_fails(*state, "{}", "v['\\xff'] = 1", "the name of a member is not UTF-8");
	assert_fails(*state, "{}", "v[nil] = 1", "");
	assert_edits(*state, "[1]", "v[2] = nil v[5] = nil v[1] = nil", "[]");
}

/* --- over --- */

static void a_view_of_an_earlier_record_raises(void **state)
{
	struct fixture *f = *state;
	lua_State *L = sandbox_state(f->s);
	lua_newtable(L);
	sandbox_set_global(f->s, "kept");
	assert_runs(f, "{\"a\":{\"b\":1},\"big\":1e999}",
		    "kept.v = v kept.a = v.a kept.big = v.big kept.t = ks.table(v) kept.next = "
		    "pairs(v)");
	value_next_record(L);
	arena_reset(&f->arena);
	memset(arena_alloc(&f->arena, 60000), 0xff, 60000);
	static const char *const uses[] = {
		"return kept.v.a",
		"kept.v.x = 1",
		"return #kept.v",
		"for _ in pairs(kept.v) do end",
		"return tostring(kept.a)",
		"return kept.a == v",
		"return ks.get(kept.v, 'a')",
		"ks.set(kept.a, 'b', 1)",
		"return ks.table(kept.v)",
		"return ks.type(kept.v)",
		"kept.next()",
		"v.x = kept.a",
		"v.x = {kept.a}",
		"return v == kept.v",
		"return v.x == 1 or table.concat(kept.v)",
	};
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		assert_fails(f, "{}", uses[i], "earlier record");
	assert_runs(f, "{}",
		    "assert(kept.t.a.b == 1 and tostring(kept.big) == '1e999')\n"
		    "assert(not pcall(function() return kept.v.a end))");
	doc_node n;
	lua_newtable(L);
	assert_null(value_doc(L, -1, &n));
	lua_pop(L, 1);
	value_push_doc(L, f->doc, 0);
	assert_ptr_equal(value_doc(L, -1, &n), f->doc);
	value_next_record(L);
	assert_null(value_doc(L, -1, &n));
	lua_pop(L, 1);
}

/* --- tables to JSON --- */

static void tables_become_objects_and_arrays(void **state)
{
	assert_json(*state, "{}", "nil", "null");
	assert_json(*state, "{}", "ks.null", "null");
	assert_json(*state, "{}", "{}", "{}");
	assert_json(*state, "{}", "ks.array {}", "[]");
	assert_json(*state, "{}", "ks.array()", "[]");
	assert_json(*state, "{}", "{1, 1.0, -0.0, '1', true, ks.null, {}, {{}}}",
		    "[1,1.0,-0.0,\"1\",true,null,{},[{}]]");
	assert_json(*state, "{}", "{b = 1, a = 2, ['\\n'] = 3, aa = {c = ks.array {}}}",
		    "{\"\\n\":3,\"a\":2,\"aa\":{\"c\":[]},\"b\":1}");
	assert_json(*state, "{\"x\":[1 , 2]}", "{v.x, v}", "[[1 , 2],{\"x\":[1 , 2]}]");
	assert_json(*state, "{}", "{1e100, 0.1, math.mininteger, 2^53}",
		    "[1e+100,0.1,-9223372036854775808,9007199254740992.0]");
	assert_json(*state, "{}", "setmetatable({a = 1}, {__index = {b = 2}})", "{\"a\":1}");
	assert_json(*state, "{}", "(function() local t = {1} return {t, t} end)()", "[[1],[1]]");
}

static void what_json_has_not_is_named_with_its_place(void **state)
{
	assert_not_json(*state, "0/0", "NaN is not JSON");
	assert_not_json(*state, "{items = {{}, {price = 0/0}}}",
			"at .items[2].price: NaN is not JSON");
	assert_not_json(*state, "{a = {b = -1/0}}", "at .a.b: an infinite number is not JSON");
	assert_not_json(
		*state, "{a = '\\xff'}",
		"at .a: a string that is not UTF-8; encode binary data, as base64 for instance");
	assert_not_json(*state, "{a = {['\\xc3'] = 1}}", "at .a: a name that is not UTF-8");
	assert_not_json(*state, "{x = {1, 2, a = 3}}",
			"at .x: a table with both names and indexes; JSON has objects and arrays");
	assert_not_json(*state, "{x = {1, nil, 3}}",
			"at .x: an array with holes, or not from 1; fill them with ks.null, or use "
			"tostring(key) for "
			"the names of an object");
	assert_not_json(*state, "{[0] = 1}",
			"an array with holes, or not from 1; fill them with ks.null, or use "
			"tostring(key) for the "
			"names of an object");
	assert_not_json(*state, "{[1.5] = 1}",
			"a table with keys that are neither strings nor integers");
	assert_not_json(*state, "{f = print}", "at .f: a function is not JSON");
	assert_not_json(*state, "coroutine.create(print)", "not a value that JSON has");
	assert_not_json(*state, "(function() local t = {a = {}} t.a.b = {t} return t end)()",
			"at .a.b[1]: a table that contains itself");
	struct fixture *f = *state;
	lua_State *L = sandbox_state(f->s);
	struct buf out = {0};
	struct ks_why why;
	assert_int_equal(run(f, "{}", "local t = {} for i = 1, 600 do t = {t} end return t", 1),
			 ERR_NONE);
	assert_int_equal(value_to_json(L, -1, &out, &why), ERR_ENCODE);
	assert_non_null(strstr(why.text, "nested too deep"));
	lua_pop(L, 1);
	buf_fini(&out);
}

static void growth_without_end_is_refused(void **state)
{
	struct fixture *f = *state;
	sandbox_set_budget(f->s, 20000);
	assert_fails(f, "{}", "v.x = ('a'):rep(1 << 20) for i = 1, 40 do v.x = {v.x, v.x} end",
		     "MiB");
	assert_fails(f, "{}",
		     "local t = ('a'):rep(1 << 20) for i = 1, 40 do t = {t, t} end v.x = t",
		     "longer than 64 MiB");
	sandbox_set_budget(f->s, 100);
	assert_int_equal(run(f, "{\"a\":1}", "while true do pcall(function() v.x = v end) end", 0),
			 ERR_BUDGET);
}

static void memory_may_run_out_anywhere(void **state)
{
	static const char text[] =
		"v.x = {b = {1, 'two'}, a = ('y'):rep(100)}\n"
		"local t = ks.table(v) for k, x in pairs(t) do t[k] = tostring(x) .. k end\n"
		"ks.set(v, 'p.q[0]', t) assert(ks.get(v, 'p.q[0].a'))\n"
		"local c = coroutine.wrap(function(...) coroutine.yield(select('#', ...)) end) "
		"c(1, 2)\n"
		"for w in ('some words here'):gmatch '%a+' do v[w] = w:gsub('(o)', '<%1>') end\n"
		"local ok, e = pcall(error, {}) assert(not ok)\n"
		"return load('return ...')(v)";
	struct fixture *f = *state;
	bool succeeded = false;
	for (size_t memory = 20000; !succeeded || memory < 60000; memory += 128) {
		sandbox_free(f->s);
		f->s = sandbox_new(&(struct sandbox_options){.memory_max = memory});
		lua_State *L = sandbox_state(f->s);
		lua_newtable(L);
		value_register(L);
		sandbox_set_global(f->s, "ks");
		enum ks_err err = run(f, "{\"a\":[1,{\"b\":1e999}]}", text, 1);
		succeeded = err == ERR_NONE;
		if (!err)
			lua_pop(L, 1);
		else if (err != ERR_BUDGET || !f->e.memory)
			fail_msg("with %zu bytes: %s: %s", memory, f->e.where,
				 buf_cstr(&f->e.message));
		arena_reset(&f->arena);
		assert_true(memory < 1000000);
	}
}

/* --- ks.table, ks.get, ks.set --- */

static void documents_are_copied_to_tables_that_write_the_same(void **state)
{
	static const char json[] =
		"{\"a\":[],\"b\":[1,{\"c\":null}],\"d\":{},\"e\":1.0,\"f\":1e400}";
	assert_json(*state, json, "ks.table(v)", json);
	assert_runs(*state, json,
		    "local t = ks.table(v) assert(type(t) == 'table' and t.b[2].c == ks.null and "
		    "#t.a == 0)\n"
		    "t.b[2].c = 5 assert(v.b[2].c == ks.null) assert(ks.table(7) == 7 and "
		    "ks.table(t) == t)");
}

static void paths_are_read_and_made(void **state)
{
	assert_runs(
		*state, "{\"a\":{\"b\":[{\"c\":7}]}}",
		"assert(ks.get(v, 'a.b[0].c') == 7 and ks.get(v, 'a.x.y') == nil and ks.get(nil, "
		"'a') == nil)\n"
		"assert(ks.get(v.a, 'b[0]').c == 7 and ks.get({a = {5, {b = 6}}}, 'a[1].b') == 6)\n"
		"assert(ks.get({a = v}, 'a.a.b[0].c') == 7 and ks.get(v, 'a.b.c') == nil)");
	assert_edits(*state, "{\"a\":1}",
		     "ks.set(v, 'x.y.z', 1) ks.set(v, 'x.y.w', {2}) ks.set(v, 'l[0].n', 3) "
		     "ks.set(v, 'l[1]', 4) "
		     "ks.set(v, 'x.y.z', nil)",
		     "{\"a\":1,\"x\":{\"y\":{\"w\":[2]}},\"l\":[{\"n\":3},4]}");
	assert_json(*state, "{}", "ks.set({}, 'a.b[0]', 1)", "{\"a\":{\"b\":[1]}}");
	assert_fails(*state, "{\"a\":1}", "ks.set(v, 'a.b', 1)",
		     "leads to a number, which has no members");
	assert_fails(*state, "{}", "ks.get(v, 'a..b')", "path \"a..b\"");
	assert_fails(*state, "{}", "ks.get(5, 'a')", "object or array expected");
}

/* Of both a bounded number is kept. */
static void any_number_of_paths_and_patterns_is_told_apart(void **state)
{
	struct fixture *f = *state;

	sandbox_set_budget(f->s, 20000);
	assert_runs(f, "{}",
		    "for i = 1, 3000 do ks.set(v, 'k' .. i, i) end\n"
		    "for _ = 1, 2 do for i = 1, 3000 do\n"
		    "assert(ks.get(v, 'k' .. i) == i and ks.get(v, 'k1') == 1)\n"
		    "assert(('a' .. i):match('^a(' .. i .. ')$') == tostring(i))\n"
		    "assert(('b7'):match('^b(%d)$') == '7') end end");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_come_with_their_types),
		TEST(numbers_beyond_lua_keep_their_text),
		TEST(objects_are_walked_in_document_order),
		TEST(equality_is_by_text),
		TEST(types_are_told),
		TEST(members_are_set_and_removed),
		TEST(an_untouched_document_is_not_dirty),
		TEST(values_are_copied_when_assigned),
		TEST(loops_may_edit_what_they_walk),
		TEST(the_table_library_takes_arrays),
		TEST(misplaced_edits_are_refused),
		TEST(a_view_of_an_earlier_record_raises),
		TEST(tables_become_objects_and_arrays),
		TEST(what_json_has_not_is_named_with_its_place),
		TEST(growth_without_end_is_refused),
		TEST(memory_may_run_out_anywhere),
		TEST(documents_are_copied_to_tables_that_write_the_same),
		TEST(paths_are_read_and_made),
		TEST(any_number_of_paths_and_patterns_is_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_match.c - our string.find, match, gmatch and gsub against Lua's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#include "lua/sandbox.h"

static lua_State *theirs; /* a plain Lua */
static struct sandbox *sandbox;
static lua_State *ours;

/* Runs all four functions and shows what they give, values and types. */
static const char show[] = "local function line(...)\n"
			   "  local t = table.pack(...)\n"
			   "  for i = 1, t.n do t[i] = math.type(t[i]) == 'integer' and '#' .. "
			   "t[i] or tostring(t[i]) end\n"
			   "  return table.concat(t, ',')\n"
			   "end\n"
			   "return function(s, p, init, r)\n"
			   "  local out = {}\n"
			   "  local function add(ok, ...)\n"
			   "    out[#out + 1] = ok and line(...) or 'error'\n"
			   "    if not ok then out.error = ... end\n"
			   "  end\n"
			   "  add(pcall(string.find, s, p, init))\n"
			   "  add(pcall(string.find, s, p, init, true))\n"
			   "  add(pcall(string.match, s, p, init))\n"
			   "  add(pcall(string.gsub, s, p, r))\n"
			   "  add(pcall(string.gsub, s, p, r, 2))\n"
			   "  add(pcall(string.gsub, s, p, function(...) out[#out + 1] = line(...) "
			   "return #out % 2 == 0 and 'f' "
			   "end))\n"
			   "  add(pcall(string.gsub, s, p, {a = 'A', b = false, ab = 7}))\n"
			   "  add(pcall(function() for a, b in string.gmatch(s, p, init) do "
			   "out[#out + 1] = line(a, b) end end))\n"
			   "  return table.concat(out, ';'), out.error or ''\n"
			   "end\n";

static int setup(void **state)
{
	(void)state;
	struct sandbox_error e = {0};
	theirs = luaL_newstate();
	luaL_openlibs(theirs);
	assert_int_equal(luaL_dostring(theirs, show), LUA_OK);

	sandbox = sandbox_new(NULL);
	ours = sandbox_state(sandbox);
	assert_int_equal(sandbox_load_text(sandbox, "show.lua", slice_str(show), &e), ERR_NONE);
	assert_int_equal(sandbox_call(sandbox, 0, 1, &e), ERR_NONE);
	sandbox_error_fini(&e);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lua_close(theirs);
	sandbox_free(sandbox);
	return 0;
}

struct input {
	struct slice subject, pattern, replacement;
	lua_Integer init;
};

/* Calls the function on the stack; leaves the result and the last error. */
static void call(lua_State *L, const struct input *in)
{
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	lua_pushlstring(L, (const char *)in->subject.data, in->subject.len);
	lua_pushlstring(L, (const char *)in->pattern.data, in->pattern.len);
	lua_pushinteger(L, in->init);
	lua_pushlstring(L, (const char *)in->replacement.data, in->replacement.len);
	if (L == theirs) {
		assert_int_equal(lua_pcall(L, 4, 2, 0), LUA_OK);
	} else {
		struct sandbox_error e = {0};
		enum ks_err err = sandbox_call(sandbox, 4, 2, &e);
		if (err)
			print_error("%s: %s\n", e.where, buf_cstr(&e.message));
		assert_int_equal(err, ERR_NONE);
		sandbox_error_fini(&e);
	}
}

/* Whether both agree. We refuse what is malformed also where Lua does not come that far. */
static bool agree(const struct input *in)
{
	call(theirs, in);
	call(ours, in);
	if (lua_compare(theirs, 2, 2, LUA_OPEQ) &&
	    strcmp(lua_tostring(theirs, 2), lua_tostring(ours, 2)) == 0)
		return true;
	const char *error = lua_tostring(ours, 3);
	return strstr(error, "malformed pattern") || strstr(error, "unfinished capture") ||
	       strstr(error, "invalid pattern capture") ||
	       strstr(error, "invalid capture index in pattern") || strstr(error, "missing '['");
}

static void assert_same(const char *subject, const char *pattern, const char *replacement)
{
	struct input in = {slice_str(subject), slice_str(pattern), slice_str(replacement), 1};
	if (!agree(&in)) {
		print_error("subject '%s' pattern '%s'\n  Lua: %s\n  we:  %s (%s)\n", subject,
			    pattern, lua_tostring(theirs, 2), lua_tostring(ours, 2),
			    lua_tostring(ours, 3));
		fail();
	}
}

/* clang-format off */
static const char *const feature_patterns[] = {
	"", "a", "b", "ab", ".", ".*", ".-", ".+", ".?", "a*", "a-b", "a+b", "a?b", "^a", "^",
	"$", "a$", "^ab$", "^.*$", "a^", "$a", "%a", "%A+", "%d+", "%D", "%s*", "%w+", "%p",
	"%c", "%x+", "%l+", "%u", "%g+", "%.", "%%", "[abc]", "[^abc]", "[a-c]+", "[^a-c]*",
	"[%a_][%w_]*", "[]]", "[^]]", "[]-a]", "[a-]", "[-a]", "[+--]", "[%a-z]", "[a-%]]",
	"[%]]", "[^%s]+", "(a)(b)", "((a)b)", "(a*(.)%w(%s*))", "()", "()a()", "(.)%1",
	"(.-)%1", "(a)%1", "%b()", "%b{}", "%bxx", "%f[%w]%w+", "%f[^%w]", "%f[%z]",
	"(%w+)=(%w+)", "^%s*(.-)%s*$", "(.)(.)(.)", "**", "a**", "+", "-", "?", "a-", "a--",
	"[", "[^", "[]", "[]]]", "[a", "[%", "[%]", "%", "a%", "(", ")", "(a", "a)", "()(",
	"%1", "(%1)", "(a)%2", "%b", "%ba", "%f", "%fa", "%0", "(()a)", "(a*)-", "(a)*",
	"%b()*", "x*y*z*", "[%d%.]+", "[^,]*", "(,)", "\\", "%f[\1-\127]a", ".-.-.-b",
	"(a?)(b?)(c?)", "[[:alpha:]]",
};
static const char *const feature_subjects[] = {
	"", "a", "b", "aab", "abcabc", "  hello world  ", "key=value, k2=v2", "f(a(b)c)d)",
	"{{}}x{", "a.b.c", "1,22,,333", "%d", "xxyyzz", "ab[]-^", "THE (quick) fox",
	"aaaaaaaaab", "-1.5e+10", "a\nb\tc", "\xc3\xa9t\xc3\xa9", "x", "]", "((()", "a,b,c,",
};
static const char *const feature_replacements[] = {
	"", "x", "%0", "%1", "<%1%2>", "%%", "%", "%x", "%9",
};
/* clang-format on */

static void every_feature_gives_the_same_as_lua(void **state)
{
	(void)state;
	for (size_t p = 0; p < sizeof feature_patterns / sizeof *feature_patterns; p++)
		for (size_t s = 0; s < sizeof feature_subjects / sizeof *feature_subjects; s++)
			assert_same(feature_subjects[s], feature_patterns[p],
				    feature_replacements[(p + s) % 9]);
}

static uint64_t seed = 20260801;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static struct slice random_text(char *out, unsigned max, const char *const *parts, unsigned count)
{
	size_t len = 0;
	for (unsigned n = pick(max); n > 0; n--) {
		const char *part = parts[pick(count)];
		size_t part_len = *part ? strlen(part) : 1; /* "" is a zero byte */
		memcpy(out + len, part, part_len);
		len += part_len;
	}
	return slice_of(out, len);
}

static void random_patterns_give_the_same_as_lua(void **state)
{
	(void)state;
	static const char *const parts[] = {"a",  "b",  "ab", ".",  "*",    "+",    "-",    "?",
					    "^",  "$",  "(",  ")",  "()",   "%",    "%a",   "%d",
					    "%1", "%2", "[",  "]",  "[ab]", "[^a]", "%b()", "%f[a]",
					    "%S", "(a", "b)", ".-", ".*",   "%bab", "[a-b", ""};
	static const char *const letters[] = {"a", "b", "a", "b", "(", ")", "1", " ", "-", ""};
	static const char *const replacements[] = {"x", "%0", "%1", "%2", "%%"};
	char pattern[128], subject[64], replacement[16];
	for (int i = 0; i < 20000; i++) {
		struct input in = {
			.pattern = random_text(pattern, 8, parts, 32),
			.subject = random_text(subject, 14, letters, 10),
			.replacement = random_text(replacement, 3, replacements, 5),
			.init = (lua_Integer)pick(20) - 8,
		};
		if (!agree(&in)) {
			print_error("round %d: subject '%.*s' pattern '%.*s' init %d\n  Lua: %s\n  "
				    "we:  %s (%s)\n",
				    i, (int)in.subject.len, subject, (int)in.pattern.len, pattern,
				    (int)in.init, lua_tostring(theirs, 2), lua_tostring(ours, 2),
				    lua_tostring(ours, 3));
			fail();
		}
	}
}

static void deep_patterns_are_too_complex_in_both(void **state)
{
	(void)state;
	char pattern[1024] = "";
	for (int i = 0; i < 250; i++)
		strcat(pattern, "a?");
	assert_same("aaaa", pattern, "x");
	pattern[300] = 0;
	assert_same("aaaa", pattern, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_feature_gives_the_same_as_lua),
		cmocka_unit_test(random_patterns_give_the_same_as_lua),
		cmocka_unit_test(deep_patterns_are_too_complex_in_both),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

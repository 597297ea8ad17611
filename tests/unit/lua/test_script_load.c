/* Scripts that are no jobs, scripts that fail while they load, and loading again for the threads. */
#include "script_fixture.h"

#define JOB "return ks.job \"j\" { flows = { f = { ks.from \"a\", ks.to \"b\" } } }\n"
#define KS  "local ks = require \"ks\"\n"

static const struct {
	const char *text, *says;
	int line; /* 0: none */
	enum ks_err err;
} bad[] = {
	{"", "the script returns nothing; it must end with: return ks.job", 0, ERR_SCRIPT},
	{"return 5", "the script returns the number 5", 0, ERR_SCRIPT},
	{"return {}", "the script returns a table", 0, ERR_SCRIPT},
	{KS "return ks.job \"x\"", "a job without its table", 0, ERR_SCRIPT},
	{KS "return { ks.job \"x\" { flows = { f = { ks.from \"a\", ks.to \"b\" } } }, 5 }",
	 "element 2 of the list that the script returns is the number 5", 0, ERR_SCRIPT},
	{KS "local function one() return ks.job \"x\" { flows = { f = { ks.from \"a\", ks.to \"b\" "
	    "} } } end\n"
	    "return { one(), one() }",
	 "the name \"x\" is taken by the job at", 2, ERR_SCRIPT},
	{KS "return ks.job \"x\" {", "unexpected symbol near <eof>", 2, ERR_SCRIPT},
	{KS "local x\nlocal y = x.z\n" JOB, "attempt to index a nil value", 3, ERR_SCRIPT},
	{KS "error(\"no such shop\")\n" JOB, "no such shop", 2, ERR_SCRIPT},
	{KS "error({ code = 7 })\n" JOB, "{\"code\":7}", 2, ERR_SCRIPT},
	{KS "counter = 0\n" JOB, "assignment to global 'counter'", 2, ERR_SCRIPT},
	{KS "local m = require \"nowhere\"\n" JOB, "module 'nowhere' not found", 2, ERR_SCRIPT},
	{KS "while true do end\n" JOB, "ran longer than", 2, ERR_BUDGET},
	{KS "while true do pcall(function() while true do end end) end\n" JOB, "ran longer than", 2,
	 ERR_BUDGET},
	{KS "local t = {}\nfor i = 1, 1e9 do t[i] = {} end\n" JOB, "memory", 0, ERR_BUDGET},
	{KS "ks.foo()\n" JOB, "ks has no \"foo\"", 2, ERR_SCRIPT},
	{KS "ks.hash.sha265(\"x\")\n" JOB, "did you mean ks.hash.sha256?", 2, ERR_SCRIPT},
	{KS "ks.mine = 1\n" JOB, "ks cannot be changed", 2, ERR_SCRIPT},
	{KS "ks.uuid.v4()\n" JOB, "works in the functions of steps only", 2, ERR_SCRIPT},
	{KS "ks.param(\"region\")\n" JOB, "-p region=VALUE", 2, ERR_SCRIPT},
	{KS "ks.env(\"KS_NOT_THERE\")\n" JOB, "the environment has no KS_NOT_THERE", 2, ERR_SCRIPT},
	{KS "return ks.job(5)", "a job begins with its name", 2, ERR_SCRIPT},
	{KS "return ks.job \"a b\" {}", "cannot be the name of a job", 2, ERR_SCRIPT},
	{KS "return ks.job \"a\" (5)", "takes a table", 2, ERR_SCRIPT},
	{"\xef\xbb\xbf" KS JOB, "begins with a byte order mark", 1, ERR_SCRIPT},
	{"\x1bLua\x54", "this is compiled Lua", 0, ERR_SCRIPT},
};

static void a_bad_script_is_told_with_its_line(void **state)
{
	struct script_fixture *x = *state;
	const struct script_options options = {.budget_ms = 1000, .memory_max = 4 << 20};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		enum ks_err err = fixture_load_with(x, bad[i].text, strlen(bad[i].text), &options);

		if (err != bad[i].err)
			print_error("%s\n-> %s\n%s", bad[i].text, ks_err_name(err),
				    buf_cstr(&x->report));
		assert_int_equal(err, bad[i].err);
		fixture_says(x, bad[i].says);
		if (bad[i].line > 0) {
			char *place = xasprintf("%s:%d: ", x->path, bad[i].line);

			fixture_says(x, place);
			free(place);
		}
	}
}

static void a_missing_file_is_named(void **state)
{
	struct script_fixture *x = *state;

	assert_int_equal(script_file_load("/nowhere/job.lua", NULL, &x->file, &x->report),
			 ERR_NOT_FOUND);
	fixture_says(x, "cannot open /nowhere/job.lua");
}

static void bytes_that_are_no_text_are_kept_as_they_are(void **state)
{
	assert_int_equal(fixture_load(*state, KS "local name = \"\xff\xfe\"\n" JOB), ERR_NONE);
}

static void parameters_reach_the_script(void **state)
{
	static const char text[] = KS "return ks.job(ks.param(\"name\", \"none\")) { threads = "
				      "tonumber(ks.param \"n\"),\n"
				      "flows = { f = { ks.from \"a\", ks.to \"b\" } } }\n";
	const struct script_param params[] = {{"n", "3"}, {"nmae", "x"}};
	const struct script_options options = {.params = params, .param_count = 2};
	struct script_fixture *x = *state;

	assert_int_equal(fixture_load_with(x, text, strlen(text), &options), ERR_NONE);
	assert_string_equal(script_file_job(x->file, 0)->name, "none");
	assert_int_equal(script_file_job(x->file, 0)->threads, 3);
	fixture_says(x, "warning: the script does not ask for the parameter nmae");
}

static void a_list_of_jobs(void **state)
{
	struct script_fixture *x = *state;

	assert_int_equal(
		fixture_load(x, KS
			     "local jobs = {}\nfor i = 1, 3 do\n jobs[i] = ks.job(\"j\" .. i) {\n"
			     "flows = { f = { ks.from \"a\", ks.map(function(v) return v + i end), "
			     "ks.to \"b\" } } }\n"
			     "end\nreturn jobs\n"),
		ERR_NONE);
	assert_int_equal(script_file_job_count(x->file), 3);
	assert_string_equal(script_file_job(x->file, 2)->name, "j3");
}

static void every_thread_gets_a_script_of_its_own(void **state)
{
	struct script_fixture *x = *state;
	struct script_factory factory;
	struct script *a, *b;
	struct ks_why why;

	assert_int_equal(fixture_load(x, KS JOB), ERR_NONE);
	factory = script_file_factory(x->file, 0);
	a = factory.make(factory.self, &why);
	b = factory.make(factory.self, &why);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	a->ops->free(a);
	b->ops->free(b);
}

static void a_script_that_changed_meanwhile_is_refused(void **state)
{
	static const char other[] = KS "return ks.job \"j\" { flows = { f = { ks.from \"a\", "
				       "ks.map(print), ks.to \"b\" } } }\n";
	struct script_fixture *x = *state;
	struct script_factory factory;
	struct ks_why why;

	assert_int_equal(fixture_load(x, KS JOB), ERR_NONE);
	fixture_write(x->path, other, strlen(other));
	factory = script_file_factory(x->file, 0);
	assert_null(factory.make(factory.self, &why));
	assert_non_null(strstr(why.text, "gave another job when it was loaded again"));
}

static void a_module_beside_the_script(void **state)
{
	static const char module[] = "return { topic = \"from-module\" }\n";
	struct script_fixture *x = *state;
	char *path = xasprintf("%s/other.lua", x->dir);

	fixture_write(path, module, strlen(module));
	free(path);
	assert_int_equal(fixture_load(x, KS "local other = require \"other\"\n"
					    "return ks.job \"j\" { flows = { f = { "
					    "ks.from(other.topic), ks.to \"b\" } } }\n"),
			 ERR_NONE);
	assert_string_equal(script_file_job(x->file, 0)->flows[0].topics[0], "from-module");
}

static void lint_finds_state_in_variables(void **state)
{
	struct script_fixture *x = *state;
	struct buf report = {0};

	assert_int_equal(
		fixture_load(
			x,
			KS "local n, seen, names = 0, {}, { a = 1 }\n"
			   "return ks.job \"j\" { flows = { f = { ks.from \"a\",\n"
			   "ks.peek(function() n = n + 1 end),\n"
			   "ks.filter(function(v) if seen[v.id] then return false end seen[v.id] = "
			   "true return true end),\n"
			   "ks.filter(function(v) local c = 0; local function up() c = c + 1 end "
			   "up() return names[v.x] end),\n"
			   "ks.map(function(v) v.x = 1; local t = {}; t.y = v; return t end),\n"
			   "ks.map(function(v) (function() seen.last = v.id end)() return v end),\n"
			   "ks.to \"b\" } } }\n"),
		ERR_NONE);
	assert_int_equal(script_file_lint(x->file, &report), 3);
	assert_non_null(
		strstr(buf_cstr(&report), "job.lua:4: warning: this function changes \"n\""));
	assert_non_null(strstr(buf_cstr(&report),
			       "job.lua:5: warning: this function changes the table \"seen\""));
	assert_non_null(strstr(buf_cstr(&report),
			       "job.lua:8: warning: this function changes the table \"seen\""));
	buf_fini(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(a_bad_script_is_told_with_its_line),
		SCRIPT_TEST(a_missing_file_is_named),
		SCRIPT_TEST(bytes_that_are_no_text_are_kept_as_they_are),
		SCRIPT_TEST(parameters_reach_the_script),
		SCRIPT_TEST(a_list_of_jobs),
		SCRIPT_TEST(every_thread_gets_a_script_of_its_own),
		SCRIPT_TEST(a_script_that_changed_meanwhile_is_refused),
		SCRIPT_TEST(a_module_beside_the_script),
		SCRIPT_TEST(lint_finds_state_in_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* share/luals/ks.d.lua, which editors read, has the names that the module has, and no others. */
#include "script_fixture.h"

/* A script that fails with every name of the module in its message. */
static const char lister[] = "local ks = require \"ks\"\n"
			     "local names = {}\n"
			     "for name, v in pairs(ks) do\n"
			     "  names[#names + 1] = name\n"
			     "  if type(v) == \"table\" then for inner in pairs(v) do names[#names "
			     "+ 1] = name .. \".\" .. inner end end\n"
			     "end\n"
			     "table.sort(names)\n"
			     "error(\" \" .. table.concat(names, \" \") .. \" \")\n";

static char *read_stub(void)
{
	FILE *f = fopen("share/luals/ks.d.lua", "r"); /* tests run in the project's folder */
	char *text = xcalloc(1, 1 << 16);

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	return text;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/* "function ks.x.y(" or "ks.x = " at the beginning of a line. */
static bool stub_has(const char *stub, const char *name)
{
	char *function = xasprintf("\nfunction ks.%s(", name);
	char *field = xasprintf("\nks.%s = ", name);
	bool found = strstr(stub, function) || strstr(stub, field);

	free(function);
	free(field);
	return found;
}

static void every_name_of_the_module_is_in_the_stub(void **state)
{
	struct script_fixture *x = *state;
	char *stub = read_stub();
	char *names;

	assert_int_equal(fixture_load(x, lister), ERR_SCRIPT);
	names = strstr(buf_cstr(&x->report), ": ");
	assert_non_null(names);
	names = xstrdup(names + 2);
	*strchr(names, '\n') = '\0';
	for (char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
		if (!stub_has(stub, name))
			print_error("ks.%s is missing in share/luals/ks.d.lua\n", name);
		assert_true(stub_has(stub, name));
	}
	free(names);
	free(stub);
}

static void check_name(struct script_fixture *x, const char *begin)
{
	const char *end = begin;
	char *name;

	while (is_name(*end))
		end++;
	name = xasprintf(" %.*s ", (int)(end - begin), begin);
	if (!strstr(buf_cstr(&x->report), name))
		print_error("ks.%s is in the stub, not in the module\n", name);
	assert_non_null(strstr(buf_cstr(&x->report), name));
	free(name);
}

static void every_name_of_the_stub_is_in_the_module(void **state)
{
	struct script_fixture *x = *state;
	char *stub = read_stub();

	assert_int_equal(fixture_load(x, lister), ERR_SCRIPT);
	for (const char *p = stub; (p = strstr(p, "\nfunction ks.")) != NULL; p++)
		check_name(x, p + strlen("\nfunction ks."));
	for (const char *p = stub; (p = strstr(p, "\nks.")) != NULL; p++)
		check_name(x, p + strlen("\nks."));
	free(stub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(every_name_of_the_module_is_in_the_stub),
		SCRIPT_TEST(every_name_of_the_stub_is_in_the_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

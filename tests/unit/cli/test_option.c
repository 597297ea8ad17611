/* How a command line is read: every way to write an option, where values come from, and what mistakes are called. */
#include "cli/option.h"
#include "unit.h"

static const struct option own[] = {
	{.letter = 'f', .name = "format", .type = OPTION_TEXT, .arg = "FORMAT", .fallback = "json"},
	{.letter = 'n', .name = "num", .type = OPTION_NUMBER, .arg = "N", .fallback = "0"},
	{.letter = 'H', .name = "header", .type = OPTION_LIST, .arg = "K:V"},
	{.letter = 'g',
	 .letter_too = 'G',
	 .name = "group",
	 .name_too = "consumer-group",
	 .type = OPTION_TEXT,
	 .arg = "GROUP"},
	{.letter = 'z', .name = "zap"},
	{0},
};

static const struct option common[] = {
	{.name = "data",
	 .type = OPTION_TEXT,
	 .arg = "DIR",
	 .fallback = "./d",
	 .env = "KS_TEST_OPTION_DATA"},
	{.letter = 'q', .name = "quiet"},
	{0},
};

static enum ks_err parse(struct options *o, struct ks_why *why, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return options_parse((const struct option *const[OPTION_TABLES]){own, common}, argc, argv,
			     o, why);
}

#define ARGV(...)                                                                                  \
	(char *[])                                                                                 \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void every_way_to_write_an_option_is_read(void **state)
{
	static char *const ways[][3] = {{"-f", "%v"},    {"-f%v"},  {"--format", "%v"},
					{"--format=%v"}, {"-qf%v"}, {"-zqf", "%v"}};

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct options o;
		char *argv[] = {ways[i][0], ways[i][1], NULL};
		assert_int_equal(parse(&o, NULL, argv), ERR_NONE);
		assert_string_equal(options_text(&o, "format"), "%v");
		assert_int_equal(o.arg_count, 0);
		options_fini(&o);
	}
}

static void options_and_arguments_mix_until_two_dashes(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, ARGV("a", "-q", "-", "--", "-f", "--data")), ERR_NONE);
	assert_int_equal(o.arg_count, 4);
	assert_string_equal(o.args[0], "a");
	assert_string_equal(o.args[1], "-");
	assert_string_equal(o.args[2], "-f");
	assert_string_equal(o.args[3], "--data");
	assert_null(o.args[4]);
	assert_true(options_flag(&o, "quiet"));
	options_fini(&o);
}

static void a_value_may_look_like_an_option(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, ARGV("-n", "-3", "--format", "--data")), ERR_NONE);
	assert_int_equal(options_number(&o, "num"), -3);
	assert_string_equal(options_text(&o, "format"), "--data");
	options_fini(&o);
}

static void repeated_options_are_a_list_and_the_last_one_wins(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, ARGV("-H", "a:1", "--header=b:2", "-fx", "-fy")),
			 ERR_NONE);
	assert_string_equal(options_item(&o, "header", 0), "a:1");
	assert_string_equal(options_item(&o, "header", 1), "b:2");
	assert_null(options_item(&o, "header", 2));
	assert_string_equal(options_text(&o, "format"), "y");
	options_fini(&o);
}

static void second_names_and_letters_work(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, ARGV("-G", "a")), ERR_NONE);
	assert_string_equal(options_text(&o, "group"), "a");
	options_fini(&o);
	assert_int_equal(parse(&o, NULL, ARGV("--consumer-group", "b")), ERR_NONE);
	assert_string_equal(options_text(&o, "group"), "b");
	options_fini(&o);
}

static void flag_beats_environment_beats_default(void **state)
{
	struct options o;

	(void)state;
	unsetenv("KS_TEST_OPTION_DATA");
	assert_int_equal(parse(&o, NULL, ARGV("x")), ERR_NONE);
	assert_string_equal(options_text(&o, "data"), "./d");
	assert_false(options_given(&o, "data"));
	setenv("KS_TEST_OPTION_DATA", "/env", 1);
	assert_string_equal(options_text(&o, "data"), "/env");
	options_fini(&o);
	assert_int_equal(parse(&o, NULL, ARGV("--data", "/flag")), ERR_NONE);
	assert_string_equal(options_text(&o, "data"), "/flag");
	assert_true(options_given(&o, "data"));
	options_fini(&o);
	unsetenv("KS_TEST_OPTION_DATA");
}

static void a_preset_comes_between_command_line_and_environment(void **state)
{
	struct options o;

	(void)state;
	setenv("KS_TEST_OPTION_DATA", "/env", 1);
	assert_int_equal(parse(&o, NULL, ARGV("-f", "flag")), ERR_NONE);
	options_preset(&o, "data", "/preset");
	options_preset(&o, "format", "preset");
	options_preset(&o, "zap", "true");
	assert_string_equal(options_text(&o, "data"), "/preset");
	assert_false(options_given(&o, "data"));
	assert_string_equal(options_text(&o, "format"), "flag");
	assert_true(options_flag(&o, "zap"));
	options_fini(&o);
	unsetenv("KS_TEST_OPTION_DATA");
}

static void every_table_is_looked_at(void **state)
{
	static const struct option third[] = {{.letter = 't', .name = "third"}, {0}};
	struct options o;

	(void)state;
	assert_int_equal(
		options_parse((const struct option *const[OPTION_TABLES]){own, NULL, third}, 2,
			      ARGV("-z", "-t"), &o, NULL),
		ERR_NONE);
	assert_true(options_flag(&o, "third"));
	assert_true(options_has(&o, "consumer-group"));
	assert_false(options_has(&o, "quiet"));
	options_fini(&o);
}

static void flags_can_be_taken_back(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, ARGV("-q", "--quiet=false", "--zap=true")), ERR_NONE);
	assert_false(options_flag(&o, "quiet"));
	assert_true(options_flag(&o, "zap"));
	options_fini(&o);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		char *argv[3];
		const char *why;
	} rows[] = {
		{{"--fromat", "x"}, "unknown option --fromat; did you mean --format?"},
		{{"--fromat=x"}, "unknown option --fromat; did you mean --format?"},
		{{"--xyzzy"}, "unknown option --xyzzy"},
		{{"-x"}, "unknown option -x"},
		{{"-qx"}, "unknown option -x"},
		{{"-f"}, "-f needs a value: -f FORMAT"},
		{{"--format"}, "--format needs a value: --format FORMAT"},
		{{"-n", "3x"}, "--num needs a number, not \"3x\""},
		{{"--num="}, "--num needs a number, not \"\""},
		{{"--quiet=maybe"}, "--quiet takes no value (or true or false)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct options o;
		struct ks_why why = {""};
		char *argv[] = {rows[i].argv[0], rows[i].argv[1], NULL};
		assert_int_equal(parse(&o, &why, argv), ERR_INVALID_ARGUMENT);
		assert_string_equal(why.text, rows[i].why);
	}
}

static void lists_of_partitions_are_read(void **state)
{
	static const char *const bad[] = {"",   "x",  "1,",  ",1",      "3-1",
					  "1-", "-1", "1 2", "99999999"};
	int32_t *numbers;
	size_t count;

	(void)state;
	assert_int_equal(numbers_parse("0,2,4-6", &numbers, &count, NULL), ERR_NONE);
	assert_int_equal(count, 5);
	assert_memory_equal(numbers, ((int32_t[]){0, 2, 4, 5, 6}), 5 * sizeof *numbers);
	free(numbers);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (numbers_parse(bad[i], &numbers, &count, NULL) != ERR_INVALID_ARGUMENT)
			fail_msg("\"%s\" was accepted", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_write_an_option_is_read),
		cmocka_unit_test(options_and_arguments_mix_until_two_dashes),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(repeated_options_are_a_list_and_the_last_one_wins),
		cmocka_unit_test(second_names_and_letters_work),
		cmocka_unit_test(flag_beats_environment_beats_default),
		cmocka_unit_test(a_preset_comes_between_command_line_and_environment),
		cmocka_unit_test(every_table_is_looked_at),
		cmocka_unit_test(flags_can_be_taken_back),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(lists_of_partitions_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Expressions that clients subscribe with. */
#include "tests/check.h"

#include "groups/regex.h"

static bool matches(const char *pattern, const char *name)
{
	struct ks_why why = {""};
	struct regex *r = regex_new(slice_str(pattern), &why);

	if (!r)
		fail_msg("%s: %s", pattern, why.text);
	bool result = regex_matches(r, slice_str(name));
	assert_false(regex_gave_up(r));
	regex_free(r);
	return result;
}

static void an_expression_matches_whole_names(void **state)
{
	(void)state;
	assert_true(matches("log-.*", "log-a"));
	assert_false(matches("log-.*", "my-log-a"));
	assert_false(matches("log", "log-a"));
	assert_true(matches("a|bc", "bc"));
	assert_false(matches("a|bc", "abc"));
	assert_true(matches("^t[0-9]{2}$", "t42"));
	assert_true(matches("(?i)ORDERS(_v\\d+)?", "orders_v2"));
	assert_true(matches(".*", "x"));
	assert_false(matches("", "x"));
}

static void what_is_no_expression_is_refused_with_its_place(void **state)
{
	struct ks_why why = {""};
	char deep[200], *long_one = calloc(1, REGEX_BYTES_MAX + 1);

	(void)state;
	assert_null(regex_new(slice_str("a(b"), &why));
	assert_non_null(strstr(why.text, "byte 3"));
	assert_null(regex_new(slice_str("[z-a]"), NULL));
	memset(deep, '(', 60);
	memset(deep + 60, ')', 60);
	assert_null(regex_new(slice_of(deep, 120), NULL));
	memset(long_one, 'a', REGEX_BYTES_MAX + 1);
	assert_null(regex_new(slice_of(long_one, REGEX_BYTES_MAX + 1), NULL));
	assert_null(regex_new(slice_str("((((a{1,60}){1,60}){1,60}){1,60})"), NULL));
	free(long_one);
}

static void a_match_that_takes_too_many_steps_is_given_up(void **state)
{
	struct regex *r = regex_new(slice_str("(a|aa|aaa)+[bd]"), NULL);

	(void)state;
	assert_non_null(r);
	assert_false(regex_matches(r, slice_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac")));
	assert_true(regex_gave_up(r));
	regex_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_expression_matches_whole_names),
		cmocka_unit_test(what_is_no_expression_is_refused_with_its_place),
		cmocka_unit_test(a_match_that_takes_too_many_steps_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

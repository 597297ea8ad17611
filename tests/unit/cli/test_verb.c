/* test_verb.c - the table of verbs keeps its promises: what help, parsing and completion rely on. */
#include <string.h>

#include "cli/verb.h"
#include "unit.h"

static void every_verb_is_complete_and_named_once(void **state)
{
	(void)state;
	for (const struct verb *v = verbs; v->name; v++) {
		assert_non_null(v->run);
		assert_non_null(v->args);
		assert_non_null(v->summary);
		assert_true(v->args_max == -1 || v->args_max >= v->args_min);
		for (const struct verb *w = v + 1; w->name; w++)
			assert_string_not_equal(v->name, w->name);
	}
}

/* Help lists the verbs of a group together. */
static void the_verbs_of_a_group_stand_together(void **state)
{
	(void)state;
	for (const struct verb *v = verbs; v->name; v++) {
		size_t len = strcspn(v->name, " ");
		bool has_left = false;
		for (const struct verb *w = v + 1; w->name; w++) {
			bool is_kin = strncmp(v->name, w->name, len + 1) == 0 && v->name[len];
			assert_false(is_kin && has_left);
			has_left |= !is_kin;
		}
	}
}

static void count_letters(const struct option *table, int *letters)
{
	for (const struct option *o = table; o && o->name; o++) {
		letters[(unsigned char)o->letter] += o->letter != 0;
		letters[(unsigned char)o->letter_too] += o->letter_too != 0;
	}
}

static void no_verb_uses_a_letter_twice(void **state)
{
	(void)state;
	for (const struct verb *v = verbs; v->name; v++) {
		int letters[256] = {0};
		count_letters(v->options, letters);
		count_letters(verb_client_options(v), letters);
		count_letters(verb_common_options, letters);
		for (int i = 0; i < 256; i++)
			if (letters[i] > 1)
				fail_msg("%s uses -%c twice", v->name, i);
	}
}

static void every_option_has_help_and_a_name_for_its_value(void **state)
{
	(void)state;
	for (const struct verb *v = verbs; v->name; v++) {
		for (const struct option *o = v->options; o && o->name; o++) {
			assert_non_null(o->help);
			assert_true((o->type == OPTION_FLAG) == (o->arg == NULL));
			for (const struct option *c = verb_common_options; c->name; c++)
				assert_string_not_equal(o->name, c->name);
			for (const struct option *c = verb_client_options(v); c && c->name; c++)
				assert_string_not_equal(o->name, c->name);
		}
	}
}

static void keys_and_values_are_split_at_the_first_separator(void **state)
{
	struct config_entry e;

	(void)state;
	assert_true(verb_split("a=b=c", '=', &e));
	assert_string_equal(e.key, "a");
	assert_string_equal(e.value, "b=c");
	free((char *)e.key);
	assert_true(verb_split("a=", '=', &e));
	assert_string_equal(e.value, "");
	free((char *)e.key);
	assert_false(verb_split("a", '=', &e));
	assert_false(verb_split("=b", '=', &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_is_complete_and_named_once),
		cmocka_unit_test(the_verbs_of_a_group_stand_together),
		cmocka_unit_test(no_verb_uses_a_letter_twice),
		cmocka_unit_test(every_option_has_help_and_a_name_for_its_value),
		cmocka_unit_test(keys_and_values_are_split_at_the_first_separator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

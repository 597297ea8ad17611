/* test_suggest.c - which slips are understood, and which words are left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/suggest.h"

static const char *const keys[] = {"retention.ms", "retention.bytes", "cleanup.policy", "run",
				   "top"};

static const char *meant(const char *word)
{
	return suggest(word, keys, sizeof keys / sizeof *keys);
}

static void a_slip_finds_the_word(void **state)
{
	(void)state;
	assert_string_equal(meant("retention.sm"), "retention.ms");
	assert_string_equal(meant("retenton.ms"), "retention.ms");
	assert_string_equal(meant("cleanup-policy"), "cleanup.policy");
	assert_string_equal(meant("RETENTION.BYTES"), "retention.bytes");
	assert_string_equal(meant("rnu"), "run");
	assert_string_equal(meant("tp"), "top");
	assert_string_equal(meant("top"), "top");
}

static void a_different_word_finds_nothing(void **state)
{
	(void)state;
	assert_null(meant("frobnicate"));
	assert_null(meant("x"));
	assert_null(meant(""));
	assert_null(suggest("run", keys, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip_finds_the_word),
		cmocka_unit_test(a_different_word_finds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

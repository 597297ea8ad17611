/* check.h - cmocka and what the tests of this folder share. */
#ifndef TESTS_UNIT_GROUPS_CHECK_H
#define TESTS_UNIT_GROUPS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

#define assert_text(text, expected)                                                                \
	do {                                                                                       \
		struct slice got_ = (text);                                                        \
		const char *want_ = (expected);                                                    \
		if (got_.len != strlen(want_) || memcmp(got_.data, want_, got_.len) != 0)          \
			fail_msg("\"%.*s\" is not \"%s\"", (int)got_.len, (const char *)got_.data, \
				 want_);                                                           \
	} while (0)

#define assert_err(expression, expected)                                                           \
	do {                                                                                       \
		enum ks_err got_ = (expression);                                                   \
		if (got_ != (expected))                                                            \
			fail_msg("%s gives %s, not %s", #expression, ks_err_name(got_),            \
				 #expected);                                                       \
	} while (0)

#endif

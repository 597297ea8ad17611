/* check.h - cmocka with the headers that it needs, and the assertions that tests of several folders make. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

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

/* The expression may say why it failed: assert_ok(store_open(&options, &store, why)). */
#define assert_ok(expression)                                                                      \
	do {                                                                                       \
		struct ks_why why_ = {""};                                                         \
		struct ks_why *why = &why_;                                                        \
		enum ks_err err_ = (expression);                                                   \
		(void)why;                                                                         \
		if (err_)                                                                          \
			fail_msg("%s: %s %s", #expression, ks_err_name(err_), why_.text);          \
	} while (0)

/* Of enum ks_err, or as it travels. */
#define assert_code(got, expected)                                                                 \
	do {                                                                                       \
		enum ks_err code_ = (enum ks_err)(got);                                            \
		if (code_ != (expected))                                                           \
			fail_msg("%s gives %s, not %s", #got, ks_err_name(code_), #expected);      \
	} while (0)

/* expected: a string. A null slice is not "". */
#define assert_slice(got, expected)                                                                \
	do {                                                                                       \
		struct slice got_ = (got);                                                         \
		const char *expected_ = (expected);                                                \
		if (!slice_equal(got_, slice_str(expected_)))                                      \
			fail_msg("\"%.*s\" is not \"%s\"", (int)got_.len,                          \
				 got_.data ? (const char *)got_.data : "null", expected_);         \
	} while (0)

#endif

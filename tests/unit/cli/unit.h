/* unit.h - what the tests of cli/ share. */
#ifndef TESTS_UNIT_CLI_UNIT_H
#define TESTS_UNIT_CLI_UNIT_H

#include "base/mem.h"
#include "tests/check.h"

#define TEXT(literal) slice_of((literal), sizeof(literal) - 1)
#define BYTES_OF(b)   (b).data, (b).len

/* b holds exactly these bytes, which may contain NUL. */
#define assert_bytes(b, literal)                                                                   \
	do {                                                                                       \
		assert_int_equal((b).len, sizeof(literal) - 1);                                    \
		assert_memory_equal((b).data, literal, sizeof(literal) - 1);                       \
	} while (0)

#endif

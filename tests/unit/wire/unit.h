/* unit.h - what the tests of wire/ share. */
#ifndef TESTS_UNIT_WIRE_UNIT_H
#define TESTS_UNIT_WIRE_UNIT_H

#include "base/mem.h"
#include "tests/check.h"

/* A string literal with all its bytes, zeros included. */
#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

/* The same, for tables. */
#define BYTES_INIT(literal)                                                                        \
	{                                                                                          \
		(const uint8_t *)(literal), sizeof(literal) - 1                                    \
	}

#define assert_slice_equal(a, b) assert_true(slice_equal(a, b))

/* A copy in memory of exactly that size, so that a read past the end is caught. Release: free. */
static inline uint8_t *exact_copy(struct slice bytes)
{
	uint8_t *p = xmalloc(bytes.len);

	if (bytes.len)
		memcpy(p, bytes.data, bytes.len);
	return p;
}

#endif

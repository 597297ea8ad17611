/* unit.h - what tests without a server include. */
#ifndef TESTS_UNIT_SERVER_UNIT_H
#define TESTS_UNIT_SERVER_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif

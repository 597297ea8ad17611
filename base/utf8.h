/* utf8.h - which bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Length of the well-formed sequence at p < end; 0: none. */
size_t utf8_sequence(const uint8_t *p, const uint8_t *end);
bool utf8_valid(struct slice s);

#endif

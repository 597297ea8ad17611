/* encode.h - bytes as text and back: hex, base64, UTF-8, JSON strings.
 *
 * Decoders append to out and leave it as it was when the text is malformed.
 */
#ifndef CLI_ENCODE_H
#define CLI_ENCODE_H

#include <stdbool.h>

#include "base/mem.h"

void hex_encode(struct slice bytes, struct buf *out); /* lower case */
bool hex_decode(struct slice text, struct buf *out);

void base64_encode(struct slice bytes, bool pad, struct buf *out); /* the standard alphabet */
bool base64_decode(struct slice text, struct buf *out);            /* padding may be missing */

void decimal_append(struct buf *out, int64_t n); /* as %lld, which is slow */

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct slice bytes);

/* A JSON string, quotes included. text is valid UTF-8. */
void json_append_string(struct buf *out, struct slice text);
/* Any bytes: null, a string, or {"base64":"..."} for what is not UTF-8. */
void json_append_bytes(struct buf *out, struct slice bytes);

/* The length of the first JSON value in text, white space before it included.
 *   0: malformed; -1: text ends before the value does */
ptrdiff_t json_value_length(struct slice text, bool is_whole);
/* Appends JSON text without the white space between its tokens. */
void json_compact(struct slice text, struct buf *out);

#endif

/* value.h - reading stored values without trusting their length.
 *
 * A cursor walks the bytes of one value. Running past the end, or leaving bytes over, makes it bad;
 * a decoder reads everything first and asks once, at the end.
 */
#ifndef TXN_VALUE_H
#define TXN_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct cursor {
	const uint8_t *p, *end;
	bool is_bad;
};

static inline struct cursor cursor_of(struct slice bytes)
{
	return (struct cursor){bytes.data, bytes.data + bytes.len, false};
}

/* The next len bytes, borrowed from the value; NULL when there are not so many. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t len)
{
	if (c->is_bad || (size_t)(c->end - c->p) < len) {
		c->is_bad = true;
		return NULL;
	}
	const uint8_t *at = c->p;
	c->p += len;
	return at;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 1);
	return at ? *at : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 2);
	return at ? get_u16be(at) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 4);
	return at ? get_u32be(at) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 8);
	return at ? get_u64be(at) : 0;
}

/* Bytes behind their u16 length. */
static inline struct slice cursor_text(struct cursor *c)
{
	uint16_t len = cursor_u16(c);
	const uint8_t *at = cursor_take(c, len);
	return at ? slice_of(at, len) : slice_of("", 0);
}

/* Everything was there and nothing is left over. */
static inline bool cursor_is_done(const struct cursor *c)
{
	return !c->is_bad && c->p == c->end;
}

static inline void value_append_text(struct buf *b, struct slice text)
{
	buf_append_u16be(b, (uint16_t)text.len);
	buf_append(b, text.data, text.len);
}

#endif

/* utf8.c - see utf8.h. */
#include "base/utf8.h"

size_t utf8_sequence(const uint8_t *p, const uint8_t *end)
{
	size_t left = (size_t)(end - p);
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	if (left < 2 || (p[1] & 0xc0) != 0x80)
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (left < 3 || (p[2] & 0xc0) != 0x80)
		return 0;
	if (p[0] < 0xf0) {
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0; /* overlong, or a surrogate */
		return 3;
	}
	if (left < 4 || (p[3] & 0xc0) != 0x80)
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0; /* overlong, or beyond U+10FFFF */
	return 4;
}

bool utf8_valid(struct slice s)
{
	const uint8_t *p = s.data;
	const uint8_t *end = s.len ? p + s.len : p;
	while (p < end) {
		size_t n = utf8_sequence(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

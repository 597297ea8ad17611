/* json_string.c - escapes and UTF-8 in JSON strings.
 *
 * Half of a surrogate pair is allowed by JSON's grammar (RFC 8259, 8.2) and written by real
 * producers that cut strings in the middle. It is kept in the text and read as U+FFFD.
 */
#include "streams/doc_impl.h"

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits; -1 if they are not. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
	int32_t v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);
		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

const uint8_t *json_escapes_check(const uint8_t *p, const uint8_t *end)
{
	while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		if (p + 1 == end)
			return p;
		if (p[1] == 'u') {
			if (hex4(p + 2, end) < 0)
				return p;
			p += 6;
			continue;
		}
		if (!p[1] || !strchr("\"\\/bfnrt", p[1]))
			return p;
		p += 2;
	}
	return NULL;
}

static size_t put_utf8(uint32_t c, uint8_t *out)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* The \u escape at *p, with its second half if it has one; moves *p behind it. */
static uint32_t unicode_escape(const uint8_t **p, const uint8_t *end)
{
	int32_t c = hex4(*p + 2, end);
	*p += 6;
	if (c < 0xd800 || c > 0xdfff)
		return (uint32_t)c;
	if (c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return 0xfffd;
	int32_t low = hex4(*p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*p += 6;
	return 0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/* Decodes the escape at *p to out, at most 4 bytes and never more than it was long. */
static size_t decode_escape(const uint8_t **p, const uint8_t *end, uint8_t *out)
{
	uint8_t c = (*p)[1];
	if (c == 'u')
		return put_utf8(unicode_escape(p, end), out);
	switch (c) {
	case 'b':
		c = '\b';
		break;
	case 'f':
		c = '\f';
		break;
	case 'n':
		c = '\n';
		break;
	case 'r':
		c = '\r';
		break;
	case 't':
		c = '\t';
		break;
	default:
		break; /* the quote, the backslash and the slash stand for themselves */
	}
	*out = c;
	*p += 2;
	return 1;
}

size_t json_string_decode(const uint8_t *p, const uint8_t *end, uint8_t *out)
{
	uint8_t *o = out;
	while (p < end) {
		const uint8_t *escape = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((escape ? escape : end) - p);
		memcpy(o, p, plain);
		o += plain;
		p += plain;
		if (escape)
			o += decode_escape(&p, end, o);
	}
	return (size_t)(o - out);
}

bool json_string_is(const uint8_t *p, const uint8_t *end, const char *name, size_t len)
{
	size_t i = 0;
	while (p < end) {
		uint8_t c[4];
		size_t n = 1;
		if (*p == '\\')
			n = decode_escape(&p, end, c);
		else
			c[0] = *p++;
		if (len - i < n || memcmp(name + i, c, n) != 0)
			return false;
		i += n;
	}
	return i == len;
}

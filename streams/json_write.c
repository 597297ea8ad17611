/* json_write.c - JSON text of single values. */
#include "streams/doc_impl.h"

#include <math.h>

static void write_escape(struct buf *out, uint8_t c)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the byte, its letter */
	for (const char *s = shorts; *s; s += 2) {
		if ((uint8_t)s[0] == c) {
			buf_append(out, (char[]){'\\', s[1]}, 2);
			return;
		}
	}
	buf_printf(out, "\\u%04x", c);
}

void json_write_string(struct buf *out, struct slice utf8)
{
	const uint8_t *p = utf8.len ? utf8.data : (const uint8_t *)"";
	const uint8_t *end = p + utf8.len;
	const uint8_t *plain = p; /* not yet written */

	buf_reserve(out, utf8.len + 2);
	buf_append_u8(out, '"');
	while (p < end) {
		if (*p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
			p++;
			continue;
		}
		size_t n = *p < 0x80 ? 0 : utf8_sequence(p, end);
		if (n > 0) {
			p += n;
			continue;
		}
		buf_append(out, plain, (size_t)(p - plain));
		if (*p < 0x80)
			write_escape(out, *p);
		else
			buf_append(out, "\xef\xbf\xbd", 3);
		plain = ++p;
	}
	buf_append(out, plain, (size_t)(p - plain));
	buf_append_u8(out, '"');
}

void json_write_i64(struct buf *out, int64_t v)
{
	uint8_t text[20];
	uint8_t *p = text + sizeof text;
	uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do {
		*--p = (uint8_t)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (v < 0)
		*--p = '-';
	buf_append(out, p, (size_t)(text + sizeof text - p));
}

bool json_write_f64(struct buf *out, double v)
{
	char text[JSON_F64_MAX];
	if (!isfinite(v))
		return false;
	size_t len = json_f64_print(v, text);
	buf_append(out, text, len);
	if (!memchr(text, '.', len) && !memchr(text, 'e', len))
		buf_append(out, ".0", 2);
	return true;
}

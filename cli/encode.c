/* encode.c - see encode.h. */
#include "cli/encode.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_encode(struct slice bytes, struct buf *out)
{
	buf_reserve(out, bytes.len * 2);
	for (size_t i = 0; i < bytes.len; i++) {
		out->data[out->len++] = (uint8_t)hex_digits[bytes.data[i] >> 4];
		out->data[out->len++] = (uint8_t)hex_digits[bytes.data[i] & 15];
	}
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct slice text, struct buf *out)
{
	size_t start = out->len;

	if (text.len % 2)
		return false;
	buf_reserve(out, text.len / 2);
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);
		if (high < 0 || low < 0) {
			out->len = start;
			return false;
		}
		buf_append_u8(out, (uint8_t)(high << 4 | low));
	}
	return true;
}

void base64_encode(struct slice bytes, bool pad, struct buf *out)
{
	buf_reserve(out, (bytes.len + 2) / 3 * 4);
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.data[i] << 16;
		if (left > 1)
			group |= (uint32_t)bytes.data[i + 1] << 8;
		if (left > 2)
			group |= bytes.data[i + 2];
		size_t digits = left > 2 ? 4 : left + 1;
		for (size_t d = 0; d < digits; d++)
			buf_append_u8(out, (uint8_t)base64_digits[group >> (18 - 6 * d) & 63]);
		for (size_t d = digits; pad && d < 4; d++)
			buf_append_u8(out, '=');
	}
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct slice text, struct buf *out)
{
	size_t start = out->len, len = text.len;
	uint32_t group = 0;

	for (int i = 0; i < 2 && len && len % 4 == (i ? 3 : 0) && text.data[len - 1] == '='; i++)
		len--;
	if (len % 4 == 1)
		return false;
	buf_reserve(out, len / 4 * 3 + 3);
	for (size_t i = 0; i < len; i++) {
		int v = base64_value(text.data[i]);
		if (v < 0) {
			out->len = start;
			return false;
		}
		group = group << 6 | (uint32_t)v;
		/* The second, third and fourth digit of a group each complete a byte. */
		if (i % 4)
			buf_append_u8(out, (uint8_t)(group >> (6 - 2 * (i % 4))));
	}
	return true;
}

void decimal_append(struct buf *out, int64_t n)
{
	char digits[20], *p = digits + sizeof digits;
	uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (n < 0)
		buf_append_u8(out, '-');
	buf_append(out, p, (size_t)(digits + sizeof digits - p));
}

/* Bytes of the character at p, or 0 when it is malformed. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : 4;

	if (len == 1)
		return 1;
	if (len > left || (len == 4 && p[0] >> 3 != 30))
		return 0;
	uint32_t c = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63u);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

bool utf8_is_valid(struct slice bytes)
{
	size_t i = 0;

	while (i < bytes.len) {
		uint64_t eight;
		if (bytes.len - i >= sizeof eight) { /* eight of ASCII at once */
			memcpy(&eight, bytes.data + i, sizeof eight);
			if (!(eight & 0x8080808080808080u)) {
				i += sizeof eight;
				continue;
			}
		}
		size_t len = utf8_length(bytes.data + i, bytes.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

static void json_append_escape(struct buf *out, uint8_t c)
{
	static const char names[] = "\bb\tt\nn\ff\rr\"\"\\\\";

	for (const char *n = names; *n; n += 2) {
		if ((uint8_t)n[0] == c) {
			buf_append_u8(out, '\\');
			buf_append_u8(out, (uint8_t)n[1]);
			return;
		}
	}
	buf_printf(out, "\\u%04x", c);
}

void json_append_string(struct buf *out, struct slice text)
{
	size_t plain = 0; /* start of the run that needs no escape */

	buf_reserve(out, text.len + 2);
	buf_append_u8(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_append(out, text.data + plain, i - plain);
		json_append_escape(out, c);
		plain = i + 1;
	}
	if (plain < text.len)
		buf_append(out, text.data + plain, text.len - plain);
	buf_append_u8(out, '"');
}

void json_append_bytes(struct buf *out, struct slice bytes)
{
	if (!bytes.data) {
		buf_append_str(out, "null");
	} else if (utf8_is_valid(bytes)) {
		json_append_string(out, bytes);
	} else {
		buf_append_str(out, "{\"base64\":\"");
		base64_encode(bytes, true, out);
		buf_append_str(out, "\"}");
	}
}

static bool is_json_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Length of the string that begins at text[0] == '"', or -1 when text ends before it does. */
static ptrdiff_t json_string_length(struct slice text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			return (ptrdiff_t)i + 1;
	}
	return -1;
}

static bool is_json_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '+' || c == '.';
}

/* The brackets that are open are told apart by one bit each, so the nesting is bounded. */
ptrdiff_t json_value_length(struct slice text, bool is_whole)
{
	enum { DEPTH_MAX = 512 };
	uint8_t closers[DEPTH_MAX];
	size_t depth = 0, i = 0;

	while (i < text.len && is_json_space(text.data[i]))
		i++;
	while (i < text.len) {
		uint8_t c = text.data[i];
		if (c == '"') {
			ptrdiff_t n = json_string_length(slice_of(text.data + i, text.len - i));
			if (n < 0)
				return -1;
			i += (size_t)n;
		} else if (c == '{' || c == '[') {
			if (depth == DEPTH_MAX)
				return 0;
			closers[depth++] = c == '{' ? '}' : ']';
			i++;
			continue;
		} else if (c == '}' || c == ']') {
			if (depth == 0 || closers[--depth] != c)
				return 0;
			i++;
		} else if (is_json_word(c)) {
			while (i < text.len && is_json_word(text.data[i]))
				i++;
			if (i == text.len && depth == 0 && !is_whole)
				return -1; /* a number may go on */
		} else if (depth && (is_json_space(c) || c == ',' || c == ':')) {
			i++;
			continue;
		} else {
			return 0;
		}
		if (depth == 0)
			return (ptrdiff_t)i;
	}
	return -1;
}

void json_compact(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (is_json_space(text.data[i]))
			continue;
		if (text.data[i] == '"') {
			ptrdiff_t n = json_string_length(slice_of(text.data + i, text.len - i));
			size_t len = n < 0 ? text.len - i : (size_t)n;
			buf_append(out, text.data + i, len);
			i += len - 1;
			continue;
		}
		buf_append_u8(out, text.data[i]);
	}
}

/* format.c - what both directions of the percent language share: tokens and numbers. */
#include "cli/format.h"

#include <stdlib.h>

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes the escape behind a backslash. */
static bool take_escape(const char **p, struct buf *out, struct ks_why *why)
{
	static const char names[] = "t\tn\nr\r\\\\0";
	char c = **p;

	if (c == 'x') {
		int high = nibble((*p)[1]), low = high < 0 ? -1 : nibble((*p)[2]);
		if (low < 0) {
			ks_fail(why, ERR_INVALID_ARGUMENT,
				"\\x in a format needs two hexadecimal digits");
			return false;
		}
		buf_append_u8(out, (uint8_t)(high << 4 | low));
		*p += 3;
		return true;
	}
	for (const char *n = names; n[1]; n += 2) {
		if (n[0] == c) {
			buf_append_u8(out, (uint8_t)n[1]);
			++*p;
			return true;
		}
	}
	if (c)
		ks_fail(why, ERR_INVALID_ARGUMENT,
			"unknown escape \\%c in a format: \\t, \\n, \\r, \\\\ and \\xNN are known",
			c);
	else
		ks_fail(why, ERR_INVALID_ARGUMENT, "a format ends with a lone backslash");
	return false;
}

static char closer_of(char open)
{
	return open == '[' ? ']' : open == '{' ? '}' : open == '(' ? ')' : open;
}

/* Skips `word#...#` at p, whatever stands between its delimiters. NULL: p is no such thing. */
static const char *wrapped_end(const char *p)
{
	size_t word_len = strspn(p, "abcdefghijklmnopqrstuvwxyz"), n, found = 0;
	char open = p[word_len], close;

	if (!word_len || !open || !strchr("#[{(", open))
		return NULL;
	close = closer_of(open);
	n = strspn(p + word_len, (char[]){open, 0});
	for (p += word_len + n; *p && found < n; p++)
		found = *p == close ? found + 1 : 0;
	return found == n ? p : NULL;
}

/* The closing brace of a modifier that begins at p. Braces inside nest, except those escaped by a
 * percent sign. NULL: none. */
static const char *modifier_end(const char *p)
{
	int depth = 1;

	for (; *p; p++) {
		bool is_escaped = *p == '%' && (p[1] == '{' || p[1] == '}' || p[1] == '%');
		if (is_escaped)
			p++;
		else if (*p == '{')
			depth++;
		else if (*p == '}' && --depth == 0)
			return p;
	}
	return NULL;
}

static int take_verb(const char **layout, struct format_token *t, struct ks_why *why)
{
	const char *p = *layout;

	if (!*p) {
		ks_fail(why, ERR_INVALID_ARGUMENT, "a format ends with a lone %%");
		return -1;
	}
	t->verb = *p++;
	if (*p == '{') {
		const char *wrapped = t->verb == 'h' ? NULL : wrapped_end(p + 1);
		const char *end = wrapped ? wrapped : modifier_end(p + 1);
		if (!end || *end != '}') {
			ks_fail(why, ERR_INVALID_ARGUMENT,
				"no closing brace behind %%%c{ in a format", t->verb);
			return -1;
		}
		t->has_modifier = true;
		t->modifier = p + 1;
		t->modifier_len = (size_t)(end - p - 1);
		p = end + 1;
	}
	*layout = p;
	return 1;
}

int format_token_next(const char **layout, struct format_token *t, struct ks_why *why)
{
	memset(t, 0, sizeof *t);
	while (**layout) {
		const char *p = *layout;
		if (*p == '\\') {
			++*layout;
			if (!take_escape(layout, &t->text, why))
				return -1;
		} else if (*p != '%') {
			buf_append_u8(&t->text, (uint8_t)*p);
			++*layout;
		} else if (p[1] == '%' || p[1] == '{' || p[1] == '}') {
			buf_append_u8(&t->text, (uint8_t)p[1]);
			*layout += 2;
		} else if (t->text.len) {
			return 1;
		} else {
			++*layout;
			return take_verb(layout, t, why);
		}
	}
	return t->text.len ? 1 : 0;
}

bool format_modifier_is(const struct format_token *t, const char *word)
{
	return strlen(word) == t->modifier_len && memcmp(word, t->modifier, t->modifier_len) == 0;
}

bool format_number_named(const char *name, size_t len, enum number_format *out)
{
	static const struct {
		const char *name;
		enum number_format format;
	} rows[] = {
		{"ascii", NUMBER_ASCII},       {"hex", NUMBER_HEX},
		{"hex64", NUMBER_HEX64},       {"hex32", NUMBER_HEX32},
		{"hex16", NUMBER_HEX16},       {"hex8", NUMBER_HEX8},
		{"hex4", NUMBER_HEX4},         {"big64", NUMBER_BIG64},
		{"big32", NUMBER_BIG32},       {"big16", NUMBER_BIG16},
		{"big8", NUMBER_BYTE},         {"little64", NUMBER_LITTLE64},
		{"little32", NUMBER_LITTLE32}, {"little16", NUMBER_LITTLE16},
		{"little8", NUMBER_BYTE},      {"byte", NUMBER_BYTE},
		{"bool", NUMBER_BOOL},         {"number", NUMBER_ASCII},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) {
			*out = rows[i].format;
			return true;
		}
	}
	return false;
}

/* How many delimiters stand at either end of text; 0: their numbers differ or there are none. */
static size_t delimiters(const char *text, size_t len)
{
	size_t n = 0;

	if (len == 0 || !strchr("#[{(", text[0]))
		return 0;
	while (n < len && text[n] == text[0])
		n++;
	if (len < 2 * n)
		return 0;
	for (size_t i = 1; i <= n; i++)
		if (text[len - i] != closer_of(text[0]))
			return 0;
	return n;
}

char *format_modifier_wrapped(const struct format_token *t, const char *word, struct ks_why *why)
{
	size_t word_len = strlen(word);

	if (t->modifier_len < word_len || memcmp(t->modifier, word, word_len) != 0)
		return NULL;
	const char *p = t->modifier + word_len;
	size_t len = t->modifier_len - word_len, n = delimiters(p, len);
	if (n == 0) {
		ks_fail(why, ERR_INVALID_ARGUMENT,
			"%%%c{%s needs its argument between #...#, [...], (...) or {...}, as many "
			"of "
			"them before as behind",
			t->verb, word);
		return NULL;
	}
	char *text = xmalloc(len - 2 * n + 1);
	memcpy(text, p + n, len - 2 * n);
	text[len - 2 * n] = 0;
	return text;
}

/* properties.c - see properties.h. */
#include "server/properties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct scanner {
	const uint8_t *p, *end;
	int line;
	const char *name;
	struct ks_why *why;
	enum ks_err err;
};

static bool at_end(const struct scanner *s)
{
	return s->p == s->end;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(const struct scanner *s)
{
	return at_end(s) || *s->p == '\n' || *s->p == '\r';
}

/* Over one line end: \n, \r or both. */
static void skip_line_end(struct scanner *s)
{
	if (at_end(s))
		return;
	if (*s->p == '\r' && s->end - s->p > 1 && s->p[1] == '\n')
		s->p++;
	s->p++;
	s->line++;
}

/* Over blanks, and over line ends that a backslash takes away. */
static void skip_blanks(struct scanner *s)
{
	while (!at_end(s)) {
		if (is_blank(*s->p)) {
			s->p++;
		} else if (*s->p == '\\' && s->end - s->p > 1 &&
			   (s->p[1] == '\n' || s->p[1] == '\r')) {
			s->p++;
			skip_line_end(s);
		} else {
			return;
		}
	}
}

static void fail(struct scanner *s, const char *message)
{
	if (!s->err)
		s->err =
			ks_fail(s->why, ERR_INVALID_CONFIG, "%s:%d: %s", s->name, s->line, message);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 and failed when they are none. */
static int32_t read_unit(struct scanner *s)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int digit = at_end(s) ? -1 : hex_digit(*s->p);
		if (digit < 0) {
			fail(s, "\\u needs four hexadecimal digits");
			return -1;
		}
		v = v << 4 | digit;
		s->p++;
	}
	return v;
}

static void append_utf8(struct buf *b, int32_t c)
{
	if (c < 0x80) {
		buf_append_u8(b, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		buf_append_u8(b, (uint8_t)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_append_u8(b, (uint8_t)(0xe0 | c >> 12));
		buf_append_u8(b, (uint8_t)(0x80 | (c >> 6 & 63)));
	} else {
		buf_append_u8(b, (uint8_t)(0xf0 | c >> 18));
		buf_append_u8(b, (uint8_t)(0x80 | (c >> 12 & 63)));
		buf_append_u8(b, (uint8_t)(0x80 | (c >> 6 & 63)));
	}
	buf_append_u8(b, (uint8_t)(0x80 | (c & 63)));
}

/* Characters beyond 16 bits come as two units. */
static void read_character(struct scanner *s, struct buf *out)
{
	int32_t c = read_unit(s);

	if (c >= 0xd800 && c < 0xdc00 && s->end - s->p >= 2 && s->p[0] == '\\' && s->p[1] == 'u') {
		s->p += 2;
		int32_t low = read_unit(s);
		c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
						  : -1;
	}
	if (c <= 0 || (c >= 0xd800 && c < 0xe000))
		fail(s, "\\u names no character that may stand here");
	else
		append_utf8(out, c);
}

/* What stands behind a backslash. */
static void read_escape(struct scanner *s, struct buf *out)
{
	if (at_end(s))
		return; /* a lone one at the end says nothing */
	if (is_line_end(s)) {
		skip_line_end(s);
		while (!at_end(s) && is_blank(*s->p))
			s->p++;
		return;
	}
	uint8_t c = *s->p++;
	switch (c) {
	case 't':
		buf_append_u8(out, '\t');
		break;
	case 'n':
		buf_append_u8(out, '\n');
		break;
	case 'r':
		buf_append_u8(out, '\r');
		break;
	case 'f':
		buf_append_u8(out, '\f');
		break;
	case 'u':
		read_character(s, out);
		break;
	default:
		buf_append_u8(out, c);
	}
}

/* Up to the line's end; a key also up to a separator. */
static char *read_word(struct scanner *s, bool is_key)
{
	struct buf out = {0};

	while (!is_line_end(s) && !s->err) {
		uint8_t c = *s->p;
		if (is_key && (is_blank(c) || c == '=' || c == ':'))
			break;
		s->p++;
		if (c == '\\')
			read_escape(s, &out);
		else if (c == 0)
			fail(s, "a zero byte");
		else
			buf_append_u8(&out, c);
	}
	(void)buf_cstr(&out);
	return (char *)out.data;
}

static void read_property(struct scanner *s, struct properties *out)
{
	int line = s->line;
	char *key = read_word(s, true);

	skip_blanks(s);
	if (!at_end(s) && (*s->p == '=' || *s->p == ':')) {
		s->p++;
		skip_blanks(s);
	}
	char *value = read_word(s, false);
	if (out->count == out->cap) {
		out->cap = out->cap ? 2 * out->cap : 32;
		out->v = xrealloc(out->v, out->cap * sizeof *out->v);
	}
	out->v[out->count++] = (struct property){key, value, line};
}

enum ks_err properties_parse(struct slice text, const char *name, struct properties *out,
			     struct ks_why *why)
{
	struct scanner s = {text.data, text.data + text.len, 1, name, why, ERR_NONE};

	*out = (struct properties){.count = 0};
	if (text.len > PROPERTIES_BYTES_MAX)
		return ks_fail(why, ERR_TOO_LARGE, "%s: more than 1 MiB", name);
	while (!at_end(&s) && !s.err) {
		if (is_blank(*s.p)) {
			s.p++;
		} else if (is_line_end(&s)) {
			skip_line_end(&s);
		} else if (*s.p == '#' || *s.p == '!') {
			while (!is_line_end(&s))
				s.p++;
		} else {
			read_property(&s, out);
		}
	}
	if (s.err)
		properties_fini(out);
	return s.err;
}

enum ks_err properties_load(const char *path, struct properties *out, struct ks_why *why)
{
	struct buf text = {0};
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return ks_fail(why, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	do {
		buf_reserve(&text, 65536);
		n = fread(text.data + text.len, 1, 65536, f);
		text.len += n;
	} while (n > 0 && text.len <= PROPERTIES_BYTES_MAX);
	enum ks_err err =
		ferror(f) ? ks_fail(why, ERR_IO, "cannot read %s: %s", path, strerror(errno))
			  : ERR_NONE;
	fclose(f);
	if (!err)
		err = properties_parse(buf_slice(&text), path, out, why);
	buf_fini(&text);
	return err;
}

void properties_fini(struct properties *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct properties){.count = 0};
}

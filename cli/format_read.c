/* format_read.c - the percent language as input: a layout becomes steps that eat the input.
 *
 * A text field ends by its size (%K before %k), by what it is (a regular expression, a JSON value),
 * or where the text that follows it in the layout occurs next. A layout whose only newline ends it
 * reads lines: then no field looks for its delimiter beyond its own line, so that a line with a
 * missing delimiter is an error that names that line, and not a key that swallows the next one.
 */
#include "cli/format.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/encode.h"
#include "wire/batch.h"
#include "streams/doc.h"

#define FIELD_BYTES_MAX ((uint64_t)1 << 30) /* of a size that the input states */
#define HEADERS_MAX     ((uint64_t)1 << 20)
#define REGEX_BYTES_MIN ((size_t)1 << 12)
#define REGEX_BYTES_MAX ((size_t)1 << 16) /* how far a regular expression may look */

enum text_mode { TEXT_PLAIN, TEXT_HEX, TEXT_BASE64, TEXT_REGEX, TEXT_JSON };

struct step {
	char verb; /* 0: the text stands here exactly */
	enum number_format number;
	uint64_t constant; /* NUMBER_CONSTANT */
	enum text_mode mode;
	bool is_sized;
	bool has_regex;
	struct buf text; /* exact text, or the delimiter; an empty delimiter: up to the end */
	struct buf decoded;
	regex_t regex;
	struct format_reader *inner; /* %h */
};

enum size_of { SIZE_TOPIC, SIZE_KEY, SIZE_VALUE, SIZE_HEADERS, SIZE_COUNT };

struct format_reader {
	struct step *steps;
	size_t count;
	bool is_inner;
	bool has_terminator; /* reads lines; the steps then see the line alone */
	struct buf terminator;
	struct buf headers, matched;
	struct doc_parser *json; /* NULL: nothing was JSON so far */
	struct buf json_text;
	struct arena json_arena;
	bool seen_size[SIZE_COUNT], seen_field[SIZE_COUNT]; /* while compiling */
};

void format_reader_free(struct format_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++) {
		struct step *s = &r->steps[i];
		if (s->has_regex)
			regfree(&s->regex);
		buf_fini(&s->text);
		buf_fini(&s->decoded);
		format_reader_free(s->inner);
	}
	buf_fini(&r->terminator);
	buf_fini(&r->headers);
	buf_fini(&r->matched);
	doc_parser_free(r->json);
	buf_fini(&r->json_text);
	arena_fini(&r->json_arena);
	free(r->steps);
	free(r);
}

bool format_reader_has_topic(const struct format_reader *r)
{
	return r->seen_field[SIZE_TOPIC];
}

/* --- compiling --- */

static int size_index(char verb)
{
	static const char verbs[] = "tkvh";
	const char *p = strchr(verbs, verb | 0x20);

	return p ? (int)(p - verbs) : -1;
}

static bool is_text(char verb)
{
	return verb == 't' || verb == 'k' || verb == 'v';
}

static enum ks_err number_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	char digits[20], *end;

	if (!t->has_modifier)
		return ERR_NONE;
	if (format_number_named(t->modifier, t->modifier_len, &s->number) &&
	    s->number != NUMBER_HEX)
		return ERR_NONE;
	snprintf(digits, sizeof digits, "%.*s", (int)t->modifier_len, t->modifier);
	s->number = NUMBER_CONSTANT;
	s->constant = strtoull(digits, &end, 10);
	if (digits[0] >= '0' && digits[0] <= '9' && !*end)
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "unknown number format %%%c{%.*s} to read: ascii, hex4..64, big8..64, "
		       "little8..64, byte, bool and digits are known",
		       t->verb, (int)t->modifier_len, t->modifier);
}

/* POSIX knows no \d. */
static void append_pattern(const char *p, struct buf *out)
{
	bool is_bracket = false;

	buf_append_str(out, "^(");
	for (; *p; p++) {
		if (*p == '\\' && p[1] == 'd') {
			buf_append_str(out, is_bracket ? "0-9" : "[0-9]");
			p++;
			continue;
		}
		if (*p == '\\' && p[1] && !is_bracket) {
			buf_append(out, p++, 2);
			continue;
		}
		is_bracket = is_bracket ? *p != ']' : *p == '[';
		buf_append_u8(out, (uint8_t)*p);
	}
	buf_append_str(out, ")");
}

static enum ks_err regex_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	struct buf pattern = {0};
	char text[128];

	ks_fail(why, ERR_INVALID_ARGUMENT,
		"unknown text format %%%c{%.*s} to read: hex, base64, json and re#...# are known",
		t->verb, (int)t->modifier_len, t->modifier);
	char *expression = format_modifier_wrapped(t, "re", why);
	if (!expression)
		return ERR_INVALID_ARGUMENT;
	append_pattern(expression, &pattern);
	int code = regcomp(&s->regex, buf_cstr(&pattern), REG_EXTENDED | REG_NEWLINE);
	if (code) {
		regerror(code, &s->regex, text, sizeof text);
		ks_fail(why, ERR_INVALID_ARGUMENT, "bad regular expression \"%s\": %s", expression,
			text);
	}
	s->has_regex = code == 0;
	s->mode = TEXT_REGEX;
	buf_fini(&pattern);
	free(expression);
	return code ? ERR_INVALID_ARGUMENT : ERR_NONE;
}

static enum ks_err text_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	if (!t->has_modifier)
		return ERR_NONE;
	if (format_modifier_is(t, "hex"))
		s->mode = TEXT_HEX;
	else if (format_modifier_is(t, "base64"))
		s->mode = TEXT_BASE64;
	else if (format_modifier_is(t, "json"))
		s->mode = TEXT_JSON;
	else
		return regex_step(t, s, why);
	return ERR_NONE;
}

static enum ks_err compile(const char *layout, bool is_inner, struct format_reader **out,
			   struct ks_why *why);

static enum ks_err headers_step(const struct format_token *t, const struct format_reader *r,
				struct step *s, struct ks_why *why)
{
	if (!t->has_modifier)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%h needs the format of one header in braces, for instance "
			       "%%H{2}%%h{%%k=%%v }");
	if (!r->seen_size[SIZE_HEADERS])
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%h needs the number of headers before it: %%H, or %%H{2} for two");
	char *layout = xmalloc(t->modifier_len + 1);
	memcpy(layout, t->modifier, t->modifier_len);
	layout[t->modifier_len] = 0;
	enum ks_err err = compile(layout, true, &s->inner, why);
	free(layout);
	return err;
}

/* Every field once, every size before its field. */
static enum ks_err check_order(struct format_reader *r, char verb, struct ks_why *why)
{
	int i = size_index(verb);
	bool is_size = verb == 'T' || verb == 'K' || verb == 'V' || verb == 'H';

	if (i < 0)
		return ERR_NONE;
	if (r->is_inner && i != SIZE_KEY && i != SIZE_VALUE)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%%c means nothing within %%h{...}: %%k, %%K, %%v and %%V do",
			       verb);
	if (is_size && r->seen_field[i])
		return ks_fail(why, ERR_INVALID_ARGUMENT, "%%%c must come before %%%c", verb,
			       verb | 0x20);
	bool *seen = is_size ? &r->seen_size[i] : &r->seen_field[i];
	if (*seen)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "%%%c occurs twice in the format", verb);
	*seen = true;
	return ERR_NONE;
}

static enum ks_err compile_verb(struct format_reader *r, const struct format_token *t,
				struct step *s, struct ks_why *why)
{
	enum ks_err err = check_order(r, t->verb, why);

	if (err)
		return err;
	switch (t->verb) {
	case 'T':
	case 'K':
	case 'V':
	case 'H':
	case 'p':
	case 'o':
	case 'e':
	case 'd':
	case 'x':
	case 'y':
		return number_step(t, s, why);
	case 't':
	case 'k':
	case 'v':
		s->is_sized = r->seen_size[size_index(t->verb)];
		return text_step(t, s, why);
	case 'h':
		return headers_step(t, r, s, why);
	case 'i':
	case 'a':
	case '[':
	case '|':
	case ']':
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%%c can be written but not read: a producer does not set it",
			       t->verb);
	default:
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "unknown verb %%%c in a format; a percent sign is written %%%%",
			       t->verb);
	}
}

/* Does the field need the text that follows it to find its end? */
static bool needs_delimiter(const struct step *s)
{
	return is_text(s->verb) && !s->is_sized && s->mode != TEXT_REGEX && s->mode != TEXT_JSON;
}

static bool has_newline(const struct buf *text)
{
	return text->len && memchr(text->data, '\n', text->len);
}

/* Can this be part of a layout that reads lines? Its own length must not depend on the input's, and
 * it must not contain a newline. */
static bool stays_in_line(const struct format_reader *r, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct step *s = &r->steps[i];
		if (s->is_sized || s->mode == TEXT_REGEX || s->mode == TEXT_JSON ||
		    has_newline(&s->text))
			return false;
		if (s->number >= NUMBER_BIG64 && s->number <= NUMBER_LITTLE16)
			return false;
		if (s->inner && !stays_in_line(s->inner, s->inner->count))
			return false;
	}
	return true;
}

/* Moves the text that ends every line out of the last step. */
static void find_terminator(struct format_reader *r)
{
	struct step *last = &r->steps[r->count - 1];
	struct buf *text = &last->text;

	if (!text->len || text->data[text->len - 1] != '\n' ||
	    memchr(text->data, '\n', text->len - 1))
		return;
	struct buf terminator = *text;
	memset(text, 0, sizeof *text);
	if (!stays_in_line(r, r->count)) {
		*text = terminator;
		return;
	}
	r->terminator = terminator;
	r->has_terminator = true;
	if (!last->verb)
		r->count--;
}

static enum ks_err check_delimiters(const struct format_reader *r, struct ks_why *why)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct step *s = &r->steps[i];
		bool is_last = i + 1 == r->count && !r->is_inner;
		if (needs_delimiter(s) && !s->text.len && !is_last)
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       "where does %%%c end? Put its size (%%%c) before it or text "
				       "after it",
				       s->verb, s->verb & ~0x20);
	}
	return ERR_NONE;
}

static enum ks_err compile(const char *layout, bool is_inner, struct format_reader **out,
			   struct ks_why *why)
{
	struct format_reader *r = xcalloc(1, sizeof *r);
	struct format_token t;
	enum ks_err err = ERR_NONE;
	int got = 0;

	r->is_inner = is_inner;
	while (!err && (got = format_token_next(&layout, &t, why)) > 0) {
		struct step *before = r->count ? &r->steps[r->count - 1] : NULL;
		if (!t.verb && before && needs_delimiter(before)) {
			before->text = t.text;
			continue;
		}
		r->steps = xrealloc(r->steps, (r->count + 1) * sizeof *r->steps);
		struct step *s = &r->steps[r->count++];
		memset(s, 0, sizeof *s);
		s->verb = t.verb;
		s->text = t.text;
		if (t.verb)
			err = compile_verb(r, &t, s, why);
	}
	if (got < 0) {
		buf_fini(&t.text);
		err = ERR_INVALID_ARGUMENT;
	}
	if (!err && !r->count)
		err = ks_fail(why, ERR_INVALID_ARGUMENT, "the format is empty");
	if (!err)
		err = check_delimiters(r, why);
	if (err) {
		format_reader_free(r);
		return err;
	}
	if (!is_inner)
		find_terminator(r);
	*out = r;
	return ERR_NONE;
}

enum ks_err format_reader_new(const char *layout, struct format_reader **out, struct ks_why *why)
{
	return compile(layout, false, out, why);
}

/* --- reading --- */

/* Where one record's reading stands. */
struct walk {
	struct slice in;
	size_t pos;
	bool is_last;
	uint64_t sizes[SIZE_COUNT];
	struct ks_why *why;
};

static const char *field_name(const struct format_reader *r, char verb)
{
	switch (verb | 0x20) {
	case 't':
		return "topic";
	case 'k':
		return r->is_inner ? "header's name" : "key";
	case 'v':
		return r->is_inner ? "header's value" : "value";
	case 'h':
		return "number of headers";
	case 'p':
		return "partition";
	case 'd':
		return "timestamp";
	default:
		return "number";
	}
}

static struct slice rest(const struct walk *w)
{
	return slice_of(w->in.data + w->pos, w->in.len - w->pos);
}

static enum format_result bad(struct walk *w, const char *what, const char *name)
{
	ks_fail(w->why, ERR_MALFORMED, what, name);
	return FORMAT_BAD;
}

/* The text is not there yet; perhaps it comes. */
static enum format_result ended(struct walk *w, const char *what)
{
	if (!w->is_last)
		return FORMAT_MORE;
	ks_fail(w->why, ERR_MALFORMED, "the input ends within the %s", what);
	return FORMAT_BAD;
}

static const char *printable(const struct buf *text, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len && n + 6 < cap; i++) {
		uint8_t c = text->data[i];
		const char *name = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
		if (name)
			n += (size_t)snprintf(out + n, cap - n, "%s", name);
		else if (c < 0x20 || c >= 0x7f)
			n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = 0;
	return out;
}

static enum format_result read_exact(struct walk *w, const struct step *s, bool is_final)
{
	struct slice left = rest(w);
	size_t len = left.len < s->text.len ? left.len : s->text.len;
	char text[80];

	/* The newline behind the last record may be missing. */
	if (is_final && w->is_last && left.len == 0)
		return FORMAT_RECORD;
	if (len && memcmp(left.data, s->text.data, len) != 0)
		return bad(w, "\"%s\" should stand here", printable(&s->text, text, sizeof text));
	if (len < s->text.len) {
		if (!w->is_last)
			return FORMAT_MORE;
		return bad(w, "the input ends where \"%s\" should stand",
			   printable(&s->text, text, sizeof text));
	}
	w->pos += len;
	return FORMAT_RECORD;
}

static int digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum format_result read_ascii(struct walk *w, const char *name, uint64_t *out)
{
	struct slice left = rest(w);
	uint64_t n = 0;
	size_t i = 0;

	for (; i < left.len && left.data[i] >= '0' && left.data[i] <= '9'; i++) {
		if (n > (uint64_t)INT64_MAX / 10 - 1)
			return bad(w, "the %s is too large", name);
		n = n * 10 + (uint64_t)(left.data[i] - '0');
	}
	if (i == left.len && !w->is_last)
		return FORMAT_MORE;
	if (i == 0)
		return bad(w, "the %s should be digits", name);
	w->pos += i;
	*out = n;
	return FORMAT_RECORD;
}

static enum format_result read_bool(struct walk *w, const char *name, uint64_t *out)
{
	static const char *const words[] = {"false", "true"};
	struct slice left = rest(w);

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(words[i]);
		if (left.len >= len && memcmp(left.data, words[i], len) == 0) {
			*out = i;
			w->pos += len;
			return FORMAT_RECORD;
		}
	}
	if (left.len < 5)
		return ended(w, name);
	return bad(w, "the %s should be true or false", name);
}

/* Numbers of fixed width: hex digits, or bytes of either order. */
static enum format_result read_fixed(struct walk *w, enum number_format format, const char *name,
				     uint64_t *out)
{
	static const uint8_t widths[] = {
		[NUMBER_HEX64] = 16,   [NUMBER_HEX32] = 8,    [NUMBER_HEX16] = 4,
		[NUMBER_HEX8] = 2,     [NUMBER_HEX4] = 1,     [NUMBER_BIG64] = 8,
		[NUMBER_BIG32] = 4,    [NUMBER_BIG16] = 2,    [NUMBER_BYTE] = 1,
		[NUMBER_LITTLE64] = 8, [NUMBER_LITTLE32] = 4, [NUMBER_LITTLE16] = 2,
	};
	size_t width = widths[format];
	struct slice left = rest(w);
	uint64_t n = 0;

	if (left.len < width)
		return ended(w, name);
	for (size_t i = 0; i < width; i++) {
		bool is_little = format >= NUMBER_LITTLE64;
		uint8_t c = left.data[is_little ? width - 1 - i : i];
		if (format <= NUMBER_HEX4) {
			if (digit_of(c) < 0)
				return bad(w, "the %s should be hexadecimal digits", name);
			n = n << 4 | (uint64_t)digit_of(c);
		} else {
			n = n << 8 | c;
		}
	}
	w->pos += width;
	*out = n;
	return FORMAT_RECORD;
}

static enum format_result read_number(struct walk *w, const struct step *s, const char *name,
				      uint64_t *out)
{
	switch (s->number) {
	case NUMBER_ASCII:
		return read_ascii(w, name, out);
	case NUMBER_BOOL:
		return read_bool(w, name, out);
	case NUMBER_CONSTANT:
		*out = s->constant;
		return FORMAT_RECORD;
	default:
		return read_fixed(w, s->number, name, out);
	}
}

static enum format_result take_number(struct format_reader *r, struct walk *w, const struct step *s,
				      struct format_input *out)
{
	bool is_size = strchr("TKVH", s->verb);
	const char *name = field_name(r, s->verb);
	char text[40];
	uint64_t n = 0;

	if (is_size && s->verb != 'H')
		name = (snprintf(text, sizeof text, "%s's size", name), text);
	enum format_result got = read_number(w, s, name, &n);
	if (got != FORMAT_RECORD)
		return got;
	if (is_size) {
		if (n > (s->verb == 'H' ? HEADERS_MAX : FIELD_BYTES_MAX))
			return bad(w, "the %s is too large", name);
		w->sizes[size_index(s->verb)] = n;
	} else if (s->verb == 'p') {
		if (n > INT32_MAX)
			return bad(w, "the %s is too large", name);
		out->has_partition = true;
		out->partition = (int32_t)n;
	} else if (s->verb == 'd') {
		if (n > INT64_MAX)
			return bad(w, "the %s is too large", name);
		out->has_timestamp = true;
		out->timestamp = (int64_t)n;
	}
	return FORMAT_RECORD; /* %o %e %x %y are read and have no use: the broker gives them */
}

/* Matches at the start of text; -1: no match. The text is copied because regexec wants its NUL. */
static ptrdiff_t match_length(struct format_reader *r, const struct step *s, struct slice text)
{
	regmatch_t match = {.rm_so = 0, .rm_eo = (regoff_t)text.len};

	buf_clear(&r->matched);
	buf_append(&r->matched, text.data, text.len);
	if (regexec(&s->regex, buf_cstr(&r->matched), 1, &match, REG_STARTEND) != 0)
		return -1;
	return match.rm_so == 0 ? (ptrdiff_t)match.rm_eo : -1;
}

static enum format_result read_regex(struct format_reader *r, struct walk *w, const struct step *s,
				     const char *name, struct slice *out)
{
	struct slice left = rest(w);
	ptrdiff_t len = -1;

	/* Most matches are short; a match that ends with the window might be longer. */
	for (size_t window = REGEX_BYTES_MIN;; window = REGEX_BYTES_MAX) {
		struct slice text = slice_of(left.data, left.len < window ? left.len : window);
		len = text.data ? match_length(r, s, text) : -1;
		if (len >= 0 && (size_t)len < text.len)
			break;
		if (text.len == left.len && !w->is_last && text.len < REGEX_BYTES_MAX)
			return FORMAT_MORE; /* more input might match, or match longer */
		if (text.len == left.len || window == REGEX_BYTES_MAX)
			break;
	}
	if (len < 0)
		return bad(w, "the %s does not match its regular expression", name);
	*out = slice_of(left.data, (size_t)len);
	w->pos += out->len;
	return FORMAT_RECORD;
}

static enum format_result read_json(struct walk *w, const char *name, struct slice *out)
{
	struct slice left = rest(w);
	ptrdiff_t len = json_value_length(left, w->is_last);

	if (len < 0)
		return ended(w, name);
	if (len == 0)
		return bad(w, "the %s is not JSON", name);
	*out = slice_of(left.data, (size_t)len);
	w->pos += (size_t)len;
	return FORMAT_RECORD;
}

static enum format_result read_delimited(struct walk *w, const struct step *s, const char *name,
					 bool is_final, struct slice *out)
{
	struct slice left = rest(w);
	const uint8_t *end = NULL;
	char text[80];

	if (s->text.len == 1)
		end = left.len ? memchr(left.data, s->text.data[0], left.len) : NULL;
	else if (s->text.len)
		end = memmem(left.data, left.len, s->text.data, s->text.len);
	if (end) {
		*out = slice_of(left.data, (size_t)(end - left.data));
		w->pos += out->len + s->text.len;
		return FORMAT_RECORD;
	}
	if (!w->is_last)
		return FORMAT_MORE;
	if (!is_final) {
		ks_fail(w->why, ERR_MALFORMED, "no \"%s\" behind the %s",
			printable(&s->text, text, sizeof text), name);
		return FORMAT_BAD;
	}
	*out = left;
	w->pos = w->in.len;
	return FORMAT_RECORD;
}

static enum format_result read_sized(struct walk *w, uint64_t size, const char *name,
				     struct slice *out)
{
	struct slice left = rest(w);

	if (left.len < size)
		return ended(w, name);
	*out = slice_of(left.data, (size_t)size);
	w->pos += (size_t)size;
	return FORMAT_RECORD;
}

/* What read_json found ends where a value would; this says whether it is one. */
static enum format_result check_json(struct format_reader *r, struct walk *w, const char *name,
				     struct slice text)
{
	struct ks_why why = {""};
	struct doc *doc;

	if (!r->json)
		r->json = doc_parser_new();
	buf_clear(&r->json_text); /* a parser reads beyond the end */
	buf_append(&r->json_text, text.data, text.len);
	arena_reset(&r->json_arena);
	if (!doc_parse(r->json, &r->json_arena, buf_slice(&r->json_text), &doc, &why))
		return FORMAT_RECORD;
	ks_fail(w->why, ERR_MALFORMED, "the %s: %s", name, why.text);
	return FORMAT_BAD;
}

/* Undoes the encoding of a field that was read. */
static enum format_result decode(struct format_reader *r, struct walk *w, struct step *s,
				 const char *name, struct slice *text)
{
	buf_clear(&s->decoded);
	buf_reserve(&s->decoded, 1); /* never null */
	switch (s->mode) {
	case TEXT_PLAIN:
	case TEXT_REGEX:
		return FORMAT_RECORD;
	case TEXT_HEX:
		if (!hex_decode(*text, &s->decoded))
			return bad(w, "the %s is not hexadecimal", name);
		break;
	case TEXT_BASE64:
		if (!base64_decode(*text, &s->decoded))
			return bad(w, "the %s is not base64", name);
		break;
	case TEXT_JSON:
		if (check_json(r, w, name, *text) != FORMAT_RECORD)
			return FORMAT_BAD;
		json_compact(*text, &s->decoded);
		break;
	}
	*text = buf_slice(&s->decoded);
	return FORMAT_RECORD;
}

static enum format_result take_text(struct format_reader *r, struct walk *w, struct step *s,
				    bool is_final, struct format_input *out)
{
	const char *name = field_name(r, s->verb);
	size_t start = w->pos;
	struct slice text = SLICE_NULL;
	enum format_result got;

	if (s->is_sized)
		got = read_sized(w, w->sizes[size_index(s->verb)], name, &text);
	else if (s->mode == TEXT_REGEX)
		got = read_regex(r, w, s, name, &text);
	else if (s->mode == TEXT_JSON)
		got = read_json(w, name, &text);
	else
		got = read_delimited(w, s, name, is_final, &text);
	if (got != FORMAT_RECORD)
		return got;
	got = decode(r, w, s, name, &text);
	if (got != FORMAT_RECORD) {
		w->pos = start;
		return got;
	}
	if (!text.data)
		text.data = (const uint8_t *)""; /* empty, not null */
	if (s->verb == 't') {
		out->has_topic = true;
		out->topic = text;
	} else if (s->verb == 'k') {
		out->has_key = true;
		out->key = text;
	} else {
		out->value = text;
	}
	return FORMAT_RECORD;
}

static enum format_result run(struct format_reader *r, struct walk *w, struct format_input *out);

static enum format_result take_headers(struct format_reader *r, struct walk *w, struct step *s,
				       struct format_input *out)
{
	buf_clear(&r->headers);
	for (uint64_t i = 0; i < w->sizes[SIZE_HEADERS]; i++) {
		struct format_input header = {0};
		struct walk inner = {
			.in = w->in, .pos = w->pos, .is_last = w->is_last, .why = w->why};
		enum format_result got = run(s->inner, &inner, &header);
		w->pos = inner.pos;
		if (got != FORMAT_RECORD)
			return got;
		struct slice name = header.has_key ? header.key : slice_str("");
		record_header_append(&r->headers, name, header.value);
		out->header_count++;
	}
	out->headers = buf_slice(&r->headers);
	return FORMAT_RECORD;
}

static enum format_result run(struct format_reader *r, struct walk *w, struct format_input *out)
{
	enum format_result got = FORMAT_RECORD;

	for (size_t i = 0; i < r->count && got == FORMAT_RECORD; i++) {
		struct step *s = &r->steps[i];
		bool is_final = i + 1 == r->count && !r->is_inner;
		if (!s->verb)
			got = read_exact(w, s, is_final);
		else if (is_text(s->verb))
			got = take_text(r, w, s, is_final, out);
		else if (s->verb == 'h')
			got = take_headers(r, w, s, out);
		else
			got = take_number(r, w, s, out);
	}
	return got;
}

/* The bytes of the next line, *len without its terminator. */
static bool find_line(const struct format_reader *r, struct slice in, bool is_last, size_t *len,
		      size_t *with_terminator)
{
	const struct buf *t = &r->terminator;
	const uint8_t *end = t->len == 1 ? memchr(in.data, t->data[0], in.len)
					 : memmem(in.data, in.len, t->data, t->len);

	if (!end && !is_last)
		return false;
	*len = end ? (size_t)(end - in.data) : in.len;
	*with_terminator = *len + (end ? t->len : 0);
	return true;
}

static bool is_blank(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n", text.data[i]) || !text.data[i])
			return false;
	return true;
}

enum format_result format_read(struct format_reader *r, struct slice input, bool is_last,
			       size_t *consumed, struct format_input *out, struct ks_why *why)
{
	struct walk w = {.in = input, .is_last = is_last, .why = why};
	size_t with_terminator = 0;

	*consumed = 0;
	memset(out, 0, sizeof *out);
	out->value = slice_str("");
	if (input.len == 0)
		return is_last ? FORMAT_END : FORMAT_MORE;
	if (r->has_terminator) {
		if (!find_line(r, input, is_last, &w.in.len, &with_terminator))
			return FORMAT_MORE;
		w.is_last = true;
	} else if (is_last && r->steps[0].mode == TEXT_JSON && is_blank(input)) {
		return FORMAT_END;
	}
	enum format_result got = run(r, &w, out);
	if (got == FORMAT_RECORD && r->has_terminator && w.pos != w.in.len)
		got = bad(&w, "%s stands between the record and the end of the line", "something");
	if (got == FORMAT_RECORD && r->has_terminator)
		w.pos = with_terminator;
	if (got == FORMAT_RECORD && w.pos == 0)
		got = bad(&w, "the format reads nothing, for ever%s", "");
	*consumed = w.pos;
	return got;
}

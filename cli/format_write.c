/* format_write.c - the percent language as output: a layout becomes a list of small steps. */
#include "cli/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/encode.h"
#include "wire/batch.h"

enum text_mode { TEXT_PLAIN, TEXT_HEX, TEXT_BASE64, TEXT_BASE64_RAW, TEXT_JSON, TEXT_UNPACK };
enum attribute { ATTR_COMPRESSION, ATTR_TIMESTAMP_TYPE, ATTR_TRANSACTIONAL, ATTR_CONTROL };

struct step {
	char verb; /* 0: literal text */
	enum number_format number;
	enum text_mode mode;
	enum attribute attribute;
	bool as_name;                /* %a{compression}: as text */
	char *argument;              /* of strftime and unpack */
	struct buf text;             /* literal */
	struct format_writer *inner; /* %h */
};

struct format_writer {
	struct step *steps;
	size_t count;
	int64_t calls; /* %i */
};

void format_writer_free(struct format_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->count; i++) {
		free(w->steps[i].argument);
		buf_fini(&w->steps[i].text);
		format_writer_free(w->steps[i].inner);
	}
	free(w->steps);
	free(w);
}

/* --- compiling --- */

static enum ks_err number_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	s->number = NUMBER_ASCII;
	if (!t->has_modifier || format_number_named(t->modifier, t->modifier_len, &s->number))
		return ERR_NONE;
	return ks_fail(
		why, ERR_INVALID_ARGUMENT,
		"unknown number format %%%c{%.*s}: ascii, hex, hex4..64, big8..64, little8..64, "
		"byte and bool are known",
		t->verb, (int)t->modifier_len, t->modifier);
}

static enum ks_err check_unpack(const char *layout, struct ks_why *why)
{
	for (const char *p = layout; *p; p++) {
		if (!strchr("x<>bBhHiIqQc.s$", *p))
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       "unknown character '%c' in unpack[%s]", *p, layout);
		if ((*p == '$' && p[1]) || (*p == 's' && p[1] && strcmp(p + 1, "$") != 0))
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       "nothing may follow '%c' in unpack[%s]", *p, layout);
	}
	return ERR_NONE;
}

static enum ks_err text_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	static const struct {
		const char *name;
		enum text_mode mode;
	} rows[] = {{"hex", TEXT_HEX},
		    {"base64", TEXT_BASE64},
		    {"base64raw", TEXT_BASE64_RAW},
		    {"json", TEXT_JSON}};

	if (!t->has_modifier)
		return ERR_NONE;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (format_modifier_is(t, rows[i].name)) {
			s->mode = rows[i].mode;
			return ERR_NONE;
		}
	}
	ks_fail(why, ERR_INVALID_ARGUMENT,
		"unknown text format %%%c{%.*s}: hex, base64, base64raw, json and unpack[...] are "
		"known",
		t->verb, (int)t->modifier_len, t->modifier);
	s->argument = format_modifier_wrapped(t, "unpack", why);
	if (!s->argument)
		return ERR_INVALID_ARGUMENT;
	s->mode = TEXT_UNPACK;
	return check_unpack(s->argument, why);
}

static enum ks_err time_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	if (!t->has_modifier || format_number_named(t->modifier, t->modifier_len, &s->number))
		return ERR_NONE;
	if (t->modifier_len >= 2 && memcmp(t->modifier, "go", 2) == 0)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%d{go...} is not supported: write the time with strftime, for "
			       "instance %%d{strftime[%%FT%%TZ]}");
	ks_fail(why, ERR_INVALID_ARGUMENT,
		"unknown time format %%d{%.*s}: strftime[...] and the number formats are known",
		(int)t->modifier_len, t->modifier);
	s->argument = format_modifier_wrapped(t, "strftime", why);
	return s->argument ? ERR_NONE : ERR_INVALID_ARGUMENT;
}

static enum ks_err attribute_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	static const char *const names[] = {
		[ATTR_COMPRESSION] = "compression",
		[ATTR_TIMESTAMP_TYPE] = "timestamp-type",
		[ATTR_TRANSACTIONAL] = "transactional-bit",
		[ATTR_CONTROL] = "control-bit",
	};
	const char *semicolon = t->has_modifier ? memchr(t->modifier, ';', t->modifier_len) : NULL;
	size_t len = semicolon ? (size_t)(semicolon - t->modifier) : t->modifier_len;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!t->has_modifier || strlen(names[i]) != len ||
		    memcmp(names[i], t->modifier, len) != 0)
			continue;
		s->attribute = (enum attribute)i;
		s->as_name = i == ATTR_COMPRESSION && !semicolon;
		if (!semicolon ||
		    format_number_named(semicolon + 1, t->modifier_len - len - 1, &s->number))
			return ERR_NONE;
		return ks_fail(why, ERR_INVALID_ARGUMENT, "unknown number format in %%a{%.*s}",
			       (int)t->modifier_len, t->modifier);
	}
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "%%a needs one of {compression}, {timestamp-type}, {transactional-bit} and "
		       "{control-bit}");
}

static enum ks_err headers_step(const struct format_token *t, struct step *s, struct ks_why *why)
{
	if (!t->has_modifier)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "%%h needs the format of one header in braces, for instance "
			       "%%h{%%k=%%v }");
	char *layout = xmalloc(t->modifier_len + 1);
	memcpy(layout, t->modifier, t->modifier_len);
	layout[t->modifier_len] = 0;
	enum ks_err err = format_writer_new(layout, &s->inner, why);
	free(layout);
	return err;
}

static enum ks_err compile_verb(const struct format_token *t, struct step *s, struct ks_why *why)
{
	switch (t->verb) {
	case 'T':
	case 'K':
	case 'V':
	case 'H':
	case 'p':
	case 'o':
	case 'e':
	case 'i':
	case 'x':
	case 'y':
	case '[':
	case '|':
	case ']':
		return number_step(t, s, why);
	case 't':
	case 'k':
	case 'v':
		return text_step(t, s, why);
	case 'd':
		return time_step(t, s, why);
	case 'a':
		return attribute_step(t, s, why);
	case 'h':
		return headers_step(t, s, why);
	default:
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "unknown verb %%%c in a format; a percent sign is written %%%%",
			       t->verb);
	}
}

enum ks_err format_writer_new(const char *layout, struct format_writer **out, struct ks_why *why)
{
	struct format_writer *w = xcalloc(1, sizeof *w);
	struct format_token t;
	enum ks_err err = ERR_NONE;
	int got = 0;

	while (!err && (got = format_token_next(&layout, &t, why)) > 0) {
		w->steps = xrealloc(w->steps, (w->count + 1) * sizeof *w->steps);
		struct step *s = &w->steps[w->count++];
		memset(s, 0, sizeof *s);
		s->verb = t.verb;
		s->text = t.text; /* moves */
		if (t.verb)
			err = compile_verb(&t, s, why);
	}
	if (got < 0) {
		buf_fini(&t.text);
		err = ERR_INVALID_ARGUMENT;
	}
	if (err) {
		format_writer_free(w);
		return err;
	}
	*out = w;
	return ERR_NONE;
}

/* --- writing --- */

static void write_bytes(struct buf *out, uint64_t n, int bytes, bool is_little)
{
	for (int i = 0; i < bytes; i++)
		buf_append_u8(out, (uint8_t)(n >> 8 * (is_little ? i : bytes - 1 - i)));
}

static void write_number(struct buf *out, enum number_format format, int64_t number)
{
	uint64_t n = (uint64_t)number;

	switch (format) {
	case NUMBER_HEX:
		buf_printf(out, "%llx", (unsigned long long)n);
		break;
	case NUMBER_HEX64:
		buf_printf(out, "%016llx", (unsigned long long)n);
		break;
	case NUMBER_HEX32:
		buf_printf(out, "%08x", (unsigned)n);
		break;
	case NUMBER_HEX16:
		buf_printf(out, "%04x", (unsigned)(n & 0xffff));
		break;
	case NUMBER_HEX8:
		buf_printf(out, "%02x", (unsigned)(n & 0xff));
		break;
	case NUMBER_HEX4:
		buf_printf(out, "%x", (unsigned)(n & 0xf));
		break;
	case NUMBER_BIG64:
	case NUMBER_LITTLE64:
		write_bytes(out, n, 8, format == NUMBER_LITTLE64);
		break;
	case NUMBER_BIG32:
	case NUMBER_LITTLE32:
		write_bytes(out, n, 4, format == NUMBER_LITTLE32);
		break;
	case NUMBER_BIG16:
	case NUMBER_LITTLE16:
		write_bytes(out, n, 2, format == NUMBER_LITTLE16);
		break;
	case NUMBER_BYTE:
		write_bytes(out, n, 1, false);
		break;
	case NUMBER_BOOL:
		buf_append_str(out, n ? "true" : "false");
		break;
	case NUMBER_ASCII:
	case NUMBER_CONSTANT:
		decimal_append(out, number);
		break;
	}
}

/* One integer of unpack: its width by the letter's place, signed when it is lower case. */
static struct slice unpack_integer(struct slice in, char letter, bool is_little, struct buf *out)
{
	static const char letters[] = "bhiq";
	bool is_signed = letter >= 'a';
	size_t width = (size_t)1 << (strchr(letters, letter | 0x20) - letters);
	uint64_t n = 0;

	if (in.len < width) {
		buf_printf(out, "%%!%c(have %zu bytes, need %zu)", letter, in.len, width);
		return slice_of(in.data, 0);
	}
	for (size_t i = 0; i < width; i++)
		n = n << 8 | in.data[is_little ? width - 1 - i : i];
	if (is_signed) {
		unsigned unused = (unsigned)(64 - 8 * width);
		decimal_append(out, (int64_t)(n << unused) >> unused);
	} else {
		buf_printf(out, "%llu", (unsigned long long)n);
	}
	return slice_of(in.data + width, in.len - width);
}

static void unpack(struct slice in, const char *layout, struct buf *out)
{
	bool is_little = true;

	for (const char *p = layout; *p; p++) {
		switch (*p) {
		case 'x':
			break;
		case '<':
		case '>':
			is_little = *p == '<';
			break;
		case 'c':
		case '.':
			if (in.len == 0) {
				buf_printf(out, "%%!%c(no bytes left)", *p);
				break;
			}
			buf_append_u8(out, in.data[0]);
			in = slice_of(in.data + 1, in.len - 1);
			break;
		case 's':
			if (in.len)
				buf_append(out, in.data, in.len);
			in.len = 0;
			break;
		case '$':
			if (in.len)
				buf_printf(out, "%%!$(%zu bytes left)", in.len);
			break;
		default:
			in = unpack_integer(in, *p, is_little, out);
		}
	}
}

static void write_text(const struct step *s, struct slice text, struct buf *out)
{
	switch (s->mode) {
	case TEXT_PLAIN:
		if (text.len)
			buf_append(out, text.data, text.len);
		break;
	case TEXT_HEX:
		hex_encode(text, out);
		break;
	case TEXT_BASE64:
	case TEXT_BASE64_RAW:
		base64_encode(text, s->mode == TEXT_BASE64, out);
		break;
	case TEXT_JSON:
		json_append_bytes(out, text);
		break;
	case TEXT_UNPACK:
		unpack(text, s->argument, out);
		break;
	}
}

static void write_time(const struct step *s, int64_t timestamp, struct buf *out)
{
	char text[256];
	time_t seconds = (time_t)(timestamp / 1000 - (timestamp % 1000 < 0));
	struct tm tm;

	if (!s->argument) {
		write_number(out, s->number, timestamp);
		return;
	}
	if (gmtime_r(&seconds, &tm))
		buf_append(out, text, strftime(text, sizeof text, s->argument, &tm));
}

static void write_attribute(const struct step *s, uint16_t attributes, struct buf *out)
{
	static const struct {
		int shift, mask;
	} bits[] = {
		[ATTR_COMPRESSION] = {0, 7},
		[ATTR_TIMESTAMP_TYPE] = {3, 1},
		[ATTR_TRANSACTIONAL] = {4, 1},
		[ATTR_CONTROL] = {5, 1},
	};
	int value = attributes >> bits[s->attribute].shift & bits[s->attribute].mask;

	if (s->as_name)
		buf_append_str(out,
			       value < CODEC_COUNT ? codec_name((enum codec)value) : "unknown");
	else
		write_number(out, s->number, value);
}

static void write_headers(struct format_writer *inner, const struct format_record *r,
			  struct buf *out)
{
	struct slice left = r->headers;
	struct record_header h;

	while (record_header_next(&left, &h) > 0) {
		struct format_record as_record = *r;
		as_record.key = h.name;
		as_record.value = h.value;
		format_write(inner, &as_record, out);
	}
}

static int64_t number_of(struct format_writer *w, char verb, const struct format_record *r)
{
	switch (verb) {
	case 'T':
		return (int64_t)strlen(r->topic);
	case 'K':
		return (int64_t)r->key.len;
	case 'V':
		return (int64_t)r->value.len;
	case 'H':
		return r->header_count;
	case 'p':
		return r->partition;
	case 'o':
		return r->offset;
	case 'e':
		return r->leader_epoch;
	case 'i':
		return w->calls;
	case 'x':
		return r->producer_id;
	case 'y':
		return r->producer_epoch;
	case '[':
		return r->log_start_offset;
	case '|':
		return r->last_stable_offset;
	default:
		return r->high_watermark;
	}
}

void format_write(struct format_writer *w, const struct format_record *r, struct buf *out)
{
	w->calls++;
	for (size_t i = 0; i < w->count; i++) {
		struct step *s = &w->steps[i];
		switch (s->verb) {
		case 0:
			buf_append(out, s->text.data, s->text.len);
			break;
		case 't':
			write_text(s, slice_str(r->topic), out);
			break;
		case 'k':
			write_text(s, r->key, out);
			break;
		case 'v':
			write_text(s, r->value, out);
			break;
		case 'd':
			write_time(s, r->timestamp, out);
			break;
		case 'a':
			write_attribute(s, r->attributes, out);
			break;
		case 'h':
			write_headers(s->inner, r, out);
			break;
		default:
			write_number(out, s->number, number_of(w, s->verb, r));
		}
	}
}

/* record_print.c - see record_print.h. */
#include "cli/record_print.h"

#include <time.h>

#include "cli/encode.h"
#include "wire/batch.h"

/* Begins a member: the comma before it, its place, its name. depth 0: within the record itself. */
static void member(struct buf *out, struct json_style style, bool is_first, int depth,
		   const char *name)
{
	if (!is_first)
		buf_append_u8(out, ',');
	if (style.is_pretty) {
		buf_append_u8(out, '\n');
		for (int i = 0; i <= depth; i++)
			buf_append_str(out, "  ");
	}
	buf_append_u8(out, '"');
	buf_append_str(out, name);
	buf_append_str(out, style.is_pretty ? "\": " : "\":");
}

/* "name": text, or base64 with "name_encoding" behind it. */
static void text_member(struct buf *out, struct json_style style, bool is_first, int depth,
			const char *name, struct slice text)
{
	member(out, style, is_first, depth, name);
	if (!text.data) {
		buf_append_str(out, "null");
	} else if (utf8_is_valid(text)) {
		json_append_string(out, text);
	} else {
		char encoding[32];
		buf_append_u8(out, '"');
		base64_encode(text, true, out);
		buf_append_u8(out, '"');
		memcpy(encoding, name, strlen(name) + 1);
		strcat(encoding, "_encoding");
		member(out, style, false, depth, encoding);
		buf_append_str(out, "\"base64\"");
	}
}

static void close_brace(struct buf *out, struct json_style style, int depth, char brace)
{
	if (style.is_pretty) {
		buf_append_u8(out, '\n');
		for (int i = 0; i < depth; i++)
			buf_append_str(out, "  ");
	}
	buf_append_u8(out, (uint8_t)brace);
}

static void headers_member(struct buf *out, struct json_style style, struct slice headers)
{
	struct record_header h;
	bool is_first = true;

	member(out, style, false, 0, "headers");
	buf_append_u8(out, '[');
	while (record_header_next(&headers, &h) > 0) {
		if (!is_first)
			buf_append_u8(out, ',');
		if (style.is_pretty)
			buf_append_str(out, "\n    ");
		buf_append_u8(out, '{');
		text_member(out, style, true, 2, "key", h.name);
		text_member(out, style, false, 2, "value", h.value);
		close_brace(out, style, 2, '}');
		is_first = false;
	}
	close_brace(out, style, 1, ']');
}

static void number_member(struct buf *out, struct json_style style, const char *name, int64_t n)
{
	member(out, style, false, 0, name);
	decimal_append(out, n);
}

void record_print_json(const struct format_record *r, struct json_style style, struct buf *out)
{
	buf_append_u8(out, '{');
	text_member(out, style, true, 0, "topic", slice_str(r->topic));
	text_member(out, style, false, 0, "key", r->key);
	if (style.is_meta)
		number_member(out, style, "value_size", (int64_t)r->value.len);
	else
		text_member(out, style, false, 0, "value", r->value);
	if (r->header_count)
		headers_member(out, style, r->headers);
	number_member(out, style, "timestamp", r->timestamp);
	number_member(out, style, "partition", r->partition);
	number_member(out, style, "offset", r->offset);
	close_brace(out, style, 0, '}');
	buf_append_u8(out, '\n');
}

/* --- kcat's --- */

static void item(struct buf *out, struct json_style style, bool is_first, struct slice text)
{
	if (!is_first)
		buf_append_u8(out, ',');
	if (style.is_pretty)
		buf_append_str(out, "\n    ");
	json_append_bytes(out, text);
}

/* Names and values in turn. */
static void flat_headers(struct buf *out, struct json_style style, struct slice headers)
{
	struct record_header h;
	bool is_first = true;

	member(out, style, false, 0, "headers");
	buf_append_u8(out, '[');
	while (record_header_next(&headers, &h) > 0) {
		item(out, style, is_first, h.name);
		item(out, style, false, h.value);
		is_first = false;
	}
	close_brace(out, style, 1, ']');
}

void record_print_kcat(const struct format_record *r, struct json_style style, struct buf *out)
{
	bool is_append_time = r->attributes & 8;

	buf_append_u8(out, '{');
	text_member(out, style, true, 0, "topic", slice_str(r->topic));
	number_member(out, style, "partition", r->partition);
	number_member(out, style, "offset", r->offset);
	text_member(out, style, false, 0, "tstype",
		    slice_str(is_append_time ? "logappend" : "create"));
	number_member(out, style, "ts", r->timestamp);
	number_member(out, style, "broker", r->broker);
	if (r->header_count)
		flat_headers(out, style, r->headers);
	text_member(out, style, false, 0, "key", r->key);
	text_member(out, style, false, 0, "payload", r->value);
	close_brace(out, style, 0, '}');
	buf_append_u8(out, '\n');
}

/* --- for people --- */

static void visible(struct buf *out, struct slice text, const char *null_text)
{
	bool is_text = utf8_is_valid(text);

	if (!text.data)
		buf_append_str(out, null_text);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_text))
			buf_printf(out, "\\x%02x", c);
		else
			buf_append_u8(out, c);
	}
}

static void print_time(struct buf *out, int64_t timestamp)
{
	time_t seconds = (time_t)(timestamp / 1000);
	char text[32];
	struct tm tm;

	if (timestamp < 0 || !gmtime_r(&seconds, &tm)) {
		buf_append_u8(out, '-');
		return;
	}
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(out, "%s.%03dZ", text, (int)(timestamp % 1000));
}

void record_print_line(const struct format_record *r, bool has_colour, struct buf *out)
{
	struct slice left = r->headers;
	struct record_header h;

	buf_printf(out, "%s%s/%d %lld ", has_colour ? "\033[2m" : "", r->topic, r->partition,
		   (long long)r->offset);
	print_time(out, r->timestamp);
	buf_append_str(out, has_colour ? "\033[0m " : " ");
	if (r->key.data) {
		buf_append_str(out, has_colour ? "\033[36m" : "");
		visible(out, r->key, "");
		buf_append_str(out, has_colour ? "\033[0m " : " ");
	}
	while (record_header_next(&left, &h) > 0) {
		buf_append_u8(out, '[');
		visible(out, h.name, "");
		buf_append_u8(out, '=');
		visible(out, h.value, "(null)");
		buf_append_str(out, "] ");
	}
	visible(out, r->value, "(null)");
	buf_append_u8(out, '\n');
}

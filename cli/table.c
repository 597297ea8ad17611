/* table.c - see table.h. */
#include "cli/table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/encode.h"

struct table {
	const struct column *columns;
	size_t column_count;
	char **cells; /* row after row; NULL: none */
	size_t cell_count;
};

int output_from_name(const char *name)
{
	static const char *const names[] = {"text", "wide", "json"};

	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

struct table *table_new(const struct column *columns, size_t count)
{
	struct table *t = xcalloc(1, sizeof *t);

	t->columns = columns;
	t->column_count = count;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cell_count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static void add_cell(struct table *t, char *text)
{
	/* Grows by doubling, at powers of two. */
	if ((t->cell_count & (t->cell_count - 1)) == 0)
		t->cells = xrealloc(t->cells,
				    (t->cell_count ? t->cell_count * 2 : 1) * sizeof *t->cells);
	t->cells[t->cell_count++] = text;
}

/* Names are UTF-8; what is not has no place in JSON. */
void table_text(struct table *t, const char *text)
{
	char *copy = text ? xstrdup(text) : NULL;

	if (copy && !utf8_is_valid(slice_str(copy)))
		for (char *p = copy; *p; p++)
			if (*p & 0x80)
				*p = '?';
	add_cell(t, copy);
}

void table_number(struct table *t, int64_t number)
{
	add_cell(t, xasprintf("%lld", (long long)number));
}

void table_number_or_none(struct table *t, int64_t number)
{
	if (number < 0)
		table_text(t, NULL);
	else
		table_number(t, number);
}

void table_bool(struct table *t, bool b)
{
	add_cell(t, xstrdup(b ? "true" : "false"));
}

size_t table_rows(const struct table *t)
{
	return t->cell_count / t->column_count;
}

/* Characters, not bytes: UTF-8's following bytes take no room. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static const char *shown(const char *cell)
{
	return cell ? cell : "-";
}

/* A control character of a name could move the cursor of whoever looks at the table. */
static void write_shown(const char *text, struct buf *out)
{
	for (; *text; text++) {
		uint8_t c = (uint8_t)*text, next = (uint8_t)text[1];
		bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
		buf_append_u8(out, c < 0x20 || c == 0x7f || is_c1 ? '?' : c);
		text += is_c1;
	}
}

static void write_cell(const char *text, size_t width, bool is_right, bool is_end, struct buf *out)
{
	size_t pad = width - width_of(text);

	for (size_t i = 0; is_right && i < pad; i++)
		buf_append_u8(out, ' ');
	write_shown(text, out);
	for (size_t i = 0; !is_right && !is_end && i < pad; i++)
		buf_append_u8(out, ' ');
}

static bool has_header = true;

void table_header(bool is_wanted)
{
	has_header = is_wanted;
}

void table_write_text(const struct table *t, bool is_wide, struct buf *out)
{
	size_t *widths = xcalloc(t->column_count, sizeof *widths), end = 0;

	for (size_t c = 0; c < t->column_count; c++) {
		widths[c] = has_header ? width_of(t->columns[c].name) : 0;
		for (size_t i = c; i < t->cell_count; i += t->column_count)
			if (width_of(shown(t->cells[i])) > widths[c])
				widths[c] = width_of(shown(t->cells[i]));
		if (is_wide || !t->columns[c].is_wide)
			end = c;
	}
	for (size_t row = has_header ? 0 : 1; row <= table_rows(t); row++) {
		for (size_t c = 0; c <= end; c++) {
			if (t->columns[c].is_wide && !is_wide)
				continue;
			const char *text = row ? shown(t->cells[(row - 1) * t->column_count + c])
					       : t->columns[c].name;
			if (c)
				buf_append_str(out, "  ");
			write_cell(text, widths[c], t->columns[c].type == CELL_NUMBER, c == end,
				   out);
		}
		buf_append_u8(out, '\n');
	}
	free(widths);
}

static void write_json_name(const char *name, struct buf *out)
{
	buf_append_u8(out, '"');
	for (; *name; name++)
		buf_append_u8(out, *name == '-' || *name == ' '
					   ? '_'
					   : (uint8_t)tolower((unsigned char)*name));
	buf_append_str(out, "\":");
}

void table_write_json(const struct table *t, struct buf *out)
{
	buf_append_u8(out, '[');
	for (size_t row = 0; row < table_rows(t); row++) {
		buf_append_str(out, row ? ",\n {" : "{");
		for (size_t c = 0; c < t->column_count; c++) {
			const char *cell = t->cells[row * t->column_count + c];
			if (c)
				buf_append_u8(out, ',');
			write_json_name(t->columns[c].name, out);
			if (!cell)
				buf_append_str(out, "null");
			else if (t->columns[c].type == CELL_TEXT)
				json_append_string(out, slice_str(cell));
			else
				buf_append_str(out, cell);
		}
		buf_append_u8(out, '}');
	}
	buf_append_u8(out, ']');
}

void table_write(const struct table *t, enum output output, struct buf *out)
{
	if (output == OUTPUT_JSON) {
		table_write_json(t, out);
		buf_append_u8(out, '\n');
	} else {
		table_write_text(t, output == OUTPUT_WIDE, out);
	}
}

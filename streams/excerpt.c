/* excerpt.c - see excerpt.h. */
#include "streams/excerpt.h"

#include <stdio.h>
#include <stdlib.h>

/* The file that `where` speaks of: scripts name files as they were loaded, often by their base
 * name. */
static FILE *open_source(const char *script_path, const char *where, long *line)
{
	const char *colon = where ? strrchr(where, ':') : NULL;

	if (!colon || !script_path)
		return NULL;
	*line = atol(colon + 1);
	char *name = xasprintf("%.*s", (int)(colon - where), where);
	const char *slash = strrchr(script_path, '/'), *base = slash ? slash + 1 : script_path;
	char *path;
	if (strcmp(base, name) == 0 || strcmp(script_path, name) == 0)
		path = xstrdup(script_path);
	else if (name[0] == '/' || !slash)
		path = xstrdup(name);
	else
		path = xasprintf("%.*s/%s", (int)(slash - script_path), script_path, name);
	FILE *f = *line > 0 ? fopen(path, "r") : NULL;
	free(path);
	free(name);
	return f;
}

static bool read_line(FILE *f, long line, char *text, size_t cap)
{
	long at = 1;

	while (at < line) {
		int c = fgetc(f);
		if (c == EOF)
			return false;
		at += c == '\n';
	}
	if (!fgets(text, (int)cap, f))
		return false;
	text[strcspn(text, "\r\n")] = 0;
	return true;
}

void excerpt_source(struct buf *out, const char *script_path, const char *where, const char *token,
		    const char *note)
{
	char text[240];
	long line = 0;
	FILE *f = open_source(script_path, where, &line);
	bool is_read = f && read_line(f, line, text, sizeof text);

	if (f)
		fclose(f);
	if (!is_read) {
		if (note)
			buf_printf(out, "  %s\n", note);
		return;
	}
	const char *at = token ? strstr(text, token) : NULL;
	size_t column = at ? (size_t)(at - text) : strspn(text, " \t");
	buf_printf(out, "%5ld | %s\n        ", line, text);
	for (size_t i = 0; i < column; i++)
		buf_append_u8(out, text[i] == '\t' ? '\t' : ' ');
	buf_printf(out, "^%s%s\n", note ? " " : "", note ? note : "");
}

void excerpt_bytes(struct buf *out, struct slice bytes, size_t max)
{
	if (!bytes.data) {
		buf_append_str(out, "null");
		return;
	}
	size_t n = bytes.len < max ? bytes.len : max;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = bytes.data[i];
		if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_append_u8(out, c);
	}
	if (n < bytes.len)
		buf_append_str(out, "...");
}

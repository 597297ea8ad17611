/* report.c - see report.h. */
#include "lua/report.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "streams/excerpt.h"

#define LINE_MAX_BYTES 4096   /* of one source line; the rest is not looked at */
#define SEARCH_LINES   100000 /* of one file */

void report_fini(struct report *r)
{
	buf_fini(&r->text);
}

bool report_place(const char *where, char **file, int *line)
{
	const char *colon = strrchr(where, ':');
	char *end;
	long n;

	if (!colon || colon == where)
		return false;
	n = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || n <= 0 || n > SEARCH_LINES)
		return false;
	*file = xmalloc((size_t)(colon - where) + 1);
	memcpy(*file, where, (size_t)(colon - where));
	(*file)[colon - where] = '\0';
	*line = (int)n;
	return true;
}

/* Reads one line into text (cut at cap - 1 bytes); false at the end of the file. */
static bool read_line(FILE *f, char *text, size_t cap)
{
	size_t len = 0;
	int c = getc(f);

	if (c == EOF)
		return false;
	for (; c != EOF && c != '\n'; c = getc(f)) {
		if (len + 1 < cap)
			text[len++] = (char)c;
	}
	if (len > 0 && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	return true;
}

char *report_line(const char *file, int line)
{
	char text[LINE_MAX_BYTES];
	char *found = NULL;
	FILE *f = fopen(file, "re");

	if (!f)
		return NULL;
	for (int i = 1; i <= line && read_line(f, text, sizeof text); i++) {
		if (i == line)
			found = xstrdup(text);
	}
	fclose(f);
	return found;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The needle in text, not as a part of a longer word; NULL: not there. */
static const char *find_word(const char *text, const char *needle)
{
	size_t len = strlen(needle);

	if (len == 0)
		return NULL;
	for (const char *p = strstr(text, needle); p; p = strstr(p + 1, needle)) {
		bool starts = p == text || !is_word(p[-1]) || !is_word(needle[0]);
		bool ends = !is_word(p[len]) || !is_word(needle[len - 1]);

		if (starts && ends)
			return p;
	}
	return NULL;
}

char *report_locate(const char *where, const char *word, int max_lines)
{
	char text[LINE_MAX_BYTES];
	char *file;
	char *found = NULL;
	int first;
	FILE *f;

	if (!report_place(where, &file, &first))
		return xstrdup(where);
	f = fopen(file, "re");
	for (int i = 1; f && !found && i - first < max_lines && read_line(f, text, sizeof text);
	     i++) {
		if (i >= first && find_word(text, word))
			found = xasprintf("%s:%d", file, i);
	}
	if (f)
		fclose(f);
	free(file);
	return found ? found : xstrdup(where);
}

void report_excerpt(struct buf *out, const char *where, const char *needle, const char *hint)
{
	char *file = NULL;
	int line;

	if (report_place(where, &file, &line))
		excerpt_source(out, file, where, needle, hint);
	else if (hint)
		buf_printf(out, "  %s\n", hint);
	free(file);
}

static void report_add(struct report *r, const char *kind, const char *where, const char *needle,
		       const char *hint, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof text, format, args);
	if (where[0] != '\0')
		buf_printf(&r->text, "%s: ", where);
	buf_printf(&r->text, "%s%s\n", kind, text);
	report_excerpt(&r->text, where, needle, hint);
}

void report_error(struct report *r, const char *where, const char *needle, const char *hint,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_add(r, "", where, needle, hint, format, args);
	va_end(args);
	r->errors++;
}

void report_warning(struct report *r, const char *where, const char *needle, const char *hint,
		    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_add(r, "warning: ", where, needle, hint, format, args);
	va_end(args);
	r->warnings++;
}

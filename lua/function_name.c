/* function_name.c - the name of a function that C calls. Lua knows names only from the place of the call, so it is
 * read from the line of the definition: "local function NAME(", "function a.NAME(", "NAME = function(". */
#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "lua/script_impl.h"

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == ':';
}

/* Copies the name that begins at p; an empty one when there is none. */
static void copy_name(const char *p, const char *end, char *out, size_t cap)
{
	size_t len = (size_t)(end - p);

	if (len >= cap)
		len = cap - 1;
	memcpy(out, p, len);
	out[len] = '\0';
}

static void name_in_line(const char *line, char *out, size_t cap)
{
	const char *word = strstr(line, "function");
	const char *p, *end;

	if (!word)
		return;
	p = word + strlen("function");
	p += strspn(p, " \t");
	if (*p != '(') {
		for (end = p; is_name(*end); end++)
			;
		copy_name(p, end, out, cap);
		return;
	}
	for (end = word; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	if (end == line || end[-1] != '=')
		return;
	for (end--; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	for (p = end; p > line && is_name(p[-1]); p--)
		;
	copy_name(p, end, out, cap);
}

void script_function_name(lua_State *L, char *out, size_t cap)
{
	lua_Debug ar;
	char *line;

	out[0] = '\0';
	lua_pushvalue(L, -1);
	lua_getinfo(L, ">S", &ar);
	if (ar.source[0] != '@' || ar.linedefined <= 0)
		return;
	line = report_line(ar.source + 1, ar.linedefined);
	if (line)
		name_in_line(line, out, cap);
	free(line);
}

/* sandbox_load.c - source text becomes functions: the script, its modules, load. Text only: Lua
 * does not check bytecode, and a changed byte of it crashes the process. */
#include "lua/state.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORK_PER_SOURCE_BYTE 50 /* ns to compile it, about */

static enum ks_err read_all(int fd, const char *path, struct buf *out, struct ks_why *why)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return ks_fail(why, ERR_IO, "cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ks_fail(why, ERR_IO, "cannot read %s: not a file", path);
	for (;;) {
		buf_reserve(out, 16384);
		ssize_t n = read(fd, out->data + out->len, 16384);
		if (n < 0)
			return ks_fail(why, ERR_IO, "cannot read %s: %s", path, strerror(errno));
		if (n == 0)
			return ERR_NONE;
		out->len += (size_t)n;
		if (out->len > SANDBOX_SCRIPT_MAX)
			return ks_fail(why, ERR_TOO_LARGE, "%s is longer than %u MiB", path,
				       SANDBOX_SCRIPT_MAX >> 20);
	}
}

static enum ks_err read_source(const char *path, struct buf *out, struct ks_why *why)
{
	/* O_NONBLOCK: a pipe in the place of a script must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return ks_fail(why, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s",
			       path, strerror(errno));
	enum ks_err err = read_all(fd, path, out, why);
	close(fd);
	return err;
}

/* Text without a first line that begins with "#", whose end stays for the line count. */
static struct slice skip_shebang(struct slice text)
{
	if (text.len == 0 || text.data[0] != '#')
		return text;
	const uint8_t *end = memchr(text.data, '\n', text.len);
	if (!end)
		return slice_of(text.data + text.len, 0);
	return slice_of(end, text.len - (size_t)(end - text.data));
}

/* So that the short name of a chunk, which messages have, leads back to the whole one. */
static void register_chunk(lua_State *L, const char *short_name, const char *name)
{
	sandbox_push_ref(L, sandbox_of(L)->chunks_ref);
	lua_pushstring(L, name);
	lua_setfield(L, -2, short_name);
	lua_pop(L, 1);
}

/* Compiles text into a function in the script's environment. A status of Lua, the function or the
 * error on the stack. */
static int compile(lua_State *L, struct slice text, const char *chunk)
{
	bool is_file = *chunk == '@';
	lua_Debug ar;

	if (is_file) /* a message about syntax comes before there is a function to ask */
		register_chunk(L, chunk + 1, chunk + 1);
	int status = luaL_loadbufferx(L, (const char *)text.data, text.len, chunk, "t");
	if (status != LUA_OK)
		return status;
	sandbox_push_ref(L, sandbox_of(L)->env_ref);
	lua_setupvalue(L, -2, 1);
	if (is_file) {
		lua_pushvalue(L, -1);
		lua_getinfo(L, ">S", &ar);
		register_chunk(L, ar.short_src, chunk + 1);
	}
	return LUA_OK;
}

struct source {
	struct slice text;
	const char *name;
};

static int compile_protected(lua_State *L)
{
	const struct source *source = lua_touserdata(L, 1);
	const char *chunk = lua_pushfstring(L, "@%s", source->name);
	if (compile(L, source->text, chunk) != LUA_OK)
		return lua_error(L);
	return 1;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? xasprintf("%.*s", (int)(slash - path) + 1, path) : xstrdup("");
}

enum ks_err sandbox_load_text(struct sandbox *s, const char *name, struct slice text,
			      struct sandbox_error *e)
{
	struct source source = {skip_shebang(text), name};
	lua_State *L = s->L;

	free(s->folder);
	s->folder = folder_of(name);
	lua_pushcfunction(L, compile_protected);
	lua_pushlightuserdata(L, &source);
	lua_State *before = sandbox_enter(s);
	int status = lua_pcall(L, 1, 1, 0);
	sandbox_leave(s, before);
	if (status == LUA_OK)
		return ERR_NONE;
	enum ks_err err = sandbox_fail(s, status, e);
	if (!e->where[0])
		snprintf(e->where, sizeof e->where, "%s", name);
	return err;
}

enum ks_err sandbox_load_file(struct sandbox *s, const char *path, struct sandbox_error *e)
{
	struct buf text = {0};
	struct ks_why why;
	enum ks_err err = read_source(path, &text, &why);

	if (err) {
		buf_clear(&e->message);
		buf_clear(&e->traceback);
		buf_append_str(&e->message, why.text);
		snprintf(e->where, sizeof e->where, "%s", path);
		e->memory = false;
		e->err = err;
	} else {
		err = sandbox_load_text(s, path, buf_slice(&text), e);
	}
	buf_fini(&text);
	return err;
}

/* --- for scripts --- */

/* load(text [, name [, mode [, env]]]) */
static int safe_load(lua_State *L)
{
	size_t len;
	luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING, 1, "string of Lua source");
	const char *text = lua_tolstring(L, 1, &len);
	const char *name = luaL_optstring(L, 2, "load");
	bool own_env = lua_gettop(L) >= 4;

	/* What comes from elsewhere must not pass for a line of the script. */
	name = lua_pushfstring(L, "=%s", *name == '@' || *name == '=' ? name + 1 : name);
	charge(L, len * WORK_PER_SOURCE_BYTE);
	int status = compile(L, slice_of(text, len), name);
	if (status == LUA_ERRMEM)
		return lua_error(L);
	if (status != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (own_env) {
		lua_pushvalue(L, 4);
		lua_setupvalue(L, -2, 1);
	}
	return 1;
}

/* Whether name is made of words of letters, digits, "_" and "-", joined by single dots. */
static bool is_clean(const char *name, size_t len)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	for (;;) {
		size_t n = strspn(name, word);
		if (n == 0)
			return false;
		if (n == len)
			return true;
		if (name[n] != '.')
			return false;
		name += n + 1;
		len -= n + 1;
	}
}

/* Reads the module at folder + name + suffix into the scratch buffer and compiles it. Pushes the
 * function and its path and returns true; or adds the path to the list of those tried, a string on
 * top, and returns false. */
static bool load_module(lua_State *L, const char *folder, const char *name, const char *suffix)
{
	struct sandbox *s = sandbox_of(L);
	struct ks_why why;
	char path[4096];

	int n = snprintf(path, sizeof path, "%s%s%s", folder, name, suffix);
	if (n < 0 || (size_t)n >= sizeof path)
		luaL_error(L, "the path of module '%s' is too long", name);
	for (char *dot = path + strlen(folder); dot < path + n - strlen(suffix); dot++)
		if (*dot == '.')
			*dot = '/';
	buf_clear(&s->scratch);
	enum ks_err err = read_source(path, &s->scratch, &why);
	if (err == ERR_NOT_FOUND) {
		lua_pushfstring(L, "\n\tno file %s", path);
		lua_concat(L, 2);
		return false;
	}
	if (err)
		luaL_error(L, "%s", why.text);
	charge(L, s->scratch.len * WORK_PER_SOURCE_BYTE);
	const char *chunk = lua_pushfstring(L, "@%s", path);
	if (compile(L, skip_shebang(buf_slice(&s->scratch)), chunk) != LUA_OK)
		lua_error(L);
	sandbox_scratch_done(s);
	lua_remove(L, -2); /* the chunk's name */
	lua_pushstring(L, path);
	return true;
}

static void find_module(lua_State *L, const char *name)
{
	static const char *const suffixes[] = {".lua", "/init.lua"};
	struct sandbox *s = sandbox_of(L);
	const char *folders[] = {s->folder ? s->folder : "", s->module_dir};

	lua_pushliteral(L, "");
	for (size_t i = 0; i < 2 && folders[i]; i++)
		for (size_t j = 0; j < 2; j++)
			if (load_module(L, folders[i], name, suffixes[j]))
				return;
	luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -1));
}

/* Runs a module's function, on the stack with its path; pushes its value. While it runs, its name
 * is in the table of those loading; also when it fails, that ends. */
static void run_module(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	sandbox_push_ref(L, s->loading_ref);
	lua_pushvalue(L, 1);
	lua_pushboolean(L, 1);
	lua_rawset(L, -3);
	lua_insert(L, 2);
	lua_pushvalue(L, 1); /* called with its name and path */
	lua_insert(L, -2);
	lua_pushcfunction(L, sandbox_on_error);
	lua_insert(L, 3);
	int status = lua_pcall(L, 2, 1, 3);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	lua_rawset(L, 2);
	if (status != LUA_OK) {
		sandbox_note_memory(s, L, status);
		lua_error(L);
	}
}

static int safe_require(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	size_t len;
	const char *name = luaL_checklstring(L, 1, &len);

	lua_settop(L, 1);
	sandbox_push_ref(L, s->loaded_ref);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, -2) != LUA_TNIL)
		return 1;
	lua_settop(L, 1);
	if (!is_clean(name, len))
		return luaL_error(L,
				  "module '%s': a name is words of letters, digits, _ and -, "
				  "joined by dots",
				  name);
	sandbox_push_ref(L, s->loading_ref);
	if (lua_getfield(L, -1, name) != LUA_TNIL)
		return luaL_error(L, "module '%s' requires itself, perhaps by way of others", name);
	lua_settop(L, 1);
	find_module(L, name);
	lua_remove(L, -3); /* the text of those tried */
	run_module(L);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	sandbox_push_ref(L, s->loaded_ref);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
	return 1;
}

void sandbox_open_load(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"load", safe_load},
		{"require", safe_require},
		{NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}

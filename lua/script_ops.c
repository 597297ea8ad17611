/* script_ops.c - the engine's calls into the functions of a script.
 *
 * A call costs one lua_pcall and what the function looks at: only as many arguments are made as it declares, the
 * record and the context are userdata that every call uses again, and a document that comes back as it went is
 * handed on without being written.
 */
#include <assert.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "lua/record_view.h"
#include "lua/script_impl.h"
#include "lua/value.h"

struct function {
	int ref;    /* in the registry */
	int arity;  /* arguments it looks at */
	char *name; /* looked up when it first fails; NULL: not yet */
};

struct lua_script {
	struct script base;
	struct sandbox *sandbox;
	bool owns_sandbox;
	lua_State *L;
	struct surroundings *around;
	char *job; /* its name, for the log */
	struct record_context *context;
	struct function *functions;
	int function_count;
	struct record_view *record; /* userdata behind record_ref */
	int record_ref;
	struct process_view *process;
	int process_ref;
	struct sandbox_error error; /* of the last call */
	int bottom;                 /* values of others on the stack, when the sandbox is ours */
	const char *topic;          /* of the last record; it lives as long as the engine */
	uint64_t topic_hash;
};

static struct lua_script *self_of(struct script *s)
{
	return (struct lua_script *)s;
}

/* --- data --- */

enum ks_err script_push_datum(lua_State *L, struct record_context *c, struct datum *d,
			      struct ks_why *why)
{
	struct doc *doc;
	enum ks_err err;

	switch (d->kind) {
	case DATUM_NULL:
		lua_pushnil(L);
		return ERR_NONE;
	case DATUM_BYTES:
	case DATUM_STRING:
		lua_pushlstring(L, (const char *)d->bytes.data, d->bytes.len);
		return ERR_NONE;
	case DATUM_I64:
		lua_pushinteger(L, d->i64);
		return ERR_NONE;
	case DATUM_F64:
		lua_pushnumber(L, d->f64);
		return ERR_NONE;
	case DATUM_JSON:
		break;
	}
	err = datum_doc(c, d, &doc, why);
	if (err)
		return err;
	value_push_doc(L, doc, 0);
	return ERR_NONE;
}

/* A view: the document as it stands when it is whole, else the text of the node. */
static void take_view(struct record_context *c, struct doc *doc, doc_node n, struct datum *in,
		      struct datum *out)
{
	struct buf text = {0};

	if (n == 0 && in && in->kind == DATUM_JSON && in->doc == doc) {
		*out = *in;
		return;
	}
	*out = (struct datum){.kind = DATUM_JSON};
	if (!doc_is_dirty(doc)) {
		out->bytes = doc_text(doc, n);
		out->doc = n == 0 ? doc : NULL;
		return;
	}
	doc_write(doc, n, &text);
	out->bytes = slice_of(arena_copy(c->arena, text.data, text.len), text.len);
	buf_fini(&text);
}

static enum ks_err take_json(lua_State *L, int idx, struct record_context *c, struct datum *out,
			     struct ks_why *why)
{
	struct buf own = {0};
	struct buf *text = c->scratch ? c->scratch : &own;
	enum ks_err err;

	buf_clear(text);
	err = value_to_json(L, idx, text, why);
	if (!err)
		*out = (struct datum){
			.kind = DATUM_JSON,
			.bytes = slice_of(arena_copy(c->arena, text->data, text->len), text->len)};
	buf_fini(&own);
	return err;
}

enum ks_err script_take_datum(lua_State *L, int idx, struct record_context *c, struct datum *in,
			      struct datum *out, struct ks_why *why)
{
	const char *text;
	struct doc *doc;
	doc_node n;
	size_t len;

	switch (lua_type(L, idx)) {
	case LUA_TNIL:
	case LUA_TNONE:
		*out = (struct datum){.kind = DATUM_NULL};
		return ERR_NONE;
	case LUA_TSTRING:
		text = lua_tolstring(L, idx, &len);
		*out = (struct datum){.kind = DATUM_STRING,
				      .bytes = slice_of(arena_copy(c->arena, text, len), len)};
		return ERR_NONE;
	case LUA_TNUMBER:
		if (lua_isinteger(L, idx))
			*out = (struct datum){.kind = DATUM_I64, .i64 = lua_tointeger(L, idx)};
		else
			*out = (struct datum){.kind = DATUM_F64, .f64 = lua_tonumber(L, idx)};
		return ERR_NONE;
	case LUA_TLIGHTUSERDATA:
		if (ks_is_tombstone(L, idx)) {
			*out = (struct datum){.kind = DATUM_NULL};
			return ERR_NONE;
		}
		break;
	case LUA_TUSERDATA:
		doc = value_doc(L, idx, &n);
		if (doc) {
			take_view(c, doc, n, in, out);
			return ERR_NONE;
		}
		break;
	default:
		break;
	}
	return take_json(L, idx, c, out, why);
}

/* --- errors --- */

static void copy_text(char *out, size_t cap, const char *text, size_t len)
{
	size_t n = len < cap - 1 ? len : cap - 1;

	/* Not in the middle of a UTF-8 character. */
	while (n > 0 && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	memcpy(out, text, n);
	out[n] = '\0';
}

static void push_function(struct lua_script *s, int fn)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->functions[fn].ref);
}

static enum ks_err fail(struct lua_script *s, int fn, enum ks_err err, const char *message,
			struct script_error *e)
{
	lua_Debug ar;

	e->err = err;
	copy_text(e->message, sizeof e->message, message, strlen(message));
	e->traceback[0] = '\0';
	push_function(s, fn);
	if (!s->functions[fn].name) {
		script_function_name(s->L, e->function, sizeof e->function);
		s->functions[fn].name = xstrdup(e->function);
	}
	copy_text(e->function, sizeof e->function, s->functions[fn].name,
		  strlen(s->functions[fn].name));
	lua_getinfo(s->L, ">S", &ar);
	e->where[0] = '\0';
	if (ar.source[0] == '@' && ar.linedefined > 0)
		snprintf(e->where, sizeof e->where, "%.200s:%d", ar.source + 1, ar.linedefined);
	return err;
}

/* The last sandbox_call failed. */
static enum ks_err failed_call(struct lua_script *s, int fn, enum ks_err err,
			       struct script_error *e)
{
	struct sandbox_error *se = &s->error;

	(void)fail(s, fn, err, buf_cstr(&se->message), e);
	if (se->where[0] != '\0')
		copy_text(e->where, sizeof e->where, se->where, strlen(se->where));
	while (se->traceback.len > 0 && se->traceback.data[se->traceback.len - 1] == '\n')
		se->traceback.len--;
	copy_text(e->traceback, sizeof e->traceback, buf_cstr(&se->traceback), se->traceback.len);
	return err;
}

/* --- calling --- */

static enum ks_err push_value(struct lua_script *s, struct datum *d, int fn, const char *which,
			      struct script_error *e)
{
	struct ks_why why;
	char text[1100];
	enum ks_err err = script_push_datum(s->L, s->context, d, &why);

	if (!err)
		return ERR_NONE;
	snprintf(text, sizeof text, "the %s: %s", which, why.text);
	return fail(s, fn, err, text, e);
}

/* Pushes (value, key, rec), as many as arity says. */
static enum ks_err push_arguments(struct lua_script *s, int fn, struct rec *r, int arity,
				  struct script_error *e)
{
	enum ks_err err = ERR_NONE;

	if (arity > 0)
		err = push_value(s, &r->value, fn, "value", e);
	if (!err && arity > 1)
		err = push_value(s, &r->key, fn, "key", e);
	if (!err && arity > 2) {
		s->record->rec = r;
		lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->record_ref);
	}
	return err;
}

/* What a call begins with. Its results stand above a value of the sandbox's own, which is to be popped with them. */
static void begin_call(struct lua_script *s, int fn)
{
	sandbox_begin(s->sandbox);
	push_function(s, fn);
}

/* Calls fn with `before` arguments that are already above the function, and then (value, key, rec). */
static enum ks_err call(struct lua_script *s, int fn, int before, struct rec *r, int results,
			struct script_error *e)
{
	int top = lua_gettop(s->L) - before - 2;
	int arity = s->functions[fn].arity - before;
	const struct rec *outer = s->record->rec; /* a forward calls functions while another runs */
	enum ks_err err;

	if (arity < 0)
		arity = 0;
	else if (arity > 3)
		arity = 3;
	err = push_arguments(s, fn, r, arity, e);
	if (!err) {
		err = sandbox_run(s->sandbox, before + arity, results, &s->error);
		if (err)
			err = failed_call(s, fn, err, e);
	}
	s->record->rec = outer;
	if (err)
		lua_settop(s->L, top);
	return err;
}

static bool check_stack(struct lua_script *s)
{
	return lua_checkstack(s->L, LUA_MINSTACK);
}

static enum ks_err call_plain(struct lua_script *s, int fn, struct rec *r, int results,
			      struct script_error *e)
{
	if (!check_stack(s))
		return fail(s, fn, ERR_BUDGET, "calls are nested too deeply", e);
	begin_call(s, fn);
	return call(s, fn, 0, r, results, e);
}

/* The result at idx as a datum; nil is a mistake everywhere but where it was given on purpose. */
static enum ks_err take_result(struct lua_script *s, int fn, int idx, struct datum *in,
			       struct datum *out, struct script_error *e)
{
	struct ks_why why;
	char text[1100];
	enum ks_err err;

	if (lua_isnil(s->L, idx))
		return fail(s, fn, ERR_SCRIPT,
			    "the function returned nil: forgot `return`? (ks.filter drops records; "
			    "ks.tombstone is "
			    "Kafka's null)",
			    e);
	err = script_take_datum(s->L, idx, s->context, in, out, &why);
	if (!err)
		return ERR_NONE;
	snprintf(text, sizeof text, "the result cannot be written: %s", why.text);
	return fail(s, fn, err, text, e);
}

static enum ks_err ops_test(struct script *base, int fn, struct rec *r, bool *truthy,
			    struct script_error *e)
{
	struct lua_script *s = self_of(base);
	enum ks_err err = call_plain(s, fn, r, 1, e);

	if (err)
		return err;
	*truthy = lua_toboolean(s->L, -1) && !value_is_null(s->L, -1);
	lua_pop(s->L, 2);
	return ERR_NONE;
}

static enum ks_err ops_call(struct script *base, int fn, struct rec *r, struct script_error *e)
{
	struct lua_script *s = self_of(base);
	enum ks_err err = call_plain(s, fn, r, 0, e);

	if (!err)
		lua_pop(s->L, 1);
	return err;
}

static enum ks_err ops_map(struct script *base, int fn, struct rec *r, struct datum *value,
			   struct datum *key, bool *has_key, struct script_error *e)
{
	struct lua_script *s = self_of(base);
	enum ks_err err = call_plain(s, fn, r, 2, e);

	if (err)
		return err;
	*has_key = !lua_isnil(s->L, -1);
	err = take_result(s, fn, -2, &r->value, value, e);
	if (!err && *has_key)
		err = take_result(s, fn, -1, &r->key, key, e);
	lua_pop(s->L, 3);
	return err;
}

static enum ks_err ops_pick(struct script *base, int fn, struct rec *r, struct datum *out,
			    struct script_error *e)
{
	struct lua_script *s = self_of(base);
	enum ks_err err = call_plain(s, fn, r, 1, e);

	if (err)
		return err;
	err = take_result(s, fn, -1, &r->value, out, e);
	lua_pop(s->L, 2);
	return err;
}

static enum ks_err ops_fold(struct script *base, int fn, struct datum *acc, struct rec *r,
			    struct datum *out, struct script_error *e)
{
	struct lua_script *s = self_of(base);
	enum ks_err err;

	if (!check_stack(s))
		return fail(s, fn, ERR_BUDGET, "calls are nested too deeply", e);
	begin_call(s, fn);
	err = push_value(s, acc, fn, "accumulator", e);
	if (err) {
		lua_pop(s->L, 2);
		return err;
	}
	err = call(s, fn, 1, r, 1, e);
	if (err)
		return err;
	err = take_result(s, fn, -1, acc, out, e);
	lua_pop(s->L, 2);
	return err;
}

static enum ks_err ops_process(struct script *base, int fn, struct rec *r,
			       struct process_context *p, struct script_error *e)
{
	struct lua_script *s = self_of(base);
	struct process_view outer = *s->process; /* a forward may lead into another process step */
	enum ks_err err;

	if (!check_stack(s))
		return fail(s, fn, ERR_BUDGET, "calls are nested too deeply", e);
	*s->process = (struct process_view){.process = p, .context = s->context};
	begin_call(s, fn);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->process_ref);
	err = call(s, fn, 1, r, 0, e);
	if (!err)
		lua_pop(s->L, 1);
	if (!err && s->process->failed) /* the function caught what the engine must see */
		err = fail(s, fn, s->process->failed, s->process->why.text, e);
	else if (err && s->process->failed)
		e->err = err = s->process->failed;
	*s->process = outer;
	return err;
}

/* --- flat_map --- */

/* Whether the table at the top has the field value and no other but key; then it is a pair. */
static bool is_pair(lua_State *L)
{
	bool has_value = false;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";

		if (strcmp(key, "value") == 0)
			has_value = true;
		else if (strcmp(key, "key") != 0) {
			lua_pop(L, 2);
			return false;
		}
	}
	return has_value;
}

/* Sends the element at the top of the stack. */
static enum ks_err emit_element(struct lua_script *s, int fn, struct script_emit *emit,
				struct script_error *e)
{
	lua_State *L = s->L;
	struct datum value, key;
	bool has_key = false;
	int top = lua_gettop(L);
	enum ks_err err;

	if (lua_istable(L, -1) && is_pair(L)) {
		lua_pushliteral(L, "key");
		lua_rawget(L, top);
		has_key = !lua_isnil(L, -1);
		lua_pushliteral(L, "value");
		lua_rawget(L, top);
		err = take_result(s, fn, -1, NULL, &value, e);
		if (!err && has_key)
			err = take_result(s, fn, -2, NULL, &key, e);
	} else {
		err = take_result(s, fn, -1, NULL, &value, e);
	}
	lua_settop(L, top);
	if (err)
		return err;
	err = emit->emit(emit->self, &value, has_key ? &key : NULL);
	if (err)
		(void)fail(s, fn, err, ks_err_text(err), e);
	return err;
}

static enum ks_err emit_table(struct lua_script *s, int fn, struct script_emit *emit,
			      struct script_error *e)
{
	lua_Integer n = (lua_Integer)lua_rawlen(s->L, -1);
	enum ks_err err = ERR_NONE;

	for (lua_Integer i = 1; !err && i <= n; i++) {
		lua_rawgeti(s->L, -1, i);
		err = emit_element(s, fn, emit, e);
		lua_pop(s->L, 1);
	}
	return err;
}

/* A view of an array is walked in the document: reading it through Lua could raise here. */
static enum ks_err emit_view(struct lua_script *s, int fn, struct doc *doc, doc_node array,
			     struct script_emit *emit, struct script_error *e)
{
	enum ks_err err = ERR_NONE;

	for (doc_node n = doc_first(doc, array); !err && n != DOC_NONE; n = doc_next(doc, n)) {
		value_push_doc(s->L, doc, n);
		err = emit_element(s, fn, emit, e);
		lua_pop(s->L, 1);
	}
	return err;
}

static bool is_empty(lua_State *L, int idx)
{
	lua_pushnil(L);
	if (!lua_next(L, idx))
		return true;
	lua_pop(L, 2);
	return false;
}

static enum ks_err ops_flat_map(struct script *base, int fn, struct rec *r,
				struct script_emit *emit, struct script_error *e)
{
	struct lua_script *s = self_of(base);
	lua_State *L = s->L;
	enum ks_err err = call_plain(s, fn, r, 1, e);
	struct doc *doc;
	doc_node n;
	int top;

	if (err)
		return err;
	top = lua_gettop(L);
	doc = value_doc(L, top, &n);
	if (doc && doc_type(doc, n) == DOC_ARRAY)
		err = emit_view(s, fn, doc, n, emit, e);
	else if (lua_istable(L, top) && (lua_rawlen(L, top) > 0 || is_empty(L, top)))
		err = emit_table(s, fn, emit, e);
	else if (lua_isnil(L, top))
		err = fail(s, fn, ERR_SCRIPT,
			   "the function returned nil: forgot `return`? (an empty list drops the "
			   "record)",
			   e);
	else
		err = fail(s, fn, ERR_SCRIPT,
			   "the function of ks.flat_map must return a list: { v1, v2 } or { { key "
			   "= k, value = v } }",
			   e);
	lua_settop(L, top - 2);
	return err;
}

/* --- life --- */

static void ops_begin_record(struct script *base, const struct rec *r, struct record_context *c)
{
	struct lua_script *s = self_of(base);
	uint64_t place[2] = {(uint64_t)(uint32_t)r->partition, (uint64_t)r->offset};

	assert((!s->owns_sandbox || lua_gettop(s->L) == s->bottom) &&
	       "a call left something behind");
	s->context = c;
	s->around->record = r;
	s->around->uuids = 0;
	s->around->name = s->job;
	value_next_record(s->L);
	if (r->topic != s->topic) {
		s->topic = r->topic;
		s->topic_hash = XXH3_64bits(r->topic, strlen(r->topic));
	}
	sandbox_set_seed(s->sandbox, XXH3_64bits_withSeed(place, sizeof place, s->topic_hash));
}

static void ops_free(struct script *base)
{
	struct lua_script *s = self_of(base);

	if (s->owns_sandbox) {
		sandbox_free(s->sandbox);
	} else {
		value_next_record(s->L);
		for (int i = 0; i < s->function_count; i++)
			luaL_unref(s->L, LUA_REGISTRYINDEX, s->functions[i].ref);
		luaL_unref(s->L, LUA_REGISTRYINDEX, s->record_ref);
		luaL_unref(s->L, LUA_REGISTRYINDEX, s->process_ref);
		s->around->record = NULL;
		s->around->name = "test";
	}
	sandbox_error_fini(&s->error);
	for (int i = 0; i < s->function_count; i++)
		free(s->functions[i].name);
	free(s->functions);
	free(s->job);
	free(s);
}

static const struct script_ops ops = {
	.free = ops_free,
	.begin_record = ops_begin_record,
	.test = ops_test,
	.call = ops_call,
	.map = ops_map,
	.flat_map = ops_flat_map,
	.pick = ops_pick,
	.fold = ops_fold,
	.process = ops_process,
};

/* Takes the function at the top of the stack. C functions and those with ... get everything. */
static struct function take_function(lua_State *L)
{
	lua_Debug ar;

	lua_pushvalue(L, -1);
	lua_getinfo(L, ">u", &ar);
	return (struct function){.arity = ar.isvararg ? INT_MAX : ar.nparams,
				 .ref = luaL_ref(L, LUA_REGISTRYINDEX)};
}

struct script *script_ops_new(struct sandbox *sandbox, bool owns_sandbox, int idx)
{
	lua_State *L = sandbox_state(sandbox);
	struct job_object *o = job_at(L, idx);
	struct lua_script *s = xcalloc(1, sizeof *s);

	s->base.ops = &ops;
	s->sandbox = sandbox;
	s->owns_sandbox = owns_sandbox;
	s->L = L;
	s->around = surroundings_of(L);
	s->job = xstrdup(o->job->name);
	s->function_count = o->function_count;
	s->functions = xcalloc((size_t)o->function_count + 1, sizeof *s->functions);
	job_push_functions(L, idx);
	for (int i = 0; i < o->function_count; i++) {
		lua_rawgeti(L, -1, i + 1);
		s->functions[i] = take_function(L);
	}
	lua_pop(L, 1);
	s->record = record_view_new(L);
	s->record_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	s->process = process_view_new(L);
	s->process_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	s->bottom = lua_gettop(L);
	return &s->base;
}

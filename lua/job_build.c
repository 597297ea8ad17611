/* job_build.c - see job_build.h: ks.job, and the topics, flows and settings in its table. The steps of a flow are read in
 * job_steps.c. */
#include "lua/job_build.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/node.h"
#include "lua/units.h"
#include "streams/plan.h"

#define JOB_META    "ks.job"
#define JOB_LINES   2000 /* how far below ks.job its topics and flows are looked for */
#define THREADS_MAX 1024

struct job_object *job_at(lua_State *L, int idx)
{
	return luaL_testudata(L, idx, JOB_META);
}

void job_push_functions(lua_State *L, int idx)
{
	lua_getiuservalue(L, idx, 1);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_in(const char *word, const char *const *list)
{
	for (; list && *list; list++) {
		if (strcmp(word, *list) == 0)
			return true;
	}
	return false;
}

const char **build_sorted_keys(lua_State *L, int idx, const char *const *except, size_t *count)
{
	const char **keys;
	size_t cap = 0, n = 0;

	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		cap++;
	keys = lua_newuserdatauv(L, (cap + 1) * sizeof *keys, 0);
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING && !is_in(lua_tostring(L, -2), except))
			keys[n++] = lua_tostring(L, -2);
	}
	qsort(keys, n, sizeof *keys, by_text);
	keys[n] = NULL;
	*count = n;
	return keys;
}

/* --- topics --- */

static void add_config(struct topic_decl *t, const char *key, char *value)
{
	size_t n = t->config_count;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(t->config_keys[i], key) == 0) {
			free(t->config_values[i]);
			t->config_values[i] = value;
			return;
		}
	}
	t->config_keys = xrealloc(t->config_keys, (n + 1) * sizeof *t->config_keys);
	t->config_values = xrealloc(t->config_values, (n + 1) * sizeof *t->config_values);
	t->config_keys[n] = xstrdup(key);
	t->config_values[n] = value;
	t->config_count = n + 1;
}

/* config = { ["retention.ms"] = … }: Kafka's names as they are; the broker judges them. */
static void read_topic_config(const struct spec *s, struct topic_decl *t)
{
	lua_State *L = s->b->L;
	const char **keys;
	size_t n;

	lua_getfield(L, s->idx, "config");
	if (!lua_istable(L, -1)) {
		if (!lua_isnil(L, -1))
			spec_error(s, "config", NULL,
				   "%s: config must be a table of Kafka's settings", s->what);
		lua_pop(L, 1);
		return;
	}
	keys = build_sorted_keys(L, lua_gettop(L), NULL, &n);
	for (size_t i = 0; i < n; i++) {
		lua_getfield(L, -2, keys[i]);
		add_config(t, keys[i], xstrdup(luaL_tolstring(L, -1, NULL)));
		lua_pop(L, 2);
	}
	lua_pop(L, 2);
}

static void read_retention(const struct spec *s, struct topic_decl *t)
{
	int64_t v;

	lua_getfield(s->b->L, s->idx, "retention");
	if (lua_type(s->b->L, -1) == LUA_TSTRING &&
	    strcmp(lua_tostring(s->b->L, -1), "forever") == 0)
		add_config(t, "retention.ms", xstrdup("-1"));
	else if (!lua_isnil(s->b->L, -1) && value_duration(s, "retention", &v))
		add_config(t, "retention.ms", xasprintf("%lld", (long long)v));
	lua_pop(s->b->L, 1);
	if (spec_size(s, "retention_bytes", &v))
		add_config(t, "retention.bytes", xasprintf("%lld", (long long)v));
	if (spec_size(s, "max_message_bytes", &v))
		add_config(t, "max.message.bytes", xasprintf("%lld", (long long)v));
}

static void read_topic(struct build *b, const char *name, const char *where)
{
	static const char *const keys[] = {
		"partitions",        "key",    "value", "retention", "retention_bytes", "compact",
		"max_message_bytes", "config", NULL};
	struct topic_decl *t = &b->job->topics[b->job->topic_count++];
	char what[300];
	struct spec s = {b, lua_gettop(b->L), NULL, what};
	bool compact = false;
	int64_t v;

	snprintf(what, sizeof what, "topic \"%s\"", name);
	t->name = xstrdup(name);
	t->where = report_locate(where, name, JOB_LINES);
	s.where = t->where;
	if (!name_is_valid(name))
		spec_error(&s, name, NULL, "\"%s\" cannot be the name of a topic", name);
	if (!lua_istable(b->L, s.idx)) {
		spec_error(&s, name, NULL, "%s must be a table, such as { partitions = 6 }", what);
		return;
	}
	spec_check_keys(&s, keys, false);
	if (spec_integer(&s, "partitions", 1, BROKER_PARTITIONS_MAX, &v))
		t->partitions = (int32_t)v;
	t->has_key_serde = spec_serde(&s, "key", &t->key_serde);
	t->has_value_serde = spec_serde(&s, "value", &t->value_serde);
	read_retention(&s, t);
	if (spec_boolean(&s, "compact", &compact))
		add_config(t, "cleanup.policy", xstrdup(compact ? "compact" : "delete"));
	read_topic_config(&s, t);
}

static void read_topics(const struct spec *s)
{
	struct build *b = s->b;
	lua_State *L = b->L;
	const char **names;
	size_t n;

	if (!lua_istable(L, -1)) {
		spec_error(s, "topics", NULL,
			   "topics must be a table, such as { [\"orders\"] = { partitions = 6 } }");
		return;
	}
	names = build_sorted_keys(L, lua_gettop(L), NULL, &n);
	if (lua_rawlen(L, -2) > 0)
		spec_error(s, "topics", NULL,
			   "topics: a topic is a key, [\"name\"] = { … }, not an element");
	b->job->topics = xcalloc(n + 1, sizeof *b->job->topics);
	for (size_t i = 0; i < n; i++) {
		lua_getfield(L, -2, names[i]);
		read_topic(b, names[i], s->where);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* --- flows --- */

static void read_flow(struct build *b, const char *name, const char *where)
{
	static const char *const keys[] = {"on_error", NULL};
	struct flow *f = &b->job->flows[b->job->flow_count++];
	char what[300];
	struct spec s = {b, lua_gettop(b->L), NULL, what};

	snprintf(what, sizeof what, "flow \"%s\"", name);
	f->name = xstrdup(name);
	f->where = report_locate(where, name, JOB_LINES);
	f->from_start = true;
	s.where = f->where;
	if (!name_is_valid(name))
		spec_error(&s, name, NULL, "\"%s\" cannot be the name of a flow", name);
	if (!lua_istable(b->L, s.idx)) {
		spec_error(&s, name, NULL,
			   "%s must be a list of steps: { ks.from \"…\", …, ks.to \"…\" }", what);
		return;
	}
	spec_check_keys(&s, keys, true);
	lua_getfield(b->L, s.idx, "on_error");
	if (!lua_isnil(b->L, -1))
		build_policy(&s, &f->on_error);
	lua_pop(b->L, 1);
	b->flow = f->name;
	build_flow_steps(b, f, s.idx);
	b->flow = NULL;
}

static void read_flows(const struct spec *s)
{
	struct build *b = s->b;
	lua_State *L = b->L;
	const char **names;
	size_t n;

	if (!lua_istable(L, -1)) {
		spec_error(s, "flows", NULL,
			   "%s needs flows = { name = { ks.from \"…\", …, ks.to \"…\" } }",
			   s->what);
		return;
	}
	names = build_sorted_keys(L, lua_gettop(L), NULL, &n);
	if (lua_rawlen(L, -2) > 0)
		spec_error(s, "flows", NULL,
			   "flows: give each flow a name: flows = { my_flow = { … } }");
	else if (n == 0)
		spec_error(s, "flows", NULL, "%s has no flow", s->what);
	b->job->flows = xcalloc(n + 1, sizeof *b->job->flows);
	for (size_t i = 0; i < n; i++) {
		lua_getfield(L, -2, names[i]);
		read_flow(b, names[i], s->where);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* --- settings --- */

static void set_guarantee(const struct spec *s, const char *key)
{
	lua_State *L = s->b->L;
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";

	if (strcmp(text, "exactly_once") == 0 || strcmp(text, "exactly_once_v2") == 0)
		s->b->job->guarantee = EXACTLY_ONCE;
	else if (strcmp(text, "at_least_once") == 0)
		s->b->job->guarantee = AT_LEAST_ONCE;
	else if (strcmp(text, "at_most_once") == 0)
		s->b->job->guarantee = AT_MOST_ONCE;
	else
		spec_error(s, key, NULL,
			   "%s must be \"exactly_once\" (the default), \"at_least_once\" or "
			   "\"at_most_once\"",
			   key);
}

static void set_commit(const struct spec *s, const char *key)
{
	lua_State *L = s->b->L;
	int isnum;
	lua_Integer ms = lua_tointegerx(L, -1, &isnum);

	if (isnum && ms >= 0)
		s->b->job->commit_ms = ms;
	else
		(void)value_duration(s, key, &s->b->job->commit_ms);
}

static void set_threads(const struct spec *s, const char *key)
{
	int isnum;
	lua_Integer n = lua_tointegerx(s->b->L, -1, &isnum);

	if (isnum && n >= 1 && n <= THREADS_MAX)
		s->b->job->threads = (int)n;
	else
		spec_error(s, key, NULL, "%s must be a whole number from 1 to %d", key,
			   THREADS_MAX);
}

static void set_cache(const struct spec *s, const char *key)
{
	lua_State *L = s->b->L;
	int64_t v = 0;
	int isnum;
	lua_Integer n = lua_tointegerx(L, -1, &isnum);

	if (isnum && n >= 0)
		s->b->job->cache_bytes = (size_t)n;
	else if (lua_type(L, -1) == LUA_TSTRING && units_parse_size(lua_tostring(L, -1), &v))
		s->b->job->cache_bytes = (size_t)v;
	else
		spec_error(s, key, NULL, "%s must be a size such as \"64MiB\"", key);
}

static void set_name(const struct spec *s, const char *key)
{
	if (lua_type(s->b->L, -1) == LUA_TSTRING && name_is_valid(lua_tostring(s->b->L, -1)))
		take_string(s->b->L, -1, &s->b->job->name);
	else
		spec_error(s, key, NULL, "%s must be a name of letters, digits, '.', '_' and '-'",
			   key);
}

/* Kafka Streams names serdes by Java classes. */
static void set_serde(const struct spec *s, const char *key, enum serde *out)
{
	static const struct {
		const char *word;
		enum serde serde;
	} classes[] = {{"StringSerde", SERDE_STRING},
		       {"LongSerde", SERDE_I64},
		       {"DoubleSerde", SERDE_F64},
		       {"ByteArraySerde", SERDE_BYTES},
		       {"BytesSerde", SERDE_BYTES}};
	const char *text = lua_type(s->b->L, -1) == LUA_TSTRING ? lua_tostring(s->b->L, -1) : "";

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		if (strstr(text, classes[i].word)) {
			*out = classes[i].serde;
			return;
		}
	}
	(void)value_serde(s, key, out);
}

static void set_default_key(const struct spec *s, const char *key)
{
	set_serde(s, key, &s->b->job->default_key);
}

static void set_default_value(const struct spec *s, const char *key)
{
	set_serde(s, key, &s->b->job->default_value);
}

static void set_dead_letter(const struct spec *s, const char *key)
{
	struct error_policy *p = &s->b->job->on_error;

	if (p->is_set)
		return; /* on_error says more */
	if (value_topic(s, key, &p->dead_letter_topic)) {
		p->is_set = true;
		p->action = ERROR_DEAD_LETTER;
	}
}

/* Our own place for what Kafka Streams calls so. */
static const struct setting {
	const char *name;
	void (*set)(const struct spec *s, const char *key);
} settings[] = {
	{"processing.guarantee", set_guarantee},
	{"commit.interval.ms", set_commit},
	{"num.stream.threads", set_threads},
	{"application.id", set_name},
	{"statestore.cache.max.bytes", set_cache},
	{"cache.max.bytes.buffering", set_cache},
	{"default.key.serde", set_default_key},
	{"default.value.serde", set_default_value},
	{"errors.dead.letter.queue.topic.name", set_dead_letter},
};
#define SETTINGS (sizeof settings / sizeof *settings)

static void read_setting(const struct spec *s, const char *name)
{
	const char *names[SETTINGS + 1] = {NULL};
	char hint[128];

	for (size_t i = 0; i < SETTINGS; i++) {
		names[i] = settings[i].name;
		if (strcmp(name, settings[i].name) == 0) {
			settings[i].set(s, name);
			return;
		}
	}
	spec_error(s, name, suggest_hint(name, names, hint, sizeof hint),
		   "config: \"%s\" is not known here; of Kafka Streams' settings there are "
		   "processing.guarantee, "
		   "commit.interval.ms, num.stream.threads, application.id, "
		   "statestore.cache.max.bytes, "
		   "default.key.serde, default.value.serde, errors.dead.letter.queue.topic.name",
		   name);
}

static void read_config(const struct spec *s)
{
	lua_State *L = s->b->L;
	const char **names;
	size_t n;

	if (!lua_istable(L, -1)) {
		spec_error(s, "config", NULL, "config must be a table of Kafka Streams' settings");
		return;
	}
	names = build_sorted_keys(L, lua_gettop(L), NULL, &n);
	for (size_t i = 0; i < n; i++) {
		lua_getfield(L, -2, names[i]);
		read_setting(s, names[i]);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

static void read_defaults(const struct spec *s)
{
	static const char *const keys[] = {"key", "value", NULL};
	struct spec d = {s->b, lua_gettop(s->b->L), s->where, "defaults"};

	if (!lua_istable(s->b->L, -1)) {
		spec_error(s, "defaults", NULL,
			   "defaults must be a table: { key = \"string\", value = \"json\" }");
		return;
	}
	spec_check_keys(&d, keys, false);
	(void)spec_serde(&d, "key", &s->b->job->default_key);
	(void)spec_serde(&d, "value", &s->b->job->default_value);
}

static void read_tables(const struct spec *s)
{
	spec_error(s, "tables", NULL,
		   "tables and joins are not available in this version; state is kept by ks.count, "
		   "ks.reduce, "
		   "ks.aggregate, ks.dedup and ks.process");
}

static void read_on_error(const struct spec *s)
{
	build_policy(s, &s->b->job->on_error);
}

/* In the order in which they are read: topics before flows, on_error before config. */
static const struct job_key {
	const char *name;
	void (*set)(const struct spec *s, const char *key);
	void (*read)(const struct spec *s);
} job_keys[] = {
	{"guarantee", set_guarantee, NULL}, {"commit", set_commit, NULL},
	{"threads", set_threads, NULL},     {"cache", set_cache, NULL},
	{"defaults", NULL, read_defaults},  {"on_error", NULL, read_on_error},
	{"config", NULL, read_config},      {"topics", NULL, read_topics},
	{"tables", NULL, read_tables},      {"flows", NULL, read_flows},
};
#define JOB_KEYS (sizeof job_keys / sizeof *job_keys)

static void read_job(struct build *b, int idx, const char *where)
{
	const char *names[JOB_KEYS + 1] = {NULL};
	char what[300];
	struct spec s = {b, idx, where, what};

	snprintf(what, sizeof what, "job \"%s\"", b->job->name);
	for (size_t i = 0; i < JOB_KEYS; i++)
		names[i] = job_keys[i].name;
	spec_check_keys(&s, names, false);
	for (size_t i = 0; i < JOB_KEYS; i++) {
		const struct job_key *k = &job_keys[i];

		lua_getfield(b->L, idx, k->name);
		if (!lua_isnil(b->L, -1) || k->read == read_flows) {
			if (k->set)
				k->set(&s, k->name);
			else
				k->read(&s);
		}
		lua_pop(b->L, 1);
	}
}

/* What can be known of the job as a whole: topics that are not declared, stores of the same name. */
static void check_plan(struct job_object *o)
{
	struct plan *plan = NULL;
	struct buf report = {0};

	if (plan_make(o->job, NULL, &plan, &report) != ERR_NONE) {
		buf_append(&o->report.text, report.data, report.len);
		o->report.errors++;
	}
	plan_free(plan);
	buf_fini(&report);
}

/* Raises the report as a string that tells everything by itself. */
static int raise_report(lua_State *L, struct job_object *o)
{
	struct report *r = &o->report;

	while (r->text.len > 0 && r->text.data[r->text.len - 1] == '\n')
		r->text.len--;
	lua_pushlstring(L, (const char *)r->text.data, r->text.len);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, JOB_REPORT);
	return lua_error(L);
}

/* (name, where, spec) from stack place 1 on. */
static int make_job(lua_State *L)
{
	struct job_object *o;
	struct build b = {.L = L};
	char *name = NULL;

	o = lua_newuserdatauv(L, sizeof *o, 1);
	memset(o, 0, sizeof *o);
	luaL_setmetatable(L, JOB_META);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, -3, 1);

	o->job = xcalloc(1, sizeof *o->job);
	take_string(L, 1, &name);
	o->job->name = name;
	o->job->where = xstrdup(lua_tostring(L, 2));
	o->job->script_path = xstrdup(o->job->where);
	if (strrchr(o->job->script_path, ':'))
		*strrchr(o->job->script_path, ':') = '\0';
	o->job->default_key = SERDE_STRING;
	o->job->default_value = SERDE_JSON;

	b.job = o->job;
	b.report = &o->report;
	b.functions = lua_gettop(L);
	read_job(&b, 3, o->job->where);
	o->function_count = b.function_count;
	if (o->report.errors == 0)
		check_plan(o);
	if (o->report.errors > 0)
		return raise_report(L, o);
	lua_pop(L, 1); /* the functions: the job keeps them */
	return 1;
}

static int job_with_spec(lua_State *L)
{
	luaL_checkstack(L, 40, NULL);
	if (!lua_istable(L, 1))
		return luaL_error(L, "ks.job \"%s\" takes a table: ks.job \"%s\" { flows = { … } }",
				  lua_tostring(L, lua_upvalueindex(1)),
				  lua_tostring(L, lua_upvalueindex(1)));
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_rotate(L, 1, 2); /* name, where, spec */
	return make_job(L);
}

/* ks.job "name" { … }; ks.job("name", { … }) is the same. */
static int job_named(lua_State *L)
{
	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L,
				  "a job begins with its name: ks.job \"name\" { flows = { … } }");
	if (!name_is_valid(lua_tostring(L, 1)))
		return luaL_error(L,
				  "\"%s\" cannot be the name of a job: letters, digits, '.', '_' "
				  "and '-', at most 249",
				  lua_tostring(L, 1));
	lua_settop(L, 2);
	node_push_where(L);
	if (lua_isnil(L, 2)) {
		lua_remove(L, 2);
		lua_pushcclosure(L, job_with_spec, 2);
		return 1;
	}
	luaL_checktype(L, 2, LUA_TTABLE);
	luaL_checkstack(L, 40, NULL);
	lua_rotate(L, 2, 1);
	return make_job(L);
}

static int job_gc(lua_State *L)
{
	struct job_object *o = luaL_checkudata(L, 1, JOB_META);

	job_free(o->job);
	o->job = NULL;
	report_fini(&o->report);
	return 0;
}

static int job_tostring(lua_State *L)
{
	struct job_object *o = luaL_checkudata(L, 1, JOB_META);

	lua_pushfstring(L, "job %s at %s", o->job->name, o->job->where);
	return 1;
}

static int job_index(lua_State *L)
{
	struct job_object *o = luaL_checkudata(L, 1, JOB_META);
	const char *key = lua_tostring(L, 2);

	if (key && strcmp(key, "name") == 0) {
		lua_pushstring(L, o->job->name);
		return 1;
	}
	return luaL_error(
		L, "a job is finished once ks.job has returned it; change the tables before");
}

void job_register(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"__gc", job_gc},
		{"__tostring", job_tostring},
		{"__index", job_index},
		{NULL, NULL},
	};

	luaL_newmetatable(L, JOB_META);
	luaL_setfuncs(L, methods, 0);
	lua_pushliteral(L, "ks.job");
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
	lua_pushcfunction(L, job_named);
	lua_setfield(L, -2, "job");
}

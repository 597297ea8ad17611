/* job_steps.c - the steps of a flow, see job_build.h: one table says what each constructor may be given, and everything that
 * depends on a step's place in its list (a source first, nothing behind an end) is checked here. */
#include "lua/job_build.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/node.h"
#include "lua/value.h"

#define NESTING_MAX 32 /* of lists within lists and of splits */

/* What a constructor may be given. */
enum takes {
	TAKES_FN = 1,
	TAKES_PATH = 2,
	TAKES_TOPIC = 4,
	TAKES_TEXT = 8,
	TAKES_NUMBER = 16,
	TAKES_NOTHING = 32,
	TAKES_SPEC = 64,
};

struct step_form {
	unsigned takes;
	const char *main;        /* the key of a spec that stands for the plain argument */
	const char *const *keys; /* of a spec */
	const char *usage;
};

static const char *const of_keys[] = {"of", "as", "emit", NULL};
static const char *const count_keys[] = {"as", "emit", NULL};
static const char *const with_keys[] = {"with", "as", "emit", NULL};
static const char *const aggregate_keys[] = {"init", "with", "as", "emit", NULL};
static const char *const dedup_keys[] = {"by", "within", "as", "max", NULL};
static const char *const process_keys[] = {"as", "on_record", NULL};
static const char *const sample_keys[] = {"every", NULL};
static const char *const log_keys[] = {"message", NULL};
static const char *const to_keys[] = {"topic", "key", "value", "partition", NULL};

#define FN_OR_PATH (TAKES_FN | TAKES_PATH)

static const struct step_form forms[STEP_KIND_COUNT] = {
	[STEP_FILTER] = {FN_OR_PATH, NULL, NULL,
			 "ks.filter(function(v) return v.amount > 0 end) or ks.filter \"is_paid\""},
	[STEP_REJECT] = {FN_OR_PATH, NULL, NULL,
			 "ks.reject(function(v) return v.test end) or ks.reject \"test\""},
	[STEP_MAP] = {TAKES_FN, NULL, NULL, "ks.map(function(v, k, rec) … return v end)"},
	[STEP_FLAT_MAP] = {TAKES_FN, NULL, NULL,
			   "ks.flat_map(function(v) return { v.a, v.b } end)"},
	[STEP_EXPLODE] = {TAKES_PATH, NULL, NULL, "ks.explode \"items\""},
	[STEP_REKEY] = {FN_OR_PATH, NULL, NULL,
			"ks.rekey \"user.id\" or ks.rekey(function(v) return v.id end)"},
	[STEP_GROUP] = {FN_OR_PATH | TAKES_NOTHING, NULL, NULL,
			"ks.group(), ks.group \"user.id\" or ks.group(fn)"},
	[STEP_SPLIT] = {TAKES_SPEC, NULL, NULL,
			"ks.split { { when = fn, ks.to \"a\" }, { ks.to \"b\" } }"},
	[STEP_PEEK] = {TAKES_FN, NULL, NULL, "ks.peek(function(v, k, rec) ks.log.info(v.id) end)"},
	[STEP_LOG] = {TAKES_TEXT | TAKES_SPEC | TAKES_NOTHING, "message", log_keys,
		      "ks.log \"seen\""},
	[STEP_SAMPLE] = {TAKES_NUMBER | TAKES_SPEC, "every", sample_keys,
			 "ks.sample(100) or ks.sample { every = 100 }"},
	[STEP_COUNT] = {TAKES_NOTHING | TAKES_SPEC, NULL, count_keys,
			"ks.count() or ks.count { as = \"name\" }"},
	[STEP_SUM] = {FN_OR_PATH | TAKES_SPEC | TAKES_NOTHING, "of", of_keys,
		      "ks.sum \"amount\" or ks.sum { of = \"amount\", as = \"name\" }"},
	[STEP_MIN] = {FN_OR_PATH | TAKES_SPEC | TAKES_NOTHING, "of", of_keys,
		      "ks.min \"amount\" or ks.min { of = \"amount\", as = \"name\" }"},
	[STEP_MAX] = {FN_OR_PATH | TAKES_SPEC | TAKES_NOTHING, "of", of_keys,
		      "ks.max \"amount\" or ks.max { of = \"amount\", as = \"name\" }"},
	[STEP_REDUCE] = {TAKES_FN | TAKES_SPEC, "with", with_keys,
			 "ks.reduce(function(acc, v) return acc end)"},
	[STEP_AGGREGATE] = {TAKES_FN | TAKES_SPEC, "with", aggregate_keys,
			    "ks.aggregate { init = { n = 0 }, with = function(acc, v) acc.n = "
			    "acc.n + 1 return acc end }"},
	[STEP_DEDUP] = {FN_OR_PATH | TAKES_SPEC | TAKES_NOTHING, "by", dedup_keys,
			"ks.dedup \"id\" or ks.dedup { by = \"id\", within = \"24h\" }"},
	[STEP_PROCESS] =
		{TAKES_FN | TAKES_SPEC, "on_record", process_keys,
		 "ks.process { as = \"store\", on_record = function(ctx, v, k, rec) … end }"},
	[STEP_TO] = {TAKES_FN | TAKES_TOPIC | TAKES_SPEC, "topic", to_keys,
		     "ks.to \"topic\" or ks.to(fn)"},
};

static bool keeps_state(enum step_kind k)
{
	return k == STEP_COUNT || k == STEP_SUM || k == STEP_MIN || k == STEP_MAX ||
	       k == STEP_REDUCE || k == STEP_AGGREGATE || k == STEP_DEDUP || k == STEP_PROCESS;
}

/* --- the plain argument --- */

static void wrong_argument(const struct spec *s, const struct step_form *form, const char *name)
{
	char got[96];

	describe_value(s->b->L, -1, got, sizeof got);
	report_error(s->b->report, s->where, s->what, NULL, "%s%s%s cannot be %s; write %s",
		     s->what, name ? ": " : "", name ? name : "", got, form->usage);
}

/* Reads the value at the top of the stack as the step's main argument; name: its key, or NULL. */
static void read_main(const struct spec *s, const struct step_form *form, const char *name,
		      struct step *step)
{
	lua_State *L = s->b->L;
	int type = lua_type(L, -1);
	const char *called = name ? name : "its argument";

	if (type == LUA_TFUNCTION && (form->takes & TAKES_FN))
		step->fn = build_add_function(s->b);
	else if (type == LUA_TSTRING && (form->takes & TAKES_PATH))
		(void)value_path(s, called, &step->path);
	else if (type == LUA_TSTRING && (form->takes & TAKES_TOPIC))
		(void)value_topic(s, called, &step->topic);
	else if (type == LUA_TSTRING && (form->takes & TAKES_TEXT))
		take_string(L, -1, &step->message);
	else if (lua_isinteger(L, -1) && (form->takes & TAKES_NUMBER) && lua_tointeger(L, -1) >= 1)
		step->every = lua_tointeger(L, -1);
	else
		wrong_argument(s, form, name);
}

/* --- specs --- */

static void read_emit(const struct spec *s)
{
	lua_State *L = s->b->L;

	lua_getfield(L, s->idx, "emit");
	if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "final") == 0)
		spec_error(s, "emit", NULL,
			   "%s: emit = \"final\" needs a window, and windows are not available "
			   "yet; without one "
			   "every change is sent on (emit = \"update\")",
			   s->what);
	else if (!lua_isnil(L, -1) &&
		 (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "update") != 0))
		spec_error(s, "emit", NULL, "%s: emit must be \"update\"", s->what);
	lua_pop(L, 1);
}

/* init = value: copied as JSON for each key, so the script cannot share it by accident. */
static void read_init(const struct spec *s, struct step *step)
{
	lua_State *L = s->b->L;
	struct ks_why why;
	struct buf json = {0};

	lua_getfield(L, s->idx, "init");
	if (lua_isnil(L, -1))
		spec_error(s, NULL, NULL,
			   "ks.aggregate needs init, the value to start from: init = { n = 0 }");
	else if (lua_isfunction(L, -1))
		spec_error(s, "init", NULL,
			   "ks.aggregate: init is a value, not a function; every key gets its own "
			   "copy");
	else if (value_to_json(L, -1, &json, &why) != ERR_NONE)
		spec_error(s, "init", NULL, "ks.aggregate: init cannot be stored: %s", why.text);
	else
		step->init = xstrdup(buf_cstr(&json));
	buf_fini(&json);
	lua_pop(L, 1);
}

static void read_to(const struct spec *s, struct step *step)
{
	step->has_key_serde = spec_serde(s, "key", &step->key_serde);
	step->has_value_serde = spec_serde(s, "value", &step->value_serde);
	(void)spec_function(s, "partition", &step->partition_fn);
}

/* The main argument within a spec, by its name or as the first element. Some steps cannot do without. */
static void read_spec_main(const struct spec *s, const struct step_form *form, struct step *step)
{
	lua_State *L = s->b->L;
	const char *name = form->main;

	if (!name)
		return;
	lua_getfield(L, s->idx, name);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_rawgeti(L, s->idx, 1);
	}
	if (!lua_isnil(L, -1))
		read_main(s, form, name, step);
	else if (!(form->takes & TAKES_NOTHING))
		report_error(s->b->report, s->where, s->what, NULL, "%s needs %s; write %s",
			     s->what, name, form->usage);
	lua_pop(L, 1);
}

static void read_spec(struct spec *s, const struct step_form *form, struct step *step)
{
	spec_check_keys(s, form->keys, form->main != NULL);
	if (step->kind == STEP_AGGREGATE)
		read_init(s, step);
	read_spec_main(s, form, step);
	if (keeps_state(step->kind) && spec_string(s, "as", &step->store) &&
	    !name_is_valid(step->store))
		spec_error(s, step->store, NULL, "%s: \"%s\" cannot be the name of a store",
			   s->what, step->store);
	if (form->keys == dedup_keys) {
		(void)spec_duration(s, "within", &step->within_ms);
		(void)spec_integer(s, "max", 1, INT64_C(1) << 40, &step->ids_max);
	}
	if (step->kind == STEP_TO)
		read_to(s, step);
	if (form->keys && form->keys != dedup_keys && keeps_state(step->kind) &&
	    step->kind != STEP_PROCESS)
		read_emit(s);
}

/* --- lists of steps --- */

struct list_place {
	struct step_list *list;
	struct flow *flow; /* the list is a flow's own: ks.from stands first */
	const char *where;
	int depth;
	bool complained; /* about what follows ks.to: once is enough */
};

static void read_list(struct build *b, struct list_place *p, int idx);
static void read_split(struct build *b, struct step *step, int idx, int depth);

static struct step *add_step(struct step_list *list)
{
	struct step *s;

	list->steps = xrealloc(list->steps, (list->count + 1) * sizeof *list->steps);
	s = &list->steps[list->count++];
	memset(s, 0, sizeof *s);
	s->fn = FN_NONE;
	s->partition_fn = FN_NONE;
	return s;
}

static int count_kind(const struct step_list *list, enum step_kind kind)
{
	int n = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];

		n += s->kind == kind;
		for (size_t k = 0; k < s->branch_count; k++)
			n += count_kind(&s->branches[k].steps, kind);
	}
	return n;
}

static void name_step(struct build *b, struct step *s)
{
	const struct flow *f = &b->job->flows[b->job->flow_count - 1];
	int n = count_kind(&f->steps, s->kind);

	if (n > 1)
		s->name = xasprintf("%s.%s[%d]", f->name, step_kind_name(s->kind), n);
	else
		s->name = xasprintf("%s.%s", f->name, step_kind_name(s->kind));
}

static bool ends_list(enum step_kind k)
{
	return k == STEP_TO || k == STEP_SPLIT;
}

static void check_position(struct build *b, struct list_place *p, const char *where,
			   const char *name)
{
	const struct step *last;

	if (p->list->count == 0 || p->complained)
		return;
	last = &p->list->steps[p->list->count - 1];
	if (!ends_list(last->kind))
		return;
	p->complained = true;
	report_error(b->report, where, name, NULL,
		     last->kind == STEP_TO
			     ? "no step can follow ks.to (%s): a record leaves the flow there; a "
			       "second flow may "
			       "begin with the same ks.from"
			     : "no step can follow ks.split (%s): put the steps into its branches",
		     last->where);
}

static void read_step(struct build *b, struct list_place *p, int idx)
{
	lua_State *L = b->L;
	struct node *n = node_at(L, idx);
	const struct step_form *form = &forms[n->type->step];
	const char *where = node_where(L, idx);
	char what[64];
	struct step *step;
	struct spec s = {b, 0, where, what};

	snprintf(what, sizeof what, "ks.%s", n->type->name);
	check_position(b, p, where, what);
	step = add_step(p->list);
	step->kind = n->type->step;
	step->where = xstrdup(where);
	name_step(b, step);

	node_push_argument(L, idx);
	s.idx = lua_gettop(L);
	if (n->argc > 1)
		report_error(b->report, where, what, NULL,
			     "%s takes one argument, not %d; write %s", what, n->argc, form->usage);
	else if (lua_isnil(L, -1) && (n->argc > 0 || !(form->takes & TAKES_NOTHING)))
		wrong_argument(&s, form, NULL);
	else if (step->kind == STEP_SPLIT && lua_istable(L, -1))
		read_split(b, step, s.idx, p->depth);
	else if (lua_istable(L, -1) && (form->takes & TAKES_SPEC))
		read_spec(&s, form, step);
	else if (step->kind == STEP_AGGREGATE) /* a function alone does not say where to start */
		wrong_argument(&s, form, NULL);
	else if (!lua_isnil(L, -1))
		read_main(&s, form, NULL, step);
	lua_settop(L, s.idx - 1);
	if (keeps_state(step->kind) && !step->store)
		step->store = xasprintf("%s.%s", b->flow, step_kind_name(step->kind));
}

/* --- from --- */

static void add_topic(const struct spec *s, struct flow *f)
{
	f->topics = xrealloc(f->topics, (f->topic_count + 1) * sizeof *f->topics);
	f->topics[f->topic_count] = NULL;
	if (value_topic(s, "topic", &f->topics[f->topic_count]))
		f->topic_count++;
}

static void add_topics(const struct spec *s, struct flow *f)
{
	lua_State *L = s->b->L;
	lua_Integer n;

	if (!lua_istable(L, -1)) {
		add_topic(s, f);
		return;
	}
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		add_topic(s, f);
		lua_pop(L, 1);
	}
}

static void read_from_spec(const struct spec *s, struct flow *f)
{
	static const char *const keys[] = {"topic", "topics", "pattern", "key",
					   "value", "time",   "start",   NULL};
	lua_State *L = s->b->L;
	char *start = NULL;

	spec_check_keys(s, keys, true);
	lua_pushvalue(L, s->idx);
	add_topics(s, f);
	lua_pop(L, 1);
	for (int i = 0; i < 2; i++) {
		lua_getfield(L, s->idx, keys[i]);
		if (!lua_isnil(L, -1))
			add_topics(s, f);
		lua_pop(L, 1);
	}
	(void)spec_string(s, "pattern", &f->pattern);
	f->has_key_serde = spec_serde(s, "key", &f->key_serde);
	f->has_value_serde = spec_serde(s, "value", &f->value_serde);
	(void)spec_path(s, "time", &f->time_path);
	if (spec_string(s, "start", &start)) {
		f->from_start = strcmp(start, "end") != 0 && strcmp(start, "latest") != 0;
		if (f->from_start && strcmp(start, "start") != 0 && strcmp(start, "earliest") != 0)
			spec_error(s, "start", NULL,
				   "%s: start must be \"start\" (the default) or \"end\"", s->what);
		free(start);
	}
}

static void read_from(struct build *b, struct list_place *p, int idx)
{
	lua_State *L = b->L;
	struct node *n = node_at(L, idx);
	struct flow *f = p->flow;
	const char *where = node_where(L, idx);
	char what[64];
	struct spec s = {b, 0, where, what};
	int mistakes = b->report->errors;

	snprintf(what, sizeof what, "ks.%s", n->type->name);
	if (!f || p->list->count > 0 || f->topic_count > 0 || f->pattern) {
		report_error(b->report, where, what, NULL,
			     !f ? "ks.from cannot stand in a branch of ks.split"
				: "%s must be the first step of its flow, and stand there once: "
				  "ks.from { \"a\", \"b\" } "
				  "reads several topics",
			     what);
		return;
	}
	node_push_argument(L, idx);
	s.idx = lua_gettop(L);
	if (n->argc > 1)
		report_error(b->report, where, what, NULL,
			     "%s takes one argument: %s { \"a\", \"b\" }", what, what);
	else if (lua_istable(L, -1))
		read_from_spec(&s, f);
	else
		add_topic(&s, f);
	if (f->topic_count == 0 && !f->pattern && b->report->errors == mistakes)
		report_error(b->report, where, what, NULL, "%s names no topic", what);
	if (f->topic_count > 0 && f->pattern)
		report_error(b->report, where, what, NULL, "%s takes topics or a pattern, not both",
			     what);
	lua_settop(L, s.idx - 1);
}

/* --- elements --- */

/* Whether the function at the top is a constructor of the module that nobody called; pushes nothing. */
static bool is_constructor(lua_State *L, const char **name)
{
	bool found = false;

	lua_getfield(L, LUA_REGISTRYINDEX, "ks.module");
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		return false;
	}
	for (lua_pushnil(L); !found && lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_rawequal(L, -1, -4) && lua_type(L, -2) == LUA_TSTRING) {
			*name = lua_tostring(L, -2);
			found = true;
			lua_pop(L, 1);
			break;
		}
	}
	lua_pop(L, found ? 2 : 1);
	return found;
}

static void report_element(struct build *b, const struct list_place *p, lua_Integer i)
{
	lua_State *L = b->L;
	const char *name;
	char got[96];

	describe_value(L, -1, got, sizeof got);
	if (lua_isfunction(L, -1) && is_constructor(L, &name))
		report_error(b->report, p->where, NULL, NULL,
			     "step %d is ks.%s itself: call it, ks.%s(…)", (int)i, name, name);
	else if (lua_isfunction(L, -1))
		report_error(b->report, p->where, NULL, NULL,
			     "step %d is a function: wrap it, ks.map(…) or ks.filter(…)", (int)i);
	else if (lua_type(L, -1) == LUA_TSTRING)
		report_error(b->report, p->where, lua_tostring(L, -1), NULL,
			     "step %d is %s: write ks.from \"%.40s\" or ks.to \"%.40s\"", (int)i,
			     got, lua_tostring(L, -1), lua_tostring(L, -1));
	else
		report_error(b->report, p->where, NULL, NULL,
			     "step %d is %s, not a step such as ks.map(…)", (int)i, got);
}

static void read_element(struct build *b, struct list_place *p, lua_Integer i)
{
	lua_State *L = b->L;
	int idx = lua_gettop(L);
	struct node *n = node_at(L, idx);

	if (n && n->type->kind == NODE_FROM)
		read_from(b, p, idx);
	else if (n && n->type->kind == NODE_STEP)
		read_step(b, p, idx);
	else if (n)
		report_error(b->report, p->where, n->type->name, NULL,
			     "ks.%s is no step: write on_error = ks.%s …", n->type->name,
			     n->type->name);
	else if (lua_istable(L, idx))
		read_list(b, p, idx); /* a fragment that several flows share */
	else
		report_element(b, p, i);
}

static void read_list(struct build *b, struct list_place *p, int idx)
{
	lua_State *L = b->L;
	lua_Integer n = (lua_Integer)lua_rawlen(L, idx);

	luaL_checkstack(L, 20, NULL);
	if (++p->depth > NESTING_MAX) {
		report_error(b->report, p->where, NULL, NULL,
			     "lists of steps are nested more than %d deep", NESTING_MAX);
	} else {
		for (lua_Integer i = 1; i <= n; i++) {
			lua_rawgeti(L, idx, i);
			read_element(b, p, i);
			lua_pop(L, 1);
		}
	}
	p->depth--;
}

/* A list that ends in a filter or a map computes for nobody. */
static void check_end(struct build *b, const struct step_list *list)
{
	const struct step *last = list->count > 0 ? &list->steps[list->count - 1] : NULL;

	if (!last || ends_list(last->kind) || keeps_state(last->kind) || last->kind == STEP_PEEK ||
	    last->kind == STEP_LOG)
		return;
	report_error(b->report, last->where, NULL, NULL,
		     "the records go nowhere after ks.%s: end with ks.to \"topic\" (or ks.split)",
		     step_kind_name(last->kind));
}

void build_flow_steps(struct build *b, struct flow *f, int idx)
{
	struct list_place p = {.list = &f->steps, .flow = f, .where = f->where};
	int mistakes = b->report->errors;

	read_list(b, &p, idx);
	if (f->topic_count == 0 && !f->pattern && b->report->errors == mistakes)
		report_error(b->report, f->where, f->name, NULL,
			     "flow \"%s\" must begin with ks.from \"topic\"", f->name);
	check_end(b, &f->steps);
}

/* --- split --- */

static struct branch *add_branch(struct step *step)
{
	struct branch *br;

	step->branches =
		xrealloc(step->branches, (step->branch_count + 1) * sizeof *step->branches);
	br = &step->branches[step->branch_count++];
	memset(br, 0, sizeof *br);
	br->when = FN_NONE;
	return br;
}

static void take_equals(const struct spec *s, int idx, struct branch *br)
{
	struct ks_why why;
	struct buf json = {0};

	if (value_to_json(s->b->L, idx, &json, &why) == ERR_NONE)
		br->when_equals = xstrdup(buf_cstr(&json));
	else
		spec_error(s, "equals", NULL, "%s: equals cannot be compared: %s", s->what,
			   why.text);
	buf_fini(&json);
}

/* when = fn | "path" | { path = "type", equals = "order" } */
static void read_when(const struct spec *s, struct branch *br)
{
	static const char *const keys[] = {"path", "equals", NULL};
	lua_State *L = s->b->L;
	struct spec w = {s->b, 0, s->where, "when"};

	lua_getfield(L, s->idx, "when");
	w.idx = lua_gettop(L);
	if (lua_isfunction(L, -1)) {
		br->when = build_add_function(s->b);
	} else if (lua_type(L, -1) == LUA_TSTRING) {
		(void)value_path(s, "when", &br->when_path);
	} else if (lua_istable(L, -1)) {
		spec_check_keys(&w, keys, false);
		if (!spec_path(&w, "path", &br->when_path))
			spec_error(s, "when", NULL,
				   "%s: when = { path = \"type\", equals = \"order\" } needs path",
				   s->what);
		lua_getfield(L, w.idx, "equals");
		if (!lua_isnil(L, -1))
			take_equals(s, -1, br);
		lua_pop(L, 1);
	} else if (!lua_isnil(L, -1)) {
		spec_error(s, "when", NULL,
			   "%s: when must be a function, a path, or { path = …, equals = … }",
			   s->what);
	}
	lua_pop(L, 1);
}

static void read_branch_steps(struct build *b, struct branch *br, int idx, int depth)
{
	struct list_place p = {.list = &br->steps, .where = br->where, .depth = depth};

	if (node_at(b->L, idx) || lua_isfunction(b->L, idx)) { /* one step, not a list */
		lua_pushvalue(b->L, idx);
		read_element(b, &p, 1);
		lua_pop(b->L, 1);
	} else {
		read_list(b, &p, idx);
	}
	check_end(b, &br->steps);
}

/* Where the first step of a branch was written: better than the line of ks.split. */
static char *branch_where(lua_State *L, int idx, const char *otherwise)
{
	char *where;

	if (lua_istable(L, idx))
		lua_rawgeti(L, idx, 1);
	else
		lua_pushvalue(L, idx);
	where = xstrdup(node_at(L, -1) ? node_where(L, -1) : otherwise);
	lua_pop(L, 1);
	return where;
}

static void read_branch(struct build *b, struct step *step, int idx, int depth)
{
	static const char *const keys[] = {"when", NULL};
	struct branch *br = add_branch(step);
	struct spec s = {b, idx, step->where, "a branch of ks.split"};

	br->where = branch_where(b->L, idx, step->where);
	if (!lua_istable(b->L, idx)) {
		report_error(b->report, br->where, NULL, NULL,
			     "ks.split: branch %d must be a list: { when = fn, ks.to \"topic\" }",
			     (int)step->branch_count);
		return;
	}
	spec_check_keys(&s, keys, true);
	read_when(&s, br);
	if (br->when == FN_NONE && !br->when_path)
		step->every = 1; /* an else branch was seen; cleared by read_split */
	read_branch_steps(b, br, idx, depth);
}

/* ks.split { by = "type", order = {steps}, refund = ks.to "x", default = … }: one comparison in C per branch. */
static void read_split_by(struct build *b, struct step *step, int idx, int depth)
{
	static const char *const reserved[] = {"by", "default", NULL};
	lua_State *L = b->L;
	struct spec s = {b, idx, step->where, "ks.split"};
	const char **values;
	char *path = NULL;
	size_t n;

	(void)spec_path(&s, "by", &path);
	values = build_sorted_keys(L, idx, reserved, &n);
	for (size_t i = 0; path && i < n; i++) {
		struct branch *br = add_branch(step);

		lua_getfield(L, idx, values[i]);
		br->where = branch_where(L, lua_gettop(L), step->where);
		br->when_path = xstrdup(path);
		lua_pushstring(L, values[i]);
		take_equals(&s, -1, br);
		lua_pop(L, 1);
		read_branch_steps(b, br, lua_gettop(L), depth);
		lua_pop(L, 1);
	}
	lua_getfield(L, idx, "default");
	if (!lua_isnil(L, -1)) {
		struct branch *br = add_branch(step);

		br->where = branch_where(L, lua_gettop(L), step->where);
		read_branch_steps(b, br, lua_gettop(L), depth);
	}
	lua_pop(L, 2);
	free(path);
	if (lua_rawlen(L, idx) > 0)
		spec_error(&s, "by", NULL,
			   "ks.split: with by, every branch has a value's name: order = { … }");
}

static void read_split(struct build *b, struct step *step, int idx, int depth)
{
	lua_State *L = b->L;
	lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
	static const char *const no_keys[] = {"by", NULL};
	struct spec s = {b, idx, step->where, "ks.split"};

	luaL_checkstack(L, 20, NULL);
	lua_getfield(L, idx, "by");
	if (!lua_isnil(L, -1)) {
		lua_pop(L, 1);
		read_split_by(b, step, idx, depth + 1);
		return;
	}
	lua_pop(L, 1);
	spec_check_keys(&s, no_keys, true);
	if (n == 0)
		report_error(b->report, step->where, "ks.split", NULL,
			     "ks.split has no branch; write %s", forms[STEP_SPLIT].usage);
	for (lua_Integer i = 1; i <= n; i++) {
		bool after_else = step->every == 1;

		lua_rawgeti(L, idx, i);
		read_branch(b, step, lua_gettop(L), depth + 1);
		lua_pop(L, 1);
		if (after_else) {
			report_error(b->report, step->branches[step->branch_count - 1].where, NULL,
				     NULL,
				     "this branch gets no record: an earlier branch has no `when` "
				     "and takes all");
			break;
		}
	}
	step->every = 0;
}

/* --- policies --- */

static void read_retry(const struct spec *s, int idx, struct error_policy *out)
{
	static const char *const keys[] = {"times", "backoff", NULL};
	lua_State *L = s->b->L;
	struct spec r = {s->b, 0, node_where(L, idx), "ks.retry"};
	int64_t times = 1;

	node_push_argument(L, idx);
	r.idx = lua_gettop(L);
	if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0 && lua_tointeger(L, -1) <= 1000) {
		times = lua_tointeger(L, -1);
	} else if (lua_istable(L, -1)) {
		spec_check_keys(&r, keys, false);
		if (!spec_integer(&r, "times", 0, 1000, &times))
			spec_error(
				&r, "ks.retry", NULL,
				"ks.retry needs times: ks.retry { times = 2, backoff = \"50ms\" }");
		(void)spec_duration(&r, "backoff", &out->retry_backoff_ms);
	} else {
		spec_error(&r, "ks.retry", NULL,
			   "write ks.retry { times = 2, backoff = \"50ms\" }");
	}
	out->retry_times = (int)times;
	lua_pop(L, 1);
}

static void read_after(const struct spec *s, struct error_policy *out)
{
	lua_State *L = s->b->L;
	struct node *n;

	lua_getfield(L, s->idx, "after");
	n = node_at(L, -1);
	if (n && n->type->kind == NODE_RETRY)
		read_retry(s, lua_gettop(L), out);
	else if (!lua_isnil(L, -1))
		spec_error(s, "after", NULL,
			   "%s: after must be ks.retry { times = 2, backoff = \"50ms\" }", s->what);
	lua_pop(L, 1);
}

static void read_dead_letter(struct spec *s, struct error_policy *out)
{
	static const char *const keys[] = {"topic", "after", NULL};
	lua_State *L = s->b->L;

	out->action = ERROR_DEAD_LETTER;
	if (lua_type(L, -1) == LUA_TSTRING) {
		(void)value_topic(s, "its argument", &out->dead_letter_topic);
		return;
	}
	if (!lua_istable(L, -1)) {
		spec_error(s, s->what, NULL,
			   "write ks.dead_letter \"topic\" or ks.dead_letter { topic = \"…\", "
			   "after = ks.retry { … } }");
		return;
	}
	spec_check_keys(s, keys, true);
	lua_getfield(L, s->idx, "topic");
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_rawgeti(L, s->idx, 1);
	}
	(void)value_topic(s, "topic", &out->dead_letter_topic);
	lua_pop(L, 1);
	read_after(s, out);
}

void build_policy(const struct spec *s, struct error_policy *out)
{
	static const char *const keys[] = {"after", NULL};
	lua_State *L = s->b->L;
	int idx = lua_gettop(L);
	struct node *n = node_at(L, idx);
	char what[64], got[96];
	struct spec p = {s->b, 0, s->where, what};

	if (!n || n->type->kind == NODE_STEP || n->type->kind == NODE_FROM) {
		spec_error(s, "on_error", NULL,
			   "on_error must be ks.dead_letter \"topic\", ks.skip, ks.fail_job or "
			   "ks.retry { … }, not %s",
			   describe_value(L, idx, got, sizeof got));
		return;
	}
	if (node_where(L, idx)[0] != '\0')
		p.where = node_where(L, idx);
	snprintf(what, sizeof what, "ks.%s", n->type->name);
	out->is_set = true;
	out->action = ERROR_FAIL_JOB;
	node_push_argument(L, idx);
	p.idx = lua_gettop(L);
	if (n->type->kind == NODE_RETRY) {
		read_retry(&p, idx, out);
	} else if (n->type->kind == NODE_DEAD_LETTER) {
		read_dead_letter(&p, out);
	} else {
		out->action = n->type->kind == NODE_SKIP ? ERROR_SKIP : ERROR_FAIL_JOB;
		if (lua_istable(L, -1)) {
			spec_check_keys(&p, keys, false);
			read_after(&p, out);
		} else if (!lua_isnil(L, -1)) {
			spec_error(&p, what, NULL, "write %s or %s { after = ks.retry { … } }",
				   what, what);
		}
	}
	lua_settop(L, idx);
}

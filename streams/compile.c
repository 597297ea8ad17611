/* compile.c - turns a piece of a flow into nodes that are ready to run. */
#include "streams/run.h"

#include <stdlib.h>
#include <string.h>

enum ks_err (*const step_process[STEP_KIND_COUNT])(struct task *t, struct node *n,
						   struct rec *r) = {
	[STEP_FILTER] = step_filter,     [STEP_REJECT] = step_reject,   [STEP_MAP] = step_map,
	[STEP_FLAT_MAP] = step_flat_map, [STEP_EXPLODE] = step_explode, [STEP_REKEY] = step_rekey,
	[STEP_GROUP] = step_rekey,       [STEP_SPLIT] = step_split,     [STEP_PEEK] = step_peek,
	[STEP_LOG] = step_log,           [STEP_SAMPLE] = step_sample,   [STEP_COUNT] = step_count,
	[STEP_SUM] = step_number,        [STEP_MIN] = step_number,      [STEP_MAX] = step_number,
	[STEP_REDUCE] = step_fold,       [STEP_AGGREGATE] = step_fold,  [STEP_DEDUP] = step_dedup,
	[STEP_PROCESS] = step_script,    [STEP_TO] = step_to,
};

struct compiler {
	struct task *task;
	struct pipeline *pipe;
	enum serde key_serde; /* of what the piece reads */
	struct ks_why *why;
	enum ks_err err;
};

enum ks_err thread_sink(struct thread *th, const char *topic, struct sink **out, struct ks_why *why)
{
	struct sink *known = sinks_find(&th->sinks, slice_str(topic));
	const struct backend_topic *found;

	if (!known) {
		struct backend *b = th->engine->backend;
		struct topic_spec spec = {.name = topic};
		enum ks_err err = b->ops->topic(b, &spec, TOPIC_AUTO, &found, why);
		if (err)
			return err;
		known = sinks_add(&th->sinks, found);
		job_topic_serdes(th->engine->job, topic, &known->key_serde, &known->value_serde);
	}
	*out = known;
	return ERR_NONE;
}

static struct doc_path *path_compile(struct compiler *c, const char *text)
{
	struct task *t = c->task;

	if (!text || c->err)
		return NULL;
	struct doc_path *p = doc_path_new(text, c->why);
	if (!p) {
		c->err = ERR_SCRIPT;
		return NULL;
	}
	t->paths = xrealloc(t->paths, (t->path_count + 1) * sizeof *t->paths);
	t->paths[t->path_count++] = p;
	return p;
}

/* Whether a record that comes to step `first` of the list can reach state within this piece, its key as it is. */
static bool state_follows(const struct plan *plan, const struct step_list *list, size_t first)
{
	for (size_t i = first; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		if (plan_cut_at(plan, list, i) || step_changes_key(s))
			return false;
		if (step_has_state(s))
			return true;
		for (size_t k = 0; k < s->branch_count; k++)
			if (state_follows(plan, &s->branches[k].steps, 0))
				return true;
	}
	return false;
}

static struct node *node_new(struct compiler *c, const struct step *s)
{
	struct node *n = arena_alloc(&c->task->arena, sizeof *n);

	*n = (struct node){.step = s, .pipe = c->pipe, .key_serde = c->key_serde};
	return n;
}

static struct node *compile_cut(struct compiler *c, const struct step *before, const char *topic)
{
	struct node *n = node_new(c, before);

	n->process = step_repartition;
	if (!c->err)
		c->err = thread_sink(c->task->thread, topic, &n->sink, c->why);
	job_topic_serdes(c->task->thread->engine->job, topic, &n->key_serde, &n->value_serde);
	return n;
}

static struct node *compile_list(struct compiler *c, const struct step_list *list, size_t first,
				 bool is_start);

static void compile_split(struct compiler *c, struct node *n)
{
	const struct step *s = n->step;

	n->branches = arena_alloc(&c->task->arena, s->branch_count * sizeof(struct node *));
	n->when_paths = arena_alloc(&c->task->arena, s->branch_count * sizeof(struct doc_path *));
	for (size_t i = 0; i < s->branch_count; i++) {
		const struct branch *b = &s->branches[i];
		c->pipe->needs_script |= b->when != FN_NONE;
		n->when_paths[i] = path_compile(c, b->when_path);
		n->branches[i] = compile_list(c, &b->steps, 0, false);
	}
}

static uint32_t store_id(const struct engine *e, const struct step *s)
{
	for (size_t i = 0; i < e->store_count; i++)
		if (strcmp(e->stores[i].name, s->store) == 0)
			return e->stores[i].id;
	return STATE_ID_NONE;
}

static void compile_state(struct compiler *c, struct node *n)
{
	struct task *t = c->task;
	struct thread *th = t->thread;
	const struct step *s = n->step;
	uint32_t id = store_id(th->engine, s);

	if (c->err)
		return;
	if (s->kind == STEP_DEDUP)
		c->err = dedup_open(&th->pool, id, t->partition, s->within_ms, s->ids_max,
				    &n->dedup, c->why);
	else
		c->err = state_open(&th->pool, id, t->partition, &n->state, c->why);
	if (!c->err && (s->kind == STEP_DEDUP || s->kind == STEP_PROCESS))
		c->err = state_clock_open(&th->pool, id, t->partition, &c->pipe->stream_time,
					  c->why);
}

static struct node *compile_step(struct compiler *c, const struct step_list *list, size_t i)
{
	const struct step *s = &list->steps[i];
	struct node *n = node_new(c, s);

	n->process = step_process[s->kind];
	if (s->kind == STEP_GROUP && !step_changes_key(s))
		n->process = step_pass;
	n->path = path_compile(c, s->path);
	c->pipe->needs_script |= (s->fn != FN_NONE && !s->path) ||
				 (s->kind == STEP_TO && s->partition_fn != FN_NONE);
	n->key_is_pinned = state_follows(c->task->thread->engine->plan, list, i + 1);
	if (s->kind == STEP_SPLIT)
		compile_split(c, n);
	if (step_has_state(s))
		compile_state(c, n);
	if (s->kind == STEP_TO && s->topic && !c->err)
		c->err = thread_sink(c->task->thread, s->topic, &n->sink, c->why);
	return n;
}

static struct node *compile_list(struct compiler *c, const struct step_list *list, size_t first,
				 bool is_start)
{
	const struct plan *plan = c->task->thread->engine->plan;
	struct node *head = NULL, **tail = &head;

	for (size_t i = first; i < list->count && !c->err; i++) {
		const char *cut = is_start && i == first ? NULL : plan_cut_at(plan, list, i);
		*tail = cut ? compile_cut(c, &list->steps[i], cut) : compile_step(c, list, i);
		if (cut)
			break;
		tail = &(*tail)->next;
	}
	return head;
}

enum ks_err pipeline_compile(struct task *t, struct pipeline *p, struct ks_why *why)
{
	const struct job *j = t->thread->engine->job;
	const struct flow *f = p->piece->flow;
	struct compiler c = {.task = t, .pipe = p, .why = why};
	enum serde value;

	job_topic_serdes(j,
			 p->piece->source ? p->piece->source
			 : f->topic_count ? f->topics[0]
					  : "",
			 &c.key_serde, &value);
	if (!p->piece->source && f->has_key_serde)
		c.key_serde = f->key_serde;
	p->policy = f->on_error.is_set ? &f->on_error : &j->on_error;
	p->time_path = p->piece->source ? NULL : path_compile(&c, f->time_path);
	p->first = compile_list(&c, p->piece->list, p->piece->first_step, p->piece->source != NULL);
	struct node *n = p->first;
	if (n && n->process == step_to && n->sink && !n->next && !p->time_path &&
	    n->step->partition_fn == FN_NONE)
		p->forwards = n;
	return c.err;
}

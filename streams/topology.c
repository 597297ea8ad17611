/* topology.c - see topology.h. */
#include "streams/topology.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *step_kind_name(enum step_kind k)
{
	static const char *const names[STEP_KIND_COUNT] = {
		[STEP_FILTER] = "filter",
		[STEP_REJECT] = "reject",
		[STEP_MAP] = "map",
		[STEP_FLAT_MAP] = "flat_map",
		[STEP_EXPLODE] = "explode",
		[STEP_REKEY] = "rekey",
		[STEP_GROUP] = "group",
		[STEP_SPLIT] = "split",
		[STEP_PEEK] = "peek",
		[STEP_LOG] = "log",
		[STEP_SAMPLE] = "sample",
		[STEP_COUNT] = "count",
		[STEP_SUM] = "sum",
		[STEP_MIN] = "min",
		[STEP_MAX] = "max",
		[STEP_REDUCE] = "reduce",
		[STEP_AGGREGATE] = "aggregate",
		[STEP_DEDUP] = "dedup",
		[STEP_PROCESS] = "process",
		[STEP_TO] = "to",
	};

	assert(k >= 0 && k < STEP_KIND_COUNT);
	return names[k];
}

bool step_has_state(const struct step *s)
{
	switch (s->kind) {
	case STEP_COUNT:
	case STEP_SUM:
	case STEP_MIN:
	case STEP_MAX:
	case STEP_REDUCE:
	case STEP_AGGREGATE:
	case STEP_DEDUP:
	case STEP_PROCESS:
		return true;
	default:
		return false;
	}
}

bool step_changes_key(const struct step *s)
{
	return s->kind == STEP_REKEY || (s->kind == STEP_GROUP && (s->path || s->fn != FN_NONE));
}

static void list_fini(struct step_list *list);

static void step_fini(struct step *s)
{
	for (size_t i = 0; i < s->branch_count; i++) {
		struct branch *b = &s->branches[i];
		free(b->when_path);
		free(b->when_equals);
		free(b->where);
		list_fini(&b->steps);
	}
	free(s->branches);
	free(s->where);
	free(s->name);
	free(s->path);
	free(s->topic);
	free(s->store);
	free(s->init);
	free(s->message);
}

static void list_fini(struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		step_fini(&list->steps[i]);
	free(list->steps);
}

static void flow_fini(struct flow *f)
{
	for (size_t i = 0; i < f->topic_count; i++)
		free(f->topics[i]);
	free(f->topics);
	free(f->name);
	free(f->where);
	free(f->pattern);
	free(f->time_path);
	free(f->on_error.dead_letter_topic);
	list_fini(&f->steps);
}

static void decl_fini(struct topic_decl *d)
{
	for (size_t i = 0; i < d->config_count; i++) {
		free(d->config_keys[i]);
		free(d->config_values[i]);
	}
	free(d->config_keys);
	free(d->config_values);
	free(d->name);
	free(d->where);
}

void job_free(struct job *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->flow_count; i++)
		flow_fini(&j->flows[i]);
	for (size_t i = 0; i < j->topic_count; i++)
		decl_fini(&j->topics[i]);
	free(j->flows);
	free(j->topics);
	free(j->name);
	free(j->where);
	free(j->script_path);
	free(j->on_error.dead_letter_topic);
	free(j);
}

struct topic_decl *job_topic_decl(const struct job *j, const char *name)
{
	for (size_t i = 0; i < j->topic_count; i++)
		if (strcmp(j->topics[i].name, name) == 0)
			return &j->topics[i];
	return NULL;
}

void job_topic_serdes(const struct job *j, const char *topic, enum serde *key, enum serde *value)
{
	const struct topic_decl *d = job_topic_decl(j, topic);

	*key = d && d->has_key_serde ? d->key_serde : j->default_key;
	*value = d && d->has_value_serde ? d->value_serde : j->default_value;
}

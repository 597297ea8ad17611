/* plan.c - cuts flows into pieces, groups the pieces, gathers the topics. See plan.h.
 *
 *     flow:   from a | map | rekey id | filter | count | to b
 *     pieces: [from a, map, rekey id, filter -> job-flow-repartition]   [count, to b]
 *
 * The cut lies right before the first state behind a changed key, so that what a filter drops is
 * never written in between. Pieces that read a common topic form a group: the offset of a topic is
 * committed once for the job, so all that read it must advance together, in one task per partition.
 */
#include "streams/plan_impl.h"

#include <assert.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct planner {
	struct plan *plan;
	const struct job *job;
	struct broker *broker;
	const struct flow *flow;
	int cuts; /* of the flow so far */
};

static struct plan_piece *piece_add(struct planner *pl, const struct step_list *list, size_t first,
				    const char *source)
{
	struct plan *p = pl->plan;

	p->pieces = xrealloc(p->pieces, (p->piece_count + 1) * sizeof *p->pieces);
	struct plan_piece *piece = &p->pieces[p->piece_count++];
	*piece = (struct plan_piece){
		.flow = pl->flow,
		.list = list,
		.first_step = first,
		.step_end = list->count,
		.source = source,
	};
	return piece;
}

static const char *cut_name(struct planner *pl)
{
	char *name = ++pl->cuts == 1 ? xasprintf("%s-%s-repartition", pl->job->name, pl->flow->name)
				     : xasprintf("%s-%s-repartition-%d", pl->job->name,
						 pl->flow->name, pl->cuts);
	char *kept = arena_strdup(&pl->plan->arena, name);
	free(name);
	return kept;
}

#define INLINED SIZE_MAX /* a branch that runs inside of its split's piece */

static void cut_list(struct planner *pl, const struct step_list *list, size_t first, size_t piece,
		     bool key_changed)
{
	for (size_t i = first; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		if (step_has_state(s) && key_changed) {
			const char *topic = cut_name(pl);
			if (piece != INLINED) {
				pl->plan->pieces[piece].step_end = i;
				pl->plan->pieces[piece].sink = topic;
			}
			piece_add(pl, list, i, topic);
			piece = pl->plan->piece_count - 1;
			key_changed = false;
		}
		key_changed |= step_changes_key(s);
		for (size_t k = 0; k < s->branch_count; k++)
			cut_list(pl, &s->branches[k].steps, 0, INLINED, key_changed);
	}
}

const char *plan_cut_at(const struct plan *p, const struct step_list *list, size_t index)
{
	for (size_t i = 0; i < p->piece_count; i++)
		if (p->pieces[i].source && p->pieces[i].list == list &&
		    p->pieces[i].first_step == index)
			return p->pieces[i].source;
	return NULL;
}

/* --- topics --- */

struct plan_topic *plan_topic_find(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->topic_count; i++)
		if (strcmp(p->topics[i].name, name) == 0)
			return &p->topics[i];
	return NULL;
}

static struct plan_topic *topic_add(struct planner *pl, const char *name)
{
	struct plan *p = pl->plan;
	struct plan_topic *t = plan_topic_find(p, name);

	if (t)
		return t;
	p->topics = xrealloc(p->topics, (p->topic_count + 1) * sizeof *p->topics);
	t = &p->topics[p->topic_count++];
	*t = (struct plan_topic){
		.name = arena_strdup(&p->arena, name),
		.decl = job_topic_decl(pl->job, name),
	};
	struct topic *existing = pl->broker ? broker_topic_find(pl->broker, name) : NULL;
	if (existing)
		t->partitions = topic_partition_count(existing);
	else if (t->decl)
		t->partitions = t->decl->partitions;
	return t;
}

static void add_outputs(struct planner *pl, const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		if (s->kind == STEP_TO && s->topic)
			topic_add(pl, s->topic)->is_output = true;
		for (size_t k = 0; k < s->branch_count; k++)
			add_outputs(pl, &s->branches[k].steps);
	}
}

static void add_dead_letters(struct planner *pl, const struct error_policy *policy)
{
	if (policy->is_set && policy->action == ERROR_DEAD_LETTER && policy->dead_letter_topic) {
		struct plan_topic *t = topic_add(pl, policy->dead_letter_topic);
		t->is_output = t->is_dead_letter = true;
	}
}

/* As many partitions as the widest topic that the group reads. */
static int32_t group_partitions(const struct plan *p, size_t group)
{
	int32_t most = 0;

	for (size_t i = 0; i < p->piece_count; i++) {
		const struct plan_piece *piece = &p->pieces[i];
		if (piece->group != group)
			continue;
		for (size_t k = 0; k < (piece->source ? 1 : piece->flow->topic_count); k++) {
			struct plan_topic *t = plan_topic_find(
				p, piece->source ? piece->source : piece->flow->topics[k]);
			if (t && t->partitions > most)
				most = t->partitions;
		}
	}
	return most;
}

/* Where the records of a cut come from in the end: all repartition topics of a flow are as wide as
 * its inputs. */
static const struct plan_piece *first_piece(const struct plan *p, const struct flow *f)
{
	for (size_t i = 0; i < p->piece_count; i++)
		if (p->pieces[i].flow == f)
			return &p->pieces[i];
	return NULL;
}

static void gather_topics(struct planner *pl)
{
	const struct job *j = pl->job;
	struct plan *p = pl->plan;

	for (size_t i = 0; i < j->flow_count; i++)
		for (size_t k = 0; k < j->flows[i].topic_count; k++)
			topic_add(pl, j->flows[i].topics[k])->is_input = true;
	for (size_t i = 0; i < j->flow_count; i++) {
		add_outputs(pl, &j->flows[i].steps);
		add_dead_letters(pl, &j->flows[i].on_error);
	}
	add_dead_letters(pl, &j->on_error);
	for (size_t i = 0; i < j->topic_count; i++)
		topic_add(pl, j->topics[i].name);
	for (size_t i = 0; i < p->piece_count; i++) {
		if (!p->pieces[i].source)
			continue;
		struct plan_topic *t = topic_add(pl, p->pieces[i].source);
		t->is_repartition = true;
		if (t->partitions == 0)
			t->partitions =
				group_partitions(p, first_piece(p, p->pieces[i].flow)->group);
	}
}

/* --- groups --- */

static bool pattern_matches(const char *pattern, const char *name)
{
	regex_t re;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	bool is_match = regexec(&re, name, 0, NULL, 0) == 0;
	regfree(&re);
	return is_match;
}

/* Two patterns may come to match the same topic one day, so all of them go together. */
static bool share_a_topic(const struct plan_piece *a, const struct plan_piece *b)
{
	if (a->source || b->source)
		return false;
	const struct flow *f = a->flow, *g = b->flow;
	if (f->pattern && g->pattern)
		return true;
	if (g->pattern)
		return share_a_topic(b, a);
	for (size_t k = 0; k < g->topic_count; k++) {
		if (f->pattern && pattern_matches(f->pattern, g->topics[k]))
			return true;
		for (size_t i = 0; i < f->topic_count; i++)
			if (strcmp(f->topics[i], g->topics[k]) == 0)
				return true;
	}
	return false;
}

static void make_groups(struct plan *p)
{
	for (size_t i = 0; i < p->piece_count; i++)
		p->pieces[i].group = i;
	for (size_t i = 0; i < p->piece_count; i++)
		for (size_t k = 0; k < i; k++) {
			size_t from = p->pieces[i].group, to = p->pieces[k].group;
			if (from == to || !share_a_topic(&p->pieces[i], &p->pieces[k]))
				continue;
			for (size_t m = 0; m < p->piece_count; m++)
				if (p->pieces[m].group == from)
					p->pieces[m].group = to;
		}
	/* number them without gaps, in the order of their first pieces */
	p->group_count = 0;
	for (size_t i = 0; i < p->piece_count; i++) {
		if (p->pieces[i].group < p->group_count)
			continue;
		size_t old = p->pieces[i].group;
		assert(old >= p->group_count);
		for (size_t m = i; m < p->piece_count; m++) {
			if (p->pieces[m].group == old)
				p->pieces[m].group = p->group_count;
			else if (p->pieces[m].group == p->group_count)
				p->pieces[m].group = old;
		}
		p->group_count++;
	}
}

enum ks_err plan_make(const struct job *j, struct broker *b, struct plan **out, struct buf *report)
{
	if (plan_check(j, b, report))
		return ERR_SCRIPT;
	struct planner pl = {.plan = xcalloc(1, sizeof *pl.plan), .job = j, .broker = b};

	for (size_t i = 0; i < j->flow_count; i++) {
		pl.flow = &j->flows[i];
		pl.cuts = 0;
		piece_add(&pl, &pl.flow->steps, 0, NULL);
		cut_list(&pl, &pl.flow->steps, 0, pl.plan->piece_count - 1, false);
	}
	make_groups(pl.plan);
	gather_topics(&pl);
	if (plan_check_pieces(pl.plan, j, report)) {
		plan_free(pl.plan);
		return ERR_SCRIPT;
	}
	*out = pl.plan;
	return ERR_NONE;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	free(p->topics);
	free(p->pieces);
	arena_fini(&p->arena);
	free(p);
}

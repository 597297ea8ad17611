/* plan_print.c - what `ksrun plan` shows. */
#include "streams/plan_impl.h"

#include <string.h>

static const char *guarantee_name(enum guarantee g)
{
	static const char *const names[] = {"exactly_once", "at_least_once", "at_most_once"};
	return names[g];
}

static void indent(struct buf *out, int depth)
{
	buf_printf(out, "%*s", depth * 2, "");
}

static void print_list(const struct plan *p, const struct step_list *list, int depth,
		       struct buf *out);

static void print_argument(const struct step *s, struct buf *out)
{
	if (s->kind == STEP_TO)
		buf_printf(out, " %s", s->topic ? s->topic : "(by function)");
	else if (s->path)
		buf_printf(out, " \"%s\"", s->path);
	else if (s->kind == STEP_SAMPLE)
		buf_printf(out, " 1 of %lld", (long long)s->every);
	if (step_has_state(s))
		buf_printf(out, "  [state %s]", s->store);
}

static void print_step(const struct plan *p, const struct step *s, int depth, struct buf *out)
{
	size_t begin = out->len;

	indent(out, depth);
	buf_append_str(out, step_kind_name(s->kind));
	print_argument(s, out);
	size_t width = out->len - begin;
	buf_printf(out, "%*s %s\n", width < 44 ? (int)(44 - width) : 1, "", s->where);
	for (size_t i = 0; i < s->branch_count; i++) {
		const struct branch *b = &s->branches[i];
		indent(out, depth + 1);
		if (b->when_path)
			buf_printf(out, "when \"%s\"%s%s\n", b->when_path,
				   b->when_equals ? " == " : "",
				   b->when_equals ? b->when_equals : "");
		else
			buf_append_str(out, b->when == FN_NONE ? "else\n" : "when (function)\n");
		print_list(p, &b->steps, depth + 2, out);
	}
}

static void print_list(const struct plan *p, const struct step_list *list, int depth,
		       struct buf *out)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *cut = plan_cut_at(p, list, i);
		if (cut) {
			indent(out, depth);
			buf_printf(out, "-- repartition through %s\n", cut);
		}
		print_step(p, &list->steps[i], depth, out);
	}
}

static void print_flow(const struct plan *p, const struct flow *f, struct buf *out)
{
	buf_printf(out, "  flow %s\n    from", f->name);
	if (f->pattern)
		buf_printf(out, " /%s/", f->pattern);
	for (size_t i = 0; i < f->topic_count; i++)
		buf_printf(out, "%s %s", i ? "," : "", f->topics[i]);
	buf_append_str(out, "\n");
	print_list(p, &f->steps, 2, out);
}

static size_t widest_name(const struct plan *p)
{
	size_t width = 34;

	for (size_t i = 0; i < p->topic_count; i++)
		if (strlen(p->topics[i].name) > width)
			width = strlen(p->topics[i].name);
	return width;
}

static void print_topic(const struct plan_topic *t, enum plan_fate fate, const struct job *j,
			size_t width, struct buf *out)
{
	static const char signs[] = {'=', '+', '!', '!'};
	enum serde key, value;

	job_topic_serdes(j, t->name, &key, &value);
	buf_printf(out, "  %c topic %-*s ", signs[fate], (int)width, t->name);
	if (fate == PLAN_MISSING)
		buf_append_str(out, "missing");
	else if (t->partitions)
		buf_printf(out, "%d partition%s", t->partitions, t->partitions == 1 ? "" : "s");
	else
		buf_append_str(out, "default partitions");
	if (fate == PLAN_DIFFERENT)
		buf_printf(out, " (declared: %d)", t->decl->partitions);
	buf_printf(out, ", %s/%s%s%s%s\n", serde_name(key), serde_name(value),
		   t->is_input ? ", read" : "", t->is_output ? ", written" : "",
		   t->is_repartition ? ", internal" : "");
}

static bool chooses_topics(const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		if (s->kind == STEP_TO && !s->topic)
			return true;
		for (size_t k = 0; k < s->branch_count; k++)
			if (chooses_topics(&s->branches[k].steps))
				return true;
	}
	return false;
}

void plan_print(const struct plan *p, const struct job *j, struct broker *b, struct buf *out)
{
	size_t counts[PLAN_FATE_COUNT] = {0}, width = widest_name(p);
	bool by_function = false;

	buf_printf(out, "job %s   %s\n", j->name, guarantee_name(j->guarantee));
	for (size_t i = 0; i < j->flow_count; i++) {
		print_flow(p, &j->flows[i], out);
		by_function |= chooses_topics(&j->flows[i].steps);
	}
	for (size_t i = 0; i < p->topic_count; i++) {
		enum plan_fate fate = plan_topic_fate(&p->topics[i], b);
		print_topic(&p->topics[i], fate, j, width, out);
		counts[fate]++;
	}
	if (by_function)
		buf_append_str(out,
			       "  ? topics that a function chooses are created when it does\n");
	if (counts[PLAN_CREATED])
		buf_printf(out, "%zu topic%s would be created.\n", counts[PLAN_CREATED],
			   counts[PLAN_CREATED] == 1 ? "" : "s");
	else if (counts[PLAN_EXISTS] == p->topic_count)
		buf_append_str(out, "Nothing would be created.\n");
	if (counts[PLAN_MISSING] || counts[PLAN_DIFFERENT])
		buf_append_str(out, "A run would be refused.\n");
}

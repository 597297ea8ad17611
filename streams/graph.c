/* graph.c - a job as text in the manner of Kafka's Topology.describe(), and for Graphviz. */
#include "streams/plan_impl.h"

#include <string.h>

/* A walk over the steps of a piece in the order in which a record meets them. */
struct walk {
	const struct plan *plan;
	struct buf *out;
	void (*edge)(struct walk *w, const char *from, const char *to, bool to_topic);
};

/* is_start: the first step is where a cut's second half begins. */
static void walk_list(struct walk *w, const struct step_list *list, size_t first, bool is_start,
		      const char *from)
{
	for (size_t i = first; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		const char *cut = is_start && i == first ? NULL : plan_cut_at(w->plan, list, i);
		if (cut) {
			w->edge(w, from, cut, true);
			return;
		}
		w->edge(w, from, s->name, false);
		if (s->kind == STEP_TO)
			w->edge(w, s->name, s->topic ? s->topic : "(by function)", true);
		for (size_t k = 0; k < s->branch_count; k++)
			walk_list(w, &s->branches[k].steps, 0, false, s->name);
		from = s->name;
	}
}

static void text_edge(struct walk *w, const char *from, const char *to, bool to_topic)
{
	if (to_topic)
		buf_printf(w->out, "      %s --> topic %s\n", from, to);
	else
		buf_printf(w->out, "      %s --> %s\n", from, to);
}

static void text_piece(const struct plan *p, const struct plan_piece *piece, struct buf *out)
{
	struct walk w = {.plan = p, .out = out, .edge = text_edge};

	buf_printf(out, "    Source: %s (topics: [", piece->flow->name);
	if (piece->source)
		buf_append_str(out, piece->source);
	else if (piece->flow->pattern)
		buf_printf(out, "/%s/", piece->flow->pattern);
	for (size_t i = 0; !piece->source && i < piece->flow->topic_count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", piece->flow->topics[i]);
	buf_append_str(out, "])\n");
	walk_list(&w, piece->list, piece->first_step, piece->source != NULL, piece->flow->name);
}

void plan_graph_text(const struct plan *p, const struct job *j, struct buf *out)
{
	buf_printf(out, "Topology: %s\n", j->name);
	for (size_t g = 0; g < p->group_count; g++) {
		buf_printf(out, "  Sub-topology: %zu\n", g);
		for (size_t i = 0; i < p->piece_count; i++)
			if (p->pieces[i].group == g)
				text_piece(p, &p->pieces[i], out);
	}
}

static void dot_name(struct buf *out, const char *name)
{
	buf_append_u8(out, '"');
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			buf_append_u8(out, '\\');
		buf_append_u8(out, (uint8_t)*name);
	}
	buf_append_u8(out, '"');
}

static void dot_edge(struct walk *w, const char *from, const char *to, bool to_topic)
{
	if (to_topic) {
		buf_append_str(w->out, "\t");
		dot_name(w->out, to);
		buf_append_str(w->out, " [shape=cylinder];\n");
	}
	buf_append_str(w->out, "\t");
	dot_name(w->out, from);
	buf_append_str(w->out, " -> ");
	dot_name(w->out, to);
	buf_append_str(w->out, ";\n");
}

static void dot_source(struct walk *w, const char *topic, const char *to)
{
	buf_append_str(w->out, "\t");
	dot_name(w->out, topic);
	buf_append_str(w->out, " [shape=cylinder];\n");
	w->edge(w, topic, to, false);
}

void plan_graph_dot(const struct plan *p, const struct job *j, struct buf *out)
{
	struct walk w = {.plan = p, .out = out, .edge = dot_edge};

	buf_append_str(out, "digraph ");
	dot_name(out, j->name);
	buf_append_str(out, " {\n\trankdir=LR;\n\tnode [shape=box];\n");
	for (size_t i = 0; i < p->piece_count; i++) {
		const struct plan_piece *piece = &p->pieces[i];
		struct buf source = {0};
		buf_printf(&source, "flow %s%s%s", piece->flow->name, piece->source ? " from " : "",
			   piece->source ? piece->source : "");
		const char *name = buf_cstr(&source);
		if (piece->source)
			dot_source(&w, piece->source, name);
		else if (piece->flow->pattern)
			dot_source(&w, piece->flow->pattern, name);
		for (size_t k = 0; !piece->source && k < piece->flow->topic_count; k++)
			dot_source(&w, piece->flow->topics[k], name);
		walk_list(&w, piece->list, piece->first_step, piece->source != NULL, name);
		buf_fini(&source);
	}
	buf_append_str(out, "}\n");
}

/* plan_warn.c - what a job may do and hardly anybody wants: records that go round.
 *
 * Flows are the nodes of a graph, and a topic that one writes and another reads is an edge. Every
 * circle is told once, at the step that closes it: from the first flow of the circle, the search
 * goes through later flows only.
 */
#include "streams/plan_impl.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "streams/excerpt.h"

struct search {
	const struct job *job;
	const struct flow *first; /* where the circle begins and ends */
	bool *seen;               /* by flow */
	struct buf *report;
	size_t count;
};

static bool reads(const struct flow *f, const char *topic)
{
	regex_t re;
	bool is_match = false;

	for (size_t i = 0; i < f->topic_count; i++)
		if (strcmp(f->topics[i], topic) == 0)
			return true;
	if (f->pattern && regcomp(&re, f->pattern, REG_EXTENDED | REG_NOSUB) == 0) {
		is_match = regexec(&re, topic, 0, NULL, 0) == 0;
		regfree(&re);
	}
	return is_match;
}

static void warn(struct search *s, const struct step *to, const struct flow *writer)
{
	if (writer == s->first)
		buf_printf(s->report,
			   "%s: warning: flow \"%s\" writes to the topic \"%s\" that it reads: "
			   "what it writes comes back to it, in an endless loop unless a step "
			   "drops it\n",
			   to->where, writer->name, to->topic);
	else
		buf_printf(s->report,
			   "%s: warning: flow \"%s\" writes to the topic \"%s\", and flow \"%s\" "
			   "reads it and feeds this one: records go round, in an endless loop "
			   "unless a step drops them\n",
			   to->where, writer->name, to->topic, s->first->name);
	excerpt_source(s->report, s->job->script_path, to->where, to->topic,
		       "write to another topic");
	s->count++;
}

static void follow(struct search *s, const struct flow *from, const struct step_list *list);

static void follow_topic(struct search *s, const struct flow *from, const struct step *to)
{
	const struct job *j = s->job;

	if (reads(s->first, to->topic)) {
		warn(s, to, from);
		return;
	}
	for (size_t i = (size_t)(s->first - j->flows) + 1; i < j->flow_count; i++) {
		if (s->seen[i] || !reads(&j->flows[i], to->topic))
			continue;
		s->seen[i] = true;
		follow(s, &j->flows[i], &j->flows[i].steps);
	}
}

static void follow(struct search *s, const struct flow *from, const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *step = &list->steps[i];
		if (step->kind == STEP_TO && step->topic)
			follow_topic(s, from, step);
		for (size_t k = 0; k < step->branch_count; k++)
			follow(s, from, &step->branches[k].steps);
	}
}

size_t plan_warn(const struct job *j, struct buf *report)
{
	struct search s = {.job = j, .report = report};

	s.seen = xcalloc(j->flow_count + 1, sizeof *s.seen);
	for (size_t i = 0; i < j->flow_count; i++) {
		memset(s.seen, 0, j->flow_count * sizeof *s.seen);
		s.first = &j->flows[i];
		follow(&s, s.first, &s.first->steps);
	}
	free(s.seen);
	return s.count;
}

/* plan_check.c - everything about a job that can be wrong without looking at data.
 *
 * A problem is one line "file:line: sentence", the source line and a caret, with what to do about
 * it.
 */
#include "streams/plan_impl.h"

#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "streams/doc.h"
#include "streams/excerpt.h"

struct check {
	const struct job *job;
	struct broker *broker;
	struct buf *report;
	size_t count;
	/* stateful steps seen so far */
	const struct step **stores;
	size_t store_count;
};

static void __attribute__((format(printf, 5, 6)))
problem(struct check *c, const char *where, const char *token, const char *note, const char *format,
	...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	buf_printf(c->report, "%s: %s\n", where, text);
	excerpt_source(c->report, c->job->script_path, where, token, note);
	free(text);
	c->count++;
}

static char *did_you_mean(const struct job *j, const char *name)
{
	const char **names = xcalloc(j->topic_count + 1, sizeof *names);

	for (size_t i = 0; i < j->topic_count; i++)
		names[i] = j->topics[i].name;
	const char *near = suggest(name, names, j->topic_count);
	char *note = near ? xasprintf("did you mean \"%s\"?", near) : NULL;
	free(names);
	return note;
}

static bool is_own_repartition(const struct job *j, const char *name)
{
	size_t len = strlen(j->name);
	const char *rest = name + len;

	return strncmp(name, j->name, len) == 0 && *rest == '-' &&
	       strstr(rest, "-repartition") != NULL;
}

static bool is_valid_name(const char *name)
{
	size_t n = strlen(name);
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return n > 0 && n <= BROKER_TOPIC_NAME_MAX && strspn(name, letters) == n &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void check_topic(struct check *c, const char *where, const char *name)
{
	if (!is_valid_name(name)) {
		problem(c, where, name, NULL, "\"%s\" cannot be the name of a topic", name);
		return;
	}
	if (is_own_repartition(c->job, name)) {
		problem(c, where, name, "name the topic that the flow reads or writes instead",
			"topic \"%s\" is internal: the job makes and empties it by itself", name);
		return;
	}
	if (c->job->topic_count == 0 || job_topic_decl(c->job, name))
		return;
	char *note = did_you_mean(c->job, name);
	char *quoted = xasprintf("\"%s\"", name);
	problem(c, where, quoted, note, "topic \"%s\" is not declared", name);
	free(quoted);
	free(note);
}

static void check_path(struct check *c, const char *where, const char *path)
{
	struct ks_why why = {""};

	if (!path)
		return;
	struct doc_path *compiled = doc_path_new(path, &why);
	if (!compiled)
		problem(c, where, path, NULL, "\"%s\" is not a path: %s", path, why.text);
	doc_path_free(compiled);
}

static void check_store(struct check *c, const struct step *s)
{
	for (size_t i = 0; i < c->store_count; i++) {
		if (strcmp(c->stores[i]->store, s->store) != 0)
			continue;
		problem(c, s->where, NULL,
			"give each a name with as=", "store \"%s\" is there already, at %s",
			s->store, c->stores[i]->where);
		return;
	}
	c->stores = xrealloc(c->stores, (c->store_count + 1) * sizeof *c->stores);
	c->stores[c->store_count++] = s;
}

static bool needs_fn(enum step_kind k)
{
	return k == STEP_MAP || k == STEP_FLAT_MAP || k == STEP_PEEK || k == STEP_REDUCE ||
	       k == STEP_AGGREGATE || k == STEP_PROCESS;
}

static bool needs_fn_or_path(enum step_kind k)
{
	return k == STEP_FILTER || k == STEP_REJECT || k == STEP_REKEY;
}

static void check_list(struct check *c, const struct step_list *list);

static void check_split(struct check *c, const struct step *s, bool is_last)
{
	if (s->branch_count == 0)
		problem(c, s->where, NULL, NULL, "a split without branches");
	if (!is_last)
		problem(c, s->where, NULL, "put the steps that follow into the branches",
			"nothing can come after a split");
	for (size_t i = 0; i < s->branch_count; i++) {
		const struct branch *b = &s->branches[i];
		check_path(c, b->where, b->when_path);
		if (b->when == FN_NONE && !b->when_path && i + 1 < s->branch_count)
			problem(c, b->where, NULL, "put it last",
				"a branch without `when` takes everything: those behind it are "
				"never reached");
		check_list(c, &b->steps);
	}
}

static void check_step(struct check *c, const struct step *s, bool is_last)
{
	const char *kind = step_kind_name(s->kind);

	check_path(c, s->where, s->path);
	if (needs_fn(s->kind) && s->fn == FN_NONE)
		problem(c, s->where, kind, NULL, "%s needs a function", kind);
	if (needs_fn_or_path(s->kind) && s->fn == FN_NONE && !s->path)
		problem(c, s->where, kind, NULL, "%s needs a function or a path", kind);
	if (s->kind == STEP_EXPLODE && !s->path)
		problem(c, s->where, kind, NULL, "explode needs the path of an array");
	if (s->kind == STEP_SAMPLE && s->every < 1)
		problem(c, s->where, kind, NULL,
			"sample keeps one record of n, and n is at least 1");
	if (s->kind == STEP_TO && s->topic)
		check_topic(c, s->where, s->topic);
	if (s->kind == STEP_TO && !s->topic && s->fn == FN_NONE)
		problem(c, s->where, "to", NULL, "to needs a topic or a function that gives one");
	if (s->kind == STEP_SPLIT)
		check_split(c, s, is_last);
	if (step_has_state(s))
		check_store(c, s);
}

static void check_list(struct check *c, const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		check_step(c, &list->steps[i], i + 1 == list->count);
}

static bool reads_topic(const struct job *j, const char *name)
{
	for (size_t i = 0; i < j->flow_count; i++)
		for (size_t k = 0; k < j->flows[i].topic_count; k++)
			if (strcmp(j->flows[i].topics[k], name) == 0)
				return true;
	return false;
}

static void check_policy(struct check *c, const char *where, const struct error_policy *p)
{
	if (!p->is_set || p->action != ERROR_DEAD_LETTER)
		return;
	if (!p->dead_letter_topic) {
		problem(c, where, "dead_letter", NULL, "dead_letter needs a topic");
		return;
	}
	check_topic(c, where, p->dead_letter_topic);
	if (reads_topic(c->job, p->dead_letter_topic))
		problem(c, where, p->dead_letter_topic, "read it with another job",
			"the job reads its own dead letters \"%s\": a bad record would go round "
			"for ever",
			p->dead_letter_topic);
}

static void check_flow(struct check *c, const struct flow *f)
{
	regex_t re;

	if (f->topic_count == 0 && !f->pattern)
		problem(c, f->where, NULL, "begin it with ks.from", "flow \"%s\" reads no topic",
			f->name);
	if (f->steps.count == 0)
		problem(c, f->where, NULL, NULL, "flow \"%s\" has no steps", f->name);
	for (size_t i = 0; i < f->topic_count; i++)
		check_topic(c, f->where, f->topics[i]);
	if (f->pattern) {
		int err = regcomp(&re, f->pattern, REG_EXTENDED | REG_NOSUB);
		char text[128];
		if (err) {
			regerror(err, &re, text, sizeof text);
			problem(c, f->where, f->pattern, NULL, "\"%s\" is not a pattern: %s",
				f->pattern, text);
		} else {
			regfree(&re);
		}
	}
	check_path(c, f->where, f->time_path);
	check_policy(c, f->where, &f->on_error);
	check_list(c, &f->steps);
}

size_t plan_check(const struct job *j, struct broker *b, struct buf *report)
{
	struct check c = {.job = j, .broker = b, .report = report};

	if (j->flow_count == 0)
		problem(&c, j->where, NULL, NULL, "job \"%s\" has no flows", j->name);
	for (size_t i = 0; i < j->topic_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(j->topics[i].name, j->topics[k].name) == 0)
				problem(&c, j->topics[i].where, j->topics[i].name, NULL,
					"topic \"%s\" is declared already, at %s",
					j->topics[i].name, j->topics[k].where);
	for (size_t i = 0; i < j->flow_count; i++)
		check_flow(&c, &j->flows[i]);
	check_policy(&c, j->where, &j->on_error);
	free(c.stores);
	return c.count;
}

static bool has_state(const struct step_list *list, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		const struct step *s = &list->steps[i];
		if (step_has_state(s))
			return true;
		for (size_t k = 0; k < s->branch_count; k++)
			if (has_state(&s->branches[k].steps, 0, s->branches[k].steps.count))
				return true;
	}
	return false;
}

/* Equal keys meet in one task only when all topics that a stateful piece reads are cut alike. */
size_t plan_check_pieces(const struct plan *p, const struct job *j, struct buf *report)
{
	struct check c = {.job = j, .report = report};

	for (size_t i = 0; i < p->piece_count; i++) {
		const struct plan_piece *piece = &p->pieces[i];
		const struct plan_topic *first = NULL;
		if (piece->source || !has_state(piece->list, piece->first_step, piece->step_end))
			continue;
		for (size_t k = 0; k < piece->flow->topic_count; k++) {
			const struct plan_topic *t = plan_topic_find(p, piece->flow->topics[k]);
			if (!t || t->partitions == 0)
				continue;
			if (first && first->partitions != t->partitions)
				problem(&c, piece->flow->where, t->name,
					"put ks.rekey or ks.group by something before the state",
					"topic \"%s\" has %d partitions and \"%s\" has %d: equal "
					"keys would not meet",
					first->name, first->partitions, t->name, t->partitions);
			if (!first)
				first = t;
		}
	}
	return c.count;
}

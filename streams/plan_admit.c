/* plan_admit.c - whether a run could begin with the topics there are, asked before it makes any.
 *
 * A run asks as it starts, and `ksrun plan` asks what a run would: both get the same sentences.
 */
#include "streams/plan_impl.h"

#include <stdlib.h>
#include <string.h>

#include "streams/excerpt.h"

void plan_after(struct plan *p, const struct plan *earlier)
{
	for (size_t i = 0; i < earlier->topic_count; i++) {
		struct plan_topic *t = plan_topic_find(p, earlier->topics[i].name);
		if (!t)
			continue;
		t->is_made_before = true;
		if (earlier->topics[i].partitions > 0)
			t->partitions = earlier->topics[i].partitions;
	}
}

enum plan_fate plan_topic_fate(const struct plan_topic *t, struct broker *b)
{
	bool is_there = t->is_made_before || (b && broker_topic_find(b, t->name));

	if (!is_there)
		return t->decl || t->is_output || t->is_repartition ? PLAN_CREATED : PLAN_MISSING;
	if (t->decl && t->decl->partitions > 0 && t->partitions > 0 &&
	    t->decl->partitions != t->partitions)
		return PLAN_DIFFERENT;
	return PLAN_EXISTS;
}

/* Why with the line of the script it is about, and what to do. */
static enum ks_err refuse(const struct job *j, const char *where, const char *topic,
			  const char *what, const char *fix, struct ks_why *why)
{
	struct buf text = {0};

	buf_printf(&text, "%s: %s\n", where, what);
	excerpt_source(&text, j->script_path, where, topic, NULL);
	buf_append_str(&text, fix);
	ks_fail(why, ERR_SCRIPT, "%s", buf_cstr(&text));
	buf_fini(&text);
	return ERR_SCRIPT;
}

/* An input that nobody declares and nobody writes is most likely a misspelt one: it is not made up. */
static enum ks_err refuse_missing(const struct job *j, const char *name, const char *what,
				  struct ks_why *why)
{
	char *fix = xasprintf("declare it in the job's topics, or: ksrun topic create %s", name);
	const char *where = j->where;

	for (size_t i = 0; i < j->flow_count; i++)
		for (size_t k = 0; k < j->flows[i].topic_count; k++)
			if (strcmp(j->flows[i].topics[k], name) == 0)
				where = j->flows[i].where;
	refuse(j, where, name, what, fix, why);
	free(fix);
	return ERR_SCRIPT;
}

enum ks_err plan_refuse_topic(const struct job *j, const struct plan_topic *t, enum ks_err err,
			      const struct ks_why *what, struct ks_why *why)
{
	if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION)
		return refuse_missing(j, t->name, what->text, why);
	if (!t->decl)
		return ks_fail(why, err, "%s", what->text);
	return ks_fail(why, err, "%s: topic \"%s\": %s", t->decl->where, t->name, what->text);
}

static enum ks_err check_missing(const struct job *j, struct broker *b, const char *name,
				 struct ks_why *why)
{
	char *near = b ? broker_topic_suggest(b, name) : NULL;
	char *what = near ? xasprintf("there is no topic \"%s\"; did you mean \"%s\"?", name, near)
			  : xasprintf("there is no topic \"%s\"", name);

	refuse_missing(j, name, what, why);
	free(near);
	free(what);
	return ERR_SCRIPT;
}

/* Partitions can become more, never fewer. */
static enum ks_err refuse_different(const struct job *j, const struct plan_topic *t,
				    struct ks_why *why)
{
	int32_t wanted = t->decl->partitions;
	char *what = xasprintf("topic \"%s\" has %d partition%s, not %d", t->name, t->partitions,
			       t->partitions == 1 ? "" : "s", wanted);
	char *fix = wanted > t->partitions
			    ? xasprintf("declare %d, or: ksrun topic alter %s --partitions %d",
					t->partitions, t->name, wanted)
			    : xasprintf("declare %d, or name another topic", t->partitions);

	refuse(j, t->decl->where, t->name, what, fix, why);
	free(what);
	free(fix);
	return ERR_SCRIPT;
}

static enum ks_err check_new(const struct job *j, const struct plan_topic *t, struct broker *b,
			     struct ks_why *why)
{
	const struct topic_decl *d = t->decl;
	struct config_entry *configs = xcalloc(d ? d->config_count + 1 : 1, sizeof *configs);
	struct topic_spec spec = {.name = t->name,
				  .partitions = d ? d->partitions : 0,
				  .configs = configs,
				  .config_count = d ? d->config_count : 0};
	struct ks_why what = {""};

	for (size_t i = 0; i < spec.config_count; i++)
		configs[i] = (struct config_entry){d->config_keys[i], d->config_values[i]};
	enum ks_err err = broker_topic_validate(b, &spec, &what);
	free(configs);
	return err ? plan_refuse_topic(j, t, err, &what, why) : ERR_NONE;
}

enum ks_err plan_admit(const struct plan *p, const struct job *j, struct broker *b,
		       bool makes_inputs, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < p->topic_count && !err; i++) {
		const struct plan_topic *t = &p->topics[i];
		enum plan_fate fate = plan_topic_fate(t, b);

		if (fate == PLAN_MISSING && !makes_inputs)
			err = check_missing(j, b, t->name, why);
		else if (fate == PLAN_DIFFERENT)
			err = refuse_different(j, t, why);
		else if (fate == PLAN_CREATED && !t->is_repartition)
			err = check_new(j, t, b, why);
	}
	return err;
}

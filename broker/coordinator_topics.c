/* coordinator_topics.c - the groups' view of topics, expressions included.
 *
 * Topics have rising numbers and stay in memory once made, so an expression looks at each topic
 * once: what was made since it last looked. Deleted ones are passed over when it is asked.
 */
#include <stdlib.h>

#include "broker/coordinator_impl.h"
#include "groups/regex.h"

#define EXPRESSIONS_MAX 256 /* kept; the one that was not asked for longest goes */

struct expression {
	struct slice text;
	struct regex *regex;
	struct topic **matched;
	size_t matched_count, matched_cap;
	size_t seen; /* of topics.all */
	uint64_t last_use;
};

struct expressions {
	struct broker *broker;
	struct sorted all;
	uint64_t uses;
};

struct topic *topic_of_number(struct broker *b, uint32_t number)
{
	const struct topics *ts = &b->topics;
	size_t low = 0, high = ts->all_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (ts->all[middle]->id < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ts->all_count && ts->all[low]->id == number ? ts->all[low] : NULL;
}

struct topic *topic_of_name(struct broker *b, struct slice name)
{
	char text[BROKER_TOPIC_NAME_MAX + 1];

	if (name.len == 0 || name.len > BROKER_TOPIC_NAME_MAX || memchr(name.data, 0, name.len))
		return NULL;
	memcpy(text, name.data, name.len);
	text[name.len] = 0;
	return broker_topic_find(b, text);
}

struct topic *topic_of_uuid(struct broker *b, const struct wire_uuid *uuid)
{
	struct topic_uuid u;

	memcpy(u.bytes, uuid->bytes, sizeof u.bytes);
	return broker_topic_find_uuid(b, &u);
}

/* --- expressions --- */

struct expressions *expressions_new(struct broker *b)
{
	struct expressions *e = xcalloc(1, sizeof *e);

	e->broker = b;
	return e;
}

static void drop(struct expressions *e, struct expression *x)
{
	sorted_remove(&e->all, x);
	text_free(&x->text);
	regex_free(x->regex);
	free(x->matched);
	free(x);
}

void expressions_free(struct expressions *e)
{
	if (!e)
		return;
	while (e->all.count > 0)
		drop(e, e->all.items[e->all.count - 1]);
	sorted_fini(&e->all);
	free(e);
}

static void make_room(struct expressions *e)
{
	struct expression *oldest = NULL;

	if (e->all.count < EXPRESSIONS_MAX)
		return;
	for (size_t i = 0; i < e->all.count; i++) {
		struct expression *x = e->all.items[i];
		if (!oldest || x->last_use < oldest->last_use)
			oldest = x;
	}
	drop(e, oldest);
}

static void look(struct expression *x, struct topic *t)
{
	/* The repartition topics of jobs are nobody else's business. */
	if (topic_is_gone(t) || t->is_internal || !regex_matches(x->regex, slice_str(t->name)))
		return;
	if (x->matched_count == x->matched_cap) {
		x->matched_cap = x->matched_cap ? 2 * x->matched_cap : 8;
		x->matched = xrealloc(x->matched, x->matched_cap * sizeof(*x->matched));
	}
	x->matched[x->matched_count++] = t;
}

/* One that gives up on a name is not tried on more: its steps are the shard's time. */
static void look_at_new_topics(struct expressions *e, struct expression *x)
{
	const struct topics *ts = &e->broker->topics;

	for (; x->seen < ts->all_count && !regex_gave_up(x->regex); x->seen++)
		look(x, ts->all[x->seen]);
}

/* NULL: it is not valid. */
static struct expression *get(struct expressions *e, struct slice text, struct ks_why *why)
{
	struct expression *x = sorted_find(&e->all, text);

	if (!x) {
		struct regex *regex = regex_new(text, why);
		if (!regex)
			return NULL;
		make_room(e);
		x = xcalloc(1, sizeof *x);
		x->text = text_copy(text);
		x->regex = regex;
		sorted_add(&e->all, x);
	}
	x->last_use = ++e->uses;
	look_at_new_topics(e, x);
	return x;
}

enum ks_err expressions_check(struct expressions *e, struct slice regex, struct ks_why *why)
{
	const struct expression *x = get(e, regex, why);

	if (!x)
		return ERR_INVALID_REGULAR_EXPRESSION;
	if (regex_gave_up(x->regex))
		return ks_fail(why, ERR_INVALID_REGULAR_EXPRESSION,
			       "the regular expression takes too many steps to match a topic");
	return ERR_NONE;
}

/* --- what groups/ asks --- */

static uint64_t version(void *self)
{
	return ((const struct expressions *)self)->broker->topics.version;
}

static bool find(void *self, struct slice name, struct assign_topic *topic)
{
	struct topic *t = topic_of_name(((struct expressions *)self)->broker, name);

	if (!t)
		return false;
	*topic = (struct assign_topic){t->id, topic_partition_count(t)};
	return true;
}

static void match(void *self, struct slice regex,
		  void (*each)(void *arg, const struct assign_topic *topic), void *arg)
{
	const struct expression *x = get(self, regex, NULL);

	if (!x)
		return;
	for (size_t i = 0; i < x->matched_count; i++) {
		struct topic *t = x->matched[i];
		struct assign_topic topic = {t->id, topic_partition_count(t)};
		if (!topic_is_gone(t))
			each(arg, &topic);
	}
}

void expressions_source(struct expressions *e, struct topic_source *out)
{
	*out = (struct topic_source){version, find, match, e};
}

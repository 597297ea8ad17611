/* consumer_interest.c - from subscriptions to topics; see consumer_impl.h.
 *
 * Many members are subscribed to the same few names: each name is looked up once for all of them,
 * and again only when the source of topics says that something has changed.
 */
#include <assert.h>

#include "groups/consumer_impl.h"

static void add_topic(void *arg, const struct assign_topic *topic)
{
	struct interest *i = arg;

	if (i->topic_count == i->topic_cap) {
		i->topic_cap = i->topic_cap ? 2 * i->topic_cap : 1;
		i->topics = xrealloc(i->topics, i->topic_cap * sizeof *i->topics);
	}
	i->topics[i->topic_count++] = *topic;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = ((const struct assign_topic *)a)->number;
	uint32_t y = ((const struct assign_topic *)b)->number;
	return (x > y) - (x < y);
}

static void look_up(const struct consumer_group *g, struct interest *i, bool is_regex)
{
	const struct topic_source *source = g->options->topics;
	struct assign_topic topic;

	i->topic_count = 0;
	if (is_regex) {
		source->match(source->self, i->text, add_topic, i);
		if (i->topic_count > 1)
			qsort(i->topics, i->topic_count, sizeof *i->topics, compare);
	} else if (source->find(source->self, i->text, &topic)) {
		add_topic(i, &topic);
	}
}

static void add(struct consumer_group *g, struct sorted *all, struct slice text, bool is_regex)
{
	struct interest *i = sorted_find(all, text);

	if (!i) {
		i = xcalloc(1, sizeof *i);
		i->text = text_copy(text);
		sorted_add(all, i);
		look_up(g, i, is_regex);
		g->topics_are_current = false;
	}
	i->members++;
}

static void drop(struct consumer_group *g, struct sorted *all, struct slice text)
{
	struct interest *i = sorted_find(all, text);

	assert(i && i->members > 0);
	if (--i->members > 0)
		return;
	sorted_remove(all, i);
	text_free(&i->text);
	free(i->topics);
	free(i);
	g->topics_are_current = false;
}

void interests_add(struct consumer_group *g, const struct consumer_member *m)
{
	for (size_t i = 0; i < m->topics.count; i++)
		add(g, &g->by_name, m->topics.v[i], false);
	if (m->regex.len > 0)
		add(g, &g->by_regex, m->regex, true);
}

void interests_remove(struct consumer_group *g, const struct consumer_member *m)
{
	for (size_t i = 0; i < m->topics.count; i++)
		drop(g, &g->by_name, m->topics.v[i]);
	if (m->regex.len > 0)
		drop(g, &g->by_regex, m->regex);
}

void interests_fini(struct consumer_group *g)
{
	assert(g->by_name.count == 0 && g->by_regex.count == 0);
	sorted_fini(&g->by_name);
	sorted_fini(&g->by_regex);
	free(g->topics);
}

static void look_up_all(struct consumer_group *g)
{
	for (size_t i = 0; i < g->by_name.count; i++)
		look_up(g, g->by_name.items[i], false);
	for (size_t i = 0; i < g->by_regex.count; i++)
		look_up(g, g->by_regex.items[i], true);
}

/* Appends the topics of all interests. */
static void collect(struct interest *to, const struct sorted *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct interest *from = all->items[i];
		for (size_t k = 0; k < from->topic_count; k++)
			add_topic(to, &from->topics[k]);
	}
}

static void sort_and_thin(struct interest *i)
{
	size_t kept = 0;

	if (i->topic_count > 1)
		qsort(i->topics, i->topic_count, sizeof *i->topics, compare);
	for (size_t k = 0; k < i->topic_count; k++)
		if (kept == 0 || i->topics[kept - 1].number != i->topics[k].number)
			i->topics[kept++] = i->topics[k];
	i->topic_count = kept;
}

static bool same_topics(const struct interest *i, const struct consumer_group *g)
{
	if (i->topic_count != g->topic_count)
		return false;
	for (size_t k = 0; k < i->topic_count; k++)
		if (i->topics[k].number != g->topics[k].number ||
		    i->topics[k].partitions != g->topics[k].partitions)
			return false;
	return true;
}

bool topics_refresh(struct consumer_group *g)
{
	const struct topic_source *source = g->options->topics;
	uint64_t version = source->version(source->self);
	struct interest all = {.members = 0};

	if (version != g->topics_version)
		look_up_all(g);
	else if (g->topics_are_current)
		return false;
	g->topics_version = version;
	g->topics_are_current = true;
	collect(&all, &g->by_name);
	collect(&all, &g->by_regex);
	sort_and_thin(&all);
	if (same_topics(&all, g)) {
		free(all.topics);
		return false;
	}
	g->bytes += (all.topic_count - g->topic_count) * sizeof *g->topics;
	free(g->topics);
	g->topics = all.topics;
	g->topic_count = all.topic_count;
	return true;
}

static size_t topic_index(const struct consumer_group *g, uint32_t number)
{
	size_t low = 0, high = g->topic_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (g->topics[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	assert(low < g->topic_count && g->topics[low].number == number);
	return low;
}

static int compare_indexes(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint32_t *append_indexes(const struct consumer_group *g, const struct interest *i,
				uint32_t *indexes, size_t *count)
{
	if (i->topic_count == 0)
		return indexes;
	indexes = xrealloc(indexes, (*count + i->topic_count) * sizeof *indexes);
	for (size_t k = 0; k < i->topic_count; k++)
		indexes[(*count)++] = (uint32_t)topic_index(g, i->topics[k].number);
	return indexes;
}

uint32_t *topics_of_member(const struct consumer_group *g, const struct consumer_member *m,
			   size_t *count)
{
	uint32_t *indexes = NULL;
	size_t n = 0, kept = 0;

	assert(g->topics_are_current);
	for (size_t i = 0; i < m->topics.count; i++)
		indexes = append_indexes(g, sorted_find(&g->by_name, m->topics.v[i]), indexes, &n);
	if (m->regex.len > 0)
		indexes = append_indexes(g, sorted_find(&g->by_regex, m->regex), indexes, &n);
	if (n > 1)
		qsort(indexes, n, sizeof *indexes, compare_indexes);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || indexes[kept - 1] != indexes[i])
			indexes[kept++] = indexes[i];
	*count = kept;
	return indexes;
}

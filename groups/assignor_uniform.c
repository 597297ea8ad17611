/* assignor_uniform.c - the uniform assignor; see assignor.h.
 *
 * Two ways. When all members read the same topics, everybody gets total/members partitions and
 * some one more: it is known beforehand how many each may keep. Otherwise what can be kept is
 * kept, the rest goes to whoever has least, and then partitions move from those who have most to
 * those who have least, topic by topic, as long as that helps.
 */
#include "groups/assignor.h"

#include <assert.h>
#include <stdlib.h>

#define NOBODY (-1)

/* The work: all partitions of all topics in a row. */
struct deal {
	struct assign_member *members;
	size_t member_count;
	const struct assign_topic *topics;
	size_t topic_count;
	size_t *first;  /* of each topic its first partition in the row; one more at the end */
	int32_t *owner; /* of each partition in the row: index of a member, or NOBODY */
	size_t *load;   /* of each member: how many it has */
};

static void deal_init(struct deal *d)
{
	d->first = xcalloc(d->topic_count + 1, sizeof *d->first);
	for (size_t t = 0; t < d->topic_count; t++)
		d->first[t + 1] = d->first[t] + (size_t)d->topics[t].partitions;
	d->owner = xcalloc(d->first[d->topic_count] + 1, sizeof *d->owner);
	for (size_t i = 0; i < d->first[d->topic_count]; i++)
		d->owner[i] = NOBODY;
	d->load = xcalloc(d->member_count + 1, sizeof *d->load);
}

static void deal_fini(struct deal *d)
{
	free(d->first);
	free(d->owner);
	free(d->load);
}

static size_t total(const struct deal *d)
{
	return d->first[d->topic_count];
}

static void give(struct deal *d, size_t at, size_t member)
{
	d->owner[at] = (int32_t)member;
	d->load[member]++;
}

static void take(struct deal *d, size_t at)
{
	d->load[d->owner[at]]--;
	d->owner[at] = NOBODY;
}

static bool is_subscribed(const struct assign_member *m, size_t topic)
{
	size_t low = 0, high = m->topic_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (m->topics[middle] < topic)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->topic_count && m->topics[low] == topic;
}

/* The index of the topic with this number; topic_count: not one of ours. */
static size_t topic_index(const struct deal *d, uint32_t number)
{
	size_t low = 0, high = d->topic_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (d->topics[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < d->topic_count && d->topics[low].number == number ? low : d->topic_count;
}

/* What a member has and may keep, up to max partitions. */
static void keep(struct deal *d, size_t member, size_t max)
{
	const struct assign_member *m = &d->members[member];

	for (size_t i = 0; i < m->current->count && d->load[member] < max; i++) {
		size_t t = topic_index(d, part_topic(m->current->v[i]));
		int32_t index = part_index(m->current->v[i]);
		if (t == d->topic_count || index >= d->topics[t].partitions || !is_subscribed(m, t))
			continue;
		size_t at = d->first[t] + (size_t)index;
		if (d->owner[at] == NOBODY)
			give(d, at, member);
	}
}

static void tell(struct deal *d)
{
	for (size_t t = 0; t < d->topic_count; t++)
		for (size_t at = d->first[t]; at < d->first[t + 1]; at++)
			if (d->owner[at] != NOBODY)
				parts_append(
					&d->members[d->owner[at]].result,
					part_of(d->topics[t].number, (int32_t)(at - d->first[t])));
}

/* --- all read the same --- */

static bool all_read_the_same(const struct deal *d)
{
	for (size_t i = 0; i < d->member_count; i++)
		if (d->members[i].topic_count != d->topic_count)
			return false;
	return true;
}

/* Raises the loads to level, in the order of the members, as far as partitions go. next: where to
 * look for one that nobody has. */
static void fill(struct deal *d, size_t level, size_t *next)
{
	for (size_t i = 0; i < d->member_count; i++)
		while (d->load[i] < level) {
			while (*next < total(d) && d->owner[*next] != NOBODY)
				(*next)++;
			if (*next == total(d))
				return;
			give(d, *next, i);
		}
}

static void deal_evenly(struct deal *d)
{
	size_t quota = total(d) / d->member_count, extra = total(d) % d->member_count;
	size_t next = 0;

	for (size_t i = 0; i < d->member_count; i++) {
		keep(d, i, extra > 0 ? quota + 1 : quota);
		if (d->load[i] > quota)
			extra--; /* the ones more go to those who have them */
	}
	fill(d, quota, &next);
	fill(d, quota + 1, &next);
}

/* --- they do not --- */

/* Members that are subscribed to one topic, as a heap: the one with the least load on top. */
struct heap {
	const size_t *load;
	size_t *v;
	size_t count;
};

static bool is_less(const struct heap *h, size_t a, size_t b)
{
	return h->load[a] != h->load[b] ? h->load[a] < h->load[b] : a < b;
}

static void sink(struct heap *h, size_t at)
{
	size_t member = h->v[at];

	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < h->count && is_less(h, h->v[child + 1], h->v[child]))
			child++;
		if (child >= h->count || !is_less(h, h->v[child], member))
			break;
		h->v[at] = h->v[child];
		at = child;
	}
	h->v[at] = member;
}

static void heap_of_topic(struct heap *h, const struct deal *d, size_t topic)
{
	h->count = 0;
	for (size_t i = 0; i < d->member_count; i++)
		if (is_subscribed(&d->members[i], topic))
			h->v[h->count++] = i;
	for (size_t i = h->count / 2; i-- > 0;)
		sink(h, i);
}

static void hand_out(struct deal *d, struct heap *h, size_t topic)
{
	heap_of_topic(h, d, topic);
	if (h->count == 0)
		return;
	for (size_t at = d->first[topic]; at < d->first[topic + 1]; at++)
		if (d->owner[at] == NOBODY) {
			give(d, at, h->v[0]);
			sink(h, 0);
		}
}

struct choice {
	size_t subscribers, topic;
};

/* Topics that few may read first: the others can make up for them. */
static int compare_choices(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;

	if (x->subscribers != y->subscribers)
		return x->subscribers < y->subscribers ? -1 : 1;
	return (x->topic > y->topic) - (x->topic < y->topic);
}

static struct choice *order_topics(const struct deal *d)
{
	struct choice *order = xcalloc(d->topic_count + 1, sizeof *order);

	for (size_t t = 0; t < d->topic_count; t++)
		order[t].topic = t;
	for (size_t i = 0; i < d->member_count; i++)
		for (size_t k = 0; k < d->members[i].topic_count; k++)
			order[d->members[i].topics[k]].subscribers++;
	if (d->topic_count > 0)
		qsort(order, d->topic_count, sizeof *order, compare_choices);
	return order;
}

/* The partition of the topic whose owner has the most; of equals the last. */
static size_t heaviest(const struct deal *d, size_t topic)
{
	size_t best = d->first[topic];

	for (size_t at = best + 1; at < d->first[topic + 1]; at++)
		if (d->load[d->owner[at]] >= d->load[d->owner[best]])
			best = at;
	return best;
}

/* Evens out among the subscribers of one topic. true: something moved. */
static bool even_out(struct deal *d, struct heap *h, size_t topic)
{
	bool has_moved = false;

	heap_of_topic(h, d, topic);
	if (h->count < 2 || d->first[topic] == d->first[topic + 1])
		return false;
	for (;;) {
		size_t at = heaviest(d, topic);
		if (d->load[d->owner[at]] < d->load[h->v[0]] + 2)
			return has_moved;
		size_t to = h->v[0];
		take(d, at);
		give(d, at, to);
		/* Two loads changed. */
		heap_of_topic(h, d, topic);
		has_moved = true;
	}
}

#define ROUNDS_MAX 16 /* of evening out; each about halves what is uneven */

static void deal_by_subscription(struct deal *d)
{
	struct choice *order = order_topics(d);
	struct heap h = {.load = d->load, .v = xcalloc(d->member_count + 1, sizeof *h.v)};
	bool has_moved = true;

	for (size_t i = 0; i < d->member_count; i++)
		keep(d, i, SIZE_MAX);
	for (size_t i = 0; i < d->topic_count; i++)
		hand_out(d, &h, order[i].topic);
	for (int round = 0; round < ROUNDS_MAX && has_moved; round++) {
		has_moved = false;
		for (size_t i = 0; i < d->topic_count; i++)
			if (order[i].subscribers > 0)
				has_moved |= even_out(d, &h, order[i].topic);
	}
	free(h.v);
	free(order);
}

void assign_uniform(struct assign_member *members, size_t member_count,
		    const struct assign_topic *topics, size_t topic_count)
{
	struct deal d = {.members = members,
			 .member_count = member_count,
			 .topics = topics,
			 .topic_count = topic_count};

	if (member_count == 0)
		return;
	deal_init(&d);
	if (all_read_the_same(&d))
		deal_evenly(&d);
	else
		deal_by_subscription(&d);
	tell(&d);
	deal_fini(&d);
}

/* assignor.c - see assignor.h: the names, and the range assignor. */
#include "groups/assignor.h"

#include <stdlib.h>

assign_fn *assignor_find(struct slice name)
{
	if (slice_compare(name, slice_str("uniform")) == 0)
		return assign_uniform;
	if (slice_compare(name, slice_str("range")) == 0)
		return assign_range;
	return NULL;
}

/* How a topic is being dealt out. */
struct dealing {
	int32_t next;    /* partition */
	int32_t quota;   /* of each subscriber, */
	int32_t extra;   /* and one more for so many of them */
	int32_t members; /* subscribers */
};

/* Instance ids survive a restart of their client, member ids do not: so they come first. */
static int compare_members(const void *a, const void *b)
{
	const struct assign_member *x = *(struct assign_member *const *)a;
	const struct assign_member *y = *(struct assign_member *const *)b;

	if (!x->instance_id.data != !y->instance_id.data)
		return x->instance_id.data ? -1 : 1;
	if (x->instance_id.data)
		return slice_compare(x->instance_id, y->instance_id);
	return slice_compare(x->id, y->id);
}

static void deal(struct assign_member *m, const struct assign_topic *topic, struct dealing *d)
{
	int32_t count = d->quota;

	if (d->extra > 0) {
		d->extra--;
		count++;
	}
	for (int32_t i = 0; i < count; i++)
		parts_append(&m->result, part_of(topic->number, d->next++));
}

void assign_range(struct assign_member *members, size_t member_count,
		  const struct assign_topic *topics, size_t topic_count)
{
	struct dealing *dealings = xcalloc(topic_count + 1, sizeof *dealings);
	struct assign_member **order = xcalloc(member_count + 1, sizeof(*order));

	for (size_t i = 0; i < member_count; i++) {
		order[i] = &members[i];
		for (size_t k = 0; k < members[i].topic_count; k++)
			dealings[members[i].topics[k]].members++;
	}
	for (size_t t = 0; t < topic_count; t++)
		if (dealings[t].members > 0) {
			dealings[t].quota = topics[t].partitions / dealings[t].members;
			dealings[t].extra = topics[t].partitions % dealings[t].members;
		}
	if (member_count > 0)
		qsort(order, member_count, sizeof(*order), compare_members);
	for (size_t i = 0; i < member_count; i++)
		for (size_t k = 0; k < order[i]->topic_count; k++) {
			uint32_t t = order[i]->topics[k];
			deal(order[i], &topics[t], &dealings[t]);
		}
	free(order);
	free(dealings);
}

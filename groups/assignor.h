/* assignor.h - who is to read which partition: the assignors that run here, not in a client.
 *
 * Pure functions of the members, their subscriptions and what each has now. Same input, same
 * output.
 */
#ifndef GROUPS_ASSIGNOR_H
#define GROUPS_ASSIGNOR_H

#include "base/mem.h"
#include "groups/parts.h"

struct assign_topic {
	uint32_t number;
	int32_t partitions;
};

struct assign_member {
	struct slice id, instance_id;
	const uint32_t *topics; /* indexes of the topics that it is subscribed to, rising */
	size_t topic_count;
	const struct parts *current; /* its target so far; may have what is no longer there */
	struct parts result;         /* out: zeroed before, settled after */
};

/* members: by id. topics: by number, all that anyone is subscribed to. Every partition of them
 * goes to one member that is subscribed to its topic. */
typedef void assign_fn(struct assign_member *members, size_t member_count,
		       const struct assign_topic *topics, size_t topic_count);

/* Per topic a stretch of partitions to each subscriber, in the order of their instance ids (static
 * members first) and member ids. Topics of equal size and subscribers are split alike. */
assign_fn assign_range;
/* As even as can be, then as much as it is now as can be. When all are subscribed to the same
 * topics no member has two more than another. */
assign_fn assign_uniform;

/* By its name; NULL: there is no such assignor. */
assign_fn *assignor_find(struct slice name);

#endif

/* assign.c - see assign.h. */
#include "client/assign.h"

#include <stdlib.h>

#define SUBSCRIPTION_VERSION_MAX 3
#define ASSIGNMENT_VERSION_MAX   3

static enum ks_err read_versioned(struct slice bytes, int16_t version_max,
				  const struct wire_desc *d, struct arena *arena, size_t arena_max,
				  void *out)
{
	struct wire_reader r;

	if (bytes.len < 2)
		return ERR_MALFORMED;
	int16_t version = (int16_t)get_u16be(bytes.data);
	if (version < 0)
		return ERR_MALFORMED;
	if (version > version_max)
		version = version_max;
	wire_reader_init(&r, slice_of(bytes.data + 2, bytes.len - 2), version, WIRE_NEVER, arena,
			 arena_max);
	return wire_read(&r, d, out);
}

enum ks_err assign_read_subscription(struct slice bytes, struct arena *arena, size_t arena_max,
				     struct consumer_protocol_subscription *out)
{
	return read_versioned(bytes, SUBSCRIPTION_VERSION_MAX,
			      consumer_protocol_subscription_desc(), arena, arena_max, out);
}

enum ks_err assign_read_assignment(struct slice bytes, struct arena *arena, size_t arena_max,
				   struct consumer_protocol_assignment *out)
{
	return read_versioned(bytes, ASSIGNMENT_VERSION_MAX, consumer_protocol_assignment_desc(),
			      arena, arena_max, out);
}

static void write_versioned(const struct wire_desc *d, const void *message, struct buf *out)
{
	struct wire_out o = {0};

	wire_write(&o, d, message, 0, WIRE_NEVER);
	buf_append_u16be(out, 0);
	buf_append(out, o.bytes.data, o.bytes.len);
	wire_out_fini(&o);
}

void assign_write_subscription(const struct consumer_protocol_subscription *s, struct buf *out)
{
	write_versioned(consumer_protocol_subscription_desc(), s, out);
}

void assign_write_assignment(const struct consumer_protocol_assignment *a, struct buf *out)
{
	write_versioned(consumer_protocol_assignment_desc(), a, out);
}

/* --- ranges --- */

static int compare_members(const void *a, const void *b)
{
	const struct assign_member *x = a, *y = b;

	return slice_compare(x->id, y->id);
}

static int compare_slices(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return slice_compare(*x, *y);
}

static bool subscribes(const struct assign_member *m, struct slice topic)
{
	for (int32_t i = 0; i < m->subscription.topics.n; i++)
		if (slice_equal(m->subscription.topics.v[i], topic))
			return true;
	return false;
}

static void give(struct assign_member *m, struct slice topic, int32_t first, int32_t count,
		 struct arena *arena)
{
	struct consumer_protocol_assignment *a = &m->assignment;
	struct consumer_protocol_assignment_assigned_partition *row =
		&a->assigned_partitions.v[a->assigned_partitions.n++];

	row->topic = topic;
	row->partitions.v = arena_alloc(arena, (size_t)count * sizeof(int32_t));
	row->partitions.n = count;
	for (int32_t i = 0; i < count; i++)
		row->partitions.v[i] = first + i;
}

static void assign_topic(struct assign_member *members, size_t count, struct slice topic,
			 int32_t partitions, struct arena *arena)
{
	int32_t takers = 0, next = 0, taken = 0;

	for (size_t i = 0; i < count; i++)
		takers += subscribes(&members[i], topic);
	for (size_t i = 0; i < count; i++) {
		if (!subscribes(&members[i], topic))
			continue;
		int32_t share = partitions / takers + (taken < partitions % takers);
		if (share > 0)
			give(&members[i], topic, next, share, arena);
		next += share;
		taken++;
	}
}

void assign_ranges(struct assign_member *members, size_t count, assign_partitions *partitions,
		   void *arg, struct arena *arena)
{
	size_t n = 0, all = 0;

	for (size_t i = 0; i < count; i++)
		all += (size_t)members[i].subscription.topics.n;
	struct slice *topics = xcalloc(all + 1, sizeof *topics);
	for (size_t i = 0; i < count; i++)
		for (int32_t k = 0; k < members[i].subscription.topics.n; k++)
			topics[n++] = members[i].subscription.topics.v[k];
	qsort(topics, n, sizeof *topics, compare_slices);
	qsort(members, count, sizeof *members, compare_members);
	for (size_t i = 0; i < count; i++) {
		size_t rows = (size_t)members[i].subscription.topics.n;
		members[i].assignment = (struct consumer_protocol_assignment){0};
		members[i].assignment.assigned_partitions.v = arena_alloc(
			arena, (rows + 1) * sizeof *members[i].assignment.assigned_partitions.v);
	}
	for (size_t i = 0; i < n; i++) {
		if (i && slice_equal(topics[i], topics[i - 1]))
			continue;
		int32_t p = partitions(arg, topics[i]);
		if (p > 0)
			assign_topic(members, count, topics[i], p, arena);
	}
	free(topics);
}

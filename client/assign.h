/* assign.h - the messages inside of the group protocol, and the range assignor.
 *
 * What members tell each other through the coordinator are bytes with a version of their own: what
 * they subscribe to, and which partitions they get. The leader of a group assigns by ranges: of
 * every topic consecutive partitions, in the order of member ids, as evenly as it goes, the first
 * ones getting one more.
 *
 * Pure: no I/O, no clock.
 */
#ifndef CLIENT_ASSIGN_H
#define CLIENT_ASSIGN_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/messages.h"

/* One member as the leader sees it. */
struct assign_member {
	struct slice id;
	struct consumer_protocol_subscription subscription;
	struct consumer_protocol_assignment assignment; /* result; in the arena */
};

/* How many partitions a topic has; 0 or less: it does not exist, and nobody gets any. */
typedef int32_t assign_partitions(void *arg, struct slice topic);

/* Assigns all topics that anybody subscribes to. Sorts the members by their ids. */
void assign_ranges(struct assign_member *members, size_t count, assign_partitions *partitions,
		   void *arg, struct arena *arena);

/* Version and body. Reading borrows from bytes and takes arrays from the arena, at most arena_max
 * bytes of them.
 *   ERR_MALFORMED, ERR_TOO_LARGE */
enum ks_err assign_read_subscription(struct slice bytes, struct arena *arena, size_t arena_max,
				     struct consumer_protocol_subscription *out);
enum ks_err assign_read_assignment(struct slice bytes, struct arena *arena, size_t arena_max,
				   struct consumer_protocol_assignment *out);
/* Appended to out, in version 0, which everybody understands. */
void assign_write_subscription(const struct consumer_protocol_subscription *s, struct buf *out);
void assign_write_assignment(const struct consumer_protocol_assignment *a, struct buf *out);

#endif

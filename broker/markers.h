/* markers.h - the end of a transaction in one partition: the marker, in the group's write.
 *
 * Belongs to the shard's thread.
 */
#ifndef BROKER_MARKERS_H
#define BROKER_MARKERS_H

#include "broker/group.h"
#include "wire/marker.h"

/* Where the producer stands in the partition, this group included; until the group's next change. */
const struct producer_state *group_producer_in(const struct group *g, const struct partition *p,
					       int64_t producer_id);
/* Ends it: appends the marker, moves the producer to its epoch and, when it is an abort, puts the entry of the aborted
 * transaction. Nothing happens when none is open or a newer epoch has opened it; false then. m->timestamp is the group's. */
bool group_end_open(struct group *g, struct partition *p, const struct marker *m);

/* Parts of the group's functions of these names. */
void group_publish_markers(struct group *g);
void group_clear_markers(struct group *g);

#endif

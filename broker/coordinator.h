/* coordinator.h - consumer groups over the wire: requests in, answers out, state in the store.
 *
 * Lives on the shard's thread. A request becomes a task; what it changes is put into the WriteBatch
 * of its group of commands, and it is answered when that is written (group_after).
 */
#ifndef BROKER_COORDINATOR_H
#define BROKER_COORDINATOR_H

#include "broker/broker.h"

/* Zeroed memory of the answer; NULL for nothing. */
void *coordinator_alloc(struct group_call *c, size_t count, size_t size);
/* Fills the answer of a call that is refused as a whole. */
void coordinator_refuse(struct group_call *c, enum ks_err err);

#endif

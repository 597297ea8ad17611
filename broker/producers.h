/* producers.h - idempotent producers: what the group remembers of them, their ids, their expiry.
 *
 * Belongs to the shard's thread, except where it says otherwise.
 */
#ifndef BROKER_PRODUCERS_H
#define BROKER_PRODUCERS_H

#include "broker/group.h"

/* Before the shard starts: reads what the store has. */
enum ks_err producers_load(struct broker *b, struct ks_why *why);
/* The shard has started: those that are quiet for too long will be forgotten. */
void producers_watch_expiry(struct broker *b);

/* Where the producer stands, this group included; known: NULL, or as producer_find found it. Until the group's next change. */
const struct producer_state *group_producer_state(const struct group *g,
						  const struct producer *known);
/* The group's copy of that, to be changed; made when it is not there yet. */
struct producer_state *group_producer_copy(struct group *g, struct partition *p,
					   struct producer *known, int64_t producer_id);

/* One that could not expire soon can: somebody has to look. */
void producers_will_age(struct broker *b);

/* Checks the batches of one append, which are of one producer, against what the partition and this
 * group know of the producer, and counts them as appended from base_offset on. After an error, or
 * when they repeat, nothing has changed. *duplicate: NULL, or the batch that the first one repeats,
 * until the next call; then nothing is to be appended.
 *   ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, ERR_INVALID_PRODUCER_EPOCH, ERR_INVALID_TXN_STATE   as producer_check
 *   ERR_INVALID_RECORD  some repeat and some are new, or they have no sequence */
enum ks_err group_check_producer(struct group *g, struct partition *p, struct slice batches,
				 int64_t base_offset, const struct producer_batch **duplicate);

/* The id that is given out next, and giving it out: the write that reserves it is on the disk before anything is answered. */
int64_t producers_next_id(const struct broker *b);
int64_t producers_take_id(struct broker *b, struct group *g);

/* Parts of the group's functions of these names. */
void group_finish_producers(struct group *g);
void group_publish_producers(struct group *g);
void group_clear_producers(struct group *g);

#endif

/* consumer_impl.h - what the files of the consumer protocol share.
 *
 *     consumer.c           heartbeats, departures, timeouts
 *     consumer_interest.c  what the members are subscribed to, and which topics that is
 *     consumer_target.c    running the assignor, and moving a member towards its target
 */
#ifndef GROUPS_CONSUMER_IMPL_H
#define GROUPS_CONSUMER_IMPL_H

#include "groups/consumer.h"

/* One name or expression that members are subscribed to. */
struct interest {
	struct slice text;
	size_t members;
	struct assign_topic *topics; /* by number */
	size_t topic_count, topic_cap;
};

void interests_add(struct consumer_group *g, const struct consumer_member *m);
void interests_remove(struct consumer_group *g, const struct consumer_member *m);
void interests_fini(struct consumer_group *g);
/* Looks up again what may have changed. true: the group's topics did. */
bool topics_refresh(struct consumer_group *g);
/* Indexes in g->topics of what a member is subscribed to, rising; free() them. */
uint32_t *topics_of_member(const struct consumer_group *g, const struct consumer_member *m,
			   size_t *count);

void member_changed(struct consumer_member *m, struct consumer_effects *fx);
/* Gives every member a target, for the group's epoch. */
void target_update(struct consumer_group *g, struct consumer_effects *fx);
/* One step of a member towards its target. owned: what it says it has; NULL: it does not say. */
void member_reconcile(struct consumer_group *g, struct consumer_member *m,
		      const struct parts *owned, const struct moment *at,
		      struct consumer_effects *fx);
bool member_is_reconciled(const struct consumer_group *g, const struct consumer_member *m);
/* Takes what is in the sets from their owners' list, and puts it back. */
void ownership_drop(struct consumer_group *g, struct consumer_member *m);
void ownership_take(struct consumer_group *g, struct consumer_member *m);

#endif

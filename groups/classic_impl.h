/* classic_impl.h - what classic.c asks of classic_member.c: who is in the group and what they
 * support.
 *
 * Nothing here decides about the group's state.
 */
#ifndef GROUPS_CLASSIC_IMPL_H
#define GROUPS_CLASSIC_IMPL_H

#include "groups/classic.h"

/* How many members support a protocol. */
struct classic_support {
	struct slice name;
	size_t members;
};

struct classic_member *member_find(const struct classic_group *g, struct slice id);
struct classic_member *member_at(const struct classic_group *g, size_t i);
struct classic_member *member_of_instance(const struct classic_group *g, struct slice instance_id);
struct classic_member *pending_find(const struct classic_group *g, struct slice id);

/* Makes a member of a join; its id is given. It is the leader when there is none. */
struct classic_member *member_add(struct classic_group *g, const struct classic_join *j,
				  struct slice id);
/* Takes over what a member of the group says in its newest join. */
void member_update(struct classic_group *g, struct classic_member *m, const struct classic_join *j);
/* A static member came back under another id. */
void member_rename(struct classic_group *g, struct classic_member *m, struct slice id);
/* No call of it is parked. The leadership goes to somebody else. */
void member_remove(struct classic_group *g, struct classic_member *m);
void member_assign(struct classic_group *g, struct classic_member *m, struct slice assignment);
/* Somebody who was given an id and is to join with it. */
struct classic_member *pending_add(struct classic_group *g, struct slice id);
void pending_remove(struct classic_group *g, struct classic_member *m);

/* Whether the protocols are the member's, in this order. */
bool member_matches(const struct classic_member *m, const struct classic_join *j);
/* Whether a member of this type and protocols could be in the group. */
bool protocols_fit(const struct classic_group *g, const struct classic_join *j);
/* The protocol that all members support and most prefer; there is one. Valid until a member
 * changes. */
struct slice protocol_select(const struct classic_group *g);
int32_t rebalance_timeout_ms(const struct classic_group *g);
/* What the members' metadata say about topics. */
void topics_update(struct classic_group *g);

#endif

/* member.h - one member of a consumer group, by the classic protocol: JoinGroup, SyncGroup,
 * Heartbeat, LeaveGroup. Assigns by ranges when it is the group's leader.
 *
 *     join: JoinGroup (twice for a new member: it gets its id first) -> SyncGroup -> assignment
 *     heartbeat, every few seconds: still a member, or the group rebalances -> join again
 *
 * For one thread at a time, that of its cluster. Between two calls of client_member_heartbeat no
 * more time than the session timeout may pass, or the group goes on without this member.
 */
#ifndef CLIENT_MEMBER_H
#define CLIENT_MEMBER_H

#include "client/groups.h"

struct client_member;

struct client_member_options {
	const char *group;
	const char *const *topics; /* that it wants partitions of */
	size_t topic_count;
	int session_timeout_ms;    /* 0: 45 s */
	int rebalance_timeout_ms;  /* 0: 60 s: how long the others wait for it */
	int heartbeat_interval_ms; /* 0: 3 s; negative: with every call */
};

/* Options are copied. */
struct client_member *client_member_new(struct client_cluster *cl,
					const struct client_member_options *options);
/* Leaves the group when it is in, so that the others need not wait for the session timeout. m may
 * be NULL. */
void client_member_free(struct client_member *m);

/* Joins, or joins again, and waits for the assignment.
 *   ERR_CLOSED  interrupted by the cluster's stop_fd
 *   ERR_INCONSISTENT_GROUP_PROTOCOL, ERR_GROUP_AUTHORIZATION_FAILED, ... as the coordinator says */
enum ks_err client_member_join(struct client_member *m, struct ks_why *why);

struct client_assigned {
	const char *topic; /* one of the options' */
	int32_t partition;
};
/* Until the next join. */
const struct client_assigned *client_member_assignment(const struct client_member *m,
						       size_t *count);
/* As whom it commits; until the next join. */
struct client_committer client_member_committer(const struct client_member *m);

/* Sends a heartbeat when one is due. *must_join: the assignment no longer holds - commit, then
 * join. */
enum ks_err client_member_heartbeat(struct client_member *m, bool *must_join, struct ks_why *why);

#endif

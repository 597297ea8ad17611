/* groups.h - consumer groups from outside: which there are, who is in them, what they have
 * committed. */
#ifndef CLIENT_GROUPS_H
#define CLIENT_GROUPS_H

#include "client/cluster.h"

struct client_group {
	char *name, *state,
		*type; /* type "classic", "consumer"; "" where the broker does not tell */
	int32_t coordinator;
};
/* Those of all brokers, in the order of their names. Release with client_groups_free. */
enum ks_err client_groups_list(struct client_cluster *cl, struct client_group **out, size_t *count,
			       struct ks_why *why);
void client_groups_free(struct client_group *groups, size_t count);

struct client_group_member {
	struct slice id, client_id, host, instance_id;
	/* The partitions assigned to it, of one topic each. */
	const struct client_group_share {
		struct slice topic;
		const int32_t *partitions;
		int32_t count;
	} * shares;
	size_t share_count;
};

/* One group and its members. Everything lives in the reply and its arena; release with
 * client_reply_fini(&d->reply). */
struct client_group_description {
	struct slice state, assignor;
	const struct client_group_member *members;
	size_t member_count;
	int32_t coordinator;
	struct client_reply reply;
};
/* Classic groups and those of the newer protocol alike. A group that does not exist is "Dead" and
 * has no member. */
enum ks_err client_group_describe(struct client_cluster *cl, const char *group,
				  struct client_group_description *out, struct ks_why *why);

struct client_group_offset {
	char *topic;
	int32_t partition;
	int64_t offset;
};
/* What a group has committed, in the order of topics and partitions; none when there is no such
 * group. Release with client_group_offsets_free. */
enum ks_err client_group_offsets(struct client_cluster *cl, const char *group,
				 struct client_group_offset **out, size_t *count,
				 struct ks_why *why);
void client_group_offsets_free(struct client_group_offset *rows, size_t count);

/* Who commits; zeros and -1: nobody of the group. */
struct client_committer {
	int32_t generation;
	const char *member_id, *instance_id;
};
/* rows are in the order of topics. topic is only read.
 *   ERR_REBALANCE_IN_PROGRESS, ERR_ILLEGAL_GENERATION, ERR_UNKNOWN_MEMBER_ID, ...
 *   as the coordinator says */
enum ks_err client_group_commit(struct client_cluster *cl, const char *group,
				const struct client_committer *who,
				const struct client_group_offset *rows, size_t count,
				struct ks_why *why);

/* ERR_GROUP_ID_NOT_FOUND, ERR_NON_EMPTY_GROUP, ... */
enum ks_err client_group_delete(struct client_cluster *cl, const char *group, struct ks_why *why);

/* Whether the coordinator is only not ready, or another one by now. */
bool client_coordinator_may_change(enum ks_err err);

#endif

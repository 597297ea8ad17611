/* consumer.h - one group of the consumer protocol (KIP-848): members that heartbeat, a broker that
 * assigns.
 *
 * A struct consumer_group is state and nothing else, as classic.h says of the classic protocol.
 * There are no parked calls here: each heartbeat is answered at once, with the partitions that its
 * member may have now.
 *
 * Three epochs. The group's is raised when members or topics change. The target's follows when the
 * assignor has run for that epoch: then every member has a target. A member's own follows when it
 * has given up what the target takes away from it; what the target gives it comes as soon as
 * nobody else has it. So no partition ever has two owners.
 */
#ifndef GROUPS_CONSUMER_H
#define GROUPS_CONSUMER_H

#include "base/err.h"
#include "groups/assignor.h"
#include "groups/moment.h"
#include "groups/names.h"
#include "groups/parts.h"
#include "groups/sorted.h"
#include "groups/deadlines.h"

#define CONSUMER_EPOCH_LEAVE        (-1)
#define CONSUMER_EPOCH_LEAVE_STATIC (-2) /* for a while: the instance will be back */

/* What a group asks about topics. Answers hold while the version does. */
struct topic_source {
	uint64_t (*version)(void *self); /* changes when a topic comes, goes or grows */
	/* false: there is no such topic. */
	bool (*find)(void *self, struct slice name, struct assign_topic *topic);
	/* Calls each for the topics whose whole name the expression matches. */
	void (*match)(void *self, struct slice regex,
		      void (*each)(void *arg, const struct assign_topic *topic), void *arg);
	void *self;
};

struct consumer_options {
	int32_t session_timeout_ms;
	int32_t max_size;
	struct slice default_assignor; /* assignor_find knows it */
	const struct topic_source *topics;
};

enum consumer_member_state {
	CONSUMER_MEMBER_STABLE,     /* has what its target was at its epoch */
	CONSUMER_MEMBER_UNREVOKED,  /* has to give up partitions first */
	CONSUMER_MEMBER_UNRELEASED, /* waits for partitions that others have to give up */
	CONSUMER_MEMBER_STATES
};

/* Read by the owner, written by the group. */
struct consumer_member {
	struct slice id;
	struct slice instance_id, rack_id; /* may be null */
	struct slice client_id, client_host;
	struct slice regex;    /* empty: none */
	struct slice assignor; /* the one it prefers; null: any */
	struct names topics;   /* subscribed to by name */
	int32_t rebalance_timeout_ms;
	int32_t epoch, previous_epoch;
	enum consumer_member_state state;
	struct parts assigned; /* it may read these */
	struct parts revoking; /* it is to give these up, and has not said that it did */
	struct parts target;

	/* the group's own */
	struct consumer_instance {
		struct slice name;
		struct consumer_member *member;
	} instance;
	struct deadline session, rebalance;
	bool is_changed; /* since it was last written down */
	size_t bytes;    /* counted for it */
};

struct consumer_group {
	/* Read by the owner, written by the group. */
	int32_t epoch, target_epoch; /* never go back */
	struct sorted members;       /* struct consumer_member, by id */
	int64_t empty_since_ms;      /* wall clock; 0: it is not, or has always been */
	struct assign_topic *topics; /* all that its members are subscribed to, by number */
	size_t topic_count;
	size_t bytes; /* of memory, about */

	/* the group's own */
	const struct consumer_options *options;
	struct deadlines *deadlines;
	void *owner;
	struct sorted instances; /* struct consumer_instance, by instance id */
	struct sorted by_name;   /* struct interest: what is subscribed to by name, */
	struct sorted by_regex;  /* and by expression */
	uint64_t topics_version; /* of the source, when the interests were looked up */
	bool topics_are_current;
	struct owners partitions; /* assigned or revoking: to whom */
};

/* What is to be written down after a step. What it points to is valid until the next one. */
struct consumer_effects {
	bool group; /* its own record */
	struct consumer_member **members;
	size_t member_count, member_cap;
	struct slice *removed; /* ids; their bytes are the effects' */
	size_t removed_count, removed_cap;
};
void consumer_effects_clear(struct consumer_effects *fx); /* they were written */
void consumer_effects_fini(struct consumer_effects *fx);

/* No members. epoch: one that this name's group has had, or 0. options and deadlines outlive it.
 * The group's deadlines carry owner; those that are due go to consumer_expire. */
struct consumer_group *consumer_new(const struct consumer_options *options,
				    struct deadlines *deadlines, void *owner, int32_t epoch);
void consumer_free(struct consumer_group *g); /* g may be NULL */

struct consumer_beat {
	struct slice member_id; /* not empty */
	int32_t epoch;          /* 0: joins */
	struct slice client_id, client_host;
	/* null, or -1: as before */
	struct slice instance_id, rack_id, regex, assignor;
	int32_t rebalance_timeout_ms;
	bool has_names;
	const struct slice *names;
	size_t name_count;
	bool has_owned;
	const struct parts *owned; /* what the member says it has; settled */
};
/* A heartbeat; on success member is its sender, and is_news tells whether the answer carries what
 * it is assigned. On an error nothing has changed:
 *   ERR_UNKNOWN_MEMBER_ID       and it does not join
 *   ERR_FENCED_MEMBER_EPOCH     not the member's epoch: it must give up everything and join
 *   ERR_FENCED_INSTANCE_ID      another member has the instance id
 *   ERR_UNRELEASED_INSTANCE_ID  the member that has it did not leave
 *   ERR_GROUP_MAX_SIZE_REACHED */
enum ks_err consumer_heartbeat(struct consumer_group *g, const struct consumer_beat *b,
			       const struct moment *at, struct consumer_effects *fx,
			       const struct consumer_member **member, bool *is_news);
/* Memory that a heartbeat may add, about. */
size_t consumer_beat_bytes(const struct consumer_beat *b);

/* epoch: one of CONSUMER_EPOCH_LEAVE*. ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID */
enum ks_err consumer_leave(struct consumer_group *g, struct slice member_id,
			   struct slice instance_id, int32_t epoch, const struct moment *at,
			   struct consumer_effects *fx);

/* A deadline of this group is due (and cleared): its member is fenced. */
void consumer_expire(struct consumer_group *g, struct deadline *t, const struct moment *at,
		     struct consumer_effects *fx);

/* Whether a member may commit or fetch offsets. ERR_UNKNOWN_MEMBER_ID, ERR_STALE_MEMBER_EPOCH */
enum ks_err consumer_check_epoch(const struct consumer_group *g, struct slice member_id,
				 int32_t epoch);

/* "Empty", "Assigning", "Reconciling", "Stable" */
const char *consumer_state_name(const struct consumer_group *g);
/* The assignor that most members prefer. */
struct slice consumer_assignor(const struct consumer_group *g);
bool consumer_reads_topic(const struct consumer_group *g, uint32_t topic);

/* --- restoring what was written down --- */

/* The group's own record. */
struct consumer_group_record {
	int32_t epoch, target_epoch;
	int64_t empty_since_ms;
	const struct assign_topic *topics;
	size_t topic_count;
};
void consumer_record_make(const struct consumer_group *g, struct consumer_group_record *r);
/* A member is written as it is: a record of it is a struct consumer_member without what is the
 * group's own. First the group, which is new, then its members in any order; then
 * consumer_restored. false: no group can be like that. */
bool consumer_restore(struct consumer_group *g, const struct consumer_group_record *r);
bool consumer_restore_member(struct consumer_group *g, const struct consumer_member *r);
/* Sessions and timeouts begin anew. */
void consumer_restored(struct consumer_group *g, const struct moment *at);

#endif

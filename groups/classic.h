/* classic.h - one group of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
 *
 * A struct classic_group is state and nothing else: it reads no clock, touches no disk and answers
 * nobody. Its owner tells it what was asked and what time it is, and carries out the effects:
 * writes the group down (persist), then answers the calls that are complete. Joins and syncs may
 * stay with the group for minutes; each is answered exactly once, in the end by classic_end.
 *
 * Facts: KIP-62 (session and rebalance timeout), KIP-134 (initial delay), KIP-345 (static
 * members), KIP-394 (member id required), KIP-814 (static leader skips the assignment).
 */
#ifndef GROUPS_CLASSIC_H
#define GROUPS_CLASSIC_H

#include "base/err.h"
#include "groups/moment.h"
#include "groups/names.h"
#include "groups/sorted.h"
#include "groups/deadlines.h"

enum classic_state {
	CLASSIC_EMPTY,
	CLASSIC_PREPARING,  /* PreparingRebalance: waits for joins */
	CLASSIC_COMPLETING, /* CompletingRebalance: waits for the leader's assignment */
	CLASSIC_STABLE,
	CLASSIC_DEAD,
	CLASSIC_STATES
};
extern const char *const classic_state_names[CLASSIC_STATES]; /* as Kafka shows them */

struct classic_options {
	int32_t initial_delay_ms;
	int32_t new_member_timeout_ms; /* how long a join of a new member may be parked */
	int32_t max_size;
};

struct classic_protocol {
	struct slice name, metadata;
};

/* Read by the owner, written by the group. */
struct classic_member {
	struct slice id;
	struct slice instance_id; /* null: a dynamic member */
	struct slice client_id, client_host;
	int32_t session_timeout_ms, rebalance_timeout_ms;
	struct classic_protocol *protocols; /* in the order of its preference */
	size_t protocol_count;
	struct slice assignment; /* of the group's generation; null: none yet */

	/* the group's own */
	struct classic_instance {
		struct slice name;
		struct classic_member *member;
	} instance;
	void *join_call, *sync_call; /* parked */
	bool is_new;                 /* its first join is parked: it does not send heartbeats */
	bool is_unsynced;            /* has not asked for its assignment of this generation */
	bool is_pending;             /* was given its id and has not joined with it yet */
	struct deadline session;
};

struct classic_group {
	/* Read by the owner, written by the group. */
	enum classic_state state;
	int32_t generation;                        /* never goes back */
	struct slice protocol_type, protocol_name; /* null: none */
	const struct classic_member *leader;       /* NULL: none */
	struct sorted members;                     /* struct classic_member, by id */
	struct sorted pending;                     /* likewise */
	int64_t empty_since_ms;                    /* wall clock; 0: was never anything else */
	struct names topics;                       /* that the members are subscribed to */
	bool knows_topics;
	size_t bytes; /* of memory, about */

	/* the group's own */
	const struct classic_options *options;
	struct deadlines *deadlines;
	void *owner;
	struct sorted instances; /* struct classic_instance, by instance id */
	struct classic_support *support;
	size_t support_count, support_cap;
	size_t joined;   /* members with a parked join */
	size_t unsynced; /* members that are */
	bool is_initial; /* preparing from empty: waits for the delay, whoever has joined */
	bool has_newcomer;
	int32_t delay_ms, delay_left_ms;
	struct slice former_id;
	struct deadline rebalance; /* the end of the delay, of the joins or of the syncs */
};

/* One call that is complete. What it points to is valid until the group's next step. */
struct classic_answer {
	void *call;
	bool is_join; /* else a sync */
	enum ks_err err;
	/* Without an error: */
	const struct classic_member *member;
	struct slice leader_id;
	bool with_members; /* the answer to a join lists all members: it is the leader's */
	bool skip_assignment;
};

/* Zero-initialise; the owner empties it after each step. */
struct classic_effects {
	bool persist;
	struct classic_answer *answers;
	size_t count, cap;
};
void classic_effects_clear(struct classic_effects *fx);
void classic_effects_fini(struct classic_effects *fx);

/* Empty. generation: one that this name's group has had, or 0. options and deadlines outlive it.
 * The group's deadlines carry owner; those that are due go to classic_expire. */
struct classic_group *classic_new(const struct classic_options *options,
				  struct deadlines *deadlines, void *owner, int32_t generation);
void classic_free(struct classic_group *g); /* no call is parked; g may be NULL */

struct classic_join {
	struct slice member_id;   /* empty: a new member */
	struct slice instance_id; /* null: dynamic */
	struct slice client_id, client_host, protocol_type;
	const struct classic_protocol *protocols;
	size_t protocol_count;
	int32_t session_timeout_ms, rebalance_timeout_ms;
	bool needs_member_id;     /* a new dynamic member gets MEMBER_ID_REQUIRED and joins again */
	bool may_skip_assignment; /* the client understands it */
	struct slice fresh_id;    /* for a new member: an id that nobody has */
	void *call;
};
/* Answered at once or later:
 *   ERR_MEMBER_ID_REQUIRED (with fresh_id), ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID,
 *   ERR_INCONSISTENT_GROUP_PROTOCOL, ERR_GROUP_MAX_SIZE_REACHED, ERR_NOT_COORDINATOR,
 *   ERR_REBALANCE_IN_PROGRESS  the same member has sent another join */
void classic_join(struct classic_group *g, const struct classic_join *j, const struct moment *at,
		  struct classic_effects *fx);
/* Memory that a join would add, about. */
size_t classic_join_bytes(const struct classic_join *j);

struct classic_assignment {
	struct slice member_id, assignment;
};
struct classic_sync {
	int32_t generation;
	struct slice member_id, instance_id;
	struct slice protocol_type, protocol_name; /* null: not told */
	const struct classic_assignment *assignments;
	size_t assignment_count;
	void *call;
};
/* Answered at once or later: ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID, ERR_ILLEGAL_GENERATION,
 * ERR_INCONSISTENT_GROUP_PROTOCOL, ERR_REBALANCE_IN_PROGRESS, ERR_NOT_COORDINATOR */
void classic_sync(struct classic_group *g, const struct classic_sync *s, const struct moment *at,
		  struct classic_effects *fx);

/* ERR_REBALANCE_IN_PROGRESS: join again; ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID,
 * ERR_ILLEGAL_GENERATION, ERR_NOT_COORDINATOR */
enum ks_err classic_heartbeat(struct classic_group *g, int32_t generation, struct slice member_id,
			      struct slice instance_id, const struct moment *at);

struct classic_leaver {
	struct slice member_id; /* empty: whoever has the instance id */
	struct slice instance_id;
	enum ks_err err; /* out: ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID */
};
/* All of them leave, then the group goes on. */
void classic_leave(struct classic_group *g, struct classic_leaver *leavers, size_t count,
		   const struct moment *at, struct classic_effects *fx);

/* Whether a commit of offsets is accepted; one counts as a heartbeat. generation < 0 without
 * member: from outside of the group, accepted while it is empty.
 *   ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID, ERR_ILLEGAL_GENERATION, ERR_REBALANCE_IN_PROGRESS
 */
enum ks_err classic_check_commit(struct classic_group *g, int32_t generation,
				 struct slice member_id, struct slice instance_id,
				 const struct moment *at);
/* The same for offsets of a transaction (KIP-447). A committer that does not say who it is, as older producers do not, is believed. */
enum ks_err classic_check_txn_commit(const struct classic_group *g, int32_t generation,
				     struct slice member_id, struct slice instance_id);

/* A deadline of this group is due (and cleared). */
void classic_expire(struct classic_group *g, struct deadline *t, const struct moment *at,
		    struct classic_effects *fx);

/* Answers all parked calls with err; the group is dead from here on. */
void classic_end(struct classic_group *g, enum ks_err err, struct classic_effects *fx);

/* The metadata of a member under the group's protocol; empty when there is none. */
struct slice classic_metadata(const struct classic_group *g, const struct classic_member *m);
/* Whether offsets of the topic are in use: its members may be subscribed to it. */
bool classic_reads_topic(const struct classic_group *g, struct slice topic);
/* Nothing is left that is worth keeping: it is as new. */
bool classic_is_blank(const struct classic_group *g);

/* --- restoring what was written down --- */

/* What of a group is written. Slices are borrowed. */
struct classic_record {
	enum classic_state state; /* empty, completing or stable */
	int32_t generation;
	int64_t empty_since_ms;
	struct slice protocol_type, protocol_name, leader_id; /* null: none */
	struct classic_member_record {
		struct slice id, instance_id, client_id, client_host;
		int32_t session_timeout_ms, rebalance_timeout_ms;
		const struct classic_protocol *protocols;
		size_t protocol_count;
		struct slice assignment; /* null: none */
	} * members;
	size_t member_count;
};
/* The group as it is to be written after a step that said persist. The array is made in the arena. */
void classic_record_make(const struct classic_group *g, struct arena *arena,
			 struct classic_record *r);
/* The group again; sessions and timeouts begin anew. false: no group can be like that, nothing was
 * changed. g is new. */
bool classic_restore(struct classic_group *g, const struct classic_record *r,
		     const struct moment *at);

#endif

/* coordinator_impl.h - what the files of the coordinator share.
 *
 *     coordinator.c           the table of groups, tasks, deadlines, opening and closing
 *     coordinator_store.c     what is written of groups, reading it back
 *     coordinator_classic.c   JoinGroup, SyncGroup, Heartbeat, LeaveGroup
 *     coordinator_consumer.c  ConsumerGroupHeartbeat, ConsumerGroupDescribe
 *     coordinator_offsets.c   OffsetCommit, OffsetFetch, OffsetDelete
 *     coordinator_admin.c     ListGroups, DescribeGroups, DeleteGroups
 *     coordinator_sweep.c     offsets and groups that expire
 *     coordinator_topics.c    the groups' view of topics, expressions included
 *     coordinator_refuse.c    the answer to what is refused as a whole
 */
#ifndef BROKER_COORDINATOR_IMPL_H
#define BROKER_COORDINATOR_IMPL_H

#include "broker/coordinator.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "groups/classic.h"
#include "groups/consumer.h"
#include "wire/api.h"

#include <sys/queue.h>

/* One group: of either protocol, or of neither when all we know of it is offsets. */
struct coordinated {
	struct slice name;
	struct classic_group *classic;
	struct consumer_group *consumer;
	bool has_record;  /* in CF_GROUPS */
	bool has_offsets; /* or had some once */
	size_t bytes;     /* counted for it */
	/* What open transactions will commit for it (transactions_offsets.c). */
	LIST_HEAD(, pending_offsets) pending;
};

struct expressions;

struct coordinator {
	struct broker *broker;
	struct group_options options; /* defaults filled in; the assignors' names are its own */
	struct classic_options classic_options;
	struct consumer_options consumer_options;
	struct topic_source topics;
	struct names assignors;

	/* owner: shard */
	struct tick tick;
	struct deadlines deadlines; /* ms of the monotonic clock; owner: a struct coordinated */
	struct sorted groups;       /* struct coordinated */
	size_t bytes;               /* of all groups */
	bool is_ending;
	struct expressions *expressions;

	struct {
		int64_t next_ms;
		bool is_running, has_seen_offsets;
		struct buf at; /* the key, then the name, up to which it has come */
	} sweep;

	/* scratch */
	struct classic_effects classic_fx;
	struct consumer_effects consumer_fx;
	struct buf key, value;
	struct arena arena;
};

/* A call on its way. */
struct errand {
	struct task task;
	struct coordinator *coordinator;
	struct coordinator_call *call;
	struct slice fresh_id; /* of a JoinGroup: made for it, in the call's arena */
};

/* One task or tick. */
struct step {
	struct coordinator *c;
	struct group *g;
	struct moment at;
};

/* --- coordinator.c --- */

/* NULL: there is none. */
struct coordinated *coordinator_find(const struct coordinator *c, struct slice name);
/* NULL: there are as many groups as there may be. */
struct coordinated *coordinator_add(struct coordinator *c, struct slice name);
void coordinator_remove(struct coordinator *c, struct coordinated *x); /* no call is parked */
/* Whether the group's state may grow by so much. */
bool coordinator_has_room(const struct coordinator *c, size_t bytes);
/* After a change of its state; x may be gone then. */
void coordinator_count(struct coordinator *c, struct coordinated *x);
bool coordinated_has_members(const struct coordinated *x);
/* ERR_INVALID_GROUP_ID */
enum ks_err coordinator_check_name(struct slice name);
/* The call is complete; it is answered when the group of commands is written. */
void coordinator_reply(struct step *s, struct errand *e);

/* --- memory of answers --- */

/* One answer may name many groups, or one often: of more than this the rest gets
 * MESSAGE_TOO_LARGE. */
#define COORDINATOR_ANSWER_BYTES_MAX (64 << 20)

/* Zeroed; NULL for nothing. */
void *coordinator_alloc(struct coordinator_call *c, size_t count, size_t size);
struct slice coordinator_copy(struct coordinator_call *c, struct slice text); /* null stays null */
/* A zeroed array of an answer. */
#define COORDINATOR_MAKE(c, array, count)                                                          \
	do {                                                                                       \
		(array).n = (int32_t)(count);                                                      \
		(array).v = coordinator_alloc((c), (size_t)(array).n, sizeof(*(array).v));         \
	} while (0)

/* --- coordinator_store.c --- */

/* Makes it when it is not there, whatever the limit. */
struct coordinated *coordinator_find_or_load(struct coordinator *c, struct slice name);
enum ks_err coordinator_load(struct coordinator *c, const struct moment *at, struct ks_why *why);
void coordinator_put_classic(struct step *s, struct coordinated *x);
/* What the effects say. */
void coordinator_put_consumer(struct step *s, struct coordinated *x);
/* Deletes what is written of the group's state, not its offsets. */
void coordinator_delete_records(struct step *s, struct coordinated *x);

/* --- the APIs: those that get the errand reply themselves, the others fill the response --- */

void coordinator_join(struct step *s, struct errand *e);
void coordinator_sync(struct step *s, struct errand *e);
void coordinator_heartbeat(struct step *s, struct coordinator_call *call);
void coordinator_leave(struct step *s, struct coordinator_call *call);
/* Writes what the classic effects say and replies to their calls. */
void coordinator_settle_classic(struct step *s, struct coordinated *x);

void coordinator_consumer_heartbeat(struct step *s, struct coordinator_call *call);
void coordinator_consumer_describe(struct step *s, struct coordinator_call *call);

void coordinator_commit(struct step *s, struct coordinator_call *call);
void coordinator_fetch(struct coordinator *c, struct coordinator_call *call); /* after the write */
void coordinator_delete_offsets(struct step *s, struct coordinator_call *call);
/* Whether the sender of TxnOffsetCommit may commit for the group; x: NULL, there is none. */
enum ks_err coordinator_check_txn_commit(const struct coordinated *x,
					 const struct txn_offset_commit_request *q);
/* NULL: the topic has no such partition, or there is no topic. */
struct partition *coordinator_partition(struct topic *t, int32_t index);

void coordinator_list(struct step *s, struct coordinator_call *call);
void coordinator_describe(struct step *s, struct coordinator_call *call);
void coordinator_delete_groups(struct step *s, struct coordinator_call *call);

/* What everybody may do with a group, as long as there is no access control: READ, DELETE,
 * DESCRIBE. */
#define COORDINATOR_GROUP_OPERATIONS (1 << 3 | 1 << 6 | 1 << 8)

/* Fills the answer of a call that is refused as a whole. */
void coordinator_refuse(struct coordinator_call *c, enum ks_err err);

/* --- coordinator_sweep.c --- */

/* A piece of it, when it is time. Returns when it wants to go on, ms of the monotonic clock. */
int64_t coordinator_sweep(struct step *s);

/* --- coordinator_topics.c --- */

struct expressions *expressions_new(struct broker *b);
void expressions_free(struct expressions *e); /* e may be NULL */
/* ERR_INVALID_REGULAR_EXPRESSION */
enum ks_err expressions_check(struct expressions *e, struct slice regex, struct ks_why *why);
void expressions_source(struct expressions *e, struct topic_source *out);
/* The topic of a partition number's topic; gone ones too; NULL: not since the opening. */
struct topic *topic_of_number(struct broker *b, uint32_t number);
/* NULL: there is none. */
struct topic *topic_of_name(struct broker *b, struct slice name);
struct topic *topic_of_uuid(struct broker *b, const struct wire_uuid *uuid);

#endif

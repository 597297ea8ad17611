/* target_wire.h - what the files of the target over the network share. */
#ifndef CLI_TARGET_WIRE_H
#define CLI_TARGET_WIRE_H

#include "cli/target.h"
#include "client/fetcher.h"
#include "client/member.h"
#include "client/sender.h"

struct wire_target {
	struct target target; /* first */
	char *bootstrap;
	struct target_wire_options options;
	struct client_cluster *cluster;
	struct client_fetcher *fetcher; /* NULL: nothing was read yet */
	struct client_sender *sender;   /* NULL: nothing was written yet */
	struct client_member *member;   /* NULL: of no group */
	char *member_group;

	char **names; /* of topics, in their order: what handles outlive */
	size_t name_count;
};

static inline struct wire_target *wire_of(struct target *t)
{
	return (struct wire_target *)t;
}

/* The same name, valid until close. */
const char *wire_name(struct wire_target *w, struct slice name);
/* A broker's error about one thing, such as topic and in: its own message when there is one,
 * behind what it is about unless the message says so. */
enum ks_err wire_refused(const char *what, const char *name, enum ks_err err, struct slice message,
			 struct ks_why *why);

/* target_wire_topics.c */
enum ks_err wire_topics(struct target *t, struct target_topic **out, size_t *count,
			struct ks_why *why);
enum ks_err wire_topic_find(struct target *t, const char *name, bool may_create,
			    struct target_topic *out, struct ks_why *why);
enum ks_err wire_topic_create(struct target *t, const struct topic_spec *spec, int32_t replicas,
			      bool is_dry_run, struct ks_why *why);
enum ks_err wire_topic_add_partitions(struct target *t, const char *name, int32_t new_count,
				      struct ks_why *why);
enum ks_err wire_topic_delete(struct target *t, const char *name, struct ks_why *why);
enum ks_err wire_nodes(struct target *t, const struct target_topic *topic, struct target_nodes *out,
		       struct ks_why *why);

/* target_wire_configs.c */
enum ks_err wire_configs(struct target *t, enum target_resource resource, const char *name,
			 struct target_config **out, size_t *count, struct ks_why *why);
enum ks_err wire_configs_change(struct target *t, enum target_resource resource, const char *name,
				const struct config_change *changes, size_t count, bool is_dry_run,
				struct ks_why *why);

/* target_wire_groups.c */
enum ks_err wire_groups(struct target *t, struct target_groups *out, struct ks_why *why);
enum ks_err wire_group_offsets(struct target *t, const char *group, struct target_offset **out,
			       size_t *count, struct ks_why *why);
enum ks_err wire_group_members(struct target *t, const char *group, struct target_members *out,
			       struct ks_why *why);
enum ks_err wire_group_commit(struct target *t, const char *group,
			      const struct target_offset *offsets, size_t count,
			      struct ks_why *why);
enum ks_err wire_group_delete(struct target *t, const char *group, struct ks_why *why);
enum ks_err wire_member_join(struct target *t, const char *group, const struct target_topic *topics,
			     size_t topic_count, struct target_offset **out, size_t *count,
			     struct ks_why *why);
enum ks_err wire_member_heartbeat(struct target *t, bool *must_join, struct ks_why *why);

/* target_wire_txns.c */
enum ks_err wire_txns(struct target *t, const struct list_transactions_request *filter,
		      struct target_txns *out, struct ks_why *why);
enum ks_err wire_txn_describe(struct target *t, const char *id, struct target_txn_details *out,
			      struct ks_why *why);
enum ks_err wire_producers(struct target *t, const struct target_topic *topic, int32_t partition,
			   struct target_producer **out, size_t *count, struct ks_why *why);
enum ks_err wire_txn_abort(struct target *t, const struct target_topic *topic, int32_t partition,
			   const struct target_producer *p, struct ks_why *why);

#endif

/* target.h - what the verbs work on: a data directory, or a cluster over the network.
 *
 * A table of functions, filled by target_local.c and target_wire.c; verbs know nothing else. Names
 * and handles are valid until close. All calls come from one thread, but wake (any thread) and the
 * callback of an append (a thread of the target's).
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "broker/broker.h"
#include "client/connection.h"
#include "wire/batch.h"
#include "wire/messages.h"

struct target_topic {
	const char *name;
	int32_t partition_count;
	int32_t replicas;
	bool is_internal;
	void *handle; /* the target's */
};

struct target_bounds {
	int64_t log_start_offset, last_stable_offset, high_watermark;
	uint64_t size_bytes;
	int32_t broker; /* a remote cursor's: who has given the records read last */
};

/* Where a partition lives, as text: "1,2,3". */
struct target_nodes {
	int32_t leader; /* -1: none at the moment */
	char replicas[96], in_sync[96];
};

struct target_append {
	struct target_topic topic;
	int32_t partition;
	struct frame *batches; /* taken: whole batches, stamped in place */
	enum acks acks;
	void (*done)(struct target_append *a, enum ks_err err, const struct ks_why *why);
	void *cookie;
	int64_t base_offset; /* result; -1: not told */
};

struct target_offset {
	struct target_topic topic;
	int32_t partition;
	int64_t offset; /* next to read */
};

struct target_cursor {
	void *reader; /* the target's */
};

enum target_resource { TARGET_TOPIC, TARGET_BROKER };

struct target_config {
	char *key, *value;         /* value NULL: not told */
	const char *source, *type; /* Kafka's words for them; static; type NULL: not told */
	bool is_default, is_read_only, is_sensitive;
};

struct target_broker {
	int32_t id;
	const char *host, *rack; /* rack NULL: none */
	uint16_t port;
};
/* Until the next call. */
struct target_cluster {
	const char *id; /* NULL: not told */
	int32_t controller;
	struct target_broker *brokers; /* free() */
	size_t broker_count;
};

struct target_group {
	const char *name, *state, *type; /* type: "classic", "consumer"; "" where it is not told */
	int32_t coordinator;             /* -1: there is none */
};
/* In the order of their names. */
struct target_groups {
	struct target_group *rows;
	size_t count;
	struct arena arena; /* of all this; arena_fini when done */
};
/* A partition that a member of a group has, or a member that has none. */
struct target_assigned {
	const char *topic; /* NULL: none */
	int32_t partition;
	const char *member, *host, *client_id;
};
struct target_members {
	struct target_group group;
	const char *assignor;
	size_t member_count;
	struct target_assigned *rows;
	size_t row_count;
	struct arena arena; /* of all this; arena_fini when done */
};

/* A transactional id, as its coordinator knows it. */
struct target_txn {
	const char *id, *state;
	int64_t producer_id;
	int32_t coordinator; /* -1: there is none */
};
/* In the order of the ids. Release with target_txns_free. */
struct target_txns {
	struct target_txn *rows;
	size_t count;
	char *unknown_state; /* the first name of the filter that is no state; NULL: all are */
	struct arena arena;
};
struct target_txn_details {
	struct target_txn txn;
	int16_t producer_epoch;
	int32_t timeout_ms;
	int64_t start_ms; /* -1: none is open */
	const struct target_txn_part {
		const char *topic;
		int32_t partition;
	} * parts;
	size_t part_count;
	struct arena arena; /* of all this; arena_fini when done */
};
/* Who writes to a partition with sequence numbers or in transactions. */
struct target_producer {
	int64_t producer_id;
	int32_t producer_epoch, last_sequence;
	int64_t last_timestamp;    /* ms; -1: not told */
	int32_t coordinator_epoch; /* of its last marker; -1: none yet */
	int64_t txn_start_offset;  /* of its open transaction; -1: none */
};

/* Every call returns an error with its sentence in why; results are untouched then. Arrays are
 * the caller's to free() unless another way is told. */
struct target {
	bool is_remote;
	bool reads_uncommitted; /* of all cursors; set it before the first is opened */
	/* Likewise, and before the first append; for remote targets alone. 0 and NULL: the default. */
	int fetch_wait_ms;      /* how long a broker may wait for records */
	size_t fetch_bytes_max; /* of one answer */
	const char *rack;       /* where the reader stands */
	int delivery_ms;        /* how long an append is tried */
	void (*close)(struct target *t);

	/* Topics in the order of their names. */
	enum ks_err (*topics)(struct target *t, struct target_topic **out, size_t *count,
			      struct ks_why *why);
	/* ERR_UNKNOWN_TOPIC_OR_PARTITION: why names a near miss. may_create: if the target allows
	 * it. */
	enum ks_err (*topic_find)(struct target *t, const char *name, bool may_create,
				  struct target_topic *out, struct ks_why *why);
	/* replicas -1: the target's default. */
	enum ks_err (*topic_create)(struct target *t, const struct topic_spec *spec,
				    int32_t replicas, bool is_dry_run, struct ks_why *why);
	enum ks_err (*topic_add_partitions)(struct target *t, const char *name, int32_t new_count,
					    struct ks_why *why);
	enum ks_err (*topic_delete)(struct target *t, const char *name, struct ks_why *why);

	/* In the order of the keys. name: a topic, or a broker's id; "" for the defaults of all
	 * brokers. Release with target_configs_free. */
	enum ks_err (*configs)(struct target *t, enum target_resource resource, const char *name,
			       struct target_config **out, size_t *count, struct ks_why *why);
	/* All changes or none. */
	enum ks_err (*configs_change)(struct target *t, enum target_resource resource,
				      const char *name, const struct config_change *changes,
				      size_t count, bool is_dry_run, struct ks_why *why);

	enum ks_err (*bounds)(struct target *t, const struct target_topic *topic, int32_t partition,
			      struct target_bounds *out, struct ks_why *why);
	/* Of all partitions of a topic, partition_count of them. */
	enum ks_err (*bounds_all)(struct target *t, const struct target_topic *topic,
				  bool with_sizes, struct target_bounds *out, struct ks_why *why);
	/* Likewise. NULL: the target has no nodes. */
	enum ks_err (*nodes)(struct target *t, const struct target_topic *topic,
			     struct target_nodes *out, struct ks_why *why);
	/* The first offset with a timestamp >= timestamp; the high watermark when there is none. */
	enum ks_err (*offset_at)(struct target *t, const struct target_topic *topic,
				 int32_t partition, int64_t timestamp, int64_t *out,
				 struct ks_why *why);
	enum ks_err (*trim)(struct target *t, const struct target_topic *topic, int32_t partition,
			    int64_t offset, int64_t *log_start_offset, struct ks_why *why);
	enum ks_err (*reclaim)(struct target *t, struct ks_why *why);

	/* Calls a->done exactly once, perhaps before it returns. All appends of a target have the
	 * same acks. */
	void (*append)(struct target *t, struct target_append *a);

	enum ks_err (*cursor_open)(struct target *t, const struct target_topic *topic,
				   int32_t partition, struct target_cursor *out,
				   struct ks_why *why);
	/* As reader_read. */
	enum ks_err (*cursor_read)(struct target_cursor *c, int64_t offset, size_t max_bytes,
				   struct chunk *out, struct ks_why *why);
	/* As of the last read. */
	enum ks_err (*cursor_bounds)(struct target_cursor *c, struct target_bounds *out,
				     struct ks_why *why);
	/* Whether a batch of the last read belongs to an aborted transaction. */
	bool (*cursor_is_aborted)(struct target_cursor *c, const struct batch *b);
	void (*cursor_close)(struct target_cursor *c);
	/* Waits until an open cursor may have more, since the ticket was taken, or the time is up.
	 */
	uint64_t (*ticket)(struct target *t);
	void (*wait)(struct target *t, uint64_t ticket, int timeout_ms);
	void (*wake)(struct target *t);

	enum ks_err (*groups)(struct target *t, struct target_groups *out, struct ks_why *why);
	/* What the group has committed, in the order of topics and partitions. Partitions of
	 * topics that are gone are left out. ERR_GROUP_ID_NOT_FOUND. */
	enum ks_err (*group_offsets)(struct target *t, const char *group,
				     struct target_offset **out, size_t *count, struct ks_why *why);
	enum ks_err (*group_members)(struct target *t, const char *group,
				     struct target_members *out, struct ks_why *why);
	enum ks_err (*group_commit)(struct target *t, const char *group,
				    const struct target_offset *offsets, size_t count,
				    struct ks_why *why);
	enum ks_err (*group_delete)(struct target *t, const char *group, struct ks_why *why);

	/* Becomes a member of a group that wants partitions of these topics, or joins again as the
	 * same member, and waits for what it gets: rows whose offsets mean nothing. From then on
	 * commits are the member's. ERR_CLOSED: a signal came. NULL: the target has no members. */
	enum ks_err (*member_join)(struct target *t, const char *group,
				   const struct target_topic *topics, size_t topic_count,
				   struct target_offset **out, size_t *count, struct ks_why *why);
	/* To be called every few seconds. *must_join: the assignment no longer holds. */
	enum ks_err (*member_heartbeat)(struct target *t, bool *must_join, struct ks_why *why);

	/* The transactional ids that pass the filter. */
	enum ks_err (*txns)(struct target *t, const struct list_transactions_request *filter,
			    struct target_txns *out, struct ks_why *why);
	/* ERR_TRANSACTIONAL_ID_NOT_FOUND */
	enum ks_err (*txn_describe)(struct target *t, const char *id,
				    struct target_txn_details *out, struct ks_why *why);
	/* By producer id. */
	enum ks_err (*producers)(struct target *t, const struct target_topic *topic,
				 int32_t partition, struct target_producer **out, size_t *count,
				 struct ks_why *why);
	/* Ends the producer's transaction in this partition with an abort marker, whatever its
	 * coordinator knows. */
	enum ks_err (*txn_abort)(struct target *t, const struct target_topic *topic,
				 int32_t partition, const struct target_producer *p,
				 struct ks_why *why);

	/* NULL: the target is none. */
	enum ks_err (*cluster)(struct target *t, struct target_cluster *out, struct ks_why *why);
};

/* ERR_UNKNOWN_TOPIC_OR_PARTITION: there is no topic of this name; with the one that was probably meant. */
enum ks_err target_unknown_topic(struct target *t, const char *name, struct ks_why *why);
/* ERR_UNKNOWN_TOPIC_OR_PARTITION, with the partitions that there are, unless this is one of the topic's. */
enum ks_err target_check_partition(const struct target_topic *topic, int64_t partition,
				   struct ks_why *why);

void target_txns_free(struct target_txns *txns);
void target_configs_free(struct target_config *rows, size_t count);
/* Kafka's words for the numbers of DescribeConfigs; NULL: unknown. */
const char *target_config_source(int source);
const char *target_config_type(int type);

/* As broker_open, and where there is no directory it says what would help. */
enum ks_err target_open_broker(const struct broker_options *options, struct broker **out,
			       struct ks_why *why);
/* Opens the data directory options->dir; made when it is not there if options->store.create. */
enum ks_err target_open_local(const struct broker_options *options, struct target **out,
			      struct ks_why *why);
/* Zero means the default; strings are borrowed until close. */
struct target_wire_options {
	struct client_options client;
	int fetch_min_bytes; /* of all cursors of a broker */
	int session_timeout_ms, rebalance_timeout_ms, heartbeat_interval_ms; /* of a member */
};
/* Connects to a cluster: HOST:PORT[,...]. */
enum ks_err target_open_wire(const char *bootstrap, const struct target_wire_options *options,
			     struct target **out, struct ks_why *why);

#endif

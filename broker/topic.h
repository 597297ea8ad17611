/* topic.h - topics and the table of them.
 *
 * A topic, once made, lives until the broker closes, so that a handle never dangles; a deleted one
 * is gone from the table and answers ERR_UNKNOWN_TOPIC_OR_PARTITION. Numbers of topics and
 * partitions are never used again: what an old key means can never change.
 */
#ifndef BROKER_TOPIC_H
#define BROKER_TOPIC_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/broker.h"
#include "broker/config.h"
#include "broker/keys.h"
#include "broker/partition.h"

/* Partitions that were made together. */
struct topic_part {
	struct extent extent;
	int32_t first_index; /* within the topic */
	struct partition *partitions;
};

struct topic {
	/* immutable after start */
	struct broker *broker;
	char *name;
	uint32_t id;
	struct topic_uuid uuid;
	bool is_internal;
	bool lacks_record; /* the uuid is not written yet; the opening sees to it */
	int64_t created_ms;

	/* Grow together: a slot is filled before the count covers it, and an outgrown array of
	 * slots is kept until the end, for those who still look at it. Written by the shard. */
	_Atomic(int32_t) partition_count;
	_Atomic(struct partition **) slots;

	/* owner: shard */
	struct topic_part *parts;
	size_t part_count;
	size_t slot_cap;
	struct partition **outgrown[32]; /* the cap doubles, so these are enough */
	size_t outgrown_count;

	/* Set when the deletion is about to be written: the keys may be missing from then on. */
	_Atomic(bool) is_gone;

	/* What the configuration says, for those who read it once per append. Written by the
	 * shard. */
	_Atomic(int64_t) timestamp_before_max_ms, timestamp_after_max_ms;
	_Atomic(int32_t) max_message_bytes, min_insync_replicas;
	_Atomic(bool) is_append_time, is_compacted;
	_Atomic(int) codec; /* enum codec; -1: the producer's */

	/* written by the shard alone, under mtx; others read under mtx */
	pthread_mutex_t mtx;
	struct topic_config config;
};

/* Whose partitions have the ids of an extent. */
struct id_range {
	struct extent extent;
	struct topic *topic;
	int32_t first_index;
};

struct topics {
	pthread_rwlock_t lock;
	/* shared, under lock; written by the shard alone */
	struct topic **by_name, **by_uuid; /* both have count */
	size_t count, cap;
	struct topic **all; /* every one since the opening, deleted ones too */
	size_t all_count, all_cap;
	struct id_range *ranges; /* of all of them, rising */
	size_t range_count, range_cap;
	size_t partitions; /* of all topics that are there */
	/* owner: shard. Changes whenever a topic comes, goes or grows. */
	uint64_t version;
};

void topics_init(struct topics *ts);
void topics_fini(struct topics *ts); /* frees the topics too */
/* Makes all topics of the store, with their configurations; their partitions are empty. A topic
 * whose record has no uuid yet gets one, in memory. */
enum ks_err topics_load(struct broker *b, struct ks_why *why);
/* Writes the records of topics_load's topics that had no uuid, through the shard. */
enum ks_err topics_write_uuids(struct broker *b, struct ks_why *why);

/* Random; never one that begins with '-' in base64. */
struct topic_uuid topic_uuid_new(void);
/* From its record; swaps the configuration with the topic's, which is empty. */
struct topic *topic_new(struct broker *b, const struct topic_record *r,
			struct topic_config *config);
/* Shard, each after the write that says so. A new topic, which is taken; one that grows; one that
 * is deleted; one whose configuration is swapped with config. */
void topics_insert(struct topics *ts, struct topic *t);
void topics_grow(struct topics *ts, struct topic *t, const struct extent *e);
void topics_take_out(struct topics *ts, struct topic *t);
void topic_set_config(struct topic *t, struct topic_config *config);

/* Whether the topic is there, and how many partitions all topics have. */
void topics_count(struct topics *ts, const char *name, bool *exists, size_t *partitions);
/* ERR_UNKNOWN_TOPIC_OR_PARTITION, why naming a near miss. */
enum ks_err topic_not_found(struct broker *b, const char *name, struct ks_why *why);

/* The partition with this number; NULL when its topic is gone or never was. */
struct partition *topics_partition(struct topics *ts, uint32_t partition_id);

static inline bool topic_is_gone(const struct topic *t)
{
	return atomic_load_explicit(&t->is_gone, memory_order_acquire);
}

/* A copy of the numbers that matter for retention. */
struct topic_retention {
	int64_t retention_ms, retention_bytes;
	bool is_deleted_by_age;
};
struct topic_retention topic_retention(struct topic *t);

/* And of those that matter for compaction. */
struct topic_cleanup {
	int64_t segment_ms, segment_bytes;
	int64_t min_lag_ms, max_lag_ms; /* max: INT64_MAX, none */
	int64_t delete_retention_ms;
	double min_dirty_ratio;
};
struct topic_cleanup topic_cleanup(struct topic *t);

#endif

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

struct topic {
	/* immutable after start */
	struct broker *broker;
	char *name;
	uint32_t id, first_partition_id;
	int32_t partition_count;
	bool is_internal;
	int64_t created_ms;
	struct partition *partitions;

	/* Set when the deletion is about to be written: the keys may be missing from then on. */
	_Atomic(bool) is_gone;

	/* written by the shard alone, under mtx; others read under mtx */
	pthread_mutex_t mtx;
	struct topic_config config;
};

struct topics {
	pthread_rwlock_t lock;
	/* shared, under lock; written by the shard alone */
	struct topic **by_name;
	size_t count, cap;
	struct topic **by_id; /* every one since the opening, deleted ones too */
	size_t id_count, id_cap;
	size_t partitions; /* of all topics that are there */
};

void topics_init(struct topics *ts);
void topics_fini(struct topics *ts); /* frees the topics too */
/* Makes all topics of the store, with their configurations; their partitions are empty. */
enum ks_err topics_load(struct broker *b, struct ks_why *why);

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

#endif

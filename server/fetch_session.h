/* fetch_session.h - fetch sessions (KIP-227): the broker remembers what a consumer reads, so that a request names only what
 * has changed and an answer only what is new.
 *
 * Sessions belong to no connection. A session has an epoch that grows with each of its requests; one with another
 * epoch is refused, so of two requests under way only the later one's answer counts.
 *
 * Bounds: so many sessions (max.incremental.fetch.session.cache.slots), and SESSION_PARTITIONS_MAX partitions in all of
 * them. When they are reached one that was not used for two minutes goes, or one that is smaller than the new
 * one and has lived for two minutes; otherwise the consumer gets no session and says everything each time.
 *
 * Any thread. A session is locked by whoever works on it, for moments.
 */
#ifndef SERVER_FETCH_SESSION_H
#define SERVER_FETCH_SESSION_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "wire/messages.h"

#define SESSION_PARTITIONS_MAX 200000

/* How a request names a topic: by name up to version 12, by id from 13 on. */
struct fetch_topic_key {
	struct slice name; /* null: by id */
	struct wire_uuid id;
};

/* Seeded, so that nobody can choose names that meet. */
uint64_t fetch_key_hash(uint64_t seed, const struct fetch_topic_key *k, int32_t index);

/* One partition of a session. Under the session's mtx. */
struct session_part {
	TAILQ_ENTRY(session_part) in_order;
	struct session_part *next_in_bucket;
	struct slice name; /* its own copy, whatever a peer calls a topic; null: by id */
	struct wire_uuid id;
	int32_t index, max_bytes, leader_epoch;
	int64_t offset;
	/* What the last answer said; -1: whatever there is has to be said. */
	int64_t sent_high_watermark, sent_log_start_offset;
};
TAILQ_HEAD(session_parts, session_part);

struct fetch_session {
	/* immutable */
	int32_t id;
	bool uses_ids;

	pthread_mutex_t mtx;
	/* under mtx */
	int32_t epoch;              /* that the next request must have */
	struct session_parts parts; /* who was served last is last */
	struct session_part **buckets;
	size_t count, bucket_count;
	uint64_t seed;

	/* under the cache's mtx */
	int refs;
	bool is_cached;
	size_t cached_count; /* of partitions, as the cache counts them */
	int64_t made_ms, used_ms;
	TAILQ_ENTRY(fetch_session) in_use_order;
};

struct fetch_sessions;

struct fetch_sessions *fetch_sessions_new(int sessions_max);
void fetch_sessions_free(struct fetch_sessions *ss); /* may be NULL */

/* With a reference; NULL: there is none of this id. */
struct fetch_session *fetch_sessions_find(struct fetch_sessions *ss, int32_t id, int64_t now_ms);
void fetch_session_unref(struct fetch_sessions *ss, struct fetch_session *s); /* may be NULL */
void fetch_sessions_remove(struct fetch_sessions *ss, int32_t id);
/* A new one with epoch 1, with a reference; NULL: there is no room for so many partitions. The caller fills it in
 * before it tells anybody the id. */
struct fetch_session *fetch_sessions_add(struct fetch_sessions *ss, bool uses_ids,
					 size_t partitions, int64_t now_ms);
/* The session has so many partitions now. false: there is no room; the session is no longer cached. */
bool fetch_sessions_resize(struct fetch_sessions *ss, struct fetch_session *s, size_t partitions);
int fetch_sessions_count(struct fetch_sessions *ss);
/* A random number, always the same one. */
uint64_t fetch_sessions_seed(const struct fetch_sessions *ss);

/* --- under the session's mtx --- */

struct session_part *fetch_session_find(struct fetch_session *s, const struct fetch_topic_key *k,
					int32_t index);
/* The part of this key, a new one if there was none. */
struct session_part *fetch_session_put(struct fetch_session *s, const struct fetch_topic_key *k,
				       int32_t index);
void fetch_session_drop(struct fetch_session *s, const struct fetch_topic_key *k, int32_t index);
/* It was served: the others come first next time. */
void fetch_session_served(struct fetch_session *s, struct session_part *part);

#endif

/* backend.h - where a job's records come from and where its steps go: all that the engine sees of it.
 *
 * One backend is one running instance of a job. backend_local.c stands on the broker in this process: a
 * commit is one command of its shard. Another may stand on a cluster: a commit is then a Kafka
 * transaction, state a local database with changelog topics.
 *
 * Threads: topics and waiters may be used from any thread; an input belongs to one thread at a time;
 * done is called on a thread of the backend and must not block.
 */
#ifndef STREAMS_BACKEND_H
#define STREAMS_BACKEND_H

#include "broker/broker.h"

struct backend;
struct backend_input;
struct backend_waiter;

/* A topic as it was when first asked for; owned by the backend, valid until it is freed. */
struct backend_topic {
	char *name;
	int32_t partitions;
	size_t batch_bytes_max; /* max.message.bytes */
	bool wants_keys; /* cleanup.policy has "compact": what has no key would be compacted away */
	void *handle;    /* the backend's */
};

struct backend_output {
	const struct backend_topic *topic;
	int32_t partition;
	struct frame *batches; /* taken */
};
struct backend_offset {
	struct backend_input *input;
	int64_t offset; /* next to read */
};

/* One step: all of it becomes durable together, or none of it. Everything it points to stays alive and
 * unchanged until done is called, exactly once. Zero-initialise; own is kept from one use to the next. */
struct backend_commit {
	struct backend_output *outputs;
	size_t output_count;
	struct backend_offset *offsets;
	size_t offset_count;
	struct commit_state *states; /* keys with the prefix of backend_state_prefix */
	size_t state_count;
	void (*done)(struct backend_commit *c, enum ks_err err);
	void *cookie;
	void *own; /* the backend's */
};

enum topic_need { TOPIC_MUST_EXIST, TOPIC_AUTO, TOPIC_CREATE };

struct backend_ops {
	void (*free)(struct backend *b);

	/* Finds a topic or, if it may, creates it as spec says (TOPIC_CREATE), or if the cluster creates topics
	 * by itself (TOPIC_AUTO). ERR_UNKNOWN_TOPIC_OR_PARTITION: there is none
	 * and none may be made; why suggests a near name. */
	enum ks_err (*topic)(struct backend *b, const struct topic_spec *spec, enum topic_need need,
			     const struct backend_topic **out, struct ks_why *why);
	/* Names of all topics that are not internal; free() each and the array. */
	char **(*topic_names)(struct backend *b, size_t *count);

	/* Begins to read a partition. position: the job's committed offset or, without one, the start or the
	 * end of the log. */
	enum ks_err (*assign)(struct backend *b, const struct backend_topic *t, int32_t partition,
			      bool from_start, struct backend_input **out, int64_t *position,
			      struct ks_why *why);
	void (*unassign)(struct backend_input *in);
	/* As reader_read of broker.h, up to the last stable offset. */
	enum ks_err (*fetch)(struct backend_input *in, int64_t offset, size_t max_bytes,
			     struct chunk *out, struct ks_why *why);
	/* Whether a batch of the last fetch belongs to an aborted transaction. */
	bool (*is_aborted)(struct backend_input *in, const struct batch *b);
	/* Where to go on after ERR_OFFSET_OUT_OF_RANGE. */
	int64_t (*start_offset)(struct backend_input *in);
	int64_t (*end_offset)(struct backend_input *in); /* the last stable offset */
	/* The job has no more use for what lies below offset (of a repartition topic). */
	void (*forget)(struct backend_input *in, int64_t offset);

	/* A waiter wakes when a partition that it watches grows, or by wake. */
	struct backend_waiter *(*waiter_new)(struct backend *b);
	void (*waiter_free)(struct backend_waiter *w);
	void (*watch)(struct backend_waiter *w, struct backend_input *in);
	uint64_t (*ticket)(struct backend_waiter *w);
	void (*wait)(struct backend_waiter *w, uint64_t ticket, int timeout_ms);
	void (*wake)(struct backend_waiter *w);

	void (*commit)(struct backend *b, struct backend_commit *c);
	void (*commit_fini)(struct backend *b, struct backend_commit *c); /* releases own */
	/* Fills why with what an error of a commit means to the operator. */
	void (*explain)(struct backend *b, enum ks_err err, struct ks_why *why);

	/* The job's state as committed. get appends to out; ERR_NOT_FOUND. */
	uint32_t (*state_prefix)(struct backend *b);
	enum ks_err (*state_get)(struct backend *b, struct slice key, struct buf *out);
	/* Calls entry for lower <= key < upper in order, until it returns an error or ERR_CLOSED (enough). */
	enum ks_err (*state_scan)(struct backend *b, struct slice lower, struct slice upper,
				  enum ks_err (*entry)(void *cookie, struct slice key,
						       struct slice value),
				  void *cookie, struct ks_why *why);
};

struct backend {
	const struct backend_ops *ops;
};

/* The job on a broker of this process. Opening it fences older instances of the job. */
enum ks_err backend_local_new(struct broker *b, const char *job, const char *owner,
			      struct backend **out, struct ks_why *why);

#endif

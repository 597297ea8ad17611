/* target.h - what the verbs work on: a data directory now, a broker over the network later.
 *
 * A table of functions, filled by target_local.c; verbs know nothing else. Names and handles are
 * valid until close. All calls come from one thread, but wake (any thread) and the callback of an
 * append (a thread of the target's).
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "broker/broker.h"

struct target_topic {
	const char *name;
	int32_t partition_count;
	bool is_internal;
	void *handle; /* the target's */
};

struct target_bounds {
	int64_t log_start_offset, last_stable_offset, high_watermark;
	uint64_t size_bytes;
};

struct target_append {
	struct target_topic topic;
	int32_t partition;
	struct frame *batches; /* taken: whole batches, stamped in place */
	enum acks acks;
	void (*done)(struct target_append *a, enum ks_err err, const struct ks_why *why);
	void *cookie;
	int64_t base_offset; /* result */
};

struct target_offset {
	struct target_topic topic;
	int32_t partition;
	int64_t offset; /* next to read */
};

struct target_cursor {
	void *reader; /* the target's */
};

/* Every call returns an error with its sentence in why; results are untouched then. Arrays are
 * the caller's to free(). */
struct target {
	void (*close)(struct target *t);

	/* Topics in the order of their names. */
	enum ks_err (*topics)(struct target *t, struct target_topic **out, size_t *count,
			      struct ks_why *why);
	/* ERR_UNKNOWN_TOPIC_OR_PARTITION: why names a near miss. may_create: if the target allows
	 * it. */
	enum ks_err (*topic_find)(struct target *t, const char *name, bool may_create,
				  struct target_topic *out, struct ks_why *why);
	enum ks_err (*topic_create)(struct target *t, const struct topic_spec *spec,
				    bool is_dry_run, struct ks_why *why);
	enum ks_err (*topic_alter)(struct target *t, const char *name,
				   const struct config_entry *configs, size_t count,
				   struct ks_why *why);
	enum ks_err (*topic_delete)(struct target *t, const char *name, struct ks_why *why);
	enum ks_err (*topic_configs)(struct target *t, const struct target_topic *topic,
				     struct topic_config_row **out, size_t *count,
				     struct ks_why *why);

	enum ks_err (*bounds)(struct target *t, const struct target_topic *topic, int32_t partition,
			      struct target_bounds *out, struct ks_why *why);
	/* The first offset with a timestamp >= timestamp; the high watermark when there is none. */
	enum ks_err (*offset_at)(struct target *t, const struct target_topic *topic,
				 int32_t partition, int64_t timestamp, int64_t *out,
				 struct ks_why *why);
	enum ks_err (*trim)(struct target *t, const struct target_topic *topic, int32_t partition,
			    int64_t offset, int64_t *log_start_offset, struct ks_why *why);
	enum ks_err (*reclaim)(struct target *t, struct ks_why *why);

	/* Calls a->done exactly once, perhaps before it returns. */
	void (*append)(struct target *t, struct target_append *a);

	enum ks_err (*cursor_open)(struct target *t, const struct target_topic *topic,
				   int32_t partition, struct target_cursor *out,
				   struct ks_why *why);
	/* As reader_read. */
	enum ks_err (*cursor_read)(struct target_cursor *c, int64_t offset, size_t max_bytes,
				   struct chunk *out, struct ks_why *why);
	void (*cursor_close)(struct target_cursor *c);
	/* Waits until an open cursor may have more, since the ticket was taken, or the time is up.
	 */
	uint64_t (*ticket)(struct target *t);
	void (*wait)(struct target *t, uint64_t ticket, int timeout_ms);
	void (*wake)(struct target *t);

	enum ks_err (*groups)(struct target *t, char ***out, size_t *count, struct ks_why *why);
	/* ERR_GROUP_ID_NOT_FOUND. */
	enum ks_err (*group_offsets)(struct target *t, const char *group,
				     struct target_offset **out, size_t *count, struct ks_why *why);
	enum ks_err (*group_commit)(struct target *t, const char *group,
				    const struct target_offset *offsets, size_t count,
				    struct ks_why *why);
	enum ks_err (*group_delete)(struct target *t, const char *group, struct ks_why *why);
};

/* As broker_open, and where there is no directory it says what would help. */
enum ks_err target_open_broker(const struct broker_options *options, struct broker **out,
			       struct ks_why *why);
/* Opens the data directory options->dir; made when it is not there if options->store.create. */
enum ks_err target_open_local(const struct broker_options *options, struct target **out,
			      struct ks_why *why);

#endif

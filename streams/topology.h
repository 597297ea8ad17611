/* topology.h - a job as data: topics, flows, steps, policies. No script value appears here.
 *
 * The script layer builds a struct job; the planner (plan.h) checks it and cuts it into tasks. Functions of the
 * script are numbers: the n-th function that the script handed over while it was loaded, the same in every
 * thread because every thread loads the same script.
 */
#ifndef STREAMS_TOPOLOGY_H
#define STREAMS_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "streams/record.h"

#define FN_NONE (-1)

enum guarantee { EXACTLY_ONCE, AT_LEAST_ONCE, AT_MOST_ONCE };

enum error_action { ERROR_FAIL_JOB, ERROR_SKIP, ERROR_DEAD_LETTER };

/* What happens to a record that cannot be decoded, processed, encoded or produced. Retries come first; a record
 * that failed leaves nothing of itself behind but its dead letter. */
struct error_policy {
	bool is_set;
	enum error_action action;
	char *dead_letter_topic;
	int retry_times;
	int64_t retry_backoff_ms;
};

/* Where in the script a thing was written: "job.lua:12". Never NULL once built. */
typedef char *where_t;

enum step_kind {
	STEP_FILTER, /* fn or path(truthy) -> keeps */
	STEP_REJECT,
	STEP_MAP,      /* fn -> value[, key] */
	STEP_FLAT_MAP, /* fn -> list of values, or of {key=, value=} pairs */
	STEP_EXPLODE,  /* path to an array: one record per element */
	STEP_REKEY,    /* path or fn -> key */
	STEP_GROUP, /* like rekey, and says that state follows; without path and fn: by the key as it is */
	STEP_SPLIT, /* branches, first match wins */
	STEP_PEEK,
	STEP_LOG,
	STEP_SAMPLE,
	STEP_COUNT,
	STEP_SUM,
	STEP_MIN,
	STEP_MAX,
	STEP_REDUCE,    /* fn(acc, value, key) -> acc; the first value is the first acc */
	STEP_AGGREGATE, /* init, fn(acc, value, key) -> acc */
	STEP_DEDUP,
	STEP_PROCESS, /* fn(ctx, value, key, rec), with a store and ctx:forward */
	STEP_TO,
	STEP_KIND_COUNT
};

const char *step_kind_name(enum step_kind k); /* "flat_map" */

struct step;
struct step_list {
	struct step *steps;
	size_t count;
};

struct branch {
	int when;          /* fn; FN_NONE: everything else (unless when_path) */
	char *when_path;   /* or: the value at this path ... */
	char *when_equals; /* ... is this JSON text; NULL: is truthy */
	struct step_list steps;
	where_t where;
};

struct step {
	enum step_kind kind;
	where_t where;
	char *name; /* "<flow>.<kind>[n]", unique in the job */
	int fn;     /* FN_NONE: none */
	char *path; /* instead of fn: read in C */
	/* split */
	struct branch *branches;
	size_t branch_count;
	/* to */
	char *topic;      /* NULL: fn gives the name */
	int partition_fn; /* FN_NONE: murmur2 of the key; a null key keeps the input's partition */
	bool has_key_serde, has_value_serde;
	enum serde key_serde, value_serde;
	/* state: count, sum, min, max, reduce, aggregate, dedup, process */
	char *store; /* "as", or "<flow>.<kind>" */
	char *init;  /* aggregate: JSON text of the first acc */
	int64_t within_ms; /* dedup: how long an id is remembered, in stream time; 0: for ever (bounded by ids_max) */
	int64_t ids_max; /* dedup: ids remembered per partition; 0: default */
	/* sample: one record of `every`, by a hash of key and offset, so that a replay samples the same */
	int64_t every;
	/* log */
	char *message;
};

struct flow {
	char *name;
	where_t where;
	char **topics; /* from: names, or one pattern */
	size_t topic_count;
	char *pattern; /* POSIX extended regular expression over topic names; NULL: none */
	bool has_key_serde, has_value_serde; /* given at from */
	enum serde key_serde, value_serde;
	char *time_path; /* event time in the value, integer ms or ISO text; NULL: the record's timestamp */
	bool from_start; /* where to begin without a committed offset: the start (default) or the end */
	struct step_list steps;
	struct error_policy on_error;
};

struct topic_decl {
	char *name;
	where_t where;
	int32_t partitions; /* 0: not said */
	bool has_key_serde, has_value_serde;
	enum serde key_serde, value_serde;
	char **config_keys, **config_values; /* Kafka's names */
	size_t config_count;
};

struct job {
	char *name;
	where_t where;
	char *script_path;
	enum guarantee guarantee;
	int64_t commit_ms;  /* upper bound for batching; 0: as fast as the disk takes them */
	int threads;        /* 0: one per core */
	size_t cache_bytes; /* of all stores; 0: default */
	enum serde default_key, default_value;
	struct error_policy on_error;
	struct topic_decl *topics;
	size_t topic_count;
	struct flow *flows; /* ordered by name, so that every load gives the same job */
	size_t flow_count;
};

/* Frees everything in the job and the job itself; j may be NULL. All strings are owned (malloc). */
void job_free(struct job *j);
struct topic_decl *job_topic_decl(const struct job *j, const char *name); /* or NULL */

bool step_has_state(const struct step *s);
/* rekey, and group by something: from here on the record may belong to another partition. */
bool step_changes_key(const struct step *s);

/* The serdes a topic has for this job: its declaration's, else the defaults. */
void job_topic_serdes(const struct job *j, const char *topic, enum serde *key, enum serde *value);

#endif

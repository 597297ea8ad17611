/* perf_log.h - the pieces of `ksrun perf log`: what is appended, raw files, the appender. */
#ifndef CLI_PERF_LOG_H
#define CLI_PERF_LOG_H

#include <pthread.h>

#include "cli/perf.h"

#define LOG_GROUP_BYTES (1 << 20) /* per sync */
#define LOG_TOPIC       "log"
#define LOG_TEMPLATES   32

/* What one run appends: batches of equal size and equal record counts, of incompressible bytes.
 * Batch k goes to partition k modulo partitions. */
struct log_load {
	int32_t record_bytes, partitions;
	int64_t batches, records_per_batch;
	size_t batch_bytes;
	struct frame *templates[LOG_TEMPLATES]; /* batch k is a copy of template k modulo these */
};

void log_load_init(struct log_load *l, int32_t record_bytes, size_t batch_bytes);
void log_load_fini(struct log_load *l);
static inline int64_t log_load_records(const struct log_load *l)
{
	return l->batches * l->records_per_batch;
}
static inline int64_t log_load_bytes(const struct log_load *l)
{
	return l->batches * (int64_t)l->batch_bytes;
}

/* --- raw files: what the disk gives to a program that does nothing but write and read --- */

struct log_raw {
	double synced_s, settled_s, cold_s, warm_s;
	double synced_cpu_s, settled_cpu_s, cold_cpu_s, warm_cpu_s;
	struct histogram sync_ns; /* of one write and its fdatasync */
};
/* Appends the load to a file in dir, LOG_GROUP_BYTES at a time: with fdatasync after each; then to
 * another one with one fsync at the end; reads that one cold and warm. Removes both. */
enum ks_err log_raw_run(const struct log_load *l, const char *dir, struct log_raw *out,
			struct ks_why *why);
/* Has the kernel forget the contents of every file below dir. */
void log_drop_caches(const char *dir);

/* --- the appender --- */

/* Batches that are under way; the window is what a client of Kafka would have in flight. */
struct log_slot;
struct log_appender {
	/* owner: the appending thread */
	struct broker *broker;
	struct topic *topic;
	const struct log_load *load;
	enum acks acks;
	struct log_slot *slots;
	size_t slot_count;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct log_slot *unused;
	size_t under_way;
	enum ks_err err;
	struct histogram ns; /* from the moment a batch was due until it was answered */
};

void log_appender_init(struct log_appender *a, struct broker *b, const struct log_load *l,
		       enum acks acks, size_t window_bytes);
/* Appends batches first..first+count-1, one each interval_ns (0: as fast as the window lets). Does
 * not wait for the last answers. begin_ns: when the first is due; now, when there is no interval. */
void log_append(struct log_appender *a, int64_t first, int64_t count, int64_t begin_ns,
		int64_t interval_ns);
/* Waits for all answers, frees; the first error. */
enum ks_err log_appender_finish(struct log_appender *a, struct ks_why *why);

#endif

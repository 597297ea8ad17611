/* job.h - which instance of a job may commit.
 *
 * A job has a number (the prefix of its state's keys), an epoch and an owner. Every opening makes
 * the epoch one higher in a synced write; a commit that carries an older epoch comes from an
 * instance that was replaced and is refused, however late it arrives.
 *
 * The table belongs to the shard's thread, which alone changes it, under the lock; other threads
 * look at it through job_describe. It holds what is durable, never what is about to be.
 */
#ifndef TXN_JOB_H
#define TXN_JOB_H

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/store.h"

#define JOB_NAME_MAX  249 /* bytes */
#define JOB_OWNER_MAX 249 /* bytes; longer ones are cut */

struct job_table;
struct job; /* lives as long as its table */

/* What CF_JOBS holds of a job. */
struct job_record {
	uint32_t id;
	int64_t epoch;     /* 1: opened once */
	int64_t opened_ms; /* when the newest epoch began */
	char owner[JOB_OWNER_MAX + 1];
};

struct job_table *job_table_new(void);
void job_table_free(struct job_table *t); /* t may be NULL */
/* Reads all jobs of the store. ERR_CORRUPTION: why names the job. */
enum ks_err job_table_load(struct job_table *t, struct store *s, struct ks_why *why);

/* Owner's thread. NULL: never opened. */
struct job *job_find(struct job_table *t, const char *name);
const struct job_record *job_get(const struct job *j); /* until job_set */
/* Owner's thread. Writes a record; the table is unchanged until job_set, after the write. */
void job_put(struct store_write *w, const char *name, const struct job_record *r);
struct job *job_set(struct job_table *t, const char *name, const struct job_record *r);

/* Owner's thread. The fencing check: ERR_PRODUCER_FENCED when epoch is not the newest. */
enum ks_err job_check(const struct job *j, int64_t epoch);

/* Any thread: a copy of the record. */
void job_describe(struct job_table *t, const struct job *j, struct job_record *out);

#endif

/* sinks.h - the output of a thread's step under construction: one growing buffer of batches per output partition.
 *
 * A record is processed in attempts, one or more for each feed: sinks_begin .. and for each attempt sinks_begin_attempt ..
 * sinks_put* .. and, if it failed, sinks_rollback, which leaves every buffer as it was before the attempt.
 * sinks_rollback_record takes back what all attempts of the record have left. Batches are closed at about 64 KiB, also in the middle of an attempt; nothing but the
 * header of a closed batch was written in place and it is written again when the batch is closed anew, so going back
 * into it is only a matter of restoring the writer. sinks_take hands the buffers over as frames.
 *
 * Owner: one thread.
 */
#ifndef STREAMS_SINKS_H
#define STREAMS_SINKS_H

#include "streams/backend.h"
#include "streams/record.h"
#include "wire/batch.h"

#define SINK_BATCH_BYTES  65536
#define SINK_RECORD_BYTES (64u << 20) /* what one attempt may put */

/* One output partition. */
struct out {
	const struct backend_topic *topic;
	int32_t partition;
	struct buf buf;
	struct batch_writer writer;
	bool is_open;      /* a batch is under way in buf */
	bool is_listed;    /* in sinks.used */
	uint64_t attempt;  /* the last one that wrote here */
	size_t last_bytes; /* of the last step, to reserve as much */
};

struct sink {
	const struct backend_topic *topic;
	uint64_t hash;                     /* of the name */
	enum serde key_serde, value_serde; /* the topic's, for this job */
	struct out *outs;                  /* one per partition */
};

/* How an out was before an attempt touched it. */
struct out_mark {
	struct out *out;
	struct batch_writer writer;
	size_t len;
	bool is_open;
};

struct sinks {
	struct sink **table; /* by name: open addressing */
	size_t cap, count;
	struct out **used; /* outs that hold something */
	size_t used_count, used_cap;
	struct out_mark *marks; /* of the record, in the order in which they were made */
	size_t mark_count, mark_cap;
	size_t attempt_marks; /* mark_count when the attempt began */
	uint64_t attempt;
	/* of the step so far */
	size_t bytes;
	uint64_t records;
	size_t record_bytes, attempt_bytes;       /* bytes when the record and the attempt began */
	uint64_t record_records, attempt_records; /* records, likewise */
};

void sinks_fini(struct sinks *s);
/* The sink of a topic that sinks_add has made before, or NULL. */
struct sink *sinks_find(struct sinks *s, struct slice name);
struct sink *sinks_add(struct sinks *s, const struct backend_topic *topic);

static inline void sinks_begin_attempt(struct sinks *s)
{
	s->attempt++;
	s->attempt_marks = s->mark_count;
	s->attempt_bytes = s->bytes;
	s->attempt_records = s->records;
}
/* A new record, and its first attempt. */
static inline void sinks_begin(struct sinks *s)
{
	s->mark_count = 0;
	s->record_bytes = s->bytes;
	s->record_records = s->records;
	sinks_begin_attempt(s);
}
/* Forgets what was put since sinks_begin_attempt. */
void sinks_rollback(struct sinks *s);
/* Forgets what was put since sinks_begin. */
void sinks_rollback_record(struct sinks *s);

struct sink_record {
	int64_t timestamp;
	struct slice key, value, headers;
	int32_t header_count;
};
/* ERR_MESSAGE_TOO_LARGE: over the topic's max.message.bytes. ERR_INVALID_RECORD: no key, and the topic wants one.
 * ERR_TOO_LARGE: the attempt makes too much of one record. */
enum ks_err sinks_put(struct sinks *s, struct sink *sink, int32_t partition,
		      const struct sink_record *r);
/* Puts a whole finished batch of so many records, whose keys the topic does not ask for. ERR_MESSAGE_TOO_LARGE. */
enum ks_err sinks_put_batch(struct sinks *s, struct sink *sink, int32_t partition,
			    struct slice batch, int32_t records);

/* Closes all batches and appends the outputs to *out (grown with realloc; *cap is its size). */
void sinks_take(struct sinks *s, struct backend_output **out, size_t *count, size_t *cap);

#endif

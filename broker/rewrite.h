/* rewrite.h - the writing half of a cleaning: gathers what is left of a log's values into new
 * values and has the shard put them in the place of the old ones, piece by piece.
 *
 * Every piece is a whole and correct log by itself. It also brings the index along: entries that
 * point into it are taken away, one is made for every 64 KiB that are left. Their positions are
 * counted from the start of the log over what is left; what that must be shifted by to fit the
 * part of the log that was not cleaned is known at the end, and is written with the last piece.
 */
#ifndef BROKER_REWRITE_H
#define BROKER_REWRITE_H

#include "broker/partition.h"

/* One value of the log and what is left of it. */
struct leftover {
	int64_t key; /* last offset of the value */
	struct slice old, kept;
	int64_t kept_last_offset; /* of the last batch in kept; when there is one */
	bool is_changed;
	/* Of the batches below the end of the cleaning alone, and of those which were dirty: */
	uint64_t old_bytes, kept_bytes, old_dirty_bytes, kept_dirty_bytes;
	int64_t last_offset;   /* -1: none is left */
	int64_t max_timestamp; /* -1: none has one */
	/* Markers that are not kept: their aborted transactions are forgotten with them. */
	struct gone_marker {
		int64_t offset, producer_id;
	} * markers;
	size_t marker_count, marker_cap;
};
/* Empty again, keeps its memory; zero-initialise it before the first time. */
void leftover_begin(struct leftover *v);
void leftover_add_marker(struct leftover *v, int64_t offset, int64_t producer_id);
void leftover_fini(struct leftover *v);

struct rewrite;

/* Of [log start, end). cleaned: how far compaction had come. */
struct rewrite *rewrite_new(struct partition *p, int64_t log_start, const struct cleaned *cleaned,
			    int64_t end);
void rewrite_free(struct rewrite *w); /* w may be NULL */
/* The next value; its slices are not needed afterwards.
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_OFFSET_OUT_OF_RANGE  deleted or trimmed meanwhile: give up
 *   ERR_IO, ERR_CORRUPTION, ... */
enum ks_err rewrite_add(struct rewrite *w, const struct leftover *v, struct ks_why *why);
/* After the last value: writes what is gathered, and that all below end is clean. */
enum ks_err rewrite_finish(struct rewrite *w, struct ks_why *why);
/* Of what lies below end, before and after. */
uint64_t rewrite_old_bytes(const struct rewrite *w);
uint64_t rewrite_kept_bytes(const struct rewrite *w);

#endif

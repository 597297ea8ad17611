/* consumer.h - what the files of topic consume share.
 *
 * A feed is one partition that is being read. Without a group, or with one on a data directory,
 * the feeds are those the command line names. As a member of a group on a cluster they are those
 * that the group assigns, and they change whenever it rebalances.
 */
#ifndef CLI_CONSUMER_H
#define CLI_CONSUMER_H

#include "cli/format.h"
#include "cli/progress.h"
#include "cli/record_print.h"
#include "cli/select.h"

struct feed {
	struct target_topic topic;
	int32_t partition;
	struct target_cursor cursor;
	int64_t next, end; /* end: exclusive; INT64_MAX: none */
	int64_t committed; /* -1: nothing yet */
	bool is_done;
};

enum shape { SHAPE_LINE, SHAPE_JSON, SHAPE_LAYOUT, SHAPE_KCAT };

struct consumer {
	struct target *target;
	struct offset_range range;
	const char *group; /* NULL: none */
	bool is_manual;    /* the group's offsets are not committed */
	int commit_ms;
	bool needs_committed; /* partitions of which the group has committed nothing are an error */
	int32_t *partitions;
	size_t partition_count;
	enum shape shape;
	struct format_writer *layout;
	struct json_style json;
	bool has_colour, wants_control;
	size_t fetch_bytes, answer_bytes; /* from a partition, from a broker */
	int fetch_wait_ms;                /* 0: the target's */
	const char *rack;                 /* NULL: none */

	struct target_topic *topics;
	size_t topic_count;
	struct feed *feeds;
	size_t feed_count, open_count;
	bool is_member; /* of the group */
	bool must_join; /* the feeds are no longer ours */
	int64_t left;   /* records until --num is reached */
	int64_t records;
	int64_t next_commit_ns;
	bool is_closed; /* stdout takes no more */
	struct buf out, scratch;
	struct progress progress;
};

/* consume_feed.c */

/* Where a feed of this partition begins and ends by the range; bounds are the partition's. */
enum ks_err feed_add(struct consumer *c, const struct target_topic *topic, int32_t partition,
		     const struct target_bounds *bounds, struct ks_why *why);
/* Feeds of several partitions of one topic; partitions NULL: all of them. */
enum ks_err feeds_add(struct consumer *c, const struct target_topic *topic,
		      const int32_t *partitions, size_t count, struct ks_why *why);
void feeds_close(struct consumer *c);
/* Takes one chunk and prints it; *is_empty: there was none. */
enum ks_err feed_consume(struct consumer *c, struct feed *f, bool *is_empty, struct ks_why *why);
/* Hands what was printed to standard output. */
void consumer_flush(struct consumer *c);

/* consume_group.c */

/* Partitions that the group has committed go on from there. */
enum ks_err group_resume(struct consumer *c, struct ks_why *why);
/* Commits what was printed; c->must_join: the group does not take it any more. */
enum ks_err group_commit_printed(struct consumer *c, struct ks_why *why);
/* Joins, and opens the feeds that the group assigns. ERR_CLOSED: a signal came. */
enum ks_err group_join(struct consumer *c, struct ks_why *why);
/* Tells the group that we are there; joins again when it rebalances. */
enum ks_err group_stay(struct consumer *c, struct ks_why *why);

#endif

/* consume_group.c - the group of topic consume: where it goes on, what it commits, being a member
 * of it. */
#include <stdlib.h>

#include "base/log.h"
#include "cli/consumer.h"
#include "cli/signals.h"

/* --- offsets --- */

static bool has_left(enum ks_err err)
{
	return err == ERR_ILLEGAL_GENERATION || err == ERR_UNKNOWN_MEMBER_ID ||
	       err == ERR_REBALANCE_IN_PROGRESS;
}

enum ks_err group_commit_printed(struct consumer *c, struct ks_why *why)
{
	struct target_offset *rows;
	size_t n = 0;
	enum ks_err err = ERR_NONE;

	if (!c->group || c->is_manual || c->is_closed)
		return ERR_NONE;
	rows = xcalloc(c->feed_count + 1, sizeof *rows);
	for (size_t i = 0; i < c->feed_count; i++) {
		const struct feed *f = &c->feeds[i];
		if (f->next != f->committed)
			rows[n++] = (struct target_offset){f->topic, f->partition, f->next};
	}
	if (n)
		err = c->target->group_commit(c->target, c->group, rows, n, why);
	for (size_t i = 0; !err && i < c->feed_count; i++)
		c->feeds[i].committed = c->feeds[i].next;
	free(rows);
	c->next_commit_ns = clock_monotonic_ns(&clock_real) + c->commit_ms * INT64_C(1000000);
	if (!c->is_member || !has_left(err))
		return err;
	log_warn("consume", "%s; who gets these partitions now prints the last records again",
		 why->text);
	c->must_join = true;
	return ERR_NONE;
}

/* Every feed that has no committed offset begins where auto.offset.reset says, which may be nowhere. */
static enum ks_err check_committed(const struct consumer *c, struct ks_why *why)
{
	for (size_t i = 0; c->needs_committed && i < c->feed_count; i++)
		if (c->feeds[i].committed < 0)
			return ks_fail(why, ERR_NOT_FOUND,
				       "group \"%s\" has committed nothing for %s [%d], and "
				       "auto.offset.reset is error",
				       c->group, c->feeds[i].topic.name, c->feeds[i].partition);
	return ERR_NONE;
}

enum ks_err group_resume(struct consumer *c, struct ks_why *why)
{
	struct target_offset *rows;
	size_t count;
	enum ks_err err = c->target->group_offsets(c->target, c->group, &rows, &count, why);

	if (err == ERR_GROUP_ID_NOT_FOUND)
		return check_committed(c, why);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < c->feed_count; n++) {
			struct feed *f = &c->feeds[n];
			if (f->partition == rows[i].partition &&
			    strcmp(f->topic.name, rows[i].topic.name) == 0)
				f->next = f->committed = rows[i].offset;
		}
	}
	free(rows);
	return check_committed(c, why);
}

/* --- being a member --- */

/* The rows of a topic follow each other. */
static enum ks_err open_assigned(struct consumer *c, const struct target_offset *rows, size_t count,
				 struct ks_why *why)
{
	int32_t *partitions = xcalloc(count + 1, sizeof *partitions);
	enum ks_err err = ERR_NONE;

	for (size_t i = 0, n; i < count && !err; i += n) {
		for (n = 0;
		     i + n < count && strcmp(rows[i + n].topic.name, rows[i].topic.name) == 0; n++)
			partitions[n] = rows[i + n].partition;
		err = feeds_add(c, &rows[i].topic, partitions, n, why);
	}
	free(partitions);
	return err;
}

enum ks_err group_join(struct consumer *c, struct ks_why *why)
{
	struct target_offset *rows;
	size_t count;

	feeds_close(c);
	enum ks_err err = c->target->member_join(c->target, c->group, c->topics, c->topic_count,
						 &rows, &count, why);
	if (err)
		return err;
	c->is_member = true;
	c->must_join = false;
	err = open_assigned(c, rows, count, why);
	free(rows);
	return err ? err : group_resume(c, why);
}

enum ks_err group_stay(struct consumer *c, struct ks_why *why)
{
	bool must_join = c->must_join;
	enum ks_err err = ERR_NONE;

	if (!must_join)
		err = c->target->member_heartbeat(c->target, &must_join, why);
	if (err || !must_join || signals_stop_asked())
		return err;
	consumer_flush(c);
	if (!c->must_join) /* it still is our turn to say how far we came */
		err = group_commit_printed(c, why);
	return err ? err : group_join(c, why);
}

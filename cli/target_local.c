/* target_local.c - the target that is a data directory of this machine, opened in this process. */
#include "cli/target.h"

#include <stdlib.h>
#include <unistd.h>

struct local {
	struct target target; /* first */
	struct broker *broker;
	struct waiter *waiter;
};

static struct local *local_of(struct target *t)
{
	return (struct local *)t;
}

static struct topic *topic_of(const struct target_topic *topic)
{
	return topic->handle;
}

static struct target_topic describe(struct topic *topic)
{
	return (struct target_topic){.name = topic_name(topic),
				     .partition_count = topic_partition_count(topic),
				     .is_internal = topic_is_internal(topic),
				     .handle = topic};
}

static enum ks_err find_partition(const struct target_topic *topic, int32_t index,
				  struct partition **out, struct ks_why *why)
{
	int32_t count = topic_partition_count(topic_of(topic));

	if (index < 0 || index >= count)
		return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
			       "topic \"%s\" has no partition %d; its partitions are 0 to %d",
			       topic->name, index, count - 1);
	*out = topic_partition(topic_of(topic), index);
	return ERR_NONE;
}

static void local_close(struct target *t)
{
	struct local *l = local_of(t);

	waiter_free(l->waiter);
	broker_close(l->broker);
	free(l);
}

/* --- topics --- */

static enum ks_err local_topics(struct target *t, struct target_topic **out, size_t *count,
				struct ks_why *why)
{
	struct topic **topics = broker_topics(local_of(t)->broker, count);

	(void)why;
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++)
		(*out)[i] = describe(topics[i]);
	free(topics);
	return ERR_NONE;
}

static enum ks_err unknown_topic(struct broker *b, const char *name, struct ks_why *why)
{
	char *near = broker_topic_suggest(b, name);

	if (near)
		ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
			"no topic \"%s\"; did you mean \"%s\"?", name, near);
	else
		ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "no topic \"%s\"", name);
	free(near);
	return ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static enum ks_err local_topic_find(struct target *t, const char *name, bool may_create,
				    struct target_topic *out, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;
	struct topic *topic = broker_topic_find(b, name);

	if (!topic && may_create) {
		enum ks_err err = broker_topic_create(b, &(struct topic_spec){.name = name}, why);
		if (err)
			return err;
		topic = broker_topic_find(b, name);
	}
	if (!topic)
		return unknown_topic(b, name, why);
	*out = describe(topic);
	return ERR_NONE;
}

static enum ks_err local_topic_create(struct target *t, const struct topic_spec *spec,
				      bool is_dry_run, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	return is_dry_run ? broker_topic_validate(b, spec, why) : broker_topic_create(b, spec, why);
}

static enum ks_err local_topic_alter(struct target *t, const char *name,
				     const struct config_entry *configs, size_t count,
				     struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (!broker_topic_find(b, name))
		return unknown_topic(b, name, why);
	return broker_topic_alter(b, name, configs, count, why);
}

static enum ks_err local_topic_delete(struct target *t, const char *name, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (!broker_topic_find(b, name))
		return unknown_topic(b, name, why);
	return broker_topic_delete(b, name, why);
}

static enum ks_err local_topic_configs(struct target *t, const struct target_topic *topic,
				       struct topic_config_row **out, size_t *count,
				       struct ks_why *why)
{
	(void)t;
	(void)why;
	*out = topic_configs(topic_of(topic), count);
	return ERR_NONE;
}

/* --- partitions --- */

static enum ks_err local_bounds(struct target *t, const struct target_topic *topic,
				int32_t partition, struct target_bounds *out, struct ks_why *why)
{
	struct partition *p;
	enum ks_err err = find_partition(topic, partition, &p, why);

	(void)t;
	if (err)
		return err;
	out->log_start_offset = partition_log_start_offset(p);
	out->high_watermark = partition_high_watermark(p);
	out->last_stable_offset = out->high_watermark;
	out->size_bytes = partition_size_bytes(p);
	return ERR_NONE;
}

static enum ks_err local_offset_at(struct target *t, const struct target_topic *topic,
				   int32_t partition, int64_t timestamp, int64_t *out,
				   struct ks_why *why)
{
	struct partition *p;
	int64_t found;
	enum ks_err err = find_partition(topic, partition, &p, why);

	(void)t;
	if (err)
		return err;
	err = partition_offset_for_timestamp(p, timestamp, out, &found);
	if (err == ERR_NOT_FOUND) {
		*out = partition_high_watermark(p);
		return ERR_NONE;
	}
	if (err)
		ks_fail(why, err, "cannot look up a time in %s [%d]: %s", topic->name, partition,
			ks_err_text(err));
	return err;
}

static enum ks_err local_trim(struct target *t, const struct target_topic *topic, int32_t partition,
			      int64_t offset, int64_t *log_start_offset, struct ks_why *why)
{
	struct partition *p;
	enum ks_err err = find_partition(topic, partition, &p, why);

	return err ? err : broker_trim(local_of(t)->broker, p, offset, log_start_offset, why);
}

static enum ks_err local_reclaim(struct target *t, struct ks_why *why)
{
	return broker_reclaim(local_of(t)->broker, why);
}

/* --- appending --- */

struct local_append {
	struct append append;
	struct broker *broker;
	struct target_append *of;
};

static void append_done(struct append *a, enum ks_err err)
{
	struct local_append *la = a->cookie;
	struct target_append *of = la->of;
	struct ks_why why = {""};
	const char *failure = err ? broker_failure(la->broker) : NULL;

	if (failure)
		ks_fail(&why, err, "%s", failure);
	of->base_offset = a->base_offset;
	free(la);
	of->done(of, err, &why);
}

static void local_append(struct target *t, struct target_append *a)
{
	struct local_append *la;
	struct partition *p;
	struct ks_why why;
	enum ks_err err = find_partition(&a->topic, a->partition, &p, &why);

	if (err) {
		frame_unref(a->batches);
		a->done(a, err, &why);
		return;
	}
	la = xcalloc(1, sizeof *la);
	la->of = a;
	la->broker = local_of(t)->broker;
	la->append.partition = p;
	la->append.frame = a->batches;
	la->append.acks = a->acks;
	la->append.done = append_done;
	la->append.cookie = la;
	broker_append(la->broker, &la->append);
}

/* --- reading --- */

static enum ks_err local_cursor_open(struct target *t, const struct target_topic *topic,
				     int32_t partition, struct target_cursor *out,
				     struct ks_why *why)
{
	struct local *l = local_of(t);
	struct partition *p;
	enum ks_err err = find_partition(topic, partition, &p, why);

	if (err)
		return err;
	waiter_watch(l->waiter, p);
	out->reader = reader_new(p);
	return ERR_NONE;
}

static enum ks_err local_cursor_read(struct target_cursor *c, int64_t offset, size_t max_bytes,
				     struct chunk *out, struct ks_why *why)
{
	return reader_read(c->reader, offset, max_bytes, out, why);
}

static void local_cursor_close(struct target_cursor *c)
{
	reader_free(c->reader);
	c->reader = NULL;
}

static uint64_t local_ticket(struct target *t)
{
	return waiter_ticket(local_of(t)->waiter);
}

static void local_wait(struct target *t, uint64_t ticket, int timeout_ms)
{
	waiter_wait(local_of(t)->waiter, ticket, timeout_ms);
}

static void local_wake(struct target *t)
{
	waiter_wake(local_of(t)->waiter);
}

/* --- groups --- */

static enum ks_err local_groups(struct target *t, char ***out, size_t *count, struct ks_why *why)
{
	(void)why;
	*out = broker_groups(local_of(t)->broker, count);
	return ERR_NONE;
}

static enum ks_err local_group_offsets(struct target *t, const char *group,
				       struct target_offset **out, size_t *count,
				       struct ks_why *why)
{
	struct group_offset *rows;
	enum ks_err err = broker_group_offsets(local_of(t)->broker, group, &rows, count);

	if (err)
		return ks_fail(why, err, "group \"%s\": %s", group, ks_err_text(err));
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++) {
		(*out)[i].topic = describe(partition_topic(rows[i].partition));
		(*out)[i].partition = partition_index(rows[i].partition);
		(*out)[i].offset = rows[i].offset;
	}
	free(rows);
	return ERR_NONE;
}

static enum ks_err local_group_commit(struct target *t, const char *group,
				      const struct target_offset *offsets, size_t count,
				      struct ks_why *why)
{
	struct group_offset *rows = xcalloc(count + 1, sizeof *rows);
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < count && !err; i++) {
		err = find_partition(&offsets[i].topic, offsets[i].partition, &rows[i].partition,
				     why);
		rows[i].offset = offsets[i].offset;
	}
	if (!err)
		err = broker_group_commit(local_of(t)->broker, group, rows, count, why);
	free(rows);
	return err;
}

static enum ks_err local_group_delete(struct target *t, const char *group, struct ks_why *why)
{
	return broker_group_delete(local_of(t)->broker, group, why);
}

static const struct target local_calls = {
	.close = local_close,
	.topics = local_topics,
	.topic_find = local_topic_find,
	.topic_create = local_topic_create,
	.topic_alter = local_topic_alter,
	.topic_delete = local_topic_delete,
	.topic_configs = local_topic_configs,
	.bounds = local_bounds,
	.offset_at = local_offset_at,
	.trim = local_trim,
	.reclaim = local_reclaim,
	.append = local_append,
	.cursor_open = local_cursor_open,
	.cursor_read = local_cursor_read,
	.cursor_close = local_cursor_close,
	.ticket = local_ticket,
	.wait = local_wait,
	.wake = local_wake,
	.groups = local_groups,
	.group_offsets = local_group_offsets,
	.group_commit = local_group_commit,
	.group_delete = local_group_delete,
};

enum ks_err target_open_broker(const struct broker_options *options, struct broker **out,
			       struct ks_why *why)
{
	if (!options->store.create && access(options->dir, F_OK) != 0)
		return ks_fail(why, ERR_NOT_FOUND,
			       "no data directory %s; --data DIR or KS_DATA names another, and "
			       "'ksrun topic create' makes it",
			       options->dir);
	return broker_open(options, out, why);
}

enum ks_err target_open_local(const struct broker_options *options, struct target **out,
			      struct ks_why *why)
{
	struct broker *broker;
	enum ks_err err = target_open_broker(options, &broker, why);

	if (err)
		return err;
	struct local *l = xcalloc(1, sizeof *l);
	l->target = local_calls;
	l->broker = broker;
	l->waiter = waiter_new();
	*out = &l->target;
	return ERR_NONE;
}

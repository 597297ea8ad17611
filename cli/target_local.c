/* target_local.c - the target that is a data directory of this machine, opened in this process. */
#include "cli/target_local.h"

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

struct broker *local_broker(struct target *t)
{
	return local_of(t)->broker;
}

static struct topic *topic_of(const struct target_topic *topic)
{
	return topic->handle;
}

static struct target_topic describe(struct topic *topic)
{
	return (struct target_topic){.name = topic_name(topic),
				     .partition_count = topic_partition_count(topic),
				     .replicas = 1,
				     .is_internal = topic_is_internal(topic),
				     .handle = topic};
}

enum ks_err local_partition(const struct target_topic *topic, int32_t index, struct partition **out,
			    struct ks_why *why)
{
	enum ks_err err = target_check_partition(topic, index, why);

	if (!err)
		*out = topic_partition(topic_of(topic), index);
	return err;
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
		return target_unknown_topic(t, name, why);
	*out = describe(topic);
	return ERR_NONE;
}

static enum ks_err local_topic_create(struct target *t, const struct topic_spec *spec,
				      int32_t replicas, bool is_dry_run, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (replicas != 1 && replicas != -1)
		return ks_fail(why, ERR_INVALID_REPLICATION_FACTOR,
			       "%s: a data directory keeps one replica, not %d", spec->name,
			       replicas);
	return is_dry_run ? broker_topic_validate(b, spec, why) : broker_topic_create(b, spec, why);
}

static enum ks_err local_topic_add_partitions(struct target *t, const char *name, int32_t new_count,
					      struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (!broker_topic_find(b, name))
		return target_unknown_topic(t, name, why);
	return broker_topic_add_partitions(b, name, new_count, why);
}

static enum ks_err local_topic_delete(struct target *t, const char *name, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (!broker_topic_find(b, name))
		return target_unknown_topic(t, name, why);
	return broker_topic_delete(b, name, why);
}

static enum ks_err no_brokers(struct ks_why *why)
{
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "a data directory has no broker to configure; -b HOST:PORT names a cluster");
}

static enum ks_err local_configs(struct target *t, enum target_resource resource, const char *name,
				 struct target_config **out, size_t *count, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;
	struct topic *topic = resource == TARGET_TOPIC ? broker_topic_find(b, name) : NULL;

	if (!topic)
		return resource == TARGET_TOPIC ? target_unknown_topic(t, name, why)
						: no_brokers(why);
	struct topic_config_row *rows = topic_configs(topic, count);
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++)
		(*out)[i] = (struct target_config){
			.key = xstrdup(rows[i].key),
			.value = rows[i].value ? xstrdup(rows[i].value) : NULL,
			.source = target_config_source((int)rows[i].source),
			.type = target_config_type((int)rows[i].type),
			.is_default = rows[i].is_default,
			.is_read_only = rows[i].is_read_only,
			.is_sensitive = rows[i].is_sensitive};
	free(rows);
	return ERR_NONE;
}

static enum ks_err local_configs_change(struct target *t, enum target_resource resource,
					const char *name, const struct config_change *changes,
					size_t count, bool is_dry_run, struct ks_why *why)
{
	struct broker *b = local_of(t)->broker;

	if (resource != TARGET_TOPIC)
		return no_brokers(why);
	if (!broker_topic_find(b, name))
		return target_unknown_topic(t, name, why);
	return broker_topic_change_configs(b, name, changes, count, is_dry_run, why);
}

/* --- partitions --- */

static enum ks_err local_bounds(struct target *t, const struct target_topic *topic,
				int32_t partition, struct target_bounds *out, struct ks_why *why)
{
	struct partition *p;
	enum ks_err err = local_partition(topic, partition, &p, why);

	(void)t;
	if (err)
		return err;
	out->log_start_offset = partition_log_start_offset(p);
	out->last_stable_offset = partition_last_stable_offset(p);
	out->high_watermark = partition_high_watermark(p);
	out->size_bytes = partition_size_bytes(p);
	return ERR_NONE;
}

static enum ks_err local_bounds_all(struct target *t, const struct target_topic *topic,
				    bool with_sizes, struct target_bounds *out, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	(void)with_sizes; /* they cost nothing here */
	for (int32_t i = 0; i < topic->partition_count && !err; i++)
		err = local_bounds(t, topic, i, &out[i], why);
	return err;
}

static enum ks_err local_offset_at(struct target *t, const struct target_topic *topic,
				   int32_t partition, int64_t timestamp, int64_t *out,
				   struct ks_why *why)
{
	struct partition *p;
	int64_t found;
	enum ks_err err = local_partition(topic, partition, &p, why);

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
	enum ks_err err = local_partition(topic, partition, &p, why);

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
	enum ks_err err = local_partition(&a->topic, a->partition, &p, &why);

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

struct local_cursor {
	struct reader *reader;
	struct partition *read;
	struct aborted_batches aborted; /* of the last read */
	struct target_topic topic;
	int32_t partition;
	bool is_uncommitted;
};

static enum ks_err local_cursor_open(struct target *t, const struct target_topic *topic,
				     int32_t partition, struct target_cursor *out,
				     struct ks_why *why)
{
	struct local *l = local_of(t);
	struct partition *p;
	enum ks_err err = local_partition(topic, partition, &p, why);

	if (err)
		return err;
	waiter_watch(l->waiter, p);
	struct local_cursor *lc = xcalloc(1, sizeof *lc);
	*lc = (struct local_cursor){.reader = reader_new(p),
				    .read = p,
				    .topic = *topic,
				    .partition = partition,
				    .is_uncommitted = t->reads_uncommitted};
	out->reader = lc;
	return ERR_NONE;
}

static enum ks_err local_cursor_read(struct target_cursor *c, int64_t offset, size_t max_bytes,
				     struct chunk *out, struct ks_why *why)
{
	struct local_cursor *lc = c->reader;

	if (lc->is_uncommitted)
		return reader_read(lc->reader, offset, max_bytes, out, why);
	return reader_read_committed(lc->reader, lc->read, offset, max_bytes, out, &lc->aborted,
				     why);
}

static enum ks_err local_cursor_bounds(struct target_cursor *c, struct target_bounds *out,
				       struct ks_why *why)
{
	struct local_cursor *lc = c->reader;

	return local_bounds(NULL, &lc->topic, lc->partition, out, why);
}

static bool local_cursor_is_aborted(struct target_cursor *c, const struct batch *b)
{
	struct local_cursor *lc = c->reader;

	return aborted_batches_has(&lc->aborted, b);
}

static void local_cursor_close(struct target_cursor *c)
{
	struct local_cursor *lc = c->reader;

	reader_free(lc->reader);
	aborted_batches_fini(&lc->aborted);
	free(lc);
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

/* Nobody can be a member while this process has the directory. */
static struct target_group describe_group(struct arena *arena, const char *name)
{
	return (struct target_group){.name = arena_strdup(arena, name),
				     .state = "Empty",
				     .type = "classic",
				     .coordinator = -1};
}

static enum ks_err local_groups(struct target *t, struct target_groups *out, struct ks_why *why)
{
	size_t count;
	char **names = broker_groups(local_of(t)->broker, &count);

	(void)why;
	*out = (struct target_groups){.count = count};
	out->rows = arena_alloc(&out->arena, (count + 1) * sizeof *out->rows);
	for (size_t i = 0; i < count; i++) {
		out->rows[i] = describe_group(&out->arena, names[i]);
		free(names[i]);
	}
	free(names);
	return ERR_NONE;
}

static enum ks_err local_group_members(struct target *t, const char *group,
				       struct target_members *out, struct ks_why *why)
{
	(void)t;
	(void)why;
	*out = (struct target_members){.assignor = ""};
	out->group = describe_group(&out->arena, group);
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
		err = local_partition(&offsets[i].topic, offsets[i].partition, &rows[i].partition,
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
	.topic_add_partitions = local_topic_add_partitions,
	.topic_delete = local_topic_delete,
	.configs = local_configs,
	.configs_change = local_configs_change,
	.bounds = local_bounds,
	.bounds_all = local_bounds_all,
	.offset_at = local_offset_at,
	.trim = local_trim,
	.reclaim = local_reclaim,
	.append = local_append,
	.cursor_open = local_cursor_open,
	.cursor_read = local_cursor_read,
	.cursor_bounds = local_cursor_bounds,
	.cursor_is_aborted = local_cursor_is_aborted,
	.cursor_close = local_cursor_close,
	.ticket = local_ticket,
	.wait = local_wait,
	.wake = local_wake,
	.groups = local_groups,
	.group_offsets = local_group_offsets,
	.group_members = local_group_members,
	.group_commit = local_group_commit,
	.group_delete = local_group_delete,
	.txns = local_txns,
	.txn_describe = local_txn_describe,
	.producers = local_producers,
	.txn_abort = local_txn_abort,
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

/* topic_change.c - making, growing, altering and deleting topics: broker.h's functions, each one
 * call of the shard that writes the topic's record and, once that is durable, changes the table. */
#include "broker/topic.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/seeded.h"
#include "broker/core.h"
#include "broker/offsets.h"
#include "broker/shard.h"

/* --- creating --- */

static enum ks_err check_name(const char *name, struct ks_why *why)
{
	size_t len = strlen(name);

	if (len == 0 || len > BROKER_TOPIC_NAME_MAX)
		return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION,
			       "a topic's name has 1 to %d bytes, this one %zu",
			       BROKER_TOPIC_NAME_MAX, len);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION, "no topic is called \"%s\"", name);
	for (const char *c = name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= '0' && *c <= '9') && !strchr("._-", *c))
			return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION,
				       "topic \"%s\": only letters, digits, '.', '_' and '-' are "
				       "allowed in a name",
				       name);
	return ERR_NONE;
}

/* config: out, initialised on success; with the defaults of b, which outlives it, or of Kafka. */
static enum ks_err spec_config(struct broker *b, const struct topic_spec *spec,
			       struct topic_config *config, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	config_init(config, b ? &b->topic_defaults : NULL);
	for (size_t i = 0; i < spec->config_count && !err; i++)
		err = config_set(config, spec->configs[i].key, spec->configs[i].value, why);
	if (!err)
		err = config_check(config, why);
	if (err)
		config_fini(config);
	return err;
}

enum ks_err broker_spec_configs(struct broker *b, const struct topic_spec *spec,
				struct topic_config_row **rows, size_t *count, struct ks_why *why)
{
	struct topic_config config;
	enum ks_err err = spec_config(b, spec, &config, why);

	if (err)
		return err;
	*rows = config_rows(&config, count);
	config_fini(&config);
	return ERR_NONE;
}

/* Everything about a spec that does not depend on what exists. config: out, initialised on success.
 */
static enum ks_err check_spec(struct broker *b, const struct topic_spec *spec,
			      struct topic_config *config, struct ks_why *why)
{
	enum ks_err err = check_name(spec->name, why);

	if (err)
		return err;
	if (spec->partitions > BROKER_PARTITIONS_MAX)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "topic \"%s\": %d partitions are over the limit of %d", spec->name,
			       spec->partitions, BROKER_PARTITIONS_MAX);
	return spec_config(b, spec, config, why);
}

static int32_t wanted_partitions(struct broker *b, const struct topic_spec *spec)
{
	return spec->partitions > 0 ? spec->partitions : b->options.default_partitions;
}

static enum ks_err check_room(struct broker *b, const struct topic_spec *spec, struct ks_why *why)
{
	size_t wanted = (size_t)wanted_partitions(b, spec);

	size_t have;
	bool exists;

	topics_count(&b->topics, spec->name, &exists, &have);
	if (exists)
		return ks_fail(why, ERR_TOPIC_ALREADY_EXISTS, "topic \"%s\" exists already",
			       spec->name);
	if (have + wanted > BROKER_PARTITIONS_MAX)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "topic \"%s\": with its %zu partitions there would be %zu, over the "
			       "limit of %d",
			       spec->name, wanted, have + wanted, BROKER_PARTITIONS_MAX);
	return ERR_NONE;
}

struct create {
	struct call call;
	const struct topic_spec *spec;
	struct topic_config config; /* swapped with the topic's by publish */
	struct topic_record record;
	struct buf extents; /* of the record */
	struct ids ids;     /* after it */
};

static void put_topic(struct group *g, struct topic_record *r, const struct topic_config *config)
{
	struct buf configs = {0}, value = {0};
	struct key_id key = key_topic(r->topic_id);

	r->config_count = config_encode(config, &configs);
	r->configs = buf_slice(&configs);
	topic_record_encode(&value, r);
	store_put(g->write, CF_TOPICS, KEY_SLICE(key), buf_slice(&value));
	buf_fini(&configs);
	buf_fini(&value);
}

/* The next count partition numbers, off ids. */
static enum ks_err take_ids(struct ids *ids, int32_t count, struct extent *out, struct ks_why *why)
{
	*out = (struct extent){ids->partition, (uint32_t)count};
	if (ids->partition > UINT32_MAX - 1 - out->count)
		return ks_fail(why, ERR_INVALID_PARTITIONS, "all partition numbers are used up");
	ids->partition += out->count;
	return ERR_NONE;
}

static void put_ids(struct group *g, const struct ids *ids)
{
	struct value_ids value = value_ids(ids);
	store_put(g->write, CF_META, key_ids, KEY_SLICE(value));
}

static enum ks_err create_apply(struct call *call, struct group *g)
{
	struct create *c = (struct create *)call;
	struct broker *b = call->broker;
	enum ks_err err = check_room(b, c->spec, call->why);

	if (err)
		return err;
	c->ids = b->ids;
	if (c->ids.topic == UINT32_MAX)
		return ks_fail(call->why, ERR_INVALID_PARTITIONS, "all topic numbers are used up");
	c->ids.topic++;
	struct extent extent;
	err = take_ids(&c->ids, wanted_partitions(b, c->spec), &extent, call->why);
	if (err)
		return err;
	extent_append(&c->extents, &extent);
	c->record.topic_id = b->ids.topic;
	c->record.extents = buf_slice(&c->extents);
	c->record.created_ms = g->now_ms;
	put_ids(g, &c->ids);
	put_topic(g, &c->record, &c->config);
	return ERR_NONE;
}

static void create_publish(struct call *call)
{
	struct create *c = (struct create *)call;
	struct broker *b = call->broker;

	b->ids = c->ids;
	topics_insert(&b->topics, topic_new(b, &c->record, &c->config));
}

enum ks_err broker_topic_create(struct broker *b, const struct topic_spec *spec, struct ks_why *why)
{
	struct create c = {
		.call = {.apply = create_apply,
			 .publish = create_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.spec = spec,
		.record = {.is_internal = spec->is_internal, .name = slice_str(spec->name)},
	};
	struct topic_uuid uuid = spec->uuid ? *spec->uuid : topic_uuid_new();
	enum ks_err err = check_spec(b, spec, &c.config, why);

	if (err)
		return err;
	memcpy(c.record.uuid, uuid.bytes, sizeof c.record.uuid);
	err = shard_call(b->shard, &c.call);
	config_fini(&c.config);
	buf_fini(&c.extents);
	return err;
}

enum ks_err broker_topic_validate(struct broker *b, const struct topic_spec *spec,
				  struct ks_why *why)
{
	struct topic_config config;
	enum ks_err err = check_spec(b, spec, &config, why);

	if (err)
		return err;
	config_fini(&config);
	return b ? check_room(b, spec, why) : ERR_NONE;
}

/* --- deleting --- */

struct delete
{
	struct call call;
	const char *name;
	struct topic *topic;
};

/* The partitions of an extent are neighbours: one range in each column family, however many they
 * are. */
static void delete_logs(struct group *g, const struct extent *e)
{
	uint32_t first = e->first_id, after = first + e->count;
	struct key_log log_from = key_log(first, 0), log_to = key_log(after, 0);
	struct key_index from = key_index(first, INT64_MIN, 0), to = key_index(after, INT64_MIN, 0);
	struct key_id start_from = key_log_start(first), start_to = key_log_start(after);
	struct key_id cleaned_from = key_cleaned(first), cleaned_to = key_cleaned(after);
	struct key_producer producer_from = key_producer(first, 0),
			    producer_to = key_producer(after, 0);
	struct key_aborted aborted_from = key_aborted(first, 0), aborted_to = key_aborted(after, 0);
	struct key_aborted_by by_from = key_aborted_by(first, 0, 0),
			      by_to = key_aborted_by(after, 0, 0);

	store_delete_range(g->write, CF_LOG, KEY_SLICE(log_from), KEY_SLICE(log_to));
	store_delete_range(g->write, CF_INDEX, KEY_SLICE(from), KEY_SLICE(to));
	store_delete_range(g->write, CF_TOPICS, KEY_SLICE(start_from), KEY_SLICE(start_to));
	store_delete_range(g->write, CF_TOPICS, KEY_SLICE(cleaned_from), KEY_SLICE(cleaned_to));
	if (!KS_SEEDED_BUG(2081))
		store_delete_range(g->write, CF_TXN, KEY_SLICE(producer_from),
				   KEY_SLICE(producer_to));
	store_delete_range(g->write, CF_TXN, KEY_SLICE(aborted_from), KEY_SLICE(aborted_to));
	store_delete_range(g->write, CF_TXN, KEY_SLICE(by_from), KEY_SLICE(by_to));
}

static enum ks_err delete_apply(struct call *call, struct group *g)
{
	struct delete *d = (struct delete *)call;
	struct broker *b = call->broker;

	d->topic = broker_topic_find(b, d->name);
	if (!d->topic)
		return topic_not_found(b, d->name, call->why);
	enum ks_err err = ERR_NONE;
	for (size_t i = 0; i < d->topic->part_count && !err; i++) {
		const struct extent *e = &d->topic->parts[i].extent;
		err = offsets_delete_partitions(b->store, g->write, e->first_id, e->count,
						call->why);
		delete_logs(g, e);
	}
	if (err)
		return err;
	struct key_id key = key_topic(d->topic->id);
	store_delete(g->write, CF_TOPICS, KEY_SLICE(key));
	atomic_store_explicit(&d->topic->is_gone, true, memory_order_release);
	return ERR_NONE;
}

static void delete_publish(struct call *call)
{
	struct delete *d = (struct delete *)call;

	topics_take_out(&call->broker->topics, d->topic);
	for (int32_t i = 0; i < topic_partition_count(d->topic); i++) {
		struct partition *p = topic_partition(d->topic, i);
		producer_map_drop(call->broker->producers, &p->producers);
		partition_wake(p);
	}
}

enum ks_err broker_topic_delete(struct broker *b, const char *name, struct ks_why *why)
{
	struct delete d = {
		.call = {.apply = delete_apply,
			 .publish = delete_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.name = name,
	};
	return shard_call(b->shard, &d.call);
}

/* --- growing --- */

/* Puts the record of a topic that is there; more (may be NULL): partitions that it is about to
 * get. */
static void rewrite_topic(struct group *g, const struct topic *t, const struct extent *more,
			  const struct topic_config *config)
{
	struct buf extents = {0};
	struct topic_record r = {
		.topic_id = t->id,
		.is_internal = t->is_internal,
		.created_ms = t->created_ms,
		.name = slice_str(t->name),
	};

	memcpy(r.uuid, t->uuid.bytes, sizeof r.uuid);
	for (size_t i = 0; i < t->part_count; i++)
		extent_append(&extents, &t->parts[i].extent);
	if (more)
		extent_append(&extents, more);
	r.extents = buf_slice(&extents);
	put_topic(g, &r, config);
	buf_fini(&extents);
}

static enum ks_err check_growth(struct broker *b, const char *name, int32_t new_count,
				struct ks_why *why)
{
	struct topic *t = broker_topic_find(b, name);
	size_t all;
	bool exists;

	if (!t)
		return topic_not_found(b, name, why);
	int32_t count = topic_partition_count(t);
	if (new_count <= count)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "topic \"%s\" has %" PRId32 " partitions already, and %" PRId32
			       " are not more",
			       name, count, new_count);
	topics_count(&b->topics, name, &exists, &all);
	if (all + (size_t)(new_count - count) > BROKER_PARTITIONS_MAX)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "topic \"%s\": with %" PRId32
			       " partitions of it there would be %zu, over the limit of %d",
			       name, new_count, all + (size_t)(new_count - count),
			       BROKER_PARTITIONS_MAX);
	return ERR_NONE;
}

struct growth {
	struct call call;
	const char *name;
	int32_t new_count;
	struct topic *topic;
	struct extent extent;
	struct ids ids; /* after it */
};

static enum ks_err grow_apply(struct call *call, struct group *g)
{
	struct growth *w = (struct growth *)call;
	struct broker *b = call->broker;
	enum ks_err err = check_growth(b, w->name, w->new_count, call->why);

	if (err)
		return err;
	w->topic = broker_topic_find(b, w->name);
	w->ids = b->ids;
	err = take_ids(&w->ids, w->new_count - topic_partition_count(w->topic), &w->extent,
		       call->why);
	if (err)
		return err;
	put_ids(g, &w->ids);
	rewrite_topic(g, w->topic, &w->extent, &w->topic->config);
	return ERR_NONE;
}

static void grow_publish(struct call *call)
{
	struct growth *w = (struct growth *)call;

	call->broker->ids = w->ids;
	topics_grow(&call->broker->topics, w->topic, &w->extent);
}

enum ks_err broker_topic_add_partitions(struct broker *b, const char *name, int32_t new_count,
					struct ks_why *why)
{
	struct growth w = {
		.call = {.apply = grow_apply,
			 .publish = grow_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.name = name,
		.new_count = new_count,
	};
	return shard_call(b->shard, &w.call);
}

enum ks_err broker_topic_check_partitions(struct broker *b, const char *name, int32_t new_count,
					  struct ks_why *why)
{
	return check_growth(b, name, new_count, why);
}

/* --- uuids for records that have none --- */

static enum ks_err uuids_apply(struct call *call, struct group *g)
{
	struct topics *ts = &call->broker->topics;

	for (size_t i = 0; i < ts->all_count; i++)
		if (ts->all[i]->lacks_record)
			rewrite_topic(g, ts->all[i], NULL, &ts->all[i]->config);
	return ERR_NONE;
}

enum ks_err topics_write_uuids(struct broker *b, struct ks_why *why)
{
	struct call call = {.apply = uuids_apply, .is_alone = true, .broker = b, .why = why};
	bool is_needed = false;

	for (size_t i = 0; i < b->topics.all_count; i++)
		is_needed |= b->topics.all[i]->lacks_record;
	return is_needed ? shard_call(b->shard, &call) : ERR_NONE;
}

/* --- altering --- */

struct alter {
	struct call call;
	const char *name;
	const struct config_change *changes;
	size_t count;
	bool is_whole; /* what is not named goes back to its default */
	struct topic *topic;
	struct topic_config config; /* swapped with the topic's by publish */
};

/* Everything but the write: a->config becomes what the topic's is to be. */
static enum ks_err alter_config(struct alter *a)
{
	struct ks_why *why = a->call.why;
	enum ks_err err = ERR_NONE;

	a->topic = broker_topic_find(a->call.broker, a->name);
	if (!a->topic)
		return topic_not_found(a->call.broker, a->name, why);
	if (a->is_whole) {
		config_init(&a->config, &a->call.broker->topic_defaults);
	} else {
		pthread_mutex_lock(&a->topic->mtx);
		config_copy(&a->config, &a->topic->config);
		pthread_mutex_unlock(&a->topic->mtx);
	}
	for (size_t i = 0; i < a->count && !err; i++)
		err = config_change(&a->config, &a->changes[i], why);
	return err ? err : config_check(&a->config, why);
}

static enum ks_err alter_apply(struct call *call, struct group *g)
{
	struct alter *a = (struct alter *)call;
	enum ks_err err = alter_config(a);

	if (!err)
		rewrite_topic(g, a->topic, NULL, &a->config);
	return err;
}

static void alter_publish(struct call *call)
{
	struct alter *a = (struct alter *)call;

	topic_set_config(a->topic, &a->config);
}

static enum ks_err check_twice(const struct config_change *changes, size_t count,
			       struct ks_why *why)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(changes[i].key, changes[j].key) == 0)
				return ks_fail(why, ERR_INVALID_REQUEST, "%s is there twice",
					       changes[i].key);
	return ERR_NONE;
}

static enum ks_err alter(struct broker *b, struct alter *a, bool validate_only, struct ks_why *why)
{
	a->call = (struct call){.apply = alter_apply,
				.publish = alter_publish,
				.is_alone = true,
				.broker = b,
				.why = why};
	enum ks_err err = validate_only ? alter_config(a) : shard_call(b->shard, &a->call);
	config_fini(&a->config);
	return err;
}

/* A topic has so many keys, so more changes name one twice or one that is unknown. */
#define CHANGES_MAX (4 * CONFIG_KEYS)

static enum ks_err check_count(size_t count, struct ks_why *why)
{
	if (count <= CHANGES_MAX)
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_REQUEST, "%zu changes of a configuration are too many",
		       count);
}

enum ks_err broker_topic_change_configs(struct broker *b, const char *name,
					const struct config_change *changes, size_t count,
					bool validate_only, struct ks_why *why)
{
	struct alter a = {.name = name, .changes = changes, .count = count};
	enum ks_err err = check_count(count, why);

	if (!err)
		err = check_twice(changes, count, why);
	return err ? err : alter(b, &a, validate_only, why);
}

static enum ks_err alter_entries(struct broker *b, const char *name,
				 const struct config_entry *configs, size_t count, bool is_whole,
				 bool validate_only, struct ks_why *why)
{
	struct config_change changes[CHANGES_MAX];
	struct alter a = {.name = name, .changes = changes, .count = count, .is_whole = is_whole};
	enum ks_err err = check_count(count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		changes[i] = (struct config_change){configs[i].key, configs[i].value,
						    configs[i].value ? CONFIG_SET : CONFIG_DELETE};
	err = check_twice(changes, count, why);
	return err ? err : alter(b, &a, validate_only, why);
}

enum ks_err broker_topic_alter(struct broker *b, const char *name,
			       const struct config_entry *configs, size_t count, struct ks_why *why)
{
	return alter_entries(b, name, configs, count, false, false, why);
}

enum ks_err broker_topic_replace_configs(struct broker *b, const char *name,
					 const struct config_entry *configs, size_t count,
					 bool validate_only, struct ks_why *why)
{
	return alter_entries(b, name, configs, count, true, validate_only, why);
}

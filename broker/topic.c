/* topic.c - see topic.h; and broker.h's functions about topics. */
#include "broker/topic.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "broker/core.h"
#include "broker/offsets.h"
#include "broker/shard.h"

/* --- the table --- */

void topics_init(struct topics *ts)
{
	*ts = (struct topics){0};
	pthread_rwlock_init(&ts->lock, NULL);
}

static void topic_free(struct topic *t)
{
	if (!t)
		return;
	for (int32_t i = 0; i < t->partition_count; i++)
		partition_fini(&t->partitions[i]);
	free(t->partitions);
	config_fini(&t->config);
	pthread_mutex_destroy(&t->mtx);
	free(t->name);
	free(t);
}

void topics_fini(struct topics *ts)
{
	for (size_t i = 0; i < ts->id_count; i++)
		topic_free(ts->by_id[i]);
	free(ts->by_id);
	free(ts->by_name);
	pthread_rwlock_destroy(&ts->lock);
}

/* Takes the configuration over. */
static struct topic *topic_new(struct broker *b, const struct topic_record *r,
			       struct topic_config *config)
{
	struct topic *t = xcalloc(1, sizeof *t);

	t->broker = b;
	t->name = xmalloc(r->name.len + 1);
	memcpy(t->name, r->name.data, r->name.len);
	t->name[r->name.len] = 0;
	t->id = r->topic_id;
	t->first_partition_id = r->first_partition_id;
	t->partition_count = (int32_t)r->partition_count;
	t->is_internal = r->is_internal;
	t->created_ms = r->created_ms;
	t->config = *config;
	pthread_mutex_init(&t->mtx, NULL);
	t->partitions = xcalloc(r->partition_count, sizeof(*t->partitions));
	for (int32_t i = 0; i < t->partition_count; i++)
		partition_init(&t->partitions[i], t, r->first_partition_id + (uint32_t)i, i);
	return t;
}

/* Under lock. Where name is, or where it would go. */
static size_t place(const struct topics *ts, const char *name)
{
	size_t low = 0, high = ts->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(ts->by_name[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct topic *find(struct topics *ts, const char *name)
{
	size_t at = place(ts, name);
	return at < ts->count && strcmp(ts->by_name[at]->name, name) == 0 ? ts->by_name[at] : NULL;
}

static void insert(struct topics *ts, struct topic *t)
{
	pthread_rwlock_wrlock(&ts->lock);
	if (ts->count == ts->cap) {
		ts->cap = ts->cap ? 2 * ts->cap : 16;
		ts->by_name = xrealloc(ts->by_name, ts->cap * sizeof(*ts->by_name));
	}
	if (ts->id_count == ts->id_cap) {
		ts->id_cap = ts->id_cap ? 2 * ts->id_cap : 16;
		ts->by_id = xrealloc(ts->by_id, ts->id_cap * sizeof(*ts->by_id));
	}
	size_t at = place(ts, t->name);
	memmove(&ts->by_name[at + 1], &ts->by_name[at], (ts->count - at) * sizeof(*ts->by_name));
	ts->by_name[at] = t;
	ts->count++;
	assert(ts->id_count == 0 ||
	       ts->by_id[ts->id_count - 1]->first_partition_id < t->first_partition_id);
	ts->by_id[ts->id_count++] = t;
	ts->partitions += (size_t)t->partition_count;
	pthread_rwlock_unlock(&ts->lock);
}

static void take_out(struct topics *ts, struct topic *t)
{
	pthread_rwlock_wrlock(&ts->lock);
	size_t at = place(ts, t->name);
	ts->count--;
	memmove(&ts->by_name[at], &ts->by_name[at + 1], (ts->count - at) * sizeof(*ts->by_name));
	ts->partitions -= (size_t)t->partition_count;
	pthread_rwlock_unlock(&ts->lock);
}

struct partition *topics_partition(struct topics *ts, uint32_t partition_id)
{
	struct partition *p = NULL;

	pthread_rwlock_rdlock(&ts->lock);
	size_t low = 0, high = ts->id_count;
	while (low < high) { /* the first topic that begins above the id */
		size_t middle = (low + high) / 2;
		if (ts->by_id[middle]->first_partition_id <= partition_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0) {
		struct topic *t = ts->by_id[low - 1];
		uint32_t index = partition_id - t->first_partition_id;
		if (index < (uint32_t)t->partition_count && !topic_is_gone(t))
			p = &t->partitions[index];
	}
	pthread_rwlock_unlock(&ts->lock);
	return p;
}

/* --- loading --- */

static enum ks_err load_one(struct broker *b, const struct topic_record *r, struct ks_why *why)
{
	struct topic_config config;
	struct slice left = r->configs, key, value;
	char k[256], v[CONFIG_VALUE_MAX + 1];

	config_init(&config);
	while (left.len && topic_record_config(&left, &key, &value)) {
		if (key.len < sizeof k && value.len < sizeof v) {
			memcpy(k, key.data, key.len);
			memcpy(v, value.data, value.len);
			k[key.len] = v[value.len] = 0;
			if (!config_set(&config, k, v, why))
				continue;
		}
		config_fini(&config);
		return ks_fail(why, ERR_CORRUPTION,
			       "the record of topic \"%.*s\" has the configuration \"%.*s\"",
			       (int)r->name.len, (const char *)r->name.data, (int)key.len,
			       (const char *)key.data);
	}
	insert(&b->topics, topic_new(b, r, &config));
	return ERR_NONE;
}

enum ks_err topics_load(struct broker *b, struct ks_why *why)
{
	struct key_id first = key_topic(0), last = key_topic(UINT32_MAX);
	struct store_iter *it =
		store_iter_new(b->store, CF_TOPICS, KEY_SLICE(first), KEY_SLICE(last));
	enum ks_err err = ERR_NONE;

	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct topic_record r;
		if (topic_record_decode(store_iter_key(it), store_iter_value(it), &r))
			err = load_one(b, &r, why);
		else
			err = ks_fail(why, ERR_CORRUPTION, "a topic's record is malformed");
	}
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

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

/* Everything about a spec that does not depend on what exists. config: out, initialised on success.
 */
static enum ks_err check_spec(const struct topic_spec *spec, struct topic_config *config,
			      struct ks_why *why)
{
	enum ks_err err = check_name(spec->name, why);

	if (err)
		return err;
	if (spec->partitions > BROKER_PARTITIONS_MAX)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "topic \"%s\": %d partitions are over the limit of %d", spec->name,
			       spec->partitions, BROKER_PARTITIONS_MAX);
	config_init(config);
	for (size_t i = 0; i < spec->config_count && !err; i++)
		err = config_set(config, spec->configs[i].key, spec->configs[i].value, why);
	if (err)
		config_fini(config);
	return err;
}

static int32_t wanted_partitions(struct broker *b, const struct topic_spec *spec)
{
	return spec->partitions > 0 ? spec->partitions : b->options.default_partitions;
}

static enum ks_err check_room(struct broker *b, const struct topic_spec *spec, struct ks_why *why)
{
	size_t wanted = (size_t)wanted_partitions(b, spec);

	pthread_rwlock_rdlock(&b->topics.lock);
	bool exists = find(&b->topics, spec->name);
	size_t have = b->topics.partitions;
	pthread_rwlock_unlock(&b->topics.lock);
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
	struct topic_config config; /* taken by publish */
	struct topic_record record;
	struct ids ids; /* after it */
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

static enum ks_err create_apply(struct call *call, struct group *g)
{
	struct create *c = (struct create *)call;
	struct broker *b = call->broker;
	enum ks_err err = check_room(b, c->spec, call->why);

	if (err)
		return err;
	uint32_t partitions = (uint32_t)wanted_partitions(b, c->spec);
	if (b->ids.topic == UINT32_MAX || b->ids.partition > UINT32_MAX - 1 - partitions)
		return ks_fail(call->why, ERR_INVALID_PARTITIONS,
			       "all partition numbers are used up");
	c->record = (struct topic_record){
		.topic_id = b->ids.topic,
		.first_partition_id = b->ids.partition,
		.partition_count = partitions,
		.is_internal = c->spec->is_internal,
		.created_ms = g->now_ms,
		.name = slice_str(c->spec->name),
	};
	c->ids = b->ids;
	c->ids.topic++;
	c->ids.partition += partitions;
	struct value_ids ids = value_ids(&c->ids);
	store_put(g->write, CF_META, key_ids, KEY_SLICE(ids));
	put_topic(g, &c->record, &c->config);
	return ERR_NONE;
}

static void create_publish(struct call *call)
{
	struct create *c = (struct create *)call;
	struct broker *b = call->broker;

	b->ids = c->ids;
	insert(&b->topics, topic_new(b, &c->record, &c->config));
	c->config = (struct topic_config){0};
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
	};
	enum ks_err err = check_spec(spec, &c.config, why);

	if (err)
		return err;
	err = shard_call(b->shard, &c.call);
	config_fini(&c.config);
	return err;
}

enum ks_err broker_topic_validate(struct broker *b, const struct topic_spec *spec,
				  struct ks_why *why)
{
	struct topic_config config;
	enum ks_err err = check_spec(spec, &config, why);

	if (err)
		return err;
	config_fini(&config);
	return check_room(b, spec, why);
}

/* --- deleting --- */

struct delete
{
	struct call call;
	const char *name;
	struct topic *topic;
};

/* The partitions of a topic are neighbours: one range in each column family, however many they are. */
static void delete_logs(struct group *g, const struct topic *t)
{
	uint32_t first = t->first_partition_id, after = first + (uint32_t)t->partition_count;
	struct key_log log_from = key_log(first, 0), log_to = key_log(after, 0);
	struct key_index from = key_index(first, INT64_MIN, 0), to = key_index(after, INT64_MIN, 0);
	struct key_id start_from = key_log_start(first), start_to = key_log_start(after);

	store_delete_range(g->write, CF_LOG, KEY_SLICE(log_from), KEY_SLICE(log_to));
	store_delete_range(g->write, CF_INDEX, KEY_SLICE(from), KEY_SLICE(to));
	store_delete_range(g->write, CF_TOPICS, KEY_SLICE(start_from), KEY_SLICE(start_to));
}

static enum ks_err topic_not_found(struct broker *b, const char *name, struct ks_why *why)
{
	char *near = broker_topic_suggest(b, name);

	if (near)
		ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
			"there is no topic \"%s\"; did you mean \"%s\"?", name, near);
	else
		ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "there is no topic \"%s\"", name);
	free(near);
	return ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static enum ks_err delete_apply(struct call *call, struct group *g)
{
	struct delete *d = (struct delete *)call;
	struct broker *b = call->broker;

	d->topic = broker_topic_find(b, d->name);
	if (!d->topic)
		return topic_not_found(b, d->name, call->why);
	enum ks_err err =
		offsets_delete_partitions(b->store, g->write, d->topic->first_partition_id,
					  (uint32_t)d->topic->partition_count, call->why);
	if (err)
		return err;
	struct key_id key = key_topic(d->topic->id);
	store_delete(g->write, CF_TOPICS, KEY_SLICE(key));
	delete_logs(g, d->topic);
	atomic_store_explicit(&d->topic->is_gone, true, memory_order_release);
	return ERR_NONE;
}

static void delete_publish(struct call *call)
{
	struct delete *d = (struct delete *)call;

	take_out(&call->broker->topics, d->topic);
	for (int32_t i = 0; i < d->topic->partition_count; i++)
		partition_wake(&d->topic->partitions[i]);
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

/* --- altering --- */

struct alter {
	struct call call;
	const char *name;
	const struct config_entry *configs;
	size_t count;
	struct topic *topic;
	struct topic_config config; /* swapped with the topic's by publish */
};

static enum ks_err alter_apply(struct call *call, struct group *g)
{
	struct alter *a = (struct alter *)call;
	enum ks_err err = ERR_NONE;

	a->topic = broker_topic_find(call->broker, a->name);
	if (!a->topic)
		return topic_not_found(call->broker, a->name, call->why);
	config_copy(&a->config, &a->topic->config);
	for (size_t i = 0; i < a->count && !err; i++)
		err = config_set(&a->config, a->configs[i].key, a->configs[i].value, call->why);
	if (err)
		return err;
	struct topic_record r = {
		.topic_id = a->topic->id,
		.first_partition_id = a->topic->first_partition_id,
		.partition_count = (uint32_t)a->topic->partition_count,
		.is_internal = a->topic->is_internal,
		.created_ms = a->topic->created_ms,
		.name = slice_str(a->topic->name),
	};
	put_topic(g, &r, &a->config);
	return ERR_NONE;
}

static void alter_publish(struct call *call)
{
	struct alter *a = (struct alter *)call;
	struct topic_config old = a->topic->config;

	pthread_mutex_lock(&a->topic->mtx);
	a->topic->config = a->config;
	pthread_mutex_unlock(&a->topic->mtx);
	a->config = old;
}

enum ks_err broker_topic_alter(struct broker *b, const char *name,
			       const struct config_entry *configs, size_t count, struct ks_why *why)
{
	struct alter a = {
		.call = {.apply = alter_apply,
			 .publish = alter_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.name = name,
		.configs = configs,
		.count = count,
	};
	enum ks_err err = shard_call(b->shard, &a.call);
	config_fini(&a.config);
	return err;
}

/* --- finding --- */

struct topic *broker_topic_find(struct broker *b, const char *name)
{
	pthread_rwlock_rdlock(&b->topics.lock);
	struct topic *t = find(&b->topics, name);
	pthread_rwlock_unlock(&b->topics.lock);
	return t;
}

struct topic *broker_topic_find_or_create(struct broker *b, const char *name, struct ks_why *why)
{
	struct topic *t = broker_topic_find(b, name);

	if (t)
		return t;
	if (!b->options.auto_create_topics) {
		topic_not_found(b, name, why);
		return NULL;
	}
	enum ks_err err = broker_topic_create(b, &(struct topic_spec){.name = name}, why);
	if (err && err != ERR_TOPIC_ALREADY_EXISTS)
		return NULL;
	return broker_topic_find(b, name);
}

struct topic **broker_topics(struct broker *b, size_t *count)
{
	pthread_rwlock_rdlock(&b->topics.lock);
	size_t n = b->topics.count;
	struct topic **all = xmalloc(n * sizeof(*all));
	if (n)
		memcpy(all, b->topics.by_name, n * sizeof(*all));
	pthread_rwlock_unlock(&b->topics.lock);
	*count = n;
	return all;
}

char *broker_topic_suggest(struct broker *b, const char *name)
{
	size_t count;
	struct topic **all = broker_topics(b, &count);
	const char **names = xmalloc(count * sizeof(*names));

	for (size_t i = 0; i < count; i++)
		names[i] = all[i]->name;
	const char *near = suggest(name, names, count);
	char *copy = near ? xstrdup(near) : NULL;
	free(names);
	free(all);
	return copy;
}

const char *topic_name(const struct topic *t)
{
	return t->name;
}

uint32_t topic_id(const struct topic *t)
{
	return t->id;
}

bool topic_is_internal(const struct topic *t)
{
	return t->is_internal;
}

int32_t topic_partition_count(const struct topic *t)
{
	return t->partition_count;
}

struct partition *topic_partition(struct topic *t, int32_t index)
{
	assert(index >= 0 && index < t->partition_count);
	return &t->partitions[index];
}

struct topic_config_row *topic_configs(struct topic *t, size_t *count)
{
	struct topic_config_row *table = xcalloc(CONFIG_KEYS, sizeof *table);

	pthread_mutex_lock(&t->mtx);
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const char *value = config_value(&t->config, i);
		table[i].key = config_key(i);
		table[i].is_default = !t->config.set[i];
		memcpy(table[i].value, value, strlen(value) + 1);
	}
	pthread_mutex_unlock(&t->mtx);
	*count = CONFIG_KEYS;
	return table;
}

struct topic_retention topic_retention(struct topic *t)
{
	pthread_mutex_lock(&t->mtx);
	struct topic_retention r = {
		.retention_ms = t->config.retention_ms,
		.retention_bytes = t->config.retention_bytes,
		.is_deleted_by_age = t->config.is_deleted_by_age,
	};
	pthread_mutex_unlock(&t->mtx);
	return r;
}

/* topic.c - see topic.h; and what broker.h has for looking at topics. Changing them:
 * topic_change.c. */
#include "broker/topic.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/suggest.h"
#include "broker/core.h"

/* --- the table --- */

void topics_init(struct topics *ts)
{
	*ts = (struct topics){0};
	pthread_rwlock_init(&ts->lock, NULL);
}

static void topic_free(struct topic *t)
{
	for (size_t i = 0; i < t->part_count; i++) {
		for (uint32_t j = 0; j < t->parts[i].extent.count; j++)
			partition_fini(&t->parts[i].partitions[j]);
		free(t->parts[i].partitions);
	}
	for (size_t i = 0; i < t->outgrown_count; i++)
		free(t->outgrown[i]);
	free(atomic_load(&t->slots));
	free(t->parts);
	config_fini(&t->config);
	pthread_mutex_destroy(&t->mtx);
	free(t->name);
	free(t);
}

void topics_fini(struct topics *ts)
{
	for (size_t i = 0; i < ts->all_count; i++)
		topic_free(ts->all[i]);
	free(ts->all);
	free(ts->ranges);
	free(ts->by_name);
	free(ts->by_uuid);
	pthread_rwlock_destroy(&ts->lock);
}

/* Slots for count partitions. Readers that have the old array go on with it. */
static struct partition **slots_reserve(struct topic *t, size_t count)
{
	struct partition **slots = atomic_load(&t->slots);
	size_t used = (size_t)atomic_load(&t->partition_count), cap = t->slot_cap;

	if (count <= cap)
		return slots;
	while (cap < count)
		cap = cap ? 2 * cap : count;
	struct partition **grown = xmalloc(cap * sizeof(*grown));
	if (used)
		memcpy(grown, slots, used * sizeof(*grown));
	if (slots) {
		assert(t->outgrown_count < sizeof t->outgrown / sizeof *t->outgrown);
		t->outgrown[t->outgrown_count++] = slots;
	}
	t->slot_cap = cap;
	atomic_store_explicit(&t->slots, grown, memory_order_release);
	return grown;
}

static void topic_add_part(struct topic *t, const struct extent *e)
{
	int32_t first = atomic_load(&t->partition_count);
	struct partition **slots = slots_reserve(t, (size_t)first + e->count);
	struct partition *partitions = xcalloc(e->count, sizeof *partitions);

	for (uint32_t i = 0; i < e->count; i++) {
		partition_init(&partitions[i], t, e->first_id + i, first + (int32_t)i);
		slots[(uint32_t)first + i] = &partitions[i];
	}
	t->parts = xrealloc(t->parts, (t->part_count + 1) * sizeof *t->parts);
	t->parts[t->part_count++] = (struct topic_part){*e, first, partitions};
	atomic_store_explicit(&t->partition_count, first + (int32_t)e->count, memory_order_release);
}

void topic_set_config(struct topic *t, struct topic_config *config)
{
	pthread_mutex_lock(&t->mtx);
	struct topic_config old = t->config;
	t->config = *config;
	pthread_mutex_unlock(&t->mtx);
	*config = old;

	const struct topic_config *c = &t->config;
	/* The old name counts where the new one says nothing. */
	int64_t before = c->timestamp_before_max_ms < INT64_MAX ? c->timestamp_before_max_ms
								: c->timestamp_difference_max_ms;
	atomic_store(&t->timestamp_before_max_ms, before);
	atomic_store(&t->timestamp_after_max_ms, c->timestamp_after_max_ms);
	atomic_store(&t->max_message_bytes, c->max_message_bytes);
	atomic_store(&t->min_insync_replicas, c->min_insync_replicas);
	atomic_store(&t->is_append_time, c->is_append_time);
	atomic_store(&t->is_compacted, c->is_compacted);
	atomic_store(&t->codec, c->is_recompressed ? (int)c->codec : -1);
}

struct topic *topic_new(struct broker *b, const struct topic_record *r, struct topic_config *config)
{
	struct topic *t = xcalloc(1, sizeof *t);

	t->broker = b;
	t->name = xmalloc(r->name.len + 1);
	memcpy(t->name, r->name.data, r->name.len);
	t->name[r->name.len] = 0;
	t->id = r->topic_id;
	memcpy(t->uuid.bytes, r->uuid, sizeof t->uuid.bytes);
	t->is_internal = r->is_internal;
	t->created_ms = r->created_ms;
	pthread_mutex_init(&t->mtx, NULL);
	topic_set_config(t, config);
	for (size_t i = 0; i < extent_count(r->extents); i++) {
		struct extent e = extent_at(r->extents, i);
		topic_add_part(t, &e);
	}
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

/* Under lock. NULL: none. */
static struct topic *find(const struct topics *ts, const char *name)
{
	size_t at = place(ts, name);
	return at < ts->count && strcmp(ts->by_name[at]->name, name) == 0 ? ts->by_name[at] : NULL;
}

/* Under lock, as place. */
static size_t place_uuid(const struct topics *ts, const struct topic_uuid *uuid)
{
	size_t low = 0, high = ts->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (memcmp(&ts->by_uuid[middle]->uuid, uuid, sizeof *uuid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Under lock. Ids only count up, so a new range goes to the end; at opening, topics that grew come
 * in another order. */
static void insert_range(struct topics *ts, const struct id_range *r)
{
	if (ts->range_count == ts->range_cap) {
		ts->range_cap = ts->range_cap ? 2 * ts->range_cap : 16;
		ts->ranges = xrealloc(ts->ranges, ts->range_cap * sizeof *ts->ranges);
	}
	size_t at = ts->range_count++;
	for (; at > 0 && ts->ranges[at - 1].extent.first_id > r->extent.first_id; at--)
		ts->ranges[at] = ts->ranges[at - 1];
	ts->ranges[at] = *r;
}

static void insert_part(struct topics *ts, struct topic *t, const struct topic_part *part)
{
	insert_range(ts, &(struct id_range){part->extent, t, part->first_index});
	ts->partitions += part->extent.count;
}

static void insert_at(struct topic **list, size_t count, size_t at, struct topic *t)
{
	memmove(&list[at + 1], &list[at], (count - at) * sizeof(*list));
	list[at] = t;
}

static void remove_at(struct topic **list, size_t count, size_t at)
{
	memmove(&list[at], &list[at + 1], (count - 1 - at) * sizeof(*list));
}

void topics_insert(struct topics *ts, struct topic *t)
{
	pthread_rwlock_wrlock(&ts->lock);
	if (ts->count == ts->cap) {
		ts->cap = ts->cap ? 2 * ts->cap : 16;
		ts->by_name = xrealloc(ts->by_name, ts->cap * sizeof(*ts->by_name));
		ts->by_uuid = xrealloc(ts->by_uuid, ts->cap * sizeof(*ts->by_uuid));
	}
	if (ts->all_count == ts->all_cap) {
		ts->all_cap = ts->all_cap ? 2 * ts->all_cap : 16;
		ts->all = xrealloc(ts->all, ts->all_cap * sizeof(*ts->all));
	}
	insert_at(ts->by_name, ts->count, place(ts, t->name), t);
	insert_at(ts->by_uuid, ts->count, place_uuid(ts, &t->uuid), t);
	ts->count++;
	ts->all[ts->all_count++] = t;
	for (size_t i = 0; i < t->part_count; i++)
		insert_part(ts, t, &t->parts[i]);
	ts->version++;
	pthread_rwlock_unlock(&ts->lock);
}

void topics_grow(struct topics *ts, struct topic *t, const struct extent *e)
{
	topic_add_part(t, e);
	pthread_rwlock_wrlock(&ts->lock);
	insert_part(ts, t, &t->parts[t->part_count - 1]);
	ts->version++;
	pthread_rwlock_unlock(&ts->lock);
}

void topics_take_out(struct topics *ts, struct topic *t)
{
	pthread_rwlock_wrlock(&ts->lock);
	remove_at(ts->by_name, ts->count, place(ts, t->name));
	remove_at(ts->by_uuid, ts->count, place_uuid(ts, &t->uuid));
	ts->count--;
	ts->partitions -= (size_t)topic_partition_count(t);
	ts->version++;
	pthread_rwlock_unlock(&ts->lock);
}

void topics_count(struct topics *ts, const char *name, bool *exists, size_t *partitions)
{
	pthread_rwlock_rdlock(&ts->lock);
	*exists = find(ts, name);
	*partitions = ts->partitions;
	pthread_rwlock_unlock(&ts->lock);
}

struct partition *topics_partition(struct topics *ts, uint32_t partition_id)
{
	struct partition *p = NULL;

	pthread_rwlock_rdlock(&ts->lock);
	size_t low = 0, high = ts->range_count;
	while (low < high) { /* the first range that begins above the id */
		size_t middle = (low + high) / 2;
		if (ts->ranges[middle].extent.first_id <= partition_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0) {
		const struct id_range *r = &ts->ranges[low - 1];
		uint32_t n = partition_id - r->extent.first_id;
		if (n < r->extent.count && !topic_is_gone(r->topic))
			p = topic_partition(r->topic, r->first_index + (int32_t)n);
	}
	pthread_rwlock_unlock(&ts->lock);
	return p;
}

/* --- loading --- */

struct topic_uuid topic_uuid_new(void)
{
	struct topic_uuid u;

	/* Written in base64, as Kafka's tools do, none begins with '-', which looks like an
	 * option. */
	do
		random_bytes(u.bytes, sizeof u.bytes);
	while (u.bytes[0] >> 2 == 62);
	u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x40); /* version 4 */
	u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
	return u;
}

static enum ks_err load_one(struct broker *b, const struct topic_record *r, struct ks_why *why)
{
	struct topic_config config;
	struct slice left = r->configs, key, value;
	char k[256], v[CONFIG_VALUE_MAX + 1];

	config_init(&config, &b->topic_defaults);
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
	struct topic *t = topic_new(b, r, &config);
	if (!r->has_uuid) {
		t->uuid = topic_uuid_new();
		t->lacks_record = true;
	}
	topics_insert(&b->topics, t);
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

/* --- finding --- */

struct topic *broker_topic_find(struct broker *b, const char *name)
{
	pthread_rwlock_rdlock(&b->topics.lock);
	struct topic *t = find(&b->topics, name);
	pthread_rwlock_unlock(&b->topics.lock);
	return t;
}

struct topic *broker_topic_find_uuid(struct broker *b, const struct topic_uuid *uuid)
{
	struct topics *ts = &b->topics;

	pthread_rwlock_rdlock(&ts->lock);
	size_t at = place_uuid(ts, uuid);
	struct topic *t = at < ts->count ? ts->by_uuid[at] : NULL;
	if (t && memcmp(&t->uuid, uuid, sizeof *uuid) != 0)
		t = NULL;
	pthread_rwlock_unlock(&ts->lock);
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

enum ks_err topic_not_found(struct broker *b, const char *name, struct ks_why *why)
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
	return atomic_load_explicit(&t->partition_count, memory_order_acquire);
}

struct partition *topic_partition(struct topic *t, int32_t index)
{
	assert(index >= 0 && index < topic_partition_count(t));
	return atomic_load_explicit(&t->slots, memory_order_acquire)[index];
}

struct topic_uuid topic_uuid(const struct topic *t)
{
	return t->uuid;
}

int32_t topic_max_message_bytes(const struct topic *t)
{
	return atomic_load_explicit(&t->max_message_bytes, memory_order_relaxed);
}

bool topic_is_deleted(const struct topic *t)
{
	return topic_is_gone(t);
}

bool topic_wants_keys(const struct topic *t)
{
	return atomic_load_explicit(&t->is_compacted, memory_order_relaxed);
}

enum batch_timestamp_type topic_timestamp_type(const struct topic *t)
{
	return atomic_load_explicit(&t->is_append_time, memory_order_relaxed)
		       ? BATCH_LOG_APPEND_TIME
		       : BATCH_CREATE_TIME;
}

int64_t topic_timestamp_before_max_ms(const struct topic *t)
{
	return atomic_load_explicit(&t->timestamp_before_max_ms, memory_order_relaxed);
}

int64_t topic_timestamp_after_max_ms(const struct topic *t)
{
	return atomic_load_explicit(&t->timestamp_after_max_ms, memory_order_relaxed);
}

bool topic_codec(const struct topic *t, enum codec *codec)
{
	int c = atomic_load_explicit(&t->codec, memory_order_relaxed);

	if (c >= 0)
		*codec = (enum codec)c;
	return c >= 0;
}

int32_t topic_min_insync_replicas(const struct topic *t)
{
	return atomic_load_explicit(&t->min_insync_replicas, memory_order_relaxed);
}

struct topic_config_row *topic_configs(struct topic *t, size_t *count)
{
	pthread_mutex_lock(&t->mtx);
	struct topic_config_row *rows = config_rows(&t->config, count);
	pthread_mutex_unlock(&t->mtx);
	return rows;
}

struct topic_config_row *broker_configs(struct broker *b, size_t *count)
{
	return config_defaults_rows(&b->topic_defaults, count);
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

struct topic_cleanup topic_cleanup(struct topic *t)
{
	pthread_mutex_lock(&t->mtx);
	struct topic_cleanup c = {
		.segment_ms = t->config.segment_ms,
		.segment_bytes = t->config.segment_bytes,
		.min_lag_ms = t->config.min_compaction_lag_ms,
		.max_lag_ms = t->config.max_compaction_lag_ms,
		.delete_retention_ms = t->config.delete_retention_ms,
		.min_dirty_ratio = t->config.min_dirty_ratio,
	};
	pthread_mutex_unlock(&t->mtx);
	return c;
}

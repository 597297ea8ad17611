/* keys.c - see keys.h and docs/storage.md. */
#include "broker/keys.h"

#include <assert.h>

#include "txn/value.h"

#define VERSION         1 /* of every value here, but: */
#define VERSION_TOPIC   2
#define VERSION_OFFSET  2 /* of a client */
#define VERSION_ABORTED 2 /* 1 had no key by its producer */

enum key_type {
	TYPE_ABORTED = 'a',
	TYPE_BATCH_INDEX = 'b',
	TYPE_CLUSTER_ID = 'c',
	TYPE_IDS = 'i',
	TYPE_CLEANED = 'k',
	TYPE_OFFSET = 'o',
	TYPE_PRODUCER_IDS = 'p',
	TYPE_ABORTED_BY = 'q',
	TYPE_LOG_START = 's',
	TYPE_TOPIC = 't',
	TYPE_BOOT = 'u',
};

#define TOPIC_FLAG_INTERNAL 1

const struct slice key_ids = {(const uint8_t[]){TYPE_IDS}, 1};
const struct slice key_batch_index = {(const uint8_t[]){TYPE_BATCH_INDEX}, 1};
const struct slice key_cluster_id = {(const uint8_t[]){TYPE_CLUSTER_ID}, 1};
const struct slice key_producer_ids = {(const uint8_t[]){TYPE_PRODUCER_IDS}, 1};
const struct slice key_boot = {(const uint8_t[]){TYPE_BOOT}, 1};

struct key_log key_log(uint32_t partition_id, int64_t last_offset)
{
	struct key_log k;
	put_u32be(k.bytes, partition_id);
	put_u64be(k.bytes + 4, (uint64_t)last_offset);
	return k;
}

bool key_log_decode(struct slice key, uint32_t *partition_id, int64_t *last_offset)
{
	if (key.len != KEY_LOG_BYTES)
		return false;
	*partition_id = get_u32be(key.data);
	*last_offset = (int64_t)get_u64be(key.data + 4);
	return *last_offset >= 0;
}

/* The sign bit is turned over, so that -1 sorts before 0. */
static uint64_t order_i64(int64_t v)
{
	return (uint64_t)v ^ (UINT64_C(1) << 63);
}

struct key_index key_index(uint32_t partition_id, int64_t max_timestamp, int64_t last_offset)
{
	struct key_index k;
	put_u32be(k.bytes, partition_id);
	put_u64be(k.bytes + 4, order_i64(max_timestamp));
	put_u64be(k.bytes + 12, (uint64_t)last_offset);
	return k;
}

struct value_index value_index(uint64_t position)
{
	struct value_index v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, position);
	return v;
}

bool index_decode(struct slice key, struct slice value, struct index_entry *e)
{
	if (key.len != KEY_INDEX_BYTES || value.len != VALUE_INDEX_BYTES ||
	    value.data[0] != VERSION)
		return false;
	e->partition_id = get_u32be(key.data);
	e->max_timestamp = (int64_t)order_i64((int64_t)get_u64be(key.data + 4));
	e->last_offset = (int64_t)get_u64be(key.data + 12);
	e->position = get_u64be(value.data + 1);
	return e->last_offset >= 0;
}

static struct key_id key_of_id(enum key_type type, uint32_t id)
{
	struct key_id k;
	k.bytes[0] = (uint8_t)type;
	put_u32be(k.bytes + 1, id);
	return k;
}

static bool key_id_decode(struct slice key, enum key_type type, uint32_t *id)
{
	if (key.len != KEY_ID_BYTES || key.data[0] != type)
		return false;
	*id = get_u32be(key.data + 1);
	return true;
}

struct key_id key_topic(uint32_t topic_id)
{
	return key_of_id(TYPE_TOPIC, topic_id);
}

void extent_append(struct buf *extents, const struct extent *e)
{
	buf_append_u32be(extents, e->first_id);
	buf_append_u32be(extents, e->count);
}

struct extent extent_at(struct slice extents, size_t i)
{
	assert(i < extent_count(extents));
	const uint8_t *at = extents.data + i * EXTENT_BYTES;
	return (struct extent){get_u32be(at), get_u32be(at + 4)};
}

void topic_record_encode(struct buf *value, const struct topic_record *r)
{
	buf_append_u8(value, VERSION_TOPIC);
	buf_append_u8(value, r->is_internal ? TOPIC_FLAG_INTERNAL : 0);
	buf_append_u64be(value, (uint64_t)r->created_ms);
	buf_append(value, r->uuid, TOPIC_UUID_BYTES);
	buf_append_u32be(value, (uint32_t)extent_count(r->extents));
	buf_append(value, r->extents.data, r->extents.len);
	value_append_text(value, r->name);
	buf_append_u16be(value, r->config_count);
	buf_append(value, r->configs.data, r->configs.len);
}

/* Counts the partitions of rising extents; false when they are not. */
static bool count_partitions(struct topic_record *r)
{
	uint64_t count = 0, after = 0;

	for (size_t i = 0; i < extent_count(r->extents); i++) {
		struct extent e = extent_at(r->extents, i);
		if (e.count == 0 || e.first_id < after || e.count > UINT32_MAX - e.first_id)
			return false;
		after = (uint64_t)e.first_id + e.count;
		count += e.count;
	}
	r->partition_count = (uint32_t)count;
	return count > 0 && count <= INT32_MAX;
}

/* What follows the time of creation: version 1 has no uuid and one extent, without a count. */
static void read_extents(struct cursor *c, uint8_t version, struct topic_record *r)
{
	uint32_t count = 1;

	r->has_uuid = version == VERSION_TOPIC;
	memset(r->uuid, 0, TOPIC_UUID_BYTES);
	if (r->has_uuid) {
		const uint8_t *uuid = cursor_take(c, TOPIC_UUID_BYTES);
		if (uuid)
			memcpy(r->uuid, uuid, TOPIC_UUID_BYTES);
		count = cursor_u32(c);
	}
	const uint8_t *extents = cursor_take(c, (size_t)count * EXTENT_BYTES);
	r->extents = extents ? slice_of(extents, (size_t)count * EXTENT_BYTES) : SLICE_NULL;
}

bool topic_record_decode(struct slice key, struct slice value, struct topic_record *r)
{
	struct cursor c = cursor_of(value);
	struct slice k, v;

	if (!key_id_decode(key, TYPE_TOPIC, &r->topic_id))
		return false;
	uint8_t version = cursor_u8(&c);
	if (version != VERSION && version != VERSION_TOPIC)
		return false;
	uint8_t flags = cursor_u8(&c);
	r->is_internal = flags & TOPIC_FLAG_INTERNAL;
	r->created_ms = (int64_t)cursor_u64(&c);
	read_extents(&c, version, r);
	r->name = cursor_text(&c);
	r->config_count = cursor_u16(&c);
	r->configs = slice_of(c.p, (size_t)(c.end - c.p));
	if (c.is_bad || (flags & ~TOPIC_FLAG_INTERNAL) || !count_partitions(r))
		return false;
	struct slice left = r->configs;
	for (unsigned i = 0; i < r->config_count; i++)
		if (!topic_record_config(&left, &k, &v))
			return false;
	return left.len == 0;
}

bool topic_record_config(struct slice *configs, struct slice *key, struct slice *value)
{
	struct cursor c = cursor_of(*configs);

	*key = cursor_text(&c);
	*value = cursor_text(&c);
	if (c.is_bad)
		return false;
	*configs = slice_of(c.p, (size_t)(c.end - c.p));
	return true;
}

struct key_id key_log_start(uint32_t partition_id)
{
	return key_of_id(TYPE_LOG_START, partition_id);
}

struct value_log_start value_log_start(const struct log_start *s)
{
	struct value_log_start v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, (uint64_t)s->offset);
	put_u64be(v.bytes + 9, s->position);
	return v;
}

bool log_start_decode(struct slice key, struct slice value, struct log_start *s)
{
	struct cursor c = cursor_of(value);

	if (!key_id_decode(key, TYPE_LOG_START, &s->partition_id) || cursor_u8(&c) != VERSION)
		return false;
	s->offset = (int64_t)cursor_u64(&c);
	s->position = cursor_u64(&c);
	return cursor_is_done(&c) && s->offset >= 0;
}

struct key_id key_cleaned(uint32_t partition_id)
{
	return key_of_id(TYPE_CLEANED, partition_id);
}

struct value_cleaned value_cleaned(const struct cleaned *c)
{
	struct value_cleaned v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, (uint64_t)c->offset);
	put_u64be(v.bytes + 9, (uint64_t)c->max_timestamp);
	put_u64be(v.bytes + 17, (uint64_t)c->holes_below);
	put_u64be(v.bytes + 25, c->position);
	put_u64be(v.bytes + 33, c->shift);
	put_u64be(v.bytes + 41, c->removed_clean);
	put_u64be(v.bytes + 49, c->removed_dirty);
	return v;
}

bool cleaned_decode(struct slice key, struct slice value, struct cleaned *out)
{
	struct cursor c = cursor_of(value);

	if (!key_id_decode(key, TYPE_CLEANED, &out->partition_id) || cursor_u8(&c) != VERSION)
		return false;
	out->offset = (int64_t)cursor_u64(&c);
	out->max_timestamp = (int64_t)cursor_u64(&c);
	out->holes_below = (int64_t)cursor_u64(&c);
	out->position = cursor_u64(&c);
	out->shift = cursor_u64(&c);
	out->removed_clean = cursor_u64(&c);
	out->removed_dirty = cursor_u64(&c);
	return cursor_is_done(&c) && out->offset >= 0 && out->holes_below >= out->offset;
}

void key_offset(struct buf *key, struct slice group, uint32_t partition_id)
{
	assert(group.len > 0 && group.len <= UINT8_MAX);
	buf_append_u8(key, TYPE_OFFSET);
	buf_append_u8(key, (uint8_t)group.len);
	buf_append(key, group.data, group.len);
	buf_append_u32be(key, partition_id);
}

struct value_offset value_offset(int64_t offset, int64_t commit_time_ms)
{
	struct value_offset v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, (uint64_t)offset);
	put_u64be(v.bytes + 9, (uint64_t)commit_time_ms);
	return v;
}

bool key_offset_decode(struct slice key, struct slice *group, uint32_t *partition_id)
{
	struct cursor c = cursor_of(key);

	if (cursor_u8(&c) != TYPE_OFFSET)
		return false;
	size_t len = cursor_u8(&c);
	const uint8_t *name = cursor_take(&c, len);
	*partition_id = cursor_u32(&c);
	if (!cursor_is_done(&c) || len == 0)
		return false;
	*group = slice_of(name, len);
	return true;
}

void stored_offset_encode(struct buf *value, const struct stored_offset *o)
{
	buf_append_u8(value, VERSION_OFFSET);
	buf_append_u64be(value, (uint64_t)o->offset);
	buf_append_u64be(value, (uint64_t)o->commit_time_ms);
	buf_append_u64be(value, (uint64_t)o->expire_time_ms);
	buf_append_u32be(value, (uint32_t)o->leader_epoch);
	value_append_text(value, o->metadata);
}

bool stored_offset_decode(struct slice value, struct stored_offset *o)
{
	struct cursor c = cursor_of(value);
	uint8_t version = cursor_u8(&c);

	if (version != VERSION && version != VERSION_OFFSET)
		return false;
	o->offset = (int64_t)cursor_u64(&c);
	o->commit_time_ms = (int64_t)cursor_u64(&c);
	o->expire_time_ms = o->leader_epoch = -1;
	o->metadata = slice_str("");
	if (version == VERSION)
		return cursor_is_done(&c) && o->offset >= 0;
	o->expire_time_ms = (int64_t)cursor_u64(&c);
	o->leader_epoch = (int32_t)cursor_u32(&c);
	o->metadata = cursor_text(&c);
	return cursor_is_done(&c);
}

struct key_aborted key_aborted(uint32_t partition_id, int64_t marker_offset)
{
	struct key_aborted k;
	k.bytes[0] = TYPE_ABORTED;
	put_u32be(k.bytes + 1, partition_id);
	put_u64be(k.bytes + 5, (uint64_t)marker_offset);
	return k;
}

struct value_aborted value_aborted(const struct aborted *a)
{
	struct value_aborted v;
	v.bytes[0] = VERSION_ABORTED;
	put_u64be(v.bytes + 1, (uint64_t)a->producer_id);
	put_u64be(v.bytes + 9, (uint64_t)a->first_offset);
	put_u64be(v.bytes + 17, (uint64_t)a->stable_offset);
	return v;
}

static bool aborted_decode_value(struct slice value, struct aborted *a)
{
	if (value.len != VALUE_ABORTED_BYTES || value.data[0] != VERSION_ABORTED)
		return false;
	a->producer_id = (int64_t)get_u64be(value.data + 1);
	a->first_offset = (int64_t)get_u64be(value.data + 9);
	a->stable_offset = (int64_t)get_u64be(value.data + 17);
	return a->producer_id >= 0 && a->first_offset >= 0 && a->first_offset < a->marker_offset &&
	       a->stable_offset >= 0;
}

bool aborted_decode(struct slice key, struct slice value, struct aborted *a)
{
	if (key.len != KEY_ABORTED_BYTES || key.data[0] != TYPE_ABORTED)
		return false;
	*a = (struct aborted){
		.partition_id = get_u32be(key.data + 1),
		.marker_offset = (int64_t)get_u64be(key.data + 5),
	};
	return aborted_decode_value(value, a);
}

struct key_aborted_by key_aborted_by(uint32_t partition_id, int64_t producer_id,
				     int64_t marker_offset)
{
	struct key_aborted_by k;
	k.bytes[0] = TYPE_ABORTED_BY;
	put_u32be(k.bytes + 1, partition_id);
	put_u64be(k.bytes + 5, (uint64_t)producer_id);
	put_u64be(k.bytes + 13, (uint64_t)marker_offset);
	return k;
}

bool aborted_by_decode(struct slice key, struct slice value, struct aborted *a)
{
	if (key.len != KEY_ABORTED_BY_BYTES || key.data[0] != TYPE_ABORTED_BY)
		return false;
	*a = (struct aborted){
		.partition_id = get_u32be(key.data + 1),
		.marker_offset = (int64_t)get_u64be(key.data + 13),
	};
	return aborted_decode_value(value, a) && a->producer_id == (int64_t)get_u64be(key.data + 5);
}

void key_pending(struct buf *key, int64_t producer_id, struct slice group, uint32_t partition_id)
{
	assert(group.len > 0 && group.len <= UINT8_MAX);
	buf_append_u8(key, KEY_TYPE_PENDING);
	buf_append_u64be(key, (uint64_t)producer_id);
	buf_append_u8(key, (uint8_t)group.len);
	buf_append(key, group.data, group.len);
	buf_append_u32be(key, partition_id);
}

bool key_pending_decode(struct slice key, int64_t *producer_id, struct slice *group,
			uint32_t *partition_id)
{
	struct cursor c = cursor_of(key);

	if (cursor_u8(&c) != KEY_TYPE_PENDING)
		return false;
	*producer_id = (int64_t)cursor_u64(&c);
	size_t len = cursor_u8(&c);
	const uint8_t *name = cursor_take(&c, len);
	*partition_id = cursor_u32(&c);
	if (!cursor_is_done(&c) || len == 0 || *producer_id < 0)
		return false;
	*group = slice_of(name, len);
	return true;
}

#define PENDING_HEAD_BYTES 9

void pending_encode(struct buf *value, uint64_t order, const struct stored_offset *o)
{
	buf_append_u8(value, VERSION);
	buf_append_u64be(value, order);
	stored_offset_encode(value, o);
}

bool pending_decode(struct slice value, uint64_t *order, struct stored_offset *o)
{
	if (value.len < PENDING_HEAD_BYTES || value.data[0] != VERSION)
		return false;
	*order = get_u64be(value.data + 1);
	return stored_offset_decode(
		slice_of(value.data + PENDING_HEAD_BYTES, value.len - PENDING_HEAD_BYTES), o);
}

struct value_ids value_ids(const struct ids *ids)
{
	struct value_ids v;
	v.bytes[0] = VERSION;
	put_u32be(v.bytes + 1, ids->topic);
	put_u32be(v.bytes + 5, ids->partition);
	put_u32be(v.bytes + 9, ids->job);
	return v;
}

bool ids_decode(struct slice value, struct ids *ids)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != VERSION)
		return false;
	ids->topic = cursor_u32(&c);
	ids->partition = cursor_u32(&c);
	ids->job = cursor_u32(&c);
	return cursor_is_done(&c);
}

struct value_batch_index value_batch_index(uint64_t index, uint32_t leader_epoch)
{
	struct value_batch_index v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, index);
	put_u32be(v.bytes + 9, leader_epoch);
	return v;
}

bool batch_index_decode(struct slice value, uint64_t *index, uint32_t *leader_epoch)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != VERSION)
		return false;
	*index = cursor_u64(&c);
	*leader_epoch = cursor_u32(&c);
	return cursor_is_done(&c);
}

struct value_producer_ids value_producer_ids(int64_t next)
{
	struct value_producer_ids v;
	v.bytes[0] = VERSION;
	put_u64be(v.bytes + 1, (uint64_t)next);
	return v;
}

bool producer_ids_decode(struct slice value, int64_t *next)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != VERSION)
		return false;
	*next = (int64_t)cursor_u64(&c);
	return cursor_is_done(&c) && *next >= 0;
}

struct value_boot value_boot(const uint8_t id[BOOT_ID_BYTES])
{
	struct value_boot v;
	v.bytes[0] = VERSION;
	memcpy(v.bytes + 1, id, BOOT_ID_BYTES);
	return v;
}

bool boot_decode(struct slice value, uint8_t id[BOOT_ID_BYTES])
{
	if (value.len != VALUE_BOOT_BYTES || value.data[0] != VERSION)
		return false;
	memcpy(id, value.data + 1, BOOT_ID_BYTES);
	return true;
}

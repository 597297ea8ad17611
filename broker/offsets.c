/* offsets.c - the offsets that groups have committed.
 *
 * They live in CF_OFFSETS and nowhere else: a read asks the store, which shows what is durable.
 * The keys of one group are neighbours, by partition number.
 */
#include "broker/offsets.h"

#include <stdlib.h>
#include <string.h>

#include "broker/coordinator_impl.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "broker/transactions_offsets.h"
#include "groups/record.h"

enum ks_err group_name_check(const char *group, struct ks_why *why)
{
	size_t len = strlen(group);

	if (len == 0 || len > BROKER_GROUP_NAME_MAX)
		return ks_fail(why, ERR_INVALID_GROUP_ID,
			       "a group's name has 1 to %d bytes, this one %zu",
			       BROKER_GROUP_NAME_MAX, len);
	return ERR_NONE;
}

void offset_put(struct coordinated *x, const struct partition *p, int64_t offset, struct group *g)
{
	struct value_offset value = value_offset(offset, g->now_ms);

	buf_clear(&g->key);
	key_offset(&g->key, x->name, p->id);
	store_put(g->write, CF_OFFSETS, buf_slice(&g->key), KEY_SLICE(value));
	pending_offsets_overtake(x, p->id, g);
}

void offset_put_stored(struct store_write *w, struct buf *scratch, struct slice group,
		       uint32_t partition_id, const struct stored_offset *o)
{
	buf_clear(scratch);
	key_offset(scratch, group, partition_id);
	size_t key_len = scratch->len;
	stored_offset_encode(scratch, o);
	store_put(w, CF_OFFSETS, slice_of(scratch->data, key_len),
		  slice_of(scratch->data + key_len, scratch->len - key_len));
}

void offset_delete(struct store_write *w, struct buf *scratch, struct slice group,
		   uint32_t partition_id)
{
	buf_clear(scratch);
	key_offset(scratch, group, partition_id);
	store_delete(w, CF_OFFSETS, buf_slice(scratch));
}

/* A range, for it reaches what the same write put before. The last number is never used. */
void offsets_delete_group(struct store_write *w, struct slice group)
{
	struct buf from = {0}, to = {0};

	key_offset(&from, group, 0);
	key_offset(&to, group, UINT32_MAX);
	store_delete_range(w, CF_OFFSETS, buf_slice(&from), buf_slice(&to));
	buf_fini(&from);
	buf_fini(&to);
}

enum ks_err offset_read(struct store *s, struct slice group, uint32_t partition_id,
			struct buf *scratch, struct buf *value, struct stored_offset *o)
{
	buf_clear(scratch);
	buf_clear(value);
	key_offset(scratch, group, partition_id);
	enum ks_err err = store_get(s, CF_OFFSETS, buf_slice(scratch), value);
	if (!err && !stored_offset_decode(buf_slice(value), o))
		err = ERR_CORRUPTION;
	return err;
}

struct store_iter *offsets_iter(struct store *s, struct slice group, struct buf bounds[2])
{
	key_offset(&bounds[0], group, 0);
	key_offset(&bounds[1], group, UINT32_MAX);
	return store_iter_new(s, CF_OFFSETS, buf_slice(&bounds[0]), buf_slice(&bounds[1]));
}

/* Moves to the first offset of the next group; a position without offsets of the same one in
 * between. */
static void seek_after_group(struct store_iter *it, struct slice group, struct buf *scratch)
{
	buf_clear(scratch);
	key_offset(scratch, group, UINT32_MAX);
	store_iter_seek(it, buf_slice(scratch));
}

/* Deletes the partitions' offsets of the group on which it stands, and moves to the next one. */
static void delete_of_group(struct store_iter *it, struct store_write *w, uint32_t first_id,
			    uint32_t count)
{
	struct slice found;
	uint32_t id;
	struct buf name = {0}, scratch = {0};

	key_offset_decode(store_iter_key(it), &found, &id);
	buf_append(&name, found.data, found.len);
	struct slice group = buf_slice(&name);
	key_offset(&scratch, group, first_id);
	store_iter_seek(it, buf_slice(&scratch));
	for (; store_iter_valid(it); store_iter_next(it)) {
		if (!key_offset_decode(store_iter_key(it), &found, &id) ||
		    !slice_equal(found, group) || id - first_id >= count)
			break;
		store_delete(w, CF_OFFSETS, store_iter_key(it));
	}
	seek_after_group(it, group, &scratch);
	buf_fini(&name);
	buf_fini(&scratch);
}

enum ks_err offsets_delete_partitions(struct store *s, struct store_write *w, uint32_t first_id,
				      uint32_t count, struct ks_why *why)
{
	struct store_iter *it = store_iter_new(s, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	struct slice group;
	uint32_t id;

	store_iter_first(it);
	while (store_iter_valid(it) && key_offset_decode(store_iter_key(it), &group, &id))
		delete_of_group(it, w, first_id, count);
	enum ks_err err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

/* --- broker.h --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the group on which it stands has an offset of a topic that is still there; moves to the
 * next group. */
static bool skip_group(struct broker *b, struct store_iter *it, struct slice group,
		       struct buf *scratch)
{
	struct slice found;
	uint32_t id;
	bool is_alive = false;

	for (; !is_alive && store_iter_valid(it); store_iter_next(it)) {
		if (!key_offset_decode(store_iter_key(it), &found, &id) ||
		    !slice_equal(found, group))
			return false;
		is_alive = topics_partition(&b->topics, id);
	}
	if (is_alive)
		seek_after_group(it, group, scratch);
	return is_alive;
}

struct name_list {
	char **v;
	size_t count, cap;
};

static void list_name(struct name_list *l, struct slice name)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->count++] = slice_strdup(name);
}

static void list_those_with_offsets(struct broker *b, struct name_list *l)
{
	struct store_iter *it = store_iter_new(b->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	struct slice found;
	uint32_t id;
	struct buf name = {0}, scratch = {0};

	store_iter_first(it);
	while (store_iter_valid(it) && key_offset_decode(store_iter_key(it), &found, &id)) {
		buf_clear(&name);
		buf_append(&name, found.data, found.len);
		if (skip_group(b, it, buf_slice(&name), &scratch))
			list_name(l, buf_slice(&name));
	}
	store_iter_free(it);
	buf_fini(&name);
	buf_fini(&scratch);
}

/* Records of members follow those of the groups. */
static void list_those_with_records(struct broker *b, struct name_list *l)
{
	struct store_iter *it = store_iter_new(b->store, CF_GROUPS, SLICE_NULL, SLICE_NULL);
	enum group_record_type type;
	struct slice group, member;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it)) {
		if (!group_record_key_decode(store_iter_key(it), &type, &group, &member) ||
		    type == GROUP_RECORD_MEMBER)
			break;
		list_name(l, group);
	}
	store_iter_free(it);
}

char **broker_groups(struct broker *b, size_t *count)
{
	struct name_list l = {0};
	size_t kept = 0;

	list_those_with_offsets(b, &l);
	list_those_with_records(b, &l);
	if (l.count)
		qsort(l.v, l.count, sizeof(*l.v), compare_names);
	for (size_t i = 0; i < l.count; i++) {
		if (kept > 0 && strcmp(l.v[kept - 1], l.v[i]) == 0)
			free(l.v[i]);
		else
			l.v[kept++] = l.v[i];
	}
	*count = kept;
	return l.v;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct partition *p = ((const struct group_offset *)a)->partition;
	const struct partition *q = ((const struct group_offset *)b)->partition;
	int order = strcmp(p->topic->name, q->topic->name);

	return order ? order : (p->index > q->index) - (p->index < q->index);
}

enum ks_err broker_group_offsets(struct broker *b, const char *group, struct group_offset **out,
				 size_t *count)
{
	enum ks_err err = group_name_check(group, NULL);
	struct group_offset *all = NULL;
	struct buf bounds[2] = {{0}, {0}};
	size_t n = 0, cap = 0;

	if (err)
		return err;
	struct store_iter *it = offsets_iter(b->store, slice_str(group), bounds);
	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct stored_offset stored;
		struct slice name;
		uint32_t id;
		if (!key_offset_decode(store_iter_key(it), &name, &id) ||
		    !stored_offset_decode(store_iter_value(it), &stored)) {
			err = ERR_CORRUPTION;
			break;
		}
		struct group_offset o = {topics_partition(&b->topics, id), stored.offset,
					 stored.commit_time_ms};
		if (!o.partition || o.offset < 0)
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			all = xrealloc(all, cap * sizeof *all);
		}
		all[n++] = o;
	}
	if (!err)
		err = store_iter_error(it, NULL);
	store_iter_free(it);
	buf_fini(&bounds[0]);
	buf_fini(&bounds[1]);
	if (!err && n == 0)
		err = ERR_GROUP_ID_NOT_FOUND;
	if (err) {
		free(all);
		return err;
	}
	qsort(all, n, sizeof *all, compare_offsets);
	*out = all;
	*count = n;
	return ERR_NONE;
}

enum ks_err broker_group_offset(struct broker *b, const char *group, struct partition *p,
				int64_t *offset)
{
	enum ks_err err = group_name_check(group, NULL);
	struct buf key = {0}, value = {0};
	struct stored_offset o;

	if (err)
		return err;
	err = offset_read(b->store, slice_str(group), p->id, &key, &value, &o);
	if (!err && o.offset < 0)
		err = ERR_NOT_FOUND;
	if (!err)
		*offset = o.offset;
	buf_fini(&key);
	buf_fini(&value);
	return err;
}

struct group_commit {
	struct call call;
	const char *group;
	const struct group_offset *offsets;
	size_t count;
};

static enum ks_err group_commit_apply(struct call *call, struct group *g)
{
	struct group_commit *c = (struct group_commit *)call;
	enum ks_err err = coordinator_check_idle(call->broker->coordinator, c->group, call->why);

	if (err)
		return err;
	for (size_t i = 0; i < c->count; i++) {
		const struct group_offset *o = &c->offsets[i];
		if (topic_is_gone(o->partition->topic))
			return ks_fail(call->why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
				       "topic \"%s\" was deleted", o->partition->topic->name);
		if (o->offset < 0)
			return ks_fail(call->why, ERR_OFFSET_OUT_OF_RANGE, "an offset is negative");
	}
	if (c->count == 0)
		return ERR_NONE;
	struct coordinated *x = coordinator_note_offsets(call->broker->coordinator, c->group);
	for (size_t i = 0; i < c->count; i++)
		offset_put(x, c->offsets[i].partition, c->offsets[i].offset, g);
	return ERR_NONE;
}

enum ks_err broker_group_commit(struct broker *b, const char *group,
				const struct group_offset *offsets, size_t count,
				struct ks_why *why)
{
	struct group_commit c = {
		.call = {.apply = group_commit_apply, .broker = b, .why = why},
		.group = group,
		.offsets = offsets,
		.count = count,
	};
	enum ks_err err = group_name_check(group, why);
	return err ? err : shard_call(b->shard, &c.call);
}

static enum ks_err group_delete_apply(struct call *call, struct group *g)
{
	struct group_commit *c = (struct group_commit *)call;
	enum ks_err err = coordinator_delete(call->broker->coordinator, slice_str(c->group), g);

	if (err == ERR_GROUP_ID_NOT_FOUND)
		return ks_fail(call->why, err, "no such group");
	if (err)
		return ks_fail(call->why, err, "it has members");
	return ERR_NONE;
}

enum ks_err broker_group_delete(struct broker *b, const char *group, struct ks_why *why)
{
	struct group_commit c = {
		.call = {.apply = group_delete_apply, .broker = b, .why = why},
		.group = group,
	};
	enum ks_err err = group_name_check(group, why);
	return err ? err : shard_call(b->shard, &c.call);
}

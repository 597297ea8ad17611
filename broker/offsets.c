/* offsets.c - the offsets that groups have committed.
 *
 * They live in CF_OFFSETS and nowhere else: a read asks the store, which shows what is durable.
 * The keys of one group are neighbours, by partition number.
 */
#include "broker/offsets.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core.h"
#include "broker/shard.h"

enum ks_err group_name_check(const char *group, struct ks_why *why)
{
	size_t len = strlen(group);

	if (len == 0 || len > BROKER_GROUP_NAME_MAX)
		return ks_fail(why, ERR_INVALID_GROUP_ID,
			       "a group's name has 1 to %d bytes, this one %zu",
			       BROKER_GROUP_NAME_MAX, len);
	return ERR_NONE;
}

void offset_put(struct store_write *w, struct buf *scratch, const char *group,
		const struct partition *p, int64_t offset, int64_t now_ms)
{
	struct value_offset value = value_offset(offset, now_ms);

	buf_clear(scratch);
	key_offset(scratch, slice_str(group), p->id);
	store_put(w, CF_OFFSETS, buf_slice(scratch), KEY_SLICE(value));
}

/* Over all offsets of one group. bounds: keeps the bounds' bytes, as long as the iterator. */
static struct store_iter *iter_group(struct store *s, struct slice group, struct buf bounds[2])
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

char **broker_groups(struct broker *b, size_t *count)
{
	struct store_iter *it = store_iter_new(b->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	struct slice found;
	uint32_t id;
	struct buf name = {0}, scratch = {0};
	char **names = NULL;
	size_t n = 0, cap = 0;

	store_iter_first(it);
	while (store_iter_valid(it) && key_offset_decode(store_iter_key(it), &found, &id)) {
		buf_clear(&name);
		buf_append(&name, found.data, found.len);
		if (!skip_group(b, it, buf_slice(&name), &scratch))
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			names = xrealloc(names, cap * sizeof(*names));
		}
		names[n++] = xstrdup(buf_cstr(&name));
	}
	store_iter_free(it);
	buf_fini(&name);
	buf_fini(&scratch);
	if (n)
		qsort(names, n, sizeof(*names), compare_names);
	*count = n;
	return names;
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
	struct store_iter *it = iter_group(b->store, slice_str(group), bounds);
	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct group_offset o;
		struct slice name;
		uint32_t id;
		if (!key_offset_decode(store_iter_key(it), &name, &id) ||
		    !value_offset_decode(store_iter_value(it), &o.offset, &o.commit_time_ms)) {
			err = ERR_CORRUPTION;
			break;
		}
		o.partition = topics_partition(&b->topics, id);
		if (!o.partition)
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
	int64_t found, commit_time_ms;

	if (err)
		return err;
	key_offset(&key, slice_str(group), p->id);
	err = store_get(b->store, CF_OFFSETS, buf_slice(&key), &value);
	if (!err && !value_offset_decode(buf_slice(&value), &found, &commit_time_ms))
		err = ERR_CORRUPTION;
	if (!err)
		*offset = found;
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

	for (size_t i = 0; i < c->count; i++) {
		const struct group_offset *o = &c->offsets[i];
		if (topic_is_gone(o->partition->topic))
			return ks_fail(call->why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
				       "topic \"%s\" was deleted", o->partition->topic->name);
		if (o->offset < 0)
			return ks_fail(call->why, ERR_OFFSET_OUT_OF_RANGE, "an offset is negative");
	}
	for (size_t i = 0; i < c->count; i++)
		offset_put(g->write, &g->key, c->group, c->offsets[i].partition,
			   c->offsets[i].offset, g->now_ms);
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
	struct buf bounds[2] = {{0}, {0}};
	struct store_iter *it = iter_group(call->broker->store, slice_str(c->group), bounds);
	size_t deleted = 0;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it), deleted++)
		store_delete(g->write, CF_OFFSETS, store_iter_key(it));
	enum ks_err err = store_iter_error(it, call->why);
	store_iter_free(it);
	buf_fini(&bounds[0]);
	buf_fini(&bounds[1]);
	if (!err && deleted == 0)
		err = ks_fail(call->why, ERR_GROUP_ID_NOT_FOUND, "group \"%s\" has no offsets",
			      c->group);
	return err;
}

enum ks_err broker_group_delete(struct broker *b, const char *group, struct ks_why *why)
{
	struct group_commit c = {
		.call = {.apply = group_delete_apply, .is_alone = true, .broker = b, .why = why},
		.group = group,
	};
	enum ks_err err = group_name_check(group, why);
	return err ? err : shard_call(b->shard, &c.call);
}

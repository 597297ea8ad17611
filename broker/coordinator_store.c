/* coordinator_store.c - what is written of groups, and reading it back; see coordinator_impl.h.
 *
 * CF_GROUPS has a record for each group and, in the consumer protocol, for each member
 * (groups/record.h). Members follow the groups there, so one pass restores all.
 */
#include <stdlib.h>

#include "broker/coordinator_impl.h"
#include "groups/record.h"

static struct slice key_of(struct coordinator *c, enum group_record_type type, struct slice group,
			   struct slice member)
{
	buf_clear(&c->key);
	group_record_key(&c->key, type, group, member);
	return buf_slice(&c->key);
}

/* The value is in c->value. */
static void put(struct step *s, struct slice key)
{
	store_put(s->g->write, CF_GROUPS, key, buf_slice(&s->c->value));
	s->g->needs_sync = true;
}

static void delete (struct step *s, struct slice key)
{
	store_delete(s->g->write, CF_GROUPS, key);
	s->g->needs_sync = true;
}

void coordinator_put_classic(struct step *s, struct coordinated *x)
{
	struct coordinator *c = s->c;
	struct classic_record r;

	arena_reset(&c->arena);
	buf_clear(&c->value);
	classic_record_make(x->classic, &c->arena, &r);
	classic_record_encode(&c->value, &r);
	put(s, key_of(c, GROUP_RECORD_CLASSIC, x->name, SLICE_NULL));
	x->has_record = true;
}

void coordinator_put_consumer(struct step *s, struct coordinated *x)
{
	struct coordinator *c = s->c;
	struct consumer_effects *fx = &c->consumer_fx;
	struct consumer_group_record r;

	for (size_t i = 0; i < fx->removed_count; i++)
		delete (s, key_of(c, GROUP_RECORD_MEMBER, x->name, fx->removed[i]));
	for (size_t i = 0; i < fx->member_count; i++) {
		buf_clear(&c->value);
		consumer_member_encode(&c->value, fx->members[i]);
		put(s, key_of(c, GROUP_RECORD_MEMBER, x->name, fx->members[i]->id));
	}
	if (fx->group) {
		buf_clear(&c->value);
		consumer_record_make(x->consumer, &r);
		consumer_group_record_encode(&c->value, &r);
		put(s, key_of(c, GROUP_RECORD_CONSUMER, x->name, SLICE_NULL));
		x->has_record = true;
	}
	consumer_effects_clear(fx);
}

void coordinator_delete_records(struct step *s, struct coordinated *x)
{
	struct coordinator *c = s->c;

	if (!x->has_record)
		return;
	x->has_record = false;
	if (x->classic)
		delete (s, key_of(c, GROUP_RECORD_CLASSIC, x->name, SLICE_NULL));
	if (!x->consumer)
		return;
	for (size_t i = 0; i < x->consumer->members.count; i++) {
		const struct consumer_member *m = x->consumer->members.items[i];
		delete (s, key_of(c, GROUP_RECORD_MEMBER, x->name, m->id));
	}
	delete (s, key_of(c, GROUP_RECORD_CONSUMER, x->name, SLICE_NULL));
}

/* --- reading --- */

/* Groups that are there are restored whatever the limits are now. */
struct coordinated *coordinator_find_or_load(struct coordinator *c, struct slice name)
{
	int32_t max = c->options.groups_max;
	struct coordinated *x = coordinator_find(c, name);

	if (x)
		return x;
	c->options.groups_max = INT32_MAX;
	x = coordinator_add(c, name);
	c->options.groups_max = max;
	return x;
}

static bool load_classic(struct coordinator *c, struct coordinated *x, struct slice value,
			 const struct moment *at)
{
	struct classic_record r;

	arena_reset(&c->arena);
	if (x->classic || x->consumer || !classic_record_decode(value, &c->arena, &r))
		return false;
	x->classic = classic_new(&c->classic_options, &c->deadlines, x, 0);
	return classic_restore(x->classic, &r, at);
}

static bool load_consumer(struct coordinator *c, struct coordinated *x, struct slice value)
{
	struct consumer_group_record r;

	arena_reset(&c->arena);
	if (x->classic || x->consumer || !consumer_group_record_decode(value, &c->arena, &r))
		return false;
	x->consumer = consumer_new(&c->consumer_options, &c->deadlines, x, 0);
	return consumer_restore(x->consumer, &r);
}

static bool load_member(struct coordinated *x, struct slice id, struct slice value)
{
	struct consumer_member m = {.id = id};

	if (!x->consumer || !consumer_member_decode(value, &m))
		return false;
	bool ok = consumer_restore_member(x->consumer, &m);
	consumer_member_record_fini(&m);
	return ok;
}

static bool load_one(struct coordinator *c, struct slice key, struct slice value,
		     const struct moment *at)
{
	enum group_record_type type;
	struct slice group, member;

	if (!group_record_key_decode(key, &type, &group, &member))
		return false;
	struct coordinated *x = coordinator_find_or_load(c, group);
	x->has_record = true;
	if (type == GROUP_RECORD_CLASSIC)
		return load_classic(c, x, value, at);
	if (type == GROUP_RECORD_CONSUMER)
		return load_consumer(c, x, value);
	return load_member(x, member, value);
}

static enum ks_err load_groups(struct coordinator *c, const struct moment *at, struct ks_why *why)
{
	struct store_iter *it = store_iter_new(c->broker->store, CF_GROUPS, SLICE_NULL, SLICE_NULL);
	enum ks_err err = ERR_NONE;

	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct slice key = store_iter_key(it);
		if (!load_one(c, key, store_iter_value(it), at))
			err = ks_fail(
				why, ERR_CORRUPTION, "the record of group \"%.*s\" is malformed",
				key.len > 2 ? (int)(key.len - 2) : 0, (const char *)key.data + 2);
	}
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

/* Groups of which there are offsets alone. */
static enum ks_err load_offsets(struct coordinator *c, struct ks_why *why)
{
	struct store_iter *it =
		store_iter_new(c->broker->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	struct slice group;
	uint32_t partition_id;

	store_iter_first(it);
	while (store_iter_valid(it) &&
	       key_offset_decode(store_iter_key(it), &group, &partition_id)) {
		struct coordinated *x = coordinator_find_or_load(c, group);
		x->has_offsets = true;
		buf_clear(&c->key);
		key_offset(&c->key, x->name, UINT32_MAX);
		store_iter_seek(it, buf_slice(&c->key));
	}
	enum ks_err err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

enum ks_err coordinator_load(struct coordinator *c, const struct moment *at, struct ks_why *why)
{
	enum ks_err err = load_groups(c, at, why);

	if (!err)
		err = load_offsets(c, why);
	for (size_t i = 0; i < c->groups.count && !err; i++) {
		struct coordinated *x = c->groups.items[i];
		if (x->consumer)
			consumer_restored(x->consumer, at);
		x->bytes = (x->classic ? x->classic->bytes : 0) +
			   (x->consumer ? x->consumer->bytes : 0);
		c->bytes += x->bytes;
	}
	return err;
}

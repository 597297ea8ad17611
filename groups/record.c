/* record.c - see record.h. */
#include "groups/record.h"

#include <assert.h>

#include "txn/value.h"

#define VERSION    1 /* of every value here */
#define NULL_TEXT  UINT16_MAX
#define NULL_BYTES UINT32_MAX

/* --- pieces --- */

static void put_text(struct buf *b, struct slice s)
{
	assert(s.len < NULL_TEXT);
	buf_append_u16be(b, s.data ? (uint16_t)s.len : NULL_TEXT);
	if (s.len)
		buf_append(b, s.data, s.len);
}

static struct slice take(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_take(c, len);
	return at ? slice_of(at, len) : SLICE_NULL;
}

static struct slice get_nullable(struct cursor *c)
{
	uint16_t len = cursor_u16(c);
	return len == NULL_TEXT ? SLICE_NULL : take(c, len);
}

/* One that may not be null. */
static struct slice get_text(struct cursor *c)
{
	struct slice s = get_nullable(c);
	if (!s.data)
		c->is_bad = true;
	return s;
}

static void put_bytes(struct buf *b, struct slice s)
{
	assert(s.len < NULL_BYTES);
	buf_append_u32be(b, s.data ? (uint32_t)s.len : NULL_BYTES);
	if (s.len)
		buf_append(b, s.data, s.len);
}

static struct slice get_bytes(struct cursor *c)
{
	uint32_t len = cursor_u32(c);
	return len == NULL_BYTES ? SLICE_NULL : take(c, len);
}

/* A number of things that take min bytes each at least; 0 when there cannot be so many. */
static size_t get_count(struct cursor *c, size_t min)
{
	size_t count = cursor_u32(c);

	if (c->is_bad || count > (size_t)(c->end - c->p) / min) {
		c->is_bad = true;
		return 0;
	}
	return count;
}

/* --- keys --- */

void group_record_key(struct buf *key, enum group_record_type type, struct slice group,
		      struct slice member)
{
	assert(group.len > 0 && group.len <= GROUP_RECORD_NAME_MAX);
	assert(type == GROUP_RECORD_MEMBER || member.len == 0);
	buf_append_u8(key, (uint8_t)type);
	buf_append_u8(key, (uint8_t)group.len);
	buf_append(key, group.data, group.len);
	if (member.len)
		buf_append(key, member.data, member.len);
}

bool group_record_key_decode(struct slice key, enum group_record_type *type, struct slice *group,
			     struct slice *member)
{
	struct cursor c = cursor_of(key);

	*type = (enum group_record_type)cursor_u8(&c);
	*group = take(&c, cursor_u8(&c));
	*member = slice_of(c.p, (size_t)(c.end - c.p));
	if (c.is_bad || group->len == 0)
		return false;
	if (*type == GROUP_RECORD_MEMBER)
		return member->len > 0;
	return (*type == GROUP_RECORD_CLASSIC || *type == GROUP_RECORD_CONSUMER) &&
	       member->len == 0;
}

/* --- groups of the classic protocol --- */

#define CLASSIC_MEMBER_MIN   24
#define CLASSIC_PROTOCOL_MIN 6

static void put_classic_member(struct buf *b, const struct classic_member_record *m)
{
	put_text(b, m->id);
	put_text(b, m->instance_id);
	put_text(b, m->client_id);
	put_text(b, m->client_host);
	buf_append_u32be(b, (uint32_t)m->session_timeout_ms);
	buf_append_u32be(b, (uint32_t)m->rebalance_timeout_ms);
	buf_append_u32be(b, (uint32_t)m->protocol_count);
	for (size_t i = 0; i < m->protocol_count; i++) {
		put_text(b, m->protocols[i].name);
		put_bytes(b, m->protocols[i].metadata);
	}
	put_bytes(b, m->assignment);
}

void classic_record_encode(struct buf *value, const struct classic_record *r)
{
	buf_append_u8(value, VERSION);
	buf_append_u8(value, (uint8_t)r->state);
	buf_append_u32be(value, (uint32_t)r->generation);
	buf_append_u64be(value, (uint64_t)r->empty_since_ms);
	put_text(value, r->protocol_type);
	put_text(value, r->protocol_name);
	put_text(value, r->leader_id);
	buf_append_u32be(value, (uint32_t)r->member_count);
	for (size_t i = 0; i < r->member_count; i++)
		put_classic_member(value, &r->members[i]);
}

static void get_classic_member(struct cursor *c, struct arena *arena,
			       struct classic_member_record *m)
{
	m->id = get_text(c);
	m->instance_id = get_nullable(c);
	m->client_id = get_nullable(c);
	m->client_host = get_nullable(c);
	m->session_timeout_ms = (int32_t)cursor_u32(c);
	m->rebalance_timeout_ms = (int32_t)cursor_u32(c);
	m->protocol_count = get_count(c, CLASSIC_PROTOCOL_MIN);
	struct classic_protocol *protocols =
		arena_alloc(arena, m->protocol_count * sizeof *protocols);
	for (size_t i = 0; i < m->protocol_count; i++) {
		protocols[i].name = get_text(c);
		protocols[i].metadata = get_bytes(c);
	}
	m->protocols = protocols;
	m->assignment = get_bytes(c);
}

bool classic_record_decode(struct slice value, struct arena *arena, struct classic_record *r)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != VERSION)
		return false;
	uint8_t state = cursor_u8(&c);
	if (state >= CLASSIC_STATES)
		return false;
	r->state = (enum classic_state)state;
	r->generation = (int32_t)cursor_u32(&c);
	r->empty_since_ms = (int64_t)cursor_u64(&c);
	r->protocol_type = get_nullable(&c);
	r->protocol_name = get_nullable(&c);
	r->leader_id = get_nullable(&c);
	r->member_count = get_count(&c, CLASSIC_MEMBER_MIN);
	r->members = arena_alloc(arena, r->member_count * sizeof *r->members);
	for (size_t i = 0; i < r->member_count; i++)
		get_classic_member(&c, arena, &r->members[i]);
	return cursor_is_done(&c);
}

/* --- groups of the consumer protocol --- */

void consumer_group_record_encode(struct buf *value, const struct consumer_group_record *r)
{
	buf_append_u8(value, VERSION);
	buf_append_u32be(value, (uint32_t)r->epoch);
	buf_append_u32be(value, (uint32_t)r->target_epoch);
	buf_append_u64be(value, (uint64_t)r->empty_since_ms);
	buf_append_u32be(value, (uint32_t)r->topic_count);
	for (size_t i = 0; i < r->topic_count; i++) {
		buf_append_u32be(value, r->topics[i].number);
		buf_append_u32be(value, (uint32_t)r->topics[i].partitions);
	}
}

bool consumer_group_record_decode(struct slice value, struct arena *arena,
				  struct consumer_group_record *r)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != VERSION)
		return false;
	r->epoch = (int32_t)cursor_u32(&c);
	r->target_epoch = (int32_t)cursor_u32(&c);
	r->empty_since_ms = (int64_t)cursor_u64(&c);
	r->topic_count = get_count(&c, 8);
	struct assign_topic *topics = arena_alloc(arena, r->topic_count * sizeof *topics);
	for (size_t i = 0; i < r->topic_count; i++) {
		topics[i].number = cursor_u32(&c);
		topics[i].partitions = (int32_t)cursor_u32(&c);
	}
	r->topics = topics;
	return cursor_is_done(&c);
}

static void put_parts(struct buf *b, const struct parts *p)
{
	buf_append_u32be(b, (uint32_t)p->count);
	for (size_t i = 0; i < p->count; i++)
		buf_append_u64be(b, p->v[i]);
}

static void get_parts(struct cursor *c, struct parts *p)
{
	size_t count = get_count(c, 8);

	for (size_t i = 0; i < count; i++) {
		uint64_t part = cursor_u64(c);
		if (part_index(part) < 0 || (i > 0 && part <= p->v[i - 1]))
			c->is_bad = true;
		parts_append(p, part);
	}
}

static void get_names(struct cursor *c, struct names *n)
{
	size_t count = get_count(c, 2);

	for (size_t i = 0; i < count && !c->is_bad; i++) {
		struct slice name = get_text(c);
		if (i > 0 && slice_compare(name, n->v[i - 1]) <= 0)
			c->is_bad = true;
		names_append(n, name);
	}
}

void consumer_member_encode(struct buf *value, const struct consumer_member *m)
{
	buf_append_u8(value, VERSION);
	put_text(value, m->instance_id);
	put_text(value, m->rack_id);
	put_text(value, m->client_id);
	put_text(value, m->client_host);
	put_text(value, m->regex);
	put_text(value, m->assignor);
	buf_append_u32be(value, (uint32_t)m->rebalance_timeout_ms);
	buf_append_u32be(value, (uint32_t)m->epoch);
	buf_append_u32be(value, (uint32_t)m->previous_epoch);
	buf_append_u8(value, (uint8_t)m->state);
	buf_append_u32be(value, (uint32_t)m->topics.count);
	for (size_t i = 0; i < m->topics.count; i++)
		put_text(value, m->topics.v[i]);
	put_parts(value, &m->assigned);
	put_parts(value, &m->revoking);
	put_parts(value, &m->target);
}

static bool get_member(struct cursor *c, struct consumer_member *m)
{
	if (cursor_u8(c) != VERSION)
		return false;
	m->instance_id = get_nullable(c);
	m->rack_id = get_nullable(c);
	m->client_id = get_nullable(c);
	m->client_host = get_nullable(c);
	m->regex = get_nullable(c);
	m->assignor = get_nullable(c);
	m->rebalance_timeout_ms = (int32_t)cursor_u32(c);
	m->epoch = (int32_t)cursor_u32(c);
	m->previous_epoch = (int32_t)cursor_u32(c);
	uint8_t state = cursor_u8(c);
	if (state >= CONSUMER_MEMBER_STATES)
		return false;
	m->state = (enum consumer_member_state)state;
	get_names(c, &m->topics);
	get_parts(c, &m->assigned);
	get_parts(c, &m->revoking);
	get_parts(c, &m->target);
	return cursor_is_done(c);
}

bool consumer_member_decode(struct slice value, struct consumer_member *m)
{
	struct cursor c = cursor_of(value);

	if (get_member(&c, m))
		return true;
	consumer_member_record_fini(m);
	return false;
}

void consumer_member_record_fini(struct consumer_member *m)
{
	names_fini(&m->topics);
	parts_fini(&m->assigned);
	parts_fini(&m->revoking);
	parts_fini(&m->target);
}

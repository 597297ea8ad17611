/* state_batch.c - changes of CF_STATE on their way into a commit, and the numbers of stores. */
#include "streams/state_impl.h"

#include <stdlib.h>

/* Offsets into bytes, which moves while it grows. */
struct state_change {
	enum state_op op;
	size_t key, key_len, value, value_len;
};

void state_batch_fini(struct state_batch *b)
{
	buf_fini(&b->bytes);
	free(b->changes);
	free(b->resolved);
	*b = (struct state_batch){0};
}

void state_batch_clear(struct state_batch *b)
{
	buf_clear(&b->bytes);
	b->count = 0;
}

static struct state_change *change_add(struct state_batch *b, enum state_op op, struct slice key)
{
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->changes = xrealloc(b->changes, b->cap * sizeof *b->changes);
	}
	struct state_change *c = &b->changes[b->count++];
	*c = (struct state_change){.op = op, .key = b->bytes.len, .key_len = key.len};
	buf_append(&b->bytes, key.data, key.len);
	c->value = b->bytes.len;
	return c;
}

void state_batch_put(struct state_batch *b, struct slice key, struct slice value)
{
	struct state_change *c = change_add(b, STATE_PUT, key);

	buf_append(&b->bytes, value.data, value.len);
	c->value_len = value.len;
}

void state_batch_delete(struct state_batch *b, struct slice key)
{
	change_add(b, STATE_DELETE, key);
}

void state_batch_delete_range(struct state_batch *b, struct slice from, struct slice to)
{
	struct state_change *c = change_add(b, STATE_DELETE_RANGE, from);

	buf_append(&b->bytes, to.data, to.len);
	c->value_len = to.len;
}

void state_batch_begin_put(struct state_batch *b, struct slice key)
{
	change_add(b, STATE_PUT, key);
}

void state_batch_end_put(struct state_batch *b)
{
	struct state_change *c = &b->changes[b->count - 1];
	c->value_len = b->bytes.len - c->value;
}

struct commit_state *state_batch_resolve(struct state_batch *b)
{
	if (b->count > b->resolved_cap) {
		b->resolved_cap = b->cap;
		b->resolved = xrealloc(b->resolved, b->resolved_cap * sizeof *b->resolved);
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct state_change *c = &b->changes[i];
		b->resolved[i].op = c->op;
		b->resolved[i].key = slice_of(b->bytes.data + c->key, c->key_len);
		b->resolved[i].value = slice_of(b->bytes.data + c->value, c->value_len);
	}
	return b->resolved;
}

/* --- numbers of stores: job, 'n', name -> number (u32), kind --- */

struct names_scan {
	struct state_name *names;
	size_t count;
	uint32_t highest;
	struct ks_why *why;
};

static enum ks_err names_entry(void *cookie, struct slice key, struct slice value)
{
	struct names_scan *s = cookie;

	if (value.len < 4)
		return ks_fail(s->why, ERR_CORRUPTION, "the number of a state store is unreadable");
	struct slice name = slice_of(key.data + 5, key.len - 5);
	struct slice kind = slice_of(value.data + 4, value.len - 4);
	uint32_t id = get_u32be(value.data);
	if (id > s->highest)
		s->highest = id;
	for (size_t i = 0; i < s->count; i++) {
		struct state_name *n = &s->names[i];
		if (!slice_equal(slice_str(n->name), name))
			continue;
		if (!slice_equal(slice_str(n->kind), kind))
			return ks_fail(
				s->why, ERR_INVALID_ARGUMENT,
				"store \"%s\" is a %.*s store from an earlier version of the "
				"job; give the new one another name with as=",
				n->name, (int)kind.len, (const char *)kind.data);
		n->id = id;
	}
	return ERR_NONE;
}

enum ks_err state_register(struct backend *backend, struct state_name *names, size_t count,
			   struct state_batch *b, struct ks_why *why)
{
	struct names_scan s = {.names = names, .count = count, .why = why};
	uint8_t from[5], to[5];

	put_u32be(from, backend->ops->state_prefix(backend));
	from[4] = ROW_NAME;
	size_t end = row_prefix_end(to, from, sizeof from);
	enum ks_err err = backend->ops->state_scan(backend, slice_of(from, sizeof from),
						   slice_of(to, end), names_entry, &s, why);
	for (size_t i = 0; i < count && !err; i++) {
		struct buf key = {0}, value = {0};
		if (names[i].id != STATE_ID_NONE)
			continue;
		names[i].id = ++s.highest;
		buf_append(&key, from, sizeof from);
		buf_append_str(&key, names[i].name);
		buf_append_u32be(&value, names[i].id);
		buf_append_str(&value, names[i].kind);
		state_batch_put(b, buf_slice(&key), buf_slice(&value));
		buf_fini(&key);
		buf_fini(&value);
	}
	return err;
}

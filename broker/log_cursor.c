/* log_cursor.c - see log_cursor.h. An old iterator pins files, so one that is kept long is made
 * anew. */
#include "broker/log_cursor.h"

#include <inttypes.h>

#include "broker/core.h"

#define ITERATOR_AGE_MAX_NS INT64_C(2000000000)

void log_cursor_init(struct log_cursor *c, struct partition *p)
{
	*c = (struct log_cursor){
		.partition = p,
		.lower = key_log(p->id, 0),
		.upper = key_log(p->id + 1, 0),
	};
}

void log_cursor_fini(struct log_cursor *c)
{
	if (c->iter)
		store_iter_free(c->iter);
	c->iter = NULL;
}

static enum ks_err arrive(struct log_cursor *c, struct ks_why *why)
{
	uint32_t id;

	if (!store_iter_valid(c->iter)) {
		enum ks_err err = store_iter_error(c->iter, why);
		return err ? err : ERR_NOT_FOUND;
	}
	if (!key_log_decode(store_iter_key(c->iter), &id, &c->last_offset))
		return ks_fail(why, ERR_CORRUPTION, "partition %s-%" PRId32 ": a key is malformed",
			       c->partition->topic->name, c->partition->index);
	c->value = store_iter_value(c->iter);
	return ERR_NONE;
}

enum ks_err log_cursor_seek(struct log_cursor *c, int64_t offset, struct ks_why *why)
{
	struct broker *b = c->partition->topic->broker;
	struct key_log key = key_log(c->partition->id, offset);

	log_cursor_fini(c);
	c->iter = store_iter_new(b->store, CF_LOG, KEY_SLICE(c->lower), KEY_SLICE(c->upper));
	c->made_ns = clock_monotonic_ns(&b->clock);
	store_iter_seek(c->iter, KEY_SLICE(key));
	return arrive(c, why);
}

enum ks_err log_cursor_next(struct log_cursor *c, struct ks_why *why)
{
	int64_t now = clock_monotonic_ns(&c->partition->topic->broker->clock);

	if (now - c->made_ns >= ITERATOR_AGE_MAX_NS)
		return log_cursor_seek(c, c->last_offset + 1, why);
	store_iter_next(c->iter);
	return arrive(c, why);
}

enum ks_err log_take_batch(struct partition *p, struct slice *values, struct batch *b,
			   struct ks_why *why)
{
	if (batch_verify(*values, b))
		return ks_fail(why, ERR_CORRUPTION,
			       "partition %s-%" PRId32 ": the stored batches at offset %" PRId64
			       " are damaged (CRC or structure)",
			       p->topic->name, p->index,
			       values->len >= 8 ? (int64_t)get_u64be(values->data) : -1);
	*values = slice_of(values->data + b->bytes.len, values->len - b->bytes.len);
	return ERR_NONE;
}

/* state_time.c - the stream time of a flow in a partition, kept with the stores that look at it.
 *
 * Dedup and the script's own stores decide by stream time, which is the latest time of all records that came,
 * also of those that changed nothing. A start that took it from the next record would decide otherwise than a run that
 * went on. So every commit in which it moved carries it, in a row beside the store: job, 't', store, partition -> i64 BE.
 */
#include "streams/state_impl.h"

#include <stdlib.h>

static struct slice time_key(const struct state_pool *p, const struct stream_clock *c, uint8_t *key)
{
	return slice_of(key, row_prefix(key, p, ROW_TIME, c->store, c->partition));
}

enum ks_err state_clock_open(struct state_pool *p, uint32_t store, int32_t partition, int64_t *time,
			     struct ks_why *why)
{
	struct stream_clock c = {
		.store = store, .partition = partition, .time = time, .saved = INT64_MIN};
	uint8_t key[ROW_PREFIX_BYTES];
	struct buf value = {0};
	enum ks_err err = p->backend->ops->state_get(p->backend, time_key(p, &c, key), &value);

	if (!err && value.len != 8)
		err = ERR_CORRUPTION;
	if (!err)
		c.saved = (int64_t)get_u64be(value.data);
	buf_fini(&value);
	if (err && err != ERR_NOT_FOUND)
		return ks_fail(why, err,
			       "the time of state store %u, partition %d cannot be read: %s", store,
			       partition, ks_err_text(err));
	if (c.saved > *time)
		*time = c.saved;
	p->clocks = xrealloc(p->clocks, (p->clock_count + 1) * sizeof *p->clocks);
	p->clocks[p->clock_count++] = c;
	return ERR_NONE;
}

void state_clocks_close(struct state_pool *p, const int64_t *time)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->clock_count; i++)
		if (p->clocks[i].time != time)
			p->clocks[kept++] = p->clocks[i];
	p->clock_count = kept;
}

void state_clocks_collect(struct state_pool *p, struct state_batch *b)
{
	for (size_t i = 0; i < p->clock_count; i++) {
		struct stream_clock *c = &p->clocks[i];
		uint8_t key[ROW_PREFIX_BYTES], value[8];
		if (*c->time == c->saved)
			continue;
		c->saved = *c->time;
		put_u64be(value, (uint64_t)c->saved);
		state_batch_put(b, time_key(p, c, key), slice_of(value, sizeof value));
	}
}

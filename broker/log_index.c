/* log_index.c - see log_index.h. */
#include "broker/log_index.h"

#include "broker/topic.h"
#include "broker/core.h"

static struct store_iter *iter_new(struct partition *p, struct key_index bounds[2])
{
	bounds[0] = key_index(p->id, INT64_MIN, 0);
	bounds[1] = key_index(p->id + 1, INT64_MIN, 0);
	return store_iter_new(p->topic->broker->store, CF_INDEX, KEY_SLICE(bounds[0]),
			      KEY_SLICE(bounds[1]));
}

/* What it stands on. ERR_NOT_FOUND: nothing. */
static enum ks_err entry_at(struct store_iter *it, struct index_entry *e, struct ks_why *why)
{
	if (!store_iter_valid(it)) {
		enum ks_err err = store_iter_error(it, why);
		return err ? err : ERR_NOT_FOUND;
	}
	if (!index_decode(store_iter_key(it), store_iter_value(it), e))
		return ks_fail(why, ERR_CORRUPTION, "an index entry is malformed");
	return ERR_NONE;
}

static enum ks_err seek_back(struct store_iter *it, struct partition *p, int64_t timestamp,
			     int64_t last_offset, struct index_entry *e, struct ks_why *why)
{
	struct key_index key = key_index(p->id, timestamp, last_offset);

	store_iter_seek_for_prev(it, KEY_SLICE(key));
	return entry_at(it, e, why);
}

/* Bisects the times between those of low, which lies before offset, and high, which does not: the
 * entry is the one that (its own time, offset - 1) finds from above. */
static enum ks_err bisect(struct store_iter *it, struct partition *p, int64_t offset,
			  struct index_entry *low, int64_t high, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	struct index_entry e;

	for (int64_t t = low->max_timestamp; t < high && !err;) {
		uint64_t half = ((uint64_t)high - (uint64_t)t + 1) / 2;
		int64_t middle = (int64_t)((uint64_t)t + half);
		err = seek_back(it, p, middle, offset - 1, &e, why);
		if (!err && e.last_offset < offset) {
			*low = e;
			t = middle;
		} else if (!err) {
			high = e.max_timestamp;
		}
	}
	return err;
}

static enum ks_err find_before(struct store_iter *it, struct partition *p, int64_t offset,
			       struct index_entry *out, struct ks_why *why)
{
	struct index_entry first, last;

	store_iter_last(it);
	enum ks_err err = entry_at(it, &last, why);
	if (err)
		return err;
	if (last.last_offset < offset) {
		*out = last;
		return ERR_NONE;
	}
	store_iter_first(it);
	err = entry_at(it, &first, why);
	if (err)
		return err;
	if (first.last_offset >= offset)
		return ERR_NOT_FOUND;
	/* Several may share the first one's time. */
	err = seek_back(it, p, first.max_timestamp, offset - 1, &first, why);
	if (!err)
		err = bisect(it, p, offset, &first, last.max_timestamp, why);
	if (!err)
		*out = first;
	return err;
}

enum ks_err index_before(struct partition *p, int64_t offset, struct index_entry *out,
			 struct ks_why *why)
{
	struct key_index bounds[2];
	struct store_iter *it = iter_new(p, bounds);
	enum ks_err err = find_before(it, p, offset, out, why);

	store_iter_free(it);
	return err;
}

enum ks_err index_before_time(struct partition *p, int64_t timestamp, struct index_entry *out,
			      struct ks_why *why)
{
	struct key_index bounds[2];
	struct store_iter *it = iter_new(p, bounds);
	enum ks_err err = seek_back(it, p, timestamp, INT64_MAX, out, why);

	store_iter_free(it);
	return err;
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return v < low ? low : v > high ? high : v;
}

uint64_t index_position(struct partition *p, const struct index_entry *e)
{
	struct cleaned c = partition_cleaned(p);
	uint64_t start = atomic_load(&p->start_position);

	if (e->last_offset < c.offset)
		return clamp(e->position + c.shift, start, c.position);
	uint64_t position = e->position;
	if (e->last_offset < c.holes_below)
		position += c.removed_clean + c.removed_dirty;
	return clamp(position, start, atomic_load(&p->end_position));
}

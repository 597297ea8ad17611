/* tail_read.c - reading the tail in the pieces in which it lies, for those who send pieces.
 *
 * A piece is a reference to the frame that came in. Many clients send small batches, each in a frame of its
 * own: a reference and a place in the list of pieces would cost more than the bytes, so small neighbours are
 * copied together.
 */
#include <assert.h>

#include "base/seeded.h"
#include "broker/core.h"

#define ENTRIES_MAX 512  /* looked at in one read */
#define SMALL_BYTES 1024 /* an entry below is copied when its neighbour is small too */

struct taken {
	struct tail_entry entries[ENTRIES_MAX]; /* each holds a reference */
	size_t count;
};

/* Entries from the one that holds offset on, as many as fit and begin below end. */
static void take(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
		 struct taken *t)
{
	size_t bytes = 0;

	t->count = 0;
	pthread_mutex_lock(&p->mtx);
	for (size_t i = partition_tail_find(p, offset);
	     i < p->tail_count && t->count < ENTRIES_MAX && (!t->count || bytes < max_bytes); i++) {
		const struct tail_entry *e = &p->tail[(p->tail_first + i) & (p->tail_cap - 1)];
		if (t->count && e->base_offset >= end)
			break;
		frame_ref(e->frame);
		t->entries[t->count++] = *e;
		bytes += e->bytes.len;
	}
	pthread_mutex_unlock(&p->mtx);
}

/* Cuts the first entry to begin with the batch that holds offset, the last one to what fits and lies below end. Releases
 * what does not. false: nothing lies below end. */
static bool cut(struct taken *t, int64_t offset, int64_t end, size_t max_bytes, bool is_strict)
{
	size_t kept = 0;
	bool has_some = true;

	for (size_t i = 0; i < t->count; i++) {
		struct tail_entry *e = &t->entries[i];
		struct slice fitting;
		bool is_well = batches_select(e->bytes, offset, end, max_bytes, &fitting);
		assert(is_well && "the shard walked these batches before");
		has_some = fitting.len > 0 || i > 0;
		if (!fitting.len)
			break;
		if (fitting.len > max_bytes && (is_strict || i > 0))
			break;
		bool is_last = fitting.data + fitting.len < e->bytes.data + e->bytes.len;
		max_bytes -= fitting.len < max_bytes ? fitting.len : max_bytes;
		e->bytes = fitting;
		kept++;
		if (is_last)
			break;
	}
	for (size_t i = kept; i < t->count; i++)
		frame_unref(t->entries[i].frame);
	t->count = kept;
	return has_some;
}

static bool is_small(const struct taken *t, size_t i)
{
	return i < t->count && t->entries[i].bytes.len < SMALL_BYTES;
}

/* The entries from..to as one chunk; takes their references. */
static struct chunk gather(const struct tail_entry *entries, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += entries[i].bytes.len;
	struct frame *f = frame_new(bytes);
	for (size_t i = 0; i < count; i++) {
		if (!(KS_SEEDED_BUG(1151) && i == 1)) {
			memcpy(f->data + f->len, entries[i].bytes.data, entries[i].bytes.len);
			f->len += entries[i].bytes.len;
		}
		frame_unref(entries[i].frame);
	}
	return (struct chunk){f, slice_of(f->data, f->len), true};
}

static size_t make_chunks(struct taken *t, struct chunk *chunks, size_t chunks_max)
{
	size_t n = 0, i = 0;

	while (i < t->count && n < chunks_max) {
		size_t run = 1;
		while (is_small(t, i) && is_small(t, i + run))
			run++;
		if (run > 1)
			chunks[n++] = gather(&t->entries[i], run);
		else
			chunks[n++] =
				(struct chunk){t->entries[i].frame, t->entries[i].bytes, true};
		i += run;
	}
	for (; i < t->count; i++)
		frame_unref(t->entries[i].frame);
	return n;
}

enum ks_err partition_read_now(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
			       bool is_strict, struct chunk *chunks, size_t chunks_max,
			       size_t *count)
{
	int64_t high_watermark = partition_high_watermark(p);
	struct taken t;

	if (topic_is_gone(p->topic))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (offset < partition_log_start_offset(p) || offset > high_watermark)
		return ERR_OFFSET_OUT_OF_RANGE;
	if (offset == high_watermark || offset >= end)
		return ERR_EMPTY;
	take(p, offset, end, max_bytes, &t);
	if (!t.count)
		return ERR_NOT_FOUND;
	if (!cut(&t, offset, end, max_bytes, is_strict))
		return ERR_EMPTY;
	*count = make_chunks(&t, chunks, chunks_max);
	return ERR_NONE;
}

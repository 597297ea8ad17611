/* aborted.c - see aborted.h. */
#include "wire/aborted.h"

#include <stdlib.h>

#define MARKER_BYTES_MAX 65536

/* The key of a marker: version, then what it says; 0 is abort. */
static bool is_abort_marker(struct aborted_batches *a, const struct batch *b)
{
	struct record_iter it;
	struct record r;

	return batch_is_control(b) && !record_iter_init(&it, b, MARKER_BYTES_MAX, &a->scratch) &&
	       record_iter_next(&it, &r) > 0 && r.key.len >= 4 && get_u16be(r.key.data + 2) == 0;
}

/* The producers whose transactions are being aborted where the walk stands. */
struct aborting {
	int64_t *ids;
	size_t count;
};

static bool aborting_has(struct aborting *a, int64_t id, bool remove)
{
	for (size_t i = 0; i < a->count; i++) {
		if (a->ids[i] != id)
			continue;
		if (remove)
			a->ids[i] = a->ids[--a->count];
		return true;
	}
	return false;
}

static void put(struct aborted_batches *a, int64_t base_offset)
{
	if (a->count == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 16;
		a->base_offsets = xrealloc(a->base_offsets, a->cap * sizeof *a->base_offsets);
	}
	a->base_offsets[a->count++] = base_offset;
}

void aborted_batches_find(struct aborted_batches *a, struct slice batches,
			  const struct fetch_response_aborted_transaction *rows, size_t count)
{
	struct aborting aborting = {.ids = count ? xcalloc(count, sizeof(int64_t)) : NULL};
	struct batch b;
	size_t next = 0;

	a->count = 0;
	while (count > 0 && batches.len && batch_peek(batches, &b) == ERR_NONE) {
		for (; next < count && rows[next].first_offset <= batch_last_offset(&b); next++)
			aborting.ids[aborting.count++] = rows[next].producer_id;
		if (is_abort_marker(a, &b))
			aborting_has(&aborting, b.producer_id, true);
		else if (batch_is_transactional(&b) && !batch_is_control(&b) &&
			 aborting_has(&aborting, b.producer_id, false))
			put(a, b.base_offset);
		batches = slice_of(batches.data + b.bytes.len, batches.len - b.bytes.len);
	}
	free(aborting.ids);
}

bool aborted_batches_has(const struct aborted_batches *a, const struct batch *b)
{
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (a->base_offsets[mid] == b->base_offset)
			return true;
		if (a->base_offsets[mid] < b->base_offset)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

void aborted_batches_fini(struct aborted_batches *a)
{
	free(a->base_offsets);
	buf_fini(&a->scratch);
	*a = (struct aborted_batches){.count = 0};
}

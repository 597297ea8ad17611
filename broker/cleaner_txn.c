/* cleaner_txn.c - see cleaner_txn.h. */
#include "broker/cleaner_txn.h"

#include <stdlib.h>

#include "base/seeded.h"
#include "broker/aborted.h"

#define ABORTED_MAX   (1 << 20) /* of one cleaning; what began behind them is cleaned next */
#define PRODUCERS_MAX (1 << 20)

/* The offset first: what is aborted below it is in the store by then. */
enum ks_err cleaner_txn_init(struct cleaner_txn *t, struct partition *p, int64_t from,
			     int64_t clean, struct ks_why *why)
{
	int64_t stable = INT64_MAX;

	*t = (struct cleaner_txn){.stable = partition_last_stable_offset(p), .clean = clean};
	if (KS_SEEDED_BUG(1041))
		t->stable = partition_high_watermark(p);
	if (atomic_load(&p->aborted_below) <= from)
		return ERR_NONE;
	enum ks_err err = aborted_list(p, from, t->stable, ABORTED_MAX, &t->aborted,
				       &t->aborted_count, &stable, why);
	if (stable < t->stable)
		t->stable = stable;
	aborted_sort(t->aborted, t->aborted_count);
	return err;
}

void cleaner_txn_fini(struct cleaner_txn *t)
{
	free(t->aborted);
	free(t->slots);
	*t = (struct cleaner_txn){.stable = 0};
}

bool cleaner_txn_is_aborted(const struct cleaner_txn *t, const struct batch *b)
{
	return t->aborted_count > 0 && batch_is_transactional(b) && !batch_is_control(b) &&
	       aborted_find(t->aborted, t->aborted_count, b->producer_id, b->base_offset) &&
	       !KS_SEEDED_BUG(1042);
}

/* --- producers on the walk --- */

/* The slot that has the producer, or the free one where it would go. */
static struct walked *slot_of(const struct cleaner_txn *t, int64_t producer_id)
{
	uint64_t h = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 32) & (t->cap - 1);

	while (t->slots[i].producer_id >= 0 && t->slots[i].producer_id != producer_id)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void grow(struct cleaner_txn *t)
{
	struct cleaner_txn old = *t;

	t->cap = old.cap ? 2 * old.cap : 64;
	t->slots = xmalloc(t->cap * sizeof *t->slots);
	for (size_t i = 0; i < t->cap; i++)
		t->slots[i].producer_id = -1;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].producer_id >= 0)
			*slot_of(t, old.slots[i].producer_id) = old.slots[i];
	free(old.slots);
}

void cleaner_txn_pass(struct cleaner_txn *t, const struct batch *b)
{
	if (!batch_is_transactional(b) || b->record_count == 0 || b->producer_id < 0)
		return;
	if (2 * t->count >= t->cap && t->count < PRODUCERS_MAX)
		grow(t);
	struct walked *slot = slot_of(t, b->producer_id);
	if (slot->producer_id < 0 && t->count >= PRODUCERS_MAX) {
		t->has_overflown = true;
		return;
	}
	if (slot->producer_id < 0)
		t->count++;
	*slot = (struct walked){b->producer_id, true};
}

/* Whether records of the transaction that ends here are left; the next ones are of another. */
static bool take_has_records(struct cleaner_txn *t, int64_t producer_id)
{
	struct walked *slot = t->cap ? slot_of(t, producer_id) : NULL;
	bool has = slot && slot->producer_id >= 0 && slot->has_records;

	if (slot)
		slot->has_records = false;
	return has;
}

enum marker_fate cleaner_txn_pass_marker(struct cleaner_txn *t, const struct batch *b,
					 int64_t now_ms)
{
	if (take_has_records(t, b->producer_id) || t->has_overflown)
		return KS_SEEDED_BUG(1043) ? MARKER_GOES : MARKER_STAYS;
	if (batch_delete_horizon(b) < 0)
		return MARKER_GETS_HORIZON;
	if (b->base_offset >= t->clean)
		return MARKER_STAYS;
	return now_ms < batch_delete_horizon(b) && !KS_SEEDED_BUG(1044) ? MARKER_STAYS
									: MARKER_GOES;
}

/* undecided.c - see undecided.h. */
#include "broker/undecided.h"

#include <stdlib.h>

#include "base/mem.h"

/* The row of the producer, or the free one where it would go. */
static struct undecided_row *row_of(const struct undecided *u, int64_t producer_id)
{
	uint64_t h = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 32) & (u->cap - 1);

	while (u->rows[i].producer_id >= 0 && u->rows[i].producer_id != producer_id)
		i = (i + 1) & (u->cap - 1);
	return &u->rows[i];
}

static void grow(struct undecided *u)
{
	struct undecided old = *u;

	u->cap = old.cap ? 2 * old.cap : 16;
	u->rows = xmalloc(u->cap * sizeof *u->rows);
	for (size_t i = 0; i < u->cap; i++)
		u->rows[i].producer_id = -1;
	for (size_t i = 0; i < old.cap; i++)
		if (old.rows[i].producer_id >= 0)
			*row_of(u, old.rows[i].producer_id) = old.rows[i];
	free(old.rows);
}

void undecided_pass(struct undecided *u, const struct batch *b)
{
	/* What compaction has left of a batch without records is nothing to be decided on. */
	if (!batch_is_transactional(b) || b->producer_id < 0 || b->record_count == 0)
		return;
	if (2 * u->count >= u->cap)
		grow(u);
	struct undecided_row *row = row_of(u, b->producer_id);
	if (row->producer_id < 0)
		u->count++;
	*row = (struct undecided_row){b->producer_id, batch_is_control(b) ? -1 : b->base_offset};
}

void undecided_fini(struct undecided *u)
{
	free(u->rows);
	*u = (struct undecided){.rows = NULL};
}

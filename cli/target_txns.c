/* target_txns.c - see target_txns.h. */
#include "cli/target_txns.h"

#include <stdlib.h>

void target_txns_add(struct target_txns *out, int32_t coordinator,
		     const struct list_transactions_response *m)
{
	size_t count = out->count + (size_t)m->transaction_states.n;

	if (m->unknown_state_filters.n > 0 && !out->unknown_state)
		out->unknown_state =
			xstrdup(arena_text(&out->arena, m->unknown_state_filters.v[0]));
	out->rows = xrealloc(out->rows, (count + 1) * sizeof *out->rows);
	for (int32_t i = 0; i < m->transaction_states.n; i++) {
		const struct list_transactions_response_transaction_state *s =
			&m->transaction_states.v[i];
		out->rows[out->count++] =
			(struct target_txn){.id = arena_text(&out->arena, s->transactional_id),
					    .state = arena_text(&out->arena, s->transaction_state),
					    .producer_id = s->producer_id,
					    .coordinator = coordinator};
	}
}

static int compare_ids(const void *a, const void *b)
{
	const struct target_txn *x = a, *y = b;

	return strcmp(x->id, y->id);
}

void target_txns_sort(struct target_txns *out)
{
	if (out->count)
		qsort(out->rows, out->count, sizeof *out->rows, compare_ids);
}

void target_txns_free(struct target_txns *txns)
{
	free(txns->rows);
	free(txns->unknown_state);
	arena_fini(&txns->arena);
}

void target_txn_read(struct target_txn_details *out, int32_t coordinator,
		     const struct describe_transactions_response_transaction_state *row)
{
	struct target_txn_part *parts;
	size_t count = 0, n = 0;

	*out = (struct target_txn_details){.producer_epoch = row->producer_epoch,
					   .timeout_ms = row->transaction_timeout_ms,
					   .start_ms = row->transaction_start_time_ms};
	out->txn = (struct target_txn){.id = arena_text(&out->arena, row->transactional_id),
				       .state = arena_text(&out->arena, row->transaction_state),
				       .producer_id = row->producer_id,
				       .coordinator = coordinator};
	for (int32_t i = 0; i < row->topics.n; i++)
		count += (size_t)row->topics.v[i].partitions.n;
	parts = arena_alloc(&out->arena, (count + 1) * sizeof *parts);
	for (int32_t i = 0; i < row->topics.n; i++) {
		const struct describe_transactions_response_topic *t = &row->topics.v[i];
		const char *topic = arena_text(&out->arena, t->topic);
		for (int32_t k = 0; k < t->partitions.n; k++)
			parts[n++] = (struct target_txn_part){topic, t->partitions.v[k]};
	}
	out->parts = parts;
	out->part_count = n;
}

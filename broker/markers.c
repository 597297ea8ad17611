/* markers.c - see markers.h. */
#include "broker/markers.h"

#include <stdlib.h>

#include "base/seeded.h"
#include "broker/aborted.h"
#include "broker/core.h"
#include "broker/producers.h"

const struct producer_state *group_producer_in(const struct group *g, const struct partition *p,
					       int64_t producer_id)
{
	return group_producer_state(
		g, producer_find(p->topic->broker->producers, &p->producers, producer_id));
}

/* Below it no transaction began that is still open, or will open in the partition: as it stood when the group began, without
 * those that the group has ended. It may be lower than need be, by what the group itself has appended. */
static int64_t stable_offset(const struct group *g, const struct partition *p)
{
	const struct producer *open;

	TAILQ_FOREACH(open, &p->producers.open, in_open)
	{
		int64_t first = open->state.txn_first_offset;
		if (group_producer_state(g, open)->txn_first_offset == first)
			return first;
	}
	return p->end.offset_next;
}

static int64_t append(struct group *g, struct partition *p, const struct marker *m)
{
	struct buf bytes = {0};

	marker_write(&bytes, m);
	struct frame *f = frame_copy(buf_slice(&bytes));
	buf_fini(&bytes);
	return group_append(g, p, f, slice_of(f->data, f->len), false);
}

static void put_aborted(struct group *g, struct partition *p, const struct aborted *a)
{
	struct key_aborted key = key_aborted(p->id, a->marker_offset);
	struct value_aborted value = value_aborted(a);

	struct key_aborted_by by = key_aborted_by(p->id, a->producer_id, a->marker_offset);

	store_put(g->write, CF_TXN, KEY_SLICE(key), KEY_SLICE(value));
	store_put(g->write, CF_TXN, KEY_SLICE(by), KEY_SLICE(value));
	if (g->aborting_count == g->aborting_cap) {
		g->aborting_cap = g->aborting_cap ? 2 * g->aborting_cap : 16;
		g->aborting = xrealloc(g->aborting, g->aborting_cap * sizeof *g->aborting);
	}
	g->aborting[g->aborting_count++] = (struct aborting){p, *a};
}

bool group_end_open(struct group *g, struct partition *p, const struct marker *m)
{
	struct producer *known =
		producer_find(p->topic->broker->producers, &p->producers, m->producer_id);
	const struct producer_state *state = group_producer_state(g, known);
	int64_t first_offset = state->txn_first_offset;
	struct marker now = *m;

	if (first_offset < 0 || m->producer_epoch < state->epoch || topic_is_gone(p->topic))
		return false;
	now.timestamp = g->now_ms;
	int64_t offset = append(g, p, &now);
	producer_end(group_producer_copy(g, p, known, m->producer_id), m->producer_epoch,
		     m->coordinator_epoch, m->is_commit, g->now_ms);
	producers_will_age(p->topic->broker);
	if (!m->is_commit && !KS_SEEDED_BUG(1014))
		put_aborted(g, p,
			    &(struct aborted){.partition_id = p->id,
					      .marker_offset = offset,
					      .first_offset = first_offset,
					      .stable_offset = stable_offset(g, p),
					      .producer_id = m->producer_id});
	return true;
}

void group_publish_markers(struct group *g)
{
	for (size_t i = 0; i < g->aborting_count; i++)
		aborted_publish(g->aborting[i].partition, &g->aborting[i].aborted);
}

void group_clear_markers(struct group *g)
{
	g->aborting_count = 0;
}

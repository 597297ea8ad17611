/* consumer_target.c - where members are to go, and their way there; see consumer_impl.h.
 *
 * A member's way to its target, one step per heartbeat:
 *
 *      it has what the target     +-----------+   and says that it gave it up
 *      takes away      +--------> | UNREVOKED | ---------------------------------+
 *                      |          +-----------+                                  |
 *      +--------+      |            nothing more for it; fenced when it takes    v
 *      | STABLE | -----+            longer than its rebalance timeout         +-----------+
 *      +--------+ --------------------------------------------------------->  | at the    |
 *          ^                                                                  | target's  |
 *          |     +------------+   others have what it is to get               | epoch     |
 *          |     | UNRELEASED | <------------------------------------------   |           |
 *          |     +------------+   it has the rest already                     |           |
 *          |           |   they gave it up                                    |           |
 *          +-----------+-------------------------------------------------------+-----------+
 *
 * The target may move meanwhile; each step goes towards the newest.
 */
#include <assert.h>

#include "groups/consumer_impl.h"

void member_changed(struct consumer_member *m, struct consumer_effects *fx)
{
	if (m->is_changed)
		return;
	if (fx->member_count == fx->member_cap) {
		fx->member_cap = fx->member_cap ? 2 * fx->member_cap : 16;
		fx->members = xrealloc(fx->members, fx->member_cap * sizeof(*fx->members));
	}
	fx->members[fx->member_count++] = m;
	m->is_changed = true;
}

/* --- the target --- */

struct slice consumer_assignor(const struct consumer_group *g)
{
	struct slice best = g->options->default_assignor;
	size_t most = 0;

	/* There are two assignors: a few passes over the members are cheap. */
	for (size_t i = 0; i < g->members.count; i++) {
		struct slice name = ((struct consumer_member *)g->members.items[i])->assignor;
		size_t votes = 0;
		if (!name.data || (most > 0 && slice_compare(name, best) == 0))
			continue;
		for (size_t k = 0; k < g->members.count; k++) {
			struct slice other =
				((struct consumer_member *)g->members.items[k])->assignor;
			votes += other.data && slice_compare(other, name) == 0;
		}
		if (votes > most) {
			most = votes;
			best = name;
		}
	}
	return best;
}

static void set_target(struct consumer_member *m, struct parts *target, struct consumer_effects *fx)
{
	if (!parts_equal(&m->target, target)) {
		parts_swap(&m->target, target);
		member_changed(m, fx);
	}
	parts_fini(target);
}

void target_update(struct consumer_group *g, struct consumer_effects *fx)
{
	size_t n = g->members.count;
	struct assign_member *members = xcalloc(n + 1, sizeof *members);
	assign_fn *assign = assignor_find(consumer_assignor(g));

	assert(assign && "assignors are checked before they come here");
	for (size_t i = 0; i < n; i++) {
		struct consumer_member *m = g->members.items[i];
		members[i] = (struct assign_member){
			.id = m->id, .instance_id = m->instance_id, .current = &m->target};
		members[i].topics = topics_of_member(g, m, &members[i].topic_count);
	}
	assign(members, n, g->topics, g->topic_count);
	for (size_t i = 0; i < n; i++) {
		parts_settle(&members[i].result);
		set_target(g->members.items[i], &members[i].result, fx);
		free((void *)(uintptr_t)members[i].topics);
	}
	free(members);
	g->target_epoch = g->epoch;
	fx->group = true;
}

/* --- a member's way to it --- */

bool member_is_reconciled(const struct consumer_group *g, const struct consumer_member *m)
{
	return m->state == CONSUMER_MEMBER_STABLE && m->epoch == g->target_epoch;
}

void ownership_drop(struct consumer_group *g, struct consumer_member *m)
{
	for (size_t i = 0; i < m->assigned.count; i++)
		owners_drop(&g->partitions, m->assigned.v[i], m);
	for (size_t i = 0; i < m->revoking.count; i++)
		owners_drop(&g->partitions, m->revoking.v[i], m);
}

void ownership_take(struct consumer_group *g, struct consumer_member *m)
{
	for (size_t i = 0; i < m->assigned.count; i++)
		owners_set(&g->partitions, m->assigned.v[i], m);
	for (size_t i = 0; i < m->revoking.count; i++)
		owners_set(&g->partitions, m->revoking.v[i], m);
}

/* Whether the member still has one of these, or does not say. */
static bool still_has(const struct parts *owned, const struct parts *these)
{
	if (!owned)
		return true;
	for (size_t i = 0; i < owned->count; i++)
		if (parts_have(these, owned->v[i]))
			return true;
	return false;
}

/* Where one step leads. */
struct step {
	enum consumer_member_state state;
	int32_t epoch;
	struct parts assigned, revoking;
};

/* Adds what the target gives and nobody else has. true: somebody has some of it. */
static bool add_what_is_free(const struct consumer_group *g, const struct consumer_member *m,
			     struct step *s)
{
	struct parts missing = {0}, free_ones = {0};
	bool is_waiting = false;

	parts_without(&missing, &m->target, &s->assigned);
	for (size_t i = 0; i < missing.count; i++) {
		const struct consumer_member *owner = owners_get(&g->partitions, missing.v[i]);
		/* Its own that it has just given up are free again. */
		if (owner && owner != m)
			is_waiting = true;
		else
			parts_append(&free_ones, missing.v[i]);
	}
	parts_add_all(&s->assigned, &free_ones);
	parts_fini(&missing);
	parts_fini(&free_ones);
	return is_waiting;
}

static void next_step(const struct consumer_group *g, const struct consumer_member *m,
		      const struct parts *owned, int32_t epoch, struct step *s)
{
	parts_common(&s->assigned, &m->assigned, &m->target);
	parts_without(&s->revoking, &m->assigned, &m->target);
	if (s->revoking.count > 0 && still_has(owned, &s->revoking)) {
		s->state = CONSUMER_MEMBER_UNREVOKED;
		s->epoch = epoch;
		return;
	}
	parts_clear(&s->revoking);
	s->state = add_what_is_free(g, m, s) ? CONSUMER_MEMBER_UNRELEASED : CONSUMER_MEMBER_STABLE;
	s->epoch = g->target_epoch;
}

static void take_step(struct consumer_group *g, struct consumer_member *m, struct step *s,
		      const struct moment *at, struct consumer_effects *fx)
{
	if (m->state == s->state && m->epoch == s->epoch &&
	    parts_equal(&m->assigned, &s->assigned) && parts_equal(&m->revoking, &s->revoking))
		return;
	ownership_drop(g, m);
	parts_swap(&m->assigned, &s->assigned);
	parts_swap(&m->revoking, &s->revoking);
	ownership_take(g, m);
	m->state = s->state;
	if (m->epoch != s->epoch) {
		m->previous_epoch = m->epoch;
		m->epoch = s->epoch;
	}
	if (m->state == CONSUMER_MEMBER_UNREVOKED)
		deadline_set(g->deadlines, &m->rebalance, at->ms + m->rebalance_timeout_ms);
	else
		deadline_clear(g->deadlines, &m->rebalance);
	member_changed(m, fx);
}

void member_reconcile(struct consumer_group *g, struct consumer_member *m,
		      const struct parts *owned, const struct moment *at,
		      struct consumer_effects *fx)
{
	struct step s = {.epoch = m->epoch};
	int32_t epoch = m->epoch;

	if (member_is_reconciled(g, m))
		return;
	if (m->state == CONSUMER_MEMBER_UNREVOKED) {
		if (still_has(owned, &m->revoking))
			return;
		/* It has done what its epoch asked for; the next one may ask for more. */
		if (epoch < g->target_epoch)
			epoch++;
	}
	next_step(g, m, owned, epoch, &s);
	take_step(g, m, &s, at, fx);
	parts_fini(&s.assigned);
	parts_fini(&s.revoking);
}

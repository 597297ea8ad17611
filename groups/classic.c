/* classic.c - see classic.h.
 *
 *              somebody joins
 *      EMPTY ----------------> PREPARING <---------------------------+
 *        ^                      |     |                              |
 *        | finish_joins:        |     | finish_joins: a generation   | prepare: a member comes, goes,
 *        | nobody is left       |     v begins, joins are answered   | changes or does not ask for its
 *        +----------------------+   COMPLETING ----------------------+ assignment in time
 *                                     |                              |
 *                                     | take_assignments: the        |
 *                                     v leader's sync came           |
 *                                   STABLE --------------------------+
 *
 * In PREPARING members join, each join parked; what ends it is the last member's join or the
 * longest rebalance timeout. From EMPTY it is a delay instead, so that a service that starts gets
 * one generation and not one per instance. Any state may become DEAD.
 *
 * A generation is written down before anybody learns of it, and again with its assignments. So
 * after a restart it is the newest one that any member can know.
 */
#include "groups/classic.h"

#include <assert.h>

#include "groups/classic_impl.h"

const char *const classic_state_names[CLASSIC_STATES] = {
	"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead",
};

#define AFTER(state) (1u << CLASSIC_##state)
static const unsigned may_follow[CLASSIC_STATES] = {
	[CLASSIC_EMPTY] = AFTER(PREPARING),
	[CLASSIC_PREPARING] = AFTER(EMPTY) | AFTER(COMPLETING) | AFTER(STABLE),
	[CLASSIC_COMPLETING] = AFTER(PREPARING),
	[CLASSIC_STABLE] = AFTER(COMPLETING),
	[CLASSIC_DEAD] =
		AFTER(EMPTY) | AFTER(PREPARING) | AFTER(COMPLETING) | AFTER(STABLE) | AFTER(DEAD),
};

static void move(struct classic_group *g, enum classic_state next)
{
	assert(may_follow[next] & (1u << g->state));
	g->state = next;
}

/* --- making, ending --- */

struct classic_group *classic_new(const struct classic_options *options,
				  struct deadlines *deadlines, void *owner, int32_t generation)
{
	struct classic_group *g = xcalloc(1, sizeof *g);

	g->options = options;
	g->deadlines = deadlines;
	g->owner = g->rebalance.owner = owner;
	g->generation = generation;
	g->bytes = sizeof *g;
	return g;
}

void classic_free(struct classic_group *g)
{
	if (!g)
		return;
	while (g->members.count > 0)
		member_remove(g, member_at(g, 0));
	while (g->pending.count > 0)
		pending_remove(g, g->pending.items[0]);
	deadline_clear(g->deadlines, &g->rebalance);
	assert(g->support_count == 0 && g->bytes == sizeof *g + names_bytes(&g->topics));
	free(g->support);
	sorted_fini(&g->members);
	sorted_fini(&g->pending);
	sorted_fini(&g->instances);
	names_fini(&g->topics);
	text_free(&g->protocol_type);
	text_free(&g->protocol_name);
	text_free(&g->former_id);
	free(g);
}

void classic_effects_clear(struct classic_effects *fx)
{
	fx->persist = false;
	fx->count = 0;
}

void classic_effects_fini(struct classic_effects *fx)
{
	free(fx->answers);
	*fx = (struct classic_effects){0};
}

/* --- answers --- */

static struct classic_answer *answer(struct classic_effects *fx, void *call, bool is_join,
				     enum ks_err err)
{
	if (fx->count == fx->cap) {
		fx->cap = fx->cap ? 2 * fx->cap : 8;
		fx->answers = xrealloc(fx->answers, fx->cap * sizeof *fx->answers);
	}
	struct classic_answer *a = &fx->answers[fx->count++];
	*a = (struct classic_answer){.call = call, .is_join = is_join, .err = err};
	return a;
}

static void refuse_join(const struct classic_join *j, enum ks_err err, struct classic_effects *fx)
{
	answer(fx, j->call, true, err);
}

/* With the generation as it is. */
static struct classic_answer *accept_join(const struct classic_group *g, void *call,
					  const struct classic_member *m,
					  struct classic_effects *fx)
{
	struct classic_answer *a = answer(fx, call, true, ERR_NONE);

	a->member = m;
	a->leader_id = g->leader->id;
	a->with_members = g->leader == m;
	return a;
}

static void answer_join(struct classic_group *g, struct classic_member *m, enum ks_err err,
			struct classic_effects *fx)
{
	void *call = m->join_call;

	if (!call)
		return;
	m->join_call = NULL;
	g->joined--;
	if (err)
		answer(fx, call, true, err);
	else
		accept_join(g, call, m, fx);
}

static void accept_sync(void *call, const struct classic_member *m, struct classic_effects *fx)
{
	answer(fx, call, false, ERR_NONE)->member = m;
}

static void session_begin(struct classic_group *g, struct classic_member *m,
			  const struct moment *at)
{
	deadline_set(g->deadlines, &m->session, at->ms + m->session_timeout_ms);
}

/* The session of one that waited was not watched meanwhile. */
static void answer_sync(struct classic_group *g, struct classic_member *m, enum ks_err err,
			const struct moment *at, struct classic_effects *fx)
{
	void *call = m->sync_call;

	if (!call)
		return;
	m->sync_call = NULL;
	if (err)
		answer(fx, call, false, err);
	else
		accept_sync(call, m, fx);
	session_begin(g, m, at);
}

/* One call at a time: a client that lost its connection and joins again drops the older. */
static void park_join(struct classic_group *g, struct classic_member *m, void *call,
		      struct classic_effects *fx)
{
	answer_join(g, m, ERR_REBALANCE_IN_PROGRESS, fx);
	m->join_call = call;
	g->joined++;
}

/* --- the states --- */

static bool all_have_joined(const struct classic_group *g)
{
	return g->joined == g->members.count && g->pending.count == 0;
}

static void drop_member(struct classic_group *g, struct classic_member *m, enum ks_err err,
			const struct moment *at, struct classic_effects *fx)
{
	answer_join(g, m, err, fx);
	answer_sync(g, m, err, at, fx);
	member_remove(g, m);
}

/* A static member may be away for as long as its session lasts. */
static void drop_absent(struct classic_group *g, const struct moment *at,
			struct classic_effects *fx)
{
	for (size_t i = g->members.count; i-- > 0;) {
		struct classic_member *m = member_at(g, i);
		if (!m->join_call && !m->instance_id.data)
			drop_member(g, m, ERR_UNKNOWN_MEMBER_ID, at, fx);
	}
}

/* The leader is one who has joined. false: nobody has. */
static bool elect_leader(struct classic_group *g)
{
	if (g->leader && g->leader->join_call)
		return true;
	for (size_t i = 0; i < g->members.count; i++)
		if (member_at(g, i)->join_call) {
			g->leader = member_at(g, i);
			return true;
		}
	return false;
}

static void become_empty(struct classic_group *g, const struct moment *at)
{
	move(g, CLASSIC_EMPTY);
	text_free(&g->protocol_name);
	topics_update(g);
	g->leader = NULL;
	g->empty_since_ms = at->wall_ms;
}

static void begin_generation(struct classic_group *g, const struct moment *at,
			     struct classic_effects *fx)
{
	move(g, CLASSIC_COMPLETING);
	text_set(&g->protocol_name, protocol_select(g));
	topics_update(g);
	for (size_t i = 0; i < g->members.count; i++) {
		struct classic_member *m = member_at(g, i);
		answer_join(g, m, ERR_NONE, fx);
		member_assign(g, m, SLICE_NULL);
		m->is_new = false;
		m->is_unsynced = true;
		session_begin(g, m, at);
	}
	g->unsynced = g->members.count;
	deadline_set(g->deadlines, &g->rebalance, at->ms + rebalance_timeout_ms(g));
}

static void finish_joins(struct classic_group *g, const struct moment *at,
			 struct classic_effects *fx)
{
	assert(g->state == CLASSIC_PREPARING);
	deadline_clear(g->deadlines, &g->rebalance);
	drop_absent(g, at, fx);
	if (g->members.count > 0 && !elect_leader(g)) {
		/* Only static members are left, and all are away. */
		g->is_initial = false;
		deadline_set(g->deadlines, &g->rebalance, at->ms + rebalance_timeout_ms(g));
		return;
	}
	g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
	if (g->members.count == 0)
		become_empty(g, at);
	else
		begin_generation(g, at, fx);
	fx->persist = true;
}

static void finish_joins_if_all_are_here(struct classic_group *g, const struct moment *at,
					 struct classic_effects *fx)
{
	if (g->state == CLASSIC_PREPARING && !g->is_initial && all_have_joined(g))
		finish_joins(g, at, fx);
}

/* What a generation left open is void. */
static void abandon_syncs(struct classic_group *g, const struct moment *at,
			  struct classic_effects *fx)
{
	for (size_t i = 0; i < g->members.count; i++) {
		struct classic_member *m = member_at(g, i);
		answer_sync(g, m, ERR_REBALANCE_IN_PROGRESS, at, fx);
		m->is_unsynced = false;
	}
	g->unsynced = 0;
}

static void begin_delay(struct classic_group *g, const struct moment *at)
{
	int32_t left = rebalance_timeout_ms(g) - g->options->initial_delay_ms;

	g->is_initial = true;
	g->has_newcomer = false;
	g->delay_ms = g->options->initial_delay_ms;
	g->delay_left_ms = left > 0 ? left : 0;
	deadline_set(g->deadlines, &g->rebalance, at->ms + g->delay_ms);
}

static void prepare(struct classic_group *g, const struct moment *at, struct classic_effects *fx)
{
	bool was_empty = g->state == CLASSIC_EMPTY;

	abandon_syncs(g, at, fx);
	deadline_clear(g->deadlines, &g->rebalance);
	g->is_initial = false;
	move(g, CLASSIC_PREPARING);
	if (was_empty)
		begin_delay(g, at);
	else if (all_have_joined(g))
		finish_joins(g, at, fx);
	else
		deadline_set(g->deadlines, &g->rebalance, at->ms + rebalance_timeout_ms(g));
}

static void prepare_or_finish(struct classic_group *g, const struct moment *at,
			      struct classic_effects *fx)
{
	if (g->state == CLASSIC_PREPARING)
		finish_joins_if_all_are_here(g, at, fx);
	else
		prepare(g, at, fx);
}

/* Each newcomer lengthens the delay, at most to the rebalance timeout in all. */
static void end_delay(struct classic_group *g, const struct moment *at, struct classic_effects *fx)
{
	if (!g->has_newcomer || g->delay_left_ms == 0) {
		finish_joins(g, at, fx);
		return;
	}
	int32_t next = g->options->initial_delay_ms < g->delay_left_ms
			       ? g->options->initial_delay_ms
			       : g->delay_left_ms;
	g->has_newcomer = false;
	g->delay_left_ms -= g->delay_ms < g->delay_left_ms ? g->delay_ms : g->delay_left_ms;
	g->delay_ms = next;
	deadline_set(g->deadlines, &g->rebalance, at->ms + next);
}

/* --- joining --- */

static void add(struct classic_group *g, const struct classic_join *j, struct slice id,
		const struct moment *at, struct classic_effects *fx)
{
	struct classic_member *m = member_add(g, j, id);

	m->is_new = true;
	if (g->state == CLASSIC_PREPARING && g->is_initial)
		g->has_newcomer = true;
	park_join(g, m, j->call, fx);
	/* It cannot send heartbeats before it knows its id. A client that gave up meanwhile is not
	 * to stay for ever. */
	deadline_set(g->deadlines, &m->session, at->ms + g->options->new_member_timeout_ms);
	prepare_or_finish(g, at, fx);
}

static void rejoin(struct classic_group *g, struct classic_member *m, const struct classic_join *j,
		   const struct moment *at, struct classic_effects *fx)
{
	member_update(g, m, j);
	park_join(g, m, j->call, fx);
	prepare_or_finish(g, at, fx);
}

/* In a stable group a static member that comes back changes nothing, unless the protocol would. */
static void answer_returned(struct classic_group *g, struct classic_member *m,
			    const struct classic_join *j, bool was_leader,
			    struct classic_effects *fx)
{
	struct classic_answer *a = accept_join(g, j->call, m, fx);

	fx->persist = true;
	if (!was_leader)
		return;
	if (j->may_skip_assignment) {
		a->skip_assignment = true;
		return;
	}
	/* An older client that heard it leads would assign anew, which nobody waits for: it hears
	 * the id it had before. */
	a->leader_id = g->former_id;
	a->with_members = false;
}

static void replace_static(struct classic_group *g, struct classic_member *m,
			   const struct classic_join *j, const struct moment *at,
			   struct classic_effects *fx)
{
	bool was_leader = g->leader == m;

	answer_join(g, m, ERR_FENCED_INSTANCE_ID, fx);
	answer_sync(g, m, ERR_FENCED_INSTANCE_ID, at, fx);
	member_rename(g, m, j->fresh_id);
	member_update(g, m, j);
	m->is_new = false;
	session_begin(g, m, at);
	if (g->state == CLASSIC_STABLE &&
	    slice_compare(protocol_select(g), g->protocol_name) == 0) {
		topics_update(g);
		answer_returned(g, m, j, was_leader, fx);
		return;
	}
	park_join(g, m, j->call, fx);
	prepare_or_finish(g, at, fx);
}

static void join_new(struct classic_group *g, const struct classic_join *j, const struct moment *at,
		     struct classic_effects *fx)
{
	struct classic_member *m =
		j->instance_id.data ? member_of_instance(g, j->instance_id) : NULL;

	if (m) {
		replace_static(g, m, j, at, fx);
		return;
	}
	if (j->instance_id.data || !j->needs_member_id) {
		add(g, j, j->fresh_id, at, fx);
		return;
	}
	m = pending_add(g, j->fresh_id);
	deadline_set(g->deadlines, &m->session, at->ms + j->session_timeout_ms);
	refuse_join(j, ERR_MEMBER_ID_REQUIRED, fx);
}

static enum ks_err check_member(const struct classic_group *g, struct slice id,
				struct slice instance_id)
{
	if (instance_id.data) {
		const struct classic_member *m = member_of_instance(g, instance_id);
		if (!m)
			return ERR_UNKNOWN_MEMBER_ID;
		if (slice_compare(m->id, id) != 0)
			return ERR_FENCED_INSTANCE_ID;
	}
	return member_find(g, id) ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
}

static void join_pending(struct classic_group *g, struct classic_member *pending,
			 const struct classic_join *j, const struct moment *at,
			 struct classic_effects *fx)
{
	if (j->instance_id.data) { /* those are never told to come back with an id */
		refuse_join(j, ERR_UNKNOWN_MEMBER_ID, fx);
		return;
	}
	pending_remove(g, pending);
	add(g, j, j->member_id, at, fx);
}

static void join_known(struct classic_group *g, const struct classic_join *j,
		       const struct moment *at, struct classic_effects *fx)
{
	struct classic_member *pending = pending_find(g, j->member_id);

	if (pending) {
		join_pending(g, pending, j, at, fx);
		return;
	}
	enum ks_err err = check_member(g, j->member_id, j->instance_id);
	if (err) {
		refuse_join(j, err, fx);
		return;
	}
	struct classic_member *m = member_find(g, j->member_id);
	/* Who did not hear the answer asks again and hears it again. In a stable group the leader's
	 * join has a meaning: topics have changed, assign anew. */
	if (member_matches(m, j) &&
	    (g->state == CLASSIC_COMPLETING || (g->state == CLASSIC_STABLE && g->leader != m))) {
		accept_join(g, j->call, m, fx);
		return;
	}
	rejoin(g, m, j, at, fx);
}

/* Counts those who have joined while they do, so that of too many the last are turned away. */
static bool has_room(const struct classic_group *g, const struct classic_join *j)
{
	const struct classic_member *m = j->instance_id.data ? member_of_instance(g, j->instance_id)
							     : member_find(g, j->member_id);
	size_t max = (size_t)g->options->max_size;

	if (g->state == CLASSIC_EMPTY)
		return true;
	if (g->state == CLASSIC_PREPARING)
		return (m && m->join_call) || g->joined < max;
	return m || g->members.count < max;
}

static void turn_away(struct classic_group *g, const struct classic_join *j,
		      const struct moment *at, struct classic_effects *fx)
{
	struct classic_member *m = member_find(g, j->member_id);
	struct classic_member *pending = pending_find(g, j->member_id);

	refuse_join(j, ERR_GROUP_MAX_SIZE_REACHED, fx);
	if (m)
		drop_member(g, m, ERR_UNKNOWN_MEMBER_ID, at, fx);
	if (pending)
		pending_remove(g, pending);
	finish_joins_if_all_are_here(g, at, fx);
}

void classic_join(struct classic_group *g, const struct classic_join *j, const struct moment *at,
		  struct classic_effects *fx)
{
	if (g->state == CLASSIC_DEAD)
		refuse_join(j, ERR_NOT_COORDINATOR, fx);
	else if (!has_room(g, j))
		turn_away(g, j, at, fx);
	else if (!protocols_fit(g, j))
		refuse_join(j, ERR_INCONSISTENT_GROUP_PROTOCOL, fx);
	else if (j->member_id.len == 0)
		join_new(g, j, at, fx);
	else
		join_known(g, j, at, fx);
}

/* --- syncing --- */

static void mark_synced(struct classic_group *g, struct classic_member *m)
{
	if (!m->is_unsynced)
		return;
	m->is_unsynced = false;
	if (--g->unsynced == 0)
		deadline_clear(g->deadlines, &g->rebalance);
}

/* Who is not mentioned gets an empty assignment. */
static void take_assignments(struct classic_group *g, const struct classic_sync *s,
			     const struct moment *at, struct classic_effects *fx)
{
	for (size_t i = 0; i < g->members.count; i++)
		member_assign(g, member_at(g, i), slice_str(""));
	for (size_t i = 0; i < s->assignment_count; i++) {
		struct classic_member *m = member_find(g, s->assignments[i].member_id);
		if (m && s->assignments[i].assignment.data)
			member_assign(g, m, s->assignments[i].assignment);
	}
	move(g, CLASSIC_STABLE);
	fx->persist = true;
	for (size_t i = 0; i < g->members.count; i++)
		answer_sync(g, member_at(g, i), ERR_NONE, at, fx);
}

static void sync_member(struct classic_group *g, struct classic_member *m,
			const struct classic_sync *s, const struct moment *at,
			struct classic_effects *fx)
{
	mark_synced(g, m);
	if (g->state == CLASSIC_STABLE) {
		accept_sync(s->call, m, fx);
		return;
	}
	answer_sync(g, m, ERR_REBALANCE_IN_PROGRESS, at, fx); /* an older one of the same member */
	m->sync_call = s->call;
	if (g->leader == m)
		take_assignments(g, s, at, fx);
}

static bool contradicts(struct slice said, struct slice is)
{
	return said.data && is.data && slice_compare(said, is) != 0;
}

static enum ks_err check_sync(const struct classic_group *g, const struct classic_sync *s)
{
	if (g->state == CLASSIC_DEAD)
		return ERR_NOT_COORDINATOR;
	enum ks_err err = check_member(g, s->member_id, s->instance_id);
	if (err)
		return err;
	if (s->generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	if (contradicts(s->protocol_type, g->protocol_type) ||
	    contradicts(s->protocol_name, g->protocol_name))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	return g->state == CLASSIC_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

void classic_sync(struct classic_group *g, const struct classic_sync *s, const struct moment *at,
		  struct classic_effects *fx)
{
	enum ks_err err = check_sync(g, s);

	if (err)
		answer(fx, s->call, false, err);
	else
		sync_member(g, member_find(g, s->member_id), s, at, fx);
}

/* --- the rest of a member's life --- */

enum ks_err classic_heartbeat(struct classic_group *g, int32_t generation, struct slice member_id,
			      struct slice instance_id, const struct moment *at)
{
	if (g->state == CLASSIC_DEAD)
		return ERR_NOT_COORDINATOR;
	enum ks_err err = check_member(g, member_id, instance_id);
	if (err)
		return err;
	if (generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	session_begin(g, member_find(g, member_id), at);
	return g->state == CLASSIC_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

/* true: it was a member. */
static bool leave(struct classic_group *g, struct classic_leaver *l, const struct moment *at,
		  struct classic_effects *fx)
{
	struct classic_member *m = pending_find(g, l->member_id);

	l->err = ERR_NONE;
	if (m && l->member_id.len > 0) {
		pending_remove(g, m);
		return false;
	}
	if (l->member_id.len == 0) { /* an administrator names the instance alone */
		m = l->instance_id.data ? member_of_instance(g, l->instance_id) : NULL;
		l->err = m ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
	} else {
		l->err = check_member(g, l->member_id, l->instance_id);
		m = l->err ? NULL : member_find(g, l->member_id);
	}
	if (m)
		drop_member(g, m, ERR_UNKNOWN_MEMBER_ID, at, fx);
	return m;
}

void classic_leave(struct classic_group *g, struct classic_leaver *leavers, size_t count,
		   const struct moment *at, struct classic_effects *fx)
{
	bool has_lost = false;

	for (size_t i = 0; i < count; i++)
		has_lost |= leave(g, &leavers[i], at, fx);
	if (has_lost)
		prepare_or_finish(g, at, fx);
	else
		finish_joins_if_all_are_here(g, at, fx);
}

enum ks_err classic_check_commit(struct classic_group *g, int32_t generation,
				 struct slice member_id, struct slice instance_id,
				 const struct moment *at)
{
	if (g->state == CLASSIC_DEAD)
		return ERR_NOT_COORDINATOR;
	if (generation < 0 && g->state == CLASSIC_EMPTY)
		return ERR_NONE;
	if (generation < 0 && member_id.len == 0 && !instance_id.data)
		return ERR_UNKNOWN_MEMBER_ID;
	enum ks_err err = check_member(g, member_id, instance_id);
	if (err)
		return err;
	if (generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	/* It heard of this generation and not of its assignment: what it would commit is from
	 * before. */
	if (g->state == CLASSIC_COMPLETING)
		return ERR_REBALANCE_IN_PROGRESS;
	session_begin(g, member_find(g, member_id), at);
	return ERR_NONE;
}

enum ks_err classic_check_txn_commit(const struct classic_group *g, int32_t generation,
				     struct slice member_id, struct slice instance_id)
{
	if (g->state == CLASSIC_DEAD)
		return ERR_NOT_COORDINATOR;
	if (generation < 0 &&
	    (g->state == CLASSIC_EMPTY || (member_id.len == 0 && !instance_id.data)))
		return ERR_NONE;
	enum ks_err err = check_member(g, member_id, instance_id);
	if (err)
		return err;
	return generation == g->generation ? ERR_NONE : ERR_ILLEGAL_GENERATION;
}

static void expire_syncs(struct classic_group *g, const struct moment *at,
			 struct classic_effects *fx)
{
	for (size_t i = g->members.count; i-- > 0;)
		if (member_at(g, i)->is_unsynced)
			drop_member(g, member_at(g, i), ERR_UNKNOWN_MEMBER_ID, at, fx);
	prepare(g, at, fx);
}

static void expire_rebalance(struct classic_group *g, const struct moment *at,
			     struct classic_effects *fx)
{
	if (g->state != CLASSIC_PREPARING)
		expire_syncs(g, at, fx);
	else if (g->is_initial)
		end_delay(g, at, fx);
	else
		finish_joins(g, at, fx);
}

static void expire_session(struct classic_group *g, struct classic_member *m,
			   const struct moment *at, struct classic_effects *fx)
{
	if (m->is_pending) {
		pending_remove(g, m);
		finish_joins_if_all_are_here(g, at, fx);
		return;
	}
	/* It waits for us. Its session goes on when it is answered. */
	if (!m->is_new && (m->join_call || m->sync_call))
		return;
	drop_member(g, m, ERR_UNKNOWN_MEMBER_ID, at, fx);
	prepare_or_finish(g, at, fx);
}

void classic_expire(struct classic_group *g, struct deadline *t, const struct moment *at,
		    struct classic_effects *fx)
{
	if (t == &g->rebalance)
		expire_rebalance(g, at, fx);
	else
		expire_session(g, t->subject, at, fx);
}

void classic_end(struct classic_group *g, enum ks_err err, struct classic_effects *fx)
{
	static const struct moment never = {0, 0};

	for (size_t i = 0; i < g->members.count; i++) {
		struct classic_member *m = member_at(g, i);
		answer_join(g, m, err, fx);
		answer_sync(g, m, err, &never, fx);
		deadline_clear(g->deadlines, &m->session);
	}
	for (size_t i = 0; i < g->pending.count; i++)
		deadline_clear(g->deadlines,
			       &((struct classic_member *)g->pending.items[i])->session);
	deadline_clear(g->deadlines, &g->rebalance);
	move(g, CLASSIC_DEAD);
}

bool classic_reads_topic(const struct classic_group *g, struct slice topic)
{
	if (g->knows_topics)
		return names_have(&g->topics, topic);
	return g->protocol_type.data && slice_compare(g->protocol_type, slice_str("consumer")) == 0;
}

bool classic_is_blank(const struct classic_group *g)
{
	return g->state == CLASSIC_EMPTY && g->generation == 0 && g->pending.count == 0;
}

/* --- what is written down --- */

void classic_record_make(const struct classic_group *g, struct arena *arena,
			 struct classic_record *r)
{
	size_t n = g->members.count;

	assert(g->state != CLASSIC_PREPARING && g->state != CLASSIC_DEAD);
	*r = (struct classic_record){
		.state = g->state,
		.generation = g->generation,
		.empty_since_ms = g->empty_since_ms,
		.protocol_type = g->protocol_type,
		.protocol_name = g->protocol_name,
		.leader_id = g->leader ? g->leader->id : SLICE_NULL,
		.members = arena_alloc(arena, n * sizeof *r->members),
		.member_count = n,
	};
	for (size_t i = 0; i < n; i++) {
		const struct classic_member *m = member_at(g, i);
		r->members[i] = (struct classic_member_record){
			.id = m->id,
			.instance_id = m->instance_id,
			.client_id = m->client_id,
			.client_host = m->client_host,
			.session_timeout_ms = m->session_timeout_ms,
			.rebalance_timeout_ms = m->rebalance_timeout_ms,
			.protocols = m->protocols,
			.protocol_count = m->protocol_count,
			.assignment = m->assignment,
		};
	}
}

/* Whether it was written by classic_record_make, as far as the rest relies on it. */
static bool record_makes_sense(const struct classic_record *r)
{
	bool is_empty = r->state == CLASSIC_EMPTY;

	if (r->state != CLASSIC_EMPTY && r->state != CLASSIC_COMPLETING &&
	    r->state != CLASSIC_STABLE)
		return false;
	if (r->generation < 0 || is_empty != (r->member_count == 0))
		return false;
	if (!is_empty && (!r->protocol_type.data || !r->protocol_name.data || !r->leader_id.data))
		return false;
	for (size_t i = 0; i < r->member_count; i++) {
		const struct classic_member_record *m = &r->members[i];
		if (m->session_timeout_ms < 0 || m->rebalance_timeout_ms < 0)
			return false;
		if (i > 0 && slice_compare(r->members[i - 1].id, m->id) >= 0)
			return false;
	}
	return true;
}

static bool restore_member(struct classic_group *g, const struct classic_record *r, size_t i)
{
	const struct classic_member_record *from = &r->members[i];
	struct classic_join j = {
		.instance_id = from->instance_id,
		.client_id = from->client_id,
		.client_host = from->client_host,
		.protocol_type = r->protocol_type,
		.protocols = from->protocols,
		.protocol_count = from->protocol_count,
		.session_timeout_ms = from->session_timeout_ms,
		.rebalance_timeout_ms = from->rebalance_timeout_ms,
	};

	if (from->instance_id.data && member_of_instance(g, from->instance_id))
		return false;
	struct classic_member *m = member_add(g, &j, from->id);
	if (from->assignment.data)
		member_assign(g, m, from->assignment);
	else if (r->state == CLASSIC_STABLE)
		member_assign(g, m, slice_str(""));
	return true;
}

static bool restore_members(struct classic_group *g, const struct classic_record *r)
{
	for (size_t i = 0; i < r->member_count; i++)
		if (!restore_member(g, r, i))
			return false;
	if (r->member_count == 0)
		return true;
	g->leader = member_find(g, r->leader_id);
	const struct classic_support *s = NULL;
	for (size_t i = 0; i < g->support_count; i++)
		if (slice_compare(g->support[i].name, r->protocol_name) == 0)
			s = &g->support[i];
	return g->leader && s && s->members == g->members.count;
}

static void undo_restore(struct classic_group *g)
{
	while (g->members.count > 0)
		member_remove(g, member_at(g, 0));
	text_free(&g->protocol_type);
}

bool classic_restore(struct classic_group *g, const struct classic_record *r,
		     const struct moment *at)
{
	assert(classic_is_blank(g));
	if (!record_makes_sense(r))
		return false;
	if (!restore_members(g, r)) {
		undo_restore(g);
		return false;
	}
	g->state = r->state;
	g->generation = r->generation;
	g->empty_since_ms = r->empty_since_ms;
	text_set(&g->protocol_type, r->protocol_type);
	text_set(&g->protocol_name, r->protocol_name);
	topics_update(g);
	for (size_t i = 0; i < g->members.count; i++) {
		session_begin(g, member_at(g, i), at);
		member_at(g, i)->is_unsynced = g->state == CLASSIC_COMPLETING;
	}
	if (g->state == CLASSIC_COMPLETING) {
		g->unsynced = g->members.count;
		deadline_set(g->deadlines, &g->rebalance, at->ms + rebalance_timeout_ms(g));
	}
	return true;
}

/* Random clients of the classic protocol: joins, syncs, heartbeats, departures, crashes, lost
 * answers, time and restarts. After every step the group is looked at whole. */
#include "sim.h"

#include "groups/classic.h"
#include "groups/classic_impl.h"
#include "groups/record.h"

#define CLIENTS    6
#define CALLS      4096
#define SESSION_MS 10000

/* What a client is doing. */
enum doing { NOTHING, JOINING, SYNCING };

struct client {
	struct slice id; /* null: none; owned */
	char instance[16];
	bool is_static, may_skip, needs_id;
	int32_t generation; /* of its membership; 0: none */
	bool is_leader, has_assignment;
	enum doing doing;
	int call;     /* the one it waits for; 0: none */
	int metadata; /* the number that its metadata says */
	struct slice members[CLIENTS * 3];
	size_t member_count;
};

struct world {
	struct sim *sim;
	struct classic_options options;
	struct deadlines deadlines;
	struct classic_group *g;
	struct classic_effects fx;
	struct moment at;
	struct buf written; /* the record as it is in the store */
	bool has_written;
	struct client clients[CLIENTS];
	int ids, calls;
	struct {
		bool is_open, is_join;
		int client; /* who waits; -1: nobody any more */
	} call[CALLS];
	int32_t told_generation; /* the highest in any answer */
	int stable_seen;
};

static void forget_members(struct client *c)
{
	for (size_t i = 0; i < c->member_count; i++)
		text_free(&c->members[i]);
	c->member_count = 0;
}

static void forget_membership(struct client *c)
{
	c->generation = 0;
	c->is_leader = c->has_assignment = false;
	forget_members(c);
}

static void forget_id(struct client *c)
{
	text_free(&c->id);
	forget_membership(c);
}

static void expected_assignment(char *out, size_t size, struct slice id, int32_t generation)
{
	snprintf(out, size, "%.*s@%d", (int)id.len, (const char *)id.data, generation);
}

/* --- answers --- */

static void hear_join(struct world *w, struct client *c, const struct classic_answer *a,
		      struct slice fresh)
{
	if (a->err == ERR_MEMBER_ID_REQUIRED) {
		text_set(&c->id, fresh);
		return;
	}
	if (a->err == ERR_UNKNOWN_MEMBER_ID || a->err == ERR_FENCED_INSTANCE_ID)
		forget_id(c);
	if (a->err)
		return;
	forget_membership(c);
	text_set(&c->id, a->member->id);
	c->generation = w->g->generation;
	c->is_leader = slice_compare(a->leader_id, a->member->id) == 0 && !a->skip_assignment;
	sim_check(w->sim, !c->is_leader || a->with_members);
	for (size_t i = 0; c->is_leader && i < w->g->members.count; i++)
		c->members[c->member_count++] =
			text_copy(((struct classic_member *)w->g->members.items[i])->id);
}

static void hear_sync(struct world *w, struct client *c, const struct classic_answer *a)
{
	char want[64];

	if (a->err == ERR_UNKNOWN_MEMBER_ID || a->err == ERR_FENCED_INSTANCE_ID)
		forget_id(c);
	if (a->err) {
		c->generation = 0;
		return;
	}
	/* It is what the leader gave this member, or who had its place, in this generation; or
	 * nothing when the leader did not know of it. */
	expected_assignment(want, sizeof want, c->id, c->generation);
	struct slice got = a->member->assignment;
	sim_check(w->sim, got.data);
	if (!c->is_static)
		sim_check(w->sim, got.len == 0 || slice_compare(got, slice_str(want)) == 0);
	c->has_assignment = true;
}

static void deliver(struct world *w, const struct classic_answer *a, struct slice fresh)
{
	int call = (int)(uintptr_t)a->call;

	sim_check(w->sim, w->call[call].is_open); /* answered once */
	w->call[call].is_open = false;
	sim_check(w->sim, a->is_join == w->call[call].is_join);
	if (!a->err && w->g->generation > w->told_generation)
		w->told_generation = w->g->generation;
	if (w->call[call].client < 0)
		return;
	struct client *c = &w->clients[w->call[call].client];
	if (c->call != call)
		return;
	c->call = 0;
	c->doing = NOTHING;
	if (sim_chance(w->sim, 8))
		return; /* the answer is lost */
	if (a->is_join)
		hear_join(w, c, a, fresh);
	else
		hear_sync(w, c, a);
}

/* What is written can be read, makes the same group, and would be written again as the same. */
static void check_written(struct world *w)
{
	struct arena arena = {0};
	struct buf again = {0};
	struct classic_record r;
	struct classic_group *copy = classic_new(&w->options, &w->deadlines, w, 0);

	sim_check(w->sim, classic_record_decode(buf_slice(&w->written), &arena, &r));
	sim_check(w->sim, classic_restore(copy, &r, &w->at));
	classic_record_make(copy, &arena, &r);
	classic_record_encode(&again, &r);
	sim_check(w->sim, slice_equal(buf_slice(&again), buf_slice(&w->written)));
	sim_check(w->sim, copy->state == w->g->state && copy->generation == w->g->generation);
	sim_check(w->sim, names_equal(&copy->topics, &w->g->topics));
	classic_free(copy);
	buf_fini(&again);
	arena_fini(&arena);
}

static void write_down(struct world *w)
{
	struct arena arena = {0};
	struct classic_record r;

	classic_record_make(w->g, &arena, &r);
	buf_clear(&w->written);
	classic_record_encode(&w->written, &r);
	w->has_written = true;
	arena_fini(&arena);
	check_written(w);
}

static void carry_out(struct world *w, struct slice fresh)
{
	if (w->fx.persist)
		write_down(w);
	for (size_t i = 0; i < w->fx.count; i++)
		deliver(w, &w->fx.answers[i], fresh);
	classic_effects_clear(&w->fx);
}

/* --- what must be true at any time --- */

static void check_members(struct world *w)
{
	const struct classic_group *g = w->g;
	size_t joined = 0, unsynced = 0, instances = 0;

	for (size_t i = 0; i < g->members.count; i++) {
		const struct classic_member *m = g->members.items[i];
		joined += m->join_call ? 1u : 0u;
		unsynced += m->is_unsynced ? 1u : 0u;
		instances += m->instance_id.data ? 1u : 0u;
		sim_check(w->sim, !(m->join_call && m->sync_call));
		sim_check(w->sim, !m->join_call || g->state == CLASSIC_PREPARING);
		sim_check(w->sim, !m->sync_call || g->state == CLASSIC_COMPLETING);
		/* Nobody stays for ever without a sign of life. */
		sim_check(w->sim, deadline_is_set(&m->session) || (m->join_call && !m->is_new) ||
					  m->sync_call);
		sim_check(w->sim, g->state != CLASSIC_STABLE || m->assignment.data);
		if (m->instance_id.data)
			sim_check(w->sim, member_of_instance(g, m->instance_id) == m);
	}
	sim_check(w->sim, joined == g->joined);
	sim_check(w->sim, unsynced == g->unsynced);
	sim_check(w->sim, instances == g->instances.count);
}

static void check_parked(struct world *w)
{
	size_t open = 0, parked = 0;

	for (int i = 1; i <= w->calls; i++)
		open += w->call[i].is_open ? 1u : 0u;
	for (size_t i = 0; i < w->g->members.count; i++) {
		const struct classic_member *m = w->g->members.items[i];
		parked += (m->join_call ? 1u : 0u) + (m->sync_call ? 1u : 0u);
	}
	sim_check(w->sim, open == parked);
}

static void check(struct world *w)
{
	const struct classic_group *g = w->g;

	check_members(w);
	check_parked(w);
	sim_check(w->sim, g->generation >= w->told_generation);
	sim_check(w->sim, (g->state == CLASSIC_EMPTY) ==
				  (g->members.count == 0 && g->state != CLASSIC_PREPARING));
	sim_check(w->sim, g->state != CLASSIC_PREPARING || deadline_is_set(&g->rebalance));
	sim_check(w->sim, g->state != CLASSIC_COMPLETING || deadline_is_set(&g->rebalance));
	sim_check(w->sim, g->state != CLASSIC_EMPTY || !deadline_is_set(&g->rebalance));
	if (g->state == CLASSIC_COMPLETING || g->state == CLASSIC_STABLE)
		sim_check(w->sim, g->leader && member_find(g, g->leader->id) == g->leader);
	for (size_t i = 0; i < g->pending.count; i++)
		sim_check(
			w->sim,
			deadline_is_set(&((struct classic_member *)g->pending.items[i])->session));
	w->stable_seen += g->state == CLASSIC_STABLE;
}

/* --- what clients do --- */

static int new_call(struct world *w, int client, bool is_join)
{
	sim_check(w->sim, w->calls < CALLS - 1);
	int call = ++w->calls;
	w->call[call].is_open = true;
	w->call[call].is_join = is_join;
	w->call[call].client = client;
	w->clients[client].call = call;
	return call;
}

static void do_join(struct world *w, int i)
{
	struct client *c = &w->clients[i];
	char fresh[24], metadata[16];

	snprintf(fresh, sizeof fresh, "m-%d", ++w->ids);
	snprintf(metadata, sizeof metadata, "%d", c->metadata);
	struct classic_protocol protocols[] = {{slice_str("a"), slice_str(metadata)},
					       {slice_str("b"), slice_str("x")}};
	struct classic_join j = {
		.member_id = c->id.data ? c->id : slice_str(""),
		.instance_id = c->is_static ? slice_str(c->instance) : SLICE_NULL,
		.client_id = slice_str("c"),
		.client_host = slice_str("h"),
		.protocol_type = slice_str("sim"),
		.protocols = sim_chance(w->sim, 50) ? protocols : protocols + 1,
		.session_timeout_ms = SESSION_MS,
		.rebalance_timeout_ms = 20000 + sim_below(w->sim, 20000),
		.needs_member_id = c->needs_id,
		.may_skip_assignment = c->may_skip,
		.fresh_id = slice_str(fresh),
	};
	j.protocol_count = j.protocols == protocols ? 2 : 1;
	j.call = (void *)(uintptr_t)new_call(w, i, true);
	c->doing = JOINING;
	classic_join(w->g, &j, &w->at, &w->fx);
	carry_out(w, slice_str(fresh));
}

static void do_sync(struct world *w, int i)
{
	struct client *c = &w->clients[i];
	struct classic_assignment a[CLIENTS * 3];
	char texts[CLIENTS * 3][64];
	size_t n = 0;

	for (size_t k = 0; k < c->member_count; k++) {
		if (sim_chance(w->sim, 3))
			continue; /* the leader forgets one */
		expected_assignment(texts[n], sizeof texts[n], c->members[k], c->generation);
		a[n] = (struct classic_assignment){c->members[k], slice_str(texts[n])};
		n++;
	}
	struct classic_sync s = {
		.generation = c->generation,
		.member_id = c->id,
		.instance_id = c->is_static ? slice_str(c->instance) : SLICE_NULL,
		.assignments = a,
		.assignment_count = n,
		.call = (void *)(uintptr_t)new_call(w, i, false),
	};
	c->doing = SYNCING;
	classic_sync(w->g, &s, &w->at, &w->fx);
	carry_out(w, SLICE_NULL);
}

static void do_heartbeat(struct world *w, struct client *c)
{
	enum ks_err err =
		classic_heartbeat(w->g, c->generation, c->id,
				  c->is_static ? slice_str(c->instance) : SLICE_NULL, &w->at);

	if (err == ERR_UNKNOWN_MEMBER_ID || err == ERR_FENCED_INSTANCE_ID)
		forget_id(c);
	else if (err)
		forget_membership(c);
}

static void do_leave(struct world *w, struct client *c)
{
	struct classic_leaver l = {c->id, c->is_static ? slice_str(c->instance) : SLICE_NULL,
				   ERR_NONE};

	classic_leave(w->g, &l, 1, &w->at, &w->fx);
	carry_out(w, SLICE_NULL);
	forget_id(c);
	if (c->call)
		w->call[c->call].client = -1;
	c->call = 0;
	c->doing = NOTHING;
}

/* It loses its connection, and its memory when it crashed. */
static void do_disconnect(struct world *w, struct client *c, bool has_crashed)
{
	if (c->call)
		w->call[c->call].client = -1;
	c->call = 0;
	c->doing = NOTHING;
	if (has_crashed)
		forget_id(c);
}

/* The next thing that a client does which behaves. */
static void go_on(struct world *w, int i)
{
	struct client *c = &w->clients[i];

	if (c->call)
		return;
	if (c->generation == 0)
		do_join(w, i);
	else if (!c->has_assignment)
		do_sync(w, i);
	else
		do_heartbeat(w, c);
}

/* --- the world --- */

static void pass(struct world *w, int64_t ms)
{
	struct deadline *t;

	w->at.ms += ms;
	w->at.wall_ms += ms;
	while ((t = deadlines_due(&w->deadlines, w->at.ms))) {
		sim_check(w->sim, t->owner == w);
		classic_expire(w->g, t, &w->at, &w->fx);
		carry_out(w, SLICE_NULL);
		check(w);
	}
}

/* The process dies: what is written is there, calls are lost with their connections. */
static void restart(struct world *w)
{
	struct arena arena = {0};
	struct classic_record r;

	classic_end(w->g, ERR_NOT_COORDINATOR, &w->fx);
	for (int i = 0; i < CLIENTS; i++)
		do_disconnect(w, &w->clients[i], false);
	carry_out(w, SLICE_NULL);
	classic_free(w->g);
	sim_check(w->sim, w->deadlines.count == 0);
	w->g = classic_new(&w->options, &w->deadlines, w, 0);
	w->at.ms = 1 + sim_below(w->sim, 1000000); /* another boot, another monotonic clock */
	w->at.wall_ms += sim_below(w->sim, 100000);
	if (!w->has_written)
		return;
	sim_check(w->sim, classic_record_decode(buf_slice(&w->written), &arena, &r));
	sim_check(w->sim, classic_restore(w->g, &r, &w->at));
	arena_fini(&arena);
}

static void random_step(struct world *w)
{
	int i = sim_below(w->sim, CLIENTS), what = sim_below(w->sim, 100);
	struct client *c = &w->clients[i];

	if (what < 55)
		go_on(w, i);
	else if (what < 75)
		pass(w, sim_below(w->sim, 3000));
	else if (what < 78)
		pass(w, sim_below(w->sim, 30000));
	else if (what < 82 && c->id.data)
		do_leave(w, c);
	else if (what < 86)
		do_disconnect(w, c, sim_chance(w->sim, 50));
	else if (what < 89)
		c->metadata++;
	else if (what < 91 && c->id.data && !c->call)
		forget_membership(c); /* joins again for no reason */
	else if (what < 92)
		restart(w);
}

/* Everybody behaves: the group must become stable with all of them. */
static void settle(struct world *w)
{
	for (int round = 0; round < 400; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			go_on(w, i);
			check(w);
		}
		pass(w, 500);
	}
	sim_check(w->sim, w->g->state == CLASSIC_STABLE);
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *c = &w->clients[i];
		sim_check(w->sim, c->has_assignment && c->generation == w->g->generation);
		sim_check(w->sim, member_find(w->g, c->id));
	}
	sim_check(w->sim, w->g->members.count == CLIENTS);
}

static void one_world(struct sim *s)
{
	struct world *w = calloc(1, sizeof *w);

	w->sim = s;
	w->options = (struct classic_options){sim_chance(s, 50) ? 0 : 3000, 300000, 1000};
	w->at = (struct moment){1, 1700000000000};
	w->g = classic_new(&w->options, &w->deadlines, w, 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &w->clients[i];
		c->is_static = sim_chance(s, 40);
		c->needs_id = sim_chance(s, 60);
		c->may_skip = sim_chance(s, 50);
		snprintf(c->instance, sizeof c->instance, "s%d", i);
	}
	for (s->step = 0; s->step < 1000; s->step++) {
		random_step(w);
		check(w);
	}
	settle(w);
	sim_check(s, w->stable_seen > 0);
	classic_end(w->g, ERR_NOT_COORDINATOR, &w->fx);
	carry_out(w, SLICE_NULL);
	for (int i = 1; i <= w->calls; i++)
		sim_check(s, !w->call[i].is_open);
	classic_free(w->g);
	sim_check(s, w->deadlines.count == 0);
	deadlines_fini(&w->deadlines);
	classic_effects_fini(&w->fx);
	for (int i = 0; i < CLIENTS; i++)
		forget_id(&w->clients[i]);
	buf_fini(&w->written);
	free(w);
}

static void random_clients_never_break_a_group_and_it_settles(void **state)
{
	(void)state;
	sim_run(300, one_world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_clients_never_break_a_group_and_it_settles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

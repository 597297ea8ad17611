/* classic_rig.h - a group of the classic protocol, the time, and what was answered to whom. */
#ifndef TESTS_UNIT_GROUPS_CLASSIC_RIG_H
#define TESTS_UNIT_GROUPS_CLASSIC_RIG_H

#include "tests/check.h"

#include "groups/classic.h"

#define SESSION   10000
#define REBALANCE 60000

/* A group, the time, and the last answer to each call: calls are numbers from 1 on. */
#define CALLS     64
struct answer {
	bool is_answered, is_join, with_members, skip;
	enum ks_err err;
	int32_t generation;
	char member[32], leader[32], assignment[32];
};
struct rig {
	struct classic_options options;
	struct deadlines deadlines;
	struct classic_group *g;
	struct classic_effects fx;
	struct moment at;
	struct answer answers[CALLS];
	int persisted, ids;
	char id[32];
};

static inline void copy(char *to, struct slice from)
{
	snprintf(to, 32, "%.*s", (int)from.len, from.data ? (const char *)from.data : "");
}

static inline void note(struct rig *r)
{
	for (size_t i = 0; i < r->fx.count; i++) {
		const struct classic_answer *a = &r->fx.answers[i];
		struct answer *to = &r->answers[(uintptr_t)a->call];
		assert_false(to->is_answered);
		*to = (struct answer){true,
				      a->is_join,
				      a->with_members,
				      a->skip_assignment,
				      a->err,
				      r->g->generation,
				      "",
				      "",
				      ""};
		if (!a->member)
			continue;
		copy(to->member, a->member->id);
		copy(to->leader, a->leader_id);
		copy(to->assignment, a->member->assignment);
	}
	r->persisted += r->fx.persist;
	classic_effects_clear(&r->fx);
}

static inline struct slice optional(const char *s)
{
	return s ? slice_str(s) : SLICE_NULL;
}

/* A join of a client that prefers protocol, then "common". fresh ids are id-1, id-2, ... */
struct joining {
	const char *member, *instance, *protocol, *metadata, *type;
	bool needs_id, may_skip;
	int32_t rebalance;
};
static inline void join_with(struct rig *r, int call, struct joining x)
{
	const char *name = x.protocol ? x.protocol : "common";
	struct slice metadata = slice_str(x.metadata ? x.metadata : "m");
	struct classic_protocol protocols[] = {{slice_str(name), metadata},
					       {slice_str("common"), metadata}};

	snprintf(r->id, sizeof r->id, "id-%d", ++r->ids);
	struct classic_join j = {
		.member_id = slice_str(x.member ? x.member : ""),
		.instance_id = optional(x.instance),
		.client_id = slice_str("client"),
		.client_host = slice_str("/127.0.0.1"),
		.protocol_type = slice_str(x.type ? x.type : "test"),
		.protocols = protocols,
		.protocol_count = 2,
		.session_timeout_ms = SESSION,
		.rebalance_timeout_ms = x.rebalance ? x.rebalance : REBALANCE,
		.needs_member_id = x.needs_id,
		.may_skip_assignment = x.may_skip,
		.fresh_id = slice_str(r->id),
		.call = (void *)(uintptr_t)call,
	};
	r->answers[call] = (struct answer){0};
	classic_join(r->g, &j, &r->at, &r->fx);
	note(r);
}

static inline void join(struct rig *r, int call, const char *member)
{
	join_with(r, call, (struct joining){.member = member});
}

/* The leader's sync assigns each member its own id. */
static inline void sync_with(struct rig *r, int call, const char *member, const char *instance,
			     int32_t generation)
{
	struct classic_assignment a[16];
	size_t n = 0;

	for (; n < r->g->members.count && n < 16; n++) {
		const struct classic_member *m = r->g->members.items[n];
		a[n] = (struct classic_assignment){m->id, m->id};
	}
	struct classic_sync s = {
		.generation = generation,
		.member_id = slice_str(member),
		.instance_id = optional(instance),
		.assignments = a,
		.assignment_count = n,
		.call = (void *)(uintptr_t)call,
	};
	r->answers[call] = (struct answer){0};
	classic_sync(r->g, &s, &r->at, &r->fx);
	note(r);
}

static inline void sync(struct rig *r, int call, const char *member)
{
	sync_with(r, call, member, NULL, r->g->generation);
}

static inline enum ks_err beat(struct rig *r, const char *member)
{
	return classic_heartbeat(r->g, r->g->generation, slice_str(member), SLICE_NULL, &r->at);
}

static inline enum ks_err leave(struct rig *r, const char *member, const char *instance)
{
	struct classic_leaver l = {slice_str(member), optional(instance), ERR_NONE};

	classic_leave(r->g, &l, 1, &r->at, &r->fx);
	note(r);
	return l.err;
}

/* Lets time pass, all that falls due on the way included. */
static inline void pass(struct rig *r, int64_t ms)
{
	int64_t until = r->at.ms + ms;

	while (deadlines_next(&r->deadlines) <= until) {
		if (deadlines_next(&r->deadlines) > r->at.ms) {
			r->at.wall_ms += deadlines_next(&r->deadlines) - r->at.ms;
			r->at.ms = deadlines_next(&r->deadlines);
		}
		struct deadline *t = deadlines_due(&r->deadlines, r->at.ms);
		if (!t)
			continue;
		assert_ptr_equal(t->owner, r);
		classic_expire(r->g, t, &r->at, &r->fx);
		note(r);
	}
	r->at.wall_ms += until - r->at.ms;
	r->at.ms = until;
}

static inline int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	r->options = (struct classic_options){3000, 300000, 1000};
	r->g = classic_new(&r->options, &r->deadlines, r, 0);
	r->at = (struct moment){1000, 1700000000000};
	*state = r;
	return 0;
}

static inline int teardown(void **state)
{
	struct rig *r = *state;

	classic_end(r->g, ERR_NOT_COORDINATOR, &r->fx);
	note(r);
	classic_free(r->g);
	assert_int_equal(r->deadlines.count, 0);
	deadlines_fini(&r->deadlines);
	classic_effects_fini(&r->fx);
	free(r);
	return 0;
}

/* Members id-1 (the leader), id-2, ... in a stable group; their calls were 1, 2, ... */
static inline void make_stable(struct rig *r, int members)
{
	char id[16];

	for (int i = 1; i <= members; i++)
		join(r, i, NULL);
	pass(r, members > 1 ? 6000 : 3000);
	for (int i = members; i >= 1; i--) {
		snprintf(id, sizeof id, "id-%d", i);
		sync(r, i, id);
	}
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	assert_int_equal(r->g->generation, 1);
}

/* s-1 (leads) and s-2, stable; ids id-1 and id-2. */
static inline void make_static(struct rig *r)
{
	join_with(r, 1, (struct joining){.instance = "s-1", .needs_id = true});
	join_with(r, 2, (struct joining){.instance = "s-2", .needs_id = true});
	pass(r, 6000);
	sync_with(r, 2, "id-2", "s-2", 1);
	sync_with(r, 1, "id-1", "s-1", 1);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
}

static inline void assert_answer(struct rig *r, int call, enum ks_err err, int32_t generation)
{
	assert_true(r->answers[call].is_answered);
	assert_code(r->answers[call].err, err);
	assert_int_equal(r->answers[call].generation, generation);
}

static inline void assert_open(struct rig *r, int call)
{
	assert_false(r->answers[call].is_answered);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

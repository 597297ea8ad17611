/* The classic protocol: who is answered what, when, and what the group is then. */
#include "check.h"

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

static void copy(char *to, struct slice from)
{
	snprintf(to, 32, "%.*s", (int)from.len, from.data ? (const char *)from.data : "");
}

static void note(struct rig *r)
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

static struct slice optional(const char *s)
{
	return s ? slice_str(s) : SLICE_NULL;
}

/* A join of a client that prefers protocol, then "common". fresh ids are id-1, id-2, ... */
struct joining {
	const char *member, *instance, *protocol, *metadata, *type;
	bool needs_id, may_skip;
	int32_t rebalance;
};
static void join_with(struct rig *r, int call, struct joining x)
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

static void join(struct rig *r, int call, const char *member)
{
	join_with(r, call, (struct joining){.member = member});
}

/* The leader's sync assigns each member its own id. */
static void sync_with(struct rig *r, int call, const char *member, const char *instance,
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

static void sync(struct rig *r, int call, const char *member)
{
	sync_with(r, call, member, NULL, r->g->generation);
}

static enum ks_err beat(struct rig *r, const char *member)
{
	return classic_heartbeat(r->g, r->g->generation, slice_str(member), SLICE_NULL, &r->at);
}

static enum ks_err leave(struct rig *r, const char *member, const char *instance)
{
	struct classic_leaver l = {slice_str(member), optional(instance), ERR_NONE};

	classic_leave(r->g, &l, 1, &r->at, &r->fx);
	note(r);
	return l.err;
}

/* Lets time pass, all that falls due on the way included. */
static void pass(struct rig *r, int64_t ms)
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

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	r->options = (struct classic_options){3000, 300000, 1000};
	r->g = classic_new(&r->options, &r->deadlines, r, 0);
	r->at = (struct moment){1000, 1700000000000};
	*state = r;
	return 0;
}

static int teardown(void **state)
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
static void make_stable(struct rig *r, int members)
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

static void assert_answer(struct rig *r, int call, enum ks_err err, int32_t generation)
{
	assert_true(r->answers[call].is_answered);
	assert_err(r->answers[call].err, err);
	assert_int_equal(r->answers[call].generation, generation);
}

static void assert_open(struct rig *r, int call)
{
	assert_false(r->answers[call].is_answered);
}

/* --- the first generation --- */

static void an_empty_group_waits_for_the_delay_before_its_first_generation(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	assert_int_equal(r->g->state, CLASSIC_PREPARING);
	pass(r, 2999);
	assert_open(r, 1);
	pass(r, 1);
	assert_answer(r, 1, ERR_NONE, 1);
	assert_string_equal(r->answers[1].member, "id-1");
	assert_string_equal(r->answers[1].leader, "id-1");
	assert_true(r->answers[1].with_members);
	assert_int_equal(r->g->state, CLASSIC_COMPLETING);
	assert_int_equal(r->persisted, 1);
}

static void newcomers_lengthen_the_delay_up_to_the_rebalance_timeout(void **state)
{
	struct rig *r = *state;

	join_with(r, 1, (struct joining){.rebalance = 7000});
	pass(r, 2000);
	join_with(r, 2, (struct joining){.rebalance = 7000});
	pass(r, 2000);
	assert_open(r, 1); /* until 6000 */
	join_with(r, 3, (struct joining){.rebalance = 7000});
	pass(r, 2500);
	assert_open(r, 1); /* until 7000, no longer */
	join_with(r, 4, (struct joining){.rebalance = 7000});
	pass(r, 500);
	for (int i = 1; i <= 4; i++)
		assert_answer(r, i, ERR_NONE, 1);
	assert_true(r->answers[1].with_members);
	assert_false(r->answers[2].with_members);
	assert_string_equal(r->answers[4].leader, "id-1");
}

static void without_a_delay_the_first_generation_begins_at_once(void **state)
{
	struct rig *r = *state;

	r->options.initial_delay_ms = 0;
	join(r, 1, NULL);
	pass(r, 0);
	assert_answer(r, 1, ERR_NONE, 1);
}

static void a_new_member_is_told_its_id_and_joins_with_it(void **state)
{
	struct rig *r = *state;

	join_with(r, 1, (struct joining){.needs_id = true});
	assert_answer(r, 1, ERR_MEMBER_ID_REQUIRED, 0);
	assert_int_equal(r->g->state, CLASSIC_EMPTY);
	assert_int_equal(r->g->pending.count, 1);
	join_with(r, 2, (struct joining){.member = "id-1", .needs_id = true});
	assert_int_equal(r->g->pending.count, 0);
	pass(r, 3000);
	assert_answer(r, 2, ERR_NONE, 1);
	assert_string_equal(r->answers[2].member, "id-1");
}

static void an_id_that_is_not_used_within_the_session_timeout_is_forgotten(void **state)
{
	struct rig *r = *state;

	join_with(r, 1, (struct joining){.needs_id = true});
	pass(r, SESSION);
	assert_int_equal(r->g->pending.count, 0);
	assert_true(classic_is_blank(r->g));
	join(r, 2, "id-1");
	assert_answer(r, 2, ERR_UNKNOWN_MEMBER_ID, 0);
}

static void a_generation_waits_for_those_who_were_given_an_id(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	join_with(r, 2, (struct joining){.needs_id = true}); /* id-2 */
	join(r, 3, NULL);                                    /* id-3 */
	join(r, 4, "id-1");
	assert_open(r, 3);
	join(r, 5, "id-2");
	assert_answer(r, 3, ERR_NONE, 2);
	assert_answer(r, 4, ERR_NONE, 2);
	assert_answer(r, 5, ERR_NONE, 2);
}

/* --- assignments --- */

static void followers_wait_for_the_leaders_assignment(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	join(r, 2, NULL);
	pass(r, 6000);
	sync(r, 3, "id-2");
	assert_open(r, 3);
	assert_int_equal(r->persisted, 1);
	sync(r, 4, "id-1");
	assert_answer(r, 3, ERR_NONE, 1);
	assert_answer(r, 4, ERR_NONE, 1);
	assert_string_equal(r->answers[3].assignment, "id-2");
	assert_string_equal(r->answers[4].assignment, "id-1");
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	assert_int_equal(r->persisted, 2);
}

static void a_late_follower_hears_its_assignment_at_once(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	join(r, 2, NULL);
	pass(r, 6000);
	sync(r, 3, "id-1");
	sync(r, 4, "id-2");
	assert_answer(r, 4, ERR_NONE, 1);
	assert_string_equal(r->answers[4].assignment, "id-2");
}

static void a_member_without_an_assignment_gets_an_empty_one(void **state)
{
	struct rig *r = *state;
	struct classic_sync s = {
		.generation = 1, .member_id = slice_str("id-1"), .call = (void *)(uintptr_t)5};

	join(r, 1, NULL);
	pass(r, 3000);
	classic_sync(r->g, &s, &r->at, &r->fx);
	note(r);
	assert_answer(r, 5, ERR_NONE, 1);
	assert_string_equal(r->answers[5].assignment, "");
	const struct classic_member *m = r->g->members.items[0];
	assert_non_null(m->assignment.data);
}

static void who_does_not_sync_in_time_is_removed(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	join(r, 4, "id-2");
	assert_answer(r, 4, ERR_NONE, 2);
	sync(r, 5, "id-1");
	assert_answer(r, 5, ERR_NONE, 2);
	for (int i = 0; i < 12; i++) {
		assert_err(beat(r, "id-1"), ERR_NONE);
		assert_err(beat(r, "id-2"), ERR_NONE);
		pass(r, 5000);
	}
	assert_err(beat(r, "id-2"), ERR_UNKNOWN_MEMBER_ID);
	assert_err(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
}

static void a_sync_of_another_generation_or_protocol_is_refused(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	pass(r, 3000);
	sync_with(r, 2, "id-1", NULL, 0);
	assert_answer(r, 2, ERR_ILLEGAL_GENERATION, 1);
	sync_with(r, 3, "nobody", NULL, 1);
	assert_answer(r, 3, ERR_UNKNOWN_MEMBER_ID, 1);
	struct classic_sync s = {.generation = 1,
				 .member_id = slice_str("id-1"),
				 .protocol_type = slice_str("connect"),
				 .call = (void *)(uintptr_t)4};
	classic_sync(r->g, &s, &r->at, &r->fx);
	s.protocol_type = slice_str("test");
	s.protocol_name = slice_str("other");
	s.call = (void *)(uintptr_t)5;
	classic_sync(r->g, &s, &r->at, &r->fx);
	note(r);
	assert_answer(r, 4, ERR_INCONSISTENT_GROUP_PROTOCOL, 1);
	assert_answer(r, 5, ERR_INCONSISTENT_GROUP_PROTOCOL, 1);
}

/* --- rebalances --- */

static void a_newcomer_makes_a_stable_group_join_again(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, NULL);
	assert_err(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
	join(r, 4, "id-1");
	assert_open(r, 3);
	join(r, 5, "id-2");
	for (int i = 3; i <= 5; i++)
		assert_answer(r, i, ERR_NONE, 2);
	assert_int_equal(r->g->members.count, 3);
}

static void who_does_not_join_within_the_rebalance_timeout_is_removed(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-2");
	assert_answer(r, 3, ERR_NONE, 1); /* nothing changed: the same generation again */
	join(r, 4, NULL);                 /* id-4 */
	join(r, 5, "id-2");
	for (int i = 0; i < 12; i++) {
		assert_open(r, 4);
		assert_err(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
		pass(r, 5000);
	}
	assert_answer(r, 4, ERR_NONE, 2);
	assert_answer(r, 5, ERR_NONE, 2);
	assert_int_equal(r->g->members.count, 2);
	assert_err(beat(r, "id-1"), ERR_UNKNOWN_MEMBER_ID);
	/* And the leader is one who joined. */
	assert_string_not_equal(r->answers[5].leader, "id-1");
}

static void the_leaders_join_of_a_stable_group_starts_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	assert_open(r, 3);
	assert_int_equal(r->g->state, CLASSIC_PREPARING);
}

static void changed_metadata_starts_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join_with(r, 3, (struct joining){.member = "id-2", .metadata = "changed"});
	assert_open(r, 3);
	assert_int_equal(r->g->state, CLASSIC_PREPARING);
}

static void a_lost_answer_to_a_join_is_given_again(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	join(r, 2, NULL);
	pass(r, 6000);
	join(r, 3, "id-1");
	assert_answer(r, 3, ERR_NONE, 1);
	assert_true(r->answers[3].with_members);
	assert_int_equal(r->g->state, CLASSIC_COMPLETING);
}

static void a_rebalance_sends_those_who_wait_for_an_assignment_back_to_join(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	join(r, 2, NULL);
	pass(r, 6000);
	sync(r, 3, "id-2");
	join(r, 4, NULL);
	assert_answer(r, 3, ERR_REBALANCE_IN_PROGRESS, 1);
	sync(r, 5, "id-1");
	assert_answer(r, 5, ERR_REBALANCE_IN_PROGRESS, 1);
}

static void of_two_joins_of_one_member_the_newer_counts(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	join(r, 4, "id-1");
	assert_answer(r, 3, ERR_REBALANCE_IN_PROGRESS, 1);
	join(r, 5, "id-2");
	assert_answer(r, 4, ERR_NONE, 2);
	sync(r, 6, "id-2");
	sync(r, 7, "id-2");
	assert_answer(r, 6, ERR_REBALANCE_IN_PROGRESS, 2);
	sync(r, 8, "id-1");
	assert_answer(r, 7, ERR_NONE, 2);
}

static void the_protocol_is_the_one_that_all_support_and_most_prefer(void **state)
{
	struct rig *r = *state;

	join_with(r, 1, (struct joining){.protocol = "range"});
	join_with(r, 2, (struct joining){.protocol = "common"});
	pass(r, 6000);
	assert_text(r->g->protocol_name, "common");
	join_with(r, 3, (struct joining){.member = "id-2", .protocol = "range"});
	join_with(r, 4, (struct joining){.member = "id-1", .protocol = "range"});
	assert_answer(r, 3, ERR_NONE, 2);
	assert_text(r->g->protocol_name, "range");
	const struct classic_member *m = r->g->members.items[0];
	assert_text(classic_metadata(r->g, m), "m");
}

static void a_member_that_shares_no_protocol_or_type_is_refused(void **state)
{
	struct rig *r = *state;
	struct classic_protocol other = {slice_str("other"), slice_str("")};
	struct classic_join j = {.member_id = slice_str(""),
				 .protocol_type = slice_str("test"),
				 .protocols = &other,
				 .protocol_count = 1,
				 .fresh_id = slice_str("x"),
				 .call = (void *)(uintptr_t)9};

	make_stable(r, 1);
	join_with(r, 2, (struct joining){.type = "connect"});
	assert_answer(r, 2, ERR_INCONSISTENT_GROUP_PROTOCOL, 1);
	classic_join(r->g, &j, &r->at, &r->fx);
	note(r);
	assert_answer(r, 9, ERR_INCONSISTENT_GROUP_PROTOCOL, 1);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
}

static void an_empty_group_takes_any_protocol_type_but_none(void **state)
{
	struct rig *r = *state;

	join_with(r, 1, (struct joining){.type = ""});
	assert_answer(r, 1, ERR_INCONSISTENT_GROUP_PROTOCOL, 0);
	r->ids = 0;
	make_stable(r, 3);
	assert_text(r->g->protocol_type, "test");
}

static void a_full_group_turns_newcomers_away(void **state)
{
	struct rig *r = *state;

	r->options.max_size = 2;
	join(r, 1, NULL);
	join(r, 2, NULL);
	join(r, 3, NULL);
	assert_answer(r, 3, ERR_GROUP_MAX_SIZE_REACHED, 0);
	pass(r, 6000);
	sync(r, 4, "id-2");
	sync(r, 5, "id-1");
	join(r, 6, NULL);
	assert_answer(r, 6, ERR_GROUP_MAX_SIZE_REACHED, 1);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	join(r, 7, "id-2"); /* a member may always */
	assert_answer(r, 7, ERR_NONE, 1);
}

/* --- leaving --- */

static void who_leaves_is_gone_and_the_others_join_again(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	assert_err(leave(r, "id-1", NULL), ERR_NONE);
	assert_err(leave(r, "id-1", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
	join(r, 3, "id-2");
	assert_answer(r, 3, ERR_NONE, 2);
	assert_string_equal(r->answers[3].leader, "id-2");
}

static void a_group_that_all_have_left_is_empty_in_a_new_generation(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	int persisted = r->persisted;
	struct classic_leaver both[] = {{slice_str("id-1"), SLICE_NULL, ERR_NONE},
					{slice_str("id-2"), SLICE_NULL, ERR_NONE}};
	classic_leave(r->g, both, 2, &r->at, &r->fx);
	note(r);
	assert_int_equal(r->g->state, CLASSIC_EMPTY);
	assert_int_equal(r->g->generation, 2);
	assert_int_equal(r->g->empty_since_ms, r->at.wall_ms);
	assert_null(r->g->protocol_name.data);
	assert_null(r->g->leader);
	assert_int_equal(r->persisted, persisted + 1);
	assert_int_equal(r->deadlines.count, 0);
}

static void a_join_that_is_parked_is_answered_when_its_member_leaves(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	assert_err(leave(r, "id-1", NULL), ERR_NONE);
	assert_answer(r, 3, ERR_UNKNOWN_MEMBER_ID, 1);
	join(r, 4, "id-2");
	sync(r, 5, "id-2");
	assert_answer(r, 5, ERR_NONE, 2);
}

static void a_sync_that_is_parked_is_answered_when_its_member_leaves(void **state)
{
	struct rig *r = *state;

	join(r, 1, NULL);
	join(r, 2, NULL);
	pass(r, 6000);
	sync(r, 3, "id-2");
	assert_err(leave(r, "id-2", NULL), ERR_NONE);
	assert_answer(r, 3, ERR_UNKNOWN_MEMBER_ID, 1);
}

static void who_was_given_an_id_may_leave_without_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	join_with(r, 2, (struct joining){.needs_id = true});
	assert_err(leave(r, "id-2", NULL), ERR_NONE);
	assert_int_equal(r->g->pending.count, 0);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
}

/* --- sessions --- */

static void heartbeats_keep_a_member_and_their_absence_removes_it(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	pass(r, SESSION - 1);
	assert_err(beat(r, "id-1"), ERR_NONE);
	pass(r, 1);
	assert_int_equal(r->g->members.count, 1);
	assert_err(beat(r, "id-2"), ERR_UNKNOWN_MEMBER_ID);
	assert_err(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
}

static void a_member_that_waits_for_us_does_not_expire(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	pass(r, SESSION - 1);
	assert_int_equal(r->g->members.count, 2);
	pass(r, 1); /* id-2 has sent nothing */
	assert_answer(r, 3, ERR_NONE, 2);
	pass(r, SESSION - 1);
	assert_int_equal(r->g->members.count, 1);
	pass(r, 1);
	assert_int_equal(r->g->state, CLASSIC_EMPTY);
}

static void a_new_members_parked_join_ends_after_five_minutes(void **state)
{
	struct rig *r = *state;

	r->options.initial_delay_ms = 400000;
	join_with(r, 1, (struct joining){.rebalance = 500000});
	pass(r, 299999);
	assert_open(r, 1);
	pass(r, 1);
	assert_answer(r, 1, ERR_UNKNOWN_MEMBER_ID, 0);
}

static void a_heartbeat_of_another_generation_is_refused(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	assert_err(classic_heartbeat(r->g, 0, slice_str("id-1"), SLICE_NULL, &r->at),
		   ERR_ILLEGAL_GENERATION);
	assert_err(beat(r, "nobody"), ERR_UNKNOWN_MEMBER_ID);
}

/* --- static members --- */

/* s-1 (leads) and s-2, stable; ids id-1 and id-2. */
static void make_static(struct rig *r)
{
	join_with(r, 1, (struct joining){.instance = "s-1", .needs_id = true});
	join_with(r, 2, (struct joining){.instance = "s-2", .needs_id = true});
	pass(r, 6000);
	sync_with(r, 2, "id-2", "s-2", 1);
	sync_with(r, 1, "id-1", "s-1", 1);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
}

static void a_static_member_that_returns_takes_its_place_without_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_static(r);
	int persisted = r->persisted;
	join_with(r, 3, (struct joining){.instance = "s-2"});
	assert_answer(r, 3, ERR_NONE, 1);
	assert_string_equal(r->answers[3].member, "id-3");
	assert_string_equal(r->answers[3].leader, "id-1");
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	assert_int_equal(r->persisted, persisted + 1);
	sync_with(r, 4, "id-3", "s-2", 1);
	assert_answer(r, 4, ERR_NONE, 1);
	assert_string_equal(r->answers[4].assignment, "id-2"); /* its own, from before */
}

static void the_former_id_of_a_static_member_is_fenced(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join_with(r, 3, (struct joining){.instance = "s-2"});
	assert_err(classic_heartbeat(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		   ERR_FENCED_INSTANCE_ID);
	assert_err(classic_check_commit(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		   ERR_FENCED_INSTANCE_ID);
	sync_with(r, 4, "id-2", "s-2", 1);
	assert_answer(r, 4, ERR_FENCED_INSTANCE_ID, 1);
	join_with(r, 5, (struct joining){.member = "id-2", .instance = "s-2"});
	assert_answer(r, 5, ERR_FENCED_INSTANCE_ID, 1);
	assert_err(leave(r, "id-2", "s-2"), ERR_FENCED_INSTANCE_ID);
}

static void what_the_former_id_has_parked_is_fenced_at_once(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join_with(r, 3, (struct joining){.member = "id-1", .instance = "s-1"});
	assert_open(r, 3);
	join_with(r, 4, (struct joining){.instance = "s-1"});
	assert_answer(r, 3, ERR_FENCED_INSTANCE_ID, 1);
	assert_open(r, 4);
	join_with(r, 5, (struct joining){.member = "id-2", .instance = "s-2"});
	assert_answer(r, 4, ERR_NONE, 2);
	assert_string_equal(r->answers[4].leader, "id-4");
}

static void a_leader_that_returns_skips_the_assignment_when_it_can(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join_with(r, 3, (struct joining){.instance = "s-1", .may_skip = true});
	assert_answer(r, 3, ERR_NONE, 1);
	assert_string_equal(r->answers[3].leader, "id-3");
	assert_true(r->answers[3].skip);
	assert_true(r->answers[3].with_members);
	/* An older client must not think that it leads. */
	join_with(r, 4, (struct joining){.instance = "s-1"});
	assert_string_equal(r->answers[4].member, "id-4");
	assert_string_equal(r->answers[4].leader, "id-3");
	assert_false(r->answers[4].with_members);
	assert_false(r->answers[4].skip);
}

static void a_static_member_that_would_change_the_protocol_starts_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_static(r);
	leave(r, "id-1", "s-1");
	join_with(r, 3, (struct joining){.member = "id-2", .instance = "s-2"});
	sync_with(r, 4, "id-2", "s-2", 2);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	join_with(r, 5, (struct joining){.instance = "s-2", .protocol = "range"});
	assert_answer(r, 5, ERR_NONE, 3);
	assert_text(r->g->protocol_name, "range");
}

static void a_static_member_that_returns_while_the_leader_assigns_starts_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join_with(r, 3, (struct joining){.member = "id-1", .instance = "s-1"});
	join_with(r, 4, (struct joining){.member = "id-2", .instance = "s-2"});
	assert_int_equal(r->g->state, CLASSIC_COMPLETING);
	join_with(r, 5, (struct joining){.instance = "s-2"});
	assert_open(r, 5);
	assert_int_equal(r->g->state, CLASSIC_PREPARING);
}

static void static_members_stay_through_a_rebalance_that_they_miss(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join_with(r, 3, (struct joining){.member = "id-1", .instance = "s-1"});
	/* Its session is over before the rebalance timeout; keep it. */
	for (int i = 0; i < 12; i++) {
		assert_err(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
		pass(r, 5000);
	}
	assert_answer(r, 3, ERR_NONE, 2);
	assert_int_equal(r->g->members.count, 2);
}

static void when_all_static_members_are_away_the_generation_waits(void **state)
{
	struct rig *r = *state;

	make_static(r);
	join(r, 3, NULL); /* id-3, dynamic */
	assert_err(leave(r, "id-3", NULL), ERR_NONE);
	for (int i = 0; i < 13; i++) {
		assert_err(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
		assert_err(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
		pass(r, 5000);
	}
	assert_int_equal(r->g->state, CLASSIC_PREPARING);
	assert_int_equal(r->g->generation, 1);
	pass(r, SESSION);
	assert_int_equal(r->g->state, CLASSIC_EMPTY);
}

static void an_administrator_removes_a_static_member_by_its_instance(void **state)
{
	struct rig *r = *state;

	make_static(r);
	assert_err(leave(r, "", "s-3"), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave(r, "", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave(r, "", "s-1"), ERR_NONE);
	assert_int_equal(r->g->members.count, 1);
}

/* --- commits --- */

static void commits_need_the_membership_that_they_claim(void **state)
{
	struct rig *r = *state;
	struct slice none = slice_str(""), id = slice_str("id-1");

	assert_err(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at), ERR_NONE);
	assert_err(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at), ERR_UNKNOWN_MEMBER_ID);
	join(r, 1, NULL);
	pass(r, 3000);
	assert_err(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at),
		   ERR_REBALANCE_IN_PROGRESS);
	sync(r, 2, "id-1");
	assert_err(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at), ERR_NONE);
	assert_err(classic_check_commit(r->g, 0, id, SLICE_NULL, &r->at), ERR_ILLEGAL_GENERATION);
	assert_err(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at), ERR_UNKNOWN_MEMBER_ID);
	assert_err(classic_check_commit(r->g, 1, slice_str("x"), SLICE_NULL, &r->at),
		   ERR_UNKNOWN_MEMBER_ID);
	leave(r, "id-1", NULL);
	assert_err(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at), ERR_NONE);
}

static void a_commit_counts_as_a_heartbeat(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	for (int i = 0; i < 5; i++) {
		pass(r, SESSION - 1);
		assert_err(classic_check_commit(r->g, 1, slice_str("id-1"), SLICE_NULL, &r->at),
			   ERR_NONE);
	}
}

static void a_consumer_groups_topics_are_known(void **state)
{
	struct rig *r = *state;
	char subscription[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0};
	struct classic_protocol p = {slice_str("range"),
				     slice_of(subscription, sizeof subscription)};
	struct classic_join j = {.member_id = slice_str(""),
				 .protocol_type = slice_str("consumer"),
				 .protocols = &p,
				 .protocol_count = 1,
				 .session_timeout_ms = SESSION,
				 .rebalance_timeout_ms = REBALANCE,
				 .fresh_id = slice_str("a"),
				 .call = (void *)(uintptr_t)1};

	assert_false(classic_reads_topic(r->g, slice_str("t")));
	classic_join(r->g, &j, &r->at, &r->fx);
	pass(r, 3000);
	assert_true(classic_reads_topic(r->g, slice_str("t")));
	assert_false(classic_reads_topic(r->g, slice_str("u")));
	leave(r, "a", NULL);
	assert_false(classic_reads_topic(r->g, slice_str("t")));
	/* One that cannot be read may mean any topic. */
	p.metadata = slice_str("?");
	j.call = (void *)(uintptr_t)2;
	classic_join(r->g, &j, &r->at, &r->fx);
	pass(r, 3000);
	assert_true(classic_reads_topic(r->g, slice_str("u")));
}

/* --- an end, and a new beginning --- */

static void the_end_answers_everybody_and_refuses_the_rest(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	classic_end(r->g, ERR_NOT_COORDINATOR, &r->fx);
	note(r);
	assert_answer(r, 3, ERR_NOT_COORDINATOR, 1);
	assert_int_equal(r->deadlines.count, 0);
	join(r, 4, NULL);
	assert_answer(r, 4, ERR_NOT_COORDINATOR, 1);
	sync(r, 5, "id-1");
	assert_answer(r, 5, ERR_NOT_COORDINATOR, 1);
	assert_err(beat(r, "id-1"), ERR_NOT_COORDINATOR);
}

/* What was written, in another group, later. */
static bool restore(struct rig *r)
{
	struct arena arena = {0};
	struct classic_record record;
	struct classic_group *g = classic_new(&r->options, &r->deadlines, r, 0);

	classic_record_make(r->g, &arena, &record);
	r->at.ms += 1000;
	bool ok = classic_restore(g, &record, &r->at);
	arena_fini(&arena);
	classic_end(r->g, ERR_NOT_COORDINATOR, &r->fx);
	note(r);
	classic_free(r->g);
	r->g = g;
	return ok;
}

static void a_stable_group_is_restored_with_sessions_that_begin_anew(void **state)
{
	struct rig *r = *state;

	make_static(r);
	pass(r, SESSION - 1);
	assert_true(restore(r));
	assert_int_equal(r->g->state, CLASSIC_STABLE);
	assert_int_equal(r->g->generation, 1);
	assert_text(r->g->leader->id, "id-1");
	assert_text(r->g->protocol_name, "common");
	pass(r, SESSION - 1);
	assert_err(classic_heartbeat(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		   ERR_NONE);
	sync_with(r, 3, "id-2", "s-2", 1);
	assert_string_equal(r->answers[3].assignment, "id-2");
	pass(r, 1);
	assert_err(beat(r, "id-1"), ERR_UNKNOWN_MEMBER_ID);
}

static void a_generation_that_waits_for_its_assignment_is_restored(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	join(r, 3, "id-1");
	join(r, 4, "id-2");
	sync(r, 5, "id-2");
	assert_true(restore(r));
	assert_answer(r, 5, ERR_NOT_COORDINATOR, 2);
	assert_int_equal(r->g->state, CLASSIC_COMPLETING);
	assert_int_equal(r->g->generation, 2);
	sync(r, 6, "id-2");
	sync(r, 7, "id-1");
	assert_answer(r, 6, ERR_NONE, 2);
	assert_string_equal(r->answers[6].assignment, "id-2");
}

static void an_empty_group_is_restored_with_its_generation(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	leave(r, "id-1", NULL);
	int64_t since = r->g->empty_since_ms;
	assert_true(restore(r));
	assert_int_equal(r->g->state, CLASSIC_EMPTY);
	assert_int_equal(r->g->generation, 2);
	assert_int_equal(r->g->empty_since_ms, since);
	assert_text(r->g->protocol_type, "test");
}

static void records_that_no_group_has_written_are_refused(void **state)
{
	struct rig *r = *state;
	struct arena arena = {0};
	struct classic_record good, bad;
	struct classic_group *g = classic_new(&r->options, &r->deadlines, r, 0);

	make_static(r);
	classic_record_make(r->g, &arena, &good);
	bad = good;
	bad.state = CLASSIC_PREPARING;
	assert_false(classic_restore(g, &bad, &r->at));
	bad = good;
	bad.leader_id = slice_str("id-7");
	assert_false(classic_restore(g, &bad, &r->at));
	bad = good;
	bad.protocol_name = slice_str("range");
	assert_false(classic_restore(g, &bad, &r->at));
	bad = good;
	bad.state = CLASSIC_EMPTY;
	assert_false(classic_restore(g, &bad, &r->at));
	bad = good;
	bad.members[1].instance_id = bad.members[0].instance_id;
	assert_false(classic_restore(g, &bad, &r->at));
	bad.members[1].id = bad.members[0].id;
	assert_false(classic_restore(g, &bad, &r->at));
	classic_free(g);
	arena_fini(&arena);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_empty_group_waits_for_the_delay_before_its_first_generation),
		T(newcomers_lengthen_the_delay_up_to_the_rebalance_timeout),
		T(without_a_delay_the_first_generation_begins_at_once),
		T(a_new_member_is_told_its_id_and_joins_with_it),
		T(an_id_that_is_not_used_within_the_session_timeout_is_forgotten),
		T(a_generation_waits_for_those_who_were_given_an_id),
		T(followers_wait_for_the_leaders_assignment),
		T(a_late_follower_hears_its_assignment_at_once),
		T(a_member_without_an_assignment_gets_an_empty_one),
		T(who_does_not_sync_in_time_is_removed),
		T(a_sync_of_another_generation_or_protocol_is_refused),
		T(a_newcomer_makes_a_stable_group_join_again),
		T(who_does_not_join_within_the_rebalance_timeout_is_removed),
		T(the_leaders_join_of_a_stable_group_starts_a_rebalance),
		T(changed_metadata_starts_a_rebalance),
		T(a_lost_answer_to_a_join_is_given_again),
		T(a_rebalance_sends_those_who_wait_for_an_assignment_back_to_join),
		T(of_two_joins_of_one_member_the_newer_counts),
		T(the_protocol_is_the_one_that_all_support_and_most_prefer),
		T(a_member_that_shares_no_protocol_or_type_is_refused),
		T(an_empty_group_takes_any_protocol_type_but_none),
		T(a_full_group_turns_newcomers_away),
		T(who_leaves_is_gone_and_the_others_join_again),
		T(a_group_that_all_have_left_is_empty_in_a_new_generation),
		T(a_join_that_is_parked_is_answered_when_its_member_leaves),
		T(a_sync_that_is_parked_is_answered_when_its_member_leaves),
		T(who_was_given_an_id_may_leave_without_a_rebalance),
		T(heartbeats_keep_a_member_and_their_absence_removes_it),
		T(a_member_that_waits_for_us_does_not_expire),
		T(a_new_members_parked_join_ends_after_five_minutes),
		T(a_heartbeat_of_another_generation_is_refused),
		T(a_static_member_that_returns_takes_its_place_without_a_rebalance),
		T(the_former_id_of_a_static_member_is_fenced),
		T(what_the_former_id_has_parked_is_fenced_at_once),
		T(a_leader_that_returns_skips_the_assignment_when_it_can),
		T(a_static_member_that_would_change_the_protocol_starts_a_rebalance),
		T(a_static_member_that_returns_while_the_leader_assigns_starts_a_rebalance),
		T(static_members_stay_through_a_rebalance_that_they_miss),
		T(when_all_static_members_are_away_the_generation_waits),
		T(an_administrator_removes_a_static_member_by_its_instance),
		T(commits_need_the_membership_that_they_claim),
		T(a_commit_counts_as_a_heartbeat),
		T(a_consumer_groups_topics_are_known),
		T(the_end_answers_everybody_and_refuses_the_rest),
		T(a_stable_group_is_restored_with_sessions_that_begin_anew),
		T(a_generation_that_waits_for_its_assignment_is_restored),
		T(an_empty_group_is_restored_with_its_generation),
		T(records_that_no_group_has_written_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The members of the classic protocol: how they stay, leave and return, and who may commit. */
#include "classic_rig.h"

/* --- leaving --- */

static void who_leaves_is_gone_and_the_others_join_again(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	assert_code(leave(r, "id-1", NULL), ERR_NONE);
	assert_code(leave(r, "id-1", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_code(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
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
	assert_code(leave(r, "id-1", NULL), ERR_NONE);
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
	assert_code(leave(r, "id-2", NULL), ERR_NONE);
	assert_answer(r, 3, ERR_UNKNOWN_MEMBER_ID, 1);
}

static void who_was_given_an_id_may_leave_without_a_rebalance(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	join_with(r, 2, (struct joining){.needs_id = true});
	assert_code(leave(r, "id-2", NULL), ERR_NONE);
	assert_int_equal(r->g->pending.count, 0);
	assert_int_equal(r->g->state, CLASSIC_STABLE);
}

/* --- sessions --- */

static void heartbeats_keep_a_member_and_their_absence_removes_it(void **state)
{
	struct rig *r = *state;

	make_stable(r, 2);
	pass(r, SESSION - 1);
	assert_code(beat(r, "id-1"), ERR_NONE);
	pass(r, 1);
	assert_int_equal(r->g->members.count, 1);
	assert_code(beat(r, "id-2"), ERR_UNKNOWN_MEMBER_ID);
	assert_code(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
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
	assert_code(classic_heartbeat(r->g, 0, slice_str("id-1"), SLICE_NULL, &r->at),
		    ERR_ILLEGAL_GENERATION);
	assert_code(beat(r, "nobody"), ERR_UNKNOWN_MEMBER_ID);
}

/* --- static members --- */

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
	assert_code(classic_heartbeat(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		    ERR_FENCED_INSTANCE_ID);
	assert_code(classic_check_commit(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		    ERR_FENCED_INSTANCE_ID);
	sync_with(r, 4, "id-2", "s-2", 1);
	assert_answer(r, 4, ERR_FENCED_INSTANCE_ID, 1);
	join_with(r, 5, (struct joining){.member = "id-2", .instance = "s-2"});
	assert_answer(r, 5, ERR_FENCED_INSTANCE_ID, 1);
	assert_code(leave(r, "id-2", "s-2"), ERR_FENCED_INSTANCE_ID);
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
	assert_slice(r->g->protocol_name, "range");
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
		assert_code(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
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
	assert_code(leave(r, "id-3", NULL), ERR_NONE);
	for (int i = 0; i < 13; i++) {
		assert_code(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
		assert_code(beat(r, "id-2"), ERR_REBALANCE_IN_PROGRESS);
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
	assert_code(leave(r, "", "s-3"), ERR_UNKNOWN_MEMBER_ID);
	assert_code(leave(r, "", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_code(leave(r, "", "s-1"), ERR_NONE);
	assert_int_equal(r->g->members.count, 1);
}

/* --- commits --- */

static void commits_need_the_membership_that_they_claim(void **state)
{
	struct rig *r = *state;
	struct slice none = slice_str(""), id = slice_str("id-1");

	assert_code(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at), ERR_NONE);
	assert_code(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at), ERR_UNKNOWN_MEMBER_ID);
	join(r, 1, NULL);
	pass(r, 3000);
	assert_code(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at),
		    ERR_REBALANCE_IN_PROGRESS);
	sync(r, 2, "id-1");
	assert_code(classic_check_commit(r->g, 1, id, SLICE_NULL, &r->at), ERR_NONE);
	assert_code(classic_check_commit(r->g, 0, id, SLICE_NULL, &r->at), ERR_ILLEGAL_GENERATION);
	assert_code(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at),
		    ERR_UNKNOWN_MEMBER_ID);
	assert_code(classic_check_commit(r->g, 1, slice_str("x"), SLICE_NULL, &r->at),
		    ERR_UNKNOWN_MEMBER_ID);
	leave(r, "id-1", NULL);
	assert_code(classic_check_commit(r->g, -1, none, SLICE_NULL, &r->at), ERR_NONE);
}

static void a_commit_counts_as_a_heartbeat(void **state)
{
	struct rig *r = *state;

	make_stable(r, 1);
	for (int i = 0; i < 5; i++) {
		pass(r, SESSION - 1);
		assert_code(classic_check_commit(r->g, 1, slice_str("id-1"), SLICE_NULL, &r->at),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

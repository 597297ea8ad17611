/* The classic protocol: generations, assignments, rebalances; an end, and a new beginning. */
#include "classic_rig.h"

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
		assert_code(beat(r, "id-1"), ERR_NONE);
		assert_code(beat(r, "id-2"), ERR_NONE);
		pass(r, 5000);
	}
	assert_code(beat(r, "id-2"), ERR_UNKNOWN_MEMBER_ID);
	assert_code(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
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
	assert_code(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
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
		assert_code(beat(r, "id-1"), ERR_REBALANCE_IN_PROGRESS);
		pass(r, 5000);
	}
	assert_answer(r, 4, ERR_NONE, 2);
	assert_answer(r, 5, ERR_NONE, 2);
	assert_int_equal(r->g->members.count, 2);
	assert_code(beat(r, "id-1"), ERR_UNKNOWN_MEMBER_ID);
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
	assert_slice(r->g->protocol_name, "common");
	join_with(r, 3, (struct joining){.member = "id-2", .protocol = "range"});
	join_with(r, 4, (struct joining){.member = "id-1", .protocol = "range"});
	assert_answer(r, 3, ERR_NONE, 2);
	assert_slice(r->g->protocol_name, "range");
	const struct classic_member *m = r->g->members.items[0];
	assert_slice(classic_metadata(r->g, m), "m");
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
	assert_slice(r->g->protocol_type, "test");
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
	assert_code(beat(r, "id-1"), ERR_NOT_COORDINATOR);
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
	assert_slice(r->g->leader->id, "id-1");
	assert_slice(r->g->protocol_name, "common");
	pass(r, SESSION - 1);
	assert_code(classic_heartbeat(r->g, 1, slice_str("id-2"), slice_str("s-2"), &r->at),
		    ERR_NONE);
	sync_with(r, 3, "id-2", "s-2", 1);
	assert_string_equal(r->answers[3].assignment, "id-2");
	pass(r, 1);
	assert_code(beat(r, "id-1"), ERR_UNKNOWN_MEMBER_ID);
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
	assert_slice(r->g->protocol_type, "test");
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
		T(the_end_answers_everybody_and_refuses_the_rest),
		T(a_stable_group_is_restored_with_sessions_that_begin_anew),
		T(a_generation_that_waits_for_its_assignment_is_restored),
		T(an_empty_group_is_restored_with_its_generation),
		T(records_that_no_group_has_written_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

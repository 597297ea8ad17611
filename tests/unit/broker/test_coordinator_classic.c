/* The classic group protocol over the wire, from request to answer, over both stores. */
#include "group_calls.h"

static void a_group_is_joined_synced_kept_and_left(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	struct syncer y;

	struct sent *first = join_send(r, &j);
	const struct join_group_response *required = sent_wait(first);
	assert_code(required->error_code, ERR_MEMBER_ID_REQUIRED);
	assert_true(required->member_id.len == strlen("app-") + 36);
	assert_memory_equal(required->member_id.data, "app-", 4);
	char id[64];
	snprintf(id, sizeof id, "%.*s", (int)required->member_id.len, required->member_id.data);
	sent_free(first);

	j.member = id;
	struct sent *joining = join_send(r, &j);
	pass(r, 2999);
	assert_false(sent_is_done(joining));
	pass(r, 1);
	const struct join_group_response *joined = sent_wait(joining);
	assert_code(joined->error_code, ERR_NONE);
	assert_int_equal(joined->generation_id, 1);
	assert_slice(joined->member_id, id);
	assert_slice(joined->leader, id);
	assert_slice(joined->protocol_type, "test");
	assert_slice(joined->protocol_name, "range");
	assert_int_equal(joined->members.n, 1);
	assert_slice(joined->members.v[0].metadata, "meta");

	struct sent *syncing = sync_send(r, &y, "g", joined);
	const struct sync_group_response *synced = sent_wait(syncing);
	assert_code(synced->error_code, ERR_NONE);
	assert_slice(synced->assignment, id);
	assert_slice(synced->protocol_name, "range");
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_NONE);
	assert_code(heartbeat(r, "g", 2, slice_str(id)), ERR_ILLEGAL_GENERATION);
	assert_code(leave(r, "g", slice_str(id)), ERR_NONE);
	assert_code(leave(r, "g", slice_str(id)), ERR_UNKNOWN_MEMBER_ID);
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_UNKNOWN_MEMBER_ID);
	sent_free(joining);
	sent_free(syncing);
}

static void members_of_old_clients_join_at_once(void **state)
{
	struct rig *r = *state;
	struct join_group_request_protocol protocol = {slice_str("range"), slice_str("m")};
	struct join_group_request q = {
		.group_id = slice_str("g"),
		.session_timeout_ms = 10000,
		.rebalance_timeout_ms = -1, /* version 0 has none */
		.member_id = slice_str(""),
		.protocol_type = slice_str("test"),
		.protocols = {&protocol, 1},
	};
	struct sent *s[4];

	for (int16_t i = 0; i < 4; i++)
		s[i] = sent_new(r, API_join_group, i, &q);
	pass(r, 3000);
	pass(r, 3000);
	pass(r, 3000);
	int leaders = 0;
	for (int i = 0; i < 4; i++) {
		const struct join_group_response *a = sent_wait(s[i]);
		assert_code(a->error_code, ERR_NONE);
		assert_int_equal(a->generation_id, 1);
		leaders += slice_equal(a->leader, a->member_id);
		assert_int_equal(a->members.n, slice_equal(a->leader, a->member_id) ? 4 : 0);
		sent_free(s[i]);
	}
	assert_int_equal(leaders, 1);
}

static void a_second_member_rebalances_the_group(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3}, again = {.group = "g"};
	struct syncer y, z;
	struct sent *first = make_classic(r, &j);
	const struct join_group_response *one = first->call.response;
	char id[64];

	struct sent *second = join_send(r, &k);
	assert_code(heartbeat(r, "g", 1, one->member_id), ERR_REBALANCE_IN_PROGRESS);
	snprintf(id, sizeof id, "%.*s", (int)one->member_id.len, one->member_id.data);
	again.member = id;
	struct sent *rejoined = join_send(r, &again);
	const struct join_group_response *a = sent_wait(rejoined), *b = sent_wait(second);
	assert_int_equal(a->generation_id, 2);
	assert_int_equal(b->generation_id, 2);
	assert_int_equal(a->members.n, 2);
	assert_int_equal(b->members.n, 0);
	assert_slice(b->leader, id);
	struct sent *follower = sync_send(r, &z, "g", b);
	pass(r, 10);
	assert_false(sent_is_done(follower));
	struct sent *leader = sync_send(r, &y, "g", a);
	const struct sync_group_response *assigned = sent_wait(follower);
	assert_true(slice_equal(assigned->assignment, b->member_id));
	sent_wait(leader);
	sent_free(first);
	sent_free(second);
	sent_free(rejoined);
	sent_free(follower);
	sent_free(leader);
}

static void a_silent_member_is_removed_by_the_clock_alone(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;

	pass(r, 9999);
	assert_code(heartbeat(r, "g", 1, a->member_id), ERR_NONE);
	pass(r, 10000);
	assert_code(heartbeat(r, "g", 1, a->member_id), ERR_UNKNOWN_MEMBER_ID);
	sent_free(s);
}

static void a_join_that_cannot_be_is_refused(void **state)
{
	struct rig *r = *state;
	static const struct {
		struct joiner j;
		enum ks_err err;
	} cases[] = {
		{{.group = ""}, ERR_INVALID_GROUP_ID},
		{{.group = "g", .session_ms = 5999}, ERR_INVALID_SESSION_TIMEOUT},
		{{.group = "g", .session_ms = 1800001}, ERR_INVALID_SESSION_TIMEOUT},
		{{.group = "g", .member = "me"}, ERR_UNKNOWN_MEMBER_ID},
		{{.group = "g", .type = ""}, ERR_INCONSISTENT_GROUP_PROTOCOL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct joiner j = cases[i].j;
		struct sent *s = join_send(r, &j);
		const struct join_group_response *a = sent_wait(s);
		assert_code(a->error_code, cases[i].err);
		assert_int_equal(a->generation_id, -1);
		sent_free(s);
	}
	char name[251];
	memset(name, 'n', 250);
	name[250] = 0;
	struct sent *s = join_send(r, &(struct joiner){.group = name});
	assert_code(((struct join_group_response *)sent_wait(s))->error_code, ERR_INVALID_GROUP_ID);
	sent_free(s);
	struct join_group_request nul = {.group_id = slice_of("a\0b", 3),
					 .session_timeout_ms = 10000};
	s = sent_new(r, API_join_group, 9, &nul);
	assert_code(((struct join_group_response *)sent_wait(s))->error_code, ERR_INVALID_GROUP_ID);
	sent_free(s);
	size_t count;
	free(broker_groups(r->b, &count));
	assert_int_equal(count, 0);
}

static void old_and_new_clients_hear_of_a_failed_leave_in_their_way(void **state)
{
	struct rig *r = *state;
	struct leave_group_request q = {.group_id = slice_str("g"), .member_id = slice_str("x")};

	for (int16_t version = 0; version <= 2; version++) {
		struct sent *s = sent_new(r, API_leave_group, version, &q);
		assert_code(((struct leave_group_response *)sent_wait(s))->error_code,
			    ERR_UNKNOWN_MEMBER_ID);
		sent_free(s);
	}
	assert_code(leave(r, "g", slice_str("x")), ERR_UNKNOWN_MEMBER_ID);
}

static void an_administrator_removes_static_members_in_one_request(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .instance = "one", .version = 5};
	struct sent *s = make_classic(r, &j);
	struct leave_group_request_member m[] = {
		{.member_id = slice_str(""), .group_instance_id = slice_str("one")},
		{.member_id = slice_str(""), .group_instance_id = slice_str("two")},
	};
	struct leave_group_request q = {.group_id = slice_str("g"), .members = {m, 2}};

	struct sent *t = sent_new(r, API_leave_group, 5, &q);
	const struct leave_group_response *a = sent_wait(t);
	assert_code(a->error_code, ERR_NONE);
	assert_int_equal(a->members.n, 2);
	assert_code(a->members.v[0].error_code, ERR_NONE);
	assert_slice(a->members.v[0].group_instance_id, "one");
	assert_code(a->members.v[1].error_code, ERR_UNKNOWN_MEMBER_ID);
	sent_free(t);
	sent_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_group_is_joined_synced_kept_and_left),
		MEMORY(members_of_old_clients_join_at_once),
		MEMORY(a_second_member_rebalances_the_group),
		MEMORY(a_silent_member_is_removed_by_the_clock_alone),
		MEMORY(a_join_that_cannot_be_is_refused),
		MEMORY(old_and_new_clients_hear_of_a_failed_leave_in_their_way),
		MEMORY(an_administrator_removes_static_members_in_one_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

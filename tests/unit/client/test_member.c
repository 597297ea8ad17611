/* test_member.c - joining a group, staying in it and leaving it, by the classic protocol. */
#include "fake.h"

#include <stdatomic.h>

#include "client/assign.h"
#include "client/member.h"

/* A coordinator of one group. */
struct coordinator {
	bool follows;            /* another member leads */
	_Atomic(int) rebalances; /* heartbeats that are answered so */
	_Atomic(int) sync_rebalances;
	_Atomic(int) forgotten; /* heartbeats that are answered with UNKNOWN_MEMBER_ID */
	enum ks_err join_error;
	/* what it saw */
	int new_members;       /* joins without a member id */
	char assignments[256]; /* of SyncGroup: "member:topic/0,1;" */
	char left[64];
	int32_t generation;
};

static struct buf other_subscription; /* of the second member, in every test the same */

static void join(struct fake_call *c, struct coordinator *k)
{
	const struct join_group_request *q = c->request;
	struct join_group_response *m = c->response;

	m->error_code = (int16_t)k->join_error;
	if (k->join_error)
		return;
	m->member_id = slice_str("m-1");
	if (q->member_id.len == 0) {
		k->new_members++;
		m->error_code = ERR_MEMBER_ID_REQUIRED;
		return;
	}
	m->generation_id = ++k->generation;
	m->protocol_name = slice_str("range");
	m->leader = slice_str(k->follows ? "m-0" : "m-1");
	if (k->follows)
		return;
	m->members.v = fake_alloc(c, 2, sizeof *m->members.v);
	m->members.n = 2;
	m->members.v[0] = (struct join_group_response_member){
		.member_id = slice_str("m-1"), .metadata = q->protocols.v[0].metadata};
	m->members.v[1] = (struct join_group_response_member){
		.member_id = slice_str("m-0"), .metadata = buf_slice(&other_subscription)};
}

static void note_assignments(struct coordinator *k, const struct sync_group_request *q,
			     struct arena *arena)
{
	size_t at = 0;

	k->assignments[0] = 0;
	for (int32_t i = 0; i < q->assignments.n; i++) {
		const struct sync_group_request_assignment *a = &q->assignments.v[i];
		struct consumer_protocol_assignment parsed;
		assert_int_equal(assign_read_assignment(a->assignment, arena, 4096, &parsed), 0);
		at += (size_t)snprintf(k->assignments + at, sizeof k->assignments - at,
				       "%.*s:", (int)a->member_id.len,
				       (const char *)a->member_id.data);
		for (int32_t t = 0; t < parsed.assigned_partitions.n; t++)
			for (int32_t p = 0; p < parsed.assigned_partitions.v[t].partitions.n; p++)
				at += (size_t)snprintf(
					k->assignments + at, sizeof k->assignments - at, "%.*s/%d ",
					(int)parsed.assigned_partitions.v[t].topic.len,
					(const char *)parsed.assigned_partitions.v[t].topic.data,
					parsed.assigned_partitions.v[t].partitions.v[p]);
	}
}

static void sync_group(struct fake_call *c, struct coordinator *k)
{
	static int32_t third = 3;
	const struct sync_group_request *q = c->request;
	struct sync_group_response *m = c->response;
	struct consumer_protocol_assignment_assigned_partition row = {slice_str("in"), {&third, 1}};
	struct consumer_protocol_assignment followers = {.assigned_partitions = {&row, 1}};
	struct buf bytes = {0};

	if (atomic_fetch_sub(&k->sync_rebalances, 1) > 0) {
		m->error_code = ERR_REBALANCE_IN_PROGRESS;
		return;
	}
	note_assignments(k, q, c->arena);
	m->protocol_name = slice_str("range");
	m->assignment = slice_str("");
	for (int32_t i = 0; i < q->assignments.n; i++)
		if (slice_equal(q->assignments.v[i].member_id, slice_str("m-1")))
			m->assignment = q->assignments.v[i].assignment;
	if (!k->follows)
		return;
	assign_write_assignment(&followers, &bytes);
	m->assignment = slice_of(arena_copy(c->arena, bytes.data, bytes.len), bytes.len);
	buf_fini(&bytes);
}

static void find(struct fake_call *c)
{
	struct find_coordinator_response *m = c->response;

	m->coordinators.v = fake_alloc(c, 1, sizeof *m->coordinators.v);
	m->coordinators.n = 1;
	m->coordinators.v[0] =
		(struct find_coordinator_response_coordinator){.key = slice_str("g"),
							       .node_id = 1,
							       .host = slice_str("127.0.0.1"),
							       .port = fake_port(c->fake)};
}

static enum fake_turn coordinator(struct fake_call *c, void *arg)
{
	struct coordinator *k = arg;
	const struct metadata_request *metadata = c->request;
	const struct leave_group_request *leaving = c->request;
	struct heartbeat_response *beat = c->response;

	switch (c->api->key) {
	case API_metadata:
		if (metadata->topics.n == 1)
			fake_topic(c, "in", 4, 1, ERR_NONE);
		break;
	case API_find_coordinator:
		find(c);
		break;
	case API_join_group:
		join(c, k);
		break;
	case API_sync_group:
		sync_group(c, k);
		break;
	case API_heartbeat:
		if (atomic_fetch_sub(&k->rebalances, 1) > 0)
			beat->error_code = ERR_REBALANCE_IN_PROGRESS;
		else if (atomic_fetch_sub(&k->forgotten, 1) > 0)
			beat->error_code = ERR_UNKNOWN_MEMBER_ID;
		break;
	case API_leave_group:
		snprintf(k->left, sizeof k->left, "%.*s", (int)leaving->members.v[0].member_id.len,
			 (const char *)leaving->members.v[0].member_id.data);
		break;
	default:
		return FAKE_DEFAULT;
	}
	return FAKE_ANSWER;
}

struct setup {
	struct coordinator coordinator;
	struct fake *fake;
	struct client_cluster *cluster;
	struct client_member *member;
};

static void begin(struct setup *s)
{
	static const char *const topics[] = {"in"};
	struct client_options options = {0};
	struct client_member_options member = {
		.group = "g", .topics = topics, .topic_count = 1, .heartbeat_interval_ms = -1};

	s->fake = fake_start(coordinator, &s->coordinator);
	assert_ok(client_cluster_open(fake_address(s->fake), &options, &s->cluster, why));
	s->member = client_member_new(s->cluster, &member);
}

static void end(struct setup *s)
{
	client_member_free(s->member);
	client_cluster_close(s->cluster);
	fake_stop(s->fake);
}

static void a_new_member_gets_its_id_first_and_leads_by_ranges(void **state)
{
	struct setup s = {0};
	size_t n;

	(void)state;
	begin(&s);
	assert_ok(client_member_join(s.member, why));
	const struct client_assigned *a = client_member_assignment(s.member, &n);
	assert_int_equal(n, 2); /* of 4: the other one comes first by its id */
	assert_string_equal(a[0].topic, "in");
	assert_int_equal(a[0].partition, 2);
	assert_int_equal(a[1].partition, 3);
	assert_string_equal(client_member_committer(s.member).member_id, "m-1");
	assert_int_equal(client_member_committer(s.member).generation, 1);
	end(&s);
	assert_int_equal(s.coordinator.new_members, 1);
	assert_string_equal(s.coordinator.assignments, "m-0:in/0 in/1 m-1:in/2 in/3 ");
	assert_string_equal(s.coordinator.left, "m-1");
}

static void a_follower_takes_what_the_leader_gave(void **state)
{
	struct setup s = {.coordinator = {.follows = true}};
	size_t n;

	(void)state;
	begin(&s);
	assert_ok(client_member_join(s.member, why));
	const struct client_assigned *a = client_member_assignment(s.member, &n);
	assert_int_equal(n, 1);
	assert_int_equal(a[0].partition, 3);
	end(&s);
	assert_string_equal(s.coordinator.assignments, "");
}

static void a_rebalance_asks_for_another_join_under_the_same_id(void **state)
{
	struct setup s = {.coordinator = {.rebalances = 1}};
	bool must_join;

	(void)state;
	begin(&s);
	assert_ok(client_member_join(s.member, why));
	assert_ok(client_member_heartbeat(s.member, &must_join, why));
	assert_true(must_join);
	assert_ok(client_member_join(s.member, why));
	assert_int_equal(client_member_committer(s.member).generation, 2);
	assert_ok(client_member_heartbeat(s.member, &must_join, why));
	assert_false(must_join);
	end(&s);
	assert_int_equal(s.coordinator.new_members, 1);
}

static void a_rebalance_during_the_sync_begins_again(void **state)
{
	struct setup s = {.coordinator = {.sync_rebalances = 2}};

	(void)state;
	begin(&s);
	assert_ok(client_member_join(s.member, why));
	assert_int_equal(client_member_committer(s.member).generation, 3);
	end(&s);
}

static void who_was_forgotten_joins_as_somebody_new(void **state)
{
	struct setup s = {.coordinator = {.forgotten = 1}};
	bool must_join;

	(void)state;
	begin(&s);
	assert_ok(client_member_join(s.member, why));
	assert_ok(client_member_heartbeat(s.member, &must_join, why));
	assert_true(must_join);
	assert_ok(client_member_join(s.member, why));
	end(&s);
	assert_int_equal(s.coordinator.new_members, 2);
}

static void a_refusal_is_told(void **state)
{
	struct setup s = {.coordinator = {.join_error = ERR_INCONSISTENT_GROUP_PROTOCOL}};
	struct ks_why told;

	(void)state;
	begin(&s);
	assert_int_equal(client_member_join(s.member, &told), ERR_INCONSISTENT_GROUP_PROTOCOL);
	assert_string_equal(told.text, "cannot join group \"g\": the member's protocols are not "
				       "those of the group");
	end(&s);
	assert_string_equal(s.coordinator.left, ""); /* who never was in need not leave */
}

static int subscribe_the_other(void **state)
{
	struct slice topic = slice_str("in");
	struct consumer_protocol_subscription other = {.topics = {&topic, 1}};

	(void)state;
	assign_write_subscription(&other, &other_subscription);
	return 0;
}

static int release(void **state)
{
	(void)state;
	buf_fini(&other_subscription);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_member_gets_its_id_first_and_leads_by_ranges),
		cmocka_unit_test(a_follower_takes_what_the_leader_gave),
		cmocka_unit_test(a_rebalance_asks_for_another_join_under_the_same_id),
		cmocka_unit_test(a_rebalance_during_the_sync_begins_again),
		cmocka_unit_test(who_was_forgotten_joins_as_somebody_new),
		cmocka_unit_test(a_refusal_is_told),
	};

	return cmocka_run_group_tests(tests, subscribe_the_other, release);
}

/* The consumer protocol (KIP-848) over the wire, from request to answer, over both stores. */
#include "group_calls.h"

static void consumers_share_a_topic_and_hand_partitions_over(void **state)
{
	struct rig *r = *state;
	struct consumer a = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	struct consumer b = {.group = "g", .id = "b", .version = 1, .topics = {"t"}};

	rig_topic(r, "t", 6);
	assert_code(consumer_beat(r, &a, true), ERR_NONE);
	assert_int_equal(a.epoch, 1);
	assert_int_equal(consumer_owns(&a), 6);
	struct wire_uuid id = uuid_of_topic(r, "t");
	assert_memory_equal(&a.topic[0], &id, sizeof id);
	assert_code(consumer_beat(r, &b, true), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 0);
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_true(a.has_assignment);
	assert_int_equal(consumer_owns(&a), 3);
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_int_equal(a.epoch, 2);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 3);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_false(b.has_assignment);
	assert_code(consumer_leaves(r, &a, -1), ERR_NONE);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 6);
}

static void an_expression_follows_topics_as_they_are_made_and_deleted(void **state)
{
	struct rig *r = *state;
	struct consumer c = {.group = "g", .id = "a", .version = 1, .regex = "log-[a-z]+"};

	rig_topic(r, "log-a", 1);
	rig_topic(r, "log-1", 1);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 1);
	rig_topic(r, "log-b", 2);
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 3);
	assert_ok(broker_topic_add_partitions(r->b, "log-b", 4, why));
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 5);
	assert_ok(broker_topic_delete(r->b, "log-b", why));
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 1);
	rig_topic(r, "log-b", 3);
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 4);
}

static void heartbeats_that_make_no_sense_are_refused(void **state)
{
	struct rig *r = *state;
	struct consumer good = {.group = "g", .id = "a", .version = 1, .topics = {"t"}}, c;

	rig_topic(r, "t", 1);
	c = good;
	c.group = "";
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_GROUP_ID);
	c = good;
	c.id = NULL;
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_REQUEST);
	assert_string_equal(c.message, "MemberId is empty");
	c = good;
	c.instance = " ";
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_REQUEST);
	c = good;
	c.epoch = -3;
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_REQUEST);
	c = good;
	c.epoch = -2;
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_REQUEST);
	c = good;
	c.assignor = "sticky";
	assert_code(consumer_beat(r, &c, true), ERR_UNSUPPORTED_ASSIGNOR);
	c = good;
	c.regex = "log-(";
	assert_code(consumer_beat(r, &c, true), ERR_INVALID_REGULAR_EXPRESSION);
	assert_non_null(strstr(c.message, "byte 5"));
	c = good;
	c.epoch = 1;
	assert_code(consumer_beat(r, &c, true), ERR_GROUP_ID_NOT_FOUND);
	assert_code(consumer_beat(r, &good, true), ERR_NONE);
	assert_code(consumer_leaves(r, &c, -1), ERR_NONE);
	assert_code(consumer_leaves(r, &c, -1), ERR_UNKNOWN_MEMBER_ID);
}

static void version_0_is_given_an_id(void **state)
{
	struct rig *r = *state;
	struct consumer c = {.group = "g", .version = 0, .topics = {"t"}};

	rig_topic(r, "t", 2);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	assert_int_equal(strlen(c.given_id), 36);
	c.id = c.given_id;
	assert_code(consumer_beat(r, &c, false), ERR_NONE);
	assert_int_equal(consumer_owns(&c), 2);
}

static void offsets_of_consumers_are_checked_against_their_epoch(void **state)
{
	struct rig *r = *state;
	struct consumer c = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	struct committing o = {.group = "g", .topic = "t", .member = "a", .generation = 1};

	rig_topic(r, "t", 1);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	assert_code(commit(r, o), ERR_NONE);
	o.generation = 2;
	assert_code(commit(r, o), ERR_STALE_MEMBER_EPOCH);
	o.member = "b";
	assert_code(commit(r, o), ERR_UNKNOWN_MEMBER_ID);
	o.member = "a";
	o.generation = 1;
	o.version = 8;
	assert_code(commit(r, o), ERR_UNSUPPORTED_VERSION);
	struct fetching f = {.group = "g", .topic = "t", .member = "a", .epoch = 1};
	assert_code(fetch(r, f).code, ERR_NONE);
	f.epoch = 0;
	assert_code(fetch(r, f).code, ERR_STALE_MEMBER_EPOCH);
	f.member = "b";
	assert_code(fetch(r, f).code, ERR_UNKNOWN_MEMBER_ID);
	f.member = NULL;
	assert_code(fetch(r, f).code, ERR_NONE);
	int16_t of_group;
	assert_code(delete_offset(r, "g", "t", 0, &of_group), ERR_GROUP_SUBSCRIBED_TO_TOPIC);
	assert_code(delete_group(r, "g"), ERR_NON_EMPTY_GROUP);
	assert_code(consumer_leaves(r, &c, -1), ERR_NONE);
	assert_code(delete_group(r, "g"), ERR_NONE);
}

static void consumer_groups_are_described(void **state)
{
	struct rig *r = *state;
	struct consumer c = {.group = "g",
			     .id = "a",
			     .instance = "i",
			     .version = 1,
			     .assignor = "range",
			     .topics = {"t"}};
	struct slice names[] = {slice_str("g"), slice_str("none")};
	struct consumer_group_describe_request q = {{names, 2}, true};

	rig_topic(r, "t", 2);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	for (int16_t version = 0; version <= 1; version++) {
		struct sent *s = sent_new(r, API_consumer_group_describe, version, &q);
		const struct consumer_group_describe_response *a = sent_wait(s);
		const struct consumer_group_describe_response_group *g = a->groups.v;
		assert_code(g[0].error_code, ERR_NONE);
		assert_slice(g[0].group_state, "Stable");
		assert_int_equal(g[0].group_epoch, 1);
		assert_int_equal(g[0].assignment_epoch, 1);
		assert_slice(g[0].assignor_name, "range");
		assert_int_equal(g[0].authorized_operations, 328);
		const struct consumer_group_describe_response_member *m = g[0].members.v;
		assert_int_equal(g[0].members.n, 1);
		assert_slice(m->member_id, "a");
		assert_slice(m->instance_id, "i");
		assert_slice(m->subscribed_topic_names.v[0], "t");
		assert_null(m->subscribed_topic_regex.data);
		assert_slice(m->assignment->topic_partitions.v[0].topic_name, "t");
		assert_int_equal(m->assignment->topic_partitions.v[0].partitions.n, 2);
		assert_int_equal(m->target_assignment->topic_partitions.v[0].partitions.n, 2);
		assert_int_equal(m->member_type, 1);
		assert_code(g[1].error_code, ERR_GROUP_ID_NOT_FOUND);
		sent_free(s);
	}
}

static void only_an_empty_group_changes_its_protocol(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3};
	struct consumer c = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	assert_code(consumer_beat(r, &c, true), ERR_GROUP_ID_NOT_FOUND);
	assert_code(leave(r, "g", a->member_id), ERR_NONE); /* generation 2 */
	commit(r, (struct committing){.group = "g", .topic = "t", .generation = -1, .offset = 4});
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	assert_int_equal(c.epoch, 3);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 4);
	struct sent *refused = join_send(r, &k);
	assert_code(((struct join_group_response *)sent_wait(refused))->error_code,
		    ERR_INCONSISTENT_GROUP_PROTOCOL);
	sent_free(refused);
	assert_code(consumer_leaves(r, &c, -1), ERR_NONE); /* epoch 4 */
	sent_free(s);
	j.version = 3;
	struct sent *joining = join_send(r, &j);
	pass(r, 3000);
	const struct join_group_response *b = sent_wait(joining);
	assert_code(b->error_code, ERR_NONE);
	assert_int_equal(b->generation_id, 5);
	sent_free(joining);
	if (r->dir) {
		rig_reopen(r);
		char got[200];
		list_groups(r, NULL, NULL, got);
		assert_string_equal(got, "g/test/CompletingRebalance/classic ");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY(consumers_share_a_topic_and_hand_partitions_over),
		MEMORY(an_expression_follows_topics_as_they_are_made_and_deleted),
		MEMORY(heartbeats_that_make_no_sense_are_refused),
		MEMORY(version_0_is_given_an_id),
		MEMORY(offsets_of_consumers_are_checked_against_their_epoch),
		MEMORY(consumer_groups_are_described),
		BOTH(only_an_empty_group_changes_its_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

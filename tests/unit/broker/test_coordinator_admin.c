/* Groups that are listed, described and deleted. */
#include "group_calls.h"

static void groups_without_members_are_deleted_with_their_offsets(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	assert_code(delete_group(r, "g"), ERR_NON_EMPTY_GROUP);
	assert_code(delete_group(r, "none"), ERR_GROUP_ID_NOT_FOUND);
	assert_code(leave(r, "g", a->member_id), ERR_NONE);
	struct committing c = {.group = "g", .topic = "t", .generation = -1, .offset = 1};
	assert_code(commit(r, c), ERR_NONE);
	assert_code(delete_group(r, "g"), ERR_NONE);
	assert_code(delete_group(r, "g"), ERR_GROUP_ID_NOT_FOUND);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, -1);
	/* Also what the same write has just put. */
	struct slice names[] = {slice_str("h")};
	struct delete_groups_request q = {{names, 1}};
	struct committing d = {.group = "h", .topic = "t", .generation = -1, .offset = 1};
	struct sent *committing = commit_send(r, &d),
		    *deleting = sent_new(r, API_delete_groups, 2, &q);
	assert_code(((struct delete_groups_response *)sent_wait(deleting))->results.v[0].error_code,
		    ERR_NONE);
	sent_wait(committing);
	assert_int_equal(fetch(r, (struct fetching){.group = "h", .topic = "t"}).offset, -1);
	size_t count;
	free(broker_groups(r->b, &count));
	assert_int_equal(count, 0);
	sent_free(committing);
	sent_free(deleting);
	sent_free(s);
}

static void groups_are_listed_by_state_and_type(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "stable"}, k = {.group = "joining", .version = 3};
	struct consumer c = {.group = "new", .id = "m", .version = 1, .topics = {"t"}};
	char got[500];

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j), *joining = join_send(r, &k);
	commit(r, (struct committing){.group = "simple", .topic = "t", .generation = -1});
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got,
			    "joining/test/PreparingRebalance/classic new/consumer/Stable/consumer "
			    "simple//Empty/classic stable/test/Stable/classic ");
	list_groups(r, "stable", NULL, got);
	assert_string_equal(got, "new/consumer/Stable/consumer stable/test/Stable/classic ");
	list_groups(r, NULL, "Consumer", got);
	assert_string_equal(got, "new/consumer/Stable/consumer ");
	list_groups(r, "Empty", "classic", got);
	assert_string_equal(got, "simple//Empty/classic ");
	list_groups(r, "Dead", NULL, got);
	assert_string_equal(got, "");
	pass(r, 3000);
	sent_wait(joining);
	sent_free(joining);
	sent_free(s);
}

static void groups_are_described_in_every_version(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .instance = "i", .version = 5};
	struct consumer c = {.group = "new", .id = "m", .version = 1, .topics = {"t"}};
	struct slice names[] = {slice_str("g"), slice_str("none"), slice_str("new")};
	struct describe_groups_request q = {{names, 3}, true};

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	for (int16_t version = 0; version <= 6; version++) {
		struct sent *d = sent_new(r, API_describe_groups, version, &q);
		const struct describe_groups_response *a = sent_wait(d);
		const struct describe_groups_response_group *g = a->groups.v;
		assert_int_equal(a->groups.n, 3);
		assert_code(g[0].error_code, ERR_NONE);
		assert_slice(g[0].group_state, "Stable");
		assert_slice(g[0].protocol_type, "test");
		assert_slice(g[0].protocol_data, "range");
		assert_int_equal(g[0].authorized_operations, 328);
		assert_int_equal(g[0].members.n, 1);
		assert_slice(g[0].members.v[0].group_instance_id, "i");
		assert_slice(g[0].members.v[0].client_id, "app");
		assert_slice(g[0].members.v[0].client_host, "/127.0.0.1");
		assert_slice(g[0].members.v[0].member_metadata, "meta");
		assert_true(slice_equal(g[0].members.v[0].member_assignment,
					g[0].members.v[0].member_id));
		for (int i = 1; i < 3; i++) {
			assert_slice(g[i].group_state, "Dead");
			assert_code(g[i].error_code,
				    version < 6 ? ERR_NONE : ERR_GROUP_ID_NOT_FOUND);
		}
		sent_free(d);
	}
	sent_free(s);
}

static void those_who_use_the_broker_in_process_see_the_same_groups(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	struct topic *t = rig_topic(r, "t", 1);
	struct group_offset o = {topic_partition(t, 0), 5, 0}, *rows;
	struct ks_why sentence = {""};
	size_t count;

	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	char **names = broker_groups(r->b, &count);
	assert_int_equal(count, 1);
	assert_string_equal(names[0], "g");
	free(names[0]);
	free(names);
	assert_int_equal(broker_group_commit(r->b, "g", &o, 1, &sentence), ERR_NON_EMPTY_GROUP);
	assert_non_null(strstr(sentence.text, "\"g\" has members"));
	assert_int_equal(broker_group_delete(r->b, "g", NULL), ERR_NON_EMPTY_GROUP);
	assert_code(leave(r, "g", a->member_id), ERR_NONE);
	assert_ok(broker_group_commit(r->b, "g", &o, 1, why));
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 5);
	commit(r, (struct committing){.group = "g", .topic = "t", .generation = -1, .offset = 6});
	assert_ok(broker_group_offsets(r->b, "g", &rows, &count));
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].offset, 6);
	assert_int_equal(rows[0].commit_time_ms, r->now_ms);
	free(rows);
	assert_ok(broker_group_delete(r->b, "g", why));
	assert_int_equal(broker_group_delete(r->b, "g", NULL), ERR_GROUP_ID_NOT_FOUND);
	sent_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(groups_without_members_are_deleted_with_their_offsets),
		MEMORY(groups_are_listed_by_state_and_type),
		MEMORY(groups_are_described_in_every_version),
		BOTH(those_who_use_the_broker_in_process_see_the_same_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

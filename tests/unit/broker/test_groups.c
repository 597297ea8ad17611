/* Groups over the wire, from request to answer, over both stores; and what of them is there after
 * a restart. */
#include "group_calls.h"

#include "store/store_impl.h"

/* --- the classic protocol --- */

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

/* --- offsets --- */

static void offsets_are_committed_and_fetched_in_every_version(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 3);
	for (int16_t version = 2; version <= 10; version++) {
		char group[16], metadata[16];
		snprintf(group, sizeof group, "g%d", version);
		snprintf(metadata, sizeof metadata, "m%d", version);
		assert_code(commit(r, (struct committing){.group = group,
							  .topic = "t",
							  .partition = 2,
							  .generation = -1,
							  .offset = 1000 + version,
							  .leader_epoch = 7,
							  .metadata = metadata,
							  .version = version}),
			    ERR_NONE);
		for (int16_t v = 1; v <= 10; v++) {
			struct fetched f = fetch(r, (struct fetching){.group = group,
								      .topic = "t",
								      .partition = 2,
								      .version = v});
			assert_code(f.code, ERR_NONE);
			assert_int_equal(f.offset, 1000 + version);
			assert_string_equal(f.metadata, metadata);
			assert_int_equal(f.leader_epoch, 7);
		}
	}
}

static void what_was_never_committed_is_no_error(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	commit(r, (struct committing){.group = "g", .topic = "t", .generation = -1, .offset = 5});
	for (int16_t v = 1; v <= 9; v++) {
		static const char *const groups[] = {"unknown", "g", "g", ""};
		static const char *const topics[] = {"t", "t", "nowhere", "t"};
		static const int32_t partitions[] = {0, 1, 0, 0};
		for (int i = 0; i < 4; i++) {
			struct fetched f = fetch(r, (struct fetching){.group = groups[i],
								      .topic = topics[i],
								      .partition = partitions[i],
								      .version = v});
			assert_code(f.code, ERR_NONE);
			assert_int_equal(f.offset, -1);
			assert_int_equal(f.leader_epoch, -1);
			assert_string_equal(f.metadata, "");
		}
	}
	assert_code(
		fetch(r, (struct fetching){.group = "g", .topic = "nowhere", .version = 10}).code,
		ERR_UNKNOWN_TOPIC_ID);
}

static void commits_say_what_is_wrong_with_each_partition(void **state)
{
	struct rig *r = *state;
	char long_text[5000];

	rig_topic(r, "t", 1);
	memset(long_text, 'x', sizeof long_text);
	long_text[4096] = 0;
	struct committing c = {.group = "g", .topic = "t", .generation = -1, .metadata = long_text};
	assert_code(commit(r, c), ERR_NONE);
	long_text[4096] = 'x';
	long_text[4097] = 0;
	assert_code(commit(r, c), ERR_OFFSET_METADATA_TOO_LARGE);
	c.metadata = NULL;
	c.partition = 1;
	assert_code(commit(r, c), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	c.partition = -1;
	assert_code(commit(r, c), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	c.partition = 0;
	c.topic = "u";
	assert_code(commit(r, c), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	c.version = 10;
	assert_code(commit(r, c), ERR_UNKNOWN_TOPIC_ID);
	c.group = "";
	assert_code(commit(r, c), ERR_INVALID_GROUP_ID);
	/* A failed commit does not make a group. */
	c = (struct committing){.group = "other", .topic = "u", .generation = -1};
	assert_code(commit(r, c), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	size_t count;
	char **names = broker_groups(r->b, &count);
	assert_int_equal(count, 1);
	free(names[0]);
	free(names);
}

static void commits_of_members_need_their_generation(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	char id[64];

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	snprintf(id, sizeof id, "%.*s", (int)a->member_id.len, a->member_id.data);
	struct committing c = {
		.group = "g", .topic = "t", .member = id, .generation = 1, .offset = 9};
	assert_code(commit(r, c), ERR_NONE);
	c.generation = 0;
	assert_code(commit(r, c), ERR_ILLEGAL_GENERATION);
	c.generation = 1;
	c.member = "x";
	assert_code(commit(r, c), ERR_UNKNOWN_MEMBER_ID);
	c.generation = -1;
	c.member = NULL;
	assert_code(commit(r, c), ERR_UNKNOWN_MEMBER_ID);
	c.group = "none";
	c.generation = 3;
	assert_code(commit(r, c), ERR_GROUP_ID_NOT_FOUND);
	c.version = 8;
	assert_code(commit(r, c), ERR_ILLEGAL_GENERATION);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 9);
	sent_free(s);
}

/* kafkajs resets a group by committing -1 or -2. */
static void negative_offsets_are_kept_but_are_no_place_to_read_from(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 1);
	struct group_offset *rows;
	size_t count;
	int64_t offset;

	assert_code(commit(r,
			   (struct committing){
				   .group = "g", .topic = "t", .generation = -1, .offset = -2}),
		    ERR_NONE);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, -2);
	assert_int_equal(broker_group_offset(r->b, "g", topic_partition(t, 0), &offset),
			 ERR_NOT_FOUND);
	assert_int_equal(broker_group_offsets(r->b, "g", &rows, &count), ERR_GROUP_ID_NOT_FOUND);
}

static void a_fetch_sees_the_commit_before_it_even_in_one_write(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	for (int i = 1; i <= 200; i++) {
		struct committing c = {.group = "g", .topic = "t", .generation = -1, .offset = i};
		struct fetching f = {.group = "g", .topic = "t"};
		struct sent *a = commit_send(r, &c), *b = fetch_send(r, &f);
		assert_int_equal(fetched_of(b).offset, i);
		sent_wait(a);
		sent_free(a);
		sent_free(b);
	}
}

static void all_offsets_of_a_group_come_by_topic_and_partition(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "b", 2);
	rig_topic(r, "a", 1);
	struct committing c = {.group = "g", .topic = "b", .generation = -1, .partition = 1};
	commit(r, c);
	c.partition = 0;
	commit(r, c);
	c.topic = "a";
	c.offset = 77;
	commit(r, c);
	struct offset_fetch_request old = {.group_id = slice_str("g"), .topics = {NULL, -1}};
	struct sent *s = sent_new(r, API_offset_fetch, 7, &old);
	const struct offset_fetch_response *f = sent_wait(s);
	assert_int_equal(f->topics.n, 2);
	assert_slice(f->topics.v[0].name, "a");
	assert_int_equal(f->topics.v[0].partitions.v[0].committed_offset, 77);
	assert_int_equal(f->topics.v[1].partitions.n, 2);
	assert_int_equal(f->topics.v[1].partitions.v[1].partition_index, 1);
	sent_free(s);
	struct offset_fetch_request_group groups[] = {
		{.group_id = slice_str("g"), .member_epoch = -1, .topics = {NULL, -1}},
		{.group_id = slice_str("none"), .member_epoch = -1, .topics = {NULL, -1}},
	};
	struct offset_fetch_request new = {.groups = {groups, 2}};
	s = sent_new(r, API_offset_fetch, 10, &new);
	f = sent_wait(s);
	assert_int_equal(f->groups.n, 2);
	assert_int_equal(f->groups.v[0].topics.n, 2);
	struct wire_uuid a = uuid_of_topic(r, "a");
	assert_memory_equal(&f->groups.v[0].topics.v[0].topic_id, &a, sizeof a);
	assert_int_equal(f->groups.v[1].topics.n, 0);
	assert_code(f->groups.v[1].error_code, ERR_NONE);
	sent_free(s);
}

static int16_t delete_offset(struct rig *r, const char *group, const char *topic, int32_t partition,
			     int16_t *of_group)
{
	struct offset_delete_request_partition p = {partition};
	struct offset_delete_request_topic t = {slice_str(topic), {&p, 1}};
	struct offset_delete_request q = {slice_str(group), {&t, 1}};
	struct sent *s = sent_new(r, API_offset_delete, 0, &q);
	const struct offset_delete_response *a = sent_wait(s);
	int16_t code = a->topics.n ? a->topics.v[0].partitions.v[0].error_code : 0;

	*of_group = a->error_code;
	sent_free(s);
	return code;
}

static void offsets_of_topics_that_are_read_are_not_deleted(void **state)
{
	struct rig *r = *state;
	static const uint8_t reads_t[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0};
	struct joiner j = {
		.group = "g", .type = "consumer", .metadata = slice_of(reads_t, sizeof reads_t)};
	int16_t of_group;

	rig_topic(r, "t", 2);
	rig_topic(r, "u", 1);
	struct committing c = {.group = "g", .topic = "u", .generation = -1, .offset = 3};
	commit(r, c);
	c.topic = "t";
	commit(r, c);
	struct sent *s = make_classic(r, &j);
	assert_code(delete_offset(r, "g", "t", 0, &of_group), ERR_GROUP_SUBSCRIBED_TO_TOPIC);
	assert_code(of_group, ERR_NONE);
	assert_code(delete_offset(r, "g", "u", 0, &of_group), ERR_NONE);
	assert_code(delete_offset(r, "g", "t", 2, &of_group), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "u"}).offset, -1);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 3);
	delete_offset(r, "none", "t", 0, &of_group);
	assert_code(of_group, ERR_GROUP_ID_NOT_FOUND);
	struct joiner other = {.group = "h"};
	struct sent *k = make_classic(r, &other);
	delete_offset(r, "h", "t", 0, &of_group);
	assert_code(of_group, ERR_NON_EMPTY_GROUP);
	sent_free(s);
	sent_free(k);
}

/* --- looking after groups --- */

static int16_t delete_group(struct rig *r, const char *name)
{
	struct slice names[] = {slice_str(name)};
	struct delete_groups_request q = {{names, 1}};
	struct sent *s = sent_new(r, API_delete_groups, 2, &q);
	const struct delete_groups_response *a = sent_wait(s);

	assert_slice(a->results.v[0].group_id, name);
	int16_t code = a->results.v[0].error_code;
	sent_free(s);
	return code;
}

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

/* The names that a filter lets through, as one text. */
static void list(struct rig *r, const char *state_filter, const char *type_filter, char *out)
{
	struct slice state = slice_str(state_filter ? state_filter : "");
	struct slice type = slice_str(type_filter ? type_filter : "");
	struct list_groups_request q = {{&state, state_filter != NULL},
					{&type, type_filter != NULL}};
	struct sent *s = sent_new(r, API_list_groups, 5, &q);
	const struct list_groups_response *a = sent_wait(s);

	*out = 0;
	for (int32_t i = 0; i < a->groups.n; i++) {
		const struct list_groups_response_group *g = &a->groups.v[i];
		sprintf(out + strlen(out), "%.*s/%.*s/%.*s/%.*s ", (int)g->group_id.len,
			g->group_id.data, (int)g->protocol_type.len, g->protocol_type.data,
			(int)g->group_state.len, g->group_state.data, (int)g->group_type.len,
			g->group_type.data);
	}
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
	list(r, NULL, NULL, got);
	assert_string_equal(got,
			    "joining/test/PreparingRebalance/classic new/consumer/Stable/consumer "
			    "simple//Empty/classic stable/test/Stable/classic ");
	list(r, "stable", NULL, got);
	assert_string_equal(got, "new/consumer/Stable/consumer stable/test/Stable/classic ");
	list(r, NULL, "Consumer", got);
	assert_string_equal(got, "new/consumer/Stable/consumer ");
	list(r, "Empty", "classic", got);
	assert_string_equal(got, "simple//Empty/classic ");
	list(r, "Dead", NULL, got);
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

/* --- the consumer protocol --- */

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
		list(r, NULL, NULL, got);
		assert_string_equal(got, "g/test/CompletingRebalance/classic ");
	}
}

/* --- restarts --- */

static void a_stable_group_goes_on_after_a_restart(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	struct syncer y;

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	char id[64];
	snprintf(id, sizeof id, "%.*s", (int)a->member_id.len, a->member_id.data);
	struct committing c = {.group = "g",
			       .topic = "t",
			       .member = id,
			       .generation = 1,
			       .offset = 42,
			       .leader_epoch = 3,
			       .metadata = "where"};
	assert_code(commit(r, c), ERR_NONE);
	pass(r, 9999);
	rig_reopen(r);
	pass(r, 9999); /* the session began anew */
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_NONE);
	struct sent *again = sync_send(r, &y, "g", a);
	assert_slice(((struct sync_group_response *)sent_wait(again))->assignment, id);
	struct fetched f = fetch(r, (struct fetching){.group = "g", .topic = "t"});
	assert_int_equal(f.offset, 42);
	assert_int_equal(f.leader_epoch, 3);
	assert_string_equal(f.metadata, "where");
	pass(r, 10000);
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_UNKNOWN_MEMBER_ID);
	rig_reopen(r);
	struct joiner k = {.group = "g"};
	struct sent *next = make_classic(r, &k);
	/* 2 was the empty one. */
	assert_int_equal(((struct join_group_response *)next->call.response)->generation_id, 3);
	sent_free(again);
	sent_free(next);
	sent_free(s);
}

static void a_generation_that_was_told_comes_only_once(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct syncer y;

	struct sent *joining = join_send(r, &j);
	pass(r, 3000);
	const struct join_group_response *a = sent_wait(joining);
	assert_int_equal(a->generation_id, 1);
	rig_reopen(r); /* before the leader assigned */
	struct sent *syncing = sync_send(r, &y, "g", a);
	const struct sync_group_response *b = sent_wait(syncing);
	assert_code(b->error_code, ERR_NONE);
	assert_true(slice_equal(b->assignment, a->member_id));
	assert_code(heartbeat(r, "g", 1, a->member_id), ERR_NONE);
	sent_free(joining);
	sent_free(syncing);
}

static void consumers_go_on_after_a_restart(void **state)
{
	struct rig *r = *state;
	struct consumer a = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	struct consumer b = {.group = "g", .id = "b", .version = 1, .regex = "t.*"};
	struct consumer gone = {.group = "g", .id = "c", .version = 1, .topics = {"t"}};

	rig_topic(r, "t", 6);
	assert_code(consumer_beat(r, &a, true), ERR_NONE);
	assert_code(consumer_beat(r, &gone, true), ERR_NONE);
	assert_code(consumer_leaves(r, &gone, -1), ERR_NONE);
	assert_code(consumer_beat(r, &b, true), ERR_NONE);
	assert_code(consumer_beat(r, &a, false), ERR_NONE); /* is to give up three */
	rig_reopen(r);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 0);
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_int_equal(a.epoch, 4);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 3);
	assert_int_equal(b.epoch, 4);
	rig_topic(r, "t2", 2);
	rig_reopen(r);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(b.epoch, 5);
	assert_int_equal(consumer_owns(&b), 4); /* one of "t" less, two of "t2" more */
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_int_equal(consumer_owns(&a), 4);
}

static void groups_of_older_data_have_their_offsets(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 1);
	struct group_offset o = {topic_partition(t, 0), 5, 0};
	char got[100];

	/* A job's value is what every value was before. */
	assert_ok(broker_group_commit(r->b, "old", &o, 1, why));
	rig_reopen(r);
	struct fetched f = fetch(r, (struct fetching){.group = "old", .topic = "t"});
	assert_int_equal(f.offset, 5);
	assert_int_equal(f.leader_epoch, -1);
	list(r, NULL, NULL, got);
	assert_string_equal(got, "old//Empty/classic ");
}

/* --- expiry --- */

#define DAY_MS    INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)

/* A whole sweep: its pieces come with the ticks. */
static void sweep(struct rig *r)
{
	for (int i = 0; i < 3; i++)
		pass(r, 10 * MINUTE_MS);
}

static void offsets_expire_after_the_last_member_has_left(void **state)
{
	struct rig *r = *state;
	static const uint8_t reads_t[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0};
	struct joiner j = {.group = "g",
			   .type = "consumer",
			   .session_ms = 1800000,
			   .metadata = slice_of(reads_t, sizeof reads_t)};
	struct fetching t = {.group = "g", .topic = "t"}, u = {.group = "g", .topic = "u"};
	char got[100];

	rig_topic(r, "t", 1);
	rig_topic(r, "u", 1);
	struct committing c = {.group = "g", .topic = "t", .generation = -1, .offset = 1};
	commit(r, c);
	c.topic = "u";
	commit(r, c);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	for (int i = 0; i < 8 * 50; i++) { /* eight days with heartbeats */
		pass(r, DAY_MS / 50);
		assert_code(heartbeat(r, "g", 1, a->member_id), ERR_NONE);
	}
	assert_int_equal(fetch(r, t).offset, 1);
	assert_int_equal(fetch(r, u).offset, -1); /* nobody reads it */
	assert_code(leave(r, "g", a->member_id), ERR_NONE);
	pass(r, 7 * DAY_MS - 40 * MINUTE_MS);
	sweep(r);
	assert_int_equal(fetch(r, t).offset, 1);
	sweep(r);
	sweep(r);
	assert_int_equal(fetch(r, t).offset, -1);
	list(r, NULL, NULL, got);
	assert_string_equal(got, "");
	sent_free(s);
}

static void commits_from_outside_expire_by_themselves_but_not_those_of_jobs(void **state)
{
	struct rig *r = *state;
	struct topic *topic = rig_topic(r, "t", 1);
	struct group_offset o = {topic_partition(topic, 0), 5, 0};
	struct job_session *job;
	char got[100];

	commit(r, (struct committing){.group = "simple", .topic = "t", .generation = -1});
	commit(r, (struct committing){.group = "short",
				      .topic = "t",
				      .generation = -1,
				      .retention_ms = 5 * MINUTE_MS,
				      .version = 4});
	assert_ok(broker_job_open(r->b, "job", "me", &job, why));
	broker_job_close(job);
	assert_ok(broker_group_commit(r->b, "job", &o, 1, why));
	sweep(r);
	list(r, NULL, NULL, got);
	assert_string_equal(got, "job//Empty/classic simple//Empty/classic ");
	pass(r, 8 * DAY_MS);
	sweep(r);
	list(r, NULL, NULL, got);
	assert_string_equal(got, "job//Empty/classic ");
	assert_int_equal(fetch(r, (struct fetching){.group = "job", .topic = "t"}).offset, 5);
}

static void empty_groups_without_offsets_are_forgotten(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "classic"};
	struct consumer c = {.group = "consumer", .id = "a", .version = 1, .topics = {"t"}};
	char got[200];

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	assert_code(consumer_beat(r, &c, true), ERR_NONE);
	assert_code(
		leave(r, "classic", ((struct join_group_response *)s->call.response)->member_id),
		ERR_NONE);
	assert_code(consumer_leaves(r, &c, -1), ERR_NONE);
	list(r, "Empty", NULL, got);
	assert_string_equal(got, "classic/test/Empty/classic consumer/consumer/Empty/consumer ");
	sweep(r);
	list(r, NULL, NULL, got);
	assert_string_equal(got, "");
	if (r->dir) {
		rig_reopen(r);
		list(r, NULL, NULL, got);
		assert_string_equal(got, "");
	}
	sent_free(s);
}

static void many_groups_expire_in_pieces(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 30);
	struct group_offset o[30];
	size_t count = 1;

	for (int p = 0; p < 30; p++)
		o[p] = (struct group_offset){topic_partition(t, p), 1, 0};
	for (int i = 0; i < 500; i++) {
		char name[16];
		snprintf(name, sizeof name, "g%d", i);
		assert_ok(broker_group_commit(r->b, name, o, 30, why));
	}
	pass(r, 8 * DAY_MS);
	for (int i = 0; i < 40; i++)
		pass(r, 1);
	char **names = broker_groups(r->b, &count);
	assert_int_equal(count, 0);
	free(names);
}

/* --- bounds --- */

static void reopen_with(struct rig *r, struct group_options o)
{
	broker_close(r->b);
	r->options.groups = o;
	rig_open(r);
}

static void there_are_as_many_groups_as_there_may_be(void **state)
{
	struct rig *r = *state;

	reopen_with(r, (struct group_options){.groups_max = 2});
	rig_topic(r, "t", 1);
	struct committing c = {.group = "a", .topic = "t", .generation = -1};
	assert_code(commit(r, c), ERR_NONE);
	c.group = "b";
	assert_code(commit(r, c), ERR_NONE);
	c.group = "c";
	assert_code(commit(r, c), ERR_GROUP_MAX_SIZE_REACHED);
	struct joiner j = {.group = "c"};
	struct sent *s = join_send(r, &j);
	assert_code(((struct join_group_response *)sent_wait(s))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	sent_free(s);
	struct consumer k = {.group = "c", .id = "a", .version = 1, .topics = {"t"}};
	assert_code(consumer_beat(r, &k, true), ERR_GROUP_MAX_SIZE_REACHED);
	k.group = "b"; /* one that is there may change */
	assert_code(consumer_beat(r, &k, true), ERR_NONE);
}

static void the_memory_of_all_groups_is_bounded(void **state)
{
	struct rig *r = *state;
	char *metadata = calloc(1, 60000);

	reopen_with(r, (struct group_options){.state_bytes_max = 100000});
	struct joiner j[3];
	struct sent *s[3];
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"a", "b", "c"};
		j[i] = (struct joiner){.group = names[i],
				       .version = 3,
				       .metadata = slice_of(metadata, i == 2 ? 60000 : 30000)};
		s[i] = join_send(r, &j[i]);
	}
	assert_code(((struct join_group_response *)sent_wait(s[2]))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	pass(r, 3000);
	for (int i = 0; i < 2; i++)
		assert_code(((struct join_group_response *)sent_wait(s[i]))->error_code, ERR_NONE);
	/* What is gone makes room. */
	assert_code(leave(r, "a", ((struct join_group_response *)s[0]->call.response)->member_id),
		    ERR_NONE);
	sent_free(s[2]);
	s[2] = join_send(r, &j[2]);
	pass(r, 3000);
	assert_code(((struct join_group_response *)sent_wait(s[2]))->error_code, ERR_NONE);
	for (int i = 0; i < 3; i++)
		sent_free(s[i]);
	free(metadata);
}

static void an_answer_that_names_one_group_often_is_bounded(void **state)
{
	struct rig *r = *state;
	uint8_t *metadata = calloc(1, 3 << 20);
	struct joiner j = {.group = "g", .metadata = slice_of(metadata, 3 << 20)};
	struct slice names[40];
	struct describe_groups_request q = {{names, 40}, false};
	int described = 0;

	struct sent *s = make_classic(r, &j);
	for (int i = 0; i < 40; i++)
		names[i] = slice_str("g");
	struct sent *d = sent_new(r, API_describe_groups, 5, &q);
	const struct describe_groups_response *a = sent_wait(d);
	for (int i = 0; i < 40; i++) {
		described += a->groups.v[i].error_code == ERR_NONE;
		if (a->groups.v[i].error_code)
			assert_code(a->groups.v[i].error_code, ERR_MESSAGE_TOO_LARGE);
	}
	assert_in_range(described, 20, 24); /* 64 MiB of 3 MiB each */
	sent_free(d);
	sent_free(s);
	free(metadata);
}

static void a_group_has_at_most_group_max_size_members(void **state)
{
	struct rig *r = *state;

	reopen_with(r, (struct group_options){.max_size = 1, .consumer_max_size = 1});
	rig_topic(r, "t", 1);
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3};
	struct sent *s = make_classic(r, &j), *t = join_send(r, &k);
	assert_code(((struct join_group_response *)sent_wait(t))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	struct consumer a = {.group = "n", .id = "a", .version = 1, .topics = {"t"}}, b = a;
	assert_code(consumer_beat(r, &a, true), ERR_NONE);
	b.id = "b";
	assert_code(consumer_beat(r, &b, true), ERR_GROUP_MAX_SIZE_REACHED);
	sent_free(s);
	sent_free(t);
}

static void options_that_are_wrong_are_told_at_opening(void **state)
{
	struct rig *r = *state;
	struct broker_options o = {.clock = &r->clock,
				   .groups = {.consumer_assignors = "uniform,sticky"}};
	struct ks_why why = {""};
	struct broker *b;

	assert_int_equal(broker_open(&o, &b, &why), ERR_INVALID_CONFIG);
	assert_non_null(strstr(why.text, "sticky"));
	reopen_with(r, (struct group_options){.consumer_assignors = "range"});
	struct consumer c = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	c.assignor = "uniform";
	assert_code(consumer_beat(r, &c, true), ERR_UNSUPPORTED_ASSIGNOR);
}

/* --- ends --- */

static void the_end_of_calls_answers_what_is_parked(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3}, l = {.group = "h"};
	struct sent *s = make_classic(r, &j), *parked = join_send(r, &k);

	pass(r, 10);
	assert_false(sent_is_done(parked));
	broker_group_calls_end(r->b);
	assert_true(sent_is_done(parked));
	assert_code(((struct join_group_response *)sent_wait(parked))->error_code,
		    ERR_NOT_COORDINATOR);
	struct sent *late = join_send(r, &l);
	assert_code(((struct join_group_response *)sent_wait(late))->error_code,
		    ERR_NOT_COORDINATOR);
	assert_code(
		heartbeat(r, "g", 1, ((struct join_group_response *)s->call.response)->member_id),
		ERR_NOT_COORDINATOR);
	sent_free(s);
	sent_free(parked);
	sent_free(late);
}

static void closing_answers_what_is_parked(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct sent *parked = join_send(r, &j);

	pass(r, 10);
	broker_close(r->b);
	assert_true(sent_is_done(parked));
	assert_code(((struct join_group_response *)sent_wait(parked))->error_code,
		    ERR_NOT_COORDINATOR);
	sent_free(parked);
	rig_open(r);
}

/* --- the store fails --- */

static struct store_ops ops;
static enum ks_err (*real_commit)(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why);
static _Atomic(bool) fails;

static enum ks_err failing_commit(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why)
{
	if (fails)
		return ks_fail(why, ERR_IO, "the disk is on fire");
	return real_commit(s, w, sync, why);
}

static int setup_failing(void **state)
{
	struct rig *r = rig_new(false);
	struct store *s = store_open_memory();

	ops = *s->ops;
	real_commit = ops.commit;
	ops.commit = failing_commit;
	s->ops = &ops;
	fails = false;
	assert_int_equal(broker_open_store(&r->options, s, &r->b, NULL), 0);
	*state = r;
	return 0;
}

static enum ks_err wait_for_failure(struct sent *s)
{
	pthread_mutex_lock(&s->mtx);
	while (!s->is_done)
		pthread_cond_wait(&s->done, &s->mtx);
	pthread_mutex_unlock(&s->mtx);
	enum ks_err err = s->call.err;
	sent_free(s);
	return err;
}

static void nothing_is_answered_once_the_store_has_failed(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3}, k = {.group = "h", .version = 3};
	struct committing c = {.group = "x", .topic = "t", .generation = -1};
	struct fetching f = {.group = "x", .topic = "t"};

	rig_topic(r, "t", 1);
	struct sent *joining = join_send(r, &j), *parked = join_send(r, &k);
	fails = true;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	assert_int_equal(wait_for_failure(fetch_send(r, &f)), ERR_IO);
	fails = false;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	broker_group_calls_end(r->b);
	assert_int_equal(wait_for_failure(joining), ERR_IO);
	assert_int_equal(wait_for_failure(parked), ERR_IO);
}

static void a_parked_call_hears_of_the_failure_at_the_end(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct committing c = {.group = "x", .topic = "t", .generation = -1};

	rig_topic(r, "t", 1);
	struct sent *parked = join_send(r, &j);
	fails = true;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	broker_close(r->b);
	r->b = NULL;
	assert_int_equal(wait_for_failure(parked), ERR_IO);
}

#define FAILING(f) cmocka_unit_test_setup_teardown(f, setup_failing, rig_teardown)

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
		BOTH(offsets_are_committed_and_fetched_in_every_version),
		BOTH(what_was_never_committed_is_no_error),
		MEMORY(commits_say_what_is_wrong_with_each_partition),
		MEMORY(commits_of_members_need_their_generation),
		MEMORY(negative_offsets_are_kept_but_are_no_place_to_read_from),
		BOTH(a_fetch_sees_the_commit_before_it_even_in_one_write),
		BOTH(all_offsets_of_a_group_come_by_topic_and_partition),
		BOTH(offsets_of_topics_that_are_read_are_not_deleted),
		BOTH(groups_without_members_are_deleted_with_their_offsets),
		MEMORY(groups_are_listed_by_state_and_type),
		MEMORY(groups_are_described_in_every_version),
		BOTH(those_who_use_the_broker_in_process_see_the_same_groups),
		MEMORY(consumers_share_a_topic_and_hand_partitions_over),
		MEMORY(an_expression_follows_topics_as_they_are_made_and_deleted),
		MEMORY(heartbeats_that_make_no_sense_are_refused),
		MEMORY(version_0_is_given_an_id),
		MEMORY(offsets_of_consumers_are_checked_against_their_epoch),
		MEMORY(consumer_groups_are_described),
		BOTH(only_an_empty_group_changes_its_protocol),
		ROCKS(a_stable_group_goes_on_after_a_restart),
		ROCKS(a_generation_that_was_told_comes_only_once),
		ROCKS(consumers_go_on_after_a_restart),
		ROCKS(groups_of_older_data_have_their_offsets),
		MEMORY(offsets_expire_after_the_last_member_has_left),
		BOTH(commits_from_outside_expire_by_themselves_but_not_those_of_jobs),
		BOTH(empty_groups_without_offsets_are_forgotten),
		MEMORY(many_groups_expire_in_pieces),
		MEMORY(there_are_as_many_groups_as_there_may_be),
		MEMORY(the_memory_of_all_groups_is_bounded),
		MEMORY(an_answer_that_names_one_group_often_is_bounded),
		MEMORY(a_group_has_at_most_group_max_size_members),
		MEMORY(options_that_are_wrong_are_told_at_opening),
		MEMORY(the_end_of_calls_answers_what_is_parked),
		MEMORY(closing_answers_what_is_parked),
		FAILING(nothing_is_answered_once_the_store_has_failed),
		FAILING(a_parked_call_hears_of_the_failure_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

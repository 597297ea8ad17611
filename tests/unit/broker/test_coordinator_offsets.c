/* Committed offsets over the wire: committed, fetched, deleted, and forgotten in their time. */
#include "group_calls.h"

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
	list_groups(r, NULL, NULL, got);
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
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got, "job//Empty/classic simple//Empty/classic ");
	pass(r, 8 * DAY_MS);
	sweep(r);
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got, "job//Empty/classic ");
	assert_int_equal(fetch(r, (struct fetching){.group = "job", .topic = "t"}).offset, 5);
}

static void who_asks_for_more_time_than_there_is_keeps_its_offsets(void **state)
{
	struct rig *r = *state;
	char got[100];

	rig_topic(r, "t", 1);
	commit(r, (struct committing){.group = "long",
				      .topic = "t",
				      .offset = 5,
				      .generation = -1,
				      .retention_ms = INT64_MAX,
				      .version = 4});
	pass(r, 1000 * DAY_MS);
	sweep(r);
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got, "long//Empty/classic ");
	assert_int_equal(fetch(r, (struct fetching){.group = "long", .topic = "t"}).offset, 5);
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
	list_groups(r, "Empty", NULL, got);
	assert_string_equal(got, "classic/test/Empty/classic consumer/consumer/Empty/consumer ");
	sweep(r);
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got, "");
	if (r->dir) {
		rig_reopen(r);
		list_groups(r, NULL, NULL, got);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(offsets_are_committed_and_fetched_in_every_version),
		BOTH(what_was_never_committed_is_no_error),
		MEMORY(commits_say_what_is_wrong_with_each_partition),
		MEMORY(commits_of_members_need_their_generation),
		MEMORY(negative_offsets_are_kept_but_are_no_place_to_read_from),
		BOTH(a_fetch_sees_the_commit_before_it_even_in_one_write),
		BOTH(all_offsets_of_a_group_come_by_topic_and_partition),
		BOTH(offsets_of_topics_that_are_read_are_not_deleted),
		MEMORY(offsets_expire_after_the_last_member_has_left),
		BOTH(commits_from_outside_expire_by_themselves_but_not_those_of_jobs),
		BOTH(who_asks_for_more_time_than_there_is_keeps_its_offsets),
		BOTH(empty_groups_without_offsets_are_forgotten),
		MEMORY(many_groups_expire_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

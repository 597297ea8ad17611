/* test_topics_api.c - CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords, asked over a
 * connection. */
#include "admin_rig.h"

#include "wire/batch.h"

/* --- CreateTopics --- */

static const struct create_topics_response_topic *
create(struct rig *r, int16_t version, struct create_topics_request_topic topic, bool is_dry)
{
	struct create_topics_request request = {.topics = {&topic, 1}, .validate_only = is_dry};
	const struct create_topics_response *m = rig_ask(r, API_create_topics, version, &request);

	assert_int_equal(m->topics.n, 1);
	return &m->topics.v[0];
}

static void a_created_topic_is_told_with_all_it_has(void **state)
{
	struct rig *r = *state;
	struct create_topics_request_config config = {slice_str("retention.ms"), slice_str("5000")};
	const struct create_topics_response_topic *t =
		create(r, 7,
		       (struct create_topics_request_topic){.name = slice_str("in"),
							    .num_partitions = 2,
							    .replication_factor = 1,
							    .configs = {&config, 1}},
		       false);
	bool found = false;

	assert_int_equal(t->error_code, ERR_NONE);
	assert_null(t->error_message.data);
	assert_int_equal(t->num_partitions, 2);
	assert_int_equal(t->replication_factor, 1);
	struct topic_uuid uuid = topic_uuid(broker_topic_find(r->b, "in"));
	assert_memory_equal(&t->topic_id, &uuid, sizeof uuid);
	for (int32_t i = 0; i < t->configs.n; i++) {
		const struct create_topics_response_config *c = &t->configs.v[i];
		if (!slice_equal(c->name, slice_str("retention.ms")))
			continue;
		found = true;
		assert_slice(c->value, "5000");
		assert_int_equal(c->config_source, 1); /* the topic's own */
		assert_false(c->read_only);
	}
	assert_true(found);
}

static void every_version_creates(void **state)
{
	struct rig *r = *state;

	for (int16_t version = 2; version <= 7; version++) {
		char name[8];
		snprintf(name, sizeof name, "v%d", version);
		const struct create_topics_response_topic *t =
			create(r, version,
			       (struct create_topics_request_topic){.name = slice_str(name),
								    .num_partitions = 1,
								    .replication_factor = 1},
			       false);
		assert_int_equal(t->error_code, ERR_NONE);
		assert_non_null(broker_topic_find(r->b, name));
	}
}

static void the_brokers_defaults_hold_where_nothing_is_said(void **state)
{
	struct rig *r = *state;
	struct create_topics_request_topic topic = {
		.name = slice_str("in"), .num_partitions = -1, .replication_factor = -1};

	assert_int_equal(create(r, 5, topic, true)->num_partitions, 3);
	assert_null(broker_topic_find(r->b, "in"));
	assert_int_equal(create(r, 5, topic, false)->num_partitions, 3);
	assert_int_equal(topic_partition_count(broker_topic_find(r->b, "in")), 3);
}

static void what_is_only_checked_is_not_made(void **state)
{
	struct rig *r = *state;
	static const struct wire_uuid zero;
	struct create_topics_request_topic topic = {
		.name = slice_str("in"), .num_partitions = 4, .replication_factor = 1};
	const struct create_topics_response_topic *t = create(r, 7, topic, true);

	assert_int_equal(t->error_code, ERR_NONE);
	assert_int_equal(t->num_partitions, 4);
	assert_memory_equal(&t->topic_id, &zero, sizeof zero);
	assert_null(broker_topic_find(r->b, "in"));
	rig_topic(r, "in", 1);
	assert_int_equal(create(r, 7, topic, true)->error_code, ERR_TOPIC_ALREADY_EXISTS);
}

static void what_cannot_be_made_says_why(void **state)
{
	struct rig *r = *state;
	struct create_topics_request_config unknown = {slice_str("retention.sm"), slice_str("5")};
	struct create_topics_request_config bad = {slice_str("retention.ms"), slice_str("soon")};
	struct create_topics_request_config null = {slice_str("retention.ms"), SLICE_NULL};
	const struct {
		struct create_topics_request_topic topic;
		enum ks_err err;
		const char *word; /* of the message */
	} rows[] = {
		{{.name = slice_str("there"), .num_partitions = 1, .replication_factor = 1},
		 ERR_TOPIC_ALREADY_EXISTS,
		 "there"},
		{{.name = slice_str("a/b"), .num_partitions = 1, .replication_factor = 1},
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "a/b"},
		{{.name = slice_str("x"), .num_partitions = 0, .replication_factor = 1},
		 ERR_INVALID_PARTITIONS,
		 "100000"},
		{{.name = slice_str("x"), .num_partitions = -2, .replication_factor = 1},
		 ERR_INVALID_PARTITIONS,
		 "100000"},
		{{.name = slice_str("x"), .num_partitions = 100001, .replication_factor = 1},
		 ERR_INVALID_PARTITIONS,
		 "100"},
		{{.name = slice_str("x"), .num_partitions = 1, .replication_factor = 2},
		 ERR_INVALID_REPLICATION_FACTOR,
		 "not 2"},
		{{.name = slice_str("x"), .num_partitions = 1, .replication_factor = 0},
		 ERR_INVALID_REPLICATION_FACTOR,
		 "not 0"},
		{{.name = slice_str("x"),
		  .num_partitions = 1,
		  .replication_factor = 1,
		  .configs = {&unknown, 1}},
		 ERR_INVALID_CONFIG,
		 "retention.ms"},
		{{.name = slice_str("x"),
		  .num_partitions = 1,
		  .replication_factor = 1,
		  .configs = {&bad, 1}},
		 ERR_INVALID_CONFIG,
		 "soon"},
		{{.name = slice_str("x"),
		  .num_partitions = 1,
		  .replication_factor = 1,
		  .configs = {&null, 1}},
		 ERR_INVALID_CONFIG,
		 "value"},
	};

	rig_topic(r, "there", 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct create_topics_response_topic *t = create(r, 5, rows[i].topic, false);
		assert_int_equal(t->error_code, rows[i].err);
		if (!memmem(t->error_message.data, t->error_message.len, rows[i].word,
			    strlen(rows[i].word)))
			fail_msg("\"%.*s\" lacks \"%s\"", (int)t->error_message.len,
				 (const char *)t->error_message.data, rows[i].word);
		assert_null(broker_topic_find(r->b, "x"));
	}
}

static void replicas_may_be_assigned_to_this_node_alone(void **state)
{
	struct rig *r = *state;
	int32_t us = 7, two[] = {7, 8};
	struct create_topics_request_assignment rows[] = {{1, {&us, 1}}, {0, {&us, 1}}};
	struct create_topics_request_topic topic = {.name = slice_str("in"),
						    .num_partitions = -1,
						    .replication_factor = -1,
						    .assignments = {rows, 2}};

	rows[0].broker_ids.v = two;
	rows[0].broker_ids.n = 2;
	assert_int_equal(create(r, 5, topic, false)->error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
	rows[0].broker_ids.n = 0;
	assert_int_equal(create(r, 5, topic, false)->error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
	rows[0].broker_ids.n = 1;
	rows[0].partition_index = 2; /* a gap */
	assert_int_equal(create(r, 5, topic, false)->error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
	rows[0].partition_index = 0; /* twice */
	assert_int_equal(create(r, 5, topic, false)->error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
	rows[0].partition_index = 1;
	topic.num_partitions = 2; /* said in two ways */
	assert_int_equal(create(r, 5, topic, false)->error_code, ERR_INVALID_REQUEST);
	topic.num_partitions = -1;
	const struct create_topics_response_topic *t = create(r, 5, topic, false);
	assert_int_equal(t->error_code, ERR_NONE);
	assert_int_equal(t->num_partitions, 2);
}

static void a_topic_is_created_once_however_often_it_is_named(void **state)
{
	struct rig *r = *state;
	struct create_topics_request_topic topics[] = {
		{.name = slice_str("in"), .num_partitions = 1, .replication_factor = 1},
		{.name = slice_str("in"), .num_partitions = 2, .replication_factor = 1}};
	struct create_topics_request request = {.topics = {topics, 2}};
	const struct create_topics_response *m = rig_ask(r, API_create_topics, 5, &request);

	assert_int_equal(m->topics.v[0].error_code, ERR_NONE);
	assert_int_equal(m->topics.v[1].error_code, ERR_INVALID_REQUEST);
	assert_int_equal(topic_partition_count(broker_topic_find(r->b, "in")), 1);
}

/* --- DeleteTopics --- */

static void topics_are_deleted_by_name(void **state)
{
	struct rig *r = *state;
	struct slice names[] = {slice_str("in"), slice_str("nope"), slice_str("a/b")};
	struct delete_topics_request request = {.topic_names = {names, 3}};

	for (int16_t version = 1; version <= 5; version++) {
		rig_topic(r, "in", 1);
		const struct delete_topics_response *m =
			rig_ask(r, API_delete_topics, version, &request);
		assert_int_equal(m->responses.n, 3);
		assert_slice(m->responses.v[0].name, "in");
		assert_int_equal(m->responses.v[0].error_code, ERR_NONE);
		assert_int_equal(m->responses.v[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
		assert_int_equal(m->responses.v[2].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
		assert_null(broker_topic_find(r->b, "in"));
	}
}

static void topics_are_deleted_by_name_or_id_and_not_by_both(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	rig_topic(r, "out", 1);
	struct topic_uuid in = topic_uuid(broker_topic_find(r->b, "in"));
	struct delete_topics_request_topic topics[4] = {{.name = slice_str("out")}};
	memcpy(&topics[0].topic_id, &in, sizeof in);
	memcpy(&topics[1].topic_id, &in, sizeof in);
	topics[2].name = slice_str("out");
	topics[3].topic_id.bytes[0] = 9;
	struct delete_topics_request request = {.topics = {topics, 4}};
	const struct delete_topics_response *m = rig_ask(r, API_delete_topics, 6, &request);
	assert_int_equal(m->responses.v[0].error_code, ERR_INVALID_REQUEST);
	assert_int_equal(m->responses.v[1].error_code, ERR_NONE);
	assert_slice(m->responses.v[1].name, "in");
	assert_int_equal(m->responses.v[2].error_code, ERR_NONE);
	assert_int_equal(m->responses.v[3].error_code, ERR_UNKNOWN_TOPIC_ID);
	assert_null(m->responses.v[3].name.data);
	assert_null(broker_topic_find(r->b, "in"));
	assert_null(broker_topic_find(r->b, "out"));
}

/* --- CreatePartitions --- */

static enum ks_err grow(struct rig *r, struct create_partitions_request_topic topic, bool is_dry)
{
	struct create_partitions_request request = {.topics = {&topic, 1}, .validate_only = is_dry};
	const struct create_partitions_response *m = rig_ask(r, API_create_partitions, 2, &request);

	assert_int_equal(m->results.n, 1);
	return (enum ks_err)m->results.v[0].error_code;
}

static void a_topic_grows_and_never_shrinks(void **state)
{
	struct rig *r = *state;
	int32_t us = 7, other = 8;
	struct create_partitions_request_assignment rows[] = {{{&us, 1}}, {{&other, 1}}};
	struct create_partitions_request_topic topic = {
		.name = slice_str("in"), .count = 4, .assignments = {NULL, -1}};

	rig_topic(r, "in", 2);
	struct topic *t = broker_topic_find(r->b, "in");
	assert_int_equal(grow(r, topic, true), ERR_NONE);
	assert_int_equal(topic_partition_count(t), 2);
	topic.assignments.v = rows;
	topic.assignments.n = 1;
	assert_int_equal(grow(r, topic, false), ERR_INVALID_REPLICA_ASSIGNMENT); /* of two new */
	topic.assignments.n = 2;
	assert_int_equal(grow(r, topic, false), ERR_INVALID_REPLICA_ASSIGNMENT);
	rows[1].broker_ids.v = &us;
	assert_int_equal(grow(r, topic, false), ERR_NONE);
	assert_int_equal(topic_partition_count(t), 4);
	topic.assignments.n = -1;
	assert_int_equal(grow(r, topic, false), ERR_INVALID_PARTITIONS);
	topic.count = 3;
	assert_int_equal(grow(r, topic, false), ERR_INVALID_PARTITIONS);
	topic.name = slice_str("nope");
	assert_int_equal(grow(r, topic, false), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(topic_partition_count(t), 4);
}

/* --- DeleteRecords --- */

static void append(struct rig *r, const char *topic, int count)
{
	struct batch_writer w = {0};
	struct buf bytes = {0}, scratch = {0};
	int64_t offset;

	batch_writer_begin(&w, &bytes);
	for (int i = 0; i < count; i++)
		batch_writer_append(&w, 1, slice_str("k"), slice_str("v"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	assert_ok(broker_append_wait(r->b, topic_partition(broker_topic_find(r->b, topic), 0),
				     frame_take_buf(&bytes), ACKS_ALL, &offset, why));
	buf_fini(&scratch);
}

static struct delete_records_response_partition trim(struct rig *r, const char *topic,
						     int32_t partition, int64_t offset)
{
	struct delete_records_request_partition p = {partition, offset};
	struct delete_records_request_topic t = {slice_str(topic), {&p, 1}};
	struct delete_records_request request = {.topics = {&t, 1}};
	const struct delete_records_response *m = rig_ask(r, API_delete_records, 2, &request);

	assert_int_equal(m->topics.n, 1);
	assert_int_equal(m->topics.v[0].partitions.n, 1);
	return m->topics.v[0].partitions.v[0];
}

static void records_are_deleted_up_to_an_offset(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	append(r, "in", 5);
	struct delete_records_response_partition p = trim(r, "in", 0, 3);
	assert_int_equal(p.error_code, ERR_NONE);
	assert_int_equal(p.low_watermark, 3);
	p = trim(r, "in", 0, 1); /* long gone */
	assert_int_equal(p.error_code, ERR_NONE);
	assert_int_equal(p.low_watermark, 3);
	p = trim(r, "in", 0, 6);
	assert_int_equal(p.error_code, ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(p.low_watermark, -1);
	p = trim(r, "in", 0, -2);
	assert_int_equal(p.error_code, ERR_OFFSET_OUT_OF_RANGE);
	p = trim(r, "in", 0, -1); /* all of it */
	assert_int_equal(p.low_watermark, 5);
	assert_int_equal(trim(r, "in", 1, 0).error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(trim(r, "out", 0, 0).error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void what_only_compaction_may_remove_is_not_deleted(void **state)
{
	struct rig *r = *state;
	struct config_entry compact = {"cleanup.policy", "compact"};
	struct config_entry both = {"cleanup.policy", "compact,delete"};
	struct topic_spec spec = {
		.name = "in", .partitions = 1, .configs = &compact, .config_count = 1};

	assert_ok(broker_topic_create(r->b, &spec, why));
	append(r, "in", 2);
	assert_int_equal(trim(r, "in", 0, 1).error_code, ERR_POLICY_VIOLATION);
	assert_ok(broker_topic_alter(r->b, "in", &both, 1, why));
	assert_int_equal(trim(r, "in", 0, 1).low_watermark, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_created_topic_is_told_with_all_it_has),
		TEST(every_version_creates),
		TEST(the_brokers_defaults_hold_where_nothing_is_said),
		TEST(what_is_only_checked_is_not_made),
		TEST(what_cannot_be_made_says_why),
		TEST(replicas_may_be_assigned_to_this_node_alone),
		TEST(a_topic_is_created_once_however_often_it_is_named),
		TEST(topics_are_deleted_by_name),
		TEST(topics_are_deleted_by_name_or_id_and_not_by_both),
		TEST(a_topic_grows_and_never_shrinks),
		TEST(records_are_deleted_up_to_an_offset),
		TEST(what_only_compaction_may_remove_is_not_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

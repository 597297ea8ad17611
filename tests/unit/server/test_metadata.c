/* test_metadata.c - Metadata and DescribeTopicPartitions, asked over a connection. */
#include "admin_rig.h"

static const struct metadata_response *ask(struct rig *r, int16_t version,
					   struct metadata_request_topic *topics, int32_t n)
{
	struct metadata_request request = {.topics = {topics, n},
					   .allow_auto_topic_creation = true};

	return rig_ask(r, API_metadata, version, &request);
}

static struct wire_uuid id_of(struct rig *r, const char *name)
{
	struct topic_uuid uuid = topic_uuid(broker_topic_find(r->b, name));
	struct wire_uuid out;

	memcpy(out.bytes, uuid.bytes, sizeof out.bytes);
	return out;
}

static void the_cluster_is_this_node_at_the_listeners_address(void **state)
{
	struct rig *r = *state;
	const struct metadata_response *m = ask(r, 12, NULL, 0);

	assert_int_equal(m->brokers.n, 1);
	assert_int_equal(m->brokers.v[0].node_id, 7);
	assert_slice(m->brokers.v[0].host, "127.0.0.1");
	assert_int_equal(m->brokers.v[0].port, server_port(r->s, 0));
	assert_slice(m->brokers.v[0].rack, "attic");
	assert_int_equal(m->controller_id, 7);
	assert_slice(m->cluster_id, server_cluster_id(r->s));
	assert_int_equal(m->topics.n, 0);
}

static void all_topics_are_told_in_the_order_of_their_names(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "b", 2);
	rig_topic(r, "a", 1);
	for (int16_t version = 0; version <= 13; version++) {
		/* Version 0 asks for all by naming none, later ones by null. */
		const struct metadata_response *m = ask(r, version, NULL, version == 0 ? 0 : -1);
		assert_int_equal(m->topics.n, 2);
		assert_slice(m->topics.v[0].name, "a");
		assert_slice(m->topics.v[1].name, "b");
		assert_int_equal(m->topics.v[1].error_code, ERR_NONE);
		assert_int_equal(m->topics.v[1].partitions.n, 2);
		const struct metadata_response_partition *p = &m->topics.v[1].partitions.v[1];
		assert_int_equal(p->partition_index, 1);
		assert_int_equal(p->leader_id, 7);
		assert_int_equal(p->leader_epoch, version >= 7 ? 0 : -1);
		assert_int_equal(p->replica_nodes.n, 1);
		assert_int_equal(p->replica_nodes.v[0], 7);
		assert_int_equal(p->isr_nodes.n, 1);
		assert_int_equal(p->isr_nodes.v[0], 7);
		assert_int_equal(p->offline_replicas.n, 0);
	}
}

static void a_topic_has_an_id_and_is_found_by_it(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	struct wire_uuid id = id_of(r, "in");
	struct metadata_request_topic by_id = {.topic_id = id};
	const struct metadata_response *m = ask(r, 12, &by_id, 1);
	assert_int_equal(m->topics.v[0].error_code, ERR_NONE);
	assert_slice(m->topics.v[0].name, "in");
	assert_memory_equal(&m->topics.v[0].topic_id, &id, sizeof id);

	by_id.topic_id.bytes[3] ^= 1;
	m = ask(r, 12, &by_id, 1);
	assert_int_equal(m->topics.v[0].error_code, ERR_UNKNOWN_TOPIC_ID);
	assert_null(m->topics.v[0].name.data);
	assert_memory_equal(&m->topics.v[0].topic_id, &by_id.topic_id, sizeof id);
	/* Ids were in the message before they were served. */
	m = ask(r, 11, &by_id, 1);
	assert_int_equal(m->topics.v[0].error_code, ERR_INVALID_REQUEST);
}

static void a_missing_topic_is_made_with_the_brokers_defaults(void **state)
{
	struct rig *r = *state;
	struct metadata_request_topic topic = {.name = slice_str("new")};
	const struct metadata_response *m = ask(r, 9, &topic, 1);

	assert_int_equal(m->topics.v[0].error_code, ERR_NONE);
	assert_int_equal(m->topics.v[0].partitions.n, 3);
	assert_non_null(broker_topic_find(r->b, "new"));
}

static void a_missing_topic_is_not_made_when_the_client_does_not_want_it(void **state)
{
	struct rig *r = *state;
	struct metadata_request_topic topic = {.name = slice_str("new")};
	struct metadata_request request = {.topics = {&topic, 1}};
	const struct metadata_response *m = rig_ask(r, API_metadata, 9, &request);

	assert_int_equal(m->topics.v[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_slice(m->topics.v[0].name, "new");
	assert_null(broker_topic_find(r->b, "new"));
}

static void a_missing_topic_is_not_made_when_the_broker_does_not_allow_it(void **state)
{
	struct rig *r = *state;
	struct metadata_request_topic topic = {.name = slice_str("new")};
	const struct metadata_response *m = ask(r, 9, &topic, 1);

	assert_int_equal(m->topics.v[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_null(broker_topic_find(r->b, "new"));
}

static void names_that_no_topic_can_have_are_refused(void **state)
{
	char longest[251];
	struct metadata_request_topic topics[] = {{.name = slice_str("")},
						  {.name = slice_str(".")},
						  {.name = slice_str("..")},
						  {.name = slice_str("a/b")},
						  {.name = slice_str(longest)}};

	memset(longest, 'x', 250);
	longest[250] = 0;
	topics[4].name = slice_str(longest);
	const struct metadata_response *m = ask(*state, 4, topics, 5);
	assert_int_equal(m->topics.n, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(m->topics.v[i].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	size_t count;
	free(broker_topics(((struct rig *)*state)->b, &count));
	assert_int_equal(count, 0);
}

static void a_topic_that_is_named_often_is_told_once(void **state)
{
	struct rig *r = *state;
	struct metadata_request_topic topics[] = {{.name = slice_str("in")},
						  {.name = slice_str("other")},
						  {.name = slice_str("in")},
						  {.name = slice_str("in")}};

	rig_topic(r, "in", 1);
	const struct metadata_response *m = ask(r, 9, topics, 4);
	assert_int_equal(m->topics.n, 2);
	assert_slice(m->topics.v[0].name, "in");
	assert_slice(m->topics.v[1].name, "other");
}

static void operations_are_told_to_who_asks(void **state)
{
	struct rig *r = *state;
	struct metadata_request request = {.topics = {NULL, -1},
					   .include_cluster_authorized_operations = true,
					   .include_topic_authorized_operations = true};

	rig_topic(r, "in", 1);
	const struct metadata_response *m = rig_ask(r, API_metadata, 10, &request);
	/* read, write, create, delete, alter, describe, describe and alter configs: bits 3 to 8,
	 * 10, 11 */
	assert_int_equal(m->topics.v[0].topic_authorized_operations, 3576);
	/* create, alter, describe, cluster action, configs, idempotent write: bits 5, 7 to 12 */
	assert_int_equal(m->cluster_authorized_operations, 8096);
	m = ask(r, 10, NULL, -1);
	assert_int_equal(m->topics.v[0].topic_authorized_operations, INT32_MIN);
	assert_int_equal(m->cluster_authorized_operations, INT32_MIN);
}

/* --- DescribeTopicPartitions --- */

static const struct describe_topic_partitions_response *
page(struct rig *r, int32_t limit, struct describe_topic_partitions_request_cursor *cursor,
     struct describe_topic_partitions_request_topic *topics, int32_t n)
{
	struct describe_topic_partitions_request request = {
		.topics = {topics, n}, .response_partition_limit = limit, .cursor = cursor};

	return rig_ask(r, API_describe_topic_partitions, 0, &request);
}

static void pages_follow_each_other_until_all_partitions_were_told(void **state)
{
	struct rig *r = *state;
	struct describe_topic_partitions_request_cursor cursor;

	rig_topic(r, "a", 3);
	rig_topic(r, "b", 2);
	const struct describe_topic_partitions_response *m = page(r, 2, NULL, NULL, 0);
	assert_int_equal(m->topics.n, 1);
	assert_slice(m->topics.v[0].name, "a");
	assert_int_equal(m->topics.v[0].partitions.n, 2);
	assert_int_equal(m->topics.v[0].partitions.v[1].leader_id, 7);
	assert_slice(m->next_cursor->topic_name, "a");
	assert_int_equal(m->next_cursor->partition_index, 2);

	cursor = (struct describe_topic_partitions_request_cursor){slice_str("a"), 2};
	m = page(r, 2, &cursor, NULL, 0);
	assert_int_equal(m->topics.n, 2);
	assert_int_equal(m->topics.v[0].partitions.n, 1);
	assert_int_equal(m->topics.v[0].partitions.v[0].partition_index, 2);
	assert_slice(m->topics.v[1].name, "b");
	assert_int_equal(m->topics.v[1].partitions.n, 1);
	assert_slice(m->next_cursor->topic_name, "b");
	assert_int_equal(m->next_cursor->partition_index, 1);

	cursor = (struct describe_topic_partitions_request_cursor){slice_str("b"), 1};
	m = page(r, 2, &cursor, NULL, 0);
	assert_int_equal(m->topics.n, 1);
	assert_int_equal(m->topics.v[0].partitions.n, 1);
	assert_int_equal(m->topics.v[0].partitions.v[0].partition_index, 1);
	assert_null(m->next_cursor);
}

static void a_page_that_ends_with_a_topic_points_at_the_next(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 2);
	rig_topic(r, "b", 1);
	const struct describe_topic_partitions_response *m = page(r, 2, NULL, NULL, 0);
	assert_int_equal(m->topics.n, 1);
	assert_slice(m->next_cursor->topic_name, "b");
	assert_int_equal(m->next_cursor->partition_index, 0);
}

static void named_topics_are_told_once_and_in_order(void **state)
{
	struct rig *r = *state;
	struct describe_topic_partitions_request_topic topics[] = {
		{slice_str("zzz")}, {slice_str("a")}, {slice_str("zzz")}};

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	const struct describe_topic_partitions_response *m = page(r, 2000, NULL, topics, 3);
	assert_int_equal(m->topics.n, 2);
	assert_slice(m->topics.v[0].name, "a");
	assert_slice(m->topics.v[1].name, "zzz");
	assert_int_equal(m->topics.v[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void a_cursor_before_the_first_partition_is_refused(void **state)
{
	struct rig *r = *state;
	struct describe_topic_partitions_request_cursor cursor = {slice_str("a"), -1};

	rig_topic(r, "a", 1);
	const struct describe_topic_partitions_response *m = page(r, 10, &cursor, NULL, 0);
	assert_int_equal(m->topics.v[0].error_code, ERR_INVALID_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_cluster_is_this_node_at_the_listeners_address),
		TEST(all_topics_are_told_in_the_order_of_their_names),
		TEST(a_topic_has_an_id_and_is_found_by_it),
		TEST(a_missing_topic_is_made_with_the_brokers_defaults),
		TEST(a_missing_topic_is_not_made_when_the_client_does_not_want_it),
		cmocka_unit_test_setup_teardown(
			a_missing_topic_is_not_made_when_the_broker_does_not_allow_it,
			rig_setup_strict, rig_teardown),
		TEST(names_that_no_topic_can_have_are_refused),
		TEST(a_topic_that_is_named_often_is_told_once),
		TEST(operations_are_told_to_who_asks),
		TEST(pages_follow_each_other_until_all_partitions_were_told),
		TEST(a_page_that_ends_with_a_topic_points_at_the_next),
		TEST(named_topics_are_told_once_and_in_order),
		TEST(a_cursor_before_the_first_partition_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_cluster_api.c - DescribeCluster, DescribeLogDirs, DescribeProducers, and the APIs of access
 * control, asked over a connection. */
#include "admin_rig.h"

#include "wire/batch.h"

static void the_cluster_has_one_broker(void **state)
{
	struct rig *r = *state;
	struct describe_cluster_request request = {.include_cluster_authorized_operations = true,
						   .endpoint_type = 1};

	for (int16_t version = 0; version <= 2; version++) {
		const struct describe_cluster_response *m =
			rig_ask(r, API_describe_cluster, version, &request);
		assert_int_equal(m->error_code, ERR_NONE);
		assert_slice(m->cluster_id, server_cluster_id(r->s));
		assert_int_equal(m->controller_id, 7);
		assert_int_equal(m->brokers.n, 1);
		assert_int_equal(m->brokers.v[0].broker_id, 7);
		assert_slice(m->brokers.v[0].host, "127.0.0.1");
		assert_int_equal(m->brokers.v[0].port, server_port(r->s, 0));
		assert_slice(m->brokers.v[0].rack, "attic");
		assert_int_equal(m->cluster_authorized_operations, 8096);
	}
	request.include_cluster_authorized_operations = false;
	const struct describe_cluster_response *m = rig_ask(r, API_describe_cluster, 2, &request);
	assert_int_equal(m->cluster_authorized_operations, INT32_MIN);
}

static void controllers_are_not_here(void **state)
{
	struct rig *r = *state;
	struct describe_cluster_request request = {.endpoint_type = 2};
	const struct describe_cluster_response *m = rig_ask(r, API_describe_cluster, 1, &request);

	assert_int_equal(m->error_code, ERR_MISMATCHED_ENDPOINT_TYPE);
	assert_int_equal(m->endpoint_type, 2);
	request.endpoint_type = 3;
	m = rig_ask(r, API_describe_cluster, 1, &request);
	assert_int_equal(m->error_code, ERR_UNSUPPORTED_ENDPOINT_TYPE);
}

static void append(struct rig *r, const char *topic, int32_t partition, int64_t producer_id,
		   int32_t sequence)
{
	struct batch_writer w = {0};
	struct buf bytes = {0}, scratch = {0};
	int64_t offset;

	batch_writer_begin(&w, &bytes);
	batch_writer_append(&w, 1, SLICE_NULL, slice_str("value"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	if (producer_id >= 0)
		batch_set_producer(bytes.data, bytes.len, producer_id, 0, sequence, false);
	assert_ok(broker_append_wait(r->b,
				     topic_partition(broker_topic_find(r->b, topic), partition),
				     frame_take_buf(&bytes), ACKS_ALL, &offset, why));
	buf_fini(&scratch);
}

static void the_log_directory_has_every_partitions_size(void **state)
{
	struct rig *r = *state;
	struct describe_log_dirs_request request = {.topics = {NULL, -1}};

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 2);
	append(r, "b", 1, -1, 0);
	for (int16_t version = 1; version <= 5; version++) {
		const struct describe_log_dirs_response *m =
			rig_ask(r, API_describe_log_dirs, version, &request);
		assert_int_equal(m->results.n, 1);
		assert_int_equal(m->results.v[0].error_code, ERR_NONE);
		assert_int_equal(m->results.v[0].topics.n, 2);
		const struct describe_log_dirs_response_topic *b = &m->results.v[0].topics.v[1];
		assert_slice(b->name, "b");
		assert_int_equal(b->partitions.n, 2);
		assert_int_equal(b->partitions.v[0].partition_size, 0);
		assert_int_equal(b->partitions.v[1].partition_index, 1);
		assert_int_equal(
			b->partitions.v[1].partition_size,
			partition_size_bytes(topic_partition(broker_topic_find(r->b, "b"), 1)));
		assert_true(b->partitions.v[1].partition_size > 0);
	}
}

static void only_the_partitions_that_are_asked_for_and_there_are_told(void **state)
{
	struct rig *r = *state;
	int32_t partitions[] = {1, 5, -1};
	struct describe_log_dirs_request_topic topics[] = {{slice_str("nope"), {partitions, 3}},
							   {slice_str("b"), {partitions, 3}}};
	struct describe_log_dirs_request request = {.topics = {topics, 2}};

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 2);
	const struct describe_log_dirs_response *m = rig_ask(r, API_describe_log_dirs, 4, &request);
	assert_int_equal(m->results.v[0].topics.n, 1);
	assert_slice(m->results.v[0].topics.v[0].name, "b");
	assert_int_equal(m->results.v[0].topics.v[0].partitions.n, 1);
	assert_int_equal(m->results.v[0].topics.v[0].partitions.v[0].partition_index, 1);
}

static void producers_of_a_partition_are_told(void **state)
{
	struct rig *r = *state;
	int32_t partitions[] = {0, 9};
	struct describe_producers_request_topic topic = {slice_str("in"), {partitions, 2}};
	struct describe_producers_request request = {.topics = {&topic, 1}};

	rig_topic(r, "in", 1);
	append(r, "in", 0, 4000, 0);
	append(r, "in", 0, 4000, 1);
	append(r, "in", 0, -1, 0);
	const struct describe_producers_response *m =
		rig_ask(r, API_describe_producers, 0, &request);
	assert_int_equal(m->topics.v[0].partitions.n, 2);
	const struct describe_producers_response_partition *p = &m->topics.v[0].partitions.v[0];
	assert_int_equal(p->error_code, ERR_NONE);
	assert_int_equal(p->active_producers.n, 1);
	assert_int_equal(p->active_producers.v[0].producer_id, 4000);
	assert_int_equal(p->active_producers.v[0].producer_epoch, 0);
	assert_int_equal(p->active_producers.v[0].last_sequence, 1);
	assert_int_equal(p->active_producers.v[0].current_txn_start_offset, -1);
	assert_int_equal(m->topics.v[0].partitions.v[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void whoever_asks_for_rules_of_access_hears_that_there_are_none(void **state)
{
	struct rig *r = *state;
	struct describe_acls_request request = {.resource_type_filter = 1,
						.resource_name_filter = SLICE_NULL,
						.pattern_type_filter = 1,
						.operation = 1,
						.permission_type = 1};

	for (int16_t version = 1; version <= 3; version++) {
		const struct describe_acls_response *m =
			rig_ask(r, API_describe_acls, version, &request);
		assert_int_equal(m->error_code, ERR_SECURITY_DISABLED);
		assert_true(m->error_message.len > 0);
		assert_int_equal(m->resources.n, 0);
	}
}

static void every_rule_of_access_is_refused_for_itself(void **state)
{
	struct rig *r = *state;
	struct create_acls_request_creation creations[200] = {0};
	struct delete_acls_request_filter filters[2] = {0};
	struct create_acls_request create = {.creations = {creations, 200}};
	struct delete_acls_request del = {.filters = {filters, 2}};

	for (int16_t version = 1; version <= 3; version++) {
		const struct create_acls_response *c =
			rig_ask(r, API_create_acls, version, &create);
		assert_int_equal(c->results.n, 200);
		assert_int_equal(c->results.v[0].error_code, ERR_SECURITY_DISABLED);
		assert_true(c->results.v[0].error_message.len > 0);
		assert_int_equal(c->results.v[199].error_code, ERR_SECURITY_DISABLED);
		assert_null(c->results.v[199].error_message.data); /* not said 200 times */
		const struct delete_acls_response *d = rig_ask(r, API_delete_acls, version, &del);
		assert_int_equal(d->filter_results.n, 2);
		assert_int_equal(d->filter_results.v[1].error_code, ERR_SECURITY_DISABLED);
		assert_int_equal(d->filter_results.v[1].matching_acls.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_cluster_has_one_broker),
		TEST(controllers_are_not_here),
		TEST(the_log_directory_has_every_partitions_size),
		TEST(only_the_partitions_that_are_asked_for_and_there_are_told),
		TEST(producers_of_a_partition_are_told),
		TEST(whoever_asks_for_rules_of_access_hears_that_there_are_none),
		TEST(every_rule_of_access_is_refused_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

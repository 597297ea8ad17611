/* ListOffsets, OffsetForLeaderEpoch and FindCoordinator: where things are. */
#include "server_rig.h"

struct rig_list {
	struct list_offsets_request request;
	struct list_offsets_request_topic topic;
	struct list_offsets_request_partition partition;
};

static const struct list_offsets_response_partition *list(struct rig *r, int fd, int16_t version,
							  const char *topic, int64_t timestamp)
{
	struct rig_list q = {.request = {.replica_id = -1}};

	q.request.topics.v = &q.topic;
	q.request.topics.n = 1;
	q.topic.name = slice_str(topic);
	q.topic.partitions.v = &q.partition;
	q.topic.partitions.n = 1;
	q.partition.current_leader_epoch = -1;
	q.partition.timestamp = timestamp;
	const struct list_offsets_response *a =
		rig_ask(r, fd, API_list_offsets, version, &q.request);
	return &a->topics.v[0].partitions.v[0];
}

static void expect_offset(const struct list_offsets_response_partition *p, int64_t offset,
			  int64_t timestamp)
{
	assert_int_equal(p->error_code, 0);
	assert_int_equal(p->offset, offset);
	assert_int_equal(p->timestamp, timestamp);
}

static void list_offsets_finds_ends_and_times(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	const int64_t times[] = {1000, 3000, 2000};

	struct topic *t = rig_topic(r, "t", 1);
	expect_offset(list(r, fd, 7, "t", -3), -1, -1);
	for (int i = 0; i < 3; i++) {
		struct buf b = {0};
		const char *value = "v";
		batch_write(&b, "k", &value, 1, times[i], CODEC_NONE);
		assert_int_equal(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b))->error_code, 0);
		buf_fini(&b);
	}
	for (int16_t version = 1; version <= 11; version++) {
		expect_offset(list(r, fd, version, "t", -1), 3, -1);
		expect_offset(list(r, fd, version, "t", -2), 0, -1);
		expect_offset(list(r, fd, version, "t", 0), 0, 1000);
		expect_offset(list(r, fd, version, "t", 1001), 1, 3000);
		expect_offset(list(r, fd, version, "t", 3000), 1, 3000);
		expect_offset(list(r, fd, version, "t", 3001), -1, -1);
		if (version >= 4)
			assert_int_equal(list(r, fd, version, "t", -1)->leader_epoch, 0);
	}
	expect_offset(list(r, fd, 7, "t", -3), 1, 3000);
	expect_offset(list(r, fd, 8, "t", -4), 0, -1);
	expect_offset(list(r, fd, 9, "t", -5), -1, -1);
	expect_offset(list(r, fd, 11, "t", -6), -1, -1);
	assert_int_equal(list(r, fd, 6, "t", -3)->error_code, ERR_UNSUPPORTED_VERSION);
	assert_int_equal(list(r, fd, 10, "t", -6)->error_code, ERR_UNSUPPORTED_VERSION);
	assert_int_equal(list(r, fd, 11, "t", -7)->error_code, ERR_UNSUPPORTED_VERSION);
	assert_int_equal(list(r, fd, 11, "t", INT64_MIN)->error_code, ERR_UNSUPPORTED_VERSION);
	assert_int_equal(list(r, fd, 7, "u", -1)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	int64_t start;
	assert_ok(broker_trim(r->b, topic_partition(t, 0), 2, &start, why));
	expect_offset(list(r, fd, 7, "t", -2), 2, -1);
}

static void an_epoch_ends_at_the_high_watermark(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct offset_for_leader_epoch_request_partition q = {.current_leader_epoch = -1};
	struct offset_for_leader_epoch_request_topic topic = {.topic = slice_str("t"),
							      .partitions = {&q, 1}};
	struct offset_for_leader_epoch_request request = {.replica_id = -1, .topics = {&topic, 1}};

	rig_topic(r, "t", 1);
	rig_produce(r, fd, "t", "x");
	for (int16_t version = 2; version <= 4; version++) {
		q.leader_epoch = 0;
		const struct offset_for_leader_epoch_response *a =
			rig_ask(r, fd, API_offset_for_leader_epoch, version, &request);
		assert_int_equal(a->topics.v[0].partitions.v[0].error_code, 0);
		assert_int_equal(a->topics.v[0].partitions.v[0].leader_epoch, 0);
		assert_int_equal(a->topics.v[0].partitions.v[0].end_offset, 1);
		q.leader_epoch = 1;
		a = rig_ask(r, fd, API_offset_for_leader_epoch, version, &request);
		assert_int_equal(a->topics.v[0].partitions.v[0].leader_epoch, -1);
		assert_int_equal(a->topics.v[0].partitions.v[0].end_offset, -1);
	}
}

static void the_coordinator_of_everything_is_this_broker(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct slice keys[2] = {slice_str("a"), slice_str("b")};
	struct find_coordinator_request q = {.key = slice_str("g"), .coordinator_keys = {keys, 2}};

	for (int8_t type = 0; type <= 3; type++) {
		q.key_type = type;
		const struct find_coordinator_response *a =
			rig_ask(r, fd, API_find_coordinator, 2, &q);
		assert_int_equal(a->error_code, type < 3 ? 0 : ERR_INVALID_REQUEST);
		assert_int_equal(a->node_id, type < 3 ? 1 : -1);
		a = rig_ask(r, fd, API_find_coordinator, 4, &q);
		assert_int_equal(a->coordinators.n, 2);
		assert_slice(a->coordinators.v[1].key, "b");
		assert_int_equal(a->coordinators.v[1].error_code,
				 type < 3 ? 0 : ERR_INVALID_REQUEST);
		if (type < 3) {
			assert_slice(a->coordinators.v[1].host, "127.0.0.1");
			assert_int_equal(a->coordinators.v[1].port, server_port(r->s, 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_offsets_finds_ends_and_times),
		TEST(an_epoch_ends_at_the_high_watermark),
		TEST(the_coordinator_of_everything_is_this_broker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When the store fails under load: nothing is acknowledged any more, by no kind of request, who runs the server is told once, and
 * whoever asks over HTTP learns why. Reading goes on. */
#include "http_peer.h"
#include "store_rig.h"

#define PRODUCERS   4
#define PIPELINED   40
#define COMMITS_MAX 12 /* the store fails at each of them in turn */

static _Atomic(int) told;

static void on_failure(void *cookie)
{
	(void)cookie;
	atomic_fetch_add(&told, 1);
}

static int setup(void **state)
{
	struct rig *r = *state = rig_new();

	atomic_store(&told, 0);
	r->so.failed = on_failure;
	store_rig_start(r);
	rig_topic(r, "t", 1);
	return 0;
}

static void fail_after(int commits)
{
	atomic_store(&commits_left, commits);
}

static int64_t high_watermark(struct rig *r)
{
	return partition_high_watermark(topic_partition(broker_topic_find(r->b, "t"), 0));
}

static void send_batches(int fd, int16_t acks)
{
	struct buf b = {0}, records = {0};
	struct rig_produce p;
	const char *value = "x";

	batch_write(&records, "k", &value, 1, 1, CODEC_NONE);
	for (int32_t i = 0; i < PIPELINED; i++) {
		produce_fill(&p, "t", 0, acks, buf_slice(&records));
		request_write(&b, API_produce, 9, i, &p.request);
	}
	/* The server may hang up before it has read all of it. */
	(void)!send(fd, b.data, b.len, MSG_NOSIGNAL);
	buf_fini(&b);
	buf_fini(&records);
}

/* Reads answers until there is one to each of these batches, or the connection ends: then *fd is -1. Each is an
 * acknowledgement, and they are those of the first batches. */
static int count_acknowledged(struct rig *r, int *fd)
{
	uint8_t length;
	int count = 0;

	while (count < PIPELINED && rig_recv(*fd, &length, 1, MSG_PEEK) == 1) {
		const struct produce_response *a = rig_receive(r, *fd, API_produce, 9, count);
		assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code, 0);
		count++;
	}
	if (count < PIPELINED)
		*fd = -1;
	return count;
}

/* Each sends batches as long as it is answered. */
static int load(struct rig *r, int *fds)
{
	int acknowledged = 0, left;

	do {
		left = 0;
		for (int i = 0; i < PRODUCERS; i++)
			if (fds[i] >= 0)
				send_batches(fds[i], i % 2 ? 1 : -1);
		for (int i = 0; i < PRODUCERS; i++) {
			if (fds[i] >= 0)
				acknowledged += count_acknowledged(r, &fds[i]);
			left += fds[i] >= 0;
		}
	} while (left);
	return acknowledged;
}

/* Of both kinds of acks, so that the shard's thread and the network's carry them out. */
static void what_is_acknowledged_under_load_is_what_was_written(void **state)
{
	for (int commits = 0; commits <= COMMITS_MAX; commits++) {
		int fds[PRODUCERS];
		struct rig *r;

		setup((void **)&r);
		for (int i = 0; i < PRODUCERS; i++)
			fds[i] = rig_connect(r);
		fail_after(commits);
		int acknowledged = load(r, fds);
		assert_int_equal(acknowledged, high_watermark(r));
		assert_int_equal(told, 1);
		rig_teardown((void **)&r);
	}
	(void)state;
}

/* The store is well again, and it makes no difference: what it forgot is not known. */
static void break_it(struct rig *r, int fd)
{
	assert_int_equal(rig_produce(r, fd, "t", "kept"), 0);
	fail_after(0);
	int lost = rig_connect(r);
	send_batches(lost, -1);
	assert_int_equal(count_acknowledged(r, &lost), 0);
	fail_after(INT32_MAX);
}

static void is_not_answered(struct rig *r, int16_t api_key, int16_t version, const void *request)
{
	int fd = rig_connect(r);

	rig_send(fd, api_key, version, 1, request);
	assert_true(rig_is_closed(fd));
}

static void no_request_that_changes_something_is_answered_afterwards(void **state)
{
	struct rig *r = *state;
	struct create_topics_request_topic topic = {
		.name = slice_str("u"), .num_partitions = 1, .replication_factor = 1};
	struct create_topics_request create = {.topics = {&topic, 1}, .timeout_ms = 1000};
	struct slice name = slice_str("t");
	struct delete_topics_request delete = {.topic_names = {&name, 1}, .timeout_ms = 1000};
	struct init_producer_id_request init = {.producer_id = -1, .producer_epoch = -1};
	struct offset_commit_request_partition offset = {.committed_offset = 1};
	struct offset_commit_request_topic offsets = {.name = slice_str("t"),
						      .partitions = {&offset, 1}};
	struct offset_commit_request commit_offsets = {.group_id = slice_str("g"),
						       .generation_id_or_member_epoch = -1,
						       .topics = {&offsets, 1}};

	break_it(r, rig_connect(r));
	is_not_answered(r, API_create_topics, 5, &create);
	is_not_answered(r, API_delete_topics, 5, &delete);
	is_not_answered(r, API_init_producer_id, 4, &init);
	is_not_answered(r, API_offset_commit, 8, &commit_offsets);
	assert_int_equal(told, 1);
	assert_null(broker_topic_find(r->b, "u"));
	assert_non_null(broker_topic_find(r->b, "t"));
}

static void a_topic_is_not_made_by_asking_for_it(void **state)
{
	struct rig *r = *state;
	struct metadata_request_topic topic = {.name = slice_str("u")};
	struct metadata_request q = {.topics = {&topic, 1}, .allow_auto_topic_creation = true};

	break_it(r, rig_connect(r));
	is_not_answered(r, API_metadata, 8, &q);
	assert_null(broker_topic_find(r->b, "u"));
}

static int setup_auto_create(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.auto_create_topics = true;
	store_rig_start(r);
	rig_topic(r, "t", 1);
	return 0;
}

static void what_was_written_can_still_be_read(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;
	char text[32];

	break_it(r, fd);
	fetch_fill(&f, "t", 0, 0);
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 4, &f.request);
	const struct fetch_response_partition *p = &a->responses.v[0].partitions.v[0];
	assert_int_equal(p->error_code, 0);
	assert_int_equal(p->high_watermark, 1);
	assert_int_equal(count_records(records_of(&p->records), text, sizeof text), 1);
	assert_string_equal(text, "kept");
}

static void it_is_alive_and_not_ready_and_says_why(void **state)
{
	struct rig *r = *state;
	struct ks_why why;

	assert_int_equal(http_start("127.0.0.1", 0, &h, &why), ERR_NONE);
	http_show(h, r->s, NULL);
	assert_answer("/readyz", "200", "\r\n\r\nready\n");
	break_it(r, rig_connect(r));
	assert_answer("/readyz", "503", "\r\n\r\nthe store has failed: the disk is on fire\n");
	assert_answer("/healthz", "200", "\r\n\r\nalive\n");
	assert_answer("/metrics", "200", "\nkafka_brokers 1\n");
	http_show(h, NULL, "stopping");
	http_stop(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_under_load_is_what_was_written),
		TEST_WITH(no_request_that_changes_something_is_answered_afterwards, setup),
		TEST_WITH(a_topic_is_not_made_by_asking_for_it, setup_auto_create),
		TEST_WITH(what_was_written_can_still_be_read, setup),
		TEST_WITH(it_is_alive_and_not_ready_and_says_why, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

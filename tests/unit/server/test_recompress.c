/* Batches that a topic's compression.type makes anew: the memory they take is shared by all connections. */
#include "store_rig.h"

#define MEMORY_BYTES 100000

static int setup(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.recompress_memory_bytes = MEMORY_BYTES;
	store_rig_start(r);
	rig_topic_with(r, "packed", 1, "compression.type", "lz4");
	rig_topic_with(r, "plain", 3, "compression.type", "uncompressed");
	return 0;
}

static void is_acknowledged(struct rig *r, int fd, int32_t correlation_id)
{
	const struct produce_response *a = rig_receive(r, fd, API_produce, 9, correlation_id);
	assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code, 0);
}

/* Sends one of 60,000 bytes, which is being written until the test opens the gate. */
static void occupy(int fd)
{
	struct buf b = {0};

	gate_shut(&commit_gate);
	request_write_large(&b, 1, "packed", 60000);
	rig_write(fd, b.data, b.len);
	buf_fini(&b);
	gate_wait(&commit_gate);
}

/* Packed, and so little is known of how much it will be: up to what a message of the topic may have. */
static void write_packed(struct buf *out, int32_t correlation_id, size_t bytes)
{
	struct rig_produce p;
	struct buf records = {0};

	batch_write_large(&records, bytes, CODEC_ZSTD);
	produce_fill(&p, "plain", 0, -1, buf_slice(&records));
	request_write(out, API_produce, 9, correlation_id, &p.request);
	buf_fini(&records);
}

static void those_who_wait_for_memory_go_on_when_others_are_written(void **state)
{
	struct rig *r = *state;
	struct pool *pool = &r->s->recompress_memory;
	int first = rig_connect(r), second = rig_connect(r), other = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	occupy(first);
	/* What it made is small, and the rest was given back; the next may become as large as all of it. */
	assert_in_range(pool_used_bytes(pool), 1, 10000);
	write_packed(&b, 1, 50000);
	request_write(&b, API_api_versions, 0, 2, &rig_nothing);
	rig_write(second, b.data, b.len);
	buf_fini(&b);
	await_shortage(pool);
	/* The request behind it waits with it; those on other connections do not. */
	rig_ping(r, other);
	char byte;
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
	gate_open(&commit_gate);
	is_acknowledged(r, first, 1);
	is_acknowledged(r, second, 1);
	rig_receive(r, second, API_api_versions, 0, 2);
	await_used(pool, 0);
}

static void who_goes_while_it_waits_leaves_nothing_behind(void **state)
{
	struct rig *r = *state;
	struct pool *pool = &r->s->recompress_memory;
	int first = rig_connect(r), gone = rig_connect(r), next = rig_connect(r);
	struct buf b = {0};

	occupy(first);
	write_packed(&b, 1, 50000);
	rig_write(gone, b.data, b.len);
	await_shortage(pool);
	rig_write(next, b.data, b.len);
	buf_fini(&b);
	rig_disconnect(r, gone);
	gate_open(&commit_gate);
	is_acknowledged(r, first, 1);
	is_acknowledged(r, next, 1);
	await_used(pool, 0);
}

static void many_producers_share_a_small_memory(void **state)
{
	struct rig *r = *state;
	int fds[8];
	struct buf b = {0};

	write_packed(&b, 1, 90000);
	for (int i = 0; i < 8; i++)
		fds[i] = rig_connect(r);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 8; i++)
			rig_write(fds[i], b.data, b.len);
		for (int i = 0; i < 8; i++)
			is_acknowledged(r, fds[i], 1);
	}
	buf_fini(&b);
	await_used(&r->s->recompress_memory, 0);
	assert_int_equal(
		partition_high_watermark(topic_partition(broker_topic_find(r->b, "plain"), 0)), 80);
}

/* Each of them is small enough, and packed they are next to nothing. */
static void one_request_does_not_become_larger_than_that_memory(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_produce p;
	struct produce_request_partition_data partitions[3];
	struct buf records = {0};

	batch_write_large(&records, 45000, CODEC_ZSTD);
	assert_in_range(records.len, 1, 1000);
	produce_fill(&p, "plain", 0, -1, buf_slice(&records));
	for (int32_t i = 0; i < 3; i++) {
		partitions[i] = p.partition;
		partitions[i].index = i;
	}
	p.topic.partition_data.v = partitions;
	p.topic.partition_data.n = 3;
	const struct produce_response *a = rig_ask(r, fd, API_produce, 9, &p.request);
	const struct produce_response_partition_response *answers =
		a->responses.v[0].partition_responses.v;
	assert_int_equal(answers[0].error_code, 0);
	assert_int_equal(answers[1].error_code, 0);
	assert_int_equal(answers[2].error_code, ERR_MESSAGE_TOO_LARGE);
	assert_slice(answers[2].error_message,
		     "with compression.type the batches of the request are too large");
	buf_fini(&records);
	await_used(&r->s->recompress_memory, 0);
}

static void what_has_its_topics_codec_takes_none_of_it(void **state)
{
	struct rig *r = *state;
	int first = rig_connect(r), other = rig_connect(r);
	struct buf b = {0};

	occupy(first);
	write_packed(&b, 1, 50000);
	rig_write(rig_connect(r), b.data, b.len);
	buf_fini(&b);
	await_shortage(&r->s->recompress_memory);
	request_write_large(&b, 1, "plain", 200000);
	rig_write(other, b.data, b.len);
	buf_fini(&b);
	gate_open(&commit_gate);
	is_acknowledged(r, other, 1);
	is_acknowledged(r, first, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH(those_who_wait_for_memory_go_on_when_others_are_written, setup),
		TEST_WITH(who_goes_while_it_waits_leaves_nothing_behind, setup),
		TEST_WITH(many_producers_share_a_small_memory, setup),
		TEST_WITH(one_request_does_not_become_larger_than_that_memory, setup),
		TEST_WITH(what_has_its_topics_codec_takes_none_of_it, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Stopping a server at every stage of a request.
 *
 * Most tests give it an hour: a stop that waits for what it should not wait for never ends, and the test with it.
 */
#include <netinet/in.h>
#include <pthread.h>

#include "store_rig.h"

#define LONG_MS       3600000
#define WAIT_FOR_EVER INT32_MAX
#define LARGE_BYTES   900000 /* more than the buffers of a socket hold */

static void start(struct rig *r)
{
	r->so.loops = 1; /* what is done to one connection after the other is done in that order */
	store_rig_start(r);
	rig_topic_with(r, "t", 1, "max.message.bytes", "10000000");
}

static int setup(void **state)
{
	start(*state = rig_new());
	return 0;
}

/* --- stopping on another thread --- */

struct stopping {
	pthread_t thread;
	struct server *s;
	int timeout_ms;
};

static void *stop(void *arg)
{
	struct stopping *s = arg;

	server_stop(s->s, s->timeout_ms);
	return NULL;
}

static void stop_begin(struct stopping *s, struct rig *r, int timeout_ms)
{
	*s = (struct stopping){.s = r->s, .timeout_ms = timeout_ms};
	r->s = NULL;
	assert_int_equal(pthread_create(&s->thread, NULL, stop, s), 0);
}

static void stop_end(struct stopping *s)
{
	pthread_join(s->thread, NULL);
}

/* Begins to stop and returns when the loop has told all connections: the last of them has nothing under way and is closed
 * then. */
static void stop_until_told(struct stopping *s, struct rig *r)
{
	int idle = rig_connect(r);

	rig_ping(r, idle);
	stop_begin(s, r, LONG_MS);
	assert_true(rig_is_closed(idle));
}

static void stop_now(struct rig *r, int timeout_ms)
{
	server_stop(r->s, timeout_ms);
	r->s = NULL;
}

/* --- requests --- */

/* Sends what is in b behind a ping, all in one piece: once that is answered the rest has been read. */
static void send_and_see_it_read(struct rig *r, int fd, const struct buf *b, size_t len)
{
	struct buf all = {0};

	request_write(&all, API_api_versions, 0, 1, &rig_nothing);
	buf_append(&all, b->data, len);
	assert_int_equal(send(fd, all.data, all.len, MSG_NOSIGNAL), all.len);
	buf_fini(&all);
	rig_receive(r, fd, API_api_versions, 0, 1);
}

static void fetch_is_answered_with(struct rig *r, int fd, int count)
{
	const struct fetch_response *a = rig_receive(r, fd, API_fetch, 4, 2);
	const struct fetch_response_partition *p = &a->responses.v[0].partitions.v[0];

	assert_int_equal(p->error_code, 0);
	assert_int_equal(count_records(records_of(&p->records), NULL, 0), count);
}

static int64_t high_watermark(struct rig *r)
{
	return partition_high_watermark(topic_partition(broker_topic_find(r->b, "t"), 0));
}

/* --- what waits --- */

/* Nothing ends it; the server has read it when this returns. */
static void fetch_waits(struct rig *r, int fd)
{
	struct rig_fetch f;
	struct buf b = {0};

	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	request_write(&b, API_fetch, 4, 2, &f.request);
	send_and_see_it_read(r, fd, &b, b.len);
	buf_fini(&b);
}

static void a_fetch_that_waits_for_records_is_answered(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);

	fetch_waits(r, fd);
	stop_now(r, LONG_MS);
	fetch_is_answered_with(r, fd, 0);
	assert_true(rig_is_closed(fd));
}

static void a_join_that_waits_for_its_group_is_answered(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct join_group_request_protocol protocol = {.name = slice_str("range"),
						       .metadata = slice_str("m")};
	struct join_group_request q = {.group_id = slice_str("g"),
				       .session_timeout_ms = 30000,
				       .rebalance_timeout_ms = 30000,
				       .protocol_type = slice_str("consumer"),
				       .protocols = {&protocol, 1}};
	struct buf b = {0};

	request_write(&b, API_join_group, 3, 2, &q);
	send_and_see_it_read(r, fd, &b, b.len);
	buf_fini(&b);
	stop_now(r, LONG_MS);
	const struct join_group_response *a = rig_receive(r, fd, API_join_group, 3, 2);
	assert_int_equal(a->error_code, ERR_NOT_COORDINATOR);
	assert_true(rig_is_closed(fd));
}

static int setup_patient(void **state)
{
	struct rig *r = *state = rig_new();

	r->bo.groups.initial_rebalance_delay_ms = INT32_MAX;
	start(r);
	return 0;
}

static int setup_little_memory(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.answer_memory_bytes = LARGE_BYTES + LARGE_BYTES / 9;
	start(r);
	return 0;
}

/* Its answer fills the memory of answers: it is not read. */
static int deaf_consumer(struct rig *r, int producer)
{
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_produce_large(r, producer, "t", LARGE_BYTES);
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	rig_send(fd, API_fetch, 4, 2, &f.request);
	/* Its first bytes have come: all of it is on its way. */
	char byte;
	assert_int_equal(rig_recv(fd, &byte, 1, MSG_PEEK), 1);
	return fd;
}

static void a_fetch_that_waits_for_memory_is_answered(void **state)
{
	struct rig *r = *state;
	int other = rig_connect(r), deaf = deaf_consumer(r, other);

	fetch_waits(r, other);
	struct stopping s;
	stop_begin(&s, r, LONG_MS);
	fetch_is_answered_with(r, other, 0);
	assert_true(rig_is_closed(other));
	fetch_is_answered_with(r, deaf, 1);
	stop_end(&s);
}

static void a_request_that_waits_for_memory_of_its_answer_is_answered(void **state)
{
	struct rig *r = *state;
	int other = rig_connect(r), deaf = deaf_consumer(r, other);
	struct metadata_request q = {.topics = {NULL, -1}};
	struct buf b = {0};

	request_write(&b, API_metadata, 8, 2, &q);
	request_write(&b, API_api_versions, 0, 3, &rig_nothing);
	send_and_see_it_read(r, other, &b, b.len);
	buf_fini(&b);
	struct stopping s;
	stop_begin(&s, r, LONG_MS);
	const struct metadata_response *a = rig_receive(r, other, API_metadata, 8, 2);
	assert_int_equal(a->topics.n, 1);
	rig_receive(r, other, API_api_versions, 0, 3);
	assert_true(rig_is_closed(other));
	fetch_is_answered_with(r, deaf, 1);
	stop_end(&s);
}

/* --- what is not there yet --- */

static void half_a_request_is_forgotten(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	request_write_large(&b, 2, "t", 100);
	send_and_see_it_read(r, fd, &b, b.len - 1);
	buf_fini(&b);
	stop_now(r, LONG_MS);
	assert_true(rig_is_closed(fd));
	assert_int_equal(high_watermark(r), 0);
}

/* --- what is under way --- */

static void a_batch_that_is_being_written_is_acknowledged(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct stopping s;

	gate_shut(&commit_gate);
	request_write_large(&b, 2, "t", 100);
	rig_write(fd, b.data, b.len);
	buf_fini(&b);
	gate_wait(&commit_gate);
	stop_until_told(&s, r);
	gate_open(&commit_gate);
	const struct produce_response *a = rig_receive(r, fd, API_produce, 9, 2);
	assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code, 0);
	assert_int_equal(a->responses.v[0].partition_responses.v[0].base_offset, 0);
	assert_true(rig_is_closed(fd));
	stop_end(&s);
	assert_int_equal(high_watermark(r), 1);
}

/* A worker makes the topic; the request behind it has not begun. */
static void what_a_worker_does_is_answered_and_what_waits_behind_it(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct create_topics_request_topic topic = {
		.name = slice_str("u"), .num_partitions = 1, .replication_factor = 1};
	struct create_topics_request q = {.topics = {&topic, 1}, .timeout_ms = 1000};
	struct buf b = {0};
	struct stopping s;

	gate_shut(&commit_gate);
	request_write(&b, API_create_topics, 5, 2, &q);
	request_write(&b, API_api_versions, 0, 3, &rig_nothing);
	assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), b.len);
	buf_fini(&b);
	gate_wait(&commit_gate);
	stop_until_told(&s, r);
	gate_open(&commit_gate);
	const struct create_topics_response *a = rig_receive(r, fd, API_create_topics, 5, 2);
	assert_int_equal(a->topics.v[0].error_code, 0);
	rig_receive(r, fd, API_api_versions, 0, 3);
	assert_true(rig_is_closed(fd));
	stop_end(&s);
	assert_non_null(broker_topic_find(r->b, "u"));
}

static int setup_recompressing(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.recompress_memory_bytes = 1000;
	start(r);
	rig_topic_with(r, "packed", 1, "compression.type", "lz4");
	return 0;
}

/* The first holds the memory as long as it is being written. */
static void a_batch_that_waits_for_memory_to_be_recompressed_is_acknowledged(void **state)
{
	struct rig *r = *state;
	int fds[2];
	struct buf b = {0};
	struct stopping s;

	request_write_large(&b, 2, "packed", 5000);
	gate_shut(&commit_gate);
	for (int i = 0; i < 2; i++) {
		fds[i] = rig_connect(r);
		rig_write(fds[i], b.data, b.len);
		if (i == 0)
			gate_wait(&commit_gate);
	}
	buf_fini(&b);
	await_shortage(&r->s->recompress_memory);
	stop_until_told(&s, r);
	gate_open(&commit_gate);
	for (int i = 0; i < 2; i++) {
		const struct produce_response *a = rig_receive(r, fds[i], API_produce, 9, 2);
		assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code, 0);
		assert_int_equal(a->responses.v[0].partition_responses.v[0].base_offset, i);
	}
	stop_end(&s);
}

static int setup_short_tail(void **state)
{
	struct rig *r = *state = rig_new();

	r->bo.tail_bytes = 1; /* what is fetched comes from the store */
	start(r);
	return 0;
}

/* The connection goes at once; what the worker comes back with finds nobody. */
static void when_the_time_is_up_a_worker_is_waited_for_and_its_answer_dropped(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;
	struct stopping s;

	rig_produce(r, fd, "t", "x");
	rig_produce(r, fd, "t", "x");
	gate_shut(&read_gate);
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	rig_send(fd, API_fetch, 4, 2, &f.request);
	gate_wait(&read_gate);
	stop_begin(&s, r, 0);
	assert_true(rig_is_closed(fd));
	gate_open(&read_gate);
	stop_end(&s);
}

/* --- what is not read --- */

static void answers_that_are_read_late_are_read_whole(void **state)
{
	struct rig *r = *state;
	int fd = deaf_consumer(r, rig_connect(r));
	struct stopping s;

	stop_until_told(&s, r);
	fetch_is_answered_with(r, fd, 1);
	assert_true(rig_is_closed(fd));
	stop_end(&s);
}

static void when_the_time_is_up_answers_that_nobody_reads_are_dropped(void **state)
{
	struct rig *r = *state;
	int fd = deaf_consumer(r, rig_connect(r));
	static char some[LARGE_BYTES];
	size_t len = 0;
	ssize_t n;

	stop_now(r, 1);
	while ((n = rig_recv(fd, some, sizeof some, 0)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	assert_in_range(len, 1, LARGE_BYTES - 1);
}

static void nobody_comes_in_any_more(void **state)
{
	struct rig *r = *state;
	int busy = rig_connect(r);
	uint16_t port = server_port(r->s, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct buf b = {0};
	struct stopping s;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	gate_shut(&commit_gate);
	request_write_large(&b, 2, "t", 100);
	rig_write(busy, b.data, b.len);
	buf_fini(&b);
	gate_wait(&commit_gate);
	stop_until_told(&s, r);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	gate_open(&commit_gate);
	rig_receive(r, busy, API_produce, 9, 2);
	stop_end(&s);
}

#define STOP_TEST(f) TEST_WITH(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STOP_TEST(a_fetch_that_waits_for_records_is_answered),
		TEST_WITH(a_join_that_waits_for_its_group_is_answered, setup_patient),
		TEST_WITH(a_fetch_that_waits_for_memory_is_answered, setup_little_memory),
		TEST_WITH(a_request_that_waits_for_memory_of_its_answer_is_answered,
			  setup_little_memory),
		STOP_TEST(half_a_request_is_forgotten),
		STOP_TEST(a_batch_that_is_being_written_is_acknowledged),
		STOP_TEST(what_a_worker_does_is_answered_and_what_waits_behind_it),
		TEST_WITH(a_batch_that_waits_for_memory_to_be_recompressed_is_acknowledged,
			  setup_recompressing),
		TEST_WITH(when_the_time_is_up_a_worker_is_waited_for_and_its_answer_dropped,
			  setup_short_tail),
		STOP_TEST(answers_that_are_read_late_are_read_whole),
		STOP_TEST(when_the_time_is_up_answers_that_nobody_reads_are_dropped),
		STOP_TEST(nobody_comes_in_any_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

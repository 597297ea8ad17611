/* From bytes on a socket to answers in order: framing, pipelining, limits, ends. */
#include <poll.h>

#include "store_rig.h"

static void a_request_in_single_bytes_is_answered(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	request_write(&b, API_api_versions, 3, 7, &rig_nothing);
	for (size_t i = 0; i < b.len; i++)
		rig_write(fd, b.data + i, 1);
	const struct api_versions_response *a = rig_receive(r, fd, API_api_versions, 3, 7);
	assert_int_equal(a->error_code, 0);
	assert_int_equal(a->api_keys.n, wire_api_count);
	buf_fini(&b);
}

static void every_way_of_cutting_two_requests_gives_two_answers(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	request_write(&b, API_api_versions, 3, 1, &rig_nothing);
	request_write(&b, API_api_versions, 0, 2, &rig_nothing);
	for (size_t cut = 1; cut < b.len; cut++) {
		rig_write(fd, b.data, cut);
		rig_write(fd, b.data + cut, b.len - cut);
		rig_receive(r, fd, API_api_versions, 3, 1);
		rig_receive(r, fd, API_api_versions, 0, 2);
	}
	buf_fini(&b);
}

static void a_thousand_requests_in_one_write_are_answered_in_order(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	for (int32_t i = 0; i < 1000; i++)
		request_write(&b, API_api_versions, (int16_t)(i % 5), i, &rig_nothing);
	rig_write(fd, b.data, b.len);
	for (int32_t i = 0; i < 1000; i++)
		rig_receive(r, fd, API_api_versions, (int16_t)(i % 5), i);
	buf_fini(&b);
}

/* The fetch waits for a record; the requests behind it are done long before it. */
static void answers_leave_in_the_order_of_the_requests(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 25000);
	rig_send(consumer, API_fetch, 4, 1, &f.request);
	rig_send(consumer, API_api_versions, 0, 2, &rig_nothing);
	rig_send(consumer, API_api_versions, 0, 3, &rig_nothing);
	assert_int_equal(rig_produce(r, producer, "t", "x"), 0);
	const struct fetch_response *a = rig_receive(r, consumer, API_fetch, 4, 1);
	assert_int_equal(
		count_records(records_of(&a->responses.v[0].partitions.v[0].records), NULL, 0), 1);
	rig_receive(r, consumer, API_api_versions, 0, 2);
	rig_receive(r, consumer, API_api_versions, 0, 3);
}

static void a_large_request_arrives_whole(void **state)
{
	struct rig *r = *state;
	size_t len = 5 * 1024 * 1024;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct batch_writer w;
	uint8_t *value = malloc(len);

	rig_topic_with(r, "t", 1, "max.message.bytes", "10000000");
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 2654435761u >> 13);
	batch_writer_begin(&w, &b);
	batch_writer_append(&w, 1, SLICE_NULL, slice_of(value, len), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);
	/* The CRC is checked on the way. */
	assert_int_equal(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b))->error_code, 0);
	assert_int_equal(partition_high_watermark(topic_partition(broker_topic_find(r->b, "t"), 0)),
			 1);
	buf_fini(&b);
	free(value);
}

/* --- what is no request --- */

static void refused(struct rig *r, const void *bytes, size_t n)
{
	int fd = rig_connect(r);

	rig_write(fd, bytes, n);
	assert_true(rig_is_closed(fd));
	/* Nobody else is harmed. */
	int other = rig_connect(r);
	rig_ping(r, other);
	rig_disconnect(r, other);
}

static void a_length_over_the_limit_closes_the_connection(void **state)
{
	refused(*state, "\x7f\xff\xff\xff....", 8);
	refused(*state, "\xff\xff\xff\xff....", 8);
	refused(*state, "\x00\x10\x00\x01....", 8); /* one more than the limit of this rig */
}

static void a_length_too_short_for_a_request_closes_the_connection(void **state)
{
	refused(*state, "\0\0\0\0", 4);
	refused(*state, "\0\0\0\7.......", 11);
}

static void other_protocols_close_the_connection(void **state)
{
	refused(*state, "GET / HTTP/1.1\r\n\r\n", 18);
	refused(*state, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9);
}

static void an_unknown_api_closes_the_connection(void **state)
{
	refused(*state, "\0\0\0\x0a\x03\xe7\0\0\0\0\0\1\xff\xff", 14);
}

static void a_version_that_is_not_served_closes_the_connection(void **state)
{
	refused(*state, "\0\0\0\x0a\0\0\0\0\0\0\0\1\xff\xff", 14); /* Produce v0 */
}

/* As librdkafka 2.16 asks for all topics: their null takes four bytes and not one. */
static void bytes_behind_a_request_are_ignored(void **state)
{
	static const uint8_t frame[] = "\0\0\0\x19\0\3\0\x0d\0\0\0\3\0\7rdkafka\0\0\0\0\0\1\0";
	struct rig *r = *state;
	int fd = rig_connect(r);

	rig_write(fd, frame, sizeof frame);
	const struct metadata_response *m = rig_receive(r, fd, API_metadata, 13, 3);
	assert_int_equal(m->brokers.n, 1);
}

static void a_malformed_request_closes_the_connection_behind_earlier_answers(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	request_write(&b, API_api_versions, 0, 1, &rig_nothing);
	request_write(&b, API_api_versions, 0, 2, &rig_nothing);
	buf_append(&b, "\0\0\0\x0b\0\x12\0\3\0\0\0\3\xff\xff\1", 15); /* v3 with an end too early */
	request_write(&b, API_api_versions, 0, 4, &rig_nothing);
	rig_write(fd, b.data, b.len);
	rig_receive(r, fd, API_api_versions, 0, 1);
	rig_receive(r, fd, API_api_versions, 0, 2);
	assert_true(rig_is_closed(fd));
	buf_fini(&b);
}

static int setup_small(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.request_bytes_max = 1024 * 1024;
	rig_start(r);
	return 0;
}

static void an_unknown_version_of_api_versions_is_answered_in_version_0(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);

	rig_write(fd, "\0\0\0\x0a\0\x12\0\x63\0\0\0\x09\xff\xff", 14);
	const struct api_versions_response *a = rig_receive(r, fd, API_api_versions, 0, 9);
	assert_int_equal(a->error_code, ERR_UNSUPPORTED_VERSION);
	assert_int_equal(a->api_keys.n, wire_api_count);
	/* The connection goes on. */
	rig_ask(r, fd, API_api_versions, 3, &rig_nothing);
}

static void a_client_that_calls_itself_nothing_is_told_so(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct api_versions_request q = {.client_software_name = {(const uint8_t *)"a b", 3},
					 .client_software_version = {(const uint8_t *)"1", 1}};

	const struct api_versions_response *a = rig_ask(r, fd, API_api_versions, 3, &q);
	assert_int_equal(a->error_code, ERR_INVALID_REQUEST);
}

/* --- ends --- */

static void peers_that_vanish_at_any_byte_leave_nothing_behind(void **state)
{
	struct rig *r = *state;
	struct buf b = {0};
	struct rig_produce p;
	const char *value = "x";
	struct buf records = {0};

	rig_topic(r, "t", 1);
	batch_write(&records, NULL, &value, 1, 1, CODEC_NONE);
	produce_fill(&p, "t", 0, -1, buf_slice(&records));
	request_write(&b, API_produce, 9, 1, &p.request);
	for (size_t cut = 0; cut <= b.len; cut++) {
		int fd = rig_connect(r);
		rig_write(fd, b.data, cut);
		rig_disconnect(r, fd);
		r->peer_count--;
	}
	/* Half of a request is nothing; the whole one counts although nobody read the answer. */
	rig_stop(r);
	buf_fini(&b);
	buf_fini(&records);
}

static void a_peer_that_stops_sending_still_gets_its_answers(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);

	rig_send(fd, API_api_versions, 0, 1, &rig_nothing);
	rig_send(fd, API_api_versions, 0, 2, &rig_nothing);
	shutdown(fd, SHUT_WR);
	rig_receive(r, fd, API_api_versions, 0, 1);
	rig_receive(r, fd, API_api_versions, 0, 2);
	assert_true(rig_is_closed(fd));
}

/* --- a peer that does not read --- */

/* Sends requests until the server has stopped reading, that is until both socket buffers are full. A local socket takes
 * a small message whole or not at all. Returns how many were sent. */
static int32_t flood(int fd, int32_t first, int32_t most)
{
	struct buf b = {0};
	int32_t sent = 0;

	for (; sent < most; sent++) {
		buf_clear(&b);
		request_write(&b, API_api_versions, 0, first + sent, &rig_nothing);
		ssize_t n = send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			break;
		assert_int_equal(n, b.len);
	}
	buf_fini(&b);
	return sent;
}

static void a_peer_that_does_not_read_is_not_read_and_harms_nobody(void **state)
{
	struct rig *r = *state;
	int deaf = rig_connect(r), other = rig_connect(r);
	int32_t sent = 0, more;

	/* What the server takes without being heard is bounded. */
	while ((more = flood(deaf, sent, 1000000 - sent)) > 0 && sent < 1000000) {
		sent += more;
		rig_ping(r, other);
	}
	assert_in_range(sent, 1, 999999);
	for (int32_t i = 0; i < sent; i++)
		rig_receive(r, deaf, API_api_versions, 0, i);
	rig_ping(r, deaf);
}

/* --- silence ---
 *
 * Who has to be quick has sent its request before the server knows of it: the test cannot be late. */

static int connect_and_ask(struct rig *r, int16_t api_key, int16_t version, const void *request)
{
	struct buf b = {0};

	request_write(&b, api_key, version, 1, request);
	int fd = rig_connect_with(r, b.data, b.len);
	buf_fini(&b);
	return fd;
}

static int setup_impatient(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.idle_ms = 300;
	rig_start(r);
	return 0;
}

static void a_connection_on_which_nothing_happens_is_closed(void **state)
{
	struct rig *r = *state;
	int fd = connect_and_ask(r, API_api_versions, 0, &rig_nothing);

	rig_receive(r, fd, API_api_versions, 0, 1);
	assert_true(rig_is_closed(fd));
}

static void one_that_waits_for_its_answer_is_not_closed(void **state)
{
	struct rig *r = *state;
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 700);
	int fd = connect_and_ask(r, API_fetch, 4, &f.request);
	const struct fetch_response *a = rig_receive(r, fd, API_fetch, 4, 1);
	assert_int_equal(a->responses.n, 1);
	assert_true(rig_is_closed(fd));
}

static int setup_impatient_store(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.loops = 1;
	r->so.idle_ms = 300;
	store_rig_start(r);
	return 0;
}

/* The network thread carries out a small append itself. It is held there until the fetch and its connection have had all their
 * time: both are seen to at once, and the answer has not been sent by then. */
static void one_whose_answer_was_held_up_is_not_closed(void **state)
{
	struct rig *r = *state;
	struct rig_fetch f;
	struct rig_produce p;
	struct buf records = {0};

	rig_topic(r, "t", 1);
	rig_topic(r, "u", 1);
	fetch_fill(&f, "t", 0, 100);
	int fd = connect_and_ask(r, API_fetch, 4, &f.request);
	gate_shut(&commit_gate);
	batch_write(&records, NULL, (const char *const[]){"x"}, 1, 1, CODEC_NONE);
	produce_fill(&p, "u", 0, 1, buf_slice(&records));
	int other = connect_and_ask(r, API_produce, 9, &p.request);
	buf_fini(&records);
	gate_wait(&commit_gate);
	poll(&(struct pollfd){fd, POLLIN, 0}, 1, 450);
	gate_open(&commit_gate);
	const struct fetch_response *a = rig_receive(r, fd, API_fetch, 4, 1);
	assert_int_equal(a->responses.n, 1);
	rig_receive(r, other, API_produce, 9, 1);
}

static int setup_hasty(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.first_request_ms = 300;
	rig_start(r);
	return 0;
}

static void one_that_sends_no_request_in_time_is_closed(void **state)
{
	struct rig *r = *state;
	int silent = rig_connect(r);
	int known = connect_and_ask(r, API_api_versions, 0, &rig_nothing);

	rig_receive(r, known, API_api_versions, 0, 1);
	assert_true(rig_is_closed(silent));
	/* Who has sent one has all the time of connections.max.idle.ms. */
	rig_ping(r, known);
}

static void half_a_first_request_is_none(void **state)
{
	struct rig *r = *state;
	struct buf b = {0};

	request_write(&b, API_api_versions, 3, 1, &rig_nothing);
	int fd = rig_connect_with(r, b.data, b.len - 1);
	assert_true(rig_is_closed(fd));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_in_single_bytes_is_answered),
		TEST(every_way_of_cutting_two_requests_gives_two_answers),
		TEST(a_thousand_requests_in_one_write_are_answered_in_order),
		TEST(answers_leave_in_the_order_of_the_requests),
		TEST(a_large_request_arrives_whole),
		TEST_WITH(a_length_over_the_limit_closes_the_connection, setup_small),
		TEST(a_length_too_short_for_a_request_closes_the_connection),
		TEST(other_protocols_close_the_connection),
		TEST(an_unknown_api_closes_the_connection),
		TEST(a_version_that_is_not_served_closes_the_connection),
		TEST(bytes_behind_a_request_are_ignored),
		TEST(a_malformed_request_closes_the_connection_behind_earlier_answers),
		TEST(an_unknown_version_of_api_versions_is_answered_in_version_0),
		TEST(a_client_that_calls_itself_nothing_is_told_so),
		TEST(peers_that_vanish_at_any_byte_leave_nothing_behind),
		TEST(a_peer_that_stops_sending_still_gets_its_answers),
		TEST(a_peer_that_does_not_read_is_not_read_and_harms_nobody),
		TEST_WITH(a_connection_on_which_nothing_happens_is_closed, setup_impatient),
		TEST_WITH(one_that_waits_for_its_answer_is_not_closed, setup_impatient),
		TEST_WITH(one_whose_answer_was_held_up_is_not_closed, setup_impatient_store),
		TEST_WITH(one_that_sends_no_request_in_time_is_closed, setup_hasty),
		TEST_WITH(half_a_first_request_is_none, setup_hasty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

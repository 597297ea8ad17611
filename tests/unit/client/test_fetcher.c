/* test_fetcher.c - reading partitions: what came, what is cut off, what was aborted. */
#include "fake.h"

#include <stdatomic.h>

#include "client/fetcher.h"

/* A log of one partition, and how Fetch is answered. */
struct broker {
	struct buf log;
	size_t bytes_max; /* 0: all; else the answer is cut there */
	struct fetch_response_aborted_transaction aborted[4];
	int aborted_count;
	enum ks_err errors[4];       /* of the first answers */
	_Atomic(int) fetches, empty; /* answers without records before those with */
	int64_t asked[8];            /* offsets */
	int8_t isolation_level;
	int32_t max_wait_ms, min_bytes;
	char rack[8];
	/* Node 2, a replica that this one names as nearer, in so many answers; port 0: there is none. */
	uint16_t near_port;
	int near_answers;
};

static enum fake_turn answer_fetch(struct fake_call *c, struct broker *b)
{
	const struct fetch_request *q = c->request;
	struct fetch_response *m = c->response;
	const struct fetch_request_partition *p = &q->topics.v[0].partitions.v[0];
	struct fetch_response_partition *out;
	int n = atomic_fetch_add(&b->fetches, 1);

	b->asked[n % 8] = p->fetch_offset;
	b->isolation_level = q->isolation_level;
	b->max_wait_ms = q->max_wait_ms;
	b->min_bytes = q->min_bytes;
	snprintf(b->rack, sizeof b->rack, "%.*s", (int)q->rack_id.len,
		 (const char *)q->rack_id.data);
	m->responses.v = fake_alloc(c, 1, sizeof *m->responses.v);
	m->responses.n = 1;
	m->responses.v[0].topic = q->topics.v[0].topic;
	out = fake_alloc(c, 1, sizeof *out);
	m->responses.v[0].partitions.v = out;
	m->responses.v[0].partitions.n = 1;
	wire_defaults(fetch_response_partition_desc(), out);
	out->partition_index = p->partition;
	out->high_watermark = 100;
	out->last_stable_offset = 90;
	out->log_start_offset = 2;
	out->error_code = n < 4 ? (int16_t)b->errors[n] : 0;
	if (n < b->near_answers) {
		out->preferred_read_replica = 2;
		return FAKE_ANSWER;
	}
	if (out->error_code || atomic_fetch_sub(&b->empty, 1) > 0)
		return FAKE_ANSWER;
	struct wire_ref *ref = fake_alloc(c, 1, sizeof *ref);
	*ref = (struct wire_ref){NULL,
				 slice_of(b->log.data, b->bytes_max ? b->bytes_max : b->log.len)};
	out->records = (struct wire_records){ref, 1};
	out->aborted_transactions.v = b->aborted;
	out->aborted_transactions.n = b->aborted_count;
	return FAKE_ANSWER;
}

static void tell_of_both(struct fake_call *c, const struct broker *b)
{
	struct metadata_response *m = c->response;

	m->brokers.v = fake_alloc(c, 2, sizeof *m->brokers.v);
	m->brokers.n = 2;
	m->brokers.v[0] = (struct metadata_response_broker){
		.node_id = 1, .host = slice_str("127.0.0.1"), .port = fake_port(c->fake)};
	m->brokers.v[1] = (struct metadata_response_broker){
		.node_id = 2, .host = slice_str("127.0.0.1"), .port = b->near_port};
}

static enum fake_turn broker(struct fake_call *c, void *arg)
{
	const struct metadata_request *metadata = c->request;
	const struct broker *b = arg;

	if (c->api->key == API_metadata && b->near_port)
		tell_of_both(c, b);
	if (c->api->key == API_metadata && metadata->topics.n == 1) {
		fake_topic(c, "in", 1, 1, ERR_NONE);
		return FAKE_ANSWER;
	}
	if (c->api->key == API_metadata && b->near_port)
		return FAKE_ANSWER;
	return c->api->key == API_fetch ? answer_fetch(c, arg) : FAKE_DEFAULT;
}

/* Appends a batch of one record; producer_id >= 0: of a transaction. */
static void add_batch(struct broker *b, int64_t offset, int64_t producer_id)
{
	struct batch_writer w = {0};
	struct buf scratch = {0};
	size_t start = b->log.len;

	batch_writer_begin(&w, &b->log);
	batch_writer_append(&w, 1, SLICE_NULL, slice_str("value"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	if (producer_id >= 0)
		batch_set_producer(b->log.data + start, b->log.len - start, producer_id, 0, 0,
				   true);
	batch_stamp(b->log.data + start, offset, 0);
	buf_fini(&scratch);
}

/* The end of a transaction: type 0 abort, 1 commit. */
static void add_marker(struct broker *b, int64_t offset, int64_t producer_id, uint8_t type)
{
	uint8_t key[4] = {0, 0, 0, type}, value[6] = {0};
	struct batch_writer w = {0};
	struct buf scratch = {0};
	size_t start = b->log.len;

	batch_writer_begin(&w, &b->log);
	batch_writer_append(&w, 1, slice_of(key, 4), slice_of(value, 6), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	/* The control bit; setting the producer makes the CRC anew. */
	b->log.data[start + 22] |= 0x20;
	batch_set_producer(b->log.data + start, b->log.len - start, producer_id, 0, -1, true);
	batch_stamp(b->log.data + start, offset, 0);
	buf_fini(&scratch);
}

struct setup {
	struct broker broker, near_broker;
	struct fake *fake, *near; /* near: when broker.near_answers */
	struct client_fetcher_options options;
	struct client_cluster *cluster;
	struct client_fetcher *fetcher;
	struct client_cursor *cursor;

	/* what was read last */
	struct frame *frame;
	struct slice bytes;
};

/* The cluster is there from the first read on, so that a test may fill the log before. */
static void begin(struct setup *s)
{
	struct client_options options = {0};

	if (s->broker.near_answers) {
		s->near = fake_start(broker, &s->near_broker);
		s->broker.near_port = fake_port(s->near);
	}
	s->fake = fake_start(broker, &s->broker);
	assert_ok(client_cluster_open(fake_address(s->fake), &options, &s->cluster, why));
	s->fetcher = client_fetcher_new(s->cluster, &s->options);
	s->cursor = client_cursor_open(s->fetcher, "in", 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct setup));
	return 0;
}

/* From here on the broker's notes stand still. */
static void end(struct setup *s)
{
	client_cursor_close(s->cursor);
	client_fetcher_free(s->fetcher);
	client_cluster_close(s->cluster);
	fake_stop(s->fake);
	fake_stop(s->near);
	s->fake = s->near = NULL;
}

static int teardown(void **state)
{
	struct setup *s = *state;

	if (s->fake)
		end(s);
	frame_unref(s->frame);
	buf_fini(&s->broker.log);
	buf_fini(&s->near_broker.log);
	free(s);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Reads at an offset, waiting for it; s->bytes is what came. */
static enum ks_err read_at(struct setup *s, int64_t offset, struct ks_why *why)
{
	enum ks_err err;

	if (!s->fake)
		begin(s);
	frame_unref(s->frame);
	s->frame = NULL;
	while ((err = client_cursor_read(s->cursor, offset, 1 << 20, &s->frame, &s->bytes, why)) ==
	       ERR_EMPTY)
		client_fetcher_wait(s->fetcher, 10000);
	return err;
}

static void what_is_asked_for_comes_with_the_partitions_bounds(void **state)
{
	struct setup *s = *state;

	add_batch(&s->broker, 5, -1);
	add_batch(&s->broker, 6, -1);
	assert_ok(read_at(s, 5, why));
	assert_int_equal(s->bytes.len, s->broker.log.len);
	assert_memory_equal(s->bytes.data, s->broker.log.data, s->bytes.len);
	struct client_bounds b = client_cursor_bounds(s->cursor);
	assert_int_equal(b.log_start_offset, 2);
	assert_int_equal(b.last_stable_offset, 90);
	assert_int_equal(b.high_watermark, 100);
	end(s);
	assert_int_equal(s->broker.asked[0], 5);
	assert_int_equal(s->broker.isolation_level, 1); /* read_committed */
}

static void an_empty_answer_is_asked_for_again(void **state)
{
	struct setup *s = *state;

	s->broker.empty = 2;
	add_batch(&s->broker, 0, -1);
	assert_ok(read_at(s, 0, why));
	end(s);
	assert_int_equal(s->broker.fetches, 3);
}

static void a_batch_that_is_cut_off_is_left_out(void **state)
{
	struct setup *s = *state;

	add_batch(&s->broker, 0, -1);
	size_t one = s->broker.log.len;
	add_batch(&s->broker, 1, -1);
	s->broker.bytes_max = s->broker.log.len - 1;
	assert_ok(read_at(s, 0, why));
	assert_int_equal(s->bytes.len, one);
}

static void bytes_that_are_no_batch_are_an_error(void **state)
{
	struct setup *s = *state;
	struct ks_why told;

	add_batch(&s->broker, 0, -1);
	s->broker.log.data[16] = 1; /* magic */
	assert_int_equal(read_at(s, 0, &told), ERR_CORRUPT_MESSAGE);
}

static void an_offset_that_is_gone_is_told(void **state)
{
	struct setup *s = *state;
	struct ks_why told;

	s->broker.errors[0] = ERR_OFFSET_OUT_OF_RANGE;
	add_batch(&s->broker, 2, -1);
	assert_int_equal(read_at(s, 1, &told), ERR_OFFSET_OUT_OF_RANGE);
	assert_string_equal(told.text,
			    "in [0] at offset 1: the offset is outside of the partition's range");
	assert_ok(read_at(s, 2, why));
}

static void a_leader_that_moved_is_found_again(void **state)
{
	struct setup *s = *state;

	s->broker.errors[0] = ERR_NOT_LEADER_OR_FOLLOWER;
	s->broker.errors[1] = ERR_FENCED_LEADER_EPOCH;
	add_batch(&s->broker, 0, -1);
	assert_ok(read_at(s, 0, why));
	end(s);
	assert_int_equal(s->broker.fetches, 3);
}

static void a_replica_that_the_leader_names_is_read(void **state)
{
	struct setup *s = *state;

	s->options.rack = "r1";
	s->options.max_wait_ms = 1234;
	s->broker.near_answers = 1;
	add_batch(&s->near_broker, 5, -1);
	assert_ok(read_at(s, 5, why));
	assert_ok(read_at(s, 6, why));
	end(s);
	assert_string_equal(s->broker.rack, "r1");
	assert_int_equal(s->broker.max_wait_ms, 1234);
	assert_int_equal(s->broker.fetches, 1);
	assert_int_equal(s->near_broker.fetches, 2);
	assert_string_equal(s->near_broker.rack, "r1");
}

static void who_has_no_rack_stays_with_the_leader(void **state)
{
	struct setup *s = *state;

	s->broker.near_answers = 1;
	add_batch(&s->broker, 5, -1);
	assert_ok(read_at(s, 5, why));
	end(s);
	assert_string_equal(s->broker.rack, "");
	assert_int_equal(s->broker.max_wait_ms, 500);
	assert_int_equal(s->broker.fetches, 2);
	assert_int_equal(s->near_broker.fetches, 0);
}

static void a_nearer_replica_that_refuses_leads_back_to_the_leader(void **state)
{
	struct setup *s = *state;

	s->options.rack = "r1";
	s->broker.near_answers = 1;
	s->near_broker.errors[0] = ERR_OFFSET_OUT_OF_RANGE;
	add_batch(&s->broker, 5, -1);
	assert_ok(read_at(s, 5, why));
	end(s);
	assert_int_equal(s->broker.fetches, 2);
	assert_int_equal(s->near_broker.fetches, 1);
}

static void another_offset_drops_what_came_for_the_last(void **state)
{
	struct setup *s = *state;
	struct ks_why unused;

	add_batch(&s->broker, 0, -1);
	begin(s);
	assert_int_equal(client_cursor_read(s->cursor, 0, 4096, &s->frame, &s->bytes, &unused),
			 ERR_EMPTY);
	client_fetcher_wait(s->fetcher, 10000);
	assert_int_equal(client_cursor_read(s->cursor, 7, 4096, &s->frame, &s->bytes, &unused),
			 ERR_EMPTY);
	assert_ok(read_at(s, 7, why));
	end(s);
	assert_int_equal(s->broker.asked[0], 0);
	assert_int_equal(s->broker.asked[1], 7);
}

/* "A" where the batch was aborted, "." where it is to be shown. */
static void show(const struct setup *s, struct slice bytes, char *out)
{
	struct batch b;

	for (; bytes.len; bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len)) {
		assert_int_equal(batch_peek(bytes, &b), ERR_NONE);
		*out++ = client_cursor_is_aborted(s->cursor, &b) ? 'A' : '.';
	}
	*out = 0;
}

static void batches_of_aborted_transactions_are_marked(void **state)
{
	struct setup *s = *state;
	char text[16];

	add_batch(&s->broker, 0, 1);  /* aborted */
	add_batch(&s->broker, 1, 2);  /* committed */
	add_batch(&s->broker, 2, -1); /* of no transaction */
	add_batch(&s->broker, 3, 1);  /* aborted */
	add_marker(&s->broker, 4, 1, 0);
	add_batch(&s->broker, 5, 1); /* its next transaction */
	add_marker(&s->broker, 6, 2, 1);
	add_marker(&s->broker, 7, 1, 1);
	add_batch(&s->broker, 8, 2); /* aborted */
	/* In any order. */
	s->broker.aborted[0] = (struct fetch_response_aborted_transaction){2, 8};
	s->broker.aborted[1] = (struct fetch_response_aborted_transaction){1, 0};
	s->broker.aborted_count = 2;
	assert_ok(read_at(s, 0, why));
	show(s, s->bytes, text);
	assert_string_equal(text, "A..A....A");
}

static void a_transaction_that_began_before_the_answer_is_known_too(void **state)
{
	struct setup *s = *state;
	char text[16];

	add_batch(&s->broker, 50, 1);
	add_marker(&s->broker, 51, 1, 0);
	add_batch(&s->broker, 52, 1);
	s->broker.aborted[0] = (struct fetch_response_aborted_transaction){1, 20};
	s->broker.aborted_count = 1;
	assert_ok(read_at(s, 50, why));
	show(s, s->bytes, text);
	assert_string_equal(text, "A..");
}

static void a_broker_is_told_how_much_to_wait_for(void **state)
{
	struct setup *s = *state;

	s->options.min_bytes = 700;
	s->options.max_wait_ms = 321;
	add_batch(&s->broker, 5, -1);
	assert_ok(read_at(s, 5, why));
	assert_int_equal(client_cursor_bounds(s->cursor).node, 1);
	end(s);
	assert_int_equal(s->broker.min_bytes, 700);
	assert_int_equal(s->broker.max_wait_ms, 321);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_asked_for_comes_with_the_partitions_bounds),
		TEST(an_empty_answer_is_asked_for_again),
		TEST(a_broker_is_told_how_much_to_wait_for),
		TEST(a_batch_that_is_cut_off_is_left_out),
		TEST(bytes_that_are_no_batch_are_an_error),
		TEST(an_offset_that_is_gone_is_told),
		TEST(a_leader_that_moved_is_found_again),
		TEST(a_replica_that_the_leader_names_is_read),
		TEST(who_has_no_rack_stays_with_the_leader),
		TEST(a_nearer_replica_that_refuses_leads_back_to_the_leader),
		TEST(another_offset_drops_what_came_for_the_last),
		TEST(batches_of_aborted_transactions_are_marked),
		TEST(a_transaction_that_began_before_the_answer_is_known_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Produce: what is taken, what is refused and how, acks, order. */
#include "server_rig.h"

#define NOW INT64_C(1700000000000)

typedef const struct produce_response_partition_response *result;

static struct slice batch_of(struct buf *b, const char *key, const char *value, enum codec codec)
{
	const char *values[] = {value, value, value};

	buf_clear(b);
	batch_write(b, key, values, 3, NOW, codec);
	return buf_slice(b);
}

/* The CRC of a batch whose attributes or records were changed. */
static void seal(struct buf *b)
{
	/* Setting what is there already makes the CRC anew. */
	batch_set_producer(b->data, b->len, -1, -1, -1, (b->data[22] & 0x10) != 0);
}

static void expect(result a, enum ks_err err, const char *message)
{
	assert_int_equal(a->error_code, err);
	assert_int_equal(a->base_offset, err ? -1 : a->base_offset);
	if (message)
		assert_slice(a->error_message, message);
	else
		assert_null(a->error_message.data);
}

static void every_version_appends_and_tells_the_offset(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	for (int16_t version = 3; version <= 12; version++) {
		result a =
			rig_produce_bytes(r, fd, version, "t", batch_of(&b, "k", "v", CODEC_NONE));
		expect(a, ERR_NONE, NULL);
		assert_int_equal(a->base_offset, 3 * (version - 3));
		assert_int_equal(a->log_append_time_ms, -1);
		assert_int_equal(a->log_start_offset, version >= 5 ? 0 : -1);
	}
	buf_fini(&b);
}

static void version_13_names_topics_by_id(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct topic_uuid id = topic_uuid(rig_topic(r, "t", 1));
	struct buf b = {0};
	struct rig_produce p;

	produce_fill(&p, "", 0, -1, batch_of(&b, "k", "v", CODEC_NONE));
	memcpy(p.topic.topic_id.bytes, id.bytes, sizeof id.bytes);
	const struct produce_response *a = rig_ask(r, fd, API_produce, 13, &p.request);
	assert_memory_equal(a->responses.v[0].topic_id.bytes, id.bytes, sizeof id.bytes);
	expect(&a->responses.v[0].partition_responses.v[0], ERR_NONE, NULL);
	p.topic.topic_id.bytes[0] ^= 1;
	a = rig_ask(r, fd, API_produce, 13, &p.request);
	expect(&a->responses.v[0].partition_responses.v[0], ERR_UNKNOWN_TOPIC_ID, NULL);
	buf_fini(&b);
}

static void each_partition_has_its_own_verdict(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct slice good = batch_of(&b, "k", "v", CODEC_NONE);
	struct wire_ref refs[3] = {{NULL, good}, {NULL, {good.data, good.len - 1}}, {NULL, good}};
	struct produce_request_partition_data parts[4] = {
		{0, {&refs[0], 1}}, {1, {&refs[1], 1}}, {2, {&refs[2], 1}}, {3, {NULL, -1}}};
	struct produce_request_topic_data topics[2] = {{.name = slice_str("t")},
						       {.name = slice_str("unknown")}};
	struct produce_request q = {.acks = 1, .topic_data = {topics, 2}};

	rig_topic(r, "t", 2);
	topics[0].partition_data.v = parts;
	topics[0].partition_data.n = 4;
	topics[1].partition_data.v = parts;
	topics[1].partition_data.n = 1;
	const struct produce_response *a = rig_ask(r, fd, API_produce, 9, &q);
	result v = a->responses.v[0].partition_responses.v;
	expect(&v[0], ERR_NONE, NULL);
	expect(&v[1], ERR_INVALID_RECORD, "there is no whole record batch");
	expect(&v[2], ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
	expect(&v[3], ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
	expect(&a->responses.v[1].partition_responses.v[0], ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
	buf_fini(&b);
}

static void names_that_no_topic_can_have_are_told_apart(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	char longest[251];
	const char *wrong[] = {"", ".", "..", "a b", "a/b", "\xc3\xa4", longest};

	memset(longest, 'x', 250);
	longest[250] = 0;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect(rig_produce_bytes(r, fd, 9, wrong[i], batch_of(&b, "k", "v", CODEC_NONE)),
		       ERR_INVALID_TOPIC_EXCEPTION, NULL);
	buf_fini(&b);
}

/* --- one batch of magic 2 --- */

static void a_partition_gets_exactly_one_batch(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	const char *value = "v";

	rig_topic(r, "t", 1);
	expect(rig_produce_bytes(r, fd, 9, "t", SLICE_NULL), ERR_INVALID_RECORD,
	       "there is no record batch");
	expect(rig_produce_bytes(r, fd, 9, "t", slice_str("")), ERR_INVALID_RECORD,
	       "there is no record batch");
	batch_of(&b, "k", "v", CODEC_NONE);
	batch_write(&b, "k", &value, 1, NOW, CODEC_NONE);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_INVALID_RECORD,
	       "there is more than one record batch");
	buf_fini(&b);
}

static void older_formats_are_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	for (uint8_t magic = 0; magic < 4; magic++) {
		if (magic == 2)
			continue;
		batch_of(&b, "k", "v", CODEC_NONE);
		b.data[16] = magic;
		expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_INVALID_RECORD,
		       "only record batches of magic 2 are taken");
	}
	buf_fini(&b);
}

static void a_wrong_crc_is_a_corrupt_message(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	batch_of(&b, "k", "v", CODEC_NONE);
	b.data[b.len - 1] ^= 1;
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_CORRUPT_MESSAGE, NULL);
	buf_fini(&b);
}

static void a_batch_that_does_not_begin_at_0_is_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	batch_of(&b, "k", "v", CODEC_NONE);
	batch_stamp(b.data, 5, 0);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_INVALID_RECORD,
	       "the batch's base offset is not 0");
	buf_fini(&b);
}

static void control_batches_are_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	batch_of(&b, "k", "v", CODEC_NONE);
	b.data[22] |= 0x20;
	seal(&b);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_INVALID_RECORD,
	       "clients do not write control batches");
	buf_fini(&b);
}

static void zstd_is_taken_from_version_7_on(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	char value[500];

	memset(value, 'a', sizeof value);
	value[sizeof value - 1] = 0;
	rig_topic(r, "t", 1);
	expect(rig_produce_bytes(r, fd, 6, "t", batch_of(&b, "k", value, CODEC_ZSTD)),
	       ERR_UNSUPPORTED_COMPRESSION_TYPE, NULL);
	expect(rig_produce_bytes(r, fd, 8, "t", batch_of(&b, "k", value, CODEC_ZSTD)), ERR_NONE,
	       NULL);
	for (int codec = CODEC_GZIP; codec <= CODEC_LZ4; codec++)
		expect(rig_produce_bytes(r, fd, 3, "t",
					 batch_of(&b, "k", value, (enum codec)codec)),
		       ERR_NONE, NULL);
	buf_fini(&b);
}

/* --- limits of the topic --- */

static void a_batch_over_max_message_bytes_is_too_large(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	char limit[32];

	struct slice batch = batch_of(&b, "k", "v", CODEC_NONE);
	snprintf(limit, sizeof limit, "%zu", batch.len);
	rig_topic_with(r, "fits", 1, "max.message.bytes", limit);
	snprintf(limit, sizeof limit, "%zu", batch.len - 1);
	rig_topic_with(r, "does-not", 1, "max.message.bytes", limit);
	expect(rig_produce_bytes(r, fd, 9, "fits", batch), ERR_NONE, NULL);
	expect(rig_produce_bytes(r, fd, 9, "does-not", batch), ERR_MESSAGE_TOO_LARGE, NULL);
	buf_fini(&b);
}

static void a_record_without_a_key_is_named_when_keys_are_needed(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct batch_writer w;
	static const char why[] = "a record of a compacted topic needs a key";

	rig_topic_with(r, "t", 1, "cleanup.policy", "compact");
	for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec += CODEC_ZSTD) {
		struct buf scratch = {0};
		char value[400];
		memset(value, 'v', sizeof value);
		buf_clear(&b);
		batch_writer_begin(&w, &b);
		for (int i = 0; i < 5; i++)
			batch_writer_append(&w, NOW, i % 2 ? SLICE_NULL : slice_str("k"),
					    slice_of(value, sizeof value), SLICE_NULL, 0);
		batch_writer_finish(&w, (enum codec)codec, &scratch);
		result a = rig_produce_bytes(r, fd, 9, "t", buf_slice(&b));
		expect(a, ERR_INVALID_RECORD, why);
		assert_int_equal(a->record_errors.n, 2);
		assert_int_equal(a->record_errors.v[0].batch_index, 1);
		assert_slice(a->record_errors.v[0].batch_index_error_message, why);
		assert_int_equal(a->record_errors.v[1].batch_index, 3);
		buf_fini(&scratch);
	}
	expect(rig_produce_bytes(r, fd, 9, "t", batch_of(&b, "k", "v", CODEC_NONE)), ERR_NONE,
	       NULL);
	assert_int_equal(partition_high_watermark(topic_partition(broker_topic_find(r->b, "t"), 0)),
			 3);
	buf_fini(&b);
}

static void timestamps_too_far_away_are_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	const char *value = "v";
	int64_t now = clock_now_ms(&clock_real);

	rig_topic_with(r, "before", 1, "message.timestamp.before.max.ms", "1000000");
	rig_topic_with(r, "after", 1, "message.timestamp.after.max.ms", "1000000");
	static const struct {
		const char *topic;
		int64_t distance;
		enum ks_err err;
	} cases[] = {
		{"before", -2000000, ERR_INVALID_TIMESTAMP},
		{"before", -500000, ERR_NONE},
		{"before", 2000000, ERR_NONE},
		{"after", 2000000, ERR_INVALID_TIMESTAMP},
		{"after", 500000, ERR_NONE},
		{"after", -2000000, ERR_NONE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&b);
		batch_write(&b, "k", &value, 1, now + cases[i].distance, CODEC_NONE);
		result a = rig_produce_bytes(r, fd, 9, cases[i].topic, buf_slice(&b));
		assert_int_equal(a->error_code, cases[i].err);
		assert_int_equal(a->record_errors.n, cases[i].err ? 1 : 0);
	}
	buf_fini(&b);
}

static void a_topic_with_append_time_stamps_and_tells_it(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic_with(r, "t", 1, "message.timestamp.type", "LogAppendTime");
	int64_t before = clock_now_ms(&clock_real);
	result a = rig_produce_bytes(r, fd, 9, "t", batch_of(&b, "k", "v", CODEC_NONE));
	expect(a, ERR_NONE, NULL);
	assert_in_range(a->log_append_time_ms, before, clock_now_ms(&clock_real));
	buf_fini(&b);
}

static void a_client_that_stamps_append_time_itself_is_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic(r, "t", 1);
	batch_of(&b, "k", "v", CODEC_NONE);
	batch_stamp_append_time(b.data, b.len, NOW);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_INVALID_TIMESTAMP, NULL);
	buf_fini(&b);
}

static void a_header_that_lies_about_the_latest_timestamp_is_corrected(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	int64_t offset, timestamp;

	struct topic *t = rig_topic(r, "t", 1);
	batch_of(&b, "k", "v", CODEC_NONE);
	batch_stamp_max_timestamp(b.data, b.len, NOW + 5);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_NONE, NULL);
	assert_int_equal(partition_max_timestamp_offset(topic_partition(t, 0), &offset, &timestamp),
			 ERR_NONE);
	assert_int_equal(timestamp, NOW);
	buf_fini(&b);
}

static void a_topic_that_names_a_codec_gets_its_batches_in_it(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	char value[1000], text[1001];
	struct rig_fetch f;
	struct batch stored;

	memset(value, 'z', sizeof value);
	value[sizeof value - 1] = 0;
	rig_topic_with(r, "t", 1, "compression.type", "lz4");
	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++)
		expect(rig_produce_bytes(r, fd, 9, "t",
					 batch_of(&b, "k", value, (enum codec)codec)),
		       ERR_NONE, NULL);
	for (int i = 0; i < CODEC_COUNT; i++) {
		fetch_fill(&f, "t", 3 * i, 0);
		f.partition.partition_max_bytes = 1;
		const struct fetch_response *a = rig_ask(r, fd, API_fetch, 4, &f.request);
		struct slice records = records_of(&a->responses.v[0].partitions.v[0].records);
		assert_ok(batch_verify(records, &stored));
		assert_int_equal(batch_codec(&stored), CODEC_LZ4);
		assert_int_equal(stored.base_offset, 3 * i);
		assert_int_equal(count_records(records, text, sizeof text), 3);
		assert_string_equal(text, value);
	}
	buf_fini(&b);
}

static void what_unpacks_to_too_much_is_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0}, scratch = {0};
	struct batch_writer w;
	size_t len = 40 * 1024 * 1024;
	uint8_t *zeros = calloc(1, len);

	rig_topic(r, "t", 1);
	batch_writer_begin(&w, &b);
	batch_writer_append(&w, NOW, SLICE_NULL, slice_of(zeros, len), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_ZSTD, &scratch);
	assert_true(b.len < 100000);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_MESSAGE_TOO_LARGE,
	       "the batch unpacks to more than is allowed");
	free(zeros);
	buf_fini(&b);
	buf_fini(&scratch);
}

/* --- acks --- */

static void acks_other_than_0_1_and_all_are_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct rig_produce p;

	rig_topic(r, "t", 1);
	for (int16_t acks = -3; acks < 4; acks++) {
		if (acks == 0)
			continue;
		produce_fill(&p, "t", 0, acks, batch_of(&b, "k", "v", CODEC_NONE));
		const struct produce_response *a = rig_ask(r, fd, API_produce, 9, &p.request);
		assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code,
				 acks == 1 || acks == -1 ? ERR_NONE : ERR_INVALID_REQUIRED_ACKS);
	}
	buf_fini(&b);
}

static void acks_all_needs_as_many_replicas_as_the_topic_says(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};

	rig_topic_with(r, "t", 1, "min.insync.replicas", "2");
	expect(rig_produce_bytes(r, fd, 9, "t", batch_of(&b, "k", "v", CODEC_NONE)),
	       ERR_NOT_ENOUGH_REPLICAS, NULL);
	buf_fini(&b);
}

static void acks_0_has_no_answer_and_the_next_request_has(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct rig_produce p;

	rig_topic(r, "t", 1);
	for (int i = 0; i < 10; i++) {
		produce_fill(&p, "t", 0, 0, batch_of(&b, "k", "v", CODEC_NONE));
		rig_send(fd, API_produce, 9, i, &p.request);
	}
	result a = rig_produce_bytes(r, fd, 9, "t", batch_of(&b, "k", "v", CODEC_NONE));
	assert_int_equal(a->base_offset, 30);
	buf_fini(&b);
}

static void an_error_with_acks_0_closes_the_connection(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf b = {0};
	struct rig_produce p;

	rig_topic(r, "t", 1);
	produce_fill(&p, "t", 1, 0, batch_of(&b, "k", "v", CODEC_NONE));
	rig_send(fd, API_produce, 9, 1, &p.request);
	assert_true(rig_is_closed(fd));
	buf_fini(&b);
}

/* --- order and idempotence --- */

/* Large and packed batches are checked by workers, small ones on the loop: the order stays. */
static void requests_of_one_connection_are_appended_in_their_order(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct buf large = {0}, small = {0};
	struct batch_writer w;
	struct buf scratch = {0};
	uint8_t noise[50000];
	struct rig_produce p;

	rig_topic(r, "t", 1);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)(i * 2654435761u >> 15);
	batch_writer_begin(&w, &large);
	for (int i = 0; i < 10; i++)
		batch_writer_append(&w, NOW, SLICE_NULL, slice_of(noise, sizeof noise), SLICE_NULL,
				    0);
	batch_writer_finish(&w, CODEC_LZ4, &scratch);
	batch_of(&small, "k", "v", CODEC_NONE);
	for (int i = 0; i < 20; i++) {
		produce_fill(&p, "t", 0, -1, buf_slice(i % 2 ? &small : &large));
		rig_send(fd, API_produce, 9, i, &p.request);
	}
	int64_t expected = 0;
	for (int i = 0; i < 20; i++) {
		const struct produce_response *a = rig_receive(r, fd, API_produce, 9, i);
		result one = &a->responses.v[0].partition_responses.v[0];
		expect(one, ERR_NONE, NULL);
		assert_int_equal(one->base_offset, expected);
		expected += i % 2 ? 3 : 10;
	}
	buf_fini(&large);
	buf_fini(&small);
	buf_fini(&scratch);
}

static void a_duplicate_is_answered_with_the_offset_it_has(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct init_producer_id_request q = {.producer_id = -1, .producer_epoch = -1};
	struct buf b = {0};

	rig_topic(r, "t", 1);
	const struct init_producer_id_response *id = rig_ask(r, fd, API_init_producer_id, 4, &q);
	assert_int_equal(id->error_code, 0);
	assert_int_equal(id->producer_epoch, 0);
	for (int sequence = 0; sequence < 9; sequence += 3) {
		batch_of(&b, "k", "v", CODEC_NONE);
		batch_set_producer(b.data, b.len, id->producer_id, 0, sequence, false);
		for (int attempt = 0; attempt < 3; attempt++) {
			result a = rig_produce_bytes(r, fd, 9, "t", buf_slice(&b));
			expect(a, ERR_NONE, NULL);
			assert_int_equal(a->base_offset, sequence);
		}
	}
	batch_set_producer(b.data, b.len, id->producer_id, 0, 12, false);
	expect(rig_produce_bytes(r, fd, 9, "t", buf_slice(&b)), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
	       NULL);
	buf_fini(&b);
}

static void producers_get_ids(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct init_producer_id_request q = {.producer_id = -1, .producer_epoch = -1};

	const struct init_producer_id_response *a = rig_ask(r, fd, API_init_producer_id, 0, &q),
					       *b = rig_ask(r, fd, API_init_producer_id, 4, &q);
	assert_int_equal(a->error_code, 0);
	assert_int_not_equal(a->producer_id, b->producer_id);
	/* The next epoch of an id. */
	q.producer_id = b->producer_id;
	q.producer_epoch = 0;
	const struct init_producer_id_response *c = rig_ask(r, fd, API_init_producer_id, 4, &q);
	assert_int_equal(c->producer_id, b->producer_id);
	assert_int_equal(c->producer_epoch, 1);
	/* One without the other. */
	q.producer_epoch = -1;
	c = rig_ask(r, fd, API_init_producer_id, 4, &q);
	assert_int_equal(c->error_code, ERR_INVALID_REQUEST);
	assert_int_equal(c->producer_id, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_version_appends_and_tells_the_offset),
		TEST(version_13_names_topics_by_id),
		TEST(each_partition_has_its_own_verdict),
		TEST(names_that_no_topic_can_have_are_told_apart),
		TEST(a_partition_gets_exactly_one_batch),
		TEST(older_formats_are_refused),
		TEST(a_wrong_crc_is_a_corrupt_message),
		TEST(a_batch_that_does_not_begin_at_0_is_refused),
		TEST(control_batches_are_refused),
		TEST(zstd_is_taken_from_version_7_on),
		TEST(a_batch_over_max_message_bytes_is_too_large),
		TEST(a_record_without_a_key_is_named_when_keys_are_needed),
		TEST(timestamps_too_far_away_are_refused),
		TEST(a_topic_with_append_time_stamps_and_tells_it),
		TEST(a_client_that_stamps_append_time_itself_is_refused),
		TEST(a_header_that_lies_about_the_latest_timestamp_is_corrected),
		TEST(a_topic_that_names_a_codec_gets_its_batches_in_it),
		TEST(what_unpacks_to_too_much_is_refused),
		TEST(acks_other_than_0_1_and_all_are_refused),
		TEST(acks_all_needs_as_many_replicas_as_the_topic_says),
		TEST(acks_0_has_no_answer_and_the_next_request_has),
		TEST(an_error_with_acks_0_closes_the_connection),
		TEST(requests_of_one_connection_are_appended_in_their_order),
		TEST(a_duplicate_is_answered_with_the_offset_it_has),
		TEST(producers_get_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

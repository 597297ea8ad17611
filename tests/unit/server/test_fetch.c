/* Fetch: what is read, how long is waited, sessions, limits. */
#include "server_rig.h"

typedef const struct fetch_response_partition *part;

#define WAIT_FOR_EVER INT32_MAX

/* The only partition of an answer. */
static part only(const struct fetch_response *a)
{
	assert_int_equal(a->error_code, 0);
	assert_int_equal(a->responses.n, 1);
	assert_int_equal(a->responses.v[0].partitions.n, 1);
	return &a->responses.v[0].partitions.v[0];
}

static part fetch_at(struct rig *r, int fd, int16_t version, const char *topic, int64_t offset)
{
	struct rig_fetch f;

	fetch_fill(&f, topic, offset, 0);
	return only(rig_ask(r, fd, API_fetch, version, &f.request));
}

static part ask(struct rig *r, int fd, const struct rig_fetch *f)
{
	return only(rig_ask(r, fd, API_fetch, 11, &f->request));
}

static part receive(struct rig *r, int fd, int32_t correlation_id)
{
	return only(rig_receive(r, fd, API_fetch, 11, correlation_id));
}

static int records_in(part p)
{
	return count_records(records_of(&p->records), NULL, 0);
}

static void every_version_reads_what_was_written(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct topic_uuid id = topic_uuid(rig_topic(r, "t", 1));
	char text[32];

	rig_produce(r, fd, "t", "first");
	rig_produce(r, fd, "t", "second");
	for (int16_t version = 4; version <= 18; version++) {
		struct rig_fetch f;
		fetch_fill(&f, version < 13 ? "t" : "", 1, 0);
		memcpy(f.topic.topic_id.bytes, id.bytes, sizeof id.bytes);
		const struct fetch_response *a = rig_ask(r, fd, API_fetch, version, &f.request);
		part p = only(a);
		assert_int_equal(p->error_code, 0);
		assert_int_equal(p->high_watermark, 2);
		assert_int_equal(p->last_stable_offset, 2);
		assert_int_equal(p->log_start_offset, version >= 5 ? 0 : -1);
		assert_int_equal(count_records(records_of(&p->records), text, sizeof text), 1);
		assert_string_equal(text, "second");
		if (version < 13)
			assert_slice(a->responses.v[0].topic, "t");
		else
			assert_memory_equal(a->responses.v[0].topic_id.bytes, id.bytes,
					    sizeof id.bytes);
	}
}

static void aborted_transactions_are_listed_only_for_who_wants_them(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	assert_int_equal(ask(r, fd, &f)->aborted_transactions.n, -1);
	f.request.isolation_level = 1;
	assert_int_equal(ask(r, fd, &f)->aborted_transactions.n, 0);
}

static void many_small_batches_come_together(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	char text[32];

	rig_topic(r, "t", 1);
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof text, "value %d", i);
		rig_produce(r, fd, "t", text);
	}
	part p = fetch_at(r, fd, 4, "t", 0);
	assert_int_equal(count_records(records_of(&p->records), text, sizeof text), 300);
	assert_string_equal(text, "value 0");
	p = fetch_at(r, fd, 4, "t", 299);
	assert_int_equal(count_records(records_of(&p->records), text, sizeof text), 1);
	assert_string_equal(text, "value 299");
}

static void errors_are_each_partitions_own(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);

	rig_topic(r, "t", 1);
	rig_produce(r, fd, "t", "x");
	assert_int_equal(fetch_at(r, fd, 11, "t", 2)->error_code, ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(fetch_at(r, fd, 11, "t", -1)->error_code, ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(fetch_at(r, fd, 11, "t", 2)->high_watermark, -1);
	assert_int_equal(fetch_at(r, fd, 11, "u", 0)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fetch_at(r, fd, 11, "no topic", 0)->error_code,
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fetch_at(r, fd, 11, "t", 0)->error_code, 0);
	struct rig_fetch f;
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	f.partition.partition = 1;
	assert_int_equal(ask(r, fd, &f)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	fetch_fill(&f, "", 0, WAIT_FOR_EVER);
	f.topic.topic_id.bytes[3] = 9;
	assert_int_equal(only(rig_ask(r, fd, API_fetch, 13, &f.request))->error_code,
			 ERR_UNKNOWN_TOPIC_ID);
}

static void who_believes_in_another_leader_epoch_is_told(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	f.partition.current_leader_epoch = 0;
	assert_int_equal(ask(r, fd, &f)->error_code, 0);
	f.partition.current_leader_epoch = 1;
	assert_int_equal(ask(r, fd, &f)->error_code, ERR_UNKNOWN_LEADER_EPOCH);
	f.partition.current_leader_epoch = -2;
	assert_int_equal(ask(r, fd, &f)->error_code, ERR_FENCED_LEADER_EPOCH);
}

static void who_calls_itself_a_replica_reads_nothing(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;
	struct fetch_request_replica_state replica = {.replica_id = 2};

	rig_topic(r, "t", 1);
	rig_produce(r, fd, "t", "x");
	fetch_fill(&f, "t", 0, 0);
	f.request.replica_id = 2;
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 11, &f.request);
	assert_int_equal(a->error_code, ERR_CLUSTER_AUTHORIZATION_FAILED);
	assert_int_equal(a->responses.n, 0);
	/* Version 4 has no place for an error of the whole. */
	part p = only(rig_ask(r, fd, API_fetch, 4, &f.request));
	assert_int_equal(p->error_code, ERR_CLUSTER_AUTHORIZATION_FAILED);
	assert_int_equal(p->records.n, 0);
	f.request.replica_id = -1;
	f.request.replica_state = &replica;
	a = rig_ask(r, fd, API_fetch, 15, &f.request);
	assert_int_equal(a->error_code, ERR_CLUSTER_AUTHORIZATION_FAILED);
}

/* --- twice --- */

#define NAMES 5000

/* One topic named so many times, in pairs: partition 0 and partition 1. */
static void fill_names(struct fetch_request *q, struct fetch_request_topic *topics,
		       struct fetch_request_partition *partitions, int32_t pairs)
{
	*q = (struct fetch_request){.replica_id = -1,
				    .max_wait_ms = WAIT_FOR_EVER,
				    .min_bytes = 1,
				    .max_bytes = 1 << 20,
				    .session_epoch = -1};
	q->topics.v = topics;
	q->topics.n = pairs;
	for (int32_t i = 0; i < pairs; i++) {
		topics[i] = (struct fetch_request_topic){.topic = slice_str("t")};
		topics[i].partitions.v = &partitions[2 * i];
		topics[i].partitions.n = 2;
		for (int32_t j = 0; j < 2; j++)
			partitions[2 * i + j] =
				(struct fetch_request_partition){.partition = j,
								 .current_leader_epoch = -1,
								 .last_fetched_epoch = -1,
								 .fetch_offset = 99,
								 .partition_max_bytes = 1000};
	}
}

/* Few and many are found in different ways. */
static void a_partition_that_is_named_often_is_answered_once_as_it_was_named_last(void **state)
{
	static struct fetch_request_topic topics[NAMES];
	static struct fetch_request_partition partitions[2 * NAMES];
	struct fetch_request q;
	struct rig *r = *state;
	int fd = rig_connect(r);
	char text[32];

	rig_topic(r, "t", 2);
	rig_produce(r, fd, "t", "zero");
	rig_produce(r, fd, "t", "one");
	const int32_t pairs[] = {1, 2, 8, 9, NAMES};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		fill_names(&q, topics, partitions, pairs[i]);
		partitions[2 * pairs[i] - 2].fetch_offset = 1;
		partitions[2 * pairs[i] - 1].fetch_offset = 0;
		const struct fetch_response *a = rig_ask(r, fd, API_fetch, 11, &q);
		assert_int_equal(a->error_code, 0);
		assert_int_equal(a->responses.n, 1);
		assert_int_equal(a->responses.v[0].partitions.n, 2);
		part p = &a->responses.v[0].partitions.v[0];
		assert_int_equal(p->partition_index, 0);
		assert_int_equal(p->error_code, 0);
		assert_int_equal(count_records(records_of(&p->records), text, sizeof text), 1);
		assert_string_equal(text, "one");
		p = &a->responses.v[0].partitions.v[1];
		assert_int_equal(p->partition_index, 1);
		assert_int_equal(p->error_code, 0);
	}
}

static void names_that_are_not_there_are_answered_once_too(void **state)
{
	struct fetch_request_topic topics[3];
	struct fetch_request_partition partitions[6];
	struct fetch_request q;
	struct rig *r = *state;
	int fd = rig_connect(r);

	fill_names(&q, topics, partitions, 3);
	topics[1].topic = slice_str("u");
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 11, &q);
	assert_int_equal(a->responses.n, 2);
	assert_slice(a->responses.v[0].topic, "t");
	assert_slice(a->responses.v[1].topic, "u");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(a->responses.v[i].partitions.n, 2);
		assert_int_equal(a->responses.v[i].partitions.v[1].error_code,
				 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	}
	/* By id it is the same. */
	memset(topics[1].topic_id.bytes, 7, sizeof topics[1].topic_id.bytes);
	a = rig_ask(r, fd, API_fetch, 13, &q);
	assert_int_equal(a->responses.n, 2);
	assert_int_equal(a->responses.v[0].partitions.n, 2);
	assert_int_equal(a->responses.v[1].partitions.n, 2);
}

/* --- limits --- */

static void the_first_batch_is_sent_whole_whatever_the_limits_say(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	rig_produce(r, fd, "t", "one");
	rig_produce(r, fd, "t", "two");
	fetch_fill(&f, "t", 0, 0);
	f.partition.partition_max_bytes = 0;
	part p = ask(r, fd, &f);
	assert_int_equal(records_in(p), 1);
	fetch_fill(&f, "t", 0, 0);
	f.request.max_bytes = 1;
	p = ask(r, fd, &f);
	assert_int_equal(records_in(p), 1);
	fetch_fill(&f, "t", 0, 0);
	f.request.max_bytes = -1;
	p = ask(r, fd, &f);
	assert_int_equal(records_in(p), 1);
}

/* Three partitions with a batch each. */
struct three {
	struct fetch_request request;
	struct fetch_request_topic topic;
	struct fetch_request_partition partitions[3];
};

static void three_fill(struct three *t, int32_t max_bytes)
{
	*t = (struct three){.request = {.replica_id = -1,
					.min_bytes = 1,
					.max_bytes = max_bytes,
					.session_epoch = 0}};
	t->request.topics.v = &t->topic;
	t->request.topics.n = 1;
	t->topic.topic = slice_str("t");
	t->topic.partitions.v = t->partitions;
	t->topic.partitions.n = 3;
	for (int32_t i = 0; i < 3; i++)
		t->partitions[i] = (struct fetch_request_partition){.partition = i,
								    .current_leader_epoch = -1,
								    .last_fetched_epoch = -1,
								    .partition_max_bytes = 1000};
}

static void produce_to(struct rig *r, int fd, const char *topic, int32_t index, const char *value)
{
	struct rig_produce p;
	struct buf b = {0};

	batch_write(&b, "k", &value, 1, 1700000000000, CODEC_NONE);
	produce_fill(&p, topic, index, -1, buf_slice(&b));
	const struct produce_response *a = rig_ask(r, fd, API_produce, 9, &p.request);
	assert_int_equal(a->responses.v[0].partition_responses.v[0].error_code, 0);
	buf_fini(&b);
}

static void the_limit_of_the_answer_holds_for_all_partitions_together(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct three t;

	rig_topic(r, "t", 3);
	for (int32_t i = 0; i < 3; i++)
		produce_to(r, fd, "t", i, "0123456789");
	three_fill(&t, 1 << 20);
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 4, &t.request);
	size_t one = records_of(&a->responses.v[0].partitions.v[0].records).len;
	for (int i = 1; i < 3; i++)
		assert_int_equal(records_of(&a->responses.v[0].partitions.v[i].records).len, one);
	t.request.max_bytes = (int32_t)(2 * one + 1);
	a = rig_ask(r, fd, API_fetch, 4, &t.request);
	assert_int_equal(records_of(&a->responses.v[0].partitions.v[0].records).len, one);
	assert_int_equal(records_of(&a->responses.v[0].partitions.v[1].records).len, one);
	assert_int_equal(records_of(&a->responses.v[0].partitions.v[2].records).len, 0);
}

static void in_a_session_every_partition_has_its_turn(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct three t;
	int served[3] = {0};

	rig_topic(r, "t", 3);
	for (int32_t i = 0; i < 3; i++)
		produce_to(r, fd, "t", i, "0123456789");
	/* One batch fits, and nobody moves on: each round serves the one that has waited longest. */
	three_fill(&t, 1);
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 7, &t.request);
	assert_int_equal(a->responses.v[0].partitions.n, 3);
	served[0] += records_of(&a->responses.v[0].partitions.v[0].records).len > 0;
	t.request.session_id = a->session_id;
	t.request.topics.n = 0;
	for (int32_t round = 1; round < 6; round++) {
		t.request.session_epoch = round;
		part p = only(rig_ask(r, fd, API_fetch, 7, &t.request));
		assert_true(records_of(&p->records).len > 0);
		served[p->partition_index]++;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(served[i], 2);
}

/* --- waiting --- */

static void a_fetch_waits_for_the_first_byte_and_no_longer(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	for (int i = 0; i < 50; i++) {
		fetch_fill(&f, "t", i, WAIT_FOR_EVER);
		rig_send(consumer, API_fetch, 11, i, &f.request);
		rig_produce(r, producer, "t", "x");
		part p = receive(r, consumer, i);
		assert_int_equal(records_in(p), 1);
		assert_int_equal(p->high_watermark, i + 1);
	}
}

static void when_nothing_comes_the_answer_is_empty(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 20);
	part p = ask(r, fd, &f);
	assert_int_equal(p->error_code, 0);
	assert_int_equal(p->records.n, 0);
	assert_int_equal(p->high_watermark, 0);
}

static void min_bytes_is_waited_for(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	rig_produce(r, producer, "t", "0123456789");
	size_t one = partition_size_bytes(topic_partition(broker_topic_find(r->b, "t"), 0));
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	f.request.min_bytes = (int32_t)(3 * one);
	rig_send(consumer, API_fetch, 11, 1, &f.request);
	for (int i = 0; i < 4; i++)
		rig_produce(r, producer, "t", "0123456789");
	part p = receive(r, consumer, 1);
	assert_true(records_in(p) >= 3);
}

static void min_bytes_over_max_bytes_waits_for_no_more_than_that(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	rig_produce(r, fd, "t", "0123456789");
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	f.request.min_bytes = INT32_MAX;
	f.request.max_bytes = 10;
	part p = ask(r, fd, &f);
	assert_int_equal(records_in(p), 1);
}

static void any_of_several_partitions_wakes_the_fetch(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct three t;

	rig_topic(r, "t", 3);
	for (int32_t i = 0; i < 3; i++) {
		three_fill(&t, 1 << 20);
		t.request.max_wait_ms = WAIT_FOR_EVER;
		t.partitions[0].fetch_offset = i > 0;
		t.partitions[1].fetch_offset = i > 1;
		rig_send(consumer, API_fetch, 11, i, &t.request);
		produce_to(r, producer, "t", i, "x");
		const struct fetch_response *a = rig_receive(r, consumer, API_fetch, 11, i);
		part p = &a->responses.v[0].partitions.v[i];
		assert_int_equal(records_in(p), 1);
	}
}

static void the_end_of_a_topic_wakes_the_fetch(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	rig_send(fd, API_fetch, 11, 1, &f.request);
	assert_ok(broker_topic_delete(r->b, "t", why));
	part p = receive(r, fd, 1);
	assert_int_equal(p->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* Whether the wake-up or the end of the connection comes first must not matter. */
static void consumers_that_vanish_while_they_are_woken_leave_nothing_behind(void **state)
{
	struct rig *r = *state;
	int producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	for (int i = 0; i < 200; i++) {
		int consumer = rig_connect(r);
		fetch_fill(&f, "t", i, WAIT_FOR_EVER);
		rig_send(consumer, API_fetch, 11, i, &f.request);
		struct rig_produce p;
		struct buf b = {0};
		const char *value = "x";
		batch_write(&b, "k", &value, 1, 1, CODEC_NONE);
		produce_fill(&p, "t", 0, -1, buf_slice(&b));
		rig_send(producer, API_produce, 9, i, &p.request);
		rig_disconnect(r, consumer);
		r->peer_count--;
		rig_receive(r, producer, API_produce, 9, i);
		buf_fini(&b);
	}
}

/* --- the store --- */

static int setup_short_tail(void **state)
{
	struct rig *r = *state = rig_new();

	r->bo.tail_bytes = 1; /* nothing stays */
	rig_start(r);
	return 0;
}

static void what_the_tail_no_longer_has_comes_from_the_store(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	char text[32];

	rig_topic(r, "t", 1);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "%d", i);
		rig_produce(r, fd, "t", text);
	}
	int64_t offset = 0;
	while (offset < 100) {
		part p = fetch_at(r, fd, 11, "t", offset);
		int n = count_records(records_of(&p->records), text, sizeof text);
		assert_true(n > 0);
		assert_int_equal(atoll(text), offset);
		offset += n;
	}
}

static void waiting_goes_on_behind_what_the_store_has(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	rig_produce(r, producer, "t", "0123456789");
	size_t one = partition_size_bytes(topic_partition(broker_topic_find(r->b, "t"), 0));
	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	f.request.min_bytes = (int32_t)(2 * one);
	rig_send(consumer, API_fetch, 11, 1, &f.request);
	rig_produce(r, producer, "t", "0123456789");
	part p = receive(r, consumer, 1);
	assert_int_equal(records_in(p), 2);
}

static void limits_hold_for_the_store_too(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct three t;

	rig_topic(r, "t", 3);
	for (int32_t i = 0; i < 3; i++)
		produce_to(r, fd, "t", i, "0123456789");
	three_fill(&t, 1);
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 4, &t.request);
	assert_int_equal(
		count_records(records_of(&a->responses.v[0].partitions.v[0].records), NULL, 0), 1);
	for (int i = 1; i < 3; i++)
		assert_int_equal(records_of(&a->responses.v[0].partitions.v[i].records).len, 0);
}

/* --- sessions --- */

static const struct fetch_response *ask_session(struct rig *r, int fd, struct rig_fetch *f,
						int32_t id, int32_t epoch, bool says_topics)
{
	f->request.session_id = id;
	f->request.session_epoch = epoch;
	f->request.topics.n = says_topics;
	return rig_ask(r, fd, API_fetch, 11, &f->request);
}

static void a_session_answers_only_what_is_new(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	const struct fetch_response *a = ask_session(r, fd, &f, 0, 0, true);
	int32_t id = a->session_id;
	assert_int_not_equal(id, 0);
	assert_int_equal(only(a)->records.n, 0);
	/* Nothing has changed. */
	a = ask_session(r, fd, &f, id, 1, false);
	assert_int_equal(a->session_id, id);
	assert_int_equal(a->responses.n, 0);
	rig_produce(r, fd, "t", "x");
	a = ask_session(r, fd, &f, id, 2, false);
	assert_int_equal(count_records(records_of(&only(a)->records), NULL, 0), 1);
	/* The consumer moves on. */
	f.partition.fetch_offset = 1;
	a = ask_session(r, fd, &f, id, 3, true);
	assert_int_equal(a->responses.n, 0);
	/* An error is told again and again, and the first good answer after it. */
	f.partition.fetch_offset = 9;
	a = ask_session(r, fd, &f, id, 4, true);
	assert_int_equal(only(a)->error_code, ERR_OFFSET_OUT_OF_RANGE);
	a = ask_session(r, fd, &f, id, 5, false);
	assert_int_equal(only(a)->error_code, ERR_OFFSET_OUT_OF_RANGE);
	f.partition.fetch_offset = 1;
	a = ask_session(r, fd, &f, id, 6, true);
	assert_int_equal(only(a)->error_code, 0);
	assert_int_equal(only(a)->high_watermark, 1);
	a = ask_session(r, fd, &f, id, 7, false);
	assert_int_equal(a->responses.n, 0);
}

static void a_session_belongs_to_no_connection(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r), other = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	int32_t id = ask_session(r, fd, &f, 0, 0, true)->session_id;
	rig_disconnect(r, fd);
	assert_int_equal(ask_session(r, other, &f, id, 1, false)->error_code, 0);
}

static void epochs_out_of_order_and_unknown_sessions_are_refused(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	int32_t id = ask_session(r, fd, &f, 0, 0, true)->session_id;
	const struct fetch_response *a = ask_session(r, fd, &f, id, 2, false);
	assert_int_equal(a->error_code, ERR_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(a->session_id, 0);
	a = ask_session(r, fd, &f, id ^ 1, 1, false);
	assert_int_equal(a->error_code, ERR_FETCH_SESSION_ID_NOT_FOUND);
	assert_int_equal(ask_session(r, fd, &f, id, 1, false)->error_code, 0);
	assert_int_equal(ask_session(r, fd, &f, id, 1, false)->error_code,
			 ERR_INVALID_FETCH_SESSION_EPOCH);
	/* Names and ids do not go together. */
	f.request.session_epoch = 2;
	a = rig_ask(r, fd, API_fetch, 13, &f.request);
	assert_int_equal(a->error_code, ERR_FETCH_SESSION_TOPIC_ID_ERROR);
	/* Without a session there is none, and the one named ends. */
	a = ask_session(r, fd, &f, id, -1, true);
	assert_int_equal(a->error_code, 0);
	assert_int_equal(a->session_id, 0);
	assert_int_equal(ask_session(r, fd, &f, id, 2, false)->error_code,
			 ERR_FETCH_SESSION_ID_NOT_FOUND);
}

/* The request takes partition 0 of "t" out of its session. */
static void forget_it(struct rig_fetch *f)
{
	static int32_t zero;
	static struct fetch_request_forgotten_topics_data forgotten;

	forgotten = (struct fetch_request_forgotten_topics_data){.topic = slice_str("t"),
								 .partitions = {&zero, 1}};
	f->request.forgotten_topics_data.v = &forgotten;
	f->request.forgotten_topics_data.n = 1;
}

static void a_session_without_partitions_ends(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	int32_t id = ask_session(r, fd, &f, 0, 0, true)->session_id;
	forget_it(&f);
	const struct fetch_response *a = ask_session(r, fd, &f, id, 1, false);
	assert_int_equal(a->error_code, 0);
	assert_int_equal(a->session_id, 0);
	f.request.forgotten_topics_data.n = 0;
	assert_int_equal(ask_session(r, fd, &f, id, 2, false)->error_code,
			 ERR_FETCH_SESSION_ID_NOT_FOUND);
}

static void a_new_session_has_forgotten_nothing(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	forget_it(&f);
	const struct fetch_response *a = ask_session(r, fd, &f, 0, 0, true);
	assert_int_not_equal(a->session_id, 0);
	assert_int_equal(a->responses.n, 1);
	f.request.forgotten_topics_data.n = 0;
	rig_produce(r, fd, "t", "x");
	a = ask_session(r, fd, &f, a->session_id, 1, false);
	assert_int_equal(only(a)->high_watermark, 1);
}

static void a_session_waits_like_any_fetch(void **state)
{
	struct rig *r = *state;
	int consumer = rig_connect(r), producer = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	int32_t id = ask_session(r, consumer, &f, 0, 0, true)->session_id;
	f.request.session_id = id;
	f.request.session_epoch = 1;
	f.request.topics.n = 0;
	f.request.max_wait_ms = WAIT_FOR_EVER;
	rig_send(consumer, API_fetch, 11, 5, &f.request);
	rig_produce(r, producer, "t", "x");
	assert_int_equal(count_records(records_of(&receive(r, consumer, 5)->records), NULL, 0), 1);
}

static void a_request_that_was_overtaken_in_its_session_is_refused(void **state)
{
	struct rig *r = *state;
	int slow = rig_connect(r), quick = rig_connect(r);
	struct rig_fetch f;
	struct api_versions_request nothing = {.client_software_name = {NULL, 0}};

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	int32_t id = ask_session(r, quick, &f, 0, 0, true)->session_id;
	f.request.session_id = id;
	f.request.session_epoch = 1;
	f.request.topics.n = 0;
	f.request.max_wait_ms = WAIT_FOR_EVER;
	rig_send(slow, API_fetch, 11, 5, &f.request);
	/* The first one has been taken when the second is no longer out of order. */
	const struct fetch_response *a;
	f.request.max_wait_ms = 0;
	f.request.session_epoch = 2;
	do
		a = rig_ask(r, quick, API_fetch, 11, &f.request);
	while (a->error_code == ERR_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(a->error_code, 0);
	rig_produce(r, quick, "t", "x");
	a = rig_receive(r, slow, API_fetch, 11, 5);
	assert_int_equal(a->error_code, ERR_INVALID_FETCH_SESSION_EPOCH);
	rig_ask(r, slow, API_api_versions, 0, &nothing);
}

static int setup_no_sessions(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.has_no_sessions = true;
	rig_start(r);
	return 0;
}

static void without_room_for_sessions_every_answer_is_full(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct rig_fetch f;

	rig_topic(r, "t", 1);
	fetch_fill(&f, "t", 0, 0);
	const struct fetch_response *a = ask_session(r, fd, &f, 0, 0, true);
	assert_int_equal(a->session_id, 0);
	assert_int_equal(a->responses.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_version_reads_what_was_written),
		TEST(aborted_transactions_are_listed_only_for_who_wants_them),
		TEST(many_small_batches_come_together),
		TEST(errors_are_each_partitions_own),
		TEST(who_believes_in_another_leader_epoch_is_told),
		TEST(who_calls_itself_a_replica_reads_nothing),
		TEST(a_partition_that_is_named_often_is_answered_once_as_it_was_named_last),
		TEST(names_that_are_not_there_are_answered_once_too),
		TEST(the_first_batch_is_sent_whole_whatever_the_limits_say),
		TEST(the_limit_of_the_answer_holds_for_all_partitions_together),
		TEST(in_a_session_every_partition_has_its_turn),
		TEST(a_fetch_waits_for_the_first_byte_and_no_longer),
		TEST(when_nothing_comes_the_answer_is_empty),
		TEST(min_bytes_is_waited_for),
		TEST(min_bytes_over_max_bytes_waits_for_no_more_than_that),
		TEST(any_of_several_partitions_wakes_the_fetch),
		TEST(the_end_of_a_topic_wakes_the_fetch),
		TEST(consumers_that_vanish_while_they_are_woken_leave_nothing_behind),
		TEST_WITH(what_the_tail_no_longer_has_comes_from_the_store, setup_short_tail),
		TEST_WITH(waiting_goes_on_behind_what_the_store_has, setup_short_tail),
		TEST_WITH(limits_hold_for_the_store_too, setup_short_tail),
		TEST(a_session_answers_only_what_is_new),
		TEST(a_session_belongs_to_no_connection),
		TEST(epochs_out_of_order_and_unknown_sessions_are_refused),
		TEST(a_session_without_partitions_ends),
		TEST(a_new_session_has_forgotten_nothing),
		TEST(a_session_waits_like_any_fetch),
		TEST(a_request_that_was_overtaken_in_its_session_is_refused),
		TEST_WITH(without_room_for_sessions_every_answer_is_full, setup_no_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

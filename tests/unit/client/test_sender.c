/* test_sender.c - batches reach their leaders once and in order, whatever the broker answers
 * first. */
#include "fake.h"

#include <stdatomic.h>

#include "client/sender.h"
#include "wire/batch.h"

#define BATCHES_MAX 16

/* What the broker does with Produce, one element per request, and what it got. */
struct broker {
	enum ks_err errors[8];
	enum fake_turn turns[8];
	_Atomic(int) requests;
	int partitions[BATCHES_MAX]; /* per batch */
	int sequences[BATCHES_MAX];
	int64_t producers[BATCHES_MAX];
	int batches;
	int16_t acks;
	int32_t timeout_ms;
	enum ks_err no_producer;
};

static void note(struct broker *b, int32_t partition, struct slice records)
{
	struct batch batch;

	assert_int_equal(batch_verify(records, &batch), ERR_NONE);
	assert_int_equal(batch.bytes.len, records.len); /* one batch per partition */
	b->partitions[b->batches] = partition;
	b->sequences[b->batches] = batch.base_sequence;
	b->producers[b->batches] = batch.producer_id;
	b->batches++;
}

static enum fake_turn answer_produce(struct fake_call *c, struct broker *b)
{
	const struct produce_request *q = c->request;
	struct produce_response *m = c->response;
	int n = atomic_fetch_add(&b->requests, 1);

	assert_int_equal(q->topic_data.n, 1);
	int32_t count = q->topic_data.v[0].partition_data.n;
	m->responses.v = fake_alloc(c, 1, sizeof *m->responses.v);
	m->responses.n = 1;
	m->responses.v[0].name = q->topic_data.v[0].name;
	m->responses.v[0].partition_responses.v =
		fake_alloc(c, (size_t)count, sizeof *m->responses.v[0].partition_responses.v);
	m->responses.v[0].partition_responses.n = count;
	b->acks = q->acks;
	b->timeout_ms = q->timeout_ms;
	for (int32_t i = 0; i < count; i++) {
		const struct produce_request_partition_data *p =
			&q->topic_data.v[0].partition_data.v[i];
		note(b, p->index, p->records.v[0].bytes);
		m->responses.v[0].partition_responses.v[i] =
			(struct produce_response_partition_response){
				.index = p->index,
				.error_code = (int16_t)b->errors[n],
				.base_offset = b->errors[n] ? -1 : 1000 * n,
				.log_append_time_ms = -1,
				.error_message = b->errors[n] == ERR_INVALID_RECORD
							 ? slice_str("no key")
							 : SLICE_NULL};
	}
	if (q->acks == 0)
		return FAKE_SILENT;
	return b->turns[n] == FAKE_DEFAULT ? FAKE_ANSWER : b->turns[n];
}

static enum fake_turn broker(struct fake_call *c, void *arg)
{
	struct broker *b = arg;
	const struct metadata_request *metadata = c->request;
	struct init_producer_id_response *producer = c->response;

	if (c->api->key == API_metadata && metadata->topics.n == 1) {
		fake_topic(c, "in", 2, 1, ERR_NONE);
		return FAKE_ANSWER;
	}
	if (c->api->key == API_init_producer_id) {
		producer->error_code = (int16_t)b->no_producer;
		producer->producer_id = 4000;
		return FAKE_ANSWER;
	}
	return c->api->key == API_produce ? answer_produce(c, b) : FAKE_DEFAULT;
}

struct outcome {
	struct client_send send; /* first */
	enum ks_err err;
	struct ks_why why;
	int order;
};

static _Atomic(int) done_count;

static void on_done(struct client_send *send, enum ks_err err, const struct ks_why *why)
{
	struct outcome *o = (struct outcome *)send;

	o->err = err;
	o->why = *why;
	o->order = atomic_fetch_add(&done_count, 1);
}

static void add(struct client_sender *s, struct outcome *o, int32_t partition, int records)
{
	struct batch_writer w = {0};
	struct buf bytes = {0}, scratch = {0};

	batch_writer_begin(&w, &bytes);
	for (int i = 0; i < records; i++)
		batch_writer_append(&w, 1, SLICE_NULL, slice_str("v"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	buf_fini(&scratch);
	*o = (struct outcome){.send = {.topic = "in",
				       .partition = partition,
				       .batch = frame_take_buf(&bytes),
				       .done = on_done}};
	client_sender_add(s, &o->send);
}

struct setup {
	struct broker broker;
	struct fake *fake;
	struct client_sender *sender;
};

static void begin_with(struct setup *s, int16_t acks, const struct client_options *options)
{
	atomic_store(&done_count, 0);
	s->fake = fake_start(broker, &s->broker);
	assert_ok(client_sender_start(fake_address(s->fake), options, acks, &s->sender, why));
}

static void begin(struct setup *s, int16_t acks)
{
	begin_with(s, acks, &(struct client_options){.client_id = NULL});
}

/* All is done and all can be read afterwards. */
static void end(struct setup *s)
{
	client_sender_stop(s->sender);
	fake_stop(s->fake);
}

static void batches_of_a_partition_follow_each_other_in_sequence(void **state)
{
	struct setup s = {0};
	struct outcome o[4];

	(void)state;
	begin(&s, -1);
	add(s.sender, &o[0], 0, 3);
	add(s.sender, &o[1], 0, 2);
	add(s.sender, &o[2], 1, 5);
	add(s.sender, &o[3], 0, 1);
	end(&s);
	int next[2] = {0, 0}, sizes[2][3] = {{3, 2, 1}, {5}}, seen[2] = {0, 0};
	assert_int_equal(s.broker.batches, 4);
	assert_int_equal(s.broker.acks, -1);
	for (int i = 0; i < 4; i++) {
		int p = s.broker.partitions[i];
		assert_int_equal(s.broker.producers[i], 4000);
		assert_int_equal(s.broker.sequences[i], next[p]);
		next[p] += sizes[p][seen[p]++];
		assert_int_equal(o[i].err, ERR_NONE);
		assert_true(o[i].send.base_offset >= 0);
	}
	assert_true(o[0].order < o[1].order && o[1].order < o[3].order);
}

static void a_batch_is_sent_again_with_the_same_sequence(void **state)
{
	struct setup s = {
		.broker = {.errors = {ERR_NOT_LEADER_OR_FOLLOWER, ERR_NOT_ENOUGH_REPLICAS}}};
	struct outcome o[2];

	(void)state;
	begin(&s, -1);
	add(s.sender, &o[0], 0, 2);
	add(s.sender, &o[1], 0, 1);
	end(&s);
	assert_int_equal(s.broker.batches, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(s.broker.sequences[i], 0);
	assert_int_equal(s.broker.sequences[3], 2);
	assert_int_equal(o[0].err, ERR_NONE);
	assert_int_equal(o[0].send.base_offset, 2000);
	assert_int_equal(o[1].send.base_offset, 3000);
}

static void a_lost_answer_is_no_lost_batch(void **state)
{
	struct setup s = {.broker = {.turns = {FAKE_CLOSE},
				     .errors = {ERR_NONE, ERR_DUPLICATE_SEQUENCE_NUMBER}}};
	struct outcome o;

	(void)state;
	begin(&s, -1);
	add(s.sender, &o, 0, 2);
	end(&s);
	assert_int_equal(s.broker.batches, 2);
	assert_int_equal(s.broker.sequences[1], 0);
	assert_int_equal(o.err, ERR_NONE); /* it was there already */
	assert_int_equal(o.send.base_offset, -1);
}

static void a_refused_batch_leaves_its_place_to_the_next(void **state)
{
	struct setup s = {.broker = {.errors = {ERR_INVALID_RECORD}}};
	struct outcome o[2];

	(void)state;
	begin(&s, -1);
	add(s.sender, &o[0], 0, 2);
	add(s.sender, &o[1], 0, 1);
	end(&s);
	assert_int_equal(o[0].err, ERR_INVALID_RECORD);
	assert_string_equal(o[0].why.text, "no key");
	assert_int_equal(o[1].err, ERR_NONE);
	assert_int_equal(s.broker.batches, 2);
	assert_int_equal(s.broker.sequences[1], 0);
}

static void when_the_sequence_is_lost_nothing_more_is_sent(void **state)
{
	struct setup s = {.broker = {.errors = {ERR_OUT_OF_ORDER_SEQUENCE_NUMBER}}};
	struct outcome o[3];

	(void)state;
	begin(&s, -1);
	add(s.sender, &o[0], 0, 2);
	add(s.sender, &o[1], 0, 1);
	add(s.sender, &o[2], 0, 1);
	end(&s);
	for (int i = 0; i < 3; i++)
		assert_int_equal(o[i].err, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(s.broker.batches, 1);
}

static void without_acks_nobody_waits_for_an_answer(void **state)
{
	struct setup s = {0};
	struct outcome o;

	(void)state;
	begin(&s, 0);
	add(s.sender, &o, 0, 2);
	client_sender_stop(s.sender);
	assert_int_equal(o.err, ERR_NONE);
	assert_int_equal(o.send.base_offset, -1);
	fake_stop(s.fake);
}

static void with_acks_of_the_leader_there_is_no_producer_id(void **state)
{
	struct setup s = {0};
	struct outcome o;

	(void)state;
	begin(&s, 1);
	add(s.sender, &o, 1, 2);
	client_sender_stop(s.sender);
	assert_int_equal(fake_count(s.fake, API_init_producer_id), 0);
	fake_stop(s.fake);
	assert_int_equal(o.err, ERR_NONE);
	assert_int_equal(s.broker.acks, 1);
	assert_int_equal(s.broker.producers[0], -1);
}

static void who_wants_no_idempotence_has_no_producer_id(void **state)
{
	struct client_options options = {.is_not_idempotent = true, .broker_timeout_ms = 4321};
	struct setup s = {0};
	struct outcome o;

	(void)state;
	begin_with(&s, -1, &options);
	add(s.sender, &o, 1, 2);
	end(&s);
	assert_int_equal(o.err, ERR_NONE);
	assert_int_equal(s.broker.acks, -1);
	assert_int_equal(s.broker.timeout_ms, 4321);
	assert_int_equal(s.broker.producers[0], -1);
}

static void a_denied_producer_id_fails_all_batches(void **state)
{
	struct setup s = {.broker = {.no_producer = ERR_CLUSTER_AUTHORIZATION_FAILED}};
	struct outcome o[2];

	(void)state;
	begin(&s, -1);
	add(s.sender, &o[0], 0, 2);
	add(s.sender, &o[1], 1, 2);
	end(&s);
	assert_int_equal(o[0].err, ERR_CLUSTER_AUTHORIZATION_FAILED);
	assert_int_equal(o[1].err, ERR_CLUSTER_AUTHORIZATION_FAILED);
	assert_string_equal(o[0].why.text, "no producer id: access to the cluster is denied");
	assert_int_equal(s.broker.batches, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_of_a_partition_follow_each_other_in_sequence),
		cmocka_unit_test(a_batch_is_sent_again_with_the_same_sequence),
		cmocka_unit_test(a_lost_answer_is_no_lost_batch),
		cmocka_unit_test(a_refused_batch_leaves_its_place_to_the_next),
		cmocka_unit_test(when_the_sequence_is_lost_nothing_more_is_sent),
		cmocka_unit_test(without_acks_nobody_waits_for_an_answer),
		cmocka_unit_test(with_acks_of_the_leader_there_is_no_producer_id),
		cmocka_unit_test(who_wants_no_idempotence_has_no_producer_id),
		cmocka_unit_test(a_denied_producer_id_fails_all_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

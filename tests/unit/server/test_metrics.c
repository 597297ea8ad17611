/* test_metrics.c - what is counted of an exchange. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/exchange.h"
#include "server/metrics.h"
#include "wire/batch.h"

static struct loop_metrics m;

static int reset(void **state)
{
	static const struct loop_metrics none;

	(void)state;
	metrics_fini(&m);
	m = none;
	return 0;
}

/* A batch of so many records of one byte. */
static struct frame *make_batch(int records)
{
	struct buf out = {0};
	struct batch_writer w;

	batch_writer_begin(&w, &out);
	for (int i = 0; i < records; i++)
		batch_writer_append(&w, 1000, SLICE_NULL, slice_str("v"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);
	return frame_take_buf(&out);
}

static struct exchange exchange_of(int16_t key, struct frame *frame)
{
	return (struct exchange){.api = wire_api_find(key), .frame = frame, .received_ns = 1000};
}

static void time_bytes_and_errors_are_counted_by_api(void **state)
{
	struct frame *frame = frame_copy(slice_str("0123456789"));
	struct exchange x = exchange_of(API_heartbeat, frame);

	(void)state;
	x.out.total = 20;
	x.out.error_count = 2;
	x.out.errors[0] = (struct wire_out_error){25, 3};
	x.out.errors[1] = (struct wire_out_error){-1, 1};
	metrics_exchange(&m, &x, 51000);
	x.out.errors[0].code = 12345; /* none of Kafka's */
	metrics_exchange(&m, &x, 51000);
	assert_null(m.apis[API_fetch]);
	struct api_metrics *a = m.apis[API_heartbeat];
	assert_non_null(a);
	assert_int_equal(counter_get(&a->request_bytes), 28);
	assert_int_equal(counter_get(&a->response_bytes), 40);
	assert_int_equal(counter_get(&a->ns.sum), 100000);
	assert_int_equal(counter_get(&a->errors[1 + 25]), 3);
	assert_int_equal(counter_get(&a->errors[0]), 5);
	frame_unref(frame);
}

static void produced_records_are_those_of_batches_that_were_taken(void **state)
{
	struct frame *frame = make_batch(3), *other = make_batch(5);
	struct wire_ref refs[] = {{NULL, slice_of(frame->data, frame->len)},
				  {NULL, slice_of(other->data, other->len)}};
	struct produce_request_partition_data parts[] = {
		{0, {&refs[0], 1}}, {1, {&refs[1], 1}}, {2, {NULL, -1}}};
	struct produce_request_topic_data topic = {.partition_data = {parts, 3}};
	struct produce_request request = {.topic_data = {&topic, 1}};
	struct produce_response_partition_response answers[] = {
		{.base_offset = 0}, {.base_offset = -1, .error_code = 2}, {.base_offset = -1}};
	struct produce_response_response answer = {.partition_responses = {answers, 3}};
	struct produce_response response = {.responses = {&answer, 1}};
	struct exchange x = exchange_of(API_produce, frame);

	(void)state;
	x.request = &request;
	x.response = &response;
	metrics_exchange(&m, &x, 2000);
	assert_int_equal(counter_get(&m.produced_records), 3);
	assert_int_equal(counter_get(&m.produced_bytes), frame->len);

	x.is_aborted = true;
	metrics_exchange(&m, &x, 2000);
	assert_int_equal(counter_get(&m.produced_records), 3);
	frame_unref(frame);
	frame_unref(other);
}

static void fetched_records_are_those_that_the_answer_refers_to(void **state)
{
	struct frame *one = make_batch(3), *two = make_batch(4);
	struct buf both = {0};
	struct exchange x = exchange_of(API_fetch, one);

	(void)state;
	buf_append(&both, one->data, one->len);
	buf_append(&both, two->data, two->len);
	struct wire_out_ref refs[] = {{0, {NULL, buf_slice(&both)}},
				      {0, {NULL, slice_of(two->data, two->len)}}};
	x.out.refs = refs;
	x.out.ref_count = 2;
	metrics_exchange(&m, &x, 2000);
	assert_int_equal(counter_get(&m.fetched_records), 11);
	assert_int_equal(counter_get(&m.fetched_bytes), one->len + 2 * two->len);
	buf_fini(&both);
	frame_unref(one);
	frame_unref(two);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, reset, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(time_bytes_and_errors_are_counted_by_api),
		TEST(produced_records_are_those_of_batches_that_were_taken),
		TEST(fetched_records_are_those_that_the_answer_refers_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

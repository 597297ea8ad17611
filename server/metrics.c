/* metrics.c - see metrics.h. */
#include "server/metrics.h"

#include <stdlib.h>

#include "server/exchange.h"
#include "wire/batch.h"

static struct api_metrics *of_api(struct loop_metrics *m, int16_t key)
{
	struct api_metrics *a = atomic_load_explicit(&m->apis[key], memory_order_relaxed);

	if (a)
		return a;
	a = xcalloc(1, sizeof *a);
	a->ns.first_bits = TALLY_NS_BITS;
	atomic_store_explicit(&m->apis[key], a, memory_order_release);
	return a;
}

static void count_error(struct api_metrics *a, int16_t code, uint64_t count)
{
	size_t place = code < -1 || code + 1 >= METRICS_ERRORS ? 0 : (size_t)(code + 1);
	counter_add(&a->errors[place], count);
}

static void count_errors(struct api_metrics *a, const struct wire_out *out)
{
	for (int i = 0; i < out->error_count; i++)
		count_error(a, out->errors[i].code, out->errors[i].count);
}

/* Batches follow each other whole; they were checked when they came. */
static uint64_t records_in(struct slice batches)
{
	struct batch b;
	uint64_t count = 0;

	while (batches.len && !batch_peek(batches, &b)) {
		count += (uint64_t)b.record_count;
		batches = slice_of(batches.data + b.bytes.len, batches.len - b.bytes.len);
	}
	return count;
}

static void count_produced(struct loop_metrics *m, const struct produce_request_topic_data *topic,
			   const struct produce_response_response *answer)
{
	for (int32_t i = 0; i < answer->partition_responses.n; i++) {
		const struct wire_records *records = &topic->partition_data.v[i].records;
		/* -1: refused, or the connection was gone before it began. */
		if (answer->partition_responses.v[i].base_offset < 0 || records->n != 1)
			continue;
		counter_add(&m->produced_bytes, records->v[0].bytes.len);
		counter_add(&m->produced_records, records_in(records->v[0].bytes));
	}
}

/* The answer names topics and partitions in the order of the request. */
static void count_all_produced(struct loop_metrics *m, const struct exchange *x)
{
	const struct produce_request *request = x->request;
	const struct produce_response *response = x->response;

	for (int32_t i = 0; i < response->responses.n; i++)
		count_produced(m, &request->topic_data.v[i], &response->responses.v[i]);
}

static void count_fetched(struct loop_metrics *m, const struct wire_out *out)
{
	for (size_t i = 0; i < out->ref_count; i++) {
		counter_add(&m->fetched_bytes, out->refs[i].ref.bytes.len);
		counter_add(&m->fetched_records, records_in(out->refs[i].ref.bytes));
	}
}

void metrics_exchange(struct loop_metrics *m, const struct exchange *x, int64_t now_ns)
{
	struct api_metrics *a = of_api(m, x->api->key);
	int64_t took = now_ns - x->received_ns;

	tally_add(&a->ns, took > 0 ? (uint64_t)took : 0);
	counter_add(&a->request_bytes, x->frame->len + 4);
	counter_add(&a->response_bytes, x->out.total);
	count_errors(a, &x->out);
	if (x->is_aborted)
		return;
	if (x->api->key == API_produce)
		count_all_produced(m, x);
	else if (x->api->key == API_fetch)
		count_fetched(m, &x->out);
}

void metrics_fini(struct loop_metrics *m)
{
	for (int i = 0; i < WIRE_API_KEYS; i++)
		free(atomic_load_explicit(&m->apis[i], memory_order_relaxed));
}

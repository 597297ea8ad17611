/* bench_wire - what reading and writing messages costs, one after the other in one thread.
 *
 *   bench_wire [MILLISECONDS]     for each row; default 500, the best of five is told
 *
 * A row is one message of one shape; "1x10" is one topic of ten partitions. Records are 100 bytes, which
 * are borrowed on both ways: their size does not matter.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/api.h"

#define PARTITIONS_MAX 100

struct work {
	const struct wire_desc *desc;
	const void *message;
	int16_t version, first_flexible;
	struct wire_out out;
	struct buf bytes;
	struct arena arena;
	uint8_t room[256]; /* for the struct */
};

static void encode(struct work *w)
{
	wire_out_clear(&w->out);
	wire_write(&w->out, w->desc, w->message, w->version, w->first_flexible);
}

static void decode(struct work *w)
{
	struct wire_reader r;

	arena_reset(&w->arena);
	wire_reader_init(&r, buf_slice(&w->bytes), w->version, w->first_flexible, &w->arena,
			 1 << 20);
	enum ks_err err = wire_read(&r, w->desc, w->room);
	assert(!err);
}

/* Nanoseconds of one call: the best of five spans. */
static double measure(void (*f)(struct work *w), struct work *w, int64_t span_ns)
{
	double best = 1e18;

	for (int round = 0; round < 5; round++) {
		int64_t start = clock_monotonic_ns(&clock_real), now = start;
		int64_t calls = 0;
		while (now - start < span_ns / 5) {
			for (int i = 0; i < 200; i++)
				f(w);
			calls += 200;
			now = clock_monotonic_ns(&clock_real);
		}
		double ns = (double)(now - start) / (double)calls;
		best = ns < best ? ns : best;
	}
	return best;
}

static void flatten(const struct wire_out *out, struct buf *bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < out->ref_count; i++) {
		buf_append(bytes, out->bytes.data + at, out->refs[i].at - at);
		buf_append(bytes, out->refs[i].ref.bytes.data, out->refs[i].ref.bytes.len);
		at = out->refs[i].at;
	}
	buf_append(bytes, out->bytes.data + at, out->bytes.len - at);
}

static void row(const char *shape, const struct wire_desc *desc, const void *message,
		int16_t version, const struct wire_api *api, int64_t span_ns)
{
	struct work w = {.desc = desc,
			 .message = message,
			 .version = version,
			 .first_flexible = api->first_flexible};

	assert(desc->size <= sizeof w.room);
	encode(&w);
	flatten(&w.out, &w.bytes);
	printf("%-18s v%-3d %-7s %7zu bytes   read %8.1f ns   write %8.1f ns\n", desc->name,
	       version, shape, w.bytes.len, measure(decode, &w, span_ns),
	       measure(encode, &w, span_ns));
	wire_out_fini(&w.out);
	buf_fini(&w.bytes);
	arena_fini(&w.arena);
}

static struct frame *records;
static struct wire_ref ref;

static void produce_row(int topic_count, int partition_count, int64_t span_ns)
{
	static struct produce_request_topic_data topics[PARTITIONS_MAX];
	static struct produce_request_partition_data partitions[PARTITIONS_MAX];
	struct produce_request r = {
		.acks = -1, .timeout_ms = 30000, .topic_data = {topics, topic_count}};
	const struct wire_api *api = wire_api_find(API_produce);
	char shape[24];

	for (int i = 0; i < partition_count; i++)
		partitions[i] = (struct produce_request_partition_data){i, {&ref, 1}};
	for (int i = 0; i < topic_count; i++)
		topics[i] = (struct produce_request_topic_data){
			.name = slice_str("a-topic-name"),
			.partition_data = {partitions, partition_count},
		};
	snprintf(shape, sizeof shape, "%dx%d", topic_count, partition_count);
	row(shape, api->request(), &r, 9, api, span_ns);
}

static void fetch_row(int topic_count, int partition_count, int16_t version, int64_t span_ns)
{
	static struct fetch_response_response topics[PARTITIONS_MAX];
	static struct fetch_response_partition partitions[PARTITIONS_MAX];
	struct fetch_response r = {.session_id = 77, .responses = {topics, topic_count}};
	const struct wire_api *api = wire_api_find(API_fetch);
	char shape[24];

	for (int i = 0; i < partition_count; i++)
		partitions[i] = (struct fetch_response_partition){
			.partition_index = i,
			.high_watermark = 1000,
			.last_stable_offset = 1000,
			.preferred_read_replica = -1,
			.aborted_transactions = {NULL, -1},
			.records = {&ref, 1},
		};
	for (int i = 0; i < topic_count; i++)
		topics[i] = (struct fetch_response_response){
			.topic = slice_str("a-topic-name"),
			.partitions = {partitions, partition_count},
		};
	snprintf(shape, sizeof shape, "%dx%d", topic_count, partition_count);
	row(shape, api->response(), &r, version, api, span_ns);
}

static void fetch_request_row(int partition_count, int64_t span_ns)
{
	static struct fetch_request_partition partitions[PARTITIONS_MAX];
	struct fetch_request_topic topic = {.topic = slice_str("a-topic-name"),
					    .partitions = {partitions, partition_count}};
	struct fetch_request r = {.replica_id = -1, .max_bytes = 1 << 20, .topics = {&topic, 1}};
	const struct wire_api *api = wire_api_find(API_fetch);
	char shape[24];

	for (int i = 0; i < partition_count; i++)
		partitions[i] = (struct fetch_request_partition){
			.partition = i,
			.current_leader_epoch = -1,
			.high_watermark = INT64_MAX,
			.partition_max_bytes = 1 << 20,
		};
	snprintf(shape, sizeof shape, "1x%d", partition_count);
	row(shape, api->request(), &r, 12, api, span_ns);
}

int main(int argc, char **argv)
{
	int64_t span_ns = (argc > 1 ? atoll(argv[1]) : 500) * 1000000;
	struct heartbeat_request h = {.group_id = slice_str("a-group-name"),
				      .member_id = slice_str("rdkafka-0123456789abcdef")};

	records = frame_new(100);
	memset(records->data, 0, 100);
	records->len = 100;
	ref = (struct wire_ref){records, slice_of(records->data, records->len)};

	produce_row(1, 1, span_ns);
	produce_row(1, 10, span_ns);
	produce_row(10, 10, span_ns);
	fetch_request_row(1, span_ns);
	fetch_request_row(100, span_ns);
	fetch_row(1, 1, 12, span_ns);
	fetch_row(1, 1, 11, span_ns);
	fetch_row(10, 10, 12, span_ns);
	row("", heartbeat_request_desc(), &h, 4, wire_api_find(API_heartbeat), span_ns);
	frame_unref(records);
	return 0;
}

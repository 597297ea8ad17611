/* test_frames.c - frames that real clients and an Apache Kafka sent each other, see tests/golden. */
#include "unit.h"

#include <dirent.h>
#include <stdio.h>

#include "tests/unit/wire/values.h"
#include "wire/api.h"
#include "wire/batch.h"

#define FOLDER    "tests/golden/wire/"
#define FRAME_MAX 65536

struct golden {
	const struct wire_api *api;
	int16_t version;
	bool is_request;
	struct slice frame; /* behind its length; memory of that size */
	struct arena arena;
	struct request_header header;
	int32_t correlation_id;
	void *message;
};

static void load(struct golden *g, const char *name)
{
	uint8_t bytes[FRAME_MAX];
	char path[256];

	snprintf(path, sizeof path, FOLDER "%s", name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t len = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	assert_true(len > 8 && len < sizeof bytes);
	assert_int_equal(get_u32be(bytes), len - 4);
	g->frame = slice_of(exact_copy(slice_of(bytes + 4, len - 4)), len - 4);
}

/* "join_group_v7_response" */
static void parse_name(struct golden *g, const char *name)
{
	const char *version = strstr(name, "_v");

	while (version && (version[2] < '0' || version[2] > '9'))
		version = strstr(version + 1, "_v");
	assert_non_null(version);
	for (size_t i = 0; i < wire_api_count; i++)
		if (strlen(wire_apis[i].name) == (size_t)(version - name) &&
		    strncmp(wire_apis[i].name, name, (size_t)(version - name)) == 0)
			g->api = &wire_apis[i];
	assert_non_null(g->api);
	g->version = (int16_t)atoi(version + 2);
	g->is_request = strstr(version, "_request") != NULL;
}

static const struct wire_desc *desc_of(const struct golden *g)
{
	return g->is_request ? g->api->request() : g->api->response();
}

static struct slice read_header(struct golden *g)
{
	const struct wire_api *api;
	struct slice body;

	if (!g->is_request) {
		assert_int_equal(response_header_read(g->frame, g->api, g->version,
						      &g->correlation_id, &body),
				 ERR_NONE);
		return body;
	}
	assert_int_equal(request_header_read(g->frame, &g->header, &api, &body), ERR_NONE);
	assert_ptr_equal(api, g->api);
	assert_int_equal(g->header.api_version, g->version);
	return body;
}

static void golden_open(struct golden *g, const char *name)
{
	struct wire_reader r;

	*g = (struct golden){0};
	parse_name(g, name);
	load(g, name);
	struct slice body = read_header(g);
	g->message = arena_alloc(&g->arena, desc_of(g)->size);
	wire_reader_init(&r, body, g->version, g->api->first_flexible, &g->arena, 1 << 20);
	enum ks_err err = wire_read(&r, desc_of(g), g->message);
	if (err)
		fail_msg("%s: error %d in %s", name, err, r.field);
}

static void golden_close(struct golden *g)
{
	arena_fini(&g->arena);
	free((void *)g->frame.data);
}

static void check_written_again(const char *name)
{
	struct wire_out out = {0};
	struct wire_mark start;
	struct golden g;

	golden_open(&g, name);
	if (g.is_request)
		start = request_header_write(&out, g.api, g.version, g.header.correlation_id,
					     g.header.client_id);
	else
		start = response_header_write(&out, g.api, g.version, g.correlation_id);
	wire_write(&out, desc_of(&g), g.message, g.version, g.api->first_flexible);
	message_finish(&out, start);
	if (out.total != g.frame.len + 4 || memcmp(out.bytes.data + 4, g.frame.data, g.frame.len))
		fail_msg("%s: written otherwise", name);
	assert_int_equal(get_u32be(out.bytes.data), g.frame.len);
	wire_out_fini(&out);
	golden_close(&g);
}

static void every_frame_is_read_and_written_again_as_it_was(void **state)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	int count = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		check_written_again(entry->d_name);
		count++;
	}
	closedir(dir);
	assert_true(count >= 270);
}

static void every_api_has_a_request_and_a_response_among_them(void **state)
{
	char path[256];

	(void)state;
	for (size_t i = 0; i < wire_api_count; i++) {
		int found = 0;
		for (int v = wire_apis[i].version_min; v <= wire_apis[i].version_max; v++)
			for (int n = 0; n < 2; n++) {
				snprintf(path, sizeof path, FOLDER "%s_v%d_%s", wire_apis[i].name,
					 v, n ? "request" : "response");
				FILE *f = fopen(path, "rb");
				found |= f ? 1 << n : 0;
				if (f)
					fclose(f);
			}
		if (found != 3)
			fail_msg("%s: none", wire_apis[i].name);
	}
}

/* --- what some of them say --- */

/* Calls look for every golden frame of that API and kind; returns how many there were. */
static int each_golden(const char *api, bool is_request, void (*look)(const struct golden *g))
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct golden g = {0};
		if (entry->d_name[0] == '.')
			continue;
		parse_name(&g, entry->d_name);
		if (strcmp(g.api->name, api) || g.is_request != is_request)
			continue;
		golden_open(&g, entry->d_name);
		look(&g);
		golden_close(&g);
		count++;
	}
	closedir(dir);
	return count;
}

static int batches;

static void check_records(const struct wire_records *records)
{
	struct buf scratch = {0};
	struct batch b;

	for (int32_t i = 0; i < records->n; i++) {
		struct slice left = records->v[i].bytes;
		for (; left.len; left.data += b.bytes.len, left.len -= b.bytes.len, batches++)
			assert_int_equal(batch_validate(left, 1 << 20, &scratch, &b), ERR_NONE);
	}
	buf_fini(&scratch);
}

static void check_produce(const struct golden *g)
{
	const struct produce_request *r = g->message;

	assert_true(r->acks >= -1 && r->acks <= 1);
	for (int32_t t = 0; t < r->topic_data.n; t++) {
		const struct produce_request_topic_data *topic = &r->topic_data.v[t];
		assert_int_equal(topic->name.len == 0, g->version >= 13);
		for (int32_t p = 0; p < topic->partition_data.n; p++)
			check_records(&topic->partition_data.v[p].records);
	}
}

static void check_fetched(const struct golden *g)
{
	const struct fetch_response *r = g->message;

	for (int32_t t = 0; t < r->responses.n; t++)
		for (int32_t p = 0; p < r->responses.v[t].partitions.n; p++) {
			const struct fetch_response_partition *partition =
				&r->responses.v[t].partitions.v[p];
			assert_true(partition->high_watermark >= partition->last_stable_offset);
			check_records(&partition->records);
		}
}

static void records_in_frames_are_valid_batches(void **state)
{
	(void)state;
	batches = 0;
	assert_true(each_golden("produce", true, check_produce) >= 8);
	assert_true(batches >= 8);
	batches = 0;
	assert_true(each_golden("fetch", false, check_fetched) >= 8);
	assert_true(batches >= 8);
}

static void check_metadata(const struct golden *g)
{
	const struct metadata_response *r = g->message;

	assert_int_equal(r->brokers.n, 1);
	assert_int_equal(r->brokers.v[0].node_id, 1);
	assert_slice_equal(r->brokers.v[0].host, BYTES("127.0.0.1"));
	assert_int_equal(r->brokers.v[0].port, 29572);
	for (int32_t t = 0; t < r->topics.n; t++)
		for (int32_t p = 0; p < r->topics.v[t].partitions.n; p++)
			assert_int_equal(r->topics.v[t].partitions.v[p].isr_nodes.n, 1);
}

static void metadata_names_the_one_broker(void **state)
{
	(void)state;
	assert_true(each_golden("metadata", false, check_metadata) >= 8);
}

/* Behind an int16 that is their version. */
static void read_embedded(struct slice bytes, const struct wire_desc *d, struct arena *arena,
			  void *msg)
{
	struct wire_reader r;

	assert_true(bytes.len > 2);
	wire_reader_init(&r, slice_of(bytes.data + 2, bytes.len - 2),
			 (int16_t)get_u16be(bytes.data), WIRE_NEVER, arena, 4096);
	assert_int_equal(wire_read(&r, d, msg), ERR_NONE);
}

static void check_join(const struct golden *g)
{
	const struct join_group_request *r = g->message;
	struct consumer_protocol_subscription s;
	struct arena arena = {0};

	assert_slice_equal(r->protocol_type, BYTES("consumer"));
	assert_true(r->protocols.n > 0);
	for (int32_t i = 0; i < r->protocols.n; i++) {
		read_embedded(r->protocols.v[i].metadata, consumer_protocol_subscription_desc(),
			      &arena, &s);
		assert_int_equal(s.topics.n, 1);
	}
	arena_fini(&arena);
}

static int assignments;

static void check_sync(const struct golden *g)
{
	const struct sync_group_request *r = g->message;
	struct consumer_protocol_assignment a;
	struct arena arena = {0};

	for (int32_t i = 0; i < r->assignments.n; i++, assignments++) {
		read_embedded(r->assignments.v[i].assignment, consumer_protocol_assignment_desc(),
			      &arena, &a);
		assert_true(a.assigned_partitions.n <= 1);
	}
	arena_fini(&arena);
}

static void members_send_subscriptions_and_leaders_assignments(void **state)
{
	(void)state;
	assert_true(each_golden("join_group", true, check_join) >= 5);
	assert_true(each_golden("sync_group", true, check_sync) >= 5);
	assert_true(assignments >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_is_read_and_written_again_as_it_was),
		cmocka_unit_test(every_api_has_a_request_and_a_response_among_them),
		cmocka_unit_test(records_in_frames_are_valid_batches),
		cmocka_unit_test(metadata_names_the_one_broker),
		cmocka_unit_test(members_send_subscriptions_and_leaders_assignments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

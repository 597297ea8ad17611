/* test_api.c - the list of APIs, and the headers of requests and responses. */
#include "unit.h"

#include "tests/unit/wire/values.h"
#include "wire/api.h"

static void apis_are_listed_once_and_in_order(void **state)
{
	(void)state;
	assert_true(wire_api_count > 0);
	for (size_t i = 0; i < wire_api_count; i++) {
		const struct wire_api *a = &wire_apis[i];
		assert_true(i == 0 || a->key > wire_apis[i - 1].key);
		assert_true(a->key < WIRE_API_KEYS);
		assert_true(a->version_min >= 0 && a->version_min <= a->version_max);
		assert_true(a->first_flexible <= a->version_max || a->first_flexible == WIRE_NEVER);
		assert_ptr_equal(wire_api_find(a->key), a);
	}
}

static void an_unknown_key_has_no_api(void **state)
{
	(void)state;
	assert_null(wire_api_find(-1));
	assert_null(wire_api_find(4));
	assert_null(wire_api_find(WIRE_API_KEYS - 1));
	assert_null(wire_api_find(WIRE_API_KEYS));
	assert_null(wire_api_find(INT16_MIN));
	assert_null(wire_api_find(INT16_MAX));
	assert_string_equal(wire_api_find(API_list_offsets)->name, "list_offsets");
}

struct request {
	enum ks_err err;
	struct request_header header;
	const struct wire_api *api;
	struct slice body;
};

static struct request read_request(struct slice bytes)
{
	struct request r;

	r.err = request_header_read(bytes, &r.header, &r.api, &r.body);
	return r;
}

static void an_old_request_has_a_client_id_and_no_tags(void **state)
{
	struct request r = read_request(BYTES("\0\3\0\4\0\0\0\7\0\4kcat\0\0\0\0\1"));

	(void)state;
	assert_int_equal(r.err, ERR_NONE);
	assert_ptr_equal(r.api, wire_api_find(API_metadata));
	assert_int_equal(r.header.api_version, 4);
	assert_int_equal(r.header.correlation_id, 7);
	assert_slice_equal(r.header.client_id, BYTES("kcat"));
	assert_slice_equal(r.body, BYTES("\0\0\0\0\1"));
}

static void a_flexible_request_has_tags_but_an_old_client_id(void **state)
{
	struct request r = read_request(BYTES("\0\3\0\x0c\0\0\0\7\0\4kcat\0rest"));

	(void)state;
	assert_int_equal(r.err, ERR_NONE);
	assert_slice_equal(r.header.client_id, BYTES("kcat"));
	assert_slice_equal(r.body, BYTES("rest"));

	r = read_request(BYTES("\0\3\0\x0c\0\0\0\7\xff\xff\2\0\1x\5\0rest"));
	assert_int_equal(r.err, ERR_NONE);
	assert_null(r.header.client_id.data);
	assert_slice_equal(r.body, BYTES("rest"));
}

static void a_body_may_be_empty(void **state)
{
	struct request r = read_request(BYTES("\0\x12\0\2\0\0\0\1\xff\xff"));

	(void)state;
	assert_int_equal(r.err, ERR_NONE);
	assert_int_equal(r.body.len, 0);
	assert_non_null(r.api);
}

static void a_request_of_a_version_that_is_not_spoken_is_read_as_far_as_its_number(void **state)
{
	struct request r = read_request(BYTES("\0\x12\0\x63\0\0\0\x2a\xff\xfe what is this"));

	(void)state;
	assert_int_equal(r.err, ERR_NONE);
	assert_null(r.api);
	assert_int_equal(r.header.api_key, API_api_versions);
	assert_int_equal(r.header.api_version, 99);
	assert_int_equal(r.header.correlation_id, 42);

	r = read_request(BYTES("\0\1\0\3\0\0\0\x2a"));
	assert_int_equal(r.err, ERR_NONE);
	assert_null(r.api);
	r = read_request(BYTES("\0\1\xff\xff\0\0\0\x2a"));
	assert_null(r.api);
	r = read_request(BYTES("\0\4\0\0\0\0\0\x2a"));
	assert_int_equal(r.err, ERR_NONE);
	assert_null(r.api);
	assert_int_equal(r.header.api_key, 4);
}

static void every_truncation_of_a_header_is_refused(void **state)
{
	const struct slice whole = BYTES("\0\3\0\x0c\0\0\0\7\0\4kcat\1\0\1x");

	(void)state;
	for (size_t len = 0; len < whole.len; len++) {
		uint8_t *cut = exact_copy(slice_of(whole.data, len));
		assert_int_equal(read_request(slice_of(cut, len)).err, ERR_MALFORMED);
		free(cut);
	}
	assert_int_equal(read_request(whole).err, ERR_NONE);
	assert_int_equal(read_request(BYTES("\0\3\0\x0c\0\0\0\7\xff\xfe\0")).err, ERR_MALFORMED);
	assert_int_equal(read_request(BYTES("\0\3\0\x0c\0\0\0\7\x7f\xff\0")).err, ERR_MALFORMED);
}

static void assert_out(struct wire_out *out, struct slice expected)
{
	assert_slice_equal(buf_slice(&out->bytes), expected);
	assert_int_equal(out->total, expected.len);
	wire_out_clear(out);
}

static void a_request_is_written_with_its_length(void **state)
{
	struct wire_out out = {0};
	struct heartbeat_request h = {
		.group_id = BYTES("g"), .generation_id = 3, .member_id = BYTES("m")};

	(void)state;
	for (int16_t version = 3; version <= 4; version++) {
		const struct wire_api *api = wire_api_find(API_heartbeat);
		struct wire_mark start = request_header_write(&out, api, version, 9, BYTES("me"));
		wire_write(&out, api->request(), &h, version, api->first_flexible);
		message_finish(&out, start);
		if (version == 3)
			assert_out(&out, BYTES("\0\0\0\x18\0\x0c\0\3\0\0\0\x09\0\2me"
					       "\0\1g\0\0\0\3\0\1m\xff\xff"));
		else
			assert_out(&out, BYTES("\0\0\0\x17\0\x0c\0\4\0\0\0\x09\0\2me\0"
					       "\2g\0\0\0\3\2m\0\0"));
	}
	struct wire_mark start =
		request_header_write(&out, wire_api_find(API_api_versions), 0, 1, SLICE_NULL);
	message_finish(&out, start);
	assert_out(&out, BYTES("\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff"));
	wire_out_fini(&out);
}

static void responses_of_flexible_versions_have_tags_in_their_header(void **state)
{
	const struct wire_api *api = wire_api_find(API_heartbeat);
	struct heartbeat_response h = {.error_code = 25};
	struct wire_out out = {0};

	(void)state;
	struct wire_mark start = response_header_write(&out, api, 3, 9);
	wire_write(&out, api->response(), &h, 3, api->first_flexible);
	message_finish(&out, start);
	assert_out(&out, BYTES("\0\0\0\x0a\0\0\0\x09\0\0\0\0\0\x19"));

	start = response_header_write(&out, api, 4, 9);
	wire_write(&out, api->response(), &h, 4, api->first_flexible);
	message_finish(&out, start);
	assert_out(&out, BYTES("\0\0\0\x0c\0\0\0\x09\0\0\0\0\0\0\x19\0"));
	wire_out_fini(&out);
}

static void a_response_to_api_versions_never_has_tags_in_its_header(void **state)
{
	const struct wire_api *api = wire_api_find(API_api_versions);
	struct api_versions_response r = {.finalized_features_epoch = -1};
	struct wire_out out = {0};
	struct slice body;
	int32_t correlation_id;

	(void)state;
	struct wire_mark start = response_header_write(&out, api, 4, 9);
	wire_write(&out, api->response(), &r, 4, api->first_flexible);
	message_finish(&out, start);
	assert_int_equal(response_header_read(slice_of(out.bytes.data + 4, out.total - 4), api, 4,
					      &correlation_id, &body),
			 ERR_NONE);
	assert_int_equal(correlation_id, 9);
	assert_int_equal(body.len, 8);
	assert_out(&out, BYTES("\0\0\0\x0c\0\0\0\x09\0\0\1\0\0\0\0\0"));
	wire_out_fini(&out);
}

static void a_client_that_asks_for_an_unknown_api_versions_learns_the_known_ones(void **state)
{
	/* Answered in version 0, as the broker has to: error 35 and the one range that helps. */
	const struct wire_api *api = wire_api_find(API_api_versions);
	struct api_versions_response_api_key range = {18, 0, 4};
	struct api_versions_response r = {.error_code = 35, .api_keys = {&range, 1}};
	struct wire_out out = {0};

	(void)state;
	struct wire_mark start = response_header_write(&out, api, 0, 42);
	wire_write(&out, api->response(), &r, 0, api->first_flexible);
	message_finish(&out, start);
	assert_out(&out, BYTES("\0\0\0\x10\0\0\0\x2a\0\x23\0\0\0\1\0\x12\0\0\0\4"));
	wire_out_fini(&out);
}

static void a_response_header_is_read(void **state)
{
	const struct wire_api *api = wire_api_find(API_heartbeat);
	struct slice body;
	int32_t correlation_id;

	(void)state;
	assert_int_equal(response_header_read(BYTES("\0\0\0\x09\1\0\1xrest"), api, 4,
					      &correlation_id, &body),
			 ERR_NONE);
	assert_int_equal(correlation_id, 9);
	assert_slice_equal(body, BYTES("rest"));
	assert_int_equal(
		response_header_read(BYTES("\0\0\0\x09rest"), api, 3, &correlation_id, &body),
		ERR_NONE);
	assert_slice_equal(body, BYTES("rest"));
	assert_int_equal(response_header_read(BYTES("\0\0\0"), api, 3, &correlation_id, &body),
			 ERR_MALFORMED);
	assert_int_equal(
		response_header_read(BYTES("\0\0\0\1\1\0\4x"), api, 4, &correlation_id, &body),
		ERR_MALFORMED);
}

static void the_length_of_a_message_counts_what_it_refers_to(void **state)
{
	struct frame *frame = frame_copy(BYTES("0123456789"));
	struct wire_ref ref = {frame, slice_of(frame->data, frame->len)};
	struct fetch_response_partition partition = {.records = {&ref, 1}};
	struct fetch_response_response topic = {.topic = BYTES("t"), .partitions = {&partition, 1}};
	struct fetch_response r = {.responses = {&topic, 1}};
	const struct wire_api *api = wire_api_find(API_fetch);
	struct wire_out out = {0};
	struct buf bytes = {0};

	(void)state;
	for (int i = 0; i < 2; i++) { /* the second one behind the first */
		struct wire_mark start = response_header_write(&out, api, 4, 1);
		wire_write(&out, api->response(), &r, 4, api->first_flexible);
		message_finish(&out, start);
	}
	out_flatten(&out, &bytes);
	assert_int_equal(out.total, bytes.len);
	assert_int_equal(get_u32be(bytes.data), bytes.len / 2 - 4);
	assert_memory_equal(bytes.data, bytes.data + bytes.len / 2, bytes.len / 2);
	wire_out_fini(&out);
	frame_unref(frame);
	buf_fini(&bytes);
}

static void error_codes_that_are_written_are_counted(void **state)
{
	struct metadata_response_partition partitions[] = {
		{.error_code = 5}, {.error_code = 0}, {.error_code = 5}};
	struct metadata_response_topic topics[] = {{.error_code = 3},
						   {.partitions = {partitions, 3}}};
	struct metadata_response r = {.topics = {topics, 2}, .controller_id = 7};
	const struct wire_api *api = wire_api_find(API_metadata);
	struct wire_out out = {0};

	(void)state;
	wire_write(&out, api->response(), &r, 9, api->first_flexible);
	assert_int_equal(out.error_count, 2);
	assert_int_equal(out.errors[0].code, 3);
	assert_int_equal(out.errors[0].count, 1);
	assert_int_equal(out.errors[1].code, 5);
	assert_int_equal(out.errors[1].count, 2);
	wire_out_clear(&out);
	assert_int_equal(out.error_count, 0);

	/* More kinds than there is room for: the first ones stay. */
	struct metadata_response_topic many[6] = {{.error_code = 1}, {.error_code = 2},
						  {.error_code = 3}, {.error_code = 4},
						  {.error_code = 5}, {.error_code = 1}};
	r.topics.v = many;
	r.topics.n = 6;
	wire_write(&out, api->response(), &r, 9, api->first_flexible);
	assert_int_equal(out.error_count, WIRE_OUT_ERRORS);
	assert_int_equal(out.errors[0].count, 2);
	assert_int_equal(out.errors[3].code, 4);
	wire_out_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apis_are_listed_once_and_in_order),
		cmocka_unit_test(an_unknown_key_has_no_api),
		cmocka_unit_test(an_old_request_has_a_client_id_and_no_tags),
		cmocka_unit_test(a_flexible_request_has_tags_but_an_old_client_id),
		cmocka_unit_test(a_body_may_be_empty),
		cmocka_unit_test(
			a_request_of_a_version_that_is_not_spoken_is_read_as_far_as_its_number),
		cmocka_unit_test(every_truncation_of_a_header_is_refused),
		cmocka_unit_test(a_request_is_written_with_its_length),
		cmocka_unit_test(responses_of_flexible_versions_have_tags_in_their_header),
		cmocka_unit_test(a_response_to_api_versions_never_has_tags_in_its_header),
		cmocka_unit_test(
			a_client_that_asks_for_an_unknown_api_versions_learns_the_known_ones),
		cmocka_unit_test(a_response_header_is_read),
		cmocka_unit_test(error_codes_that_are_written_are_counted),
		cmocka_unit_test(the_length_of_a_message_counts_what_it_refers_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

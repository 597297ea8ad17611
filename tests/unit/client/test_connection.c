/* test_connection.c - versions, limits and failures of one connection. */
#include "fake.h"

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

static enum ks_err open_at(struct fake *f, const struct client_options *options,
			   struct client_connection **c, struct ks_why *why)
{
	struct client_options none = {0};

	return client_connection_open("127.0.0.1", fake_port(f), options ? options : &none, c, why);
}

static enum ks_err ask_cluster(struct client_connection *c, struct client_reply *r,
			       struct ks_why *why)
{
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_call call = {.api_key = API_describe_cluster, .request = &request};

	return client_connection_call(c, &call, r, why);
}

/* --- versions --- */

/* DescribeCluster from 0 to *arg only. */
static enum fake_turn few_versions(struct fake_call *c, void *arg)
{
	struct api_versions_response *m = c->response;
	int16_t max = atomic_load((_Atomic(int16_t) *)arg);

	if (c->api->key != API_api_versions)
		return FAKE_DEFAULT;
	m->api_keys.v = fake_alloc(c, 2, sizeof *m->api_keys.v);
	m->api_keys.n = 2;
	m->api_keys.v[0] = (struct api_versions_response_api_key){API_api_versions, 0, 3};
	m->api_keys.v[1] =
		(struct api_versions_response_api_key){API_describe_cluster, max < 0 ? -1 : 0, max};
	return FAKE_ANSWER;
}

static void the_newest_version_that_both_speak_is_used(void **state)
{
	struct client_connection *c;
	struct client_reply r;
	_Atomic(int16_t) max = 1;
	struct fake *f = fake_start(few_versions, &max);

	(void)state;
	assert_ok(open_at(f, NULL, &c, why));
	assert_ok(ask_cluster(c, &r, why));
	assert_int_equal(r.version, 1);
	client_reply_fini(&r);
	client_connection_close(c);
	max = 99; /* it is ahead of us */
	assert_ok(open_at(f, NULL, &c, why));
	assert_ok(ask_cluster(c, &r, why));
	assert_int_equal(r.version, 2);
	client_reply_fini(&r);
	client_connection_close(c);
	fake_stop(f);
}

static void without_a_common_version_both_sides_are_told(void **state)
{
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_call call = {
		.api_key = API_describe_cluster, .version_min = 1, .request = &request};
	struct list_groups_request list = {0};
	struct client_call unknown = {.api_key = API_list_groups, .request = &list};
	struct client_connection *c;
	struct client_reply r;
	struct ks_why told;
	char text[128];
	_Atomic(int16_t) max = 0;
	struct fake *f = fake_start(few_versions, &max);

	(void)state;
	assert_ok(open_at(f, NULL, &c, why));
	assert_int_equal(client_connection_call(c, &call, &r, &told), ERR_UNSUPPORTED_VERSION);
	snprintf(text, sizeof text,
		 "%s speaks versions 0 to 0 of describe_cluster, we speak 1 to 2", fake_address(f));
	assert_string_equal(told.text, text);
	assert_int_equal(client_connection_call(c, &unknown, &r, &told), ERR_UNSUPPORTED_VERSION);
	snprintf(text, sizeof text, "%s does not know the request list_groups", fake_address(f));
	assert_string_equal(told.text, text);
	/* Nothing was sent: the connection is as good as before. */
	assert_ok(ask_cluster(c, &r, why));
	client_reply_fini(&r);
	client_connection_close(c);
	fake_stop(f);
}

/* As brokers from before version 3: the error, in version 0. */
static enum fake_turn old_versions(struct fake_call *c, void *arg)
{
	static uint8_t refusal[] = {0, 0, 0, 10, 0, 0, 0, 0, 0, 35, 0, 0, 0, 0};

	(void)arg;
	if (c->api->key != API_api_versions || c->version == 0)
		return FAKE_DEFAULT;
	put_u32be(refusal + 4, (uint32_t)c->correlation_id);
	c->raw = slice_of(refusal, sizeof refusal);
	return FAKE_RAW;
}

static void a_broker_that_refuses_the_question_is_asked_in_version_0(void **state)
{
	struct client_connection *c;
	struct client_reply r;
	struct fake *f = fake_start(old_versions, NULL);

	(void)state;
	assert_ok(open_at(f, NULL, &c, why));
	assert_ok(ask_cluster(c, &r, why));
	assert_int_equal(r.version, 2);
	client_reply_fini(&r);
	client_connection_close(c);
	fake_stop(f);
}

/* --- what may come instead of an answer --- */

/* What DescribeCluster is answered with. */
struct script {
	_Atomic(int) turn; /* enum fake_turn */
	struct slice raw;
	int32_t correlation_added;
	int32_t brokers;
};

static enum fake_turn scripted(struct fake_call *c, void *arg)
{
	struct script *s = arg;
	struct describe_cluster_response *m = c->response;

	if (c->api->key != API_describe_cluster)
		return FAKE_DEFAULT;
	c->raw = s->raw;
	c->correlation_id += s->correlation_added;
	m->brokers.v = fake_alloc(c, (size_t)s->brokers, sizeof *m->brokers.v);
	m->brokers.n = s->brokers;
	return (enum fake_turn)atomic_load(&s->turn);
}

static void check_failure(struct script wanted, const struct client_options *options,
			  enum ks_err err, const char *word)
{
	struct client_connection *c;
	struct client_reply r;
	struct ks_why told;
	struct script script = wanted;
	struct fake *f = fake_start(scripted, &script);

	assert_ok(open_at(f, options, &c, why));
	assert_true(client_connection_is_alive(c));
	assert_int_equal(ask_cluster(c, &r, &told), err);
	if (!strstr(told.text, word) ||
	    !strstr(told.text, err == ERR_CLOSED ? "" : fake_address(f)))
		fail_msg("\"%s\" lacks \"%s\"", told.text, word);
	assert_false(client_connection_is_alive(c));
	client_connection_close(c);
	fake_stop(f);
}

static void what_is_no_answer_ends_the_connection(void **state)
{
	static const uint8_t short_one[] = {0, 0, 0, 2, 1, 2};
	static const uint8_t negative[] = {0xff, 0xff, 0xff, 0xfe, 0, 0};
	static const uint8_t cut[] = {0, 0, 0, 5, 0, 0, 0, 2, 0};

	(void)state;
	check_failure((struct script){.turn = FAKE_RAW, .raw = slice_of(short_one, 6)}, NULL,
		      ERR_MALFORMED, "no answer to describe_cluster");
	check_failure((struct script){.turn = FAKE_RAW, .raw = slice_of(negative, 6)}, NULL,
		      ERR_MALFORMED, "no answer to describe_cluster");
	check_failure((struct script){.turn = FAKE_RAW, .raw = slice_of(cut, sizeof cut)}, NULL,
		      ERR_MALFORMED, "cannot read the answer");
	check_failure((struct script){.turn = FAKE_ANSWER, .correlation_added = 1}, NULL,
		      ERR_MALFORMED, "cannot read the answer");
}

static void an_announced_length_over_the_limit_is_not_read(void **state)
{
	static const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff};
	static const uint8_t over[] = {0, 0, 4, 1};
	struct client_options options = {.frame_bytes_max = 1024};

	(void)state;
	check_failure((struct script){.turn = FAKE_RAW, .raw = slice_of(huge, 4)}, NULL,
		      ERR_TOO_LARGE, "2147483647 bytes");
	check_failure((struct script){.turn = FAKE_RAW, .raw = slice_of(over, 4)}, &options,
		      ERR_TOO_LARGE, "1025 bytes; 1024 are the limit");
}

static void an_answer_that_unfolds_too_far_is_refused(void **state)
{
	struct client_options options = {.arena_bytes_max = 4096};

	(void)state;
	check_failure((struct script){.turn = FAKE_ANSWER, .brokers = 1000}, &options,
		      ERR_TOO_LARGE, "cannot read the answer");
}

static void a_connection_that_ends_instead_is_told(void **state)
{

	(void)state;
	check_failure((struct script){.turn = FAKE_CLOSE}, NULL, ERR_UNREACHABLE,
		      "the broker closed it");
}

static enum fake_turn say_nothing(struct fake_call *c, void *arg)
{
	(void)c;
	(void)arg;
	return FAKE_SILENT;
}

/* Of the connection's requests in general, and of one. Nothing that is answered has so little time. */
static void silence_has_an_end(void **state)
{
	struct client_options options = {.request_timeout_ms = 20};
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_call call = {
		.api_key = API_describe_cluster, .request = &request, .timeout_ms = 20};
	struct script script = {.turn = FAKE_SILENT};
	struct client_connection *c;
	struct client_reply r;
	struct ks_why told;
	struct fake *f = fake_start(say_nothing, NULL);

	(void)state;
	assert_int_equal(open_at(f, &options, &c, &told), ERR_UNREACHABLE);
	assert_non_null(strstr(told.text, "did not answer api_versions in time"));
	fake_stop(f);
	f = fake_start(scripted, &script);
	assert_ok(open_at(f, NULL, &c, why));
	assert_int_equal(client_connection_call(c, &call, &r, &told), ERR_REQUEST_TIMED_OUT);
	assert_non_null(strstr(told.text, "did not answer describe_cluster in time"));
	assert_false(client_connection_is_alive(c));
	client_connection_close(c);
	fake_stop(f);
}

static void a_stop_ends_only_what_may_be_interrupted(void **state)
{
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_call call = {
		.api_key = API_describe_cluster, .request = &request, .is_interruptible = true};
	struct script script = {.turn = FAKE_SILENT};
	struct client_options options = {.stop_fd = eventfd(1, 0)};
	struct client_connection *c;
	struct client_reply r;
	struct ks_why told;
	struct fake *f = fake_start(scripted, &script);

	(void)state;
	assert_ok(open_at(f, &options, &c, why));
	assert_int_equal(client_connection_call(c, &call, &r, &told), ERR_CLOSED);
	client_connection_close(c);
	script.turn = FAKE_ANSWER;
	assert_ok(open_at(f, &options, &c, why));
	assert_ok(ask_cluster(c, &r, why));
	client_reply_fini(&r);
	client_connection_close(c);
	close(options.stop_fd);
	fake_stop(f);
}

/* --- what listens there --- */

static void a_port_that_nobody_listens_on_is_told(void **state)
{
	struct client_options options = {0};
	struct client_connection *c;
	struct ks_why told;
	char text[64];
	uint16_t port;
	int dead = dead_port_open(&port);

	(void)state;
	assert_int_equal(client_connection_open("127.0.0.1", port, &options, &c, &told),
			 ERR_UNREACHABLE);
	snprintf(text, sizeof text, "cannot reach 127.0.0.1:%u: connection refused", port);
	assert_string_equal(told.text, text);
	close(dead);
}

static enum fake_turn web_server(struct fake_call *c, void *arg)
{
	(void)arg;
	c->raw = slice_str("HTTP/1.1 400 Bad Request\r\n\r\n");
	return FAKE_RAW;
}

static void something_else_that_listens_is_told_from_a_broker(void **state)
{
	struct client_connection *c;
	struct ks_why told;
	struct fake *f = fake_start(web_server, NULL);

	(void)state;
	assert_int_equal(open_at(f, NULL, &c, &told), ERR_UNREACHABLE);
	assert_non_null(strstr(told.text, "is it a Kafka listener without TLS and SASL?"));
	fake_stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_version_that_both_speak_is_used),
		cmocka_unit_test(without_a_common_version_both_sides_are_told),
		cmocka_unit_test(a_broker_that_refuses_the_question_is_asked_in_version_0),
		cmocka_unit_test(what_is_no_answer_ends_the_connection),
		cmocka_unit_test(an_announced_length_over_the_limit_is_not_read),
		cmocka_unit_test(an_answer_that_unfolds_too_far_is_refused),
		cmocka_unit_test(a_connection_that_ends_instead_is_told),
		cmocka_unit_test(silence_has_an_end),
		cmocka_unit_test(a_stop_ends_only_what_may_be_interrupted),
		cmocka_unit_test(a_port_that_nobody_listens_on_is_told),
		cmocka_unit_test(something_else_that_listens_is_told_from_a_broker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

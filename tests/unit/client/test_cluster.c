/* test_cluster.c - finding the right broker, and finding it again when it is no longer the one. */
#include "fake.h"

#include <stdatomic.h>
#include <unistd.h>

#include "client/partitions.h"

static struct client_cluster *open_at(const char *bootstrap)
{
	struct client_options options = {0};
	struct client_cluster *cl;

	assert_ok(client_cluster_open(bootstrap, &options, &cl, why));
	return cl;
}

static void the_first_address_that_answers_is_enough(void **state)
{
	struct fake *f = fake_start(NULL, NULL);
	char list[64];
	uint16_t port;
	int dead = dead_port_open(&port);

	(void)state;
	snprintf(list, sizeof list, "127.0.0.1:%u,%s", port, fake_address(f));
	struct client_cluster *cl = open_at(list);
	assert_int_equal(client_cluster_broker_count(cl), 1);
	assert_int_equal(client_cluster_broker(cl, 0)->id, 1);
	assert_int_equal(client_cluster_broker(cl, 0)->port, fake_port(f));
	assert_int_equal(client_cluster_controller(cl), 1);
	assert_string_equal(client_cluster_id(cl), "fake");
	client_cluster_close(cl);
	fake_stop(f);
	close(dead);
}

static void when_nobody_answers_the_first_one_is_named(void **state)
{
	struct client_options options = {0};
	struct client_cluster *cl;
	struct ks_why told;
	char list[64], text[128];
	uint16_t ports[2];
	int dead[] = {dead_port_open(&ports[0]), dead_port_open(&ports[1])};

	(void)state;
	snprintf(list, sizeof list, "127.0.0.1:%u,127.0.0.1:%u", ports[0], ports[1]);
	assert_int_equal(client_cluster_open(list, &options, &cl, &told), ERR_UNREACHABLE);
	snprintf(text, sizeof text,
		 "none of 2 brokers answers: cannot reach 127.0.0.1:%u: connection refused",
		 ports[0]);
	assert_string_equal(told.text, text);
	close(dead[0]);
	close(dead[1]);
}

/* --- a node that is not where the cluster says --- */

static enum fake_turn elsewhere(struct fake_call *c, void *arg)
{
	struct metadata_response *m = c->response;

	if (c->api->key != API_metadata)
		return FAKE_DEFAULT;
	m->brokers.v = fake_alloc(c, 1, sizeof *m->brokers.v);
	m->brokers.n = 1;
	m->brokers.v[0] = (struct metadata_response_broker){
		.node_id = 5, .host = slice_str("127.0.0.1"), .port = *(uint16_t *)arg};
	m->controller_id = 5;
	return FAKE_ANSWER;
}

static void an_unreachable_node_is_told_with_who_sent_us_there(void **state)
{
	uint16_t port;
	int dead = dead_port_open(&port);
	struct fake *f = fake_start(elsewhere, &port);
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_question q = {.call = {.api_key = API_describe_cluster, .request = &request},
				    .where = CLIENT_NODE,
				    .node = 5,
				    .retry_ms = -1};
	struct client_cluster *cl = open_at(fake_address(f));
	struct client_reply r;
	struct ks_why told;
	char text[128];

	(void)state;
	assert_int_equal(client_cluster_ask(cl, &q, &r, &told), ERR_UNREACHABLE);
	snprintf(text, sizeof text,
		 "cannot reach 127.0.0.1:%u: connection refused (the cluster says that node 5 is "
		 "there)",
		 port);
	assert_string_equal(told.text, text);
	/* Questions for anybody still find the one that answered first. */
	q.where = CLIENT_ANY;
	assert_ok(client_cluster_ask(cl, &q, &r, why));
	client_reply_fini(&r);
	client_cluster_close(cl);
	fake_stop(f);
	close(dead);
}

/* --- asking again --- */

/* Fails the first *left times of one API. */
struct trouble {
	int16_t api_key;
	enum fake_turn turn;
	enum ks_err err;
	_Atomic(int) left;
};

static bool is_troubled(struct trouble *t, const struct fake_call *c)
{
	return c->api->key == t->api_key && atomic_fetch_sub(&t->left, 1) > 0;
}

static enum fake_turn group_trouble(struct fake_call *c, void *arg)
{
	struct delete_groups_response *deleted = c->response;
	struct find_coordinator_response *found = c->response;
	bool fails = is_troubled(arg, c);
	enum ks_err err = fails ? ((struct trouble *)arg)->err : ERR_NONE;

	if (fails && ((struct trouble *)arg)->turn == FAKE_CLOSE)
		return FAKE_CLOSE;
	if (c->api->key == API_find_coordinator) {
		found->coordinators.v = fake_alloc(c, 1, sizeof *found->coordinators.v);
		found->coordinators.n = 1;
		found->coordinators.v[0] = (struct find_coordinator_response_coordinator){
			.key = slice_str("g"),
			.node_id = err ? -1 : 1,
			.host = slice_str("127.0.0.1"),
			.port = fake_port(c->fake),
			.error_code = (int16_t)err};
		return FAKE_ANSWER;
	}
	if (c->api->key != API_delete_groups)
		return FAKE_DEFAULT;
	deleted->results.v = fake_alloc(c, 1, sizeof *deleted->results.v);
	deleted->results.n = 1;
	deleted->results.v[0] =
		(struct delete_groups_response_result){slice_str("g"), (int16_t)err};
	return FAKE_ANSWER;
}

static bool delete_is_transient(const struct client_reply *r)
{
	const struct delete_groups_response *m = r->message;

	return m->results.v[0].error_code == ERR_NOT_COORDINATOR;
}

/* Deletes group g at its coordinator; the result is the call's or the answer's. */
static enum ks_err delete_group(struct client_cluster *cl, bool is_repeatable)
{
	struct slice name = slice_str("g");
	struct delete_groups_request request = {.groups_names = {&name, 1}};
	struct client_question q = {.call = {.api_key = API_delete_groups, .request = &request},
				    .where = CLIENT_COORDINATOR,
				    .group = "g",
				    .is_transient = delete_is_transient,
				    .is_repeatable = is_repeatable};
	struct client_reply r;
	struct ks_why unused;
	enum ks_err err = client_cluster_ask(cl, &q, &r, &unused);

	if (err)
		return err;
	err = (enum ks_err)((const struct delete_groups_response *)r.message)
		      ->results.v[0]
		      .error_code;
	client_reply_fini(&r);
	return err;
}

static void the_coordinator_is_looked_up_once_and_again_when_it_is_none(void **state)
{
	struct trouble t = {API_delete_groups, FAKE_ANSWER, ERR_NOT_COORDINATOR, 0};
	struct fake *f = fake_start(group_trouble, &t);
	struct client_cluster *cl = open_at(fake_address(f));

	(void)state;
	assert_int_equal(delete_group(cl, false), ERR_NONE);
	assert_int_equal(delete_group(cl, false), ERR_NONE);
	assert_int_equal(fake_count(f, API_find_coordinator), 1);
	atomic_store(&t.left, 2);
	assert_int_equal(delete_group(cl, false), ERR_NONE);
	assert_int_equal(fake_count(f, API_find_coordinator), 3);
	assert_int_equal(fake_count(f, API_delete_groups), 5);
	client_cluster_close(cl);
	fake_stop(f);
}

static void a_coordinator_that_is_not_there_yet_is_waited_for(void **state)
{
	struct trouble t = {API_find_coordinator, FAKE_ANSWER, ERR_COORDINATOR_NOT_AVAILABLE, 2};
	struct fake *f = fake_start(group_trouble, &t);
	struct client_cluster *cl = open_at(fake_address(f));

	(void)state;
	assert_int_equal(delete_group(cl, false), ERR_NONE);
	assert_int_equal(fake_count(f, API_find_coordinator), 3);
	client_cluster_close(cl);
	fake_stop(f);
}

static void an_error_that_stays_is_not_retried(void **state)
{
	struct trouble t = {API_delete_groups, FAKE_ANSWER, ERR_NON_EMPTY_GROUP, 9};
	struct fake *f = fake_start(group_trouble, &t);
	struct client_cluster *cl = open_at(fake_address(f));

	(void)state;
	assert_int_equal(delete_group(cl, true), ERR_NON_EMPTY_GROUP);
	assert_int_equal(fake_count(f, API_delete_groups), 1);
	client_cluster_close(cl);
	fake_stop(f);
}

static void a_lost_answer_is_asked_for_again_only_when_that_does_no_harm(void **state)
{
	struct trouble t = {API_delete_groups, FAKE_CLOSE, ERR_NONE, 1};
	struct fake *f = fake_start(group_trouble, &t);
	struct client_cluster *cl = open_at(fake_address(f));

	(void)state;
	assert_int_equal(delete_group(cl, false), ERR_UNREACHABLE);
	assert_int_equal(fake_count(f, API_delete_groups), 1);
	atomic_store(&t.left, 1);
	assert_int_equal(delete_group(cl, true), ERR_NONE);
	assert_int_equal(fake_count(f, API_delete_groups), 3);
	client_cluster_close(cl);
	fake_stop(f);
}

/* --- leaders --- */

struct leaders {
	_Atomic(int) leaderless; /* metadata without a leader that is still to come */
	_Atomic(int) wrong;      /* answers that say: not the leader */
	enum fake_turn turn;
};

static enum fake_turn led(struct fake_call *c, void *arg)
{
	struct leaders *l = arg;
	const struct metadata_request *metadata = c->request;
	const struct list_offsets_request *asked = c->request;
	struct list_offsets_response *m = c->response;

	if (c->api->key == API_metadata && metadata->topics.n == 1) {
		bool is_known = slice_equal(metadata->topics.v[0].name, slice_str("in"));
		fake_topic(c, is_known ? "in" : "nope", 3,
			   atomic_fetch_sub(&l->leaderless, 1) > 0 ? -1 : 1,
			   is_known ? ERR_NONE : ERR_UNKNOWN_TOPIC_OR_PARTITION);
		return FAKE_ANSWER;
	}
	if (c->api->key != API_list_offsets)
		return FAKE_DEFAULT;
	bool is_wrong = atomic_fetch_sub(&l->wrong, 1) > 0;
	if (is_wrong && l->turn == FAKE_CLOSE)
		return FAKE_CLOSE;
	int32_t n = asked->topics.v[0].partitions.n;
	m->topics.v = fake_alloc(c, 1, sizeof *m->topics.v);
	m->topics.n = 1;
	m->topics.v[0].name = asked->topics.v[0].name;
	m->topics.v[0].partitions.v = fake_alloc(c, (size_t)n, sizeof *m->topics.v[0].partitions.v);
	m->topics.v[0].partitions.n = n;
	for (int32_t i = 0; i < n; i++) {
		int32_t p = asked->topics.v[0].partitions.v[i].partition_index;
		bool fails = is_wrong && p == 1; /* the others moved nowhere */
		m->topics.v[0].partitions.v[i] = (struct list_offsets_response_partition){
			.partition_index = p,
			.error_code = fails ? ERR_NOT_LEADER_OR_FOLLOWER : ERR_NONE,
			.offset = fails ? -1 : 100 + p};
	}
	return FAKE_ANSWER;
}

static void check_offsets(struct leaders *l, int questions)
{
	struct fake *f = fake_start(led, l);
	struct client_cluster *cl = open_at(fake_address(f));
	struct client_row rows[] = {{.partition = 0}, {.partition = 1}, {.partition = 2}};

	assert_ok(client_list_offsets(cl, "in", rows, 3, false, why));
	for (int i = 0; i < 3; i++)
		assert_int_equal(rows[i].offset, 100 + i);
	assert_int_equal(fake_count(f, API_list_offsets), questions);
	client_cluster_close(cl);
	fake_stop(f);
}

static void all_partitions_of_a_leader_are_asked_for_at_once(void **state)
{
	(void)state;
	check_offsets(&(struct leaders){0}, 1);
}

static void a_partition_whose_leader_moved_is_asked_for_again(void **state)
{
	(void)state;
	check_offsets(&(struct leaders){.wrong = 2, .turn = FAKE_ANSWER}, 3);
}

static void a_leader_that_hangs_up_is_asked_again(void **state)
{
	(void)state;
	check_offsets(&(struct leaders){.wrong = 1, .turn = FAKE_CLOSE}, 2);
}

static void a_partition_without_a_leader_is_waited_for(void **state)
{
	(void)state;
	check_offsets(&(struct leaders){.leaderless = 2}, 1);
}

static void what_is_not_there_is_told_at_once(void **state)
{
	struct leaders l = {0};
	struct fake *f = fake_start(led, &l);
	struct client_cluster *cl = open_at(fake_address(f));
	struct client_row row = {.partition = 3};
	struct ks_why told;

	(void)state;
	assert_int_equal(client_list_offsets(cl, "in", &row, 1, false, &told),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_string_equal(told.text,
			    "topic \"in\" has no partition 3; its partitions are 0 to 2");
	row.partition = 0;
	assert_int_equal(client_list_offsets(cl, "nope", &row, 1, false, &told),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fake_count(f, API_list_offsets), 0);
	client_cluster_close(cl);
	fake_stop(f);
}

/* Every answer is the last of its connection: idle ones are always dead. */
static enum fake_turn hangs_up(struct fake_call *c, void *arg)
{
	(void)arg;
	return c->api->key == API_describe_cluster ? FAKE_LAST : FAKE_DEFAULT;
}

static void a_connection_that_was_closed_while_idle_is_made_anew(void **state)
{
	struct fake *f = fake_start(hangs_up, NULL);
	struct client_cluster *cl = open_at(fake_address(f));
	struct describe_cluster_request request = {.endpoint_type = 1};
	struct client_question q = {.call = {.api_key = API_describe_cluster, .request = &request},
				    .where = CLIENT_NODE,
				    .node = 1,
				    .is_repeatable = true};

	(void)state;
	for (int i = 1; i <= 3; i++) {
		struct client_reply r;
		assert_ok(client_cluster_ask(cl, &q, &r, why));
		client_reply_fini(&r);
	}
	client_cluster_close(cl);
	fake_stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_address_that_answers_is_enough),
		cmocka_unit_test(when_nobody_answers_the_first_one_is_named),
		cmocka_unit_test(an_unreachable_node_is_told_with_who_sent_us_there),
		cmocka_unit_test(the_coordinator_is_looked_up_once_and_again_when_it_is_none),
		cmocka_unit_test(a_coordinator_that_is_not_there_yet_is_waited_for),
		cmocka_unit_test(an_error_that_stays_is_not_retried),
		cmocka_unit_test(a_lost_answer_is_asked_for_again_only_when_that_does_no_harm),
		cmocka_unit_test(all_partitions_of_a_leader_are_asked_for_at_once),
		cmocka_unit_test(a_partition_whose_leader_moved_is_asked_for_again),
		cmocka_unit_test(a_leader_that_hangs_up_is_asked_again),
		cmocka_unit_test(a_partition_without_a_leader_is_waited_for),
		cmocka_unit_test(what_is_not_there_is_told_at_once),
		cmocka_unit_test(a_connection_that_was_closed_while_idle_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

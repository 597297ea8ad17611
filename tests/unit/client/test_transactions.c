/* test_transactions.c - asking about transactions: whom, which versions, and what errors come back. */
#include "fake.h"

#include "client/transactions.h"

struct story {
	int asked;         /* FindCoordinator */
	int not_leader;    /* answers of DescribeProducers that say so, before the right one */
	int16_t key_type;  /* of the last FindCoordinator */
	enum ks_err error; /* of ListTransactions, DescribeTransactions, WriteTxnMarkers */
	struct write_txn_markers_request_marker marker;
};

static void find_coordinator(struct fake_call *c, struct story *s)
{
	const struct find_coordinator_request *q = c->request;
	struct find_coordinator_response *a = c->response;

	s->asked++;
	s->key_type = q->key_type;
	a->coordinators.v = fake_alloc(c, 1, sizeof *a->coordinators.v);
	a->coordinators.n = 1;
	a->coordinators.v[0] =
		(struct find_coordinator_response_coordinator){.key = q->coordinator_keys.v[0],
							       .node_id = 1,
							       .host = slice_str("127.0.0.1"),
							       .port = fake_port(c->fake)};
}

static void list(struct fake_call *c, const struct story *s)
{
	struct list_transactions_response *a = c->response;

	a->error_code = (int16_t)s->error;
	a->transaction_states.v = fake_alloc(c, 1, sizeof *a->transaction_states.v);
	a->transaction_states.n = 1;
	a->transaction_states.v[0] = (struct list_transactions_response_transaction_state){
		slice_str("copier"), 7, slice_str("Ongoing")};
}

static void describe(struct fake_call *c, const struct story *s)
{
	const struct describe_transactions_request *q = c->request;
	struct describe_transactions_response *a = c->response;

	a->transaction_states.v = fake_alloc(c, 1, sizeof *a->transaction_states.v);
	a->transaction_states.n = 1;
	a->transaction_states.v[0] = (struct describe_transactions_response_transaction_state){
		.error_code = (int16_t)s->error,
		.transactional_id = q->transactional_ids.v[0],
		.transaction_state = slice_str("Ongoing"),
		.producer_id = 7};
}

static void producers(struct fake_call *c, struct story *s)
{
	const struct describe_producers_request *q = c->request;
	struct describe_producers_response *a = c->response;
	struct describe_producers_response_partition *p = fake_alloc(c, 1, sizeof *p);

	a->topics.v = fake_alloc(c, 1, sizeof *a->topics.v);
	a->topics.n = 1;
	a->topics.v[0] = (struct describe_producers_response_topic){q->topics.v[0].name, {p, 1}};
	p->partition_index = q->topics.v[0].partition_indexes.v[0];
	if (s->not_leader-- > 0)
		p->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
}

static void markers(struct fake_call *c, struct story *s)
{
	const struct write_txn_markers_request *q = c->request;
	struct write_txn_markers_response *a = c->response;
	struct write_txn_markers_response_marker *m = fake_alloc(c, 1, sizeof *m);

	s->marker = q->markers.v[0];
	a->markers.v = m;
	a->markers.n = 1;
	m->topics.v = fake_alloc(c, 1, sizeof *m->topics.v);
	m->topics.n = 1;
	m->topics.v[0].name = q->markers.v[0].topics.v[0].name;
	m->topics.v[0].partitions.v = fake_alloc(c, 1, sizeof *m->topics.v[0].partitions.v);
	m->topics.v[0].partitions.n = 1;
	m->topics.v[0].partitions.v[0].error_code = (int16_t)s->error;
}

static enum fake_turn answer(struct fake_call *c, void *arg)
{
	const struct metadata_request *q = c->request;

	switch (c->api->key) {
	case API_metadata:
		if (q->topics.n != 1)
			return FAKE_DEFAULT;
		fake_topic(c, "t", 2, 1, ERR_NONE);
		return FAKE_ANSWER;
	case API_find_coordinator:
		find_coordinator(c, arg);
		return FAKE_ANSWER;
	case API_list_transactions:
		list(c, arg);
		return FAKE_ANSWER;
	case API_describe_transactions:
		describe(c, arg);
		return FAKE_ANSWER;
	case API_describe_producers:
		producers(c, arg);
		return FAKE_ANSWER;
	case API_write_txn_markers:
		markers(c, arg);
		return FAKE_ANSWER;
	default:
		return FAKE_DEFAULT;
	}
}

struct rig {
	struct story story;
	struct fake *fake;
	struct client_cluster *cluster;
	struct ks_why why;
};

static int rig_new(void **state)
{
	struct rig *r = xcalloc(1, sizeof *r);
	struct client_options options = {0};

	r->fake = fake_start(answer, &r->story);
	assert_ok(client_cluster_open(fake_address(r->fake), &options, &r->cluster, why));
	*state = r;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *r = *state;

	client_cluster_close(r->cluster);
	fake_stop(r->fake);
	free(r);
	return 0;
}

static void note(void *arg, int32_t node, const struct list_transactions_response *m)
{
	assert_int_equal(node, 1);
	assert_int_equal(m->transaction_states.n, 1);
	assert_int_equal(m->transaction_states.v[0].producer_id, 7);
	(*(int *)arg)++;
}

static void every_broker_is_asked_for_its_transactions(void **state)
{
	struct rig *r = *state;
	struct list_transactions_request filter = {.duration_filter = -1};
	int answers = 0;

	assert_ok(client_txns_list(r->cluster, &filter, note, &answers, why));
	assert_int_equal(answers, 1);
	r->story.error = ERR_INVALID_REGULAR_EXPRESSION;
	assert_int_equal(client_txns_list(r->cluster, &filter, note, &answers, &r->why),
			 ERR_INVALID_REGULAR_EXPRESSION);
	assert_string_equal(r->why.text, "cannot list the transactions of node 1: the regular "
					 "expression is not valid");
	assert_int_equal(answers, 1);
}

static void a_transactional_id_is_described_by_its_coordinator(void **state)
{
	struct rig *r = *state;
	const struct describe_transactions_response_transaction_state *row;
	struct client_reply reply;
	int32_t coordinator;

	assert_ok(client_txn_describe(r->cluster, "copier", &reply, &row, &coordinator, why));
	assert_int_equal(coordinator, 1);
	assert_int_equal(row->producer_id, 7);
	assert_slice(row->transactional_id, "copier");
	client_reply_fini(&reply);
	assert_int_equal(r->story.key_type, 1);
	/* It is known by then. */
	assert_ok(client_txn_describe(r->cluster, "copier", &reply, &row, &coordinator, why));
	client_reply_fini(&reply);
	assert_int_equal(r->story.asked, 1);
	r->story.error = ERR_TRANSACTIONAL_ID_NOT_FOUND;
	assert_int_equal(client_txn_describe(r->cluster, "x", &reply, &row, &coordinator, &r->why),
			 ERR_TRANSACTIONAL_ID_NOT_FOUND);
	assert_string_equal(r->why.text, "transactional id \"x\": no such transactional id");
}

static void a_leader_that_is_none_any_more_is_looked_for_again(void **state)
{
	struct rig *r = *state;
	const struct describe_producers_response_partition *row;
	struct client_reply reply;

	r->story.not_leader = 2;
	assert_ok(client_producers(r->cluster, "t", 1, &reply, &row, why));
	assert_int_equal(row->partition_index, 1);
	client_reply_fini(&reply);
	assert_int_equal(fake_count(r->fake, API_describe_producers), 3);
	assert_int_equal(client_producers(r->cluster, "t", 2, &reply, &row, &r->why),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_string_equal(r->why.text,
			    "topic \"t\" has no partition 2; its partitions are 0 to 1");
}

static void an_abort_is_a_marker_for_one_partition(void **state)
{
	struct rig *r = *state;

	assert_ok(client_txn_abort(r->cluster, "t", 1, 7, 3, 5, why));
	assert_int_equal(r->story.marker.producer_id, 7);
	assert_int_equal(r->story.marker.producer_epoch, 3);
	assert_int_equal(r->story.marker.coordinator_epoch, 5);
	assert_false(r->story.marker.transaction_result);
	r->story.error = ERR_INVALID_PRODUCER_EPOCH;
	assert_int_equal(client_txn_abort(r->cluster, "t", 1, 7, 3, 5, &r->why),
			 ERR_INVALID_PRODUCER_EPOCH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_new, rig_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_broker_is_asked_for_its_transactions),
		TEST(a_transactional_id_is_described_by_its_coordinator),
		TEST(a_leader_that_is_none_any_more_is_looked_for_again),
		TEST(an_abort_is_a_marker_for_one_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What administrators ask of transactions: lists of them, and the end of those that hang. */
#include "txn_calls.h"

/* Opens a transaction in a partition that no coordinator knows of. */
static void make_orphan(struct rig *r, struct partition *p, struct txn_client *c)
{
	txn_write(c, p, 1, 66);
	struct producer *x = producer_find(r->b->producers, &p->producers, c->pid);
	txn_abort(c);
	spoil(r, x, 0, -1);
	rig_append(r, p, 1, 5);
}

static int16_t write_marker(struct rig *r, struct write_txn_markers_request_marker m,
			    const char *topic)
{
	int32_t index = 0;
	struct write_txn_markers_request_topic t = {slice_str(topic), {&index, 1}};
	struct write_txn_markers_request q = {{&m, 1}};

	m.topics.v = &t;
	m.topics.n = 1;
	struct sent *s = txn_send(r, API_write_txn_markers, 1, 0, &q);
	const struct write_txn_markers_response *a = sent_wait(s);
	int16_t code = a->markers.v[0].topics.v[0].partitions.v[0].error_code;
	sent_free(s);
	return code;
}

static void test_b3_a_transaction_that_nobody_will_end_is_found_and_can_be_aborted(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct txn_stats stats;

	make_orphan(r, p, c);
	struct write_txn_markers_request_marker m = {.producer_id = c->pid,
						     .producer_epoch = c->epoch};
	assert_int_equal(partition_last_stable_offset(p), 0);
	pass(r, 61000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 1);
	m.transaction_result = true;
	assert_code(write_marker(r, m, "t"), ERR_CLUSTER_AUTHORIZATION_FAILED);
	m.transaction_result = false;
	assert_code(write_marker(r, m, "u"), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_code(write_marker(r, m, "t"), ERR_NONE);
	assert_int_equal(partition_last_stable_offset(p), partition_high_watermark(p));
	pass(r, 61000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 0);
	assert_committed(p, 0, 5);
	free(c);
}

static void test_b3_what_the_coordinator_knows_only_it_ends(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct txn_stats stats;

	txn_write(c, p, 1, 1);
	txn_commit(c);
	txn_write(c, p, 1, 2);
	struct write_txn_markers_request_marker m = {.producer_id = c->pid,
						     .producer_epoch = c->epoch};
	assert_code(write_marker(r, m, "t"), ERR_INVALID_TXN_STATE);
	m.producer_epoch--;
	assert_code(write_marker(r, m, "t"), ERR_INVALID_PRODUCER_EPOCH);
	pass(r, 30000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 0);
	txn_commit(c);
	assert_committed(p, 0, 1, 2);
	free(c);
}

static int32_t count_listed(struct rig *r, struct list_transactions_request q)
{
	struct sent *s = txn_send(r, API_list_transactions, 2, 0, &q);
	const struct list_transactions_response *a = sent_wait(s);
	int32_t n = a->error_code ? -a->error_code : a->transaction_states.n;

	n += 100 * a->unknown_state_filters.n;
	sent_free(s);
	return n;
}

static void test_b3_transactions_are_listed_by_state_producer_age_and_name(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *a = txn_client_new(r, "app-1", true),
			  *b = txn_client_new(r, "app-2", true), *c = txn_client_new(r, "x", true);
	struct slice ongoing[] = {slice_str("Ongoing"), slice_str("Asleep")};
	struct slice prepared = slice_str("PrepareCommit");
	struct list_transactions_request all = {.duration_filter = -1}, q;

	txn_write(a, p, 1, 1);
	pass(r, 5000);
	txn_write(b, p, 1, 2);
	assert_int_equal(count_listed(r, all), 3);
	q = all;
	q.state_filters.v = ongoing;
	q.state_filters.n = 1;
	assert_int_equal(count_listed(r, q), 2);
	q.state_filters.n = 2;
	assert_int_equal(count_listed(r, q), 102);
	q.state_filters.v = &prepared;
	q.state_filters.n = 1;
	assert_int_equal(count_listed(r, q), 0);
	q = all;
	q.producer_id_filters.v = &b->pid;
	q.producer_id_filters.n = 1;
	assert_int_equal(count_listed(r, q), 1);
	q = all;
	q.duration_filter = 4999;
	assert_int_equal(count_listed(r, q), 1);
	q = all;
	q.transactional_id_pattern = slice_str("app-.*");
	assert_int_equal(count_listed(r, q), 2);
	q.transactional_id_pattern = slice_str("app-(");
	assert_int_equal(count_listed(r, q), -(int32_t)ERR_INVALID_REGULAR_EXPRESSION);
	free(a);
	free(b);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY(test_b3_a_transaction_that_nobody_will_end_is_found_and_can_be_aborted),
		MEMORY(test_b3_what_the_coordinator_knows_only_it_ends),
		MEMORY(test_b3_transactions_are_listed_by_state_producer_age_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

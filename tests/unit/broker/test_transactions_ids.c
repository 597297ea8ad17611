/* Transactional ids in the broker: which instance has one, the epochs and producer ids that it is given, and what time does to
 * it: timeouts and expiry. */
#include "producer_ids.h"
#include "txn_calls.h"

static void test_a5_a_new_instance_aborts_and_fences_the_old_one(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 2);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		struct txn_client *old = txn_client_new(r, v ? "b" : "a", v);
		txn_write(old, p, 2, 1);
		struct txn_client *new = txn_client_new(r, v ? "b" : "a", v);
		assert_int_equal(new->pid, old->pid);
		assert_int_equal(new->epoch, old->epoch + 1);
		assert_int_equal(partition_last_stable_offset(p), 3);
		assert_code(txn_produce(old, p, 1, 9), ERR_INVALID_PRODUCER_EPOCH);
		assert_code(txn_finish(old, true), ERR_PRODUCER_FENCED);
		if (!v)
			assert_code(txn_add(old, "t", v, 1), ERR_PRODUCER_FENCED);
		txn_write(new, p, 1, 5);
		reopen(r);
		p = partition_at(r, "t", v);
		assert_code(txn_produce(old, p, 1, 9), ERR_INVALID_PRODUCER_EPOCH);
		txn_commit(new);
		assert_committed(p, 0, 5);
		free(old);
		free(new);
	}
}

static void test_a14_asking_for_an_epoch_in_a_transaction_aborts_it_and_says_so(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);

	txn_write(c, p, 2, 1);
	assert_code(txn_init_from(c, c->pid, c->epoch), ERR_PRODUCER_FENCED);
	assert_string_equal(txn_state(r, "a", NULL), "CompleteAbort");
	assert_int_equal(partition_last_stable_offset(p), 3);
	assert_code(txn_produce(c, p, 1, 3), ERR_INVALID_PRODUCER_EPOCH);
	assert_committed(p, 0, NOTHING);
	free(c);
}

static void test_a13_a_repeated_request_for_an_epoch_gets_the_same(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t pid = c->pid;

	assert_code(txn_init_from(c, pid, 0), ERR_NONE);
	assert_int_equal(c->epoch, 1);
	reopen(r);
	assert_code(txn_init_from(c, pid, 0), ERR_NONE);
	assert_int_equal(c->epoch, 1);
	assert_int_equal(c->pid, pid);
	free(c);
}

static void test_a10_epochs_that_are_used_up_give_another_producer_id(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t pid = c->pid;

	while (c->pid == pid && c->epoch < 32760)
		assert_code(txn_init(c), ERR_NONE);
	for (int i = 0; i < 10; i++) {
		txn_write(c, p, 1, i);
		int64_t before_pid = c->pid;
		int16_t before = c->epoch;
		txn_commit(c);
		assert_true(c->epoch >= 0);
		/* A commit that comes again is known by the pair that it names. */
		assert_code(txn_end_as(c, before_pid, before, true), ERR_NONE);
		assert_int_equal(c->told_pid, c->pid);
		assert_int_equal(c->told_epoch, c->epoch);
	}
	assert_true(c->pid > pid);
	assert_committed(p, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	free(c);
}

static void test_a17_what_an_older_epoch_left_open_is_aborted_before_the_newer_begins(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct producer *x;

	/* The coordinator's record of it is lost: as if by a bug. */
	txn_write(c, p, 1, 1);
	txn_commit(c);
	txn_write(c, p, 2, 100);
	x = producer_find(r->b->producers, &p->producers, c->pid);
	assert_int_equal(x->state.txn_first_offset, 2);
	struct txn_client orphan = *c;
	assert_code(txn_init(c), ERR_NONE);
	assert_int_equal(partition_last_stable_offset(p), 5);
	/* Put it back. */
	spoil(r, x, 2, orphan.epoch);
	txn_write(c, p, 1, 7);
	assert_int_equal(partition_last_stable_offset(p), 6);
	assert_int_equal(partition_high_watermark(p), 7);
	txn_commit(c);
	assert_committed(p, 0, 1, 7);
	free(c);
}

static void test_a21_an_idempotent_producer_never_gets_an_epoch_of_a_transactional_one(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t id = c->pid;
	int16_t epoch = c->epoch;

	assert_int_equal(producer_id_ask(r->b, &id, &epoch), ERR_NONE);
	assert_true(id != c->pid);
	assert_int_equal(epoch, 0);
	struct txn_client *d = txn_client_new(r, "d", true);
	assert_true(d->pid != c->pid && d->pid != id);
	free(c);
	free(d);
}

static void
test_a11_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(void **state)
{
	struct rig *r = *state;
	struct txn_stats stats;

	rig_topic(r, "t", 2);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c, p, 2, 1);
		pass(r, 59000);
		assert_string_equal(txn_state(r, c->id, NULL), "Ongoing");
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.open, 1);
		assert_int_equal(stats.oldest_ms, 59000);
		pass(r, 11000);
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.hanging, 0);
		assert_string_equal(txn_state(r, c->id, NULL), "CompleteAbort");
		assert_int_equal(partition_last_stable_offset(p), 3);
		assert_code(txn_finish(c, true), ERR_PRODUCER_FENCED);
		assert_code(txn_produce(c, p, 1, 3), ERR_INVALID_PRODUCER_EPOCH);
		assert_committed(p, 0, NOTHING);
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.open, 0);
		assert_int_equal(stats.timed_out, v + 1);
		free(c);
	}
}

static void test_a11_timeouts_go_on_after_a_start(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);

	txn_write(c, p, 2, 1);
	pass(r, 55000);
	rig_reopen(r);
	p = rig_partition(r, "t");
	assert_int_equal(partition_last_stable_offset(p), 0);
	pass(r, 11000);
	assert_int_equal(partition_last_stable_offset(p), 3);
	free(c);
}

static void test_a12_an_id_that_expired_is_not_known_and_its_old_instance_cannot_go_on(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true), *other = txn_client_new(r, "b", true);

	txn_write(c, p, 1, 1);
	txn_commit(c);
	pass(r, INT64_C(604800000) + 3600000);
	assert_null(txn_state(r, "a", NULL));
	assert_code(txn_produce(c, p, 1, 2), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_code(txn_finish(other, false), ERR_INVALID_PRODUCER_ID_MAPPING);
	struct txn_client *new = txn_client_new(r, "a", true);
	assert_true(new->pid != c->pid);
	txn_write(new, p, 1, 3);
	assert_code(txn_produce(c, p, 1, 2), ERR_INVALID_PRODUCER_ID_MAPPING);
	txn_commit(new);
	assert_committed(p, 0, 1, 3);
	free(c);
	free(other);
	free(new);
}

static void test_a12_an_id_with_an_open_transaction_does_not_expire(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.txns.max_timeout_ms = INT32_MAX;
	r->options.txns.id_expiration_ms = 1000;
	r->options.txns.cleanup_interval_ms = 1000;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = calloc(1, sizeof *c);
	*c = (struct txn_client){.r = r, .id = "a", .is_v2 = true, .timeout_ms = 100000000};
	assert_code(txn_init(c), ERR_NONE);
	txn_write(c, p, 1, 1);
	pass(r, 10000);
	assert_string_equal(txn_state(r, "a", NULL), "Ongoing");
	txn_commit(c);
	assert_committed(p, 0, 1);
	pass(r, 10000);
	assert_null(txn_state(r, "a", NULL));
	free(c);
}

static void test_a20_bad_requests_get_their_errors(void **state)
{
	struct rig *r = *state;
	struct txn_client c = {.r = r, .id = "", .is_v2 = true};
	char longer[1100];

	memset(longer, 'x', sizeof longer);
	longer[1025] = 0;
	assert_code(txn_init(&c), ERR_INVALID_REQUEST);
	assert_code(txn_finish(&c, true), ERR_INVALID_REQUEST);
	c.id = longer;
	assert_code(txn_init(&c), ERR_INVALID_REQUEST);
	c.id = "a";
	c.timeout_ms = 900001;
	assert_code(txn_init(&c), ERR_INVALID_TRANSACTION_TIMEOUT);
	c.timeout_ms = -1;
	assert_code(txn_init(&c), ERR_INVALID_TRANSACTION_TIMEOUT);
	assert_null(txn_state(r, "a", NULL));
	c.timeout_ms = 900000;
	assert_code(txn_init(&c), ERR_NONE);
	assert_code(txn_add_group(&c, ""), ERR_INVALID_GROUP_ID);
	assert_code(txn_finish(&c, true), ERR_INVALID_TXN_STATE); /* A18 */
	assert_code(txn_finish(&c, false), ERR_NONE);
}

static void test_a20_there_are_no_more_ids_than_allowed(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.txns.ids_max = 2;
	rig_open(r);
	struct txn_client a = {.r = r, .id = "a"}, b = {.r = r, .id = "b"}, c = {.r = r, .id = "c"};
	assert_code(txn_init(&a), ERR_NONE);
	assert_code(txn_init(&b), ERR_NONE);
	assert_code(txn_init(&c), ERR_POLICY_VIOLATION);
	assert_code(txn_init(&b), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a5_a_new_instance_aborts_and_fences_the_old_one),
		MEMORY(test_a14_asking_for_an_epoch_in_a_transaction_aborts_it_and_says_so),
		BOTH(test_a13_a_repeated_request_for_an_epoch_gets_the_same),
		MEMORY(test_a10_epochs_that_are_used_up_give_another_producer_id),
		MEMORY(test_a17_what_an_older_epoch_left_open_is_aborted_before_the_newer_begins),
		MEMORY(test_a21_an_idempotent_producer_never_gets_an_epoch_of_a_transactional_one),
		MEMORY(test_a11_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced),
		ROCKS(test_a11_timeouts_go_on_after_a_start),
		MEMORY(test_a12_an_id_that_expired_is_not_known_and_its_old_instance_cannot_go_on),
		MEMORY(test_a12_an_id_with_an_open_transaction_does_not_expire),
		MEMORY(test_a20_bad_requests_get_their_errors),
		MEMORY(test_a20_there_are_no_more_ids_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who may use a transactional id: new instances and replaced ones, epochs and producer ids, timeouts and expiry. Entries of
 * docs/transactions.md have their number in the name. */
#include "transaction_rig.h"

static void a_new_id_gets_a_producer_id_and_epoch_0(void **state)
{
	struct world *w = *state;

	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 100, 0);
	assert_true(w->fx.used_id);
	assert_true(w->fx.is_changed);
	assert_false(w->fx.is_ended);
	assert_state(w, TRANSACTION_EMPTY);
}

static void an_unknown_id_answers_nothing_but_init(void **state)
{
	struct world *w = *state;
	const int ids[] = {-1, 0, 100};

	for (int i = 0; i < 3; i++) {
		for (int epoch = -1; epoch < 2; epoch++) {
			assert_int_equal(add(w, ids[i], epoch, 1), ERR_INVALID_PRODUCER_ID_MAPPING);
			assert_int_equal(produce(w, 2, ids[i], epoch, 1),
					 ERR_INVALID_PRODUCER_ID_MAPPING);
			assert_int_equal(end(w, 1, ids[i], epoch, COMMIT),
					 ERR_INVALID_PRODUCER_ID_MAPPING);
			assert_int_equal(end(w, 2, ids[i], epoch, ABORT),
					 ERR_INVALID_PRODUCER_ID_MAPPING);
		}
	}
	assert_int_equal(w->t.producer_id, -1);
}

static void init_refuses_what_it_cannot_do(void **state)
{
	struct world *w = *state;
	struct transaction_init two_phases = {.producer_id = -1,
					      .producer_epoch = -1,
					      .timeout_ms = 1,
					      .timeout_max_ms = 1,
					      .new_producer_id = 100};

	assert_int_equal(init_with(w, -1, -1, 0), ERR_INVALID_TRANSACTION_TIMEOUT);
	assert_int_equal(init_with(w, -1, -1, -5), ERR_INVALID_TRANSACTION_TIMEOUT);
	assert_int_equal(init_with(w, -1, -1, TIMEOUT_MAX_MS + 1), ERR_INVALID_TRANSACTION_TIMEOUT);
	assert_int_equal(init_with(w, -1, 0, TIMEOUT_MS), ERR_INVALID_REQUEST);
	assert_int_equal(init_with(w, 100, -1, TIMEOUT_MS), ERR_INVALID_REQUEST);
	two_phases.keep_prepared_txn = true;
	assert_int_equal(transaction_init_producer(&w->t, &two_phases, &w->fx),
			 ERR_UNSUPPORTED_VERSION);
	two_phases.enable_2pc = true;
	assert_int_equal(transaction_init_producer(&w->t, &two_phases, &w->fx),
			 ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	assert_nothing_written(w);
	assert_int_equal(w->t.producer_id, -1);
	assert_int_equal(init_with(w, -1, -1, TIMEOUT_MAX_MS), ERR_NONE);
}

static void an_unknown_id_takes_whoever_comes_with_a_pair(void **state)
{
	struct world *w = *state;

	/* It was known once, for so long ago that nothing is left. */
	assert_int_equal(resume(w, 50, 7), ERR_NONE);
	assert_answer(w, 100, 0);
	assert_int_equal(resume(w, 50, 7), ERR_NONE);
	assert_answer(w, 100, 0);
	assert_nothing_written(w);
	assert_int_equal(resume(w, 50, 6), ERR_PRODUCER_FENCED);
}

static void test_a5_a_replaced_instance_can_do_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_is_a_zombie(w, 100, 0, ERR_PRODUCER_FENCED);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_is_a_zombie(w, 100, 0, ERR_PRODUCER_FENCED);
	assert_int_equal(end(w, 2, 100, 1, COMMIT), ERR_NONE);
	assert_is_a_zombie(w, 100, 0, ERR_PRODUCER_FENCED);
}

static void test_a5_a_new_instance_aborts_what_the_old_one_had_open(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(init(w), ERR_NONE);
	assert_ended(w, ABORT, 100, 1);
	assert_int_equal(w->fx.ended.partition_count, 1);
	assert_answer(w, 100, 1);
	assert_state(w, TRANSACTION_EMPTY);
	assert_is_a_zombie(w, 100, 0, ERR_PRODUCER_FENCED);
}

static void test_a5_a_replaced_instance_commits_no_offsets(void **state)
{
	struct world *w = *state;
	struct transaction_claim zombie = claim_of(100, 0, 2);
	bool is_new = false;

	assert_int_equal(add_group(w, 2, "g"), ERR_NONE);
	assert_int_equal(init(w), ERR_NONE);
	assert_ended(w, ABORT, 100, 1);
	assert_int_equal(w->fx.ended.group_count, 1);
	assert_int_equal(transaction_check_group(&w->t, &zombie, slice_str("g"), &is_new),
			 ERR_PRODUCER_FENCED);
	assert_int_equal(add_group(w, 2, "g"), ERR_PRODUCER_FENCED);
	zombie.version = 1;
	assert_int_equal(transaction_check_group(&w->t, &zombie, slice_str("g"), &is_new),
			 ERR_PRODUCER_FENCED);
}

static void test_a10_a_hundred_thousand_transactions_use_four_ids(void **state)
{
	struct world *w = *state;
	int64_t id = 100;
	int epoch = 0;

	for (int i = 0; i < 100000; i++) {
		assert_int_equal(produce(w, 2, id, epoch, 7), ERR_NONE);
		assert_int_equal(end(w, 2, id, epoch, i % 2), ERR_NONE);
		assert_ended(w, i % 2, id, epoch + 1);
		/* Both halves of a repeated end: with the old pair, whatever the new one is. */
		int64_t next = w->fx.producer_id;
		int next_epoch = w->fx.producer_epoch;
		assert_true(next == id ? next_epoch == epoch + 1 : next == id + 1);
		assert_int_equal(end(w, 2, id, epoch, i % 2), ERR_NONE);
		assert_answer(w, next, next_epoch);
		id = next;
		epoch = next_epoch;
		assert_in_range(epoch, 0, LAST_EPOCH);
	}
	/* 32,767 epochs each. */
	assert_int_equal(id, 103);
	assert_int_equal(epoch, 100000 - 3 * 32767);
}

static void test_a10_the_last_epoch_is_followed_by_a_new_id(void **state)
{
	struct world *w = *state;

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_true(w->fx.used_id);
	assert_is_a_zombie(w, 100, LAST_EPOCH, ERR_INVALID_PRODUCER_ID_MAPPING);

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(resume(w, 101, LAST_EPOCH), ERR_NONE);
	assert_answer(w, 102, 0);

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(produce(w, 2, 102, LAST_EPOCH, 7), ERR_NONE);
	assert_int_equal(init(w), ERR_NONE);
	assert_ended(w, ABORT, 102, 32767);
	assert_answer(w, 103, 0);
}

static void test_a10_a_timeout_with_the_last_epoch_is_not_stuck(void **state)
{
	struct world *w = *state;

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(produce(w, 2, 100, LAST_EPOCH, 7), ERR_NONE);
	assert_int_equal(transaction_deadline(&w->t), w->now_ms + TIMEOUT_MS);
	time_out(w);
	assert_ended(w, ABORT, 100, 32767);
	assert_is_a_zombie(w, 100, 32767, ERR_PRODUCER_FENCED);
	assert_int_equal(end(w, 2, 100, LAST_EPOCH, ABORT), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_true(w->fx.used_id);

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(produce(w, 2, 101, LAST_EPOCH, 7), ERR_NONE);
	time_out(w);
	assert_int_equal(resume(w, 101, LAST_EPOCH), ERR_NONE);
	assert_answer(w, 102, 0);

	at_epoch(w, LAST_EPOCH);
	assert_int_equal(produce(w, 2, 102, LAST_EPOCH, 7), ERR_NONE);
	time_out(w);
	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 103, 0);
}

static void test_a11_a_commit_that_lost_the_race_with_the_timeout_is_fenced(void **state)
{
	struct world *w = *state;

	for (int version = 1; version <= 2; version++) {
		int epoch = w->t.producer_epoch;
		if (version == 1)
			assert_int_equal(add(w, 100, epoch, 7), ERR_NONE);
		assert_int_equal(produce(w, version, 100, epoch, 7), ERR_NONE);
		time_out(w);
		assert_ended(w, ABORT, 100, epoch + 1);
		assert_int_equal(end(w, version, 100, epoch, COMMIT), ERR_PRODUCER_FENCED);
		assert_nothing_written(w);
		assert_int_equal(produce(w, version, 100, epoch, 7), ERR_PRODUCER_FENCED);
		assert_int_equal(add(w, 100, epoch, 7), ERR_PRODUCER_FENCED);
		/* The epoch of the markers was given to nobody. */
		assert_is_a_zombie(w, 100, epoch + 1, ERR_PRODUCER_FENCED);
		assert_int_equal(init(w), ERR_NONE);
		assert_answer(w, 100, epoch + 1);
		assert_is_a_zombie(w, 100, epoch, ERR_PRODUCER_FENCED);
	}
}

static void test_a20_a_producer_of_version_2_aborts_what_timed_out_and_goes_on(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	time_out(w);
	assert_int_equal(end(w, 2, 100, 0, ABORT), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_true(w->fx.is_changed);
	assert_false(w->fx.is_ended);
	assert_int_equal(end(w, 2, 100, 0, ABORT), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_nothing_written(w);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_INVALID_TXN_STATE);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 1, COMMIT), ERR_NONE);
}

static void test_a20_a_producer_resumes_after_a_timeout(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	time_out(w);
	assert_int_equal(end(w, 1, 100, 0, ABORT), ERR_PRODUCER_FENCED);
	assert_int_equal(end(w, 2, 100, 0, ABORT), ERR_PRODUCER_FENCED);
	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_nothing_written(w);
	/* It may have learned version 2 meanwhile. */
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
}

static void test_a15_after_a_power_loss_every_pair_is_fenced(void **state)
{
	struct world *w = *state;

	/* Nothing was begun, as far as the disk knows. */
	fence(w);
	assert_true(w->fx.is_changed);
	assert_false(w->fx.is_ended);
	assert_int_equal(add(w, 100, 0, 7), ERR_PRODUCER_FENCED);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_PRODUCER_FENCED);
	fence(w);
	assert_nothing_written(w); /* nobody has a pair */
	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_answer(w, 100, 1);

	/* The last one was committed, and the next one may be lost. */
	assert_int_equal(add(w, 100, 1, 7), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 1, COMMIT), ERR_NONE);
	fence(w);
	assert_int_equal(end(w, 1, 100, 1, COMMIT), ERR_PRODUCER_FENCED);
	assert_int_equal(resume(w, 100, 1), ERR_NONE);
	assert_answer(w, 100, 2);

	/* One is open, and may have lost a part. */
	assert_int_equal(produce(w, 2, 100, 2, 7), ERR_NONE);
	fence(w);
	assert_true(w->fx.is_ended);
	assert_false(w->fx.is_committed);
	assert_int_equal(w->fx.marker_epoch, 3);
	assert_int_equal(end(w, 2, 100, 2, COMMIT), ERR_PRODUCER_FENCED);
	assert_int_equal(end(w, 2, 100, 2, ABORT), ERR_NONE);
	assert_answer(w, 100, 3);
}

static void test_a15_an_id_that_has_expired_is_not_fenced(void **state)
{
	struct world *w = *state;

	expire(w);
	fence(w);
	assert_nothing_written(w);
	assert_int_equal(w->t.state, TRANSACTION_DEAD);
}

static void test_a11_a_timeout_counts_from_the_first_partition(void **state)
{
	struct world *w = *state;

	assert_int_equal(transaction_deadline(&w->t), INT64_MAX);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	int64_t deadline = w->now_ms + TIMEOUT_MS;
	w->now_ms += 1000;
	assert_int_equal(produce(w, 2, 100, 0, 8), ERR_NONE);
	assert_int_equal(transaction_deadline(&w->t), deadline);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(transaction_deadline(&w->t), INT64_MAX);
	w->now_ms += 1000;
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(transaction_deadline(&w->t), deadline + 2000);
}

static void test_a12_an_id_with_an_open_transaction_never_expires(void **state)
{
	struct world *w = *state;

	assert_int_equal(transaction_expiry(&w->t, EXPIRATION_MS), w->now_ms + EXPIRATION_MS);
	assert_int_equal(transaction_expiry(&w->t, INT64_MAX), INT64_MAX);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(transaction_expiry(&w->t, EXPIRATION_MS), INT64_MAX);
	w->now_ms += 5000;
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(transaction_expiry(&w->t, EXPIRATION_MS), w->now_ms + EXPIRATION_MS);
}

static void test_a12_the_older_of_two_instances_does_not_outlive_expiry(void **state)
{
	struct world *w = *state;

	/* 100, 0 is A; 100, 1 is B. */
	assert_int_equal(init(w), ERR_NONE);
	expire(w);
	assert_true(w->fx.is_changed);
	assert_state(w, TRANSACTION_DEAD);
	assert_is_a_zombie(w, 100, 0, ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_INVALID_PRODUCER_ID_MAPPING);
	/* B may go on, with an id of its own. */
	assert_int_equal(resume(w, 100, 1), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_int_equal(resume(w, 100, 1), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_int_equal(resume(w, 100, 0), ERR_PRODUCER_FENCED);
}

static void test_a12_who_did_not_learn_of_its_newest_pair_may_come_back_too(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	expire(w);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_answer(w, 101, 0);
}

static void test_a12_an_id_that_comes_back_has_another_producer_id(void **state)
{
	struct world *w = *state;

	expire(w);
	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_is_a_zombie(w, 100, 0, ERR_INVALID_PRODUCER_ID_MAPPING);
}

static void test_a12_what_an_expired_id_left_behind_goes_in_the_end(void **state)
{
	struct world *w = *state;

	expire(w);
	int64_t died = w->now_ms;
	expire(w);
	assert_int_equal(w->now_ms, died + EXPIRATION_MS);
	assert_true(w->fx.is_changed);
	assert_int_equal(w->t.producer_id, -1);
	assert_int_equal(transaction_expiry(&w->t, EXPIRATION_MS), INT64_MAX);
}

static void test_a13_a_repeated_init_gets_the_first_answer(void **state)
{
	struct world *w = *state;

	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_answer(w, 100, 1);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(resume(w, 100, 0), ERR_NONE);
		assert_answer(w, 100, 1);
		assert_nothing_written(w);
	}
	at_epoch(w, LAST_EPOCH);
	assert_int_equal(resume(w, 100, LAST_EPOCH), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_int_equal(resume(w, 100, LAST_EPOCH), ERR_NONE);
	assert_answer(w, 101, 0);
	assert_nothing_written(w);
}

static void test_a13_a_new_instance_forgets_the_last_pair_of_the_old_one(void **state)
{
	struct world *w = *state;

	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_int_equal(init(w), ERR_NONE);
	assert_answer(w, 100, 2);
	assert_int_equal(resume(w, 100, 0), ERR_PRODUCER_FENCED);
	assert_int_equal(resume(w, 100, 1), ERR_PRODUCER_FENCED);
}

static void test_a13_a_late_init_does_not_abort_the_open_transaction(void **state)
{
	struct world *w = *state;

	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(resume(w, 100, 0), ERR_PRODUCER_FENCED);
	assert_nothing_written(w);
	assert_state(w, TRANSACTION_ONGOING);
}

static void test_a13_a_repeated_init_leaves_the_last_outcome(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(init_with(w, 100, 0, 2 * TIMEOUT_MS), ERR_NONE);
	assert_answer(w, 100, 1);
	assert_int_equal(w->t.timeout_ms, 2 * TIMEOUT_MS);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_answer(w, 100, 1);
}

static void test_a14_init_within_a_transaction_aborts_it_and_says_so(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(resume(w, 100, 0), ERR_PRODUCER_FENCED);
	assert_ended(w, ABORT, 100, 1);
	assert_int_equal(w->fx.ended.partition_count, 1);
	assert_answer(w, -1, -1);
	assert_state(w, TRANSACTION_COMPLETE_ABORT);
	assert_int_equal(resume(w, 100, 0), ERR_PRODUCER_FENCED);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_PRODUCER_FENCED);
}

static void test_a17_the_markers_of_a_fenced_instance_outrank_its_epoch(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(init(w), ERR_NONE);
	assert_ended(w, ABORT, 100, 1);
	assert_int_equal(add(w, 100, 1, 7), ERR_NONE);
	time_out(w);
	assert_ended(w, ABORT, 100, 2);
}

static void test_a20_old_versions_are_told_what_they_know(void **state)
{
	static const struct {
		int16_t api_key, version;
		enum ks_err fenced;
	} rows[] = {
		{0, 3, ERR_INVALID_PRODUCER_EPOCH},  {0, 12, ERR_INVALID_PRODUCER_EPOCH},
		{22, 0, ERR_INVALID_PRODUCER_EPOCH}, {22, 3, ERR_INVALID_PRODUCER_EPOCH},
		{22, 4, ERR_PRODUCER_FENCED},        {22, 6, ERR_PRODUCER_FENCED},
		{24, 1, ERR_INVALID_PRODUCER_EPOCH}, {24, 2, ERR_PRODUCER_FENCED},
		{24, 3, ERR_PRODUCER_FENCED},        {25, 1, ERR_INVALID_PRODUCER_EPOCH},
		{25, 2, ERR_PRODUCER_FENCED},        {26, 1, ERR_INVALID_PRODUCER_EPOCH},
		{26, 2, ERR_PRODUCER_FENCED},        {26, 5, ERR_PRODUCER_FENCED},
		{28, 0, ERR_INVALID_PRODUCER_EPOCH}, {28, 5, ERR_INVALID_PRODUCER_EPOCH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(transaction_wire_error(ERR_PRODUCER_FENCED, rows[i].api_key,
							rows[i].version),
				 rows[i].fenced);
	assert_int_equal(transaction_wire_error(ERR_TRANSACTION_ABORTABLE, 0, 10),
			 ERR_INVALID_TXN_STATE);
	assert_int_equal(transaction_wire_error(ERR_TRANSACTION_ABORTABLE, 0, 11),
			 ERR_TRANSACTION_ABORTABLE);
	assert_int_equal(transaction_wire_error(ERR_TRANSACTION_ABORTABLE, 28, 3),
			 ERR_INVALID_TXN_STATE);
	assert_int_equal(transaction_wire_error(ERR_TRANSACTION_ABORTABLE, 28, 4),
			 ERR_TRANSACTION_ABORTABLE);
	assert_int_equal(transaction_wire_error(ERR_INVALID_PRODUCER_ID_MAPPING, 0, 3),
			 ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(transaction_wire_error(ERR_NONE, 26, 0), ERR_NONE);
}

static void test_a21_an_id_that_was_given_out_leaves_the_stock(void **state)
{
	struct world *w = *state;
	int64_t before = 100;

	for (int i = 0; i < 5; i++) {
		at_epoch(w, LAST_EPOCH);
		if (i % 2)
			assert_int_equal(init(w), ERR_NONE);
		else
			assert_int_equal(end(w, 2, before, LAST_EPOCH, ABORT), ERR_NONE);
		assert_true(w->fx.used_id);
		assert_int_equal(w->fx.producer_id, before + 1);
		before = w->fx.producer_id;
		assert_int_equal(init(w), ERR_NONE);
		assert_false(w->fx.used_id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_new_id_gets_a_producer_id_and_epoch_0),
		FRESH(an_unknown_id_answers_nothing_but_init),
		FRESH(init_refuses_what_it_cannot_do),
		FRESH(an_unknown_id_takes_whoever_comes_with_a_pair),
		PRODUCER(test_a5_a_replaced_instance_can_do_nothing),
		PRODUCER(test_a5_a_new_instance_aborts_what_the_old_one_had_open),
		PRODUCER(test_a5_a_replaced_instance_commits_no_offsets),
		PRODUCER(test_a10_a_hundred_thousand_transactions_use_four_ids),
		PRODUCER(test_a10_the_last_epoch_is_followed_by_a_new_id),
		PRODUCER(test_a10_a_timeout_with_the_last_epoch_is_not_stuck),
		PRODUCER(test_a11_a_commit_that_lost_the_race_with_the_timeout_is_fenced),
		PRODUCER(test_a11_a_timeout_counts_from_the_first_partition),
		PRODUCER(test_a12_an_id_with_an_open_transaction_never_expires),
		PRODUCER(test_a12_the_older_of_two_instances_does_not_outlive_expiry),
		PRODUCER(test_a12_who_did_not_learn_of_its_newest_pair_may_come_back_too),
		PRODUCER(test_a12_an_id_that_comes_back_has_another_producer_id),
		PRODUCER(test_a12_what_an_expired_id_left_behind_goes_in_the_end),
		PRODUCER(test_a13_a_repeated_init_gets_the_first_answer),
		PRODUCER(test_a13_a_new_instance_forgets_the_last_pair_of_the_old_one),
		PRODUCER(test_a13_a_late_init_does_not_abort_the_open_transaction),
		PRODUCER(test_a13_a_repeated_init_leaves_the_last_outcome),
		PRODUCER(test_a14_init_within_a_transaction_aborts_it_and_says_so),
		PRODUCER(test_a15_after_a_power_loss_every_pair_is_fenced),
		PRODUCER(test_a15_an_id_that_has_expired_is_not_fenced),
		PRODUCER(test_a17_the_markers_of_a_fenced_instance_outrank_its_epoch),
		PRODUCER(test_a20_a_producer_of_version_2_aborts_what_timed_out_and_goes_on),
		PRODUCER(test_a20_a_producer_resumes_after_a_timeout),
		FRESH(test_a20_old_versions_are_told_what_they_know),
		PRODUCER(test_a21_an_id_that_was_given_out_leaves_the_stock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What requests make of the transactions of one producer: what is added, what an end names, what is repeated or late, and
 * the two versions of the protocol side by side. Entries of docs/transactions.md have their number in the name. */
#include "transaction_rig.h"

static void a_transaction_of_version_1_keeps_the_epoch(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_true(w->fx.is_changed);
	assert_state(w, TRANSACTION_ONGOING);
	assert_int_equal(produce(w, 1, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_NONE);
	assert_ended(w, COMMIT, 100, 0);
	assert_int_equal(w->fx.ended.partition_count, 1);
	assert_int_equal(w->fx.ended.partitions[0], 7);
	assert_answer(w, 100, 0);
	assert_state(w, TRANSACTION_COMPLETE_COMMIT);
	assert_int_equal(add(w, 100, 0, 8), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, ABORT), ERR_NONE);
	assert_ended(w, ABORT, 100, 0);
	assert_state(w, TRANSACTION_COMPLETE_ABORT);
}

static void a_transaction_of_version_2_ends_with_the_next_epoch(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_true(w->fx.is_changed);
	assert_int_equal(produce(w, 2, 100, 0, 3), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_nothing_written(w);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_ended(w, COMMIT, 100, 1);
	assert_int_equal(w->fx.ended.partition_count, 2);
	assert_int_equal(w->fx.ended.partitions[0], 3);
	assert_int_equal(w->fx.ended.partitions[1], 7);
	assert_answer(w, 100, 1);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 1, ABORT), ERR_NONE);
	assert_ended(w, ABORT, 100, 2);
	assert_answer(w, 100, 2);
}

static void adding_what_is_there_writes_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_nothing_written(w);
	assert_state(w, TRANSACTION_ONGOING);
}

static void partitions_that_are_named_twice_are_added_once(void **state)
{
	struct world *w = *state;
	struct transaction_claim claim = claim_of(100, 0, 1);
	const uint32_t first[] = {9, 3, 9}, second[] = {5, 3, 1, 12, 5};

	assert_int_equal(transaction_add_partitions(&w->t, &claim, first, 3, 1, &w->fx), ERR_NONE);
	assert_int_equal(transaction_add_partitions(&w->t, &claim, second, 5, 2, &w->fx), ERR_NONE);
	const uint32_t all[] = {1, 3, 5, 9, 12};
	assert_int_equal(w->t.parts.partition_count, 5);
	assert_memory_equal(w->t.parts.partitions, all, sizeof all);
}

static void a_transaction_has_a_bounded_number_of_partitions(void **state)
{
	struct world *w = *state;
	struct transaction_claim claim = claim_of(100, 0, 1);
	uint32_t *ids = calloc(TRANSACTION_PARTITIONS_MAX, sizeof *ids);

	for (uint32_t i = 0; i < TRANSACTION_PARTITIONS_MAX; i++)
		ids[i] = 2 * i;
	assert_int_equal(transaction_add_partitions(&w->t, &claim, ids, TRANSACTION_PARTITIONS_MAX,
						    1, &w->fx),
			 ERR_NONE);
	store_and_load(w);
	free(ids);
	assert_int_equal(add(w, 100, 0, 8), ERR_NONE);
	assert_int_equal(add(w, 100, 0, 7), ERR_POLICY_VIOLATION);
	assert_nothing_written(w);
	assert_int_equal(w->t.parts.partition_count, TRANSACTION_PARTITIONS_MAX);
}

static void groups_are_added_and_handed_out_at_the_end(void **state)
{
	struct world *w = *state;
	bool is_new = false;
	struct transaction_claim v1 = claim_of(100, 0, 1);

	assert_int_equal(transaction_check_group(&w->t, &v1, slice_str("g"), &is_new),
			 ERR_TRANSACTION_ABORTABLE);
	assert_int_equal(add_group(w, 1, "g"), ERR_NONE);
	assert_int_equal(add_group(w, 1, "a longer name"), ERR_NONE);
	assert_int_equal(add_group(w, 1, "g"), ERR_NONE);
	assert_nothing_written(w);
	assert_int_equal(transaction_check_group(&w->t, &v1, slice_str("g"), &is_new), ERR_NONE);
	assert_false(is_new);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(w->fx.ended.group_count, 2);
	assert_int_equal(w->fx.ended.groups[0].len, 13);
	assert_memory_equal(w->fx.ended.groups[0].name, "a longer name", 13);
	assert_int_equal(w->t.parts.group_count, 0);
}

static void the_first_offset_of_a_group_adds_it_in_version_2(void **state)
{
	struct world *w = *state;
	bool is_new = false;
	struct transaction_claim v2 = claim_of(100, 0, 2);

	assert_int_equal(transaction_check_group(&w->t, &v2, slice_str("g"), &is_new), ERR_NONE);
	assert_true(is_new);
	assert_int_equal(add_group(w, 2, "g"), ERR_NONE);
	assert_true(w->fx.is_changed);
	assert_state(w, TRANSACTION_ONGOING);
	assert_int_equal(transaction_check_group(&w->t, &v2, slice_str("g"), &is_new), ERR_NONE);
	assert_false(is_new);
}

static void groups_are_bounded_in_number_and_length(void **state)
{
	struct world *w = *state;
	char name[TRANSACTION_GROUP_NAME_MAX + 2];

	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = 0;
	assert_int_equal(add_group(w, 1, name), ERR_INVALID_GROUP_ID);
	assert_int_equal(add_group(w, 1, ""), ERR_INVALID_GROUP_ID);
	assert_state(w, TRANSACTION_EMPTY);
	for (int i = 0; i < TRANSACTION_GROUPS_MAX; i++) {
		name[0] = (char)('A' + i / 26);
		name[1] = (char)('A' + i % 26);
		name[TRANSACTION_GROUP_NAME_MAX] = 0;
		assert_int_equal(add_group(w, 1, name), ERR_NONE);
	}
	assert_int_equal(add_group(w, 1, "one more"), ERR_POLICY_VIOLATION);
	assert_int_equal(w->t.parts.group_count, TRANSACTION_GROUPS_MAX);
}

static void to_add_nothing_begins_nothing(void **state)
{
	struct world *w = *state;
	struct transaction_claim claim = claim_of(100, 0, 1);

	assert_int_equal(transaction_add_partitions(&w->t, &claim, NULL, 0, 1, &w->fx), ERR_NONE);
	assert_nothing_written(w);
	assert_state(w, TRANSACTION_EMPTY);
}

static void a_copy_shares_nothing_with_the_original(void **state)
{
	struct world *w = *state;
	struct transaction copy;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(add_group(w, 1, "g"), ERR_NONE);
	transaction_copy(&copy, &w->t);
	assert_int_equal(add(w, 100, 0, 8), ERR_NONE);
	assert_int_equal(add_group(w, 1, "h"), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(copy.state, TRANSACTION_ONGOING);
	assert_int_equal(copy.parts.partition_count, 1);
	assert_true(transaction_parts_has_partition(&copy.parts, 7));
	assert_int_equal(copy.parts.group_count, 1);
	assert_true(transaction_parts_has_group(&copy.parts, slice_str("g")));
	transaction_fini(&copy);
	assert_int_equal(copy.producer_id, -1);
}

static void test_a1_a_late_end_of_version_2_does_not_end_the_next_transaction(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_PRODUCER_FENCED);
	assert_nothing_written(w);
	assert_int_equal(end(w, 2, 100, 0, ABORT), ERR_PRODUCER_FENCED);
	assert_nothing_written(w);
	assert_state(w, TRANSACTION_ONGOING);
}

static void test_a2_a_late_batch_joins_no_later_transaction(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, ABORT), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_PRODUCER_FENCED);
	assert_int_equal(produce(w, 2, 100, 1, 7), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_PRODUCER_FENCED);
	assert_nothing_written(w);
}

static void test_a2_a_late_batch_of_version_1_begins_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, ABORT), ERR_NONE);
	assert_int_equal(produce(w, 1, 100, 0, 7), ERR_TRANSACTION_ABORTABLE);
	assert_nothing_written(w);
	assert_int_equal(add(w, 100, 0, 8), ERR_NONE);
	assert_int_equal(produce(w, 1, 100, 0, 7), ERR_TRANSACTION_ABORTABLE);
	assert_nothing_written(w);
}

static void test_a3_a_partition_that_version_1_never_added_takes_no_batch(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 1, 100, 0, 7), ERR_TRANSACTION_ABORTABLE);
	assert_state(w, TRANSACTION_EMPTY);
	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(produce(w, 1, 100, 0, 7), ERR_NONE);
	assert_int_equal(produce(w, 1, 100, 0, 6), ERR_TRANSACTION_ABORTABLE);
	assert_int_equal(w->t.parts.partition_count, 1);
}

static void test_a3_the_first_batch_of_version_2_adds_its_partition(void **state)
{
	struct world *w = *state;
	struct transaction_claim claim = claim_of(100, 0, 2);
	bool is_new = false;

	assert_int_equal(transaction_check_partition(&w->t, &claim, 7, &is_new), ERR_NONE);
	assert_true(is_new);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_true(transaction_parts_has_partition(&w->t.parts, 7));
	assert_int_equal(transaction_check_partition(&w->t, &claim, 7, &is_new), ERR_NONE);
	assert_false(is_new);
}

static void test_a4_an_end_names_every_partition_and_group_at_once(void **state)
{
	struct world *w = *state;

	for (int version = 1; version <= 2; version++) {
		int epoch = w->t.producer_epoch;
		for (uint32_t partition = 0; partition < 8; partition++) {
			if (version == 1)
				assert_int_equal(add(w, 100, epoch, partition), ERR_NONE);
			assert_int_equal(produce(w, version, 100, epoch, partition), ERR_NONE);
		}
		assert_int_equal(add_group(w, version, "g"), ERR_NONE);
		assert_int_equal(end(w, version, 100, epoch, version == 1 ? COMMIT : ABORT),
				 ERR_NONE);
		assert_ended(w, version == 1 ? COMMIT : ABORT, 100, version == 1 ? 0 : 1);
		assert_int_equal(w->fx.ended.partition_count, 8);
		for (uint32_t partition = 0; partition < 8; partition++)
			assert_int_equal(w->fx.ended.partitions[partition], partition);
		assert_int_equal(w->fx.ended.group_count, 1);
		assert_true(transaction_parts_is_empty(&w->t.parts));
		assert_int_equal(resume(w, 100, w->t.producer_epoch), ERR_NONE);
		at_epoch(w, 0);
	}
}

static void test_a7_a_repeated_end_is_answered_as_the_first_time(void **state)
{
	struct world *w = *state;

	for (int commit = 0; commit < 2; commit++) {
		int epoch = w->t.producer_epoch;
		assert_int_equal(produce(w, 2, 100, epoch, 7), ERR_NONE);
		assert_int_equal(end(w, 2, 100, epoch, commit), ERR_NONE);
		for (int again = 0; again < 3; again++) {
			assert_int_equal(end(w, 2, 100, epoch, commit), ERR_NONE);
			assert_nothing_written(w);
			assert_answer(w, 100, epoch + 1);
			assert_int_equal(end(w, 2, 100, epoch, !commit), ERR_INVALID_TXN_STATE);
			assert_nothing_written(w);
		}
	}
	for (int commit = 0; commit < 2; commit++) {
		int epoch = w->t.producer_epoch;
		assert_int_equal(add(w, 100, epoch, 7), ERR_NONE);
		assert_int_equal(end(w, 1, 100, epoch, commit), ERR_NONE);
		assert_int_equal(end(w, 1, 100, epoch, commit), ERR_NONE);
		assert_nothing_written(w);
		assert_int_equal(end(w, 1, 100, epoch, !commit), ERR_INVALID_TXN_STATE);
		assert_nothing_written(w);
	}
}

static void test_a8_a_commit_of_nothing_is_no_commit(void **state)
{
	struct world *w = *state;

	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_INVALID_TXN_STATE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_INVALID_TXN_STATE);
	assert_nothing_written(w);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	/* The next one, before its records came; not the last one again. */
	assert_int_equal(end(w, 2, 100, 1, COMMIT), ERR_INVALID_TXN_STATE);
	assert_int_equal(end(w, 1, 100, 1, COMMIT), ERR_INVALID_TXN_STATE);
	assert_nothing_written(w);
}

static void test_a9_the_next_transaction_begins_at_once_and_has_nothing_of_the_last(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_NONE);
	assert_int_equal(add(w, 100, 0, 8), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 0, ABORT), ERR_NONE);
	assert_int_equal(w->fx.ended.partition_count, 1);
	assert_int_equal(w->fx.ended.partitions[0], 8);
}

static void test_a15_the_beginning_of_a_transaction_is_to_be_written(void **state)
{
	struct world *w = *state;

	for (int version = 1; version <= 2; version++) {
		int epoch = w->t.producer_epoch;
		if (version == 1)
			assert_int_equal(add(w, 100, epoch, 7), ERR_NONE);
		else
			assert_int_equal(produce(w, 2, 100, epoch, 7), ERR_NONE);
		assert_true(w->fx.is_changed);
		assert_int_equal(init(w), ERR_NONE);
	}
}

static void test_a18_to_abort_nothing_succeeds_in_version_2(void **state)
{
	struct world *w = *state;

	for (int epoch = 0; epoch < 3; epoch++) {
		assert_int_equal(end(w, 2, 100, epoch, ABORT), ERR_NONE);
		assert_true(w->fx.is_changed);
		assert_false(w->fx.is_ended);
		assert_answer(w, 100, epoch + 1);
		assert_int_equal(end(w, 2, 100, epoch, ABORT), ERR_NONE);
		assert_answer(w, 100, epoch + 1);
		assert_nothing_written(w);
	}
	assert_int_equal(end(w, 1, 100, 3, ABORT), ERR_INVALID_TXN_STATE);
	/* And whatever was queued under the old epoch is refused. */
	assert_int_equal(produce(w, 2, 100, 2, 7), ERR_PRODUCER_FENCED);
}

static void test_a19_version_2_adds_nothing_to_a_transaction_of_version_1(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 8), ERR_INVALID_TXN_STATE);
	assert_int_equal(add_group(w, 2, "g"), ERR_INVALID_TXN_STATE);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_NONE);
	/* Its epoch is used up for version 2. */
	assert_int_equal(produce(w, 2, 100, 0, 8), ERR_INVALID_TXN_STATE);
	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 1, 8), ERR_NONE);
}

static void test_a19_version_2_may_end_what_version_1_began_and_moves_on(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, 100, 0, 7), ERR_NONE);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
	assert_ended(w, COMMIT, 100, 1);
	assert_answer(w, 100, 1);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_PRODUCER_FENCED);
	assert_int_equal(end(w, 1, 100, 1, COMMIT), ERR_INVALID_TXN_STATE);
	assert_int_equal(produce(w, 2, 100, 1, 8), ERR_NONE);
}

static void test_a19_version_1_neither_adds_to_nor_ends_a_transaction_of_version_2(void **state)
{
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 7), ERR_NONE);
	assert_int_equal(add(w, 100, 0, 8), ERR_INVALID_TXN_STATE);
	assert_int_equal(end(w, 1, 100, 0, COMMIT), ERR_INVALID_TXN_STATE);
	assert_int_equal(end(w, 1, 100, 0, ABORT), ERR_INVALID_TXN_STATE);
	assert_state(w, TRANSACTION_ONGOING);
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_NONE);
}

static void test_a19_a_repeated_end_is_one_of_the_version_that_ended_it(void **state)
{
	struct world *w = *state;

	assert_int_equal(resume(w, 100, 0), ERR_NONE);
	assert_int_equal(add(w, 100, 1, 7), ERR_NONE);
	assert_int_equal(end(w, 1, 100, 1, COMMIT), ERR_NONE);
	/* 100, 0 is the last pair, and was no transaction's. */
	assert_int_equal(end(w, 2, 100, 0, COMMIT), ERR_PRODUCER_FENCED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PRODUCER(a_transaction_of_version_1_keeps_the_epoch),
		PRODUCER(a_transaction_of_version_2_ends_with_the_next_epoch),
		PRODUCER(adding_what_is_there_writes_nothing),
		PRODUCER(partitions_that_are_named_twice_are_added_once),
		PRODUCER(a_transaction_has_a_bounded_number_of_partitions),
		PRODUCER(groups_are_added_and_handed_out_at_the_end),
		PRODUCER(the_first_offset_of_a_group_adds_it_in_version_2),
		PRODUCER(groups_are_bounded_in_number_and_length),
		PRODUCER(to_add_nothing_begins_nothing),
		PRODUCER(a_copy_shares_nothing_with_the_original),
		PRODUCER(test_a1_a_late_end_of_version_2_does_not_end_the_next_transaction),
		PRODUCER(test_a2_a_late_batch_joins_no_later_transaction),
		PRODUCER(test_a2_a_late_batch_of_version_1_begins_nothing),
		PRODUCER(test_a3_a_partition_that_version_1_never_added_takes_no_batch),
		PRODUCER(test_a3_the_first_batch_of_version_2_adds_its_partition),
		PRODUCER(test_a4_an_end_names_every_partition_and_group_at_once),
		PRODUCER(test_a7_a_repeated_end_is_answered_as_the_first_time),
		PRODUCER(test_a8_a_commit_of_nothing_is_no_commit),
		PRODUCER(test_a9_the_next_transaction_begins_at_once_and_has_nothing_of_the_last),
		PRODUCER(test_a15_the_beginning_of_a_transaction_is_to_be_written),
		PRODUCER(test_a18_to_abort_nothing_succeeds_in_version_2),
		PRODUCER(test_a19_version_2_adds_nothing_to_a_transaction_of_version_1),
		PRODUCER(test_a19_version_2_may_end_what_version_1_began_and_moves_on),
		PRODUCER(test_a19_version_1_neither_adds_to_nor_ends_a_transaction_of_version_2),
		PRODUCER(test_a19_a_repeated_end_is_one_of_the_version_that_ended_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

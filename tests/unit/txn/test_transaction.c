/* What each request makes of a transactional id: one story per entry of docs/transactions.md, and the rules between them.
 * Every value goes through its stored form after each step, as if the broker had just started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "txn/transaction.h"

#define TIMEOUT_MS     60000
#define TIMEOUT_MAX_MS 900000
#define EXPIRATION_MS  604800000
#define LAST_EPOCH     32766
#define COMMIT         true
#define ABORT          false

/* One transactional id, its clock, and the stock of producer ids. */
struct world {
	struct transaction t;
	struct transaction_effects fx; /* of the last step */
	int64_t now_ms;
	int64_t next_id; /* 100, 101, ... */
};

/* What a start would read: unchanged, if the step said that nothing is to be written. */
static void store_and_load(struct world *w)
{
	struct transaction read = TRANSACTION_NONE;
	struct buf value = {0};

	if (w->fx.used_id)
		w->next_id++;
	if (w->t.producer_id < 0)
		return;
	value_transaction(&w->t, &value);
	assert_true(value_transaction_decode(buf_slice(&value), &read));
	buf_fini(&value);
	transaction_fini(&w->t);
	w->t = read;
}

static void forget_effects(struct world *w)
{
	transaction_effects_fini(&w->fx);
	w->fx = (struct transaction_effects){0};
}

static enum ks_err init_with(struct world *w, int64_t id, int epoch, int timeout_ms)
{
	struct transaction_init init = {
		.producer_id = id,
		.producer_epoch = (int16_t)epoch,
		.timeout_ms = timeout_ms,
		.timeout_max_ms = TIMEOUT_MAX_MS,
		.new_producer_id = w->next_id,
		.now_ms = w->now_ms,
	};

	forget_effects(w);
	enum ks_err err = transaction_init_producer(&w->t, &init, &w->fx);
	store_and_load(w);
	return err;
}

/* A new instance. */
static enum ks_err init(struct world *w)
{
	return init_with(w, -1, -1, TIMEOUT_MS);
}

/* An instance that goes on. */
static enum ks_err resume(struct world *w, int64_t id, int epoch)
{
	return init_with(w, id, epoch, TIMEOUT_MS);
}

static struct transaction_claim claim_of(int64_t id, int epoch, int version)
{
	return (struct transaction_claim){id, (int16_t)epoch, (uint8_t)version};
}

/* AddPartitionsToTxn. */
static enum ks_err add(struct world *w, int64_t id, int epoch, uint32_t partition)
{
	struct transaction_claim claim = claim_of(id, epoch, 1);

	forget_effects(w);
	enum ks_err err =
		transaction_add_partitions(&w->t, &claim, &partition, 1, w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

/* A batch, as the shard appends it: whatever has to be added first is. */
static enum ks_err produce(struct world *w, int version, int64_t id, int epoch, uint32_t partition)
{
	struct transaction_claim claim = claim_of(id, epoch, version);
	bool is_new = false;

	forget_effects(w);
	enum ks_err err = transaction_check_partition(&w->t, &claim, partition, &is_new);
	if (err || !is_new)
		return err;
	err = transaction_add_partitions(&w->t, &claim, &partition, 1, w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

static enum ks_err end(struct world *w, int version, int64_t id, int epoch, bool is_commit)
{
	struct transaction_claim claim = claim_of(id, epoch, version);

	forget_effects(w);
	enum ks_err err = transaction_end(&w->t, &claim, is_commit, w->next_id, w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

static void time_out(struct world *w)
{
	forget_effects(w);
	w->now_ms = transaction_deadline(&w->t);
	transaction_abort(&w->t, w->now_ms, &w->fx);
	store_and_load(w);
}

static void expire(struct world *w)
{
	forget_effects(w);
	w->now_ms = transaction_expiry(&w->t, EXPIRATION_MS);
	transaction_expire(&w->t, w->now_ms, &w->fx);
	store_and_load(w);
}

/* The last step changed nothing, answered or not. */
static void assert_nothing_written(const struct world *w)
{
	assert_false(w->fx.is_changed);
	assert_false(w->fx.is_ended);
	assert_false(w->fx.used_id);
}

static void assert_answer(const struct world *w, int64_t id, int epoch)
{
	assert_int_equal(w->fx.producer_id, id);
	assert_int_equal(w->fx.producer_epoch, epoch);
}

static void assert_ended(const struct world *w, bool is_commit, int64_t id, int epoch)
{
	assert_true(w->fx.is_changed);
	assert_true(w->fx.is_ended);
	assert_int_equal(w->fx.is_committed, is_commit);
	assert_int_equal(w->fx.marker_producer_id, id);
	assert_int_equal(w->fx.marker_epoch, epoch);
}

static void assert_state(const struct world *w, enum transaction_state state)
{
	assert_int_equal(w->t.state, state);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	w->t = TRANSACTION_NONE;
	w->now_ms = 1000000;
	w->next_id = 100;
	*state = w;
	return 0;
}

/* Its producer has the pair 100, 0. */
static int set_up_producer(void **state)
{
	set_up(state);
	return init(*state);
}

/* As that one, with the pair 100, epoch. */
static void at_epoch(struct world *w, int epoch)
{
	w->t.producer_epoch = (int16_t)epoch;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	transaction_fini(&w->t);
	transaction_effects_fini(&w->fx);
	free(w);
	return 0;
}

/* --- the ordinary course --- */

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

static enum ks_err add_group(struct world *w, int version, const char *name)
{
	struct transaction_claim claim = claim_of(100, 0, version);

	forget_effects(w);
	enum ks_err err = transaction_add_group(&w->t, &claim, slice_str(name), w->now_ms, &w->fx);
	store_and_load(w);
	return err;
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

static void states_have_kafkas_names(void **state)
{
	(void)state;
	assert_string_equal(transaction_state_name(TRANSACTION_EMPTY), "Empty");
	assert_string_equal(transaction_state_name(TRANSACTION_ONGOING), "Ongoing");
	assert_string_equal(transaction_state_name(TRANSACTION_COMPLETE_COMMIT), "CompleteCommit");
	assert_string_equal(transaction_state_name(TRANSACTION_COMPLETE_ABORT), "CompleteAbort");
	assert_string_equal(transaction_state_name(TRANSACTION_DEAD), "Dead");
	assert_string_equal(transaction_state_name((enum transaction_state)2), "Unknown");
}

/* --- A: coordinator and producer sessions --- */

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

static void assert_is_a_zombie(struct world *w, int64_t id, int epoch, enum ks_err err)
{
	struct transaction before;

	transaction_copy(&before, &w->t);
	for (int version = 1; version <= 2; version++) {
		assert_int_equal(produce(w, version, id, epoch, 7), err);
		assert_int_equal(end(w, version, id, epoch, COMMIT), err);
		assert_int_equal(end(w, version, id, epoch, ABORT), err);
	}
	assert_int_equal(add(w, id, epoch, 7), err);
	assert_int_equal(resume(w, id, epoch), ERR_PRODUCER_FENCED);
	assert_nothing_written(w);
	assert_int_equal(w->t.producer_epoch, before.producer_epoch);
	assert_int_equal(w->t.state, before.state);
	transaction_fini(&before);
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

/* --- as it is stored --- */

static void a_key_holds_the_transactional_id(void **state)
{
	struct buf key = {0};
	struct slice id;

	(void)state;
	key_transaction(slice_str("my-app-0"), &key);
	assert_int_equal(key.len, 9);
	assert_memory_equal(key.data, "tmy-app-0", 9);
	assert_true(key_transaction_decode(buf_slice(&key), &id));
	assert_true(slice_equal(id, slice_str("my-app-0")));
	assert_false(key_transaction_decode(slice_str("t"), &id));
	assert_false(key_transaction_decode(slice_str("p123"), &id));
	buf_clear(&key);
	buf_append_u8(&key, 't');
	for (int i = 0; i < TRANSACTIONAL_ID_MAX; i++)
		buf_append_u8(&key, 'x');
	assert_true(key_transaction_decode(buf_slice(&key), &id));
	assert_int_equal(id.len, TRANSACTIONAL_ID_MAX);
	buf_append_u8(&key, 'x');
	assert_false(key_transaction_decode(buf_slice(&key), &id));
	buf_fini(&key);
}

static void a_value_has_the_bytes_that_the_documentation_says(void **state)
{
	static const uint8_t expected[] = {
		1, 1, 2,    0, /* version, Ongoing, protocol 2, not fenced */
		0, 0, 0,    0,    0,   0,    0,    100,  0, 5,       /* pair */
		0, 0, 0,    0,    0,   0,    0,    99,   0, 4,       /* last pair */
		0, 0, 0xea, 0x60,                                    /* timeout: 60,000 */
		0, 0, 0,    0,    0,   0x0f, 0x42, 0x40,             /* begun: 1,000,000 */
		0, 0, 0,    0,    0,   0x0f, 0x42, 0x41,             /* changed: 1,000,001 */
		0, 0, 0,    2,    0,   0,    0,    3,    0, 0, 1, 0, /* partitions 3 and 256 */
		0, 1, 0,    1,    'g',                               /* group g */
	};
	struct transaction t = TRANSACTION_NONE, read = TRANSACTION_NONE;
	struct buf value = {0};

	(void)state;
	assert_true(value_transaction_decode(slice_of(expected, sizeof expected), &t));
	assert_int_equal(t.state, TRANSACTION_ONGOING);
	assert_int_equal(t.producer_id, 100);
	assert_int_equal(t.producer_epoch, 5);
	assert_int_equal(t.last_producer_id, 99);
	assert_int_equal(t.last_producer_epoch, 4);
	assert_int_equal(t.timeout_ms, 60000);
	assert_int_equal(t.start_ms, 1000000);
	assert_int_equal(t.update_ms, 1000001);
	assert_true(transaction_parts_has_partition(&t.parts, 256));
	assert_true(transaction_parts_has_group(&t.parts, slice_str("g")));
	value_transaction(&t, &value);
	assert_int_equal(value.len, sizeof expected);
	assert_memory_equal(value.data, expected, sizeof expected);
	for (size_t len = 0; len < sizeof expected; len++)
		assert_false(value_transaction_decode(slice_of(expected, len), &read));
	buf_append_u8(&value, 0);
	assert_false(value_transaction_decode(buf_slice(&value), &read));
	buf_fini(&value);
	transaction_fini(&t);
}

static void a_damaged_value_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} damages[] = {
		{0, 2},     /* another version */
		{1, 2},     /* a state that there is not */
		{1, 0},     /* Empty, with partitions */
		{1, 200},   /* far outside */
		{2, 3},     /* protocol */
		{2, 0},     /* Ongoing, without a protocol */
		{3, 1},     /* Ongoing, and fenced */
		{3, 2},     /* no boolean */
		{4, 0x80},  /* producer id below 0 */
		{12, 0x80}, /* epoch below 0 */
		{14, 0xff}, /* last id below 0, and its epoch not */
		{24, 0x80}, /* timeout below 0 */
		{28, 0xff}, /* Ongoing, and never begun */
		{44, 0x7f}, /* many partitions */
		{55, 3},    /* partition 3 twice: see below */
		{57, 9},    /* more groups than there are */
		{59, 9},    /* a name that is too long for the value */
		{59, 0},    /* a group without a name */
	};
	struct transaction t = TRANSACTION_NONE;
	struct buf value = {0};
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 3), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 4), ERR_NONE);
	assert_int_equal(add_group(w, 2, "g"), ERR_NONE);
	w->t.last_producer_id = 1;
	w->t.last_producer_epoch = 1;
	value_transaction(&w->t, &value);
	assert_true(value_transaction_decode(buf_slice(&value), &t));
	transaction_fini(&t);
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		uint8_t *byte = &value.data[damages[i].at], before = *byte;
		*byte = damages[i].byte;
		if (value_transaction_decode(buf_slice(&value), &t))
			fail_msg("byte %zu = %u was accepted", damages[i].at, damages[i].byte);
		*byte = before;
	}
	/* Ongoing, with the epoch that no client has. */
	put_u16be(value.data + 12, 32767);
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	buf_fini(&value);
}

static void groups_that_are_stored_out_of_order_are_refused(void **state)
{
	struct world *w = *state;
	struct transaction t = TRANSACTION_NONE;
	struct buf value = {0};

	assert_int_equal(add_group(w, 1, "a"), ERR_NONE);
	assert_int_equal(add_group(w, 1, "b"), ERR_NONE);
	value_transaction(&w->t, &value);
	uint8_t *a = &value.data[value.len - 4], *b = &value.data[value.len - 1];
	assert_int_equal(*a, 'a');
	assert_int_equal(*b, 'b');
	*a = 'c';
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	*a = 'b';
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	*a = 'a';
	assert_true(value_transaction_decode(buf_slice(&value), &t));
	transaction_fini(&t);
	buf_fini(&value);
}

#define FRESH(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define PRODUCER(f) cmocka_unit_test_setup_teardown(f, set_up_producer, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_new_id_gets_a_producer_id_and_epoch_0),
		PRODUCER(a_transaction_of_version_1_keeps_the_epoch),
		PRODUCER(a_transaction_of_version_2_ends_with_the_next_epoch),
		PRODUCER(adding_what_is_there_writes_nothing),
		PRODUCER(partitions_that_are_named_twice_are_added_once),
		PRODUCER(a_transaction_has_a_bounded_number_of_partitions),
		PRODUCER(groups_are_added_and_handed_out_at_the_end),
		PRODUCER(the_first_offset_of_a_group_adds_it_in_version_2),
		PRODUCER(groups_are_bounded_in_number_and_length),
		FRESH(an_unknown_id_answers_nothing_but_init),
		FRESH(init_refuses_what_it_cannot_do),
		FRESH(an_unknown_id_takes_whoever_comes_with_a_pair),
		PRODUCER(to_add_nothing_begins_nothing),
		PRODUCER(a_copy_shares_nothing_with_the_original),
		FRESH(states_have_kafkas_names),
		PRODUCER(test_a1_a_late_end_of_version_2_does_not_end_the_next_transaction),
		PRODUCER(test_a2_a_late_batch_joins_no_later_transaction),
		PRODUCER(test_a2_a_late_batch_of_version_1_begins_nothing),
		PRODUCER(test_a3_a_partition_that_version_1_never_added_takes_no_batch),
		PRODUCER(test_a3_the_first_batch_of_version_2_adds_its_partition),
		PRODUCER(test_a4_an_end_names_every_partition_and_group_at_once),
		PRODUCER(test_a5_a_replaced_instance_can_do_nothing),
		PRODUCER(test_a5_a_new_instance_aborts_what_the_old_one_had_open),
		PRODUCER(test_a5_a_replaced_instance_commits_no_offsets),
		PRODUCER(test_a7_a_repeated_end_is_answered_as_the_first_time),
		PRODUCER(test_a8_a_commit_of_nothing_is_no_commit),
		PRODUCER(test_a9_the_next_transaction_begins_at_once_and_has_nothing_of_the_last),
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
		PRODUCER(test_a15_the_beginning_of_a_transaction_is_to_be_written),
		PRODUCER(test_a17_the_markers_of_a_fenced_instance_outrank_its_epoch),
		PRODUCER(test_a18_to_abort_nothing_succeeds_in_version_2),
		PRODUCER(test_a19_version_2_adds_nothing_to_a_transaction_of_version_1),
		PRODUCER(test_a19_version_2_may_end_what_version_1_began_and_moves_on),
		PRODUCER(test_a19_version_1_neither_adds_to_nor_ends_a_transaction_of_version_2),
		PRODUCER(test_a19_a_repeated_end_is_one_of_the_version_that_ended_it),
		PRODUCER(test_a20_a_producer_of_version_2_aborts_what_timed_out_and_goes_on),
		PRODUCER(test_a20_a_producer_resumes_after_a_timeout),
		FRESH(test_a20_old_versions_are_told_what_they_know),
		PRODUCER(test_a21_an_id_that_was_given_out_leaves_the_stock),
		FRESH(a_key_holds_the_transactional_id),
		FRESH(a_value_has_the_bytes_that_the_documentation_says),
		PRODUCER(a_damaged_value_is_refused),
		PRODUCER(groups_that_are_stored_out_of_order_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

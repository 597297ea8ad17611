/* transaction_rig.h - one transactional id, its clock, and the requests that come to it.
 *
 * Every value goes through its stored form after each step, as if the broker had just started.
 */
#ifndef TESTS_UNIT_TXN_TRANSACTION_RIG_H
#define TESTS_UNIT_TXN_TRANSACTION_RIG_H

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
static inline void store_and_load(struct world *w)
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

static inline void forget_effects(struct world *w)
{
	transaction_effects_fini(&w->fx);
	w->fx = (struct transaction_effects){0};
}

static inline enum ks_err init_with(struct world *w, int64_t id, int epoch, int timeout_ms)
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
static inline enum ks_err init(struct world *w)
{
	return init_with(w, -1, -1, TIMEOUT_MS);
}

/* An instance that goes on. */
static inline enum ks_err resume(struct world *w, int64_t id, int epoch)
{
	return init_with(w, id, epoch, TIMEOUT_MS);
}

static inline struct transaction_claim claim_of(int64_t id, int epoch, int version)
{
	return (struct transaction_claim){id, (int16_t)epoch, (uint8_t)version};
}

/* AddPartitionsToTxn. */
static inline enum ks_err add(struct world *w, int64_t id, int epoch, uint32_t partition)
{
	struct transaction_claim claim = claim_of(id, epoch, 1);

	forget_effects(w);
	enum ks_err err =
		transaction_add_partitions(&w->t, &claim, &partition, 1, w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

/* A batch, as the shard appends it: whatever has to be added first is. */
static inline enum ks_err produce(struct world *w, int version, int64_t id, int epoch,
				  uint32_t partition)
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

static inline enum ks_err end(struct world *w, int version, int64_t id, int epoch, bool is_commit)
{
	struct transaction_claim claim = claim_of(id, epoch, version);

	forget_effects(w);
	enum ks_err err = transaction_end(&w->t, &claim, is_commit, w->next_id, w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

static inline void time_out(struct world *w)
{
	forget_effects(w);
	w->now_ms = transaction_deadline(&w->t);
	transaction_abort(&w->t, w->now_ms, &w->fx);
	store_and_load(w);
}

/* A power loss may have taken something. */
static inline void fence(struct world *w)
{
	forget_effects(w);
	transaction_fence(&w->t, w->now_ms, &w->fx);
	store_and_load(w);
}

static inline void expire(struct world *w)
{
	forget_effects(w);
	w->now_ms = transaction_expiry(&w->t, EXPIRATION_MS);
	transaction_expire(&w->t, w->now_ms, &w->fx);
	store_and_load(w);
}

/* The last step changed nothing, answered or not. */
static inline void assert_nothing_written(const struct world *w)
{
	assert_false(w->fx.is_changed);
	assert_false(w->fx.is_ended);
	assert_false(w->fx.used_id);
}

static inline void assert_answer(const struct world *w, int64_t id, int epoch)
{
	assert_int_equal(w->fx.producer_id, id);
	assert_int_equal(w->fx.producer_epoch, epoch);
}

static inline void assert_ended(const struct world *w, bool is_commit, int64_t id, int epoch)
{
	assert_true(w->fx.is_changed);
	assert_true(w->fx.is_ended);
	assert_int_equal(w->fx.is_committed, is_commit);
	assert_int_equal(w->fx.marker_producer_id, id);
	assert_int_equal(w->fx.marker_epoch, epoch);
}

static inline void assert_state(const struct world *w, enum transaction_state state)
{
	assert_int_equal(w->t.state, state);
}

static inline int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	w->t = TRANSACTION_NONE;
	w->now_ms = 1000000;
	w->next_id = 100;
	*state = w;
	return 0;
}

/* Its producer has the pair 100, 0. */
static inline int set_up_producer(void **state)
{
	set_up(state);
	return init(*state);
}

/* As that one, with the pair 100, epoch. */
static inline void at_epoch(struct world *w, int epoch)
{
	w->t.producer_epoch = (int16_t)epoch;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	transaction_fini(&w->t);
	transaction_effects_fini(&w->fx);
	free(w);
	return 0;
}

static inline enum ks_err add_group(struct world *w, int version, const char *name)
{
	struct transaction_claim claim = claim_of(100, 0, version);

	forget_effects(w);
	enum ks_err err = transaction_add_group(&w->t, &claim, slice_str(name), w->now_ms, &w->fx);
	store_and_load(w);
	return err;
}

static inline void assert_is_a_zombie(struct world *w, int64_t id, int epoch, enum ks_err err)
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

#define FRESH(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define PRODUCER(f) cmocka_unit_test_setup_teardown(f, set_up_producer, tear_down)

#endif

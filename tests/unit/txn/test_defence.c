/* Requests that come late on older connections, in protocol version 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "txn/defence.h"

/* A producer that has the pair 100, 3. */
static struct transaction producer(void)
{
	struct transaction t = TRANSACTION_NONE;

	t.producer_id = 100;
	t.producer_epoch = 3;
	t.timeout_ms = 60000;
	return t;
}

static enum ks_err check(struct transaction_defence *d, enum defence_kind kind, int epoch,
			 int version, uint64_t connection)
{
	const struct transaction t = producer();
	const struct transaction_claim claim = {100, (int16_t)epoch, (uint8_t)version};

	return defence_check(d, kind, &t, &claim, connection);
}

static void test_a1_a_late_request_on_an_older_connection_is_refused(void **state)
{
	struct transaction_defence d = {0};

	(void)state;
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 8), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NOT_COORDINATOR);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 8), ERR_NONE);
}

static void test_a2_a_late_batch_on_an_older_connection_is_refused(void **state)
{
	struct transaction_defence d = {0};

	(void)state;
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 5), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 6), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 5), ERR_NOT_LEADER_OR_FOLLOWER);
}

static void test_a1_each_kind_of_request_has_a_connection_of_its_own(void **state)
{
	struct transaction_defence d = {0};

	(void)state;
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 9), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 2), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_OFFSETS, 3, 1, 4), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_OFFSETS, 3, 1, 3), ERR_NOT_COORDINATOR);
}

static void test_a1_requests_of_zombies_and_of_version_2_do_not_count(void **state)
{
	struct transaction_defence d = {0};

	(void)state;
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 2, 1, 9), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 2, 9), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 2, 1), ERR_NONE);

	struct transaction t = producer();
	struct transaction_claim claim = {101, 3, 1};
	assert_int_equal(defence_check(&d, DEFENCE_COORDINATOR, &t, &claim, 9), ERR_NONE);
	claim.producer_id = 100;
	t.is_fenced = true;
	assert_int_equal(defence_check(&d, DEFENCE_COORDINATOR, &t, &claim, 9), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 5), ERR_NONE);
}

static void test_a1_a_new_instance_may_have_an_old_connection(void **state)
{
	struct transaction_defence d = {0};

	(void)state;
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 9), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 8), ERR_NONE);
	defence_reset(&d, 4);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 4), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_BATCHES, 3, 1, 2), ERR_NONE);
	assert_int_equal(check(&d, DEFENCE_COORDINATOR, 3, 1, 3), ERR_NOT_COORDINATOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a1_a_late_request_on_an_older_connection_is_refused),
		cmocka_unit_test(test_a2_a_late_batch_on_an_older_connection_is_refused),
		cmocka_unit_test(test_a1_each_kind_of_request_has_a_connection_of_its_own),
		cmocka_unit_test(test_a1_requests_of_zombies_and_of_version_2_do_not_count),
		cmocka_unit_test(test_a1_a_new_instance_may_have_an_old_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

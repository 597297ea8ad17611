/* Which batch of an idempotent producer follows, which repeats, and which is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "txn/producer.h"

static struct producer_claim claim(int epoch, int32_t sequence, int32_t records)
{
	return (struct producer_claim){.base_sequence = sequence,
				       .last_offset_delta = records - 1,
				       .epoch = (int16_t)epoch};
}

static enum ks_err check(const struct producer_state *s, int epoch, int32_t sequence,
			 int32_t records)
{
	const struct producer_batch *duplicate;
	struct producer_claim c = claim(epoch, sequence, records);

	return producer_check(s, &c, &duplicate);
}

/* -1: it is no duplicate. */
static int64_t repeats(const struct producer_state *s, int epoch, int32_t sequence, int32_t records)
{
	const struct producer_batch *duplicate;
	struct producer_claim c = claim(epoch, sequence, records);

	assert_int_equal(producer_check(s, &c, &duplicate), ERR_NONE);
	return duplicate ? duplicate->base_offset : -1;
}

static void add(struct producer_state *s, int epoch, int32_t sequence, int32_t records,
		int64_t offset)
{
	struct producer_claim c = claim(epoch, sequence, records);

	assert_int_equal(repeats(s, epoch, sequence, records), -1);
	producer_add(s, &c, offset, 1000 + offset);
}

static void an_unknown_producer_may_begin_anywhere(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	assert_int_equal(check(&s, 0, 0, 1), ERR_NONE);
	assert_int_equal(check(&s, 7, 123456, 10), ERR_NONE);
}

static void batches_follow_each_other_by_the_number_of_records(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add(&s, 0, 0, 3, 100);
	assert_int_equal(check(&s, 0, 4, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 0, 2, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	add(&s, 0, 3, 2, 103);
	assert_int_equal(s.last_sequence, 4);
	assert_int_equal(s.last_ms, 1103);
}

static void each_of_the_last_five_is_recognised(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	for (int i = 0; i < 7; i++)
		add(&s, 0, 10 * i, 10, 1000 + 10 * i);
	for (int i = 2; i < 7; i++)
		assert_int_equal(repeats(&s, 0, 10 * i, 10), 1000 + 10 * i);
	/* What is older cannot be told from a producer that counts anew: it is no success. */
	assert_int_equal(check(&s, 0, 10, 10), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 0, 0, 10), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void a_duplicate_is_the_same_range_and_nothing_less(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add(&s, 0, 0, 10, 0);
	add(&s, 0, 10, 10, 10);
	assert_int_equal(check(&s, 0, 10, 9), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 0, 11, 9), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 0, 0, 20), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 0, 15, 10), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void a_new_epoch_begins_with_sequence_0_and_fences_the_old(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add(&s, 3, 0, 5, 0);
	assert_int_equal(check(&s, 4, 5, 5), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(check(&s, 2, 5, 5), ERR_INVALID_PRODUCER_EPOCH);
	add(&s, 4, 0, 5, 5);
	assert_int_equal(check(&s, 3, 5, 5), ERR_INVALID_PRODUCER_EPOCH);
	/* Not even what it appended before. */
	assert_int_equal(check(&s, 3, 0, 5), ERR_INVALID_PRODUCER_EPOCH);
	assert_int_equal(repeats(&s, 4, 0, 5), 5);
	assert_int_equal(s.count, 1);
}

static void sequences_wrap_to_0_between_batches_and_inside_one(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add(&s, 0, INT32_MAX - 4, 5, 0);
	assert_int_equal(s.last_sequence, INT32_MAX);
	assert_int_equal(check(&s, 0, 1, 5), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	add(&s, 0, 0, 5, 5);
	assert_int_equal(repeats(&s, 0, INT32_MAX - 4, 5), 0);

	s = PRODUCER_UNKNOWN;
	add(&s, 0, INT32_MAX - 1, 5, 10);
	assert_int_equal(s.last_sequence, 2);
	assert_int_equal(repeats(&s, 0, INT32_MAX - 1, 5), 10);
	assert_int_equal(check(&s, 0, 0, 5), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	add(&s, 0, 3, 1, 15);

	s = PRODUCER_UNKNOWN;
	add(&s, 0, INT32_MAX, 1, 20);
	add(&s, 0, 0, 1, 21);
}

/* The client counts on after an abort; what was aborted must not answer for what comes. */
static void what_was_taken_back_answers_for_nothing(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add(&s, 0, 0, 5, 0);
	add(&s, 0, 5, 5, 5);
	producer_forget_batches(&s);
	assert_int_equal(check(&s, 0, 5, 5), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(repeats(&s, 0, 10, 5), -1);
	assert_int_equal(s.last_sequence, 9);
}

/* --- transactions --- */

static enum ks_err check_part(const struct producer_state *s, int epoch, int32_t sequence,
			      bool is_transactional)
{
	const struct producer_batch *duplicate;
	struct producer_claim c = claim(epoch, sequence, 1);

	c.is_transactional = is_transactional;
	return producer_check(s, &c, &duplicate);
}

static void add_part(struct producer_state *s, int epoch, int32_t sequence, int64_t offset)
{
	struct producer_claim c = claim(epoch, sequence, 1);

	c.is_transactional = true;
	assert_int_equal(check_part(s, epoch, sequence, true), ERR_NONE);
	producer_add(s, &c, offset, 1000 + offset);
}

static void test_b2_the_first_batch_opens_the_transaction_and_a_marker_ends_it(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	assert_int_equal(s.txn_first_offset, -1);
	add_part(&s, 0, 0, 50);
	add_part(&s, 0, 1, 60);
	assert_int_equal(s.txn_first_offset, 50);
	producer_end(&s, 0, 4, true, 5000);
	assert_int_equal(s.txn_first_offset, -1);
	assert_int_equal(s.coordinator_epoch, 4);
	assert_int_equal(s.last_ms, 5000);
	add_part(&s, 0, 2, 70);
	assert_int_equal(s.txn_first_offset, 70);
}

static void test_a3_nothing_but_its_batches_may_follow_in_a_transaction(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add_part(&s, 3, 0, 50);
	assert_int_equal(check_part(&s, 3, 1, false), ERR_INVALID_TXN_STATE);
	assert_int_equal(check_part(&s, 4, 0, false), ERR_INVALID_TXN_STATE);
	assert_int_equal(check_part(&s, 4, 0, true), ERR_INVALID_TXN_STATE);
	assert_int_equal(check_part(&s, 2, 1, true), ERR_INVALID_PRODUCER_EPOCH);
	producer_end(&s, 3, 0, true, 0);
	assert_int_equal(check_part(&s, 3, 1, false), ERR_NONE);
	assert_int_equal(check_part(&s, 4, 0, true), ERR_NONE);
}

static void test_c3_what_was_aborted_answers_for_nothing(void **state)
{
	struct producer_state committed = PRODUCER_UNKNOWN, aborted;

	(void)state;
	add_part(&committed, 0, 0, 50);
	aborted = committed;
	producer_end(&committed, 0, 0, true, 0);
	producer_end(&aborted, 0, 0, false, 0);
	assert_int_equal(repeats(&committed, 0, 0, 1), 50);
	assert_int_equal(check(&aborted, 0, 0, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(repeats(&aborted, 0, 1, 1), -1);
}

static void test_c3_a_marker_of_a_new_epoch_begins_at_sequence_0(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN;

	(void)state;
	add_part(&s, 0, 0, 50);
	producer_end(&s, 1, 0, true, 0);
	assert_int_equal(s.epoch, 1);
	assert_int_equal(check(&s, 0, 1, 1), ERR_INVALID_PRODUCER_EPOCH);
	assert_int_equal(check(&s, 1, 1, 1), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(repeats(&s, 1, 0, 1), -1);
}

static void test_b3_an_open_transaction_is_stored_and_read_back(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN, got;
	uint8_t value[VALUE_PRODUCER_BYTES_MAX];

	(void)state;
	for (int i = 0; i < 6; i++)
		add_part(&s, 2, i, 50 + i);
	for (int turn = 0; turn < 3; turn++) {
		size_t len = value_producer(&s, value);
		assert_int_equal(len, 16 + 24 * s.count + 12);
		assert_true(value_producer_decode(slice_of(value, len), &got));
		assert_int_equal(got.txn_first_offset, s.txn_first_offset);
		assert_int_equal(got.coordinator_epoch, s.coordinator_epoch);
		assert_int_equal(got.count, s.count);
		for (size_t cut = 0; cut < len; cut++)
			assert_false(value_producer_decode(slice_of(value, cut), &got));
		value[len - 12] = 0x80; /* no offset */
		assert_false(value_producer_decode(slice_of(value, len), &got));
		if (turn == 0)
			producer_end(&s, 2, 7, true, 0);
		else
			producer_end(&s, 3, 8, false, 0);
	}
}

/* --- a producer that loses answers --- */

static unsigned seed;

static int pick(int n)
{
	return rand_r(&seed) % n;
}

#define SIM_BATCHES 400

struct sim {
	int32_t base[SIM_BATCHES], records[SIM_BATCHES];
	int64_t offset[SIM_BATCHES]; /* where the log has it */
	int appended;                /* how many are there */
	int64_t log_end;
	struct producer_state state;
};

/* One batch arrives at the broker. */
static void arrive(struct sim *m, int i)
{
	const struct producer_batch *duplicate;
	struct producer_claim c = claim(0, m->base[i], m->records[i]);
	enum ks_err err = producer_check(&m->state, &c, &duplicate);

	if (i > m->appended) {
		assert_int_equal(err, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
		return;
	}
	assert_int_equal(err, ERR_NONE);
	if (i < m->appended) { /* one of those under way: it must be known */
		assert_non_null(duplicate);
		assert_int_equal(duplicate->base_offset, m->offset[i]);
		return;
	}
	assert_null(duplicate);
	producer_add(&m->state, &c, m->log_end, 0);
	m->offset[i] = m->log_end;
	m->log_end += m->records[i];
	m->appended++;
}

/* Up to five batches are under way; they arrive late, twice, or with gaps before them, and answers
 * are lost. Whatever happens every batch is in the log once, in order. */
static void with_five_under_way_every_batch_is_appended_once(void **state)
{
	(void)state;
	for (unsigned round = 1; round <= 200; round++) {
		struct sim m = {.state = PRODUCER_UNKNOWN};
		int32_t next = round % 2 ? 0 : INT32_MAX - 500;
		int answered = 0;

		seed = round;
		for (int i = 0; i < SIM_BATCHES; i++) {
			m.base[i] = next;
			m.records[i] = 1 + pick(5);
			next = (int32_t)(((uint32_t)next + (uint32_t)m.records[i]) & INT32_MAX);
		}
		arrive(&m, 0); /* the first batch of all may have any sequence */
		while (answered < SIM_BATCHES) {
			int window = SIM_BATCHES - answered < 5 ? SIM_BATCHES - answered : 5;
			arrive(&m, answered + pick(window));
			if (pick(2) && answered < m.appended)
				answered++;
		}
		assert_int_equal(m.appended, SIM_BATCHES);
	}
}

/* --- as it is stored --- */

static void a_state_is_stored_and_read_back(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN, got;
	uint8_t value[VALUE_PRODUCER_BYTES_MAX];

	(void)state;
	for (int i = 0; i < 8; i++) {
		add(&s, 9, i ? 3 * i : 0, 3, INT64_C(1) << (40 + i));
		size_t len = value_producer(&s, value);
		assert_int_equal(len, 16 + 24 * (i < 5 ? i + 1 : 5));
		assert_true(value_producer_decode(slice_of(value, len), &got));
		assert_int_equal(got.epoch, 9);
		assert_int_equal(got.last_sequence, 3 * i + 2);
		assert_int_equal(got.last_ms, 1000 + (INT64_C(1) << (40 + i)));
		assert_int_equal(got.count, s.count);
		assert_int_equal(repeats(&got, 9, 3 * i, 3), INT64_C(1) << (40 + i));
		for (size_t cut = 0; cut < len; cut++)
			assert_false(value_producer_decode(slice_of(value, cut), &got));
	}
	producer_forget_batches(&s);
	size_t len = value_producer(&s, value);
	assert_true(value_producer_decode(slice_of(value, len), &got));
	assert_int_equal(got.last_sequence, 23);
	assert_int_equal(check(&got, 9, 24, 1), ERR_NONE);
}

static void what_nobody_stored_is_not_read(void **state)
{
	struct producer_state s = PRODUCER_UNKNOWN, got;
	uint8_t value[VALUE_PRODUCER_BYTES_MAX + 1] = {0};
	static const struct {
		int at;
		uint8_t byte;
	} wrong[] = {{0, 2},  {1, 0x80}, {3, 0x81},  {6, 9},
		     {15, 0}, {15, 6},   {16, 0x80}, {24, 0x80}};

	(void)state;
	add(&s, 1, 0, 3, 77);
	size_t len = value_producer(&s, value);
	assert_false(value_producer_decode(slice_of(value, len + 1), &got));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		uint8_t before = value[wrong[i].at];
		value[wrong[i].at] = wrong[i].byte;
		assert_false(value_producer_decode(slice_of(value, len), &got));
		value[wrong[i].at] = before;
	}
	assert_true(value_producer_decode(slice_of(value, len), &got));
}

static void keys_sort_by_partition_then_id(void **state)
{
	struct key_producer a = key_producer(1, INT64_MAX), b = key_producer(2, 0),
			    c = key_producer(2, 1);
	uint32_t partition_id;
	int64_t id;

	(void)state;
	assert_true(memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0);
	assert_true(memcmp(b.bytes, c.bytes, sizeof a.bytes) < 0);
	assert_true(key_producer_decode(slice_of(a.bytes, sizeof a.bytes), &partition_id, &id));
	assert_int_equal(partition_id, 1);
	assert_int_equal(id, INT64_MAX);
	assert_false(
		key_producer_decode(slice_of(a.bytes, sizeof a.bytes - 1), &partition_id, &id));
	a.bytes[5] = 0x80;
	assert_false(key_producer_decode(slice_of(a.bytes, sizeof a.bytes), &partition_id, &id));
	b.bytes[0] = 'x';
	assert_false(key_producer_decode(slice_of(b.bytes, sizeof b.bytes), &partition_id, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_producer_may_begin_anywhere),
		cmocka_unit_test(batches_follow_each_other_by_the_number_of_records),
		cmocka_unit_test(each_of_the_last_five_is_recognised),
		cmocka_unit_test(a_duplicate_is_the_same_range_and_nothing_less),
		cmocka_unit_test(a_new_epoch_begins_with_sequence_0_and_fences_the_old),
		cmocka_unit_test(sequences_wrap_to_0_between_batches_and_inside_one),
		cmocka_unit_test(what_was_taken_back_answers_for_nothing),
		cmocka_unit_test(with_five_under_way_every_batch_is_appended_once),
		cmocka_unit_test(a_state_is_stored_and_read_back),
		cmocka_unit_test(what_nobody_stored_is_not_read),
		cmocka_unit_test(keys_sort_by_partition_then_id),
		cmocka_unit_test(
			test_b2_the_first_batch_opens_the_transaction_and_a_marker_ends_it),
		cmocka_unit_test(test_a3_nothing_but_its_batches_may_follow_in_a_transaction),
		cmocka_unit_test(test_c3_what_was_aborted_answers_for_nothing),
		cmocka_unit_test(test_c3_a_marker_of_a_new_epoch_begins_at_sequence_0),
		cmocka_unit_test(test_b3_an_open_transaction_is_stored_and_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Markers: the bytes that end a transaction, as every Kafka client reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/marker.h"

static struct batch marker_batch(struct buf *out, bool is_commit)
{
	struct marker m = {.producer_id = INT64_C(0x1122334455),
			   .timestamp = 1700000000000,
			   .coordinator_epoch = 9,
			   .producer_epoch = 3,
			   .is_commit = is_commit};
	struct batch b;

	buf_clear(out);
	marker_write(out, &m);
	assert_int_equal(batch_verify(buf_slice(out), &b), 0);
	assert_int_equal(b.bytes.len, out->len);
	return b;
}

static void test_b6_a_marker_is_a_control_batch_of_one_record(void **state)
{
	/* length, attributes, timestamp and offset deltas; key: version 0, type; value: version 0, epoch 9; no headers */
	static const uint8_t record[] = {16 * 2, 0, 0, 0, 4 * 2, 0, 0, 0, 1,
					 6 * 2,  0, 0, 0, 0,     0, 9, 0};
	struct buf out = {0};

	(void)state;
	for (int is_commit = 0; is_commit < 2; is_commit++) {
		struct batch b = marker_batch(&out, is_commit);
		assert_int_equal(out.len, 78);
		assert_int_equal(b.attributes, 0x30);
		assert_int_equal(b.base_sequence, -1);
		assert_int_equal(b.record_count, 1);
		assert_int_equal(b.last_offset_delta, 0);
		assert_int_equal(b.producer_id, INT64_C(0x1122334455));
		assert_int_equal(b.producer_epoch, 3);
		assert_int_equal(b.base_timestamp, 1700000000000);
		assert_int_equal(b.max_timestamp, 1700000000000);
		assert_int_equal(b.records.len, sizeof record);
		assert_int_equal(b.records.data[8], is_commit);
		((uint8_t *)(uintptr_t)b.records.data)[8] = 1;
		assert_memory_equal(b.records.data, record, sizeof record);
	}
	buf_fini(&out);
}

static void test_b6_a_marker_is_read_back(void **state)
{
	struct buf out = {0};
	struct marker m;

	(void)state;
	for (int is_commit = 0; is_commit < 2; is_commit++) {
		struct batch b = marker_batch(&out, is_commit);
		assert_true(marker_read(&b, &m));
		assert_int_equal(m.is_commit, is_commit);
		assert_int_equal(m.producer_id, INT64_C(0x1122334455));
		assert_int_equal(m.producer_epoch, 3);
		assert_int_equal(m.coordinator_epoch, 9);
		assert_int_equal(m.timestamp, 1700000000000);
	}
	buf_fini(&out);
}

static void test_b6_what_is_no_marker_is_not_read_as_one(void **state)
{
	struct buf out = {0};
	struct batch b = marker_batch(&out, true);
	uint8_t *records = (uint8_t *)(uintptr_t)b.records.data;
	struct marker m;

	(void)state;
	records[8] = 2; /* a type that nobody knows */
	assert_false(marker_read(&b, &m));
	records[8] = 1;
	b.attributes &= 0xffdf;
	assert_false(marker_read(&b, &m));
	b.attributes |= 0x20;
	assert_true(marker_read(&b, &m));
	for (size_t len = 0; len < b.records.len; len++) {
		struct batch cut = b;
		cut.records.len = len;
		assert_false(marker_read(&cut, &m));
	}
	buf_fini(&out);
}

static void test_b4_a_marker_that_got_its_horizon_is_the_same_marker(void **state)
{
	struct buf out = {0}, with = {0};
	struct batch b = marker_batch(&out, false), h;
	struct marker m;

	(void)state;
	batch_stamp(out.data, 77, 5);
	assert_int_equal(batch_verify(buf_slice(&out), &b), 0);
	assert_int_equal(batch_delete_horizon(&b), -1);
	marker_write_horizon(&with, &b, 1800000000000);
	assert_int_equal(batch_verify(buf_slice(&with), &h), 0);
	assert_int_equal(h.bytes.len, b.bytes.len);
	assert_int_equal(batch_delete_horizon(&h), 1800000000000);
	assert_int_equal(h.base_offset, 77);
	assert_int_equal(h.leader_epoch, 5);
	assert_int_equal(h.max_timestamp, b.max_timestamp);
	assert_true(marker_read(&h, &m));
	assert_false(m.is_commit);
	assert_int_equal(m.producer_id, INT64_C(0x1122334455));
	buf_fini(&out);
	buf_fini(&with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_b6_a_marker_is_a_control_batch_of_one_record),
		cmocka_unit_test(test_b6_a_marker_is_read_back),
		cmocka_unit_test(test_b6_what_is_no_marker_is_not_read_as_one),
		cmocka_unit_test(test_b4_a_marker_that_got_its_horizon_is_the_same_marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

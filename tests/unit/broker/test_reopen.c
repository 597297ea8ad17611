/* What was acknowledged is there after a stop and a start. */
#include "rig.h"

static void reopening_keeps_topics_records_offsets_and_configs(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic_with(r, "orders", 3, "retention.ms", "1234");
	struct buf before = {0}, after = {0};
	int64_t offset, timestamp;

	for (int i = 0; i < 50; i++)
		assert_ok(broker_append_wait(r->b, topic_partition(t, 1),
					     rig_frame(2, 2 * i, 5000, START_MS + i), ACKS_ALL,
					     NULL, why));
	rig_append(r, topic_partition(t, 2), 1, 7);
	uint64_t size = partition_size_bytes(topic_partition(t, 1));
	rig_read_all(topic_partition(t, 1), 0, 65536, &before);
	assert_ok(broker_group_commit(
		r->b, "g", &(struct group_offset){topic_partition(t, 1), 42, 0}, 1, why));
	uint32_t id = topic_id(t);

	rig_reopen(r);
	t = broker_topic_find(r->b, "orders");
	assert_non_null(t);
	assert_int_equal(topic_id(t), id);
	assert_int_equal(topic_partition_count(t), 3);
	assert_int_equal(topic_retention(t).retention_ms, 1234);
	assert_int_equal(partition_high_watermark(topic_partition(t, 0)), 0);
	assert_int_equal(partition_high_watermark(topic_partition(t, 1)), 100);
	assert_int_equal(partition_high_watermark(topic_partition(t, 2)), 1);
	assert_int_equal(partition_size_bytes(topic_partition(t, 1)), size);
	rig_read_all(topic_partition(t, 1), 0, 65536, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	assert_ok(broker_group_offset(r->b, "g", topic_partition(t, 1), &offset));
	assert_int_equal(offset, 42);
	assert_ok(partition_offset_for_timestamp(topic_partition(t, 1), START_MS + 49, &offset,
						 &timestamp));
	assert_int_equal(offset, 98);

	/* And it goes on where it stopped. */
	assert_int_equal(rig_append(r, topic_partition(t, 1), 1, 0), 100);
	struct topic *next = rig_topic(r, "next", 1);
	assert_true(topic_id(next) > id);
	assert_int_equal(topic_partition(next, 0)->id, 3);
	buf_fini(&before);
	buf_fini(&after);
}

static void a_trimmed_and_empty_log_keeps_its_offsets(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t start;

	rig_append(r, p, 10, 0);
	assert_ok(broker_trim(r->b, p, -1, &start, why));
	assert_int_equal(start, 10);
	rig_reopen(r);
	p = rig_partition(r, "t");
	assert_int_equal(partition_log_start_offset(p), 10);
	assert_int_equal(partition_high_watermark(p), 10);
	assert_int_equal(partition_size_bytes(p), 0);
	assert_int_equal(rig_append(r, p, 1, 0), 10);
}

static void numbers_of_deleted_topics_are_not_used_again(void **state)
{
	struct rig *r = *state;
	uint32_t id = topic_partition(rig_topic(r, "t", 4), 0)->id;

	assert_ok(broker_topic_delete(r->b, "t", why));
	rig_reopen(r);
	assert_null(broker_topic_find(r->b, "t"));
	assert_int_equal(topic_partition(rig_topic(r, "t", 1), 0)->id, id + 4);
}

static void the_index_of_write_batches_goes_on(void **state)
{
	struct rig *r = *state;
	struct buf value = {0};
	uint64_t index;
	uint32_t epoch;

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	rig_reopen(r);
	rig_topic(r, "c", 1);
	assert_ok(store_get(broker_store(r->b), CF_META, key_batch_index, &value));
	assert_true(batch_index_decode(buf_slice(&value), &index, &epoch));
	assert_int_equal(index, 3);
	assert_int_equal(epoch, 0);
	buf_fini(&value);
}

static void ten_thousand_partitions_open_in_a_moment(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "wide", 10000);

	for (int i = 0; i < 10000; i += 100)
		rig_append(r, topic_partition(t, i), 1, i);
	int64_t start = clock_monotonic_ns(&clock_real);
	rig_reopen(r);
	int64_t ms = (clock_monotonic_ns(&clock_real) - start) / 1000000;
	t = broker_topic_find(r->b, "wide");
	assert_int_equal(partition_high_watermark(topic_partition(t, 9900)), 1);
	assert_int_equal(partition_high_watermark(topic_partition(t, 9901)), 0);
	print_message("10,000 partitions closed and opened in %d ms\n", (int)ms);
	assert_true(ms < 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKS(reopening_keeps_topics_records_offsets_and_configs),
		ROCKS(a_trimmed_and_empty_log_keeps_its_offsets),
		ROCKS(numbers_of_deleted_topics_are_not_used_again),
		ROCKS(the_index_of_write_batches_goes_on),
		ROCKS(ten_thousand_partitions_open_in_a_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

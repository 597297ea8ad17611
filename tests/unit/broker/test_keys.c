/* Keys sort as their numbers do; decoders take what encoders gave and nothing shorter or longer. */
#include "broker/keys.h"
#include "tests/check.h"

static void log_keys_sort_by_partition_then_offset(void **state)
{
	struct key_log k[] = {key_log(1, INT64_MAX), key_log(2, 0), key_log(2, 255),
			      key_log(2, 256), key_log(256, 0)};
	uint32_t id;
	int64_t offset;

	(void)state;
	for (size_t i = 1; i < sizeof k / sizeof *k; i++)
		assert_true(slice_compare(KEY_SLICE(k[i - 1]), KEY_SLICE(k[i])) < 0);
	assert_true(key_log_decode(KEY_SLICE(k[3]), &id, &offset));
	assert_int_equal(id, 2);
	assert_int_equal(offset, 256);
	assert_memory_equal(k[3].bytes, "\0\0\0\2\0\0\0\0\0\0\1\0", 12);
}

static void index_keys_sort_by_time_even_before_1970(void **state)
{
	struct key_index k[] = {key_index(1, INT64_MIN, 0), key_index(1, -1, 7),
				key_index(1, 0, 3),         key_index(1, 0, 4),
				key_index(1, INT64_MAX, 0), key_index(2, INT64_MIN, 0)};
	struct value_index v = value_index(99);
	struct index_entry e;

	(void)state;
	for (size_t i = 1; i < sizeof k / sizeof *k; i++)
		assert_true(slice_compare(KEY_SLICE(k[i - 1]), KEY_SLICE(k[i])) < 0);
	assert_true(index_decode(KEY_SLICE(k[1]), KEY_SLICE(v), &e));
	assert_int_equal(e.partition_id, 1);
	assert_int_equal(e.max_timestamp, -1);
	assert_int_equal(e.last_offset, 7);
	assert_int_equal(e.position, 99);
}

/* Every shorter piece of a value, and one byte more, is refused. */
#define assert_strict(value, expression)                                                           \
	do {                                                                                       \
		uint8_t bytes_[600];                                                               \
		size_t len_ = (value).len;                                                         \
		memcpy(bytes_, (value).data, len_);                                                \
		bytes_[len_] = 0;                                                                  \
		for (size_t n_ = 0; n_ <= len_ + 1; n_++) {                                        \
			struct slice v = slice_of(bytes_, n_);                                     \
			assert_int_equal((expression), n_ == len_);                                \
		}                                                                                  \
		bytes_[0] ^= 0x40;                                                                 \
		struct slice v = slice_of(bytes_, len_);                                           \
		assert_false(expression); /* another version */                                    \
	} while (0)

static void values_are_decoded_whole_or_not_at_all(void **state)
{
	struct ids ids = {1, 2, 3};
	struct value_ids a = value_ids(&ids);
	struct value_batch_index b = value_batch_index(7, 8);
	struct value_offset c = value_offset(9, 10);
	struct log_start start = {5, 6, 7};
	struct value_log_start d = value_log_start(&start);
	struct key_id key = key_log_start(5);
	struct value_index e = value_index(1);
	struct key_index ikey = key_index(1, 2, 3);
	struct index_entry entry;
	struct cleaned cleaned = {.offset = 1, .holes_below = 2};
	struct value_cleaned f = value_cleaned(&cleaned);
	struct key_id ckey = key_cleaned(5);
	uint64_t index;
	uint32_t epoch;
	struct stored_offset offset;

	(void)state;
	assert_strict(KEY_SLICE(a), ids_decode(v, &ids));
	assert_strict(KEY_SLICE(b), batch_index_decode(v, &index, &epoch));
	struct value_producer_ids p = value_producer_ids(INT64_C(1) << 40);
	int64_t next;
	assert_strict(KEY_SLICE(p), producer_ids_decode(v, &next));
	assert_true(producer_ids_decode(KEY_SLICE(p), &next));
	assert_int_equal(next, INT64_C(1) << 40);
	assert_strict(KEY_SLICE(c), stored_offset_decode(v, &offset));
	assert_strict(KEY_SLICE(d), log_start_decode(KEY_SLICE(key), v, &start));
	assert_strict(KEY_SLICE(e), index_decode(KEY_SLICE(ikey), v, &entry));
	assert_strict(KEY_SLICE(f), cleaned_decode(KEY_SLICE(ckey), v, &cleaned));
	assert_strict(KEY_SLICE(key), log_start_decode(v, KEY_SLICE(d), &start));
}

static void offsets_of_clients_keep_what_was_committed(void **state)
{
	struct stored_offset before = {INT64_MAX, 1700000000000, 1700000001000, 7,
				       slice_str("where")};
	struct stored_offset o;
	struct value_offset of_job = value_offset(9, 10);
	struct buf value = {0};

	(void)state;
	stored_offset_encode(&value, &before);
	assert_strict(buf_slice(&value), stored_offset_decode(v, &o));
	assert_true(stored_offset_decode(buf_slice(&value), &o));
	assert_int_equal(o.offset, INT64_MAX);
	assert_int_equal(o.commit_time_ms, 1700000000000);
	assert_int_equal(o.expire_time_ms, 1700000001000);
	assert_int_equal(o.leader_epoch, 7);
	assert_slice(o.metadata, "where");
	buf_clear(&value);
	before.offset = -2;
	stored_offset_encode(&value, &before);
	assert_true(stored_offset_decode(buf_slice(&value), &o));
	assert_int_equal(o.offset, -2);
	assert_true(stored_offset_decode(KEY_SLICE(of_job), &o));
	assert_int_equal(o.offset, 9);
	assert_int_equal(o.expire_time_ms, -1);
	assert_int_equal(o.leader_epoch, -1);
	assert_int_equal(o.metadata.len, 0);
	buf_fini(&value);
}

static void topic_records_are_decoded_whole_or_not_at_all(void **state)
{
	struct buf configs = {0}, extents = {0}, value = {0};
	struct extent first = {9, 3}, second = {20, 2};
	struct key_id key = key_topic(77);
	struct slice k, c;

	(void)state;
	buf_append(&configs, "\0\3abc\0\1d", 8);
	extent_append(&extents, &first);
	extent_append(&extents, &second);
	struct topic_record r = {.uuid = "0123456789abcde",
				 .extents = buf_slice(&extents),
				 .is_internal = true,
				 .created_ms = 12,
				 .name = slice_str("orders"),
				 .configs = buf_slice(&configs),
				 .config_count = 1};
	topic_record_encode(&value, &r);
	struct topic_record got;
	assert_strict(buf_slice(&value), topic_record_decode(KEY_SLICE(key), v, &got));
	assert_true(topic_record_decode(KEY_SLICE(key), buf_slice(&value), &got));
	assert_int_equal(got.topic_id, 77);
	assert_true(got.has_uuid);
	assert_memory_equal(got.uuid, "0123456789abcde", 16);
	assert_int_equal(got.partition_count, 5);
	assert_int_equal(extent_count(got.extents), 2);
	assert_int_equal(extent_at(got.extents, 1).first_id, 20);
	assert_int_equal(extent_at(got.extents, 1).count, 2);
	assert_true(got.is_internal);
	assert_int_equal(got.created_ms, 12);
	assert_slice(got.name, "orders");
	assert_true(topic_record_config(&got.configs, &k, &c));
	assert_slice(k, "abc");
	assert_slice(c, "d");
	assert_false(topic_record_config(&got.configs, &k, &c));
	buf_fini(&configs);
	buf_fini(&extents);
	buf_fini(&value);
}

static void records_of_the_first_version_are_read(void **state)
{
	static const uint8_t old[] = "\1\1\0\0\0\0\0\0\0\14" /* internal, made at 12 ms */
				     "\0\0\0\11\0\0\0\3"     /* 3 partitions from 9 on */
				     "\0\6orders\0\0";
	struct key_id key = key_topic(77);
	struct topic_record got;

	(void)state;
	assert_strict(slice_of(old, sizeof old - 1), topic_record_decode(KEY_SLICE(key), v, &got));
	assert_true(topic_record_decode(KEY_SLICE(key), slice_of(old, sizeof old - 1), &got));
	assert_false(got.has_uuid);
	assert_int_equal(got.partition_count, 3);
	assert_int_equal(extent_count(got.extents), 1);
	assert_int_equal(extent_at(got.extents, 0).first_id, 9);
	assert_int_equal(got.created_ms, 12);
	assert_slice(got.name, "orders");
}

static void how_far_compaction_came_is_told_in_full(void **state)
{
	struct cleaned c = {.offset = 1,
			    .max_timestamp = -2,
			    .holes_below = 3,
			    .position = 4,
			    .shift = 5,
			    .removed_clean = 6,
			    .removed_dirty = 7},
		       got;
	struct key_id key = key_cleaned(9);
	struct value_cleaned value = value_cleaned(&c);

	(void)state;
	assert_true(cleaned_decode(KEY_SLICE(key), KEY_SLICE(value), &got));
	assert_int_equal(got.partition_id, 9);
	assert_int_equal(got.offset, 1);
	assert_int_equal(got.max_timestamp, -2);
	assert_int_equal(got.holes_below, 3);
	assert_int_equal(got.position, 4);
	assert_int_equal(got.shift, 5);
	assert_int_equal(got.removed_clean, 6);
	assert_int_equal(got.removed_dirty, 7);
	c.holes_below = 0; /* below what is clean */
	value = value_cleaned(&c);
	assert_false(cleaned_decode(KEY_SLICE(key), KEY_SLICE(value), &got));
}

static bool takes_extents(const struct extent *all, size_t count)
{
	struct buf extents = {0}, value = {0};
	struct key_id key = key_topic(1);
	struct topic_record got;

	for (size_t i = 0; i < count; i++)
		extent_append(&extents, &all[i]);
	struct topic_record r = {.name = slice_str("t"), .extents = buf_slice(&extents)};
	topic_record_encode(&value, &r);
	bool taken = topic_record_decode(KEY_SLICE(key), buf_slice(&value), &got);
	buf_fini(&extents);
	buf_fini(&value);
	return taken;
}

static void extents_rise_and_are_not_empty(void **state)
{
	(void)state;
	assert_true(takes_extents((struct extent[]){{0, 1}, {1, 1}}, 2));
	assert_false(takes_extents(NULL, 0));
	assert_false(takes_extents((struct extent[]){{0, 0}}, 1));
	assert_false(takes_extents((struct extent[]){{5, 2}, {6, 2}}, 2));
	assert_false(takes_extents((struct extent[]){{5, 2}, {1, 2}}, 2));
	assert_false(takes_extents((struct extent[]){{UINT32_MAX, 1}}, 1));
	assert_false(takes_extents((struct extent[]){{0, 0x7fffffff}, {0x7fffffff, 1}}, 2));
}

static void offset_keys_keep_groups_apart(void **state)
{
	struct buf a = {0}, b = {0};
	struct slice group;
	uint32_t id;

	(void)state;
	key_offset(&a, slice_str("g"), UINT32_MAX);
	key_offset(&b, slice_str("gg"), 0);
	assert_true(slice_compare(buf_slice(&a), buf_slice(&b)) < 0);
	assert_true(key_offset_decode(buf_slice(&b), &group, &id));
	assert_slice(group, "gg");
	assert_int_equal(id, 0);
	for (size_t n = 0; n < b.len; n++)
		assert_false(key_offset_decode(slice_of(b.data, n), &group, &id));
	buf_fini(&a);
	buf_fini(&b);
}

/* The entry is read as it was written, and no part of it is taken for the whole. */
static void assert_whole_or_not_at_all(bool (*decode)(struct slice key, struct slice value,
						      struct aborted *out),
				       struct slice key, struct slice value,
				       const struct aborted *written)
{
	struct aborted got;

	assert_true(decode(key, value, &got));
	assert_int_equal(got.partition_id, written->partition_id);
	assert_int_equal(got.marker_offset, written->marker_offset);
	assert_int_equal(got.first_offset, written->first_offset);
	assert_int_equal(got.stable_offset, written->stable_offset);
	assert_int_equal(got.producer_id, written->producer_id);
	for (size_t n = 0; n < key.len; n++)
		assert_false(decode(slice_of(key.data, n), value, &got));
	for (size_t n = 0; n < value.len; n++)
		assert_false(decode(key, slice_of(value.data, n), &got));
}

static void test_b1_entries_of_aborted_transactions_are_decoded_whole_or_not_at_all(void **state)
{
	struct aborted a = {.partition_id = 7,
			    .marker_offset = 300,
			    .first_offset = 12,
			    .stable_offset = 40,
			    .producer_id = INT64_C(1) << 40},
		       got;
	struct key_aborted key = key_aborted(7, 300);
	struct value_aborted value = value_aborted(&a);

	(void)state;
	assert_whole_or_not_at_all(aborted_decode, KEY_SLICE(key), KEY_SLICE(value), &a);
	value.bytes[0] = 1;
	assert_false(aborted_decode(KEY_SLICE(key), KEY_SLICE(value), &got));
	a.first_offset = 300; /* it cannot begin at its marker */
	value = value_aborted(&a);
	assert_false(aborted_decode(KEY_SLICE(key), KEY_SLICE(value), &got));
	/* By partition, then by the offset of the marker. */
	struct key_aborted later = key_aborted(7, INT64_MAX), next = key_aborted(8, 0);
	assert_true(slice_compare(KEY_SLICE(key), KEY_SLICE(later)) < 0);
	assert_true(slice_compare(KEY_SLICE(later), KEY_SLICE(next)) < 0);
}

static void test_b1_entries_of_aborted_transactions_are_found_by_producer_too(void **state)
{
	struct aborted a = {.partition_id = 7,
			    .marker_offset = 300,
			    .first_offset = 12,
			    .stable_offset = 40,
			    .producer_id = 9},
		       got;
	struct key_aborted_by key = key_aborted_by(7, 9, 300), other = key_aborted_by(7, 10, 300);
	struct value_aborted value = value_aborted(&a);

	(void)state;
	assert_whole_or_not_at_all(aborted_by_decode, KEY_SLICE(key), KEY_SLICE(value), &a);
	assert_false(aborted_by_decode(KEY_SLICE(other), KEY_SLICE(value), &got));
	/* By partition, producer, offset of the marker. */
	struct key_aborted_by later = key_aborted_by(7, 9, INT64_MAX),
			      next = key_aborted_by(8, 0, 0);
	assert_true(slice_compare(KEY_SLICE(key), KEY_SLICE(later)) < 0);
	assert_true(slice_compare(KEY_SLICE(later), KEY_SLICE(other)) < 0);
	assert_true(slice_compare(KEY_SLICE(other), KEY_SLICE(next)) < 0);
}

static void test_d1_keys_of_pending_offsets_name_producer_group_and_partition(void **state)
{
	struct buf a = {0}, b = {0};
	struct slice group;
	int64_t pid;
	uint32_t id;

	(void)state;
	key_pending(&a, 5, slice_str("gg"), 3);
	key_pending(&b, 6, slice_str("g"), 0);
	assert_true(slice_compare(buf_slice(&a), buf_slice(&b)) < 0);
	assert_true(key_pending_decode(buf_slice(&a), &pid, &group, &id));
	assert_int_equal(pid, 5);
	assert_slice(group, "gg");
	assert_int_equal(id, 3);
	for (size_t n = 0; n < a.len; n++)
		assert_false(key_pending_decode(slice_of(a.data, n), &pid, &group, &id));
	buf_append_u8(&a, 0);
	assert_false(key_pending_decode(buf_slice(&a), &pid, &group, &id));
	buf_fini(&a);
	buf_fini(&b);
}

static void test_d1_pending_offsets_have_an_order(void **state)
{
	struct stored_offset before = {7, 1700000000000, -1, 3, slice_str("m")}, o;
	struct buf value = {0};
	uint64_t order;

	(void)state;
	pending_encode(&value, UINT64_MAX - 1, &before);
	for (size_t n = 0; n < value.len; n++)
		assert_false(pending_decode(slice_of(value.data, n), &order, &o));
	assert_true(pending_decode(buf_slice(&value), &order, &o));
	assert_true(order == UINT64_MAX - 1);
	assert_int_equal(o.offset, 7);
	assert_int_equal(o.commit_time_ms, 1700000000000);
	assert_int_equal(o.leader_epoch, 3);
	assert_slice(o.metadata, "m");
	buf_append_u8(&value, 0);
	assert_false(pending_decode(buf_slice(&value), &order, &o));
	buf_fini(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_keys_sort_by_partition_then_offset),
		cmocka_unit_test(index_keys_sort_by_time_even_before_1970),
		cmocka_unit_test(values_are_decoded_whole_or_not_at_all),
		cmocka_unit_test(offsets_of_clients_keep_what_was_committed),
		cmocka_unit_test(topic_records_are_decoded_whole_or_not_at_all),
		cmocka_unit_test(records_of_the_first_version_are_read),
		cmocka_unit_test(how_far_compaction_came_is_told_in_full),
		cmocka_unit_test(extents_rise_and_are_not_empty),
		cmocka_unit_test(offset_keys_keep_groups_apart),
		cmocka_unit_test(
			test_b1_entries_of_aborted_transactions_are_decoded_whole_or_not_at_all),
		cmocka_unit_test(test_b1_entries_of_aborted_transactions_are_found_by_producer_too),
		cmocka_unit_test(test_d1_keys_of_pending_offsets_name_producer_group_and_partition),
		cmocka_unit_test(test_d1_pending_offsets_have_an_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

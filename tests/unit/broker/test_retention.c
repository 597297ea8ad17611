/* Trimming: by request, by age, by size; and that the space comes back. */
#include "rig.h"

#define MIB (1024 * 1024)

static void append_at(struct rig *r, struct partition *p, int64_t timestamp, size_t bytes)
{
	assert_ok(broker_append_wait(r->b, p, rig_frame(1, 0, bytes, timestamp), ACKS_LEADER, NULL,
				     why));
}

static void trimming_raises_the_start_and_never_lowers_it(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct reader *reader = reader_new(p);
	struct chunk c;
	int64_t start;

	for (int i = 0; i < 30; i++)
		append_at(r, p, START_MS, 30000);
	uint64_t size = partition_size_bytes(p);
	assert_ok(broker_trim(r->b, p, 10, &start, why));
	assert_int_equal(start, 10);
	assert_int_equal(partition_log_start_offset(p), 10);
	assert_int_equal(partition_size_bytes(p), size / 30 * 20);
	assert_int_equal(reader_read(reader, 9, 1, &c, NULL), ERR_OFFSET_OUT_OF_RANGE);
	assert_ok(reader_read(reader, 10, 1, &c, why));
	assert_int_equal(get_u64be(c.bytes.data), 10);
	chunk_fini(&c);
	assert_ok(broker_trim(r->b, p, 4, &start, why));
	assert_int_equal(start, 10);
	assert_int_equal(broker_trim(r->b, p, 31, &start, NULL), ERR_OFFSET_OUT_OF_RANGE);
	assert_ok(broker_trim(r->b, p, -1, &start, why));
	assert_int_equal(start, 30);
	assert_int_equal(partition_size_bytes(p), 0);
	assert_int_equal(reader_read(reader, 30, 1, &c, NULL), ERR_EMPTY);
	assert_int_equal(rig_append(r, p, 1, 0), 30);
	reader_free(reader);
}

static void trimming_inside_a_batch_keeps_the_batch(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	int64_t start;

	rig_append(r, p, 10, 0);
	rig_append(r, p, 10, 10);
	uint64_t size = partition_size_bytes(p);
	assert_ok(broker_trim(r->b, p, 15, &start, why));
	assert_int_equal(start, 15);
	assert_true(partition_size_bytes(p) < size && partition_size_bytes(p) > 0);
	assert_int_equal(rig_number_at(p, 15), 15);
	assert_int_equal(rig_number_at(p, 19), 19);
}

static void records_older_than_retention_ms_go(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic_with(r, "t", 2, "retention.ms", "10000");
	struct partition *p = topic_partition(t, 0), *idle = topic_partition(t, 1);
	uint64_t bytes;

	for (int i = 0; i < 20; i++)
		append_at(r, p, START_MS + 1000 * i, 100000);
	append_at(r, idle, START_MS, 10);
	assert_ok(retention_run(r->b, &bytes, why));
	assert_int_equal(bytes, 0);

	/* Older than START + 5000: records 0 to 4. */
	r->now_ms = START_MS + 15000;
	assert_ok(retention_run(r->b, &bytes, why));
	assert_int_equal(partition_log_start_offset(p), 5);
	assert_true(bytes > 500000);
	/* All of it is old, though too small for the index. */
	assert_int_equal(partition_log_start_offset(idle), 1);
	assert_int_equal(partition_size_bytes(idle), 0);

	r->now_ms = START_MS + 100000;
	assert_ok(retention_run(r->b, &bytes, why));
	assert_int_equal(partition_log_start_offset(p), 20);
	assert_int_equal(partition_size_bytes(p), 0);
	append_at(r, p, r->now_ms, 10);
	assert_ok(retention_run(r->b, &bytes, why));
	assert_int_equal(partition_log_start_offset(p), 20);
}

static void a_log_larger_than_retention_bytes_is_cut(void **state)
{
	struct rig *r = *state;
	struct partition *p =
		topic_partition(rig_topic_with(r, "t", 1, "retention.bytes", "500000"), 0);

	for (int i = 0; i < 20; i++)
		append_at(r, p, START_MS, 100000);
	assert_ok(retention_run(r->b, NULL, why));
	assert_int_equal(partition_log_start_offset(p), 15);
	assert_true(partition_size_bytes(p) >= 500000);
	for (int i = 0; i < 3; i++)
		append_at(r, p, START_MS, 100000);
	assert_ok(retention_run(r->b, NULL, why));
	assert_int_equal(partition_log_start_offset(p), 18);
}

static void compacted_and_everlasting_topics_are_left_alone(void **state)
{
	struct rig *r = *state;
	struct partition *compacted =
		topic_partition(rig_topic_with(r, "compacted", 1, "cleanup.policy", "compact"), 0);
	struct partition *kept =
		topic_partition(rig_topic_with(r, "kept", 1, "retention.ms", "-1"), 0);
	struct partition *timeless =
		topic_partition(rig_topic_with(r, "timeless", 1, "retention.ms", "1"), 0);

	append_at(r, compacted, START_MS, 10);
	append_at(r, kept, START_MS, 10);
	append_at(r, timeless, -1, 10);
	r->now_ms = START_MS * 2;
	assert_ok(retention_run(r->b, NULL, why));
	assert_int_equal(partition_log_start_offset(compacted), 0);
	assert_int_equal(partition_log_start_offset(kept), 0);
	assert_int_equal(partition_log_start_offset(timeless), 0);
}

static void a_topic_that_is_only_compacted_cannot_be_trimmed(void **state)
{
	struct rig *r = *state;
	struct partition *p =
		topic_partition(rig_topic_with(r, "t", 1, "cleanup.policy", "compact"), 0);
	struct ks_why said;
	int64_t start;

	append_at(r, p, START_MS, 10);
	assert_int_equal(broker_trim(r->b, p, -1, &start, &said), ERR_POLICY_VIOLATION);
	assert_string_equal(said.text,
			    "topic \"t\" cannot be trimmed: its cleanup.policy has no \"delete\"");
	assert_int_equal(partition_log_start_offset(p), 0);
	assert_ok(broker_topic_alter(
		r->b, "t", &(struct config_entry){"cleanup.policy", "compact,delete"}, 1, why));
	assert_ok(broker_trim(r->b, p, -1, &start, why));
	assert_int_equal(start, 1);
}

static void the_thread_trims_by_itself(void **state)
{
	struct rig *r = *state;
	struct waiter *w = waiter_new();

	broker_close(r->b);
	r->options.retention_check_ms = 5;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic_with(r, "t", 1, "retention.ms", "10"), 0);
	append_at(r, p, START_MS, 10);
	r->now_ms = START_MS + 1000;
	while (partition_log_start_offset(p) == 0)
		waiter_wait(w, waiter_ticket(w), 5);
	assert_int_equal(partition_log_start_offset(p), 1);
	waiter_free(w);
}

/* The batches are gone from the store; that they are is not published yet. */
static void a_reader_that_meets_a_trim_learns_where_to_go_on(void **state)
{
	struct rig *r = *state;
	struct ks_why said = {""};
	struct chunk c;

	for (int i = 0; i < 10; i++)
		rig_append(
			r,
			topic_partition(i ? broker_topic_find(r->b, "t") : rig_topic(r, "t", 1), 0),
			10, 10 * i);
	rig_reopen(r); /* no tail */
	struct partition *p = topic_partition(broker_topic_find(r->b, "t"), 0);
	struct key_log from = key_log(p->id, 0), to = key_log(p->id, 50);
	struct store_write *w = store_write_new(r->b->store);
	store_delete_range(w, CF_LOG, KEY_SLICE(from), KEY_SLICE(to));
	atomic_store(&p->trim_announced, 50);
	assert_ok(store_commit(r->b->store, w, false, why));
	store_write_free(w);

	struct reader *reader = reader_new(p);
	assert_int_equal(reader_read(reader, 10, 1000, &c, &said), ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(partition_log_start_offset(p), 0);
	assert_int_equal(partition_next_start_offset(p), 50);
	assert_int_equal(reader_read(reader, 50, 1000, &c, &said), 0);
	chunk_fini(&c);
	reader_free(reader);
}

static uint64_t live_bytes(struct rig *r)
{
	struct store_stats stats;

	store_stats(broker_store(r->b), &stats);
	return stats.live_bytes;
}

static void space_comes_back(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 4);
	int64_t start;

	for (int i = 0; i < 64; i++)
		append_at(r, topic_partition(t, i % 4), START_MS, MIB - 4096);
	assert_ok(store_flush(broker_store(r->b), why));
	uint64_t full = live_bytes(r);
	assert_true(full > 60 * MIB);

	/* Like retention everywhere: whole files die. */
	for (int i = 0; i < 4; i++)
		assert_ok(broker_trim(r->b, topic_partition(t, i), 12, &start, why));
	assert_ok(broker_reclaim(r->b, why));
	uint64_t trimmed = live_bytes(r);
	print_message("live: %d MiB, three quarters trimmed: %d MiB\n", (int)(full / MIB),
		      (int)(trimmed / MIB));
	assert_true(trimmed < full / 2);

	/* One partition's garbage lies in files that others still need. */
	assert_ok(broker_trim(r->b, topic_partition(t, 0), -1, &start, why));
	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_ok(broker_reclaim(r->b, why));
	print_message("topic deleted: %d MiB\n", (int)(live_bytes(r) / MIB));
	assert_true(live_bytes(r) < full / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(trimming_raises_the_start_and_never_lowers_it),
		BOTH(trimming_inside_a_batch_keeps_the_batch),
		BOTH(records_older_than_retention_ms_go),
		BOTH(a_log_larger_than_retention_bytes_is_cut),
		MEMORY(compacted_and_everlasting_topics_are_left_alone),
		ROCKS(a_reader_that_meets_a_trim_learns_where_to_go_on),
		MEMORY(a_topic_that_is_only_compacted_cannot_be_trimmed),
		MEMORY(the_thread_trims_by_itself),
		ROCKS(space_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

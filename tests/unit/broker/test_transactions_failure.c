/* Transactions while the disk fails: a write that failed is there as a whole or not at all, and a client that asks again is
 * answered rightly either way. */
#include "failing_disk.h"
#include "txn_calls.h"

/* EndTxn while the disk fails: the call has no answer. */
static void end_failing(struct txn_client *c, bool is_commit)
{
	struct end_txn_request q = {slice_str(c->id), c->pid, c->epoch, is_commit};
	struct sent *s = txn_send(c->r, API_end_txn, 5, 0, &q);

	assert_int_equal(sent_wait_failed(s), ERR_IO);
	sent_free(s);
}

/* The end, its markers, its offsets and the answer to its repetition: all of them, or none. */
static void test_a4_a_commit_whose_write_failed_is_there_as_a_whole_or_not_at_all(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 8);
	for (int took_effect = 0; took_effect < 2; took_effect++) {
		rig_reopen_failing(r, -1, false);
		struct txn_client *c = txn_client_new(r, took_effect ? "b" : "a", true);
		for (int i = 0; i < 8; i++)
			txn_write(c, partition_at(r, "t", i), 1, 10 * took_effect + i);
		assert_code(txn_offset_commit(c, (struct txn_offset){.group = "g",
								     .topic = "t",
								     .offset = 5 + took_effect}),
			    ERR_NONE);
		disk_fail_after(0, took_effect);
		end_failing(c, true);
		assert_code(broker_append_wait(r->b, partition_at(r, "t", 0), rig_frame(1, 1, 0, 0),
					       ACKS_ALL, NULL, NULL),
			    ERR_IO);
		rig_reopen(r);
		for (int i = 0; i < 8; i++) {
			struct partition *p = partition_at(r, "t", i);
			int64_t end = partition_high_watermark(p);
			assert_int_equal(partition_last_stable_offset(p),
					 took_effect ? end : end - 1);
		}
		struct fetched f = fetch(r, (struct fetching){.group = "g", .topic = "t"});
		assert_int_equal(f.code, took_effect ? 0 : ERR_UNSTABLE_OFFSET_COMMIT);
		/* The client asks again. */
		txn_commit(c);
		f = fetch(r, (struct fetching){.group = "g", .topic = "t"});
		assert_int_equal(f.offset, 5 + took_effect);
		for (int i = 0; i < 8; i++) {
			struct partition *p = partition_at(r, "t", i);
			if (took_effect)
				assert_committed(p, 0, i, 10 + i);
			else
				assert_committed(p, 0, i);
			assert_int_equal(partition_high_watermark(p), 2 * (took_effect + 1));
		}
		free(c);
	}
}

static void test_a15_a_first_batch_that_was_not_written_has_begun_nothing(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	for (int took_effect = 0; took_effect < 2; took_effect++) {
		int32_t count;
		rig_reopen_failing(r, -1, false);
		struct txn_client *c = txn_client_new(r, took_effect ? "b" : "a", true);
		disk_fail_after(0, took_effect);
		assert_code(txn_produce(c, rig_partition(r, "t"), 1, 7), ERR_IO);
		rig_reopen(r);
		assert_string_equal(txn_state(r, c->id, &count), took_effect ? "Ongoing" : "Empty");
		assert_int_equal(count, took_effect);
		assert_int_equal(partition_high_watermark(rig_partition(r, "t")),
				 took_effect ? 3 : 0);
		/* Sent again it is there once. */
		assert_code(txn_produce(c, rig_partition(r, "t"), 1, 7), ERR_NONE);
		txn_commit(c);
		free(c);
	}
	assert_committed(rig_partition(r, "t"), 0, 7, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKS(test_a4_a_commit_whose_write_failed_is_there_as_a_whole_or_not_at_all),
		ROCKS(test_a15_a_first_batch_that_was_not_written_has_begun_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

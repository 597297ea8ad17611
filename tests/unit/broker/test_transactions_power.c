/* Batches of transactions are acknowledged before they are on the disk. What a power loss is: a copy of the data directory, taken
 * when the lost writes had not come yet, opened as if the machine had been started anew. */
#include "failing_disk.h"
#include "txn_calls.h"

static const uint8_t first_boot[BOOT_ID_BYTES] = "first", second_boot[BOOT_ID_BYTES] = "second";

/* --- what is synced --- */

static int commits, synced;

static enum ks_err count_commit(struct store *s, struct store_write *w, bool sync,
				struct ks_why *why)
{
	commits++;
	synced += sync;
	return disk.real->commit(s, w, sync, why);
}

static int setup_counted(void **state)
{
	struct rig *r = rig_new(false);
	struct store *s = store_open_memory();

	disk_intercept(s, count_commit);
	r->options.boot_id = first_boot;
	assert_int_equal(broker_open_store(&r->options, s, &r->b, NULL), 0);
	rig_topic(r, "t", 1);
	*state = r;
	return 0;
}

static void test_a15_the_end_of_a_transaction_syncs_what_its_batches_did_not(void **state)
{
	struct rig *r = *state;
	struct partition *p = partition_at(r, "t", 0);

	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		commits = synced = 0;
		txn_write(c, p, 1, 1);
		txn_write(c, p, 1, 2);
		assert_true(commits >= 2);
		assert_int_equal(synced, 0);
		/* The same batch again is answered as before. */
		assert_code(txn_try_produce(c, p, c->epoch, 1, 1, 2, NULL), ERR_NONE);
		assert_int_equal(synced, 0);
		txn_commit(c);
		assert_int_equal(synced, 1);
		free(c);
	}
}

static void test_a15_an_end_does_not_find_much_left_to_sync(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct partition *p = partition_at(r, "t", 0);

	synced = 0;
	for (int i = 0; i < 160; i++)
		txn_write(c, p, 3000, 0); /* some 40 KB */
	assert_in_range(synced, 2, 8);
	txn_commit(c);
	free(c);
}

static void test_a15_a_batch_outside_a_transaction_is_synced(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t offset;

	synced = 0;
	assert_ok(broker_append_wait(r->b, partition_at(r, "t", 0), rig_frame(1, 0, 0, START_MS),
				     ACKS_ALL, &offset, why));
	assert_int_equal(synced, 1);
	free(c);
}

/* --- power losses --- */

static int setup_first_boot(void **state)
{
	struct rig *r = rig_new(true);

	r->options.boot_id = first_boot;
	rig_open(r);
	rig_topic(r, "t", 2);
	*state = r;
	return 0;
}

/* What the disk has at this moment. */
static char *copy_disk(const struct rig *r)
{
	char command[1200], *dir = scratch_make();

	snprintf(command, sizeof command, "cp -r '%s/.' '%s'", r->dir, dir);
	assert_int_equal(system(command), 0);
	return dir;
}

static void start_on(struct rig *r, char *copy, const uint8_t *boot_id)
{
	broker_close(r->b);
	scratch_remove(r->dir);
	r->dir = copy;
	r->options.dir = copy;
	r->options.boot_id = boot_id;
	rig_open(r);
}

/* The machine goes down, and has no more than that when it is back. */
static void lose_power(struct rig *r, char *copy)
{
	start_on(r, copy, second_boot);
}

static void assert_recovers(struct txn_client *c, struct partition *p, int number)
{
	assert_code(txn_init(c), ERR_NONE);
	txn_write(c, p, 1, number);
	txn_commit(c);
}

static void test_a15_a_transaction_that_lost_a_batch_is_not_committed(void **state)
{
	struct rig *r = *state;
	struct txn_client *c[2];

	EACH_VERSION(v)
	{
		c[v] = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c[v], partition_at(r, "t", v), 1, 10);
	}
	char *copy = copy_disk(r);
	EACH_VERSION(v)
	assert_code(txn_produce(c[v], partition_at(r, "t", v), 1, 11), ERR_NONE);
	lose_power(r, copy);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		assert_code(txn_finish(c[v], true), ERR_PRODUCER_FENCED);
		assert_int_equal(partition_last_stable_offset(p), partition_high_watermark(p));
		assert_committed(p, 0, NOTHING);
		assert_recovers(c[v], p, 20);
		assert_committed(p, 0, 20);
		free(c[v]);
	}
}

/* Its producer would go on in a new transaction that has only the second half. */
static void test_a15_a_transaction_that_was_lost_whole_does_not_go_on(void **state)
{
	struct rig *r = *state;
	struct txn_client *c[2];

	EACH_VERSION(v)
	{
		c[v] = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c[v], partition_at(r, "t", 0), 1, v);
		txn_commit(c[v]);
	}
	char *copy = copy_disk(r);
	EACH_VERSION(v)
	txn_write(c[v], partition_at(r, "t", 0), 1, 10 + v);
	lose_power(r, copy);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", 1);
		if (!v)
			assert_true(txn_add(c[v], "t", 1, 1) != ERR_NONE);
		assert_true(txn_produce(c[v], p, 1, 20) != ERR_NONE);
		/* Version 1 would take this for a repetition of the last one. */
		assert_true(txn_finish(c[v], true) != ERR_NONE);
		assert_recovers(c[v], p, 30 + v);
		free(c[v]);
	}
	assert_committed(partition_at(r, "t", 0), 0, 0, 1);
	assert_committed(partition_at(r, "t", 1), 0, 30, 31);
}

static void test_a15_offsets_that_a_lost_transaction_was_told_are_gone(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct txn_offset offset = {.group = "g", .topic = "t", .offset = 5};

	assert_code(txn_offset_commit(c, offset), ERR_NONE);
	char *copy = copy_disk(r);
	txn_write(c, partition_at(r, "t", 0), 1, 1);
	lose_power(r, copy);
	assert_code(txn_finish(c, true), ERR_PRODUCER_FENCED);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, -1);
	free(c);
}

static void test_a15_who_accepts_lost_writes_accepts_that_all_are_fenced(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);

	txn_write(c, partition_at(r, "t", 0), 1, 1);
	r->options.store.accept_lost_writes = true;
	rig_reopen(r);
	assert_code(txn_finish(c, true), ERR_PRODUCER_FENCED);
	free(c);
}

/* --- no power loss --- */

static void test_a15_after_a_crash_a_transaction_goes_on(void **state)
{
	struct rig *r = *state;
	struct txn_client *c[2];

	EACH_VERSION(v)
	{
		c[v] = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c[v], partition_at(r, "t", v), 1, 1);
	}
	start_on(r, copy_disk(r), first_boot);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		assert_code(txn_produce(c[v], p, 1, 2), ERR_NONE);
		txn_commit(c[v]);
		assert_committed(p, 0, 1, 2);
		free(c[v]);
	}
}

static void test_a15_after_a_stop_a_new_start_of_the_machine_fences_nobody(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct partition *p;

	txn_write(c, partition_at(r, "t", 0), 1, 1);
	r->options.boot_id = second_boot;
	rig_reopen(r);
	p = partition_at(r, "t", 0);
	assert_code(txn_produce(c, p, 1, 2), ERR_NONE);
	/* Whoever goes on without InitProducerId is guarded as well. */
	char *copy = copy_disk(r);
	assert_code(txn_produce(c, p, 1, 3), ERR_NONE);
	start_on(r, copy, first_boot);
	assert_code(txn_finish(c, true), ERR_PRODUCER_FENCED);
	free(c);
}

#define BOOTED(f) cmocka_unit_test_setup_teardown(f, setup_first_boot, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a15_the_end_of_a_transaction_syncs_what_its_batches_did_not,
			setup_counted, rig_teardown),
		cmocka_unit_test_setup_teardown(test_a15_a_batch_outside_a_transaction_is_synced,
						setup_counted, rig_teardown),
		cmocka_unit_test_setup_teardown(test_a15_an_end_does_not_find_much_left_to_sync,
						setup_counted, rig_teardown),
		BOOTED(test_a15_a_transaction_that_lost_a_batch_is_not_committed),
		BOOTED(test_a15_a_transaction_that_was_lost_whole_does_not_go_on),
		BOOTED(test_a15_offsets_that_a_lost_transaction_was_told_are_gone),
		BOOTED(test_a15_who_accepts_lost_writes_accepts_that_all_are_fenced),
		BOOTED(test_a15_after_a_crash_a_transaction_goes_on),
		BOOTED(test_a15_after_a_stop_a_new_start_of_the_machine_fences_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The coordinator of transactions: what clients of both versions of the protocol see of a transaction from its first batch to
 * its end, with many at once, with requests that come late, twice or from strangers, and what is there after a start. */
#include "txn_calls.h"

static void test_b1_a_committed_transaction_is_read_and_an_aborted_one_is_not(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 2);
	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		struct partition *p = partition_at(r, "t", v);
		txn_write(c, p, 2, 10);
		assert_int_equal(partition_last_stable_offset(p), 0);
		txn_commit(c);
		assert_int_equal(partition_last_stable_offset(p), 3);
		txn_write(c, p, 2, 20);
		txn_abort(c);
		txn_write(c, p, 1, 30);
		assert_committed(p, 0, 10, 11);
		txn_commit(c);
		assert_committed(p, 0, 10, 11, 30);
		free(c);
	}
	reopen(r);
	for (int v = 0; v < 2; v++)
		assert_committed(partition_at(r, "t", v), 0, 10, 11, 30);
}

static void test_a4_the_end_of_a_transaction_is_one_write(void **state)
{
	struct rig *r = *state;
	struct broker_stats before, after;

	rig_topic(r, "t", 8);
	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		for (int i = 0; i < 8; i++)
			txn_write(c, partition_at(r, "t", i), 1, 100 * v + i);
		if (!v)
			assert_code(txn_add_group(c, "g"), ERR_NONE);
		assert_code(txn_offset_commit(c, (struct txn_offset){.group = "g",
								     .topic = "t",
								     .offset = 7 + v}),
			    ERR_NONE);
		broker_stats(r->b, &before);
		txn_commit(c);
		broker_stats(r->b, &after);
		assert_int_equal(after.groups_written, before.groups_written + 1);
		for (int i = 0; i < 8; i++)
			assert_int_equal(partition_last_stable_offset(partition_at(r, "t", i)),
					 2 * (v + 1));
		assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset,
				 7 + v);
		free(c);
	}
	assert_committed(partition_at(r, "t", 5), 0, 5, 105);
}

#define WRITERS 3
#define ROUNDS  120

/* Numbers are 1000 * writer + 2 * round, one more when they will be aborted. */
struct writing {
	struct rig *r;
	int writer;
};

static void *write_many(void *arg)
{
	const struct writing *w = arg;
	struct txn_client *c =
		txn_client_new(w->r, (char[]){(char)('a' + w->writer), 0}, w->writer % 2);
	unsigned seed = (unsigned)w->writer + 1;

	for (int i = 0; i < ROUNDS; i++) {
		bool is_commit = rand_r(&seed) % 3;
		int number = 1000 * w->writer + 2 * i + !is_commit;
		for (int k = rand_r(&seed) % 3; k >= 0; k--)
			txn_write(c, partition_at(w->r, "t", 0), 1, number);
		assert_code(txn_finish(c, is_commit), ERR_NONE);
	}
	free(c);
	return NULL;
}

struct reading {
	struct partition *p;
	struct view *view;
	struct waiter *waiter;
	_Atomic(bool) writers_are_done;
};

/* What there is below the last stable offset. */
static void read_some(struct reading *x)
{
	struct aborted_transaction *rows;
	struct chunk chunks[4];
	size_t count, row_count;
	int64_t end = partition_last_stable_offset(x->p);

	assert_true(end <= partition_high_watermark(x->p));
	while (partition_read_now(x->p, x->view->next, end, 2000, false, chunks, 4, &count) == 0) {
		assert_ok(partition_aborted(x->p, chunks, count, true, &rows, &row_count, why));
		struct buf answer = {0};
		for (size_t i = 0; i < count; i++) {
			buf_append(&answer, chunks[i].bytes.data, chunks[i].bytes.len);
			chunk_fini(&chunks[i]);
		}
		view_chunk(x->view, &(struct chunk){.bytes = buf_slice(&answer)}, rows, row_count);
		buf_fini(&answer);
		assert_true(x->view->next <= end);
		free(rows);
	}
}

static void *read_all_of_it(void *arg)
{
	struct reading *x = arg;

	for (;;) {
		uint64_t ticket = waiter_ticket(x->waiter);
		bool is_last = atomic_load(&x->writers_are_done);
		read_some(x);
		if (is_last)
			return NULL;
		waiter_wait(x->waiter, ticket, 10000);
	}
}

static void
test_b1_readers_at_the_end_see_what_was_committed_all_of_it_and_nothing_else(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct reading readings[2] = {{.p = p}, {.p = p}};
	struct writing writings[WRITERS];
	pthread_t writers[WRITERS], readers[2];

	for (int i = 0; i < 2; i++) {
		readings[i].view = calloc(1, sizeof *readings[i].view);
		readings[i].waiter = waiter_new();
		waiter_watch(readings[i].waiter, p);
		pthread_create(&readers[i], NULL, read_all_of_it, &readings[i]);
	}
	for (int i = 0; i < WRITERS; i++) {
		writings[i] = (struct writing){r, i};
		pthread_create(&writers[i], NULL, write_many, &writings[i]);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	struct view *all = read_committed(p, 0, 1 << 20);
	assert_int_equal(partition_last_stable_offset(p), partition_high_watermark(p));
	assert_true(all->count > 0);
	for (int i = 0; i < 2; i++) {
		struct view *v = readings[i].view;
		atomic_store(&readings[i].writers_are_done, true);
		waiter_wake(readings[i].waiter);
		pthread_join(readers[i], NULL);
		assert_int_equal(v->count, all->count);
		for (size_t k = 0; k < v->count; k++) {
			assert_int_equal(v->numbers[k], all->numbers[k]);
			assert_int_equal(v->numbers[k] % 2, 0);
		}
		waiter_free(readings[i].waiter);
		free(v);
	}
	free(all);
}

static void test_a7_a_repeated_end_is_answered_as_the_first_time(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	for (int i = 0; i < 4; i++) {
		bool is_commit = i / 2;
		struct txn_client *c = txn_client_new(r, (char[]){(char)('a' + i), 0}, i % 2);
		int64_t pid = c->pid;
		int16_t epoch = c->epoch;
		txn_write(c, partition_at(r, "t", 0), 1, i);
		assert_code(txn_end_as(c, pid, epoch, is_commit), ERR_NONE);
		int16_t told = c->told_epoch;
		int64_t end = partition_high_watermark(partition_at(r, "t", 0));
		reopen(r);
		assert_code(txn_end_as(c, pid, epoch, is_commit), ERR_NONE);
		assert_int_equal(c->told_epoch, told);
		assert_code(txn_end_as(c, pid, epoch, !is_commit), ERR_INVALID_TXN_STATE);
		assert_int_equal(partition_high_watermark(partition_at(r, "t", 0)), end);
		free(c);
	}
}

static void test_a1_a_late_end_of_version_2_does_not_end_the_next_transaction(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	int16_t first = c->epoch;

	txn_write(c, p, 1, 1);
	txn_commit(c);
	txn_write(c, p, 1, 2);
	assert_code(txn_end_as(c, c->pid, first, true), ERR_PRODUCER_FENCED);
	assert_code(txn_end_as(c, c->pid, first, false), ERR_PRODUCER_FENCED);
	assert_string_equal(txn_state(r, "a", NULL), "Ongoing");
	assert_committed(p, 0, 1);
	free(c);
}

static void test_a1_a_late_end_of_version_1_is_refused_by_its_older_connection(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", false);

	c->connection = 5;
	txn_write(c, p, 1, 1);
	c->connection = 6; /* it gave up waiting for its commit, and connects anew */
	txn_commit(c);
	txn_write(c, p, 1, 2);
	c->connection = 5;
	assert_code(txn_finish(c, false), ERR_NOT_COORDINATOR);
	assert_code(txn_add(c, "t", 0, 1), ERR_NOT_COORDINATOR);
	assert_code(txn_add_group(c, "g"), ERR_NOT_COORDINATOR);
	assert_code(txn_produce(c, p, 1, 3), ERR_NOT_LEADER_OR_FOLLOWER);
	c->connection = 6;
	txn_commit(c);
	assert_committed(p, 0, 1, 2);
	free(c);
}

static void test_a1_the_defence_can_be_switched_off(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.txns.no_connection_defence = true;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", false);
	c->connection = 6;
	txn_write(c, p, 1, 1);
	c->connection = 5;
	txn_write(c, p, 1, 2);
	txn_commit(c);
	assert_committed(p, 0, 1, 2);
	free(c);
}

static void test_a2_a_batch_that_comes_after_the_end_is_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		int16_t epoch = c->epoch;
		txn_write(c, p, 1, 1);
		txn_abort(c);
		int64_t end = partition_high_watermark(p);
		assert_code(txn_try_produce(c, p, epoch, 1, 1, 2, NULL),
			    v ? ERR_INVALID_PRODUCER_EPOCH : ERR_TRANSACTION_ABORTABLE);
		assert_int_equal(partition_high_watermark(p), end);
		assert_int_equal(partition_last_stable_offset(p), end);
		free(c);
	}
}

static void test_a3_a_partition_that_was_not_added_is_added_by_version_2_alone(void **state)
{
	struct rig *r = *state;
	int32_t count;

	rig_topic(r, "t", 2);
	struct txn_client *a = txn_client_new(r, "a", false), *b = txn_client_new(r, "b", true);
	assert_code(txn_add(a, "t", 0, 1), ERR_NONE);
	assert_code(txn_produce(a, partition_at(r, "t", 1), 1, 1), ERR_TRANSACTION_ABORTABLE);
	assert_int_equal(partition_high_watermark(partition_at(r, "t", 1)), 0);
	assert_code(txn_produce(b, partition_at(r, "t", 1), 1, 1), ERR_NONE);
	assert_string_equal(txn_state(r, "b", &count), "Ongoing");
	assert_int_equal(count, 1);
	reopen(r);
	assert_string_equal(txn_state(r, "b", &count), "Ongoing");
	assert_int_equal(count, 1);
	txn_commit(b);
	assert_committed(partition_at(r, "t", 1), 0, 1);
	txn_commit(a); /* nothing is in it */
	assert_int_equal(partition_high_watermark(partition_at(r, "t", 0)), 0);
	free(a);
	free(b);
}

static void test_a3_a_partition_that_was_added_and_not_written_to_gets_no_marker(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", false);
	struct producer_row *rows;
	size_t count;

	rig_topic(r, "t", 2);
	for (int is_commit = 0; is_commit <= 1; is_commit++) {
		assert_code(txn_add(c, "t", 0, 2), ERR_NONE);
		assert_code(txn_produce(c, partition_at(r, "t", 0), 1, is_commit), ERR_NONE);
		assert_code(txn_finish(c, is_commit), ERR_NONE);
	}
	assert_int_equal(partition_high_watermark(partition_at(r, "t", 0)), 4);
	assert_int_equal(partition_high_watermark(partition_at(r, "t", 1)), 0);
	assert_int_equal(partition_last_stable_offset(partition_at(r, "t", 1)), 0);
	assert_ok(broker_partition_producers(r->b, partition_at(r, "t", 1), &rows, &count));
	assert_int_equal(count, 0);
	free(rows);
	/* It is closed all the same. */
	assert_code(txn_produce(c, partition_at(r, "t", 1), 1, 5), ERR_TRANSACTION_ABORTABLE);
	assert_committed(partition_at(r, "t", 0), 0, 1);
	free(c);
}

static void test_a3_batches_of_unknown_producers_are_refused(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *a = txn_client_new(r, "a", true);
	struct txn_client stranger = *a;

	stranger.pid += 1000;
	assert_code(txn_produce(&stranger, p, 1, 1), ERR_INVALID_PRODUCER_ID_MAPPING);
	stranger = *a;
	stranger.id = "b";
	assert_code(txn_produce(&stranger, p, 1, 1), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_code(txn_end_as(&stranger, a->pid, 0, true), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_code(txn_add(&stranger, "t", 0, 1), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_code(txn_add_group(&stranger, "g"), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(partition_high_watermark(p), 0);
	free(a);
}

static void test_a3_partitions_that_are_not_there_are_told_and_none_is_added(void **state)
{
	struct rig *r = *state;
	int32_t count;

	rig_topic(r, "t", 2);
	struct txn_client *c = txn_client_new(r, "a", false);
	assert_code(txn_add(c, "t", 1, 2), ERR_OPERATION_NOT_ATTEMPTED);
	assert_code(txn_add(c, "t", 2, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_code(txn_add(c, "u", 0, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_string_equal(txn_state(r, "a", &count), "Empty");
	assert_code(txn_add(c, "t", 0, 2), ERR_NONE);
	assert_string_equal(txn_state(r, "a", &count), "Ongoing");
	assert_int_equal(count, 2);
	free(c);
}

static void test_c8_a_topic_that_is_gone_does_not_keep_a_transaction_from_ending(void **state)
{
	struct rig *r = *state;
	int32_t count;

	rig_topic(r, "t", 2);
	rig_topic(r, "u", 1);
	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c, partition_at(r, "t", 1), 1, v);
		txn_write(c, rig_partition(r, "u"), 1, v);
		assert_ok(broker_topic_delete(r->b, "u", why));
		reopen(r);
		rig_topic(r, "u", 1);
		txn_state(r, c->id, &count);
		assert_int_equal(count, 1);
		assert_int_equal(partition_last_stable_offset(rig_partition(r, "u")), 0);
		txn_commit(c);
		assert_int_equal(partition_high_watermark(rig_partition(r, "u")), 0);
		free(c);
	}
	assert_committed(partition_at(r, "t", 1), 0, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_b1_a_committed_transaction_is_read_and_an_aborted_one_is_not),
		BOTH(test_a4_the_end_of_a_transaction_is_one_write),
		BOTH(test_b1_readers_at_the_end_see_what_was_committed_all_of_it_and_nothing_else),
		BOTH(test_a7_a_repeated_end_is_answered_as_the_first_time),
		MEMORY(test_a1_a_late_end_of_version_2_does_not_end_the_next_transaction),
		MEMORY(test_a1_a_late_end_of_version_1_is_refused_by_its_older_connection),
		MEMORY(test_a1_the_defence_can_be_switched_off),
		MEMORY(test_a2_a_batch_that_comes_after_the_end_is_refused),
		BOTH(test_a3_a_partition_that_was_not_added_is_added_by_version_2_alone),
		MEMORY(test_a3_a_partition_that_was_added_and_not_written_to_gets_no_marker),
		MEMORY(test_a3_batches_of_unknown_producers_are_refused),
		MEMORY(test_a3_partitions_that_are_not_there_are_told_and_none_is_added),
		BOTH(test_c8_a_topic_that_is_gone_does_not_keep_a_transaction_from_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

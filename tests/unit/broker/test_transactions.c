/* The coordinator of transactions: what clients of both versions of the protocol ask it, what partitions and groups show
 * then, and what is there after a stop, a crash and a failing disk. */
#include "txn_calls.h"

#include "store/store_impl.h"

/* Each story is told by clients of version 1 and of version 2. */
#define EACH_VERSION(v) for (int v = 0; v < 2; v++)

/* What only a bug would do, on the shard's thread: makes a transaction open at offset. */
struct spoiling {
	struct call call;
	struct producer *producer;
	int64_t offset;
	int16_t epoch; /* -1: as it is */
};

static enum ks_err spoil_apply(struct call *call, struct group *g)
{
	struct spoiling *x = (struct spoiling *)call;
	struct producer_state s = x->producer->state;

	(void)g;
	s.txn_first_offset = x->offset;
	if (x->epoch >= 0)
		s.epoch = x->epoch;
	producer_set(call->broker->producers, x->producer, &s);
	return ERR_NONE;
}

static void spoil(struct rig *r, struct producer *x, int64_t offset, int16_t epoch)
{
	struct spoiling s = {.call = {.apply = spoil_apply, .is_alone = true, .broker = r->b},
			     .producer = x,
			     .offset = offset,
			     .epoch = epoch};

	assert_int_equal(shard_call(r->b->shard, &s.call), 0);
}

static struct partition *partition_at(struct rig *r, const char *topic, int32_t index)
{
	return topic_partition(broker_topic_find(r->b, topic), index);
}

static void reopen(struct rig *r)
{
	if (r->dir)
		rig_reopen(r);
}

/* --- the whole of it --- */

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

/* --- at once --- */

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

/* --- clients that ask again, late, or what they may not --- */

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

/* --- instances --- */

static void test_a5_a_new_instance_aborts_and_fences_the_old_one(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 2);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		struct txn_client *old = txn_client_new(r, v ? "b" : "a", v);
		txn_write(old, p, 2, 1);
		struct txn_client *new = txn_client_new(r, v ? "b" : "a", v);
		assert_int_equal(new->pid, old->pid);
		assert_int_equal(new->epoch, old->epoch + 1);
		assert_int_equal(partition_last_stable_offset(p), 3);
		assert_code(txn_produce(old, p, 1, 9), ERR_INVALID_PRODUCER_EPOCH);
		assert_code(txn_finish(old, true), ERR_PRODUCER_FENCED);
		if (!v)
			assert_code(txn_add(old, "t", v, 1), ERR_PRODUCER_FENCED);
		txn_write(new, p, 1, 5);
		reopen(r);
		p = partition_at(r, "t", v);
		assert_code(txn_produce(old, p, 1, 9), ERR_INVALID_PRODUCER_EPOCH);
		txn_commit(new);
		assert_committed(p, 0, 5);
		free(old);
		free(new);
	}
}

static void test_a14_asking_for_an_epoch_in_a_transaction_aborts_it_and_says_so(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);

	txn_write(c, p, 2, 1);
	assert_code(txn_init_from(c, c->pid, c->epoch), ERR_PRODUCER_FENCED);
	assert_string_equal(txn_state(r, "a", NULL), "CompleteAbort");
	assert_int_equal(partition_last_stable_offset(p), 3);
	assert_code(txn_produce(c, p, 1, 3), ERR_INVALID_PRODUCER_EPOCH);
	assert_committed(p, 0, NOTHING);
	free(c);
}

static void test_a13_a_repeated_request_for_an_epoch_gets_the_same(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t pid = c->pid;

	assert_code(txn_init_from(c, pid, 0), ERR_NONE);
	assert_int_equal(c->epoch, 1);
	reopen(r);
	assert_code(txn_init_from(c, pid, 0), ERR_NONE);
	assert_int_equal(c->epoch, 1);
	assert_int_equal(c->pid, pid);
	free(c);
}

static void test_a10_epochs_that_are_used_up_give_another_producer_id(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	int64_t pid = c->pid;

	while (c->pid == pid && c->epoch < 32760)
		assert_code(txn_init(c), ERR_NONE);
	for (int i = 0; i < 10; i++) {
		txn_write(c, p, 1, i);
		int64_t before_pid = c->pid;
		int16_t before = c->epoch;
		txn_commit(c);
		assert_true(c->epoch >= 0);
		/* A commit that comes again is known by the pair that it names. */
		assert_code(txn_end_as(c, before_pid, before, true), ERR_NONE);
		assert_int_equal(c->told_pid, c->pid);
		assert_int_equal(c->told_epoch, c->epoch);
	}
	assert_true(c->pid > pid);
	assert_committed(p, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	free(c);
}

static void test_a17_what_an_older_epoch_left_open_is_aborted_before_the_newer_begins(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct producer *x;

	/* The coordinator's record of it is lost: as if by a bug. */
	txn_write(c, p, 1, 1);
	txn_commit(c);
	txn_write(c, p, 2, 100);
	x = producer_find(r->b->producers, &p->producers, c->pid);
	assert_int_equal(x->state.txn_first_offset, 2);
	struct txn_client orphan = *c;
	assert_code(txn_init(c), ERR_NONE);
	assert_int_equal(partition_last_stable_offset(p), 5);
	/* Put it back. */
	spoil(r, x, 2, orphan.epoch);
	txn_write(c, p, 1, 7);
	assert_int_equal(partition_last_stable_offset(p), 6);
	assert_int_equal(partition_high_watermark(p), 7);
	txn_commit(c);
	assert_committed(p, 0, 1, 7);
	free(c);
}

struct idempotent {
	struct producer_id_call call;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_done;
};

static void idempotent_done(struct producer_id_call *call, enum ks_err err)
{
	struct idempotent *x = call->cookie;

	assert_int_equal(err, 0);
	pthread_mutex_lock(&x->mtx);
	x->is_done = true;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->mtx);
}

static void test_a21_an_idempotent_producer_never_gets_an_epoch_of_a_transactional_one(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct idempotent x = {.call = {.done = idempotent_done,
					.cookie = &x,
					.producer_id = c->pid,
					.producer_epoch = c->epoch}};

	pthread_mutex_init(&x.mtx, NULL);
	pthread_cond_init(&x.changed, NULL);
	broker_producer_id(r->b, &x.call);
	pthread_mutex_lock(&x.mtx);
	while (!x.is_done)
		pthread_cond_wait(&x.changed, &x.mtx);
	pthread_mutex_unlock(&x.mtx);
	assert_true(x.call.producer_id != c->pid);
	assert_int_equal(x.call.producer_epoch, 0);
	struct txn_client *d = txn_client_new(r, "d", true);
	assert_true(d->pid != c->pid && d->pid != x.call.producer_id);
	free(c);
	free(d);
}

/* --- time --- */

static void
test_a11_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(void **state)
{
	struct rig *r = *state;
	struct txn_stats stats;

	rig_topic(r, "t", 2);
	EACH_VERSION(v)
	{
		struct partition *p = partition_at(r, "t", v);
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		txn_write(c, p, 2, 1);
		pass(r, 59000);
		assert_string_equal(txn_state(r, c->id, NULL), "Ongoing");
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.open, 1);
		assert_int_equal(stats.oldest_ms, 59000);
		pass(r, 11000);
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.hanging, 0);
		assert_string_equal(txn_state(r, c->id, NULL), "CompleteAbort");
		assert_int_equal(partition_last_stable_offset(p), 3);
		assert_code(txn_finish(c, true), ERR_PRODUCER_FENCED);
		assert_code(txn_produce(c, p, 1, 3), ERR_INVALID_PRODUCER_EPOCH);
		assert_committed(p, 0, NOTHING);
		broker_txn_stats(r->b, &stats);
		assert_int_equal(stats.open, 0);
		assert_int_equal(stats.timed_out, v + 1);
		free(c);
	}
}

static void test_a11_timeouts_go_on_after_a_start(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);

	txn_write(c, p, 2, 1);
	pass(r, 55000);
	rig_reopen(r);
	p = rig_partition(r, "t");
	assert_int_equal(partition_last_stable_offset(p), 0);
	pass(r, 11000);
	assert_int_equal(partition_last_stable_offset(p), 3);
	free(c);
}

static void test_a12_an_id_that_expired_is_not_known_and_its_old_instance_cannot_go_on(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true), *other = txn_client_new(r, "b", true);

	txn_write(c, p, 1, 1);
	txn_commit(c);
	pass(r, INT64_C(604800000) + 3600000);
	assert_null(txn_state(r, "a", NULL));
	assert_code(txn_produce(c, p, 1, 2), ERR_INVALID_PRODUCER_ID_MAPPING);
	assert_code(txn_finish(other, false), ERR_INVALID_PRODUCER_ID_MAPPING);
	struct txn_client *new = txn_client_new(r, "a", true);
	assert_true(new->pid != c->pid);
	txn_write(new, p, 1, 3);
	assert_code(txn_produce(c, p, 1, 2), ERR_INVALID_PRODUCER_ID_MAPPING);
	txn_commit(new);
	assert_committed(p, 0, 1, 3);
	free(c);
	free(other);
	free(new);
}

static void test_a12_an_id_with_an_open_transaction_does_not_expire(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.txns.max_timeout_ms = INT32_MAX;
	r->options.txns.id_expiration_ms = 1000;
	r->options.txns.cleanup_interval_ms = 1000;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = calloc(1, sizeof *c);
	*c = (struct txn_client){.r = r, .id = "a", .is_v2 = true, .timeout_ms = 100000000};
	assert_code(txn_init(c), ERR_NONE);
	txn_write(c, p, 1, 1);
	pass(r, 10000);
	assert_string_equal(txn_state(r, "a", NULL), "Ongoing");
	txn_commit(c);
	assert_committed(p, 0, 1);
	pass(r, 10000);
	assert_null(txn_state(r, "a", NULL));
	free(c);
}

static void test_a20_bad_requests_get_their_errors(void **state)
{
	struct rig *r = *state;
	struct txn_client c = {.r = r, .id = "", .is_v2 = true};
	char longer[1100];

	memset(longer, 'x', sizeof longer);
	longer[1025] = 0;
	assert_code(txn_init(&c), ERR_INVALID_REQUEST);
	assert_code(txn_finish(&c, true), ERR_INVALID_REQUEST);
	c.id = longer;
	assert_code(txn_init(&c), ERR_INVALID_REQUEST);
	c.id = "a";
	c.timeout_ms = 900001;
	assert_code(txn_init(&c), ERR_INVALID_TRANSACTION_TIMEOUT);
	c.timeout_ms = -1;
	assert_code(txn_init(&c), ERR_INVALID_TRANSACTION_TIMEOUT);
	assert_null(txn_state(r, "a", NULL));
	c.timeout_ms = 900000;
	assert_code(txn_init(&c), ERR_NONE);
	assert_code(txn_add_group(&c, ""), ERR_INVALID_GROUP_ID);
	assert_code(txn_finish(&c, true), ERR_INVALID_TXN_STATE); /* A18 */
	assert_code(txn_finish(&c, false), ERR_NONE);
}

static void test_a20_there_are_no_more_ids_than_allowed(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	r->options.txns.ids_max = 2;
	rig_open(r);
	struct txn_client a = {.r = r, .id = "a"}, b = {.r = r, .id = "b"}, c = {.r = r, .id = "c"};
	assert_code(txn_init(&a), ERR_NONE);
	assert_code(txn_init(&b), ERR_NONE);
	assert_code(txn_init(&c), ERR_POLICY_VIOLATION);
	assert_code(txn_init(&b), ERR_NONE);
}

/* --- what hangs --- */

/* Opens a transaction in a partition that no coordinator knows of. */
static void make_orphan(struct rig *r, struct partition *p, struct txn_client *c)
{
	txn_write(c, p, 1, 66);
	struct producer *x = producer_find(r->b->producers, &p->producers, c->pid);
	txn_abort(c);
	spoil(r, x, 0, -1);
	rig_append(r, p, 1, 5);
}

static int16_t write_marker(struct rig *r, struct write_txn_markers_request_marker m,
			    const char *topic)
{
	int32_t index = 0;
	struct write_txn_markers_request_topic t = {slice_str(topic), {&index, 1}};
	struct write_txn_markers_request q = {{&m, 1}};

	m.topics.v = &t;
	m.topics.n = 1;
	struct sent *s = txn_send(r, API_write_txn_markers, 1, 0, &q);
	const struct write_txn_markers_response *a = sent_wait(s);
	int16_t code = a->markers.v[0].topics.v[0].partitions.v[0].error_code;
	sent_free(s);
	return code;
}

static void test_b3_a_transaction_that_nobody_will_end_is_found_and_can_be_aborted(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct txn_stats stats;

	make_orphan(r, p, c);
	struct write_txn_markers_request_marker m = {.producer_id = c->pid,
						     .producer_epoch = c->epoch};
	assert_int_equal(partition_last_stable_offset(p), 0);
	pass(r, 61000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 1);
	m.transaction_result = true;
	assert_code(write_marker(r, m, "t"), ERR_CLUSTER_AUTHORIZATION_FAILED);
	m.transaction_result = false;
	assert_code(write_marker(r, m, "u"), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_code(write_marker(r, m, "t"), ERR_NONE);
	assert_int_equal(partition_last_stable_offset(p), partition_high_watermark(p));
	pass(r, 61000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 0);
	assert_committed(p, 0, 5);
	free(c);
}

static void test_b3_what_the_coordinator_knows_only_it_ends(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *c = txn_client_new(r, "a", true);
	struct txn_stats stats;

	txn_write(c, p, 1, 1);
	txn_commit(c);
	txn_write(c, p, 1, 2);
	struct write_txn_markers_request_marker m = {.producer_id = c->pid,
						     .producer_epoch = c->epoch};
	assert_code(write_marker(r, m, "t"), ERR_INVALID_TXN_STATE);
	m.producer_epoch--;
	assert_code(write_marker(r, m, "t"), ERR_INVALID_PRODUCER_EPOCH);
	pass(r, 30000);
	broker_txn_stats(r->b, &stats);
	assert_int_equal(stats.hanging, 0);
	txn_commit(c);
	assert_committed(p, 0, 1, 2);
	free(c);
}

/* --- lists --- */

static int32_t count_listed(struct rig *r, struct list_transactions_request q)
{
	struct sent *s = txn_send(r, API_list_transactions, 2, 0, &q);
	const struct list_transactions_response *a = sent_wait(s);
	int32_t n = a->error_code ? -a->error_code : a->transaction_states.n;

	n += 100 * a->unknown_state_filters.n;
	sent_free(s);
	return n;
}

static void test_b3_transactions_are_listed_by_state_producer_age_and_name(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct txn_client *a = txn_client_new(r, "app-1", true),
			  *b = txn_client_new(r, "app-2", true), *c = txn_client_new(r, "x", true);
	struct slice ongoing[] = {slice_str("Ongoing"), slice_str("Asleep")};
	struct slice prepared = slice_str("PrepareCommit");
	struct list_transactions_request all = {.duration_filter = -1}, q;

	txn_write(a, p, 1, 1);
	pass(r, 5000);
	txn_write(b, p, 1, 2);
	assert_int_equal(count_listed(r, all), 3);
	q = all;
	q.state_filters.v = ongoing;
	q.state_filters.n = 1;
	assert_int_equal(count_listed(r, q), 2);
	q.state_filters.n = 2;
	assert_int_equal(count_listed(r, q), 102);
	q.state_filters.v = &prepared;
	q.state_filters.n = 1;
	assert_int_equal(count_listed(r, q), 0);
	q = all;
	q.producer_id_filters.v = &b->pid;
	q.producer_id_filters.n = 1;
	assert_int_equal(count_listed(r, q), 1);
	q = all;
	q.duration_filter = 4999;
	assert_int_equal(count_listed(r, q), 1);
	q = all;
	q.transactional_id_pattern = slice_str("app-.*");
	assert_int_equal(count_listed(r, q), 2);
	q.transactional_id_pattern = slice_str("app-(");
	assert_int_equal(count_listed(r, q), -(int32_t)ERR_INVALID_REGULAR_EXPRESSION);
	free(a);
	free(b);
	free(c);
}

/* --- offsets --- */

static void test_d1_offsets_of_an_open_transaction_are_pending(void **state)
{
	struct rig *r = *state;
	struct fetching f = {.group = "g", .topic = "t"};

	rig_topic(r, "t", 2);
	assert_code(commit(r,
			   (struct committing){
				   .group = "g", .topic = "t", .generation = -1, .offset = 3}),
		    ERR_NONE);
	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		int64_t before = 3 + 10 * v;
		struct txn_offset o = {
			.group = "g", .topic = "t", .metadata = "m", .offset = 13 + 10 * v};
		if (!v) {
			assert_code(txn_offset_commit(c, o), ERR_INVALID_TXN_STATE);
			assert_code(txn_add_group(c, "g"), ERR_NONE);
		}
		assert_int_equal(fetch(r, f).offset, before);
		o.offset--;
		assert_code(txn_offset_commit(c, o), ERR_NONE);
		o.offset++;
		assert_code(txn_offset_commit(c, o), ERR_NONE);
		for (int turn = 0; turn < 2; turn++) {
			assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
			f.version = 6; /* does not ask for what is stable */
			struct sent *s = fetch_send(r, &f);
			sent_wait(s);
			sent_free(s);
			f.version = 0;
			f.partition = 1;
			assert_int_equal(fetch(r, f).code, 0);
			f.partition = 0;
			if (turn == 0)
				reopen(r);
		}
		txn_commit(c);
		assert_int_equal(fetch(r, f).code, 0);
		assert_int_equal(fetch(r, f).offset, before + 10);
		assert_string_equal(fetch(r, f).metadata, "m");
		free(c);
	}
	reopen(r);
	assert_int_equal(fetch(r, f).offset, 23);
}

static void test_d1_offsets_of_an_aborted_transaction_are_dropped(void **state)
{
	struct rig *r = *state;
	struct fetching f = {.group = "g", .topic = "t"};
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
	txn_abort(c);
	assert_int_equal(fetch(r, f).code, 0);
	assert_int_equal(fetch(r, f).offset, -1);
	/* By its timeout, too. */
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	reopen(r);
	assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
	pass(r, 71000);
	assert_int_equal(fetch(r, f).code, 0);
	assert_int_equal(fetch(r, f).offset, -1);
	free(c);
}

static void test_a6_a_member_that_was_replaced_cannot_commit_in_a_transaction(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .type = "consumer", .session_ms = 10000};
	struct txn_client *c = txn_client_new(r, "a", true);
	char member[128];

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *joined = s->call.response;
	snprintf(member, sizeof member, "%.*s", (int)joined->member_id.len,
		 (const char *)joined->member_id.data);
	int32_t generation = joined->generation_id;
	struct txn_offset o = {.group = "g",
			       .topic = "t",
			       .member = member,
			       .generation = generation,
			       .offset = 1};
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	o.generation--;
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	o.generation = generation;
	o.member = "nobody";
	assert_code(txn_offset_commit(c, o), ERR_UNKNOWN_MEMBER_ID);
	o.member = member;
	o.instance = "static";
	assert_true(txn_offset_commit(c, o) != 0);
	o.instance = NULL;
	/* A producer that does not say who it is, as before version 3, is believed. */
	o.member = NULL;
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	/* Of a group that is not there no generation can be the right one. */
	o = (struct txn_offset){.group = "h", .topic = "t", .member = "m", .generation = 1};
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	txn_commit(c);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 1);
	sent_free(s);
	free(c);
}

static void test_a6_a_member_of_the_consumer_protocol_is_held_to_its_epoch(void **state)
{
	struct rig *r = *state;
	struct consumer m = {.group = "g", .id = "m1", .topics = {"t"}, .version = 1};
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	assert_code(consumer_beat(r, &m, true), ERR_NONE);
	struct txn_offset o = {
		.group = "g", .topic = "t", .member = "m1", .generation = m.epoch, .offset = 4};
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	o.generation++;
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	o.member = "m2";
	assert_code(txn_offset_commit(c, o), ERR_UNKNOWN_MEMBER_ID);
	txn_abort(c);
	free(c);
}

static void test_d5_what_is_pending_goes_with_its_group_and_with_its_topic(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct fetching f = {.group = "g", .topic = "t"};

	rig_topic(r, "t", 1);
	rig_topic(r, "u", 1);
	txn_write(c, rig_partition(r, "u"), 1, 1);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "h", .topic = "t", .offset = 6}),
		ERR_NONE);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "h", .topic = "u", .offset = 7}),
		ERR_NONE);
	assert_code(delete_group(r, "g"), ERR_NONE);
	assert_int_equal(fetch(r, f).code, 0);
	assert_ok(broker_topic_delete(r->b, "u", why));
	reopen(r);
	rig_topic(r, "u", 1);
	txn_commit(c);
	assert_int_equal(fetch(r, f).offset, -1);
	f.group = "h";
	assert_int_equal(fetch(r, f).offset, 6);
	f.topic = "u";
	assert_int_equal(fetch(r, f).offset, -1);
	/* Nothing is left of them in the store, nor of what nobody can ask for. */
	size_t count = 0;
	struct store_iter *offsets =
		store_iter_new(r->b->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	for (store_iter_first(offsets); store_iter_valid(offsets); store_iter_next(offsets))
		count++;
	store_iter_free(offsets);
	assert_int_equal(count, 1);
	struct store_iter *it = store_iter_new(r->b->store, CF_TXN, slice_str("o"), slice_str("p"));
	store_iter_first(it);
	assert_false(store_iter_valid(it));
	store_iter_free(it);
	free(c);
}

static void send_offset(struct txn_client *c, int64_t offset)
{
	struct txn_offset o = {.group = "g", .topic = "t", .offset = offset};

	assert_code(txn_offset_commit(c, o), ERR_NONE);
}

static void assert_offset(struct rig *r, int64_t offset)
{
	struct fetched got = fetch(r, (struct fetching){.group = "g", .topic = "t"});

	assert_int_equal(got.code, 0);
	assert_int_equal(got.offset, offset);
}

static void test_d5_an_offset_that_was_sent_later_is_not_taken_back_by_an_end(void **state)
{
	struct rig *r = *state;
	struct txn_client *a = txn_client_new(r, "a", true), *b = txn_client_new(r, "b", true);
	struct committing outside = {.group = "g", .topic = "t", .generation = -1, .offset = 8};
	int16_t of_group;

	rig_topic(r, "t", 1);
	send_offset(a, 5);
	assert_code(commit(r, outside), ERR_NONE);
	reopen(r);
	assert_offset(r, 8);
	txn_commit(a);
	assert_offset(r, 8);
	/* Of two transactions. */
	send_offset(a, 15);
	send_offset(b, 20);
	txn_commit(b);
	reopen(r);
	txn_commit(a);
	assert_offset(r, 20);
	send_offset(a, 30);
	pass(r, 10);
	send_offset(b, 25);
	reopen(r);
	txn_commit(a);
	txn_commit(b);
	assert_offset(r, 25);
	/* An abort takes nothing of the others with it. */
	send_offset(a, 40);
	send_offset(b, 45);
	txn_abort(b);
	txn_commit(a);
	assert_offset(r, 40);
	/* What is deleted does not come back. */
	send_offset(a, 50);
	assert_code(delete_offset(r, "g", "t", 0, &of_group), ERR_NONE);
	assert_code(of_group, ERR_NONE);
	reopen(r);
	txn_commit(a);
	assert_offset(r, -1);
	free(a);
	free(b);
}

static void test_d5_offsets_that_cannot_be_are_refused(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	char metadata[5000];

	rig_topic(r, "t", 1);
	memset(metadata, 'm', sizeof metadata);
	metadata[4097] = 0;
	assert_code(txn_offset_commit(
			    c, (struct txn_offset){.group = "g", .topic = "t", .partition = 1}),
		    ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_code(
		txn_offset_commit(
			c, (struct txn_offset){.group = "g", .topic = "t", .metadata = metadata}),
		ERR_OFFSET_METADATA_TOO_LARGE);
	assert_code(txn_offset_commit(c, (struct txn_offset){.group = "", .topic = "t"}),
		    ERR_INVALID_GROUP_ID);
	txn_commit(c);
	free(c);
}

static void test_d2_offsets_are_there_when_the_end_is_answered(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	for (int i = 0; i < 200; i++) {
		assert_code(
			txn_offset_commit(
				c, (struct txn_offset){.group = "g", .topic = "t", .offset = i}),
			ERR_NONE);
		txn_commit(c);
		assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, i);
	}
	free(c);
}

/* --- the disk fails --- */

static const struct store_ops *real_ops;
static struct store_ops ops;
static _Atomic(int) commits_left; /* until one fails; -1: none will */
static _Atomic(bool) is_written;  /* and yet it took effect */

static enum ks_err failing_commit(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why)
{
	if (commits_left < 0 || commits_left-- > 0)
		return real_ops->commit(s, w, sync, why);
	if (is_written) {
		enum ks_err err = real_ops->commit(s, w, sync, why);
		assert(!err);
	}
	return ks_fail(why, ERR_IO, "the disk is on fire");
}

static void open_failing(struct rig *r)
{
	struct store *s;

	assert_ok(store_open(r->dir, &r->options.store, &s, why));
	real_ops = s->ops;
	ops = *s->ops;
	ops.commit = failing_commit;
	s->ops = &ops;
	commits_left = -1;
	assert_ok(broker_open_store(&r->options, s, &r->b, why));
}

/* EndTxn while the disk fails: the call has no answer. */
static void end_failing(struct txn_client *c, bool is_commit)
{
	struct end_txn_request q = {slice_str(c->id), c->pid, c->epoch, is_commit};
	struct sent *s = txn_send(c->r, API_end_txn, 5, 0, &q);

	pthread_mutex_lock(&s->mtx);
	while (!s->is_done)
		pthread_cond_wait(&s->done, &s->mtx);
	pthread_mutex_unlock(&s->mtx);
	assert_int_equal(s->call.err, ERR_IO);
	sent_free(s);
}

/* The end, its markers, its offsets and the answer to its repetition: all of them, or none. */
static void test_a4_a_commit_whose_write_failed_is_there_as_a_whole_or_not_at_all(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 8);
	for (int took_effect = 0; took_effect < 2; took_effect++) {
		broker_close(r->b);
		open_failing(r);
		struct txn_client *c = txn_client_new(r, took_effect ? "b" : "a", true);
		for (int i = 0; i < 8; i++)
			txn_write(c, partition_at(r, "t", i), 1, 10 * took_effect + i);
		assert_code(txn_offset_commit(c, (struct txn_offset){.group = "g",
								     .topic = "t",
								     .offset = 5 + took_effect}),
			    ERR_NONE);
		is_written = took_effect;
		commits_left = 0;
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
		broker_close(r->b);
		open_failing(r);
		struct txn_client *c = txn_client_new(r, took_effect ? "b" : "a", true);
		is_written = took_effect;
		commits_left = 0;
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

/* --- topics --- */

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
		BOTH(test_a5_a_new_instance_aborts_and_fences_the_old_one),
		MEMORY(test_a14_asking_for_an_epoch_in_a_transaction_aborts_it_and_says_so),
		BOTH(test_a13_a_repeated_request_for_an_epoch_gets_the_same),
		MEMORY(test_a10_epochs_that_are_used_up_give_another_producer_id),
		MEMORY(test_a17_what_an_older_epoch_left_open_is_aborted_before_the_newer_begins),
		MEMORY(test_a21_an_idempotent_producer_never_gets_an_epoch_of_a_transactional_one),
		MEMORY(test_a11_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced),
		ROCKS(test_a11_timeouts_go_on_after_a_start),
		MEMORY(test_a12_an_id_that_expired_is_not_known_and_its_old_instance_cannot_go_on),
		MEMORY(test_a12_an_id_with_an_open_transaction_does_not_expire),
		MEMORY(test_a20_bad_requests_get_their_errors),
		MEMORY(test_a20_there_are_no_more_ids_than_allowed),
		MEMORY(test_b3_a_transaction_that_nobody_will_end_is_found_and_can_be_aborted),
		MEMORY(test_b3_what_the_coordinator_knows_only_it_ends),
		MEMORY(test_b3_transactions_are_listed_by_state_producer_age_and_name),
		BOTH(test_d1_offsets_of_an_open_transaction_are_pending),
		BOTH(test_d1_offsets_of_an_aborted_transaction_are_dropped),
		MEMORY(test_a6_a_member_that_was_replaced_cannot_commit_in_a_transaction),
		MEMORY(test_a6_a_member_of_the_consumer_protocol_is_held_to_its_epoch),
		BOTH(test_d5_what_is_pending_goes_with_its_group_and_with_its_topic),
		MEMORY(test_d5_an_offset_that_was_sent_later_is_not_taken_back_by_an_end),
		MEMORY(test_d5_offsets_that_cannot_be_are_refused),
		MEMORY(test_d2_offsets_are_there_when_the_end_is_answered),
		ROCKS(test_a4_a_commit_whose_write_failed_is_there_as_a_whole_or_not_at_all),
		ROCKS(test_a15_a_first_batch_that_was_not_written_has_begun_nothing),
		MEMORY(test_c8_a_topic_that_is_gone_does_not_keep_a_transaction_from_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Compaction of logs with transactions: what is not decided is left alone, what was aborted goes and takes nothing with it, and
 * readers of committed records see the same before, during and after. */
#include "compaction_rig.h"
#include "txn_calls.h"

#include "broker/aborted.h"

/* One batch of a transaction, its partition added; a millisecond later it is no longer active. */
static void put_txn(struct txn_client *c, struct partition *p, const char *records)
{
	struct frame *f = keyed_frame(records, 0, c->r->now_ms, CODEC_NONE);
	struct txn_produce x = {.append = {.partition = p,
					   .frame = f,
					   .acks = ACKS_LEADER,
					   .adds_partition = c->is_v2}};
	struct batch b;

	assert_int_equal(batch_peek(slice_of(f->data, f->len), &b), 0);
	batch_set_producer(f->data, f->len, c->pid, c->epoch, c->sequences[0], true);
	c->sequences[0] += b.record_count;
	assert_code(txn_produce_wait(c->r->b, &x), ERR_NONE);
	c->r->now_ms++;
}

static void end_txn(struct txn_client *c, bool is_commit)
{
	assert_code(txn_finish(c, is_commit), ERR_NONE);
	c->r->now_ms++;
}

/* What a reader of committed records gets, as texts. */
static void show_committed(struct partition *p, struct buf *out)
{
	struct reader *reader = reader_new(p);
	struct aborted_batches aborted = {0};
	int64_t next = partition_log_start_offset(p);
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;
	struct chunk c;
	struct batch b;

	while (reader_read_committed(reader, p, next, 1 << 16, &c, &aborted, NULL) == ERR_NONE) {
		for (size_t at = 0; at < c.bytes.len; at += b.bytes.len) {
			assert_int_equal(
				batch_verify(slice_of(c.bytes.data + at, c.bytes.len - at), &b), 0);
			int64_t from = next;
			next = batch_last_offset(&b) + 1;
			if (batch_is_control(&b) || aborted_batches_has(&aborted, &b))
				continue;
			assert_int_equal(record_iter_init(&it, &b, 1 << 20, &scratch), 0);
			while (record_iter_next(&it, &record) == 1)
				if (record.offset >= from)
					show_record(out, &record);
		}
		chunk_fini(&c);
	}
	buf_fini(&scratch);
	aborted_batches_fini(&aborted);
	reader_free(reader);
}

#define assert_seen(p, expected)                                                                   \
	do {                                                                                       \
		struct buf seen_ = {0};                                                            \
		show_committed(p, &seen_);                                                         \
		assert_string_equal(buf_cstr(&seen_), expected);                                   \
		buf_fini(&seen_);                                                                  \
	} while (0)

/* How many markers the store has, or other records; and entries of aborted transactions. */
static size_t stored_of(struct rig *r, struct partition *p, bool is_marker)
{
	struct key_log lower = key_log(p->id, 0), upper = key_log(p->id + 1, 0);
	struct store_iter *it =
		store_iter_new(broker_store(r->b), CF_LOG, KEY_SLICE(lower), KEY_SLICE(upper));
	size_t count = 0;
	struct batch b;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it)) {
		struct slice value = store_iter_value(it);
		for (size_t at = 0; at < value.len; at += b.bytes.len) {
			assert_int_equal(batch_peek(slice_of(value.data + at, value.len - at), &b),
					 0);
			count += batch_is_control(&b) == is_marker ? (size_t)b.record_count : 0;
		}
	}
	store_iter_free(it);
	return count;
}

static size_t markers_of(struct rig *r, struct partition *p)
{
	return stored_of(r, p, true);
}

static size_t entries_of(struct partition *p)
{
	struct aborted *all = NULL;
	int64_t stable;
	size_t count;

	assert_ok(aborted_list(p, 0, INT64_MAX, SIZE_MAX, &all, &count, &stable, why));
	free(all);
	return count;
}

static void test_b4_what_is_not_decided_is_not_cleaned(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct txn_client *c = txn_client_new(r, "a", true);

	put(r, p, "a1");
	put(r, p, "a2 b1");
	put_txn(c, p, "a3 b2"); /* 3, 4 */
	put(r, p, "a4");        /* 5 */
	put(r, p, "x1");
	put(r, p, "x2");
	assert_int_equal(compact(r), 1);
	p = without_tail(r);
	assert_int_equal(partition_last_stable_offset(p), 3);
	assert_log(p, "a2@1 b1@2 a3@3 b2@4 a4@5 x1@6 x2@7");
	assert_seen(p, "a2@1 b1@2");
	assert_int_equal(compact(r), 0);
	end_txn(c, false);
	put(r, p, "x3");
	assert_int_equal(compact(r), 1);
	p = without_tail(r);
	assert_seen(p, "b1@2 a4@5 x2@7 x3@9"); /* the last batch is not looked at */
	free(c);
}

static void test_b4_aborted_records_supersede_nothing_and_go(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "");
	struct txn_client *c = txn_client_new(r, "a", true), *d = txn_client_new(r, "d", false);

	put(r, p, "a1 b1 c1"); /* 0 .. 2 */
	put_txn(c, p, "a2 b-");
	end_txn(c, false);
	assert_code(txn_add(d, "t", 0, 1), ERR_NONE);
	put_txn(d, p, "c2"); /* 6 */
	end_txn(d, true);
	assert_code(txn_add(d, "t", 0, 1), ERR_NONE);
	put_txn(d, p, "c3"); /* 8 */
	end_txn(d, false);
	put(r, p, "x1"); /* 10 */
	assert_seen(p, "a1@0 b1@1 c1@2 c2@6 x1@10");
	assert_int_equal(compact(r), 1);
	p = without_tail(r);
	assert_int_equal(stored_of(r, p, false), 4); /* records */
	assert_seen(p, "a1@0 b1@1 c2@6 x1@10");
	assert_int_equal(markers_of(r, p), 3);
	free(c);
	free(d);
}

static void test_b4_a_marker_stays_until_its_records_are_gone_for_long(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "delete.retention.ms=100000");
	struct txn_client *c = txn_client_new(r, "a", true);

	put_txn(c, p, "a1"); /* 0 */
	end_txn(c, false);   /* 1 */
	put_txn(c, p, "b1"); /* 2 */
	end_txn(c, true);    /* 3 */
	put(r, p, "x1");     /* 4 */
	assert_int_equal(compact(r), 1);
	assert_int_equal(markers_of(r, p), 2);
	assert_int_equal(entries_of(p), 1);
	p = without_tail(r);
	/* Now no record of the first is left: its marker gets a time. */
	put(r, p, "b2");
	put(r, p, "x2");
	assert_int_equal(compact(r), 1);
	assert_int_equal(markers_of(r, p), 2);
	r->now_ms += 99000;
	put(r, p, "x3");
	assert_int_equal(compact(r), 1);
	assert_int_equal(markers_of(r, p), 2);
	assert_int_equal(entries_of(p), 1);
	r->now_ms += 2000;
	p = without_tail(r);
	put(r, p, "x4");
	assert_int_equal(compact(r), 1);
	assert_int_equal(markers_of(r, p), 1); /* that of the second got its time later */
	assert_int_equal(entries_of(p), 0);
	r->now_ms += 200000;
	p = without_tail(r);
	put(r, p, "x5");
	assert_int_equal(compact(r), 1);
	assert_int_equal(markers_of(r, p), 0);
	assert_seen(p, "b2@5 x4@8 x5@9");
	/* The producer goes on where it was. */
	put_txn(c, p, "c1");
	end_txn(c, true);
	assert_seen(p, "b2@5 x4@8 x5@9 c1@10");
	free(c);
}

/* Reads come from the tail as far as that is as the store has it. */
static void test_b4_who_reads_the_tail_sees_nothing_aborted_at_any_stage(void **state)
{
	static const size_t entries[] = {1, 1, 0, 0, 0};
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "delete.retention.ms=0");
	struct txn_client *c = txn_client_new(r, "a", true);

	put_txn(c, p, "a1"); /* 0 */
	end_txn(c, false);   /* 1 */
	for (int i = 0; i < 5; i++) {
		struct buf seen = {0};
		put(r, p, "x1");
		compact(r);
		r->now_ms += 100000;
		show_committed(p, &seen);
		assert_null(strstr(buf_cstr(&seen), "a1"));
		buf_fini(&seen);
		assert_int_equal(entries_of(p), entries[i]);
	}
	put_txn(c, p, "a2"); /* 7 */
	end_txn(c, true);
	assert_seen(p, "x1@5 x1@6 a2@7");
	free(c);
}

/* --- at once --- */

struct watching {
	struct partition *p;
	_Atomic(bool) stop;
	_Atomic(int) looks, aborted; /* aborted: looks that saw such a value */
};

/* Aborted values are 9: none must ever be seen. */
static bool has_aborted(const char *seen)
{
	for (const char *at = seen; (at = strchr(at, '@')); at++)
		if (at[-1] == '9')
			return true;
	return false;
}

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!atomic_load(&w->stop)) {
		struct buf seen = {0};
		show_committed(w->p, &seen);
		atomic_fetch_add(&w->aborted, has_aborted(buf_cstr(&seen)));
		buf_fini(&seen);
		atomic_fetch_add(&w->looks, 1);
	}
	return NULL;
}

/* Until each has looked from start to end since now: a minute has passed for them, too. */
static void wait_for_looks(struct watching *w, int count)
{
	for (int i = 0; i < count; i++) {
		int before = atomic_load(&w[i].looks);
		while (atomic_load(&w[i].looks) < before + 2)
			sched_yield();
	}
}

static void
test_b4_readers_of_committed_records_never_see_an_aborted_one_while_it_is_cleaned(void **state)
{
	struct rig *r = *state;
	struct partition *p = make_compacted(r, "delete.retention.ms=0");
	struct txn_client *c = txn_client_new(r, "a", true);
	struct watching w[2] = {{.p = p}, {.p = p}};
	pthread_t threads[2];
	char last[26] = "";

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, watch, &w[i]);
	unsigned seed = 7;
	for (int i = 0; i < 300; i++) {
		char text[8];
		bool is_commit = rand_r(&seed) % 2;
		int key = rand_r(&seed) % 26;
		char digit = (char)('1' + rand_r(&seed) % 8);
		snprintf(text, sizeof text, "%c%c", 'a' + key, is_commit ? digit : '9');
		put_txn(c, p, text);
		end_txn(c, is_commit);
		if (is_commit)
			last[key] = digit;
		if (i % 20 == 19) {
			wait_for_looks(w, 2);
			r->now_ms += 70000;
			compact(r);
		}
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&w[i].stop, true);
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].aborted, 0);
	}
	put(r, p, "z0");
	last[25] = '0';
	put(r, p, "z0");
	r->now_ms += 70000;
	compact(r);
	p = r->dir ? without_tail(r) : p;
	struct buf seen = {0};
	show_committed(p, &seen);
	for (int i = 0; i < 26; i++) {
		char want[8];
		snprintf(want, sizeof want, "%c%c@", 'a' + i, last[i]);
		if (last[i])
			assert_non_null(strstr(buf_cstr(&seen), want));
	}
	buf_fini(&seen);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKS(test_b4_what_is_not_decided_is_not_cleaned),
		ROCKS(test_b4_aborted_records_supersede_nothing_and_go),
		ROCKS(test_b4_a_marker_stays_until_its_records_are_gone_for_long),
		BOTH(test_b4_who_reads_the_tail_sees_nothing_aborted_at_any_stage),
		BOTH(test_b4_readers_of_committed_records_never_see_an_aborted_one_while_it_is_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

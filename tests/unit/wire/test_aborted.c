/* test_aborted.c - which batches a reader of committed records passes over. */
#include "unit.h"

#include "wire/aborted.h"

#define ATTRIBUTES_LOW 22
#define CONTROL        0x20

struct rig {
	struct buf log, scratch;
	struct aborted_batches aborted;
	int64_t next; /* offset */
};

static int rig_new(void **state)
{
	*state = xcalloc(1, sizeof(struct rig));
	return 0;
}

static int rig_free(void **state)
{
	struct rig *rig = *state;

	buf_fini(&rig->log);
	buf_fini(&rig->scratch);
	aborted_batches_fini(&rig->aborted);
	free(rig);
	return 0;
}

/* A batch of so many records behind the others; returns its first offset. */
static int64_t put(struct rig *rig, int records, struct slice key, int64_t producer,
		   bool is_transactional)
{
	size_t at = rig->log.len;
	int64_t base = rig->next;
	struct batch_writer w;

	batch_writer_begin(&w, &rig->log);
	for (int i = 0; i < records; i++)
		batch_writer_append(&w, 1000, key, BYTES("v"), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &rig->scratch);
	if (producer >= 0)
		batch_set_producer(rig->log.data + at, rig->log.len - at, producer, 0, 0,
				   is_transactional);
	batch_stamp(rig->log.data + at, base, 0);
	rig->next += records;
	return base;
}

static int64_t put_data(struct rig *rig, int64_t producer)
{
	return put(rig, 3, BYTES("key"), producer, true);
}

static void put_marker(struct rig *rig, int64_t producer, bool is_commit)
{
	size_t at = rig->log.len;

	put(rig, 1, is_commit ? BYTES("\0\0\0\1") : BYTES("\0\0\0\0"), producer, true);
	rig->log.data[at + ATTRIBUTES_LOW] |= CONTROL;
}

/* The first offsets of the batches that are passed over, in text. */
static void assert_aborted(struct rig *rig, const struct fetch_response_aborted_transaction *rows,
			   size_t count, const char *expected)
{
	struct slice left = buf_slice(&rig->log);
	struct buf text = {0};
	struct batch b;

	aborted_batches_find(&rig->aborted, left, rows, count);
	while (left.len) {
		assert_int_equal(batch_peek(left, &b), ERR_NONE);
		if (aborted_batches_has(&rig->aborted, &b))
			buf_printf(&text, "%lld ", (long long)b.base_offset);
		left = slice_of(left.data + b.bytes.len, left.len - b.bytes.len);
	}
	assert_string_equal(buf_cstr(&text), expected);
	buf_fini(&text);
}

static void batches_between_the_first_offset_and_the_marker_are_passed_over(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 0}};

	put_data(rig, 7);          /* 0 to 2 */
	put_data(rig, 7);          /* 3 to 5 */
	put_marker(rig, 7, false); /* 6 */
	put_data(rig, 7);          /* 7 to 9: of the next transaction */
	put_marker(rig, 7, true);
	assert_aborted(rig, rows, 1, "0 3 ");
}

static void who_commits_at_the_same_time_is_let_through(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 0}};

	put_data(rig, 7);
	put_data(rig, 8); /* 3 to 5 */
	put_data(rig, 7); /* 6 to 8 */
	put_marker(rig, 8, true);
	put_marker(rig, 7, false);
	assert_aborted(rig, rows, 1, "0 6 ");
}

static void records_of_no_transaction_are_never_passed_over(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 0}};

	put_data(rig, 7);
	put(rig, 2, BYTES("key"), 7, false);
	put(rig, 2, BYTES("key"), -1, false);
	put_marker(rig, 7, false);
	assert_aborted(rig, rows, 1, "0 ");
}

static void a_transaction_that_began_below_what_was_read_counts_from_its_first_batch(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 10}, {8, 103}};

	rig->next = 100;
	put_data(rig, 7); /* 100 to 102 */
	put_data(rig, 8); /* 103 to 105 */
	put_marker(rig, 7, false);
	put_marker(rig, 8, false);
	put_data(rig, 7);
	assert_aborted(rig, rows, 2, "100 103 ");
}

static void one_producer_aborts_twice_in_a_piece(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 0}, {7, 8}};

	put_data(rig, 7);
	put_marker(rig, 7, false);
	put_data(rig, 7); /* 4 to 6, committed */
	put_marker(rig, 7, true);
	put_data(rig, 7); /* 8 to 10 */
	put_marker(rig, 7, false);
	assert_aborted(rig, rows, 2, "0 8 ");
}

static void without_rows_nothing_is_passed_over_and_the_last_answer_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct fetch_response_aborted_transaction rows[] = {{7, 0}};

	put_data(rig, 7);
	put_marker(rig, 7, false);
	assert_aborted(rig, rows, 1, "0 ");
	assert_aborted(rig, NULL, 0, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_new, rig_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(batches_between_the_first_offset_and_the_marker_are_passed_over),
		TEST(who_commits_at_the_same_time_is_let_through),
		TEST(records_of_no_transaction_are_never_passed_over),
		TEST(a_transaction_that_began_below_what_was_read_counts_from_its_first_batch),
		TEST(one_producer_aborts_twice_in_a_piece),
		TEST(without_rows_nothing_is_passed_over_and_the_last_answer_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

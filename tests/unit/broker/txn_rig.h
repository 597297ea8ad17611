/* txn_rig.h - transactional batches, markers, and reading as a consumer of committed records does. */
#ifndef TESTS_UNIT_BROKER_TXN_RIG_H
#define TESTS_UNIT_BROKER_TXN_RIG_H

#include "rig.h"

#include <limits.h>
#include <pthread.h>

#include "broker/markers.h"
#include "wire/marker.h"

/* A batch of a producer: count records with the numbers first, first + 1, ... */
static inline struct frame *txn_frame(int64_t pid, int epoch, int32_t sequence, int count,
				      int first)
{
	struct frame *f = rig_frame(count, first, 0, START_MS);

	batch_set_producer(f->data, f->len, pid, (int16_t)epoch, sequence, true);
	return f;
}

/* What a consumer does with an answer: what the aborted transactions do not cover. */
struct view {
	int numbers[4096]; /* of the visible records, in their order */
	int64_t offsets[4096];
	size_t count;
	size_t rows;  /* aborted transactions that it was told of */
	int64_t next; /* where it would go on */
};

static inline void view_batch(struct view *v, const struct batch *b, int64_t from)
{
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;

	assert_int_equal(record_iter_init(&it, b, 1 << 20, &scratch), 0);
	while (record_iter_next(&it, &record) == 1) {
		char text[17] = "";
		memcpy(text, record.value.data, record.value.len < 16 ? record.value.len : 16);
		if (record.offset < from)
			continue;
		assert_true(v->count < 4096);
		v->offsets[v->count] = record.offset;
		v->numbers[v->count++] = atoi(text);
	}
	buf_fini(&scratch);
}

/* One answer, as the Java client reads it. */
static inline void view_chunk(struct view *v, const struct chunk *c,
			      const struct aborted_transaction *rows, size_t count)
{
	int64_t aborted[512];
	size_t aborted_count = 0, row = 0;
	struct batch b;

	for (size_t at = 0; at < c->bytes.len; at += b.bytes.len) {
		struct marker m;
		bool is_aborted = false;
		assert_int_equal(batch_verify(slice_of(c->bytes.data + at, c->bytes.len - at), &b),
				 0);
		for (; row < count && rows[row].first_offset <= batch_last_offset(&b); row++)
			aborted[aborted_count++] = rows[row].producer_id;
		for (size_t i = 0; i < aborted_count; i++)
			if (aborted[i] == b.producer_id) {
				is_aborted = true;
				if (marker_read(&b, &m) && !m.is_commit)
					aborted[i] = aborted[--aborted_count];
			}
		if (!batch_is_control(&b) && !(is_aborted && batch_is_transactional(&b)))
			view_batch(v, &b, v->next);
		v->next = batch_last_offset(&b) + 1;
	}
}

/* Everything committed from an offset on, in answers of about max_bytes. */
static inline struct view *read_committed(struct partition *p, int64_t from, size_t max_bytes)
{
	struct reader *reader = reader_new(p);
	struct view *v = calloc(1, sizeof *v);
	int64_t end = partition_last_stable_offset(p);
	enum ks_err err;

	v->next = from;
	for (;;) {
		struct aborted_transaction *rows;
		struct chunk c = {0};
		size_t count;
		err = reader_read_to(reader, v->next, end, max_bytes, &c, NULL);
		if (err == ERR_EMPTY)
			break;
		assert_int_equal(err, ERR_NONE);
		assert_ok(partition_aborted(p, &c, 1, true, &rows, &count, why));
		v->rows += count;
		view_chunk(v, &c, rows, count);
		assert_true(v->next <= end);
		free(rows);
		chunk_fini(&c);
	}
	reader_free(reader);
	return v;
}

/* What a consumer sees are these numbers; none: NOTHING. */
#define NOTHING INT_MIN
#define assert_committed(p, from, ...)                                                             \
	do {                                                                                       \
		const int want_[] = {__VA_ARGS__};                                                 \
		check_committed(p, from, want_,                                                    \
				want_[0] == NOTHING ? 0 : sizeof want_ / sizeof *want_);           \
	} while (0)

static inline void check_committed(struct partition *p, int64_t from, const int *want, size_t count)
{
	static const size_t sizes[] = {1, 300, 1 << 20};

	for (size_t i = 0; i < 3; i++) {
		struct view *v = read_committed(p, from, sizes[i]);
		assert_int_equal(v->count, count);
		for (size_t k = 0; k < count; k++)
			assert_int_equal(v->numbers[k], want[k]);
		free(v);
	}
}

#endif

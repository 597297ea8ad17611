/* test_readers.c - readers that wait for their consumer, and what they read ahead. */
#include <pthread.h>
#include <sched.h>

#include "server/readers.h"
#include "server/workers.h"
#include "tests/check.h"
#include "wire/batch.h"

#define BATCHES     40
#define VALUE_BYTES 20000
#define AHEAD_MAX   ((size_t)1024 * 1024)

struct rig {
	struct broker *b;
	struct partition *p;
	struct workers *workers;
	struct readers *rs;
};

static void append(struct rig *r, int count)
{
	static char value[VALUE_BYTES];
	struct batch_writer w = {0};
	struct buf out = {0};

	for (int i = 0; i < count; i++) {
		batch_writer_begin(&w, &out);
		batch_writer_append(&w, 1700000000000, SLICE_NULL, slice_of(value, sizeof value),
				    SLICE_NULL, 0);
		batch_writer_finish(&w, CODEC_NONE, NULL);
		struct frame *f = frame_copy(buf_slice(&out));
		buf_clear(&out);
		assert_int_equal(
			broker_append_wait(r->b, r->p, f, ACKS_LEADER, &(int64_t){0}, NULL), 0);
	}
	buf_fini(&out);
}

static void start(struct rig *r, size_t readers_max, size_t ahead_max)
{
	r->workers = workers_new(2);
	r->rs = readers_new(readers_max, ahead_max, r->workers);
}

static void stop(struct rig *r)
{
	workers_free(r->workers);
	readers_free(r->rs);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	struct broker_options o = {.store = {.create = true}, .tail_bytes = 1};
	struct topic_spec spec = {.name = "t", .partitions = 1};

	assert_int_equal(broker_open(&o, &r->b, NULL), 0);
	assert_int_equal(broker_topic_create(r->b, &spec, NULL), 0);
	r->p = topic_partition(broker_topic_find(r->b, "t"), 0);
	append(r, BATCHES);
	start(r, 4, AHEAD_MAX);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	stop(r);
	broker_close(r->b);
	free(r);
	return 0;
}

/* Reads one chunk, checks that it begins at offset and returns where it ends. */
static int64_t read_one(struct kept_reader *k, int64_t offset, size_t max_bytes)
{
	struct chunk c;
	struct batch b;

	assert_int_equal(kept_reader_read(k, INT64_MAX, max_bytes, false, &c, NULL), 0);
	assert_int_equal(batch_verify(c.bytes, &b), 0);
	assert_int_equal(b.base_offset, offset);
	offset = batches_end_offset(c.bytes);
	chunk_fini(&c);
	return offset;
}

/* A consumer that asks for about three batches, twice. Returns where it goes on. */
static int64_t ask_twice(struct rig *r)
{
	struct kept_reader *k = readers_take(r->rs, r->p, 0);
	int64_t offset = read_one(k, 0, 3 * VALUE_BYTES);

	readers_put(r->rs, k, 3 * VALUE_BYTES, 0);
	k = readers_take(r->rs, r->p, offset);
	offset = read_one(k, offset, 3 * VALUE_BYTES);
	readers_put(r->rs, k, 3 * VALUE_BYTES, 0);
	return offset;
}

static struct kept_reader *await_ready(struct rig *r, int64_t offset)
{
	struct kept_reader *k;

	while (!(k = readers_take_ready(r->rs, r->p, offset)))
		sched_yield();
	return k;
}

static void who_asks_twice_finds_what_follows_ready(void **state)
{
	struct rig *r = *state;
	int64_t offset = ask_twice(r);
	struct kept_reader *k = await_ready(r, offset);

	for (int i = 0; i < 2; i++) {
		int64_t end = offset;
		while (kept_reader_is_ready(k))
			end = read_one(k, end, AHEAD_MAX);
		assert_true(end >= offset + 3);
		readers_put(r->rs, k, 3 * VALUE_BYTES, 0);
		offset = end;
		k = await_ready(r, offset);
	}
	while (offset < BATCHES)
		offset = read_one(k, offset, AHEAD_MAX);
	struct chunk c;
	assert_int_equal(kept_reader_read(k, INT64_MAX, AHEAD_MAX, false, &c, NULL), ERR_EMPTY);
	readers_put(r->rs, k, 0, 0);
}

static void who_asks_once_costs_no_reading_ahead(void **state)
{
	struct rig *r = *state;
	struct kept_reader *k = readers_take(r->rs, r->p, 0);
	int64_t offset = read_one(k, 0, 3 * VALUE_BYTES);

	readers_put(r->rs, k, 3 * VALUE_BYTES, 0);
	workers_free(r->workers); /* has carried out what there was */
	r->workers = NULL;
	assert_null(readers_take_ready(r->rs, r->p, offset));
}

static void what_does_not_fit_stays_for_the_next_time(void **state)
{
	struct rig *r = *state;
	int64_t offset = ask_twice(r);
	struct kept_reader *k = await_ready(r, offset);
	struct chunk c;

	assert_int_equal(kept_reader_read(k, INT64_MAX, 1, true, &c, NULL), ERR_EMPTY);
	assert_int_equal(kept_reader_read(k, offset, 1, false, &c, NULL), ERR_EMPTY);
	assert_int_equal(read_one(k, offset, 1), offset + 1);
	assert_int_equal(kept_reader_read(k, offset + 2, AHEAD_MAX, true, &c, NULL), 0);
	assert_int_equal(batches_end_offset(c.bytes), offset + 2);
	chunk_fini(&c);
	readers_put(r->rs, k, 0, 0);
	assert_null(readers_take_ready(r->rs, r->p, offset));
	k = readers_take_ready(r->rs, r->p, offset + 2);
	assert_non_null(k);
	assert_true(read_one(k, offset + 2, AHEAD_MAX) > offset + 2);
	readers_put(r->rs, k, 0, 0);
}

static void without_room_nothing_is_read_ahead(void **state)
{
	struct rig *r = *state;

	stop(r);
	start(r, 4, VALUE_BYTES);
	int64_t offset = ask_twice(r);
	workers_free(r->workers);
	r->workers = NULL;
	assert_null(readers_take_ready(r->rs, r->p, offset));
}

static void one_too_many_drives_out_the_oldest(void **state)
{
	struct rig *r = *state;
	int64_t offset = ask_twice(r);
	struct kept_reader *k = await_ready(r, offset);

	/* With nothing left it is not read ahead for, which would keep it. */
	while (kept_reader_is_ready(k))
		offset = read_one(k, offset, AHEAD_MAX);
	readers_put(r->rs, k, 0, 0);
	for (int i = 0; i < 4; i++)
		readers_put(r->rs, readers_take(r->rs, r->p, 20 + i), 0, 1 + i);
	assert_int_equal(readers_expire(r->rs, 0), 1);
	assert_int_equal(readers_expire(r->rs, 2), 3);
	assert_int_equal(readers_expire(r->rs, 9), INT64_MAX);
	/* The room of all of them was given back. */
	offset = ask_twice(r);
	k = await_ready(r, offset);
	readers_put(r->rs, k, 0, 0);
}

struct consumer {
	struct rig *r;
	pthread_t thread;
};

static void *consume(void *arg)
{
	struct consumer *me = arg;
	int64_t offset = 0;

	for (int64_t n = 1; offset < BATCHES; n++) {
		struct kept_reader *k = readers_take(me->r->rs, me->r->p, offset);
		for (int i = 0; i < 2 && offset < BATCHES; i++)
			offset = read_one(k, offset, 3 * VALUE_BYTES);
		readers_put(me->r->rs, k, 3 * VALUE_BYTES, n);
		if (n % 5 == 0)
			readers_expire(me->r->rs, n - 2);
	}
	return NULL;
}

static void consumers_that_share_readers_see_every_batch(void **state)
{
	struct consumer c[6];

	for (int i = 0; i < 6; i++) {
		c[i].r = *state;
		assert_int_equal(pthread_create(&c[i].thread, NULL, consume, &c[i]), 0);
	}
	for (int i = 0; i < 6; i++)
		pthread_join(c[i].thread, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_asks_twice_finds_what_follows_ready),
		TEST(who_asks_once_costs_no_reading_ahead),
		TEST(what_does_not_fit_stays_for_the_next_time),
		TEST(without_room_nothing_is_read_ahead),
		TEST(one_too_many_drives_out_the_oldest),
		TEST(consumers_that_share_readers_see_every_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

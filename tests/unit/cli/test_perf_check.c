/* test_perf_check.c - what the check of a measured job finds: a check that cannot fail is worth
 * nothing. The outputs are written by hand here, no job runs. */
#include "unit.h"

#include <stdio.h>

#include "cli/perf.h"
#include "cli/perf_jobs.h"
#include "wire/batch.h"

#define COUNT 200

static const struct input_spec input = {1, 50, 256, 10, false};

static struct topic *make_topic(struct broker *b, const char *name)
{
	struct ks_why why;

	assert_int_equal(perf_topic_create(b, name, 4, &why), ERR_NONE);
	return broker_topic_find(b, name);
}

static int setup(void **state)
{
	struct broker_options options = {.dir = NULL};
	struct broker *b;
	struct ks_why why;

	assert_int_equal(broker_open(&options, &b, &why), ERR_NONE);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	broker_close(*state);
	return 0;
}

static void feed(struct broker *b, struct topic *t, const struct input_spec *spec, int64_t from,
		 int64_t count)
{
	struct perf_feed *f = perf_feed_new(b, t, spec, 4096, ACKS_LEADER);
	struct ks_why why;

	for (int64_t i = from; i < from + count; i++)
		perf_feed_add(f, i);
	assert_int_equal(perf_feed_finish(f, &why), ERR_NONE);
}

/* NULL: nothing is wrong. */
static const char *verdict(struct broker *b, const char *job)
{
	static struct ks_why why;
	int64_t outputs;

	enum ks_err err = perf_check(b, perf_job_find(job), &input, COUNT, &outputs, &why);
	if (err)
		assert_int_equal(err, ERR_CORRUPTION);
	return err ? why.text : NULL;
}

static void append(struct broker *b, struct topic *t, int64_t timestamp, struct slice key,
		   struct slice value)
{
	struct batch_writer w;
	struct buf out = {0}, scratch = {0};
	struct ks_why why;
	int64_t offset;

	batch_writer_begin(&w, &out);
	batch_writer_append(&w, timestamp, key, value, SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	assert_int_equal(broker_append_wait(b, topic_partition(t, 0), frame_copy(buf_slice(&out)),
					    ACKS_LEADER, &offset, &why),
			 ERR_NONE);
	buf_fini(&scratch);
	buf_fini(&out);
}

static void every_record_once_is_right(void **state)
{
	feed(*state, make_topic(*state, "out"), &input, 0, COUNT);
	assert_null(verdict(*state, "pass"));
}

static void a_missing_record_is_found(void **state)
{
	feed(*state, make_topic(*state, "out"), &input, 0, COUNT - 1);
	assert_string_equal(verdict(*state, "pass"), "pass: 199 records came out instead of 200");
}

static void no_output_at_all_is_found(void **state)
{
	assert_string_equal(verdict(*state, "pass"), "pass: 0 records came out instead of 200");
}

static void a_record_that_came_twice_is_found(void **state)
{
	struct topic *t = make_topic(*state, "out");

	feed(*state, t, &input, 0, COUNT);
	feed(*state, t, &input, 7, 1);
	assert_string_equal(verdict(*state, "pass"), "out: record 7 a second time");
}

static void a_record_from_nowhere_is_found(void **state)
{
	struct topic *t = make_topic(*state, "out");

	feed(*state, t, &input, 0, COUNT + 1);
	assert_string_equal(verdict(*state, "pass"), "out: a record with timestamp 1700000000200");
}

static void a_changed_value_is_found(void **state)
{
	struct topic *t = make_topic(*state, "out");
	struct input_maker m;
	struct input_record r;

	feed(*state, t, &input, 0, COUNT - 1);
	input_maker_init(&m, &input);
	input_make(&m, COUNT - 1, &r);
	m.value[200] ^= 1;
	append(*state, t, r.timestamp, r.key, r.value);
	assert_string_equal(verdict(*state, "pass"), "out: record 199 is not what it was");
	input_maker_fini(&m);
}

static void a_record_in_the_wrong_topic_is_found(void **state)
{
	feed(*state, make_topic(*state, "orders"), &input, 0, COUNT);
	assert_non_null(strstr(verdict(*state, "c_filter"), "does not belong there"));
}

static void a_repeat_that_passed_is_found(void **state)
{
	feed(*state, make_topic(*state, "unique"), &input, 0, COUNT);
	assert_non_null(strstr(verdict(*state, "dedup"), "does not belong there"));
}

static void lower_case_is_found(void **state)
{
	struct topic *t = make_topic(*state, "orders");

	/* Record 1 of this seed is an order. */
	feed(*state, t, &input, 1, 1);
	assert_string_equal(verdict(*state, "split"), "orders: record 1 is not what it was");
}

/* Writes what count must write, but for the change that a test makes to one record. */
static void count_up(struct broker *b, struct topic *t, int64_t wrong, int64_t by)
{
	int64_t counts[50] = {0};
	struct input_maker m;
	struct input_record r;
	uint8_t value[8];

	input_maker_init(&m, &input);
	for (int64_t i = 0; i < COUNT; i++) {
		input_make(&m, i, &r);
		put_u64be(value, (uint64_t)(++counts[r.user] + (i == wrong ? by : 0)));
		append(b, t, r.timestamp, r.key, slice_of(value, 8));
	}
	input_maker_fini(&m);
}

static void counts_that_grow_by_one_are_right(void **state)
{
	count_up(*state, make_topic(*state, "counts"), -1, 0);
	assert_null(verdict(*state, "count"));
}

static void a_count_that_jumps_is_found(void **state)
{
	count_up(*state, make_topic(*state, "counts"), 150, 1);
	assert_non_null(strstr(verdict(*state, "count"), ", and not at "));
}

static void a_count_too_many_is_found(void **state)
{
	struct topic *t = make_topic(*state, "counts");
	struct input_maker m;
	struct input_record r;
	uint8_t value[8];
	uint64_t count = 0;

	count_up(*state, t, -1, 0);
	input_maker_init(&m, &input);
	for (int64_t i = 0; i < COUNT; i++) {
		input_make(&m, i, &r);
		count += r.user == 7;
	}
	input_maker_fini(&m);
	put_u64be(value, count + 1);
	append(*state, t, INPUT_TIME_BASE, TEXT("u00007"), slice_of(value, 8));
	assert_string_equal(verdict(*state, "count"),
			    "counts: key \"u00007\" has too many records");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_record_once_is_right),
		TEST(a_missing_record_is_found),
		TEST(no_output_at_all_is_found),
		TEST(a_record_that_came_twice_is_found),
		TEST(a_record_from_nowhere_is_found),
		TEST(a_changed_value_is_found),
		TEST(a_record_in_the_wrong_topic_is_found),
		TEST(a_repeat_that_passed_is_found),
		TEST(lower_case_is_found),
		TEST(counts_that_grow_by_one_are_right),
		TEST(a_count_that_jumps_is_found),
		TEST(a_count_too_many_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Dedup against a model: the time at which each id was remembered. */
#include "tests/unit/streams/state_rig.h"

#define IDS 2000

static const int64_t never = INT64_MIN / 4;

static bool see(struct dedup *d, int id, int64_t time)
{
	char text[16];
	int n = snprintf(text, sizeof text, "id-%d", id);
	return dedup_seen(d, slice_of(text, (size_t)n), time);
}

/* The ids of a bed that is open from here on. */
static struct dedup *open_dedup(struct bed *bed, int32_t partition, int64_t within_ms,
				int64_t ids_max)
{
	struct dedup *d;
	struct ks_why why = {""};

	bed_open(bed, 1 << 20, 1 << 20);
	assert_int_equal(dedup_open(&bed->pool, 1, partition, within_ms, ids_max, &d, &why), 0);
	return d;
}

static void run(uint64_t seed, int64_t within, int64_t jump, int steps)
{
	static int64_t now[IDS], durable[IDS];
	struct bed bed;
	struct dedup *d;
	uint64_t at = seed;
	int64_t time = 1000, durable_time = 1000;

	for (int i = 0; i < IDS; i++)
		now[i] = durable[i] = never;
	bed_init(&bed);
	d = open_dedup(&bed, 2, within, 0);
	for (int i = 0; i < steps; i++) {
		int id = (int)roll(&at, IDS);
		int64_t time_before = time;
		time += roll(&at, 3);
		if (jump && roll(&at, 100) == 0)
			time += jump;
		undo_begin(&bed.undo);
		bool is_known = now[id] != never && (!within || time - now[id] <= within);
		assert_int_equal(see(d, id, time), is_known);
		if (roll(&at, 5) == 0) {
			undo_apply(&bed.undo);
			time = time_before;
		} else if (!is_known) {
			now[id] = time;
		}
		uint32_t event = roll(&at, 500);
		if (event < 50) {
			bed_commit(&bed);
			memcpy(durable, now, sizeof now);
			durable_time = time;
		} else if (event == 50) { /* crash */
			memcpy(now, durable, sizeof now);
			time = durable_time;
			bed_close(&bed);
			d = open_dedup(&bed, 2, within, 0);
		}
	}
	if (within && !jump) {
		size_t counts[2];
		bed_commit(&bed);
		bed_count(&bed, counts);
		assert_true(counts[1] < 70 + (size_t)within / 5);
	}
	bed_fini(&bed);
}

static void an_id_is_seen_once_within_the_time(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		run(seed, 500, 0, 20000);
		run(seed, 3, 0, 5000);
		run(seed, 0, 0, 5000);
		run(seed, 3000, 4000, 20000); /* an id expires and comes again in one commit */
	}
}

/* The record of the far future is undone, and with it that it made the others old. */
static void a_record_that_is_undone_makes_no_id_old(void **state)
{
	struct bed bed;
	struct dedup *d;

	(void)state;
	bed_init(&bed);
	d = open_dedup(&bed, 0, 100, 0);
	assert_false(see(d, 1, 1000));
	bed_commit(&bed);
	undo_begin(&bed.undo);
	assert_false(see(d, 2, INT64_MAX));
	undo_apply(&bed.undo);
	assert_true(see(d, 1, 1001));
	bed_commit(&bed);
	assert_true(see(d, 1, 1002));
	bed_fini(&bed);
}

static void times_at_both_ends_are_times(void **state)
{
	struct bed bed;
	struct dedup *d;

	(void)state;
	bed_init(&bed);
	d = open_dedup(&bed, 0, 100, 0);
	assert_false(see(d, 1, INT64_MIN));
	assert_true(see(d, 1, INT64_MIN + 100));
	assert_false(see(d, 1, INT64_MAX));
	bed_commit(&bed);
	assert_true(see(d, 1, INT64_MAX));
	bed_fini(&bed);
}

/* Whether an id counts among the newest must not hang on when a commit was made. */
static void the_bound_is_the_same_before_and_after_a_commit(void **state)
{
	struct bed bed;
	struct dedup *d;

	(void)state;
	for (int commits = 0; commits < 2; commits++) {
		bed_init(&bed);
		d = open_dedup(&bed, 0, 0, 10);
		for (int i = 0; i < 15; i++)
			assert_false(see(d, i, 1));
		if (commits)
			bed_commit(&bed);
		assert_true(see(d, 5, 1));
		assert_false(see(d, 4, 1));
		assert_true(see(d, 6, 1));
		bed_fini(&bed);
	}
}

static void only_so_many_ids_are_remembered(void **state)
{
	struct bed bed;
	struct dedup *d;

	(void)state;
	bed_init(&bed);
	d = open_dedup(&bed, 0, 0, 100);
	for (int i = 0; i < 1000; i++) {
		assert_false(see(d, i, 1));
		bed_commit(&bed);
	}
	assert_true(dedup_count(d) <= 101);
	assert_true(see(d, 950, 1));
	assert_false(see(d, 5, 1));
	bed_fini(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_seen_once_within_the_time),
		cmocka_unit_test(a_record_that_is_undone_makes_no_id_old),
		cmocka_unit_test(times_at_both_ends_are_times),
		cmocka_unit_test(the_bound_is_the_same_before_and_after_a_commit),
		cmocka_unit_test(only_so_many_ids_are_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Deadlines in their order. */
#include "tests/check.h"

#include "server/timers.h"

#define COUNT 200

static struct loop_timer timers[COUNT];
static int fired[COUNT + 1];
static int fired_count;
static struct loop_timers *set;

static void fire(struct loop_timer *t)
{
	fired[fired_count++] = (int)(t - timers);
}

static int64_t due(int i)
{
	return 1 + (i * 7919) % 50; /* not in order, some alike */
}

static void run(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&set->uv, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	loop_timers_fini(set);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void setup(uv_loop_t *loop, struct loop_timers *ts)
{
	uv_loop_init(loop);
	loop_timers_init(ts, loop);
	set = ts;
	fired_count = 0;
	memset(timers, 0, sizeof timers);
	for (int i = 0; i < COUNT; i++)
		timers[i].fire = fire;
}

static void they_fire_once_each_and_the_earlier_first(void **state)
{
	uv_loop_t loop;
	struct loop_timers ts;
	int64_t start;

	(void)state;
	setup(&loop, &ts);
	start = loop_timers_now_ms(&ts);
	for (int i = 0; i < COUNT; i++)
		loop_timer_set(&ts, &timers[i], start + due(i));
	run(&loop);
	assert_int_equal(fired_count, COUNT);
	for (int i = 1; i < COUNT; i++)
		assert_true(due(fired[i - 1]) <= due(fired[i]));
}

static void what_is_cleared_does_not_fire_and_what_is_moved_fires_where_it_went(void **state)
{
	uv_loop_t loop;
	struct loop_timers ts;
	int64_t start;

	(void)state;
	setup(&loop, &ts);
	start = loop_timers_now_ms(&ts);
	for (int i = 0; i < COUNT; i++)
		loop_timer_set(&ts, &timers[i], start + due(i));
	for (int i = 0; i < COUNT; i++)
		if (i % 3 == 0)
			loop_timer_clear(&ts, &timers[i]);
		else if (i % 3 == 1)
			loop_timer_set(&ts, &timers[i], start + 60 - due(i));
	loop_timer_clear(&ts, &timers[0]); /* twice is once */
	run(&loop);
	assert_int_equal(fired_count, COUNT - (COUNT + 2) / 3);
	int64_t before = 0;
	for (int i = 0; i < fired_count; i++) {
		int64_t at = fired[i] % 3 == 1 ? 60 - due(fired[i]) : due(fired[i]);
		assert_int_not_equal(fired[i] % 3, 0);
		assert_true(before <= at);
		before = at;
	}
}

static void set_again(struct loop_timer *t)
{
	if (fired_count++ < 3)
		loop_timer_set(set, t, loop_timers_now_ms(set));
}

static void a_timer_may_set_itself_again(void **state)
{
	uv_loop_t loop;
	struct loop_timers ts;

	(void)state;
	setup(&loop, &ts);
	timers[0].fire = set_again;
	loop_timer_set(&ts, &timers[0], loop_timers_now_ms(&ts));
	run(&loop);
	assert_int_equal(fired_count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_fire_once_each_and_the_earlier_first),
		cmocka_unit_test(
			what_is_cleared_does_not_fire_and_what_is_moved_fires_where_it_went),
		cmocka_unit_test(a_timer_may_set_itself_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

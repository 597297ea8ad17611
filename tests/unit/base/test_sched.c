/* What a thread asks of the kernel's scheduler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <threads.h> /* not <pthread.h>, which knows another struct sched_param than <linux/sched/types.h> */
#include <unistd.h>

#include "base/sched.h"

#define NICE 3

struct seen {
	struct sched_attr before, after;
	bool is_whole;
};

static bool get_attributes(struct sched_attr *a)
{
	return syscall(SYS_sched_getattr, 0, a, sizeof *a, 0) == 0;
}

static int run_briefly(void *arg)
{
	struct seen *s = arg;
	bool is_nice = !setpriority(PRIO_PROCESS, 0, NICE); /* on Linux, of the thread */

	s->is_whole = is_nice && get_attributes(&s->before);
	sched_run_briefly();
	s->is_whole &= get_attributes(&s->after);
	return 0;
}

static int run_in_batches(void *arg)
{
	struct seen *s = arg;
	struct sched_attr batches = {.size = sizeof batches, .sched_policy = SCHED_BATCH};

	s->is_whole = !syscall(SYS_sched_setattr, 0, &batches, 0) && get_attributes(&s->before);
	sched_run_briefly();
	s->is_whole &= get_attributes(&s->after);
	return 0;
}

static struct seen in_a_thread(int (*run)(void *))
{
	struct seen s;
	thrd_t thread;

	assert_int_equal(thrd_create(&thread, run, &s), thrd_success);
	assert_int_equal(thrd_join(thread, NULL), thrd_success);
	assert_true(s.is_whole);
	return s;
}

/* A kernel that knows of slices tells the usual one; an older one tells 0. */
static void who_runs_briefly_has_a_shorter_slice_and_the_same_weight(void **state)
{
	struct seen s = in_a_thread(run_briefly);

	(void)state;
	if (s.before.sched_runtime)
		assert_true(s.after.sched_runtime < s.before.sched_runtime);
	assert_int_equal(s.after.sched_policy, SCHED_NORMAL);
	assert_int_equal(s.after.sched_nice, NICE);
}

static void a_thread_of_another_policy_keeps_it(void **state)
{
	struct seen s = in_a_thread(run_in_batches);

	(void)state;
	assert_int_equal(s.after.sched_policy, SCHED_BATCH);
	assert_int_equal(s.after.sched_runtime, s.before.sched_runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_runs_briefly_has_a_shorter_slice_and_the_same_weight),
		cmocka_unit_test(a_thread_of_another_policy_keeps_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

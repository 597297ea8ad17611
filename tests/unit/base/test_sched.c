/* What a thread asks of the kernel's scheduler; here the only one of the process, which is not asked for more afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sched.h"

static struct sched_attr attributes(void)
{
	struct sched_attr a = {.size = sizeof a};

	assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0), 0);
	return a;
}

/* A kernel that knows of slices tells the usual one; an older one tells 0. */
static void who_runs_briefly_has_a_shorter_slice_and_the_same_weight(void **state)
{
	int nice = attributes().sched_nice;

	(void)state;
	nice += nice < 19;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, nice), 0);
	struct sched_attr before = attributes();
	sched_run_briefly();
	struct sched_attr after = attributes();
	if (before.sched_runtime)
		assert_true(after.sched_runtime < before.sched_runtime);
	assert_int_equal(after.sched_policy, SCHED_NORMAL);
	assert_int_equal(after.sched_nice, nice);
}

static void a_thread_of_another_policy_keeps_it(void **state)
{
	struct sched_attr batches = attributes();

	(void)state;
	batches.sched_policy = SCHED_BATCH;
	assert_int_equal(syscall(SYS_sched_setattr, 0, &batches, 0), 0);
	struct sched_attr before = attributes();
	sched_run_briefly();
	struct sched_attr after = attributes();
	assert_int_equal(after.sched_policy, SCHED_BATCH);
	assert_int_equal(after.sched_runtime, before.sched_runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_runs_briefly_has_a_shorter_slice_and_the_same_weight),
		cmocka_unit_test(a_thread_of_another_policy_keeps_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

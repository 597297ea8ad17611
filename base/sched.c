/* sched.c - see sched.h.
 *
 * Among threads of one weight the kernel's scheduler (EEVDF) runs the one whose slice would end first. A thread that wakes up
 * with a shorter slice than the one that runs takes its place at once; with an equal one it waits until that one's slice is
 * over, which is milliseconds when clients on the same machine compute.
 */
#include "base/sched.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest that the kernel takes. */
#define BRIEF_SLICE_NS 100000

void sched_run_briefly(void)
{
	struct sched_attr attr = {.size = sizeof attr};

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) || attr.sched_policy != SCHED_NORMAL)
		return;
	attr.sched_runtime = BRIEF_SLICE_NS;
	syscall(SYS_sched_setattr, 0, &attr, 0);
}

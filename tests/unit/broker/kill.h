/* kill.h - a test's own program, started again on a data directory and killed at a failpoint.
 *
 * The child is a fresh image, as RocksDB's threads do not survive a fork: it runs main with two arguments, the directory and the
 * descriptor of a pipe, and tells numbers through that until the failpoint kills it.
 */
#ifndef TESTS_UNIT_BROKER_KILL_H
#define TESTS_UNIT_BROKER_KILL_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

/* told(arg, number) for each number, in order; those of a child that did not get that far are few. */
static inline void run_and_kill(struct rig *r, const char *failpoint,
				void (*told)(void *arg, int64_t number), void *arg)
{
	int ends[2], status;
	int64_t number;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		char fd[16];
		snprintf(fd, sizeof fd, "%d", ends[1]);
		close(ends[0]);
		setenv("KS_FAILPOINT", failpoint, 1);
		execl("/proc/self/exe", "test", r->dir, fd, (char *)NULL);
		_exit(7);
	}
	close(ends[1]);
	while (read(ends[0], &number, sizeof number) == sizeof number)
		told(arg, number);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s: the process was not killed, status %x", failpoint, (unsigned)status);
}

#endif

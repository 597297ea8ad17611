/* main.c - what the process needs before any verb runs. */
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "cli/verb.h"

/* RocksDB keeps its files open; the soft limit is often 1024, the hard one is what we may have. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write() */
	failpoint_init();
	log_init();
	raise_file_limit();
	/* An arena per thread keeps what each of them once freed; ours share large frames instead. */
	mallopt(M_ARENA_MAX, 2);
	return verb_dispatch(argc, argv);
}

/* main.c - what the process needs before any verb runs. */
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "cli/verb.h"

#define MMAP_BYTES_MIN  (8 * 1024 * 1024)
#define KEEP_FREE_BYTES (32 * 1024 * 1024) /* at the end of an arena */

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
	/* Frames and stored values have up to some MB: taking their pages from the kernel again and again, and
	 * giving them back, costs more than reading them. */
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES_MIN);
	mallopt(M_TRIM_THRESHOLD, KEEP_FREE_BYTES);
	return verb_dispatch(argc, argv);
}

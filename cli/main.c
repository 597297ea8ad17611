/* main.c - what the process needs before any verb runs. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "cli/verb.h"

#define MMAP_BYTES_MIN  (8 * 1024 * 1024)
#define KEEP_FREE_BYTES (32 * 1024 * 1024) /* at the end of an arena */

/* Where the caller has closed stdin, stdout or stderr the first file that we open would take its number: records would go
 * into a file of the database, or the lock would be read as records. What stands there instead fails when it is used. */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(EXIT_FAILED);
}

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
	fill_standard_descriptors();
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
	return out_finish(verb_dispatch(argc, argv));
}

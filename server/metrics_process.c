/* metrics_process.c - what Prometheus' clients tell of any process, from /proc. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server/metrics_text.h"
#include "server/prom.h"

static double resident_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	double count = -3; /* ".", ".." and this one */

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Field 22 of /proc/self/stat, in ticks since the machine started; the name in field 2 may have spaces. */
static double start_time(void)
{
	char text[1024];
	unsigned long long ticks = 0;
	struct timespec wall, boot;
	FILE *f = fopen("/proc/self/stat", "re");

	if (!f)
		return 0;
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			    "%*d %*d %*d %*d %llu",
			    &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
	       (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void metrics_text_process(struct buf *out)
{
	struct rlimit files;

	prom_one(out, "process_resident_memory_bytes", PROM_GAUGE, "Resident memory.",
		 resident_bytes());
	prom_one(out, "process_cpu_seconds_total", PROM_COUNTER, "CPU time, user and system.",
		 cpu_seconds());
	prom_one(out, "process_open_fds", PROM_GAUGE, "Open file descriptors.", open_files());
	if (!getrlimit(RLIMIT_NOFILE, &files))
		prom_one(out, "process_max_fds", PROM_GAUGE, "Their limit.",
			 (double)files.rlim_cur);
	prom_one(out, "process_start_time_seconds", PROM_GAUGE,
		 "When the process began, in seconds since 1970.", start_time());
}

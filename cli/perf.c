/* perf.c - see perf.h. */
#include "cli/perf.h"

#include <malloc.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/signals.h"

/* --- counters --- */

int64_t perf_now_ns(void)
{
	return clock_monotonic_ns(&clock_real);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

void perf_begin(struct perf_span *s)
{
	s->begin_ns = perf_now_ns();
	s->begin_cpu_s = cpu_seconds();
}

double perf_seconds(const struct perf_span *s)
{
	return (double)(perf_now_ns() - s->begin_ns) * 1e-9;
}

double perf_cpu_seconds(const struct perf_span *s)
{
	return cpu_seconds() - s->begin_cpu_s;
}

int64_t perf_peak_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long long kib = 0;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

void perf_forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	malloc_trim(0); /* what filling the input has freed is not the job's */
	if (fd < 0)
		return;
	if (write(fd, "5", 1) != 1)
		say("the peak of resident memory counts from the start: %s", strerror(errno));
	close(fd);
}

void perf_sleep_until(int64_t moment_ns)
{
	struct timespec t = {moment_ns / 1000000000, moment_ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* --- rows --- */

bool perf_rows_init(struct perf_rows *rows, const struct options *o)
{
	const char *format = options_text(o, "format");

	memset(rows, 0, sizeof *rows);
	rows->is_json = strcmp(format, "json") == 0;
	if (rows->is_json || strcmp(format, "text") == 0)
		return true;
	say_usage("--format is text or json, not \"%s\"", format);
	return false;
}

static struct perf_cell *cell(struct perf_rows *rows, const char *name, bool is_text)
{
	assert(rows->count < PERF_CELLS_MAX);
	struct perf_cell *c = &rows->cells[rows->count++];

	c->name = name;
	c->is_text = is_text;
	return c;
}

void perf_text(struct perf_rows *rows, const char *name, const char *value)
{
	struct perf_cell *c = cell(rows, name, true);

	snprintf(c->text, sizeof c->text, "%s", value);
}

void perf_number(struct perf_rows *rows, const char *name, double value, int decimals)
{
	struct perf_cell *c = cell(rows, name, false);

	snprintf(c->text, sizeof c->text, "%.*f", decimals, value);
}

void perf_quantiles(struct perf_rows *rows, const struct histogram *ns)
{
	if (ns->count == 0) {
		perf_text(rows, "p50_ms", "-");
		perf_text(rows, "p99_ms", "-");
		return;
	}
	perf_number(rows, "p50_ms", (double)histogram_quantile(ns, 0.50) * 1e-6, 3);
	perf_number(rows, "p99_ms", (double)histogram_quantile(ns, 0.99) * 1e-6, 3);
}

static int width(const struct perf_cell *c, bool is_first)
{
	int name = (int)strlen(c->name), least = is_first ? 26 : 10;
	return name > least ? name : least;
}

static void print_header(struct perf_rows *rows)
{
	bool is_same = rows->count == rows->shown_count;

	for (size_t i = 0; is_same && i < rows->count; i++)
		is_same = strcmp(rows->shown[i], rows->cells[i].name) == 0;
	if (is_same)
		return;
	for (size_t i = 0; i < rows->count; i++) {
		const struct perf_cell *c = &rows->cells[i];
		printf(i ? "  %*s" : "%-*s", width(c, i == 0), c->name);
		rows->shown[i] = c->name;
	}
	rows->shown_count = rows->count;
	putchar('\n');
}

void perf_row(struct perf_rows *rows)
{
	if (!rows->is_json)
		print_header(rows);
	for (size_t i = 0; i < rows->count; i++) {
		const struct perf_cell *c = &rows->cells[i];
		bool is_none = c->is_text && strcmp(c->text, "-") == 0;
		if (!rows->is_json)
			printf(i ? "  %*s" : "%-*s", width(c, i == 0), c->text);
		else if (c->is_text && !is_none)
			printf("%s\"%s\":\"%s\"", i ? "," : "{", c->name, c->text);
		else
			printf("%s\"%s\":%s", i ? "," : "{", c->name, is_none ? "null" : c->text);
	}
	puts(rows->is_json ? "}" : "");
	fflush(stdout);
	rows->count = 0;
}

/* --- the scratch directory --- */

static char *scratch; /* written before the signals' thread is told of it */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	remove(path);
	return 0;
}

static void remove_scratch(void)
{
	nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* RocksDB's threads may still create files: what they leave is removed by the second round. */
static void interrupted(void *cookie)
{
	(void)cookie;
	remove_scratch();
	remove_scratch();
	_exit(EXIT_FAILED);
}

const char *perf_scratch_make(const struct options *o)
{
	const char *in = options_given(o, "data") ? options_text(o, "data") : getenv("TMPDIR");

	scratch = xasprintf("%s/ks-perf-XXXXXX", in && *in ? in : "/var/tmp");
	if (!mkdtemp(scratch)) {
		say_error("cannot make a directory %s: %s", scratch, strerror(errno));
		free(scratch);
		scratch = NULL;
		return NULL;
	}
	signals_start();
	signals_on_stop(interrupted, NULL);
	return scratch;
}

void perf_scratch_remove(void)
{
	if (!scratch)
		return;
	signals_on_stop(NULL, NULL);
	remove_scratch();
	free(scratch);
	scratch = NULL;
}

/* --- the command line --- */

bool perf_in_range(const struct options *o, const char *name, int64_t min, int64_t max)
{
	int64_t n = options_number(o, name);

	if (n >= min && n <= max)
		return true;
	say_usage("--%s is from %lld to %lld", name, (long long)min, (long long)max);
	return false;
}

bool perf_input_spec(const struct options *o, struct input_spec *out)
{
	if (!perf_in_range(o, "record-bytes", INPUT_RECORD_BYTES_MIN, INPUT_RECORD_BYTES_MAX) ||
	    !perf_in_range(o, "users", 1, INPUT_USERS_MAX) || !perf_in_range(o, "repeats", 0, 99) ||
	    !perf_in_range(o, "num", 1, INT64_C(1) << 40))
		return false;
	*out = INPUT_SPEC_DEFAULT;
	out->seed = (uint64_t)options_number(o, "seed");
	out->record_bytes = (int32_t)options_number(o, "record-bytes");
	out->users = (int32_t)options_number(o, "users");
	out->repeat_percent = (int32_t)options_number(o, "repeats");
	out->is_distinct = options_flag(o, "distinct");
	return true;
}

/* fuzz_match.c - any bytes as a Lua pattern and a subject: the first byte says where the one ends and the other begins.
 * A match lies within its subject, and the matcher ends: it is stopped after a bounded number of reports. */
#include "tests/fuzz/fuzz.h"

#include <setjmp.h>
#include <stdlib.h>

#include "lua/match.h"

#define REPORTS_MAX 16

struct run {
	jmp_buf enough;
	int reports;
};

static void report(void *self, size_t steps)
{
	struct run *r = self;

	(void)steps;
	if (++r->reports > REPORTS_MAX)
		longjmp(r->enough, 1);
}

static void require(int holds)
{
	if (!holds)
		abort();
}

static void search(const struct match_program *program, const char *subject, size_t len)
{
	struct run run = {.reports = 0};
	struct match m = {.program = program,
			  .subject = subject,
			  .end = subject + len,
			  .report = report,
			  .self = &run};
	const char *end = NULL;

	if (setjmp(run.enough))
		return;
	const char *start = match_search(&m, subject, &end);
	if (!start || m.error)
		return;
	require(start >= subject && end >= start && end <= subject + len);
	require(m.captures <= MATCH_CAPTURES_MAX);
	for (unsigned i = 0; i < m.captures; i++) {
		const struct match_capture *c = &m.capture[i];
		require(c->start >= subject && c->start <= subject + len);
		require(c->len == MATCH_POSITION || c->start + c->len <= subject + len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *pattern = (const char *)data + 1;
	size_t rest = size - 1, len = data[0] < rest ? data[0] : rest;
	struct match_program *program = malloc(match_program_size(pattern, len));

	if (program && !match_compile(program, pattern, len, data[0] & 1))
		search(program, pattern + len, rest - len);
	free(program);
	return 0;
}

/* progress.h - how far a long verb has come, on stderr.
 *
 * On a terminal a bar with count, rate and time left, redrawn ten times a second; elsewhere one log
 * line per 10 s. One thread uses a progress at a time.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/clock.h"
#include "base/mem.h"

struct progress {
	const char *label;         /* "produce" */
	const struct clock *clock; /* set before progress_begin; NULL: the real one */
	bool is_silent;            /* set before progress_begin; nothing is shown */
	bool is_terminal;
	int64_t total; /* -1: unknown */
	int64_t done;
	int64_t begin_ns, next_ns;
	bool is_drawn;
};

/* Zero-initialise p; label lives as long as p. */
void progress_begin(struct progress *p, const char *label, int64_t total);
/* done: records so far. Cheap: it looks at the clock and rarely writes. */
void progress_update(struct progress *p, int64_t done);
/* Takes the bar away; on a terminal a last line says count, time and rate. */
void progress_end(struct progress *p);

/* What is shown: the bar's line, the log's sentence, the last line. Pure, for tests. */
void progress_bar(const struct progress *p, int64_t now_ns, size_t columns, struct buf *out);
void progress_sentence(const struct progress *p, int64_t now_ns, struct buf *out);

#endif

/* report.h - what is wrong with a script, one entry per mistake, each with its line shown:
 *
 *   1_split.lua:19: topic "orders.smal" is not declared
 *    19 |         { ks.to "orders.smal" },
 *                         ^ did you mean "orders.small"?
 *
 * A report gathers as many mistakes as one run finds. Source lines are read again from the file: scripts are
 * small and a mistake is rare.
 */
#ifndef LUA_REPORT_H
#define LUA_REPORT_H

#include <stdbool.h>

#include "base/mem.h"

/* Zero-initialise; release with report_fini. */
struct report {
	struct buf text;
	int errors, warnings;
};

void report_fini(struct report *r);

/* where: "file:line", or "" for none. needle: the word in that line to point at, or NULL. hint: what to write
 * instead, or NULL. */
void report_error(struct report *r, const char *where, const char *needle, const char *hint,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_warning(struct report *r, const char *where, const char *needle, const char *hint,
		    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* excerpt_source for a place that names its file in full. */
void report_excerpt(struct buf *out, const char *where, const char *needle, const char *hint);

/* "file:line" of the first line, from that of where on, which has the word as a whole token, as far as max_lines
 * later; where itself (a copy) when there is none. malloc'd. */
char *report_locate(const char *where, const char *word, int max_lines);

/* Text of one line of a file, without its end; malloc'd. NULL: no such file or line. */
char *report_line(const char *file, int line);

/* Splits "dir/file.lua:12"; *file is malloc'd. false (and nothing set) when there is no such tail. */
bool report_place(const char *where, char **file, int *line);

#endif

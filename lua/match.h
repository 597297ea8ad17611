/* match.h - Lua's patterns, compiled, matched within a budget.
 *
 * Same language and results as Lua 5.4's string library. The differences: a malformed pattern is
 * always an error, also where the subject ends before the mistake is reached; and the matcher
 * reports its steps as it goes, so that a pattern which backtracks for ever can be stopped. Pure C,
 * no Lua.
 */
#ifndef LUA_MATCH_H
#define LUA_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATCH_CAPTURES_MAX 32
#define MATCH_DEPTH_MAX    200
#define MATCH_PATTERN_MAX  65535
#define MATCH_STEPS        65536 /* reported at once */

#define MATCH_POSITION     (-2) /* the length of a position capture */

struct match_program; /* one block of memory, no pointers */

/* Bytes that a compiled pattern needs, at most. */
size_t match_program_size(const char *pattern, size_t len);
/* Compiles into memory of that size, 4-byte aligned. caret_is_plain: as in gmatch, "^" is a
 * character wherever it stands. An error's text, or NULL. */
const char *match_compile(struct match_program *p, const char *pattern, size_t len,
			  bool caret_is_plain);
/* Whether "^" ties the pattern to the beginning; match_at does not care. */
bool match_is_anchored(const struct match_program *p);

struct match_capture {
	const char *start;
	ptrdiff_t len; /* or MATCH_POSITION */
};

struct match {
	const struct match_program *program;
	const char *subject;
	const char *end;
	/* Called every MATCH_STEPS steps; may longjmp out. */
	void (*report)(void *self, size_t steps);
	void *self;

	/* results */
	unsigned captures;
	struct match_capture capture[MATCH_CAPTURES_MAX];
	const char *error; /* NULL, or why there is no answer */
	size_t steps;      /* not yet reported */
	unsigned depth;
};

/* Matches at exactly s, subject <= s <= end. Where the match ends, or NULL: none, or m->error. */
const char *match_at(struct match *m, const char *s);
/* The first match at or after s; *end is where it ends. */
const char *match_search(struct match *m, const char *s, const char **end);

#endif

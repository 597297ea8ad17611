/* failpoint.h - named places where a test may kill the process.
 *
 * KS_FAILPOINT="name" or "name:n" in the environment kills the process with SIGKILL when the named
 * place is reached for the n-th time (the first by default). Without the variable a failpoint is
 * one predictable branch. tests/crash kills at every name that failpoint_names lists.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include <stdbool.h>

/* Every failpoint of the program, in the order in which a step passes them; ends with NULL. A name
 * that is used and not listed aborts when the variable is set. */
extern const char *const failpoint_names[];

extern bool failpoints_armed; /* set by failpoint_init, read-only afterwards */

/* Reads the environment. Call once, before any thread starts. */
void failpoint_init(void);
void failpoint_hit(const char *name);

#define FP(name)                                                                                   \
	do {                                                                                       \
		if (__builtin_expect(failpoints_armed, 0))                                         \
			failpoint_hit(name);                                                       \
	} while (0)

#endif

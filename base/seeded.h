/* seeded.h - bugs that were put in on purpose, to see that the tests catch them.
 *
 * KS_SEEDED_BUG(n) stands where a rule is decided, and turns the decision wrong: `if (is_old || KS_SEEDED_BUG(n))`. In
 * every normal build it is 0 and leaves no code. A build with -DKS_SEEDED_BUGS=ON has them all, and the environment
 * variable KS_SEEDED_BUG=n lets one of them happen. base/seeded.def lists them; tests/seeded shows that each is caught.
 */
#ifndef BASE_SEEDED_H
#define BASE_SEEDED_H

#ifdef KS_SEEDED_BUGS
#include <stdbool.h>

/* Any thread. Aborts when the environment names a bug that is not listed. */
bool seeded_bug(int n);
#define KS_SEEDED_BUG(n) seeded_bug(n)
#else
#define KS_SEEDED_BUG(n) 0
#endif

#endif

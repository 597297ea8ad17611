/* regex.h - a subscription by regular expression, matched against topic names here (KIP-848).
 *
 * The expression must match the whole name. It comes from a client: its length, its nesting, and
 * the steps that one match may take are bounded.
 */
#ifndef GROUPS_REGEX_H
#define GROUPS_REGEX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

#define REGEX_BYTES_MAX 4096

struct regex;

/* NULL: not an expression; why (may be NULL) tells where it goes wrong. */
struct regex *regex_new(struct slice pattern, struct ks_why *why);
void regex_free(struct regex *r); /* r may be NULL */
/* false, too, when the match would take too many steps. */
bool regex_matches(struct regex *r, struct slice name);
/* Whether a match took too many steps so far: its results cannot be relied on. */
bool regex_gave_up(const struct regex *r);

#endif

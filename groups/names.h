/* names.h - a set of names, in their order. The bytes are its own.
 *
 * It is made in one go: names_append each, in any order and as often as they come, then
 * names_settle.
 */
#ifndef GROUPS_NAMES_H
#define GROUPS_NAMES_H

#include <stdbool.h>

#include "base/mem.h"

/* Zero-initialise. */
struct names {
	struct slice *v;
	size_t count, cap;
};

void names_fini(struct names *n);
void names_clear(struct names *n);
void names_append(struct names *n, struct slice name);
void names_settle(struct names *n);
/* Of a settled set: where the name is, or would go; whether it is there. */
size_t names_place(const struct names *n, struct slice name);
bool names_have(const struct names *n, struct slice name);
bool names_equal(const struct names *a, const struct names *b);
void names_copy(struct names *to, const struct names *from); /* in place of what was there */
size_t names_bytes(const struct names *n);                   /* of memory, about */

#endif

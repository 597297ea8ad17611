/* parts.h - sets of partitions, and who owns each partition.
 *
 * A partition is a number: that of its topic, which is never used again, and its index within it. A
 * set is a sorted array of them.
 */
#ifndef GROUPS_PARTS_H
#define GROUPS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t part_of(uint32_t topic, int32_t index)
{
	return (uint64_t)topic << 32 | (uint32_t)index;
}

static inline uint32_t part_topic(uint64_t part)
{
	return (uint32_t)(part >> 32);
}

static inline int32_t part_index(uint64_t part)
{
	return (int32_t)(uint32_t)part;
}

/* Zero-initialise. */
struct parts {
	uint64_t *v;
	size_t count, cap;
};

void parts_fini(struct parts *p);
void parts_clear(struct parts *p);
void parts_append(struct parts *p, uint64_t part); /* any order; parts_settle before the rest */
void parts_settle(struct parts *p);
bool parts_have(const struct parts *p, uint64_t part);
bool parts_equal(const struct parts *a, const struct parts *b);
void parts_copy(struct parts *to, const struct parts *from); /* in place of what was there */
void parts_swap(struct parts *a, struct parts *b);
/* out, which is neither of them, becomes: what is in a and in b; what is in a and not in b. */
void parts_common(struct parts *out, const struct parts *a, const struct parts *b);
void parts_without(struct parts *out, const struct parts *a, const struct parts *b);
void parts_add_all(struct parts *to, const struct parts *from);

/* From partitions to their owners. Zero-initialise. */
struct owners {
	struct owners_slot {
		uint64_t part;
		void *owner; /* NULL: a free slot */
	} * slots;
	size_t count, cap; /* cap: a power of two */
};

void owners_fini(struct owners *o);
void *owners_get(const struct owners *o, uint64_t part);              /* NULL: nobody */
void owners_set(struct owners *o, uint64_t part, void *owner);        /* nobody owns it */
void owners_drop(struct owners *o, uint64_t part, const void *owner); /* owner does */

#endif

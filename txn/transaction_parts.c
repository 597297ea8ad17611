/* transaction_parts.c - see transaction_parts.h. */
#include "txn/transaction_parts.h"

#include <stdlib.h>

void transaction_parts_fini(struct transaction_parts *p)
{
	free(p->partitions);
	free(p->groups);
	*p = (struct transaction_parts){0};
}

bool transaction_parts_is_empty(const struct transaction_parts *p)
{
	return p->partition_count == 0 && p->group_count == 0;
}

/* --- partitions --- */

bool transaction_parts_has_partition(const struct transaction_parts *p, uint32_t partition_id)
{
	uint32_t low = 0, high = p->partition_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (p->partitions[middle] < partition_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->partition_count && p->partitions[low] == partition_id;
}

static void reserve(struct transaction_parts *p, uint32_t partitions)
{
	if (p->partition_cap >= partitions)
		return;
	p->partition_cap = partitions < 8 ? 8 : partitions + partitions / 2;
	p->partitions = xrealloc(p->partitions, p->partition_cap * sizeof *p->partitions);
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Those of the ids that are not in the set, each once and sorted; free() them. */
static uint32_t *missing(const struct transaction_parts *p, const uint32_t *ids, size_t count,
			 size_t *missing_count)
{
	uint32_t *added = xmalloc(count * sizeof *added);
	size_t n = 0, unique = 0;

	for (size_t i = 0; i < count; i++)
		if (!transaction_parts_has_partition(p, ids[i]))
			added[n++] = ids[i];
	qsort(added, n, sizeof *added, compare_ids);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || added[i] != added[unique - 1])
			added[unique++] = added[i];
	*missing_count = unique;
	return added;
}

/* Both are sorted and share nothing. Filled from the end, so that nothing is overwritten unread. */
static void merge(struct transaction_parts *p, const uint32_t *added, uint32_t count)
{
	uint32_t old = p->partition_count, at = old + count;

	reserve(p, at);
	p->partition_count = at;
	while (count) {
		bool is_old_larger = old && p->partitions[old - 1] > added[count - 1];
		p->partitions[--at] = is_old_larger ? p->partitions[--old] : added[--count];
	}
}

enum ks_err transaction_parts_add_partitions(struct transaction_parts *p, const uint32_t *ids,
					     size_t count, bool *grew)
{
	size_t more = 0;

	*grew = false;
	if (count == 0)
		return ERR_NONE;
	uint32_t *added = missing(p, ids, count, &more);
	bool fits = more <= TRANSACTION_PARTITIONS_MAX - p->partition_count;
	*grew = fits && more > 0;
	if (*grew)
		merge(p, added, (uint32_t)more);
	free(added);
	return fits ? ERR_NONE : ERR_POLICY_VIOLATION;
}

/* --- groups. They are few: mostly one. --- */

struct slice transaction_group_name(const struct transaction_group *g)
{
	return slice_of(g->name, g->len);
}

/* The index of the first one that is not before it. */
static uint32_t group_place(const struct transaction_parts *p, struct slice group)
{
	uint32_t at = 0;

	while (at < p->group_count &&
	       slice_compare(transaction_group_name(&p->groups[at]), group) < 0)
		at++;
	return at;
}

bool transaction_parts_has_group(const struct transaction_parts *p, struct slice group)
{
	uint32_t at = group_place(p, group);

	return at < p->group_count && slice_equal(transaction_group_name(&p->groups[at]), group);
}

enum ks_err transaction_parts_add_group(struct transaction_parts *p, struct slice group, bool *grew)
{
	uint32_t at = group_place(p, group);

	*grew = false;
	if (group.len == 0 || group.len > TRANSACTION_GROUP_NAME_MAX)
		return ERR_INVALID_GROUP_ID;
	if (transaction_parts_has_group(p, group))
		return ERR_NONE;
	if (p->group_count == TRANSACTION_GROUPS_MAX)
		return ERR_POLICY_VIOLATION;
	if (p->group_count == p->group_cap) {
		p->group_cap = p->group_cap ? 2 * p->group_cap : 1;
		p->groups = xrealloc(p->groups, p->group_cap * sizeof *p->groups);
	}
	memmove(p->groups + at + 1, p->groups + at, (p->group_count - at) * sizeof *p->groups);
	p->groups[at].len = (uint8_t)group.len;
	memcpy(p->groups[at].name, group.data, group.len);
	p->group_count++;
	*grew = true;
	return ERR_NONE;
}

/* --- values --- */

void transaction_parts_copy(struct transaction_parts *to, const struct transaction_parts *from)
{
	*to = (struct transaction_parts){0};
	if (from->partition_count) {
		reserve(to, from->partition_count);
		memcpy(to->partitions, from->partitions,
		       from->partition_count * sizeof *to->partitions);
		to->partition_count = from->partition_count;
	}
	if (from->group_count) {
		to->groups = xmalloc(from->group_count * sizeof *to->groups);
		memcpy(to->groups, from->groups, from->group_count * sizeof *to->groups);
		to->group_count = to->group_cap = from->group_count;
	}
}

void transaction_parts_append(const struct transaction_parts *p, struct buf *value)
{
	buf_append_u32be(value, p->partition_count);
	for (uint32_t i = 0; i < p->partition_count; i++)
		buf_append_u32be(value, p->partitions[i]);
	buf_append_u16be(value, (uint16_t)p->group_count);
	for (uint32_t i = 0; i < p->group_count; i++)
		value_append_text(value, transaction_group_name(&p->groups[i]));
}

static bool partitions_decode(struct cursor *c, struct transaction_parts *p)
{
	uint32_t count = cursor_u32(c);

	if (count > TRANSACTION_PARTITIONS_MAX || count > (size_t)(c->end - c->p) / 4)
		return false;
	reserve(p, count);
	for (uint32_t i = 0; i < count; i++) {
		p->partitions[i] = cursor_u32(c);
		if (i && p->partitions[i] <= p->partitions[i - 1])
			return false;
	}
	p->partition_count = count;
	return true;
}

static bool groups_decode(struct cursor *c, struct transaction_parts *p)
{
	uint16_t count = cursor_u16(c);
	bool grew;

	for (uint16_t i = 0; i < count; i++) {
		struct slice name = cursor_text(c);
		if (c->is_bad || transaction_parts_add_group(p, name, &grew) || !grew)
			return false;
		if (group_place(p, name) != i)
			return false; /* out of order */
	}
	return true;
}

bool transaction_parts_decode(struct cursor *c, struct transaction_parts *to)
{
	*to = (struct transaction_parts){0};
	if (partitions_decode(c, to) && groups_decode(c, to))
		return true;
	transaction_parts_fini(to);
	return false;
}

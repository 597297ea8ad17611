/* transaction_parts.h - what one transaction has written to: a set of partitions and a set of groups.
 *
 * A value that owns its arrays; zero is the empty one. Both sets are sorted, so that equal sets are stored as
 * equal bytes. Clients choose what is in them, hence the limits.
 */
#ifndef TXN_TRANSACTION_PARTS_H
#define TXN_TRANSACTION_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "txn/value.h"

#define TRANSACTION_PARTITIONS_MAX 10000
#define TRANSACTION_GROUPS_MAX     100
#define TRANSACTION_GROUP_NAME_MAX 249 /* bytes */

struct transaction_group {
	uint8_t len;
	char name[TRANSACTION_GROUP_NAME_MAX];
};

struct transaction_parts {
	uint32_t *partitions; /* their numbers, rising */
	uint32_t partition_count, partition_cap;
	uint32_t group_count, group_cap;
	struct transaction_group *groups; /* in bytewise order */
};

void transaction_parts_fini(struct transaction_parts *p); /* leaves it empty */
void transaction_parts_copy(struct transaction_parts *to,
			    const struct transaction_parts *from); /* to: none yet */

bool transaction_parts_is_empty(const struct transaction_parts *p);
bool transaction_parts_has_partition(const struct transaction_parts *p, uint32_t partition_id);
bool transaction_parts_has_group(const struct transaction_parts *p, struct slice group);
struct slice transaction_group_name(const struct transaction_group *g);

/* All of them or none, each once, in any order. *grew: one of them was not there yet.
 * ERR_POLICY_VIOLATION: they would be more than TRANSACTION_PARTITIONS_MAX. */
enum ks_err transaction_parts_add_partitions(struct transaction_parts *p, const uint32_t *ids,
					     size_t count, bool *grew);
/* ERR_INVALID_GROUP_ID: the name is empty or too long. ERR_POLICY_VIOLATION: too many. */
enum ks_err transaction_parts_add_group(struct transaction_parts *p, struct slice group,
					bool *grew);

/* As it is stored within the value of a transaction. Decoding: false, the value is damaged; to: none yet. */
void transaction_parts_append(const struct transaction_parts *p, struct buf *value);
bool transaction_parts_decode(struct cursor *c, struct transaction_parts *to);

#endif

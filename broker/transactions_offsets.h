/* transactions_offsets.h - offsets that open transactions will commit.
 *
 * TxnOffsetCommit tells them; they become a group's offsets when the transaction is committed, in the same write. Until
 * then they are in CF_TXN and in memory, where the group finds them: who asks for stable offsets waits. Of several commits for
 * a partition, in transactions or not, the one that came last stays: a transaction's came when it was told, not at the end.
 *
 * Belongs to the shard's thread.
 */
#ifndef BROKER_TRANSACTIONS_OFFSETS_H
#define BROKER_TRANSACTIONS_OFFSETS_H

#include "broker/group.h"

struct coordinated;
struct transaction_effects;
struct txn_entry;
struct txns;

/* Whether an open transaction has an offset of the group for the partition. */
bool pending_offsets_has(const struct coordinated *x, uint32_t partition_id);
/* The group has got an offset for the partition otherwise, in this write: whatever is pending for it came earlier and will not
 * replace it. Still it is pending. */
void pending_offsets_overtake(struct coordinated *x, uint32_t partition_id, struct group *g);
/* The group's offset for the partition is deleted, in this write, and what would become it too. */
void pending_offsets_drop(struct coordinated *x, uint32_t partition_id, struct group *g);
/* The group is deleted: nothing will be committed for it. */
void pending_offsets_drop_group(struct coordinated *x, struct group *g);
/* The transaction ends: what it has becomes the groups', or nothing. fx: that end, which names all groups that it has. */
void pending_offsets_end(struct txns *c, struct txn_entry *x, const struct transaction_effects *fx,
			 struct group *g);
/* Before the shard starts: from the store. */
enum ks_err pending_offsets_load(struct txns *c, struct ks_why *why);
/* Forgets them in memory alone. */
void pending_offsets_free(struct txns *c, struct txn_entry *x);

#endif

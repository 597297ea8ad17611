/* offsets.h - committed offsets: what the other files of this folder need of offsets.c. */
#ifndef BROKER_OFFSETS_H
#define BROKER_OFFSETS_H

#include "broker/broker.h"
#include "broker/keys.h"

/* ERR_INVALID_GROUP_ID; why (may be NULL) has the rule. */
enum ks_err group_name_check(const char *group, struct ks_why *why);

struct coordinated;
struct group;

/* Commits an offset past the protocol. */
void offset_put(struct coordinated *x, const struct partition *p, int64_t offset, struct group *g);

/* Puts one that a client committed. */
void offset_put_stored(struct store_write *w, struct buf *scratch, struct slice group,
		       uint32_t partition_id, const struct stored_offset *o);
/* Deletes one; all of a group. */
void offset_delete(struct store_write *w, struct buf *scratch, struct slice group,
		   uint32_t partition_id);
void offsets_delete_group(struct store_write *w, struct slice group);
/* Of one partition; the metadata points into value. ERR_NOT_FOUND, ERR_CORRUPTION, ... */
enum ks_err offset_read(struct store *s, struct slice group, uint32_t partition_id,
			struct buf *scratch, struct buf *value, struct stored_offset *o);
/* Over all offsets of one group. bounds: keeps the bounds' bytes, as long as the iterator. */
struct store_iter *offsets_iter(struct store *s, struct slice group, struct buf bounds[2]);

/* Deletes what any group has committed for these partitions. */
enum ks_err offsets_delete_partitions(struct store *s, struct store_write *w, uint32_t first_id,
				      uint32_t count, struct ks_why *why);

#endif

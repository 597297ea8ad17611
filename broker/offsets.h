/* offsets.h - committed offsets: what the other files of this folder need of offsets.c. */
#ifndef BROKER_OFFSETS_H
#define BROKER_OFFSETS_H

#include "broker/broker.h"

/* ERR_INVALID_GROUP_ID; why (may be NULL) has the rule. */
enum ks_err group_name_check(const char *group, struct ks_why *why);

/* Puts one committed offset. */
void offset_put(struct store_write *w, struct buf *scratch, const char *group,
		const struct partition *p, int64_t offset, int64_t now_ms);

/* Deletes what any group has committed for these partitions. */
enum ks_err offsets_delete_partitions(struct store *s, struct store_write *w, uint32_t first_id,
				      uint32_t count, struct ks_why *why);

#endif

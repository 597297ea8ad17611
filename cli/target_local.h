/* target_local.h - what the files of the target that is a data directory share. */
#ifndef CLI_TARGET_LOCAL_H
#define CLI_TARGET_LOCAL_H

#include "cli/target.h"

struct broker *local_broker(struct target *t);
enum ks_err local_partition(const struct target_topic *topic, int32_t index, struct partition **out,
			    struct ks_why *why);

/* target_local_txns.c */
enum ks_err local_txns(struct target *t, const struct list_transactions_request *filter,
		       struct target_txns *out, struct ks_why *why);
enum ks_err local_txn_describe(struct target *t, const char *id, struct target_txn_details *out,
			       struct ks_why *why);
enum ks_err local_producers(struct target *t, const struct target_topic *topic, int32_t partition,
			    struct target_producer **out, size_t *count, struct ks_why *why);
enum ks_err local_txn_abort(struct target *t, const struct target_topic *topic, int32_t partition,
			    const struct target_producer *p, struct ks_why *why);

#endif

/* partitions.h - questions about partitions, each asked of its leader: where a time begins, and
 * what is deleted up to where.
 */
#ifndef CLIENT_PARTITIONS_H
#define CLIENT_PARTITIONS_H

#include "client/cluster.h"

/* Instead of a time. */
#define CLIENT_LATEST   (-1) /* the high watermark; with read_committed the last stable offset */
#define CLIENT_EARLIEST (-2) /* the log start offset */

struct client_row {
	int32_t partition;
	int64_t timestamp; /* asked for: ms, CLIENT_LATEST, CLIENT_EARLIEST */
	int64_t offset;    /* the answer; -1: none is so young. delete_records: the question too */
	enum ks_err err;   /* of this row */
};

/* Fills the offsets of all rows, which name different partitions of the topic. Transient errors
 * are retried; the first error that stays is the result, with its sentence.
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION  the topic, or one of the partitions
 *   ERR_LEADER_NOT_AVAILABLE, ERR_UNREACHABLE, ... */
enum ks_err client_list_offsets(struct client_cluster *cl, const char *topic,
				struct client_row *rows, size_t count, bool is_read_committed,
				struct ks_why *why);
/* Deletes what is before row->offset (-1: before the high watermark); row->offset becomes the log
 * start offset.
 *   ERR_OFFSET_OUT_OF_RANGE, and those above */
enum ks_err client_delete_records(struct client_cluster *cl, const char *topic,
				  struct client_row *rows, size_t count, struct ks_why *why);

/* Whether another leader, or the same one later, may answer better. */
bool client_leader_may_change(enum ks_err err);

#endif

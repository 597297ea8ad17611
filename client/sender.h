/* sender.h - finished record batches to the leaders of their partitions.
 *
 * A thread of its own with connections of its own. It takes what was added meanwhile, makes one
 * request per leader of the oldest batch of every partition, and repeats until all are
 * acknowledged. Batches of a partition keep their order; transient errors are retried, and with
 * acks all a producer id and sequence numbers see to it that a retry writes nothing twice.
 */
#ifndef CLIENT_SENDER_H
#define CLIENT_SENDER_H

#include "client/cluster.h"

struct client_sender;

/* Stays alive until done is called. */
struct client_send {
	const char *topic; /* until client_sender_stop */
	int32_t partition;
	struct frame *batch; /* taken: one finished batch; stamped in place */
	/* Exactly once, on the sender's thread, in the order of a partition's batches. */
	void (*done)(struct client_send *s, enum ks_err err, const struct ks_why *why);
	int64_t base_offset; /* result; -1: not told */

	/* the sender's */
	struct client_send *next;
	int64_t deadline_ns;
	int32_t record_count;
	bool is_stamped;
};

/* acks: -1 all, 1, 0. Connects at once, as client_cluster_open. */
enum ks_err client_sender_start(const char *bootstrap, const struct client_options *options,
				int16_t acks, struct client_sender **out, struct ks_why *why);
/* From any thread. */
void client_sender_add(struct client_sender *s, struct client_send *send);
/* Returns when everything that was added is done. s may be NULL. */
void client_sender_stop(struct client_sender *s);

#endif

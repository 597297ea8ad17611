/* lookup.h - from what a request names to topics and partitions, and from our errors to those that travel. */
#ifndef SERVER_LOOKUP_H
#define SERVER_LOOKUP_H

#include "broker/broker.h"
#include "server/exchange.h"

/* ERR_INVALID_TOPIC_EXCEPTION: no topic can have this name; ERR_UNKNOWN_TOPIC_OR_PARTITION. */
enum ks_err lookup_topic(struct exchange *x, struct slice name, struct topic **out);
/* ERR_UNKNOWN_TOPIC_ID */
enum ks_err lookup_topic_id(struct exchange *x, struct wire_uuid id, struct topic **out);
/* ERR_UNKNOWN_TOPIC_OR_PARTITION, also for names that are not valid. */
enum ks_err lookup_partition(struct exchange *x, struct slice name, int32_t index,
			     struct partition **out);
enum ks_err lookup_partition_of(struct topic *t, int32_t index, struct partition **out);

/* What a client believes the leader epoch to be; -1: it does not say. ERR_FENCED_LEADER_EPOCH, ERR_UNKNOWN_LEADER_EPOCH */
#define LEADER_EPOCH_NOW 0 /* there is one node, and it has always led */
enum ks_err lookup_check_epoch(int32_t leader_epoch);

/* The code to send for err: Kafka's own as they are, of the local ones the nearest. */
int16_t wire_code(enum ks_err err);

#endif

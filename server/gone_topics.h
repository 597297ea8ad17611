/* gone_topics.h - the topics that a connection deleted a moment ago, and that its Metadata still shows.
 *
 * Apache Kafka answers DeleteTopics a little before the topic leaves the metadata. librdkafka 2.0.2 needs that: its
 * consumer that deletes a topic and then closes itself asks for the topic's metadata on the way, and when it hears
 * there that the partitions are gone it waits for ever for its own end. Everybody else sees the truth at once.
 *
 * Owner: the connection's loop.
 */
#ifndef SERVER_GONE_TOPICS_H
#define SERVER_GONE_TOPICS_H

#include <stdint.h>

#include "broker/broker.h"
#include "wire/schema.h"

#define GONE_TOPICS_MAX 8 /* the latest ones */
#define GONE_TOPICS_MS  500

struct gone_topics {
	struct {
		struct topic *topic; /* NULL: none */
		int64_t until_ms;
	} latest[GONE_TOPICS_MAX];
	unsigned next;
};

void gone_topics_add(struct gone_topics *g, struct topic *t, int64_t now_ms);
/* By name, or by id when the name is null; NULL: it was not deleted, or is no longer shown. */
struct topic *gone_topics_find(const struct gone_topics *g, struct slice name, struct wire_uuid id,
			       int64_t now_ms);

#endif

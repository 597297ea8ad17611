/* gone_topics.c - see gone_topics.h. */
#include "server/gone_topics.h"

#include <string.h>

void gone_topics_add(struct gone_topics *g, struct topic *t, int64_t now_ms)
{
	g->latest[g->next].topic = t;
	g->latest[g->next].until_ms = now_ms + GONE_TOPICS_MS;
	g->next = (g->next + 1) % GONE_TOPICS_MAX;
}

static bool is_asked_for(const struct topic *t, struct slice name, struct wire_uuid id)
{
	struct topic_uuid own = topic_uuid(t);

	return name.data ? slice_equal(name, slice_str(topic_name(t)))
			 : memcmp(own.bytes, id.bytes, sizeof id.bytes) == 0;
}

struct topic *gone_topics_find(const struct gone_topics *g, struct slice name, struct wire_uuid id,
			       int64_t now_ms)
{
	for (size_t i = 0; i < GONE_TOPICS_MAX; i++) {
		struct topic *t = g->latest[i].topic;
		if (t && now_ms < g->latest[i].until_ms && is_asked_for(t, name, id))
			return t;
	}
	return NULL;
}

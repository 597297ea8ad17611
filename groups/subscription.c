/* subscription.c - see subscription.h. */
#include "groups/subscription.h"

#include "wire/schema.h"

bool subscription_topics(struct slice metadata, struct names *topics)
{
	struct wire_reader r;

	wire_reader_init(&r, metadata, 0, WIRE_NEVER, NULL, 0);
	int16_t version = wire_read_int16(&r);
	int32_t count = wire_read_int32(&r);
	/* Each topic takes two bytes at least. */
	if (r.err || version < 0 || count < 0 || count > (r.end - r.p) / 2 ||
	    count > SUBSCRIPTION_TOPICS_MAX)
		return false;
	for (int32_t i = 0; i < count; i++) {
		struct slice topic = wire_read_string(&r, false, false);
		if (r.err)
			return false;
		names_append(topics, topic);
	}
	return true;
}

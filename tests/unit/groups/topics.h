/* topics.h - a source of topics for tests: an array that the test changes. */
#ifndef TESTS_UNIT_GROUPS_TOPICS_H
#define TESTS_UNIT_GROUPS_TOPICS_H

#include "groups/consumer.h"

#define FAKE_TOPICS 16

struct fake_topics {
	struct topic_source source;
	struct {
		char name[16];
		struct assign_topic topic; /* partitions == 0: there is none */
	} all[FAKE_TOPICS];
	uint32_t numbers;
	uint64_t changes;
	int lookups;
};

static inline uint64_t fake_version(void *self)
{
	return ((struct fake_topics *)self)->changes;
}

static inline bool fake_find(void *self, struct slice name, struct assign_topic *topic)
{
	struct fake_topics *f = self;

	f->lookups++;
	for (int i = 0; i < FAKE_TOPICS; i++)
		if (f->all[i].topic.partitions > 0 &&
		    slice_compare(slice_str(f->all[i].name), name) == 0) {
			*topic = f->all[i].topic;
			return true;
		}
	return false;
}

/* An expression here is a prefix. */
static inline void fake_match(void *self, struct slice regex,
			      void (*each)(void *arg, const struct assign_topic *topic), void *arg)
{
	struct fake_topics *f = self;

	f->lookups++;
	for (int i = 0; i < FAKE_TOPICS; i++)
		if (f->all[i].topic.partitions > 0 &&
		    strncmp(f->all[i].name, (const char *)regex.data, regex.len) == 0)
			each(arg, &f->all[i].topic);
}

static inline void fake_topics_init(struct fake_topics *f)
{
	memset(f, 0, sizeof *f);
	f->source = (struct topic_source){fake_version, fake_find, fake_match, f};
}

/* Makes it, changes its size, or deletes it (0). A topic that is made anew has a new number.
 * Returns it. */
static inline uint32_t fake_topic(struct fake_topics *f, const char *name, int32_t partitions)
{
	int at = -1;

	f->changes++;
	for (int i = FAKE_TOPICS - 1; i >= 0; i--) {
		if (strcmp(f->all[i].name, name) == 0) {
			at = i;
			break;
		}
		if (!f->all[i].name[0])
			at = i;
	}
	if (f->all[at].topic.partitions == 0)
		f->all[at].topic.number = ++f->numbers;
	snprintf(f->all[at].name, sizeof f->all[at].name, "%s", name);
	f->all[at].topic.partitions = partitions;
	return f->all[at].topic.number;
}

#endif

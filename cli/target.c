/* target.c - what both kinds of target share. */
#include "cli/target.h"

#include <stdlib.h>

#include "base/suggest.h"
#include "client/cluster.h"

enum ks_err target_unknown_topic(struct target *t, const char *name, struct ks_why *why)
{
	struct target_topic *topics = NULL;
	struct ks_why unused;
	const char *near = NULL;
	size_t count = 0;

	if (t->topics(t, &topics, &count, &unused) == ERR_NONE) {
		const char **names = xcalloc(count + 1, sizeof(char *));
		for (size_t i = 0; i < count; i++)
			names[i] = topics[i].name;
		near = suggest(name, names, count);
		free(names);
	}
	free(topics);
	if (near)
		return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
			       "no topic \"%s\"; did you mean \"%s\"?", name, near);
	return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "no topic \"%s\"", name);
}

enum ks_err target_check_partition(const struct target_topic *topic, int64_t partition,
				   struct ks_why *why)
{
	return client_check_partition(topic->name, partition, topic->partition_count, why);
}

void target_configs_free(struct target_config *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].key);
		free(rows[i].value);
	}
	free(rows);
}

const char *target_config_source(int source)
{
	static const char *const names[] = {NULL,
					    "DYNAMIC_TOPIC_CONFIG",
					    "DYNAMIC_BROKER_CONFIG",
					    "DYNAMIC_DEFAULT_BROKER_CONFIG",
					    "STATIC_BROKER_CONFIG",
					    "DEFAULT_CONFIG",
					    "DYNAMIC_BROKER_LOGGER_CONFIG",
					    "DYNAMIC_CLIENT_METRICS_CONFIG",
					    "DYNAMIC_GROUP_CONFIG"};

	return source > 0 && (size_t)source < sizeof names / sizeof *names ? names[source] : NULL;
}

const char *target_config_type(int type)
{
	static const char *const names[] = {NULL,   "BOOLEAN", "STRING", "INT",   "SHORT",
					    "LONG", "DOUBLE",  "LIST",   "CLASS", "PASSWORD"};

	return type > 0 && (size_t)type < sizeof names / sizeof *names ? names[type] : NULL;
}

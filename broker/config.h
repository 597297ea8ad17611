/* config.h - the configuration of one topic, under Kafka's names and with Kafka's defaults.
 *
 * Every key that Kafka knows is accepted, so that scripts written for it keep working; the table in
 * config.c tells which have an effect here. A key that Kafka does not know is an error with a
 * suggestion.
 *
 * A value: copy it with config_copy, release it with config_fini.
 */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define CONFIG_KEYS      36 /* rows of the table */
#define CONFIG_VALUE_MAX 63 /* bytes */

struct topic_config {
	/* What was set, in the order of the table; NULL: the default holds. */
	char *set[CONFIG_KEYS];

	/* What it means. */
	int64_t retention_ms;    /* -1: for ever */
	int64_t retention_bytes; /* of one partition; -1: no limit */
	int64_t timestamp_before_max_ms, timestamp_after_max_ms;
	int32_t max_message_bytes, min_insync_replicas;
	bool is_append_time;
	bool is_deleted_by_age; /* cleanup.policy has "delete": retention applies */
	bool is_compacted;      /* it has "compact"; nothing compacts yet */
};

void config_init(struct topic_config *c); /* all defaults */
void config_fini(struct topic_config *c);
void config_copy(struct topic_config *to, const struct topic_config *from); /* to: uninitialised */

/* value NULL: back to the default.
 *   ERR_INVALID_CONFIG  unknown key or impossible value; why names it and what was probably meant
 */
enum ks_err config_set(struct topic_config *c, const char *key, const char *value,
		       struct ks_why *why);

/* Row i of CONFIG_KEYS. */
const char *config_key(size_t i);
const char *config_value(const struct topic_config *c, size_t i); /* until c changes */

/* The set ones as a topic record holds them; returns how many. */
uint16_t config_encode(const struct topic_config *c, struct buf *out);

#endif

/* config.h - the configuration of one topic, under Kafka's names and with Kafka's defaults.
 *
 * Every key that Kafka knows is accepted, so that scripts written for it keep working; the table in
 * config.c tells which have an effect here. A key that Kafka does not know is an error with a
 * suggestion. A broker has defaults of its own for some of them, under other names and units
 * (log.retention.hours for retention.ms): struct config_defaults.
 *
 * Values: copy one with config_copy, release it with config_fini.
 */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "broker/broker.h"

#define CONFIG_KEYS      36   /* rows of the table */
#define CONFIG_BROKER    36   /* rows of the table of broker's names */
#define CONFIG_VALUE_MAX 1023 /* bytes */

/* What a broker says for all its topics. Zero-initialise; release with config_defaults_fini. */
struct config_defaults {
	char *given[CONFIG_BROKER]; /* as it was set, NULL: not; by rows of the broker's table */
	char *values[CONFIG_KEYS];  /* what that is for the topic's key, NULL: Kafka's default */
};

struct topic_config {
	/* What was set, in the order of the table; NULL: the default holds. */
	char *set[CONFIG_KEYS];
	const struct config_defaults *defaults; /* borrowed; NULL: Kafka's */

	/* What it means. */
	int64_t retention_ms;    /* -1: for ever */
	int64_t retention_bytes; /* of one partition; -1: no limit */
	int64_t timestamp_before_max_ms, timestamp_after_max_ms;
	int64_t timestamp_difference_max_ms; /* the old name of timestamp_before_max_ms */
	int64_t segment_ms, segment_bytes;
	int64_t min_compaction_lag_ms, max_compaction_lag_ms;
	int64_t delete_retention_ms;
	double min_dirty_ratio;
	int32_t max_message_bytes, min_insync_replicas;
	bool is_recompressed; /* compression.type names a codec, this one: */
	enum codec codec;
	bool is_append_time;
	bool is_deleted_by_age; /* cleanup.policy has "delete": retention applies */
	bool is_compacted;      /* it has "compact" */
};

/* Sets a broker's default. ERR_NOT_FOUND: no such key; ERR_INVALID_CONFIG. */
enum ks_err config_defaults_set(struct config_defaults *d, const char *key, const char *value,
				struct ks_why *why);
void config_defaults_fini(struct config_defaults *d);

/* All defaults; defaults live as long as c and its copies. */
void config_init(struct topic_config *c, const struct config_defaults *defaults);
void config_fini(struct topic_config *c);
void config_copy(struct topic_config *to, const struct topic_config *from); /* to: uninitialised */

/* Carries out one change; blanks around a value do not count.
 *   ERR_INVALID_CONFIG   unknown key, impossible value, APPEND or SUBTRACT to what is no list; why
 *                        names it and what was probably meant
 *   ERR_INVALID_REQUEST  no value, or no such operation */
enum ks_err config_change(struct topic_config *c, const struct config_change *change,
			  struct ks_why *why);
/* value NULL: back to the default. */
enum ks_err config_set(struct topic_config *c, const char *key, const char *value,
		       struct ks_why *why);
/* What no key can tell for itself; once all are set. ERR_INVALID_CONFIG. */
enum ks_err config_check(const struct topic_config *c, struct ks_why *why);

/* Row i of CONFIG_KEYS. */
const char *config_key(size_t i);
const char *config_value(const struct topic_config *c, size_t i); /* until c changes */

/* The set ones as a topic record holds them; returns how many. */
uint16_t config_encode(const struct topic_config *c, struct buf *out);

/* All keys as broker.h tells them, in one block of memory; free() it. */
struct topic_config_row *config_rows(const struct topic_config *c, size_t *count);
struct topic_config_row *config_defaults_rows(const struct config_defaults *d, size_t *count);

#endif

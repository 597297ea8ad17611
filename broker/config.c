/* config.c - see config.h. */
#include "broker/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "txn/value.h"

enum kind {
	WHOLE,   /* a number from min to max */
	SHARE,   /* 0.0 to 1.0 */
	SWITCH,  /* true or false */
	CHOICE,  /* one of the words */
	CHOICES, /* several of the words, with commas between */
	TEXT,
};

enum used {
	RETENTION_MS = 1,
	RETENTION_BYTES,
	MAX_MESSAGE_BYTES,
	TIMESTAMP_TYPE,
	CLEANUP_POLICY,
	TIMESTAMP_BEFORE,
	TIMESTAMP_AFTER,
	MIN_INSYNC
};

struct row {
	const char *key, *default_value;
	enum kind kind;
	enum used used; /* 0: stored and shown, without effect */
	int64_t min, max;
	const char *words; /* of a choice, separated by blanks */
};

#define FROM(min) (min), INT64_MAX, NULL
#define INT(min)  (min), INT32_MAX, NULL
#define WORDS(w)  0, 0, (w)
#define NO_LIMITS 0, 0, NULL

static const struct row rows[] = {
	{"cleanup.policy", "delete", CHOICES, CLEANUP_POLICY, WORDS("delete compact")},
	{"compression.gzip.level", "-1", WHOLE, 0, -1, 9, NULL},
	{"compression.lz4.level", "9", WHOLE, 0, 1, 17, NULL},
	{"compression.type", "producer", CHOICE, 0,
	 WORDS("producer uncompressed none gzip snappy lz4 zstd")},
	{"compression.zstd.level", "3", WHOLE, 0, -131072, 22, NULL},
	{"delete.retention.ms", "86400000", WHOLE, 0, FROM(0)},
	{"file.delete.delay.ms", "60000", WHOLE, 0, FROM(0)},
	{"flush.messages", "9223372036854775807", WHOLE, 0, FROM(1)},
	{"flush.ms", "9223372036854775807", WHOLE, 0, FROM(0)},
	{"follower.replication.throttled.replicas", "", TEXT, 0, NO_LIMITS},
	{"index.interval.bytes", "4096", WHOLE, 0, INT(0)},
	{"leader.replication.throttled.replicas", "", TEXT, 0, NO_LIMITS},
	{"local.retention.bytes", "-2", WHOLE, 0, FROM(-2)},
	{"local.retention.ms", "-2", WHOLE, 0, FROM(-2)},
	{"max.compaction.lag.ms", "9223372036854775807", WHOLE, 0, FROM(1)},
	{"max.message.bytes", "1048588", WHOLE, MAX_MESSAGE_BYTES, INT(0)},
	{"message.downconversion.enable", "true", SWITCH, 0, NO_LIMITS},
	{"message.format.version", "3.0-IV1", TEXT, 0, NO_LIMITS},
	{"message.timestamp.after.max.ms", "9223372036854775807", WHOLE, TIMESTAMP_AFTER, FROM(0)},
	{"message.timestamp.before.max.ms", "9223372036854775807", WHOLE, TIMESTAMP_BEFORE,
	 FROM(0)},
	{"message.timestamp.difference.max.ms", "9223372036854775807", WHOLE, 0, FROM(0)},
	{"message.timestamp.type", "CreateTime", CHOICE, TIMESTAMP_TYPE,
	 WORDS("CreateTime LogAppendTime")},
	{"min.cleanable.dirty.ratio", "0.5", SHARE, 0, NO_LIMITS},
	{"min.compaction.lag.ms", "0", WHOLE, 0, FROM(0)},
	{"min.insync.replicas", "1", WHOLE, MIN_INSYNC, INT(1)},
	{"preallocate", "false", SWITCH, 0, NO_LIMITS},
	{"remote.log.copy.disable", "false", SWITCH, 0, NO_LIMITS},
	{"remote.log.delete.on.disable", "false", SWITCH, 0, NO_LIMITS},
	{"remote.storage.enable", "false", SWITCH, 0, NO_LIMITS},
	{"retention.bytes", "-1", WHOLE, RETENTION_BYTES, FROM(-1)},
	{"retention.ms", "604800000", WHOLE, RETENTION_MS, FROM(-1)},
	{"segment.bytes", "1073741824", WHOLE, 0, INT(14)},
	{"segment.index.bytes", "10485760", WHOLE, 0, INT(4)},
	{"segment.jitter.ms", "0", WHOLE, 0, FROM(0)},
	{"segment.ms", "604800000", WHOLE, 0, FROM(1)},
	{"unclean.leader.election.enable", "false", SWITCH, 0, NO_LIMITS},
};

_Static_assert(sizeof rows / sizeof *rows == CONFIG_KEYS, "the table and its size differ");

static bool parse_whole(const char *text, int64_t min, int64_t max, int64_t *out)
{
	char *end;

	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || errno || v < min || v > max)
		return false;
	*out = v;
	return true;
}

static bool is_share(const char *text)
{
	char *end;
	double v = strtod(text, &end);
	return end != text && !*end && v >= 0 && v <= 1;
}

/* Whether the len bytes at text are one of the words. */
static bool has_word(const char *words, const char *text, size_t len)
{
	for (const char *w = words; *w;) {
		size_t n = strcspn(w, " ");
		if (n == len && memcmp(w, text, len) == 0)
			return true;
		w += n + strspn(w + n, " ");
	}
	return false;
}

/* The next item of a list with commas and blanks between; false at its end. */
static bool next_item(const char **list, const char **item, size_t *len)
{
	*list += strspn(*list, ", ");
	*item = *list;
	*len = strcspn(*list, ", ");
	*list += *len;
	return *len > 0;
}

static bool list_has(const char *list, const char *word)
{
	const char *item;
	size_t len;

	while (next_item(&list, &item, &len))
		if (len == strlen(word) && memcmp(item, word, len) == 0)
			return true;
	return false;
}

static bool are_words(const char *words, const char *list)
{
	const char *item;
	size_t len, count = 0;

	for (; next_item(&list, &item, &len); count++)
		if (!has_word(words, item, len))
			return false;
	return count > 0;
}

static bool is_valid(const struct row *r, const char *value)
{
	int64_t v;

	if (strlen(value) > CONFIG_VALUE_MAX)
		return false;
	switch (r->kind) {
	case WHOLE:
		return parse_whole(value, r->min, r->max, &v);
	case SHARE:
		return is_share(value);
	case SWITCH:
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
	case CHOICE:
		return has_word(r->words, value, strlen(value));
	case CHOICES:
		return are_words(r->words, value);
	case TEXT:
		return true;
	}
	return false;
}

static enum ks_err refuse_value(const struct row *r, const char *value, struct ks_why *why)
{
	switch (r->kind) {
	case WHOLE:
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s = \"%s\": want a whole number from %" PRId64 " to %" PRId64,
			       r->key, value, r->min, r->max);
	case SHARE:
		return ks_fail(why, ERR_INVALID_CONFIG, "%s = \"%s\": want a number from 0 to 1",
			       r->key, value);
	case SWITCH:
		return ks_fail(why, ERR_INVALID_CONFIG, "%s = \"%s\": want true or false", r->key,
			       value);
	case CHOICE:
		return ks_fail(why, ERR_INVALID_CONFIG, "%s = \"%s\": want one of: %s", r->key,
			       value, r->words);
	case CHOICES:
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s = \"%s\": want a list, with commas between, of: %s", r->key,
			       value, r->words);
	case TEXT:
		break;
	}
	return ks_fail(why, ERR_INVALID_CONFIG, "%s: the value is longer than %d bytes", r->key,
		       CONFIG_VALUE_MAX);
}

static enum ks_err refuse_key(const char *key, const char *value, struct ks_why *why)
{
	const char *keys[CONFIG_KEYS];

	for (size_t i = 0; i < CONFIG_KEYS; i++)
		keys[i] = rows[i].key;
	const char *near = suggest(key, keys, CONFIG_KEYS);
	if (near)
		return ks_fail(
			why, ERR_INVALID_CONFIG,
			"there is no topic configuration \"%s\" (= \"%s\"); did you mean \"%s\"?",
			key, value ? value : "", near);
	return ks_fail(why, ERR_INVALID_CONFIG, "there is no topic configuration \"%s\" (= \"%s\")",
		       key, value ? value : "");
}

/* Takes over what a valid value means. */
static void apply(struct topic_config *c, const struct row *r, const char *value)
{
	int64_t v = 0;

	bool is_valid = r->kind != WHOLE || parse_whole(value, r->min, r->max, &v);
	assert(is_valid && "checked before");
	switch (r->used) {
	case RETENTION_MS:
		c->retention_ms = v;
		break;
	case RETENTION_BYTES:
		c->retention_bytes = v;
		break;
	case MAX_MESSAGE_BYTES:
		c->max_message_bytes = (int32_t)v;
		break;
	case TIMESTAMP_BEFORE:
		c->timestamp_before_max_ms = v;
		break;
	case TIMESTAMP_AFTER:
		c->timestamp_after_max_ms = v;
		break;
	case MIN_INSYNC:
		c->min_insync_replicas = (int32_t)v;
		break;
	case TIMESTAMP_TYPE:
		c->is_append_time = strcmp(value, "LogAppendTime") == 0;
		break;
	case CLEANUP_POLICY:
		c->is_deleted_by_age = list_has(value, "delete");
		c->is_compacted = list_has(value, "compact");
		break;
	}
}

void config_init(struct topic_config *c)
{
	*c = (struct topic_config){0};
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		apply(c, &rows[i], rows[i].default_value);
}

void config_fini(struct topic_config *c)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		free(c->set[i]);
	*c = (struct topic_config){0};
}

void config_copy(struct topic_config *to, const struct topic_config *from)
{
	*to = *from;
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		to->set[i] = from->set[i] ? xstrdup(from->set[i]) : NULL;
}

enum ks_err config_set(struct topic_config *c, const char *key, const char *value,
		       struct ks_why *why)
{
	size_t i = 0;

	while (i < CONFIG_KEYS && strcmp(rows[i].key, key) != 0)
		i++;
	if (i == CONFIG_KEYS)
		return refuse_key(key, value, why);
	if (value && !is_valid(&rows[i], value))
		return refuse_value(&rows[i], value, why);
	free(c->set[i]);
	c->set[i] = value ? xstrdup(value) : NULL;
	apply(c, &rows[i], config_value(c, i));
	return ERR_NONE;
}

const char *config_key(size_t i)
{
	assert(i < CONFIG_KEYS);
	return rows[i].key;
}

const char *config_value(const struct topic_config *c, size_t i)
{
	assert(i < CONFIG_KEYS);
	return c->set[i] ? c->set[i] : rows[i].default_value;
}

uint16_t config_encode(const struct topic_config *c, struct buf *out)
{
	uint16_t count = 0;

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (!c->set[i])
			continue;
		value_append_text(out, slice_str(rows[i].key));
		value_append_text(out, slice_str(c->set[i]));
		count++;
	}
	return count;
}

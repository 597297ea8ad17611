/* config.c - see config.h. */
#include "broker/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"
#include "wire/compress.h"
#include "txn/value.h"

enum kind {
	WHOLE,    /* a number from min to max, as DescribeConfigs' INT */
	LONG,     /* as its LONG */
	SHARE,    /* 0.0 to 1.0 */
	SWITCH,   /* true or false */
	CHOICE,   /* one of the words */
	CHOICES,  /* several of the words, with commas between */
	REPLICAS, /* "*" or a list of partition:broker */
	TEXT,
};

static const enum config_type types[] = {
	[WHOLE] = CONFIG_INT,      [LONG] = CONFIG_LONG,     [SHARE] = CONFIG_DOUBLE,
	[SWITCH] = CONFIG_BOOLEAN, [CHOICE] = CONFIG_STRING, [CHOICES] = CONFIG_LIST,
	[REPLICAS] = CONFIG_LIST,  [TEXT] = CONFIG_STRING,
};

enum used {
	RETENTION_MS = 1,
	RETENTION_BYTES,
	MAX_MESSAGE_BYTES,
	TIMESTAMP_TYPE,
	CLEANUP_POLICY,
	TIMESTAMP_BEFORE,
	TIMESTAMP_AFTER,
	TIMESTAMP_DIFFERENCE,
	MIN_INSYNC,
	SEGMENT_MS,
	SEGMENT_BYTES,
	MIN_LAG,
	MAX_LAG,
	DELETE_RETENTION,
	DIRTY_RATIO,
	COMPRESSION_TYPE,
};

struct row {
	const char *key, *default_value;
	enum kind kind;
	enum used used; /* 0: stored and shown, without effect */
	int64_t min, max;
	const char *words; /* of a choice, separated by blanks */
};

#define MAX       "9223372036854775807"
#define FROM(min) (min), INT64_MAX, NULL
#define INT(min)  (min), INT32_MAX, NULL
#define WORDS(w)  0, 0, (w)
#define NO_LIMITS 0, 0, NULL

/* By key. */
static const struct row rows[] = {
	{"cleanup.policy", "delete", CHOICES, CLEANUP_POLICY, WORDS("delete compact")},
	{"compression.gzip.level", "-1", WHOLE, 0, -1, 9, NULL},
	{"compression.lz4.level", "9", WHOLE, 0, 1, 17, NULL},
	{"compression.type", "producer", CHOICE, COMPRESSION_TYPE,
	 WORDS("producer uncompressed none gzip snappy lz4 zstd")},
	{"compression.zstd.level", "3", WHOLE, 0, -131072, 22, NULL},
	{"delete.retention.ms", "86400000", LONG, DELETE_RETENTION, FROM(0)},
	{"file.delete.delay.ms", "60000", LONG, 0, FROM(0)},
	{"flush.messages", MAX, LONG, 0, FROM(1)},
	{"flush.ms", MAX, LONG, 0, FROM(0)},
	{"follower.replication.throttled.replicas", "", REPLICAS, 0, NO_LIMITS},
	{"index.interval.bytes", "4096", WHOLE, 0, INT(0)},
	{"leader.replication.throttled.replicas", "", REPLICAS, 0, NO_LIMITS},
	{"local.retention.bytes", "-2", LONG, 0, FROM(-2)},
	{"local.retention.ms", "-2", LONG, 0, FROM(-2)},
	{"max.compaction.lag.ms", MAX, LONG, MAX_LAG, FROM(1)},
	{"max.message.bytes", "1048588", WHOLE, MAX_MESSAGE_BYTES, INT(0)},
	{"message.downconversion.enable", "true", SWITCH, 0, NO_LIMITS},
	{"message.format.version", "3.0-IV1", TEXT, 0, NO_LIMITS},
	{"message.timestamp.after.max.ms", MAX, LONG, TIMESTAMP_AFTER, FROM(0)},
	{"message.timestamp.before.max.ms", MAX, LONG, TIMESTAMP_BEFORE, FROM(0)},
	{"message.timestamp.difference.max.ms", MAX, LONG, TIMESTAMP_DIFFERENCE, FROM(0)},
	{"message.timestamp.type", "CreateTime", CHOICE, TIMESTAMP_TYPE,
	 WORDS("CreateTime LogAppendTime")},
	{"min.cleanable.dirty.ratio", "0.5", SHARE, DIRTY_RATIO, NO_LIMITS},
	{"min.compaction.lag.ms", "0", LONG, MIN_LAG, FROM(0)},
	{"min.insync.replicas", "1", WHOLE, MIN_INSYNC, INT(1)},
	{"preallocate", "false", SWITCH, 0, NO_LIMITS},
	{"remote.log.copy.disable", "false", SWITCH, 0, NO_LIMITS},
	{"remote.log.delete.on.disable", "false", SWITCH, 0, NO_LIMITS},
	{"remote.storage.enable", "false", CHOICE, 0, WORDS("false")}, /* there is none */
	{"retention.bytes", "-1", LONG, RETENTION_BYTES, FROM(-1)},
	{"retention.ms", "604800000", LONG, RETENTION_MS, FROM(-1)},
	{"segment.bytes", "1073741824", WHOLE, SEGMENT_BYTES, INT(14)},
	{"segment.index.bytes", "10485760", WHOLE, 0, INT(4)},
	{"segment.jitter.ms", "0", LONG, 0, FROM(0)},
	{"segment.ms", "604800000", LONG, SEGMENT_MS, FROM(1)},
	{"unclean.leader.election.enable", "false", SWITCH, 0, NO_LIMITS},
};

_Static_assert(sizeof rows / sizeof *rows == CONFIG_KEYS, "the table and its size differ");

/* Keys of older Kafkas: taken as ever, but told only where a topic has them. A client that reads all
 * keys, changes one and writes them back would otherwise write what Kafka of today never told it. */
static const char *const bygone_keys[] = {
	"message.downconversion.enable",
	"message.format.version",
	"message.timestamp.difference.max.ms",
};

#define MINUTE INT64_C(60000)
#define HOUR   INT64_C(3600000)

/* What a broker calls its default of a topic's key. Of several for one key the first that is set
 * holds, and the last has Kafka's default. */
struct broker_row {
	const char *key, *topic_key;
	int64_t unit; /* one of it is so many of the topic's; 1 for what is no number, too */
};

static const struct broker_row broker_rows[] = {
	{"compression.gzip.level", "compression.gzip.level", 1},
	{"compression.lz4.level", "compression.lz4.level", 1},
	{"compression.type", "compression.type", 1},
	{"compression.zstd.level", "compression.zstd.level", 1},
	{"log.cleaner.delete.retention.ms", "delete.retention.ms", 1},
	{"log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms", 1},
	{"log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio", 1},
	{"log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms", 1},
	{"log.cleanup.policy", "cleanup.policy", 1},
	{"log.flush.interval.messages", "flush.messages", 1},
	{"log.flush.interval.ms", "flush.ms", 1},
	{"log.flush.scheduler.interval.ms", "flush.ms", 1},
	{"log.index.interval.bytes", "index.interval.bytes", 1},
	{"log.index.size.max.bytes", "segment.index.bytes", 1},
	{"log.local.retention.bytes", "local.retention.bytes", 1},
	{"log.local.retention.ms", "local.retention.ms", 1},
	{"log.message.downconversion.enable", "message.downconversion.enable", 1},
	{"log.message.format.version", "message.format.version", 1},
	{"log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms", 1},
	{"log.message.timestamp.before.max.ms", "message.timestamp.before.max.ms", 1},
	{"log.message.timestamp.difference.max.ms", "message.timestamp.difference.max.ms", 1},
	{"log.message.timestamp.type", "message.timestamp.type", 1},
	{"log.preallocate", "preallocate", 1},
	{"log.retention.bytes", "retention.bytes", 1},
	{"log.retention.ms", "retention.ms", 1},
	{"log.retention.minutes", "retention.ms", MINUTE},
	{"log.retention.hours", "retention.ms", HOUR},
	{"log.roll.jitter.ms", "segment.jitter.ms", 1},
	{"log.roll.jitter.hours", "segment.jitter.ms", HOUR},
	{"log.roll.ms", "segment.ms", 1},
	{"log.roll.hours", "segment.ms", HOUR},
	{"log.segment.bytes", "segment.bytes", 1},
	{"log.segment.delete.delay.ms", "file.delete.delay.ms", 1},
	{"message.max.bytes", "max.message.bytes", 1},
	{"min.insync.replicas", "min.insync.replicas", 1},
	{"unclean.leader.election.enable", "unclean.leader.election.enable", 1},
};

_Static_assert(sizeof broker_rows / sizeof *broker_rows == CONFIG_BROKER,
	       "the broker's table and its size differ");

const char *broker_default_key(size_t i)
{
	return i < CONFIG_BROKER ? broker_rows[i].key : NULL;
}

const char *broker_default_topic_key(const char *key)
{
	for (size_t i = 0; i < CONFIG_BROKER; i++)
		if (strcmp(broker_rows[i].key, key) == 0)
			return broker_rows[i].topic_key;
	return NULL;
}

/* CONFIG_KEYS: there is none. */
static size_t find_row(const char *key)
{
	size_t i = 0;

	while (i < CONFIG_KEYS && strcmp(rows[i].key, key) != 0)
		i++;
	return i;
}

/* Whether Kafka's default is told under this name. */
static bool has_default(size_t broker_row)
{
	return broker_row + 1 == CONFIG_BROKER ||
	       strcmp(broker_rows[broker_row].topic_key, broker_rows[broker_row + 1].topic_key);
}

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

static size_t digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* Empty, "*", or partition:broker with commas between. */
static bool are_replicas(const char *list)
{
	const char *item;
	size_t len;

	if (strcmp(list, "*") == 0)
		return true;
	while (next_item(&list, &item, &len)) {
		size_t partition = digits(item), colon = partition + 1;
		if (partition == 0 || item[partition] != ':' || digits(item + colon) == 0 ||
		    colon + digits(item + colon) != len)
			return false;
	}
	return true;
}

static bool is_valid(const struct row *r, const char *value)
{
	int64_t v;

	if (strlen(value) > CONFIG_VALUE_MAX)
		return false;
	switch (r->kind) {
	case WHOLE:
	case LONG:
		return parse_whole(value, r->min, r->max, &v);
	case SHARE:
		return is_share(value);
	case SWITCH:
		return strcasecmp(value, "true") == 0 || strcasecmp(value, "false") == 0;
	case CHOICE:
		return has_word(r->words, value, strlen(value));
	case CHOICES:
		return are_words(r->words, value);
	case REPLICAS:
		return are_replicas(value);
	case TEXT:
		return true;
	}
	return false;
}

static enum ks_err refuse_value(const struct row *r, const char *value, struct ks_why *why)
{
	switch (r->kind) {
	case WHOLE:
	case LONG:
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
	case REPLICAS:
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s = \"%s\": want \"*\" or a list of partition:broker", r->key,
			       value);
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
	return ks_fail(why, ERR_INVALID_CONFIG,
		       "there is no topic configuration \"%s\"%s%s%s%s%s%s", key,
		       value ? " (= \"" : "", value ? value : "", value ? "\")" : "",
		       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Takes over what a valid value means. */
static void apply(struct topic_config *c, const struct row *r, const char *value)
{
	int64_t v = 0;

	bool is_whole = r->kind == WHOLE || r->kind == LONG;
	bool is_valid = !is_whole || parse_whole(value, r->min, r->max, &v);
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
	case TIMESTAMP_DIFFERENCE:
		c->timestamp_difference_max_ms = v;
		break;
	case MIN_INSYNC:
		c->min_insync_replicas = (int32_t)v;
		break;
	case TIMESTAMP_TYPE:
		c->is_append_time = strcmp(value, "LogAppendTime") == 0;
		break;
	case COMPRESSION_TYPE:
		c->is_recompressed = codec_from_name(value, &c->codec);
		break;
	case CLEANUP_POLICY:
		c->is_deleted_by_age = list_has(value, "delete");
		c->is_compacted = list_has(value, "compact");
		break;
	case SEGMENT_MS:
		c->segment_ms = v;
		break;
	case SEGMENT_BYTES:
		c->segment_bytes = v;
		break;
	case MIN_LAG:
		c->min_compaction_lag_ms = v;
		break;
	case MAX_LAG:
		c->max_compaction_lag_ms = v;
		break;
	case DELETE_RETENTION:
		c->delete_retention_ms = v;
		break;
	case DIRTY_RATIO:
		c->min_dirty_ratio = strtod(value, NULL);
		break;
	}
}

/* --- defaults of a broker --- */

/* In the topic's unit; NULL: no whole number, or too large. A negative one stays what it means, "no
 * limit". */
static char *in_unit(const char *value, int64_t unit)
{
	int64_t v;

	if (unit == 1)
		return xstrdup(value);
	if (!parse_whole(value, INT32_MIN, INT32_MAX, &v))
		return NULL;
	return xasprintf("%" PRId64, v < 0 ? v : v * unit);
}

/* The first of the topic's keys that is set. */
static void choose_default(struct config_defaults *d, const char *topic_key)
{
	char **value = &d->values[find_row(topic_key)];

	free(*value);
	*value = NULL;
	for (size_t i = 0; i < CONFIG_BROKER && !*value; i++)
		if (d->given[i] && strcmp(broker_rows[i].topic_key, topic_key) == 0)
			*value = in_unit(d->given[i], broker_rows[i].unit);
}

enum ks_err config_defaults_set(struct config_defaults *d, const char *key, const char *value,
				struct ks_why *why)
{
	size_t i = 0;

	while (i < CONFIG_BROKER && strcmp(broker_rows[i].key, key) != 0)
		i++;
	if (i == CONFIG_BROKER)
		return ks_fail(why, ERR_NOT_FOUND,
			       "no topic's configuration has \"%s\" as its default", key);
	const struct row *r = &rows[find_row(broker_rows[i].topic_key)];
	char *given = xstrdup_trimmed(value), *scaled = in_unit(given, broker_rows[i].unit);
	bool is_good = scaled && is_valid(r, scaled);
	free(scaled);
	if (!is_good) {
		struct row named = *r;
		named.key = key;
		enum ks_err err = refuse_value(&named, given, why);
		free(given);
		return err;
	}
	free(d->given[i]);
	d->given[i] = given;
	choose_default(d, broker_rows[i].topic_key);
	return ERR_NONE;
}

void config_defaults_fini(struct config_defaults *d)
{
	for (size_t i = 0; i < CONFIG_BROKER; i++)
		free(d->given[i]);
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		free(d->values[i]);
	*d = (struct config_defaults){0};
}

/* --- one topic --- */

void config_init(struct topic_config *c, const struct config_defaults *defaults)
{
	*c = (struct topic_config){.defaults = defaults};
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		apply(c, &rows[i], config_value(c, i));
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

/* Takes value; NULL: back to the default. */
static enum ks_err set_row(struct topic_config *c, size_t i, char *value, struct ks_why *why)
{
	if (value && !is_valid(&rows[i], value)) {
		enum ks_err err = refuse_value(&rows[i], value, why);
		free(value);
		return err;
	}
	free(c->set[i]);
	c->set[i] = value;
	apply(c, &rows[i], config_value(c, i));
	return ERR_NONE;
}

/* The items of base that are not in without, and then those of more that are not there yet. */
static char *change_list(const char *base, const char *without, const char *more)
{
	struct buf list = {0};
	const char *sources[] = {base, more}, *item;
	size_t len;

	for (size_t i = 0; i < 2; i++)
		while (next_item(&sources[i], &item, &len)) {
			char *word = xasprintf("%.*s", (int)len, item);
			if (!list_has(without, word) && !list_has(buf_cstr(&list), word))
				buf_printf(&list, "%s%s", list.len ? "," : "", word);
			free(word);
		}
	char *text = xstrdup(buf_cstr(&list));
	buf_fini(&list);
	return text;
}

enum ks_err config_change(struct topic_config *c, const struct config_change *change,
			  struct ks_why *why)
{
	size_t i = find_row(change->key);

	if (i == CONFIG_KEYS)
		return refuse_key(change->key, change->value, why);
	if (change->op == CONFIG_DELETE)
		return set_row(c, i, NULL, why);
	if (!change->value)
		return ks_fail(why, ERR_INVALID_REQUEST, "%s: there is no value", change->key);
	if (change->op == CONFIG_SET)
		return set_row(c, i, xstrdup_trimmed(change->value), why);
	if (change->op != CONFIG_APPEND && change->op != CONFIG_SUBTRACT)
		return ks_fail(why, ERR_INVALID_REQUEST, "%s: there is no operation %d",
			       change->key, (int)change->op);
	if (types[rows[i].kind] != CONFIG_LIST)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s is no list: nothing can be appended or subtracted", change->key);
	bool is_append = change->op == CONFIG_APPEND;
	return set_row(c, i,
		       change_list(config_value(c, i), is_append ? "" : change->value,
				   is_append ? change->value : ""),
		       why);
}

enum ks_err config_set(struct topic_config *c, const char *key, const char *value,
		       struct ks_why *why)
{
	return config_change(
		c, &(struct config_change){key, value, value ? CONFIG_SET : CONFIG_DELETE}, why);
}

enum ks_err config_check(const struct topic_config *c, struct ks_why *why)
{
	if (c->min_compaction_lag_ms > c->max_compaction_lag_ms)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "min.compaction.lag.ms = %" PRId64
			       " is over max.compaction.lag.ms = %" PRId64,
			       c->min_compaction_lag_ms, c->max_compaction_lag_ms);
	return ERR_NONE;
}

const char *config_key(size_t i)
{
	assert(i < CONFIG_KEYS);
	return rows[i].key;
}

static const char *default_value(const struct config_defaults *d, size_t i)
{
	return d && d->values[i] ? d->values[i] : rows[i].default_value;
}

const char *config_value(const struct topic_config *c, size_t i)
{
	assert(i < CONFIG_KEYS);
	return c->set[i] ? c->set[i] : default_value(c->defaults, i);
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

/* --- telling --- */

/* One allocation: rows, synonyms, then text. */
struct block {
	struct topic_config_row *rows, *row;
	struct config_synonym *synonym;
	char *text;
};

#define NUMBER_BYTES 24

static struct block block_new(size_t row_count, size_t synonym_count, size_t text_bytes)
{
	size_t rows_bytes = row_count * sizeof(struct topic_config_row);
	size_t synonyms_bytes = synonym_count * sizeof(struct config_synonym);
	char *all = xcalloc(1, rows_bytes + synonyms_bytes + text_bytes);

	return (struct block){
		.rows = (struct topic_config_row *)(void *)all,
		.row = (struct topic_config_row *)(void *)all,
		.synonym = (struct config_synonym *)(void *)(all + rows_bytes),
		.text = all + rows_bytes + synonyms_bytes,
	};
}

static const char *keep(struct block *b, const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *at = b->text;

	memcpy(at, text, bytes);
	b->text += bytes;
	return at;
}

static void add_synonym(struct block *b, const char *key, const char *value,
			enum config_source source)
{
	if (b->row->synonym_count == 0) {
		b->row->synonyms = b->synonym;
		b->row->source = source;
	}
	*b->synonym++ = (struct config_synonym){key, value, source};
	b->row->synonym_count++;
}

/* Kafka's default in the unit of the broker's row. */
static const char *kafkas_default(struct block *b, const struct broker_row *r, const char *value)
{
	if (r->unit == 1)
		return value;
	char number[NUMBER_BYTES];
	snprintf(number, sizeof number, "%lld", strtoll(value, NULL, 10) / r->unit);
	return keep(b, number);
}

/* What the broker has set for the key, then Kafka's default. */
static void add_broker_synonyms(struct block *b, const struct config_defaults *d, size_t i)
{
	const struct broker_row *last = NULL;

	for (size_t j = 0; j < CONFIG_BROKER; j++) {
		if (strcmp(broker_rows[j].topic_key, rows[i].key) != 0)
			continue;
		last = &broker_rows[j];
		if (d && d->given[j])
			add_synonym(b, last->key, d->given[j], CONFIG_OF_BROKER);
	}
	if (last)
		add_synonym(b, last->key, kafkas_default(b, last, rows[i].default_value),
			    CONFIG_DEFAULT);
}

static bool is_told(const struct topic_config *c, size_t i)
{
	if (c->set[i])
		return true;
	for (size_t j = 0; j < sizeof bygone_keys / sizeof *bygone_keys; j++)
		if (strcmp(rows[i].key, bygone_keys[j]) == 0)
			return false;
	return true;
}

struct topic_config_row *config_rows(const struct topic_config *c, size_t *count)
{
	size_t text = 0;

	for (size_t i = 0; i < CONFIG_KEYS; i++)
		text += NUMBER_BYTES + (c->set[i] ? strlen(c->set[i]) + 1 : 0);
	struct block b = block_new(CONFIG_KEYS, 2 * CONFIG_KEYS + CONFIG_BROKER, text);
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (!is_told(c, i))
			continue;
		*b.row = (struct topic_config_row){
			.key = rows[i].key,
			.value = c->set[i] ? keep(&b, c->set[i]) : default_value(c->defaults, i),
			.source = CONFIG_DEFAULT,
			.type = types[rows[i].kind],
			.is_default = !c->set[i],
		};
		if (c->set[i])
			add_synonym(&b, rows[i].key, b.row->value, CONFIG_OF_TOPIC);
		add_broker_synonyms(&b, c->defaults, i);
		b.row++;
	}
	*count = (size_t)(b.row - b.rows);
	return b.rows;
}

struct topic_config_row *config_defaults_rows(const struct config_defaults *d, size_t *count)
{
	struct block b = block_new(CONFIG_BROKER, 2 * CONFIG_BROKER, CONFIG_BROKER * NUMBER_BYTES);

	for (size_t i = 0; i < CONFIG_BROKER; i++, b.row++) {
		const struct broker_row *r = &broker_rows[i];
		const struct row *topic = &rows[find_row(r->topic_key)];
		const char *fallback = NULL;
		if (has_default(i))
			fallback = kafkas_default(&b, r, topic->default_value);
		*b.row = (struct topic_config_row){
			.key = r->key,
			.value = d->given[i] ? d->given[i] : fallback,
			.source = CONFIG_DEFAULT,
			.type = r->unit == 1 ? types[topic->kind] : CONFIG_INT,
			.is_default = !d->given[i],
			.is_read_only = true,
		};
		if (d->given[i])
			add_synonym(&b, r->key, d->given[i], CONFIG_OF_BROKER);
		if (fallback)
			add_synonym(&b, r->key, fallback, CONFIG_DEFAULT);
	}
	*count = CONFIG_BROKER;
	return b.rows;
}

/* client_keys.c - see client_keys.h. */
#include "cli/client_keys.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/suggest.h"

#define KEY_BYTES_MAX              100 /* what is longer was not meant to be a key */
#define TEXT_MAX                   32767

#define NUMBER(fallback, min, max) (fallback), CLIENT_NUMBER, (min), (max), NULL
#define SWITCH(fallback)           (fallback), CLIENT_SWITCH, 0, 0, NULL
#define TEXT(fallback)             (fallback), CLIENT_TEXT, 0, TEXT_MAX, NULL
#define CHOICE(fallback, words)    (fallback), CLIENT_CHOICE, 0, 0, (words)
#define ALIAS(...)                                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define NO_OPTION NULL, CLIENT_AS_IT_IS

static const struct client_key keys[] = {
	{"acks", ALIAS("request.required.acks"), CHOICE("all", "all -1 0 1"), "acks",
	 CLIENT_AS_IT_IS, "topic produce: who must have a record before it counts as written"},
	{"auto.commit.interval.ms", ALIAS(NULL), NUMBER("1000", 0, 86400000), NO_OPTION,
	 "topic consume -g: how often offsets are committed while records come"},
	{"auto.offset.reset", ALIAS(NULL),
	 CHOICE("earliest", "earliest smallest beginning latest largest end error"), NO_OPTION,
	 "topic consume -g: where to begin in partitions of which the group has committed nothing"},
	{"batch.num.messages", ALIAS(NULL), NUMBER("1000000", 1, 1000000), NO_OPTION,
	 "topic produce: records of one batch"},
	{"batch.size", ALIAS(NULL), NUMBER("262144", 1, 268435456), NO_OPTION,
	 "topic produce: bytes of one batch before compression"},
	{"bootstrap.servers", ALIAS("metadata.broker.list"), TEXT(NULL), "bootstrap",
	 CLIENT_AS_IT_IS, "HOST:PORT of some brokers of the cluster, with commas between"},
	{"broker.address.family", ALIAS(NULL), CHOICE("any", "any v4 v6"), NO_OPTION,
	 "which addresses of a host are tried"},
	{"client.id", ALIAS(NULL), TEXT("ksrun"), NO_OPTION,
	 "the name that brokers know this client by"},
	{"client.rack", ALIAS(NULL), TEXT(NULL), "rack", CLIENT_AS_IT_IS,
	 "topic consume: where this reader stands; brokers may send it to a replica there"},
	{"compression.type", ALIAS("compression.codec"),
	 CHOICE("none", "none gzip snappy lz4 zstd"), "compression", CLIENT_AS_IT_IS,
	 "topic produce: how batches are compressed"},
	{"delivery.timeout.ms", ALIAS("message.timeout.ms"), NUMBER("60000", 1000, 86400000),
	 "delivery-timeout", CLIENT_AS_DURATION, "topic produce: how long a record is tried"},
	{"enable.auto.commit", ALIAS("auto.commit.enable"), SWITCH("true"), NO_OPTION,
	 "topic consume -g: whether the offsets of what was printed are committed"},
	{"enable.idempotence", ALIAS(NULL), SWITCH("true"), NO_OPTION,
	 "topic produce: with acks=all, what has to be sent again is written once"},
	{"fetch.max.bytes", ALIAS(NULL), NUMBER("16777216", 1, 2147483135), "fetch-max-bytes",
	 CLIENT_AS_IT_IS, "topic consume: bytes to take from a broker at a time"},
	{"fetch.min.bytes", ALIAS(NULL), NUMBER("1", 1, 100000000), NO_OPTION,
	 "topic consume: bytes that a broker waits for before it answers"},
	{"fetch.wait.max.ms", ALIAS("fetch.max.wait.ms"), NUMBER("500", 1, 300000),
	 "fetch-max-wait", CLIENT_AS_DURATION,
	 "topic consume: how long a broker may wait for them"},
	{"group.id", ALIAS(NULL), TEXT(NULL), "group", CLIENT_AS_IT_IS,
	 "topic consume: the group that it is a member of"},
	{"group.protocol", ALIAS(NULL), CHOICE("classic", "classic"), NO_OPTION,
	 "topic consume -g: how its group works"},
	{"heartbeat.interval.ms", ALIAS(NULL), NUMBER("3000", 1, 3600000), NO_OPTION,
	 "topic consume -g: how often it says that it is there"},
	{"isolation.level", ALIAS(NULL),
	 CHOICE("read_committed", "read_committed read_uncommitted"), "uncommitted",
	 CLIENT_AS_ISOLATION, "topic consume: whether open and aborted transactions are read"},
	{"linger.ms", ALIAS("queue.buffering.max.ms"), NUMBER("5", 0, 900000), NO_OPTION,
	 "topic produce: how long it waits for more input before it sends what it has"},
	{"max.partition.fetch.bytes", ALIAS("fetch.message.max.bytes"),
	 NUMBER("1048576", 1, 1000000000), "fetch-max-partition-bytes", CLIENT_AS_IT_IS,
	 "topic consume: bytes to take from a partition at a time"},
	{"max.poll.interval.ms", ALIAS(NULL), NUMBER("60000", 1, 86400000), NO_OPTION,
	 "topic consume -g: how long the group waits for it when it rebalances"},
	{"message.max.bytes", ALIAS("max.request.size"), NUMBER(NULL, 1000, 1000000000),
	 "max-message-bytes", CLIENT_AS_IT_IS,
	 "topic produce: the largest batch; without it the topic's max.message.bytes"},
	{"partition.assignment.strategy", ALIAS(NULL), CHOICE("range", "range"), NO_OPTION,
	 "topic consume -g: how the members share the partitions"},
	{"partitioner", ALIAS(NULL),
	 CHOICE("murmur2_random",
		"murmur2_random murmur2 consistent_random consistent fnv1a_random "
		"fnv1a random"),
	 NO_OPTION, "topic produce: which partition a key belongs to"},
	{"receive.message.max.bytes", ALIAS(NULL), NUMBER("134217728", 1000, 2147483647), NO_OPTION,
	 "the largest answer that a broker may send"},
	{"request.timeout.ms", ALIAS(NULL), NUMBER("30000", 1, 900000), NO_OPTION,
	 "how long a broker may take over a change of topics, or wait for replicas (topic "
	 "produce)"},
	{"security.protocol", ALIAS(NULL), CHOICE("plaintext", "plaintext"), NO_OPTION,
	 "how to talk to brokers: without TLS and SASL"},
	{"session.timeout.ms", ALIAS(NULL), NUMBER("45000", 1, 3600000), NO_OPTION,
	 "topic consume -g: after such a silence the group goes on without it"},
	{"socket.connection.setup.timeout.ms", ALIAS(NULL), NUMBER("5000", 1000, 2147483647),
	 NO_OPTION, "how long to try to connect to one address"},
	{"socket.timeout.ms", ALIAS(NULL), NUMBER("30000", 10, 300000), NO_OPTION,
	 "how long to wait for an answer"},
};
#define KEYS (sizeof keys / sizeof *keys)

static const char *const unsupported[] = {
#define UNSUPPORTED(key) key,
#include "cli/client_keys_unsupported.def"
#undef UNSUPPORTED
};
#define UNSUPPORTED_COUNT (sizeof unsupported / sizeof *unsupported)

const struct client_key *client_key_at(size_t i)
{
	return i < KEYS ? &keys[i] : NULL;
}

size_t client_key_index(const struct client_key *k)
{
	return (size_t)(k - keys);
}

static const struct client_key *find(const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
		for (size_t n = 0; n < CLIENT_ALIASES && keys[i].aliases[n]; n++)
			if (strcmp(keys[i].aliases[n], name) == 0)
				return &keys[i];
	}
	return NULL;
}

/* Without the prefix that some tools have for the properties of a topic. */
static const char *bare(const char *name)
{
	return strncmp(name, "topic.", 6) == 0 ? name + 6 : name;
}

const struct client_key *client_key_find(const char *name)
{
	return find(bare(name));
}

const struct client_key *client_key_get(const char *name)
{
	const struct client_key *k = find(name);

	assert(k);
	return k;
}

/* --- keys that there are not --- */

/* What is configured per plug-in has no end of names. */
static bool is_unsupported(const char *name)
{
	static const char *const families[] = {"ssl.", "sasl.", "interceptor."};

	for (size_t i = 0; i < UNSUPPORTED_COUNT; i++)
		if (strcmp(unsupported[i], name) == 0)
			return true;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strncmp(name, families[i], strlen(families[i])) == 0)
			return true;
	return false;
}

bool client_key_is_unsupported(const char *name)
{
	return is_unsupported(name) || is_unsupported(bare(name));
}

const char *client_key_near(const char *name)
{
	const char *names[KEYS * (1 + CLIENT_ALIASES) + UNSUPPORTED_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < KEYS; i++)
		names[count++] = keys[i].name;
	for (size_t i = 0; i < KEYS; i++)
		for (size_t n = 0; n < CLIENT_ALIASES && keys[i].aliases[n]; n++)
			names[count++] = keys[i].aliases[n];
	for (size_t i = 0; i < UNSUPPORTED_COUNT; i++)
		names[count++] = unsupported[i];
	return strlen(name) < KEY_BYTES_MAX ? suggest(bare(name), names, count) : NULL;
}

enum ks_err client_key_missing(const char *name, const char *origin, struct ks_why *why)
{
	if (client_key_is_unsupported(name))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s: the client property \"%.*s\" is not supported here; -X list "
			       "shows those that are",
			       origin, KEY_BYTES_MAX, name);
	const char *near = client_key_near(name);
	return ks_fail(why, ERR_INVALID_CONFIG, "%s: there is no client property \"%.*s\"%s%s%s",
		       origin, KEY_BYTES_MAX, name, near ? "; did you mean \"" : "",
		       near ? near : "", near ? "\"?" : "; -X list shows all");
}

/* --- values --- */

static enum ks_err check_number(const struct client_key *k, const char *value, const char *origin,
				struct ks_why *why)
{
	char *end;

	errno = 0;
	long long v = strtoll(value, &end, 10);
	if (end == value || *end || errno)
		return ks_fail(why, ERR_INVALID_CONFIG, "%s: %s = \"%.200s\": it is a whole number",
			       origin, k->name, value);
	if (v < k->min || v > k->max)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s: %s = %.200s: it is from %" PRId64 " to %" PRId64, origin,
			       k->name, value, k->min, k->max);
	return ERR_NONE;
}

static bool is_word(const char *words, const char *value)
{
	size_t len;

	for (; *words; words += len + (words[len] == ' ')) {
		len = strcspn(words, " ");
		if (strlen(value) == len && strncasecmp(words, value, len) == 0)
			return true;
	}
	return false;
}

static char *with_commas(const char *words)
{
	struct buf out = {0};

	for (; *words; words++)
		buf_append_str(&out, *words == ' ' ? ", " : (char[]){*words, 0});
	(void)buf_cstr(&out);
	return (char *)out.data;
}

static enum ks_err check_choice(const struct client_key *k, const char *words, const char *value,
				const char *origin, struct ks_why *why)
{
	if (is_word(words, value))
		return ERR_NONE;
	char *known = with_commas(words);
	enum ks_err err = ks_fail(why, ERR_INVALID_CONFIG,
				  "%s: %s = \"%.200s\" is not supported; it can be %s", origin,
				  k->name, value, known);
	free(known);
	return err;
}

enum ks_err client_key_check(const struct client_key *k, const char *value, const char *origin,
			     struct ks_why *why)
{
	switch (k->kind) {
	case CLIENT_NUMBER:
		return check_number(k, value, origin, why);
	case CLIENT_SWITCH:
		return check_choice(k, "true false", value, origin, why);
	case CLIENT_CHOICE:
		return check_choice(k, k->words, value, origin, why);
	case CLIENT_TEXT:
		if (strlen(value) > (size_t)k->max)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "%s: %s is longer than %" PRId64 " bytes", origin, k->name,
				       k->max);
		return ERR_NONE;
	}
	return ERR_INVALID_CONFIG;
}

char *client_key_range(const struct client_key *k)
{
	switch (k->kind) {
	case CLIENT_NUMBER:
		return xasprintf("%" PRId64 " to %" PRId64, k->min, k->max);
	case CLIENT_SWITCH:
		return xstrdup("true, false");
	case CLIENT_CHOICE:
		return with_commas(k->words);
	case CLIENT_TEXT:
		return xstrdup("");
	}
	return NULL;
}

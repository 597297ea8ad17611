/* settings.c - see settings.h. Listeners are in listeners.c. */
#include "server/settings.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/suggest.h"
#include "server/listeners.h"
#include "server/properties.h"

enum kind {
	NUMBER,
	SWITCH,
	TEXT,
	NONE, /* refused unless it is empty */
};

/* What the keys of the table say. */
struct values {
	int64_t listen_backlog, send_buffer, receive_buffer;
	int64_t broker_id, node_id, partitions, auto_create, may_delete, network_threads;
	int64_t request_max, request_memory, fetch_max, connections, connections_per_ip, idle_ms;
	int64_t sessions, retention_check_ms, producer_expiration_ms;
	int64_t compaction_check_ms, compaction_map_bytes, may_compact;
	int64_t rebalance_delay_ms, session_min_ms, session_max_ms, group_size;
	int64_t consumer_session_ms, consumer_heartbeat_ms, consumer_group_size;
	int64_t offset_metadata, offsets_retention_minutes, offsets_check_ms, replication_factor;
	int64_t txn_timeout_max_ms, txn_id_expiration_ms, txn_abort_check_ms, txn_expiry_check_ms;
	int64_t txn_check_ms, txn_ids_max, txn_fences_connections, replicas_accepted;
	char *listeners, *advertised, *http, *protocols, *controller_names;
	char *rack, *log_dir, *log_dirs, *assignors, *authorizer, *roles;
};

struct row {
	const char *key, *fallback;
	enum kind kind;
	size_t at; /* in struct values */
	int64_t min, max;
	const char *meaning;
};

#define AT(field)   offsetof(struct values, field)
#define FROM(least) (least), INT32_MAX
#define LONG(least) (least), INT64_MAX
#define ANY         0, 0

static const struct row rows[] = {
	{"accepted.replication.factor", "1", NUMBER, AT(replicas_accepted), 1, INT16_MAX,
	 "the largest replication factor that topics may be created with; they have one replica "
	 "all the same"}, /* ours */
	{"advertised.listeners", NULL, TEXT, AT(advertised), ANY,
	 "what clients are told, by the listener's name; else the address that they came in by"},
	{"authorizer.class.name", NULL, NONE, AT(authorizer), ANY,
	 "refused unless it is empty: there is no access control"},
	{"auto.create.topics.enable", "true", SWITCH, AT(auto_create), ANY,
	 "whether a Metadata request makes the topics that it names"},
	{"broker.id", "-1", NUMBER, AT(broker_id), FROM(-1), "the same as node.id"},
	{"broker.rack", NULL, TEXT, AT(rack), ANY, "the rack that clients are told"},
	{"connections.max.idle.ms", "600000", NUMBER, AT(idle_ms), LONG(-1),
	 "a connection on which nothing happens for so long is closed; -1: never"},
	{"controller.listener.names", NULL, TEXT, AT(controller_names), ANY,
	 "listeners that are left out: there is no separate controller"},
	{"default.replication.factor", "1", NUMBER, AT(replication_factor), 1, INT16_MAX,
	 "accepted; there is one replica"},
	{"delete.topic.enable", "true", SWITCH, AT(may_delete), ANY,
	 "whether clients may delete topics"},
	{"fetch.max.bytes", "57671680", NUMBER, AT(fetch_max), FROM(1024),
	 "the largest answer to Fetch"},
	{"group.consumer.assignors", "uniform,range", TEXT, AT(assignors), ANY,
	 "how groups of the newer protocol share partitions; the first is the default"},
	{"group.consumer.heartbeat.interval.ms", "5000", NUMBER, AT(consumer_heartbeat_ms), FROM(1),
	 "how often members of the newer protocol are to send a heartbeat"},
	{"group.consumer.max.size", "2147483647", NUMBER, AT(consumer_group_size), FROM(1),
	 "members of one group of the newer protocol"},
	{"group.consumer.session.timeout.ms", "45000", NUMBER, AT(consumer_session_ms), FROM(1),
	 "after such a silence a group of the newer protocol goes on without a member"},
	{"group.initial.rebalance.delay.ms", "3000", NUMBER, AT(rebalance_delay_ms), FROM(0),
	 "how long an empty group waits for more members"},
	{"group.max.session.timeout.ms", "1800000", NUMBER, AT(session_max_ms), FROM(1),
	 "the longest session timeout that a member may ask for"},
	{"group.max.size", "2147483647", NUMBER, AT(group_size), FROM(1),
	 "members of one group of the classic protocol"},
	{"group.min.session.timeout.ms", "6000", NUMBER, AT(session_min_ms), FROM(1),
	 "the shortest session timeout that a member may ask for"},
	{"http.listener", NULL, TEXT, AT(http), ANY,
	 "where metrics and health are: HOST:PORT, or off"}, /* ours: Kafka has none */
	{"listener.security.protocol.map",
	 "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", TEXT,
	 AT(protocols), ANY, "what a listener's name stands for"},
	{"listeners", "PLAINTEXT://localhost:9092", TEXT, AT(listeners), ANY,
	 "where to listen: NAME://HOST:PORT, several with commas between; port 0: any that is "
	 "free"},
	{"log.cleaner.backoff.ms", "15000", NUMBER, AT(compaction_check_ms), FROM(1),
	 "between two looks for something to compact"},
	{"log.cleaner.dedupe.buffer.size", "134217728", NUMBER, AT(compaction_map_bytes),
	 LONG(1048576), "memory of a compaction"},
	{"log.cleaner.enable", "true", SWITCH, AT(may_compact), ANY,
	 "whether compacted topics are compacted"},
	{"log.dir", NULL, TEXT, AT(log_dir), ANY, "the same as log.dirs"},
	{"log.dirs", NULL, TEXT, AT(log_dirs), ANY, "the data directory: one"},
	{"log.retention.check.interval.ms", "30000", NUMBER, AT(retention_check_ms), FROM(1),
	 "between two looks for records that are too old or too many"},
	{"max.connections", "16384", NUMBER, AT(connections), FROM(1),
	 "connections at once; more are closed"},
	{"max.connections.per.ip", "2147483647", NUMBER, AT(connections_per_ip), FROM(1),
	 "connections at once from one address"},
	{"max.incremental.fetch.session.cache.slots", "1000", NUMBER, AT(sessions), 0, 100000,
	 "fetch sessions at once; 0: none"},
	{"node.id", "-1", NUMBER, AT(node_id), FROM(-1), "the id of this broker; -1: 1"},
	{"num.network.threads", "-1", NUMBER, AT(network_threads), -1, 256,
	 "network threads; -1: one for each core"},
	{"num.partitions", "1", NUMBER, AT(partitions), 1, BROKER_PARTITIONS_MAX,
	 "partitions of topics that do not say"},
	{"offset.metadata.max.bytes", "4096", NUMBER, AT(offset_metadata), FROM(1),
	 "what a client may store beside a committed offset"},
	{"offsets.retention.check.interval.ms", "600000", NUMBER, AT(offsets_check_ms), LONG(1),
	 "between two looks for offsets that have expired"},
	{"offsets.retention.minutes", "10080", NUMBER, AT(offsets_retention_minutes), FROM(1),
	 "how long the offsets of a group without members are kept"},
	{"process.roles", "broker", TEXT, AT(roles), ANY, "must have broker"},
	{"producer.id.expiration.ms", "86400000", NUMBER, AT(producer_expiration_ms), FROM(1),
	 "a partition forgets a producer that has written nothing for so long"},
	{"queued.max.request.bytes", "-1", NUMBER, AT(request_memory), LONG(-1),
	 "memory of all requests under way; -1: 256 MiB"},
	{"socket.listen.backlog.size", "4096", NUMBER, AT(listen_backlog), FROM(1),
	 "connections that wait to be accepted"},
	{"socket.receive.buffer.bytes", "-1", NUMBER, AT(receive_buffer), FROM(-1),
	 "the kernel's buffer of a connection; -1: its choice"},
	{"socket.request.max.bytes", "104857600", NUMBER, AT(request_max), FROM(1),
	 "the largest request"},
	{"socket.send.buffer.bytes", "-1", NUMBER, AT(send_buffer), FROM(-1),
	 "the kernel's buffer of a connection; -1: its choice"},
	{"transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", NUMBER,
	 AT(txn_abort_check_ms), FROM(1),
	 "how often transactions are looked for that have been open for too long"},
	{"transaction.connection.fencing.enable", "true", SWITCH, AT(txn_fences_connections), ANY,
	 "whether a transactional id follows its youngest connection"}, /* ours */
	{"transaction.hanging.check.interval.ms", "60000", NUMBER, AT(txn_check_ms), FROM(1),
	 "how often open transactions are held against the coordinator"}, /* ours */
	{"transaction.max.timeout.ms", "900000", NUMBER, AT(txn_timeout_max_ms), FROM(1),
	 "the longest transaction timeout that a producer may ask for"},
	{"transaction.remove.expired.transaction.cleanup.interval.ms", "3600000", NUMBER,
	 AT(txn_expiry_check_ms), FROM(1),
	 "how often transactional ids are looked for that have expired"},
	{"transactional.id.expiration.ms", "604800000", NUMBER, AT(txn_id_expiration_ms), FROM(1),
	 "an id is forgotten when it had no transaction for so long"},
	{"transactional.ids.max", "100000", NUMBER, AT(txn_ids_max), FROM(1),
	 "transactional ids known at once"}, /* ours */
};
#define ROWS (sizeof rows / sizeof *rows)

static const char *const unused[] = {
#define UNUSED(key) key,
#include "server/unused_keys.def"
#undef UNUSED
};
#define KEY_BYTES_MAX 100
#define UNUSED_COUNT  (sizeof unused / sizeof *unused)

struct settings {
	struct values values;
	struct config_entry *defaults; /* of topics; strings are owned */
	size_t default_count;
	struct buf ignored; /* names of keys without effect */
	struct listeners listeners;
	bool has_listen; /* --listen */
	struct server_setting told[ROWS];
	char numbers[ROWS][24]; /* as text, for told */
};

/* --- one value --- */

static int64_t *number_of(struct settings *s, const struct row *r)
{
	return (int64_t *)((char *)&s->values + r->at);
}

static char **text_of(struct settings *s, const struct row *r)
{
	return (char **)((char *)&s->values + r->at);
}

static bool parse_number(const char *text, int64_t *out)
{
	char *end;

	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || errno)
		return false;
	*out = v;
	return true;
}

static enum ks_err set_number(struct settings *s, const struct row *r, const char *value,
			      const char *origin, struct ks_why *why)
{
	int64_t v;

	if (!parse_number(value, &v))
		return ks_fail(why, ERR_INVALID_CONFIG, "%s: %s = \"%s\": it is a whole number",
			       origin, r->key, value);
	if (v < r->min || v > r->max)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "%s: %s = %s: it is from %" PRId64 " to %" PRId64, origin, r->key,
			       value, r->min, r->max);
	*number_of(s, r) = v;
	return ERR_NONE;
}

static enum ks_err set_row(struct settings *s, const struct row *r, const char *value,
			   const char *origin, struct ks_why *why)
{
	bool is_on = strcasecmp(value, "true") == 0;

	switch (r->kind) {
	case NUMBER:
		return set_number(s, r, value, origin, why);
	case SWITCH:
		if (!is_on && strcasecmp(value, "false") != 0)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "%s: %s = \"%s\": it is true or false", origin, r->key,
				       value);
		*number_of(s, r) = is_on;
		return ERR_NONE;
	case NONE:
		if (*value)
			return ks_fail(
				why, ERR_INVALID_CONFIG,
				"%s: %s = \"%s\": there is none here, and a broker that passed "
				"over it would be open to all",
				origin, r->key, value);
		return ERR_NONE;
	case TEXT:
		free(*text_of(s, r));
		*text_of(s, r) = xstrdup(value);
		return ERR_NONE;
	}
	return ERR_INVALID_CONFIG;
}

/* --- keys --- */

static const struct row *find_row(const char *key)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].key, key) == 0)
			return &rows[i];
	return NULL;
}

/* listener.name.NAME.KEY and the rest of what is configured per listener or plug-in has no end of names. */
static bool is_unused(const char *key)
{
	for (size_t i = 0; i < UNUSED_COUNT; i++)
		if (strcmp(unused[i], key) == 0)
			return true;
	return strncmp(key, "listener.name.", 14) == 0 ||
	       strncmp(key, "config.providers.", 17) == 0 ||
	       strncmp(key, "rlmm.config.", 12) == 0 || strncmp(key, "rsm.config.", 11) == 0;
}

static void set_default(struct settings *s, const char *key, const char *value)
{
	for (size_t i = 0; i < s->default_count; i++) {
		struct config_entry *e = &s->defaults[i];
		if (strcmp(e->key, key) != 0)
			continue;
		free((char *)(uintptr_t)e->value);
		e->value = xstrdup(value);
		return;
	}
	s->defaults = xrealloc(s->defaults, (s->default_count + 1) * sizeof *s->defaults);
	s->defaults[s->default_count++] = (struct config_entry){xstrdup(key), xstrdup(value)};
}

static void ignore(struct settings *s, const char *key)
{
	if (s->ignored.len)
		buf_append_str(&s->ignored, ", ");
	buf_append_str(&s->ignored, key);
}

/* The name most like it, of all that there are, topics' defaults included; NULL: none is. */
static const char *near_key(const char *key)
{
	size_t count = 0, defaults = 0;

	while (broker_default_key(defaults))
		defaults++;
	const char **names = xcalloc(ROWS + UNUSED_COUNT + defaults, sizeof(*names));

	for (size_t i = 0; i < ROWS; i++)
		names[count++] = rows[i].key;
	for (size_t i = 0; i < defaults; i++)
		names[count++] = broker_default_key(i);
	for (size_t i = 0; i < UNUSED_COUNT; i++)
		names[count++] = unused[i];
	/* What is longer than any of them was not meant to be one. */
	const char *near = strlen(key) < KEY_BYTES_MAX ? suggest(key, names, count) : NULL;
	free(names);
	return near;
}

static enum ks_err unknown(const char *key, const char *origin, struct ks_why *why)
{
	const char *near = near_key(key);

	return ks_fail(why, ERR_INVALID_CONFIG, "%s: no broker has a key \"%.*s\"%s%s%s", origin,
		       KEY_BYTES_MAX, key, near ? "; did you mean \"" : "", near ? near : "",
		       near ? "\"?" : "");
}

/* ERR_NOT_FOUND: no such key. */
static enum ks_err set_known(struct settings *s, const char *key, const char *value,
			     const char *origin, struct ks_why *why)
{
	const struct row *r = find_row(key);
	struct config_entry entry = {key, value};
	struct ks_why inner = {""};

	if (r)
		return set_row(s, r, value, origin, why);
	enum ks_err err = broker_default_check(&entry, &inner);
	if (err == ERR_INVALID_CONFIG)
		return ks_fail(why, err, "%s: %s", origin, inner.text);
	if (!err) {
		set_default(s, key, value);
		return ERR_NONE;
	}
	if (!is_unused(key))
		return ERR_NOT_FOUND;
	ignore(s, key);
	return ERR_NONE;
}

enum ks_err settings_set(struct settings *s, const char *key, const char *value, const char *origin,
			 struct ks_why *why)
{
	char *bare = xstrdup_trimmed(value);
	enum ks_err err = set_known(s, key, bare, origin, why);

	free(bare);
	return err == ERR_NOT_FOUND ? unknown(key, origin, why) : err;
}

/* --- sources --- */

enum ks_err settings_load(struct settings *s, const char *path, struct ks_why *why)
{
	struct properties p;
	enum ks_err err = properties_load(path, &p, why);

	if (err)
		return err;
	for (size_t i = 0; i < p.count && !err; i++) {
		char *origin = xasprintf("%s:%d", path, p.v[i].line);
		err = settings_set(s, p.v[i].key, p.v[i].value, origin, why);
		free(origin);
	}
	properties_fini(&p);
	return err;
}

/* LOG_DIRS is log.dirs, A__B is a_b, A___B is a-b. */
static char *key_of_variable(const char *name, size_t len)
{
	struct buf key = {0};

	for (size_t i = 0; i < len;) {
		size_t run = 0;
		while (i + run < len && name[i + run] == '_')
			run++;
		if (run == 0) {
			char c = name[i++];
			buf_append_u8(&key, (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
			continue;
		}
		buf_append_u8(&key, run == 1 ? '.' : run == 2 ? '_' : '-');
		i += run;
	}
	(void)buf_cstr(&key);
	return (char *)key.data;
}

static enum ks_err load_variable(struct settings *s, const char *variable, struct ks_why *why)
{
	size_t prefix = strncmp(variable, "KAFKA_", 6) == 0 ? 6
			: strncmp(variable, "KS_", 3) == 0  ? 3
							    : 0;
	const char *equals = strchr(variable, '=');

	if (!prefix || !equals || equals <= variable + prefix)
		return ERR_NONE;
	char *key = key_of_variable(variable + prefix, (size_t)(equals - variable) - prefix);
	char *origin = xasprintf("%.*s in the environment", (int)(equals - variable), variable);
	char *value = xstrdup_trimmed(equals + 1);
	enum ks_err err = set_known(s, key, value, origin, why);
	/* The images of Kafka have variables that are no keys, so that this can be no error. */
	const char *near = err == ERR_NOT_FOUND && prefix == 6 ? near_key(key) : NULL;
	if (near)
		log_warn("config",
			 "%s is passed over: no broker has a key \"%s\"; did you mean \"%s\"?",
			 origin, key, near);
	free(key);
	free(origin);
	free(value);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum ks_err settings_load_environment(struct settings *s, char **environment, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; environment[i] && !err; i++)
		err = load_variable(s, environment[i], why);
	return err;
}

enum ks_err settings_listen(struct settings *s, const char *address, struct ks_why *why)
{
	s->has_listen = true;
	return listeners_add(&s->listeners, address, why);
}

/* --- what they say together --- */

static enum ks_err apply_listeners(struct settings *s, struct server_options *out,
				   struct ks_why *why)
{
	const struct values *v = &s->values;
	enum ks_err err = ERR_NONE;

	if (!s->has_listen)
		err = listeners_parse(&s->listeners, v->listeners, v->advertised, v->protocols,
				      v->controller_names, why);
	out->listeners = s->listeners.v;
	out->listener_count = s->listeners.count;
	return err;
}

static enum ks_err check_together(const struct values *v, struct ks_why *why)
{
	if (v->node_id >= 0 && v->broker_id >= 0 && v->node_id != v->broker_id)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "node.id is %" PRId64 " and broker.id %" PRId64
			       ": they are the same thing",
			       v->node_id, v->broker_id);
	if (v->session_min_ms > v->session_max_ms)
		return ks_fail(
			why, ERR_INVALID_CONFIG,
			"group.min.session.timeout.ms is above group.max.session.timeout.ms");
	if (!strstr(v->roles, "broker"))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "process.roles = %s: ksrun broker is a broker", v->roles);
	if (v->log_dirs && strchr(v->log_dirs, ','))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "log.dirs = %s: there is one data directory", v->log_dirs);
	if (v->request_memory != -1 && v->request_memory < 1024 * 1024)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "queued.max.request.bytes = %" PRId64 ": at least 1048576, or -1",
			       v->request_memory);
	return ERR_NONE;
}

static void apply_server(const struct values *v, struct server_options *out)
{
	int64_t id = v->node_id >= 0 ? v->node_id : v->broker_id;

	out->node_id = id >= 0 ? (int32_t)id : 1;
	out->is_node_zero = id == 0;
	out->rack = v->rack && *v->rack ? v->rack : NULL;
	out->loops = v->network_threads > 0 ? (int)v->network_threads : 0;
	out->listen_backlog = (int)v->listen_backlog;
	out->send_buffer_bytes = (int)v->send_buffer;
	out->receive_buffer_bytes = (int)v->receive_buffer;
	out->request_bytes_max = (size_t)v->request_max;
	out->request_memory_bytes = v->request_memory > 0 ? (size_t)v->request_memory : 0;
	out->fetch_bytes_max = (size_t)v->fetch_max;
	out->connections_max = (int)v->connections;
	out->connections_per_ip_max = (int)v->connections_per_ip;
	out->idle_ms = v->idle_ms > 0 ? v->idle_ms : INT64_MAX / 2;
	out->fetch_sessions_max = (int)v->sessions;
	out->has_no_sessions = v->sessions == 0;
	out->auto_create_topics = v->auto_create;
	out->refuses_deletion = !v->may_delete;
	out->replicas_accepted = (int)v->replicas_accepted;
}

/* -1 is what these options have for 0 or for ever where Kafka's number has another meaning. */
static void apply_groups(const struct values *v, struct group_options *out)
{
	out->initial_rebalance_delay_ms =
		v->rebalance_delay_ms ? (int32_t)v->rebalance_delay_ms : -1;
	out->min_session_timeout_ms = (int32_t)v->session_min_ms;
	out->max_session_timeout_ms = (int32_t)v->session_max_ms;
	out->max_size = (int32_t)v->group_size;
	out->consumer_session_timeout_ms = (int32_t)v->consumer_session_ms;
	out->consumer_heartbeat_interval_ms = (int32_t)v->consumer_heartbeat_ms;
	out->consumer_max_size = (int32_t)v->consumer_group_size;
	out->consumer_assignors = v->assignors;
	out->offset_metadata_max_bytes = (int32_t)v->offset_metadata;
	out->offsets_retention_minutes = v->offsets_retention_minutes;
	out->offsets_retention_check_interval_ms = v->offsets_check_ms;
}

static void apply_txns(const struct values *v, struct txn_options *out)
{
	out->max_timeout_ms = (int32_t)v->txn_timeout_max_ms;
	out->id_expiration_ms = v->txn_id_expiration_ms;
	out->abort_interval_ms = (int32_t)v->txn_abort_check_ms;
	out->cleanup_interval_ms = (int32_t)v->txn_expiry_check_ms;
	out->check_interval_ms = (int32_t)v->txn_check_ms;
	out->ids_max = (int32_t)v->txn_ids_max;
	out->no_connection_defence = !v->txn_fences_connections;
}

static void tell(struct settings *s, size_t i)
{
	const struct row *r = &rows[i];
	struct server_setting *told = &s->told[i];

	*told = (struct server_setting){.key = r->key, .type = CONFIG_STRING};
	if (r->kind == TEXT)
		told->value = *text_of(s, r);
	else if (r->kind == SWITCH)
		told->value = *number_of(s, r) ? "true" : "false";
	else if (r->kind == NUMBER)
		told->value = s->numbers[i];
	if (r->kind == SWITCH)
		told->type = CONFIG_BOOLEAN;
	if (r->kind == NUMBER) {
		told->type = r->max > INT32_MAX ? CONFIG_LONG : CONFIG_INT;
		snprintf(s->numbers[i], sizeof s->numbers[i], "%" PRId64, *number_of(s, r));
	}
	told->is_default = !told->value || !r->fallback ? told->value == r->fallback
							: !strcmp(told->value, r->fallback);
}

enum ks_err settings_apply(struct settings *s, struct server_options *server,
			   struct broker_options *broker, struct ks_why *why)
{
	const struct values *v = &s->values;
	enum ks_err err = check_together(v, why);

	if (!err)
		err = apply_listeners(s, server, why);
	if (err)
		return err;
	apply_server(v, server);
	broker->auto_create_topics = v->auto_create;
	broker->default_partitions = (int32_t)v->partitions;
	broker->producer_expiration_ms = v->producer_expiration_ms;
	broker->retention_check_ms = (int)v->retention_check_ms;
	broker->compaction_check_ms = (int)v->compaction_check_ms;
	broker->compaction_map_bytes = (size_t)v->compaction_map_bytes;
	broker->no_compaction = !v->may_compact;
	apply_groups(v, &broker->groups);
	apply_txns(v, &broker->txns);
	broker->topic_defaults = s->defaults;
	broker->topic_default_count = s->default_count;
	for (size_t i = 0; i < ROWS; i++)
		tell(s, i);
	server->settings = s->told;
	server->setting_count = ROWS;
	if (s->ignored.len)
		log_info("config", "known to Kafka, without effect here: %s",
			 buf_cstr(&s->ignored));
	return ERR_NONE;
}

const char *settings_data_dir(const struct settings *s)
{
	const struct values *v = &s->values;
	const char *dir = v->log_dirs && *v->log_dirs ? v->log_dirs : v->log_dir;

	return dir && *dir ? dir : NULL;
}

const char *settings_http(const struct settings *s)
{
	return s->values.http && *s->values.http ? s->values.http : NULL;
}

bool settings_explain(const char *key, struct settings_key_about *out)
{
	const struct row *r = find_row(key);

	if (!r && !is_unused(key))
		return false;
	*out = (struct settings_key_about){.meaning = "known to Kafka, without effect here"};
	if (!r)
		return true;
	out->fallback = r->fallback;
	out->meaning = r->meaning;
	if (r->kind == NUMBER)
		snprintf(out->range, sizeof out->range, "%" PRId64 " to %" PRId64, r->min, r->max);
	else if (r->kind == SWITCH)
		snprintf(out->range, sizeof out->range, "true, false");
	return true;
}

const char *settings_near(const char *key)
{
	return near_key(key);
}

const char *settings_key(size_t i, const char **value)
{
	if (i >= ROWS)
		return NULL;
	*value = rows[i].fallback;
	return rows[i].key;
}

struct settings *settings_new(void)
{
	struct settings *s = xcalloc(1, sizeof *s);
	struct ks_why why;

	for (size_t i = 0; i < ROWS; i++) {
		enum ks_err err = rows[i].fallback
					  ? set_row(s, &rows[i], rows[i].fallback, "", &why)
					  : ERR_NONE;
		assert(!err && "a default is within its range");
	}
	return s;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].kind == TEXT)
			free(*text_of(s, &rows[i]));
	for (size_t i = 0; i < s->default_count; i++) {
		free((char *)(uintptr_t)s->defaults[i].key);
		free((char *)(uintptr_t)s->defaults[i].value);
	}
	free(s->defaults);
	buf_fini(&s->ignored);
	listeners_fini(&s->listeners);
	free(s);
}

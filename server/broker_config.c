/* broker_config.c - see broker_config.h. */
#include "server/broker_config.h"

#include <stdlib.h>

#include "server/server_impl.h"

#define OWN_ROWS 32 /* more than there are */

struct rows {
	struct exchange *x;
	struct topic_config_row *v;
	size_t count;
};

/* usual: what holds when nobody says anything; NULL: every broker is told. */
static void add(struct rows *r, const char *key, enum config_type type, struct slice value,
		const char *usual)
{
	bool is_default = usual && slice_equal(value, slice_str(usual));

	r->v[r->count++] =
		(struct topic_config_row){.key = key,
					  .value = (const char *)value.data,
					  .source = is_default ? CONFIG_DEFAULT : CONFIG_OF_BROKER,
					  .type = type,
					  .is_default = is_default,
					  .is_read_only = true};
}

/* exchange_printf makes no NUL of its own. */
#define TEXT(x, ...) admin_terminated(x, exchange_printf(x, __VA_ARGS__))

static struct slice admin_terminated(struct exchange *x, struct slice s)
{
	char *text = exchange_alloc(x, s.len + 1, 1);

	if (s.len)
		memcpy(text, s.data, s.len);
	return slice_of(text, s.len);
}

static void add_number(struct rows *r, const char *key, enum config_type type, int64_t value,
		       const char *usual)
{
	add(r, key, type, TEXT(r->x, "%lld", (long long)value), usual);
}

static void add_listeners(struct rows *r, const struct server_options *o)
{
	struct buf bound = {0}, told = {0};

	for (size_t i = 0; i < o->listener_count; i++) {
		const struct server_listener *l = &r->x->server->endpoints[i].listener;
		uint16_t port = server_port(r->x->server, i);
		const char *comma = i ? "," : "";
		buf_printf(&bound, "%sPLAINTEXT://%s:%u", comma, l->host, port);
		buf_printf(&told, "%sPLAINTEXT://%s:%u", comma,
			   l->advertised_host ? l->advertised_host : l->host,
			   l->advertised_port ? l->advertised_port : port);
	}
	add(r, "listeners", CONFIG_LIST, TEXT(r->x, "%s", buf_cstr(&bound)), NULL);
	add(r, "advertised.listeners", CONFIG_LIST, TEXT(r->x, "%s", buf_cstr(&told)), NULL);
	buf_fini(&bound);
	buf_fini(&told);
}

static void add_own(struct rows *r)
{
	const struct server_options *o = server_options_of(r->x->server);
	struct broker *b = server_broker(r->x->server);
	const char *dir = broker_dir(b);

	add_listeners(r, o);
	add_number(r, "broker.id", CONFIG_INT, o->node_id, NULL);
	add_number(r, "node.id", CONFIG_INT, o->node_id, NULL);
	if (o->rack)
		add(r, "broker.rack", CONFIG_STRING, slice_str(o->rack), NULL);
	if (dir)
		add(r, "log.dirs", CONFIG_LIST, slice_str(dir), NULL);
	add(r, "auto.create.topics.enable", CONFIG_BOOLEAN,
	    slice_str(o->auto_create_topics ? "true" : "false"), "true");
	add_number(r, "num.partitions", CONFIG_INT, broker_default_partitions(b), "1");
	add_number(r, "default.replication.factor", CONFIG_INT, 1, "1");
	add_number(r, "num.network.threads", CONFIG_INT, o->loops, NULL);
	add_number(r, "socket.request.max.bytes", CONFIG_INT, (int64_t)o->request_bytes_max,
		   "104857600");
	add_number(r, "queued.max.request.bytes", CONFIG_LONG, (int64_t)o->request_memory_bytes,
		   "268435456");
	add_number(r, "fetch.max.bytes", CONFIG_INT, (int64_t)o->fetch_bytes_max, "57671680");
	add_number(r, "max.connections", CONFIG_INT, o->connections_max, "16384");
	add_number(r, "connections.max.idle.ms", CONFIG_LONG, o->idle_ms, "600000");
	add_number(r, "max.incremental.fetch.session.cache.slots", CONFIG_INT,
		   o->fetch_sessions_max, "1000");
	add_number(r, "max.connections.per.ip", CONFIG_INT, o->connections_per_ip_max,
		   "2147483647");
	add(r, "delete.topic.enable", CONFIG_BOOLEAN,
	    slice_str(o->refuses_deletion ? "false" : "true"), "true");
}

/* What was said and is not told yet. What is told already is what became of it: ports, for
 * instance. */
static void add_settings(struct rows *r)
{
	const struct server_options *o = server_options_of(r->x->server);
	size_t own = r->count;

	for (size_t i = 0; i < o->setting_count; i++) {
		const struct server_setting *s = &o->settings[i];
		bool is_told = false;
		for (size_t k = 0; k < own; k++)
			is_told |= strcmp(r->v[k].key, s->key) == 0;
		if (is_told)
			continue;
		r->v[r->count++] = (struct topic_config_row){
			.key = s->key,
			.value = s->value,
			.source = s->is_default ? CONFIG_DEFAULT : CONFIG_OF_BROKER,
			.type = s->type,
			.is_default = s->is_default,
			.is_read_only = true};
	}
}

static const char *copy(struct exchange *x, const char *text)
{
	return text ? arena_strdup(&x->arena, text) : NULL;
}

static int compare_rows(const void *a, const void *b)
{
	const struct topic_config_row *x = a, *y = b;

	return strcmp(x->key, y->key);
}

struct topic_config_row *broker_config_rows(struct exchange *x, size_t *count)
{
	size_t n;
	struct topic_config_row *topics = broker_configs(server_broker(x->server), &n);
	size_t settings = server_options_of(x->server)->setting_count;
	struct rows r = {.x = x, .v = exchange_alloc(x, n + OWN_ROWS + settings, sizeof *r.v)};

	add_own(&r);
	add_settings(&r);
	for (size_t i = 0; i < n; i++) {
		struct topic_config_row *row = &r.v[r.count++];
		*row = topics[i];
		row->key = copy(x, topics[i].key);
		row->value = copy(x, topics[i].value);
		row->is_read_only = true;
		row->synonyms = NULL;
		row->synonym_count = 0;
	}
	free(topics);
	qsort(r.v, r.count, sizeof *r.v, compare_rows);
	*count = r.count;
	return r.v;
}

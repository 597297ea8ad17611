/* configs_api.c - DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
 *
 * Topics can be changed; a broker's own configuration is what it was started with, and says so;
 * what it logs can be changed while it runs, under the one logger "root".
 */
#include <stdlib.h>

#include "base/log.h"
#include "server/admin.h"
#include "server/broker_config.h"
#include "server/lookup.h"
#include "server/server.h"

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4, RESOURCE_LOGGER = 8 };
enum { SOURCE_LOGGER = 6 };

#define LOGGER "root"

/* Kafka's names for the levels that the log has. */
static const char *const levels[] = {[LOG_DEBUG] = "DEBUG",
				     [LOG_INFO] = "INFO",
				     [LOG_WARN] = "WARN",
				     [LOG_ERROR] = "ERROR",
				     [LOG_OFF] = "OFF"};

/* A broker is named by its id; the empty name stands for all of them. */
static enum ks_err check_node(struct exchange *x, struct slice name, struct ks_why *why)
{
	int32_t node = server_options_of(x->server)->node_id;

	if (slice_equal(name, exchange_printf(x, "%d", node)))
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_REQUEST, "this is broker %d, not \"%.*s\"", node,
		       (int)(name.len > 100 ? 100 : name.len), (const char *)name.data);
}

static enum ks_err unknown_type(int8_t type, struct ks_why *why)
{
	return ks_fail(
		why, ERR_INVALID_REQUEST,
		"resources of type %d have no configuration here; topics (2), brokers (4) and "
		"loggers (8) have",
		type);
}

/* A resource's place among others: its type, then its name. */
static struct slice resource_key(struct exchange *x, int8_t type, struct slice name)
{
	uint8_t *key = exchange_alloc(x, name.len + 1, 1);

	key[0] = (uint8_t)type;
	if (name.len)
		memcpy(key + 1, name.data, name.len);
	return slice_of(key, name.len + 1);
}

static enum ks_err repeated_resource(struct ks_why *why)
{
	return ks_fail(why, ERR_INVALID_REQUEST, "the request has this resource twice");
}

/* --- DescribeConfigs --- */

struct describe {
	struct exchange *x;
	const struct describe_configs_request_resource *q;
	struct describe_configs_response_result *out;
};

static bool is_wanted(const struct describe *d, const char *key)
{
	if (d->q->configuration_keys.n <= 0)
		return true;
	for (int32_t i = 0; i < d->q->configuration_keys.n; i++)
		if (slice_equal(d->q->configuration_keys.v[i], slice_str(key)))
			return true;
	return false;
}

static struct slice copy(struct exchange *x, const char *text)
{
	return text ? slice_str(arena_strdup(&x->arena, text)) : SLICE_NULL;
}

static void tell_synonyms(const struct describe *d, const struct topic_config_row *row,
			  struct describe_configs_response_config *out)
{
	out->synonyms.v = exchange_alloc(d->x, row->synonym_count, sizeof *out->synonyms.v);
	out->synonyms.n = (int32_t)row->synonym_count;
	for (size_t i = 0; i < row->synonym_count; i++)
		out->synonyms.v[i] = (struct describe_configs_response_synonym){
			.name = copy(d->x, row->synonyms[i].key),
			.value = copy(d->x, row->synonyms[i].value),
			.source = (int8_t)row->synonyms[i].source};
}

static void tell(const struct describe *d, const struct topic_config_row *row, int8_t source)
{
	const struct describe_configs_request *request = d->x->request;
	struct describe_configs_response_config *out = &d->out->configs.v[d->out->configs.n++];

	*out = (struct describe_configs_response_config){
		.name = copy(d->x, row->key),
		.value = row->is_sensitive ? SLICE_NULL : copy(d->x, row->value),
		.read_only = row->is_read_only,
		.config_source = source,
		.is_sensitive = row->is_sensitive,
		.config_type = (int8_t)row->type};
	if (request->include_synonyms)
		tell_synonyms(d, row, out);
}

static void tell_rows(const struct describe *d, const struct topic_config_row *rows, size_t count)
{
	d->out->configs.v = exchange_alloc(d->x, count, sizeof *d->out->configs.v);
	for (size_t i = 0; i < count; i++)
		if (is_wanted(d, rows[i].key))
			tell(d, &rows[i], (int8_t)rows[i].source);
}

static enum ks_err describe_topic(const struct describe *d, struct ks_why *why)
{
	struct topic *t;
	size_t count;
	enum ks_err err = lookup_topic(d->x, d->q->resource_name, &t);

	if (err)
		return ks_fail(why, err, "%s", ks_err_text(err));
	struct topic_config_row *rows = topic_configs(t, &count);
	tell_rows(d, rows, count);
	free(rows);
	return ERR_NONE;
}

static enum ks_err describe_broker(const struct describe *d, struct ks_why *why)
{
	size_t count;
	enum ks_err err;

	if (d->q->resource_name.len == 0)
		return ERR_NONE; /* nothing is set for all brokers at once */
	err = check_node(d->x, d->q->resource_name, why);
	if (err)
		return err;
	struct topic_config_row *rows = broker_config_rows(d->x, &count);
	tell_rows(d, rows, count);
	return ERR_NONE;
}

static enum ks_err describe_logger(const struct describe *d, struct ks_why *why)
{
	struct topic_config_row row = {
		.key = LOGGER, .value = levels[log_get_level()], .type = CONFIG_STRING};
	enum ks_err err = check_node(d->x, d->q->resource_name, why);

	if (err)
		return err;
	d->out->configs.v = exchange_alloc(d->x, 1, sizeof *d->out->configs.v);
	if (is_wanted(d, LOGGER))
		tell(d, &row, SOURCE_LOGGER);
	return ERR_NONE;
}

static enum ks_err describe(const struct describe *d, struct ks_why *why)
{
	if (admin_is_full(d->x))
		return ks_fail(why, ERR_INVALID_REQUEST, ADMIN_FULL);
	switch (d->q->resource_type) {
	case RESOURCE_TOPIC:
		return describe_topic(d, why);
	case RESOURCE_BROKER:
		return describe_broker(d, why);
	case RESOURCE_LOGGER:
		return describe_logger(d, why);
	default:
		return unknown_type(d->q->resource_type, why);
	}
}

static struct slice described_key(struct exchange *x, int32_t i)
{
	const struct describe_configs_request *request = x->request;
	return resource_key(x, request->resources.v[i].resource_type,
			    request->resources.v[i].resource_name);
}

static void describe_configs(struct exchange *x)
{
	const struct describe_configs_request *request = x->request;
	struct describe_configs_response *response = x->response;
	int32_t n = request->resources.n;
	bool *repeated = admin_repeated(x, n, described_key);

	response->results.v = exchange_alloc(x, (size_t)n, sizeof *response->results.v);
	response->results.n = n;
	for (int32_t i = 0; i < n; i++) {
		struct describe d = {x, &request->resources.v[i], &response->results.v[i]};
		struct ks_why why = {""};
		*d.out = (struct describe_configs_response_result){
			.resource_type = d.q->resource_type, .resource_name = d.q->resource_name};
		enum ks_err err = repeated[i] ? repeated_resource(&why) : describe(&d, &why);
		d.out->error_code = wire_code(err);
		d.out->error_message = admin_message(x, &why);
	}
	exchange_reply(x);
}

void handle_describe_configs(struct exchange *x, const struct describe_configs_request *request,
			     struct describe_configs_response *response)
{
	(void)request;
	(void)response;
	exchange_offload_compute(x, describe_configs);
}

/* --- changing --- */

/* One resource's changes. AlterConfigs has no operations: what it names is set, and nothing else
 * is. */
struct alter {
	struct exchange *x;
	int8_t type;
	struct slice name;
	struct config_change *changes;
	size_t count;
	bool is_replacing, validate_only;
};

static enum ks_err alter_topic(const struct alter *a, struct ks_why *why)
{
	struct broker *b = server_broker(a->x->server);
	struct topic *t;
	enum ks_err err = lookup_topic(a->x, a->name, &t);

	if (err)
		return ks_fail(why, err, "%s", ks_err_text(err));
	if (!a->is_replacing)
		return broker_topic_change_configs(b, topic_name(t), a->changes, a->count,
						   a->validate_only, why);
	struct config_entry *rows = exchange_alloc(a->x, a->count, sizeof *rows);
	for (size_t i = 0; i < a->count; i++)
		rows[i] = (struct config_entry){a->changes[i].key, a->changes[i].value};
	return broker_topic_replace_configs(b, topic_name(t), rows, a->count, a->validate_only,
					    why);
}

static enum ks_err refuse_of_broker(const char *key, struct ks_why *why)
{
	const char *topic_key = broker_default_topic_key(key);

	if (topic_key)
		return ks_fail(
			why, ERR_INVALID_REQUEST,
			"\"%s\" cannot be changed while the broker runs: it is started with its "
			"configuration; a topic can have its own \"%s\"",
			key, topic_key);
	return ks_fail(why, ERR_INVALID_REQUEST,
		       "\"%s\" cannot be changed while the broker runs: it is started with its "
		       "configuration",
		       key);
}

/* Nothing has been set while it ran, so there is nothing to take back: tools that clean up behind themselves may. */
static enum ks_err alter_broker(const struct alter *a, struct ks_why *why)
{
	enum ks_err err =
		a->name.len ? check_node(a->x, a->name, why) : ERR_NONE; /* "": all brokers */

	for (size_t i = 0; i < a->count && !err; i++)
		if (a->changes[i].op != CONFIG_DELETE)
			err = refuse_of_broker(a->changes[i].key, why);
	return err;
}

static int find_level(const char *name)
{
	if (strcmp(name, "TRACE") == 0)
		return LOG_DEBUG;
	if (strcmp(name, "FATAL") == 0)
		return LOG_ERROR;
	for (int i = 0; i <= LOG_OFF; i++)
		if (strcmp(name, levels[i]) == 0)
			return i;
	return -1;
}

static enum ks_err alter_logger(const struct alter *a, struct ks_why *why)
{
	enum ks_err err = check_node(a->x, a->name, why);
	int level = (int)log_get_level();

	for (size_t i = 0; i < a->count && !err; i++) {
		const struct config_change *c = &a->changes[i];
		if (strcmp(c->key, LOGGER) != 0)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "there is one logger, \"" LOGGER "\", and no \"%s\"",
				       c->key);
		if (c->op != CONFIG_SET || a->is_replacing || !c->value)
			return ks_fail(why, ERR_INVALID_REQUEST, "a level can only be set");
		level = find_level(c->value);
		if (level < 0)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "\"%s\" is no level: TRACE, DEBUG, INFO, WARN, ERROR, FATAL "
				       "and OFF are",
				       c->value);
	}
	if (!err && !a->validate_only)
		log_set_level((enum log_level)level);
	return err;
}

static enum ks_err alter(const struct alter *a, struct ks_why *why)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->changes[i].key)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "the name of a configuration is text without NULs");
	switch (a->type) {
	case RESOURCE_TOPIC:
		return alter_topic(a, why);
	case RESOURCE_BROKER:
		return alter_broker(a, why);
	case RESOURCE_LOGGER:
		return alter_logger(a, why);
	default:
		return unknown_type(a->type, why);
	}
}

static struct slice altered_key(struct exchange *x, int32_t i)
{
	const struct alter_configs_request *request = x->request;
	return resource_key(x, request->resources.v[i].resource_type,
			    request->resources.v[i].resource_name);
}

static void alter_configs(struct exchange *x)
{
	const struct alter_configs_request *request = x->request;
	struct alter_configs_response *response = x->response;
	int32_t n = request->resources.n;
	bool *repeated = admin_repeated(x, n, altered_key);

	response->responses.v = exchange_alloc(x, (size_t)n, sizeof *response->responses.v);
	response->responses.n = n;
	for (int32_t i = 0; i < n; i++) {
		const struct alter_configs_request_resource *q = &request->resources.v[i];
		struct alter a = {.x = x,
				  .type = q->resource_type,
				  .name = q->resource_name,
				  .count = (size_t)q->configs.n,
				  .is_replacing = true,
				  .validate_only = request->validate_only};
		struct ks_why why = {""};
		a.changes = exchange_alloc(x, a.count, sizeof *a.changes);
		for (size_t k = 0; k < a.count; k++)
			a.changes[k] = (struct config_change){admin_text(x, q->configs.v[k].name),
							      admin_text(x, q->configs.v[k].value),
							      CONFIG_SET};
		enum ks_err err = repeated[i] ? repeated_resource(&why) : alter(&a, &why);
		response->responses.v[i] = (struct alter_configs_response_response){
			.error_code = wire_code(err),
			.error_message = admin_message(x, &why),
			.resource_type = q->resource_type,
			.resource_name = q->resource_name};
	}
	admin_reply(x);
}

void handle_alter_configs(struct exchange *x, const struct alter_configs_request *request,
			  struct alter_configs_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, alter_configs);
}

static struct slice incrementally_altered_key(struct exchange *x, int32_t i)
{
	const struct incremental_alter_configs_request *request = x->request;
	return resource_key(x, request->resources.v[i].resource_type,
			    request->resources.v[i].resource_name);
}

static void incremental_alter_configs(struct exchange *x)
{
	const struct incremental_alter_configs_request *request = x->request;
	struct incremental_alter_configs_response *response = x->response;
	int32_t n = request->resources.n;
	bool *repeated = admin_repeated(x, n, incrementally_altered_key);

	response->responses.v = exchange_alloc(x, (size_t)n, sizeof *response->responses.v);
	response->responses.n = n;
	for (int32_t i = 0; i < n; i++) {
		const struct incremental_alter_configs_request_resource *q =
			&request->resources.v[i];
		struct alter a = {.x = x,
				  .type = q->resource_type,
				  .name = q->resource_name,
				  .count = (size_t)q->configs.n,
				  .validate_only = request->validate_only};
		struct ks_why why = {""};
		a.changes = exchange_alloc(x, a.count, sizeof *a.changes);
		for (size_t k = 0; k < a.count; k++)
			a.changes[k] = (struct config_change){
				admin_text(x, q->configs.v[k].name),
				admin_text(x, q->configs.v[k].value),
				(enum config_op)q->configs.v[k].config_operation};
		enum ks_err err = repeated[i] ? repeated_resource(&why) : alter(&a, &why);
		response->responses.v[i] = (struct incremental_alter_configs_response_response){
			.error_code = wire_code(err),
			.error_message = admin_message(x, &why),
			.resource_type = q->resource_type,
			.resource_name = q->resource_name};
	}
	admin_reply(x);
}

void handle_incremental_alter_configs(struct exchange *x,
				      const struct incremental_alter_configs_request *request,
				      struct incremental_alter_configs_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, incremental_alter_configs);
}

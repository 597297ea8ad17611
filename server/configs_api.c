/* configs_api.c - DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
 *
 * Resources are topics and this broker. A topic's configurations can be changed; the broker's are those of its properties file
 * and flags, told and not changed. Levels of loggers and groups have no configurations here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/handlers.h"
#include "server/lookup.h"
#include "server/server_impl.h"

enum resource_type {
	RESOURCE_TOPIC = 2,
	RESOURCE_BROKER = 4,
	RESOURCE_BROKER_LOGGER = 8,
	RESOURCE_GROUP = 32
};

static struct slice message_of(struct exchange *x, enum ks_err err, const struct ks_why *why)
{
	if (!err)
		return SLICE_NULL;
	return exchange_printf(x, "%s", *why->text ? why->text : ks_err_text(err));
}

/* Whether a resource of type BROKER is this one; "" means all brokers. */
static enum ks_err check_broker(struct exchange *x, struct slice name, struct ks_why *why)
{
	char id[16];
	int32_t node_id = server_options_of(x->server)->node_id;

	snprintf(id, sizeof id, "%" PRId32, node_id);
	if (!name.len || slice_equal(name, slice_str(id)))
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_REQUEST, "no such broker: the only one is %" PRId32,
		       node_id);
}

/* --- DescribeConfigs --- */

static bool is_wanted(const struct describe_configs_request_resource *q, const char *key)
{
	if (q->configuration_keys.n < 0)
		return true;
	for (int32_t i = 0; i < q->configuration_keys.n; i++)
		if (slice_equal(q->configuration_keys.v[i], slice_str(key)))
			return true;
	return false;
}

static struct slice copy(struct exchange *x, const char *text)
{
	return text ? exchange_printf(x, "%s", text) : SLICE_NULL;
}

static void fill_synonyms(struct exchange *x, const struct topic_config_row *row,
			  struct describe_configs_response_config *out)
{
	out->synonyms.v = exchange_alloc(x, row->synonym_count, sizeof *out->synonyms.v);
	out->synonyms.n = (int32_t)row->synonym_count;
	for (size_t i = 0; i < row->synonym_count; i++)
		out->synonyms.v[i] = (struct describe_configs_response_synonym){
			.name = copy(x, row->synonyms[i].key),
			.value = copy(x, row->synonyms[i].value),
			.source = (int8_t)row->synonyms[i].source,
		};
}

static void fill_row(struct exchange *x, const struct topic_config_row *row,
		     struct describe_configs_response_config *out)
{
	const struct describe_configs_request *request = x->request;

	wire_defaults(describe_configs_response_config_desc(), out);
	out->name = copy(x, row->key);
	out->value = row->is_sensitive ? SLICE_NULL : copy(x, row->value);
	out->read_only = row->is_read_only;
	out->config_source = (int8_t)row->source;
	out->is_sensitive = row->is_sensitive;
	out->config_type = (int8_t)row->type;
	if (request->include_synonyms)
		fill_synonyms(x, row, out);
}

/* Takes rows, which may be NULL. */
static void fill_rows(struct exchange *x, const struct describe_configs_request_resource *q,
		      struct topic_config_row *rows, size_t count,
		      struct describe_configs_response_result *out)
{
	out->configs.v = exchange_alloc(x, count, sizeof *out->configs.v);
	for (size_t i = 0; i < count; i++)
		if (is_wanted(q, rows[i].key))
			fill_row(x, &rows[i], &out->configs.v[out->configs.n++]);
	free(rows);
}

static enum ks_err describe(struct exchange *x, const struct describe_configs_request_resource *q,
			    struct describe_configs_response_result *out, struct ks_why *why)
{
	struct topic_config_row *rows;
	struct topic *t;
	enum ks_err err;
	size_t count;

	switch (q->resource_type) {
	case RESOURCE_TOPIC:
		err = lookup_topic(x, q->resource_name, &t);
		if (err)
			return err;
		rows = topic_configs(t, &count);
		break;
	case RESOURCE_BROKER:
		err = check_broker(x, q->resource_name, why);
		if (err)
			return err;
		rows = broker_configs(server_broker(x->server), &count);
		break;
	case RESOURCE_BROKER_LOGGER:
	case RESOURCE_GROUP:
		return ERR_NONE; /* there are none */
	default:
		return ks_fail(why, ERR_INVALID_REQUEST, "resources of type %d are not known",
			       q->resource_type);
	}
	fill_rows(x, q, rows, count, out);
	return ERR_NONE;
}

void handle_describe_configs(struct exchange *x, const struct describe_configs_request *request,
			     struct describe_configs_response *response)
{
	response->results.v =
		exchange_alloc(x, (size_t)request->resources.n, sizeof *response->results.v);
	response->results.n = request->resources.n;
	for (int32_t i = 0; i < request->resources.n; i++) {
		const struct describe_configs_request_resource *q = &request->resources.v[i];
		struct describe_configs_response_result *out = &response->results.v[i];
		struct ks_why why = {""};
		out->resource_type = q->resource_type;
		out->resource_name = q->resource_name;
		enum ks_err err = describe(x, q, out, &why);
		out->error_code = wire_code(err);
		out->error_message = message_of(x, err, &why);
	}
	exchange_reply(x);
}

/* --- changing --- */

static enum ks_err find_changeable(struct exchange *x, int8_t type, struct slice name,
				   struct topic **out, struct ks_why *why)
{
	if (type == RESOURCE_TOPIC)
		return lookup_topic(x, name, out);
	if (type == RESOURCE_BROKER)
		return ks_fail(why, ERR_INVALID_REQUEST,
			       "the broker's configurations cannot be changed while it runs: "
			       "change its properties file and start it again");
	return ks_fail(why, ERR_INVALID_REQUEST,
		       "configurations of resource type %d cannot be changed", type);
}

static enum ks_err replace(struct exchange *x, const struct alter_configs_request_resource *q,
			   bool validate_only, struct ks_why *why)
{
	struct config_entry *entries = exchange_alloc(x, (size_t)q->configs.n, sizeof *entries);
	struct topic *t;
	enum ks_err err = find_changeable(x, q->resource_type, q->resource_name, &t, why);
	size_t count = 0;

	if (err)
		return err;
	for (int32_t i = 0; i < q->configs.n; i++) {
		struct config_entry *e = &entries[count];
		e->key = lookup_text(x, q->configs.v[i].name);
		e->value = lookup_text(x, q->configs.v[i].value);
		if (!e->key || (!e->value && q->configs.v[i].value.data))
			return ks_fail(why, ERR_INVALID_CONFIG, "a key or value has a NUL");
		count += e->value != NULL; /* null: back to the default */
	}
	return broker_topic_replace_configs(server_broker(x->server), topic_name(t), entries, count,
					    validate_only, why);
}

static void alter_configs(struct exchange *x)
{
	const struct alter_configs_request *request = x->request;
	struct alter_configs_response *response = x->response;

	for (int32_t i = 0; i < request->resources.n; i++) {
		const struct alter_configs_request_resource *q = &request->resources.v[i];
		struct ks_why why = {""};
		enum ks_err err = replace(x, q, request->validate_only, &why);
		response->responses.v[i] = (struct alter_configs_response_response){
			.error_code = wire_code(err),
			.error_message = message_of(x, err, &why),
			.resource_type = q->resource_type,
			.resource_name = q->resource_name,
		};
	}
	if (broker_failure(server_broker(x->server)))
		server_store_failed(x);
	else
		exchange_reply(x);
}

void handle_alter_configs(struct exchange *x, const struct alter_configs_request *request,
			  struct alter_configs_response *response)
{
	response->responses.v =
		exchange_alloc(x, (size_t)request->resources.n, sizeof *response->responses.v);
	response->responses.n = request->resources.n;
	exchange_offload(x, alter_configs);
}

static enum ks_err change(struct exchange *x,
			  const struct incremental_alter_configs_request_resource *q,
			  bool validate_only, struct ks_why *why)
{
	struct config_change *changes = exchange_alloc(x, (size_t)q->configs.n, sizeof *changes);
	struct topic *t;
	enum ks_err err = find_changeable(x, q->resource_type, q->resource_name, &t, why);

	if (err)
		return err;
	for (int32_t i = 0; i < q->configs.n; i++) {
		changes[i] = (struct config_change){
			.key = lookup_text(x, q->configs.v[i].name),
			.value = lookup_text(x, q->configs.v[i].value),
			.op = (enum config_op)q->configs.v[i].config_operation,
		};
		if (!changes[i].key || (!changes[i].value && q->configs.v[i].value.data))
			return ks_fail(why, ERR_INVALID_CONFIG, "a key or value has a NUL");
	}
	return broker_topic_change_configs(server_broker(x->server), topic_name(t), changes,
					   (size_t)q->configs.n, validate_only, why);
}

static void incremental_alter_configs(struct exchange *x)
{
	const struct incremental_alter_configs_request *request = x->request;
	struct incremental_alter_configs_response *response = x->response;

	for (int32_t i = 0; i < request->resources.n; i++) {
		const struct incremental_alter_configs_request_resource *q =
			&request->resources.v[i];
		struct ks_why why = {""};
		enum ks_err err = change(x, q, request->validate_only, &why);
		response->responses.v[i] = (struct incremental_alter_configs_response_response){
			.error_code = wire_code(err),
			.error_message = message_of(x, err, &why),
			.resource_type = q->resource_type,
			.resource_name = q->resource_name,
		};
	}
	if (broker_failure(server_broker(x->server)))
		server_store_failed(x);
	else
		exchange_reply(x);
}

void handle_incremental_alter_configs(struct exchange *x,
				      const struct incremental_alter_configs_request *request,
				      struct incremental_alter_configs_response *response)
{
	response->responses.v =
		exchange_alloc(x, (size_t)request->resources.n, sizeof *response->responses.v);
	response->responses.n = request->resources.n;
	exchange_offload(x, incremental_alter_configs);
}

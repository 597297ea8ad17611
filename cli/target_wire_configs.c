/* target_wire_configs.c - configurations of a cluster's topics and brokers. */
#include <stdlib.h>

#include "cli/target_wire.h"

#define RESOURCE_TOPIC  2
#define RESOURCE_BROKER 4

static int8_t resource_type(enum target_resource resource)
{
	return resource == TARGET_TOPIC ? RESOURCE_TOPIC : RESOURCE_BROKER;
}

static const char *resource_word(enum target_resource resource)
{
	return resource == TARGET_TOPIC ? "topic" : "broker";
}

/* A broker answers for itself. ERR_INVALID_ARGUMENT: the cluster has none of this name. */
static enum ks_err address(struct wire_target *w, enum target_resource resource, const char *name,
			   struct client_question *q, struct ks_why *why)
{
	char *end;
	long id;

	if (resource == TARGET_TOPIC || !*name)
		return ERR_NONE;
	id = strtol(name, &end, 10);
	if (*end == 0)
		for (size_t i = 0; i < client_cluster_broker_count(w->cluster); i++)
			if (client_cluster_broker(w->cluster, i)->id == id) {
				q->where = CLIENT_NODE;
				q->node = (int32_t)id;
				return ERR_NONE;
			}
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "the cluster has no broker \"%s\"; 'ksrun cluster describe' lists them",
		       name);
}

static char *text_or_null(struct slice s)
{
	return s.data ? slice_strdup(s) : NULL;
}

static int compare_configs(const void *a, const void *b)
{
	const struct target_config *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static void take_configs(const struct describe_configs_response_result *m,
			 struct target_config **out, size_t *count)
{
	struct target_config *rows = xcalloc((size_t)m->configs.n + 1, sizeof *rows);

	for (int32_t i = 0; i < m->configs.n; i++) {
		const struct describe_configs_response_config *c = &m->configs.v[i];
		const char *source = target_config_source(c->config_source);
		rows[i] = (struct target_config){.key = text_or_null(c->name),
						 .value = text_or_null(c->value),
						 .source = source ? source : "UNKNOWN",
						 .type = target_config_type(c->config_type),
						 .is_default = c->config_source == CONFIG_DEFAULT,
						 .is_read_only = c->read_only,
						 .is_sensitive = c->is_sensitive};
	}
	qsort(rows, (size_t)m->configs.n, sizeof *rows, compare_configs);
	*out = rows;
	*count = (size_t)m->configs.n;
}

enum ks_err wire_configs(struct target *t, enum target_resource resource, const char *name,
			 struct target_config **out, size_t *count, struct ks_why *why)
{
	struct describe_configs_request_resource row = {.resource_type = resource_type(resource),
							.resource_name = slice_str(name),
							.configuration_keys = {NULL, -1}};
	struct describe_configs_request request = {.resources = {&row, 1}};
	struct client_question q = {.call = {.api_key = API_describe_configs, .request = &request},
				    .is_repeatable = true};
	struct client_reply r;
	enum ks_err err = address(wire_of(t), resource, name, &q, why);

	if (!err)
		err = client_cluster_ask(wire_of(t)->cluster, &q, &r, why);
	if (err)
		return err;
	const struct describe_configs_response *m = r.message;
	err = m->results.n == 1 ? (enum ks_err)m->results.v[0].error_code
				: ERR_UNKNOWN_SERVER_ERROR;
	if (err)
		wire_refused(resource_word(resource), name, err,
			     m->results.n == 1 ? m->results.v[0].error_message : SLICE_NULL, why);
	else
		take_configs(&m->results.v[0], out, count);
	client_reply_fini(&r);
	return err;
}

enum ks_err wire_configs_change(struct target *t, enum target_resource resource, const char *name,
				const struct config_change *changes, size_t count, bool is_dry_run,
				struct ks_why *why)
{
	struct incremental_alter_configs_request_config *configs =
		xcalloc(count + 1, sizeof *configs);
	struct incremental_alter_configs_request_resource row = {
		.resource_type = resource_type(resource),
		.resource_name = slice_str(name),
		.configs = {configs, (int32_t)count}};
	struct incremental_alter_configs_request request = {.resources = {&row, 1},
							    .validate_only = is_dry_run};
	struct client_question q = {
		.call = {.api_key = API_incremental_alter_configs, .request = &request},
		.where = CLIENT_CONTROLLER,
		.is_repeatable = true};
	struct client_reply r;
	enum ks_err err = address(wire_of(t), resource, name, &q, why);

	for (size_t i = 0; i < count; i++)
		configs[i] = (struct incremental_alter_configs_request_config){
			.name = slice_str(changes[i].key),
			.config_operation = (int8_t)changes[i].op,
			.value = changes[i].value ? slice_str(changes[i].value) : SLICE_NULL};
	if (!err)
		err = client_cluster_ask(wire_of(t)->cluster, &q, &r, why);
	free(configs);
	if (err)
		return err;
	const struct incremental_alter_configs_response *m = r.message;
	err = m->responses.n == 1 ? (enum ks_err)m->responses.v[0].error_code
				  : ERR_UNKNOWN_SERVER_ERROR;
	if (err)
		wire_refused(resource_word(resource), name, err,
			     m->responses.n == 1 ? m->responses.v[0].error_message : SLICE_NULL,
			     why);
	client_reply_fini(&r);
	return err;
}

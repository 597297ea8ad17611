/* topics_api.c - CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords.
 *
 * Each waits for the shard, so a worker does it, one topic after the other; every change is
 * durable when it is answered. Replicas may be assigned, as long as they are assigned to the one
 * node there is.
 */
#include <stdlib.h>

#include "server/admin.h"
#include "server/connection.h"
#include "server/lookup.h"
#include "server/loop_impl.h"
#include "server/server.h"

static enum ks_err repeated_name(struct ks_why *why)
{
	return ks_fail(why, ERR_INVALID_REQUEST, "the request has this topic twice");
}

/* --- CreateTopics --- */

/* Partitions are numbered without a gap, in any order. */
static enum ks_err check_assignments(struct exchange *x,
				     const struct create_topics_request_topic *q,
				     struct ks_why *why)
{
	bool *seen = exchange_alloc(x, (size_t)q->assignments.n, sizeof *seen);
	enum ks_err err = ERR_NONE;

	if (q->num_partitions != -1 || q->replication_factor != -1)
		return ks_fail(
			why, ERR_INVALID_REQUEST,
			"with assignments there is no number of partitions or replicas: both "
			"must be -1");
	for (int32_t i = 0; i < q->assignments.n && !err; i++) {
		const struct create_topics_request_assignment *a = &q->assignments.v[i];
		if (a->partition_index < 0 || a->partition_index >= q->assignments.n ||
		    seen[a->partition_index])
			return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
				       "partitions are numbered from 0 on, without a gap");
		seen[a->partition_index] = true;
		err = admin_check_replicas(x, a->broker_ids.v, a->broker_ids.n, why);
	}
	return err;
}

static enum ks_err check_numbers(struct exchange *x, const struct create_topics_request_topic *q,
				 struct ks_why *why)
{
	if (q->assignments.n > 0)
		return check_assignments(x, q, why);
	if (q->num_partitions == 0 || q->num_partitions < -1)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "a topic has 1 to %d partitions; -1 is the broker's default",
			       BROKER_PARTITIONS_MAX);
	int most = server_options_of(x->server)->replicas_accepted;
	bool is_accepted = q->replication_factor >= 1 && q->replication_factor <= (most ? most : 1);
	if (!is_accepted && q->replication_factor != -1)
		return ks_fail(why, ERR_INVALID_REPLICATION_FACTOR,
			       "the replication factor can be 1 or -1, not %d: there is one node",
			       q->replication_factor);
	return ERR_NONE;
}

static enum ks_err read_configs(struct exchange *x, const struct create_topics_request_topic *q,
				struct topic_spec *spec, struct ks_why *why)
{
	size_t n = (size_t)q->configs.n;
	struct config_entry *rows = exchange_alloc(x, n, sizeof *rows);

	for (size_t i = 0; i < n; i++) {
		rows[i].key = admin_text(x, q->configs.v[i].name);
		rows[i].value = admin_text(x, q->configs.v[i].value);
		if (!rows[i].key || !rows[i].value)
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "a configuration needs a value, in text without NULs");
	}
	spec->configs = rows;
	spec->config_count = n;
	return ERR_NONE;
}

static enum ks_err read_spec(struct exchange *x, const struct create_topics_request_topic *q,
			     struct topic_spec *spec, struct ks_why *why)
{
	*spec = (struct topic_spec){.name = admin_text(x, q->name),
				    .partitions = q->assignments.n > 0 ? q->assignments.n
								       : q->num_partitions};
	if (!spec->name)
		return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION, "the topic's name has a NUL");
	enum ks_err err = check_numbers(x, q, why);
	return err ? err : read_configs(x, q, spec, why);
}

static struct slice copy_text(struct exchange *x, const char *text)
{
	return text ? slice_str(arena_strdup(&x->arena, text)) : SLICE_NULL;
}

/* What the topic has, or would have. */
static void tell_configs(struct exchange *x, const struct topic_spec *spec,
			 struct create_topics_response_topic *out)
{
	struct topic_config_row *rows;
	struct ks_why unused;
	size_t count;

	if (broker_spec_configs(server_broker(x->server), spec, &rows, &count, &unused))
		return;
	out->configs.v = exchange_alloc(x, count, sizeof *out->configs.v);
	out->configs.n = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		out->configs.v[i] = (struct create_topics_response_config){
			.name = copy_text(x, rows[i].key),
			.value = copy_text(x, rows[i].value),
			.read_only = rows[i].is_read_only,
			.config_source = (int8_t)rows[i].source,
			.is_sensitive = rows[i].is_sensitive};
	free(rows);
}

static void tell_topic(struct exchange *x, const struct topic_spec *spec,
		       struct create_topics_response_topic *out)
{
	struct topic *t = broker_topic_find(server_broker(x->server), spec->name);

	out->num_partitions = spec->partitions > 0
				      ? spec->partitions
				      : broker_default_partitions(server_broker(x->server));
	if (t) /* nothing was made when it was only checked */
		out->topic_id = admin_uuid(t);
	out->replication_factor = 1;
	if (x->header.api_version >= 5 && !admin_is_full(x))
		tell_configs(x, spec, out);
}

static void create_topic(struct exchange *x, const struct create_topics_request_topic *q,
			 bool is_repeated, struct create_topics_response_topic *out)
{
	const struct create_topics_request *request = x->request;
	struct broker *b = server_broker(x->server);
	struct topic_spec spec;
	struct ks_why why = {""};
	enum ks_err err = is_repeated ? repeated_name(&why) : read_spec(x, q, &spec, &why);

	wire_defaults(create_topics_response_topic_desc(), out);
	out->name = q->name;
	if (!err)
		err = request->validate_only ? broker_topic_validate(b, &spec, &why)
					     : broker_topic_create(b, &spec, &why);
	out->error_code = wire_code(err);
	if (err)
		out->error_message = admin_message(x, &why);
	else
		tell_topic(x, &spec, out);
}

static struct slice name_to_create(struct exchange *x, int32_t i)
{
	return ((const struct create_topics_request *)x->request)->topics.v[i].name;
}

static void create_topics(struct exchange *x)
{
	const struct create_topics_request *request = x->request;
	struct create_topics_response *response = x->response;
	int32_t n = request->topics.n;
	bool *repeated = admin_repeated(x, n, name_to_create);

	response->topics.v = exchange_alloc(x, (size_t)n, sizeof *response->topics.v);
	response->topics.n = n;
	for (int32_t i = 0; i < n; i++)
		create_topic(x, &request->topics.v[i], repeated[i], &response->topics.v[i]);
	admin_reply(x);
}

void handle_create_topics(struct exchange *x, const struct create_topics_request *request,
			  struct create_topics_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, create_topics);
}

/* --- DeleteTopics --- */

static enum ks_err find_doomed(struct exchange *x, struct slice name, struct wire_uuid id,
			       struct topic **out, struct ks_why *why)
{
	static const struct wire_uuid zero;
	bool has_id = memcmp(&id, &zero, sizeof id) != 0;

	if (name.data && has_id)
		return ks_fail(why, ERR_INVALID_REQUEST,
			       "a topic is named by its name or by its id, not by both");
	return has_id ? lookup_topic_id(x, id, out) : lookup_topic(x, name, out);
}

static void delete_topic(struct exchange *x, struct slice name, struct wire_uuid id,
			 struct delete_topics_response_response *out)
{
	struct topic *t;
	struct ks_why why = {""};
	enum ks_err err = find_doomed(x, name, id, &t, &why);

	if (server_options_of(x->server)->refuses_deletion)
		err = x->header.api_version < 3 ? ERR_INVALID_REQUEST : ERR_TOPIC_DELETION_DISABLED;
	wire_defaults(delete_topics_response_response_desc(), out);
	out->name = name;
	out->topic_id = id;
	if (!err) {
		out->name = slice_str(topic_name(t));
		out->topic_id = admin_uuid(t);
		err = broker_topic_delete(server_broker(x->server), topic_name(t), &why);
	}
	/* What cannot be the name of a topic is the name of none. */
	if (err == ERR_INVALID_TOPIC_EXCEPTION)
		err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	out->error_code = wire_code(err);
	if (err)
		out->error_message = admin_message(x, &why);
}

static int32_t doomed_count(const struct exchange *x)
{
	const struct delete_topics_request *request = x->request;

	return x->header.api_version >= 6 ? request->topics.n : request->topic_names.n;
}

/* Which topic is the i-th: by name, and from version 6 on perhaps by id. */
static struct slice doomed(const struct exchange *x, int32_t i, struct wire_uuid *id)
{
	const struct delete_topics_request *request = x->request;
	bool is_newer = x->header.api_version >= 6;

	*id = is_newer ? request->topics.v[i].topic_id : (struct wire_uuid){{0}};
	return is_newer ? request->topics.v[i].name : request->topic_names.v[i];
}

static void delete_topics(struct exchange *x)
{
	struct delete_topics_response *response = x->response;
	int32_t n = doomed_count(x);

	response->responses.v = exchange_alloc(x, (size_t)n, sizeof *response->responses.v);
	response->responses.n = n;
	for (int32_t i = 0; i < n; i++) {
		struct wire_uuid id;
		struct slice name = doomed(x, i, &id);
		delete_topic(x, name, id, &response->responses.v[i]);
	}
	admin_reply(x);
}

/* What will be gone; a topic that is not is found without that. */
static void remember_doomed(struct exchange *x)
{
	struct connection *c = x->connection;

	for (int32_t i = 0; i < doomed_count(x); i++) {
		struct wire_uuid id;
		struct topic *t;
		struct slice name = doomed(x, i, &id);
		if (!find_doomed(x, name, id, &t, NULL))
			gone_topics_add(&c->gone, t, loop_timers_now_ms(&c->loop->timers));
	}
}

void handle_delete_topics(struct exchange *x, const struct delete_topics_request *request,
			  struct delete_topics_response *response)
{
	(void)request;
	(void)response;
	remember_doomed(x);
	exchange_offload(x, delete_topics);
}

/* --- CreatePartitions --- */

static enum ks_err check_growth(struct exchange *x, const struct create_partitions_request_topic *q,
				struct topic **out, struct ks_why *why)
{
	enum ks_err err = lookup_topic(x, q->name, out);

	if (err)
		return err;
	int32_t more = q->count - topic_partition_count(*out);
	if (q->assignments.n >= 0 && more > 0 && q->assignments.n != more)
		return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
			       "%d partitions are new, %d are assigned", more, q->assignments.n);
	for (int32_t i = 0; i < q->assignments.n && !err; i++)
		err = admin_check_replicas(x, q->assignments.v[i].broker_ids.v,
					   q->assignments.v[i].broker_ids.n, why);
	return err;
}

static void grow_topic(struct exchange *x, const struct create_partitions_request_topic *q,
		       bool is_repeated, struct create_partitions_response_result *out)
{
	const struct create_partitions_request *request = x->request;
	struct broker *b = server_broker(x->server);
	struct topic *t;
	struct ks_why why = {""};
	enum ks_err err = is_repeated ? repeated_name(&why) : check_growth(x, q, &t, &why);

	if (!err)
		err = request->validate_only
			      ? broker_topic_check_partitions(b, topic_name(t), q->count, &why)
			      : broker_topic_add_partitions(b, topic_name(t), q->count, &why);
	*out = (struct create_partitions_response_result){.name = q->name,
							  .error_code = wire_code(err)};
	if (err)
		out->error_message = admin_message(x, &why);
}

static struct slice name_to_grow(struct exchange *x, int32_t i)
{
	return ((const struct create_partitions_request *)x->request)->topics.v[i].name;
}

static void create_partitions(struct exchange *x)
{
	const struct create_partitions_request *request = x->request;
	struct create_partitions_response *response = x->response;
	int32_t n = request->topics.n;
	bool *repeated = admin_repeated(x, n, name_to_grow);

	response->results.v = exchange_alloc(x, (size_t)n, sizeof *response->results.v);
	response->results.n = n;
	for (int32_t i = 0; i < n; i++)
		grow_topic(x, &request->topics.v[i], repeated[i], &response->results.v[i]);
	admin_reply(x);
}

void handle_create_partitions(struct exchange *x, const struct create_partitions_request *request,
			      struct create_partitions_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, create_partitions);
}

/* --- DeleteRecords --- */

/* What compaction alone may remove is not deleted. */
static bool may_delete(struct topic *t)
{
	size_t count;
	struct topic_config_row *rows;
	bool may = true;

	if (!topic_wants_keys(t))
		return true;
	rows = topic_configs(t, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, "cleanup.policy") == 0)
			may = strstr(rows[i].value, "delete") != NULL;
	free(rows);
	return may;
}

static void delete_of_partition(struct exchange *x, struct slice topic,
				const struct delete_records_request_partition *q,
				struct delete_records_response_partition *out)
{
	struct partition *p;
	struct ks_why unused;
	enum ks_err err = lookup_partition(x, topic, q->partition_index, &p);

	*out = (struct delete_records_response_partition){.partition_index = q->partition_index,
							  .low_watermark = -1};
	if (!err && !may_delete(partition_topic(p)))
		err = ERR_POLICY_VIOLATION;
	if (!err)
		err = broker_trim(server_broker(x->server), p, q->offset, &out->low_watermark,
				  &unused);
	out->error_code = wire_code(err);
}

static void delete_records(struct exchange *x)
{
	const struct delete_records_request *request = x->request;
	struct delete_records_response *response = x->response;

	response->topics.n = request->topics.n;
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct delete_records_request_topic *q = &request->topics.v[i];
		struct delete_records_response_topic *out = &response->topics.v[i];
		out->name = q->name;
		out->partitions.n = q->partitions.n;
		out->partitions.v =
			exchange_alloc(x, (size_t)q->partitions.n, sizeof *out->partitions.v);
		for (int32_t k = 0; k < q->partitions.n; k++)
			delete_of_partition(x, q->name, &q->partitions.v[k], &out->partitions.v[k]);
	}
	admin_reply(x);
}

void handle_delete_records(struct exchange *x, const struct delete_records_request *request,
			   struct delete_records_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, delete_records);
}

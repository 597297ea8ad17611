/* topics_api.c - CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords. All of them wait for the shard, so workers
 * carry them out, one topic after the other: each succeeds or fails by itself. */
#include <inttypes.h>
#include <stdlib.h>

#include "server/handlers.h"
#include "server/lookup.h"
#include "server/server_impl.h"

/* err and the sentence as a response has them. false: the store has failed and there is no answer. */
static bool fill_error(struct exchange *x, enum ks_err err, const struct ks_why *why, int16_t *code,
		       struct slice *message)
{
	if (broker_failure(server_broker(x->server)))
		return false;
	*code = wire_code(err);
	*message = SLICE_NULL;
	if (err)
		*message = exchange_printf(x, "%s", *why->text ? why->text : ks_err_text(err));
	return true;
}

/* --- CreateTopics --- */

/* Replicas of one partition: this node and no other. */
static bool is_this_node(struct exchange *x, const int32_t *ids, int32_t count)
{
	return count == 1 && ids[0] == server_options_of(x->server)->node_id;
}

/* Which partitions the client's own assignment wants. */
static enum ks_err check_assignments(struct exchange *x,
				     const struct create_topics_request_topic *q, int32_t *count,
				     struct ks_why *why)
{
	if (q->num_partitions != -1 || q->replication_factor != -1)
		return ks_fail(why, ERR_INVALID_REQUEST,
			       "an assignment of replicas comes with -1 partitions and replication "
			       "factor -1");
	bool *seen = exchange_alloc(x, (size_t)q->assignments.n, sizeof *seen);
	for (int32_t i = 0; i < q->assignments.n; i++) {
		const struct create_topics_request_assignment *a = &q->assignments.v[i];
		if (a->partition_index < 0 || a->partition_index >= q->assignments.n ||
		    seen[a->partition_index])
			return ks_fail(
				why, ERR_INVALID_REPLICA_ASSIGNMENT,
				"partitions must be numbered from 0 without a gap, each once");
		seen[a->partition_index] = true;
		if (!is_this_node(x, a->broker_ids.v, a->broker_ids.n))
			return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
				       "partition %" PRId32 ": the only broker is %" PRId32,
				       a->partition_index, server_options_of(x->server)->node_id);
	}
	*count = q->assignments.n;
	return ERR_NONE;
}

static enum ks_err check_shape(struct exchange *x, const struct create_topics_request_topic *q,
			       int32_t *partitions, struct ks_why *why)
{
	if (q->assignments.n > 0)
		return check_assignments(x, q, partitions, why);
	if (q->num_partitions == 0 || q->num_partitions < -1)
		return ks_fail(why, ERR_INVALID_PARTITIONS,
			       "%" PRId32 " partitions: 1 or more, or -1 for the broker's default",
			       q->num_partitions);
	if (q->replication_factor != -1 && q->replication_factor != 1)
		return ks_fail(
			why, ERR_INVALID_REPLICATION_FACTOR,
			"replication factor %d: there is one broker, so 1, or -1 for the default",
			q->replication_factor);
	*partitions = q->num_partitions;
	return ERR_NONE;
}

static enum ks_err read_configs(struct exchange *x, const struct create_topics_request_topic *q,
				struct topic_spec *spec, struct ks_why *why)
{
	struct config_entry *entries = exchange_alloc(x, (size_t)q->configs.n, sizeof *entries);

	for (int32_t i = 0; i < q->configs.n; i++) {
		entries[i].key = lookup_text(x, q->configs.v[i].name);
		entries[i].value = lookup_text(x, q->configs.v[i].value);
		if (!entries[i].key || !entries[i].value)
			return ks_fail(why, ERR_INVALID_CONFIG, "%s: a configuration needs a value",
				       entries[i].key ? entries[i].key : "a null key");
	}
	spec->configs = entries;
	spec->config_count = (size_t)q->configs.n;
	return ERR_NONE;
}

static bool is_named_twice(const struct create_topics_request *request, int32_t index)
{
	for (int32_t i = 0; i < request->topics.n; i++)
		if (i != index &&
		    slice_equal(request->topics.v[i].name, request->topics.v[index].name))
			return true;
	return false;
}

static enum ks_err make_spec(struct exchange *x, int32_t index, struct topic_spec *spec,
			     struct ks_why *why)
{
	const struct create_topics_request *request = x->request;
	const struct create_topics_request_topic *q = &request->topics.v[index];

	spec->name = lookup_text(x, q->name);
	if (!spec->name)
		return ks_fail(why, ERR_INVALID_TOPIC_EXCEPTION, "the name has a NUL");
	if (is_named_twice(request, index))
		return ks_fail(why, ERR_INVALID_REQUEST, "the request names topic \"%s\" twice",
			       spec->name);
	enum ks_err err = check_shape(x, q, &spec->partitions, why);
	return err ? err : read_configs(x, q, spec, why);
}

/* What the topic has, or would have, by way of configurations (since version 5). */
static void fill_configs(struct exchange *x, const struct topic_spec *spec,
			 struct create_topics_response_topic *out)
{
	struct topic_config_row *rows;
	size_t count;

	if (broker_spec_configs(server_broker(x->server), spec, &rows, &count, NULL))
		return;
	out->configs.v = exchange_alloc(x, count, sizeof *out->configs.v);
	out->configs.n = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		out->configs.v[i] = (struct create_topics_response_config){
			.name = exchange_printf(x, "%s", rows[i].key),
			.value = rows[i].value ? exchange_printf(x, "%s", rows[i].value)
					       : SLICE_NULL,
			.read_only = rows[i].is_read_only,
			.config_source = (int8_t)rows[i].source,
			.is_sensitive = rows[i].is_sensitive,
		};
	free(rows);
}

static void fill_created(struct exchange *x, const struct topic_spec *spec,
			 struct create_topics_response_topic *out)
{
	struct topic *t = broker_topic_find(server_broker(x->server), spec->name);

	out->num_partitions = spec->partitions;
	out->replication_factor = 1;
	if (t) {
		struct topic_uuid uuid = topic_uuid(t);
		memcpy(out->topic_id.bytes, uuid.bytes, sizeof uuid.bytes);
		out->num_partitions = topic_partition_count(t);
	}
	if (x->header.api_version >= 5)
		fill_configs(x, spec, out);
}

static bool create_one(struct exchange *x, int32_t index)
{
	const struct create_topics_request *request = x->request;
	struct create_topics_response *response = x->response;
	struct create_topics_response_topic *out = &response->topics.v[index];
	struct broker *b = server_broker(x->server);
	struct topic_spec spec = {0};
	struct ks_why why = {""};

	wire_defaults(create_topics_response_topic_desc(), out);
	out->name = request->topics.v[index].name;
	enum ks_err err = make_spec(x, index, &spec, &why);
	if (!err && request->validate_only)
		err = broker_topic_validate(b, &spec, &why);
	else if (!err)
		err = broker_topic_create(b, &spec, &why);
	if (!err)
		fill_created(x, &spec, out);
	return fill_error(x, err, &why, &out->error_code, &out->error_message);
}

static void create_topics(struct exchange *x)
{
	struct create_topics_response *response = x->response;

	for (int32_t i = 0; i < response->topics.n; i++)
		if (!create_one(x, i)) {
			server_store_failed(x);
			return;
		}
	exchange_reply(x);
}

void handle_create_topics(struct exchange *x, const struct create_topics_request *request,
			  struct create_topics_response *response)
{
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	response->topics.n = request->topics.n;
	exchange_offload(x, create_topics);
}

/* --- DeleteTopics --- */

static bool delete_one(struct exchange *x, const struct delete_topics_request_topic *q,
		       struct delete_topics_response_response *out)
{
	struct topic *t = NULL;
	struct ks_why why = {""};
	enum ks_err err =
		q->name.data ? lookup_topic(x, q->name, &t) : lookup_topic_id(x, q->topic_id, &t);

	wire_defaults(delete_topics_response_response_desc(), out);
	out->name = q->name;
	out->topic_id = q->topic_id;
	if (err == ERR_INVALID_TOPIC_EXCEPTION) /* as Kafka: nothing there has such a name */
		err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (!err) {
		struct topic_uuid uuid = topic_uuid(t);
		out->name = slice_str(topic_name(t));
		memcpy(out->topic_id.bytes, uuid.bytes, sizeof uuid.bytes);
		err = broker_topic_delete(server_broker(x->server), topic_name(t), &why);
	}
	return fill_error(x, err, &why, &out->error_code, &out->error_message);
}

static void delete_topics(struct exchange *x)
{
	const struct delete_topics_request *request = x->request;
	struct delete_topics_response *response = x->response;

	for (int32_t i = 0; i < response->responses.n; i++) {
		struct delete_topics_request_topic q = {{NULL, 0}, {{0}}};
		if (request->topics.n)
			q = request->topics.v[i];
		else
			q.name = request->topic_names.v[i];
		if (!delete_one(x, &q, &response->responses.v[i])) {
			server_store_failed(x);
			return;
		}
	}
	exchange_reply(x);
}

void handle_delete_topics(struct exchange *x, const struct delete_topics_request *request,
			  struct delete_topics_response *response)
{
	response->responses.n = request->topics.n + request->topic_names.n;
	response->responses.v =
		exchange_alloc(x, (size_t)response->responses.n, sizeof *response->responses.v);
	exchange_offload(x, delete_topics);
}

/* --- CreatePartitions --- */

static enum ks_err check_new_partitions(struct exchange *x, struct topic *t,
					const struct create_partitions_request_topic *q,
					struct ks_why *why)
{
	if (q->assignments.n < 0)
		return ERR_NONE;
	if (q->assignments.n != q->count - topic_partition_count(t))
		return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
			       "%" PRId32 " assignments for %" PRId32 " new partitions",
			       q->assignments.n, q->count - topic_partition_count(t));
	for (int32_t i = 0; i < q->assignments.n; i++)
		if (!is_this_node(x, q->assignments.v[i].broker_ids.v,
				  q->assignments.v[i].broker_ids.n))
			return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
				       "the only broker is %" PRId32,
				       server_options_of(x->server)->node_id);
	return ERR_NONE;
}

static bool add_partitions(struct exchange *x, const struct create_partitions_request_topic *q,
			   bool validate_only, struct create_partitions_response_result *out)
{
	struct broker *b = server_broker(x->server);
	struct ks_why why = {""};
	struct topic *t;
	enum ks_err err = lookup_topic(x, q->name, &t);

	wire_defaults(create_partitions_response_result_desc(), out);
	out->name = q->name;
	if (!err)
		err = broker_topic_check_partitions(b, topic_name(t), q->count, &why);
	if (!err)
		err = check_new_partitions(x, t, q, &why);
	if (!err && !validate_only)
		err = broker_topic_add_partitions(b, topic_name(t), q->count, &why);
	return fill_error(x, err, &why, &out->error_code, &out->error_message);
}

static void create_partitions(struct exchange *x)
{
	const struct create_partitions_request *request = x->request;
	struct create_partitions_response *response = x->response;

	for (int32_t i = 0; i < request->topics.n; i++)
		if (!add_partitions(x, &request->topics.v[i], request->validate_only,
				    &response->results.v[i])) {
			server_store_failed(x);
			return;
		}
	exchange_reply(x);
}

void handle_create_partitions(struct exchange *x, const struct create_partitions_request *request,
			      struct create_partitions_response *response)
{
	response->results.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->results.v);
	response->results.n = request->topics.n;
	exchange_offload(x, create_partitions);
}

/* --- DeleteRecords --- */

static bool delete_before(struct exchange *x, struct slice topic,
			  const struct delete_records_request_partition *q,
			  struct delete_records_response_partition *out)
{
	struct broker *b = server_broker(x->server);
	struct partition *p;
	enum ks_err err = lookup_partition(x, topic, q->partition_index, &p);

	*out = (struct delete_records_response_partition){.partition_index = q->partition_index,
							  .low_watermark = -1};
	if (!err && (q->offset < -1 || q->offset > partition_high_watermark(p)))
		err = ERR_OFFSET_OUT_OF_RANGE;
	if (!err)
		err = broker_trim(b, p, q->offset, &out->low_watermark, NULL);
	out->error_code = wire_code(err);
	return !broker_failure(b);
}

static void delete_records(struct exchange *x)
{
	const struct delete_records_request *request = x->request;
	struct delete_records_response *response = x->response;

	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct delete_records_request_topic *t = &request->topics.v[i];
		for (int32_t j = 0; j < t->partitions.n; j++)
			if (!delete_before(x, t->name, &t->partitions.v[j],
					   &response->topics.v[i].partitions.v[j])) {
				server_store_failed(x);
				return;
			}
	}
	exchange_reply(x);
}

void handle_delete_records(struct exchange *x, const struct delete_records_request *request,
			   struct delete_records_response *response)
{
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	response->topics.n = request->topics.n;
	for (int32_t i = 0; i < request->topics.n; i++) {
		int32_t n = request->topics.v[i].partitions.n;
		response->topics.v[i].name = request->topics.v[i].name;
		response->topics.v[i].partitions.n = n;
		response->topics.v[i].partitions.v =
			exchange_alloc(x, (size_t)n, sizeof *response->topics.v[i].partitions.v);
	}
	exchange_offload(x, delete_records);
}

/* metadata.c - Metadata: the one broker, and topics with their partitions, all led by it.
 *
 * Known topics are answered on the loop. When one that is named may have to be created, a worker does it, for creating waits
 * for the shard.
 */
#include <stdlib.h>

#include "server/handlers.h"
#include "server/lookup.h"
#include "server/server.h"

static void describe_partitions(struct exchange *x, struct topic *t,
				struct metadata_response_topic *out)
{
	int32_t count = topic_partition_count(t), *node = lookup_nodes(x);

	out->partitions.v = exchange_alloc(x, (size_t)count, sizeof *out->partitions.v);
	out->partitions.n = count;
	for (int32_t i = 0; i < count; i++) {
		struct metadata_response_partition *p = &out->partitions.v[i];
		p->partition_index = i;
		p->leader_id = *node;
		p->leader_epoch = LEADER_EPOCH_NOW;
		p->replica_nodes.v = p->isr_nodes.v = node;
		p->replica_nodes.n = p->isr_nodes.n = 1;
	}
}

static void describe(struct exchange *x, struct topic *t, struct metadata_response_topic *out)
{
	const struct metadata_request *request = x->request;
	struct topic_uuid uuid = topic_uuid(t);

	out->error_code = ERR_NONE;
	out->name = slice_str(topic_name(t));
	memcpy(out->topic_id.bytes, uuid.bytes, sizeof uuid.bytes);
	out->is_internal = topic_is_internal(t);
	if (request->include_topic_authorized_operations)
		out->topic_authorized_operations = TOPIC_OPERATIONS;
	describe_partitions(x, t, out);
}

static bool is_by_id(const struct metadata_request_topic *q)
{
	static const struct wire_uuid none;
	return memcmp(&q->topic_id, &none, sizeof none) != 0;
}

static enum ks_err find(struct exchange *x, const struct metadata_request_topic *q,
			struct topic **out)
{
	return is_by_id(q) ? lookup_topic_id(x, q->topic_id, out) : lookup_topic(x, q->name, out);
}

static bool may_create(const struct exchange *x)
{
	const struct metadata_request *request = x->request;
	return request->allow_auto_topic_creation &&
	       server_options_of(x->server)->auto_create_topics;
}

static enum ks_err create(struct exchange *x, struct slice name, struct topic **out)
{
	struct topic *t =
		broker_topic_find_or_create(server_broker(x->server), lookup_text(x, name), NULL);

	if (!t)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*out = t;
	return ERR_NONE;
}

static void answer_one(struct exchange *x, const struct metadata_request_topic *q, bool creates,
		       struct metadata_response_topic *out)
{
	struct topic *t;

	wire_defaults(metadata_response_topic_desc(), out);
	enum ks_err err = find(x, q, &t);
	if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION && creates)
		err = create(x, q->name, &t);
	if (!err) {
		describe(x, t, out);
		return;
	}
	out->error_code = wire_code(err);
	out->name = q->name;
	out->topic_id = q->topic_id;
}

static void answer_named(struct exchange *x, bool creates)
{
	const struct metadata_request *request = x->request;
	struct metadata_response *response = x->response;

	for (int32_t i = 0; i < request->topics.n; i++)
		answer_one(x, &request->topics.v[i], creates, &response->topics.v[i]);
	exchange_reply(x);
}

static void create_and_answer(struct exchange *x)
{
	answer_named(x, true);
}

static bool one_is_unknown(struct exchange *x)
{
	const struct metadata_request *request = x->request;
	struct topic *t;

	for (int32_t i = 0; i < request->topics.n; i++)
		if (find(x, &request->topics.v[i], &t) == ERR_UNKNOWN_TOPIC_OR_PARTITION)
			return true;
	return false;
}

static void answer_all(struct exchange *x)
{
	struct metadata_response *response = x->response;
	size_t count;
	struct topic **topics = broker_topics(server_broker(x->server), &count);

	response->topics.v = exchange_alloc(x, count, sizeof *response->topics.v);
	response->topics.n = (int32_t)count;
	for (size_t i = 0; i < count; i++) {
		wire_defaults(metadata_response_topic_desc(), &response->topics.v[i]);
		describe(x, topics[i], &response->topics.v[i]);
	}
	free(topics);
	exchange_reply(x);
}

static void describe_cluster(struct exchange *x)
{
	const struct metadata_request *request = x->request;
	const struct server_options *options = server_options_of(x->server);
	struct metadata_response *response = x->response;
	struct metadata_response_broker *b = exchange_alloc(x, 1, sizeof *b);

	b->node_id = options->node_id;
	b->host = exchange_host(x);
	b->port = exchange_port(x);
	b->rack = options->rack ? slice_str(options->rack) : SLICE_NULL;
	response->brokers.v = b;
	response->brokers.n = 1;
	response->cluster_id = slice_str(server_cluster_id(x->server));
	response->controller_id = options->node_id;
	if (request->include_cluster_authorized_operations)
		response->cluster_authorized_operations = CLUSTER_OPERATIONS;
}

void handle_metadata(struct exchange *x, const struct metadata_request *request,
		     struct metadata_response *response)
{
	describe_cluster(x);
	if (request->topics.n < 0 || (request->topics.n == 0 && x->header.api_version == 0)) {
		answer_all(x);
		return;
	}
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	response->topics.n = request->topics.n;
	if (may_create(x) && one_is_unknown(x))
		exchange_offload(x, create_and_answer);
	else
		answer_named(x, false);
}

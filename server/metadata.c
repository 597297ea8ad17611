/* metadata.c - Metadata and DescribeTopicPartitions: which topics there are, and that all of them
 * are here.
 *
 * Everything is answered from memory, on the loop's thread. Only a topic that has to be made first
 * takes the request to a worker.
 */
#include <stdlib.h>

#include "server/admin.h"
#include "server/connection.h"
#include "server/lookup.h"
#include "server/loop_impl.h"
#include "server/server.h"

/* --- Metadata: topics --- */

/* One partition: this node leads it, has it, and always has. */
static void fill_partition(int32_t *node, int32_t index, struct metadata_response_partition *p)
{
	*p = (struct metadata_response_partition){.partition_index = index,
						  .leader_id = *node,
						  .leader_epoch = LEADER_EPOCH_NOW,
						  .replica_nodes = {node, 1},
						  .isr_nodes = {node, 1}};
}

static void fill_topic(struct exchange *x, struct topic *t, int32_t *node,
		       struct metadata_response_topic *out)
{
	const struct metadata_request *request = x->request;
	int32_t n = topic_partition_count(t);

	out->name = slice_str(topic_name(t));
	out->topic_id = admin_uuid(t);
	out->is_internal = topic_is_internal(t);
	out->partitions.n = n;
	out->partitions.v = exchange_alloc(x, (size_t)n, sizeof *out->partitions.v);
	for (int32_t i = 0; i < n; i++)
		fill_partition(node, i, &out->partitions.v[i]);
	if (request->include_topic_authorized_operations)
		out->topic_authorized_operations = TOPIC_OPERATIONS;
}

static void all_topics(struct exchange *x)
{
	struct metadata_response *response = x->response;
	int32_t *node = admin_node(x);
	size_t count;
	struct topic **topics = broker_topics(server_broker(x->server), &count);

	response->topics.v = exchange_alloc(x, count, sizeof *response->topics.v);
	response->topics.n = (int32_t)count;
	for (size_t i = 0; i < count; i++) {
		wire_defaults(metadata_response_topic_desc(), &response->topics.v[i]);
		fill_topic(x, topics[i], node, &response->topics.v[i]);
	}
	free(topics);
}

static bool may_create(const struct exchange *x)
{
	const struct metadata_request *request = x->request;

	return request->allow_auto_topic_creation &&
	       server_options_of(x->server)->auto_create_topics;
}

/* Somebody else may be faster, which is as good. */
static enum ks_err create(struct exchange *x, struct slice name, struct topic **out)
{
	struct topic_spec spec = {.name = admin_text(x, name)};
	struct ks_why unused;
	enum ks_err err = broker_topic_create(server_broker(x->server), &spec, &unused);

	return err && err != ERR_TOPIC_ALREADY_EXISTS ? err : lookup_topic(x, name, out);
}

static bool is_zero(struct wire_uuid id)
{
	static const struct wire_uuid zero;

	return memcmp(&id, &zero, sizeof id) == 0;
}

/* Topics by id came with version 10 and work since 12. */
static enum ks_err find(struct exchange *x, const struct metadata_request_topic *q,
			struct topic **out)
{
	if (!is_zero(q->topic_id) && x->header.api_version < 12)
		return ERR_INVALID_REQUEST;
	if (!is_zero(q->topic_id))
		return lookup_topic_id(x, q->topic_id, out);
	return q->name.data ? lookup_topic(x, q->name, out) : ERR_INVALID_REQUEST;
}

/* A topic that may be made anew is not looked for among those that are gone. */
static enum ks_err find_or_recall(struct exchange *x, const struct metadata_request_topic *q,
				  struct topic **out)
{
	struct connection *c = x->connection;
	enum ks_err err = find(x, q, out);

	if (err != ERR_UNKNOWN_TOPIC_OR_PARTITION && err != ERR_UNKNOWN_TOPIC_ID)
		return err;
	*out = gone_topics_find(&c->gone, is_zero(q->topic_id) ? q->name : SLICE_NULL, q->topic_id,
				loop_timers_now_ms(&c->loop->timers));
	return *out ? ERR_NONE : err;
}

static void answer_topic(struct exchange *x, const struct metadata_request_topic *q, int32_t *node,
			 bool creates, struct metadata_response_topic *out)
{
	struct topic *t = NULL;
	enum ks_err err = creates ? find(x, q, &t) : find_or_recall(x, q, &t);

	wire_defaults(metadata_response_topic_desc(), out);
	if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION && creates)
		err = create(x, q->name, &t);
	if (!err && admin_is_full(x))
		err = ERR_INVALID_REQUEST;
	if (!err) {
		fill_topic(x, t, node, out);
		return;
	}
	out->error_code = wire_code(err);
	out->topic_id = q->topic_id;
	out->name = q->name;
	if (!q->name.data && x->header.api_version < 12)
		out->name = slice_str("");
}

static struct slice asked_name(struct exchange *x, int32_t i)
{
	const struct metadata_request *request = x->request;
	const struct metadata_request_topic *q = &request->topics.v[i];

	return is_zero(q->topic_id) ? q->name
				    : slice_of(q->topic_id.bytes, sizeof q->topic_id.bytes);
}

/* A topic that is asked for twice is answered once: what is asked is short, what is answered is
 * not. */
static void named_topics(struct exchange *x, bool creates)
{
	const struct metadata_request *request = x->request;
	struct metadata_response *response = x->response;
	int32_t *node = admin_node(x), n = request->topics.n, kept = 0;
	bool *repeated = admin_repeated(x, n, asked_name);

	response->topics.v = exchange_alloc(x, (size_t)n, sizeof *response->topics.v);
	for (int32_t i = 0; i < n; i++)
		if (!repeated[i])
			answer_topic(x, &request->topics.v[i], node, creates,
				     &response->topics.v[kept++]);
	response->topics.n = kept;
}

static bool has_missing(struct exchange *x)
{
	const struct metadata_request *request = x->request;

	for (int32_t i = 0; i < request->topics.n; i++) {
		struct topic *t;
		if (find(x, &request->topics.v[i], &t) == ERR_UNKNOWN_TOPIC_OR_PARTITION)
			return true;
	}
	return false;
}

static void create_and_reply(struct exchange *x)
{
	named_topics(x, true);
	admin_reply(x);
}

/* --- Metadata: the cluster --- */

static void fill_cluster(struct exchange *x, struct metadata_response *response)
{
	const struct metadata_request *request = x->request;
	const struct server_options *o = server_options_of(x->server);

	response->brokers.v = exchange_alloc(x, 1, sizeof *response->brokers.v);
	response->brokers.n = 1;
	response->brokers.v[0] = (struct metadata_response_broker){
		.node_id = o->node_id,
		.host = exchange_host(x),
		.port = exchange_port(x),
		.rack = o->rack ? slice_str(o->rack) : SLICE_NULL};
	response->cluster_id = slice_str(server_cluster_id(x->server));
	response->controller_id = o->node_id;
	if (request->include_cluster_authorized_operations)
		response->cluster_authorized_operations = CLUSTER_OPERATIONS;
}

void handle_metadata(struct exchange *x, const struct metadata_request *request,
		     struct metadata_response *response)
{
	/* Version 0 has no null: no names at all are all names. */
	bool is_all =
		request->topics.n < 0 || (x->header.api_version == 0 && request->topics.n == 0);

	fill_cluster(x, response);
	if (!is_all && may_create(x) && has_missing(x)) {
		exchange_offload(x, create_and_reply);
		return;
	}
	if (is_all)
		all_topics(x);
	else
		named_topics(x, false);
	exchange_reply(x);
}

/* --- DescribeTopicPartitions: pages of partitions, in the order of topics --- */

#define PAGE_PARTITIONS_MAX 2000

struct page {
	struct exchange *x;
	const struct describe_topic_partitions_request_cursor *from; /* NULL: the beginning */
	int32_t *node;
	int32_t left; /* partitions that still fit */
};

static void page_end(struct page *p, struct slice topic, int32_t partition)
{
	struct describe_topic_partitions_response *response = p->x->response;
	struct describe_topic_partitions_response_next_cursor *next =
		exchange_alloc(p->x, 1, sizeof *next);

	next->topic_name = topic;
	next->partition_index = partition;
	response->next_cursor = next;
}

static void page_partitions(struct page *p, int32_t first, int32_t n,
			    struct describe_topic_partitions_response_topic *out)
{
	out->partitions.v = exchange_alloc(p->x, (size_t)n, sizeof *out->partitions.v);
	out->partitions.n = n;
	for (int32_t i = 0; i < n; i++) {
		struct describe_topic_partitions_response_partition *row = &out->partitions.v[i];
		wire_defaults(describe_topic_partitions_response_partition_desc(), row);
		row->partition_index = first + i;
		row->leader_id = *p->node;
		row->leader_epoch = LEADER_EPOCH_NOW;
		row->replica_nodes.v = row->isr_nodes.v = p->node;
		row->replica_nodes.n = row->isr_nodes.n = 1;
		/* Empty, not null: the Java admin client falls over null. */
		row->eligible_leader_replicas.n = row->last_known_elr.n = 0;
	}
	p->left -= n;
}

/* One topic, from where the cursor stands in it. False: the page is full. */
static bool page_topic(struct page *p, struct slice name,
		       struct describe_topic_partitions_response_topic *out)
{
	struct topic *t;
	enum ks_err err = lookup_topic(p->x, name, &t);
	int32_t first = 0;

	wire_defaults(describe_topic_partitions_response_topic_desc(), out);
	out->name = name;
	if (err) {
		out->error_code = wire_code(err);
		return true;
	}
	if (p->from && slice_equal(p->from->topic_name, name))
		first = p->from->partition_index;
	int32_t count = topic_partition_count(t), n = count > first ? count - first : 0;
	out->topic_id = admin_uuid(t);
	out->is_internal = topic_is_internal(t);
	out->topic_authorized_operations = TOPIC_OPERATIONS;
	page_partitions(p, first, n < p->left ? n : p->left, out);
	if (out->partitions.n == n)
		return true;
	page_end(p, name, first + out->partitions.n);
	return false;
}

static int compare_names(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return slice_compare(*x, *y);
}

/* The topics that are asked for, sorted and each once; without names all of them. */
static struct slice *page_names(struct exchange *x, int32_t *count)
{
	const struct describe_topic_partitions_request *request = x->request;
	struct slice *names;
	int32_t kept = 0;

	if (request->topics.n == 0) {
		size_t n;
		struct topic **topics = broker_topics(server_broker(x->server), &n);
		names = exchange_alloc(x, n, sizeof *names);
		for (size_t i = 0; i < n; i++)
			names[i] = slice_str(topic_name(topics[i]));
		free(topics);
		*count = (int32_t)n;
		return names;
	}
	names = exchange_alloc(x, (size_t)request->topics.n, sizeof *names);
	for (int32_t i = 0; i < request->topics.n; i++)
		names[i] = request->topics.v[i].name;
	qsort(names, (size_t)request->topics.n, sizeof *names, compare_names);
	for (int32_t i = 0; i < request->topics.n; i++)
		if (!kept || !slice_equal(names[i], names[kept - 1]))
			names[kept++] = names[i];
	*count = kept;
	return names;
}

/* The cursor stands nowhere. There is no place for an error but the topics. */
static void page_refuse(struct page *p, const struct slice *names, int32_t count)
{
	struct describe_topic_partitions_response *response = p->x->response;

	response->topics.v = exchange_alloc(p->x, (size_t)count, sizeof *response->topics.v);
	response->topics.n = count;
	for (int32_t i = 0; i < count; i++) {
		wire_defaults(describe_topic_partitions_response_topic_desc(),
			      &response->topics.v[i]);
		response->topics.v[i].name = names[i];
		response->topics.v[i].error_code = ERR_INVALID_REQUEST;
	}
}

static int32_t page_size(int32_t wanted)
{
	return wanted < 1 ? 1 : wanted > PAGE_PARTITIONS_MAX ? PAGE_PARTITIONS_MAX : wanted;
}

void handle_describe_topic_partitions(struct exchange *x,
				      const struct describe_topic_partitions_request *request,
				      struct describe_topic_partitions_response *response)
{
	struct page p = {.x = x,
			 .from = request->cursor,
			 .node = admin_node(x),
			 .left = page_size(request->response_partition_limit)};
	int32_t count, i = 0;
	struct slice *names = page_names(x, &count);

	if (p.from && p.from->partition_index < 0) {
		page_refuse(&p, names, count);
		exchange_reply(x);
		return;
	}
	while (p.from && i < count && slice_compare(names[i], p.from->topic_name) < 0)
		i++;
	response->topics.v = exchange_alloc(x, (size_t)count, sizeof *response->topics.v);
	for (; i < count; i++) {
		if (p.left == 0) {
			page_end(&p, names[i], 0);
			break;
		}
		if (!page_topic(&p, names[i], &response->topics.v[response->topics.n++]))
			break;
	}
	exchange_reply(x);
}

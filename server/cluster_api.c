/* cluster_api.c - DescribeCluster, DescribeLogDirs, DescribeProducers, DescribeTopicPartitions. */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "server/handlers.h"
#include "server/lookup.h"
#include "server/server.h"

/* --- DescribeCluster --- */

enum { ENDPOINT_BROKERS = 1 };

void handle_describe_cluster(struct exchange *x, const struct describe_cluster_request *request,
			     struct describe_cluster_response *response)
{
	const struct server_options *options = server_options_of(x->server);
	struct describe_cluster_response_broker *b = exchange_alloc(x, 1, sizeof *b);

	response->endpoint_type = request->endpoint_type;
	response->cluster_id = slice_str(server_cluster_id(x->server));
	if (request->endpoint_type != ENDPOINT_BROKERS) {
		response->error_code = ERR_MISMATCHED_ENDPOINT_TYPE;
		response->error_message = slice_str("this is a broker, not a controller");
		exchange_reply(x);
		return;
	}
	*b = (struct describe_cluster_response_broker){
		.broker_id = options->node_id,
		.host = exchange_host(x),
		.port = exchange_port(x),
		.rack = options->rack ? slice_str(options->rack) : SLICE_NULL,
	};
	response->brokers.v = b;
	response->brokers.n = 1;
	response->controller_id = options->node_id;
	if (request->include_cluster_authorized_operations)
		response->cluster_authorized_operations = CLUSTER_OPERATIONS;
	exchange_reply(x);
}

/* --- DescribeLogDirs --- */

static void describe_size(struct topic *t, int32_t index,
			  struct describe_log_dirs_response_topic *out)
{
	struct partition *p;

	if (lookup_partition_of(t, index, &p))
		return; /* not in this directory */
	out->partitions.v[out->partitions.n++] = (struct describe_log_dirs_response_partition){
		.partition_index = index,
		.partition_size = (int64_t)partition_size_bytes(p),
	};
}

/* indexes == NULL: all. */
static void describe_sizes(struct exchange *x, struct topic *t, const int32_t *indexes,
			   int32_t count, struct describe_log_dirs_response_topic *out)
{
	out->name = slice_str(topic_name(t));
	out->partitions.v = exchange_alloc(x, (size_t)count, sizeof *out->partitions.v);
	for (int32_t i = 0; i < count; i++)
		describe_size(t, indexes ? indexes[i] : i, out);
}

static void describe_all_sizes(struct exchange *x, struct describe_log_dirs_response_result *out)
{
	size_t count;
	struct topic **topics = broker_topics(server_broker(x->server), &count);

	out->topics.v = exchange_alloc(x, count, sizeof *out->topics.v);
	out->topics.n = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		describe_sizes(x, topics[i], NULL, topic_partition_count(topics[i]),
			       &out->topics.v[i]);
	free(topics);
}

static void describe_named_sizes(struct exchange *x,
				 const struct describe_log_dirs_request *request,
				 struct describe_log_dirs_response_result *out)
{
	struct topic *t;

	out->topics.v = exchange_alloc(x, (size_t)request->topics.n, sizeof *out->topics.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct describe_log_dirs_request_topic *q = &request->topics.v[i];
		if (!lookup_topic(x, q->topic, &t))
			describe_sizes(x, t, q->partitions.v, q->partitions.n,
				       &out->topics.v[out->topics.n++]);
	}
}

void handle_describe_log_dirs(struct exchange *x, const struct describe_log_dirs_request *request,
			      struct describe_log_dirs_response *response)
{
	struct describe_log_dirs_response_result *out = exchange_alloc(x, 1, sizeof *out);
	const char *dir = broker_dir(server_broker(x->server));
	struct statvfs volume;

	wire_defaults(describe_log_dirs_response_result_desc(), out);
	out->log_dir = slice_str(dir ? dir : "");
	if (dir && !statvfs(dir, &volume)) {
		out->total_bytes = (int64_t)(volume.f_blocks * volume.f_frsize);
		out->usable_bytes = (int64_t)(volume.f_bavail * volume.f_frsize);
	}
	if (request->topics.n < 0)
		describe_all_sizes(x, out);
	else
		describe_named_sizes(x, request, out);
	response->results.v = out;
	response->results.n = 1;
	exchange_reply(x);
}

/* --- DescribeProducers --- */

static enum ks_err describe_active(struct exchange *x, struct partition *p,
				   struct describe_producers_response_partition *out)
{
	struct producer_row *rows;
	size_t count;
	enum ks_err err = broker_partition_producers(server_broker(x->server), p, &rows, &count);

	if (err)
		return err;
	out->active_producers.v = exchange_alloc(x, count, sizeof *out->active_producers.v);
	out->active_producers.n = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		out->active_producers.v[i] = (struct describe_producers_response_active_producer){
			.producer_id = rows[i].producer_id,
			.producer_epoch = rows[i].producer_epoch,
			.last_sequence = rows[i].last_sequence,
			.last_timestamp = rows[i].last_timestamp,
			.current_txn_start_offset = -1,
		};
	free(rows);
	return ERR_NONE;
}

static void describe_producers(struct exchange *x)
{
	const struct describe_producers_request *request = x->request;
	struct describe_producers_response *response = x->response;
	struct partition *p;

	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct describe_producers_request_topic *q = &request->topics.v[i];
		struct describe_producers_response_topic *t = &response->topics.v[i];
		t->name = q->name;
		t->partitions.n = q->partition_indexes.n;
		t->partitions.v =
			exchange_alloc(x, (size_t)t->partitions.n, sizeof *t->partitions.v);
		for (int32_t j = 0; j < t->partitions.n; j++) {
			struct describe_producers_response_partition *out = &t->partitions.v[j];
			out->partition_index = q->partition_indexes.v[j];
			enum ks_err err = lookup_partition(x, q->name, out->partition_index, &p);
			out->error_code = wire_code(err ? err : describe_active(x, p, out));
		}
	}
	exchange_reply(x);
}

/* Asks the shard, so a worker does it. */
void handle_describe_producers(struct exchange *x, const struct describe_producers_request *request,
			       struct describe_producers_response *response)
{
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	response->topics.n = request->topics.n;
	exchange_offload(x, describe_producers);
}

/* --- DescribeTopicPartitions --- */

#define PARTITIONS_IN_ONE_ANSWER 2000

struct page {
	struct exchange *x;
	struct slice *names; /* sorted */
	size_t count;
	int32_t left; /* partitions that the answer may still have */
};

static int compare_names(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The names to tell of, in their order, each once. */
static void collect_names(struct page *page,
			  const struct describe_topic_partitions_request *request)
{
	size_t count = (size_t)request->topics.n;
	struct topic **topics = NULL;

	if (!count)
		topics = broker_topics(server_broker(page->x->server), &count);
	page->names = exchange_alloc(page->x, count, sizeof *page->names);
	for (size_t i = 0; i < count; i++)
		page->names[i] =
			topics ? slice_str(topic_name(topics[i])) : request->topics.v[i].name;
	free(topics);
	qsort(page->names, count, sizeof *page->names, compare_names);
	for (size_t i = 0; i < count; i++)
		if (!page->count || !slice_equal(page->names[page->count - 1], page->names[i]))
			page->names[page->count++] = page->names[i];
}

static void fill_partition(struct exchange *x, int32_t index,
			   struct describe_topic_partitions_response_partition *out)
{
	int32_t *node = lookup_nodes(x);

	wire_defaults(describe_topic_partitions_response_partition_desc(), out);
	out->partition_index = index;
	out->leader_id = *node;
	out->leader_epoch = LEADER_EPOCH_NOW;
	out->replica_nodes.v = out->isr_nodes.v = node;
	out->replica_nodes.n = out->isr_nodes.n = 1;
	/* Empty, not null: Java's admin client falls over null. */
	out->eligible_leader_replicas.n = out->last_known_elr.n = 0;
}

/* Tells of the partitions from first on. Returns the first one that did not fit; 0: all did. */
static int32_t fill_topic(struct page *page, struct topic *t, int32_t first,
			  struct describe_topic_partitions_response_topic *out)
{
	int32_t all = topic_partition_count(t), count = all > first ? all - first : 0;
	struct topic_uuid uuid = topic_uuid(t);

	if (count > page->left)
		count = page->left;
	memcpy(out->topic_id.bytes, uuid.bytes, sizeof uuid.bytes);
	out->is_internal = topic_is_internal(t);
	out->topic_authorized_operations = TOPIC_OPERATIONS;
	out->partitions.v = exchange_alloc(page->x, (size_t)count, sizeof *out->partitions.v);
	out->partitions.n = count;
	for (int32_t i = 0; i < count; i++)
		fill_partition(page->x, first + i, &out->partitions.v[i]);
	page->left -= count;
	return first + count < all ? first + count : 0;
}

static void go_on_at(struct exchange *x, struct slice name, int32_t index)
{
	struct describe_topic_partitions_response *response = x->response;
	struct describe_topic_partitions_response_next_cursor *next =
		exchange_alloc(x, 1, sizeof *next);

	next->topic_name = name;
	next->partition_index = index;
	response->next_cursor = next;
}

/* false: the answer is full. */
static bool add_topic(struct page *page, struct slice name, int32_t first)
{
	struct describe_topic_partitions_response *response = page->x->response;
	struct topic *t;

	if (!page->left) {
		go_on_at(page->x, name, first);
		return false;
	}
	struct describe_topic_partitions_response_topic *out =
		&response->topics.v[response->topics.n++];
	wire_defaults(describe_topic_partitions_response_topic_desc(), out);
	out->name = name;
	enum ks_err err = lookup_topic(page->x, name, &t);
	out->error_code = wire_code(err);
	if (err)
		return true;
	int32_t next = fill_topic(page, t, first, out);
	if (next)
		go_on_at(page->x, name, next);
	return !next;
}

void handle_describe_topic_partitions(struct exchange *x,
				      const struct describe_topic_partitions_request *request,
				      struct describe_topic_partitions_response *response)
{
	int32_t limit = request->response_partition_limit;
	struct page page = {.x = x, .left = PARTITIONS_IN_ONE_ANSWER};

	if (limit > 0 && limit < page.left)
		page.left = limit;
	collect_names(&page, request);
	response->topics.v = exchange_alloc(x, page.count, sizeof *response->topics.v);
	for (size_t i = 0; i < page.count; i++) {
		int32_t first = 0;
		if (request->cursor) {
			int order = slice_compare(page.names[i], request->cursor->topic_name);
			if (order < 0)
				continue;
			if (order == 0)
				first = request->cursor->partition_index;
		}
		if (!add_topic(&page, page.names[i], first < 0 ? 0 : first))
			break;
	}
	exchange_reply(x);
}

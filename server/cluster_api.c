/* cluster_api.c - DescribeCluster, DescribeLogDirs, DescribeProducers: one node, one directory. */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "server/admin.h"
#include "server/lookup.h"
#include "server/server.h"

/* --- DescribeCluster --- */

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static void fill_cluster(struct exchange *x, struct describe_cluster_response *response)
{
	const struct describe_cluster_request *request = x->request;
	const struct server_options *o = server_options_of(x->server);

	response->controller_id = o->node_id;
	response->brokers.v = exchange_alloc(x, 1, sizeof *response->brokers.v);
	response->brokers.n = 1;
	response->brokers.v[0] = (struct describe_cluster_response_broker){
		.broker_id = o->node_id,
		.host = exchange_host(x),
		.port = exchange_port(x),
		.rack = o->rack ? slice_str(o->rack) : SLICE_NULL};
	if (request->include_cluster_authorized_operations)
		response->cluster_authorized_operations = CLUSTER_OPERATIONS;
}

void handle_describe_cluster(struct exchange *x, const struct describe_cluster_request *request,
			     struct describe_cluster_response *response)
{
	response->endpoint_type = request->endpoint_type;
	response->cluster_id = slice_str(server_cluster_id(x->server));
	if (request->endpoint_type == ENDPOINT_BROKERS) {
		fill_cluster(x, response);
	} else if (request->endpoint_type == ENDPOINT_CONTROLLERS) {
		response->error_code = ERR_MISMATCHED_ENDPOINT_TYPE;
		response->error_message = slice_str("brokers are here, controllers are not");
	} else {
		response->error_code = ERR_UNSUPPORTED_ENDPOINT_TYPE;
		response->error_message = slice_str("this type of endpoint is not known");
	}
	exchange_reply(x);
}

/* --- DescribeLogDirs --- */

static void fill_log(struct topic *t, int32_t index, struct describe_log_dirs_response_partition *p)
{
	*p = (struct describe_log_dirs_response_partition){
		.partition_index = index,
		.partition_size = (int64_t)partition_size_bytes(topic_partition(t, index))};
}

static void log_of_all(struct exchange *x, struct describe_log_dirs_response_result *out)
{
	size_t count;
	struct topic **topics = broker_topics(server_broker(x->server), &count);

	out->topics.v = exchange_alloc(x, count, sizeof *out->topics.v);
	out->topics.n = (int32_t)count;
	for (size_t i = 0; i < count; i++) {
		int32_t n = topic_partition_count(topics[i]);
		out->topics.v[i].name = slice_str(topic_name(topics[i]));
		out->topics.v[i].partitions.n = n;
		out->topics.v[i].partitions.v =
			exchange_alloc(x, (size_t)n, sizeof *out->topics.v[i].partitions.v);
		for (int32_t k = 0; k < n; k++)
			fill_log(topics[i], k, &out->topics.v[i].partitions.v[k]);
	}
	free(topics);
}

/* What is not there is left out. */
static void log_of_named(struct exchange *x, struct describe_log_dirs_response_result *out)
{
	const struct describe_log_dirs_request *request = x->request;

	out->topics.v = exchange_alloc(x, (size_t)request->topics.n, sizeof *out->topics.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct describe_log_dirs_request_topic *q = &request->topics.v[i];
		struct describe_log_dirs_response_topic *row = &out->topics.v[out->topics.n];
		struct topic *t;
		if (lookup_topic(x, q->topic, &t))
			continue;
		row->name = q->topic;
		row->partitions.v =
			exchange_alloc(x, (size_t)q->partitions.n, sizeof *row->partitions.v);
		for (int32_t k = 0; k < q->partitions.n; k++) {
			int32_t index = q->partitions.v[k];
			if (index >= 0 && index < topic_partition_count(t))
				fill_log(t, index, &row->partitions.v[row->partitions.n++]);
		}
		if (row->partitions.n)
			out->topics.n++;
	}
}

static void describe_log_dirs(struct exchange *x)
{
	const struct describe_log_dirs_request *request = x->request;
	struct describe_log_dirs_response *response = x->response;
	const char *dir = broker_dir(server_broker(x->server));
	struct describe_log_dirs_response_result *out = exchange_alloc(x, 1, sizeof *out);
	struct statvfs fs;

	wire_defaults(describe_log_dirs_response_result_desc(), out);
	out->log_dir = slice_str(dir ? dir : "memory");
	if (dir && statvfs(dir, &fs) == 0) {
		out->total_bytes = (int64_t)(fs.f_blocks * fs.f_frsize);
		out->usable_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
	}
	if (request->topics.n < 0)
		log_of_all(x, out);
	else
		log_of_named(x, out);
	response->results.v = out;
	response->results.n = 1;
	exchange_reply(x);
}

void handle_describe_log_dirs(struct exchange *x, const struct describe_log_dirs_request *request,
			      struct describe_log_dirs_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, describe_log_dirs); /* asking the file system may take long */
}

/* --- DescribeProducers --- */

static enum ks_err producers_of(struct exchange *x, struct slice topic,
				struct describe_producers_response_partition *out,
				struct ks_why *why)
{
	struct partition *p;
	struct producer_row *rows;
	size_t count;
	enum ks_err err = lookup_partition(x, topic, out->partition_index, &p);

	if (!err && admin_is_full(x))
		return ks_fail(why, ERR_INVALID_REQUEST, ADMIN_FULL);
	if (!err)
		err = broker_partition_producers(server_broker(x->server), p, &rows, &count);
	if (err)
		return ks_fail(why, err, "%s", ks_err_text(err));
	out->active_producers.v = exchange_alloc(x, count, sizeof *out->active_producers.v);
	out->active_producers.n = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		out->active_producers.v[i] = (struct describe_producers_response_active_producer){
			.producer_id = rows[i].producer_id,
			.producer_epoch = rows[i].producer_epoch,
			.last_sequence = rows[i].last_sequence,
			.last_timestamp = rows[i].last_timestamp,
			.coordinator_epoch = rows[i].coordinator_epoch,
			.current_txn_start_offset = rows[i].txn_start_offset};
	free(rows);
	return ERR_NONE;
}

static void describe_producers(struct exchange *x)
{
	const struct describe_producers_request *request = x->request;
	struct describe_producers_response *response = x->response;
	size_t n = (size_t)request->topics.n;

	response->topics.v = exchange_alloc(x, n, sizeof *response->topics.v);
	response->topics.n = request->topics.n;
	for (size_t i = 0; i < n; i++) {
		const struct describe_producers_request_topic *q = &request->topics.v[i];
		struct describe_producers_response_topic *row = &response->topics.v[i];
		row->name = q->name;
		row->partitions.n = q->partition_indexes.n;
		row->partitions.v = exchange_alloc(x, (size_t)q->partition_indexes.n,
						   sizeof *row->partitions.v);
		for (int32_t k = 0; k < q->partition_indexes.n; k++) {
			struct describe_producers_response_partition *p = &row->partitions.v[k];
			struct ks_why why = {""};
			p->partition_index = q->partition_indexes.v[k];
			p->error_code = wire_code(producers_of(x, q->name, p, &why));
			p->error_message = admin_message(x, &why);
		}
	}
	admin_reply(x);
}

void handle_describe_producers(struct exchange *x, const struct describe_producers_request *request,
			       struct describe_producers_response *response)
{
	(void)request;
	(void)response;
	exchange_offload(x, describe_producers);
}

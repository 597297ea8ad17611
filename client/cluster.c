/* cluster.c - see cluster.h. */
#include "client/cluster.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/address.h"

#define METADATA_VERSION_MIN 4 /* allow_auto_topic_creation */
#define METADATA_VERSION_END 13
#define RETRY_MS             15000
#define PAUSE_FIRST_MS       50
#define PAUSE_MAX_MS         1000
#define LEADERLESS_MS        10000 /* how long a partition may be without a leader */

struct node {
	struct client_broker broker;
	struct client_connection *connection; /* NULL: not yet, or it broke */
	bool is_current;                      /* while metadata is taken over */
};

struct topic_leaders {
	char *topic;
	int32_t *leaders;
	int32_t count;
};

struct client_cluster {
	struct client_options options;
	struct client_address *seeds;
	size_t seed_count, next_seed;
	struct client_connection *seed; /* to a bootstrap address, until a broker is known by id */

	struct node *nodes;
	size_t node_count;
	int32_t controller;
	char *id;

	struct topic_leaders *topics; /* in the order of their names */
	size_t topic_count;

	char *group; /* whose coordinator is known, see is_txn; NULL: nobody's */
	bool is_txn; /* it is a transactional id */
	int32_t coordinator;
};

/* --- retries --- */

struct client_retry client_retry_in(int timeout_ms)
{
	return (struct client_retry){.deadline_ns = clock_monotonic_ns(&clock_real) +
						    (int64_t)timeout_ms * 1000000};
}

/* No longer than the sender may try whose cluster this is. */
static int patience(const struct client_cluster *cl, int ms)
{
	int limit = cl->options.delivery_timeout_ms;

	return limit && limit < ms ? limit : ms;
}

bool client_retry_pause(struct client_cluster *cl, struct client_retry *retry)
{
	struct pollfd stop = {cl->options.stop_fd, POLLIN, 0};
	int64_t pause = PAUSE_FIRST_MS;
	int64_t left = (retry->deadline_ns - clock_monotonic_ns(&clock_real)) / 1000000;
	int n;

	for (int i = 0; i < retry->attempt && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	retry->attempt++;
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	if (left < pause)
		return false;
	do
		n = poll(&stop, cl->options.stop_fd ? 1 : 0, (int)pause);
	while (n < 0 && errno == EINTR);
	return n == 0;
}

/* --- connections --- */

static void drop(struct client_connection **c)
{
	client_connection_close(*c);
	*c = NULL;
}

static struct client_connection *usable(struct client_connection **c)
{
	if (*c && !client_connection_is_alive(*c))
		drop(c);
	return *c;
}

static struct node *find_node(struct client_cluster *cl, int32_t id)
{
	for (size_t i = 0; i < cl->node_count; i++)
		if (cl->nodes[i].broker.id == id)
			return &cl->nodes[i];
	return NULL;
}

static enum ks_err reach(struct client_cluster *cl, const struct client_broker *b,
			 struct client_connection **out, struct ks_why *why)
{
	struct ks_why inner = {""};
	enum ks_err err = client_connection_open(b->host, b->port, &cl->options, out, &inner);

	if (err == ERR_UNREACHABLE)
		return ks_fail(why, err, "%.800s (the cluster says that node %d is there)",
			       inner.text, b->id);
	return err ? ks_fail(why, err, "%s", inner.text) : ERR_NONE;
}

static enum ks_err unknown_node(int32_t node, struct ks_why *why)
{
	return ks_fail(why, ERR_BROKER_NOT_AVAILABLE, "the cluster has no node %d", node);
}

enum ks_err client_cluster_connect(struct client_cluster *cl, int32_t node,
				   struct client_connection **out, struct ks_why *why)
{
	struct node *n = find_node(cl, node);

	return n ? reach(cl, &n->broker, out, why) : unknown_node(node, why);
}

static enum ks_err connection_to(struct client_cluster *cl, int32_t node,
				 struct client_connection **out, struct ks_why *why)
{
	struct node *n = find_node(cl, node);
	enum ks_err err = ERR_NONE;

	if (!n)
		return unknown_node(node, why);
	if (!usable(&n->connection))
		err = reach(cl, &n->broker, &n->connection, why);
	if (!err)
		*out = n->connection;
	return err;
}

/* The first of the bootstrap addresses that answers, beginning where the last attempt succeeded. */
static enum ks_err connect_seed(struct client_cluster *cl, struct ks_why *why)
{
	enum ks_err err = ERR_UNREACHABLE;
	struct ks_why first = {""}, other;

	for (size_t i = 0; i < cl->seed_count && err; i++) {
		const struct client_address *a = &cl->seeds[cl->next_seed];
		err = client_connection_open(a->host, a->port, &cl->options, &cl->seed,
					     i ? &other : &first);
		if (err)
			cl->next_seed = (cl->next_seed + 1) % cl->seed_count;
	}
	if (err && cl->seed_count > 1)
		return ks_fail(why, err, "none of %zu brokers answers: %.900s", cl->seed_count,
			       first.text);
	return err ? ks_fail(why, err, "%s", first.text) : ERR_NONE;
}

static enum ks_err any_connection(struct client_cluster *cl, struct client_connection **out,
				  struct ks_why *why)
{
	struct ks_why unused;

	for (size_t i = 0; i < cl->node_count; i++)
		if ((*out = usable(&cl->nodes[i].connection)))
			return ERR_NONE;
	if ((*out = usable(&cl->seed)))
		return ERR_NONE;
	for (size_t i = 0; i < cl->node_count; i++) {
		if (connection_to(cl, cl->nodes[i].broker.id, out, &unused) == ERR_NONE)
			return ERR_NONE;
	}
	enum ks_err err = connect_seed(cl, why);
	*out = cl->seed;
	return err;
}

/* --- what metadata tells --- */

static void node_fini(struct node *n)
{
	client_connection_close(n->connection);
	free(n->broker.host);
	free(n->broker.rack);
}

static void learn_broker(struct client_cluster *cl, const struct metadata_response_broker *b)
{
	struct node *n = find_node(cl, b->node_id);
	bool is_same = n && n->broker.port == (uint16_t)b->port &&
		       slice_equal(slice_str(n->broker.host), b->host);

	if (n && !is_same)
		node_fini(n);
	if (!n) {
		cl->nodes = xrealloc(cl->nodes, (cl->node_count + 1) * sizeof *cl->nodes);
		n = &cl->nodes[cl->node_count++];
	}
	if (!is_same)
		*n = (struct node){.broker = {.id = b->node_id,
					      .host = slice_strdup(b->host),
					      .rack = b->rack.data ? slice_strdup(b->rack) : NULL,
					      .port = (uint16_t)b->port}};
	n->is_current = true;
}

static void learn_brokers(struct client_cluster *cl, const struct metadata_response *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < cl->node_count; i++)
		cl->nodes[i].is_current = false;
	for (int32_t i = 0; i < m->brokers.n; i++)
		learn_broker(cl, &m->brokers.v[i]);
	for (size_t i = 0; i < cl->node_count; i++) {
		if (cl->nodes[i].is_current)
			cl->nodes[kept++] = cl->nodes[i];
		else
			node_fini(&cl->nodes[i]);
	}
	cl->node_count = kept;
	cl->controller = m->controller_id;
	free(cl->id);
	cl->id = m->cluster_id.data ? slice_strdup(m->cluster_id) : NULL;
}

/* The place of a topic, or where it belongs. */
static size_t topic_place(const struct client_cluster *cl, struct slice name, bool *is_there)
{
	size_t low = 0, high = cl->topic_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = slice_compare(slice_str(cl->topics[mid].topic), name);
		if (order == 0) {
			*is_there = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*is_there = false;
	return low;
}

static void forget_topic(struct client_cluster *cl, struct slice name)
{
	bool is_there;
	size_t at = topic_place(cl, name, &is_there);

	if (!is_there)
		return;
	free(cl->topics[at].topic);
	free(cl->topics[at].leaders);
	cl->topic_count--;
	memmove(&cl->topics[at], &cl->topics[at + 1], (cl->topic_count - at) * sizeof *cl->topics);
}

static void learn_leaders(struct client_cluster *cl, const struct metadata_response_topic *t)
{
	bool is_there;

	if (!t->name.data)
		return;
	forget_topic(cl, t->name);
	if (t->error_code)
		return;
	size_t at = topic_place(cl, t->name, &is_there);
	cl->topics = xrealloc(cl->topics, (cl->topic_count + 1) * sizeof *cl->topics);
	memmove(&cl->topics[at + 1], &cl->topics[at], (cl->topic_count - at) * sizeof *cl->topics);
	cl->topic_count++;
	struct topic_leaders *l = &cl->topics[at];
	*l = (struct topic_leaders){.topic = slice_strdup(t->name),
				    .leaders =
					    xcalloc((size_t)t->partitions.n + 1, sizeof(int32_t)),
				    .count = t->partitions.n};
	for (int32_t i = 0; i < l->count; i++)
		l->leaders[i] = -1;
	for (int32_t i = 0; i < t->partitions.n; i++) {
		const struct metadata_response_partition *p = &t->partitions.v[i];
		if (p->partition_index >= 0 && p->partition_index < l->count)
			l->leaders[p->partition_index] = p->leader_id;
	}
}

enum ks_err client_cluster_metadata(struct client_cluster *cl, const char *const *names,
				    size_t count, bool may_create, struct client_reply *r,
				    struct ks_why *why)
{
	struct metadata_request request = {.topics = {.n = names ? (int32_t)count : -1},
					   .allow_auto_topic_creation = may_create};
	struct client_question q = {.call = {.api_key = API_metadata,
					     .version_min = METADATA_VERSION_MIN,
					     .version_end = METADATA_VERSION_END,
					     .request = &request},
				    .where = CLIENT_ANY,
				    .is_repeatable = true};

	request.topics.v = xcalloc(count + 1, sizeof *request.topics.v);
	for (size_t i = 0; names && i < count; i++)
		request.topics.v[i].name = slice_str(names[i]);
	enum ks_err err = client_cluster_ask(cl, &q, r, why);
	free(request.topics.v);
	if (err)
		return err;
	const struct metadata_response *m = r->message;
	learn_brokers(cl, m);
	for (int32_t i = 0; i < m->topics.n; i++)
		learn_leaders(cl, &m->topics.v[i]);
	return ERR_NONE;
}

/* --- leaders --- */

static bool has_all_leaders(const struct topic_leaders *t)
{
	for (int32_t i = 0; i < t->count; i++)
		if (t->leaders[i] < 0)
			return false;
	return true;
}

/* Asks for one topic; its error is the result. */
static enum ks_err refresh(struct client_cluster *cl, const char *topic, struct ks_why *why)
{
	struct client_reply r;
	enum ks_err err = client_cluster_metadata(cl, &topic, 1, false, &r, why);

	if (err)
		return err;
	const struct metadata_response *m = r.message;
	err = m->topics.n == 1 ? (enum ks_err)m->topics.v[0].error_code
			       : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	client_reply_fini(&r);
	return err ? ks_fail(why, err, "topic \"%s\": %s", topic, ks_err_text(err)) : ERR_NONE;
}

enum ks_err client_cluster_leaders(struct client_cluster *cl, const char *topic,
				   const int32_t **leaders, int32_t *count, struct ks_why *why)
{
	struct client_retry retry = client_retry_in(patience(cl, LEADERLESS_MS));
	enum ks_err err = ERR_NONE;
	bool is_there;
	size_t at = topic_place(cl, slice_str(topic), &is_there);

	while (!is_there || !has_all_leaders(&cl->topics[at])) {
		err = refresh(cl, topic, why);
		at = topic_place(cl, slice_str(topic), &is_there);
		if (!err && is_there && has_all_leaders(&cl->topics[at]))
			break;
		if (err && err != ERR_LEADER_NOT_AVAILABLE)
			return err;
		if (!client_retry_pause(cl, &retry))
			break;
	}
	if (!is_there)
		return err ? err : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*leaders = cl->topics[at].leaders;
	*count = cl->topics[at].count;
	return ERR_NONE;
}

enum ks_err client_check_partition(const char *topic, int64_t partition, int32_t count,
				   struct ks_why *why)
{
	if (partition >= 0 && partition < count)
		return ERR_NONE;
	return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION,
		       "topic \"%s\" has no partition %lld; its partitions are 0 to %d", topic,
		       (long long)partition, count - 1);
}

void client_cluster_forget_leaders(struct client_cluster *cl, const char *topic)
{
	forget_topic(cl, slice_str(topic));
}

/* --- the coordinator of a group or transactional id --- */

int32_t client_cluster_coordinator(const struct client_cluster *cl)
{
	return cl->group ? cl->coordinator : -1;
}

void client_cluster_forget_coordinator(struct client_cluster *cl)
{
	free(cl->group);
	cl->group = NULL;
}

static enum ks_err coordinator_told(struct client_cluster *cl, const char *group, bool is_txn,
				    const struct client_reply *r, int32_t *node)
{
	const struct find_coordinator_response *m = r->message;
	enum ks_err err = (enum ks_err)m->error_code;
	struct metadata_response_broker b = {
		.node_id = m->node_id, .host = m->host, .port = m->port};

	if (r->version >= 4) {
		if (m->coordinators.n != 1)
			return ERR_COORDINATOR_NOT_AVAILABLE;
		const struct find_coordinator_response_coordinator *c = &m->coordinators.v[0];
		err = (enum ks_err)c->error_code;
		b.node_id = c->node_id;
		b.host = c->host;
		b.port = c->port;
	}
	if (err || b.node_id < 0)
		return err ? err : ERR_COORDINATOR_NOT_AVAILABLE;
	learn_broker(cl, &b);
	client_cluster_forget_coordinator(cl);
	cl->group = xstrdup(group);
	cl->is_txn = is_txn;
	cl->coordinator = *node = b.node_id;
	return ERR_NONE;
}

/* Asks once. */
static enum ks_err find_coordinator(struct client_cluster *cl, const char *group, bool is_txn,
				    int32_t *node, struct ks_why *why)
{
	struct slice key = slice_str(group);
	struct find_coordinator_request request = {
		.key = key, .key_type = is_txn, .coordinator_keys = {&key, 1}};
	struct client_call call = {.api_key = API_find_coordinator,
				   .version_min = is_txn, /* version 0 knows groups alone */
				   .request = &request};
	struct client_connection *c;
	struct client_reply r;

	if (cl->group && cl->is_txn == is_txn && strcmp(cl->group, group) == 0) {
		*node = cl->coordinator;
		return ERR_NONE;
	}
	enum ks_err err = any_connection(cl, &c, why);
	if (!err)
		err = client_connection_call(c, &call, &r, why);
	if (err)
		return err;
	err = coordinator_told(cl, group, is_txn, &r, node);
	client_reply_fini(&r);
	if (err)
		return ks_fail(why, err, "%s \"%s\": %s", is_txn ? "transactional id" : "group",
			       group, ks_err_text(err));
	return ERR_NONE;
}

/* --- asking --- */

static bool asks_coordinator(const struct client_question *q)
{
	return q->where == CLIENT_COORDINATOR || q->where == CLIENT_TXN_COORDINATOR;
}

static enum ks_err choose(struct client_cluster *cl, const struct client_question *q,
			  struct client_connection **out, struct ks_why *why)
{
	int32_t node = q->node;
	enum ks_err err = ERR_NONE;

	if (asks_coordinator(q))
		err = find_coordinator(cl, q->group, q->where == CLIENT_TXN_COORDINATOR, &node,
				       why);
	if (err)
		return err;
	if (q->where == CLIENT_CONTROLLER)
		node = cl->controller;
	if (q->where == CLIENT_ANY || (q->where == CLIENT_CONTROLLER && !find_node(cl, node)))
		return any_connection(cl, out, why);
	return connection_to(cl, node, out, why);
}

/* Who was asked may no longer be the one. */
static void look_again(struct client_cluster *cl, const struct client_question *q)
{
	struct client_reply r;
	struct ks_why unused;

	if (asks_coordinator(q))
		client_cluster_forget_coordinator(cl);
	else if (q->where == CLIENT_CONTROLLER &&
		 !client_cluster_metadata(cl, (const char *const[]){""}, 0, false, &r, &unused))
		client_reply_fini(&r);
}

static bool is_lost(enum ks_err err)
{
	return err == ERR_UNREACHABLE || err == ERR_REQUEST_TIMED_OUT;
}

enum ks_err client_cluster_ask(struct client_cluster *cl, const struct client_question *q,
			       struct client_reply *r, struct ks_why *why)
{
	struct client_retry retry = client_retry_in(q->retry_ms < 0   ? 0
						    : q->retry_ms > 0 ? q->retry_ms
								      : patience(cl, RETRY_MS));

	for (;;) {
		struct client_connection *c = NULL;
		enum ks_err err = choose(cl, q, &c, why);
		bool was_sent = !err;
		if (!err)
			err = client_connection_call(c, &q->call, r, why);
		if (!err && !(q->is_transient && q->is_transient(r)))
			return ERR_NONE;
		if (err && !is_lost(err) && !ks_err_is_retriable(err))
			return err;
		if (err && was_sent && !q->is_repeatable)
			return err;
		if (!client_retry_pause(cl, &retry))
			return err;
		if (!err)
			client_reply_fini(r);
		look_again(cl, q);
	}
}

/* --- opening --- */

enum ks_err client_cluster_open(const char *bootstrap, const struct client_options *options,
				struct client_cluster **out, struct ks_why *why)
{
	struct client_cluster *cl = xcalloc(1, sizeof *cl);
	struct client_reply r;

	cl->options = *options;
	cl->controller = -1;
	enum ks_err err = client_addresses_parse(bootstrap, &cl->seeds, &cl->seed_count, why);
	if (!err)
		err = connect_seed(cl, why);
	if (!err)
		err = client_cluster_metadata(cl, (const char *const[]){""}, 0, false, &r, why);
	if (err) {
		client_cluster_close(cl);
		return err;
	}
	client_reply_fini(&r);
	*out = cl;
	return ERR_NONE;
}

void client_cluster_close(struct client_cluster *cl)
{
	if (!cl)
		return;
	for (size_t i = 0; i < cl->node_count; i++)
		node_fini(&cl->nodes[i]);
	for (size_t i = 0; i < cl->topic_count; i++) {
		free(cl->topics[i].topic);
		free(cl->topics[i].leaders);
	}
	client_connection_close(cl->seed);
	client_cluster_forget_coordinator(cl);
	free(cl->nodes);
	free(cl->topics);
	free(cl->seeds);
	free(cl->id);
	free(cl);
}

size_t client_cluster_broker_count(const struct client_cluster *cl)
{
	return cl->node_count;
}

const struct client_broker *client_cluster_broker(const struct client_cluster *cl, size_t i)
{
	return &cl->nodes[i].broker;
}

int32_t client_cluster_controller(const struct client_cluster *cl)
{
	return cl->controller;
}

const char *client_cluster_id(const struct client_cluster *cl)
{
	return cl->id;
}

/* target_wire_topics.c - topics of a cluster: which there are, making, growing and deleting them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/target_wire.h"

#define CHANGE_MS  30000 /* how long the broker may take over a change, unless it is told */
#define CREATED_MS 10000 /* how long a new topic may take until every broker knows it */

static struct target_topic describe(struct wire_target *w, const struct metadata_response_topic *t)
{
	const char *name = wire_name(w, t->name);

	return (struct target_topic){
		.name = name,
		.partition_count = t->partitions.n,
		.replicas = t->partitions.n ? t->partitions.v[0].replica_nodes.n : 0,
		.is_internal = t->is_internal,
		.handle = (void *)name};
}

static int compare_topics(const void *a, const void *b)
{
	const struct target_topic *x = a, *y = b;

	return strcmp(x->name, y->name);
}

enum ks_err wire_topics(struct target *t, struct target_topic **out, size_t *count,
			struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	struct client_reply r;
	enum ks_err err = client_cluster_metadata(w->cluster, NULL, 0, false, &r, why);

	if (err)
		return err;
	const struct metadata_response *m = r.message;
	struct target_topic *rows = xcalloc((size_t)m->topics.n + 1, sizeof *rows);
	size_t n = 0;
	for (int32_t i = 0; i < m->topics.n; i++)
		if (m->topics.v[i].name.data)
			rows[n++] = describe(w, &m->topics.v[i]);
	client_reply_fini(&r);
	qsort(rows, n, sizeof *rows, compare_topics);
	*out = rows;
	*count = n;
	return ERR_NONE;
}

/* Asks once; the topic's error is the result. */
static enum ks_err ask_topic(struct wire_target *w, const char *name, bool may_create,
			     struct target_topic *out, struct ks_why *why)
{
	struct client_reply r;
	enum ks_err err = client_cluster_metadata(w->cluster, &name, 1, may_create, &r, why);

	if (err)
		return err;
	const struct metadata_response *m = r.message;
	err = m->topics.n == 1 ? (enum ks_err)m->topics.v[0].error_code
			       : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (!err && m->topics.v[0].partitions.n == 0)
		err = ERR_LEADER_NOT_AVAILABLE; /* they are still to come */
	if (!err)
		*out = describe(w, &m->topics.v[0]);
	else
		ks_fail(why, err, "topic \"%s\": %s", name, ks_err_text(err));
	client_reply_fini(&r);
	return err;
}

enum ks_err wire_topic_find(struct target *t, const char *name, bool may_create,
			    struct target_topic *out, struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	struct client_retry retry = client_retry_in(CREATED_MS);
	enum ks_err err = ask_topic(w, name, may_create, out, why);

	/* A topic that was just asked for is there soon. */
	while (err == ERR_LEADER_NOT_AVAILABLE ||
	       (err == ERR_UNKNOWN_TOPIC_OR_PARTITION && may_create)) {
		if (!client_retry_pause(w->cluster, &retry))
			break;
		err = ask_topic(w, name, may_create, out, why);
	}
	return err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? target_unknown_topic(t, name, why) : err;
}

/* --- changes, which the controller makes --- */

static int change_ms(const struct wire_target *w)
{
	int ms = w->options.client.broker_timeout_ms;

	return ms ? ms : CHANGE_MS;
}

static struct client_question to_controller(const struct wire_target *w, int16_t api_key,
					    const void *request)
{
	return (struct client_question){
		.call = {.api_key = api_key, .request = request, .timeout_ms = change_ms(w) + 5000},
		.where = CLIENT_CONTROLLER};
}

/* What the controller says of the one topic that it was asked about. */
struct outcome {
	enum ks_err err;
	struct slice message;
};

static const struct outcome no_outcome = {ERR_UNKNOWN_SERVER_ERROR, {NULL, 0}};

/* q's answer is read by outcome_of. */
static enum ks_err change_topic(struct target *t, const char *name, const struct client_question *q,
				struct outcome (*outcome_of)(const struct client_reply *r),
				struct ks_why *why)
{
	struct client_reply r;
	enum ks_err err = client_cluster_ask(wire_of(t)->cluster, q, &r, why);

	if (err)
		return err;
	struct outcome o = outcome_of(&r);
	if (o.err == ERR_UNKNOWN_TOPIC_OR_PARTITION)
		target_unknown_topic(t, name, why);
	else if (o.err == ERR_TOPIC_ALREADY_EXISTS)
		ks_fail(why, o.err, "topic \"%s\" exists already", name);
	else if (o.err)
		wire_refused("topic", name, o.err, o.message, why);
	client_reply_fini(&r);
	return o.err;
}

/* The outcome of one kind of answer, whose rows stand in list, and whether to ask again. */
#define OUTCOME(name, response, list)                                                              \
	static struct outcome name##_outcome(const struct client_reply *r)                         \
	{                                                                                          \
		const struct response *m = r->message;                                             \
		if (m->list.n != 1)                                                                \
			return no_outcome;                                                         \
		return (struct outcome){(enum ks_err)m->list.v[0].error_code,                      \
					m->list.v[0].error_message};                               \
	}                                                                                          \
	static bool name##_is_transient(const struct client_reply *r)                              \
	{                                                                                          \
		return name##_outcome(r).err == ERR_NOT_CONTROLLER;                                \
	}

OUTCOME(create, create_topics_response, topics)
OUTCOME(grow, create_partitions_response, results)
OUTCOME(delete, delete_topics_response, responses)

enum ks_err wire_topic_create(struct target *t, const struct topic_spec *spec, int32_t replicas,
			      bool is_dry_run, struct ks_why *why)
{
	struct create_topics_request_config *configs =
		xcalloc(spec->config_count + 1, sizeof *configs);
	struct create_topics_request_topic topic = {
		.name = slice_str(spec->name),
		.num_partitions = spec->partitions > 0 ? spec->partitions : -1,
		.replication_factor = (int16_t)replicas,
		.configs = {configs, (int32_t)spec->config_count}};
	struct create_topics_request request = {.topics = {&topic, 1},
						.timeout_ms = change_ms(wire_of(t)),
						.validate_only = is_dry_run};
	struct client_question q = to_controller(wire_of(t), API_create_topics, &request);

	q.is_transient = create_is_transient;
	q.call.version_min = 4; /* "as the broker likes it" for partitions and replicas */
	for (size_t i = 0; i < spec->config_count; i++) {
		configs[i].name = slice_str(spec->configs[i].key);
		configs[i].value = slice_str(spec->configs[i].value);
	}
	enum ks_err err = change_topic(t, spec->name, &q, create_outcome, why);
	free(configs);
	return err;
}

enum ks_err wire_topic_add_partitions(struct target *t, const char *name, int32_t new_count,
				      struct ks_why *why)
{
	struct create_partitions_request_topic topic = {
		.name = slice_str(name), .count = new_count, .assignments = {NULL, -1}};
	struct create_partitions_request request = {.topics = {&topic, 1},
						    .timeout_ms = change_ms(wire_of(t))};
	struct client_question q = to_controller(wire_of(t), API_create_partitions, &request);

	q.is_transient = grow_is_transient;
	return change_topic(t, name, &q, grow_outcome, why);
}

enum ks_err wire_topic_delete(struct target *t, const char *name, struct ks_why *why)
{
	struct slice text = slice_str(name);
	struct delete_topics_request_topic topic = {.name = text};
	struct delete_topics_request request = {.topics = {&topic, 1},
						.topic_names = {&text, 1},
						.timeout_ms = change_ms(wire_of(t))};
	struct client_question q = to_controller(wire_of(t), API_delete_topics, &request);

	q.is_transient = delete_is_transient;
	return change_topic(t, name, &q, delete_outcome, why);
}

/* --- where partitions live --- */

static void list_nodes(const int32_t *nodes, int32_t n, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = 0;
	for (int32_t i = 0; i < n && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%d", i ? "," : "", nodes[i]);
}

enum ks_err wire_nodes(struct target *t, const struct target_topic *topic, struct target_nodes *out,
		       struct ks_why *why)
{
	struct client_reply r;
	enum ks_err err =
		client_cluster_metadata(wire_of(t)->cluster, &topic->name, 1, false, &r, why);

	if (err)
		return err;
	const struct metadata_response *m = r.message;
	for (int32_t i = 0; i < topic->partition_count; i++)
		out[i] = (struct target_nodes){.leader = -1};
	for (int32_t i = 0; m->topics.n == 1 && i < m->topics.v[0].partitions.n; i++) {
		const struct metadata_response_partition *p = &m->topics.v[0].partitions.v[i];
		if (p->partition_index < 0 || p->partition_index >= topic->partition_count)
			continue;
		struct target_nodes *row = &out[p->partition_index];
		row->leader = p->leader_id;
		list_nodes(p->replica_nodes.v, p->replica_nodes.n, row->replicas,
			   sizeof row->replicas);
		list_nodes(p->isr_nodes.v, p->isr_nodes.n, row->in_sync, sizeof row->in_sync);
	}
	client_reply_fini(&r);
	return ERR_NONE;
}

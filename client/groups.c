/* groups.c - see groups.h. */
#include "client/groups.h"

#include <stdlib.h>

#include "client/assign.h"

#define ASSIGNMENT_BYTES_MAX ((size_t)16 << 20) /* of the decoded assignment of one member */

bool client_coordinator_may_change(enum ks_err err)
{
	return err == ERR_COORDINATOR_LOAD_IN_PROGRESS || err == ERR_COORDINATOR_NOT_AVAILABLE ||
	       err == ERR_NOT_COORDINATOR;
}

static enum ks_err group_error(const char *group, enum ks_err err, struct ks_why *why)
{
	return ks_fail(why, err, "group \"%s\": %s", group, ks_err_text(err));
}

/* --- list --- */

static bool list_is_transient(const struct client_reply *r)
{
	const struct list_groups_response *m = r->message;

	return client_coordinator_may_change((enum ks_err)m->error_code);
}

static enum ks_err list_of_broker(struct client_cluster *cl, int32_t node,
				  struct client_group **rows, size_t *count, struct ks_why *why)
{
	struct list_groups_request request = {0};
	struct client_question q = {.call = {.api_key = API_list_groups, .request = &request},
				    .where = CLIENT_NODE,
				    .node = node,
				    .is_transient = list_is_transient,
				    .is_repeatable = true};
	struct client_reply r;
	enum ks_err err = client_cluster_ask(cl, &q, &r, why);

	if (err)
		return err;
	const struct list_groups_response *m = r.message;
	err = (enum ks_err)m->error_code;
	if (err) {
		client_reply_fini(&r);
		return ks_fail(why, err, "cannot list the groups of node %d: %s", node,
			       ks_err_text(err));
	}
	*rows = xrealloc(*rows, (*count + (size_t)m->groups.n + 1) * sizeof **rows);
	for (int32_t i = 0; i < m->groups.n; i++) {
		const struct list_groups_response_group *g = &m->groups.v[i];
		(*rows)[(*count)++] = (struct client_group){.name = slice_strdup(g->group_id),
							    .state = slice_strdup(g->group_state),
							    .type = slice_strdup(g->group_type),
							    .coordinator = node};
	}
	client_reply_fini(&r);
	return ERR_NONE;
}

static int compare_groups(const void *a, const void *b)
{
	const struct client_group *x = a, *y = b;

	return strcmp(x->name, y->name);
}

enum ks_err client_groups_list(struct client_cluster *cl, struct client_group **out, size_t *count,
			       struct ks_why *why)
{
	size_t brokers = client_cluster_broker_count(cl), n = 0;
	struct client_group *rows = xcalloc(1, sizeof *rows);
	int32_t *ids = xcalloc(brokers + 1, sizeof *ids);
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < brokers; i++)
		ids[i] = client_cluster_broker(cl, i)->id;
	for (size_t i = 0; i < brokers && !err; i++)
		err = list_of_broker(cl, ids[i], &rows, &n, why);
	free(ids);
	if (err) {
		client_groups_free(rows, n);
		return err;
	}
	qsort(rows, n, sizeof *rows, compare_groups);
	*out = rows;
	*count = n;
	return ERR_NONE;
}

void client_groups_free(struct client_group *groups, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(groups[i].name);
		free(groups[i].state);
		free(groups[i].type);
	}
	free(groups);
}

/* --- describe --- */

static bool describe_is_transient(const struct client_reply *r)
{
	const struct describe_groups_response *m = r->message;

	return m->groups.n == 1 &&
	       client_coordinator_may_change((enum ks_err)m->groups.v[0].error_code);
}

/* A member that has no assignment yet has no bytes. */
static void read_shares(const struct describe_groups_response_member *from, struct arena *arena,
			struct client_group_member *to)
{
	struct consumer_protocol_assignment a;
	struct client_group_share *shares;

	if (from->member_assignment.len == 0 ||
	    assign_read_assignment(from->member_assignment, arena, ASSIGNMENT_BYTES_MAX, &a))
		return;
	shares = arena_alloc(arena, ((size_t)a.assigned_partitions.n + 1) * sizeof *shares);
	for (int32_t i = 0; i < a.assigned_partitions.n; i++)
		shares[i] = (struct client_group_share){a.assigned_partitions.v[i].topic,
							a.assigned_partitions.v[i].partitions.v,
							a.assigned_partitions.v[i].partitions.n};
	to->shares = shares;
	to->share_count = (size_t)a.assigned_partitions.n;
}

static void take_classic(const struct describe_groups_response_group *g,
			 struct client_group_description *out)
{
	struct arena *arena = &out->reply.arena;
	bool is_consumer = slice_equal(g->protocol_type, slice_str("consumer"));
	struct client_group_member *members =
		arena_alloc(arena, ((size_t)g->members.n + 1) * sizeof *members);

	out->state = g->group_state;
	out->assignor = g->protocol_data;
	out->members = members;
	out->member_count = (size_t)g->members.n;
	for (int32_t i = 0; i < g->members.n; i++) {
		const struct describe_groups_response_member *m = &g->members.v[i];
		members[i] = (struct client_group_member){.id = m->member_id,
							  .client_id = m->client_id,
							  .host = m->client_host,
							  .instance_id = m->group_instance_id};
		if (is_consumer)
			read_shares(m, arena, &members[i]);
	}
}

static void take_newer(const struct consumer_group_describe_response_group *g,
		       struct client_group_description *out)
{
	struct arena *arena = &out->reply.arena;
	struct client_group_member *members =
		arena_alloc(arena, ((size_t)g->members.n + 1) * sizeof *members);

	out->state = g->group_state;
	out->assignor = g->assignor_name;
	out->members = members;
	out->member_count = (size_t)g->members.n;
	for (int32_t i = 0; i < g->members.n; i++) {
		const struct consumer_group_describe_response_member *m = &g->members.v[i];
		int32_t n = m->assignment ? m->assignment->topic_partitions.n : 0;
		struct client_group_share *shares =
			arena_alloc(arena, ((size_t)n + 1) * sizeof *shares);
		for (int32_t k = 0; k < n; k++)
			shares[k] = (struct client_group_share){
				m->assignment->topic_partitions.v[k].topic_name,
				m->assignment->topic_partitions.v[k].partitions.v,
				m->assignment->topic_partitions.v[k].partitions.n};
		members[i] = (struct client_group_member){.id = m->member_id,
							  .client_id = m->client_id,
							  .host = m->client_host,
							  .instance_id = m->instance_id,
							  .shares = shares,
							  .share_count = (size_t)n};
	}
}

/* The description in the newer protocol; false: the group is none of that. */
static bool describe_newer(struct client_cluster *cl, const char *group,
			   struct client_group_description *out)
{
	struct slice name = slice_str(group);
	struct consumer_group_describe_request request = {.group_ids = {&name, 1}};
	struct client_question q = {
		.call = {.api_key = API_consumer_group_describe, .request = &request},
		.where = CLIENT_COORDINATOR,
		.group = group,
		.is_repeatable = true};
	struct ks_why unused;

	if (client_cluster_ask(cl, &q, &out->reply, &unused))
		return false;
	const struct consumer_group_describe_response *m = out->reply.message;
	if (m->groups.n == 1 && !m->groups.v[0].error_code) {
		take_newer(&m->groups.v[0], out);
		return true;
	}
	client_reply_fini(&out->reply);
	return false;
}

static enum ks_err describe_classic(struct client_cluster *cl, const char *group,
				    struct client_group_description *out, struct ks_why *why)
{
	struct slice name = slice_str(group);
	struct describe_groups_request request = {.groups = {&name, 1}};
	struct client_question q = {.call = {.api_key = API_describe_groups, .request = &request},
				    .where = CLIENT_COORDINATOR,
				    .group = group,
				    .is_transient = describe_is_transient,
				    .is_repeatable = true};
	enum ks_err err = client_cluster_ask(cl, &q, &out->reply, why);

	if (err)
		return err;
	const struct describe_groups_response *m = out->reply.message;
	err = m->groups.n == 1 ? (enum ks_err)m->groups.v[0].error_code : ERR_GROUP_ID_NOT_FOUND;
	if (err == ERR_GROUP_ID_NOT_FOUND) { /* from version 6 on */
		out->state = slice_str("Dead");
		return ERR_NONE;
	}
	if (err) {
		client_reply_fini(&out->reply);
		return group_error(group, err, why);
	}
	take_classic(&m->groups.v[0], out);
	return ERR_NONE;
}

enum ks_err client_group_describe(struct client_cluster *cl, const char *group,
				  struct client_group_description *out, struct ks_why *why)
{
	struct client_group_description d = {.coordinator = -1};
	enum ks_err err = describe_classic(cl, group, &d, why);

	if (err)
		return err;
	if (slice_equal(d.state, slice_str("Dead"))) {
		struct client_group_description newer = {.coordinator = -1};
		if (describe_newer(cl, group, &newer)) {
			client_reply_fini(&d.reply);
			d = newer;
		}
	}
	d.coordinator = client_cluster_coordinator(cl);
	*out = d;
	return ERR_NONE;
}

/* --- offsets --- */

struct offsets {
	struct client_group_offset *rows;
	size_t count;
};

static void add_offset(struct offsets *o, struct slice topic, int32_t partition, int64_t offset)
{
	if (offset < 0)
		return;
	if ((o->count & (o->count - 1)) == 0)
		o->rows = xrealloc(o->rows, (o->count ? o->count * 2 : 1) * sizeof *o->rows);
	o->rows[o->count++] = (struct client_group_offset){slice_strdup(topic), partition, offset};
}

static enum ks_err fetched(const struct client_reply *r, struct offsets *out)
{
	const struct offset_fetch_response *m = r->message;
	enum ks_err err = (enum ks_err)m->error_code;

	for (int32_t i = 0; r->version < 8 && i < m->topics.n && !err; i++) {
		for (int32_t k = 0; k < m->topics.v[i].partitions.n; k++) {
			const struct offset_fetch_response_partition *p =
				&m->topics.v[i].partitions.v[k];
			add_offset(out, m->topics.v[i].name, p->partition_index,
				   p->committed_offset);
		}
	}
	if (r->version < 8 || m->groups.n != 1)
		return err;
	const struct offset_fetch_response_group *g = &m->groups.v[0];
	err = (enum ks_err)g->error_code;
	for (int32_t i = 0; i < g->topics.n && !err; i++) {
		for (int32_t k = 0; k < g->topics.v[i].partitions.n; k++) {
			const struct offset_fetch_response_group_topic_partition *p =
				&g->topics.v[i].partitions.v[k];
			add_offset(out, g->topics.v[i].name, p->partition_index,
				   p->committed_offset);
		}
	}
	return err;
}

static bool offset_fetch_is_transient(const struct client_reply *r)
{
	const struct offset_fetch_response *m = r->message;
	enum ks_err err = (enum ks_err)m->error_code;

	if (r->version >= 8 && m->groups.n == 1)
		err = (enum ks_err)m->groups.v[0].error_code;
	return client_coordinator_may_change(err) || err == ERR_UNSTABLE_OFFSET_COMMIT;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct client_group_offset *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

enum ks_err client_group_offsets(struct client_cluster *cl, const char *group,
				 struct client_group_offset **out, size_t *count,
				 struct ks_why *why)
{
	struct offset_fetch_request_group row = {
		.group_id = slice_str(group), .member_epoch = -1, .topics = {NULL, -1}};
	struct offset_fetch_request request = {
		.group_id = slice_str(group), .topics = {NULL, -1}, .groups = {&row, 1}};
	struct client_question q = {.call = {.api_key = API_offset_fetch,
					     .version_min = 2,  /* all topics */
					     .version_end = 10, /* then topics go by id */
					     .request = &request},
				    .where = CLIENT_COORDINATOR,
				    .group = group,
				    .is_transient = offset_fetch_is_transient,
				    .is_repeatable = true};
	struct offsets found = {0};
	struct client_reply r;
	enum ks_err err = client_cluster_ask(cl, &q, &r, why);

	if (err)
		return err;
	err = fetched(&r, &found);
	client_reply_fini(&r);
	if (err && err != ERR_GROUP_ID_NOT_FOUND) {
		client_group_offsets_free(found.rows, found.count);
		return group_error(group, err, why);
	}
	if (found.count)
		qsort(found.rows, found.count, sizeof *found.rows, compare_offsets);
	*out = found.rows;
	*count = found.count;
	return ERR_NONE;
}

void client_group_offsets_free(struct client_group_offset *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(rows[i].topic);
	free(rows);
}

/* --- commit --- */

static enum ks_err commit_error(const struct client_reply *r)
{
	const struct offset_commit_response *m = r->message;

	for (int32_t i = 0; i < m->topics.n; i++)
		for (int32_t k = 0; k < m->topics.v[i].partitions.n; k++)
			if (m->topics.v[i].partitions.v[k].error_code)
				return (enum ks_err)m->topics.v[i].partitions.v[k].error_code;
	return ERR_NONE;
}

static bool commit_is_transient(const struct client_reply *r)
{
	return client_coordinator_may_change(commit_error(r));
}

/* Neighbours of the same topic become one element. */
static int32_t describe_commit(const struct client_group_offset *rows, size_t count,
			       struct offset_commit_request_topic *topics,
			       struct offset_commit_request_partition *partitions)
{
	int32_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		partitions[i] = (struct offset_commit_request_partition){
			.partition_index = rows[i].partition,
			.committed_offset = rows[i].offset,
			.committed_leader_epoch = -1,
			.committed_metadata = slice_str("")};
		if (i && strcmp(rows[i].topic, rows[i - 1].topic) == 0) {
			topics[kept - 1].partitions.n++;
			continue;
		}
		topics[kept].name = slice_str(rows[i].topic);
		topics[kept].partitions.v = &partitions[i];
		topics[kept].partitions.n = 1;
		kept++;
	}
	return kept;
}

enum ks_err client_group_commit(struct client_cluster *cl, const char *group,
				const struct client_committer *who,
				const struct client_group_offset *rows, size_t count,
				struct ks_why *why)
{
	struct offset_commit_request_topic *topics = xcalloc(count + 1, sizeof *topics);
	struct offset_commit_request_partition *partitions = xcalloc(count + 1, sizeof *partitions);
	struct offset_commit_request request = {
		.group_id = slice_str(group),
		.generation_id_or_member_epoch = who->generation,
		.member_id = slice_str(who->member_id ? who->member_id : ""),
		.group_instance_id = who->instance_id ? slice_str(who->instance_id) : SLICE_NULL,
		.retention_time_ms = -1};
	struct client_question q = {.call = {.api_key = API_offset_commit,
					     .version_end = 10, /* then topics go by id */
					     .request = &request},
				    .where = CLIENT_COORDINATOR,
				    .group = group,
				    .is_transient = commit_is_transient,
				    .is_repeatable = true};
	struct client_reply r;

	request.topics.v = topics;
	request.topics.n = describe_commit(rows, count, topics, partitions);
	enum ks_err err = client_cluster_ask(cl, &q, &r, why);
	free(topics);
	free(partitions);
	if (err)
		return err;
	err = commit_error(&r);
	client_reply_fini(&r);
	return err ? ks_fail(why, err, "cannot commit offsets of group \"%s\": %s", group,
			     ks_err_text(err))
		   : ERR_NONE;
}

/* --- delete --- */

static enum ks_err delete_error(const struct client_reply *r)
{
	const struct delete_groups_response *m = r->message;

	return m->results.n == 1 ? (enum ks_err)m->results.v[0].error_code
				 : ERR_UNKNOWN_SERVER_ERROR;
}

static bool delete_is_transient(const struct client_reply *r)
{
	return client_coordinator_may_change(delete_error(r));
}

enum ks_err client_group_delete(struct client_cluster *cl, const char *group, struct ks_why *why)
{
	struct slice name = slice_str(group);
	struct delete_groups_request request = {.groups_names = {&name, 1}};
	struct client_question q = {.call = {.api_key = API_delete_groups, .request = &request},
				    .where = CLIENT_COORDINATOR,
				    .group = group,
				    .is_transient = delete_is_transient};
	struct client_reply r;
	enum ks_err err = client_cluster_ask(cl, &q, &r, why);

	if (err)
		return err;
	err = delete_error(&r);
	client_reply_fini(&r);
	return err ? ks_fail(why, err, "%s", ks_err_text(err)) : ERR_NONE;
}

/* group_calls.h - what members and administrators ask the coordinator of groups. */
#ifndef TESTS_UNIT_BROKER_GROUP_CALLS_H
#define TESTS_UNIT_BROKER_GROUP_CALLS_H

#include "coordinator_calls.h"

/* --- the classic protocol, as a client speaks it --- */

struct joiner {
	const char *group, *member, *instance, *type;
	int16_t version;
	int32_t session_ms;
	struct slice metadata;
	/* made of them */
	struct join_group_request request;
	struct join_group_request_protocol protocol;
};

static inline struct sent *join_send(struct rig *r, struct joiner *j)
{
	j->protocol = (struct join_group_request_protocol){
		slice_str("range"), j->metadata.data ? j->metadata : slice_str("meta")};
	j->request = (struct join_group_request){
		.group_id = slice_str(j->group),
		.session_timeout_ms = j->session_ms ? j->session_ms : 10000,
		.rebalance_timeout_ms = 60000,
		.member_id = slice_str(j->member ? j->member : ""),
		.group_instance_id = j->instance ? slice_str(j->instance) : SLICE_NULL,
		.protocol_type = slice_str(j->type ? j->type : "test"),
		.protocols = {&j->protocol, 1},
	};
	return sent_new(r, API_join_group, j->version ? j->version : 9, &j->request);
}

/* The leader gives everybody its own id as assignment. */
struct syncer {
	struct sync_group_request request;
	struct sync_group_request_assignment assignments[16];
};

static inline struct sent *sync_send(struct rig *r, struct syncer *y, const char *group,
				     const struct join_group_response *joined)
{
	y->request = (struct sync_group_request){
		.group_id = slice_str(group),
		.generation_id = joined->generation_id,
		.member_id = joined->member_id,
		.protocol_type = slice_str("test"),
		.protocol_name = slice_str("range"),
		.assignments = {y->assignments, joined->members.n},
	};
	if (joined->protocol_type.data)
		y->request.protocol_type = joined->protocol_type;
	for (int32_t i = 0; i < joined->members.n; i++)
		y->assignments[i] = (struct sync_group_request_assignment){
			joined->members.v[i].member_id, joined->members.v[i].member_id};
	return sent_new(r, API_sync_group, 5, &y->request);
}

/* A stable group of one; its join's answer, which has the id and the generation. */
static inline struct sent *make_classic(struct rig *r, struct joiner *j)
{
	struct syncer y;

	j->version = j->version ? j->version : 3;
	struct sent *joining = join_send(r, j);
	pass(r, 3000);
	const struct join_group_response *joined = sent_wait(joining);
	assert_code(joined->error_code, ERR_NONE);
	struct sent *syncing = sync_send(r, &y, j->group, joined);
	const struct sync_group_response *synced = sent_wait(syncing);
	assert_code(synced->error_code, ERR_NONE);
	assert_true(slice_equal(synced->assignment, joined->member_id));
	sent_free(syncing);
	return joining;
}

static inline int16_t heartbeat(struct rig *r, const char *group, int32_t generation,
				struct slice member)
{
	struct heartbeat_request q = {
		.group_id = slice_str(group), .generation_id = generation, .member_id = member};
	struct sent *s = sent_new(r, API_heartbeat, 4, &q);
	int16_t code = ((struct heartbeat_response *)sent_wait(s))->error_code;

	sent_free(s);
	return code;
}

static inline int16_t leave(struct rig *r, const char *group, struct slice member)
{
	struct leave_group_request_member m = {.member_id = member};
	struct leave_group_request q = {.group_id = slice_str(group), .members = {&m, 1}};
	struct sent *s = sent_new(r, API_leave_group, 5, &q);
	const struct leave_group_response *a = sent_wait(s);
	int16_t code = a->error_code ? a->error_code : a->members.v[0].error_code;

	sent_free(s);
	return code;
}

/* --- offsets --- */

/* One commit of one partition, or one fetch; by name, and from version 10 on by id. */
struct committing {
	const char *group, *topic, *member, *metadata;
	int32_t partition, generation, leader_epoch;
	int64_t offset, retention_ms;
	int16_t version;
	/* made of them */
	struct offset_commit_request request;
	struct offset_commit_request_topic t;
	struct offset_commit_request_partition p;
};

static inline struct wire_uuid uuid_of_topic(struct rig *r, const char *name)
{
	struct wire_uuid u = {{0}};
	struct topic *t = broker_topic_find(r->b, name);

	if (t)
		memcpy(u.bytes, topic_uuid(t).bytes, sizeof u.bytes);
	return u;
}

static inline struct sent *commit_send(struct rig *r, struct committing *c)
{
	c->p = (struct offset_commit_request_partition){
		.partition_index = c->partition,
		.committed_offset = c->offset,
		.committed_leader_epoch = c->leader_epoch,
		.committed_metadata = c->metadata ? slice_str(c->metadata) : SLICE_NULL,
	};
	c->t = (struct offset_commit_request_topic){
		.name = slice_str(c->topic),
		.topic_id = uuid_of_topic(r, c->topic),
		.partitions = {&c->p, 1},
	};
	c->request = (struct offset_commit_request){
		.group_id = slice_str(c->group),
		.generation_id_or_member_epoch = c->generation,
		.member_id = slice_str(c->member ? c->member : ""),
		.retention_time_ms = c->retention_ms ? c->retention_ms : -1,
		.topics = {&c->t, 1},
	};
	return sent_new(r, API_offset_commit, c->version ? c->version : 9, &c->request);
}

static inline int16_t commit(struct rig *r, struct committing c)
{
	struct sent *s = commit_send(r, &c);
	const struct offset_commit_response *a = sent_wait(s);

	assert_int_equal(a->topics.n, 1);
	assert_int_equal(a->topics.v[0].partitions.n, 1);
	assert_int_equal(a->topics.v[0].partitions.v[0].partition_index, c.partition);
	int16_t code = a->topics.v[0].partitions.v[0].error_code;
	sent_free(s);
	return code;
}

struct fetched {
	int16_t code;
	int64_t offset;
	int32_t leader_epoch;
	char metadata[64];
};

struct fetching {
	const char *group, *topic, *member;
	int32_t partition, epoch;
	int16_t version;
	/* made of them */
	struct offset_fetch_request request;
	struct offset_fetch_request_topic t;
	struct offset_fetch_request_group g;
	struct offset_fetch_request_group_topic gt;
};

static inline struct sent *fetch_send(struct rig *r, struct fetching *f)
{
	f->t = (struct offset_fetch_request_topic){slice_str(f->topic), {&f->partition, 1}};
	f->gt = (struct offset_fetch_request_group_topic){
		slice_str(f->topic), uuid_of_topic(r, f->topic), {&f->partition, 1}};
	f->g = (struct offset_fetch_request_group){slice_str(f->group),
						   f->member ? slice_str(f->member) : SLICE_NULL,
						   f->member ? f->epoch : -1,
						   {&f->gt, 1}};
	f->request = (struct offset_fetch_request){.group_id = slice_str(f->group),
						   .topics = {&f->t, 1},
						   .groups = {&f->g, 1},
						   .require_stable = true};
	return sent_new(r, API_offset_fetch, f->version ? f->version : 9, &f->request);
}

static inline struct fetched fetched_of(struct sent *s)
{
	const struct offset_fetch_response *a = sent_wait(s);
	struct fetched out = {.offset = -99};
	struct slice metadata;

	if (s->call.version < 8) {
		assert_int_equal(a->topics.n, 1);
		const struct offset_fetch_response_partition *p = &a->topics.v[0].partitions.v[0];
		out = (struct fetched){a->error_code ? a->error_code : p->error_code,
				       p->committed_offset, p->committed_leader_epoch, ""};
		metadata = p->metadata;
	} else {
		assert_int_equal(a->groups.n, 1);
		out.code = a->groups.v[0].error_code;
		if (out.code)
			return out;
		assert_int_equal(a->groups.v[0].topics.n, 1);
		const struct offset_fetch_response_group_topic_partition *p =
			&a->groups.v[0].topics.v[0].partitions.v[0];
		out = (struct fetched){p->error_code, p->committed_offset,
				       p->committed_leader_epoch, ""};
		metadata = p->metadata;
	}
	assert_non_null(metadata.data);
	snprintf(out.metadata, sizeof out.metadata, "%.*s", (int)metadata.len,
		 (const char *)metadata.data);
	return out;
}

static inline struct fetched fetch(struct rig *r, struct fetching f)
{
	struct sent *s = fetch_send(r, &f);
	struct fetched out = fetched_of(s);

	sent_free(s);
	return out;
}

/* --- the consumer protocol --- */

#define OWNED_MAX 64

/* A client: what it is told is what it then has. */
struct consumer {
	const char *group, *id, *instance, *regex, *assignor;
	const char *topics[4]; /* until NULL */
	int16_t version;
	int32_t epoch;
	/* of the last answer */
	int16_t code;
	bool has_assignment;
	char message[128], given_id[64];
	struct wire_uuid topic[8];
	int32_t partitions[8][OWNED_MAX], counts[8], topic_count;
};

/* is_full: tells everything. */
static inline int16_t consumer_beat(struct rig *r, struct consumer *c, bool is_full)
{
	struct consumer_group_heartbeat_request_topic_partition owned[8];
	struct slice names[4];
	int32_t n = 0;

	while (n < 4 && c->topics[n]) {
		names[n] = slice_str(c->topics[n]);
		n++;
	}
	if (c->epoch == 0)
		c->topic_count = 0;
	for (int32_t i = 0; i < c->topic_count; i++)
		owned[i] = (struct consumer_group_heartbeat_request_topic_partition){
			c->topic[i], {c->partitions[i], c->counts[i]}};
	is_full |= c->epoch == 0;
	struct consumer_group_heartbeat_request q = {
		.group_id = slice_str(c->group),
		.member_id = slice_str(c->id ? c->id : ""),
		.member_epoch = c->epoch,
		.instance_id = c->instance ? slice_str(c->instance) : SLICE_NULL,
		.rebalance_timeout_ms = is_full ? 60000 : -1,
		.subscribed_topic_names = {names, is_full && !c->regex ? n : -1},
		.subscribed_topic_regex = is_full && c->regex ? slice_str(c->regex) : SLICE_NULL,
		.server_assignor = is_full && c->assignor ? slice_str(c->assignor) : SLICE_NULL,
		.topic_partitions = {owned, c->topic_count},
	};
	struct sent *s = sent_new(r, API_consumer_group_heartbeat, c->version, &q);
	const struct consumer_group_heartbeat_response *a = sent_wait(s);
	c->code = a->error_code;
	snprintf(c->message, sizeof c->message, "%.*s", (int)a->error_message.len,
		 a->error_message.data ? (const char *)a->error_message.data : "");
	c->has_assignment = a->assignment;
	if (!c->code) {
		c->epoch = a->member_epoch;
		snprintf(c->given_id, sizeof c->given_id, "%.*s", (int)a->member_id.len,
			 (const char *)a->member_id.data);
	}
	if (a->assignment) {
		c->topic_count = a->assignment->topic_partitions.n;
		assert_true(c->topic_count <= 8);
		for (int32_t i = 0; i < c->topic_count; i++) {
			c->topic[i] = a->assignment->topic_partitions.v[i].topic_id;
			c->counts[i] = a->assignment->topic_partitions.v[i].partitions.n;
			assert_true(c->counts[i] <= OWNED_MAX);
			memcpy(c->partitions[i], a->assignment->topic_partitions.v[i].partitions.v,
			       (size_t)c->counts[i] * sizeof(int32_t));
		}
	}
	int16_t code = c->code;
	sent_free(s);
	return code;
}

static inline int32_t consumer_owns(const struct consumer *c)
{
	int32_t n = 0;

	for (int32_t i = 0; i < c->topic_count; i++)
		n += c->counts[i];
	return n;
}

static inline int16_t consumer_leaves(struct rig *r, struct consumer *c, int32_t epoch)
{
	int32_t before = c->epoch;

	c->epoch = epoch;
	int16_t code = consumer_beat(r, c, false);
	c->epoch = code ? before : 0;
	return code;
}

/* The names that a filter lets through, as one text. */
static inline void list_groups(struct rig *r, const char *state_filter, const char *type_filter,
			       char *out)
{
	struct slice state = slice_str(state_filter ? state_filter : "");
	struct slice type = slice_str(type_filter ? type_filter : "");
	struct list_groups_request q = {{&state, state_filter != NULL},
					{&type, type_filter != NULL}};
	struct sent *s = sent_new(r, API_list_groups, 5, &q);
	const struct list_groups_response *a = sent_wait(s);

	*out = 0;
	for (int32_t i = 0; i < a->groups.n; i++) {
		const struct list_groups_response_group *g = &a->groups.v[i];
		sprintf(out + strlen(out), "%.*s/%.*s/%.*s/%.*s ", (int)g->group_id.len,
			g->group_id.data, (int)g->protocol_type.len, g->protocol_type.data,
			(int)g->group_state.len, g->group_state.data, (int)g->group_type.len,
			g->group_type.data);
	}
	sent_free(s);
}

static inline int16_t delete_offset(struct rig *r, const char *group, const char *topic,
				    int32_t partition, int16_t *of_group)
{
	struct offset_delete_request_partition p = {partition};
	struct offset_delete_request_topic t = {slice_str(topic), {&p, 1}};
	struct offset_delete_request q = {slice_str(group), {&t, 1}};
	struct sent *s = sent_new(r, API_offset_delete, 0, &q);
	const struct offset_delete_response *a = sent_wait(s);
	int16_t code = a->topics.n ? a->topics.v[0].partitions.v[0].error_code : 0;

	*of_group = a->error_code;
	sent_free(s);
	return code;
}

static inline int16_t delete_group(struct rig *r, const char *name)
{
	struct slice names[] = {slice_str(name)};
	struct delete_groups_request q = {{names, 1}};
	struct sent *s = sent_new(r, API_delete_groups, 2, &q);
	const struct delete_groups_response *a = sent_wait(s);

	assert_slice(a->results.v[0].group_id, name);
	int16_t code = a->results.v[0].error_code;
	sent_free(s);
	return code;
}

#endif

/* member.c - see member.h. */
#include "client/member.h"

#include <stdlib.h>

#include "base/clock.h"
#include "client/assign.h"

#define SESSION_MS      45000
#define REBALANCE_MS    60000
#define HEARTBEAT_MS    3000
#define ANSWER_SLACK_MS 15000 /* what a join may take longer than the rebalance */
#define JOIN_MS         300000
#define ASSIGNOR        "range"
#define SUBSCRIPTION_BYTES                                                                         \
	((size_t)16 << 20) /* memory for all decoded subscriptions, and for an assignment */

struct client_member {
	struct client_cluster *cluster;
	char *group;
	char **topics;
	size_t topic_count;
	int session_timeout_ms, rebalance_timeout_ms;
	int64_t heartbeat_interval_ns;

	char *id; /* "": none yet */
	int32_t generation;
	int64_t next_heartbeat_ns;
	struct client_assigned *assigned;
	size_t assigned_count;
};

struct client_member *client_member_new(struct client_cluster *cl,
					const struct client_member_options *options)
{
	struct client_member *m = xcalloc(1, sizeof *m);

	m->cluster = cl;
	m->group = xstrdup(options->group);
	m->topic_count = options->topic_count;
	m->topics = xcalloc(m->topic_count + 1, sizeof(char *));
	for (size_t i = 0; i < m->topic_count; i++)
		m->topics[i] = xstrdup(options->topics[i]);
	m->session_timeout_ms =
		options->session_timeout_ms ? options->session_timeout_ms : SESSION_MS;
	m->rebalance_timeout_ms =
		options->rebalance_timeout_ms ? options->rebalance_timeout_ms : REBALANCE_MS;
	m->heartbeat_interval_ns =
		INT64_C(1000000) *
		(options->heartbeat_interval_ms ? options->heartbeat_interval_ms : HEARTBEAT_MS);
	m->id = xstrdup("");
	m->generation = -1;
	return m;
}

static void set_id(struct client_member *m, struct slice id)
{
	char *text = slice_strdup(id); /* id may lie in what is freed */

	free(m->id);
	m->id = text;
}

static struct client_question question(struct client_member *m, int16_t api_key,
				       const void *request)
{
	return (struct client_question){.call = {.api_key = api_key, .request = request},
					.where = CLIENT_COORDINATOR,
					.group = m->group};
}

static enum ks_err refused(struct client_member *m, enum ks_err err, struct ks_why *why)
{
	return ks_fail(why, err, "cannot join group \"%s\": %s", m->group, ks_err_text(err));
}

/* --- the leader's work --- */

static int32_t partitions_of(void *arg, struct slice topic)
{
	struct client_member *m = arg;
	const int32_t *leaders;
	int32_t count;
	char name[256];
	struct ks_why unused;

	if (topic.len >= sizeof name)
		return 0;
	memcpy(name, topic.data, topic.len);
	name[topic.len] = 0;
	client_cluster_forget_leaders(m->cluster, name); /* it may have more partitions by now */
	return client_cluster_leaders(m->cluster, name, &leaders, &count, &unused) ? 0 : count;
}

/* All members' assignments as SyncGroup carries them. The texts lie in out, which must outlive
 * them. */
static void lead(struct client_member *m, const struct join_group_response *joined,
		 struct arena *arena, struct sync_group_request_assignment *rows, struct buf *out)
{
	size_t n = (size_t)joined->members.n;
	struct assign_member *members = xcalloc(n + 1, sizeof *members);
	size_t *ends = xcalloc(n + 1, sizeof *ends);

	for (size_t i = 0; i < n; i++) {
		members[i].id = joined->members.v[i].member_id;
		/* Who sends nonsense gets nothing. */
		if (assign_read_subscription(joined->members.v[i].metadata, arena,
					     SUBSCRIPTION_BYTES, &members[i].subscription))
			members[i].subscription.topics.n = 0;
	}
	assign_ranges(members, n, partitions_of, m, arena);
	for (size_t i = 0; i < n; i++) {
		assign_write_assignment(&members[i].assignment, out);
		ends[i] = out->len;
	}
	for (size_t i = 0; i < n; i++) {
		size_t from = i ? ends[i - 1] : 0;
		rows[i].member_id = members[i].id;
		rows[i].assignment = slice_of(out->data + from, ends[i] - from);
	}
	free(members);
	free(ends);
}

/* --- joining --- */

static enum ks_err send_join(struct client_member *m, struct client_reply *r, struct ks_why *why)
{
	struct slice *topics = xcalloc(m->topic_count + 1, sizeof *topics);
	struct consumer_protocol_subscription subscription = {
		.topics = {topics, (int32_t)m->topic_count}};
	struct join_group_request_protocol protocol = {.name = slice_str(ASSIGNOR)};
	struct join_group_request request = {.group_id = slice_str(m->group),
					     .session_timeout_ms = m->session_timeout_ms,
					     .rebalance_timeout_ms = m->rebalance_timeout_ms,
					     .member_id = slice_str(m->id),
					     .protocol_type = slice_str("consumer"),
					     .protocols = {&protocol, 1}};
	struct client_question q = question(m, API_join_group, &request);
	struct buf metadata = {0};

	for (size_t i = 0; i < m->topic_count; i++)
		topics[i] = slice_str(m->topics[i]);
	assign_write_subscription(&subscription, &metadata);
	protocol.metadata = buf_slice(&metadata);
	q.call.timeout_ms = m->rebalance_timeout_ms + ANSWER_SLACK_MS;
	q.call.is_interruptible = true;
	q.retry_ms = -1;
	enum ks_err err = client_cluster_ask(m->cluster, &q, r, why);
	buf_fini(&metadata);
	free(topics);
	return err;
}

static enum ks_err send_sync(struct client_member *m, const struct client_reply *joined,
			     struct client_reply *r, struct ks_why *why)
{
	const struct join_group_response *j = joined->message;
	bool is_leader = slice_equal(j->leader, j->member_id);
	struct sync_group_request_assignment *rows =
		xcalloc((size_t)j->members.n + 1, sizeof *rows);
	struct sync_group_request request = {.group_id = slice_str(m->group),
					     .generation_id = j->generation_id,
					     .member_id = j->member_id,
					     .protocol_type = slice_str("consumer"),
					     .protocol_name = slice_str(ASSIGNOR),
					     .assignments = {rows, 0}};
	struct client_question q = question(m, API_sync_group, &request);
	struct arena arena = {0};
	struct buf bytes = {0};

	if (is_leader && !j->skip_assignment) {
		lead(m, j, &arena, rows, &bytes);
		request.assignments.n = j->members.n;
	}
	q.call.timeout_ms = m->rebalance_timeout_ms + ANSWER_SLACK_MS;
	q.call.is_interruptible = true;
	q.retry_ms = -1;
	enum ks_err err = client_cluster_ask(m->cluster, &q, r, why);
	buf_fini(&bytes);
	arena_fini(&arena);
	free(rows);
	return err;
}

static const char *own_topic(const struct client_member *m, struct slice name)
{
	for (size_t i = 0; i < m->topic_count; i++)
		if (slice_equal(slice_str(m->topics[i]), name))
			return m->topics[i];
	return NULL;
}

static enum ks_err take_assignment(struct client_member *m, struct slice bytes, struct ks_why *why)
{
	struct consumer_protocol_assignment a;
	struct arena arena = {0};

	free(m->assigned);
	m->assigned = NULL;
	m->assigned_count = 0;
	if (bytes.len == 0)
		return ERR_NONE;
	enum ks_err err = assign_read_assignment(bytes, &arena, SUBSCRIPTION_BYTES, &a);
	for (int32_t i = 0; !err && i < a.assigned_partitions.n; i++) {
		const struct consumer_protocol_assignment_assigned_partition *p =
			&a.assigned_partitions.v[i];
		const char *topic = own_topic(m, p->topic);
		m->assigned = xrealloc(m->assigned, (m->assigned_count + (size_t)p->partitions.n) *
							    sizeof *m->assigned);
		for (int32_t k = 0; topic && k < p->partitions.n; k++)
			m->assigned[m->assigned_count++] =
				(struct client_assigned){topic, p->partitions.v[k]};
	}
	arena_fini(&arena);
	return err ? refused(m, err, why) : ERR_NONE;
}

/* The group has to be asked again from the beginning, with what the answer tells. */
static bool may_join_again(struct client_member *m, enum ks_err err)
{
	if (err == ERR_UNKNOWN_MEMBER_ID)
		set_id(m, slice_str(""));
	if (client_coordinator_may_change(err) || err == ERR_UNREACHABLE)
		client_cluster_forget_coordinator(m->cluster);
	return client_coordinator_may_change(err) || err == ERR_UNREACHABLE ||
	       err == ERR_UNKNOWN_MEMBER_ID || err == ERR_MEMBER_ID_REQUIRED ||
	       err == ERR_REBALANCE_IN_PROGRESS || err == ERR_ILLEGAL_GENERATION;
}

/* One join and one sync. */
static enum ks_err join_once(struct client_member *m, struct ks_why *why)
{
	struct client_reply joined, synced;
	enum ks_err err = send_join(m, &joined, why);

	if (err)
		return err;
	const struct join_group_response *j = joined.message;
	err = (enum ks_err)j->error_code;
	if (!err || err == ERR_MEMBER_ID_REQUIRED)
		set_id(m, j->member_id);
	if (err) {
		client_reply_fini(&joined);
		return refused(m, err, why);
	}
	m->generation = j->generation_id;
	err = send_sync(m, &joined, &synced, why);
	client_reply_fini(&joined);
	if (err)
		return err;
	const struct sync_group_response *s = synced.message;
	err = (enum ks_err)s->error_code;
	if (err)
		refused(m, err, why);
	else
		err = take_assignment(m, s->assignment, why);
	client_reply_fini(&synced);
	return err;
}

enum ks_err client_member_join(struct client_member *m, struct ks_why *why)
{
	struct client_retry retry = client_retry_in(JOIN_MS);

	for (;;) {
		enum ks_err err = join_once(m, why);
		m->next_heartbeat_ns = clock_monotonic_ns(&clock_real) + m->heartbeat_interval_ns;
		if (!err || !may_join_again(m, err))
			return err;
		if (err != ERR_MEMBER_ID_REQUIRED && !client_retry_pause(m->cluster, &retry))
			return err;
	}
}

const struct client_assigned *client_member_assignment(const struct client_member *m, size_t *count)
{
	*count = m->assigned_count;
	return m->assigned;
}

struct client_committer client_member_committer(const struct client_member *m)
{
	return (struct client_committer){.generation = m->generation, .member_id = m->id};
}

/* --- staying and leaving --- */

enum ks_err client_member_heartbeat(struct client_member *m, bool *must_join, struct ks_why *why)
{
	struct heartbeat_request request = {.group_id = slice_str(m->group),
					    .generation_id = m->generation,
					    .member_id = slice_str(m->id)};
	struct client_question q = question(m, API_heartbeat, &request);
	int64_t now = clock_monotonic_ns(&clock_real);
	struct client_reply r;

	*must_join = false;
	if (now < m->next_heartbeat_ns)
		return ERR_NONE;
	m->next_heartbeat_ns = now + m->heartbeat_interval_ns;
	q.is_repeatable = true;
	enum ks_err err = client_cluster_ask(m->cluster, &q, &r, why);
	if (err)
		return err;
	err = (enum ks_err)((struct heartbeat_response *)r.message)->error_code;
	client_reply_fini(&r);
	if (!err)
		return ERR_NONE;
	*must_join = may_join_again(m, err);
	return *must_join ? ERR_NONE : refused(m, err, why);
}

static void leave(struct client_member *m)
{
	struct leave_group_request_member member = {.member_id = slice_str(m->id)};
	struct leave_group_request request = {.group_id = slice_str(m->group),
					      .member_id = slice_str(m->id),
					      .members = {&member, 1}};
	struct client_question q = question(m, API_leave_group, &request);
	struct client_reply r;
	struct ks_why unused;

	q.retry_ms = -1;
	if (!client_cluster_ask(m->cluster, &q, &r, &unused))
		client_reply_fini(&r);
}

void client_member_free(struct client_member *m)
{
	if (!m)
		return;
	if (m->id[0])
		leave(m);
	for (size_t i = 0; i < m->topic_count; i++)
		free(m->topics[i]);
	free(m->topics);
	free(m->assigned);
	free(m->group);
	free(m->id);
	free(m);
}

/* coordinator_consumer.c - ConsumerGroupHeartbeat, ConsumerGroupDescribe; see coordinator_impl.h.
 *
 * On the wire topics have uuids, in groups/ numbers. A topic that is gone has no uuid any more
 * after a restart: its partitions are then left out of what a member is told, which comes to the
 * same, for the member is to give them up.
 */
#include "broker/coordinator_impl.h"

#define ID_BYTES_MAX         1024
#define NAMES_MAX            65536      /* topics that one member may name */
#define MEMBER_BYTES_MAX     (4 << 20)  /* of its subscription */
#define NO_TOPIC             UINT32_MAX /* no topic has this number */

#define MEMBER_TYPE_CONSUMER 1 /* in ConsumerGroupDescribe */

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] > ' ')
			return false;
	return s.data;
}

/* --- what a heartbeat must be --- */

static const char *check_joining(const struct consumer_group_heartbeat_request *q)
{
	if (q->rebalance_timeout_ms < 0)
		return "RebalanceTimeoutMs must be given when joining";
	if (q->topic_partitions.n != 0)
		return "TopicPartitions must be empty when joining";
	if (q->subscribed_topic_names.n < 0 && !q->subscribed_topic_regex.data)
		return "a subscription must be given when joining";
	return NULL;
}

static const char *check_sizes(const struct consumer_group_heartbeat_request *q)
{
	size_t bytes = 0;

	if (q->member_id.len > ID_BYTES_MAX || q->instance_id.len > ID_BYTES_MAX ||
	    q->rack_id.len > ID_BYTES_MAX)
		return "an id is too long";
	for (int32_t i = 0; i < q->subscribed_topic_names.n; i++)
		bytes += q->subscribed_topic_names.v[i].len;
	if (q->subscribed_topic_names.n > NAMES_MAX || bytes > MEMBER_BYTES_MAX)
		return "the subscription is too large";
	return NULL;
}

/* NULL: it is well formed, else what is wrong. */
static const char *check_request(const struct consumer_group_heartbeat_request *q, int16_t version)
{
	if (is_blank(q->instance_id))
		return "InstanceId is empty";
	if (is_blank(q->rack_id))
		return "RackId is empty";
	if (q->member_epoch < CONSUMER_EPOCH_LEAVE_STATIC)
		return "MemberEpoch is not valid";
	/* From version 1 on the client makes its id itself (KIP-1082). */
	if ((version >= 1 || q->member_epoch != 0) &&
	    (q->member_id.len == 0 || is_blank(q->member_id)))
		return "MemberId is empty";
	if (q->member_epoch == CONSUMER_EPOCH_LEAVE_STATIC && !q->instance_id.data)
		return "InstanceId must be given by a static member that leaves for a while";
	const char *problem = q->member_epoch == 0 ? check_joining(q) : NULL;
	return problem ? problem : check_sizes(q);
}

/* --- the group --- */

/* An empty group of the other protocol becomes one of this; its epoch goes on from the generation. */
static void become_consumer(struct step *s, struct coordinated *x)
{
	struct coordinator *c = s->c;
	int32_t epoch = x->classic ? x->classic->generation : 0;

	coordinator_delete_records(s, x);
	classic_free(x->classic);
	x->classic = NULL;
	x->consumer = consumer_new(&c->consumer_options, &c->deadlines, x, epoch);
}

static bool is_busy_classic(const struct coordinated *x)
{
	return x->classic && x->classic->state != CLASSIC_EMPTY;
}

/* ERR_GROUP_ID_NOT_FOUND: none, or one of the classic protocol with members.
 * ERR_GROUP_MAX_SIZE_REACHED */
static enum ks_err group_of(struct step *s, struct slice name, bool may_make,
			    struct coordinated **out)
{
	struct coordinated *x = coordinator_find(s->c, name);

	if (x && is_busy_classic(x))
		return ERR_GROUP_ID_NOT_FOUND;
	if (!may_make && (!x || !x->consumer))
		return ERR_GROUP_ID_NOT_FOUND;
	if (!x)
		x = coordinator_add(s->c, name);
	if (!x)
		return ERR_GROUP_MAX_SIZE_REACHED;
	if (!x->consumer)
		become_consumer(s, x);
	*out = x;
	return ERR_NONE;
}

/* --- partitions on the wire --- */

static void owned_of(struct broker *b, const struct consumer_group_heartbeat_request *q,
		     struct parts *owned)
{
	for (int32_t i = 0; i < q->topic_partitions.n; i++) {
		const struct consumer_group_heartbeat_request_topic_partition *tp =
			&q->topic_partitions.v[i];
		const struct topic *t = topic_of_uuid(b, &tp->topic_id);
		for (int32_t k = 0; k < tp->partitions.n; k++)
			parts_append(owned, part_of(t ? t->id : NO_TOPIC, tp->partitions.v[k]));
	}
	parts_settle(owned);
}

/* The partitions of one topic that is known by name and uuid, in a sorted list; begin with zeroes. */
struct stretch {
	const struct topic *t;
	size_t from, end;
};

static bool next_stretch(struct broker *b, const struct parts *p, struct stretch *s)
{
	do {
		if (s->end >= p->count)
			return false;
		s->from = s->end;
		while (s->end < p->count && part_topic(p->v[s->end]) == part_topic(p->v[s->from]))
			s->end++;
		s->t = topic_of_number(b, part_topic(p->v[s->from]));
	} while (!s->t);
	return true;
}

static size_t count_topics(struct broker *b, const struct parts *p)
{
	struct stretch s = {NULL, 0, 0};
	size_t count = 0;

	while (next_stretch(b, p, &s))
		count++;
	return count;
}

static int32_t *indexes(struct coordinator_call *call, const struct parts *p,
			const struct stretch *s)
{
	int32_t *v = coordinator_alloc(call, s->end - s->from, sizeof *v);

	for (size_t i = s->from; i < s->end; i++)
		v[i - s->from] = part_index(p->v[i]);
	return v;
}

static struct wire_uuid uuid_of(const struct topic *t)
{
	struct wire_uuid u;

	memcpy(u.bytes, t->uuid.bytes, sizeof u.bytes);
	return u;
}

static struct consumer_group_heartbeat_response_assignment *
assignment_of(struct broker *b, struct coordinator_call *call, const struct parts *p)
{
	struct consumer_group_heartbeat_response_assignment *a =
		coordinator_alloc(call, 1, sizeof *a);
	struct stretch s = {NULL, 0, 0};

	COORDINATOR_MAKE(call, a->topic_partitions, count_topics(b, p));
	for (size_t n = 0; next_stretch(b, p, &s); n++)
		a->topic_partitions.v[n] =
			(struct consumer_group_heartbeat_response_topic_partition){
				.topic_id = uuid_of(s.t),
				.partitions = {indexes(call, p, &s), (int32_t)(s.end - s.from)}};
	return a;
}

/* --- the heartbeat --- */

static void refuse(struct coordinator_call *call, enum ks_err err, struct slice message)
{
	struct consumer_group_heartbeat_response *r = call->response;

	r->error_code = (int16_t)err;
	r->error_message = message.len ? message : slice_str(ks_err_text(err));
}

static void leave(struct step *s, struct coordinator_call *call, struct coordinated *x)
{
	const struct consumer_group_heartbeat_request *q = call->request;
	struct consumer_group_heartbeat_response *r = call->response;
	enum ks_err err = consumer_leave(x->consumer, q->member_id, q->instance_id, q->member_epoch,
					 &s->at, &s->c->consumer_fx);

	if (err) {
		refuse(call, err, SLICE_NULL);
		return;
	}
	coordinator_put_consumer(s, x);
	r->member_id = q->member_id;
	r->member_epoch = q->member_epoch;
}

/* v0 lets the broker make the member's id. */
static struct slice id_of(struct coordinator_call *call,
			  const struct consumer_group_heartbeat_request *q)
{
	struct topic_uuid u;
	char text[37], *to = text;

	if (q->member_id.len > 0)
		return q->member_id;
	u = topic_uuid_new();
	for (size_t i = 0; i < sizeof u.bytes; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = "0123456789abcdef"[u.bytes[i] >> 4];
		*to++ = "0123456789abcdef"[u.bytes[i] & 15];
	}
	return coordinator_copy(call, slice_of(text, (size_t)(to - text)));
}

static struct consumer_beat beat_of(struct coordinator_call *call, const struct parts *owned)
{
	const struct consumer_group_heartbeat_request *q = call->request;
	struct slice host = slice_str(call->client_host ? call->client_host : "");
	bool has_names = q->subscribed_topic_names.n >= 0;

	return (struct consumer_beat){
		.member_id = id_of(call, q),
		.epoch = q->member_epoch,
		.client_id = call->client_id.data ? call->client_id : slice_str(""),
		.client_host = host,
		.instance_id = q->instance_id,
		.rack_id = q->rack_id,
		.regex = q->subscribed_topic_regex,
		.assignor = q->server_assignor,
		.rebalance_timeout_ms = q->rebalance_timeout_ms,
		.has_names = has_names,
		.names = q->subscribed_topic_names.v,
		.name_count = has_names ? (size_t)q->subscribed_topic_names.n : 0,
		.has_owned = q->topic_partitions.n >= 0,
		.owned = owned,
	};
}

static void beat(struct step *s, struct coordinator_call *call, struct coordinated *x)
{
	const struct consumer_group_heartbeat_request *q = call->request;
	struct consumer_group_heartbeat_response *r = call->response;
	struct broker *b = s->c->broker;
	const struct consumer_member *m;
	struct parts owned = {0};
	bool is_news;

	owned_of(b, q, &owned);
	struct consumer_beat beat = beat_of(call, &owned);
	enum ks_err err = coordinator_has_room(s->c, consumer_beat_bytes(&beat))
				  ? ERR_NONE
				  : ERR_GROUP_MAX_SIZE_REACHED;
	if (!err)
		err = consumer_heartbeat(x->consumer, &beat, &s->at, &s->c->consumer_fx, &m,
					 &is_news);
	parts_fini(&owned);
	if (err) {
		refuse(call, err, SLICE_NULL);
		return;
	}
	coordinator_put_consumer(s, x);
	r->member_id = coordinator_copy(call, m->id);
	r->member_epoch = m->epoch;
	r->heartbeat_interval_ms = s->c->options.consumer_heartbeat_interval_ms;
	if (is_news)
		r->assignment = assignment_of(b, call, &m->assigned);
}

/* What is asked for must be something that we have. */
static enum ks_err check_wishes(struct coordinator *c, struct coordinator_call *call,
				struct slice *message)
{
	const struct consumer_group_heartbeat_request *q = call->request;
	struct ks_why why = {""};
	enum ks_err err = ERR_NONE;

	if (q->server_assignor.data && !names_have(&c->assignors, q->server_assignor))
		err = ks_fail(&why, ERR_UNSUPPORTED_ASSIGNOR,
			      "the assignor is not one of those of group.consumer.assignors");
	if (!err && q->subscribed_topic_regex.len > 0)
		err = expressions_check(c->expressions, q->subscribed_topic_regex, &why);
	*message = coordinator_copy(call, slice_str(why.text));
	return err;
}

void coordinator_consumer_heartbeat(struct step *s, struct coordinator_call *call)
{
	const struct consumer_group_heartbeat_request *q = call->request;
	const char *problem = check_request(q, call->version);
	struct slice message = SLICE_NULL;
	struct coordinated *x;
	enum ks_err err = coordinator_check_name(q->group_id);

	if (!err && s->c->is_ending)
		err = ERR_NOT_COORDINATOR;
	if (!err && problem) {
		err = ERR_INVALID_REQUEST;
		message = slice_str(problem);
	}
	if (!err)
		err = check_wishes(s->c, call, &message);
	if (!err)
		err = group_of(s, q->group_id, q->member_epoch == 0, &x);
	if (err) {
		refuse(call, err, message);
		return;
	}
	if (q->member_epoch < 0)
		leave(s, call, x);
	else
		beat(s, call, x);
	coordinator_count(s->c, x);
}

/* --- describing --- */

static struct consumer_group_describe_response_assignment *
described_assignment(struct broker *b, struct coordinator_call *call, const struct parts *p)
{
	struct consumer_group_describe_response_assignment *a =
		coordinator_alloc(call, 1, sizeof *a);
	struct stretch s = {NULL, 0, 0};

	COORDINATOR_MAKE(call, a->topic_partitions, count_topics(b, p));
	for (size_t n = 0; next_stretch(b, p, &s); n++)
		a->topic_partitions.v[n] =
			(struct consumer_group_describe_response_topic_partition){
				.topic_id = uuid_of(s.t),
				.topic_name =
					slice_str(s.t->name), /* lives as long as the broker */
				.partitions = {indexes(call, p, &s), (int32_t)(s.end - s.from)}};
	return a;
}

static void describe_member(struct broker *b, struct coordinator_call *call,
			    const struct consumer_member *m,
			    struct consumer_group_describe_response_member *to)
{
	*to = (struct consumer_group_describe_response_member){
		.member_id = coordinator_copy(call, m->id),
		.instance_id = coordinator_copy(call, m->instance_id),
		.rack_id = coordinator_copy(call, m->rack_id),
		.member_epoch = m->epoch,
		.client_id = coordinator_copy(call, m->client_id),
		.client_host = coordinator_copy(call, m->client_host),
		.subscribed_topic_regex =
			m->regex.len ? coordinator_copy(call, m->regex) : SLICE_NULL,
		.assignment = described_assignment(b, call, &m->assigned),
		.target_assignment = described_assignment(b, call, &m->target),
		.member_type = MEMBER_TYPE_CONSUMER,
	};
	COORDINATOR_MAKE(call, to->subscribed_topic_names, m->topics.count);
	for (size_t i = 0; i < m->topics.count; i++)
		to->subscribed_topic_names.v[i] = coordinator_copy(call, m->topics.v[i]);
}

static void describe(struct step *s, struct coordinator_call *call, struct slice name,
		     struct consumer_group_describe_response_group *to)
{
	const struct consumer_group_describe_request *q = call->request;
	const struct coordinated *x = coordinator_find(s->c, name);

	to->group_id = name;
	to->authorized_operations =
		q->include_authorized_operations ? COORDINATOR_GROUP_OPERATIONS : INT32_MIN;
	if (call->arena->total_bytes > COORDINATOR_ANSWER_BYTES_MAX) {
		to->error_code = (int16_t)ERR_MESSAGE_TOO_LARGE;
		return;
	}
	if (!x || !x->consumer) {
		to->error_code = (int16_t)ERR_GROUP_ID_NOT_FOUND;
		to->error_message = slice_str(x ? "the group is not of the consumer protocol"
						: ks_err_text(ERR_GROUP_ID_NOT_FOUND));
		return;
	}
	const struct consumer_group *g = x->consumer;
	to->group_state = slice_str(consumer_state_name(g));
	to->group_epoch = g->epoch;
	to->assignment_epoch = g->target_epoch;
	to->assignor_name = coordinator_copy(call, consumer_assignor(g));
	COORDINATOR_MAKE(call, to->members, g->members.count);
	for (size_t i = 0; i < g->members.count; i++)
		describe_member(s->c->broker, call, g->members.items[i], &to->members.v[i]);
}

void coordinator_consumer_describe(struct step *s, struct coordinator_call *call)
{
	const struct consumer_group_describe_request *q = call->request;
	struct consumer_group_describe_response *r = call->response;

	COORDINATOR_MAKE(call, r->groups, q->group_ids.n > 0 ? q->group_ids.n : 0);
	for (int32_t i = 0; i < r->groups.n; i++)
		describe(s, call, q->group_ids.v[i], &r->groups.v[i]);
}

/* coordinator_classic.c - JoinGroup, SyncGroup, Heartbeat, LeaveGroup; see coordinator_impl.h.
 *
 * Requests become the plain values of groups/classic.h, and its answers become responses. What a
 * response says of a group is copied: the group may change before it is sent.
 */
#include "broker/coordinator_impl.h"

/* What one member may bring along. */
#define PROTOCOLS_MAX    100
#define MEMBER_BYTES_MAX (4 << 20) /* of all its protocols */
#define ID_BYTES_MAX     1024      /* member and instance ids */

static int16_t code(enum ks_err err)
{
	return (int16_t)err;
}

/* Old clients send an empty instance id for none. */
static struct slice instance_of(struct slice instance_id)
{
	return instance_id.len > 0 ? instance_id : SLICE_NULL;
}

static struct slice no_null(struct slice s)
{
	return s.data ? s : slice_str("");
}

/* --- answers --- */

static void fill_members(struct coordinator_call *call, const struct classic_group *g)
{
	struct join_group_response *r = call->response;

	COORDINATOR_MAKE(call, r->members, g->members.count);
	for (size_t i = 0; i < g->members.count; i++) {
		const struct classic_member *m = g->members.items[i];
		r->members.v[i] = (struct join_group_response_member){
			.member_id = coordinator_copy(call, m->id),
			.group_instance_id = coordinator_copy(call, m->instance_id),
			.metadata = coordinator_copy(call, classic_metadata(g, m)),
		};
	}
}

static void fill_join(const struct errand *e, const struct classic_group *g,
		      const struct classic_answer *a)
{
	struct coordinator_call *call = e->call;
	const struct join_group_request *q = call->request;
	struct join_group_response *r = call->response;

	r->error_code = code(a->err);
	r->member_id = a->err == ERR_MEMBER_ID_REQUIRED ? e->fresh_id : q->member_id;
	if (a->err)
		return;
	r->member_id = coordinator_copy(call, a->member->id);
	r->generation_id = g->generation;
	r->protocol_type = coordinator_copy(call, g->protocol_type);
	r->protocol_name = coordinator_copy(call, g->protocol_name);
	r->leader = coordinator_copy(call, a->leader_id);
	r->skip_assignment = a->skip_assignment;
	if (a->with_members)
		fill_members(call, g);
}

static void fill_sync(struct coordinator_call *call, const struct classic_group *g,
		      const struct classic_answer *a)
{
	struct sync_group_response *r = call->response;

	r->error_code = code(a->err);
	if (a->err)
		return;
	r->protocol_type = coordinator_copy(call, g->protocol_type);
	r->protocol_name = coordinator_copy(call, g->protocol_name);
	r->assignment = coordinator_copy(call, a->member->assignment);
}

void coordinator_settle_classic(struct step *s, struct coordinated *x)
{
	struct classic_effects *fx = &s->c->classic_fx;

	if (fx->persist)
		coordinator_put_classic(s, x);
	for (size_t i = 0; i < fx->count; i++) {
		const struct classic_answer *a = &fx->answers[i];
		struct errand *e = a->call;
		if (a->is_join)
			fill_join(e, x->classic, a);
		else
			fill_sync(e->call, x->classic, a);
		coordinator_reply(s, e);
	}
	classic_effects_clear(fx);
	coordinator_count(s->c, x);
}

static void refuse(struct step *s, struct errand *e, enum ks_err err)
{
	coordinator_refuse(e->call, err);
	coordinator_reply(s, e);
}

/* --- joining --- */

static enum ks_err check_join(const struct coordinator *c, const struct join_group_request *q)
{
	enum ks_err err = coordinator_check_name(q->group_id);
	size_t bytes = 0;

	if (err)
		return err;
	if (c->is_ending)
		return ERR_NOT_COORDINATOR;
	if (q->session_timeout_ms < c->options.min_session_timeout_ms ||
	    q->session_timeout_ms > c->options.max_session_timeout_ms)
		return ERR_INVALID_SESSION_TIMEOUT;
	if (q->member_id.len > ID_BYTES_MAX || q->group_instance_id.len > ID_BYTES_MAX ||
	    q->protocols.n > PROTOCOLS_MAX)
		return ERR_INVALID_REQUEST;
	for (int32_t i = 0; i < q->protocols.n; i++)
		bytes += q->protocols.v[i].name.len + q->protocols.v[i].metadata.len;
	return bytes > MEMBER_BYTES_MAX ? ERR_INVALID_REQUEST : ERR_NONE;
}

/* An empty group of the other protocol becomes one of this; its generation goes on from the epoch. */
static void become_classic(struct step *s, struct coordinated *x)
{
	struct coordinator *c = s->c;
	int32_t generation = x->consumer ? x->consumer->epoch : 0;
	bool had_record = x->has_record;

	coordinator_delete_records(s, x);
	consumer_free(x->consumer);
	x->consumer = NULL;
	x->classic = classic_new(&c->classic_options, &c->deadlines, x, generation);
	if (had_record)
		coordinator_put_classic(s, x);
}

/* The group to join, of this protocol. ERR_UNKNOWN_MEMBER_ID, ERR_INCONSISTENT_GROUP_PROTOCOL,
 * ERR_GROUP_MAX_SIZE_REACHED */
static enum ks_err group_to_join(struct step *s, const struct join_group_request *q,
				 struct coordinated **out)
{
	struct coordinated *x = coordinator_find(s->c, q->group_id);

	if (x && x->consumer && x->consumer->members.count > 0)
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	if ((!x || !x->classic) && q->member_id.len > 0)
		return ERR_UNKNOWN_MEMBER_ID;
	if (!x)
		x = coordinator_add(s->c, q->group_id);
	if (!x)
		return ERR_GROUP_MAX_SIZE_REACHED;
	if (!x->classic)
		become_classic(s, x);
	*out = x;
	return ERR_NONE;
}

static struct classic_join join_of(struct errand *e, struct classic_protocol *protocols)
{
	const struct join_group_request *q = e->call->request;
	struct slice host = slice_str(e->call->client_host ? e->call->client_host : "");
	int32_t count = q->protocols.n > 0 ? q->protocols.n : 0;

	for (int32_t i = 0; i < count; i++)
		protocols[i] = (struct classic_protocol){q->protocols.v[i].name,
							 no_null(q->protocols.v[i].metadata)};
	return (struct classic_join){
		.member_id = q->member_id,
		.instance_id = instance_of(q->group_instance_id),
		.client_id = no_null(e->call->client_id),
		.client_host = host,
		.protocol_type = q->protocol_type,
		.protocols = protocols,
		.protocol_count = (size_t)count,
		.session_timeout_ms = q->session_timeout_ms,
		/* Version 0 has one timeout for both. */
		.rebalance_timeout_ms = q->rebalance_timeout_ms >= 0 ? q->rebalance_timeout_ms
								     : q->session_timeout_ms,
		.needs_member_id = e->call->version >= 4,
		.may_skip_assignment = e->call->version >= 9,
		.fresh_id = e->fresh_id,
		.call = e,
	};
}

void coordinator_join(struct step *s, struct errand *e)
{
	const struct join_group_request *q = e->call->request;
	struct classic_protocol protocols[PROTOCOLS_MAX];
	enum ks_err err = check_join(s->c, q);
	struct coordinated *x;

	if (err) {
		refuse(s, e, err);
		return;
	}
	struct classic_join j = join_of(e, protocols);
	if (!coordinator_has_room(s->c, classic_join_bytes(&j)))
		err = ERR_GROUP_MAX_SIZE_REACHED;
	if (!err)
		err = group_to_join(s, q, &x);
	if (err) {
		refuse(s, e, err);
		return;
	}
	classic_join(x->classic, &j, &s->at, &s->c->classic_fx);
	coordinator_settle_classic(s, x);
}

/* --- syncing --- */

/* What a leader assigns is kept; of more than there is room for nothing is. */
static enum ks_err check_assignments(const struct coordinator *c,
				     const struct sync_group_request *q)
{
	size_t bytes = 0;

	for (int32_t i = 0; i < q->assignments.n; i++)
		bytes += q->assignments.v[i].assignment.len;
	return coordinator_has_room(c, bytes) ? ERR_NONE : ERR_GROUP_MAX_SIZE_REACHED;
}

static void sync_group(struct step *s, struct errand *e, struct coordinated *x)
{
	const struct sync_group_request *q = e->call->request;
	size_t count = q->assignments.n > 0 ? (size_t)q->assignments.n : 0;
	struct classic_assignment *assignments =
		coordinator_alloc(e->call, count, sizeof *assignments);
	struct classic_sync sync = {
		.generation = q->generation_id,
		.member_id = q->member_id,
		.instance_id = instance_of(q->group_instance_id),
		.protocol_type = q->protocol_type,
		.protocol_name = q->protocol_name,
		.assignments = assignments,
		.assignment_count = count,
		.call = e,
	};

	for (size_t i = 0; i < count; i++)
		assignments[i] = (struct classic_assignment){q->assignments.v[i].member_id,
							     q->assignments.v[i].assignment};
	classic_sync(x->classic, &sync, &s->at, &s->c->classic_fx);
	coordinator_settle_classic(s, x);
}

void coordinator_sync(struct step *s, struct errand *e)
{
	const struct sync_group_request *q = e->call->request;
	struct coordinated *x = coordinator_find(s->c, q->group_id);
	enum ks_err err = coordinator_check_name(q->group_id);

	if (!err && s->c->is_ending)
		err = ERR_NOT_COORDINATOR;
	if (!err && (!x || !x->classic))
		err = ERR_UNKNOWN_MEMBER_ID;
	if (!err)
		err = check_assignments(s->c, q);
	if (err)
		refuse(s, e, err);
	else
		sync_group(s, e, x);
}

/* --- the rest --- */

void coordinator_heartbeat(struct step *s, struct coordinator_call *call)
{
	const struct heartbeat_request *q = call->request;
	struct heartbeat_response *r = call->response;
	struct coordinated *x = coordinator_find(s->c, q->group_id);
	enum ks_err err = coordinator_check_name(q->group_id);

	if (!err && (!x || !x->classic))
		err = ERR_UNKNOWN_MEMBER_ID;
	if (!err)
		err = classic_heartbeat(x->classic, q->generation_id, q->member_id,
					instance_of(q->group_instance_id), &s->at);
	r->error_code = code(err);
}

/* Who is to leave; before version 3 one, and its error is that of the whole. */
static struct classic_leaver *leavers_of(struct coordinator_call *call, size_t *count)
{
	const struct leave_group_request *q = call->request;
	bool is_old = call->version < 3;
	size_t n = is_old ? 1 : (size_t)(q->members.n > 0 ? q->members.n : 0);
	struct classic_leaver *leavers = coordinator_alloc(call, n, sizeof *leavers);

	for (size_t i = 0; i < n && !is_old; i++)
		leavers[i] = (struct classic_leaver){no_null(q->members.v[i].member_id),
						     instance_of(q->members.v[i].group_instance_id),
						     ERR_UNKNOWN_MEMBER_ID};
	if (is_old)
		leavers[0] =
			(struct classic_leaver){q->member_id, SLICE_NULL, ERR_UNKNOWN_MEMBER_ID};
	*count = n;
	return leavers;
}

static void fill_leave(struct coordinator_call *call, const struct classic_leaver *leavers,
		       size_t count)
{
	struct leave_group_response *r = call->response;

	if (call->version < 3) {
		r->error_code = code(leavers[0].err);
		return;
	}
	COORDINATOR_MAKE(call, r->members, count);
	for (size_t i = 0; i < count; i++)
		r->members.v[i] = (struct leave_group_response_member){
			leavers[i].member_id, leavers[i].instance_id, code(leavers[i].err)};
}

void coordinator_leave(struct step *s, struct coordinator_call *call)
{
	const struct leave_group_request *q = call->request;
	struct coordinated *x = coordinator_find(s->c, q->group_id);
	enum ks_err err = coordinator_check_name(q->group_id);
	size_t count;

	if (!err && s->c->is_ending)
		err = ERR_NOT_COORDINATOR;
	if (err) {
		coordinator_refuse(call, err);
		return;
	}
	struct classic_leaver *leavers = leavers_of(call, &count);
	if (x && x->classic) {
		classic_leave(x->classic, leavers, count, &s->at, &s->c->classic_fx);
		coordinator_settle_classic(s, x);
	}
	fill_leave(call, leavers, count);
}

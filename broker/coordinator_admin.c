/* coordinator_admin.c - ListGroups, DescribeGroups, DeleteGroups; see coordinator_impl.h. */
#include <strings.h>

#include "broker/coordinator_impl.h"

static const char *state_of(const struct coordinated *x)
{
	if (x->consumer)
		return consumer_state_name(x->consumer);
	return classic_state_names[x->classic ? x->classic->state : CLASSIC_EMPTY];
}

static const char *type_of(const struct coordinated *x)
{
	return x->consumer ? "consumer" : "classic";
}

static struct slice protocol_type_of(const struct coordinated *x)
{
	if (x->consumer)
		return slice_str("consumer");
	return x->classic && x->classic->protocol_type.data ? x->classic->protocol_type
							    : slice_str("");
}

/* --- ListGroups --- */

/* An empty filter lets everything through; case does not count. */
static bool passes(const struct slice *filter, int32_t count, const char *word)
{
	for (int32_t i = 0; i < count; i++)
		if (filter[i].len == strlen(word) &&
		    strncasecmp((const char *)filter[i].data, word, filter[i].len) == 0)
			return true;
	return count <= 0;
}

static bool is_listed(const struct list_groups_request *q, const struct coordinated *x)
{
	return passes(q->types_filter.v, q->types_filter.n, type_of(x)) &&
	       passes(q->states_filter.v, q->states_filter.n, state_of(x));
}

void coordinator_list(struct step *s, struct coordinator_call *call)
{
	const struct list_groups_request *q = call->request;
	struct list_groups_response *r = call->response;
	const struct sorted *all = &s->c->groups;
	int32_t n = 0;

	COORDINATOR_MAKE(call, r->groups, all->count);
	for (size_t i = 0; i < all->count; i++) {
		const struct coordinated *x = all->items[i];
		if (!is_listed(q, x))
			continue;
		r->groups.v[n++] = (struct list_groups_response_group){
			.group_id = coordinator_copy(call, x->name),
			.protocol_type = coordinator_copy(call, protocol_type_of(x)),
			.group_state = slice_str(state_of(x)),
			.group_type = slice_str(type_of(x)),
		};
	}
	r->groups.n = n;
}

/* --- DescribeGroups --- */

/* Metadata and assignments are those of a generation, which only a stable group has. */
static void describe_members(struct coordinator_call *call, const struct classic_group *g,
			     struct describe_groups_response_group *to)
{
	bool is_stable = g->state == CLASSIC_STABLE;

	COORDINATOR_MAKE(call, to->members, g->members.count);
	for (size_t i = 0; i < g->members.count; i++) {
		const struct classic_member *m = g->members.items[i];
		to->members.v[i] = (struct describe_groups_response_member){
			.member_id = coordinator_copy(call, m->id),
			.group_instance_id = coordinator_copy(call, m->instance_id),
			.client_id = coordinator_copy(call, m->client_id),
			.client_host = coordinator_copy(call, m->client_host),
			.member_metadata = is_stable
						   ? coordinator_copy(call, classic_metadata(g, m))
						   : slice_str(""),
			.member_assignment =
				is_stable ? coordinator_copy(call, m->assignment) : slice_str(""),
		};
	}
}

/* An unknown group is described as dead; version 6 has an error for it too. */
static void describe_unknown(struct coordinator_call *call, const struct coordinated *x,
			     struct describe_groups_response_group *to)
{
	to->group_state = slice_str(classic_state_names[CLASSIC_DEAD]);
	if (call->version < 6)
		return;
	to->error_code = (int16_t)ERR_GROUP_ID_NOT_FOUND;
	to->error_message = slice_str(x ? "the group is not of the classic protocol"
					: ks_err_text(ERR_GROUP_ID_NOT_FOUND));
}

static void describe(struct step *s, struct coordinator_call *call, struct slice name,
		     struct describe_groups_response_group *to)
{
	const struct describe_groups_request *q = call->request;
	const struct coordinated *x = coordinator_find(s->c, name);

	to->group_id = name;
	to->authorized_operations =
		q->include_authorized_operations ? COORDINATOR_GROUP_OPERATIONS : INT32_MIN;
	if (call->arena->total_bytes > COORDINATOR_ANSWER_BYTES_MAX) {
		to->error_code = (int16_t)ERR_MESSAGE_TOO_LARGE;
		return;
	}
	if (!x || x->consumer) {
		describe_unknown(call, x, to);
		return;
	}
	to->group_state = slice_str(state_of(x));
	to->protocol_type = coordinator_copy(call, protocol_type_of(x));
	if (!x->classic)
		return;
	if (x->classic->state == CLASSIC_STABLE)
		to->protocol_data = coordinator_copy(call, x->classic->protocol_name);
	describe_members(call, x->classic, to);
}

void coordinator_describe(struct step *s, struct coordinator_call *call)
{
	const struct describe_groups_request *q = call->request;
	struct describe_groups_response *r = call->response;

	COORDINATOR_MAKE(call, r->groups, q->groups.n);
	for (int32_t i = 0; i < q->groups.n; i++)
		describe(s, call, q->groups.v[i], &r->groups.v[i]);
}

/* --- DeleteGroups --- */

void coordinator_delete_groups(struct step *s, struct coordinator_call *call)
{
	const struct delete_groups_request *q = call->request;
	struct delete_groups_response *r = call->response;

	COORDINATOR_MAKE(call, r->results, q->groups_names.n);
	for (int32_t i = 0; i < q->groups_names.n; i++) {
		struct slice name = q->groups_names.v[i];
		r->results.v[i] = (struct delete_groups_response_result){
			name, (int16_t)coordinator_delete(s->c, name, s->g)};
	}
}

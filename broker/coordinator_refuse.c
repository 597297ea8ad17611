/* coordinator_refuse.c - the answer to a group request that is refused as a whole, for each API.
 *
 * An API that names several groups, members or partitions says the error once for each of them.
 */
#include <assert.h>

#include "broker/coordinator_impl.h"

static int16_t code(enum ks_err err)
{
	return (int16_t)err;
}

static void refuse_join(struct coordinator_call *c, enum ks_err err)
{
	const struct join_group_request *q = c->request;
	struct join_group_response *r = c->response;

	r->error_code = code(err);
	r->member_id = q->member_id;
}

static void refuse_leave(struct coordinator_call *c, enum ks_err err)
{
	struct leave_group_response *r = c->response;
	r->error_code = code(err);
}

static void refuse_commit(struct coordinator_call *c, enum ks_err err)
{
	const struct offset_commit_request *q = c->request;
	struct offset_commit_response *r = c->response;

	COORDINATOR_MAKE(c, r->topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		const struct offset_commit_request_topic *from = &q->topics.v[i];
		struct offset_commit_response_topic *to = &r->topics.v[i];
		to->name = from->name;
		to->topic_id = from->topic_id;
		COORDINATOR_MAKE(c, to->partitions, from->partitions.n);
		for (int32_t j = 0; j < from->partitions.n; j++) {
			to->partitions.v[j].partition_index = from->partitions.v[j].partition_index;
			to->partitions.v[j].error_code = code(err);
		}
	}
}

/* Version 1 has no place for an error but the partitions. */
static void refuse_old_fetch(struct coordinator_call *c, enum ks_err err)
{
	const struct offset_fetch_request *q = c->request;
	struct offset_fetch_response *r = c->response;

	r->error_code = code(err);
	if (c->version >= 2)
		return;
	COORDINATOR_MAKE(c, r->topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		const struct offset_fetch_request_topic *from = &q->topics.v[i];
		struct offset_fetch_response_topic *to = &r->topics.v[i];
		to->name = from->name;
		COORDINATOR_MAKE(c, to->partitions, from->partition_indexes.n);
		for (int32_t j = 0; j < from->partition_indexes.n; j++)
			to->partitions.v[j] = (struct offset_fetch_response_partition){
				.partition_index = from->partition_indexes.v[j],
				.committed_offset = -1,
				.committed_leader_epoch = -1,
				.metadata = slice_str(""),
				.error_code = code(err),
			};
	}
}

static void refuse_fetch(struct coordinator_call *c, enum ks_err err)
{
	const struct offset_fetch_request *q = c->request;
	struct offset_fetch_response *r = c->response;

	if (c->version < 8) {
		refuse_old_fetch(c, err);
		return;
	}
	COORDINATOR_MAKE(c, r->groups, q->groups.n);
	for (int32_t i = 0; i < q->groups.n; i++) {
		r->groups.v[i].group_id = q->groups.v[i].group_id;
		r->groups.v[i].error_code = code(err);
	}
}

static void refuse_describe(struct coordinator_call *c, enum ks_err err)
{
	const struct describe_groups_request *q = c->request;
	struct describe_groups_response *r = c->response;

	COORDINATOR_MAKE(c, r->groups, q->groups.n);
	for (int32_t i = 0; i < q->groups.n; i++)
		r->groups.v[i] = (struct describe_groups_response_group){
			.error_code = code(err),
			.group_id = q->groups.v[i],
			.authorized_operations = INT32_MIN,
		};
}

static void refuse_delete(struct coordinator_call *c, enum ks_err err)
{
	const struct delete_groups_request *q = c->request;
	struct delete_groups_response *r = c->response;

	COORDINATOR_MAKE(c, r->results, q->groups_names.n);
	for (int32_t i = 0; i < q->groups_names.n; i++)
		r->results.v[i] =
			(struct delete_groups_response_result){q->groups_names.v[i], code(err)};
}

static void refuse_consumer_describe(struct coordinator_call *c, enum ks_err err)
{
	const struct consumer_group_describe_request *q = c->request;
	struct consumer_group_describe_response *r = c->response;

	COORDINATOR_MAKE(c, r->groups, q->group_ids.n);
	for (int32_t i = 0; i < q->group_ids.n; i++)
		r->groups.v[i] = (struct consumer_group_describe_response_group){
			.error_code = code(err),
			.group_id = q->group_ids.v[i],
			.authorized_operations = INT32_MIN,
		};
}

void coordinator_refuse(struct coordinator_call *c, enum ks_err err)
{
	switch ((enum wire_api_key)c->api_key) {
	case API_join_group:
		refuse_join(c, err);
		break;
	case API_sync_group:
		((struct sync_group_response *)c->response)->error_code = code(err);
		break;
	case API_heartbeat:
		((struct heartbeat_response *)c->response)->error_code = code(err);
		break;
	case API_leave_group:
		refuse_leave(c, err);
		break;
	case API_offset_commit:
		refuse_commit(c, err);
		break;
	case API_offset_fetch:
		refuse_fetch(c, err);
		break;
	case API_offset_delete:
		((struct offset_delete_response *)c->response)->error_code = code(err);
		break;
	case API_describe_groups:
		refuse_describe(c, err);
		break;
	case API_list_groups:
		((struct list_groups_response *)c->response)->error_code = code(err);
		break;
	case API_delete_groups:
		refuse_delete(c, err);
		break;
	case API_consumer_group_heartbeat:
		((struct consumer_group_heartbeat_response *)c->response)->error_code = code(err);
		break;
	case API_consumer_group_describe:
		refuse_consumer_describe(c, err);
		break;
	default:
		assert(0 && "not a request of the group protocols");
	}
}

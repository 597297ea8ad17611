/* groups_api.c - the group APIs: handed to the broker's coordinator as they are, answered when it says so. */
#include "base/log.h"
#include "server/handlers.h"
#include "server/server_impl.h"

/* On the shard's thread. */
static void on_done(struct group_call *call)
{
	struct exchange *x = call->cookie;

	if (call->err)
		server_store_failed(x);
	else
		exchange_reply(x);
}

static void forward(struct exchange *x)
{
	struct group_call *call = exchange_alloc(x, 1, sizeof *call);

	*call = (struct group_call){
		.api_key = x->header.api_key,
		.version = x->header.api_version,
		.request = x->request,
		.response = x->response,
		.arena = &x->arena,
		.client_id = x->header.client_id,
		.client_host = exchange_peer(x),
		.request_bytes = x->frame->len,
		.done = on_done,
		.cookie = x,
	};
	broker_group_call(server_broker(x->server), call);
}

#define FORWARDED(name)                                                                            \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response)                                       \
	{                                                                                          \
		(void)request;                                                                     \
		(void)response;                                                                    \
		forward(x);                                                                        \
	}

FORWARDED(join_group)
FORWARDED(sync_group)
FORWARDED(heartbeat)
FORWARDED(leave_group)
FORWARDED(offset_commit)
FORWARDED(offset_fetch)
FORWARDED(offset_delete)
FORWARDED(describe_groups)
FORWARDED(list_groups)
FORWARDED(delete_groups)
FORWARDED(consumer_group_heartbeat)
FORWARDED(consumer_group_describe)

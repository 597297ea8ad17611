/* forward.c - see forward.h. */
#include "server/forward.h"

#include "server/server_impl.h"

/* On the shard's thread. */
static void on_done(struct coordinator_call *call)
{
	struct exchange *x = call->cookie;

	if (call->err)
		server_store_failed(x);
	else
		exchange_reply(x);
}

void forward_call(struct exchange *x, void (*forward)(struct broker *b, struct coordinator_call *c))
{
	struct coordinator_call *call = exchange_alloc(x, 1, sizeof *call);

	*call = (struct coordinator_call){
		.api_key = x->header.api_key,
		.version = x->header.api_version,
		.request = x->request,
		.response = x->response,
		.arena = &x->arena,
		.client_id = x->header.client_id,
		.client_host = exchange_peer(x),
		.connection = x->connection->order,
		.request_bytes = x->frame->len,
		.is_queued = true,
		.done = on_done,
		.cookie = x,
	};
	x->connection->loop->has_queued = true;
	forward(server_broker(x->server), call);
}

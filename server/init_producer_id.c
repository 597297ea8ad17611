/* init_producer_id.c - InitProducerId: ids for idempotent producers. Who has a transactional id is answered by the
 * transaction coordinator. */
#include "server/forward.h"
#include "server/handlers.h"
#include "server/lookup.h"
#include "server/server_impl.h"

struct init_producer_id {
	struct exchange *x;
	struct producer_id_call call;
};

/* On the shard's thread. */
static void on_done(struct producer_id_call *call, enum ks_err err)
{
	struct init_producer_id *i = call->cookie;
	struct init_producer_id_response *response = i->x->response;

	if (err < ERR_UNKNOWN_SERVER_ERROR) {
		server_store_failed(i->x);
		return;
	}
	response->error_code = wire_code(err);
	response->producer_epoch = -1;
	if (!err) {
		response->producer_id = call->producer_id;
		response->producer_epoch = call->producer_epoch;
	}
	exchange_reply(i->x);
}

/* A producer says both or none of its id and epoch (KIP-360). */
static bool is_pair(int64_t id, int16_t epoch)
{
	return (id == -1 && epoch == -1) || (id >= 0 && epoch >= 0);
}

void handle_init_producer_id(struct exchange *x, const struct init_producer_id_request *request,
			     struct init_producer_id_response *response)
{
	struct init_producer_id *i = exchange_alloc(x, 1, sizeof *i);

	response->producer_epoch = -1;
	if (request->transactional_id.data) {
		forward_call(x, broker_txn_call);
		return;
	}
	if (!is_pair(request->producer_id, request->producer_epoch)) {
		response->error_code = ERR_INVALID_REQUEST;
		exchange_reply(x);
		return;
	}
	i->x = x;
	i->call = (struct producer_id_call){.done = on_done,
					    .cookie = i,
					    .producer_id = request->producer_id,
					    .producer_epoch = request->producer_epoch};
	broker_producer_id(server_broker(x->server), &i->call);
}

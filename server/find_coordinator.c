/* find_coordinator.c - FindCoordinator: every group's and every transaction's coordinator is this broker. */
#include "server/handlers.h"
#include "server/server.h"

#define KEY_TYPE_MAX 2 /* 0: group, 1: transactional id, 2: share group */

void handle_find_coordinator(struct exchange *x, const struct find_coordinator_request *request,
			     struct find_coordinator_response *response)
{
	bool is_known = request->key_type >= 0 && request->key_type <= KEY_TYPE_MAX;
	struct find_coordinator_response_coordinator c = {
		.node_id = is_known ? server_options_of(x->server)->node_id : -1,
		.host = is_known ? exchange_host(x) : slice_str(""),
		.port = is_known ? exchange_port(x) : -1,
		.error_code = is_known ? ERR_NONE : ERR_INVALID_REQUEST,
		.error_message = is_known ? SLICE_NULL : slice_str("the type of key is not known"),
	};

	response->error_code = c.error_code;
	response->error_message = c.error_message;
	response->node_id = c.node_id;
	response->host = c.host;
	response->port = c.port;
	response->coordinators.n = request->coordinator_keys.n;
	if (request->coordinator_keys.n > 0)
		response->coordinators.v = exchange_alloc(x, (size_t)request->coordinator_keys.n,
							  sizeof *response->coordinators.v);
	for (int32_t i = 0; i < request->coordinator_keys.n; i++) {
		response->coordinators.v[i] = c;
		response->coordinators.v[i].key = request->coordinator_keys.v[i];
	}
	exchange_reply(x);
}

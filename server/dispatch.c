/* dispatch.c - from an API's number to its handler, by the table of wire/api.def. */
#include "server/exchange_impl.h"
#include "server/handlers.h"

#define API(key, name, min, max, flexible)                                                         \
	static void run_##name(struct exchange *x)                                                 \
	{                                                                                          \
		handle_##name(x, x->request, x->response);                                         \
	}
#include "wire/api.def"
#undef API

static void (*const handlers[WIRE_API_KEYS])(struct exchange *x) = {
#define API(key, name, min, max, flexible) [key] = run_##name,
#include "wire/api.def"
#undef API
};

void dispatch(struct exchange *x)
{
	handlers[x->api->key](x);
}

void dispatch_unknown_version(struct exchange *x)
{
	struct api_versions_response *response;

	x->api = wire_api_find(API_api_versions);
	x->header.api_version = 0;
	response = exchange_alloc(x, 1, sizeof *response);
	wire_defaults(x->api->response(), response);
	x->response = response;
	response->error_code = ERR_UNSUPPORTED_VERSION;
	api_versions_list(x, response);
	exchange_reply(x);
}

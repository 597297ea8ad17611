/* handlers.h - what answers each API: one function per row of wire/api.def.
 *
 * Contract in exchange.h. request and response are those of x, with their types.
 */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/exchange.h"

#define API(key, name, min, max, flexible)                                                         \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response);
#include "wire/api.def"
#undef API

/* Fills in what is served. */
void api_versions_list(struct exchange *x, struct api_versions_response *response);

#endif

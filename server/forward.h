/* forward.h - requests that the broker's coordinators answer: handed on as they are, answered when they say so. */
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H

#include "broker/broker.h"
#include "server/exchange.h"

/* call: broker_group_call or broker_txn_call. */
void forward_call(struct exchange *x, void (*call)(struct broker *b, struct coordinator_call *c));

/* The handler of an API that needs nothing else. */
#define FORWARDED(name, call)                                                                      \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response)                                       \
	{                                                                                          \
		(void)request;                                                                     \
		(void)response;                                                                    \
		forward_call(x, call);                                                             \
	}

#endif

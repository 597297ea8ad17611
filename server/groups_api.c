/* groups_api.c - the group APIs: the broker's group coordinator answers. */
#include "server/forward.h"
#include "server/handlers.h"

#define FORWARDED(name)                                                                            \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response)                                       \
	{                                                                                          \
		(void)request;                                                                     \
		(void)response;                                                                    \
		forward_call(x, broker_group_call);                                                \
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

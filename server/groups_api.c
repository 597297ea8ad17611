/* groups_api.c - the group APIs: the broker's group coordinator answers. */
#include "server/forward.h"
#include "server/handlers.h"

FORWARDED(join_group, broker_group_call)
FORWARDED(sync_group, broker_group_call)
FORWARDED(heartbeat, broker_group_call)
FORWARDED(leave_group, broker_group_call)
FORWARDED(offset_commit, broker_group_call)
FORWARDED(offset_fetch, broker_group_call)
FORWARDED(offset_delete, broker_group_call)
FORWARDED(describe_groups, broker_group_call)
FORWARDED(list_groups, broker_group_call)
FORWARDED(delete_groups, broker_group_call)
FORWARDED(consumer_group_heartbeat, broker_group_call)
FORWARDED(consumer_group_describe, broker_group_call)

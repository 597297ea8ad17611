/* unserved.c - the APIs whose handlers are not there yet: their requests end the connection, with a line in the log. */
#include "server/handlers.h"

#define UNSERVED(name)                                                                             \
	void handle_##name(struct exchange *x, const struct name##_request *request,               \
			   struct name##_response *response)                                       \
	{                                                                                          \
		(void)request;                                                                     \
		(void)response;                                                                    \
		exchange_abort(x, #name " is not served yet");                                     \
	}

UNSERVED(metadata)
UNSERVED(create_topics)
UNSERVED(delete_topics)
UNSERVED(create_partitions)
UNSERVED(delete_records)
UNSERVED(describe_configs)
UNSERVED(alter_configs)
UNSERVED(incremental_alter_configs)
UNSERVED(describe_cluster)
UNSERVED(describe_log_dirs)
UNSERVED(describe_producers)
UNSERVED(describe_topic_partitions)

UNSERVED(list_offsets)
UNSERVED(offset_for_leader_epoch)
UNSERVED(init_producer_id)

UNSERVED(offset_commit)
UNSERVED(offset_fetch)
UNSERVED(offset_delete)
UNSERVED(join_group)
UNSERVED(heartbeat)
UNSERVED(leave_group)
UNSERVED(sync_group)
UNSERVED(describe_groups)
UNSERVED(list_groups)
UNSERVED(delete_groups)
UNSERVED(consumer_group_heartbeat)
UNSERVED(consumer_group_describe)

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

/* broker_config.h - the broker's own configuration, under Kafka's names, as DescribeConfigs tells
 * it. */
#ifndef SERVER_BROKER_CONFIG_H
#define SERVER_BROKER_CONFIG_H

#include "server/admin.h"

/* All rows in the order of their keys, in the exchange's memory: what was said when it was
 * started, and the defaults of topics. Nothing of it changes while the broker runs. */
struct topic_config_row *broker_config_rows(struct exchange *x, size_t *count);

#endif

/* admin.h - what the handlers of metadata and administration share. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "broker/broker.h"
#include "server/handlers.h"

/* What anybody may do, as the sets of bits that clients ask for: there is no authorisation yet. */
#define TOPIC_OPERATIONS                                                                           \
	0x0df8 /* read write create delete alter describe describe_configs alter_configs */
#define CLUSTER_OPERATIONS                                                                         \
	0x1fa0 /* create alter describe cluster_action *_configs idempotent_write */

/* NUL-terminated, of the exchange. NULL: it is null, or has a NUL inside. */
char *admin_text(struct exchange *x, struct slice s);
/* why's sentence as a string of the exchange; null when there is none. */
struct slice admin_message(struct exchange *x, const struct ks_why *why);
/* The id as messages carry it. */
struct wire_uuid admin_uuid(const struct topic *t);

/* Answers, unless the store has failed meanwhile: then what was done is not known, and nothing is
 * answered. */
void admin_reply(struct exchange *x);

/* An answer has an end: whoever asks for more than this at once gets an error for the rest. */
bool admin_is_full(const struct exchange *x);
#define ADMIN_FULL "this is more than one answer can hold; ask for fewer at once"

/* For each of n names whether an earlier one is the same; in the exchange's memory. name(x, i) is that of the i-th in the
 * request. Null names are never the same. */
bool *admin_repeated(struct exchange *x, int32_t n,
		     struct slice (*name)(struct exchange *x, int32_t i));

/* Where every partition lives: {v, n} with this node alone. One array per exchange is enough. */
int32_t *admin_node(struct exchange *x);

/* Checks a new partition's replicas: this node and no other. ERR_INVALID_REPLICA_ASSIGNMENT */
enum ks_err admin_check_replicas(struct exchange *x, const int32_t *ids, int32_t n,
				 struct ks_why *why);

#endif

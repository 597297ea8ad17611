/* cluster.h - a cluster as a client sees it: its brokers, who leads what, and how to ask the right
 * one.
 *
 * Begins with the bootstrap addresses; the first broker that answers tells about the others.
 * Connections are made when they are needed and made anew when they broke. What the brokers said
 * last is kept until an answer shows that it is no longer so.
 *
 * For one thread at a time. Blocking; every call ends by itself, at the latest after its deadline.
 */
#ifndef CLIENT_CLUSTER_H
#define CLIENT_CLUSTER_H

#include "client/connection.h"

struct client_cluster;

struct client_broker {
	int32_t id;
	char *host, *rack; /* rack NULL: none */
	uint16_t port;
};

/* bootstrap: HOST:PORT[,...], tried in turn.
 *   ERR_INVALID_ARGUMENT  bootstrap cannot be read
 *   ERR_UNREACHABLE       none of them answers */
enum ks_err client_cluster_open(const char *bootstrap, const struct client_options *options,
				struct client_cluster **out, struct ks_why *why);
void client_cluster_close(struct client_cluster *cl); /* may be NULL */

/* What the newest metadata said, until the next call. */
size_t client_cluster_broker_count(const struct client_cluster *cl);
const struct client_broker *client_cluster_broker(const struct client_cluster *cl, size_t i);
int32_t client_cluster_controller(const struct client_cluster *cl); /* -1: none */
const char *client_cluster_id(const struct client_cluster *cl);     /* NULL: not told */

/* Whom to ask. */
enum client_where {
	CLIENT_ANY,
	CLIENT_CONTROLLER,
	CLIENT_NODE,            /* node */
	CLIENT_COORDINATOR,     /* of group */
	CLIENT_TXN_COORDINATOR, /* of group, which is a transactional id */
};

struct client_question {
	struct client_call call;
	enum client_where where;
	int32_t node;
	const char *group; /* or transactional id */
	/* Whether the answer asks to try again; NULL: it never does. May be called for answers of
	 * all versions that the call allows. */
	bool (*is_transient)(const struct client_reply *r);
	bool is_repeatable; /* asking again does no harm when the first answer got lost */
	int retry_ms;       /* how long to try; 0: 15 s; negative: once */
};

/* Asks until there is an answer that is not transient, or the time is up; then the last answer, or
 * the last error, is the result. Errors are those of client_connection_call, and
 *   ERR_COORDINATOR_NOT_AVAILABLE, ERR_GROUP_AUTHORIZATION_FAILED, ...  no coordinator is told */
enum ks_err client_cluster_ask(struct client_cluster *cl, const struct client_question *q,
			       struct client_reply *r, struct ks_why *why);

/* Metadata of topics, of version 4 or later; names NULL: of all. Learns brokers and leaders from
 * it. Errors of topics are the caller's to look at. */
enum ks_err client_cluster_metadata(struct client_cluster *cl, const char *const *names,
				    size_t count, bool may_create, struct client_reply *r,
				    struct ks_why *why);

/* The leaders of a topic's partitions; -1 where there is none at the moment. Valid until the next
 * call.
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_TOPIC_AUTHORIZATION_FAILED, ... as the broker says */
enum ks_err client_cluster_leaders(struct client_cluster *cl, const char *topic,
				   const int32_t **leaders, int32_t *count, struct ks_why *why);
/* ERR_UNKNOWN_TOPIC_OR_PARTITION, with the partitions that there are, unless this is one of count. */
enum ks_err client_check_partition(const char *topic, int64_t partition, int32_t count,
				   struct ks_why *why);
/* A leader turned out to be none: asks again next time. */
void client_cluster_forget_leaders(struct client_cluster *cl, const char *topic);
/* The coordinator asked last; -1: none is known. */
int32_t client_cluster_coordinator(const struct client_cluster *cl);
void client_cluster_forget_coordinator(struct client_cluster *cl);

/* A connection of the caller's own to one broker. */
enum ks_err client_cluster_connect(struct client_cluster *cl, int32_t node,
				   struct client_connection **out, struct ks_why *why);

/* Retries with growing pauses. Begin with client_retry_in. */
struct client_retry {
	int64_t deadline_ns;
	int attempt;
};
struct client_retry client_retry_in(int timeout_ms);
/* Pauses and returns true, or false when the time is up or the stop was asked for. */
bool client_retry_pause(struct client_cluster *cl, struct client_retry *retry);

#endif

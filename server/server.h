/* server.h - the Kafka protocol on sockets: listeners, loops, connections, handlers.
 *
 *   loop thread (one per core)                           elsewhere
 *   accept, read frames, decode, dispatch  --handler-->  shard, worker threads, parked fetches
 *   encode in order, write                 <--reply---
 *
 * A server serves one broker (broker.h) that somebody else opened and closes after it.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "broker/broker.h"

struct server;

struct server_listener {
	const char *host;            /* to bind; "" or "0.0.0.0": all */
	uint16_t port;               /* 0: the kernel's choice, told by server_port */
	const char *advertised_host; /* NULL: host */
	uint16_t advertised_port;    /* 0: the bound one */
};

/* One thing that was set up, for who asks with DescribeConfigs. */
struct server_setting {
	const char *key, *value; /* value NULL: none */
	enum config_type type;
	bool is_default;
};

/* What a server needs to know; strings are borrowed until server_stop. Zero means the default. */
struct server_options {
	struct broker *broker;
	const struct server_listener *listeners;
	size_t listener_count;
	bool is_node_zero;           /* node_id is 0, and that is meant */
	int32_t node_id;             /* broker.id / node.id; default 1 */
	const char *rack;            /* NULL: none */
	int loops;                   /* network threads; 0: one per core */
	size_t request_bytes_max;    /* socket.request.max.bytes; 100 MiB */
	size_t request_memory_bytes; /* queued.max.request.bytes: of all requests under way; 256 MiB */
	size_t answer_memory_bytes;     /* of record batches on their way to consumers; 256 MiB */
	size_t recompress_memory_bytes; /* of batches with a topic's compression.type; 128 MiB */
	size_t fetch_bytes_max;         /* fetch.max.bytes; 55 MiB */
	int connections_max;            /* max.connections; 16384 */
	int connections_per_ip_max;     /* max.connections.per.ip; no limit */
	int64_t idle_ms;                /* connections.max.idle.ms; 600000 */
	int64_t first_request_ms;       /* a peer has this long to send its first request; 10000 */
	int64_t slow_ms; /* who holds memory that others wait for moves 64 KiB in this time; 10000 */
	int fetch_sessions_max; /* max.incremental.fetch.session.cache.slots; 1000 */
	bool has_no_sessions;   /* fetch_sessions_max is 0, and that is meant */
	int listen_backlog;     /* socket.listen.backlog.size; 4096 */
	int send_buffer_bytes, receive_buffer_bytes; /* of each socket; <= 0: the kernel's choice */
	bool refuses_deletion;                       /* delete.topic.enable is off */
	bool auto_create_topics;
	/* Topics may be created with a replication factor up to this, and have one replica all the same; 0: 1. */
	int replicas_accepted;
	const struct server_setting *settings; /* beside what is above; may be NULL */
	size_t setting_count;
	/* The store has failed (broker_failure): nothing more can be acknowledged. Called at most once, on any thread, and not
	 * after server_stop; must not block or call the server. May be NULL. */
	void (*failed)(void *cookie);
	void *failed_cookie;
};

/* Listens on all listeners and serves in threads of its own until server_stop. What the options point to is alive until then.
 * On failure nothing is left of it. */
enum ks_err server_start(const struct server_options *options, struct server **out,
			 struct ks_why *why);
/* The port that a listener is bound to. */
uint16_t server_port(const struct server *s, size_t listener);
/* Takes a connected socket and serves it as if it had come in through the first listener. */
void server_adopt(struct server *s, int fd);
/* Takes no more connections, lets requests under way finish (at most timeout_ms), closes. s may be NULL. */
void server_stop(struct server *s, int timeout_ms);

/* For handlers. */
struct broker *server_broker(struct server *s);
const struct server_options *server_options_of(const struct server *s);
const char *server_cluster_id(const struct server *s); /* 22 characters, kept in the store */

#endif

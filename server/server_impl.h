/* server_impl.h - what the files of this folder share. */
#ifndef SERVER_SERVER_IMPL_H
#define SERVER_SERVER_IMPL_H

#include <stdatomic.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "server/connection.h"
#include "server/fetch_session.h"
#include "server/ip_counts.h"
#include "server/loop.h"
#include "server/pool.h"
#include "server/readers.h"
#include "server/server.h"
#include "server/workers.h"

#define ENDPOINT_SOCKETS_MAX 4 /* addresses that one host name stands for */

/* A listener: the sockets of one host and port. */
struct endpoint {
	struct server *server;
	struct server_listener listener;
	uint16_t port; /* the bound one */
	bool is_wildcard;
	int socket_count;
	int sockets[ENDPOINT_SOCKETS_MAX];
	uv_poll_t polls[ENDPOINT_SOCKETS_MAX]; /* owner: loop 0 */
};

struct server {
	/* immutable after start */
	struct server_options options; /* defaults filled in */
	struct endpoint *endpoints;
	struct loop *loops;
	int loop_count;
	struct workers *workers;         /* may block on the store and the shard */
	struct workers *compute_workers; /* never block */
	char cluster_id[24];

	struct pool request_memory, answer_memory, recompress_memory;
	struct fetch_sessions *sessions;
	struct readers *readers;

	/* upkeep.c: idle readers are freed by a worker, some time after a letter has set the timer */
	_Atomic(bool) is_expiring;
	struct letter readers_letter;
	struct job readers_job;

	/* owner: loop 0 */
	struct loop_timer readers_timer;
	int spare_fd; /* given up for a moment when file descriptors run out */

	/* shared */
	_Atomic(unsigned) next_loop;        /* of the next connection, modulo loop_count */
	_Atomic(uint64_t) connections_ever; /* accepted */
	_Atomic(int) connection_count;
	_Atomic(int) refs; /* connections, and server_stop's own */
	_Atomic(bool) is_stopping;
	struct log_limit log_limit;
	pthread_mutex_t mtx;
	struct ip_counts ips;   /* under mtx; kept only when max.connections.per.ip is set */
	bool tells_nothing;     /* under mtx: a failure was told, or server_stop has ended */
	pthread_cond_t emptied; /* connection_count fell to 0 */
};

/* Accepting: loop 0's thread. */
void endpoint_listen(struct loop *l, void *endpoint);
void endpoint_close(struct loop *l, void *endpoint);
/* Binds; ERR_IO. */
enum ks_err endpoint_bind(struct endpoint *e, struct ks_why *why);

/* The store has failed while it worked on x: the outcome is unknown, so x is not answered, and who runs the server is told,
 * once. From any thread. */
void server_store_failed(struct exchange *x);

/* A line about what a peer did, at most LOG_LIMIT_PER_SECOND of them; fewer than 8 fields. From any thread. */
void server_log(struct server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void server_log_fields(struct server *s, const struct log_field *fields, size_t count,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Sees to it that readers that wait for nobody are freed, some seconds from now. From any thread. */
void server_expire_readers(struct server *s);
void server_init_upkeep(struct server *s);

/* A peer has connected: counts it, and a reference. false: there are too many, with a line in the log. */
bool server_connection_opens(struct server *s, const struct in6_addr *ip);
/* Its socket is closed; its reference is dropped when it is freed. */
void server_connection_closed(struct server *s, const struct in6_addr *ip);
void server_unref(struct server *s);

#endif

/* endpoint.c - listening sockets: binding, and dealing out what comes in to the loops, one after the other.
 *
 * A host name may stand for several addresses; all of them are bound, so that "localhost" is reached by
 * whichever the client tries first.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "server/server_impl.h"

#define ACCEPT_TURN 64 /* connections, then it is the turn of others */

static bool is_wildcard(const char *host)
{
	return !*host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

static void set_port(struct addrinfo *a, uint16_t port)
{
	if (a->ai_family == AF_INET6)
		((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)a->ai_addr)->sin_port = htons(port);
}

/* A listening socket, or -1 and errno. */
static int listen_on(const struct addrinfo *a, bool is_dual, int backlog)
{
	int on = 1, off = 0;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_dual ? &off : &on, sizeof on);
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, backlog)) {
		int failed = errno;
		close(fd);
		errno = failed;
		return -1;
	}
	return fd;
}

/* All addresses get the port that the first one got. An address family that the machine lacks is no error while there is
 * another. */
static int bind_all(struct endpoint *e, struct addrinfo *list, bool is_dual)
{
	int failed = 0;

	for (struct addrinfo *a = list; a && e->socket_count < ENDPOINT_SOCKETS_MAX;
	     a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		set_port(a, e->port);
		int fd = listen_on(a, is_dual, e->server->options.listen_backlog);
		if (fd < 0 && errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
			return errno;
		if (fd < 0) {
			failed = errno;
			continue;
		}
		e->sockets[e->socket_count++] = fd;
		e->port = bound_port(fd);
		if (is_dual && a->ai_family == AF_INET6)
			break;
	}
	return e->socket_count ? 0 : failed;
}

enum ks_err endpoint_bind(struct endpoint *e, struct ks_why *why)
{
	const char *host = e->listener.host;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	char port[8];

	e->is_wildcard = is_wildcard(host);
	e->port = e->listener.port;
	snprintf(port, sizeof port, "%u", e->listener.port);
	/* Without a host it is every address: the IPv6 one, which takes IPv4 along, comes first. */
	bool is_dual = !*host || !strcmp(host, "::");
	if (!*host)
		hints.ai_family = access("/proc/net/if_inet6", F_OK) ? AF_INET : AF_INET6;
	int failed = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (failed)
		return ks_fail(why, ERR_IO, "cannot listen on %s:%s: %s", host, port,
			       gai_strerror(failed));
	failed = bind_all(e, list, is_dual);
	freeaddrinfo(list);
	if (failed)
		return ks_fail(
			why, ERR_IO, "cannot listen on %s:%s: %s%s", host, port, strerror(failed),
			failed == EADDRINUSE ? "; stop what listens there, or choose another port"
					     : "");
	return ERR_NONE;
}

/* --- accepting --- */

struct arrival {
	struct letter letter;
	struct loop *loop;
	const struct endpoint *endpoint;
	int fd;
	struct in6_addr ip;
	uint64_t order;
};

static void on_arrival(struct letter *letter)
{
	struct arrival *a = (struct arrival *)letter;

	connection_open(a->loop, a->fd, a->endpoint, &a->ip, a->order);
	free(a);
}

static void set_buffer(int fd, int which, int bytes)
{
	if (bytes > 0)
		setsockopt(fd, SOL_SOCKET, which, &bytes, sizeof bytes);
}

/* From any thread. */
static void deal_out(struct endpoint *e, int fd, const struct sockaddr_storage *from)
{
	struct server *s = e->server;
	struct in6_addr ip = ip_of(from);

	if (!server_connection_opens(s, &ip)) {
		close(fd);
		return;
	}
	set_buffer(fd, SO_SNDBUF, s->options.send_buffer_bytes);
	set_buffer(fd, SO_RCVBUF, s->options.receive_buffer_bytes);
	unsigned next = atomic_fetch_add(&s->next_loop, 1);
	struct loop *loop = &s->loops[next % (unsigned)s->loop_count];
	struct arrival *a = xcalloc(1, sizeof *a);
	*a = (struct arrival){.letter.deliver = on_arrival,
			      .loop = loop,
			      .endpoint = e,
			      .fd = fd,
			      .ip = ip,
			      .order = atomic_fetch_add(&s->connections_ever, 1) + 1};
	loop_post(a->loop, &a->letter);
}

/* No descriptor is left: the connection is taken with the spare one and closed, for it would be reported again and
 * again. */
static void turn_away(struct server *s, int listener)
{
	counter_add(&s->loops[0].metrics.connections_refused, 1);
	server_log(s, "no file descriptor is left for another connection");
	close(s->spare_fd);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
	struct endpoint *e = poll->data;
	int listener = e->sockets[poll - e->polls];

	(void)events;
	if (status < 0)
		return;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof from;
		int fd = accept4(listener, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			deal_out(e, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			turn_away(e->server, listener);
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
}

void server_adopt(struct server *s, int fd)
{
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	deal_out(&s->endpoints[0], fd, &from);
}

void endpoint_listen(struct loop *l, void *endpoint)
{
	struct endpoint *e = endpoint;

	for (int i = 0; i < e->socket_count; i++) {
		int failed = uv_poll_init(&l->uv, &e->polls[i], e->sockets[i]);
		assert(!failed && "the socket is new and not blocking");
		e->polls[i].data = e;
		uv_poll_start(&e->polls[i], UV_READABLE, on_connections);
	}
}

void endpoint_close(struct loop *l, void *endpoint)
{
	struct endpoint *e = endpoint;

	for (int i = 0; i < e->socket_count; i++) {
		if (l && e->polls[i].data)
			uv_close((uv_handle_t *)&e->polls[i], NULL);
		close(e->sockets[i]);
	}
	e->socket_count = 0;
}

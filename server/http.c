/* http.c - see http.h; libmicrohttpd speaks HTTP. */
#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/metrics_text.h"

#define CONNECTIONS_MAX  16
#define CONNECTION_BYTES 16384
#define CONNECTION_STACK (256 * 1024)
#define TIMEOUT_S        10
#define SCRAPE_WAIT_S    2 /* for another one to end */

#define TEXT             "text/plain; charset=utf-8"
#define METRICS          "text/plain; version=0.0.4; charset=utf-8"

struct http {
	struct MHD_Daemon *daemon;
	uint16_t port;

	pthread_mutex_t scraping; /* who holds it may use the server, and write; before mtx */
	/* shared, under scraping */
	void (*write)(void *cookie, struct buf *out);
	void *write_cookie;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	struct server *server;
	const char *state;
};

/* --- answers --- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
			      struct MHD_Response *r)
{
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* text is copied. */
static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
	char line[1200];
	int n = snprintf(line, sizeof line, "%s\n", text);
	size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;

	return answer(c, status, TEXT,
		      MHD_create_response_from_buffer(len, line, MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result answer_ready(struct http *h, struct MHD_Connection *c)
{
	const char *failure = NULL, *state;
	char text[1100];

	pthread_mutex_lock(&h->mtx);
	state = h->state;
	if (h->server)
		failure = broker_failure(server_broker(h->server));
	if (failure)
		snprintf(text, sizeof text, "the store has failed: %s", failure);
	bool is_ready = (h->server || !state) && !failure;
	pthread_mutex_unlock(&h->mtx);
	if (is_ready)
		return answer_text(c, MHD_HTTP_OK, "ready");
	return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, failure ? text : state);
}

static bool scrape_begin(struct http *h)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SCRAPE_WAIT_S;
	return !pthread_mutex_timedlock(&h->scraping, &until);
}

static enum MHD_Result answer_metrics(struct http *h, struct MHD_Connection *c)
{
	const char *full = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "full");
	struct buf text = {0};
	struct MHD_Response *r;

	if (!scrape_begin(h))
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE,
				   "somebody else's figures are still being gathered");
	pthread_mutex_lock(&h->mtx);
	struct server *s = h->server; /* stays while scraping is held */
	pthread_mutex_unlock(&h->mtx);
	metrics_text(s, full && !strcmp(full, "1"), &text);
	if (h->write)
		h->write(h->write_cookie, &text);
	pthread_mutex_unlock(&h->scraping);
	r = MHD_create_response_from_buffer_with_free_callback(text.len, text.data, free);
	if (!r)
		buf_fini(&text);
	return answer(c, MHD_HTTP_OK, METRICS, r);
}

static enum MHD_Result on_request(void *http, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	static int seen;

	(void)version;
	(void)upload;
	/* The first call has the headers alone: whoever sends a body is told off at once. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (!strcmp(url, "/metrics"))
		return answer_metrics(http, c);
	if (!strcmp(url, "/healthz"))
		return answer_text(c, MHD_HTTP_OK, "alive");
	if (!strcmp(url, "/readyz"))
		return answer_ready(http, c);
	return answer_text(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz");
}

/* --- life --- */

static struct MHD_Daemon *start_daemon(struct http *h, const struct addrinfo *a)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL | MHD_USE_ITC;

	if (a->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, a->ai_addr,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)CONNECTION_STACK, MHD_OPTION_END);
}

static void free_http(struct http *h)
{
	pthread_mutex_destroy(&h->scraping);
	pthread_mutex_destroy(&h->mtx);
	free(h);
}

enum ks_err http_start(const char *host, uint16_t port, struct http **out, struct ks_why *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	struct http *h = xcalloc(1, sizeof *h);
	char service[8];

	pthread_mutex_init(&h->scraping, NULL);
	pthread_mutex_init(&h->mtx, NULL);
	h->state = "starting";
	snprintf(service, sizeof service, "%u", port);
	int failed = getaddrinfo(*host ? host : NULL, service, &hints, &list);
	if (failed) {
		free_http(h);
		return ks_fail(why, ERR_IO, "cannot listen on %s:%u for HTTP: %s", host, port,
			       gai_strerror(failed));
	}
	errno = 0;
	for (struct addrinfo *a = list; a && !h->daemon; a = a->ai_next)
		h->daemon = start_daemon(h, a);
	freeaddrinfo(list);
	if (!h->daemon) {
		free_http(h);
		return ks_fail(why, ERR_IO, "cannot listen on %s:%u for HTTP: %s", host, port,
			       errno ? strerror(errno) : "no thread");
	}
	h->port = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	*out = h;
	return ERR_NONE;
}

uint16_t http_port(const struct http *h)
{
	return h->port;
}

void http_show(struct http *h, struct server *s, const char *state)
{
	/* The state first: a scrape may take its time. */
	pthread_mutex_lock(&h->mtx);
	h->state = state;
	h->server = s;
	pthread_mutex_unlock(&h->mtx);
	pthread_mutex_lock(&h->scraping);
	pthread_mutex_unlock(&h->scraping);
}

void http_add(struct http *h, void (*write)(void *cookie, struct buf *out), void *cookie)
{
	pthread_mutex_lock(&h->scraping);
	h->write = write;
	h->write_cookie = cookie;
	pthread_mutex_unlock(&h->scraping);
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free_http(h);
}

/* http.h - a second, small door for those who watch the broker: metrics and health, by HTTP.
 *
 *   GET /metrics          Prometheus' text format; ?full=1 with a series for each partition (metrics_text.h)
 *   GET /healthz          200 as long as the process is alive
 *   GET /readyz           200 when the broker listens and its store is healthy, else 503 and why
 *
 * It opens before the broker does, so that a long recovery is seen as such. There is no authentication: it is
 * meant for the loopback address. Connections, their memory and their time are bounded; each has a thread of its
 * own while it lasts, so that a broker that hangs still answers /healthz.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "server/server.h"

struct http;

/* ERR_IO: host and port cannot be bound. port 0: the kernel's choice. */
enum ks_err http_start(const char *host, uint16_t port, struct http **out, struct ks_why *why);
uint16_t http_port(const struct http *h);
/* From now on the figures are those of s; NULL: of the process alone. Returns when nobody looks at the server
 * before any more. state: what /readyz says while there is none; static. NULL: it is ready without one. */
void http_show(struct http *h, struct server *s, const char *state);
/* From now on write adds families of its own to the figures, on a thread of h; NULL: nobody does. Returns when nobody is in
 * the one before any more. */
void http_add(struct http *h, void (*write)(void *cookie, struct buf *out), void *cookie);
/* h may be NULL. */
void http_stop(struct http *h);

#endif

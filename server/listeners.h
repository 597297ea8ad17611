/* listeners.h - NAME://host:port lists, as Kafka's listeners and advertised.listeners have them. */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include "server/server.h"

#define LISTENERS_MAX 32

/* Zero-initialise; release with listeners_fini. */
struct listeners {
	struct server_listener v[LISTENERS_MAX];
	size_t count;
	char *texts[2 * LISTENERS_MAX]; /* what v points into */
	size_t text_count;
};

/* "host:port", "[::1]:port" or ":port". ERR_INVALID_CONFIG */
enum ks_err listeners_add(struct listeners *l, const char *address, struct ks_why *why);
/* advertised, protocols (NAME:PROTOCOL,...) and controllers (names, which are left out) may be NULL.
 * ERR_INVALID_CONFIG, also for protocols other than PLAINTEXT */
enum ks_err listeners_parse(struct listeners *l, const char *listeners, const char *advertised,
			    const char *protocols, const char *controllers, struct ks_why *why);
void listeners_fini(struct listeners *l);

#endif

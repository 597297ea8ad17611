/* broker_http.h - the option --http of `ksrun broker`. */
#ifndef CLI_BROKER_HTTP_H
#define CLI_BROKER_HTTP_H

#include "cli/verb.h"
#include "server/http.h"

#define BROKER_HTTP_OPTION                                                                         \
	{                                                                                          \
		.name = "http", .type = OPTION_TEXT, .arg = "HOST:PORT|off",                       \
		.fallback = "127.0.0.1:8092", .env = "KS_HTTP",                                    \
		.help = "where /metrics, /healthz and /readyz answer",                             \
	}

/* "host:port", "[::1]:port" or ":port"; *host is within text, which is changed. */
bool address_split(char *text, char **host, uint16_t *port);

/* Opens it as the option says. *out may be NULL: switched off, or the address is the default and somebody else
 * has it, which is logged. Returns an exit code. */
int broker_http_open(const struct options *o, struct http **out);

#endif

/* broker_http.h - the option --http and the key http.listener of `ksrun broker` and `ksrun run`. */
#ifndef CLI_BROKER_HTTP_H
#define CLI_BROKER_HTTP_H

#include "cli/verb.h"
#include "server/http.h"
#include "server/settings.h"

#define BROKER_HTTP_OPTION                                                                         \
	{                                                                                          \
		.name = "http", .type = OPTION_TEXT, .arg = "HOST:PORT|off",                       \
		.help = "where /metrics, /healthz and /readyz answer (default 127.0.0.1:8092)",    \
	}

/* Opens it as the option says, else the key http.listener; s may be NULL. *out may be NULL: switched off, or the address is
 * the default and somebody else has it, which is logged. Returns an exit code. */
int broker_http_open(const struct options *o, const struct settings *s, struct http **out);

#endif

/* broker_http.c - see broker_http.h. */
#include "cli/broker_http.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define HTTP_DEFAULT "127.0.0.1:8092"

/* "host:port", "[::1]:port" or ":port"; *host is within text, which is changed. */
static bool address_split(char *text, char **host, uint16_t *port)
{
	char *colon = strrchr(text, ':'), *end;

	if (!colon)
		return false;
	long number = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || number < 0 || number > 65535)
		return false;
	*colon = 0;
	if (*text == '[' && colon > text && colon[-1] == ']') {
		colon[-1] = 0;
		text++;
	}
	*host = text;
	*port = (uint16_t)number;
	return true;
}

static int open_at(const char *host, uint16_t port, bool is_default, struct http **out)
{
	struct ks_why why = {""};
	enum ks_err err = http_start(host, port, out, &why);

	if (err && is_default) {
		log_warn("http", "no metrics: %s (--http chooses another address)", why.text);
		return EXIT_DONE;
	}
	if (err)
		return say_failure(err, &why);
	const struct log_field fields[] = {LOG_STRING("host", host),
					   LOG_NUMBER("port", http_port(*out))};
	log_write_fields(LOG_INFO, "http", fields, 2, "metrics and health");
	return EXIT_DONE;
}

int broker_http_open(const struct options *o, const struct settings *s, struct http **out)
{
	const char *option = options_text(o, "http");
	const char *set = option ? option : s ? settings_http(s) : NULL;
	char *text = xstrdup(set ? set : HTTP_DEFAULT), *host;
	uint16_t port;
	int code = EXIT_DONE;

	*out = NULL;
	if (!strcmp(text, "off"))
		code = EXIT_DONE;
	else if (!address_split(text, &host, &port))
		code = say_usage("%s \"%s\": it is HOST:PORT, or off",
				 option ? "--http" : "http.listener", set);
	else
		code = open_at(host, port, !set, out);
	free(text);
	return code;
}

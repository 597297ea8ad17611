/* address.c - see address.h. */
#include "client/address.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The port behind the colon; an absent one is Kafka's. */
static bool parse_port(const char *text, size_t len, uint16_t *out)
{
	uint32_t port = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(text[i] - '0');
	}
	*out = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

static bool parse_one(const char *text, size_t len, struct client_address *out)
{
	const char *host = text, *end = text + len, *port = NULL;
	size_t host_len;

	out->port = CLIENT_PORT;
	if (len && *text == '[') {
		const char *close = memchr(text, ']', len);
		if (!close || (close + 1 < end && close[1] != ':'))
			return false;
		host = text + 1;
		host_len = (size_t)(close - host);
		port = close + 1 < end ? close + 2 : NULL;
	} else {
		const char *colon = memchr(text, ':', len);
		if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
			return false; /* IPv6 without brackets: where would the port begin? */
		host_len = colon ? (size_t)(colon - text) : len;
		port = colon ? colon + 1 : NULL;
	}
	if (host_len == 0 || host_len > CLIENT_HOST_MAX || memchr(host, ' ', host_len))
		return false;
	memcpy(out->host, host, host_len);
	out->host[host_len] = 0;
	return !port || parse_port(port, (size_t)(end - port), &out->port);
}

enum ks_err client_addresses_parse(const char *text, struct client_address **out, size_t *count,
				   struct ks_why *why)
{
	struct client_address *rows = NULL;
	size_t n = 0;

	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");
		while (len && *p == ' ') {
			p++;
			len--;
		}
		rows = xrealloc(rows, (n + 1) * sizeof *rows);
		if (n == CLIENT_ADDRESS_MAX || !parse_one(p, len, &rows[n])) {
			free(rows);
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       n == CLIENT_ADDRESS_MAX
					       ? "\"%.*s\": that is one address too many"
					       : "cannot read the address \"%.*s\": HOST:PORT is "
						 "needed",
				       (int)(len > 300 ? 300 : len), p);
		}
		n++;
		p += len;
		if (!*p)
			break;
	}
	*out = rows;
	*count = n;
	return ERR_NONE;
}

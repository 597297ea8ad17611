/* address.h - HOST:PORT[,HOST:PORT...], as --bootstrap has it. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLIENT_PORT        9092 /* where none is given */
#define CLIENT_HOST_MAX    253  /* bytes: the longest DNS name */
#define CLIENT_ADDRESS_MAX 64   /* of one list */

struct client_address {
	char host[CLIENT_HOST_MAX + 1];
	uint16_t port;
};

/* A host is a name, an IPv4 address, or an IPv6 address in brackets. free() the array.
 * ERR_INVALID_ARGUMENT: why quotes what is wrong. */
enum ks_err client_addresses_parse(const char *text, struct client_address **out, size_t *count,
				   struct ks_why *why);

#endif

/* api.h - the APIs of the protocol that we speak, and the headers of requests and responses.
 *
 * api.def is the one list; what is not in it is neither served nor advertised.
 */
#ifndef WIRE_API_H
#define WIRE_API_H

#include "wire/messages.h"

enum wire_api_key {
#define API(key, name, min, max, flexible) API_##name = (key),
#include "wire/api.def"
#undef API
};

#define WIRE_API_KEYS 128 /* every key is below */

struct wire_api {
	int16_t key;
	int16_t version_min, version_max;
	int16_t first_flexible; /* WIRE_NEVER: none */
	const char *name;       /* "list_offsets" */
	const struct wire_desc *(*request)(void), *(*response)(void);
};

extern const struct wire_api wire_apis[]; /* in the order of their keys */
extern const size_t wire_api_count;

/* NULL: unknown. */
const struct wire_api *wire_api_find(int16_t key);

struct request_header {
	int16_t api_key, api_version;
	int32_t correlation_id;
	struct slice client_id; /* may be null; borrowed */
};

/* Reads the header at the beginning of a request's bytes (after the length). body: what follows it. api is NULL when the
 * key is unknown or the version is none of ours: then the header is read as far as correlation_id, for
 * the answer.
 *   ERR_MALFORMED */
enum ks_err request_header_read(struct slice bytes, struct request_header *h,
				const struct wire_api **api, struct slice *body);

/* Where a message began in what is being written. */
struct wire_mark {
	size_t at, total;
};

/* Appends room for the length and the header of a request; the body follows, then message_finish. */
struct wire_mark request_header_write(struct wire_out *o, const struct wire_api *api,
				      int16_t version, int32_t correlation_id,
				      struct slice client_id);
/* The same for a response; an answer to ApiVersions has header version 0 always. */
struct wire_mark response_header_write(struct wire_out *o, const struct wire_api *api,
				       int16_t version, int32_t correlation_id);
/* Sets the length of the message that began at the mark and is the last one of o. */
void message_finish(struct wire_out *o, struct wire_mark start);
/* Reads the header of a response. ERR_MALFORMED */
enum ks_err response_header_read(struct slice bytes, const struct wire_api *api, int16_t version,
				 int32_t *correlation_id, struct slice *body);

#endif

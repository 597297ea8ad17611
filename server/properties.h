/* properties.h - Java's properties format, as server.properties has it.
 *
 *   # or ! begin a comment        key=value, key: value, key value
 *   \ at a line's end goes on     \t \n \r \f \uXXXX, and \ before anything else that is meant as it is
 *
 * Text is UTF-8. Of a key that comes twice both are told, the later one counts.
 */
#ifndef SERVER_PROPERTIES_H
#define SERVER_PROPERTIES_H

#include "base/err.h"
#include "base/mem.h"

#define PROPERTIES_BYTES_MAX (1024 * 1024)

struct property {
	char *key, *value;
	int line; /* where it begins, from 1 */
};

/* Release with properties_fini. */
struct properties {
	struct property *v;
	size_t count, cap;
};

/* name: of the text, for why. ERR_INVALID_CONFIG: not such a text, with line; nothing needs to be released. */
enum ks_err properties_parse(struct slice text, const char *name, struct properties *out,
			     struct ks_why *why);
/* ERR_IO, ERR_TOO_LARGE */
enum ks_err properties_load(const char *path, struct properties *out, struct ks_why *why);
void properties_fini(struct properties *p);

#endif

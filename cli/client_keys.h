/* client_keys.h - the properties of a client of a cluster: what -X, the files and `config explain` know.
 *
 * Names, aliases and ranges are librdkafka's, and Java's where it calls the same thing otherwise. A key is in the table only
 * when our client does what it says; every other key that some Kafka client knows is refused by name, so that nothing that
 * somebody relies on, such as TLS, is passed over in silence.
 */
#ifndef CLI_CLIENT_KEYS_H
#define CLI_CLIENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum client_key_kind {
	CLIENT_NUMBER, /* from min to max */
	CLIENT_SWITCH, /* true or false */
	CLIENT_TEXT,   /* at most max bytes */
	CLIENT_CHOICE, /* one of the words, whose case counts nothing */
};

/* How the option of a verb says what the key says. */
enum client_key_form {
	CLIENT_AS_IT_IS,
	CLIENT_AS_DURATION,  /* ms there, 500ms here */
	CLIENT_AS_ISOLATION, /* --uncommitted, --read-committed */
};

#define CLIENT_ALIASES 2

struct client_key {
	const char *name;
	const char *aliases[CLIENT_ALIASES]; /* NULL: none */
	const char *fallback;                /* NULL: none */
	enum client_key_kind kind;
	int64_t min, max;
	const char *words;  /* of a choice, separated by blanks */
	const char *option; /* which outranks it; NULL: none */
	enum client_key_form form;
	const char *meaning;
};

/* In the order of their names; NULL behind the last. */
const struct client_key *client_key_at(size_t i);
size_t client_key_index(const struct client_key *k);
/* By name or alias, "topic." before it or not; NULL: none. */
const struct client_key *client_key_find(const char *name);
/* The same of a name that is ours: it aborts when it is none. */
const struct client_key *client_key_get(const char *name);
/* Whether other clients have it and ours has not. */
bool client_key_is_unsupported(const char *name);
/* The name most like it, of all clients; NULL: none is. */
const char *client_key_near(const char *name);
/* Why there is no such key: not supported, or unknown, with what was probably meant. origin: who asks. ERR_INVALID_CONFIG */
enum ks_err client_key_missing(const char *name, const char *origin, struct ks_why *why);

/* ERR_INVALID_CONFIG: the value is none of this key; why begins with origin. */
enum ks_err client_key_check(const struct client_key *k, const char *value, const char *origin,
			     struct ks_why *why);
/* What its values can be, for people: "0 to 900000"; "" when anything can. free() it. */
char *client_key_range(const struct client_key *k);

#endif

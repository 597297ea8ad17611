/* settings.h - how a broker is set up: Kafka's keys, from a properties file, the environment and the command line.
 *
 * All keys of Kafka's broker are known by name. Those that mean something here are held against Kafka's ranges; the others are
 * told in one line of the log; what no Kafka knows is an error that names what was probably meant. What weakens
 * when it is not there - TLS, SASL, an authorizer - is refused, not passed over.
 *
 * Each source is read after those that it outranks: file, environment, command line.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "server/server.h"

struct settings;

struct settings *settings_new(void);
void settings_free(struct settings *s); /* s may be NULL; also what settings_apply has lent */

/* origin: where it is said, for why ("server.properties:12"). ERR_INVALID_CONFIG */
enum ks_err settings_set(struct settings *s, const char *key, const char *value, const char *origin,
			 struct ks_why *why);
/* All of a properties file. ERR_INVALID_CONFIG, ERR_IO, ERR_TOO_LARGE */
enum ks_err settings_load(struct settings *s, const char *path, struct ks_why *why);
/* The variables KAFKA_X_Y and KS_X_Y for x.y; a dash is ___, an underscore __. What is no key is let be: the
 * environment belongs to others too. */
enum ks_err settings_load_environment(struct settings *s, char **environment, struct ks_why *why);
/* --listen HOST:PORT: instead of listeners and advertised.listeners. */
enum ks_err settings_listen(struct settings *s, const char *address, struct ks_why *why);

/* Holds the settings against each other and fills what they say into the options; lends strings and listeners until
 * settings_free. Writes the line about keys without effect. ERR_INVALID_CONFIG */
enum ks_err settings_apply(struct settings *s, struct server_options *server,
			   struct broker_options *broker, struct ks_why *why);
/* log.dirs; NULL: not set. */
const char *settings_data_dir(const struct settings *s);
/* http.listener: HOST:PORT or "off"; NULL: not set. */
const char *settings_http(const struct settings *s);

/* Row i of the keys that mean something, for the documentation's test; NULL behind the last. value: the default as text. */
const char *settings_key(size_t i, const char **value);

/* One key of a broker, for who asks about it. */
struct settings_key_about {
	const char *fallback; /* NULL: none */
	const char *meaning;
	char range[48]; /* "" where anything can stand */
};
/* False: it is no key of Kafka's broker, or one that is the default of a topic's (broker_default_key). */
bool settings_explain(const char *key, struct settings_key_about *out);
/* The key most like this one; NULL: none is. */
const char *settings_near(const char *key);

#endif

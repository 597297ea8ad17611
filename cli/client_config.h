/* client_config.h - what a user has set of the properties of a client, and where.
 *
 *     option > -X > environment > --command-config > profile > head of the configuration file > default
 *
 * Sources are read in any order: each setting has a rank, and of two of the same rank the later one holds. Names are checked
 * where they are read, so that a mistake is told with its file and line.
 */
#ifndef CLI_CLIENT_CONFIG_H
#define CLI_CLIENT_CONFIG_H

#include "cli/client_keys.h"
#include "cli/option.h"

enum client_rank {
	CLIENT_DEFAULT,
	CLIENT_HEAD,    /* of the configuration file */
	CLIENT_PROFILE, /* one of its sections */
	CLIENT_COMMAND_CONFIG,
	CLIENT_ENVIRONMENT,
	CLIENT_PROPERTY, /* -X */
	CLIENT_OPTION,   /* the verb's own */
};

struct client_config;

struct client_config *client_config_new(void);
void client_config_free(struct client_config *c); /* c may be NULL */

/* Blanks around a value do not count. origin: where it is said ("-X", "FILE:12").
 *   ERR_INVALID_CONFIG  no such key, or none of its values; why begins with origin */
enum ks_err client_config_set(struct client_config *c, const char *name, const char *value,
			      enum client_rank rank, const char *origin, struct ks_why *why);
/* All of a file of properties. ERR_INVALID_CONFIG, ERR_IO, ERR_TOO_LARGE */
enum ks_err client_config_load(struct client_config *c, const char *path, struct ks_why *why);
/* The configuration file: what stands before its first section, and the section [profile]. profile NULL: none.
 *   ERR_INVALID_CONFIG  also when it has no such profile
 *   ERR_IO, ERR_TOO_LARGE */
enum ks_err client_config_load_profile(struct client_config *c, const char *path,
				       const char *profile, struct ks_why *why);
/* The options of the command line that say the same as a key. They are not checked: that is the verb's. */
void client_config_take_options(struct client_config *c, const struct options *o);
/* What is set becomes the value of the options that say the same and are not on the command line. o borrows from c. */
void client_config_give_options(struct client_config *c, struct options *o);

/* Of a key by its own name; the default when nobody has set it. Until the next change. */
const char *client_config_text(const struct client_config *c, const char *name);
int64_t client_config_number(const struct client_config *c, const char *name);
bool client_config_switch(const struct client_config *c, const char *name);
enum client_rank client_config_rank(const struct client_config *c, const char *name);
/* "default", "-X", "/etc/x:3", "--acks" */
const char *client_config_origin(const struct client_config *c, const char *name);

#endif

/* client_source.h - where a verb's client gets its properties from: -X, the environment, files, profiles.
 *
 * The configuration file is that of --config-file or KS_CONFIG, else $XDG_CONFIG_HOME/ks/config, else ~/.config/ks/config,
 * which need not be there.
 */
#ifndef CLI_CLIENT_SOURCE_H
#define CLI_CLIENT_SOURCE_H

#include "cli/client_config.h"
#include "cli/target.h"

/* The options of all verbs that can work on a cluster. */
extern const struct option client_source_options[];

/* Reads all sources for a verb with these options. *out: released with client_config_free.
 *   ERR_INVALID_CONFIG, ERR_IO, ERR_TOO_LARGE  why names the file and line, the variable or the option */
enum ks_err client_source_load(const struct options *o, struct client_config **out,
			       struct ks_why *why);
/* The first of those options that is on the command line; NULL: none. */
const char *client_source_given(const struct options *o);
/* What it says of connections and of reading; borrows from c. */
struct target_wire_options client_source_wire(const struct client_config *c);

#endif

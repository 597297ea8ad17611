/* serve.h - a server beside something else, for the verbs that have one. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli/option.h"
#include "server/server.h"
#include "server/settings.h"

/* --listen of the verb, and the environment, as settings; has_config: the verb has --config and -X too. settings_free. Returns
 * an exit code. */
int serve_settings(const struct options *o, bool has_config, struct settings **out);
/* Server and broker options by the settings, and by --data and its kin. Returns an exit code. */
int serve_options(const struct options *o, struct settings *s, struct server_options *server,
		  struct broker_options *broker);
/* "ready: listening on HOST:PORT, HOST:PORT" on stdout; a server whose stdout takes nothing serves all the same. */
void serve_say_ready(const struct server *s);

/* Says that the store has failed, and why. Returns an exit code. */
int serve_say_failure(struct broker *b);

/* How long requests under way may take when the server stops. */
#define SERVE_STOP_MS 20000

#endif

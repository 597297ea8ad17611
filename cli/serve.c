/* serve.c - see serve.h. */
#include "cli/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/verb.h"

/* The shard's queue has room for all requests that may be under way, so that no network thread waits for it. */
#define QUEUE_SPARE_BYTES      (64u * 1024 * 1024)
#define REQUEST_MEMORY_DEFAULT (256u * 1024 * 1024)

static enum ks_err set_pair(struct settings *s, const char *pair, struct ks_why *why)
{
	struct config_entry entry;

	if (!verb_split(pair, '=', &entry))
		return ks_fail(why, ERR_INVALID_CONFIG, "-X %s: it is KEY=VALUE", pair);
	enum ks_err err = settings_set(s, entry.key, entry.value, "-X", why);
	free((char *)(uintptr_t)entry.key);
	return err;
}

int serve_settings(const struct options *o, bool has_config, struct settings **out)
{
	struct settings *s = settings_new();
	const char *file = has_config ? options_text(o, "config") : NULL, *item;
	struct ks_why why = {""};
	enum ks_err err = file ? settings_load(s, file, &why) : ERR_NONE;

	if (!err)
		err = settings_load_environment(s, environ, &why);
	for (size_t i = 0; !err && has_config && (item = options_item(o, "set", i)); i++)
		err = set_pair(s, item, &why);
	for (size_t i = 0; !err && (item = options_item(o, "listen", i)); i++)
		err = settings_listen(s, item, &why);
	if (!err) {
		*out = s;
		return EXIT_DONE;
	}
	settings_free(s);
	return say_usage("%s", why.text);
}

/* The option, else KS_DATA, else log.dirs, else the option's default. */
static const char *data_dir(const struct options *o, const struct settings *s)
{
	const char *set = settings_data_dir(s);

	if (set && !options_given(o, "data") && !getenv("KS_DATA"))
		return set;
	return options_text(o, "data");
}

int serve_options(const struct options *o, struct settings *s, struct server_options *server,
		  struct broker_options *broker)
{
	struct ks_why why = {""};

	*broker = verb_broker_options(o, true);
	*server = (struct server_options){.broker = NULL};
	if (settings_apply(s, server, broker, &why))
		return say_usage("%s", why.text);
	broker->dir = data_dir(o, s);
	size_t memory = server->request_memory_bytes ? server->request_memory_bytes
						     : REQUEST_MEMORY_DEFAULT;
	broker->queue_bytes_max = memory + server->request_bytes_max + QUEUE_SPARE_BYTES;
	return EXIT_DONE;
}

int serve_say_failure(struct broker *b)
{
	const char *failure = broker_failure(b);

	say_error("the store has failed, nothing more can be acknowledged: %s",
		  failure ? failure : "for an unknown reason");
	return EXIT_FAILED;
}

void serve_say_ready(const struct server *s)
{
	const struct server_options *o = server_options_of(s);
	struct buf text = {0};

	for (size_t i = 0; i < o->listener_count; i++)
		buf_printf(&text, "%s%s:%u", i ? ", " : "", o->listeners[i].host,
			   server_port(s, i));
	if (dprintf(STDOUT_FILENO, "ready: listening on %s\n", buf_cstr(&text)) < 0)
		log_warn("cli", "nobody can read that it listens on %s: stdout: %s",
			 buf_cstr(&text), strerror(errno));
	buf_fini(&text);
}

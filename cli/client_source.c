/* client_source.c - see client_source.h. */
#include "cli/client_source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const struct option client_source_options[] = {
	{.letter = 'X',
	 .name = "command-property",
	 .type = OPTION_LIST,
	 .arg = "KEY=VALUE",
	 .help = "a property of the client; -X list shows all, -X dump what is set"},
	{.name = "command-config",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .help = "a file of such properties"},
	{.letter = 'F',
	 .name = "config-file",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .env = "KS_CONFIG",
	 .help = "the configuration file, instead of ~/.config/ks/config"},
	{.name = "profile",
	 .type = OPTION_TEXT,
	 .arg = "NAME",
	 .env = "KS_PROFILE",
	 .help = "a section of the configuration file"},
	{0},
};

const char *client_source_given(const struct options *o)
{
	for (const struct option *row = client_source_options; row->name; row++)
		if (options_given(o, row->name))
			return row->name;
	return NULL;
}

/* --- files --- */

/* NULL: nobody's home. free() it. */
static char *default_path(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (xdg && *xdg == '/') /* a relative one does not count, says its specification */
		return xasprintf("%s/ks/config", xdg);
	return home && *home ? xasprintf("%s/.config/ks/config", home) : NULL;
}

/* Or lies where this user may not look: HOME may be somebody else's. */
static bool is_missing(const char *path)
{
	return !path || access(path, F_OK) != 0;
}

static enum ks_err load_default(struct client_config *c, const char *profile, struct ks_why *why)
{
	char *path = default_path();
	enum ks_err err = ERR_NONE;

	if (!is_missing(path))
		err = client_config_load_profile(c, path, profile, why);
	else if (profile)
		err = ks_fail(
			why, ERR_INVALID_CONFIG,
			"profile \"%.100s\": there is no %s; --config-file names another file",
			profile, path ? path : "configuration file");
	free(path);
	return err;
}

static enum ks_err load_files(struct client_config *c, const struct options *o, struct ks_why *why)
{
	const char *path = options_text(o, "config-file"), *profile = options_text(o, "profile");
	const char *properties = options_text(o, "command-config");
	enum ks_err err = path ? client_config_load_profile(c, path, profile, why)
			       : load_default(c, profile, why);

	if (!err && properties)
		err = client_config_load(c, properties, why);
	return err;
}

/* --- the rest --- */

static enum ks_err set_item(struct client_config *c, const char *item, struct ks_why *why)
{
	size_t len = strcspn(item, "=");

	if (!len || !item[len])
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "-X %.100s: it is KEY=VALUE; list and dump are known, too", item);
	char *key = slice_strdup(slice_of(item, len));
	enum ks_err err = client_config_set(c, key, item + len + 1, CLIENT_PROPERTY, "-X", why);
	free(key);
	return err;
}

static bool is_question(const char *item)
{
	return strcmp(item, "list") == 0 || strcmp(item, "dump") == 0;
}

static enum ks_err load_items(struct client_config *c, const struct options *o, struct ks_why *why)
{
	const char *servers = getenv("KS_BOOTSTRAP"), *item;
	enum ks_err err = ERR_NONE;

	if (servers && *servers)
		err = client_config_set(c, "bootstrap.servers", servers, CLIENT_ENVIRONMENT,
					"KS_BOOTSTRAP in the environment", why);
	for (size_t i = 0; !err && (item = options_item(o, "command-property", i)); i++)
		if (!is_question(item))
			err = set_item(c, item, why);
	return err;
}

enum ks_err client_source_load(const struct options *o, struct client_config **out,
			       struct ks_why *why)
{
	struct client_config *c = client_config_new();
	enum ks_err err = load_files(c, o, why);

	if (!err)
		err = load_items(c, o, why);
	if (err) {
		client_config_free(c);
		return err;
	}
	client_config_take_options(c, o);
	*out = c;
	return ERR_NONE;
}

static int number(const struct client_config *c, const char *name)
{
	return (int)client_config_number(c, name);
}

static int address_family(const char *name)
{
	return strcmp(name, "v4") == 0 ? AF_INET : strcmp(name, "v6") == 0 ? AF_INET6 : AF_UNSPEC;
}

struct target_wire_options client_source_wire(const struct client_config *c)
{
	return (struct target_wire_options){
		.client = {.client_id = client_config_text(c, "client.id"),
			   .address_family =
				   address_family(client_config_text(c, "broker.address.family")),
			   .connect_timeout_ms = number(c, "socket.connection.setup.timeout.ms"),
			   .request_timeout_ms = number(c, "socket.timeout.ms"),
			   .broker_timeout_ms = number(c, "request.timeout.ms"),
			   .frame_bytes_max = (size_t)number(c, "receive.message.max.bytes"),
			   .is_not_idempotent = !client_config_switch(c, "enable.idempotence")},
		.fetch_min_bytes = number(c, "fetch.min.bytes"),
		.session_timeout_ms = number(c, "session.timeout.ms"),
		.rebalance_timeout_ms = number(c, "max.poll.interval.ms"),
		.heartbeat_interval_ms = number(c, "heartbeat.interval.ms")};
}

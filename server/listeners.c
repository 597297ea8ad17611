/* listeners.c - see listeners.h. */
#include "server/listeners.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NAME_MAX_BYTES 63

/* One NAME://host:port. */
struct item {
	char name[NAME_MAX_BYTES + 1];
	char *host; /* within a text of struct listeners */
	uint16_t port;
};

/* host:port, cut in place. */
static bool cut_address(char *text, char **host, uint16_t *port)
{
	char *colon = strrchr(text, ':'), *end;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	unsigned long n = strtoul(colon + 1, &end, 10);
	if (*end || n > UINT16_MAX)
		return false;
	*colon = 0;
	if (*text == '[' && colon > text + 1 && colon[-1] == ']') {
		colon[-1] = 0;
		text++;
	} else if (strchr(text, ':')) {
		return false; /* an IPv6 address stands in brackets */
	}
	*host = text;
	*port = (uint16_t)n;
	return true;
}

static char *keep(struct listeners *l, const char *text, size_t len)
{
	char *copy = xmalloc(len + 1);

	memcpy(copy, text, len);
	copy[len] = 0;
	l->texts[l->text_count++] = copy;
	return copy;
}

enum ks_err listeners_add(struct listeners *l, const char *address, struct ks_why *why)
{
	struct server_listener listener = {.host = NULL};
	char *host;

	if (l->count == LISTENERS_MAX)
		return ks_fail(why, ERR_INVALID_CONFIG, "more than %d listeners", LISTENERS_MAX);
	if (!cut_address(keep(l, address, strlen(address)), &host, &listener.port))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "\"%s\" is no address to listen on: HOST:PORT, or [IPV6]:PORT",
			       address);
	listener.host = host;
	l->v[l->count++] = listener;
	return ERR_NONE;
}

/* The next item of a list with commas, without blanks around it; false: the end. */
static bool next_item(const char **list, const char **item, size_t *len)
{
	while (**list == ',' || **list == ' ')
		(*list)++;
	if (!**list)
		return false;
	*item = *list;
	*len = strcspn(*list, ",");
	*list += *len;
	while (*len > 0 && (*item)[*len - 1] == ' ')
		(*len)--;
	return true;
}

static enum ks_err parse_item(struct listeners *l, const char *text, size_t len, struct item *out,
			      struct ks_why *why)
{
	const char *slashes = memmem(text, len, "://", 3);
	size_t name_len = slashes ? (size_t)(slashes - text) : 0;

	if (!slashes || !name_len || name_len > NAME_MAX_BYTES ||
	    l->text_count == 2 * LISTENERS_MAX ||
	    !cut_address(keep(l, slashes + 3, len - name_len - 3), &out->host, &out->port))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "\"%.*s\" is no listener: it is NAME://HOST:PORT", (int)len, text);
	snprintf(out->name, sizeof out->name, "%.*s", (int)name_len, text);
	return ERR_NONE;
}

static bool list_has(const char *list, const char *name)
{
	const char *item;
	size_t len;

	while (list && next_item(&list, &item, &len))
		if (len == strlen(name) && strncasecmp(item, name, len) == 0)
			return true;
	return false;
}

/* Of a listener's name, by the map; a name that stands for itself needs no entry. */
static const char *protocol_of(const char *map, const char *name, char *out, size_t cap)
{
	const char *item;
	size_t len, name_len = strlen(name);

	while (map && next_item(&map, &item, &len))
		if (len > name_len && item[name_len] == ':' &&
		    strncasecmp(item, name, name_len) == 0) {
			snprintf(out, cap, "%.*s", (int)(len - name_len - 1), item + name_len + 1);
			return out;
		}
	return strcasecmp(name, "PLAINTEXT") == 0 ? "PLAINTEXT" : NULL;
}

static enum ks_err check_protocol(const char *map, const char *name, struct ks_why *why)
{
	char text[32];
	const char *protocol = protocol_of(map, name, text, sizeof text);

	if (!protocol)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "listener %s: listener.security.protocol.map does not have it",
			       name);
	if (strcasecmp(protocol, "PLAINTEXT") != 0)
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "listeners: the protocol of %s is %s, and only PLAINTEXT is served",
			       name, protocol);
	return ERR_NONE;
}

static struct item *find_item(struct item *items, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(items[i].name, name) == 0)
			return &items[i];
	return NULL;
}

/* Into items, without those that are named in except. */
static enum ks_err parse_items(struct listeners *l, const char *list, const char *except,
			       struct item *items, size_t *count, struct ks_why *why)
{
	const char *item;
	size_t len;

	*count = 0;
	while (list && next_item(&list, &item, &len)) {
		struct item *i = &items[*count];
		if (*count == LISTENERS_MAX)
			return ks_fail(why, ERR_INVALID_CONFIG, "more than %d listeners",
				       LISTENERS_MAX);
		enum ks_err err = parse_item(l, item, len, i, why);
		if (err)
			return err;
		if (list_has(except, i->name))
			continue;
		if (find_item(items, *count, i->name))
			return ks_fail(why, ERR_INVALID_CONFIG, "two listeners are called %s",
				       i->name);
		(*count)++;
	}
	return ERR_NONE;
}

static enum ks_err advertise(struct listeners *l, size_t at, const struct item *a,
			     struct ks_why *why)
{
	if (!*a->host || !strcmp(a->host, "0.0.0.0") || !strcmp(a->host, "::"))
		return ks_fail(why, ERR_INVALID_CONFIG,
			       "advertised.listeners: %s names no host that a client could connect "
			       "to",
			       a->name);
	l->v[at].advertised_host = a->host;
	l->v[at].advertised_port = a->port;
	return ERR_NONE;
}

enum ks_err listeners_parse(struct listeners *l, const char *listeners, const char *advertised,
			    const char *protocols, const char *controllers, struct ks_why *why)
{
	struct item items[LISTENERS_MAX], others[LISTENERS_MAX];
	size_t count, other_count;

	enum ks_err err = parse_items(l, listeners, controllers, items, &count, why);
	if (!err)
		err = parse_items(l, advertised, controllers, others, &other_count, why);
	for (size_t i = 0; i < count && !err; i++) {
		l->v[l->count++] =
			(struct server_listener){.host = items[i].host, .port = items[i].port};
		err = check_protocol(protocols, items[i].name, why);
	}
	for (size_t i = 0; !err && i < other_count; i++) {
		struct item *own = find_item(items, count, others[i].name);
		err = own ? advertise(l, (size_t)(own - items), &others[i], why)
			  : ks_fail(why, ERR_INVALID_CONFIG,
				    "advertised.listeners: listeners has no %s", others[i].name);
	}
	if (!err && !count)
		err = ks_fail(why, ERR_INVALID_CONFIG, "listeners: there is none for clients");
	return err;
}

void listeners_fini(struct listeners *l)
{
	for (size_t i = 0; i < l->text_count; i++)
		free(l->texts[i]);
	l->text_count = l->count = 0;
}

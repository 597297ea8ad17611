/* client_config.c - see client_config.h. */
#include "cli/client_config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/suggest.h"
#include "cli/offsets.h"
#include "server/properties.h"

#define PROFILES_MAX 64 /* that a suggestion looks at */

struct setting {
	char *value; /* NULL: nobody has set it */
	char *origin;
	char *as_option; /* the value as the option has it; NULL: not asked for yet */
	enum client_rank rank;
};

struct client_config {
	size_t count; /* keys */
	struct setting *settings;
};

struct client_config *client_config_new(void)
{
	struct client_config *c = xcalloc(1, sizeof *c);

	while (client_key_at(c->count))
		c->count++;
	c->settings = xcalloc(c->count, sizeof *c->settings);
	return c;
}

static void setting_fini(struct setting *s)
{
	free(s->value);
	free(s->origin);
	free(s->as_option);
}

void client_config_free(struct client_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		setting_fini(&c->settings[i]);
	free(c->settings);
	free(c);
}

/* --- setting --- */

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

enum ks_err client_config_set(struct client_config *c, const char *name, const char *value,
			      enum client_rank rank, const char *origin, struct ks_why *why)
{
	const struct client_key *k = client_key_find(name);

	if (!k)
		return client_key_missing(name, origin, why);
	char *bare = xstrdup_trimmed(value);
	enum ks_err err = client_key_check(k, bare, origin, why);
	struct setting *s = &c->settings[client_key_index(k)];
	if (err || s->rank > rank) {
		free(bare);
		return err;
	}
	if (k->kind == CLIENT_CHOICE || k->kind == CLIENT_SWITCH)
		lower(bare);
	setting_fini(s);
	*s = (struct setting){.value = bare, .origin = xstrdup(origin), .rank = rank};
	return ERR_NONE;
}

static enum ks_err set_property(struct client_config *c, const struct property *p,
				enum client_rank rank, const char *path, struct ks_why *why)
{
	char *origin = xasprintf("%s:%d", path, p->line);
	enum ks_err err = client_config_set(c, p->key, p->value, rank, origin, why);

	free(origin);
	return err;
}

/* --- files --- */

static bool is_section(const struct property *p)
{
	return p->key[0] == '[';
}

/* "[name]", which the format of properties takes for a key without a value. */
static enum ks_err check_section(const struct property *p, const char *path, struct ks_why *why)
{
	size_t len = strlen(p->key);

	if (len > 2 && p->key[len - 1] == ']' && !*p->value)
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_CONFIG,
		       "%s:%d: a profile begins with [NAME] on a line of its own, and its name has "
		       "no blanks, no = and no :",
		       path, p->line);
}

enum ks_err client_config_load(struct client_config *c, const char *path, struct ks_why *why)
{
	struct properties p;
	enum ks_err err = properties_load(path, &p, why);

	if (err)
		return err;
	for (size_t i = 0; i < p.count && !err; i++) {
		if (is_section(&p.v[i]))
			err = ks_fail(why, ERR_INVALID_CONFIG,
				      "%s:%d: this file has no profiles; --config-file reads one "
				      "that has",
				      path, p.v[i].line);
		else
			err = set_property(c, &p.v[i], CLIENT_COMMAND_CONFIG, path, why);
	}
	properties_fini(&p);
	return err;
}

/* Whether the section is the profile's. */
static bool is_profile(const struct property *section, const char *profile)
{
	size_t len = strlen(section->key) - 2;

	return profile && strlen(profile) == len && memcmp(section->key + 1, profile, len) == 0;
}

static enum ks_err no_profile(const struct properties *p, const char *path, const char *profile,
			      struct ks_why *why)
{
	char *names[PROFILES_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < p->count && count < PROFILES_MAX; i++)
		if (is_section(&p->v[i]))
			names[count++] =
				slice_strdup(slice_of(p->v[i].key + 1, strlen(p->v[i].key) - 2));
	const char *near = suggest(profile, (const char *const *)names, count);
	enum ks_err err = ks_fail(why, ERR_INVALID_CONFIG, "%s has no profile \"%.100s\"%s%.100s%s",
				  path, profile, near ? "; did you mean \"" : "", near ? near : "",
				  near ? "\"?" : "");
	while (count)
		free(names[--count]);
	return err;
}

static enum ks_err read_profile(struct client_config *c, const struct properties *p,
				const char *path, const char *profile, struct ks_why *why)
{
	bool is_head = true, is_ours = false, was_found = false;
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < p->count && !err; i++) {
		if (is_section(&p->v[i])) {
			err = check_section(&p->v[i], path, why);
			is_head = false;
			is_ours = !err && is_profile(&p->v[i], profile);
			was_found |= is_ours;
		} else if (is_head || is_ours) {
			err = set_property(c, &p->v[i], is_head ? CLIENT_HEAD : CLIENT_PROFILE,
					   path, why);
		}
	}
	if (!err && profile && !was_found)
		err = no_profile(p, path, profile, why);
	return err;
}

enum ks_err client_config_load_profile(struct client_config *c, const char *path,
				       const char *profile, struct ks_why *why)
{
	struct properties p;
	enum ks_err err = properties_load(path, &p, why);

	if (err)
		return err;
	err = read_profile(c, &p, path, profile, why);
	properties_fini(&p);
	return err;
}

/* --- options --- */

static char *duration_as_ms(const char *text)
{
	int64_t ms;

	/* What is no duration is the verb's to refuse. */
	return offset_duration_parse(text, strlen(text), &ms) ? xasprintf("%" PRId64, ms) : NULL;
}

/* What the option on the command line says, as the key has it; NULL: it is not there, or makes no sense. */
static char *option_value(const struct client_key *k, const struct options *o)
{
	if (k->form == CLIENT_AS_ISOLATION && options_has(o, "read-committed") &&
	    options_given(o, "read-committed"))
		return xstrdup("read_committed");
	if (!options_given(o, k->option))
		return NULL;
	if (k->form == CLIENT_AS_ISOLATION)
		return xstrdup(options_flag(o, k->option) ? "read_uncommitted" : "read_committed");
	const char *text = options_text(o, k->option);
	return k->form == CLIENT_AS_DURATION ? duration_as_ms(text) : xstrdup(text);
}

void client_config_take_options(struct client_config *c, const struct options *o)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct client_key *k = client_key_at(i);
		char *value = k->option && options_has(o, k->option) ? option_value(k, o) : NULL;
		if (!value)
			continue;
		setting_fini(&c->settings[i]);
		c->settings[i] = (struct setting){.value = value,
						  .origin = xasprintf("--%s", k->option),
						  .rank = CLIENT_OPTION};
	}
}

static char *as_option(const struct client_key *k, const char *value)
{
	if (k->form == CLIENT_AS_DURATION)
		return xasprintf("%sms", value);
	if (k->form == CLIENT_AS_ISOLATION)
		return xstrdup(strcmp(value, "read_uncommitted") == 0 ? "true" : "false");
	return xstrdup(value);
}

void client_config_give_options(struct client_config *c, struct options *o)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct client_key *k = client_key_at(i);
		struct setting *s = &c->settings[i];
		if (!s->value || s->rank == CLIENT_OPTION || !k->option ||
		    !options_has(o, k->option))
			continue;
		free(s->as_option);
		s->as_option = as_option(k, s->value);
		options_preset(o, k->option, s->as_option);
	}
}

/* --- asking --- */

static const struct setting *setting_of(const struct client_config *c, const char *name)
{
	return &c->settings[client_key_index(client_key_get(name))];
}

const char *client_config_text(const struct client_config *c, const char *name)
{
	const struct setting *s = setting_of(c, name);

	return s->value ? s->value : client_key_get(name)->fallback;
}

int64_t client_config_number(const struct client_config *c, const char *name)
{
	const char *text = client_config_text(c, name);

	return text ? strtoll(text, NULL, 10) : 0;
}

bool client_config_switch(const struct client_config *c, const char *name)
{
	const char *text = client_config_text(c, name);

	return text && strcmp(text, "true") == 0;
}

enum client_rank client_config_rank(const struct client_config *c, const char *name)
{
	return setting_of(c, name)->rank;
}

const char *client_config_origin(const struct client_config *c, const char *name)
{
	const struct setting *s = setting_of(c, name);

	return s->value ? s->origin : "default";
}

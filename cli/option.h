/* option.h - tables of options and the parser that reads a command line by them.
 *
 * -f VALUE, -fVALUE, --format VALUE, --format=VALUE, -qv for two flags, -- ends the options;
 * options and arguments may be mixed. A value comes from the command line, else from what was preset,
 * else from the environment, else from the table.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum option_type {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_NUMBER, /* checked while parsing */
	OPTION_LIST,   /* may be repeated */
};

/* A row; a table ends with a row without a name. */
struct option {
	char letter; /* 0: none */
	const char *name;
	enum option_type type;
	const char *arg; /* what help calls the value */
	const char *help;
	const char *fallback;
	const char *env;
	char letter_too;      /* a second letter */
	const char *name_too; /* a second name */
};

struct option_value;
struct client_config;

#define OPTION_TABLES 3

/* A parsed command line; strings are those of argv. */
struct options {
	const struct option *tables[OPTION_TABLES];
	struct option_value *values;
	size_t value_count;
	struct option_value *presets; /* options_preset */
	size_t preset_count;
	const char **args; /* what is no option; NULL-terminated */
	size_t arg_count;
	/* What is set of a cluster's client, for the verb; NULL: the verb has none. Not released here. */
	const struct client_config *client;
};

/* tables may be NULL. ERR_INVALID_ARGUMENT: why names the option and a near miss. */
enum ks_err options_parse(const struct option *const tables[OPTION_TABLES], int argc, char **argv,
			  struct options *out, struct ks_why *why);
void options_fini(struct options *o);
/* A value from elsewhere: it counts more than the environment and the default, less than the command line. text is
 * borrowed. */
void options_preset(struct options *o, const char *name, const char *text);

/* Whether any table has the name. */
bool options_has(const struct options *o, const char *name);

/* All of these abort when no table has the name: a typing error of ours. */
bool options_given(const struct options *o, const char *name); /* on the command line */
bool options_flag(const struct options *o, const char *name);
const char *options_text(const struct options *o, const char *name); /* NULL: no value at all */
int64_t options_number(const struct options *o, const char *name);
/* The n-th value of a repeated option, NULL behind the last. */
const char *options_item(const struct options *o, const char *name, size_t n);

/* "1,4,7-9" into an array; free() it. */
enum ks_err numbers_parse(const char *text, int32_t **out, size_t *count, struct ks_why *why);

#endif

/* option.c - see option.h. */
#include "cli/option.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/suggest.h"

#define NAMES_MAX 64

struct option_value {
	const struct option *option;
	const char *text;
};

static bool is_named(const struct option *o, const char *name, size_t len)
{
	const char *names[] = {o->name, o->name_too};

	for (size_t i = 0; i < 2; i++)
		if (names[i] && strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

static const struct option *find_name(const struct options *o, const char *name, size_t len)
{
	for (size_t i = 0; i < OPTION_TABLES; i++)
		for (const struct option *row = o->tables[i]; row && row->name; row++)
			if (is_named(row, name, len))
				return row;
	return NULL;
}

static const struct option *find_letter(const struct options *o, char letter)
{
	for (size_t i = 0; i < OPTION_TABLES; i++)
		for (const struct option *row = o->tables[i]; row && row->name; row++)
			if (row->letter == letter || row->letter_too == letter)
				return row;
	return NULL;
}

static const struct option *get(const struct options *o, const char *name)
{
	const struct option *row = find_name(o, name, strlen(name));

	assert(row);
	return row;
}

static bool is_number(const char *text)
{
	char *end;

	strtoll(text, &end, 10);
	return *text && !*end;
}

static enum ks_err add(struct options *o, const struct option *row, const char *text,
		       struct ks_why *why)
{
	if (row->type == OPTION_NUMBER && !is_number(text))
		return ks_fail(why, ERR_INVALID_ARGUMENT, "--%s needs a number, not \"%s\"",
			       row->name, text);
	if (row->type == OPTION_FLAG && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "--%s takes no value (or true or false)",
			       row->name);
	o->values[o->value_count++] = (struct option_value){row, text};
	return ERR_NONE;
}

static enum ks_err unknown_name(const struct options *o, const char *name, size_t len,
				struct ks_why *why)
{
	const char *known[NAMES_MAX];
	char word[128];
	size_t n = 0;

	for (size_t i = 0; i < OPTION_TABLES; i++)
		for (const struct option *row = o->tables[i]; row && row->name && n < NAMES_MAX;
		     row++)
			known[n++] = row->name;
	if (len >= sizeof word)
		len = sizeof word - 1;
	memcpy(word, name, len);
	word[len] = 0;
	const char *near = suggest(word, known, n);
	if (near)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "unknown option --%s; did you mean --%s?",
			       word, near);
	return ks_fail(why, ERR_INVALID_ARGUMENT, "unknown option --%s", word);
}

/* --name, --name=value; *next is the argument behind it, and moves on when it is the value. */
static enum ks_err parse_long(struct options *o, const char *name, char ***next, struct ks_why *why)
{
	size_t len = strcspn(name, "=");
	const struct option *row = find_name(o, name, len);
	const char *text = name[len] ? name + len + 1 : NULL;

	if (!row)
		return unknown_name(o, name, len, why);
	if (!text && row->type == OPTION_FLAG)
		text = "true";
	if (!text)
		text = **next ? *(*next)++ : NULL;
	if (!text)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "--%s needs a value: --%s %s", row->name,
			       row->name, row->arg);
	return add(o, row, text, why);
}

/* -qv, -fVALUE, -f VALUE */
static enum ks_err parse_letters(struct options *o, const char *letters, char ***next,
				 struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (const char *p = letters; *p && !err; p++) {
		const struct option *row = find_letter(o, *p);
		if (!row)
			return ks_fail(why, ERR_INVALID_ARGUMENT, "unknown option -%c", *p);
		if (row->type == OPTION_FLAG) {
			err = add(o, row, "true", why);
			continue;
		}
		const char *text = p[1] ? p + 1 : **next ? *(*next)++ : NULL;
		if (!text)
			return ks_fail(why, ERR_INVALID_ARGUMENT, "-%c needs a value: -%c %s", *p,
				       *p, row->arg);
		return add(o, row, text, why);
	}
	return err;
}

enum ks_err options_parse(const struct option *const tables[OPTION_TABLES], int argc, char **argv,
			  struct options *out, struct ks_why *why)
{
	char **next = argv, **end = argv + argc;
	size_t letters = 0;
	enum ks_err err = ERR_NONE;

	for (char **p = argv; p < end; p++)
		letters += strlen(*p);
	*out = (struct options){.args = NULL};
	memcpy(out->tables, tables, sizeof out->tables);
	out->args = xcalloc((size_t)argc + 1, sizeof *out->args);
	out->values = xcalloc(letters + 1, sizeof *out->values);
	while (next < end && !err) {
		const char *word = *next++;
		if (strcmp(word, "--") == 0)
			while (next < end)
				out->args[out->arg_count++] = *next++;
		else if (word[0] == '-' && word[1] == '-')
			err = parse_long(out, word + 2, &next, why);
		else if (word[0] == '-' && word[1])
			err = parse_letters(out, word + 1, &next, why);
		else
			out->args[out->arg_count++] = word;
	}
	if (err)
		options_fini(out);
	return err;
}

void options_fini(struct options *o)
{
	free(o->args);
	free(o->values);
	free(o->presets);
	*o = (struct options){0};
}

void options_preset(struct options *o, const char *name, const char *text)
{
	o->presets = xrealloc(o->presets, (o->preset_count + 1) * sizeof *o->presets);
	o->presets[o->preset_count++] = (struct option_value){get(o, name), text};
}

bool options_has(const struct options *o, const char *name)
{
	return find_name(o, name, strlen(name)) != NULL;
}

const char *options_item(const struct options *o, const char *name, size_t n)
{
	const struct option *row = get(o, name);

	for (size_t i = 0; i < o->value_count; i++)
		if (o->values[i].option == row && n-- == 0)
			return o->values[i].text;
	return NULL;
}

bool options_given(const struct options *o, const char *name)
{
	return options_item(o, name, 0);
}

const char *options_text(const struct options *o, const char *name)
{
	const struct option *row = get(o, name);
	const char *env = row->env ? getenv(row->env) : NULL;

	for (size_t i = o->value_count; i-- > 0;)
		if (o->values[i].option == row)
			return o->values[i].text;
	for (size_t i = o->preset_count; i-- > 0;)
		if (o->presets[i].option == row)
			return o->presets[i].text;
	return env && *env ? env : row->fallback;
}

bool options_flag(const struct options *o, const char *name)
{
	const char *text = options_text(o, name);

	return text && strcmp(text, "true") == 0;
}

int64_t options_number(const struct options *o, const char *name)
{
	const char *text = options_text(o, name);

	return text ? strtoll(text, NULL, 10) : 0;
}

enum ks_err numbers_parse(const char *text, int32_t **out, size_t *count, struct ks_why *why)
{
	int32_t *numbers = NULL;
	size_t n = 0;
	char *p = (char *)text;

	do {
		char *end;
		long from = strtol(p, &end, 10), to = from;
		bool ok = end > p && *p >= '0' && *p <= '9';
		if (ok && *end == '-') {
			p = end + 1;
			to = strtol(p, &end, 10);
			ok = end > p && *p >= '0' && *p <= '9';
		}
		if (!ok || (*end && *end != ',') || from > to || to > 1000000) {
			free(numbers);
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       "cannot read the list of partitions \"%s\": 0,2 and 4-7 are "
				       "known",
				       text);
		}
		numbers = xrealloc(numbers, (n + (size_t)(to - from) + 1) * sizeof *numbers);
		for (long i = from; i <= to; i++)
			numbers[n++] = (int32_t)i;
		p = end + 1;
		if (!*end)
			break;
	} while (1);
	*out = numbers;
	*count = n;
	return ERR_NONE;
}

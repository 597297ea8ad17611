/* changes.c - see changes.h. */
#include "cli/changes.h"

#include <stdlib.h>

static int add(struct changes *c, const struct changes_option *option, const char *text)
{
	struct config_entry pair = {NULL, NULL};

	if (option->op == CONFIG_DELETE) {
		if (!*text || strchr(text, '='))
			return say_usage("--%s \"%s\": a key is needed, no value", option->name,
					 text);
		pair.key = xstrdup(text);
	} else if (!verb_split(text, '=', &pair)) {
		return say_usage("--%s \"%s\": key=value is needed", option->name, text);
	}
	c->rows = xrealloc(c->rows, (c->count + 1) * sizeof *c->rows);
	c->rows[c->count++] =
		(struct config_change){.key = pair.key, .value = pair.value, .op = option->op};
	return EXIT_DONE;
}

int changes_parse(const struct options *o, const struct changes_option *options,
		  struct changes *out)
{
	int code = EXIT_DONE;

	*out = (struct changes){0};
	for (; options->name && !code; options++) {
		const char *text;
		for (size_t i = 0; !code && (text = options_item(o, options->name, i)); i++)
			code = add(out, options, text);
	}
	return code;
}

void changes_free(struct changes *c)
{
	for (size_t i = 0; i < c->count; i++)
		free((char *)c->rows[i].key);
	free(c->rows);
}

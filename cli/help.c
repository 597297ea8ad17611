/* help.c - see help.h. */
#include "cli/help.h"

#include <string.h>

void help_overview(const char *group, FILE *out)
{
	size_t group_len = group ? strlen(group) : 0;
	size_t width = 0;

	for (const struct verb *v = verbs; v->name; v++)
		if (!v->is_hidden && strlen(v->name) > width)
			width = strlen(v->name);
	if (!group)
		fputs("ksrun - Kafka-style log and Lua stream engine on one database\n\n", out);
	fprintf(out, "Usage: ksrun %s%sVERB [OPTIONS] ARGUMENTS\n\n", group ? group : "",
		group ? " " : "");
	for (const struct verb *v = verbs; v->name; v++) {
		if (v->is_hidden || (group && (strncmp(v->name, group, group_len) != 0 ||
					       v->name[group_len] != ' ')))
			continue;
		fprintf(out, "  %-*s  %s\n", (int)width, v->name, v->summary);
	}
	fputs("\n'ksrun VERB --help' tells more about each.\n", out);
}

static void option_left(const struct option *o, char *out, size_t cap)
{
	char letters[16] = "    ";

	if (o->letter)
		snprintf(letters, sizeof letters, "-%c, ", o->letter);
	snprintf(out, cap, "%s--%s%s%s", letters, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

static void print_options(const struct option *table, size_t width, FILE *out)
{
	char left[96];

	for (const struct option *o = table; o && o->name; o++) {
		option_left(o, left, sizeof left);
		fprintf(out, "  %-*s  %s", (int)width, left, o->help);
		if (o->type == OPTION_LIST)
			fputs("; may be repeated", out);
		if (o->env)
			fprintf(out, " [%s]", o->env);
		if (o->fallback && *o->fallback)
			fprintf(out, " (default %s)", o->fallback);
		fputc('\n', out);
	}
}

static size_t widest(const struct option *table, size_t width)
{
	char left[96];

	for (const struct option *o = table; o && o->name; o++) {
		option_left(o, left, sizeof left);
		if (strlen(left) > width)
			width = strlen(left);
	}
	return width;
}

void help_verb(const struct verb *v, FILE *out)
{
	const struct option *client = verb_client_options(v);
	size_t width = widest(verb_common_options, widest(client, widest(v->options, 0)));

	fprintf(out, "Usage: ksrun %s [OPTIONS]%s%s\n\n%s.\n", v->name, *v->args ? " " : "",
		v->args, v->summary);
	if (v->help)
		fprintf(out, "\n%s", v->help);
	if (v->options) {
		fputs("\nOptions:\n", out);
		print_options(v->options, width, out);
	}
	if (client) {
		fputs("\nOptions of the client of a cluster:\n", out);
		print_options(client, width, out);
	}
	fputs("\nCommon options:\n", out);
	print_options(verb_common_options, width, out);
}

/* select.c - see select.h. */
#include "cli/select.h"

#include <regex.h>
#include <stdlib.h>

bool topic_name_matches(const char *name, const struct options *o, bool is_regex)
{
	for (size_t i = 0; i < o->arg_count; i++) {
		regex_t regex;
		bool found;
		if (!is_regex) {
			if (strcmp(o->args[i], name) == 0)
				return true;
			continue;
		}
		if (regcomp(&regex, o->args[i], REG_EXTENDED | REG_NOSUB) != 0)
			continue; /* checked before */
		found = regexec(&regex, name, 0, NULL, 0) == 0;
		regfree(&regex);
		if (found)
			return true;
	}
	return false;
}

int topic_regexes_check(const struct options *o)
{
	char text[128];

	for (size_t i = 0; i < o->arg_count; i++) {
		regex_t regex;
		int code = regcomp(&regex, o->args[i], REG_EXTENDED | REG_NOSUB);
		if (code) {
			regerror(code, &regex, text, sizeof text);
			return say_usage("bad regular expression \"%s\": %s", o->args[i], text);
		}
		regfree(&regex);
	}
	return EXIT_DONE;
}

static bool has_topic(const struct target_topic *topics, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(topics[i].name, name) == 0)
			return true;
	return false;
}

int topics_selected(struct target *t, const struct options *o, struct target_topic **out,
		    size_t *count)
{
	bool is_regex = options_flag(o, "regex");
	struct target_topic *topics;
	struct ks_why why = {""};
	size_t all, n = 0;

	if (is_regex) {
		int code = topic_regexes_check(o);
		if (code)
			return code;
		enum ks_err err = t->topics(t, &topics, &all, &why);
		if (err)
			return say_failure(err, &why);
		for (size_t i = 0; i < all; i++)
			if (!topics[i].is_internal && topic_name_matches(topics[i].name, o, true))
				topics[n++] = topics[i];
	} else {
		topics = xcalloc(o->arg_count + 1, sizeof *topics);
		for (size_t i = 0; i < o->arg_count; i++) {
			if (has_topic(topics, n, o->args[i]))
				continue;
			enum ks_err err = t->topic_find(t, o->args[i], false, &topics[n++], &why);
			if (err) {
				free(topics);
				return say_failure(err, &why);
			}
		}
	}
	if (n == 0) {
		free(topics);
		say_error("no topic matches \"%s\"%s; 'ksrun topic list' shows them all",
			  o->args[0], o->arg_count > 1 ? " or another of these" : "");
		return EXIT_FAILED;
	}
	*out = topics;
	*count = n;
	return EXIT_DONE;
}

enum ks_err offset_resolve(struct target *t, const struct target_topic *topic, int32_t partition,
			   const struct offset_point *point, const struct target_bounds *b,
			   int64_t *out, struct ks_why *why)
{
	switch (point->kind) {
	case OFFSET_START:
		*out = b->log_start_offset + point->value;
		return ERR_NONE;
	case OFFSET_END:
		*out = b->high_watermark + point->value;
		return ERR_NONE;
	case OFFSET_TIME:
		return t->offset_at(t, topic, partition, point->value, out, why);
	default:
		*out = point->value;
		return ERR_NONE;
	}
}

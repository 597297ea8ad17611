/* select.h - which topics, which offsets: what the command line says, held against the target. */
#ifndef CLI_SELECT_H
#define CLI_SELECT_H

#include "cli/offsets.h"
#include "cli/verb.h"

/* Says what is wrong with the arguments as regular expressions; an exit code. */
int topic_regexes_check(const struct options *o);
/* Is name one of the arguments, or matched by one? */
bool topic_name_matches(const char *name, const struct options *o, bool is_regex);
/* The topics that the arguments name or, with --regex, match; free() the array. An exit code. */
int topics_selected(struct target *t, const struct options *o, struct target_topic **out,
		    size_t *count);

/* The offset of a point in a partition with these bounds; it may lie outside of them. */
enum ks_err offset_resolve(struct target *t, const struct target_topic *topic, int32_t partition,
			   const struct offset_point *point, const struct target_bounds *b,
			   int64_t *out, struct ks_why *why);

#endif

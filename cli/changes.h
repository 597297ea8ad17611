/* changes.h - changes of configurations, as options give them. */
#ifndef CLI_CHANGES_H
#define CLI_CHANGES_H

#include "cli/verb.h"

struct changes {
	struct config_change *rows;
	size_t count;
};

/* An option that may be repeated, and what it does: KEY for CONFIG_DELETE, KEY=VALUE for the
 * others. */
struct changes_option {
	const char *name;
	enum config_op op;
};

/* All changes of the options, which end with a row without a name. Release with changes_free, also
 * after an error, which was said; returns an exit code. */
int changes_parse(const struct options *o, const struct changes_option *options,
		  struct changes *out);
void changes_free(struct changes *c);

#endif

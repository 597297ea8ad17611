/* table_verb.c - see table_verb.h. */
#include "cli/table_verb.h"

int verb_table(const struct options *o, const struct column *columns, size_t count,
	       enum ks_err (*fill)(struct target *t, const struct options *o, struct table *table,
				   struct ks_why *why))
{
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	struct table *table = table_new(columns, count);
	enum ks_err err = fill(t, o, table, &why);
	if (err) {
		code = say_failure(err, &why);
	} else {
		table_write(table, (enum output)output, &out);
		out_write(&out);
	}
	buf_fini(&out);
	table_free(table);
	t->close(t);
	return code ? code : out_code();
}

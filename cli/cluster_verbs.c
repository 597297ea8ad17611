/* cluster_verbs.c - cluster describe. */
#include <stdlib.h>

#include "cli/encode.h"
#include "cli/table_verb.h"

const struct option cluster_describe_options[] = {
	FORMAT_OPTION,
	{0},
};

static struct table *brokers_table(const struct target_cluster *c)
{
	static const struct column columns[] = {{"ID", CELL_NUMBER, false},
						{"HOST", CELL_TEXT, false},
						{"PORT", CELL_NUMBER, false},
						{"RACK", CELL_TEXT, false},
						{"CONTROLLER", CELL_BOOL, false}};
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);

	for (size_t i = 0; i < c->broker_count; i++) {
		table_number(table, c->brokers[i].id);
		table_text(table, c->brokers[i].host);
		table_number(table, c->brokers[i].port);
		table_text(table, c->brokers[i].rack);
		table_bool(table, c->brokers[i].id == c->controller);
	}
	return table;
}

static void write_cluster(const struct target_cluster *c, int output, struct buf *out)
{
	struct table *table = brokers_table(c);

	if (output == OUTPUT_JSON) {
		buf_append_str(out, "{\"cluster\":");
		if (c->id && utf8_is_valid(slice_str(c->id)))
			json_append_string(out, slice_str(c->id));
		else
			buf_append_str(out, "null");
		buf_append_str(out, ",\n\"brokers\":");
		table_write_json(table, out);
		buf_append_str(out, "}\n");
	} else {
		buf_printf(out, "CLUSTER  %s\n\n", c->id ? c->id : "-");
		table_write_text(table, output == OUTPUT_WIDE, out);
	}
	table_free(table);
}

int verb_cluster_describe(const struct options *o)
{
	struct target_cluster cluster;
	struct ks_why why = {""};
	struct buf out = {0};
	struct target *t;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	if (!verb_bootstrap(o))
		return say_usage("a data directory is no cluster; -b HOST:PORT names one");
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	enum ks_err err = t->cluster(t, &cluster, &why);
	if (err) {
		code = say_failure(err, &why);
	} else {
		write_cluster(&cluster, output, &out);
		free(cluster.brokers);
	}
	t->close(t);
	out_write(&out);
	buf_fini(&out);
	return code ? code : out_code();
}

/* job_verbs.c - check, plan, graph and test, and the options of all verbs about scripts. run is in job_run.c. */
#include "cli/job_verbs.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "streams/plan.h"

const struct option run_options[] = {
	SCRIPT_PARAMETER,
	{.name = "once", .help = "stop at the offsets that are the end now"},
	{.name = "threads", .type = OPTION_NUMBER, .arg = "N", .help = "threads of each job"},
	{.name = "listen",
	 .type = OPTION_LIST,
	 .arg = "HOST:PORT",
	 .help = "also serve clients of the Kafka protocol there"},
	{.name = "http",
	 .type = OPTION_TEXT,
	 .arg = "HOST:PORT|off",
	 .help = "where /metrics, /healthz and /readyz answer (with --listen: default "
		 "127.0.0.1:8092)"},
	{0},
};

const struct option check_options[] = {
	SCRIPT_PARAMETER,
	{.name = "strict", .help = "warnings are errors"},
	{0},
};

const struct option plan_options[] = {
	SCRIPT_PARAMETER,
	{.name = "exit-code", .help = "exit with 3 when something would change"},
	{0},
};

const struct option graph_options[] = {
	SCRIPT_PARAMETER,
	{.name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .fallback = "text",
	 .help = "text or dot"},
	{0},
};

const struct option test_options[] = {
	SCRIPT_PARAMETER,
	{.name = "filter",
	 .type = OPTION_TEXT,
	 .arg = "TEXT",
	 .help = "only tests whose name or group has this text"},
	{0},
};

/* --- loading --- */

static int take_params(const struct options *o, struct scripts *s)
{
	size_t n = 0;

	while (options_item(o, "param", n))
		n++;
	s->params = xcalloc(n + 1, sizeof *s->params);
	s->names = xcalloc(n + 1, sizeof *s->names);
	for (size_t i = 0; i < n; i++) {
		struct config_entry e;

		if (!verb_split(options_item(o, "param", i), '=', &e))
			return say_usage("-p %s: a parameter is name=value",
					 options_item(o, "param", i));
		s->names[i] = (char *)e.key;
		s->params[i] = (struct script_param){.name = e.key, .value = e.value};
	}
	return EXIT_DONE;
}

static struct script_options script_options_of(const struct scripts *s)
{
	size_t n = 0;

	while (s->names[n])
		n++;
	return (struct script_options){.params = s->params, .param_count = n};
}

int scripts_load(const struct options *o, struct scripts *s)
{
	int code = take_params(o, s);
	struct script_options so;
	struct buf report = {0};

	if (code != EXIT_DONE)
		return code;
	so = script_options_of(s);
	s->files = xcalloc(o->arg_count, sizeof *s->files);
	for (size_t i = 0; i < o->arg_count; i++) {
		buf_clear(&report);
		if (script_file_load(o->args[i], &so, &s->files[s->count], &report) == ERR_NONE)
			s->count++;
		else
			code = EXIT_USAGE;
		if (report.len > 0)
			say("%.*s", (int)report.len - 1,
			    buf_cstr(&report)); /* without its last newline */
	}
	buf_fini(&report);
	return code;
}

void scripts_free(struct scripts *s)
{
	for (size_t i = 0; i < s->count; i++)
		script_file_free(s->files[i]);
	free(s->files);
	for (size_t i = 0; s->names && s->names[i]; i++)
		free(s->names[i]);
	free(s->names);
	free(s->params);
}

/* --- check --- */

int verb_check(const struct options *o)
{
	struct scripts s = {0};
	struct buf report = {0};
	int code = scripts_load(o, &s);
	int warnings = 0;

	for (size_t i = 0; i < s.count; i++)
		warnings += script_file_lint(s.files[i], &report);
	if (warnings > 0)
		say("%.*s", (int)report.len - 1, buf_cstr(&report));
	if (code == EXIT_DONE && warnings > 0 && options_flag(o, "strict"))
		code = EXIT_USAGE;
	if (!options_flag(o, "quiet") && code == EXIT_DONE)
		say("%zu script%s: no mistake%s", s.count, s.count == 1 ? "" : "s",
		    warnings > 0 ? ", but look at the warnings" : "");
	buf_fini(&report);
	scripts_free(&s);
	return code;
}

/* --- plan and graph --- */

/* The broker of --data if there is one; a directory that does not exist is as good as an empty one. */
static int open_broker(const struct options *o, struct broker **out)
{
	struct broker_options bo = verb_broker_options(o, false);
	struct ks_why why = {""};
	enum ks_err err;

	*out = NULL;
	if (access(bo.dir, F_OK) != 0)
		return EXIT_DONE;
	err = broker_open(&bo, out, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

/* Is there a topic that a run would create, or stumble over? */
static bool would_change(const struct plan *p, struct broker *b)
{
	for (size_t i = 0; i < p->topic_count; i++) {
		const struct plan_topic *t = &p->topics[i];

		if (!b || !broker_topic_find(b, t->name))
			return true;
		if (t->decl && t->decl->partitions > 0 && t->decl->partitions != t->partitions)
			return true;
	}
	return false;
}

/* Plans one job and appends what is to be shown by print. */
static int plan_job(const struct job *j, struct broker *b, struct buf *out,
		    void (*print)(const struct plan *, const struct job *, struct broker *,
				  struct buf *),
		    bool *changes)
{
	struct plan *plan = NULL;
	struct buf report = {0};
	enum ks_err err = plan_make(j, b, &plan, &report);

	if (err) {
		say("%.*s", report.len > 0 ? (int)report.len - 1 : 0, buf_cstr(&report));
	} else {
		print(plan, j, b, out);
		*changes |= would_change(plan, b);
	}
	plan_free(plan);
	buf_fini(&report);
	return err ? EXIT_USAGE : EXIT_DONE;
}

static void print_graph_text(const struct plan *p, const struct job *j, struct broker *b,
			     struct buf *out)
{
	(void)b;
	plan_graph_text(p, j, out);
}

static void print_graph_dot(const struct plan *p, const struct job *j, struct broker *b,
			    struct buf *out)
{
	(void)b;
	plan_graph_dot(p, j, out);
}

static int plan_scripts(const struct options *o, struct broker *b, bool *changes,
			void (*print)(const struct plan *, const struct job *, struct broker *,
				      struct buf *))
{
	struct scripts s = {0};
	struct buf out = {0};
	int code = scripts_load(o, &s);

	for (size_t i = 0; i < s.count; i++) {
		for (size_t k = 0; k < script_file_job_count(s.files[i]); k++) {
			int one = plan_job(script_file_job(s.files[i], k), b, &out, print, changes);

			if (one != EXIT_DONE)
				code = one;
		}
	}
	if (out.len > 0 && !out_write(&out))
		code = out_code();
	buf_fini(&out);
	scripts_free(&s);
	return code;
}

int verb_plan(const struct options *o)
{
	struct broker *b;
	bool changes = false;
	int code = open_broker(o, &b);

	if (code != EXIT_DONE)
		return code;
	code = plan_scripts(o, b, &changes, plan_print);
	broker_close(b);
	if (code == EXIT_DONE && changes && options_flag(o, "exit-code"))
		code = EXIT_CHANGES;
	return code;
}

int verb_graph(const struct options *o)
{
	const char *format = options_text(o, "format");
	bool changes = false; /* nobody asks */

	if (strcmp(format, "text") == 0)
		return plan_scripts(o, NULL, &changes, print_graph_text);
	if (strcmp(format, "dot") == 0)
		return plan_scripts(o, NULL, &changes, print_graph_dot);
	return say_usage("--format \"%s\": text and dot are known", format);
}

/* --- test --- */

int verb_test(const struct options *o)
{
	struct scripts s = {0};
	struct buf report = {0};
	int passed = 0, failed = 0;
	int code = take_params(o, &s);

	if (!options_flag(o, "verbose"))
		log_set_level(LOG_ERROR); /* records that tests reject on purpose are no news */
	for (size_t i = 0; code != EXIT_USAGE && i < o->arg_count; i++) {
		struct script_test_options to = {.script = script_options_of(&s),
						 .is_quiet = options_flag(o, "quiet"),
						 .filter = options_text(o, "filter")};

		buf_clear(&report);
		if (script_test_file(o->args[i], &to, &passed, &failed, &report) == ERR_NONE)
			continue;
		say("%.*s", report.len > 0 ? (int)report.len - 1 : 0, buf_cstr(&report));
		code = EXIT_USAGE;
	}
	if (code == EXIT_DONE && failed > 0)
		code = EXIT_FAILED;
	if (code == EXIT_DONE && passed == 0)
		code = say_usage("no test was run");
	buf_fini(&report);
	scripts_free(&s);
	return code;
}

/* job_verbs.c - check, plan, graph and test, and the options of all verbs about scripts. run is in job_run.c. */
#include "cli/job_verbs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

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

const struct job *scripts_job(const struct scripts *s, size_t n)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t jobs = script_file_job_count(s->files[i]);
		if (n < jobs)
			return script_file_job(s->files[i], n);
		n -= jobs;
	}
	return NULL;
}

/* --- what a run would refuse --- */

bool data_is_new(const struct options *o)
{
	DIR *dir = opendir(options_text(o, "data"));
	const struct dirent *e;
	bool is_empty = true;

	if (!dir)
		return errno == ENOENT;
	while (is_empty && (e = readdir(dir)))
		is_empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return is_empty;
}

int job_say_refused(enum ks_err err, const struct ks_why *why)
{
	if (err != ERR_SCRIPT)
		return say_failure(err, why);
	say("%s", why->text); /* it begins with its place */
	return EXIT_USAGE;
}

int scripts_check_names(const struct scripts *s)
{
	const struct job *j, *k;

	for (size_t i = 0; (j = scripts_job(s, i)); i++) {
		for (size_t n = 0; n < i; n++) {
			k = scripts_job(s, n);
			if (strcmp(k->name, j->name) != 0)
				continue;
			say_error("%s: the name \"%s\" is taken by the job at %s", j->where,
				  j->name, k->where);
			return EXIT_USAGE;
		}
	}
	return EXIT_DONE;
}

/* The plans of jobs that start one after the other. */
struct plans {
	struct plan **rows;
	size_t count;
};

static void plans_free(struct plans *p)
{
	for (size_t i = 0; i < p->count; i++)
		plan_free(p->rows[i]);
	free(p->rows);
}

/* Plans a job that starts behind those that are there. NULL: said why not. */
static struct plan *plans_add(struct plans *p, const struct job *j, struct broker *b)
{
	struct buf report = {0};
	struct plan *plan = NULL;

	if (plan_make(j, b, &plan, &report)) {
		say("%.*s", report.len > 0 ? (int)report.len - 1 : 0, buf_cstr(&report));
		buf_fini(&report);
		return NULL;
	}
	buf_fini(&report);
	for (size_t i = 0; i < p->count; i++)
		plan_after(plan, p->rows[i]);
	p->rows = xrealloc(p->rows, (p->count + 1) * sizeof *p->rows);
	p->rows[p->count++] = plan;
	return plan;
}

int scripts_admit(const struct scripts *s, struct broker *b)
{
	struct plans plans = {0};
	const struct job *j;
	int code = EXIT_DONE;

	for (size_t i = 0; code == EXIT_DONE && (j = scripts_job(s, i)); i++) {
		struct plan *plan = plans_add(&plans, j, b);
		struct ks_why why = {""};
		enum ks_err err = plan ? plan_admit(plan, j, b, false, &why) : ERR_NONE;
		if (!plan)
			code = EXIT_USAGE;
		else if (err)
			code = job_say_refused(err, &why);
	}
	plans_free(&plans);
	return code;
}

/* --- check --- */

/* Warns of jobs that are likely to be wrong. Returns how often. */
static int scripts_warn(const struct scripts *s)
{
	struct buf report = {0};
	const struct job *j;
	int warnings = 0;

	for (size_t i = 0; (j = scripts_job(s, i)); i++)
		warnings += (int)plan_warn(j, &report);
	if (warnings > 0)
		say("%.*s", (int)report.len - 1, buf_cstr(&report));
	buf_fini(&report);
	return warnings;
}

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
	warnings += scripts_warn(&s);
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

/* The broker of --data; NULL: there is none yet. */
static int open_broker(const struct options *o, struct broker **out)
{
	struct broker_options bo = verb_broker_options(o, false);
	struct ks_why why = {""};
	enum ks_err err;

	*out = NULL;
	if (data_is_new(o))
		return EXIT_DONE;
	err = broker_open(&bo, out, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

/* Is there a topic that a run would create, or stumble over? */
static bool would_change(const struct plan *p, struct broker *b)
{
	for (size_t i = 0; i < p->topic_count; i++)
		if (plan_topic_fate(&p->topics[i], b) != PLAN_EXISTS)
			return true;
	return false;
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

/* Warns of what a run would do, and says why it would refuse to. */
static int say_what_a_run_would(const struct scripts *s, struct broker *b)
{
	int code = scripts_check_names(s);

	(void)scripts_warn(s);
	return code == EXIT_DONE ? scripts_admit(s, b) : code;
}

/* Plans all jobs and shows them. changes NULL: nobody asks whether there are any. */
static int plan_scripts(const struct options *o, struct broker *b, bool *changes,
			void (*print)(const struct plan *, const struct job *, struct broker *,
				      struct buf *))
{
	struct scripts s = {0};
	struct plans plans = {0};
	struct buf out = {0};
	const struct job *j;
	int code = scripts_load(o, &s);

	for (size_t i = 0; (j = scripts_job(&s, i)); i++) {
		struct plan *plan = plans_add(&plans, j, b);

		if (!plan) {
			code = EXIT_USAGE;
			continue;
		}
		print(plan, j, b, &out);
		if (changes)
			*changes |= would_change(plan, b);
	}
	if (out.len > 0 && !out_write(&out))
		code = out_code();
	if (code == EXIT_DONE && changes)
		code = say_what_a_run_would(&s, b);
	buf_fini(&out);
	plans_free(&plans);
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

	if (strcmp(format, "text") == 0)
		return plan_scripts(o, NULL, NULL, print_graph_text);
	if (strcmp(format, "dot") == 0)
		return plan_scripts(o, NULL, NULL, print_graph_dot);
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

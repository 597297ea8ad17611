/* job_run.c - `ksrun run`: loads scripts, starts an engine for each of their jobs, waits.
 *
 * All scripts are loaded before anything is started: a script that is wrong starts nothing (exit code 2). A job that
 * stops by itself takes the others with it, for half a pipeline helps nobody (exit code 1).
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/broker_http.h"
#include "cli/job_verbs.h"
#include "cli/progress.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "server/prom.h"
#include "streams/engine.h"

#define LOOK_MS 100

struct running {
	const struct job *job;
	struct script_factory scripts;
	struct engine *engine;
	bool is_done;
};

struct run {
	const struct options *options;
	struct scripts scripts;
	struct broker *broker;
	struct settings *settings; /* NULL without --listen, like server */
	struct server *server;
	struct http *http; /* NULL: none */
	struct running *jobs;
	size_t job_count;
	char owner[300];
	bool once;
	int threads;
	struct progress progress;
};

static void name_owner(struct run *r)
{
	char host[256] = "";

	(void)gethostname(host, sizeof host - 1);
	snprintf(r->owner, sizeof r->owner, "pid %d on %s", (int)getpid(), host);
}

static int take_jobs(struct run *r)
{
	int code = scripts_check_names(&r->scripts);

	for (size_t i = 0; code == EXIT_DONE && i < r->scripts.count; i++) {
		struct script_file *f = r->scripts.files[i];

		for (size_t k = 0; k < script_file_job_count(f); k++) {
			r->jobs = xrealloc(r->jobs, (r->job_count + 1) * sizeof *r->jobs);
			r->jobs[r->job_count++] = (struct running){
				.job = script_file_job(f, k), .scripts = script_file_factory(f, k)};
		}
	}
	return code;
}

static int start_jobs(struct run *r)
{
	for (size_t i = 0; i < r->job_count; i++) {
		struct engine_options eo = {.broker = r->broker,
					    .job = r->jobs[i].job,
					    .scripts = r->jobs[i].scripts,
					    .owner = r->owner,
					    .once = r->once,
					    .threads = r->threads};
		struct ks_why why = {""};
		enum ks_err err = engine_start(&eo, &r->jobs[i].engine, &why);

		if (err)
			return job_say_refused(err, &why);
	}
	return EXIT_DONE;
}

static void stop_jobs(void *cookie)
{
	struct run *r = cookie;

	for (size_t i = 0; i < r->job_count; i++) {
		if (r->jobs[i].engine)
			engine_request_stop(r->jobs[i].engine);
	}
}

static void show_progress(struct run *r)
{
	struct engine_progress p;
	uint64_t in = 0, total = 0;

	for (size_t i = 0; i < r->job_count; i++) {
		engine_progress(r->jobs[i].engine, &p);
		in += p.records_in;
		total += p.records_total;
	}
	if (r->once && total >= in)
		r->progress.total = (int64_t)total;
	progress_update(&r->progress, (int64_t)in);
}

/* A job that has nothing to do does not notice that the store has failed under others. */
static int look_after_store(struct run *r, int code)
{
	if (code != EXIT_DONE || !r->server || !broker_failure(r->broker))
		return code;
	progress_end(&r->progress);
	r->progress.is_silent = true;
	stop_jobs(r);
	return serve_say_failure(r->broker);
}

/* Waits for every job; the first that fails stops the rest. Returns an exit code. */
static int wait_jobs(struct run *r)
{
	size_t left = r->job_count;
	int code = EXIT_DONE;

	while (left > 0) {
		code = look_after_store(r, code);
		for (size_t i = 0; i < r->job_count; i++) {
			struct running *j = &r->jobs[i];
			struct ks_why why = {""};
			bool running = true;
			enum ks_err err;

			if (j->is_done)
				continue;
			err = engine_wait_for(j->engine, LOOK_MS, &running, &why);
			show_progress(r);
			if (running)
				continue;
			j->is_done = true;
			left--;
			if (!err)
				continue;
			progress_end(&r->progress);
			r->progress.is_silent = true;
			say_error("job %s stopped: %s", j->job->name,
				  why.text[0] ? why.text : ks_err_text(err));
			code = EXIT_FAILED;
			stop_jobs(r);
		}
	}
	return code;
}

static void say_results(const struct run *r)
{
	for (size_t i = 0; i < r->job_count; i++) {
		const struct job *j = r->jobs[i].job;
		struct engine_progress p;

		engine_progress(r->jobs[i].engine, &p);
		say("%s: %llu records in, %llu out, %llu skipped, %llu dead-lettered, %llu commits",
		    j->name, (unsigned long long)p.records_in, (unsigned long long)p.records_out,
		    (unsigned long long)p.skipped, (unsigned long long)p.dead_lettered,
		    (unsigned long long)p.commits);
		if (p.dead_lettered > 0 && j->on_error.dead_letter_topic)
			say("  look: ksrun topic consume %s", j->on_error.dead_letter_topic);
	}
}

/* --- metrics --- */

/* A family with a sample for each job; the figure stands so many bytes into its progress. */
static void put_family(const struct run *r, struct buf *out, const char *family, const char *help,
		       size_t figure)
{
	struct prom p;

	prom_begin(&p, out, family, PROM_COUNTER, help);
	for (size_t i = 0; i < r->job_count; i++) {
		const struct prom_label label = {"job", slice_str(r->jobs[i].job->name)};
		struct engine_progress progress;
		uint64_t value;

		engine_progress(r->jobs[i].engine, &progress);
		memcpy(&value, (const char *)&progress + figure, sizeof value);
		prom_int(&p, &label, 1, (int64_t)value);
	}
}

static void put_jobs(void *cookie, struct buf *out)
{
#define FIGURE(name) offsetof(struct engine_progress, name)
	put_family(cookie, out, "ks_job_records_in_total", "Records that jobs have read.",
		   FIGURE(records_in));
	put_family(cookie, out, "ks_job_records_out_total", "Records that jobs have written.",
		   FIGURE(records_out));
	put_family(cookie, out, "ks_job_skipped_total", "Records that failed and were skipped.",
		   FIGURE(skipped));
	put_family(cookie, out, "ks_job_dead_lettered_total",
		   "Records that failed and went to a topic of dead letters.",
		   FIGURE(dead_lettered));
	put_family(cookie, out, "ks_job_commits_total", "Commits of jobs.", FIGURE(commits));
#undef FIGURE
}

static void show_jobs(struct run *r)
{
	if (!r->http)
		return;
	http_add(r->http, put_jobs, r);
	http_show(r->http, r->server, NULL);
}

static void hide_jobs(struct run *r, int code)
{
	const char *state = broker_failure(r->broker) ? "the store has failed"
			    : code == EXIT_DONE       ? "stopping"
						      : "a job has failed";
	if (!r->http)
		return;
	http_show(r->http, NULL, state);
	http_add(r->http, NULL, NULL);
}

/* --- running --- */

static int start_server(struct run *r, struct server_options *so)
{
	struct ks_why why = {""};

	so->broker = r->broker;
	enum ks_err err = server_start(so, &r->server, &why);
	if (err)
		return say_failure(err, &why);
	serve_say_ready(r->server);
	return EXIT_DONE;
}

static int open_broker(struct run *r)
{
	struct broker_options bo = verb_broker_options(r->options, true);
	struct server_options so;
	struct ks_why why = {""};
	bool listens = options_given(r->options, "listen");

	if (listens) {
		int code = serve_settings(r->options, false, &r->settings);
		if (code == EXIT_DONE)
			code = serve_options(r->options, r->settings, &so, &bo);
		if (code != EXIT_DONE)
			return code;
	}
	if (listens || options_given(r->options, "http")) {
		int code = broker_http_open(r->options, r->settings, &r->http);
		if (code != EXIT_DONE)
			return code;
	}
	if (r->http)
		http_show(r->http, NULL, "recovering");
	bo.auto_create_topics = true;
	bo.store.has_jobs = true;
	enum ks_err err = broker_open(&bo, &r->broker, &why);
	if (err)
		return say_failure(err, &why);
	return listens ? start_server(r, &so) : EXIT_DONE;
}

/* What refuses a job leaves no directory behind. */
static int open_for_jobs(struct run *r)
{
	bool is_new = data_is_new(r->options);
	int code = is_new ? scripts_admit(&r->scripts, NULL) : EXIT_DONE;

	if (code == EXIT_DONE)
		code = open_broker(r);
	return code == EXIT_DONE && !is_new ? scripts_admit(&r->scripts, r->broker) : code;
}

static int run_jobs(struct run *r)
{
	int code = open_for_jobs(r);

	if (code != EXIT_DONE)
		return code;
	if (r->http)
		http_show(r->http, NULL, "starting jobs");
	code = start_jobs(r);
	if (code != EXIT_DONE) {
		stop_jobs(r);
		return code;
	}
	if (!r->once && isatty(STDERR_FILENO) && !options_flag(r->options, "quiet"))
		say("%zu job%s running; Ctrl-C commits and stops", r->job_count,
		    r->job_count == 1 ? " is" : "s are");
	r->progress.is_silent = options_flag(r->options, "quiet") || !r->once;
	progress_begin(&r->progress, "run", -1);
	signals_on_stop(stop_jobs, r);
	show_jobs(r);
	code = wait_jobs(r);
	hide_jobs(r, code);
	signals_on_stop(NULL, NULL);
	if (!r->progress.is_silent)
		progress_end(&r->progress);
	if (!options_flag(r->options, "quiet"))
		say_results(r);
	return code;
}

int verb_run(const struct options *o)
{
	struct run r = {.options = o, .once = options_flag(o, "once")};
	int code;

	int64_t threads = options_number(o, "threads");
	if (options_given(o, "threads") && (threads < 1 || threads > 1024))
		return say_usage("--threads %lld: 1 to 1024", (long long)threads);
	r.threads = (int)threads;
	signals_start();
	name_owner(&r);
	code = scripts_load(o, &r.scripts);
	if (code == EXIT_DONE)
		code = take_jobs(&r);
	if (code == EXIT_DONE)
		code = run_jobs(&r);
	for (size_t i = 0; i < r.job_count; i++)
		engine_free(r.jobs[i].engine);
	free(r.jobs);
	server_stop(r.server, SERVE_STOP_MS);
	http_stop(r.http);
	broker_close(r.broker);
	settings_free(r.settings);
	scripts_free(&r.scripts);
	return code;
}

/* perf_restart.c - `ksrun perf restart`: how soon a job works again after kill -9.
 *
 * The job counts records of many keys, in a process of its own. Once all of them are counted and
 * committed that process is killed; the time runs from the moment the next one is started, which
 * then appends one more record, until that record's count is in the output. The count must be 2: the
 * state is there, not merely the process.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/perf_rig.h"
#include "cli/say.h"
#include "cli/verb.h"

extern char **environ;

const struct option perf_restart_options[] = {
	PERF_JOB_OPTIONS,
	{.name = "phase",
	 .type = OPTION_TEXT,
	 .arg = "PHASE",
	 .help = "what this process is for: fill or again (perf restart starts them itself)"},
	{0},
};

/* --- the processes that it starts --- */

static int64_t committed(struct perf_rig *rig)
{
	int64_t sum = 0, offset;

	for (int32_t p = 0; p < topic_partition_count(rig->topic); p++)
		if (broker_group_offset(rig->broker, rig->job.name, topic_partition(rig->topic, p),
					&offset) == ERR_NONE)
			sum += offset;
	return sum;
}

/* Waits until the job has committed `records` records of its input. */
static enum ks_err await(struct perf_rig *rig, struct engine *engine, int64_t records,
			 struct ks_why *why)
{
	bool running = true;
	enum ks_err err = ERR_NONE;

	while (!err && running && committed(rig) < records)
		err = engine_wait_for(engine, 1, &running, why);
	return err;
}

static int fill(struct perf_rig *rig)
{
	struct engine *engine = NULL;
	struct ks_why why = {""};

	enum ks_err err = perf_fill(rig->broker, rig->topic, &rig->input, 0, rig->count, &why);
	if (!err)
		err = perf_rig_start(rig, false, &engine, &why);
	if (!err)
		err = await(rig, engine, rig->count, &why);
	if (err)
		return say_failure(err, &why);
	puts("filled");
	fflush(stdout);
	for (;;)
		pause(); /* until it is killed */
}

static enum ks_err append_one(struct perf_rig *rig, int64_t i, struct ks_why *why)
{
	struct perf_feed *f = perf_feed_new(rig->broker, rig->topic, &rig->input, 1, ACKS_ALL);

	perf_feed_add(f, i);
	return perf_feed_finish(f, why);
}

static int again(struct perf_rig *rig, const struct perf_span *span)
{
	struct engine *engine = NULL;
	struct ks_why why = {""};
	double opened = perf_seconds(span), started = 0, done = 0;
	int64_t outputs;

	enum ks_err err = perf_rig_start(rig, false, &engine, &why);
	started = perf_seconds(span);
	if (!err)
		err = append_one(rig, rig->count, &why);
	if (!err)
		err = await(rig, engine, rig->count + 1, &why);
	done = perf_seconds(span);
	if (!err) {
		printf("processed %.6f %.6f %.6f\n", opened, started, done);
		fflush(stdout);
		engine_request_stop(engine);
		err = engine_wait(engine, &why);
	}
	engine_free(engine);
	if (!err)
		err = perf_rig_check(rig, rig->count + 1, &outputs, &why);
	return err ? say_failure(err, &why) : EXIT_DONE;
}

static int run_phase(const struct options *o, const char *phase)
{
	struct perf_rig rig;
	struct perf_span span;

	if (strcmp(phase, "fill") != 0 && strcmp(phase, "again") != 0)
		return say_usage("--phase \"%s\": fill and again are known", phase);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the one that measures is gone: so are we */
	perf_begin(&span);
	int code = perf_rig_open(&rig, o, "count", options_text(o, "data"));
	if (code != EXIT_DONE)
		return code;
	code = strcmp(phase, "fill") == 0 ? fill(&rig) : again(&rig, &span);
	perf_rig_close(&rig);
	return code;
}

/* --- the process that starts them --- */

struct child {
	pid_t pid;
	FILE *out;
};

static bool child_start(struct child *c, const struct options *o, const char *phase,
			const char *dir)
{
	const char *n = options_text(o, "num"), *bytes = options_text(o, "record-bytes");
	const char *argv[] = {"ksrun",
			      "perf",
			      "restart",
			      "--phase",
			      phase,
			      "--data",
			      dir,
			      "-n",
			      n,
			      "--users",
			      n,
			      "--distinct",
			      "--threads",
			      options_text(o, "threads"),
			      "--record-bytes",
			      bytes,
			      "--seed",
			      options_text(o, "seed"),
			      NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];

	if (pipe(ends) != 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	int err = posix_spawn(&c->pid, "/proc/self/exe", &actions, NULL, (char *const *)argv,
			      environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (err) {
		close(ends[0]);
		say_error("cannot start a process: %s", strerror(err));
		return false;
	}
	c->out = fdopen(ends[0], "r");
	return true;
}

/* The first line that it says; false: it ended without. */
static bool child_line(struct child *c, char *line, int size)
{
	return fgets(line, size, c->out) != NULL;
}

/* True when it ended by itself and well. */
static bool child_end(struct child *c)
{
	int status = -1;

	fclose(c->out);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE;
}

struct times {
	double total, opened, started, done;
};

static bool measure(const struct options *o, const char *dir, struct times *t)
{
	struct perf_span span;
	struct child c;
	char line[128] = "";

	if (!child_start(&c, o, "fill", dir))
		return false;
	bool is_filled = child_line(&c, line, sizeof line);
	kill(c.pid, SIGKILL);
	child_end(&c);
	if (!is_filled)
		return false;

	perf_begin(&span);
	if (!child_start(&c, o, "again", dir))
		return false;
	bool is_read = child_line(&c, line, sizeof line);
	t->total = perf_seconds(&span);
	is_read = is_read &&
		  sscanf(line, "processed %lf %lf %lf", &t->opened, &t->started, &t->done) == 3;
	return child_end(&c) && is_read;
}

int verb_perf_restart(const struct options *o)
{
	const char *phase = options_text(o, "phase");
	struct perf_rows rows;
	struct times t;

	if (phase)
		return run_phase(o, phase);
	if (!perf_rows_init(&rows, o))
		return EXIT_USAGE;
	const char *dir = perf_scratch_make(o);
	if (!dir)
		return EXIT_FAILED;
	bool is_fine = measure(o, dir, &t);
	perf_scratch_remove();
	if (!is_fine) {
		say_error("the job did not come back as it was");
		return EXIT_FAILED;
	}
	perf_text(&rows, "restart", "bench-count");
	perf_number(&rows, "keys", (double)options_number(o, "num"), 0);
	perf_number(&rows, "opened_s", t.opened, 3);
	perf_number(&rows, "started_s", t.started, 3);
	perf_number(&rows, "processed_s", t.done, 3);
	perf_number(&rows, "total_s", t.total, 3);
	perf_row(&rows);
	return EXIT_DONE;
}

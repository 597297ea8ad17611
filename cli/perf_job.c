/* perf_job.c - `ksrun perf job`: what a job reaches over an input that is there, or at a fixed rate.
 */
#include "cli/perf_latency.h"
#include "cli/perf_rig.h"
#include "cli/say.h"
#include "cli/verb.h"

const struct option perf_job_options[] = {
	PERF_JOB_OPTIONS,
	{.name = "latency",
	 .type = OPTION_NUMBER,
	 .arg = "RATE",
	 .fallback = "0",
	 .help = "send so many records a second and measure how long each takes"},
	{.name = "seconds",
	 .type = OPTION_NUMBER,
	 .arg = "S",
	 .fallback = "20",
	 .help = "how long to send; the first quarter is not counted"},
	{.name = "linger-ms",
	 .type = OPTION_NUMBER,
	 .arg = "MS",
	 .fallback = "5",
	 .help = "how long the sender gathers records for a batch"},
	{0},
};

struct bulk {
	struct perf_span span;
	double seconds, cpu_seconds;
	struct perf_writes writes;
	struct engine_progress progress;
};

/* From the start of the engine until everything is processed and committed. */
static enum ks_err run(struct perf_rig *rig, struct bulk *b, struct ks_why *why)
{
	struct engine *engine = NULL;
	bool running = true;

	perf_forget_peak();
	perf_begin(&b->span);
	enum ks_err err = perf_rig_start(rig, true, &engine, why);
	while (!err && running) {
		err = engine_wait_for(engine, 1, &running, why);
		perf_writes_look(&b->writes, rig->broker);
	}
	b->seconds = perf_seconds(&b->span);
	b->cpu_seconds = perf_cpu_seconds(&b->span);
	if (engine)
		engine_progress(engine, &b->progress);
	engine_free(engine);
	if (!err && b->progress.skipped + b->progress.dead_lettered > 0)
		err = ks_fail(
			why, ERR_SCRIPT, "%llu records failed",
			(unsigned long long)(b->progress.skipped + b->progress.dead_lettered));
	return err;
}

static void report(struct perf_rig *rig, const struct bulk *b, int64_t outputs,
		   struct perf_rows *rows)
{
	double count = (double)rig->count, millions = count * 1e-6;

	perf_text(rows, "job", rig->job.name);
	perf_number(rows, "threads", rig->threads, 0);
	perf_text(rows, "guarantee", perf_guarantee_name(rig->job.guarantee));
	perf_number(rows, "records", count, 0);
	perf_number(rows, "seconds", b->seconds, 3);
	perf_number(rows, "records_per_s", count / b->seconds, 0);
	perf_number(rows, "MB_per_s", millions * rig->input.record_bytes / b->seconds, 1);
	perf_number(rows, "cpu_s_per_M", b->cpu_seconds / millions, 2);
	perf_number(rows, "commits", (double)b->progress.commits, 0);
	perf_quantiles(rows, &b->writes.ns);
	perf_number(rows, "peak_rss_MB", (double)perf_peak_bytes() * 1e-6, 0);
	perf_number(rows, "outputs",
		    outputs < 0 ? (double)b->progress.records_out : (double)outputs, 0);
	perf_text(rows, "checked", outputs < 0 ? "no" : "yes");
	perf_row(rows);
}

static int bulk(struct perf_rig *rig, struct perf_rows *rows)
{
	struct bulk b = {0};
	struct ks_why why = {""};
	int64_t outputs = -1;

	enum ks_err err = perf_fill(rig->broker, rig->topic, &rig->input, 0, rig->count, &why);
	if (!err)
		err = run(rig, &b, &why);
	if (!err)
		err = perf_rig_check(rig, rig->count, &outputs, &why);
	if (err)
		return say_failure(err, &why);
	report(rig, &b, outputs, rows);
	return EXIT_DONE;
}

int verb_perf_job(const struct options *o)
{
	struct perf_rows rows;
	struct perf_rig rig;

	if (!perf_rows_init(&rows, o) || !perf_in_range(o, "latency", 0, 10000000) ||
	    !perf_in_range(o, "seconds", 1, 1000000) || !perf_in_range(o, "linger-ms", 0, 1000000))
		return EXIT_USAGE;
	const char *dir = perf_scratch_make(o);
	if (!dir)
		return EXIT_FAILED;
	int code = perf_rig_open(&rig, o, o->args[0], dir);
	if (code == EXIT_DONE) {
		int64_t rate = options_number(o, "latency");
		code = rate > 0 ? perf_latency(&rig, o, &rows) : bulk(&rig, &rows);
		perf_rig_close(&rig);
	}
	perf_scratch_remove();
	return code;
}

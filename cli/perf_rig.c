/* perf_rig.c - see perf_rig.h. */
#include "cli/perf_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/suggest.h"
#include "cli/say.h"
#include "streams/plan.h"

static const char *const guarantees[] = {
	[EXACTLY_ONCE] = "exactly_once",
	[AT_LEAST_ONCE] = "at_least_once",
	[AT_MOST_ONCE] = "at_most_once",
};

const char *perf_guarantee_name(enum guarantee g)
{
	return guarantees[g];
}

static bool guarantee_from_name(const char *name, enum guarantee *out)
{
	for (size_t g = 0; g < sizeof guarantees / sizeof *guarantees; g++) {
		if (strcmp(guarantees[g], name) != 0)
			continue;
		*out = (enum guarantee)g;
		return true;
	}
	say_usage("--guarantee is exactly_once, at_least_once or at_most_once, not \"%s\"", name);
	return false;
}

/* --- the script --- */

static int unknown_job(const char *name)
{
	const char *names[16];
	size_t count = 0;

	for (; perf_jobs[count].name; count++)
		names[count] = perf_jobs[count].name;
	const char *near = suggest(name, names, count);
	if (near)
		return say_usage("there is no job \"%s\"; did you mean %s?", name, near);
	return say_usage("there is no job and no file \"%s\"", name);
}

/* The script of one of our jobs goes to a file, because a script is loaded from one. */
static char *script_path(const struct perf_rig *rig, const char *name, const char *dir)
{
	if (!rig->known)
		return xstrdup(name);

	char *path = xasprintf("%s/%s.lua", dir, name);
	FILE *f = fopen(path, "we");
	bool is_written = f && fputs(rig->known->script, f) != EOF;
	if (f && fclose(f) != 0)
		is_written = false;
	if (is_written)
		return path;
	say_error("cannot write %s: %s", path, strerror(errno));
	free(path);
	return NULL;
}

static int load(struct perf_rig *rig, const struct options *o, const char *name, const char *dir)
{
	struct script_options script = {0};
	struct buf report = {0};
	char *path = script_path(rig, name, dir);

	if (!path)
		return EXIT_FAILED;
	enum ks_err err = script_file_load(path, &script, &rig->file, &report);
	free(path);
	if (err)
		fprintf(stderr, "%s", buf_cstr(&report));
	buf_fini(&report);
	if (err)
		return EXIT_USAGE;
	rig->job = *script_file_job(rig->file, 0);
	if (options_number(o, "commit-ms") >= 0)
		rig->job.commit_ms = options_number(o, "commit-ms");
	return guarantee_from_name(options_text(o, "guarantee"), &rig->job.guarantee) ? EXIT_DONE
										      : EXIT_USAGE;
}

/* --- topics --- */

/* The job's topics as far as its script names them; a job of ours has them in its row. */
static enum ks_err create_planned(struct perf_rig *rig, struct ks_why *why)
{
	struct buf report = {0};
	struct plan *plan = NULL;
	enum ks_err err = plan_make(&rig->job, NULL, &plan, &report);

	if (err)
		ks_fail(why, err, "%s", buf_cstr(&report));
	buf_fini(&report);
	for (size_t i = 0; !err && i < plan->topic_count; i++) {
		const struct plan_topic *t = &plan->topics[i];
		if (t->is_repartition)
			continue;
		err = perf_topic_create(rig->broker, t->name,
					t->partitions > 0 ? t->partitions : INPUT_PARTITIONS, why);
		if (!err && t->is_input && !rig->topic)
			rig->topic = broker_topic_find(rig->broker, t->name);
	}
	if (!err && !rig->topic)
		err = ks_fail(why, ERR_INVALID_ARGUMENT, "the job reads no topic that it names");
	plan_free(plan);
	return err;
}

static enum ks_err create_known(struct perf_rig *rig, struct ks_why *why)
{
	enum ks_err err = perf_topic_create(rig->broker, PERF_INPUT_TOPIC, INPUT_PARTITIONS, why);

	for (size_t i = 0; !err && i < 4 && rig->known->outputs[i]; i++)
		err = perf_topic_create(rig->broker, rig->known->outputs[i], INPUT_PARTITIONS, why);
	if (!err)
		rig->topic = broker_topic_find(rig->broker, PERF_INPUT_TOPIC);
	return err;
}

static enum ks_err open_broker(struct perf_rig *rig, const char *dir, struct ks_why *why)
{
	struct broker_options options = {
		.dir = dir,
		.store = {.create = true, .has_jobs = true},
		.auto_create_topics = true,
		.default_partitions = INPUT_PARTITIONS,
	};
	enum ks_err err = broker_open(&options, &rig->broker, why);

	if (err)
		return err;
	rig->topic = broker_topic_find(rig->broker, PERF_INPUT_TOPIC);
	if (rig->topic) /* the directory of an earlier run */
		return ERR_NONE;
	return rig->known ? create_known(rig, why) : create_planned(rig, why);
}

int perf_rig_open(struct perf_rig *rig, const struct options *o, const char *name, const char *dir)
{
	struct ks_why why = {""};

	memset(rig, 0, sizeof *rig);
	if (!perf_input_spec(o, &rig->input))
		return EXIT_USAGE;
	rig->count = options_number(o, "num");
	rig->threads = (int)options_number(o, "threads");
	rig->known = perf_job_find(name);
	if (!rig->known && access(name, F_OK) != 0)
		return unknown_job(name);
	if (rig->known && rig->known->rule == RULE_PER_ARTICLE && rig->input.record_bytes < 200)
		return say_usage("%s needs records of 200 bytes: smaller ones name no article",
				 name);

	int code = load(rig, o, name, dir);
	if (code == EXIT_DONE) {
		char *data = xasprintf("%s/data", dir);
		enum ks_err err = open_broker(rig, data, &why);
		if (err)
			code = say_failure(err, &why);
		free(data);
	}
	if (code != EXIT_DONE)
		perf_rig_close(rig);
	return code;
}

void perf_rig_close(struct perf_rig *rig)
{
	broker_close(rig->broker);
	script_file_free(rig->file);
	rig->broker = NULL;
	rig->file = NULL;
}

/* --- running --- */

enum ks_err perf_rig_start(struct perf_rig *rig, bool once, struct engine **out, struct ks_why *why)
{
	struct engine_options options = {
		.broker = rig->broker,
		.job = &rig->job,
		.scripts = script_file_factory(rig->file, 0),
		.owner = "ksrun perf",
		.once = once,
		.threads = rig->threads,
	};

	return engine_start(&options, out, why);
}

enum ks_err perf_rig_check(struct perf_rig *rig, int64_t count, int64_t *outputs,
			   struct ks_why *why)
{
	*outputs = -1;
	if (!rig->known)
		return ERR_NONE;
	return perf_check(rig->broker, rig->known, &rig->input, count, outputs, why);
}

void perf_writes_look(struct perf_writes *w, struct broker *b)
{
	struct broker_stats stats;

	broker_stats(b, &stats);
	if (stats.groups_written != w->seen && stats.last_write_ns > 0)
		histogram_record(&w->ns, stats.last_write_ns);
	w->seen = stats.groups_written;
}

/* engine.c - the life of a running job. See engine.h and, for what happens inside, run.h. */
#include "base/clock.h"
#include "streams/run.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "streams/plan_impl.h"

#define THREADS_MAX           64

/* --- topics --- */

/* A dead letter is the record and its headers: Kafka's default limit of a record and 64 KiB. */
#define DEAD_LETTER_BYTES_MAX "1114124"

static enum ks_err create_topic(struct engine *e, const struct plan_topic *t, int32_t partitions,
				struct ks_why *why)
{
	const struct topic_decl *d = t->decl;
	bool needs_room = !d && t->is_dead_letter;
	struct config_entry *configs = xcalloc(d ? d->config_count : 1, sizeof *configs);
	struct topic_spec spec = {
		.name = t->name,
		.partitions = partitions,
		.configs = configs,
		.config_count = d ? d->config_count : needs_room,
		.is_internal = t->is_repartition,
	};
	const struct backend_topic *found = NULL;
	struct ks_why what = {""};

	for (size_t i = 0; d && i < spec.config_count; i++)
		configs[i] = (struct config_entry){d->config_keys[i], d->config_values[i]};
	if (needs_room)
		configs[0] = (struct config_entry){"max.message.bytes", DEAD_LETTER_BYTES_MAX};
	bool is_ours = d || t->is_output || t->is_repartition;
	enum topic_need need = is_ours                ? TOPIC_CREATE
			       : e->options.is_manual ? TOPIC_AUTO
						      : TOPIC_MUST_EXIST;
	enum ks_err err = e->backend->ops->topic(e->backend, &spec, need, &found, &what);
	free(configs);
	return err ? plan_refuse_topic(e->job, t, err, &what, why) : ERR_NONE;
}

/* As many as the widest topic that the flow reads; patterns count with what they match now. */
static enum ks_err input_partitions(struct engine *e, const struct flow *f, int32_t *most,
				    struct ks_why *why)
{
	size_t count = 0;
	char **names = f->pattern ? e->backend->ops->topic_names(e->backend, &count) : NULL;
	struct plan_piece piece = {.flow = f};
	enum ks_err err = ERR_NONE;

	*most = 1;
	for (size_t i = 0; i < count + f->topic_count && !err; i++) {
		const char *name = i < count ? names[i] : f->topics[i - count];
		struct topic_spec spec = {.name = name};
		const struct backend_topic *t;
		if (i < count && !piece_reads(&piece, name))
			continue;
		err = e->backend->ops->topic(e->backend, &spec, TOPIC_MUST_EXIST, &t, why);
		if (!err && t->partitions > *most)
			*most = t->partitions;
	}
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return err;
}

static enum ks_err create_topics(struct engine *e, struct ks_why *why)
{
	const struct plan *p = e->plan;
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < p->topic_count && !err; i++)
		if (!p->topics[i].is_repartition)
			err = create_topic(e, &p->topics[i],
					   p->topics[i].decl ? p->topics[i].decl->partitions : 0,
					   why);
	for (size_t i = 0; i < p->piece_count && !err; i++) {
		int32_t partitions;
		if (!p->pieces[i].source)
			continue;
		err = input_partitions(e, p->pieces[i].flow, &partitions, why);
		if (!err)
			err = create_topic(e, plan_topic_find(p, p->pieces[i].source), partitions,
					   why);
	}
	return err;
}

/* --- stores --- */

static void gather_stores(struct engine *e, const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];
		if (step_has_state(s)) {
			e->stores = xrealloc(e->stores, (e->store_count + 1) * sizeof *e->stores);
			e->stores[e->store_count++] = (struct state_name){
				.name = s->store,
				.kind = s->kind == STEP_DEDUP ? "dedup" : "keyed"};
		}
		for (size_t k = 0; k < s->branch_count; k++)
			gather_stores(e, &s->branches[k].steps);
	}
}

struct waiting {
	pthread_mutex_t mtx;
	pthread_cond_t done;
	bool is_done;
	enum ks_err err;
};

static void waiting_done(struct backend_commit *c, enum ks_err err)
{
	struct waiting *w = c->cookie;

	pthread_mutex_lock(&w->mtx);
	w->err = err;
	w->is_done = true;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->mtx);
}

static enum ks_err commit_and_wait(struct backend *b, struct state_batch *states,
				   struct ks_why *why)
{
	struct waiting w = {.mtx = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
	struct backend_commit c = {
		.states = state_batch_resolve(states),
		.state_count = states->count,
		.done = waiting_done,
		.cookie = &w,
	};

	b->ops->commit(b, &c);
	pthread_mutex_lock(&w.mtx);
	while (!w.is_done)
		pthread_cond_wait(&w.done, &w.mtx);
	pthread_mutex_unlock(&w.mtx);
	b->ops->commit_fini(b, &c);
	if (w.err)
		b->ops->explain(b, w.err, why);
	return w.err;
}

static enum ks_err register_stores(struct engine *e, struct ks_why *why)
{
	struct state_batch batch = {0};

	for (size_t i = 0; i < e->job->flow_count; i++)
		gather_stores(e, &e->job->flows[i].steps);
	enum ks_err err = state_register(e->backend, e->stores, e->store_count, &batch, why);
	if (!err && batch.count)
		err = commit_and_wait(e->backend, &batch, why);
	state_batch_fini(&batch);
	return err;
}

/* --- starting --- */

static int choose_threads(const struct engine *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int n = e->options.threads > 0 ? e->options.threads : e->job->threads;

	if (e->options.is_manual)
		return 1;
	if (n <= 0)
		n = cores > 0 ? (int)cores : 1;
	return n < THREADS_MAX ? n : THREADS_MAX;
}

static enum ks_err make_plan(struct engine *e, struct ks_why *why)
{
	struct buf report = {0};
	enum ks_err err = plan_make(e->job, e->options.broker, &e->plan, &report);

	if (err)
		ks_fail(why, err, "%s", buf_cstr(&report));
	buf_fini(&report);
	return err ? err
		   : plan_admit(e->plan, e->job, e->options.broker, e->options.is_manual, why);
}

static void count_records(struct engine *e)
{
	for (int i = 0; i < e->thread_count; i++)
		for (size_t k = 0; k < e->threads[i].task_count; k++) {
			const struct task *t = e->threads[i].tasks[k];
			for (size_t m = 0; m < t->input_count; m++) {
				const struct input *in = t->inputs[m];
				if (in->end != INT64_MAX && in->end > in->position)
					e->records_total += (uint64_t)(in->end - in->position);
			}
		}
}

static enum ks_err open_threads(struct engine *e, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	int n = choose_threads(e);

	e->threads = xcalloc((size_t)n, sizeof *e->threads);
	e->thread_count = n;
	for (int i = 0; i < n; i++) {
		e->threads[i].engine = e;
		e->threads[i].index = i;
	}
	for (int i = 0; i < n && !err; i++)
		err = thread_open(&e->threads[i], why);
	return err;
}

static void start_threads(struct engine *e)
{
	int count = e->options.is_manual ? 0 : e->thread_count;

	/* A thread that finds nothing to do counts itself out before the next one is started. */
	e->running = count;
	for (int i = 0; i < count; i++) {
		int failed =
			pthread_create(&e->threads[i].pthread, NULL, thread_main, &e->threads[i]);
		assert(!failed);
	}
}

enum ks_err engine_start(const struct engine_options *options, struct engine **out,
			 struct ks_why *why)
{
	struct engine *e = xcalloc(1, sizeof *e);

	e->options = *options;
	e->job = options->job;
	pthread_mutex_init(&e->mtx, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->stopped, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < e->job->flow_count; i++)
		e->has_patterns |= e->job->flows[i].pattern != NULL;

	enum ks_err err = make_plan(e, why);
	if (!err)
		err = backend_local_new(options->broker, e->job->name,
					options->owner ? options->owner : "", &e->backend, why);
	if (!err)
		err = create_topics(e, why);
	if (!err)
		err = register_stores(e, why);
	if (!err)
		err = open_threads(e, why);
	if (err) {
		atomic_store(&e->is_stopping, true);
		e->err = err;
		engine_free(e);
		return err;
	}
	count_records(e);
	*out = e;
	start_threads(e);
	return ERR_NONE;
}

/* --- running --- */

void engine_wake_all(struct engine *e)
{
	for (int i = 0; i < e->thread_count; i++)
		if (e->threads[i].waiter)
			e->backend->ops->wake(e->threads[i].waiter);
}

void engine_request_stop(struct engine *e)
{
	atomic_store(&e->is_stopping, true);
	engine_wake_all(e);
}

void engine_fail(struct engine *e, enum ks_err err, const struct ks_why *why)
{
	pthread_mutex_lock(&e->mtx);
	if (!e->err) {
		e->err = err;
		e->why = *why;
	}
	pthread_mutex_unlock(&e->mtx);
	engine_request_stop(e);
}

static bool inputs_are_at_end(struct engine *e, const char *repartition)
{
	for (int i = 0; i < e->thread_count; i++)
		for (size_t k = 0; k < e->threads[i].task_count; k++) {
			const struct task *t = e->threads[i].tasks[k];
			for (size_t m = 0; m < t->input_count; m++) {
				struct input *in = t->inputs[m];
				if (in->is_repartition != (repartition != NULL) ||
				    (repartition && strcmp(in->topic->name, repartition) != 0))
					continue;
				int64_t end = repartition ? e->backend->ops->end_offset(in->source)
							  : in->end;
				if (atomic_load(&in->durable) < end)
					return false;
			}
		}
	return true;
}

/* Pieces stand in the order of their data, so once what writes a repartition topic is through, its end stays. */
bool engine_is_drained(struct engine *e)
{
	if (!inputs_are_at_end(e, NULL))
		return false;
	for (size_t i = 0; i < e->plan->piece_count; i++)
		if (e->plan->pieces[i].source && !inputs_are_at_end(e, e->plan->pieces[i].source))
			return false;
	return true;
}

enum ks_err engine_wait_for(struct engine *e, int timeout_ms, bool *running, struct ks_why *why)
{
	const struct timespec until = clock_deadline(timeout_ms);

	pthread_mutex_lock(&e->mtx);
	while (e->running > 0)
		if (pthread_cond_timedwait(&e->stopped, &e->mtx, &until) == ETIMEDOUT)
			break;
	*running = e->running > 0;
	enum ks_err err = *running ? ERR_NONE : e->err;
	if (err && why)
		*why = e->why;
	pthread_mutex_unlock(&e->mtx);
	return err;
}

enum ks_err engine_wait(struct engine *e, struct ks_why *why)
{
	bool running = true;
	enum ks_err err = ERR_NONE;

	while (running)
		err = engine_wait_for(e, 1000000, &running, why);
	return err;
}

void engine_progress(struct engine *e, struct engine_progress *out)
{
	*out = (struct engine_progress){.records_total = e->records_total};
	for (int i = 0; i < e->thread_count; i++) {
		struct thread *th = &e->threads[i];
		out->records_in += atomic_load_explicit(&th->records_in, memory_order_relaxed);
		out->records_out += atomic_load_explicit(&th->records_out, memory_order_relaxed);
		out->skipped += atomic_load_explicit(&th->skipped, memory_order_relaxed);
		out->dead_lettered +=
			atomic_load_explicit(&th->dead_lettered, memory_order_relaxed);
		out->commits += atomic_load_explicit(&th->commits, memory_order_relaxed);
	}
}

void engine_free(struct engine *e)
{
	struct ks_why why;

	if (!e)
		return;
	if (e->threads)
		engine_request_stop(e);
	if (!e->options.is_manual && e->threads && e->threads[0].pthread) {
		engine_wait(e, &why);
		for (int i = 0; i < e->thread_count; i++)
			pthread_join(e->threads[i].pthread, NULL);
	} else if (e->options.is_manual && e->threads && !e->err) {
		thread_finish(&e->threads[0]);
	}
	for (int i = 0; i < e->thread_count; i++)
		if (e->threads[i].waiter)
			thread_close(&e->threads[i]);
	free(e->threads);
	free(e->stores);
	if (e->backend)
		e->backend->ops->free(e->backend);
	plan_free(e->plan);
	pthread_cond_destroy(&e->stopped);
	pthread_mutex_destroy(&e->mtx);
	free(e);
}

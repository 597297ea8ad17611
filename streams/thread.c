/* thread.c - the loop of a stream thread.
 *
 *         ┌──────────────────────────────────────────────────────────────────┐
 *         v                                                                  │
 *     learn of the flight ── process a chunk of the next task ── hand over the step
 *                                                                if no flight is on its way
 *
 * When there is nothing to process the thread waits: for its partitions to grow, its flight to land, a retry or the
 * commit interval to pass, or a stop.
 */
#include "streams/run.h"

#include <stdlib.h>
#include <string.h>

#include "streams/plan_impl.h"

#define PATTERNS_EVERY_MS 1000
#define IDLE_MS           60000 /* a wait ends by an event; this bounds what a lost one would cost */

int task_owner(const struct engine *e, size_t group, int32_t partition)
{
	return (int)(((size_t)partition + group) % (size_t)e->thread_count);
}

/* --- tasks --- */

static struct task *task_find(struct thread *th, size_t group, int32_t partition)
{
	for (size_t i = 0; i < th->task_count; i++)
		if (th->tasks[i]->group == group && th->tasks[i]->partition == partition)
			return th->tasks[i];
	return NULL;
}

static bool has_input(const struct task *t, const struct backend_topic *topic)
{
	for (size_t i = 0; i < t->input_count; i++)
		if (t->inputs[i]->topic == topic)
			return true;
	return false;
}

static enum ks_err assign_topic(struct thread *th, size_t group, const char *name,
				struct ks_why *why)
{
	struct engine *e = th->engine;
	struct topic_spec spec = {.name = name};
	const struct backend_topic *topic;
	enum ks_err err = e->backend->ops->topic(e->backend, &spec, TOPIC_MUST_EXIST, &topic, why);

	for (int32_t p = 0; !err && p < topic->partitions; p++) {
		if (task_owner(e, group, p) != th->index)
			continue;
		struct task *t = task_find(th, group, p);
		if (!t) {
			err = task_new(th, group, p, &t, why);
			if (err)
				return err;
			th->tasks =
				xrealloc(th->tasks, (th->task_count + 1) * sizeof(struct task *));
			th->tasks[th->task_count++] = t;
		}
		if (!has_input(t, topic))
			err = task_add_input(t, topic, why);
	}
	return err;
}

/* A pattern does not take what the job itself writes: its records would go round for ever. */
static bool is_own_output(const struct plan *p, const char *name)
{
	const struct plan_topic *t = plan_topic_find(p, name);
	return t && t->is_output && !t->is_input;
}

static enum ks_err assign_piece(struct thread *th, const struct plan_piece *piece, char **names,
				size_t count, struct ks_why *why)
{
	const struct flow *f = piece->flow;
	enum ks_err err = ERR_NONE;

	if (piece->source)
		return assign_topic(th, piece->group, piece->source, why);
	for (size_t i = 0; i < f->topic_count && !err; i++)
		err = assign_topic(th, piece->group, f->topics[i], why);
	for (size_t i = 0; f->pattern && i < count && !err; i++)
		if (piece_reads(piece, names[i]) && !is_own_output(th->engine->plan, names[i]))
			err = assign_topic(th, piece->group, names[i], why);
	return err;
}

enum ks_err thread_assign(struct thread *th, struct ks_why *why)
{
	struct engine *e = th->engine;
	size_t count = 0;
	char **names = e->has_patterns ? e->backend->ops->topic_names(e->backend, &count) : NULL;
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < e->plan->piece_count && !err; i++)
		err = assign_piece(th, &e->plan->pieces[i], names, count, why);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	th->patterns_checked_ms = clock_now_ms(&clock_real);
	return err;
}

static enum ks_err look_for_new_topics(struct thread *th)
{
	struct engine *e = th->engine;

	if (!e->has_patterns || e->options.once ||
	    clock_now_ms(&clock_real) - th->patterns_checked_ms < PATTERNS_EVERY_MS)
		return ERR_NONE;
	th->err = thread_assign(th, &th->why);
	th->has_failed |= th->err != ERR_NONE;
	return th->err;
}

enum ks_err thread_open(struct thread *th, struct ks_why *why)
{
	struct engine *e = th->engine;
	size_t share = (size_t)e->thread_count;
	size_t cache = e->job->cache_bytes ? e->job->cache_bytes : CACHE_BYTES_DEFAULT;

	th->waiter = e->backend->ops->waiter_new(e->backend);
	th->ctx = (struct record_context){
		.parser = doc_parser_new(), .arena = &th->arena, .scratch = &th->scratch};
	state_pool_init(&th->pool, e->backend, &th->undo, cache / share,
			UNMERGED_BYTES_MAX / share);
	th->script = e->options.scripts.make ? e->options.scripts.make(e->options.scripts.self, why)
					     : NULL;
	if (e->options.scripts.make && !th->script)
		return ERR_SCRIPT;
	return thread_assign(th, why);
}

void thread_close(struct thread *th)
{
	for (size_t i = 0; i < th->task_count; i++)
		task_free(th->tasks[i]);
	free(th->tasks);
	flight_fini(th);
	state_pool_fini(&th->pool);
	undo_fini(&th->undo);
	sinks_fini(&th->sinks);
	if (th->script)
		th->script->ops->free(th->script);
	doc_parser_free(th->ctx.parser);
	arena_fini(&th->arena);
	buf_fini(&th->scratch);
	buf_fini(&th->encoded);
	buf_fini(&th->headers);
	th->engine->backend->ops->waiter_free(th->waiter);
}

/* --- the loop --- */

/* ms until the step must go; 0: now. */
static int64_t ms_to_commit(const struct thread *th)
{
	int64_t interval = th->engine->job->commit_ms;

	if (interval == 0 || step_is_full(th) || th->has_failed ||
	    atomic_load_explicit(&th->engine->is_stopping, memory_order_relaxed))
		return 0;
	int64_t age = (clock_monotonic_ns(&clock_real) - th->step_began_ns) / 1000000;
	return age >= interval ? 0 : interval - age;
}

static enum ks_err process_some(struct thread *th, bool *worked)
{
	for (size_t i = 0; i < th->task_count && !*worked && !step_is_full(th); i++) {
		struct task *t = th->tasks[th->next_task];
		th->next_task = (th->next_task + 1) % th->task_count;
		enum ks_err err = task_run(t, worked);
		if (err)
			return err;
	}
	return ERR_NONE;
}

enum ks_err thread_turn(struct thread *th, bool *worked)
{
	bool over, processed = false;
	enum ks_err err = flight_continue(th, &over);

	th->turn_ends_ns = clock_monotonic_ns(&clock_real) + TURN_NS;
	if (!err)
		err = look_for_new_topics(th);
	if (!err)
		err = process_some(th, &processed);
	if (err)
		return err;
	if (processed && th->step_began_ns == 0)
		th->step_began_ns = clock_monotonic_ns(&clock_real);
	bool started = false;
	/* with an interval and nothing more to read, `once` and manual runs do not wait for it */
	bool hurries = !processed && (th->engine->options.once || th->engine->options.is_manual);
	if (th->flight.phase == FLIGHT_NONE && !step_is_empty(th) &&
	    (hurries || ms_to_commit(th) == 0)) {
		flight_start(th, false);
		started = true;
	}
	*worked = processed || over || started;
	return ERR_NONE;
}

enum ks_err flight_wait(struct thread *th)
{
	const struct backend_ops *ops = th->engine->backend->ops;

	while (th->flight.phase != FLIGHT_NONE) {
		bool over;
		uint64_t ticket = ops->ticket(th->waiter);
		enum ks_err err = flight_continue(th, &over);
		if (err)
			return err;
		if (th->flight.phase != FLIGHT_NONE &&
		    !atomic_load_explicit(&th->flight.is_done, memory_order_acquire))
			ops->wait(th->waiter, ticket, IDLE_MS);
	}
	return ERR_NONE;
}

enum ks_err thread_settle(struct thread *th)
{
	enum ks_err err = flight_wait(th);

	if (err || step_is_empty(th))
		return err;
	flight_start(th, false);
	return flight_wait(th);
}

/* Merges what is unmerged, so that the next start finds rows alone. */
static enum ks_err merge_all(struct thread *th)
{
	while (state_pool_merge_all(&th->pool)) {
		flight_start(th, true);
		enum ks_err err = flight_wait(th);
		if (err)
			return err;
	}
	return ERR_NONE;
}

enum ks_err thread_finish(struct thread *th)
{
	if (th->flight.has_failed)
		return th->err;
	enum ks_err err = thread_settle(th);
	return err ? err : merge_all(th);
}

static void idle(struct thread *th, uint64_t ticket)
{
	struct engine *e = th->engine;
	int64_t ms = e->has_patterns && !e->options.once ? PATTERNS_EVERY_MS : IDLE_MS;

	if (th->flight.phase == FLIGHT_NONE && !step_is_empty(th)) {
		int64_t left = ms_to_commit(th);
		ms = left < ms ? left : ms;
	}
	if (ms > 0)
		e->backend->ops->wait(th->waiter, ticket, (int)ms);
}

static enum ks_err run_until_stopped(struct thread *th)
{
	struct engine *e = th->engine;

	while (!atomic_load_explicit(&e->is_stopping, memory_order_relaxed)) {
		uint64_t ticket = e->backend->ops->ticket(th->waiter);
		bool worked;
		enum ks_err err = thread_turn(th, &worked);
		if (err)
			return err == ERR_CLOSED && !th->has_failed ? ERR_NONE : err;
		if (worked)
			continue;
		if (e->options.once && th->flight.phase == FLIGHT_NONE && engine_is_drained(e)) {
			engine_request_stop(e);
			return ERR_NONE;
		}
		idle(th, ticket);
	}
	return ERR_NONE;
}

void *thread_main(void *arg)
{
	struct thread *th = arg;
	struct engine *e = th->engine;
	enum ks_err err = run_until_stopped(th);
	struct ks_why why = th->why; /* what stopped it, before settling says anything */
	enum ks_err settled = thread_finish(th);

	if (err)
		engine_fail(e, err, &why);
	else if (settled)
		engine_fail(e, settled, &th->why);
	pthread_mutex_lock(&e->mtx);
	e->running--;
	pthread_cond_broadcast(&e->stopped);
	pthread_mutex_unlock(&e->mtx);
	return NULL;
}

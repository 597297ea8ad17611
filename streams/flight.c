/* flight.c - hands a finished step to the backend and learns that it is durable.
 *
 *     exactly_once    one commit: outputs, state, offsets
 *     at_least_once   outputs and state; when they are durable, the offsets: a crash in between reads again
 *     at_most_once    the offsets; when they are durable, outputs and state: a crash in between loses
 *
 * A thread has one flight at a time; while it is on its way the next step is built.
 */
#include "streams/run.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

#include "base/failpoint.h"

#define STATE_BYTES_MAX (4u << 20) /* of changed state in one commit */

bool step_is_full(const struct thread *th)
{
	return th->sinks.bytes >= STEP_BYTES_MAX || th->step_records >= STEP_RECORDS_MAX ||
	       th->pool.changed_bytes >= STATE_BYTES_MAX;
}

bool step_is_empty(const struct thread *th)
{
	if (th->step_records || th->sinks.records || state_pool_has_changes(&th->pool))
		return false;
	for (size_t i = 0; i < th->task_count; i++)
		for (size_t k = 0; k < th->tasks[i]->input_count; k++) {
			const struct input *in = th->tasks[i]->inputs[k];
			if (in->position != in->submitted)
				return false;
		}
	return true;
}

/* On a thread of the backend. */
static void flight_done(struct backend_commit *c, enum ks_err err)
{
	struct thread *th = c->cookie;
	struct flight *f = &th->flight;
	const struct backend_ops *ops = th->engine->backend->ops;

	f->err = err;
	atomic_store_explicit(&f->is_done, true, memory_order_release);
	ops->wake(th->waiter); /* the thread may be on its next flight already, but not gone */
	atomic_fetch_sub_explicit(&f->callbacks, 1, memory_order_release);
}

static void take_offsets(struct thread *th)
{
	struct flight *f = &th->flight;
	size_t n = 0;

	for (size_t i = 0; i < th->task_count; i++)
		for (size_t k = 0; k < th->tasks[i]->input_count; k++) {
			struct input *in = th->tasks[i]->inputs[k];
			if (in->position == in->submitted)
				continue;
			if (n == f->offset_cap) {
				f->offset_cap = f->offset_cap ? f->offset_cap * 2 : 16;
				f->c.offsets = xrealloc(f->c.offsets,
							f->offset_cap * sizeof *f->c.offsets);
				f->inputs =
					xrealloc(f->inputs, f->offset_cap * sizeof(struct input *));
			}
			f->c.offsets[n] = (struct backend_offset){in->source, in->position};
			f->inputs[n++] = in;
			in->submitted = in->position;
		}
	f->offsets = n;
}

static void submit(struct thread *th, bool with_outputs, bool with_offsets)
{
	struct flight *f = &th->flight;
	struct engine *e = th->engine;

	f->c.output_count = with_outputs ? f->outputs : 0;
	f->c.state_count = with_outputs ? f->changes : 0;
	f->c.offset_count = with_offsets ? f->offsets : 0;
	f->c.done = flight_done;
	f->c.cookie = th;
	atomic_store_explicit(&f->is_done, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&f->callbacks, 1, memory_order_relaxed);
	if (f->merges && with_outputs)
		FP("state-merge");
	FP("commit-submit");
	e->backend->ops->commit(e->backend, &f->c);
}

void flight_start(struct thread *th, bool all)
{
	struct flight *f = &th->flight;
	enum guarantee g = th->engine->job->guarantee;

	assert(f->phase == FLIGHT_NONE);
	f->c.output_count = 0;
	atomic_fetch_add_explicit(&th->records_in, th->step_records, memory_order_relaxed);
	atomic_fetch_add_explicit(&th->records_out, th->sinks.records, memory_order_relaxed);
	sinks_take(&th->sinks, &f->c.outputs, &f->c.output_count, &f->output_cap);
	f->outputs = f->c.output_count;
	take_offsets(th);
	state_batch_clear(&f->states);
	if (all)
		state_pool_merge_all(&th->pool);
	state_pool_collect(&th->pool, &f->states, &f->merges);
	f->c.states = state_batch_resolve(&f->states);
	f->changes = f->states.count;
	th->step_records = 0;
	th->step_began_ns = 0;
	bool in_two = g != EXACTLY_ONCE && f->offsets > 0 && f->outputs + f->changes > 0;
	f->phase = in_two ? FLIGHT_FIRST_HALF : FLIGHT_LAST;
	submit(th, !in_two || g == AT_LEAST_ONCE, !in_two || g == AT_MOST_ONCE);
}

enum ks_err flight_continue(struct thread *th, bool *over)
{
	struct flight *f = &th->flight;

	*over = false;
	if (f->phase == FLIGHT_NONE || !atomic_load_explicit(&f->is_done, memory_order_acquire))
		return ERR_NONE;
	if (f->err) {
		f->phase = FLIGHT_NONE;
		f->has_failed = true;
		th->has_failed = true;
		th->err = f->err;
		th->engine->backend->ops->explain(th->engine->backend, f->err, &th->why);
		return f->err;
	}
	if (f->phase == FLIGHT_FIRST_HALF) {
		FP("half-commit");
		f->phase = FLIGHT_LAST;
		bool offsets_are_left = th->engine->job->guarantee == AT_LEAST_ONCE;
		submit(th, !offsets_are_left, offsets_are_left);
		return ERR_NONE;
	}
	FP("commit-done");
	if (f->merges)
		FP("state-merged");
	f->phase = FLIGHT_NONE;
	state_pool_committed(&th->pool);
	for (size_t i = 0; i < f->offsets; i++)
		atomic_store(&f->inputs[i]->durable, f->c.offsets[i].offset);
	atomic_fetch_add_explicit(&th->commits, 1, memory_order_relaxed);
	*over = true;
	return ERR_NONE;
}

void flight_fini(struct thread *th)
{
	struct flight *f = &th->flight;

	assert(f->phase == FLIGHT_NONE);
	while (atomic_load_explicit(&f->callbacks, memory_order_acquire))
		sched_yield();
	th->engine->backend->ops->commit_fini(th->engine->backend, &f->c);
	free(f->c.outputs);
	free(f->c.offsets);
	free(f->inputs);
	state_batch_fini(&f->states);
}

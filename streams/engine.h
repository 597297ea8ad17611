/* engine.h - runs a job: threads, tasks, commits.
 *
 * The planner cuts a job into sub-topologies at repartition topics; each sub-topology has one task per partition;
 * tasks are dealt out to threads. A thread's loop: fetch for each of its tasks, run the records through the steps,
 * hand the step to the backend as one commit, go on while that commit is on its way to the disk (at most one commit per
 * thread is under way, so commits are as frequent as the disk allows and grow when it is slow).
 */
#ifndef STREAMS_ENGINE_H
#define STREAMS_ENGINE_H

#include "broker/broker.h"
#include "streams/script.h"
#include "streams/topology.h"

struct engine;

struct engine_options {
	struct broker *broker;
	const struct job *job; /* outlives the engine */
	struct script_factory scripts;
	const char *owner; /* for the one who gets fenced */
	bool once;         /* stop at the end offsets of the start (and of what they lead to) */
	bool is_manual;    /* no threads: engine_pump drives all tasks on the caller's thread */
	int threads;       /* 0: the job's, or one per core */
};

struct engine_progress {
	uint64_t records_in, records_out, skipped, dead_lettered, commits;
	uint64_t records_total; /* once: how many there were at the start; 0: unknown */
};

/* Creates missing topics (declared ones, outputs, repartition topics), opens the session - fencing an older instance -
 * and starts. Errors name the place in the script. */
enum ks_err engine_start(const struct engine_options *options, struct engine **out,
			 struct ks_why *why);
/* Asks all threads to finish their step, commit and stop. Any thread, any time; returns at once. */
void engine_request_stop(struct engine *e);
/* Waits until all threads have stopped. ERR_NONE: asked to, or once and done; else what stopped it:
 * ERR_PRODUCER_FENCED, ERR_SCRIPT, a storage error; why is the whole message for the operator (several lines). */
enum ks_err engine_wait(struct engine *e, struct ks_why *why);
/* As engine_wait, for at most timeout_ms; *running says whether it still runs. */
enum ks_err engine_wait_for(struct engine *e, int timeout_ms, bool *running, struct ks_why *why);
void engine_progress(struct engine *e, struct engine_progress *out);
/* Merges state, closes the session. e may be NULL. */
void engine_free(struct engine *e);

/* Manual mode: processes and commits everything there is, until nothing is left. */
enum ks_err engine_pump(struct engine *e, struct ks_why *why);
/* Manual mode: every entry of a store, over all partitions, in key order. */
enum ks_err engine_state_scan(struct engine *e, const char *store,
			      void (*entry)(void *cookie, const struct datum *key,
					    const struct datum *value),
			      void *cookie, struct ks_why *why);

#endif

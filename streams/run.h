/* run.h - the engine from within: threads, tasks, inputs, pipelines, nodes.
 *
 *     engine ── thread ── task (group of pieces, partition) ── input (topic, partition) ── feed ─┐
 *                 │         └── pipeline (one piece of a flow) ── node ── node ── node  <────────┘
 *                 ├── sinks, states, undo: the step under construction
 *                 └── flight: the step that is on its way
 *
 * Everything below a thread belongs to it. In manual mode the one "thread" runs on the caller's.
 */
#ifndef STREAMS_RUN_H
#define STREAMS_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "streams/engine.h"
#include "streams/plan.h"
#include "streams/sinks.h"
#include "streams/state.h"

#define STEP_BYTES_MAX      (2u << 20) /* output of one commit */
#define STEP_RECORDS_MAX    65536      /* records read for one commit */
#define TURN_NS             10000000   /* that a thread processes before it looks up */
#define FETCH_BYTES         (256u << 10)
#define DECOMPRESSED_MAX    (128u << 20) /* of one batch */
#define CACHE_BYTES_DEFAULT (64u << 20)
#define UNMERGED_BYTES_MAX  (16u << 20)

struct thread;
struct task;
struct node;

/* One step of the script, ready to run. */
struct node {
	enum ks_err (*process)(struct task *t, struct node *n, struct rec *r);
	struct node *next; /* NULL: the end of the flow */
	const struct step *step;
	struct pipeline *pipe;
	struct doc_path *path;
	bool key_is_pinned; /* state follows: the key must stay what it was */
	/* split */
	struct node **branches;
	struct doc_path **when_paths;
	/* to, and the end of a piece */
	struct sink *sink;
	enum serde key_serde, value_serde;
	/* state */
	struct state *state;
	struct dedup *dedup;
};

/* One piece of a flow in one task. */
struct pipeline {
	const struct plan_piece *piece;
	const struct error_policy *policy;
	struct node *first;
	struct doc_path *time_path;
	int64_t stream_time; /* latest time of its records; flows of one topic may read different times */
	int64_t time_before; /* the same without the record under way */
	bool needs_script;
	struct node *
		forwards; /* the piece is this to alone, of a fixed topic: whole batches may go through */
};

/* A pipeline fed by an input. */
struct feed {
	struct pipeline *pipe;
	enum serde key_serde, value_serde;
	bool is_forward; /* the input's serdes are those of pipe->forwards */
};

struct input {
	struct backend_input *source;
	const struct backend_topic *topic;
	int32_t partition;
	bool is_repartition;
	struct feed *feeds;
	size_t feed_count;
	/* the batch under way */
	struct chunk chunk;
	size_t chunk_at;
	struct batch batch;
	struct record_iter iter;
	bool in_batch;
	struct buf scratch; /* of a compressed batch */
	struct record head; /* merging: the next record */
	bool has_head;
	/* offsets */
	int64_t position;         /* next to process */
	int64_t submitted;        /* of the last step */
	int64_t forgotten;        /* repartition: trimmed up to here */
	size_t fetched_bytes;     /* repartition: since then */
	int64_t end;              /* once: stop here; else INT64_MAX */
	_Atomic(int64_t) durable; /* position that is committed */
};

struct task {
	struct thread *thread;
	size_t group;
	int32_t partition;
	struct pipeline *pipes;
	size_t pipe_count;
	struct input **inputs;
	size_t input_count;
	struct arena arena; /* nodes */
	struct doc_path **paths;
	size_t path_count;
};

/* Why the record under way failed: the deepest cause, set once per attempt. */
struct failure {
	struct script_error e;
	const struct step *step; /* NULL: it could not even be decoded */
};

/* The step that is on its way. */
struct flight {
	struct backend_commit c;
	size_t output_cap, offset_cap;
	struct state_batch states;
	enum { FLIGHT_NONE, FLIGHT_FIRST_HALF, FLIGHT_LAST } phase;
	size_t outputs, offsets, changes; /* of the whole step; halves hide some of them */
	bool merges;
	struct input **inputs;       /* whose offsets move */
	_Atomic(bool) is_done;       /* set by the backend's thread, after err */
	_Atomic(unsigned) callbacks; /* of the backend's thread that have not returned */
	enum ks_err err;             /* the backend's thread's until is_done */
	bool has_failed;             /* a commit was refused: nothing more can be committed */
};

struct thread {
	struct engine *engine;
	int index;
	pthread_t pthread;
	struct backend_waiter *waiter;
	struct script *script;
	struct record_context ctx;
	struct arena arena;
	struct buf scratch, encoded, headers;
	struct sinks sinks;
	struct undo undo;
	struct state_pool pool;
	struct task **tasks;
	size_t task_count, next_task;
	struct flight flight;
	struct failure failure;
	struct script_error script_error;
	/* the step under construction */
	uint64_t step_records; /* read */
	int64_t step_began_ns; /* 0: nothing yet */
	int64_t turn_ends_ns; /* then the loop looks at the flight, the interval and the stop again */
	unsigned turn_records;
	bool has_failed; /* a record failed for good: nothing more is processed */
	enum ks_err err;
	struct ks_why why;
	int64_t patterns_checked_ms; /* 0: no topics were assigned yet */
	int64_t warned_ms;
	uint64_t warnings_held;
	/* read by any thread */
	_Atomic(uint64_t) records_in, records_out, skipped, dead_lettered, commits;
};

struct engine {
	struct engine_options options;
	const struct job *job;
	struct plan *plan;
	struct backend *backend;
	struct thread *threads;
	int thread_count;
	struct state_name *stores; /* immutable after start */
	size_t store_count;
	bool has_patterns;
	uint64_t records_total;
	_Atomic(bool) is_stopping;
	pthread_mutex_t mtx;
	pthread_cond_t stopped;
	/* under mtx */
	int running;
	enum ks_err err;
	struct ks_why why;
};

/* --- task.c --- */

/* Builds the task of a group and a partition, with the inputs that exist. */
enum ks_err task_new(struct thread *th, size_t group, int32_t partition, struct task **out,
		     struct ks_why *why);
void task_free(struct task *t);
/* Reads partition of the topic in all pipelines that piece_reads says. */
enum ks_err task_add_input(struct task *t, const struct backend_topic *topic, struct ks_why *why);
/* Processes what is there, up to about one chunk or what the step may still take. *worked: anything at all. An error
 * is final: thread->why says what. */
enum ks_err task_run(struct task *t, bool *worked);

/* Whether the piece reads the topic. */
bool piece_reads(const struct plan_piece *piece, const char *topic);

/* --- compile.c --- */
enum ks_err pipeline_compile(struct task *t, struct pipeline *p, struct ks_why *why);
/* The sink of a topic, made when first asked for. Errors as backend topic(). */
enum ks_err thread_sink(struct thread *th, const char *topic, struct sink **out,
			struct ks_why *why);

/* --- failure.c --- */

/* Notes why the record fails at n (NULL: at decoding) and returns err; a deeper cause noted before stays. */
enum ks_err fail(struct task *t, const struct node *n, enum ks_err err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for a call of the script, from thread->script_error. */
enum ks_err fail_script(struct task *t, const struct node *n, enum ks_err err);
/* Runs one record through one feed, with retries and what the policy says. An error is final: the record is not processed.
 * ERR_CLOSED: nothing has failed, but the job stops. */
enum ks_err feed_record(struct task *t, struct input *in, struct feed *f, const struct record *r);

/* --- steps --- */
extern enum ks_err (*const step_process[STEP_KIND_COUNT])(struct task *t, struct node *n,
							  struct rec *r);
enum ks_err step_filter(struct task *t, struct node *n, struct rec *r);
enum ks_err step_reject(struct task *t, struct node *n, struct rec *r);
enum ks_err step_map(struct task *t, struct node *n, struct rec *r);
enum ks_err step_flat_map(struct task *t, struct node *n, struct rec *r);
enum ks_err step_explode(struct task *t, struct node *n, struct rec *r);
enum ks_err step_rekey(struct task *t, struct node *n, struct rec *r);
enum ks_err step_pass(struct task *t, struct node *n, struct rec *r);
enum ks_err step_split(struct task *t, struct node *n, struct rec *r);
enum ks_err step_peek(struct task *t, struct node *n, struct rec *r);
enum ks_err step_log(struct task *t, struct node *n, struct rec *r);
enum ks_err step_sample(struct task *t, struct node *n, struct rec *r);
enum ks_err step_count(struct task *t, struct node *n, struct rec *r);
enum ks_err step_number(struct task *t, struct node *n, struct rec *r); /* sum, min, max */
enum ks_err step_fold(struct task *t, struct node *n, struct rec *r);   /* reduce, aggregate */
enum ks_err step_dedup(struct task *t, struct node *n, struct rec *r);
enum ks_err step_script(struct task *t, struct node *n, struct rec *r); /* process */
enum ks_err step_to(struct task *t, struct node *n, struct rec *r);
enum ks_err step_repartition(struct task *t, struct node *n, struct rec *r);

static inline enum ks_err node_forward(struct task *t, const struct node *n, struct rec *r)
{
	return n->next ? n->next->process(t, n->next, r) : ERR_NONE;
}

/* The key to take over in place of r's; refuses one that would belong elsewhere when state follows. */
enum ks_err check_new_key(struct task *t, const struct node *n, struct rec *r, struct datum *key);

/* A datum as state keeps it: a letter for its kind, then its bytes. */
void datum_pack(struct record_context *c, struct datum *d, struct buf *out);
enum ks_err datum_unpack(struct slice packed, struct datum *out);

/* --- flight.c --- */
bool step_is_empty(const struct thread *th);
bool step_is_full(const struct thread *th);
/* Hands the step over; no flight is under way. all: merges state even where none is due. */
void flight_start(struct thread *th, bool all);
/* Goes on with a flight whose half is done. *over: it has landed. An error is final. */
enum ks_err flight_continue(struct thread *th, bool *over);
void flight_fini(struct thread *th);

/* --- thread.c --- */
void *thread_main(void *arg);
/* One turn of the loop; *worked says whether anything happened. */
enum ks_err thread_turn(struct thread *th, bool *worked);
enum ks_err flight_wait(struct thread *th);
/* Waits for the flight, commits what is left. */
enum ks_err thread_settle(struct thread *th);
/* The same, and merges the state: the thread's last deed. */
enum ks_err thread_finish(struct thread *th);
enum ks_err thread_open(struct thread *th, struct ks_why *why);
void thread_close(struct thread *th);
/* Which thread runs a task. */
int task_owner(const struct engine *e, size_t group, int32_t partition);
/* Makes the tasks and inputs of this thread that are not there yet; also for topics that appeared since. */
enum ks_err thread_assign(struct thread *th, struct ks_why *why);

/* --- engine.c --- */
void engine_fail(struct engine *e, enum ks_err err, const struct ks_why *why);
/* once: whether everything has been processed and is durable, through all repartition topics. */
bool engine_is_drained(struct engine *e);
void engine_wake_all(struct engine *e);

#endif

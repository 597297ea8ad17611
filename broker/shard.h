/* shard.h - the one writer: a thread, a queue of commands, a WriteBatch per group of them.
 *
 *     any thread            shard thread
 *     shard_append   ->     take what is queued, up to a full group
 *     shard_commit          check, give offsets, put        (nothing visible changes)
 *     shard_call            one write, one sync, the durable mark
 *                           publish: high watermarks, tails, topics; wake readers
 *                           answer
 *
 * A thread is woken for every group, which for small appends costs more than the group. So a sender
 * that finds the shard asleep may play it: shard_run_queued carries out what is queued, when it is
 * short and the disk is fast. There is one player at a time. "The shard's thread" is whoever plays it.
 *
 * It is a state machine: no socket, and time only from the broker's clock, once per group. The same
 * commands in the same groups write the same bytes.
 *
 * Besides commands that are waited for (struct call) there are tasks, which are not, and ticks, which
 * are due at a time. Both run on the shard's thread, may put into the group's write and say with
 * group_after what is to happen once it is written.
 *
 * When a write fails its outcome is unknown. The shard then answers everything, that group and
 * all that follows, with the error and writes nothing more.
 */
#ifndef BROKER_SHARD_H
#define BROKER_SHARD_H

#include "broker/broker.h"
#include "broker/group.h"

struct shard;

/* A change that its caller waits for: topics, group offsets, jobs. Embedded as the first member of
 * what it needs to know. Runs on the shard's thread. */
struct call {
	/* Checks, then puts into g->write; changes nothing else. After an error nothing may have
	 * been put, unless the call is alone. */
	enum ks_err (*apply)(struct call *c, struct group *g);
	/* The write returned: makes the change visible. May be NULL; not called after an error. */
	void (*publish)(struct call *c);
	/* Gets a group of its own, because it reads what commands of its group might change. */
	bool is_alone;
	struct broker *broker;
	struct ks_why *why; /* of the caller; may be NULL */

	/* the shard's */
	struct waiting *waiting;
};

/* A change that nobody waits for; embedded in what it needs to know. */
struct task {
	/* On the shard's thread, in the order in which tasks were sent. May put into g->write; sets
	 * g->needs_sync when what it puts must be on the disk before it is answered (group_after).
	 * From here on the shard does not touch t again. When g->failed is set the store has failed
	 * and nothing that is put will be written; group_after tells the error then. */
	void (*apply)(struct task *t, struct group *g);
};

/* Something that wants to run at certain times. */
struct tick {
	/* On the shard's thread, in a group of its own, as a task's apply. now_ns and the answer,
	 * when to run next, are of the monotonic clock; INT64_MAX: not before shard_tick_by. It runs
	 * soon after that time, never before. */
	int64_t (*run)(void *arg, struct group *g, int64_t now_ns);
	void *arg;

	/* the shard's */
	int64_t due_ns;
	struct tick *next;
};

struct shard *shard_start(struct broker *b, uint64_t batch_index);
/* Carries out what is queued, then ends. s may be NULL. */
void shard_stop(struct shard *s);

void shard_append(struct shard *s, struct append *a);
/* See broker_append_queue. */
bool shard_append_queue(struct shard *s, struct append *a);
void shard_run_queued(struct shard *s);
bool shard_is_asleep(struct shard *s); /* for tests: nobody plays it, nothing was sent */
void shard_commit(struct shard *s, struct commit *c);
enum ks_err shard_call(struct shard *s, struct call *c);
/* Any thread; never waits. bytes: what it holds in the queue, which the sender keeps within bounds; other senders wait for
 * it. */
void shard_task(struct shard *s, struct task *t, size_t bytes);
/* The same, and it waits for shard_run_queued, which the caller calls when it has sent all that it has. */
void shard_task_queue(struct shard *s, struct task *t, size_t bytes);
/* Any thread; t lives until shard_stop. Runs for the first time at once. */
void shard_tick_add(struct shard *s, struct tick *t);
/* The shard's thread: the tick runs at due_ns, or earlier when it was due earlier. */
void shard_tick_by(struct tick *t, int64_t due_ns);

/* Any thread. What went wrong when a write failed, until shard_stop; NULL: nothing has. */
const char *shard_failure(struct shard *s);
void shard_stats(struct shard *s, struct broker_stats *out);

/* jobs.c: the shard's part of a commit. */
enum ks_err commit_apply(struct commit *c, struct group *g);
/* Its frames, for a commit that is refused. */
void commit_drop(struct commit *c);

#endif

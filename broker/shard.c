/* shard.c - see shard.h. */
#include "broker/shard.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/sched.h"
#include "base/seeded.h"
#include "broker/core.h"
#include "broker/producers.h"
#include "broker/transactions.h"

/* A sleep for a tick that is further away looks at the clock in between. */
#define DOZE_NS_MAX      INT64_C(3600000000000)

/* What is larger, or waits longer for the disk, is not carried out by a sender, who has other things to do. */
#define LENT_BYTES_MAX   262144
#define LENT_SYNC_NS_MAX 500000

/* What batches of transactions leave to the sync of an end. With more of it that end would wait for long. */
#define LATE_BYTES_MAX   2097152

enum command_type { COMMAND_APPEND, COMMAND_COMMIT, COMMAND_CALL, COMMAND_TASK };

struct command {
	void *body;
	size_t bytes; /* that it adds to the queue */
	enum command_type type;
	enum ks_err err; /* once carried out */
};

struct commands {
	struct command *items;
	size_t count, cap;
};

/* What a thread that waits for its call sleeps on. */
struct waiting {
	pthread_mutex_t mtx;
	pthread_cond_t done;
	bool is_done;
	enum ks_err err;
};

struct shard {
	/* immutable after start */
	struct broker *broker;
	pthread_t thread;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t arrived, room;
	struct commands queue;
	size_t queue_bytes; /* queued or in the group under way */
	bool is_heavy;      /* something that is queued is not to be carried out by a sender */
	bool needs_sync;    /* something that is queued waits for the disk */
	bool is_idle;       /* the thread sleeps and nobody has woken it */
	bool is_lent;       /* a sender plays the shard */
	bool has_knocked;   /* the thread woke up meanwhile, and waits */
	bool is_stopping;
	pthread_t player;          /* the thread, or the sender */
	uint64_t tickets, serving; /* senders are let in in the order in which they came */
	struct tick *ticks;        /* only grows; what is in it is the shard's */

	/* owner: shard */
	struct commands taken; /* from taken_next on they are not yet in a group */
	size_t taken_next;
	struct tick *ticks_taken;
	struct group group;
	struct tail_pool tails;
	uint64_t batch_index;
	size_t late_bytes; /* written since the last sync, by groups with batches that an end is to sync */
	int64_t sync_ns; /* what the last synced write took */
	enum ks_err failed;

	/* written by the shard, read by anyone */
	struct ks_why failure;
	_Atomic(bool) has_failed;
	_Atomic(uint64_t) groups_written, commands_done, bytes_appended;
	_Atomic(int64_t) last_write_ns;
	struct tally write_ns, write_bytes, group_commands;
};

static void push(struct commands *q, const struct command *c)
{
	if (q->count == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 256;
		q->items = xrealloc(q->items, q->cap * sizeof(*q->items));
	}
	q->items[q->count++] = *c;
}

/* Under mtx. Whether the thread sleeps and is to be woken, by who asks; one call, however many commands follow. */
static bool is_to_wake(struct shard *s)
{
	bool is_idle = s->is_idle;

	s->is_idle = false;
	return is_idle;
}

/* Under mtx, which it lets go first: the thread often runs at once, on this one's core, and would have to wait for it. */
static void unlock_and_wake(struct shard *s, bool wakes)
{
	wakes = wakes && is_to_wake(s);
	pthread_mutex_unlock(&s->mtx);
	if (wakes)
		pthread_cond_signal(&s->arrived);
}

/* Under mtx. */
static bool has_room(const struct shard *s, size_t bytes)
{
	return s->queue_bytes == 0 || s->queue_bytes + bytes <= s->broker->options.queue_bytes_max;
}

/* Waits, under mtx, until all who came before are in and there is room. A command larger than the
 * whole queue is let in when the queue is empty. */
static void enter_queue(struct shard *s, size_t bytes)
{
	uint64_t ticket = s->tickets++;

	while (ticket != s->serving || !has_room(s, bytes)) {
		if (is_to_wake(s))
			pthread_cond_signal(&s->arrived);
		pthread_cond_wait(&s->room, &s->mtx);
	}
	s->serving++;
	if (s->serving != s->tickets)
		pthread_cond_broadcast(&s->room);
}

/* Under mtx. Whoever plays the shard, and sends something in a callback, never waits for itself. */
static void enqueue(struct shard *s, enum command_type type, void *body, size_t bytes)
{
	bool is_player = pthread_equal(pthread_self(), s->player);

	assert(!s->is_stopping && "nothing is sent while the broker closes");
	assert((type != COMMAND_CALL || !is_player) && "it would wait for itself");
	if (!is_player && type != COMMAND_TASK)
		enter_queue(s, bytes);
	s->queue_bytes += bytes;
	push(&s->queue, &(struct command){body, bytes, type, ERR_NONE});
}

static void submit(struct shard *s, enum command_type type, void *body, size_t bytes)
{
	pthread_mutex_lock(&s->mtx);
	enqueue(s, type, body, bytes);
	s->is_heavy = true;
	unlock_and_wake(s, true);
}

void shard_append(struct shard *s, struct append *a)
{
	submit(s, COMMAND_APPEND, a, a->batches.len);
}

bool shard_append_queue(struct shard *s, struct append *a)
{
	pthread_mutex_lock(&s->mtx);
	/* Nobody overtakes those who wait. */
	bool may = s->tickets == s->serving && has_room(s, a->batches.len);
	if (may) {
		enqueue(s, COMMAND_APPEND, a, a->batches.len);
		s->needs_sync |= a->acks == ACKS_ALL && !a->transactional_id.data;
	}
	unlock_and_wake(s, may && s->queue_bytes > LENT_BYTES_MAX);
	return may;
}

void shard_commit(struct shard *s, struct commit *c)
{
	size_t bytes = 0;

	for (size_t i = 0; i < c->output_count; i++)
		bytes += c->outputs[i].batches->len;
	for (size_t i = 0; i < c->state_count; i++)
		bytes += c->states[i].key.len + c->states[i].value.len;
	submit(s, COMMAND_COMMIT, c, bytes);
}

void shard_task(struct shard *s, struct task *t, size_t bytes)
{
	submit(s, COMMAND_TASK, t, bytes);
}

void shard_task_queue(struct shard *s, struct task *t, size_t bytes)
{
	pthread_mutex_lock(&s->mtx);
	enqueue(s, COMMAND_TASK, t, bytes);
	s->needs_sync = true; /* perhaps */
	unlock_and_wake(s, s->queue_bytes > LENT_BYTES_MAX);
}

enum ks_err shard_call(struct shard *s, struct call *c)
{
	struct waiting w = {.is_done = false};

	pthread_mutex_init(&w.mtx, NULL);
	pthread_cond_init(&w.done, NULL);
	c->waiting = &w;
	submit(s, COMMAND_CALL, c, 0);

	pthread_mutex_lock(&w.mtx);
	while (!w.is_done)
		pthread_cond_wait(&w.done, &w.mtx);
	pthread_mutex_unlock(&w.mtx);
	pthread_cond_destroy(&w.done);
	pthread_mutex_destroy(&w.mtx);
	return w.err;
}

/* --- ticks --- */

void shard_tick_add(struct shard *s, struct tick *t)
{
	t->due_ns = INT64_MIN;
	pthread_mutex_lock(&s->mtx);
	t->next = s->ticks;
	s->ticks = t;
	unlock_and_wake(s, true);
}

void shard_tick_by(struct tick *t, int64_t due_ns)
{
	if (due_ns < t->due_ns)
		t->due_ns = due_ns;
}

/* Under mtx, by who plays the shard. When the first tick is due. */
static int64_t first_due(const struct shard *s)
{
	int64_t due = INT64_MAX;

	for (const struct tick *t = s->ticks; t; t = t->next)
		if (t->due_ns < due)
			due = t->due_ns;
	return due;
}

/* Under mtx. Nanoseconds until a tick is due; INT64_MAX: none will be. */
static int64_t until_due(struct shard *s)
{
	int64_t due = first_due(s);

	if (due == INT64_MAX)
		return INT64_MAX;
	int64_t now = clock_monotonic_ns(&s->broker->clock);
	return due <= now ? 0 : due - now;
}

/* Under mtx. Sleeps until something arrives, at most ns. */
static void doze(struct shard *s, int64_t ns)
{
	struct timespec until;

	if (ns == INT64_MAX) {
		pthread_cond_wait(&s->arrived, &s->mtx);
		return;
	}
	if (ns > DOZE_NS_MAX)
		ns = DOZE_NS_MAX;
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns += until.tv_nsec;
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	pthread_cond_timedwait(&s->arrived, &s->mtx, &until);
}

/* Under mtx. Until there is something to do for the thread. */
static void wait_for_work(struct shard *s)
{
	int64_t ns = 0;

	while (s->is_lent || (!s->queue.count && !s->is_stopping && (ns = until_due(s)) > 0)) {
		s->is_idle = !s->is_lent;
		s->has_knocked = s->is_lent;
		doze(s, s->is_lent ? INT64_MAX : ns);
	}
	s->is_idle = s->has_knocked = false;
}

/* Under mtx. What was taken before is done with. */
static void take_queue(struct shard *s)
{
	struct commands empty = s->taken;

	empty.count = 0;
	s->taken = s->queue;
	s->taken_next = 0;
	s->queue = empty;
	s->is_heavy = s->needs_sync = false;
}

/* Waits for commands, or until a tick is due. false: the shard is to stop and nothing is left. */
static bool take(struct shard *s)
{
	if (s->taken_next < s->taken.count)
		return true; /* the last group was full before all were in it */

	pthread_mutex_lock(&s->mtx);
	wait_for_work(s);
	s->ticks_taken = s->ticks;
	bool is_over = s->is_stopping && !s->queue.count;
	take_queue(s);
	pthread_mutex_unlock(&s->mtx);
	return !is_over;
}

/* Whether it is answered when it is on the disk. */
static bool wants_sync(const struct append *a, const struct origin *o)
{
	const struct txns *txns = partition_topic(a->partition)->broker->txns;

	return a->acks == ACKS_ALL && !(o->is_transactional && txns_sync_late(txns));
}

/* A batch that is in the log already is answered as it was the first time; with acks all, once it
 * is surely on the disk. */
static void answer_again(struct append *a, const struct origin *o,
			 const struct producer_batch *duplicate, struct group *g)
{
	a->base_offset = duplicate->base_offset;
	if (a->log_append_time >= 0 && !KS_SEEDED_BUG(2111))
		a->log_append_time = duplicate->append_ms;
	if (wants_sync(a, o))
		g->needs_sync = g->needs_write = true;
}

/* Whether the batches may be appended; *duplicate: NULL, or what they repeat. */
static enum ks_err append_check(const struct append *a, struct group *g, struct origin *origin,
				const struct producer_batch **duplicate)
{
	struct topic *t = partition_topic(a->partition);

	*duplicate = NULL;
	*origin = (struct origin){.producer_id = -1};
	if (topic_is_gone(t))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	enum ks_err err = group_check(a->batches, (size_t)t->config.max_message_bytes, origin);
	if (err || origin->producer_id < 0)
		return err;
	if (origin->is_transactional && !KS_SEEDED_BUG(36))
		err = txns_admit_append(t->broker->txns, a, origin, g);
	if (err)
		return err;
	return group_check_producer(g, a->partition, a->batches, group_offset_next(g, a->partition),
				    duplicate);
}

static enum ks_err append_apply(struct append *a, struct group *g)
{
	struct topic *t = partition_topic(a->partition);
	struct frame *f = a->frame;
	const struct producer_batch *duplicate;
	struct origin origin;
	enum ks_err err = append_check(a, g, &origin, &duplicate);

	a->frame = NULL;
	a->log_append_time = t->config.is_append_time ? g->now_ms : -1;
	if (!err && !duplicate) {
		a->base_offset =
			group_append(g, a->partition, f, a->batches, t->config.is_append_time);
		if (KS_SEEDED_BUG(1131))
			a->base_offset = 0;
		if (wants_sync(a, &origin))
			g->needs_sync = true;
		else if (a->acks == ACKS_ALL)
			g->is_late = true;
		return ERR_NONE;
	}
	if (duplicate)
		answer_again(a, &origin, duplicate, g);
	frame_unref(f);
	return err;
}

static enum ks_err apply(struct shard *s, struct command *c)
{
	struct call *call;
	struct task *task;

	switch (c->type) {
	case COMMAND_APPEND:
		return append_apply(c->body, &s->group);
	case COMMAND_COMMIT:
		s->group.needs_sync = true;
		return commit_apply(c->body, &s->group);
	case COMMAND_CALL:
		s->group.needs_sync = true;
		call = c->body;
		return call->apply(call, &s->group);
	case COMMAND_TASK:
		task = c->body;
		task->apply(task, &s->group);
		return ERR_NONE;
	}
	return ERR_UNKNOWN_SERVER_ERROR;
}

/* The store has failed: the command is not looked at, its frames are released. A task sees for
 * itself. */
static enum ks_err drop(struct shard *s, struct command *c)
{
	struct append *a;
	struct call *call;
	struct task *task;

	switch (c->type) {
	case COMMAND_APPEND:
		a = c->body;
		frame_unref(a->frame);
		a->frame = NULL;
		break;
	case COMMAND_TASK:
		task = c->body;
		task->apply(task, &s->group);
		break;
	case COMMAND_COMMIT:
		commit_drop(c->body);
		break;
	case COMMAND_CALL:
		call = c->body;
		ks_fail(call->why, s->failed, "%s", s->failure.text);
		break;
	}
	return s->failed;
}

static bool wants_to_be_alone(const struct command *c)
{
	return c->type == COMMAND_CALL && ((const struct call *)c->body)->is_alone;
}

/* A call that failed half-way, by a read error, may have put something: nothing of it may be
 * written. */
static void forget_puts(struct shard *s)
{
	if (store_write_count(s->group.write) == 0)
		return;
	store_write_free(s->group.write);
	s->group.write = store_write_new(s->broker->store);
}

static void begin_group(struct shard *s)
{
	group_clear(&s->group, clock_now_ms(&s->broker->clock));
	s->group.failed = s->failed;
}

/* Applies taken commands until the group is full. Returns the end of the group in taken. */
static size_t collect(struct shard *s)
{
	size_t first = s->taken_next, i = first;

	begin_group(s);
	while (i < s->taken.count && group_bytes(&s->group) < s->broker->options.group_bytes_max) {
		struct command *c = &s->taken.items[i];
		bool is_alone = wants_to_be_alone(c);
		if (is_alone && i > first)
			break;
		c->err = s->failed ? drop(s, c) : apply(s, c);
		i++;
		if (is_alone && c->err)
			forget_puts(s);
		if (is_alone)
			break;
	}
	return i;
}

/* The write of the group failed: so did all its commands, whatever they would have answered. */
static void fail_group(struct shard *s, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		struct command *c = &s->taken.items[i];
		c->err = KS_SEEDED_BUG(2101) ? ERR_NONE : s->failed;
		if (c->type == COMMAND_CALL)
			ks_fail(((struct call *)c->body)->why, s->failed, "%s", s->failure.text);
	}
}

static void fail(struct shard *s, enum ks_err err, const struct ks_why *why)
{
	s->failed = err;
	s->failure = *why;
	atomic_store(&s->has_failed, true);
	log_error("shard", "the store has failed and nothing more is acknowledged: %s", why->text);
}

static bool is_to_be_synced(struct shard *s, size_t bytes)
{
	if (s->group.is_late)
		s->late_bytes += bytes;
	if (!s->group.needs_sync && s->late_bytes < LATE_BYTES_MAX)
		return false;
	s->late_bytes = 0;
	return !s->broker->options.no_sync;
}

/* Writes the group. On an error nothing is published, now or ever. */
static enum ks_err write_group(struct shard *s)
{
	struct store *store = s->broker->store;
	struct group *g = &s->group;
	struct ks_why why = {""};

	group_finish(g, s->batch_index + 1);
	FP("shard-write");
	size_t bytes = group_bytes(g);
	bool sync = is_to_be_synced(s, bytes);
	int64_t start = clock_monotonic_ns(&s->broker->clock);
	enum ks_err err = store_commit(store, g->write, sync, &why);
	int64_t took = clock_monotonic_ns(&s->broker->clock) - start;
	atomic_store(&s->last_write_ns, took);
	tally_add(&s->write_ns, (uint64_t)took);
	if (sync)
		s->sync_ns = took;
	if (!err) {
		FP("shard-written");
		if (sync)
			err = store_mark(store, &why);
	}
	if (err) {
		if (!KS_SEEDED_BUG(1121))
			fail(s, err, &why);
		return err;
	}
	s->batch_index++;
	atomic_fetch_add(&s->groups_written, 1);
	atomic_fetch_add(&s->bytes_appended, g->log_bytes);
	tally_add(&s->write_bytes, bytes);
	FP("shard-mark");
	return ERR_NONE;
}

static void reply(struct command *c)
{
	struct append *a;
	struct commit *commit;
	struct waiting *w;

	switch (c->type) {
	case COMMAND_APPEND:
		a = c->body;
		if (c->err)
			a->base_offset = -1;
		a->log_start_offset = partition_log_start_offset(a->partition);
		a->done(a, c->err);
		break;
	case COMMAND_TASK:
		break; /* its answers are among what comes after the group */
	case COMMAND_COMMIT:
		commit = c->body;
		commit->done(commit, c->err);
		break;
	case COMMAND_CALL:
		w = ((struct call *)c->body)->waiting;
		pthread_mutex_lock(&w->mtx);
		w->is_done = true;
		w->err = c->err;
		pthread_cond_signal(&w->done);
		pthread_mutex_unlock(&w->mtx); /* from here on w may be gone */
		break;
	}
}

static void publish(struct shard *s, size_t first, size_t end)
{
	group_publish(&s->group, &s->tails);
	for (size_t i = first; i < end; i++) {
		struct command *c = &s->taken.items[i];
		struct call *call = c->type == COMMAND_CALL ? c->body : NULL;
		if (call && !c->err && call->publish)
			call->publish(call);
	}
}

static void leave_queue(struct shard *s, size_t bytes)
{
	pthread_mutex_lock(&s->mtx);
	s->queue_bytes -= bytes;
	if (s->serving != s->tickets)
		pthread_cond_broadcast(&s->room);
	pthread_mutex_unlock(&s->mtx);
}

/* Writes the group, when there is anything to write, and shows it. first, end: its commands. */
static enum ks_err settle(struct shard *s, size_t first, size_t end)
{
	if (s->failed) { /* tasks may have put something */
		store_write_clear(s->group.write);
		return s->failed;
	}
	if (!group_has_writes(&s->group))
		return ERR_NONE;
	enum ks_err err = write_group(s);
	if (err)
		fail_group(s, first, end);
	if (!err || KS_SEEDED_BUG(1161))
		publish(s, first, end);
	return err;
}

static void run_group(struct shard *s)
{
	size_t bytes = 0;

	FP("shard-collect");
	size_t first = s->taken_next, end = collect(s);
	enum ks_err err = settle(s, first, end);
	atomic_fetch_add(&s->commands_done, end - first);
	tally_add(&s->group_commands, end - first);
	FP("shard-reply");
	group_run_afters(&s->group, err);
	group_clear(&s->group, 0);
	for (size_t i = first; i < end; i++) {
		bytes += s->taken.items[i].bytes;
		reply(&s->taken.items[i]);
	}
	s->taken_next = end;
	leave_queue(s, bytes);
}

/* Under mtx. Nothing else is going on and what is queued is short work. */
static bool may_be_lent(const struct shard *s)
{
	return s->is_idle && !s->is_heavy && s->queue_bytes <= LENT_BYTES_MAX &&
	       (!s->needs_sync || s->sync_ns <= LENT_SYNC_NS_MAX);
}

void shard_run_queued(struct shard *s)
{
	pthread_mutex_lock(&s->mtx);
	if (!s->queue.count || !may_be_lent(s)) {
		unlock_and_wake(s, s->queue.count > 0);
		return;
	}
	s->is_lent = true;
	s->is_idle = false;
	s->player = pthread_self();
	int64_t due_ns = first_due(s);
	take_queue(s);
	pthread_mutex_unlock(&s->mtx);

	while (s->taken_next < s->taken.count)
		run_group(s);

	pthread_mutex_lock(&s->mtx);
	s->is_lent = false;
	s->is_idle = true;
	s->player = s->thread;
	unlock_and_wake(s, s->queue.count || s->has_knocked || s->is_stopping ||
				   first_due(s) < due_ns);
}

static void run_tick(struct shard *s, struct tick *t, int64_t now_ns)
{
	begin_group(s);
	t->due_ns = INT64_MAX;
	shard_tick_by(t, t->run(t->arg, &s->group, now_ns));
	group_run_afters(&s->group, settle(s, 0, 0));
	group_clear(&s->group, 0);
}

static void run_ticks(struct shard *s)
{
	if (!s->ticks_taken)
		return;
	int64_t now_ns = clock_monotonic_ns(&s->broker->clock);
	for (struct tick *t = s->ticks_taken; t; t = t->next)
		if (t->due_ns <= now_ns)
			run_tick(s, t, now_ns);
}

static void *run(void *arg)
{
	struct shard *s = arg;

	pthread_setname_np(pthread_self(), "shard"); /* for top and perf */
	sched_run_briefly();
	while (take(s)) {
		run_ticks(s);
		if (s->taken_next < s->taken.count)
			run_group(s);
	}
	return NULL;
}

struct shard *shard_start(struct broker *b, uint64_t batch_index)
{
	struct shard *s = xcalloc(1, sizeof *s);
	pthread_condattr_t attr;

	s->broker = b;
	s->batch_index = batch_index;
	s->write_ns.first_bits = TALLY_NS_BITS;
	s->write_bytes.first_bits = 6;
	s->group_commands.first_bits = 1;
	s->tails.bytes_max = b->options.tail_bytes;
	group_init(&s->group, b->store);
	pthread_mutex_init(&s->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->arrived, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&s->room, NULL);
	/* Under the lock, so that the new thread finds its own id. */
	pthread_mutex_lock(&s->mtx);
	int failed = pthread_create(&s->thread, NULL, run, s);
	assert(!failed && "no thread for the shard");
	s->player = s->thread;
	pthread_mutex_unlock(&s->mtx);
	return s;
}

void shard_stop(struct shard *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mtx);
	s->is_stopping = true;
	unlock_and_wake(s, true);
	pthread_join(s->thread, NULL);

	group_fini(&s->group);
	tail_pool_fini(&s->tails);
	free(s->queue.items);
	free(s->taken.items);
	pthread_cond_destroy(&s->arrived);
	pthread_cond_destroy(&s->room);
	pthread_mutex_destroy(&s->mtx);
	free(s);
}

const char *shard_failure(struct shard *s)
{
	return atomic_load(&s->has_failed) ? s->failure.text : NULL;
}

void shard_stats(struct shard *s, struct broker_stats *out)
{
	*out = (struct broker_stats){
		.groups_written = atomic_load(&s->groups_written),
		.commands = atomic_load(&s->commands_done),
		.bytes_appended = atomic_load(&s->bytes_appended),
		.last_write_ns = atomic_load(&s->last_write_ns),
		.write_ns = &s->write_ns,
		.write_bytes = &s->write_bytes,
		.group_commands = &s->group_commands,
	};
}

bool shard_is_asleep(struct shard *s)
{
	pthread_mutex_lock(&s->mtx);
	bool is_asleep = s->is_idle;
	pthread_mutex_unlock(&s->mtx);
	return is_asleep;
}

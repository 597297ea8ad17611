/* store_rig.h - a server whose store a test can hold up, or make fail: beside server_rig.h.
 *
 * The store is the one in memory with some of its functions replaced; the seam is the table of functions.
 */
#ifndef TESTS_UNIT_SERVER_STORE_RIG_H
#define TESTS_UNIT_SERVER_STORE_RIG_H

#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "broker/core.h"
#include "server_rig.h"
#include "store/store_impl.h"

/* A place where one thread is held until the test lets it go on. */
struct gate {
	_Atomic(bool) is_shut;
	sem_t arrived, opened;
};

static struct store_ops ops;
static const struct store_ops *real_ops;
static struct gate commit_gate, read_gate;
static _Atomic(int) commits_left; /* before the store fails */

static void gate_init(struct gate *g)
{
	atomic_init(&g->is_shut, false);
	sem_init(&g->arrived, 0, 0);
	sem_init(&g->opened, 0, 0);
}

static void sem_await(sem_t *s)
{
	while (sem_wait(s))
		continue; /* EINTR */
}

static void gate_pass(struct gate *g)
{
	if (!atomic_exchange(&g->is_shut, false))
		return;
	sem_post(&g->arrived);
	sem_await(&g->opened);
}

/* The next one to come will be held. */
static inline void gate_shut(struct gate *g)
{
	atomic_store(&g->is_shut, true);
}

static inline void gate_wait(struct gate *g)
{
	sem_await(&g->arrived);
}

static inline void gate_open(struct gate *g)
{
	sem_post(&g->opened);
}

/* A disk that is slow enough for the shard's thread to wait for it, so that no network thread is held. */
static enum ks_err commit(struct store *s, struct store_write *w, bool sync, struct ks_why *why)
{
	gate_pass(&commit_gate);
	if (sync)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	if (atomic_fetch_sub(&commits_left, 1) <= 0)
		return ks_fail(why, ERR_IO, "the disk is on fire");
	return real_ops->commit(s, w, sync, why);
}

static struct store_iter *iter_new(struct store *s, enum store_cf cf, struct slice lower,
				   struct slice upper)
{
	gate_pass(&read_gate);
	return real_ops->iter_new(s, cf, lower, upper);
}

/* As rig_start. */
static inline void store_rig_start(struct rig *r)
{
	struct store *s = store_open_memory();

	gate_init(&commit_gate);
	gate_init(&read_gate);
	atomic_store(&commits_left, INT32_MAX);
	real_ops = s->ops;
	ops = *real_ops;
	ops.commit = commit;
	ops.iter_new = iter_new;
	s->ops = &ops;
	assert_ok(broker_open_store(&r->bo, s, &r->b, why));
	rig_serve(r);
}

#endif

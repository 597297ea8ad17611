/* loop.c - see loop.h. */
#include "server/loop.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sched.h"
#include "server/exchange_impl.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

/* The loop on whose behalf this thread runs. */
static _Thread_local const struct loop *current;

bool loop_is_current(const struct loop *l)
{
	return current == l;
}

static void push(struct loop *l, struct letter *letter)
{
	letter->next = NULL;
	*l->last = letter;
	l->last = &letter->next;
}

/* Under mtx. */
static struct letter *take_all(struct loop *l)
{
	struct letter *first = l->first;

	l->first = NULL;
	l->last = &l->first;
	return first;
}

static void deliver_all(struct letter *letter)
{
	while (letter) {
		struct letter *next = letter->next; /* who gets the letter may free it */
		letter->deliver(letter);
		letter = next;
	}
}

/* The loop's thread has ended: this one stands in for it. A reference keeps the server, and with it the lock, until it is
 * let go. */
static void deliver_late(struct loop *l, struct letter *letter)
{
	const struct loop *before = current;
	struct server *s = l->server;

	atomic_fetch_add(&s->refs, 1);
	current = l;
	letter->next = NULL;
	deliver_all(letter);
	current = before;
	pthread_mutex_unlock(&l->mtx);
	server_unref(s);
}

/* Without the lock: the loop's thread often runs at once, on this one's core, and would have to wait for it. For the same
 * reason not by uv_async_send, during which the loop spins. The loop stays until knocking is 0. */
static void knock(struct loop *l)
{
	eventfd_write(l->wake_fd, 1);
	atomic_fetch_sub(&l->knocking, 1);
}

void loop_post(struct loop *l, struct letter *letter)
{
	pthread_mutex_lock(&l->mtx);
	if (l->phase == LOOP_CLOSED) {
		deliver_late(l, letter);
		return;
	}
	/* One wake-up per burst. */
	bool knocks = !l->first && l->phase == LOOP_OPEN;
	push(l, letter);
	if (knocks)
		atomic_fetch_add(&l->knocking, 1);
	pthread_mutex_unlock(&l->mtx);
	if (knocks)
		knock(l);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
	struct loop *l = poll->data;
	eventfd_t count;

	(void)status;
	(void)events;
	eventfd_read(l->wake_fd, &count);
	pthread_mutex_lock(&l->mtx);
	struct letter *letters = take_all(l);
	pthread_mutex_unlock(&l->mtx);
	deliver_all(letters);
}

static void run_queued(struct loop *l)
{
	if (!l->has_queued)
		return;
	l->has_queued = false;
	broker_run_queued(l->server->options.broker);
}

static void flush_dirty(struct loop *l)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&l->dirty))) {
		TAILQ_REMOVE(&l->dirty, c, in_dirty);
		c->is_dirty = false;
		connection_flush(c);
	}
}

/* Appends carried out here make connections dirty, and one that was flushed may start a request that waited. */
static void on_before_sleep(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;

	do {
		run_queued(l);
		flush_dirty(l);
	} while (l->has_queued);
}

/* --- silence: who has not sent a first request in time, who has been quiet for too long --- */

static int64_t silence_due(const struct loop *l)
{
	const struct connection *fresh = TAILQ_FIRST(&l->fresh), *known = TAILQ_FIRST(&l->known);
	const struct server_options *o = &l->server->options;
	int64_t due = INT64_MAX;

	if (fresh)
		due = fresh->last_sign_ms + o->first_request_ms;
	if (known && known->last_sign_ms + o->idle_ms < due)
		due = known->last_sign_ms + o->idle_ms;
	return due;
}

void loop_watch_silence(struct loop *l)
{
	int64_t due = silence_due(l);

	if (due == INT64_MAX)
		loop_timer_clear(&l->timers, &l->silence_timer);
	else if (!l->silence_timer.place || l->silence_timer.due_ms > due)
		loop_timer_set(&l->timers, &l->silence_timer, due);
}

static void on_silence(struct loop_timer *t)
{
	struct loop *l = (struct loop *)((char *)t - offsetof(struct loop, silence_timer));
	const struct server_options *o = &l->server->options;
	int64_t now = loop_timers_now_ms(&l->timers);
	struct connection *c;

	while ((c = TAILQ_FIRST(&l->fresh)) && c->last_sign_ms + o->first_request_ms <= now)
		connection_close_silent(c);
	while ((c = TAILQ_FIRST(&l->known)) && c->last_sign_ms + o->idle_ms <= now)
		connection_close_silent(c);
	loop_watch_silence(l);
}

/* --- life --- */

static void *run(void *arg)
{
	struct loop *l = arg;

	current = l;
	pthread_setname_np(pthread_self(), "network"); /* for top and perf */
	sched_run_briefly();
	uv_run(&l->uv, UV_RUN_DEFAULT);
	current = NULL;
	return NULL;
}

enum ks_err loop_start(struct loop *l, struct server *s, struct ks_why *why)
{
	l->server = s;
	l->last = &l->first;
	TAILQ_INIT(&l->fresh);
	TAILQ_INIT(&l->known);
	TAILQ_INIT(&l->dirty);
	int failed = uv_loop_init(&l->uv);
	if (failed)
		return ks_fail(why, ERR_IO, "cannot make a network loop: %s", uv_strerror(failed));
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		uv_loop_close(&l->uv);
		return ks_fail(why, ERR_IO, "cannot make a network loop: %s", strerror(errno));
	}
	uv_poll_init(&l->uv, &l->wake, l->wake_fd);
	uv_poll_start(&l->wake, UV_READABLE, on_wake);
	l->wake.data = l;
	uv_prepare_init(&l->uv, &l->before_sleep);
	l->before_sleep.data = l;
	uv_prepare_start(&l->before_sleep, on_before_sleep);
	loop_timers_init(&l->timers, &l->uv);
	l->silence_timer.fire = on_silence;
	loop_init_shortage(l);
	pthread_mutex_init(&l->mtx, NULL);
	failed = pthread_create(&l->thread, NULL, run, l);
	assert(!failed && "no thread for a network loop");
	return ERR_NONE;
}

static void close_loop(struct loop *l, void *unused)
{
	struct connection *c;

	(void)unused;
	run_queued(l);
	while ((c = TAILQ_FIRST(&l->fresh)) || (c = TAILQ_FIRST(&l->known)))
		connection_kill(c);
	loop_timer_clear(&l->timers, &l->silence_timer);
	loop_timer_clear(&l->timers, &l->shortage_timer);
	if (l == l->server->loops)
		loop_timer_clear(&l->timers, &l->server->readers_timer);
	pthread_mutex_lock(&l->mtx);
	l->phase = LOOP_CLOSING;
	pthread_mutex_unlock(&l->mtx);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->before_sleep, NULL);
	uv_close((uv_handle_t *)&l->timers.uv, NULL);
}

void loop_stop(struct loop *l)
{
	loop_call(l, close_loop, NULL);
	pthread_join(l->thread, NULL);
	int busy = uv_loop_close(&l->uv);
	assert(!busy && "every handle was closed");
	while (atomic_load(&l->knocking))
		sched_yield(); /* for one write */
	close(l->wake_fd);

	current = l;
	pthread_mutex_lock(&l->mtx);
	deliver_all(take_all(l));
	l->phase = LOOP_CLOSED;
	pthread_mutex_unlock(&l->mtx);
	current = NULL;
}

void loop_fini(struct loop *l)
{
	loop_timers_fini(&l->timers);
	exchange_free_spares(l);
	metrics_fini(&l->metrics);
	pthread_mutex_destroy(&l->mtx);
}

struct loop_letter {
	struct letter letter;
	struct loop *loop;
	void (*call)(struct loop *l, void *arg);
	void *arg;
	sem_t done;
};

static void deliver_call(struct letter *letter)
{
	struct loop_letter *m = (struct loop_letter *)letter;

	m->call(m->loop, m->arg);
	sem_post(&m->done);
}

void loop_call(struct loop *l, void (*call)(struct loop *l, void *arg), void *arg)
{
	struct loop_letter m = {
		.letter.deliver = deliver_call, .loop = l, .call = call, .arg = arg};

	assert(!loop_is_current(l));
	sem_init(&m.done, 0, 0);
	loop_post(l, &m.letter);
	while (sem_wait(&m.done))
		continue; /* EINTR */
	sem_destroy(&m.done);
}

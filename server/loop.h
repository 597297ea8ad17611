/* loop.h - one network thread: a libuv loop, its connections, its deadlines, its letter box.
 *
 * All fields but those under mtx belong to the loop's thread. What changes a connection is gathered: answers
 * are written once per turn, just before the loop would sleep, so that a burst of them is one system call.
 *
 * After loop_stop letters are still taken, for the shard may finish a request long after its connection has
 * gone: they are delivered on the thread that posts them, one at a time, and find every connection dead.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/err.h"
#include "server/letter.h"
#include "server/metrics.h"
#include "server/timers.h"

struct connection;
struct exchange;
struct server;

#define LOOP_SCRATCH_BYTES 16384

TAILQ_HEAD(connections, connection);

enum loop_phase {
	LOOP_OPEN,
	LOOP_CLOSING, /* letters are kept for loop_stop */
	LOOP_CLOSED,  /* letters are delivered where they are posted */
};

struct loop {
	struct server *server;
	pthread_t thread;

	uv_loop_t uv;
	uv_poll_t wake; /* wake_fd: an eventfd that says that there are letters */
	int wake_fd;
	uv_prepare_t before_sleep;
	struct loop_timers timers;
	struct loop_timer silence_timer, shortage_timer;

	/* Those that have not sent a request yet, in the order of arrival, and the others, in the order of the last sign of
	 * life. */
	struct connections fresh, known;
	struct connections dirty; /* they have answers to write */
	bool has_queued;          /* in the shard's queue, and nobody was told */

	struct exchange *spare; /* with their memory, for the next requests */
	int spare_count;

	struct loop_metrics metrics;

	uint8_t scratch[LOOP_SCRATCH_BYTES];

	struct letter slow_letter, hurry_letter;
	_Atomic(bool) is_slow_posted, is_hurry_posted; /* shared */
	int64_t shortage_ms; /* when the slow were looked for last, or the shortage began */

	/* shared, under mtx */
	pthread_mutex_t mtx;
	struct letter *first, **last;
	enum loop_phase phase;

	_Atomic(int) knocking; /* shared: those who posted and are about to say so */
};

/* In place; its thread starts at once. ERR_IO: no thread or no file descriptors. */
enum ks_err loop_start(struct loop *l, struct server *s, struct ks_why *why);
/* Kills what connections are left, ends the thread. */
void loop_stop(struct loop *l);
/* Frees what is left; nothing is posted any more. */
void loop_fini(struct loop *l);

/* From any thread: delivers the letter on the loop's, once. */
void loop_post(struct loop *l, struct letter *letter);
/* Runs call(l, arg) on the loop's thread, which is not this one, and waits for it. */
void loop_call(struct loop *l, void (*call)(struct loop *l, void *arg), void *arg);
/* Whether this is the loop's thread. */
bool loop_is_current(const struct loop *l);

#endif

/* fetch.c - Fetch: which partitions, waiting for records, the answer's moment. See fetch.h.
 *
 *            +--------------- not enough yet ---------------+
 *            v                                              |
 *   begin -> PARKED --a log grew--> RUNNING: memory, read --+--> answer
 *            |                       |  ^
 *            |                       v  |
 *            |                    STARVED: no memory for the answer
 *            +--max_wait, or the peer has gone--> answer with whatever there is
 *
 * A parked fetch costs nothing until a partition of its grows: the shard's callback posts a letter to the loop. The
 * letter lies in the fetch, so a fetch whose letter is on its way does not end before it has come.
 */
#include "server/fetch.h"

#include "base/seeded.h"
#include "server/handlers.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

/* An answer of less is not worth waiting for memory. */
#define ROOM_LEAST_BYTES (1024 * 1024)

static struct loop_timers *timers_of(struct fetch *f)
{
	return &f->x->connection->loop->timers;
}

/* --- the end --- */

static void release(struct exchange *x)
{
	struct fetch *f = x->state;

	fetch_unread(f);
	fetch_session_unref(x->server->sessions, f->session);
	f->session = NULL;
}

/* Takes back what was taken too much, keeps what the answer holds until it has been sent. */
static void settle_room(struct fetch *f)
{
	struct pool *pool = &f->x->server->answer_memory;

	if (f->bytes < f->room)
		pool_give(pool, f->room - f->bytes);
	else if (f->bytes > f->room)
		pool_take_anyway(pool, f->bytes - f->room);
	f->room = 0;
	f->x->lent_bytes = f->bytes;
}

static void end(struct fetch *f)
{
	f->state = FETCH_ENDING;
	f->x->cancel = NULL;
	loop_timer_clear(timers_of(f), &f->timer);
	waiter_free(f->waiter); /* no further letter is posted */
	f->waiter = NULL;
	if (atomic_load(&f->is_wake_posted))
		return;
	settle_room(f);
	fetch_answer(f);
	exchange_reply(f->x);
}

/* --- waiting for records --- */

/* On the shard's thread, under a partition's lock. */
static void on_grown(void *arg)
{
	struct fetch *f = arg;

	if (!atomic_exchange(&f->is_wake_posted, true))
		loop_post(f->x->connection->loop, &f->wake_letter);
}

static bool is_enough(const struct fetch *f, uint64_t bytes)
{
	return bytes >= f->bytes_min || f->is_late || f->is_cancelled;
}

/* To be asked after the waiter was armed: what comes later wakes it. */
static bool has_news(const struct fetch *f)
{
	return is_enough(f, f->parked_bytes + fetch_growth(f)) || fetch_lost_topic(f);
}

/* Gives back what was read, which is too little, and waits for more; false: it has come meanwhile. */
static bool park(struct fetch *f)
{
	f->parked_bytes = f->bytes;
	fetch_unread(f);
	settle_room(f);
	if (!f->waiter) {
		exchange_charge(f->x);
		f->waiter = waiter_new_callback(on_grown, f);
		for (size_t i = 0; i < f->count; i++)
			if (f->parts[i].partition)
				waiter_watch(f->waiter, f->parts[i].partition);
	}
	waiter_arm(f->waiter);
	if (has_news(f))
		return false;
	f->state = FETCH_PARKED;
	return true;
}

/* --- running --- */

static bool is_done(const struct fetch *f)
{
	return f->has_failed || !f->readable || is_enough(f, f->bytes) ||
	       (f->room && f->bytes >= f->room) || fetch_is_cut_short(f);
}

static void back_from_worker(struct exchange *x);

static void read_on_worker(struct exchange *x)
{
	fetch_read(x->state, true);
}

/* false: it stands in line for memory. */
static bool take_room(struct fetch *f)
{
	size_t least = f->bytes_max < ROOM_LEAST_BYTES ? f->bytes_max : ROOM_LEAST_BYTES;

	if (f->room)
		return true;
	f->state = FETCH_STARVED;
	f->room = pool_take_some(&f->x->server->answer_memory, &f->memory, least, f->bytes_max);
	if (!f->room) {
		loop_watch_shortage(f->x->connection->loop);
		return false;
	}
	f->state = FETCH_RUNNING;
	return true;
}

/* Looks, reads if there is something, and answers, or waits. must_look: reads anyway. */
static void run(struct fetch *f, bool must_look)
{
	do {
		f->state = FETCH_RUNNING;
		if (!f->is_cancelled && (fetch_has_something(f) || must_look)) {
			if (!take_room(f))
				return;
			if (!fetch_read(f, false)) {
				exchange_offload_and_return(f->x, read_on_worker, back_from_worker);
				return;
			}
		}
		if (is_done(f)) {
			end(f);
			return;
		}
		must_look = false;
	} while (!park(f));
}

static void back_from_worker(struct exchange *x)
{
	struct fetch *f = x->state;

	if (is_done(f))
		end(f);
	else if (!park(f))
		run(f, false);
}

/* --- what wakes it --- */

static void on_wake(struct letter *l)
{
	struct fetch *f = (struct fetch *)((char *)l - offsetof(struct fetch, wake_letter));

	atomic_store(&f->is_wake_posted, false);
	if (f->state == FETCH_ENDING) {
		end(f);
		return;
	}
	if (f->state != FETCH_PARKED)
		return;
	waiter_arm(f->waiter);
	if (has_news(f))
		run(f, false);
}

static void on_memory(struct letter *l)
{
	struct fetch *f = (struct fetch *)((char *)l - offsetof(struct fetch, memory_letter));

	f->room = f->memory.bytes;
	run(f, true);
}

/* Under the pool's lock. */
static void on_granted(struct pool_waiter *w)
{
	struct fetch *f = (struct fetch *)((char *)w - offsetof(struct fetch, memory));
	loop_post(f->x->connection->loop, &f->memory_letter);
}

/* It has waited long enough, or nobody waits for it any more. */
static void hurry(struct fetch *f)
{
	if (f->state == FETCH_PARKED)
		run(f, false);
	else if (f->state == FETCH_STARVED && pool_leave(&f->x->server->answer_memory, &f->memory))
		end(f);
	/* Otherwise a worker comes back, or a letter comes. */
}

static void on_late(struct loop_timer *t)
{
	struct fetch *f = (struct fetch *)((char *)t - offsetof(struct fetch, timer));

	f->is_late = true;
	hurry(f);
}

static void on_cancel(struct exchange *x)
{
	struct fetch *f = x->state;

	f->is_cancelled = true;
	hurry(f);
}

/* --- the beginning --- */

static void set_bounds(struct fetch *f, const struct fetch_request *request)
{
	size_t wanted = 0, max = f->x->server->options.fetch_bytes_max;

	for (size_t i = 0; i < f->count; i++) {
		if (!f->parts[i].partition)
			continue;
		f->readable++;
		wanted += f->parts[i].max_bytes > 0 ? (size_t)f->parts[i].max_bytes : 0;
	}
	if (max > wanted)
		max = wanted;
	if (request->max_bytes < 0)
		max = 0;
	else if (max > (size_t)request->max_bytes)
		max = (size_t)request->max_bytes;
	/* Even with a limit of nothing the first batch is sent. */
	f->bytes_max = max ? max : 1;
	f->bytes_min = request->min_bytes > 0 ? (size_t)request->min_bytes : 0;
	if (f->bytes_min > f->bytes_max)
		f->bytes_min = f->bytes_max;
	f->is_late = request->max_wait_ms <= 0;
}

void handle_fetch(struct exchange *x, const struct fetch_request *request,
		  struct fetch_response *response)
{
	struct fetch *f = exchange_alloc(x, 1, sizeof *f);

	(void)response;
	f->x = x;
	f->is_committed = request->isolation_level != 0 || KS_SEEDED_BUG(1061);
	f->timer.fire = on_late;
	f->memory.granted = on_granted;
	f->memory_letter.deliver = on_memory;
	f->wake_letter.deliver = on_wake;
	x->state = f;
	x->after = release;
	x->cancel = on_cancel;
	fetch_unify(f, (struct fetch_request *)(uintptr_t)request); /* it lies in x's arena */
	fetch_plan(f, request);
	set_bounds(f, request);
	if (!f->is_late)
		loop_timer_set(timers_of(f), &f->timer,
			       loop_timers_now_ms(timers_of(f)) + request->max_wait_ms);
	run(f, false);
}

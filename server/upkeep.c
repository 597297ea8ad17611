/* upkeep.c - what a server does now and then, and only when there is something to do: closing the slow when memory is
 * short, freeing readers that wait for nobody, keeping the log short.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

/* --- memory is short: who holds some of it has to move on ---
 *
 * A peer that sends half a request, or reads no answer, holds memory for as long as it likes. Nobody minds until
 * others wait for that memory. From then on each connection that holds some has to move SLOW_BYTES in slow_ms.
 * Requests that wait hold memory, too: they are answered with what there is, those that hold much of it at once. */

#define SLOW_BYTES  65536
#define HURRY_MS    100 /* between two looks for those that hold much */
#define HURRY_BYTES 65536

static bool is_short(struct server *s)
{
	return pool_is_short(&s->request_memory) || pool_is_short(&s->answer_memory);
}

static bool holds_memory(const struct connection *c)
{
	return !c->is_short_of_memory && (c->frame || c->answer_bytes);
}

static void check_one(struct connection *c, int64_t now, int64_t slow_ms)
{
	if (now - c->checked_ms < slow_ms) /* each loop wants a look, and another's was not long ago */
		return;
	/* What a look of an earlier shortage saw says nothing. */
	uint64_t before = now - c->checked_ms <= 3 * slow_ms ? c->checked_bytes : 0;

	c->checked_bytes = holds_memory(c) ? c->progress_bytes : 0;
	c->checked_ms = now;
	if (before && c->checked_bytes && c->progress_bytes - before < SLOW_BYTES)
		connection_refuse(c, "it is slow and holds memory that others wait for");
}

static void on_check_slow(struct letter *letter)
{
	struct loop *l = (struct loop *)((char *)letter - offsetof(struct loop, slow_letter));
	struct connection *c, *next;

	int64_t now = loop_timers_now_ms(&l->timers);

	atomic_store(&l->is_slow_posted, false);
	for (c = TAILQ_FIRST(&l->known); c; c = next) {
		next = TAILQ_NEXT(c, in_loop);
		connection_hurry(c);
		check_one(c, now, l->server->options.slow_ms);
	}
}

static void on_hurry(struct letter *letter)
{
	struct loop *l = (struct loop *)((char *)letter - offsetof(struct loop, hurry_letter));
	struct connection *c;

	atomic_store(&l->is_hurry_posted, false);
	TAILQ_FOREACH(c, &l->known, in_loop)
	{
		if (c->request_bytes >= HURRY_BYTES)
			connection_hurry(c);
	}
}

static void hurry_all(struct server *s)
{
	if (!pool_is_short(&s->request_memory))
		return;
	for (int i = 0; i < s->loop_count; i++)
		if (!atomic_exchange(&s->loops[i].is_hurry_posted, true))
			loop_post(&s->loops[i], &s->loops[i].hurry_letter);
}

static void check_slow_all(struct server *s)
{
	for (int i = 0; i < s->loop_count; i++)
		if (!atomic_exchange(&s->loops[i].is_slow_posted, true))
			loop_post(&s->loops[i], &s->loops[i].slow_letter);
}

static void on_shortage(struct loop_timer *t)
{
	struct loop *l = (struct loop *)((char *)t - offsetof(struct loop, shortage_timer));
	struct server *s = l->server;
	int64_t now = loop_timers_now_ms(&l->timers);

	if (!is_short(s))
		return;
	hurry_all(s);
	if (now - l->shortage_ms >= s->options.slow_ms) {
		check_slow_all(s);
		l->shortage_ms = now;
	}
	loop_watch_shortage(l);
}

void loop_watch_shortage(struct loop *l)
{
	int64_t now = loop_timers_now_ms(&l->timers), slow_ms = l->server->options.slow_ms;

	if (l->shortage_timer.place || l->phase != LOOP_OPEN)
		return;
	if (now - l->shortage_ms > 2 * slow_ms) /* a new one */
		l->shortage_ms = now;
	loop_timer_set(&l->timers, &l->shortage_timer,
		       now + (slow_ms < HURRY_MS ? slow_ms : HURRY_MS));
}

void loop_init_shortage(struct loop *l)
{
	l->shortage_ms = INT64_MIN / 2; /* never: the machine may have started a moment ago */
	l->shortage_timer.fire = on_shortage;
	l->slow_letter.deliver = on_check_slow;
	l->hurry_letter.deliver = on_hurry;
}

/* --- readers --- */

#define READER_KEEP_MS 3000

static int64_t now_ms(struct server *s)
{
	return clock_monotonic_ns(broker_clock(s->options.broker)) / 1000000;
}

static struct server *server_of(void *member, size_t offset)
{
	return (struct server *)((char *)member - offset);
}

/* On a worker. */
static void expire(struct job *j)
{
	struct server *s = server_of(j, offsetof(struct server, readers_job));
	bool is_any_left = readers_expire(s->readers, now_ms(s) - READER_KEEP_MS) != INT64_MAX;

	atomic_store(&s->is_expiring, false);
	if (is_any_left)
		server_expire_readers(s);
}

static void on_readers_timer(struct loop_timer *t)
{
	struct server *s = server_of(t, offsetof(struct server, readers_timer));
	workers_submit(s->workers, &s->readers_job);
}

static void on_readers_letter(struct letter *letter)
{
	struct server *s = server_of(letter, offsetof(struct server, readers_letter));
	struct loop *l = &s->loops[0];

	if (l->phase == LOOP_OPEN)
		loop_timer_set(&l->timers, &s->readers_timer,
			       loop_timers_now_ms(&l->timers) + READER_KEEP_MS);
}

void server_expire_readers(struct server *s)
{
	if (!atomic_exchange(&s->is_expiring, true))
		loop_post(&s->loops[0], &s->readers_letter);
}

void server_init_upkeep(struct server *s)
{
	s->readers_letter.deliver = on_readers_letter;
	s->readers_timer.fire = on_readers_timer;
	s->readers_job.run = expire;
}

/* --- the log --- */

#define LOG_FIELDS 8

static void log_within_limit(struct server *s, const struct log_field *fields, size_t count,
			     const char *text)
{
	struct log_field all[LOG_FIELDS];
	uint32_t missed;

	assert(count < LOG_FIELDS);
	if (!log_limit_pass(&s->log_limit, clock_monotonic_ns(broker_clock(s->options.broker)),
			    &missed))
		return;
	if (count)
		memcpy(all, fields, count * sizeof *fields);
	if (missed)
		all[count++] = (struct log_field)LOG_NUMBER("left_out", missed);
	log_write_fields(LOG_INFO, "server", all, count, "%s", text);
}

void server_log(struct server *s, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_within_limit(s, NULL, 0, text);
}

void server_log_fields(struct server *s, const struct log_field *fields, size_t count,
		       const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_within_limit(s, fields, count, text);
}

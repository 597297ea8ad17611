/* failure.c - one record through one pipeline: attempts, roll back, retries, and what becomes of a record that fails.
 *
 *     attempt ──ok──────────────────────────────────────> next record
 *        │ error: outputs and state of this record are rolled back
 *        ├── tries left, and another try may end otherwise ──> wait, attempt
 *        ├── skip ────────────────────────────────────────────> next record
 *        ├── dead_letter: its bytes go to the topic, in this step ─> next record
 *        └── fail_job: what came before is committed, the job stops
 *
 * When the job stops, whether by this record or while it waits for its next try, the record has not been processed: what
 * other feeds have made of it is taken back, too.
 *
 * Errors of the storage and of the job's session are no record's fault: they are final at once.
 */
#include "streams/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "streams/excerpt.h"
#include "streams/time_text.h"
#include "wire/checksum.h"

#define WARNINGS_EVERY_MS 1000

enum ks_err fail(struct task *t, const struct node *n, enum ks_err err, const char *format, ...)
{
	struct failure *f = &t->thread->failure;
	va_list args;

	if (f->e.err)
		return f->e.err;
	f->e.err = err;
	f->e.where[0] = f->e.function[0] = f->e.traceback[0] = 0;
	f->step = n ? n->step : NULL;
	if (n)
		snprintf(f->e.where, sizeof f->e.where, "%s", n->step->where);
	va_start(args, format);
	vsnprintf(f->e.message, sizeof f->e.message, format, args);
	va_end(args);
	return err;
}

enum ks_err fail_script(struct task *t, const struct node *n, enum ks_err err)
{
	struct failure *f = &t->thread->failure;

	if (f->e.err)
		return f->e.err;
	f->e = t->thread->script_error;
	f->e.err = err;
	if (!f->e.where[0])
		snprintf(f->e.where, sizeof f->e.where, "%s", n->step->where);
	f->step = n->step;
	return err;
}

/* Whether the record is to blame, so that its policy decides. */
static bool is_of_record(enum ks_err err)
{
	switch (err) {
	case ERR_SCRIPT:
	case ERR_BUDGET:
	case ERR_DECODE:
	case ERR_ENCODE:
	case ERR_TOO_LARGE:
	case ERR_MALFORMED:
	case ERR_MESSAGE_TOO_LARGE:
	case ERR_INVALID_ARGUMENT:
	case ERR_INVALID_TOPIC_EXCEPTION:
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
		return true;
	default:
		return false;
	}
}

/* Bytes that do not decode today do not decode tomorrow. */
static bool may_end_otherwise(enum ks_err err)
{
	return err == ERR_SCRIPT || err == ERR_BUDGET || err == ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* --- the record as the operator sees it --- */

static void describe(struct thread *th, const struct input *in, const struct feed *f,
		     const struct record *r, struct buf *out)
{
	const struct script_error *e = &th->failure.e;
	const struct flow *flow = f->pipe->piece->flow;
	const struct step *s = th->failure.step;

	if (e->where[0])
		buf_printf(out, "%s: ", e->where);
	buf_printf(out, "%s", e->message);
	if (e->function[0])
		buf_printf(out, "   in '%s'", e->function);
	buf_append_str(out, "\n");
	if (e->where[0])
		excerpt_source(out, th->engine->job->script_path, e->where, NULL, NULL);
	buf_printf(out, "  at %s[%d]@%lld  key=", in->topic->name, in->partition,
		   (long long)r->offset);
	excerpt_bytes(out, r->key, 64);
	buf_append_str(out, "  value=");
	excerpt_bytes(out, r->value, 160);
	buf_printf(out, "\n  in flow %s, ", flow->name);
	if (s)
		buf_printf(out, "step %s (%s)", step_kind_name(s->kind), s->where);
	else
		buf_append_str(out, "decoding the record");
	if (e->traceback[0])
		buf_printf(out, "\n%s", e->traceback);
}

static enum ks_err give_up(struct thread *th, const struct input *in, const struct feed *f,
			   const struct record *r)
{
	buf_clear(&th->encoded);
	describe(th, in, f, r, &th->encoded);
	th->has_failed = true;
	th->err = is_of_record(th->failure.e.err) ? ERR_SCRIPT : th->failure.e.err;
	snprintf(th->why.text, sizeof th->why.text, "%s", buf_cstr(&th->encoded));
	return th->err;
}

/* One line a second at most, with the number of those that were held back. */
static void warn(struct thread *th, const struct input *in, const struct record *r,
		 const char *what)
{
	int64_t now = clock_now_ms(&clock_real);

	if (now - th->warned_ms < WARNINGS_EVERY_MS) {
		th->warnings_held++;
		return;
	}
	char more[64] = "";
	if (th->warnings_held)
		snprintf(more, sizeof more, " (and %llu more since the last line)",
			 (unsigned long long)th->warnings_held);
	log_warn("job", "%s: %s[%d]@%lld %s: %s%s%s%s", th->engine->job->name, in->topic->name,
		 in->partition, (long long)r->offset, what, th->failure.e.where,
		 th->failure.e.where[0] ? ": " : "", th->failure.e.message, more);
	th->warned_ms = now;
	th->warnings_held = 0;
}

/* --- dead letters --- */

/* Names as Kafka Streams has them since 4.2 (KIP-1034); all values are text. */
static int32_t append_headers(struct thread *th, const struct input *in, const struct record *r,
			      bool with_traceback)
{
	const struct script_error *e = &th->failure.e;
	struct buf *h = &th->headers, *text = &th->encoded;
	char number[24];

	buf_clear(h);
	buf_append(h, r->headers.data, r->headers.len);
	record_header_append(h, slice_str("__streams.errors.exception"),
			     slice_str(ks_err_name(e->err)));
	if (with_traceback)
		record_header_append(h, slice_str("__streams.errors.stacktrace"),
				     slice_str(e->traceback));
	buf_clear(text);
	buf_printf(text, "%s%s%s", e->where, e->where[0] ? ": " : "", e->message);
	record_header_append(h, slice_str("__streams.errors.message"), buf_slice(text));
	record_header_append(h, slice_str("__streams.errors.topic"), slice_str(in->topic->name));
	snprintf(number, sizeof number, "%d", in->partition);
	record_header_append(h, slice_str("__streams.errors.partition"), slice_str(number));
	snprintf(number, sizeof number, "%lld", (long long)r->offset);
	record_header_append(h, slice_str("__streams.errors.offset"), slice_str(number));
	return r->header_count + (with_traceback ? 6 : 5);
}

static enum ks_err dead_letter(struct thread *th, const struct input *in, const char *topic,
			       const struct record *r)
{
	struct ks_why why = {""};
	struct sink *sink;
	enum ks_err err = thread_sink(th, topic, &sink, &why);

	for (int with_traceback = 1; !err && with_traceback >= 0; with_traceback--) {
		int32_t count = append_headers(th, in, r, with_traceback);
		struct sink_record out = {
			.timestamp = r->timestamp,
			.key = r->key,
			.value = r->value,
			.headers = buf_slice(&th->headers),
			.header_count = count,
		};
		int32_t n = sink->topic->partitions;
		int32_t p = r->key.data ? murmur2_partition(r->key.data, r->key.len, n)
					: in->partition % n;
		sinks_begin_attempt(&th->sinks);
		err = sinks_put(&th->sinks, sink, p, &out);
		if (!err)
			return ERR_NONE;
		if (err == ERR_INVALID_RECORD)
			ks_fail(&why, err, "it has no key, and that topic is compacted");
		else
			ks_fail(&why, err, "it is over max.message.bytes (%zu)",
				sink->topic->batch_bytes_max);
		err = ERR_NONE;
	}
	size_t n = strlen(th->failure.e.message);
	snprintf(th->failure.e.message + n, sizeof th->failure.e.message - n,
		 "; and it cannot be written to the dead letters %s: %s", topic, why.text);
	return ERR_MESSAGE_TOO_LARGE;
}

static enum ks_err apply_policy(struct thread *th, const struct input *in, const struct feed *f,
				const struct record *r)
{
	const struct error_policy *p = f->pipe->policy;

	if (!is_of_record(th->failure.e.err) || !p->is_set || p->action == ERROR_FAIL_JOB)
		return give_up(th, in, f, r);
	if (p->action == ERROR_SKIP) {
		atomic_fetch_add_explicit(&th->skipped, 1, memory_order_relaxed);
		warn(th, in, r, "skipped");
		return ERR_NONE;
	}
	if (dead_letter(th, in, p->dead_letter_topic, r))
		return give_up(th, in, f, r);
	atomic_fetch_add_explicit(&th->dead_lettered, 1, memory_order_relaxed);
	warn(th, in, r, "dead-lettered");
	return ERR_NONE;
}

/* --- attempts --- */

/* Event time: milliseconds, or ISO text. */
static enum ks_err event_time(struct task *t, const struct pipeline *p, struct rec *r)
{
	struct record_context *c = &t->thread->ctx;
	struct ks_why why = {""};
	struct datum d;
	bool found;
	enum ks_err err = datum_path(c, &r->value, p->time_path, &d, &found, &why);

	if (err)
		return fail(t, NULL, err, "event time: %s", why.text);
	if (!found)
		return fail(t, NULL, ERR_DECODE, "event time: \"%s\" is missing",
			    p->piece->flow->time_path);
	if (d.kind == DATUM_F64 && d.f64 > -9e15 && d.f64 < 9e15)
		d = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)d.f64};
	if (d.kind == DATUM_I64)
		r->timestamp = d.i64;
	else if (d.kind != DATUM_STRING || !time_from_iso(d.bytes, &r->timestamp))
		return fail(t, NULL, ERR_DECODE,
			    "event time: \"%s\" is neither milliseconds nor a time like "
			    "2024-05-01T12:00:00Z",
			    p->piece->flow->time_path);
	return ERR_NONE;
}

static enum ks_err attempt(struct task *t, struct input *in, struct feed *f, const struct record *r)
{
	struct thread *th = t->thread;
	struct pipeline *p = f->pipe;
	struct ks_why why;
	struct rec rec; /* key and value come from datum_decode */

	rec.timestamp = r->timestamp;
	rec.headers = r->headers;
	rec.header_count = r->header_count;
	rec.topic = in->topic->name;
	rec.partition = in->partition;
	rec.offset = r->offset;
	arena_reset(&th->arena);
	sinks_begin_attempt(&th->sinks);
	undo_begin_attempt(&th->undo);
	th->failure.e.err = ERR_NONE;
	enum ks_err err = datum_decode(f->key_serde, r->key, &rec.key, &why);
	if (err)
		return fail(t, NULL, err, "key: %s", why.text);
	err = datum_decode(f->value_serde, r->value, &rec.value, &why);
	if (err)
		return fail(t, NULL, err, "value: %s", why.text);
	if (p->time_path) {
		err = event_time(t, p, &rec);
		if (err)
			return err;
	}
	if (rec.timestamp > p->stream_time)
		p->stream_time = rec.timestamp;
	if (p->needs_script)
		th->script->ops->begin_record(th->script, &rec, &th->ctx);
	err = p->first ? p->first->process(t, p->first, &rec) : ERR_NONE;
	return err ? err : th->failure.e.err; /* a script may have swallowed it */
}

static void wait_before_retry(struct thread *th, int64_t ms)
{
	const struct backend_ops *ops = th->engine->backend->ops;
	int64_t until = clock_monotonic_ns(&clock_real) + ms * 1000000;

	while (!atomic_load(&th->engine->is_stopping)) {
		uint64_t ticket = ops->ticket(th->waiter);
		int64_t left = until - clock_monotonic_ns(&clock_real);
		if (left <= 0)
			return;
		ops->wait(th->waiter, ticket, (int)(left / 1000000 + 1));
	}
}

enum ks_err feed_record(struct task *t, struct input *in, struct feed *f, const struct record *r)
{
	struct thread *th = t->thread;
	const struct error_policy *p = f->pipe->policy;

	f->pipe->time_before = f->pipe->stream_time;
	for (int tries = p->is_set ? p->retry_times : 0;; tries--) {
		enum ks_err err = attempt(t, in, f, r);
		if (!err)
			return ERR_NONE;
		sinks_rollback(&th->sinks);
		undo_apply(&th->undo);
		f->pipe->stream_time = f->pipe->time_before;
		if (tries <= 0 || !may_end_otherwise(err))
			return apply_policy(th, in, f, r);
		wait_before_retry(th, p->retry_backoff_ms);
		if (atomic_load(&th->engine->is_stopping))
			return ERR_CLOSED; /* its tries are not used up: the next start begins anew */
	}
}

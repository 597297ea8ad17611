/* exchange.c - see exchange.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/exchange_impl.h"
#include "server/server_impl.h"

#define ARENA_FIRST_BYTES  4096
/* What a decoded request may take: this, and so much for each of its bytes. */
#define ARENA_BYTES        (1024 * 1024)
#define ARENA_PER_BYTE     8
#define ARENA_BYTES_MAX    (16 * 1024 * 1024)
/* Less is not counted until the request has to wait. */
#define ARENA_BYTES_FREE   65536
/* A used exchange keeps at most this much for the next. */
#define SPARE_MAX          64
#define SPARE_ARENA_BYTES  (256 * 1024)
#define SPARE_ANSWER_BYTES 65536

static struct loop *loop_of(const struct exchange *x)
{
	return x->connection->loop;
}

static struct exchange *from_letter(struct letter *l, size_t offset)
{
	return (struct exchange *)((char *)l - offset);
}

/* --- life --- */

static struct exchange *take_spare(struct loop *l)
{
	struct exchange *x = l->spare;

	if (!x) {
		x = xcalloc(1, sizeof *x);
		x->arena.first_block_bytes = ARENA_FIRST_BYTES;
		return x;
	}
	l->spare = x->next;
	l->spare_count--;
	x->next = NULL;
	return x;
}

static void free_now(struct exchange *x)
{
	arena_fini(&x->arena);
	wire_out_fini(&x->out);
	free(x);
}

void exchange_free_spares(struct loop *l)
{
	while (l->spare)
		free_now(take_spare(l));
}

/* What the request held; the answer stands on its own. */
static void release_request(struct exchange *x)
{
	if (!x->frame)
		return;
	frame_unref(x->frame);
	x->frame = NULL;
	pool_give(&x->server->request_memory, x->charged_bytes);
	x->connection->request_bytes -= x->charged_bytes;
	x->charged_bytes = 0;
	if (x->memory_pool)
		exchange_keep_memory(x, 0);
	if (x->arena.total_bytes > SPARE_ARENA_BYTES)
		arena_fini(&x->arena);
	else
		arena_reset(&x->arena);
	x->request = x->response = x->state = NULL;
}

static void run_after(struct exchange *x)
{
	void (*after)(struct exchange *) = x->after;

	x->after = NULL;
	if (after)
		after(x);
}

void exchange_give_room(struct exchange *x)
{
	if (x->room_bytes)
		pool_give(&x->server->answer_memory, x->room_bytes);
	x->room_bytes = 0;
}

void exchange_free(struct exchange *x)
{
	struct loop *l = loop_of(x);

	run_after(x);
	release_request(x);
	exchange_give_room(x);
	if (x->lent_bytes)
		pool_give(&x->server->answer_memory, x->lent_bytes);
	free(x->complaint);
	wire_out_clear(&x->out);
	if (l->spare_count >= SPARE_MAX || x->out.bytes.cap > SPARE_ANSWER_BYTES) {
		free_now(x);
		return;
	}
	*x = (struct exchange){.arena = x->arena, .out = x->out, .next = l->spare};
	l->spare = x;
	l->spare_count++;
}

/* --- the end: on whatever thread, then on the loop's --- */

static void encode(struct exchange *x)
{
	const struct wire_api *api = x->api;
	int16_t version = x->header.api_version;
	struct wire_mark start =
		response_header_write(&x->out, api, version, x->header.correlation_id);

	wire_write(&x->out, api->response(), x->response, version, api->first_flexible);
	message_finish(&x->out, start);
	x->is_encoded = true;
	run_after(x);
}

static void log_request(const struct exchange *x, int64_t took_ns)
{
	const struct wire_out *out = &x->out;
	const struct log_field fields[] = {
		LOG_STRING("client", x->connection->peer + 1),
		LOG_SLICE("client_id", x->header.client_id),
		LOG_STRING("api", x->api->name),
		LOG_NUMBER("version", x->header.api_version),
		LOG_NUMBER("correlation_id", x->header.correlation_id),
		LOG_NUMBER("request_bytes", (int64_t)x->frame->len + 4),
		LOG_NUMBER("response_bytes", (int64_t)out->total),
		LOG_NUMBER("us", took_ns / 1000),
		LOG_SLICE("error", out->error_count ? slice_str(ks_err_name(
							      (enum ks_err)out->errors[0].code))
						    : SLICE_NULL),
	};

	log_write_fields(LOG_DEBUG, "server", fields, sizeof fields / sizeof *fields, "request%s",
			 x->is_aborted  ? " aborted"
			 : x->is_silent ? " without an answer"
					: "");
}

/* While the request is still there. What was none counts among the refused connections. */
static void take_note(const struct exchange *x)
{
	if (x->refusal)
		return;
	int64_t now_ns = clock_monotonic_ns(broker_clock(x->server->options.broker));

	metrics_exchange(&loop_of(x)->metrics, x, now_ns);
	if (log_is_on(LOG_DEBUG))
		log_request(x, now_ns - x->received_ns);
}

static void finish(struct exchange *x)
{
	struct connection *c = x->connection;

	x->cancel = NULL;
	if (!x->is_encoded && !x->is_silent && !x->is_aborted && !c->is_dead)
		encode(x);
	take_note(x);
	run_after(x);
	release_request(x);
	connection_answered(c, x);
}

static void on_reply(struct letter *l)
{
	finish(from_letter(l, offsetof(struct exchange, reply_letter)));
}

static void end(struct exchange *x)
{
	assert(!x->is_answered && "one answer to one request");
	if (loop_is_current(loop_of(x))) {
		finish(x);
		return;
	}
	x->reply_letter.deliver = on_reply;
	loop_post(loop_of(x), &x->reply_letter);
}

void exchange_reply(struct exchange *x)
{
	if (workers_is_current() && !loop_is_current(loop_of(x)))
		encode(x);
	end(x);
}

void exchange_finish_silently(struct exchange *x)
{
	x->is_silent = true;
	end(x);
}

void exchange_abort(struct exchange *x, const char *why)
{
	size_t len = strlen(why) + 1;

	/* The arena goes before the complaint is read. */
	x->complaint = memcpy(xmalloc(len), why, len);
	x->is_aborted = true;
	end(x);
}

/* --- elsewhere --- */

static void on_work_done(struct letter *l)
{
	struct exchange *x = from_letter(l, offsetof(struct exchange, offload_letter));
	void (*back)(struct exchange *) = x->back;

	x->back = NULL;
	connection_unblocked(x->connection, x);
	if (back) /* else it may be gone */
		back(x);
}

static void run_work(struct job *j)
{
	struct exchange *x = (struct exchange *)((char *)j - offsetof(struct exchange, job));

	x->work(x);
	/* It may have been answered, even sent; it is not freed before this letter has come. */
	x->offload_letter.deliver = on_work_done;
	loop_post(loop_of(x), &x->offload_letter);
}

static void offload(struct exchange *x, struct workers *w, void (*work)(struct exchange *x))
{
	struct connection *c = x->connection;

	assert(loop_is_current(loop_of(x)) && !x->is_offloaded);
	if (c->is_dead) {
		finish(x);
		return;
	}
	x->is_offloaded = true;
	c->offloaded++;
	x->work = work;
	x->job.run = run_work;
	workers_submit(w, &x->job);
}

void exchange_offload(struct exchange *x, void (*work)(struct exchange *x))
{
	offload(x, x->server->workers, work);
}

void exchange_offload_and_return(struct exchange *x, void (*work)(struct exchange *x),
				 void (*back)(struct exchange *x))
{
	x->back = x->connection->is_dead ? NULL : back;
	offload(x, x->server->workers, work);
}

void exchange_offload_compute(struct exchange *x, void (*work)(struct exchange *x))
{
	offload(x, x->server->compute_workers, work);
}

static void on_post(struct letter *l)
{
	struct exchange *x = from_letter(l, offsetof(struct exchange, post_letter));
	x->posted(x);
}

void exchange_post(struct exchange *x, void (*posted)(struct exchange *x))
{
	x->posted = posted;
	x->post_letter.deliver = on_post;
	loop_post(loop_of(x), &x->post_letter);
}

/* --- the beginning --- */

static struct exchange *new_exchange(struct connection *c)
{
	struct exchange *x = take_spare(c->loop);

	x->server = c->loop->server;
	x->connection = c;
	x->received_ns = clock_monotonic_ns(broker_clock(x->server->options.broker));
	return x;
}

static const char *read_header(struct exchange *x)
{
	if (request_header_read(slice_of(x->frame->data, x->frame->len), &x->header, &x->api,
				&x->body))
		return "the header of its request is malformed";
	if (x->api || x->header.api_key == API_api_versions)
		return NULL;
	return wire_api_find(x->header.api_key)
		       ? "it asked for a version of an API that is not served"
		       : "it asked for an API that is not served";
}

struct exchange *exchange_new(struct connection *c, struct frame *frame)
{
	struct exchange *x = new_exchange(c);

	x->frame = frame;
	x->charged_bytes = frame->cap;
	x->refusal = read_header(x);
	return x;
}

struct exchange *exchange_new_refusal(struct connection *c, const char *why)
{
	struct exchange *x = new_exchange(c);

	x->refusal = why;
	return x;
}

void exchange_charge(struct exchange *x)
{
	size_t bytes = x->frame->cap + sizeof *x + x->arena.total_bytes;

	if (bytes <= x->charged_bytes)
		return;
	size_t more = bytes - x->charged_bytes;
	pool_take_anyway(&x->server->request_memory, more);
	x->charged_bytes += more;
	x->connection->request_bytes += more;
}

static bool decode(struct exchange *x)
{
	struct wire_reader r;
	const struct wire_desc *d = x->api->request();
	size_t arena_max = ARENA_BYTES + ARENA_PER_BYTE * x->frame->len;
	void *request = exchange_alloc(x, 1, d->size);

	if (arena_max > ARENA_BYTES_MAX)
		arena_max = ARENA_BYTES_MAX;
	wire_reader_init(&r, x->body, x->header.api_version, x->api->first_flexible, &x->arena,
			 arena_max);
	/* As Kafka does: librdkafka 2.15 and 2.16 ask for all topics with three bytes too many. */
	r.ignores_rest = true;
	if (wire_read(&r, d, request)) {
		char why[160];
		snprintf(why, sizeof why, "its %s request of version %d is malformed%s%s",
			 x->api->name, x->header.api_version, *r.field ? " in " : "", r.field);
		exchange_abort(x, why);
		return false;
	}
	if (x->arena.total_bytes > ARENA_BYTES_FREE)
		exchange_charge(x);
	x->request = request;
	x->response = exchange_alloc(x, 1, x->api->response()->size);
	wire_defaults(x->api->response(), x->response);
	return true;
}

void exchange_start(struct exchange *x)
{
	x->is_started = true;
	if (x->refusal)
		exchange_abort(x, x->refusal);
	else if (!x->api)
		dispatch_unknown_version(x);
	else if (decode(x))
		dispatch(x);
}

/* --- for handlers --- */

void *exchange_alloc(struct exchange *x, size_t count, size_t size)
{
	assert(!size || count <= SIZE_MAX / 4 / size);
	return memset(arena_alloc(&x->arena, count * size), 0, count * size);
}

struct slice exchange_printf(struct exchange *x, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	assert(n >= 0);
	char *text = arena_alloc(&x->arena, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return slice_of(text, (size_t)n);
}

struct slice exchange_host(const struct exchange *x)
{
	const struct endpoint *e = x->connection->endpoint;

	if (e->listener.advertised_host)
		return slice_str(e->listener.advertised_host);
	return slice_str(e->is_wildcard ? x->connection->local_host : e->listener.host);
}

int32_t exchange_port(const struct exchange *x)
{
	const struct endpoint *e = x->connection->endpoint;
	return e->listener.advertised_port ? e->listener.advertised_port : e->port;
}

const char *exchange_peer(const struct exchange *x)
{
	return x->connection->peer;
}

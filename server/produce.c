/* produce.c - Produce: from a request's batches to the shard, one append for each partition.
 *
 *   loop: find the partitions --small--> check the batches --> appends --> shard
 *                             --large--> worker: the same, while the connection's next requests wait
 *                             the shard's queue is full --> worker: waits there for its turn
 *   loop: before it sleeps it has the shard carry them out, or does it itself when that is quick
 *   shard: done, the last of them --> loop: answer
 *
 * Batches are not copied: they are stamped where they lie in the request's frame, and the shard and later
 * readers share it.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "server/handlers.h"
#include "server/lookup.h"
#include "server/produce_check.h"
#include "server/server_impl.h"

/* Version of Produce since which a partition belongs to a transaction by being produced to (KIP-890). */
#define ADDS_PARTITIONS_SINCE 12

struct produce;

/* One partition of the request. */
struct produce_part {
	struct produce *produce;
	struct partition *partition;
	struct slice records;
	struct produce_response_partition_response *out;
	struct append append;
	enum ks_err err;
};

struct produce {
	struct exchange *x;
	struct produce_part *parts;
	size_t count;
	size_t sent;       /* parts, from the first on */
	size_t made_bytes; /* of recompressed batches */
	enum acks acks;
	_Atomic(size_t)
		left; /* appends that the shard has not answered, and one until all were sent */
};

/* --- the answer --- */

/* Nobody listens to an answer with acks=0; that the connection ends is how the producer learns. */
static void answer_nobody(struct produce *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct produce_part *part = &p->parts[i];
		if (!part->err)
			continue;
		struct slice why = exchange_printf(
			p->x, "a batch produced with acks=0, for partition %" PRId32 ": %s",
			part->out->index, ks_err_text(part->err));
		exchange_abort(p->x, (const char *)why.data);
		return;
	}
	exchange_finish_silently(p->x);
}

/* On the loop's thread. */
static void answer(struct exchange *x)
{
	struct produce *p = x->state;

	for (size_t i = 0; i < p->count; i++) {
		struct produce_part *part = &p->parts[i];
		part->out->error_code = wire_code(part->err);
		if (part->err)
			continue;
		part->out->base_offset = part->append.base_offset;
		part->out->log_append_time_ms = part->append.log_append_time;
		part->out->log_start_offset = part->append.log_start_offset;
	}
	if (p->acks == ACKS_NONE)
		answer_nobody(p);
	else
		exchange_reply(x);
}

/* The shard's answers and the sending of the appends may end in any order, on any thread. */
static void one_less(struct produce *p)
{
	struct exchange *x = p->x;

	if (atomic_fetch_sub(&p->left, 1) != 1)
		return;
	for (size_t i = 0; i < p->count; i++)
		if (p->parts[i].err < ERR_UNKNOWN_SERVER_ERROR) {
			server_store_failed(x);
			return;
		}
	if (loop_is_current(x->connection->loop))
		answer(x);
	else
		exchange_post(x, answer);
}

/* On the shard's thread, or that of a loop that plays it. */
static void on_appended(struct append *a, enum ks_err err)
{
	struct produce_part *part = a->cookie;

	/* Clients learned of this error with version 11. */
	if (err == ERR_TRANSACTION_ABORTABLE && part->produce->x->header.api_version < 11)
		err = ERR_INVALID_TXN_STATE;
	part->err = err;
	one_less(part->produce);
}

/* --- checking and sending: on the loop's thread or a worker --- */

static void report(struct produce_part *part, const struct produce_check *c)
{
	struct produce_response_partition_response *out = part->out;

	if (c->message)
		out->error_message = slice_str(c->message);
	if (!c->rejected_count)
		return;
	out->error_message = slice_str(c->rejected_why);
	out->record_errors.n = c->rejected_count;
	out->record_errors.v =
		exchange_alloc(c->x, (size_t)c->rejected_count, sizeof *out->record_errors.v);
	for (int i = 0; i < c->rejected_count; i++)
		out->record_errors.v[i] = (struct produce_response_record_error){
			c->rejected[i], slice_str(c->rejected_why)};
}

/* One request may not become larger than what all of them may hold. */
static enum ks_err count_made(struct produce *p, struct produce_check *c)
{
	size_t left = p->x->server->options.recompress_memory_bytes - p->made_bytes;

	if (c->frame->cap > left) {
		c->message = "with compression.type the batches of the request are too large";
		return ERR_MESSAGE_TOO_LARGE;
	}
	p->made_bytes += c->frame->cap;
	return ERR_NONE;
}

static struct slice transactional_id_of(const struct exchange *x)
{
	return ((const struct produce_request *)x->request)->transactional_id;
}

static void check_part(struct produce_part *part, int64_t now_ms, struct buf *scratch)
{
	struct exchange *x = part->produce->x;
	struct produce_check c = {.x = x,
				  .partition = part->partition,
				  .records = part->records,
				  .transactional_id = transactional_id_of(x),
				  .now_ms = now_ms,
				  .scratch = scratch};

	enum ks_err err = produce_check(&c);
	if (!err && c.frame)
		err = count_made(part->produce, &c);
	part->err = err ? (enum ks_err)wire_code(err) : ERR_NONE;
	if (err) {
		frame_unref(c.frame);
		report(part, &c);
		return;
	}
	part->append = (struct append){
		.partition = part->partition,
		.frame = c.frame ? c.frame : frame_ref(x->frame),
		.batches = c.frame ? SLICE_NULL : part->records,
		.acks = part->produce->acks,
		.transactional_id = transactional_id_of(x),
		.adds_partition = x->header.api_version >= ADDS_PARTITIONS_SINCE,
		.connection = x->connection->order,
		.done = on_appended,
		.cookie = part,
	};
}

/* On a loop's thread it stops in front of the first one that would have to wait, and returns false; what was sent is
 * carried out at the end of the loop's turn. */
static bool send_parts(struct produce *p, bool may_wait)
{
	struct broker *b = server_broker(p->x->server);

	if (!may_wait)
		p->x->connection->loop->has_queued = true;
	for (; p->sent < p->count; p->sent++) {
		struct produce_part *part = &p->parts[p->sent];
		if (!part->append.done)
			atomic_fetch_sub(&p->left, 1);
		else if (may_wait)
			broker_append(b, &part->append);
		else if (!broker_append_queue(b, &part->append))
			return false;
	}
	return true;
}

static void send_waiting(struct exchange *x)
{
	struct produce *p = x->state;

	send_parts(p, true);
	one_less(p);
}

static void check_and_send(struct exchange *x)
{
	struct produce *p = x->state;
	struct broker *b = server_broker(x->server);
	int64_t now_ms = clock_now_ms(broker_clock(b));
	struct buf scratch = {0};

	atomic_init(&p->left, p->count + 1);
	for (size_t i = 0; i < p->count; i++)
		if (!p->parts[i].err)
			check_part(&p->parts[i], now_ms, &scratch);
	buf_fini(&scratch);
	if (x->memory_pool)
		exchange_keep_memory(x, p->made_bytes);
	/* From the first append on the shard may answer: errors of ours are all told before. */
	if (send_parts(p, workers_is_current()))
		one_less(p);
	else
		exchange_offload(x, send_waiting);
}

/* --- the request --- */

/* Errors of the request as a whole, told to each partition. */
static enum ks_err check_request(const struct produce_request *request)
{
	if (request->acks < ACKS_ALL || request->acks > ACKS_LEADER)
		return ERR_INVALID_REQUIRED_ACKS;
	return ERR_NONE;
}

static enum ks_err find_topic(struct exchange *x, const struct produce_request_topic_data *t,
			      struct topic **out)
{
	if (x->header.api_version >= 13)
		return lookup_topic_id(x, t->topic_id, out);
	return lookup_topic(x, t->name, out);
}

static void add_part(struct produce *p, struct topic *t, enum ks_err err,
		     const struct produce_request_partition_data *d,
		     struct produce_response_partition_response *out)
{
	struct produce_part *part = &p->parts[p->count++];

	wire_defaults(produce_response_partition_response_desc(), out);
	out->index = d->index;
	out->base_offset = -1;
	*part = (struct produce_part){.produce = p, .out = out, .err = err};
	if (d->records.n > 0)
		part->records = d->records.v[0].bytes;
	if (!err)
		part->err = lookup_partition_of(t, d->index, &part->partition);
	if (!part->err && p->acks == ACKS_ALL && topic_min_insync_replicas(t) > 1)
		part->err = ERR_NOT_ENOUGH_REPLICAS;
}

static void add_topic(struct produce *p, const struct produce_request_topic_data *t,
		      struct produce_response_response *r, enum ks_err err)
{
	struct topic *topic = NULL;

	r->name = t->name;
	r->topic_id = t->topic_id;
	r->partition_responses.n = t->partition_data.n;
	r->partition_responses.v =
		exchange_alloc(p->x, (size_t)t->partition_data.n, sizeof *r->partition_responses.v);
	if (!err)
		err = find_topic(p->x, t, &topic);
	for (int32_t i = 0; i < t->partition_data.n; i++)
		add_part(p, topic, err, &t->partition_data.v[i], &r->partition_responses.v[i]);
}

static bool is_long(const struct produce *p)
{
	unsigned cost_us = 0;

	for (size_t i = 0; i < p->count && cost_us <= PRODUCE_LONG_US; i++)
		if (!p->parts[i].err)
			cost_us +=
				produce_check_cost_us(p->parts[i].partition, p->parts[i].records);
	return cost_us > PRODUCE_LONG_US;
}

/* How much memory recompressed batches may take. */
static size_t makes_bytes(const struct produce *p)
{
	size_t bytes = 0, max = p->x->server->options.recompress_memory_bytes;

	for (size_t i = 0; i < p->count && bytes < max; i++)
		if (!p->parts[i].err)
			bytes += produce_check_makes_bytes(p->parts[i].partition,
							   p->parts[i].records);
	return bytes < max ? bytes : max;
}

void handle_produce(struct exchange *x, const struct produce_request *request,
		    struct produce_response *response)
{
	struct produce *p = exchange_alloc(x, 1, sizeof *p);
	enum ks_err err = check_request(request);
	size_t count = 0;

	for (int32_t i = 0; i < request->topic_data.n; i++)
		count += (size_t)request->topic_data.v[i].partition_data.n;
	p->x = x;
	p->acks = (enum acks)request->acks;
	p->parts = exchange_alloc(x, count, sizeof *p->parts);
	x->state = p;
	response->responses.n = request->topic_data.n;
	response->responses.v =
		exchange_alloc(x, (size_t)request->topic_data.n, sizeof *response->responses.v);
	for (int32_t i = 0; i < request->topic_data.n; i++)
		add_topic(p, &request->topic_data.v[i], &response->responses.v[i], err);
	size_t bytes = makes_bytes(p);
	if (bytes)
		exchange_offload_with(x, &x->server->recompress_memory, bytes, check_and_send);
	else if (is_long(p))
		exchange_offload_compute(x, check_and_send);
	else
		check_and_send(x);
}

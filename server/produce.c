/* produce.c - Produce: from a request's batches to the shard, one append for each partition. */
#include <stdatomic.h>

#include "server/handlers.h"
#include "server/server.h"
#include "wire/batch.h"

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
	enum acks acks;
	_Atomic(size_t)
		left; /* appends that the shard has not answered, and one until all were sent */
};

static void answer(struct exchange *x)
{
	struct produce *p = x->state;
	bool has_failed = false;

	for (size_t i = 0; i < p->count; i++) {
		struct produce_part *part = &p->parts[i];
		part->out->error_code = (int16_t)part->err;
		part->out->base_offset = -1;
		has_failed |= part->err != ERR_NONE;
		if (part->err)
			continue;
		part->out->base_offset = part->append.base_offset;
		part->out->log_append_time_ms = part->append.log_append_time;
		part->out->log_start_offset = partition_log_start_offset(part->partition);
	}
	if (p->acks != ACKS_NONE)
		exchange_reply(x);
	else if (has_failed)
		exchange_abort(x, "a batch that nobody wanted acknowledged (acks=0) was refused");
	else
		exchange_finish_silently(x);
}

static void one_less(struct produce *p)
{
	if (atomic_fetch_sub(&p->left, 1) == 1)
		exchange_post(p->x, answer);
}

static void on_appended(struct append *a, enum ks_err err)
{
	struct produce_part *part = a->cookie;

	part->err = err;
	one_less(part->produce);
}

static void send_all(struct produce *p)
{
	struct buf scratch = {0};
	struct batch b;

	atomic_init(&p->left, p->count + 1);
	for (size_t i = 0; i < p->count; i++) {
		struct produce_part *part = &p->parts[i];
		if (!part->err)
			part->err = batch_validate(part->records, 256 << 20, &scratch, &b);
		if (part->err) {
			atomic_fetch_sub(&p->left, 1);
			continue;
		}
		part->append = (struct append){.partition = part->partition,
					       .frame = frame_ref(p->x->frame),
					       .batches = part->records,
					       .acks = p->acks,
					       .done = on_appended,
					       .cookie = part};
		broker_append(server_broker(p->x->server), &part->append);
	}
	buf_fini(&scratch);
	one_less(p);
}

static void add_part(struct produce *p, const struct produce_request_topic_data *t,
		     const struct produce_request_partition_data *d,
		     struct produce_response_partition_response *out)
{
	struct produce_part *part = &p->parts[p->count++];

	*part = (struct produce_part){.produce = p, .out = out};
	out->index = d->index;
	out->log_append_time_ms = out->log_start_offset = -1;
	part->err = find_partition(p->x, t->name, d->index, &part->partition);
	if (!part->err && d->records.n != 1)
		part->err = ERR_INVALID_RECORD;
	if (d->records.n == 1)
		part->records = d->records.v[0].bytes;
}

void handle_produce(struct exchange *x, const struct produce_request *request,
		    struct produce_response *response)
{
	struct produce *p = exchange_alloc(x, 1, sizeof *p);
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
	for (int32_t i = 0; i < request->topic_data.n; i++) {
		const struct produce_request_topic_data *t = &request->topic_data.v[i];
		struct produce_response_response *r = &response->responses.v[i];
		r->name = t->name;
		r->topic_id = t->topic_id;
		r->partition_responses.n = t->partition_data.n;
		r->partition_responses.v = exchange_alloc(x, (size_t)t->partition_data.n,
							  sizeof *r->partition_responses.v);
		for (int32_t j = 0; j < t->partition_data.n; j++)
			add_part(p, t, &t->partition_data.v[j], &r->partition_responses.v[j]);
	}
	send_all(p);
}

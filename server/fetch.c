/* fetch.c - Fetch. */
#include "server/handlers.h"
#include "server/server_impl.h"

struct fetch {
	struct exchange *x;
	struct timer timer;
	int64_t until_ms;
};

static struct partition *find_partition(struct exchange *x, struct slice name, int32_t index)
{
	char text[BROKER_TOPIC_NAME_MAX + 1];

	if (!name.len || name.len > BROKER_TOPIC_NAME_MAX)
		return NULL;
	memcpy(text, name.data, name.len);
	text[name.len] = 0;
	struct topic *t = broker_topic_find(server_broker(x->server), text);
	return t && index >= 0 && index < topic_partition_count(t) ? topic_partition(t, index)
								   : NULL;
}

static size_t read_partition(struct exchange *x, const struct fetch_request_topic *t,
			     const struct fetch_request_partition *q,
			     struct fetch_response_partition *a, size_t room)
{
	struct partition *p = find_partition(x, t->topic, q->partition);
	struct chunk c;

	wire_defaults(fetch_response_partition_desc(), a);
	a->partition_index = q->partition;
	a->high_watermark = -1;
	if (!p) {
		a->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return 1;
	}
	struct reader *r = reader_new(p);
	size_t want = q->partition_max_bytes > 0 ? (size_t)q->partition_max_bytes : 0;
	enum ks_err err = reader_read(r, q->fetch_offset, want < room ? want : room, &c, NULL);
	a->log_start_offset = partition_log_start_offset(p);
	a->high_watermark = a->last_stable_offset = partition_high_watermark(p);
	reader_free(r);
	if (err) {
		a->error_code = err == ERR_EMPTY ? 0 : err < -1 ? -1 : (int16_t)err;
		return err == ERR_EMPTY ? 0 : 1;
	}
	a->records.v = exchange_alloc(x, 1, sizeof *a->records.v);
	a->records.v[0] = (struct wire_ref){c.frame, c.bytes};
	a->records.n = 1;
	return c.bytes.len;
}

static void release(struct exchange *x)
{
	struct fetch_response *response = x->response;

	for (int32_t i = 0; i < response->responses.n; i++)
		for (int32_t j = 0; j < response->responses.v[i].partitions.n; j++) {
			struct wire_records *r = &response->responses.v[i].partitions.v[j].records;
			for (int32_t k = 0; k < r->n; k++)
				frame_unref(r->v[k].frame);
			r->n = 0;
		}
}

static void attempt(struct fetch *f)
{
	struct exchange *x = f->x;
	const struct fetch_request *request = x->request;
	struct fetch_response *response = x->response;
	struct timers *ts = &x->connection->loop->timers;
	size_t bytes = 0;

	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct fetch_request_topic *t = &request->topics.v[i];
		struct fetch_response_response *r = &response->responses.v[i];
		for (int32_t j = 0; j < t->partitions.n; j++)
			bytes += read_partition(x, t, &t->partitions.v[j], &r->partitions.v[j],
						1 << 20);
	}
	if (bytes > 0 || timers_now_ms(ts) >= f->until_ms) {
		exchange_reply(x);
		return;
	}
	timer_set(ts, &f->timer, timers_now_ms(ts) + 5);
}

static void on_timer(struct timer *t)
{
	attempt((struct fetch *)((char *)t - offsetof(struct fetch, timer)));
}

static void cancel(struct exchange *x)
{
	struct fetch *f = x->state;

	timer_clear(&x->connection->loop->timers, &f->timer);
	exchange_reply(x);
}

void handle_fetch(struct exchange *x, const struct fetch_request *request,
		  struct fetch_response *response)
{
	struct fetch *f = exchange_alloc(x, 1, sizeof *f);

	f->x = x;
	f->timer.fire = on_timer;
	f->until_ms = timers_now_ms(&x->connection->loop->timers) + request->max_wait_ms;
	x->state = f;
	x->cancel = cancel;
	x->after = release;
	response->responses.n = request->topics.n;
	response->responses.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->responses.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		struct fetch_response_response *r = &response->responses.v[i];
		r->topic = request->topics.v[i].topic;
		r->topic_id = request->topics.v[i].topic_id;
		r->partitions.n = request->topics.v[i].partitions.n;
		r->partitions.v =
			exchange_alloc(x, (size_t)r->partitions.n, sizeof *r->partitions.v);
	}
	attempt(f);
}

/* sender.c - see sender.h. */
#include "client/sender.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/partitions.h"
#include "wire/batch.h"

#define REQUEST_BYTES_MAX ((size_t)8 << 20)
#define DELIVERY_MS       60000
#define REQUEST_MS        30000

/* Where a partition's sequence numbers stand. */
struct sequence {
	char *topic;
	int32_t partition, next;
};

struct client_sender {
	/* immutable after start */
	pthread_t thread;
	int16_t acks;
	int delivery_ms, produce_ms;

	/* owner: the thread */
	struct client_cluster *cluster;
	struct client_send *open, **open_end; /* in the order of arrival */
	bool is_idempotent, has_producer;
	int64_t producer_id;
	int16_t producer_epoch;
	struct sequence *sequences;
	size_t sequence_count;
	enum ks_err failure; /* after it nothing is sent: what is on the broker is not known */
	struct ks_why why;
	struct client_retry retry;

	pthread_mutex_t mutex;
	pthread_cond_t cond;
	/* shared, under mutex */
	struct client_send *added, **added_end;
	bool is_stopping;
};

static struct sequence *sequence_of(struct client_sender *s, const struct client_send *send)
{
	for (size_t i = 0; i < s->sequence_count; i++)
		if (s->sequences[i].partition == send->partition &&
		    strcmp(s->sequences[i].topic, send->topic) == 0)
			return &s->sequences[i];
	s->sequences = xrealloc(s->sequences, (s->sequence_count + 1) * sizeof *s->sequences);
	s->sequences[s->sequence_count] =
		(struct sequence){xstrdup(send->topic), send->partition, 0};
	return &s->sequences[s->sequence_count++];
}

/* A batch carries the same number however often it is sent. */
static void stamp(struct client_sender *s, struct client_send *send)
{
	if (send->is_stamped || !s->is_idempotent)
		return;
	send->is_stamped = true;
	batch_set_producer(send->batch->data, send->batch->len, s->producer_id, s->producer_epoch,
			   sequence_of(s, send)->next, false);
}

/* --- what is done --- */

static void unlink_send(struct client_sender *s, struct client_send *send)
{
	struct client_send **at = &s->open;

	while (*at != send)
		at = &(*at)->next;
	*at = send->next;
	if (!send->next)
		s->open_end = at;
}

static void finish(struct client_sender *s, struct client_send *send, enum ks_err err,
		   const struct ks_why *why)
{
	unlink_send(s, send);
	frame_unref(send->batch);
	send->done(send, err, why);
}

static void succeed(struct client_sender *s, struct client_send *send, int64_t base_offset,
		    int64_t append_time)
{
	struct ks_why none = {""};

	if (s->is_idempotent) {
		struct sequence *q = sequence_of(s, send);
		q->next = (int32_t)(((uint32_t)q->next + (uint32_t)send->record_count) & INT32_MAX);
	}
	send->base_offset = base_offset;
	if (base_offset >= 0)
		batch_stamp(send->batch->data, base_offset, -1);
	if (append_time >= 0)
		batch_stamp_append_time(send->batch->data, send->batch->len, append_time);
	finish(s, send, ERR_NONE, &none);
}

/* Whether the batch was surely not written, so that others may still follow. */
static bool is_refused(enum ks_err err)
{
	return !client_leader_may_change(err) && err != ERR_OUT_OF_ORDER_SEQUENCE_NUMBER &&
	       err != ERR_UNKNOWN_PRODUCER_ID && err != ERR_INVALID_PRODUCER_EPOCH &&
	       err != ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND && err != ERR_UNKNOWN_SERVER_ERROR;
}

static bool may_succeed_later(enum ks_err err)
{
	return client_leader_may_change(err) || err == ERR_NOT_ENOUGH_REPLICAS ||
	       err == ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND || err == ERR_CORRUPT_MESSAGE ||
	       err == ERR_COORDINATOR_LOAD_IN_PROGRESS || err == ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* The batch stays open for another attempt, or this was its last. */
static void fail(struct client_sender *s, struct client_send *send, enum ks_err err,
		 const struct ks_why *why)
{
	client_cluster_forget_leaders(s->cluster, send->topic);
	if (may_succeed_later(err) && clock_monotonic_ns(&clock_real) < send->deadline_ns)
		return;
	if (!is_refused(err)) {
		s->failure = err;
		s->why = *why;
	}
	finish(s, send, err, why);
}

/* --- one request --- */

/* Calls with acks 0 have no answer: what was handed to the kernel counts. */
static void answer_nothing(struct client_sender *s, struct client_send **turn, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		succeed(s, turn[i], -1, -1);
}

static void take_answer(struct client_sender *s, struct client_send *send,
			const struct produce_response_partition_response *p)
{
	enum ks_err err = (enum ks_err)p->error_code;
	struct ks_why why = {""};

	if (err == ERR_NONE || err == ERR_DUPLICATE_SEQUENCE_NUMBER) {
		succeed(s, send, err ? -1 : p->base_offset, err ? -1 : p->log_append_time_ms);
		return;
	}
	if (p->error_message.len)
		ks_fail(&why, err, "%.*s", (int)p->error_message.len,
			(const char *)p->error_message.data);
	else
		ks_fail(&why, err, "%s", ks_err_text(err));
	fail(s, send, err, &why);
}

static void take_answers(struct client_sender *s, struct client_send **turn, int32_t n,
			 const struct produce_response *m)
{
	for (int32_t i = 0; i < m->responses.n; i++) {
		const struct produce_response_response *t = &m->responses.v[i];
		for (int32_t k = 0; k < t->partition_responses.n; k++) {
			const struct produce_response_partition_response *p =
				&t->partition_responses.v[k];
			for (int32_t j = 0; j < n; j++) {
				if (!turn[j] || turn[j]->partition != p->index ||
				    !slice_equal(slice_str(turn[j]->topic), t->name))
					continue;
				take_answer(s, turn[j], p);
				turn[j] = NULL;
			}
		}
	}
}

/* One topic element per batch: topics may come several times. */
static void describe(struct client_send **turn, int32_t n,
		     struct produce_request_topic_data *topics,
		     struct produce_request_partition_data *partitions, struct wire_ref *refs)
{
	for (int32_t i = 0; i < n; i++) {
		struct frame *f = turn[i]->batch;
		refs[i] = (struct wire_ref){f, slice_of(f->data, f->len)};
		partitions[i].index = turn[i]->partition;
		partitions[i].records = (struct wire_records){&refs[i], 1};
		topics[i].name = slice_str(turn[i]->topic);
		topics[i].partition_data.v = &partitions[i];
		topics[i].partition_data.n = 1;
	}
}

/* Merges neighbours of the same topic; returns how many topics are left. */
static int32_t merge_topics(struct produce_request_topic_data *topics, int32_t n)
{
	int32_t kept = 0;

	for (int32_t i = 0; i < n; i++) {
		struct produce_request_topic_data *last = kept ? &topics[kept - 1] : NULL;
		if (last && slice_equal(last->name, topics[i].name))
			last->partition_data.n++;
		else
			topics[kept++] = topics[i];
	}
	return kept;
}

static void produce(struct client_sender *s, int32_t node, struct client_send **turn, int32_t n)
{
	size_t rows = (size_t)n;
	struct produce_request_topic_data *topics = xcalloc(rows, sizeof *topics);
	struct produce_request_partition_data *partitions = xcalloc(rows, sizeof *partitions);
	struct wire_ref *refs = xcalloc(rows, sizeof *refs);
	struct produce_request request = {.acks = s->acks, .timeout_ms = s->produce_ms};
	struct client_question q = {.call = {.api_key = API_produce,
					     .version_end = 13, /* then topics go by id */
					     .request = &request,
					     .has_no_answer = s->acks == 0},
				    .where = CLIENT_NODE,
				    .node = node,
				    .retry_ms = -1};
	struct client_reply r;
	struct ks_why why = {"the answer does not mention the batch"};
	enum ks_err rest = ERR_UNKNOWN_SERVER_ERROR;

	describe(turn, n, topics, partitions, refs);
	request.topic_data.v = topics;
	request.topic_data.n = merge_topics(topics, n);
	enum ks_err err = client_cluster_ask(s->cluster, &q, &r, &why);
	free(topics);
	free(partitions);
	free(refs);
	if (err) {
		rest = err;
	} else if (s->acks == 0) {
		answer_nothing(s, turn, n);
		return;
	} else {
		take_answers(s, turn, n, r.message);
		client_reply_fini(&r);
	}
	for (int32_t i = 0; i < n; i++)
		if (turn[i])
			fail(s, turn[i], rest, &why);
}

/* --- rounds --- */

static int compare_sends(const void *a, const void *b)
{
	const struct client_send *x = *(struct client_send *const *)a;
	const struct client_send *y = *(struct client_send *const *)b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* The oldest open batch of every partition, in the order of topics. Returns how many. */
static int32_t choose(struct client_sender *s, struct client_send ***out)
{
	struct client_send **turn = NULL;
	size_t n = 0, bytes = 0, kept = 0;

	for (struct client_send *p = s->open; p; p = p->next)
		n++;
	turn = xcalloc(n + 1, sizeof(struct client_send *));
	n = 0;
	for (struct client_send *p = s->open; p; p = p->next)
		turn[n++] = p;
	for (size_t i = 0; i < n && bytes < REQUEST_BYTES_MAX; i++) {
		bool is_first = true;
		for (size_t k = 0; k < kept && is_first; k++)
			is_first = compare_sends(&turn[k], &turn[i]) != 0;
		if (!is_first)
			continue;
		bytes += turn[i]->batch->len;
		turn[kept++] = turn[i];
	}
	qsort(turn, kept, sizeof(struct client_send *), compare_sends);
	*out = turn;
	return (int32_t)kept;
}

/* Leader of a batch's partition, or what there is instead. */
static enum ks_err leader_of(struct client_sender *s, const struct client_send *send, int32_t *node,
			     struct ks_why *why)
{
	const int32_t *leaders;
	int32_t count;
	enum ks_err err = client_cluster_leaders(s->cluster, send->topic, &leaders, &count, why);

	if (!err)
		err = client_check_partition(send->topic, send->partition, count, why);
	if (err)
		return err;
	*node = leaders[send->partition];
	return *node >= 0 ? ERR_NONE
			  : ks_fail(why, ERR_LEADER_NOT_AVAILABLE, "%s",
				    ks_err_text(ERR_LEADER_NOT_AVAILABLE));
}

/* One request to every leader that has something to get. */
static void send_round(struct client_sender *s)
{
	struct client_send **turn, **group;
	int32_t n = choose(s, &turn), *nodes = xcalloc((size_t)n + 1, sizeof *nodes);

	group = xcalloc((size_t)n + 1, sizeof(struct client_send *));
	for (int32_t i = 0; i < n; i++) {
		struct ks_why why = {""};
		enum ks_err err = leader_of(s, turn[i], &nodes[i], &why);
		if (err) {
			fail(s, turn[i], err, &why);
			turn[i] = NULL;
		} else {
			stamp(s, turn[i]);
		}
	}
	for (int32_t i = 0; i < n && !s->failure; i++) {
		int32_t grouped = 0;
		for (int32_t k = i; turn[i] && k < n; k++)
			if (turn[k] && nodes[k] == nodes[i])
				group[grouped++] = turn[k];
		int32_t node = nodes[i];
		for (int32_t k = i; grouped && k < n; k++)
			if (turn[k] && nodes[k] == node)
				turn[k] = NULL;
		if (grouped)
			produce(s, node, group, grouped);
	}
	free(turn);
	free(group);
	free(nodes);
}

static bool producer_is_transient(const struct client_reply *r)
{
	const struct init_producer_id_response *m = r->message;

	return ks_err_is_retriable((enum ks_err)m->error_code);
}

/* A producer id, once. Brokers that give none get batches without. */
static enum ks_err get_producer(struct client_sender *s, struct ks_why *why)
{
	struct init_producer_id_request request = {.producer_id = -1, .producer_epoch = -1};
	struct client_question q = {.call = {.api_key = API_init_producer_id, .request = &request},
				    .is_transient = producer_is_transient,
				    .is_repeatable = true};
	struct client_reply r;

	if (!s->is_idempotent || s->has_producer)
		return ERR_NONE;
	enum ks_err err = client_cluster_ask(s->cluster, &q, &r, why);
	if (err == ERR_UNSUPPORTED_VERSION) {
		s->is_idempotent = false;
		return ERR_NONE;
	}
	if (err)
		return err;
	const struct init_producer_id_response *m = r.message;
	err = (enum ks_err)m->error_code;
	s->producer_id = m->producer_id;
	s->producer_epoch = m->producer_epoch;
	s->has_producer = !err;
	client_reply_fini(&r);
	return err ? ks_fail(why, err, "no producer id: %s", ks_err_text(err)) : ERR_NONE;
}

static void fail_all(struct client_sender *s)
{
	while (s->open)
		finish(s, s->open, s->failure, &s->why);
}

static size_t open_count(const struct client_sender *s)
{
	size_t n = 0;

	for (const struct client_send *p = s->open; p; p = p->next)
		n++;
	return n;
}

static void work(struct client_sender *s)
{
	size_t before = open_count(s);

	if (!s->failure)
		s->failure = get_producer(s, &s->why);
	if (!s->failure)
		send_round(s);
	if (s->failure)
		fail_all(s);
	else if (open_count(s) < before || !client_retry_pause(s->cluster, &s->retry))
		s->retry = client_retry_in(s->delivery_ms);
}

/* False: stopped, and nothing is left. */
static bool take_added(struct client_sender *s)
{
	pthread_mutex_lock(&s->mutex);
	while (!s->open && !s->added && !s->is_stopping)
		pthread_cond_wait(&s->cond, &s->mutex);
	if (s->added) {
		*s->open_end = s->added;
		s->open_end = s->added_end;
		s->added = NULL;
		s->added_end = &s->added;
	}
	pthread_mutex_unlock(&s->mutex);
	return s->open != NULL;
}

static void *run(void *arg)
{
	struct client_sender *s = arg;

	while (take_added(s))
		work(s);
	return NULL;
}

/* --- the caller's side --- */

enum ks_err client_sender_start(const char *bootstrap, const struct client_options *options,
				int16_t acks, struct client_sender **out, struct ks_why *why)
{
	struct client_options own = *options;
	struct client_cluster *cluster;

	own.stop_fd = 0; /* what was added is sent, whoever asks to stop */
	if (!own.request_timeout_ms)
		own.request_timeout_ms = REQUEST_MS;
	if (own.delivery_timeout_ms && own.delivery_timeout_ms < own.request_timeout_ms)
		own.request_timeout_ms = own.delivery_timeout_ms;
	enum ks_err err = client_cluster_open(bootstrap, &own, &cluster, why);
	if (err)
		return err;
	struct client_sender *s = xcalloc(1, sizeof *s);
	s->cluster = cluster;
	s->acks = acks;
	s->delivery_ms = options->delivery_timeout_ms ? options->delivery_timeout_ms : DELIVERY_MS;
	s->produce_ms = options->broker_timeout_ms ? options->broker_timeout_ms : REQUEST_MS;
	s->is_idempotent = acks == -1 && !options->is_not_idempotent;
	s->open_end = &s->open;
	s->added_end = &s->added;
	s->retry = client_retry_in(s->delivery_ms);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->cond, NULL);
	if (pthread_create(&s->thread, NULL, run, s) != 0)
		abort();
	*out = s;
	return ERR_NONE;
}

void client_sender_add(struct client_sender *s, struct client_send *send)
{
	struct batch b;

	send->next = NULL;
	send->is_stamped = false;
	send->base_offset = -1;
	send->deadline_ns = clock_monotonic_ns(&clock_real) + s->delivery_ms * INT64_C(1000000);
	send->record_count =
		batch_peek(slice_of(send->batch->data, send->batch->len), &b) ? 0 : b.record_count;
	pthread_mutex_lock(&s->mutex);
	*s->added_end = send;
	s->added_end = &send->next;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
}

void client_sender_stop(struct client_sender *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->is_stopping = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	client_cluster_close(s->cluster);
	for (size_t i = 0; i < s->sequence_count; i++)
		free(s->sequences[i].topic);
	free(s->sequences);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->cond);
	free(s);
}

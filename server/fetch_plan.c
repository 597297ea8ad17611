/* fetch_plan.c - what a Fetch is about, and what its answer says: by the request alone, or by its session. */
#include "server/fetch.h"
#include "server/lookup.h"
#include "server/server_impl.h"

#define SESSION_SINCE 7  /* version */
#define IDS_SINCE     13 /* version */

#define SESSION_NONE  0
#define EPOCH_INITIAL 0  /* asks for a session */
#define EPOCH_FINAL   -1 /* wants none, and ends the one that is named */

static int64_t now_ms(const struct fetch *f)
{
	return clock_monotonic_ns(broker_clock(server_broker(f->x->server))) / 1000000;
}

static bool uses_ids(const struct fetch *f)
{
	return f->x->header.api_version >= IDS_SINCE;
}

static bool is_same_topic(const struct fetch_topic_key *a, const struct fetch_topic_key *b)
{
	return slice_equal(a->name, b->name) && !memcmp(&a->id, &b->id, sizeof a->id);
}

/* --- parts --- */

/* Neighbours are mostly of one topic, which is looked up once. */
struct found {
	struct fetch_topic_key key;
	struct topic *topic;
	enum ks_err err;
	bool is_any;
};

static enum ks_err find_topic(struct fetch *f, const struct fetch_topic_key *k, struct found *last)
{
	if (last->is_any && is_same_topic(k, &last->key))
		return last->err;
	*last = (struct found){.key = *k, .is_any = true};
	last->err = k->name.data ? lookup_topic(f->x, k->name, &last->topic)
				 : lookup_topic_id(f->x, k->id, &last->topic);
	if (last->err == ERR_INVALID_TOPIC_EXCEPTION)
		last->err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return last->err;
}

static struct fetch_part *add_part(struct fetch *f, const struct fetch_topic_key *k, int32_t index,
				   int32_t leader_epoch, struct found *last)
{
	struct fetch_part *part = &f->parts[f->count++];

	*part = (struct fetch_part){.topic = *k,
				    .index = index,
				    .high_watermark = -1,
				    .log_start_offset = -1,
				    .last_stable_offset = -1};
	part->err = find_topic(f, k, last);
	if (!part->err)
		part->err = lookup_partition_of(last->topic, index, &part->partition);
	if (!part->err)
		part->err = lookup_check_epoch(leader_epoch);
	if (part->err)
		part->partition = NULL;
	return part;
}

static struct fetch_topic_key key_of(const struct fetch *f, const struct fetch_request_topic *t)
{
	return uses_ids(f) ? (struct fetch_topic_key){SLICE_NULL, t->topic_id}
			   : (struct fetch_topic_key){.name = t->topic};
}

static void plan_by_request(struct fetch *f, const struct fetch_request *request)
{
	struct found last = {.is_any = false};
	size_t count = 0;

	for (int32_t i = 0; i < request->topics.n; i++)
		count += (size_t)request->topics.v[i].partitions.n;
	f->parts = exchange_alloc(f->x, count, sizeof *f->parts);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct fetch_request_topic *t = &request->topics.v[i];
		struct fetch_topic_key k = key_of(f, t);
		for (int32_t j = 0; j < t->partitions.n; j++) {
			const struct fetch_request_partition *p = &t->partitions.v[j];
			struct fetch_part *part =
				add_part(f, &k, p->partition, p->current_leader_epoch, &last);
			part->offset = p->fetch_offset;
			part->max_bytes = p->partition_max_bytes;
		}
	}
}

/* --- the session's side; under its mtx --- */

static void put_slot(struct fetch_session *s, const struct fetch_topic_key *k,
		     const struct fetch_request_partition *p)
{
	struct session_part *slot = fetch_session_put(s, k, p->partition);

	slot->offset = p->fetch_offset;
	slot->max_bytes = p->partition_max_bytes;
	slot->leader_epoch = p->current_leader_epoch;
}

static void put_all(struct fetch *f, struct fetch_session *s, const struct fetch_request *request)
{
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct fetch_request_topic *t = &request->topics.v[i];
		struct fetch_topic_key k = key_of(f, t);
		for (int32_t j = 0; j < t->partitions.n; j++)
			put_slot(s, &k, &t->partitions.v[j]);
	}
}

static void drop_forgotten(struct fetch *f, struct fetch_session *s,
			   const struct fetch_request *request)
{
	for (int32_t i = 0; i < request->forgotten_topics_data.n; i++) {
		const struct fetch_request_forgotten_topics_data *t =
			&request->forgotten_topics_data.v[i];
		struct fetch_topic_key k = {uses_ids(f) ? SLICE_NULL : t->topic, t->topic_id};
		for (int32_t j = 0; j < t->partitions.n; j++)
			fetch_session_drop(s, &k, t->partitions.v[j]);
	}
}

/* Names are copied: the session may change while this request waits. */
static void plan_by_session(struct fetch *f, struct fetch_session *s)
{
	struct found last = {.is_any = false};
	struct session_part *slot;
	struct fetch_topic_key k = {SLICE_NULL, {{0}}};

	f->parts = exchange_alloc(f->x, s->count, sizeof *f->parts);
	TAILQ_FOREACH(slot, &s->parts, in_order)
	{
		struct slice name = slot->name;
		if (name.data && !slice_equal(name, k.name))
			k.name = slice_of(arena_copy(&f->x->arena, name.data, name.len), name.len);
		k.id = slot->id;
		struct fetch_part *part = add_part(f, &k, slot->index, slot->leader_epoch, &last);
		part->offset = slot->offset;
		part->max_bytes = slot->max_bytes;
		part->slot = slot;
	}
}

static int32_t epoch_after(int32_t epoch)
{
	return epoch == INT32_MAX ? 1 : epoch + 1;
}

static enum ks_err continue_session(struct fetch *f, struct fetch_session *s,
				    const struct fetch_request *request, size_t *count)
{
	if (s->uses_ids != uses_ids(f))
		return ERR_FETCH_SESSION_TOPIC_ID_ERROR;
	if (s->epoch != request->session_epoch)
		return ERR_INVALID_FETCH_SESSION_EPOCH;
	put_all(f, s, request);
	drop_forgotten(f, s, request);
	s->epoch = f->session_epoch = epoch_after(s->epoch);
	*count = s->count;
	plan_by_session(f, s);
	return ERR_NONE;
}

static void plan_incremental(struct fetch *f, const struct fetch_request *request)
{
	struct fetch_sessions *ss = f->x->server->sessions;
	size_t count = 0;

	f->is_incremental = true;
	f->session = fetch_sessions_find(ss, request->session_id, now_ms(f));
	if (!f->session) {
		f->error = ERR_FETCH_SESSION_ID_NOT_FOUND;
		return;
	}
	pthread_mutex_lock(&f->session->mtx);
	f->error = continue_session(f, f->session, request, &count);
	pthread_mutex_unlock(&f->session->mtx);
	if (f->error)
		return;
	/* One that is empty, or for which there is no room any more, ends; this answer still counts. */
	if (count == 0)
		fetch_sessions_remove(ss, f->session->id);
	else
		fetch_sessions_resize(ss, f->session, count);
	f->has_ended = count == 0;
}

/* Older versions have no place for an error of the whole: there each part says it. */
static void refuse(struct fetch *f, const struct fetch_request *request, enum ks_err err)
{
	if (f->x->header.api_version >= SESSION_SINCE) {
		f->error = err;
		return;
	}
	plan_by_request(f, request);
	for (size_t i = 0; i < f->count; i++) {
		f->parts[i].partition = NULL;
		f->parts[i].err = err;
	}
}

/* There are no replicas: who says that it is one may read nothing, least of all move a high watermark. */
static bool is_replica(const struct fetch_request *request)
{
	return request->replica_id >= 0 ||
	       (request->replica_state && request->replica_state->replica_id >= 0);
}

void fetch_plan(struct fetch *f, const struct fetch_request *request)
{
	bool has_session = f->x->header.api_version >= SESSION_SINCE;
	int32_t epoch = has_session ? request->session_epoch : EPOCH_FINAL;

	if (is_replica(request)) {
		refuse(f, request, ERR_CLUSTER_AUTHORIZATION_FAILED);
		return;
	}
	if (epoch != EPOCH_INITIAL && epoch != EPOCH_FINAL) {
		plan_incremental(f, request);
		return;
	}
	if (has_session && request->session_id != SESSION_NONE)
		fetch_sessions_remove(f->x->server->sessions, request->session_id);
	f->wants_session = epoch == EPOCH_INITIAL;
	plan_by_request(f, request);
}

/* --- the answer --- */

static void make_session(struct fetch *f)
{
	const struct fetch_request *request = f->x->request;
	struct fetch_session *s =
		fetch_sessions_add(f->x->server->sessions, uses_ids(f), f->count, now_ms(f));

	if (!s)
		return;
	f->session = s;
	pthread_mutex_lock(&s->mtx);
	put_all(f, s, request); /* a new session has forgotten nothing */
	for (size_t i = 0; i < f->count; i++) {
		struct fetch_part *part = &f->parts[i];
		struct session_part *slot = fetch_session_find(s, &part->topic, part->index);
		slot->sent_high_watermark = part->high_watermark;
		slot->sent_log_start_offset = part->log_start_offset;
		if (part->bytes)
			fetch_session_served(s, slot);
	}
	pthread_mutex_unlock(&s->mtx);
}

/* Whether an incremental answer has to mention the part; the session remembers that it did. An error is mentioned each time,
 * and everything after it. */
static bool is_news(struct fetch_session *s, const struct fetch_part *part)
{
	struct session_part *slot = part->slot;
	bool is_news = part->bytes || part->err ||
		       slot->sent_high_watermark != part->high_watermark ||
		       slot->sent_log_start_offset != part->log_start_offset;

	slot->sent_high_watermark = part->high_watermark;
	slot->sent_log_start_offset = part->log_start_offset;
	if (part->bytes)
		fetch_session_served(s, slot);
	return is_news;
}

/* Keeps only the parts that are news. */
static void choose_news(struct fetch *f)
{
	size_t kept = 0;

	pthread_mutex_lock(&f->session->mtx);
	if (f->session->epoch != f->session_epoch)
		f->error = ERR_INVALID_FETCH_SESSION_EPOCH;
	for (size_t i = 0; i < f->count && !f->error; i++)
		if (is_news(f->session, &f->parts[i])) {
			struct fetch_part part = f->parts[i];
			f->parts[i] = f->parts[kept];
			f->parts[kept++] = part;
		}
	pthread_mutex_unlock(&f->session->mtx);
	f->answered = kept;
}

static void fill_part(const struct fetch *f, const struct fetch_part *part,
		      struct fetch_response_partition *a)
{
	wire_defaults(fetch_response_partition_desc(), a);
	a->partition_index = part->index;
	a->error_code = wire_code(part->err);
	a->high_watermark = part->high_watermark;
	a->last_stable_offset = part->last_stable_offset;
	a->log_start_offset = part->log_start_offset;
	/* A list for those who want to know, if only an empty one; else none. */
	a->aborted_transactions.v = part->aborted;
	a->aborted_transactions.n = f->is_committed ? part->aborted_count : -1;
	a->records.v = part->refs;
	a->records.n = part->ref_count;
}

/* Neighbours of one topic share its entry. */
static void fill(struct fetch *f, struct fetch_response *response)
{
	struct fetch_response_partition *all = exchange_alloc(f->x, f->answered, sizeof *all);
	struct fetch_response_response *t = NULL;

	response->responses.v = exchange_alloc(f->x, f->answered, sizeof *response->responses.v);
	for (size_t i = 0; i < f->answered; i++) {
		const struct fetch_part *part = &f->parts[i];
		if (i == 0 || !is_same_topic(&part->topic, &part[-1].topic)) {
			t = &response->responses.v[response->responses.n++];
			t->topic = part->topic.name;
			t->topic_id = part->topic.id;
			t->partitions.v = &all[i];
		}
		fill_part(f, part, &t->partitions.v[t->partitions.n++]);
	}
}

void fetch_answer(struct fetch *f)
{
	struct fetch_response *response = f->x->response;

	f->answered = f->count;
	if (f->wants_session && f->count && !f->is_cancelled)
		make_session(f);
	else if (f->is_incremental && !f->error)
		choose_news(f);
	response->error_code = (int16_t)f->error;
	if (f->error)
		return;
	if (f->session && !f->has_ended)
		response->session_id = f->session->id;
	fill(f, response);
}

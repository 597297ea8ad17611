/* coordinator_calls.h - requests of groups and transactions as a server sends them, and waiting for their answers. */
#ifndef TESTS_UNIT_BROKER_COORDINATOR_CALLS_H
#define TESTS_UNIT_BROKER_COORDINATOR_CALLS_H

#include "rig.h"

#include <pthread.h>

#include "wire/api.h"

/* One call, under way or answered. */
struct sent {
	struct coordinator_call call;
	struct arena arena;
	pthread_mutex_t mtx;
	pthread_cond_t done;
	bool is_done;
};

static inline void sent_done(struct coordinator_call *call)
{
	struct sent *s = call->cookie;

	pthread_mutex_lock(&s->mtx);
	assert_false(s->is_done);
	s->is_done = true;
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->mtx);
}

/* A call that is made with broker_group_call or broker_txn_call. The request stays alive until the answer is there. */
static inline struct sent *sent_unsent(int16_t key, int16_t version, const void *request)
{
	const struct wire_api *api = wire_api_find(key);
	struct sent *s = calloc(1, sizeof *s);

	assert_true(version >= api->version_min && version <= api->version_max);
	pthread_mutex_init(&s->mtx, NULL);
	pthread_cond_init(&s->done, NULL);
	s->call = (struct coordinator_call){
		.api_key = key,
		.version = version,
		.request = request,
		.response = calloc(1, api->response()->size),
		.arena = &s->arena,
		.client_id = slice_str("app"),
		.client_host = "/127.0.0.1",
		.done = sent_done,
		.cookie = s,
	};
	wire_defaults(api->response(), s->call.response);
	return s;
}

static inline struct sent *sent_new(struct rig *r, int16_t key, int16_t version,
				    const void *request)
{
	struct sent *s = sent_unsent(key, version, request);

	broker_group_call(r->b, &s->call);
	return s;
}

static inline bool sent_is_done(struct sent *s)
{
	pthread_mutex_lock(&s->mtx);
	bool is_done = s->is_done;
	pthread_mutex_unlock(&s->mtx);
	return is_done;
}

/* The response, as it can be encoded in its version. */
static inline void *sent_wait(struct sent *s)
{
	const struct wire_api *api = wire_api_find(s->call.api_key);
	struct wire_out out = {.total = 0};

	pthread_mutex_lock(&s->mtx);
	while (!s->is_done)
		pthread_cond_wait(&s->done, &s->mtx);
	pthread_mutex_unlock(&s->mtx);
	assert_int_equal(s->call.err, 0);
	wire_write(&out, api->response(), s->call.response, s->call.version, api->first_flexible);
	assert_true(out.total > 0);
	wire_out_fini(&out);
	return s->call.response;
}

/* The store fails: there is no answer, only the error. */
static inline enum ks_err sent_wait_failed(struct sent *s)
{
	pthread_mutex_lock(&s->mtx);
	while (!s->is_done)
		pthread_cond_wait(&s->done, &s->mtx);
	pthread_mutex_unlock(&s->mtx);
	return s->call.err;
}

static inline void sent_free(struct sent *s)
{
	assert_true(sent_is_done(s));
	arena_fini(&s->arena);
	free(s->call.response);
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->mtx);
	free(s);
}

/* Waits until the shard has come to everything that was sent before. */
static inline void flush(struct rig *r)
{
	static const struct heartbeat_request nobody = {
		.group_id = {(const uint8_t *)"?", 1},
		.member_id = {(const uint8_t *)"", 0},
	};
	struct sent *s = sent_new(r, API_heartbeat, 4, &nobody);

	sent_wait(s);
	sent_free(s);
}

/* Lets time pass for everybody: what was sent before is older, and deadlines that fell due have
 * been looked at when it returns. */
static inline void pass(struct rig *r, int64_t ms)
{
	flush(r);
	r->now_ms += ms;
	r->now_ns += ms * 1000000;
	/* The shard looks at the clock before it takes a command. A timer that is due may set
	 * another one that is due; twice is enough for what is tested here. */
	flush(r);
	flush(r);
}

#endif

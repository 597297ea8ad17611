/* server_rig.h - a server over a broker in memory, and peers that talk to it in bytes.
 *
 * A peer is one end of a socketpair whose other end the server has adopted: what is written to it is what a
 * client would have sent, byte for byte. Peers give up after two minutes, so that a test fails rather than hangs.
 */
#ifndef TESTS_UNIT_SERVER_SERVER_RIG_H
#define TESTS_UNIT_SERVER_SERVER_RIG_H

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/server_impl.h"
#include "tests/check.h"
#include "wire/api.h"
#include "wire/batch.h"

#define PEERS_MAX   32
#define FRAMES      64
#define PATIENCE_S  120
#define LEADER_NONE (-1)
#define AGES_MS     3600000

struct rig {
	struct broker_options bo;
	struct server_options so;
	struct server_listener listener;
	struct broker *b;
	struct server *s;
	int peers[PEERS_MAX];
	int peer_count;
	struct arena arena;        /* of the answers that were read */
	struct buf frames[FRAMES]; /* the bytes of the newest */
	size_t frame_count;
};

/* --- life --- */

static inline struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof *r);

	r->bo = (struct broker_options){.store = {.create = true}, .default_partitions = 1};
	r->listener.host = "127.0.0.1";
	/* Nobody is too slow, however long a batch takes to be made. */
	r->so = (struct server_options){.listeners = &r->listener,
					.listener_count = 1,
					.loops = 2,
					.idle_ms = AGES_MS,
					.first_request_ms = AGES_MS,
					.slow_ms = AGES_MS};
	return r;
}

/* Over the broker that is there. */
static inline void rig_serve(struct rig *r)
{
	r->so.broker = r->b;
	assert_ok(server_start(&r->so, &r->s, why));
}

static inline void rig_start(struct rig *r)
{
	assert_ok(broker_open(&r->bo, &r->b, why));
	rig_serve(r);
}

static inline int rig_setup(void **state)
{
	*state = rig_new();
	rig_start(*state);
	return 0;
}

static inline void rig_stop(struct rig *r)
{
	server_stop(r->s, 10000);
	r->s = NULL;
	broker_close(r->b);
	r->b = NULL;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	rig_stop(r);
	for (int i = 0; i < r->peer_count; i++)
		if (r->peers[i] >= 0)
			close(r->peers[i]);
	for (size_t i = 0; i < FRAMES; i++)
		buf_fini(&r->frames[i]);
	arena_fini(&r->arena);
	free(r);
	return 0;
}

#define TEST(f)             cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
/* With options of its own: setup begins with rig_new and ends with rig_start. */
#define TEST_WITH(f, setup) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

static inline struct topic *rig_topic_with(struct rig *r, const char *name, int32_t partitions,
					   const char *key, const char *value)
{
	struct config_entry config = {key, value};
	struct topic_spec spec = {.name = name,
				  .partitions = partitions,
				  .configs = &config,
				  .config_count = key != NULL};

	assert_ok(broker_topic_create(r->b, &spec, why));
	return broker_topic_find(r->b, name);
}

static inline struct topic *rig_topic(struct rig *r, const char *name, int32_t partitions)
{
	return rig_topic_with(r, name, partitions, NULL, NULL);
}

/* --- peers ---
 *
 * A call that has a timeout ends with EINTR when the process was stopped or frozen meanwhile, without any handler. */

static inline ssize_t rig_recv(int fd, void *bytes, size_t n, int flags)
{
	ssize_t part;

	do
		part = recv(fd, bytes, n, flags);
	while (part < 0 && errno == EINTR);
	return part;
}

static inline void rig_write(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t part = send(fd, p, n, MSG_NOSIGNAL);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			fail_msg("the server takes no more: %s", strerror(errno));
		p += part;
		n -= (size_t)part;
	}
}

/* A peer that has sent these few bytes by the time the server knows of it. */
static inline int rig_connect_with(struct rig *r, const void *bytes, size_t n)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int pair[2];

	assert_true(r->peer_count < PEERS_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	rig_write(pair[0], bytes, n);
	server_adopt(r->s, pair[1]);
	r->peers[r->peer_count++] = pair[0];
	return pair[0];
}

static inline int rig_connect(struct rig *r)
{
	return rig_connect_with(r, NULL, 0);
}

static inline void rig_disconnect(struct rig *r, int fd)
{
	for (int i = 0; i < r->peer_count; i++)
		if (r->peers[i] == fd)
			r->peers[i] = -1;
	close(fd);
}

/* false: the server has closed the connection before the first byte. */
static inline bool rig_read(int fd, void *bytes, size_t n)
{
	char *p = bytes;

	for (size_t have = 0; have < n;) {
		ssize_t part = rig_recv(fd, p + have, n - have, 0);
		if (part < 0 && errno == EAGAIN)
			fail_msg("no answer came");
		if (part < 0 && errno != ECONNRESET)
			fail_msg("cannot receive: %s", strerror(errno));
		if (part <= 0 && have > 0)
			fail_msg("the connection ended in the middle of an answer");
		if (part <= 0)
			return false;
		have += (size_t)part;
	}
	return true;
}

static inline bool rig_is_closed(int fd)
{
	char byte;
	return !rig_read(fd, &byte, 1);
}

/* Appends a whole request, with its length. */
static inline void request_write(struct buf *out, int16_t api_key, int16_t version,
				 int32_t correlation_id, const void *request)
{
	const struct wire_api *api = wire_api_find(api_key);
	struct wire_out o = {.total = 0};
	struct wire_mark mark =
		request_header_write(&o, api, version, correlation_id, slice_str("rig"));

	wire_write(&o, api->request(), request, version, api->first_flexible);
	message_finish(&o, mark);
	buf_append(out, o.bytes.data, o.bytes.len);
	wire_out_fini(&o);
}

static inline void rig_send(int fd, int16_t api_key, int16_t version, int32_t correlation_id,
			    const void *request)
{
	struct buf b = {0};

	request_write(&b, api_key, version, correlation_id, request);
	rig_write(fd, b.data, b.len);
	buf_fini(&b);
}

/* The next answer, which must be of this request; lives for some answers more. */
static inline void *rig_receive(struct rig *r, int fd, int16_t api_key, int16_t version,
				int32_t correlation_id)
{
	const struct wire_api *api = wire_api_find(api_key);
	uint8_t head[4];
	struct slice body;
	struct wire_reader reader;
	int32_t id;

	if (!rig_read(fd, head, sizeof head))
		fail_msg("the connection was closed instead of an answer");
	uint32_t len = get_u32be(head);
	struct buf *b = &r->frames[r->frame_count++ % FRAMES];
	buf_clear(b);
	buf_reserve(b, len);
	assert_true(rig_read(fd, b->data, len));
	assert_ok(response_header_read(slice_of(b->data, len), api, version, &id, &body));
	assert_int_equal(id, correlation_id);
	void *message = arena_alloc(&r->arena, api->response()->size);
	wire_reader_init(&reader, body, version, api->first_flexible, &r->arena, 64 << 20);
	assert_ok(wire_read(&reader, api->response(), message));
	return message;
}

static inline void *rig_ask(struct rig *r, int fd, int16_t api_key, int16_t version,
			    const void *request)
{
	static int32_t next = 1000;
	int32_t id = next++;

	rig_send(fd, api_key, version, id, request);
	return rig_receive(r, fd, api_key, version, id);
}

static const struct api_versions_request rig_nothing = {
	.client_software_name = {(const uint8_t *)"a", 1},
	.client_software_version = {(const uint8_t *)"1", 1}};

/* Asks for next to nothing: what came before on this connection has been read by now. */
static inline void rig_ping(struct rig *r, int fd)
{
	rig_ask(r, fd, API_api_versions, 0, &rig_nothing);
}

/* --- batches --- */

/* A batch of records with these values and, unless key is NULL, this key. */
static inline void batch_write(struct buf *out, const char *key, const char *const *values,
			       size_t count, int64_t timestamp, enum codec codec)
{
	struct batch_writer w;
	struct buf scratch = {0};

	batch_writer_begin(&w, out);
	for (size_t i = 0; i < count; i++)
		batch_writer_append(&w, timestamp, key ? slice_str(key) : SLICE_NULL,
				    slice_str(values[i]), SLICE_NULL, 0);
	batch_writer_finish(&w, codec, &scratch);
	buf_fini(&scratch);
}

/* A request that produces these bytes to one partition. v13 names no topics: see rig_produce_id. */
struct rig_produce {
	struct produce_request request;
	struct produce_request_topic_data topic;
	struct produce_request_partition_data partition;
	struct wire_ref ref;
};

static inline void produce_fill(struct rig_produce *p, const char *topic, int32_t index,
				int16_t acks, struct slice records)
{
	*p = (struct rig_produce){.request = {.acks = acks, .timeout_ms = 1000}};
	p->request.topic_data.v = &p->topic;
	p->request.topic_data.n = 1;
	p->topic.name = slice_str(topic);
	p->topic.partition_data.v = &p->partition;
	p->topic.partition_data.n = 1;
	p->partition.index = index;
	p->ref.bytes = records;
	p->partition.records.v = &p->ref;
	p->partition.records.n = records.data ? 1 : -1;
}

static inline const struct produce_response_partition_response *
rig_produce_bytes(struct rig *r, int fd, int16_t version, const char *topic, struct slice records)
{
	struct rig_produce p;

	produce_fill(&p, topic, 0, -1, records);
	struct produce_response *a = rig_ask(r, fd, API_produce, version, &p.request);
	assert_int_equal(a->responses.n, 1);
	assert_int_equal(a->responses.v[0].partition_responses.n, 1);
	return &a->responses.v[0].partition_responses.v[0];
}

/* One record of this value to partition 0; returns its offset. */
static inline int64_t rig_produce(struct rig *r, int fd, const char *topic, const char *value)
{
	struct buf b = {0};

	batch_write(&b, "k", &value, 1, 1700000000000, CODEC_NONE);
	const struct produce_response_partition_response *a =
		rig_produce_bytes(r, fd, 9, topic, buf_slice(&b));
	buf_fini(&b);
	assert_int_equal(a->error_code, 0);
	return a->base_offset;
}

/* A batch of one record whose value has so many bytes. */
static inline void batch_write_large(struct buf *out, size_t bytes, enum codec codec)
{
	char *value = malloc(bytes + 1);

	memset(value, 'x', bytes);
	value[bytes] = 0;
	batch_write(out, "k", (const char *const[]){value}, 1, 1, codec);
	free(value);
}

/* A whole request that produces one to partition 0, of version 9. */
static inline void request_write_large(struct buf *out, int32_t correlation_id, const char *topic,
				       size_t bytes)
{
	struct rig_produce p;
	struct buf records = {0};

	batch_write_large(&records, bytes, CODEC_NONE);
	produce_fill(&p, topic, 0, -1, buf_slice(&records));
	request_write(out, API_produce, 9, correlation_id, &p.request);
	buf_fini(&records);
}

static inline void rig_produce_large(struct rig *r, int fd, const char *topic, size_t bytes)
{
	struct buf records = {0};

	batch_write_large(&records, bytes, CODEC_NONE);
	assert_int_equal(rig_produce_bytes(r, fd, 9, topic, buf_slice(&records))->error_code, 0);
	buf_fini(&records);
}

/* --- memory --- */

/* Until all that was written so far has been taken, or given back. */
static inline void await_used(struct pool *p, size_t bytes)
{
	while (pool_used_bytes(p) != bytes)
		sched_yield();
}

static inline void await_shortage(struct pool *p)
{
	while (!pool_is_short(p))
		sched_yield();
}

/* --- fetching --- */

struct rig_fetch {
	struct fetch_request request;
	struct fetch_request_topic topic;
	struct fetch_request_partition partition;
};

static inline void fetch_fill(struct rig_fetch *f, const char *topic, int64_t offset,
			      int32_t max_wait_ms)
{
	*f = (struct rig_fetch){.request = {.replica_id = -1,
					    .max_wait_ms = max_wait_ms,
					    .min_bytes = 1,
					    .max_bytes = 1 << 20,
					    .session_epoch = -1}};
	f->request.topics.v = &f->topic;
	f->request.topics.n = 1;
	f->topic.topic = slice_str(topic);
	f->topic.partitions.v = &f->partition;
	f->topic.partitions.n = 1;
	f->partition = (struct fetch_request_partition){.current_leader_epoch = LEADER_NONE,
							.fetch_offset = offset,
							.last_fetched_epoch = -1,
							.log_start_offset = -1,
							.partition_max_bytes = 1 << 20};
}

static inline struct slice records_of(const struct wire_records *records)
{
	return records->n > 0 ? records->v[0].bytes : SLICE_NULL;
}

/* How many records the batches have; the value of the first one into text. */
static inline int count_records(struct slice batches, char *text, size_t cap)
{
	struct buf scratch = {0};
	struct batch b;
	int count = 0;

	for (size_t at = 0; at < batches.len; at += b.bytes.len) {
		struct record_iter it;
		struct record record;
		assert_ok(batch_verify(slice_of(batches.data + at, batches.len - at), &b));
		assert_ok(record_iter_init(&it, &b, 64 << 20, &scratch));
		while (record_iter_next(&it, &record) > 0)
			if (count++ == 0 && text)
				snprintf(text, cap, "%.*s", (int)record.value.len,
					 (const char *)record.value.data);
	}
	buf_fini(&scratch);
	return count;
}

#endif

/* fake.c - see fake.h. */
#include "fake.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16

struct fake {
	int listener, stop;
	uint16_t port;
	char address[32];
	pthread_t thread;
	fake_answer *answer;
	void *arg;
	int connections[CONNECTIONS_MAX];
	int count;
	_Atomic(int) calls[WIRE_API_KEYS];
};

void *fake_alloc(struct fake_call *c, size_t count, size_t size)
{
	return memset(arena_alloc(c->arena, count * size), 0, count * size);
}

static void fill_versions(struct fake_call *c)
{
	struct api_versions_response *m = c->response;

	m->api_keys.v = fake_alloc(c, wire_api_count, sizeof *m->api_keys.v);
	m->api_keys.n = (int32_t)wire_api_count;
	for (size_t i = 0; i < wire_api_count; i++)
		m->api_keys.v[i] = (struct api_versions_response_api_key){
			wire_apis[i].key, wire_apis[i].version_min, wire_apis[i].version_max};
}

static void fill_brokers(struct fake_call *c)
{
	struct metadata_response *m = c->response;

	if (m->brokers.n)
		return;
	m->brokers.v = fake_alloc(c, 1, sizeof *m->brokers.v);
	m->brokers.n = 1;
	m->brokers.v[0] = (struct metadata_response_broker){
		.node_id = 1, .host = slice_str("127.0.0.1"), .port = c->fake->port};
	m->controller_id = 1;
	m->cluster_id = slice_str("fake");
}

void fake_topic(struct fake_call *c, const char *name, int32_t n, int32_t node, enum ks_err err)
{
	struct metadata_response *m = c->response;
	struct metadata_response_topic *t = fake_alloc(c, 1, sizeof *t);
	int32_t *nodes = fake_alloc(c, 1, sizeof *nodes);

	*nodes = node;
	m->topics.v = t;
	m->topics.n = 1;
	t->name = slice_str(name);
	t->error_code = (int16_t)err;
	if (err)
		return;
	t->partitions.v = fake_alloc(c, (size_t)n, sizeof *t->partitions.v);
	t->partitions.n = n;
	for (int32_t i = 0; i < n; i++)
		t->partitions.v[i] = (struct metadata_response_partition){
			.partition_index = i,
			.leader_id = node,
			.error_code = node < 0 ? ERR_LEADER_NOT_AVAILABLE : ERR_NONE,
			.replica_nodes = {nodes, 1},
			.isr_nodes = {nodes, 1}};
}

/* --- sockets --- */

static bool read_exactly(int fd, void *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(fd, (char *)to + at, len - at, 0);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static void write_exactly(int fd, struct slice bytes)
{
	while (bytes.len) {
		ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
	}
}

static void write_answer(int fd, const struct fake_call *c)
{
	struct wire_out out = {0};
	struct wire_mark start = response_header_write(&out, c->api, c->version, c->correlation_id);

	wire_write(&out, c->api->response(), c->response, c->version, c->api->first_flexible);
	message_finish(&out, start);
	assert(out.ref_count == 0 && "records of a fake are copied");
	write_exactly(fd, buf_slice(&out.bytes));
	wire_out_fini(&out);
}

/* False: the connection ends. */
static bool answer_one(struct fake *f, int fd, struct slice bytes, struct arena *arena)
{
	struct request_header h;
	struct fake_call c = {.fake = f, .arena = arena};
	struct wire_reader reader;
	struct slice body;

	if (request_header_read(bytes, &h, &c.api, &body) || !c.api)
		return false;
	c.version = h.api_version;
	c.correlation_id = h.correlation_id;
	void *request = fake_alloc(&c, 1, c.api->request()->size);
	c.response = fake_alloc(&c, 1, c.api->response()->size);
	wire_defaults(c.api->response(), c.response);
	wire_reader_init(&reader, body, c.version, c.api->first_flexible, arena, 1 << 20);
	if (wire_read(&reader, c.api->request(), request))
		return false;
	c.request = request;
	enum fake_turn turn = f->answer ? f->answer(&c, f->arg) : FAKE_DEFAULT;
	atomic_fetch_add(&f->calls[c.api->key], 1);
	if (turn == FAKE_DEFAULT && c.api->key == API_api_versions)
		fill_versions(&c);
	if ((turn == FAKE_DEFAULT || turn == FAKE_ANSWER) && c.api->key == API_metadata)
		fill_brokers(&c);
	if (turn == FAKE_RAW)
		write_exactly(fd, c.raw);
	else if (turn != FAKE_SILENT && turn != FAKE_CLOSE)
		write_answer(fd, &c);
	return turn != FAKE_CLOSE && turn != FAKE_LAST;
}

static bool serve(struct fake *f, int fd)
{
	struct arena arena = {0};
	uint8_t head[4];

	if (!read_exactly(fd, head, 4))
		return false;
	size_t len = get_u32be(head);
	struct frame *frame = frame_new(len);
	bool goes_on = read_exactly(fd, frame->data, len) &&
		       answer_one(f, fd, slice_of(frame->data, len), &arena);
	frame_unref(frame);
	arena_fini(&arena);
	return goes_on;
}

static void *run(void *arg)
{
	struct fake *f = arg;

	for (;;) {
		struct pollfd fds[CONNECTIONS_MAX + 2] = {{f->stop, POLLIN, 0},
							  {f->listener, POLLIN, 0}};
		int n = f->count;
		for (int i = 0; i < n; i++)
			fds[i + 2] = (struct pollfd){f->connections[i], POLLIN, 0};
		poll(fds, (nfds_t)n + 2, -1);
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents && f->count < CONNECTIONS_MAX)
			f->connections[f->count++] = accept(f->listener, NULL, NULL);
		for (int i = n - 1; i >= 0; i--) {
			if (!fds[i + 2].revents || serve(f, f->connections[i]))
				continue;
			close(f->connections[i]);
			f->connections[i] = f->connections[--f->count];
		}
	}
}

/* A socket with a port of its own. */
static int bind_any(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert(bind(fd, (struct sockaddr *)&a, len) == 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

struct fake *fake_start(fake_answer *answer, void *arg)
{
	struct fake *f = calloc(1, sizeof *f);

	f->answer = answer;
	f->arg = arg;
	f->stop = eventfd(0, 0);
	f->listener = bind_any(&f->port);
	assert(listen(f->listener, CONNECTIONS_MAX) == 0);
	snprintf(f->address, sizeof f->address, "127.0.0.1:%u", f->port);
	assert(pthread_create(&f->thread, NULL, run, f) == 0);
	return f;
}

void fake_stop(struct fake *f)
{
	uint64_t one = 1;

	if (!f)
		return;
	assert(write(f->stop, &one, sizeof one) == sizeof one);
	pthread_join(f->thread, NULL);
	for (int i = 0; i < f->count; i++)
		close(f->connections[i]);
	close(f->listener);
	close(f->stop);
	free(f);
}

int dead_port_open(uint16_t *port)
{
	return bind_any(port);
}

uint16_t fake_port(const struct fake *f)
{
	return f->port;
}

const char *fake_address(const struct fake *f)
{
	return f->address;
}

int fake_count(struct fake *f, int16_t api_key)
{
	return atomic_load(&f->calls[api_key]);
}

/* connection.c - see connection.h. */
#include "client/connection.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define FRAME_BYTES_MAX    ((size_t)128 << 20)
#define ARENA_BYTES_MAX    ((size_t)64 << 20)
#define CONNECT_TIMEOUT_MS 5000
#define REQUEST_TIMEOUT_MS 30000
#define READ_BYTES         ((size_t)64 << 10)
#define FIRST_API_VERSIONS                                                                         \
	3 /* the first version with a name for the client, which old brokers refuse politely */

struct version_range {
	int16_t min, max; /* max -1: the API is not there */
};

struct client_connection {
	struct client_options options; /* complete */
	char *name;                    /* host:port */
	int fd;
	bool is_broken;
	struct version_range versions[WIRE_API_KEYS];
	int32_t correlation_id;
	struct wire_out out;

	/* the request under way */
	const struct wire_api *api; /* NULL: none */
	int16_t version;
	int64_t deadline_ns;
	bool is_interruptible;
};

static struct client_options complete(const struct client_options *options)
{
	struct client_options o = *options;

	if (!o.client_id)
		o.client_id = "ks";
	if (!o.connect_timeout_ms)
		o.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (!o.request_timeout_ms)
		o.request_timeout_ms = REQUEST_TIMEOUT_MS;
	if (!o.frame_bytes_max)
		o.frame_bytes_max = FRAME_BYTES_MAX;
	if (!o.arena_bytes_max)
		o.arena_bytes_max = ARENA_BYTES_MAX;
	return o;
}

static int64_t deadline_in(int timeout_ms)
{
	return clock_monotonic_ns(&clock_real) + (int64_t)timeout_ms * 1000000;
}

/* For poll(): at least 0. */
static int left_ms(int64_t deadline_ns)
{
	int64_t left = deadline_ns - clock_monotonic_ns(&clock_real);

	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* The system's reason, as a part of a sentence. */
static const char *reason(int error, char *out, size_t cap)
{
	snprintf(out, cap, "%s", strerror(error));
	if (isupper((unsigned char)out[0]) && islower((unsigned char)out[1]))
		out[0] = (char)tolower((unsigned char)out[0]);
	return out;
}

static enum ks_err lost(struct client_connection *c, int error, struct ks_why *why)
{
	char text[128];

	c->is_broken = true;
	return ks_fail(why, ERR_UNREACHABLE, "lost the connection to %s: %s", c->name,
		       error ? reason(error, text, sizeof text) : "the broker closed it");
}

/* Waits until the socket is ready for events.
 *   ERR_REQUEST_TIMED_OUT, ERR_CLOSED; a broken socket counts as ready */
static enum ks_err wait_ready(int fd, short events, int64_t deadline_ns, int stop_fd)
{
	struct pollfd fds[] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
	int n;

	do
		n = poll(fds, stop_fd ? 2 : 1, left_ms(deadline_ns));
	while (n < 0 && errno == EINTR);
	if (n > 0 && stop_fd && fds[1].revents)
		return ERR_CLOSED;
	return n == 0 ? ERR_REQUEST_TIMED_OUT : ERR_NONE;
}

/* The same for a request under way, with its sentences. */
static enum ks_err wait_for(struct client_connection *c, short events, struct ks_why *why)
{
	enum ks_err err = wait_ready(c->fd, events, c->deadline_ns,
				     c->is_interruptible ? c->options.stop_fd : 0);

	if (err)
		c->is_broken = true;
	if (err == ERR_REQUEST_TIMED_OUT)
		return ks_fail(why, err, "%s did not answer %s in time", c->name, c->api->name);
	return err ? ks_fail(why, err, "interrupted") : ERR_NONE;
}

/* --- opening --- */

static int connect_address(const struct addrinfo *a, const struct client_options *o, int *error)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	socklen_t len = sizeof *error;

	*error = 0;
	if (fd < 0) {
		*error = errno;
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	*error = errno;
	if (*error == EINPROGRESS) {
		*error = ETIMEDOUT;
		if (wait_ready(fd, POLLOUT, deadline_in(o->connect_timeout_ms), 0) == ERR_NONE)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &len);
		if (*error == 0)
			return fd;
	}
	close(fd);
	return -1;
}

static enum ks_err connect_name(const char *host, uint16_t port, const struct client_options *o,
				int *out, struct ks_why *why)
{
	struct addrinfo hints = {.ai_family = o->address_family,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_ADDRCONFIG},
			*found;
	char service[8], text[128];
	int fd = -1, error = 0;

	snprintf(service, sizeof service, "%u", port);
	int code = getaddrinfo(host, service, &hints, &found);
	if (code)
		return ks_fail(why, ERR_UNREACHABLE, "cannot reach %s:%u: %s", host, port,
			       code == EAI_SYSTEM ? reason(errno, text, sizeof text)
						  : gai_strerror(code));
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
		fd = connect_address(a, o, &error);
	freeaddrinfo(found);
	if (fd < 0)
		return ks_fail(why, ERR_UNREACHABLE, "cannot reach %s:%u: %s", host, port,
			       reason(error, text, sizeof text));
	*out = fd;
	return ERR_NONE;
}

static void learn_versions(struct client_connection *c, const struct api_versions_response *r)
{
	for (size_t i = 0; i < WIRE_API_KEYS; i++)
		c->versions[i] = (struct version_range){0, -1};
	for (int32_t i = 0; i < r->api_keys.n; i++) {
		const struct api_versions_response_api_key *k = &r->api_keys.v[i];
		if (k->api_key >= 0 && k->api_key < WIRE_API_KEYS)
			c->versions[k->api_key] =
				(struct version_range){k->min_version, k->max_version};
	}
}

static enum ks_err ask_versions(struct client_connection *c, int16_t version, enum ks_err *answer,
				struct ks_why *why)
{
	struct api_versions_request request = {.client_software_name = slice_str("ks"),
					       .client_software_version = slice_str(KS_VERSION)};
	struct client_call call = {.api_key = API_api_versions, .request = &request};
	struct client_reply r;

	c->versions[API_api_versions] = (struct version_range){0, version};
	enum ks_err err = client_connection_call(c, &call, &r, why);
	if (err)
		return err;
	const struct api_versions_response *m = r.message;
	*answer = (enum ks_err)m->error_code;
	learn_versions(c, m);
	client_reply_fini(&r);
	return ERR_NONE;
}

/* A broker that does not know our version answers in version 0 what it knows. */
static enum ks_err negotiate(struct client_connection *c, struct ks_why *why)
{
	enum ks_err answer = ERR_NONE;
	enum ks_err err = ask_versions(c, FIRST_API_VERSIONS, &answer, why);

	if (!err && answer == ERR_UNSUPPORTED_VERSION)
		err = ask_versions(c, 0, &answer, why);
	if (!err && answer)
		return ks_fail(why, answer, "%s does not tell its versions: %s", c->name,
			       ks_err_text(answer));
	return err;
}

enum ks_err client_connection_open(const char *host, uint16_t port,
				   const struct client_options *options,
				   struct client_connection **out, struct ks_why *why)
{
	struct client_options o = complete(options);
	int fd = -1;
	enum ks_err err = connect_name(host, port, &o, &fd, why);

	if (err)
		return err;
	struct client_connection *c = xcalloc(1, sizeof *c);
	c->options = o;
	c->name = strchr(host, ':') ? xasprintf("[%s]:%u", host, port)
				    : xasprintf("%s:%u", host, port);
	c->fd = fd;
	err = negotiate(c, why);
	if (err) {
		struct ks_why inner = why ? *why : (struct ks_why){""};
		err = ks_fail(why, ERR_UNREACHABLE,
			      "cannot talk to %s: %.700s; is it a Kafka listener without TLS and "
			      "SASL?",
			      c->name, inner.text);
		client_connection_close(c);
		return err;
	}
	*out = c;
	return ERR_NONE;
}

void client_connection_close(struct client_connection *c)
{
	if (!c)
		return;
	close(c->fd);
	wire_out_fini(&c->out);
	free(c->name);
	free(c);
}

const char *client_connection_name(const struct client_connection *c)
{
	return c->name;
}

int client_connection_fd(const struct client_connection *c)
{
	return c->fd;
}

bool client_connection_is_alive(struct client_connection *c)
{
	struct pollfd fd = {c->fd, POLLIN, 0};

	/* Nobody has asked anything: what is there to read can only be the end. */
	if (!c->is_broken && !c->api && poll(&fd, 1, 0) != 0)
		c->is_broken = true;
	return !c->is_broken;
}

enum ks_err client_connection_version(const struct client_connection *c,
				      const struct client_call *call, int16_t *out,
				      struct ks_why *why)
{
	const struct wire_api *api = wire_api_find(call->api_key);
	const struct version_range *theirs = &c->versions[call->api_key];
	int16_t min, max;

	assert(api);
	min = call->version_min > api->version_min ? call->version_min : api->version_min;
	max = call->version_end ? (int16_t)(call->version_end - 1) : api->version_max;
	if (theirs->max < 0)
		return ks_fail(why, ERR_UNSUPPORTED_VERSION, "%s does not know the request %s",
			       c->name, api->name);
	if (theirs->max < min || theirs->min > max)
		return ks_fail(why, ERR_UNSUPPORTED_VERSION,
			       "%s speaks versions %d to %d of %s, we speak %d to %d", c->name,
			       theirs->min, theirs->max, api->name, min, max);
	*out = theirs->max < max ? theirs->max : max;
	return ERR_NONE;
}

/* --- sending --- */

static enum ks_err send_bytes(struct client_connection *c, struct slice bytes, bool has_more,
			      struct ks_why *why)
{
	while (bytes.len) {
		ssize_t n = send(c->fd, bytes.data, bytes.len,
				 MSG_NOSIGNAL | (has_more ? MSG_MORE : 0));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return lost(c, errno, why);
		if (n < 0) {
			enum ks_err err = wait_for(c, POLLOUT, why);
			if (err)
				return err;
			continue;
		}
		bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
	}
	return ERR_NONE;
}

/* Our own bytes and those of frames, as they alternate in c->out. */
static enum ks_err send_out(struct client_connection *c, struct ks_why *why)
{
	struct slice own = buf_slice(&c->out.bytes);
	enum ks_err err = ERR_NONE;
	size_t at = 0;

	for (size_t i = 0; i < c->out.ref_count && !err; i++) {
		const struct wire_out_ref *r = &c->out.refs[i];
		err = send_bytes(c, slice_of(own.data + at, r->at - at), r->ref.bytes.len, why);
		if (!err) /* nothing may wait for more when this is the end */
			err = send_bytes(c, r->ref.bytes,
					 i + 1 < c->out.ref_count || own.len > r->at, why);
		at = r->at;
	}
	return err ? err : send_bytes(c, slice_of(own.data + at, own.len - at), false, why);
}

enum ks_err client_connection_send(struct client_connection *c, const struct client_call *call,
				   struct ks_why *why)
{
	const struct wire_api *api = wire_api_find(call->api_key);
	int16_t version;
	enum ks_err err = client_connection_version(c, call, &version, why);

	if (err)
		return err;
	if (c->is_broken)
		return lost(c, 0, why);
	assert(!c->api);
	c->api = api;
	c->version = version;
	c->is_interruptible = call->is_interruptible;
	c->deadline_ns =
		deadline_in((call->timeout_ms ? call->timeout_ms : c->options.request_timeout_ms) +
			    call->hold_ms);
	wire_out_clear(&c->out);
	struct wire_mark start = request_header_write(&c->out, api, version, ++c->correlation_id,
						      slice_str(c->options.client_id));
	wire_write(&c->out, api->request(), call->request, version, api->first_flexible);
	message_finish(&c->out, start);
	err = send_out(c, why);
	wire_out_clear(&c->out); /* what it refers to is free again */
	if (call->has_no_answer || err)
		c->api = NULL;
	return err;
}

/* --- receiving --- */

/* Makes it len bytes that are in b. The memory grows with what has come, not with what was
 * announced. */
static enum ks_err receive_bytes(struct client_connection *c, struct buf *b, size_t len,
				 struct ks_why *why)
{
	while (b->len < len) {
		size_t want = len - b->len, step = b->len > READ_BYTES ? b->len : READ_BYTES;
		buf_reserve(b, want < step ? want : step);
		ssize_t n = recv(c->fd, b->data + b->len,
				 want < b->cap - b->len ? want : b->cap - b->len, 0);
		if (n == 0)
			return lost(c, 0, why);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return lost(c, errno, why);
		if (n < 0) {
			enum ks_err err = wait_for(c, POLLIN, why);
			if (err)
				return err;
			continue;
		}
		b->len += (size_t)n;
	}
	return ERR_NONE;
}

static enum ks_err receive_frame(struct client_connection *c, struct buf *b, struct ks_why *why)
{
	enum ks_err err = receive_bytes(c, b, 4, why);

	if (err)
		return err;
	uint32_t len = get_u32be(b->data);
	buf_clear(b);
	if (len < 4 || len > INT32_MAX)
		return ks_fail(why, ERR_MALFORMED, "%s sent what is no answer to %s", c->name,
			       c->api->name);
	if (len > c->options.frame_bytes_max)
		return ks_fail(why, ERR_TOO_LARGE, "%s answers %s with %u bytes; %zu are the limit",
			       c->name, c->api->name, len, c->options.frame_bytes_max);
	return receive_bytes(c, b, len, why);
}

static enum ks_err decode(struct client_connection *c, struct client_reply *r, struct ks_why *why)
{
	const struct wire_api *api = c->api;
	struct slice bytes = slice_of(r->frame->data, r->frame->len), body;
	struct wire_reader reader;
	int32_t id;

	r->version = c->version;
	/* The one answer that may come in another version than asked: what follows 35 is version
	 * 0. */
	if (api->key == API_api_versions && bytes.len >= 6 &&
	    get_u16be(bytes.data + 4) == ERR_UNSUPPORTED_VERSION)
		r->version = 0;
	enum ks_err err = response_header_read(bytes, api, r->version, &id, &body);
	if (!err && id != c->correlation_id)
		err = ERR_MALFORMED;
	if (!err) {
		r->message = arena_alloc(&r->arena, api->response()->size);
		wire_reader_init(&reader, body, r->version, api->first_flexible, &r->arena,
				 c->options.arena_bytes_max);
		err = wire_read(&reader, api->response(), r->message);
	}
	return err ? ks_fail(why, err, "cannot read the answer of %s to %s: %s", c->name, api->name,
			     ks_err_text(err))
		   : ERR_NONE;
}

enum ks_err client_connection_receive(struct client_connection *c, struct client_reply *r,
				      struct ks_why *why)
{
	struct buf bytes = {0};
	struct client_reply reply = {0};

	assert(c->api);
	enum ks_err err = receive_frame(c, &bytes, why);
	if (!err) {
		reply.frame = frame_take_buf(&bytes);
		err = decode(c, &reply, why);
	}
	buf_fini(&bytes);
	c->api = NULL;
	if (err) {
		c->is_broken = true; /* where the next answer begins is not known */
		client_reply_fini(&reply);
		return err;
	}
	*r = reply;
	return ERR_NONE;
}

enum ks_err client_connection_call(struct client_connection *c, const struct client_call *call,
				   struct client_reply *r, struct ks_why *why)
{
	enum ks_err err = client_connection_send(c, call, why);

	if (err)
		return err;
	if (call->has_no_answer) {
		*r = (struct client_reply){0};
		return ERR_NONE;
	}
	return client_connection_receive(c, r, why);
}

void client_reply_fini(struct client_reply *r)
{
	frame_unref(r->frame);
	arena_fini(&r->arena);
	*r = (struct client_reply){0};
}

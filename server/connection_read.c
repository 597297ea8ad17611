/* connection_read.c - from a socket's bytes to whole frames.
 *
 *   nothing known --4 bytes--> length known --memory--> frame under way --all bytes--> exchange
 *         ^                                                                                |
 *         +--------------------------------------------------------------------------------+
 *
 * A turn reads into the loop's scratch and cuts it into frames of the right size; of a frame under way the rest is
 * read straight into it, and what follows it into the scratch, by one system call. A frame grows as its bytes
 * arrive: what a peer claims costs nothing. Its memory comes from the server's pool; while that is used up
 * the connection is not read and waits in the pool's line.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "server/exchange_impl.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

/* A connection whose requests take more is not read until some are answered. One request may be larger. */
#define REQUESTS_MAX      256
#define REQUEST_BYTES_MAX (16 * 1024 * 1024)
#define ANSWER_BYTES_MAX  (4 * 1024 * 1024)

#define FRAME_FIRST_BYTES 65536         /* taken at once for a frame that claims more */
#define TURN_BYTES        (1024 * 1024) /* then it is the turn of others */
#define HEADER_BYTES_MIN  8             /* api key, version, correlation id */

static struct pool *pool_of(struct connection *c)
{
	return &c->loop->server->request_memory;
}

bool connection_has_room(const struct connection *c)
{
	return c->count < REQUESTS_MAX && c->request_bytes < REQUEST_BYTES_MAX &&
	       c->answer_bytes < ANSWER_BYTES_MAX;
}

bool connection_may_start(const struct connection *c)
{
	return c->first == c->unstarted ||
	       (c->answer_bytes < ANSWER_BYTES_MAX && c->request_bytes < 2 * REQUEST_BYTES_MAX);
}

/* In the middle of a frame it goes on: what is begun is held anyway. */
static bool may_go_on(const struct connection *c)
{
	return !c->is_ending && !c->is_short_of_memory &&
	       (c->frame || c->length_have || connection_has_room(c));
}

bool connection_wants_more(const struct connection *c)
{
	return may_go_on(c) && !c->stash_len;
}

/* --- the frame --- */

static void adopt_memory(struct connection *c, size_t bytes)
{
	if (c->frame) {
		c->frame = frame_resize(c->frame, c->frame->cap + bytes);
		return;
	}
	c->frame = frame_new(bytes);
}

/* Asks for memory to begin the frame or to make it larger. */
static void ask_for_memory(struct connection *c)
{
	size_t have = c->frame ? c->frame->cap : 0;
	size_t want = have ? 2 * have : FRAME_FIRST_BYTES;

	if (want > c->frame_need)
		want = c->frame_need;
	c->is_short_of_memory = true;
	if (!pool_take_part(pool_of(c), &c->memory, want - have)) {
		loop_watch_shortage(c->loop);
		return;
	}
	c->is_short_of_memory = false;
	adopt_memory(c, want - have);
}

static void on_memory(struct letter *l)
{
	struct connection *c =
		(struct connection *)((char *)l - offsetof(struct connection, memory_letter));

	c->is_short_of_memory = false;
	if (c->is_ending) {
		pool_give_part(pool_of(c), &c->memory, c->memory.bytes);
		connection_freed_memory(c);
		return;
	}
	adopt_memory(c, c->memory.bytes);
	connection_flush(c);
}

static void granted(struct pool_waiter *w)
{
	struct connection *c =
		(struct connection *)((char *)w - offsetof(struct connection, memory));
	loop_post(c->loop, &c->memory_letter);
}

static const char *complaint_about(const struct connection *c, size_t len)
{
	const uint8_t *p = c->length;

	if (len >= HEADER_BYTES_MIN && len <= c->loop->server->options.request_bytes_max)
		return NULL;
	if (p[0] == 0x16 && p[1] == 0x03)
		return "it speaks TLS, and this listener is PLAINTEXT";
	if (!memcmp(p, "GET ", 4) || !memcmp(p, "POST", 4) || !memcmp(p, "HEAD", 4) ||
	    !memcmp(p, "PUT ", 4) || !memcmp(p, "OPTI", 4) || !memcmp(p, "PRI ", 4))
		return "it speaks HTTP, and this is a listener of the Kafka protocol";
	if (len < HEADER_BYTES_MIN)
		return "its request is too short to be one";
	return "its request is larger than socket.request.max.bytes";
}

static size_t take_length(struct connection *c, const uint8_t *bytes, size_t len)
{
	size_t n = sizeof c->length - c->length_have;

	if (n > len)
		n = len;
	memcpy(c->length + c->length_have, bytes, n);
	c->length_have += (unsigned)n;
	if (c->length_have < sizeof c->length)
		return n;
	c->frame_need = get_u32be(c->length);
	const char *complaint = complaint_about(c, c->frame_need);
	if (!complaint) {
		ask_for_memory(c);
		return n;
	}
	c->is_ending = true;
	connection_add(c, exchange_new_refusal(c, complaint));
	return n;
}

static size_t take_body(struct connection *c, const uint8_t *bytes, size_t len)
{
	struct frame *f = c->frame;
	size_t n = f->cap - f->len;

	if (n > len)
		n = len;
	memcpy(f->data + f->len, bytes, n);
	f->len += n;
	return n;
}

/* The frame holds what it has room for: it is whole, or grows. */
static void frame_is_full(struct connection *c)
{
	struct frame *f = c->frame;

	if (f->len < c->frame_need) {
		ask_for_memory(c);
		return;
	}
	c->frame = NULL;
	c->length_have = 0;
	pool_settle(pool_of(c), &c->memory, f->cap);
	struct exchange *x = exchange_new(c, f);
	c->is_ending |= x->refusal != NULL;
	connection_add(c, x);
}

/* Returns how much of it was used: less than len when there is no room or memory, or the connection ends. */
static size_t consume(struct connection *c, const uint8_t *bytes, size_t len)
{
	size_t used = 0;

	while (used < len && may_go_on(c)) {
		if (!c->frame) {
			used += take_length(c, bytes + used, len - used);
			continue;
		}
		used += take_body(c, bytes + used, len - used);
		if (c->frame->len == c->frame->cap)
			frame_is_full(c);
	}
	return used;
}

/* --- the socket --- */

static void keep_for_later(struct connection *c, const uint8_t *bytes, size_t len)
{
	if (!len || c->is_ending)
		return;
	assert(!c->stash_len);
	c->stash = xmalloc(len);
	memcpy(c->stash, bytes, len);
	c->stash_len = len;
}

void connection_read_on(struct connection *c)
{
	if (!c->stash_len || !may_go_on(c))
		return;
	uint8_t *stash = c->stash;
	size_t len = c->stash_len;
	c->stash = NULL;
	c->stash_len = 0;
	size_t used = consume(c, stash, len);
	keep_for_later(c, stash + used, len - used);
	free(stash);
}

/* The end of the stream, or an error. */
static void no_more(struct connection *c, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		connection_kill(c);
	else
		connection_drain(c);
}

/* One system call. Returns whether there may be more to read. */
static bool read_some(struct connection *c, size_t *total)
{
	struct iovec iov[2];
	int n_iov = 0;
	size_t direct = 0, want;

	if (c->frame) {
		direct = c->frame->cap - c->frame->len;
		iov[n_iov++] = (struct iovec){c->frame->data + c->frame->len, direct};
	}
	want = direct;
	if (!c->frame || c->frame->cap == c->frame_need) {
		iov[n_iov++] = (struct iovec){c->loop->scratch, LOOP_SCRATCH_BYTES};
		want += LOOP_SCRATCH_BYTES;
	}
	ssize_t n = readv(c->fd, iov, n_iov);
	if (n <= 0) {
		no_more(c, n);
		return false;
	}
	connection_alive(c, (size_t)n);
	*total += (size_t)n;
	if ((size_t)n < direct) {
		c->frame->len += (size_t)n;
		return false;
	}
	size_t rest = (size_t)n - direct;
	if (c->frame) {
		c->frame->len += direct;
		frame_is_full(c);
	}
	size_t used = consume(c, c->loop->scratch, rest);
	keep_for_later(c, c->loop->scratch + used, rest - used);
	return (size_t)n == want;
}

void connection_read(struct connection *c)
{
	size_t total = 0;

	while (connection_wants_more(c) && total < TURN_BYTES && read_some(c, &total))
		continue;
	if (!c->is_dead)
		connection_watch(c);
}

void connection_read_init(struct connection *c)
{
	c->memory.granted = granted;
	c->memory_letter.deliver = on_memory;
}

void connection_read_stop(struct connection *c)
{
	free(c->stash);
	c->stash = NULL;
	c->stash_len = 0;
	if (c->is_short_of_memory && pool_leave(pool_of(c), &c->memory))
		c->is_short_of_memory = false;
	if (!c->frame)
		return;
	pool_give_part(pool_of(c), &c->memory, c->frame->cap);
	frame_unref(c->frame);
	c->frame = NULL;
}

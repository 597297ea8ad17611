/* connection.c - the life of a connection and its answers; reading is in connection_read.c. */
#include "server/connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/exchange_impl.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

#define IOV_COUNT_MAX 256

/* --- opening --- */

/* The address of a socket's end as text, an IPv4 address within IPv6 as IPv4. */
static void address_text(const struct sockaddr_storage *a, char *out, size_t cap)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;

	snprintf(out, cap, "unknown");
	if (a->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)cap);
	else if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, (socklen_t)cap);
	else if (a->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)cap);
}

static void name_ends(struct connection *c)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof a;

	c->peer[0] = '/';
	if (getpeername(c->fd, (struct sockaddr *)&a, &len))
		a.ss_family = AF_UNSPEC;
	address_text(&a, c->peer + 1, sizeof c->peer - 1);
	len = sizeof a;
	if (getsockname(c->fd, (struct sockaddr *)&a, &len))
		a.ss_family = AF_UNSPEC;
	address_text(&a, c->local_host, sizeof c->local_host);
}

static void cancel_all(struct connection *c);

/* The peer sends no more, perhaps it is gone. What it sent before is still read when there is room; but nothing waits for its
 * sake from now on, or it might be there for ever. */
static void hang_up(struct connection *c)
{
	c->has_hung_up = true;
	cancel_all(c);
	connection_watch(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;

	if (status < 0) {
		connection_kill(c);
		return;
	}
	if (events & UV_DISCONNECT)
		hang_up(c);
	if (events & UV_WRITABLE)
		connection_flush(c);
	if ((events & UV_READABLE) && !c->is_dead && (c->watched & UV_READABLE))
		connection_read(c);
}

void connection_open(struct loop *l, int fd, const struct endpoint *e, const struct in6_addr *ip,
		     uint64_t order)
{
	struct connection *c = xcalloc(1, sizeof *c);
	int one = 1;

	c->loop = l;
	c->fd = fd;
	c->endpoint = e;
	c->ip = *ip;
	c->order = order;
	c->last = &c->first;
	name_ends(c);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	connection_read_init(c);
	connection_room_init(c);
	int failed = uv_poll_init(&l->uv, &c->poll, fd);
	assert(!failed && "the socket is new and not blocking");
	c->poll.data = c;
	counter_add(&l->metrics.connections_opened, 1);
	c->last_sign_ms = loop_timers_now_ms(&l->timers);
	TAILQ_INSERT_TAIL(&l->fresh, c, in_loop);
	loop_watch_silence(l);
	c->watched = UV_READABLE;
	uv_poll_start(&c->poll, c->watched, on_poll);
}

/* --- closing --- */

static bool is_finished(const struct connection *c)
{
	return c->is_closed && !c->first && !c->is_short_of_memory && !c->is_short_of_room;
}

static void free_if_finished(struct connection *c)
{
	struct server *s = c->loop->server;

	if (!is_finished(c))
		return;
	free(c);
	server_unref(s);
}

void connection_freed_memory(struct connection *c)
{
	free_if_finished(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	c->is_closed = true;
	free_if_finished(c);
}

static void unlink_exchange(struct connection *c, struct exchange **at)
{
	struct exchange *x = *at;

	*at = x->next;
	if (!*at)
		c->last = at;
	if (c->unstarted == x)
		c->unstarted = x->next;
	c->count--;
	if (x->is_answered) {
		c->answer_bytes -= x->out.total - x->sent_bytes;
		connection_forgets_answer(c, x);
	}
	exchange_free(x);
}

/* Of a dead connection: lets go of what nobody works on. */
static void sweep(struct connection *c)
{
	struct exchange **at = &c->first;

	while (*at) {
		struct exchange *x = *at;
		if (!x->is_started || (x->is_answered && !x->is_offloaded))
			unlink_exchange(c, at);
		else
			at = &x->next;
	}
}

static void cancel_one(struct exchange *x)
{
	void (*cancel)(struct exchange *) = x->cancel;

	if (x->is_answered || !cancel)
		return;
	x->cancel = NULL;
	cancel(x);
}

/* Handlers may reply from within cancel. */
static void cancel_all(struct connection *c)
{
	c->is_cancelling = true;
	for (struct exchange *x = c->first; x; x = x->next)
		cancel_one(x);
	c->is_cancelling = false;
}

void connection_kill(struct connection *c)
{
	struct loop *l = c->loop;

	if (c->is_dead)
		return;
	c->is_dead = c->is_ending = true;
	counter_add(&l->metrics.connections_closed, 1);
	if (c->is_dirty)
		TAILQ_REMOVE(&l->dirty, c, in_dirty);
	c->is_dirty = false;
	TAILQ_REMOVE(c->has_spoken ? &l->known : &l->fresh, c, in_loop);
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	close(c->fd);
	connection_read_stop(c);
	connection_leave_room(c);
	cancel_all(c);
	sweep(c);
	server_connection_closed(l->server, &c->ip);
}

static void log_refusal(const struct connection *c, const char *why)
{
	static const struct request_header none;
	const struct exchange *x = c->first && c->first->is_aborted ? c->first : NULL;
	const struct request_header *h = x ? &x->header : &none;
	bool has_header = h->api_key || h->api_version || h->correlation_id;
	struct log_field fields[4];
	size_t n = 0;

	fields[n++] = (struct log_field)LOG_STRING("client", c->peer + 1);
	if (*c->client_id)
		fields[n++] = (struct log_field)LOG_STRING("client_id", c->client_id);
	if (x && x->api)
		fields[n++] = (struct log_field)LOG_STRING("api", x->api->name);
	else if (has_header)
		fields[n++] = (struct log_field)LOG_NUMBER("api_key", h->api_key);
	if (has_header)
		fields[n++] = (struct log_field)LOG_NUMBER("version", h->api_version);
	server_log_fields(c->loop->server, fields, n, "connection closed: %s", why);
}

void connection_refuse(struct connection *c, const char *why)
{
	if (c->is_dead)
		return;
	counter_add(&c->loop->metrics.connections_refused, 1);
	log_refusal(c, why);
	connection_kill(c);
}

void connection_close_silent(struct connection *c)
{
	/* It waits for us, not we for it. */
	if (c->has_spoken && c->count && !c->answer_bytes) {
		connection_alive(c, 0);
		return;
	}
	connection_refuse(c, c->has_spoken ? "nothing came or went for connections.max.idle.ms"
					   : "its first request did not come in time");
}

void connection_hurry(struct connection *c)
{
	if (!c->is_dead)
		cancel_all(c);
}

void connection_drain(struct connection *c)
{
	if (c->is_dead)
		return;
	c->is_ending = true;
	connection_read_stop(c);
	if (atomic_load(&c->loop->server->is_stopping))
		connection_leave_room(c); /* what has come is answered */
	cancel_all(c);
	connection_flush(c);
}

void connection_alive(struct connection *c, size_t bytes)
{
	c->progress_bytes += bytes;
	if (!c->has_spoken)
		return;
	c->last_sign_ms = loop_timers_now_ms(&c->loop->timers);
	TAILQ_REMOVE(&c->loop->known, c, in_loop);
	TAILQ_INSERT_TAIL(&c->loop->known, c, in_loop);
}

/* --- requests and answers in order --- */

static void start_next(struct connection *c)
{
	while (c->unstarted && !c->offloaded && !c->is_dead && connection_may_start(c) &&
	       connection_takes_room(c, c->unstarted)) {
		struct exchange *x = c->unstarted;
		c->unstarted = x->next;
		exchange_start(x);
		if (c->is_ending || c->has_hung_up)
			cancel_one(x);
	}
}

void connection_add(struct connection *c, struct exchange *x)
{
	if (!c->has_spoken) {
		struct slice id = x->header.client_id;
		if (id.len)
			snprintf(c->client_id, sizeof c->client_id, "%.*s", (int)id.len,
				 (const char *)id.data);
		TAILQ_REMOVE(&c->loop->fresh, c, in_loop);
		TAILQ_INSERT_TAIL(&c->loop->known, c, in_loop);
		c->has_spoken = true;
		loop_watch_silence(c->loop);
	}
	*c->last = x;
	c->last = &x->next;
	if (!c->unstarted)
		c->unstarted = x;
	c->count++;
	c->request_bytes += x->charged_bytes;
	start_next(c);
}

static void make_dirty(struct connection *c)
{
	if (c->is_dirty || c->is_dead)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&c->loop->dirty, c, in_dirty);
}

void connection_answered(struct connection *c, struct exchange *x)
{
	bool waited = !c->answer_bytes;

	x->is_answered = true;
	c->answer_bytes += x->out.total;
	connection_counts_answer(c, x);
	if (!c->is_dead) {
		if (waited)
			connection_alive(c, 0); /* until now it waited for us */
		make_dirty(c);
		return;
	}
	if (c->is_cancelling)
		return;
	sweep(c);
	free_if_finished(c);
}

void connection_unblocked(struct connection *c, struct exchange *x)
{
	x->is_offloaded = false;
	c->offloaded--;
	if (c->is_dead) {
		sweep(c);
		free_if_finished(c);
		return;
	}
	start_next(c);
	make_dirty(c); /* x may have been answered before */
}

/* --- writing --- */

/* The pieces of out from its byte skip on. */
static int gather(const struct wire_out *o, size_t skip, struct iovec *iov, int cap)
{
	size_t at = 0; /* in o->bytes */
	int n = 0;

	for (size_t i = 0; i <= o->ref_count && n < cap; i++) {
		size_t end = i < o->ref_count ? o->refs[i].at : o->bytes.len;
		struct slice pieces[2] = {slice_of(o->bytes.data + at, end - at), SLICE_NULL};
		if (i < o->ref_count)
			pieces[1] = o->refs[i].ref.bytes;
		for (int j = 0; j < 2 && n < cap; j++) {
			size_t gone = skip < pieces[j].len ? skip : pieces[j].len;
			skip -= gone;
			if (pieces[j].len > gone)
				iov[n++] = (struct iovec){(void *)(pieces[j].data + gone),
							  pieces[j].len - gone};
		}
		at = end;
	}
	return n;
}

/* Drops the answers at the front that are wholly sent. */
static void drop_sent(struct connection *c)
{
	while (c->first && c->first->is_answered && !c->first->is_offloaded &&
	       !c->first->is_aborted && c->first->sent_bytes == c->first->out.total)
		unlink_exchange(c, &c->first);
}

static void count_sent(struct connection *c, size_t n)
{
	for (struct exchange *x = c->first; n; x = x->next) {
		size_t left = x->out.total - x->sent_bytes;
		size_t part = n < left ? n : left;
		x->sent_bytes += part;
		c->answer_bytes -= part;
		n -= part;
	}
}

/* One system call. false: the socket takes no more for now, or is dead. */
static bool send_some(struct connection *c)
{
	struct iovec iov[IOV_COUNT_MAX];
	struct msghdr m = {.msg_iov = iov};

	for (struct exchange *x = c->first; x && x->is_answered && !x->is_aborted; x = x->next)
		m.msg_iovlen += (size_t)gather(&x->out, x->sent_bytes, iov + m.msg_iovlen,
					       IOV_COUNT_MAX - (int)m.msg_iovlen);
	if (!m.msg_iovlen)
		return false;
	ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			connection_kill(c);
		return false;
	}
	count_sent(c, (size_t)n);
	connection_alive(c, (size_t)n);
	return true;
}

static bool has_unsent(const struct connection *c)
{
	for (const struct exchange *x = c->first; x && x->is_answered; x = x->next)
		if (x->sent_bytes < x->out.total)
			return true;
	return false;
}

void connection_watch(struct connection *c)
{
	int events =
		(connection_wants_more(c) ? UV_READABLE : 0) | (has_unsent(c) ? UV_WRITABLE : 0);

	/* Who is read shows it by the end of what is read. */
	if (!(events & UV_READABLE) && !c->is_ending && !c->has_hung_up)
		events |= UV_DISCONNECT;
	if (events == c->watched)
		return;
	c->watched = events;
	if (events)
		uv_poll_start(&c->poll, events, on_poll);
	else
		uv_poll_stop(&c->poll);
}

void connection_flush(struct connection *c)
{
	if (c->is_dead)
		return;
	do
		drop_sent(c);
	while (c->first && send_some(c));
	if (c->is_dead)
		return;
	if (c->first && c->first->is_answered && c->first->is_aborted) {
		connection_refuse(c, c->first->complaint);
		return;
	}
	if (c->is_ending && !c->first) {
		connection_kill(c);
		return;
	}
	start_next(c);
	connection_read_on(c);
	if (!c->is_dead)
		connection_watch(c);
}

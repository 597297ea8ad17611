/* fetcher.c - see fetcher.h.
 *
 *                read            wait: sent            answered
 *     IDLE -------------> WANTED -----------> ASKED ------------> READY, or WANTED again
 *       ^                                                           |
 *       +------------------------------- read ----------------------+
 */
#include "client/fetcher.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/partitions.h"
#include "wire/aborted.h"

#define ANSWER_BYTES_MAX  ((size_t)16 << 20)
#define HOLD_MS           500   /* how long a broker may hold a request that finds nothing */
#define TROUBLE_MS        30000 /* how long a leader may be out of reach */
#define FETCH_VERSION_END 13    /* from then on topics go by id */

enum cursor_state { CURSOR_IDLE, CURSOR_WANTED, CURSOR_ASKED, CURSOR_READY };

struct client_cursor {
	struct client_fetcher *fetcher;
	struct client_cursor *next;
	char *topic;
	int32_t partition;
	enum cursor_state state;
	int32_t asked_node; /* ASKED: whom */
	int32_t near_node;  /* the replica that the leader named as nearer; -1: none */
	int64_t offset;     /* wanted, asked for, or ready from */
	size_t max_bytes;
	enum ks_err err; /* READY: instead of batches */
	struct ks_why why;
	struct frame *frame;
	struct slice bytes;
	struct client_bounds bounds;
	struct aborted_batches aborted;
	int64_t trouble_ns; /* since when its leader does not answer; 0: it does */
};

/* The fetcher's own connection to a broker, with at most one request under way. */
struct link {
	int32_t node;
	struct client_connection *connection;
	bool is_asked;
};

struct client_fetcher {
	struct client_cluster *cluster;
	struct client_fetcher_options options;
	struct client_cursor *cursors;
	struct link *links;
	size_t link_count;
	struct client_retry retry;
};

struct client_fetcher *client_fetcher_new(struct client_cluster *cl,
					  const struct client_fetcher_options *options)
{
	struct client_fetcher *f = xcalloc(1, sizeof *f);

	f->cluster = cl;
	f->options = *options;
	if (!f->options.answer_bytes_max)
		f->options.answer_bytes_max = ANSWER_BYTES_MAX;
	if (!f->options.max_wait_ms)
		f->options.max_wait_ms = HOLD_MS;
	if (!f->options.min_bytes)
		f->options.min_bytes = 1;
	f->retry = client_retry_in(TROUBLE_MS);
	return f;
}

void client_fetcher_free(struct client_fetcher *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->link_count; i++)
		client_connection_close(f->links[i].connection);
	free(f->links);
	free(f);
}

/* --- cursors --- */

struct client_cursor *client_cursor_open(struct client_fetcher *f, const char *topic,
					 int32_t partition)
{
	struct client_cursor *c = xcalloc(1, sizeof *c);

	c->fetcher = f;
	c->topic = xstrdup(topic);
	c->partition = partition;
	c->near_node = -1;
	c->next = f->cursors;
	f->cursors = c;
	return c;
}

static void drop_ready(struct client_cursor *c)
{
	frame_unref(c->frame);
	c->frame = NULL;
	c->bytes = SLICE_NULL;
	c->err = ERR_NONE;
}

void client_cursor_close(struct client_cursor *c)
{
	struct client_cursor **at;

	if (!c)
		return;
	for (at = &c->fetcher->cursors; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	drop_ready(c);
	aborted_batches_fini(&c->aborted);
	free(c->topic);
	free(c);
}

enum ks_err client_cursor_read(struct client_cursor *c, int64_t offset, size_t max_bytes,
			       struct frame **frame, struct slice *bytes, struct ks_why *why)
{
	if (c->state == CURSOR_READY && c->offset == offset) {
		enum ks_err err = c->err;
		c->state = CURSOR_IDLE;
		if (err) {
			ks_fail(why, err, "%s", c->why.text);
			drop_ready(c);
			return err;
		}
		*frame = c->frame;
		*bytes = c->bytes;
		c->frame = NULL;
		return ERR_NONE;
	}
	if (c->state != CURSOR_ASKED || c->offset != offset) {
		drop_ready(c);
		c->state = CURSOR_WANTED;
		c->offset = offset;
		c->max_bytes = max_bytes;
	}
	return ERR_EMPTY;
}

struct client_bounds client_cursor_bounds(const struct client_cursor *c)
{
	return c->bounds;
}

bool client_cursor_is_aborted(const struct client_cursor *c, const struct batch *b)
{
	return aborted_batches_has(&c->aborted, b);
}

static void end_with(struct client_cursor *c, enum ks_err err, const char *text)
{
	c->state = CURSOR_READY;
	c->err = err;
	ks_fail(&c->why, err, "%s [%d] at offset %lld: %.800s", c->topic, c->partition,
		(long long)c->offset, text);
}

/* What was asked for has to be asked again, perhaps of another leader. */
static void ask_again(struct client_cursor *c, enum ks_err err, const char *text)
{
	int64_t now = clock_monotonic_ns(&clock_real);

	client_cluster_forget_leaders(c->fetcher->cluster, c->topic);
	c->near_node = -1;
	c->state = CURSOR_WANTED;
	if (!c->trouble_ns)
		c->trouble_ns = now;
	else if (now - c->trouble_ns > TROUBLE_MS * INT64_C(1000000))
		end_with(c, err, text);
}

/* Asks again if that may help. */
static void meet(struct client_cursor *c, enum ks_err err, const char *text)
{
	if (c->near_node >= 0 || client_leader_may_change(err))
		ask_again(c, err, text);
	else
		end_with(c, err, text);
}

/* --- answers --- */

static int compare_aborted(const void *a, const void *b)
{
	const struct fetch_response_aborted_transaction *x = a, *y = b;

	return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

/* The whole batches; brokers may cut the last one off. */
static enum ks_err whole_batches(struct slice *bytes)
{
	struct batch b;
	size_t at = 0;

	while (at < bytes->len) {
		enum ks_err err = batch_peek(slice_of(bytes->data + at, bytes->len - at), &b);
		if (err == ERR_TRUNCATED && at > 0)
			break;
		if (err)
			return err;
		at += b.bytes.len;
	}
	bytes->len = at;
	return ERR_NONE;
}

static void take_batches(struct client_cursor *c, struct frame *frame,
			 const struct fetch_response_partition *p)
{
	struct slice bytes = p->records.n > 0 ? p->records.v[0].bytes : SLICE_NULL;

	c->trouble_ns = 0;
	c->bounds = (struct client_bounds){p->log_start_offset, p->last_stable_offset,
					   p->high_watermark, c->asked_node};
	if (c->bounds.last_stable_offset < 0)
		c->bounds.last_stable_offset = p->high_watermark;
	if (bytes.len == 0) {
		c->state = CURSOR_WANTED;
		return;
	}
	enum ks_err err = whole_batches(&bytes);
	if (err) {
		end_with(c, err, ks_err_text(err));
		return;
	}
	c->state = CURSOR_READY;
	c->frame = frame_ref(frame);
	c->bytes = bytes;
	if (p->aborted_transactions.n > 1)
		qsort(p->aborted_transactions.v, (size_t)p->aborted_transactions.n,
		      sizeof *p->aborted_transactions.v, compare_aborted);
	aborted_batches_find(&c->aborted, bytes, p->aborted_transactions.v,
			     p->aborted_transactions.n > 0 ? (size_t)p->aborted_transactions.n : 0);
}

/* Whether the leader has given no records but the name of a replica that is nearer. */
static bool may_go_nearer(const struct client_cursor *c, const struct fetch_response_partition *p)
{
	return c->fetcher->options.rack && c->near_node < 0 && p->preferred_read_replica >= 0 &&
	       p->preferred_read_replica != c->asked_node &&
	       (p->records.n <= 0 || p->records.v[0].bytes.len == 0);
}

static void take_partition(struct client_cursor *c, struct frame *frame,
			   const struct fetch_response_partition *p)
{
	enum ks_err err = (enum ks_err)p->error_code;

	if (!err && may_go_nearer(c, p)) {
		c->near_node = p->preferred_read_replica;
		c->state = CURSOR_WANTED;
	} else if (!err)
		take_batches(c, frame, p);
	else
		meet(c, err, ks_err_text(err));
}

static struct client_cursor *asked_cursor(struct client_fetcher *f, struct slice topic,
					  int32_t partition)
{
	for (struct client_cursor *c = f->cursors; c; c = c->next)
		if (c->state == CURSOR_ASKED && c->partition == partition &&
		    slice_equal(slice_str(c->topic), topic))
			return c;
	return NULL;
}

static void take_answer(struct client_fetcher *f, const struct client_reply *r)
{
	const struct fetch_response *m = r->message;

	for (int32_t i = 0; i < m->responses.n; i++) {
		const struct fetch_response_response *t = &m->responses.v[i];
		for (int32_t k = 0; k < t->partitions.n; k++) {
			struct client_cursor *c =
				asked_cursor(f, t->topic, t->partitions.v[k].partition_index);
			if (c)
				take_partition(c, r->frame, &t->partitions.v[k]);
		}
	}
}

/* --- questions --- */

/* Whom to ask: the leader, unless it has named a replica that is nearer. */
static enum ks_err node_of(struct client_fetcher *f, const struct client_cursor *c, int32_t *node,
			   struct ks_why *why)
{
	const int32_t *leaders;
	int32_t count;

	if (c->near_node >= 0) {
		*node = c->near_node;
		return ERR_NONE;
	}
	enum ks_err err = client_cluster_leaders(f->cluster, c->topic, &leaders, &count, why);
	if (err)
		return err;
	if (c->partition >= count || leaders[c->partition] < 0)
		return ks_fail(why, ERR_LEADER_NOT_AVAILABLE, "%s",
			       ks_err_text(ERR_LEADER_NOT_AVAILABLE));
	*node = leaders[c->partition];
	return ERR_NONE;
}

static struct link *link_to(struct client_fetcher *f, int32_t node)
{
	for (size_t i = 0; i < f->link_count; i++)
		if (f->links[i].node == node)
			return &f->links[i];
	f->links = xrealloc(f->links, (f->link_count + 1) * sizeof *f->links);
	f->links[f->link_count] = (struct link){.node = node};
	return &f->links[f->link_count++];
}

static void drop_link(struct link *l)
{
	client_connection_close(l->connection);
	l->connection = NULL;
	l->is_asked = false;
}

/* One element per partition; neighbours of the same topic become one. Returns how many topics are
 * left. */
static int32_t describe(const struct client_fetcher *f, struct client_cursor **cursors, size_t n,
			struct fetch_request_topic *topics,
			struct fetch_request_partition *partitions)
{
	int32_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t max = cursors[i]->max_bytes;
		if (max > f->options.answer_bytes_max)
			max = f->options.answer_bytes_max;
		wire_defaults(fetch_request_partition_desc(), &partitions[i]);
		partitions[i].partition = cursors[i]->partition;
		partitions[i].fetch_offset = cursors[i]->offset;
		partitions[i].partition_max_bytes = (int32_t)max;
		struct slice topic = slice_str(cursors[i]->topic);
		if (kept && slice_equal(topics[kept - 1].topic, topic)) {
			topics[kept - 1].partitions.n++;
			continue;
		}
		topics[kept].topic = topic;
		topics[kept].partitions.v = &partitions[i];
		topics[kept].partitions.n = 1;
		kept++;
	}
	return kept;
}

static enum ks_err send_fetch(struct client_fetcher *f, struct link *l,
			      struct client_cursor **cursors, size_t n, struct ks_why *why)
{
	struct fetch_request_topic *topics = xcalloc(n, sizeof *topics);
	struct fetch_request_partition *partitions = xcalloc(n, sizeof *partitions);
	struct fetch_request request = {.replica_id = -1,
					.max_wait_ms = f->options.max_wait_ms,
					.min_bytes = f->options.min_bytes,
					.max_bytes = (int32_t)f->options.answer_bytes_max,
					.isolation_level = !f->options.is_read_uncommitted,
					.session_epoch = -1,
					.topics = {topics, 0},
					.rack_id =
						slice_str(f->options.rack ? f->options.rack : "")};
	struct client_call call = {.api_key = API_fetch,
				   .version_end = FETCH_VERSION_END,
				   .request = &request,
				   .hold_ms = f->options.max_wait_ms};

	request.topics.n = describe(f, cursors, n, topics, partitions);
	enum ks_err err = client_connection_send(l->connection, &call, why);
	free(topics);
	free(partitions);
	return err;
}

/* Asks one leader for these cursors, which are WANTED. */
static void ask_leader(struct client_fetcher *f, struct link *l, struct client_cursor **cursors,
		       size_t n)
{
	struct ks_why why = {""};
	enum ks_err err = ERR_NONE;

	if (l->connection && !client_connection_is_alive(l->connection))
		drop_link(l);
	if (!l->connection)
		err = client_cluster_connect(f->cluster, l->node, &l->connection, &why);
	if (!err)
		err = send_fetch(f, l, cursors, n, &why);
	if (err)
		drop_link(l);
	l->is_asked = !err;
	for (size_t i = 0; i < n; i++) {
		cursors[i]->state = CURSOR_ASKED;
		cursors[i]->asked_node = l->node;
		if (err)
			meet(cursors[i], err, why.text);
	}
}

/* Which leader every WANTED cursor has, -1 for the others. */
static size_t find_leaders(struct client_fetcher *f, struct client_cursor ***cursors,
			   int32_t **nodes)
{
	size_t n = 0;

	for (struct client_cursor *c = f->cursors; c; c = c->next)
		n++;
	*cursors = xcalloc(n + 1, sizeof(struct client_cursor *));
	*nodes = xcalloc(n + 1, sizeof(int32_t));
	n = 0;
	for (struct client_cursor *c = f->cursors; c; c = c->next) {
		struct ks_why why = {""};
		if (c->state != CURSOR_WANTED)
			continue;
		enum ks_err err = node_of(f, c, &(*nodes)[n], &why);
		if (err && client_leader_may_change(err))
			ask_again(c, err, why.text);
		else if (err)
			end_with(c, err, why.text);
		else
			(*cursors)[n++] = c;
	}
	return n;
}

/* One request to every leader that something is wanted of and that has answered the last one. */
static void ask_leaders(struct client_fetcher *f)
{
	struct client_cursor **cursors, **turn;
	int32_t *nodes;
	size_t n = find_leaders(f, &cursors, &nodes);

	turn = xcalloc(n + 1, sizeof(struct client_cursor *));
	for (size_t i = 0; i < n; i++) {
		struct link *l = link_to(f, nodes[i]);
		size_t count = 0;
		if (l->is_asked)
			continue;
		for (size_t k = i; k < n; k++)
			if (nodes[k] == nodes[i] && cursors[k]->state == CURSOR_WANTED)
				turn[count++] = cursors[k];
		if (count)
			ask_leader(f, l, turn, count);
	}
	free(cursors);
	free(turn);
	free(nodes);
}

/* --- waiting --- */

static void receive(struct client_fetcher *f, struct link *l)
{
	struct client_reply r = {0};
	struct ks_why why = {""};
	enum ks_err err = client_connection_receive(l->connection, &r, &why);

	l->is_asked = false;
	if (!err)
		err = (enum ks_err)((struct fetch_response *)r.message)->error_code;
	if (!err)
		take_answer(f, &r);
	for (struct client_cursor *c = f->cursors; c; c = c->next) {
		if (c->state != CURSOR_ASKED || c->asked_node != l->node)
			continue;
		if (err)
			meet(c, err, why.text[0] ? why.text : ks_err_text(err));
		else /* the answer says nothing of it */
			ask_again(c, ERR_UNKNOWN_SERVER_ERROR,
				  ks_err_text(ERR_UNKNOWN_SERVER_ERROR));
	}
	if (err) {
		drop_link(l);
		client_retry_pause(f->cluster, &f->retry); /* it may go on like this */
	}
	client_reply_fini(&r);
}

static bool has_asked(const struct client_fetcher *f)
{
	for (size_t i = 0; i < f->link_count; i++)
		if (f->links[i].is_asked)
			return true;
	return false;
}

void client_fetcher_wait(struct client_fetcher *f, int timeout_ms)
{
	ask_leaders(f);
	if (!has_asked(f)) { /* nobody can be asked at the moment, or nothing is wanted */
		if (!client_retry_pause(f->cluster, &f->retry))
			f->retry = client_retry_in(TROUBLE_MS);
		return;
	}
	f->retry = client_retry_in(TROUBLE_MS);
	struct pollfd *fds = xcalloc(f->link_count + 1, sizeof *fds);
	struct link **asked = xcalloc(f->link_count + 1, sizeof(struct link *));
	nfds_t n = 0;
	for (size_t i = 0; i < f->link_count; i++) {
		if (!f->links[i].is_asked)
			continue;
		asked[n] = &f->links[i];
		fds[n++] = (struct pollfd){client_connection_fd(f->links[i].connection), POLLIN, 0};
	}
	nfds_t all = n;
	if (f->options.stop_fd)
		fds[all++] = (struct pollfd){f->options.stop_fd, POLLIN, 0};
	int ready = poll(fds, all, timeout_ms);
	for (nfds_t i = 0; ready > 0 && i < n; i++)
		if (fds[i].revents)
			receive(f, asked[i]);
	free(fds);
	free(asked);
}

/* target_wire.c - the target that is a cluster over the network: opening, partitions, records.
 *
 * A topic's handle is its name. Reading is the fetcher's: a cursor asks for what comes next when
 * it has nothing, and the target's wait fetches for all cursors. Appends are the sender's, which
 * is started by the first one.
 */
#include "cli/target_wire.h"

#include <stdlib.h>

#include "client/partitions.h"

/* --- what the other files need --- */

const char *wire_name(struct wire_target *w, struct slice name)
{
	size_t low = 0, high = w->name_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = slice_compare(slice_str(w->names[mid]), name);
		if (order == 0)
			return w->names[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	char *text = slice_strdup(name);
	w->names = xrealloc(w->names, (w->name_count + 1) * sizeof(char *));
	memmove(&w->names[low + 1], &w->names[low], (w->name_count - low) * sizeof(char *));
	w->names[low] = text;
	w->name_count++;
	return text;
}

/* What a broker says goes to a terminal: nothing but text. */
static void keep_text(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

enum ks_err wire_refused(const char *what, const char *name, enum ks_err err, struct slice message,
			 struct ks_why *why)
{
	char *quoted = xasprintf("\"%s\"", name);
	bool is_named = message.len && memmem(message.data, message.len, quoted, strlen(quoted));
	struct slice text = message.len ? message : slice_str(ks_err_text(err));

	ks_fail(why, err, "%s%s%s%s%.*s", is_named ? "" : what, is_named || !*what ? "" : " ",
		is_named ? "" : quoted, is_named ? "" : ": ", (int)text.len,
		(const char *)text.data);
	keep_text(why->text);
	free(quoted);
	return err;
}

/* --- partitions --- */

/* Start, high watermark and last stable offset of the partitions from first on. */
static enum ks_err ask_bounds(struct wire_target *w, const char *topic, int32_t first,
			      int32_t count, struct target_bounds *out, struct ks_why *why)
{
	static const struct {
		int64_t timestamp;
		bool is_read_committed;
	} questions[] = {{CLIENT_EARLIEST, false}, {CLIENT_LATEST, false}, {CLIENT_LATEST, true}};
	struct client_row *rows = xcalloc((size_t)count + 1, sizeof *rows);
	enum ks_err err = ERR_NONE;

	for (size_t q = 0; q < 3 && !err; q++) {
		for (int32_t i = 0; i < count; i++)
			rows[i] = (struct client_row){.partition = first + i,
						      .timestamp = questions[q].timestamp};
		err = client_list_offsets(w->cluster, topic, rows, (size_t)count,
					  questions[q].is_read_committed, why);
		for (int32_t i = 0; i < count && !err; i++) {
			if (q == 0)
				out[i].log_start_offset = rows[i].offset;
			else if (q == 1)
				out[i].high_watermark = rows[i].offset;
			else
				out[i].last_stable_offset = rows[i].offset;
		}
	}
	free(rows);
	return err;
}

static enum ks_err wire_bounds(struct target *t, const struct target_topic *topic,
			       int32_t partition, struct target_bounds *out, struct ks_why *why)
{
	*out = (struct target_bounds){0};
	return ask_bounds(wire_of(t), topic->name, partition, 1, out, why);
}

static void take_sizes(const struct client_reply *r, int32_t node, const struct target_topic *topic,
		       const int32_t *leaders, struct target_bounds *out)
{
	const struct describe_log_dirs_response *m = r->message;

	for (int32_t i = 0; i < m->results.n; i++) {
		for (int32_t k = 0; k < m->results.v[i].topics.n; k++) {
			const struct describe_log_dirs_response_topic *found =
				&m->results.v[i].topics.v[k];
			for (int32_t j = 0; j < found->partitions.n; j++) {
				const struct describe_log_dirs_response_partition *p =
					&found->partitions.v[j];
				if (p->partition_index >= 0 &&
				    p->partition_index < topic->partition_count &&
				    leaders[p->partition_index] == node && !p->is_future_key &&
				    slice_equal(found->name, slice_str(topic->name)))
					out[p->partition_index].size_bytes =
						(uint64_t)p->partition_size;
			}
		}
	}
}

/* What every leader has on its disks. */
static enum ks_err ask_sizes(struct wire_target *w, const struct target_topic *topic,
			     struct target_bounds *out, struct ks_why *why)
{
	size_t n = (size_t)topic->partition_count,
	       brokers = client_cluster_broker_count(w->cluster);
	int32_t *partitions = xcalloc(n + 1, sizeof *partitions);
	int32_t *leaders = xcalloc(n + 1, sizeof *leaders);
	struct describe_log_dirs_request_topic row = {
		.topic = slice_str(topic->name),
		.partitions = {partitions, topic->partition_count}};
	struct describe_log_dirs_request request = {.topics = {&row, 1}};
	const int32_t *told;
	int32_t told_count;
	enum ks_err err = client_cluster_leaders(w->cluster, topic->name, &told, &told_count, why);

	for (int32_t i = 0; i < topic->partition_count; i++) {
		partitions[i] = i;
		leaders[i] = !err && i < told_count ? told[i] : -1;
	}
	for (size_t i = 0; i < brokers && !err; i++) {
		int32_t node = client_cluster_broker(w->cluster, i)->id;
		struct client_question q = {
			.call = {.api_key = API_describe_log_dirs, .request = &request},
			.where = CLIENT_NODE,
			.node = node,
			.is_repeatable = true};
		struct client_reply r;
		err = client_cluster_ask(w->cluster, &q, &r, why);
		if (err)
			break;
		take_sizes(&r, node, topic, leaders, out);
		client_reply_fini(&r);
	}
	free(partitions);
	free(leaders);
	return err;
}

static enum ks_err wire_bounds_all(struct target *t, const struct target_topic *topic,
				   bool with_sizes, struct target_bounds *out, struct ks_why *why)
{
	struct wire_target *w = wire_of(t);

	memset(out, 0, (size_t)topic->partition_count * sizeof *out);
	enum ks_err err = ask_bounds(w, topic->name, 0, topic->partition_count, out, why);
	return err || !with_sizes ? err : ask_sizes(w, topic, out, why);
}

static enum ks_err wire_offset_at(struct target *t, const struct target_topic *topic,
				  int32_t partition, int64_t timestamp, int64_t *out,
				  struct ks_why *why)
{
	struct client_row row = {.partition = partition, .timestamp = timestamp};
	struct client_cluster *cl = wire_of(t)->cluster;
	enum ks_err err = client_list_offsets(cl, topic->name, &row, 1, false, why);

	if (!err && row.offset < 0) { /* none is so young */
		row.timestamp = CLIENT_LATEST;
		err = client_list_offsets(cl, topic->name, &row, 1, false, why);
	}
	if (!err)
		*out = row.offset;
	return err;
}

static enum ks_err wire_trim(struct target *t, const struct target_topic *topic, int32_t partition,
			     int64_t offset, int64_t *log_start_offset, struct ks_why *why)
{
	struct client_row row = {.partition = partition, .offset = offset};
	enum ks_err err = client_delete_records(wire_of(t)->cluster, topic->name, &row, 1, why);

	if (!err)
		*log_start_offset = row.offset;
	return err;
}

/* Brokers give space back in their own time. */
static enum ks_err wire_reclaim(struct target *t, struct ks_why *why)
{
	(void)t;
	(void)why;
	return ERR_NONE;
}

/* --- writing --- */

struct wire_append {
	struct client_send send; /* first */
	struct target_append *of;
};

static void send_done(struct client_send *send, enum ks_err err, const struct ks_why *why)
{
	struct wire_append *wa = (struct wire_append *)send;
	struct target_append *of = wa->of;

	of->base_offset = send->base_offset;
	free(wa);
	of->done(of, err, why);
}

static void wire_append(struct target *t, struct target_append *a)
{
	struct wire_target *w = wire_of(t);
	struct ks_why why = {""};

	if (!w->sender) {
		struct client_options options = w->options.client;
		options.delivery_timeout_ms = w->target.delivery_ms;
		enum ks_err err = client_sender_start(w->bootstrap, &options, (int16_t)a->acks,
						      &w->sender, &why);
		if (err) {
			frame_unref(a->batches);
			a->done(a, err, &why);
			return;
		}
	}
	struct wire_append *wa = xcalloc(1, sizeof *wa);
	wa->of = a;
	wa->send = (struct client_send){.topic = a->topic.name,
					.partition = a->partition,
					.batch = a->batches,
					.done = send_done};
	client_sender_add(w->sender, &wa->send);
}

/* --- reading --- */

static struct client_fetcher *new_fetcher(struct wire_target *w)
{
	struct client_fetcher_options options = {.is_read_uncommitted = w->target.reads_uncommitted,
						 .answer_bytes_max = w->target.fetch_bytes_max,
						 .max_wait_ms = w->target.fetch_wait_ms,
						 .min_bytes = w->options.fetch_min_bytes,
						 .rack = w->target.rack,
						 .stop_fd = w->options.client.stop_fd};

	return client_fetcher_new(w->cluster, &options);
}

static enum ks_err wire_cursor_open(struct target *t, const struct target_topic *topic,
				    int32_t partition, struct target_cursor *out,
				    struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	enum ks_err err = target_check_partition(topic, partition, why);

	if (err)
		return err;
	if (!w->fetcher)
		w->fetcher = new_fetcher(w);
	out->reader = client_cursor_open(w->fetcher, topic->name, partition);
	return ERR_NONE;
}

static enum ks_err wire_cursor_read(struct target_cursor *c, int64_t offset, size_t max_bytes,
				    struct chunk *out, struct ks_why *why)
{
	out->is_verified = false;
	return client_cursor_read(c->reader, offset, max_bytes, &out->frame, &out->bytes, why);
}

static enum ks_err wire_cursor_bounds(struct target_cursor *c, struct target_bounds *out,
				      struct ks_why *why)
{
	struct client_bounds b = client_cursor_bounds(c->reader);

	(void)why;
	*out = (struct target_bounds){.log_start_offset = b.log_start_offset,
				      .last_stable_offset = b.last_stable_offset,
				      .high_watermark = b.high_watermark,
				      .broker = b.node};
	return ERR_NONE;
}

static bool wire_cursor_is_aborted(struct target_cursor *c, const struct batch *b)
{
	return client_cursor_is_aborted(c->reader, b);
}

static void wire_cursor_close(struct target_cursor *c)
{
	client_cursor_close(c->reader);
	c->reader = NULL;
}

/* Nothing arrives between two waits, so nothing can be missed. */
static uint64_t wire_ticket(struct target *t)
{
	(void)t;
	return 0;
}

static void wire_wait(struct target *t, uint64_t ticket, int timeout_ms)
{
	struct wire_target *w = wire_of(t);

	(void)ticket;
	if (!w->fetcher) /* a member without partitions: nobody to wait for but the clock */
		w->fetcher = new_fetcher(w);
	client_fetcher_wait(w->fetcher, timeout_ms);
}

/* The stop's descriptor ends waiting. */
static void wire_wake(struct target *t)
{
	(void)t;
}

/* --- the cluster --- */

static enum ks_err wire_cluster(struct target *t, struct target_cluster *out, struct ks_why *why)
{
	struct client_cluster *cl = wire_of(t)->cluster;
	size_t n = client_cluster_broker_count(cl);

	(void)why;
	out->id = client_cluster_id(cl);
	out->controller = client_cluster_controller(cl);
	out->broker_count = n;
	out->brokers = xcalloc(n + 1, sizeof *out->brokers);
	for (size_t i = 0; i < n; i++) {
		const struct client_broker *b = client_cluster_broker(cl, i);
		out->brokers[i] = (struct target_broker){b->id, b->host, b->rack, b->port};
	}
	return ERR_NONE;
}

static void wire_close(struct target *t)
{
	struct wire_target *w = wire_of(t);

	client_sender_stop(w->sender);
	client_fetcher_free(w->fetcher);
	client_member_free(w->member);
	client_cluster_close(w->cluster);
	for (size_t i = 0; i < w->name_count; i++)
		free(w->names[i]);
	free(w->names);
	free(w->member_group);
	free(w->bootstrap);
	free(w);
}

static const struct target wire_calls = {
	.is_remote = true,
	.close = wire_close,
	.topics = wire_topics,
	.topic_find = wire_topic_find,
	.topic_create = wire_topic_create,
	.topic_add_partitions = wire_topic_add_partitions,
	.topic_delete = wire_topic_delete,
	.configs = wire_configs,
	.configs_change = wire_configs_change,
	.bounds = wire_bounds,
	.bounds_all = wire_bounds_all,
	.nodes = wire_nodes,
	.offset_at = wire_offset_at,
	.trim = wire_trim,
	.reclaim = wire_reclaim,
	.append = wire_append,
	.cursor_open = wire_cursor_open,
	.cursor_read = wire_cursor_read,
	.cursor_bounds = wire_cursor_bounds,
	.cursor_is_aborted = wire_cursor_is_aborted,
	.cursor_close = wire_cursor_close,
	.ticket = wire_ticket,
	.wait = wire_wait,
	.wake = wire_wake,
	.groups = wire_groups,
	.group_offsets = wire_group_offsets,
	.group_members = wire_group_members,
	.group_commit = wire_group_commit,
	.group_delete = wire_group_delete,
	.txns = wire_txns,
	.txn_describe = wire_txn_describe,
	.producers = wire_producers,
	.txn_abort = wire_txn_abort,
	.member_join = wire_member_join,
	.member_heartbeat = wire_member_heartbeat,
	.cluster = wire_cluster,
};

enum ks_err target_open_wire(const char *bootstrap, const struct target_wire_options *options,
			     struct target **out, struct ks_why *why)
{
	struct client_cluster *cluster;
	enum ks_err err = client_cluster_open(bootstrap, &options->client, &cluster, why);

	if (err)
		return err;
	struct wire_target *w = xcalloc(1, sizeof *w);
	w->target = wire_calls;
	w->cluster = cluster;
	w->options = *options;
	w->bootstrap = xstrdup(bootstrap);
	*out = &w->target;
	return ERR_NONE;
}

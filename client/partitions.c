/* partitions.c - see partitions.h.
 *
 * Rows go to the leaders that the cluster names, all rows of a leader in one request. A row that
 * meets the wrong leader stays open for the next round, after a pause and fresh metadata.
 */
#include "client/partitions.h"

#include <stdlib.h>

#define ROUNDS_MS 15000

/* Asks one leader about the rows whose turn it is. */
struct ask;
typedef enum ks_err ask_leader(struct ask *a, int32_t node, struct client_row **rows, int32_t n,
			       struct ks_why *why);

struct ask {
	struct client_cluster *cl;
	const char *topic;
	struct client_row *rows;
	size_t count;
	int8_t isolation_level;
	ask_leader *leader;
};

bool client_leader_may_change(enum ks_err err)
{
	switch (err) {
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_REPLICA_NOT_AVAILABLE:
	case ERR_BROKER_NOT_AVAILABLE:
	case ERR_FENCED_LEADER_EPOCH:
	case ERR_UNKNOWN_LEADER_EPOCH:
	case ERR_OFFSET_NOT_AVAILABLE:
	case ERR_KAFKA_STORAGE_ERROR:
	case ERR_UNREACHABLE:
	case ERR_REQUEST_TIMED_OUT:
		return true;
	default:
		return false;
	}
}

static struct client_row *row_of(struct client_row **rows, int32_t n, int32_t partition)
{
	for (int32_t i = 0; i < n; i++)
		if (rows[i]->partition == partition)
			return rows[i];
	return NULL;
}

static enum ks_err ask_node(struct ask *a, int32_t node, int16_t api_key, const void *request,
			    struct client_reply *r, struct ks_why *why)
{
	struct client_question q = {.call = {.api_key = api_key, .request = request},
				    .where = CLIENT_NODE,
				    .node = node,
				    .retry_ms = -1};

	return client_cluster_ask(a->cl, &q, r, why);
}

static enum ks_err list_of_leader(struct ask *a, int32_t node, struct client_row **rows, int32_t n,
				  struct ks_why *why)
{
	struct list_offsets_request_partition *p = xcalloc((size_t)n, sizeof *p);
	struct list_offsets_request_topic topic = {.name = slice_str(a->topic),
						   .partitions = {p, n}};
	struct list_offsets_request request = {.replica_id = -1,
					       .isolation_level = a->isolation_level,
					       .topics = {&topic, 1},
					       .timeout_ms = ROUNDS_MS};
	struct client_reply r;

	for (int32_t i = 0; i < n; i++)
		p[i] = (struct list_offsets_request_partition){.partition_index =
								       rows[i]->partition,
							       .current_leader_epoch = -1,
							       .timestamp = rows[i]->timestamp};
	enum ks_err err = ask_node(a, node, API_list_offsets, &request, &r, why);
	free(p);
	if (err)
		return err;
	const struct list_offsets_response *m = r.message;
	for (int32_t i = 0; m->topics.n == 1 && i < m->topics.v[0].partitions.n; i++) {
		const struct list_offsets_response_partition *found =
			&m->topics.v[0].partitions.v[i];
		struct client_row *row = row_of(rows, n, found->partition_index);
		if (!row)
			continue;
		row->err = (enum ks_err)found->error_code;
		row->offset = found->offset;
	}
	client_reply_fini(&r);
	return ERR_NONE;
}

static enum ks_err delete_of_leader(struct ask *a, int32_t node, struct client_row **rows,
				    int32_t n, struct ks_why *why)
{
	struct delete_records_request_partition *p = xcalloc((size_t)n, sizeof *p);
	struct delete_records_request_topic topic = {.name = slice_str(a->topic),
						     .partitions = {p, n}};
	struct delete_records_request request = {.topics = {&topic, 1}, .timeout_ms = ROUNDS_MS};
	struct client_reply r;

	for (int32_t i = 0; i < n; i++)
		p[i] = (struct delete_records_request_partition){rows[i]->partition,
								 rows[i]->offset};
	enum ks_err err = ask_node(a, node, API_delete_records, &request, &r, why);
	free(p);
	if (err)
		return err;
	const struct delete_records_response *m = r.message;
	for (int32_t i = 0; m->topics.n == 1 && i < m->topics.v[0].partitions.n; i++) {
		const struct delete_records_response_partition *done =
			&m->topics.v[0].partitions.v[i];
		struct client_row *row = row_of(rows, n, done->partition_index);
		if (!row)
			continue;
		row->err = (enum ks_err)done->error_code;
		if (!row->err)
			row->offset = done->low_watermark;
	}
	client_reply_fini(&r);
	return ERR_NONE;
}

/* All open rows that this leader has, beginning with the row `first`. */
static enum ks_err ask_about(struct ask *a, const int32_t *leaders, size_t first, bool *is_open,
			     struct ks_why *why)
{
	struct client_row **turn = xcalloc(a->count, sizeof *turn);
	int32_t node = leaders[a->rows[first].partition], n = 0;

	for (size_t i = first; i < a->count; i++) {
		if (!is_open[i] || leaders[a->rows[i].partition] != node)
			continue;
		is_open[i] = false;
		a->rows[i].err = ERR_UNKNOWN_SERVER_ERROR; /* until the answer mentions it */
		turn[n++] = &a->rows[i];
	}
	enum ks_err err = a->leader(a, node, turn, n, why);
	for (int32_t i = 0; err && client_leader_may_change(err) && i < n; i++)
		turn[i]->err = err;
	free(turn);
	return client_leader_may_change(err) ? ERR_NONE : err;
}

static enum ks_err check_rows(const struct ask *a, int32_t partitions, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < a->count && !err; i++)
		err = client_check_partition(a->topic, a->rows[i].partition, partitions, why);
	return err;
}

/* One round over the open rows; those that may succeed later stay open. */
static enum ks_err ask_round(struct ask *a, bool *is_open, bool *is_any_open, struct ks_why *why)
{
	const int32_t *leaders;
	int32_t partitions;
	enum ks_err err = client_cluster_leaders(a->cl, a->topic, &leaders, &partitions, why);

	*is_any_open = false;
	if (!err)
		err = check_rows(a, partitions, why);
	if (err)
		return err;
	int32_t *known = xcalloc((size_t)partitions + 1, sizeof *known);
	memcpy(known, leaders, (size_t)partitions * sizeof *known);
	for (size_t i = 0; i < a->count && !err; i++) {
		struct client_row *row = &a->rows[i];
		if (is_open[i] && known[row->partition] < 0)
			row->err = ERR_LEADER_NOT_AVAILABLE;
		else if (is_open[i])
			err = ask_about(a, known, i, is_open, why);
	}
	for (size_t i = 0; i < a->count; i++) {
		is_open[i] = client_leader_may_change(a->rows[i].err);
		*is_any_open |= is_open[i];
	}
	free(known);
	return err;
}

static enum ks_err first_error(const struct ask *a, const char *verb, const struct ks_why *told,
			       struct ks_why *why)
{
	for (size_t i = 0; i < a->count; i++) {
		enum ks_err err = a->rows[i].err;
		if (!err)
			continue;
		return ks_fail(
			why, err, "cannot %s %s [%d]: %.800s", verb, a->topic, a->rows[i].partition,
			err == ERR_UNREACHABLE && told->text[0] ? told->text : ks_err_text(err));
	}
	return ERR_NONE;
}

static enum ks_err ask_all(struct ask *a, const char *verb, struct ks_why *why)
{
	struct client_retry retry = client_retry_in(ROUNDS_MS);
	bool *is_open = xcalloc(a->count + 1, sizeof *is_open), is_any_open = a->count > 0;
	struct ks_why told = {""};
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < a->count; i++)
		is_open[i] = true;
	while (is_any_open && !err) {
		err = ask_round(a, is_open, &is_any_open, &told);
		if (err || !is_any_open || !client_retry_pause(a->cl, &retry))
			break;
		client_cluster_forget_leaders(a->cl, a->topic);
	}
	free(is_open);
	return err ? ks_fail(why, err, "%s", told.text) : first_error(a, verb, &told, why);
}

enum ks_err client_list_offsets(struct client_cluster *cl, const char *topic,
				struct client_row *rows, size_t count, bool is_read_committed,
				struct ks_why *why)
{
	struct ask a = {.cl = cl,
			.topic = topic,
			.rows = rows,
			.count = count,
			.isolation_level = is_read_committed,
			.leader = list_of_leader};

	return ask_all(&a, "look up offsets of", why);
}

enum ks_err client_delete_records(struct client_cluster *cl, const char *topic,
				  struct client_row *rows, size_t count, struct ks_why *why)
{
	struct ask a = {
		.cl = cl, .topic = topic, .rows = rows, .count = count, .leader = delete_of_leader};

	return ask_all(&a, "delete records of", why);
}

/* list_offsets.c - ListOffsets: the ends of logs, and offsets by time. What has to be looked for in the store is looked for
 * by a worker. */
#include "server/handlers.h"
#include "base/seeded.h"
#include "server/lookup.h"

/* What a timestamp below 0 asks for, and since which version of the request. */
enum {
	LATEST = -1,
	EARLIEST = -2,
	MAX_TIMESTAMP = -3,
	EARLIEST_LOCAL = -4,
	LATEST_TIERED = -5,
	EARLIEST_PENDING_UPLOAD = -6,
};

static bool is_known(int64_t timestamp, int16_t version)
{
	static const int16_t since[] = {
		[-LATEST] = 0,         [-EARLIEST] = 0,      [-MAX_TIMESTAMP] = 7,
		[-EARLIEST_LOCAL] = 8, [-LATEST_TIERED] = 9, [-EARLIEST_PENDING_UPLOAD] = 11,
	};
	return timestamp >= 0 ||
	       (timestamp >= EARLIEST_PENDING_UPLOAD && version >= since[-timestamp]);
}

static bool needs_the_store(int64_t timestamp)
{
	return timestamp >= 0 || timestamp == MAX_TIMESTAMP;
}

/* Who reads committed records alone is told of none behind the last stable offset. */
static enum ks_err find_record(struct partition *p, int64_t wanted, bool is_committed,
			       int64_t *offset, int64_t *timestamp)
{
	int64_t end = partition_last_stable_offset(p), found_offset, found_timestamp;
	enum ks_err err =
		wanted == MAX_TIMESTAMP
			? partition_max_timestamp_offset(p, &found_offset, &found_timestamp)
			: partition_offset_for_timestamp(p, wanted, &found_offset,
							 &found_timestamp);

	if (!err && is_committed && found_offset >= end)
		err = ERR_NOT_FOUND;
	if (err)
		return err;
	*offset = found_offset;
	*timestamp = found_timestamp;
	return ERR_NONE;
}

static enum ks_err find(struct partition *p, int64_t wanted, bool is_committed, int64_t *offset,
			int64_t *timestamp)
{
	switch (wanted) {
	case LATEST:
		*offset = is_committed && !KS_SEEDED_BUG(1071) ? partition_last_stable_offset(p)
							       : partition_high_watermark(p);
		return ERR_NONE;
	case EARLIEST:
	case EARLIEST_LOCAL:
		*offset = partition_log_start_offset(p);
		return ERR_NONE;
	case LATEST_TIERED:
	case EARLIEST_PENDING_UPLOAD:
		return ERR_NOT_FOUND; /* nothing is tiered */
	default:
		return find_record(p, wanted, is_committed, offset, timestamp);
	}
}

static void answer(struct exchange *x, struct slice topic,
		   const struct list_offsets_request_partition *q,
		   struct list_offsets_response_partition *a)
{
	const struct list_offsets_request *request = x->request;
	struct partition *p;
	enum ks_err err = lookup_partition(x, topic, q->partition_index, &p);

	if (!err)
		err = lookup_check_epoch(q->current_leader_epoch);
	if (!err && !is_known(q->timestamp, x->header.api_version))
		err = ERR_UNSUPPORTED_VERSION;
	*a = (struct list_offsets_response_partition){.partition_index = q->partition_index,
						      .timestamp = -1,
						      .offset = -1,
						      .leader_epoch = -1};
	if (!err)
		err = find(p, q->timestamp, request->isolation_level != 0, &a->offset,
			   &a->timestamp);
	if (!err)
		a->leader_epoch = LEADER_EPOCH_NOW;
	else if (err != ERR_NOT_FOUND) /* no such record is no error */
		a->error_code = wire_code(err);
}

static void answer_all(struct exchange *x)
{
	const struct list_offsets_request *request = x->request;
	struct list_offsets_response *response = x->response;

	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct list_offsets_request_topic *t = &request->topics.v[i];
		for (int32_t j = 0; j < t->partitions.n; j++)
			answer(x, t->name, &t->partitions.v[j],
			       &response->topics.v[i].partitions.v[j]);
	}
	exchange_reply(x);
}

void handle_list_offsets(struct exchange *x, const struct list_offsets_request *request,
			 struct list_offsets_response *response)
{
	bool needs_store = false;

	response->topics.n = request->topics.n;
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct list_offsets_request_topic *t = &request->topics.v[i];
		struct list_offsets_response_topic *a = &response->topics.v[i];
		a->name = t->name;
		a->partitions.n = t->partitions.n;
		a->partitions.v =
			exchange_alloc(x, (size_t)t->partitions.n, sizeof *a->partitions.v);
		for (int32_t j = 0; j < t->partitions.n; j++)
			needs_store |= needs_the_store(t->partitions.v[j].timestamp);
	}
	if (needs_store)
		exchange_offload(x, answer_all);
	else
		answer_all(x);
}

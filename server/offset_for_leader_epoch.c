/* offset_for_leader_epoch.c - OffsetForLeaderEpoch: where the log of an epoch ends. There is one epoch, 0, and it goes on
 * up to the high watermark; of a later one nothing is known. */
#include "server/handlers.h"
#include "server/lookup.h"

static void answer(struct exchange *x, struct slice topic,
		   const struct offset_for_leader_epoch_request_partition *q,
		   struct offset_for_leader_epoch_response_partition *a)
{
	struct partition *p;
	enum ks_err err = lookup_partition(x, topic, q->partition, &p);

	*a = (struct offset_for_leader_epoch_response_partition){
		.partition = q->partition, .leader_epoch = -1, .end_offset = -1};
	if (!err)
		err = lookup_check_epoch(q->current_leader_epoch);
	a->error_code = wire_code(err);
	if (err || q->leader_epoch != LEADER_EPOCH_NOW)
		return;
	a->leader_epoch = LEADER_EPOCH_NOW;
	a->end_offset = partition_high_watermark(p);
}

void handle_offset_for_leader_epoch(struct exchange *x,
				    const struct offset_for_leader_epoch_request *request,
				    struct offset_for_leader_epoch_response *response)
{
	response->topics.n = request->topics.n;
	response->topics.v =
		exchange_alloc(x, (size_t)request->topics.n, sizeof *response->topics.v);
	for (int32_t i = 0; i < request->topics.n; i++) {
		const struct offset_for_leader_epoch_request_topic *q = &request->topics.v[i];
		struct offset_for_leader_epoch_response_topic *a = &response->topics.v[i];
		a->topic = q->topic;
		a->partitions.n = q->partitions.n;
		a->partitions.v =
			exchange_alloc(x, (size_t)q->partitions.n, sizeof *a->partitions.v);
		for (int32_t j = 0; j < q->partitions.n; j++)
			answer(x, q->topic, &q->partitions.v[j], &a->partitions.v[j]);
	}
	exchange_reply(x);
}

/* metrics_text.c - the figures of requests, connections, shard and store; see metrics_text.h. */
#include "server/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/prom.h"
#include "server/server_impl.h"

/* --- requests: the loops' counters, added up --- */

static struct api_metrics *api_of(struct server *s, int loop, int16_t key)
{
	return atomic_load_explicit(&s->loops[loop].metrics.apis[key], memory_order_acquire);
}

static struct prom_label api_label(const struct wire_api *api)
{
	return (struct prom_label){"api", slice_str(api->name)};
}

static void put_request_times(struct server *s, struct buf *out)
{
	struct prom p;

	prom_begin(&p, out, "ks_broker_request_seconds", PROM_HISTOGRAM,
		   "From the last byte of a request until its answer was complete; Fetch and "
		   "JoinGroup wait by design.");
	for (size_t i = 0; i < wire_api_count; i++) {
		struct prom_label label = api_label(&wire_apis[i]);
		struct prom_tally sum = {0};
		const struct tally *like = NULL;
		for (int l = 0; l < s->loop_count; l++) {
			struct api_metrics *a = api_of(s, l, wire_apis[i].key);
			if (!a)
				continue;
			prom_tally_add(&sum, &a->ns);
			like = &a->ns;
		}
		if (like)
			prom_histogram(&p, &label, 1, &sum, like, 1e-9);
	}
}

/* A counter of each API that was used; offset: where it is in struct api_metrics. */
static void put_api_counter(struct server *s, struct buf *out, const char *family, const char *help,
			    size_t offset)
{
	struct prom p;

	prom_begin(&p, out, family, PROM_COUNTER, help);
	for (size_t i = 0; i < wire_api_count; i++) {
		struct prom_label label = api_label(&wire_apis[i]);
		uint64_t sum = 0;
		bool is_used = false;
		for (int l = 0; l < s->loop_count; l++) {
			struct api_metrics *a = api_of(s, l, wire_apis[i].key);
			if (!a)
				continue;
			sum += counter_get((_Atomic(uint64_t) *)((char *)a + offset));
			is_used = true;
		}
		if (is_used)
			prom_int(&p, &label, 1, (int64_t)sum);
	}
}

static void put_errors_of(struct server *s, const struct prom *p, const struct wire_api *api)
{
	for (int code = -1; code + 1 < METRICS_ERRORS; code++) {
		uint64_t sum = 0;
		for (int l = 0; l < s->loop_count; l++) {
			struct api_metrics *a = api_of(s, l, api->key);
			sum += a ? counter_get(&a->errors[code + 1]) : 0;
		}
		if (!sum)
			continue;
		char number[12];
		const char *name = ks_err_name((enum ks_err)code);
		snprintf(number, sizeof number, "%d", code);
		struct prom_label labels[] = {
			api_label(api),
			{"error", slice_str(strcmp(name, "UNKNOWN") ? name : number)}};
		prom_int(p, labels, 2, (int64_t)sum);
	}
}

static void put_errors(struct server *s, struct buf *out)
{
	struct prom p;

	prom_begin(&p, out, "ks_broker_errors_total", PROM_COUNTER,
		   "Error codes in answers; one answer may have several.");
	for (size_t i = 0; i < wire_api_count; i++)
		put_errors_of(s, &p, &wire_apis[i]);
}

static uint64_t loops_sum(struct server *s, size_t offset)
{
	uint64_t sum = 0;

	for (int l = 0; l < s->loop_count; l++)
		sum += counter_get((_Atomic(uint64_t) *)((char *)&s->loops[l].metrics + offset));
	return sum;
}
#define LOOPS_SUM(s, member) loops_sum(s, offsetof(struct loop_metrics, member))

static void put_traffic(struct server *s, struct buf *out)
{
	put_api_counter(s, out, "ks_broker_request_bytes_total", "Bytes of requests.",
			offsetof(struct api_metrics, request_bytes));
	put_api_counter(s, out, "ks_broker_response_bytes_total", "Bytes of answers.",
			offsetof(struct api_metrics, response_bytes));
	prom_one(out, "ks_broker_produced_bytes_total", PROM_COUNTER,
		 "Bytes of record batches taken from clients, as they sent them.",
		 (double)LOOPS_SUM(s, produced_bytes));
	prom_one(out, "ks_broker_produced_records_total", PROM_COUNTER,
		 "Records taken from clients.", (double)LOOPS_SUM(s, produced_records));
	prom_one(out, "ks_broker_fetched_bytes_total", PROM_COUNTER,
		 "Bytes of record batches given to clients.", (double)LOOPS_SUM(s, fetched_bytes));
	prom_one(out, "ks_broker_fetched_records_total", PROM_COUNTER, "Records given to clients.",
		 (double)LOOPS_SUM(s, fetched_records));
}

/* --- connections and memory --- */

static void put_connections(struct server *s, struct buf *out)
{
	/* Closed ones first: otherwise one that comes and goes meanwhile would make the difference negative. */
	uint64_t closed = LOOPS_SUM(s, connections_closed);
	uint64_t opened = LOOPS_SUM(s, connections_opened);

	prom_one(out, "ks_broker_connections", PROM_GAUGE, "Connections that are open.",
		 (double)(opened - closed));
	prom_one(out, "ks_broker_connections_opened_total", PROM_COUNTER,
		 "Connections that were accepted.", (double)opened);
	prom_one(out, "ks_broker_connections_refused_total", PROM_COUNTER,
		 "Connections that the broker ended: the log has the reasons.",
		 (double)LOOPS_SUM(s, connections_refused));
	prom_one(out, "ks_broker_request_memory_bytes", PROM_GAUGE,
		 "Memory of requests that are read or answered now.",
		 (double)pool_used_bytes(&s->request_memory));
	prom_one(out, "ks_broker_request_memory_limit_bytes", PROM_GAUGE,
		 "Its bound, queued.max.request.bytes: then sockets are not read.",
		 (double)s->request_memory.bytes_max);
	prom_one(out, "ks_broker_answer_memory_bytes", PROM_GAUGE,
		 "Memory of answers that clients have not read yet.",
		 (double)pool_used_bytes(&s->answer_memory));
	prom_one(out, "ks_broker_answer_memory_limit_bytes", PROM_GAUGE,
		 "Its bound: then requests for more of them wait.",
		 (double)s->answer_memory.bytes_max);
}

/* --- shard and store --- */

static void put_tally(struct buf *out, const char *family, const char *help, struct tally *t,
		      double unit)
{
	struct prom_tally sum = {0};
	struct prom p;

	prom_begin(&p, out, family, PROM_HISTOGRAM, help);
	prom_tally_add(&sum, t);
	prom_histogram(&p, NULL, 0, &sum, t, unit);
}

static void put_shard(struct broker *b, struct buf *out)
{
	struct broker_stats stats;

	broker_stats(b, &stats);
	put_tally(out, "ks_shard_write_seconds", "A write of the shard, with its sync.",
		  stats.write_ns, 1e-9);
	put_tally(out, "ks_shard_write_bytes", "What a write of the shard wrote.",
		  stats.write_bytes, 1);
	put_tally(out, "ks_shard_group_commands", "Commands that shared a turn of the shard.",
		  stats.group_commands, 1);
	prom_one(out, "ks_shard_appended_bytes_total", PROM_COUNTER,
		 "Bytes of record batches appended, those of jobs included.",
		 (double)stats.bytes_appended);
}

static void put_store(struct broker *b, struct buf *out)
{
	struct store_stats stats;

	store_stats(broker_store(b), &stats);
	prom_one(out, "ks_store_live_bytes", PROM_GAUGE, "Files of the store on the disk.",
		 (double)stats.live_bytes);
	prom_one(out, "ks_store_blob_bytes", PROM_GAUGE, "Of these, files of record batches.",
		 (double)stats.blob_bytes);
	prom_one(out, "ks_store_blob_garbage_bytes", PROM_GAUGE,
		 "Of these, what was trimmed and is not yet given back.",
		 (double)stats.blob_garbage_bytes);
	prom_one(out, "ks_store_memtable_bytes", PROM_GAUGE, "Memory of what is not yet in files.",
		 (double)stats.memtable_bytes);
	prom_one(out, "ks_store_write_stopped", PROM_GAUGE,
		 "1 while the store holds writes back because files pile up.", stats.write_stopped);
}

static void put_txn_ends(const struct txn_stats *stats, struct buf *out)
{
	static const char *const names[][2] = {
		{"commit", "client"}, {"abort", "client"}, {"abort", "timeout"}};
	/* The broker counts them one after the other. */
	uint64_t timed_out = stats->timed_out < stats->aborted ? stats->timed_out : stats->aborted;
	uint64_t counts[] = {stats->committed, stats->aborted - timed_out, timed_out};
	struct prom p;

	prom_begin(&p, out, "ks_txn_end_total", PROM_COUNTER,
		   "Transactions that ended; those that timed out are not among the client's.");
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct prom_label labels[] = {{"result", slice_str(names[i][0])},
					      {"reason", slice_str(names[i][1])}};
		prom_int(&p, labels, 2, (int64_t)counts[i]);
	}
}

static void put_transactions(struct broker *b, struct buf *out)
{
	struct txn_stats stats;

	broker_txn_stats(b, &stats);
	prom_one(out, "ks_txn_ids", PROM_GAUGE, "Transactional ids that are known.",
		 (double)stats.ids);
	prom_one(out, "ks_txn_open", PROM_GAUGE, "Transactions that are open.", (double)stats.open);
	prom_one(out, "ks_txn_oldest_seconds", PROM_GAUGE,
		 "How long the oldest open transaction has been open; 0: none is.",
		 (double)stats.oldest_ms * 1e-3);
	prom_one(out, "ks_txn_hanging", PROM_GAUGE,
		 "Transactions that are open in a partition and that the coordinator does not "
		 "know, at its last look.",
		 (double)stats.hanging);
	put_txn_ends(&stats, out);
}

void metrics_text(struct server *s, bool is_full, struct buf *out)
{
	struct broker *b;

	metrics_text_process(out);
	if (!s)
		return;
	b = s->options.broker;
	prom_one(out, "kafka_brokers", PROM_GAUGE, "Brokers of the cluster.", 1);
	put_request_times(s, out);
	put_traffic(s, out);
	put_errors(s, out);
	put_connections(s, out);
	put_shard(b, out);
	put_store(b, out);
	put_transactions(b, out);
	metrics_text_topics(b, is_full, out);
	metrics_text_groups(b, is_full, out);
}

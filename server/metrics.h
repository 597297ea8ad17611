/* metrics.h - what the server counts while it works; metrics_text.c tells it to Prometheus.
 *
 * Each loop has counters of its own: its thread moves them with plain loads and stores, whoever is asked
 * for the figures adds those of all loops up. Nothing here takes a lock or grows: what is counted per API is
 * allocated when the API is first used.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "base/tally.h"
#include "wire/api.h"

struct exchange;

#define METRICS_ERRORS 160 /* Kafka's codes from -1 on; what is beyond counts as -1 */

struct api_metrics {
	_Atomic(uint64_t) request_bytes, response_bytes;
	_Atomic(uint64_t) errors[METRICS_ERRORS]; /* [1 + code] */
	struct tally ns; /* from the last byte of a request until its answer is complete */
};

/* owner: loop; zero-initialise */
struct loop_metrics {
	_Atomic(struct api_metrics *) apis[WIRE_API_KEYS];
	_Atomic(uint64_t) connections_opened, connections_closed, connections_refused;
	_Atomic(uint64_t) produced_bytes, produced_records, fetched_bytes, fetched_records;
};

/* A request of a known API has been answered, or never will be: before its frame is given back. */
void metrics_exchange(struct loop_metrics *m, const struct exchange *x, int64_t now_ns);
void metrics_fini(struct loop_metrics *m);

#endif

/* retention.h - trimming the old end of logs: by age, by size, by request. */
#ifndef BROKER_RETENTION_H
#define BROKER_RETENTION_H

#include "broker/broker.h"

struct retention;

/* A thread that looks at all partitions now and then (broker_options.retention_check_ms). */
struct retention *retention_start(struct broker *b);
void retention_stop(struct retention *r); /* r may be NULL */

/* One look, in the caller's thread. trimmed_bytes (may be NULL): how much went. */
enum ks_err retention_run(struct broker *b, uint64_t *trimmed_bytes, struct ks_why *why);

#endif

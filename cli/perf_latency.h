/* perf_latency.h - how long a record takes through a job, at a fixed rate. */
#ifndef CLI_PERF_LATENCY_H
#define CLI_PERF_LATENCY_H

#include "cli/perf_rig.h"

/* --latency RATE --seconds S: a sender, the job and a reader of its outputs in this process. The
 * latency of an output is the time from the moment its record was due until the reader has it; a
 * sender or a job that falls behind thus counts against us. Returns an exit code. */
int perf_latency(struct perf_rig *rig, const struct options *o, struct perf_rows *rows);

#endif

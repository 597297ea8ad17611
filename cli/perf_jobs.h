/* perf_jobs.h - the jobs that come with ksrun (bench/jobs), and what must come out of them.
 *
 * A job that loses records is fast, so no figure is printed before its outputs were held against
 * the generator: every record that must be there is there once, byte for byte, and nothing else.
 */
#ifndef CLI_PERF_JOBS_H
#define CLI_PERF_JOBS_H

#include "broker/broker.h"
#include "cli/perf_input.h"

#define PERF_INPUT_TOPIC "in"

enum perf_rule {
	RULE_ALL,         /* every record, to the one output */
	RULE_ORDERS,      /* the orders, to the one output */
	RULE_BY_TYPE,     /* all but views, the country in capitals, to the output of their type */
	RULE_ORIGINALS,   /* every record but repeats, to the one output */
	RULE_PER_USER,    /* for every record how many its user has by now */
	RULE_PER_ARTICLE, /* for every record how many its first article has by now */
};

struct perf_job {
	const char *name;
	const char *script;     /* its text */
	const char *outputs[4]; /* topics; by type: in the order of enum input_type */
	enum perf_rule rule;
};

extern const struct perf_job perf_jobs[]; /* ends with a row without a name */
const struct perf_job *perf_job_find(const char *name);

/* Reads what the job made of records 0..count-1. ERR_CORRUPTION: why tells the first thing that is
 * wrong. *outputs: records found. */
enum ks_err perf_check(struct broker *b, const struct perf_job *job, const struct input_spec *input,
		       int64_t count, int64_t *outputs, struct ks_why *why);

/* Calls each for every record of a topic, partition by partition, until it fails. */
struct record;
enum ks_err perf_scan(struct topic *t,
		      enum ks_err (*each)(void *cookie, const struct record *r, struct ks_why *why),
		      void *cookie, struct ks_why *why);

#endif

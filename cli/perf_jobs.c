/* perf_jobs.c - see perf_jobs.h. */
#include "cli/perf_jobs.h"

#define SCRIPT(name, text) static const char name##_script[] = text;
#include "perf_scripts.inc" /* made from bench/jobs */
#undef SCRIPT

const struct perf_job perf_jobs[] = {
	{"pass", pass_script, {"out"}, RULE_ALL},
	{"c_filter", c_filter_script, {"orders"}, RULE_ORDERS},
	{"split", split_script, {"orders", "refunds", "clicks"}, RULE_BY_TYPE},
	{"dedup", dedup_script, {"unique"}, RULE_ORIGINALS},
	{"count", count_script, {"counts"}, RULE_PER_USER},
	{"regroup", regroup_script, {"articles"}, RULE_PER_ARTICLE},
	{0},
};

const struct perf_job *perf_job_find(const char *name)
{
	for (const struct perf_job *j = perf_jobs; j->name; j++)
		if (strcmp(j->name, name) == 0)
			return j;
	return NULL;
}

/* plan_impl.h - what the files of the planner share. */
#ifndef STREAMS_PLAN_IMPL_H
#define STREAMS_PLAN_IMPL_H

#include "streams/plan.h"

/* Appends every problem of the job to report; returns how many there are. */
size_t plan_check(const struct job *j, struct broker *b, struct buf *report);
/* Problems that show only when the flows are cut: differing partition counts. */
size_t plan_check_pieces(const struct plan *p, const struct job *j, struct buf *report);

struct plan_topic *plan_topic_find(const struct plan *p, const char *name); /* or NULL */

/* A broker's refusal of one of the job's topics, with its place; what: the broker's words. ERR_SCRIPT, with what to
 * do, when it is missing; else err. */
enum ks_err plan_refuse_topic(const struct job *j, const struct plan_topic *t, enum ks_err err,
			      const struct ks_why *what, struct ks_why *why);

#endif

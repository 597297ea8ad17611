/* plan.h - checks a job and cuts it into sub-topologies and topics. Touches no data.
 *
 * A step that changes the key, followed by state, is where a flow is cut: the first part ends in the internal topic
 * "<job>-<flow>-repartition", the second begins there.
 */
#ifndef STREAMS_PLAN_H
#define STREAMS_PLAN_H

#include "broker/broker.h"
#include "streams/topology.h"

/* Topics that the job names; with what is known of them. */
struct plan_topic {
	const char *name;
	int32_t partitions; /* 0: the broker's default, or as it exists */
	bool is_repartition, is_input, is_output, is_dead_letter;
	bool is_made_before;           /* by a job that starts earlier, see plan_after */
	const struct topic_decl *decl; /* or NULL */
};

/* A piece of a flow that runs in one kind of task. Pieces of a flow stand in the order of their data: a piece comes
 * after the one that writes its source. A cut inside of a branch of a split makes a piece whose list is the branch's. */
struct plan_piece {
	const struct flow *flow;
	const struct step_list *list; /* the flow's steps, or those of one branch */
	size_t first_step,
		step_end;   /* steps [first, end) of the list; the rest is the next piece's */
	const char *source; /* repartition topic it reads; NULL: the flow's own topics */
	const char *sink;   /* repartition topic it ends in; NULL: none */
	size_t group;       /* pieces of a group read common topics and run in the same tasks */
};

struct plan {
	struct plan_topic *topics;
	size_t topic_count;
	struct plan_piece *pieces;
	size_t piece_count;
	size_t group_count; /* sub-topologies */
	struct arena arena;
};

/* Everything about a job that can be wrong without looking at data: unknown topics where topics are declared (closed
 * world), duplicate stores, a flow without steps, ... All problems are found, one line each, with file:line, the
 * source line and a "did you mean". ERR_SCRIPT and *report filled when there are any. b may be NULL. */
enum ks_err plan_make(const struct job *j, struct broker *b, struct plan **out, struct buf *report);
void plan_free(struct plan *p);
/* The repartition topic into which the steps of list are cut before step index; NULL: no cut there. */
const char *plan_cut_at(const struct plan *p, const struct step_list *list, size_t index);

/* What a run would find or make of a topic. */
enum plan_fate {
	PLAN_EXISTS,
	PLAN_CREATED,
	PLAN_MISSING,   /* an input that nobody declares or writes: the run is refused */
	PLAN_DIFFERENT, /* declared with another number of partitions: the run is refused */
	PLAN_FATE_COUNT
};
enum plan_fate plan_topic_fate(const struct plan_topic *t, struct broker *b);
/* The topics of a job that starts before this one count as if they were there. */
void plan_after(struct plan *p, const struct plan *earlier);
/* Whether the job could start with the topics of b, NULL: none; makes nothing. makes_inputs: inputs that are missing
 * are made up. ERR_SCRIPT: why has the place, the source line and what to do; or the broker's refusal of a topic. */
enum ks_err plan_admit(const struct plan *p, const struct job *j, struct broker *b,
		       bool makes_inputs, struct ks_why *why);
/* What is likely a mistake, with file:line and the source line: flows that feed themselves. Returns how many there
 * are. The job has passed plan_make. */
size_t plan_warn(const struct job *j, struct buf *report);

/* What `ksrun plan` prints: what exists, what would be created. b may be NULL (nothing exists). */
void plan_print(const struct plan *p, const struct job *j, struct broker *b, struct buf *out);
/* Kafka-like description as text, and Graphviz. */
void plan_graph_text(const struct plan *p, const struct job *j, struct buf *out);
void plan_graph_dot(const struct plan *p, const struct job *j, struct buf *out);

#endif

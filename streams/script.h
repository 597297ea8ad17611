/* script.h - how the engine calls the functions of a script. lua/ implements it; the engine knows no Lua.
 *
 * One struct script belongs to one thread. Results live in the record arena (script_begin_record names it) until
 * the top-level record has been processed. Every call may fail with ERR_SCRIPT (the function raised), ERR_BUDGET
 * (instructions or memory), ERR_DECODE (it touched a value that does not decode) or ERR_ENCODE (it returned what
 * cannot be written); then *error says what and where. A failed call changes nothing of the record.
 */
#ifndef STREAMS_SCRIPT_H
#define STREAMS_SCRIPT_H

#include "streams/record.h"
#include "streams/topology.h"

struct script_error {
	enum ks_err err;
	char message[1024]; /* without position */
	char where[256];    /* "job.lua:12" or "" */
	char function[128]; /* its name, if known, or "" */
	char traceback[4096];
};

/* What a process step may do while its function runs. Implemented by the engine. */
struct process_context {
	void *self;
	/* Datum of the state store; *found = false: none. The result lives in the record arena. */
	enum ks_err (*get)(void *self, struct datum *key, struct datum *value, bool *found,
			   struct ks_why *why);
	/* value->kind == DATUM_NULL deletes. */
	enum ks_err (*put)(void *self, struct datum *key, struct datum *value, struct ks_why *why);
	/* Sends a record to the next step. key NULL: that of the record under way. */
	enum ks_err (*forward)(void *self, struct datum *value, struct datum *key,
			       struct ks_why *why);
	int64_t stream_time; /* ms */
};

/* Receives the records of a flat_map, in order. key NULL: unchanged. */
struct script_emit {
	void *self;
	enum ks_err (*emit)(void *self, struct datum *value, struct datum *key);
};

struct script;
struct script_ops {
	void (*free)(struct script *s);
	/* A new top-level record: views of the last one become stale, budgets start anew. */
	void (*begin_record)(struct script *s, const struct rec *r, struct record_context *c);

	enum ks_err (*test)(struct script *s, int fn, struct rec *r, bool *truthy,
			    struct script_error *e);
	/* peek: called for its side effects (log). */
	enum ks_err (*call)(struct script *s, int fn, struct rec *r, struct script_error *e);
	/* fn(value, key, rec) -> value[, key]; *key is set to true when a key was returned. */
	enum ks_err (*map)(struct script *s, int fn, struct rec *r, struct datum *value,
			   struct datum *key, bool *has_key, struct script_error *e);
	enum ks_err (*flat_map)(struct script *s, int fn, struct rec *r, struct script_emit *emit,
				struct script_error *e);
	/* fn(value, key, rec) -> one scalar or document: rekey, group, dedup, to's topic and partition. */
	enum ks_err (*pick)(struct script *s, int fn, struct rec *r, struct datum *out,
			    struct script_error *e);
	/* fn(acc, value, key, rec) -> acc. */
	enum ks_err (*fold)(struct script *s, int fn, struct datum *acc, struct rec *r,
			    struct datum *out, struct script_error *e);
	enum ks_err (*process)(struct script *s, int fn, struct rec *r, struct process_context *p,
			       struct script_error *e);
};

struct script {
	const struct script_ops *ops;
};

/* Makes the script of one thread: loads the same file again. NULL and why on failure. */
struct script_factory {
	void *self;
	struct script *(*make)(void *self, struct ks_why *why);
};

#endif

/* jobs.c - sessions of jobs, and the commit: one step of a job as one part of one WriteBatch. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/seeded.h"
#include "broker/coordinator.h"
#include "broker/core.h"
#include "broker/offsets.h"
#include "broker/shard.h"

struct job_session {
	/* immutable */
	struct broker *broker;
	struct job *job;
	uint32_t id;
	int64_t epoch;
};

struct job_opening {
	struct call call;
	const char *name, *owner;
	struct job_record record;
	struct ids ids;
	struct job *job;
};

static enum ks_err job_open_apply(struct call *call, struct group *g)
{
	struct job_opening *o = (struct job_opening *)call;
	struct broker *b = call->broker;
	struct job *job = job_find(b->jobs, o->name);

	o->ids = b->ids;
	if (job) {
		o->record = *job_get(job);
	} else {
		struct value_ids ids;
		if (o->ids.job == UINT32_MAX)
			return ks_fail(call->why, ERR_INVALID_ARGUMENT,
				       "all job numbers are used up");
		o->record.id = o->ids.job++;
		ids = value_ids(&o->ids);
		store_put(g->write, CF_META, key_ids, KEY_SLICE(ids));
	}
	o->record.epoch++;
	o->record.opened_ms = g->now_ms;
	snprintf(o->record.owner, sizeof o->record.owner, "%s", o->owner);
	job_put(g->write, o->name, &o->record);
	return ERR_NONE;
}

static void job_open_publish(struct call *call)
{
	struct job_opening *o = (struct job_opening *)call;

	call->broker->ids = o->ids;
	o->job = job_set(call->broker->jobs, o->name, &o->record);
}

enum ks_err broker_job_open(struct broker *b, const char *job, const char *owner,
			    struct job_session **out, struct ks_why *why)
{
	struct job_opening o = {
		.call = {.apply = job_open_apply,
			 .publish = job_open_publish,
			 .is_alone = true,
			 .broker = b,
			 .why = why},
		.name = job,
		.owner = owner ? owner : "",
	};
	size_t len = strlen(job);

	if (len == 0 || len > JOB_NAME_MAX)
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "a job's name has 1 to %d bytes, this one %zu", JOB_NAME_MAX, len);
	enum ks_err err = shard_call(b->shard, &o.call);
	if (err)
		return err;
	struct job_session *s = xcalloc(1, sizeof *s);
	*s = (struct job_session){b, o.job, o.record.id, o.record.epoch};
	*out = s;
	return ERR_NONE;
}

void broker_job_close(struct job_session *s)
{
	free(s);
}

uint32_t job_session_id(const struct job_session *s)
{
	return s->id;
}

int64_t job_session_epoch(const struct job_session *s)
{
	return s->epoch;
}

void job_session_fenced_by(struct job_session *s, struct ks_why *why)
{
	struct job_record r;
	char when[32];
	struct tm utc;

	job_describe(s->broker->jobs, s->job, &r);
	if (r.epoch == s->epoch) {
		ks_fail(why, ERR_NONE, "epoch %lld is the newest: nobody has taken over",
			(long long)s->epoch);
		return;
	}
	time_t seconds = (time_t)(r.opened_ms / 1000);
	gmtime_r(&seconds, &utc);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
	ks_fail(why, ERR_PRODUCER_FENCED,
		"%s took over at %s with epoch %lld; this instance has %lld",
		r.owner[0] ? r.owner : "another instance", when, (long long)r.epoch,
		(long long)s->epoch);
}

/* --- the commit, on the shard's thread --- */

void commit_drop(struct commit *c)
{
	for (size_t i = 0; i < c->output_count; i++) {
		frame_unref(c->outputs[i].batches);
		c->outputs[i].batches = NULL;
	}
}

static enum ks_err commit_check(const struct commit *c)
{
	struct origin origin;
	enum ks_err err =
		KS_SEEDED_BUG(3091) ? ERR_NONE : job_check(c->session->job, c->session->epoch);

	for (size_t i = 0; i < c->output_count && !err; i++) {
		const struct frame *f = c->outputs[i].batches;
		err = group_check(slice_of(f->data, f->len), SIZE_MAX, &origin);
		if (!err && origin.is_transactional)
			err = ERR_INVALID_RECORD;
		if (topic_is_gone(c->outputs[i].partition->topic))
			err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
	for (size_t i = 0; i < c->offset_count && !err; i++) {
		if (topic_is_gone(c->offsets[i].partition->topic))
			err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		else if (c->offsets[i].offset < 0)
			err = ERR_OFFSET_OUT_OF_RANGE;
	}
	if (!err && c->offset_count)
		err = group_name_check(c->group, NULL);
	return err;
}

/* A job touches its own keys only; anything else is a bug of its caller. */
static void state_put(struct store_write *w, uint32_t job_id, const struct commit_state *s)
{
	assert(s->key.len >= 4 && get_u32be(s->key.data) == job_id);
	switch (s->op) {
	case STATE_PUT:
		store_put(w, CF_STATE, s->key, s->value);
		break;
	case STATE_DELETE:
		store_delete(w, CF_STATE, s->key);
		break;
	case STATE_DELETE_RANGE:
		assert(s->value.len >= 4 && get_u32be(s->value.data) - job_id <= 1);
		store_delete_range(w, CF_STATE, s->key, s->value);
		break;
	}
}

enum ks_err commit_apply(struct commit *c, struct group *g)
{
	enum ks_err err = commit_check(c);

	if (err) {
		commit_drop(c);
		return err;
	}
	for (size_t i = 0; i < c->output_count; i++) {
		struct commit_output *o = &c->outputs[i];
		group_append(g, o->partition, o->batches,
			     slice_of(o->batches->data, o->batches->len),
			     o->partition->topic->config.is_append_time);
		o->batches = NULL;
	}
	struct coordinated *x =
		c->offset_count
			? coordinator_note_offsets(c->session->broker->coordinator, c->group)
			: NULL;
	for (size_t i = 0; i < c->offset_count && !KS_SEEDED_BUG(3071); i++)
		offset_put(x, c->offsets[i].partition, c->offsets[i].offset, g);
	for (size_t i = 0; i < c->state_count; i++)
		state_put(g->write, c->session->id, &c->states[i]);
	return ERR_NONE;
}

void broker_commit(struct broker *b, struct commit *c)
{
	shard_commit(b->shard, c);
}

/* task.c - reads the inputs of one partition and drives their records through the pipelines.
 *
 * With one input the records of a fetched chunk are processed in a plain loop. With several, the one whose next
 * record has the lowest timestamp goes first, among those that have a record at hand; an input that has none is not
 * waited for.
 */
#include "streams/run.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/checksum.h"

#define FORGET_EVERY_RECORDS 200000 /* how often a repartition topic is trimmed: either */
#define FORGET_EVERY_BYTES   (64u << 20)
#define MERGE_TURN_RECORDS   4096 /* before the loop looks elsewhere */
#define FORWARD_BYTES_MIN    4096 /* smaller batches are better written into larger ones */

/* --- making --- */

bool piece_reads(const struct plan_piece *piece, const char *topic)
{
	const struct flow *f = piece->flow;
	regex_t re;

	if (piece->source)
		return strcmp(piece->source, topic) == 0;
	for (size_t i = 0; i < f->topic_count; i++)
		if (strcmp(f->topics[i], topic) == 0)
			return true;
	if (!f->pattern || regcomp(&re, f->pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	bool is_match = regexec(&re, topic, 0, NULL, 0) == 0;
	regfree(&re);
	return is_match;
}

static void feed_init(struct task *t, struct feed *f, struct pipeline *p, const char *topic)
{
	const struct flow *flow = p->piece->flow;
	const struct node *n = p->forwards;

	*f = (struct feed){.pipe = p};
	job_topic_serdes(t->thread->engine->job, topic, &f->key_serde, &f->value_serde);
	if (!p->piece->source && flow->has_key_serde)
		f->key_serde = flow->key_serde;
	if (!p->piece->source && flow->has_value_serde)
		f->value_serde = flow->value_serde;
	if (!n)
		return;
	const struct step *s = n->step;
	f->is_forward =
		!n->sink->topic->wants_keys &&
		f->key_serde == (s->has_key_serde ? s->key_serde : n->sink->key_serde) &&
		f->value_serde == (s->has_value_serde ? s->value_serde : n->sink->value_serde) &&
		f->key_serde != SERDE_I64 && f->key_serde != SERDE_F64 &&
		f->value_serde != SERDE_I64 && f->value_serde != SERDE_F64;
}

static void input_free(struct thread *th, struct input *in)
{
	chunk_fini(&in->chunk);
	buf_fini(&in->scratch);
	if (in->source)
		th->engine->backend->ops->unassign(in->source);
	free(in->feeds);
	free(in);
}

enum ks_err task_add_input(struct task *t, const struct backend_topic *topic, struct ks_why *why)
{
	struct engine *e = t->thread->engine;
	const struct backend_ops *ops = e->backend->ops;
	struct input *in = xcalloc(1, sizeof *in);
	bool from_start = t->thread->patterns_checked_ms != 0; /* a topic that appeared later */

	in->topic = topic;
	in->partition = t->partition;
	in->feeds = xcalloc(t->pipe_count, sizeof *in->feeds);
	for (size_t i = 0; i < t->pipe_count; i++) {
		const struct plan_piece *piece = t->pipes[i].piece;
		if (!piece_reads(piece, topic->name))
			continue;
		feed_init(t, &in->feeds[in->feed_count++], &t->pipes[i], topic->name);
		in->is_repartition |= piece->source != NULL;
		from_start |= piece->source != NULL || piece->flow->from_start;
	}
	enum ks_err err = ops->assign(e->backend, topic, t->partition, from_start, &in->source,
				      &in->position, why);
	if (err) {
		input_free(t->thread, in);
		return err;
	}
	in->submitted = in->forgotten = in->position;
	if (!from_start)
		in->submitted =
			-1; /* the end of today is committed, or a restart would begin at another */
	in->end = e->options.once && !in->is_repartition ? ops->end_offset(in->source) : INT64_MAX;
	atomic_init(&in->durable, in->position);
	ops->watch(t->thread->waiter, in->source);
	t->inputs = xrealloc(t->inputs, (t->input_count + 1) * sizeof(struct input *));
	t->inputs[t->input_count++] = in;
	return ERR_NONE;
}

enum ks_err task_new(struct thread *th, size_t group, int32_t partition, struct task **out,
		     struct ks_why *why)
{
	const struct plan *plan = th->engine->plan;
	struct task *t = xcalloc(1, sizeof *t);
	enum ks_err err = ERR_NONE;

	t->thread = th;
	t->group = group;
	t->partition = partition;
	t->pipes = xcalloc(plan->piece_count, sizeof *t->pipes);
	for (size_t i = 0; i < plan->piece_count && !err; i++) {
		if (plan->pieces[i].group != group)
			continue;
		struct pipeline *p = &t->pipes[t->pipe_count++];
		p->piece = &plan->pieces[i];
		p->stream_time = INT64_MIN;
		err = pipeline_compile(t, p, why);
	}
	if (err)
		task_free(t);
	else
		*out = t;
	return err;
}

void task_free(struct task *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->input_count; i++)
		input_free(t->thread, t->inputs[i]);
	for (size_t i = 0; i < t->path_count; i++)
		doc_path_free(t->paths[i]);
	for (size_t i = 0; i < t->pipe_count; i++)
		state_clocks_close(&t->thread->pool, &t->pipes[i].stream_time);
	free(t->inputs);
	free(t->paths);
	free(t->pipes);
	arena_fini(&t->arena);
	free(t);
}

/* --- batches --- */

static enum ks_err input_error(struct thread *th, struct input *in, enum ks_err err,
			       const char *what)
{
	th->has_failed = true;
	th->err = err;
	return ks_fail(&th->why, err, "job %s cannot read %s[%d] at offset %lld: %s",
		       th->engine->job->name, in->topic->name, in->partition,
		       (long long)in->position, what && *what ? what : ks_err_text(err));
}

/* Records that were deleted before the job read them are skipped, and said so. */
static enum ks_err out_of_range(struct thread *th, struct input *in)
{
	int64_t start = th->engine->backend->ops->start_offset(in->source);

	if (in->position >= start)
		return input_error(th, in, ERR_OFFSET_OUT_OF_RANGE,
				   "the log ends before it; was the topic made anew?");
	log_warn("job", "%s: records %lld to %lld of %s[%d] were deleted before they were read",
		 th->engine->job->name, (long long)in->position, (long long)start - 1,
		 in->topic->name, in->partition);
	in->position = start;
	return ERR_NONE;
}

static void chunk_drop(struct input *in)
{
	chunk_fini(&in->chunk);
	in->chunk = (struct chunk){0};
	in->chunk_at = 0;
}

/* *got: a chunk is there. */
static enum ks_err fetch(struct thread *th, struct input *in, bool *got)
{
	struct ks_why why = {""};

	chunk_drop(in);
	*got = false;
	if (in->position >= in->end)
		return ERR_NONE;
	enum ks_err err = th->engine->backend->ops->fetch(in->source, in->position, FETCH_BYTES,
							  &in->chunk, &why);
	if (err == ERR_EMPTY)
		return ERR_NONE;
	if (err == ERR_OFFSET_OUT_OF_RANGE)
		return out_of_range(th, in);
	if (err)
		return input_error(th, in, err, why.text);
	in->fetched_bytes += in->chunk.bytes.len;
	*got = true;
	return ERR_NONE;
}

/* Makes sure that the chunk has bytes left; *got: it has. */
static enum ks_err chunk_more(struct thread *th, struct input *in, bool may_fetch, bool *got)
{
	*got = in->chunk_at < in->chunk.bytes.len;
	while (!*got) {
		int64_t position = in->position;
		if (!may_fetch) {
			chunk_drop(in); /* other inputs may have their turn before this one */
			return ERR_NONE;
		}
		enum ks_err err = fetch(th, in, got);
		if (err || (!*got && in->position == position))
			return err;
	}
	return ERR_NONE;
}

/* Steps to the next batch that has records to process; *got: there is one. Fetches only if may_fetch. */
static enum ks_err batch_next(struct thread *th, struct input *in, bool may_fetch, bool *got)
{
	for (;;) {
		*got = false;
		if (in->position >= in->end)
			return ERR_NONE;
		enum ks_err err = chunk_more(th, in, may_fetch, got);
		if (err || !*got)
			return err;
		struct slice rest = slice_of(in->chunk.bytes.data + in->chunk_at,
					     in->chunk.bytes.len - in->chunk_at);
		err = in->chunk.is_verified ? batch_peek(rest, &in->batch)
					    : batch_verify(rest, &in->batch);
		if (err)
			return input_error(th, in, err, NULL);
		in->chunk_at += in->batch.bytes.len;
		int64_t after = batch_last_offset(&in->batch) + 1;
		bool is_void = batch_is_control(&in->batch) ||
			       th->engine->backend->ops->is_aborted(in->source, &in->batch);
		if (after > in->position && !is_void)
			return ERR_NONE;
		if (after > in->position)
			in->position = after;
	}
}

static enum ks_err batch_open(struct thread *th, struct input *in)
{
	enum ks_err err = record_iter_init(&in->iter, &in->batch, DECOMPRESSED_MAX, &in->scratch);

	in->in_batch = !err;
	return err ? input_error(th, in, err, "the records do not decompress") : ERR_NONE;
}

/* The next record to process; 1, 0 at the end of the batch, -1 on an error. */
static int record_next(struct thread *th, struct input *in, struct record *r)
{
	int got;

	while ((got = record_iter_next(&in->iter, r)) > 0)
		if (r->offset >= in->position)
			break;
	if (got > 0 && r->offset < in->end)
		return 1;
	in->in_batch = false;
	if (got < 0) {
		input_error(th, in, ERR_CORRUPT_MESSAGE, "a record is malformed");
		return -1;
	}
	int64_t after = batch_last_offset(&in->batch) + 1;
	in->position = after < in->end ? after : in->end;
	return 0;
}

/* --- whole batches --- */

/* The one output partition to which all records of the batch go; -1: there are several. */
static int32_t common_partition(struct input *in, int32_t count)
{
	int32_t common = -1;
	struct record r;

	if (count == 1)
		return 0;
	if (record_iter_init(&in->iter, &in->batch, DECOMPRESSED_MAX, &in->scratch))
		return -1;
	while (record_iter_next(&in->iter, &r) > 0) {
		int32_t p = r.key.data ? murmur2_partition(r.key.data, r.key.len, count)
				       : in->partition % count;
		if (common >= 0 && p != common)
			return -1;
		common = p;
	}
	return common;
}

/* Copies the batch as it is when it may; *is_forwarded says so. */
static void batch_forward(struct task *t, struct input *in, bool *is_forwarded)
{
	struct thread *th = t->thread;
	const struct batch *b = &in->batch;

	*is_forwarded = false;
	if (in->feed_count != 1 || !in->feeds[0].is_forward || b->base_offset < in->position ||
	    batch_last_offset(b) >= in->end || b->record_count != b->last_offset_delta + 1 ||
	    batch_is_transactional(b) || b->producer_id != -1 ||
	    batch_timestamp_type(b) != BATCH_CREATE_TIME || batch_delete_horizon(b) >= 0 ||
	    (b->bytes.len < FORWARD_BYTES_MIN && batch_codec(b) == CODEC_NONE))
		return;
	struct sink *sink = in->feeds[0].pipe->forwards->sink;
	int32_t p = common_partition(in, sink->topic->partitions);
	if (p < 0)
		return;
	sinks_begin(&th->sinks);
	if (sinks_put_batch(&th->sinks, sink, p, b->bytes, b->record_count))
		return;
	in->position = batch_last_offset(b) + 1;
	th->step_records += (uint64_t)b->record_count;
	*is_forwarded = true;
}

/* --- running --- */

static enum ks_err record_run(struct task *t, struct input *in, const struct record *r)
{
	struct thread *th = t->thread;

	sinks_begin(&th->sinks);
	undo_begin(&th->undo);
	for (size_t i = 0; i < in->feed_count; i++) {
		enum ks_err err = feed_record(t, in, &in->feeds[i], r);
		if (!err)
			continue;
		sinks_rollback_record(&th->sinks);
		undo_apply_record(&th->undo);
		for (size_t k = 0; k <= i; k++)
			in->feeds[k].pipe->stream_time = in->feeds[k].pipe->time_before;
		return err;
	}
	in->position = r->offset + 1;
	th->step_records++;
	return ERR_NONE;
}

/* Functions may be slow: a turn ends by time as well, looked at now and then. */
static bool turn_is_over(struct thread *th)
{
	return ++th->turn_records % 8 == 0 && clock_monotonic_ns(&clock_real) >= th->turn_ends_ns;
}

static enum ks_err run_single(struct task *t, struct input *in, bool *worked)
{
	struct thread *th = t->thread;
	struct record r;
	bool may_fetch = true, got;

	while (!step_is_full(th)) {
		if (!in->in_batch) {
			enum ks_err err = batch_next(th, in, may_fetch, &got);
			if (err || !got)
				return err;
			may_fetch = false;
			*worked = true;
			batch_forward(t, in, &got);
			if (got)
				continue;
			err = batch_open(th, in);
			if (err)
				return err;
		}
		int more = record_next(th, in, &r);
		if (more < 0)
			return th->err;
		if (more == 0)
			continue;
		*worked = true;
		enum ks_err err = record_run(t, in, &r);
		if (err || turn_is_over(th))
			return err;
	}
	return ERR_NONE;
}

/* Fills in->head if there is a record to be had. */
static enum ks_err head_fill(struct thread *th, struct input *in)
{
	while (!in->has_head) {
		bool got;
		if (!in->in_batch) {
			enum ks_err err = batch_next(th, in, true, &got);
			if (err || !got)
				return err;
			err = batch_open(th, in);
			if (err)
				return err;
		}
		int more = record_next(th, in, &in->head);
		if (more < 0)
			return th->err;
		in->has_head = more > 0;
	}
	return ERR_NONE;
}

static enum ks_err run_merging(struct task *t, bool *worked)
{
	struct thread *th = t->thread;

	for (int i = 0; i < MERGE_TURN_RECORDS && !step_is_full(th); i++) {
		struct input *first = NULL;
		for (size_t k = 0; k < t->input_count; k++) {
			struct input *in = t->inputs[k];
			enum ks_err err = head_fill(th, in);
			if (err)
				return err;
			if (in->has_head && (!first || in->head.timestamp < first->head.timestamp))
				first = in;
		}
		if (!first)
			return ERR_NONE;
		*worked = true;
		first->has_head = false;
		enum ks_err err = record_run(t, first, &first->head);
		if (err || turn_is_over(th))
			return err;
	}
	return ERR_NONE;
}

static void forget_processed(struct thread *th, struct input *in)
{
	int64_t durable = atomic_load_explicit(&in->durable, memory_order_relaxed);

	if (!in->is_repartition || durable == in->forgotten ||
	    (durable - in->forgotten < FORGET_EVERY_RECORDS &&
	     in->fetched_bytes < FORGET_EVERY_BYTES))
		return;
	in->forgotten = durable;
	in->fetched_bytes = 0;
	th->engine->backend->ops->forget(in->source, durable);
}

enum ks_err task_run(struct task *t, bool *worked)
{
	for (size_t i = 0; i < t->input_count; i++)
		forget_processed(t->thread, t->inputs[i]);
	if (t->input_count == 0)
		return ERR_NONE;
	return t->input_count == 1 ? run_single(t, t->inputs[0], worked) : run_merging(t, worked);
}

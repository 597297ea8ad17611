/* backend_local.c - a job on the broker of this process. See backend.h. */
#include "streams/backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct local {
	struct backend base;
	struct broker *broker;
	struct job_session *session;
	char *group;
	pthread_mutex_t mtx;
	/* under mtx */
	struct backend_topic **topics;
	size_t topic_count;
};

struct backend_input {
	struct local *local;
	struct partition *partition;
	struct reader *reader;
	struct aborted_batches aborted; /* of the last fetch */
};

/* The broker's form of a commit, kept between uses. */
struct local_commit {
	struct commit c;
	struct backend_commit *of;
	size_t output_cap, offset_cap;
};

static struct local *local_of(struct backend *b)
{
	return (struct local *)b;
}

static void local_free(struct backend *b)
{
	struct local *l = local_of(b);

	for (size_t i = 0; i < l->topic_count; i++) {
		free(l->topics[i]->name);
		free(l->topics[i]);
	}
	free(l->topics);
	free(l->group);
	broker_job_close(l->session);
	pthread_mutex_destroy(&l->mtx);
	free(l);
}

/* --- topics --- */

static size_t batch_bytes_max(struct topic *t)
{
	size_t n, max = 1048588;
	struct topic_config_row *rows = topic_configs(t, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].key, "max.message.bytes") == 0)
			max = (size_t)strtoull(rows[i].value, NULL, 10);
	free(rows);
	return max;
}

static const struct backend_topic *topic_keep(struct local *l, struct topic *t)
{
	struct backend_topic *kept = NULL;

	pthread_mutex_lock(&l->mtx);
	for (size_t i = 0; i < l->topic_count && !kept; i++)
		if (l->topics[i]->handle == t)
			kept = l->topics[i];
	if (!kept) {
		kept = xmalloc(sizeof *kept);
		*kept = (struct backend_topic){
			.name = xstrdup(topic_name(t)),
			.partitions = topic_partition_count(t),
			.batch_bytes_max = batch_bytes_max(t),
			.wants_keys = topic_wants_keys(t),
			.handle = t,
		};
		l->topics = xrealloc(l->topics, (l->topic_count + 1) * sizeof *l->topics);
		l->topics[l->topic_count++] = kept;
	}
	pthread_mutex_unlock(&l->mtx);
	return kept;
}

static enum ks_err unknown_topic(struct local *l, const char *name, struct ks_why *why)
{
	char *near = broker_topic_suggest(l->broker, name);

	ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "there is no topic \"%s\"%s%s%s", name,
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	free(near);
	return ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static enum ks_err local_topic(struct backend *b, const struct topic_spec *spec,
			       enum topic_need need, const struct backend_topic **out,
			       struct ks_why *why)
{
	struct local *l = local_of(b);
	struct topic *t = broker_topic_find(l->broker, spec->name);

	if (!t && need == TOPIC_CREATE) {
		enum ks_err err = broker_topic_create(l->broker, spec, why);
		if (err && err != ERR_TOPIC_ALREADY_EXISTS)
			return err;
		t = broker_topic_find(l->broker, spec->name);
	} else if (!t && need == TOPIC_AUTO) {
		t = broker_topic_find_or_create(l->broker, spec->name, why);
	}
	if (!t)
		return unknown_topic(l, spec->name, why);
	*out = topic_keep(l, t);
	return ERR_NONE;
}

static char **local_topic_names(struct backend *b, size_t *count)
{
	size_t n, kept = 0;
	struct topic **topics = broker_topics(local_of(b)->broker, &n);
	char **names = xcalloc(n, sizeof *names);

	for (size_t i = 0; i < n; i++)
		if (!topic_is_internal(topics[i]))
			names[kept++] = xstrdup(topic_name(topics[i]));
	free(topics);
	*count = kept;
	return names;
}

/* --- inputs --- */

static enum ks_err local_assign(struct backend *b, const struct backend_topic *t, int32_t partition,
				bool from_start, struct backend_input **out, int64_t *position,
				struct ks_why *why)
{
	struct local *l = local_of(b);
	struct partition *p = topic_partition(t->handle, partition);
	int64_t offset;
	enum ks_err err = broker_group_offset(l->broker, l->group, p, &offset);

	if (err && err != ERR_NOT_FOUND && err != ERR_GROUP_ID_NOT_FOUND)
		return ks_fail(why, err, "the offset of %s[%d] cannot be read: %s", t->name,
			       partition, ks_err_text(err));
	if (err)
		offset = from_start ? partition_log_start_offset(p)
				    : partition_last_stable_offset(p);
	struct backend_input *in = xmalloc(sizeof *in);
	*in = (struct backend_input){.local = l, .partition = p, .reader = reader_new(p)};
	*out = in;
	*position = offset;
	return ERR_NONE;
}

static void local_unassign(struct backend_input *in)
{
	reader_free(in->reader);
	aborted_batches_fini(&in->aborted);
	free(in);
}

static enum ks_err local_fetch(struct backend_input *in, int64_t offset, size_t max_bytes,
			       struct chunk *out, struct ks_why *why)
{
	return reader_read_committed(in->reader, in->partition, offset, max_bytes, out,
				     &in->aborted, why);
}

static bool local_is_aborted(struct backend_input *in, const struct batch *b)
{
	return aborted_batches_has(&in->aborted, b);
}

static int64_t local_start_offset(struct backend_input *in)
{
	return partition_next_start_offset(in->partition);
}

static int64_t local_end_offset(struct backend_input *in)
{
	return partition_last_stable_offset(in->partition);
}

static void local_forget(struct backend_input *in, int64_t offset)
{
	struct ks_why why = {""};
	int64_t start;
	enum ks_err err = broker_trim(in->local->broker, in->partition, offset, &start, &why);

	if (err)
		log_warn("job", "%s: a repartition topic could not be trimmed: %s",
			 in->local->group, why.text);
}

/* --- waiting: struct backend_waiter is the broker's waiter --- */

static struct waiter *waiter_of(struct backend_waiter *w)
{
	return (struct waiter *)w;
}

static struct backend_waiter *local_waiter_new(struct backend *b)
{
	(void)b;
	return (struct backend_waiter *)waiter_new();
}

static void local_waiter_free(struct backend_waiter *w)
{
	if (w)
		waiter_free(waiter_of(w));
}

static void local_watch(struct backend_waiter *w, struct backend_input *in)
{
	waiter_watch(waiter_of(w), in->partition);
}

static uint64_t local_ticket(struct backend_waiter *w)
{
	return waiter_ticket(waiter_of(w));
}

static void local_wait(struct backend_waiter *w, uint64_t ticket, int timeout_ms)
{
	waiter_wait(waiter_of(w), ticket, timeout_ms);
}

static void local_wake(struct backend_waiter *w)
{
	waiter_wake(waiter_of(w));
}

/* --- commits --- */

static void local_done(struct commit *c, enum ks_err err)
{
	struct backend_commit *of = ((struct local_commit *)c->cookie)->of;
	of->done(of, err);
}

static void local_commit(struct backend *b, struct backend_commit *c)
{
	struct local *l = local_of(b);
	struct local_commit *lc = c->own ? c->own : xcalloc(1, sizeof *lc);
	struct commit *to = &lc->c;

	c->own = lc;
	lc->of = c;
	if (c->output_count > lc->output_cap) {
		to->outputs = xrealloc(to->outputs, c->output_count * sizeof *to->outputs);
		lc->output_cap = c->output_count;
	}
	if (c->offset_count > lc->offset_cap) {
		to->offsets = xrealloc(to->offsets, c->offset_count * sizeof *to->offsets);
		lc->offset_cap = c->offset_count;
	}
	for (size_t i = 0; i < c->output_count; i++)
		to->outputs[i] = (struct commit_output){
			.partition = topic_partition(c->outputs[i].topic->handle,
						     c->outputs[i].partition),
			.batches = c->outputs[i].batches,
		};
	for (size_t i = 0; i < c->offset_count; i++)
		to->offsets[i] = (struct commit_offset){
			.partition = c->offsets[i].input->partition,
			.offset = c->offsets[i].offset,
		};
	*to = (struct commit){
		.session = l->session,
		.group = l->group,
		.outputs = to->outputs,
		.output_count = c->output_count,
		.offsets = to->offsets,
		.offset_count = c->offset_count,
		.states = c->states,
		.state_count = c->state_count,
		.done = local_done,
		.cookie = lc,
	};
	broker_commit(l->broker, to);
}

static void local_commit_fini(struct backend *b, struct backend_commit *c)
{
	struct local_commit *lc = c->own;

	(void)b;
	if (!lc)
		return;
	free(lc->c.outputs);
	free(lc->c.offsets);
	free(lc);
	c->own = NULL;
}

static void local_explain(struct backend *b, enum ks_err err, struct ks_why *why)
{
	struct local *l = local_of(b);
	const char *failure = broker_failure(l->broker);

	if (err == ERR_PRODUCER_FENCED)
		job_session_fenced_by(l->session, why);
	else
		ks_fail(why, err, "job %s: a step could not be committed: %s", l->group,
			failure ? failure : ks_err_text(err));
}

/* --- state --- */

static uint32_t local_state_prefix(struct backend *b)
{
	return job_session_id(local_of(b)->session);
}

static enum ks_err local_state_get(struct backend *b, struct slice key, struct buf *out)
{
	return store_get(broker_store(local_of(b)->broker), CF_STATE, key, out);
}

static enum ks_err local_state_scan(struct backend *b, struct slice lower, struct slice upper,
				    enum ks_err (*entry)(void *cookie, struct slice key,
							 struct slice value),
				    void *cookie, struct ks_why *why)
{
	struct store *s = broker_store(local_of(b)->broker);
	struct store_iter *it = store_iter_new(s, CF_STATE, lower, upper);
	enum ks_err err = ERR_NONE;

	for (store_iter_seek(it, lower); store_iter_valid(it) && !err; store_iter_next(it))
		err = entry(cookie, store_iter_key(it), store_iter_value(it));
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err == ERR_CLOSED ? ERR_NONE : err;
}

enum ks_err backend_local_new(struct broker *b, const char *job, const char *owner,
			      struct backend **out, struct ks_why *why)
{
	static const struct backend_ops ops = {
		.free = local_free,
		.topic = local_topic,
		.topic_names = local_topic_names,
		.assign = local_assign,
		.unassign = local_unassign,
		.fetch = local_fetch,
		.is_aborted = local_is_aborted,
		.start_offset = local_start_offset,
		.end_offset = local_end_offset,
		.forget = local_forget,
		.waiter_new = local_waiter_new,
		.waiter_free = local_waiter_free,
		.watch = local_watch,
		.ticket = local_ticket,
		.wait = local_wait,
		.wake = local_wake,
		.commit = local_commit,
		.commit_fini = local_commit_fini,
		.explain = local_explain,
		.state_prefix = local_state_prefix,
		.state_get = local_state_get,
		.state_scan = local_state_scan,
	};
	struct job_session *session;
	enum ks_err err = broker_job_open(b, job, owner, &session, why);

	if (err)
		return err;
	struct local *l = xcalloc(1, sizeof *l);
	*l = (struct local){.base = {&ops}, .broker = b, .session = session, .group = xstrdup(job)};
	pthread_mutex_init(&l->mtx, NULL);
	*out = &l->base;
	return ERR_NONE;
}

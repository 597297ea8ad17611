/* compaction.c - see compaction.h. */
#include "broker/compaction.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/cleaner.h"
#include "broker/core.h"
#include "broker/shard.h"

/* Between two looks at least, however short the lags are that topics ask for. */
#define CHECK_MS_MIN 1000

struct compaction {
	/* immutable after start */
	struct broker *broker;
	pthread_t thread;
	bool has_thread;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_stopping;
	_Atomic(bool) stop; /* also for the cleaner */

	/* who looks has running locked, and with it: */
	pthread_mutex_t running;
	struct cleaner *cleaner;
	int64_t next_ms; /* to the next look, as the topics that were looked at want it */
};

static void tell(const struct partition *p, const struct cleaning_result *r)
{
	log_info("compaction",
		 "%s-%" PRId32 " is clean up to offset %" PRId64 ": %" PRIu64 " of %" PRIu64
		 " bytes are left",
		 p->topic->name, p->index, r->end, r->bytes_after, r->bytes_before);
}

/* Whether it concerns this partition alone. */
static bool is_passing(enum ks_err err)
{
	return err == ERR_UNKNOWN_TOPIC_OR_PARTITION || err == ERR_OFFSET_OUT_OF_RANGE;
}

static enum ks_err look_at_partition(struct compaction *c, struct partition *p, size_t *cleaned,
				     struct ks_why *why)
{
	struct cleaning_result r = {.is_unfinished = true};
	enum ks_err err = ERR_NONE;

	while (!err && r.is_unfinished && !p->is_uncleanable) {
		err = cleaner_run(c->cleaner, p, &r, why);
		if (!err && r.was_due) {
			tell(p, &r);
			++*cleaned;
		}
	}
	if (err == ERR_CORRUPTION && !shard_failure(c->broker->shard)) {
		p->is_uncleanable = true;
		log_error("compaction", "left alone from now on: %s", why->text);
		return ERR_NONE;
	}
	return is_passing(err) ? ERR_NONE : err;
}

static enum ks_err look_at_topic(struct compaction *c, struct topic *t, size_t *cleaned,
				 struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	if (!topic_wants_keys(t))
		return ERR_NONE;
	struct topic_cleanup how = topic_cleanup(t);
	if (how.segment_ms < c->next_ms)
		c->next_ms = how.segment_ms;
	if (how.max_lag_ms < c->next_ms)
		c->next_ms = how.max_lag_ms;
	for (int32_t i = 0; i < topic_partition_count(t) && !err; i++)
		err = look_at_partition(c, topic_partition(t, i), cleaned, why);
	return err;
}

/* With running locked. */
static enum ks_err look(struct compaction *c, size_t *cleaned, struct ks_why *why)
{
	size_t count;
	struct topic **all = broker_topics(c->broker, &count);
	enum ks_err err = ERR_NONE;

	c->next_ms = c->broker->options.compaction_check_ms;
	for (size_t i = 0; i < count && !err; i++)
		err = look_at_topic(c, all[i], cleaned, why);
	free(all);
	return err;
}

enum ks_err compaction_run(struct broker *b, size_t *cleaned, struct ks_why *why)
{
	struct compaction *c = b->compaction;
	struct ks_why said = {""};
	size_t count = 0;

	pthread_mutex_lock(&c->running);
	enum ks_err err = look(c, &count, why ? why : &said);
	pthread_mutex_unlock(&c->running);
	if (cleaned)
		*cleaned = count;
	return err;
}

/* --- the thread --- */

/* true: stop. */
static bool sleep_for(struct compaction *c, int64_t ms)
{
	const struct timespec until = clock_deadline(ms);

	pthread_mutex_lock(&c->mtx);
	while (!c->is_stopping)
		if (pthread_cond_timedwait(&c->changed, &c->mtx, &until))
			break;
	bool stop = c->is_stopping;
	pthread_mutex_unlock(&c->mtx);
	return stop;
}

static int64_t look_once(struct compaction *c)
{
	struct ks_why why = {""};
	size_t cleaned = 0;
	int64_t check_ms = c->broker->options.compaction_check_ms;

	if (shard_failure(c->broker->shard))
		return check_ms;
	pthread_mutex_lock(&c->running);
	enum ks_err err = look(c, &cleaned, &why);
	int64_t next_ms = c->next_ms;
	pthread_mutex_unlock(&c->running);
	if (err && err != ERR_CLOSED)
		log_error("compaction", "cannot clean: %s", why.text);
	int64_t least_ms = check_ms < CHECK_MS_MIN ? check_ms : CHECK_MS_MIN;
	return next_ms < least_ms ? least_ms : next_ms;
}

static void *run(void *arg)
{
	struct compaction *c = arg;
	int64_t next_ms = c->broker->options.compaction_check_ms;

	while (!sleep_for(c, next_ms))
		next_ms = look_once(c);
	return NULL;
}

struct compaction *compaction_start(struct broker *b)
{
	struct compaction *c = xcalloc(1, sizeof *c);
	pthread_condattr_t attr;

	c->broker = b;
	c->cleaner = cleaner_new(b, b->options.compaction_map_bytes, &c->stop);
	pthread_mutex_init(&c->mtx, NULL);
	pthread_mutex_init(&c->running, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	c->has_thread = !b->options.no_compaction;
	if (c->has_thread) {
		int failed = pthread_create(&c->thread, NULL, run, c);
		assert(!failed && "no thread for compaction");
	}
	return c;
}

void compaction_stop(struct compaction *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->mtx);
	c->is_stopping = true;
	atomic_store(&c->stop, true);
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->mtx);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	cleaner_free(c->cleaner);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->running);
	pthread_mutex_destroy(&c->mtx);
	free(c);
}

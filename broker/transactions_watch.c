/* transactions_watch.c - timeouts, ids that expire, transactions that hang; see transactions_impl.h.
 *
 * One tick for all three, and none while there is nothing to look for. Times of transactions are the wall clock's, for they
 * outlast a start; when to look again is the monotonic clock's.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "broker/producers.h"
#include "broker/transactions_impl.h"

#define NS_PER_MS        1000000
#define ABORTS_PER_TICK  100  /* each may have many markers */
#define EXPIRED_PER_TICK 1000 /* ids that are looked at */
#define HANGING_LOGGED   10   /* in one look */

static int64_t monotonic_ms(const struct txns *c)
{
	return clock_monotonic_ns(&c->broker->clock) / NS_PER_MS;
}

static void watch(struct txns *c, int64_t *due, int32_t interval_ms)
{
	if (*due != INT64_MAX)
		return;
	*due = monotonic_ms(c) + interval_ms;
	shard_tick_by(&c->tick, *due * NS_PER_MS);
}

void txns_watch_open(struct txns *c)
{
	if (!KS_SEEDED_BUG(116))
		watch(c, &c->due.timeouts, c->options.abort_interval_ms);
	watch(c, &c->due.hanging, c->options.check_interval_ms);
}

void txns_watch_ids(struct txns *c)
{
	watch(c, &c->due.expiry, c->options.cleanup_interval_ms);
}

/* --- timeouts --- */

static void abort_one(struct txn_step *s, struct txn_entry *x)
{
	struct transaction_effects fx;

	log_info("txn",
		 "transaction of \"%.*s\" (producer %" PRId64 ", epoch %d) timed out after %" PRId32
		 " ms and is aborted",
		 (int)x->id.len, (const char *)x->id.data, x->t.producer_id, x->t.producer_epoch,
		 x->t.timeout_ms);
	transaction_abort(&x->t, s->g->now_ms, &fx);
	txn_settle(s, x, &fx);
	atomic_fetch_add(&s->c->timed_out, 1);
}

/* Returns when to look again, ms. */
static int64_t look_at_timeouts(struct txn_step *s)
{
	struct txn_entry *x = TAILQ_FIRST(&s->c->open), *next;

	for (int n = 0; x && n < ABORTS_PER_TICK; x = next) {
		next = TAILQ_NEXT(x, in_open);
		if (transaction_deadline(&x->t) > s->g->now_ms)
			continue;
		abort_one(s, x);
		n++;
	}
	if (x)
		return s->now_ms;
	return s->c->open_count ? s->now_ms + s->c->options.abort_interval_ms : INT64_MAX;
}

/* --- expiry --- */

static void expire_one(struct txn_step *s, struct txn_entry *x)
{
	struct transaction_effects fx;

	transaction_expire(&x->t, s->g->now_ms, &fx);
	txn_settle(s, x, &fx);
}

/* By name: ids may come and go between two ticks. */
static int64_t look_at_ids(struct txn_step *s)
{
	struct txns *c = s->c;
	size_t at = sorted_place(&c->ids, buf_slice(&c->due.at));

	for (int n = 0; n < EXPIRED_PER_TICK && at < c->ids.count; n++) {
		struct txn_entry *x = c->ids.items[at];
		size_t before = c->ids.count;
		if (transaction_expiry(&x->t, c->options.id_expiration_ms) <= s->g->now_ms)
			expire_one(s, x);
		at += c->ids.count == before;
	}
	buf_clear(&c->due.at);
	if (at == c->ids.count)
		return c->ids.count ? s->now_ms + c->options.cleanup_interval_ms : INT64_MAX;
	struct slice id = ((const struct txn_entry *)c->ids.items[at])->id;
	buf_append(&c->due.at, id.data, id.len);
	return s->now_ms;
}

/* --- transactions that hang --- */

struct look {
	struct txns *txns;
	uint64_t hanging;
};

/* Whether the coordinator knows of what is open; it is the one that will end it. */
static bool is_known(const struct txns *c, int64_t producer_id, const struct producer_state *state,
		     uint32_t partition_id)
{
	const struct txn_entry *x = txn_find_producer(c, producer_id);

	if (KS_SEEDED_BUG(1032))
		return true;
	return x && x->t.state == TRANSACTION_ONGOING && x->t.producer_epoch == state->epoch &&
	       transaction_parts_has_partition(&x->t.parts, partition_id);
}

static void look_at_producer(void *arg, const struct producer *p)
{
	struct look *l = arg;
	const struct partition *where =
		topics_partition(&l->txns->broker->topics, p->map->partition_id);

	if (p->pending) /* this very tick has ended it */
		return;
	if (!where || is_known(l->txns, p->id, &p->state, p->map->partition_id))
		return;
	if (l->hanging++ >= HANGING_LOGGED)
		return;
	log_error("txn",
		  "partition %s-%" PRId32 ": the transaction of producer %" PRId64
		  " (epoch %d) that begins at offset %" PRId64
		  " hangs: its coordinator does not know of it; end it with txn abort",
		  where->topic->name, where->index, p->id, p->state.epoch,
		  p->state.txn_first_offset);
}

static int64_t look_for_hanging(struct txn_step *s)
{
	struct look l = {.txns = s->c};
	bool any = producer_table_each_open(s->c->broker->producers, look_at_producer, &l);

	atomic_store(&s->c->hanging, l.hanging);
	return any ? s->now_ms + s->c->options.check_interval_ms : INT64_MAX;
}

/* --- the tick --- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t txns_watch(void *arg, struct group *g, int64_t now_ns)
{
	struct txns *c = arg;
	struct txn_step s = {c, g, now_ns / NS_PER_MS};

	if (g->failed)
		return INT64_MAX;
	if (c->due.timeouts <= s.now_ms)
		c->due.timeouts = look_at_timeouts(&s);
	if (c->due.expiry <= s.now_ms)
		c->due.expiry = look_at_ids(&s);
	if (c->due.hanging <= s.now_ms)
		c->due.hanging = look_for_hanging(&s);
	int64_t next_ms = least(c->due.timeouts, least(c->due.expiry, c->due.hanging));
	return next_ms > INT64_MAX / NS_PER_MS ? INT64_MAX : next_ms * NS_PER_MS;
}

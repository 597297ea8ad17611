/* coordinator_sweep.c - offsets and groups that expire (KIP-211); see coordinator_impl.h.
 *
 * Every offsets.retention.check.interval.ms all offsets are looked at, a few thousand in a tick,
 * so that nobody waits long for the shard. Then empty groups without offsets are forgotten.
 *
 * An offset expires when nobody has used it for the retention time:
 *
 *     a group without members       after its last member left, or the commit if that was later
 *     a group with members          after the commit, if none of them reads the topic
 *     no group, commits from outside   after the commit
 *     a job                         never
 */
#include "broker/coordinator_impl.h"
#include "broker/offsets.h"
#include "broker/transactions_offsets.h"

#define OFFSETS_PER_TICK 2000
#define GROUPS_PER_TICK  200

/* Since when the group has no members; INT64_MAX: it has some. */
static int64_t idle_since_ms(const struct coordinated *x)
{
	if (coordinated_has_members(x))
		return INT64_MAX;
	if (x->consumer)
		return x->consumer->empty_since_ms;
	return x->classic ? x->classic->empty_since_ms : 0;
}

static bool reads_topic(const struct coordinated *x, const struct topic *t)
{
	if (x->consumer)
		return consumer_reads_topic(x->consumer, t->id);
	/* While it rebalances it is not known what it will read. */
	return !x->classic || x->classic->state != CLASSIC_STABLE ||
	       classic_reads_topic(x->classic, slice_str(t->name));
}

static bool has_expired(const struct step *s, const struct coordinated *x, const struct topic *t,
			const struct stored_offset *o)
{
	int64_t minutes = s->c->options.offsets_retention_minutes;
	int64_t since = idle_since_ms(x);

	if (since == INT64_MAX && reads_topic(x, t))
		return false;
	if (o->expire_time_ms >= 0)
		return o->expire_time_ms <= s->at.wall_ms;
	if (since == INT64_MAX || since < o->commit_time_ms)
		since = o->commit_time_ms;
	return minutes >= 0 && minutes <= (s->at.wall_ms - since) / 60000;
}

static bool is_job(const struct coordinator *c, const struct coordinated *x)
{
	return job_find(c->broker->jobs, (const char *)x->name.data);
}

static void look_at(struct step *s, const struct coordinated *x, uint32_t partition_id,
		    struct slice value)
{
	const struct partition *p = topics_partition(&s->c->broker->topics, partition_id);
	struct stored_offset o;

	if (!p || !stored_offset_decode(value, &o) || !has_expired(s, x, p->topic, &o) ||
	    pending_offsets_has(x, partition_id))
		return;
	offset_delete(s->g->write, &s->c->key, x->name, partition_id);
}

/* From where it stopped. true: it has come to the end. */
static bool look_at_offsets(struct step *s)
{
	struct coordinator *c = s->c;
	struct store_iter *it =
		store_iter_new(c->broker->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	const struct coordinated *x = NULL;
	struct slice group;
	uint32_t id;
	bool is_kept = false;

	store_iter_seek(it, buf_slice(&c->sweep.at));
	for (int n = 0; n < OFFSETS_PER_TICK && store_iter_valid(it); n++, store_iter_next(it)) {
		if (!key_offset_decode(store_iter_key(it), &group, &id))
			break;
		if (!x || !slice_equal(x->name, group)) {
			x = coordinator_find(c, group);
			is_kept = !x || is_job(c, x);
		}
		if (!is_kept)
			look_at(s, x, id, store_iter_value(it));
	}
	bool is_done = !store_iter_valid(it);
	buf_clear(&c->sweep.at);
	if (!is_done)
		buf_append(&c->sweep.at, store_iter_key(it).data, store_iter_key(it).len);
	store_iter_free(it);
	return is_done;
}

static bool has_any_offset(struct coordinator *c, const struct coordinated *x)
{
	struct buf bounds[2] = {{0}, {0}};
	struct store_iter *it = offsets_iter(c->broker->store, x->name, bounds);

	store_iter_first(it);
	/* When in doubt it has. */
	bool has = store_iter_valid(it) || store_iter_error(it, NULL);
	store_iter_free(it);
	buf_fini(&bounds[0]);
	buf_fini(&bounds[1]);
	return has;
}

/* A tick has a write of its own: what the store shows is all there is. */
static void forget_if_void(struct step *s, struct coordinated *x)
{
	if (coordinated_has_members(x) || (x->classic && x->classic->pending.count > 0) ||
	    (x->classic && x->classic->state != CLASSIC_EMPTY) || !LIST_EMPTY(&x->pending) ||
	    has_any_offset(s->c, x))
		return;
	coordinator_delete_records(s, x);
	coordinator_remove(s->c, x);
}

/* By name: groups may come and go between two ticks. */
static bool look_at_groups(struct step *s)
{
	struct coordinator *c = s->c;
	size_t at = sorted_place(&c->groups, buf_slice(&c->sweep.at));

	for (int n = 0; n < GROUPS_PER_TICK && at < c->groups.count; n++) {
		size_t before = c->groups.count;
		forget_if_void(s, c->groups.items[at]);
		at += c->groups.count == before;
	}
	buf_clear(&c->sweep.at);
	if (at == c->groups.count)
		return true;
	struct slice name = ((const struct coordinated *)c->groups.items[at])->name;
	buf_append(&c->sweep.at, name.data, name.len);
	return false;
}

int64_t coordinator_sweep(struct step *s)
{
	struct coordinator *c = s->c;

	if (!c->sweep.is_running) {
		if (s->at.ms < c->sweep.next_ms)
			return c->sweep.next_ms;
		c->sweep.is_running = true;
		c->sweep.has_seen_offsets = false;
	}
	if (!c->sweep.has_seen_offsets) {
		c->sweep.has_seen_offsets = look_at_offsets(s);
		return s->at.ms; /* go on soon; what it deletes is written then */
	}
	if (!look_at_groups(s))
		return s->at.ms;
	c->sweep.is_running = false;
	c->sweep.next_ms = s->at.ms + c->options.offsets_retention_check_interval_ms;
	return c->sweep.next_ms;
}

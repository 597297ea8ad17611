/* coordinator.c - the table of groups, tasks, deadlines, opening and closing; see coordinator.h. */
#include "broker/coordinator.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"
#include "broker/coordinator_impl.h"
#include "broker/offsets.h"
#include "broker/transactions_offsets.h"

#define NS_PER_MS         1000000
#define EXPIRED_PER_TICK  500    /* more wait for the next one, so that others get a turn */
#define NEW_MEMBER_MS     300000 /* how long the join of a new member may be parked, as in Kafka */
#define FRESH_ID_NAME_MAX 200    /* bytes of the client's name in a member's id */

/* --- the table --- */

struct coordinated *coordinator_find(const struct coordinator *c, struct slice name)
{
	return sorted_find(&c->groups, name);
}

struct coordinated *coordinator_add(struct coordinator *c, struct slice name)
{
	if (c->groups.count >= (size_t)c->options.groups_max)
		return NULL;
	struct coordinated *x = xcalloc(1, sizeof *x);
	x->name = text_copy(name);
	sorted_add(&c->groups, x);
	return x;
}

void coordinator_remove(struct coordinator *c, struct coordinated *x)
{
	sorted_remove(&c->groups, x);
	c->bytes -= x->bytes;
	classic_free(x->classic);
	consumer_free(x->consumer);
	text_free(&x->name);
	free(x);
}

bool coordinator_has_room(const struct coordinator *c, size_t bytes)
{
	return c->bytes + bytes <= c->options.state_bytes_max;
}

bool coordinated_has_members(const struct coordinated *x)
{
	return (x->classic && x->classic->members.count > 0) ||
	       (x->consumer && x->consumer->members.count > 0);
}

void coordinator_count(struct coordinator *c, struct coordinated *x)
{
	if (x->classic && !x->has_record && classic_is_blank(x->classic)) {
		classic_free(x->classic);
		x->classic = NULL;
	}
	if (x->consumer && !x->has_record && x->consumer->members.count == 0) {
		consumer_free(x->consumer);
		x->consumer = NULL;
	}
	if (!x->classic && !x->consumer && !x->has_offsets && LIST_EMPTY(&x->pending)) {
		coordinator_remove(c, x);
		return;
	}
	c->bytes -= x->bytes;
	x->bytes = (x->classic ? x->classic->bytes : 0) + (x->consumer ? x->consumer->bytes : 0);
	c->bytes += x->bytes;
}

/* Names are C strings for the rest of the program. */
enum ks_err coordinator_check_name(struct slice name)
{
	if (name.len == 0 || name.len > BROKER_GROUP_NAME_MAX || memchr(name.data, 0, name.len))
		return ERR_INVALID_GROUP_ID;
	return ERR_NONE;
}

/* --- calls --- */

void *coordinator_alloc(struct coordinator_call *c, size_t count, size_t size)
{
	if (count == 0)
		return NULL;
	void *p = arena_alloc(c->arena, count * size);
	memset(p, 0, count * size);
	return p;
}

struct slice coordinator_copy(struct coordinator_call *c, struct slice text)
{
	if (!text.data)
		return SLICE_NULL;
	return slice_of(text.len ? arena_copy(c->arena, text.data, text.len) : "", text.len);
}

static void answer(void *arg, enum ks_err err)
{
	struct errand *e = arg;

	e->call->err = err;
	e->call->done(e->call);
	free(e);
}

void coordinator_reply(struct step *s, struct errand *e)
{
	group_after(s->g, answer, e);
}

static int64_t to_ns(int64_t ms)
{
	return ms > INT64_MAX / NS_PER_MS ? INT64_MAX : ms * NS_PER_MS;
}

static struct step step_begin(struct coordinator *c, struct group *g, int64_t now_ns)
{
	return (struct step){c, g, {now_ns / NS_PER_MS, g->now_ms}};
}

static void wake_in_time(struct coordinator *c)
{
	shard_tick_by(&c->tick, to_ns(deadlines_next(&c->deadlines)));
}

/* Offsets are read from the store, which shows what the group of commands has put once that is
 * written. */
static void fetch_and_answer(void *arg, enum ks_err err)
{
	struct errand *e = arg;

	if (!err)
		coordinator_fetch(e->coordinator, e->call);
	answer(e, err);
}

/* Those that are answered by the end of it. */
static void carry_out(struct step *s, struct coordinator_call *call)
{
	switch ((enum wire_api_key)call->api_key) {
	case API_heartbeat:
		coordinator_heartbeat(s, call);
		break;
	case API_leave_group:
		coordinator_leave(s, call);
		break;
	case API_offset_commit:
		coordinator_commit(s, call);
		break;
	case API_offset_delete:
		coordinator_delete_offsets(s, call);
		break;
	case API_describe_groups:
		coordinator_describe(s, call);
		break;
	case API_list_groups:
		coordinator_list(s, call);
		break;
	case API_delete_groups:
		coordinator_delete_groups(s, call);
		break;
	case API_consumer_group_heartbeat:
		coordinator_consumer_heartbeat(s, call);
		break;
	case API_consumer_group_describe:
		coordinator_consumer_describe(s, call);
		break;
	default:
		assert(false && "not a request of the group protocols");
	}
}

static void apply(struct task *t, struct group *g)
{
	struct errand *e = (struct errand *)t;
	struct coordinator *c = e->coordinator;
	struct step s = step_begin(c, g, clock_monotonic_ns(&c->broker->clock));

	if (g->failed) {
		coordinator_reply(&s, e);
		return;
	}
	if (e->call->api_key == API_join_group) {
		coordinator_join(&s, e);
	} else if (e->call->api_key == API_sync_group) {
		coordinator_sync(&s, e);
	} else if (e->call->api_key == API_offset_fetch) {
		group_after(g, fetch_and_answer, e);
	} else {
		carry_out(&s, e->call);
		coordinator_reply(&s, e);
	}
	wake_in_time(c);
}

/* As Kafka makes them: the client's name or its instance id, then a random UUID. Random here, on
 * the sender's thread: the shard takes chance from outside. */
static struct slice fresh_id(struct coordinator_call *call)
{
	const struct join_group_request *q = call->request;
	struct slice name = q->group_instance_id.len > 0 ? q->group_instance_id : call->client_id;
	size_t len = name.len < FRESH_ID_NAME_MAX ? name.len : FRESH_ID_NAME_MAX;
	struct buf id = {0};
	uint8_t r[16];

	random_bytes(r, sizeof r);
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	if (len)
		buf_append(&id, name.data, len);
	for (size_t i = 0; i < sizeof r; i++)
		buf_printf(&id, i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			   r[i]);
	struct slice copy = coordinator_copy(call, buf_slice(&id));
	buf_fini(&id);
	return copy;
}

void broker_group_call(struct broker *b, struct coordinator_call *call)
{
	struct errand *e = xmalloc(sizeof *e);

	*e = (struct errand){.task = {apply}, .coordinator = b->coordinator, .call = call};
	if (call->api_key == API_join_group)
		e->fresh_id = fresh_id(call);
	(call->is_queued ? shard_task_queue : shard_task)(b->shard, &e->task,
							  call->request_bytes + sizeof *e);
}

/* --- deadlines --- */

static void expire(struct step *s, struct deadline *t)
{
	struct coordinator *c = s->c;
	struct coordinated *x = t->owner;

	if (x->classic) {
		classic_expire(x->classic, t, &s->at, &c->classic_fx);
		coordinator_settle_classic(s, x);
	} else {
		consumer_expire(x->consumer, t, &s->at, &c->consumer_fx);
		coordinator_put_consumer(s, x);
		coordinator_count(c, x);
	}
}

static int64_t run_tick(void *arg, struct group *g, int64_t now_ns)
{
	struct coordinator *c = arg;
	struct step s = step_begin(c, g, now_ns);
	struct deadline *t;

	if (g->failed)
		return INT64_MAX;
	for (int i = 0; i < EXPIRED_PER_TICK && (t = deadlines_due(&c->deadlines, s.at.ms)); i++)
		expire(&s, t);
	int64_t sweep_ms = coordinator_sweep(&s), next_ms = deadlines_next(&c->deadlines);
	return to_ns(sweep_ms < next_ms ? sweep_ms : next_ms);
}

/* --- changes that do not come over the wire --- */

struct coordinated *coordinator_note_offsets(struct coordinator *c, const char *group)
{
	struct coordinated *x = coordinator_find(c, slice_str(group));

	if (!x) { /* whoever may write offsets past the protocol may make groups past its limit */
		int32_t max = c->options.groups_max;
		c->options.groups_max = INT32_MAX;
		x = coordinator_add(c, slice_str(group));
		c->options.groups_max = max;
	}
	x->has_offsets = true;
	return x;
}

enum ks_err coordinator_check_idle(struct coordinator *c, const char *group, struct ks_why *why)
{
	const struct coordinated *x = coordinator_find(c, slice_str(group));

	if (x && coordinated_has_members(x))
		return ks_fail(why, ERR_NON_EMPTY_GROUP,
			       "group \"%s\" has members: its offsets are theirs to commit", group);
	return ERR_NONE;
}

enum ks_err coordinator_delete(struct coordinator *c, struct slice group, struct group *g)
{
	struct coordinated *x = coordinator_find(c, group);
	struct step s = {.c = c, .g = g};

	if (!x)
		return ERR_GROUP_ID_NOT_FOUND;
	if (coordinated_has_members(x))
		return ERR_NON_EMPTY_GROUP;
	offsets_delete_group(g->write, group);
	pending_offsets_drop_group(x, g);
	g->needs_sync = true;
	coordinator_delete_records(&s, x);
	coordinator_remove(c, x);
	return ERR_NONE;
}

/* --- the end --- */

static void end_groups(struct step *s)
{
	struct coordinator *c = s->c;

	c->is_ending = true;
	for (size_t i = c->groups.count; i-- > 0;) {
		struct coordinated *x = c->groups.items[i];
		if (!x->classic)
			continue;
		classic_end(x->classic, ERR_NOT_COORDINATOR, &c->classic_fx);
		coordinator_settle_classic(s, x);
	}
}

/* A thread that waits for it. */
struct ending {
	struct task task;
	struct coordinator *coordinator;
	pthread_mutex_t mtx;
	pthread_cond_t done;
	bool is_done;
};

static void ended(void *arg, enum ks_err err)
{
	struct ending *e = arg;

	(void)err; /* each call hears for itself */
	pthread_mutex_lock(&e->mtx);
	e->is_done = true;
	pthread_cond_signal(&e->done);
	pthread_mutex_unlock(&e->mtx);
}

static void apply_end(struct task *t, struct group *g)
{
	struct ending *e = (struct ending *)t;
	struct step s = step_begin(e->coordinator, g, 0);

	end_groups(&s);
	group_after(g, ended, e);
}

void broker_group_calls_end(struct broker *b)
{
	struct ending e = {.task = {apply_end}, .coordinator = b->coordinator};

	pthread_mutex_init(&e.mtx, NULL);
	pthread_cond_init(&e.done, NULL);
	shard_task(b->shard, &e.task, 0);
	pthread_mutex_lock(&e.mtx);
	while (!e.is_done)
		pthread_cond_wait(&e.done, &e.mtx);
	pthread_mutex_unlock(&e.mtx);
	pthread_cond_destroy(&e.done);
	pthread_mutex_destroy(&e.mtx);
}

/* --- opening and closing --- */

#define DEFAULT(field, value) ((field) ? (field) : (value))

static struct group_options fill_in(const struct group_options *o)
{
	struct group_options all = *o;

	all.initial_rebalance_delay_ms = o->initial_rebalance_delay_ms < 0
						 ? 0
						 : DEFAULT(o->initial_rebalance_delay_ms, 3000);
	all.min_session_timeout_ms = DEFAULT(o->min_session_timeout_ms, 6000);
	all.max_session_timeout_ms = DEFAULT(o->max_session_timeout_ms, 1800000);
	all.max_size = DEFAULT(o->max_size, INT32_MAX);
	all.consumer_session_timeout_ms = DEFAULT(o->consumer_session_timeout_ms, 45000);
	all.consumer_heartbeat_interval_ms = DEFAULT(o->consumer_heartbeat_interval_ms, 5000);
	all.consumer_max_size = DEFAULT(o->consumer_max_size, INT32_MAX);
	all.consumer_assignors = NULL; /* the caller's */
	all.offset_metadata_max_bytes = DEFAULT(o->offset_metadata_max_bytes, 4096);
	if (all.offset_metadata_max_bytes > INT16_MAX)
		all.offset_metadata_max_bytes = INT16_MAX;
	all.offsets_retention_minutes = DEFAULT(o->offsets_retention_minutes, 10080);
	all.offsets_retention_check_interval_ms =
		DEFAULT(o->offsets_retention_check_interval_ms, 600000);
	all.groups_max = DEFAULT(o->groups_max, 100000);
	all.state_bytes_max = DEFAULT(o->state_bytes_max, (size_t)256 << 20);
	return all;
}

/* Of a list with commas. The first is the default. */
static enum ks_err take_assignors(struct coordinator *c, const char *list, struct ks_why *why)
{
	struct slice first = SLICE_NULL;

	while (*list) {
		size_t len = strcspn(list, ",");
		struct slice name = slice_of(list, len);
		while (name.len > 0 && *name.data == ' ')
			name = slice_of(name.data + 1, name.len - 1);
		if (!assignor_find(name))
			return ks_fail(why, ERR_INVALID_CONFIG,
				       "group.consumer.assignors: there is no assignor \"%.*s\", "
				       "only uniform and range",
				       (int)name.len, (const char *)name.data);
		if (!first.data)
			first = name;
		names_append(&c->assignors, name);
		list += list[len] ? len + 1 : len;
	}
	if (!first.data)
		return ks_fail(why, ERR_INVALID_CONFIG, "group.consumer.assignors is empty");
	names_settle(&c->assignors);
	c->consumer_options.default_assignor = c->assignors.v[names_place(&c->assignors, first)];
	return ERR_NONE;
}

static void coordinator_init(struct coordinator *c, struct broker *b)
{
	const struct group_options *o = &c->options;

	c->broker = b;
	c->options = fill_in(&b->options.groups);
	c->classic_options =
		(struct classic_options){o->initial_rebalance_delay_ms, NEW_MEMBER_MS, o->max_size};
	c->consumer_options = (struct consumer_options){
		.session_timeout_ms = o->consumer_session_timeout_ms,
		.max_size = o->consumer_max_size,
		.topics = &c->topics,
	};
	c->expressions = expressions_new(b);
	expressions_source(c->expressions, &c->topics);
	c->tick = (struct tick){.run = run_tick, .arg = c};
}

enum ks_err coordinator_open(struct broker *b, struct coordinator **out, struct ks_why *why)
{
	const char *assignors = b->options.groups.consumer_assignors;
	struct coordinator *c = xcalloc(1, sizeof *c);
	struct moment at = {clock_monotonic_ns(&b->clock) / NS_PER_MS, clock_now_ms(&b->clock)};

	coordinator_init(c, b);
	b->options.groups.consumer_assignors = NULL;
	enum ks_err err = take_assignors(c, assignors ? assignors : "uniform,range", why);
	if (!err)
		err = coordinator_load(c, &at, why);
	if (err) {
		coordinator_free(c, false);
		return err;
	}
	c->sweep.next_ms = at.ms + c->options.offsets_retention_check_interval_ms;
	*out = c;
	return ERR_NONE;
}

void coordinator_start(struct coordinator *c)
{
	shard_tick_add(c->broker->shard, &c->tick);
}

/* The shard is gone: what is parked is answered from here. */
static void answer_parked(struct coordinator *c, bool store_has_failed)
{
	enum ks_err err = store_has_failed ? ERR_IO : ERR_NONE;

	for (size_t i = 0; i < c->groups.count; i++) {
		struct coordinated *x = c->groups.items[i];
		if (!x->classic)
			continue;
		classic_end(x->classic, ERR_NOT_COORDINATOR, &c->classic_fx);
		for (size_t k = 0; k < c->classic_fx.count; k++) {
			struct errand *e = c->classic_fx.answers[k].call;
			if (!err)
				coordinator_refuse(e->call, ERR_NOT_COORDINATOR);
			answer(e, err);
		}
		classic_effects_clear(&c->classic_fx);
	}
}

void coordinator_free(struct coordinator *c, bool store_has_failed)
{
	if (!c)
		return;
	answer_parked(c, store_has_failed);
	while (c->groups.count > 0)
		coordinator_remove(c, c->groups.items[c->groups.count - 1]);
	sorted_fini(&c->groups);
	deadlines_fini(&c->deadlines);
	expressions_free(c->expressions);
	names_fini(&c->assignors);
	classic_effects_fini(&c->classic_fx);
	consumer_effects_fini(&c->consumer_fx);
	buf_fini(&c->sweep.at);
	buf_fini(&c->key);
	buf_fini(&c->value);
	arena_fini(&c->arena);
	free(c);
}

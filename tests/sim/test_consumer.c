/* Random clients of the consumer protocol: heartbeats whose answers are lost or come late,
 * partitions that are given up slowly or never, departures, returns, crashes, topics that come,
 * grow and go, time and restarts.
 *
 * Above all: of the clients that the group has as members no two have a partition at the same
 * time.
 */
#include "sim.h"

#include "groups/record.h"
#include "tests/unit/groups/topics.h"

#define CLIENTS      6
#define SESSION_MS   45000
#define REBALANCE_MS 30000
#define RECORDS      64

/* What a client knows, and what it has. */
struct client {
	char id[16], instance[16];
	bool is_static, is_in;
	int32_t epoch;
	struct parts owned;    /* what it reads */
	struct parts assigned; /* what it was told last */
	bool is_told;          /* assigned is its newest order */
	int topics;       /* bits: which of the names it wants; with the 8 bit: an expression too */
	bool has_said;    /* the group knows its subscription */
	bool is_stubborn; /* gives nothing up for a while */
};

/* The store: what is written of the group. */
struct record {
	struct buf key, value;
};

struct world {
	struct sim *sim;
	struct fake_topics topics;
	struct consumer_options options;
	struct deadlines deadlines;
	struct consumer_group *g;
	struct consumer_effects fx;
	struct moment at;
	struct record records[RECORDS];
	size_t record_count;
	struct client clients[CLIENTS];
	int ids;
	int32_t told_epoch; /* the highest in any answer */
	int32_t last_epoch, last_target_epoch;
	int stable_seen, moved;
};

static const char *const names[] = {"a", "b", "log-x"};

/* --- the store --- */

static void put(struct world *w, struct slice key, struct slice value)
{
	size_t i = 0;

	while (i < w->record_count && !slice_equal(buf_slice(&w->records[i].key), key))
		i++;
	sim_check(w->sim, i < RECORDS);
	if (i == w->record_count) {
		w->record_count++;
		buf_append(&w->records[i].key, key.data, key.len);
	}
	buf_clear(&w->records[i].value);
	buf_append(&w->records[i].value, value.data, value.len);
}

static void delete (struct world *w, struct slice key)
{
	size_t i = 0;

	while (i < w->record_count && !slice_equal(buf_slice(&w->records[i].key), key))
		i++;
	sim_check(w->sim, i < w->record_count);
	buf_fini(&w->records[i].key);
	buf_fini(&w->records[i].value);
	w->records[i] = w->records[--w->record_count];
	w->records[w->record_count] = (struct record){{0}, {0}};
}

static void put_member(struct world *w, const struct consumer_member *m)
{
	struct buf key = {0}, value = {0};

	group_record_key(&key, GROUP_RECORD_MEMBER, slice_str("g"), m->id);
	consumer_member_encode(&value, m);
	put(w, buf_slice(&key), buf_slice(&value));
	buf_fini(&key);
	buf_fini(&value);
}

static void put_group(struct world *w)
{
	struct buf key = {0}, value = {0};
	struct consumer_group_record r;

	group_record_key(&key, GROUP_RECORD_CONSUMER, slice_str("g"), SLICE_NULL);
	consumer_record_make(w->g, &r);
	consumer_group_record_encode(&value, &r);
	put(w, buf_slice(&key), buf_slice(&value));
	buf_fini(&key);
	buf_fini(&value);
}

static void write_down(struct world *w)
{
	struct consumer_effects *fx = &w->fx;
	struct buf key = {0};

	for (size_t i = 0; i < fx->removed_count; i++) {
		buf_clear(&key);
		group_record_key(&key, GROUP_RECORD_MEMBER, slice_str("g"), fx->removed[i]);
		delete (w, buf_slice(&key));
	}
	for (size_t i = 0; i < fx->member_count; i++)
		put_member(w, fx->members[i]);
	if (fx->group)
		put_group(w);
	consumer_effects_clear(fx);
	buf_fini(&key);
}

/* The value of a key; null: there is none. */
static struct slice get(const struct world *w, struct slice key)
{
	for (size_t i = 0; i < w->record_count; i++)
		if (slice_equal(buf_slice(&w->records[i].key), key))
			return buf_slice(&w->records[i].value);
	return SLICE_NULL;
}

/* What is written is what there is: nothing more, nothing less, nothing older. */
static void check_written(struct world *w)
{
	struct buf key = {0}, value = {0};
	struct consumer_group_record r;
	size_t expected = w->g->members.count + (w->g->epoch > 0 ? 1 : 0);

	sim_check(w->sim, w->record_count == expected);
	for (size_t i = 0; i < w->g->members.count; i++) {
		const struct consumer_member *m = w->g->members.items[i];
		buf_clear(&key);
		buf_clear(&value);
		group_record_key(&key, GROUP_RECORD_MEMBER, slice_str("g"), m->id);
		consumer_member_encode(&value, m);
		sim_check(w->sim, slice_equal(get(w, buf_slice(&key)), buf_slice(&value)));
	}
	if (w->g->epoch > 0) {
		buf_clear(&key);
		buf_clear(&value);
		group_record_key(&key, GROUP_RECORD_CONSUMER, slice_str("g"), SLICE_NULL);
		consumer_record_make(w->g, &r);
		consumer_group_record_encode(&value, &r);
		sim_check(w->sim, slice_equal(get(w, buf_slice(&key)), buf_slice(&value)));
	}
	buf_fini(&key);
	buf_fini(&value);
}

/* --- what must be true at any time --- */

static const struct consumer_member *member_of(const struct world *w, const struct client *c)
{
	return sorted_find(&w->g->members, slice_str(c->id));
}

static void add_once(struct world *w, struct parts *all, const struct parts *some)
{
	for (size_t i = 0; i < some->count; i++) {
		for (size_t k = 0; k < all->count; k++)
			sim_check(w->sim, all->v[k] != some->v[i]);
		parts_append(all, some->v[i]);
	}
}

static void check_owners(struct world *w)
{
	struct parts by_group = {0}, by_clients = {0};

	for (size_t i = 0; i < w->g->members.count; i++) {
		const struct consumer_member *m = w->g->members.items[i];
		add_once(w, &by_group, &m->assigned);
		add_once(w, &by_group, &m->revoking);
	}
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *c = &w->clients[i];
		if (c->is_in && member_of(w, c))
			add_once(w, &by_clients, &c->owned);
	}
	parts_fini(&by_group);
	parts_fini(&by_clients);
}

static bool wants(const struct consumer_member *m, const char *name)
{
	return names_have(&m->topics, slice_str(name)) ||
	       (m->regex.len > 0 && strncmp(name, (const char *)m->regex.data, m->regex.len) == 0);
}

/* A stable group reads every partition of what it is subscribed to, as of its last look at topics. */
static void check_cover(struct world *w)
{
	for (int t = 0; t < FAKE_TOPICS; t++) {
		const struct assign_topic *topic = &w->topics.all[t].topic;
		int readers = 0;
		for (size_t i = 0; i < w->g->members.count; i++)
			readers += wants(w->g->members.items[i], w->topics.all[t].name) ? 1 : 0;
		if (!readers || topic->partitions == 0)
			continue;
		for (int32_t p = 0; p < topic->partitions; p++) {
			int owners = 0;
			for (size_t i = 0; i < w->g->members.count; i++) {
				const struct consumer_member *m = w->g->members.items[i];
				if (!parts_have(&m->assigned, part_of(topic->number, p)))
					continue;
				sim_check(w->sim, wants(m, w->topics.all[t].name));
				owners++;
			}
			sim_check(w->sim, owners == 1);
		}
	}
}

static void check(struct world *w)
{
	const struct consumer_group *g = w->g;

	check_owners(w);
	check_written(w);
	sim_check(w->sim, g->epoch >= w->last_epoch);
	sim_check(w->sim, g->target_epoch >= w->last_target_epoch);
	sim_check(w->sim, g->target_epoch <= g->epoch && g->epoch >= w->told_epoch);
	w->last_epoch = g->epoch;
	w->last_target_epoch = g->target_epoch;
	for (size_t i = 0; i < g->members.count; i++) {
		const struct consumer_member *m = g->members.items[i];
		sim_check(w->sim, deadline_is_set(&m->session));
		sim_check(w->sim, deadline_is_set(&m->rebalance) ==
					  (m->state == CONSUMER_MEMBER_UNREVOKED));
		sim_check(w->sim, m->epoch <= g->target_epoch);
	}
	if (strcmp(consumer_state_name(g), "Stable") != 0)
		return;
	w->stable_seen++;
	if (g->topics_version == w->topics.changes)
		check_cover(w);
}

/* --- clients --- */

static void forget(struct client *c)
{
	c->is_in = c->is_told = c->has_said = false;
	c->epoch = 0;
	parts_clear(&c->owned);
}

/* It stops reading what it is no longer assigned, and begins what is new. */
static void obey(struct world *w, struct client *c)
{
	struct parts kept = {0};

	if (!c->is_told)
		return;
	if (c->is_stubborn) {
		/* It takes, and does not give up. */
		parts_copy(&kept, &c->owned);
		parts_without(&kept, &c->owned, &c->assigned);
		if (kept.count > 0) {
			parts_fini(&kept);
			return;
		}
	}
	w->moved += parts_equal(&c->owned, &c->assigned) ? 0 : 1;
	parts_copy(&c->owned, &c->assigned);
	parts_fini(&kept);
}

static int wanted_names(const struct client *c, struct slice *out)
{
	int n = 0;

	for (int i = 0; i < 3; i++)
		if (c->topics >> i & 1)
			out[n++] = slice_str(names[i]);
	return n;
}

static void hear(struct world *w, struct client *c, enum ks_err err,
		 const struct consumer_member *m, bool is_news)
{
	if (err == ERR_UNKNOWN_MEMBER_ID || err == ERR_FENCED_MEMBER_EPOCH ||
	    err == ERR_FENCED_INSTANCE_ID) {
		forget(c);
		if (err == ERR_FENCED_MEMBER_EPOCH && sim_chance(w->sim, 50))
			snprintf(c->id, sizeof c->id, "c-%d", ++w->ids);
		return;
	}
	if (err)
		return;
	c->is_in = true;
	c->epoch = m->epoch;
	c->has_said = true;
	if (is_news) {
		parts_copy(&c->assigned, &m->assigned);
		c->is_told = true;
	}
}

static void beat(struct world *w, struct client *c, bool is_full, int lost_percent)
{
	struct slice subscribed[3];
	int n = wanted_names(c, subscribed);
	const struct consumer_member *m = NULL;
	bool is_news = false;
	struct consumer_beat b = {
		.member_id = slice_str(c->id),
		.epoch = c->epoch,
		.client_id = slice_str("c"),
		.client_host = slice_str("h"),
		.rebalance_timeout_ms = -1,
		.has_owned = sim_chance(w->sim, 60),
		.owned = &c->owned,
	};

	is_full |= c->epoch == 0 || !c->has_said;
	if (c->is_static)
		b.instance_id = slice_str(c->instance);
	if (is_full) {
		b.rebalance_timeout_ms = REBALANCE_MS;
		b.has_names = b.has_owned = true;
		b.names = subscribed;
		b.name_count = (size_t)n;
		b.regex = slice_str(c->topics & 8 ? "log-" : "");
		b.assignor = slice_str(c->topics & 16 ? "range" : "uniform");
	}
	enum ks_err err = consumer_heartbeat(w->g, &b, &w->at, &w->fx, &m, &is_news);
	if (!err && m->epoch > w->told_epoch)
		w->told_epoch = m->epoch;
	write_down(w);
	if (sim_chance(w->sim, lost_percent)) {
		/* It tells all again. Until it hears an answer it takes no more than it said it
		 * had: the group may have counted on that. */
		c->has_said = c->is_told = false;
		return;
	}
	hear(w, c, err, m, is_news);
	/* Who hears an order carries it out before its next heartbeat, at once or later. */
	if (sim_chance(w->sim, 70))
		obey(w, c);
}

static void leave(struct world *w, struct client *c, bool for_good)
{
	int32_t epoch =
		for_good || !c->is_static ? CONSUMER_EPOCH_LEAVE : CONSUMER_EPOCH_LEAVE_STATIC;

	if (c->is_in) {
		consumer_leave(w->g, slice_str(c->id),
			       c->is_static ? slice_str(c->instance) : SLICE_NULL, epoch, &w->at,
			       &w->fx);
		write_down(w);
	}
	forget(c);
	snprintf(c->id, sizeof c->id, "c-%d", ++w->ids);
}

/* --- the world --- */

static void pass(struct world *w, int64_t ms)
{
	struct deadline *t;

	w->at.ms += ms;
	w->at.wall_ms += ms;
	while ((t = deadlines_due(&w->deadlines, w->at.ms))) {
		sim_check(w->sim, t->owner == w);
		consumer_expire(w->g, t, &w->at, &w->fx);
		write_down(w);
		check(w);
	}
}

static void restore_one(struct world *w, const struct record *r, enum group_record_type wanted)
{
	struct consumer_group_record group;
	struct consumer_member m = {.epoch = 0};
	enum group_record_type type;
	struct slice name;
	struct arena arena = {0};

	sim_check(w->sim, group_record_key_decode(buf_slice(&r->key), &type, &name, &m.id));
	if (type != wanted)
		return;
	if (type == GROUP_RECORD_CONSUMER) {
		sim_check(w->sim,
			  consumer_group_record_decode(buf_slice(&r->value), &arena, &group));
		sim_check(w->sim, consumer_restore(w->g, &group));
	} else {
		sim_check(w->sim, consumer_member_decode(buf_slice(&r->value), &m));
		sim_check(w->sim, consumer_restore_member(w->g, &m));
		consumer_member_record_fini(&m);
	}
	arena_fini(&arena);
}

static void restart(struct world *w)
{
	consumer_free(w->g);
	sim_check(w->sim, w->deadlines.count == 0);
	w->g = consumer_new(&w->options, &w->deadlines, w, 0);
	w->at.ms = 1 + sim_below(w->sim, 1000000);
	for (size_t i = 0; i < w->record_count; i++)
		restore_one(w, &w->records[i], GROUP_RECORD_CONSUMER);
	for (size_t i = 0; i < w->record_count; i++)
		restore_one(w, &w->records[i], GROUP_RECORD_MEMBER);
	consumer_restored(w->g, &w->at);
}

static void change_topics(struct world *w)
{
	int t = sim_below(w->sim, 4);
	static const char *const all[] = {"a", "b", "log-x", "log-y"};
	int32_t partitions = 0;

	for (int i = 0; i < FAKE_TOPICS; i++)
		if (strcmp(w->topics.all[i].name, all[t]) == 0)
			partitions = w->topics.all[i].topic.partitions;
	if (partitions > 0 && sim_chance(w->sim, 30))
		fake_topic(&w->topics, all[t], 0);
	else if (partitions < 12)
		fake_topic(&w->topics, all[t], partitions + 1 + sim_below(w->sim, 4));
}

static void random_step(struct world *w)
{
	int i = sim_below(w->sim, CLIENTS), what = sim_below(w->sim, 100);
	struct client *c = &w->clients[i];

	if (what < 50)
		beat(w, c, sim_chance(w->sim, 20), 8);
	else if (what < 60)
		obey(w, c);
	else if (what < 78)
		pass(w, sim_below(w->sim, 5000));
	else if (what < 80)
		pass(w, sim_below(w->sim, 60000));
	else if (what < 83)
		leave(w, c, sim_chance(w->sim, 50));
	else if (what < 85 && !c->is_static) {
		forget(c); /* it crashes; its place stays until the session ends */
		snprintf(c->id, sizeof c->id, "c-%d", ++w->ids);
	} else if (what < 89)
		change_topics(w);
	else if (what < 92) {
		c->topics = sim_below(w->sim, 32);
		c->has_said = false;
	} else if (what < 95)
		c->is_stubborn = !c->is_stubborn;
	else if (what < 97)
		restart(w);
}

/* Everybody behaves and wants something: the group must become stable. */
static void settle(struct world *w)
{
	for (int i = 0; i < CLIENTS; i++)
		w->clients[i].is_stubborn = false;
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			obey(w, &w->clients[i]);
			beat(w, &w->clients[i], false, 0);
			obey(w, &w->clients[i]);
			check(w);
		}
		pass(w, 3000);
	}
	sim_check(w->sim, strcmp(consumer_state_name(w->g), "Stable") == 0);
	sim_check(w->sim, w->g->members.count == CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *c = &w->clients[i];
		sim_check(w->sim, c->is_in && c->epoch == w->g->epoch);
		sim_check(w->sim, parts_equal(&c->owned, &member_of(w, c)->assigned));
		sim_check(w->sim, parts_equal(&c->owned, &member_of(w, c)->target));
	}
}

static void one_world(struct sim *s)
{
	struct world *w = calloc(1, sizeof *w);

	w->sim = s;
	fake_topics_init(&w->topics);
	w->options = (struct consumer_options){SESSION_MS, 1000, slice_str("uniform"),
					       &w->topics.source};
	w->at = (struct moment){1, 1700000000000};
	w->g = consumer_new(&w->options, &w->deadlines, w, 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &w->clients[i];
		c->is_static = sim_chance(s, 40);
		c->topics = 1 + sim_below(s, 31);
		snprintf(c->instance, sizeof c->instance, "s%d", i);
		snprintf(c->id, sizeof c->id, "c-%d", ++w->ids);
	}
	for (s->step = 0; s->step < 1500; s->step++) {
		random_step(w);
		check(w);
	}
	settle(w);
	sim_check(s, w->stable_seen > 0 && w->moved > 0);
	consumer_free(w->g);
	sim_check(s, w->deadlines.count == 0);
	deadlines_fini(&w->deadlines);
	consumer_effects_fini(&w->fx);
	for (int i = 0; i < CLIENTS; i++) {
		parts_fini(&w->clients[i].owned);
		parts_fini(&w->clients[i].assigned);
	}
	for (size_t i = 0; i < w->record_count; i++) {
		buf_fini(&w->records[i].key);
		buf_fini(&w->records[i].value);
	}
	free(w);
}

static void no_partition_ever_has_two_readers_and_every_group_settles(void **state)
{
	(void)state;
	sim_run(300, one_world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_partition_ever_has_two_readers_and_every_group_settles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

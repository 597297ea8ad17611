/* The consumer protocol: epochs, targets, and that no partition has two owners. */
#include "tests/check.h"

#include "topics.h"

#define SESSION   45000
#define REBALANCE 60000
#define CLIENTS   8

/* A client: what it knows of its membership. */
struct client {
	char id[16];
	const char *instance;
	int32_t epoch;
	struct parts owned;
};
struct rig {
	struct fake_topics topics;
	struct consumer_options options;
	struct deadlines deadlines;
	struct consumer_group *g;
	struct consumer_effects fx;
	struct moment at;
	struct client clients[CLIENTS];
	/* of the last step */
	bool wrote_group, is_news;
	size_t wrote_members, removed;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	fake_topics_init(&r->topics);
	r->options =
		(struct consumer_options){SESSION, 1000, slice_str("uniform"), &r->topics.source};
	r->g = consumer_new(&r->options, &r->deadlines, r, 0);
	r->at = (struct moment){1000, 1700000000000};
	for (int i = 0; i < CLIENTS; i++)
		snprintf(r->clients[i].id, sizeof r->clients[i].id, "c%d", i);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < CLIENTS; i++)
		parts_fini(&r->clients[i].owned);
	consumer_free(r->g);
	assert_int_equal(r->deadlines.count, 0);
	deadlines_fini(&r->deadlines);
	consumer_effects_fini(&r->fx);
	free(r);
	return 0;
}

static void assert_one_owner_each(const struct rig *r)
{
	struct parts all = {0};

	for (size_t i = 0; i < r->g->members.count; i++) {
		const struct consumer_member *m = r->g->members.items[i];
		for (size_t k = 0; k < m->assigned.count; k++)
			parts_append(&all, m->assigned.v[k]);
		for (size_t k = 0; k < m->revoking.count; k++)
			parts_append(&all, m->revoking.v[k]);
	}
	size_t before = all.count;
	parts_settle(&all);
	assert_int_equal(all.count, before);
	parts_fini(&all);
}

static void note(struct rig *r)
{
	r->wrote_group = r->fx.group;
	r->wrote_members = r->fx.member_count;
	r->removed = r->fx.removed_count;
	consumer_effects_clear(&r->fx);
	assert_one_owner_each(r);
}

static const struct consumer_member *member(const struct rig *r, int i)
{
	return sorted_find(&r->g->members, slice_str(r->clients[i].id));
}

static enum ks_err send(struct rig *r, struct consumer_beat *b)
{
	const struct consumer_member *m = NULL;
	enum ks_err err = consumer_heartbeat(r->g, b, &r->at, &r->fx, &m, &r->is_news);

	note(r);
	if (!err)
		assert_ptr_equal(m, sorted_find(&r->g->members, b->member_id));
	return err;
}

static struct consumer_beat beat_of(const struct client *c)
{
	return (struct consumer_beat){
		.member_id = slice_str(c->id),
		.epoch = c->epoch,
		.client_id = slice_str("client"),
		.client_host = slice_str("/127.0.0.1"),
		.rebalance_timeout_ms = -1,
	};
}

/* The client hears the answer to its last heartbeat, and does what it says. */
static void hear(struct rig *r, int i)
{
	struct client *c = &r->clients[i];

	c->epoch = member(r, i)->epoch;
	parts_copy(&c->owned, &member(r, i)->assigned);
}

/* Joins with up to two topics. */
static void join_to(struct rig *r, int i, const char *one, const char *other)
{
	struct client *c = &r->clients[i];
	struct slice names[] = {slice_str(one), slice_str(other ? other : one)};

	c->epoch = 0;
	parts_clear(&c->owned);
	struct consumer_beat b = beat_of(c);
	b.instance_id = c->instance ? slice_str(c->instance) : SLICE_NULL;
	b.rebalance_timeout_ms = REBALANCE;
	b.has_names = b.has_owned = true;
	b.names = names;
	b.name_count = 2;
	b.owned = &c->owned;
	assert_code(send(r, &b), ERR_NONE);
	hear(r, i);
}

static void join(struct rig *r, int i)
{
	join_to(r, i, "t", NULL);
}

static enum ks_err beat(struct rig *r, int i)
{
	struct consumer_beat b = beat_of(&r->clients[i]);

	b.has_owned = true;
	b.owned = &r->clients[i].owned;
	enum ks_err err = send(r, &b);
	if (!err)
		hear(r, i);
	return err;
}

static enum ks_err silent_beat(struct rig *r, int i)
{
	struct consumer_beat b = beat_of(&r->clients[i]);
	enum ks_err err = send(r, &b);

	if (!err)
		hear(r, i);
	return err;
}

static enum ks_err leave(struct rig *r, int i, int32_t epoch)
{
	const char *instance = r->clients[i].instance;
	enum ks_err err =
		consumer_leave(r->g, slice_str(r->clients[i].id),
			       instance ? slice_str(instance) : SLICE_NULL, epoch, &r->at, &r->fx);
	note(r);
	return err;
}

static void pass(struct rig *r, int64_t ms)
{
	struct deadline *t;

	r->at.ms += ms;
	r->at.wall_ms += ms;
	while ((t = deadlines_due(&r->deadlines, r->at.ms))) {
		assert_ptr_equal(t->owner, r);
		consumer_expire(r->g, t, &r->at, &r->fx);
		note(r);
	}
}

static void assert_state(const struct rig *r, const char *name)
{
	assert_string_equal(consumer_state_name(r->g), name);
}

/* Two members with three partitions of "t" each, epoch 2. */
static void make_two(struct rig *r)
{
	fake_topic(&r->topics, "t", 6);
	join(r, 0);
	join(r, 1);
	assert_code(beat(r, 0), ERR_NONE);
	assert_code(beat(r, 0), ERR_NONE);
	assert_code(beat(r, 1), ERR_NONE);
	assert_state(r, "Stable");
	assert_int_equal(r->g->epoch, 2);
	assert_int_equal(member(r, 0)->assigned.count, 3);
	assert_int_equal(member(r, 1)->assigned.count, 3);
}

static void the_first_member_gets_everything_at_once(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "t", 6);
	assert_state(r, "Empty");
	join(r, 0);
	assert_state(r, "Stable");
	assert_int_equal(member(r, 0)->epoch, 1);
	assert_int_equal(member(r, 0)->assigned.count, 6);
	assert_true(r->is_news && r->wrote_group);
	assert_int_equal(r->wrote_members, 1);
	assert_code(silent_beat(r, 0), ERR_NONE);
	assert_false(r->is_news || r->wrote_group);
	assert_int_equal(r->wrote_members, 0);
}

static void partitions_move_only_when_their_owner_has_given_them_up(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "t", 6);
	join(r, 0);
	join(r, 1);
	assert_int_equal(member(r, 1)->epoch, 2);
	assert_int_equal(member(r, 1)->state, CONSUMER_MEMBER_UNRELEASED);
	assert_int_equal(member(r, 1)->assigned.count, 0);
	assert_state(r, "Reconciling");

	assert_code(silent_beat(r, 0), ERR_NONE); /* hears what to give up */
	assert_true(r->is_news);
	assert_int_equal(member(r, 0)->state, CONSUMER_MEMBER_UNREVOKED);
	assert_int_equal(member(r, 0)->epoch, 1);
	assert_int_equal(member(r, 0)->assigned.count, 3);
	assert_int_equal(member(r, 0)->revoking.count, 3);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(member(r, 1)->assigned.count, 0);

	assert_code(silent_beat(r, 0), ERR_NONE); /* has not said that it did */
	assert_int_equal(member(r, 0)->epoch, 1);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(member(r, 0)->epoch, 2);
	assert_code(beat(r, 1), ERR_NONE);
	assert_true(r->is_news);
	assert_int_equal(member(r, 1)->assigned.count, 3);
	assert_state(r, "Stable");
}

static void who_leaves_frees_its_partitions(void **state)
{
	struct rig *r = *state;

	make_two(r);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE), ERR_NONE);
	assert_int_equal(r->removed, 1);
	assert_true(r->wrote_group);
	assert_int_equal(r->g->epoch, 3);
	assert_state(r, "Assigning");
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE), ERR_UNKNOWN_MEMBER_ID);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(member(r, 1)->assigned.count, 6);
	assert_int_equal(member(r, 1)->epoch, 3);
	assert_state(r, "Stable");
	assert_code(leave(r, 1, CONSUMER_EPOCH_LEAVE), ERR_NONE);
	assert_state(r, "Empty");
	assert_int_equal(r->g->empty_since_ms, r->at.wall_ms);
}

static void silence_for_the_session_timeout_fences(void **state)
{
	struct rig *r = *state;

	make_two(r);
	pass(r, SESSION - 1);
	assert_code(silent_beat(r, 0), ERR_NONE);
	pass(r, 1);
	assert_null(member(r, 1));
	assert_code(beat(r, 1), ERR_UNKNOWN_MEMBER_ID);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(member(r, 0)->assigned.count, 6);
}

static void who_does_not_give_up_in_time_is_fenced(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "t", 6);
	join(r, 0);
	join(r, 1);
	for (int i = 0; i < 6; i++) {
		assert_code(silent_beat(r, 0), ERR_NONE);
		assert_code(beat(r, 1), ERR_NONE);
		pass(r, REBALANCE / 6);
	}
	assert_null(member(r, 0));
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(member(r, 1)->assigned.count, 6);
}

static void a_wrong_epoch_is_fenced(void **state)
{
	struct rig *r = *state;

	make_two(r);
	r->clients[0].epoch = 3;
	assert_code(beat(r, 0), ERR_FENCED_MEMBER_EPOCH);
	r->clients[0].epoch = 1;
	assert_code(silent_beat(r, 0), ERR_FENCED_MEMBER_EPOCH);
	r->clients[5].epoch = 2;
	assert_code(beat(r, 5), ERR_UNKNOWN_MEMBER_ID);
}

static void a_lost_answer_does_not_fence(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "t", 6);
	join(r, 0);
	r->clients[0].epoch = 0; /* as if it had not heard */
	parts_clear(&r->clients[0].owned);
	assert_code(beat(r, 0), ERR_NONE);
	assert_true(r->is_news);
	assert_int_equal(r->g->epoch, 1);
	assert_int_equal(r->clients[0].epoch, 1);
	/* But not one that has more than it was assigned. */
	r->clients[0].epoch = 0;
	parts_append(&r->clients[0].owned, part_of(77, 0));
	assert_code(beat(r, 0), ERR_FENCED_MEMBER_EPOCH);
}

static void a_lost_answer_to_a_revocation_is_given_again(void **state)
{
	struct rig *r = *state;

	make_two(r);
	join(r, 2);
	struct client before = r->clients[0];
	struct parts owned = {0};
	parts_copy(&owned, &before.owned);
	assert_code(silent_beat(r, 0), ERR_NONE);
	r->clients[0].epoch = before.epoch;
	parts_copy(&r->clients[0].owned, &owned); /* it still has them all */
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(member(r, 0)->state, CONSUMER_MEMBER_UNREVOKED);
	assert_int_equal(member(r, 0)->revoking.count, 1);
	assert_code(beat(r, 0), ERR_NONE); /* now it has given it up */
	assert_int_equal(member(r, 0)->epoch, 3);
	parts_fini(&owned);
}

static void another_subscription_raises_the_epoch(void **state)
{
	struct rig *r = *state;

	make_two(r);
	uint32_t u = fake_topic(&r->topics, "u", 2);
	struct slice names[] = {slice_str("u")};
	struct consumer_beat b = beat_of(&r->clients[0]);
	b.has_names = true;
	b.names = names;
	b.name_count = 1;
	assert_code(send(r, &b), ERR_NONE);
	assert_int_equal(r->g->epoch, 3);
	assert_int_equal(member(r, 0)->target.count, 2);
	assert_int_equal(part_topic(member(r, 0)->target.v[0]), u);
	assert_int_equal(member(r, 1)->target.count, 6);
	assert_code(send(r, &b), ERR_NONE);
	assert_int_equal(r->g->epoch, 3);
}

static void topics_that_come_grow_and_go_raise_the_epoch(void **state)
{
	struct rig *r = *state;

	join_to(r, 0, "t", "u");
	assert_int_equal(r->g->epoch, 1);
	assert_int_equal(member(r, 0)->assigned.count, 0);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 1);
	fake_topic(&r->topics, "t", 2);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 2);
	assert_int_equal(member(r, 0)->assigned.count, 2);
	fake_topic(&r->topics, "t", 5);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 3);
	assert_int_equal(member(r, 0)->assigned.count, 5);
	fake_topic(&r->topics, "other", 5);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 3);
	fake_topic(&r->topics, "t", 0);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 4);
	assert_int_equal(member(r, 0)->assigned.count, 0);
	assert_code(beat(r, 0), ERR_NONE);
	assert_state(r, "Stable");
}

static void a_topic_made_anew_is_another_topic(void **state)
{
	struct rig *r = *state;

	uint32_t old = fake_topic(&r->topics, "t", 2);
	join(r, 0);
	fake_topic(&r->topics, "t", 0);
	uint32_t new = fake_topic(&r->topics, "t", 2);
	assert_int_not_equal(old, new);
	assert_code(beat(r, 0), ERR_NONE);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(member(r, 0)->assigned.count, 2);
	assert_int_equal(part_topic(member(r, 0)->assigned.v[0]), new);
}

static void an_expression_is_resolved_here_and_follows_new_topics(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "log-a", 1);
	fake_topic(&r->topics, "metric", 4);
	struct consumer_beat b = beat_of(&r->clients[0]);
	b.rebalance_timeout_ms = REBALANCE;
	b.regex = slice_str("log-");
	b.has_owned = true;
	b.owned = &r->clients[0].owned;
	assert_code(send(r, &b), ERR_NONE);
	hear(r, 0);
	assert_int_equal(member(r, 0)->assigned.count, 1);
	uint32_t log_b = fake_topic(&r->topics, "log-b", 3);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(member(r, 0)->assigned.count, 4);
	assert_int_equal(r->g->epoch, 2);
	assert_true(consumer_reads_topic(r->g, log_b));
	/* With a name beside it each partition still comes once. */
	struct slice names[] = {slice_str("log-b"), slice_str("metric")};
	b = beat_of(&r->clients[0]);
	b.has_names = true;
	b.names = names;
	b.name_count = 2;
	assert_code(send(r, &b), ERR_NONE);
	assert_int_equal(member(r, 0)->assigned.count, 8);
	b = beat_of(&r->clients[0]);
	b.epoch = member(r, 0)->epoch;
	b.regex = slice_str("");
	b.has_owned = true;
	assert_int_equal(r->g->topic_count, 3);
	hear(r, 0);
	b.owned = &r->clients[0].owned;
	assert_code(send(r, &b), ERR_NONE);
	assert_int_equal(r->g->topic_count, 2);
}

static void each_name_is_looked_up_once_for_all_members(void **state)
{
	struct rig *r = *state;

	make_two(r);
	int lookups = r->topics.lookups;
	join(r, 2);
	join(r, 3);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->topics.lookups, lookups);
	fake_topic(&r->topics, "other", 1);
	assert_code(beat(r, 0), ERR_NONE);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(r->topics.lookups, lookups + 1);
}

static void the_assignor_is_the_one_that_most_ask_for(void **state)
{
	struct rig *r = *state;

	make_two(r);
	assert_slice(consumer_assignor(r->g), "uniform");
	struct consumer_beat b = beat_of(&r->clients[0]);
	b.assignor = slice_str("range");
	assert_code(send(r, &b), ERR_NONE);
	assert_int_equal(r->wrote_members, 1);
	assert_slice(consumer_assignor(r->g), "range");
	join(r, 2);
	/* c0 0-1, c1 2-3, c2 4-5 */
	assert_true(parts_have(&member(r, 0)->target, part_of(1, 0)));
	assert_true(parts_have(&member(r, 0)->target, part_of(1, 1)));
	assert_true(parts_have(&member(r, 2)->target, part_of(1, 5)));
}

static void a_full_group_takes_nobody_in(void **state)
{
	struct rig *r = *state;

	make_two(r);
	r->options.max_size = 2;
	struct consumer_beat b = beat_of(&r->clients[2]);
	b.has_owned = true;
	b.owned = &r->clients[2].owned;
	assert_code(send(r, &b), ERR_GROUP_MAX_SIZE_REACHED);
	assert_int_equal(r->g->members.count, 2);
	assert_int_equal(r->g->epoch, 2);
	assert_code(beat(r, 1), ERR_NONE);
}

static void commits_are_checked_against_the_members_epoch(void **state)
{
	struct rig *r = *state;

	make_two(r);
	assert_code(consumer_check_epoch(r->g, slice_str("c0"), 2), ERR_NONE);
	assert_code(consumer_check_epoch(r->g, slice_str("c0"), 1), ERR_STALE_MEMBER_EPOCH);
	assert_code(consumer_check_epoch(r->g, slice_str("c0"), 3), ERR_STALE_MEMBER_EPOCH);
	assert_code(consumer_check_epoch(r->g, slice_str("c7"), 2), ERR_UNKNOWN_MEMBER_ID);
}

/* --- static members --- */

static void make_static(struct rig *r)
{
	r->clients[0].instance = "s-0";
	r->clients[1].instance = "s-1";
	make_two(r);
}

static enum ks_err try_join(struct rig *r, int i, const char *instance)
{
	struct slice names[] = {slice_str("t")};
	struct consumer_beat b = beat_of(&r->clients[i]);

	parts_clear(&r->clients[i].owned);
	b.epoch = 0;
	b.instance_id = slice_str(instance);
	b.rebalance_timeout_ms = REBALANCE;
	b.has_names = b.has_owned = true;
	b.names = names;
	b.name_count = 1;
	b.owned = &r->clients[i].owned;
	enum ks_err err = send(r, &b);
	if (!err)
		hear(r, i);
	return err;
}

static void a_static_member_that_left_for_a_while_gets_its_partitions_back(void **state)
{
	struct rig *r = *state;
	struct parts had = {0};

	make_static(r);
	parts_copy(&had, &member(r, 0)->assigned);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE_STATIC), ERR_NONE);
	assert_int_equal(member(r, 0)->epoch, -2);
	assert_int_equal(r->g->epoch, 2);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(member(r, 1)->assigned.count, 3);
	assert_code(try_join(r, 4, "s-0"), ERR_NONE);
	assert_int_equal(r->removed, 1);
	assert_null(member(r, 0));
	assert_int_equal(r->g->epoch, 2);
	assert_int_equal(member(r, 4)->epoch, 2);
	assert_true(parts_equal(&member(r, 4)->assigned, &had));
	parts_fini(&had);
}

static void a_static_member_that_does_not_come_back_expires(void **state)
{
	struct rig *r = *state;

	make_static(r);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE_STATIC), ERR_NONE);
	pass(r, SESSION - 1);
	assert_code(beat(r, 1), ERR_NONE);
	pass(r, 1);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(member(r, 1)->assigned.count, 6);
}

static void an_instance_in_use_is_not_released(void **state)
{
	struct rig *r = *state;

	make_static(r);
	assert_code(try_join(r, 4, "s-0"), ERR_UNRELEASED_INSTANCE_ID);
	assert_int_equal(r->g->members.count, 2);
	/* One that repeats its own join after a lost answer is no other member. */
	assert_code(leave(r, 1, CONSUMER_EPOCH_LEAVE), ERR_NONE);
	assert_code(try_join(r, 1, "s-1"), ERR_NONE);
	assert_code(try_join(r, 1, "s-1"), ERR_NONE);
	assert_int_equal(r->clients[1].epoch, 4);
}

static void the_former_id_of_an_instance_is_fenced(void **state)
{
	struct rig *r = *state;

	make_static(r);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE_STATIC), ERR_NONE);
	assert_code(try_join(r, 4, "s-0"), ERR_NONE);
	struct consumer_beat b = beat_of(&r->clients[0]);
	b.instance_id = slice_str("s-0");
	assert_code(send(r, &b), ERR_FENCED_INSTANCE_ID);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE), ERR_FENCED_INSTANCE_ID);
	b.instance_id = slice_str("s-9");
	assert_code(send(r, &b), ERR_UNKNOWN_MEMBER_ID);
}

static void a_member_that_is_away_is_fenced_when_it_goes_on_without_joining(void **state)
{
	struct rig *r = *state;

	make_static(r);
	assert_code(leave(r, 0, CONSUMER_EPOCH_LEAVE_STATIC), ERR_NONE);
	assert_code(beat(r, 0), ERR_FENCED_MEMBER_EPOCH);
	/* Under the same id it may be back, too. */
	assert_code(try_join(r, 0, "s-0"), ERR_NONE);
	assert_int_equal(r->clients[0].owned.count, 3);
	assert_int_equal(r->removed, 0);
}

/* --- restoring --- */

static void restore(struct rig *r)
{
	struct consumer_group_record record;
	struct consumer_group *g = consumer_new(&r->options, &r->deadlines, r, 0);

	consumer_record_make(r->g, &record);
	assert_true(consumer_restore(g, &record));
	for (size_t i = r->g->members.count; i-- > 0;)
		assert_true(consumer_restore_member(g, r->g->members.items[i]));
	consumer_restored(g, &r->at);
	consumer_free(r->g);
	r->g = g;
	assert_one_owner_each(r);
}

static void a_group_goes_on_where_it_was_written_down(void **state)
{
	struct rig *r = *state;

	fake_topic(&r->topics, "t", 6);
	join(r, 0);
	join(r, 1);
	assert_code(silent_beat(r, 0), ERR_NONE);
	pass(r, SESSION - 1);
	restore(r);
	assert_int_equal(r->g->epoch, 2);
	pass(r, SESSION - 1);
	assert_code(beat(r, 0), ERR_NONE);
	assert_code(beat(r, 1), ERR_NONE);
	assert_int_equal(r->g->epoch, 2);
	assert_int_equal(member(r, 1)->assigned.count, 3);
	assert_state(r, "Stable");
	fake_topic(&r->topics, "t", 8);
	restore(r);
	assert_code(beat(r, 0), ERR_NONE);
	assert_int_equal(r->g->epoch, 3);
}

static void members_that_contradict_each_other_are_not_restored(void **state)
{
	struct rig *r = *state;
	struct consumer_group *g = consumer_new(&r->options, &r->deadlines, r, 0);
	struct consumer_group_record record;

	make_static(r);
	consumer_record_make(r->g, &record);
	assert_true(consumer_restore(g, &record));
	assert_true(consumer_restore_member(g, member(r, 0)));
	assert_false(consumer_restore_member(g, member(r, 0)));
	struct consumer_member bad = *member(r, 1);
	bad.instance_id = member(r, 0)->instance_id;
	assert_false(consumer_restore_member(g, &bad));
	bad = *member(r, 1);
	bad.assigned = member(r, 0)->assigned;
	assert_false(consumer_restore_member(g, &bad));
	bad = *member(r, 1);
	bad.revoking = bad.assigned;
	assert_false(consumer_restore_member(g, &bad));
	bad = *member(r, 1);
	bad.epoch = 3;
	assert_false(consumer_restore_member(g, &bad));
	record.target_epoch = 3;
	assert_false(consumer_restore(g, &record));
	consumer_free(g);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_first_member_gets_everything_at_once),
		T(partitions_move_only_when_their_owner_has_given_them_up),
		T(who_leaves_frees_its_partitions),
		T(silence_for_the_session_timeout_fences),
		T(who_does_not_give_up_in_time_is_fenced),
		T(a_wrong_epoch_is_fenced),
		T(a_lost_answer_does_not_fence),
		T(a_lost_answer_to_a_revocation_is_given_again),
		T(another_subscription_raises_the_epoch),
		T(topics_that_come_grow_and_go_raise_the_epoch),
		T(a_topic_made_anew_is_another_topic),
		T(an_expression_is_resolved_here_and_follows_new_topics),
		T(each_name_is_looked_up_once_for_all_members),
		T(the_assignor_is_the_one_that_most_ask_for),
		T(a_full_group_takes_nobody_in),
		T(commits_are_checked_against_the_members_epoch),
		T(a_static_member_that_left_for_a_while_gets_its_partitions_back),
		T(a_static_member_that_does_not_come_back_expires),
		T(an_instance_in_use_is_not_released),
		T(the_former_id_of_an_instance_is_fenced),
		T(a_member_that_is_away_is_fenced_when_it_goes_on_without_joining),
		T(a_group_goes_on_where_it_was_written_down),
		T(members_that_contradict_each_other_are_not_restored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

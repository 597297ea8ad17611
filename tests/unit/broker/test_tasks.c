/* Tasks, what comes after a group, ticks, and senders that play the shard. */
#include "failing_disk.h"

#include <pthread.h>
#include <sched.h>

/* What happened, in order, and someone who waits for it. */
struct diary {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	char text[1024];
	int lines;
};

static void diary_init(struct diary *d)
{
	*d = (struct diary){.lines = 0};
	pthread_mutex_init(&d->mtx, NULL);
	pthread_cond_init(&d->changed, NULL);
}

static void note(struct diary *d, const char *what, long long number)
{
	pthread_mutex_lock(&d->mtx);
	size_t len = strlen(d->text);
	snprintf(d->text + len, sizeof d->text - len, "%s %lld; ", what, number);
	d->lines++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->mtx);
}

static void await(struct diary *d, int lines)
{
	pthread_mutex_lock(&d->mtx);
	while (d->lines < lines)
		pthread_cond_wait(&d->changed, &d->mtx);
	pthread_mutex_unlock(&d->mtx);
}

struct noted {
	struct task task;
	struct append append;
	struct rig *r;
	struct diary *d;
	int number;
	bool puts, syncs;
};

static const struct slice test_key = {(const uint8_t *)"Zkey", 4};

static void written(void *arg, enum ks_err err)
{
	struct noted *n = arg;

	note(n->d, err ? ks_err_name(err) : "written", n->number);
}

static void apply(struct task *t, struct group *g)
{
	struct noted *n = (struct noted *)t;
	uint8_t value = (uint8_t)n->number;

	note(n->d, "applied", n->number);
	if (n->puts)
		store_put(g->write, CF_GROUPS, test_key, slice_of(&value, 1));
	if (n->syncs)
		g->needs_sync = true;
	group_after(g, written, n);
}

static void send(struct rig *r, struct diary *d, struct noted *n, int number, bool puts, bool syncs)
{
	*n = (struct noted){
		.task = {apply}, .r = r, .d = d, .number = number, .puts = puts, .syncs = syncs};
	shard_task(r->b->shard, &n->task, 0);
}

static void a_task_is_applied_written_and_then_answered(void **state)
{
	struct rig *r = *state;
	struct buf value = {0};
	struct diary d;
	struct noted n;

	diary_init(&d);
	send(r, &d, &n, 7, true, true);
	await(&d, 2);
	assert_string_equal(d.text, "applied 7; written 7; ");
	assert_int_equal(store_get(broker_store(r->b), CF_GROUPS, test_key, &value), 0);
	assert_int_equal(value.data[0], 7);
	buf_fini(&value);
}

static void a_task_that_writes_nothing_is_answered_too(void **state)
{
	struct rig *r = *state;
	struct broker_stats before, after;
	struct diary d;
	struct noted n;

	diary_init(&d);
	broker_stats(r->b, &before);
	send(r, &d, &n, 1, false, false);
	await(&d, 2);
	broker_stats(r->b, &after);
	assert_string_equal(d.text, "applied 1; written 1; ");
	assert_int_equal(after.groups_written, before.groups_written);
}

/* In a callback of the shard: what it sends from there lands in one group. */
static void send_all(struct append *a, enum ks_err err)
{
	struct noted *n = a->cookie;

	assert_int_equal(err, 0);
	for (int i = 1; i <= 3; i++)
		shard_task(n->r->b->shard, &n[i].task, 1000);
}

static void answers_come_in_the_order_of_the_tasks_after_one_write(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct broker_stats before, after;
	struct diary d;
	struct noted n[4];

	diary_init(&d);
	for (int i = 0; i < 4; i++)
		n[i] = (struct noted){.task = {apply},
				      .r = r,
				      .d = &d,
				      .number = i,
				      .puts = true,
				      .syncs = i == 2};
	n[0].append = (struct append){.partition = p,
				      .frame = rig_frame(1, 0, 0, START_MS),
				      .acks = ACKS_LEADER,
				      .done = send_all,
				      .cookie = n};
	broker_stats(r->b, &before);
	broker_append(r->b, &n[0].append);
	await(&d, 6);
	broker_stats(r->b, &after);
	assert_string_equal(d.text, "applied 1; applied 2; applied 3; "
				    "written 1; written 2; written 3; ");
	assert_int_equal(after.groups_written - before.groups_written, 2);
}

/* --- when the store fails --- */

static _Atomic(bool) fails;
static _Atomic(int) commits, synced;

static enum ks_err commit(struct store *s, struct store_write *w, bool sync, struct ks_why *why)
{
	commits++;
	synced += sync;
	if (fails)
		return ks_fail(why, ERR_IO, "the disk is on fire");
	return disk.real->commit(s, w, sync, why);
}

static int setup_seam(void **state)
{
	struct rig *r = rig_new(false);
	struct store *s = store_open_memory();

	disk_intercept(s, commit);
	fails = false;
	commits = synced = 0;
	assert_int_equal(broker_open_store(&r->options, s, &r->b, NULL), 0);
	*state = r;
	return 0;
}

static void a_task_learns_that_the_store_has_failed(void **state)
{
	struct rig *r = *state;
	struct diary d;
	struct noted n[2];

	diary_init(&d);
	fails = true;
	send(r, &d, &n[0], 1, true, false);
	await(&d, 2);
	int before = commits;
	send(r, &d, &n[1], 2, true, false);
	await(&d, 4);
	assert_string_equal(d.text, "applied 1; IO 1; applied 2; IO 2; ");
	assert_int_equal(commits, before);
}

static void only_a_task_that_asks_for_it_is_synced(void **state)
{
	struct rig *r = *state;
	struct diary d;
	struct noted n[2];

	diary_init(&d);
	send(r, &d, &n[0], 1, true, false);
	await(&d, 2);
	assert_int_equal(commits, 1);
	assert_int_equal(synced, 0);
	send(r, &d, &n[1], 2, true, true);
	await(&d, 4);
	assert_int_equal(commits, 2);
	assert_int_equal(synced, 1);
}

/* --- ticks --- */

struct clockwork {
	struct tick tick;
	struct task by_task;
	struct diary *d;
	int64_t next_ns; /* of the first run; later ones want no other */
	int64_t by_ns;
	bool puts;
};

static void tick_written(void *arg, enum ks_err err)
{
	struct clockwork *c = arg;

	note(c->d, err ? "failed" : "tick written", 0);
}

static int64_t run_tick(void *arg, struct group *g, int64_t now_ns)
{
	struct clockwork *c = arg;

	note(c->d, "tick", now_ns);
	if (c->puts) {
		store_put(g->write, CF_GROUPS, test_key, slice_of("t", 1));
		group_after(g, tick_written, c);
	}
	int64_t next_ns = c->next_ns;
	c->next_ns = INT64_MAX;
	return next_ns;
}

static void call_tick_by(struct task *t, struct group *g)
{
	struct clockwork *c =
		(struct clockwork *)(void *)((char *)t - offsetof(struct clockwork, by_task));

	(void)g;
	shard_tick_by(&c->tick, c->by_ns);
	note(c->d, "asked", c->by_ns);
}

static void clockwork_start(struct rig *r, struct clockwork *c, struct diary *d)
{
	diary_init(d);
	c->tick = (struct tick){.run = run_tick, .arg = c};
	c->by_task = (struct task){call_tick_by};
	c->d = d;
	shard_tick_add(r->b->shard, &c->tick);
}

/* The shard looks at its ticks until it ends. */
static void clockwork_stop(struct rig *r)
{
	broker_close(r->b);
	r->b = NULL;
}

/* Makes the shard look at its clock. */
static void nudge(struct rig *r)
{
	struct diary d;
	struct noted n;

	diary_init(&d);
	send(r, &d, &n, 0, false, false);
	await(&d, 2);
}

static void a_tick_runs_when_it_is_due_and_never_before(void **state)
{
	struct rig *r = *state;
	struct clockwork c = {.next_ns = 5000000000};
	struct diary d;

	r->now_ns = 1000;
	clockwork_start(r, &c, &d);
	await(&d, 1);
	r->now_ns = 4999999999;
	nudge(r);
	r->now_ns = 5000000000;
	nudge(r);
	r->now_ns = 50000000000;
	nudge(r);
	nudge(r);
	await(&d, 2);
	assert_string_equal(d.text, "tick 1000; tick 5000000000; ");
	clockwork_stop(r);
}

static void a_tick_can_be_asked_for_earlier(void **state)
{
	struct rig *r = *state;
	struct clockwork c = {.next_ns = INT64_MAX, .by_ns = 70};
	struct diary d;

	clockwork_start(r, &c, &d);
	await(&d, 1);
	shard_task(r->b->shard, &c.by_task, 0);
	await(&d, 2);
	r->now_ns = 100;
	nudge(r);
	await(&d, 3);
	assert_string_equal(d.text, "tick 0; asked 70; tick 100; ");
	clockwork_stop(r);
}

static void a_tick_wakes_a_shard_that_sleeps(void **state)
{
	struct rig *r = *state;
	struct clockwork c = {.next_ns = 0};
	struct diary d;

	broker_close(r->b);
	r->options.clock = NULL; /* the real one */
	rig_open(r);
	int64_t due_ns = c.next_ns = clock_monotonic_ns(&clock_real) + 20000000;
	clockwork_start(r, &c, &d);
	await(&d, 2);
	assert_true(clock_monotonic_ns(&clock_real) >= due_ns);
	clockwork_stop(r);
}

static void what_a_tick_puts_is_written(void **state)
{
	struct rig *r = *state;
	struct clockwork c = {.next_ns = INT64_MAX, .puts = true};
	struct buf value = {0};
	struct diary d;

	clockwork_start(r, &c, &d);
	await(&d, 2);
	assert_string_equal(d.text, "tick 0; tick written 0; ");
	assert_int_equal(store_get(broker_store(r->b), CF_GROUPS, test_key, &value), 0);
	buf_fini(&value);
	clockwork_stop(r);
}

/* --- senders that play the shard --- */

struct played {
	struct append append;
	struct rig *r;
	struct diary *d;
	pthread_t by; /* who called done */
	struct tick *tick;
	bool found_room;
};

static void played_done(struct append *a, enum ks_err err)
{
	struct played *x = a->cookie;

	x->by = pthread_self();
	if (x->tick)
		shard_tick_by(x->tick, INT64_MIN);
	note(x->d, err ? ks_err_name(err) : "appended", a->base_offset);
}

static void queue_one(struct rig *r, struct diary *d, struct played *x, struct partition *p,
		      enum acks acks, size_t bytes)
{
	*x = (struct played){.r = r, .d = d};
	x->append = (struct append){.partition = p,
				    .frame = rig_frame(1, 0, bytes, START_MS),
				    .acks = acks,
				    .done = played_done,
				    .cookie = x};
	x->found_room = broker_append_queue(r->b, &x->append);
	if (!x->found_room)
		broker_append(r->b, &x->append);
}

/* Waits until the shard's thread sleeps; it answers before it does. */
static void settle(struct rig *r)
{
	nudge(r);
	while (!shard_is_asleep(r->b->shard))
		sched_yield();
}

static void small_appends_are_carried_out_by_who_queued_them(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct broker_stats before, after;
	struct played x[3];
	struct diary d;

	diary_init(&d);
	settle(r);
	broker_stats(r->b, &before);
	for (int i = 0; i < 3; i++)
		queue_one(r, &d, &x[i], p, i == 1 ? ACKS_NONE : ACKS_LEADER, 0);
	assert_int_equal(partition_high_watermark(p), 0);
	broker_run_queued(r->b);
	broker_stats(r->b, &after);
	assert_string_equal(d.text, "appended 0; appended 1; appended 2; ");
	for (int i = 0; i < 3; i++)
		assert_true(pthread_equal(x[i].by, pthread_self()));
	assert_int_equal(after.groups_written - before.groups_written, 1);
	assert_int_equal(partition_high_watermark(p), 3);
	broker_run_queued(r->b); /* nothing is left */
	assert_int_equal(rig_append(r, p, 1, 3), 3);
}

static void what_is_long_is_left_to_the_thread(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct played x;
	struct diary d;

	diary_init(&d);
	settle(r);
	queue_one(r, &d, &x, p, ACKS_LEADER, 300000);
	broker_run_queued(r->b);
	await(&d, 1);
	assert_false(pthread_equal(x.by, pthread_self()));
	assert_string_equal(d.text, "appended 0; ");
}

/* The rig whose clock a synced write moves on by so much. */
static struct rig *slow_rig;
static int64_t sync_ns;

static enum ks_err slow_commit(struct store *s, struct store_write *w, bool sync,
			       struct ks_why *why)
{
	if (sync)
		slow_rig->now_ns += sync_ns;
	return disk.real->commit(s, w, sync, why);
}

static int setup_slow(void **state)
{
	struct store *s = store_open_memory();

	slow_rig = rig_new(false);
	sync_ns = 100000;
	disk_intercept(s, slow_commit);
	assert_int_equal(broker_open_store(&slow_rig->options, s, &slow_rig->b, NULL), 0);
	*state = slow_rig;
	return 0;
}

/* Whether a synced append was carried out by the thread that queued it. */
static bool is_played(struct rig *r, struct partition *p)
{
	struct played x;
	struct diary d;

	diary_init(&d);
	settle(r);
	queue_one(r, &d, &x, p, ACKS_ALL, 0);
	broker_run_queued(r->b);
	await(&d, 1);
	return pthread_equal(x.by, pthread_self());
}

static void a_sync_is_left_to_the_thread_while_the_disk_is_slow(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	assert_true(is_played(r, p));
	sync_ns = 2000000;
	assert_true(is_played(r, p)); /* nobody knew */
	assert_false(is_played(r, p));
	sync_ns = 100000;
	assert_false(is_played(r, p)); /* nobody knew */
	assert_true(is_played(r, p));
}

static void a_queued_task_waits_for_the_word_and_is_carried_out_by_who_gives_it(void **state)
{
	struct rig *r = *state;
	struct noted n;
	struct diary d;

	diary_init(&d);
	settle(r);
	n = (struct noted){.task = {apply}, .r = r, .d = &d, .number = 1, .puts = true};
	shard_task_queue(r->b->shard, &n.task, 0);
	assert_int_equal(d.lines, 0); /* nobody is awake who could */
	broker_run_queued(r->b);
	assert_string_equal(d.text, "applied 1; written 1; ");
}

static void what_is_queued_goes_before_what_is_sent_later(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct played x;
	struct diary d;

	diary_init(&d);
	queue_one(r, &d, &x, p, ACKS_LEADER, 0);
	assert_int_equal(rig_append(r, p, 1, 1), 1); /* this wakes the thread, for both */
	await(&d, 1);
	assert_string_equal(d.text, "appended 0; ");
	assert_false(pthread_equal(x.by, pthread_self()));
	broker_run_queued(r->b);
}

/* In the callback of an append that this thread carries out: one more, and an attempt to play again. */
static void queue_more(struct append *a, enum ks_err err)
{
	struct played *x = a->cookie;

	note(x->d, err ? "failed" : "first", a->base_offset);
	queue_one(x->r, x->d, &x[1], a->partition, ACKS_LEADER, 0);
	broker_run_queued(x->r->b);
	note(x->d, "queued", 0);
}

static void a_callback_that_queues_more_while_its_thread_plays_loses_nothing(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct played x[2];
	struct diary d;

	diary_init(&d);
	settle(r);
	queue_one(r, &d, &x[0], p, ACKS_LEADER, 0);
	x[0].append.done = queue_more;
	broker_run_queued(r->b);
	await(&d, 3);
	assert_string_equal(d.text, "first 0; queued 0; appended 1; ");
}

static void what_finds_no_room_in_the_queue_is_not_taken(void **state)
{
	struct rig *r = *state;
	struct played x[40];
	struct diary d;

	broker_close(r->b);
	r->options.queue_bytes_max = 2000;
	rig_open(r);
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	diary_init(&d);
	settle(r);
	for (int i = 0; i < 40; i++)
		queue_one(r, &d, &x[i], p, ACKS_LEADER, 500);
	broker_run_queued(r->b);
	await(&d, 40);
	assert_true(x[0].found_room);
	assert_true(x[2].found_room);
	assert_false(x[3].found_room); /* and went the way that waits */
	assert_int_equal(partition_high_watermark(p), 40);
}

static void a_tick_that_a_player_makes_due_runs_at_once(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct clockwork c = {.next_ns = INT64_MAX};
	struct played x;
	struct diary d, appends;

	diary_init(&appends);
	clockwork_start(r, &c, &d);
	await(&d, 1);
	settle(r);
	queue_one(r, &appends, &x, p, ACKS_LEADER, 0);
	x.tick = &c.tick;
	broker_run_queued(r->b);
	assert_true(pthread_equal(x.by, pthread_self()));
	await(&d, 2);
	clockwork_stop(r);
}

#define PLAYERS 4
#define PLAYED  300

struct player {
	struct rig *r;
	struct partition *p;
};

static void *play(void *arg)
{
	struct player *me = arg;
	struct played *x = calloc(PLAYED, sizeof *x);
	struct diary d;

	diary_init(&d);
	for (int i = 0; i < PLAYED; i++) {
		queue_one(me->r, &d, &x[i], me->p, i % 50 == 49 ? ACKS_ALL : ACKS_LEADER, 0);
		if (i % 3 == 2)
			broker_run_queued(me->r->b);
	}
	broker_run_queued(me->r->b);
	await(&d, PLAYED);
	for (int i = 1; i < PLAYED; i++)
		if (x[i].append.base_offset <= x[i - 1].append.base_offset)
			abort();
	free(x);
	return NULL;
}

static void many_players_take_turns(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct player players[PLAYERS];
	pthread_t threads[PLAYERS];

	for (int i = 0; i < PLAYERS; i++) {
		players[i] = (struct player){.r = r, .p = p};
		pthread_create(&threads[i], NULL, play, &players[i]);
	}
	for (int i = 0; i < PLAYERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(partition_high_watermark(p), PLAYERS * PLAYED);
	struct buf got = {0};
	rig_read_all(p, 0, 1 << 20, &got);
	assert_int_equal(got.len, partition_size_bytes(p));
	buf_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_task_is_applied_written_and_then_answered),
		MEMORY(a_task_that_writes_nothing_is_answered_too),
		MEMORY(answers_come_in_the_order_of_the_tasks_after_one_write),
		cmocka_unit_test_setup_teardown(a_task_learns_that_the_store_has_failed, setup_seam,
						rig_teardown),
		cmocka_unit_test_setup_teardown(only_a_task_that_asks_for_it_is_synced, setup_seam,
						rig_teardown),
		MEMORY(a_tick_runs_when_it_is_due_and_never_before),
		MEMORY(a_tick_can_be_asked_for_earlier),
		MEMORY(a_tick_wakes_a_shard_that_sleeps),
		MEMORY(what_a_tick_puts_is_written),
		BOTH(small_appends_are_carried_out_by_who_queued_them),
		MEMORY(what_is_long_is_left_to_the_thread),
		cmocka_unit_test_setup_teardown(a_sync_is_left_to_the_thread_while_the_disk_is_slow,
						setup_slow, rig_teardown),
		BOTH(a_queued_task_waits_for_the_word_and_is_carried_out_by_who_gives_it),
		MEMORY(what_is_queued_goes_before_what_is_sent_later),
		MEMORY(a_callback_that_queues_more_while_its_thread_plays_loses_nothing),
		MEMORY(what_finds_no_room_in_the_queue_is_not_taken),
		MEMORY(a_tick_that_a_player_makes_due_runs_at_once),
		BOTH(many_players_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

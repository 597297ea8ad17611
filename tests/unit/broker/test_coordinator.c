/* All groups of a broker: what is there after a restart, what bounds them, how calls end, and a store that fails. */
#include "failing_disk.h"
#include "group_calls.h"

/* --- restarts --- */

static void a_stable_group_goes_on_after_a_restart(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"};
	struct syncer y;

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *a = s->call.response;
	char id[64];
	snprintf(id, sizeof id, "%.*s", (int)a->member_id.len, a->member_id.data);
	struct committing c = {.group = "g",
			       .topic = "t",
			       .member = id,
			       .generation = 1,
			       .offset = 42,
			       .leader_epoch = 3,
			       .metadata = "where"};
	assert_code(commit(r, c), ERR_NONE);
	pass(r, 9999);
	rig_reopen(r);
	pass(r, 9999); /* the session began anew */
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_NONE);
	struct sent *again = sync_send(r, &y, "g", a);
	assert_slice(((struct sync_group_response *)sent_wait(again))->assignment, id);
	struct fetched f = fetch(r, (struct fetching){.group = "g", .topic = "t"});
	assert_int_equal(f.offset, 42);
	assert_int_equal(f.leader_epoch, 3);
	assert_string_equal(f.metadata, "where");
	pass(r, 10000);
	assert_code(heartbeat(r, "g", 1, slice_str(id)), ERR_UNKNOWN_MEMBER_ID);
	rig_reopen(r);
	struct joiner k = {.group = "g"};
	struct sent *next = make_classic(r, &k);
	/* 2 was the empty one. */
	assert_int_equal(((struct join_group_response *)next->call.response)->generation_id, 3);
	sent_free(again);
	sent_free(next);
	sent_free(s);
}

static void a_generation_that_was_told_comes_only_once(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct syncer y;

	struct sent *joining = join_send(r, &j);
	pass(r, 3000);
	const struct join_group_response *a = sent_wait(joining);
	assert_int_equal(a->generation_id, 1);
	rig_reopen(r); /* before the leader assigned */
	struct sent *syncing = sync_send(r, &y, "g", a);
	const struct sync_group_response *b = sent_wait(syncing);
	assert_code(b->error_code, ERR_NONE);
	assert_true(slice_equal(b->assignment, a->member_id));
	assert_code(heartbeat(r, "g", 1, a->member_id), ERR_NONE);
	sent_free(joining);
	sent_free(syncing);
}

static void consumers_go_on_after_a_restart(void **state)
{
	struct rig *r = *state;
	struct consumer a = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	struct consumer b = {.group = "g", .id = "b", .version = 1, .regex = "t.*"};
	struct consumer gone = {.group = "g", .id = "c", .version = 1, .topics = {"t"}};

	rig_topic(r, "t", 6);
	assert_code(consumer_beat(r, &a, true), ERR_NONE);
	assert_code(consumer_beat(r, &gone, true), ERR_NONE);
	assert_code(consumer_leaves(r, &gone, -1), ERR_NONE);
	assert_code(consumer_beat(r, &b, true), ERR_NONE);
	assert_code(consumer_beat(r, &a, false), ERR_NONE); /* is to give up three */
	rig_reopen(r);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 0);
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_int_equal(a.epoch, 4);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(consumer_owns(&b), 3);
	assert_int_equal(b.epoch, 4);
	rig_topic(r, "t2", 2);
	rig_reopen(r);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_code(consumer_beat(r, &b, false), ERR_NONE);
	assert_int_equal(b.epoch, 5);
	assert_int_equal(consumer_owns(&b), 4); /* one of "t" less, two of "t2" more */
	assert_code(consumer_beat(r, &a, false), ERR_NONE);
	assert_int_equal(consumer_owns(&a), 4);
}

static void groups_of_older_data_have_their_offsets(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 1);
	struct group_offset o = {topic_partition(t, 0), 5, 0};
	char got[100];

	/* A job's value is what every value was before. */
	assert_ok(broker_group_commit(r->b, "old", &o, 1, why));
	rig_reopen(r);
	struct fetched f = fetch(r, (struct fetching){.group = "old", .topic = "t"});
	assert_int_equal(f.offset, 5);
	assert_int_equal(f.leader_epoch, -1);
	list_groups(r, NULL, NULL, got);
	assert_string_equal(got, "old//Empty/classic ");
}

/* --- bounds --- */

static void reopen_with(struct rig *r, struct group_options o)
{
	broker_close(r->b);
	r->options.groups = o;
	rig_open(r);
}

static void there_are_as_many_groups_as_there_may_be(void **state)
{
	struct rig *r = *state;

	reopen_with(r, (struct group_options){.groups_max = 2});
	rig_topic(r, "t", 1);
	struct committing c = {.group = "a", .topic = "t", .generation = -1};
	assert_code(commit(r, c), ERR_NONE);
	c.group = "b";
	assert_code(commit(r, c), ERR_NONE);
	c.group = "c";
	assert_code(commit(r, c), ERR_GROUP_MAX_SIZE_REACHED);
	struct joiner j = {.group = "c"};
	struct sent *s = join_send(r, &j);
	assert_code(((struct join_group_response *)sent_wait(s))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	sent_free(s);
	struct consumer k = {.group = "c", .id = "a", .version = 1, .topics = {"t"}};
	assert_code(consumer_beat(r, &k, true), ERR_GROUP_MAX_SIZE_REACHED);
	k.group = "b"; /* one that is there may change */
	assert_code(consumer_beat(r, &k, true), ERR_NONE);
}

static void the_memory_of_all_groups_is_bounded(void **state)
{
	struct rig *r = *state;
	char *metadata = calloc(1, 60000);

	reopen_with(r, (struct group_options){.state_bytes_max = 100000});
	struct joiner j[3];
	struct sent *s[3];
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"a", "b", "c"};
		j[i] = (struct joiner){.group = names[i],
				       .version = 3,
				       .metadata = slice_of(metadata, i == 2 ? 60000 : 30000)};
		s[i] = join_send(r, &j[i]);
	}
	assert_code(((struct join_group_response *)sent_wait(s[2]))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	pass(r, 3000);
	for (int i = 0; i < 2; i++)
		assert_code(((struct join_group_response *)sent_wait(s[i]))->error_code, ERR_NONE);
	/* What is gone makes room. */
	assert_code(leave(r, "a", ((struct join_group_response *)s[0]->call.response)->member_id),
		    ERR_NONE);
	sent_free(s[2]);
	s[2] = join_send(r, &j[2]);
	pass(r, 3000);
	assert_code(((struct join_group_response *)sent_wait(s[2]))->error_code, ERR_NONE);
	for (int i = 0; i < 3; i++)
		sent_free(s[i]);
	free(metadata);
}

static void an_answer_that_names_one_group_often_is_bounded(void **state)
{
	struct rig *r = *state;
	uint8_t *metadata = calloc(1, 3 << 20);
	struct joiner j = {.group = "g", .metadata = slice_of(metadata, 3 << 20)};
	struct slice names[40];
	struct describe_groups_request q = {{names, 40}, false};
	int described = 0;

	struct sent *s = make_classic(r, &j);
	for (int i = 0; i < 40; i++)
		names[i] = slice_str("g");
	struct sent *d = sent_new(r, API_describe_groups, 5, &q);
	const struct describe_groups_response *a = sent_wait(d);
	for (int i = 0; i < 40; i++) {
		described += a->groups.v[i].error_code == ERR_NONE;
		if (a->groups.v[i].error_code)
			assert_code(a->groups.v[i].error_code, ERR_MESSAGE_TOO_LARGE);
	}
	assert_in_range(described, 20, 24); /* 64 MiB of 3 MiB each */
	sent_free(d);
	sent_free(s);
	free(metadata);
}

static void a_group_has_at_most_group_max_size_members(void **state)
{
	struct rig *r = *state;

	reopen_with(r, (struct group_options){.max_size = 1, .consumer_max_size = 1});
	rig_topic(r, "t", 1);
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3};
	struct sent *s = make_classic(r, &j), *t = join_send(r, &k);
	assert_code(((struct join_group_response *)sent_wait(t))->error_code,
		    ERR_GROUP_MAX_SIZE_REACHED);
	struct consumer a = {.group = "n", .id = "a", .version = 1, .topics = {"t"}}, b = a;
	assert_code(consumer_beat(r, &a, true), ERR_NONE);
	b.id = "b";
	assert_code(consumer_beat(r, &b, true), ERR_GROUP_MAX_SIZE_REACHED);
	sent_free(s);
	sent_free(t);
}

static void options_that_are_wrong_are_told_at_opening(void **state)
{
	struct rig *r = *state;
	struct broker_options o = {.clock = &r->clock,
				   .groups = {.consumer_assignors = "uniform,sticky"}};
	struct ks_why why = {""};
	struct broker *b;

	assert_int_equal(broker_open(&o, &b, &why), ERR_INVALID_CONFIG);
	assert_non_null(strstr(why.text, "sticky"));
	reopen_with(r, (struct group_options){.consumer_assignors = "range"});
	struct consumer c = {.group = "g", .id = "a", .version = 1, .topics = {"t"}};
	c.assignor = "uniform";
	assert_code(consumer_beat(r, &c, true), ERR_UNSUPPORTED_ASSIGNOR);
}

/* --- ends --- */

static void the_end_of_calls_answers_what_is_parked(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g"}, k = {.group = "g", .version = 3}, l = {.group = "h"};
	struct sent *s = make_classic(r, &j), *parked = join_send(r, &k);

	pass(r, 10);
	assert_false(sent_is_done(parked));
	broker_group_calls_end(r->b);
	assert_true(sent_is_done(parked));
	assert_code(((struct join_group_response *)sent_wait(parked))->error_code,
		    ERR_NOT_COORDINATOR);
	struct sent *late = join_send(r, &l);
	assert_code(((struct join_group_response *)sent_wait(late))->error_code,
		    ERR_NOT_COORDINATOR);
	assert_code(
		heartbeat(r, "g", 1, ((struct join_group_response *)s->call.response)->member_id),
		ERR_NOT_COORDINATOR);
	sent_free(s);
	sent_free(parked);
	sent_free(late);
}

static void closing_answers_what_is_parked(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct sent *parked = join_send(r, &j);

	pass(r, 10);
	broker_close(r->b);
	assert_true(sent_is_done(parked));
	assert_code(((struct join_group_response *)sent_wait(parked))->error_code,
		    ERR_NOT_COORDINATOR);
	sent_free(parked);
	rig_open(r);
}

/* --- the store fails --- */

static _Atomic(bool) fails;

static enum ks_err failing_commit(struct store *s, struct store_write *w, bool sync,
				  struct ks_why *why)
{
	if (fails)
		return ks_fail(why, ERR_IO, "the disk is on fire");
	return disk.real->commit(s, w, sync, why);
}

static int setup_failing(void **state)
{
	struct rig *r = rig_new(false);
	struct store *s = store_open_memory();

	disk_intercept(s, failing_commit);
	fails = false;
	assert_int_equal(broker_open_store(&r->options, s, &r->b, NULL), 0);
	*state = r;
	return 0;
}

static enum ks_err wait_for_failure(struct sent *s)
{
	enum ks_err err = sent_wait_failed(s);

	sent_free(s);
	return err;
}

static void nothing_is_answered_once_the_store_has_failed(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3}, k = {.group = "h", .version = 3};
	struct committing c = {.group = "x", .topic = "t", .generation = -1};
	struct fetching f = {.group = "x", .topic = "t"};

	rig_topic(r, "t", 1);
	struct sent *joining = join_send(r, &j), *parked = join_send(r, &k);
	fails = true;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	assert_int_equal(wait_for_failure(fetch_send(r, &f)), ERR_IO);
	fails = false;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	broker_group_calls_end(r->b);
	assert_int_equal(wait_for_failure(joining), ERR_IO);
	assert_int_equal(wait_for_failure(parked), ERR_IO);
}

static void a_parked_call_hears_of_the_failure_at_the_end(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .version = 3};
	struct committing c = {.group = "x", .topic = "t", .generation = -1};

	rig_topic(r, "t", 1);
	struct sent *parked = join_send(r, &j);
	fails = true;
	assert_int_equal(wait_for_failure(commit_send(r, &c)), ERR_IO);
	broker_close(r->b);
	r->b = NULL;
	assert_int_equal(wait_for_failure(parked), ERR_IO);
}

#define FAILING(f) cmocka_unit_test_setup_teardown(f, setup_failing, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKS(a_stable_group_goes_on_after_a_restart),
		ROCKS(a_generation_that_was_told_comes_only_once),
		ROCKS(consumers_go_on_after_a_restart),
		ROCKS(groups_of_older_data_have_their_offsets),
		MEMORY(there_are_as_many_groups_as_there_may_be),
		MEMORY(the_memory_of_all_groups_is_bounded),
		MEMORY(an_answer_that_names_one_group_often_is_bounded),
		MEMORY(a_group_has_at_most_group_max_size_members),
		MEMORY(options_that_are_wrong_are_told_at_opening),
		MEMORY(the_end_of_calls_answers_what_is_parked),
		MEMORY(closing_answers_what_is_parked),
		FAILING(nothing_is_answered_once_the_store_has_failed),
		FAILING(a_parked_call_hears_of_the_failure_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

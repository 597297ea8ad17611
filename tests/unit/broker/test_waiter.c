/* Waiting for partitions to grow, with a callback. (Threads that wait: test_append.c.) */
#include "rig.h"

struct bell {
	_Atomic(int) rung;
};

static void ring(void *arg)
{
	((struct bell *)arg)->rung++;
}

static void an_armed_callback_is_called_once_however_much_happens(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 3);
	struct bell bell = {0};
	struct waiter *w = waiter_new_callback(ring, &bell);

	waiter_watch(w, topic_partition(t, 0));
	waiter_watch(w, topic_partition(t, 1));
	waiter_arm(w);
	rig_append(r, topic_partition(t, 2), 1, 0);
	assert_int_equal(bell.rung, 0);
	rig_append(r, topic_partition(t, 0), 1, 0);
	assert_int_equal(bell.rung, 1);
	rig_append(r, topic_partition(t, 0), 1, 0);
	rig_append(r, topic_partition(t, 1), 1, 0);
	assert_int_equal(bell.rung, 1);
	waiter_arm(w);
	rig_append(r, topic_partition(t, 1), 1, 0);
	assert_int_equal(bell.rung, 2);
	waiter_free(w);
}

static void an_unarmed_callback_is_not_called(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct bell bell = {0};
	struct waiter *w = waiter_new_callback(ring, &bell);

	waiter_watch(w, p);
	rig_append(r, p, 1, 0);
	waiter_wake(w);
	assert_int_equal(bell.rung, 0);
	waiter_arm(w);
	waiter_wake(w);
	assert_int_equal(bell.rung, 1);
	waiter_free(w);
}

static void what_is_no_longer_watched_does_not_wake(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 3);
	struct bell bell = {0};
	struct waiter *w = waiter_new_callback(ring, &bell);

	for (int i = 0; i < 3; i++)
		waiter_watch(w, topic_partition(t, i));
	waiter_unwatch(w, topic_partition(t, 1));
	waiter_arm(w);
	rig_append(r, topic_partition(t, 1), 1, 0);
	assert_int_equal(bell.rung, 0);
	rig_append(r, topic_partition(t, 2), 1, 0);
	assert_int_equal(bell.rung, 1);
	waiter_arm(w);
	waiter_unwatch(w, topic_partition(t, 2));
	waiter_unwatch(w, topic_partition(t, 0));
	rig_append(r, topic_partition(t, 0), 1, 0);
	assert_int_equal(bell.rung, 1);
	waiter_free(w);
}

static void a_deleted_topic_wakes(void **state)
{
	struct rig *r = *state;
	struct bell bell = {0};
	struct waiter *w = waiter_new_callback(ring, &bell);

	waiter_watch(w, topic_partition(rig_topic(r, "t", 1), 0));
	waiter_arm(w);
	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_int_equal(bell.rung, 1);
	waiter_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY(an_armed_callback_is_called_once_however_much_happens),
		MEMORY(an_unarmed_callback_is_not_called),
		MEMORY(what_is_no_longer_watched_does_not_wake),
		MEMORY(a_deleted_topic_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

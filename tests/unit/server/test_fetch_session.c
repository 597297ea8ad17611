/* The cache of fetch sessions: its bounds, who has to go, and the partitions of one session. */
#include "tests/check.h"

#include "server/fetch_session.h"

#define MINUTES(n) ((n)*INT64_C(60000))

static struct fetch_topic_key name(const char *text)
{
	return (struct fetch_topic_key){.name = slice_str(text)};
}

static int setup(void **state)
{
	*state = fetch_sessions_new(3);
	return 0;
}

static int teardown(void **state)
{
	fetch_sessions_free(*state);
	return 0;
}

/* Returns its id, 0: there was no room. */
static int32_t add(struct fetch_sessions *ss, size_t partitions, int64_t now_ms)
{
	struct fetch_session *s = fetch_sessions_add(ss, false, partitions, now_ms);
	int32_t id = s ? s->id : 0;

	fetch_session_unref(ss, s);
	return id;
}

static bool is_there(struct fetch_sessions *ss, int32_t id, int64_t now_ms)
{
	struct fetch_session *s = fetch_sessions_find(ss, id, now_ms);

	fetch_session_unref(ss, s);
	return s != NULL;
}

static void a_session_is_found_by_its_id_until_it_is_removed(void **state)
{
	int32_t id = add(*state, 1, 0);

	assert_true(id > 0);
	assert_true(is_there(*state, id, 0));
	assert_false(is_there(*state, id ^ 1, 0));
	fetch_sessions_remove(*state, id);
	assert_false(is_there(*state, id, 0));
	fetch_sessions_remove(*state, id);
	assert_int_equal(fetch_sessions_count(*state), 0);
}

static void a_full_cache_takes_nobody_in_while_all_are_young(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(add(*state, 1, 0), 0);
	assert_int_equal(add(*state, 100, MINUTES(1)), 0);
	assert_int_equal(fetch_sessions_count(*state), 3);
}

static void who_was_not_used_for_two_minutes_goes_first(void **state)
{
	int32_t a = add(*state, 5, 0), b = add(*state, 5, 0), c = add(*state, 5, 0);

	assert_true(is_there(*state, a, MINUTES(1)));
	assert_true(is_there(*state, c, MINUTES(1)));
	assert_int_not_equal(add(*state, 1, MINUTES(2)), 0);
	assert_true(is_there(*state, a, MINUTES(2)));
	assert_false(is_there(*state, b, MINUTES(2)));
	assert_true(is_there(*state, c, MINUTES(2)));
}

static void a_smaller_one_that_has_lived_long_enough_makes_room_for_a_larger_one(void **state)
{
	int32_t a = add(*state, 5, 0), b = add(*state, 2, 0), c = add(*state, 5, 0);

	/* All of them are in use. */
	is_there(*state, a, MINUTES(2));
	is_there(*state, b, MINUTES(2));
	is_there(*state, c, MINUTES(2));
	assert_int_equal(add(*state, 2, MINUTES(2)), 0);
	assert_int_not_equal(add(*state, 3, MINUTES(2)), 0);
	assert_false(is_there(*state, b, MINUTES(2)));
	assert_true(is_there(*state, a, MINUTES(2)));
}

static void all_sessions_together_have_so_many_partitions(void **state)
{
	int32_t a = add(*state, SESSION_PARTITIONS_MAX - 10, 0);

	assert_int_not_equal(a, 0);
	assert_int_equal(add(*state, 11, 0), 0);
	int32_t b = add(*state, 10, 0);
	assert_int_not_equal(b, 0);
	struct fetch_session *s = fetch_sessions_find(*state, b, 0);
	assert_true(fetch_sessions_resize(*state, s, 9));
	assert_true(fetch_sessions_resize(*state, s, 10));
	assert_false(fetch_sessions_resize(*state, s, 11));
	assert_false(is_there(*state, b, 0));
	fetch_session_unref(*state, s);
	assert_true(is_there(*state, a, 0));
}

static void a_removed_session_lives_as_long_as_somebody_works_on_it(void **state)
{
	struct fetch_session *s = fetch_sessions_add(*state, false, 1, 0);

	fetch_sessions_remove(*state, s->id);
	pthread_mutex_lock(&s->mtx);
	struct fetch_topic_key k = name("t");
	fetch_session_put(s, &k, 0);
	pthread_mutex_unlock(&s->mtx);
	fetch_session_unref(*state, s);
}

static void thousands_of_partitions_are_each_found_dropped_and_kept_in_order(void **state)
{
	struct fetch_session *s = fetch_sessions_add(*state, false, 1, 0);
	struct fetch_topic_key keys[3] = {name("a"), name("b"), name("a longer name than eight")};
	struct session_part *part;
	int32_t next = 0;

	for (int32_t i = 0; i < 3000; i++)
		fetch_session_put(s, &keys[i % 3], i)->offset = i;
	assert_int_equal(s->count, 3000);
	for (int32_t i = 0; i < 3000; i++) {
		assert_int_equal(fetch_session_find(s, &keys[i % 3], i)->offset, i);
		assert_null(fetch_session_find(s, &keys[(i + 1) % 3], i));
		assert_ptr_equal(fetch_session_put(s, &keys[i % 3], i),
				 fetch_session_find(s, &keys[i % 3], i));
	}
	for (int32_t i = 0; i < 3000; i += 2)
		fetch_session_drop(s, &keys[i % 3], i);
	fetch_session_drop(s, &keys[0], 0);
	assert_int_equal(s->count, 1500);
	TAILQ_FOREACH(part, &s->parts, in_order)
	{
		assert_int_equal(part->index, 2 * next + 1);
		next++;
	}
	assert_int_equal(next, 1500);
	fetch_session_served(s, fetch_session_find(s, &keys[1], 1));
	assert_int_equal(TAILQ_FIRST(&s->parts)->index, 3);
	assert_int_equal(TAILQ_LAST(&s->parts, session_parts)->index, 1);
	fetch_session_unref(*state, s);
}

static void topics_by_id_are_told_apart_by_it(void **state)
{
	struct fetch_session *s = fetch_sessions_add(*state, true, 1, 0);
	struct fetch_topic_key a = {SLICE_NULL, {{1}}}, b = {SLICE_NULL, {{2}}};

	fetch_session_put(s, &a, 0)->offset = 10;
	fetch_session_put(s, &b, 0)->offset = 20;
	assert_int_equal(fetch_session_find(s, &a, 0)->offset, 10);
	assert_int_equal(fetch_session_find(s, &b, 0)->offset, 20);
	fetch_session_unref(*state, s);
}

#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(a_session_is_found_by_its_id_until_it_is_removed),
		SESSION_TEST(a_full_cache_takes_nobody_in_while_all_are_young),
		SESSION_TEST(who_was_not_used_for_two_minutes_goes_first),
		SESSION_TEST(a_smaller_one_that_has_lived_long_enough_makes_room_for_a_larger_one),
		SESSION_TEST(all_sessions_together_have_so_many_partitions),
		SESSION_TEST(a_removed_session_lives_as_long_as_somebody_works_on_it),
		SESSION_TEST(thousands_of_partitions_are_each_found_dropped_and_kept_in_order),
		SESSION_TEST(topics_by_id_are_told_apart_by_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The topics in a member's metadata. */
#include "tests/check.h"

#include "groups/subscription.h"

/* Version 1: topics b, a, b; no user data; one owned partition. */
static const uint8_t version_1[] = {0, 1,   0,   0,    0,    3,    0,    1, 'b', 0, 1, 'a',
				    0, 1,   'b', 0xff, 0xff, 0xff, 0xff, 0, 0,   0, 1, 0,
				    1, 'a', 0,   0,    0,    1,    0,    0, 0,   0};

static void topics_of_any_version_are_found(void **state)
{
	struct names topics = {0};

	(void)state;
	assert_true(subscription_topics(slice_of(version_1, sizeof version_1), &topics));
	names_settle(&topics);
	assert_int_equal(topics.count, 2);
	assert_slice(topics.v[0], "a");
	assert_slice(topics.v[1], "b");
	names_fini(&topics);
}

static void a_subscription_that_ends_early_is_none(void **state)
{
	(void)state;
	for (size_t n = 0; n < 15; n++) {
		struct names topics = {0};
		uint8_t *exact = malloc(n + 1);
		memcpy(exact, version_1, n);
		assert_false(subscription_topics(slice_of(exact, n), &topics));
		names_fini(&topics);
		free(exact);
	}
}

static void a_count_over_what_is_there_is_refused(void **state)
{
	static const uint8_t many[] = {0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'};
	static const uint8_t negative[] = {0, 0, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t null_topic[] = {0, 0, 0, 0, 0, 1, 0xff, 0xff};
	struct names topics = {0};

	(void)state;
	assert_false(subscription_topics(slice_of(many, sizeof many), &topics));
	assert_false(subscription_topics(slice_of(negative, sizeof negative), &topics));
	assert_false(subscription_topics(slice_of(null_topic, sizeof null_topic), &topics));
	names_fini(&topics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topics_of_any_version_are_found),
		cmocka_unit_test(a_subscription_that_ends_early_is_none),
		cmocka_unit_test(a_count_over_what_is_there_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

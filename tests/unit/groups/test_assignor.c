/* Who gets which partitions. */
#include "tests/check.h"

#include "groups/assignor.h"

#define MEMBERS 64
#define TOPICS  16

struct rig {
	struct assign_topic topics[TOPICS];
	struct assign_member members[MEMBERS];
	uint32_t subscriptions[MEMBERS][TOPICS];
	struct parts current[MEMBERS];
	char ids[MEMBERS][8];
	size_t topic_count, member_count;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct rig));
	return 0;
}

static void forget(struct rig *r)
{
	for (size_t i = 0; i < MEMBERS; i++)
		parts_fini(&r->members[i].result);
}

static int teardown(void **state)
{
	struct rig *r = *state;

	forget(r);
	for (size_t i = 0; i < MEMBERS; i++)
		parts_fini(&r->current[i]);
	free(r);
	return 0;
}

/* Topics have the numbers 10, 11, ... */
static void topics(struct rig *r, size_t count, const int32_t *partitions)
{
	r->topic_count = count;
	for (size_t i = 0; i < count; i++)
		r->topics[i] = (struct assign_topic){10 + (uint32_t)i, partitions[i]};
}

/* Subscribed to the topics whose bits are set. */
static struct assign_member *member(struct rig *r, unsigned subscribed)
{
	size_t i = r->member_count++, n = 0;
	struct assign_member *m = &r->members[i];

	snprintf(r->ids[i], sizeof r->ids[i], "m%02zu", i);
	for (uint32_t t = 0; t < r->topic_count; t++)
		if (subscribed >> t & 1)
			r->subscriptions[i][n++] = t;
	parts_fini(&m->result);
	*m = (struct assign_member){.id = slice_str(r->ids[i]),
				    .topics = r->subscriptions[i],
				    .topic_count = n,
				    .current = &r->current[i]};
	return m;
}

static void run(struct rig *r, const char *name)
{
	forget(r);
	assignor_find(slice_str(name))(r->members, r->member_count, r->topics, r->topic_count);
	for (size_t i = 0; i < r->member_count; i++)
		parts_settle(&r->members[i].result);
}

/* What was assigned becomes what they have. */
static void settle(struct rig *r)
{
	for (size_t i = 0; i < r->member_count; i++)
		parts_copy(&r->current[i], &r->members[i].result);
}

static bool is_subscribed(const struct assign_member *m, size_t t)
{
	for (size_t i = 0; i < m->topic_count; i++)
		if (m->topics[i] == t)
			return true;
	return false;
}

/* Each partition of a topic that somebody reads has one owner who does. */
static void assert_complete(const struct rig *r)
{
	for (size_t t = 0; t < r->topic_count; t++)
		for (int32_t p = 0; p < r->topics[t].partitions; p++) {
			int owners = 0, readers = 0;
			for (size_t i = 0; i < r->member_count; i++) {
				const struct assign_member *m = &r->members[i];
				readers += is_subscribed(m, t);
				if (!parts_have(&m->result, part_of(r->topics[t].number, p)))
					continue;
				assert_true(is_subscribed(m, t));
				owners++;
			}
			assert_int_equal(owners, readers > 0);
		}
}

static size_t moved(const struct rig *r)
{
	struct parts gone = {0};
	size_t n = 0;

	for (size_t i = 0; i < r->member_count; i++) {
		parts_without(&gone, &r->current[i], &r->members[i].result);
		n += gone.count;
	}
	parts_fini(&gone);
	return n;
}

static void assert_even(const struct rig *r)
{
	size_t least = SIZE_MAX, most = 0;

	for (size_t i = 0; i < r->member_count; i++) {
		size_t n = r->members[i].result.count;
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	assert_true(most - least <= 1);
}

static void assert_range(const struct assign_member *m, uint32_t topic, int32_t first,
			 int32_t count)
{
	int32_t found = 0;

	for (size_t i = 0; i < m->result.count; i++)
		found += part_topic(m->result.v[i]) == topic;
	assert_int_equal(found, count);
	for (int32_t p = first; p < first + count; p++)
		assert_true(parts_have(&m->result, part_of(topic, p)));
}

/* --- range --- */

static void range_gives_stretches_and_the_rest_to_the_first(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){7});
	for (int i = 0; i < 3; i++)
		member(r, 1);
	run(r, "range");
	assert_range(&r->members[0], 10, 0, 3);
	assert_range(&r->members[1], 10, 3, 2);
	assert_range(&r->members[2], 10, 5, 2);
}

static void range_splits_topics_of_equal_size_alike(void **state)
{
	struct rig *r = *state;

	topics(r, 3, (int32_t[]){5, 5, 5});
	member(r, 7);
	member(r, 7);
	run(r, "range");
	for (uint32_t t = 10; t < 13; t++) {
		assert_range(&r->members[0], t, 0, 3);
		assert_range(&r->members[1], t, 3, 2);
	}
}

static void range_deals_each_topic_to_its_own_subscribers(void **state)
{
	struct rig *r = *state;

	topics(r, 2, (int32_t[]){4, 4});
	member(r, 1);
	member(r, 3);
	member(r, 2);
	run(r, "range");
	assert_complete(r);
	assert_range(&r->members[0], 10, 0, 2);
	assert_range(&r->members[1], 10, 2, 2);
	assert_range(&r->members[1], 11, 0, 2);
	assert_range(&r->members[2], 11, 2, 2);
}

static void range_puts_static_members_first_in_the_order_of_their_instances(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){3});
	member(r, 1);
	member(r, 1)->instance_id = slice_str("b");
	member(r, 1)->instance_id = slice_str("a");
	run(r, "range");
	assert_range(&r->members[2], 10, 0, 1);
	assert_range(&r->members[1], 10, 1, 1);
	assert_range(&r->members[0], 10, 2, 1);
}

static void more_members_than_partitions_leave_some_without(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){2});
	for (int i = 0; i < 5; i++)
		member(r, 1);
	run(r, "range");
	assert_complete(r);
	assert_range(&r->members[4], 10, 0, 0);
	run(r, "uniform");
	assert_complete(r);
	assert_even(r);
}

/* --- uniform --- */

static void uniform_is_even_over_all_topics(void **state)
{
	struct rig *r = *state;

	topics(r, 3, (int32_t[]){1, 1, 5});
	for (int i = 0; i < 3; i++)
		member(r, 7);
	run(r, "uniform");
	assert_complete(r);
	assert_even(r);
}

static void uniform_moves_nothing_when_nothing_changed(void **state)
{
	struct rig *r = *state;

	topics(r, 2, (int32_t[]){11, 3});
	for (int i = 0; i < 4; i++)
		member(r, 3);
	run(r, "uniform");
	settle(r);
	run(r, "uniform");
	assert_int_equal(moved(r), 0);
}

static void uniform_moves_only_what_a_newcomer_gets(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){12});
	member(r, 1);
	member(r, 1);
	member(r, 1);
	run(r, "uniform");
	settle(r);
	member(r, 1);
	run(r, "uniform");
	assert_complete(r);
	assert_even(r);
	assert_int_equal(moved(r), 3);
}

static void uniform_gives_what_one_leaves_to_the_others_and_moves_nothing_else(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){10});
	for (int i = 0; i < 4; i++)
		member(r, 1);
	run(r, "uniform");
	settle(r);
	parts_fini(&r->members[3].result);
	r->member_count = 3;
	run(r, "uniform");
	assert_complete(r);
	assert_even(r);
	assert_int_equal(moved(r), 0);
}

static void uniform_keeps_the_odd_ones_where_they_are(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){5});
	member(r, 1);
	member(r, 1);
	for (int p = 0; p < 5; p++)
		parts_append(&r->current[p < 2 ? 0 : 1], part_of(10, p));
	run(r, "uniform");
	assert_int_equal(moved(r), 0);
	assert_int_equal(r->members[1].result.count, 3);
}

static void uniform_forgets_partitions_that_are_no_longer_there(void **state)
{
	struct rig *r = *state;

	topics(r, 1, (int32_t[]){3});
	member(r, 1);
	member(r, 1);
	parts_append(&r->current[0], part_of(9, 0));
	parts_append(&r->current[0], part_of(10, 2));
	parts_append(&r->current[0], part_of(10, 3));
	parts_append(&r->current[0], part_of(99, 0));
	/* Two claim one: a record cannot say so, but nothing may rely on it. */
	parts_append(&r->current[1], part_of(10, 2));
	run(r, "uniform");
	assert_complete(r);
	assert_even(r);
}

static void uniform_evens_out_among_different_subscriptions(void **state)
{
	struct rig *r = *state;

	topics(r, 3, (int32_t[]){6, 6, 6});
	member(r, 1);
	member(r, 3);
	member(r, 7);
	run(r, "uniform");
	assert_complete(r);
	/* Topic 12 has one reader, which then gets nothing else. */
	assert_range(&r->members[2], 12, 0, 6);
	assert_even(r);
	settle(r);
	run(r, "uniform");
	assert_int_equal(moved(r), 0);
}

static void uniform_takes_back_from_those_who_have_too_much(void **state)
{
	struct rig *r = *state;

	topics(r, 2, (int32_t[]){8, 8});
	member(r, 1);
	member(r, 3);
	for (int p = 0; p < 8; p++) {
		parts_append(&r->current[1], part_of(10, p));
	}
	run(r, "uniform");
	assert_complete(r);
	assert_range(&r->members[0], 10, 0, 8);
	assert_range(&r->members[1], 11, 0, 8);
}

static void any_subscriptions_are_covered_and_settle(void **state)
{
	struct rig *r = *state;
	uint32_t random = 12345;

	for (int round = 0; round < 300; round++) {
		int32_t partitions[6];
		r->member_count = 0;
		for (int i = 0; i < 6; i++) {
			random = random * 1664525 + 1013904223;
			partitions[i] = (int32_t)(random >> 24) % 20;
		}
		topics(r, 6, partitions);
		for (int i = 0; i < 10; i++) {
			random = random * 1664525 + 1013904223;
			member(r, random >> 20 & 63);
			parts_clear(&r->current[i]);
		}
		run(r, "range");
		assert_complete(r);
		settle(r);
		run(r, "uniform");
		assert_complete(r);
		settle(r);
		run(r, "uniform");
		assert_complete(r);
		assert_int_equal(moved(r), 0);
	}
}

static void nobody_and_nothing_are_assigned_too(void **state)
{
	struct rig *r = *state;

	run(r, "range");
	run(r, "uniform");
	member(r, 0);
	run(r, "range");
	run(r, "uniform");
	assert_int_equal(r->members[0].result.count, 0);
	assert_null(assignor_find(slice_str("sticky")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(range_gives_stretches_and_the_rest_to_the_first),
		T(range_splits_topics_of_equal_size_alike),
		T(range_deals_each_topic_to_its_own_subscribers),
		T(range_puts_static_members_first_in_the_order_of_their_instances),
		T(more_members_than_partitions_leave_some_without),
		T(uniform_is_even_over_all_topics),
		T(uniform_moves_nothing_when_nothing_changed),
		T(uniform_moves_only_what_a_newcomer_gets),
		T(uniform_gives_what_one_leaves_to_the_others_and_moves_nothing_else),
		T(uniform_keeps_the_odd_ones_where_they_are),
		T(uniform_forgets_partitions_that_are_no_longer_there),
		T(uniform_evens_out_among_different_subscriptions),
		T(uniform_takes_back_from_those_who_have_too_much),
		T(any_subscriptions_are_covered_and_settle),
		T(nobody_and_nothing_are_assigned_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The memory that connections share: who waits, who goes first, who may go beyond. */
#include "tests/check.h"

#include "server/pool.h"

static int grants[8];
static int grant_count;

struct peer {
	struct pool_waiter w;
	int id;
};

static void granted(struct pool_waiter *w)
{
	grants[grant_count++] = ((struct peer *)w)->id;
}

static struct peer peer(int id)
{
	return (struct peer){.w.granted = granted, .id = id};
}

static int setup(void **state)
{
	struct pool *p = malloc(sizeof *p);

	pool_init(p, 100);
	grant_count = 0;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	pool_fini(*state);
	free(*state);
	return 0;
}

static void what_fits_is_given_at_once(void **state)
{
	struct peer a = peer(1);

	assert_true(pool_take(*state, &a.w, 60));
	assert_true(pool_take(*state, &a.w, 40));
	assert_int_equal(pool_used_bytes(*state), 100);
	assert_false(pool_is_short(*state));
}

static void those_who_wait_are_served_in_the_order_of_their_coming(void **state)
{
	struct peer a = peer(1), b = peer(2), c = peer(3);

	assert_true(pool_take(*state, &a.w, 90));
	assert_false(pool_take(*state, &b.w, 50));
	/* It would fit, and waits all the same: others came before. */
	assert_false(pool_take(*state, &c.w, 5));
	assert_true(pool_is_short(*state));
	pool_give(*state, 30);
	assert_int_equal(grant_count, 0);
	pool_give(*state, 60);
	assert_int_equal(grant_count, 2);
	assert_int_equal(grants[0], 2);
	assert_int_equal(grants[1], 3);
	assert_int_equal(pool_used_bytes(*state), 55);
}

static void who_leaves_the_line_lets_the_next_one_through(void **state)
{
	struct peer a = peer(1), b = peer(2), c = peer(3);

	pool_take(*state, &a.w, 90);
	pool_take(*state, &b.w, 50);
	pool_take(*state, &c.w, 5);
	assert_true(pool_leave(*state, &b.w));
	assert_int_equal(grant_count, 1);
	assert_int_equal(grants[0], 3);
	assert_false(pool_leave(*state, &b.w));
	assert_false(pool_leave(*state, &c.w));
}

static void when_parts_hold_everything_one_of_them_may_go_beyond(void **state)
{
	struct peer a = peer(1), b = peer(2), c = peer(3);

	assert_true(pool_take_part(*state, &a.w, 50));
	assert_true(pool_take_part(*state, &b.w, 50));
	/* Neither can be finished without the other; the first to ask gets it, and only that one. */
	assert_false(pool_take_part(*state, &a.w, 50));
	assert_int_equal(grant_count, 1);
	assert_int_equal(grants[0], 1);
	assert_false(pool_take_part(*state, &b.w, 50));
	assert_false(pool_take_part(*state, &c.w, 1));
	assert_int_equal(grant_count, 1);
	/* The favoured one gets what it asks for until it is whole. */
	assert_true(pool_take_part(*state, &a.w, 100));
	pool_settle(*state, &a.w, 200);
	assert_int_equal(grant_count, 1);
	pool_give(*state, 200);
	assert_int_equal(grant_count, 3);
	assert_int_equal(grants[1], 2);
	assert_int_equal(grants[2], 3);
}

static void while_somebody_will_give_back_nobody_goes_beyond(void **state)
{
	struct peer a = peer(1), b = peer(2);

	assert_true(pool_take_part(*state, &a.w, 50));
	pool_settle(*state, &a.w, 50);
	assert_true(pool_take_part(*state, &b.w, 50));
	assert_false(pool_take_part(*state, &b.w, 50));
	assert_int_equal(grant_count, 0);
	pool_give(*state, 50);
	assert_int_equal(grant_count, 1);
}

static void the_end_of_a_favoured_one_makes_room_for_another(void **state)
{
	struct peer a = peer(1), b = peer(2);

	pool_take_part(*state, &a.w, 50);
	pool_take_part(*state, &b.w, 50);
	assert_false(pool_take_part(*state, &a.w, 10));
	assert_false(pool_take_part(*state, &b.w, 60));
	assert_int_equal(grant_count, 1);
	pool_give_part(*state, &a.w, 60);
	assert_int_equal(grant_count, 2);
	assert_int_equal(grants[1], 2);
}

static void what_is_larger_than_the_pool_gets_it_when_it_is_empty(void **state)
{
	struct peer a = peer(1), b = peer(2);

	assert_true(pool_take(*state, &a.w, 10));
	assert_false(pool_take(*state, &b.w, 1000));
	pool_give(*state, 10);
	assert_int_equal(grant_count, 1);
	assert_int_equal(pool_used_bytes(*state), 1000);
}

static void a_share_is_between_the_least_and_the_most(void **state)
{
	struct peer a = peer(1), b = peer(2), c = peer(3);

	assert_int_equal(pool_take_some(*state, &a.w, 10, 70), 70);
	assert_int_equal(pool_take_some(*state, &b.w, 10, 70), 30);
	assert_int_equal(pool_take_some(*state, &c.w, 10, 70), 0);
	pool_give(*state, 70);
	assert_int_equal(grant_count, 1);
	assert_int_equal(pool_used_bytes(*state), 40);
	pool_take_anyway(*state, 100);
	assert_int_equal(pool_used_bytes(*state), 140);
}

#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(what_fits_is_given_at_once),
		POOL_TEST(those_who_wait_are_served_in_the_order_of_their_coming),
		POOL_TEST(who_leaves_the_line_lets_the_next_one_through),
		POOL_TEST(when_parts_hold_everything_one_of_them_may_go_beyond),
		POOL_TEST(while_somebody_will_give_back_nobody_goes_beyond),
		POOL_TEST(the_end_of_a_favoured_one_makes_room_for_another),
		POOL_TEST(what_is_larger_than_the_pool_gets_it_when_it_is_empty),
		POOL_TEST(a_share_is_between_the_least_and_the_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

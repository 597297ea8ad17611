/* test_assign.c - the range assignor, and the messages that members leave with the coordinator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/assign.h"

static int32_t partitions(void *arg, struct slice topic)
{
	(void)arg;
	return topic.data[0] - '0'; /* a topic is called after its number of partitions */
}

/* "a:7/0,1 9/2;b:" - who got which partitions of what. */
static void show(const struct assign_member *members, size_t count, char *out, size_t cap)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const struct consumer_protocol_assignment *a = &members[i].assignment;
		at += (size_t)snprintf(out + at, cap - at, "%s%.*s:", i ? ";" : "",
				       (int)members[i].id.len, (const char *)members[i].id.data);
		for (int32_t t = 0; t < a->assigned_partitions.n; t++) {
			const struct consumer_protocol_assignment_assigned_partition *p =
				&a->assigned_partitions.v[t];
			at += (size_t)snprintf(out + at, cap - at, "%s%.*s/", t ? " " : "",
					       (int)p->topic.len, (const char *)p->topic.data);
			for (int32_t k = 0; k < p->partitions.n; k++)
				at += (size_t)snprintf(out + at, cap - at, "%s%d", k ? "," : "",
						       p->partitions.v[k]);
		}
	}
}

struct who {
	const char *id, *topics[3];
};

static void check(const struct who *who, size_t count, const char *expected)
{
	struct assign_member members[4] = {0};
	struct slice topics[4][3];
	struct arena arena = {0};
	char text[256] = "";

	for (size_t i = 0; i < count; i++) {
		members[i].id = slice_str(who[i].id);
		members[i].subscription.topics.v = topics[i];
		for (int32_t k = 0; k < 3 && who[i].topics[k]; k++)
			topics[i][members[i].subscription.topics.n++] = slice_str(who[i].topics[k]);
	}
	assign_ranges(members, count, partitions, NULL, &arena);
	show(members, count, text, sizeof text);
	assert_string_equal(text, expected);
	arena_fini(&arena);
}

static void one_member_gets_everything(void **state)
{
	(void)state;
	check((struct who[]){{"a", {"3", "2"}}}, 1, "a:2/0,1 3/0,1,2");
}

static void the_first_members_get_one_more(void **state)
{
	(void)state;
	check((struct who[]){{"b", {"5"}}, {"a", {"5"}}, {"c", {"5"}}}, 3, "a:5/0,1;b:5/2,3;c:5/4");
}

static void who_is_too_many_gets_nothing(void **state)
{
	(void)state;
	check((struct who[]){{"a", {"2"}}, {"b", {"2"}}, {"c", {"2"}}}, 3, "a:2/0;b:2/1;c:");
}

static void every_topic_is_dealt_out_among_those_who_want_it(void **state)
{
	(void)state;
	check((struct who[]){{"a", {"4"}}, {"b", {"4", "3"}}, {"c", {"3", "1"}}}, 3,
	      "a:4/0,1;b:3/0,1 4/2,3;c:1/0 3/2");
}

static void a_topic_that_is_not_there_is_nobodys(void **state)
{
	(void)state;
	check((struct who[]){{"a", {"0", "1"}}, {"b", {"0"}}}, 2, "a:1/0;b:");
}

static void a_topic_that_is_wanted_twice_is_given_once(void **state)
{
	(void)state;
	check((struct who[]){{"a", {"2", "2"}}}, 1, "a:2/0,1");
}

/* --- bytes --- */

static void a_subscription_is_written_in_version_0(void **state)
{
	static const uint8_t bytes[] = {0,    0,                          /* version */
					0,    0,    0,    2,              /* topics */
					0,    2,    'i',  'n', 0, 1, 'x', /* */
					0xff, 0xff, 0xff, 0xff};          /* no user data */
	struct slice topics[] = {slice_str("in"), slice_str("x")};
	struct consumer_protocol_subscription s = {.topics = {topics, 2}};
	struct buf out = {0};

	(void)state;
	assign_write_subscription(&s, &out);
	assert_int_equal(out.len, sizeof bytes);
	assert_memory_equal(out.data, bytes, sizeof bytes);
	buf_fini(&out);
}

static void an_assignment_survives_its_bytes(void **state)
{
	int32_t partitions_of[] = {4, 0, 2};
	struct consumer_protocol_assignment_assigned_partition row = {slice_str("in"),
								      {partitions_of, 3}};
	struct consumer_protocol_assignment a = {.assigned_partitions = {&row, 1}}, back;
	struct arena arena = {0};
	struct buf out = {0};

	(void)state;
	assign_write_assignment(&a, &out);
	assert_int_equal(assign_read_assignment(buf_slice(&out), &arena, 4096, &back), ERR_NONE);
	assert_int_equal(back.assigned_partitions.n, 1);
	assert_int_equal(back.assigned_partitions.v[0].partitions.n, 3);
	assert_int_equal(back.assigned_partitions.v[0].partitions.v[2], 2);
	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(
			assign_read_assignment(slice_of(out.data, len), &arena, 4096, &back),
			ERR_MALFORMED);
	arena_fini(&arena);
	buf_fini(&out);
}

static void newer_versions_are_read(void **state)
{
	static const uint8_t bytes[] = {0,    3,    0,    0,    0, 1, 0, 1, 'x',
					0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, /* owned */
					0,    0,    0,    9,                /* generation */
					0xff, 0xff};                        /* rack */
	struct consumer_protocol_subscription s;
	struct arena arena = {0};

	(void)state;
	assert_int_equal(assign_read_subscription(slice_of(bytes, sizeof bytes), &arena, 4096, &s),
			 ERR_NONE);
	assert_int_equal(s.generation_id, 9);
	assert_int_equal(s.topics.n, 1);
	arena_fini(&arena);
}

static void a_count_that_is_too_large_takes_no_memory(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 'x'};
	struct consumer_protocol_subscription s;
	struct arena arena = {0};

	(void)state;
	assert_int_equal(assign_read_subscription(slice_of(bytes, sizeof bytes), &arena, 4096, &s),
			 ERR_MALFORMED);
	assert_true(arena.total_bytes < 65536);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_member_gets_everything),
		cmocka_unit_test(the_first_members_get_one_more),
		cmocka_unit_test(who_is_too_many_gets_nothing),
		cmocka_unit_test(every_topic_is_dealt_out_among_those_who_want_it),
		cmocka_unit_test(a_topic_that_is_not_there_is_nobodys),
		cmocka_unit_test(a_topic_that_is_wanted_twice_is_given_once),
		cmocka_unit_test(a_subscription_is_written_in_version_0),
		cmocka_unit_test(an_assignment_survives_its_bytes),
		cmocka_unit_test(newer_versions_are_read),
		cmocka_unit_test(a_count_that_is_too_large_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is written of groups: read back as it was, and refused when it is anything else. */
#include "tests/check.h"

#include "groups/record.h"

static const struct classic_protocol protocols[] = {
	{{(const uint8_t *)"range", 5}, {(const uint8_t *)"\0\1", 2}},
	{{(const uint8_t *)"sticky", 6}, {NULL, 0}},
};

static struct classic_record classic(struct classic_member_record *members)
{
	members[0] = (struct classic_member_record){
		.id = slice_str("a-1"),
		.instance_id = SLICE_NULL,
		.client_id = slice_str("a"),
		.client_host = slice_str("/::1"),
		.session_timeout_ms = 45000,
		.rebalance_timeout_ms = 300000,
		.protocols = protocols,
		.protocol_count = 2,
		.assignment = slice_str("xyz"),
	};
	members[1] = members[0];
	members[1].id = slice_str("b-1");
	members[1].instance_id = slice_str("b");
	members[1].client_id = SLICE_NULL;
	members[1].assignment = SLICE_NULL;
	return (struct classic_record){
		.state = CLASSIC_STABLE,
		.generation = 7,
		.empty_since_ms = 1700000000000,
		.protocol_type = slice_str("consumer"),
		.protocol_name = slice_str("range"),
		.leader_id = slice_str("b-1"),
		.members = members,
		.member_count = 2,
	};
}

static void a_classic_group_is_read_as_it_was_written(void **state)
{
	struct classic_member_record members[2];
	struct classic_record before = classic(members), r;
	struct buf value = {0}, again = {0};
	struct arena arena = {0};

	(void)state;
	classic_record_encode(&value, &before);
	assert_true(classic_record_decode(buf_slice(&value), &arena, &r));
	assert_int_equal(r.state, CLASSIC_STABLE);
	assert_int_equal(r.generation, 7);
	assert_int_equal(r.empty_since_ms, 1700000000000);
	assert_slice(r.protocol_type, "consumer");
	assert_slice(r.leader_id, "b-1");
	assert_int_equal(r.member_count, 2);
	assert_null(r.members[0].instance_id.data);
	assert_slice(r.members[1].instance_id, "b");
	assert_int_equal(r.members[0].rebalance_timeout_ms, 300000);
	assert_slice(r.members[1].protocols[1].name, "sticky");
	assert_null(r.members[1].protocols[1].metadata.data);
	assert_slice(r.members[0].assignment, "xyz");
	assert_null(r.members[1].assignment.data);
	classic_record_encode(&again, &r);
	assert_true(slice_equal(buf_slice(&value), buf_slice(&again)));
	buf_fini(&value);
	buf_fini(&again);
	arena_fini(&arena);
}

/* Every shorter value, and a longer one, in memory that ends where it does. */
static void assert_strict(struct slice value, bool (*decode)(struct slice value))
{
	assert_true(decode(value));
	for (size_t n = 0; n <= value.len + 1; n++) {
		uint8_t *exact = malloc(n + 1);
		memcpy(exact, value.data, n < value.len ? n : value.len);
		if (n > value.len)
			exact[value.len] = 0;
		if (n != value.len)
			assert_false(decode(slice_of(exact, n)));
		free(exact);
	}
	uint8_t *other = malloc(value.len);
	memcpy(other, value.data, value.len);
	other[0] = 9;
	assert_false(decode(slice_of(other, value.len)));
	free(other);
}

static bool decode_classic(struct slice value)
{
	struct arena arena = {0};
	struct classic_record r;
	bool ok = classic_record_decode(value, &arena, &r);

	arena_fini(&arena);
	return ok;
}

static bool decode_group(struct slice value)
{
	struct arena arena = {0};
	struct consumer_group_record r;
	bool ok = consumer_group_record_decode(value, &arena, &r);

	arena_fini(&arena);
	return ok;
}

static bool decode_member(struct slice value)
{
	struct consumer_member m = {.id = slice_str("m")};
	bool ok = consumer_member_decode(value, &m);

	if (ok)
		consumer_member_record_fini(&m);
	return ok;
}

static void a_classic_record_of_another_length_or_version_is_refused(void **state)
{
	struct classic_member_record members[2];
	struct classic_record r = classic(members);
	struct buf value = {0};

	(void)state;
	classic_record_encode(&value, &r);
	assert_strict(buf_slice(&value), decode_classic);
	buf_fini(&value);
}

static void counts_are_held_against_what_is_there(void **state)
{
	struct classic_record r = {.state = CLASSIC_EMPTY};
	struct buf value = {0};

	(void)state;
	classic_record_encode(&value, &r);
	memset(value.data + value.len - 4, 0x7f, 4); /* members */
	assert_false(decode_classic(buf_slice(&value)));
	buf_fini(&value);
	consumer_group_record_encode(&value, &(struct consumer_group_record){0});
	memset(value.data + value.len - 4, 0xff, 4); /* topics */
	assert_false(decode_group(buf_slice(&value)));
	buf_fini(&value);
}

static void a_consumer_group_is_read_as_it_was_written(void **state)
{
	struct assign_topic topics[] = {{3, 12}, {UINT32_MAX, 1}};
	struct consumer_group_record before = {9, 8, 1700000000000, topics, 2}, r;
	struct buf value = {0};
	struct arena arena = {0};

	(void)state;
	consumer_group_record_encode(&value, &before);
	assert_true(consumer_group_record_decode(buf_slice(&value), &arena, &r));
	assert_int_equal(r.epoch, 9);
	assert_int_equal(r.target_epoch, 8);
	assert_int_equal(r.empty_since_ms, 1700000000000);
	assert_int_equal(r.topic_count, 2);
	assert_int_equal(r.topics[0].number, 3);
	assert_int_equal(r.topics[0].partitions, 12);
	assert_int_equal(r.topics[1].number, UINT32_MAX);
	assert_strict(buf_slice(&value), decode_group);
	buf_fini(&value);
	arena_fini(&arena);
}

static void a_member_is_read_as_it_was_written(void **state)
{
	struct consumer_member before = {
		.id = slice_str("m"),
		.instance_id = slice_str("i"),
		.client_id = slice_str("c"),
		.client_host = slice_str("/127.0.0.1"),
		.regex = slice_str("a.*"),
		.assignor = slice_str("range"),
		.rebalance_timeout_ms = 300000,
		.epoch = -2,
		.previous_epoch = 4,
		.state = CONSUMER_MEMBER_UNRELEASED,
	};
	struct consumer_member m = {.id = slice_str("m")};
	struct buf value = {0}, again = {0};

	(void)state;
	names_append(&before.topics, slice_str("t"));
	names_append(&before.topics, slice_str("u"));
	parts_append(&before.assigned, part_of(1, 0));
	parts_append(&before.assigned, part_of(1, 7));
	parts_append(&before.revoking, part_of(2, 0));
	parts_append(&before.target, part_of(5, INT32_MAX));
	consumer_member_encode(&value, &before);
	assert_true(consumer_member_decode(buf_slice(&value), &m));
	assert_slice(m.instance_id, "i");
	assert_null(m.rack_id.data);
	assert_slice(m.assignor, "range");
	assert_int_equal(m.epoch, -2);
	assert_int_equal(m.previous_epoch, 4);
	assert_int_equal(m.state, CONSUMER_MEMBER_UNRELEASED);
	assert_true(names_equal(&m.topics, &before.topics));
	assert_true(parts_equal(&m.assigned, &before.assigned));
	assert_true(parts_equal(&m.revoking, &before.revoking));
	assert_true(parts_equal(&m.target, &before.target));
	consumer_member_encode(&again, &m);
	assert_true(slice_equal(buf_slice(&value), buf_slice(&again)));
	assert_strict(buf_slice(&value), decode_member);
	consumer_member_record_fini(&m);
	consumer_member_record_fini(&before);
	buf_fini(&value);
	buf_fini(&again);
}

static void sets_that_are_out_of_order_are_refused(void **state)
{
	struct consumer_member m = {.id = slice_str("m")};
	struct buf value = {0};

	(void)state;
	parts_append(&m.target, part_of(2, 0));
	parts_append(&m.target, part_of(1, 0));
	consumer_member_encode(&value, &m);
	assert_false(decode_member(buf_slice(&value)));
	parts_clear(&m.target);
	parts_append(&m.target, part_of(1, -1));
	buf_clear(&value);
	consumer_member_encode(&value, &m);
	assert_false(decode_member(buf_slice(&value)));
	parts_clear(&m.target);
	names_append(&m.topics, slice_str("b"));
	names_append(&m.topics, slice_str("a"));
	buf_clear(&value);
	consumer_member_encode(&value, &m);
	assert_false(decode_member(buf_slice(&value)));
	consumer_member_record_fini(&m);
	buf_fini(&value);
}

static void keys_of_one_group_are_neighbours_and_tell_whose_they_are(void **state)
{
	struct buf a = {0}, b = {0}, c = {0};
	enum group_record_type type;
	struct slice group, member;

	(void)state;
	group_record_key(&a, GROUP_RECORD_MEMBER, slice_str("g"), slice_str("zz"));
	group_record_key(&b, GROUP_RECORD_MEMBER, slice_str("gg"), slice_str("a"));
	group_record_key(&c, GROUP_RECORD_CLASSIC, slice_str("gg"), SLICE_NULL);
	assert_true(slice_compare(buf_slice(&a), buf_slice(&b)) < 0);
	assert_true(group_record_key_decode(buf_slice(&b), &type, &group, &member));
	assert_int_equal(type, GROUP_RECORD_MEMBER);
	assert_slice(group, "gg");
	assert_slice(member, "a");
	assert_true(group_record_key_decode(buf_slice(&c), &type, &group, &member));
	assert_int_equal(type, GROUP_RECORD_CLASSIC);
	assert_false(group_record_key_decode(slice_of(b.data, b.len - 1), &type, &group, &member));
	assert_false(group_record_key_decode(slice_of(c.data, c.len - 1), &type, &group, &member));
	buf_append_u8(&c, 'x');
	assert_false(group_record_key_decode(buf_slice(&c), &type, &group, &member));
	assert_false(group_record_key_decode(slice_str("c"), &type, &group, &member));
	assert_false(group_record_key_decode(slice_of("c\0", 2), &type, &group, &member));
	assert_false(group_record_key_decode(slice_of("q\1a", 3), &type, &group, &member));
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_classic_group_is_read_as_it_was_written),
		cmocka_unit_test(a_classic_record_of_another_length_or_version_is_refused),
		cmocka_unit_test(counts_are_held_against_what_is_there),
		cmocka_unit_test(a_consumer_group_is_read_as_it_was_written),
		cmocka_unit_test(a_member_is_read_as_it_was_written),
		cmocka_unit_test(sets_that_are_out_of_order_are_refused),
		cmocka_unit_test(keys_of_one_group_are_neighbours_and_tell_whose_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
